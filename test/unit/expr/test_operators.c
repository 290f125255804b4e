/* test_operators.c - operators, comparisons, logic, CASE, CAST, access, constructors; expected values
 * are made by hand from the language reference and Java's arithmetic.
 */
#include "expr_test.h"

static void test_arithmetic(void **state)
{
    static const struct test_case cases[] = {
        {"2 * 3 - 4", "2", "INTEGER"},
        {"6 / 3 - 4", "-2", "INTEGER"},
        {"16 % 6 - 4", "0", "INTEGER"},
        {"7 / 2", "3", "INTEGER"},
        {"-7 / 2", "-3", "INTEGER"},
        {"-7 % 2", "-1", "INTEGER"},
        {"I + J", "4", "INTEGER"},
        {"2147483647 + 1", "-2147483648", "INTEGER"},
        {"I * 1000000000", "-1589934592", "INTEGER"}, /* 7e9 mod 2^32 */
        {"I + L", "5000000007", "BIGINT"},
        {"9223372036854775807 + L - L", "9223372036854775807", "BIGINT"},
        {"I + D", "9.5", "DOUBLE"},
        {"D / 0", "Infinity", "DOUBLE"},
        {"D % 2", "0.5", "DOUBLE"},
        {"E + I", "17.10", "DECIMAL(13, 2)"},
        {"E * E", "102.0100", "DECIMAL(9, 4)"},
        {"E - 0.5", "9.60", "DECIMAL(5, 2)"},
        {"E + D", "12.6", "DOUBLE"},
        {"I / 0", "FAILED", "INTEGER"},
        {"L % 0", "FAILED", "BIGINT"},
        {"E / 0", "FAILED", NULL},
        {"NI + 1", "FAILED", "INTEGER"},
        {"-I", "-7", "INTEGER"},
        {"-E", "-10.10", "DECIMAL(4, 2)"},
        {"-NI", "FAILED", "INTEGER"},
        {"+I", "7", "INTEGER"},
        {"(-2147483647 - 1) / -1", "-2147483648", "INTEGER"},
        {"S + ' ' + T", "hello World", "STRING"},
        {"S || T", "helloWorld", "STRING"},
        {"S || NS", "FAILED", "STRING"},
        {"0.25", "0.25", "DECIMAL(3, 2)"},
        {"7.25", "7.25", "DECIMAL(3, 2)"},
        {"1E3", "1000.0", "DOUBLE"},
        {"1 + NULL",
         "error: Error processing expression: (1 + null). Arithmetic on types INTEGER and null are not "
         "supported."},
        {"S + 1",
         "error: Error processing expression: (S + 1). Arithmetic on types STRING and INTEGER are not "
         "supported."},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_comparison(void **state)
{
    static const struct test_case cases[] = {
        {"I = 7", "true", "BOOLEAN"},
        {"I <> 7", "false"},
        {"7 = I", "true"},
        {"I < L", "true"},
        {"I >= 7.0", "true"},
        {"I > D", "true"},
        {"E = 10.1", "true"},
        {"E < 10.101", "true"},
        {"L = 5E9", "true"},
        {"S = 'hello'", "true"},
        {"S < T", "false"}, /* 'h' is behind 'W' */
        {"S <> NS", "false"},
        {"NI = 1", "false"},
        {"NI <> 1", "false"},
        {"NOT (NI = 1)", "true"},
        {"NI IS DISTINCT FROM 1", "true"},
        {"NI IS NOT DISTINCT FROM NI", "true"},
        {"I IS DISTINCT FROM 7", "false"},
        {"B = true", "true"},
        {"A = ARRAY[1, 2, NULL, 2]", "true"},
        {"M = MAP('y' := 2, 'x' := 1)", "true"},
        {"R = STRUCT(F := 'f', G := CAST(9 AS BIGINT))", "true"},
        {"DT < '2020-03-01'", "true"},
        {"TS > DT", "true"},
        {"TM = '10:20:30'", "true"},
        {"Y > CAST('aGg=' AS BYTES)", "true"},
        {"I BETWEEN 5 AND 7", "true"},
        {"I NOT BETWEEN 5 AND 6", "true"},
        {"I BETWEEN NI AND 9", "false"},
        {"S BETWEEN 'b' AND 'i'", "true"},
        {"ROWTIME >= '2019'", "true"},
        {"ROWTIME > '2019-01-01T00:00:00+0445'", "true"},
        {"ROWTIME BETWEEN '2019-01-01' AND '2019-01-01T00:00:00.001'", "true"},
        {"'2018-12-31T23:59' < ROWTIME", "true"},
        {"A BETWEEN A AND A",
         "error: Invalid expression: Cannot compare A (ARRAY<INTEGER>) to A (ARRAY<INTEGER>) "
         "with GREATER_THAN_OR_EQUAL."},
        {"ROWTIME > 'soon'", "error: Failed to parse timestamp 'soon'"},
        {"A < A", "error: Cannot compare A (ARRAY<INTEGER>) to A (ARRAY<INTEGER>) with LESS_THAN."},
        {"M < M",
         "error: Cannot compare M (MAP<STRING, INTEGER>) to M (MAP<STRING, INTEGER>) with LESS_THAN."},
        {"I = '10'", "error: Cannot compare I (INTEGER) to '10' (STRING) with EQUAL."},
        {"S = NULL",
         "error: Comparison with NULL not supported: STRING = NULL\nUse 'IS NULL' or 'IS NOT NULL' instead."},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_logic(void **state)
{
    static const struct test_case cases[] = {
        {"NOT B", "false"},
        {"B AND I = 7", "true"},
        {"I = 8 AND I / 0 = 1", "false"},
        {"I = 7 OR I / 0 = 1", "true"},
        {"I = 7 AND I / 0 = 1", "FAILED"},
        {"I = 8 OR I / 0 = 1", "FAILED"},
        {"NB AND B", "FAILED"},
        {"NOT NB", "FAILED"},
        {"B OR NB", "true"},
        {"(I = 7 OR L = 1) AND (D > 3 OR (S = 'hello' AND E > 10))", "true"},
        {"NI IS NULL", "true"},
        {"I IS NOT NULL", "true"},
        {"NULL IS NULL", "true"},
        {"S AND B", "error: Error processing expression"},
        {"CASE WHEN I > 10 THEN 'a' WHEN I > 5 THEN 'b' ELSE 'c' END", "b", "STRING"},
        {"CASE WHEN I > 10 THEN 1 WHEN I > 9 THEN 2 END", "null", "INTEGER"},
        {"CASE WHEN I = 7 THEN 1 ELSE I / 0 END", "1"},
        {"CASE WHEN I = 8 THEN I / 0 ELSE 2 END", "2"},
        {"CASE WHEN I = 7 THEN I / 0 ELSE 2 END", "FAILED"},
        {"CASE WHEN NB THEN 1 ELSE 2 END", "FAILED"},
        {"CASE WHEN D > 2 THEN NULL ELSE 'x' END", "null", "STRING"},
        {"CASE I WHEN 6 THEN 'six' WHEN 7 THEN 'seven' ELSE 'many' END", "seven"},
        {"CASE I + 1 WHEN 8 THEN CASE S WHEN 'hello' THEN 'yes' END ELSE 'no' END", "yes"},
        {"CASE WHEN B THEN 1 ELSE 2.5 END", "1.0", "DECIMAL(11, 1)"},
        {"CASE WHEN B THEN NULL ELSE NULL END",
         "error: Invalid Case expression. All case branches have NULL type"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_in_like(void **state)
{
    static const struct test_case cases[] = {
        {"I IN (1, 7, NULL)", "true"},
        {"I IN (1, 2)", "false"},
        {"I NOT IN (1, 2)", "true"},
        {"NI IN (1, 2)", "false"},
        {"NI NOT IN (1, 2)", "true"},
        {"I IN (1, '7.000')", "true"},
        {"I IN (L, J, J + 10)", "true"},
        {"I IN (J, I, I / 0)", "true"},
        {"I IN (J, I / 0)", "FAILED"},
        {"S IN (true, 10, 'hello')", "true"},
        {"'10.30' IN ('a', 10.30)", "true"},
        {"I IN (1, '2147483648')", "false"},
        {"B IN ('f', 'y')", "true"},
        {"M IN (MAP('x' := 1, 'y' := 2))", "true"},
        {"R IN (STRUCT(F := 'f', G := '9'))", "true"},
        {"ROWTIME IN ('2019-01-01', '2020')", "true"},
        {"I IN (10, true)",
         "error: operator does not exist: INTEGER = BOOLEAN (true)\nHint: You might need to add "
         "explicit type casts."},
        {"I IN (10, S)", "error: operator does not exist: INTEGER = STRING (S)"},
        {"L IN (10, '10 - not a number')",
         "error: invalid input syntax for type BIGINT: \"10 - not a number\"."},
        {"E IN (10, true)", "error: operator does not exist: DECIMAL(12, 2) = BOOLEAN (true)"},
        {"A IN (A, ARRAY['10', 'not 10'])", "error: invalid input syntax for type INTEGER: \"not 10\""},
        {"A IN (A, ARRAY[B])", "error: operator does not exist: ARRAY<INTEGER> = ARRAY<BOOLEAN> (ARRAY[B])"},
        {"S LIKE 'h%'", "true"},
        {"S LIKE '%ell%'", "true"},
        {"S LIKE '%lo'", "true"},
        {"S LIKE 'h_llo'", "true"},
        {"S LIKE '%l_o%'", "true"}, /* l, l, o */
        {"S LIKE '%e_o%'", "false"},
        {"S LIKE 'hell'", "false"},
        {"S NOT LIKE 'x%'", "true"},
        {"'%' LIKE '!%' ESCAPE '!'", "true"},
        {"'x' LIKE '!%' ESCAPE '!'", "false"},
        {"S LIKE S", "true"},
        {"'a\nb' LIKE 'a_b'", "true"},
        {"'\xc3\xa4x' LIKE '_x'", "true"},
        {"'aXbXc' LIKE 'a%X%c'", "true"},
        {"'aaab' LIKE '%a_b'", "true"},
        {"'' LIKE '%'", "true"},
        {"I LIKE 'x'",
         "error: The column type for Like condition must be VARCHAR. The column type is INTEGER"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_cast(void **state)
{
    static const struct test_case cases[] = {
        {"CAST(I AS STRING)", "7", "STRING"},
        {"CAST(D AS INTEGER)", "2"},
        {"CAST(L AS INTEGER)", "705032704"}, /* 5e9 - 2^32 */
        {"CAST(E AS STRING)", "10.10"},
        {"CAST(0.99E0 AS DECIMAL(2,1))", "1.0", "DECIMAL(2, 1)"},
        {"CAST(' 42 ' AS INTEGER)", "42"},
        {"CAST('x' AS INTEGER)", "FAILED"},
        {"CAST('ye' AS BOOLEAN)", "true"},
        {"CAST('nope' AS BOOLEAN)", "false"},
        {"CAST(A AS ARRAY<STRING>)", "[1, 2, null, 2]", "ARRAY<STRING>"},
        {"CAST(A AS STRING)", "[1, 2, null, 2]"},
        {"CAST(M AS STRING)", "{x=1, y=2}"},
        {"CAST(R AS STRING)", "Struct{F=f,G=9}"},
        {"CAST(DT AS TIMESTAMP)", "2020-02-29T00:00:00.000"},
        {"CAST(TS AS DATE)", "2020-05-26"},
        {"CAST(NULL AS MAP<STRING, INT>)", "null", "MAP<STRING, INTEGER>"},
        {"CAST(S AS MAP<VARCHAR, INTEGER>)",
         "error: Cast of STRING to MAP<STRING, INTEGER> is not supported"},
        {"CAST(S AS STRUCT<F0 VARCHAR, F1 INTEGER>)",
         "error: Cast of STRING to STRUCT<`F0` STRING, `F1` INTEGER> is not supported"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_access(void **state)
{
    static const struct test_case cases[] = {
        {"A[1]", "1", "INTEGER"},
        {"A[2]", "2"},
        {"A[-1]", "2"},
        {"A[-2]", "null"},
        {"A[0]", "null"},
        {"A[5]", "null"},
        {"A[-5]", "null"},
        {"NA[1]", "null"},
        {"M['y']", "2", "INTEGER"},
        {"M['z']", "null"},
        {"R->F", "f", "STRING"},
        {"R->G + 1", "10", "BIGINT"},
        {"STRUCT(A := STRUCT(B := I))->A->B", "7"},
        {"ARRAY[I, J, 3]", "[7, -3, 3]", "ARRAY<INTEGER>"},
        {"ARRAY[null, 10, '2e1', I, L]", "[null, 10, 20, 7, 5000000000]", "ARRAY<DECIMAL(19, 0)>"},
        {"ARRAY[44, I / 0]", "[44, null]"},
        {"ARRAY[NULL, STRUCT(X := I, Y := L), STRUCT(Y := I, Z := L)]",
         "[null, Struct{Y=5000000000,X=7}, Struct{Y=7,Z=5000000000}]", /* the text leaves NULL fields out */
         "ARRAY<STRUCT<`Y` BIGINT, `Z` BIGINT, `X` INTEGER>>"},
        {"MAP('a' := 1, 'b' := I / 0, 'a' := 3)", "{a=3, b=null}"},
        {"STRUCT(F1 := I, F2 := I / 0)", "Struct{F1=7}"},
        {"STRUCT()", "Struct{}"},
        {"ARRAY[]", "error: Array constructor cannot be empty. Please supply at least one element (see "
                    "https://github.com/confluentinc/ksql/issues/4239)."},
        {"ARRAY[NULL]",
         "error: Cannot construct an array with all NULL elements (see "
         "https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may cast a NULL value "
         "to the desired type."},
        {"MAP()", "error: Map constructor cannot be empty. Please supply at least one key value pair (see "
                  "https://github.com/confluentinc/ksql/issues/4239)."},
        {"MAP('a' := NULL)", "error: Cannot construct a map with all NULL values"},
        {"STRUCT(X := 1, X := 2)", "error: Duplicate field names found in STRUCT"},
        {"R->NOPE", "error: Could not find field 'NOPE' in 'R'."},
        {"I->F", "error: Expected STRUCT type, got: INTEGER"},
        {"NOPE", "error: column 'NOPE' cannot be resolved"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_aggregates_and_tables(void **state)
{
    struct bench bench;
    struct err err = {0};
    bench_init(&bench);
    assert_null(bench_check(&bench, true, "SUM(I)", &err));
    assert_string_equal(err.text, "Aggregate functions are not allowed here: SUM(I)");
    assert_null(bench_check(&bench, true, "EXPLODE(A) + 1", &err));
    assert_string_equal(err.text, "Table functions are not allowed here: EXPLODE(A)");
    bench.aggregates_allowed = true;
    const struct expr *sum = bench_check(&bench, true, "SUM(I) + 1", &err);
    assert_int_equal(sum->args[0]->kind, EXPR_AGGREGATE);
    assert_int_equal(sum->args[0]->call->result->kind, SQL_INTEGER);
    assert_null(bench_check(&bench, true, "SUM(COUNT(I))", &err));
    assert_string_equal(err.text, "Aggregate functions can not be nested: SUM(COUNT(I))");
    assert_null(bench_check(&bench, true, "EARLIEST_BY_OFFSET(I, I)", &err));
    assert_string_equal(err.text,
                        "Parameter 2 passed to function EARLIEST_BY_OFFSET must be a literal constant, "
                        "but was expression: 'I'");
    bench_fini(&bench);
}

/* What a row of NULLs gives, and that errors are reported once a row. */
static void test_null_row(void **state)
{
    struct bench bench;
    struct err err = {0};
    struct value out[TEST_ROWS];
    bool failed[TEST_ROWS];
    bench_init(&bench);
    const struct expr *expr = bench_check(&bench, true, "I + J * 2 > 0", &err);
    expr_eval(bench.ctx, expr_compile(expr, &bench.arena), bench.cols, TEST_ROWS, out, failed, &bench.arena);
    assert_int_equal(bench.errors, 1);
    assert_false(failed[0]);
    assert_true(failed[1]);
    assert_true(value_is_null(out[1]));
    assert_true(out[0].b);
    bench_fini(&bench);
}

static void test_programs(void **state)
{
    struct bench bench;
    struct err err = {0};
    struct buf text = {0};
    bool used[TEST_COLUMNS] = {false};
    bench_init(&bench);
    const struct expr *expr = bench_check(&bench, true, "I > 3 + 4 AND S = 'x'", &err);
    expr_program_print(expr_compile(expr, &bench.arena), &text);
    assert_string_equal(text.ptr, "0 GT_I64 r0 c0 k0\n1 SELECT_TRUE r0 r0 -> 4\n2 EQ_BYTES r0 c5 k1\n"
                                  "3 SELECT_END r0 r0\n");
    expr_columns_used(expr, used);
    assert_true(used[0]);
    assert_false(used[1]);
    assert_true(used[5]);
    assert_false(expr_is_constant(expr));
    buf_fini(&text);
    bench_fini(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_logic),      cmocka_unit_test(test_in_like),
        cmocka_unit_test(test_cast),       cmocka_unit_test(test_access),
        cmocka_unit_test(test_null_row),   cmocka_unit_test(test_aggregates_and_tables),
        cmocka_unit_test(test_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
