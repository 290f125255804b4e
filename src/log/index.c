/* index.c - the sparse indexes of a segment: offset to position, time to offset.
 *
 *   memory   e e e e e e e e e e e      all entries, once loaded
 *   file     e e e e e e e              the first *_saved of them: written and synced by checkpoints only
 *
 * (X1) Entries grow strictly; a position in the index lies before the segment's end. What a file holds
 *      beyond that is cut.
 * (X2) A missing or short index only costs time: searches walk headers from the last entry before their
 *      target. When a file is missing or far too short, loading makes it anew by one walk over the headers.
 * (X3) Entries in memory are added by the appending thread only once the index is loaded, so a loader never
 *      misses any.
 * (X4) The files have no checksum, and Kafka's format; but an offset index names a batch by its first offset, where Kafka takes
 *      the last, which a look-up does not notice. What they say is held against the batches when it is used
 *      (index_check.c, aborted.c, read.c), and all of it by the scrub. What does not fit is made anew.
 * An index is loaded at first use and dropped again by log_retain when nobody used the segment (2 MiB per
 * full GiB of log).
 */
#include "log/log_int.h"

#include <errno.h>

/* More log than this behind the last entry: the index is taken as short. */
enum { INDEX_GAP_BYTES_MAX = 4 << 20 };

static void note_time(struct log_segment *seg)
{
    int64_t last = seg->times.len != 0 ? vec_last(&seg->times).timestamp_ms : -1;
    if (seg->max_timestamp_ms <= last || seg->max_timestamp_offset < seg->base_offset)
        return;
    vec_push(&seg->times, (struct time_entry){seg->max_timestamp_ms,
                                              (uint32_t)(seg->max_timestamp_offset - seg->base_offset)});
}

static void note_batch_time(struct log_segment *seg, const struct batch *batch)
{
    if (batch->record_count == 0) /* compaction has left the frame alone: nothing in it has a time */
        return;
    if (seg->first_timestamp_ms < 0)
        seg->first_timestamp_ms = batch->max_timestamp_ms;
    if (batch->max_timestamp_ms > seg->max_timestamp_ms) {
        seg->max_timestamp_ms = batch->max_timestamp_ms;
        seg->max_timestamp_offset = batch_last_offset(batch);
    }
}

static void note_place(struct log_segment *seg, uint32_t interval_bytes, uint64_t pos,
                       const struct batch *batch)
{
    if (pos - seg->indexed_pos < interval_bytes)
        return;
    vec_push(&seg->index,
             (struct index_entry){(uint32_t)(batch->base_offset - seg->base_offset), (uint32_t)pos});
    seg->indexed_pos = pos;
    note_time(seg);
}

void index_note(struct log_segment *seg, uint32_t interval_bytes, uint64_t pos, const struct batch *batch)
{
    if (seg->loaded)
        note_place(seg, interval_bytes, pos, batch);
    note_batch_time(seg, batch);
}

void index_finish(struct log_segment *seg)
{
    if (seg->loaded)
        note_time(seg);
    else
        seg->unfinished = true;
}

bool index_file_read(struct log *log, const struct log_segment *seg, const char *suffix, struct buf *out,
                     bool *missing, struct err *err)
{
    char path[LOG_PATH_BYTES];
    struct err why;
    log_path(log, seg->base_offset, suffix, path);
    *missing = false;
    if (io_read_file(log->io, path, SIZE_MAX / 8, out, &why))
        return true;
    if (why.code == ERR_NOT_FOUND) {
        *missing = true;
        return true;
    }
    if (err != NULL)
        *err = why;
    return false;
}

/* Entries of both files up to the first that breaks X1 or exceeds what the checkpoint knows to be saved. */
static void decode_index(struct str bytes, uint32_t count_max, struct log_segment *seg)
{
    for (size_t i = 0; i < bytes.len / LOG_INDEX_ENTRY_BYTES && i < count_max; i++) {
        const char *at = bytes.ptr + i * LOG_INDEX_ENTRY_BYTES;
        struct index_entry entry = {load_be32(at), load_be32(at + 4)};
        bool grows = seg->index.len == 0 || (entry.offset_delta > vec_last(&seg->index).offset_delta &&
                                             entry.pos > vec_last(&seg->index).pos);
        if (!grows || entry.pos >= seg->end_pos || entry.pos == 0)
            break;
        vec_push(&seg->index, entry);
    }
}

static void decode_times(struct str bytes, uint32_t count_max, struct log_segment *seg)
{
    for (size_t i = 0; i < bytes.len / LOG_TIME_ENTRY_BYTES && i < count_max; i++) {
        const char *at = bytes.ptr + i * LOG_TIME_ENTRY_BYTES;
        struct time_entry entry = {(int64_t)load_be64(at), load_be32(at + 8)};
        bool grows = seg->times.len == 0 || (entry.timestamp_ms > vec_last(&seg->times).timestamp_ms &&
                                             entry.offset_delta > vec_last(&seg->times).offset_delta);
        if (!grows)
            break;
        vec_push(&seg->times, entry);
    }
}

/* Forgets all entries. */
static void index_clear(struct log_segment *seg)
{
    vec_clear(&seg->index);
    vec_clear(&seg->times);
    seg->index_saved = seg->times_saved = 0;
    seg->indexed_pos = 0;
    seg->first_timestamp_ms = seg->max_timestamp_ms = seg->max_timestamp_offset = -1;
    seg->stale = true;
}

/* Adds the entries that the files lack by a walk over the headers behind the last one. False: what is there is no batch, or not
 * the one that the entry speaks of. */
static bool index_walk(struct log *log, struct log_segment *into, struct log_segment *seg, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    uint32_t interval_bytes = log_get_config(log).index_interval_bytes;
    uint64_t from = into->indexed_pos;
    if (into->times.len != 0) {
        into->max_timestamp_ms = vec_last(&into->times).timestamp_ms;
        into->max_timestamp_offset = into->base_offset + vec_last(&into->times).offset_delta;
    }
    if (!scan_open(&scan, log, seg, from, into->end_pos, false, err))
        return false;
    while (scan_next(&scan, &batch, &why)) {
        if (from != 0 && scan.batch_pos == from &&
            batch.base_offset != into->base_offset + vec_last(&into->index).offset_delta) {
            err_set(&why, ERR_CORRUPT, "the batch at position %llu is not that of the index",
                    (unsigned long long)from);
            break;
        }
        note_place(into, interval_bytes, scan.batch_pos, &batch);
        note_batch_time(into, &batch);
    }
    scan_close(&scan);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

/* Makes the index whole: from its last entry on or, where that leads astray, from the beginning. */
static bool index_rebuild(struct log *log, struct log_segment *into, struct log_segment *seg, struct err *err)
{
    struct err why = {0};
    size_t before = into->index.len;
    bool ok = into->indexed_pos != 0 && index_walk(log, into, seg, &why);
    if (!ok) {
        index_clear(into);
        why = (struct err){0};
        ok = index_walk(log, into, seg, &why);
        before = 0;
    }
    if (!ok && why.code == ERR_IO) {
        if (err != NULL)
            *err = why;
        return false;
    }
    if (!ok) {
        log_warn("log", "index_short", "log=%s segment=%lld cause=%s", log->name, (long long)seg->base_offset,
                 why.text);
        return true; /* searches walk from the last good entry and meet the damage themselves */
    }
    note_time(into);
    if (into->index.len != before)
        log_info("log", "index_rebuilt", "log=%s segment=%lld entries=%zu", log->name,
                 (long long)seg->base_offset, into->index.len);
    return true;
}

static bool counts_fit(const struct log_segment *expect, const struct log_segment *fresh)
{
    return fresh->index.len == expect->index_saved && fresh->times.len == expect->times_saved;
}

/* True when the files hold all that they should. */
static bool index_is_whole(struct log *log, const struct log_segment *expect, const struct log_segment *fresh,
                           bool files_missing)
{
    if (fresh->end_pos - fresh->indexed_pos > INDEX_GAP_BYTES_MAX)
        return false;
    if (expect->counts_known)
        return counts_fit(expect, fresh);
    return !files_missing &&
           (fresh->index.len != 0 || fresh->end_pos <= log_get_config(log).index_interval_bytes);
}

/* Fills `fresh`, which holds what is expected of the files, from them. */
static bool index_read(struct log *log, struct log_segment *seg, struct log_segment *fresh, struct err *err)
{
    struct buf index = {0}, times = {0};
    struct log_segment expect = *fresh;
    bool no_index, no_times;
    bool ok = index_file_read(log, seg, "index", &index, &no_index, err) &&
              index_file_read(log, seg, "timeindex", &times, &no_times, err);
    if (ok) {
        decode_index(buf_str(&index), expect.counts_known ? expect.index_saved : UINT32_MAX, fresh);
        decode_times(buf_str(&times), expect.counts_known ? expect.times_saved : UINT32_MAX, fresh);
        fresh->index_saved = (uint32_t)fresh->index.len;
        fresh->times_saved = (uint32_t)fresh->times.len;
        fresh->indexed_pos = fresh->index.len != 0 ? vec_last(&fresh->index).pos : 0;
        fresh->stale = index.len != fresh->index.len * LOG_INDEX_ENTRY_BYTES ||
                       times.len != fresh->times.len * LOG_TIME_ENTRY_BYTES;
        bool ended = !expect.counts_known || expect.unfinished; /* its last entry of time may be missing */
        bool whole = index_is_whole(log, &expect, fresh, fresh->end_pos != 0 && (no_index || no_times));
        bool sure = expect.counts_known ? counts_fit(&expect, fresh)
                                        : !fresh->stale && times_are_true(log, seg, fresh);
        if (!sure)
            index_clear(fresh);
        if (!sure || !whole || ended)
            ok = index_rebuild(log, fresh, seg, err);
    }
    buf_fini(&index);
    buf_fini(&times);
    return ok;
}

/* Moves what was read into the segment. Under `lock`. */
static void index_adopt(struct log_segment *seg, struct log_segment *fresh)
{
    size_t size = sizeof seg->index;
    memcpy(&seg->index, &fresh->index, size);
    memcpy(&seg->times, &fresh->times, sizeof seg->times);
    memset(&fresh->index, 0, size);
    memset(&fresh->times, 0, sizeof fresh->times);
    seg->index_saved = fresh->index_saved;
    seg->times_saved = fresh->times_saved;
    seg->indexed_pos = fresh->indexed_pos;
    seg->stale |= fresh->stale;
    seg->loaded = seg->counts_known = true;
    seg->unfinished = false;
    if (!seg->times_known) {
        seg->first_timestamp_ms = fresh->first_timestamp_ms;
        seg->max_timestamp_ms = seg->times.len != 0 ? vec_last(&seg->times).timestamp_ms : -1;
        seg->max_timestamp_offset =
            seg->times.len != 0 ? seg->base_offset + (int64_t)vec_last(&seg->times).offset_delta : -1;
        seg->times_known = true;
    }
}

static bool index_is_loaded(struct log *log, const struct log_segment *seg)
{
    pthread_mutex_lock(&log->lock);
    bool loaded = seg->loaded;
    pthread_mutex_unlock(&log->lock);
    return loaded;
}

bool index_load(struct log *log, struct log_segment *seg, struct err *err)
{
    if (index_is_loaded(log, seg))
        return true;
    pthread_mutex_lock(&log->load_lock);
    pthread_mutex_lock(&log->lock);
    bool loaded = seg->loaded, anew = seg->replaced || seg->distrusted;
    struct log_segment *fresh = segment_new(log, seg->base_offset);
    fresh->end_pos = seg->end_pos;
    fresh->index_saved = seg->index_saved;
    fresh->times_saved = seg->times_saved;
    fresh->counts_known = seg->counts_known;
    fresh->unfinished = seg->unfinished;
    pthread_mutex_unlock(&log->lock);
    /* The files of a replaced segment are another's by now; its own bytes are still open. */
    bool ok = loaded || (anew ? index_rebuild(log, fresh, seg, err) : index_read(log, seg, fresh, err));
    if (ok && !loaded) {
        pthread_mutex_lock(&log->lock);
        index_adopt(seg, fresh);
        pthread_mutex_unlock(&log->lock);
    }
    segment_unref(fresh);
    pthread_mutex_unlock(&log->load_lock);
    return ok;
}

struct log_point index_floor(const struct log_segment *seg, int64_t offset)
{
    size_t low = 0, high = seg->loaded ? seg->index.len : 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (seg->base_offset + seg->index.at[mid].offset_delta <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return (struct log_point){seg->base_offset, seg->base_offset, 0};
    const struct index_entry *entry = &seg->index.at[low - 1];
    return (struct log_point){seg->base_offset + entry->offset_delta, seg->base_offset, entry->pos};
}

struct log_point index_before(const struct log_segment *seg, uint64_t pos)
{
    size_t i = seg->loaded ? seg->index.len : 0;
    while (i > 0 && seg->index.at[i - 1].pos >= pos)
        i--;
    if (i == 0)
        return (struct log_point){seg->base_offset, seg->base_offset, 0};
    const struct index_entry *entry = &seg->index.at[i - 1];
    return (struct log_point){seg->base_offset + entry->offset_delta, seg->base_offset, entry->pos};
}

bool index_behind(const struct log_segment *seg, uint64_t pos, struct log_point *out)
{
    size_t i = seg->loaded ? seg->index.len : 0;
    while (i > 0 && seg->index.at[i - 1].pos > pos)
        i--;
    if (!seg->loaded || i == seg->index.len)
        return false;
    const struct index_entry *entry = &seg->index.at[i];
    *out = (struct log_point){seg->base_offset + entry->offset_delta, seg->base_offset, entry->pos};
    return true;
}

void index_distrust(struct log *log, struct log_segment *seg)
{
    pthread_mutex_lock(&log->lock);
    bool first = !seg->distrusted;
    vec_fini(&seg->index);
    vec_fini(&seg->times);
    seg->index_saved = seg->times_saved = 0;
    seg->indexed_pos = 0;
    seg->loaded = false;
    seg->counts_known = seg->stale = seg->distrusted = true;
    pthread_mutex_unlock(&log->lock);
    if (first)
        log_warn("log", "index_damaged", "log=%s segment=%lld", log->name, (long long)seg->base_offset);
}

/* Writes `bytes` behind the saved entries of an index file and syncs it. */
static bool file_save(struct log *log, struct log_segment *seg, const char *suffix, uint64_t pos, bool stale,
                      struct str bytes, struct err *err)
{
    if (bytes.len == 0 && !stale)
        return true;
    char path[LOG_PATH_BYTES];
    log_path(log, seg->base_offset, suffix, path);
    int fd = io_open(log->io, path, bytes.len != 0 ? IO_WRITE | IO_CREATE : IO_WRITE);
    if (fd == -ENOENT && bytes.len == 0)
        return true;
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be opened", path);
    struct iovec part = {(void *)bytes.ptr, bytes.len};
    int rc = stale ? io_truncate(log->io, fd, pos) : 0;
    bool ok = rc < 0 ? err_set_errno(err, -rc, "%s: cannot be cut", path)
                     : io_write_all(log->io, fd, &part, 1, pos, path, err);
    if (ok && (rc = io_fdatasync(log->io, fd)) < 0)
        ok = err_set_errno(err, -rc, "%s: sync failed", path);
    io_close(log->io, fd);
    return ok;
}

/* Unsaved entries of the three indexes in the form of the files. */
static void encode_unsaved(const struct log_segment *seg, struct buf *index, struct buf *times,
                           struct buf *aborted)
{
    for (size_t i = seg->index_saved; seg->loaded && i < seg->index.len; i++) {
        char *at = buf_extend(index, LOG_INDEX_ENTRY_BYTES);
        store_be32(at, seg->index.at[i].offset_delta);
        store_be32(at + 4, seg->index.at[i].pos);
    }
    for (size_t i = seg->times_saved; seg->loaded && i < seg->times.len; i++) {
        char *at = buf_extend(times, LOG_TIME_ENTRY_BYTES);
        store_be64(at, (uint64_t)seg->times.at[i].timestamp_ms);
        store_be32(at + 8, seg->times.at[i].offset_delta);
    }
    if (seg->aborted.len > seg->aborted_saved)
        aborted_encode(seg->aborted.at + seg->aborted_saved, seg->aborted.len - seg->aborted_saved, aborted);
}

bool index_save(struct log *log, struct log_segment *seg, struct err *err)
{
    struct buf index = {0}, times = {0}, aborted = {0};
    pthread_mutex_lock(&log->lock);
    uint32_t index_saved = seg->index_saved, times_saved = seg->times_saved,
             aborted_saved = seg->aborted_saved;
    bool stale = seg->stale && seg->counts_known;
    encode_unsaved(seg, &index, &times, &aborted);
    pthread_mutex_unlock(&log->lock);
    bool ok = file_save(log, seg, "index", (uint64_t)index_saved * LOG_INDEX_ENTRY_BYTES, stale,
                        buf_str(&index), err) &&
              file_save(log, seg, "timeindex", (uint64_t)times_saved * LOG_TIME_ENTRY_BYTES, stale,
                        buf_str(&times), err) &&
              file_save(log, seg, "txnindex", (uint64_t)aborted_saved * LOG_ABORTED_ENTRY_BYTES, stale,
                        buf_str(&aborted), err);
    pthread_mutex_lock(&log->lock);
    if (ok) {
        seg->index_saved = index_saved + (uint32_t)(index.len / LOG_INDEX_ENTRY_BYTES);
        seg->times_saved = times_saved + (uint32_t)(times.len / LOG_TIME_ENTRY_BYTES);
        seg->aborted_saved = aborted_saved + (uint32_t)(aborted.len / LOG_ABORTED_ENTRY_BYTES);
        if (aborted_saved == 0 && aborted.len != 0)
            log->dir_dirty =
                true; /* a new name: a start that misses the file has no abort to tell readers of */
        if (stale)
            seg->stale = false;
    } else {
        seg->stale = true; /* part of it may be there */
    }
    pthread_mutex_unlock(&log->lock);
    buf_fini(&index);
    buf_fini(&times);
    buf_fini(&aborted);
    return ok;
}
