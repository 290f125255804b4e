/* test_log_recover.c - what a start makes of the end of a log and of what is missing: torn, unsynced and alien batches, lost
 * files, checkpoints. */
#include "log_test.h"

static void test_torn_tails(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    world_append(&w, 5, 3, 1000); /* never synced */
    world_crash(&w, IO_CUT_LOSE);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4");
    world_append(&w, 7, 1, 1000);
    world_sync(&w);
    log_abandon(w.log);
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", 5 * 70 + 65); /* the last batch is damaged */
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4");
    world_append(&w, 8, 1, 1000);
    world_sync(&w);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/checkpoint"), 0);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4 5=8");
    log_close(w.log);
    io_memory_flip(w.mem, "logs/t-0/checkpoint", 20);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4 5=8");
    world_fini(&w);
}

/* After a crash that the system lived through, what was written but not synced becomes readable when one sync of all logs has
 * made it durable, not before; then it survives a power cut. */
static void test_settle_later(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_true(log_sync(w.log, NULL));
    world_append(&w, 3, 2, 1000);
    w.config.settle_later = true;
    world_crash(&w, IO_CUT_KEEP);
    assert_true(log_is_unsettled(w.log));
    assert_int_equal(log_end_offset(w.log), 4);
    assert_int_equal(log_high_watermark(w.log),
                     0); /* no checkpoint was written: nothing is known to be durable */
    assert_int_equal(io_sync_all(w.io, "logs"), 0);
    assert_true(log_settle(w.log, true, NULL));
    assert_false(log_is_unsettled(w.log));
    assert_int_equal(log_high_watermark(w.log), 4);
    log_abandon(w.log);
    io_memory_cut(w.mem, IO_CUT_LOSE);
    world_open(&w);
    assert_true(log_settle(w.log, false, NULL)); /* by itself */
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2 2=3 3=4");
    world_fini(&w);
}

/* Bytes behind the end of a closed segment were cut off once, and a power cut has brought them back: the log goes on in the next
 * segment, which begins with the offset that follows. */
static void test_stray_bytes_before_a_segment(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 210; /* three batches */
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    log_abandon(w.log);
    ignore(io_unlink(w.io, "logs/t-0/checkpoint") < 0, "there may be none");
    append_raw(&w, "logs/t-0/00000000000000000000.log", STR("no batch at all, nor the beginning of one"));
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4");
    assert_int_equal(world_append(&w, 5, 1, 1000), 5);
    world_reopen(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4 5=5");
    world_fini(&w);
}

/* Syncs write checkpoints by themselves: damage far below the end is not even looked at by a start after a
 * crash. */
static void test_start_reads_the_tail_only(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.checkpoint_bytes = 300;
    world_open(&w);
    for (int i = 0; i < 10; i++) {
        world_append(&w, i, 1, 1000);
        world_sync(&w);
    }
    log_abandon(w.log);
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", 65);
    world_open(&w);
    assert_int_equal(log_end_offset(w.log), 10);
    assert_records(&w, 5, LOG_UP_TO_HW, "5=5 6=6 7=7 8=8 9=9");
    world_fini(&w);
}

/* A whole batch with the wrong offset, as a write that could not be taken back leaves it, does not belong
 * to the log. */
static void test_alien_batch(void **state)
{
    struct world w;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 2, 1000);
    world_sync(&w);
    log_abandon(w.log);
    struct str bytes = world_batch(&w, &plain, 7, 1, 1000);
    batch_set_place((char *)bytes.ptr, 9, 0);
    append_raw(&w, "logs/t-0/00000000000000000000.log", bytes);
    w.log = NULL;
    world_open(&w);
    assert_int_equal(log_end_offset(w.log),
                     2); /* without a checkpoint offsets need only grow: compacted logs have gaps */
    world_fini(&w);
}

/* What a failed write left behind is cut off at once. */
static void test_cut_back(void **state)
{
    struct world w;
    struct io_stat st;
    struct log_append_result result;
    struct err err;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 1, 1000);
    io_faulty_script(w.faulty, IO_FAULT_TORN, 1, 1);
    struct str bytes = world_batch(&w, &plain, 1, 1, 1000);
    assert_false(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), 0);
    assert_int_equal(st.size, 70);
    assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result,
                           &err)); /* the same bytes again */
    assert_int_equal(result.base_offset, 1);
    world_fini(&w);
}

/* Segments lost or cut from outside: what is left is served, later offsets never come back. */
static void test_missing_files(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    for (int i = 0; i < 6; i++)
        world_append(&w, i, 1, 1000);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000004.log"), 0);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3");
    assert_int_equal(world_append(&w, 9, 1, 1000), 4);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000000.log"), 0);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000002.log"), 0);
    world_open(&w);
    assert_int_equal(log_start_offset(w.log), 4);
    assert_records(&w, 4, LOG_UP_TO_HW, "4=9");
    world_fini(&w);
}

/* A checkpoint of version 1 has no cleaned offset; all else in it counts. */
static void test_checkpoint_of_version_1(void **state)
{
    enum { HEAD = 12, CLEANED_AT = 20 };
    struct world w;
    struct buf bytes = {0};
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    assert_true(log_delete_before(w.log, 3, NULL));
    log_close(w.log);
    assert_true(io_read_file(w.io, "logs/t-0/checkpoint", 1 << 20, &bytes, NULL));
    memmove(bytes.ptr + CLEANED_AT, bytes.ptr + CLEANED_AT + 8, bytes.len - CLEANED_AT - 8);
    bytes.len -= 8;
    store_be16(bytes.ptr + 4, 1);
    store_be32(bytes.ptr + 8, hash_crc32c(0, bytes.ptr + HEAD, bytes.len - HEAD));
    assert_true(io_replace_file(w.io, "logs/t-0", "logs/t-0/checkpoint", buf_str(&bytes), NULL));
    world_open(&w);
    assert_int_equal(log_start_offset(w.log), 3);
    assert_records(&w, 3, LOG_UP_TO_HW, "3=3 4=4");
    buf_fini(&bytes);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_tails),
        cmocka_unit_test(test_settle_later),
        cmocka_unit_test(test_start_reads_the_tail_only),
        cmocka_unit_test(test_stray_bytes_before_a_segment),
        cmocka_unit_test(test_alien_batch),
        cmocka_unit_test(test_cut_back),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_checkpoint_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
