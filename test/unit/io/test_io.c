/* test_io.c - the contract of `struct io`, asked of the real one and the one in memory; power cuts; faults;
 * the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/io.h"

static bool write_text(struct io *io, int fd, const char *text, uint64_t pos, struct err *err)
{
    struct iovec part = {(void *)text, strlen(text)};
    return io_write_all(io, fd, &part, 1, pos, "test file", err);
}

static void assert_file(struct io *io, const char *path, const char *expect)
{
    struct buf bytes = {0};
    struct err err = {0};
    if (!io_read_file(io, path, 1000, &bytes, &err))
        fail_msg("%s", err.text);
    assert_true(str_eq_cstr(buf_str(&bytes), expect));
    buf_fini(&bytes);
}

static void count_name(void *arg, const char *name)
{
    (*(int *)arg)++;
}

/* What both implementations must do, in a directory that exists. */
static void check_contract(struct io *io, const char *root)
{
    struct err err = {0};
    struct io_stat st;
    char dir[300], path[320], other[320];
    snprintf(dir, sizeof dir, "%s/a/b", root);
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    assert_true(io_make_dirs(io, dir, &err));
    assert_true(io_make_dirs(io, dir, &err));
    assert_int_equal(io_open(io, path, IO_READ), -ENOENT);
    int fd = io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCL);
    assert_true(fd >= 0);
    assert_int_equal(io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCL), -EEXIST);
    struct iovec parts[3] = {{"he", 2}, {"", 0}, {"llo", 3}};
    assert_true(io_write_all(io, fd, parts, 3, 0, path, &err));
    assert_true(write_text(io, fd, "!", 7, &err)); /* leaves a hole of two zero bytes */
    char bytes[16];
    assert_int_equal(io_pread(io, fd, bytes, sizeof bytes, 0), 8);
    assert_memory_equal(bytes, "hello\0\0!", 8);
    assert_int_equal(io_pread(io, fd, bytes, sizeof bytes, 8), 0);
    assert_false(io_read_all(io, fd, bytes, 9, 0, path, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(io_truncate(io, fd, 5), 0);
    assert_int_equal(io_fstat(io, fd, &st), 0);
    assert_int_equal(st.size, 5);
    assert_int_equal(io_fdatasync(io, fd), 0);
    assert_int_equal(io_rename(io, path, other), 0);
    assert_int_equal(io_stat(io, path, &st), -ENOENT);
    assert_file(io, other, "hello");
    int names = 0;
    assert_int_equal(io_list(io, dir, count_name, &names), 0);
    assert_int_equal(names, 1);
    assert_int_equal(io_rmdir(io, dir), -ENOTEMPTY);
    assert_int_equal(io_unlink(io, other), 0);
    assert_int_equal(io_pread(io, fd, bytes, 5, 0), 5); /* readable though it has no name */
    io_close(io, fd);
    assert_true(io_replace_file(io, dir, path, STR("one"), &err));
    assert_true(io_replace_file(io, dir, path, STR("two"), &err));
    assert_file(io, path, "two");
    assert_false(io_read_file(io, path, 2, &(struct buf){0}, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    snprintf(path, sizeof path, "%s/a", root);
    assert_true(io_remove_tree(io, path, &err));
    assert_true(io_remove_tree(io, path, &err));
    assert_int_equal(io_stat(io, path, &st), -ENOENT);
}

static void test_real(void **state)
{
    char root[] = "/tmp/rialto-test-io-XXXXXX";
    assert_non_null(mkdtemp(root));
    check_contract(io_real(), root);
    assert_true(io_now_ms(io_real()) > INT64_C(1600000000000));
    int64_t before = io_monotonic_us(io_real());
    assert_true(io_monotonic_us(io_real()) >= before);
    assert_true(io_remove_tree(io_real(), root, NULL));
}

static void test_memory(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    check_contract(io_memory_io(mem), "");
    io_memory_free(mem);
}

static void check_lock(struct io *io, const char *dir)
{
    struct err err = {0};
    int fd = io_lock_dir(io, dir, &err);
    assert_true(fd >= 0);
    assert_int_equal(io_lock_dir(io, dir, &err), -1);
    assert_int_equal(err.code, ERR_LOCKED);
    assert_non_null(strstr(err.text, "in use by another process with id "));
    io_close(io, fd);
    fd = io_lock_dir(io, dir, &err);
    assert_true(fd >= 0);
    io_close(io, fd);
}

static void test_lock(void **state)
{
    char root[] = "/tmp/rialto-test-io-XXXXXX";
    assert_non_null(mkdtemp(root));
    check_lock(io_real(), root);
    assert_true(io_remove_tree(io_real(), root, NULL));
    struct io_memory *mem = io_memory_new(1);
    assert_int_equal(io_mkdir(io_memory_io(mem), "d"), 0);
    check_lock(io_memory_io(mem), "d");
    io_memory_free(mem);
}

/* Only what was synced, under a name that was synced, is there after the cut. */
static void test_power_cut(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    assert_int_equal(io_mkdir(io, "d"), 0);
    assert_int_equal(io_sync_dir(io, ""), 0);
    int kept = io_open(io, "d/kept", IO_WRITE | IO_CREATE);
    assert_true(write_text(io, kept, "safe", 0, NULL));
    assert_int_equal(io_fdatasync(io, kept), 0);
    assert_int_equal(io_sync_dir(io, "d"), 0);
    assert_true(write_text(io, kept, " and not", 4, NULL));
    int nameless = io_open(io, "d/nameless", IO_WRITE | IO_CREATE);
    assert_true(write_text(io, nameless, "x", 0, NULL));
    assert_int_equal(io_fdatasync(io, nameless), 0);
    io_memory_cut(mem, IO_CUT_LOSE);
    assert_file(io, "d/kept", "safe");
    assert_int_equal(io_open(io, "d/nameless", IO_READ), -ENOENT);
    io_memory_free(mem);
}

/* One sync for all below a directory: contents and names; what lies beside it is not touched. */
static void test_sync_all(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    assert_true(io_make_dirs(io, "d/e", NULL));
    int inside = io_open(io, "d/e/inside", IO_WRITE | IO_CREATE);
    int beside = io_open(io, "beside", IO_WRITE | IO_CREATE);
    assert_true(write_text(io, inside, "safe", 0, NULL));
    assert_true(write_text(io, beside, "not", 0, NULL));
    assert_int_equal(io_sync_all(io, "d"), 0);
    assert_int_equal(io_sync_all(io, "missing"), -ENOENT);
    io_memory_cut(mem, IO_CUT_LOSE);
    assert_file(io, "d/e/inside", "safe");
    assert_int_equal(io_open(io, "beside", IO_READ), -ENOENT);
    io_memory_free(mem);
    assert_int_equal(io_sync_all(io_real(), "/tmp"), 0);
}

/* Replacing a file survives any mixture: the old or the new contents, never another. */
static void test_replace_under_cuts(void **state)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct io_memory *mem = io_memory_new(seed);
        struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
        struct io *io = io_faulty_io(faulty);
        assert_true(io_replace_file(io, "", "f", STR("old"), NULL));
        io_faulty_script(faulty, IO_FAULT_DEAD, 1 + seed % 7, 1);
        bool replaced = io_replace_file(io, "", "f", STR("newer"), NULL);
        io_memory_cut(mem, IO_CUT_RANDOM);
        struct buf bytes = {0};
        assert_true(io_read_file(io_memory_io(mem), "f", 100, &bytes, NULL));
        bool is_new = str_eq_cstr(buf_str(&bytes), "newer");
        assert_true(is_new || (!replaced && str_eq_cstr(buf_str(&bytes), "old")));
        buf_fini(&bytes);
        io_faulty_free(faulty);
        io_memory_free(mem);
    }
}

static void test_faults(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
    struct io *io = io_faulty_io(faulty);
    struct err err = {0};
    int fd = io_open(io, "f", IO_WRITE | IO_CREATE);
    assert_true(fd >= 0);

    io_faulty_script(faulty, IO_FAULT_SHORT, 1, 2);
    assert_true(write_text(io, fd, "0123456789", 0, &err)); /* 5, then 2, then the rest */
    assert_file(io, "f", "0123456789");

    io_faulty_script(faulty, IO_FAULT_TORN, 1, 1);
    assert_false(write_text(io, fd, "abcdef", 10, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_file(io, "f", "0123456789abc");

    io_faulty_script(faulty, IO_FAULT_ENOSPC, 2, 1);
    assert_true(write_text(io, fd, "x", 0, &err));
    assert_false(write_text(io, fd, "y", 0, &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    assert_true(write_text(io, fd, "z", 0, &err));
    assert_true(io_faulty_struck(faulty));

    io_faulty_script(faulty, IO_FAULT_DEAD, 1, 1);
    assert_int_equal(io_fdatasync(io, fd), -EIO);
    assert_int_equal(io_unlink(io, "f"), -EIO);

    io_faulty_script(faulty, IO_FAULT_EIO, 1, 0);
    assert_int_equal(io_fdatasync(io, fd), 0);
    assert_false(io_faulty_struck(faulty));
    io_memory_set_room(mem, 20);
    assert_false(write_text(io, fd, "0123456789", 13, &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    io_faulty_free(faulty);
    io_memory_free(mem);
}

/* A directory that was made by somebody who died before its name was synced is durable after io_make_dirs. */
static void test_make_dirs_again(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct io_stat st;
    assert_int_equal(io_mkdir(io, "a"), 0);
    assert_int_equal(io_mkdir(io, "a/b"), 0);
    io_memory_cut(mem, IO_CUT_KEEP);
    assert_true(io_make_dirs(io, "a", NULL));
    assert_true(io_make_dirs(io, "a/b", NULL));
    io_memory_cut(mem, IO_CUT_LOSE);
    assert_int_equal(io_stat(io, "a/b", &st), 0);
    io_memory_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_dirs_again),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_sync_all),
        cmocka_unit_test(test_replace_under_cuts),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
