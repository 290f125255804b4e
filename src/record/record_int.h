/* record_int.h - private to record: places of the header's fields, and varints fast enough for every
 * record. */
#ifndef RIALTO_RECORD_RECORD_INT_H
#define RIALTO_RECORD_RECORD_INT_H

#include "record/record.h"

enum batch_place {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21, /* the checksum covers from here to the end */
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PID = 43,
    AT_EPOCH = 51,
    AT_BASE_SEQ = 53,
    AT_RECORD_COUNT = 57,
};

enum { BATCH_MAGIC = 2, VARINT_BYTES_MAX = 10 };

/* Reads a zigzag varint; false when the bytes end early or exceed 64 bits. One byte, the usual case, is
 * inline. */
static inline bool read_varint(const uint8_t **at, const uint8_t *end, int64_t *out)
{
    const uint8_t *p = *at;
    if (__builtin_expect(p < end && *p < 0x80, 1)) {
        *out = zigzag_decode(*p);
        *at = p + 1;
        return true;
    }
    uint64_t raw;
    size_t size = varint_decode(p, end, &raw);
    if (size == 0)
        return false;
    *out = zigzag_decode(raw);
    *at = p + size;
    return true;
}

/* Reads a length and its bytes; length -1 gives a null slice where that is allowed. */
static inline bool read_bytes(const uint8_t **at, const uint8_t *end, bool null_allowed, struct str *out)
{
    int64_t len;
    if (!read_varint(at, end, &len) || len > end - *at || len < (null_allowed ? -1 : 0))
        return false;
    if (len == -1) {
        *out = STR_NULL;
        return true;
    }
    *out = str_of((const char *)*at, (size_t)len);
    *at += len;
    return true;
}

/* Bytes that the zigzag varint of v takes. */
static inline size_t varint_size(int64_t v)
{
    uint64_t raw = zigzag_encode(v) | 1;
    return (size_t)(70 - __builtin_clzll(raw)) / 7;
}

#endif
