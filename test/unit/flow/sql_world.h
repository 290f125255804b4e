/* sql_world.h - streams, tables and plans from SQL texts, for tests of flow. Topics are made in the given client. */
#ifndef RIALTO_TEST_SQL_WORLD_H
#define RIALTO_TEST_SQL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "flow/flow.h"
#include "sql/sql.h"

struct sql_world {
    struct arena arena;
    struct client *client;
    const struct catalog *catalog;
    struct map properties;
    struct func_settings settings;
    struct analyze_env env;
    vec(struct plan *) plans;
};

static int32_t sql_world_partitions(void *state, struct str topic)
{
    return client_partition_count(((struct sql_world *)state)->client, topic);
}

static void sql_world_init(struct sql_world *world, struct client *client)
{
    *world = (struct sql_world){.client = client, .settings = {INT32_MAX, INT32_MAX}};
    world->catalog = catalog_new();
    world->env = (struct analyze_env){world->catalog, &world->properties, &world->settings,
                                      sql_world_partitions, world};
}

static void sql_world_fini(struct sql_world *world)
{
    for (size_t i = 0; i < world->plans.len; i++)
        plan_free(world->plans.at[i]);
    vec_fini(&world->plans);
    catalog_unref(world->catalog);
    map_fini(&world->properties);
    arena_fini(&world->arena);
}

static void sql_world_add(struct sql_world *world, const struct source *source)
{
    const struct catalog *next = catalog_with_source(world->catalog, source);
    catalog_unref(world->catalog);
    world->catalog = world->env.catalog = next;
    if (client_partition_count(world->client, source->topic) < 0) {
        struct err err;
        int32_t partitions = source->partition_count > 0 ? source->partition_count : 1;
        if (!client_topic_create(world->client, source->topic, partitions, NULL, 0, &err))
            fail_msg("topic: %s", err.text);
    }
}

/* Runs one statement. The plan when it is a query (owned by the world), else NULL. */
static const struct plan *sql_run(struct sql_world *world, const char *query_id, const char *text)
{
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct err err = {0};
    if (!sql_parse(str_from(text), NULL, &stmts, &count, &world->arena, &err) || count != 1)
        fail_msg("%s\n  %s", text, err.text);
    if (stmts[0]->query == NULL) {
        struct source *source;
        if (!analyze_create_source(&world->env, stmts[0], &source, &world->arena, &err))
            fail_msg("%s\n  %s", text, err.text);
        sql_world_add(world, source);
        source_unref(source);
        return NULL;
    }
    const struct analysis *analysis;
    struct plan *plan;
    if (!analyze_query(&world->env, stmts[0], str_from(query_id), &analysis, &world->arena, &err) ||
        !plan_build(analysis, &world->env, &plan, &err))
        fail_msg("%s\n  %s", text, err.text);
    vec_push(&world->plans, plan);
    if (plan->sink->sink.sink != NULL)
        sql_world_add(world, plan->sink->sink.sink);
    return plan;
}

/* Appends a record; NULL: null. Plain bytes, as formats KAFKA (text), JSON and DELIMITED have them. */
static inline void sql_put(struct sql_world *world, const char *topic, int32_t partition, int64_t time_ms,
                           const char *key, const char *value)
{
    struct err err;
    struct client_writer *writer =
        client_writer_new(world->client, str_from(topic), &(struct client_writer_options){0}, &err);
    if (writer == NULL ||
        !client_writer_add(writer, partition, time_ms, str_from(key), str_from(value), STR_NULL, 0, &err) ||
        !client_writer_wait(writer, &err))
        fail_msg("%s: %s", topic, err.text);
    client_writer_free(writer);
}

static inline void sql_print_bytes(struct buf *out, struct str bytes)
{
    if (str_is_null(bytes)) {
        buf_append_cstr(out, "null");
        return;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] >= ' ' && bytes.ptr[i] < 127)
            buf_append_char(out, bytes.ptr[i]);
        else if (bytes.ptr[i] != 0) /* of windows, only what differs is of interest */
            buf_printf(out, "\\%u", (uint8_t)bytes.ptr[i]);
    }
}

/* Committed records of a partition from an offset on: "key=value@time ...". */
static inline void sql_read(struct sql_world *world, const char *topic, int32_t partition, int64_t offset,
                            struct buf *out)
{
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = offset};
    struct err err;
    struct client_reader *reader =
        client_reader_new(world->client, str_from(topic), partition, &options, &err);
    if (reader == NULL)
        fail_msg("%s", err.text);
    struct record rec;
    while (client_reader_poll(reader, &err) && client_reader_take(reader, &rec, 1) == 1) {
        if (out->len != 0)
            buf_append_char(out, ' ');
        sql_print_bytes(out, rec.key);
        buf_append_char(out, '=');
        sql_print_bytes(out, rec.value);
        buf_printf(out, "@%" PRId64, rec.timestamp_ms);
    }
    client_reader_free(reader);
}

#define assert_topic(world, topic, want)                                     \
    do {                                                                     \
        struct buf assert_got_ = {0};                                        \
        sql_read((world), (topic), 0, CLIENT_EARLIEST, &assert_got_);        \
        assert_string_equal(assert_got_.len ? assert_got_.ptr : "", (want)); \
        buf_fini(&assert_got_);                                              \
    } while (0)

#endif
