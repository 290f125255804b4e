/* index_check.c - what the files of times say, held against the batches before it counts; the largest timestamp of a segment.
 *
 *   .timeindex   ... (t 18 -> 140)                  one claim: the batch of offset 140 has 18, and nothing before it has more
 *   .index       ... (130 -> 4711)
 *   .log         ... | 130 | 135 | 140 | 148 |      the batches from the last entry of .index on speak for what is behind it
 *
 * (K1) A search by time relies on one entry: the one that it begins behind. An entry that was made from the batch that it names
 *      is right, whatever the others say; a wrong one names a batch with another timestamp, or none.
 * (K2) Up to the last entry of .index the times are complete (a time is noted with each); behind it a walk looks, which is an
 *      interval long. So a file that lacks its last entry is found out as well.
 */
#include "log/log_int.h"

/* A walk over batch headers, from one that is known on. */
struct look {
    struct log_point from;
    uint64_t limit;
    const struct time_entry *entry;
    bool seen;          /* the batch that the entry names has its timestamp */
    int64_t largest_ms; /* of all batches that were met */
    bool to_the_end;    /* not only as far as the entry's batch */
};

/* False: what lies at `from` is not what it was said to be, or there is no batch somewhere. */
static bool look_along(struct log *log, struct log_segment *seg, struct look *look)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    int64_t offset = seg->base_offset + look->entry->offset_delta;
    bool first = look->from.pos != 0, done = false;
    look->largest_ms = -1;
    if (!scan_open(&scan, log, seg, look->from.pos, look->limit, false, NULL))
        return false;
    while (!done && scan_next(&scan, &batch, &why)) {
        if (first && batch.base_offset != look->from.offset)
            break;
        first = false;
        if (batch.record_count != 0)
            look->largest_ms = MAX(look->largest_ms, batch.max_timestamp_ms);
        if (batch.base_offset <= offset && offset <= batch_last_offset(&batch))
            look->seen = batch.record_count != 0 && batch.max_timestamp_ms == look->entry->timestamp_ms;
        done = !look->to_the_end && batch_last_offset(&batch) >= offset;
    }
    scan_close(&scan);
    return !first && why.code == ERR_NONE;
}

bool time_entry_is_true(struct log *log, struct log_segment *seg, const struct log_point *from,
                        uint64_t limit, const struct time_entry *entry)
{
    struct look look = {.from = *from, .limit = limit, .entry = entry};
    return look_along(log, seg, &look) && look.seen;
}

bool point_is_true(struct log *log, struct log_segment *seg, const struct log_point *point, uint64_t limit)
{
    struct scan scan;
    struct batch batch;
    if (point->pos == 0 || point->pos >= limit)
        return true;
    bool good = scan_open(&scan, log, seg, point->pos, limit, false, NULL) &&
                scan_next(&scan, &batch, NULL) && batch.base_offset == point->offset;
    scan_close(&scan);
    return good;
}

bool times_are_true(struct log *log, struct log_segment *seg, const struct log_segment *fresh)
{
    if (fresh->times.len == 0)
        return true;
    struct log_segment view = {.base_offset = fresh->base_offset, .loaded = true};
    const struct time_entry *entry = &vec_last(&fresh->times);
    memcpy(&view.index, &fresh->index, sizeof view.index);
    struct log_point from = index_floor(&view, view.base_offset + entry->offset_delta);
    return time_entry_is_true(log, seg, &from, fresh->end_pos, entry);
}

/* The last `size` bytes of an index file; false: it has none, or cannot be read. */
static bool peek_last(struct log *log, const struct log_segment *seg, const char *suffix, char *bytes,
                      size_t size)
{
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    log_path(log, seg->base_offset, suffix, path);
    int fd = io_open(log->io, path, IO_READ);
    if (fd < 0)
        return false;
    uint64_t count = io_fstat(log->io, fd, &st) == 0 ? st.size / size : 0;
    bool ok = count != 0 && io_read_all(log->io, fd, bytes, size, (count - 1) * size, path, NULL);
    io_close(log->io, fd);
    return ok;
}

/* The last entries of a closed segment's files say the largest timestamp without reading the rest, when the end of the segment
 * says the same (K2). */
static bool times_peek(struct log *log, struct log_segment *seg, struct time_entry *out)
{
    char time[LOG_TIME_ENTRY_BYTES], place[LOG_INDEX_ENTRY_BYTES];
    if (!peek_last(log, seg, "timeindex", time, sizeof time) ||
        !peek_last(log, seg, "index", place, sizeof place))
        return false;
    *out = (struct time_entry){(int64_t)load_be64(time), load_be32(time + 8)};
    struct look look = {.from = {.offset = seg->base_offset + load_be32(place), .pos = load_be32(place + 4)},
                        .limit = segment_bytes(log, seg),
                        .entry = out,
                        .to_the_end = true};
    return look.from.pos != 0 && look.from.pos < look.limit && look_along(log, seg, &look) && look.seen &&
           look.largest_ms == out->timestamp_ms;
}

/* Makes the segment's largest timestamp known. */
static bool times_learn(struct log *log, struct log_segment *seg, struct err *err)
{
    struct time_entry entry;
    bool peeked = times_peek(log, seg, &entry);
    pthread_mutex_lock(&log->lock);
    if (peeked && !seg->times_known &&
        !seg->replaced) { /* else it may be another segment's file that was read */
        seg->max_timestamp_ms = entry.timestamp_ms;
        seg->max_timestamp_offset = seg->base_offset + (int64_t)entry.offset_delta;
        seg->times_known = true;
    }
    bool known = seg->times_known;
    pthread_mutex_unlock(&log->lock);
    return known || index_load(log, seg, err);
}

bool segment_max_time(struct log *log, struct log_segment *seg, int64_t *out, struct err *err)
{
    pthread_mutex_lock(&log->lock);
    bool known = seg->times_known || seg->end_pos == 0;
    pthread_mutex_unlock(&log->lock);
    if (!known && !times_learn(log, seg, err))
        return false;
    pthread_mutex_lock(&log->lock);
    *out = seg->max_timestamp_ms;
    pthread_mutex_unlock(&log->lock);
    return true;
}
