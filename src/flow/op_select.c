/* op_select.c - SELECT: computes columns; and with table functions: zero or more rows for one.
 *
 * A column that only passes through costs a pointer. An expression that fails is NULL in its row, the error is in the
 * processing log; a table function whose argument fails gives no row. A null value (stream) or tombstone (table) stays
 * one; only its key columns are computed.
 */
#include "flow/flow_int.h"

struct op_select {
    struct op op;
    struct column_eval *evals; /* one a column */
};

static bool select_open(struct op *op, struct err *err)
{
    struct op_select *os = (struct op_select *)op;
    os->evals = arena_array(&op->task->arena, struct column_eval, op->step->column_count + 1);
    for (uint32_t c = 0; c < op->step->column_count; c++)
        column_eval_init(&os->evals[c], op->step->select.exprs[c], &op->task->arena);
    return true;
}

static bool any_deleted(const struct run *run)
{
    for (uint32_t r = 0; r < run->count; r++)
        if (run_deleted(run, r))
            return true;
    return false;
}

/* Rows without value: nothing is computed for them, so that they cause no errors. */
static const struct value *select_partly(struct op_select *os, uint32_t c, const struct run *run)
{
    struct arena *arena = &os->op.task->batch;
    struct value *out = arena_alloc(arena, run->count * sizeof *out);
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    for (uint32_t r = 0; r < run->count; r++) {
        out[r] = VALUE_NULL;
        picked[n] = r;
        n += !run_deleted(run, r);
    }
    if (n == 0)
        return out;
    struct run part = run_pick(run, picked, n, arena);
    const struct value *values = column_eval_run(&os->evals[c], &os->op, part.cols, n, NULL);
    for (uint32_t i = 0; i < n; i++)
        out[picked[i]] = values[i];
    return out;
}

static const struct value *const *select_columns(struct op_select *os, const struct run *run,
                                                 const struct value *const *cols, bool partly)
{
    const struct step *step = os->op.step;
    const struct value **out = arena_array(&os->op.task->batch, const struct value *, step->column_count + 1);
    for (uint32_t c = 0; c < step->column_count; c++)
        out[c] = partly && c >= step->key_count && os->evals[c].column < 0
                     ? select_partly(os, c, run)
                     : column_eval_run(&os->evals[c], &os->op, cols, run->count, NULL);
    return out;
}

static bool select_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_select *os = (struct op_select *)op;
    struct run out = *run;
    out.column_count = op->step->column_count;
    out.cols = select_columns(os, run, run->cols, run->deleted != NULL && any_deleted(run));
    if (op->gives_old && run->old_cols != NULL) {
        out.old_cols = select_columns(os, run, run->old_cols, false);
    } else {
        out.old_cols = NULL;
        out.has_old = NULL;
    }
    return op_push(op, &out);
}

static void select_close(struct op *op)
{
}

const struct op_class op_select_class = {
    .name = "select",
    .size = sizeof(struct op_select),
    .open = select_open,
    .process = select_process,
    .close = select_close,
};

/* Table functions --------------------------------------------------------------------------------------------- */

struct op_flat_map {
    struct op op;
    struct column_eval *evals;      /* of plain columns */
    struct column_eval **arg_evals; /* of table functions: one a parameter */
};

static bool flat_map_open(struct op *op, struct err *err)
{
    struct op_flat_map *of = (struct op_flat_map *)op;
    const struct step *step = op->step;
    struct arena *arena = &op->task->arena;
    of->evals = arena_array(arena, struct column_eval, step->column_count + 1);
    of->arg_evals = arena_array(arena, struct column_eval *, step->column_count + 1);
    for (uint32_t c = 0; c < step->column_count; c++) {
        const struct func_call *call = step->select.table_calls[c];
        if (call == NULL) {
            column_eval_init(&of->evals[c], step->select.exprs[c], arena);
            continue;
        }
        of->arg_evals[c] = arena_array(arena, struct column_eval, call->arg_count + 1);
        for (uint32_t a = 0; a < call->arg_count; a++)
            column_eval_init(&of->arg_evals[c][a], step->select.table_args[c][a], arena);
    }
    return true;
}

/* One column of the input rows: plain values, or argument values of a table function. */
struct flat_column {
    const struct value *plain;
    const struct value **args;
    bool *failed;             /* rows in which an argument could not be evaluated */
    const struct value *rows; /* of the present row */
    uint32_t row_count;
};

static void flat_column_eval(struct op_flat_map *of, uint32_t c, const struct run *run,
                             struct flat_column *column)
{
    const struct func_call *call = of->op.step->select.table_calls[c];
    if (call == NULL) {
        column->plain = column_eval_run(&of->evals[c], &of->op, run->cols, run->count, NULL);
        return;
    }
    column->args = arena_array(&of->op.task->batch, const struct value *, call->arg_count + 1);
    column->failed = arena_array(&of->op.task->batch, bool, run->count);
    bool *failed = arena_array(&of->op.task->batch, bool, run->count);
    for (uint32_t a = 0; a < call->arg_count; a++) {
        column->args[a] = column_eval_run(&of->arg_evals[c][a], &of->op, run->cols, run->count, failed);
        for (uint32_t r = 0; r < run->count; r++)
            column->failed[r] |= failed[r];
    }
}

/* Calls the table functions for one row; gives the greatest number of rows. */
static uint32_t flat_row_call(struct op_flat_map *of, struct flat_column *columns, const struct run *run,
                              uint32_t row)
{
    const struct step *step = of->op.step;
    uint32_t most = 0;
    for (uint32_t c = 0; c < step->column_count; c++) {
        const struct func_call *call = step->select.table_calls[c];
        if (call == NULL)
            continue;
        if (columns[c].failed[row])
            return 0;
        struct value *args = arena_array(&of->op.task->batch, struct value, call->arg_count + 1);
        for (uint32_t a = 0; a < call->arg_count; a++)
            args[a] = columns[c].args[a][row];
        struct func_ctx *ctx = expr_ctx_func(of->op.task->expr, call, &of->op.task->batch);
        columns[c].rows = NULL;
        columns[c].row_count = 0;
        call->table(ctx, args, call->arg_count, &columns[c].rows, &columns[c].row_count);
        if (ctx->failed) {
            columns[c].row_count = 0;
            op_log(&of->op, FLOW_LOG_PROCESSING, run->offset != NULL ? run->offset[row] : -1,
                   ctx->err != NULL ? ctx->err->text : "table function failed");
        }
        most = MAX(most, columns[c].row_count);
    }
    return most;
}

static bool flat_map_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_flat_map *of = (struct op_flat_map *)op;
    const struct step *step = op->step;
    struct flat_column *columns = arena_array(&op->task->batch, struct flat_column, step->column_count + 1);
    for (uint32_t c = 0; c < step->column_count; c++)
        flat_column_eval(of, c, run, &columns[c]);
    struct run_out out;
    run_out_begin(&out, op, run);
    for (uint32_t r = 0; r < run->count; r++) {
        run_out_for(&out, run, r);
        uint32_t most = run_deleted(run, r) ? 0 : flat_row_call(of, columns, run, r);
        for (uint32_t i = 0; i < most; i++) {
            uint32_t row = run_out_row(&out, run->rowtime_ms[r]);
            for (uint32_t c = 0; c < step->column_count; c++) {
                if (columns[c].plain != NULL)
                    out.cols[c][row] = columns[c].plain[r];
                else if (i < columns[c].row_count)
                    out.cols[c][row] = columns[c].rows[i];
            }
            if (out.window_start_ms != NULL && run->window_start_ms != NULL) {
                out.window_start_ms[row] = run->window_start_ms[r];
                out.window_end_ms[row] = run->window_end_ms[r];
            }
        }
    }
    return run_out_end(&out);
}

const struct op_class op_flat_map_class = {
    .name = "flat-map",
    .size = sizeof(struct op_flat_map),
    .open = flat_map_open,
    .process = flat_map_process,
    .close = select_close,
};
