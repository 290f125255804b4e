/* test_decimal.c - decimals against values worked out with Python's decimal and integers, and
 * java.math.BigDecimal's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "type/decimal.h"

static struct arena arena;

static int release(void **state)
{
    arena_fini(&arena);
    return 0;
}

static const struct decimal *dec(const char *text)
{
    const struct decimal *out = decimal_parse(str_from(text), &arena);
    if (out == NULL)
        print_error("not a decimal: %s\n", text);
    assert_non_null(out);
    return out;
}

static void assert_dec(const struct decimal *got, const char *text)
{
    struct buf out = {0};
    assert_non_null(got);
    decimal_print(got, &out);
    assert_string_equal(out.ptr, text);
    buf_fini(&out);
}

static void test_parse_print(void **state)
{
    static const char *const pairs[][2] = {
        {"0", "0"},
        {"-0.00", "0.00"},
        {"1.50", "1.50"},
        {".5", "0.5"},
        {"5.", "5"},
        {"+7", "7"},
        {"-0.05", "-0.05"},
        {"12E3", "12000"},
        {"1.5e-3", "0.0015"},
        {"10.1234512345123451234", "10.1234512345123451234"},
        {"99999999999999999999999999999999999999", "99999999999999999999999999999999999999"},
        {"-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728"}, /* -2^127 */
        {"123456789012345678901234567890123456789012345678901234567890.12",
         "123456789012345678901234567890123456789012345678901234567890.12"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_dec(dec(pairs[i][0]), pairs[i][1]);
    static const char *const bad[] = {"", "-", ".", "1e", "1.2.3", "x", "1 ", "1e99999", "0x1", "NaN"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_null(decimal_parse(str_from(bad[i]), &arena));
}

static void test_rounding(void **state)
{
    static const struct {
        enum decimal_round round;
        const char *results[6]; /* of 2.5 1.1 -1.1 -2.5 1.6 -1.6, to scale 0 */
    } rows[] = {
        /* java.math.RoundingMode's own table */
        {DECIMAL_UP, {"3", "2", "-2", "-3", "2", "-2"}},
        {DECIMAL_DOWN, {"2", "1", "-1", "-2", "1", "-1"}},
        {DECIMAL_CEILING, {"3", "2", "-1", "-2", "2", "-1"}},
        {DECIMAL_FLOOR, {"2", "1", "-2", "-3", "1", "-2"}},
        {DECIMAL_HALF_UP, {"3", "1", "-1", "-3", "2", "-2"}},
        {DECIMAL_HALF_DOWN, {"2", "1", "-1", "-2", "2", "-2"}},
        {DECIMAL_HALF_EVEN, {"2", "1", "-1", "-2", "2", "-2"}},
        {DECIMAL_HALF_CEILING, {"3", "1", "-1", "-2", "2", "-2"}},
    };
    static const char *const inputs[] = {"2.5", "1.1", "-1.1", "-2.5", "1.6", "-1.6"};
    for (size_t r = 0; r < COUNT_OF(rows); r++)
        for (size_t i = 0; i < COUNT_OF(inputs); i++) {
            assert_dec(decimal_rescale(dec(inputs[i]), 0, rows[r].round, &arena), rows[r].results[i]);
            /* The same through GMP: 45 more digits. */
            struct str wide =
                str_printf(&arena, "%s000000000000000000000000000000000000000000000", inputs[i]);
            assert_dec(decimal_rescale(dec(wide.ptr), 0, rows[r].round, &arena), rows[r].results[i]);
        }
    assert_null(decimal_rescale(dec("1.25"), 1, DECIMAL_EXACT, &arena));
    assert_dec(decimal_rescale(dec("1.50"), 1, DECIMAL_EXACT, &arena), "1.5");
    assert_dec(decimal_rescale(dec("0.00000000000000000000000000000000000000000000001"), 2, DECIMAL_HALF_UP,
                               &arena),
               "0.00");
    assert_dec(decimal_rescale(dec("7"), 40, DECIMAL_HALF_UP, &arena),
               "7.0000000000000000000000000000000000000000");
}

static void test_arithmetic(void **state)
{
    assert_dec(decimal_add(dec("10.01"), dec("5"), 2, &arena), "15.01");
    assert_dec(decimal_sub(dec("0.1"), dec("0.25"), 2, &arena), "-0.15");
    assert_dec(decimal_mul(dec("10.01"), dec("-5.10"), 4, &arena), "-51.0510");
    assert_dec(decimal_div(dec("10.10"), dec("2.00"), 7, &arena), "5.0500000");
    assert_dec(decimal_div(dec("10.10"), dec("-2.00"), 7, &arena), "-5.0500000");
    assert_dec(decimal_div(dec("2"), dec("3"), 7, &arena), "0.6666667");
    assert_dec(decimal_div(dec("1.00001"), dec("3"), 0, &arena), "0");
    assert_null(decimal_div(dec("1"), dec("0.00"), 2, &arena));
    assert_dec(decimal_mod(dec("10.10"), dec("3"), 2, &arena), "1.10");
    assert_dec(decimal_mod(dec("-10.10"), dec("3"), 2, &arena), "-1.10");
    assert_null(decimal_mod(dec("1"), dec("0"), 2, &arena));
    /* Over the edge of 127 bits and back. */
    const struct decimal *most = dec("170141183460469231731687303715884105727");
    assert_dec(decimal_add(most, dec("1"), 0, &arena), "170141183460469231731687303715884105728");
    assert_dec(decimal_sub(decimal_add(most, dec("1"), 0, &arena), dec("1"), 0, &arena),
               "170141183460469231731687303715884105727");
    assert_dec(decimal_sub(decimal_neg(most, &arena), dec("1"), 0, &arena),
               "-170141183460469231731687303715884105728");
    assert_dec(decimal_neg(dec("-170141183460469231731687303715884105728"), &arena),
               "170141183460469231731687303715884105728");
    assert_dec(decimal_mul(most, most, 0, &arena),
               "28948022309329048855892746252171976962977213799489202546401021394546514198529");
    assert_dec(decimal_div(decimal_mul(most, most, 0, &arena), most, 1, &arena),
               "170141183460469231731687303715884105727.0");
    assert_dec(decimal_abs(dec("-1.5"), &arena), "1.5");
}

static void test_order(void **state)
{
    assert_int_equal(decimal_cmp(dec("1.0"), dec("1.00")), 0);
    assert_int_equal(decimal_cmp(dec("10.01"), dec("10.012")), -1);
    assert_int_equal(decimal_cmp(dec("-1"), dec("-2")), 1);
    assert_int_equal(decimal_cmp(dec("1"), dec("100000000000000000000000000000000000000000000")), -1);
    assert_true(decimal_hash(dec("1.0")) == decimal_hash(dec("1.00")));
    assert_true(decimal_hash(dec("1")) == decimal_hash(dec("1.000000000000000000000000000000000000000000")));
    assert_true(decimal_hash(dec("1")) != decimal_hash(dec("10")));
    assert_int_equal(decimal_precision(dec("0.00")), 1);
    assert_int_equal(decimal_precision(dec("99.99")), 4);
    assert_int_equal(decimal_precision(dec("100000000000000000000000000000000000000000000")), 45);
}

static void test_conversions(void **state)
{
    assert_int_equal(decimal_to_i64(dec("-10.99")), -10);
    assert_int_equal(decimal_to_i64(dec("18446744073709551617")), 1); /* the low 64 bits */
    assert_int_equal(decimal_to_i64(dec("-680564733841876926926749214863536422913")), -1); /* -(2^129 + 1) */
    assert_true(decimal_to_double(dec("0.1")) == 0.1);
    assert_true(decimal_to_double(dec("123456789012345678901234567890.5")) ==
                123456789012345678901234567890.5);
    assert_dec(decimal_of_double(0.1, &arena), "0.1");
    assert_dec(decimal_of_double(1e10, &arena), "10000000000");
    assert_null(decimal_of_double(1.0 / 0.0, &arena));
    struct err err;
    assert_dec(decimal_cast(dec("0.99"), 2, 1, &arena, &err), "1.0");
    assert_null(decimal_cast(dec("9.99"), 2, 1, &arena, &err));
    assert_string_equal(err.text, "Numeric field overflow: A field with precision 2 and scale 1 must round "
                                  "to an absolute value less than "
                                  "10^1. Got 9.99");
    assert_true(decimal_fits(dec("0.00001"), 3, 3));
    assert_false(decimal_fits(dec("1"), 3, 3));
}

static void test_bytes(void **state)
{
    /* Avro's decimal: big-endian two's complement, shortest. */
    static const struct {
        const char *text;
        struct str bytes;
    } rows[] = {
        {"0", STR_INIT("\0")},
        {"127", STR_INIT("\x7f")},
        {"128", STR_INIT("\0\x80")},
        {"-128", STR_INIT("\x80")},
        {"-129", STR_INIT("\xff\x7f")},
        {"-1", STR_INIT("\xff")},
        {"256", STR_INIT("\x01\0")},
        {"170141183460469231731687303715884105728", STR_INIT("\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = {0};
        decimal_print_bytes(dec(rows[i].text), &out);
        assert_int_equal(out.len, rows[i].bytes.len);
        assert_memory_equal(out.ptr, rows[i].bytes.ptr, out.len);
        assert_dec(decimal_of_bytes(buf_str(&out), 0, &arena), rows[i].text);
        buf_fini(&out);
    }
    assert_null(decimal_of_bytes(STR(""), 0, &arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_parse_print, release),
        cmocka_unit_test_teardown(test_rounding, release),
        cmocka_unit_test_teardown(test_arithmetic, release),
        cmocka_unit_test_teardown(test_order, release),
        cmocka_unit_test_teardown(test_conversions, release),
        cmocka_unit_test_teardown(test_bytes, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
