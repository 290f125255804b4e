/* op_join_table_table.c - table-table join on the primary key.
 *
 *     change on a side -> that side's store -> old and new result from both stores -> row, tombstone or nothing
 *
 *     is there a result?   INNER l and r     LEFT l     RIGHT r     FULL l or r
 *
 * Every change of a side gives its key's result anew; a result that ceases to exist is a tombstone. The time is the
 * greater one of the rows that are there.
 */
#include "flow/flow_int.h"

enum { TIME_CELL, FIRST_CELL }; /* of a side's store: row time, then the columns that the join takes */

struct table_side {
    struct store *store;
    struct key_codec key;
    const uint32_t *columns;
    uint32_t count;
};

struct op_join_table_table {
    struct op op;
    struct table_side sides[2]; /* left, right */
    struct buf key_bytes;
    enum ast_window_kind window;
};

static bool side_open(struct op *op, struct table_side *side, const struct step *input,
                      const uint32_t *columns, uint32_t count, const char *suffix, struct err *err)
{
    const struct sql_type **types =
        arena_array(&op->task->arena, const struct sql_type *, count + FIRST_CELL);
    types[TIME_CELL] = &type_bigint;
    for (uint32_t i = 0; i < count; i++)
        types[FIRST_CELL + i] = input->columns[columns[i]].type;
    side->columns = columns;
    side->count = count;
    key_codec_init(&side->key, input->columns, input->key_count, &op->task->arena);
    struct store_options options = {.kind = window_store_kind(input->key_window),
                                    .types = types,
                                    .cell_count = count + FIRST_CELL};
    side->store = op_store_open(op, suffix, &options, err);
    return side->store != NULL;
}

static bool join_tables_open(struct op *op, struct err *err)
{
    struct op_join_table_table *oj = (struct op_join_table_table *)op;
    const struct step *step = op->step;
    oj->window = step->key_window;
    return side_open(op, &oj->sides[0], step->input, step->join.left_columns, step->join.left_count, "left",
                     err) &&
           side_open(op, &oj->sides[1], step->right, step->join.right_columns, step->join.right_count,
                     "right", err);
}

static void join_tables_close(struct op *op)
{
    struct op_join_table_table *oj = (struct op_join_table_table *)op;
    store_close(oj->sides[0].store);
    store_close(oj->sides[1].store);
    buf_fini(&oj->key_bytes);
}

static bool has_result(enum ast_join_kind kind, bool left, bool right)
{
    switch (kind) {
    case JOIN_INNER:
        return left && right;
    case JOIN_LEFT:
        return left;
    case JOIN_RIGHT:
        return right;
    case JOIN_FULL:
        break;
    }
    return left || right;
}

/* Columns of a result from cells of both sides; NULL: the side is missing. Values are copied: the cells may change. */
static void fill(struct op_join_table_table *oj, struct value **cols, uint32_t row, const struct value *key,
                 const struct value *left, const struct value *right)
{
    struct arena *arena = &oj->op.task->batch;
    uint32_t c = 0;
    for (; c < oj->op.step->key_count; c++)
        cols[c][row] = key[c];
    for (uint32_t i = 0; i < oj->sides[0].count; i++, c++)
        cols[c][row] = left != NULL ? value_dup(left[FIRST_CELL + i], arena) : VALUE_NULL;
    for (uint32_t i = 0; i < oj->sides[1].count; i++, c++)
        cols[c][row] = right != NULL ? value_dup(right[FIRST_CELL + i], arena) : VALUE_NULL;
}

static void store_side(struct table_side *side, struct store_entry *entry, const struct run *run,
                       uint32_t row)
{
    if (run_deleted(run, row)) {
        store_delete(side->store, entry);
        return;
    }
    entry->cells[TIME_CELL] = value_bigint(run->rowtime_ms[row]);
    for (uint32_t i = 0; i < side->count; i++)
        entry->cells[FIRST_CELL + i] = run->cols[side->columns[i]][row];
    store_changed(side->store, entry);
}

static bool join_row(struct op_join_table_table *oj, uint32_t side, const struct run *run, uint32_t row,
                     struct run_out *out)
{
    struct arena *arena = &oj->op.task->batch;
    struct table_side *own = &oj->sides[side], *other = &oj->sides[1 - side];
    struct err err;
    bool failed;
    if (!key_encode(&own->key, run->cols, row, &oj->key_bytes))
        return true;
    int64_t t0 = run_t0(run, oj->window, row), t1 = run_t1(run, oj->window, row);
    struct store_entry *entry = store_at(own->store, buf_str(&oj->key_bytes), t0, t1, &err);
    if (entry == NULL)
        return op_fail_err(&oj->op, &err);
    struct value *old_cells = store_cells_dup(entry, own->count + FIRST_CELL, arena);
    store_side(own, entry, run, row);
    const struct value *new_cells = entry->present ? entry->cells : NULL;
    struct store_entry *match = store_find(other->store, buf_str(&oj->key_bytes), t0, t1, &failed, &err);
    if (failed)
        return op_fail_err(&oj->op, &err);
    const struct value *match_cells = match != NULL ? match->cells : NULL;
    enum ast_join_kind kind = oj->op.step->join.kind;
    bool was = side == 0 ? has_result(kind, old_cells != NULL, match_cells != NULL)
                         : has_result(kind, match_cells != NULL, old_cells != NULL);
    bool is = side == 0 ? has_result(kind, new_cells != NULL, match_cells != NULL)
                        : has_result(kind, match_cells != NULL, new_cells != NULL);
    if (!was && !is)
        return true;
    int64_t time_ms = run->rowtime_ms[row];
    if (match_cells != NULL)
        time_ms = MAX(time_ms, match_cells[TIME_CELL].l);
    uint32_t at = run_out_row(out, time_ms);
    struct value *key = arena_array(arena, struct value, oj->op.step->key_count + 1);
    for (uint32_t i = 0; i < oj->op.step->key_count; i++)
        key[i] = out->cols[i][at] = run->cols[i][row];
    if (out->window_start_ms != NULL) {
        out->window_start_ms[at] = run->window_start_ms[row];
        out->window_end_ms[at] = run->window_end_ms[row];
    }
    if (is)
        fill(oj, out->cols, at, key, side == 0 ? new_cells : match_cells,
             side == 0 ? match_cells : new_cells);
    else
        out->deleted[at] = out->any_deleted = true;
    if (was && out->old_cols != NULL) {
        out->has_old[at] = true;
        fill(oj, out->old_cols, at, key, side == 0 ? old_cells : match_cells,
             side == 0 ? match_cells : old_cells);
    }
    return true;
}

static bool join_tables_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_join_table_table *oj = (struct op_join_table_table *)op;
    struct run_out out;
    run_out_begin(&out, op, run);
    bool ok = true;
    for (uint32_t r = 0; ok && r < run->count; r++) {
        run_out_for(&out, run, r);
        ok = join_row(oj, side, run, r, &out);
    }
    return run_out_end(&out) && ok;
}

static void join_tables_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_join_table_table *oj = (struct op_join_table_table *)op;
    store_hand_over(oj->sides[0].store, batch);
    store_hand_over(oj->sides[1].store, batch);
}

const struct op_class op_join_table_table_class = {
    .name = "join",
    .size = sizeof(struct op_join_table_table),
    .open = join_tables_open,
    .process = join_tables_process,
    .hand_over = join_tables_hand_over,
    .close = join_tables_close,
};
