/* embedded_reader.c - one partition of the local log, read in large pieces.
 *
 *     poll:  [ batch | batch | batch | ... ] slack        one pread of up to read_bytes
 *     take:           ^ iter -> records (slices of the piece, or of the batch's plain bytes)
 *
 * (R1) The piece and the plain buffers live until the next poll that reads; uncompressed records are slices of the
 *      piece, so the only copy is the read itself.
 * (R2) Every batch's checksum is checked before its records are handed out.
 * (R3) Control batches and batches of aborted transactions are stepped over, and the position with them.
 * (R4) A reader that finds nothing gives its memory back: thousands of idle readers cost nothing.
 */
#include "client/embedded_int.h"
#include "log/log.h"

struct embedded_reader {
    struct client_reader reader;
    struct partition *part;
    enum client_isolation isolation;
    size_t read_bytes;
    void (*notify)(void *arg);
    void *arg;
    struct partition_watch watch;

    struct buf piece;
    struct str rest;                 /* of the piece: batches not opened yet */
    struct log_aborted_list aborted; /* that overlap the piece */
    struct batch batch;
    struct batch_iter iter;
    bool in_batch;
    vec(struct buf) plain; /* decompressed batches of this piece; the first plain_used are in use */
    size_t plain_used;
    struct err *failure; /* the next poll reports it; NULL: none */
};

static struct embedded_reader *reader_of(struct client_reader *reader)
{
    return (struct embedded_reader *)reader;
}

static void on_watch(struct partition_watch *watch)
{
    struct embedded_reader *er = LIST_ENTRY(watch, struct embedded_reader, watch);
    er->notify(er->arg);
}

static enum log_isolation isolation_of(const struct embedded_reader *er)
{
    return er->isolation == CLIENT_APPENDED ? LOG_APPENDED : LOG_READ_COMMITTED;
}

static int64_t readable_end(struct embedded_reader *er)
{
    if (er->isolation == CLIENT_APPENDED)
        return partition_end(er->part);
    int64_t hw = partition_hw(er->part), lso = partition_lso(er->part);
    return MIN(hw, lso);
}

static void drop_piece(struct embedded_reader *er)
{
    er->rest = STR("");
    er->in_batch = false;
    free(er->failure);
    er->failure = NULL;
    er->plain_used = 0;
    vec_clear(&er->aborted.list);
}

static void free_piece(struct embedded_reader *er)
{
    drop_piece(er);
    buf_fini(&er->piece);
    for (size_t i = 0; i < er->plain.len; i++)
        buf_fini(&er->plain.at[i]);
    vec_fini(&er->plain);
    vec_fini(&er->aborted.list);
}

bool embedded_reader_seek(struct client_reader *reader, int64_t offset, struct err *err)
{
    struct embedded_reader *er = reader_of(reader);
    drop_piece(er);
    if (offset == CLIENT_EARLIEST)
        offset = partition_start(er->part);
    else if (offset == CLIENT_LATEST)
        offset = readable_end(er);
    reader->position = offset;
    return true;
}

struct client_reader *embedded_reader_new(struct client *client, struct str topic, int32_t partition,
                                          const struct client_reader_options *options, struct err *err)
{
    struct partition *part = storage_partition_get(embedded_storage(client), topic, partition, err);
    if (part == NULL)
        return NULL;
    if (!log_check_readable(partition_log(part), err)) {
        partition_unref(part);
        return NULL;
    }
    struct embedded_reader *er = mem_new(struct embedded_reader);
    er->reader.client = client;
    er->part = part;
    er->isolation = options->isolation;
    er->read_bytes = options->read_bytes != 0 ? options->read_bytes : CLIENT_READ_BYTES;
    er->notify = options->notify;
    er->arg = options->arg;
    ignore(!embedded_reader_seek(&er->reader, options->offset, err), "a seek of this reader cannot fail");
    if (er->notify != NULL) {
        er->watch.fn = on_watch;
        er->watch.events = er->isolation == CLIENT_APPENDED ? PARTITION_WATCH_END : PARTITION_WATCH_VISIBLE;
        er->watch.events = er->isolation == CLIENT_APPENDED ? PARTITION_WATCH_END : PARTITION_WATCH_VISIBLE;
        partition_watch_add(part, &er->watch);
    }
    return &er->reader;
}

void embedded_reader_free(struct client_reader *reader)
{
    struct embedded_reader *er = reader_of(reader);
    if (er->notify != NULL)
        partition_watch_remove(er->part, &er->watch);
    partition_unref(er->part);
    free_piece(er);
    free(er);
}

/* Reads the next piece. */
static bool fetch(struct embedded_reader *er, struct err *err)
{
    struct log *log = partition_log(er->part);
    struct log_slice slice;
    if (!log_read(log, er->reader.position, er->read_bytes, isolation_of(er), &slice, err)) {
        err_context(err, "%.*s-%d at offset %" PRId64, STR_ARG(partition_topic(er->part)),
                    partition_id(er->part), er->reader.position);
        return false;
    }
    if (slice.len == 0) {
        log_slice_release(&slice);
        free_piece(er);
        return true;
    }
    buf_clear(&er->piece);
    buf_reserve(&er->piece, slice.len + CLIENT_SLACK);
    bool ok = log_slice_read(log, &slice, &er->piece, err);
    if (ok) {
        buf_reserve(&er->piece, CLIENT_SLACK);
        memset(er->piece.ptr + er->piece.len, 0, CLIENT_SLACK);
        er->rest = buf_str(&er->piece);
        log_aborted_in(log, slice.base_offset, slice.end, &er->aborted);
    }
    log_slice_release(&slice);
    return ok;
}

static bool is_aborted(const struct embedded_reader *er, const struct batch *batch)
{
    if (!batch_is_transactional(batch))
        return false;
    for (size_t i = 0; i < er->aborted.list.len; i++) {
        const struct log_aborted *a = &er->aborted.list.at[i];
        if (a->pid == batch->pid && a->first_offset <= batch->base_offset &&
            batch->base_offset <= a->last_offset)
            return true;
    }
    return false;
}

/* Starts the walk over er->batch; its plain bytes, if it is compressed, get their slack. */
static bool open_records(struct embedded_reader *er, struct err *err)
{
    if (!batch_check_crc(&er->batch, err))
        return false;
    struct buf none = {0}, *plain = &none;
    if (batch_codec(&er->batch) != CODEC_NONE) {
        if (er->plain_used == er->plain.len)
            vec_push(&er->plain, (struct buf){0});
        plain = &er->plain.at[er->plain_used++];
    }
    if (!batch_iter_init(&er->iter, &er->batch, plain, err))
        return false;
    if (plain != &none && plain->cap - plain->len < CLIENT_SLACK) {
        size_t at = (size_t)((const char *)er->iter.at - plain->ptr);
        size_t end = (size_t)((const char *)er->iter.end - plain->ptr);
        buf_reserve(plain, CLIENT_SLACK);
        er->iter.at = (const uint8_t *)plain->ptr + at;
        er->iter.end = (const uint8_t *)plain->ptr + end;
    }
    return true;
}

/* Opens the next batch with records for the reader; false at the end of the piece or when one is damaged (then
 * er->failure). */
static bool next_batch(struct embedded_reader *er)
{
    struct err err;
    while (er->rest.len != 0) {
        if (!batch_next(&er->rest, &er->batch, &err)) {
            if (!str_is_null(er->batch.bytes)) /* else the piece was cut inside a batch: as usual */
                er->failure = mem_dup(&err, sizeof err);
            er->rest = STR("");
            return false;
        }
        int64_t last = batch_last_offset(&er->batch);
        if (last < er->reader.position)
            continue;
        if (batch_is_control(&er->batch) || is_aborted(er, &er->batch)) {
            er->reader.position = last + 1;
            continue;
        }
        if (!open_records(er, &err)) {
            er->failure = mem_dup(&err, sizeof err);
            er->rest = STR("");
            return false;
        }
        er->in_batch = true;
        return true;
    }
    return false;
}

/* Moves to a batch with records, if there is one in the piece. */
static bool advance(struct embedded_reader *er)
{
    return er->in_batch || (er->failure == NULL && next_batch(er));
}

static bool report_failure(struct embedded_reader *er, struct err *err)
{
    bool ok = err_set(err, er->failure->code, "%.*s-%d after offset %" PRId64 ": %s",
                      STR_ARG(partition_topic(er->part)), partition_id(er->part), er->reader.position,
                      er->failure->text);
    free(er->failure);
    er->failure = NULL;
    return ok;
}

bool embedded_reader_poll(struct client_reader *reader, struct err *err)
{
    struct embedded_reader *er = reader_of(reader);
    for (;;) {
        if (advance(er))
            return true;
        if (er->failure != NULL)
            return report_failure(er, err);
        if (partition_is_deleted(er->part))
            return err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s was deleted",
                           STR_ARG(partition_topic(er->part)));
        int64_t before = reader->position;
        drop_piece(er);
        if (before == readable_end(er)) {
            free_piece(er);
            return true;
        }
        if (!fetch(er, err))
            return false;
        /* A piece without records for us (markers, aborted batches) moves the position: read on. */
        if (!advance(er) && er->failure == NULL && reader->position == before)
            return true;
    }
}

/* All records of the batch were handed out, or its bytes end early. */
static void finish_batch(struct embedded_reader *er)
{
    struct err err;
    er->in_batch = false;
    if (batch_iter_ok(&er->iter, &err)) {
        er->reader.position = batch_last_offset(&er->batch) + 1;
        return;
    }
    er->failure = mem_dup(&err, sizeof err);
    er->rest = STR("");
}

size_t embedded_reader_take(struct client_reader *reader, struct record *recs, size_t max)
{
    struct embedded_reader *er = reader_of(reader);
    size_t n = 0;
    while (n < max && advance(er)) {
        bool more = batch_iter_next(&er->iter, &recs[n]);
        if (more && recs[n].offset >= reader->position)
            reader->position = recs[n++].offset + 1;
        /* At once after the last record, so that the next poll knows that it must read. */
        if (!more || er->iter.left == 0)
            finish_batch(er);
    }
    return n;
}

int64_t embedded_reader_lag(struct client_reader *reader)
{
    int64_t lag = readable_end(reader_of(reader)) - reader->position;
    return MAX(lag, 0);
}
