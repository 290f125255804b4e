/* test_conf.c - option tables: the three places and their order, every type, what is refused and how, the
 * reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "conf/conf.h"

static const char *const colours[] = {"red", "green", NULL};

struct sample {
    bool on;
    int64_t count, bytes, wait_ms;
    double share;
    struct str name, secret;
    struct conf_list list;
    int colour;
    struct conf_pairs extra;
};

static bool no_blank(const struct conf_option *option, struct str text, struct err *err)
{
    return text.len > 0 || err_set(err, ERR_INVALID_CONFIG, "String must be non-empty");
}

static const struct conf_option sample_options[] = {
    {"a.on", CONF_BOOL, "true", .doc = "Switch.", CONF_AT(struct sample, on)},
    {"a.count", CONF_INT, "3", .min = 1, .max = 10, .doc = "Count.", CONF_AT(struct sample, count)},
    {"a.bytes", CONF_SIZE, "1MiB", .doc = "Size | bytes.", CONF_AT(struct sample, bytes)},
    {"a.wait.ms", CONF_DURATION_MS, "5s", .min = 1, .doc = "Wait.", CONF_AT(struct sample, wait_ms)},
    {"a.share", CONF_DOUBLE, "0.5", .doc = "Share.", CONF_AT(struct sample, share)},
    {"a.name", CONF_STRING, "x", .doc = "Name.", .check = no_blank, CONF_AT(struct sample, name)},
    {"a.secret", CONF_PASSWORD, NULL, .doc = "Secret.", .check = no_blank, CONF_AT(struct sample, secret)},
    {"a.list", CONF_LIST, "p, q", .doc = "List.", CONF_AT(struct sample, list)},
    {"a.colour", CONF_ENUM, "green", .words = colours, .doc = "Colour.", CONF_AT(struct sample, colour)},
    {"a.extra.", CONF_PREFIX, NULL, .doc = "More.", CONF_AT(struct sample, extra)},
};

static const struct conf_table sample_table = {"sample", sample_options, COUNT_OF(sample_options),
                                               sizeof(struct sample)};

static struct conf *sample_conf(void)
{
    struct conf *conf = conf_new();
    conf_add_table(conf, &sample_table);
    return conf;
}

static void test_defaults(void **state)
{
    struct conf *conf = sample_conf();
    struct arena arena = {0};
    struct sample s;
    assert_true(conf_read(conf, &sample_table, &s, &arena, NULL));
    assert_true(s.on);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.bytes, 1048576);
    assert_int_equal(s.wait_ms, 5000);
    assert_true(s.share == 0.5);
    assert_true(str_eq(s.name, STR("x")));
    assert_true(str_is_null(s.secret));
    assert_int_equal(s.list.len, 2);
    assert_true(str_eq(s.list.at[1], STR("q")));
    assert_int_equal(s.colour, 1);
    assert_int_equal(s.extra.len, 0);
    arena_fini(&arena);
    conf_free(conf);
}

static void test_file(void **state)
{
    static const char text[] = "# comment\n"
                               "! another\n"
                               "\n"
                               "a.on = false\r\n"
                               "a.list: x,\\\n"
                               "   y , z\n"
                               "a.name=tab\\there \\u00e9 back\\\\slash\n"
                               "  a.extra.one.two=1\n"
                               "a.extra.three=\n"
                               "a.count=4\n"
                               "a.count=5";
    struct conf *conf = sample_conf();
    struct arena arena = {0};
    struct sample s;
    struct err err;
    assert_true(conf_parse(conf, str_from(text), "f.conf", &err));
    assert_true(conf_check(conf, &err));
    assert_true(conf_read(conf, &sample_table, &s, &arena, &err));
    assert_false(s.on);
    assert_int_equal(s.list.len, 3);
    assert_true(str_eq(s.list.at[2], STR("z")));
    assert_true(str_eq(s.name, STR("tab\there \xc3\xa9 back\\slash")));
    assert_int_equal(s.extra.len, 2);
    assert_true(str_eq(s.extra.at[0].name, STR("one.two")) && str_eq(s.extra.at[0].value, STR("1")));
    assert_true(str_eq(s.extra.at[1].name, STR("three")) && s.extra.at[1].value.len == 0);
    assert_int_equal(s.count, 5);
    assert_false(conf_parse(conf, STR("a.on=true\n\njust words\n"), "f.conf", &err));
    assert_int_equal(err.line, 3);
    assert_string_equal(err.text, "f.conf line 3 is not of the form name=value");
    arena_fini(&arena);
    conf_free(conf);
}

static void test_order(void **state)
{
    struct conf *conf = sample_conf();
    struct arena arena = {0};
    struct sample s;
    char *environ_[] = {"PATH=/bin",           "RIALTO_A_COUNT=7",
                        "RIALTO_A_WAIT_MS=2m", "RIALTO_A_EXTRA_X_Y=v",
                        "RIALTO_KEEP=1",       NULL};
    const char *ignored[] = {"RIALTO_KEEP", NULL};
    assert_true(conf_parse(conf, STR("a.count=6\na.bytes=2kB"), "f", NULL));
    assert_true(conf_parse_env(conf, environ_, ignored, NULL));
    assert_true(conf_set(conf, STR("a.count=8"), NULL));
    assert_true(conf_read(conf, &sample_table, &s, &arena, NULL));
    assert_int_equal(s.count, 8);
    assert_int_equal(s.wait_ms, 120000);
    assert_int_equal(s.bytes, 2000);
    assert_true(str_eq(s.extra.at[0].name, STR("x.y")));
    assert_true(str_eq(conf_text(conf, "a.count"), STR("8")));
    assert_true(str_is_null(conf_text(conf, "a.on")));
    arena_fini(&arena);
    conf_free(conf);
}

static const char *why(struct str name)
{
    return str_eq(name, STR("a.coumt")) ? "coumts are not made here" : NULL;
}

static void test_unknown(void **state)
{
    struct conf *conf = sample_conf();
    struct err err;
    assert_true(conf_set(conf, STR("a.coumt=1"), &err));
    assert_false(conf_check(conf, &err));
    assert_string_equal(err.text, "there is no option a.coumt, set by --set; did you mean a.count?");
    conf_explain(conf, why);
    assert_false(conf_check(conf, &err));
    assert_string_equal(err.text, "there is no option a.coumt, set by --set: coumts are not made here");
    char *environ_[] = {"RIALTO_A_SHARES=7", NULL};
    assert_false(conf_parse_env(conf, environ_, NULL, &err));
    assert_string_equal(err.text,
                        "environment variable RIALTO_A_SHARES names no option; the nearest is a.share");
    assert_false(conf_set(conf, STR("novalue"), &err));
    conf_free(conf);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *set, *text;
    } cases[] = {
        {"a.on=yes",
         "--set: Invalid value yes for configuration a.on: Expected value to be either true or false"},
        {"a.count=x", "--set: Invalid value x for configuration a.count: Not a number of type LONG"},
        {"a.count=0", "--set: Invalid value 0 for configuration a.count: Value must be at least 1"},
        {"a.count=11", "--set: Invalid value 11 for configuration a.count: Value must be no more than 10"},
        {"a.count=99999999999999999999",
         "--set: Invalid value 99999999999999999999 for configuration a.count: Not a number of type LONG"},
        {"a.wait.ms=0s", "--set: Invalid value 0s for configuration a.wait.ms: Value must be at least 1"},
        {"a.share=half", "--set: Invalid value half for configuration a.share: Not a number of type DOUBLE"},
        {"a.colour=blue",
         "--set: Invalid value blue for configuration a.colour: String must be one of: red, green"},
        {"a.name=", "--set: Invalid value  for configuration a.name: String must be non-empty"},
        {"a.secret=", "--set: Invalid value [hidden] for configuration a.secret: String must be non-empty"},
    };
    struct sample s;
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct conf *conf = sample_conf();
        struct err err;
        assert_true(conf_set(conf, str_from(cases[i].set), NULL));
        assert_false(conf_read(conf, &sample_table, &s, &arena, &err));
        assert_string_equal(err.text, cases[i].text);
        conf_free(conf);
    }
    static const char *const sizes[] = {"a.bytes=1XB", "a.bytes=", "a.bytes=MiB",
                                        "a.bytes=9223372036854775807KiB", "a.wait.ms=5 weeks"};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct conf *conf = sample_conf();
        assert_true(conf_set(conf, str_from(sizes[i]), NULL));
        assert_false(conf_read(conf, &sample_table, &s, &arena, NULL));
        conf_free(conf);
    }
    arena_fini(&arena);
}

static struct str lookup(void *arg, struct str name, bool *is_set)
{
    *is_set = true;
    if (str_eq(name, STR("a.count")))
        return STR("many");
    if (str_eq(name, STR("a.name")))
        return STR_NULL;
    if (str_eq(name, STR("a.on")))
        return STR("FALSE");
    *is_set = false;
    return STR_NULL;
}

static void test_validate(void **state)
{
    static const struct conf_option options[] = {
        {"a.count", CONF_INT, "3", .doc = "", .kafka_type = "INT", CONF_AT(struct sample, count)},
        {"a.name", CONF_STRING, "x", .doc = "", CONF_AT(struct sample, name)},
        {"a.on", CONF_BOOL, "true", .doc = "", CONF_AT(struct sample, on)},
        {"a.secret", CONF_PASSWORD, NULL, .required = true, .doc = "", CONF_AT(struct sample, secret)},
    };
    const struct conf_table table = {"t", options, COUNT_OF(options), sizeof(struct sample)};
    struct arena arena = {0};
    struct sample s = {0};
    size_t errors;
    struct conf_check_result *results = conf_validate(&table, lookup, NULL, &s, &arena, &errors);
    assert_int_equal(errors, 3);
    assert_string_equal(results[0].errors[0].ptr,
                        "Invalid value many for configuration a.count: Not a number of type INT");
    assert_true(str_eq(results[0].value, STR("many")));
    assert_int_equal(s.count, 3);
    assert_int_equal(results[1].error_count, 1);
    assert_int_equal(results[2].error_count, 0);
    assert_false(s.on);
    assert_string_equal(results[3].errors[0].ptr,
                        "Missing required configuration \"a.secret\" which has no default value.");
    arena_fini(&arena);
}

static void test_print(void **state)
{
    const struct conf_table *tables[] = {&sample_table};
    struct buf out = {0};
    conf_write_markdown(tables, 1, &out);
    assert_non_null(strstr(out.ptr, "## sample\n"));
    assert_non_null(strstr(out.ptr, "| `a.count` | int | `3` | 1 to 10 | Count. |\n"));
    assert_non_null(strstr(out.ptr, "| `a.bytes` | size | `1MiB` |  | Size \\| bytes. |\n"));
    assert_non_null(strstr(out.ptr, "| `a.colour` | enum | `green` | `red`, `green` | Colour. |\n"));
    assert_non_null(strstr(out.ptr, "| `a.extra.*` | prefix |  |  | More. |\n"));
    buf_clear(&out);
    conf_write_json(tables, 1, &out);
    assert_non_null(strstr(
        out.ptr,
        "{\"name\":\"a.count\",\"module\":\"sample\",\"type\":\"int\",\"default\":\"3\","
        "\"required\":false,\"live\":false,\"scope\":\"whole\",\"importance\":\"high\",\"min\":1,\"max\":10,"
        "\"doc\":\"Count.\"}"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_file),       cmocka_unit_test(test_order),
        cmocka_unit_test(test_unknown),  cmocka_unit_test(test_bad_values), cmocka_unit_test(test_validate),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
