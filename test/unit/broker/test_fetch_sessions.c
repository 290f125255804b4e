/* test_fetch_sessions.c - which fetch session gives its place to a new one (KIP-227), by a clock that only the test moves: one
 * that was idle for two minutes, or a smaller one that was made so long ago. What a session tells is test/peer's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "io/io.h"
#include "storage/storage.h"
#include "wire/wire.h"

enum { FETCH = 1, VERSION = 11, SLOTS = 2, EVICTION_MS = 120000, SESSION_NOT_FOUND = 70 };

struct world {
    struct io_memory *mem;
    struct broker *broker;
    int fd;
    struct arena arena;
};

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    struct broker_config config;
    struct err err;
    w->mem = io_memory_new(1);
    broker_config_init(&config);
    config.storage.data_dir = STR("/data");
    config.storage.wal_bytes_max = 256 << 10; /* a disk in memory copies a file to sync it */
    config.kafka_listen = STR("127.0.0.1:0");
    config.fetch_sessions_max = SLOTS;
    config.net_threads = 1;
    if (!broker_start(&w->broker, &config, io_memory_io(w->mem), NULL, &err) ||
        !storage_topic_create(broker_storage(w->broker), STR("t"), 3, NULL, 0, &err))
        fail_msg("%s", err.text);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)broker_kafka_port(w->broker)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(w->fd, (struct sockaddr *)&at, sizeof at), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close(w->fd);
    broker_stop(w->broker);
    io_memory_free(w->mem);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

static void read_all(int fd, char *out, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, out + got, size - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

/* One fetch that does not wait, of the first `parts` partitions. */
static struct FetchResponse *fetch(struct world *w, int32_t session, int32_t epoch, int32_t parts)
{
    const struct wire_api *api = wire_api_find(FETCH);
    struct FetchRequest req;
    struct FetchResponse *res = wire_new(api->response->body, 1, &w->arena);
    struct wire_out out = {0};
    struct err err;
    wire_init(&WIRE_FetchRequest, &req);
    req.ReplicaId = -1;
    req.MaxBytes = 1000;
    req.SessionId = session;
    req.SessionEpoch = epoch;
    WIRE_ALLOC(&w->arena, req.Topics, FetchRequest_FetchTopic, parts > 0);
    for (int32_t i = 0; i < req.Topics.len; i++) {
        req.Topics.at[i].Topic = STR("t");
        WIRE_ALLOC(&w->arena, req.Topics.at[i].Partitions, FetchRequest_FetchPartition, parts);
        for (int32_t j = 0; j < parts; j++) {
            req.Topics.at[i].Partitions.at[j].Partition = j;
            req.Topics.at[i].Partitions.at[j].PartitionMaxBytes = 1000;
        }
    }
    wire_encode_request(api, VERSION, 1, STR("test"), &req, &out);
    assert_int_equal(write(w->fd, out.buf.ptr, out.buf.len), out.buf.len);
    wire_out_fini(&out);
    char head[8]; /* length, correlation id */
    read_all(w->fd, head, sizeof head);
    size_t size = load_be32(head) - 4;
    char *body = arena_alloc(&w->arena, size);
    read_all(w->fd, body, size);
    if (!wire_decode(api->response, VERSION, str_of(body, size), res, NULL, &w->arena, &err))
        fail_msg("%s", err.text);
    return res;
}

/* The id of a new session; 0: it was declined, and the fetch answered all the same. */
static int32_t begin(struct world *w, int32_t parts)
{
    const struct FetchResponse *res = fetch(w, 0, 0, parts);
    assert_int_equal(res->ErrorCode, 0);
    assert_int_equal(res->Responses.len, 1);
    assert_int_equal(res->Responses.at[0].Partitions.len, parts);
    return res->SessionId;
}

static int16_t use(struct world *w, int32_t session, int32_t epoch)
{
    return fetch(w, session, epoch, 0)->ErrorCode;
}

static void test_an_idle_one_gives_way(void **state)
{
    struct world *w = *state;
    int32_t a = begin(w, 1), b = begin(w, 2);
    assert_true(a != 0 && b != 0 && a != b);
    assert_int_equal(begin(w, 3), 0); /* both are young */
    io_memory_advance_ms(w->mem, EVICTION_MS);
    assert_int_equal(begin(w, 1), 0); /* idle for two minutes, not for longer; and none is smaller */
    assert_int_equal(use(w, a, 1), 0);
    io_memory_advance_ms(w->mem, 1);
    int32_t c = begin(w, 1);
    assert_true(c != 0);
    assert_int_equal(use(w, b, 1), SESSION_NOT_FOUND);
    assert_int_equal(use(w, a, 2), 0);
    assert_int_equal(use(w, c, 1), 0);
}

static void test_an_old_smaller_one_gives_way(void **state)
{
    struct world *w = *state;
    int32_t a = begin(w, 2), b = begin(w, 1);
    for (int32_t epoch = 1; epoch <= 2; epoch++) { /* none is ever idle for longer than a minute and a bit */
        io_memory_advance_ms(w->mem, EVICTION_MS / 2 + 1);
        assert_int_equal(use(w, a, epoch), 0);
        assert_int_equal(use(w, b, epoch), 0);
    }
    assert_int_equal(begin(w, 1), 0); /* as small as the smallest */
    int32_t c = begin(w, 3);
    assert_true(c != 0);
    assert_int_equal(use(w, b, 3), SESSION_NOT_FOUND); /* the smaller of the two that are */
    assert_int_equal(use(w, a, 3), 0);
    int32_t d = begin(w, 3);
    assert_true(d != 0);
    assert_int_equal(use(w, a, 4), SESSION_NOT_FOUND);
    assert_int_equal(begin(w, 3), 0); /* c and d are young */
    assert_int_equal(use(w, c, 1), 0);
    assert_int_equal(use(w, d, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_idle_one_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_old_smaller_one_gives_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
