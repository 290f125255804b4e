/* iter.c - the records of a batch, one after the other, and the check that walks them all.
 *
 *   length | attributes | time delta | offset delta | key size, key | value size, value | headers: count, them
 *   varint   i8           varlong      varint         varint          varint              varint
 *
 * The walk trusts nothing: every length is compared with what is left of the record, the record with what
 * is left of the batch. Slices point into the batch, or into the buffer that holds the plain records. Null
 * has the length -1.
 */
#include "record/record_int.h"

bool batch_iter_init(struct batch_iter *it, const struct batch *batch, struct buf *plain, struct err *err)
{
    struct str records = str_sub(batch->bytes, BATCH_HEADER_BYTES, batch->bytes.len);
    *it = (struct batch_iter){.batch = batch, .left = batch->record_count};
    if (batch_codec(batch) != CODEC_NONE && batch->record_count != 0) {
        buf_clear(plain);
        if (!codec_decompress(batch_codec(batch), records, RECORDS_BYTES_MAX, plain, err)) {
            err_context(err, "record batch at offset %lld", (long long)batch->base_offset);
            return false;
        }
        records = buf_str(plain);
    }
    it->at = (const uint8_t *)records.ptr;
    it->end = it->at + records.len;
    return true;
}

static bool iter_fail(struct batch_iter *it, const char *why)
{
    it->bad = why;
    return false;
}

bool batch_iter_next(struct batch_iter *it, struct record *rec)
{
    int64_t length, time_delta, offset_delta, header_count;
    if (it->left <= 0 || it->bad != NULL)
        return false;
    const uint8_t *at = it->at;
    if (!read_varint(&at, it->end, &length) || length < 0 || length > it->end - at)
        return iter_fail(it, "a record's length does not fit");
    const uint8_t *end = at + length;
    if (at == end)
        return iter_fail(it, "an empty record");
    at++; /* attributes: none are in use */
    if (!read_varint(&at, end, &time_delta) || !read_varint(&at, end, &offset_delta))
        return iter_fail(it, "a record's deltas do not fit");
    if (!read_bytes(&at, end, true, &rec->key) || !read_bytes(&at, end, true, &rec->value))
        return iter_fail(it, "a record's key or value does not fit");
    /* A header takes two bytes at least. */
    if (!read_varint(&at, end, &header_count) || header_count < 0 || header_count > (end - at) / 2)
        return iter_fail(it, "a record's header count does not fit");
    if (offset_delta < 0 || offset_delta > it->batch->last_offset_delta)
        return iter_fail(it, "a record's offset is outside its batch");
    rec->offset = it->batch->base_offset + offset_delta;
    rec->timestamp_ms = it->batch->attributes & BATCH_APPEND_TIME
                            ? it->batch->max_timestamp_ms
                            : (int64_t)((uint64_t)it->batch->base_timestamp_ms + (uint64_t)time_delta);
    rec->headers = str_of((const char *)at, (size_t)(end - at));
    rec->header_count = (int32_t)header_count;
    it->at = end;
    it->left--;
    return true;
}

bool batch_iter_ok(const struct batch_iter *it, struct err *err)
{
    const char *bad = it->bad != NULL                      ? it->bad
                      : it->left == 0 && it->at != it->end ? "bytes are left after the last record"
                                                           : NULL;
    if (bad == NULL)
        return true;
    return err_set(err, ERR_INVALID_RECORD, "record batch at offset %lld, record %d: %s",
                   (long long)it->batch->base_offset, it->batch->record_count - it->left, bad);
}

bool record_header_next(struct str *rest, struct record_header *out)
{
    const uint8_t *at = (const uint8_t *)rest->ptr, *end = at + rest->len;
    if (!read_bytes(&at, end, false, &out->key) || !read_bytes(&at, end, true, &out->value))
        return false;
    *rest = str_of((const char *)at, (size_t)(end - at));
    return true;
}

/* Headers of a record: as many as it says, and nothing after. */
static bool headers_check(const struct record *rec)
{
    struct str rest = rec->headers;
    struct record_header header;
    for (int32_t i = 0; i < rec->header_count; i++)
        if (!record_header_next(&rest, &header))
            return false;
    return rest.len == 0;
}

static void facts_add(struct batch_facts *facts, const struct record *rec)
{
    int64_t timestamp_ms = rec->timestamp_ms;
    facts->max_timestamp_ms = MAX(facts->max_timestamp_ms, timestamp_ms);
    if (timestamp_ms != -1 && (facts->min_timestamp_ms == -1 || timestamp_ms < facts->min_timestamp_ms))
        facts->min_timestamp_ms = timestamp_ms;
    facts->null_key |= str_is_null(rec->key);
}

static bool breaks_time(const struct batch_rules *rules, int64_t timestamp_ms)
{
    return timestamp_ms != -1 &&
           (timestamp_ms < rules->timestamp_min_ms || timestamp_ms > rules->timestamp_max_ms);
}

enum batch_fault batch_record_fault(const struct batch_rules *rules, const struct record *rec)
{
    return rules->key_required && str_is_null(rec->key) ? BATCH_NO_KEY
           : breaks_time(rules, rec->timestamp_ms)      ? BATCH_BAD_TIMESTAMP
                                                        : BATCH_GOOD;
}

enum batch_fault batch_facts_fault(const struct batch_rules *rules, const struct batch_facts *facts)
{
    if (rules->key_required && facts->null_key)
        return BATCH_NO_KEY;
    bool bad = breaks_time(rules, facts->min_timestamp_ms) || breaks_time(rules, facts->max_timestamp_ms);
    return bad ? BATCH_BAD_TIMESTAMP : BATCH_GOOD;
}

bool batch_check_records(const struct batch *batch, struct batch_facts *out, struct err *err)
{
    struct batch plain_time = *batch; /* timestamps as the producer set them */
    struct batch_iter it;
    struct record rec;
    plain_time.attributes &= (uint16_t)~BATCH_APPEND_TIME;
    *out = (struct batch_facts){.min_timestamp_ms = -1, .max_timestamp_ms = INT64_MIN};
    if (!batch_iter_init(&it, &plain_time, codec_scratch(), err))
        return false;
    out->plain_bytes = (size_t)(it.end - it.at);
    for (int32_t delta = 0; batch_iter_next(&it, &rec); delta++) {
        if (rec.offset != batch->base_offset + delta)
            return err_set(err, ERR_INVALID_RECORD, "record %d of the batch has the offset delta %lld", delta,
                           (long long)(rec.offset - batch->base_offset));
        if (!headers_check(&rec))
            return err_set(err, ERR_INVALID_RECORD, "record %d of the batch has damaged headers", delta);
        facts_add(out, &rec);
    }
    return batch_iter_ok(&it, err);
}
