/* round.c - ABS, CEIL, FLOOR, ROUND, TRUNC over every number type.
 *
 * ROUND takes ties towards positive infinity. Numbers of places are decimal; negative ones round to
 * tens, hundreds. A DOUBLE is rounded as the decimal that its shortest text spells, so that 1.005 is
 * what one reads.
 */
#include <math.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

SCALAR(fn_abs)
{
    switch (args[0].kind) {
    case SQL_INTEGER:
        *out = value_int((int32_t)(args[0].l < 0 ? 0u - (uint32_t)args[0].l : (uint32_t)args[0].l));
        break;
    case SQL_BIGINT:
        *out = value_bigint((int64_t)(args[0].l < 0 ? 0 - (uint64_t)args[0].l : (uint64_t)args[0].l));
        break;
    case SQL_DOUBLE:
        *out = value_double(fabs(args[0].d));
        break;
    default:
        *out = value_decimal(decimal_abs(args[0].dec, ctx->arena));
        break;
    }
}

static void to_whole(struct func_ctx *ctx, struct value v, enum decimal_round mode, struct value *out)
{
    if (v.kind == SQL_DOUBLE) {
        *out = value_double(mode == DECIMAL_CEILING ? ceil(v.d) : floor(v.d));
    } else if (v.kind == SQL_DECIMAL) {
        const struct decimal *whole = decimal_rescale(v.dec, 0, mode, ctx->arena);
        *out = value_decimal(decimal_rescale(whole, v.dec->scale, DECIMAL_DOWN, ctx->arena));
    } else {
        *out = v;
    }
}

SCALAR(fn_ceil)
{
    to_whole(ctx, args[0], DECIMAL_CEILING, out);
}

SCALAR(fn_floor)
{
    to_whole(ctx, args[0], DECIMAL_FLOOR, out);
}

/* Java's conversion of double to long: NaN is 0, what is too large is the largest. */
static int64_t saturate(double d)
{
    if (isnan(d))
        return 0;
    return d >= 0x1p63 ? INT64_MAX : d < -0x1p63 ? INT64_MIN : (int64_t)d;
}

/* With this many decimal places, the scale at least 0. */
static const struct decimal *round_places(const struct decimal *dec, int64_t places, enum decimal_round mode,
                                          struct arena *arena)
{
    if (places >= 0)
        return places >= dec->scale ? dec : decimal_rescale(dec, (int32_t)places, mode, arena);
    if (-places > 18)
        return decimal_of_i64(0, 0, arena);
    int64_t power = 1;
    for (int64_t i = 0; i < -places; i++)
        power *= 10;
    struct decimal *shifted = arena_dup(arena, dec, sizeof *dec);
    shifted->scale += (int32_t)-places;
    const struct decimal *whole = decimal_rescale(shifted, 0, mode, arena);
    return decimal_mul(whole, decimal_of_i64(power, 0, arena), 0, arena);
}

static void round_to(struct func_ctx *ctx, const struct value *args, enum decimal_round mode,
                     struct value *out)
{
    bool from_double = args[0].kind == SQL_DOUBLE;
    const struct decimal *dec = from_double ? decimal_of_double(args[0].d, ctx->arena) : args[0].dec;
    if (dec == NULL) { /* NaN and infinities stay */
        *out = args[0];
        return;
    }
    const struct decimal *rounded = round_places(dec, args[1].l, mode, ctx->arena);
    if (from_double)
        *out = value_double(decimal_to_double(rounded));
    else
        *out = value_decimal(decimal_rescale(rounded, dec->scale, DECIMAL_DOWN, ctx->arena));
}

/* A double becomes a BIGINT (`whole` of it), a decimal one without places. */
static void to_integer(struct func_ctx *ctx, const struct value *args, double whole, enum decimal_round mode,
                       struct value *out)
{
    switch (args[0].kind) {
    case SQL_DOUBLE:
        *out = value_bigint(saturate(whole));
        break;
    case SQL_DECIMAL:
        *out = value_decimal(decimal_rescale(args[0].dec, 0, mode, ctx->arena));
        break;
    default:
        *out = value_bigint(args[0].l);
        break;
    }
}

SCALAR(fn_round)
{
    to_integer(ctx, args, floor(args[0].d + 0.5), DECIMAL_HALF_CEILING, out);
}

SCALAR(fn_round_places)
{
    round_to(ctx, args, DECIMAL_HALF_CEILING, out);
}

SCALAR(fn_trunc)
{
    to_integer(ctx, args, args[0].d, DECIMAL_DOWN, out);
}

SCALAR(fn_trunc_places)
{
    round_to(ctx, args, DECIMAL_DOWN, out);
}

static bool types_whole_decimal(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                                const struct sql_type **result, struct arena *arena, struct err *err)
{
    uint32_t digits = params[0]->precision - params[0]->scale;
    *result = type_decimal(MAX(digits, 1), 0, arena);
    return true;
}

#define KEEPING_SIGS(name, fn)                                                                \
    static const struct func_sig name[] = {                                                   \
        {"(val INTEGER) INTEGER", .scalar = fn, .strict = true},                              \
        {"(val BIGINT) BIGINT", .scalar = fn, .strict = true},                                \
        {"(val DOUBLE) DOUBLE", .scalar = fn, .strict = true},                                \
        {"(val DECIMAL) DECIMAL", .scalar = fn, .strict = true, .types = types_same_decimal}, \
    }
#define CUTTING_SIGS(name, fn, fn_places)                                                      \
    static const struct func_sig name[] = {                                                    \
        {"(val BIGINT) BIGINT", .scalar = fn, .strict = true},                                 \
        {"(val INTEGER) BIGINT", .scalar = fn, .strict = true},                                \
        {"(val DOUBLE) BIGINT", .scalar = fn, .strict = true},                                 \
        {"(val DOUBLE, decimalPlaces INTEGER) DOUBLE", .scalar = fn_places, .strict = true},   \
        {"(val DECIMAL) DECIMAL", .scalar = fn, .strict = true, .types = types_whole_decimal}, \
        {"(val DECIMAL, decimalPlaces INTEGER) DECIMAL", .scalar = fn_places, .strict = true,  \
         .types = types_same_decimal},                                                         \
    }

KEEPING_SIGS(abs_sigs, fn_abs);
KEEPING_SIGS(ceil_sigs, fn_ceil);
KEEPING_SIGS(floor_sigs, fn_floor);
CUTTING_SIGS(round_sigs, fn_round, fn_round_places);
CUTTING_SIGS(trunc_sigs, fn_trunc, fn_trunc_places);

static const struct func funcs[] = {
    FUNC("Abs", "MATHEMATICAL", FUNC_SCALAR, abs_sigs, "The number without its sign."),
    FUNC("Ceil", "MATHEMATICAL", FUNC_SCALAR, ceil_sigs,
         "The smallest whole number that is not below the argument."),
    FUNC("Floor", "MATHEMATICAL", FUNC_SCALAR, floor_sigs,
         "The largest whole number that is not above the argument."),
    FUNC("Round", "MATHEMATICAL", FUNC_SCALAR, round_sigs,
         "The nearest whole number, or the nearest with some decimal places; ties go up."),
    FUNC("Trunc", "MATHEMATICAL", FUNC_SCALAR, trunc_sigs,
         "The number cut to whole, or to some decimal places."),
};

const struct func_family family_round = {funcs, COUNT_OF(funcs)};
