/* test_log_retain.c - what goes at the beginning: by age, by size, by request; when its files do. */
#include "log_test.h"

#include <errno.h>

static void test_retention(void **state)
{
    struct world w;
    struct log_retained removed;
    world_init(&w, 1);
    w.config.segment_bytes = 200; /* two batches of 70 bytes a segment */
    w.config.retention_bytes = 300;
    w.config.retention_ms = -1;
    world_open(&w);
    int64_t now = io_now_ms(w.io);
    for (int i = 0; i < 10; i++)
        world_append(&w, i, 1, now + i);
    world_sync(&w);
    struct log_slice slice; /* a reader keeps what it holds */
    struct buf bytes = {0};
    assert_true(log_read(w.log, 0, 1, LOG_UP_TO_HW, &slice, NULL));
    assert_true(log_retain(w.log, now, &removed, NULL));
    assert_int_equal(removed.segments,
                     2); /* 5 of 140 bytes: 700, 560, 420; without a third there would be 280 */
    assert_int_equal(log_start_offset(w.log), 4);
    assert_records(&w, 4, LOG_UP_TO_HW, "4=4 5=5 6=6 7=7 8=8 9=9");
    assert_true(log_slice_read(w.log, &slice, &bytes, NULL));
    assert_int_equal(bytes.len, 70);
    log_slice_release(&slice);
    buf_fini(&bytes);
    struct err err;
    assert_false(log_read(w.log, 3, 1, LOG_UP_TO_HW, &slice, &err));
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    world_reopen(&w);
    assert_int_equal(log_start_offset(w.log), 4);

    w.config.retention_bytes = -1; /* by time: all but the two youngest records' segment, then that one too */
    w.config.retention_ms = 1000;
    log_set_config(w.log, &w.config);
    assert_true(log_retain(w.log, now + 1008, &removed, NULL));
    assert_int_equal(log_start_offset(w.log), 8);
    assert_true(log_retain(w.log, now + 5000, &removed, NULL));
    assert_int_equal(log_start_offset(w.log), 10);
    assert_int_equal(log_end_offset(w.log), 10);
    assert_int_equal(log_size_bytes(w.log), 0);
    world_reopen(&w);
    assert_int_equal(log_start_offset(w.log), 10);
    assert_int_equal(world_append(&w, 10, 1, now), 10);
    world_fini(&w);
}

static void test_delete_before(void **state)
{
    struct world w;
    struct err err;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    for (int i = 0; i < 7; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    world_append(&w, 7, 1, 1000);
    assert_false(log_delete_before(w.log, 8, &err)); /* past the high watermark */
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    assert_true(log_delete_before(w.log, 5, &err));
    assert_true(log_delete_before(w.log, 2, &err)); /* lower than the start: nothing happens */
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_start_offset(w.log), 5);
    assert_records(&w, 5, LOG_UP_TO_HW, "5=5 6=6 7=7");
    world_fini(&w);
}

static void count_deleted(void *arg, const char *name)
{
    *(int *)arg += str_ends_with(str_from(name), STR(".deleted"));
}

static int deleted_files(struct world *w)
{
    int count = 0;
    assert_int_equal(io_list(w->io, "logs/t-0", count_deleted, &count), 0);
    return count;
}

/* file.delete.delay.ms: the files of what retention removes have another name for so long; a start removes them all. */
static void test_delete_delay(void **state)
{
    enum { DELAY_MS = 1000 };
    for (int restart = 0; restart < 2; restart++) {
        struct world w;
        struct log_slice slice;
        struct io_stat st;
        atomic_int doomed = 0;
        struct buf bytes = {0};
        world_init(&w, 1);
        w.config.segment_bytes = 100; /* a batch each */
        w.config.delete_delay_ms = DELAY_MS;
        w.config.doomed_files = &doomed;
        world_open(&w);
        for (int i = 0; i < 4; i++)
            world_append(&w, i, 1, 1000);
        world_sync(&w);
        assert_true(log_checkpoint(w.log, NULL));
        assert_true(log_read(w.log, 0, 1000, LOG_UP_TO_HW, &slice, NULL));
        assert_true(log_delete_before(w.log, 2, NULL));
        int64_t gone_ms = io_now_ms(w.io);
        assert_int_equal(atomic_load(&doomed), 2);
        assert_true(deleted_files(&w) >= 2);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), -ENOENT);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log.deleted", &st), 0);
        assert_int_equal(log_size_bytes(w.log), 140);
        assert_true(log_slice_read(w.log, &slice, &bytes, NULL)); /* whoever reads goes on */
        log_slice_release(&slice);
        log_reap(w.log, gone_ms + DELAY_MS - 1);
        assert_int_equal(atomic_load(&doomed), 2);
        if (restart == 0)
            log_reap(w.log, gone_ms + DELAY_MS);
        else
            world_reopen(&w);
        assert_int_equal(atomic_load(&doomed), 0);
        assert_int_equal(deleted_files(&w), 0);
        assert_records(&w, 2, LOG_UP_TO_HW, "2=2 3=3");
        buf_fini(&bytes);
        world_fini(&w);
    }
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_delete_before),
        cmocka_unit_test(test_delete_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
