/* op_source.c - records of a topic to rows: late decoding, timestamps, and for tables the old rows.
 *
 *     records --key serde--> key columns      only the columns that the step lists are decoded,
 *             --value serde-> value columns   and the one that gives the time
 *             --------------> pseudo columns  ROWTIME, ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND, headers
 *
 * (O1) A record that cannot be read is skipped, told to the processing log with its bytes, and counted; the position
 *      moves on. With fail_on_deserialization the query fails instead.
 * (O2) Of a table, a null key is skipped and a null value is a tombstone. Of a stream both are kept, but
 *      for null keys when a push query taps it.
 * (O3) A table whose consumers need old rows is kept in a store, key to value columns.
 *
 * Memory: decoded values lie in the input's arena (or in the record) until the pending run is used up.
 */
#include "flow/flow_int.h"

struct op_source {
    struct op op;
    const struct source *source;
    struct serde *key_serde, *value_serde; /* NULL: no columns */
    uint32_t key_count;
    bool skips_null_keys;
    const struct column *value_columns; /* of the schema, without header columns */
    uint32_t value_count;
    uint32_t *schema_column; /* of each value column */
    bool *key_wanted, *value_wanted;
    int time_column; /* of the schema: gives the time; -1: the record's */
    /* Old rows. */
    struct store *store;
    struct key_codec key;
    struct buf key_bytes;
    uint32_t stored_count; /* value columns of the step that are stored: all but the key */
};

static bool source_serdes(struct op_source *os, struct err *err)
{
    const struct source *source = os->source;
    struct serde_options key_options = {.delimiter = source->key_format.delimiter,
                                        .wrap = (enum serde_wrap)source->key_format.wrap,
                                        .topic = source->topic};
    struct serde_options value_options = {.delimiter = source->value_format.delimiter,
                                          .wrap = (enum serde_wrap)source->value_format.wrap,
                                          .topic = source->topic};
    const struct serde_format *key_format = serde_format_find(source->key_format.name);
    const struct serde_format *value_format = serde_format_find(source->value_format.name);
    if (key_format == NULL || value_format == NULL)
        return err_set(err, ERR_UNSUPPORTED, "source %.*s has a format that is not known",
                       STR_ARG(source->name));
    os->key_serde =
        serde_new(key_format, SERDE_KEY, source->schema->columns, os->key_count, &key_options, err);
    if (os->key_serde == NULL)
        return false;
    os->value_serde =
        serde_new(value_format, SERDE_VALUE, os->value_columns, os->value_count, &value_options, err);
    if (os->value_serde == NULL)
        return false;
    _Static_assert((int)WRAP_SINGLES == (int)SERDE_WRAP && (int)UNWRAP_SINGLES == (int)SERDE_UNWRAP,
                   "one meaning");
    _Static_assert((int)CLIENT_SLACK >= (int)JSON_PADDING, "records are read in place");
    serde_set_padded(os->key_serde, true);
    serde_set_padded(os->value_serde, true);
    return true;
}

/* Splits the schema into key, value and header columns. */
static void source_columns(struct op_source *os, struct arena *arena)
{
    const struct schema *schema = os->source->schema;
    struct column *values = arena_array(arena, struct column, schema->column_count + 1);
    os->schema_column = arena_array(arena, uint32_t, schema->column_count + 1);
    os->key_count = schema->key_count;
    for (uint32_t i = schema->key_count; i < schema->column_count; i++) {
        if (schema->columns[i].role == COLUMN_HEADERS)
            continue;
        os->schema_column[os->value_count] = i;
        values[os->value_count++] = schema->columns[i];
    }
    os->value_columns = values;
    os->key_wanted = arena_array(arena, bool, os->key_count + 1);
    os->value_wanted = arena_array(arena, bool, os->value_count + 1);
}

static void want_column(struct op_source *os, uint32_t schema_column)
{
    if (schema_column < os->key_count)
        os->key_wanted[schema_column] = true;
    for (uint32_t i = 0; i < os->value_count; i++)
        if (os->schema_column[i] == schema_column)
            os->value_wanted[i] = true;
}

static bool source_store(struct op_source *os, struct err *err)
{
    const struct step *step = os->op.step;
    struct arena *arena = &os->op.task->arena;
    os->stored_count = step->column_count - step->key_count;
    const struct sql_type **types = arena_array(arena, const struct sql_type *, os->stored_count + 1);
    for (uint32_t i = 0; i < os->stored_count; i++)
        types[i] = step->columns[step->key_count + i].type;
    key_codec_init(&os->key, step->columns, step->key_count, arena);
    struct store_options options = {.kind = window_store_kind(step->key_window),
                                    .types = types,
                                    .cell_count = os->stored_count};
    os->store = op_store_open(&os->op, "rows", &options, err);
    return os->store != NULL;
}

static bool source_open(struct op *op, struct err *err)
{
    struct op_source *os = (struct op_source *)op;
    const struct step *step = op->step;
    os->source = step->source.source;
    os->skips_null_keys =
        os->source->kind == SOURCE_TABLE || (step->source.tap && os->source->schema->key_count != 0);
    source_columns(os, &op->task->arena);
    if (!source_serdes(os, err))
        return false;
    for (uint32_t c = 0; c < step->column_count; c++) {
        const struct source_column *origin = &step->source.origins[c];
        if (origin->origin == ORIGIN_KEY || origin->origin == ORIGIN_VALUE)
            want_column(os, origin->index);
    }
    os->time_column = -1;
    if (!str_is_null(os->source->timestamp_column)) {
        os->time_column = schema_find(os->source->schema, os->source->timestamp_column);
        if (os->time_column >= 0)
            want_column(os, (uint32_t)os->time_column);
    }
    return !op->gives_old || source_store(os, err);
}

static void source_close(struct op *op)
{
    struct op_source *os = (struct op_source *)op;
    serde_free(os->key_serde);
    serde_free(os->value_serde);
    store_close(os->store);
    buf_fini(&os->key_bytes);
}

/* Decoding ------------------------------------------------------------------------------------------------------ */

/* The arrays of a pending run while it is filled. */
struct decode {
    struct op_source *os;
    struct flow_input *input;
    struct value **schema_cols; /* of wanted schema columns; NULL for others */
    struct value **key_cols, **value_cols;
    int64_t *rowtime, *offset, *start, *end;
    bool *deleted, *null_key;
    struct run_headers *headers;
    bool any_deleted, any_headers, any_null_key;
    uint32_t count;
    bool failed;
};

static void log_bytes(struct op_source *os, const struct record *rec, bool is_key, struct str bytes,
                      const struct err *err)
{
    struct flow_env *env = os->op.task->env;
    atomic_fetch_add_explicit(&env->stats.errors, 1, memory_order_relaxed);
    if (env->on_log == NULL)
        return;
    struct arena arena = {0};
    struct flow_log_entry entry = {.type = FLOW_LOG_DESERIALIZATION,
                                   .query_id = env->id,
                                   .logger = str_printf(&arena, "processing.%.*s.%.*s.Source.deserializer",
                                                        STR_ARG(env->id), STR_ARG(os->op.step->name)),
                                   .topic = os->source->topic,
                                   .is_key = is_key,
                                   .partition = os->op.task->partition,
                                   .offset = rec->offset,
                                   .bytes = bytes,
                                   .message = str_from(err->text)};
    env->on_log(env->log_arg, &entry);
    arena_fini(&arena);
}

static void bad_record(struct decode *d, const struct record *rec, bool is_key, const struct err *err)
{
    struct op_source *os = d->os;
    log_bytes(os, rec, is_key, is_key ? rec->key : rec->value, err);
    if (os->op.task->env->fail_on_deserialization) {
        op_fail(&os->op, err->code, "topic %.*s, partition %d, offset %" PRId64 ": %s",
                STR_ARG(os->source->topic), os->op.task->partition, rec->offset, err->text);
        d->failed = true;
    }
}

/* The window of a windowed key, cut off its bytes. */
static bool decode_window(struct decode *d, struct str *key, uint32_t row, struct err *err)
{
    const struct source *source = d->os->source;
    if (source->window_kind == WINDOW_NONE || str_is_null(*key))
        return true;
    if (source->window_kind == WINDOW_SESSION)
        return serde_cut_session_window(key, &d->start[row], &d->end[row], err);
    if (!serde_cut_time_window(key, &d->start[row], err))
        return false;
    d->end[row] = d->start[row] + source->window_size_ms;
    return true;
}

/* The row's time; false: the record is dropped (logged), or the query has failed. */
static bool decode_time(struct decode *d, const struct record *rec, uint32_t row)
{
    struct op_source *os = d->os;
    struct err err;
    int64_t ms = rec->timestamp_ms;
    bool ok = true;
    if (os->time_column >= 0 && !d->deleted[row]) {
        const struct column *column = &os->source->schema->columns[os->time_column];
        ok = timestamp_of_value(d->schema_cols[os->time_column][row], column->type,
                                os->source->timestamp_format, os->op.task->formats, &ms, &err);
        if (!ok)
            err_context(&err, "Failed to extract timestamp from row, column %.*s", STR_ARG(column->name));
    } else if (ms < 0) {
        ok = err_set(&err, ERR_INVALID_TIMESTAMP, "Input record has invalid (negative) timestamp %" PRId64,
                     ms);
    }
    d->rowtime[row] = ms;
    if (!ok) {
        op_log(&os->op, FLOW_LOG_PROCESSING, rec->offset, err.text);
        if (os->op.task->env->fail_on_timestamp) {
            op_fail(&os->op, ERR_INVALID_TIMESTAMP,
                    "Fatal user code error in TimestampExtractor callback for record: topic %.*s, partition "
                    "%d, offset %" PRId64 ": %s",
                    STR_ARG(os->source->topic), os->op.task->partition, rec->offset, err.text);
            d->failed = true;
        }
    }
    return ok;
}

static void decode_record(struct decode *d, const struct record *rec)
{
    struct op_source *os = d->os;
    struct arena *arena = &d->input->arena;
    uint32_t row = d->count;
    struct err err;
    struct str key = rec->key;
    bool null_key = serde_is_null(os->key_serde, key);
    if (null_key && os->skips_null_keys) {
        op_log(&os->op, FLOW_LOG_PROCESSING, rec->offset, "Skipping record due to null key");
        return;
    }
    if (!decode_window(d, &key, row, &err) ||
        !serde_decode(os->key_serde, key, d->key_cols, row, os->key_wanted, arena, &err)) {
        bad_record(d, rec, true, &err);
        return;
    }
    if (!serde_decode(os->value_serde, rec->value, d->value_cols, row, os->value_wanted, arena, &err)) {
        bad_record(d, rec, false, &err);
        return;
    }
    d->deleted[row] = serde_is_null(os->value_serde, rec->value);
    if (!decode_time(d, rec, row))
        return;
    d->any_deleted |= d->deleted[row];
    d->null_key[row] = null_key;
    d->any_null_key |= null_key && os->key_count > 1;
    d->any_headers |= rec->header_count != 0;
    d->headers[row] = (struct run_headers){rec->headers, rec->header_count};
    d->offset[row] = rec->offset;
    d->count++;
}

static struct value *new_column(struct decode *d, uint32_t cap)
{
    return arena_alloc(&d->input->arena, cap * sizeof(struct value));
}

static void decode_begin(struct decode *d, uint32_t cap)
{
    struct op_source *os = d->os;
    struct arena *arena = &d->input->arena;
    d->schema_cols = arena_array(arena, struct value *, os->source->schema->column_count + 1);
    d->key_cols = arena_array(arena, struct value *, os->key_count + 1);
    d->value_cols = arena_array(arena, struct value *, os->value_count + 1);
    for (uint32_t i = 0; i < os->key_count; i++)
        if (os->key_wanted[i])
            d->schema_cols[i] = d->key_cols[i] = new_column(d, cap);
    for (uint32_t i = 0; i < os->value_count; i++)
        if (os->value_wanted[i])
            d->schema_cols[os->schema_column[i]] = d->value_cols[i] = new_column(d, cap);
    d->rowtime = arena_alloc(arena, cap * sizeof *d->rowtime);
    d->offset = arena_alloc(arena, cap * sizeof *d->offset);
    d->deleted = arena_alloc(arena, cap * sizeof *d->deleted);
    d->null_key = arena_alloc(arena, cap * sizeof *d->null_key);
    d->headers = arena_alloc(arena, cap * sizeof *d->headers);
    if (os->source->window_kind != WINDOW_NONE) {
        d->start = arena_array(arena, int64_t, cap);
        d->end = arena_array(arena, int64_t, cap);
    }
}

/* HEADERS: all of them as ARRAY<STRUCT<KEY STRING, VALUE BYTES>>. */
static struct value headers_value(const struct run_headers *headers, struct arena *arena)
{
    struct value *elems = arena_alloc(arena, ((size_t)headers->count + 1) * sizeof *elems);
    struct str rest = headers->raw;
    struct record_header header;
    uint32_t n = 0;
    while (n < (uint32_t)headers->count && record_header_next(&rest, &header)) {
        struct value *fields = arena_alloc(arena, 2 * sizeof *fields);
        fields[0] = value_str(header.key);
        fields[1] = str_is_null(header.value) ? VALUE_NULL : value_bytes(header.value);
        elems[n++] = value_nested(SQL_STRUCT, fields, 2);
    }
    return value_nested(SQL_ARRAY, elems, n);
}

/* HEADER('k'): the last one of this key. */
static struct value header_value(const struct run_headers *headers, struct str key)
{
    struct str rest = headers->raw;
    struct record_header header;
    struct value found = VALUE_NULL;
    for (int32_t i = 0; i < headers->count && record_header_next(&rest, &header); i++)
        if (str_eq(header.key, key))
            found = str_is_null(header.value) ? VALUE_NULL : value_bytes(header.value);
    return found;
}

static const struct value *header_column(struct decode *d, const struct column *column)
{
    struct value *out = new_column(d, d->count);
    for (uint32_t r = 0; r < d->count; r++)
        out[r] = str_is_null(column->header_key) ? headers_value(&d->headers[r], &d->input->arena)
                                                 : header_value(&d->headers[r], column->header_key);
    return out;
}

static const struct value *number_column(struct decode *d, const int64_t *numbers, int64_t constant)
{
    struct value *out = new_column(d, d->count);
    for (uint32_t r = 0; r < d->count; r++)
        out[r] = value_bigint(numbers != NULL ? numbers[r] : constant);
    return out;
}

static const struct value *partition_column(struct decode *d)
{
    struct value *out = new_column(d, d->count);
    for (uint32_t r = 0; r < d->count; r++)
        out[r] = value_int(d->input->partition);
    return out;
}

static const struct value *null_column(struct decode *d)
{
    struct value *out = new_column(d, d->count);
    for (uint32_t r = 0; r < d->count; r++)
        out[r] = VALUE_NULL;
    return out;
}

static const struct value *step_column(struct decode *d, const struct source_column *origin)
{
    switch (origin->origin) {
    case ORIGIN_KEY:
    case ORIGIN_VALUE: {
        const struct column *column = &d->os->source->schema->columns[origin->index];
        return column->role == COLUMN_HEADERS ? header_column(d, column) : d->schema_cols[origin->index];
    }
    case ORIGIN_ROWTIME:
        return number_column(d, d->rowtime, 0);
    case ORIGIN_ROWPARTITION:
        return partition_column(d);
    case ORIGIN_ROWOFFSET:
        return number_column(d, d->offset, 0);
    case ORIGIN_WINDOWSTART:
        return d->start != NULL ? number_column(d, d->start, 0) : null_column(d);
    case ORIGIN_WINDOWEND:
        return d->end != NULL ? number_column(d, d->end, 0) : null_column(d);
    }
    UNREACHABLE();
}

bool source_decode(struct op *op, struct flow_input *input, const struct record *recs, uint32_t count)
{
    struct op_source *os = (struct op_source *)op;
    struct decode d = {.os = os, .input = input};
    arena_reset(&input->arena);
    decode_begin(&d, count);
    for (uint32_t i = 0; i < count && !d.failed; i++)
        decode_record(&d, &recs[i]);
    if (d.failed)
        return false;
    const struct value **cols = arena_array(&input->arena, const struct value *, op->step->column_count + 1);
    for (uint32_t c = 0; c < op->step->column_count; c++)
        cols[c] = step_column(&d, &op->step->source.origins[c]);
    input->pending = (struct run){.count = d.count,
                                  .column_count = op->step->column_count,
                                  .cols = cols,
                                  .rowtime_ms = d.rowtime,
                                  .offset = d.offset,
                                  .partition = input->partition,
                                  .window_start_ms = d.start,
                                  .window_end_ms = d.end,
                                  .headers = d.any_headers ? d.headers : NULL,
                                  .deleted = d.any_deleted ? d.deleted : NULL,
                                  .null_key = d.any_null_key ? d.null_key : NULL};
    input->pending_at = 0;
    atomic_fetch_add_explicit(&op->task->env->stats.rows_in, count, memory_order_relaxed);
    return true;
}

/* Old rows ---------------------------------------------------------------------------------------------------------- */

/* Puts one row of a table into the store and its old values into old[c][row]. */
static bool remember(struct op_source *os, const struct run *run, uint32_t row, struct value **old,
                     bool *has_old)
{
    const struct step *step = os->op.step;
    struct arena *arena = &os->op.task->batch;
    struct err err;
    ignore(!key_encode(&os->key, run->cols, row, &os->key_bytes), "null keys were skipped when decoding");
    struct store_entry *entry =
        store_at(os->store, buf_str(&os->key_bytes), run_t0(run, step->key_window, row),
                 run_t1(run, step->key_window, row), &err);
    if (entry == NULL)
        return op_fail_err(&os->op, &err);
    has_old[row] = entry->present;
    for (uint32_t c = 0; c < step->key_count; c++)
        old[c][row] = run->cols[c][row];
    for (uint32_t i = 0; i < os->stored_count; i++)
        old[step->key_count + i][row] = entry->present ? value_dup(entry->cells[i], arena) : VALUE_NULL;
    if (run_deleted(run, row)) {
        store_delete(os->store, entry);
        return true;
    }
    for (uint32_t i = 0; i < os->stored_count; i++)
        entry->cells[i] = run->cols[step->key_count + i][row];
    store_changed(os->store, entry);
    return true;
}

/* Called with rows of the pending run. */
static bool source_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_source *os = (struct op_source *)op;
    if (os->store == NULL)
        return op_push(op, run);
    struct arena *arena = &op->task->batch;
    struct value **old = arena_array(arena, struct value *, run->column_count + 1);
    for (uint32_t c = 0; c < run->column_count; c++)
        old[c] = arena_alloc(arena, run->count * sizeof(struct value));
    bool *has_old = arena_array(arena, bool, run->count);
    for (uint32_t r = 0; r < run->count; r++)
        if (!remember(os, run, r, old, has_old))
            return false;
    struct run with_old = *run;
    with_old.old_cols = (const struct value *const *)old;
    with_old.has_old = has_old;
    return op_push(op, &with_old);
}

static void source_hand_over(struct op *op, struct state_batch *batch)
{
    struct op_source *os = (struct op_source *)op;
    if (os->store != NULL)
        store_hand_over(os->store, batch);
}

const struct op_class op_source_class = {
    .name = "source",
    .size = sizeof(struct op_source),
    .open = source_open,
    .process = source_process,
    .hand_over = source_hand_over,
    .close = source_close,
};
