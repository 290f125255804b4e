/* agg_stat.c - STDDEV_SAMPLE, STDDEV_SAMP, CORRELATION, COUNT_DISTINCT.
 *
 * Deviation: sum, count and M2, the sum of squared distances from the mean, updated by Youngs and
 * Cramer's rule, which can also be undone. STDDEV_SAMP gives the variance, as its original does.
 * COUNT_DISTINCT is HyperLogLog with 2048 registers (error about 2.3 %), linear counting below 5000.
 */
#include <math.h>

#include "func/agg_int.h"

static double number(struct value v)
{
    return v.kind == SQL_DOUBLE ? v.d : (double)v.l;
}

enum { DEV_SUM, DEV_COUNT, DEV_M2, DEV_FIELDS };

static enum sql_kind sum_kind(struct func_ctx *ctx)
{
    return ctx->call->state_type->fields[DEV_SUM].type->kind;
}

static struct value make_number(enum sql_kind kind, struct value like, double d, int64_t l)
{
    if (kind == SQL_DOUBLE)
        return value_double(d);
    return kind == SQL_INTEGER ? value_int((int32_t)l) : value_bigint(l);
}

AGG_INIT(dev_init)
{
    struct value zero = make_number(sum_kind(ctx), VALUE_NULL, 0, 0);
    *state = agg_struct(ctx, (struct value[]){zero, value_bigint(0), value_double(0)}, DEV_FIELDS);
}

static struct value sum_of(struct value a, struct value b, int sign)
{
    if (a.kind == SQL_DOUBLE)
        return value_double(a.d + sign * b.d);
    int64_t l = (int64_t)((uint64_t)a.l + (uint64_t)(int64_t)sign * (uint64_t)b.l);
    return make_number((enum sql_kind)a.kind, a, 0, l);
}

static double squared(double x)
{
    return x * x;
}

AGG_ADD(dev_add)
{
    if (value_is_null(args[0]))
        return;
    const struct value *old = state->elems;
    int64_t n = old[DEV_COUNT].l + 1;
    struct value sum = sum_of(old[DEV_SUM], args[0], 1);
    double m2 = old[DEV_M2].d;
    if (n > 1)
        m2 += squared((double)n * number(args[0]) - number(sum)) / (double)(n * (n - 1));
    *state = agg_struct(ctx, (struct value[]){sum, value_bigint(n), value_double(m2)}, DEV_FIELDS);
}

AGG_ADD(dev_undo)
{
    if (value_is_null(args[0]))
        return;
    const struct value *old = state->elems;
    int64_t n = old[DEV_COUNT].l;
    double m2 = old[DEV_M2].d;
    if (n > 1)
        m2 -= squared((double)n * number(args[0]) - number(old[DEV_SUM])) / (double)(n * (n - 1));
    struct value sum = sum_of(old[DEV_SUM], args[0], -1);
    *state = agg_struct(ctx, (struct value[]){sum, value_bigint(n - 1), value_double(m2)}, DEV_FIELDS);
}

AGG_MERGE(dev_merge)
{
    const struct value *a = state->elems, *b = other->elems;
    double na = (double)a[DEV_COUNT].l, nb = (double)b[DEV_COUNT].l;
    double m2 = a[DEV_M2].d + b[DEV_M2].d;
    if (na > 0 && nb > 0)
        m2 += squared(number(b[DEV_SUM]) / nb - number(a[DEV_SUM]) / na) * na * nb / (na + nb);
    *state = agg_struct(ctx,
                        (struct value[]){sum_of(a[DEV_SUM], b[DEV_SUM], 1),
                                         value_bigint(a[DEV_COUNT].l + b[DEV_COUNT].l), value_double(m2)},
                        DEV_FIELDS);
}

static double variance(const struct value *state)
{
    int64_t n = state->elems[DEV_COUNT].l;
    return n > 1 ? state->elems[DEV_M2].d / (double)(n - 1) : 0;
}

AGG_RESULT(variance_result)
{
    *out = value_double(variance(state));
}

AGG_RESULT(deviation_result)
{
    *out = value_double(sqrt(variance(state)));
}

static const struct func_agg stddev_samp = {dev_init, dev_add, dev_undo, dev_merge, variance_result};
static const struct func_agg stddev_sample = {dev_init, dev_add, dev_undo, dev_merge, deviation_result};

enum { CORR_X, CORR_Y, CORR_XX, CORR_YY, CORR_XY, CORR_COUNT, CORR_FIELDS };

static void corr_change(struct func_ctx *ctx, struct value *state, const double *terms, int64_t rows,
                        int sign)
{
    struct value fields[CORR_FIELDS];
    for (int i = 0; i < CORR_COUNT; i++)
        fields[i] = value_double(state->elems[i].d + sign * terms[i]);
    fields[CORR_COUNT] = value_bigint(state->elems[CORR_COUNT].l + sign * rows);
    *state = agg_struct(ctx, fields, CORR_FIELDS);
}

AGG_INIT(corr_init)
{
    struct value fields[CORR_FIELDS];
    for (int i = 0; i < CORR_COUNT; i++)
        fields[i] = value_double(0);
    fields[CORR_COUNT] = value_bigint(0);
    *state = agg_struct(ctx, fields, CORR_FIELDS);
}

static void corr_pair(struct func_ctx *ctx, struct value *state, const struct value *args, int sign)
{
    if (value_is_null(args[0]) || value_is_null(args[1]))
        return;
    double x = number(args[0]), y = number(args[1]);
    corr_change(ctx, state, (double[]){x, y, x * x, y * y, x * y}, 1, sign);
}

AGG_ADD(corr_add)
{
    corr_pair(ctx, state, args, 1);
}

AGG_ADD(corr_undo)
{
    corr_pair(ctx, state, args, -1);
}

AGG_MERGE(corr_merge)
{
    double terms[CORR_COUNT];
    for (int i = 0; i < CORR_COUNT; i++)
        terms[i] = other->elems[i].d;
    corr_change(ctx, state, terms, other->elems[CORR_COUNT].l, 1);
}

AGG_RESULT(corr_result)
{
    const struct value *s = state->elems;
    double n = (double)s[CORR_COUNT].l;
    double above = n * s[CORR_XY].d - s[CORR_X].d * s[CORR_Y].d;
    double below =
        sqrt(n * s[CORR_XX].d - squared(s[CORR_X].d)) * sqrt(n * s[CORR_YY].d - squared(s[CORR_Y].d));
    *out = value_double(above / below);
}

static const struct func_agg correlation = {corr_init, corr_add, corr_undo, corr_merge, corr_result};

/* HyperLogLog: register i holds the greatest rank (leading zeros + 1) of the hashes whose low bits are
 * i. */
enum { HLL_BITS = 11, HLL_REGISTERS = 1 << HLL_BITS };

AGG_INIT(hll_init)
{
    *state = value_bytes(str_of(arena_zalloc(ctx->arena, HLL_REGISTERS, 1), HLL_REGISTERS));
}

/* Finalizer of splitmix64: the rank needs every bit of the hash to be mixed. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

AGG_ADD(hll_add)
{
    if (value_is_null(args[0]))
        return;
    uint64_t hash = mix(value_hash(args[0]));
    uint32_t reg = hash & (HLL_REGISTERS - 1);
    uint64_t rest = hash >> HLL_BITS | 1ull << (64 - HLL_BITS);
    unsigned char rank = (unsigned char)(__builtin_ctzll(rest) + 1);
    if ((unsigned char)state->ptr[reg] >= rank)
        return;
    char *registers = arena_dup(ctx->arena, state->ptr, HLL_REGISTERS);
    registers[reg] = (char)rank;
    state->ptr = registers;
}

AGG_MERGE(hll_merge)
{
    char *registers = arena_dup(ctx->arena, state->ptr, HLL_REGISTERS);
    for (int i = 0; i < HLL_REGISTERS; i++)
        if ((unsigned char)other->ptr[i] > (unsigned char)registers[i])
            registers[i] = other->ptr[i];
    state->ptr = registers;
}

AGG_RESULT(hll_result)
{
    double sum = 0, m = HLL_REGISTERS;
    int zeros = 0;
    for (int i = 0; i < HLL_REGISTERS; i++) {
        sum += ldexp(1, -(unsigned char)state->ptr[i]);
        zeros += state->ptr[i] == 0;
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && zeros > 0)
        estimate = m * log(m / zeros);
    *out = value_bigint(llround(estimate));
}

static const struct func_agg hll = {hll_init, hll_add, NULL, hll_merge, hll_result};

#define DEV_SIGS(name, agg_)                                                                            \
    static const struct func_sig name[] = {                                                             \
        {"(val BIGINT) DOUBLE", .agg = agg_, .state = "STRUCT<SUM BIGINT, COUNT BIGINT, M2 DOUBLE>"},   \
        {"(val INTEGER) DOUBLE", .agg = agg_, .state = "STRUCT<SUM INTEGER, COUNT BIGINT, M2 DOUBLE>"}, \
        {"(val DOUBLE) DOUBLE", .agg = agg_, .state = "STRUCT<SUM DOUBLE, COUNT BIGINT, M2 DOUBLE>"},   \
    }
#define CORR_STATE                                                                                         \
    "STRUCT<X_SUM DOUBLE, Y_SUM DOUBLE, X_SQUARED_SUM DOUBLE, Y_SQUARED_SUM DOUBLE, XY_SUM DOUBLE, COUNT " \
    "BIGINT>"
#define CORR(type)                                                                        \
    {                                                                                     \
        "(col1 " type ", col2 " type ") DOUBLE", .agg = &correlation, .state = CORR_STATE \
    }

DEV_SIGS(samp_sigs, &stddev_samp);
DEV_SIGS(sample_sigs, &stddev_sample);
static const struct func_sig corr_sigs[] = {CORR("DOUBLE"), CORR("INTEGER"), CORR("BIGINT")};
static const struct func_sig distinct_sigs[] = {{"(col T) BIGINT", .agg = &hll, .state = "BYTES"}};

#define AGG(name, sigs, text) FUNC(name, "AGGREGATE", FUNC_AGGREGATE, sigs, text)

static const struct func funcs[] = {
    AGG("CORRELATION", corr_sigs, "Pearson's correlation of two columns; rows with a NULL are left out."),
    AGG("COUNT_DISTINCT", distinct_sigs, "Approximate number of distinct values of a group (HyperLogLog)."),
    AGG("STDDEV_SAMP", samp_sigs, "Sample variance of a group, under the name that it has always had."),
    AGG("STDDEV_SAMPLE", sample_sigs, "Sample standard deviation of a group."),
};

const struct func_family family_agg_stat = {funcs, COUNT_OF(funcs)};
