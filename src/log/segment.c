/* segment.c - one file of a partition's log.
 *
 *   base offset            next offset
 *      |  batch | batch | batch |       .log         batches as they came over the wire
 *      |  e     |       e       |       .index       every index.interval.bytes: relative offset -> position
 *      |  t     |       t       |       .timeindex   with it: largest timestamp -> relative offset
 *                                       .txnindex    aborted transactions whose marker lies in this segment
 *
 * (S1) Batches are contiguous: each starts where the one before ended. Offsets continue from segment to
 *      segment.
 * (S2) Only the holder of append_lock writes a .log file; readers see bytes below a published position
 *      only.
 * (S3) An index entry is written after its batch: an index may be short, never ahead of the checkpoint.
 *      Recovery makes anew what lies behind it.
 * (S4) A file removed from the list stays open, and so readable, until the last reference goes.
 * Decided against: preallocation. It would save fdatasync the change of the file's size, but every reader,
 * tool and copy of the directory would have to know where the data end. The write-ahead log does it instead (tail.c).
 */
#include "log/log_int.h"

#include <errno.h>
#include <stdio.h>

void log_path(const struct log *log, int64_t base_offset, const char *suffix, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s/%020lld.%s", log->dir, (long long)base_offset, suffix);
}

struct log_segment *segment_new(struct log *log, int64_t base_offset)
{
    struct log_segment *seg = mem_new(struct log_segment);
    atomic_init(&seg->refs, 1);
    seg->io = log->io;
    seg->base_offset = base_offset;
    seg->fd = -1;
    seg->open_files = log->config.open_files;
    io_random(log->io, &seg->jitter, sizeof seg->jitter);
    seg->first_timestamp_ms = seg->max_timestamp_ms = seg->max_timestamp_offset = -1;
    return seg;
}

struct log_segment *segment_ref(struct log_segment *seg)
{
    int before = atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
    ASSERT(before >= 1);
    return seg;
}

void segment_unref(struct log_segment *seg)
{
    int before = atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel);
    ASSERT(before >= 1);
    if (before != 1)
        return;
    segment_close_file(seg);
    vec_fini(&seg->index);
    vec_fini(&seg->times);
    vec_fini(&seg->aborted);
    vec_fini(&seg->known);
    vec_fini(&seg->told);
    free(seg);
}

void segment_take_file(struct log_segment *seg, int fd)
{
    seg->fd = fd;
    if (seg->open_files != NULL)
        atomic_fetch_add_explicit(seg->open_files, 1, memory_order_relaxed);
}

bool segment_open(struct log *log, struct log_segment *seg, bool create, int *out, struct err *err)
{
    seg->used = true;
    if (seg->fd < 0) {
        char path[LOG_PATH_BYTES];
        log_path(log, seg->base_offset, "log", path);
        int fd = io_open(log->io, path, create ? IO_WRITE | IO_CREATE | IO_TRUNCATE : IO_WRITE);
        if (fd == -EROFS || fd == -EACCES)
            fd = create ? fd : io_open(log->io, path, IO_READ); /* what is there stays readable */
        if (fd < 0)
            return err_set_errno(err, -fd, "%s: cannot be opened", path);
        segment_take_file(seg, fd);
    }
    *out = seg->fd;
    return true;
}

void segment_close_file(struct log_segment *seg)
{
    if (seg->fd < 0)
        return;
    io_close(seg->io, seg->fd);
    seg->fd = -1;
    if (seg->open_files != NULL)
        atomic_fetch_sub_explicit(seg->open_files, 1, memory_order_relaxed);
}

static const char *const suffixes[] = {"log", "index", "timeindex", "txnindex"};

bool segment_remove_files(struct log *log, int64_t base_offset)
{
    bool log_gone = true;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char path[LOG_PATH_BYTES];
        log_path(log, base_offset, suffixes[i], path);
        int rc = io_unlink(log->io, path);
        if (rc >= 0 || rc == -ENOENT)
            continue;
        log_warn("log", "file_kept", "log=%s file=%s errno=%d", log->name, path, -rc);
        log_gone &= i != 0;
    }
    return log_gone;
}

bool segment_doom_files(struct log *log, int64_t base_offset)
{
    int64_t delay_ms = log_get_config(log).delete_delay_ms, now_ms = io_now_ms(log->io);
    bool log_gone = true;
    if (delay_ms == 0)
        return segment_remove_files(log, base_offset);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char path[LOG_PATH_BYTES], doomed[LOG_PATH_BYTES + 16];
        log_path(log, base_offset, suffixes[i], path);
        snprintf(doomed, sizeof doomed, "%s" DOOMED_SUFFIX, path);
        int rc = io_rename(log->io, path, doomed);
        if (rc >= 0 || rc == -ENOENT)
            continue;
        log_warn("log", "file_kept", "log=%s file=%s errno=%d", log->name, path, -rc);
        log_gone &= i != 0;
    }
    int64_t due_ms = delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
    vec_push(&log->doomed, (struct doomed){base_offset, due_ms});
    if (log->config.doomed_files != NULL)
        atomic_fetch_add_explicit(log->config.doomed_files, 1, memory_order_relaxed);
    return log_gone;
}

void segment_forget_doomed(struct log *log, size_t i)
{
    vec_remove(&log->doomed, i);
    if (log->config.doomed_files != NULL)
        atomic_fetch_sub_explicit(log->config.doomed_files, 1, memory_order_relaxed);
}

void log_reap(struct log *log, int64_t now_ms)
{
    pthread_mutex_lock(&log->sync_lock);
    for (size_t i = log->doomed.len; i-- > 0;) {
        if (log->doomed.at[i].due_ms > now_ms)
            continue;
        for (size_t k = 0; k < COUNT_OF(suffixes); k++) {
            char path[LOG_PATH_BYTES], doomed[LOG_PATH_BYTES + 16];
            log_path(log, log->doomed.at[i].base_offset, suffixes[k], path);
            snprintf(doomed, sizeof doomed, "%s" DOOMED_SUFFIX, path);
            ignore(io_unlink(log->io, doomed) < 0, "it may be gone; the next start tries again");
        }
        segment_forget_doomed(log, i);
    }
    pthread_mutex_unlock(&log->sync_lock);
}

ptrdiff_t segs_find(const struct log *log, int64_t offset)
{
    size_t low = 0, high = log->segs.len; /* segs[low - 1].base <= offset < segs[high].base */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (log->segs.at[mid]->base_offset <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return (ptrdiff_t)low - 1;
}

struct log_segment *segs_active(const struct log *log)
{
    ASSERT(log->segs.len != 0);
    return log->segs.at[log->segs.len - 1];
}

struct log_segment *segs_active_append(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    struct log_segment *seg = segs_active(log);
    pthread_mutex_unlock(&log->lock);
    return seg;
}

uint64_t segment_bytes(struct log *log, const struct log_segment *seg)
{
    pthread_mutex_lock(&log->lock);
    uint64_t bytes = seg->end_pos;
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

uint64_t segment_limit(const struct log_segment *seg, const struct log_point *point)
{
    if (point->seg_base < seg->base_offset)
        return 0;
    return point->seg_base == seg->base_offset ? point->pos : seg->end_pos;
}
