/* text.c - UTF-8 by code points. Texts in values are valid; bytes that are not (BYTES read as text) are
 * one character each, so that every function here ends.
 */
#include "func/func_int.h"

size_t text_char_len(struct str s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return MIN(len, s.len);
}

size_t text_length(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

size_t text_offset(struct str s, size_t n)
{
    size_t at = 0;
    while (at < s.len && n-- > 0)
        at += text_char_len(str_sub(s, at, s.len));
    return MIN(at, s.len);
}

uint32_t text_decode(struct str s, size_t *len)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *len = text_char_len(s);
    uint32_t code_point = (unsigned char)s.ptr[0] & first_bits[*len];
    for (size_t i = 1; i < *len; i++)
        code_point = code_point << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    return code_point;
}

void text_append(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_char(out, (char)c);
    } else if (c < 0x800) {
        buf_append(out, (char[]){(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))}, 2);
    } else if (c < 0x10000) {
        buf_append(out,
                   (char[]){(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)),
                            (char)(0x80 | (c & 0x3f))},
                   3);
    } else {
        buf_append(out,
                   (char[]){(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
                            (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))},
                   4);
    }
}

bool text_is_valid(struct str s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t at = 0, len; at < s.len; at += len) {
        struct str rest = str_sub(s, at, s.len);
        unsigned char c = (unsigned char)rest.ptr[0];
        if ((c >= 0x80 && c < 0xc2) || c > 0xf4)
            return false;
        uint32_t code_point = text_decode(rest, &len);
        size_t wanted = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        for (size_t i = 1; i < len; i++)
            if (((unsigned char)rest.ptr[i] & 0xc0) != 0x80)
                return false;
        if (len != wanted || code_point < least[len] || code_point > 0x10ffff ||
            (code_point >= 0xd800 && code_point < 0xe000))
            return false;
    }
    return true;
}

bool text_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x1680 || (c >= 0x2000 && c <= 0x2006) ||
           (c >= 0x2008 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x205f || c == 0x3000;
}
