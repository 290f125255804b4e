/* migrate.c - a group's way between the classic protocol and KIP-848's while its members work on.
 *
 *   up     a member of the new protocol joins a classic group of consumers: each classic member becomes one of a consumer
 *          group with what it had assigned, in the epoch of the generation; clients notice by REBALANCE_IN_PROGRESS.
 *   down   the last member of the new protocol leaves: the classic members form a classic group again, in the generation of
 *          the group epoch, and have to join anew.
 *
 * (I1) Either way is one batch of records: the end of one kind, then the whole of the other. A restart sees one or the other.
 * (I2) Nobody gets a partition by the move itself: assignments are carried over, and change by the rules of the protocol
 *      that the group has then.
 */
#include "group/consumer_int.h"

typedef struct ConsumerProtocolSubscription subscription;

static bool policy_has(const struct group *group, enum group_migration way)
{
    return (group->groups->options.migration & way) != 0;
}

static struct str metadata_of(const struct protocols *protocols, struct str name)
{
    for (size_t i = 0; protocols != NULL && i < protocols->count; i++)
        if (str_is_null(name) || str_eq(protocols->at[i].name, name))
            return protocols->at[i].metadata;
    return STR_NULL;
}

/* --- up --- */

/* Assignors that clients bring along need nothing of an assignment but its partitions; some clients put data of theirs
 * there all the same. */
static bool is_stock_assignor(struct str protocol)
{
    static const char *const names[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_cstr(protocol, names[i]))
            return true;
    return false;
}

/* The partitions of an assignment in the consumer protocol, by the ids that topics have now. False: it is not one, or it
 * holds what an assignor of the client's own put there and would miss. */
static bool read_assignment(const struct group *group, struct str bytes, struct part_set *set,
                            struct arena *arena)
{
    enum { VERSION_MAX = 3 };
    struct ConsumerProtocolAssignment value;
    const struct group_topics *topics = group->groups->options.topics;
    struct group_topic topic;
    size_t count = 0;
    *set = (struct part_set){0};
    if (bytes.len == 0)
        return true; /* not given out yet */
    if (bytes.len < 2 ||
        !wire_decode(&ConsumerProtocolAssignment_message, MIN((int16_t)load_be16(bytes.ptr), VERSION_MAX),
                     str_sub(bytes, 2, bytes.len), &value, NULL, arena, NULL) ||
        (value.UserData.len != 0 && !is_stock_assignor(group->protocol)))
        return false;
    for (int32_t i = 0; i < value.AssignedPartitions.len; i++)
        count += (size_t)MAX(value.AssignedPartitions.at[i].Partitions.len, 0);
    set->at = arena_array(arena, struct topic_part, count);
    for (int32_t i = 0; i < value.AssignedPartitions.len; i++) {
        const struct ConsumerProtocolAssignment_TopicPartition *row = &value.AssignedPartitions.at[i];
        if (!topics->find(topics->arg, row->Topic, &topic))
            continue;
        for (int32_t j = 0; j < row->Partitions.len; j++)
            set->at[set->len++] = (struct topic_part){topic.id, row->Partitions.at[j], group->generation};
    }
    part_set_sort(set);
    return true;
}

/* A classic member as one of a consumer group; false: what it subscribes to or has cannot be read. */
static bool convert_member(const struct group *group, const struct member *from, struct consumer_member *to,
                           struct arena *arena)
{
    subscription *sub = consumer_protocol_read(metadata_of(from->protocols, group->protocol), arena);
    struct part_set assigned;
    if (sub == NULL || !read_assignment(group, from->assignment, &assigned, arena))
        return false;
    *to = (struct consumer_member){
        .id = from->id,
        .instance_id = from->instance_id,
        .rack_id = sub->RackId,
        .client_id = str_is_null(from->client_id) ? STR("") : from->client_id,
        .client_host = str_is_null(from->client_host) ? STR("") : from->client_host,
        .topics = name_list_new(sub->Topics.at, (size_t)MAX(sub->Topics.len, 0)),
        .rebalance_timeout_ms = from->rebalance_timeout_ms,
        .classic = from->protocols,
        .classic_session_ms = from->session_timeout_ms,
        .epoch = group->generation,
        .previous_epoch = group->generation,
        .assigned = assigned,
    };
    return true;
}

static void release_waiting(struct group *group)
{
    list_each (struct member, member, &group->members, link) {
        if (member->join_token != NULL)
            reply_join_error(group->groups, member->join_token, GROUP_REBALANCING, member->id);
        if (member->sync_token != NULL)
            reply_sync_error(group->groups, member->sync_token, GROUP_REBALANCING);
        member->join_token = member->sync_token = NULL;
    }
}

static void add_upgraded(const struct group *group, const struct consumer_member *members, int64_t now_ms,
                         struct replay_records *out)
{
    size_t count = group->member_count;
    group_add_record(group, true, now_ms, out);
    for (size_t i = 0; i < count; i++)
        consumer_records.member(group->name, &members[i], now_ms, out);
    consumer_records.epoch(group->name, group->generation, 0, now_ms, out);
    for (size_t i = 0; i < count; i++)
        consumer_records.target(group->name, members[i].id, &members[i].assigned, NULL, now_ms, out);
    record_target_epoch(&consumer_records, group->name, group->generation, 0, now_ms, out);
    for (size_t i = 0; i < count; i++)
        consumer_records.current(group->name, &members[i], NULL, now_ms, out);
}

void migrate_up(struct group *group, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    size_t count = 0;
    bool good = policy_has(group, GROUP_UPGRADE) && str_eq(group->protocol_type, STR("consumer")) &&
                (int64_t)group->member_count <= group->groups->options.consumer_members_max;
    if (!good)
        return;
    struct consumer_member *members = arena_array(&arena, struct consumer_member, group->member_count);
    list_each (struct member, member, &group->members, link)
        good = good && convert_member(group, member, &members[count], &arena) && ++count;
    if (good) {
        release_waiting(group);
        add_upgraded(group, members, now_ms, out);
    }
    for (size_t i = 0; i < count; i++)
        free(members[i].topics);
    arena_fini(&arena);
}

/* --- down --- */

static bool is_gone(struct consumer_member *const *gone, size_t gone_count,
                    const struct consumer_member *member)
{
    for (size_t i = 0; i < gone_count; i++)
        if (gone[i] == member)
            return true;
    return false;
}

struct str migrate_assignment(const struct groups *groups, const struct consumer_member *member,
                              struct arena *arena)
{
    struct ConsumerProtocolAssignment value = {0};
    const struct part_set *set = &member->assigned;
    struct buf bytes = {0};
    int16_t version = 0;
    struct str metadata = metadata_of(member->classic, STR_NULL);
    if (metadata.len >= 2)
        version = MIN((int16_t)load_be16(metadata.ptr), (int16_t)3);
    WIRE_ALLOC(arena, value.AssignedPartitions, ConsumerProtocolAssignment_TopicPartition,
               part_set_topics(set));
    value.AssignedPartitions.len = 0;
    for (size_t from = 0, to; from < set->len; from = to) {
        to = part_set_run(set, from);
        struct str name =
            groups->options.topics->name_of(groups->options.topics->arg, set->at[from].topic, arena);
        if (str_is_null(name))
            continue; /* deleted meanwhile */
        struct ConsumerProtocolAssignment_TopicPartition *row =
            &value.AssignedPartitions.at[value.AssignedPartitions.len++];
        row->Topic = name;
        row->Partitions.at = part_set_numbers(set, from, to, arena);
        row->Partitions.len = (int32_t)(to - from);
    }
    wire_encode_typed(&ConsumerProtocolAssignment_message, MAX(version, 0), &value, &bytes);
    struct str out = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    return out;
}

/* The first protocol of the first member that all who stay support; null: there is none. */
static struct str common_protocol(const struct consumer_group *consumer, struct consumer_member *const *gone,
                                  size_t gone_count)
{
    const struct protocols *first = NULL;
    list_each (struct consumer_member, member, &consumer->members, link)
        if (first == NULL && !is_gone(gone, gone_count, member))
            first = member->classic;
    for (size_t i = 0; first != NULL && i < first->count; i++) {
        bool all = true;
        list_each (struct consumer_member, member, &consumer->members, link)
            if (!is_gone(gone, gone_count, member))
                all = all && !str_is_null(metadata_of(member->classic, first->at[i].name));
        if (all)
            return first->at[i].name;
    }
    return STR_NULL;
}

static void add_downgraded(const struct group *group, struct consumer_member *const *gone, size_t gone_count,
                           struct str protocol, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    const struct consumer_group *consumer = group->consumer;
    struct GroupMetadataValue value = {
        .protocolType = STR("consumer"),
        .generation = consumer->epoch,
        .protocol = protocol,
        .currentStateTimestamp = now_ms,
    };
    WIRE_ALLOC(&arena, value.members, GroupMetadataValue_MemberMetadata, consumer->member_count - gone_count);
    struct GroupMetadataValue_MemberMetadata *row = value.members.at;
    list_each (struct consumer_member, member, &consumer->members, link) {
        if (is_gone(gone, gone_count, member))
            continue;
        *row++ = (struct GroupMetadataValue_MemberMetadata){
            .memberId = member->id,
            .groupInstanceId = member->instance_id,
            .clientId = member->client_id,
            .clientHost = member->client_host,
            .rebalanceTimeout = member->rebalance_timeout_ms,
            .sessionTimeout = member->classic_session_ms,
            .subscription = metadata_of(member->classic, protocol),
            .assignment = migrate_assignment(group->groups, member, &arena),
        };
    }
    value.leader = value.members.at[0].memberId;
    record_consumer_gone(group, now_ms, out);
    group_add_value(group->name, &value, now_ms, out);
    arena_fini(&arena);
}

bool migrate_down(struct group *group, struct consumer_member *const *gone, size_t gone_count, int64_t now_ms,
                  struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    size_t left = consumer->member_count - gone_count;
    if (left == 0 || (int64_t)left > group->groups->options.members_max ||
        !policy_has(group, GROUP_DOWNGRADE))
        return false;
    list_each (struct consumer_member, member, &consumer->members, link)
        if (member->classic == NULL && !is_gone(gone, gone_count, member))
            return false;
    struct str protocol = common_protocol(consumer, gone, gone_count);
    if (str_is_null(protocol))
        return false;
    add_downgraded(group, gone, gone_count, protocol, now_ms, out);
    return true;
}
