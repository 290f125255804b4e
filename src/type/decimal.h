/* decimal.h - exact decimals with BigDecimal's semantics: unscaled integer and scale.
 *
 *   value = unscaled / 10^scale
 *
 *   unscaled fits 127 bits:  [small: __int128][limbs NULL]          adds and multiplies in a few ns
 *   beyond:                  [limbs -> GMP limbs, least first][limb_count, negative when the number is]
 *
 * (D1) A number is `small` whenever it fits: two equal unscaled values have one representation.
 * (D2) Decimals are immutable and live in an arena (values of SQL_DECIMAL point to them). Functions return
 *      a new one, or an argument when nothing changes.
 * (D3) 1.0 and 1.00 differ in scale, compare equal and hash equal.
 *
 * Scales are 0 and up. Any thread: there is no shared state.
 */
#ifndef RIALTO_TYPE_DECIMAL_H
#define RIALTO_TYPE_DECIMAL_H

#include "base/base.h"

/* Digits that a text may have before it is refused, and bound of scales: input from outside chooses
 * neither. */
enum { DECIMAL_DIGITS_MAX = 4096 };

struct decimal {
    __int128 small;
    const uint64_t *limbs; /* NULL: small holds the value */
    int32_t limb_count;
    int32_t scale;
};

/* What happens to digits that are cut off; names as in java.math.RoundingMode. */
enum decimal_round {
    DECIMAL_UP,        /* away from zero */
    DECIMAL_DOWN,      /* towards zero */
    DECIMAL_CEILING,   /* towards +infinity */
    DECIMAL_FLOOR,     /* towards -infinity */
    DECIMAL_HALF_UP,   /* nearest, ties away from zero */
    DECIMAL_HALF_DOWN, /* nearest, ties towards zero */
    DECIMAL_HALF_EVEN,
    DECIMAL_HALF_CEILING, /* nearest, ties towards +infinity: ksqlDB's ROUND */
    DECIMAL_EXACT         /* nothing may be cut off: NULL */
};

const struct decimal *decimal_of_i64(int64_t unscaled, int32_t scale, struct arena *arena);

/* Text as BigDecimal's constructor takes it ("-1.50", ".5", "1.", "12E3"); scale as written, exponents
 * applied. NULL when it is no number or beyond DECIMAL_DIGITS_MAX. */
const struct decimal *decimal_parse(struct str text, struct arena *arena);

/* The decimal of the double's shortest text (BigDecimal.valueOf); NULL for NaN and infinities. */
const struct decimal *decimal_of_double(double d, struct arena *arena);

/* With this scale; NULL only with DECIMAL_EXACT. */
const struct decimal *decimal_rescale(const struct decimal *dec, int32_t scale, enum decimal_round round,
                                      struct arena *arena);

/* |dec| < 10^(precision - scale). */
bool decimal_fits(const struct decimal *dec, uint32_t precision, uint32_t scale);

/* Rescales HALF_UP to DECIMAL(precision, scale), or exactly; ERR_CONVERSION with ksqlDB's text ("Numeric
 * field overflow: A field with precision ..") when it does not fit. */
const struct decimal *decimal_cast(const struct decimal *dec, uint32_t precision, uint32_t scale,
                                   struct arena *arena, struct err *err);
const struct decimal *decimal_fit_exactly(const struct decimal *dec, uint32_t precision, uint32_t scale,
                                          struct arena *arena, struct err *err);

/* Arithmetic with the result rounded HALF_UP to `scale`. Division and remainder by zero give NULL; the
 * remainder has the dividend's sign. */
const struct decimal *decimal_add(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena);
const struct decimal *decimal_sub(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena);
const struct decimal *decimal_mul(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena);
const struct decimal *decimal_div(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena);
const struct decimal *decimal_mod(const struct decimal *a, const struct decimal *b, int32_t scale,
                                  struct arena *arena);
const struct decimal *decimal_neg(const struct decimal *dec, struct arena *arena);
const struct decimal *decimal_abs(const struct decimal *dec, struct arena *arena);

int decimal_cmp(const struct decimal *a, const struct decimal *b); /* by value: 1.0 equals 1.00 */
int decimal_sign(const struct decimal *dec);                       /* -1, 0, 1 */
uint64_t decimal_hash(const struct decimal *dec);

/* Digits of the unscaled value, without sign; 1 for zero. */
uint32_t decimal_precision(const struct decimal *dec);

int64_t decimal_to_i64(const struct decimal *dec); /* fraction cut, low 64 bits, as BigDecimal.longValue */
double decimal_to_double(const struct decimal *dec);
void decimal_print(const struct decimal *dec,
                   struct buf *out); /* plain notation with all decimals of the scale */

const struct decimal *decimal_dup(const struct decimal *dec, struct arena *arena);

/* Unscaled value as big-endian two's complement, shortest form: Avro's and Connect's Decimal bytes. */
void decimal_print_bytes(const struct decimal *dec, struct buf *out);
const struct decimal *decimal_of_bytes(struct str bytes, int32_t scale,
                                       struct arena *arena); /* NULL: empty, too long */

#endif
