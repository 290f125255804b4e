/* expr_test.h - harness of the expression tests: a text is parsed, checked, compiled and evaluated over
 * three rows.
 *
 *   row 0: the values of `columns`      row 1: all NULL      row 2: as row 0
 *
 * The third row shows that selections of rows (AND, OR, CASE) do not mix them up.
 */
#ifndef RIALTO_TEST_EXPR_TEST_H
#define RIALTO_TEST_EXPR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "expr/expr.h"
#include "sql/sql.h"

struct test_column {
    const char *name, *type, *value;
};

/* Values are constant expressions of the column's type. */
static const struct test_column columns[] = {
    {"I", "INTEGER", "7"},
    {"J", "INTEGER", "-3"},
    {"L", "BIGINT", "5000000000"},
    {"D", "DOUBLE", "2.5E0"},
    {"E", "DECIMAL(4,2)", "10.10"},
    {"S", "STRING", "'hello'"},
    {"T", "STRING", "'World'"},
    {"B", "BOOLEAN", "true"},
    {"A", "ARRAY<INTEGER>", "ARRAY[1, 2, NULL, 2]"},
    {"Z", "ARRAY<STRING>", "ARRAY['b', 'a', NULL]"},
    {"M", "MAP<STRING, INTEGER>", "MAP('x' := 1, 'y' := 2)"},
    {"R", "STRUCT<F STRING, G BIGINT>", "STRUCT(F := 'f', G := CAST(9 AS BIGINT))"},
    {"DT", "DATE", "CAST('2020-02-29' AS DATE)"},
    {"TM", "TIME", "CAST('10:20:30' AS TIME)"},
    {"TS", "TIMESTAMP", "CAST('2020-05-26T23:59:58.123' AS TIMESTAMP)"},
    {"Y", "BYTES", "CAST('aGk=' AS BYTES)"}, /* "hi" */
    {"ROWTIME", "BIGINT", "1546300800000"},  /* 2019-01-01T00:00:00Z */
    {"NI", "INTEGER", "CAST(NULL AS INTEGER)"},
    {"NS", "STRING", "CAST(NULL AS STRING)"},
    {"NB", "BOOLEAN", "CAST(NULL AS BOOLEAN)"},
    {"NA", "ARRAY<INTEGER>", "CAST(NULL AS ARRAY<INTEGER>)"},
};

enum { TEST_ROWS = 3, TEST_COLUMNS = sizeof columns / sizeof columns[0] };

struct bench {
    struct arena arena;
    const struct sql_type *types[TEST_COLUMNS];
    struct value rows[TEST_COLUMNS][TEST_ROWS];
    const struct value *cols[TEST_COLUMNS];
    struct expr_ctx *ctx;
    struct err last; /* of the rows that failed */
    int errors;
    bool aggregates_allowed;
};

static const struct func_settings test_settings = {100, 100};

static bool no_column(void *state, struct str qualifier, struct str name, struct sql_place place,
                      uint32_t *index, const struct sql_type **type, struct err *err)
{
    struct bench *bench = state;
    for (uint32_t i = 0; i < TEST_COLUMNS; i++)
        if (bench != NULL && str_eq_cstr(name, columns[i].name)) {
            *index = i;
            *type = bench->types[i];
            return true;
        }
    return err_set(err, ERR_STATEMENT, "column '%.*s' cannot be resolved", STR_ARG(name));
}

static void keep_last(void *state, uint32_t row, const struct err *err)
{
    struct bench *bench = state;
    assert_true(row < TEST_ROWS);
    bench->last = *err;
    bench->errors++;
}

static const struct expr *bench_check(struct bench *bench, bool with_columns, const char *text,
                                      struct err *err)
{
    const struct ast_expr *ast;
    struct expr_scope scope = {.column = no_column,
                               .state = with_columns ? bench : NULL,
                               .aggregates_allowed = bench->aggregates_allowed};
    if (!sql_parse_expr(str_from(text), &ast, &bench->arena, err))
        return NULL;
    return expr_check(ast, &scope, &bench->arena, err);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    bench->ctx = expr_ctx_new(&test_settings, keep_last, bench);
    expr_ctx_set_now(bench->ctx, 1600000000123);
    for (uint32_t i = 0; i < TEST_COLUMNS; i++) {
        struct err err = {0};
        const struct ast_type *written;
        assert_true(sql_parse_type(str_from(columns[i].type), &written, &bench->arena, &err));
        bench->types[i] = expr_type_of(written, NULL, &bench->arena, &err);
        const struct expr *expr = bench_check(bench, false, columns[i].value, &err);
        if (expr == NULL ||
            !expr_eval_constant(expr, &test_settings, &bench->rows[i][0], &bench->arena, &err))
            fail_msg("%s: %s", columns[i].value, err.text);
        assert_true(type_eq(expr->type, bench->types[i]));
        bench->rows[i][2] = bench->rows[i][0];
        bench->cols[i] = bench->rows[i];
    }
}

static void bench_fini(struct bench *bench)
{
    expr_ctx_free(bench->ctx);
    arena_fini(&bench->arena);
}

/* The text of row 0, "FAILED", or "error: ..." when the expression is refused. */
static const char *bench_text(struct bench *bench, const char *text, const char **type)
{
    struct err err = {0};
    const struct expr *expr = bench_check(bench, true, text, &err);
    if (expr == NULL)
        return str_cstr(str_printf(&bench->arena, "error: %s", err.text), &bench->arena);
    const struct expr_program *program = expr_compile(expr, &bench->arena);
    struct value out[TEST_ROWS];
    bool failed[TEST_ROWS];
    bench->errors = 0;
    expr_eval(bench->ctx, program, bench->cols, TEST_ROWS, out, failed, &bench->arena);
    struct buf first = {0}, third = {0}, printed = {0};
    failed[0] ? buf_append_cstr(&first, "FAILED") : value_print(out[0], expr->type, &first);
    failed[2] ? buf_append_cstr(&third, "FAILED") : value_print(out[2], expr->type, &third);
    type_print(expr->type, &printed);
    *type = str_cstr(buf_str(&printed), &bench->arena);
    const char *result = str_cstr(buf_str(&first), &bench->arena);
    if (!expr->call || !expr->call->is_volatile)
        assert_string_equal(buf_str(&first).ptr, buf_str(&third).ptr);
    buf_fini(&first);
    buf_fini(&third);
    buf_fini(&printed);
    return result;
}

struct test_case {
    const char *text, *expected;
    const char *type; /* NULL: not looked at */
};

static void run_cases(const struct test_case *cases, size_t count)
{
    struct bench bench;
    int wrong = 0;
    bench_init(&bench);
    for (size_t i = 0; i < count; i++) {
        const char *type = "";
        const char *got = bench_text(&bench, cases[i].text, &type);
        bool is_error = strncmp(cases[i].expected, "error: ", 7) == 0;
        bool same = is_error ? strncmp(got, cases[i].expected, strlen(cases[i].expected)) == 0
                             : strcmp(got, cases[i].expected) == 0;
        if (same && (cases[i].type == NULL || strcmp(type, cases[i].type) == 0))
            continue;
        print_error("%s\n  gives    %s %s\n  expected %s %s\n  last row error: %s\n", cases[i].text, got,
                    type, cases[i].expected, cases[i].type ? cases[i].type : "", bench.last.text);
        wrong++;
    }
    bench_fini(&bench);
    assert_int_equal(wrong, 0);
}

#endif
