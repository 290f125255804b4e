/* assign_uniform.c - the assignor "uniform": as even as can be over all partitions, moving as few as that needs.
 *
 *   1. keep     what a member had and still subscribes to, up to its share
 *   2. fill     partitions of nobody go to the subscriber with least
 *   3. balance  while a topic has a subscriber with two more than another one, one partition of it moves
 *
 * When all subscribe to the same, shares are known at once (the least, or one more), and step 3 has nothing to do; then the
 * whole costs one pass over the partitions. Otherwise step 1 keeps everything and step 3 evens out.
 *
 * (O1) Every partition of a subscribed topic has one member. (O2) All alike: sizes differ by one at most, and a partition
 * moves only when its member has more than its share or is gone.
 */
#include "group/assign_int.h"

/* The members at work. */
struct uniform {
    struct assign_member *members;
    size_t count;
    size_t *share; /* most that a member may keep */
    struct arena *arena;
    struct map held; /* 20 bytes of topic and partition: it is somebody's */
};

static struct str key_of(struct uuid topic, int32_t partition, char key[20])
{
    memcpy(key, topic.bytes, 16);
    store_be32(key + 16, (uint32_t)partition);
    return str_of(key, 20);
}

/* Lists that are alike are one (see target.c); an empty one may lie where another begins. */
static bool all_alike(const struct assign_member *members, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (members[i].topics.at != members[0].topics.at || members[i].topics.len != members[0].topics.len)
            return false;
    return true;
}

static size_t parts_of(const struct topic_list *topics)
{
    size_t total = 0;
    for (size_t i = 0; i < topics->len; i++)
        total += (size_t)topics->at[i]->partition_count;
    return total;
}

static bool may_have(const struct assign_member *member, const struct topic_part *part)
{
    struct subscribed_topic wanted = {.id = part->topic};
    for (size_t low = 0, high = member->topics.len; low < high;) {
        size_t mid = (low + high) / 2;
        int order = memcmp(member->topics.at[mid]->id.bytes, wanted.id.bytes, sizeof wanted.id.bytes);
        if (order == 0)
            return part->partition < member->topics.at[mid]->partition_count;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* Shares when all subscribe to the same: those who have most already get the extra ones. */
static void share_out(struct uniform *u)
{
    size_t total = parts_of(&u->members[0].topics), least = total / u->count, extras = total % u->count;
    for (size_t i = 0; i < u->count; i++) {
        size_t had = 0;
        for (size_t j = 0; j < u->members[i].current->len; j++)
            had += may_have(&u->members[i], &u->members[i].current->at[j]);
        bool extra = extras > 0 && had > least;
        u->share[i] = least + extra;
        extras -= extra;
    }
    for (size_t i = 0; i < u->count && extras > 0; i++) {
        if (u->share[i] == least) {
            u->share[i]++;
            extras--;
        }
    }
}

static void give(struct uniform *u, size_t member, struct uuid topic, int32_t partition)
{
    char key[20];
    assign_give(&u->members[member], topic, partition, u->arena);
    map_put(&u->held, key_of(topic, partition, key), u);
}

static void keep(struct uniform *u)
{
    char key[20];
    for (size_t i = 0; i < u->count; i++) {
        struct assign_member *member = &u->members[i];
        for (size_t j = 0; j < member->current->len && member->target.len < u->share[i]; j++) {
            const struct topic_part *part = &member->current->at[j];
            if (may_have(member, part) && !map_has(&u->held, key_of(part->topic, part->partition, key)))
                give(u, i, part->topic, part->partition);
        }
    }
}

/* --- all alike --- */

static void fill_shares(struct uniform *u)
{
    char key[20];
    size_t next = 0;
    const struct topic_list *topics = &u->members[0].topics;
    for (size_t t = 0; t < topics->len; t++)
        for (int32_t p = 0; p < topics->at[t]->partition_count; p++) {
            if (map_has(&u->held, key_of(topics->at[t]->id, p, key)))
                continue;
            while (u->members[next].target.len >= u->share[next])
                next++;
            give(u, next, topics->at[t]->id, p);
        }
}

/* --- different subscriptions --- */

static size_t least_loaded(const struct uniform *u, const struct assign_topic *topic)
{
    size_t best = topic->members[0];
    for (size_t i = 1; i < topic->member_count; i++)
        if (u->members[topic->members[i]].target.len < u->members[best].target.len)
            best = topic->members[i];
    return best;
}

/* Topics with few subscribers come first: they have least choice. */
static int by_choice(const void *a, const void *b)
{
    const struct assign_topic *x = a, *y = b;
    if (x->member_count != y->member_count)
        return x->member_count < y->member_count ? -1 : 1;
    return memcmp(x->topic->id.bytes, y->topic->id.bytes, sizeof x->topic->id.bytes);
}

static void fill_topics(struct uniform *u, const struct assign_topic *topics, size_t count)
{
    char key[20];
    for (size_t t = 0; t < count; t++)
        for (int32_t p = 0; p < topics[t].topic->partition_count; p++)
            if (!map_has(&u->held, key_of(topics[t].topic->id, p, key)))
                give(u, least_loaded(u, &topics[t]), topics[t].topic->id, p);
}

/* Takes the partition of the topic that came last out of a member's target; false when it has none. */
static bool take_one(struct uniform *u, size_t member, struct uuid topic, int32_t *partition)
{
    struct part_set *target = &u->members[member].target;
    for (size_t i = target->len; i-- > 0;) {
        if (!uuid_eq(target->at[i].topic, topic))
            continue;
        *partition = target->at[i].partition;
        target->at[i] = target->at[--target->len];
        return true;
    }
    return false;
}

static bool has_topic(const struct assign_member *member, struct uuid topic)
{
    for (size_t i = 0; i < member->target.len; i++)
        if (uuid_eq(member->target.at[i].topic, topic))
            return true;
    return false;
}

/* The subscriber with most partitions among those that have one of the topic; SIZE_MAX: nobody has two more than `least`. */
static size_t most_loaded(const struct uniform *u, const struct assign_topic *topic, size_t least)
{
    size_t best = SIZE_MAX, most = u->members[least].target.len + 1;
    for (size_t i = 0; i < topic->member_count; i++) {
        const struct assign_member *member = &u->members[topic->members[i]];
        if (member->target.len <= most || !has_topic(member, topic->topic->id))
            continue;
        best = topic->members[i];
        most = member->target.len;
    }
    return best;
}

/* Every move makes the sum of squares of the sizes smaller, so this ends. */
static void balance(struct uniform *u, const struct assign_topic *topics, size_t count)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t t = 0; t < count; t++) {
            size_t least, from;
            int32_t partition;
            while ((least = least_loaded(u, &topics[t]), from = most_loaded(u, &topics[t], least)) !=
                   SIZE_MAX) {
                if (!take_one(u, from, topics[t].topic->id, &partition))
                    break;
                give(u, least, topics[t].topic->id, partition);
                moved = true;
            }
        }
    }
}

void assign_uniform(struct assign_member *members, size_t count, struct arena *arena)
{
    struct uniform u = {.members = members, .count = count, .arena = arena};
    assign_sort(members, count);
    u.share = arena_array(arena, size_t, count);
    for (size_t i = 0; i < count; i++)
        u.share[i] = SIZE_MAX;
    if (all_alike(members, count)) {
        share_out(&u);
        keep(&u);
        fill_shares(&u);
    } else {
        size_t topic_count;
        struct assign_topic *topics = assign_topics(members, count, &topic_count, arena);
        if (topic_count > 1)
            qsort(topics, topic_count, sizeof topics[0], by_choice);
        keep(&u);
        fill_topics(&u, topics, topic_count);
        balance(&u, topics, topic_count);
    }
    for (size_t i = 0; i < count; i++)
        part_set_sort(&members[i].target);
    map_fini(&u.held);
}
