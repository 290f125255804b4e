/* test_json.c - trees, writer, scanner and column reader; expectations from RFC 8259 and from Jackson's
 * escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "json/json.h"

static struct arena arena;

static int release(void **state)
{
    arena_fini(&arena);
    return 0;
}

static const struct json_value *parse(const char *text)
{
    struct err err = {0};
    const struct json_value *value = json_parse(str_from(text), &arena, &err);
    if (value == NULL)
        print_error("%s: %s\n", text, err.text);
    assert_non_null(value);
    return value;
}

static void assert_error(const char *text, const char *message)
{
    struct err err = {0};
    assert_null(json_parse(str_from(text), &arena, &err));
    assert_int_equal(err.code, ERR_SERIALIZATION);
    assert_string_equal(err.text, message);
}

static void test_tree(void **state)
{
    const struct json_value *root = parse(" {\"a\":[1,-2.50e+3,{}],\"b\":\"x\\ny\",\"a2\":null,\"b\":true} ");
    assert_int_equal(root->kind, JSON_OBJECT);
    assert_int_equal(root->len, 4);
    const struct json_value *a = json_get(root, STR("a"));
    assert_int_equal(a->len, 3);
    assert_true(str_eq_cstr(a->elems[1].str, "-2.50e+3")); /* numbers keep their text */
    assert_int_equal(a->elems[2].kind, JSON_OBJECT);
    assert_true(json_get(root, STR("b"))->b); /* the last one counts */
    assert_true(str_eq_cstr(root->members[1].value.str, "x\ny"));
    assert_null(json_get(root, STR("c")));
    assert_null(json_get(NULL, STR("c")));
}

static void test_strings(void **state)
{
    assert_true(
        str_eq_cstr(parse("\"\\u0041\\u00e9\\uD83D\\uDE00\\/\\\"\"")->str, "A\xc3\xa9\xf0\x9f\x98\x80/\""));
    assert_true(str_eq_cstr(parse("\"\\uD83D!\"")->str, "\xef\xbf\xbd!")); /* half a pair */
    assert_true(str_eq_cstr(parse("\"Gr\xc3\xb6\xc3\x9f"
                                  "e in a long string\"")
                                ->str,
                            "Gr\xc3\xb6\xc3\x9f"
                            "e in a long string"));
    assert_error("\"a\tb\"",
                 "JSON is not valid at position 2: control characters in strings must be escaped");
    assert_error("\"a\\x\"", "JSON is not valid at position 2: unknown escape");
    assert_error("\"\\u12g4\"", "JSON is not valid at position 1: unknown escape");
    assert_error("\"ab\xff\"", "JSON is not valid at position 3: bytes are not UTF-8");
    assert_error("\"abc", "JSON is not valid at position 4: the string does not end");
    assert_error("\"abc\\", "JSON is not valid at position 5: the string does not end");
}

static void test_errors(void **state)
{
    assert_error("", "JSON is not valid at position 0: expected a value, the text ends");
    assert_error("{\"a\":1,}", "JSON is not valid at position 7: expected a member name");
    assert_error("[1,]", "JSON is not valid at position 3: expected a value");
    assert_error("[1 2]", "JSON is not valid at position 3: expected ',' or ']'");
    assert_error("{\"a\" 1}", "JSON is not valid at position 5: expected ':'");
    assert_error("01", "JSON is not valid at position 1: text after the value");
    assert_error("1.", "JSON is not valid at position 0: the number is malformed");
    assert_error("+1", "JSON is not valid at position 0: expected a value");
    assert_error("tru", "JSON is not valid at position 0: expected a value");
    assert_error("{} x", "JSON is not valid at position 3: text after the value");
    assert_error("[1,2", "JSON is not valid at position 4: expected ',' or ']'");
}

static void test_depth(void **state)
{
    struct buf text = {0};
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_append_char(&text, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_append_char(&text, ']');
    parse(text.ptr);
    buf_clear(&text);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        buf_append_char(&text, '[');
    assert_error(text.ptr, "JSON is not valid at position 512: arrays and objects are nested too deeply");
    buf_fini(&text);
}

static void test_typed_members(void **state)
{
    const struct json_value *root =
        parse("{\"n\":12,\"f\":1.0,\"s\":\"t\",\"b\":false,\"z\":null,\"big\":1e30}");
    struct err err = {0};
    int64_t n = 7;
    struct str s = STR("old");
    bool b = true;
    assert_true(json_get_i64(root, "n", &n, &err) && n == 12);
    assert_true(json_get_i64(root, "f", &n, &err) && n == 1);
    assert_true(json_get_i64(root, "z", &n, &err) && n == 1);
    assert_false(json_get_i64(root, "big", &n, &err));
    assert_true(json_get_str(root, "none", &s, &err) && str_eq_cstr(s, "old"));
    assert_true(json_get_bool(root, "b", &b, &err) && !b);
    assert_false(json_get_str(root, "n", &s, &err));
    assert_string_equal(err.text, "\"n\" must be a string, not number");
    assert_true(json_eq(parse("{\"a\":1,\"b\":[2]}"), parse("{\"b\":[2], \"a\":1}")));
    assert_false(json_eq(parse("[1.0]"), parse("[1]")));
}

static void test_writer(void **state)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    json_object_begin(&writer);
    json_key_str(&writer, "s", STR("\"\\/\b\f\n\r\t\x01\x1f \xc3\xa9"));
    json_key_i64(&writer, "n", INT64_MIN);
    json_key_begin(&writer, "a");
    json_array_begin(&writer);
    json_double(&writer, 1);
    json_double(&writer, 1e10);
    json_double(&writer, NAN);
    json_double(&writer, -INFINITY);
    json_array_begin(&writer);
    json_array_end(&writer);
    json_raw(&writer, STR("1.50"));
    json_array_end(&writer);
    json_key_bool(&writer, "b", true);
    json_key_null(&writer, "z");
    json_key_begin(&writer, "y");
    json_base64(&writer, STR("\x01\x02\xff"));
    json_object_end(&writer);
    assert_string_equal(
        out.ptr, "{\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F \xc3\xa9\",\"n\":-9223372036854775808,"
                 "\"a\":[1.0,1.0E10,\"NaN\",\"-Infinity\",[],1.50],\"b\":true,\"z\":null,\"y\":\"AQL/\"}");
    struct buf again = {0};
    struct json_writer copy = {.out = &again};
    json_tree(&copy, parse(out.ptr));
    assert_string_equal(again.ptr, out.ptr);
    buf_fini(&again);
    buf_fini(&out);
}

static void test_scan_skip(void **state)
{
    struct err err = {0};
    struct json_scan scan;
    struct str raw;
    json_scan_init(&scan, STR(" [ {\"a\":[[],{}]} , 5 ] "), &arena, &err);
    struct json_token token;
    bool more;
    assert_true(json_scan_value(&scan, &token) && token.kind == JSON_ARRAY);
    assert_true(json_scan_element(&scan, &more) && more);
    assert_true(json_scan_skip(&scan, &raw));
    assert_true(str_eq_cstr(raw, "{\"a\":[[],{}]}"));
    assert_true(json_scan_element(&scan, &more) && more);
    assert_true(json_scan_value(&scan, &token) && token.kind == JSON_NUMBER);
    assert_true(json_scan_element(&scan, &more) && !more);
    assert_true(json_scan_end(&scan));
    json_scan_init(&scan, STR("[[1],{\"a\":}]"), &arena, &err);
    assert_false(json_scan_skip(&scan, NULL));
    assert_string_equal(err.text, "JSON is not valid at position 10: expected a value");
}

/* Reads `text` for the columns ID, NAME, `x`, NEST both padded and not; both must agree. */
static bool read_columns(struct json_columns *columns, const char *text, struct json_field out[4],
                         struct err *err)
{
    size_t len = strlen(text);
    char *slack = arena_alloc_bytes(&arena, len + JSON_PADDING);
    memcpy(slack, text, len);
    memset(slack + len, '#', JSON_PADDING); /* what stands there must not matter */
    bool padded = json_columns_read(columns, str_of(slack, len), true, NULL, out, &arena, err);
    bool copied = json_columns_read(columns, str_of(text, len), false, NULL, out, &arena, err);
    assert_int_equal(padded, copied);
    return copied;
}

static void assert_field(struct json_field field, enum json_field_kind kind, const char *text)
{
    assert_int_equal(field.kind, kind);
    if (text != NULL && !str_eq_cstr(field.text, text))
        print_error("got %.*s\n", STR_ARG(field.text));
    assert_true(text == NULL || str_eq_cstr(field.text, text));
}

static void test_columns(void **state)
{
    const struct str names[] = {STR_INIT("ID"), STR_INIT("NAME"), STR_INIT("x"), STR_INIT("NEST")};
    struct json_columns *columns = json_columns_new(names, 4);
    struct json_field out[4];
    struct err err = {0};
    for (int round = 0; round < 2; round++) { /* the second time through the shape cache */
        assert_true(
            read_columns(columns,
                         " { \"id\" : 12 , \"Name\":\"a\\u0062c\", \"x\":true,\"nest\":[1, {\"b\":2} ] } ",
                         out, &err));
        assert_field(out[0], JSON_FIELD_NUMBER, "12");
        assert_field(out[1], JSON_FIELD_STRING, "abc");
        assert_field(out[2], JSON_FIELD_TRUE, NULL);
        assert_field(out[3], JSON_FIELD_ARRAY, "[1, {\"b\":2} ]");
    }
    /* The exact name wins over a later variant; of variants the last wins; x has no upper-cased match. */
    assert_true(
        read_columns(columns, "{\"ID\":1,\"id\":2,\"name\":\"p\",\"nAME\":\"q\",\"X\":3}", out, &err));
    assert_field(out[0], JSON_FIELD_NUMBER, "1");
    assert_field(out[1], JSON_FIELD_STRING, "q");
    assert_field(out[2], JSON_FIELD_ABSENT, NULL);
    assert_true(
        read_columns(columns, "{\"\\u0049D\":null,\"NEST\":{}, \"other\":{\"deep\":[{}]}}", out, &err));
    assert_field(out[0], JSON_FIELD_NULL, NULL);
    assert_field(out[3], JSON_FIELD_OBJECT, "{}");
    assert_true(read_columns(columns, "{}", out, &err));
    assert_field(out[0], JSON_FIELD_ABSENT, NULL);
    json_columns_free(columns);
}

static void test_columns_errors(void **state)
{
    static const char *const broken[] = {
        "",
        " ",
        "{",
        "{\"id\":1",
        "{\"id\":1,}",
        "{\"id\":01}",
        "{\"id\":1.}",
        "{\"id\":tru}",
        "{\"id\":truex}",
        "{\"o\":[1 2]}",
        "{\"o\":[1,]}",
        "{\"o\":{\"a\":}}",
        "{\"o\":\"a\\q\"}",
        "{\"o\":\"a\nb\"}",
        "{\"id\":1}}",
        "{\"id\":1} {}",
        "{\"id\":1 \"o\":2}",
        "{\"id\" 1}",
        "{id:1}",
        "{\"o\":\"\xff\"}",
        "{\"o\":\"x\"y}",
        "{\"id\":1]",
        "{\"o\":+1}",
        "{\"o\":nul}",
        "{\"o\":\"abc}",
        "[1]",
        "12",
        "null",
        "{\"o\\z\":1}",
    };
    const struct str names[] = {STR_INIT("ID")};
    struct json_columns *columns = json_columns_new(names, 1);
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct json_field out[4];
        struct err err = {0};
        if (read_columns(columns, broken[i], out, &err))
            print_error("accepted: %s\n", broken[i]);
        assert_false(read_columns(columns, broken[i], out, &err));
        assert_int_equal(err.code, ERR_SERIALIZATION);
    }
    struct json_field out[1];
    struct err err = {0};
    assert_false(json_columns_read(columns, STR("{\"id\":1,\"o\":[1 2]}"), false, NULL, out, &arena, &err));
    assert_string_equal(err.text, "JSON is not valid at position 15: expected ',' or ']'");
    assert_false(json_columns_read(columns, STR("{\"id\":1 \"o\":2}"), false, NULL, out, &arena, &err));
    assert_string_equal(err.text, "JSON is not valid at position 8: expected ',' or '}'");
    json_columns_free(columns);
}

/* Flat objects whose shape is known go the short way; what is broken or unusual in them must be seen there
 * all the same. */
static void test_columns_flat(void **state)
{
    static const char *const good[] = {
        "{\"id\":1,\"name\":\"abcdefghi\",\"x\":true}",
        "{\"id\":-0.5e+7,\"name\":\"\",\"x\":null}",
        "{\"id\": 12, \"name\": \"\xc3\xa9\", \"x\": false}",
        "{\"id\":1,\"name\":\"a\\\"b\",\"x\":[1]}",
        "{\"id\":1}",
        "{\"id\" :1,\"name\":\"q\",\"x\":true} ",
    };
    static const char *const broken[] = {
        "{\"id\":01,\"name\":\"a\",\"x\":true}",
        "{\"id\":1,\"name\":\"a\x01\",\"x\":true}",
        "{\"id\":1,\"name\":\"\xff\",\"x\":true}",
        "{\"id\":1,\"name\":\"a\",\"x\":tru}",
        "{\"id\":1,\"name\":\"a\",\"x\":true",
        "{\"id\":1,\"name\":\"a\",\"x\":true}}",
        "{\"id\":1,\"name\":\"a\",}",
        "{\"id\":,\"name\":\"a\"}",
        "{\"id\":1,\"name\":\"a",
    };
    const struct str names[] = {STR_INIT("ID"), STR_INIT("NAME"), STR_INIT("x")};
    struct json_columns *columns = json_columns_new(names, 3);
    struct json_field first[4], second[4];
    struct err err = {0};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(read_columns(columns, good[0], first, &err)); /* the shape */
        assert_true(read_columns(columns, good[i], second, &err));
        struct json_columns *fresh = json_columns_new(names, 3);
        assert_true(json_columns_read(fresh, str_from(good[i]), false, NULL, first, &arena, &err));
        for (size_t c = 0; c < 3; c++) {
            assert_int_equal(first[c].kind, second[c].kind);
            assert_true(str_eq(first[c].text, second[c].text));
        }
        json_columns_free(fresh);
    }
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        assert_true(read_columns(columns, good[0], first, &err));
        assert_false(read_columns(columns, broken[i], second, &err));
        assert_int_equal(err.code, ERR_SERIALIZATION);
    }
    json_columns_free(columns);
}

/* Many members, long keys, members in changing order: all go past the shape cache and must match all the
 * same. */
static void test_columns_shapes(void **state)
{
    const struct str names[] = {STR_INIT("A_NAME_THAT_IS_LONGER_THAN_WHAT_THE_SHAPE_CACHE_KEEPS_FOR_ONE_KEY"),
                                STR_INIT("K199")};
    struct json_columns *columns = json_columns_new(names, 2);
    struct buf text = {0};
    struct json_writer writer = {.out = &text};
    json_object_begin(&writer);
    for (int i = 0; i < 200; i++) {
        json_key(&writer, str_printf(&arena, "k%d", i));
        json_i64(&writer, i);
    }
    json_key_i64(&writer, "a_name_that_is_longer_than_what_the_shape_cache_keeps_for_one_key", -1);
    json_object_end(&writer);
    struct json_field out[2];
    struct err err = {0};
    assert_true(json_columns_read(columns, buf_str(&text), false, NULL, out, &arena, &err));
    assert_field(out[0], JSON_FIELD_NUMBER, "-1");
    assert_field(out[1], JSON_FIELD_NUMBER, "199");
    assert_true(json_columns_read(columns, STR("{\"K199\":5,\"k1\":6}"), false, NULL, out, &arena, &err));
    assert_field(out[1], JSON_FIELD_NUMBER, "5");
    assert_field(out[0], JSON_FIELD_ABSENT, NULL);
    buf_fini(&text);
    json_columns_free(columns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_tree, release),
        cmocka_unit_test_teardown(test_strings, release),
        cmocka_unit_test_teardown(test_errors, release),
        cmocka_unit_test_teardown(test_depth, release),
        cmocka_unit_test_teardown(test_typed_members, release),
        cmocka_unit_test_teardown(test_writer, release),
        cmocka_unit_test_teardown(test_scan_skip, release),
        cmocka_unit_test_teardown(test_columns, release),
        cmocka_unit_test_teardown(test_columns_errors, release),
        cmocka_unit_test_teardown(test_columns_flat, release),
        cmocka_unit_test_teardown(test_columns_shapes, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
