/* aggregate.c - GROUP_BY and AGGREGATE: from rows to groups, and the columns that stand for what was asked.
 *
 *   GROUP_BY    [groups] [what the arguments of the aggregates read]
 *   AGGREGATE   [groups] [one column per aggregate] [WINDOWSTART WINDOWEND when named]
 */
#include "plan/plan_int.h"

/* Whether anything behind the aggregation names the window's bounds. */
static bool bounds_used(struct builder *b)
{
    const struct analysis *ask = b->ask;
    bool *used = arena_array(b->arena, bool, ask->field_count);
    for (uint32_t i = 0; i < ask->item_count; i++)
        plan_mark_fields(ask->items[i].expr, used);
    if (ask->having != NULL)
        plan_mark_fields(ask->having, used);
    for (uint32_t f = 0; f < ask->field_count; f++)
        if (used[f] && (ask->fields[f].kind == FIELD_BOUND_START || ask->fields[f].kind == FIELD_BOUND_END))
            return true;
    return false;
}

static struct str group_name(struct builder *b, uint32_t i)
{
    const struct expr *group = b->ask->groups[i];
    if (group->kind == EXPR_COLUMN)
        return b->ask->fields[group->index].internal;
    return b->ask->keys[i].name;
}

static void add_group_columns(struct builder *b, struct step *step, struct column *columns)
{
    for (uint32_t i = 0; i < b->ask->group_count; i++)
        columns[i] = (struct column){group_name(b, i), b->ask->groups[i]->type, COLUMN_KEY, STR_NULL};
    step->columns = columns;
    step->column_count = step->key_count = b->ask->group_count;
}

static void build_group_by(struct builder *b, struct stage *stage)
{
    const struct analysis *ask = b->ask;
    struct step *step = plan_new_step(b, STEP_GROUP_BY, STR("GroupBy"), stage->step);
    struct column *columns = arena_array(b->arena, struct column, ask->group_count + ask->field_count);
    const struct expr **keys = arena_array(b->arena, const struct expr *, ask->group_count);
    uint32_t *carried = arena_array(b->arena, uint32_t, ask->field_count);
    int32_t *field_column = arena_array(b->arena, int32_t, ask->field_count);
    bool *used = arena_array(b->arena, bool, ask->field_count);
    for (uint32_t i = 0; i < ask->group_count; i++)
        keys[i] = plan_stage_expr(b, stage, ask->groups[i]);
    for (uint32_t i = 0; i < ask->aggregate_count; i++)
        plan_mark_fields(ask->aggregates[i], used);
    add_group_columns(b, step, columns);
    uint32_t count = 0;
    for (uint32_t f = 0; f < ask->field_count; f++) {
        field_column[f] = -1;
        if (!used[f] || stage->field_column[f] < 0)
            continue;
        field_column[f] = (int32_t)step->column_count;
        carried[count++] = (uint32_t)stage->field_column[f];
        columns[step->column_count++] = plan_column_of(&ask->fields[f], COLUMN_VALUE);
    }
    step->result_kind = stage->step->result_kind;
    step->key.keys = keys;
    step->key.repartition = ask->regrouped || ask->groups == NULL;
    step->key.carried = carried;
    const struct source_format *wanted =
        ask->sink ? &ask->sink->key_format : &ask->sources[0].source->key_format;
    step->key.key_format = plan_key_format(wanted, columns, ask->group_count);
    *stage = (struct stage){.step = step, .field_column = field_column};
}

static const struct plan_aggregate *build_calls(struct builder *b, const struct stage *stage)
{
    const struct analysis *ask = b->ask;
    struct plan_aggregate *calls = arena_array(b->arena, struct plan_aggregate, ask->aggregate_count);
    for (uint32_t i = 0; i < ask->aggregate_count; i++) {
        const struct expr *expr = ask->aggregates[i];
        ASSERT_CMP(expr->call->constant_args, <=, expr->arg_count);
        uint32_t count = expr->arg_count - expr->call->constant_args;
        const struct expr **args = arena_array(b->arena, const struct expr *, count);
        for (uint32_t k = 0; k < count; k++)
            args[k] = plan_stage_expr(b, stage, expr->args[k]);
        calls[i] = (struct plan_aggregate){.call = expr->call, .args = args, .arg_count = count};
    }
    return calls;
}

/* The bounds behind the aggregates; their fields get these columns. */
static void add_bounds(struct builder *b, struct stage *stage, struct column *columns)
{
    for (uint32_t f = 0; f < b->ask->field_count; f++) {
        enum analysis_field_kind kind = b->ask->fields[f].kind;
        if (kind != FIELD_BOUND_START && kind != FIELD_BOUND_END)
            continue;
        stage->field_column[f] = (int32_t)stage->step->column_count;
        columns[stage->step->column_count++] = plan_column_of(&b->ask->fields[f], COLUMN_VALUE);
    }
}

void plan_build_aggregate(struct builder *b, struct stage *stage)
{
    const struct analysis *ask = b->ask;
    build_group_by(b, stage);
    struct step *step = plan_new_step(b, STEP_AGGREGATE, STR("Aggregate"), stage->step);
    struct column *columns =
        arena_array(b->arena, struct column, ask->group_count + ask->aggregate_count + 2);
    struct known_expr *known =
        arena_array(b->arena, struct known_expr, ask->group_count + ask->aggregate_count);
    struct stage next = {.step = step,
                         .field_column = arena_array(b->arena, int32_t, ask->field_count),
                         .known = known};
    memset(next.field_column, -1, ask->field_count * sizeof *next.field_column);
    add_group_columns(b, step, columns);
    for (uint32_t i = 0; i < ask->group_count; i++)
        known[next.known_count++] = (struct known_expr){ask->groups[i], i};
    for (uint32_t i = 0; i < ask->aggregate_count; i++) {
        known[next.known_count++] = (struct known_expr){ask->aggregates[i], step->column_count};
        columns[step->column_count++] = (struct column){str_printf(b->arena, "KSQL_AGG_VARIABLE_%u", i),
                                                        ask->aggregates[i]->type, COLUMN_VALUE, STR_NULL};
    }
    bool bounds = bounds_used(b);
    if (bounds)
        add_bounds(b, &next, columns);
    step->result_kind = SOURCE_TABLE;
    step->key_window = ask->window.kind;
    step->key_window_size_ms = ask->window.kind == WINDOW_SESSION ? 0 : ask->window.size_ms;
    step->aggregate.window =
        (struct plan_window){ask->window.kind,     ask->window.size_ms,      ask->window.advance_ms,
                             ask->window.grace_ms, ask->window.retention_ms, ask->emit == EMIT_FINAL};
    step->aggregate.aggregates = build_calls(b, stage);
    step->aggregate.aggregate_count = ask->aggregate_count;
    step->aggregate.window_columns = bounds;
    step->aggregate.undo = stage->step->result_kind == SOURCE_TABLE;
    step->aggregate.required = ask->required;
    step->aggregate.required_count = ask->required_count;
    *stage = next;
}
