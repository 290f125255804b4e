/* verify.c - what a disk has damaged is found before it is given out.
 *
 *     0         from        to            from      end_pos
 *     |  cold   |-- known --|    cold     |- known -|        ranges of a segment that are known to be good, in memory
 *                      |--- slice ---|
 *                           |-- read, checked, known from now on
 *
 * A slice is handed out when every batch that begins in it is known: written by this process, scanned by recovery, or read and
 * checked here. So the usual read, near the end of the log, costs a look at a few numbers, and a cold one a pass over its
 * bytes, which brings them into the page cache for the sendfile that follows. log_retain forgets all ranges: what was checked
 * then may have been dropped from the page cache since, and comes from the disk again.
 *
 * (D4) Known bytes begin and end between batches. A range says which offset follows it, so that the check goes on where it ended.
 * (D5) Checked are the checksum and what it does not cover: offsets continue, and none reaches what comes behind the segment.
 *      As long as neither compaction nor another program has been here (log->loose) they continue without a gap, and the
 *      leader epoch is 0.
 * (D6) What lies before the damage in a slice is given; what begins with it is refused. Behind it goes on who asks for an offset
 *      there. The place is told once a batch and process, and counted.
 * (D7) A read checks at most VERIFY_BYTES_MAX, then its slice ends: a network thread does not wait longer for a cold disk.
 */
#include "log/log_int.h"

#include "metric/metric.h"

enum { VERIFY_BYTES_MAX = 4 << 20, RANGES_MAX = 64, TOLD_MAX = 64 };
enum { WINDOW_BYTES = 64 << 10 }; /* small enough to stay in the processor's cache from the read to the sum */

/* --- known ranges; under `lock` --- */

/* The range that reaches `pos` or begins first behind it. */
static size_t range_find(const struct log_segment *seg, uint64_t pos)
{
    size_t i = seg->known.len;
    while (i > 0 && seg->known.at[i - 1].to >= pos) /* from the back: the end of the log is read most */
        i--;
    return i;
}

/* Bounds the memory of who reads here and there: the smallest is checked again one day. */
static void range_drop_smallest(struct log_segment *seg)
{
    size_t smallest = 0;
    for (size_t i = 1; i < seg->known.len; i++)
        if (seg->known.at[i].to - seg->known.at[i].from <
            seg->known.at[smallest].to - seg->known.at[smallest].from)
            smallest = i;
    vec_remove(&seg->known, smallest);
}

void known_add(struct log_segment *seg, const struct known *add)
{
    struct known whole = *add;
    size_t i = range_find(seg, add->from), end = i;
    for (; end < seg->known.len && seg->known.at[end].from <= whole.to; end++) {
        const struct known *other = &seg->known.at[end];
        whole.from = MIN(whole.from, other->from);
        if (other->to > whole.to) {
            whole.to = other->to;
            whole.next_offset = other->next_offset;
        }
    }
    if (end > i) {
        seg->known.at[i] = whole;
        memmove(seg->known.at + i + 1, seg->known.at + end, (seg->known.len - end) * sizeof *seg->known.at);
        seg->known.len -= end - i - 1;
        return;
    }
    vec_push(&seg->known, whole);
    memmove(seg->known.at + i + 1, seg->known.at + i, (seg->known.len - 1 - i) * sizeof *seg->known.at);
    seg->known.at[i] = whole;
    if (seg->known.len > RANGES_MAX)
        range_drop_smallest(seg);
}

void known_cut(struct log_segment *seg, uint64_t pos)
{
    while (seg->known.len > 0 && vec_last(&seg->known).to > pos)
        seg->known.len--; /* what of it is left is checked again */
}

void known_forget(struct log_segment *seg)
{
    vec_fini(&seg->known);
}

/* --- damage --- */

void damage_tell(struct log *log, struct log_segment *seg, uint64_t pos, struct err *why)
{
    char path[LOG_PATH_BYTES];
    bool told = false;
    log_path(log, seg->base_offset, "log", path);
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < seg->told.len; i++)
        told |= seg->told.at[i] == pos;
    told |= seg->told.len >= TOLD_MAX;
    if (!told)
        vec_push(&seg->told, pos);
    struct metric *counter = log->config.damaged;
    pthread_mutex_unlock(&log->lock);
    if (!told && counter != NULL)
        metric_add(counter, 1);
    if (!told)
        log_error("log", "damaged", "log=%s file=%s position=%llu cause=\"%s\"", log->name, path,
                  (unsigned long long)pos, why->text);
    err_context(why, "%s, position %llu", path, (unsigned long long)pos);
}

/* --- one batch --- */

bool batch_continues(const struct batch *batch, const struct expect *expect, struct err *err)
{
    if (batch->leader_epoch != 0 && !expect->any_epoch)
        return err_set(err, ERR_CORRUPT, "leader epoch is %d, it was written as 0", batch->leader_epoch);
    if (batch->base_offset < expect->offset || (expect->exact && batch->base_offset > expect->offset))
        return err_set(err, ERR_CORRUPT, "batch has offset %lld, %lld was expected",
                       (long long)batch->base_offset, (long long)expect->offset);
    if (batch_last_offset(batch) >= expect->limit)
        return err_set(err, ERR_CORRUPT, "batch ends at offset %lld, what is behind it begins at %lld",
                       (long long)batch_last_offset(batch), (long long)expect->limit);
    return true;
}

void expect_next(struct expect *expect, const struct batch *batch)
{
    expect->offset = batch_last_offset(batch) + 1;
    expect->exact = !expect->any_epoch;
}

/* --- slices --- */

struct verify {
    struct log *log;
    struct log_segment *seg;
    uint64_t limit; /* bytes of the segment that may be seen */
    uint64_t at;    /* good up to here */
    uint64_t checked;
    uint32_t incarnation; /* published bytes may be dropped, and others take their place */
    struct expect expect; /* of the batch at `at` */
};

/* Steps over what is known; gives where the next known range begins. */
static uint64_t skip_known(struct verify *verify)
{
    uint64_t stop = UINT64_MAX;
    pthread_mutex_lock(&verify->log->lock);
    const struct log_segment *seg = verify->seg;
    size_t i = range_find(seg, verify->at);
    if (i < seg->known.len && seg->known.at[i].from <= verify->at) {
        verify->at = seg->known.at[i].to;
        verify->expect.offset = seg->known.at[i].next_offset;
        verify->expect.exact = !verify->expect.any_epoch;
        i++;
    }
    if (i < seg->known.len)
        stop = seg->known.at[i].from;
    pthread_mutex_unlock(&verify->log->lock);
    return stop;
}

/* Checks the batches that begin before `stop`. False: *why, and verify->at is where. */
static bool check_run(struct verify *verify, uint64_t stop, struct err *why)
{
    struct log *log = verify->log;
    struct scan scan;
    struct batch batch;
    struct known run = {.from = verify->at};
    if (!scan_open(&scan, log, verify->seg, verify->at, verify->limit, false, why))
        return false;
    scan.window = WINDOW_BYTES;
    while (verify->at < stop && verify->checked < VERIFY_BYTES_MAX && scan_next(&scan, &batch, why) &&
           scan_sum(&scan, &batch, why) && batch_continues(&batch, &verify->expect, why)) {
        verify->checked += scan.pos - verify->at;
        verify->at = scan.pos;
        expect_next(&verify->expect, &batch);
    }
    scan_close(&scan);
    run.to = verify->at;
    run.next_offset = verify->expect.offset;
    pthread_mutex_lock(&log->lock);
    if (run.to > run.from && atomic_load(&log->incarnation) == verify->incarnation)
        known_add(verify->seg, &run);
    pthread_mutex_unlock(&log->lock);
    return why->code == ERR_NONE;
}

/* The slice ends before what is damaged, or there is none. */
static bool end_at_damage(const struct verify *verify, struct log_slice *slice, struct err *why,
                          struct err *err)
{
    struct log *log = verify->log;
    bool changed = atomic_load(&log->incarnation) != verify->incarnation;
    if (why->code != ERR_IO && why->code != ERR_DISK_FULL)
        why->code = changed ? ERR_STORAGE : ERR_CORRUPT;
    if (!changed)
        damage_tell(log, verify->seg, verify->at, why);
    slice->len = (size_t)(verify->at - slice->pos);
    if (slice->len != 0)
        return true;
    if (err != NULL)
        *err = *why;
    return false;
}

bool slice_verify(struct log *log, struct log_segment *seg, uint64_t limit, int64_t offset_limit, bool loose,
                  struct log_slice *slice, struct err *err)
{
    struct verify verify = {.log = log,
                            .seg = seg,
                            .limit = limit,
                            .at = slice->pos,
                            .incarnation = atomic_load(&log->incarnation),
                            .expect = {slice->base_offset, offset_limit, true, loose}};
    uint64_t end = slice->pos + slice->len;
    struct err why = {0};
    for (;;) {
        uint64_t stop = skip_known(&verify);
        if (verify.at >= end)
            return true;
        if (verify.checked >= VERIFY_BYTES_MAX) { /* D7 */
            slice->len = (size_t)(verify.at - slice->pos);
            return true;
        }
        if (!check_run(&verify, MIN(end, stop), &why))
            return end_at_damage(&verify, slice, &why, err);
    }
}
