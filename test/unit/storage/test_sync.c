/* storage: what is durable in the write-ahead log alone survives crashes, full and failing disks, and only where it belongs. */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "storage_test.h"

enum { PARTITIONS = 3, ROUNDS = 12 };

static const char log_file[] = "/data/log/t-0/00000000000000000000.log";

static void on_deleted(void *arg, struct str name)
{
}

static void on_changed(void *arg)
{
}

struct world {
    struct io_memory *mem;
    struct io_faulty *faulty;
    struct io *io;
    struct storage *storage;
    struct batch_builder builder;
    struct arena arena;
};

static void start(struct world *w)
{
    struct err err;
    w->storage =
        make_storage(w->io, STORAGE_FSYNC, (struct storage_hooks){NULL, on_deleted, on_changed, on_changed});
    if (!storage_open(w->storage, &err))
        fail_msg("storage_open: %s", err.text);
}

static void stop(struct world *w)
{
    end_storage(w->storage);
    free_storage(w->storage);
}

/* What was not synced is lost; faults are over. */
static void restart_after(struct world *w, enum io_cut cut)
{
    stop(w);
    io_memory_cut(w->mem, cut);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    start(w);
}

static bool send(struct world *w, struct partition *part, const char *words)
{
    struct partition_appended done;
    struct str batch = make_batch(&w->builder, words);
    return partition_append(part, (char *)batch.ptr, batch.len, &done, NULL) &&
           partition_wait_appended(part, &done, NULL);
}

static void expect(struct world *w, int32_t id, const char *words)
{
    struct partition *part = open_partition(w->storage, "t", id);
    struct str got = read_all(part, LOG_UP_TO_HW, &w->arena);
    if (!str_eq_cstr(got, words))
        fail_msg("partition %d has '%.*s', not '%s'", id, STR_ARG(got), words);
    partition_unref(part);
}

static void create(struct world *w)
{
    struct err err;
    if (!storage_topic_create(w->storage, STR("t"), PARTITIONS, NULL, 0, &err))
        fail_msg("create: %s", err.text);
}

/* Appends until the log's own files are behind: from then on what is short goes through the write-ahead log. The words are
 * `warm`, how many is returned. */
static int warm_up(struct world *w, struct partition *part)
{
    for (int i = 1; i < 5000; i++) {
        assert_true(send(w, part, "warm"));
        if (log_synced_offset(partition_log(part)) < log_durable_offset(partition_log(part)))
            return i;
        usleep(200); /* the first file is being made */
    }
    fail_msg("the write-ahead log is not used");
    return 0;
}

/* The disk in memory, whose syncs of the logs' directory are counted. */
static const struct io_ops *memory_ops;
static struct io_ops counting_ops;
static atomic_int log_dir_syncs;

static int counted_sync_dir(struct io *io, const char *path)
{
    atomic_fetch_add(&log_dir_syncs, strcmp(path, "/data/log") == 0);
    return memory_ops->sync_dir(io, path);
}

static struct io_memory *disk_new(uint64_t seed)
{
    struct io_memory *mem = io_memory_new(seed);
    struct io *io = io_memory_io(mem);
    memory_ops = io->ops;
    counting_ops = *io->ops;
    counting_ops.sync_dir = counted_sync_dir;
    io->ops = &counting_ops;
    return mem;
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = mem_new(struct world);
    w->mem = disk_new(seed);
    w->faulty = io_faulty_new(io_memory_io(w->mem));
    w->io = io_faulty_io(w->faulty);
    start(w);
    create(w);
    return w;
}

static void world_free(struct world *w)
{
    stop(w);
    io_faulty_free(w->faulty);
    io_memory_free(w->mem);
    batch_builder_fini(&w->builder);
    arena_fini(&w->arena);
    free(w);
}

static int setup(void **state)
{
    *state = world_new(1);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* Does the partition hold what was acknowledged, in order, and behind it nothing but the one that was under way? Words are
 * numbers from 1 on, behind `warm` ones. */
static void check_numbers(struct world *w, int32_t id, int warm, int acknowledged)
{
    struct partition *part = open_partition(w->storage, "t", id);
    struct str rest = read_all(part, LOG_UP_TO_HW, &w->arena), word;
    int n = 0;
    while (rest.len != 0 && str_split(&rest, ' ', &word)) {
        int32_t number = 0;
        n++;
        if (n > warm && (!str_to_i32(word, &number) || number != n - warm))
            fail_msg("partition %d: word %d is '%.*s'", id, n, STR_ARG(word));
    }
    if (n < warm + acknowledged || n > warm + acknowledged + 1)
        fail_msg("partition %d: %d words, %d acknowledged", id, n - warm, acknowledged);
    partition_unref(part);
}

static bool crash_at(uint64_t at, enum io_cut cut)
{
    struct world *w = world_new(at);
    struct partition *parts[PARTITIONS];
    int acknowledged[PARTITIONS] = {0}, warm = 0;
    bool dead[PARTITIONS] = {false};
    for (int32_t id = 0; id < PARTITIONS; id++)
        parts[id] = open_partition(w->storage, "t", id);
    warm = warm_up(w, parts[0]);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, at, 1);
    for (int i = 1; i <= ROUNDS; i++)
        for (int32_t id = 0; id < PARTITIONS; id++) {
            char word[16];
            snprintf(word, sizeof word, "%d", i);
            dead[id] = dead[id] || !send(w, parts[id], word);
            acknowledged[id] += !dead[id];
        }
    bool struck = io_faulty_struck(w->faulty);
    for (int32_t id = 0; id < PARTITIONS; id++)
        partition_unref(parts[id]);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1); /* nothing is made good at the end */
    restart_after(w, cut);
    for (int32_t id = 0; id < PARTITIONS; id++)
        check_numbers(w, id, id == 0 ? warm : 0, acknowledged[id]);
    world_free(w);
    return struck;
}

static void test_crash_at_every_operation(void **state)
{
    static const enum io_cut cuts[] = {IO_CUT_LOSE, IO_CUT_RANDOM, IO_CUT_KEEP};
    uint64_t at = 1;
    while (crash_at(at, cuts[at % 3]) | crash_at(at, IO_CUT_LOSE))
        at++;
    assert_true(at > 3 * ROUNDS); /* an append and a sync for each at least, if some shared */
}

/* The disk is full when the log's own file is synced, and the page cache has lost what it could not write. */
static void test_a_full_disk_heals_from_it(void **state)
{
    struct world *w = *state;
    struct partition *part = open_partition(w->storage, "t", 1);
    struct log *log = partition_log(part);
    struct partition *first = open_partition(w->storage, "t", 0);
    warm_up(w, first);
    partition_unref(first);
    assert_true(send(w, part, "a b") && send(w, part, "c"));
    assert_int_equal(log_durable_offset(log), 3);
    assert_int_equal(log_synced_offset(log), 0);
    io_faulty_script(w->faulty, IO_FAULT_ENOSPC, 1, 1);
    assert_false(log_flush(log, 3, NULL));
    assert_non_null(log_offline_reason(log));
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    int fd = io_open(w->io, "/data/log/t-1/00000000000000000000.log", IO_WRITE);
    assert_true(fd >= 0 && io_truncate(w->io, fd, 0) == 0);
    io_close(w->io, fd);
    assert_true(send(w, part, "d"));
    partition_unref(part);
    expect(w, 1, "a b c d");
    restart_after(w, IO_CUT_LOSE);
    expect(w, 1, "a b c d");
}

/* A partition whose file cannot be synced is offline; what it has acknowledged waits in the write-ahead log for a better disk,
 * however much the others write meanwhile, and over clean stops. */
static void test_an_offline_partition_keeps_its_entries(void **state)
{
    struct world *w = *state;
    struct partition *part = open_partition(w->storage, "t", 0), *other = open_partition(w->storage, "t", 1);
    warm_up(w, other);
    assert_true(send(w, part, "a b") && send(w, part, "c"));
    assert_int_equal(log_synced_offset(partition_log(part)), 0);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 1);
    assert_false(log_flush(partition_log(part), 3, NULL));
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    for (int i = 0; i < 400; i++) /* a block each: a file of the wal has 64 */
        assert_true(send(w, other, "more"));
    assert_false(send(w, part, "d"));
    partition_unref(part);
    partition_unref(other);
    stop(w);
    int fd = io_open(w->io, log_file, IO_WRITE);
    assert_true(fd >= 0 && io_truncate(w->io, fd, 0) == 0);
    io_close(w->io, fd);
    start(w);
    expect(w, 0, "a b c");
    restart_after(w, IO_CUT_LOSE);
    expect(w, 0, "a b c");
}

/* A log that cannot be read at the start is offline; the next start that can has all of it. */
static void test_an_unreadable_log_keeps_its_entries(void **state)
{
    struct world *w = *state;
    struct partition *part = open_partition(w->storage, "t", 0);
    int warm = warm_up(w, part);
    for (int i = 1; i <= 3; i++)
        assert_true(send(w, part, (char[]){(char)('0' + i), 0}));
    partition_unref(part);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1);
    stop(w);
    io_memory_cut(w->mem, IO_CUT_LOSE);
    int offline = 0;
    for (uint64_t at = 1; at < 200; at++) {
        io_faulty_script(w->faulty, IO_FAULT_EIO, at, 1);
        w->storage = make_storage(w->io, STORAGE_FSYNC,
                                  (struct storage_hooks){NULL, on_deleted, on_changed, on_changed});
        if (storage_open(w->storage, NULL)) {
            part = open_partition(w->storage, "t", 0);
            offline += !log_check_readable(partition_log(part), NULL);
            partition_unref(part);
        }
        io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1);
        stop(w);
        io_memory_cut(w->mem, IO_CUT_LOSE);
    }
    assert_true(offline > 0);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    start(w);
    check_numbers(w, 0, warm, 3);
}

/* A topic of the same name gets nothing of the one before. */
static void test_a_deleted_topic_does_not_come_back(void **state)
{
    struct world *w = *state;
    struct partition *part = open_partition(w->storage, "t", 0);
    struct err err;
    warm_up(w, part);
    partition_unref(part);
    assert_true(storage_topic_delete(w->storage, STR("t"), &err));
    create(w);
    part = open_partition(w->storage, "t", 0);
    assert_true(send(w, part, "new"));
    partition_unref(part);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1);
    restart_after(w, IO_CUT_LOSE);
    expect(w, 0, "new");
}

/* The power goes when a new segment was begun, or is being begun: of the older one, of which nothing was synced yet, only the
 * name is there. */
static bool begin_segment_and_crash(uint64_t at)
{
    struct world *w = world_new(at);
    struct partition *part = open_partition(w->storage, "t", 0), *other = open_partition(w->storage, "t", 1);
    warm_up(w, other);
    struct log_config config = log_get_config(partition_log(part));
    config.segment_bytes = 100;
    log_set_config(partition_log(part), &config);
    assert_true(send(w, part, "a b"));
    assert_int_equal(log_synced_offset(partition_log(part)), 0);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, at, 1);
    bool third = send(w, part, "c");
    bool synced = log_synced_offset(partition_log(part)) > 0;
    partition_unref(part);
    partition_unref(other);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1);
    stop(w);
    io_memory_cut(w->mem, IO_CUT_KEEP);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    int fd = synced ? -1 : io_open(w->io, log_file, IO_WRITE);
    assert_true(synced || (fd >= 0 && io_truncate(w->io, fd, 0) == 0));
    if (fd >= 0)
        io_close(w->io, fd);
    start(w);
    part = open_partition(w->storage, "t", 0);
    struct str got = read_all(part, LOG_UP_TO_HW, &w->arena);
    assert_true(str_eq(got, STR("a b c")) || (!third && str_eq(got, STR("a b"))));
    partition_unref(part);
    world_free(w);
    return third;
}

static void test_a_new_segment_hides_nothing(void **state)
{
    uint64_t at = 1;
    while (!begin_segment_and_crash(at))
        at++;
    assert_true(at > 6); /* a checkpoint, the new file, a write, syncs */
}

/* The files of many new partitions are synced when the write-ahead log is done with them: their names cost one sync together. */
static void test_new_names_share_a_sync(void **state)
{
    enum { MANY = 30 };
    struct world *w = *state;
    struct partition *parts[MANY], *first = open_partition(w->storage, "t", 0);
    warm_up(w, first);
    partition_unref(first);
    assert_true(storage_topic_create(w->storage, STR("many"), MANY, NULL, 0, NULL));
    atomic_store(&log_dir_syncs, 0);
    for (int32_t i = 0; i < MANY; i++) {
        parts[i] = open_partition(w->storage, "many", i);
        assert_true(send(w, parts[i], "a"));
        assert_int_equal(log_synced_offset(partition_log(parts[i])), 0);
    }
    assert_int_equal(atomic_load(&log_dir_syncs), 0);
    for (int32_t i = 0; i < MANY; i++) {
        assert_true(log_flush(partition_log(parts[i]), 1, NULL));
        partition_unref(parts[i]);
    }
    assert_int_equal(atomic_load(&log_dir_syncs), 1);
}

/* What is too long for the write-ahead log goes into the file at once, with what came before. */
static void test_long_tails(void **state)
{
    struct world *w = *state;
    struct partition *part = open_partition(w->storage, "t", 0);
    int warm = warm_up(w, part);
    static char big[100001];
    memset(big, 'x', sizeof big - 1);
    assert_true(send(w, part, big));
    assert_int_equal(log_synced_offset(partition_log(part)), warm + 1);
    assert_true(send(w, part, "short"));
    assert_int_equal(log_synced_offset(partition_log(part)), warm + 1);
    partition_unref(part);
    io_faulty_script(w->faulty, IO_FAULT_DEAD, 1, 1);
    restart_after(w, IO_CUT_LOSE);
    part = open_partition(w->storage, "t", 0);
    assert_int_equal(partition_end(part), warm + 2);
    partition_unref(part);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_at_every_operation),
        T(test_a_full_disk_heals_from_it),
        T(test_an_offline_partition_keeps_its_entries),
        T(test_an_unreadable_log_keeps_its_entries),
        T(test_a_deleted_topic_does_not_come_back),
        cmocka_unit_test(test_a_new_segment_hides_nothing),
        T(test_new_names_share_a_sync),
        T(test_long_tails),
    };
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
