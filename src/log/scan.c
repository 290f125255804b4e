/* scan.c - walks the batches of a segment from position to position.
 *
 *      buf_pos            pos
 *         |... done ...|batch|batch|ba     bytes: a window over the file, refilled LOG_SCAN_BYTES at a time
 *
 * Header walks (whole = false) read only what holds the headers: with large batches they jump from one to
 * the next, or their checksum is made piece by piece. Used by recovery and index rebuilding, which read on, and by searches,
 * which stop early and start with a small window.
 * A cold walk has a descriptor of its own that goes by the page cache (IO_COLD): its windows begin and end where the disk's
 * blocks do, and a piece that cannot be read does not keep it from what lies before.
 */
#include <stdlib.h>

#include "log/log_int.h"

enum { SCAN_FIRST_BYTES = 8 << 10, CRC_FROM = 21 };

bool scan_open(struct scan *scan, struct log *log, struct log_segment *seg, uint64_t pos, uint64_t end,
               bool whole, struct err *err)
{
    *scan = (struct scan){.log = log,
                          .seg = seg,
                          .pos = pos,
                          .end = end,
                          .whole = whole,
                          .window = LOG_SCAN_BYTES,
                          .buf_pos = pos,
                          .fd = -1};
    if (pos >= end)
        return true;
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, seg, false, &scan->fd, err);
    pthread_mutex_unlock(&log->lock);
    return ok;
}

void scan_open_cold(struct scan *scan, struct log *log, struct log_segment *seg, int fd, uint64_t end)
{
    *scan =
        (struct scan){.log = log, .seg = seg, .end = end, .fd = fd, .cold = true, .window = LOG_SCAN_BYTES};
}

static bool tell_place(const struct scan *scan, struct err *err)
{
    char path[LOG_PATH_BYTES];
    log_path(scan->log, scan->seg->base_offset, "log", path);
    err_context(err, "%s, position %llu", path, (unsigned long long)scan->batch_pos);
    return false;
}

bool scan_check_crc(const struct scan *scan, const struct batch *batch, struct err *err)
{
    return batch_check_crc(batch, err) || tell_place(scan, err);
}

void scan_close(struct scan *scan)
{
    free(scan->bytes);
}

static void reserve(struct scan *scan, size_t size, size_t kept)
{
    if (size <= scan->cap)
        return;
    size = ALIGN_UP(size, IO_COLD_ALIGN);
    char *bytes = mem_alloc_aligned(IO_COLD_ALIGN, size);
    if (kept != 0)
        memcpy(bytes, scan->bytes, kept);
    free(scan->bytes);
    scan->bytes = bytes;
    scan->cap = size;
}

/* Reads whole blocks around [at, at + size), with what comes behind in one go. What is behind the file's end is not there. */
static bool fill_cold(struct scan *scan, uint64_t at, size_t size, size_t want, struct err *err)
{
    scan->buf_pos = at - at % IO_COLD_ALIGN;
    scan->len = 0;
    size_t least = (size_t)(at - scan->buf_pos) + size;
    want = ALIGN_UP(MAX(want, least), IO_COLD_ALIGN);
    reserve(scan, want, 0);
    while (scan->len < want) {
        ssize_t got = io_pread(scan->log->io, scan->fd, scan->bytes + scan->len, want - scan->len,
                               scan->buf_pos + scan->len);
        if (got < 0 && want > ALIGN_UP(least, IO_COLD_ALIGN)) { /* perhaps only what lies behind */
            want = ALIGN_UP(least, IO_COLD_ALIGN);
            scan->len = MIN(scan->len, want);
            continue;
        }
        if (got < 0)
            return err_set_errno(err, (int)-got, "position %llu: cannot be read", (unsigned long long)at);
        size_t blocks = (size_t)got - (size_t)got % IO_COLD_ALIGN;
        if (blocks == 0 || scan->len + (size_t)got >= least) {
            scan->len += (size_t)got; /* the file's end, or enough */
            break;
        }
        scan->len += blocks;
    }
    return scan->len >= least ||
           err_set(err, ERR_CORRUPT, "the file ends before position %llu", (unsigned long long)(at + size));
}

/* Makes `size` bytes from `at` on available; the caller has made sure that they lie before scan->end. */
static bool scan_fill(struct scan *scan, uint64_t at, size_t size, struct err *err)
{
    uint64_t have_end = scan->buf_pos + scan->len;
    if (at >= scan->buf_pos && at + size <= have_end)
        return true;
    bool first = scan->cap == 0 && !scan->cold;
    size_t want = MAX(size, first ? (size_t)SCAN_FIRST_BYTES : scan->window);
    want = (size_t)MIN((uint64_t)want, scan->end - at);
    if (scan->cold)
        return fill_cold(scan, at, size, want, err);
    /* What is left of the window moves to its front; the rest is read. */
    size_t kept = at >= scan->buf_pos && at < have_end ? (size_t)(have_end - at) : 0;
    if (kept != 0)
        memmove(scan->bytes, scan->bytes + (at - scan->buf_pos), kept);
    scan->len = kept;
    scan->buf_pos = at;
    reserve(scan, want, kept);
    char path[LOG_PATH_BYTES];
    log_path(scan->log, scan->seg->base_offset, "log", path);
    if (!io_read_all(scan->log->io, scan->fd, scan->bytes + kept, want - kept, at + kept, path, err))
        return false;
    scan->len = want;
    return true;
}

bool scan_next(struct scan *scan, struct batch *batch, struct err *err)
{
    if (scan->pos >= scan->end)
        return false;
    uint64_t left = scan->end - scan->pos;
    if (left < BATCH_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "%llu bytes at position %llu are no batch", (unsigned long long)left,
                       (unsigned long long)scan->pos);
    if (!scan_fill(scan, scan->pos, BATCH_HEADER_BYTES, err))
        return false;
    const char *at = scan->bytes + (scan->pos - scan->buf_pos);
    if (!batch_open_header(at, batch, err))
        return false;
    size_t size = batch_size(at);
    if (size > left)
        return err_set(err, ERR_CORRUPT, "batch at position %llu is cut", (unsigned long long)scan->pos);
    if (scan->whole) {
        if (!scan_fill(scan, scan->pos, size, err))
            return false;
        batch->bytes = str_of(scan->bytes + (scan->pos - scan->buf_pos), size);
    }
    scan->batch_pos = scan->pos;
    scan->pos += size;
    return true;
}

bool scan_sum(struct scan *scan, const struct batch *batch, struct err *err)
{
    uint32_t crc = 0;
    for (uint64_t at = scan->batch_pos + CRC_FROM; at < scan->pos;) {
        if (!scan_fill(scan, at, 1, err))
            return false;
        uint64_t have_end = scan->buf_pos + scan->len;
        size_t part = (size_t)(MIN(have_end, scan->pos) - at);
        crc = hash_crc32c(crc, scan->bytes + (at - scan->buf_pos), part);
        at += part;
    }
    return crc == batch->crc ||
           err_set(err, ERR_CORRUPT, "record batch: checksum is %08x, %08x was stored", crc, batch->crc);
}
