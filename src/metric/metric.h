/* metric.h - counters, gauges and histograms, and their registry.
 *
 *   metrics.def                            METRIC(rialto_log_bytes_total, COUNTER, "topic", 1, "Bytes appended.")
 *   appended = metric_counter(reg, "rialto_log_bytes_total", LABELS({"topic", "a"}));
 *   metric_add(appended, 120);             any thread: one relaxed atomic add, no lock
 *
 * A family is a row of the table: a name with kind, labels and help; its series differ in the values of labels. The registry
 * owns all; making and
 * removing a series takes a lock, counting does not. Rates are computed by who reads: two snapshots and the
 * time between them. Names follow Prometheus: rialto_<module>_<what>_<unit>[_total]; base units seconds and
 * bytes.
 */
#ifndef RIALTO_METRIC_METRIC_H
#define RIALTO_METRIC_METRIC_H

#include "base/base.h"

struct metric_registry;
struct metric;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
    const char *name;
    const char *value;
};

struct metric_labels {
    const struct metric_label *at;
    size_t len;
};

/* LABELS({"topic", name}, {"partition", "0"}); copied by who gets them. */
#define LABELS(...)                                                              \
    ((struct metric_labels){(const struct metric_label[]){__VA_ARGS__},          \
                            sizeof((const struct metric_label[]){__VA_ARGS__}) / \
                                sizeof(struct metric_label)})
#define NO_LABELS ((struct metric_labels){NULL, 0})

/* A row of the table of metrics. */
struct metric_def {
    const char *name;
    enum metric_kind kind;
    const char *labels; /* their names, separated by blanks */
    double scale;       /* of the values that are observed: microseconds in a metric of seconds are 1e-6 */
    const char *help;
};

struct metric_defs {
    const struct metric_def *at;
    size_t count;
};

/* All metrics of the program (metrics.def), by name. */
extern const struct metric_defs metric_defs;

/* "counter", "gauge", "histogram". */
const char *metric_kind_name(enum metric_kind kind);

/* A registry of the program's metrics; `_of`: of other ones, for tests. The table must outlive it. */
struct metric_registry *metric_registry_new(void);
struct metric_registry *metric_registry_of(const struct metric_defs *defs);
void metric_registry_free(struct metric_registry *reg);

/* The series of this name and labels; made if it is not there, the same one if it is. Name, kind and names of labels must
 * be those of a row of the table (asserted); values may be any text. `reg` NULL gives a series that counts and is shown
 * nowhere, freed by
 * metric_remove(NULL, metric). Any thread. */
struct metric *metric_counter(struct metric_registry *reg, const char *name, struct metric_labels labels);
struct metric *metric_gauge(struct metric_registry *reg, const char *name, struct metric_labels labels);

/* A gauge whose value is asked for when it is read: fn runs on the reading thread, under the registry's lock,
 * and must not call the registry. */
struct metric *metric_gauge_call(struct metric_registry *reg, const char *name, struct metric_labels labels,
                                 int64_t (*fn)(void *arg), void *arg);

/* A histogram of non-negative integers, shown multiplied by the scale of its row. Error at most 1/16 of a value. */
struct metric *metric_histogram(struct metric_registry *reg, const char *name, struct metric_labels labels);

/* Removes a series (a topic was deleted). Nobody may count in it any more. NULL is ignored. */
void metric_remove(struct metric_registry *reg, struct metric *metric);

/* Counting. Any thread. */
void metric_add(struct metric *metric, int64_t n);     /* counter (n >= 0), gauge */
void metric_set(struct metric *metric, int64_t value); /* gauge */
void metric_observe(struct metric *metric, int64_t value);

int64_t metric_value(const struct metric *metric); /* counter, gauge; histogram: the number of observations */

/* The value below which a share q (0 to 1) of the observations lies, unscaled; 0 when there are none. */
int64_t metric_quantile(const struct metric *metric, double q);

/* ---- reading ---- */

struct metric_sample {
    struct str name, help;
    enum metric_kind kind;
    struct metric_labels labels;
    int64_t value;  /* counter, gauge */
    uint64_t count; /* histogram: observations, their sum, quantiles, all unscaled */
    int64_t sum, p50, p99, p999, max;
    double scale;
};

/* Calls fn for each series, family by family in order of registration, under the registry's lock. Slices live
 * until fn returns. Any thread. */
void metric_each(struct metric_registry *reg, void (*fn)(const struct metric_sample *sample, void *arg),
                 void *arg);

/* Appends all in Prometheus' text format 0.0.4. Any thread. */
void metric_write_prometheus(struct metric_registry *reg, struct buf *out);

#endif
