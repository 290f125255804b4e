/* op_join_table.c - stream-table join: each row of the stream looks its key up in the table.
 *
 *     side 0, stream   key -> row of the store -> left columns, right columns
 *     side 1, table    changes keep the store up to date, nothing comes out
 *
 * Stream rows without key or value are dropped; without match they are dropped (INNER) or get NULLs (LEFT). The result
 * has the stream row's time and headers. Left columns are borrowed when every row of the run goes on.
 */
#include "flow/flow_int.h"

struct op_join_table {
    struct op op;
    struct store *store;
    struct key_codec left_key, right_key;
    struct buf key_bytes;
    enum ast_window_kind window;
};

static bool join_table_open(struct op *op, struct err *err)
{
    struct op_join_table *oj = (struct op_join_table *)op;
    const struct step *step = op->step;
    const struct sql_type **types =
        arena_array(&op->task->arena, const struct sql_type *, step->join.right_count + 1);
    for (uint32_t i = 0; i < step->join.right_count; i++)
        types[i] = step->right->columns[step->join.right_columns[i]].type;
    key_codec_init(&oj->left_key, step->input->columns, step->input->key_count, &op->task->arena);
    key_codec_init(&oj->right_key, step->right->columns, step->right->key_count, &op->task->arena);
    oj->window = step->right->key_window;
    struct store_options options = {.kind = window_store_kind(oj->window),
                                    .types = types,
                                    .cell_count = step->join.right_count};
    oj->store = op_store_open(op, "table", &options, err);
    return oj->store != NULL;
}

static void join_table_close(struct op *op)
{
    struct op_join_table *oj = (struct op_join_table *)op;
    store_close(oj->store);
    buf_fini(&oj->key_bytes);
}

static bool table_rows(struct op_join_table *oj, const struct run *run)
{
    const struct step *step = oj->op.step;
    struct err err;
    for (uint32_t r = 0; r < run->count; r++) {
        if (!key_encode(&oj->right_key, run->cols, r, &oj->key_bytes))
            continue;
        struct store_entry *entry = store_at(oj->store, buf_str(&oj->key_bytes), run_t0(run, oj->window, r),
                                             run_t1(run, oj->window, r), &err);
        if (entry == NULL)
            return op_fail_err(&oj->op, &err);
        if (run_deleted(run, r)) {
            store_delete(oj->store, entry);
            continue;
        }
        for (uint32_t i = 0; i < step->join.right_count; i++)
            entry->cells[i] = run->cols[step->join.right_columns[i]][r];
        store_changed(oj->store, entry);
    }
    return true;
}

/* Finds the matches; picked rows of the run go on. False: the task has failed. */
static bool match(struct op_join_table *oj, const struct run *run, uint32_t *picked,
                  const struct value **matches, uint32_t *count)
{
    struct err err;
    bool failed, left = oj->op.step->join.kind == JOIN_LEFT;
    uint32_t n = 0;
    for (uint32_t r = 0; r < run->count; r++) {
        if (run_deleted(run, r) || !key_encode(&oj->left_key, run->cols, r, &oj->key_bytes))
            continue;
        struct store_entry *entry = store_find(oj->store, buf_str(&oj->key_bytes), run_t0(run, oj->window, r),
                                               run_t1(run, oj->window, r), &failed, &err);
        if (failed)
            return op_fail_err(&oj->op, &err);
        if (entry == NULL && !left)
            continue;
        matches[n] = entry != NULL ? entry->cells : NULL;
        picked[n++] = r;
    }
    *count = n;
    return true;
}

static bool stream_rows(struct op_join_table *oj, const struct run *run)
{
    const struct step *step = oj->op.step;
    struct arena *arena = &oj->op.task->batch;
    uint32_t *picked = arena_alloc(arena, run->count * sizeof *picked), n = 0;
    const struct value **matches = arena_alloc(arena, run->count * sizeof *matches);
    if (!match(oj, run, picked, matches, &n))
        return false;
    if (n == 0)
        return true;
    struct run left = n == run->count ? *run : run_pick(run, picked, n, arena), out = left;
    const struct value **cols = arena_array(arena, const struct value *, step->column_count + 1);
    out.column_count = step->column_count;
    out.cols = cols;
    for (uint32_t i = 0; i < step->key_count; i++)
        *cols++ = left.cols[i];
    for (uint32_t i = 0; i < step->join.left_count; i++)
        *cols++ = left.cols[step->join.left_columns[i]];
    for (uint32_t i = 0; i < step->join.right_count; i++) {
        struct value *values = arena_alloc(arena, n * sizeof *values);
        for (uint32_t r = 0; r < n; r++)
            values[r] = matches[r] != NULL ? matches[r][i] : VALUE_NULL;
        *cols++ = values;
    }
    return op_push(&oj->op, &out);
}

static bool join_table_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_join_table *oj = (struct op_join_table *)op;
    return side == 1 ? table_rows(oj, run) : stream_rows(oj, run);
}

static void join_table_hand_over(struct op *op, struct state_batch *batch)
{
    store_hand_over(((struct op_join_table *)op)->store, batch);
}

const struct op_class op_join_table_class = {
    .name = "join",
    .size = sizeof(struct op_join_table),
    .open = join_table_open,
    .process = join_table_process,
    .hand_over = join_table_hand_over,
    .close = join_table_close,
};
