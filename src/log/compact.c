/* compact.c - one record a key: what is due, and the passes that do it.
 *
 *      cleaned offset         limit: closed, decided, durable, older than min.compaction.lag.ms
 *   |----- clean -----|----- dirty -----|-- untouched --|
 *
 *   log_compact
 *     sync, checkpoint                          what follows may be cut off anywhere (swap.c, W3)
 *     repeat until the cleaned offset is at the limit
 *       map_keys                                dirty batches, as many keys as there is room for
 *       for each run of neighbours that fits one segment
 *         clean_segment, ...                    clean.c
 *         swap_in                               swap.c
 *       the cleaned offset rises, checkpoint
 *
 * (K1) Offsets stay; what is read from any offset on holds at least the last record of every key (and, for
 *      delete.retention.ms, its tombstone).
 * (K2) Appends, syncs and reads go on: compaction reads closed files, writes a new one, and holds the log's locks only
 *      for a change of names.
 * (K3) Memory is what the caller allows for keys, and one batch.
 * (K4) Stopped or failed at any point, it has lost nothing and done nothing twice: the next one begins at the cleaned
 *      offset.
 * Decided against: skipping what is below the log start. It goes with its segment, and offsets there are refused anyway.
 */
#include "log/compact_int.h"

#include <stdlib.h>

/* --- what there is to do --- */

/* Closed segments, from the front, that compaction may touch; a reference each. */
struct range {
    vec(struct log_segment *) segs;
    vec(int64_t) ends; /* where the next one begins */
    int64_t first_dirty, limit;
};

static void range_fini(struct range *range)
{
    for (size_t i = 0; i < range->segs.len; i++)
        segment_unref(range->segs.at[i]);
    vec_fini(&range->segs);
    vec_fini(&range->ends);
}

static void range_cut(struct range *range, size_t count)
{
    while (range->segs.len > count)
        segment_unref(range->segs.at[--range->segs.len]);
    range->ends.len = count;
}

static void range_collect(struct log *log, struct range *range)
{
    pthread_mutex_lock(&log->lock);
    /* Neither the synced end nor the checkpoint on the disk may point into what changes places (swap.c, W3). */
    int64_t fixed = MIN(log->synced.seg_base, log->checkpoint_base);
    int64_t limit = MIN(txns_lso(log).offset, fixed);
    for (size_t i = 0; i + 1 < log->segs.len && log->segs.at[i + 1]->base_offset <= limit; i++) {
        vec_push(&range->segs, segment_ref(log->segs.at[i]));
        vec_push(&range->ends, log->segs.at[i + 1]->base_offset);
    }
    range->first_dirty = MAX(log->cleaned_offset, log_start_offset(log));
    pthread_mutex_unlock(&log->lock);
}

/* min.compaction.lag.ms: nothing from the first dirty segment on that holds a younger record. */
static bool range_apply_lag(struct log *log, struct range *range, int64_t lag_ms, int64_t now_ms,
                            struct err *err)
{
    for (size_t i = 0; lag_ms > 0 && i < range->segs.len; i++) {
        int64_t newest_ms;
        if (range->ends.at[i] <= range->first_dirty)
            continue;
        if (!segment_max_time(log, range->segs.at[i], &newest_ms, err))
            return false;
        if (newest_ms > now_ms - lag_ms) {
            range_cut(range, i);
            break;
        }
    }
    return true;
}

/* Release with range_fini, also after a failure. */
static bool range_find(struct log *log, const struct log_config *config, int64_t now_ms, struct range *range,
                       struct err *err)
{
    *range = (struct range){0};
    range_collect(log, range);
    if (!range_apply_lag(log, range, config->compaction_lag_min_ms, now_ms, err))
        return false;
    range->limit = range->ends.len != 0 ? vec_last(&range->ends) : 0;
    range->first_dirty = MIN(range->first_dirty, range->limit);
    return true;
}

/* Timestamp of the segment's first batch. */
static bool first_time(struct log *log, struct log_segment *seg, int64_t *out, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    if (!scan_open(&scan, log, seg, 0, seg->end_pos, false, err))
        return false;
    *out = scan_next(&scan, &batch, &why) ? batch.max_timestamp_ms : -1;
    scan_close(&scan);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

bool log_compact_due(struct log *log, int64_t now_ms, struct log_dirty *out, struct err *err)
{
    struct log_config config = log_get_config(log);
    struct range range;
    uint64_t clean = 0;
    *out = (struct log_dirty){0};
    if (!config.compaction_on)
        return true;
    bool ok = range_find(log, &config, now_ms, &range, err);
    int64_t oldest_ms = -1;
    for (size_t i = 0; ok && i < range.segs.len; i++) {
        bool dirty = range.ends.at[i] > range.first_dirty;
        *(dirty ? &out->dirty_bytes : &clean) += range.segs.at[i]->end_pos;
        if (dirty && oldest_ms < 0 && config.compaction_lag_max_ms != INT64_MAX)
            ok = first_time(log, range.segs.at[i], &oldest_ms, err);
    }
    range_fini(&range);
    if (!ok || out->dirty_bytes == 0)
        return ok;
    out->ratio = (double)out->dirty_bytes / (double)(out->dirty_bytes + clean);
    bool overdue = oldest_ms >= 0 && oldest_ms < now_ms && now_ms - oldest_ms > config.compaction_lag_max_ms;
    out->due = overdue || out->ratio > config.cleanable_ratio_min;
    return true;
}

/* --- keys --- */

static bool visit_keys(struct cleaner *cl, const struct batch *batch, void *arg, struct err *err)
{
    struct batch_iter it;
    struct record rec;
    const struct log_aborted *unused;
    bool *full = arg;
    if (batch_is_control(batch)) {
        ignore(clean_txns_marker(&cl->txns, batch, &unused), "only that it was met matters here");
        return true;
    }
    if (clean_txns_data(&cl->txns, batch) || batch_last_offset(batch) < cl->first_dirty)
        return true;
    if (!batch_iter_init(&it, batch, &cl->plain, err))
        return false;
    while (!*full && batch_iter_next(&it, &rec)) {
        if (rec.offset < cl->first_dirty || str_is_null(rec.key) || keymap_put(&cl->map, rec.key, rec.offset))
            continue;
        *full = cl->enough = true;
        cl->map_end = rec.offset; /* the rest is the next pass's */
    }
    return *full || batch_iter_ok(&it, err);
}

/* Maps the keys of the dirty part, as far as the memory reaches. */
static bool map_keys(struct cleaner *cl, const struct range *range, struct err *err)
{
    bool full = false;
    cl->map_end = cl->limit;
    clean_txns_begin(&cl->txns, cl->log);
    for (size_t i = 0; i < range->segs.len && !full && !cl->stopped; i++)
        if (range->ends.at[i] > cl->first_dirty &&
            !clean_each_batch(cl, range->segs.at[i], range->ends.at[i], visit_keys, &full, err))
            return false;
    return true;
}

/* --- a pass --- */

static int by_pid(const void *a, const void *b)
{
    const struct clean_writer *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void take_writers(struct cleaner *cl)
{
    struct log *log = cl->log;
    void *value;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; map_next(&log->producers, &i, NULL, &value);) {
        const struct producer *prod = value;
        int64_t last = prod->batch_count != 0 ? prod->batches[prod->batch_count - 1].last_offset : -1;
        vec_push(&cl->writers, (struct clean_writer){prod->pid, last, prod->epoch});
    }
    pthread_mutex_unlock(&log->lock);
    if (cl->writers.len != 0)
        qsort(cl->writers.at, cl->writers.len, sizeof *cl->writers.at, by_pid);
}

/* How many neighbours from the first on go into one segment. */
static size_t group_size(const struct range *range, size_t first, size_t end, uint32_t segment_bytes)
{
    uint64_t bytes = range->segs.at[first]->end_pos;
    size_t count = 1;
    for (; first + count < end; count++) {
        bytes += range->segs.at[first + count]->end_pos;
        int64_t span = range->ends.at[first + count] - range->segs.at[first]->base_offset;
        if (bytes > segment_bytes || span > INT32_MAX)
            break;
    }
    return count;
}

/* Writes `count` segments from the first on anew as one. cl->stopped: also when they are not there any more. */
static bool clean_group(struct cleaner *cl, const struct range *range, size_t first, size_t count,
                        struct err *err)
{
    struct clean_out out = {0};
    bool done = false;
    bool ok = clean_out_open(&out, cl->log, range->segs.at[first]->base_offset, err);
    for (size_t i = 0; ok && !cl->stopped && i < count; i++)
        ok = clean_segment(cl, range->segs.at[first + i], range->ends.at[first + i], &out, err);
    if (ok && !cl->stopped && (out.changed || count > 1)) {
        ok = clean_out_finish(&out, err) && swap_in(cl->log, range->segs.at + first, count, &out, &done, err);
        cl->stopped |= ok && !done;
    }
    clean_out_close(&out);
    return ok;
}

static bool publish(struct cleaner *cl, struct err *err)
{
    struct log *log = cl->log;
    pthread_mutex_lock(&log->sync_lock);
    pthread_mutex_lock(&log->lock);
    log->cleaned_offset = MAX(log->cleaned_offset, cl->map_end);
    log->checkpoint_dirty = true;
    pthread_mutex_unlock(&log->lock);
    bool ok = log_sync_all(log, true, log_start_offset(log), err);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

/* Brings the cleaned offset forward by as many keys as there is room for. */
static bool pass(struct cleaner *cl, const struct range *range, struct err *err)
{
    cl->first_dirty = range->first_dirty;
    cl->limit = range->limit;
    keymap_init(&cl->map, cl->options->map_bytes_max, (uint64_t)(cl->limit - cl->first_dirty),
                cl->options->seed);
    bool ok = map_keys(cl, range, err);
    size_t end = 0;
    while (end < range->segs.len && range->segs.at[end]->base_offset < cl->map_end)
        end++;
    clean_txns_begin(&cl->txns, cl->log);
    for (size_t first = 0; ok && !cl->stopped && first < end;) {
        size_t count = group_size(range, first, end, cl->config.segment_bytes);
        ok = clean_group(cl, range, first, count, err);
        first += count;
    }
    keymap_fini(&cl->map);
    cl->stats->passes++;
    return ok && (cl->stopped || publish(cl, err));
}

static bool all_passes(struct cleaner *cl, struct err *err)
{
    bool ok = true, more = true;
    int64_t target = -1; /* what is closed meanwhile is for another time: other logs wait too */
    take_writers(cl);
    while (ok && more && !cl->stopped) {
        struct range range;
        ok = range_find(cl->log, &cl->config, cl->now_ms, &range, err);
        if (target < 0)
            target = range.limit;
        more = ok && range.first_dirty < MIN(range.limit, target);
        ok = ok && (!more || pass(cl, &range, err));
        range_fini(&range);
    }
    return ok;
}

/* W3: what a start trusts must not point into what will be replaced; and it must know that offsets may have gaps. */
static bool prepare(struct log *log, struct err *err)
{
    pthread_mutex_lock(&log->sync_lock);
    pthread_mutex_lock(&log->lock);
    log->checkpoint_dirty |= log->dir_made && !log->loose;
    log->loose |= log->dir_made;
    pthread_mutex_unlock(&log->lock);
    bool ok = log_sync_all(log, true, log_start_offset(log), err);
    pthread_mutex_unlock(&log->sync_lock);
    return ok;
}

bool log_compact(struct log *log, int64_t now_ms, const struct log_compact_options *options,
                 struct log_compacted *out, struct err *err)
{
    *out = (struct log_compacted){0};
    struct cleaner cl = {
        .log = log, .options = options, .stats = out, .config = log_get_config(log), .now_ms = now_ms};
    cl.horizon_ms = cl.config.delete_retention_ms > INT64_MAX - now_ms
                        ? INT64_MAX
                        : now_ms + cl.config.delete_retention_ms;
    pthread_mutex_lock(&log->compact_lock);
    uint64_t before = log_size_bytes(log);
    bool ok = prepare(log, err) && all_passes(&cl, err);
    out->stopped = cl.stopped;
    uint64_t after = log_size_bytes(log);
    out->bytes_freed = before > after ? before - after : 0;
    pthread_mutex_unlock(&log->compact_lock);
    clean_txns_fini(&cl.txns);
    vec_fini(&cl.writers);
    vec_fini(&cl.keep);
    batch_builder_fini(&cl.builder);
    buf_fini(&cl.plain);
    return ok;
}
