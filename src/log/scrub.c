/* scrub.c - reads what nobody reads, and says where the disk has damaged it.
 *
 *   segments, from the log start to the synced end
 *     | good | good | damaged |  ?  | good ...        each batch as verify.c checks it, from the disk, by the page cache
 *                   told      |
 *                             behind a header that cannot be read: the next index entry
 *
 * (B1) It reads by a descriptor of its own that goes by the page cache (IO_COLD): what is found is what the disk holds, and
 *      what others have in the cache stays there.
 * (B2) It changes nothing and holds no lock but for moments. A segment that goes or is replaced meanwhile is read to its end
 *      or left out.
 * (B3) Memory is a window of LOG_SCAN_BYTES and the index files of one segment (5 MiB a full GiB).
 * (B4) Index files of closed segments are held against the batches on the way (scrub_index.c). What does not fit is no damage of
 *      the log: it is made anew.
 */
#include "log/scrub_int.h"

#include <errno.h>

struct scrub {
    struct log *log;
    const struct log_scrub_options *options;
    struct log_scrubbed *stats;
    struct log_segment *seg; /* reference */
    uint64_t limit;          /* synced bytes of it */
    int64_t offset_limit;
    int64_t next_base; /* of the segment behind it; -1: there is none */
    bool loose;
};

/* The segment that holds the offset, or begins behind it. */
static bool take_segment(struct scrub *scrub, int64_t offset)
{
    struct log *log = scrub->log;
    pthread_mutex_lock(&log->lock);
    size_t i = (size_t)MAX(segs_find(log, offset), 0);
    bool found = offset < log->synced.offset;
    if (found) {
        scrub->seg = segment_ref(log->segs.at[i]);
        scrub->limit = segment_limit(scrub->seg, &log->synced);
        scrub->next_base = i + 1 < log->segs.len ? log->segs.at[i + 1]->base_offset : -1;
        scrub->offset_limit = scrub->next_base >= 0 ? scrub->next_base : log->end.offset;
        scrub->loose = log->loose;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

/* A descriptor of the segment's own file, by name: not while a compacted one takes its place. -1: it has gone. */
static int open_cold(struct scrub *scrub, struct err *err)
{
    struct log *log = scrub->log;
    char path[LOG_PATH_BYTES];
    log_path(log, scrub->seg->base_offset, "log", path);
    pthread_mutex_lock(&log->load_lock);
    pthread_mutex_lock(&log->lock);
    bool replaced = scrub->seg->replaced;
    pthread_mutex_unlock(&log->lock);
    int fd = replaced ? -ENOENT : io_open(log->io, path, IO_COLD);
    pthread_mutex_unlock(&log->load_lock);
    if (fd < 0 && fd != -ENOENT)
        err_set_errno(err, -fd, "%s: cannot be opened", path);
    return MAX(fd, -1);
}

/* Where the walk goes on behind what has no readable header; false: nowhere. */
static bool find_next(struct scrub *scrub, uint64_t pos, struct scan *scan, struct expect *expect)
{
    struct log_point next;
    if (!index_load(scrub->log, scrub->seg, NULL))
        return false;
    pthread_mutex_lock(&scrub->log->lock);
    bool found = index_behind(scrub->seg, pos, &next) && next.pos < scrub->limit;
    pthread_mutex_unlock(&scrub->log->lock);
    if (!found)
        return false;
    scan->pos = next.pos;
    expect->offset = next.offset;
    expect->exact = true;
    return true;
}

static bool keep_pace(struct scrub *scrub, uint64_t bytes)
{
    const struct log_scrub_options *options = scrub->options;
    scrub->stats->bytes += bytes;
    scrub->stats->stopped = options->pace != NULL && !options->pace(options->arg, bytes);
    return !scrub->stats->stopped;
}

static void tell(struct scrub *scrub, uint64_t pos, struct err *why)
{
    scrub->stats->damaged++;
    damage_tell(scrub->log, scrub->seg, pos, why);
}

static void scrub_segment(struct scrub *scrub, int fd)
{
    struct scan scan;
    struct batch batch;
    struct scrub_index index = {0};
    struct expect expect = {scrub->seg->base_offset, scrub->offset_limit, !scrub->loose, scrub->loose};
    bool lost = false; /* the batch before was damaged: where this one begins is what it said */
    if (scrub->next_base >= 0)
        scrub_index_open(&index, scrub->log, scrub->seg);
    scan_open_cold(&scan, scrub->log, scrub->seg, fd, scrub->limit);
    for (uint64_t paced = 0, bad_pos = 0; scan.pos < scan.end;) {
        struct err why = {0};
        uint64_t pos = scan.pos;
        bool known = scan_next(&scan, &batch, &why);
        if (known && scan_sum(&scan, &batch, &why) && batch_continues(&batch, &expect, &why)) {
            expect_next(&expect, &batch);
            lost = false;
            scrub_index_note(&index, &batch, pos);
        } else {
            index.open = false; /* what the entries should be is not known */
            bad_pos = lost ? bad_pos : pos;
            if (!lost || known)
                tell(scrub, pos, &why);
            if (!known && !find_next(scrub, bad_pos, &scan, &expect))
                break;
            lost = known;
            expect.exact &= !known; /* how many offsets it has is not known for sure */
        }
        paced = MIN(paced, scan.pos); /* an index entry may lie before what a wrong length led to */
        if (scan.pos - paced >= LOG_SCAN_BYTES || scan.pos >= scan.end) {
            if (!keep_pace(scrub, scan.pos - paced))
                break;
            paced = scan.pos;
        }
    }
    scan_close(&scan);
    if (scan.pos < scan.end)
        index.open = false;
    scrub_index_close(&index, scrub->log, scrub->seg);
}

void log_scrub(struct log *log, const struct log_scrub_options *options, struct log_scrubbed *out)
{
    struct scrub scrub = {.log = log, .options = options, .stats = out};
    *out = (struct log_scrubbed){0};
    if (!log_check_readable(log, NULL))
        return;
    for (int64_t offset = log_start_offset(log); offset >= 0 && !out->stopped;) {
        struct err why = {0};
        if (!take_segment(&scrub, offset))
            return;
        int fd = scrub.limit != 0 ? open_cold(&scrub, &why) : -1;
        if (fd >= 0) {
            scrub_segment(&scrub, fd);
            io_close(log->io, fd);
        } else if (why.code != ERR_NONE) {
            tell(&scrub, 0, &why);
        }
        segment_unref(scrub.seg);
        offset = scrub.next_base;
    }
}
