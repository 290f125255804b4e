/* scrub_index.c - index files against the batches: every entry, and that none is missing at the end.
 *
 *   .index       (delta, pos)        a batch begins at pos, with this offset
 *   .timeindex   (time, delta)       the batch that holds this offset has this time, and none before it has as much
 *   .txnindex                        byte for byte what is in memory: a start has held that against its checksum
 */
#include "log/scrub_int.h"

/* A whole file by a descriptor that goes by the page cache; a missing one is empty. */
static bool read_cold(struct log *log, const struct log_segment *seg, const char *suffix, struct buf *out)
{
    char path[LOG_PATH_BYTES];
    struct io_stat st;
    log_path(log, seg->base_offset, suffix, path);
    if (io_stat(log->io, path, &st) < 0)
        return true;
    int fd = io_open(log->io, path, IO_COLD);
    if (fd < 0)
        return false;
    size_t room = ALIGN_UP((size_t)st.size + 1, IO_COLD_ALIGN), len = 0;
    char *bytes = mem_alloc_aligned(IO_COLD_ALIGN, room);
    ssize_t got = 0;
    while (len < st.size && (got = io_pread(log->io, fd, bytes + len, room - len, len)) > 0) {
        len += (size_t)got;
        if (len < st.size)
            len -= len % IO_COLD_ALIGN;
        if ((size_t)got < IO_COLD_ALIGN && len < st.size)
            break; /* it gets nowhere */
    }
    io_close(log->io, fd);
    buf_append(out, bytes, MIN(len, (size_t)st.size));
    free(bytes);
    return got >= 0 && len >= st.size;
}

/* Is there anything on the disk to compare with? The entries of the abort index in memory go to `txns`. */
static bool take_expected(struct log *log, const struct log_segment *seg, size_t *places, size_t *times,
                          struct buf *txns)
{
    pthread_mutex_lock(&log->lock);
    bool settled =
        !seg->replaced && !seg->stale && !seg->distrusted && !seg->unfinished && !seg->aborted_distrusted &&
        seg->aborted_saved == seg->aborted.len &&
        (!seg->loaded || (seg->index_saved == seg->index.len && seg->times_saved == seg->times.len));
    *places = seg->counts_known ? (size_t)seg->index_saved * LOG_INDEX_ENTRY_BYTES : SIZE_MAX;
    *times = seg->counts_known ? (size_t)seg->times_saved * LOG_TIME_ENTRY_BYTES : SIZE_MAX;
    if (settled)
        aborted_encode(seg->aborted.at, seg->aborted.len, txns);
    pthread_mutex_unlock(&log->lock);
    return settled;
}

void scrub_index_open(struct scrub_index *index, struct log *log, struct log_segment *seg)
{
    struct buf txns = {0}, txns_file = {0};
    size_t places, times;
    *index = (struct scrub_index){.base_offset = seg->base_offset, .largest_ms = -1};
    pthread_mutex_lock(&log->load_lock); /* by name: not while a compacted segment takes the place */
    index->open =
        take_expected(log, seg, &places, &times, &txns) && read_cold(log, seg, "index", &index->places) &&
        read_cold(log, seg, "timeindex", &index->times) && read_cold(log, seg, "txnindex", &txns_file);
    pthread_mutex_unlock(&log->load_lock);
    index->wrong_txns = index->open && !str_eq(buf_str(&txns), buf_str(&txns_file));
    index->wrong = index->open && ((places != SIZE_MAX && places != index->places.len) ||
                                   (times != SIZE_MAX && times != index->times.len));
    index->places.len -= index->places.len % LOG_INDEX_ENTRY_BYTES;
    index->times.len -= index->times.len % LOG_TIME_ENTRY_BYTES;
    buf_fini(&txns);
    buf_fini(&txns_file);
}

void scrub_index_note(struct scrub_index *index, const struct batch *batch, uint64_t pos)
{
    if (!index->open)
        return;
    int64_t delta = batch->base_offset - index->base_offset,
            last_delta = batch_last_offset(batch) - index->base_offset;
    if (index->place_at < index->places.len) {
        const char *at = index->places.ptr + index->place_at;
        uint64_t entry_pos = load_be32(at + 4);
        index->wrong |= entry_pos < pos || (entry_pos == pos && load_be32(at) != delta);
        index->place_at += entry_pos <= pos ? LOG_INDEX_ENTRY_BYTES : 0;
    }
    int64_t before_ms = index->largest_ms;
    if (batch->record_count != 0)
        index->largest_ms = MAX(index->largest_ms, batch->max_timestamp_ms);
    if (index->time_at < index->times.len) {
        const char *at = index->times.ptr + index->time_at;
        int64_t entry_delta = load_be32(at + 8), time_ms = (int64_t)load_be64(at);
        bool is_it = time_ms == index->largest_ms && time_ms > before_ms;
        index->wrong |= entry_delta < delta || (entry_delta <= last_delta && !is_it);
        index->time_at += entry_delta <= last_delta ? LOG_TIME_ENTRY_BYTES : 0;
    }
}

void scrub_index_close(struct scrub_index *index, struct log *log, struct log_segment *seg)
{
    if (index->open) {
        bool all = index->place_at == index->places.len && index->time_at == index->times.len;
        bool ended = index->times.len == 0 || (int64_t)load_be64(index->times.ptr + index->times.len -
                                                                 LOG_TIME_ENTRY_BYTES) == index->largest_ms;
        pthread_mutex_lock(&log->lock);
        bool replaced = seg->replaced;
        pthread_mutex_unlock(&log->lock);
        if (!replaced && (index->wrong || !all || !ended))
            index_distrust(log, seg);
        if (!replaced && index->wrong_txns)
            aborted_rewrite(log, seg);
    }
    buf_fini(&index->places);
    buf_fini(&index->times);
}
