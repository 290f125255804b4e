/* share_record.c - share groups as Kafka's own records in __consumer_offsets, and back. As consumer_record.c, with other types:
 *
 *   type  key            value                                       null value
 *     10  group, member  what it subscribes to, who it is            the member is gone
 *     11  group          group epoch, hash of the topics' metadata   the group is gone
 *     12  group          target epoch and when it was made           no target
 *     13  group, member  its target                                  no target
 *     14  group, member  epoch, assigned                             nothing assigned
 *     15  group          (Apache Kafka: which partitions have state) read and ignored: `share` knows
 */
#include "group/consumer_int.h"

enum {
    TYPE_MEMBER = 10,
    TYPE_EPOCH = 11,
    TYPE_TARGET_EPOCH = 12,
    TYPE_TARGET = 13,
    TYPE_CURRENT = 14,
    TYPE_STATES = 15,
};

/* --- to records --- */

static void add_epoch(struct str group, const struct ShareGroupMetadataValue *value, int64_t now_ms,
                      struct replay_records *out)
{
    struct ShareGroupMetadataKey key = {.GroupId = group};
    replay_add_typed(out, &ShareGroupMetadataKey_message, &key, &ShareGroupMetadataValue_message, 0, value,
                     now_ms);
}

static void record_epoch(struct str group, int32_t epoch, int64_t hash, int64_t now_ms,
                         struct replay_records *out)
{
    add_epoch(group, &(struct ShareGroupMetadataValue){.Epoch = epoch, .MetadataHash = hash}, now_ms, out);
}

static void record_member(struct str group, const struct consumer_member *member, int64_t now_ms,
                          struct replay_records *out)
{
    struct ShareGroupMemberMetadataKey key = {.GroupId = group, .MemberId = member->id};
    struct ShareGroupMemberMetadataValue value = {
        .RackId = member->rack_id,
        .ClientId = member->client_id,
        .ClientHost = member->client_host,
        .SubscribedTopicNames = {(struct str *)member->topics->at, (int32_t)member->topics->len},
    };
    replay_add_typed(out, &ShareGroupMemberMetadataKey_message, &key, &ShareGroupMemberMetadataValue_message,
                     0, &value, now_ms);
}

static void add_target_epoch(struct str group, const struct ShareGroupTargetAssignmentMetadataValue *value,
                             int64_t now_ms, struct replay_records *out)
{
    struct ShareGroupTargetAssignmentMetadataKey key = {.GroupId = group};
    replay_add_typed(out, &ShareGroupTargetAssignmentMetadataKey_message, &key,
                     &ShareGroupTargetAssignmentMetadataValue_message, 0, value, now_ms);
}

static void record_target_epoch(struct str group, int32_t epoch, int64_t now_ms, struct replay_records *out)
{
    struct ShareGroupTargetAssignmentMetadataValue value = {.AssignmentEpoch = epoch,
                                                            .AssignmentTimestamp = now_ms};
    add_target_epoch(group, &value, now_ms, out);
}

static void add_target(struct str group, struct str member,
                       const struct ShareGroupTargetAssignmentMemberValue *value, int64_t now_ms,
                       struct replay_records *out)
{
    struct ShareGroupTargetAssignmentMemberKey key = {.GroupId = group, .MemberId = member};
    replay_add_typed(out, &ShareGroupTargetAssignmentMemberKey_message, &key,
                     &ShareGroupTargetAssignmentMemberValue_message, 0, value, now_ms);
}

static void record_target(struct str group, struct str member, const struct part_set *parts,
                          const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ShareGroupTargetAssignmentMemberValue value = {0};
    PART_SET_WRITE(parts, value.TopicPartitions, ShareGroupTargetAssignmentMemberValue_TopicPartition,
                   &arena);
    add_target(group, member, &value, now_ms, out);
    arena_fini(&arena);
}

static void add_current(struct str group, struct str member,
                        const struct ShareGroupCurrentMemberAssignmentValue *value, int64_t now_ms,
                        struct replay_records *out)
{
    struct ShareGroupCurrentMemberAssignmentKey key = {.GroupId = group, .MemberId = member};
    replay_add_typed(out, &ShareGroupCurrentMemberAssignmentKey_message, &key,
                     &ShareGroupCurrentMemberAssignmentValue_message, 0, value, now_ms);
}

static void record_current(struct str group, const struct consumer_member *member,
                           const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ShareGroupCurrentMemberAssignmentValue value = {
        .MemberEpoch = member->epoch,
        .PreviousMemberEpoch = member->previous_epoch,
        .State = MEMBER_STABLE,
    };
    PART_SET_WRITE(&member->assigned, value.AssignedPartitions,
                   ShareGroupCurrentMemberAssignmentValue_TopicPartitions, &arena);
    add_current(group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

static void record_member_gone(struct str group, struct str member, int64_t now_ms,
                               struct replay_records *out)
{
    struct ShareGroupMemberMetadataKey key = {.GroupId = group, .MemberId = member};
    add_current(group, member, NULL, now_ms, out);
    add_target(group, member, NULL, now_ms, out);
    replay_add_typed(out, &ShareGroupMemberMetadataKey_message, &key, NULL, 0, NULL, now_ms);
}

static void record_gone(struct str group, int64_t now_ms, struct replay_records *out)
{
    add_target_epoch(group, NULL, now_ms, out);
    add_epoch(group, NULL, now_ms, out);
}

const struct consumer_records share_records = {
    .epoch = record_epoch,
    .member = record_member,
    .target_epoch = record_target_epoch,
    .target = record_target,
    .current = record_current,
    .member_gone = record_member_gone,
    .gone = record_gone,
};

/* --- from records --- */

static bool apply_epoch(struct applying *a)
{
    struct ShareGroupMetadataKey key;
    struct ShareGroupMetadataValue value;
    if (!applying_key(a, &ShareGroupMetadataKey_message, &key) ||
        !applying_value(a, &ShareGroupMetadataValue_message, &value))
        return false;
    if (!applying_end(a))
        return apply_group_epoch(a, key.GroupId, KIND_SHARE, value.Epoch, value.MetadataHash);
    apply_gone(a, key.GroupId);
    return true;
}

static bool apply_member(struct applying *a)
{
    struct ShareGroupMemberMetadataKey key;
    struct ShareGroupMemberMetadataValue value;
    if (!applying_key(a, &ShareGroupMemberMetadataKey_message, &key) ||
        !applying_value(a, &ShareGroupMemberMetadataValue_message, &value))
        return false;
    if (applying_end(a)) {
        apply_member_gone(a, key.GroupId, key.MemberId);
        return true;
    }
    struct consumer_member *member = applying_new_member(a, key.GroupId, key.MemberId, KIND_SHARE);
    if (member == NULL)
        return false;
    apply_str(&member->rack_id, value.RackId);
    apply_str(&member->client_id, value.ClientId);
    apply_str(&member->client_host, value.ClientHost);
    free(member->topics);
    member->topics =
        name_list_new(value.SubscribedTopicNames.at, (size_t)MAX(value.SubscribedTopicNames.len, 0));
    if (a->groups->loaded) /* D2 */
        consumer_touch(member, a->rec->timestamp_ms);
    return true;
}

static bool apply_target_epoch(struct applying *a)
{
    struct ShareGroupTargetAssignmentMetadataKey key;
    struct ShareGroupTargetAssignmentMetadataValue value = {0};
    if (!applying_key(a, &ShareGroupTargetAssignmentMetadataKey_message, &key) ||
        !applying_value(a, &ShareGroupTargetAssignmentMetadataValue_message, &value))
        return false;
    struct group *group =
        applying_end(a) ? group_find(a->groups, key.GroupId) : applying_group(a, key.GroupId, KIND_SHARE);
    if (group != NULL && group->consumer != NULL) {
        group->consumer->target_epoch = value.AssignmentEpoch;
        group->consumer->target_ms = value.AssignmentTimestamp;
    }
    return group != NULL || applying_end(a);
}

static bool apply_target(struct applying *a)
{
    struct ShareGroupTargetAssignmentMemberKey key;
    struct ShareGroupTargetAssignmentMemberValue value;
    struct part_set target = {0};
    if (!applying_key(a, &ShareGroupTargetAssignmentMemberKey_message, &key) ||
        !applying_value(a, &ShareGroupTargetAssignmentMemberValue_message, &value))
        return false;
    if (applying_end(a)) {
        apply_member_target(applying_member(a, key.GroupId, key.MemberId), &target);
        return true;
    }
    struct consumer_member *member = applying_new_member(a, key.GroupId, key.MemberId, KIND_SHARE);
    PART_SET_READ(&target, value.TopicPartitions, a->arena);
    apply_member_target(member, &target);
    return member != NULL;
}

static bool apply_current(struct applying *a)
{
    struct ShareGroupCurrentMemberAssignmentKey key;
    struct ShareGroupCurrentMemberAssignmentValue value;
    struct part_set assigned = {0};
    static const struct part_set none = {0};
    if (!applying_key(a, &ShareGroupCurrentMemberAssignmentKey_message, &key) ||
        !applying_value(a, &ShareGroupCurrentMemberAssignmentValue_message, &value))
        return false;
    struct consumer_member *member = applying_end(a)
                                         ? applying_member(a, key.GroupId, key.MemberId)
                                         : applying_new_member(a, key.GroupId, key.MemberId, KIND_SHARE);
    if (member == NULL)
        return applying_end(a);
    if (!applying_end(a)) {
        PART_SET_READ(&assigned, value.AssignedPartitions, a->arena);
        member->epoch = value.MemberEpoch;
        member->previous_epoch = value.PreviousMemberEpoch;
    }
    consumer_member_set_parts(member->group->consumer, member, &assigned, &none);
    return true;
}

static bool ignore_states(struct applying *a)
{
    return true;
}

static const struct {
    uint16_t type;
    bool (*apply)(struct applying *a);
} appliers[] = {
    {TYPE_MEMBER, apply_member}, {TYPE_EPOCH, apply_epoch},     {TYPE_TARGET_EPOCH, apply_target_epoch},
    {TYPE_TARGET, apply_target}, {TYPE_CURRENT, apply_current}, {TYPE_STATES, ignore_states},
};

bool share_group_apply(struct applying *a, uint16_t type)
{
    for (size_t i = 0; i < COUNT_OF(appliers); i++)
        if (appliers[i].type == type)
            return appliers[i].apply(a);
    return err_set(a->err, ERR_CORRUPT, "record type %u is not known", type);
}
