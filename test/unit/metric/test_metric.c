/* test_metric.c - counting, quantiles and Prometheus' text; expected text written after the format's
 * description (prometheus.io, "Exposition formats"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "metric/metric.h"

static const struct metric_def rows[] = {
    {"t_total", METRIC_COUNTER, "topic p", 1, "Help \\ with\nlines."},
    {"g", METRIC_GAUGE, "", 1, "Gauge."},
    {"called", METRIC_GAUGE, "", 1, "Called."},
    {"lat_seconds", METRIC_HISTOGRAM, "", 1e-6, "Latency."},
    {"c", METRIC_COUNTER, "", 1, "C."},
    {"h", METRIC_HISTOGRAM, "", 1, "H."},
};
static const struct metric_defs table = {rows, COUNT_OF(rows)};

static int64_t forty_two(void *arg)
{
    return *(int64_t *)arg;
}

static void test_text(void **state)
{
    struct metric_registry *reg = metric_registry_of(&table);
    struct metric *a = metric_counter(reg, "t_total", LABELS({"topic", "a\"b\\c\nd"}, {"p", "1"}));
    struct metric *b = metric_counter(reg, "t_total", LABELS({"topic", "z"}, {"p", "0"}));
    struct metric *g = metric_gauge(reg, "g", NO_LABELS);
    int64_t value = 42;
    metric_gauge_call(reg, "called", NO_LABELS, forty_two, &value);
    metric_add(a, 5);
    metric_add(b, 7);
    metric_set(g, -3);
    assert_ptr_equal(a, metric_counter(reg, "t_total", LABELS({"topic", "a\"b\\c\nd"}, {"p", "1"})));
    struct buf out = {0};
    metric_write_prometheus(reg, &out);
    assert_string_equal(out.ptr,
                        "# HELP t_total Help \\\\ with\\nlines.\n# TYPE t_total counter\n"
                        "t_total{topic=\"a\\\"b\\\\c\\nd\",p=\"1\"} 5\nt_total{topic=\"z\",p=\"0\"} 7\n"
                        "# HELP g Gauge.\n# TYPE g gauge\ng -3\n"
                        "# HELP called Called.\n# TYPE called gauge\ncalled 42\n");
    metric_remove(reg, a);
    buf_clear(&out);
    metric_write_prometheus(reg, &out);
    assert_true(str_find(buf_str(&out), STR("a\\\"b")) < 0);
    buf_fini(&out);
    metric_registry_free(reg);
}

static void test_histogram(void **state)
{
    struct metric_registry *reg = metric_registry_of(&table);
    struct metric *h = metric_histogram(reg, "lat_seconds", NO_LABELS);
    assert_int_equal(metric_quantile(h, 0.5), 0);
    for (int i = 1; i <= 1000; i++)
        metric_observe(h, i);
    assert_int_equal(metric_value(h), 1000);
    /* Exact: 500, 990, 1000. A bucket is 1/16 wide. */
    assert_in_range(metric_quantile(h, 0.5), 500, 500 + 500 / 16);
    assert_in_range(metric_quantile(h, 0.99), 990, 1000);
    assert_int_equal(metric_quantile(h, 1), 1000);
    struct buf out = {0};
    metric_write_prometheus(reg, &out);
    assert_non_null(strstr(out.ptr, "lat_seconds_bucket{le=\"1.5e-05\"} 15\n"));
    assert_non_null(strstr(out.ptr, "lat_seconds_bucket{le=\"0.000255\"} 255\n"));
    assert_non_null(strstr(out.ptr, "lat_seconds_bucket{le=\"+Inf\"} 1000\n"));
    assert_non_null(strstr(out.ptr, "lat_seconds_sum 0.5005\nlat_seconds_count 1000\n"));
    buf_fini(&out);
    metric_observe(h, INT64_MAX / 4);
    metric_observe(h, -1);
    assert_int_equal(metric_value(h), 1002);
    metric_registry_free(reg);
}

static void count_samples(const struct metric_sample *sample, void *arg)
{
    int *n = arg;
    *n += 1;
    if (sample->kind == METRIC_HISTOGRAM) {
        assert_int_equal(sample->count, 2);
        assert_int_equal(sample->sum, 30);
        assert_int_equal(sample->max, 20);
        assert_int_equal(sample->p50, 10);
        assert_int_equal(sample->p99, 20);
    }
}

static void test_samples(void **state)
{
    struct metric_registry *reg = metric_registry_of(&table);
    metric_counter(reg, "c", NO_LABELS);
    struct metric *h = metric_histogram(reg, "h", NO_LABELS);
    metric_observe(h, 10);
    metric_observe(h, 20);
    int n = 0;
    metric_each(reg, count_samples, &n);
    assert_int_equal(n, 2);
    metric_registry_free(reg);
}

/* What every tool that reads /metrics takes for granted of the program's own table. */
static void test_table(void **state)
{
    for (size_t i = 0; i < metric_defs.count; i++) {
        const struct metric_def *def = &metric_defs.at[i];
        struct str name = str_from(def->name), help = str_from(def->help);
        if (i > 0 && strcmp(metric_defs.at[i - 1].name, def->name) >= 0)
            fail_msg("%s is not in order, or twice there", def->name);
        assert_true(str_starts_with(name, STR("rialto_")));
        for (size_t k = 0; k < name.len; k++)
            assert_true((name.ptr[k] >= 'a' && name.ptr[k] <= 'z') || name.ptr[k] == '_');
        if (str_ends_with(name, STR("_total")) != (def->kind == METRIC_COUNTER))
            fail_msg("%s: counters and only counters end in _total", def->name);
        assert_true(help.len > 10 && help.len <= 100 && str_ends_with(help, STR(".")));
        assert_true(def->scale == 1 || (def->scale == 1e-6 && str_ends_with(name, STR("_seconds"))));
    }
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++)
        metric_add(arg, 1);
    return NULL;
}

static void test_threads(void **state)
{
    struct metric *m = metric_counter(NULL, "x", NO_LABELS);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add_many, m);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_value(m), 400000);
    metric_remove(NULL, m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_histogram), cmocka_unit_test(test_samples),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
