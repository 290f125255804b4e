/* agg_offset.c - LATEST_BY_OFFSET and EARLIEST_BY_OFFSET, one value or the last or first n.
 *
 *   state of one:  STRUCT<SEQ, VAL>, NULL before the first value
 *   state of n:    ARRAY<STRUCT<SEQ, VAL>>, oldest first
 *
 * SEQ grows with every value that is taken, over all groups and partitions of a task and over restarts:
 * merged session windows know by it which value came first.
 */
#include "func/agg_int.h"

struct offset_options {
    int64_t n;
    bool keep_nulls, earliest;
};

static const struct offset_options *options_of(struct func_ctx *ctx)
{
    return ctx->call->constant;
}

static bool bind_options(const struct func_arg *args, uint32_t count, bool earliest, const void **constant,
                         struct arena *arena, struct err *err)
{
    struct offset_options *options = arena_new(arena, struct offset_options);
    options->earliest = earliest;
    for (uint32_t i = 1; i < count; i++) {
        if (args[i].literal == NULL || value_is_null(*args[i].literal))
            continue; /* the caller refuses arguments that are no literals */
        if (args[i].literal->kind == SQL_BOOLEAN)
            options->keep_nulls = !args[i].literal->b;
        else if ((options->n = args[i].literal->l) < 1)
            return err_set(err, ERR_STATEMENT, "%s must be 1 or greater", earliest ? "earliestN" : "latestN");
    }
    *constant = options;
    return true;
}

static bool bind_earliest(const struct func_arg *args, uint32_t count, const void **constant,
                          struct arena *arena, struct err *err)
{
    return bind_options(args, count, true, constant, arena, err);
}

static bool bind_latest(const struct func_arg *args, uint32_t count, const void **constant,
                        struct arena *arena, struct err *err)
{
    return bind_options(args, count, false, constant, arena, err);
}

static struct value stamp(struct func_ctx *ctx, struct value v)
{
    return agg_struct(ctx, (struct value[]){value_bigint((int64_t)ctx->sequence++), v}, 2);
}

AGG_ADD(one_add)
{
    const struct offset_options *options = options_of(ctx);
    if ((value_is_null(args[0]) && !options->keep_nulls) || (options->earliest && !value_is_null(*state)))
        return;
    *state = stamp(ctx, args[0]);
}

AGG_MERGE(one_merge)
{
    if (value_is_null(*other))
        return;
    bool other_is_older = value_is_null(*state) || other->elems[0].l < state->elems[0].l;
    if (value_is_null(*state) || other_is_older == options_of(ctx)->earliest)
        *state = *other;
}

AGG_RESULT(one_result)
{
    *out = value_is_null(*state) ? VALUE_NULL : state->elems[1];
}

AGG_ADD(many_add)
{
    const struct offset_options *options = options_of(ctx);
    bool full = state->len >= options->n;
    if ((value_is_null(args[0]) && !options->keep_nulls) || (full && options->earliest))
        return;
    struct value all = full ? agg_without(ctx, *state, 0) : *state;
    *state = agg_append(ctx, all, stamp(ctx, args[0]));
}

AGG_MERGE(many_merge)
{
    const struct offset_options *options = options_of(ctx);
    struct value *elems = func_values(ctx, (size_t)state->len + other->len);
    uint32_t a = 0, b = 0, count = 0;
    while (a < state->len || b < other->len) {
        bool take_a =
            b == other->len || (a < state->len && state->elems[a].elems[0].l <= other->elems[b].elems[0].l);
        elems[count++] = take_a ? state->elems[a++] : other->elems[b++];
    }
    uint32_t kept = (uint32_t)MIN((int64_t)count, options->n);
    *state = value_nested(SQL_ARRAY, options->earliest ? elems : elems + (count - kept), kept);
}

AGG_RESULT(many_result)
{
    struct value *elems = func_values(ctx, state->len);
    for (uint32_t i = 0; i < state->len; i++)
        elems[i] = state->elems[i].elems[1];
    *out = value_nested(SQL_ARRAY, elems, state->len);
}

static const struct func_agg one = {agg_init_null, one_add, NULL, one_merge, one_result};
static const struct func_agg many = {agg_init_array, many_add, NULL, many_merge, many_result};

#define ONE_STATE  "STRUCT<SEQ BIGINT, VAL T>"
#define MANY_STATE "ARRAY<STRUCT<SEQ BIGINT, VAL T>>"
#define OFFSET_SIGS(name, n, binder)                                                                  \
    static const struct func_sig name[] = {                                                           \
        {"(col T) T", .agg = &one, .state = ONE_STATE, .bind = binder},                               \
        {"(col T, const ignoreNulls BOOLEAN) T", .agg = &one, .state = ONE_STATE, .bind = binder},    \
        {"(col T, const " n " INTEGER) ARRAY<T>", .agg = &many, .state = MANY_STATE, .bind = binder}, \
        {"(col T, const " n " INTEGER, const ignoreNulls BOOLEAN) ARRAY<T>", .agg = &many,            \
         .state = MANY_STATE, .bind = binder},                                                        \
    }

OFFSET_SIGS(earliest_sigs, "earliestN", bind_earliest);
OFFSET_SIGS(latest_sigs, "latestN", bind_latest);

static const struct func funcs[] = {
    FUNC("EARLIEST_BY_OFFSET", "AGGREGATE", FUNC_AGGREGATE, earliest_sigs,
         "The first value of a group, or the first n; NULLs are passed over unless ignoreNulls is false."),
    FUNC("LATEST_BY_OFFSET", "AGGREGATE", FUNC_AGGREGATE, latest_sigs,
         "The last value of a group, or the last n; NULLs are passed over unless ignoreNulls is false."),
};

const struct func_family family_agg_offset = {funcs, COUNT_OF(funcs)};
