/* build.c - makes a batch: records are encoded as they come, the header at the end, compression in between
 * if asked for.
 *
 *   records: [61 bytes for the header][record][record]...      packed: [61 bytes][compressed records]
 *
 * The first record's timestamp is the base of all deltas. Both buffers are kept for the next batch.
 */
#include "record/record_int.h"

void batch_builder_begin(struct batch_builder *builder, const struct batch_spec *spec)
{
    builder->spec = *spec;
    builder->count = 0;
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

void batch_builder_add_raw(struct batch_builder *builder, int64_t timestamp_ms, struct str key,
                           struct str value, struct str headers, int32_t header_count)
{
    ASSERT(builder->records.len >= BATCH_HEADER_BYTES && builder->count < INT32_MAX);
    if (builder->count == 0)
        builder->base_timestamp_ms = builder->max_timestamp_ms = timestamp_ms;
    builder->max_timestamp_ms = MAX(builder->max_timestamp_ms, timestamp_ms);
    int64_t time_delta = timestamp_ms - builder->base_timestamp_ms;
    size_t length = 1 + varint_size(time_delta) + varint_size(builder->count) + bytes_size(key) +
                    bytes_size(value) + varint_size(header_count) + headers.len;
    uint8_t *at = (uint8_t *)buf_extend(&builder->records, varint_size((int64_t)length) + length);
    at = put_varint(at, (int64_t)length);
    *at++ = 0;
    at = put_varint(at, time_delta);
    at = put_varint(at, builder->count);
    at = put_bytes(at, key);
    at = put_bytes(at, value);
    at = put_varint(at, header_count);
    if (headers.len != 0)
        memcpy(at, headers.ptr, headers.len);
    ASSERT_SLOW((char *)at + headers.len == builder->records.ptr + builder->records.len);
    builder->count++;
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
static void header_store(const struct batch_builder *builder, char *at, size_t size)
{
    const struct batch_spec *spec = &builder->spec;
    batch_set_place(at, 0, -1);
    store_be32(at + AT_LENGTH, (uint32_t)(size - BATCH_PREFIX_BYTES));
    at[AT_MAGIC] = BATCH_MAGIC;
    store_be16(at + AT_ATTRIBUTES, spec_attributes(spec));
    store_be32(at + AT_LAST_OFFSET_DELTA, (uint32_t)builder->count - 1);
    store_be64(at + AT_BASE_TIMESTAMP, (uint64_t)builder->base_timestamp_ms);
    store_be64(at + AT_MAX_TIMESTAMP, (uint64_t)builder->max_timestamp_ms);
    store_be64(at + AT_PID, (uint64_t)spec->pid);
    store_be16(at + AT_EPOCH, (uint16_t)spec->epoch);
    store_be32(at + AT_BASE_SEQ, (uint32_t)spec->base_seq);
    store_be32(at + AT_RECORD_COUNT, (uint32_t)builder->count);
    store_be32(at + AT_CRC, hash_crc32c(0, at + AT_ATTRIBUTES, size - AT_ATTRIBUTES));
}

bool batch_builder_finish(struct batch_builder *builder, struct str *out, struct err *err)
{
    ASSERT(builder->count > 0);
    struct buf *whole = &builder->records;
    if (builder->spec.codec != CODEC_NONE) {
        struct str plain = str_sub(buf_str(&builder->records), BATCH_HEADER_BYTES, builder->records.len);
        whole = &builder->packed;
        buf_clear(whole);
        buf_extend(whole, BATCH_HEADER_BYTES);
        if (!codec_compress(builder->spec.codec, plain, whole, err))
            return false;
    }
    if (whole->len > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "record batch: %zu bytes, at most %d are possible", whole->len,
                       INT32_MAX);
    header_store(builder, whole->ptr, whole->len);
    *out = buf_str(whole);
    return true;
}

void batch_builder_fini(struct batch_builder *builder)
{
    buf_fini(&builder->records);
    buf_fini(&builder->packed);
    *builder = (struct batch_builder){0};
}
