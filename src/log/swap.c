/* swap.c - a compacted segment takes the place of those it was made from.
 *
 *   1  <base>.cleaned is whole and synced (clean.c), its name too
 *   2  the file `swap` says what is to happen        the decision: from here on it happens, after a crash at the next start
 *   3  <base>.cleaned -> <base>.log, names synced
 *   4  indexes of <base> go, its abort index is written from `swap`, files of the other segments go; names synced
 *   5  `swap` goes, names synced
 *
 *   swap:  "rlsw" | version 1 | flags | crc32c of what follows                     u32 u16 u16 u32
 *          base | base of the last segment that is replaced                        i64 i64
 *          size of the new file | crc32c of all of it                              u64 u32
 *          count, { pid first-offset last-offset lso }                             u32, i64 each
 *
 * (W1) Every step may be done again: a start that finds `swap` does 3 to 5, whatever of them was done before.
 * (W2) Others than <base> go only after the new file's name is durable. So if <base>.cleaned is gone and <base>.log is not
 *      the new file, the step 3 was lost as a whole: then all old files are there, and the swap is given up.
 * (W3) The checkpoint on the disk points behind all that is replaced: compaction writes one before it begins.
 * (W4) Who holds an old segment reads on in its open file; what is found by path is kept from him by `replaced`.
 * (W5) A failure after the decision takes the log offline; recovery, at the next start or when a full disk has room again,
 *      completes the swap.
 */
#include <errno.h>
#include <stdio.h>

#include "log/compact_int.h"

enum {
    SWAP_MAGIC = 0x726c7377,
    SWAP_VERSION = 1,
    SWAP_HEAD_BYTES = 12,
    SWAP_FIXED_BYTES = 32,
    SWAP_ENTRY_BYTES = 32
};
enum { SWAP_BYTES_MAX = 64 << 20, SWAP_READ_BYTES = 1 << 20 };

struct swap {
    int64_t base, last;
    uint64_t size;
    uint32_t crc;
    vec(struct log_aborted) aborted;
};

static void swap_path(const struct log *log, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s/swap", log->dir);
}

static void encode(const struct swap *swap, struct buf *out)
{
    char *at = buf_extend(out, SWAP_HEAD_BYTES + SWAP_FIXED_BYTES);
    store_be32(at, SWAP_MAGIC);
    store_be16(at + 4, SWAP_VERSION);
    store_be16(at + 6, 0);
    store_be64(at + 12, (uint64_t)swap->base);
    store_be64(at + 20, (uint64_t)swap->last);
    store_be64(at + 28, swap->size);
    store_be32(at + 36, swap->crc);
    store_be32(at + 40, (uint32_t)swap->aborted.len);
    for (size_t i = 0; i < swap->aborted.len; i++) {
        at = buf_extend(out, SWAP_ENTRY_BYTES);
        store_be64(at, (uint64_t)swap->aborted.at[i].pid);
        store_be64(at + 8, (uint64_t)swap->aborted.at[i].first_offset);
        store_be64(at + 16, (uint64_t)swap->aborted.at[i].last_offset);
        store_be64(at + 24, (uint64_t)swap->aborted.at[i].lso);
    }
    store_be32(out->ptr + 8, hash_crc32c(0, out->ptr + SWAP_HEAD_BYTES, out->len - SWAP_HEAD_BYTES));
}

static bool decode(struct str bytes, struct swap *out, struct err *err)
{
    const char *at = bytes.ptr;
    if (bytes.len < SWAP_HEAD_BYTES + SWAP_FIXED_BYTES || load_be32(at) != SWAP_MAGIC ||
        load_be16(at + 4) != SWAP_VERSION ||
        load_be32(at + 8) != hash_crc32c(0, at + SWAP_HEAD_BYTES, bytes.len - SWAP_HEAD_BYTES))
        return err_set(err, ERR_CORRUPT, "not a swap file, or a damaged one");
    *out = (struct swap){.base = (int64_t)load_be64(at + 12),
                         .last = (int64_t)load_be64(at + 20),
                         .size = load_be64(at + 28),
                         .crc = load_be32(at + 36)};
    uint32_t count = load_be32(at + 40);
    if ((bytes.len - SWAP_HEAD_BYTES - SWAP_FIXED_BYTES) / SWAP_ENTRY_BYTES != count || out->base < 0 ||
        out->last < out->base)
        return err_set(err, ERR_CORRUPT, "contents of the swap file contradict each other");
    at += SWAP_HEAD_BYTES + SWAP_FIXED_BYTES;
    for (uint32_t i = 0; i < count; i++, at += SWAP_ENTRY_BYTES)
        vec_push(&out->aborted,
                 (struct log_aborted){(int64_t)load_be64(at), (int64_t)load_be64(at + 8),
                                      (int64_t)load_be64(at + 16), (int64_t)load_be64(at + 24)});
    return true;
}

/* --- carrying it out --- */

static bool unlink_if_there(struct log *log, const char *path, struct err *err)
{
    int rc = io_unlink(log->io, path);
    return rc >= 0 || rc == -ENOENT || err_set_errno(err, -rc, "%s: cannot be removed", path);
}

static bool sync_names(struct log *log, struct err *err)
{
    int rc = io_sync_dir(log->io, log->dir);
    return rc >= 0 || err_set_errno(err, -rc, "%s: sync of the directory failed", log->dir);
}

/* Step 4 for <base>: the indexes of the old file must not be found beside the new one. */
static bool replace_indexes(struct log *log, const struct swap *swap, struct err *err)
{
    char path[LOG_PATH_BYTES];
    struct buf bytes = {0};
    log_path(log, swap->base, "index", path);
    bool ok = unlink_if_there(log, path, err);
    log_path(log, swap->base, "timeindex", path);
    ok = ok && unlink_if_there(log, path, err);
    log_path(log, swap->base, "txnindex", path);
    aborted_encode(swap->aborted.at, swap->aborted.len, &bytes);
    ok = ok && (bytes.len != 0 ? io_replace_file(log->io, log->dir, path, buf_str(&bytes), err)
                               : unlink_if_there(log, path, err));
    buf_fini(&bytes);
    return ok;
}

static bool forget(struct log *log, struct err *err)
{
    char path[LOG_PATH_BYTES];
    swap_path(log, path);
    return unlink_if_there(log, path, err) && sync_names(log, err);
}

/* Steps 4 and 5; `bases` are the others that are replaced. */
static bool finish(struct log *log, const struct swap *swap, const int64_t *bases, size_t count,
                   struct err *err)
{
    if (!replace_indexes(log, swap, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (bases[i] > swap->base && bases[i] <= swap->last && !segment_doom_files(log, bases[i]))
            return err_set(err, ERR_IO, "log %s: segment %lld, which was compacted, cannot be removed",
                           log->name, (long long)bases[i]);
    return sync_names(log, err) && forget(log, err);
}

/* Step 3. */
static bool move_new(struct log *log, const struct swap *swap, struct err *err)
{
    char from[LOG_PATH_BYTES], to[LOG_PATH_BYTES];
    log_path(log, swap->base, "cleaned", from);
    log_path(log, swap->base, "log", to);
    int rc = io_rename(log->io, from, to);
    return rc >= 0 ? sync_names(log, err) : err_set_errno(err, -rc, "%s: cannot be replaced", to);
}

/* --- at work --- */

/* Step 2. A failure that leaves open whether it was decided takes the log offline (W5). */
static bool decide(struct log *log, const struct swap *swap, struct err *err)
{
    struct buf bytes = {0};
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    swap_path(log, path);
    encode(swap, &bytes);
    bool ok = io_replace_file(log->io, log->dir, path, buf_str(&bytes), err);
    buf_fini(&bytes);
    if (!ok && io_stat(log->io, path, &st) != -ENOENT)
        log_set_offline(log, err);
    return ok;
}

/* The place of the old segments in the list, all of them as they were and their files open; -1: they are not. */
static ptrdiff_t find_old(struct log *log, struct log_segment **old, size_t count)
{
    pthread_mutex_lock(&log->lock);
    ptrdiff_t at = segs_find(log, old[0]->base_offset);
    bool same = at >= 0 && (size_t)at + count < log->segs.len; /* the active one is never among them */
    for (size_t i = 0; same && i < count; i++) {
        int fd;
        same = log->segs.at[(size_t)at + i] == old[i] && segment_open(log, old[i], false, &fd, NULL);
    }
    pthread_mutex_unlock(&log->lock);
    return same ? at : -1;
}

static void show_new(struct log *log, size_t at, struct log_segment **old, size_t count,
                     struct log_segment *fresh)
{
    pthread_mutex_lock(&log->lock);
    ASSERT_CMP(log->synced.seg_base, >, old[count - 1]->base_offset);
    for (size_t i = 0; i < count; i++) {
        old[i]->replaced = true;
        segment_unref(log->segs.at[at + i]);
    }
    log->segs.at[at] = fresh;
    memmove(log->segs.at + at + 1, log->segs.at + at + count,
            (log->segs.len - at - count) * sizeof *log->segs.at);
    log->segs.len -= count - 1;
    log->checkpoint_dirty = true;
    pthread_mutex_unlock(&log->lock);
}

/* Holder of sync_lock and load_lock: nobody removes segments or reads index files meanwhile. */
static bool swap_locked(struct log *log, struct log_segment **old, size_t count, struct clean_out *out,
                        bool *done, struct err *err)
{
    if (!log_check_online(log, err))
        return false;
    ptrdiff_t at = find_old(log, old, count);
    if (at < 0)
        return true;
    struct swap swap = {.base = old[0]->base_offset,
                        .last = old[count - 1]->base_offset,
                        .size = out->written,
                        .crc = out->crc};
    for (size_t i = 0; i < out->seg->aborted.len; i++)
        vec_push(&swap.aborted, out->seg->aborted.at[i]);
    int64_t *bases = mem_alloc(count * sizeof *bases);
    for (size_t i = 0; i < count; i++)
        bases[i] = old[i]->base_offset;
    struct err why = {0};
    bool decided = decide(log, &swap, &why);
    *done = decided && move_new(log, &swap, &why) && finish(log, &swap, bases, count, &why);
    if (decided && !*done)
        log_set_offline(log, &why);
    if (*done) {
        out->seg->aborted_saved = (uint32_t)out->seg->aborted.len;
        show_new(log, (size_t)at, old, count, out->seg);
        out->seg = NULL;
    } else if (err != NULL) {
        *err = why;
    }
    free(bases);
    vec_fini(&swap.aborted);
    return *done;
}

bool swap_in(struct log *log, struct log_segment **old, size_t count, struct clean_out *out, bool *done,
             struct err *err)
{
    *done = false;
    pthread_mutex_lock(&log->sync_lock);
    pthread_mutex_lock(&log->load_lock);
    bool ok = swap_locked(log, old, count, out, done, err);
    pthread_mutex_unlock(&log->load_lock);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

/* --- at the start --- */

static bool file_crc(struct log *log, const char *path, uint64_t size, uint32_t *out, struct err *err)
{
    int fd = io_open(log->io, path, IO_READ);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be opened", path);
    char *bytes = mem_alloc(SWAP_READ_BYTES);
    bool ok = true;
    *out = 0;
    for (uint64_t pos = 0; ok && pos < size;) {
        size_t part = (size_t)MIN(size - pos, (uint64_t)SWAP_READ_BYTES);
        ok = io_read_all(log->io, fd, bytes, part, pos, path, err);
        if (ok)
            *out = hash_crc32c(*out, bytes, part);
        pos += part;
    }
    free(bytes);
    io_close(log->io, fd);
    return ok;
}

/* Is <base>.log the new file? */
static bool is_moved(struct log *log, const struct swap *swap, bool *moved, struct err *err)
{
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    uint32_t crc = 0;
    log_path(log, swap->base, "log", path);
    int rc = io_stat(log->io, path, &st);
    if (rc < 0 && rc != -ENOENT)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    *moved = rc >= 0 && st.size == swap->size;
    if (*moved && !file_crc(log, path, swap->size, &crc, err))
        return false;
    *moved = *moved && crc == swap->crc;
    return true;
}

static bool recover(struct log *log, const struct swap *swap, const int64_t *bases, size_t count,
                    struct err *err)
{
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    bool moved = false;
    log_path(log, swap->base, "cleaned", path);
    int rc = io_stat(log->io, path, &st);
    if (rc < 0 && rc != -ENOENT)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    bool ready = rc >= 0 && st.size == swap->size;
    if (!(ready ? move_new(log, swap, err) : is_moved(log, swap, &moved, err)))
        return false;
    log_info("log", "compaction_recovered", "log=%s segment=%lld done=%d", log->name, (long long)swap->base,
             ready || moved);
    return ready || moved ? finish(log, swap, bases, count, err) : forget(log, err); /* W2 */
}

bool swap_recover(struct log *log, const int64_t *bases, size_t count, struct err *err)
{
    struct buf bytes = {0};
    struct swap swap = {0};
    struct err why = {0};
    char path[LOG_PATH_BYTES];
    swap_path(log, path);
    bool ok = io_read_file(log->io, path, SWAP_BYTES_MAX, &bytes, err);
    if (ok && decode(buf_str(&bytes), &swap, &why)) {
        ok = recover(log, &swap, bases, count, err);
    } else if (ok) {
        log_warn("log", "swap_unusable", "log=%s cause=\"%s\"", log->name, why.text);
        ok = forget(log, err);
    }
    vec_fini(&swap.aborted);
    buf_fini(&bytes);
    return ok;
}

void swap_dump(struct log_dump *dump, const char *path, struct str bytes)
{
    struct swap swap = {0};
    struct err err = {0};
    if (!decode(bytes, &swap, &err)) {
        dump->damaged++;
        describe_damage(dump->out, 0, 0, bytes.len, err.text);
        return;
    }
    describe_begin(dump->out, 0, 0, "swap");
    describe_number(dump->out, "version", load_be16(bytes.ptr + 4));
    describe_number(dump->out, "segment", swap.base);
    describe_number(dump->out, "last_segment", swap.last);
    describe_number(dump->out, "bytes", (int64_t)swap.size);
    describe_hex32(dump->out, "crc", swap.crc);
    describe_end(dump->out);
    for (size_t i = 0; i < swap.aborted.len; i++) {
        const struct log_aborted *aborted = &swap.aborted.at[i];
        describe_begin(dump->out, (int64_t)(SWAP_HEAD_BYTES + SWAP_FIXED_BYTES + i * SWAP_ENTRY_BYTES), 1,
                       "aborted");
        describe_number(dump->out, "producer_id", aborted->pid);
        describe_number(dump->out, "first_offset", aborted->first_offset);
        describe_number(dump->out, "last_offset", aborted->last_offset);
        describe_number(dump->out, "last_stable_offset", aborted->lso);
        describe_end(dump->out);
    }
    vec_fini(&swap.aborted);
}
