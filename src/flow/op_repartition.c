/* op_repartition.c - rows that move to the partition of their new key, through an internal topic.
 *
 *     task of partition p:  ... PARTITION BY / GROUP BY -> repartition -> topic -> internal -> join, aggregate ...
 *
 *     record key    the new key in the step's key format: it chooses the partition (the other side of a join, or the
 *                   sink, has the same key in the same partition)
 *     record value  flags (1), new columns if bit 0, old columns if bit 1, the key columns of a tombstone if bit 2;
 *                   each as value_encode writes it
 *     record time   the row's
 *
 * An old row whose key differs from the new one goes to its own partition, in a record of its own: it is subtracted
 * there, and the new row added here.
 */
#include "flow/flow_int.h"

enum { HAS_NEW = 1, HAS_OLD = 2, HAS_KEY = 4 };

struct op_repartition {
    struct op op; /* its step is the PARTITION_BY or GROUP_BY before it */
    struct str topic;
    struct serde *key_serde;
    struct client_writer *writer;
    struct buf key_bytes, old_key_bytes, value_bytes;
};

static struct serde *key_serde_new(struct op *op, struct str topic, struct err *err)
{
    const struct source_format *format = &op->step->key.key_format;
    struct str name = op->step->key_count == 0 ? STR("NONE") : format->name;
    const struct serde_format *serde_format = serde_format_find(name);
    struct serde_options options = {.delimiter = format->delimiter,
                                    .wrap = (enum serde_wrap)format->wrap,
                                    .topic = topic};
    if (serde_format == NULL) {
        err_set(err, ERR_UNSUPPORTED, "key format %.*s is not known", STR_ARG(name));
        return NULL;
    }
    return serde_new(serde_format, SERDE_KEY, op->step->columns, op->step->key_count, &options, err);
}

void op_repartition_set_topic(struct op *op, struct str topic)
{
    ((struct op_repartition *)op)->topic = topic;
}

static bool repartition_open(struct op *op, struct err *err)
{
    struct op_repartition * or = (struct op_repartition *)op;
    struct client_writer_options options = {.transactional = op->task->env->transactional};
    or->key_serde = key_serde_new(op, or->topic, err);
    if (or->key_serde == NULL)
        return false;
    or->writer = client_writer_new(op->task->env->client, or->topic, &options, err);
    if (or->writer == NULL)
        return false;
    vec_push(&op->task->writers, or->writer);
    return true;
}

static void repartition_close(struct op *op)
{
    struct op_repartition * or = (struct op_repartition *)op;
    serde_free(or->key_serde);
    client_writer_free(or->writer);
    buf_fini(& or->key_bytes);
    buf_fini(& or->old_key_bytes);
    buf_fini(& or->value_bytes);
}

static bool encode_key(struct op_repartition * or, const struct value *const *cols, uint32_t row,
                       struct buf *out)
{
    struct err err;
    bool null_key;
    buf_clear(out);
    if (serde_encode(or->key_serde, cols, row, out, &null_key, &err))
        return true;
    op_log(& or->op, FLOW_LOG_SERIALIZATION, -1, err.text);
    return false;
}

static bool send_row(struct op_repartition * or, const struct run *run, uint32_t row, int flags,
                     struct str key)
{
    const struct step *step = or->op.step;
    struct err err;
    buf_clear(& or->value_bytes);
    buf_append_char(& or->value_bytes, (char)flags);
    for (uint32_t c = 0; (flags & HAS_NEW) && c < step->column_count; c++)
        value_encode(run->cols[c][row], step->columns[c].type, & or->value_bytes);
    for (uint32_t c = 0; (flags & HAS_OLD) && c < step->column_count; c++)
        value_encode(run->old_cols[c][row], step->columns[c].type, & or->value_bytes);
    for (uint32_t c = 0; (flags & HAS_KEY) && c < step->key_count; c++)
        value_encode(run->cols[c][row], step->columns[c].type, & or->value_bytes);
    struct run_headers headers = run->headers != NULL ? run->headers[row] : (struct run_headers){STR_NULL, 0};
    if (client_writer_add(or->writer, -1, run->rowtime_ms[row], key, buf_str(& or->value_bytes), headers.raw,
                          headers.count, &err))
        return true;
    err_context(&err, "Error producing to topic %.*s", STR_ARG(or->topic));
    op_log(& or->op, FLOW_LOG_PRODUCTION, -1, err.text);
    return op_fail_err(& or->op, &err);
}

static bool repartition_process(struct op *op, uint32_t side, const struct run *run)
{
    struct op_repartition * or = (struct op_repartition *)op;
    for (uint32_t r = 0; r < run->count; r++) {
        bool has_new = !run_deleted(run, r) && encode_key(or, run->cols, r, & or->key_bytes);
        bool has_old = run_has_old(run, r) && encode_key(or, run->old_cols, r, & or->old_key_bytes);
        struct str key = buf_str(& or->key_bytes), old_key = buf_str(& or->old_key_bytes);
        if (has_new && has_old && str_eq(key, old_key)) {
            if (!send_row(or, run, r, HAS_NEW | HAS_OLD, key))
                return false;
            continue;
        }
        if (has_old && !send_row(or, run, r, HAS_OLD, old_key))
            return false;
        if (has_new && !send_row(or, run, r, HAS_NEW, key))
            return false;
        bool tombstone = run_deleted(run, r) && op->step->kind == STEP_PARTITION_BY &&
                         op->step->result_kind == SOURCE_TABLE &&
                         encode_key(or, run->cols, r, & or->key_bytes);
        if (tombstone && !send_row(or, run, r, HAS_KEY, buf_str(& or->key_bytes)))
            return false;
    }
    return true;
}

const struct op_class op_repartition_class = {
    .name = "repartition",
    .size = sizeof(struct op_repartition),
    .open = repartition_open,
    .process = repartition_process,
    .close = repartition_close,
};

/* Reading --------------------------------------------------------------------------------------------------------- */

struct op_internal {
    struct op op; /* its step is the PARTITION_BY or GROUP_BY whose rows it gives */
};

static bool internal_open(struct op *op, struct err *err)
{
    return true;
}

/* The first `count` columns of one row; false on damaged bytes. */
static bool decode_columns(struct op *op, struct str *bytes, struct value **cols, uint32_t count,
                           uint32_t row, struct arena *arena)
{
    for (uint32_t c = 0; c < count; c++)
        if (!value_decode(bytes, op->step->columns[c].type, &cols[c][row], arena))
            return false;
    return true;
}

static struct value **null_columns(uint32_t column_count, uint32_t rows, struct arena *arena)
{
    struct value **cols = arena_array(arena, struct value *, column_count + 1);
    for (uint32_t c = 0; c < column_count; c++)
        cols[c] = arena_array(arena, struct value, rows); /* zeroed: NULL */
    return cols;
}

bool internal_decode(struct op *op, struct flow_input *input, const struct record *recs, uint32_t count)
{
    struct arena *arena = &input->arena;
    arena_reset(arena);
    struct value **cols = null_columns(op->step->column_count, count, arena);
    struct value **old = null_columns(op->step->column_count, count, arena);
    int64_t *rowtime = arena_array(arena, int64_t, count), *offset = arena_array(arena, int64_t, count);
    bool *deleted = arena_array(arena, bool, count), *has_old = arena_array(arena, bool, count);
    struct run_headers *headers = arena_array(arena, struct run_headers, count);
    bool any_old = false, any_headers = false;
    for (uint32_t r = 0; r < count; r++) {
        struct str bytes = recs[r].value;
        int flags = bytes.len != 0 ? bytes.ptr[0] : 0;
        bytes = str_sub(bytes, 1, SIZE_MAX);
        deleted[r] = !(flags & HAS_NEW);
        has_old[r] = (flags & HAS_OLD) != 0;
        uint32_t n = op->step->column_count;
        if ((!deleted[r] && !decode_columns(op, &bytes, cols, n, r, arena)) ||
            (has_old[r] && !decode_columns(op, &bytes, old, n, r, arena)) ||
            ((flags & HAS_KEY) && !decode_columns(op, &bytes, cols, op->step->key_count, r, arena)))
            return op_fail(op, ERR_CORRUPT,
                           "internal topic %.*s, partition %d, offset %" PRId64 ": not a row of ours",
                           STR_ARG(input->topic), input->partition, recs[r].offset);
        any_old |= has_old[r];
        any_headers |= recs[r].header_count != 0;
        headers[r] = (struct run_headers){recs[r].headers, recs[r].header_count};
        rowtime[r] = recs[r].timestamp_ms;
        offset[r] = recs[r].offset;
    }
    input->pending = (struct run){.count = count,
                                  .column_count = op->step->column_count,
                                  .cols = (const struct value *const *)cols,
                                  .rowtime_ms = rowtime,
                                  .offset = offset,
                                  .partition = input->partition,
                                  .headers = any_headers ? headers : NULL,
                                  .deleted = deleted,
                                  .old_cols = any_old ? (const struct value *const *)old : NULL,
                                  .has_old = any_old ? has_old : NULL};
    input->pending_at = 0;
    return true;
}

static bool internal_process(struct op *op, uint32_t side, const struct run *run)
{
    return op_push(op, run);
}

static void internal_close(struct op *op)
{
}

const struct op_class op_internal_class = {
    .name = "internal",
    .size = sizeof(struct op_internal),
    .open = internal_open,
    .process = internal_process,
    .close = internal_close,
};
