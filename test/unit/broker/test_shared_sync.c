/* test_shared_sync.c - produces that a connection sends in one go share a write (K6 in conn.c) and a sync (P5 in partition.c):
 * over a socket, on a disk in memory. A watch of what is visible hears of every sync, so it counts them. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/broker.h"
#include "io/io.h"
#include "record/record.h"
#include "storage/storage.h"
#include "wire/wire.h"

enum { KEY_PRODUCE = 0, VERSION = 8, KEY_LIST_OFFSETS = 2, LIST_OFFSETS_VERSION = 1, PIPELINED = 5 };

static struct broker *start(struct io *io, enum storage_durability durability)
{
    struct broker_config config;
    struct broker *broker;
    struct err err;
    broker_config_init(&config);
    config.storage.data_dir = STR("/data");
    config.storage.wal_bytes_max = 256 << 10; /* a disk in memory copies a file to sync it */
    config.kafka_listen = STR("127.0.0.1:0");
    config.storage.durability = durability;
    if (!broker_start(&broker, &config, io, NULL, &err))
        fail_msg("broker_start: %s", err.text);
    return broker;
}

static int open_socket(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void add_request(struct buf *out, int api_key, int version, int correlation_id, const void *req)
{
    struct wire_out one = {0};
    wire_encode_request(wire_api_find((int16_t)api_key), (int16_t)version, correlation_id, STR("c"), req,
                        &one);
    buf_append_str(out, buf_str(&one.buf));
    wire_out_fini(&one);
}

/* A produce of one record to a partition of `t`; a bad one has a checksum that does not fit. */
static void add_produce(struct buf *out, int correlation_id, int16_t acks, int32_t partition, bool bad)
{
    struct batch_builder builder = {0};
    struct err err;
    struct str bytes;
    batch_builder_begin(&builder, &BATCH_SPEC_PLAIN);
    batch_builder_add(&builder, 1000, STR("k"), STR("v"), NULL, 0);
    assert_true(batch_builder_finish(&builder, &bytes, &err));
    if (bad)
        ((char *)bytes.ptr)[bytes.len - 1] ^= 1;
    struct ProduceRequest_PartitionProduceData data = {.Index = partition, .Records.bytes = bytes};
    struct ProduceRequest_TopicProduceData topic = {.Name = STR("t"), .PartitionData = {&data, 1}};
    struct ProduceRequest req = {.TransactionalId = STR_NULL,
                                 .Acks = acks,
                                 .TimeoutMs = 1000,
                                 .TopicData = {&topic, 1}};
    add_request(out, KEY_PRODUCE, VERSION, correlation_id, &req);
    batch_builder_fini(&builder);
}

/* Asks for the end of a partition of `t`. */
static void add_list_offsets(struct buf *out, int correlation_id, int32_t partition)
{
    struct ListOffsetsRequest_ListOffsetsPartition data = {.PartitionIndex = partition, .Timestamp = -1};
    struct ListOffsetsRequest_ListOffsetsTopic topic = {.Name = STR("t"), .Partitions = {&data, 1}};
    struct ListOffsetsRequest req = {.ReplicaId = -1, .Topics = {&topic, 1}};
    add_request(out, KEY_LIST_OFFSETS, LIST_OFFSETS_VERSION, correlation_id, &req);
}

static void read_all(int fd, char *at, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, at + got, size - got);
        if (n <= 0)
            fail_msg("no answer");
        got += (size_t)n;
    }
}

/* The next answer: the number of its request, then (of both APIs) one topic `t` and one partition, its error, and what lies
 * behind the error. */
struct answer {
    char bytes[512];
    int32_t correlation_id, partition;
    int16_t error;
    const char *rest;
};

static void take_answer(int fd, struct answer *answer)
{
    enum { PARTITION_POS = 4 + 4 + 2 + 1 + 4, ERROR_POS = PARTITION_POS + 4 };
    char size[4];
    read_all(fd, size, sizeof size);
    uint32_t len = load_be32(size);
    assert_in_range(len, ERROR_POS + 2 + 8, sizeof answer->bytes);
    read_all(fd, answer->bytes, len);
    answer->correlation_id = (int32_t)load_be32(answer->bytes);
    answer->partition = (int32_t)load_be32(answer->bytes + PARTITION_POS);
    answer->error = (int16_t)load_be16(answer->bytes + ERROR_POS);
    answer->rest = answer->bytes + ERROR_POS + 2;
}

static void assert_produced(int fd, int32_t correlation_id, int32_t partition, int64_t base_offset)
{
    struct answer answer;
    take_answer(fd, &answer);
    assert_int_equal(answer.correlation_id, correlation_id);
    assert_int_equal(answer.partition, partition);
    assert_int_equal(answer.error, 0);
    assert_int_equal(load_be64(answer.rest), base_offset);
}

static void send_all(int fd, struct buf *frames)
{
    assert_int_equal(write(fd, frames->ptr, frames->len), frames->len);
    buf_clear(frames);
}

struct counted_watch {
    struct partition_watch watch;
    atomic_int count;
};

static void count_watch(struct partition_watch *watch)
{
    atomic_fetch_add(&((struct counted_watch *)watch)->count, 1);
}

/* A broker with the topic `t`, its partition 0, a connection, and what is to be sent. */
struct world {
    struct io_memory *mem;
    struct broker *broker;
    struct partition *part;
    struct buf frames;
    int fd;
};

static void begin(struct world *w, enum storage_durability durability, int partitions)
{
    struct err err;
    *w = (struct world){.mem = io_memory_new(1)};
    w->broker = start(io_memory_io(w->mem), durability);
    assert_true(storage_topic_create(broker_storage(w->broker), STR("t"), partitions, NULL, 0, &err));
    w->part = storage_partition_get(broker_storage(w->broker), STR("t"), 0, &err);
    w->fd = open_socket(broker_kafka_port(w->broker));
}

static void end(struct world *w)
{
    close(w->fd);
    partition_unref(w->part);
    broker_stop(w->broker);
    io_memory_free(w->mem);
    buf_fini(&w->frames);
}

static void test_shared_sync(void **state)
{
    struct world w;
    struct counted_watch visible = {.watch = {.fn = count_watch, .events = PARTITION_WATCH_VISIBLE}};
    begin(&w, STORAGE_FSYNC, 1);
    partition_watch_add(w.part, &visible.watch);
    for (int i = 0; i < PIPELINED; i++)
        add_produce(&w.frames, i, -1, 0, false);
    send_all(w.fd, &w.frames);
    for (int i = 0; i < PIPELINED; i++)
        assert_produced(w.fd, i, 0, i);
    assert_int_equal(atomic_load(&visible.count), 1); /* told before the answers are */
    assert_int_equal(partition_hw(w.part), PIPELINED);
    partition_watch_remove(w.part, &visible.watch);
    end(&w);
}

/* What else a read brings finds what came before it appended, and not what comes after. */
static void test_other_requests_see_what_came_before(void **state)
{
    struct world w;
    struct answer answer;
    begin(&w, STORAGE_OS, 2);
    add_produce(&w.frames, 1, -1, 0, false);
    add_produce(&w.frames, 2, 1, 1, false);
    add_produce(&w.frames, 3, -1, 0, false);
    add_list_offsets(&w.frames, 4, 0);
    add_produce(&w.frames, 5, 1, 0, false);
    send_all(w.fd, &w.frames);
    assert_produced(w.fd, 1, 0, 0);
    assert_produced(w.fd, 2, 1, 0);
    assert_produced(w.fd, 3, 0, 1);
    take_answer(w.fd, &answer);
    assert_int_equal(answer.correlation_id, 4);
    assert_int_equal(load_be64(answer.rest + 8), 2); /* behind the timestamp */
    assert_produced(w.fd, 5, 0, 2);
    end(&w);
}

/* One that is refused among others, and more of them than are written at once. */
static void test_each_is_told_its_own(void **state)
{
    enum { COUNT = 3 * LOG_APPENDS_MAX, BAD = 40, CORRUPT = 2 };
    struct world w;
    struct answer answer;
    begin(&w, STORAGE_FSYNC, 1);
    for (int i = 0; i < COUNT; i++)
        add_produce(&w.frames, i, -1, 0, i == BAD);
    send_all(w.fd, &w.frames);
    for (int i = 0; i < BAD; i++)
        assert_produced(w.fd, i, 0, i);
    take_answer(w.fd, &answer);
    assert_int_equal(answer.correlation_id, BAD);
    assert_int_equal(answer.error, CORRUPT);
    for (int i = BAD + 1; i < COUNT; i++)
        assert_produced(w.fd, i, 0, i - 1);
    end(&w);
}

/* Without an answer (acks=0) the end of the connection is the only sign, and what came before is kept. */
static void test_unanswered(void **state)
{
    struct world w;
    char byte;
    begin(&w, STORAGE_OS, 1);
    add_produce(&w.frames, 1, 0, 0, false);
    add_produce(&w.frames, 2, 0, 0, false);
    add_produce(&w.frames, 3, 0, 0, true);
    send_all(w.fd, &w.frames);
    assert_int_equal(read(w.fd, &byte, 1), 0);
    assert_int_equal(partition_end(w.part), 2);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_sync),
        cmocka_unit_test(test_other_requests_see_what_came_before),
        cmocka_unit_test(test_each_is_told_its_own),
        cmocka_unit_test(test_unanswered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
