/* build.c - makes a batch: records are encoded as they come, the header at the end, compression in between
 * if asked for.
 *
 *   records: [61 bytes for the header][record][record]...      packed: [61 bytes][compressed records]
 *
 * The first record's timestamp is the base of all deltas; a batch that is written anew keeps the base it had, or gets
 * the delete horizon as base. Both buffers are kept for the next batch.
 */
#include "record/record_int.h"

void batch_builder_begin(struct batch_builder *builder, const struct batch_spec *spec)
{
    builder->spec = *spec;
    builder->count = builder->next_delta = 0;
    buf_clear(&builder->records);
    memset(buf_extend(&builder->records, BATCH_HEADER_BYTES), 0, BATCH_HEADER_BYTES);
}

static uint8_t *put_varint(uint8_t *at, int64_t v)
{
    uint64_t raw = zigzag_encode(v);
    if (raw < 0x80) {
        *at = (uint8_t)raw;
        return at + 1;
    }
    return at + varint_encode(at, raw);
}

static uint8_t *put_bytes(uint8_t *at, struct str bytes)
{
    if (str_is_null(bytes))
        return put_varint(at, -1);
    at = put_varint(at, (int64_t)bytes.len);
    if (bytes.len != 0)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static size_t bytes_size(struct str bytes)
{
    return str_is_null(bytes) ? 1 : varint_size((int64_t)bytes.len) + bytes.len;
}

void record_headers_encode(struct buf *out, const struct record_header *headers, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        struct str key = str_is_null(headers[i].key) ? STR("") : headers[i].key;
        uint8_t *at = (uint8_t *)buf_extend(out, bytes_size(key) + bytes_size(headers[i].value));
        put_bytes(put_bytes(at, key), headers[i].value);
    }
}

/* One record with the offset delta next_delta; the base timestamp is set. */
static void put_record(struct batch_builder *builder, int64_t timestamp_ms, struct str key, struct str value,
                       struct str headers, int32_t header_count)
{
    int64_t time_delta = (int64_t)((uint64_t)timestamp_ms - (uint64_t)builder->base_timestamp_ms);
    int32_t delta = builder->next_delta++;
    size_t length = 1 + varint_size(time_delta) + varint_size(delta) + bytes_size(key) + bytes_size(value) +
                    varint_size(header_count) + headers.len;
    uint8_t *at = (uint8_t *)buf_extend(&builder->records, varint_size((int64_t)length) + length);
    at = put_varint(at, (int64_t)length);
    *at++ = 0;
    at = put_varint(at, time_delta);
    at = put_varint(at, delta);
    at = put_bytes(at, key);
    at = put_bytes(at, value);
    at = put_varint(at, header_count);
    if (headers.len != 0)
        memcpy(at, headers.ptr, headers.len);
    ASSERT_SLOW((char *)at + headers.len == builder->records.ptr + builder->records.len);
    builder->max_timestamp_ms =
        builder->count == 0 ? timestamp_ms : MAX(builder->max_timestamp_ms, timestamp_ms);
    builder->count++;
}

void batch_builder_add_raw(struct batch_builder *builder, int64_t timestamp_ms, struct str key,
                           struct str value, struct str headers, int32_t header_count)
{
    ASSERT(builder->records.len >= BATCH_HEADER_BYTES && builder->count < INT32_MAX);
    if (builder->count == 0)
        builder->base_timestamp_ms = timestamp_ms;
    put_record(builder, timestamp_ms, key, value, headers, header_count);
}

void batch_builder_add(struct batch_builder *builder, int64_t timestamp_ms, struct str key, struct str value,
                       const struct record_header *headers, int32_t header_count)
{
    struct buf raw = {0};
    record_headers_encode(&raw, headers, header_count);
    batch_builder_add_raw(builder, timestamp_ms, key, value, buf_str(&raw), header_count);
    buf_fini(&raw);
}

size_t batch_builder_size(const struct batch_builder *builder)
{
    return builder->records.len;
}

static uint16_t spec_attributes(const struct batch_spec *spec)
{
    return (uint16_t)((unsigned)spec->codec | (spec->append_time ? BATCH_APPEND_TIME : 0u) |
                      (spec->transactional ? BATCH_TRANSACTIONAL : 0u) |
                      (spec->control ? BATCH_CONTROL : 0u));
}

/* Fills the header of a batch whose records are in place. */
static void header_store(char *at, size_t size, const struct batch *header)
{
    batch_set_place(at, header->base_offset, header->leader_epoch);
    store_be32(at + AT_LENGTH, (uint32_t)(size - BATCH_PREFIX_BYTES));
    at[AT_MAGIC] = BATCH_MAGIC;
    store_be16(at + AT_ATTRIBUTES, header->attributes);
    store_be32(at + AT_LAST_OFFSET_DELTA, (uint32_t)header->last_offset_delta);
    store_be64(at + AT_BASE_TIMESTAMP, (uint64_t)header->base_timestamp_ms);
    store_be64(at + AT_MAX_TIMESTAMP, (uint64_t)header->max_timestamp_ms);
    store_be64(at + AT_PID, (uint64_t)header->pid);
    store_be16(at + AT_EPOCH, (uint16_t)header->epoch);
    store_be32(at + AT_BASE_SEQ, (uint32_t)header->base_seq);
    store_be32(at + AT_RECORD_COUNT, (uint32_t)header->record_count);
    store_be32(at + AT_CRC, hash_crc32c(0, at + AT_ATTRIBUTES, size - AT_ATTRIBUTES));
}

/* Compresses what was put and writes the header. */
static bool finish(struct batch_builder *builder, const struct batch *header, struct str *out,
                   struct err *err)
{
    struct buf *whole = &builder->records;
    enum codec codec = batch_codec(header);
    if (codec != CODEC_NONE) {
        struct str plain = str_sub(buf_str(&builder->records), BATCH_HEADER_BYTES, builder->records.len);
        whole = &builder->packed;
        buf_clear(whole);
        buf_extend(whole, BATCH_HEADER_BYTES);
        if (!codec_compress(codec, builder->spec.level, plain, whole, err))
            return false;
    }
    if (whole->len > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "record batch: %zu bytes, at most %d are possible", whole->len,
                       INT32_MAX);
    header_store(whole->ptr, whole->len, header);
    *out = buf_str(whole);
    return true;
}

bool batch_builder_finish(struct batch_builder *builder, struct str *out, struct err *err)
{
    ASSERT(builder->count > 0);
    const struct batch header = {
        .leader_epoch = -1,
        .attributes = spec_attributes(&builder->spec),
        .last_offset_delta = builder->count - 1,
        .base_timestamp_ms = builder->base_timestamp_ms,
        .max_timestamp_ms = builder->max_timestamp_ms,
        .pid = builder->spec.pid,
        .epoch = builder->spec.epoch,
        .base_seq = builder->spec.base_seq,
        .record_count = builder->count,
    };
    return finish(builder, &header, out, err);
}

/* Puts the records that stay, at their old offset deltas and with their own timestamps. */
static bool put_kept(struct batch_builder *builder, const struct batch *batch,
                     const struct batch_rewrite *how, struct buf *plain, struct err *err)
{
    struct batch own_time = *batch; /* deltas as they were written, whoever's time counts */
    struct batch_iter it;
    struct record rec;
    own_time.attributes &= (uint16_t)~BATCH_APPEND_TIME;
    if (!batch_iter_init(&it, &own_time, plain, err))
        return false;
    for (int32_t i = 0; batch_iter_next(&it, &rec); i++) {
        if (how->keep != NULL && !how->keep[i])
            continue;
        builder->next_delta = (int32_t)(rec.offset - batch->base_offset);
        put_record(builder, rec.timestamp_ms, rec.key, rec.value, rec.headers, rec.header_count);
    }
    return batch_iter_ok(&it, err);
}

bool batch_rewrite(struct batch_builder *builder, const struct batch *batch, const struct batch_rewrite *how,
                   struct buf *plain, struct str *out, struct err *err)
{
    batch_builder_begin(builder, &(struct batch_spec){.codec = how->codec, .level = how->level});
    struct batch header = *batch;
    if (how->horizon_ms >= 0) {
        header.base_timestamp_ms = how->horizon_ms;
        header.attributes |= BATCH_DELETE_HORIZON;
    }
    builder->base_timestamp_ms = header.base_timestamp_ms;
    if (!put_kept(builder, batch, how, plain, err))
        return false;
    header.record_count = builder->count;
    header.attributes &= (uint16_t)~BATCH_CODEC_MASK;
    if (builder->count != 0) {
        header.attributes |= (uint16_t)how->codec;
        if (!(header.attributes & BATCH_APPEND_TIME))
            header.max_timestamp_ms = builder->max_timestamp_ms;
    } else { /* nothing is left that a horizon could speak of */
        header.attributes &= (uint16_t)~BATCH_DELETE_HORIZON;
        header.base_timestamp_ms = -1;
    }
    return finish(builder, &header, out, err);
}

void batch_builder_fini(struct batch_builder *builder)
{
    buf_fini(&builder->records);
    buf_fini(&builder->packed);
    *builder = (struct batch_builder){0};
}
