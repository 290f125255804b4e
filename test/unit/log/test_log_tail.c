/* The tail of a log that is durable elsewhere before it is in the log's own file: what the file is trusted with, and what comes
 * back. */
#include "log/log_int.h"
#include "log_test.h"

#include <sched.h>

/* Appends `count` values from `first` on and makes them durable elsewhere. */
static void append_elsewhere(struct world *w, int first, int count)
{
    struct log_tail tail;
    world_append(w, first, count, 1000);
    assert_true(log_tail_begin(w->log, 1 << 20, &tail));
    log_tail_end(w->log, &tail, true);
    assert_int_equal(log_durable_offset(w->log), first + count);
}

static void init(struct world *w)
{
    world_init(w, 1);
    w->config.durability = LOG_FSYNC;
    w->config.settle_later = true;
    world_open(w);
}

static struct str batch_at(struct world *w, int64_t offset, int first, int count)
{
    struct str bytes;
    batch_builder_begin(&w->builder, &BATCH_SPEC_PLAIN);
    for (int i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", first + i);
        batch_builder_add(&w->builder, 1000, STR_NULL, str_from(text), NULL, 0);
    }
    assert_true(batch_builder_finish(&w->builder, &bytes, NULL));
    batch_set_place((char *)bytes.ptr, offset, 0);
    return bytes;
}

static void test_durable_is_not_synced(void **state)
{
    struct world w;
    struct log_tail tail;
    init(&w);
    assert_false(log_tail_begin(w.log, 1 << 20, &tail)); /* nothing is there */
    world_append(&w, 0, 2, 1000);
    assert_int_equal(log_high_watermark(w.log), 0);
    assert_false(log_tail_begin(w.log, 10, &tail)); /* too long */
    assert_true(log_tail_begin(w.log, 1 << 20, &tail));
    assert_int_equal(tail.base_offset, 0);
    assert_int_equal(tail.end_offset, 2);
    log_tail_end(w.log, &tail, false); /* it did not become durable */
    assert_int_equal(log_durable_offset(w.log), 0);
    append_elsewhere(&w, 2, 1);
    assert_int_equal(log_high_watermark(w.log), 3);
    assert_int_equal(log_synced_offset(w.log), 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    assert_true(log_flush(w.log, 3, NULL));
    assert_int_equal(log_synced_offset(w.log), 3);
    world_crash(&w, IO_CUT_LOSE);
    assert_records(&w, 0, LOG_APPENDED, "0=0 1=1 2=2");
    world_fini(&w);
}

/* Whoever keeps the bytes elsewhere drops them after a clean end. */
static void test_a_close_syncs(void **state)
{
    struct world w;
    init(&w);
    append_elsewhere(&w, 0, 3);
    log_close(w.log);
    io_memory_cut(w.mem, IO_CUT_LOSE);
    world_open(&w);
    assert_records(&w, 0, LOG_APPENDED, "0=0 1=1 2=2");
    world_fini(&w);
}

/* A checkpoint speaks of what the files hold. */
static void test_a_checkpoint_syncs(void **state)
{
    struct world w;
    init(&w);
    append_elsewhere(&w, 0, 3);
    assert_true(log_delete_before(w.log, 2, NULL));
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_start_offset(w.log), 2);
    assert_int_equal(log_end_offset(w.log), 3);
    world_fini(&w);
}

/* Retention leaves the segment that the synced end lies in: a start goes on from there. */
static void test_retention_keeps_what_a_start_needs(void **state)
{
    struct world w;
    struct log_retained retained;
    struct io_stat st;
    init(&w);
    w.config.retention_ms = 10;
    w.config.segment_bytes = 150;
    log_set_config(w.log, &w.config);
    for (int i = 0; i < 4; i++) {
        struct log_tail tail;
        world_append(&w, i, 1, 1000);
        bool begun = log_tail_begin(w.log, 1 << 20, &tail);
        assert_int_equal(begun,
                         i != 2); /* two to a segment: a new one is synced first, with the one before */
        if (begun)
            log_tail_end(w.log, &tail, true);
        else
            world_sync(&w);
    }
    assert_int_equal(log_synced_offset(w.log), 3);
    assert_int_equal(log_durable_offset(w.log), 4);
    io_memory_advance_ms(w.mem, 1000000);
    assert_true(log_retain(w.log, io_now_ms(w.io), &retained, NULL));
    int64_t start = log_start_offset(w.log);
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_start_offset(w.log), start);
    assert_true(log_end_offset(w.log) >= start);
    assert_int_equal(io_stat(w.io, "logs/t-0/checkpoint", &st), 0);
    world_fini(&w);
}

static void test_redo_appends_what_is_missing(void **state)
{
    struct world w;
    init(&w);
    append_elsewhere(&w, 0, 1);
    assert_true(log_flush(w.log, 1, NULL));
    append_elsewhere(&w, 1, 2);
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_end_offset(w.log), 1);
    assert_true(log_redo(w.log, batch_at(&w, 1, 1, 2), NULL));
    assert_true(log_is_unsettled(w.log));
    assert_true(log_high_watermark(w.log) <= 1); /* not before it is settled */
    assert_true(log_redo(w.log, batch_at(&w, 1, 1, 2), NULL));
    assert_true(log_settle(w.log, false, NULL));
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    assert_int_equal(log_synced_offset(w.log), 3);
    world_fini(&w);
}

/* Two batches of which the first is not what the log has there: they were dropped once, and others took their offsets. */
static void test_redo_leaves_another_life_alone(void **state)
{
    struct world w;
    struct buf both = {0};
    init(&w);
    append_elsewhere(&w, 0, 1);
    buf_append_str(&both, batch_at(&w, 0, 7, 1));
    buf_append_str(&both, batch_at(&w, 1, 8, 1));
    assert_true(log_redo(w.log, buf_str(&both), NULL));
    assert_int_equal(log_end_offset(w.log), 1);
    buf_clear(&both);
    world_fini(&w);
    buf_fini(&both);
}

static void test_redo_refuses(void **state)
{
    struct world w;
    struct err err = {0};
    init(&w);
    append_elsewhere(&w, 0, 1);
    assert_false(log_redo(w.log, batch_at(&w, 2, 2, 1), &err)); /* 1 is missing */
    assert_int_equal(err.code, ERR_CORRUPT);
    struct str bytes = batch_at(&w, 1, 1, 1);
    ((char *)bytes.ptr)[bytes.len - 1] ^= 1;
    assert_false(log_redo(w.log, bytes, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_false(log_redo(w.log, str_sub(batch_at(&w, 1, 1, 1), 0, 30), &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(log_end_offset(w.log), 1);
    io_faulty_script(w.faulty, IO_FAULT_ENOSPC, 1, 1);
    log_level_set(LOG_OFF);
    assert_false(log_redo(w.log, batch_at(&w, 1, 1, 1), &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    assert_false(log_check_readable(w.log, NULL)); /* without what it lacks it is not served */
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 0);
    assert_false(log_redo(w.log, batch_at(&w, 1, 1, 1), &err));
    assert_int_equal(err.code, ERR_STORAGE);
    log_level_set(LOG_INFO);
    world_fini(&w);
}

static void *flush_three(void *arg)
{
    struct world *w = arg;
    ASSERT(!log_flush(w->log, 3, NULL));
    return NULL;
}

/* A flush fails and waits for sync_lock; until it has it, the log heals and goes on. */
static void test_failed_flush_comes_late(void **state)
{
    struct world w;
    pthread_t flusher;
    init(&w);
    append_elsewhere(&w, 0, 3);
    log_level_set(LOG_OFF);
    io_faulty_script(w.faulty, IO_FAULT_ENOSPC, 1, 1);
    pthread_mutex_lock(&w.log->sync_lock);
    assert_int_equal(pthread_create(&flusher, NULL, flush_three, &w), 0);
    while (log_offline_reason(w.log) == NULL)
        sched_yield();
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 0);
    log_cut_undurable(w.log);             /* what log_heal does first ... */
    atomic_store(&w.log->offline, false); /* ... and in the end */
    world_append(&w, 3, 1, 1000);
    pthread_mutex_unlock(&w.log->sync_lock);
    pthread_join(flusher, NULL);
    log_level_set(LOG_INFO);
    assert_int_equal(log_end_offset(w.log), 4);
    world_sync(&w);
    world_crash(&w, IO_CUT_LOSE);
    assert_records(&w, 0, LOG_APPENDED, "0=0 1=1 2=2 3=3");
    world_fini(&w);
}

/* Where the log heals first, it trusts no more of its files than the one who met the failure would have left. */
static void test_healing_cuts_what_a_failed_sync_left(void **state)
{
    struct world w;
    struct err err;
    init(&w);
    append_elsewhere(&w, 0, 3);
    world_append(&w, 3, 2, 1000);
    log_level_set(LOG_OFF);
    err_set(&err, ERR_DISK_FULL, "sync failed");
    w.log->cut_due = true;
    log_set_offline(w.log, &err); /* as a flush does before it asks for sync_lock */
    assert_true(log_heal(w.log, &err));
    log_level_set(LOG_INFO);
    assert_int_equal(log_end_offset(w.log), 3);
    assert_int_equal(world_append(&w, 7, 1, 1000), 3);
    world_sync(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=7");
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durable_is_not_synced),
        cmocka_unit_test(test_a_close_syncs),
        cmocka_unit_test(test_a_checkpoint_syncs),
        cmocka_unit_test(test_retention_keeps_what_a_start_needs),
        cmocka_unit_test(test_redo_appends_what_is_missing),
        cmocka_unit_test(test_redo_leaves_another_life_alone),
        cmocka_unit_test(test_redo_refuses),
        cmocka_unit_test(test_failed_flush_comes_late),
        cmocka_unit_test(test_healing_cuts_what_a_failed_sync_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
