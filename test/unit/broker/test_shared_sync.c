/* test_shared_sync.c - produces that a connection sends in one go share one sync (P5 in partition.c): over a socket, on a disk in
 * memory. A watch of what is visible hears of every sync, so it counts them. */
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

enum { KEY_PRODUCE = 0, VERSION = 8, PIPELINED = 5 };

static struct broker *start(struct io *io)
{
    struct broker_config config;
    struct broker *broker;
    struct err err;
    broker_config_init(&config);
    config.storage.data_dir = STR("/data");
    config.storage.wal_bytes_max = 256 << 10; /* a disk in memory copies a file to sync it */
    config.kafka_listen = STR("127.0.0.1:0");
    config.storage.durability = STORAGE_FSYNC;
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

/* PIPELINED produces of one record each, to partition 0 of `t`, as one piece of bytes. */
static void encode_produces(struct buf *out)
{
    struct batch_builder builder = {0};
    struct wire_out one = {0};
    struct err err;
    struct str bytes;
    batch_builder_begin(&builder, &BATCH_SPEC_PLAIN);
    batch_builder_add(&builder, 1000, STR("k"), STR("v"), NULL, 0);
    assert_true(batch_builder_finish(&builder, &bytes, &err));
    struct ProduceRequest_PartitionProduceData data = {.Records.bytes = bytes};
    struct ProduceRequest_TopicProduceData topic = {.Name = STR("t"), .PartitionData = {&data, 1}};
    struct ProduceRequest req = {.TransactionalId = STR_NULL,
                                 .Acks = -1,
                                 .TimeoutMs = 1000,
                                 .TopicData = {&topic, 1}};
    for (int i = 0; i < PIPELINED; i++) {
        buf_clear(&one.buf);
        wire_encode_request(wire_api_find(KEY_PRODUCE), VERSION, i, STR("c"), &req, &one);
        buf_append_str(out, buf_str(&one.buf));
    }
    wire_out_fini(&one);
    batch_builder_fini(&builder);
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

/* The answers come in order, each of them good: correlation id first, the error behind topic and partition. */
static void take_answers(int fd)
{
    enum { ERROR_POS = 4 + 4 + 2 + 1 + 4 + 4 };
    char size[4], answer[512];
    for (int i = 0; i < PIPELINED; i++) {
        read_all(fd, size, sizeof size);
        uint32_t len = load_be32(size);
        assert_in_range(len, ERROR_POS + 2, sizeof answer);
        read_all(fd, answer, len);
        assert_int_equal(load_be32(answer), i);
        assert_int_equal(load_be16(answer + ERROR_POS), 0);
    }
}

struct counted_watch {
    struct partition_watch watch;
    atomic_int count;
};

static void count_watch(struct partition_watch *watch)
{
    atomic_fetch_add(&((struct counted_watch *)watch)->count, 1);
}

static void test_shared_sync(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct broker *broker = start(io_memory_io(mem));
    struct counted_watch visible = {.watch = {.fn = count_watch, .events = PARTITION_WATCH_VISIBLE}};
    struct buf frames = {0};
    struct err err;
    assert_true(storage_topic_create(broker_storage(broker), STR("t"), 1, NULL, 0, &err));
    struct partition *part = storage_partition_get(broker_storage(broker), STR("t"), 0, &err);
    partition_watch_add(part, &visible.watch);
    encode_produces(&frames);
    int fd = open_socket(broker_kafka_port(broker));
    assert_int_equal(write(fd, frames.ptr, frames.len), frames.len);
    take_answers(fd);
    assert_int_equal(atomic_load(&visible.count), 1); /* told before the answers are */
    assert_int_equal(partition_hw(part), PIPELINED);
    close(fd);
    partition_watch_remove(part, &visible.watch);
    partition_unref(part);
    broker_stop(broker);
    io_memory_free(mem);
    buf_fini(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_sync)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
