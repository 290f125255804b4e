/* test_records.c - records as text and made-up records, without a server. Includes private headers of the module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cli/format_int.h"
#include "cli/gen_int.h"
#include "cli/table_int.h"
#include "json/json.h"

static void test_unescape(void **state)
{
    struct buf out = {0};
    format_unescape(STR("a\\n\\t\\x41\\\\\\q\\"), &out);
    assert_string_equal(out.ptr, "a\n\tA\\\\q\\");
    buf_fini(&out);
}

static struct kafka_record sample(struct buf *headers)
{
    struct record_header list[] = {{STR("h"), STR("1")}, {STR("n"), STR_NULL}};
    record_headers_encode(headers, list, 2);
    return (struct kafka_record){.topic = STR("t"),
                                 .partition = 3,
                                 .rec = {.offset = 42,
                                         .timestamp_ms = 1700000000123,
                                         .key = STR("k"),
                                         .value = STR_NULL,
                                         .headers = buf_str(headers),
                                         .header_count = 2}};
}

static void test_format(void **state)
{
    struct buf headers = {0}, out = {0};
    struct kafka_record rec = sample(&headers);
    struct err err = {0};
    assert_true(format_record(STR("%t[%p]@%o %k=%s %h %T %K/%S %%\n"), &rec, &out, &err));
    assert_string_equal(out.ptr, "t[3]@42 k= h=1,n=NULL 1700000000123 1/-1 %\n");
    assert_false(format_record(STR("%z"), &rec, &out, &err));
    assert_false(format_record(STR("%"), &rec, &out, &err));
    buf_fini(&out);
    buf_fini(&headers);
}

static void test_json_there_and_back(void **state)
{
    struct buf headers = {0}, out = {0};
    struct arena arena = {0};
    struct kafka_record rec = sample(&headers);
    struct format_record back;
    struct err err = {0};
    rec.rec.value = str_of("\xff\x00", 2);
    format_record_json(&rec, &out);
    assert_string_equal(
        out.ptr, "{\"topic\":\"t\",\"partition\":3,\"offset\":42,\"timestamp\":\"2023-11-14T22:13:20.123Z\","
                 "\"headers\":[{\"key\":\"h\",\"value\":\"1\"},{\"key\":\"n\",\"value\":null}],"
                 "\"key\":\"k\",\"value\":{\"b64\":\"/wA=\"}}\n");
    assert_true(format_parse_json(str_trim(buf_str(&out)), &back, &arena, &err));
    assert_true(str_eq(back.key, STR("k")));
    assert_true(str_eq(back.value, str_of("\xff\x00", 2)));
    assert_int_equal(back.timestamp_ms, 1700000000123);
    assert_int_equal(back.header_count, 2);
    assert_true(str_is_null(back.headers[1].value));
    assert_true(format_parse_json(STR("{\"value\":null,\"timestamp\":5}"), &back, &arena, &err));
    assert_true(str_is_null(back.value) && back.timestamp_ms == 5);
    assert_false(format_parse_json(STR("[1]"), &back, &arena, &err));
    assert_false(format_parse_json(STR("{\"value\":1}"), &back, &arena, &err));
    assert_false(format_parse_json(STR("{\"timestamp\":\"yesterday\"}"), &back, &arena, &err));
    assert_false(format_parse_json(STR("{"), &back, &arena, &err));
    arena_fini(&arena);
    buf_fini(&out);
    buf_fini(&headers);
}

/* Ten times the leading digit, zero counts as ten; the members in their order. */
static void check_transaction(const struct json_value *value, struct str key)
{
    static const char *const names[] = {"user_id", "amount", "currency", "merchant", "city", "card", "ts"};
    int64_t amount;
    assert_int_equal(value->len, COUNT_OF(names));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(str_eq_cstr(value->members[i].name, names[i]));
    assert_true(str_eq(value->members[0].value.str, key));
    assert_true(json_to_i64(&value->members[1].value, &amount));
    int digit = key.ptr[0] - '0';
    assert_int_equal(amount, digit == 0 ? 100 : digit * 10);
}

static void test_transactions(void **state)
{
    const struct gen_schema *schema = gen_schema_find(STR("transactions"));
    struct arena arena = {0};
    bool seen[10] = {false};
    for (int64_t n = 0; n < 1000; n++) {
        struct buf key = {0}, value = {0}, key_again = {0}, value_again = {0};
        struct err err = {0};
        gen_record(schema, 7, n, 123, &key, &value);
        gen_record(schema, 7, n, 123, &key_again, &value_again);
        assert_string_equal(value.ptr, value_again.ptr);
        const struct json_value *tree = json_parse(buf_str(&value), &arena, &err);
        assert_non_null(tree);
        check_transaction(tree, buf_str(&key));
        seen[key.ptr[0] - '0'] = true;
        buf_fini(&key);
        buf_fini(&value);
        buf_fini(&key_again);
        buf_fini(&value_again);
    }
    for (int i = 0; i < 10; i++)
        assert_true(seen[i]);
    arena_fini(&arena);
}

static void test_schemas(void **state)
{
    struct arena arena = {0};
    size_t count = 0;
    for (const struct gen_schema *schema; (schema = gen_schema_at(count)) != NULL; count++) {
        struct buf key = {0}, value = {0}, other = {0}, other_key = {0};
        struct err err = {0};
        gen_record(schema, 1, 5, 99, &key, &value);
        gen_record(schema, 2, 5, 99, &other_key, &other);
        assert_non_null(json_parse(buf_str(&value), &arena, &err));
        assert_true(key.len > 0);
        assert_string_not_equal(value.ptr, other.ptr); /* another seed, another record */
        assert_ptr_equal(gen_schema_find(str_from(gen_schema_name(schema))), schema);
        buf_fini(&key);
        buf_fini(&value);
        buf_fini(&other);
        buf_fini(&other_key);
    }
    assert_int_equal(count, 4);
    assert_null(gen_schema_find(STR("none")));
    arena_fini(&arena);
}

static void test_visible(void **state)
{
    struct buf out = {0};
    table_append_visible(&out, STR("a\x1b[31m\tb\n\xff\xc3\xa9"));
    assert_string_equal(out.ptr, "a\\x1b[31m\\tb\\n\\xff\xc3\xa9");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_json_there_and_back),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
