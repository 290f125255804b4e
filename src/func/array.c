/* array.c - functions of arrays: set operations, extremes, order, parts, series. */
#include "func/value_set.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

enum { SERIES_MAX = 10000000 };

static struct value array_of(const struct value *elems, uint32_t count)
{
    return value_nested(SQL_ARRAY, elems, count);
}

SCALAR(fn_concat)
{
    if (value_is_null(args[0]) || value_is_null(args[1])) {
        *out = value_is_null(args[0]) ? args[1] : args[0];
        return;
    }
    uint32_t left = args[0].len, right = args[1].len;
    struct value *elems = func_values(ctx, (size_t)left + right);
    if (left > 0)
        memcpy(elems, args[0].elems, left * sizeof *elems);
    if (right > 0)
        memcpy(elems + left, args[1].elems, right * sizeof *elems);
    *out = array_of(elems, left + right);
}

SCALAR(fn_contains)
{
    bool found = false;
    for (uint32_t i = 0; !value_is_null(args[0]) && i < args[0].len && !found; i++)
        found = value_eq(args[0].elems[i], args[1]);
    *out = value_bool(found);
}

static void add_all(struct value_set *set, struct value array)
{
    for (uint32_t i = 0; i < array.len; i++)
        value_set_add(set, array.elems[i]);
}

SCALAR(fn_distinct)
{
    struct value_set set;
    value_set_init(&set, args[0].len, ctx->arena);
    add_all(&set, args[0]);
    *out = array_of(set.items, set.count);
}

/* Distinct elements of the first array that are in the second, or are not. */
static void select_by(struct func_ctx *ctx, const struct value *args, bool wanted, struct value *out)
{
    struct value_set right, kept;
    value_set_init(&right, args[1].len, ctx->arena);
    value_set_init(&kept, args[0].len, ctx->arena);
    add_all(&right, args[1]);
    for (uint32_t i = 0; i < args[0].len; i++)
        if (value_set_has(&right, args[0].elems[i]) == wanted)
            value_set_add(&kept, args[0].elems[i]);
    *out = array_of(kept.items, kept.count);
}

SCALAR(fn_except)
{
    select_by(ctx, args, false, out);
}

SCALAR(fn_intersect)
{
    select_by(ctx, args, true, out);
}

SCALAR(fn_union)
{
    struct value_set set;
    value_set_init(&set, args[0].len + args[1].len, ctx->arena);
    add_all(&set, args[0]);
    add_all(&set, args[1]);
    *out = array_of(set.items, set.count);
}

SCALAR(fn_join)
{
    struct value delimiter = arg_or_null(args, arg_count, 1);
    if (value_is_null(args[0]))
        return;
    struct buf text = {0};
    for (uint32_t i = 0; i < args[0].len; i++) {
        if (i > 0)
            buf_append_str(&text, value_is_null(delimiter) ? (arg_count > 1 ? STR("") : STR(","))
                                                           : value_slice(delimiter));
        value_print(args[0].elems[i], ctx->call->params[0]->elem, &text);
    }
    *out = func_take_text(ctx, &text);
}

static bool types_primitive_elements(const struct func_arg *args, uint32_t count,
                                     const struct sql_type **params, const struct sql_type **result,
                                     struct arena *arena, struct err *err)
{
    const struct sql_type *elem = args[0].type->elem;
    if (elem == NULL || (elem->kind != SQL_ARRAY && elem->kind != SQL_MAP && elem->kind != SQL_STRUCT))
        return true;
    struct buf text = {0};
    type_print(elem, &text);
    err_set(err, ERR_STATEMENT, "Function ARRAY_JOIN joins arrays of primitive types only, not of %.*s.",
            STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}

SCALAR(fn_length)
{
    *out = value_int((int32_t)args[0].len);
}

static void extreme(struct value array, int sign, struct value *out)
{
    for (uint32_t i = 0; i < array.len; i++) {
        struct value v = array.elems[i];
        if (!value_is_null(v) && (value_is_null(*out) || sign * value_cmp(v, *out) > 0))
            *out = v;
    }
}

SCALAR(fn_max)
{
    extreme(args[0], 1, out);
}

SCALAR(fn_min)
{
    extreme(args[0], -1, out);
}

SCALAR(fn_remove)
{
    if (value_is_null(args[0]))
        return;
    struct value *kept = func_values(ctx, args[0].len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < args[0].len; i++)
        if (!value_eq(args[0].elems[i], args[1]))
            kept[count++] = args[0].elems[i];
    *out = array_of(kept, count);
}

static int order_of(struct value a, struct value b, int sign)
{
    if (value_is_null(a) || value_is_null(b))
        return (int)value_is_null(a) - (int)value_is_null(b);
    return sign * value_cmp(a, b);
}

/* Merge sort: stable, and qsort's comparison could not see the direction. */
static void sort(struct value *at, struct value *spare, uint32_t count, int sign)
{
    if (count < 2)
        return;
    uint32_t half = count / 2;
    sort(at, spare, half, sign);
    sort(at + half, spare, count - half, sign);
    memcpy(spare, at, half * sizeof *at);
    for (uint32_t left = 0, right = half, to = 0; left < half; to++)
        at[to] = right < count && order_of(at[right], spare[left], sign) < 0 ? at[right++] : spare[left++];
}

SCALAR(fn_sort)
{
    int sign = 1;
    if (arg_count > 1) {
        struct str direction = value_slice(args[1]);
        bool down = str_eq_nocase(direction, STR("DESC")) || str_eq_nocase(direction, STR("DESCENDING"));
        if (!down && !str_eq_nocase(direction, STR("ASC")) && !str_eq_nocase(direction, STR("ASCENDING")))
            return;
        sign = down ? -1 : 1;
    }
    struct value *elems = func_values(ctx, args[0].len);
    if (args[0].len > 0)
        memcpy(elems, args[0].elems, args[0].len * sizeof *elems);
    sort(elems, func_values(ctx, args[0].len), args[0].len, sign);
    *out = array_of(elems, args[0].len);
}

SCALAR(fn_slice)
{
    if (value_is_null(args[0]))
        return;
    int64_t from = value_is_null(args[1]) ? 0 : args[1].l - 1;
    int64_t to = value_is_null(args[2]) ? args[0].len : args[2].l;
    if (from >= 0 && from <= to && to <= args[0].len)
        *out = array_of(args[0].elems + from, (uint32_t)(to - from));
}

SCALAR(fn_generate_series)
{
    int64_t start = args[0].l, end = args[1].l, step = arg_count > 2 ? args[2].l : end >= start ? 1 : -1;
    if (step == 0) {
        func_fail(ctx, "GENERATE_SERIES step cannot be zero");
        return;
    }
    if ((end > start && step < 0) || (end < start && step > 0)) {
        func_fail(ctx, "GENERATE_SERIES step has wrong sign");
        return;
    }
    __int128 count = ((__int128)end - start) / step + 1;
    if (count > SERIES_MAX) {
        func_fail(ctx, "GENERATE_SERIES would give more than %d numbers", SERIES_MAX);
        return;
    }
    struct value *elems = func_values(ctx, (size_t)count);
    enum sql_kind kind = ctx->call->result->elem->kind;
    for (int64_t i = 0; i < (int64_t)count; i++)
        elems[i] = (struct value){.kind = (uint8_t)kind,
                                  .l = (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step)};
    *out = array_of(elems, (uint32_t)count);
}

static const struct func_sig concat_sigs[] = {
    {"(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", .scalar = fn_concat}};
static const struct func_sig contains_sigs[] = {{"(array ARRAY<T>, val T) BOOLEAN", .scalar = fn_contains}};
static const struct func_sig distinct_sigs[] = {
    {"(input ARRAY<T>) ARRAY<T>", .scalar = fn_distinct, .strict = true}};
static const struct func_sig except_sigs[] = {
    {"(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", .scalar = fn_except, .strict = true}};
static const struct func_sig intersect_sigs[] = {
    {"(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", .scalar = fn_intersect, .strict = true}};
static const struct func_sig join_sigs[] = {{"(array ARRAY<T>) STRING", .scalar = fn_join,
                                             .types = types_primitive_elements},
                                            {"(array ARRAY<T>, delimiter STRING) STRING", .scalar = fn_join,
                                             .types = types_primitive_elements}};
static const struct func_sig length_sigs[] = {
    {"(array ARRAY<T>) INTEGER", .scalar = fn_length, .strict = true}};
static const struct func_sig max_sigs[] = {{"(input ARRAY<T>) T", .scalar = fn_max, .strict = true}};
static const struct func_sig min_sigs[] = {{"(input ARRAY<T>) T", .scalar = fn_min, .strict = true}};
static const struct func_sig remove_sigs[] = {{"(array ARRAY<T>, victim T) ARRAY<T>", .scalar = fn_remove}};
static const struct func_sig sort_sigs[] = {{"(input ARRAY<T>) ARRAY<T>", .scalar = fn_sort, .strict = true},
                                            {"(input ARRAY<T>, direction STRING) ARRAY<T>", .scalar = fn_sort,
                                             .strict = true}};
static const struct func_sig union_sigs[] = {
    {"(left ARRAY<T>, right ARRAY<T>) ARRAY<T>", .scalar = fn_union, .strict = true}};
static const struct func_sig series_sigs[] = {
    {"(start INTEGER, end INTEGER) ARRAY<INTEGER>", .scalar = fn_generate_series, .strict = true},
    {"(start INTEGER, end INTEGER, step INTEGER) ARRAY<INTEGER>", .scalar = fn_generate_series,
     .strict = true},
    {"(start BIGINT, end BIGINT) ARRAY<BIGINT>", .scalar = fn_generate_series, .strict = true},
    {"(start BIGINT, end BIGINT, step INTEGER) ARRAY<BIGINT>", .scalar = fn_generate_series, .strict = true}};
static const struct func_sig slice_sigs[] = {
    {"(in ARRAY<T>, from INTEGER, to INTEGER) ARRAY<T>", .scalar = fn_slice}};

#define ARRAY_FUNC(name, sigs, text) FUNC(name, "ARRAY", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    ARRAY_FUNC("array_concat", concat_sigs,
               "The elements of one array and then of another; a NULL array counts as none."),
    ARRAY_FUNC("ARRAY_CONTAINS", contains_sigs, "Whether an array has an element equal to a value."),
    ARRAY_FUNC("array_distinct", distinct_sigs, "The distinct elements in order of their first occurrence."),
    ARRAY_FUNC("array_except", except_sigs, "The distinct elements of one array that another does not have."),
    ARRAY_FUNC("array_intersect", intersect_sigs,
               "The distinct elements that both arrays have, in order of the first."),
    ARRAY_FUNC("ARRAY_JOIN", join_sigs,
               "The elements as text with a delimiter (a comma by default) between them."),
    ARRAY_FUNC("ARRAY_LENGTH", length_sigs, "The number of elements."),
    ARRAY_FUNC("array_max", max_sigs, "The greatest element that is not NULL."),
    ARRAY_FUNC("array_min", min_sigs, "The least element that is not NULL."),
    ARRAY_FUNC("array_remove", remove_sigs, "The array without the elements that equal a value."),
    ARRAY_FUNC("array_sort", sort_sigs, "The array sorted, NULLs last; 'DESC' turns the order round."),
    ARRAY_FUNC("array_union", union_sigs,
               "The distinct elements of both arrays in order of their first occurrence."),
    ARRAY_FUNC("generate_series", series_sigs,
               "The numbers from a start to an end, both included, by a step."),
    ARRAY_FUNC("slice", slice_sigs,
               "The elements from one position to another, counted from 1, both included."),
};

const struct func_family family_array = {funcs, COUNT_OF(funcs)};
