/* test_log_index.c - the indexes of offsets and times: their bytes, what is found with them, entries of another life. */
#include "log_test.h"

/* The index files are Kafka's: 8 and 12 bytes an entry, big-endian, relative to the segment's base. */
static void test_index_files(void **state)
{
    struct world w;
    struct buf bytes = {0}, hex = {0};
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    world_open(&w);
    for (int i = 0; i < 5; i++) /* a batch with one such record has 61 + 9 bytes: entries at 140 and 280 */
        world_append(&w, i, 1, 0x1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    assert_true(io_read_file(w.io, "logs/t-0/00000000000000000000.index", 100, &bytes, NULL));
    buf_append_hex(&hex, buf_str(&bytes));
    assert_string_equal(hex.ptr, "000000020000008c0000000400000118");
    buf_clear(&bytes);
    buf_clear(&hex);
    assert_true(io_read_file(w.io, "logs/t-0/00000000000000000000.timeindex", 100, &bytes, NULL));
    buf_append_hex(&hex, buf_str(&bytes));
    assert_string_equal(hex.ptr, "000000000000100100000001000000000000100300000003");
    buf_fini(&bytes);
    buf_fini(&hex);
    world_fini(&w);
}

static void test_times(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 400;
    w.config.index_interval_bytes = 100;
    world_open(&w);
    assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, -1, -1);
    assert_time(&w, 0, LOG_UP_TO_HW, -1, -1);
    static const int64_t times[] = {100, 300, 200, 250, 600, 500, 700, 650, 640, 900};
    for (size_t i = 0; i < COUNT_OF(times); i++) /* batches of two: t and t + 1 */
        world_append(&w, (int)i, 2, times[i]);
    world_sync(&w);
    for (int round = 0; round < 2; round++) {
        assert_time(&w, LOG_TIME_EARLIEST, LOG_UP_TO_HW, 0, -1);
        assert_time(&w, LOG_TIME_LATEST, LOG_UP_TO_HW, 20, -1);
        assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, 19, 901);
        assert_time(&w, 0, LOG_UP_TO_HW, 0, 100);
        assert_time(&w, 101, LOG_UP_TO_HW, 1, 101);
        assert_time(&w, 102, LOG_UP_TO_HW, 2, 300);
        assert_time(&w, 302, LOG_UP_TO_HW, 8, 600);
        assert_time(&w, 601, LOG_UP_TO_HW, 9, 601);
        assert_time(&w, 602, LOG_UP_TO_HW, 12, 700);
        assert_time(&w, 702, LOG_UP_TO_HW, 18, 900);
        assert_time(&w, 902, LOG_UP_TO_HW, -1, -1);
        world_reopen(&w);
    }
    world_append(&w, 99, 1, 5000); /* not durable: readers may not learn of it */
    assert_time(&w, 902, LOG_UP_TO_HW, -1, -1);
    assert_time(&w, 902, LOG_APPENDED, 20, 5000);
    assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, 19, 901);
    struct log_time_hit hit;
    struct err err;
    assert_false(log_offset_for_time(w.log, -7, LOG_UP_TO_HW, &hit, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED_VERSION);
    world_fini(&w);
}

/* Entries in an index file behind those that the checkpoint knows are of a life that never became durable. */
static void test_stale_index(void **state)
{
    struct world w;
    struct buf stale = {0};
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    w.config.segment_bytes = 700;
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    log_abandon(w.log);
    for (uint32_t i = 0; i < 3; i++) {
        store_be32(buf_extend(&stale, 4), 5 + i);
        store_be32(buf_extend(&stale, 4), 400 + i);
    }
    append_raw(&w, "logs/t-0/00000000000000000000.index", buf_str(&stale));
    world_open(&w);
    for (int i = 5; i < 20; i++)
        world_append(&w, i, 1, 1000 + i);
    world_sync(&w);
    check_all_readable(&w, 20);
    world_reopen(&w); /* the segment is closed now: its index counts by size */
    for (int64_t offset = 0; offset < 20; offset++) {
        struct log_slice slice;
        assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, offset);
        log_slice_release(&slice);
    }
    buf_fini(&stale);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_files),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_stale_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
