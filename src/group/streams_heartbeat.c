/* streams_heartbeat.c - StreamsGroupHeartbeat: the one call of a member of a streams group (KIP-1071).
 *
 *   epoch  0  join, or begin anew; brings the topology      > 0  alive      -1  leave
 *
 *   check the request -> which group, which member -> topology, topics -> epoch -> target -> reconcile -> answer
 *
 * (A1) A refused call changes nothing: every check comes before the first record.
 * (A2) A member that says nothing new costs no record.
 * (A3) As Apache Kafka 4.3.1: no static members, no patterns of source topics, no task offsets, no warm-up tasks; the topology of
 *      a group stays as the first member brought it.
 */
#include "group/streams_int.h"

typedef struct StreamsGroupHeartbeatRequest heartbeat_request;
typedef struct StreamsGroupHeartbeatResponse heartbeat_response;

static bool refuse(const struct group_call *call, int16_t error, struct str message)
{
    heartbeat_response *res = call->res;
    res->ErrorCode = error;
    res->ErrorMessage = message;
    return false;
}

/* --- the request by itself --- */

static const char *what_is_not_supported(const heartbeat_request *req)
{
    if (!str_is_null(req->InstanceId))
        return "Static membership is not yet supported.";
    if (req->TaskOffsets.len >= 0)
        return "TaskOffsets are not supported yet.";
    if (req->TaskEndOffsets.len >= 0)
        return "TaskEndOffsets are not supported yet.";
    if (req->WarmupTasks.len > 0)
        return "WarmupTasks are not supported yet.";
    for (int32_t i = 0; req->Topology != NULL && i < req->Topology->Subtopologies.len; i++)
        if (req->Topology->Subtopologies.at[i].SourceTopicRegex.len > 0)
            return "Regular expressions for source topics are not supported yet.";
    return NULL;
}

static const char *what_is_wrong_when_joining(const heartbeat_request *req)
{
    if (req->RebalanceTimeoutMs == -1)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (req->ActiveTasks.len > 0)
        return "ActiveTasks must be empty when (re-)joining.";
    if (req->StandbyTasks.len > 0)
        return "StandbyTasks must be empty when (re-)joining.";
    return req->Topology == NULL ? "Topology must be non-null when (re-)joining." : NULL;
}

static const char *what_is_wrong(const heartbeat_request *req)
{
    const char *wrong = req->MemberEpoch == 0 ? what_is_wrong_when_joining(req) : NULL;
    int given = (req->ActiveTasks.len >= 0) + (req->StandbyTasks.len >= 0) + (req->WarmupTasks.len >= 0);
    if (req->MemberId.len == 0)
        return "MemberId can't be empty.";
    if (req->GroupId.len == 0)
        return "GroupId can't be empty.";
    if (!str_is_null(req->RackId) && req->RackId.len == 0)
        return "RackId can't be empty.";
    if (wrong != NULL)
        return wrong;
    if (req->MemberEpoch == EPOCH_LEAVE_STATIC)
        return "InstanceId can't be null.";
    if (req->MemberEpoch < EPOCH_LEAVE_STATIC)
        return "MemberEpoch must be greater than or equal to -2.";
    if (given != 0 && given != TASK_ROLES)
        return "If one task-type is non-null, all must be non-null.";
    return req->MemberEpoch != 0 && req->Topology != NULL ? "Topology can only be provided when (re-)joining."
                                                          : NULL;
}

/* --- the group and the member --- */

static bool check_group(const struct group *group, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    bool room = group == NULL || (group->consumer == NULL && group->state == GROUP_EMPTY);
    if (group_is(group, KIND_STREAMS) || (room && req->MemberEpoch == 0))
        return true;
    return refuse(call, GROUP_NOT_FOUND,
                  group == NULL
                      ? str_printf(call->arena, "Streams group %.*s not found.", STR_ARG(req->GroupId))
                      : group_is_none(group, "streams", req->GroupId, call->arena));
}

static bool refuse_unknown(const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    return refuse(call, GROUP_UNKNOWN_MEMBER,
                  str_printf(call->arena, "Member %.*s is not a member of group %.*s.",
                             STR_ARG(req->MemberId), STR_ARG(req->GroupId)));
}

/* The epoch of before will do for one that has no more than it may have: then the answer with the new one was lost. */
static bool check_epoch(const struct streams_turn *turn, const struct task_reader *owned)
{
    const struct group_call *call = turn->base.call;
    const struct consumer_member *member = turn->base.live;
    int32_t epoch = ((const heartbeat_request *)call->req)->MemberEpoch;
    if (epoch == 0 || epoch == member->epoch)
        return true;
    if (epoch < member->epoch && epoch == member->previous_epoch && turn->base.owned != NULL &&
        str_is_null(owned->unknown) && part_set_within(turn->base.owned, &member->assigned))
        return true;
    return refuse(call, GROUP_FENCED_EPOCH, fenced_text(KIND_STREAMS, epoch, member, call->arena));
}

static bool find_member(struct streams_turn *turn, const struct task_reader *owned)
{
    struct consumer_turn *base = &turn->base;
    const heartbeat_request *req = base->call->req;
    int64_t most = base->groups->options.streams_members_max;
    base->live = base->before = consumer_find(base->consumer, req->MemberId);
    if (base->live != NULL)
        return check_epoch(turn, owned);
    if (req->MemberEpoch != 0)
        return refuse_unknown(base->call);
    return (int64_t)base->consumer->member_count < most ||
           refuse(base->call, GROUP_FULL, full_text(KIND_STREAMS, most, base->arena));
}

/* --- topology and topics --- */

static bool refuse_topology(const struct group_call *call, const struct err *err)
{
    return refuse(call, GROUP_INVALID_TOPOLOGY, str_dup(str_from(err->text), call->arena));
}

/* The topology of the turn: the group's, which one that is joining with an older epoch has yet to learn. */
static bool find_topology(struct streams_turn *turn)
{
    const struct group_call *call = turn->base.call;
    const heartbeat_request *req = call->req;
    const streams_topology *own = turn->streams == NULL ? NULL : turn->streams->topology;
    struct err err;
    turn->base.topology = own;
    if (req->Topology == NULL)
        return own != NULL || refuse(call, GROUP_UNKNOWN_SERVER_ERROR, STR("The group has no topology."));
    const streams_topology *brought = streams_topology_read(req->Topology, call->arena, &err);
    if (brought == NULL)
        return refuse_topology(call, &err);
    if (own == NULL)
        turn->base.topology = brought;
    else if (own->Epoch <= brought->Epoch && !streams_topology_eq(own, brought))
        return refuse(call, GROUP_INVALID_REQUEST, STR("Topology updates are not supported yet."));
    return true;
}

/* Tasks that a member says it has exist, when it is known which do. */
static bool check_tasks(const struct streams_turn *turn, const struct task_reader *owned)
{
    const struct group_call *call = turn->base.call;
    if (turn->plan.status != STREAMS_READY)
        return true;
    if (!str_is_null(owned->unknown))
        return refuse(call, GROUP_INVALID_REQUEST,
                      str_printf(call->arena, "Subtopology %.*s does not exist in the topology.",
                                 STR_ARG(owned->unknown)));
    for (size_t i = 0; i < owned->set.len; i++) {
        const struct topic_part *task = &owned->set.at[i];
        int32_t count = turn->plan.task_counts[task_subtopology(task)];
        if (task->partition >= 0 && task->partition < count)
            continue;
        return refuse(call, GROUP_INVALID_REQUEST,
                      str_printf(call->arena,
                                 "Task %d for subtopology %.*s is invalid. Number of tasks for this "
                                 "subtopology: %d",
                                 task->partition,
                                 STR_ARG(task_subtopology_id(turn->base.topology, task, call->arena)),
                                 count));
    }
    return true;
}

static bool look_at_topics(struct streams_turn *turn)
{
    struct err err;
    return streams_look_at_topics(turn, &err) || refuse_topology(turn->base.call, &err);
}

/* --- the member as it will be --- */

static struct streams_member *streams_of(const struct streams_turn *turn)
{
    const heartbeat_request *req = turn->base.call->req;
    const struct streams_member *old = turn->base.live == NULL ? NULL : turn->base.live->streams;
    struct streams_member parts = {.topology_epoch = -1, .process_id = STR("")};
    size_t tag_count = old == NULL ? 0 : old->tag_count;
    const struct streams_tag *tags = old == NULL ? NULL : old->tags;
    if (old != NULL)
        parts = (struct streams_member){.topology_epoch = old->topology_epoch,
                                        .process_id = old->process_id,
                                        .host = old->host,
                                        .port = old->port};
    if (req->Topology != NULL)
        parts.topology_epoch = req->Topology->Epoch;
    if (!str_is_null(req->ProcessId))
        parts.process_id = req->ProcessId;
    if (req->UserEndpoint != NULL) {
        parts.host = req->UserEndpoint->Host;
        parts.port = req->UserEndpoint->Port;
    }
    if (req->ClientTags.len >= 0) {
        tag_count = (size_t)req->ClientTags.len;
        struct streams_tag *own = arena_array(turn->base.arena, struct streams_tag, tag_count);
        for (size_t i = 0; i < tag_count; i++)
            own[i] = (struct streams_tag){req->ClientTags.at[i].Key, req->ClientTags.at[i].Value};
        tags = own;
    }
    return streams_member_dup(&parts, tags, tag_count, turn->base.arena);
}

static bool same_member(const struct consumer_member *a, const struct consumer_member *b)
{
    return str_is_same(a->rack_id, b->rack_id) && str_eq(a->client_id, b->client_id) &&
           str_eq(a->client_host, b->client_host) && a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           streams_member_eq(a->streams, b->streams);
}

/* True: it is new or another, and its record is written. */
static bool begin_member(struct streams_turn *turn)
{
    struct consumer_turn *base = &turn->base;
    const struct group_call *call = base->call;
    const heartbeat_request *req = call->req;
    struct consumer_member *member = &base->member;
    if (base->live != NULL)
        *member = *base->live;
    else
        *member = (struct consumer_member){.id = req->MemberId, .rebalance_timeout_ms = -1};
    if (!str_is_null(req->RackId))
        member->rack_id = req->RackId;
    if (req->RebalanceTimeoutMs != -1)
        member->rebalance_timeout_ms = req->RebalanceTimeoutMs;
    member->client_id = call->client_id;
    member->client_host = call->client_host;
    member->streams = streams_of(turn);
    if (base->live != NULL && same_member(base->live, member))
        return false;
    base->records->member(base->name, member, base->now_ms, base->out);
    return true;
}

/* --- alive --- */

static void note_shutdown(struct streams_turn *turn)
{
    const heartbeat_request *req = turn->base.call->req;
    if (req->ShutdownApplication && turn->streams != NULL && str_is_null(turn->streams->shutdown_by))
        turn->streams->shutdown_by = str_own(req->MemberId);
}

static void go_on(struct streams_turn *turn, struct group *group)
{
    struct consumer_turn *base = &turn->base;
    if (group != NULL && group->consumer == NULL && group->protocol_type.len != 0)
        group_add_record(group, true, base->now_ms, base->out); /* the classic group ends */
    bool changed = begin_member(turn);
    if (turn->streams == NULL || turn->streams->topology == NULL)
        streams_record_topology(base->name, base->topology, base->now_ms, base->out);
    streams_step_epoch(turn, changed);
    streams_step_target(turn);
    consumer_step_reconcile(base);
    if (base->live != NULL)
        consumer_touch((struct consumer_member *)base->live, base->now_ms);
    note_shutdown(turn);
    streams_answer(turn, base->call);
}

static void alive(struct groups *groups, struct group *group, struct group_call *call,
                  struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    struct consumer_group *consumer = group != NULL ? group->consumer : NULL;
    struct streams_turn turn = {.streams = consumer != NULL ? consumer->streams : NULL};
    struct task_reader owned = {.arena = call->arena};
    consumer_turn_init(&turn.base, groups, req->GroupId, consumer, call, out);
    turn.base.records = &streams_records;
    if (find_topology(&turn)) {
        owned.topology = turn.base.topology;
        TASKS_READ(&owned, ROLE_ACTIVE, req->ActiveTasks);
        TASKS_READ(&owned, ROLE_STANDBY, req->StandbyTasks);
        task_reader_end(&owned);
        turn.base.owned = req->ActiveTasks.len >= 0 ? &owned.set : NULL;
        if (find_member(&turn, &owned) && look_at_topics(&turn) && check_tasks(&turn, &owned)) {
            go_on(&turn, group);
            call->missing.at = turn.plan.missing.at;
            call->missing.len = turn.plan.missing.len;
        }
    }
    consumer_turn_fini(&turn.base);
}

static void leave(struct group *group, const struct group_call *call, struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    struct consumer_member *member =
        group_is(group, KIND_STREAMS) ? consumer_find(group->consumer, req->MemberId) : NULL;
    if (!group_is(group, KIND_STREAMS)) {
        refuse(call, GROUP_NOT_FOUND, group_is_none(group, "streams", req->GroupId, call->arena));
        return;
    }
    if (member == NULL) {
        refuse_unknown(call);
        return;
    }
    note_shutdown(&(struct streams_turn){.base = {.call = call}, .streams = group->consumer->streams});
    res->MemberId = req->MemberId;
    res->MemberEpoch = req->MemberEpoch;
    res->Status.len = 0;
    consumer_fence(group, &member, 1, call->now_ms, out);
}

bool group_decide_streams_heartbeat(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const heartbeat_request *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    const char *wrong = what_is_not_supported(req);
    groups->effects = call->effects;
    if (wrong == NULL)
        wrong = what_is_wrong(req);
    if (wrong != NULL)
        refuse(call, GROUP_INVALID_REQUEST, str_from(wrong));
    else if (req->MemberEpoch == EPOCH_LEAVE)
        leave(group, call, out);
    else if (check_group(group, call))
        alive(groups, group, call, out);
    return true;
}
