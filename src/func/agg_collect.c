/* agg_collect.c - COLLECT_LIST, COLLECT_SET, HISTOGRAM, ATTR: aggregates that keep values.
 *
 * Limits come from the settings; what is beyond them is left out silently, also after a merge, first
 * window first.
 */
#include "func/agg_int.h"

enum { HISTOGRAM_KEYS_MAX = 1000 };

static int64_t list_limit(struct func_ctx *ctx)
{
    return ctx->settings ? ctx->settings->collect_list_limit : INT32_MAX;
}

static int64_t set_limit(struct func_ctx *ctx)
{
    return ctx->settings ? ctx->settings->collect_set_limit : INT32_MAX;
}

static ptrdiff_t find(struct value array, struct value v)
{
    for (uint32_t i = 0; i < array.len; i++)
        if (value_eq(array.elems[i], v))
            return i;
    return -1;
}

AGG_ADD(list_add)
{
    if (state->len < list_limit(ctx))
        *state = agg_append(ctx, *state, args[0]);
}

AGG_ADD(list_undo)
{
    ptrdiff_t at = find(*state, args[0]);
    if (at >= 0)
        *state = agg_without(ctx, *state, (uint32_t)at);
}

AGG_MERGE(list_merge)
{
    for (uint32_t i = 0; i < other->len && state->len < list_limit(ctx); i++)
        *state = agg_append(ctx, *state, other->elems[i]);
}

AGG_ADD(set_add)
{
    if (state->len < set_limit(ctx) && find(*state, args[0]) < 0)
        *state = agg_append(ctx, *state, args[0]);
}

AGG_MERGE(set_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        set_add(ctx, state, &other->elems[i], 1);
}

static const struct func_agg list = {agg_init_array, list_add, list_undo, list_merge, agg_identity};
static const struct func_agg set = {agg_init_array, set_add, NULL, set_merge, agg_identity};

AGG_INIT(map_init)
{
    *state = value_nested(SQL_MAP, NULL, 0);
}

/* Changes the count of a key; at 0 the entry goes. */
static void histogram_change(struct func_ctx *ctx, struct value *state, struct value key, int64_t change)
{
    uint32_t at = 0;
    while (at < state->len && !value_eq(state->elems[2 * at], key))
        at++;
    if (at == state->len && (change < 0 || state->len >= HISTOGRAM_KEYS_MAX))
        return;
    struct value *entries = func_values(ctx, 2 * ((size_t)state->len + 1));
    if (state->len > 0)
        memcpy(entries, state->elems, 2 * (size_t)state->len * sizeof *entries);
    uint32_t count = MAX(state->len, at + 1);
    entries[2 * at] = key;
    entries[2 * at + 1] = value_bigint((at < state->len ? entries[2 * at + 1].l : 0) + change);
    if (entries[2 * at + 1].l < 1) {
        memmove(&entries[2 * at], &entries[2 * at + 2], 2 * (size_t)(count - at - 1) * sizeof *entries);
        count--;
    }
    *state = value_nested(SQL_MAP, entries, count);
}

AGG_ADD(histogram_add)
{
    if (!value_is_null(args[0]))
        histogram_change(ctx, state, args[0], 1);
}

AGG_ADD(histogram_undo)
{
    if (!value_is_null(args[0]))
        histogram_change(ctx, state, args[0], -1);
}

AGG_MERGE(histogram_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        histogram_change(ctx, state, other->elems[2 * i], other->elems[2 * i + 1].l);
}

static const struct func_agg histogram = {map_init, histogram_add, histogram_undo, histogram_merge,
                                          agg_identity};

/* ATTR: the distinct values with their counts, NULL among them. */
static void attr_change(struct func_ctx *ctx, struct value *state, struct value v, int64_t change)
{
    for (uint32_t i = 0; i < state->len; i++) {
        if (!value_eq(state->elems[i].elems[0], v))
            continue;
        int64_t count = state->elems[i].elems[1].l + change;
        struct value rest = agg_without(ctx, *state, i);
        if (count > 0)
            rest = agg_append(ctx, rest, agg_struct(ctx, (struct value[]){v, value_bigint(count)}, 2));
        *state = rest;
        return;
    }
    if (change > 0)
        *state = agg_append(ctx, *state, agg_struct(ctx, (struct value[]){v, value_bigint(change)}, 2));
}

AGG_ADD(attr_add)
{
    attr_change(ctx, state, args[0], 1);
}

AGG_ADD(attr_undo)
{
    attr_change(ctx, state, args[0], -1);
}

AGG_MERGE(attr_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        attr_change(ctx, state, other->elems[i].elems[0], other->elems[i].elems[1].l);
}

AGG_RESULT(attr_result)
{
    *out = state->len == 1 ? state->elems[0].elems[0] : VALUE_NULL;
}

static const struct func_agg attr = {agg_init_array, attr_add, attr_undo, attr_merge, attr_result};

static const struct func_sig attr_sigs[] = {
    {"(col T) T", .agg = &attr, .state = "ARRAY<STRUCT<VALUE T, COUNT BIGINT>>"}};
static const struct func_sig list_sigs[] = {{"(col T) ARRAY<T>", .agg = &list}};
static const struct func_sig set_sigs[] = {{"(col T) ARRAY<T>", .agg = &set}};
static const struct func_sig histogram_sigs[] = {{"(col STRING) MAP<STRING, BIGINT>", .agg = &histogram}};

#define AGG(name, sigs, text) FUNC(name, "AGGREGATE", FUNC_AGGREGATE, sigs, text)

static const struct func funcs[] = {
    AGG("ATTR", attr_sigs, "The value of a group if all its rows have the same one, else NULL."),
    AGG("COLLECT_LIST", list_sigs, "All values of a group as an array, in order of arrival."),
    AGG("COLLECT_SET", set_sigs, "The distinct values of a group as an array, in order of arrival."),
    AGG("HISTOGRAM", histogram_sigs, "How often each text occurs in a group; at most 1000 texts are kept."),
};

const struct func_family family_agg_collect = {funcs, COUNT_OF(funcs)};
