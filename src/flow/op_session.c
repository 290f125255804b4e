/* op_session.c - GROUP BY with session windows.
 *
 *     rows of a key:     [10..12]      [30..30]          gap 5
 *     a row at 16:       [10.....16]   [30..30]          grows the first
 *     a row at 21..25:   a session of its own; a row that is within the gap of two makes them one
 *
 * A session that grows or merges is a new key: tombstones for the sessions that it takes in come first, then the merged
 * one. Its time is that of its latest row.
 *
 * (S1) A row is late when the session that it would make ends before stream time - gap - grace.
 * (S2) EMIT FINAL: a session comes out once, when its end lies before stream time - gap - grace; by end, start, key.
 * (S3) Merged (live) output is not done here: a session's rows come out as they change.
 */
#include "flow/flow_int.h"

struct op_session {
    struct op op;
    struct agg_set aggs;
    struct key_codec key;
    struct buf key_bytes;
    struct store *store; /* t0 = end, t1 = start */
    struct plan_window window;
    int64_t stream_time_ms, stream_time_told_ms;
    int64_t emitted_below_ms; /* EMIT FINAL: sessions that end before are out */
    int64_t first_end_ms;     /* EMIT FINAL: no session that is not out ends before */
    struct store_entries found;
    struct run_out *out;
};

static bool session_open(struct op *op, struct err *err)
{
    struct op_session *os = (struct op_session *)op;
    const struct step *step = op->step;
    os->window = step->aggregate.window;
    os->window.retention_ms = MAX(os->window.retention_ms, os->window.size_ms + os->window.grace_ms);
    agg_set_init(&os->aggs, op);
    key_codec_init(&os->key, step->columns, step->key_count, &op->task->arena);
    struct store_options options = {.kind = STORE_SESSION,
                                    .types = os->aggs.types,
                                    .cell_count = os->aggs.count + AGG_FIRST_CELL,
                                    .retention_ms = os->window.retention_ms};
    os->store = op_store_open(op, "state", &options, err);
    os->stream_time_ms = os->stream_time_told_ms = op_number(op, "time", -1);
    os->first_end_ms = INT64_MIN; /* not known yet */
    os->emitted_below_ms = os->stream_time_ms - os->window.grace_ms - os->window.size_ms;
    return os->store != NULL;
}

static void session_close(struct op *op)
{
    struct op_session *os = (struct op_session *)op;
    store_close(os->store);
    vec_fini(&os->found.list);
    buf_fini(&os->key_bytes);
}

static int64_t close_time(const struct op_session *os)
{
    return os->stream_time_ms - os->window.grace_ms - os->window.size_ms;
}

/* Key columns and window of a result row. */
static uint32_t put_key(struct op_session *os, struct run_out *out, struct str key, int64_t start,
                        int64_t end, int64_t time_ms)
{
    const struct step *step = os->op.step;
    struct value keys[step->key_count + 1];
    uint32_t row = run_out_row(out, time_ms);
    key_decode(&os->key, str_dup(key, &os->op.task->batch), keys, &os->op.task->batch);
    for (uint32_t i = 0; i < step->key_count; i++)
        out->cols[i][row] = keys[i];
    if (out->window_start_ms != NULL) {
        out->window_start_ms[row] = start;
        out->window_end_ms[row] = end;
    }
    return row;
}

static void fill_values(struct op_session *os, struct value **cols, uint32_t row, const struct value *cells,
                        int64_t start, int64_t end)
{
    const struct step *step = os->op.step;
    uint32_t first = step->key_count + step->aggregate.kept_count;
    agg_set_results(&os->aggs, cells, cols, first, row, true);
    if (step->aggregate.window_columns) {
        cols[first + os->aggs.count][row] = value_bigint(start);
        cols[first + os->aggs.count + 1][row] = value_bigint(end);
    }
}

/* A session is taken in by another one: it is no more. The tombstone has its own time. */
static void take_in(struct op_session *os, struct store_entry *entry)
{
    if (!os->window.emit_final) {
        int64_t time_ms = entry->cells[AGG_TIME_CELL].l;
        uint32_t row = put_key(os, os->out, store_entry_key(entry), entry->t1, entry->t0, time_ms);
        os->out->deleted[row] = os->out->any_deleted = true;
        if (os->out->old_cols != NULL) {
            os->out->has_old[row] = true;
            for (uint32_t i = 0; i < os->op.step->key_count; i++)
                os->out->old_cols[i][row] = os->out->cols[i][row];
            fill_values(os, os->out->old_cols, row, entry->cells, entry->t1, entry->t0);
        }
    }
    store_delete(os->store, entry);
}

/* Sessions that a row at `ts` touches, into os->found. */
static bool find_sessions(struct op_session *os, int64_t ts, struct err *err)
{
    vec_clear(&os->found.list);
    if (!store_range(os->store, buf_str(&os->key_bytes), ts - os->window.size_ms, INT64_MAX, &os->found, err))
        return false;
    size_t n = 0;
    for (size_t i = 0; i < os->found.list.len; i++)
        if (os->found.list.at[i]->t1 <= ts + os->window.size_ms)
            os->found.list.at[n++] = os->found.list.at[i];
    os->found.list.len = n;
    return true;
}

static bool put_session(struct op_session *os, const struct value *cells, int64_t start, int64_t end,
                        int64_t ts)
{
    struct err err;
    struct store_entry *entry = store_at(os->store, buf_str(&os->key_bytes), end, start, &err);
    if (entry == NULL)
        return op_fail_err(&os->op, &err);
    bool has_old = entry->present;
    uint32_t row = 0;
    if (!os->window.emit_final) {
        row = put_key(os, os->out, buf_str(&os->key_bytes), start, end, MAX(ts, cells[AGG_TIME_CELL].l));
        if (has_old && os->out->old_cols != NULL) {
            os->out->has_old[row] = true;
            for (uint32_t i = 0; i < os->op.step->key_count; i++)
                os->out->old_cols[i][row] = os->out->cols[i][row];
            fill_values(os, os->out->old_cols, row, entry->cells, start, end);
        }
        fill_values(os, os->out->cols, row, cells, start, end);
    }
    os->first_end_ms = MIN(os->first_end_ms, end);
    memcpy(entry->cells, cells, (os->aggs.count + AGG_FIRST_CELL) * sizeof *cells);
    store_changed(os->store, entry);
    return true;
}

static bool session_row(struct op_session *os, const struct run *run, uint32_t row)
{
    struct arena *arena = &os->op.task->batch;
    struct err err;
    int64_t ts = run->rowtime_ms[row], start = ts, end = ts;
    if (run_deleted(run, row) || !key_encode(&os->key, run->cols, row, &os->key_bytes))
        return true;
    os->stream_time_ms = MAX(os->stream_time_ms, ts);
    if (!find_sessions(os, ts, &err))
        return op_fail_err(&os->op, &err);
    struct value *cells = arena_array(arena, struct value, os->aggs.count + AGG_FIRST_CELL);
    agg_set_reset(&os->aggs, cells, ts);
    for (size_t i = 0; i < os->found.list.len; i++) {
        struct store_entry *entry = os->found.list.at[i];
        start = MIN(start, entry->t1);
        end = MAX(end, entry->t0);
        agg_set_merge(&os->aggs, cells, entry->cells);
    }
    if (end < close_time(os)) {
        atomic_fetch_add_explicit(&os->op.task->env->stats.rows_late, 1, memory_order_relaxed);
        return true;
    }
    /* States of merged sessions may point into their rows: keep them over the deletions. */
    for (uint32_t i = 0; i < os->aggs.count + AGG_FIRST_CELL; i++)
        if (cells[i].kind >= SQL_DECIMAL)
            cells[i] = value_dup(cells[i], arena);
    if (start != ts || end != ts)
        for (size_t i = 0; i < os->found.list.len; i++)
            take_in(os, os->found.list.at[i]);
    agg_set_add(&os->aggs, cells, row, ts);
    return put_session(os, cells, start, end, ts);
}

/* EMIT FINAL -------------------------------------------------------------------------------------------------------- */

struct closed_session {
    struct str key;
    int64_t start, end;
    const struct value *cells;
};

struct closed_sessions {
    struct op_session *os;
    vec(struct closed_session) list;
};

static bool find_closed(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    struct closed_sessions *closed = arg;
    struct op_session *os = closed->os;
    struct arena *arena = &os->op.task->batch;
    if (t0 >= close_time(os))
        os->first_end_ms = MIN(os->first_end_ms, t0);
    if (t0 < os->emitted_below_ms || t0 >= close_time(os))
        return true;
    struct value *copy = arena_array(arena, struct value, os->aggs.count + AGG_FIRST_CELL);
    for (uint32_t i = 0; i < os->aggs.count + AGG_FIRST_CELL; i++)
        copy[i] = value_dup(cells[i], arena);
    vec_push(&closed->list, (struct closed_session){str_dup(key, arena), t1, t0, copy});
    return true;
}

static int by_end(const void *a, const void *b)
{
    const struct closed_session *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return str_cmp(x->key, y->key);
}

static bool emit_closed(struct op_session *os)
{
    struct err err;
    if (os->emitted_below_ms >= close_time(os) || os->first_end_ms >= close_time(os))
        return true;
    os->first_end_ms = INT64_MAX;
    struct closed_sessions closed = {.os = os};
    if (!store_scan(os->store, find_closed, &closed, &err)) {
        vec_fini(&closed.list);
        return op_fail_err(&os->op, &err);
    }
    if (closed.list.len > 1)
        qsort(closed.list.at, closed.list.len, sizeof *closed.list.at, by_end);
    for (size_t i = 0; i < closed.list.len; i++) {
        const struct closed_session *s = &closed.list.at[i];
        uint32_t row = put_key(os, os->out, s->key, s->start, s->end, s->end);
        fill_values(os, os->out->cols, row, s->cells, s->start, s->end);
    }
    vec_fini(&closed.list);
    os->emitted_below_ms = close_time(os);
    return true;
}

static bool session_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_session *os = (struct op_session *)op;
    struct run_out out;
    struct err err;
    run_out_begin(&out, op, run);
    os->out = &out;
    agg_set_begin(&os->aggs, run);
    bool ok = true;
    for (uint32_t r = 0; ok && r < run->count; r++) {
        run_out_for(&out, run, r);
        ok = session_row(os, run, r) && (!os->window.emit_final || emit_closed(os));
    }
    ok = run_out_end(&out) && ok;
    os->out = NULL;
    if (ok && !store_expire(os->store, os->stream_time_ms - os->window.retention_ms, &err))
        return op_fail_err(op, &err);
    return ok;
}

static void session_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_session *os = (struct op_session *)op;
    store_hand_over(os->store, batch);
    if (os->stream_time_ms != os->stream_time_told_ms)
        op_number_put(op, "time", os->stream_time_ms, batch);
    os->stream_time_told_ms = os->stream_time_ms;
}

static struct store *session_kept_store(struct op *op)
{
    struct op_session *os = (struct op_session *)op;
    struct run none = {0};
    agg_set_begin(&os->aggs, &none);
    return os->store;
}

static void session_kept_row(struct op *op, struct str key, int64_t t0, int64_t t1, const struct value *cells,
                             struct run_out *out)
{
    struct op_session *os = (struct op_session *)op;
    uint32_t row = put_key(os, out, key, t1, t0, cells[AGG_TIME_CELL].l);
    fill_values(os, out->cols, row, cells, t1, t0);
}

const struct op_class op_session_class = {
    .name = "session",
    .size = sizeof(struct op_session),
    .open = session_open,
    .process = session_process,
    .hand_over = session_hand_over,
    .close = session_close,
    .kept_store = session_kept_store,
    .kept_row = session_kept_row,
};
