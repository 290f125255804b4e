/* checkpoint.c - the file that lets a start skip what was there before: DIR/<topic>-<partition>/checkpoint.
 *
 *   "rlck" | version 2 | flags | crc32c of what follows                                u32 u16 u16 u32
 *     flags: bit 0: offsets may have gaps, leader epochs other values than 0; bit 1: the sums at the end are there
 *   log start | cleaned offset (not in version 1)                                      i64 i64
 *   end offset | segment's base | position in it                                       i64 i64 u64
 *   first timestamp | largest timestamp | its offset                of that segment    i64 i64 i64
 *   entries of .index | of .timeindex | of .txnindex                of that segment    u32 u32 u32
 *   producer count, { pid epoch coordinator-epoch seen-ms last-timestamp n, n x batch }        u32 ...
 *   batch: base sequence | last sequence | base offset | last offset | timestamp       i32 i32 i64 i64 i64
 *   transaction count, { pid first-offset segment's-base position }   open ones        u32 ...
 *   sum count, { segment's-base entries crc32c }   of each .txnindex, in the file's form   u32 { i64 u32 u32 }
 *
 * Numbers are big-endian. Everything below the end offset was durable when the file was written, the index
 * entries included. A file that is missing or damaged means: scan the whole log. It is replaced as a whole,
 * so it is never torn.
 */
#include "log/log_int.h"

#include <stdio.h>

enum {
    CHECKPOINT_MAGIC = 0x726c636b,
    CHECKPOINT_VERSION = 2,
    CHECKPOINT_LOOSE = 1 << 0, /* flags */
    CHECKPOINT_SUMS = 1 << 1,
    CHECKPOINT_HEAD_BYTES = 12,
    CHECKPOINT_BYTES_MAX = 256 << 20,
};

static void put16(struct buf *out, uint16_t v)
{
    store_be16(buf_extend(out, 2), v);
}

static void put32(struct buf *out, uint32_t v)
{
    store_be32(buf_extend(out, 4), v);
}

static void put64(struct buf *out, int64_t v)
{
    store_be64(buf_extend(out, 8), (uint64_t)v);
}

static void put_producer(struct buf *out, const struct producer *prod)
{
    put64(out, prod->pid);
    put16(out, (uint16_t)prod->epoch);
    put32(out, (uint32_t)prod->coordinator_epoch);
    put64(out, prod->seen_ms);
    put64(out, prod->last_timestamp_ms);
    put32(out, (uint32_t)prod->batch_count);
    for (int i = 0; i < prod->batch_count; i++) {
        put32(out, (uint32_t)prod->batches[i].base_seq);
        put32(out, (uint32_t)prod->batches[i].last_seq);
        put64(out, prod->batches[i].base_offset);
        put64(out, prod->batches[i].last_offset);
        put64(out, prod->batches[i].timestamp_ms);
    }
}

static void put_txns(struct buf *out, const struct log *log)
{
    size_t count_at = out->len;
    uint32_t count = 0;
    put32(out, 0);
    list_each (struct log_txn, txn, &log->txns, link) {
        if (txn->marker_offset >= 0)
            continue; /* decided below the end offset: durable with it */
        put64(out, txn->pid);
        put64(out, txn->first.offset);
        put64(out, txn->first.seg_base);
        put64(out, (int64_t)txn->first.pos);
        count++;
    }
    store_be32(out->ptr + count_at, count);
}

static void put_abort_sums(struct buf *out, const struct log *log)
{
    size_t count_at = out->len;
    uint32_t count = 0;
    put32(out, 0);
    for (size_t i = 0; i < log->segs.len; i++) {
        const struct log_segment *seg = log->segs.at[i];
        if (seg->aborted.len == 0 && !seg->aborted_distrusted)
            continue;
        put64(out, seg->base_offset);
        put32(out, (uint32_t)seg->aborted.len);
        put32(out, aborted_sum(seg, seg->aborted.len));
        count++;
    }
    store_be32(out->ptr + count_at, count);
}

static void put_head(struct buf *out, bool loose, int64_t start_offset, int64_t cleaned_offset,
                     const struct log_point *point)
{
    put32(out, CHECKPOINT_MAGIC);
    put16(out, CHECKPOINT_VERSION);
    put16(out, CHECKPOINT_SUMS | (loose ? CHECKPOINT_LOOSE : 0));
    put32(out, 0);
    put64(out, start_offset);
    put64(out, cleaned_offset);
    put64(out, point->offset);
    put64(out, point->seg_base);
    put64(out, (int64_t)point->pos);
}

static void put_sum(struct buf *out)
{
    store_be32(out->ptr + 8,
               hash_crc32c(0, out->ptr + CHECKPOINT_HEAD_BYTES, out->len - CHECKPOINT_HEAD_BYTES));
}

void checkpoint_encode(const struct log *log, int64_t start_offset, struct buf *out)
{
    const struct log_segment *seg = segs_active(log);
    ASSERT_CMP(seg->base_offset, ==, log->end.seg_base);
    put_head(out, log->loose, start_offset, log->cleaned_offset, &log->end);
    put64(out, seg->first_timestamp_ms);
    put64(out, seg->max_timestamp_ms);
    put64(out, seg->max_timestamp_offset);
    put32(out, seg->loaded ? (uint32_t)seg->index.len : seg->index_saved);
    put32(out, seg->loaded ? (uint32_t)seg->times.len : seg->times_saved);
    put32(out, (uint32_t)seg->aborted.len);
    put32(out, (uint32_t)log->producers.len);
    void *value;
    for (size_t i = 0; map_next(&log->producers, &i, NULL, &value);)
        put_producer(out, value);
    put_txns(out, log);
    put_abort_sums(out, log);
    put_sum(out);
}

/* One of a log that begins: it speaks of no byte. */
static bool write_first(struct log *log, int64_t base_offset, struct err *err)
{
    struct buf bytes = {0};
    char path[LOG_PATH_BYTES];
    snprintf(path, sizeof path, "%s/checkpoint", log->dir);
    put_head(&bytes, false, base_offset, 0, &(struct log_point){base_offset, base_offset, 0});
    for (int i = 0; i < 3; i++)
        put64(&bytes, -1); /* no times */
    for (int i = 0; i < 6; i++)
        put32(&bytes, 0); /* no index entries, producers, transactions, sums */
    put_sum(&bytes);
    bool ok = io_replace_file(log->io, log->dir, path, buf_str(&bytes), err);
    buf_fini(&bytes);
    return ok;
}

static bool first_is_wanted(struct log *log, int64_t *base_offset)
{
    pthread_mutex_lock(&log->lock);
    *base_offset = log->segs.at[0]->base_offset;
    bool wanted = log->checkpoint_base == INT64_MAX && log->segs.len == 1 && !log->loose;
    pthread_mutex_unlock(&log->lock);
    return wanted;
}

/* Without any checkpoint a start takes gaps between segments for those of compaction; a power cut may have left one where
 * the end of the older segment was not on the disk. With this one, which makes the older segment's name durable too, it cuts
 * there. */
bool checkpoint_first(struct log *log, struct err *err)
{
    int64_t base;
    if (!first_is_wanted(log, &base))
        return true;
    pthread_mutex_lock(&log->checkpoint_lock); /* somebody may just be writing one */
    bool wanted = first_is_wanted(log, &base);
    bool ok = !wanted || (log_secure_dir(log, err) && write_first(log, base, err));
    if (ok && wanted) {
        pthread_mutex_lock(&log->lock);
        log->checkpoint_base = base;
        pthread_mutex_unlock(&log->lock);
    }
    pthread_mutex_unlock(&log->checkpoint_lock);
    return ok;
}

/* Reads numbers off the front; after a failure everything is 0 and `bad` stays set. */
struct reader {
    struct str rest;
    uint16_t version;
    bool loose, sums, bad;
};

/* Behind the head, which was checked. */
static struct reader reader_of(struct str bytes)
{
    return (struct reader){.rest = str_sub(bytes, CHECKPOINT_HEAD_BYTES, bytes.len),
                           .version = load_be16(bytes.ptr + 4),
                           .loose = (load_be16(bytes.ptr + 6) & CHECKPOINT_LOOSE) != 0,
                           .sums = (load_be16(bytes.ptr + 6) & CHECKPOINT_SUMS) != 0};
}

static uint64_t take(struct reader *rd, size_t size)
{
    if (rd->bad || rd->rest.len < size) {
        rd->bad = true;
        return 0;
    }
    const char *at = rd->rest.ptr;
    rd->rest = str_of(at + size, rd->rest.len - size);
    return size == 8 ? load_be64(at) : size == 4 ? load_be32(at) : load_be16(at);
}

static void take_fields(struct reader *rd, struct checkpoint *out)
{
    out->start_offset = (int64_t)take(rd, 8);
    out->cleaned_offset = rd->version >= 2 ? (int64_t)take(rd, 8) : 0;
    out->loose = rd->loose || out->cleaned_offset > 0;
    out->point.offset = (int64_t)take(rd, 8);
    out->point.seg_base = (int64_t)take(rd, 8);
    out->point.pos = take(rd, 8);
    out->first_timestamp_ms = (int64_t)take(rd, 8);
    out->max_timestamp_ms = (int64_t)take(rd, 8);
    out->max_timestamp_offset = (int64_t)take(rd, 8);
    out->index_count = (uint32_t)take(rd, 4);
    out->times_count = (uint32_t)take(rd, 4);
    out->aborted_count = (uint32_t)take(rd, 4);
}

static void take_producer(struct reader *rd, struct producer *out)
{
    *out = (struct producer){.pid = (int64_t)take(rd, 8)};
    out->epoch = (int16_t)take(rd, 2);
    out->coordinator_epoch = (int32_t)take(rd, 4);
    out->seen_ms = (int64_t)take(rd, 8);
    out->last_timestamp_ms = (int64_t)take(rd, 8);
    uint32_t count = (uint32_t)take(rd, 4);
    rd->bad |= count > LOG_PRODUCER_BATCHES;
    for (uint32_t i = 0; i < count && !rd->bad; i++) {
        struct producer_batch *batch = &out->batches[i];
        batch->base_seq = (int32_t)take(rd, 4);
        batch->last_seq = (int32_t)take(rd, 4);
        batch->base_offset = (int64_t)take(rd, 8);
        batch->last_offset = (int64_t)take(rd, 8);
        batch->timestamp_ms = (int64_t)take(rd, 8);
    }
    out->batch_count = rd->bad ? 0 : (int)count;
}

static void take_txn(struct reader *rd, struct log_txn *out)
{
    *out = (struct log_txn){.pid = (int64_t)take(rd, 8), .marker_offset = -1};
    out->first.offset = (int64_t)take(rd, 8);
    out->first.seg_base = (int64_t)take(rd, 8);
    out->first.pos = take(rd, 8);
}

/* What the checkpoint says of the abort index of a segment. */
struct sum {
    int64_t seg_base;
    uint32_t count, crc;
};

static struct sum take_sum(struct reader *rd)
{
    struct sum sum = {.seg_base = (int64_t)take(rd, 8)};
    sum.count = (uint32_t)take(rd, 4);
    sum.crc = (uint32_t)take(rd, 4);
    return sum;
}

/* Holds the abort indexes that a start has read against their sums. Those behind the checkpoint are made anew by the scan. */
static void check_sums(struct log *log, struct reader *rd, int64_t point_base)
{
    uint32_t left = rd->sums ? (uint32_t)take(rd, 4) : 0;
    struct sum sum = left != 0 ? take_sum(rd) : (struct sum){0};
    for (size_t i = 0; rd->sums && !rd->bad && i < log->segs.len; i++) { /* both by base offset */
        struct log_segment *seg = log->segs.at[i];
        for (; left > 0 && sum.seg_base < seg->base_offset && !rd->bad; left--)
            sum = left > 1 ? take_sum(rd) : sum;
        bool listed = left > 0 && sum.seg_base == seg->base_offset;
        uint32_t count = listed ? sum.count : 0;
        bool closed = seg->base_offset < point_base;
        bool fits = closed ? seg->aborted.len == count : seg->aborted.len >= count;
        if (seg->base_offset <= point_base && (!fits || (listed && aborted_sum(seg, count) != sum.crc)))
            aborted_distrust(log, seg);
    }
}

/* Magic, version, checksum. */
static bool check_head(struct str bytes, struct err *err)
{
    if (bytes.len < CHECKPOINT_HEAD_BYTES || load_be32(bytes.ptr) != CHECKPOINT_MAGIC)
        return err_set(err, ERR_CORRUPT, "not a checkpoint file");
    if (load_be16(bytes.ptr + 4) < 1 || load_be16(bytes.ptr + 4) > CHECKPOINT_VERSION)
        return err_set(err, ERR_UNSUPPORTED_FORMAT, "checkpoint version %u is not known",
                       load_be16(bytes.ptr + 4));
    uint32_t crc = hash_crc32c(0, bytes.ptr + CHECKPOINT_HEAD_BYTES, bytes.len - CHECKPOINT_HEAD_BYTES);
    if (crc != load_be32(bytes.ptr + 8))
        return err_set(err, ERR_CORRUPT, "checksum of the checkpoint does not fit");
    return true;
}

static bool decode(struct log *log, struct str bytes, struct checkpoint *out, struct err *err)
{
    if (!check_head(bytes, err))
        return false;
    struct reader rd = reader_of(bytes);
    take_fields(&rd, out);
    for (uint32_t left = (uint32_t)take(&rd, 4); left > 0 && !rd.bad; left--) {
        struct producer prod;
        take_producer(&rd, &prod);
        if (!rd.bad)
            *producer_add(log, prod.pid) = prod;
    }
    for (uint32_t left = (uint32_t)take(&rd, 4); left > 0 && !rd.bad; left--) {
        struct log_txn txn;
        take_txn(&rd, &txn);
        struct producer *prod = rd.bad ? NULL : producer_get(log, txn.pid);
        rd.bad |= prod == NULL || prod->txn != NULL;
        if (!rd.bad)
            txn_add(log, prod, txn.first);
    }
    check_sums(log, &rd, out->point.seg_base);
    if (rd.bad || out->point.offset < 0 || out->start_offset < 0 || out->start_offset > out->point.offset)
        return err_set(err, ERR_CORRUPT, "contents of the checkpoint contradict each other");
    return true;
}

bool checkpoint_read(struct log *log, struct checkpoint *out, struct err *err)
{
    struct buf bytes = {0};
    char path[LOG_PATH_BYTES];
    snprintf(path, sizeof path, "%s/checkpoint", log->dir);
    bool ok = io_read_file(log->io, path, CHECKPOINT_BYTES_MAX, &bytes, err) &&
              decode(log, buf_str(&bytes), out, err);
    if (!ok)
        producers_clear(log);
    buf_fini(&bytes);
    return ok;
}

/* Where in the file the reader stands. */
static int64_t place_of(const struct reader *rd, struct str bytes)
{
    return rd->rest.ptr - bytes.ptr;
}

static void tell_producer(struct describe *out, int64_t at, const struct producer *prod)
{
    describe_begin(out, at, 1, "producer");
    describe_number(out, "producer_id", prod->pid);
    describe_number(out, "producer_epoch", prod->epoch);
    describe_number(out, "coordinator_epoch", prod->coordinator_epoch);
    describe_number(out, "seen_ms", prod->seen_ms);
    describe_number(out, "last_timestamp_ms", prod->last_timestamp_ms);
    describe_end(out);
    for (int i = 0; i < prod->batch_count; i++) {
        const struct producer_batch *batch = &prod->batches[i];
        describe_begin(out, -1, 2, "batch");
        describe_number(out, "base_sequence", batch->base_seq);
        describe_number(out, "last_sequence", batch->last_seq);
        describe_number(out, "base_offset", batch->base_offset);
        describe_number(out, "last_offset", batch->last_offset);
        describe_number(out, "timestamp_ms", batch->timestamp_ms);
        describe_end(out);
    }
}

static void tell_txn(struct describe *out, int64_t at, const struct log_txn *txn)
{
    describe_begin(out, at, 1, "open_transaction");
    describe_number(out, "producer_id", txn->pid);
    describe_number(out, "first_offset", txn->first.offset);
    describe_number(out, "segment", txn->first.seg_base);
    describe_number(out, "position", (int64_t)txn->first.pos);
    describe_end(out);
}

static void tell_sum(struct describe *out, int64_t at, const struct sum *sum)
{
    describe_begin(out, at, 1, "txnindex_sum");
    describe_number(out, "segment", sum->seg_base);
    describe_number(out, "entries", sum->count);
    describe_hex32(out, "crc", sum->crc);
    describe_end(out);
}

static void tell_fields(struct describe *out, struct str bytes, const struct checkpoint *ckpt, bool good,
                        const char *why)
{
    describe_begin(out, 0, 0, "checkpoint");
    describe_number(out, "version", load_be16(bytes.ptr + 4));
    describe_number(out, "flags", load_be16(bytes.ptr + 6));
    describe_hex32(out, "crc", load_be32(bytes.ptr + 8));
    describe_check(out, good, why);
    describe_number(out, "log_start_offset", ckpt->start_offset);
    describe_number(out, "cleaned_offset", ckpt->cleaned_offset);
    describe_number(out, "end_offset", ckpt->point.offset);
    describe_number(out, "segment", ckpt->point.seg_base);
    describe_number(out, "position", (int64_t)ckpt->point.pos);
    describe_number(out, "first_timestamp_ms", ckpt->first_timestamp_ms);
    describe_number(out, "max_timestamp_ms", ckpt->max_timestamp_ms);
    describe_number(out, "max_timestamp_offset", ckpt->max_timestamp_offset);
    describe_number(out, "index_entries", ckpt->index_count);
    describe_number(out, "timeindex_entries", ckpt->times_count);
    describe_number(out, "txnindex_entries", ckpt->aborted_count);
    describe_end(out);
}

void checkpoint_dump(struct log_dump *dump, const char *path, struct str bytes)
{
    struct err err = {0};
    struct checkpoint ckpt;
    bool good = check_head(bytes, &err);
    if (!good && (bytes.len < CHECKPOINT_HEAD_BYTES || load_be32(bytes.ptr) != CHECKPOINT_MAGIC)) {
        dump->damaged++;
        describe_damage(dump->out, 0, 0, bytes.len, err.text);
        return;
    }
    dump->damaged += !good;
    struct reader rd = reader_of(bytes);
    take_fields(&rd, &ckpt);
    tell_fields(dump->out, bytes, &ckpt, good, err.text);
    for (uint32_t left = (uint32_t)take(&rd, 4); left > 0 && !rd.bad; left--) {
        struct producer prod;
        int64_t at = place_of(&rd, bytes);
        take_producer(&rd, &prod);
        if (!rd.bad)
            tell_producer(dump->out, at, &prod);
    }
    for (uint32_t left = (uint32_t)take(&rd, 4); left > 0 && !rd.bad; left--) {
        struct log_txn txn;
        int64_t at = place_of(&rd, bytes);
        take_txn(&rd, &txn);
        if (!rd.bad)
            tell_txn(dump->out, at, &txn);
    }
    for (uint32_t left = rd.sums ? (uint32_t)take(&rd, 4) : 0; left > 0 && !rd.bad; left--) {
        int64_t at = place_of(&rd, bytes);
        struct sum sum = take_sum(&rd);
        if (!rd.bad)
            tell_sum(dump->out, at, &sum);
    }
    if (rd.bad || rd.rest.len != 0) {
        dump->damaged++;
        describe_damage(dump->out, place_of(&rd, bytes), 0, rd.rest.len,
                        rd.bad ? "the contents end early" : "bytes behind the last entry");
    }
}
