/* decimal_math.c - rounding, arithmetic and order of decimals.
 *
 * Every operation has two halves: __int128 with overflow checks, and GMP when a step does not fit. Both
 * round by the same rule (`away`): the quotient is cut towards zero, then its magnitude grows by one or
 * not, by what was cut off.
 */
#include "type/decimal_int.h"

/* Does a quotient cut towards zero grow by one? `half` compares the part cut off with one half (-1, 0, 1). */
static bool away(enum decimal_round round, int sign, bool inexact, int half, bool odd)
{
    if (!inexact)
        return false;
    switch (round) {
    case DECIMAL_UP:
        return true;
    case DECIMAL_DOWN:
        return false;
    case DECIMAL_CEILING:
        return sign > 0;
    case DECIMAL_FLOOR:
        return sign < 0;
    case DECIMAL_HALF_UP:
        return half >= 0;
    case DECIMAL_HALF_DOWN:
        return half > 0;
    case DECIMAL_HALF_EVEN:
        return half > 0 || (half == 0 && odd);
    case DECIMAL_HALF_CEILING:
        return half > 0 || (half == 0 && sign > 0);
    case DECIMAL_EXACT:
        return false;
    }
    UNREACHABLE();
}

/* a / b rounded; false when DECIMAL_EXACT and there is a rest. b is not zero. */
static bool divide_small(__int128 a, __int128 b, enum decimal_round round, __int128 *out)
{
    uint128_t magnitude = decimal_magnitude(a), by = decimal_magnitude(b);
    uint128_t quotient = magnitude / by, rest = magnitude % by;
    if (rest != 0 && round == DECIMAL_EXACT)
        return false;
    int sign = (a < 0) == (b < 0) ? 1 : -1;
    int half = rest > by - rest ? 1 : rest == by - rest ? 0 : -1;
    quotient += away(round, sign, rest != 0, half, quotient & 1);
    *out = sign < 0 ? -(__int128)quotient : (__int128)quotient;
    return true;
}

static bool divide_big(mpz_ptr quotient, mpz_srcptr a, mpz_srcptr b, enum decimal_round round)
{
    mpz_t rest;
    mpz_init(rest);
    int sign = mpz_sgn(a) * mpz_sgn(b);
    mpz_tdiv_qr(quotient, rest, a, b);
    bool inexact = mpz_sgn(rest) != 0;
    mpz_mul_2exp(rest, rest, 1);
    int half = mpz_cmpabs(rest, b);
    mpz_clear(rest);
    if (inexact && round == DECIMAL_EXACT)
        return false;
    if (away(round, sign, inexact, half, mpz_odd_p(quotient))) {
        if (sign < 0)
            mpz_sub_ui(quotient, quotient, 1);
        else
            mpz_add_ui(quotient, quotient, 1);
    }
    return true;
}

/* v * 10^n; false when it does not fit. */
static bool scale_up_small(__int128 v, int32_t n, __int128 *out)
{
    return n <= DECIMAL_POW10_MAX && !__builtin_mul_overflow(v, decimal_pow10((uint32_t)n), out);
}

static void scale_up_big(mpz_ptr z, int32_t n)
{
    mpz_t power;
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, (unsigned long)n);
    mpz_mul(z, z, power);
    mpz_clear(power);
}

static const struct decimal *rescale_big(const struct decimal *dec, int32_t scale, enum decimal_round round,
                                         struct arena *arena)
{
    struct decimal_view view;
    mpz_t z, power;
    mpz_init_set(z, decimal_view(dec, &view));
    mpz_init_set_ui(power, 1);
    bool ok = true;
    if (scale > dec->scale) {
        scale_up_big(z, scale - dec->scale);
    } else {
        scale_up_big(power, dec->scale - scale);
        ok = divide_big(z, z, power, round);
    }
    const struct decimal *out = ok ? decimal_of_mpz(z, scale, arena) : NULL;
    mpz_clears(z, power, NULL);
    return out;
}

const struct decimal *decimal_rescale(const struct decimal *dec, int32_t scale, enum decimal_round round,
                                      struct arena *arena)
{
    ASSERT_CMP(scale, >=, 0);
    if (scale == dec->scale)
        return dec;
    int32_t cut = dec->scale - scale;
    if (dec->limbs == NULL && cut <= DECIMAL_POW10_MAX) {
        __int128 v;
        if (cut < 0 && scale_up_small(dec->small, -cut, &v))
            return decimal_of_small(v, scale, arena);
        if (cut > 0)
            return divide_small(dec->small, decimal_pow10((uint32_t)cut), round, &v)
                       ? decimal_of_small(v, scale, arena)
                       : NULL;
    }
    return rescale_big(dec, scale, round, arena);
}

/* The common scale of two numbers when both fit at it. */
static bool align_small(const struct decimal *a, const struct decimal *b, __int128 *x, __int128 *y,
                        int32_t *scale)
{
    if (a->limbs != NULL || b->limbs != NULL)
        return false;
    *scale = MAX(a->scale, b->scale);
    *x = a->small;
    *y = b->small;
    return (a->scale == *scale || scale_up_small(a->small, *scale - a->scale, x)) &&
           (b->scale == *scale || scale_up_small(b->small, *scale - b->scale, y));
}

static int32_t align_big(const struct decimal *a, const struct decimal *b, mpz_ptr x, mpz_ptr y)
{
    struct decimal_view view;
    int32_t scale = MAX(a->scale, b->scale);
    mpz_set(x, decimal_view(a, &view));
    mpz_set(y, decimal_view(b, &view));
    if (scale > a->scale)
        scale_up_big(x, scale - a->scale);
    if (scale > b->scale)
        scale_up_big(y, scale - b->scale);
    return scale;
}

/* What can be done with two integers of one scale. */
typedef void (*big_op)(mpz_ptr out, mpz_srcptr a, mpz_srcptr b);

static const struct decimal *aligned_big(const struct decimal *a, const struct decimal *b, big_op op,
                                         struct arena *arena)
{
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    int32_t scale = align_big(a, b, x, y);
    op(x, x, y);
    const struct decimal *out = decimal_of_mpz(x, scale, arena);
    mpz_clears(x, y, NULL);
    return out;
}

static const struct decimal *round_to(const struct decimal *dec, int32_t scale, struct arena *arena)
{
    return decimal_rescale(dec, scale, DECIMAL_HALF_UP, arena);
}

const struct decimal *decimal_add(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena)
{
    __int128 x, y, sum;
    int32_t common;
    if (align_small(a, b, &x, &y, &common) && !__builtin_add_overflow(x, y, &sum))
        return round_to(decimal_of_small(sum, common, arena), scale, arena);
    return round_to(aligned_big(a, b, mpz_add, arena), scale, arena);
}

const struct decimal *decimal_sub(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena)
{
    __int128 x, y, difference;
    int32_t common;
    if (align_small(a, b, &x, &y, &common) && !__builtin_sub_overflow(x, y, &difference))
        return round_to(decimal_of_small(difference, common, arena), scale, arena);
    return round_to(aligned_big(a, b, mpz_sub, arena), scale, arena);
}

const struct decimal *decimal_mod(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena)
{
    __int128 x, y;
    int32_t common;
    if (decimal_sign(b) == 0)
        return NULL;
    if (align_small(a, b, &x, &y, &common))
        return round_to(decimal_of_small(y == -1 ? 0 : x % y, common, arena), scale, arena);
    return round_to(aligned_big(a, b, mpz_tdiv_r, arena), scale, arena);
}

const struct decimal *decimal_mul(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena)
{
    __int128 product;
    if (a->limbs == NULL && b->limbs == NULL && !__builtin_mul_overflow(a->small, b->small, &product))
        return round_to(decimal_of_small(product, a->scale + b->scale, arena), scale, arena);
    struct decimal_view view_a, view_b;
    mpz_t z;
    mpz_init(z);
    mpz_mul(z, decimal_view(a, &view_a), decimal_view(b, &view_b));
    const struct decimal *out = decimal_of_mpz(z, a->scale + b->scale, arena);
    mpz_clear(z);
    return round_to(out, scale, arena);
}

/* a / b to `scale` is (a's digits * 10^shift) / b's digits; a negative shift moves to the other side. */
const struct decimal *decimal_div(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena)
{
    if (decimal_sign(b) == 0)
        return NULL;
    int32_t shift = scale + b->scale - a->scale;
    __int128 x, y, quotient;
    if (a->limbs == NULL && b->limbs == NULL && scale_up_small(a->small, MAX(shift, 0), &x) &&
        scale_up_small(b->small, MAX(-shift, 0), &y) && divide_small(x, y, DECIMAL_HALF_UP, &quotient))
        return decimal_of_small(quotient, scale, arena);
    struct decimal_view view;
    mpz_t p, q;
    mpz_init_set(p, decimal_view(a, &view));
    mpz_init_set(q, decimal_view(b, &view));
    scale_up_big(shift > 0 ? p : q, abs(shift));
    ignore(divide_big(p, p, q, DECIMAL_HALF_UP), "only an exact division can fail");
    const struct decimal *out = decimal_of_mpz(p, scale, arena);
    mpz_clears(p, q, NULL);
    return out;
}

const struct decimal *decimal_neg(const struct decimal *dec, struct arena *arena)
{
    struct decimal *out = arena_dup(arena, dec, sizeof *dec);
    out->small = -dec->small;
    out->limb_count = -dec->limb_count;
    return out;
}

const struct decimal *decimal_abs(const struct decimal *dec, struct arena *arena)
{
    return decimal_sign(dec) < 0 ? decimal_neg(dec, arena) : dec;
}

int decimal_cmp(const struct decimal *a, const struct decimal *b)
{
    __int128 x, y;
    int32_t common;
    if (align_small(a, b, &x, &y, &common))
        return x < y ? -1 : x > y;
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    align_big(a, b, p, q);
    int order = mpz_cmp(p, q);
    mpz_clears(p, q, NULL);
    return order < 0 ? -1 : order > 0;
}

/* Of the value without trailing zeros behind the point, so that equal numbers agree. */
uint64_t decimal_hash(const struct decimal *dec)
{
    int64_t scale = dec->scale;
    if (dec->limbs == NULL) {
        __int128 v = dec->small;
        for (; scale > 0 && v % 10 == 0; scale--)
            v /= 10;
        return hash_bytes(&v, sizeof v) ^ (uint64_t)scale;
    }
    struct decimal_view view;
    mpz_t z;
    mpz_init_set(z, decimal_view(dec, &view));
    for (; scale > 0 && mpz_divisible_ui_p(z, 10); scale--)
        mpz_divexact_ui(z, z, 10);
    struct arena arena = {0};
    const struct decimal *stripped = decimal_of_mpz(z, 0, &arena);
    uint64_t hash = stripped->limbs == NULL
                        ? hash_bytes(&stripped->small, sizeof stripped->small)
                        : hash_bytes(stripped->limbs, (size_t)abs(stripped->limb_count) * 8);
    mpz_clear(z);
    arena_fini(&arena);
    return hash ^ (uint64_t)scale;
}

bool decimal_fits(const struct decimal *dec, uint32_t precision, uint32_t scale)
{
    ASSERT_CMP(scale, <=, precision);
    int64_t whole_digits = (int64_t)decimal_precision(dec) - dec->scale;
    return decimal_sign(dec) == 0 || whole_digits <= (int64_t)precision - (int64_t)scale;
}

static bool overflow(const struct decimal *dec, uint32_t precision, uint32_t scale, struct err *err)
{
    struct buf text = {0};
    decimal_print(dec, &text);
    err_set(err, ERR_CONVERSION,
            "Numeric field overflow: A field with precision %u and scale %u must round to an absolute value "
            "less than "
            "10^%u. Got %.*s",
            precision, scale, precision - scale, STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}

const struct decimal *decimal_cast(const struct decimal *dec, uint32_t precision, uint32_t scale,
                                   struct arena *arena, struct err *err)
{
    const struct decimal *out = decimal_rescale(dec, (int32_t)scale, DECIMAL_HALF_UP, arena);
    if (decimal_fits(out, precision, scale))
        return out;
    overflow(dec, precision, scale, err);
    return NULL;
}

const struct decimal *decimal_fit_exactly(const struct decimal *dec, uint32_t precision, uint32_t scale,
                                          struct arena *arena, struct err *err)
{
    if (!decimal_fits(dec, precision, scale)) {
        overflow(dec, precision, scale, err);
        return NULL;
    }
    const struct decimal *out = decimal_rescale(dec, (int32_t)scale, DECIMAL_EXACT, arena);
    if (out != NULL)
        return out;
    struct buf text = {0};
    decimal_print(dec, &text);
    err_set(err, ERR_CONVERSION,
            "Cannot fit decimal '%.*s' into DECIMAL(%u, %u) without rounding. (Requires %u,%d)",
            STR_ARG(buf_str(&text)), precision, scale, decimal_precision(dec), dec->scale);
    buf_fini(&text);
    return NULL;
}

int64_t decimal_to_i64(const struct decimal *dec)
{
    if (dec->limbs == NULL && dec->scale <= DECIMAL_POW10_MAX)
        return (int64_t)(dec->small / decimal_pow10((uint32_t)dec->scale));
    struct arena arena = {0};
    const struct decimal *whole = decimal_rescale(dec, 0, DECIMAL_DOWN, &arena);
    uint64_t low = whole->limbs == NULL ? (uint64_t)whole->small : whole->limbs[0];
    if (whole->limbs != NULL && whole->limb_count < 0)
        low = 0 - low;
    arena_fini(&arena);
    return (int64_t)low;
}
