/* test_log_segment.c - when a segment ends and the next one begins, and that readers do not see where. */
#include "log_test.h"

#include <errno.h>

static void remove_index(void *arg, const char *name)
{
    struct buf *names = arg;
    if (strstr(name, "index") != NULL)
        buf_append(names, name, strlen(name) + 1);
}

/* Many small segments: everything readable from any offset, by any size, before and after restarts and lost indexes. */
static void test_segments(void **state)
{
    struct world w;
    struct buf names = {0}, path = {0};
    world_init(&w, 1);
    w.config.segment_bytes = 3000;
    w.config.index_interval_bytes = 200;
    world_open(&w);
    int count = 0;
    for (int i = 0; i < 200; i++) {
        world_append(&w, count, 1 + i % 4, 1000 + i);
        count += 1 + i % 4;
    }
    world_sync(&w);
    check_all_readable(&w, count);
    world_reopen(&w);
    assert_int_equal(log_end_offset(w.log), count);
    check_all_readable(&w, count);
    log_close(w.log);
    assert_int_equal(io_list(w.io, "logs/t-0", remove_index, &names), 0);
    for (const char *name = names.ptr; name < names.ptr + names.len; name += strlen(name) + 1) {
        buf_clear(&path);
        buf_printf(&path, "logs/t-0/%s", name);
        assert_int_equal(io_unlink(w.io, path.ptr), 0);
    }
    world_open(&w);
    check_all_readable(&w, count);
    struct log_time_hit hit;
    assert_true(log_offset_for_time(w.log, 1100, LOG_UP_TO_HW, &hit, NULL));
    assert_int_equal(hit.timestamp_ms, 1100);
    buf_fini(&names);
    buf_fini(&path);
    world_fini(&w);
}

/* segment.jitter.ms brings a roll forward by less than the jitter, by chance. */
static void test_jitter(void **state)
{
    int early = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct io_stat st;
        world_init(&w, seed);
        w.config.segment_ms = 1000;
        w.config.segment_jitter_ms = 500;
        world_open(&w);
        world_append(&w, 0, 1, 5000);
        world_append(&w, 1, 1, 5500);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log", &st), -ENOENT);
        world_append(&w, 2, 1, 5750);
        early += io_stat(w.io, "logs/t-0/00000000000000000002.log", &st) == 0;
        world_fini(&w);
    }
    assert_true(early > 8 && early < 32); /* one in two */
}

static void test_roll_by_time(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    w.config.segment_ms = 1000;
    world_open(&w);
    world_append(&w, 0, 1, 5000);
    world_append(&w, 1, 1, 6000);
    world_append(&w, 2, 1, 6001);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log", &st), -ENOENT);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000002.log", &st), 0);
    world_sync(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    world_fini(&w);
}

/* segment.index.bytes: a segment ends when its offset index is full, or its time index, which keeps room for one more entry. */
static void test_index_bytes(void **state)
{
    static const struct {
        uint32_t index_bytes;
        bool times_grow;
        int batches; /* of 70 bytes, an entry each but the first, until the index is full */
    } cases[] = {{40, false, 6}, {40, true, 3}, {47, false, 6}, {24, false, 2}, {4, false, 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;
        world_init(&w, 1);
        w.config.index_interval_bytes = 60;
        w.config.index_bytes_max = cases[i].index_bytes;
        world_open(&w);
        for (int k = 0; k <= cases[i].batches; k++) {
            char path[64];
            struct io_stat st;
            world_append(&w, k, 1, cases[i].times_grow ? 1000 + k : 1000);
            snprintf(path, sizeof path, "logs/t-0/%020d.log", cases[i].batches);
            assert_int_equal(io_stat(w.io, path, &st) == 0, k == cases[i].batches);
        }
        world_fini(&w);
    }
}

static void test_idle(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 400;
    w.config.index_interval_bytes = 100;
    world_open(&w);
    for (int i = 0; i < 20; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    int64_t now = 2000;
    for (int i = 0; i < 3; i++)
        assert_true(log_retain(w.log, now, NULL, NULL));
    check_all_readable(&w, 20);
    assert_int_equal(world_append(&w, 20, 1, 2000), 20);
    assert_time(&w, 1015, LOG_UP_TO_HW, 15, 1015);
    world_reopen(&w);
    check_all_readable(&w, 20);
    assert_int_equal(log_end_offset(w.log), 21);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),     cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_roll_by_time), cmocka_unit_test(test_index_bytes),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
