/* test_func.c - the function tables themselves, resolution of overloads, and aggregates driven as an
 * operator does.
 *
 * Expected sums, deviations and correlations are made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "func/func.h"

static void test_catalogue_is_sorted_and_parses(void **state)
{
    const char *before = "";
    uint32_t count = 0;
    for (const struct func *func; (func = func_at(count)) != NULL; count++) {
        struct func_doc doc;
        func_describe(func, &doc);
        assert_true(strcasecmp(before, doc.name.ptr) < 0);
        before = doc.name.ptr;
        assert_true(doc.description.len > 0);
        assert_ptr_equal(func_find(doc.name), func);
        for (uint32_t i = 0; i < doc.signature_count; i++) {
            struct buf arguments = {0}, result = {0};
            func_print_signature(func, i, &arguments, &result);
            assert_true(result.len > 0);
            buf_fini(&arguments);
            buf_fini(&result);
        }
    }
    assert_int_equal(count, 149);
}

static void test_describe(void **state)
{
    const struct func *func = func_find(STR("substring"));
    struct buf arguments = {0}, result = {0};
    struct func_param_doc param;
    func_print_signature(func, 1, &arguments, &result);
    assert_string_equal(arguments.ptr, "STRING str, INTEGER pos, INTEGER length");
    assert_string_equal(result.ptr, "STRING");
    assert_true(func_describe_param(func, 1, 2, &param));
    assert_true(str_eq_cstr(param.name, "length"));
    assert_true(str_eq_cstr(param.type, "INTEGER"));
    assert_false(func_describe_param(func, 1, 3, &param));
    assert_true(func_describe_param(func_find(STR("CONCAT")), 0, 0, &param));
    assert_true(param.is_variadic);
    assert_true(func_is_table_capable(func_find(STR("sum"))));
    assert_false(func_is_table_capable(func_find(STR("MAX"))));
    assert_int_equal(func_kind_of(func_find(STR("EXPLODE"))), FUNC_TABLE);
    buf_fini(&arguments);
    buf_fini(&result);
}

/* An aggregate call over columns of these types, with literals behind them. */
struct driver {
    struct arena arena;
    struct func_ctx ctx;
    struct err err;
    struct func_settings settings;
    struct value state;
};

static void start(struct driver *driver, const char *name, const struct func_arg *args, uint32_t count)
{
    *driver = (struct driver){.settings = {3, 2}};
    driver->ctx.arena = &driver->arena;
    driver->ctx.err = &driver->err;
    driver->ctx.settings = &driver->settings;
    driver->ctx.call =
        func_resolve(func_find(str_from(name)), args, count, NULL, NULL, &driver->arena, &driver->err);
    if (driver->ctx.call == NULL)
        fail_msg("%s", driver->err.text);
    driver->ctx.call->agg->init(&driver->ctx, &driver->state);
}

static void add(struct driver *driver, struct value v)
{
    driver->ctx.call->agg->add(&driver->ctx, &driver->state, &v, 1);
    assert_false(driver->ctx.failed);
}

static void undo(struct driver *driver, struct value v)
{
    driver->ctx.call->agg->undo(&driver->ctx, &driver->state, &v, 1);
}

static void expect(struct driver *driver, const char *text)
{
    struct value out = VALUE_NULL;
    struct buf printed = {0};
    driver->ctx.call->agg->result(&driver->ctx, &driver->state, &out);
    value_print(out, driver->ctx.call->result, &printed);
    assert_string_equal(printed.ptr, text);
    buf_fini(&printed);
}

#define START(driver, name, ...) \
    start((driver), (name), (struct func_arg[]){__VA_ARGS__}, COUNT_OF(((struct func_arg[]){__VA_ARGS__})))
#define COLUMN(t)   \
    {               \
        .type = (t) \
    }
#define LITERAL(t, v)                                   \
    {                                                   \
        .type = (t), .literal = &(struct value[]){v}[0] \
    }

static void test_sums(void **state)
{
    struct driver driver;
    START(&driver, "SUM", COLUMN(&type_integer));
    add(&driver, value_int(INT32_MAX));
    add(&driver, VALUE_NULL);
    add(&driver, value_int(1));
    expect(&driver, "-2147483648"); /* wraps */
    undo(&driver, value_int(1));
    expect(&driver, "2147483647");
    arena_fini(&driver.arena);

    START(&driver, "COUNT", COLUMN(&type_string));
    add(&driver, value_str(STR("a")));
    add(&driver, VALUE_NULL);
    expect(&driver, "1");
    arena_fini(&driver.arena);

    START(&driver, "AVG", COLUMN(&type_bigint));
    expect(&driver, "0.0");
    add(&driver, value_bigint(1));
    add(&driver, value_bigint(2));
    expect(&driver, "1.5");
    undo(&driver, value_bigint(1));
    expect(&driver, "2.0");
    arena_fini(&driver.arena);

    START(&driver, "MIN", COLUMN(&type_string));
    expect(&driver, "null");
    add(&driver, value_str(STR("b")));
    add(&driver, value_str(STR("a")));
    expect(&driver, "a");
    arena_fini(&driver.arena);
}

static void test_merge(void **state)
{
    struct driver driver;
    START(&driver, "AVG", COLUMN(&type_double));
    add(&driver, value_double(1));
    struct value first = driver.state;
    driver.ctx.call->agg->init(&driver.ctx, &driver.state);
    add(&driver, value_double(2));
    add(&driver, value_double(6));
    driver.ctx.call->agg->merge(&driver.ctx, &driver.state, &first);
    expect(&driver, "3.0");
    arena_fini(&driver.arena);

    START(&driver, "LATEST_BY_OFFSET", COLUMN(&type_integer));
    add(&driver, value_int(1));
    first = driver.state;
    driver.ctx.call->agg->init(&driver.ctx, &driver.state);
    add(&driver, value_int(2));
    struct value second = driver.state;
    driver.ctx.call->agg->merge(&driver.ctx, &first, &second);
    driver.state = first;
    expect(&driver, "2");
    arena_fini(&driver.arena);
}

static void test_by_offset(void **state)
{
    struct driver driver;
    START(&driver, "LATEST_BY_OFFSET", COLUMN(&type_integer));
    add(&driver, value_int(12));
    add(&driver, VALUE_NULL);
    expect(&driver, "12");
    arena_fini(&driver.arena);

    START(&driver, "LATEST_BY_OFFSET", COLUMN(&type_integer), LITERAL(&type_integer, value_int(2)),
          LITERAL(&type_boolean, value_bool(false)));
    assert_int_equal(driver.ctx.call->constant_args, 2);
    add(&driver, value_int(12));
    add(&driver, VALUE_NULL);
    add(&driver, value_int(13));
    expect(&driver, "[null, 13]");
    arena_fini(&driver.arena);

    START(&driver, "EARLIEST_BY_OFFSET", COLUMN(&type_integer), LITERAL(&type_boolean, value_bool(false)));
    add(&driver, VALUE_NULL);
    add(&driver, value_int(1));
    expect(&driver, "null");
    arena_fini(&driver.arena);
}

static void test_collecting(void **state)
{
    struct driver driver;
    START(&driver, "COLLECT_LIST", COLUMN(&type_integer));
    for (int i = 0; i < 5; i++)
        add(&driver, i == 1 ? VALUE_NULL : value_int(i));
    expect(&driver, "[0, null, 2]"); /* the limit is 3 */
    undo(&driver, VALUE_NULL);
    expect(&driver, "[0, 2]");
    arena_fini(&driver.arena);

    START(&driver, "HISTOGRAM", COLUMN(&type_string));
    add(&driver, value_str(STR("a")));
    add(&driver, value_str(STR("b")));
    add(&driver, value_str(STR("a")));
    expect(&driver, "{a=2, b=1}");
    undo(&driver, value_str(STR("b")));
    expect(&driver, "{a=2}");
    arena_fini(&driver.arena);

    START(&driver, "TOPK", COLUMN(&type_integer), LITERAL(&type_integer, value_int(3)));
    int values[] = {0, 100, 99, 7, 100};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        add(&driver, value_int(values[i]));
    expect(&driver, "[100, 100, 99]");
    arena_fini(&driver.arena);

    START(&driver, "TOPKDISTINCT", COLUMN(&type_integer), LITERAL(&type_integer, value_int(3)));
    for (size_t i = 0; i < COUNT_OF(values); i++)
        add(&driver, value_int(values[i]));
    expect(&driver, "[100, 99, 7]");
    arena_fini(&driver.arena);

    START(&driver, "ATTR", COLUMN(&type_string));
    add(&driver, value_str(STR("1")));
    expect(&driver, "1");
    add(&driver, value_str(STR("2")));
    expect(&driver, "null");
    undo(&driver, value_str(STR("1")));
    expect(&driver, "2");
    arena_fini(&driver.arena);
}

static void test_statistics(void **state)
{
    struct driver driver;
    START(&driver, "STDDEV_SAMPLE", COLUMN(&type_integer));
    add(&driver, value_int(0));
    expect(&driver, "0.0");
    add(&driver, value_int(10));
    expect(&driver, "7.0710678118654755");
    arena_fini(&driver.arena);

    START(&driver, "STDDEV_SAMP", COLUMN(&type_double));
    add(&driver, value_double(-1.8));
    add(&driver, value_double(2.3));
    expect(&driver, "8.405");
    arena_fini(&driver.arena);

    START(&driver, "COUNT_DISTINCT", COLUMN(&type_bigint));
    for (int i = 0; i < 20000; i++)
        add(&driver, value_bigint(i % 10000));
    struct value out;
    driver.ctx.call->agg->result(&driver.ctx, &driver.state, &out);
    assert_in_range(out.l, 9500, 10500);
    arena_fini(&driver.arena);
}

static void test_refusals(void **state)
{
    struct arena arena = {0};
    struct err err = {0};
    struct value zero = value_int(0);
    struct func_arg args[] = {{.type = &type_integer}, {.type = &type_integer, .literal = &zero}};
    assert_null(func_resolve(func_find(STR("LATEST_BY_OFFSET")), args, 2, NULL, NULL, &arena, &err));
    assert_string_equal(err.text, "latestN must be 1 or greater");
    assert_null(func_resolve(func_find(STR("geo_distance")), args, 2, NULL, NULL, &arena, &err));
    assert_int_equal(strncmp(err.text,
                             "Function 'geo_distance' does not accept parameters (INTEGER, INTEGER).\nValid",
                             75),
                     0);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogue_is_sorted_and_parses),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_by_offset),
        cmocka_unit_test(test_collecting),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
