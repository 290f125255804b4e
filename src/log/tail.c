/* tail.c - the end of a log, durable elsewhere before it is in the log's own file.
 *
 *     start      synced          durable            end
 *       | in the files | in a write-ahead log | written |
 *
 *   log_tail_begin   what lies between durable and end, when it is short        (sync_lock is held from here)
 *   log_tail_read    ... is copied to where it is made durable together with that of other logs
 *   log_tail_end     the durable end moves; the synced end stays, until log_flush
 *   log_redo         after a crash: batches that the files lack are appended again, as they were
 *
 * (L1) Who moves the durable end so keeps the bytes until log_synced_offset has passed them, and gives them to log_redo at the
 *      next start, in order, before the log is settled; and by log_config.redo when the log recovers while it runs.
 * (L2) Redone is what fits: batches below the end are there; the one at the end is appended; a run of batches of which one
 *      below the end differs from what is there belongs to another life of these offsets, was never acknowledged, and is left
 *      out.
 * (L3) A new segment is first synced in the ordinary way, with all before it and a checkpoint: what is closed is so for retention
 *      and compaction too.
 */
#include "log/log_int.h"

/* Where in the active segment the bytes behind the durable end begin; false: some are in an older one. Under `lock`. */
static bool tail_begins(const struct log *log, const struct log_segment *seg, uint64_t *pos)
{
    bool here = log->durable.seg_base == seg->base_offset, whole = log->durable.offset == seg->base_offset;
    *pos = here ? log->durable.pos : 0;
    return here || whole;
}

size_t log_tail_bytes(struct log *log)
{
    uint64_t pos;
    pthread_mutex_lock(&log->lock);
    struct log_segment *seg = segs_active(log);
    bool here = log->end.seg_base == seg->base_offset && tail_begins(log, seg, &pos);
    size_t bytes = here ? (size_t)(log->end.pos - pos) : SIZE_MAX;
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

bool log_tail_begin(struct log *log, size_t bytes_max, struct log_tail *tail)
{
    if (atomic_load(&log->offline) || pthread_mutex_trylock(&log->sync_lock) != 0)
        return false;
    pthread_mutex_lock(&log->lock);
    struct log_segment *seg = segs_active(log);
    uint64_t pos;
    int fd;
    bool fits = log->config.durability == LOG_FSYNC && !log->checkpoint_due &&
                log->end.offset > log->durable.offset && log->end.seg_base == seg->base_offset &&
                tail_begins(log, seg, &pos) && log->end.pos > pos && log->end.pos - pos <= bytes_max &&
                segment_open(log, seg, false, &fd, NULL);
    if (fits)
        *tail = (struct log_tail){.base_offset = log->durable.offset,
                                  .end_offset = log->end.offset,
                                  .len = (size_t)(log->end.pos - pos),
                                  .pos = pos,
                                  .fd = fd,
                                  .seg = segment_ref(seg)};
    pthread_mutex_unlock(&log->lock);
    if (!fits)
        pthread_mutex_unlock(&log->sync_lock);
    return fits;
}

bool log_tail_read(struct log *log, const struct log_tail *tail, char *bytes, struct err *err)
{
    return io_read_all(log->io, tail->fd, bytes, tail->len, tail->pos, log->name, err);
}

void log_tail_end(struct log *log, struct log_tail *tail, bool durable)
{
    pthread_mutex_lock(&log->lock);
    if (durable) {
        log->durable = (struct log_point){tail->end_offset, tail->seg->base_offset, tail->pos + tail->len};
        log_set_hw(log);
    }
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->sync_lock);
    segment_unref(tail->seg);
}

bool log_refuse(struct log *log, struct err *why)
{
    atomic_store_explicit(&log->unread, true, memory_order_release);
    return log_set_offline(log, why);
}

/* Is what the log has at its offset this very batch? What cannot be compared, because it was deleted or is damaged, is taken for
 * it. False: it cannot be read. */
static bool compare(struct log *log, const struct batch *batch, bool *same, struct err *err)
{
    struct log_slice slice = {0};
    char header[BATCH_HEADER_BYTES];
    struct err why = {0};
    *same = true;
    if (!log_read(log, batch->base_offset, 1, LOG_APPENDED, &slice, &why)) {
        log_slice_release(&slice);
        if (why.code != ERR_IO && why.code != ERR_STORAGE)
            return true;
        if (err != NULL)
            *err = why;
        return false;
    }
    bool good = slice.len < sizeof header ||
                io_read_all(log->io, slice.fd, header, sizeof header, slice.pos, log->name, err);
    *same = slice.len >= sizeof header && slice.base_offset == batch->base_offset && good &&
            memcmp(header, batch->bytes.ptr, sizeof header) == 0;
    log_slice_release(&slice);
    return good;
}

/* Are these whole batches? *end is where the last one ends. */
static bool check_batches(const struct log *log, struct str bytes, int64_t *end, struct err *err)
{
    struct batch batch;
    struct err why = {0};
    *end = -1;
    while (batch_next(&bytes, &batch, &why) && batch_check_crc(&batch, &why)) {
        if (batch.leader_epoch !=
            0) /* not under the checksum, and never anything else in what this program appends */
            return err_set(err, ERR_CORRUPT, "log %s: what was durable elsewhere has leader epoch %d",
                           log->name, batch.leader_epoch);
        *end = batch_last_offset(&batch) + 1;
    }
    if (why.code == ERR_NONE && bytes.len == 0 && *end >= 0)
        return true;
    return err_set(err, ERR_CORRUPT, "log %s: what was durable elsewhere is damaged: %s", log->name,
                   why.code != ERR_NONE ? why.text : "there is no whole batch");
}

/* L2 */
static bool redo(struct log *log, struct str bytes, struct err *err)
{
    struct batch batch;
    bool same = true;
    while (same && batch_next(&bytes, &batch, NULL)) {
        int64_t end = log_end_offset(log);
        if (batch.base_offset > end)
            return err_set(err, ERR_CORRUPT,
                           "log %s: records %lld to %lld are neither in its files nor elsewhere", log->name,
                           (long long)end, (long long)batch.base_offset - 1);
        bool there = batch.base_offset < end;
        if (!(there ? compare(log, &batch, &same, err) : log_append_placed(log, batch.bytes, err)))
            return log_refuse(log, err); /* what it lacks was acknowledged: it is not served without it */
        log->unsettled |= !there;
    }
    return true;
}

bool log_redo(struct log *log, struct str bytes, struct err *err)
{
    struct err why = {0};
    if (atomic_load(&log->unread))
        return err_set(err, ERR_STORAGE, "log %s: %s", log->name, log->offline_reason);
    int64_t end;
    if (!check_batches(log, bytes, &end, err))
        return false;
    if (end <= log_end_offset(log))
        return true; /* as is the rule: the process died and the system lived */
    pthread_mutex_lock(&log->append_lock);
    bool ok = redo(log, bytes, &why);
    pthread_mutex_unlock(&log->append_lock);
    if (!ok && err != NULL)
        *err = why;
    return ok;
}

bool log_redo_all(struct log *log, struct err *err)
{
    if (log->config.redo == NULL)
        return true;
    if (!log->config.redo(log->config.redo_arg, log, err) || !log_sync_files(log, err))
        return false;
    rescue_take_back(log);
    return true;
}
