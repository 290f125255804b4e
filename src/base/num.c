/* num.c - numbers and text, varints, base64, hex.
 *
 * Parsers take the whole slice or nothing and never read a locale. Doubles are printed as Java's Double.toString does: the
 * shortest digits that read back, at least two, plain between 10^-3 and 10^7, else with an exponent.
 */
#include "base/num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

bool str_to_i64(struct str s, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    if (s.len != 0 && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        negative = s.ptr[i++] == '-';
    if (i == s.len)
        return false;
    int64_t value = 0;
    if (s.len - i <= 18) { /* cannot overflow */
        for (; i < s.len; i++) {
            unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
            if (digit > 9)
                return false;
            value = value * 10 + digit;
        }
        *out = negative ? -value : value;
        return true;
    }
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        int digit = s.ptr[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* negative range is the larger one */
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

bool str_to_i32(struct str s, int32_t *out)
{
    int64_t wide;
    if (!str_to_i64(s, &wide) || wide < INT32_MIN || wide > INT32_MAX)
        return false;
    *out = (int32_t)wide;
    return true;
}

/* Checks [sign] digits [. digits] [e [sign] digits] with a digit in the mantissa. */
static bool is_decimal_number(struct str s)
{
    size_t i = 0, digits = 0;
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
        i++;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        digits++;
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
            digits++;
    if (digits == 0)
        return false;
    if (i < s.len && (s.ptr[i] | 32) == 'e') {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
            i++;
        size_t first = i;
        while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
            i++;
        if (i == first)
            return false;
    }
    return i == s.len;
}

/* Exact and quick for at most 15 digits and powers of ten up to 22: both are doubles without rounding, so one
 * multiplication or division rounds once (Clinger). The text is a valid number. */
static bool short_number(struct str s, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t i = s.ptr[0] == '-' || s.ptr[0] == '+', digits = 0;
    uint64_t mantissa = 0;
    int exponent = 0;
    bool point = false;
    for (; i < s.len && (s.ptr[i] | 32) != 'e'; i++) {
        if (s.ptr[i] == '.') {
            point = true;
            continue;
        }
        if (++digits > 15)
            return false;
        mantissa = mantissa * 10 + (uint64_t)(s.ptr[i] - '0');
        exponent -= point;
    }
    int64_t shift = 0;
    if (i < s.len && (!str_to_i64(str_of(s.ptr + i + 1, s.len - i - 1), &shift) || shift < -99 || shift > 99))
        return false;
    exponent += (int)shift;
    if (exponent < -22 || exponent > 22)
        return false;
    double d = exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
    *out = s.ptr[0] == '-' ? -d : d;
    return true;
}

bool str_to_double(struct str s, double *out)
{
    if (!is_decimal_number(s))
        return false;
    if (short_number(s, out))
        return true;
    char small[64];
    char *text = s.len < sizeof small ? small : malloc(s.len + 1);
    if (text == NULL)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    *out = strtod(text, NULL);
    if (text != small)
        free(text);
    return true;
}

/* Digits of a number of few decimals, such as 12.34, without printing and reading back: the least k for which
 * d * 10^k is whole. Up to 15 digits name one double only, so the first that divides back to d is the shortest.
 * 0 when d has more decimals. */
static int few_decimals(double d, char digits[20], int *exponent)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    for (size_t k = 0; k < sizeof powers / sizeof powers[0] && d * powers[k] < 1e15; k++) {
        double whole = nearbyint(d * powers[k]);
        if (whole / powers[k] != d)
            continue;
        int n = 0;
        uint64_t rest = (uint64_t)whole;
        char reversed[20];
        for (; rest != 0; rest /= 10)
            reversed[n++] = (char)('0' + rest % 10);
        for (int i = 0; i < n; i++)
            digits[i] = reversed[n - 1 - i];
        *exponent = n - 1 - (int)k;
        while (n > 1 && digits[n - 1] == '0')
            n--;
        return n;
    }
    return 0;
}

/* Shortest digits that read back, at least two as Java wants (4.9E-324, not 5E-324). Returns the digit count; *exponent is
 * that of the first digit (d.ddd x 10^exponent). */
static int shortest_digits(double d, char digits[20], int *exponent)
{
    char text[40];
    int few = few_decimals(d, digits, exponent);
    if (few > 0)
        return few;
    /* Normal numbers with up to 15 digits read back from 15 digits, so the search may start there and drop zeros. */
    for (int precision = d < 1e-300 ? 1 : 14; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (precision == 16 || strtod(text, NULL) == d)
            break;
    }
    char *e = strchr(text, 'e');
    ASSERT(e != NULL);
    *exponent = (int)strtol(e + 1, NULL, 10);
    int n = 0;
    for (char *p = text; p < e; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* 1.234E10: first digit, point, the rest or "0", exponent. */
static void append_scientific(struct buf *buf, const char *digits, int n, int exponent)
{
    buf_append_char(buf, digits[0]);
    buf_append_char(buf, '.');
    if (n > 1)
        buf_append(buf, digits + 1, (size_t)n - 1);
    else
        buf_append_char(buf, '0');
    buf_printf(buf, "E%d", exponent);
}

static void append_plain(struct buf *buf, const char *digits, int n, int exponent)
{
    if (exponent < 0) {
        buf_append_cstr(buf, "0.");
        for (int i = -1; i > exponent; i--)
            buf_append_char(buf, '0');
        buf_append(buf, digits, (size_t)n);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        buf_append_char(buf, i < n ? digits[i] : '0');
    buf_append_char(buf, '.');
    if (n > exponent + 1)
        buf_append(buf, digits + exponent + 1, (size_t)(n - exponent - 1));
    else
        buf_append_char(buf, '0');
}

/* Java: plain notation for 10^-3 <= |d| < 10^7, otherwise computerized scientific notation. */
void buf_append_double(struct buf *buf, double d)
{
    if (isnan(d)) {
        buf_append_cstr(buf, "NaN");
        return;
    }
    if (signbit(d))
        buf_append_char(buf, '-');
    d = fabs(d);
    if (isinf(d)) {
        buf_append_cstr(buf, "Infinity");
        return;
    }
    if (d == 0) {
        buf_append_cstr(buf, "0.0");
        return;
    }
    if (d < 1e7 && d == (double)(int64_t)d) { /* whole numbers need no search */
        buf_append_i64(buf, (int64_t)d);
        buf_append_cstr(buf, ".0");
        return;
    }
    char digits[20];
    int exponent;
    int n = shortest_digits(d, digits, &exponent);
    if (exponent >= -3 && exponent < 7)
        append_plain(buf, digits, n, exponent);
    else
        append_scientific(buf, digits, n, exponent);
}

/* 00 to 99: a division gives two digits. */
static const char digit_pairs[200] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243"
    "4445464748495051525354555657585960616263646566676869707172737475767778798081828384858687"
    "888990919293949596979899";

void buf_append_i64(struct buf *buf, int64_t n)
{
    char text[24];
    char *at = text + sizeof text;
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    for (; rest >= 100; rest /= 100) {
        at -= 2;
        memcpy(at, digit_pairs + 2 * (rest % 100), 2);
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(at, digit_pairs + 2 * rest, 2);
    } else {
        *--at = (char)('0' + rest);
    }
    if (n < 0)
        *--at = '-';
    buf_append(buf, at, (size_t)(text + sizeof text - at));
}

size_t varint_encode(uint8_t *at, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        at[n++] = (uint8_t)(v | 0x80);
    at[n++] = (uint8_t)v;
    return n;
}

size_t varint_decode_long(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t n = 0; n < 10 && at + n < end; n++) {
        uint64_t byte = at[n];
        if (n == 9 && byte > 1)
            return 0;
        v |= (byte & 0x7f) << (7 * n);
        if (byte < 0x80) {
            *out = v;
            return n + 1;
        }
    }
    return 0;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_append_base64(struct buf *buf, struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    char *out = buf_extend(buf, (bytes.len + 2) / 3 * 4);
    for (size_t left = bytes.len; left != 0; at += 3, out += 4) {
        size_t n = MIN(left, (size_t)3);
        uint32_t group = (uint32_t)at[0] << 16 | (n > 1 ? (uint32_t)at[1] << 8 : 0) | (n > 2 ? at[2] : 0);
        out[0] = base64_digits[group >> 18];
        out[1] = base64_digits[group >> 12 & 63];
        out[2] = n > 1 ? base64_digits[group >> 6 & 63] : '=';
        out[3] = n > 2 ? base64_digits[group & 63] : '=';
        left -= n;
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool buf_append_base64_decoded(struct buf *buf, struct str text)
{
    if (text.len != 0 && text.len % 4 == 0)
        for (int pad = 0; pad < 2 && text.ptr[text.len - 1] == '='; pad++)
            text.len--;
    if (text.len % 4 == 1)
        return false;
    size_t start = buf->len;
    uint32_t group = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.ptr[i]);
        if (value < 0) {
            buf->len = start;
            return false;
        }
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 0)
            buf_append_char(buf, (char)(group >> (6 - 2 * (i % 4))));
    }
    return true;
}

void buf_append_hex(struct buf *buf, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *out = buf_extend(buf, bytes.len * 2);
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[(uint8_t)bytes.ptr[i] >> 4];
        *out++ = digits[bytes.ptr[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool buf_append_hex_decoded(struct buf *buf, struct str text)
{
    if (text.len % 2 != 0)
        return false;
    size_t start = buf->len;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.ptr[i]), low = hex_value(text.ptr[i + 1]);
        if (high < 0 || low < 0) {
            buf->len = start;
            return false;
        }
        buf_append_char(buf, (char)(high << 4 | low));
    }
    return true;
}
