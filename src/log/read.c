/* read.c - finds the bytes to send for an offset; nothing is copied unless asked.
 *
 *   log_read(offset)
 *     lock: segment by base offset, limit by isolation, floor of the index, reference
 *     walk batch headers from the floor to the batch that contains the offset      usually one read of 8 KiB
 *     slice = [that batch's position, + bytes_max, at most the limit)
 *     when bytes_max ends it: back to the end of its last whole batch              one more
 *     slice_verify (verify.c): nothing damaged in it
 *
 * (D1) A slice never passes the limit that was in force at the read: what lies below never changes any
 *      more.
 * (D2) A slice is whole batches. The first one is in it even when it is larger than bytes_max. Readers would drop a cut one
 *      at the end, and ask for it again: with batches of producers that fill them that is a fifth of all bytes.
 * (D3) An offset in a gap (compaction) gives the next batch.
 * The walk goes by what the index says and knows better: the batch at an entry has the entry's offset. Where it has not, the
 * index is made anew.
 */
#include "log/log_int.h"

/* What a read may see, taken under `lock` at once. */
struct view {
    struct log_point limit;
    struct log_segment *seg; /* reference, or NULL: nothing at or after the offset yet */
    uint64_t seg_limit;      /* bytes of it that may be seen */
    int64_t next_base;       /* where the segment behind it begins, -1: it is the active one */
    int64_t offset_limit;    /* where the offsets of the segment end */
    struct log_point floor;
    uint32_t interval_bytes, incarnation;
    bool loaded, loose;
    int fd;
};

static struct log_point limit_of(const struct log *log, enum log_isolation isolation)
{
    switch (isolation) {
    case LOG_READ_COMMITTED:
        return txns_lso(log);
    case LOG_APPENDED:
        return log->end;
    case LOG_UP_TO_HW:
        break;
    }
    return log->config.durability == LOG_FSYNC ? log->durable : log->end;
}

/* The offsets that go with the limit: what is given out never lies above the high watermark that is told with it. Under
 * `lock`. */
static void note_offsets(const struct log *log, struct log_slice *out)
{
    out->start = log_start_offset(log);
    out->end = log_end_offset(log);
    out->hw = log_high_watermark(log);
    out->lso = MAX(txns_lso(log).offset, out->start);
}

/* The first segment from `offset` on that has bytes to see. */
static bool view_take(struct log *log, int64_t offset, enum log_isolation isolation, struct view *view,
                      struct log_slice *out, struct err *err)
{
    bool ok = true;
    pthread_mutex_lock(&log->lock);
    *view = (struct view){.limit = limit_of(log, isolation), .fd = -1};
    note_offsets(log, out);
    ptrdiff_t first = segs_find(log, offset);
    for (size_t i = first < 0 ? 0 : (size_t)first; i < log->segs.len && offset < view->limit.offset; i++) {
        struct log_segment *seg = log->segs.at[i];
        uint64_t seg_limit = segment_limit(seg, &view->limit);
        bool last_below = i + 1 < log->segs.len && log->segs.at[i + 1]->base_offset <= offset;
        if (seg_limit == 0 || last_below)
            continue;
        view->seg_limit = seg_limit;
        view->next_base = i + 1 < log->segs.len ? log->segs.at[i + 1]->base_offset : -1;
        view->offset_limit = view->next_base >= 0 ? view->next_base : log->end.offset;
        view->floor = index_floor(seg, offset);
        view->loaded = seg->loaded;
        view->loose = log->loose;
        view->incarnation = atomic_load(&log->incarnation);
        view->interval_bytes = log->config.index_interval_bytes;
        ok = segment_open(log, seg, false, &view->fd, err);
        if (ok)
            view->seg = segment_ref(seg);
        break;
    }
    pthread_mutex_unlock(&log->lock);
    return ok;
}

/* Loads the index when this is the segment's first search, and looks again. */
static bool view_load_index(struct log *log, int64_t offset, struct view *view, struct err *err)
{
    if (view->loaded || view->seg_limit <= view->interval_bytes)
        return true;
    if (!index_load(log, view->seg, err))
        return false;
    pthread_mutex_lock(&log->lock);
    view->floor = index_floor(view->seg, offset);
    pthread_mutex_unlock(&log->lock);
    return true;
}

/* The batch at an index entry has the entry's offset; the first one of a segment may begin behind a gap. */
static struct expect expect_at(const struct view *view, const struct log_point *at)
{
    return (struct expect){at->offset, view->offset_limit, !view->loose || at->pos != 0, view->loose};
}

/* Walks to the first batch whose last offset is not below `offset`; *found false: the segment has none. False: the batch at
 * *pos cannot be what was written there. */
static bool walk_to_batch(struct log *log, int64_t offset, const struct view *view, uint64_t *pos,
                          size_t *size, int64_t *base_offset, bool *found, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    struct expect expect = expect_at(view, &view->floor);
    *found = false;
    *pos = MIN(view->floor.pos, view->seg_limit);
    if (!scan_open(&scan, log, view->seg, *pos, view->seg_limit, false, err))
        return false;
    while (!*found && scan_next(&scan, &batch, &why) && batch_continues(&batch, &expect, &why)) {
        *found = batch_last_offset(&batch) >= offset;
        *pos = *found ? scan.batch_pos : scan.pos;
        *size = (size_t)(scan.pos - scan.batch_pos);
        *base_offset = batch.base_offset;
        expect_next(&expect, &batch);
    }
    scan_close(&scan);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

static bool is_damage(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_UNSUPPORTED_FORMAT || err->code == ERR_INVALID_RECORD;
}

/* Batch and index entry contradict each other at view->floor. A walk from an entry before says which of them is wrong: it
 * comes to the place with the offset that the entry tells, or it does not. */
static bool entry_holds(struct log *log, const struct view *view)
{
    enum { STEPS_MAX = 8 };
    const struct log_point *entry = &view->floor;
    struct log_point from = *entry;
    for (int step = 0; step < STEPS_MAX && from.pos != 0; step++) {
        struct scan scan;
        struct batch batch;
        pthread_mutex_lock(&log->lock);
        from = index_before(view->seg, from.pos);
        pthread_mutex_unlock(&log->lock);
        struct expect expect = expect_at(view, &from);
        bool good = scan_open(&scan, log, view->seg, from.pos, view->seg_limit, false, NULL);
        while (good && scan.pos < entry->pos) {
            good = scan_next(&scan, &batch, NULL) && batch_continues(&batch, &expect, NULL);
            if (good)
                expect_next(&expect, &batch);
        }
        scan_close(&scan);
        if (good)
            return scan.pos == entry->pos &&
                   (view->loose ? expect.offset <= entry->offset : expect.offset == entry->offset);
    }
    return true;
}

/* The same with an index that can be trusted; damage is told. False without *err when the segment has no such batch. */
static bool find_batch(struct log *log, int64_t offset, struct view *view, uint64_t *pos, size_t *size,
                       int64_t *base_offset, struct err *err)
{
    bool found;
    if (walk_to_batch(log, offset, view, pos, size, base_offset, &found, err))
        return found;
    if (is_damage(err) && view->floor.pos != 0 && *pos == view->floor.pos && !entry_holds(log, view)) {
        *err = (struct err){0};
        view->loaded = false;
        index_distrust(log, view->seg);
        if (!view_load_index(log, offset, view, err))
            return false;
        if (walk_to_batch(log, offset, view, pos, size, base_offset, &found, err))
            return found;
    }
    if (is_damage(err))
        err->code = ERR_CORRUPT;
    if (atomic_load(&log->incarnation) == view->incarnation) /* else the bytes were dropped meanwhile */
        damage_tell(log, view->seg, *pos, err);
    return false;
}

/* Where the last batch ends that ends at or before `end`; `first_end` (of the first batch, which is in any case) when none
 * does. What cannot be read here is cut off: the read that begins there tells. */
static uint64_t whole_end(struct log *log, const struct view *view, uint64_t first_end, uint64_t end)
{
    struct scan scan;
    struct batch batch;
    pthread_mutex_lock(&log->lock);
    uint64_t at = MAX(index_before(view->seg, end + 1).pos, first_end);
    pthread_mutex_unlock(&log->lock);
    if (at >= end || !scan_open(&scan, log, view->seg, at, view->seg_limit, false, NULL))
        return MIN(at, end);
    while (scan.pos < end && scan_next(&scan, &batch, NULL) && scan.pos <= end)
        at = scan.pos;
    scan_close(&scan);
    return at;
}

static bool offset_in_range(const struct log *log, int64_t offset, const struct log_slice *out,
                            struct err *err)
{
    if (offset >= out->start && offset <= out->end)
        return true;
    return err_set(err, ERR_OFFSET_OUT_OF_RANGE, "offset %lld is outside log %s, which has %lld to %lld",
                   (long long)offset, log->name, (long long)out->start, (long long)out->end);
}

bool log_read(struct log *log, int64_t offset, size_t bytes_max, enum log_isolation isolation,
              struct log_slice *out, struct err *err)
{
    struct view view;
    struct err why = {0};
    *out = (struct log_slice){.fd = -1};
    if (!log_check_readable(log, err))
        return false;
    for (int64_t at = offset;;) {
        if (!view_take(log, at, isolation, &view, out, &why))
            break;
        /* As things were when the segment was taken: retention goes on. */
        if (!offset_in_range(log, offset, out, err)) {
            if (view.seg != NULL)
                segment_unref(view.seg);
            return false;
        }
        if (view.seg == NULL)
            return true;
        size_t size;
        if (view_load_index(log, at, &view, &why) &&
            find_batch(log, at, &view, &out->pos, &size, &out->base_offset, &why)) {
            uint64_t end = out->pos + MAX(size, bytes_max);
            end = end < view.seg_limit ? whole_end(log, &view, out->pos + size, end) : view.seg_limit;
            out->len = (size_t)(end - out->pos);
            if (slice_verify(log, view.seg, view.seg_limit, view.offset_limit, view.loose, out, &why)) {
                out->seg = view.seg;
                out->fd = view.fd;
                return true;
            }
            out->len = 0;
        }
        /* A segment whose last batches are gone (compaction): what was behind it at that moment continues. */
        segment_unref(view.seg);
        if (why.code != ERR_NONE || view.next_base <= at)
            break;
        at = view.next_base;
    }
    if (why.code == ERR_NONE)
        return true;
    if (err != NULL)
        *err = why;
    err_context(err, "log %s, offset %lld", log->name, (long long)offset);
    return false;
}

uint64_t log_readable_bytes(struct log *log, int64_t offset, enum log_isolation isolation)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&log->lock);
    struct log_point limit = limit_of(log, isolation);
    ptrdiff_t first = segs_find(log, offset);
    for (size_t i = first < 0 ? 0 : (size_t)first; i < log->segs.len && offset < limit.offset; i++) {
        const struct log_segment *seg = log->segs.at[i];
        uint64_t seg_limit = segment_limit(seg, &limit);
        int64_t seg_end = seg->base_offset == limit.seg_base ? limit.offset
                          : i + 1 < log->segs.len            ? log->segs.at[i + 1]->base_offset
                                                             : limit.offset;
        if (offset <= seg->base_offset)
            bytes += seg_limit;
        else if (offset < seg_end) /* taken as spread evenly over the offsets of the segment */
            bytes += (uint64_t)((double)seg_limit * (double)(seg_end - offset) /
                                (double)(seg_end - seg->base_offset));
    }
    bool some = offset < limit.offset;
    pthread_mutex_unlock(&log->lock);
    return some ? MAX(bytes, 1) : 0;
}

bool log_slice_read(struct log *log, const struct log_slice *slice, struct buf *out, struct err *err)
{
    if (slice->len == 0)
        return true;
    size_t before = out->len;
    char path[LOG_PATH_BYTES];
    log_path(log, slice->seg->base_offset, "log", path);
    if (io_read_all(log->io, slice->fd, buf_extend(out, slice->len), slice->len, slice->pos, path, err))
        return true;
    out->len = before;
    return false;
}

void log_slice_release(struct log_slice *slice)
{
    if (slice->seg != NULL)
        segment_unref(slice->seg);
    *slice = (struct log_slice){.fd = -1};
}
