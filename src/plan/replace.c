/* replace.c - CREATE OR REPLACE of a query: may the new plan go on with the state of the old one?
 *
 * Both plans are walked from their sinks down. A filter may come, go or change, and a projection may
 * change, because neither keeps state; every other step must stand opposite to its like. Steps that ksqlDB
 * cannot replace are refused by its names for them.
 */
#include "plan/plan_int.h"

/* ksqlDB's name of a step. */
static const char *step_name(const struct step *step)
{
    bool stream = step->input == NULL || step->input->result_kind == SOURCE_STREAM;
    switch (step->kind) {
    case STEP_SOURCE:
        if (step->source.source->window_kind != WINDOW_NONE)
            return stream ? "WindowedStreamSource" : "WindowedTableSource";
        return step->result_kind == SOURCE_STREAM ? "StreamSource" : "TableSource";
    case STEP_FILTER:
        return stream ? "StreamFilter" : "TableFilter";
    case STEP_SELECT:
        return stream ? "StreamSelect" : "TableSelect";
    case STEP_FLAT_MAP:
        return "StreamFlatMap";
    case STEP_PARTITION_BY:
        return "StreamSelectKey";
    case STEP_GROUP_BY:
        return stream ? "StreamGroupBy" : "TableGroupBy";
    case STEP_AGGREGATE:
        if (step->aggregate.window.kind != WINDOW_NONE)
            return "StreamWindowedAggregate";
        return stream ? "StreamAggregate" : "TableAggregate";
    case STEP_JOIN_STREAM_TABLE:
        return "StreamTableJoin";
    case STEP_JOIN_STREAM_STREAM:
        return "StreamStreamJoin";
    case STEP_JOIN_TABLE_TABLE:
        return "TableTableJoin";
    case STEP_JOIN_FOREIGN_KEY:
        return "ForeignKeyTableTableJoin";
    case STEP_SUPPRESS:
        return "TableSuppress";
    case STEP_SINK:
        return stream ? "StreamSink" : "TableSink";
    }
    UNREACHABLE();
}

static bool is_transparent(const struct step *step)
{
    return step->kind == STEP_FILTER || step->kind == STEP_SELECT;
}

static bool refuse_upgrade(struct err *err, const struct step *step)
{
    return err_set(err, ERR_STATEMENT, "Upgrades not yet supported for %s", step_name(step));
}

static void print_names(const struct str *names, uint32_t count, struct buf *out)
{
    buf_append_char(out, '[');
    for (uint32_t i = 0; i < count; i++)
        buf_printf(out, "%s`%.*s`", i ? ", " : "", STR_ARG(names[i]));
    buf_append_char(out, ']');
}

static bool refuse_values(struct err *err, const struct step *step, const char *what, struct buf *before,
                          struct buf *after)
{
    err_set(err, ERR_STATEMENT, "%s must have matching %s. Values differ: %s vs. %s", step_name(step), what,
            before->ptr, after->ptr);
    buf_fini(before);
    buf_fini(after);
    return false;
}

static bool names_eq(const struct str *a, uint32_t a_count, const struct str *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return true;
}

/* Aggregates and their arguments as the statement has them. */
static void print_calls(const struct step *step, struct buf *out)
{
    buf_append_char(out, '[');
    for (uint32_t i = 0; i < step->aggregate.aggregate_count; i++) {
        const struct plan_aggregate *aggregate = &step->aggregate.aggregates[i];
        buf_printf(out, "%s%.*s(", i ? ", " : "", STR_ARG(aggregate->call->name));
        for (uint32_t k = 0; k < aggregate->arg_count; k++) {
            buf_append_cstr(out, k ? ", " : "");
            if (aggregate->args[k]->ast != NULL)
                sql_print_expr(aggregate->args[k]->ast, out);
        }
        buf_append_char(out, ')');
    }
    buf_append_char(out, ']');
}

static bool check_aggregate(const struct step *before, const struct step *after, struct err *err)
{
    if (before->aggregate.window.kind != WINDOW_NONE || before->input->result_kind == SOURCE_TABLE)
        return refuse_upgrade(err, before);
    struct buf a = {0}, b = {0};
    if (!names_eq(before->aggregate.required, before->aggregate.required_count, after->aggregate.required,
                  after->aggregate.required_count)) {
        print_names(before->aggregate.required, before->aggregate.required_count, &a);
        print_names(after->aggregate.required, after->aggregate.required_count, &b);
        return refuse_values(err, before, "columns not part of aggregate", &a, &b);
    }
    print_calls(before, &a);
    print_calls(after, &b);
    if (!str_eq(buf_str(&a), buf_str(&b)))
        return refuse_values(err, before, "aggregation functions", &a, &b);
    buf_fini(&a);
    buf_fini(&b);
    return true;
}

static bool check_keys(const struct step *before, const struct step *after, struct err *err)
{
    struct buf a = {0}, b = {0};
    for (int side = 0; side < 2; side++) {
        const struct step *step = side ? after : before;
        struct buf *out = side ? &b : &a;
        buf_append_char(out, '[');
        for (uint32_t i = 0; i < step->key_count; i++) {
            buf_append_cstr(out, i ? ", " : "");
            if (step->key.keys[i]->ast != NULL)
                sql_print_expr(step->key.keys[i]->ast, out);
        }
        buf_append_char(out, ']');
    }
    if (!str_eq(buf_str(&a), buf_str(&b)))
        return refuse_values(err, before,
                             before->kind == STEP_GROUP_BY ? "group by clause" : "key expression", &a, &b);
    buf_fini(&a);
    buf_fini(&b);
    return true;
}

static bool check_source(const struct step *before, const struct step *after, struct err *err)
{
    const struct source *a = before->source.source, *b = after->source.source;
    if (a->window_kind != WINDOW_NONE)
        return refuse_upgrade(err, before);
    if (str_eq(a->name, b->name) && str_eq(a->topic, b->topic))
        return true;
    return err_set(err, ERR_STATEMENT, "%s must have matching source. Values differ: `%.*s` vs. `%.*s`",
                   step_name(before), STR_ARG(a->name), STR_ARG(b->name));
}

static bool check_step(const struct step *before, const struct step *after, struct err *err)
{
    switch (before->kind) {
    case STEP_SOURCE:
        return check_source(before, after, err);
    case STEP_PARTITION_BY:
    case STEP_GROUP_BY:
        return check_keys(before, after, err);
    case STEP_AGGREGATE:
        return check_aggregate(before, after, err);
    case STEP_JOIN_STREAM_TABLE:
    case STEP_JOIN_STREAM_STREAM:
    case STEP_JOIN_TABLE_TABLE:
    case STEP_JOIN_FOREIGN_KEY:
    case STEP_SUPPRESS:
        return refuse_upgrade(err, before);
    default:
        return true;
    }
}

bool plan_can_replace(const struct plan *before, const struct plan *after, struct err *err)
{
    const struct step *a = before->sink, *b = after->sink;
    for (;;) {
        while (a != NULL && is_transparent(a))
            a = a->input;
        while (b != NULL && is_transparent(b))
            b = b->input;
        if (a == NULL || b == NULL)
            return true;
        if (a->kind != b->kind)
            return err_set(err, ERR_STATEMENT, "Query is not upgradeable. Plan type mismatch: %s vs. %s",
                           step_name(a), step_name(b));
        if (!check_step(a, b, err))
            return false;
        a = a->input;
        b = b->input;
    }
}
