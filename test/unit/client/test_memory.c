/* The client in memory: topics, readers, writers, group offsets, as client.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "client/client.h"

static const struct str no_headers = {NULL, 0};

static struct client_writer *writer_on(struct client *client, const char *topic)
{
    struct err err;
    struct client_writer *writer =
        client_writer_new(client, str_from(topic), &(struct client_writer_options){0}, &err);
    assert_non_null(writer);
    return writer;
}

static void add(struct client_writer *writer, int64_t time_ms, const char *key, const char *value)
{
    assert_true(client_writer_add(writer, -1, time_ms, str_from(key), str_from(value), no_headers, 0, NULL));
}

static void records_come_back_in_order(void **state)
{
    struct client *client = client_memory_new();
    assert_true(client_topic_create(client, STR("t"), 1, NULL, 0, NULL));
    struct client_writer *writer = writer_on(client, "t");
    add(writer, 10, "a", "1");
    add(writer, 5, NULL, "2");
    add(writer, 7, "b", NULL);
    struct client_reader *reader =
        client_reader_new(client, STR("t"), 0, &(struct client_reader_options){.offset = CLIENT_EARLIEST},
                          NULL);
    struct record recs[8];
    assert_true(client_reader_poll(reader, NULL));
    assert_int_equal(client_reader_take(reader, recs, 2), 2);
    assert_int_equal(client_reader_lag(reader), 1);
    assert_int_equal(recs[0].timestamp_ms, 10);
    assert_true(str_eq(recs[0].key, STR("a")) && str_eq(recs[0].value, STR("1")));
    assert_true(str_is_null(recs[1].key));
    assert_int_equal(client_reader_take(reader, recs, 8), 1);
    assert_true(str_is_null(recs[0].value));
    assert_int_equal(recs[0].offset, 2);
    assert_int_equal(client_reader_position(reader), 3);
    assert_int_equal(client_reader_take(reader, recs, 8), 0);
    client_reader_free(reader);
    client_writer_free(writer);
    client_free(client);
}

/* Step mode runs one partition, whatever number the catalog sees. */
static void a_given_partition_is_kept_and_the_first_one_is_the_rest(void **state)
{
    struct client *client = client_memory_new();
    struct client_offsets offsets;
    assert_true(client_topic_create(client, STR("t"), 8, NULL, 0, NULL));
    struct client_writer *writer = writer_on(client, "t");
    for (int i = 0; i < 20; i++)
        add(writer, i, i % 2 ? "a" : "b", "v");
    assert_true(client_writer_add(writer, 5, 1, STR("a"), STR("v"), no_headers, 0, NULL));
    assert_true(client_offsets(client, STR("t"), 0, &offsets, NULL));
    assert_int_equal(offsets.end, 20);
    assert_true(client_offsets(client, STR("t"), 5, &offsets, NULL));
    assert_int_equal(offsets.end, 1);
    client_writer_free(writer);
    client_free(client);
}

static void count_calls(void *arg)
{
    ++*(int *)arg;
}

static void a_reader_is_told_of_new_records(void **state)
{
    struct client *client = client_memory_new();
    assert_true(client_topic_create(client, STR("t"), 1, NULL, 0, NULL));
    struct client_writer *writer = writer_on(client, "t");
    add(writer, 1, "a", "old");
    int calls = 0;
    struct client_reader_options options = {.offset = CLIENT_LATEST, .notify = count_calls, .arg = &calls};
    struct client_reader *reader = client_reader_new(client, STR("t"), 0, &options, NULL);
    assert_int_equal(client_reader_lag(reader), 0);
    add(writer, 2, "a", "new");
    assert_int_equal(calls, 1);
    struct record rec;
    assert_int_equal(client_reader_take(reader, &rec, 1), 1);
    assert_true(str_eq(rec.value, STR("new")));
    client_reader_free(reader);
    add(writer, 3, "a", "later");
    assert_int_equal(calls, 1);
    client_writer_free(writer);
    client_free(client);
}

static void topics_are_described_and_deleted(void **state)
{
    struct client *client = client_memory_new();
    struct arena arena = {0};
    struct client_topic_config config = {STR_INIT("cleanup.policy"), STR_INIT("compact")};
    struct err err;
    assert_true(client_topic_create(client, STR("b"), 2, &config, 1, NULL));
    assert_true(client_topic_create(client, STR("a"), -1, NULL, 0, NULL));
    assert_false(client_topic_create(client, STR("a"), 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_TOPIC_EXISTS);
    assert_false(client_topic_create(client, STR("c"), 0, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_PARTITIONS);
    size_t count;
    struct client_topic *list = client_topic_list(client, &count, &arena);
    assert_int_equal(count, 2);
    assert_true(str_eq(list[0].name, STR("a")) && list[0].partition_count == 1);
    assert_true(str_eq(list[1].configs[0].value, STR("compact")));
    struct str policy = client_topic_config_get(client, STR("b"), STR("cleanup.policy"), &arena);
    assert_true(str_eq(policy, STR("compact")));
    struct client_reader *reader =
        client_reader_new(client, STR("b"), 1, &(struct client_reader_options){0}, NULL);
    assert_true(client_topic_delete(client, STR("b"), NULL));
    assert_int_equal(client_partition_count(client, STR("b")), -1);
    assert_false(client_reader_poll(reader, &err));
    assert_int_equal(err.code, ERR_UNKNOWN_TOPIC);
    client_reader_free(reader);
    arena_fini(&arena);
    client_free(client);
}

static void group_offsets_are_kept(void **state)
{
    struct client *client = client_memory_new();
    struct client_group_offset offsets[] = {{STR_INIT("t"), 0, 5}, {STR_INIT("t"), 1, 7}};
    assert_true(client_group_commit(client, STR("g"), offsets, 2, NULL));
    offsets[0].offset = 6;
    assert_true(client_group_commit(client, STR("g"), offsets, 1, NULL));
    struct client_group_offset ask[] = {{STR_INIT("t"), 0, 0}, {STR_INIT("t"), 1, 0}, {STR_INIT("t"), 2, 0}};
    assert_true(client_group_fetch(client, STR("g"), ask, 3, NULL));
    assert_int_equal(ask[0].offset, 6);
    assert_int_equal(ask[1].offset, 7);
    assert_int_equal(ask[2].offset, -1);
    assert_true(client_group_delete(client, STR("g"), NULL));
    assert_true(client_group_fetch(client, STR("g"), ask, 1, NULL));
    assert_int_equal(ask[0].offset, -1);
    client_free(client);
}

static void time_finds_the_first_record_not_before_it(void **state)
{
    struct client *client = client_memory_new();
    assert_true(client_topic_create(client, STR("t"), 1, NULL, 0, NULL));
    struct client_writer *writer = writer_on(client, "t");
    add(writer, 10, "a", "1");
    add(writer, 30, "a", "2");
    int64_t offset;
    assert_true(client_offset_for_time(client, STR("t"), 0, 11, &offset, NULL));
    assert_int_equal(offset, 1);
    assert_true(client_offset_for_time(client, STR("t"), 0, 31, &offset, NULL));
    assert_int_equal(offset, 2);
    client_writer_free(writer);
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_order),
        cmocka_unit_test(a_given_partition_is_kept_and_the_first_one_is_the_rest),
        cmocka_unit_test(a_reader_is_told_of_new_records),
        cmocka_unit_test(topics_are_described_and_deleted),
        cmocka_unit_test(group_offsets_are_kept),
        cmocka_unit_test(time_finds_the_first_record_not_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
