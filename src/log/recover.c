/* recover.c - what is true after a start: the files, from the last checkpoint on.
 *
 *   log_recover
 *     list the directory                       segments by base offset
 *     swap_recover                             a compaction was interrupted while segments changed places
 *     leftovers of replacements are removed
 *     checkpoint_read                          usable: trust all below its point; not: scan everything
 *     drop segments below the log start        a removal was interrupted
 *     for each segment from the point on
 *       scan                                   whole batches, checksum, expected offset: published
 *       at the first bad byte                  cut the file there, drop the segments behind it unless the next one goes on
 *                                              with the offset that follows; what may be missed is kept (rescue.c)
 *     sync what was scanned, write a checkpoint   or leave it to log_settle: one sync for many logs
 *
 * (V1) What was durable is below the first bad byte: bytes are synced in order before anything is
 *      acknowledged.
 * (V2) Scanned bytes are synced before they are published as durable: they may sit in the page cache only,
 *      if the process died and the system lived.
 * (V3) Damage never refuses the start. Only files that cannot be read or written do.
 */
#include "log/log_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct index_file {
    int64_t base;
    const char *suffix;
};

struct found {
    vec(int64_t) bases;
    vec(struct index_file) indexes;
    vec(char *) leftovers; /* names of files that replace others: an interrupted replacement */
    bool swap;             /* a compacted segment was to take the place of others */
    bool cuts;             /* something was cut off earlier */
};

/* The 20 digits of a segment's file name; -1 when it is none with this suffix. */
static int64_t segment_name(struct str name, const char *suffix)
{
    enum { DIGITS = 20 };
    int64_t base;
    if (name.len <= DIGITS + 1 || name.ptr[DIGITS] != '.' ||
        !str_eq_cstr(str_sub(name, DIGITS + 1, name.len), suffix))
        return -1;
    return str_to_i64(str_sub(name, 0, DIGITS), &base) && base >= 0 ? base : -1;
}

static void found_add(void *arg, const char *cname)
{
    static const char *const suffixes[] = {"index", "timeindex", "txnindex"};
    struct found *found = arg;
    struct str name = str_from(cname);
    int64_t base = segment_name(name, "log");
    if (base >= 0)
        vec_push(&found->bases, base);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if ((base = segment_name(name, suffixes[i])) >= 0)
            vec_push(&found->indexes, (struct index_file){base, suffixes[i]});
    found->swap |= str_eq(name, STR("swap"));
    found->cuts |= rescue_name(name, &base);
    if (str_ends_with(name, STR(".tmp")) || str_ends_with(name, STR(DOOMED_SUFFIX)) ||
        segment_name(name, "cleaned") >= 0)
        vec_push(&found->leftovers, mem_dup(cname, name.len + 1));
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void found_fini(struct found *found)
{
    for (size_t i = 0; i < found->leftovers.len; i++)
        free(found->leftovers.at[i]);
    vec_fini(&found->leftovers);
    vec_fini(&found->bases);
    vec_fini(&found->indexes);
}

/* Files that belong to nothing: half-made replacements, indexes whose segment is gone. */
static void remove_orphans(struct log *log, const struct found *found)
{
    char path[LOG_PATH_BYTES];
    for (size_t i = 0; i < found->leftovers.len; i++) {
        snprintf(path, sizeof path, "%s/%s", log->dir, found->leftovers.at[i]);
        ignore(io_unlink(log->io, path) < 0, "it does no harm where it is");
    }
    for (size_t i = 0; i < found->indexes.len; i++) {
        if (bsearch(&found->indexes.at[i].base, found->bases.at, found->bases.len, sizeof(int64_t),
                    by_value) != NULL)
            continue;
        log_path(log, found->indexes.at[i].base, found->indexes.at[i].suffix, path);
        ignore(io_unlink(log->io, path) < 0, "it does no harm where it is");
    }
}

/* Lists the directory; a missing one is an empty log whose directory the first append makes. */
static bool list_files(struct log *log, struct found *found, struct err *err)
{
    int rc = io_list(log->io, log->dir, found_add, found);
    log->dir_made = rc == 0;
    log->name_round = rc == 0 ? names_join(log->names) : 0; /* a crash may have left it unsynced */
    if (rc < 0 && rc != -ENOENT)
        return err_set_errno(err, -rc, "%s: directory cannot be listed", log->dir);
    vec_reserve(&found->bases, 1);
    qsort(found->bases.at, found->bases.len, sizeof(int64_t), by_value);
    return true;
}

/* What is there once an interrupted compaction is completed and leftovers are gone. */
static bool tidy_files(struct log *log, struct found *found, struct err *err)
{
    if (found->swap) {
        if (!swap_recover(log, found->bases.at, found->bases.len, err))
            return false;
        found_fini(found);
        *found = (struct found){0};
        if (!list_files(log, found, err))
            return false;
    }
    remove_orphans(log, found);
    return true;
}

static bool has_txnindex(const struct found *found, int64_t base)
{
    for (size_t i = 0; i < found->indexes.len; i++)
        if (found->indexes.at[i].base == base && strcmp(found->indexes.at[i].suffix, "txnindex") == 0)
            return true;
    return false;
}

/* One segment as its file's size says; nothing of it is checked yet. */
static bool add_segment(struct log *log, const struct found *found, int64_t base, struct err *err)
{
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    log_path(log, base, "log", path);
    int rc = io_stat(log->io, path, &st);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    struct log_segment *seg = segment_new(log, base);
    seg->made = true;
    seg->end_pos = st.size;
    vec_push(&log->segs, seg);
    return !has_txnindex(found, base) || aborted_load(log, seg, UINT32_MAX, err);
}

/* Segments that lie wholly below the log start: their removal was interrupted. The one that the checkpoint points into is
 * needed (retain.c, N4). */
static void drop_below_start(struct log *log, const struct checkpoint *ckpt)
{
    size_t drop = 0;
    while (drop + 1 < log->segs.len && log->segs.at[drop + 1]->base_offset <= ckpt->start_offset &&
           log->segs.at[drop]->base_offset < ckpt->point.seg_base)
        drop++;
    for (size_t i = 0; i < drop; i++) {
        ignore(!segment_remove_files(log, log->segs.at[i]->base_offset), "the next start tries again");
        segment_unref(log->segs.at[i]);
    }
    memmove(log->segs.at, log->segs.at + drop, (log->segs.len - drop) * sizeof *log->segs.at);
    log->segs.len -= drop;
}

/* Removes the segments from index `first` on. One that cannot be removed ends the start: left there, it
 * would one day lie between newer segments and look like one of them. */
static bool drop_from(struct log *log, size_t first, struct err *err)
{
    bool ok = true;
    for (size_t i = first; i < log->segs.len; i++) {
        struct log_segment *seg = log->segs.at[i];
        log_warn("log", "segment_dropped", "log=%s segment=%lld bytes=%llu cause=behind_a_cut", log->name,
                 (long long)seg->base_offset, (unsigned long long)seg->end_pos);
        ok = ok && rescue_segment(log, seg, err);
        if (ok && !segment_remove_files(log, seg->base_offset))
            ok = err_set(err, ERR_IO, "log %s: segment %lld, behind a damaged one, cannot be removed",
                         log->name, (long long)seg->base_offset);
        segment_unref(seg);
    }
    log->segs.len = MIN(log->segs.len, first);
    return ok;
}

static bool cut_segment(struct log *log, struct log_segment *seg, uint64_t size, uint64_t file_size,
                        const struct err *why, struct err *err)
{
    log_warn("log", "segment_cut", "log=%s segment=%lld position=%llu bytes=%llu cause=%s", log->name,
             (long long)seg->base_offset, (unsigned long long)size, (unsigned long long)(file_size - size),
             why->text);
    int fd;
    if (!segment_open(log, seg, false, &fd, err))
        return false;
    char path[LOG_PATH_BYTES];
    log_path(log, seg->base_offset, "log", path);
    struct log_file file = {log->io, fd, path, file_size};
    if (!rescue_tail(log, &file, seg->base_offset, size, err))
        return false;
    int rc = io_truncate(log->io, fd, size);
    return rc >= 0 || err_set_errno(err, -rc, "log %s: segment %lld cannot be cut", log->name,
                                    (long long)seg->base_offset);
}

/* Publishes whole batches from `pos` on. *cut: the segment ended before its file did; it has been cut
 * there. `strict`: offsets must continue without a gap; otherwise they must only grow, as in the closed
 * segments of a compacted log. */
static bool scan_segment(struct log *log, struct log_segment *seg, uint64_t pos, bool strict, bool *cut,
                         struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    uint64_t file_size = seg->end_pos;
    seg->end_pos = pos;
    log->end = (struct log_point){log->end.offset, seg->base_offset, pos};
    if (!scan_open(&scan, log, seg, pos, file_size, true, err))
        return false;
    while (scan_next(&scan, &batch, &why)) {
        if (!batch_check_crc(&batch, &why))
            break;
        if (strict ? batch.base_offset != log->end.offset : batch.base_offset < log->end.offset) {
            err_set(&why, ERR_CORRUPT, "batch has offset %lld, %lld was expected",
                    (long long)batch.base_offset, (long long)log->end.offset);
            break;
        }
        log->loose |= batch.base_offset > log->end.offset || batch.leader_epoch != 0;
        log_publish(log, seg, scan.batch_pos, &batch);
    }
    scan_close(&scan);
    segment_close_file(seg); /* a start may scan more segments than there are descriptors */
    seg->times_known = true;
    *cut = why.code != ERR_NONE;
    if (why.code == ERR_IO ||
        why.code == ERR_DISK_FULL) { /* unreadable is not damaged: nothing is cut on that ground */
        if (err != NULL)
            *err = why;
        return false;
    }
    return !*cut || cut_segment(log, seg, seg->end_pos, file_size, &why, err);
}

/* Everything of this segment's indexes is made anew by the scan. */
static void restart_indexes(struct log_segment *seg)
{
    vec_clear(&seg->aborted);
    seg->aborted_saved = seg->index_saved = seg->times_saved = 0;
    seg->loaded = seg->counts_known = seg->stale = true;
}

/* What was cut off the segment belongs to no record of the log when the next one begins with the offset that follows: bytes that
 * were cut off before, whose new length the power has taken back. */
static bool continues_behind(const struct log *log, size_t i)
{
    return i + 1 < log->segs.len && log->segs.at[i + 1]->base_offset == log->end.offset;
}

/* Scans from the first segment that is not trusted; *scanned: some bytes were read or cut. */
static bool scan_tail(struct log *log, size_t first, uint64_t pos, bool strict, bool *scanned,
                      struct err *err)
{
    for (size_t i = first; i < log->segs.len; i++) {
        struct log_segment *seg = log->segs.at[i];
        bool cut = false;
        if (i > first || pos == 0) {
            bool fits = strict ? seg->base_offset == log->end.offset : seg->base_offset >= log->end.offset;
            if (i > first && !fits) {
                *scanned = true;
                return drop_from(log, i, err);
            }
            restart_indexes(seg);
            log->end.offset = MAX(log->end.offset, seg->base_offset);
        }
        *scanned |= seg->end_pos > (i == first ? pos : 0);
        bool last =
            i + 1 ==
            log->segs.len; /* written by appends alone: compaction leaves the active segment as it is */
        if (!scan_segment(log, seg, i == first ? pos : 0, strict || last, &cut, err))
            return false;
        if (i + 1 < log->segs.len)
            index_finish(seg);
        if (cut && !continues_behind(log, i))
            return drop_from(log, i + 1, err);
    }
    return true;
}

/* Prepares the segment of the checkpoint's point: what its indexes held then is trusted. */
static bool trust_segment(struct log *log, struct log_segment *seg, const struct checkpoint *ckpt,
                          struct err *err)
{
    uint64_t file_size = seg->end_pos;
    seg->first_timestamp_ms = ckpt->first_timestamp_ms;
    seg->max_timestamp_ms = ckpt->max_timestamp_ms;
    seg->max_timestamp_offset = ckpt->max_timestamp_offset;
    seg->times_known = seg->counts_known = true;
    seg->index_saved = ckpt->index_count;
    seg->times_saved = ckpt->times_count;
    if (seg->aborted.len > ckpt->aborted_count) {
        seg->aborted.len = ckpt->aborted_count;
        seg->aborted_saved = ckpt->aborted_count;
        seg->stale = true;
    }
    if (file_size == ckpt->point.pos)
        return true; /* nothing to scan: the index is read when somebody needs it */
    seg->end_pos = ckpt->point.pos;
    bool ok = index_load(log, seg, err);
    seg->end_pos = file_size;
    seg->stale = true;
    return ok;
}

/* The index of the segment that holds the point; -1 when the files do not reach it, and so cannot be
 * trusted. */
static ptrdiff_t find_point(const struct log *log, const struct log_point *point)
{
    ptrdiff_t i = segs_find(log, point->seg_base);
    if (i < 0 || log->segs.at[i]->base_offset != point->seg_base || log->segs.at[i]->end_pos < point->pos)
        return -1;
    return i;
}

static void start_empty(struct log *log, int64_t offset)
{
    struct log_segment *seg = segment_new(log, offset);
    seg->loaded = seg->counts_known = seg->times_known = seg->stale = true;
    vec_push(&log->segs, seg);
    log->end = (struct log_point){offset, offset, 0};
}

/* Without a usable checkpoint: producers are learnt anew from all that is there. */
static bool scan_all(struct log *log, bool *scanned, struct err *err)
{
    producers_clear(log);
    log->end.offset = log->segs.at[0]->base_offset;
    log_set_synced(log, (struct log_point){log->end.offset, log->end.offset, 0});
    return scan_tail(log, 0, 0, false, scanned, err);
}

static bool scan_from_checkpoint(struct log *log, const struct checkpoint *ckpt, bool *scanned,
                                 struct err *err)
{
    drop_below_start(log, ckpt);
    ptrdiff_t at = find_point(log, &ckpt->point);
    if (at < 0) {
        log_warn("log", "checkpoint_unusable", "log=%s cause=segment_%lld_is_shorter", log->name,
                 (long long)ckpt->point.seg_base);
        return scan_all(log, scanned, err);
    }
    if (log->segs.at[at]->aborted.len < ckpt->aborted_count) {
        log_warn("log", "checkpoint_unusable", "log=%s cause=txnindex_of_%lld_is_shorter", log->name,
                 (long long)ckpt->point.seg_base);
        return scan_all(log, scanned, err);
    }
    log->end = ckpt->point;
    log_set_synced(log, ckpt->point);
    if (ckpt->point.pos != 0 && !trust_segment(log, log->segs.at[at], ckpt, err))
        return false;
    return scan_tail(log, (size_t)at, ckpt->point.pos, true, scanned, err);
}

bool log_is_unsettled(struct log *log)
{
    return log->unsettled;
}

/* Without a checkpoint: thousands of logs would write one each. What was scanned counts towards the next. */
static void settle_synced(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    log_set_synced(log, log->end);
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
}

/* Makes what was found durable and lets the next start skip it. */
static bool settle(struct log *log, bool synced, struct err *err)
{
    if (!log_check_readable(log, err))
        return false;
    if (synced) {
        log->unsettled = false;
        settle_synced(log);
        return true;
    }
    if (log->dir_made && !log_secure_dir(log, err))
        return false;
    if (!log_sync_files(log, err))
        return false;
    log->unsettled = false;
    struct err why;
    if (!log_sync_all(log, true, log_start_offset(log), &why))
        log_warn("log", "checkpoint_failed", "log=%s cause=%s", log->name, why.text);
    return true;
}

bool log_settle(struct log *log, bool synced, struct err *err)
{
    struct err why = {0};
    if (settle(log, synced, &why)) {
        rescue_take_back(log);
        return true;
    }
    if (err != NULL)
        *err = why;
    return log_refuse(log, &why); /* how much of what was found had been durable, and told, is not known */
}

bool log_recover(struct log *log, struct err *err)
{
    struct found found = {0};
    struct checkpoint ckpt = {0};
    struct err why = {0};
    bool scanned = false, ok = list_files(log, &found, err) && tidy_files(log, &found, err);
    for (size_t i = 0; ok && i < found.bases.len; i++)
        ok = add_segment(log, &found, found.bases.at[i], err);
    bool usable = ok && log->dir_made && checkpoint_read(log, &ckpt, &why);
    if (ok && log->dir_made && !usable && why.code == ERR_IO) {
        ok = false; /* unreadable is not missing */
        if (err != NULL)
            *err = why;
    }
    log->has_cuts = found.cuts;
    found_fini(&found);
    if (!ok)
        return false;
    if (!usable && why.code != ERR_NOT_FOUND && log->dir_made)
        log_warn("log", "checkpoint_unusable", "log=%s cause=%s", log->name, why.text);
    if (log->segs.len == 0)
        start_empty(log, usable ? ckpt.point.offset : 0);
    else if (!(usable ? scan_from_checkpoint(log, &ckpt, &scanned, err) : scan_all(log, &scanned, err)))
        return false;
    int64_t start = MAX(usable ? ckpt.start_offset : 0, log->segs.at[0]->base_offset);
    atomic_store(&log->start_offset, MIN(start, log->end.offset));
    if (usable)
        log->checkpoint_base = ckpt.point.seg_base;
    log->cleaned_offset = usable ? MIN(ckpt.cleaned_offset, log->end.offset) : 0;
    log->loose |= usable && ckpt.loose;
    if (!scanned)
        log_set_synced(log, log->end);
    log->checkpoint_dirty = scanned;
    log->unsettled = scanned;
    bool later = log->config.settle_later;
    log->config.settle_later = false; /* a recovery that heals a running log stands alone */
    if (scanned && !later && !settle(log, false, err))
        return false;
    pthread_mutex_lock(&log->lock);
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
    return true;
}
