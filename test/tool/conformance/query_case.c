/* query_case.c - statements, then inputs through one query after the other, then compare (the data's README, section 2). */
#include "conformance.h"

/* The statements of a case are lines of one text: places in messages count from its start. */
static struct str place(const struct json_value *statements, uint32_t i, struct arena *arena)
{
    struct buf text = {0};
    for (uint32_t before = 0; before < i; before++) {
        struct str stmt = statements->elems[before].str;
        for (size_t at = 0; at < stmt.len; at++)
            if (stmt.ptr[at] == '\n')
                buf_append_char(&text, '\n');
        buf_append_char(&text, '\n');
    }
    buf_append_str(&text, statements->elems[i].str);
    struct str placed = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return placed;
}

/* All statements are parsed first: a syntax error anywhere comes before any effect. */
static bool parse_all(const struct json_value *statements, struct arena *arena, struct err *err)
{
    for (uint32_t i = 0; i < statements->len; i++) {
        const struct ast_stmt *const *stmts;
        uint32_t count;
        if (!sql_parse(place(statements, i, arena), NULL, &stmts, &count, arena, err))
            return false;
    }
    return true;
}

static bool write_inputs(struct machine *machine, const struct json_value *inputs,
                         struct machine_record **out, uint32_t *count, struct err *err)
{
    *count = inputs != NULL && inputs->kind == JSON_ARRAY ? inputs->len : 0;
    *out = arena_array(&machine->arena, struct machine_record, *count);
    for (uint32_t i = 0; i < *count; i++) {
        struct machine_record *rec = &(*out)[i];
        struct client_offsets offsets;
        if (!data_encode(machine, &inputs->elems[i], rec, err))
            return false;
        if (client_partition_count(machine->client, rec->topic) < 0 &&
            !client_topic_create(machine->client, rec->topic, 1, NULL, 0, err))
            return false;
        struct client_writer_options options = {.batch_bytes = 0};
        struct client_writer *writer = client_writer_new(machine->client, rec->topic, &options, err);
        if (writer == NULL || !client_offsets(machine->client, rec->topic, 0, &offsets, err))
            return false;
        rec->offset = offsets.end;
        bool done = client_writer_add(writer, 0, rec->timestamp_ms, rec->key, rec->value, rec->headers,
                                      rec->header_count, err) &&
                    client_writer_wait(writer, err);
        client_writer_free(writer);
        if (!done)
            return false;
    }
    return true;
}

static bool is_input_topic(const struct machine_record *inputs, uint32_t count, struct str topic)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(inputs[i].topic, topic))
            return true;
    return false;
}

/* One query as a closed machine: the case's inputs in their order, then what its other topics hold. */
static bool run_query(struct machine_query *query, const struct machine_record *inputs, uint32_t count,
                      struct err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!flow_driver_reads(query->driver, inputs[i].topic))
            continue;
        struct record rec = {
            .offset = inputs[i].offset,
            .timestamp_ms = inputs[i].timestamp_ms,
            .key = inputs[i].key,
            .value = inputs[i].value,
            .headers = inputs[i].headers,
            .header_count = inputs[i].header_count,
        };
        if (!flow_driver_feed(query->driver, inputs[i].topic, &rec, err))
            return false;
    }
    for (uint32_t s = 0; s < query->plan->source_count; s++) {
        struct str topic = query->plan->sources[s]->topic;
        if (!is_input_topic(inputs, count, topic) && !flow_driver_drain(query->driver, topic, err))
            return false;
    }
    return true;
}

static bool run_statements(struct machine *machine, const struct json_value *statements, uint32_t *failed,
                           struct err *err)
{
    for (*failed = 0; *failed < statements->len; (*failed)++)
        if (!machine_run(machine, place(statements, *failed, &machine->arena), err))
            return false;
    return true;
}

static bool run_data(struct machine *machine, const struct json_value *root, uint32_t *input_count,
                     struct err *err)
{
    struct machine_record *inputs;
    if (!machine_sync_queries(machine, err) ||
        !write_inputs(machine, json_get(root, STR("inputs")), &inputs, input_count, err))
        return false;
    for (size_t i = 0; i < machine->queries.len; i++)
        if (!run_query(&machine->queries.at[i], inputs, *input_count, err))
            return false;
    return true;
}

static bool expect_error(const struct json_value *error, const struct json_value *statements,
                         bool by_statement, uint32_t failed, bool syntax, const struct err *got,
                         struct err *err)
{
    if (by_statement && !syntax && failed + 1 != statements->len)
        return err_set(err, ERR_ASSERTION, "statement %u failed, not the last: %s", failed, got->text);
    return error_matches(error, got, err);
}

bool run_query_case(const struct test_case *test, struct err *err)
{
    const struct json_value *statements = json_get(test->root, STR("statements")),
                            *error = json_get(test->root, STR("error"));
    struct machine machine;
    struct err got = {0};
    uint32_t failed = 0, input_count = 0;
    bool wants_error = error != NULL && error->kind == JSON_OBJECT;
    struct compare_rules rules = {.relaxed_doubles = false};
    bool done = machine_init(&machine, json_get(test->root, STR("properties")), err);
    const struct str *exact = map_get(&machine.properties, STR("use.exact.numeric.comparison"));
    rules.relaxed_doubles = exact != NULL && str_eq(*exact, STR("false"));
    done = done && machine_create_topics(&machine, json_get(test->root, STR("topics")), false, err);
    if (done) {
        bool parsed = parse_all(statements, &machine.arena, &got);
        bool stated = parsed && run_statements(&machine, statements, &failed, &got);
        bool ran = stated && run_data(&machine, test->root, &input_count, &got);
        if (ran && wants_error)
            done = err_set(err, ERR_ASSERTION, "an error is expected: %.*s",
                           STR_ARG(case_text(error, "message")));
        else if (ran)
            done = compare_outputs(&machine, json_get(test->root, STR("outputs")), input_count == 0, &rules,
                                   err) &&
                   check_post(&machine, json_get(test->root, STR("post")), err);
        else if (wants_error)
            done = expect_error(error, statements, parsed && !stated, failed, !parsed, &got, err);
        else
            done = err_set(err, got.code, "%s", got.text);
    }
    machine_fini(&machine);
    return done;
}
