/* run.c - parts of runs, and runs built row by row. */
#include "flow/flow_int.h"

struct run run_slice(const struct run *run, uint32_t from, uint32_t count, struct arena *arena)
{
    struct run part = *run;
    part.count = count;
    if (from == 0)
        return part;
    const struct value **cols = arena_alloc(arena, (run->column_count + 1) * sizeof *cols);
    for (uint32_t c = 0; c < run->column_count; c++)
        cols[c] = run->cols[c] + from;
    part.cols = cols;
    part.rowtime_ms += from;
    part.offset = run->offset != NULL ? run->offset + from : NULL;
    part.window_start_ms = run->window_start_ms != NULL ? run->window_start_ms + from : NULL;
    part.window_end_ms = run->window_end_ms != NULL ? run->window_end_ms + from : NULL;
    part.headers = run->headers != NULL ? run->headers + from : NULL;
    part.deleted = run->deleted != NULL ? run->deleted + from : NULL;
    part.null_key = run->null_key != NULL ? run->null_key + from : NULL;
    if (run->old_cols != NULL) {
        const struct value **old = arena_alloc(arena, (run->column_count + 1) * sizeof *old);
        for (uint32_t c = 0; c < run->column_count; c++)
            old[c] = run->old_cols[c] + from;
        part.old_cols = old;
        part.has_old = run->has_old + from;
    }
    return part;
}

static const int64_t *pick_numbers(const int64_t *from, const uint32_t *picked, uint32_t count,
                                   struct arena *arena)
{
    if (from == NULL)
        return NULL;
    int64_t *to = arena_alloc(arena, count * sizeof *to);
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[picked[i]];
    return to;
}

static const bool *pick_flags(const bool *from, const uint32_t *picked, uint32_t count, struct arena *arena)
{
    if (from == NULL)
        return NULL;
    bool *to = arena_alloc(arena, count * sizeof *to);
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[picked[i]];
    return to;
}

static const struct value *const *pick_columns(const struct value *const *from, uint32_t column_count,
                                               const uint32_t *picked, uint32_t count, struct arena *arena)
{
    const struct value **cols = arena_alloc(arena, (column_count + 1) * sizeof *cols);
    for (uint32_t c = 0; c < column_count; c++) {
        struct value *to = arena_alloc(arena, count * sizeof *to);
        for (uint32_t i = 0; i < count; i++)
            to[i] = from[c][picked[i]];
        cols[c] = to;
    }
    return cols;
}

struct run run_pick(const struct run *run, const uint32_t *picked, uint32_t count, struct arena *arena)
{
    struct run part = *run;
    part.count = count;
    part.cols = pick_columns(run->cols, run->column_count, picked, count, arena);
    part.rowtime_ms = pick_numbers(run->rowtime_ms, picked, count, arena);
    part.offset = pick_numbers(run->offset, picked, count, arena);
    part.window_start_ms = pick_numbers(run->window_start_ms, picked, count, arena);
    part.window_end_ms = pick_numbers(run->window_end_ms, picked, count, arena);
    part.deleted = pick_flags(run->deleted, picked, count, arena);
    part.null_key = pick_flags(run->null_key, picked, count, arena);
    if (run->headers != NULL) {
        struct run_headers *headers = arena_alloc(arena, count * sizeof *headers);
        for (uint32_t i = 0; i < count; i++)
            headers[i] = run->headers[picked[i]];
        part.headers = headers;
    }
    if (run->old_cols != NULL) {
        part.old_cols = pick_columns(run->old_cols, run->column_count, picked, count, arena);
        part.has_old = pick_flags(run->has_old, picked, count, arena);
    }
    return part;
}

static struct value **make_columns(uint32_t column_count, uint32_t cap, struct arena *arena)
{
    struct value **cols = arena_alloc(arena, (column_count + 1) * sizeof *cols);
    for (uint32_t c = 0; c < column_count; c++)
        cols[c] = arena_alloc(arena, cap * sizeof **cols);
    return cols;
}

void run_out_begin(struct run_out *out, struct op *op, const struct run *like)
{
    struct arena *arena = &op->task->batch;
    uint32_t cap = like != NULL && like->count < 16 ? 32 : RUN_ROWS_MAX;
    *out = (struct run_out){.op = op, .cap = cap, .column_count = op->step->column_count};
    out->partition = like != NULL ? like->partition : op->task->partition;
    out->cols = make_columns(out->column_count, cap, arena);
    out->rowtime_ms = arena_alloc(arena, cap * sizeof *out->rowtime_ms);
    out->deleted = arena_alloc(arena, cap * sizeof *out->deleted);
    out->headers = arena_alloc(arena, cap * sizeof *out->headers);
    if (op->step->key_window != WINDOW_NONE) {
        out->window_start_ms = arena_alloc(arena, cap * sizeof *out->window_start_ms);
        out->window_end_ms = arena_alloc(arena, cap * sizeof *out->window_end_ms);
    }
    if (op->gives_old) {
        out->old_cols = make_columns(out->column_count, cap, arena);
        out->has_old = arena_alloc(arena, cap * sizeof *out->has_old);
    }
}

static void out_push(struct run_out *out)
{
    struct run run = {.count = out->count,
                      .column_count = out->column_count,
                      .cols = (const struct value *const *)out->cols,
                      .rowtime_ms = out->rowtime_ms,
                      .partition = out->partition,
                      .window_start_ms = out->window_start_ms,
                      .window_end_ms = out->window_end_ms,
                      .headers = out->any_headers ? out->headers : NULL,
                      .deleted = out->any_deleted ? out->deleted : NULL,
                      .old_cols = (const struct value *const *)out->old_cols,
                      .has_old = out->has_old};
    out->failed = !op_push(out->op, &run) || out->failed;
    out->count = 0;
    out->any_deleted = out->any_headers = false;
}

uint32_t run_out_row(struct run_out *out, int64_t rowtime_ms)
{
    if (out->count == out->cap)
        out_push(out);
    uint32_t row = out->count++;
    for (uint32_t c = 0; c < out->column_count; c++)
        out->cols[c][row] = VALUE_NULL;
    out->rowtime_ms[row] = rowtime_ms;
    out->deleted[row] = false;
    out->headers[row] = out->now;
    out->any_headers |= out->now.count != 0;
    if (out->old_cols != NULL) {
        for (uint32_t c = 0; c < out->column_count; c++)
            out->old_cols[c][row] = VALUE_NULL;
        out->has_old[row] = false;
    }
    return row;
}

void run_out_for(struct run_out *out, const struct run *run, uint32_t row)
{
    out->now = run->headers != NULL ? run->headers[row] : (struct run_headers){STR_NULL, 0};
}

bool run_out_end(struct run_out *out)
{
    if (out->count != 0)
        out_push(out);
    return !out->failed;
}
