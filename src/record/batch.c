/* batch.c - a batch as a whole: its header, checksum, walk over batches, changes in place, transaction
 * markers.
 *
 * The layout is drawn in record.h. Everything here works on the 61 header bytes; records are opened by
 * iter.c.
 */
#include "record/record_int.h"

int32_t batch_last_seq(const struct batch *batch)
{
    if (batch->base_seq < 0)
        return batch->base_seq;
    return (int32_t)(((uint32_t)batch->base_seq + (uint32_t)batch->last_offset_delta) & INT32_MAX);
}

size_t batch_size(const void *prefix)
{
    int32_t length = (int32_t)load_be32((const char *)prefix + AT_LENGTH);
    if (length < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES || length > INT32_MAX - BATCH_PREFIX_BYTES)
        return 0;
    return (size_t)length + BATCH_PREFIX_BYTES;
}

static void batch_load(const char *at, struct batch *out)
{
    out->base_offset = (int64_t)load_be64(at + AT_BASE_OFFSET);
    out->leader_epoch = (int32_t)load_be32(at + AT_LEADER_EPOCH);
    out->crc = load_be32(at + AT_CRC);
    out->attributes = load_be16(at + AT_ATTRIBUTES);
    out->last_offset_delta = (int32_t)load_be32(at + AT_LAST_OFFSET_DELTA);
    out->base_timestamp_ms = (int64_t)load_be64(at + AT_BASE_TIMESTAMP);
    out->max_timestamp_ms = (int64_t)load_be64(at + AT_MAX_TIMESTAMP);
    out->pid = (int64_t)load_be64(at + AT_PID);
    out->epoch = (int16_t)load_be16(at + AT_EPOCH);
    out->base_seq = (int32_t)load_be32(at + AT_BASE_SEQ);
    out->record_count = (int32_t)load_be32(at + AT_RECORD_COUNT);
}

bool batch_open_header(const void *header, struct batch *out, struct err *err)
{
    const char *at = header;
    out->bytes = str_of(at, BATCH_HEADER_BYTES);
    if (batch_size(at) == 0)
        return err_set(err, ERR_CORRUPT, "record batch: length %d cannot be true",
                       (int32_t)load_be32(at + AT_LENGTH));
    if (at[AT_MAGIC] != BATCH_MAGIC)
        return err_set(err, at[AT_MAGIC] == 0 || at[AT_MAGIC] == 1 ? ERR_UNSUPPORTED_FORMAT : ERR_CORRUPT,
                       "record batch: format %d, only format 2 is read", at[AT_MAGIC]);
    batch_load(at, out);
    if (out->base_offset < 0 || out->last_offset_delta < 0 || out->base_offset > INT64_MAX - INT32_MAX)
        return err_set(err, ERR_INVALID_RECORD, "record batch: offsets %lld + %d are not possible",
                       (long long)out->base_offset, out->last_offset_delta);
    if (out->record_count < 0 || out->record_count - 1 > out->last_offset_delta)
        return err_set(err, ERR_INVALID_RECORD,
                       "record batch: %d records do not fit the last offset delta %d", out->record_count,
                       out->last_offset_delta);
    return true;
}

bool batch_open(struct str bytes, struct batch *out, struct err *err)
{
    out->bytes = bytes;
    if (bytes.len < BATCH_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "record batch: %zu bytes, a header alone has %d", bytes.len,
                       BATCH_HEADER_BYTES);
    if (!batch_open_header(bytes.ptr, out, err))
        return false;
    size_t size = batch_size(bytes.ptr);
    if (size > bytes.len)
        return err_set(err, ERR_CORRUPT, "record batch: says %zu bytes, %zu are there", size, bytes.len);
    out->bytes = str_of(bytes.ptr, size);
    return true;
}

bool batch_next(struct str *rest, struct batch *out, struct err *err)
{
    out->bytes = STR_NULL;
    if (rest->len < BATCH_HEADER_BYTES)
        return false;
    size_t size = batch_size(rest->ptr);
    if (size > rest->len)
        return false;
    if (!batch_open(*rest, out, err))
        return false;
    *rest = str_of(rest->ptr + size, rest->len - size);
    return true;
}

static uint32_t crc_of(const char *at, size_t size)
{
    return hash_crc32c(0, at + AT_ATTRIBUTES, size - AT_ATTRIBUTES);
}

bool batch_check_crc(const struct batch *batch, struct err *err)
{
    uint32_t crc = crc_of(batch->bytes.ptr, batch->bytes.len);
    if (crc == batch->crc)
        return true;
    return err_set(err, ERR_CORRUPT, "record batch at offset %lld: checksum is %08x, the bytes give %08x",
                   (long long)batch->base_offset, batch->crc, crc);
}

static void crc_renew(char *at)
{
    size_t size = batch_size(at);
    ASSERT(size != 0);
    store_be32(at + AT_CRC, crc_of(at, size));
}

void batch_set_place(void *bytes, int64_t base_offset, int32_t leader_epoch)
{
    char *at = bytes;
    store_be64(at + AT_BASE_OFFSET, (uint64_t)base_offset);
    store_be32(at + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void batch_set_time(void *bytes, bool append_time, int64_t max_timestamp_ms)
{
    char *at = bytes;
    uint16_t before = load_be16(at + AT_ATTRIBUTES);
    uint16_t after = (uint16_t)(append_time ? before | BATCH_APPEND_TIME : before & ~BATCH_APPEND_TIME);
    if (after == before && (int64_t)load_be64(at + AT_MAX_TIMESTAMP) == max_timestamp_ms)
        return; /* the usual case: no second checksum */
    store_be16(at + AT_ATTRIBUTES, after);
    store_be64(at + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp_ms);
    crc_renew(at);
}

void batch_set_producer(void *bytes, int64_t pid, int16_t epoch, int32_t base_seq, bool transactional)
{
    char *at = bytes;
    uint16_t attributes = load_be16(at + AT_ATTRIBUTES);
    attributes =
        (uint16_t)(transactional ? attributes | BATCH_TRANSACTIONAL : attributes & ~BATCH_TRANSACTIONAL);
    store_be16(at + AT_ATTRIBUTES, attributes);
    store_be64(at + AT_PID, (uint64_t)pid);
    store_be16(at + AT_EPOCH, (uint16_t)epoch);
    store_be32(at + AT_BASE_SEQ, (uint32_t)base_seq);
    crc_renew(at);
}

void batch_make_marker(uint8_t out[BATCH_MARKER_BYTES], int64_t pid, int16_t epoch, enum marker marker,
                       int32_t coordinator_epoch, int64_t timestamp_ms)
{
    /* length 16 | attributes | time delta | offset delta | key 4: version, type | value 6: version, epoch |
     * no headers */
    static const uint8_t record[] = {32, 0, 0, 0, 8, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0};
    enum { AT_TYPE = BATCH_HEADER_BYTES + 7, AT_COORDINATOR = BATCH_HEADER_BYTES + 12 };
    _Static_assert(BATCH_HEADER_BYTES + sizeof record == BATCH_MARKER_BYTES, "marker layout");
    memset(out, 0, BATCH_HEADER_BYTES);
    memcpy(out + BATCH_HEADER_BYTES, record, sizeof record);
    store_be16(out + AT_TYPE, (uint16_t)marker);
    store_be32(out + AT_COORDINATOR, (uint32_t)coordinator_epoch);
    batch_set_place(out, 0, -1);
    store_be32(out + AT_LENGTH, BATCH_MARKER_BYTES - BATCH_PREFIX_BYTES);
    out[AT_MAGIC] = BATCH_MAGIC;
    store_be16(out + AT_ATTRIBUTES, BATCH_TRANSACTIONAL | BATCH_CONTROL);
    store_be64(out + AT_BASE_TIMESTAMP, (uint64_t)timestamp_ms);
    store_be64(out + AT_MAX_TIMESTAMP, (uint64_t)timestamp_ms);
    store_be64(out + AT_PID, (uint64_t)pid);
    store_be16(out + AT_EPOCH, (uint16_t)epoch);
    store_be32(out + AT_BASE_SEQ, UINT32_MAX);
    store_be32(out + AT_RECORD_COUNT, 1);
    crc_renew((char *)out);
}

bool batch_read_marker(const struct batch *batch, enum marker *marker, int32_t *coordinator_epoch)
{
    struct batch_iter it;
    struct record rec;
    struct buf plain = {0};
    bool found = batch_is_control(batch) && batch_iter_init(&it, batch, &plain, NULL) &&
                 batch_iter_next(&it, &rec) && rec.key.len >= 4 && rec.value.len >= 6;
    if (found) {
        uint16_t type = load_be16(rec.key.ptr + 2);
        *marker = type == MARKER_COMMIT ? MARKER_COMMIT : MARKER_ABORT;
        *coordinator_epoch = (int32_t)load_be32(rec.value.ptr + 2);
        found = type <= MARKER_COMMIT;
    }
    buf_fini(&plain);
    return found;
}
