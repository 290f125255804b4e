/* streams_record.c - what the records of kind_record.c are for streams groups; and their topology:
 *
 *     23  group    the topology    null: none
 *
 * (B1) Tasks name subtopologies of the group's topology, whose record is older than theirs; of one that is not there a task is
 *      nobody's.
 */
#include "group/streams_int.h"

/* States as stored begin at 1. */
enum { STATE_FIRST = 1 };

/* The one config of the assignor. */
static const struct str standby_config = STR_INIT("num.standby.replicas");

typedef struct StreamsGroupCurrentMemberAssignmentValue_TaskIds current_tasks;

/* --- to records --- */

void streams_record_epoch(struct str group, int32_t epoch, int64_t hash, int32_t validated_epoch,
                          int32_t standby_count, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct StreamsGroupMetadataValue_LastAssignmentConfig config = {.Key = standby_config,
                                                                    .Value = str_printf(&arena, "%d",
                                                                                        standby_count)};
    struct StreamsGroupMetadataValue value = {
        .Epoch = epoch,
        .MetadataHash = hash,
        .ValidatedTopologyEpoch = validated_epoch,
        .LastAssignmentConfigs = {&config, standby_count < 0 ? -1 : 1},
    };
    kind_record_add(&streams_records, RECORD_EPOCH, group, STR_NULL, &value, now_ms, out);
    arena_fini(&arena);
}

void streams_record_topology(struct str group, const streams_topology *topology, int64_t now_ms,
                             struct replay_records *out)
{
    struct StreamsGroupTopologyKey key = {.GroupId = group};
    replay_add_typed(out, &StreamsGroupTopologyKey_message, &key, &StreamsGroupTopologyValue_message, 0,
                     topology, now_ms);
}

static void record_member(struct str group, const struct consumer_member *member, int64_t now_ms,
                          struct replay_records *out)
{
    struct arena arena = {0};
    const struct streams_member *streams = member->streams;
    struct StreamsGroupMemberMetadataValue_Endpoint endpoint = {.Host = streams->host, .Port = streams->port};
    struct StreamsGroupMemberMetadataValue value = {
        .InstanceId = STR_NULL,
        .RackId = member->rack_id,
        .ClientId = member->client_id,
        .ClientHost = member->client_host,
        .RebalanceTimeoutMs = member->rebalance_timeout_ms,
        .TopologyEpoch = streams->topology_epoch,
        .ProcessId = streams->process_id,
        .UserEndpoint = str_is_null(streams->host) ? NULL : &endpoint,
    };
    WIRE_ALLOC(&arena, value.ClientTags, StreamsGroupMemberMetadataValue_KeyValue, streams->tag_count);
    for (size_t i = 0; i < streams->tag_count; i++) {
        value.ClientTags.at[i].Key = streams->tags[i].key;
        value.ClientTags.at[i].Value = streams->tags[i].value;
    }
    kind_record_add(&streams_records, RECORD_MEMBER, group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

static void record_target(struct str group, struct str member, const struct part_set *tasks,
                          const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct StreamsGroupTargetAssignmentMemberValue value = {0};
    TASKS_WRITE(tasks, ROLE_ACTIVE, topology, value.ActiveTasks,
                StreamsGroupTargetAssignmentMemberValue_TaskIds, &arena);
    TASKS_WRITE(tasks, ROLE_STANDBY, topology, value.StandbyTasks,
                StreamsGroupTargetAssignmentMemberValue_TaskIds, &arena);
    TASKS_WRITE(tasks, ROLE_WARMUP, topology, value.WarmupTasks,
                StreamsGroupTargetAssignmentMemberValue_TaskIds, &arena);
    kind_record_add(&streams_records, RECORD_TARGET, group, member, &value, now_ms, out);
    arena_fini(&arena);
}

/* Active tasks carry the epoch at which the member got them. */
static void write_active(const struct part_set *tasks, const streams_topology *topology, current_tasks **at,
                         int32_t *len, struct arena *arena)
{
    wire_array_of(current_tasks) rows;
    int32_t row = 0;
    TASKS_WRITE(tasks, ROLE_ACTIVE, topology, rows, StreamsGroupCurrentMemberAssignmentValue_TaskIds, arena);
    for (size_t from = 0, to; row < rows.len; from = to, row++) { /* active ones come first */
        to = part_set_run(tasks, from);
        rows.at[row].AssignmentEpochs.at = part_set_epochs(tasks, from, to, arena);
        rows.at[row].AssignmentEpochs.len = (int32_t)(to - from);
    }
    *at = rows.at;
    *len = rows.len;
}

static void record_current(struct str group, const struct consumer_member *member,
                           const streams_topology *topology, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct StreamsGroupCurrentMemberAssignmentValue value = {
        .MemberEpoch = member->epoch,
        .PreviousMemberEpoch = member->previous_epoch,
        .State = (int8_t)(member->state + STATE_FIRST),
    };
    write_active(&member->assigned, topology, &value.ActiveTasks.at, &value.ActiveTasks.len, &arena);
    TASKS_WRITE(&member->assigned, ROLE_STANDBY, topology, value.StandbyTasks,
                StreamsGroupCurrentMemberAssignmentValue_TaskIds, &arena);
    TASKS_WRITE(&member->assigned, ROLE_WARMUP, topology, value.WarmupTasks,
                StreamsGroupCurrentMemberAssignmentValue_TaskIds, &arena);
    write_active(&member->revoking, topology, &value.ActiveTasksPendingRevocation.at,
                 &value.ActiveTasksPendingRevocation.len, &arena);
    TASKS_WRITE(&member->revoking, ROLE_STANDBY, topology, value.StandbyTasksPendingRevocation,
                StreamsGroupCurrentMemberAssignmentValue_TaskIds, &arena);
    TASKS_WRITE(&member->revoking, ROLE_WARMUP, topology, value.WarmupTasksPendingRevocation,
                StreamsGroupCurrentMemberAssignmentValue_TaskIds, &arena);
    kind_record_add(&streams_records, RECORD_CURRENT, group, member->id, &value, now_ms, out);
    arena_fini(&arena);
}

/* --- from records --- */

static int32_t read_standby_count(const struct StreamsGroupMetadataValue *value)
{
    int64_t count;
    for (int32_t i = 0; i < value->LastAssignmentConfigs.len; i++)
        if (str_eq(value->LastAssignmentConfigs.at[i].Key, standby_config) &&
            str_to_i64(value->LastAssignmentConfigs.at[i].Value, &count) && count >= 0 && count <= INT32_MAX)
            return (int32_t)count;
    return -1;
}

static bool apply_epoch(struct applying *a)
{
    struct StreamsGroupMetadataValue value;
    if (!applying_value(a, &StreamsGroupMetadataValue_message, &value) ||
        !apply_group_epoch(a, KIND_STREAMS, value.Epoch, value.MetadataHash))
        return false;
    struct streams_group *streams = group_find(a->groups, a->key.group)->consumer->streams;
    streams->validated_epoch = value.ValidatedTopologyEpoch;
    streams->standby_count = read_standby_count(&value);
    return true;
}

static bool apply_topology(struct applying *a)
{
    struct StreamsGroupTopologyKey key;
    struct StreamsGroupTopologyValue value;
    if (!applying_key(a, &StreamsGroupTopologyKey_message, &key) ||
        !applying_value(a, &StreamsGroupTopologyValue_message, &value))
        return false;
    if (applying_end(a)) {
        struct group *gone = group_find(a->groups, key.GroupId);
        return !group_is(gone, KIND_STREAMS) || streams_set_topology(gone, NULL, a->err);
    }
    struct group *group = applying_group(a, key.GroupId, KIND_STREAMS);
    return group != NULL && streams_set_topology(group, &value, a->err);
}

static void take_member(struct consumer_member *member, const struct StreamsGroupMemberMetadataValue *value,
                        struct arena *arena)
{
    size_t tag_count = (size_t)MAX(value->ClientTags.len, 0);
    struct streams_tag *tags = arena_array(arena, struct streams_tag, tag_count);
    struct streams_member parts = {.topology_epoch = value->TopologyEpoch, .process_id = value->ProcessId};
    for (size_t i = 0; i < tag_count; i++)
        tags[i] = (struct streams_tag){value->ClientTags.at[i].Key, value->ClientTags.at[i].Value};
    if (value->UserEndpoint != NULL) {
        parts.host = value->UserEndpoint->Host;
        parts.port = value->UserEndpoint->Port;
    }
    apply_str(&member->rack_id, value->RackId);
    apply_str(&member->client_id, value->ClientId);
    apply_str(&member->client_host, value->ClientHost);
    member->rebalance_timeout_ms = value->RebalanceTimeoutMs;
    free(member->streams);
    member->streams = streams_member_new(&parts, tags, tag_count);
}

/* The first member of a group begins the delay in which others may join. */
static void begin_delay(struct applying *a, struct group *group)
{
    struct streams_group *streams = group->consumer->streams;
    int64_t delay_ms = consumer_setting(a->groups, group->name, GROUP_STREAMS_INITIAL_DELAY_MS);
    if (delay_ms > 0 && streams->initial.heap_pos == 0)
        replay_timer_start(&a->groups->timers, &streams->initial, a->rec->timestamp_ms + delay_ms);
}

static bool apply_member(struct applying *a)
{
    struct StreamsGroupMemberMetadataValue value;
    if (!applying_value(a, &StreamsGroupMemberMetadataValue_message, &value))
        return false;
    struct group *group = applying_group(a, a->key.group, KIND_STREAMS);
    if (group == NULL)
        return false;
    bool first = group->consumer->member_count == 0;
    struct consumer_member *member = streams_member_of(group, a->key.member);
    take_member(member, &value, a->arena);
    if (!a->groups->loaded)
        return true;
    consumer_touch(member, a->rec->timestamp_ms); /* D2 */
    if (first)
        begin_delay(a, group);
    return true;
}

static struct task_reader reader_for(const struct applying *a, const struct consumer_member *member)
{
    return (struct task_reader){.topology = member->group->consumer->streams->topology, .arena = a->arena};
}

static bool apply_target(struct applying *a)
{
    struct StreamsGroupTargetAssignmentMemberValue value;
    if (!applying_value(a, &StreamsGroupTargetAssignmentMemberValue_message, &value))
        return false;
    struct consumer_member *member = applying_member(a, KIND_STREAMS);
    if (member == NULL)
        return false;
    struct task_reader reader = reader_for(a, member);
    TASKS_READ(&reader, ROLE_ACTIVE, value.ActiveTasks);
    TASKS_READ(&reader, ROLE_STANDBY, value.StandbyTasks);
    TASKS_READ(&reader, ROLE_WARMUP, value.WarmupTasks);
    task_reader_end(&reader);
    apply_member_target(member, &reader.set);
    return true;
}

/* A record without epochs, of older Kafka: what it has it got at the epoch it is in. */
static void read_active(struct task_reader *reader, const current_tasks *rows, int32_t count, int32_t epoch)
{
    for (int32_t i = 0; i < count; i++) {
        const current_tasks *row = &rows[i];
        int32_t *epochs = row->AssignmentEpochs.at, epoch_count = row->AssignmentEpochs.len;
        if (epoch_count < 0) {
            epoch_count = row->Partitions.len;
            epochs = arena_array(reader->arena, int32_t, (size_t)MAX(epoch_count, 0));
            for (int32_t j = 0; j < epoch_count; j++)
                epochs[j] = epoch;
        }
        task_reader_add(reader, ROLE_ACTIVE, row->SubtopologyId, row->Partitions.at, row->Partitions.len,
                        epochs, epoch_count);
    }
}

static bool apply_current(struct applying *a)
{
    struct StreamsGroupCurrentMemberAssignmentValue value;
    if (!applying_value(a, &StreamsGroupCurrentMemberAssignmentValue_message, &value))
        return false;
    int state = value.State - STATE_FIRST;
    if (state < MEMBER_STABLE || state > MEMBER_UNRELEASED)
        return err_set(a->err, ERR_CORRUPT, "state %d of a streams group's member is not known", value.State);
    struct consumer_member *member = applying_member(a, KIND_STREAMS);
    if (member == NULL)
        return false;
    struct task_reader has = reader_for(a, member), revoking = has;
    read_active(&has, value.ActiveTasks.at, value.ActiveTasks.len, value.MemberEpoch);
    TASKS_READ(&has, ROLE_STANDBY, value.StandbyTasks);
    TASKS_READ(&has, ROLE_WARMUP, value.WarmupTasks);
    read_active(&revoking, value.ActiveTasksPendingRevocation.at, value.ActiveTasksPendingRevocation.len,
                value.MemberEpoch);
    TASKS_READ(&revoking, ROLE_STANDBY, value.StandbyTasksPendingRevocation);
    TASKS_READ(&revoking, ROLE_WARMUP, value.WarmupTasksPendingRevocation);
    task_reader_end(&has);
    task_reader_end(&revoking);
    apply_member_current(a, member, value.MemberEpoch, value.PreviousMemberEpoch,
                         (enum consumer_member_state)state, &has.set, &revoking.set);
    return true;
}

const struct kind_records streams_records = {
    .kind = KIND_STREAMS,
    .session = GROUP_STREAMS_SESSION_TIMEOUT_MS,
    .interval = GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
    .of = {[RECORD_EPOCH] = {17, &StreamsGroupMetadataKey_message, &StreamsGroupMetadataValue_message,
                             apply_epoch},
           [RECORD_MEMBER] = {19, &StreamsGroupMemberMetadataKey_message,
                              &StreamsGroupMemberMetadataValue_message, apply_member},
           [RECORD_TARGET_EPOCH] = {20, &StreamsGroupTargetAssignmentMetadataKey_message,
                                    &StreamsGroupTargetAssignmentMetadataValue_message},
           [RECORD_TARGET] = {21, &StreamsGroupTargetAssignmentMemberKey_message,
                              &StreamsGroupTargetAssignmentMemberValue_message, apply_target},
           [RECORD_CURRENT] = {22, &StreamsGroupCurrentMemberAssignmentKey_message,
                               &StreamsGroupCurrentMemberAssignmentValue_message, apply_current}},
    .others = {{23, apply_topology}, {18} /* the topics' metadata, of older Kafka */},
    .member = record_member,
    .target = record_target,
    .current = record_current,
};
