/* test_functions.c - scalar functions through whole expressions; expected values from the language
 * reference, Java's documentation, from RFC 1321 (MD5) and RFC 4648 (base64), or by hand.
 */
#include <time.h>

#include "expr_test.h"

static void test_string(void **state)
{
    static const struct test_case cases[] = {
        {"UCASE('stra\xc3\x9f"
         "e')",
         "STRASSE", "STRING"},
        {"LCASE('\xc3\x84x')", "\xc3\xa4x"},
        {"LEN('\xc3\xa4x')", "2", "INTEGER"},
        {"LEN(Y)", "2"},
        {"LEN(NS)", "null"},
        {"CONCAT('a', NULL, 'b')", "ab"},
        {"CONCAT_WS('-', 'a', NS, 'b')", "a-b"},
        {"CONCAT_WS(NS, 'a', 'b')", "null"},
        {"SUBSTRING('some_string', 6)", "string"},
        {"SUBSTRING('some_string', 6, 3)", "str"},
        {"SUBSTRING('some_string', -3)", "ing"},
        {"SUBSTRING('some string', 0, 2)", "so"},
        {"SUBSTRING('short', 6)", ""},
        {"SUBSTRING(S, NULL)", "null"},
        {"TRIM('  a b ')", "a b"},
        {"REPLACE('anaconda', 'a', 'o')", "onocondo"},
        {"REPLACE('ab', '', '-')", "-a-b-"},
        {"INSTR('corporate floor', 'or')", "2"},
        {"INSTR('corporate floor', 'or', 4)", "5"},
        {"INSTR('corporate floor', 'or', 4, 2)", "14"},
        {"INSTR('corporate floor', 'or', -4)", "5"},
        {"INSTR('corporate floor', 'or', -4, 2)", "2"},
        {"INSTR('no', 'or')", "0"},
        {"INITCAP('the   Quick br0wn fOx')", "The   Quick Br0wn Fox"},
        {"LPAD('foo', 7, 'Bar')", "BarBfoo"},
        {"RPAD('foo', 7, 'Bar')", "fooBarB"},
        {"RPAD('foo', 2, 'Bar')", "fo"},
        {"RPAD('foo', -1, 'Bar')", "null"},
        {"RPAD('foo', 7, '')", "null"},
        {"SPLIT('.a..b', '.')", "[, a, , b]", "ARRAY<STRING>"},
        {"SPLIT('ab', '')", "[a, b]"},
        {"SPLIT('', '.')", "[]"},
        {"SPLIT_TO_MAP('a:1//b:2/', '/', ':')", "{a=1, b=2}", "MAP<STRING, STRING>"},
        {"CHR(22909)", "\xe5\xa5\xbd"},
        {"CHR('\\u004b')", "K"},
        {"CHR('\\ud820\\udeb8')", "\xf0\x98\x8a\xb8"},
        {"CHR('bogus')", "null"},
        {"CHR(-1)", "null"},
        {"ELT(2, 'a', 'b')", "b"},
        {"ELT(3, 'a', 'b')", "null"},
        {"FIELD('hello', S, 'world')", "1"},
        {"FIELD('x', NS, 'y')", "0"},
        {"MASK('Abc-12 x')", "Xxx-nn-x"},
        {"MASK('Ab1-', NULL, 'q', '9', NULL)", "Aq9-"},
        {"MASK_KEEP_LEFT('abc1', 2)", "abxn"},
        {"MASK_KEEP_RIGHT('abc1', 2)", "xxc1"},
        {"MASK_LEFT('abc1', 1)", "xbc1"},
        {"MASK_RIGHT('abc1', 1)", "abcn"},
        {"MASK_LEFT('abc', -1)", "FAILED"},
        {"LEN(UUID())", "36"},
        {"MD5('abc')", "900150983cd24fb0d6963f7d28e17f72"},
        {"SUBSTRING(1, 1)", "error: Function 'substring' does not accept parameters (INTEGER, INTEGER)."},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_bytes(void **state)
{
    static const struct test_case cases[] = {
        {"ENCODE('Example!', 'ascii', 'hex')", "4578616d706c6521"},
        {"ENCODE('\xce\x95x', 'ascii', 'utf8')", "?x"},
        {"ENCODE('4578', 'hex', 'base64')", "RXg="},
        {"ENCODE('0x4578', 'hex', 'utf8')", "Ex"},
        {"ENCODE('x', 'null', 'utf8')", "FAILED"},
        {"FROM_BYTES(Y, 'utf8')", "hi"},
        {"FROM_BYTES(TO_BYTES('aGk=', 'base64'), 'hex')", "6869"},
        {"INT_FROM_BYTES(TO_BYTES('000007E5', 'hex'))", "2021", "INTEGER"},
        {"INT_FROM_BYTES(TO_BYTES('E5070000', 'hex'), 'LITTLE_ENDIAN')", "2021"},
        {"BIGINT_FROM_BYTES(TO_BYTES('000000012A05F200', 'hex'))", "5000000000", "BIGINT"},
        {"DOUBLE_FROM_BYTES(TO_BYTES('3FF8000000000000', 'hex'))", "1.5", "DOUBLE"},
        {"INT_FROM_BYTES(Y)", "FAILED"},
        {"UUID(TO_BYTES('123e4567e89b12d3a456426614174000', 'hex'))", "123e4567-e89b-12d3-a456-426614174000"},
        {"FROM_BYTES(LPAD(Y, 4, TO_BYTES('-', 'utf8')), 'utf8')", "--hi"},
        {"FROM_BYTES(SUBSTRING(Y, 2), 'utf8')", "i"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_numeric(void **state)
{
    static const struct test_case cases[] = {
        {"ABS(J)", "3", "INTEGER"},
        {"ABS(-3.2)", "3.2", "DECIMAL(2, 1)"},
        {"CEIL(D)", "3.0", "DOUBLE"},
        {"FLOOR(E)", "10.00", "DECIMAL(4, 2)"},
        {"ROUND(D)", "3", "BIGINT"},
        {"ROUND(-2.5E0)", "-2", "BIGINT"},
        {"ROUND(1.005E0, 2)", "1.01", "DOUBLE"},
        {"ROUND(E, 1)", "10.10", "DECIMAL(4, 2)"},
        {"ROUND(10.55, 1)", "10.60", "DECIMAL(4, 2)"},
        {"ROUND(10.55)", "11", "DECIMAL(2, 0)"},
        {"ROUND(1234.5E0, -2)", "1200.0"},
        {"TRUNC(-2.7E0)", "-2", "BIGINT"},
        {"TRUNC(10.59, 1)", "10.50"},
        {"SQRT(16)", "4.0", "DOUBLE"},
        {"SQRT(-1)", "NaN"},
        {"LN(0)", "-Infinity"},
        {"LOG(2, 8)", "3.0"},
        {"LOG(0, 13)", "NaN"},
        {"LOG(1, 13)", "NaN"},
        {"EXP(0)", "1.0"},
        {"POWER(2, 10)", "1024.0"},
        {"CBRT(-8)", "-2.0"},
        {"PI()", "3.141592653589793"},
        {"SIGN(J)", "-1", "INTEGER"},
        {"DEGREES(0)", "0.0"},
        {"ROUND(COT(7), 13)", "1.1475154224051"},
        {"ROUND(ATAN2(-2, -3), 13)", "-2.5535900500422"},
        {"ACOS(2)", "NaN"},
        {"SQRT(E) > 3", "true"},
        {"RANDOM() < 1", "true"},
        {"GEO_DISTANCE(37.4439, -122.1663, 51.5257, -0.1122)", "8634.659796579544", "DOUBLE"},
        {"GEO_DISTANCE(37.4439, -122.1663, 51, 0)", "8682.459061368269"},
        {"GEO_DISTANCE(91.0, 0, 0, 0)", "FAILED"},
        {"GREATEST(I, J, NULL, 5)", "7", "INTEGER"},
        {"GREATEST(E, 10.123)", "10.123", "DECIMAL(5, 3)"},
        {"LEAST(S, T)", "World"},
        {"GREATEST(DT, '2022-06-14')", "2022-06-14", "DATE"},
        {"GREATEST(I, L)",
         "error: Function 'greatest' cannot be resolved due to ambiguous method parameters (INTEGER, "
         "BIGINT)."},
        {"GREATEST(S, I)", "error: Function 'greatest' does not accept parameters (STRING, INTEGER)."},
        {"COALESCE(NI, NI, I)", "7", "INTEGER"},
        {"COALESCE(I / 0, 5)", "5"}, /* a failing argument is NULL */
        {"COALESCE()", "error: Function 'COALESCE' does not accept parameters ()"},
        {"IFNULL(NS, 'x')", "x"},
        {"NULLIF(I, 7)", "null", "INTEGER"},
        {"NULLIF(A, ARRAY[1])", "[1, 2, null, 2]"},
        {"AS_VALUE(I)", "7"},
        {"WONT_FIND_ME(I)", "error: Can't find any functions with the name 'WONT_FIND_ME'"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_time(void **state)
{
    static const struct test_case cases[] = {
        {"DATEADD(DAYS, 1, DT)", "2020-03-01", "DATE"},
        {"DATESUB(HOURS, 24, DT)", "2020-02-28"},
        {"TIMEADD(HOURS, 14, TM)", "00:20:30", "TIME"},
        {"TIMESUB(MINUTES, 21, TM)", "09:59:30"},
        {"TIMESTAMPADD(SECONDS, 2, TS)", "2020-05-27T00:00:00.123", "TIMESTAMP"},
        {"TIMESTAMPSUB(DAYS, 1, TS)", "2020-05-25T23:59:58.123"},
        {"TIMESTAMPADD(MILLISECONDS, NI, TS)", "null"},
        {"TIMESTAMPADD(TS, 5, TS)",
         "error: Function 'timestampadd' does not accept parameters (TIMESTAMP, INTEGER, "
         "TIMESTAMP)."},
        {"FROM_DAYS(10)", "1970-01-11"},
        {"FROM_UNIXTIME(100)", "1970-01-01T00:00:00.100"},
        {"UNIX_DATE(DT)", "18321", "INTEGER"},
        {"UNIX_DATE()", "18518"}, /* of 2020-09-13 */
        {"UNIX_TIMESTAMP(TS)", "1590537598123", "BIGINT"},
        {"UNIX_TIMESTAMP()", "1600000000123"},
        {"CONVERT_TZ(FROM_UNIXTIME(1589234313000), 'America/Los_Angeles', 'America/New_York')",
         "2020-05-12T00:58:33.000"},
        {"CONVERT_TZ(TS, 'Nowhere', 'UTC')", "FAILED"},
        {"FORMAT_DATE(DT, 'dd-MMM-yyyy')", "29-Feb-2020"},
        {"FORMAT_TIME(TM, 'HHmmss')", "102030"},
        {"FORMAT_TIMESTAMP(TS, 'yyyy-MM-dd HH:mm:ss.SSS')", "2020-05-26 23:59:58.123"},
        {"FORMAT_TIMESTAMP(TS, 'HH:mm', 'Asia/Tokyo')", "08:59"},
        {"PARSE_DATE('2020', 'yyyy')", "2020-01-01", "DATE"},
        {"PARSE_DATE('x', 'yyyy')", "FAILED"},
        {"PARSE_DATE('2003-12-24-01-01', 'yyyy-MM-dd')", "2003-12-24"},
        {"PARSE_TIME('07:05', 'HH:mm')", "07:05"},
        {"PARSE_TIMESTAMP('2018-05-11T21:58:33', 'yyyy-MM-dd''T''HH:mm:ss')", "2018-05-11T21:58:33.000"},
        {"COALESCE(PARSE_DATE('2004', 'yyyy-MM-dd'), PARSE_DATE('2004-01-01', 'yyyy-MM-dd'))", "2004-01-01"},
        {"STRINGTOTIMESTAMP('1970-01-02', 'yyyy-MM-dd')", "86400000", "BIGINT"},
        {"STRINGTODATE('1970-01-02', 'yyyy-MM-dd')", "1", "INTEGER"},
        {"TIMESTAMPTOSTRING(0, 'yyyy')", "1970"},
        {"DATETOSTRING(0, 'yyyy')", "1970"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_arrays_and_maps(void **state)
{
    static const struct test_case cases[] = {
        {"ARRAY_CONCAT(A, ARRAY[9])", "[1, 2, null, 2, 9]"},
        {"ARRAY_CONCAT(NA, ARRAY[9])", "[9]"},
        {"ARRAY_CONTAINS(A, 2)", "true"},
        {"ARRAY_CONTAINS(NA, 2)", "false"},
        {"ARRAY_DISTINCT(A)", "[1, 2, null]"},
        {"ARRAY_EXCEPT(A, ARRAY[2])", "[1, null]"},
        {"ARRAY_INTERSECT(A, ARRAY[2, 5])", "[2]"},
        {"ARRAY_UNION(A, ARRAY[3, 1])", "[1, 2, null, 3]"},
        {"ARRAY_UNION(A, NA)", "null"},
        {"ARRAY_JOIN(A)", "1,2,null,2"},
        {"ARRAY_JOIN(A, '; ')", "1; 2; null; 2"},
        {"ARRAY_LENGTH(A)", "4"},
        {"ARRAY_MAX(A)", "2"},
        {"ARRAY_MIN(Z)", "a"},
        {"ARRAY_REMOVE(A, 2)", "[1, null]"},
        {"ARRAY_SORT(Z)", "[a, b, null]"},
        {"ARRAY_SORT(Z, 'desc')", "[b, a, null]"},
        {"ARRAY_SORT(Z, 'up')", "null"},
        {"SLICE(A, 2, 3)", "[2, null]"},
        {"SLICE(A, NULL, 1)", "[1]"},
        {"SLICE(A, 2, 9)", "null"},
        {"GENERATE_SERIES(4, 0)", "[4, 3, 2, 1, 0]", "ARRAY<INTEGER>"},
        {"GENERATE_SERIES(-2, 1, 2)", "[-2, 0]"},
        {"GENERATE_SERIES(0, 9, -1)", "FAILED"},
        {"GENERATE_SERIES(1, 9223372036854775807)", "FAILED"},
        {"AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2, 3])", "{a=1, b=2}", "MAP<STRING, INTEGER>"},
        {"MAP_KEYS(M)", "[x, y]"},
        {"MAP_VALUES(M)", "[1, 2]"},
        {"MAP_UNION(M, MAP('y' := 5))", "{x=1, y=5}"},
        {"ENTRIES(MAP('b' := 1, 'a' := 2), true)[1]->K", "a"},
        {"TRANSFORM(A, X => X + 1)", "FAILED"}, /* NULL + 1 */
        {"TRANSFORM(ARRAY[1, 2], X => X + I)", "[8, 9]", "ARRAY<INTEGER>"},
        {"TRANSFORM(ARRAY['a', NULL], X => UCASE(X))", "[A, null]"},
        {"TRANSFORM(M, (K, V) => UCASE(K), (K, V) => V * 2)", "{X=2, Y=4}"},
        {"TRANSFORM(M, (K, V) => 'same', (K, V) => V)", "FAILED"},
        {"FILTER(A, X => X > 1)", "[2, 2]"},
        {"FILTER(M, (K, V) => V = 2)", "{y=2}"},
        {"REDUCE(ARRAY[1, 2, 3], 10, (S, X) => S + X)", "16"},
        {"REDUCE(M, 0, (S, K, V) => S + V)", "3"},
        {"REDUCE(MAP('yes, thanks' := 1, 'nope' := 2, 'sure, yeah' := 3), 0, (S, K, V) => S * 10 + V)",
         "132"},
        {"REDUCE(NA, 5, (S, X) => S + X)", "5"},
        {"TRANSFORM(ARRAY[ARRAY[1, 2], ARRAY[3]], R1 => REDUCE(R1, I, (S, X) => S + X))", "[10, 10]"},
        {"TRANSFORM(ARRAY[1, 5], X => CASE WHEN X > 2 THEN 'big' ELSE 'small' END)", "[small, big]"},
        {"FILTER(A, X => X)",
         "error: Function 'filter' does not accept parameters (ARRAY<INTEGER>, LAMBDA)."},
        {"TRANSFORM(A, X => NOPE)", "error: column 'NOPE' cannot be resolved"},
        {"TRANSFORM(A, (X, Y) => X)", "error: Function 'transform' does not accept parameters"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_texts_of_formats(void **state)
{
    static const struct test_case cases[] = {
        {"EXTRACTJSONFIELD('{\"a\": {\"b\": [1, {\"c\": \"x\"}]}}', '$.a.b[1].c')", "x"},
        {"EXTRACTJSONFIELD('{\"array\": [1.23450]}', '$.array[0]')", "1.23450"},
        {"EXTRACTJSONFIELD('{\"array\": [1, 2]}', '$.array[-1]')", "null"},
        {"EXTRACTJSONFIELD('{\"@type\": \"V\"}}', '$.@type')", "V"},
        {"EXTRACTJSONFIELD('{\"a\": [1, 2]}', '$.a')", "[1,2]"},
        {"EXTRACTJSONFIELD('nope', '$.a')", "null"},
        {"EXTRACTJSONFIELD('{}', 'a')", "FAILED"},
        {"IS_JSON_STRING('[1, 2]')", "true"},
        {"IS_JSON_STRING('[1,')", "false"},
        {"IS_JSON_STRING(NS)", "false"},
        {"JSON_ARRAY_CONTAINS('[1, \"a\", true]', 'a')", "true"},
        {"JSON_ARRAY_CONTAINS('[1.0]', 1)", "false"},
        {"JSON_ARRAY_LENGTH('[1, 2]')", "2"},
        {"JSON_ARRAY_LENGTH('{}')", "null"},
        {"JSON_CONCAT('{\"a\": {\"5\": 6}}', '{\"a\": {\"3\": 4}}')", "{\"a\":{\"3\":4}}"},
        {"JSON_CONCAT('[1, 2]', '{\"a\": 1}')", "[1,2,{\"a\":1}]"},
        {"JSON_CONCAT('null', 'null')", "[null,null]"},
        {"JSON_CONCAT('1', '')", "null"},
        {"JSON_ITEMS('[{\"type\": \"A\"}, 1]')", "[{\"type\":\"A\"}, 1]"},
        {"JSON_KEYS('{\"Red\": 3, \"Green\": 5}')", "[Red, Green]"},
        {"JSON_RECORDS('{\"White\": \"Seven\", \"n\": 3}')", "{White=Seven, n=3}"},
        {"TO_JSON_STRING(A)", "[1,2,null,2]"},
        {"TO_JSON_STRING(R)", "{\"F\":\"f\",\"G\":9}"},
        {"TO_JSON_STRING(M)", "{\"x\":1,\"y\":2}"},
        {"TO_JSON_STRING(DT)", "\"2020-02-29\""},
        {"TO_JSON_STRING(E)", "10.10"},
        {"TO_JSON_STRING(Y)", "\"aGk=\""},
        {"TO_JSON_STRING(NI)", "null"},
        {"REGEXP_EXTRACT('test.', 'some_test_string')", "test_"},
        {"REGEXP_EXTRACT('(.*) (.*)', 'steven zhang', 2)", "zhang"},
        {"REGEXP_EXTRACT('x', 'abc')", "null"},
        {"REGEXP_EXTRACT('(', S)", "FAILED"},
        {"REGEXP_EXTRACT_ALL('(\\w+) (\\w*)', 'apurva mehta agavra ', 2)", "[mehta, ]"},
        {"REGEXP_REPLACE('baababaa', '(ab)+', 'cat')", "bacataa"},
        {"REGEXP_REPLACE('a1b2', '([a-z])(\\d)', '$2$1')", "1a2b"},
        {"REGEXP_SPLIT_TO_ARRAY('aabcda', '(ab|cd)')", "[a, , a]"},
        {"URL_ENCODE_PARAM('?foo $bar')", "%3Ffoo+%24bar"},
        {"URL_DECODE_PARAM('%3Ffoo+%24bar')", "?foo $bar"},
        {"URL_DECODE_PARAM('%zz')", "FAILED"},
        {"URL_EXTRACT_FRAGMENT('http://www.test.com/?query#fragment')", "fragment"},
        {"URL_EXTRACT_HOST('http://test@confluent.io:8080')", "confluent.io"},
        {"URL_EXTRACT_PARAMETER('http://www.test.com/?one=a&two=b%20c&three', 'two')", "b c"},
        {"URL_EXTRACT_PATH('http://www.test.com?query#fragment')", ""},
        {"URL_EXTRACT_PATH('http://test@confluent.io:8080/nested/path?query&jobs')", "/nested/path"},
        {"URL_EXTRACT_PORT('http://test@confluent.io')", "null"},
        {"URL_EXTRACT_PORT('http://test@confluent.io:8080/x')", "8080", "INTEGER"},
        {"URL_EXTRACT_PROTOCOL('www.confluent.io')", "null"},
        {"URL_EXTRACT_QUERY('http://www.test.com/path?q1&q2')", "q1&q2"},
    };
    run_cases(cases, COUNT_OF(cases));
}

static void test_hidden_functions(void **state)
{
    static const struct test_case cases[] = {
        {"CASE WHEN WHENCONDITION(true, true) THEN WHENRESULT(100, true) WHEN WHENCONDITION(true, false) "
         "THEN "
         "WHENRESULT(200, false) ELSE WHENRESULT(300, false) END",
         "100"},
        {"TEST_UDF(L, NULL)", "doStuffLongString"},
        {"TEST_UDF(L, L, NULL)", "doStuffLongLongString"},
        {"TEST_UDF(L, L, L, L, L)", "doStuffLongVarargs"},
        {"TEST_UDF(TOSTRUCT('q'))", "q"},
        {"BAD_UDF(1)", "FAILED"},
        {"COALESCE(BAD_UDF(true), 3)", "3"},
    };
    assert_null(func_find(STR("TEST_UDF")));
    func_enable_test_functions();
    run_cases(cases, COUNT_OF(cases));
}

/* Variadic parts and literals in every place, as the peer's test aggregates have them. */
static void test_variadic_aggregates(void **state)
{
    static const struct {
        const char *text, *error;
        uint32_t constants;
    } calls[] = {
        {"MID_VAR_ARG(L, S, T, S, 7, 3)", NULL, 2},
        {"MID_VAR_ARG(L, 7, 3)", NULL, 2},
        {"MID_VAR_ARG(L, S, S, 3)",
         "Function 'MID_VAR_ARG' does not accept parameters (BIGINT, STRING, STRING, INTEGER).", 0},
        {"MULTI_ARG(L, S, 5, '10', '20', '3')", NULL, 4},
        {"MULTI_ARG(L, S, 5)", NULL, 1},
        {"MULTI_ARG(L, 5, '10', '20', '3')",
         "Function 'MULTI_ARG' does not accept parameters (BIGINT, INTEGER, STRING, STRING, STRING).", 0},
        {"VAR_ARG(S, S)", "Function 'VAR_ARG' does not accept parameters (STRING, STRING).", 0},
        {"GENERIC_VAR_ARG(E, I, D, 'hello', D)",
         "Function 'GENERIC_VAR_ARG' does not accept parameters (DECIMAL(4, 2), INTEGER, DOUBLE, STRING, "
         "DOUBLE).",
         0},
        {"OBJ_COL_ARG(I, L, B, E, A)", NULL, 0},
        {"TOPK(I, S, 3)", NULL, 1},
        {"TOPK(I, 3)", NULL, 1},
    };
    struct bench bench;
    func_enable_test_functions();
    bench_init(&bench);
    bench.aggregates_allowed = true;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct err err = {0};
        const struct expr *expr = bench_check(&bench, true, calls[i].text, &err);
        if (calls[i].error != NULL) {
            assert_null(expr);
            assert_int_equal(strncmp(err.text, calls[i].error, strlen(calls[i].error)), 0);
        } else {
            assert_non_null(expr);
            assert_int_equal(expr->call->constant_args, calls[i].constants);
        }
    }
    bench_fini(&bench);
}

/* Patterns that would take seconds to years: exponential in one place, quadratic over all places of the text or in a single one.
 * Each fails its row within the limits (150 ms and some); patterns that look alike and are not bad are not hindered. */
static void test_bad_patterns_are_stopped(void **state)
{
    static const struct test_case bad[] = {
        {"REGEXP_EXTRACT('(a+)+$', CONCAT(RPAD('a', 100, 'a'), '!'))", "FAILED"},
        {"REGEXP_EXTRACT('\\s+$', CONCAT(RPAD(' ', 100000, ' '), '!'))", "FAILED"},
        {"REGEXP_REPLACE(CONCAT(RPAD(' ', 100000, ' '), '!'), '\\s+$', '')", "FAILED"},
        {"REGEXP_SPLIT_TO_ARRAY(CONCAT(RPAD(' ', 100000, ' '), '!'), '\\s+$')", "FAILED"},
        {"REGEXP_EXTRACT('^(a|aa)+$', CONCAT(RPAD('a', 100, 'a'), '!'))", "FAILED"},
        {"REGEXP_EXTRACT('^.*?[a-z]*+#', RPAD('a', 1000000, 'a'))", "FAILED"},
        {"REGEXP_EXTRACT('(?=(.*?[a-z]*+#))', RPAD('a', 100000, 'a'))", "FAILED"},
    };
    static const struct test_case good[] = {
        {"REGEXP_EXTRACT('\\d+$', CONCAT(RPAD('a', 1000000, 'a'), '42'))", "42"},
        {"LEN(REGEXP_REPLACE(RPAD('ab', 1000000, 'ab'), 'a', ''))", "500000"},
        {"LEN(REGEXP_EXTRACT('^.*b', RPAD('ab', 1000000, 'ab')))", "1000000"},
        {"REGEXP_EXTRACT('x\\d', 'abx1')", "x1"},
    };
    clock_t before = clock();
    run_cases(bad, COUNT_OF(bad));
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    /* Slow machines and sanitizers are met; without limits one pattern alone takes longer. */
    if (seconds > 3.0 * COUNT_OF(bad))
        fail_msg("bad patterns took %.1f s of processor time", seconds);
    run_cases(good, COUNT_OF(good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_patterns_are_stopped),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_arrays_and_maps),
        cmocka_unit_test(test_texts_of_formats),
        cmocka_unit_test(test_hidden_functions),
        cmocka_unit_test(test_variadic_aggregates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
