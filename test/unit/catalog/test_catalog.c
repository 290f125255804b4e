/* test_catalog.c - snapshots: old ones stay as they were, order and lookup, references end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/catalog.h"

static struct source *make(const char *name, const char *topic)
{
    struct column columns[] = {
        {.name = STR("K"), .type = &type_string, .role = COLUMN_KEY},
        {.name = STR("V"), .type = &type_bigint, .role = COLUMN_VALUE},
    };
    struct schema schema = {.columns = columns, .column_count = 2, .key_count = 1};
    struct source proto = {.name = str_from(name),
                           .schema = &schema,
                           .topic = str_from(topic),
                           .key_format = {.name = STR("KAFKA")},
                           .value_format = {.name = STR("JSON")},
                           .partition_count = 3};
    return source_new(&proto);
}

static const struct catalog *with(const struct catalog *catalog, const char *name, const char *topic)
{
    struct source *source = make(name, topic);
    const struct catalog *next = catalog_with_source(catalog, source);
    source_unref(source);
    catalog_unref(catalog);
    return next;
}

static void names_are(const struct catalog *catalog, const char *names)
{
    struct buf text = {0};
    for (uint32_t i = 0; catalog_source_at(catalog, i) != NULL; i++)
        buf_append_str(&text, catalog_source_at(catalog, i)->name);
    buf_append_char(&text, '.');
    assert_string_equal(text.ptr, names);
    buf_fini(&text);
}

static void test_source_is_a_deep_copy(void **state)
{
    char name[] = "orders";
    struct source *source = make(name, "t");
    name[0] = 'X';
    assert_true(str_eq(source->name, STR("orders")));
    assert_int_equal(source->schema->column_count, 2);
    assert_int_equal(source->partition_count, 3);
    assert_true(str_is_null(source->timestamp_column));
    assert_ptr_equal(source_ref(source), source);
    source_unref(source);
    source_unref(source);
}

static void test_snapshots_are_apart(void **state)
{
    const struct catalog *one = with(catalog_new(), "B", "b");
    const struct catalog *two = with(catalog_ref(one), "A", "a");
    two = with(two, "C", "c");
    names_are(one, "B.");
    names_are(two, "BAC.");
    assert_null(catalog_source(one, STR("A")));
    assert_true(str_eq(catalog_source(two, STR("A"))->topic, STR("a")));
    assert_ptr_equal(catalog_source(two, STR("B")), catalog_source(one, STR("B")));
    assert_null(catalog_source(two, STR("AA")));
    assert_null(catalog_source(two, STR("D")));
    catalog_unref(one);
    assert_true(str_eq(catalog_source(two, STR("B"))->topic, STR("b")));
    catalog_unref(two);
}

static void test_replacing_keeps_the_place(void **state)
{
    const struct catalog *catalog = with(with(with(catalog_new(), "B", "b"), "A", "a"), "C", "c");
    catalog = with(catalog, "A", "a2");
    names_are(catalog, "BAC.");
    assert_true(str_eq(catalog_source(catalog, STR("A"))->topic, STR("a2")));
    catalog_unref(catalog);
}

static void test_removing(void **state)
{
    const struct catalog *catalog = with(with(with(catalog_new(), "B", "b"), "A", "a"), "C", "c");
    const struct catalog *less = catalog_without_source(catalog, STR("B"));
    const struct catalog *same = catalog_without_source(less, STR("NONE"));
    names_are(less, "AC.");
    names_are(same, "AC.");
    assert_null(catalog_source(less, STR("B")));
    assert_true(str_eq(catalog_source(less, STR("C"))->topic, STR("c")));
    assert_true(str_eq(catalog_source(less, STR("A"))->topic, STR("a")));
    catalog_unref(catalog);
    catalog_unref(less);
    catalog_unref(same);
}

static void test_types(void **state)
{
    struct catalog *empty = catalog_new();
    const struct catalog *one = catalog_with_type(empty, STR("PHONE"), &type_string);
    const struct catalog *two = catalog_with_type(one, STR("PHONE"), &type_bigint);
    const struct catalog *none = catalog_without_type(two, STR("PHONE"));
    assert_null(catalog_type(empty, STR("PHONE")));
    assert_int_equal(catalog_type(one, STR("PHONE"))->kind, SQL_STRING);
    assert_int_equal(catalog_type(two, STR("PHONE"))->kind, SQL_BIGINT);
    assert_null(catalog_type(none, STR("PHONE")));
    struct str name;
    const struct sql_type *type;
    assert_true(catalog_type_at(two, 0, &name, &type));
    assert_true(str_eq(name, STR("PHONE")));
    assert_false(catalog_type_at(two, 1, &name, &type));
    catalog_unref(empty);
    catalog_unref(one);
    catalog_unref(two);
    catalog_unref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_is_a_deep_copy),
        cmocka_unit_test(test_snapshots_are_apart),
        cmocka_unit_test(test_replacing_keeps_the_place),
        cmocka_unit_test(test_removing),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
