/* testing.c - functions that only the cases of the peer's own tests call; hidden until
 * func_enable_test_functions.
 *
 * They probe overloads, variadic parts in every place, literal parameters, failing and lazy evaluation.
 */
#include "func/agg_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)
#define TABLE(name)                                                                      \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, \
                     const struct value **rows, uint32_t *row_count)

#define CONSTANT_TEXT(name, text)    \
    SCALAR(name)                     \
    {                                \
        *out = value_str(STR(text)); \
    }

CONSTANT_TEXT(fn_int_string, "doStuffIntString")
CONSTANT_TEXT(fn_long_string, "doStuffLongString")
CONSTANT_TEXT(fn_long_long_string, "doStuffLongLongString")
CONSTANT_TEXT(fn_long_varargs, "doStuffLongVarargs")

SCALAR(fn_struct_field)
{
    *out = args[0].elems[0];
}

static struct value struct_of(struct func_ctx *ctx, struct value v)
{
    return agg_struct(ctx, &v, 1);
}

SCALAR(fn_make_struct)
{
    *out = struct_of(ctx, value_str(STR("foo")));
}

SCALAR(fn_to_struct)
{
    *out = struct_of(ctx, args[0]);
}

SCALAR(fn_boom)
{
    func_fail(ctx, "boom!");
}

SCALAR(fn_throw_if)
{
    if (args[0].b)
        func_fail(ctx, "You asked me to throw...");
    else
        *out = value_int(0);
}

/* NULL on every first of two calls. */
SCALAR(fn_every_other)
{
    if (ctx->call_count++ % 2 == 1)
        *out = args[0];
}

SCALAR(fn_when)
{
    if (!value_is_null(args[1]) && args[1].b)
        *out = args[0];
    else
        func_fail(ctx, "When condition in case is not running lazily!");
}

TABLE(table_one)
{
    struct value *row = func_values(ctx, 1);
    row[0] = args[0];
    if (ctx->call->result->kind == SQL_DECIMAL && !value_is_null(row[0]))
        row[0] =
            value_decimal(decimal_rescale(row[0].dec, ctx->call->result->scale, DECIMAL_HALF_UP, ctx->arena));
    *rows = row;
    *row_count = 1;
}

static struct value text_of(struct func_ctx *ctx, struct value v, const struct sql_type *type)
{
    struct buf text = {0};
    value_print(v, type, &text);
    return func_take_text(ctx, &text);
}

/* The text of each argument: of itself, of an array's first element, of a map's first value. */
TABLE(table_texts)
{
    struct value *out = func_values(ctx, arg_count);
    for (uint32_t i = 0; i < arg_count; i++) {
        const struct sql_type *type = ctx->call->params[i];
        struct value v = args[i];
        bool nested = type->kind == SQL_ARRAY || type->kind == SQL_MAP;
        if (nested)
            v = value_is_null(v) || v.len == 0 ? VALUE_NULL : v.elems[type->kind == SQL_MAP ? 1 : 0];
        out[i] = text_of(ctx, v, nested ? type->elem : type);
    }
    *rows = out;
    *row_count = arg_count;
}

TABLE(table_throwing)
{
    *row_count = 0;
    if (value_is_null(args[0]) || args[0].b)
        func_fail(ctx, "You asked me to throw...");
    else
        table_one(ctx, args, arg_count, rows, row_count);
}

/* Aggregates: a BIGINT that begins with the sum of the literal arguments and grows by every number and
 * text length. */
static int64_t weight(struct value v)
{
    if (v.kind == SQL_STRING)
        return (int64_t)text_length(value_slice(v));
    return v.kind == SQL_INTEGER || v.kind == SQL_BIGINT ? v.l : 0;
}

static bool bind_from(const struct func_arg *args, uint32_t from, uint32_t count, const void **constant,
                      struct arena *arena)
{
    int64_t *start = arena_new(arena, int64_t);
    for (uint32_t i = from; i < count; i++)
        if (args[i].literal != NULL)
            *start += weight(*args[i].literal);
    *constant = start;
    return true;
}

#define BIND_FROM(name, from)                                                            \
    static bool name(const struct func_arg *args, uint32_t count, const void **constant, \
                     struct arena *arena, struct err *err)                               \
    {                                                                                    \
        return bind_from(args, (from), count, constant, arena);                          \
    }

BIND_FROM(bind_one, 1)
BIND_FROM(bind_two, 2)
BIND_FROM(bind_four, 4)
BIND_FROM(bind_five, 5)
BIND_FROM(bind_last_two, count - 2)

AGG_INIT(weight_init)
{
    *state = value_bigint(ctx->call->constant ? *(const int64_t *)ctx->call->constant : 0);
}

AGG_ADD(weight_add)
{
    for (uint32_t i = 0; i < arg_count; i++)
        state->l += weight(args[i]);
}

AGG_ADD(weight_undo)
{
    for (uint32_t i = 0; i < arg_count; i++)
        state->l -= weight(args[i]);
}

AGG_MERGE(weight_merge)
{
    state->l += other->l;
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

AGG_MERGE(double_merge)
{
    state->d += other->d;
}

AGG_INIT(pair_init)
{
    *state = agg_struct(ctx, (struct value[]){value_int(0), value_int(0)}, 2);
}

AGG_ADD(pair_add)
{
    if (value_is_null(args[0]))
        return;
    const struct value *a = state->elems, *b = args[0].elems;
    *state = agg_struct(ctx,
                        (struct value[]){value_int((int32_t)(a[0].l + b[0].l)),
                                         value_int((int32_t)(a[1].l + b[1].l))},
                        2);
}

AGG_MERGE(pair_merge)
{
    pair_add(ctx, state, other, 1);
}

AGG_ADD(complete_rows_add)
{
    for (uint32_t i = 0; i < arg_count; i++)
        if (value_is_null(args[i]))
            return;
    *state = agg_append(ctx, *state, args[0]);
}

AGG_MERGE(complete_rows_merge)
{
    for (uint32_t i = 0; i < other->len; i++)
        *state = agg_append(ctx, *state, other->elems[i]);
}

static const struct func_agg weights = {weight_init, weight_add, weight_undo, weight_merge, agg_identity};
static const struct func_agg doubles = {double_init, double_add, NULL, double_merge, agg_identity};
static const struct func_agg pairs = {pair_init, pair_add, NULL, pair_merge, agg_identity};
static const struct func_agg complete_rows = {agg_init_array, complete_rows_add, NULL, complete_rows_merge,
                                              agg_identity};

#define STRUCT_A  "STRUCT<A STRING>"
#define STRUCT_AB "STRUCT<A INTEGER, B INTEGER>"

static const struct func_sig bad_udf_sigs[] = {{"(INTEGER) STRING", .scalar = fn_boom, .is_volatile = true},
                                               {"(BOOLEAN) INTEGER", .scalar = fn_throw_if,
                                                .is_volatile = true},
                                               {"(STRING) STRING", .scalar = fn_every_other,
                                                .is_volatile = true}};
static const struct func_sig five_arg_sigs[] = {
    {"(BIGINT, STRING, STRING, STRING, INTEGER, const INTEGER, const STRING...) BIGINT", .agg = &weights,
     .bind = bind_five}};
static const struct func_sig four_arg_sigs[] = {
    {"(BIGINT, STRING, STRING, STRING, const INTEGER, const STRING...) BIGINT", .agg = &weights,
     .bind = bind_four}};
static const struct func_sig generic_var_arg_sigs[] = {{"(A, B, C...) ARRAY<A>", .agg = &complete_rows}};
static const struct func_sig mid_var_arg_sigs[] = {
    {"(BIGINT, STRING..., const INTEGER, const INTEGER) BIGINT", .agg = &weights, .bind = bind_last_two}};
static const struct func_sig multi_arg_sigs[] = {
    {"(BIGINT, STRING, const INTEGER, const STRING...) BIGINT", .agg = &weights, .bind = bind_two}};
static const struct func_sig obj_col_arg_sigs[] = {
    {"(INTEGER, ANY...) ARRAY<INTEGER>", .agg = &complete_rows}};
static const struct func_sig test_udaf_sigs[] = {{"(BIGINT) BIGINT", .agg = &weights},
                                                 {"(INTEGER) BIGINT", .agg = &weights},
                                                 {"(DOUBLE) DOUBLE", .agg = &doubles},
                                                 {"(STRING, const STRING) BIGINT", .agg = &weights,
                                                  .bind = bind_one},
                                                 {"(" STRUCT_AB ") " STRUCT_AB, .agg = &pairs}};
static const struct func_sig test_udf_sigs[] = {{"(INTEGER, STRING) STRING", .scalar = fn_int_string},
                                                {"(BIGINT, STRING) STRING", .scalar = fn_long_string},
                                                {"(BIGINT, BIGINT, STRING) STRING",
                                                 .scalar = fn_long_long_string},
                                                {"(BIGINT...) STRING", .scalar = fn_long_varargs},
                                                {"(" STRUCT_A ") STRING", .scalar = fn_struct_field,
                                                 .strict = true},
                                                {"() " STRUCT_A, .scalar = fn_make_struct}};
static const struct func_sig test_udtf_sigs[] = {
    {"(INTEGER) INTEGER", .table = table_one},
    {"(BIGINT) BIGINT", .table = table_one},
    {"(DOUBLE) DOUBLE", .table = table_one},
    {"(BOOLEAN) BOOLEAN", .table = table_one},
    {"(STRING) STRING", .table = table_one},
    {"(DECIMAL) DECIMAL(30, 10)", .table = table_one},
    {"(" STRUCT_A ") " STRUCT_A, .table = table_one},
    {"(INTEGER, BIGINT, DOUBLE, BOOLEAN, STRING, DECIMAL, " STRUCT_A ") STRING", .table = table_texts},
    {"(ARRAY<INTEGER>, ARRAY<BIGINT>, ARRAY<DOUBLE>, ARRAY<BOOLEAN>, ARRAY<STRING>, ARRAY<DECIMAL>, "
     "ARRAY<" STRUCT_A ">) STRING",
     .table = table_texts},
    {"(MAP<STRING, INTEGER>, MAP<STRING, BIGINT>, MAP<STRING, DOUBLE>, MAP<STRING, BOOLEAN>, MAP<STRING, "
     "STRING>, "
     "MAP<STRING, DECIMAL>, MAP<STRING, " STRUCT_A ">) STRING",
     .table = table_texts}};
static const struct func_sig throwing_udtf_sigs[] = {{"(BOOLEAN) BOOLEAN", .table = table_throwing}};
static const struct func_sig tostruct_sigs[] = {{"(STRING) " STRUCT_A, .scalar = fn_to_struct}};
static const struct func_sig var_arg_sigs[] = {{"(BIGINT, STRING...) BIGINT", .agg = &weights}};
static const struct func_sig whencondition_sigs[] = {
    {"(BOOLEAN, BOOLEAN) BOOLEAN", .scalar = fn_when, .is_volatile = true}};
static const struct func_sig whenresult_sigs[] = {
    {"(INTEGER, BOOLEAN) INTEGER", .scalar = fn_when, .is_volatile = true}};

#define TEST(name, kind, sigs) FUNC(name, "TEST", kind, sigs, "For tests.")

static const struct func funcs[] = {
    TEST("BAD_UDF", FUNC_SCALAR, bad_udf_sigs),
    TEST("FIVE_ARG", FUNC_AGGREGATE, five_arg_sigs),
    TEST("FOUR_ARG", FUNC_AGGREGATE, four_arg_sigs),
    TEST("GENERIC_VAR_ARG", FUNC_AGGREGATE, generic_var_arg_sigs),
    TEST("MID_VAR_ARG", FUNC_AGGREGATE, mid_var_arg_sigs),
    TEST("MULTI_ARG", FUNC_AGGREGATE, multi_arg_sigs),
    TEST("OBJ_COL_ARG", FUNC_AGGREGATE, obj_col_arg_sigs),
    TEST("TEST_UDAF", FUNC_AGGREGATE, test_udaf_sigs),
    TEST("TEST_UDF", FUNC_SCALAR, test_udf_sigs),
    TEST("TEST_UDTF", FUNC_TABLE, test_udtf_sigs),
    TEST("THROWING_UDTF", FUNC_TABLE, throwing_udtf_sigs),
    TEST("TOSTRUCT", FUNC_SCALAR, tostruct_sigs),
    TEST("VAR_ARG", FUNC_AGGREGATE, var_arg_sigs),
    TEST("WHENCONDITION", FUNC_SCALAR, whencondition_sigs),
    TEST("WHENRESULT", FUNC_SCALAR, whenresult_sigs),
};

const struct func_family family_testing = {funcs, COUNT_OF(funcs)};
