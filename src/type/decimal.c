/* decimal.c - what a decimal is, and its texts and bytes; arithmetic is in decimal_math.c.
 *
 * Values up to 127 bits stay in `small`; the GMP half is reached by sums that do not fit, and by texts of
 * 38 digits and more. GMP integers are made on the stack of one function and released there; what is kept
 * is copied to the arena.
 */
#include "type/decimal_int.h"

#include <math.h>

_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t), "limbs are kept as uint64_t");

__int128 decimal_pow10(uint32_t n)
{
    static const uint64_t powers[] = {
        1u,
        10u,
        100u,
        1000u,
        10000u,
        100000u,
        1000000u,
        10000000u,
        100000000u,
        1000000000u,
        10000000000u,
        100000000000u,
        1000000000000u,
        10000000000000u,
        100000000000000u,
        1000000000000000u,
        10000000000000000u,
        100000000000000000u,
        1000000000000000000u,
        10000000000000000000u,
    };
    ASSERT(n <= DECIMAL_POW10_MAX);
    return n < COUNT_OF(powers) ? (__int128)powers[n] : (__int128)powers[19] * (__int128)powers[n - 19];
}

mpz_srcptr decimal_view(const struct decimal *dec, struct decimal_view *view)
{
    if (dec->limbs != NULL)
        return mpz_roinit_n(view->z, (const mp_limb_t *)dec->limbs, dec->limb_count);
    uint128_t magnitude = decimal_magnitude(dec->small);
    view->limbs[0] = (mp_limb_t)magnitude;
    view->limbs[1] = (mp_limb_t)(magnitude >> 64);
    mp_size_t count = view->limbs[1] != 0 ? 2 : 1; /* mpz_roinit_n drops leading zero limbs */
    return mpz_roinit_n(view->z, view->limbs, dec->small < 0 ? -count : count);
}

const struct decimal *decimal_of_small(__int128 unscaled, int32_t scale, struct arena *arena)
{
    struct decimal *dec = arena_alloc(arena, sizeof *dec);
    *dec = (struct decimal){.small = unscaled, .scale = scale};
    if (unscaled == INT128_LEAST) { /* has no opposite, so it is not small */
        static const uint64_t limbs[] = {0, (uint64_t)1 << 63};
        *dec = (struct decimal){.limbs = limbs, .limb_count = -2, .scale = scale};
    }
    return dec;
}

const struct decimal *decimal_of_mpz(mpz_srcptr z, int32_t scale, struct arena *arena)
{
    if (mpz_sizeinbase(z, 2) <= 127) {
        uint128_t magnitude = (uint128_t)mpz_getlimbn(z, 1) << 64 | mpz_getlimbn(z, 0);
        return decimal_of_small(mpz_sgn(z) < 0 ? -(__int128)magnitude : (__int128)magnitude, scale, arena);
    }
    size_t count = mpz_size(z);
    struct decimal *dec = arena_alloc(arena, sizeof *dec);
    *dec = (struct decimal){
        .limbs = arena_dup(arena, mpz_limbs_read(z), count * sizeof(mp_limb_t)),
        .limb_count = mpz_sgn(z) < 0 ? -(int32_t)count : (int32_t)count,
        .scale = scale,
    };
    return dec;
}

const struct decimal *decimal_of_i64(int64_t unscaled, int32_t scale, struct arena *arena)
{
    return decimal_of_small(unscaled, scale, arena);
}

const struct decimal *decimal_dup(const struct decimal *dec, struct arena *arena)
{
    struct decimal *copy = arena_dup(arena, dec, sizeof *dec);
    if (dec->limbs != NULL)
        copy->limbs = arena_dup(arena, dec->limbs, (size_t)abs(dec->limb_count) * sizeof *dec->limbs);
    return copy;
}

/* The parts of a number text: its digits without the point, how many stand behind the point, the exponent. */
struct number_parts {
    bool negative;
    size_t digits, fraction_digits;
    size_t mantissa_end;
    int64_t exponent;
};

static bool split_number(struct str text, struct number_parts *parts)
{
    *parts = (struct number_parts){0};
    size_t i = 0;
    if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
        parts->negative = text.ptr[i++] == '-';
    bool point = false;
    for (; i < text.len && (text.ptr[i] | 32) != 'e'; i++) {
        if (text.ptr[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        parts->digits++;
        parts->fraction_digits += point;
    }
    parts->mantissa_end = i;
    if (parts->digits == 0)
        return false;
    return i == text.len || str_to_i64(str_of(text.ptr + i + 1, text.len - i - 1), &parts->exponent);
}

/* The digits of the mantissa as an integer. */
static void read_digits(struct str text, const struct number_parts *parts, mpz_ptr z)
{
    char *digits = mem_alloc(parts->digits + 1);
    size_t n = 0;
    for (size_t i = 0; i < parts->mantissa_end; i++)
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9')
            digits[n++] = text.ptr[i];
    digits[n] = '\0';
    int status = mpz_set_str(z, digits, 10);
    ASSERT(status == 0);
    free(digits);
    if (parts->negative)
        mpz_neg(z, z);
}

/* The usual case: at most 38 digits, no exponent. */
static const struct decimal *parse_small(struct str text, const struct number_parts *parts,
                                         struct arena *arena)
{
    __int128 value = 0;
    for (size_t i = 0; i < parts->mantissa_end; i++)
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9')
            value = value * 10 + (text.ptr[i] - '0');
    return decimal_of_small(parts->negative ? -value : value, (int32_t)parts->fraction_digits, arena);
}

const struct decimal *decimal_parse(struct str text, struct arena *arena)
{
    struct number_parts parts;
    if (!split_number(text, &parts) || parts.digits > DECIMAL_DIGITS_MAX ||
        parts.exponent > DECIMAL_DIGITS_MAX || parts.exponent < -DECIMAL_DIGITS_MAX)
        return NULL;
    if (parts.digits <= DECIMAL_POW10_MAX && parts.exponent == 0)
        return parse_small(text, &parts, arena);
    int64_t scale = (int64_t)parts.fraction_digits - parts.exponent;
    mpz_t z, power;
    mpz_inits(z, power, NULL);
    read_digits(text, &parts, z);
    if (scale < 0) {
        mpz_ui_pow_ui(power, 10, (unsigned long)-scale);
        mpz_mul(z, z, power);
        scale = 0;
    }
    const struct decimal *dec = decimal_of_mpz(z, (int32_t)scale, arena);
    mpz_clears(z, power, NULL);
    return dec;
}

const struct decimal *decimal_of_double(double d, struct arena *arena)
{
    if (!isfinite(d))
        return NULL;
    struct buf text = {0};
    buf_append_double(&text, d);
    const struct decimal *dec = decimal_parse(buf_str(&text), arena);
    buf_fini(&text);
    return dec;
}

int decimal_sign(const struct decimal *dec)
{
    if (dec->limbs != NULL)
        return dec->limb_count < 0 ? -1 : 1;
    return dec->small < 0 ? -1 : dec->small > 0;
}

/* Digits of a magnitude into text that ends at `end`; returns where they start. */
static char *digits_before(char *end, uint128_t magnitude)
{
    const uint64_t chunk = 10000000000000000000u; /* 10^19 */
    char *at = end;
    while (magnitude > UINT64_MAX) {
        uint64_t low = (uint64_t)(magnitude % chunk);
        magnitude /= chunk;
        for (int i = 0; i < 19; i++, low /= 10)
            *--at = (char)('0' + low % 10);
    }
    uint64_t rest = (uint64_t)magnitude;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    return at;
}

/* Sign, digits, and the point `scale` digits from the end. */
static void print_plain(bool negative, const char *digits, size_t count, size_t scale, struct buf *out)
{
    if (negative)
        buf_append_char(out, '-');
    size_t whole = count > scale ? count - scale : 0;
    if (whole == 0)
        buf_append_char(out, '0');
    buf_append(out, digits, whole);
    if (scale == 0)
        return;
    buf_append_char(out, '.');
    for (size_t i = count; i < scale; i++)
        buf_append_char(out, '0');
    buf_append(out, digits + whole, count - whole);
}

void decimal_print(const struct decimal *dec, struct buf *out)
{
    ASSERT_CMP(dec->scale, >=, 0);
    bool negative = decimal_sign(dec) < 0;
    if (dec->limbs == NULL) {
        char text[48];
        char *end = text + sizeof text;
        char *first = digits_before(end, decimal_magnitude(dec->small));
        print_plain(negative, first, (size_t)(end - first), (size_t)dec->scale, out);
        return;
    }
    struct decimal_view view;
    mpz_srcptr z = decimal_view(dec, &view);
    char *text = mem_alloc(mpz_sizeinbase(z, 10) + 2);
    mpz_get_str(text, 10, z);
    const char *digits = text + negative;
    print_plain(negative, digits, strlen(digits), (size_t)dec->scale, out);
    free(text);
}

uint32_t decimal_precision(const struct decimal *dec)
{
    if (dec->limbs == NULL) {
        uint128_t magnitude = decimal_magnitude(dec->small);
        uint32_t digits = 1;
        while (digits <= DECIMAL_POW10_MAX && magnitude >= (uint128_t)decimal_pow10(digits))
            digits++;
        return digits;
    }
    struct decimal_view view;
    mpz_srcptr z = decimal_view(dec, &view);
    size_t digits = mpz_sizeinbase(z, 10); /* exact, or one too many */
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, digits - 1);
    bool shorter = mpz_cmpabs(z, power) < 0;
    mpz_clear(power);
    return (uint32_t)digits - shorter;
}

double decimal_to_double(const struct decimal *dec)
{
    /* The text is read with correct rounding, and quickly when it is short. */
    struct buf text = {0};
    decimal_print(dec, &text);
    double d = 0;
    bool ok = str_to_double(buf_str(&text), &d);
    ASSERT(ok);
    buf_fini(&text);
    return d;
}

void decimal_print_bytes(const struct decimal *dec, struct buf *out)
{
    struct decimal_view view;
    mpz_t z;
    mpz_init_set(z, decimal_view(dec, &view));
    bool negative = mpz_sgn(z) < 0;
    if (negative)
        mpz_com(z, z); /* ~z >= 0 has the same bytes, inverted, and needs the same room */
    size_t bits = mpz_sgn(z) == 0 ? 0 : mpz_sizeinbase(z, 2);
    size_t size = bits / 8 + 1; /* with room for the sign bit */
    uint8_t *at = (uint8_t *)buf_extend(out, size);
    memset(at, 0, size);
    size_t used = (bits + 7) / 8;
    mpz_export(at + size - used, NULL, 1, 1, 1, 0, z);
    if (negative)
        for (size_t i = 0; i < size; i++)
            at[i] = (uint8_t)~at[i];
    mpz_clear(z);
}

const struct decimal *decimal_of_bytes(struct str bytes, int32_t scale, struct arena *arena)
{
    if (bytes.len == 0 || bytes.len > DECIMAL_DIGITS_MAX / 2 || scale < 0)
        return NULL;
    mpz_t z, range;
    mpz_inits(z, range, NULL);
    mpz_import(z, bytes.len, 1, 1, 1, 0, bytes.ptr);
    if ((uint8_t)bytes.ptr[0] & 0x80) {
        mpz_setbit(range, bytes.len * 8);
        mpz_sub(z, z, range);
    }
    const struct decimal *dec = decimal_of_mpz(z, scale, arena);
    mpz_clears(z, range, NULL);
    return dec;
}
