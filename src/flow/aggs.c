/* aggs.c - the aggregate functions of a step, driven over rows of state.
 *
 *     cells of a row   [ greatest row time | state of aggregate 0 | state of aggregate 1 | ... ]
 *
 * Functions put what they make into the batch arena; store_changed copies what stays. Arguments are evaluated once a run.
 */
#include "flow/flow_int.h"

void agg_set_init(struct agg_set *set, struct op *op)
{
    const struct step *step = op->step;
    struct arena *arena = &op->task->arena;
    uint32_t longest = 1;
    set->op = op;
    set->count = step->aggregate.aggregate_count;
    set->aggs = arena_array(arena, struct agg, set->count + 1);
    set->types = arena_array(arena, const struct sql_type *, set->count + AGG_FIRST_CELL);
    set->types[AGG_TIME_CELL] = &type_bigint;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct plan_aggregate *plan = &step->aggregate.aggregates[i];
        struct agg *agg = &set->aggs[i];
        agg->call = plan->call;
        agg->fn = plan->call->agg;
        agg->arg_count = plan->arg_count;
        agg->args = arena_array(arena, struct column_eval, plan->arg_count + 1);
        agg->values = arena_array(arena, const struct value *, plan->arg_count + 1);
        agg->old_values = arena_array(arena, const struct value *, plan->arg_count + 1);
        for (uint32_t a = 0; a < plan->arg_count; a++)
            column_eval_init(&agg->args[a], plan->args[a], arena);
        set->types[AGG_FIRST_CELL + i] = plan->call->state_type;
        longest = MAX(longest, plan->arg_count);
    }
    set->argv = arena_array(arena, struct value, longest);
}

void agg_set_begin(struct agg_set *set, const struct run *run)
{
    struct op *op = set->op;
    for (uint32_t i = 0; i < set->count; i++) {
        struct agg *agg = &set->aggs[i];
        agg->ctx = expr_ctx_func(op->task->expr, agg->call, &op->task->batch);
        for (uint32_t a = 0; run->count != 0 && a < agg->arg_count; a++) {
            agg->values[a] = column_eval_run(&agg->args[a], op, run->cols, run->count, NULL);
            if (run->old_cols != NULL)
                agg->old_values[a] = column_eval_run(&agg->args[a], op, run->old_cols, run->count, NULL);
        }
    }
}

/* An aggregate that could not take a value leaves its state as it was. */
static void check_failed(struct agg_set *set, struct agg *agg)
{
    if (__builtin_expect(!agg->ctx->failed, 1))
        return;
    agg->ctx->failed = false;
    op_log(set->op, FLOW_LOG_PROCESSING, -1,
           agg->ctx->err != NULL ? agg->ctx->err->text : "aggregate failed");
}

void agg_set_reset(struct agg_set *set, struct value *cells, int64_t ts_ms)
{
    cells[AGG_TIME_CELL] = value_bigint(ts_ms);
    for (uint32_t i = 0; i < set->count; i++)
        set->aggs[i].fn->init(set->aggs[i].ctx, &cells[AGG_FIRST_CELL + i]);
}

static void raise_time(struct value *cells, int64_t ts_ms)
{
    cells[AGG_TIME_CELL].l = MAX(cells[AGG_TIME_CELL].l, ts_ms);
}

void agg_set_add(struct agg_set *set, struct value *cells, uint32_t row, int64_t ts_ms)
{
    raise_time(cells, ts_ms);
    for (uint32_t i = 0; i < set->count; i++) {
        struct agg *agg = &set->aggs[i];
        for (uint32_t a = 0; a < agg->arg_count; a++)
            set->argv[a] = agg->values[a][row];
        agg->fn->add(agg->ctx, &cells[AGG_FIRST_CELL + i], set->argv, agg->arg_count);
        check_failed(set, agg);
    }
}

void agg_set_undo(struct agg_set *set, struct value *cells, uint32_t row, int64_t ts_ms)
{
    raise_time(cells, ts_ms);
    for (uint32_t i = 0; i < set->count; i++) {
        struct agg *agg = &set->aggs[i];
        for (uint32_t a = 0; a < agg->arg_count; a++)
            set->argv[a] = agg->old_values[a][row];
        agg->fn->undo(agg->ctx, &cells[AGG_FIRST_CELL + i], set->argv, agg->arg_count);
        check_failed(set, agg);
    }
}

void agg_set_merge(struct agg_set *set, struct value *cells, const struct value *other)
{
    raise_time(cells, other[AGG_TIME_CELL].l);
    for (uint32_t i = 0; i < set->count; i++) {
        struct agg *agg = &set->aggs[i];
        agg->fn->merge(agg->ctx, &cells[AGG_FIRST_CELL + i], &other[AGG_FIRST_CELL + i]);
        check_failed(set, agg);
    }
}

void agg_set_results(struct agg_set *set, const struct value *cells, struct value **cols, uint32_t first,
                     uint32_t row, bool copy)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct agg *agg = &set->aggs[i];
        struct value *out = &cols[first + i][row];
        agg->fn->result(agg->ctx, &cells[AGG_FIRST_CELL + i], out);
        check_failed(set, agg);
        if (copy && out->kind >= SQL_DECIMAL)
            *out = value_dup(*out, &set->op->task->batch);
    }
}
