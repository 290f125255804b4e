/* assign.c - what the assignors share: order of members, topics with their subscribers, growing targets. */
#include "group/assign_int.h"

static int by_place(const void *a, const void *b)
{
    const struct assign_member *x = a, *y = b;
    bool static_x = !str_is_null(x->instance_id), static_y = !str_is_null(y->instance_id);
    if (static_x != static_y)
        return static_x ? -1 : 1;
    int order = static_x ? str_cmp(x->instance_id, y->instance_id) : 0;
    return order != 0 ? order : str_cmp(x->id, y->id);
}

void assign_sort(struct assign_member *members, size_t count)
{
    if (count > 1)
        qsort(members, count, sizeof members[0], by_place);
}

struct assign_topic *assign_topics(const struct assign_member *members, size_t count, size_t *topic_count,
                                   struct arena *arena)
{
    struct map by_name = {0}; /* name -> index + 1 */
    vec(struct assign_topic) topics = {0};
    for (int pass = 0; pass < 2; pass++) { /* count subscribers, then note them */
        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < members[i].topics.len; j++) {
                const struct subscribed_topic *topic = members[i].topics.at[j];
                size_t at = (size_t)(uintptr_t)map_get(&by_name, topic->name);
                if (at == 0) {
                    vec_push(&topics, (struct assign_topic){.topic = topic});
                    at = topics.len;
                    map_put(&by_name, topic->name, (void *)(uintptr_t)at);
                }
                struct assign_topic *row = &topics.at[at - 1];
                if (pass == 1)
                    row->members[row->member_count] = (uint32_t)i;
                row->member_count++;
            }
        }
        for (size_t t = 0; t < topics.len && pass == 0; t++) {
            topics.at[t].members = arena_array(arena, uint32_t, topics.at[t].member_count);
            topics.at[t].member_count = 0;
        }
    }
    struct assign_topic *out = arena_dup(arena, topics.at, topics.len * sizeof topics.at[0]);
    *topic_count = topics.len;
    vec_fini(&topics);
    map_fini(&by_name);
    return out;
}

void assign_give(struct assign_member *member, struct uuid topic, int32_t partition, struct arena *arena)
{
    struct part_set *target = &member->target;
    if (target->len == member->target_cap) {
        struct topic_part *old = target->at;
        member->target_cap = MAX(member->target_cap * 2, (size_t)8);
        target->at = arena_array(arena, struct topic_part, member->target_cap);
        if (target->len != 0)
            memcpy(target->at, old, target->len * sizeof old[0]);
    }
    target->at[target->len++] = (struct topic_part){topic, partition, 0};
}
