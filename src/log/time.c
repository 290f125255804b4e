/* time.c - offsets by time.
 *
 *   segments  [max 10] [max 25] [max 31]      the first whose largest timestamp reaches the time
 *   time index   (t 12 -> 103) (t 18 -> 140)  last entry below the time: nothing up to its offset reaches it
 *   batches      walk from there to the first whose largest timestamp reaches it
 *   records      the first in it that does
 *
 * Timestamps need not grow in a log: only "first record with timestamp >= t" is asked for, and
 * largest-so-far grows. The two entries that a search begins at are held against the batches (index_check.c); where they are
 * wrong, the index is made anew.
 */
#include "log/log_int.h"

/* The entry of which the time index knows that nothing up to its offset reaches `time_ms`; false: none. Under `lock`. */
static bool times_floor(const struct log_segment *seg, int64_t time_ms, struct time_entry *out)
{
    size_t low = 0, high = seg->loaded ? seg->times.len : 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (seg->times.at[mid].timestamp_ms < time_ms)
            low = mid + 1;
        else
            high = mid;
    }
    if (low != 0)
        *out = seg->times.at[low - 1];
    return low != 0;
}

/* Where to look from; what the index files say of it was held against the batches. */
static bool begin_search(struct log *log, struct log_segment *seg, int64_t time_ms, int64_t *from_offset,
                         struct log_point *from, struct err *err)
{
    int64_t start_offset = log_start_offset(log);
    for (bool again = false;; again = true) {
        struct time_entry entry;
        if (!index_load(log, seg, err))
            return false;
        pthread_mutex_lock(&log->lock);
        bool below = times_floor(seg, time_ms, &entry);
        int64_t entry_offset = below ? seg->base_offset + (int64_t)entry.offset_delta : -1;
        struct log_point before = index_floor(seg, entry_offset);
        *from_offset = MAX(entry_offset + 1, start_offset);
        *from = index_floor(seg, *from_offset);
        uint64_t end_pos = seg->end_pos; /* of all that the index speaks of, whatever may be seen */
        pthread_mutex_unlock(&log->lock);
        bool sure = (!below || time_entry_is_true(log, seg, &before, end_pos, &entry)) &&
                    point_is_true(log, seg, from, end_pos);
        if (sure || again) /* made anew, it is as right as the batches */
            return true;
        index_distrust(log, seg);
    }
}

/* The first record of the batch that reaches the time, at or after the log start. */
static bool find_record(const struct batch *batch, int64_t time_ms, int64_t start_offset,
                        struct log_time_hit *out, struct err *err)
{
    struct batch_iter it;
    struct record rec;
    struct buf plain = {0};
    bool ok = batch_iter_init(&it, batch, &plain, err);
    while (ok && batch_iter_next(&it, &rec))
        if (rec.timestamp_ms >= time_ms && rec.offset >= start_offset) {
            *out = (struct log_time_hit){rec.offset, rec.timestamp_ms, batch->leader_epoch};
            break;
        }
    ok = ok && (out->offset >= 0 || batch_iter_ok(&it, err));
    buf_fini(&plain);
    return ok;
}

/* Looks through one segment; found: out->offset >= 0. */
static bool find_in_segment(struct log *log, struct log_segment *seg, uint64_t limit, int64_t time_ms,
                            struct log_time_hit *out, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    struct log_point from;
    int64_t from_offset, start_offset = log_start_offset(log);
    if (!begin_search(log, seg, time_ms, &from_offset, &from, err) ||
        !scan_open(&scan, log, seg, MIN(from.pos, limit), limit, true, err))
        return false;
    while (out->offset < 0 && why.code == ERR_NONE && scan_next(&scan, &batch, &why)) {
        if (batch.max_timestamp_ms < time_ms || batch_last_offset(&batch) < from_offset)
            continue;
        if (!scan_check_crc(&scan, &batch, &why) || !find_record(&batch, time_ms, start_offset, out, &why))
            break;
    }
    scan_close(&scan);
    if (why.code == ERR_NONE)
        return true;
    if (err != NULL)
        *err = why;
    return false;
}

/* A walk over the segments, by offset: retention and compaction change the list meanwhile, but what begins at an offset
 * is found by it. */
struct walk {
    struct log_segment *seg; /* reference; the walk's */
    uint64_t limit;          /* bytes of it that may be seen */
    int64_t next_offset; /* where the segment behind it began when this one was taken; -1: there was none */
};

static bool walk_take(struct log *log, int64_t offset, enum log_isolation isolation, struct walk *walk)
{
    pthread_mutex_lock(&log->lock);
    struct log_point point = isolation == LOG_READ_COMMITTED                                 ? txns_lso(log)
                             : isolation == LOG_APPENDED || log->config.durability == LOG_OS ? log->end
                                                                                             : log->durable;
    size_t i = (size_t)MAX(segs_find(log, offset), 0);
    walk->seg = segment_ref(log->segs.at[i]);
    walk->limit = segment_limit(walk->seg, &point);
    walk->next_offset = i + 1 < log->segs.len ? log->segs.at[i + 1]->base_offset : -1;
    pthread_mutex_unlock(&log->lock);
    return true;
}

static bool walk_first(struct log *log, enum log_isolation isolation, struct walk *walk)
{
    return walk_take(log, log_start_offset(log), isolation, walk);
}

/* False behind the last segment; the walk holds nothing then. */
static bool walk_next(struct log *log, enum log_isolation isolation, struct walk *walk)
{
    segment_unref(walk->seg);
    walk->seg = NULL;
    return walk->next_offset >= 0 && walk_take(log, walk->next_offset, isolation, walk);
}

static void walk_end(struct walk *walk)
{
    if (walk->seg != NULL)
        segment_unref(walk->seg);
}

static bool find_time(struct log *log, int64_t time_ms, enum log_isolation isolation,
                      struct log_time_hit *out, struct err *err)
{
    bool ok = true;
    struct walk walk;
    for (bool more = walk_first(log, isolation, &walk); ok && out->offset < 0 && more;) {
        int64_t max_ms;
        ok = segment_max_time(log, walk.seg, &max_ms, err);
        if (ok && walk.limit != 0 && max_ms >= time_ms)
            ok = find_in_segment(log, walk.seg, walk.limit, time_ms, out, err);
        if (ok && out->offset < 0)
            more = walk_next(log, isolation, &walk);
    }
    walk_end(&walk);
    return ok;
}

/* Largest timestamp of all segments; -1: none. */
static bool max_timestamp(struct log *log, int64_t *out, struct err *err)
{
    bool ok = true;
    struct walk walk;
    *out = -1;
    for (bool more = walk_first(log, LOG_APPENDED, &walk); ok && more;) {
        int64_t max_ms;
        ok = segment_max_time(log, walk.seg, &max_ms, err);
        if (ok && walk.limit != 0)
            *out = MAX(*out, max_ms);
        if (ok)
            more = walk_next(log, LOG_APPENDED, &walk);
    }
    walk_end(&walk);
    return ok;
}

/* Largest timestamp of the batches with records in the part of a segment that may be seen. */
static bool walk_max(struct log *log, const struct walk *walk, int64_t *best, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    if (!scan_open(&scan, log, walk->seg, 0, walk->limit, false, err))
        return false;
    while (scan_next(&scan, &batch, &why))
        if (batch.record_count != 0)
            *best = MAX(*best, batch.max_timestamp_ms);
    scan_close(&scan);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

/* The largest timestamp may lie behind the limit (not durable, not decided): then the largest one before it
 * is asked for, and every batch up to the limit is looked at. */
static bool find_max(struct log *log, enum log_isolation isolation, struct log_time_hit *out, struct err *err)
{
    int64_t largest;
    if (!max_timestamp(log, &largest, err))
        return false;
    if (largest < 0 || !find_time(log, largest, isolation, out, err) || out->offset >= 0)
        return largest < 0 || out->offset >= 0;
    bool ok = true;
    int64_t best = -1;
    struct walk walk;
    for (bool more = walk_first(log, isolation, &walk); ok && more;) {
        ok = walk_max(log, &walk, &best, err);
        if (ok)
            more = walk_next(log, isolation, &walk);
    }
    walk_end(&walk);
    return ok && (best < 0 || find_time(log, best, isolation, out, err));
}

bool log_offset_for_time(struct log *log, int64_t time_ms, enum log_isolation isolation,
                         struct log_time_hit *out, struct err *err)
{
    *out = (struct log_time_hit){-1, -1, log_leader_epoch(log)};
    if (!log_check_readable(log, err))
        return false;
    switch (time_ms) {
    case LOG_TIME_EARLIEST:
        out->offset = log_start_offset(log);
        return true;
    case LOG_TIME_LATEST:
        out->offset = isolation == LOG_READ_COMMITTED ? log_lso(log)
                      : isolation == LOG_APPENDED     ? log_end_offset(log)
                                                      : log_high_watermark(log);
        return true;
    case LOG_TIME_MAX:
        return find_max(log, isolation, out, err);
    default:
        if (time_ms < 0)
            return err_set(err, ERR_UNSUPPORTED_VERSION, "time %lld has no meaning here", (long long)time_ms);
        return find_time(log, time_ms, isolation, out, err);
    }
}
