/* describe_int.h - private to src/group: what administrators are told alike of consumer, share and streams groups. The messages
 * are alike but for the names of their types, hence macros. What is told of a classic group is admin.c's alone.
 */
#ifndef RIALTO_GROUP_DESCRIBE_INT_H
#define RIALTO_GROUP_DESCRIBE_INT_H

#include "group/consumer_int.h"

/* Copies in the arena; of a null text an empty one (admin.c). */
struct str describe_str(struct str text, struct arena *arena);
struct str *describe_names(const struct str *names, size_t count, struct arena *arena);

/* The group of this kind that an administrator asks for. NULL with *code and *message: the name is empty, or there is none. */
const struct consumer_group *group_to_describe(const struct groups *groups, struct str name,
                                               enum group_kind kind, struct arena *arena, int16_t *code,
                                               struct str *message);

/* Answers the request of an API: `describe` fills the row of one group. */
#define DESCRIBE_GROUPS(api, groups, call, describe)                                                       \
    do {                                                                                                   \
        const struct api##Request *req_ = (call)->req;                                                     \
        struct api##Response *res_ = (call)->res;                                                          \
        WIRE_ALLOC((call)->arena, res_->Groups, api##Response_DescribedGroup, MAX(req_->GroupIds.len, 0)); \
        for (int32_t i_ = 0; i_ < req_->GroupIds.len; i_++)                                                \
            describe((groups), req_->GroupIds.at[i_], (call)->arena, &res_->Groups.at[i_]);                \
    } while (0)

#define DESCRIBE_GROUP(out, consumer)                                \
    do {                                                             \
        (out)->GroupState = str_from(consumer_state_name(consumer)); \
        (out)->GroupEpoch = (consumer)->epoch;                       \
        (out)->AssignmentEpoch = (consumer)->target_epoch;           \
    } while (0)

#define DESCRIBE_MEMBER(out, member, arena)                               \
    do {                                                                  \
        (out)->MemberId = str_dup((member)->id, (arena));                 \
        (out)->RackId = str_dup((member)->rack_id, (arena));              \
        (out)->MemberEpoch = (member)->epoch;                             \
        (out)->ClientId = describe_str((member)->client_id, (arena));     \
        (out)->ClientHost = describe_str((member)->client_host, (arena)); \
    } while (0)

#define DESCRIBE_SUBSCRIPTION(out, member, arena)                                 \
    do {                                                                          \
        (out)->SubscribedTopicNames.at =                                          \
            describe_names((member)->topics->at, (member)->topics->len, (arena)); \
        (out)->SubscribedTopicNames.len = (int32_t)(member)->topics->len;         \
    } while (0)

/* Fills an array field {TopicId, TopicName, Partitions} of struct T; topics that are gone have no name to show. */
#define DESCRIBE_PARTS(groups, set, array, T, arena)                                      \
    do {                                                                                  \
        const struct group_topics *topics_ = (groups)->options.topics;                    \
        int32_t kept_ = 0;                                                                \
        PART_SET_WRITE((set), (array), T, (arena));                                       \
        for (int32_t i_ = 0; i_ < (array).len; i_++) {                                    \
            struct T *topic_ = &(array).at[i_];                                           \
            topic_->TopicName = topics_->name_of(topics_->arg, topic_->TopicId, (arena)); \
            if (!str_is_null(topic_->TopicName))                                          \
                (array).at[kept_++] = *topic_;                                            \
        }                                                                                 \
        (array).len = kept_;                                                              \
    } while (0)

#endif
