/* assign_simple.c - the assignor "simple" of share groups (KIP-932): a partition may go to several members.
 *
 *   3 partitions, 2 members:  a: 0 2    b: 1            as consumers
 *   2 partitions, 3 members:  a: 0 1    b: 0    c: 1    each partition has 2 places, ceil(members / partitions)
 *
 *   1. keep     what a member had and still subscribes to, up to its share
 *   2. fill     a place of a partition goes to the subscriber with least
 *   3. nobody is left out: neither a partition without member nor a member without partition
 *
 * (M1) Every partition of a subscribed topic has a member, every member that subscribes to a topic has a partition.
 * (M2) All alike: sizes differ by one at most, and a partition moves only when its member has more than its share or is gone.
 */
#include "group/assign_int.h"

struct place {
    const struct assign_topic *topic;
    int32_t partition;
    uint32_t taken;
};

struct simple {
    struct assign_member *members;
    struct place *places;
    size_t place_count;
    uint32_t each;       /* members a partition */
    size_t share, extra; /* partitions a member; so many may have one more */
    struct arena *arena;
};

static bool has(const struct assign_member *member, const struct place *place)
{
    for (size_t i = 0; i < member->target.len; i++)
        if (member->target.at[i].partition == place->partition &&
            uuid_eq(member->target.at[i].topic, place->topic->topic->id))
            return true;
    return false;
}

static void give(struct simple *s, struct place *place, struct assign_member *member)
{
    if (member->target.len == s->share && s->extra > 0)
        s->extra--;
    place->taken++;
    assign_give(member, place->topic->topic->id, place->partition, s->arena);
}

/* The topics' partitions, each a place for some members. */
static void lay_out(struct simple *s, size_t member_count)
{
    size_t topic_count, readers = 0, count = 0;
    struct assign_topic *topics = assign_topics(s->members, member_count, &topic_count, s->arena);
    for (size_t i = 0; i < topic_count; i++)
        count += (size_t)topics[i].topic->partition_count;
    for (size_t i = 0; i < member_count; i++)
        readers += s->members[i].topics.len != 0;
    s->places = arena_array(s->arena, struct place, count);
    for (size_t i = 0; i < topic_count; i++)
        for (int32_t p = 0; p < topics[i].topic->partition_count; p++)
            s->places[s->place_count++] = (struct place){&topics[i], p, 0};
    if (count == 0)
        return;
    s->each = (uint32_t)((readers + count - 1) / count);
    s->share = count * s->each / readers;
    s->extra = count * s->each % readers;
}

/* `most` is the share, then one more for those who had it as long as there are extra ones. */
static void keep(struct simple *s, bool extra)
{
    for (size_t i = 0; i < s->place_count; i++) {
        struct place *place = &s->places[i];
        for (size_t j = 0; j < place->topic->member_count && place->taken < s->each; j++) {
            struct assign_member *member = &s->members[place->topic->members[j]];
            bool room =
                member->target.len < s->share || (extra && s->extra > 0 && member->target.len == s->share);
            if (room && part_set_find(member->current, place->topic->topic->id, place->partition) != NULL &&
                !has(member, place))
                give(s, place, member);
        }
    }
}

/* The subscriber with least that does not have the partition and, unless all may, has room; NULL: none. */
static struct assign_member *least(const struct simple *s, const struct place *place, bool all)
{
    struct assign_member *best = NULL;
    for (size_t j = 0; j < place->topic->member_count; j++) {
        struct assign_member *member = &s->members[place->topic->members[j]];
        bool room = all || member->target.len < s->share + (s->extra > 0);
        if (room && (best == NULL || member->target.len < best->target.len) && !has(member, place))
            best = member;
    }
    return best;
}

static void fill(struct simple *s)
{
    for (size_t i = 0; i < s->place_count; i++) {
        struct assign_member *member;
        while (s->places[i].taken < s->each && (member = least(s, &s->places[i], false)) != NULL)
            give(s, &s->places[i], member);
        if (s->places[i].taken == 0 && (member = least(s, &s->places[i], true)) != NULL)
            give(s, &s->places[i], member);
    }
}

/* A partition that fewest have, for a member that got none. */
static void admit(struct simple *s, struct assign_member *member)
{
    struct place *best = NULL;
    for (size_t i = 0; i < s->place_count; i++)
        if (topic_list_has(&member->topics, s->places[i].topic->topic->id) &&
            (best == NULL || s->places[i].taken < best->taken))
            best = &s->places[i];
    if (best != NULL)
        give(s, best, member);
}

void assign_simple(struct assign_member *members, size_t count, struct arena *arena)
{
    struct simple s = {.members = members, .arena = arena};
    assign_sort(members, count);
    lay_out(&s, count);
    keep(&s, false);
    keep(&s, true);
    fill(&s);
    for (size_t i = 0; i < count; i++) {
        if (members[i].target.len == 0)
            admit(&s, &members[i]);
        part_set_sort(&members[i].target);
    }
}
