#include "base/utf8.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"

/* Range of the second byte by the first, for the characters whose first byte restricts it (Unicode, table
 * 3-7). */
static bool second_byte_fits(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

static int length_of_first(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* Bytes from `at` that are a character or the longest valid start of one; *whole says which. */
static int take(const uint8_t *at, const uint8_t *end, bool *whole)
{
    int length = length_of_first(*at);
    *whole = false;
    if (length == 0)
        return 1;
    for (int i = 1; i < length; i++)
        if (at + i == end || (i == 1 ? !second_byte_fits(*at, at[1]) : (at[i] & 0xc0) != 0x80))
            return i;
    *whole = true;
    return length;
}

size_t utf8_valid_len(struct str s)
{
    const uint8_t *start = (const uint8_t *)s.ptr, *at = start, *end = start + s.len;
    while (at < end) {
        uint64_t eight;
        while (end - at >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0))
            at += 8;
        if (at == end)
            break;
        bool whole;
        int length = take(at, end, &whole);
        if (!whole)
            return (size_t)(at - start);
        at += length;
    }
    return s.len;
}

bool utf8_valid(struct str s)
{
    return utf8_valid_len(s) == s.len;
}

int utf8_decode(const char *at, const char *end, uint32_t *code)
{
    const uint8_t *byte = (const uint8_t *)at;
    if (at >= end)
        return 0;
    bool whole;
    int length = take(byte, (const uint8_t *)end, &whole);
    if (!whole)
        return 0;
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *code = byte[0] & first_bits[length];
    for (int i = 1; i < length; i++)
        *code = *code << 6 | (byte[i] & 0x3f);
    return length;
}

int utf8_encode(uint32_t code, char out[4])
{
    ASSERT(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    static const uint8_t first_marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(first_marks[length] | code);
    return length;
}

struct str utf8_repair(struct str s, struct arena *arena)
{
    size_t valid = utf8_valid_len(s);
    if (valid == s.len)
        return s;
    /* One bad byte can become three. */
    char *text = arena_alloc_bytes(arena, valid + (s.len - valid) * 3), *to = text + valid;
    memcpy(text, s.ptr, valid);
    const uint8_t *end = (const uint8_t *)s.ptr + s.len;
    for (const uint8_t *at = (const uint8_t *)s.ptr + valid; at < end;) {
        bool whole;
        int length = take(at, end, &whole);
        memcpy(to, whole ? (const char *)at : "\xef\xbf\xbd", whole ? (size_t)length : 3);
        to += whole ? length : 3;
        at += length;
    }
    return str_of(text, (size_t)(to - text));
}
