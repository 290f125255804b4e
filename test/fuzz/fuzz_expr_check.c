/* fuzz_expr_check.c - any text: parsed, checked against a fixed scope, compiled, printed and evaluated over a row of
 * values and a row of NULLs. Nothing may crash, whatever the text.
 */
#include <stddef.h>
#include <stdint.h>

#include "expr/expr.h"
#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct value array_elems[] = {{.kind = SQL_INTEGER, .l = 1}, {.kind = SQL_NULL}};
static const struct value map_elems[] = {{.kind = SQL_STRING, .len = 1, .ptr = "k"},
                                         {.kind = SQL_BIGINT, .l = 5}};
static const struct sql_type int_array = {.kind = SQL_ARRAY, .elem = &type_integer};
static const struct sql_type bigint_map = {.kind = SQL_MAP, .key = &type_string, .elem = &type_bigint};

static const struct {
    const char *name;
    const struct sql_type *type;
    struct value value;
} columns[] = {
    {"I", &type_integer, {.kind = SQL_INTEGER, .l = -7}},
    {"L", &type_bigint, {.kind = SQL_BIGINT, .l = INT64_MIN}},
    {"D", &type_double, {.kind = SQL_DOUBLE, .d = 1e300}},
    {"S", &type_string, {.kind = SQL_STRING, .len = 4, .ptr = "a\xc3\xa4z"}},
    {"B", &type_boolean, {.kind = SQL_BOOLEAN, .b = true}},
    {"Y", &type_bytes, {.kind = SQL_BYTES, .len = 2, .ptr = "\xff\x00"}},
    {"T", &type_timestamp, {.kind = SQL_TIMESTAMP, .l = -1}},
    {"A", &int_array, {.kind = SQL_ARRAY, .len = 2, .elems = array_elems}},
    {"M", &bigint_map, {.kind = SQL_MAP, .len = 1, .elems = map_elems}},
    {"ROWTIME", &type_bigint, {.kind = SQL_BIGINT, .l = 1000}},
};

static bool find_column(void *state, struct str qualifier, struct str name, struct sql_place place,
                        uint32_t *index, const struct sql_type **type, struct err *err)
{
    for (uint32_t i = 0; i < COUNT_OF(columns); i++)
        if (str_eq_cstr(name, columns[i].name)) {
            *index = i;
            *type = columns[i].type;
            return true;
        }
    return err_set(err, ERR_STATEMENT, "unknown column");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct func_settings settings = {1000, 1000};
    struct arena arena = {0};
    struct err err = {0};
    struct buf text = {0};
    const struct ast_expr *ast;
    struct expr_scope scope = {.column = find_column};
    const struct expr *expr = NULL;
    if (size <= 4096 && sql_parse_expr(str_of((const char *)data, size), &ast, &arena, &err))
        expr = expr_check(ast, &scope, &arena, &err);
    if (expr != NULL && !(expr->call != NULL && expr->call->kind != FUNC_SCALAR)) {
        struct value rows[COUNT_OF(columns)][2], out[2];
        const struct value *cols[COUNT_OF(columns)];
        for (size_t i = 0; i < COUNT_OF(columns); i++) {
            rows[i][0] = columns[i].value;
            rows[i][1] = VALUE_NULL;
            cols[i] = rows[i];
        }
        struct expr_ctx *ctx = expr_ctx_new(&settings, NULL, NULL);
        const struct expr_program *program = expr_compile(expr, &arena);
        expr_program_print(program, &text);
        expr_eval(ctx, program, cols, 2, out, NULL, &arena);
        for (int i = 0; i < 2; i++)
            value_print(out[i], expr->type, &text);
        expr_ctx_free(ctx);
    }
    buf_fini(&text);
    arena_fini(&arena);
    return 0;
}
