/* op_group.c - new key columns: PARTITION BY and GROUP BY.
 *
 *     PARTITION BY   every row goes on; of a null value the value columns are NULL for the key expressions too
 *     GROUP BY       rows with a null in any grouping expression are dropped, and told to the processing log
 *         stream     rows without value are dropped
 *         table      new and old row are grouped each for itself: their groups may differ
 *
 * Columns of the result: the keys, then the input's carried columns. Whether rows must move to another partition is not
 * decided here: op_repartition.c stands behind this operator where they must.
 */
#include "flow/flow_int.h"

#include <stdio.h>

struct op_key {
    struct op op;
    struct column_eval *keys;
    bool drop_null_keys;
};

static bool key_open(struct op *op, struct err *err)
{
    struct op_key *ok = (struct op_key *)op;
    ok->keys = arena_array(&op->task->arena, struct column_eval, op->step->key_count + 1);
    for (uint32_t i = 0; i < op->step->key_count; i++)
        column_eval_init(&ok->keys[i], op->step->key.keys[i], &op->task->arena);
    ok->drop_null_keys = op->step->kind == STEP_GROUP_BY;
    return true;
}

static const struct value **key_columns(struct op_key *ok, const struct run *run,
                                        const struct value *const *cols)
{
    const struct step *step = ok->op.step;
    const struct value **out = arena_array(&ok->op.task->batch, const struct value *, step->column_count + 1);
    for (uint32_t i = 0; i < step->key_count; i++)
        out[i] = column_eval_run(&ok->keys[i], &ok->op, cols, run->count, NULL);
    for (uint32_t i = step->key_count; i < step->column_count; i++)
        out[i] = cols[step->key.carried[i - step->key_count]];
    return out;
}

/* Index of the first null key column, or -1. */
static int null_key(const struct op_key *ok, const struct value *const *cols, uint32_t row)
{
    for (uint32_t i = 0; i < ok->op.step->key_count; i++)
        if (value_is_null(cols[i][row]))
            return (int)i;
    return -1;
}

static void log_null_key(struct op_key *ok, const struct run *run, uint32_t row, int column)
{
    char text[128];
    ignore(
        snprintf(
            text, sizeof text,
            "Group-by column with index %d resolved to null. The source row will be excluded from the table.",
            column) < 0,
        "the text fits");
    op_log(&ok->op, FLOW_LOG_PROCESSING, run->offset != NULL ? run->offset[row] : -1, text);
}

static struct run rekeyed(const struct op_key *ok, const struct run *run, const struct value *const *cols)
{
    struct run out = *run;
    out.column_count = ok->op.step->column_count;
    out.cols = cols;
    out.null_key = NULL;
    out.old_cols = NULL;
    out.has_old = NULL;
    if (ok->op.step->key_window == WINDOW_NONE)
        out.window_start_ms = out.window_end_ms = NULL;
    return out;
}

static bool partition_rows(struct op_key *ok, const struct run *run)
{
    const struct value **cols = key_columns(ok, run, run->cols);
    struct run out = rekeyed(ok, run, cols);
    if (ok->op.gives_old && run->old_cols != NULL) {
        out.old_cols = (const struct value *const *)key_columns(ok, run, run->old_cols);
        out.has_old = run->has_old;
    }
    return op_push(&ok->op, &out);
}

static bool group_stream(struct op_key *ok, const struct run *run)
{
    struct arena *arena = &ok->op.task->batch;
    const struct value **cols = key_columns(ok, run, run->cols);
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    for (uint32_t r = 0; r < run->count; r++) {
        if (run_deleted(run, r))
            continue;
        int column = null_key(ok, cols, r);
        if (column >= 0)
            log_null_key(ok, run, r, column);
        else
            picked[n++] = r;
    }
    struct run out = rekeyed(ok, run, cols);
    if (n == run->count)
        return op_push(&ok->op, &out);
    struct run part = run_pick(&out, picked, n, arena);
    return op_push(&ok->op, &part);
}

static bool group_table(struct op_key *ok, const struct run *run)
{
    struct arena *arena = &ok->op.task->batch;
    const struct value **cols = key_columns(ok, run, run->cols);
    const struct value **old = run->old_cols != NULL ? key_columns(ok, run, run->old_cols) : NULL;
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    bool *deleted = arena_array(arena, bool, run->count), *has_old = arena_array(arena, bool, run->count);
    for (uint32_t r = 0; r < run->count; r++) {
        int column = run_deleted(run, r) ? -1 : null_key(ok, cols, r);
        if (column >= 0)
            log_null_key(ok, run, r, column);
        deleted[r] = run_deleted(run, r) || column >= 0;
        has_old[r] = run_has_old(run, r) && null_key(ok, old, r) < 0;
        if (!deleted[r] || has_old[r])
            picked[n++] = r;
    }
    struct run out = rekeyed(ok, run, cols);
    out.deleted = deleted;
    out.old_cols = (const struct value *const *)(old != NULL ? old : cols);
    out.has_old = has_old;
    struct run part = run_pick(&out, picked, n, arena);
    return op_push(&ok->op, &part);
}

static bool key_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_key *ok = (struct op_key *)op;
    if (!ok->drop_null_keys)
        return partition_rows(ok, run);
    return op->step->input->result_kind == SOURCE_TABLE ? group_table(ok, run) : group_stream(ok, run);
}

static void key_close(struct op *op)
{
}

const struct op_class op_key_class = {
    .name = "key",
    .size = sizeof(struct op_key),
    .open = key_open,
    .process = key_process,
    .close = key_close,
};
