/* coord: committed offsets and the engine's transactions on a disk in memory, with the power cut at every operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "coord/serve.h"
#include "io/io.h"
#include "log/log.h"
#include "record/record.h"

#include "server.h"

static void test_group_offsets(void **state)
{
    struct world *w = *state;
    struct err err;
    struct coord_group_offset commit[] = {{STR("t"), 0, 5, STR("x")}, {STR("t"), 1, 7, STR("")}};
    struct coord_group_offset fetch[] = {{.topic = STR("t"), .partition = 1},
                                         {.topic = STR("t"), .partition = 2}};
    assert_true(coord_group_commit(w->server->coord, STR("query"), commit, 2, &err));
    restart(w);
    coord_group_fetch(w->server->coord, STR("query"), fetch, 2, &w->arena);
    assert_int_equal(fetch[0].offset, 7);
    assert_int_equal(fetch[1].offset, -1);
    size_t count;
    struct coord_group_offset *all = coord_group_fetch_all(w->server->coord, STR("query"), &count, &w->arena);
    assert_int_equal(count, 2);
    assert_true(str_eq(all[0].metadata, STR("x")));
    struct coord_group_info *groups = coord_group_list(w->server->coord, &count, &w->arena);
    assert_int_equal(count, 1);
    assert_true(str_eq(groups[0].name, STR("query")) && str_eq(groups[0].state, STR("Empty")));
    assert_true(coord_group_delete(w->server->coord, STR("query"), &err));
    assert_false(coord_group_delete(w->server->coord, STR("query"), &err));
    assert_int_equal(err.code, ERR_GROUP_NOT_FOUND);
}

/* A full disk refuses a commit with a cause and takes it again when there is room. */
static void test_full_disk(void **state)
{
    struct world *w = *state;
    struct err err;
    struct coord_group_offset offset = {STR("t"), 0, 1, STR("")};
    assert_true(coord_group_commit(w->server->coord, STR("g"), &offset, 1, &err));
    log_level_set(LOG_OFF);
    io_memory_set_room(w->mem, 1);
    offset.offset = 2;
    assert_false(coord_group_commit(w->server->coord, STR("g"), &offset, 1, &err));
    assert_true(err.code == ERR_DISK_FULL || err.code == ERR_STORAGE);
    io_memory_set_room(w->mem, 0);
    offset.offset = 3;
    assert_true(coord_group_commit(w->server->coord, STR("g"), &offset, 1, &err));
    log_level_set(LOG_INFO);
    restart(w);
    coord_group_fetch(w->server->coord, STR("g"), &offset, 1, &w->arena);
    assert_int_equal(offset.offset, 3);
}

/* --- transactions --- */

static bool txn_append(struct coord_txn *txn, struct partition *part, struct batch_builder *builder,
                       const char *words)
{
    struct partition_appended out;
    struct err err;
    struct str batch = make_batch(builder, words);
    return coord_txn_append(txn, part, (char *)batch.ptr, batch.len, &out, &err);
}

/* Readers of committed data see it all after the markers are durable. */
static void wait_lso(struct partition *part)
{
    for (int i = 0; i < 2000 && partition_lso(part) < partition_end(part); i++)
        usleep(1000);
}

static void test_txn(void **state)
{
    struct world *w = *state;
    struct err err;
    struct coord_txn *txn;
    int64_t pid, last_pid, end = 0;
    int16_t epoch, last_epoch;
    assert_true(storage_topic_create(w->server->storage, STR("t"), 2, NULL, 0, &err));
    struct partition *zero = open_partition(w->server->storage, "t", 0),
                     *one = open_partition(w->server->storage, "t", 1);
    assert_int_equal(coord_txn_last(w->server->coord, STR("rialto-engine"), &last_pid, &last_epoch),
                     COORD_TXN_NONE);

    assert_true(coord_txn_begin(w->server->coord, STR("rialto-engine"), &txn, &err));
    pid = coord_txn_producer_id(txn);
    epoch = coord_txn_epoch(txn);
    assert_true(txn_append(txn, zero, &w->builder, "a b"));
    assert_true(txn_append(txn, zero, &w->builder, "c"));
    assert_true(txn_append(txn, one, &w->builder, "d"));
    assert_true(append(zero, &w->builder, "plain", &end));
    assert_true(partition_wait_durable(zero, end, &err));
    assert_reads(zero, LOG_READ_COMMITTED, "");
    assert_reads(zero, LOG_UP_TO_HW, "a b c plain");
    assert_int_equal(coord_txn_last(w->server->coord, STR("rialto-engine"), &last_pid, &last_epoch),
                     COORD_TXN_OPEN);
    assert_true(coord_txn_commit_wait(txn, NULL, 0, &err));
    assert_int_equal(coord_txn_last(w->server->coord, STR("rialto-engine"), &last_pid, &last_epoch),
                     COORD_TXN_COMMITTED);
    assert_true(last_pid == pid && last_epoch == epoch);
    wait_lso(zero);
    wait_lso(one);
    assert_reads(zero, LOG_READ_COMMITTED, "a b c plain");
    assert_reads(one, LOG_READ_COMMITTED, "d");

    assert_true(coord_txn_begin(w->server->coord, STR("rialto-engine"), &txn, &err));
    assert_int_equal(coord_txn_epoch(txn), epoch + 1);
    assert_true(txn_append(txn, one, &w->builder, "gone"));
    assert_true(coord_txn_abort(txn, &err));
    assert_int_equal(coord_txn_last(w->server->coord, STR("rialto-engine"), &last_pid, &last_epoch),
                     COORD_TXN_ABORTED);
    wait_lso(one);
    assert_reads(one, LOG_READ_COMMITTED, "d");

    /* a second begin fences the first handle */
    struct coord_txn *second;
    assert_true(coord_txn_begin(w->server->coord, STR("rialto-engine"), &txn, &err));
    assert_true(txn_append(txn, one, &w->builder, "fenced"));
    assert_true(coord_txn_begin(w->server->coord, STR("rialto-engine"), &second, &err));
    assert_false(txn_append(txn, one, &w->builder, "late"));
    assert_false(coord_txn_commit_wait(txn, NULL, 0, &err));
    assert_int_equal(err.code, ERR_PRODUCER_FENCED);
    assert_true(txn_append(second, one, &w->builder, "e"));
    struct coord_txn_input input = {zero, partition_end(zero)};
    assert_true(coord_txn_commit_wait(second, &input, 1, &err));
    wait_lso(one);
    assert_reads(one, LOG_READ_COMMITTED, "d e");
    partition_unref(zero);
    partition_unref(one);
}

struct committer {
    struct coord_txn *txn;
    atomic_bool good;
};

static void *commit_it(void *arg)
{
    struct committer *committer = arg;
    struct err err;
    atomic_store(&committer->good, coord_txn_commit_wait(committer->txn, NULL, 0, &err));
    return NULL;
}

/* Who has checked that the transaction goes on, and appends only after its end is decided, is in it all the same: the marker
 * waits. Behind a marker the batch would be of the next transaction. */
static void test_append_between_check_and_marker(void **state)
{
    enum { PATIENCE_MS = 100 }; /* a marker that does not wait is there much sooner */
    struct world *w = *state;
    struct coord *coord = w->server->coord;
    struct committer committer = {0};
    struct err err;
    pthread_t thread;
    int64_t pid;
    int16_t epoch;
    assert_true(storage_topic_create(w->server->storage, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(w->server->storage, "t", 0);
    assert_true(coord_txn_begin(coord, STR("rialto-engine"), &committer.txn, &err));
    struct batch_spec spec = {.pid = coord_txn_producer_id(committer.txn),
                              .epoch = coord_txn_epoch(committer.txn),
                              .base_seq = 1,
                              .transactional = true};
    assert_true(txn_append(committer.txn, part, &w->builder, "early"));
    pthread_rwlock_rdlock(txn_append_lock(coord, STR("rialto-engine"))); /* and the check */
    assert_int_equal(pthread_create(&thread, NULL, commit_it, &committer), 0);
    while (coord_txn_last(coord, STR("rialto-engine"), &pid, &epoch) == COORD_TXN_OPEN)
        usleep(100);
    for (int i = 0; i < PATIENCE_MS && partition_end(part) == 1; i++)
        usleep(1000);
    assert_int_equal(partition_end(part), 1); /* no marker */
    struct str bytes = make_batch_of(&w->builder, &spec, "late");
    struct log_append late = {.bytes = (char *)bytes.ptr,
                              .size = bytes.len,
                              .origin = LOG_CLIENT,
                              .err = &err};
    partition_append_all(part, (struct log_append *[]){&late}, 1, NULL);
    assert_true(late.good);
    pthread_rwlock_unlock(txn_append_lock(coord, STR("rialto-engine")));
    pthread_join(thread, NULL);
    assert_true(atomic_load(&committer.good));
    wait_lso(part);
    assert_reads(part, LOG_READ_COMMITTED, "early late");
    assert_int_equal(partition_end(part), 3);
    partition_unref(part);
}

/* A disk on which one file cannot be synced, for want of room. */
static const struct io_ops *ops_below;
static atomic_bool is_it[256]; /* by descriptor */
static atomic_bool is_full;

static int open_noted(struct io *io, const char *path, int flags)
{
    int fd = ops_below->open(io, path, flags);
    assert_true(fd < (int)COUNT_OF(is_it));
    if (fd >= 0)
        atomic_store(&is_it[fd], strstr(path, "/t-0/") != NULL && str_ends_with(str_from(path), STR(".log")));
    return fd;
}

static int sync_unless_full(struct io *io, int fd)
{
    return atomic_load(&is_full) && atomic_load(&is_it[fd]) ? -ENOSPC : ops_below->fdatasync(io, fd);
}

static bool commit_word(struct world *w, struct partition *part, const char *word, struct err *err)
{
    struct coord_txn *txn;
    if (!coord_txn_begin(w->server->coord, STR("rialto-engine"), &txn, err))
        return false;
    if (txn_append(txn, part, &w->builder, word))
        return coord_txn_commit_wait(txn, NULL, 0, err);
    coord_txn_abort(txn, err);
    return false;
}

/* A marker is lost with a full disk; so the next transaction can be neither committed nor aborted. When there is room again the
 * id goes on, in every partition that either has touched. */
static void test_full_disk_at_a_marker(void **state)
{
    struct world *w = *state;
    struct io *io = io_memory_io(w->mem);
    struct io_ops ops;
    struct coord_txn *txn;
    struct err err;
    int64_t end = 0;
    log_level_set(LOG_OFF);
    test_wal_bytes = 0; /* else the marker is durable there, and no log is asked */
    restart(w);
    test_wal_bytes = 2 << 20;
    ops_below = io->ops;
    ops = *ops_below;
    ops.open = open_noted;
    ops.fdatasync = sync_unless_full;
    atomic_store(&is_full, false);
    io->ops = &ops;
    assert_true(storage_topic_create(w->server->storage, STR("t"), 2, NULL, 0, &err));
    struct partition *zero = open_partition(w->server->storage, "t", 0),
                     *one = open_partition(w->server->storage, "t", 1);
    assert_true(coord_txn_begin(w->server->coord, STR("rialto-engine"), &txn, &err));
    assert_true(txn_append(txn, zero, &w->builder, "a"));
    assert_true(partition_wait_durable(zero, 1, &err));
    atomic_store(&is_full, true); /* for the marker */
    assert_true(coord_txn_commit_wait(txn, NULL, 0, &err));
    while (log_offline_reason(partition_log(zero)) == NULL)
        usleep(100);
    assert_false(commit_word(w, one, "b", &err));
    assert_int_equal(err.code, ERR_COORDINATOR_NOT_AVAILABLE);
    atomic_store(&is_full, false);
    for (int i = 0; i < 3; i++) /* up to where the marker had been, and beyond */
        assert_true(append(zero, &w->builder, "x", &end) && partition_wait_durable(zero, end, &err));
    bool good = false;
    for (int i = 0; i < 1000 && !good; i++, usleep(1000)) /* the marker of what failed may be on its way */
        good = commit_word(w, one, "c", &err);
    assert_true(good);
    wait_lso(zero);
    wait_lso(one);
    assert_reads(zero, LOG_READ_COMMITTED, "a x x x");
    assert_reads(one, LOG_READ_COMMITTED, "c");
    partition_unref(zero);
    partition_unref(one);
    io->ops = ops_below;
    log_level_set(LOG_INFO);
}

/* What a run knows before everything dies. */
struct told {
    bool committed[3];
};

static const char *const words_zero[] = {"a0", "b0", "c0"}, *const words_one[] = {"a1", "b1", "c1"};

/* Three transactions over two partitions on a fresh disk; anything may fail. */
static void workload(struct io *io, struct batch_builder *builder, struct told *told)
{
    struct err err;
    struct server *server = try_start(io, &err);
    if (server == NULL)
        return;
    bool made =
        storage_topic_create(server->storage, STR("t"), 2, NULL, 0, &err) || err.code == ERR_TOPIC_EXISTS;
    struct partition *zero = made ? storage_partition_get(server->storage, STR("t"), 0, &err) : NULL;
    struct partition *one = made ? storage_partition_get(server->storage, STR("t"), 1, &err) : NULL;
    for (int i = 0; i < 3 && zero != NULL && one != NULL; i++) {
        struct coord_txn *txn;
        if (!coord_txn_begin(server->coord, STR("rialto-engine"), &txn, &err))
            break;
        bool good =
            txn_append(txn, zero, builder, words_zero[i]) && txn_append(txn, one, builder, words_one[i]);
        if (good)
            told->committed[i] = coord_txn_commit_wait(txn, NULL, 0, &err);
        else
            coord_txn_abort(txn, &err);
        if (!told->committed[i])
            break;
    }
    partition_unref(zero);
    partition_unref(one);
    world_stop(server);
}

/* After a restart: each transaction is in both partitions or in none; what was told to be committed is there, in order; the
 * coordinator's word on the last one agrees; nothing is open; the next transaction works. */
static void check_after(struct io *io, struct batch_builder *builder, const struct told *told, uint64_t at)
{
    struct arena arena = {0};
    struct err err;
    int64_t pid;
    int16_t epoch;
    struct server *server = world_start(io);
    enum coord_txn_state last = coord_txn_last(server->coord, STR("rialto-engine"), &pid, &epoch);
    assert_int_not_equal(last, COORD_TXN_OPEN);
    struct partition *zero = storage_partition_get(server->storage, STR("t"), 0, NULL);
    if (zero != NULL) {
        struct partition *one = open_partition(server->storage, "t", 1);
        struct str seen_zero = read_all(zero, LOG_READ_COMMITTED, &arena),
                   seen_one = read_all(one, LOG_READ_COMMITTED, &arena);
        struct buf wanted_zero = {0}, wanted_one = {0};
        size_t count = seen_zero.len == 0 ? 0 : (seen_zero.len + 1) / 3; /* words have two letters */
        for (size_t i = 0; i < count; i++) {
            buf_printf(&wanted_zero, "%s%s", i ? " " : "", words_zero[i]);
            buf_printf(&wanted_one, "%s%s", i ? " " : "", words_one[i]);
        }
        if (!str_eq(seen_zero, buf_str(&wanted_zero)) || !str_eq(seen_one, buf_str(&wanted_one)))
            fail_msg("fault at %llu: '%.*s' and '%.*s'", (unsigned long long)at, STR_ARG(seen_zero),
                     STR_ARG(seen_one));
        for (size_t i = 0; i < 3; i++)
            if (told->committed[i] && i >= count)
                fail_msg("fault at %llu: transaction %zu was told to be committed and is gone",
                         (unsigned long long)at, i);
        assert_int_equal(partition_lso(zero), partition_hw(zero));
        struct coord_txn *txn;
        assert_true(coord_txn_begin(server->coord, STR("rialto-engine"), &txn, &err));
        assert_true(txn_append(txn, zero, builder, "zz"));
        if (!coord_txn_commit_wait(txn, NULL, 0, &err))
            fail_msg("fault at %llu: %s", (unsigned long long)at, err.text);
        partition_unref(one);
        partition_unref(zero);
        buf_fini(&wanted_zero);
        buf_fini(&wanted_one);
    }
    world_stop(server);
    arena_fini(&arena);
}

/* Everything dies at the N-th operation and the power is cut, for every N until a run gets through. */
static void crash_loop(enum io_cut cut)
{
    struct batch_builder builder = {0};
    bool struck = true;
    uint64_t at = 1;
    log_level_set(LOG_OFF);
    for (; struck; at++) {
        struct io_memory *mem = io_memory_new(at);
        struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
        struct told told = {0};
        io_faulty_script(faulty, IO_FAULT_DEAD, at, 1);
        workload(io_faulty_io(faulty), &builder, &told);
        struck = io_faulty_struck(faulty);
        if (!struck)
            assert_true(told.committed[0] && told.committed[1] && told.committed[2]);
        io_memory_cut(mem, cut);
        check_after(io_memory_io(mem), &builder, &told, at);
        io_faulty_free(faulty);
        io_memory_free(mem);
        assert_true(at < 5000);
    }
    log_level_set(LOG_INFO);
    print_message("%llu operations, each once the last one\n", (unsigned long long)at - 1);
    assert_true(at > 100); /* or it did not reach the transactions */
    batch_builder_fini(&builder);
}

static void test_crash_lose(void **state)
{
    crash_loop(IO_CUT_LOSE);
}

static void test_crash_random(void **state)
{
    crash_loop(IO_CUT_RANDOM);
}

static void test_crash_keep(void **state)
{
    crash_loop(IO_CUT_KEEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_group_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_txn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_between_check_and_marker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_at_a_marker, setup, teardown),
        cmocka_unit_test(test_crash_lose),
        cmocka_unit_test(test_crash_random),
        cmocka_unit_test(test_crash_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
