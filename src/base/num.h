/* num.h - numbers and text, big-endian and varint encodings, base64 and hex. */
#ifndef RIALTO_BASE_NUM_H
#define RIALTO_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define ALIGN_UP(n, to) (((n) + (to)-1) / (to) * (to))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The whole slice is a decimal integer (sign allowed) that fits; false otherwise and *out untouched. */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_i32(struct str s, int32_t *out);

/* The whole slice is a decimal floating point number ("1", "-1.5e3"); no hex, no inf, no nan, no white space. */
bool str_to_double(struct str s, double *out);

/* Appends d as Java's Double.toString does (JDK 19+): shortest digits that read back, "1.0", "1.0E10", "NaN". */
void buf_append_double(struct buf *buf, double d);

/* Appends in decimal. */
void buf_append_i64(struct buf *buf, int64_t n);

/* Big-endian loads and stores; no alignment needed. */
static inline uint16_t load_be16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, 2);
    return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return __builtin_bswap64(v);
}

static inline void store_be16(void *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, 2);
}

static inline void store_be32(void *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, 4);
}

static inline void store_be64(void *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, 8);
}

/* Unsigned LEB128 (Kafka's UNSIGNED_VARINT, Protobuf's varint). The encoder needs 10 bytes of room and returns the
 * number written; the decoder returns the number read, or 0 when the bytes end early or exceed 64 bits. */
size_t varint_encode(uint8_t *at, uint64_t v);
size_t varint_decode_long(const uint8_t *at, const uint8_t *end, uint64_t *out);
static inline size_t varint_decode(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    /* Most are short: lengths and deltas of records. */
    if (end - at < 2 || (at[0] & at[1] & 0x80) != 0)
        return varint_decode_long(at, end, out);
    bool two = (at[0] & 0x80) != 0;
    *out = two ? (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7 : at[0];
    return two ? 2 : 1;
}

/* Zigzag (Kafka's VARINT, VARLONG; Avro's int, long). */
static inline uint64_t zigzag_encode(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline int64_t zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Base64 with padding (RFC 4648). The decoder takes no white space and returns false on anything malformed. */
void buf_append_base64(struct buf *buf, struct str bytes);
bool buf_append_base64_decoded(struct buf *buf, struct str text);

/* Lower-case hex. */
void buf_append_hex(struct buf *buf, struct str bytes);
bool buf_append_hex_decoded(struct buf *buf, struct str text);

#endif
