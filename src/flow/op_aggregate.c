/* op_aggregate.c - GROUP BY without window, or with tumbling and hopping windows.
 *
 *     row -> key bytes -> one row of state for each window that covers its time -> changed state -> changed result
 *
 *     of a stream    add
 *     of a table     old row: undo in its group; new row: add in its; one change when the group is the same
 *
 * When results come out:
 *     at once        step mode, or downstream needs old rows: one row per change
 *     merged         live: states that changed are noted once, and come out with the next flush, in the order in which
 *                    they were first touched. The final rows are the same
 *     EMIT FINAL     once per window, when stream time has reached window end + grace; by window, then key bytes
 *
 * (A1) Stream time is the greatest row time seen here; a row is late for a window, and counted, when window end + grace
 *      <= stream time.
 * (A2) A noted state is pinned: it stays in the store's cache until its result is out.
 * (A3) The time of a result is the greatest time of the rows that made it.
 */
#include "flow/flow_int.h"

struct op_aggregate {
    struct op op;
    struct agg_set aggs;
    struct key_codec key;
    struct buf key_bytes, old_key_bytes;
    struct store *store;
    struct plan_window window;
    int64_t stream_time_ms, stream_time_told_ms;
    bool merge;
    vec(struct store_entry *) noted; /* merged: to come out; EMIT FINAL: windows that are open */
    int64_t first_end_ms;            /* EMIT FINAL: least end of the noted windows */
    struct run_out *out;             /* while a run is processed */
};

static bool is_windowed(const struct op_aggregate *oa)
{
    return oa->window.kind != WINDOW_NONE;
}

/* EMIT FINAL ---------------------------------------------------------------------------------------------------- */

static void note(struct op_aggregate *oa, struct store_entry *entry)
{
    if (entry->mark)
        return;
    entry->mark = true;
    entry->pins++;
    vec_push(&oa->noted, entry);
    oa->first_end_ms = MIN(oa->first_end_ms, entry->t0 + oa->window.size_ms);
}

struct open_window {
    struct str key;
    int64_t t0;
};

struct open_windows {
    struct op_aggregate *oa;
    struct arena arena;
    vec(struct open_window) list;
};

static bool find_open(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    struct open_windows *found = arg;
    struct op_aggregate *oa = found->oa;
    if (t0 + oa->window.size_ms + oa->window.grace_ms > oa->stream_time_ms)
        vec_push(&found->list, (struct open_window){str_dup(key, &found->arena), t0});
    return true;
}

/* After a restart: windows that had not closed are noted again. */
static bool note_open_windows(struct op_aggregate *oa, struct err *err)
{
    struct open_windows found = {.oa = oa};
    bool ok = store_scan(oa->store, find_open, &found, err);
    for (size_t i = 0; ok && i < found.list.len; i++) {
        struct store_entry *entry = store_at(oa->store, found.list.at[i].key, found.list.at[i].t0, 0, err);
        ok = entry != NULL;
        if (ok)
            note(oa, entry);
    }
    vec_fini(&found.list);
    arena_fini(&found.arena);
    return ok;
}

/* Life ------------------------------------------------------------------------------------------------------------ */

static bool aggregate_open(struct op *op, struct err *err)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    const struct step *step = op->step;
    oa->window = step->aggregate.window;
    oa->window.retention_ms = MAX(oa->window.retention_ms, oa->window.size_ms + oa->window.grace_ms);
    oa->merge = op->task->env->merge && !op->gives_old && !oa->window.emit_final;
    oa->first_end_ms = INT64_MAX;
    agg_set_init(&oa->aggs, op);
    key_codec_init(&oa->key, step->columns, step->key_count, &op->task->arena);
    struct store_options options = {.kind = is_windowed(oa) ? STORE_WINDOW : STORE_KEY_VALUE,
                                    .types = oa->aggs.types,
                                    .cell_count = oa->aggs.count + AGG_FIRST_CELL,
                                    .retention_ms = oa->window.retention_ms};
    oa->store = op_store_open(op, "state", &options, err);
    if (oa->store == NULL)
        return false;
    oa->stream_time_ms = oa->stream_time_told_ms = op_number(op, "time", -1);
    return !oa->window.emit_final || note_open_windows(oa, err);
}

static void aggregate_close(struct op *op)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    store_close(oa->store);
    vec_fini(&oa->noted);
    buf_fini(&oa->key_bytes);
    buf_fini(&oa->old_key_bytes);
}

/* Results --------------------------------------------------------------------------------------------------------- */

/* Columns of a result row. `copy`: the state may change before the row is pushed. */
static void fill_row(struct op_aggregate *oa, struct str key, int64_t t0, const struct value *cells,
                     struct value **cols, uint32_t row, bool copy)
{
    const struct step *step = oa->op.step;
    struct value keys[step->key_count + 1];
    key_decode(&oa->key, key, keys, &oa->op.task->batch);
    for (uint32_t i = 0; i < step->key_count; i++)
        cols[i][row] = keys[i];
    uint32_t first = step->key_count + step->aggregate.kept_count;
    agg_set_results(&oa->aggs, cells, cols, first, row, copy);
    if (step->aggregate.window_columns) {
        cols[first + oa->aggs.count][row] = value_bigint(t0);
        cols[first + oa->aggs.count + 1][row] = value_bigint(t0 + oa->window.size_ms);
    }
}

static void add_row(struct op_aggregate *oa, struct run_out *out, struct str key, int64_t t0,
                    const struct value *cells, bool copy)
{
    uint32_t row = run_out_row(out, cells[AGG_TIME_CELL].l);
    fill_row(oa, key, t0, cells, out->cols, row, copy);
    if (is_windowed(oa) && out->window_start_ms != NULL) {
        out->window_start_ms[row] = t0;
        out->window_end_ms[row] = t0 + oa->window.size_ms;
    }
}

static void put_row(struct op_aggregate *oa, const struct store_entry *entry, bool copy)
{
    add_row(oa, oa->out, store_entry_key(entry), entry->t0, entry->cells, copy);
}

/* The old result, before a state changes: the columns of a row that is not in a run yet. */
static struct value **old_result(struct op_aggregate *oa, const struct store_entry *entry)
{
    if (!oa->op.gives_old || !entry->present)
        return NULL;
    uint32_t n = oa->op.step->column_count;
    struct value **cols = arena_array(&oa->op.task->batch, struct value *, n + 1);
    for (uint32_t c = 0; c < n; c++)
        cols[c] = arena_new(&oa->op.task->batch, struct value);
    fill_row(oa, store_entry_key(entry), entry->t0, entry->cells, cols, 0, true);
    return cols;
}

static void emit(struct op_aggregate *oa, struct store_entry *entry, struct value **old)
{
    if (oa->merge || oa->window.emit_final) {
        note(oa, entry);
        return;
    }
    put_row(oa, entry, true);
    if (old == NULL)
        return;
    uint32_t row = oa->out->count - 1;
    oa->out->has_old[row] = true;
    for (uint32_t c = 0; c < oa->out->column_count; c++)
        oa->out->old_cols[c][row] = *old[c];
}

static int by_window_and_key(const void *a, const void *b)
{
    const struct store_entry *x = *(struct store_entry *const *)a, *y = *(struct store_entry *const *)b;
    if (x->t0 != y->t0)
        return x->t0 < y->t0 ? -1 : 1;
    return str_cmp(store_entry_key(x), store_entry_key(y));
}

/* EMIT FINAL: windows that have closed come out. */
static void emit_closed(struct op_aggregate *oa)
{
    int64_t closed_ms = oa->stream_time_ms - oa->window.grace_ms;
    if (oa->first_end_ms > closed_ms)
        return;
    qsort(oa->noted.at, oa->noted.len, sizeof *oa->noted.at, by_window_and_key);
    size_t n = 0;
    for (; n < oa->noted.len && oa->noted.at[n]->t0 + oa->window.size_ms <= closed_ms; n++) {
        struct store_entry *entry = oa->noted.at[n];
        put_row(oa, entry, true);
        entry->mark = false;
        entry->pins--;
    }
    memmove(oa->noted.at, oa->noted.at + n, (oa->noted.len - n) * sizeof *oa->noted.at);
    oa->noted.len -= n;
    oa->first_end_ms = oa->noted.len != 0 ? oa->noted.at[0]->t0 + oa->window.size_ms : INT64_MAX;
}

/* Rows ------------------------------------------------------------------------------------------------------------ */

/* Adds the row to the entry, which had the result `old`. */
static void aggregate_row(struct op_aggregate *oa, struct store_entry *entry, const struct run *run,
                          uint32_t row, struct value **old)
{
    if (!entry->present)
        agg_set_reset(&oa->aggs, entry->cells, run->rowtime_ms[row]);
    agg_set_add(&oa->aggs, entry->cells, row, run->rowtime_ms[row]);
    store_changed(oa->store, entry);
    emit(oa, entry, old);
}

/* A row of a stream for one window (t0 0: none). */
static bool add_to(struct op_aggregate *oa, const struct run *run, uint32_t row, int64_t t0)
{
    struct err err;
    struct store_entry *entry = store_at(oa->store, buf_str(&oa->key_bytes), t0, 0, &err);
    if (entry == NULL)
        return op_fail_err(&oa->op, &err);
    aggregate_row(oa, entry, run, row, old_result(oa, entry));
    return true;
}

static bool add_to_windows(struct op_aggregate *oa, const struct run *run, uint32_t row)
{
    int64_t ts = run->rowtime_ms[row], closed_ms = oa->stream_time_ms - oa->window.grace_ms;
    bool late = false;
    for (int64_t start = window_first_start(&oa->window, ts); start <= ts; start += oa->window.advance_ms) {
        if (start + oa->window.size_ms <= closed_ms)
            late = true;
        else if (!add_to(oa, run, row, start))
            return false;
    }
    if (late)
        atomic_fetch_add_explicit(&oa->op.task->env->stats.rows_late, 1, memory_order_relaxed);
    return true;
}

static bool stream_row(struct op_aggregate *oa, const struct run *run, uint32_t row)
{
    if (run_deleted(run, row) || !key_encode(&oa->key, run->cols, row, &oa->key_bytes))
        return true;
    oa->stream_time_ms = MAX(oa->stream_time_ms, run->rowtime_ms[row]);
    if (!is_windowed(oa))
        return add_to(oa, run, row, 0);
    if (!add_to_windows(oa, run, row))
        return false;
    if (oa->window.emit_final)
        emit_closed(oa);
    return true;
}

/* Takes the old row out of its group. */
static bool undo_row(struct op_aggregate *oa, struct store_entry *entry, const struct run *run, uint32_t row)
{
    agg_set_undo(&oa->aggs, entry->cells, row, run->rowtime_ms[row]);
    store_changed(oa->store, entry);
    return true;
}

/* A change of a table's row. */
static bool table_row(struct op_aggregate *oa, const struct run *run, uint32_t row)
{
    bool has_new = !run_deleted(run, row) && key_encode(&oa->key, run->cols, row, &oa->key_bytes);
    bool has_old = run_has_old(run, row) && key_encode(&oa->key, run->old_cols, row, &oa->old_key_bytes);
    bool same = has_new && has_old && str_eq(buf_str(&oa->key_bytes), buf_str(&oa->old_key_bytes));
    struct err err;
    oa->stream_time_ms = MAX(oa->stream_time_ms, run->rowtime_ms[row]);
    if (has_old && !same) {
        struct store_entry *entry = store_at(oa->store, buf_str(&oa->old_key_bytes), 0, 0, &err);
        if (entry == NULL)
            return op_fail_err(&oa->op, &err);
        struct value **old = old_result(oa, entry);
        if (entry->present && undo_row(oa, entry, run, row))
            emit(oa, entry, old);
    }
    if (!has_new)
        return true;
    struct store_entry *entry = store_at(oa->store, buf_str(&oa->key_bytes), 0, 0, &err);
    if (entry == NULL)
        return op_fail_err(&oa->op, &err);
    struct value **old = old_result(oa, entry);
    if (entry->present && same)
        ignore(!undo_row(oa, entry, run, row), "it always does");
    aggregate_row(oa, entry, run, row, old);
    return true;
}

static bool expire(struct op_aggregate *oa)
{
    struct err err;
    if (!is_windowed(oa) || store_expire(oa->store, oa->stream_time_ms - oa->window.retention_ms, &err))
        return true;
    return op_fail_err(&oa->op, &err);
}

static bool aggregate_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    struct run_out out = {.op = op};
    if (!oa->merge)
        run_out_begin(&out, op, run);
    oa->out = &out;
    agg_set_begin(&oa->aggs, run);
    bool ok = true;
    for (uint32_t r = 0; ok && r < run->count; r++) {
        run_out_for(&out, run, r);
        ok = op->step->aggregate.undo ? table_row(oa, run, r) : stream_row(oa, run, r);
    }
    ok = run_out_end(&out) && ok;
    oa->out = NULL;
    if (oa->merge)
        op->task->held_back = true;
    return ok && expire(oa);
}

/* Merged results. */
static bool aggregate_flush(struct op *op)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    if (!oa->merge || oa->noted.len == 0)
        return true;
    struct run_out out;
    struct run none = {0};
    agg_set_begin(&oa->aggs, &none);
    for (size_t i = 0; i < oa->noted.len;) {
        size_t n = MIN(oa->noted.len - i, RUN_ROWS_MAX);
        run_out_begin(&out, op, n < 16 ? &none : NULL);
        oa->out = &out;
        for (size_t k = 0; k < n; k++, i++)
            put_row(oa, oa->noted.at[i], false);
        if (!run_out_end(&out))
            return false;
        arena_reset(&op->task->batch);
        agg_set_begin(&oa->aggs, &none);
    }
    for (size_t i = 0; i < oa->noted.len; i++) {
        oa->noted.at[i]->mark = false;
        oa->noted.at[i]->pins--;
    }
    vec_clear(&oa->noted);
    oa->first_end_ms = INT64_MAX;
    oa->out = NULL;
    return true;
}

static void aggregate_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    store_hand_over(oa->store, batch);
    if (oa->stream_time_ms != oa->stream_time_told_ms)
        op_number_put(op, "time", oa->stream_time_ms, batch);
    oa->stream_time_told_ms = oa->stream_time_ms;
}

static struct store *aggregate_kept_store(struct op *op)
{
    struct op_aggregate *oa = (struct op_aggregate *)op;
    struct run none = {0};
    agg_set_begin(&oa->aggs, &none);
    return oa->store;
}

static void aggregate_kept_row(struct op *op, struct str key, int64_t t0, int64_t t1,
                               const struct value *cells, struct run_out *out)
{
    add_row((struct op_aggregate *)op, out, key, t0, cells, true);
}

const struct op_class op_aggregate_class = {
    .name = "aggregate",
    .size = sizeof(struct op_aggregate),
    .open = aggregate_open,
    .process = aggregate_process,
    .flush = aggregate_flush,
    .hand_over = aggregate_hand_over,
    .close = aggregate_close,
    .kept_store = aggregate_kept_store,
    .kept_row = aggregate_kept_row,
};
