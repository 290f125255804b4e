/* broker: transactions of clients over a socket, on a disk in memory that dies at every operation, in the ways of old clients
 * (version 1) and new ones (KIP-890). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../storage/storage_test.h"
#include "broker/broker.h"
#include "io/io.h"
#include "log/log.h"
#include "record/record.h"
#include "wire/wire.h"

enum {
    KEY_PRODUCE = 0,
    KEY_INIT = 22,
    KEY_ADD = 24,
    KEY_ADD_OFFSETS = 25,
    KEY_END = 26,
    KEY_COMMIT_OFFSET = 28
};
enum { CONCURRENT = 51, BROKEN = -99 };

/* How often a client asks while the transaction before is being completed. A server that met no fault completes it; one that
 * met some may have to wait for the next start, or for its clock, which comes several times within TRIES_STRUCK; one whose disk
 * is gone completes nothing any more. */
enum {
    CHECK_MS = 2,
    PAUSE_US = 500,
    TRIES = 20000,
    TRIES_STRUCK = 6 * CHECK_MS * 1000 / PAUSE_US,
    TRIES_DEAD = 2
};

/* --- a client ------------------------------------------------------------------------------------------------------- */

struct client {
    int fd;   /* -1: broken */
    bool new; /* KIP-890 */
    int64_t pid;
    int16_t epoch;
    int32_t seq[2];               /* by partition */
    const struct io_faulty *disk; /* of the server, or NULL: it never fails */
    bool dies;                    /* the disk never works again once it has failed */
    struct arena arena;
    struct batch_builder builder;
};

static void client_open(struct client *c, int port, bool new)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 60};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .new = new};
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    arena_fini(&c->arena);
    batch_builder_fini(&c->builder);
}

static bool receive(int fd, char *at, size_t size)
{
    while (size != 0) {
        ssize_t got = read(fd, at, size);
        if (got < 0)
            fail_msg("the broker says nothing for a minute");
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* A request and its answer, in the arena; NULL: the connection is gone. */
static const void *ask(struct client *c, int16_t key, int16_t version, const void *req)
{
    const struct wire_api *api = wire_api_find(key);
    struct wire_out out = {0};
    struct err err;
    char size[4];
    if (c->fd < 0)
        return NULL;
    wire_encode_request(api, version, 1, STR("c"), req, &out);
    bool good =
        write(c->fd, out.buf.ptr, out.buf.len) == (ssize_t)out.buf.len && receive(c->fd, size, sizeof size);
    wire_out_fini(&out);
    void *res = NULL;
    if (good) {
        size_t len = load_be32(size), head = wire_is_flexible(api->response, version) ? 5 : 4;
        char *frame = arena_alloc_bytes(&c->arena, len);
        good = receive(c->fd, frame, len);
        res = arena_zalloc(&c->arena, 1, api->response->body->size);
        if (good && !wire_decode(api->response, version, str_of(frame + head, len - head), res, NULL,
                                 &c->arena, &err))
            fail_msg("%s: %s", api->name, err.text);
    }
    if (good)
        return res;
    close(c->fd);
    c->fd = -1;
    return NULL;
}

static struct str id = STR("app"); /* of the client */

/* Waits out what is being completed. */
static int16_t init(struct client *c)
{
    struct InitProducerIdRequest req = {.TransactionalId = id,
                                        .TransactionTimeoutMs = 60000,
                                        .ProducerId = -1,
                                        .ProducerEpoch = -1};
    for (;;) {
        const struct InitProducerIdResponse *res = ask(c, KEY_INIT, 4, &req);
        if (res == NULL || res->ErrorCode != CONCURRENT) {
            c->pid = res != NULL ? res->ProducerId : -1;
            c->epoch = res != NULL ? res->ProducerEpoch : -1;
            c->seq[0] = c->seq[1] = 0;
            return res != NULL ? res->ErrorCode : BROKEN;
        }
        usleep(PAUSE_US);
    }
}

static int16_t add_once(struct client *c)
{
    int32_t partitions[] = {0, 1};
    struct AddPartitionsToTxnRequest_AddPartitionsToTxnTopic topic = {.Name = STR("t"),
                                                                      .Partitions = {partitions, 2}};
    struct AddPartitionsToTxnRequest req = {.V3AndBelowTransactionalId = id,
                                            .V3AndBelowProducerId = c->pid,
                                            .V3AndBelowProducerEpoch = c->epoch,
                                            .V3AndBelowTopics = {&topic, 1}};
    struct AddOffsetsToTxnRequest offsets = {.TransactionalId = id,
                                             .ProducerId = c->pid,
                                             .ProducerEpoch = c->epoch,
                                             .GroupId = STR("g")};
    const struct AddPartitionsToTxnResponse *res = ask(c, KEY_ADD, 3, &req);
    if (res == NULL)
        return BROKEN;
    int16_t error = res->ResultsByTopicV3AndBelow.at[0].ResultsByPartition.at[0].PartitionErrorCode;
    if (error != 0)
        return error;
    const struct AddOffsetsToTxnResponse *added = ask(c, KEY_ADD_OFFSETS, 3, &offsets);
    return added != NULL ? added->ErrorCode : BROKEN;
}

static int tries_of(const struct client *c)
{
    if (c->disk == NULL || !io_faulty_struck(c->disk))
        return TRIES;
    return c->dies ? TRIES_DEAD : TRIES_STRUCK;
}

static int16_t add(struct client *c)
{
    int16_t error = add_once(c);
    for (int i = 0; i < tries_of(c) && error == CONCURRENT; i++) {
        usleep(PAUSE_US);
        error = add_once(c);
    }
    return error;
}

static int16_t produce_once(struct client *c, int32_t partition, const char *word)
{
    struct str bytes;
    struct err err;
    batch_builder_begin(&c->builder, &(struct batch_spec){.transactional = true,
                                                          .pid = c->pid,
                                                          .epoch = c->epoch,
                                                          .base_seq = c->seq[partition]});
    batch_builder_add(&c->builder, 1000, STR_NULL, str_from(word), NULL, 0);
    assert_true(batch_builder_finish(&c->builder, &bytes, &err));
    struct ProduceRequest_PartitionProduceData data = {.Index = partition, .Records.bytes = bytes};
    struct ProduceRequest_TopicProduceData topic = {.Name = STR("t"), .PartitionData = {&data, 1}};
    struct ProduceRequest req = {.TransactionalId = id,
                                 .Acks = -1,
                                 .TimeoutMs = 1000,
                                 .TopicData = {&topic, 1}};
    const struct ProduceResponse *res = ask(c, KEY_PRODUCE, c->new ? 12 : 9, &req);
    return res != NULL ? res->Responses.at[0].PartitionResponses.at[0].ErrorCode : BROKEN;
}

static int16_t produce(struct client *c, int32_t partition, const char *word)
{
    int16_t error = produce_once(c, partition, word);
    for (int i = 0; i < tries_of(c) && error == CONCURRENT; i++) {
        usleep(PAUSE_US);
        error = produce_once(c, partition, word);
    }
    c->seq[partition] += error == 0;
    return error;
}

static int16_t commit_offset(struct client *c, int64_t offset)
{
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition part = {.CommittedOffset = offset,
                                                                          .CommittedLeaderEpoch = -1,
                                                                          .CommittedMetadata = STR("")};
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic topic = {.Name = STR("t"),
                                                                       .Partitions = {&part, 1}};
    struct TxnOffsetCommitRequest req = {.TransactionalId = id,
                                         .GroupId = STR("g"),
                                         .ProducerId = c->pid,
                                         .ProducerEpoch = c->epoch,
                                         .GenerationId = -1,
                                         .MemberId = STR(""),
                                         .Topics = {&topic, 1}};
    const struct TxnOffsetCommitResponse *res = ask(c, KEY_COMMIT_OFFSET, c->new ? 5 : 3, &req);
    return res != NULL ? res->Topics.at[0].Partitions.at[0].ErrorCode : BROKEN;
}

static int16_t end(struct client *c, bool commit)
{
    struct EndTxnRequest req = {.TransactionalId = id,
                                .ProducerId = c->pid,
                                .ProducerEpoch = c->epoch,
                                .Committed = commit};
    for (;;) {
        const struct EndTxnResponse *res = ask(c, KEY_END, c->new ? 5 : 3, &req);
        if (res == NULL)
            return BROKEN;
        if (res->ErrorCode == 0 && c->new) {
            c->pid = res->ProducerId;
            c->epoch = res->ProducerEpoch;
            c->seq[0] = c->seq[1] = 0;
        }
        if (res->ErrorCode != CONCURRENT)
            return res->ErrorCode;
        usleep(500);
    }
}

/* --- the run -------------------------------------------------------------------------------------------------------- */

enum { COMMITS = 3 };

struct told {
    bool committed[COMMITS];
    int64_t pid;
    int16_t epoch; /* of the transaction that was left ongoing */
    bool left;
};

static bool start_as(struct broker **out, struct io *io, enum storage_durability durability, struct err *err)
{
    struct broker_config config;
    broker_config_init(&config);
    config.storage.data_dir = STR("/data");
    config.storage.wal_bytes_max = 256 << 10; /* a disk in memory copies a file to sync it */
    config.kafka_listen = STR("127.0.0.1:0");
    config.net_threads = 1;
    config.coord.txn_check_interval_ms = CHECK_MS; /* markers that failed are tried again */
    config.storage.durability = durability;
    return broker_start(out, &config, io, NULL, err);
}

static enum storage_durability run_durability = STORAGE_FSYNC;

static bool start(struct broker **out, struct io *io, struct err *err)
{
    return start_as(out, io, run_durability, err);
}

/* Transaction i: a word into each partition and the offset i + 1. */
static bool fill(struct client *c, int i)
{
    char zero[] = {(char)('a' + i), '0', 0}, one[] = {(char)('a' + i), '1', 0};
    return (c->new || add(c) == 0) && produce(c, 0, zero) == 0 && produce(c, 1, one) == 0 &&
           commit_offset(c, i + 1) == 0;
}

/* Three transactions are committed, then one is aborted and one left ongoing; anything may fail. */
static void workload(struct io_faulty *disk, bool dies, bool new, struct told *told)
{
    struct broker *broker;
    struct client c;
    struct err err;
    if (!start(&broker, io_faulty_io(disk), &err))
        return;
    if (storage_topic_create(broker_storage(broker), STR("t"), 2, NULL, 0, &err) ||
        err.code == ERR_TOPIC_EXISTS) {
        client_open(&c, broker_kafka_port(broker), new);
        c.disk = disk;
        c.dies = dies;
        bool good = init(&c) == 0;
        for (int i = 0; i < COMMITS && good; i++)
            good = told->committed[i] = fill(&c, i) && end(&c, true) == 0;
        good = good && fill(&c, 8) && end(&c, false) == 0;
        told->pid = c.pid;
        told->epoch = c.epoch;
        told->left = good && fill(&c, 9);
        client_close(&c);
    }
    broker_stop(broker);
}

/* Words that read_committed gives. */
static struct str visible(struct broker *broker, int32_t partition, struct arena *arena)
{
    struct partition *part = open_partition(broker_storage(broker), "t", partition);
    struct str words = read_all(part, LOG_READ_COMMITTED, arena);
    partition_unref(part);
    return words;
}

static int64_t committed_offset(struct broker *broker, struct arena *arena)
{
    struct coord_group_offset at = {.topic = STR("t"), .partition = 0};
    coord_group_fetch(broker_coord(broker), STR("g"), &at, 1, arena);
    return at.offset;
}

static void wait_stable(struct broker *broker)
{
    struct err err;
    for (int32_t i = 0; i < 2; i++) {
        struct partition *part = storage_partition_get(broker_storage(broker), STR("t"), i, &err);
        for (int k = 0; k < 20000 && partition_lso(part) < partition_end(part); k++)
            usleep(500);
        assert_int_equal(partition_lso(part), partition_end(part));
        partition_unref(part);
    }
}

/* What is seen is a beginning of the transactions, the same in both partitions and in the group. */
static size_t check_seen(struct broker *broker, const struct told *told, uint64_t at)
{
    struct arena arena = {0};
    static const char *const wanted[2] = {"a0 b0 c0 z0", "a1 b1 c1 z1"};
    struct str seen[2] = {visible(broker, 0, &arena), visible(broker, 1, &arena)};
    size_t count = (seen[0].len + 1) / 3;
    int64_t offset = committed_offset(broker, &arena);
    for (int i = 0; i < 2; i++)
        if (!str_eq(seen[i], str_of(wanted[i], count == 0 ? 0 : count * 3 - 1)))
            fail_msg("fault at %llu: '%.*s' and '%.*s'", (unsigned long long)at, STR_ARG(seen[0]),
                     STR_ARG(seen[1]));
    if (offset != (count == 0 ? -1 : (int64_t)count))
        fail_msg("fault at %llu: %zu transactions, offset %lld", (unsigned long long)at, count,
                 (long long)offset);
    for (size_t i = 0; i < COMMITS; i++)
        if (told->committed[i] && i >= count)
            fail_msg("fault at %llu: transaction %zu was told to be committed and is gone",
                     (unsigned long long)at, i);
    arena_fini(&arena);
    return count;
}

/* After a restart; then the producer that was killed goes on, or the next one takes the id over. */
static void check_after(struct io *io, bool new, bool go_on, const struct told *told, uint64_t at)
{
    struct broker *broker;
    struct client c;
    struct err err;
    if (!start(&broker, io, &err))
        fail_msg("fault at %llu: %s", (unsigned long long)at, err.text);
    if (!storage_topic_create(broker_storage(broker), STR("t"), 2, NULL, 0, &err))
        assert_int_equal(err.code, ERR_TOPIC_EXISTS);
    size_t count = check_seen(broker, told, at);
    client_open(&c, broker_kafka_port(broker), new);
    if (go_on && told->left) { /* all of it was acknowledged: the commit takes it whole */
        c.pid = told->pid;
        c.epoch = told->epoch;
        assert_int_equal(end(&c, true), 0);
        wait_stable(broker);
        struct arena arena = {0};
        assert_true(str_eq(visible(broker, 0, &arena), STR("a0 b0 c0 j0")));
        if (!str_eq(visible(broker, 1, &arena), STR("a1 b1 c1 j1")))
            fail_msg("fault at %llu: '%s'", (unsigned long long)at, visible(broker, 1, &arena).ptr);
        assert_int_equal(committed_offset(broker, &arena), 10);
        arena_fini(&arena);
    } else {
        assert_int_equal(init(&c), 0);
        wait_stable(broker);
        assert_int_equal(check_seen(broker, told, at), count);
        assert_true(fill(&c, 25));
        assert_int_equal(end(&c, true), 0);
        wait_stable(broker);
        struct arena arena = {0};
        assert_int_equal(visible(broker, 1, &arena).len, (count + 1) * 3 - 1);
        assert_int_equal(committed_offset(broker, &arena), 26);
        arena_fini(&arena);
    }
    client_close(&c);
    broker_stop(broker);
}

/* The N-th operation fails (and so many after it), then the power is cut, for every N until a run gets through. */
static void fault_loop(enum io_fault_kind kind, uint64_t count, enum io_cut cut, bool new)
{
    bool struck = true;
    uint64_t at = 1;
    log_level_set(LOG_OFF);
    for (; struck; at++) {
        struct io_memory *mem = io_memory_new(at);
        struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
        struct told told = {0};
        io_faulty_script(faulty, kind, at, count);
        workload(faulty, kind == IO_FAULT_DEAD, new, &told);
        struck = io_faulty_struck(faulty);
        if (!struck)
            assert_true(told.left);
        io_memory_cut(mem, cut);
        check_after(io_memory_io(mem), new, at % 2 == 0, &told, at);
        io_faulty_free(faulty);
        io_memory_free(mem);
        assert_true(at < 5000);
    }
    log_level_set(LOG_INFO);
    print_message("%llu operations, each once the last one\n", (unsigned long long)at - 1);
    assert_true(at > 150); /* or it did not reach the transactions */
}

/* --- a partition that cannot be opened ------------------------------------------------------------------------------- */

#define SHUT "/data/log/t-0/checkpoint"

/* The marker of the last transaction in partition 0 is lost, as in a crash; and a file that it needs cannot be read. */
static void lose_marker_and_shut(struct io *io)
{
    /* Its time lies weeks behind that of the records: it has a segment of its own. */
    assert_int_equal(io_unlink(io, "/data/log/t-0/00000000000000000001.log"), 0);
    ignore(io_unlink(io, SHUT) < 0, "there may be none");
    assert_int_equal(io_mkdir(io, SHUT), 0);
}

static void open_again(struct io *io)
{
    assert_int_equal(io_rmdir(io, SHUT), 0);
}

static struct broker *must_start(struct io *io)
{
    struct broker *broker;
    struct err err;
    if (!start(&broker, io, &err))
        fail_msg("%s", err.text);
    return broker;
}

/* A transaction is committed and its end recorded as complete (KIP-890 does not wait for markers); then a marker is lost, and its
 * partition cannot be opened. The producer goes on with the other partition: nothing is decided until the marker is there,
 * whoever asks. An id that has not touched the partition goes on as ever. */
static void test_marker_of_a_shut_partition(void **state)
{
    enum { NOT_AVAILABLE = 15 }; /* the client asks again */
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct arena arena = {0};
    struct client c;
    log_level_set(LOG_OFF);
    struct broker *broker = must_start(io);
    assert_true(storage_topic_create(broker_storage(broker), STR("t"), 2, NULL, 0, NULL));
    client_open(&c, broker_kafka_port(broker), true);
    assert_int_equal(init(&c), 0);
    assert_int_equal(produce(&c, 0, "a0"), 0);
    assert_int_equal(produce(&c, 1, "a1"), 0);
    assert_int_equal(end(&c, true), 0);
    wait_stable(broker);
    client_close(&c);
    broker_stop(broker);

    lose_marker_and_shut(io);
    struct client next;
    for (int start = 0; start < 2; start++) { /* and another start that finds it shut knows it still */
        broker = must_start(io);
        client_open(&next, broker_kafka_port(broker), true);
        next.pid = c.pid;
        next.epoch = c.epoch;
        next.seq[1] = start;
        assert_int_equal(produce(&next, 1, start == 0 ? "b1" : "c1"), 0);
        assert_int_equal(end(&next, start != 0), NOT_AVAILABLE);
        assert_int_equal(end(&next, true), NOT_AVAILABLE);
        client_close(&next);
        id = STR("other");
        client_open(&next, broker_kafka_port(broker), true);
        assert_int_equal(init(&next), 0);
        assert_int_equal(produce(&next, 1, start == 0 ? "x1" : "y1"), 0);
        assert_int_equal(end(&next, true), 0);
        client_close(&next);
        id = STR("app");
        broker_stop(broker);
    }

    open_again(io);
    broker = must_start(io);
    struct partition *part = storage_partition_get(broker_storage(broker), STR("t"), 0, NULL);
    assert_int_equal(partition_lso(part), partition_end(part)); /* the marker is there */
    partition_unref(part);
    assert_true(str_eq(visible(broker, 0, &arena), STR("a0")));
    client_open(&next, broker_kafka_port(broker), true);
    next.pid = c.pid;
    next.epoch = c.epoch;
    assert_int_equal(end(&next, true), 0);
    wait_stable(broker);
    assert_true(str_eq(visible(broker, 0, &arena), STR("a0")));
    assert_true(str_eq(visible(broker, 1, &arena), STR("a1 b1 x1 c1 y1")));
    client_close(&next);
    broker_stop(broker);
    arena_fini(&arena);
    io_memory_free(mem);
    log_level_set(LOG_INFO);
}

/* Everything dies. */
static void test_new_lose(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_LOSE, true);
}

static void test_new_random(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_RANDOM, true);
}

static void test_old_lose(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_LOSE, false);
}

static void test_old_random(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_RANDOM, false);
}

/* With durability=os a failed sync drops nothing: a marker that was written is not written again, behind the beginning of the
 * next transaction. */
static void test_os_full(void **state)
{
    run_durability = STORAGE_OS;
    fault_loop(IO_FAULT_ENOSPC, 1, IO_CUT_KEEP, true);
    fault_loop(IO_FAULT_ENOSPC, 1, IO_CUT_KEEP, false);
    run_durability = STORAGE_FSYNC;
}

/* durability=os: what is decided is whole before the next decision is taken, markers included. Else a power cut could leave
 * aborted records open, to be committed with a later transaction. */
static void os_markers(bool new)
{
    struct io_memory *mem = io_memory_new(1);
    struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
    struct broker *broker;
    struct client c;
    struct err err;
    assert_true(start_as(&broker, io_faulty_io(faulty), STORAGE_OS, &err));
    assert_true(storage_topic_create(broker_storage(broker), STR("t"), 2, NULL, 0, &err));
    client_open(&c, broker_kafka_port(broker), new);
    assert_int_equal(init(&c), 0);
    assert_true(fill(&c, 0));
    assert_int_equal(end(&c, false), 0);
    assert_true(fill(&c, 1));
    assert_int_equal(end(&c, true), 0);
    io_faulty_script(faulty, IO_FAULT_DEAD, 1, 1);
    client_close(&c);
    broker_stop(broker);
    io_memory_cut(mem, IO_CUT_LOSE);
    assert_true(start_as(&broker, io_memory_io(mem), STORAGE_OS, &err));
    for (int32_t i = 0; i < 2; i++) {
        struct partition *part = storage_partition_get(broker_storage(broker), STR("t"), i, &err);
        struct log_aborted_list aborted = {0};
        log_aborted_in(partition_log(part), 0, 2, &aborted);
        assert_int_equal(aborted.list.len, 1);
        assert_int_equal(aborted.list.at[0].first_offset, 0);
        assert_int_equal(aborted.list.at[0].last_offset, 1);
        vec_fini(&aborted.list);
        partition_unref(part);
    }
    broker_stop(broker);
    io_faulty_free(faulty);
    io_memory_free(mem);
}

static void test_os_markers(void **state)
{
    os_markers(true);
    os_markers(false);
}

/* The server goes on after the fault: what it refuses, it refuses whole. */
static void test_new_error(void **state)
{
    fault_loop(IO_FAULT_EIO, 1, IO_CUT_KEEP, true);
}

static void test_old_error(void **state)
{
    fault_loop(IO_FAULT_EIO, 1, IO_CUT_KEEP, false);
}

static void test_new_full(void **state)
{
    fault_loop(IO_FAULT_ENOSPC, 3, IO_CUT_LOSE, true);
}

static void test_old_full(void **state)
{
    fault_loop(IO_FAULT_ENOSPC, 3, IO_CUT_LOSE, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marker_of_a_shut_partition),
        cmocka_unit_test(test_new_lose),
        cmocka_unit_test(test_new_random),
        cmocka_unit_test(test_old_lose),
        cmocka_unit_test(test_old_random),
        cmocka_unit_test(test_new_error),
        cmocka_unit_test(test_old_error),
        cmocka_unit_test(test_new_full),
        cmocka_unit_test(test_old_full),
        cmocka_unit_test(test_os_markers),
        cmocka_unit_test(test_os_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
