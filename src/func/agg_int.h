/* agg_int.h - private to src/func: helpers of the aggregate families. */
#ifndef RIALTO_FUNC_AGG_INT_H
#define RIALTO_FUNC_AGG_INT_H

#include "func/func_int.h"

#define AGG_INIT(name) static void name(struct func_ctx *ctx, struct value *state)
#define AGG_ADD(name) \
    static void name(struct func_ctx *ctx, struct value *state, const struct value *args, uint32_t arg_count)
#define AGG_MERGE(name)  static void name(struct func_ctx *ctx, struct value *state, const struct value *other)
#define AGG_RESULT(name) static void name(struct func_ctx *ctx, const struct value *state, struct value *out)

/* A STRUCT state of these fields. */
static inline struct value agg_struct(struct func_ctx *ctx, const struct value *fields, uint32_t count)
{
    return value_nested(SQL_STRUCT, arena_dup(ctx->arena, fields, count * sizeof *fields), count);
}

/* The array with one element more. */
static inline struct value agg_append(struct func_ctx *ctx, struct value array, struct value v)
{
    struct value *elems = arena_alloc(ctx->arena, ((size_t)array.len + 1) * sizeof *elems);
    if (array.len > 0)
        memcpy(elems, array.elems, array.len * sizeof *elems);
    elems[array.len] = v;
    return value_nested(SQL_ARRAY, elems, array.len + 1);
}

/* The array without element i. */
static inline struct value agg_without(struct func_ctx *ctx, struct value array, uint32_t i)
{
    struct value *elems = arena_alloc(ctx->arena, (size_t)array.len * sizeof *elems);
    memcpy(elems, array.elems, i * sizeof *elems);
    memcpy(elems + i, array.elems + i + 1, (array.len - i - 1) * sizeof *elems);
    return value_nested(SQL_ARRAY, elems, array.len - 1);
}

void agg_identity(struct func_ctx *ctx, const struct value *state, struct value *out);
void agg_init_null(struct func_ctx *ctx, struct value *state);
void agg_init_array(struct func_ctx *ctx, struct value *state);

#endif
