/* embedded_writer.c - records to batches to the local log.
 *
 *     add -> batch builder of the partition --full or flushed--> batch --> coord_txn_append / partition_append
 *                                                                  `--> held: no transaction yet
 *
 * (W1) Order per partition: held batches are appended before newer ones.
 * (W2) Builders are reused: a steady state allocates nothing. Large ones are given back when little comes.
 * (W3) A transactional writer appends only inside the transaction it was given.
 */
#include "client/embedded_int.h"

enum { IDLE_BYTES = 64 << 10 }; /* larger buffers are given back when little comes */

struct part_writer {
    struct partition *part; /* NULL: not used yet */
    struct batch_builder builder;
    bool open;                          /* the builder holds records */
    struct buf held;                    /* finished batches, one after the other */
    struct partition_appended appended; /* the newest append; end_offset -1: none */
};

struct embedded_writer {
    struct client_writer writer;
    struct str topic;
    struct arena arena; /* the topic's name */
    struct batch_spec spec;
    size_t batch_bytes;
    int32_t partition_count;
    int32_t next_partition; /* for records without key */
    struct part_writer *parts;
};

static struct embedded_writer *writer_of(struct client_writer *writer)
{
    return (struct embedded_writer *)writer;
}

struct client_writer *embedded_writer_new(struct client *client, struct str topic,
                                          const struct client_writer_options *options, struct err *err)
{
    struct arena arena = {0};
    struct storage_topic info;
    bool known = storage_topic_describe(embedded_storage(client), topic, &info, &arena, err);
    arena_fini(&arena);
    if (!known)
        return NULL;
    struct embedded_writer *ew = mem_new(struct embedded_writer);
    ew->writer = (struct client_writer){.client = client, .transactional = options->transactional};
    ew->topic = str_dup(topic, &ew->arena);
    ew->spec = BATCH_SPEC_PLAIN;
    ew->spec.codec = options->codec;
    ew->batch_bytes = options->batch_bytes != 0 ? options->batch_bytes : CLIENT_BATCH_BYTES;
    ew->partition_count = info.partition_count;
    ew->parts = mem_zalloc((size_t)info.partition_count, sizeof *ew->parts);
    for (int32_t i = 0; i < ew->partition_count; i++)
        ew->parts[i].appended.end_offset = -1;
    return &ew->writer;
}

void embedded_writer_free(struct client_writer *writer)
{
    struct embedded_writer *ew = writer_of(writer);
    for (int32_t i = 0; i < ew->partition_count; i++) {
        struct part_writer *pw = &ew->parts[i];
        if (pw->part != NULL)
            partition_unref(pw->part);
        batch_builder_fini(&pw->builder);
        buf_fini(&pw->held);
    }
    free(ew->parts);
    arena_fini(&ew->arena);
    free(ew);
}

static bool append(struct embedded_writer *ew, struct part_writer *pw, char *batch, size_t size,
                   struct err *err)
{
    struct partition_appended appended;
    struct embedded_txn *et = (struct embedded_txn *)ew->writer.txn;
    bool ok = ew->writer.transactional
                  ? coord_txn_append(et->coord_txn, pw->part, batch, size, &appended, err)
                  : partition_append(pw->part, batch, size, &appended, err);
    if (ok)
        pw->appended = appended;
    return ok;
}

static bool may_append(const struct embedded_writer *ew)
{
    return !ew->writer.transactional || ew->writer.txn != NULL;
}

/* Appends the batches that were held while there was no transaction. */
static bool append_held(struct embedded_writer *ew, struct part_writer *pw, struct err *err)
{
    for (size_t at = 0; at < pw->held.len;) {
        size_t size = batch_size(pw->held.ptr + at);
        ASSERT(size != 0 && size <= pw->held.len - at);
        if (!append(ew, pw, pw->held.ptr + at, size, err))
            return false;
        ew->writer.held_bytes -= size;
        at += size;
    }
    if (pw->held.cap > IDLE_BYTES)
        buf_fini(&pw->held);
    else
        buf_clear(&pw->held);
    return true;
}

/* Ends the open batch of a partition and appends it, or holds it. */
static bool close_batch(struct embedded_writer *ew, struct part_writer *pw, struct err *err)
{
    if (may_append(ew) && pw->held.len != 0 && !append_held(ew, pw, err))
        return false;
    if (!pw->open)
        return true;
    size_t plain = batch_builder_size(&pw->builder);
    struct str batch;
    if (!batch_builder_finish(&pw->builder, &batch, err))
        return false;
    pw->open = false;
    ew->writer.held_bytes -= plain;
    if (may_append(ew)) {
        bool ok = append(ew, pw, (char *)batch.ptr, batch.len, err);
        if (plain < IDLE_BYTES / 4 && pw->builder.records.cap > IDLE_BYTES)
            batch_builder_fini(&pw->builder); /* the rush is over */
        return ok;
    }
    buf_append_str(&pw->held, batch);
    ew->writer.held_bytes += batch.len;
    return true;
}

static struct part_writer *part_of(struct embedded_writer *ew, int32_t partition, struct str key,
                                   struct err *err)
{
    if (partition < 0)
        partition = str_is_null(key) ? ew->next_partition : hash_partition(key, ew->partition_count);
    if (partition >= ew->partition_count) {
        err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s has no partition %d", STR_ARG(ew->topic), partition);
        return NULL;
    }
    struct part_writer *pw = &ew->parts[partition];
    if (pw->part == NULL)
        pw->part = storage_partition_get(embedded_storage(ew->writer.client), ew->topic, partition, err);
    return pw->part != NULL ? pw : NULL;
}

bool embedded_writer_add(struct client_writer *writer, int32_t partition, int64_t timestamp_ms,
                         struct str key, struct str value, struct str headers, int32_t header_count,
                         struct err *err)
{
    struct embedded_writer *ew = writer_of(writer);
    struct part_writer *pw = part_of(ew, partition, key, err);
    if (pw == NULL)
        return false;
    if (!pw->open) {
        batch_builder_begin(&pw->builder, &ew->spec);
        pw->open = true;
        writer->held_bytes += batch_builder_size(&pw->builder);
    }
    size_t before = batch_builder_size(&pw->builder);
    batch_builder_add_raw(&pw->builder, timestamp_ms, key, value, headers, header_count);
    size_t after = batch_builder_size(&pw->builder);
    writer->held_bytes += after - before;
    writer->count++;
    return after < ew->batch_bytes || close_batch(ew, pw, err);
}

bool embedded_writer_flush(struct client_writer *writer, struct err *err)
{
    struct embedded_writer *ew = writer_of(writer);
    for (int32_t i = 0; i < ew->partition_count; i++)
        if (!close_batch(ew, &ew->parts[i], err))
            return false;
    ew->next_partition = (ew->next_partition + 1) % ew->partition_count;
    return true;
}

bool embedded_writer_wait(struct client_writer *writer, struct err *err)
{
    struct embedded_writer *ew = writer_of(writer);
    if (!embedded_writer_flush(writer, err))
        return false;
    for (int32_t i = 0; i < ew->partition_count; i++) {
        struct part_writer *pw = &ew->parts[i];
        if (pw->appended.end_offset >= 0 && !partition_wait_appended(pw->part, &pw->appended, err))
            return false;
        pw->appended.end_offset = -1;
    }
    return true;
}

void embedded_writer_reset(struct client_writer *writer)
{
    struct embedded_writer *ew = writer_of(writer);
    for (int32_t i = 0; i < ew->partition_count; i++) {
        ew->parts[i].open = false;
        buf_clear(&ew->parts[i].held);
    }
    writer->held_bytes = 0;
}
