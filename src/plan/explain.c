/* explain.c - a plan as text, in the form of ksqlDB's execution plan, and as JSON.
 *
 *    > [ SINK ] | Schema: `ID` STRING KEY, `N` BIGINT | Logger: CTAS_T_1.T
 *                   > [ PROJECT ] | Schema: ... | Logger: CTAS_T_1.Aggregate.Project
 *                                   > [ AGGREGATE ] | ...
 */
#include "plan/plan_int.h"

enum { INDENT = 2 };

static const char *const kind_words[] = {
    [STEP_SOURCE] = "SOURCE",
    [STEP_FILTER] = "FILTER",
    [STEP_SELECT] = "PROJECT",
    [STEP_FLAT_MAP] = "FLAT_MAP",
    [STEP_PARTITION_BY] = "REKEY",
    [STEP_GROUP_BY] = "GROUP_BY",
    [STEP_AGGREGATE] = "AGGREGATE",
    [STEP_JOIN_STREAM_TABLE] = "JOIN",
    [STEP_JOIN_STREAM_STREAM] = "JOIN",
    [STEP_JOIN_TABLE_TABLE] = "JOIN",
    [STEP_JOIN_FOREIGN_KEY] = "FK_JOIN",
    [STEP_SUPPRESS] = "SUPPRESS",
    [STEP_SINK] = "SINK",
};

static const char *const json_kinds[] = {
    [STEP_SOURCE] = "source",
    [STEP_FILTER] = "filter",
    [STEP_SELECT] = "select",
    [STEP_FLAT_MAP] = "flat_map",
    [STEP_PARTITION_BY] = "partition_by",
    [STEP_GROUP_BY] = "group_by",
    [STEP_AGGREGATE] = "aggregate",
    [STEP_JOIN_STREAM_TABLE] = "join_stream_table",
    [STEP_JOIN_STREAM_STREAM] = "join_stream_stream",
    [STEP_JOIN_TABLE_TABLE] = "join_table_table",
    [STEP_JOIN_FOREIGN_KEY] = "join_foreign_key",
    [STEP_SUPPRESS] = "suppress",
    [STEP_SINK] = "sink",
};

static void print_schema(const struct step *step, struct buf *out)
{
    struct schema schema = {step->columns, step->column_count, step->key_count};
    schema_print(&schema, out);
}

static void print_expr(const struct expr *expr, const struct step *input, struct buf *out)
{
    if (expr->ast != NULL)
        sql_print_expr(expr->ast, out);
    else if (expr->kind == EXPR_COLUMN && input != NULL)
        buf_append_str(out, input->columns[expr->index].name);
}

/* What a step does beside its schema, in a few words; nothing for most. */
static void print_detail(const struct step *step, struct buf *out)
{
    if (step->kind == STEP_SOURCE)
        buf_printf(out, " | Topic: %.*s", STR_ARG(step->source.source->topic));
    if (step->kind == STEP_FILTER) {
        buf_append_cstr(out, " | Filter: ");
        print_expr(step->filter.condition, step->input, out);
    }
    bool rekeys = step->kind == STEP_PARTITION_BY || step->kind == STEP_GROUP_BY;
    if (rekeys && step->key.repartition)
        buf_append_cstr(out, " | Repartition");
}

static void print_step(const struct step *step, struct str query_id, int depth, struct buf *out)
{
    for (int i = 0; i < depth * INDENT; i++)
        buf_append_char(out, '\t');
    buf_printf(out, " > [ %s ] | Schema: ", kind_words[step->kind]);
    print_schema(step, out);
    buf_printf(out, " | Logger: %.*s.%.*s", STR_ARG(query_id), STR_ARG(step->name));
    print_detail(step, out);
    buf_append_char(out, '\n');
    if (step->input != NULL)
        print_step(step->input, query_id, depth + 1, out);
    if (step->right != NULL)
        print_step(step->right, query_id, depth + 1, out);
}

void plan_explain(const struct plan *plan, struct str query_id, struct buf *out)
{
    print_step(plan->sink, query_id, 0, out);
}

/* JSON --------------------------------------------------------------------------------------------------- */

static void write_text(struct json_writer *out, const char *name, const struct expr *expr,
                       const struct step *input)
{
    struct buf text = {0};
    print_expr(expr, input, &text);
    json_key_str(out, name, buf_str(&text));
    buf_fini(&text);
}

static void write_exprs(struct json_writer *out, const char *name, const struct expr *const *exprs,
                        uint32_t count, const struct step *input)
{
    json_key_begin(out, name);
    json_array_begin(out);
    for (uint32_t i = 0; i < count; i++) {
        struct buf text = {0};
        if (exprs[i] != NULL)
            print_expr(exprs[i], input, &text);
        json_str(out, buf_str(&text));
        buf_fini(&text);
    }
    json_array_end(out);
}

static void write_columns(struct json_writer *out, const struct step *step)
{
    json_key_begin(out, "columns");
    json_array_begin(out);
    for (uint32_t i = 0; i < step->column_count; i++) {
        struct buf type = {0};
        type_print(step->columns[i].type, &type);
        json_object_begin(out);
        json_key_str(out, "name", step->columns[i].name);
        json_key_str(out, "type", buf_str(&type));
        json_key_bool(out, "key", i < step->key_count);
        json_object_end(out);
        buf_fini(&type);
    }
    json_array_end(out);
}

static void write_window(struct json_writer *out, const struct plan_window *win)
{
    static const char *const kinds[] = {
        [WINDOW_TUMBLING] = "tumbling", [WINDOW_HOPPING] = "hopping", [WINDOW_SESSION] = "session"};
    if (win->kind == WINDOW_NONE)
        return;
    json_key_begin(out, "window");
    json_object_begin(out);
    json_key_cstr(out, "kind", kinds[win->kind]);
    json_key_i64(out, "size_ms", win->size_ms);
    json_key_i64(out, "advance_ms", win->advance_ms);
    json_key_i64(out, "grace_ms", win->grace_ms);
    json_key_i64(out, "retention_ms", win->retention_ms);
    json_key_bool(out, "emit_final", win->emit_final);
    json_object_end(out);
}

static void write_aggregates(struct json_writer *out, const struct step *step)
{
    json_key_begin(out, "aggregates");
    json_array_begin(out);
    for (uint32_t i = 0; i < step->aggregate.aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &step->aggregate.aggregates[i];
        json_object_begin(out);
        json_key_str(out, "function", aggregate->call->name);
        write_exprs(out, "args", aggregate->args, aggregate->arg_count, step->input);
        json_object_end(out);
    }
    json_array_end(out);
}

static void write_join(struct json_writer *out, const struct step *step)
{
    static const char *const kinds[] = {
        [JOIN_INNER] = "inner", [JOIN_LEFT] = "left", [JOIN_RIGHT] = "right", [JOIN_FULL] = "full"};
    json_key_cstr(out, "join", kinds[step->join.kind]);
    if (step->kind == STEP_JOIN_STREAM_STREAM) {
        json_key_i64(out, "before_ms", step->join.before_ms);
        json_key_i64(out, "after_ms", step->join.after_ms);
        json_key_i64(out, "grace_ms", step->join.grace_ms);
    }
    if (step->join.foreign_key != NULL)
        write_text(out, "foreign_key", step->join.foreign_key, step->input);
}

static void write_kind(struct json_writer *out, const struct step *step)
{
    switch (step->kind) {
    case STEP_SOURCE:
        json_key_str(out, "source", step->source.source->name);
        json_key_str(out, "topic", step->source.source->topic);
        break;
    case STEP_FILTER:
        write_text(out, "condition", step->filter.condition, step->input);
        break;
    case STEP_SELECT:
    case STEP_FLAT_MAP:
        write_exprs(out, "exprs", step->select.exprs, step->column_count, step->input);
        break;
    case STEP_PARTITION_BY:
    case STEP_GROUP_BY:
        write_exprs(out, "keys", step->key.keys, step->key_count, step->input);
        json_key_bool(out, "repartition", step->key.repartition);
        break;
    case STEP_AGGREGATE:
        write_window(out, &step->aggregate.window);
        write_aggregates(out, step);
        break;
    case STEP_JOIN_STREAM_TABLE:
    case STEP_JOIN_STREAM_STREAM:
    case STEP_JOIN_TABLE_TABLE:
    case STEP_JOIN_FOREIGN_KEY:
        write_join(out, step);
        break;
    case STEP_SUPPRESS:
        break;
    case STEP_SINK:
        if (step->sink.sink != NULL) {
            json_key_str(out, "sink", step->sink.sink->name);
            json_key_str(out, "topic", step->sink.sink->topic);
        }
        break;
    }
}

static void write_step(struct json_writer *out, const struct step *step)
{
    json_object_begin(out);
    json_key_i64(out, "id", step->id);
    json_key_cstr(out, "kind", json_kinds[step->kind]);
    json_key_str(out, "name", step->name);
    json_key_cstr(out, "result", step->result_kind == SOURCE_STREAM ? "stream" : "table");
    json_key_begin(out, "inputs");
    json_array_begin(out);
    if (step->input != NULL)
        json_i64(out, step->input->id);
    if (step->right != NULL)
        json_i64(out, step->right->id);
    json_array_end(out);
    write_kind(out, step);
    write_columns(out, step);
    json_object_end(out);
}

void plan_to_json(const struct plan *plan, struct json_writer *out)
{
    static const char *const kinds[] = {
        [QUERY_PERSISTENT] = "persistent", [QUERY_PUSH] = "push", [QUERY_PULL] = "pull"};
    json_object_begin(out);
    json_key_cstr(out, "kind", kinds[plan->kind]);
    json_key_begin(out, "sources");
    json_array_begin(out);
    for (uint32_t i = 0; i < plan->source_count; i++)
        json_str(out, plan->sources[i]->name);
    json_array_end(out);
    json_key_begin(out, "steps");
    json_array_begin(out);
    for (uint32_t i = 0; i < plan->step_count; i++)
        write_step(out, plan->steps[i]);
    json_array_end(out);
    json_object_end(out);
}
