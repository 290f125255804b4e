/* op_sink.c - where rows leave a plan: a topic (and the store that pull queries read), or a push query's caller.
 *
 *     topic   key columns -> key serde [+ window bytes]    value columns -> value serde    -> client_writer
 *     store   key [window] -> row time, value columns      when the sink's table is materialized and not the result
 *                                                          of an aggregate, whose state says the same
 *     push    columns in the order of the select list -> on_rows
 *
 * (K1) Bytes are encoded into two buffers that are reused, and copied once, into the batch builder.
 * (K2) A row that cannot be encoded is lost, told to the processing log and counted; the query goes on.
 * (K3) A null value or tombstone is a record without value. Headers of the source record pass through where no operator
 *      in between makes rows of its own.
 * (K4) The record's time is the row's, unless the sink names a timestamp column.
 */
#include "flow/flow_int.h"

enum { ROW_TIME_CELL, ROW_FIRST_CELL }; /* of the store */

struct op_sink {
    struct op op;
    const struct source *sink; /* NULL: only the store (a source table) */
    struct serde *key_serde, *value_serde;
    struct client_writer *writer;
    struct buf key_bytes, value_bytes;
    uint32_t value_count;
    struct store *store;
    struct key_codec store_key;
    struct buf store_key_bytes;
    int64_t retention_ms; /* of windows in the store; 0: none */
    int64_t stream_time_ms;
};

static bool sink_serdes(struct op_sink *os, struct err *err)
{
    const struct source *sink = os->sink;
    const struct schema *schema = sink->schema;
    struct serde_options key_options = {.delimiter = sink->key_format.delimiter,
                                        .wrap = (enum serde_wrap)sink->key_format.wrap,
                                        .topic = sink->topic};
    struct serde_options value_options = {.delimiter = sink->value_format.delimiter,
                                          .wrap = (enum serde_wrap)sink->value_format.wrap,
                                          .topic = sink->topic};
    const struct serde_format *key_format = serde_format_find(sink->key_format.name);
    const struct serde_format *value_format = serde_format_find(sink->value_format.name);
    if (key_format == NULL || value_format == NULL)
        return err_set(err, ERR_UNSUPPORTED, "sink %.*s has a format that is not known", STR_ARG(sink->name));
    if (schema->column_count != os->op.step->column_count || schema->key_count != os->op.step->key_count)
        return err_set(err, ERR_INTERNAL, "the columns of the plan do not fit sink %.*s",
                       STR_ARG(sink->name));
    os->key_serde = serde_new(key_format, SERDE_KEY, schema->columns, schema->key_count, &key_options, err);
    if (os->key_serde == NULL)
        return false;
    os->value_serde = serde_new(value_format, SERDE_VALUE, schema->columns + schema->key_count,
                                os->value_count, &value_options, err);
    return os->value_serde != NULL;
}

/* How long windows of the rows are kept: what the aggregate below says. */
static int64_t window_retention(const struct step *step)
{
    for (; step != NULL; step = step->input)
        if (step->kind == STEP_AGGREGATE)
            return MAX(step->aggregate.window.retention_ms,
                       step->aggregate.window.size_ms + step->aggregate.window.grace_ms);
    return 0;
}

const struct step *sink_kept_by(const struct step *sink)
{
    const struct step *step = sink->input;
    while (step->kind == STEP_SELECT || step->kind == STEP_FILTER || step->kind == STEP_SUPPRESS)
        step = step->input;
    /* With EMIT FINAL the state also has windows that are not out yet. */
    return step->kind == STEP_AGGREGATE && !step->aggregate.window.emit_final ? step : NULL;
}

static bool sink_store(struct op_sink *os, struct err *err)
{
    const struct step *step = os->op.step;
    struct arena *arena = &os->op.task->arena;
    const struct sql_type **types =
        arena_array(arena, const struct sql_type *, os->value_count + ROW_FIRST_CELL);
    types[ROW_TIME_CELL] = &type_bigint;
    for (uint32_t i = 0; i < os->value_count; i++)
        types[ROW_FIRST_CELL + i] = step->columns[step->key_count + i].type;
    key_codec_init(&os->store_key, step->columns, step->key_count, arena);
    os->retention_ms = step->key_window != WINDOW_NONE ? window_retention(step) : 0;
    struct store_options options = {.kind = window_store_kind(step->key_window),
                                    .types = types,
                                    .cell_count = os->value_count + ROW_FIRST_CELL,
                                    .retention_ms = os->retention_ms};
    os->store = op_store_open(&os->op, "rows", &options, err);
    os->stream_time_ms = -1;
    return os->store != NULL;
}

static bool sink_open(struct op *op, struct err *err)
{
    struct op_sink *os = (struct op_sink *)op;
    const struct step *step = op->step;
    os->sink = step->sink.sink;
    os->value_count = step->column_count - step->key_count;
    if (step->sink.materialize && sink_kept_by(step) == NULL && !sink_store(os, err))
        return false;
    if (os->sink == NULL)
        return true;
    if (!sink_serdes(os, err))
        return false;
    struct client_writer_options options = {.transactional = op->task->env->transactional};
    os->writer = client_writer_new(op->task->env->client, os->sink->topic, &options, err);
    if (os->writer == NULL)
        return false;
    vec_push(&op->task->writers, os->writer);
    return true;
}

static void sink_close(struct op *op)
{
    struct op_sink *os = (struct op_sink *)op;
    serde_free(os->key_serde);
    serde_free(os->value_serde);
    client_writer_free(os->writer);
    store_close(os->store);
    buf_fini(&os->key_bytes);
    buf_fini(&os->value_bytes);
    buf_fini(&os->store_key_bytes);
}

/* Topic ---------------------------------------------------------------------------------------------------------- */

static bool encode_key(struct op_sink *os, const struct run *run, uint32_t row, struct str *key,
                       struct err *err)
{
    bool null_key;
    buf_clear(&os->key_bytes);
    if (!serde_encode(os->key_serde, run->cols, row, &os->key_bytes, &null_key, err))
        return false;
    *key = STR_NULL;
    if (null_key || (run->null_key != NULL && run->null_key[row]))
        return true;
    if (run->window_start_ms != NULL && os->sink->window_kind == WINDOW_SESSION)
        serde_append_session_window(&os->key_bytes, run->window_start_ms[row], run->window_end_ms[row]);
    else if (run->window_start_ms != NULL && os->sink->window_kind != WINDOW_NONE)
        serde_append_time_window(&os->key_bytes, run->window_start_ms[row]);
    *key = buf_str(&os->key_bytes);
    return true;
}

static bool encode_value(struct op_sink *os, const struct run *run, uint32_t row, struct str *value,
                         struct err *err)
{
    bool null_value;
    *value = STR_NULL;
    if (run_deleted(run, row))
        return true;
    buf_clear(&os->value_bytes);
    if (!serde_encode(os->value_serde, run->cols + os->op.step->key_count, row, &os->value_bytes, &null_value,
                      err))
        return false;
    if (!null_value)
        *value = buf_str(&os->value_bytes);
    return true;
}

/* The record's time; false: the timestamp column has none (logged). */
static bool record_time(struct op_sink *os, const struct run *run, uint32_t row, int64_t *time_ms)
{
    int column = os->op.step->sink.timestamp_column;
    struct err err;
    *time_ms = run->rowtime_ms[row];
    if (column < 0 || run_deleted(run, row))
        return true;
    if (timestamp_of_value(run->cols[column][row], os->op.step->columns[column].type,
                           os->sink->timestamp_format, os->op.task->formats, time_ms, &err))
        return true;
    op_log(&os->op, FLOW_LOG_PROCESSING, run->offset != NULL ? run->offset[row] : -1, err.text);
    if (os->op.task->env->fail_on_timestamp)
        op_fail_err(&os->op, &err);
    return false;
}

static void log_encoding(struct op_sink *os, const struct run *run, uint32_t row, bool is_key,
                         const struct err *err)
{
    struct flow_env *env = os->op.task->env;
    atomic_fetch_add_explicit(&env->stats.errors, 1, memory_order_relaxed);
    if (env->on_log == NULL)
        return;
    struct arena arena = {0};
    struct flow_log_entry entry = {.type = FLOW_LOG_SERIALIZATION,
                                   .query_id = env->id,
                                   .logger = str_printf(&arena, "processing.%.*s.%.*s.serializer",
                                                        STR_ARG(env->id), STR_ARG(os->op.step->name)),
                                   .topic = os->sink->topic,
                                   .is_key = is_key,
                                   .partition = run->partition,
                                   .offset = run->offset != NULL ? run->offset[row] : -1,
                                   .message = str_from(err->text)};
    env->on_log(env->log_arg, &entry);
    arena_fini(&arena);
}

/* False: the task has failed. */
static bool write_row(struct op_sink *os, const struct run *run, uint32_t row)
{
    struct err err;
    struct str key, value;
    int64_t time_ms;
    bool key_ok = encode_key(os, run, row, &key, &err);
    if (!key_ok || !encode_value(os, run, row, &value, &err)) {
        log_encoding(os, run, row, !key_ok, &err);
        return true;
    }
    if (!record_time(os, run, row, &time_ms))
        return !os->op.task->failed;
    struct run_headers headers = run->headers != NULL ? run->headers[row] : (struct run_headers){STR_NULL, 0};
    if (!client_writer_add(os->writer, -1, time_ms, key, value, headers.raw, headers.count, &err)) {
        err_context(&err, "Error producing to topic %.*s", STR_ARG(os->sink->topic));
        op_log(&os->op, FLOW_LOG_PRODUCTION, -1, err.text);
        return op_fail_err(&os->op, &err);
    }
    return true;
}

/* Store ------------------------------------------------------------------------------------------------------------ */

static bool keep_row(struct op_sink *os, const struct run *run, uint32_t row)
{
    const struct step *step = os->op.step;
    struct err err;
    if (!key_encode(&os->store_key, run->cols, row, &os->store_key_bytes))
        return true;
    os->stream_time_ms = MAX(os->stream_time_ms, run->rowtime_ms[row]);
    struct store_entry *entry =
        store_at(os->store, buf_str(&os->store_key_bytes), run_t0(run, step->key_window, row),
                 run_t1(run, step->key_window, row), &err);
    if (entry == NULL)
        return op_fail_err(&os->op, &err);
    if (run_deleted(run, row)) {
        store_delete(os->store, entry);
        return true;
    }
    entry->cells[ROW_TIME_CELL] = value_bigint(run->rowtime_ms[row]);
    for (uint32_t i = 0; i < os->value_count; i++)
        entry->cells[ROW_FIRST_CELL + i] = run->cols[step->key_count + i][row];
    store_changed(os->store, entry);
    return true;
}

static bool keep_rows(struct op_sink *os, const struct run *run)
{
    struct err err;
    for (uint32_t r = 0; r < run->count; r++)
        if (!keep_row(os, run, r))
            return false;
    if (os->retention_ms != 0 && !store_expire(os->store, os->stream_time_ms - os->retention_ms, &err))
        return op_fail_err(&os->op, &err);
    return true;
}

static bool sink_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_sink *os = (struct op_sink *)op;
    if (os->store != NULL && !keep_rows(os, run))
        return false;
    for (uint32_t r = 0; os->writer != NULL && r < run->count; r++)
        if (!write_row(os, run, r))
            return false;
    atomic_fetch_add_explicit(&op->task->env->stats.rows_out, run->count, memory_order_relaxed);
    return true;
}

static void sink_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_sink *os = (struct op_sink *)op;
    if (os->store != NULL)
        store_hand_over(os->store, batch);
}

const struct op_class op_sink_class = {
    .name = "sink",
    .size = sizeof(struct op_sink),
    .open = sink_open,
    .process = sink_process,
    .hand_over = sink_hand_over,
    .close = sink_close,
};

struct store *op_sink_store(struct op *op)
{
    return ((struct op_sink *)op)->store;
}

/* Push query ---------------------------------------------------------------------------------------------------- */

struct op_push {
    struct op op;
};

static bool push_open(struct op *op, struct err *err)
{
    return true;
}

/* Records of a stream without a value are not shown. */
static struct run rows_with_value(const struct run *run, struct arena *arena)
{
    uint32_t *picked = arena_array(arena, uint32_t, run->count), count = 0;
    for (uint32_t r = 0; r < run->count; r++)
        if (!run_deleted(run, r))
            picked[count++] = r;
    return count == run->count ? *run : run_pick(run, picked, count, arena);
}

static bool push_process(struct op *op, uint32_t side, const struct run *all)
{
    struct flow_env *env = op->task->env;
    const struct plan *plan = env->plan;
    struct arena *arena = &op->task->batch;
    struct run shown = op->step->result_kind == SOURCE_STREAM ? rows_with_value(all, arena) : *all;
    const struct run *run = &shown;
    uint32_t count = run->count;
    if (env->rows_left >= 0)
        count = (uint32_t)MIN((int64_t)count, env->rows_left);
    if (count == 0)
        return true;
    const struct value **cols = arena_array(arena, const struct value *, plan->output_count + 1);
    for (uint32_t i = 0; i < plan->output_count; i++)
        cols[i] = run->cols[plan->output_order[i]];
    struct flow_rows rows = {.count = count,
                             .column_count = plan->output_count,
                             .cols = cols,
                             .rowtime_ms = run->rowtime_ms,
                             .window_start_ms = run->window_start_ms,
                             .window_end_ms = run->window_end_ms,
                             .tombstones = op->step->result_kind == SOURCE_TABLE ? run->deleted : NULL};
    if (env->rows_left >= 0)
        env->rows_left -= count;
    atomic_fetch_add_explicit(&env->stats.rows_out, count, memory_order_relaxed);
    if (!env->on_rows(env->arg, &rows))
        env->rows_full = true;
    return true;
}

static void push_close(struct op *op)
{
}

const struct op_class op_push_class = {
    .name = "push",
    .size = sizeof(struct op_push),
    .open = push_open,
    .process = push_process,
    .close = push_close,
};
