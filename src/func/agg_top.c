/* agg_top.c - TOPK and TOPKDISTINCT: the k greatest values of a group, descending.
 *
 * With further columns an entry is a STRUCT of the sort column and those columns of its row. Equal
 * entries stay in the order in which they came.
 */
#include "func/agg_int.h"

static bool bind_k(const struct func_arg *args, uint32_t count, const void **constant, struct arena *arena,
                   struct err *err)
{
    const struct value *k = args[count - 1].literal;
    if (k == NULL || value_is_null(*k)) /* the caller refuses what is no literal */
        return true;
    if (k->l < 1)
        return err_set(err, ERR_STATEMENT, "TOPK needs a number of values of 1 or more, not %" PRId64, k->l);
    *constant = arena_dup(arena, &k->l, sizeof k->l);
    return true;
}

static struct value sort_value(struct value entry)
{
    return entry.kind == SQL_STRUCT ? entry.elems[0] : entry;
}

static void insert(struct func_ctx *ctx, struct value *state, struct value entry, bool distinct)
{
    int64_t k = *(const int64_t *)ctx->call->constant;
    struct value v = sort_value(entry);
    uint32_t at = 0;
    while (at < state->len && value_cmp(sort_value(state->elems[at]), v) >= 0) {
        if (distinct && value_eq(state->elems[at], v))
            return;
        at++;
    }
    if (at >= k)
        return;
    uint32_t count = (uint32_t)MIN((int64_t)state->len + 1, k);
    struct value *elems = func_values(ctx, count);
    if (at > 0)
        memcpy(elems, state->elems, at * sizeof *elems);
    elems[at] = entry;
    if (count > at + 1)
        memcpy(elems + at + 1, state->elems + at, (count - at - 1) * sizeof *elems);
    *state = value_nested(SQL_ARRAY, elems, count);
}

AGG_ADD(top_add)
{
    if (!value_is_null(args[0]))
        insert(ctx, state, arg_count == 1 ? args[0] : agg_struct(ctx, args, arg_count), false);
}

AGG_MERGE(top_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        insert(ctx, state, other->elems[i], false);
}

AGG_ADD(distinct_add)
{
    if (!value_is_null(args[0]))
        insert(ctx, state, args[0], true);
}

AGG_MERGE(distinct_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        insert(ctx, state, other->elems[i], true);
}

static const struct func_agg top = {agg_init_array, top_add, NULL, top_merge, agg_identity};
static const struct func_agg top_distinct = {agg_init_array, distinct_add, NULL, distinct_merge,
                                             agg_identity};

/* ARRAY of the column, or of {sort_col, col0, ...}. */
static bool types_top(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                      const struct sql_type **result, struct arena *arena, struct err *err)
{
    uint32_t columns = count - 1;
    const struct sql_type *entry = params[0];
    if (columns > 1) {
        struct sql_field *fields = arena_array(arena, struct sql_field, columns);
        for (uint32_t i = 0; i < columns; i++)
            fields[i] =
                (struct sql_field){i == 0 ? STR("sort_col") : str_printf(arena, "col%u", i - 1), params[i]};
        entry = type_struct(fields, columns, arena);
    }
    *result = type_array(entry, arena);
    return true;
}

#define TOP(type)                                                                                           \
    {                                                                                                       \
        "(col1 " type ", others ANY..., const k INTEGER) ARRAY<" type ">", .agg = &top, .types = types_top, \
                                                                           .bind = bind_k                   \
    }
#define TOP_DISTINCT(type)                                                                           \
    {                                                                                                \
        "(col " type ", const k INTEGER) ARRAY<" type ">", .agg = &top_distinct, .types = types_top, \
                                                           .bind = bind_k                            \
    }

static const struct func_sig top_sigs[] = {TOP("INTEGER"), TOP("BIGINT"), TOP("DOUBLE"), TOP("STRING")};
static const struct func_sig distinct_sigs[] = {TOP_DISTINCT("INTEGER"), TOP_DISTINCT("BIGINT"),
                                                TOP_DISTINCT("DOUBLE"),  TOP_DISTINCT("STRING"),
                                                TOP_DISTINCT("DECIMAL"), TOP_DISTINCT("DATE"),
                                                TOP_DISTINCT("TIME"),    TOP_DISTINCT("TIMESTAMP"),
                                                TOP_DISTINCT("BYTES")};

static const struct func funcs[] = {
    FUNC("TOPK", "AGGREGATE", FUNC_AGGREGATE, top_sigs,
         "The k greatest values of a group, descending; with further columns, structs of the rows that have "
         "them."),
    FUNC("TOPKDISTINCT", "AGGREGATE", FUNC_AGGREGATE, distinct_sigs,
         "The k greatest distinct values of a group, descending."),
};

const struct func_family family_agg_top = {funcs, COUNT_OF(funcs)};
