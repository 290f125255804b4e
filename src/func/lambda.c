/* lambda.c - TRANSFORM, FILTER and REDUCE over arrays and maps.
 *
 * A body that fails ends the call: ctx->lambda has marked it failed and reported the cause.
 */
#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

SCALAR(fn_transform_array)
{
    if (value_is_null(args[0]))
        return;
    struct value *elems = func_values(ctx, args[0].len);
    for (uint32_t i = 0; i < args[0].len; i++)
        if (!ctx->lambda(ctx, 0, &args[0].elems[i], 1, &elems[i]))
            return;
    *out = value_nested(SQL_ARRAY, elems, args[0].len);
}

SCALAR(fn_transform_map)
{
    if (value_is_null(args[0]))
        return;
    struct value *entries = func_values(ctx, 2 * (size_t)args[0].len);
    for (uint32_t i = 0; i < args[0].len; i++) {
        const struct value *entry = &args[0].elems[2 * i];
        if (!ctx->lambda(ctx, 0, entry, 2, &entries[2 * i]) ||
            !ctx->lambda(ctx, 1, entry, 2, &entries[2 * i + 1]))
            return;
        for (uint32_t k = 0; k < i; k++)
            if (value_eq(entries[2 * k], entries[2 * i])) {
                func_fail(ctx, "The lambda for keys gave the same key twice");
                return;
            }
    }
    *out = value_nested(SQL_MAP, entries, args[0].len);
}

/* Keeps the groups of `width` values for which the lambda is true. */
static void filter(struct func_ctx *ctx, struct value from, uint32_t width, struct value *out)
{
    if (value_is_null(from))
        return;
    struct value *kept = func_values(ctx, (size_t)width * from.len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < from.len; i++) {
        struct value keep;
        const struct value *group = &from.elems[(size_t)width * i];
        if (!ctx->lambda(ctx, 0, group, width, &keep))
            return;
        if (value_is_null(keep)) {
            func_fail(ctx, "The lambda gave NULL where TRUE or FALSE is needed");
            return;
        }
        if (keep.b)
            memcpy(&kept[(size_t)width * count++], group, width * sizeof *kept);
    }
    *out = value_nested((enum sql_kind)from.kind, kept, count);
}

SCALAR(fn_filter_array)
{
    filter(ctx, args[0], 1, out);
}

SCALAR(fn_filter_map)
{
    filter(ctx, args[0], 2, out);
}

static void reduce(struct func_ctx *ctx, struct value from, uint32_t width, struct value state,
                   struct value *out)
{
    if (value_is_null(state))
        return;
    for (uint32_t i = 0; !value_is_null(from) && i < from.len; i++) {
        struct value params[3] = {state};
        memcpy(&params[1], &from.elems[(size_t)width * i], width * sizeof *params);
        if (!ctx->lambda(ctx, 0, params, width + 1, &state))
            return;
    }
    *out = state;
}

SCALAR(fn_reduce_array)
{
    reduce(ctx, args[0], 1, args[1], out);
}

SCALAR(fn_reduce_map)
{
    reduce(ctx, func_map_walk(ctx, args[0]), 2, args[1], out);
}

static const struct func_sig transform_sigs[] = {
    {"(array ARRAY<T>, function LAMBDA(T) R) ARRAY<R>", .scalar = fn_transform_array},
    {"(map MAP<K, V>, keyFunction LAMBDA(K, V) R, valueFunction LAMBDA(K, V) T) MAP<R, T>",
     .scalar = fn_transform_map}};
static const struct func_sig filter_sigs[] = {{"(array ARRAY<T>, function LAMBDA(T) BOOLEAN) ARRAY<T>",
                                               .scalar = fn_filter_array},
                                              {"(map MAP<K, V>, function LAMBDA(K, V) BOOLEAN) MAP<K, V>",
                                               .scalar = fn_filter_map}};
static const struct func_sig reduce_sigs[] = {
    {"(list ARRAY<T>, initialState S, function LAMBDA(S, T) S) S", .scalar = fn_reduce_array},
    {"(map MAP<K, V>, initialState S, function LAMBDA(S, K, V) S) S", .scalar = fn_reduce_map}};

static const struct func funcs[] = {
    FUNC("filter", "LAMBDA", FUNC_SCALAR, filter_sigs, "The elements or entries for which a lambda is true."),
    FUNC("reduce", "LAMBDA", FUNC_SCALAR, reduce_sigs,
         "Folds an array or a map into one value, starting from a given one."),
    FUNC("transform", "LAMBDA", FUNC_SCALAR, transform_sigs,
         "Applies a lambda to each element, or two lambdas to the key and the value of each entry."),
};

const struct func_family family_lambda = {funcs, COUNT_OF(funcs)};
