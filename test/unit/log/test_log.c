/* test_log.c - a partition's life: append, see, read; files that are open only while they are needed; deletion. */
#include "log_test.h"

#include <errno.h>

static void test_append_and_read(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    assert_int_equal(world_append(&w, 10, 2, 1000), 0);
    assert_int_equal(world_append(&w, 12, 1, 1000), 2);
    assert_int_equal(log_end_offset(w.log), 3);
    assert_int_equal(log_high_watermark(w.log), 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "");
    assert_records(&w, 0, LOG_APPENDED, "0=10 1=11 2=12");
    assert_true(log_is_dirty(w.log));
    world_sync(&w);
    assert_false(log_is_dirty(w.log));
    assert_int_equal(log_high_watermark(w.log), 3);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=10 1=11 2=12");
    assert_records(&w, 1, LOG_UP_TO_HW,
                   "0=10 1=11 2=12"); /* whole batches from the one that holds the offset */
    assert_records(&w, 2, LOG_UP_TO_HW, "2=12");
    assert_records(&w, 3, LOG_UP_TO_HW, "");
    struct log_slice slice;
    struct err err;
    assert_false(log_read(w.log, 4, 100, LOG_UP_TO_HW, &slice, &err));
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    world_reopen(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=10 1=11 2=12");
    assert_int_equal(world_append(&w, 13, 1, 1000), 3);
    world_fini(&w);
}

static void test_os_durability(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.durability = LOG_OS;
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_int_equal(log_high_watermark(w.log), 2);
    assert_int_equal(log_durable_offset(w.log), 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    world_crash(&w, IO_CUT_KEEP); /* kill -9 */
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    world_fini(&w);
}

/* Files are closed when all is durable and nobody reads, and opened again by whoever needs them. */
static void test_close_files(void **state)
{
    struct world w;
    struct log_slice slice;
    atomic_int open_files = 0;
    world_init(&w, 1);
    w.config.open_files = &open_files;
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_int_equal(open_files, 1);
    log_close_files(w.log, true);
    assert_int_equal(open_files, 1); /* not durable yet */
    assert_true(log_sync(w.log, NULL));
    assert_true(log_read(w.log, 0, 1000, LOG_UP_TO_HW, &slice, NULL));
    log_close_files(w.log, true);
    assert_int_equal(open_files, 1); /* somebody reads */
    log_slice_release(&slice);
    log_close_files(w.log, false); /* used since the last call */
    log_close_files(w.log, false);
    assert_int_equal(open_files, 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    assert_int_equal(world_append(&w, 3, 1, 1000), 2);
    assert_int_equal(open_files, 1);
    world_fini(&w);
    assert_int_equal(open_files, 0);
}

/* An unused partition leaves no trace and needs none. */
static void test_unused(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    world_open(&w);
    world_reopen(&w);
    assert_int_equal(io_stat(w.io, "logs", &st), -ENOENT);
    assert_int_equal(log_end_offset(w.log), 0);
    assert_true(log_delete(w.log, NULL));
    w.log = NULL;
    world_fini(&w);
}

/* A slice is the first batch and as many whole ones behind it as fit into bytes_max, whatever the index knows. */
static void test_whole_slices(void **state)
{
    enum { BATCHES = 6 };
    for (uint32_t interval = 1; interval <= 100000; interval *= 10) {
        struct world w;
        size_t ends[BATCHES + 1] = {0};
        world_init(&w, 1);
        w.config.index_interval_bytes = interval;
        world_open(&w);
        for (int i = 0; i < BATCHES;
             i++) { /* of 1, 2, ... records: every batch is longer than the one before */
            ends[i + 1] = ends[i] + world_batch(&w, &BATCH_SPEC_PLAIN, i, i + 1, 1000).len;
            world_append(&w, i, i + 1, 1000);
        }
        world_sync(&w);
        for (size_t bytes_max = 0; bytes_max <= ends[BATCHES] + 1; bytes_max++) {
            struct log_slice slice;
            size_t expected = ends[1];
            for (int i = 1; i <= BATCHES && ends[i] <= bytes_max; i++)
                expected = ends[i];
            assert_true(log_read(w.log, 0, bytes_max, LOG_UP_TO_HW, &slice, NULL));
            assert_int_equal(slice.len, expected);
            log_slice_release(&slice);
        }
        world_fini(&w);
    }
}

static void test_readable_bytes(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 0);
    for (int i = 0; i < 4; i++)
        world_append(&w, i, 1, 1000);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 0);
    world_sync(&w);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 4 * 70);
    assert_int_equal(log_readable_bytes(w.log, 3, LOG_UP_TO_HW), 70);
    assert_int_equal(log_readable_bytes(w.log, 4, LOG_UP_TO_HW), 0);
    world_fini(&w);
}

static void collect_name(void *arg, const char *name)
{
    buf_append(arg, name, strlen(name) + 1);
}

static void test_delete(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 1, 1000);
    assert_true(log_delete(w.log, NULL));
    assert_int_equal(io_stat(w.io, "logs/t-0", &st), -ENOENT);
    world_open(&w);
    assert_int_equal(log_end_offset(w.log), 0);
    world_append(&w, 2, 1, 1000);
    io_faulty_script(w.faulty, IO_FAULT_DEAD, 3, 1); /* dies after rename and sync */
    ignore(log_delete(w.log, NULL), "the rest of the deletion is log_purge's");
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 0);
    assert_true(log_purge("logs", w.io, NULL));
    struct buf listed = {0};
    assert_int_equal(io_list(w.io, "logs", collect_name, &listed), 0);
    assert_int_equal(io_rmdir(w.io, "logs"), 0); /* nothing is left */
    buf_fini(&listed);
    w.log = NULL;
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_read), cmocka_unit_test(test_os_durability),
        cmocka_unit_test(test_close_files),     cmocka_unit_test(test_unused),
        cmocka_unit_test(test_whole_slices),    cmocka_unit_test(test_readable_bytes),
        cmocka_unit_test(test_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
