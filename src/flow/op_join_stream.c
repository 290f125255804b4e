/* op_join_stream.c - stream-stream join within an interval of time.
 *
 *     a row of a side  1. raises stream time; outer rows whose interval has closed come out (with GRACE PERIOD)
 *                      2. goes into its side's buffer
 *                      3. meets the rows of the other side's buffer with its key and a time in its interval
 *                      4. without any: an outer row; at once without GRACE PERIOD or when it is late, else it waits
 *
 *     buffer           STORE_SESSION: key, t0 = row time, t1 = sequence; cells: waits?, columns of the side
 *                      of windowed sources the window's bounds follow the key's bytes: they must be equal too
 *     waiting rows     a heap by (time, right before left, key bytes) of what is marked in the buffers
 *
 * (J1) Every pair is emitted once, when the row that comes later is processed, with the greater time of the two.
 * (J2) The interval of a left row reaches from time - before to time + after; of a right row from time - after to
 *      time + before.
 * (J3) A waiting row comes out when its time + interval + grace < stream time and it has met nobody.
 * (J4) A buffer forgets rows older than before + after + grace, judged by the greatest time of its own side.
 */
#include "flow/flow_int.h"

enum { WAITS_CELL, FIRST_CELL };

enum { WINDOW_BYTES = 16 }; /* start and end */

/* Kafka Streams keeps the buffers for a day when no grace is given. */
enum { DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000 };

struct stream_side {
    struct store *store;
    struct key_codec key;
    const uint32_t *columns;
    uint32_t count;
    bool outer;                    /* rows without match come out */
    int64_t back_ms, on_ms;        /* interval of its rows */
    int64_t time_ms, time_told_ms; /* greatest time of its rows */
    int64_t seq, seq_told;
};

struct waiting {
    int64_t time_ms;
    uint32_t side;
    struct store_entry *entry; /* pinned */
};

struct op_join_stream {
    struct op op;
    struct stream_side sides[2];
    struct buf key_bytes;
    int64_t stream_time_ms;
    int64_t grace_ms, retention_ms;
    bool eager; /* no grace given: outer rows come out at once */
    vec(struct waiting) heap;
    struct store_entries found;
};

/* The heap of waiting rows ------------------------------------------------------------------------------------ */

static bool comes_before(const struct waiting *a, const struct waiting *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms;
    if (a->side != b->side)
        return a->side > b->side;
    int cmp = str_cmp(store_entry_key(a->entry), store_entry_key(b->entry));
    return cmp != 0 ? cmp < 0 : a->entry->t1 < b->entry->t1;
}

static void heap_push(struct op_join_stream *oj, struct waiting waiting)
{
    vec_push(&oj->heap, waiting);
    size_t i = oj->heap.len - 1;
    for (; i != 0 && comes_before(&waiting, &oj->heap.at[(i - 1) / 2]); i = (i - 1) / 2)
        oj->heap.at[i] = oj->heap.at[(i - 1) / 2];
    oj->heap.at[i] = waiting;
}

static struct waiting heap_pop(struct op_join_stream *oj)
{
    struct waiting top = oj->heap.at[0], last = oj->heap.at[--oj->heap.len];
    size_t i = 0, n = oj->heap.len;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && comes_before(&oj->heap.at[child + 1], &oj->heap.at[child]))
            child++;
        if (!comes_before(&oj->heap.at[child], &last))
            break;
        oj->heap.at[i] = oj->heap.at[child];
        i = child;
    }
    if (n != 0)
        oj->heap.at[i] = last;
    return top;
}

static void wait_for_match(struct op_join_stream *oj, uint32_t side, struct store_entry *entry)
{
    entry->pins++;
    heap_push(oj, (struct waiting){entry->t0, side, entry});
}

/* Life ------------------------------------------------------------------------------------------------------------ */

static bool side_open(struct op *op, struct stream_side *side, const struct step *input,
                      const uint32_t *columns, uint32_t count, const char *suffix, int64_t retention_ms,
                      struct err *err)
{
    const struct sql_type **types =
        arena_array(&op->task->arena, const struct sql_type *, count + FIRST_CELL);
    types[WAITS_CELL] = &type_boolean;
    for (uint32_t i = 0; i < count; i++)
        types[FIRST_CELL + i] = input->columns[columns[i]].type;
    side->columns = columns;
    side->count = count;
    key_codec_init(&side->key, input->columns, input->key_count, &op->task->arena);
    struct store_options options = {.kind = STORE_SESSION,
                                    .types = types,
                                    .cell_count = count + FIRST_CELL,
                                    .retention_ms = retention_ms};
    side->store = op_store_open(op, suffix, &options, err);
    side->time_ms = side->time_told_ms =
        op_number(op, str_printf(&op->task->arena, "%s-time", suffix).ptr, -1);
    side->seq = side->seq_told = op_number(op, str_printf(&op->task->arena, "%s-seq", suffix).ptr, 0);
    return side->store != NULL;
}

struct found_row {
    struct str key;
    int64_t t0, t1;
};

struct found_waiting {
    struct arena arena;
    vec(struct found_row) list;
};

static bool find_waiting(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    struct found_waiting *found = arg;
    if (cells[WAITS_CELL].b)
        vec_push(&found->list, (struct found_row){str_dup(key, &found->arena), t0, t1});
    return true;
}

/* After a restart: the heap again, from the marks in the buffers. */
static bool find_all_waiting(struct op_join_stream *oj, uint32_t side, struct err *err)
{
    struct found_waiting found = {0};
    bool ok = store_scan(oj->sides[side].store, find_waiting, &found, err);
    for (size_t i = 0; ok && i < found.list.len; i++) {
        struct store_entry *entry = store_at(oj->sides[side].store, found.list.at[i].key, found.list.at[i].t0,
                                             found.list.at[i].t1, err);
        ok = entry != NULL;
        if (ok)
            wait_for_match(oj, side, entry);
    }
    vec_fini(&found.list);
    arena_fini(&found.arena);
    return ok;
}

static bool join_stream_open(struct op *op, struct err *err)
{
    struct op_join_stream *oj = (struct op_join_stream *)op;
    const struct step *step = op->step;
    enum ast_join_kind kind = step->join.kind;
    oj->eager = step->join.grace_ms < 0;
    oj->grace_ms = oj->eager ? DEFAULT_GRACE_MS : step->join.grace_ms;
    oj->retention_ms = step->join.before_ms + step->join.after_ms + oj->grace_ms;
    oj->sides[0].outer = kind == JOIN_LEFT || kind == JOIN_FULL;
    oj->sides[1].outer = kind == JOIN_RIGHT || kind == JOIN_FULL;
    oj->sides[0].back_ms = oj->sides[1].on_ms = step->join.before_ms;
    oj->sides[0].on_ms = oj->sides[1].back_ms = step->join.after_ms;
    if (!side_open(op, &oj->sides[0], step->input, step->join.left_columns, step->join.left_count, "left",
                   oj->retention_ms, err) ||
        !side_open(op, &oj->sides[1], step->right, step->join.right_columns, step->join.right_count, "right",
                   oj->retention_ms, err))
        return false;
    oj->stream_time_ms = MAX(oj->sides[0].time_ms, oj->sides[1].time_ms);
    return oj->eager || (find_all_waiting(oj, 0, err) && find_all_waiting(oj, 1, err));
}

static void join_stream_close(struct op *op)
{
    struct op_join_stream *oj = (struct op_join_stream *)op;
    store_close(oj->sides[0].store);
    store_close(oj->sides[1].store);
    vec_fini(&oj->heap);
    vec_fini(&oj->found.list);
    buf_fini(&oj->key_bytes);
}

/* Results --------------------------------------------------------------------------------------------------------- */

/* The key of a row, with its window when it has one; false when a key column is NULL. */
static bool encode_key(struct op_join_stream *oj, struct stream_side *side, const struct run *run,
                       uint32_t row)
{
    if (!key_encode(&side->key, run->cols, row, &oj->key_bytes))
        return false;
    if (run->window_start_ms != NULL) {
        char bounds[WINDOW_BYTES];
        store_be64(bounds, (uint64_t)run->window_start_ms[row]);
        store_be64(bounds + 8, (uint64_t)run->window_end_ms[row]);
        buf_append(&oj->key_bytes, bounds, sizeof bounds);
    }
    return true;
}

struct joined_key {
    const struct value *columns;
    int64_t start_ms, end_ms; /* of the window, when the rows have one */
};

/* The key out of a buffer; the columns in `columns`. */
static struct joined_key decode_key(struct op_join_stream *oj, struct str bytes, struct value *columns)
{
    struct joined_key key = {.columns = columns};
    if (oj->op.step->key_window != WINDOW_NONE) {
        ASSERT(bytes.len >= WINDOW_BYTES);
        bytes.len -= WINDOW_BYTES;
        key.start_ms = (int64_t)load_be64(bytes.ptr + bytes.len);
        key.end_ms = (int64_t)load_be64(bytes.ptr + bytes.len + 8);
    }
    key_decode(&oj->sides[0].key, bytes, columns, &oj->op.task->batch);
    return key;
}

/* One result; cells NULL: that side is missing. */
static void put_row(struct op_join_stream *oj, struct run_out *out, int64_t time_ms,
                    const struct joined_key *key, const struct value *left, const struct value *right)
{
    uint32_t row = run_out_row(out, time_ms), c = 0;
    if (out->window_start_ms != NULL) {
        out->window_start_ms[row] = key->start_ms;
        out->window_end_ms[row] = key->end_ms;
    }
    for (; c < oj->op.step->key_count; c++)
        out->cols[c][row] = key->columns[c];
    for (uint32_t i = 0; i < oj->sides[0].count; i++, c++)
        out->cols[c][row] = left != NULL ? left[FIRST_CELL + i] : VALUE_NULL;
    for (uint32_t i = 0; i < oj->sides[1].count; i++, c++)
        out->cols[c][row] = right != NULL ? right[FIRST_CELL + i] : VALUE_NULL;
}

/* Waiting rows whose interval has closed. */
static void emit_closed(struct op_join_stream *oj, struct run_out *out)
{
    struct value columns[oj->op.step->key_count + 1];
    while (oj->heap.len != 0) {
        const struct waiting *top = &oj->heap.at[0];
        struct stream_side *side = &oj->sides[top->side];
        if (top->time_ms + side->on_ms + oj->grace_ms >= oj->stream_time_ms)
            break;
        struct waiting waiting = heap_pop(oj);
        struct store_entry *entry = waiting.entry;
        entry->pins--;
        if (!entry->present || !entry->cells[WAITS_CELL].b)
            continue;
        entry->cells[WAITS_CELL] = value_bool(false);
        store_changed(side->store, entry);
        struct joined_key key = decode_key(oj, store_entry_key(entry), columns);
        put_row(oj, out, waiting.time_ms, &key, waiting.side == 0 ? entry->cells : NULL,
                waiting.side == 1 ? entry->cells : NULL);
    }
}

/* Rows ------------------------------------------------------------------------------------------------------------ */

/* Puts a row into its side's buffer; NULL: the task has failed. */
static struct store_entry *buffer_row(struct op_join_stream *oj, struct stream_side *side,
                                      const struct run *run, uint32_t row)
{
    struct err err;
    struct store_entry *entry =
        store_at(side->store, buf_str(&oj->key_bytes), run->rowtime_ms[row], side->seq++, &err);
    if (entry == NULL) {
        op_fail_err(&oj->op, &err);
        return NULL;
    }
    entry->cells[WAITS_CELL] = value_bool(false);
    for (uint32_t i = 0; i < side->count; i++)
        entry->cells[FIRST_CELL + i] = run->cols[side->columns[i]][row];
    store_changed(side->store, entry);
    return entry;
}

/* Rows of the other side that this row meets, into oj->found. */
static bool find_matches(struct op_join_stream *oj, uint32_t side, int64_t ts)
{
    struct stream_side *own = &oj->sides[side], *other = &oj->sides[1 - side];
    struct err err;
    int64_t from = MAX(ts - own->back_ms, 0), kept = other->time_ms - oj->retention_ms + 1;
    vec_clear(&oj->found.list);
    if (other->time_ms >= 0)
        from = MAX(from, kept);
    return store_range(other->store, buf_str(&oj->key_bytes), from, ts + own->on_ms, &oj->found, &err) ||
           op_fail_err(&oj->op, &err);
}

static bool join_row(struct op_join_stream *oj, uint32_t s, const struct run *run, uint32_t row,
                     struct run_out *out)
{
    struct stream_side *side = &oj->sides[s];
    int64_t ts = run->rowtime_ms[row];
    if (run_deleted(run, row) || !encode_key(oj, side, run, row))
        return true;
    side->time_ms = MAX(side->time_ms, ts);
    if (ts >= oj->stream_time_ms) {
        oj->stream_time_ms = ts;
        if (!oj->eager)
            emit_closed(oj, out);
    }
    struct store_entry *entry = buffer_row(oj, side, run, row);
    if (entry == NULL || !find_matches(oj, s, ts))
        return false;
    struct value columns[oj->op.step->key_count + 1];
    struct joined_key key = {.columns = columns};
    for (uint32_t i = 0; i < oj->op.step->key_count; i++)
        columns[i] = run->cols[i][row];
    if (run->window_start_ms != NULL) {
        key.start_ms = run->window_start_ms[row];
        key.end_ms = run->window_end_ms[row];
    }
    for (size_t i = 0; i < oj->found.list.len; i++) {
        struct store_entry *match = oj->found.list.at[i];
        if (match->cells[WAITS_CELL].b) {
            match->cells[WAITS_CELL] = value_bool(false);
            store_changed(oj->sides[1 - s].store, match);
        }
        put_row(oj, out, MAX(ts, match->t0), &key, s == 0 ? entry->cells : match->cells,
                s == 0 ? match->cells : entry->cells);
    }
    if (oj->found.list.len != 0 || !side->outer)
        return true;
    if (oj->eager || ts + side->on_ms < oj->stream_time_ms) {
        put_row(oj, out, ts, &key, s == 0 ? entry->cells : NULL, s == 1 ? entry->cells : NULL);
        return true;
    }
    entry->cells[WAITS_CELL] = value_bool(true);
    store_changed(side->store, entry);
    wait_for_match(oj, s, entry);
    return true;
}

static bool expire(struct op_join_stream *oj)
{
    struct err err;
    for (int i = 0; i < 2; i++)
        if (oj->sides[i].time_ms >= 0 &&
            !store_expire(oj->sides[i].store, oj->sides[i].time_ms - oj->retention_ms, &err))
            return op_fail_err(&oj->op, &err);
    return true;
}

static bool join_stream_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_join_stream *oj = (struct op_join_stream *)op;
    struct run_out out;
    run_out_begin(&out, op, run);
    bool ok = true;
    for (uint32_t r = 0; ok && r < run->count; r++) {
        run_out_for(&out, run, r);
        ok = join_row(oj, side, run, r, &out);
    }
    return run_out_end(&out) && ok && expire(oj);
}

static void side_hand_over(struct op *op, struct stream_side *side, const char *time_name,
                           const char *seq_name, struct state_batch *batch)
{
    store_hand_over(side->store, batch);
    if (side->time_ms != side->time_told_ms)
        op_number_put(op, time_name, side->time_ms, batch);
    if (side->seq != side->seq_told)
        op_number_put(op, seq_name, side->seq, batch);
    side->time_told_ms = side->time_ms;
    side->seq_told = side->seq;
}

static void join_stream_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_join_stream *oj = (struct op_join_stream *)op;
    side_hand_over(op, &oj->sides[0], "left-time", "left-seq", batch);
    side_hand_over(op, &oj->sides[1], "right-time", "right-seq", batch);
}

const struct op_class op_join_stream_class = {
    .name = "join",
    .size = sizeof(struct op_join_stream),
    .open = join_stream_open,
    .process = join_stream_process,
    .hand_over = join_stream_hand_over,
    .close = join_stream_close,
};
