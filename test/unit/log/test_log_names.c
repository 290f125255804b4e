/* log: names of logs in the directory that they share become durable together: how many syncs that takes, what each of them
 * covers, and who is told of one that fails. */
#include "log_test.h"

#include <errno.h>
#include <pthread.h>

enum { LOGS = 20 };

/* A disk whose syncs of the shared directory are counted; one of them fails, or something happens during it. */
static struct {
    const struct io_ops *memory;
    struct io_ops ops;
    int syncs, failing_errno;
    void (*during)(void *arg);
    void *arg;
} hook;

static int hooked_sync_dir(struct io *io, const char *path)
{
    if (strcmp(path, "logs") != 0)
        return hook.memory->sync_dir(io, path);
    hook.syncs++;
    int failing_errno = hook.failing_errno;
    hook.failing_errno = 0;
    if (failing_errno != 0)
        return -failing_errno;
    int rc = hook.memory->sync_dir(io, path);
    void (*during)(void *arg) = hook.during;
    hook.during = NULL;
    if (during != NULL)
        during(hook.arg);
    return rc;
}

struct shared {
    struct world world; /* its log is any of these */
    struct log_names *names;
    struct log *logs[LOGS];
};

static struct log *open_one(struct shared *s, int i)
{
    struct err err = {0};
    char dir[32];
    snprintf(dir, sizeof dir, "logs/t-%d", i);
    struct log *log = log_open(dir, dir + strlen("logs/"), &s->world.config, s->world.io, &err);
    if (log == NULL)
        fail_msg("open: %s", err.text);
    return log;
}

static void open_all(struct shared *s)
{
    s->names = log_names_new("logs", s->world.io);
    s->world.config.names = s->names;
    for (int i = 0; i < LOGS; i++)
        s->logs[i] = open_one(s, i);
}

static int setup(void **state)
{
    struct shared *s = mem_new(struct shared);
    world_init(&s->world, 1);
    struct io *io = io_memory_io(s->world.mem);
    hook.memory = io->ops;
    hook.ops = *io->ops;
    hook.ops.sync_dir = hooked_sync_dir;
    io->ops = &hook.ops;
    hook.failing_errno = 0;
    assert_true(io_make_dirs(s->world.io, "logs", NULL));
    open_all(s);
    hook.syncs = 0;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS; i++)
        log_close(s->logs[i]);
    log_names_free(s->names);
    s->world.log = NULL;
    world_fini(&s->world);
    free(s);
    return 0;
}

static bool append(struct shared *s, int i)
{
    struct log_append_result result;
    s->world.log = s->logs[i];
    return world_append_spec(&s->world, &BATCH_SPEC_PLAIN, i, 1, 1000, &result, NULL);
}

/* The power goes; every log from `first` on must have so many records. */
static void expect_after_cut(struct shared *s, int first, int64_t records)
{
    for (int i = 0; i < LOGS; i++)
        log_abandon(s->logs[i]);
    log_names_free(s->names);
    io_memory_cut(s->world.mem, IO_CUT_LOSE);
    open_all(s);
    for (int i = first; i < LOGS; i++)
        assert_int_equal(log_end_offset(s->logs[i]), records);
}

static void test_one_sync_for_all_that_are_new(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i));
    for (int i = 0; i < LOGS; i++)
        assert_true(log_sync(s->logs[i], NULL));
    assert_int_equal(hook.syncs, 1);
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i) && log_sync(s->logs[i], NULL));
    assert_int_equal(hook.syncs, 1);
    expect_after_cut(s, 0, 2);
}

/* One by one each name comes after the sync that the one before has asked for. */
static void test_a_later_name_takes_a_later_sync(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS; i++) {
        assert_true(append(s, i) && log_sync(s->logs[i], NULL));
        assert_int_equal(hook.syncs, i + 1);
    }
    expect_after_cut(s, 0, 1);
}

static void append_second(void *arg)
{
    assert_true(append(arg, 1));
}

/* The disk has looked at the directory already when the second name comes. */
static void test_a_name_that_comes_during_a_sync(void **state)
{
    struct shared *s = *state;
    assert_true(append(s, 0));
    hook.during = append_second;
    hook.arg = s;
    assert_true(log_sync(s->logs[0], NULL));
    assert_int_equal(hook.syncs, 1);
    assert_true(log_sync(s->logs[1], NULL));
    assert_int_equal(hook.syncs, 2);
    expect_after_cut(s, 2, 0);
    assert_int_equal(log_end_offset(s->logs[0]), 1);
    assert_int_equal(log_end_offset(s->logs[1]), 1);
}

/* A start finds names of which nobody knows whether they are durable. */
static void test_one_sync_for_all_that_a_start_finds(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i));
    for (int i = 0; i < LOGS; i++)
        log_abandon(s->logs[i]);
    log_names_free(s->names);
    io_memory_cut(s->world.mem, IO_CUT_KEEP);
    s->world.config.settle_later = true;
    open_all(s);
    s->world.config.settle_later = false;
    assert_int_equal(hook.syncs, 0);
    for (int i = 0; i < LOGS; i++)
        assert_true(log_settle(s->logs[i], false, NULL));
    assert_int_equal(hook.syncs, 1);
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i) && log_sync(s->logs[i], NULL));
    assert_int_equal(hook.syncs, 1);
    expect_after_cut(s, 0, 2);
}

/* All whose names were there are told, those too that ask when the disk is well again; who comes later is not. */
static void test_a_failed_sync_fails_all_names_in_it(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS - 1; i++)
        assert_true(append(s, i));
    hook.failing_errno = EIO;
    for (int i = 0; i < LOGS - 1; i++) {
        struct err err = {0};
        assert_false(log_sync(s->logs[i], &err));
        assert_int_equal(err.code, ERR_IO);
        assert_non_null(log_offline_reason(s->logs[i]));
        assert_int_equal(log_high_watermark(s->logs[i]), 0);
    }
    assert_int_equal(hook.syncs, 1);
    assert_true(append(s, LOGS - 1) && log_sync(s->logs[LOGS - 1], NULL));
    assert_int_equal(hook.syncs, 2);
    expect_after_cut(s, LOGS - 1, 1);
}

static void fail_next(struct shared *s, int i)
{
    hook.failing_errno = EIO;
    assert_false(log_sync(s->logs[i], NULL));
}

/* Rounds that fail one after the other, a good one, and another that fails: whoever asks late is told of his own. */
static void test_who_asks_late_is_told_of_his_round(void **state)
{
    struct shared *s = *state;
    assert_true(append(s, 0) && append(s, 1)); /* round 1 */
    fail_next(s, 0);
    assert_true(append(s, 2) && append(s, 3)); /* round 2 */
    fail_next(s, 2);
    assert_true(append(s, 4) && append(s, 5) && log_sync(s->logs[4], NULL)); /* round 3 */
    assert_true(append(s, 6) && append(s, 7));                               /* round 4 */
    fail_next(s, 6);
    assert_true(append(s, 8) && log_sync(s->logs[8], NULL)); /* round 5 */
    assert_int_equal(hook.syncs, 5);
    assert_false(log_sync(s->logs[1], NULL));
    assert_false(log_sync(s->logs[3], NULL));
    assert_true(log_sync(s->logs[5], NULL));
    assert_false(log_sync(s->logs[7], NULL));
    assert_int_equal(hook.syncs, 5);
}

/* A full disk has room again: each log recovers, and needs its name to be synced once more, together with the others. */
static void test_names_join_anew_after_a_full_disk(void **state)
{
    struct shared *s = *state;
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i));
    hook.failing_errno = ENOSPC;
    for (int i = 0; i < LOGS; i++)
        assert_false(log_sync(s->logs[i], NULL));
    for (int i = 0; i < LOGS; i++)
        assert_true(append(s, i));
    for (int i = 0; i < LOGS; i++)
        assert_true(log_sync(s->logs[i], NULL));
    assert_int_equal(hook.syncs, 2);
    expect_after_cut(s, 0, 1);
}

/* The end of a name is durable when log_delete returns, and so are names that came before it. */
static void test_a_deletion_is_synced_with_the_others(void **state)
{
    struct shared *s = *state;
    assert_true(append(s, 0) && append(s, 1) && log_sync(s->logs[0], NULL));
    assert_true(append(s, 2));
    assert_true(log_delete(s->logs[0], NULL));
    s->logs[0] = NULL;
    assert_int_equal(hook.syncs, 2);
    assert_true(log_sync(s->logs[1], NULL) && log_sync(s->logs[2], NULL));
    assert_int_equal(hook.syncs, 2);
    s->logs[0] = open_one(s, 0);
    expect_after_cut(s, 3, 0);
    assert_int_equal(log_end_offset(s->logs[0]), 0);
    assert_int_equal(log_end_offset(s->logs[1]), 1);
    assert_int_equal(log_end_offset(s->logs[2]), 1);
    hook.failing_errno = EIO;
    assert_false(log_delete(s->logs[1], NULL));
    s->logs[1] = open_one(s, 1);
}

struct writer {
    pthread_t thread;
    struct log *log;
    char bytes[512];
    size_t size;
    bool good;
};

static void *write_and_sync(void *arg)
{
    struct writer *writer = arg;
    struct log_append_result result;
    writer->good = log_append(writer->log, writer->bytes, writer->size, LOG_CLIENT, &result, NULL) &&
                   log_sync(writer->log, NULL);
    return NULL;
}

/* However their names and syncs fall together: who was told that all is durable finds it so. */
static void test_many_threads(void **state)
{
    struct shared *s = *state;
    static struct writer writers[LOGS];
    for (int i = 0; i < LOGS; i++) {
        struct str batch = world_batch(&s->world, &BATCH_SPEC_PLAIN, i, 1, 1000);
        assert_true(batch.len <= sizeof writers[i].bytes);
        memcpy(writers[i].bytes, batch.ptr, batch.len);
        writers[i].size = batch.len;
        writers[i].log = s->logs[i];
    }
    for (int i = 0; i < LOGS; i++)
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_and_sync, &writers[i]), 0);
    for (int i = 0; i < LOGS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_true(writers[i].good);
    }
    assert_true(hook.syncs >= 1 && hook.syncs <= LOGS);
    expect_after_cut(s, 0, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_one_sync_for_all_that_are_new),        T(test_a_later_name_takes_a_later_sync),
        T(test_a_name_that_comes_during_a_sync),      T(test_one_sync_for_all_that_a_start_finds),
        T(test_a_failed_sync_fails_all_names_in_it),  T(test_names_join_anew_after_a_full_disk),
        T(test_who_asks_late_is_told_of_his_round),   T(test_names_join_anew_after_a_full_disk),
        T(test_a_deletion_is_synced_with_the_others), T(test_many_threads),
    };
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
