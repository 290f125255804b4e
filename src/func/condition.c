/* condition.c - choosing among values: the first that is there, the greatest, the least. */
#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

SCALAR(fn_coalesce)
{
    for (uint32_t i = 0; i < arg_count && value_is_null(*out); i++)
        *out = args[i];
}

SCALAR(fn_nullif)
{
    if (value_is_null(args[0]) || value_is_null(args[1]) || !value_eq(args[0], args[1]))
        *out = args[0];
}

SCALAR(fn_identity)
{
    *out = args[0];
}

static void extreme(const struct value *args, uint32_t count, int sign, struct value *out)
{
    for (uint32_t i = 0; i < count; i++)
        if (!value_is_null(args[i]) && (value_is_null(*out) || sign * value_cmp(args[i], *out) > 0))
            *out = args[i];
}

SCALAR(fn_greatest)
{
    extreme(args, arg_count, 1, out);
}

SCALAR(fn_least)
{
    extreme(args, arg_count, -1, out);
}

/* All decimals take the type that holds every one of them. */
static bool types_widest_decimal(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                                 const struct sql_type **result, struct arena *arena, struct err *err)
{
    *result = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (args[i].type->kind != SQL_NULL)
            *result = *result ? type_common_number(*result, params[i], arena) : params[i];
    for (uint32_t i = 0; i < count; i++)
        params[i] = *result;
    return true;
}

static const struct func_sig coalesce_sigs[] = {{"(first T, others T...) T", .scalar = fn_coalesce}};
static const struct func_sig ifnull_sigs[] = {{"(expression T, altValue T) T", .scalar = fn_coalesce}};
static const struct func_sig nullif_sigs[] = {{"(expr1 T, expr2 T) T", .scalar = fn_nullif}};
static const struct func_sig as_value_sigs[] = {{"(keyColumn T) T", .scalar = fn_identity}};

#define EXTREME_SIGS(fn)                                                                             \
    {                                                                                                \
        {"(val INTEGER, vals INTEGER...) INTEGER", .scalar = fn},                                    \
            {"(val BIGINT, vals BIGINT...) BIGINT", .scalar = fn},                                   \
            {"(val DOUBLE, vals DOUBLE...) DOUBLE", .scalar = fn},                                   \
            {"(val STRING, vals STRING...) STRING", .scalar = fn},                                   \
            {"(val BYTES, vals BYTES...) BYTES", .scalar = fn},                                      \
            {"(val DATE, vals DATE...) DATE", .scalar = fn},                                         \
            {"(val TIME, vals TIME...) TIME", .scalar = fn},                                         \
            {"(val TIMESTAMP, vals TIMESTAMP...) TIMESTAMP", .scalar = fn},                          \
            {"(val DECIMAL, vals DECIMAL...) DECIMAL", .scalar = fn, .types = types_widest_decimal}, \
    }

static const struct func_sig greatest_sigs[] = EXTREME_SIGS(fn_greatest);
static const struct func_sig least_sigs[] = EXTREME_SIGS(fn_least);

static const struct func funcs[] = {
    FUNC("AS_VALUE", "OTHER", FUNC_SCALAR, as_value_sigs,
         "Copies a key column into the value of the result."),
    FUNC("COALESCE", "CONDITIONAL", FUNC_SCALAR, coalesce_sigs, "The first argument that is not NULL."),
    FUNC("greatest", "MATHEMATICAL", FUNC_SCALAR, greatest_sigs,
         "The greatest of the arguments that are not NULL."),
    FUNC("IFNULL", "CONDITIONAL", FUNC_SCALAR, ifnull_sigs,
         "The first argument, or the second when that is NULL."),
    FUNC("least", "MATHEMATICAL", FUNC_SCALAR, least_sigs, "The least of the arguments that are not NULL."),
    FUNC("NULLIF", "CONDITIONAL", FUNC_SCALAR, nullif_sigs,
         "The first argument, or NULL when it equals the second."),
};

const struct func_family family_condition = {funcs, COUNT_OF(funcs)};
