/* defs.c - the table of the program's metrics. */
#include "metric/metric_int.h"

static const struct metric_def defs[] = {
#define METRIC(name, kind, labels, scale, help) {#name, METRIC_##kind, labels, scale, help},
#include "metric/metrics.def"
#undef METRIC
};

const struct metric_defs metric_defs = {defs, COUNT_OF(defs)};

const char *metric_kind_name(enum metric_kind kind)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[kind];
}

/* Are these the labels that the row names, in its order? */
static bool labels_fit(const struct metric_def *def, struct metric_labels labels)
{
    struct str rest = str_from(def->labels), name;
    size_t count = 0;
    while (str_split(&rest, ' ', &name) && name.len != 0)
        if (count == labels.len || !str_eq_cstr(name, labels.at[count++].name))
            return false;
    return count == labels.len;
}

const struct metric_def *metric_def_find(const struct metric_defs *table, const char *name,
                                         enum metric_kind kind, struct metric_labels labels)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->at[i].name, name) == 0)
            return table->at[i].kind == kind && labels_fit(&table->at[i], labels) ? &table->at[i] : NULL;
    return NULL;
}
