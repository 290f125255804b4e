/* build.c - from an analysis to steps.
 *
 *     SOURCE (JOIN ...) -> FILTER where -> PARTITION_BY -> FLAT_MAP -> GROUP_BY -> AGGREGATE -> SUPPRESS
 *            -> FILTER having -> SELECT -> SINK
 *
 * A stage is a step and where the analysis's fields are among its columns; expressions over fields become
 * expressions over the step's columns by plan_stage_expr. What no later step reads is left out at the
 * first step that can leave it out.
 *
 * Memory: the plan takes the analysis's arena and lives in it beside what it was built of.
 */
#include "plan/plan_int.h"

struct step *plan_new_step(struct builder *b, enum step_kind kind, struct str name, const struct step *input)
{
    struct step *step = arena_new(b->arena, struct step);
    step->kind = kind;
    step->name = name;
    step->input = input;
    step->id = (uint32_t)b->steps.len;
    vec_push(&b->steps, step);
    return step;
}

void plan_mark_fields(const struct expr *expr, bool *used)
{
    if (expr == NULL)
        return;
    if (expr->kind == EXPR_COLUMN)
        used[expr->index] = true;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        plan_mark_fields(expr->args[i], used);
}

/* Expressions -------------------------------------------------------------------------------------------- */

static const struct expr *column_expr(struct builder *b, const struct expr *like, uint32_t column)
{
    struct expr *expr = arena_new(b->arena, struct expr);
    expr->kind = EXPR_COLUMN;
    expr->type = like->type;
    expr->ast = like->ast;
    expr->index = column;
    return expr;
}

const struct expr *plan_stage_expr(struct builder *b, const struct stage *stage, const struct expr *expr)
{
    if (expr == NULL)
        return NULL;
    for (uint32_t i = 0; i < stage->known_count; i++)
        if (analysis_expr_eq(stage->known[i].expr, expr))
            return column_expr(b, expr, stage->known[i].column);
    if (expr->kind == EXPR_COLUMN) {
        ASSERT_CMP(stage->field_column[expr->index], >=, 0);
        return column_expr(b, expr, (uint32_t)stage->field_column[expr->index]);
    }
    ASSERT(expr->kind != EXPR_AGGREGATE);
    if (expr->arg_count == 0)
        return expr;
    struct expr *copy = arena_dup(b->arena, expr, sizeof *expr);
    const struct expr **args = arena_array(b->arena, const struct expr *, expr->arg_count);
    for (uint32_t i = 0; i < expr->arg_count; i++)
        args[i] = i > 0 && expr->args[i] == expr->args[i - 1] ? args[i - 1]
                                                              : plan_stage_expr(b, stage, expr->args[i]);
    copy->args = args;
    return copy;
}

/* Steps that keep the columns ---------------------------------------------------------------------------- */

static struct step *pass_step(struct builder *b, enum step_kind kind, struct str name, struct stage *stage)
{
    const struct step *input = stage->step;
    struct step *step = plan_new_step(b, kind, name, input);
    step->result_kind = input->result_kind;
    step->columns = input->columns;
    step->column_count = input->column_count;
    step->key_count = input->key_count;
    step->key_window = input->key_window;
    step->key_window_size_ms = input->key_window_size_ms;
    stage->step = step;
    return step;
}

static void build_filter(struct builder *b, struct stage *stage, const struct expr *condition,
                         struct str name)
{
    const struct expr *over_columns = plan_stage_expr(b, stage, condition);
    pass_step(b, STEP_FILTER, name, stage)->filter.condition = over_columns;
}

/* The format if it can hold these key columns, else JSON: what moves inside a query need not look like its
 * sink. */
struct source_format plan_key_format(const struct source_format *wanted, const struct column *columns,
                                     uint32_t count)
{
    const struct serde_format *format = serde_format_find(wanted->name);
    struct serde_options options = {.delimiter = wanted->delimiter};
    if (count == 0 || serde_check(format, SERDE_KEY, columns, count, &options, NULL))
        return *wanted;
    return (struct source_format){.name = STR("JSON")};
}

/* Re-keying ---------------------------------------------------------------------------------------------- */

void plan_build_rekey(struct builder *b, struct stage *stage, const struct expr *const *keys,
                      uint32_t key_count, const bool *needed, const struct source_format *format,
                      struct str name, bool repartition)
{
    const struct analysis *ask = b->ask;
    struct step *step = plan_new_step(b, STEP_PARTITION_BY, name, stage->step);
    struct column *columns = arena_array(b->arena, struct column, key_count + ask->field_count);
    const struct expr **exprs = arena_array(b->arena, const struct expr *, key_count);
    uint32_t *carried = arena_array(b->arena, uint32_t, ask->field_count);
    struct stage next = {.step = step, .field_column = arena_array(b->arena, int32_t, ask->field_count)};
    struct known_expr *known = arena_array(b->arena, struct known_expr, key_count);
    memset(next.field_column, -1, ask->field_count * sizeof *next.field_column);
    for (uint32_t i = 0; i < key_count; i++) {
        exprs[i] = plan_stage_expr(b, stage, keys[i]);
        struct str key_name = keys[i]->kind == EXPR_COLUMN ? ask->fields[keys[i]->index].internal
                                                           : str_printf(b->arena, "KSQL_KEY_%u", i);
        columns[i] = (struct column){key_name, keys[i]->type, COLUMN_KEY, STR_NULL};
        known[next.known_count++] = (struct known_expr){keys[i], i};
        if (keys[i]->kind == EXPR_COLUMN)
            next.field_column[keys[i]->index] = (int32_t)i;
    }
    next.known = known;
    step->column_count = step->key_count = key_count;
    uint32_t count = 0;
    for (uint32_t f = 0; f < ask->field_count; f++) {
        if (!needed[f] || stage->field_column[f] < 0 || next.field_column[f] >= 0)
            continue;
        next.field_column[f] = (int32_t)step->column_count;
        carried[count++] = (uint32_t)stage->field_column[f];
        columns[step->column_count++] = plan_column_of(&ask->fields[f], COLUMN_VALUE);
    }
    step->columns = columns;
    step->result_kind = stage->step->result_kind;
    step->key.keys = exprs;
    step->key.repartition = repartition;
    step->key.no_key = key_count == 0;
    step->key.carried = carried;
    step->key.key_format = plan_key_format(format, columns, key_count);
    *stage = next;
}

/* Table functions ---------------------------------------------------------------------------------------- */

static const struct expr *const *table_args(struct builder *b, const struct stage *stage,
                                            const struct expr *call)
{
    const struct expr **args = arena_array(b->arena, const struct expr *, call->arg_count);
    for (uint32_t i = 0; i < call->arg_count; i++)
        args[i] = plan_stage_expr(b, stage, call->args[i]);
    return args;
}

static void build_flat_map(struct builder *b, struct stage *stage)
{
    const struct analysis *ask = b->ask;
    const struct step *input = stage->step;
    struct stage before = *stage;
    struct step *step = pass_step(b, STEP_FLAT_MAP, STR("FlatMap"), stage);
    uint32_t count = input->column_count + ask->table_call_count;
    struct column *columns = arena_array(b->arena, struct column, count);
    const struct expr **exprs = arena_array(b->arena, const struct expr *, count);
    const struct func_call **calls = arena_array(b->arena, const struct func_call *, count);
    const struct expr *const **args = arena_array(b->arena, const struct expr *const *, count);
    memcpy(columns, input->columns, input->column_count * sizeof *columns);
    for (uint32_t c = 0; c < input->column_count; c++) {
        struct expr like = {.type = columns[c].type};
        exprs[c] = column_expr(b, &like, c);
    }
    stage->field_column =
        arena_dup(b->arena, stage->field_column, ask->field_count * sizeof *stage->field_column);
    for (uint32_t f = 0; f < ask->field_count; f++) {
        if (ask->fields[f].kind != FIELD_TABLE_FUNCTION)
            continue;
        uint32_t i = ask->fields[f].index, column = input->column_count + i;
        stage->field_column[f] = (int32_t)column;
        columns[column] = plan_column_of(&ask->fields[f], COLUMN_VALUE);
        calls[column] = ask->table_calls[i]->call;
        args[column] = table_args(b, &before, ask->table_calls[i]);
    }
    step->columns = columns;
    step->column_count = count;
    step->select.exprs = exprs;
    step->select.table_calls = calls;
    step->select.table_args = args;
}

/* Select list and sink ----------------------------------------------------------------------------------- */

/* Columns: keys, then the items that are none. Returns where item i went. */
static uint32_t *build_select(struct builder *b, struct stage *stage)
{
    const struct analysis *ask = b->ask;
    struct stage before = *stage;
    struct step *step = pass_step(b, STEP_SELECT, STR("Project"), stage);
    uint32_t room = ask->key_count + ask->item_count;
    struct column *columns = arena_array(b->arena, struct column, room);
    const struct expr **exprs = arena_array(b->arena, const struct expr *, room);
    uint32_t *places = arena_array(b->arena, uint32_t, ask->item_count);
    uint32_t count = ask->key_count;
    for (uint32_t i = 0; i < ask->key_count; i++) {
        const struct analysis_key *key = &ask->keys[i];
        const struct expr *expr = key->item >= 0 ? ask->items[key->item].expr : key->expr;
        exprs[i] = plan_stage_expr(b, &before, expr);
        columns[i] = (struct column){key->name, expr->type, COLUMN_KEY, STR_NULL};
    }
    for (uint32_t i = 0; i < ask->item_count; i++) {
        const struct analysis_item *item = &ask->items[i];
        places[i] = item->key >= 0 ? (uint32_t)item->key : count;
        if (item->key >= 0)
            continue;
        exprs[count] = plan_stage_expr(b, &before, item->expr);
        columns[count++] = (struct column){item->name, item->expr->type, COLUMN_VALUE, STR_NULL};
    }
    step->columns = columns;
    step->column_count = count;
    step->key_count = ask->key_count;
    step->select.exprs = exprs;
    return places;
}

static void build_sink(struct builder *b, struct stage *stage, const uint32_t *places)
{
    const struct analysis *ask = b->ask;
    struct str name = ask->sink ? ask->sink->name : STR("Output");
    struct step *step = pass_step(b, STEP_SINK, name, stage);
    step->sink.sink = ask->sink;
    step->sink.timestamp_column = ask->timestamp_item >= 0 ? (int)places[ask->timestamp_item] : -1;
    step->sink.materialize = ask->sink != NULL && ask->result_kind == SOURCE_TABLE;
    step->sink.create_topic = ask->create_topic;
    step->sink.topic_retention_ms = ask->topic_retention_ms;
    step->sink.topic_compact = ask->topic_compact;
    step->sink.topic_delete = ask->topic_delete;
}

/* Order of steps ----------------------------------------------------------------------------------------- */

/* Fields that are read behind joins and WHERE. */
static bool *needed_behind_where(struct builder *b)
{
    const struct analysis *ask = b->ask;
    bool *needed = arena_array(b->arena, bool, ask->field_count);
    for (uint32_t i = 0; i < ask->item_count; i++)
        plan_mark_fields(ask->items[i].expr, needed);
    for (uint32_t i = 0; i < ask->table_call_count; i++)
        plan_mark_fields(ask->table_calls[i], needed);
    for (uint32_t i = 0; i < ask->group_count; i++)
        plan_mark_fields(ask->groups[i], needed);
    for (uint32_t i = 0; i < ask->key_count && !ask->aggregated && !ask->rekeyed; i++)
        plan_mark_fields(ask->keys[i].expr, needed);
    plan_mark_fields(ask->having, needed);
    return needed;
}

static bool build_inputs(struct builder *b, const bool *behind, struct stage *stage)
{
    const struct analysis *ask = b->ask;
    bool *needed = arena_dup(b->arena, behind, ask->field_count * sizeof *behind);
    for (uint32_t i = 0; i < ask->partition_count; i++)
        plan_mark_fields(ask->partition[i], needed);
    plan_mark_fields(ask->where, needed);
    if (ask->source_count > 1)
        return plan_build_joins(b, needed, stage);
    bool keyed = !ask->rekeyed && !(ask->aggregated && (ask->regrouped || ask->groups == NULL));
    plan_build_source(b, 0, needed, keyed, stage);
    return true;
}

static bool build_steps(struct builder *b, struct stage *stage, uint32_t **places)
{
    const struct analysis *ask = b->ask;
    const bool *behind = needed_behind_where(b);
    if (!build_inputs(b, behind, stage))
        return false;
    if (ask->where != NULL)
        build_filter(b, stage, ask->where, STR("WhereFilter"));
    if (ask->rekeyed) /* the sink puts rows where their new key belongs */
        plan_build_rekey(b, stage, ask->partition, ask->partition_count, behind,
                         ask->sink ? &ask->sink->key_format : &ask->sources[0].source->key_format,
                         STR("PartitionBy"), false);
    if (ask->table_call_count > 0)
        build_flat_map(b, stage);
    if (ask->aggregated)
        plan_build_aggregate(b, stage);
    if (ask->aggregated && ask->emit == EMIT_FINAL)
        pass_step(b, STEP_SUPPRESS, STR("Suppress"), stage);
    if (ask->having != NULL)
        build_filter(b, stage, ask->having, STR("HavingFilter"));
    *places = build_select(b, stage);
    build_sink(b, stage, *places);
    return true;
}

static void set_sources(struct builder *b, struct plan *plan)
{
    const struct source **sources = arena_array(b->arena, const struct source *, b->ask->source_count);
    for (uint32_t i = 0; i < b->ask->source_count; i++)
        sources[i] = b->ask->sources[i].source; /* the analysis's references are the plan's from here on */
    plan->sources = sources;
    plan->source_count = b->ask->source_count;
}

static bool build(struct builder *b, struct plan *plan)
{
    static const enum query_kind kinds[] = {
        [ANALYSIS_PERSISTENT] = QUERY_PERSISTENT, [ANALYSIS_PUSH] = QUERY_PUSH, [ANALYSIS_PULL] = QUERY_PULL};
    struct stage stage = {0};
    uint32_t *places;
    plan->kind = kinds[b->ask->kind];
    plan->limit = b->ask->limit;
    set_sources(b, plan);
    if (!build_steps(b, &stage, &places))
        return false;
    plan->sink = stage.step;
    plan->steps = arena_dup(b->arena, b->steps.at, b->steps.len * sizeof *b->steps.at);
    plan->step_count = (uint32_t)b->steps.len;
    plan->taps = plan->steps[0]->kind == STEP_SOURCE && plan->steps[0]->source.tap;
    plan->output_order = places;
    plan->output_count = b->ask->item_count;
    for (uint32_t i = 0; i < b->ask->key_count; i++)
        plan->internal_key |= b->ask->keys[i].item < 0;
    return plan->kind != QUERY_PULL || plan_build_access(b, plan);
}

bool plan_build(const struct analysis *analysis, const struct analyze_env *env, struct plan **out,
                struct err *err)
{
    struct err local;
    struct builder b = {.ask = analysis, .env = env, .arena = analysis->arena, .err = err ? err : &local};
    struct plan *plan = arena_new(b.arena, struct plan);
    plan->arena = b.arena;
    bool ok = build(&b, plan);
    vec_fini(&b.steps);
    if (!ok) {
        analysis_free(analysis);
        return false;
    }
    *out = plan;
    return true;
}

void plan_output_columns(const struct plan *plan, struct column *out)
{
    bool stream = plan->kind == QUERY_PULL && plan->pull.kind == PULL_STREAM;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        out[i] = plan->sink->columns[plan->output_order[i]];
        if (stream)
            out[i].role = COLUMN_VALUE;
        else if (plan->kind == QUERY_PULL && plan->sources[0]->window_kind != WINDOW_NONE &&
                 (str_eq_cstr(out[i].name, "WINDOWSTART") || str_eq_cstr(out[i].name, "WINDOWEND")))
            out[i].role = COLUMN_KEY;
    }
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (uint32_t i = 0; i < plan->source_count; i++)
        source_unref(plan->sources[i]);
    if (plan->sink->kind == STEP_SINK)
        source_unref(plan->sink->sink.sink);
    struct arena *arena = plan->arena;
    arena_fini(arena);
    free(arena);
}

bool plan_has_repartition(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct step *step = plan->steps[i];
        if ((step->kind == STEP_PARTITION_BY || step->kind == STEP_GROUP_BY) && step->key.repartition)
            return true;
    }
    return false;
}
