/* consumer_record.c - what the records of kind_record.c are for consumer groups; and their patterns:
 *
 *     16  group, pattern    the topics it matched    null: it is not used any more
 */
#include "group/streams_int.h"

typedef struct ConsumerGroupCurrentMemberAssignmentValue_TopicPartitions current_topic;

/* --- to records --- */

static void record_epoch(struct str group, int32_t epoch, int64_t hash, int64_t now_ms,
                         struct replay_records *out)
{
    struct ConsumerGroupMetadataValue value = {.Epoch = epoch, .MetadataHash = hash};
    kind_record_add(&consumer_records, RECORD_EPOCH, group, STR_NULL, &value, now_ms, out);
}

/* The classic side of a member, in the arena; NULL when it has none. */
static struct ConsumerGroupMemberMetadataValue_ClassicMemberMetadata *
classic_value(const struct consumer_member *member, struct arena *arena)
{
    if (member->classic == NULL)
        return NULL;
    struct ConsumerGroupMemberMetadataValue_ClassicMemberMetadata *value =
        wire_new(&WIRE_ConsumerGroupMemberMetadataValue_ClassicMemberMetadata, 1, arena);
    value->SessionTimeoutMs = member->classic_session_ms;
    WIRE_ALLOC(arena, value->SupportedProtocols, ConsumerGroupMemberMetadataValue_ClassicProtocol,
               member->classic->count);
    for (size_t i = 0; i < member->classic->count; i++) {
        value->SupportedProtocols.at[i].Name = member->classic->at[i].name;
        value->SupportedProtocols.at[i].Metadata = member->classic->at[i].metadata;
    }
    return value;
}

static void record_member(struct str group, const struct consumer_member *member, int64_t now_ms,
                          struct replay_records *out)
{
    struct arena arena = {0};
    struct ConsumerGroupMemberMetadataValue value = {
        .InstanceId = member->instance_id,
        .RackId = member->rack_id,
        .ClientId = member->client_id,
        .ClientHost = member->client_host,
        .SubscribedTopicNames = {(struct str *)member->topics->at, (int32_t)member->topics->len},
        .SubscribedTopicRegex = member->regex,
        .RebalanceTimeoutMs = member->rebalance_timeout_ms,
        .ServerAssignor = member->assignor,
        .ClassicMemberMetadata = classic_value(member, &arena),
    };
    kind_record_add(&consumer_records, RECORD_MEMBER, group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

static void record_target(struct str group, struct str member, const struct part_set *parts,
                          const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ConsumerGroupTargetAssignmentMemberValue value = {0};
    PART_SET_WRITE(parts, value.TopicPartitions, ConsumerGroupTargetAssignmentMemberValue_TopicPartition,
                   &arena);
    kind_record_add(&consumer_records, RECORD_TARGET, group, member, &value, now_ms, out);
    arena_fini(&arena);
}

static void fill_epochs(const struct part_set *parts, current_topic *rows, struct arena *arena)
{
    for (size_t from = 0, to; from < parts->len; from = to, rows++) {
        to = part_set_run(parts, from);
        rows->AssignmentEpochs.at = part_set_epochs(parts, from, to, arena);
        rows->AssignmentEpochs.len = (int32_t)(to - from);
    }
}

static void record_current(struct str group, const struct consumer_member *member,
                           const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ConsumerGroupCurrentMemberAssignmentValue value = {
        .MemberEpoch = member->epoch,
        .PreviousMemberEpoch = member->previous_epoch,
        .State = (int8_t)member->state,
    };
    PART_SET_WRITE(&member->assigned, value.AssignedPartitions,
                   ConsumerGroupCurrentMemberAssignmentValue_TopicPartitions, &arena);
    PART_SET_WRITE(&member->revoking, value.PartitionsPendingRevocation,
                   ConsumerGroupCurrentMemberAssignmentValue_TopicPartitions, &arena);
    fill_epochs(&member->assigned, value.AssignedPartitions.at, &arena);
    fill_epochs(&member->revoking, value.PartitionsPendingRevocation.at, &arena);
    kind_record_add(&consumer_records, RECORD_CURRENT, group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

static void add_regex(struct str group, struct str pattern,
                      const struct ConsumerGroupRegularExpressionValue *value, int64_t now_ms,
                      struct replay_records *out)
{
    struct ConsumerGroupRegularExpressionKey key = {.GroupId = group, .RegularExpression = pattern};
    replay_add_typed(out, &ConsumerGroupRegularExpressionKey_message, &key,
                     &ConsumerGroupRegularExpressionValue_message, 0, value, now_ms);
}

void record_regex(struct str group, struct str pattern, const struct consumer_regex *regex, int64_t now_ms,
                  struct replay_records *out)
{
    struct ConsumerGroupRegularExpressionValue value = {
        .Topics = {regex->topics->at, (int32_t)regex->topics->len},
        .Version = regex->version,
        .Timestamp = regex->resolved_ms,
    };
    add_regex(group, pattern, &value, now_ms, out);
}

void record_regex_gone(struct str group, struct str pattern, int64_t now_ms, struct replay_records *out)
{
    add_regex(group, pattern, NULL, now_ms, out);
}

/* --- from records --- */

static bool apply_epoch(struct applying *a)
{
    struct ConsumerGroupMetadataValue value;
    return applying_value(a, &ConsumerGroupMetadataValue_message, &value) &&
           apply_group_epoch(a, KIND_CONSUMER, value.Epoch, value.MetadataHash);
}

static struct protocols *
own_protocols(const struct ConsumerGroupMemberMetadataValue_ClassicMemberMetadata *value)
{
    size_t count = (size_t)MAX(value->SupportedProtocols.len, 0);
    struct protocol *list = mem_zalloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] =
            (struct protocol){value->SupportedProtocols.at[i].Name, value->SupportedProtocols.at[i].Metadata};
    struct protocols *own = protocols_new(list, count);
    free(list);
    return own;
}

static void update_member(struct consumer_member *member,
                          const struct ConsumerGroupMemberMetadataValue *value)
{
    struct consumer_group *consumer = member->group->consumer;
    if (consumer_static(consumer, member->instance_id) == member)
        map_remove(&consumer->statics, member->instance_id);
    apply_str(&member->instance_id, value->InstanceId);
    if (!str_is_null(member->instance_id))
        map_put(&consumer->statics, member->instance_id, member);
    apply_str(&member->rack_id, value->RackId);
    apply_str(&member->client_id, value->ClientId);
    apply_str(&member->client_host, value->ClientHost);
    apply_str(&member->regex, value->SubscribedTopicRegex);
    apply_str(&member->assignor, value->ServerAssignor);
    member->rebalance_timeout_ms = value->RebalanceTimeoutMs;
    free(member->topics);
    member->topics =
        name_list_new(value->SubscribedTopicNames.at, (size_t)MAX(value->SubscribedTopicNames.len, 0));
    free(member->classic);
    member->classic = NULL;
    if (value->ClassicMemberMetadata != NULL) {
        member->classic = own_protocols(value->ClassicMemberMetadata);
        member->classic_session_ms = value->ClassicMemberMetadata->SessionTimeoutMs;
    }
}

static bool apply_member(struct applying *a)
{
    struct ConsumerGroupMemberMetadataValue value;
    if (!applying_value(a, &ConsumerGroupMemberMetadataValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_CONSUMER);
    if (member == NULL)
        return false;
    update_member(member, &value);
    if (a->groups->loaded) /* D2 */
        consumer_touch(member, a->rec->timestamp_ms);
    return true;
}

static bool apply_target(struct applying *a)
{
    struct ConsumerGroupTargetAssignmentMemberValue value;
    struct part_set target = {0};
    if (!applying_value(a, &ConsumerGroupTargetAssignmentMemberValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_CONSUMER);
    if (member == NULL)
        return false;
    PART_SET_READ(&target, value.TopicPartitions, a->arena);
    apply_member_target(member, &target);
    return true;
}

/* A set with the epochs that the record gives, or the member's where it gives none (records of older Kafka). */
static struct part_set read_current(const current_topic *rows, int32_t count, int32_t epoch,
                                    struct arena *arena)
{
    struct part_set set = {0};
    size_t total = 0;
    for (int32_t i = 0; i < count; i++)
        total += (size_t)MAX(rows[i].Partitions.len, 0);
    set.at = arena_array(arena, struct topic_part, total);
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < rows[i].Partitions.len; j++)
            set.at[set.len++] =
                (struct topic_part){rows[i].TopicId, rows[i].Partitions.at[j],
                                    j < rows[i].AssignmentEpochs.len ? rows[i].AssignmentEpochs.at[j]
                                                                     : epoch};
    part_set_sort(&set);
    return set;
}

static bool apply_current(struct applying *a)
{
    struct ConsumerGroupCurrentMemberAssignmentValue value;
    if (!applying_value(a, &ConsumerGroupCurrentMemberAssignmentValue_message, &value))
        return false;
    if (value.State != MEMBER_STABLE && value.State != MEMBER_UNREVOKED && value.State != MEMBER_UNRELEASED)
        return err_set(a->err, ERR_CORRUPT, "state %d of a group's member is not known", value.State);
    struct consumer_member *member = applying_member(a, KIND_CONSUMER);
    if (member == NULL)
        return false;
    struct part_set assigned =
        read_current(value.AssignedPartitions.at, value.AssignedPartitions.len, value.MemberEpoch, a->arena);
    struct part_set revoking =
        read_current(value.PartitionsPendingRevocation.at, value.PartitionsPendingRevocation.len,
                     value.MemberEpoch, a->arena);
    apply_member_current(a, member, value.MemberEpoch, value.PreviousMemberEpoch,
                         (enum consumer_member_state)value.State, &assigned, &revoking);
    return true;
}

static bool apply_regex(struct applying *a)
{
    struct ConsumerGroupRegularExpressionKey key;
    struct ConsumerGroupRegularExpressionValue value;
    if (!applying_key(a, &ConsumerGroupRegularExpressionKey_message, &key) ||
        !applying_value(a, &ConsumerGroupRegularExpressionValue_message, &value))
        return false;
    struct group *group =
        applying_end(a) ? group_find(a->groups, key.GroupId) : applying_group(a, key.GroupId, KIND_CONSUMER);
    if (group == NULL || group->consumer == NULL)
        return applying_end(a);
    struct consumer_regex *old;
    if (applying_end(a)) {
        old = map_remove(&group->consumer->regexes, key.RegularExpression);
    } else {
        struct consumer_regex *regex = mem_new(struct consumer_regex);
        regex->topics = name_list_new(value.Topics.at, (size_t)MAX(value.Topics.len, 0));
        regex->version = value.Version;
        regex->resolved_ms = value.Timestamp;
        old = map_put(&group->consumer->regexes, key.RegularExpression, regex);
    }
    consumer_regex_free(old);
    return true;
}

const struct kind_records consumer_records = {
    .kind = KIND_CONSUMER,
    .session = GROUP_SESSION_TIMEOUT_MS,
    .interval = GROUP_ASSIGNMENT_INTERVAL_MS,
    .of = {[RECORD_EPOCH] = {3, &ConsumerGroupMetadataKey_message, &ConsumerGroupMetadataValue_message,
                             apply_epoch},
           [RECORD_MEMBER] = {5, &ConsumerGroupMemberMetadataKey_message,
                              &ConsumerGroupMemberMetadataValue_message, apply_member},
           [RECORD_TARGET_EPOCH] = {6, &ConsumerGroupTargetAssignmentMetadataKey_message,
                                    &ConsumerGroupTargetAssignmentMetadataValue_message},
           [RECORD_TARGET] = {7, &ConsumerGroupTargetAssignmentMemberKey_message,
                              &ConsumerGroupTargetAssignmentMemberValue_message, apply_target},
           [RECORD_CURRENT] = {8, &ConsumerGroupCurrentMemberAssignmentKey_message,
                               &ConsumerGroupCurrentMemberAssignmentValue_message, apply_current}},
    .others = {{16, apply_regex}, {4} /* the topics' metadata, of older Kafka */},
    .epoch = record_epoch,
    .member = record_member,
    .target = record_target,
    .current = record_current,
};
