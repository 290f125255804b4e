/* The client over rialto's own log: what can be read when, transactions, codecs, offsets, groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "broker/broker.h"
#include "client/client.h"
#include "io/io.h"

struct fixture {
    char dir[64];
    struct broker *broker;
    struct client *client;
};

static void open_broker(struct fixture *fx)
{
    struct broker_config config;
    struct err err;
    broker_config_init(&config);
    config.storage.data_dir = str_from(fx->dir);
    config.kafka_listen = STR("");
    if (!broker_start(&fx->broker, &config, io_real(), NULL, &err))
        fail_msg("%s", err.text);
    fx->client = client_embedded_new(broker_storage(fx->broker), broker_coord(fx->broker));
}

static void close_broker(struct fixture *fx)
{
    client_free(fx->client);
    broker_stop(fx->broker);
}

static void set_up(struct fixture *fx)
{
    *fx = (struct fixture){.dir = "/tmp/rialto-client-XXXXXX"};
    assert_non_null(mkdtemp(fx->dir));
    open_broker(fx);
    assert_true(client_topic_create(fx->client, STR("t"), 2, NULL, 0, NULL));
}

static void tear_down(struct fixture *fx)
{
    close_broker(fx);
    assert_true(io_remove_tree(io_real(), fx->dir, NULL));
}

static struct client_writer *writer_of(struct fixture *fx, enum codec codec, bool transactional)
{
    struct client_writer_options options = {.codec = codec, .transactional = transactional};
    struct client_writer *writer = client_writer_new(fx->client, STR("t"), &options, NULL);
    assert_non_null(writer);
    return writer;
}

static void add(struct client_writer *writer, int32_t partition, const char *value)
{
    assert_true(client_writer_add(writer, partition, 5, STR("k"), str_from(value), STR_NULL, 0, NULL));
}

static struct client_reader *reader_of(struct fixture *fx, enum client_isolation isolation)
{
    struct client_reader_options options = {.isolation = isolation, .offset = CLIENT_EARLIEST};
    struct client_reader *reader = client_reader_new(fx->client, STR("t"), 0, &options, NULL);
    assert_non_null(reader);
    return reader;
}

/* The values that can be read now, one after the other. */
static void read_all(struct client_reader *reader, struct buf *out)
{
    struct record rec;
    buf_clear(out);
    while (client_reader_poll(reader, NULL) && client_reader_take(reader, &rec, 1) == 1) {
        buf_append_str(out, rec.value);
        buf_append_char(out, ' ');
    }
}

/* Markers are durable a moment after the decision. */
static void wait_committed(struct fixture *fx, int64_t want)
{
    struct client_offsets offsets = {0};
    for (int i = 0; i < 2000 && offsets.committed != want; i++) {
        struct timespec wait = {0, 1000000};
        nanosleep(&wait, NULL);
        assert_true(client_offsets(fx->client, STR("t"), 0, &offsets, NULL));
    }
    assert_int_equal(offsets.committed, want);
}

static void assert_reads(struct fixture *fx, enum client_isolation isolation, const char *want)
{
    struct buf got = {0};
    struct client_reader *reader = reader_of(fx, isolation);
    read_all(reader, &got);
    assert_string_equal(got.len ? got.ptr : "", want);
    client_reader_free(reader);
    buf_fini(&got);
}

static void batches_of_all_codecs_come_back(void **state)
{
    struct fixture fx;
    set_up(&fx);
    enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    struct buf want = {0}, got = {0};
    for (size_t c = 0; c < COUNT_OF(codecs); c++) {
        struct client_writer *writer = writer_of(&fx, codecs[c], false);
        for (int i = 0; i < 300; i++) {
            char value[32];
            ignore(snprintf(value, sizeof value, "codec-%zu-value-%d", c, i) < 0, "it fits");
            add(writer, 0, value);
            buf_printf(&want, "%s ", value);
        }
        assert_true(client_writer_wait(writer, NULL));
        client_writer_free(writer);
    }
    struct client_reader *reader = reader_of(&fx, CLIENT_COMMITTED);
    read_all(reader, &got);
    assert_string_equal(got.ptr, want.ptr);
    assert_int_equal(client_reader_position(reader), 1500);
    assert_int_equal(client_reader_lag(reader), 0);
    assert_true(client_reader_seek(reader, 1499, NULL));
    read_all(reader, &got);
    assert_string_equal(got.ptr, "codec-4-value-299 ");
    client_reader_free(reader);
    buf_fini(&want);
    buf_fini(&got);
    tear_down(&fx);
}

static void a_transaction_is_read_by_its_own_engine_at_once_and_by_others_when_decided(void **state)
{
    struct fixture fx;
    set_up(&fx);
    struct client_writer *writer = writer_of(&fx, CODEC_NONE, true);
    struct client_txn *txn = client_txn_begin(fx.client, STR("rialto-engine-e"), NULL);
    assert_non_null(txn);
    add(writer, 0, "held");
    assert_true(client_writer_flush(writer, NULL));
    assert_reads(&fx, CLIENT_APPENDED, "");
    assert_true(client_writer_held(writer) > 0);
    client_writer_set_txn(writer, txn);
    add(writer, 0, "more");
    assert_true(client_writer_flush(writer, NULL));
    assert_int_equal(client_writer_held(writer), 0);
    assert_reads(&fx, CLIENT_APPENDED, "held more ");
    assert_reads(&fx, CLIENT_COMMITTED, "");
    struct client_txn_input input = {STR("t"), 0, 2};
    assert_true(client_txn_commit(txn, &input, 1, NULL));
    client_writer_set_txn(writer, NULL);
    wait_committed(&fx, 3); /* two batches in one go or two, and a marker */
    assert_reads(&fx, CLIENT_COMMITTED, "held more ");
    client_writer_free(writer);
    tear_down(&fx);
}

static void an_aborted_transaction_is_read_by_nobody(void **state)
{
    struct fixture fx;
    int64_t pid, txn_pid;
    int16_t epoch, txn_epoch;
    set_up(&fx);
    assert_int_equal(client_txn_last(fx.client, STR("rialto-engine-e"), &pid, &epoch), CLIENT_TXN_NONE);
    struct client_writer *writer = writer_of(&fx, CODEC_NONE, true),
                         *plain = writer_of(&fx, CODEC_NONE, false);
    struct client_txn *txn = client_txn_begin(fx.client, STR("rialto-engine-e"), NULL);
    txn_pid = client_txn_pid(txn);
    txn_epoch = client_txn_epoch(txn);
    client_writer_set_txn(writer, txn);
    add(writer, 0, "lost");
    assert_true(client_writer_flush(writer, NULL));
    add(plain, 0, "kept");
    assert_true(client_writer_wait(plain, NULL));
    assert_true(client_txn_abort(txn, NULL));
    client_writer_set_txn(writer, NULL);
    assert_int_equal(client_txn_last(fx.client, STR("rialto-engine-e"), &pid, &epoch), CLIENT_TXN_ABORTED);
    assert_int_equal(pid, txn_pid);
    assert_int_equal(epoch, txn_epoch);
    assert_reads(&fx, CLIENT_APPENDED, "kept ");
    wait_committed(&fx, 3);
    assert_reads(&fx, CLIENT_COMMITTED, "kept ");
    struct client_reader *reader = reader_of(&fx, CLIENT_APPENDED);
    struct buf got = {0};
    read_all(reader, &got);
    assert_int_equal(client_reader_position(reader), 3); /* also past the marker */
    assert_int_equal(client_reader_lag(reader), 0);
    buf_fini(&got);
    client_reader_free(reader);
    client_writer_free(writer);
    client_writer_free(plain);
    tear_down(&fx);
}

static void an_open_transaction_does_not_survive(void **state)
{
    struct fixture fx;
    int64_t pid;
    int16_t epoch;
    set_up(&fx);
    struct client_writer *writer = writer_of(&fx, CODEC_NONE, true);
    struct client_txn *txn = client_txn_begin(fx.client, STR("rialto-engine-e"), NULL);
    client_writer_set_txn(writer, txn);
    add(writer, 0, "first");
    assert_true(client_writer_flush(writer, NULL));
    /* Another one of the same id: the first is aborted. */
    struct client_txn *next = client_txn_begin(fx.client, STR("rialto-engine-e"), NULL);
    assert_non_null(next);
    struct err err;
    add(writer, 0, "late");
    assert_false(client_writer_flush(writer, &err));
    assert_int_equal(err.code, ERR_PRODUCER_FENCED);
    client_writer_free(writer);
    assert_false(client_txn_commit(txn, NULL, 0, &err));
    assert_true(client_txn_commit(next, NULL, 0, NULL));
    assert_int_equal(client_txn_last(fx.client, STR("rialto-engine-e"), &pid, &epoch), CLIENT_TXN_COMMITTED);
    assert_reads(&fx, CLIENT_APPENDED, "");
    tear_down(&fx);
}

static void count_calls(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void readers_are_told_and_see_deletion(void **state)
{
    struct fixture fx;
    _Atomic int calls = 0;
    struct err err;
    set_up(&fx);
    struct client_reader_options options = {.isolation = CLIENT_APPENDED,
                                            .offset = CLIENT_LATEST,
                                            .notify = count_calls,
                                            .arg = &calls};
    struct client_reader *reader = client_reader_new(fx.client, STR("t"), 0, &options, NULL);
    struct client_writer *writer = writer_of(&fx, CODEC_NONE, false);
    add(writer, 0, "x");
    assert_true(client_writer_flush(writer, NULL));
    assert_true(atomic_load(&calls) > 0);
    assert_true(client_topic_delete(fx.client, STR("t"), NULL));
    while (client_reader_poll(reader, &err)) {
        struct record rec;
        if (client_reader_take(reader, &rec, 1) == 0)
            continue;
    }
    assert_int_equal(err.code, ERR_UNKNOWN_TOPIC);
    client_reader_free(reader);
    client_writer_free(writer);
    assert_null(client_reader_new(fx.client, STR("t"), 0, &options, &err));
    assert_int_equal(err.code, ERR_UNKNOWN_TOPIC);
    tear_down(&fx);
}

static void offsets_and_groups_survive_a_restart(void **state)
{
    struct fixture fx;
    set_up(&fx);
    struct client_writer *writer = writer_of(&fx, CODEC_NONE, false);
    add(writer, 1, "a");
    add(writer, 1, "b");
    assert_true(client_writer_wait(writer, NULL));
    client_writer_free(writer);
    struct client_group_offset offset = {STR("t"), 1, 2};
    assert_true(client_group_commit(fx.client, STR("g"), &offset, 1, NULL));
    close_broker(&fx);
    open_broker(&fx);
    struct client_group_offset ask[2] = {{STR("t"), 1, 0}, {STR("t"), 0, 0}};
    assert_true(client_group_fetch(fx.client, STR("g"), ask, 2, NULL));
    assert_int_equal(ask[0].offset, 2);
    assert_int_equal(ask[1].offset, -1);
    struct client_offsets offsets;
    assert_true(client_offsets(fx.client, STR("t"), 1, &offsets, NULL));
    assert_int_equal(offsets.end, 2);
    int64_t at;
    assert_true(client_offset_for_time(fx.client, STR("t"), 1, 6, &at, NULL));
    assert_int_equal(at, 2);
    assert_true(client_group_delete(fx.client, STR("g"), NULL));
    assert_true(client_group_delete(fx.client, STR("g"), NULL));
    tear_down(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_all_codecs_come_back),
        cmocka_unit_test(a_transaction_is_read_by_its_own_engine_at_once_and_by_others_when_decided),
        cmocka_unit_test(an_aborted_transaction_is_read_by_nobody),
        cmocka_unit_test(an_open_transaction_does_not_survive),
        cmocka_unit_test(readers_are_told_and_see_deletion),
        cmocka_unit_test(offsets_and_groups_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
