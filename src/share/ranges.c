/* ranges.c - what is in flight, run by run.
 *
 *   set [12..16] Acknowledged:
 *   [10..14 Acquired] [15..19 Available]  ->  [10..11 Acquired] [12..16 Acknowledged] [17..19 Available]
 *
 * One sorted array: groups work near its front, limits keep it at some thousand offsets, and neighbours that are alike are
 * one range. Decided against: an entry an offset, or a tree.
 */
#include "share/share_int.h"

size_t share_ranges_find(const struct share_ranges *ranges, int64_t offset)
{
    size_t low = 0, high = ranges->list.len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ranges->list.at[mid].last < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void insert(struct share_ranges *ranges, size_t at, const struct share_range *range)
{
    struct share_range copy = *range;
    vec_reserve(&ranges->list, ranges->list.len + 1);
    memmove(&ranges->list.at[at + 1], &ranges->list.at[at], (ranges->list.len - at) * sizeof copy);
    ranges->list.at[at] = copy;
    ranges->list.len++;
}

static void remove_run(struct share_ranges *ranges, size_t from, size_t to)
{
    if (from == to)
        return;
    memmove(&ranges->list.at[from], &ranges->list.at[to],
            (ranges->list.len - to) * sizeof ranges->list.at[0]);
    ranges->list.len -= to - from;
}

/* Makes a range begin at the offset, if one holds it; gives the index of the first range from there on. */
static size_t split(struct share_ranges *ranges, int64_t offset)
{
    size_t at = share_ranges_find(ranges, offset);
    if (at == ranges->list.len || ranges->list.at[at].first >= offset)
        return at;
    struct share_range head = ranges->list.at[at];
    head.last = offset - 1;
    ranges->list.at[at].first = offset;
    insert(ranges, at, &head);
    return at + 1;
}

static bool alike(const struct share_range *a, const struct share_range *b)
{
    return a->state == b->state && a->delivery_count == b->delivery_count && a->holder == b->holder &&
           a->lock_ms == b->lock_ms;
}

/* Joins a range with the one before it when they are alike. */
static void join(struct share_ranges *ranges, size_t at)
{
    if (at == 0 || at >= ranges->list.len || !alike(&ranges->list.at[at - 1], &ranges->list.at[at]))
        return;
    ranges->list.at[at - 1].last = ranges->list.at[at].last;
    remove_run(ranges, at, at + 1);
}

void share_ranges_set(struct share_ranges *ranges, int64_t start, int64_t first, int64_t last,
                      const struct share_range *as)
{
    int64_t end = ranges->list.len != 0 ? vec_last(&ranges->list).last + 1 : start;
    ASSERT(start <= first && first <= last && last < INT64_MAX);
    if (first > end) {
        struct share_range hole = {.first = end, .last = first - 1, .state = SHARE_AVAILABLE};
        insert(ranges, ranges->list.len, &hole);
        join(ranges, ranges->list.len - 1);
    }
    size_t from = split(ranges, first), to = split(ranges, last + 1);
    struct share_range range = *as;
    range.first = first;
    range.last = last;
    if (from == to)
        insert(ranges, from, &range);
    else {
        ranges->list.at[from] = range;
        remove_run(ranges, from + 1, to);
    }
    join(ranges, from + 1);
    join(ranges, from);
}

void share_ranges_drop(struct share_ranges *ranges, int64_t offset)
{
    remove_run(ranges, 0, split(ranges, offset));
}

int64_t share_ranges_done_until(const struct share_ranges *ranges, int64_t start)
{
    for (size_t i = share_ranges_find(ranges, start);
         i < ranges->list.len && share_range_is_done(&ranges->list.at[i]); i++)
        start = ranges->list.at[i].last + 1;
    return start;
}

void share_ranges_copy(struct share_ranges *to, const struct share_ranges *from)
{
    *to = (struct share_ranges){0};
    vec_reserve(&to->list, from->list.len + 1);
    if (from->list.len != 0)
        memcpy(to->list.at, from->list.at, from->list.len * sizeof from->list.at[0]);
    to->list.len = from->list.len;
}
