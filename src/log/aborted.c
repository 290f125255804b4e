/* aborted.c - the abort index of a segment: transactions whose abort marker lies in it, for readers of decided data.
 *
 * It is small, and always in memory; the file is read by a start. A wrong entry gives aborted records to read_committed, and
 * there is no place in Kafka's file for a checksum: it stands in the checkpoint.
 *
 *   checkpoint_encode   sums: of each segment's entries          checkpoint_read   segments whose entries do not fit: distrusted
 *   log_aborted_in, compaction, before they use it               aborted_secure    distrusted ones are made anew, by a walk from
 *                                                                                  the log start over all batches
 *
 * (A1) A distrusted index is not vouched for: the sum that is written for it fits nothing, until it was made anew.
 */
#include "log/log_int.h"

/* --- the file --- */

void aborted_encode(const struct log_aborted *entries, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        char *at = buf_extend(out, LOG_ABORTED_ENTRY_BYTES);
        store_be16(at, 0);
        store_be64(at + 2, (uint64_t)entries[i].pid);
        store_be64(at + 10, (uint64_t)entries[i].first_offset);
        store_be64(at + 18, (uint64_t)entries[i].last_offset);
        store_be64(at + 26, (uint64_t)entries[i].lso);
    }
}

bool aborted_load(struct log *log, struct log_segment *seg, uint32_t count_max, struct err *err)
{
    struct buf bytes = {0};
    bool missing, ok = index_file_read(log, seg, "txnindex", &bytes, &missing, err);
    for (size_t i = 0; ok && i < bytes.len / LOG_ABORTED_ENTRY_BYTES && i < count_max; i++) {
        const char *at = bytes.ptr + i * LOG_ABORTED_ENTRY_BYTES + 2; /* after the version */
        vec_push(&seg->aborted,
                 (struct log_aborted){(int64_t)load_be64(at), (int64_t)load_be64(at + 8),
                                      (int64_t)load_be64(at + 16), (int64_t)load_be64(at + 24)});
    }
    seg->aborted_saved = (uint32_t)seg->aborted.len;
    buf_fini(&bytes);
    return ok;
}

/* --- sums --- */

uint32_t aborted_sum(const struct log_segment *seg, size_t count)
{
    struct buf bytes = {0};
    aborted_encode(seg->aborted.at, count, &bytes);
    uint32_t sum = hash_crc32c(0, bytes.ptr, bytes.len);
    buf_fini(&bytes);
    return seg->aborted_distrusted ? ~sum : sum; /* A1 */
}

void aborted_distrust(struct log *log, struct log_segment *seg)
{
    seg->aborted_distrusted = true;
    atomic_store(&log->aborted_distrusted, true);
    log_warn("log", "txnindex_damaged", "log=%s segment=%lld", log->name, (long long)seg->base_offset);
}

void aborted_rewrite(struct log *log, struct log_segment *seg)
{
    bool ok =
        index_load(log, seg, NULL); /* how much the other files hold has to be known before any is written */
    pthread_mutex_lock(&log->lock);
    seg->aborted_saved = 0;
    seg->stale = true;
    log->checkpoint_dirty |= ok;
    pthread_mutex_unlock(&log->lock);
    log_warn("log", "txnindex_damaged", "log=%s segment=%lld", log->name, (long long)seg->base_offset);
}

/* --- made anew --- */

struct remade {
    struct log_segment *seg; /* a reference */
    size_t known; /* entries that it had when the walk began: those behind were added since, and are right */
    vec(struct log_aborted) entries;
};

struct remake {
    struct log *log;
    vec(struct remade) segs;
    struct map open; /* pid -> 1 + first offset */
};

static void note_marker(struct remake *remake, const struct batch *batch, struct remade *into)
{
    enum marker marker;
    int32_t coordinator_epoch;
    struct str pid = str_of((const char *)&batch->pid, sizeof batch->pid);
    if (!batch_read_marker(batch, &marker, &coordinator_epoch))
        return;
    uintptr_t first = (uintptr_t)map_remove(&remake->open, pid);
    if (first == 0 || marker != MARKER_ABORT)
        return;
    int64_t lso = batch->base_offset + 1;
    void *other;
    for (size_t i = 0; map_next(&remake->open, &i, NULL, &other);)
        lso = MIN(lso, (int64_t)(uintptr_t)other - 1);
    vec_push(&into->entries, (struct log_aborted){batch->pid, (int64_t)first - 1, batch->base_offset, lso});
}

static bool walk_segment(struct remake *remake, struct remade *into, struct err *err)
{
    struct scan scan;
    struct batch batch;
    struct err why = {0};
    if (!scan_open(&scan, remake->log, into->seg, 0, segment_bytes(remake->log, into->seg), true, err))
        return false;
    while (scan_next(&scan, &batch, &why) && scan_check_crc(&scan, &batch, &why)) {
        struct str pid = str_of((const char *)&batch.pid, sizeof batch.pid);
        if (!batch_is_transactional(&batch))
            continue;
        if (batch_is_control(&batch))
            note_marker(remake, &batch, into);
        else if (!map_has(&remake->open, pid))
            map_put(&remake->open, pid, (void *)(uintptr_t)(batch.base_offset + 1));
    }
    scan_close(&scan);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

/* What was found takes the place of what was distrusted. Under `lock`. */
static void adopt(struct remade *made)
{
    struct log_segment *seg = made->seg;
    for (size_t i = made->known; i < seg->aborted.len; i++) {
        bool found = false;
        for (size_t k = 0; k < made->entries.len; k++)
            found |= made->entries.at[k].last_offset == seg->aborted.at[i].last_offset;
        if (!found)
            vec_push(&made->entries, seg->aborted.at[i]);
    }
    vec_clear(&seg->aborted);
    for (size_t i = 0; i < made->entries.len; i++)
        vec_push(&seg->aborted, made->entries.at[i]);
    seg->aborted_saved = 0;
    seg->stale = true;
    seg->aborted_distrusted = false;
}

static void take_segments(struct remake *remake)
{
    struct log *log = remake->log;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segs.len; i++)
        vec_push(&remake->segs,
                 (struct remade){segment_ref(log->segs.at[i]), log->segs.at[i]->aborted.len, {0}});
    pthread_mutex_unlock(&log->lock);
}

/* As far as the batches can be read. What lies behind stays as it is, and distrusted until a start can read on. */
static void remake_all(struct remake *remake)
{
    struct log *log = remake->log;
    struct err why = {0};
    bool ok = true;
    for (size_t i = 0; i < remake->segs.len && ok; i++) {
        struct remade *made = &remake->segs.at[i];
        ok = walk_segment(remake, made, &why) &&
             index_load(log, made->seg, &why); /* or its files are not written */
        pthread_mutex_lock(&log->lock);
        if (ok && made->seg->aborted_distrusted) {
            adopt(made);
            log->checkpoint_dirty = true;
        }
        pthread_mutex_unlock(&log->lock);
    }
    if (!ok)
        log_warn("log", "txnindex_not_remade", "log=%s cause=%s", log->name, why.text);
}

void aborted_secure(struct log *log)
{
    struct remake remake = {.log = log};
    if (!atomic_load(&log->aborted_distrusted))
        return;
    pthread_mutex_lock(&log->abort_lock);
    if (atomic_load(&log->aborted_distrusted)) {
        take_segments(&remake);
        remake_all(&remake);
        atomic_store(&log->aborted_distrusted, false);
    }
    pthread_mutex_unlock(&log->abort_lock);
    for (size_t i = 0; i < remake.segs.len; i++) {
        vec_fini(&remake.segs.at[i].entries);
        segment_unref(remake.segs.at[i].seg);
    }
    vec_fini(&remake.segs);
    map_fini(&remake.open);
}
