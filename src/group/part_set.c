/* part_set.c - sets of partitions as sorted arrays (see part_set.h). */
#include "group/part_set.h"

int topic_part_cmp(const struct topic_part *a, const struct topic_part *b)
{
    int order = memcmp(a->topic.bytes, b->topic.bytes, sizeof a->topic.bytes);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare(const void *a, const void *b)
{
    return topic_part_cmp(a, b);
}

const struct topic_part *part_set_find(const struct part_set *set, struct uuid topic, int32_t partition)
{
    struct topic_part wanted = {topic, partition, 0};
    return set->len == 0 ? NULL : bsearch(&wanted, set->at, set->len, sizeof wanted, compare);
}

bool part_set_eq(const struct part_set *a, const struct part_set *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (topic_part_cmp(&a->at[i], &b->at[i]) != 0)
            return false;
    return true;
}

bool part_set_within(const struct part_set *a, const struct part_set *b)
{
    size_t j = 0;
    for (size_t i = 0; i < a->len; i++) {
        while (j < b->len && topic_part_cmp(&b->at[j], &a->at[i]) < 0)
            j++;
        if (j == b->len || topic_part_cmp(&b->at[j], &a->at[i]) != 0)
            return false;
    }
    return true;
}

bool part_set_meets(const struct part_set *a, const struct part_set *b)
{
    for (size_t i = 0, j = 0; i < a->len && j < b->len;) {
        int order = topic_part_cmp(&a->at[i], &b->at[j]);
        if (order == 0)
            return true;
        if (order < 0)
            i++;
        else
            j++;
    }
    return false;
}

struct part_set part_set_filter(const struct part_set *a, const struct part_set *b, bool in,
                                struct arena *arena)
{
    struct part_set out = {arena_array(arena, struct topic_part, a->len), 0};
    size_t j = 0;
    for (size_t i = 0; i < a->len; i++) {
        while (j < b->len && topic_part_cmp(&b->at[j], &a->at[i]) < 0)
            j++;
        bool found = j < b->len && topic_part_cmp(&b->at[j], &a->at[i]) == 0;
        if (found == in)
            out.at[out.len++] = a->at[i];
    }
    return out;
}

struct part_set part_set_union(const struct part_set *a, const struct part_set *b, struct arena *arena)
{
    struct part_set out = {arena_array(arena, struct topic_part, a->len + b->len), 0};
    size_t i = 0, j = 0;
    while (i < a->len || j < b->len) {
        int order = i == a->len ? 1 : j == b->len ? -1 : topic_part_cmp(&a->at[i], &b->at[j]);
        out.at[out.len++] = order <= 0 ? a->at[i] : b->at[j];
        i += order <= 0;
        j += order >= 0;
    }
    return out;
}

void part_set_sort(struct part_set *set)
{
    size_t kept = 0;
    if (set->len > 1)
        qsort(set->at, set->len, sizeof set->at[0], compare);
    for (size_t i = 0; i < set->len; i++)
        if (kept == 0 || topic_part_cmp(&set->at[kept - 1], &set->at[i]) != 0)
            set->at[kept++] = set->at[i];
    set->len = kept;
}

size_t part_set_run(const struct part_set *set, size_t from)
{
    size_t to = from;
    ASSERT(from < set->len);
    while (to < set->len && uuid_eq(set->at[to].topic, set->at[from].topic))
        to++;
    return to;
}

size_t part_set_topics(const struct part_set *set)
{
    size_t count = 0;
    for (size_t from = 0; from < set->len; from = part_set_run(set, from))
        count++;
    return count;
}

struct part_set part_set_own(const struct part_set *set)
{
    struct part_set copy = {NULL, set->len};
    if (set->len != 0)
        copy.at = mem_dup(set->at, set->len * sizeof set->at[0]);
    return copy;
}

void part_set_disown(struct part_set *set)
{
    free(set->at);
    *set = (struct part_set){NULL, 0};
}

int32_t *part_set_numbers(const struct part_set *set, size_t from, size_t to, struct arena *arena)
{
    int32_t *out = arena_array(arena, int32_t, to - from);
    for (size_t i = from; i < to; i++)
        out[i - from] = set->at[i].partition;
    return out;
}

int32_t *part_set_epochs(const struct part_set *set, size_t from, size_t to, struct arena *arena)
{
    int32_t *out = arena_array(arena, int32_t, to - from);
    for (size_t i = from; i < to; i++)
        out[i - from] = set->at[i].epoch;
    return out;
}
