/* agg_basic.c - COUNT, SUM, AVG, MIN, MAX, SUM_LIST.
 *
 * The states of COUNT, SUM, MIN and MAX are plain values, so that adding is one test and one addition;
 * INTEGER sums wrap at 32 bits. AVG keeps sum and count; the mean is made when it is read.
 */
#include "func/agg_int.h"

void agg_identity(struct func_ctx *ctx, const struct value *state, struct value *out)
{
    *out = *state;
}

void agg_init_null(struct func_ctx *ctx, struct value *state)
{
    *state = VALUE_NULL;
}

void agg_init_array(struct func_ctx *ctx, struct value *state)
{
    *state = value_nested(SQL_ARRAY, NULL, 0);
}

AGG_INIT(count_init)
{
    *state = value_bigint(0);
}

AGG_ADD(count_rows_add)
{
    state->l++;
}

AGG_ADD(count_rows_undo)
{
    state->l--;
}

AGG_ADD(count_add)
{
    state->l += !value_is_null(args[0]);
}

AGG_ADD(count_undo)
{
    state->l -= !value_is_null(args[0]);
}

AGG_MERGE(count_merge)
{
    state->l += other->l;
}

static const struct func_agg count_rows = {count_init, count_rows_add, count_rows_undo, count_merge,
                                           agg_identity};
static const struct func_agg count = {count_init, count_add, count_undo, count_merge, agg_identity};

AGG_INIT(int_init)
{
    *state = value_int(0);
}

AGG_ADD(int_add)
{
    if (!value_is_null(args[0]))
        state->l = (int32_t)((uint32_t)state->l + (uint32_t)args[0].l);
}

AGG_ADD(int_undo)
{
    if (!value_is_null(args[0]))
        state->l = (int32_t)((uint32_t)state->l - (uint32_t)args[0].l);
}

AGG_MERGE(int_merge)
{
    int_add(ctx, state, other, 1);
}

AGG_ADD(bigint_add)
{
    if (!value_is_null(args[0]))
        state->l = (int64_t)((uint64_t)state->l + (uint64_t)args[0].l);
}

AGG_ADD(bigint_undo)
{
    if (!value_is_null(args[0]))
        state->l = (int64_t)((uint64_t)state->l - (uint64_t)args[0].l);
}

AGG_MERGE(bigint_merge)
{
    bigint_add(ctx, state, other, 1);
}

AGG_INIT(double_init)
{
    *state = value_double(0);
}

AGG_ADD(double_add)
{
    if (!value_is_null(args[0]))
        state->d += args[0].d;
}

AGG_ADD(double_undo)
{
    if (!value_is_null(args[0]))
        state->d -= args[0].d;
}

AGG_MERGE(double_merge)
{
    state->d += other->d;
}

AGG_INIT(decimal_init)
{
    *state = value_decimal(decimal_of_i64(0, ctx->call->result->scale, ctx->arena));
}

/* The sum must fit the column's type. */
static void decimal_set(struct func_ctx *ctx, struct value *state, const struct decimal *sum)
{
    const struct sql_type *type = ctx->call->result;
    struct err err = {0};
    const struct decimal *fitted = decimal_fit_exactly(sum, type->precision, type->scale, ctx->arena, &err);
    if (fitted == NULL)
        func_fail_err(ctx, &err);
    else
        *state = value_decimal(fitted);
}

AGG_ADD(decimal_sum_add)
{
    if (!value_is_null(args[0]))
        decimal_set(ctx, state, decimal_add(state->dec, args[0].dec, ctx->call->result->scale, ctx->arena));
}

AGG_ADD(decimal_sum_undo)
{
    if (!value_is_null(args[0]))
        decimal_set(ctx, state, decimal_sub(state->dec, args[0].dec, ctx->call->result->scale, ctx->arena));
}

AGG_MERGE(decimal_sum_merge)
{
    decimal_sum_add(ctx, state, other, 1);
}

static const struct func_agg sum_int = {int_init, int_add, int_undo, int_merge, agg_identity};
static const struct func_agg sum_bigint = {count_init, bigint_add, bigint_undo, bigint_merge, agg_identity};
static const struct func_agg sum_double = {double_init, double_add, double_undo, double_merge, agg_identity};
static const struct func_agg sum_decimal = {decimal_init, decimal_sum_add, decimal_sum_undo,
                                            decimal_sum_merge, agg_identity};

/* SUM_LIST: the sum's add or undo for each element. */
static void each_element(struct func_ctx *ctx, struct value *state, struct value list,
                         void (*apply)(struct func_ctx *, struct value *, const struct value *, uint32_t))
{
    for (uint32_t i = 0; !value_is_null(list) && i < list.len; i++)
        apply(ctx, state, &list.elems[i], 1);
}

AGG_ADD(int_list_add)
{
    each_element(ctx, state, args[0], int_add);
}

AGG_ADD(int_list_undo)
{
    each_element(ctx, state, args[0], int_undo);
}

AGG_ADD(bigint_list_add)
{
    each_element(ctx, state, args[0], bigint_add);
}

AGG_ADD(bigint_list_undo)
{
    each_element(ctx, state, args[0], bigint_undo);
}

AGG_ADD(double_list_add)
{
    each_element(ctx, state, args[0], double_add);
}

AGG_ADD(double_list_undo)
{
    each_element(ctx, state, args[0], double_undo);
}

static const struct func_agg list_int = {int_init, int_list_add, int_list_undo, int_merge, agg_identity};
static const struct func_agg list_bigint = {count_init, bigint_list_add, bigint_list_undo, bigint_merge,
                                            agg_identity};
static const struct func_agg list_double = {double_init, double_list_add, double_list_undo, double_merge,
                                            agg_identity};

/* AVG: {SUM, COUNT}; the sum in the type of the column. */
static enum sql_kind avg_kind(struct func_ctx *ctx)
{
    return ctx->call->state_type->fields[0].type->kind;
}

AGG_INIT(avg_init)
{
    struct value zero = avg_kind(ctx) == SQL_DOUBLE ? value_double(0) : value_bigint(0);
    zero.kind = (uint8_t)avg_kind(ctx);
    *state = agg_struct(ctx, (struct value[]){zero, value_bigint(0)}, 2);
}

static void avg_change(struct func_ctx *ctx, struct value *state, struct value v, int64_t rows, int sign)
{
    struct value sum = state->elems[0], n = state->elems[1];
    if (sum.kind == SQL_DOUBLE)
        sum.d += sign * v.d;
    else if (sum.kind == SQL_INTEGER)
        sum.l = (int32_t)((uint32_t)sum.l + (uint32_t)sign * (uint32_t)v.l);
    else
        sum.l = (int64_t)((uint64_t)sum.l + (uint64_t)(int64_t)sign * (uint64_t)v.l);
    n.l += sign * rows;
    *state = agg_struct(ctx, (struct value[]){sum, n}, 2);
}

AGG_ADD(avg_add)
{
    if (!value_is_null(args[0]))
        avg_change(ctx, state, args[0], 1, 1);
}

AGG_ADD(avg_undo)
{
    if (!value_is_null(args[0]))
        avg_change(ctx, state, args[0], 1, -1);
}

AGG_MERGE(avg_merge)
{
    avg_change(ctx, state, other->elems[0], other->elems[1].l, 1);
}

AGG_RESULT(avg_result)
{
    struct value sum = state->elems[0];
    double total = sum.kind == SQL_DOUBLE ? sum.d : (double)sum.l;
    *out = value_double(state->elems[1].l == 0 ? 0 : total / (double)state->elems[1].l);
}

static const struct func_agg avg = {avg_init, avg_add, avg_undo, avg_merge, avg_result};

AGG_ADD(max_add)
{
    if (!value_is_null(args[0]) && (value_is_null(*state) || value_cmp(args[0], *state) > 0))
        *state = args[0];
}

AGG_MERGE(max_merge)
{
    max_add(ctx, state, other, 1);
}

AGG_ADD(min_add)
{
    if (!value_is_null(args[0]) && (value_is_null(*state) || value_cmp(args[0], *state) < 0))
        *state = args[0];
}

AGG_MERGE(min_merge)
{
    min_add(ctx, state, other, 1);
}

static const struct func_agg max = {agg_init_null, max_add, NULL, max_merge, agg_identity};
static const struct func_agg min = {agg_init_null, min_add, NULL, min_merge, agg_identity};

static const struct func_sig avg_sigs[] = {
    {"(col BIGINT) DOUBLE", .agg = &avg, .state = "STRUCT<SUM BIGINT, COUNT BIGINT>"},
    {"(col INTEGER) DOUBLE", .agg = &avg, .state = "STRUCT<SUM INTEGER, COUNT BIGINT>"},
    {"(col DOUBLE) DOUBLE", .agg = &avg, .state = "STRUCT<SUM DOUBLE, COUNT BIGINT>"}};
static const struct func_sig count_sigs[] = {{"() BIGINT", .agg = &count_rows},
                                             {"(col T) BIGINT", .agg = &count}};
static const struct func_sig sum_sigs[] = {{"(col DECIMAL) DECIMAL", .agg = &sum_decimal,
                                            .types = types_same_decimal},
                                           {"(col DOUBLE) DOUBLE", .agg = &sum_double},
                                           {"(col BIGINT) BIGINT", .agg = &sum_bigint},
                                           {"(col INTEGER) INTEGER", .agg = &sum_int}};
static const struct func_sig sum_list_sigs[] = {{"(col ARRAY<DOUBLE>) DOUBLE", .agg = &list_double},
                                                {"(col ARRAY<INTEGER>) INTEGER", .agg = &list_int},
                                                {"(col ARRAY<BIGINT>) BIGINT", .agg = &list_bigint}};

#define EXTREME_SIGS(name, extreme)                                             \
    static const struct func_sig name[] = {                                     \
        {"(col INTEGER) INTEGER", .agg = extreme},                              \
        {"(col BIGINT) BIGINT", .agg = extreme},                                \
        {"(col DOUBLE) DOUBLE", .agg = extreme},                                \
        {"(col DECIMAL) DECIMAL", .agg = extreme, .types = types_same_decimal}, \
        {"(col DATE) DATE", .agg = extreme},                                    \
        {"(col TIME) TIME", .agg = extreme},                                    \
        {"(col TIMESTAMP) TIMESTAMP", .agg = extreme},                          \
        {"(col STRING) STRING", .agg = extreme},                                \
        {"(col BYTES) BYTES", .agg = extreme},                                  \
    }

EXTREME_SIGS(max_sigs, &max);
EXTREME_SIGS(min_sigs, &min);

#define AGG(name, sigs, text) FUNC(name, "AGGREGATE", FUNC_AGGREGATE, sigs, text)

static const struct func funcs[] = {
    AGG("AVG", avg_sigs, "Mean of the numbers of a group; 0.0 when there are none."),
    AGG("COUNT", count_sigs, "Number of rows of a group, or of those where a column is not NULL."),
    AGG("MAX", max_sigs, "Greatest value of a group."),
    AGG("MIN", min_sigs, "Least value of a group."),
    AGG("SUM", sum_sigs, "Sum of the numbers of a group."),
    AGG("SUM_LIST", sum_list_sigs, "Sum of all elements of the arrays of a group."),
};

const struct func_family family_agg_basic = {funcs, COUNT_OF(funcs)};
