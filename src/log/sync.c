/* sync.c - makes what was appended durable, publishes it, writes checkpoints; what happens when that fails.
 *
 *   log_sync (any thread)       sync_lock: who waited finds its records durable, or is the next round
 *     target = published end
 *     fdatasync of each segment from the durable end to the target, of the directory when files are new, of the one that it
 *       lies in when it is new itself (one sync for all logs that are: names.c)
 *     durable = target, high watermark moves
 *     checkpoint, when enough was written since the last: indexes, then the checkpoint file
 *
 * (Y1) The durable end moves only after everything below it is synced, directory entries included; or lies, durably, where a
 *      start will find it (tail.c). The synced end knows the files alone.
 * (Y2) A failed fdatasync is not repeated: the kernel may have dropped what it could not write. With
 *      LOG_FSYNC the files are cut back to the durable end, which readers have never passed, so that
 *      nothing half-written is found later.
 * (Y3) The checkpoint file is written after all it speaks of is durable; losing it only costs a longer
 *      scan.
 */
#include "log/log_int.h"

#include <stdio.h>

void log_set_hw(struct log *log)
{
    int64_t hw = log->config.durability == LOG_FSYNC ? log->durable.offset : log->end.offset;
    atomic_store_explicit(&log->end_offset, log->end.offset, memory_order_release);
    atomic_store_explicit(&log->durable_offset, log->durable.offset, memory_order_release);
    atomic_store_explicit(&log->hw_offset, hw, memory_order_release);
    txns_settle(log);
}

void log_set_synced(struct log *log, struct log_point point)
{
    log->synced = point;
    if (point.offset >= log->durable.offset)
        log->durable = point;
}

bool log_set_offline(struct log *log, struct err *err)
{
    pthread_mutex_lock(&log->lock);
    if (!atomic_load(&log->offline)) {
        log->offline_code = err->code;
        if (log->offline_reason == NULL)
            log->offline_reason = mem_alloc(ERR_TEXT_BYTES);
        snprintf(log->offline_reason, ERR_TEXT_BYTES, "%s", err->text);
        atomic_store(&log->offline, true);
        log_error("log", "offline", "log=%s cause=%s", log->name, err->text);
    }
    pthread_mutex_unlock(&log->lock);
    return false;
}

bool log_check_online(struct log *log, struct err *err)
{
    if (!atomic_load(&log->offline))
        return true;
    return err_set(err, ERR_STORAGE, "log %s takes no writes since a disk failure: %s", log->name,
                   log->offline_reason);
}

const char *log_offline_reason(const struct log *log)
{
    return atomic_load(&((struct log *)log)->offline) ? log->offline_reason : NULL;
}

/* Forgets everything behind the durable end, in memory and in the files. Under `lock`. */
static void cut_to_durable(struct log *log)
{
    while (log->segs.len > 1 && segs_active(log)->base_offset > log->durable.seg_base) {
        struct log_segment *seg = segs_active(log);
        log->segs.len--;
        ignore(!segment_remove_files(log, seg->base_offset), "recovery drops it: its offset does not fit");
        segment_unref(seg);
    }
    struct log_segment *seg = segs_active(log);
    ASSERT_CMP(seg->base_offset, ==, log->durable.seg_base);
    for (size_t i = 0; i < log->segs.len;
         i++) /* the page cache may have lost what is durable elsewhere: readers check */
        if (log->segs.at[i]->base_offset >= log->synced.seg_base)
            known_cut(log->segs.at[i], segment_limit(log->segs.at[i], &log->synced));
    int fd;
    if (seg->made && segment_open(log, seg, false, &fd, NULL))
        ignore(io_truncate(log->io, fd, log->durable.pos) < 0,
               "recovery judges by checksums what is still there");
    seg->end_pos = log->durable.pos;
    known_cut(seg, seg->end_pos);
    log->end = log->durable;
    atomic_fetch_add(&log->incarnation, 1);
    log_set_hw(log);
}

void log_cut_undurable(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    if (log->cut_due && !atomic_load(&log->unread)) /* else nobody was told of anything yet */
        cut_to_durable(log);
    log->cut_due = false;
    pthread_mutex_unlock(&log->lock);
}

/* Takes references to the segments that hold bytes behind the synced end. Under `lock`; free(result). */
static struct log_segment **dirty_segments(struct log *log, size_t *count)
{
    ptrdiff_t first = segs_find(log, log->synced.seg_base);
    size_t from = first < 0 ? 0 : (size_t)first;
    *count = 0;
    struct log_segment **dirty = mem_alloc((log->segs.len - from) * sizeof(struct log_segment *));
    for (size_t i = from; i < log->segs.len; i++)
        if (log->segs.at[i]->made && log->segs.at[i]->end_pos > segment_limit(log->segs.at[i], &log->synced))
            dirty[(*count)++] = segment_ref(log->segs.at[i]);
    return dirty;
}

static bool sync_segment(struct log *log, struct log_segment *seg, struct err *err)
{
    int fd;
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, seg, false, &fd, err);
    pthread_mutex_unlock(&log->lock);
    int rc = ok ? io_fdatasync(log->io, fd) : 0;
    if (rc < 0)
        ok = err_set_errno(err, -rc, "log %s: sync of segment %lld failed", log->name,
                           (long long)seg->base_offset);
    return ok;
}

static bool sync_names(struct log *log, bool inside, uint64_t own_round, struct err *err)
{
    int rc = inside ? io_sync_dir(log->io, log->dir) : 0;
    if (rc < 0)
        return err_set_errno(err, -rc, "log %s: sync of the directory failed", log->name);
    if (own_round == 0 || names_sync(log->names, own_round, err))
        return true;
    err_context(err, "log %s", log->name);
    return false;
}

/* Makes the files hold all below the log end, or (not `whole`) below the durable end. Holder of flush_lock. */
static bool sync_up_to(struct log *log, bool whole, struct err *err)
{
    size_t count;
    pthread_mutex_lock(&log->lock);
    struct log_point target = whole ? log->end : log->durable;
    struct log_segment **dirty = dirty_segments(log, &count);
    bool dir_dirty = log->dir_dirty;
    uint64_t name_round = log->name_round;
    log->dir_dirty = false; /* a name that comes from now on is for the next sync */
    pthread_mutex_unlock(&log->lock);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        ok = ok && sync_segment(log, dirty[i], err);
        segment_unref(dirty[i]);
    }
    free(dirty);
    ok = ok && sync_names(log, dir_dirty, name_round, err);
    pthread_mutex_lock(&log->lock);
    log->dir_dirty |= dir_dirty && !ok;
    if (ok && log->name_round == name_round)
        log->name_round = 0;
    if (ok && target.offset >= log->synced.offset) {
        log_set_synced(log, target);
        log_set_hw(log);
    }
    pthread_mutex_unlock(&log->lock);
    return ok;
}

/* Y2. Whoever has sync_lock next cuts: the one that waited for this sync, or an append that heals the log. */
static bool fail_sync(struct log *log, struct err *why)
{
    pthread_mutex_lock(&log->lock);
    log->cut_due = log->config.durability == LOG_FSYNC;
    pthread_mutex_unlock(&log->lock);
    return log_set_offline(log, why);
}

/* One at a time, and none after one that failed (Y2): the kernel tells of a failure once. */
static bool sync_files(struct log *log, bool whole, struct err *err)
{
    struct err why = {0};
    pthread_mutex_lock(&log->flush_lock);
    bool ok = log_check_online(log, &why) && (sync_up_to(log, whole, &why) || fail_sync(log, &why));
    pthread_mutex_unlock(&log->flush_lock);
    if (!ok && err != NULL)
        *err = why;
    return ok;
}

bool log_sync_files(struct log *log, struct err *err)
{
    return sync_files(log, true, err);
}

static bool index_is_unsaved(const struct log_segment *seg)
{
    bool entries =
        seg->loaded && seg->index.len + seg->times.len > (size_t)seg->index_saved + seg->times_saved;
    return seg->made &&
           (entries || seg->aborted.len > seg->aborted_saved || (seg->stale && seg->counts_known));
}

static bool save_indexes(struct log *log, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok;
         i++) { /* the list may grow at its end meanwhile, never shrink: we hold sync_lock */
        pthread_mutex_lock(&log->lock);
        struct log_segment *seg = i < log->segs.len ? segment_ref(log->segs.at[i]) : NULL;
        bool unsaved = seg != NULL && index_is_unsaved(seg);
        pthread_mutex_unlock(&log->lock);
        if (seg == NULL)
            break;
        ok = !unsaved || index_save(log, seg, err);
        segment_unref(seg);
    }
    return ok;
}

/* Appends go on meanwhile: the state is taken first, then everything it speaks of is made durable, then it
 * is written. */
static bool write_checkpoint(struct log *log, int64_t start_offset, struct err *err)
{
    struct buf bytes = {0};
    char path[LOG_PATH_BYTES];
    pthread_mutex_lock(&log->lock);
    checkpoint_encode(log, start_offset, &bytes);
    struct log_point described = log->end;
    pthread_mutex_unlock(&log->lock);
    snprintf(path, sizeof path, "%s/checkpoint", log->dir);
    bool ok = save_indexes(log, err);
    pthread_mutex_lock(&log->lock);
    bool behind = log->synced.offset < described.offset || log->dir_dirty; /* also by a new index file */
    pthread_mutex_unlock(&log->lock);
    ok = ok && (!behind || log_sync_files(log, err));
    pthread_mutex_lock(&log->checkpoint_lock);
    ok = ok && io_replace_file(log->io, log->dir, path, buf_str(&bytes), err);
    pthread_mutex_lock(&log->lock);
    if (ok) {
        log->bytes_since_checkpoint = 0;
        log->checkpoint_base = described.seg_base;
        log->checkpoint_dirty = log->end.offset != described.offset;
        log->checkpoint_due = false;
    }
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->checkpoint_lock);
    buf_fini(&bytes);
    return ok;
}

/* Under `lock`. */
static bool checkpoint_is_due(const struct log *log)
{
    return log->checkpoint_due || log->bytes_since_checkpoint >= log->config.checkpoint_bytes;
}

/* After a failed sync, which has taken the log offline. Holder of sync_lock. When that was not held since, the log may have
 * healed meanwhile, and what it was given then stays. */
static bool give_up(struct log *log, const struct err *why, struct err *err)
{
    pthread_mutex_lock(&log->append_lock);
    log_cut_undurable(log);
    pthread_mutex_unlock(&log->append_lock);
    if (err != NULL)
        *err = *why;
    return false;
}

bool log_sync_all(struct log *log, bool checkpoint, int64_t start_offset, struct err *err)
{
    if (!log_check_online(log, err))
        return false;
    struct err why = {0};
    if (!log_sync_files(log, &why))
        return give_up(log, &why, err);
    pthread_mutex_lock(&log->lock);
    bool forced = checkpoint && (log->checkpoint_dirty || start_offset != log_start_offset(log));
    bool due = checkpoint_is_due(log);
    pthread_mutex_unlock(&log->lock);
    if (!forced && !due)
        return true;
    if (write_checkpoint(log, start_offset, &why))
        return true;
    if (atomic_load(&log->offline))
        return give_up(log, &why, err);
    log_warn("log", "checkpoint_failed", "log=%s cause=%s", log->name, why.text);
    if (forced && err != NULL)
        *err = why;
    return !forced; /* the records are durable: only the next start will read more */
}

bool log_sync(struct log *log, struct err *err)
{
    int64_t target = log_end_offset(log);
    if (!log_check_online(log, err))
        return false;
    if (log_durable_offset(log) >= target)
        return true;
    pthread_mutex_lock(&log->sync_lock);
    bool ok = log_durable_offset(log) >= target || log_sync_all(log, false, log_start_offset(log), err);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

/* Mostly without sync_lock: what is appended meanwhile goes on becoming durable elsewhere. */
bool log_flush(struct log *log, int64_t offset, struct err *err)
{
    struct err why = {0};
    if (log_synced_offset(log) >= offset)
        return true;
    if (!log_check_online(log, err))
        return false;
    bool ok = sync_files(log, false, &why);
    pthread_mutex_lock(&log->lock);
    bool done = ok && log->synced.offset >= offset && !checkpoint_is_due(log);
    pthread_mutex_unlock(&log->lock);
    if (done)
        return true;
    pthread_mutex_lock(&log->sync_lock);
    ok = ok ? log_sync_all(log, false, log_start_offset(log), err) : give_up(log, &why, err);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

bool log_checkpoint(struct log *log, struct err *err)
{
    pthread_mutex_lock(&log->sync_lock);
    bool ok = log_sync_all(log, true, log_start_offset(log), err);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

int64_t log_synced_offset(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    int64_t offset = log->synced.offset;
    pthread_mutex_unlock(&log->lock);
    return offset;
}

bool log_is_durable(const struct log *log, const struct log_append_result *result)
{
    /* The durable end is read first: it only passes these records again after the incarnation has changed. */
    bool synced = log_durable_offset(log) > result->last_offset;
    return synced && atomic_load(&((struct log *)log)->incarnation) == result->incarnation;
}

bool log_is_dirty(const struct log *log)
{
    return log_durable_offset(log) < log_end_offset(log);
}
