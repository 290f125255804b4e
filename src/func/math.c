/* math.c - mathematical functions. Numbers of every type give DOUBLE, computed by the C library, whose
 * results lie within the last digit of Java's StrictMath.
 */
#include <math.h>
#include <sys/random.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

static double number(struct value v)
{
    return v.kind == SQL_DOUBLE ? v.d : (double)v.l;
}

#define UNARY(name, expr)           \
    SCALAR(name)                    \
    {                               \
        double x = number(args[0]); \
        *out = value_double(expr);  \
    }

#define BINARY(name, expr)                               \
    SCALAR(name)                                         \
    {                                                    \
        double x = number(args[0]), y = number(args[1]); \
        *out = value_double(expr);                       \
    }

UNARY(fn_acos, acos(x))
UNARY(fn_asin, asin(x))
UNARY(fn_atan, atan(x))
BINARY(fn_atan2, atan2(x, y))
UNARY(fn_cbrt, cbrt(x))
UNARY(fn_cos, cos(x))
UNARY(fn_cosh, cosh(x))
UNARY(fn_cot, 1.0 / tan(x))
UNARY(fn_degrees, x * 57.29577951308232)
UNARY(fn_exp, exp(x))
UNARY(fn_ln, log(x))
/* No base at or below 0, nor 1. */
BINARY(fn_log, x <= 0 || x == 1 ? NAN : log(y) / log(x))
BINARY(fn_power, pow(x, y))
UNARY(fn_radians, x * 0.017453292519943295)
UNARY(fn_sin, sin(x))
UNARY(fn_sinh, sinh(x))
UNARY(fn_sqrt, sqrt(x))
UNARY(fn_tan, tan(x))
UNARY(fn_tanh, tanh(x))

SCALAR(fn_pi)
{
    *out = value_double(M_PI);
}

/* 53 random bits: a DOUBLE in [0, 1). */
SCALAR(fn_random)
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        func_fail(ctx, "The system gives no random bytes");
        return;
    }
    *out = value_double((double)(bits >> 11) * 0x1p-53);
}

SCALAR(fn_sign)
{
    double x = number(args[0]);
    *out = value_int((x > 0) - (x < 0));
}

static bool check_coordinate(struct func_ctx *ctx, const char *what, double value, double bound)
{
    if (value >= -bound && value <= bound)
        return true;
    func_fail(ctx, "valid %s values for GeoDistance function are in the range of -%g to %g", what, bound,
              bound);
    return false;
}

/* Divided first: the last digit of a distance depends on it. */
static double radians(double degrees)
{
    return degrees / 180 * M_PI;
}

/* Haversine on a sphere of 6371 km, or 3959 miles. */
SCALAR(fn_geo_distance)
{
    double lat1 = args[0].d, lon1 = args[1].d, lat2 = args[2].d, lon2 = args[3].d, radius = 6371;
    for (uint32_t i = 0; i < 4; i++)
        if (value_is_null(args[i]))
            return;
    struct value unit = arg_or_null(args, arg_count, 4);
    if (!value_is_null(unit)) {
        struct str word = str_upper(value_slice(unit), ctx->arena);
        if (str_starts_with(word, STR("MI")))
            radius = 3959;
        else if (!str_starts_with(word, STR("KM")) && !str_starts_with(word, STR("KILO"))) {
            func_fail(
                ctx,
                "GeoDistance function units parameter must be one of MILES, MI, KILOMETERS, KM; got %.*s",
                STR_ARG(value_slice(unit)));
            return;
        }
    }
    if (!check_coordinate(ctx, "latitude", lat1, 90) || !check_coordinate(ctx, "latitude", lat2, 90) ||
        !check_coordinate(ctx, "longitude", lon1, 180) || !check_coordinate(ctx, "longitude", lon2, 180))
        return;
    double half_lat = sin(radians(lat2 - lat1) / 2), half_lon = sin(radians(lon2 - lon1) / 2);
    double a = half_lat * half_lat + half_lon * half_lon * cos(radians(lat1)) * cos(radians(lat2));
    *out = value_double(radius * 2 * asin(sqrt(a)));
}

#define THREE(name, fn, a, result)                                 \
    static const struct func_sig name[] = {                        \
        {"(" a " INTEGER) " result, .scalar = fn, .strict = true}, \
        {"(" a " BIGINT) " result, .scalar = fn, .strict = true},  \
        {"(" a " DOUBLE) " result, .scalar = fn, .strict = true},  \
    }
#define THREE_PAIRS(fn, a, b)                                                  \
    {"(" a " INTEGER, " b " INTEGER) DOUBLE", .scalar = fn, .strict = true},   \
        {"(" a " BIGINT, " b " BIGINT) DOUBLE", .scalar = fn, .strict = true}, \
    {                                                                          \
        "(" a " DOUBLE, " b " DOUBLE) DOUBLE", .scalar = fn, .strict = true    \
    }

THREE(acos_sigs, fn_acos, "value", "DOUBLE");
THREE(asin_sigs, fn_asin, "value", "DOUBLE");
THREE(atan_sigs, fn_atan, "value", "DOUBLE");
THREE(cbrt_sigs, fn_cbrt, "value", "DOUBLE");
THREE(cos_sigs, fn_cos, "value", "DOUBLE");
THREE(cosh_sigs, fn_cosh, "value", "DOUBLE");
THREE(cot_sigs, fn_cot, "value", "DOUBLE");
THREE(degrees_sigs, fn_degrees, "value", "DOUBLE");
THREE(exp_sigs, fn_exp, "exponent", "DOUBLE");
THREE(ln_sigs, fn_ln, "value", "DOUBLE");
THREE(radians_sigs, fn_radians, "value", "DOUBLE");
THREE(sign_sigs, fn_sign, "value", "INTEGER");
THREE(sin_sigs, fn_sin, "value", "DOUBLE");
THREE(sinh_sigs, fn_sinh, "value", "DOUBLE");
THREE(sqrt_sigs, fn_sqrt, "value", "DOUBLE");
THREE(tan_sigs, fn_tan, "value", "DOUBLE");
THREE(tanh_sigs, fn_tanh, "value", "DOUBLE");
static const struct func_sig atan2_sigs[] = {THREE_PAIRS(fn_atan2, "y", "x")};
static const struct func_sig power_sigs[] = {THREE_PAIRS(fn_power, "base", "exponent")};
static const struct func_sig log_sigs[] = {{"(value INTEGER) DOUBLE", .scalar = fn_ln, .strict = true},
                                           {"(value BIGINT) DOUBLE", .scalar = fn_ln, .strict = true},
                                           {"(value DOUBLE) DOUBLE", .scalar = fn_ln, .strict = true},
                                           THREE_PAIRS(fn_log, "base", "value")};
static const struct func_sig pi_sigs[] = {{"() DOUBLE", .scalar = fn_pi}};
static const struct func_sig random_sigs[] = {{"() DOUBLE", .scalar = fn_random, .is_volatile = true}};
static const struct func_sig geo_sigs[] = {
    {"(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE, units STRING) DOUBLE", .scalar = fn_geo_distance},
    {"(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE) DOUBLE", .scalar = fn_geo_distance}};

#define MATH(name, sigs, text) FUNC(name, "MATHEMATICAL", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    MATH("acos", acos_sigs, "Arc cosine, in radians."),
    MATH("asin", asin_sigs, "Arc sine, in radians."),
    MATH("atan", atan_sigs, "Arc tangent, in radians."),
    MATH("atan2", atan2_sigs, "Angle of the point (x, y) in radians; the arguments are y and x."),
    MATH("cbrt", cbrt_sigs, "Cube root."),
    MATH("cos", cos_sigs, "Cosine of an angle in radians."),
    MATH("cosh", cosh_sigs, "Hyperbolic cosine."),
    MATH("cot", cot_sigs, "Cotangent of an angle in radians."),
    MATH("degrees", degrees_sigs, "Radians as degrees."),
    MATH("exp", exp_sigs, "e raised to the argument."),
    FUNC("geo_distance", "OTHER", FUNC_SCALAR, geo_sigs,
         "Great-circle distance of two points in degrees of latitude and longitude; kilometres, or miles "
         "with 'MILES'."),
    MATH("ln", ln_sigs, "Natural logarithm."),
    MATH("log", log_sigs, "Natural logarithm, or the logarithm to a base given first."),
    MATH("pi", pi_sigs, "The number pi."),
    MATH("power", power_sigs, "Base raised to the exponent."),
    MATH("radians", radians_sigs, "Degrees as radians."),
    MATH("random", random_sigs, "A random number from 0 up to, but without, 1."),
    MATH("sign", sign_sigs, "-1, 0 or 1: the sign of the argument."),
    MATH("sin", sin_sigs, "Sine of an angle in radians."),
    MATH("sinh", sinh_sigs, "Hyperbolic sine."),
    MATH("sqrt", sqrt_sigs, "Square root."),
    MATH("tan", tan_sigs, "Tangent of an angle in radians."),
    MATH("tanh", tanh_sigs, "Hyperbolic tangent."),
};

const struct func_family family_math = {funcs, COUNT_OF(funcs)};
