/* write.c - reading the registry: samples, Prometheus' text format 0.0.4.
 *
 * Prometheus' buckets are cumulative with inclusive bounds. Of the fine buckets it gets every second power of
 * two, which fall on bucket edges, so its counts are exact.
 */
#include <stdio.h>

#include "metric/metric_int.h"

enum { BOUND_FIRST = 4, BOUND_LAST = 36, BOUND_STEP = 2 };

static void sample_fill(struct metric_sample *sample, const struct metric_family *family,
                        const struct metric *metric)
{
    *sample = (struct metric_sample){.name = str_from(family->def->name),
                                     .help = str_from(family->def->help),
                                     .kind = family->def->kind,
                                     .labels = metric->labels,
                                     .scale = family->def->scale};
    if (family->def->kind != METRIC_HISTOGRAM) {
        sample->value = metric_value(metric);
        return;
    }
    uint64_t counts[METRIC_BUCKETS];
    sample->count = metric_histogram_copy(metric->histogram, counts);
    sample->sum = atomic_load_explicit(&metric->histogram->sum, memory_order_relaxed);
    sample->max = atomic_load_explicit(&metric->histogram->max, memory_order_relaxed);
    sample->p50 = MIN(metric_counts_quantile(counts, sample->count, 0.5), sample->max);
    sample->p99 = MIN(metric_counts_quantile(counts, sample->count, 0.99), sample->max);
    sample->p999 = MIN(metric_counts_quantile(counts, sample->count, 0.999), sample->max);
}

void metric_each(struct metric_registry *reg, void (*fn)(const struct metric_sample *sample, void *arg),
                 void *arg)
{
    pthread_mutex_lock(&reg->lock);
    for (size_t i = 0; i < reg->families.len; i++) {
        const struct metric_family *family = reg->families.at[i];
        for (size_t j = 0; j < family->series.len; j++) {
            struct metric_sample sample;
            sample_fill(&sample, family, family->series.at[j]);
            fn(&sample, arg);
        }
    }
    pthread_mutex_unlock(&reg->lock);
}

/* Help texts escape backslash and line feed, label values the quote too. */
static void write_escaped(struct buf *out, const char *text, bool quote)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            buf_append_cstr(out, "\\\\");
        else if (*text == '\n')
            buf_append_cstr(out, "\\n");
        else if (*text == '"' && quote)
            buf_append_cstr(out, "\\\"");
        else
            buf_append_char(out, *text);
    }
}

/* name{labels,le="bound"}; `bound` NULL leaves le out. */
static void write_series(struct buf *out, const char *name, const char *suffix, struct metric_labels labels,
                         const char *bound)
{
    buf_printf(out, "%s%s", name, suffix);
    const char *separator = "{";
    for (size_t i = 0; i < labels.len; i++) {
        buf_printf(out, "%s%s=\"", separator, labels.at[i].name);
        write_escaped(out, labels.at[i].value, true);
        buf_append_char(out, '"');
        separator = ",";
    }
    if (bound != NULL) {
        buf_printf(out, "%sle=\"%s\"", separator, bound);
        separator = ",";
    }
    buf_append_cstr(out, *separator == ',' ? "} " : " ");
}

static void write_histogram(struct buf *out, const struct metric_family *family, const struct metric *metric)
{
    uint64_t counts[METRIC_BUCKETS], below = 0;
    uint64_t total = metric_histogram_copy(metric->histogram, counts);
    size_t at = 0;
    for (int exp = BOUND_FIRST; exp <= BOUND_LAST; exp += BOUND_STEP) {
        int64_t bound = ((int64_t)1 << exp) - 1;
        for (; at < METRIC_BUCKETS && metric_bucket_max(at) <= bound; at++)
            below += counts[at];
        char text[32];
        snprintf(text, sizeof text, "%.12g", (double)bound * family->def->scale);
        write_series(out, family->def->name, "_bucket", metric->labels, text);
        buf_printf(out, "%" PRIu64 "\n", below);
    }
    write_series(out, family->def->name, "_bucket", metric->labels, "+Inf");
    buf_printf(out, "%" PRIu64 "\n", total);
    int64_t sum = atomic_load_explicit(&metric->histogram->sum, memory_order_relaxed);
    write_series(out, family->def->name, "_sum", metric->labels, NULL);
    buf_printf(out, "%.12g\n", (double)sum * family->def->scale);
    write_series(out, family->def->name, "_count", metric->labels, NULL);
    buf_printf(out, "%" PRIu64 "\n", total);
}

void metric_write_prometheus(struct metric_registry *reg, struct buf *out)
{
    pthread_mutex_lock(&reg->lock);
    for (size_t i = 0; i < reg->families.len; i++) {
        const struct metric_family *family = reg->families.at[i];
        if (family->series.len == 0)
            continue;
        buf_printf(out, "# HELP %s ", family->def->name);
        write_escaped(out, family->def->help, false);
        buf_printf(out, "\n# TYPE %s %s\n", family->def->name, metric_kind_name(family->def->kind));
        for (size_t j = 0; j < family->series.len; j++) {
            const struct metric *metric = family->series.at[j];
            if (family->def->kind == METRIC_HISTOGRAM) {
                write_histogram(out, family, metric);
                continue;
            }
            write_series(out, family->def->name, "", metric->labels, NULL);
            buf_printf(out, "%" PRId64 "\n", metric_value(metric));
        }
    }
    pthread_mutex_unlock(&reg->lock);
}
