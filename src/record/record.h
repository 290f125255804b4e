/* record.h - record batches (Kafka's format 2): look at, check, walk, build.
 *
 *   0        8       12      16    17   21     23        27       35       43   51    53    57      61
 *   |base    |length |leader |magic|crc |attri-|last off-|base    |max     |pid |epoch|base |record |records
 * ... |offset | |epoch | = 2 | |butes |set delta|time |time | | |seq |count |
 *                                       |<---------------- covered by crc (CRC-32C) ------------------->|
 *
 * Numbers are big-endian. Records are varint-framed and, when a codec is set, compressed as one block.
 *
 * (R1) `struct batch` and `struct record` are views: slices of the batch's bytes, or of the buffer into
 *      which the records were decompressed. Nothing is allocated per record.
 * (R2) Base offset, length and leader epoch lie outside the CRC: the log sets them in place.
 * (R3) Bytes come from outside: every function here checks, none asserts them. Any thread; a view, iterator
 *      or builder belongs to one at a time.
 */
#ifndef RIALTO_RECORD_RECORD_H
#define RIALTO_RECORD_RECORD_H

#include "base/base.h"
#include "codec/codec.h"

enum {
    BATCH_HEADER_BYTES = 61,
    BATCH_PREFIX_BYTES = 12,       /* base offset and length: enough to know where the next batch starts */
    BATCH_MARKER_BYTES = 78,       /* a whole control batch with one commit or abort marker */
    RECORDS_BYTES_MAX = 100 << 20, /* plain bytes of one batch; more is refused as a bomb */
};

enum batch_attributes {
    BATCH_CODEC_MASK = 7,
    BATCH_APPEND_TIME = 1 << 3,
    BATCH_TRANSACTIONAL = 1 << 4,
    BATCH_CONTROL = 1 << 5,
    BATCH_DELETE_HORIZON = 1 << 6,
    BATCH_UNKNOWN_ATTRIBUTES = 0xff80,
};

/* A batch: its bytes and the fields of its header. */
struct batch {
    struct str bytes; /* the whole batch */
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t pid;   /* -1: none */
    int16_t epoch; /* -1: none */
    int32_t base_seq;
    int32_t record_count;
};

static inline int64_t batch_last_offset(const struct batch *batch)
{
    return batch->base_offset + batch->last_offset_delta;
}

static inline enum codec batch_codec(const struct batch *batch)
{
    return (enum codec)(batch->attributes & BATCH_CODEC_MASK);
}

static inline bool batch_is_transactional(const struct batch *batch)
{
    return (batch->attributes & BATCH_TRANSACTIONAL) != 0;
}

static inline bool batch_is_control(const struct batch *batch)
{
    return (batch->attributes & BATCH_CONTROL) != 0;
}

/* The sequence number of the last record; sequences wrap from 2^31-1 to 0. */
int32_t batch_last_seq(const struct batch *batch);

/* Size in bytes of the batch that starts here, from its prefix (BATCH_PREFIX_BYTES must be there). 0: the
 * length field cannot be true. */
size_t batch_size(const void *prefix);

/* Reads the header of the batch at the front of `bytes`. ERR_CORRUPT when fewer bytes are there than it says
 * or the length cannot be true, ERR_UNSUPPORTED_FORMAT on another magic, ERR_INVALID_RECORD when counts
 * contradict each other. No CRC. */
bool batch_open(struct str bytes, struct batch *out, struct err *err);

/* As batch_open, from the first BATCH_HEADER_BYTES bytes alone: for walks over headers. out->bytes are the
 * header only. */
bool batch_open_header(const void *header, struct batch *out, struct err *err);

/* Cuts the next batch off *rest. False when *rest holds no further whole batch (a cut tail is normal in a
 * fetch reply: *err untouched, out->bytes null) or when the batch is not readable (*err is set, out->bytes
 * not null). */
bool batch_next(struct str *rest, struct batch *out, struct err *err);

/* ERR_CORRUPT when the checksum does not fit the bytes. */
bool batch_check_crc(const struct batch *batch, struct err *err);

/* What a walk over all records of a batch has found. */
struct batch_facts {
    int64_t
        min_timestamp_ms; /* record timestamps as the producer set them; the smallest but for -1, which is none */
    int64_t max_timestamp_ms;
    bool null_key;      /* a record has no key */
    size_t plain_bytes; /* size of the records, decompressed */
};

struct record;

/* What a topic asks of each record of a client's batch (KIP-467: a refused batch names those that do not comply). */
struct batch_rules {
    bool key_required;
    int64_t timestamp_min_ms, timestamp_max_ms; /* of a timestamp other than -1, as the producer set it */
};

enum batch_fault { BATCH_GOOD, BATCH_NO_KEY, BATCH_BAD_TIMESTAMP };

/* The first rule that the record breaks. */
enum batch_fault batch_record_fault(const struct batch_rules *rules, const struct record *rec);

/* The fault of some record of the batch. */
enum batch_fault batch_facts_fault(const struct batch_rules *rules, const struct batch_facts *facts);

/* Decompresses if need be and walks all records: count, lengths, consecutive offset deltas.
 * ERR_INVALID_RECORD or ERR_CORRUPT. Uses the thread's codec_scratch. */
bool batch_check_records(const struct batch *batch, struct batch_facts *out, struct err *err);

struct record {
    int64_t offset;
    int64_t timestamp_ms; /* the append time where the batch says so */
    struct str key;       /* ptr NULL: null */
    struct str value;     /* ptr NULL: null, a tombstone */
    struct str headers;   /* raw, for record_header_next */
    int32_t header_count;
};

struct record_header {
    struct str key;
    struct str value; /* ptr NULL: null */
};

/* Walks the records of a batch:
 *
 *     struct batch_iter it;
 *     if (!batch_iter_init(&it, &batch, &plain, err)) goto fail;
 *     while (batch_iter_next(&it, &rec)) ...
 *     if (!batch_iter_ok(&it, err)) goto fail;
 */
struct batch_iter {
    const uint8_t *at, *end;
    const struct batch *batch;
    int32_t left;    /* records still to come */
    const char *bad; /* what was wrong, or NULL */
};

/* `plain` takes the decompressed records (it is emptied first) and must outlive the records; unused for
 * CODEC_NONE. */
bool batch_iter_init(struct batch_iter *it, const struct batch *batch, struct buf *plain, struct err *err);

/* False at the end and on damaged bytes; batch_iter_ok tells which. */
bool batch_iter_next(struct batch_iter *it, struct record *rec);

/* ERR_INVALID_RECORD when the walk ended early. */
bool batch_iter_ok(const struct batch_iter *it, struct err *err);

/* Walks headers: struct str rest = rec.headers; for (i = 0; i < rec.header_count && record_header_next(&rest,
 * &h); i++) */
bool record_header_next(struct str *rest, struct record_header *out);

/* Raw headers from an array, as struct record and batch_builder_add_raw take them. */
void record_headers_encode(struct buf *out, const struct record_header *headers, int32_t count);

/* What a batch to be built says of itself. BATCH_SPEC_PLAIN is a batch of no producer. */
struct batch_spec {
    enum codec codec;
    int level;        /* of the codec; 0: CODEC_LEVEL_DEFAULT */
    bool append_time; /* timestamps are the log's; max_timestamp_ms counts for all */
    bool transactional;
    bool control;
    int64_t pid;
    int16_t epoch;
    int32_t base_seq;
};

#define BATCH_SPEC_PLAIN ((struct batch_spec){.pid = -1, .epoch = -1, .base_seq = -1})

/* Builds one batch at a time; reused, it allocates nothing in a steady state. A zeroed builder is valid. Base
 * offset and leader epoch of what it makes are 0 and -1: the log sets them. */
struct batch_builder {
    struct batch_spec spec;
    struct buf records; /* header, then plain records */
    struct buf packed;  /* header, then compressed records */
    int64_t base_timestamp_ms, max_timestamp_ms;
    int32_t count, next_delta; /* records; offset delta of the next one */
};

void batch_builder_begin(struct batch_builder *builder, const struct batch_spec *spec);

/* Adds one record; null key or value: ptr NULL. The bytes are copied. */
void batch_builder_add(struct batch_builder *builder, int64_t timestamp_ms, struct str key, struct str value,
                       const struct record_header *headers, int32_t header_count);

/* The same with headers in raw form (`struct record` headers, header_count). */
void batch_builder_add_raw(struct batch_builder *builder, int64_t timestamp_ms, struct str key,
                           struct str value, struct str headers, int32_t header_count);

/* Bytes that the batch has so far, before compression. */
size_t batch_builder_size(const struct batch_builder *builder);

/* Completes the batch (at least one record). The bytes stay in the builder until the next begin or fini, and
 * may be patched in place by log_append. Fails only when the codec does. */
bool batch_builder_finish(struct batch_builder *builder, struct str *out, struct err *err);

/* What becomes of a batch that is written anew. */
struct batch_rewrite {
    enum codec codec;
    int level;
    const bool *keep;   /* one a record, in order; NULL: all stay */
    int64_t horizon_ms; /* delete horizon to set; -1: as it was */
};

/* Makes a batch of those records of `batch` that stay. Its frame is the old one's: offsets (gaps appear), producer,
 * sequence, kind, timestamps; the largest timestamp is that of what stays. With no record left the batch is a header
 * alone, of no codec. `plain` takes decompressed records. As with finish, the bytes stay in the builder.
 * ERR_CORRUPT, ERR_INVALID_RECORD when the batch cannot be read, ERR_TOO_LARGE. */
bool batch_rewrite(struct batch_builder *builder, const struct batch *batch, const struct batch_rewrite *how,
                   struct buf *plain, struct str *out, struct err *err);

void batch_builder_fini(struct batch_builder *builder);

enum marker { MARKER_ABORT = 0, MARKER_COMMIT = 1 }; /* values of Kafka's control record types */

/* Writes a whole transaction marker batch, base offset 0. */
void batch_make_marker(uint8_t out[BATCH_MARKER_BYTES], int64_t pid, int16_t epoch, enum marker marker,
                       int32_t coordinator_epoch, int64_t timestamp_ms);

/* Reads the marker of a control batch; false when it is another kind of control record (then to be ignored).
 */
bool batch_read_marker(const struct batch *batch, enum marker *marker, int32_t *coordinator_epoch);

/* Changes in place; `bytes` start at the batch. The first does not touch the CRC, the others compute it anew.
 */
void batch_set_place(void *bytes, int64_t base_offset, int32_t leader_epoch);
void batch_set_time(void *bytes, bool append_time, int64_t max_timestamp_ms);
void batch_set_producer(void *bytes, int64_t pid, int16_t epoch, int32_t base_seq, bool transactional);

/* Tells header and records, for dumps; damaged parts are items of their own. False: something was damaged. */
struct batch_describe {
    int64_t at;   /* address of the batch; -1: none */
    int depth;    /* of the batch's item; its records are one deeper */
    bool records; /* each of them, not only the header */
    /* Tells key and value of a record in its own way and returns true, or leaves it to us; NULL: always us. */
    bool (*record)(void *arg, struct describe *out, const struct record *rec);
    void *arg;
};

bool batch_describe(struct describe *out, const struct batch *batch, const struct batch_describe *how);

#endif
