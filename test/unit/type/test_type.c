/* test_type.c - types, values, casts and coercion against the SQL reference (1.2, 2.6) and ksqlDB's cases
 * (cast, decimal). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "type/decimal.h"
#include "type/time_format.h"
#include "type/type.h"

static struct arena arena;
static struct err err;

static int release(void **state)
{
    arena_fini(&arena);
    return 0;
}

static struct value text(const char *s)
{
    return value_str(str_from(s));
}

static struct value number(const char *s)
{
    return value_decimal(decimal_parse(str_from(s), &arena));
}

static void assert_type(const struct sql_type *type, const char *expect)
{
    struct buf out = {0};
    type_print(type, &out);
    assert_string_equal(out.ptr, expect);
    buf_fini(&out);
}

static void assert_value(struct value v, const struct sql_type *type, const char *expect)
{
    struct buf out = {0};
    value_print(v, type, &out);
    assert_string_equal(buf_str(&out).ptr, expect);
    buf_fini(&out);
}

static void test_print(void **state)
{
    const struct sql_field fields[] = {{STR_INIT("F0"), &type_string}, {STR_INIT("F1"), &type_integer}};
    const struct sql_type *row = type_struct(fields, 2, &arena);
    assert_type(type_map(&type_string, type_array(type_decimal(4, 2, &arena), &arena), &arena),
                "MAP<STRING, ARRAY<DECIMAL(4, 2)>>");
    assert_type(row, "STRUCT<`F0` STRING, `F1` INTEGER>");
    assert_type(type_struct(NULL, 0, &arena), "STRUCT< >");
    assert_true(type_eq(row, type_dup(row, &arena)));
    assert_false(type_eq(type_decimal(4, 2, &arena), type_decimal(4, 1, &arena)));
    const struct column columns[] = {
        {.name = STR("K"), .type = &type_string, .role = COLUMN_KEY},
        {.name = STR("V"), .type = &type_integer, .role = COLUMN_VALUE},
        {.name = STR("H"), .type = &type_bytes, .role = COLUMN_HEADERS, .header_key = STR("k")}};
    struct schema schema = {columns, 3, 1};
    struct buf out = {0};
    schema_print(schema_dup(&schema, &arena), &out);
    assert_string_equal(out.ptr, "`K` STRING KEY, `V` INTEGER, `H` BYTES HEADER('k')");
    buf_fini(&out);
    assert_int_equal(schema_find(&schema, STR("V")), 1);
    assert_int_equal(schema_find(&schema, STR("v")), -1);
    const struct value parts[] = {VALUE_NULL, value_int(3)};
    assert_value(value_nested(SQL_STRUCT, parts, 2), row, "Struct{F1=3}");
    assert_value(value_nested(SQL_ARRAY, parts, 2), type_array(&type_integer, &arena), "[null, 3]");
}

static void test_order(void **state)
{
    assert_true(value_cmp(text("a"), text("b")) < 0 && value_cmp(text("ab"), text("a")) > 0);
    /* U+1F600 is D83D DE00 in UTF-16, so it comes before U+FF5E, though its bytes are larger. */
    assert_true(value_cmp(text("\xf0\x9f\x98\x80"), text("\xef\xbd\x9e")) < 0);
    assert_true(value_cmp(text("\xf0\x9f\x98\x80"), text("\xed\x9f\xbf")) > 0);
    assert_true(value_cmp(value_double(-0.0), value_double(0.0)) < 0 &&
                value_eq(value_double(-0.0), value_double(0.0)));
    assert_true(value_cmp(value_double(NAN), value_double(INFINITY)) > 0);
    assert_true(value_cmp(value_bytes(STR("\xff")), value_bytes(STR("\x01"))) > 0);
    assert_true(value_eq(number("1.0"), number("1.00")));
    assert_true(value_hash(number("1.0")) == value_hash(number("1.00")));
    const struct value ab[] = {text("a"), value_int(1), text("b"), value_int(2)},
                       ba[] = {text("b"), value_int(2), text("a"), value_int(1)};
    struct value x = value_nested(SQL_MAP, ab, 2), y = value_nested(SQL_MAP, ba, 2);
    assert_true(value_eq(x, y) && value_hash(x) == value_hash(y));
    assert_false(value_eq(x, value_nested(SQL_MAP, ab, 1)));
    assert_true(value_eq(VALUE_NULL, VALUE_NULL) && !value_eq(VALUE_NULL, value_int(0)));
}

static void test_codec(void **state)
{
    const struct sql_field fields[] = {{STR_INIT("B"), &type_boolean},
                                       {STR_INIT("L"), &type_bigint},
                                       {STR_INIT("D"), &type_double},
                                       {STR_INIT("N"), type_decimal(60, 2, &arena)},
                                       {STR_INIT("S"), &type_string},
                                       {STR_INIT("Y"), &type_bytes},
                                       {STR_INIT("T"), &type_timestamp},
                                       {STR_INIT("A"), type_array(&type_integer, &arena)},
                                       {STR_INIT("M"), type_map(&type_string, &type_date, &arena)},
                                       {STR_INIT("Z"), &type_string}};
    const struct sql_type *type = type_struct(fields, 10, &arena);
    const struct value elems[] = {value_int(INT32_MIN), VALUE_NULL},
                       entry[] = {text("k"), value_temporal(SQL_DATE, -1)};
    const struct value parts[] = {value_bool(true),
                                  value_bigint(INT64_MIN),
                                  value_double(-1.5),
                                  number("-123456789012345678901234567890123456789012345678.90"),
                                  text("x\0y"),
                                  value_bytes(STR("\0\xff")),
                                  value_temporal(SQL_TIMESTAMP, -5),
                                  value_nested(SQL_ARRAY, elems, 2),
                                  value_nested(SQL_MAP, entry, 1),
                                  VALUE_NULL};
    struct value v = value_nested(SQL_STRUCT, parts, 10), back;
    struct buf out = {0};
    value_encode(v, type, &out);
    struct str in = buf_str(&out);
    assert_true(value_decode(&in, type, &back, &arena) && in.len == 0);
    assert_true(value_eq(v, back));
    assert_int_equal(back.elems[6].kind, SQL_TIMESTAMP);
    for (size_t cut = 0; cut < out.len; cut++) { /* bytes that end early are refused, not read beyond */
        struct str part = str_dup(str_of(out.ptr, cut), &arena);
        assert_false(value_decode(&part, type, &back, &arena));
    }
    struct str huge = STR("\x01\xff\xff\xff\xff\x0f");
    assert_false(value_decode(&huge, type_array(&type_integer, &arena), &back, &arena));
    assert_true(value_eq(value_dup(v, &arena), v));
    buf_fini(&out);
}

/* Casts and compares as text; expect NULL: must fail with `message` in the error. */
static void assert_cast(struct value v, const struct sql_type *from, const struct sql_type *to,
                        const char *expect)
{
    struct value out;
    assert_true(type_can_cast(from, to));
    if (!value_cast(v, from, to, &out, &arena, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    assert_true(out.kind == to->kind || value_is_null(out));
    assert_value(out, to, expect);
}

static void assert_cast_fails(struct value v, const struct sql_type *from, const struct sql_type *to,
                              const char *message)
{
    struct value out;
    assert_false(value_cast(v, from, to, &out, &arena, &err));
    if (strstr(err.text, message) == NULL)
        print_error("got: %s\n", err.text);
    assert_non_null(strstr(err.text, message));
}

static void test_casts(void **state)
{
    const struct sql_type *d21 = type_decimal(2, 1, &arena), *d42 = type_decimal(4, 2, &arena),
                          *d53 = type_decimal(5, 3, &arena);
    assert_cast(value_bigint(2147483648), &type_bigint, &type_integer, "-2147483648");
    assert_cast(value_double(1.99), &type_double, &type_integer, "1");
    assert_cast(value_double(1e20), &type_double, &type_bigint, "9223372036854775807");
    assert_cast(value_double(NAN), &type_double, &type_integer, "0");
    assert_cast(number("10.12"), d42, d53, "10.120");
    assert_cast(number("-10.99"), d42, &type_integer, "-10");
    assert_cast(number("10.01"), d42, &type_string, "10.01");
    assert_cast(value_double(0.99), &type_double, d21, "1.0");
    assert_cast(value_double(0.01), &type_double, d21, "0.0");
    assert_cast_fails(value_int(100), &type_integer, d21, "Numeric field overflow");
    assert_cast(text(" 0.10 "), &type_string, d21, "0.1");
    assert_cast(text(" 12 "), &type_string, &type_integer, "12");
    assert_cast_fails(text("2147483648"), &type_string, &type_integer, "For input string: \"2147483648\"");
    assert_cast_fails(text("1.5"), &type_string, &type_bigint, "For input string: \"1.5\"");
    assert_cast(text("1.5e3"), &type_string, &type_double, "1500.0");
    assert_cast(text("-Infinity"), &type_string, &type_double, "-Infinity");
    static const char *const trues[] = {"true", "T", "Yes", "y", " tRu "}, *const falses[] = {"false", "",
                                                                                              "truex", "no",
                                                                                              "1"};
    for (size_t i = 0; i < COUNT_OF(trues); i++)
        assert_cast(text(trues[i]), &type_string, &type_boolean, "true");
    for (size_t i = 0; i < COUNT_OF(falses); i++)
        assert_cast(text(falses[i]), &type_string, &type_boolean, "false");
    assert_cast(text("AQI="), &type_string, &type_bytes, "AQI=");
    assert_cast(value_double(1e10), &type_double, &type_string, "1.0E10");
    assert_cast(VALUE_NULL, &type_double, &type_double, "null");
    assert_false(type_can_cast(&type_boolean, &type_integer));
    assert_false(type_can_cast(&type_string, type_map(&type_string, &type_integer, &arena)));
    assert_cast_fails(value_bool(true), &type_boolean, &type_date,
                      "Cast of BOOLEAN to DATE is not supported");
}

static void test_temporal_casts(void **state)
{
    assert_cast(text("2022-04-28T21:44:47.943"), &type_string, &type_timestamp, "2022-04-28T21:44:47.943");
    assert_cast(text("2022-04-28T21:44:47.943Z"), &type_string, &type_timestamp, "2022-04-28T21:44:47.943");
    assert_cast(text("2019"), &type_string, &type_timestamp, "2019-01-01T00:00:00.000");
    assert_cast(text("2019-07-30T11:00"), &type_string, &type_timestamp, "2019-07-30T11:00:00.000");
    assert_cast(text("2019-07-30T11:00:00+0130"), &type_string, &type_timestamp, "2019-07-30T09:30:00.000");
    assert_cast(text("2019-07-30T11:00:00.5-03:30"), &type_string, &type_timestamp,
                "2019-07-30T14:30:00.500");
    assert_cast_fails(text("2019-02-29"), &type_string, &type_timestamp,
                      "Failed to parse timestamp '2019-02-29'");
    assert_cast(text("2020-02"), &type_string, &type_date, "2020-02-01");
    assert_cast(text("23:59"), &type_string, &type_time, "23:59");
    assert_cast(text("01:02:03.5"), &type_string, &type_time, "01:02:03");
    assert_cast_fails(text("24:00"), &type_string, &type_time, "Failed to parse time '24:00'");
    assert_cast(value_temporal(SQL_TIMESTAMP, -1), &type_timestamp, &type_date, "1969-12-31");
    assert_cast(value_temporal(SQL_TIMESTAMP, -1000), &type_timestamp, &type_time, "23:59:59");
    assert_cast(value_temporal(SQL_DATE, -1), &type_date, &type_timestamp, "1969-12-31T00:00:00.000");
}

static void test_nested_casts(void **state)
{
    const struct sql_type *longs = type_array(&type_bigint, &arena);
    const struct value elems[] = {value_bigint(1), VALUE_NULL, value_bigint(2147483648)};
    struct value v = value_nested(SQL_ARRAY, elems, 3);
    assert_cast(v, longs, type_array(&type_integer, &arena), "[1, null, -2147483648]");
    assert_cast(v, longs, &type_string, "[1, null, 2147483648]");
    const struct value entry[] = {text("k1"), text("10")};
    assert_cast(value_nested(SQL_MAP, entry, 1), type_map(&type_string, &type_string, &arena),
                type_map(&type_string, &type_integer, &arena), "{k1=10}");
    const struct sql_field from[] = {{STR_INIT("A"), &type_integer}, {STR_INIT("B"), &type_integer}};
    const struct sql_field to[] = {{STR_INIT("C"), &type_string}, {STR_INIT("B"), &type_string}};
    const struct value parts[] = {value_int(1), value_int(2)};
    assert_cast(value_nested(SQL_STRUCT, parts, 2), type_struct(from, 2, &arena), type_struct(to, 2, &arena),
                "Struct{B=2}");
}

static void test_coercion(void **state)
{
    const struct sql_type *d42 = type_decimal(4, 2, &arena), *d100 = type_decimal(10, 0, &arena);
    assert_true(type_can_coerce(&type_integer, &type_bigint) &&
                !type_can_coerce(&type_bigint, &type_integer));
    assert_true(type_can_coerce(&type_integer, d100) && !type_can_coerce(&type_bigint, d100) &&
                !type_can_coerce(&type_integer, d42));
    assert_true(type_can_coerce(d42, type_decimal(5, 2, &arena)) &&
                !type_can_coerce(d42, type_decimal(4, 3, &arena)));
    assert_true(type_can_coerce(d42, &type_double) && !type_can_coerce(&type_double, d42));
    assert_true(type_can_coerce(&type_null, d42) && !type_can_coerce(&type_string, &type_integer));
    assert_true(type_can_coerce(type_array(&type_integer, &arena), type_array(&type_double, &arena)));
    assert_type(type_common_number(&type_integer, &type_bigint, &arena), "BIGINT");
    assert_type(type_common_number(&type_integer, d42, &arena), "DECIMAL(12, 2)");
    assert_type(type_common_number(d42, &type_double, &arena), "DOUBLE");
    assert_null(type_common_number(&type_string, &type_integer, &arena));
    /* The table of reference 2.6 by hand for DECIMAL(4, 2) and DECIMAL(5, 3). */
    const struct sql_type *d53 = type_decimal(5, 3, &arena);
    assert_type(type_of_arithmetic('+', d42, d53, &arena), "DECIMAL(6, 3)");
    assert_type(type_of_arithmetic('*', d42, d53, &arena), "DECIMAL(10, 5)");
    assert_type(type_of_arithmetic('/', d42, d53, &arena), "DECIMAL(13, 8)");
    assert_type(type_of_arithmetic('/', d42, d42, &arena), "DECIMAL(11, 7)");
    assert_type(type_of_arithmetic('%', d42, d53, &arena), "DECIMAL(5, 3)");
    assert_type(type_of_arithmetic('+', d42, &type_integer, &arena), "DECIMAL(13, 2)");
    assert_type(type_of_arithmetic('/', &type_integer, &type_integer, &arena), "INTEGER");
}

static void test_calendar(void **state)
{
    /* Day numbers from the definition of 1970-01-01 and the 400-year cycle of 146097 days. */
    assert_int_equal(time_days_of(1970, 1, 1), 0);
    assert_int_equal(time_days_of(2000, 3, 1), 11017);
    assert_int_equal(time_days_of(1570, 1, 1), -146097);
    assert_int_equal(time_days_of(-1, 12, 31), -719529);
    for (int64_t days = -800000; days < 800000; days += 17) {
        struct time_civil civil = time_civil_of(days);
        assert_true(civil.month >= 1 && civil.month <= 12 && civil.day >= 1 &&
                    civil.day <= time_month_days(civil.year, civil.month));
        assert_int_equal(time_days_of(civil.year, civil.month, civil.day), days);
    }
    assert_int_equal(time_month_days(1900, 2), 28);
    assert_int_equal(time_month_days(2000, 2), 29);
    assert_int_equal(time_floor_div(-1, 1000), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_print, release),
        cmocka_unit_test_teardown(test_order, release),
        cmocka_unit_test_teardown(test_codec, release),
        cmocka_unit_test_teardown(test_casts, release),
        cmocka_unit_test_teardown(test_temporal_casts, release),
        cmocka_unit_test_teardown(test_nested_casts, release),
        cmocka_unit_test_teardown(test_coercion, release),
        cmocka_unit_test_teardown(test_calendar, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
