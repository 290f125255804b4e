/* table.c - table functions: several rows from one. */
#include "func/func_int.h"

enum { CUBE_COLUMNS_MAX = 20 };

static void explode(struct func_ctx *ctx, const struct value *args, uint32_t arg_count,
                    const struct value **rows, uint32_t *row_count)
{
    *rows = args[0].elems;
    *row_count = value_is_null(args[0]) ? 0 : args[0].len;
}

/* Row `bits` of the cube: element i is kept where its bit is set, the first element having the highest
 * bit. Rows that keep an element that is NULL anyway repeat others and are left out. */
static bool cube_row(struct value array, uint32_t bits, struct value *row)
{
    for (uint32_t i = 0; i < array.len; i++) {
        bool kept = bits >> (array.len - 1 - i) & 1;
        if (kept && value_is_null(array.elems[i]))
            return false;
        row[i] = kept ? array.elems[i] : VALUE_NULL;
    }
    return true;
}

static void cube_explode(struct func_ctx *ctx, const struct value *args, uint32_t arg_count,
                         const struct value **rows, uint32_t *row_count)
{
    *row_count = 0;
    if (value_is_null(args[0]))
        return;
    if (args[0].len > CUBE_COLUMNS_MAX) {
        func_fail(ctx, "CUBE_EXPLODE takes at most %d columns, not %u", CUBE_COLUMNS_MAX, args[0].len);
        return;
    }
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < args[0].len; i++)
        nulls += value_is_null(args[0].elems[i]);
    uint32_t count = 1u << (args[0].len - nulls);
    struct value *out = func_values(ctx, count);
    struct value *row = func_values(ctx, args[0].len);
    for (uint32_t bits = 0; bits < 1u << args[0].len; bits++)
        if (cube_row(args[0], bits, row))
            out[(*row_count)++] =
                value_nested(SQL_ARRAY, arena_dup(ctx->arena, row, args[0].len * sizeof *row), args[0].len);
    *rows = out;
}

static const struct func_sig cube_sigs[] = {{"(columns ARRAY<T>) ARRAY<T>", .table = cube_explode}};
static const struct func_sig explode_sigs[] = {{"(list ARRAY<T>) T", .table = explode}};

static const struct func funcs[] = {
    FUNC("CUBE_EXPLODE", "TABLE", FUNC_TABLE, cube_sigs,
         "One row for each combination of the elements with NULLs; at most 20 elements."),
    FUNC("EXPLODE", "TABLE", FUNC_TABLE, explode_sigs, "One row for each element of an array."),
};

const struct func_family family_table = {funcs, COUNT_OF(funcs)};
