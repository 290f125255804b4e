/* assign_range.c - the assignor "range": of each topic a run of partitions to each member, and of topics that belong
 * together the same numbers to the same member.
 *
 *   topics of 4 partitions, members a, b, c:   a: 0 1   b: 2   c: 3        in every topic of that size and those members
 *
 * Topics with as many partitions and the same subscribers are one class and get one division of the numbers, so that their
 * partitions can be joined. A member keeps the lowest numbers that it had in the class, up to its share; what is over goes
 * to the others in runs.
 *
 * (E1) Shares differ by one at most; who had more than the least keeps the extra one first.
 */
#include "group/assign_int.h"

/* Topics that are alike, one after the other. */
struct range_class {
    const struct assign_topic *topics;
    size_t topic_count;
    struct assign_member *members;
};

static int by_class(const void *a, const void *b)
{
    const struct assign_topic *x = a, *y = b;
    if (x->topic->partition_count != y->topic->partition_count)
        return x->topic->partition_count < y->topic->partition_count ? -1 : 1;
    if (x->member_count != y->member_count)
        return x->member_count < y->member_count ? -1 : 1;
    int order = memcmp(x->members, y->members, x->member_count * sizeof x->members[0]);
    return order != 0 ? order : memcmp(x->topic->id.bytes, y->topic->id.bytes, sizeof x->topic->id.bytes);
}

static bool same_class(const struct assign_topic *a, const struct assign_topic *b)
{
    return a->topic->partition_count == b->topic->partition_count && a->member_count == b->member_count &&
           memcmp(a->members, b->members, a->member_count * sizeof a->members[0]) == 0;
}

/* Who has each number now, by the first topic of the class in which anybody has anything: place among the subscribers + 1,
 * 0 nobody. */
static void fill_holders(const struct range_class *class, uint32_t *holders)
{
    for (size_t t = 0; t < class->topic_count; t++) {
        const struct assign_topic *topic = &class->topics[t];
        bool any = false;
        for (size_t i = 0; i < topic->member_count; i++) {
            const struct part_set *current = class->members[topic->members[i]].current;
            for (size_t j = 0; j < current->len; j++) {
                const struct topic_part *part = &current->at[j];
                if (!uuid_eq(part->topic, topic->topic->id) ||
                    part->partition >= topic->topic->partition_count)
                    continue;
                holders[part->partition] = (uint32_t)i + 1;
                any = true;
            }
        }
        if (any)
            return;
    }
}

/* Shares of the subscribers (E1). */
static void fill_shares(const uint32_t *holders, size_t part_count, uint32_t *shares, size_t member_count,
                        uint32_t *had)
{
    uint32_t least = (uint32_t)(part_count / member_count);
    size_t extras = part_count % member_count;
    for (size_t p = 0; p < part_count; p++)
        if (holders[p] != 0)
            had[holders[p] - 1]++;
    for (size_t i = 0; i < member_count; i++) {
        bool extra = extras > 0 && had[i] > least;
        shares[i] = least + extra;
        extras -= extra;
    }
    for (size_t i = 0; i < member_count && extras > 0; i++) {
        if (shares[i] == least) {
            shares[i]++;
            extras--;
        }
    }
}

/* Divides the numbers of a class and gives them in each of its topics. */
static void assign_class(const struct range_class *class, struct arena *arena)
{
    const struct assign_topic *first = &class->topics[0];
    size_t part_count = (size_t)first->topic->partition_count, member_count = first->member_count, next = 0;
    uint32_t *holders = arena_array(arena, uint32_t, part_count);
    uint32_t *shares = arena_array(arena, uint32_t, member_count);
    uint32_t *had = arena_array(arena, uint32_t, member_count);
    fill_holders(class, holders);
    fill_shares(holders, part_count, shares, member_count, had);
    for (size_t p = 0; p < part_count; p++) { /* kept: the lowest numbers, up to the share */
        uint32_t holder = holders[p];
        if (holder != 0 && shares[holder - 1] > 0)
            shares[holder - 1]--;
        else
            holders[p] = 0;
    }
    for (size_t p = 0; p < part_count; p++) {
        while (holders[p] == 0 && shares[next] == 0)
            next++;
        if (holders[p] == 0) {
            holders[p] = (uint32_t)next + 1;
            shares[next]--;
        }
    }
    for (size_t t = 0; t < class->topic_count; t++)
        for (size_t p = 0; p < part_count; p++)
            assign_give(&class->members[class->topics[t].members[holders[p] - 1]], class->topics[t].topic->id,
                        (int32_t)p, arena);
}

void assign_range(struct assign_member *members, size_t count, struct arena *arena)
{
    size_t topic_count;
    assign_sort(members, count);
    struct assign_topic *topics = assign_topics(members, count, &topic_count, arena);
    if (topic_count > 1)
        qsort(topics, topic_count, sizeof topics[0], by_class);
    for (size_t from = 0, to; from < topic_count; from = to) {
        for (to = from + 1; to < topic_count && same_class(&topics[from], &topics[to]);)
            to++;
        struct range_class class = {&topics[from], to - from, members};
        assign_class(&class, arena);
    }
    for (size_t i = 0; i < count; i++)
        part_set_sort(&members[i].target);
}
