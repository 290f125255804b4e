/* clean.c - what compaction keeps: the judgement over batches and records, and the segment it is written to.
 *
 *   cleaned            first dirty         map end            limit
 *      | one value a key   |   new records    |   (next pass)    |  young, undecided, active: not touched
 *      |---------------- read, judged, written ----->|
 *                          |-- keys in the map --|
 *
 * What happens to          | rule
 *   a record behind the map end       stays
 *   a record without key              goes
 *   an older record of a key          goes: the map knows a larger offset of it
 *   a tombstone                       its batch gets a delete horizon at its first pass; after it, it goes
 *   aborted data                      go
 *   a marker of a transaction         stays while data of it are met; then as a tombstone
 *   a batch without records           goes, but for the last of a producer (its sequence) and the last before the map end
 * These are Kafka's rules (LogCleaner, MemoryRecords.filterTo, KIP-534).
 *
 * (E1) A batch's frame never changes: offsets, producer, sequence. A batch of which all stays is copied as it is.
 * (E2) Every batch is checked before it is judged: damage is never copied, nor taken for a key.
 * (E3) An entry of the abort index goes one pass after the data it speaks of, and one pass before the marker: an old or a
 *      new index beside old or new batches hides exactly the aborted data.
 */
#include "log/compact_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLEAN_WRITE_BYTES = 1 << 20, CLEAN_SYNC_BYTES = 8 << 20, CLEAN_PACE_BYTES = 256 << 10 };

/* --- transactions met on the way --- */

static int by_first_offset(const void *a, const void *b)
{
    const struct log_aborted *x = a, *y = b;
    return x->first_offset < y->first_offset ? -1 : x->first_offset > y->first_offset;
}

void clean_txns_begin(struct clean_txns *txns, struct log *log)
{
    vec_clear(&txns->aborted);
    txns->next = 0;
    aborted_secure(log);
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segs.len; i++)
        for (size_t k = 0; k < log->segs.at[i]->aborted.len; k++)
            vec_push(&txns->aborted, (struct clean_aborted){log->segs.at[i]->aborted.at[k], false});
    pthread_mutex_unlock(&log->lock);
    if (txns->aborted.len != 0)
        qsort(txns->aborted.at, txns->aborted.len, sizeof *txns->aborted.at, by_first_offset);
    map_clear(&txns->open);
    map_clear(&txns->committed);
}

void clean_txns_fini(struct clean_txns *txns)
{
    vec_fini(&txns->aborted);
    map_fini(&txns->open);
    map_fini(&txns->committed);
}

static struct str pid_key(const int64_t *pid)
{
    return str_of((const char *)pid, sizeof *pid);
}

/* Aborted transactions that begin up to the batch and end behind its start are under way. */
static void txns_advance(struct clean_txns *txns, const struct batch *batch)
{
    for (; txns->next < txns->aborted.len; txns->next++) {
        struct clean_aborted *aborted = &txns->aborted.at[txns->next];
        if (aborted->entry.first_offset > batch_last_offset(batch))
            return;
        if (aborted->entry.last_offset >= batch->base_offset)
            map_put(&txns->open, pid_key(&aborted->entry.pid), aborted);
    }
}

bool clean_txns_data(struct clean_txns *txns, const struct batch *batch)
{
    txns_advance(txns, batch);
    if (!batch_is_transactional(batch))
        return false;
    struct clean_aborted *aborted = map_get(&txns->open, pid_key(&batch->pid));
    if (aborted != NULL)
        aborted->met = true;
    else
        map_put(&txns->committed, pid_key(&batch->pid), txns);
    return aborted != NULL;
}

bool clean_txns_marker(struct clean_txns *txns, const struct batch *batch, const struct log_aborted **entry)
{
    enum marker marker;
    int32_t coordinator_epoch;
    *entry = NULL;
    txns_advance(txns, batch);
    if (!batch_read_marker(batch, &marker, &coordinator_epoch))
        return false; /* of another kind: for ever, or emptied by an earlier pass */
    if (marker == MARKER_COMMIT)
        return map_remove(&txns->committed, pid_key(&batch->pid)) == NULL;
    struct clean_aborted *aborted = map_remove(&txns->open, pid_key(&batch->pid));
    map_remove(&txns->committed, pid_key(&batch->pid));
    if (aborted == NULL || !aborted->met)
        return true;
    *entry = &aborted->entry;
    return false;
}

/* --- the judgement --- */

/* Is this the batch that holds the producer's present sequence, or else its last epoch? */
static bool is_last_of_producer(const struct cleaner *cl, const struct batch *batch)
{
    size_t low = 0, high = cl->writers.len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cl->writers.at[mid].pid < batch->pid)
            low = mid + 1;
        else
            high = mid;
    }
    if (batch->pid < 0 || low == cl->writers.len || cl->writers.at[low].pid != batch->pid)
        return false;
    const struct clean_writer *writer = &cl->writers.at[low];
    return writer->last_data_offset >= 0 ? batch_last_offset(batch) == writer->last_data_offset
                                         : batch_is_control(batch) && batch->epoch == writer->epoch;
}

static bool horizon_has_passed(const struct cleaner *cl, const struct batch *batch)
{
    return (batch->attributes & BATCH_DELETE_HORIZON) != 0 && batch->base_timestamp_ms <= cl->now_ms;
}

static bool record_stays(const struct cleaner *cl, const struct batch *batch, const struct record *rec)
{
    if (rec->offset >= cl->map_end)
        return true;
    if (str_is_null(rec->key) || keymap_get(&cl->map, rec->key) > rec->offset)
        return false;
    return !str_is_null(rec->value) || !horizon_has_passed(cl, batch);
}

struct judgement {
    int32_t kept;
    bool wants_horizon;              /* tombstones, or a marker whose data are gone */
    const struct log_aborted *entry; /* to keep in the abort index */
};

static void set_keep(struct cleaner *cl, int32_t i, bool keep, struct judgement *out)
{
    vec_reserve(&cl->keep, (size_t)i + 1);
    cl->keep.at[i] = keep;
    out->kept += keep;
}

static bool judge(struct cleaner *cl, const struct batch *batch, struct judgement *out, struct err *err)
{
    struct batch_iter it;
    struct record rec;
    bool control = batch_is_control(batch), tombstones = false;
    *out = (struct judgement){0};
    bool nothing_left = control ? clean_txns_marker(&cl->txns, batch, &out->entry) : false;
    bool goes = control ? nothing_left && horizon_has_passed(cl, batch) : clean_txns_data(&cl->txns, batch);
    if (!batch_iter_init(&it, batch, &cl->plain, err))
        return false;
    for (int32_t i = 0; batch_iter_next(&it, &rec); i++) {
        bool stays = !goes && (control || record_stays(cl, batch, &rec));
        set_keep(cl, i, stays, out);
        tombstones |= stays && !control && str_is_null(rec.value);
        cl->stats->records_read++;
    }
    out->wants_horizon = (nothing_left || tombstones) && out->kept != 0 &&
                         batch_last_offset(batch) < cl->map_end &&
                         !(batch->attributes & BATCH_DELETE_HORIZON);
    return batch_iter_ok(&it, err);
}

/* --- the new segment --- */

static bool out_flush(struct clean_out *out, struct err *err)
{
    struct log *log = out->log;
    struct iovec part = {out->pending.ptr, out->pending.len};
    if (out->pending.len == 0)
        return true;
    if (!io_write_all(log->io, out->seg->fd, &part, 1, out->written, out->path, err))
        return false;
    out->crc = hash_crc32c(out->crc, out->pending.ptr, out->pending.len);
    out->written += out->pending.len;
    buf_clear(&out->pending);
    if (out->written - out->synced < CLEAN_SYNC_BYTES)
        return true;
    out->synced = out->written; /* little by little: no large sync stands in the way of those who append */
    int rc = io_fdatasync(log->io, out->seg->fd);
    return rc >= 0 || err_set_errno(err, -rc, "%s: sync failed", out->path);
}

bool clean_out_open(struct clean_out *out, struct log *log, int64_t base_offset, struct err *err)
{
    *out = (struct clean_out){.log = log, .seg = segment_new(log, base_offset)};
    out->seg->loaded = out->seg->counts_known = out->seg->times_known = true;
    out->seg->stale = out->seg->made = out->seg->used = true; /* its indexes replace those that are there */
    out->interval_bytes = log_get_config(log).index_interval_bytes;
    log_path(log, base_offset, "cleaned", out->path);
    int fd = io_open(log->io, out->path, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be made", out->path);
    segment_take_file(out->seg, fd);
    return true;
}

static bool out_add(struct clean_out *out, struct str bytes, struct err *err)
{
    struct batch batch;
    uint64_t pos = out->written + out->pending.len;
    bool good = batch_open(bytes, &batch, err);
    ASSERT(good); /* it was read, or made, a moment ago */
    if (pos + bytes.len > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: compacted batches are larger than they were", out->path);
    index_note(out->seg, out->interval_bytes, pos, &batch);
    out->seg->end_pos = pos + bytes.len;
    buf_append_str(&out->pending, bytes);
    return out->pending.len < CLEAN_WRITE_BYTES || out_flush(out, err);
}

bool clean_out_finish(struct clean_out *out, struct err *err)
{
    if (!out_flush(out, err))
        return false;
    index_finish(out->seg);
    int rc = io_fdatasync(out->log->io, out->seg->fd);
    return rc >= 0 || err_set_errno(err, -rc, "%s: sync failed", out->path);
}

void clean_out_close(struct clean_out *out)
{
    buf_fini(&out->pending);
    if (out->seg == NULL)
        return; /* it is the log's by now */
    if (out->seg->fd >= 0)
        ignore(io_unlink(out->log->io, out->path) < 0, "the next start removes it");
    segment_unref(out->seg);
    out->seg = NULL;
}

/* --- one segment through --- */

bool clean_pace(struct cleaner *cl, uint64_t bytes)
{
    cl->unpaced += bytes;
    if (cl->unpaced >= CLEAN_PACE_BYTES && cl->options->pace != NULL) {
        cl->stopped = !cl->options->pace(cl->options->arg, cl->unpaced);
        cl->unpaced = 0;
    }
    return !cl->stopped;
}

/* Writes what stays of a batch. */
static bool clean_batch(struct cleaner *cl, const struct batch *batch, struct clean_out *out, struct err *err)
{
    struct judgement judgement;
    if (!judge(cl, batch, &judgement, err))
        return false;
    if (judgement.entry != NULL)
        vec_push(&out->seg->aborted, *judgement.entry);
    cl->stats->records_kept += judgement.kept;
    struct str bytes = batch->bytes;
    if (judgement.kept == batch->record_count && judgement.kept != 0 && !judgement.wants_horizon)
        return out_add(out, bytes, err);
    bool last = is_last_of_producer(cl, batch) || batch_last_offset(batch) + 1 == cl->map_end;
    if (judgement.kept == 0 && !last) {
        out->changed = true;
        return true;
    }
    if (batch->record_count == 0)
        return out_add(out, bytes, err);
    out->changed = true;
    struct batch_rewrite how = {.codec = batch_codec(batch),
                                .level = cl->config.codec_levels[batch_codec(batch)],
                                .keep = cl->keep.at,
                                .horizon_ms = judgement.wants_horizon ? cl->horizon_ms : -1};
    return batch_rewrite(&cl->builder, batch, &how, &cl->plain, &bytes, err) && out_add(out, bytes, err);
}

/* E2; base offset and length lie outside the checksum. */
static bool check_batch(const struct scan *scan, const struct batch *batch, int64_t from_offset,
                        int64_t end_offset, struct err *err)
{
    if (!scan_check_crc(scan, batch, err))
        return false;
    return (batch->base_offset >= from_offset && batch_last_offset(batch) < end_offset) ||
           err_set(
               err, ERR_CORRUPT,
               "log %s, segment %lld, position %llu: batch with offsets %lld to %lld between %lld and %lld",
               scan->log->name, (long long)scan->seg->base_offset, (unsigned long long)scan->batch_pos,
               (long long)batch->base_offset, (long long)batch_last_offset(batch), (long long)from_offset,
               (long long)end_offset);
}

bool clean_each_batch(struct cleaner *cl, struct log_segment *seg, int64_t end_offset,
                      bool (*visit)(struct cleaner *cl, const struct batch *batch, void *arg,
                                    struct err *err),
                      void *arg, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    int64_t next_offset = seg->base_offset;
    if (!scan_open(&scan, cl->log, seg, 0, seg->end_pos, true, err))
        return false;
    cl->enough = false;
    while (!cl->stopped && !cl->enough && scan_next(&scan, &batch, &why)) {
        cl->stats->bytes_read += batch.bytes.len;
        if (!check_batch(&scan, &batch, next_offset, end_offset, &why) || !visit(cl, &batch, arg, &why))
            break;
        next_offset = batch_last_offset(&batch) + 1;
        clean_pace(cl, batch.bytes.len);
    }
    scan_close(&scan);
    if (why.code == ERR_NONE)
        return true;
    if (err != NULL)
        *err = why;
    err_context(err, "segment %lld", (long long)seg->base_offset);
    return false;
}

static bool visit_clean(struct cleaner *cl, const struct batch *batch, void *arg, struct err *err)
{
    struct clean_out *out = arg;
    uint64_t before = out->written + out->pending.len;
    if (!clean_batch(cl, batch, out, err))
        return false;
    uint64_t bytes = out->written + out->pending.len - before;
    cl->stats->bytes_written += bytes;
    clean_pace(cl, bytes);
    return true;
}

bool clean_segment(struct cleaner *cl, struct log_segment *seg, int64_t end_offset, struct clean_out *out,
                   struct err *err)
{
    return clean_each_batch(cl, seg, end_offset, visit_clean, out, err);
}
