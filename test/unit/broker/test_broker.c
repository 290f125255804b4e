/* broker: the in-process door on a disk in memory: topics, appends, waits, watches, offsets, transactions, and transactions
 * with the power cut at every operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/broker.h"
#include "io/io.h"
#include "log/log.h"
#include "record/record.h"

struct world {
    struct io_memory *mem;
    struct broker *broker;
    struct batch_builder builder;
    struct arena arena;
};

static struct broker *start(struct io *io, enum broker_durability durability)
{
    struct broker_config config;
    struct broker *broker;
    struct err err;
    broker_config_init(&config);
    config.data_dir = STR("/data");
    config.kafka_listen = STR("");
    config.durability = durability;
    config.net_threads = 1;
    if (!broker_start(&broker, &config, io, NULL, &err))
        fail_msg("broker_start: %s", err.text);
    return broker;
}

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->mem = io_memory_new(1);
    w->broker = start(io_memory_io(w->mem), BROKER_FSYNC);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    broker_stop(w->broker);
    io_memory_free(w->mem);
    batch_builder_fini(&w->builder);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

static void restart(struct world *w)
{
    broker_stop(w->broker);
    w->broker = start(io_memory_io(w->mem), BROKER_FSYNC);
}

/* A batch with one record a word. */
static struct str make_batch(struct batch_builder *builder, const char *words)
{
    struct str rest = str_from(words), word, out;
    struct err err;
    batch_builder_begin(builder, &BATCH_SPEC_PLAIN);
    while (str_split(&rest, ' ', &word))
        batch_builder_add(builder, 1000, word, word, NULL, 0);
    assert_true(batch_builder_finish(builder, &out, &err));
    return out;
}

static struct partition *partition(struct broker *broker, const char *topic, int32_t id)
{
    struct err err;
    struct partition *part = broker_partition_get(broker, str_from(topic), id, &err);
    assert_non_null(part);
    return part;
}

/* Values that a reader of this isolation sees, joined by blanks; aborted data is left out as a client would. */
static struct str read_all(struct partition *part, enum log_isolation isolation, struct arena *arena)
{
    struct log *log = broker_partition_log(part);
    struct buf bytes = {0}, plain = {0}, text = {0};
    struct log_aborted_list aborted = {0};
    struct log_slice slice;
    struct err err;
    int64_t offset = log_start_offset(log);
    for (;;) {
        buf_clear(&bytes);
        assert_true(log_read(log, offset, 1 << 20, isolation, &slice, &err));
        bool any = slice.len != 0;
        if (any)
            assert_true(log_slice_read(log, &slice, &bytes, &err));
        vec_clear(&aborted.list);
        if (isolation == LOG_READ_COMMITTED)
            log_aborted_in(log, offset, slice.lso, &aborted);
        log_slice_release(&slice);
        if (!any)
            break;
        struct str rest = buf_str(&bytes);
        struct batch batch;
        while (rest.len != 0) {
            size_t size = batch_size(rest.ptr);
            assert_true(batch_open(str_sub(rest, 0, size), &batch, &err));
            rest = str_sub(rest, size, rest.len);
            offset = batch_last_offset(&batch) + 1;
            bool dropped = batch_is_control(&batch);
            for (size_t i = 0; i < aborted.list.len; i++)
                dropped = dropped || (batch_is_transactional(&batch) && aborted.list.at[i].pid == batch.pid &&
                                      aborted.list.at[i].first_offset <= batch.base_offset &&
                                      batch.base_offset < aborted.list.at[i].last_offset);
            struct batch_iter it;
            struct record rec;
            assert_true(batch_iter_init(&it, &batch, &plain, &err));
            while (!dropped && batch_iter_next(&it, &rec))
                buf_printf(&text, "%s%.*s", text.len ? " " : "", STR_ARG(rec.value));
        }
    }
    struct str out = str_dup(buf_str(&text), arena);
    buf_fini(&bytes);
    buf_fini(&plain);
    buf_fini(&text);
    vec_fini(&aborted.list);
    return out;
}

#define assert_reads(part, isolation, text)                                 \
    do {                                                                    \
        struct arena reads_arena = {0};                                     \
        struct str reads_got = read_all((part), (isolation), &reads_arena); \
        assert_string_equal(reads_got.ptr, (text));                         \
        arena_fini(&reads_arena);                                           \
    } while (0)

static bool append(struct partition *part, struct batch_builder *builder, const char *words, int64_t *end)
{
    struct broker_appended out;
    struct err err;
    struct str batch = make_batch(builder, words);
    bool good = broker_partition_append(part, (char *)batch.ptr, batch.len, &out, &err);
    if (good)
        *end = out.end_offset;
    return good;
}

/* --- topics --- */

static void test_topics(void **state)
{
    struct world *w = *state;
    struct err err;
    struct broker_topic topic;
    struct broker_topic_config config = {STR("retention.ms"), STR("5000")},
                               bad = {STR("retention.ms"), STR("x")}, unknown = {STR("no.such"), STR("1")};
    assert_true(broker_topic_create(w->broker, STR("a"), 3, &config, 1, &err));
    assert_false(broker_topic_create(w->broker, STR("a"), 3, NULL, 0, &err));
    assert_int_equal(err.code, ERR_TOPIC_EXISTS);
    assert_false(broker_topic_create(w->broker, STR("b"), 0, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_PARTITIONS);
    assert_false(broker_topic_create(w->broker, STR("b"), 1, &bad, 1, &err));
    assert_int_equal(err.code, ERR_INVALID_CONFIG);
    assert_false(broker_topic_create(w->broker, STR("b"), 1, &unknown, 1, &err));
    assert_int_equal(err.code, ERR_INVALID_CONFIG);
    assert_false(broker_topic_create(w->broker, STR("a/b"), 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_TOPIC);
    assert_true(broker_topic_create(w->broker, STR("x.y"), 1, NULL, 0, &err));
    assert_false(broker_topic_create(w->broker, STR("x_y"), 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_TOPIC);

    assert_true(broker_topic_grow(w->broker, STR("a"), 5, &err));
    assert_false(broker_topic_grow(w->broker, STR("a"), 5, &err));
    restart(w);
    assert_true(broker_topic_describe(w->broker, STR("a"), &topic, &w->arena, &err));
    assert_int_equal(topic.partition_count, 5);
    assert_int_equal(topic.config_count, 1);
    assert_true(
        str_eq(broker_topic_config_get(w->broker, STR("a"), STR("retention.ms"), &w->arena), STR("5000")));
    assert_true(
        str_eq(broker_topic_config_get(w->broker, STR("a"), STR("segment.ms"), &w->arena), STR("604800000")));
    uint8_t id[16];
    memcpy(id, topic.id, sizeof id);

    size_t count;
    struct broker_topic *list = broker_topic_list(w->broker, &count, &w->arena);
    assert_int_equal(count, 4); /* a, x.y and the two internal ones */
    assert_true(list[0].internal && list[1].internal && str_eq(list[2].name, STR("a")));
    assert_false(broker_topic_delete(w->broker, STR("__consumer_offsets"), &err));
    assert_true(broker_topic_delete(w->broker, STR("a"), &err));
    assert_null(broker_partition_get(w->broker, STR("a"), 0, &err));
    assert_true(broker_topic_create(w->broker, STR("a"), -1, NULL, 0, &err));
    assert_true(broker_topic_describe(w->broker, STR("a"), &topic, &w->arena, &err));
    assert_int_equal(topic.partition_count, 1);
    assert_memory_not_equal(id, topic.id, sizeof id); /* a topic made again has a new id */
}

/* A deleted topic's records do not come back under its name; handles learn of the deletion. */
static void test_delete_and_create(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0;
    assert_true(broker_topic_create(w->broker, STR("t"), 1, NULL, 0, &err));
    struct partition *part = partition(w->broker, "t", 0);
    assert_true(append(part, &w->builder, "one", &end));
    assert_true(broker_topic_delete(w->broker, STR("t"), &err));
    assert_true(broker_partition_is_deleted(part));
    assert_false(append(part, &w->builder, "two", &end));
    broker_partition_unref(part);
    assert_true(broker_topic_create(w->broker, STR("t"), 1, NULL, 0, &err));
    part = partition(w->broker, "t", 0);
    assert_int_equal(broker_partition_end(part), 0);
    broker_partition_unref(part);
}

/* --- durability and watching --- */

struct counted_watch {
    struct broker_watch watch;
    atomic_int count;
};

static void count_watch(struct broker_watch *watch)
{
    atomic_fetch_add(&((struct counted_watch *)watch)->count, 1);
}

static void test_durable(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0;
    struct counted_watch visible = {.watch = {.fn = count_watch, .events = BROKER_WATCH_VISIBLE}};
    assert_true(broker_topic_create(w->broker, STR("t"), 1, NULL, 0, &err));
    struct partition *part = partition(w->broker, "t", 0);
    broker_partition_watch_add(part, &visible.watch);
    assert_true(append(part, &w->builder, "a b c", &end));
    assert_int_equal(end, 3);
    assert_true(broker_partition_wait_durable(part, end, &err));
    for (int i = 0; i < 2000 && atomic_load(&visible.count) == 0; i++)
        usleep(1000); /* the sync tells waits and watches one after the other */
    assert_true(atomic_load(&visible.count) >= 1);
    broker_partition_watch_remove(part, &visible.watch);
    assert_int_equal(broker_partition_hw(part), 3);
    assert_reads(part, LOG_UP_TO_HW, "a b c");
    broker_partition_unref(part);
    broker_stop(w->broker);
    io_memory_cut(w->mem, IO_CUT_LOSE);
    w->broker = start(io_memory_io(w->mem), BROKER_FSYNC);
    part = partition(w->broker, "t", 0);
    assert_reads(part, LOG_UP_TO_HW, "a b c");
    broker_partition_unref(part);
}

static void test_group_offsets(void **state)
{
    struct world *w = *state;
    struct err err;
    struct broker_group_offset commit[] = {{STR("t"), 0, 5, STR("x")}, {STR("t"), 1, 7, STR("")}};
    struct broker_group_offset fetch[] = {{.topic = STR("t"), .partition = 1},
                                          {.topic = STR("t"), .partition = 2}};
    assert_true(broker_group_commit(w->broker, STR("query"), commit, 2, &err));
    restart(w);
    broker_group_fetch(w->broker, STR("query"), fetch, 2, &w->arena);
    assert_int_equal(fetch[0].offset, 7);
    assert_int_equal(fetch[1].offset, -1);
    size_t count;
    struct broker_group_offset *all = broker_group_fetch_all(w->broker, STR("query"), &count, &w->arena);
    assert_int_equal(count, 2);
    assert_true(str_eq(all[0].metadata, STR("x")));
    struct broker_group_info *groups = broker_group_list(w->broker, &count, &w->arena);
    assert_int_equal(count, 1);
    assert_true(str_eq(groups[0].name, STR("query")) && str_eq(groups[0].state, STR("Empty")));
    assert_true(broker_group_delete(w->broker, STR("query"), &err));
    assert_false(broker_group_delete(w->broker, STR("query"), &err));
    assert_int_equal(err.code, ERR_GROUP_NOT_FOUND);
}

/* A full disk refuses with a cause and heals when there is room; nothing acknowledged is lost, nothing refused appears. */
static void test_full_disk(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0, acknowledged = 0;
    struct broker_group_offset offset = {STR("t"), 0, 1, STR("")};
    assert_true(broker_topic_create(w->broker, STR("t"), 1, NULL, 0, &err));
    struct partition *part = partition(w->broker, "t", 0);
    assert_true(broker_group_commit(w->broker, STR("g"), &offset, 1, &err));
    log_level_set(LOG_OFF);
    io_memory_set_room(w->mem, 4096);
    for (int i = 0; i < 100; i++)
        if (append(part, &w->builder, "some words to fill the disk with", &end) &&
            broker_partition_wait_durable(part, end, &err))
            acknowledged = end;
    offset.offset = 2;
    bool second = broker_group_commit(w->broker, STR("g"), &offset, 1, &err);
    if (!second)
        assert_true(err.code == ERR_DISK_FULL || err.code == ERR_STORAGE);
    assert_true(acknowledged > 0 && acknowledged < 700);
    io_memory_set_room(w->mem, 0);
    assert_true(append(part, &w->builder, "room", &end));
    assert_true(broker_partition_wait_durable(part, end, &err));
    assert_int_equal(end, acknowledged + 1);
    offset.offset = 3;
    assert_true(broker_group_commit(w->broker, STR("g"), &offset, 1, &err));
    log_level_set(LOG_INFO);
    broker_partition_unref(part);
    restart(w);
    part = partition(w->broker, "t", 0);
    assert_int_equal(broker_partition_end(part), acknowledged + 1);
    broker_group_fetch(w->broker, STR("g"), &offset, 1, &w->arena);
    assert_int_equal(offset.offset, 3);
    broker_partition_unref(part);
}

/* --- transactions --- */

static bool txn_append(struct broker_txn *txn, struct partition *part, struct batch_builder *builder,
                       const char *words)
{
    struct broker_appended out;
    struct err err;
    struct str batch = make_batch(builder, words);
    return broker_txn_append(txn, part, (char *)batch.ptr, batch.len, &out, &err);
}

/* Readers of committed data see it all after the markers are durable. */
static void wait_lso(struct partition *part)
{
    for (int i = 0; i < 2000 && broker_partition_lso(part) < broker_partition_end(part); i++)
        usleep(1000);
}

/* One change of a topic, then the same again, after a fault at its N-th operation: what the second answer says is so, now and
 * after a power cut. */
static void change_twice(enum io_fault_kind kind, uint64_t at, bool deletes, bool *struck)
{
    struct io_memory *mem = io_memory_new(at);
    struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
    struct broker *broker = start(io_faulty_io(faulty), BROKER_FSYNC);
    struct err err = {0};
    assert_true(broker_topic_create(broker, STR("old"), 1, NULL, 0, &err));
    io_faulty_script(faulty, kind, at, 1);
    bool done = false;
    for (int i = 0; i < 2 && !done; i++) {
        err = (struct err){0};
        done = deletes ? broker_topic_delete(broker, STR("old"), &err)
                       : broker_topic_create(broker, STR("new"), 1, NULL, 0, &err);
        done |= err.code == (deletes ? ERR_UNKNOWN_TOPIC : ERR_TOPIC_EXISTS);
    }
    *struck = io_faulty_struck(faulty);
    io_faulty_script(faulty, kind, 1, 0);
    for (int i = 0; i < 2 && done; i++) {
        struct partition *part = broker_partition_get(broker, deletes ? STR("old") : STR("new"), 0, &err);
        assert_int_equal(part != NULL, !deletes);
        broker_partition_unref(part);
        if (i == 0) {
            broker_stop(broker);
            io_memory_cut(mem, IO_CUT_LOSE);
            broker = start(io_memory_io(mem), BROKER_FSYNC);
        }
    }
    broker_stop(broker);
    io_faulty_free(faulty);
    io_memory_free(mem);
}

static void test_topic_faults(void **state)
{
    bool struck = true;
    for (uint64_t at = 1; struck; at++) {
        bool others[3];
        change_twice(IO_FAULT_EIO, at, false, &struck);
        change_twice(IO_FAULT_ENOSPC, at, false, &others[0]);
        change_twice(IO_FAULT_EIO, at, true, &others[1]);
        change_twice(IO_FAULT_ENOSPC, at, true, &others[2]);
        struck |= others[0] | others[1] | others[2];
    }
}

static void test_txn(void **state)
{
    struct world *w = *state;
    struct err err;
    struct broker_txn *txn;
    int64_t pid, last_pid, end = 0;
    int16_t epoch, last_epoch;
    assert_true(broker_topic_create(w->broker, STR("t"), 2, NULL, 0, &err));
    struct partition *zero = partition(w->broker, "t", 0), *one = partition(w->broker, "t", 1);
    assert_int_equal(broker_txn_last(w->broker, STR("rialto-engine"), &last_pid, &last_epoch),
                     BROKER_TXN_NONE);

    assert_true(broker_txn_begin(w->broker, STR("rialto-engine"), &txn, &err));
    pid = broker_txn_producer_id(txn);
    epoch = broker_txn_epoch(txn);
    assert_true(txn_append(txn, zero, &w->builder, "a b"));
    assert_true(txn_append(txn, zero, &w->builder, "c"));
    assert_true(txn_append(txn, one, &w->builder, "d"));
    assert_true(append(zero, &w->builder, "plain", &end));
    assert_true(broker_partition_wait_durable(zero, end, &err));
    assert_reads(zero, LOG_READ_COMMITTED, "");
    assert_reads(zero, LOG_UP_TO_HW, "a b c plain");
    assert_int_equal(broker_txn_last(w->broker, STR("rialto-engine"), &last_pid, &last_epoch),
                     BROKER_TXN_OPEN);
    assert_true(broker_txn_commit_wait(txn, NULL, 0, &err));
    assert_int_equal(broker_txn_last(w->broker, STR("rialto-engine"), &last_pid, &last_epoch),
                     BROKER_TXN_COMMITTED);
    assert_true(last_pid == pid && last_epoch == epoch);
    wait_lso(zero);
    wait_lso(one);
    assert_reads(zero, LOG_READ_COMMITTED, "a b c plain");
    assert_reads(one, LOG_READ_COMMITTED, "d");

    assert_true(broker_txn_begin(w->broker, STR("rialto-engine"), &txn, &err));
    assert_int_equal(broker_txn_epoch(txn), epoch + 1);
    assert_true(txn_append(txn, one, &w->builder, "gone"));
    assert_true(broker_txn_abort(txn, &err));
    assert_int_equal(broker_txn_last(w->broker, STR("rialto-engine"), &last_pid, &last_epoch),
                     BROKER_TXN_ABORTED);
    wait_lso(one);
    assert_reads(one, LOG_READ_COMMITTED, "d");

    /* a second begin fences the first handle */
    struct broker_txn *second;
    assert_true(broker_txn_begin(w->broker, STR("rialto-engine"), &txn, &err));
    assert_true(txn_append(txn, one, &w->builder, "fenced"));
    assert_true(broker_txn_begin(w->broker, STR("rialto-engine"), &second, &err));
    assert_false(txn_append(txn, one, &w->builder, "late"));
    assert_false(broker_txn_commit_wait(txn, NULL, 0, &err));
    assert_int_equal(err.code, ERR_PRODUCER_FENCED);
    assert_true(txn_append(second, one, &w->builder, "e"));
    struct broker_txn_input input = {zero, broker_partition_end(zero)};
    assert_true(broker_txn_commit_wait(second, &input, 1, &err));
    wait_lso(one);
    assert_reads(one, LOG_READ_COMMITTED, "d e");
    broker_partition_unref(zero);
    broker_partition_unref(one);
}

/* What a run knows before everything dies. */
struct told {
    bool committed[3];
};

static const char *const words_zero[] = {"a0", "b0", "c0"}, *const words_one[] = {"a1", "b1", "c1"};

/* Three transactions over two partitions of a fresh broker; anything may fail. */
static void workload(struct io *io, struct batch_builder *builder, struct told *told)
{
    struct broker_config config;
    struct broker *broker;
    struct err err;
    broker_config_init(&config);
    config.data_dir = STR("/data");
    config.kafka_listen = STR("");
    config.net_threads = 1;
    if (!broker_start(&broker, &config, io, NULL, &err))
        return;
    bool made = broker_topic_create(broker, STR("t"), 2, NULL, 0, &err) || err.code == ERR_TOPIC_EXISTS;
    struct partition *zero = made ? broker_partition_get(broker, STR("t"), 0, &err) : NULL;
    struct partition *one = made ? broker_partition_get(broker, STR("t"), 1, &err) : NULL;
    for (int i = 0; i < 3 && zero != NULL && one != NULL; i++) {
        struct broker_txn *txn;
        if (!broker_txn_begin(broker, STR("rialto-engine"), &txn, &err))
            break;
        bool good =
            txn_append(txn, zero, builder, words_zero[i]) && txn_append(txn, one, builder, words_one[i]);
        if (good)
            told->committed[i] = broker_txn_commit_wait(txn, NULL, 0, &err);
        else
            broker_txn_abort(txn, &err);
        if (!told->committed[i])
            break;
    }
    broker_partition_unref(zero);
    broker_partition_unref(one);
    broker_stop(broker);
}

/* After a restart: each transaction is in both partitions or in none; what was told to be committed is there, in order; the
 * coordinator's word on the last one agrees; nothing is open; the next transaction works. */
static void check_after(struct io *io, struct batch_builder *builder, const struct told *told, uint64_t at)
{
    struct arena arena = {0};
    struct err err;
    int64_t pid;
    int16_t epoch;
    struct broker *broker = start(io, BROKER_FSYNC);
    enum broker_txn_state last = broker_txn_last(broker, STR("rialto-engine"), &pid, &epoch);
    assert_int_not_equal(last, BROKER_TXN_OPEN);
    struct partition *zero = broker_partition_get(broker, STR("t"), 0, NULL);
    if (zero != NULL) {
        struct partition *one = partition(broker, "t", 1);
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
        assert_int_equal(broker_partition_lso(zero), broker_partition_hw(zero));
        struct broker_txn *txn;
        assert_true(broker_txn_begin(broker, STR("rialto-engine"), &txn, &err));
        assert_true(txn_append(txn, zero, builder, "zz"));
        if (!broker_txn_commit_wait(txn, NULL, 0, &err))
            fail_msg("fault at %llu: %s", (unsigned long long)at, err.text);
        broker_partition_unref(one);
        broker_partition_unref(zero);
        buf_fini(&wanted_zero);
        buf_fini(&wanted_one);
    }
    broker_stop(broker);
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
        cmocka_unit_test_setup_teardown(test_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_and_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_txn, setup, teardown),
        cmocka_unit_test(test_topic_faults),
        cmocka_unit_test(test_crash_lose),
        cmocka_unit_test(test_crash_random),
        cmocka_unit_test(test_crash_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
