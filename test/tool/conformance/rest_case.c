/* rest_case.c - pull and push queries and their answers (the data's README, section 8), in process.
 *
 * The answers are built from the engine's own rows in the form of /query: header, rows, final message. Expected objects
 * are subsets; numbers are compared with their scale.
 */
#include "conformance.h"
#include "type/decimal.h"

struct answer { /* one response: a list of JSON elements */
    struct buf json;
    struct json_writer out;
    const struct plan *plan;
    bool limit_reached;
    int64_t left;
};

static void put_header(struct answer *answer)
{
    const struct plan *plan = answer->plan;
    struct buf text = {0};
    for (uint32_t i = 0; i < plan->output_count; i++) {
        const struct column *column = &plan->sink->columns[plan->output_order[i]];
        if (i != 0)
            buf_append_cstr(&text, ", ");
        sql_print_quoted(column->name, &text);
        buf_append_char(&text, ' ');
        type_print(column->type, &text);
        if (plan->kind == QUERY_PULL && column->role == COLUMN_KEY)
            buf_append_cstr(&text, " KEY");
    }
    json_object_begin(&answer->out);
    json_key_begin(&answer->out, "header");
    json_object_begin(&answer->out);
    json_key_str(&answer->out, "schema", buf_str(&text));
    json_object_end(&answer->out);
    json_object_end(&answer->out);
    buf_fini(&text);
}

static bool on_rows(void *arg, const struct flow_rows *rows)
{
    struct answer *answer = arg;
    for (uint32_t row = 0; row < rows->count && answer->left != 0; row++, answer->left -= answer->left > 0) {
        bool tombstone = rows->tombstones != NULL && rows->tombstones[row];
        json_object_begin(&answer->out);
        json_key_begin(&answer->out, "row");
        json_object_begin(&answer->out);
        json_key_begin(&answer->out, "columns");
        json_array_begin(&answer->out);
        for (uint32_t c = 0; c < rows->column_count; c++)
            serde_value_to_json(rows->cols[c][row],
                                answer->plan->sink->columns[answer->plan->output_order[c]].type,
                                SERDE_JSON_HTTP, &answer->out);
        json_array_end(&answer->out);
        if (tombstone)
            json_key_bool(&answer->out, "tombstone", true);
        json_object_end(&answer->out);
        json_object_end(&answer->out);
    }
    return answer->left != 0;
}

static void on_end(void *arg, bool limit_reached, const struct err *failure)
{
    struct answer *answer = arg;
    answer->limit_reached = limit_reached;
}

static struct machine_query *query_of(struct machine *machine, struct str id)
{
    for (size_t i = 0; i < machine->queries.len; i++)
        if (str_eq(machine->queries.at[i].id, id))
            return &machine->queries.at[i];
    return NULL;
}

static bool run_pull(struct machine *machine, const struct plan *plan, struct answer *answer, struct err *err)
{
    struct func_settings settings = {.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
    if (plan->limit == 0)
        return true;
    if (plan->pull.kind == PULL_STREAM)
        return flow_pull_stream(machine->client, plan, &settings, on_rows, answer, err);
    struct machine_query *query = query_of(machine, plan->sources[0]->query_id);
    if (query == NULL)
        return err_set(err, ERR_STATEMENT, "no query keeps the rows of %.*s",
                       STR_ARG(plan->sources[0]->name));
    return flow_driver_pull(query->driver, plan, on_rows, answer, err);
}

static bool run_push(struct machine *machine, const struct plan *plan, struct answer *answer, struct err *err)
{
    struct func_settings settings = {.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
    struct flow_driver_options options = {
        .client = machine->client,
        .query = {.id = STR("transient"),
                  .reset = FLOW_EARLIEST,
                  .func_settings = &settings,
                  .on_rows = on_rows,
                  .on_end = on_end,
                  .arg = answer},
    };
    struct flow_driver *driver = flow_driver_new(plan, &options, err);
    bool done = driver != NULL;
    for (uint32_t s = 0; done && s < plan->source_count; s++)
        done = flow_driver_drain(driver, plan->sources[s]->topic, err);
    flow_driver_free(driver);
    return done;
}

static bool run_select(struct machine *machine, struct str sql, struct answer *answer, struct err *err)
{
    struct plan *plan = engine_plan_select(machine->engine, sql, NULL, err);
    if (plan == NULL)
        return false;
    answer->plan = plan;
    answer->left = plan->limit;
    answer->out.out = &answer->json;
    json_array_begin(&answer->out);
    put_header(answer);
    bool done = plan->kind == QUERY_PULL ? run_pull(machine, plan, answer, err)
                                         : run_push(machine, plan, answer, err);
    if (done && plan->kind == QUERY_PUSH) {
        json_object_begin(&answer->out);
        json_key_cstr(&answer->out, "finalMessage", plan->limit >= 0 ? "Limit Reached" : "Query Completed");
        json_object_end(&answer->out);
    }
    json_array_end(&answer->out);
    plan_free(plan);
    return done;
}

/* Comparing ------------------------------------------------------------------------------------------------------------- */

static bool same_scalar(const struct json_value *expected, const struct json_value *actual)
{
    if (expected->kind != actual->kind)
        return false;
    if (expected->kind == JSON_BOOL)
        return expected->b == actual->b;
    if (expected->kind != JSON_NUMBER)
        return expected->kind == JSON_NULL || str_eq(expected->str, actual->str);
    struct arena arena = {0};
    const struct decimal *x = decimal_parse(expected->str, &arena), *y = decimal_parse(actual->str, &arena);
    bool same = x != NULL && y != NULL ? x->scale == y->scale && decimal_cmp(x, y) == 0
                                       : str_eq(expected->str, actual->str);
    arena_fini(&arena);
    return same;
}

static bool is_subset(const struct json_value *expected, const struct json_value *actual)
{
    if (expected->kind == JSON_ARRAY) {
        bool same = actual->kind == JSON_ARRAY && actual->len == expected->len;
        for (uint32_t i = 0; same && i < expected->len; i++)
            same = is_subset(&expected->elems[i], &actual->elems[i]);
        return same;
    }
    if (expected->kind != JSON_OBJECT)
        return same_scalar(expected, actual);
    bool same = actual->kind == JSON_OBJECT;
    for (uint32_t i = 0; same && i < expected->len; i++) {
        struct str name = expected->members[i].name;
        bool prefix = str_ends_with(name, STR("|starts_with"));
        const struct json_value *got = json_get(actual, prefix ? str_sub(name, 0, name.len - 12) : name);
        same = got != NULL &&
               (prefix ? got->kind == JSON_STRING && str_starts_with(got->str, expected->members[i].value.str)
                       : is_subset(&expected->members[i].value, got));
    }
    return same;
}

static const struct json_value *columns_of(const struct json_value *element)
{
    return json_get(json_get(element, STR("row")), STR("columns"));
}

/* Lists of equal length; without verify_order rows match as a multiset, all else by place. */
static bool same_list(const struct json_value *expected, const struct json_value *actual, bool verify_order)
{
    if (actual->kind != JSON_ARRAY || actual->len != expected->len)
        return false;
    bool *used = mem_zalloc(actual->len + 1, sizeof *used);
    bool same = true;
    for (uint32_t i = 0; same && i < expected->len; i++) {
        const struct json_value *wanted = &expected->elems[i];
        if (columns_of(wanted) == NULL || verify_order) {
            same = is_subset(wanted, &actual->elems[i]);
            continue;
        }
        same = false;
        for (uint32_t a = 0; !same && a < actual->len; a++)
            if (!used[a] && columns_of(&actual->elems[a]) != NULL && is_subset(wanted, &actual->elems[a]))
                same = used[a] = true;
    }
    free(used);
    return same;
}

static bool same_response(const struct json_value *expected, struct str actual, bool verify_order, uint32_t i,
                          struct arena *arena, struct err *err)
{
    struct err parse = {0};
    const struct json_value *got = json_parse(actual, arena, &parse);
    const struct json_value *admin = json_get(expected, STR("admin")),
                            *list = json_get(expected, STR("query"));
    if (got == NULL)
        return err_set(err, ERR_INTERNAL, "response %u is no JSON: %s", i, parse.text);
    bool same = admin != NULL ? is_subset(admin, got) : list != NULL && same_list(list, got, verify_order);
    if (same)
        return true;
    struct buf text = {0};
    struct json_writer out = {.out = &text};
    json_tree(&out, admin != NULL ? admin : list != NULL ? list : expected);
    err_set(err, ERR_ASSERTION, "response %u differs\n      expected: %.400s\n      got:      %.400s", i,
            text.ptr, actual.ptr);
    buf_fini(&text);
    return false;
}

/* {STATEMENT} in expected texts stands for the text of statement i: substituted in the tree's source text. */
static const struct json_value *with_statement(const struct json_value *response, struct str statement,
                                               struct arena *arena)
{
    struct buf text = {0}, quoted = {0}, done = {0};
    struct json_writer out = {.out = &text};
    struct err err = {0};
    json_tree(&out, response);
    json_append_string(&quoted, statement);
    struct str rest = buf_str(&text), inner = str_sub(buf_str(&quoted), 1, quoted.len - 2);
    for (ptrdiff_t at; (at = str_find(rest, STR("{STATEMENT}"))) >= 0;
         rest = str_sub(rest, (size_t)at + 11, rest.len)) {
        buf_append_str(&done, str_sub(rest, 0, (size_t)at));
        buf_append_str(&done, inner);
    }
    buf_append_str(&done, rest);
    const struct json_value *tree = json_parse(str_dup(buf_str(&done), arena), arena, &err);
    buf_fini(&text);
    buf_fini(&quoted);
    buf_fini(&done);
    return tree != NULL ? tree : response;
}

/* Running ------------------------------------------------------------------------------------------------------------------ */

static bool feed_inputs(struct machine *machine, const struct json_value *inputs, struct err *err)
{
    for (uint32_t i = 0; inputs != NULL && i < inputs->len; i++) {
        struct machine_record rec;
        struct client_writer_options options = {.batch_bytes = 0};
        if (!data_encode(machine, &inputs->elems[i], &rec, err))
            return false;
        struct client_writer *writer = client_writer_new(machine->client, rec.topic, &options, err);
        if (writer == NULL)
            return false;
        bool done = client_writer_add(writer, 0, rec.timestamp_ms, rec.key, rec.value, rec.headers,
                                      rec.header_count, err) &&
                    client_writer_wait(writer, err);
        client_writer_free(writer);
        if (!done)
            return false;
    }
    for (size_t q = 0; q < machine->queries.len; q++)
        for (uint32_t s = 0; s < machine->queries.at[q].plan->source_count; s++)
            if (!flow_driver_drain(machine->queries.at[q].driver,
                                   machine->queries.at[q].plan->sources[s]->topic, err))
                return false;
    return true;
}

static const struct json_value *response_at(const struct json_value *responses, uint32_t i)
{
    return responses != NULL && responses->kind == JSON_ARRAY && i < responses->len ? &responses->elems[i]
                                                                                    : NULL;
}

/* Statements of /ksql: their entities against the first responses. SET and INSERT VALUES give none. */
static bool run_definitions(struct machine *machine, const struct json_value *statements, uint32_t count,
                            const struct json_value *responses, uint32_t *answered, struct err *got,
                            struct err *err)
{
    *answered = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!machine_run(machine, statements->elems[i].str, got))
            return false;
        const struct json_value *entities =
            json_parse(str_dup(buf_str(&machine->entities), &machine->arena), &machine->arena, got);
        for (uint32_t e = 0; entities != NULL && e < entities->len; e++) {
            const struct json_value *expected = response_at(responses, (*answered)++);
            const struct json_value *admin =
                expected != NULL
                    ? json_get(with_statement(expected, statements->elems[i].str, &machine->arena),
                               STR("admin"))
                    : NULL;
            if (admin != NULL && !is_subset(admin, &entities->elems[e]))
                return err_set(err, ERR_ASSERTION, "entity %u differs: got %.600s", *answered - 1,
                               machine->entities.ptr);
        }
    }
    return true;
}

static bool run_queries(struct machine *machine, const struct test_case *test,
                        const struct json_value *statements, uint32_t first, uint32_t answered,
                        struct err *got, struct err *err)
{
    const struct json_value *responses = json_get(test->root, STR("responses")),
                            *order = json_get(test->root, STR("verify_order"));
    bool same = true;
    for (uint32_t i = first; same && i < statements->len; i++) {
        struct answer answer = {0};
        if (!run_select(machine, statements->elems[i].str, &answer, got)) {
            buf_fini(&answer.json);
            return false;
        }
        const struct json_value *expected = response_at(responses, answered + i - first);
        if (expected != NULL)
            same = same_response(with_statement(expected, statements->elems[i].str, &machine->arena),
                                 buf_str(&answer.json), order != NULL && order->b, answered + i - first,
                                 &machine->arena, err);
        buf_fini(&answer.json);
    }
    return same;
}

bool run_rest_case(const struct test_case *test, struct err *err)
{
    const struct json_value *statements = json_get(test->root, STR("statements")),
                            *error = json_get(test->root, STR("error"));
    const struct json_value *proto = json_get(test->root, STR("proto"));
    bool wants_error = error != NULL && error->kind == JSON_OBJECT;
    uint32_t first = (uint32_t)case_number(test->root, "first_query", statements->len), answered = 0;
    struct machine machine;
    struct err got = {0};
    struct compare_rules rules = {0};
    if (proto != NULL && proto->b)
        return err_set(err, ERR_UNSUPPORTED, "answers in Protobuf are not built yet");
    bool done = machine_init(&machine, json_get(test->root, STR("properties")), err) &&
                machine_create_topics(&machine, json_get(test->root, STR("topics")), false, err);
    if (done) {
        bool ran = run_definitions(&machine, statements, first, json_get(test->root, STR("responses")),
                                   &answered, &got, err) &&
                   machine_sync_queries(&machine, &got) &&
                   feed_inputs(&machine, json_get(test->root, STR("inputs")), &got) &&
                   run_queries(&machine, test, statements, first, answered, &got, err);
        if (err->code != ERR_NONE)
            done = false;
        else if (ran && wants_error)
            done = err_set(err, ERR_ASSERTION, "an error is expected: %.*s",
                           STR_ARG(case_text(error, "message")));
        else if (ran)
            done = compare_outputs(&machine, json_get(test->root, STR("outputs")), false, &rules, err);
        else if (wants_error)
            done = error_matches(error, &got, err);
        else
            done = err_set(err, got.code == ERR_NONE ? ERR_INTERNAL : got.code, "%s", got.text);
    }
    machine_fini(&machine);
    return done;
}
