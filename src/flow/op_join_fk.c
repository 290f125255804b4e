/* op_join_fk.c - table-table join on a foreign key: an expression over the left row = the right row's primary key.
 *
 *     left store    left key -> foreign key bytes, row time, left columns
 *     right store   right key -> row time, right columns
 *     index         foreign key -> left keys          (t0, t1: hash of the left key, cell: the left key's bytes)
 *
 *     left change   old and new result of this one left row
 *     right change  old and new result of every left row in the index, by left key
 *
 * INNER: a result needs both rows; LEFT: only the left one. Where there is no result any more a tombstone comes out; as in
 * Kafka Streams also where there was none before, except for a left row that is new.
 * The time of a result is the greater one of the rows that are there. One partition: rows of both sides meet in one task.
 */
#include "flow/flow_int.h"

enum { LEFT_FK_CELL, LEFT_TIME_CELL, LEFT_FIRST_CELL }; /* fk: NULL when the expression is */
enum { RIGHT_TIME_CELL, RIGHT_FIRST_CELL };

struct op_join_fk {
    struct op op;
    struct store *left, *right, *index;
    struct key_codec left_key, right_key, foreign_key;
    struct column_eval foreign;
    struct buf key_bytes, fk_bytes;
    struct store_entries found;
};

static struct store *fk_store(struct op *op, const char *suffix, enum store_kind kind,
                              const struct sql_type **types, uint32_t count, struct err *err)
{
    struct store_options options = {.kind = kind, .types = types, .cell_count = count};
    return op_store_open(op, suffix, &options, err);
}

static bool join_fk_open(struct op *op, struct err *err)
{
    struct op_join_fk *oj = (struct op_join_fk *)op;
    const struct step *step = op->step;
    struct arena *arena = &op->task->arena;
    uint32_t lefts = step->join.left_count, rights = step->join.right_count;
    const struct sql_type **left = arena_array(arena, const struct sql_type *, lefts + LEFT_FIRST_CELL);
    const struct sql_type **right = arena_array(arena, const struct sql_type *, rights + RIGHT_FIRST_CELL);
    const struct sql_type **index = arena_array(arena, const struct sql_type *, 1);
    left[LEFT_FK_CELL] = index[0] = &type_bytes;
    left[LEFT_TIME_CELL] = right[RIGHT_TIME_CELL] = &type_bigint;
    for (uint32_t i = 0; i < lefts; i++)
        left[LEFT_FIRST_CELL + i] = step->input->columns[step->join.left_columns[i]].type;
    for (uint32_t i = 0; i < rights; i++)
        right[RIGHT_FIRST_CELL + i] = step->right->columns[step->join.right_columns[i]].type;
    key_codec_init(&oj->left_key, step->input->columns, step->input->key_count, arena);
    key_codec_init(&oj->right_key, step->right->columns, step->right->key_count, arena);
    key_codec_init(&oj->foreign_key, step->right->columns, step->right->key_count, arena);
    column_eval_init(&oj->foreign, step->join.foreign_key, arena);
    return (oj->left = fk_store(op, "left", STORE_KEY_VALUE, left, lefts + LEFT_FIRST_CELL, err)) != NULL &&
           (oj->right = fk_store(op, "right", STORE_KEY_VALUE, right, rights + RIGHT_FIRST_CELL, err)) !=
               NULL &&
           (oj->index = fk_store(op, "index", STORE_SESSION, index, 1, err)) != NULL;
}

static void join_fk_close(struct op *op)
{
    struct op_join_fk *oj = (struct op_join_fk *)op;
    store_close(oj->left);
    store_close(oj->right);
    store_close(oj->index);
    vec_fini(&oj->found.list);
    buf_fini(&oj->key_bytes);
    buf_fini(&oj->fk_bytes);
}

/* FNV-1a: stored, so it must never change. */
static int64_t stored_hash(struct str s, uint64_t basis)
{
    uint64_t hash = basis;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * 0x100000001b3ull;
    return (int64_t)hash;
}

static bool index_change(struct op_join_fk *oj, struct str fk, struct str left_key, bool add)
{
    struct err err;
    struct store_entry *entry = store_at(oj->index, fk, stored_hash(left_key, 0xcbf29ce484222325ull),
                                         stored_hash(left_key, 0x84222325cbf29ce4ull), &err);
    if (entry == NULL)
        return op_fail_err(&oj->op, &err);
    if (!add) {
        store_delete(oj->index, entry);
        return true;
    }
    entry->cells[0] = value_bytes(left_key);
    store_changed(oj->index, entry);
    return true;
}

/* Cells of the right row for a foreign key (NULL value: none), or NULL. */
static bool find_right(struct op_join_fk *oj, struct value fk, const struct value **cells)
{
    struct err err;
    bool failed = false;
    struct store_entry *entry = NULL;
    if (!value_is_null(fk))
        entry = store_find(oj->right, value_slice(fk), 0, 0, &failed, &err);
    *cells = entry != NULL ? entry->cells : NULL;
    return !failed || op_fail_err(&oj->op, &err);
}

static bool has_result(const struct op_join_fk *oj, const struct value *left, const struct value *right)
{
    return left != NULL && (right != NULL || oj->op.step->join.kind == JOIN_LEFT);
}

static void fill(struct op_join_fk *oj, struct value **cols, uint32_t row, const struct value *key,
                 const struct value *left, const struct value *right)
{
    const struct step *step = oj->op.step;
    struct arena *arena = &oj->op.task->batch;
    uint32_t c = 0;
    for (; c < step->key_count; c++)
        cols[c][row] = key[c];
    for (uint32_t i = 0; i < step->join.left_count; i++, c++)
        cols[c][row] = value_dup(left[LEFT_FIRST_CELL + i], arena);
    for (uint32_t i = 0; i < step->join.right_count; i++, c++)
        cols[c][row] = right != NULL ? value_dup(right[RIGHT_FIRST_CELL + i], arena) : VALUE_NULL;
}

struct fk_change {
    const struct value *old_left, *old_right, *left, *right; /* NULL: missing */
};

static void emit(struct op_join_fk *oj, struct run_out *out, int64_t time_ms, const struct value *key,
                 const struct fk_change *change)
{
    bool was = has_result(oj, change->old_left, change->old_right),
         is = has_result(oj, change->left, change->right);
    if (!is && (change->old_left == NULL || value_is_null(change->old_left[LEFT_FK_CELL])))
        return;
    uint32_t row = run_out_row(out, time_ms);
    for (uint32_t i = 0; i < oj->op.step->key_count; i++)
        out->cols[i][row] = key[i];
    if (is)
        fill(oj, out->cols, row, key, change->left, change->right);
    else
        out->deleted[row] = out->any_deleted = true;
    if (was && out->old_cols != NULL) {
        out->has_old[row] = true;
        fill(oj, out->old_cols, row, key, change->old_left, change->old_right);
    }
}

/* The foreign key of a left row as BYTES, NULL when it is null. */
static struct value foreign_of(struct op_join_fk *oj, const struct value *foreign, uint32_t row)
{
    const struct value *column[1] = {foreign};
    if (value_is_null(foreign[row]) || !key_encode(&oj->foreign_key, column, row, &oj->fk_bytes))
        return VALUE_NULL;
    return value_bytes(str_dup(buf_str(&oj->fk_bytes), &oj->op.task->batch));
}

static void store_left(struct op_join_fk *oj, struct store_entry *entry, const struct run *run, uint32_t row,
                       struct value fk)
{
    if (run_deleted(run, row)) {
        store_delete(oj->left, entry);
        return;
    }
    entry->cells[LEFT_FK_CELL] = fk;
    entry->cells[LEFT_TIME_CELL] = value_bigint(run->rowtime_ms[row]);
    for (uint32_t i = 0; i < oj->op.step->join.left_count; i++)
        entry->cells[LEFT_FIRST_CELL + i] = run->cols[oj->op.step->join.left_columns[i]][row];
    store_changed(oj->left, entry);
}

static bool left_row(struct op_join_fk *oj, const struct run *run, uint32_t row, const struct value *foreign,
                     struct run_out *out)
{
    struct arena *arena = &oj->op.task->batch;
    struct err err;
    if (!key_encode(&oj->left_key, run->cols, row, &oj->key_bytes))
        return true;
    struct str key = buf_str(&oj->key_bytes);
    struct store_entry *entry = store_at(oj->left, key, 0, 0, &err);
    if (entry == NULL)
        return op_fail_err(&oj->op, &err);
    struct fk_change change = {
        .old_left = store_cells_dup(entry, oj->op.step->join.left_count + LEFT_FIRST_CELL, arena)};
    struct value old_fk = change.old_left != NULL ? change.old_left[LEFT_FK_CELL] : VALUE_NULL;
    struct value fk = run_deleted(run, row) ? VALUE_NULL : foreign_of(oj, foreign, row);
    store_left(oj, entry, run, row, fk);
    if (!value_is_null(old_fk) && !index_change(oj, value_slice(old_fk), key, false))
        return false;
    if (!value_is_null(fk) && !index_change(oj, value_slice(fk), key, true))
        return false;
    if (!find_right(oj, old_fk, &change.old_right) || !find_right(oj, fk, &change.right))
        return false;
    change.left = entry->present ? entry->cells : NULL;
    int64_t time_ms = run->rowtime_ms[row];
    const struct value *met = change.right != NULL ? change.right : change.old_right;
    if (met != NULL)
        time_ms = MAX(time_ms, met[RIGHT_TIME_CELL].l);
    struct value *keys = arena_array(arena, struct value, oj->op.step->key_count + 1);
    for (uint32_t i = 0; i < oj->op.step->key_count; i++)
        keys[i] = run->cols[i][row];
    emit(oj, out, time_ms, keys, &change);
    return true;
}

struct left_match {
    struct op_join_fk *oj;
    struct value *keys;
    const struct value *cells;
};

static int by_left_key(const void *a, const void *b)
{
    const struct left_match *x = a, *y = b;
    for (uint32_t i = 0; i < x->oj->op.step->key_count; i++) {
        if (value_is_null(x->keys[i]) || value_is_null(y->keys[i]))
            continue;
        int cmp = value_cmp(x->keys[i], y->keys[i]);
        if (cmp != 0)
            return cmp;
    }
    return 0;
}

/* Left rows that refer to the right key in oj->key_bytes, in order of their keys. */
static bool find_lefts(struct op_join_fk *oj, struct left_match **list, size_t *count)
{
    struct arena *arena = &oj->op.task->batch;
    struct err err;
    bool failed;
    vec_clear(&oj->found.list);
    if (!store_range(oj->index, buf_str(&oj->key_bytes), INT64_MIN, INT64_MAX, &oj->found, &err))
        return op_fail_err(&oj->op, &err);
    *list = arena_array(arena, struct left_match, oj->found.list.len + 1);
    *count = 0;
    for (size_t i = 0; i < oj->found.list.len; i++) {
        struct str key = value_slice(oj->found.list.at[i]->cells[0]);
        struct store_entry *entry = store_find(oj->left, key, 0, 0, &failed, &err);
        if (failed)
            return op_fail_err(&oj->op, &err);
        if (entry == NULL)
            continue;
        struct left_match *match = &(*list)[(*count)++];
        *match = (struct left_match){oj, arena_array(arena, struct value, oj->op.step->key_count + 1),
                                     entry->cells};
        key_decode(&oj->left_key, store_entry_key(entry), match->keys, arena);
    }
    if (*count > 1)
        qsort(*list, *count, sizeof **list, by_left_key);
    return true;
}

static bool right_row(struct op_join_fk *oj, const struct run *run, uint32_t row, struct run_out *out)
{
    struct arena *arena = &oj->op.task->batch;
    const struct step *step = oj->op.step;
    struct err err;
    struct left_match *lefts = NULL;
    size_t count = 0;
    if (!key_encode(&oj->right_key, run->cols, row, &oj->key_bytes))
        return true;
    struct store_entry *entry = store_at(oj->right, buf_str(&oj->key_bytes), 0, 0, &err);
    if (entry == NULL)
        return op_fail_err(&oj->op, &err);
    struct value *old = store_cells_dup(entry, step->join.right_count + RIGHT_FIRST_CELL, arena);
    if (run_deleted(run, row)) {
        store_delete(oj->right, entry);
    } else {
        entry->cells[RIGHT_TIME_CELL] = value_bigint(run->rowtime_ms[row]);
        for (uint32_t i = 0; i < step->join.right_count; i++)
            entry->cells[RIGHT_FIRST_CELL + i] = run->cols[step->join.right_columns[i]][row];
        store_changed(oj->right, entry);
    }
    if (!find_lefts(oj, &lefts, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct fk_change change = {lefts[i].cells, old, lefts[i].cells, entry->present ? entry->cells : NULL};
        emit(oj, out, MAX(run->rowtime_ms[row], lefts[i].cells[LEFT_TIME_CELL].l), lefts[i].keys, &change);
    }
    return true;
}

static bool join_fk_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_join_fk *oj = (struct op_join_fk *)op;
    struct run_out out;
    run_out_begin(&out, op, run);
    const struct value *foreign =
        side == 0 ? column_eval_run(&oj->foreign, op, run->cols, run->count, NULL) : NULL;
    bool ok = true;
    for (uint32_t r = 0; ok && r < run->count; r++) {
        run_out_for(&out, run, r);
        ok = side == 0 ? left_row(oj, run, r, foreign, &out) : right_row(oj, run, r, &out);
    }
    return run_out_end(&out) && ok;
}

static void join_fk_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_join_fk *oj = (struct op_join_fk *)op;
    store_hand_over(oj->left, batch);
    store_hand_over(oj->right, batch);
    store_hand_over(oj->index, batch);
}

const struct op_class op_join_fk_class = {
    .name = "join",
    .size = sizeof(struct op_join_fk),
    .open = join_fk_open,
    .process = join_fk_process,
    .hand_over = join_fk_hand_over,
    .close = join_fk_close,
};
