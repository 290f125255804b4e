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
    struct plan *plan;
    struct flow_driver *driver; /* push */
    int64_t left;               /* rows until LIMIT; -1: none */
};

/* Rows that end by themselves, with a message: those of push queries, and of pull queries over a stream. */
static bool is_stream_like(const struct plan *plan)
{
    return plan->kind == QUERY_PUSH || plan->pull.kind == PULL_STREAM;
}

static void put_header(struct answer *answer, struct str query_id)
{
    const struct plan *plan = answer->plan;
    struct buf text = {0};
    struct column *columns = arena_array(plan->arena, struct column, plan->output_count);
    plan_output_columns(plan, columns);
    for (uint32_t i = 0; i < plan->output_count; i++) {
        if (i != 0)
            buf_append_cstr(&text, ", ");
        sql_print_quoted(columns[i].name, &text);
        buf_append_char(&text, ' ');
        type_print(columns[i].type, &text);
        if (!is_stream_like(plan) && columns[i].role == COLUMN_KEY)
            buf_append_cstr(&text, " KEY");
    }
    json_object_begin(&answer->out);
    json_key_begin(&answer->out, "header");
    json_object_begin(&answer->out);
    json_key_str(&answer->out, "queryId", query_id);
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

/* Makes the query; a push query stands at the place in its topics where it begins. */
static bool open_select(struct machine *machine, struct str sql, struct answer *answer, struct err *err)
{
    struct str query_id;
    answer->plan = engine_plan_select(machine->engine, sql, NULL, &query_id, err);
    if (answer->plan == NULL)
        return false;
    answer->left = answer->plan->limit;
    answer->out.out = &answer->json;
    json_array_begin(&answer->out);
    put_header(answer, query_id);
    if (answer->plan->kind == QUERY_PULL)
        return true;
    struct func_settings settings = {.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
    const struct str *reset = map_get(&machine->properties, STR("auto.offset.reset"));
    struct flow_driver_options options = {
        .client = machine->client,
        .query = {.id = query_id, .func_settings = &settings, .on_rows = on_rows, .arg = answer},
        .from_latest = str_eq_nocase(*reset, STR("latest")),
    };
    answer->driver = flow_driver_new(answer->plan, &options, err);
    return answer->driver != NULL;
}

/* Reads to the end, or to LIMIT. A push query that has not reached its LIMIT would wait for ever: no final message. */
static bool run_select(struct machine *machine, struct answer *answer, struct err *err)
{
    const struct plan *plan = answer->plan;
    if (plan->kind == QUERY_PULL && !run_pull(machine, plan, answer, err))
        return false;
    for (uint32_t s = 0; answer->driver != NULL && s < plan->source_count; s++)
        if (!flow_driver_drain(answer->driver, plan->sources[s]->topic, err))
            return false;
    if (is_stream_like(plan) && (plan->kind == QUERY_PULL || answer->left == 0)) {
        json_object_begin(&answer->out);
        json_key_cstr(&answer->out, "finalMessage", answer->left == 0 ? "Limit Reached" : "Query Completed");
        json_object_end(&answer->out);
    }
    json_array_end(&answer->out);
    return true;
}

static void answer_fini(struct answer *answer)
{
    flow_driver_free(answer->driver);
    plan_free(answer->plan);
    buf_fini(&answer->json);
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

static struct str join_lines(const struct json_value *statements, uint32_t count, struct arena *arena)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&text, "%.*s\n", STR_ARG(statements->elems[i].str));
    struct str joined = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return joined;
}

/* Statements of /ksql, as one request: its entities against the first responses. SET and INSERT VALUES give none. */
static bool run_definitions(struct machine *machine, const struct json_value *statements, uint32_t count,
                            const struct json_value *responses, uint32_t *answered, struct err *got,
                            struct err *err)
{
    struct arena *arena = &machine->arena;
    *answered = 0;
    if (!machine_run(machine, join_lines(statements, count, arena), got))
        return false;
    const struct json_value *entities = json_parse(str_dup(buf_str(&machine->entities), arena), arena, got);
    if (entities == NULL)
        return false;
    for (uint32_t i = 0; i < entities->len; i++) {
        const struct json_value *expected = response_at(responses, (*answered)++);
        const struct json_value *admin =
            expected != NULL && i < count
                ? json_get(with_statement(expected, statements->elems[i].str, arena), STR("admin"))
                : NULL;
        if (admin != NULL && !is_subset(admin, &entities->elems[i]))
            return err_set(err, ERR_ASSERTION, "entity %u differs: got %.600s", i, machine->entities.ptr);
    }
    return true;
}

static bool run_queries(struct machine *machine, const struct test_case *test,
                        const struct json_value *statements, uint32_t first, uint32_t answered,
                        struct err *got, struct err *err)
{
    const struct json_value *responses = json_get(test->root, STR("responses")),
                            *order = json_get(test->root, STR("verify_order"));
    const struct json_value *inputs = json_get(test->root, STR("inputs")),
                            *push_first = json_get(test->root, STR("wait_for_push_query"));
    bool fed = false, same = true;
    for (uint32_t i = first; same && i < statements->len; i++) {
        struct answer answer = {0};
        bool ran = open_select(machine, statements->elems[i].str, &answer, got);
        if (ran && push_first != NULL && push_first->b && !fed)
            ran = fed = feed_inputs(machine, inputs, got);
        if (!ran || !run_select(machine, &answer, got)) {
            answer_fini(&answer);
            return false;
        }
        const struct json_value *expected = response_at(responses, answered + i - first);
        if (expected != NULL)
            same = same_response(with_statement(expected, statements->elems[i].str, &machine->arena),
                                 buf_str(&answer.json), order != NULL && order->b, answered + i - first,
                                 &machine->arena, err);
        answer_fini(&answer);
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
    struct compare_rules rules = {.rest = true};
    if (proto != NULL && proto->b)
        return err_set(err, ERR_UNSUPPORTED, "answers in Protobuf are not built yet");
    const struct json_value *push_first = json_get(test->root, STR("wait_for_push_query"));
    bool waits = push_first != NULL && push_first->b;
    bool done = machine_init(&machine, json_get(test->root, STR("properties")), err) &&
                machine_create_topics(&machine, json_get(test->root, STR("topics")), false, err);
    machine_set(&machine, STR("ksql.query.push.v2.enabled"), STR("true")); /* as the original's REST tests */
    if (done) {
        bool ran = run_definitions(&machine, statements, first, json_get(test->root, STR("responses")),
                                   &answered, &got, err) &&
                   machine_sync_queries(&machine, &got) &&
                   (waits || feed_inputs(&machine, json_get(test->root, STR("inputs")), &got)) &&
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
