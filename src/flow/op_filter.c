/* op_filter.c - WHERE and HAVING.
 *
 *     stream   rows whose condition is true go on; null values never do
 *     table    new row passes: it goes on (with its old row, if that had passed)
 *              new row does not pass, old one had: a tombstone
 *              neither: nothing. Where old rows are not known every row that does not pass is a tombstone
 *
 * A condition that cannot be evaluated is false; the error is in the processing log.
 */
#include "flow/flow_int.h"

struct op_filter {
    struct op op;
    struct column_eval condition;
};

static bool filter_open(struct op *op, struct err *err)
{
    column_eval_init(&((struct op_filter *)op)->condition, op->step->filter.condition, &op->task->arena);
    return true;
}

static bool is_true(struct value v)
{
    return v.kind == SQL_BOOLEAN && v.b;
}

static bool filter_stream(struct op_filter *of, const struct run *run)
{
    struct arena *arena = &of->op.task->batch;
    const struct value *passes = column_eval_run(&of->condition, &of->op, run->cols, run->count, NULL);
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    for (uint32_t r = 0; r < run->count; r++) {
        picked[n] = r;
        n += is_true(passes[r]) && !run_deleted(run, r);
    }
    if (n == run->count)
        return op_push(&of->op, run);
    if (n == 0)
        return true;
    struct run part = run_pick(run, picked, n, arena);
    return op_push(&of->op, &part);
}

static bool filter_table(struct op_filter *of, const struct run *run)
{
    struct arena *arena = &of->op.task->batch;
    const struct value *passes = column_eval_run(&of->condition, &of->op, run->cols, run->count, NULL);
    const struct value *passed = NULL;
    if (run->old_cols != NULL)
        passed = column_eval_run(&of->condition, &of->op, run->old_cols, run->count, NULL);
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    bool *deleted = arena_array(arena, bool, run->count), *has_old = arena_array(arena, bool, run->count);
    for (uint32_t r = 0; r < run->count; r++) {
        deleted[r] = run_deleted(run, r) || !is_true(passes[r]);
        has_old[r] = run_has_old(run, r) && is_true(passed[r]);
        if (deleted[r] && run->old_cols != NULL && !has_old[r])
            continue;
        picked[n++] = r;
    }
    struct run all = *run;
    all.deleted = deleted;
    all.has_old = run->old_cols != NULL ? has_old : NULL;
    struct run part = run_pick(&all, picked, n, arena);
    return op_push(&of->op, &part);
}

static bool filter_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_filter *of = (struct op_filter *)op;
    /* Rows that a pull query reads are no changes. */
    bool changes = op->step->result_kind == SOURCE_TABLE && op->task->env->plan->kind != QUERY_PULL;
    return changes ? filter_table(of, run) : filter_stream(of, run);
}

static void filter_close(struct op *op)
{
}

const struct op_class op_filter_class = {
    .name = "filter",
    .size = sizeof(struct op_filter),
    .open = filter_open,
    .process = filter_process,
    .close = filter_close,
};
