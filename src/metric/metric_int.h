/* metric_int.h - private to metric: families, series, bucket arithmetic. */
#ifndef RIALTO_METRIC_METRIC_INT_H
#define RIALTO_METRIC_METRIC_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "metric/metric.h"

enum {
    METRIC_SUB_BITS = 4, /* 16 linear buckets a power of two: a value is known to 1/16 */
    METRIC_SUB = 1 << METRIC_SUB_BITS,
    METRIC_EXP_MAX = 42, /* greater values count in the last bucket */
    METRIC_BUCKETS = (METRIC_EXP_MAX - METRIC_SUB_BITS + 2) * METRIC_SUB,
};

struct metric_histogram {
    _Atomic int64_t sum, max;
    _Atomic uint64_t counts[METRIC_BUCKETS];
};

struct metric {
    struct metric_family *family;
    struct metric_labels labels;
    int64_t (*call)(void *arg);
    void *call_arg;
    struct metric_histogram *histogram; /* NULL unless the family is one */
    _Alignas(64) _Atomic int64_t value; /* a line of its own: two hot counters do not slow each other */
};

struct metric_family {
    const struct metric_def *def;
    vec(struct metric *) series;
};

struct metric_registry {
    const struct metric_defs *defs;
    pthread_mutex_t lock; /* families and their series; not the values */
    vec(struct metric_family *) families;
    struct map by_name;
};

/* The row of this name; NULL when there is none, or kind or labels are others. */
const struct metric_def *metric_def_find(const struct metric_defs *table, const char *name,
                                         enum metric_kind kind, struct metric_labels labels);

/* Bucket of a value, and the greatest value that falls into a bucket. */
size_t metric_bucket(int64_t value);
int64_t metric_bucket_max(size_t bucket);

/* A copy of all counts at about one moment; returns their sum. */
uint64_t metric_histogram_copy(const struct metric_histogram *histogram, uint64_t counts[METRIC_BUCKETS]);

/* The value at share q of `total` observations. */
int64_t metric_counts_quantile(const uint64_t counts[METRIC_BUCKETS], uint64_t total, double q);

#endif
