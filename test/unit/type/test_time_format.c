/* test_time_format.c - patterns and zones against the documentation of java.time.format.DateTimeFormatter,
 * the examples in ksqlDB's cases, and POSIX day rules worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "type/time_format.h"

static struct time_formats *formats;
static struct err err;

static int setup(void **state)
{
    formats = time_formats_new();
    return 0;
}

static int release(void **state)
{
    time_formats_free(formats);
    return 0;
}

static const struct time_format *pattern(const char *text)
{
    const struct time_format *format = time_format_get(formats, str_from(text), &err);
    if (format == NULL)
        print_error("%s: %s\n", text, err.text);
    assert_non_null(format);
    assert_ptr_equal(format, time_format_get(formats, str_from(text), &err));
    return format;
}

static const struct time_zone *zone(const char *id)
{
    const struct time_zone *out = time_zone_get(formats, str_from(id), &err);
    if (out == NULL)
        print_error("%s\n", err.text);
    assert_non_null(out);
    return out;
}

static void assert_format(int64_t ms, const char *id, const char *text, const char *expect)
{
    struct buf out = {0};
    bool ok = time_format_timestamp(pattern(text), ms, zone(id), &out, &err);
    if (!ok)
        print_error("%s: %s\n", text, err.text);
    assert_true(ok);
    assert_string_equal(out.ptr, expect);
    buf_fini(&out);
}

static void assert_parse(const char *text, const char *format, const char *id, int64_t expect)
{
    int64_t ms = 0;
    bool ok = time_format_parse_timestamp(pattern(format), str_from(text), zone(id), &ms, &err);
    if (!ok)
        print_error("%s: %s\n", text, err.text);
    assert_true(ok);
    if (ms != expect)
        print_error("%s with %s\n", text, format);
    assert_int_equal(ms, expect);
}

static void assert_parse_fails(const char *text, const char *format, const char *message)
{
    int64_t ms;
    assert_false(time_format_parse_timestamp(pattern(format), str_from(text), time_zone_utc(), &ms, &err));
    assert_string_equal(err.text, message);
}

enum { TS = 1590537598 }; /* Tuesday 2020-05-26 23:59:58 UTC */

static void test_letters(void **state)
{
    const int64_t ms = TS * INT64_C(1000) + 123;
    assert_format(ms, "UTC", "yyyy-MM-dd'T'HH:mm:ss.SSS", "2020-05-26T23:59:58.123");
    assert_format(ms, "UTC", "u yy y yyyyyy G GGGG", "2020 20 2020 002020 AD Anno Domini");
    assert_format(ms, "UTC", "M MM MMM MMMM MMMMM L", "5 05 May May M 5");
    assert_format(ms, "UTC", "d dd D DDD E EEEE EEEEE e", "26 26 147 147 Tue Tuesday T 3");
    assert_format(ms, "UTC", "Q QQ QQQ QQQQ w W F", "2 02 Q2 2nd quarter 22 5 4");
    assert_format(ms, "UTC", "h hh K KK k kk H a", "11 11 11 11 23 23 23 PM");
    assert_format(ms, "UTC", "S SS SSS SSSSSS SSSSSSSSS n A", "1 12 123 123000 123000000 123000000 86398123");
    assert_format(ms, "UTC", "'o''clock' '' pppd pppd'.'", "o'clock '  26  26.");
    assert_format(0, "UTC", "k h K H ppM", "24 12 0 0  1");
    assert_format(-1, "UTC", "yyyy-MM-dd HH:mm:ss.SSS", "1969-12-31 23:59:59.999");
    assert_format(INT64_C(253402300800000), "UTC", "yyyy-MM-dd", "+10000-01-01");
}

static void test_zones_printed(void **state)
{
    const int64_t ms = TS * INT64_C(1000);
    assert_format(ms, "America/Los_Angeles", "yyyy-MM-dd HH:mm:ss zzz", "2020-05-26 16:59:58 PDT");
    assert_format(1579000000000, "America/Los_Angeles", "zzzz VV",
                  "Pacific Standard Time America/Los_Angeles");
    assert_format(ms, "Asia/Kolkata", "X XX XXX x xx xxx Z ZZZZZ O OOOO",
                  "+0530 +0530 +05:30 +0530 +0530 +05:30 +0530 +05:30 GMT+5:30 GMT+05:30");
    assert_format(ms, "UTC", "X XX XXX x xx xxx Z ZZZZZ O ZZZZ VV z",
                  "Z Z Z +00 +0000 +00:00 +0000 Z GMT GMT UTC UTC");
    assert_format(ms, "-03:30", "X x HH:mm", "-0330 -0330 20:29");
    assert_format(ms, "UTC+2", "VV HH", "UTC+2 01");
}

static void test_zone_rules(void **state)
{
    const struct time_zone *berlin = zone("Europe/Berlin"), *york = zone("America/New_York"),
                           *sydney = zone("Australia/Sydney");
    assert_int_equal(time_zone_offset_at(berlin, 1585443599), 3600); /* 2020-03-29 00:59:59 UTC */
    assert_int_equal(time_zone_offset_at(berlin, 1585443600), 7200);
    /* Far beyond the file's transitions: by its footer rule. 2100-07-01 and 2100-12-01. */
    assert_int_equal(time_zone_offset_at(berlin, time_days_of(2100, 7, 1) * 86400), 7200);
    assert_int_equal(time_zone_offset_at(berlin, time_days_of(2100, 12, 1) * 86400), 3600);
    /* US: second Sunday in March (2100-03-14) at 2:00 local, which is 7:00 UTC. */
    assert_int_equal(time_zone_offset_at(york, time_days_of(2100, 3, 14) * 86400 + 7 * 3600 - 1), -18000);
    assert_int_equal(time_zone_offset_at(york, time_days_of(2100, 3, 14) * 86400 + 7 * 3600), -14400);
    assert_int_equal(time_zone_offset_at(sydney, time_days_of(2100, 1, 1) * 86400),
                     39600); /* summer in January */
    assert_int_equal(time_zone_offset_at(sydney, time_days_of(2100, 7, 1) * 86400), 36000);
    /* Local times in the gap of 2020-03-29 (02:30) and in the overlap of 2020-10-25 (02:30) take the offset
     * before. */
    assert_int_equal(time_zone_offset_of_local(berlin, time_days_of(2020, 3, 29) * 86400 + 9000), 3600);
    assert_int_equal(time_zone_offset_of_local(berlin, time_days_of(2020, 10, 25) * 86400 + 9000), 7200);
    assert_int_equal(time_zone_offset_of_local(berlin, time_days_of(2020, 3, 29) * 86400 + 10800), 7200);
    assert_int_equal(time_zone_offset_of_local(berlin, time_days_of(2020, 3, 29) * 86400 + 7199), 3600);
    static const char *const bad[] = {"Mars/Base", "../etc/passwd",  "America", "", "UTC+99",
                                      "+",         "Europe/Berlin/x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_null(time_zone_get(formats, str_from(bad[i]), &err));
    assert_string_equal(err.text, "Unknown time-zone ID: Europe/Berlin/x");
}

static void test_parse(void **state)
{
    const int64_t ms = TS * INT64_C(1000);
    assert_parse("2020-05-26T23:59:58.123", "yyyy-MM-dd'T'HH:mm:ss.SSS", "UTC", ms + 123);
    assert_parse("20200526 235958", "yyyyMMdd HHmmss", "UTC", ms);
    assert_parse("20200526235958123", "yyyyMMddHHmmssSSS", "UTC", ms + 123);
    assert_parse("26/5/20 11:59:58 pm", "d/M/yy h:mm:ss a", "UTC", ms);
    assert_parse("TUE, 26 may 2020 23:59:58", "EEE, d MMM yyyy HH:mm:ss", "UTC", ms);
    assert_parse("26 May 2020", "d MMMM uuuu", "UTC", ms - 86398000);
    assert_parse("2020-147", "yyyy-DDD", "UTC", ms - 86398000);
    assert_parse("2020", "yyyy", "UTC", INT64_C(1577836800000));
    assert_parse("23:59", "HH:mm", "UTC", INT64_C(86340000));
    assert_parse("2021-02-31", "yyyy-MM-dd", "UTC", INT64_C(1614470400000)); /* the last of February */
    assert_parse("12 AM", "h a", "UTC", 0);
    assert_parse("24", "kk", "UTC", 0);
    assert_parse("1 BC", "y G", "UTC", time_days_of(0, 1, 1) * TIME_DAY_MS);
    assert_parse("   7", "ppppd", "UTC", 6 * INT64_C(86400000));
    assert_parse("2020-05-26", "yyyy-MM-dd[ HH:mm]", "UTC", ms - 86398000);
    assert_parse("2020-05-26 23:59", "yyyy-MM-dd[ HH:mm[:ss]]", "UTC", ms - 58000);
    assert_parse("2020-05-26 23:59:58", "yyyy-MM-dd[ HH:mm[:ss]]", "UTC", ms);
}

static void test_parse_zones(void **state)
{
    const int64_t ms = TS * INT64_C(1000);
    assert_parse("2020-05-26 16:59:58", "yyyy-MM-dd HH:mm:ss", "America/Los_Angeles", ms);
    assert_parse("2020-05-26T23:59:58.12Z", "yyyy-MM-dd'T'HH:mm:ss.SSX", "America/Los_Angeles", ms + 120);
    assert_parse("2020-05-27 05:29:58 +05:30", "yyyy-MM-dd HH:mm:ss XXX", "UTC", ms);
    assert_parse("2020-05-27 05:29:58 +0530", "yyyy-MM-dd HH:mm:ss Z", "UTC", ms);
    assert_parse("2020-05-27 05:29:58 GMT+5:30", "yyyy-MM-dd HH:mm:ss O", "UTC", ms);
    assert_parse("2020-05-26 16:59:58 America/Los_Angeles", "yyyy-MM-dd HH:mm:ss VV", "UTC", ms);
    assert_parse("2020-05-26 16:59:58 PDT", "yyyy-MM-dd HH:mm:ss zzz", "UTC", ms);
    assert_parse("2020-05-26 16:59:58 pacific daylight time.", "yyyy-MM-dd HH:mm:ss zzzz'.'", "UTC", ms);
}

static void test_errors(void **state)
{
    assert_parse_fails("2020-5-26", "yyyy-MM-dd", "Text '2020-5-26' could not be parsed at index 5");
    assert_parse_fails("2020-05-26x", "yyyy-MM-dd",
                       "Text '2020-05-26x' could not be parsed, unparsed text found at index 10");
    assert_parse_fails(
        "2020-13-01", "yyyy-MM-dd",
        "Text '2020-13-01' could not be parsed: Invalid value for MonthOfYear (valid values 1 - 12): 13");
    assert_parse_fails("12020-01-01", "yyyy-MM-dd", "Text '12020-01-01' could not be parsed at index 0");
    assert_parse_fails("", "yyyy", "Text '' could not be parsed at index 0");
    static const char *const bad[][2] = {
        {"yyyy b", "Unknown pattern letter: b"},
        {"MMMMMM", "Too many pattern letters: M"},
        {"'x", "Pattern ends with an incomplete string literal: 'x"},
        {"a]", "Pattern invalid as it contains ] without previous ["},
        {"{", "Pattern includes reserved character: '{'"},
        {"V", "Wrong number of pattern letters: V"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_null(time_format_get(formats, str_from(bad[i][0]), &err));
        assert_string_equal(err.text, bad[i][1]);
    }
    struct buf out = {0};
    assert_false(time_format_date(pattern("yyyy HH"), 0, &out, &err));
    assert_string_equal(err.text, "Unsupported field: HourOfDay");
    assert_false(time_format_time(pattern("MM"), 0, &out, &err));
    assert_string_equal(err.text, "Unsupported field: MonthOfYear");
    assert_true(time_format_date(pattern("yyyy-MM-dd[ HH]"), 18408, &out, &err));
    assert_string_equal(out.ptr, "2020-05-26");
    buf_fini(&out);
    int64_t n;
    assert_true(time_format_parse_date(pattern("dd.MM.yyyy"), STR("26.05.2020"), &n, &err) && n == 18408);
    assert_true(time_format_parse_time(pattern("HH:mm:ss.SSS"), STR("01:02:03.004"), &n, &err) &&
                n == 3723004);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_letters, setup, release),
        cmocka_unit_test_setup_teardown(test_zones_printed, setup, release),
        cmocka_unit_test_setup_teardown(test_zone_rules, setup, release),
        cmocka_unit_test_setup_teardown(test_parse, setup, release),
        cmocka_unit_test_setup_teardown(test_parse_zones, setup, release),
        cmocka_unit_test_setup_teardown(test_errors, setup, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
