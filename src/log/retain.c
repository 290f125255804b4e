/* retain.c - what goes: segments by age, size and DeleteRecords; producers and files that nobody uses.
 *
 *   1 decide which segments go, oldest first, stop at the first that stays
 *   2 write a checkpoint that says the new log start
 *   3 publish the new start, take the segments off the list
 *   4 remove the files, or give them another name until file.delete.delay.ms is over (log_reap)
 *
 * (N1) The new start is durable before the first file goes: a crash in between leaves files below the
 *      start, which the next recovery removes, never a hole.
 * (N2) Only durable bytes go, and an open transaction does not hold them: its age does not make it
 *      immortal.
 * (N3) Readers keep the segments they hold references to.
 * (N4) The segment that the synced end or the checkpoint on the disk points into stays, when appends have gone on into a
 *      new one meanwhile: without it a start knows no producer's sequences, and a failed sync has nothing to cut back to.
 *      The next retention makes a newer checkpoint and takes it.
 */
#include "log/log_int.h"

/* How old the newest record is; segments without timestamps go by the file's time. */
static bool segment_newest(struct log *log, struct log_segment *seg, int64_t *newest_ms, struct err *err)
{
    if (!segment_max_time(log, seg, newest_ms, err))
        return false;
    if (*newest_ms < 0) {
        char path[LOG_PATH_BYTES];
        struct io_stat st;
        log_path(log, seg->base_offset, "log", path);
        *newest_ms = io_stat(log->io, path, &st) == 0 ? st.mtime_ms : INT64_MAX;
    }
    return true;
}

/* May this segment go? */
static bool is_due(struct log *log, struct log_segment *seg, const struct log_config *config, int64_t now_ms,
                   uint64_t seg_bytes, uint64_t bytes_left, int64_t next_base, bool *due, struct err *err)
{
    *due = next_base <= log_start_offset(log);
    if (*due || !config->retention_on)
        return true;
    if (seg_bytes == 0) { /* compaction has left nothing in it: it holds up nobody */
        *due = true;
        return true;
    }
    if (config->retention_bytes >= 0 && bytes_left >= seg_bytes + (uint64_t)config->retention_bytes) {
        *due = true;
        return true;
    }
    int64_t newest_ms;
    if (config->retention_ms < 0)
        return true;
    if (!segment_newest(log, seg, &newest_ms, err))
        return false;
    *due = newest_ms < now_ms && now_ms - newest_ms > config->retention_ms;
    return true;
}

/* Does the first segment end at or below the start? *held: but the synced end or the checkpoint on the disk points into
 * it (N4). Under `lock`. */
static bool first_is_below(const struct log *log, int64_t start_offset, bool *held)
{
    bool below = log->segs.len > 1 && log->segs.at[1]->base_offset <= start_offset;
    *held = below && log->segs.at[0]->base_offset >= MIN(log->synced.seg_base, log->checkpoint_base);
    return below;
}

/* Takes segments that end at or below the new start off the list and removes their files. Holder of
 * sync_lock. */
static void remove_below(struct log *log, int64_t start_offset, struct log_retained *out)
{
    for (;;) {
        bool held;
        pthread_mutex_lock(&log->lock);
        bool below = first_is_below(log, start_offset, &held) && !held;
        struct log_segment *seg = log->segs.at[0];
        if (below)
            vec_remove(&log->segs, 0);
        pthread_mutex_unlock(&log->lock);
        if (!below)
            return;
        out->segments++;
        out->bytes += seg->end_pos;
        log_info("log", "segment_removed", "log=%s segment=%lld bytes=%llu", log->name,
                 (long long)seg->base_offset, (unsigned long long)seg->end_pos);
        ignore(!segment_doom_files(log, seg->base_offset),
               "the next start removes what lies below the log start");
        segment_unref(seg);
    }
}

/* Raises the log start, durably, then removes what lies below. Holder of sync_lock. */
static bool raise_start(struct log *log, int64_t start_offset, struct log_retained *out, struct err *err)
{
    bool held;
    pthread_mutex_lock(&log->lock);
    first_is_below(log, start_offset, &held);
    pthread_mutex_unlock(&log->lock);
    if (start_offset > log_start_offset(log) || held) {
        if (!log_sync_all(log, true, start_offset, err))
            return false;
        atomic_store_explicit(&log->start_offset, start_offset, memory_order_release);
    }
    remove_below(log, start_offset, out);
    return true;
}

/* The offset below which everything is due. The active segment is rolled first when it is due as well. */
static bool find_start(struct log *log, int64_t now_ms, int64_t *start_offset, struct err *err)
{
    struct log_config config = log_get_config(log);
    uint64_t bytes_left = log_size_bytes(log);
    *start_offset = log_start_offset(log);
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&log->lock);
        bool active = i + 1 == log->segs.len;
        struct log_segment *seg = i < log->segs.len ? segment_ref(log->segs.at[i]) : NULL;
        int64_t next_base = active ? log->end.offset : seg != NULL ? log->segs.at[i + 1]->base_offset : -1;
        pthread_mutex_unlock(&log->lock);
        if (seg == NULL)
            return true;
        bool due = false;
        uint64_t seg_bytes = segment_bytes(log, seg);
        bool ok = (seg_bytes == 0 && active) ||
                  is_due(log, seg, &config, now_ms, seg_bytes, bytes_left, next_base, &due, err);
        bytes_left -= MIN(bytes_left, seg_bytes);
        segment_unref(seg);
        if (!ok || !due)
            return ok;
        if (active) {
            pthread_mutex_lock(&log->append_lock);
            bool still_last = log->end.offset == next_base; /* else records came meanwhile: they are young */
            ok = !still_last || log_roll(log, err);
            pthread_mutex_unlock(&log->append_lock);
            if (!ok || !still_last)
                return ok;
        }
        *start_offset = MAX(*start_offset, next_base);
    }
}

static void drop_index(struct log_segment *seg)
{
    bool saved = seg->index_saved == seg->index.len && seg->times_saved == seg->times.len && !seg->stale;
    if (!seg->loaded || !saved || seg->end_pos == 0)
        return;
    vec_fini(&seg->index);
    vec_fini(&seg->times);
    seg->loaded = false;
}

/* A file whose bytes are synced can be closed and opened again at will; a reader holds a reference, a writer append_lock. */
static void close_segment(struct log *log, struct log_segment *seg, bool used_too)
{
    bool synced = segment_limit(seg, &log->synced) >= seg->end_pos;
    bool free = atomic_load(&seg->refs) == 1 && (used_too || !seg->used);
    seg->used = false;
    if (!free || !synced)
        return;
    segment_close_file(seg);
    if (seg != segs_active(log) || !log->checkpoint_dirty) /* a checkpoint speaks of the active one's index */
        drop_index(seg);
}

void log_close_files(struct log *log, bool used_too)
{
    pthread_mutex_lock(&log->append_lock);
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segs.len; i++)
        close_segment(log, log->segs.at[i], used_too);
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->append_lock);
}

/* What was read and checked long ago may come from the disk again: verify.c. */
static void forget_known(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segs.len; i++)
        known_forget(log->segs.at[i]);
    pthread_mutex_unlock(&log->lock);
}

bool log_retain(struct log *log, int64_t now_ms, struct log_retained *out, struct err *err)
{
    struct log_retained unused;
    struct log_retained *removed = out != NULL ? out : &unused;
    *removed = (struct log_retained){0, 0};
    pthread_mutex_lock(&log->sync_lock);
    int64_t start_offset;
    bool ok = log_check_online(log, err) && find_start(log, now_ms, &start_offset, err) &&
              raise_start(log, start_offset, removed, err);
    producers_expire(log, now_ms);
    log_close_files(log, false);
    forget_known(log);
    rescue_expire(log, now_ms);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

bool log_delete_before(struct log *log, int64_t offset, struct err *err)
{
    struct log_retained removed = {0, 0};
    if (!log_check_readable(log, err))
        return false;
    pthread_mutex_lock(&log->sync_lock);
    int64_t hw = log_high_watermark(log);
    bool ok = offset <= hw ? offset <= log_start_offset(log) || raise_start(log, offset, &removed, err)
                           : err_set(err, ERR_OFFSET_OUT_OF_RANGE,
                                     "offset %lld is past the high watermark %lld of log %s",
                                     (long long)offset, (long long)hw, log->name);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}
