/* assign_int.h - what the two assignors share (assign.c). */
#ifndef RIALTO_GROUP_ASSIGN_INT_H
#define RIALTO_GROUP_ASSIGN_INT_H

#include "group/consumer_int.h"

/* A topic and its subscribers, by their place among the members. */
struct assign_topic {
    const struct subscribed_topic *topic;
    uint32_t *members;
    size_t member_count;
};

/* Static members first, by instance id, so that one which restarts under a new id keeps its place; then by id. */
void assign_sort(struct assign_member *members, size_t count);

/* All topics that somebody subscribes to. */
struct assign_topic *assign_topics(const struct assign_member *members, size_t count, size_t *topic_count,
                                   struct arena *arena);

/* Adds a partition to a member's target; part_set_sort comes at the end. */
void assign_give(struct assign_member *member, struct uuid topic, int32_t partition, struct arena *arena);

#endif
