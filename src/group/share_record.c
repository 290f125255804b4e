/* share_record.c - what the records of kind_record.c are for share groups. Which partitions have a state (15) is read and
 * ignored: `share` knows.
 */
#include "group/consumer_int.h"

/* --- to records --- */

static void record_epoch(struct str group, int32_t epoch, int64_t hash, int64_t now_ms,
                         struct replay_records *out)
{
    struct ShareGroupMetadataValue value = {.Epoch = epoch, .MetadataHash = hash};
    kind_record_add(&share_records, RECORD_EPOCH, group, STR_NULL, &value, now_ms, out);
}

static void record_member(struct str group, const struct consumer_member *member, int64_t now_ms,
                          struct replay_records *out)
{
    struct ShareGroupMemberMetadataValue value = {
        .RackId = member->rack_id,
        .ClientId = member->client_id,
        .ClientHost = member->client_host,
        .SubscribedTopicNames = {(struct str *)member->topics->at, (int32_t)member->topics->len},
    };
    kind_record_add(&share_records, RECORD_MEMBER, group, member->id, &value, now_ms, out);
}

static void record_target(struct str group, struct str member, const struct part_set *parts,
                          const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ShareGroupTargetAssignmentMemberValue value = {0};
    PART_SET_WRITE(parts, value.TopicPartitions, ShareGroupTargetAssignmentMemberValue_TopicPartition,
                   &arena);
    kind_record_add(&share_records, RECORD_TARGET, group, member, &value, now_ms, out);
    arena_fini(&arena);
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
    kind_record_add(&share_records, RECORD_CURRENT, group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

/* --- from records --- */

static bool apply_epoch(struct applying *a)
{
    struct ShareGroupMetadataValue value;
    return applying_value(a, &ShareGroupMetadataValue_message, &value) &&
           apply_group_epoch(a, KIND_SHARE, value.Epoch, value.MetadataHash);
}

static bool apply_member(struct applying *a)
{
    struct ShareGroupMemberMetadataValue value;
    if (!applying_value(a, &ShareGroupMemberMetadataValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_SHARE);
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

static bool apply_target(struct applying *a)
{
    struct ShareGroupTargetAssignmentMemberValue value;
    struct part_set target = {0};
    if (!applying_value(a, &ShareGroupTargetAssignmentMemberValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_SHARE);
    if (member == NULL)
        return false;
    PART_SET_READ(&target, value.TopicPartitions, a->arena);
    apply_member_target(member, &target);
    return true;
}

static bool apply_current(struct applying *a)
{
    struct ShareGroupCurrentMemberAssignmentValue value;
    struct part_set assigned = {0};
    static const struct part_set none = {0};
    if (!applying_value(a, &ShareGroupCurrentMemberAssignmentValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_SHARE);
    if (member == NULL)
        return false;
    PART_SET_READ(&assigned, value.AssignedPartitions, a->arena);
    apply_member_current(a, member, value.MemberEpoch, value.PreviousMemberEpoch, MEMBER_STABLE, &assigned,
                         &none);
    return true;
}

const struct kind_records share_records = {
    .kind = KIND_SHARE,
    .session = GROUP_SHARE_SESSION_TIMEOUT_MS,
    .interval = GROUP_SHARE_ASSIGNMENT_INTERVAL_MS,
    .of = {[RECORD_EPOCH] = {11, &ShareGroupMetadataKey_message, &ShareGroupMetadataValue_message,
                             apply_epoch},
           [RECORD_MEMBER] = {10, &ShareGroupMemberMetadataKey_message,
                              &ShareGroupMemberMetadataValue_message, apply_member},
           [RECORD_TARGET_EPOCH] = {12, &ShareGroupTargetAssignmentMetadataKey_message,
                                    &ShareGroupTargetAssignmentMetadataValue_message},
           [RECORD_TARGET] = {13, &ShareGroupTargetAssignmentMemberKey_message,
                              &ShareGroupTargetAssignmentMemberValue_message, apply_target},
           [RECORD_CURRENT] = {14, &ShareGroupCurrentMemberAssignmentKey_message,
                               &ShareGroupCurrentMemberAssignmentValue_message, apply_current}},
    .others = {{15}},
    .epoch = record_epoch,
    .member = record_member,
    .target = record_target,
    .current = record_current,
};
