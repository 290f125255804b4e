/* consumer_record.c - consumer groups as Kafka's own records in __consumer_offsets, and back.
 *
 *   type  key            value                                                     null value
 *      3  group          group epoch, hash of the topics' metadata                 the group is gone
 *      4  group          (older Kafka: the topics' metadata)                       read and ignored
 *      5  group, member  what it subscribes to, who it is                          the member is gone
 *      6  group          target epoch and when it was made                         no target
 *      7  group, member  its target                                                no target
 *      8  group, member  epoch, state, assigned, to be revoked                     nothing assigned
 *     16  group, pattern the topics it matched                                     not used any more
 *
 * (D1) Any of them may come first: after compaction the order is that of the last change of each key. A record of a member
 *      makes the member when it is not there yet.
 * (D2) In the present life, the record's time starts the timers that it implies: a new member's session, the time within
 *      which partitions have to be given up.
 */
#include "group/streams_int.h"

enum {
    TYPE_EPOCH = 3,
    TYPE_TOPICS_OLD = 4,
    TYPE_MEMBER = 5,
    TYPE_TARGET_EPOCH = 6,
    TYPE_TARGET = 7,
    TYPE_CURRENT = 8,
    TYPE_REGEX = 16,
};

typedef struct ConsumerGroupCurrentMemberAssignmentValue_TopicPartitions current_topic;

/* --- to records --- */

static void add_epoch(struct str group, const struct ConsumerGroupMetadataValue *value, int64_t now_ms,
                      struct replay_records *out)
{
    struct ConsumerGroupMetadataKey key = {.GroupId = group};
    replay_add_typed(out, &ConsumerGroupMetadataKey_message, &key, &ConsumerGroupMetadataValue_message, 0,
                     value, now_ms);
}

static void record_epoch(struct str group, int32_t epoch, int64_t hash, int64_t now_ms,
                         struct replay_records *out)
{
    add_epoch(group, &(struct ConsumerGroupMetadataValue){.Epoch = epoch, .MetadataHash = hash}, now_ms, out);
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
    struct ConsumerGroupMemberMetadataKey key = {.GroupId = group, .MemberId = member->id};
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
    replay_add_typed(out, &ConsumerGroupMemberMetadataKey_message, &key,
                     &ConsumerGroupMemberMetadataValue_message, 0, &value, now_ms);
    arena_fini(&arena);
}

static void add_target_epoch(struct str group, const struct ConsumerGroupTargetAssignmentMetadataValue *value,
                             int64_t now_ms, struct replay_records *out)
{
    struct ConsumerGroupTargetAssignmentMetadataKey key = {.GroupId = group};
    replay_add_typed(out, &ConsumerGroupTargetAssignmentMetadataKey_message, &key,
                     &ConsumerGroupTargetAssignmentMetadataValue_message, 0, value, now_ms);
}

static void record_target_epoch(struct str group, int32_t epoch, int64_t now_ms, struct replay_records *out)
{
    struct ConsumerGroupTargetAssignmentMetadataValue value = {.AssignmentEpoch = epoch,
                                                               .AssignmentTimestamp = now_ms};
    add_target_epoch(group, &value, now_ms, out);
}

static void add_target(struct str group, struct str member,
                       const struct ConsumerGroupTargetAssignmentMemberValue *value, int64_t now_ms,
                       struct replay_records *out)
{
    struct ConsumerGroupTargetAssignmentMemberKey key = {.GroupId = group, .MemberId = member};
    replay_add_typed(out, &ConsumerGroupTargetAssignmentMemberKey_message, &key,
                     &ConsumerGroupTargetAssignmentMemberValue_message, 0, value, now_ms);
}

static void record_target(struct str group, struct str member, const struct part_set *parts,
                          const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct ConsumerGroupTargetAssignmentMemberValue value = {0};
    PART_SET_WRITE(parts, value.TopicPartitions, ConsumerGroupTargetAssignmentMemberValue_TopicPartition,
                   &arena);
    add_target(group, member, &value, now_ms, out);
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

static void add_current(struct str group, struct str member,
                        const struct ConsumerGroupCurrentMemberAssignmentValue *value, int64_t now_ms,
                        struct replay_records *out)
{
    struct ConsumerGroupCurrentMemberAssignmentKey key = {.GroupId = group, .MemberId = member};
    replay_add_typed(out, &ConsumerGroupCurrentMemberAssignmentKey_message, &key,
                     &ConsumerGroupCurrentMemberAssignmentValue_message, 0, value, now_ms);
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
    add_current(group, member->id, &value, now_ms, out);
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

static void record_member_gone(struct str group, struct str member, int64_t now_ms,
                               struct replay_records *out)
{
    struct ConsumerGroupMemberMetadataKey key = {.GroupId = group, .MemberId = member};
    add_current(group, member, NULL, now_ms, out);
    add_target(group, member, NULL, now_ms, out);
    replay_add_typed(out, &ConsumerGroupMemberMetadataKey_message, &key, NULL, 0, NULL, now_ms);
}

static void record_gone(struct str group, int64_t now_ms, struct replay_records *out)
{
    add_target_epoch(group, NULL, now_ms, out);
    add_epoch(group, NULL, now_ms, out);
}

const struct consumer_records consumer_records = {
    .epoch = record_epoch,
    .member = record_member,
    .target_epoch = record_target_epoch,
    .target = record_target,
    .current = record_current,
    .member_gone = record_member_gone,
    .gone = record_gone,
};

/* --- of any kind --- */

const struct consumer_records *records_of(const struct consumer_group *consumer)
{
    static const struct consumer_records *const of[] = {&consumer_records, &share_records, &streams_records};
    return of[consumer->kind];
}

static const streams_topology *topology_of(const struct consumer_group *consumer)
{
    return consumer->streams == NULL ? NULL : consumer->streams->topology;
}

void record_epoch_of(const struct group *group, int32_t epoch, int64_t hash, int64_t now_ms,
                     struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    if (consumer->kind == KIND_STREAMS)
        streams_record_epoch(group->name, epoch, hash, consumer->streams->validated_epoch,
                             consumer->streams->standby_count, now_ms, out);
    else
        records_of(consumer)->epoch(group->name, epoch, hash, now_ms, out);
}

void record_consumer(const struct group *group, int64_t now_ms, struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    const struct consumer_records *records = records_of(consumer);
    struct str pattern;
    void *regex;
    if (topology_of(consumer) != NULL)
        streams_record_topology(group->name, topology_of(consumer), now_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->member(group->name, member, now_ms, out);
    for (size_t i = 0; map_next(&consumer->regexes, &i, &pattern, &regex);)
        record_regex(group->name, pattern, regex, now_ms, out);
    record_epoch_of(group, consumer->epoch, consumer->metadata_hash, now_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->target(group->name, member->id, &member->target, topology_of(consumer), now_ms, out);
    records->target_epoch(group->name, consumer->target_epoch, consumer->target_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->current(group->name, member, topology_of(consumer), now_ms, out);
}

void record_consumer_gone(const struct group *group, int64_t now_ms, struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    struct str pattern;
    list_each (struct consumer_member, member, &consumer->members, link)
        records_of(consumer)->member_gone(group->name, member->id, now_ms, out);
    for (size_t i = 0; map_next(&consumer->regexes, &i, &pattern, NULL);)
        record_regex_gone(group->name, pattern, now_ms, out);
    records_of(consumer)->gone(group->name, now_ms, out);
}

/* --- from records: of any kind --- */

bool applying_key(struct applying *a, const struct wire_message *msg, void *key)
{
    return wire_decode(msg, 0, str_sub(a->rec->key, 2, a->rec->key.len), key, NULL, a->arena, a->err);
}

bool applying_value(struct applying *a, const struct wire_message *msg, void *value)
{
    return applying_end(a) || wire_decode_value(msg, a->rec->value, value, a->arena, a->err);
}

struct group *applying_group(struct applying *a, struct str name, enum group_kind kind)
{
    struct group *group = group_find_or_make(a->groups, name);
    if (group->consumer == NULL) {
        group_become_consumer(group);
        group->consumer->kind = kind;
        if (kind == KIND_STREAMS)
            streams_group_init(group);
    }
    if (group->consumer->kind == kind)
        return group;
    err_set(a->err, ERR_CORRUPT, "record of type %u for a group of another kind", load_be16(a->rec->key.ptr));
    return NULL;
}

struct consumer_member *applying_new_member(struct applying *a, struct str group_name, struct str id,
                                            enum group_kind kind)
{
    struct group *group = applying_group(a, group_name, kind);
    return group == NULL ? NULL : consumer_member_make(group, id);
}

struct consumer_member *applying_member(struct applying *a, struct str group_name, struct str id)
{
    struct group *group = group_find(a->groups, group_name);
    return group == NULL || group->consumer == NULL ? NULL : consumer_find(group->consumer, id);
}

void apply_gone(struct applying *a, struct str name)
{
    struct group *group = group_find(a->groups, name);
    if (group != NULL && group->consumer != NULL)
        group_end_consumer(group, a->rec->timestamp_ms);
}

bool apply_group_epoch(struct applying *a, struct str name, enum group_kind kind, int32_t epoch, int64_t hash)
{
    struct group *group = applying_group(a, name, kind);
    if (group == NULL)
        return false;
    group->consumer->epoch = epoch;
    group->consumer->metadata_hash = hash;
    return true;
}

void apply_member_gone(struct applying *a, struct str group, struct str id)
{
    struct consumer_member *member = applying_member(a, group, id);
    if (member != NULL)
        consumer_member_remove(member->group, member);
}

void apply_member_target(struct consumer_member *member, const struct part_set *target)
{
    if (member == NULL)
        return;
    part_set_disown(&member->target);
    member->target = part_set_own(target);
}

void apply_member_current(struct applying *a, struct consumer_member *member, int32_t epoch,
                          int32_t previous_epoch, enum consumer_member_state state,
                          const struct part_set *assigned, const struct part_set *revoking)
{
    member->epoch = epoch;
    member->previous_epoch = previous_epoch;
    member->state = state;
    consumer_member_set_parts(member->group->consumer, member, assigned, revoking);
    if (state != MEMBER_UNREVOKED)
        replay_timer_stop(&a->groups->timers, &member->revoke);
    else if (a->groups->loaded) /* D2 */
        replay_timer_start(&a->groups->timers, &member->revoke,
                           a->rec->timestamp_ms + member->rebalance_timeout_ms);
}

void apply_str(struct str *slot, struct str value)
{
    struct str own = str_own(value);
    str_disown(slot);
    *slot = own;
}

/* --- from records: consumer groups --- */

static bool apply_epoch(struct applying *a)
{
    struct ConsumerGroupMetadataKey key;
    struct ConsumerGroupMetadataValue value;
    if (!applying_key(a, &ConsumerGroupMetadataKey_message, &key) ||
        !applying_value(a, &ConsumerGroupMetadataValue_message, &value))
        return false;
    if (!applying_end(a))
        return apply_group_epoch(a, key.GroupId, KIND_CONSUMER, value.Epoch, value.MetadataHash);
    apply_gone(a, key.GroupId);
    return true;
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
    struct ConsumerGroupMemberMetadataKey key;
    struct ConsumerGroupMemberMetadataValue value;
    if (!applying_key(a, &ConsumerGroupMemberMetadataKey_message, &key) ||
        !applying_value(a, &ConsumerGroupMemberMetadataValue_message, &value))
        return false;
    if (applying_end(a)) {
        apply_member_gone(a, key.GroupId, key.MemberId);
        return true;
    }
    struct consumer_member *member = applying_new_member(a, key.GroupId, key.MemberId, KIND_CONSUMER);
    if (member == NULL)
        return false;
    update_member(member, &value);
    if (a->groups->loaded) /* D2 */
        consumer_touch(member, a->rec->timestamp_ms);
    return true;
}

static bool apply_target_epoch(struct applying *a)
{
    struct ConsumerGroupTargetAssignmentMetadataKey key;
    struct ConsumerGroupTargetAssignmentMetadataValue value;
    if (!applying_key(a, &ConsumerGroupTargetAssignmentMetadataKey_message, &key) ||
        !applying_value(a, &ConsumerGroupTargetAssignmentMetadataValue_message, &value))
        return false;
    if (applying_end(a)) {
        struct group *group = group_find(a->groups, key.GroupId);
        if (group != NULL && group->consumer != NULL)
            group->consumer->target_epoch = 0;
        return true;
    }
    struct group *group = applying_group(a, key.GroupId, KIND_CONSUMER);
    if (group == NULL)
        return false;
    group->consumer->target_epoch = value.AssignmentEpoch;
    group->consumer->target_ms = value.AssignmentTimestamp;
    return true;
}

static bool apply_target(struct applying *a)
{
    struct ConsumerGroupTargetAssignmentMemberKey key;
    struct ConsumerGroupTargetAssignmentMemberValue value;
    struct part_set target = {0};
    struct consumer_member *member;
    if (!applying_key(a, &ConsumerGroupTargetAssignmentMemberKey_message, &key) ||
        !applying_value(a, &ConsumerGroupTargetAssignmentMemberValue_message, &value))
        return false;
    if (applying_end(a)) {
        member = applying_member(a, key.GroupId, key.MemberId);
    } else {
        member = applying_new_member(a, key.GroupId, key.MemberId, KIND_CONSUMER); /* D1 */
        if (member == NULL)
            return false;
        PART_SET_READ(&target, value.TopicPartitions, a->arena);
    }
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
    struct ConsumerGroupCurrentMemberAssignmentKey key;
    struct ConsumerGroupCurrentMemberAssignmentValue value;
    static const struct part_set none = {0};
    if (!applying_key(a, &ConsumerGroupCurrentMemberAssignmentKey_message, &key) ||
        !applying_value(a, &ConsumerGroupCurrentMemberAssignmentValue_message, &value))
        return false;
    if (applying_end(a)) {
        struct consumer_member *member = applying_member(a, key.GroupId, key.MemberId);
        if (member != NULL)
            consumer_member_set_parts(member->group->consumer, member, &none, &none);
        return true;
    }
    if (value.State != MEMBER_STABLE && value.State != MEMBER_UNREVOKED && value.State != MEMBER_UNRELEASED)
        return err_set(a->err, ERR_CORRUPT, "state %d of a group's member is not known", value.State);
    struct consumer_member *member = applying_new_member(a, key.GroupId, key.MemberId, KIND_CONSUMER);
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

static const struct {
    uint16_t type;
    bool (*apply)(struct applying *a);
} appliers[] = {
    {TYPE_EPOCH, apply_epoch},   {TYPE_TOPICS_OLD, NULL},
    {TYPE_MEMBER, apply_member}, {TYPE_TARGET_EPOCH, apply_target_epoch},
    {TYPE_TARGET, apply_target}, {TYPE_CURRENT, apply_current},
    {TYPE_REGEX, apply_regex},
};

bool consumer_apply(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                    struct err *err)
{
    struct applying applying = {groups, rec, arena, err};
    uint16_t type = load_be16(rec->key.ptr);
    for (size_t i = 0; i < COUNT_OF(appliers); i++)
        if (appliers[i].type == type)
            return appliers[i].apply == NULL || appliers[i].apply(&applying);
    return streams_group_applies(type) ? streams_group_apply(&applying, type)
                                       : share_group_apply(&applying, type);
}
