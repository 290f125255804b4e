/* rescue.c - what recovery cuts off is not destroyed: a file beside the segment, until it is old.
 *
 *   00000000000000001000.log    good ... good | damaged ... good ... good |
 *                                             position 5210
 *   00000000000000001000-5210.1796000000000.cut    its bytes, whole and synced before the segment is cut
 *   00000000000000002000-0.1796000000000.cut       a segment that stood behind the cut, renamed
 *
 * The number behind the dot is when it was cut, in milliseconds since 1970.
 *
 * (U1) Kept is what somebody may miss: a whole batch whose checksum does not fit, batches behind damage. What a crash leaves
 *      of a write that was never acknowledged is not: zeros, or the beginning of a batch with nothing good behind it.
 * (U2) What is to be kept and cannot be written ends the opening: nothing is cut then.
 * (U3) Kept files go by log.recovery.keep.ms, with log_retain. They take the room that the log has lost.
 * (U4) A power cut tears what was acknowledged too, where it was durable elsewhere (tail.c). What log_redo puts back makes
 *      such a file needless: when each of its bytes is zero, which is what a write leaves that did not arrive, or the one
 *      that the segment has in that place again, and durably. Anything else in it was something else, and stays.
 */
#include <errno.h>
#include <stdio.h>

#include "log/log_int.h"

enum { PIECE_BYTES = 64 << 10, CRC_FROM = 21 };

/* --- looking for batches --- */

/* The checksum of the bytes [pos, end); false when they cannot be read. */
static bool sum(const struct log_file *file, uint64_t pos, uint64_t end, uint32_t *out)
{
    char *bytes = mem_alloc(PIECE_BYTES);
    bool ok = true;
    *out = 0;
    while (ok && pos < end) {
        size_t part = (size_t)MIN(end - pos, (uint64_t)PIECE_BYTES);
        ok = io_read_all(file->io, file->fd, bytes, part, pos, file->path, NULL);
        if (ok)
            *out = hash_crc32c(*out, bytes, part);
        pos += part;
    }
    free(bytes);
    return ok;
}

/* Is this the header of a whole batch whose checksum fits? */
static bool is_good(const struct log_file *file, uint64_t pos, const char *header)
{
    struct batch batch;
    uint32_t crc;
    return batch_open_header(header, &batch, NULL) && batch_size(header) <= file->size - pos &&
           sum(file, pos + CRC_FROM, pos + batch_size(header), &crc) && crc == batch.crc;
}

uint64_t rescue_find(const struct log_file *file, uint64_t pos)
{
    enum { AT_MAGIC = 16 };
    char *window = mem_alloc(PIECE_BYTES);
    uint64_t found = file->size;
    while (found == file->size && pos + BATCH_HEADER_BYTES <= file->size) {
        size_t size = (size_t)MIN((uint64_t)PIECE_BYTES, file->size - pos);
        if (!io_read_all(file->io, file->fd, window, size, pos, file->path, NULL))
            break;
        for (size_t i = 0; found == file->size && i + BATCH_HEADER_BYTES <= size; i++)
            if (window[i + AT_MAGIC] == 2 && is_good(file, pos + i, window + i))
                found = pos + i;
        pos += size - BATCH_HEADER_BYTES + 1;
    }
    free(window);
    return found;
}

/* U1, of what begins at `pos` and cannot be taken. */
static bool is_worth_keeping(const struct log_file *file, uint64_t pos)
{
    char header[BATCH_HEADER_BYTES];
    uint32_t crc;
    uint64_t left = file->size - pos;
    if (left < sizeof header)
        return false;
    if (!io_read_all(file->io, file->fd, header, sizeof header, pos, file->path, NULL))
        return true; /* nobody can say */
    size_t size = batch_size(header);
    if (size != 0 && size <= left)
        return true;
    bool only_length = sum(file, pos + CRC_FROM, file->size, &crc) && crc == load_be32(header + 17);
    return only_length || rescue_find(file, pos + 1) < file->size;
}

/* --- putting aside --- */

static void cut_path(const struct log *log, int64_t base_offset, uint64_t pos, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s/%020lld-%llu.%lld" RESCUE_SUFFIX, log->dir, (long long)base_offset,
             (unsigned long long)pos, (long long)io_now_ms(log->io));
}

static bool sync_names(struct log *log, struct err *err)
{
    int rc = io_sync_dir(log->io, log->dir);
    return rc >= 0 || err_set_errno(err, -rc, "%s: sync of the directory failed", log->dir);
}

static bool copy(const struct log_file *file, uint64_t pos, int to, const char *path, struct err *err)
{
    char *bytes = mem_alloc(PIECE_BYTES);
    bool ok = true;
    for (uint64_t at = pos; ok && at < file->size;) {
        struct iovec part = {bytes, (size_t)MIN(file->size - at, (uint64_t)PIECE_BYTES)};
        size_t size = part.iov_len;
        ok = io_read_all(file->io, file->fd, bytes, size, at, file->path, err) &&
             io_write_all(file->io, to, &part, 1, at - pos, path, err);
        at += size;
    }
    free(bytes);
    return ok;
}

/* Its name ends in .tmp until it is whole: the next start removes it then. */
static bool write_cut(struct log *log, const struct log_file *file, uint64_t pos, const char *path,
                      struct err *err)
{
    char tmp[LOG_PATH_BYTES + 8];
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    int fd = io_open(log->io, tmp, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be made", tmp);
    bool ok = copy(file, pos, fd, tmp, err);
    int rc = ok ? io_fdatasync(log->io, fd) : 0;
    if (rc < 0)
        ok = err_set_errno(err, -rc, "%s: sync failed", tmp);
    io_close(log->io, fd);
    rc = ok ? io_rename(log->io, tmp, path) : 0;
    if (rc < 0)
        ok = err_set_errno(err, -rc, "%s: cannot be renamed", tmp);
    if (!ok)
        ignore(io_unlink(log->io, tmp) < 0, "the next start removes it");
    return ok && sync_names(log, err);
}

bool rescue_tail(struct log *log, const struct log_file *file, int64_t base_offset, uint64_t pos,
                 struct err *err)
{
    char path[LOG_PATH_BYTES];
    if (log->config.cut_keep_ms == 0 || !is_worth_keeping(file, pos))
        return true;
    cut_path(log, base_offset, pos, path);
    if (!write_cut(log, file, pos, path, err)) {
        err_context(err, "what is damaged is kept before it is cut off (log.recovery.keep.ms)");
        return false;
    }
    log->has_cuts = true;
    free(log->last_cut.path);
    log->last_cut.path = mem_dup(path, strlen(path) + 1);
    log->last_cut.seg_base = base_offset;
    log->last_cut.pos = pos;
    log->last_cut.size = file->size - pos;
    log_warn("log", "cut_kept", "log=%s file=%s bytes=%llu", log->name, path,
             (unsigned long long)(file->size - pos));
    return true;
}

bool rescue_segment(struct log *log, const struct log_segment *seg, struct err *err)
{
    char from[LOG_PATH_BYTES], to[LOG_PATH_BYTES];
    if (log->config.cut_keep_ms == 0 || seg->end_pos == 0)
        return true;
    log_path(log, seg->base_offset, "log", from);
    cut_path(log, seg->base_offset, 0, to);
    int rc = io_rename(log->io, from, to);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be renamed", from);
    log->has_cuts = true;
    log_warn("log", "cut_kept", "log=%s file=%s bytes=%llu", log->name, to, (unsigned long long)seg->end_pos);
    return sync_names(log, err);
}

/* --- until it is needless, or old --- */

/* Are the bytes of the cut from `at` on zeros, or those of the segment? What is behind its end counts as zeros. */
static bool piece_is_back(struct log *log, int cut, int seg, uint64_t seg_end, uint64_t at, size_t size)
{
    char *bytes = mem_alloc(2 * PIECE_BYTES), *now = bytes + PIECE_BYTES;
    uint64_t pos = log->last_cut.pos + at;
    size_t there = (size_t)MIN((uint64_t)size, seg_end > pos ? seg_end - pos : 0);
    memset(now, 0, size);
    bool same = io_read_all(log->io, cut, bytes, size, at, log->last_cut.path, NULL) &&
                io_read_all(log->io, seg, now, there, pos, log->name, NULL);
    for (size_t i = 0; same && i < size; i++)
        same = bytes[i] == 0 || bytes[i] == now[i];
    free(bytes);
    return same;
}

/* U4 */
static bool cut_is_back(struct log *log)
{
    struct log_segment *seg = segs_active(log);
    int fd, cut = -1;
    bool same = seg->base_offset == log->last_cut.seg_base && segment_open(log, seg, false, &fd, NULL) &&
                (cut = io_open(log->io, log->last_cut.path, IO_READ)) >= 0;
    for (uint64_t at = 0; same && at < log->last_cut.size; at += PIECE_BYTES)
        same = piece_is_back(log, cut, fd, seg->end_pos, at,
                             (size_t)MIN(log->last_cut.size - at, (uint64_t)PIECE_BYTES));
    if (cut >= 0)
        io_close(log->io, cut);
    return same;
}

void rescue_take_back(struct log *log)
{
    if (log->last_cut.path == NULL)
        return;
    if (cut_is_back(log) && io_unlink(log->io, log->last_cut.path) >= 0)
        log_info("log", "cut_removed", "log=%s file=%s cause=records_are_back", log->name,
                 log->last_cut.path);
    free(log->last_cut.path);
    log->last_cut.path = NULL;
}

bool rescue_name(struct str name, int64_t *cut_ms)
{
    if (!str_ends_with(name, STR(RESCUE_SUFFIX)))
        return false;
    name = str_sub(name, 0, name.len - strlen(RESCUE_SUFFIX));
    ptrdiff_t dot = str_rfind_char(name, '.');
    return dot > 0 && str_to_i64(str_sub(name, (size_t)dot + 1, name.len), cut_ms);
}

struct old {
    int64_t before_ms;
    vec(char *) names;
    bool others;
};

static void note_old(void *arg, const char *name)
{
    struct old *old = arg;
    int64_t cut_ms;
    if (!rescue_name(str_from(name), &cut_ms))
        return;
    if (cut_ms < old->before_ms)
        vec_push(&old->names, mem_dup(name, strlen(name) + 1));
    else
        old->others = true;
}

void rescue_expire(struct log *log, int64_t now_ms)
{
    int64_t keep_ms = log_get_config(log).cut_keep_ms;
    struct old old = {.before_ms = now_ms - MAX(keep_ms, 0)};
    if (!log->has_cuts || keep_ms < 0 || io_list(log->io, log->dir, note_old, &old) < 0)
        return;
    log->has_cuts = old.others;
    for (size_t i = 0; i < old.names.len; i++) {
        char path[LOG_PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", log->dir, old.names.at[i]);
        bool gone = io_unlink(log->io, path) >= 0;
        log->has_cuts |= !gone; /* tried again */
        if (gone)
            log_info("log", "cut_removed", "log=%s file=%s", log->name, path);
        free(old.names.at[i]);
    }
    vec_fini(&old.names);
}
