/* streams_answer.c - what a member of a streams group is told: its tasks, what is the matter with the group, who can be asked for
 * which partition of its stores (interactive queries); and what administrators see: StreamsGroupDescribe.
 *
 * (Z1) Tasks are told when they changed, to one that joins, and to one that says that it has others: an answer was lost, perhaps.
 *      (Apache Kafka 4.3.1 does not tell the last: its member waits for tasks, or is waited for, until it is fenced.)
 * (Z2) Endpoints are told to those who have not seen the latest: their epoch moves when the tasks of a member with an endpoint
 *      change. It is not stored: after a restart everybody is told once more.
 * (Z3) Everything is copied: an answer is written when the state is not locked any more.
 */
#include "group/describe_int.h"
#include "group/streams_int.h"

typedef struct StreamsGroupHeartbeatRequest heartbeat_request;
typedef struct StreamsGroupHeartbeatResponse heartbeat_response;
typedef struct StreamsGroupHeartbeatResponse_EndpointToPartitions told_endpoint;
typedef struct StreamsGroupHeartbeatResponse_TopicPartition told_partitions;

/* --- what is the matter --- */

static void tell(heartbeat_response *res, enum streams_status status, struct str detail)
{
    res->Status.at[res->Status.len++] = (struct StreamsGroupHeartbeatResponse_Status){(int8_t)status, detail};
}

static struct str who_shuts_down(const struct streams_turn *turn)
{
    const heartbeat_request *req = turn->base.call->req;
    if (turn->streams != NULL)
        return turn->streams->shutdown_by;
    return req->ShutdownApplication ? req->MemberId : STR_NULL;
}

static void tell_statuses(const struct streams_turn *turn, struct arena *arena, heartbeat_response *res)
{
    int32_t own = turn->base.member.streams->topology_epoch, epoch = turn->base.topology->Epoch;
    struct str ender = who_shuts_down(turn);
    WIRE_ALLOC(arena, res->Status, StreamsGroupHeartbeatResponse_Status, STREAMS_DELAYED + 1);
    res->Status.len = 0;
    if (own < epoch)
        tell(res, STREAMS_STALE_TOPOLOGY,
             str_printf(arena, "The member's topology epoch %d is behind the group's topology epoch %d.", own,
                        epoch));
    if (turn->delayed_initially)
        tell(res, STREAMS_DELAYED, STR("Assignment delayed due to the configured initial rebalance delay."));
    if (turn->delayed_by_interval)
        tell(res, STREAMS_DELAYED, STR("Assignment delayed due to the configured assignment interval."));
    if (turn->plan.status != STREAMS_READY)
        tell(res, turn->plan.status, turn->plan.detail);
    if (!str_is_null(ender))
        tell(res, STREAMS_SHUTDOWN,
             str_printf(arena,
                        "Streams group member %.*s encountered a fatal error and requested a shutdown for "
                        "the entire application.",
                        STR_ARG(ender)));
}

/* --- endpoints --- */

struct told {
    const struct streams_turn *turn;
    const struct part_set *set;
    size_t from, to; /* the tasks of one subtopology */
    struct arena *arena;
    told_partitions *at;
    int32_t len;
};

/* The partitions of one input of a subtopology that the tasks read: an input may have fewer than there are tasks. */
static void tell_input(void *arg, struct str topic)
{
    struct told *told = arg;
    told_partitions *row = &told->at[told->len++];
    int32_t there = consumer_topic((struct consumer_turn *)&told->turn->base, topic)->partition_count;
    wire_init(&WIRE_StreamsGroupHeartbeatResponse_TopicPartition, row);
    row->Topic = str_dup(topic, told->arena);
    row->Partitions.at = arena_array(told->arena, int32_t, told->to - told->from);
    for (size_t i = told->from; i < told->to; i++)
        if (told->set->at[i].partition < there)
            row->Partitions.at[row->Partitions.len++] = told->set->at[i].partition;
}

static void count_input(void *arg, struct str topic)
{
    ++*(size_t *)arg;
}

static void tell_tasks_of(const struct streams_turn *turn, const struct part_set *set, enum task_role role,
                          struct arena *arena, told_partitions **at, int32_t *len)
{
    const streams_topology *topology = turn->base.topology;
    struct told told = {.turn = turn, .set = set, .arena = arena};
    size_t count = 0;
    for (size_t from = 0; from < set->len; from = part_set_run(set, from))
        streams_inputs(&topology->Subtopologies.at[task_subtopology(&set->at[from])], count_input, &count);
    told.at = arena_array(arena, told_partitions, count);
    for (told.from = 0; told.from < set->len; told.from = told.to) {
        told.to = part_set_run(set, told.from);
        if (task_role_of(&set->at[told.from]) == role)
            streams_inputs(&topology->Subtopologies.at[task_subtopology(&set->at[told.from])], tell_input,
                           &told);
    }
    *at = told.at;
    *len = told.len;
}

static void tell_endpoint(const struct streams_turn *turn, const struct consumer_member *member,
                          struct arena *arena, heartbeat_response *res)
{
    if (str_is_null(member->streams->host))
        return;
    told_endpoint *row = &res->PartitionsByUserEndpoint.at[res->PartitionsByUserEndpoint.len++];
    row->UserEndpoint.Host = str_dup(member->streams->host, arena);
    row->UserEndpoint.Port = member->streams->port;
    tell_tasks_of(turn, &member->assigned, ROLE_ACTIVE, arena, &row->ActivePartitions.at,
                  &row->ActivePartitions.len);
    tell_tasks_of(turn, &member->assigned, ROLE_STANDBY, arena, &row->StandbyPartitions.at,
                  &row->StandbyPartitions.len);
}

/* Z2 */
static void tell_endpoints(const struct streams_turn *turn, bool changed, struct arena *arena,
                           heartbeat_response *res)
{
    const struct consumer_turn *base = &turn->base;
    const heartbeat_request *req = base->call->req;
    int32_t epoch = turn->streams == NULL ? 0 : turn->streams->endpoint_epoch;
    if (changed && !str_is_null(base->member.streams->host))
        epoch++;
    if (turn->streams != NULL)
        turn->streams->endpoint_epoch = res->EndpointInformationEpoch = epoch;
    if (epoch == req->EndpointInformationEpoch)
        return;
    WIRE_ALLOC(arena, res->PartitionsByUserEndpoint, StreamsGroupHeartbeatResponse_EndpointToPartitions,
               base->consumer->member_count + 1);
    res->PartitionsByUserEndpoint.len = 0;
    list_each (struct consumer_member, member, &base->consumer->members, link)
        if (member != base->live)
            tell_endpoint(turn, member, arena, res);
    tell_endpoint(turn, &base->member, arena, res);
}

/* --- the answer --- */

void streams_answer(const struct streams_turn *turn, const struct group_call *call)
{
    const struct consumer_turn *base = &turn->base;
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    bool changed = req->MemberEpoch == 0 || base->before == NULL ||
                   !part_set_eq(&base->before->assigned, &base->member.assigned);
    bool differs = base->owned != NULL && !part_set_eq(base->owned, &base->member.assigned);
    res->MemberId = req->MemberId;
    res->MemberEpoch = base->member.epoch;
    res->HeartbeatIntervalMs =
        (int32_t)consumer_setting(base->groups, base->name, GROUP_STREAMS_HEARTBEAT_INTERVAL_MS);
    tell_statuses(turn, call->arena, res);
    tell_endpoints(turn, changed, call->arena, res);
    if (!changed && !differs)
        return; /* Z1 */
    TASKS_WRITE(&base->member.assigned, ROLE_ACTIVE, base->topology, res->ActiveTasks,
                StreamsGroupHeartbeatResponse_TaskIds, call->arena);
    TASKS_WRITE(&base->member.assigned, ROLE_STANDBY, base->topology, res->StandbyTasks,
                StreamsGroupHeartbeatResponse_TaskIds, call->arena);
    TASKS_WRITE(&base->member.assigned, ROLE_WARMUP, base->topology, res->WarmupTasks,
                StreamsGroupHeartbeatResponse_TaskIds, call->arena);
}

/* --- for administrators --- */

typedef struct StreamsGroupDescribeResponse_DescribedGroup described_group;
typedef struct StreamsGroupDescribeResponse_Member described_member;
typedef struct StreamsGroupDescribeResponse_Assignment described_assignment;
typedef struct StreamsGroupDescribeResponse_TopicInfo described_topic;

static void describe_tasks(const streams_topology *topology, const struct part_set *set, struct arena *arena,
                           described_assignment *out)
{
    TASKS_WRITE(set, ROLE_ACTIVE, topology, out->ActiveTasks, StreamsGroupDescribeResponse_TaskIds, arena);
    TASKS_WRITE(set, ROLE_STANDBY, topology, out->StandbyTasks, StreamsGroupDescribeResponse_TaskIds, arena);
    TASKS_WRITE(set, ROLE_WARMUP, topology, out->WarmupTasks, StreamsGroupDescribeResponse_TaskIds, arena);
}

static void describe_member(const streams_topology *topology, const struct consumer_member *member,
                            struct arena *arena, described_member *out)
{
    const struct streams_member *streams = member->streams;
    DESCRIBE_MEMBER(out, member, arena);
    out->TopologyEpoch = streams->topology_epoch;
    out->ProcessId = describe_str(streams->process_id, arena);
    if (!str_is_null(streams->host)) {
        out->UserEndpoint = wire_new(&WIRE_StreamsGroupDescribeResponse_Endpoint, 1, arena);
        out->UserEndpoint->Host = str_dup(streams->host, arena);
        out->UserEndpoint->Port = streams->port;
    }
    WIRE_ALLOC(arena, out->ClientTags, StreamsGroupDescribeResponse_KeyValue, streams->tag_count);
    for (size_t i = 0; i < streams->tag_count; i++) {
        out->ClientTags.at[i].Key = str_dup(streams->tags[i].key, arena);
        out->ClientTags.at[i].Value = str_dup(streams->tags[i].value, arena);
    }
    describe_tasks(topology, &member->assigned, arena, &out->Assignment);
    describe_tasks(topology, &member->target, arena, &out->TargetAssignment);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const described_topic *)a)->Name, ((const described_topic *)b)->Name);
}

static struct str *copy_names(const struct str *from, int32_t count, struct arena *arena)
{
    struct str *names = describe_names(from, (size_t)MAX(count, 0), arena);
    if (count > 1)
        qsort(names, (size_t)count, sizeof names[0], by_text);
    return names;
}

/* With the partitions that they have when all topics are as they should be, else as the topology says. */
static described_topic *describe_topics(const struct group *group, const streams_topic_info *from,
                                        int32_t count, struct arena *arena)
{
    const struct group_topics *topics = group->groups->options.topics;
    bool ready = streams_is_validated(group->consumer->streams);
    described_topic *rows =
        wire_new(&WIRE_StreamsGroupDescribeResponse_TopicInfo, (size_t)MAX(count, 0), arena);
    struct group_topic topic;
    for (int32_t i = 0; i < count; i++) {
        rows[i].Name = str_dup(from[i].Name, arena);
        rows[i].Partitions = ready && topics->find(topics->arg, from[i].Name, &topic) ? topic.partition_count
                                                                                      : from[i].Partitions;
        rows[i].ReplicationFactor = from[i].ReplicationFactor;
        WIRE_ALLOC(arena, rows[i].TopicConfigs, StreamsGroupDescribeResponse_KeyValue,
                   MAX(from[i].TopicConfigs.len, 0));
        for (int32_t j = 0; j < from[i].TopicConfigs.len; j++) {
            rows[i].TopicConfigs.at[j].Key = str_dup(from[i].TopicConfigs.at[j].key, arena);
            rows[i].TopicConfigs.at[j].Value = str_dup(from[i].TopicConfigs.at[j].value, arena);
        }
    }
    if (count > 1)
        qsort(rows, (size_t)count, sizeof rows[0], by_name);
    return rows;
}

#define DESCRIBE_NAMES(field, from) \
    ((field).at = copy_names((from).at, (from).len, arena), (field).len = MAX((from).len, 0))
#define DESCRIBE_TOPICS(field, from) \
    ((field).at = describe_topics(group, (from).at, (from).len, arena), (field).len = MAX((from).len, 0))

static struct StreamsGroupDescribeResponse_Topology *describe_topology(const struct group *group,
                                                                       struct arena *arena)
{
    const streams_topology *topology = group->consumer->streams->topology;
    struct StreamsGroupDescribeResponse_Topology *out =
        wire_new(&WIRE_StreamsGroupDescribeResponse_Topology, 1, arena);
    out->Epoch = topology->Epoch;
    WIRE_ALLOC(arena, out->Subtopologies, StreamsGroupDescribeResponse_Subtopology,
               MAX(topology->Subtopologies.len, 0));
    for (int32_t i = 0; i < topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &topology->Subtopologies.at[i];
        struct StreamsGroupDescribeResponse_Subtopology *row = &out->Subtopologies.at[i];
        row->SubtopologyId = str_dup(sub->SubtopologyId, arena);
        DESCRIBE_NAMES(row->SourceTopics, sub->SourceTopics);
        DESCRIBE_NAMES(row->RepartitionSinkTopics, sub->RepartitionSinkTopics);
        DESCRIBE_TOPICS(row->StateChangelogTopics, sub->StateChangelogTopics);
        DESCRIBE_TOPICS(row->RepartitionSourceTopics, sub->RepartitionSourceTopics);
    }
    return out;
}

static void describe(const struct groups *groups, struct str name, struct arena *arena, described_group *out)
{
    const struct consumer_group *consumer =
        group_to_describe(groups, name, KIND_STREAMS, arena, &out->ErrorCode, &out->ErrorMessage);
    out->GroupId = name;
    if (consumer == NULL)
        return;
    DESCRIBE_GROUP(out, consumer);
    if (consumer->streams->topology != NULL)
        out->Topology = describe_topology(consumer->streams->group, arena);
    WIRE_ALLOC(arena, out->Members, StreamsGroupDescribeResponse_Member, consumer->member_count);
    described_member *row = out->Members.at;
    list_each (struct consumer_member, member, &consumer->members, link)
        describe_member(consumer->streams->topology, member, arena, row++);
}

void group_describe_streams(struct groups *groups, struct group_call *call)
{
    DESCRIBE_GROUPS(StreamsGroupDescribe, groups, call, describe);
}
