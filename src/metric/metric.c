/* metric.c - the registry and counting.
 *
 *   registry -> family (a row of the table) -> series (labels, value | histogram)
 *
 * (R1) A series never moves, so that counting needs only its pointer: one relaxed atomic operation.
 * (R2) The lock covers the lists; values are read while others count, so a histogram that is read under load
 * may lack the latest observations, never shows one twice.
 *
 * The histogram is log-linear: values below 16 have a bucket each, then every power of two has 16 equal ones.
 * Adding is one index computation and one add; no bounds have to be chosen per metric. Decided against: sums
 * per thread. The hottest counters are added to once a batch, where one atomic add is nothing.
 */
#include <math.h>

#include "metric/metric_int.h"

struct metric_registry *metric_registry_new(void)
{
    return metric_registry_of(&metric_defs);
}

struct metric_registry *metric_registry_of(const struct metric_defs *defs)
{
    struct metric_registry *reg = mem_new(struct metric_registry);
    reg->defs = defs;
    pthread_mutex_init(&reg->lock, NULL);
    return reg;
}

static void metric_series_free(struct metric *metric)
{
    for (size_t i = 0; i < metric->labels.len; i++) {
        free((char *)metric->labels.at[i].name);
        free((char *)metric->labels.at[i].value);
    }
    free((struct metric_label *)metric->labels.at);
    free(metric->histogram);
    free(metric);
}

static void metric_family_free(struct metric_family *family)
{
    for (size_t i = 0; i < family->series.len; i++)
        metric_series_free(family->series.at[i]);
    vec_fini(&family->series);
    free(family);
}

void metric_registry_free(struct metric_registry *reg)
{
    if (reg == NULL)
        return;
    for (size_t i = 0; i < reg->families.len; i++)
        metric_family_free(reg->families.at[i]);
    vec_fini(&reg->families);
    map_fini(&reg->by_name);
    pthread_mutex_destroy(&reg->lock);
    free(reg);
}

static char *text_dup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

static struct metric *series_new(struct metric_family *family, enum metric_kind kind,
                                 struct metric_labels labels)
{
    struct metric *metric = NULL;
    if (posix_memalign((void **)&metric, 64, sizeof *metric) != 0)
        metric = mem_alloc(SIZE_MAX / 2); /* ends the process with mem's message */
    memset(metric, 0, sizeof *metric);
    metric->family = family;
    struct metric_label *copies = labels.len ? mem_zalloc(labels.len, sizeof *copies) : NULL;
    for (size_t i = 0; i < labels.len; i++) {
        copies[i] = (struct metric_label){text_dup(labels.at[i].name), text_dup(labels.at[i].value)};
    }
    metric->labels = (struct metric_labels){copies, labels.len};
    if (kind == METRIC_HISTOGRAM)
        metric->histogram = mem_new(struct metric_histogram);
    return metric;
}

static bool labels_equal(struct metric_labels a, struct metric_labels b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (strcmp(a.at[i].name, b.at[i].name) != 0 || strcmp(a.at[i].value, b.at[i].value) != 0)
            return false;
    return true;
}

static struct metric *family_find(const struct metric_family *family, struct metric_labels labels)
{
    for (size_t i = 0; i < family->series.len; i++)
        if (labels_equal(family->series.at[i]->labels, labels))
            return family->series.at[i];
    return NULL;
}

static struct metric *metric_get(struct metric_registry *reg, const char *name, enum metric_kind kind,
                                 struct metric_labels labels)
{
    if (reg == NULL)
        return series_new(NULL, kind, labels);
    const struct metric_def *def = metric_def_find(reg->defs, name, kind, labels);
    ASSERT(def != NULL); /* metrics.def has no such metric, or says otherwise */
    pthread_mutex_lock(&reg->lock);
    struct metric_family *family = map_get(&reg->by_name, str_from(name));
    if (family == NULL) {
        family = mem_new(struct metric_family);
        family->def = def;
        map_put(&reg->by_name, str_from(name), family);
        vec_push(&reg->families, family);
    }
    struct metric *metric = family_find(family, labels);
    if (metric == NULL) {
        metric = series_new(family, kind, labels);
        vec_push(&family->series, metric);
    }
    pthread_mutex_unlock(&reg->lock);
    return metric;
}

struct metric *metric_counter(struct metric_registry *reg, const char *name, struct metric_labels labels)
{
    return metric_get(reg, name, METRIC_COUNTER, labels);
}

struct metric *metric_gauge(struct metric_registry *reg, const char *name, struct metric_labels labels)
{
    return metric_get(reg, name, METRIC_GAUGE, labels);
}

struct metric *metric_gauge_call(struct metric_registry *reg, const char *name, struct metric_labels labels,
                                 int64_t (*fn)(void *arg), void *arg)
{
    struct metric *metric = metric_get(reg, name, METRIC_GAUGE, labels);
    if (reg != NULL)
        pthread_mutex_lock(&reg->lock);
    metric->call = fn;
    metric->call_arg = arg;
    if (reg != NULL)
        pthread_mutex_unlock(&reg->lock);
    return metric;
}

struct metric *metric_histogram(struct metric_registry *reg, const char *name, struct metric_labels labels)
{
    return metric_get(reg, name, METRIC_HISTOGRAM, labels);
}

void metric_remove(struct metric_registry *reg, struct metric *metric)
{
    if (metric == NULL)
        return;
    if (reg != NULL) {
        pthread_mutex_lock(&reg->lock);
        struct metric_family *family = metric->family;
        ASSERT(family != NULL);
        size_t i = 0;
        while (i < family->series.len && family->series.at[i] != metric)
            i++;
        vec_remove(&family->series, i);
        pthread_mutex_unlock(&reg->lock);
    }
    metric_series_free(metric);
}

void metric_add(struct metric *metric, int64_t n)
{
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

size_t metric_bucket(int64_t value)
{
    if (value < METRIC_SUB)
        return value < 0 ? 0 : (size_t)value;
    int exp = 63 - __builtin_clzll((uint64_t)value);
    if (exp > METRIC_EXP_MAX)
        return METRIC_BUCKETS - 1;
    size_t sub = (size_t)(value >> (exp - METRIC_SUB_BITS)) & (METRIC_SUB - 1);
    return (size_t)(exp - METRIC_SUB_BITS + 1) * METRIC_SUB + sub;
}

int64_t metric_bucket_max(size_t bucket)
{
    if (bucket < METRIC_SUB)
        return (int64_t)bucket;
    int shift = (int)(bucket / METRIC_SUB) - 1;
    int64_t first = ((int64_t)(bucket % METRIC_SUB) + METRIC_SUB) << shift;
    return first + ((int64_t)1 << shift) - 1;
}

void metric_observe(struct metric *metric, int64_t value)
{
    struct metric_histogram *histogram = metric->histogram;
    ASSERT(histogram != NULL);
    if (value < 0)
        value = 0; /* a clock that was set back */
    atomic_fetch_add_explicit(&histogram->counts[metric_bucket(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
    int64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (value > max && !atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
                                                                 memory_order_relaxed, memory_order_relaxed))
        ;
}

uint64_t metric_histogram_copy(const struct metric_histogram *histogram, uint64_t counts[METRIC_BUCKETS])
{
    uint64_t total = 0;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        total += counts[i];
    }
    return total;
}

int64_t metric_counts_quantile(const uint64_t counts[METRIC_BUCKETS], uint64_t total, double q)
{
    if (total == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil(q * (double)total), seen = 0;
    if (rank == 0)
        rank = 1;
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank)
            return metric_bucket_max(i);
    }
    return metric_bucket_max(METRIC_BUCKETS - 1);
}

int64_t metric_value(const struct metric *metric)
{
    if (metric->histogram != NULL) {
        uint64_t counts[METRIC_BUCKETS];
        return (int64_t)metric_histogram_copy(metric->histogram, counts);
    }
    if (metric->call != NULL)
        return metric->call(metric->call_arg);
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

int64_t metric_quantile(const struct metric *metric, double q)
{
    ASSERT(metric->histogram != NULL && q >= 0 && q <= 1);
    uint64_t counts[METRIC_BUCKETS];
    uint64_t total = metric_histogram_copy(metric->histogram, counts);
    int64_t max = atomic_load_explicit(&metric->histogram->max, memory_order_relaxed);
    int64_t value = metric_counts_quantile(counts, total, q);
    return value > max && max > 0 ? max : value;
}
