/* scan.c - walks the batches of a segment from position to position.
 *
 *      buf_pos            pos
 *         |... done ...|batch|batch|ba     buf: a window over the file, refilled LOG_SCAN_BYTES at a time
 *
 * Header walks (whole = false) read only what holds the headers: with large batches they jump from one to
 * the next. Used by recovery and index rebuilding, which read on, and by searches, which stop early and
 * start with a small window.
 */
#include "log/log_int.h"

enum { SCAN_FIRST_BYTES = 8 << 10 };

bool scan_open(struct scan *scan, struct log *log, struct log_segment *seg, uint64_t pos, uint64_t end,
               bool whole, struct err *err)
{
    *scan = (struct scan){
        .log = log, .seg = seg, .pos = pos, .end = end, .whole = whole, .buf_pos = pos, .fd = -1};
    if (pos >= end)
        return true;
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, seg, false, &scan->fd, err);
    pthread_mutex_unlock(&log->lock);
    return ok;
}

bool scan_check_crc(const struct scan *scan, const struct batch *batch, struct err *err)
{
    if (batch_check_crc(batch, err))
        return true;
    char path[LOG_PATH_BYTES];
    log_path(scan->log, scan->seg->base_offset, "log", path);
    err_context(err, "%s, position %llu", path, (unsigned long long)scan->batch_pos);
    return false;
}

void scan_close(struct scan *scan)
{
    buf_fini(&scan->buf);
}

/* Makes `size` bytes from scan->pos on available; the caller has made sure that they lie before scan->end. */
static bool scan_fill(struct scan *scan, size_t size, struct err *err)
{
    uint64_t have_end = scan->buf_pos + scan->buf.len;
    if (scan->pos >= scan->buf_pos && scan->pos + size <= have_end)
        return true;
    bool first = scan->buf.cap == 0;
    size_t want = MAX(size, first ? (size_t)SCAN_FIRST_BYTES : (size_t)LOG_SCAN_BYTES);
    want = (size_t)MIN((uint64_t)want, scan->end - scan->pos);
    /* What is left of the window moves to its front; the rest is read. */
    size_t kept = scan->pos >= scan->buf_pos && scan->pos < have_end ? (size_t)(have_end - scan->pos) : 0;
    if (kept != 0)
        memmove(scan->buf.ptr, scan->buf.ptr + (scan->pos - scan->buf_pos), kept);
    scan->buf.len = kept;
    scan->buf_pos = scan->pos;
    char path[LOG_PATH_BYTES];
    log_path(scan->log, scan->seg->base_offset, "log", path);
    char *at = buf_extend(&scan->buf, want - kept);
    if (io_read_all(scan->log->io, scan->fd, at, want - kept, scan->pos + kept, path, err))
        return true;
    scan->buf.len = kept;
    return false;
}

bool scan_next(struct scan *scan, struct batch *batch, struct err *err)
{
    if (scan->pos >= scan->end)
        return false;
    uint64_t left = scan->end - scan->pos;
    if (left < BATCH_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "%llu bytes at position %llu are no batch", (unsigned long long)left,
                       (unsigned long long)scan->pos);
    if (!scan_fill(scan, BATCH_HEADER_BYTES, err))
        return false;
    const char *at = scan->buf.ptr + (scan->pos - scan->buf_pos);
    if (!batch_open_header(at, batch, err))
        return false;
    size_t size = batch_size(at);
    if (size > left)
        return err_set(err, ERR_CORRUPT, "batch at position %llu is cut", (unsigned long long)scan->pos);
    if (scan->whole) {
        if (!scan_fill(scan, size, err))
            return false;
        batch->bytes = str_of(scan->buf.ptr + (scan->pos - scan->buf_pos), size);
    }
    scan->batch_pos = scan->pos;
    scan->pos += size;
    return true;
}
