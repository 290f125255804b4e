/* script_case.c - scripts with INSERT and ASSERT statements, one statement at a time (the data's README, section 9).
 *
 * ASSERT statements are the test tool's, so they are executed here: ASSERT VALUES takes the next unread record of the
 * source's topic; ASSERT STREAM / TABLE compares the definition with the catalog's.
 */
#include "analyze/analyze.h"
#include "conformance.h"

struct script {
    struct machine machine;
    struct map readers; /* topic -> struct client_reader * */
};

/* Drives all queries until no topic has anything new. A chain is reached in order of creation; a few rounds cover INSERT
 * INTO cycles of any shape that ends. */
static bool drive(struct script *script, struct err *err)
{
    struct machine *machine = &script->machine;
    if (!machine_sync_queries(machine, err))
        return false;
    for (size_t round = 0; round <= machine->queries.len; round++)
        for (size_t i = 0; i < machine->queries.len; i++)
            for (uint32_t s = 0; s < machine->queries.at[i].plan->source_count; s++)
                if (!flow_driver_drain(machine->queries.at[i].driver,
                                       machine->queries.at[i].plan->sources[s]->topic, err))
                    return false;
    return true;
}

static struct client_reader *reader_of(struct script *script, struct str topic, struct err *err)
{
    struct client_reader *reader = map_get(&script->readers, topic);
    if (reader != NULL)
        return reader;
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
    reader = client_reader_new(script->machine.client, topic, 0, &options, err);
    if (reader != NULL)
        map_put(&script->readers, topic, reader);
    return reader;
}

static bool next_record(struct script *script, struct str topic, struct record *rec, struct err *err)
{
    struct client_reader *reader = reader_of(script, topic, err);
    if (reader == NULL)
        return false;
    if (client_reader_take(reader, rec, 1) == 1)
        return true;
    if (!client_reader_poll(reader, err))
        return false;
    return client_reader_take(reader, rec, 1) == 1 ||
           err_set(err, ERR_ASSERTION, "Expected another record, but all records have already been read");
}

/* Decodes a record into one value per schema column; NULL values where the record has none. */
static bool decode_record(const struct source *source, const struct record *rec, struct value *values,
                          struct arena *arena, struct err *err)
{
    const struct schema *schema = source->schema;
    for (int side = 0; side < 2; side++) {
        uint32_t first = side == 0 ? 0 : schema->key_count;
        uint32_t count = side == 0 ? schema->key_count : schema->column_count - schema->key_count;
        const struct source_format *format = side == 0 ? &source->key_format : &source->value_format;
        struct str bytes = side == 0 ? rec->key : rec->value;
        int64_t start_ms, end_ms;
        if (side == 0 && source->window_kind == WINDOW_SESSION &&
            !serde_cut_session_window(&bytes, &start_ms, &end_ms, err))
            return false;
        if (side == 0 && (source->window_kind == WINDOW_TUMBLING || source->window_kind == WINDOW_HOPPING) &&
            !serde_cut_time_window(&bytes, &start_ms, err))
            return false;
        if (count == 0)
            continue;
        struct serde_options options = {.delimiter = format->delimiter,
                                        .wrap = format->wrap == WRAP_SINGLES     ? SERDE_WRAP
                                                : format->wrap == UNWRAP_SINGLES ? SERDE_UNWRAP
                                                                                 : SERDE_WRAP_DEFAULT};
        struct serde *serde = serde_new(serde_format_find(format->name), side == 0 ? SERDE_KEY : SERDE_VALUE,
                                        schema->columns + first, count, &options, err);
        if (serde == NULL)
            return false;
        struct value **cols = arena_array(arena, struct value *, count);
        for (uint32_t i = 0; i < count; i++)
            cols[i] = &values[first + i];
        bool done = serde_decode(serde, bytes, cols, 0, NULL, arena, err);
        for (uint32_t i = 0; done && i < count; i++)
            values[first + i] = value_dup(values[first + i], arena);
        serde_free(serde);
        if (!done)
            return false;
    }
    return true;
}

static int32_t topic_partitions(void *state, struct str topic)
{
    struct script *script = state;
    return client_partition_count(script->machine.client, topic);
}

/* Turns ASSERT VALUES into the INSERT it mirrors, so that the same rules give the expected values. Windowed and
 * read-only sources can be asserted too: their rows are given by the inner key. */
static bool expected_values(struct script *script, const struct ast_stmt *stmt, const struct source *source,
                            struct value *values, int64_t *rowtime_ms, struct err *err)
{
    struct ast_stmt insert = *stmt;
    struct func_settings settings = {.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
    const struct catalog *catalog = engine_catalog(script->machine.engine);
    struct source *open = source_new(source);
    open->window_kind = WINDOW_NONE;
    open->read_only = false;
    const struct catalog *with_open = catalog_with_source(catalog, open);
    struct analyze_env env = {.catalog = with_open,
                              .properties = &script->machine.properties,
                              .func_settings = &settings,
                              .topic_partitions = topic_partitions,
                              .state = script};
    const struct source *target;
    insert.kind = STMT_INSERT_VALUES;
    bool done =
        analyze_insert_values(&env, &insert, &target, values, rowtime_ms, &script->machine.arena, err);
    catalog_unref(with_open);
    source_unref(open);
    catalog_unref(catalog);
    return done;
}

static bool is_named(const struct ast_stmt *stmt, struct str column)
{
    for (uint32_t i = 0; i < stmt->insert_column_count; i++)
        if (str_eq(stmt->insert_columns[i], column))
            return true;
    return stmt->insert_column_count == 0;
}

static bool assert_values(struct script *script, const struct ast_stmt *stmt, struct err *err)
{
    struct arena *arena = &script->machine.arena;
    const struct catalog *catalog = engine_catalog(script->machine.engine);
    const struct source *source = catalog_source(catalog, stmt->name);
    bool done = source != NULL || err_set(err, ERR_STATEMENT, "%.*s does not exist", STR_ARG(stmt->name));
    struct record rec;
    int64_t rowtime_ms = -1;
    if (done) {
        uint32_t count = source->schema->column_count;
        struct value *wanted = arena_array(arena, struct value, count),
                     *got = arena_array(arena, struct value, count);
        bool tombstone = stmt->kind == STMT_ASSERT_NULL_VALUES;
        done = expected_values(script, stmt, source, wanted, &rowtime_ms, err) &&
               next_record(script, source->topic, &rec, err) && decode_record(source, &rec, got, arena, err);
        if (done && tombstone && !str_is_null(rec.value))
            done = err_set(err, ERR_ASSERTION,
                           "Expected record does not match actual. A tombstone expected, got: %.*s",
                           STR_ARG(rec.value));
        if (done && rowtime_ms >= 0 && stmt->insert_column_count != 0 && is_named(stmt, STR("ROWTIME")) &&
            rowtime_ms != rec.timestamp_ms)
            done =
                err_set(err, ERR_ASSERTION,
                        "Expected record does not match actual. ROWTIME %" PRId64 " expected, got %" PRId64,
                        rowtime_ms, rec.timestamp_ms);
        for (uint32_t i = 0; done && i < count; i++)
            if (is_named(stmt, source->schema->columns[i].name) && !value_eq(wanted[i], got[i])) {
                struct buf text = {0};
                value_print(wanted[i], source->schema->columns[i].type, &text);
                buf_append_cstr(&text, " expected, got ");
                value_print(got[i], source->schema->columns[i].type, &text);
                done = err_set(err, ERR_ASSERTION, "Expected record does not match actual. %.*s: %s",
                               STR_ARG(source->schema->columns[i].name), text.ptr);
                buf_fini(&text);
            }
    }
    catalog_unref(catalog);
    return done;
}

static bool assert_source(struct script *script, const struct ast_stmt *stmt, struct err *err)
{
    struct func_settings settings = {0};
    const struct catalog *catalog = engine_catalog(script->machine.engine);
    struct analyze_env env = {.catalog = catalog,
                              .properties = &script->machine.properties,
                              .func_settings = &settings,
                              .topic_partitions = topic_partitions,
                              .state = script};
    bool done = analyze_assert_source(&env, stmt, &script->machine.arena, err);
    catalog_unref(catalog);
    return done;
}

static bool create_named_topics(struct script *script, const struct ast_stmt *stmt, struct err *err)
{
    if (stmt->kind != STMT_CREATE_STREAM && stmt->kind != STMT_CREATE_TABLE)
        return true;
    for (uint32_t i = 0; i < stmt->property_count; i++)
        if (str_eq_nocase(stmt->properties[i].name, STR("KAFKA_TOPIC")) &&
            client_partition_count(script->machine.client, stmt->properties[i].value->text) < 0)
            return client_topic_create(script->machine.client, stmt->properties[i].value->text, 1, NULL, 0,
                                       err);
    return true;
}

static bool run_stmt(struct script *script, const struct ast_stmt *stmt, struct err *err)
{
    struct arena *arena = &script->machine.arena;
    switch (stmt->kind) {
    case STMT_SET_PROPERTY: {
        struct str *value = arena_new(arena, struct str);
        *value = str_dup(stmt->value, arena);
        map_put(&script->machine.properties, stmt->name, value); /* lasts until the end of the script */
        return true;
    }
    case STMT_UNSET_PROPERTY:
        map_remove(&script->machine.properties, stmt->name);
        return true;
    case STMT_ASSERT_VALUES:
    case STMT_ASSERT_NULL_VALUES:
        return assert_values(script, stmt, err);
    case STMT_ASSERT_STREAM:
    case STMT_ASSERT_TABLE:
        return assert_source(script, stmt, err);
    default:
        return create_named_topics(script, stmt, err) && machine_run(&script->machine, stmt->text, err) &&
               drive(script, err);
    }
}

static bool run_all(struct script *script, const struct json_value *statements, struct err *err)
{
    for (uint32_t i = 0; i < statements->len; i++) {
        const struct ast_stmt *const *stmts;
        uint32_t count;
        if (!sql_parse_script(statements->elems[i].str, NULL, &stmts, &count, &script->machine.arena, err))
            return false;
        for (uint32_t s = 0; s < count; s++)
            if (!run_stmt(script, stmts[s], err))
                return false;
    }
    return true;
}

bool run_script_case(const struct test_case *test, struct err *err)
{
    const struct json_value *error = json_get(test->root, STR("error"));
    bool wants_error = error != NULL && error->kind == JSON_OBJECT;
    struct script script = {0};
    struct err got = {0};
    bool done = machine_init(&script.machine, NULL, err);
    if (done) {
        bool ran = run_all(&script, json_get(test->root, STR("statements")), &got);
        if (ran && wants_error)
            done = err_set(err, ERR_ASSERTION, "an error is expected: %.*s",
                           STR_ARG(case_text(error, "message")));
        else if (!ran && wants_error)
            done = error_matches(error, &got, err);
        else if (!ran)
            done = err_set(err, got.code, "%s", got.text);
    }
    struct str topic;
    void *reader;
    for (size_t pos = 0; map_next(&script.readers, &pos, &topic, &reader);)
        client_reader_free(reader);
    map_fini(&script.readers);
    machine_fini(&script.machine);
    return done;
}
