/* share_group.c - share groups (KIP-932): ShareGroupHeartbeat, and what administrators see of them.
 *
 *   epoch  0  join, or begin anew        > 0  alive; may change what it subscribes to        -1  leave
 *
 *   check the request -> which group, which member -> subscription -> target (assign_simple.c) -> follow -> answer
 *
 * A share group is a consumer group (consumer_int.h) whose partitions have no owner: several members read one, record by
 * record, so a member has its target at once and nobody waits for anybody. There are no static members and no patterns. Which
 * records are whose is the module `share`'s.
 *
 * (H1) As with consumers: a refused call changes nothing, and a member that says nothing new costs no record.
 */
#include "group/describe_int.h"

typedef struct ShareGroupHeartbeatRequest heartbeat_request;
typedef struct ShareGroupHeartbeatResponse heartbeat_response;

static bool refuse(const struct group_call *call, int16_t error, struct str message)
{
    heartbeat_response *res = call->res;
    res->ErrorCode = error;
    res->ErrorMessage = message;
    return false;
}

/* --- may it? --- */

static const char *what_is_wrong(const heartbeat_request *req)
{
    enum { MEMBER_ID_MAX = 36 };
    if (str_trim(req->MemberId).len == 0)
        return "MemberId can't be empty.";
    if (req->MemberId.len > MEMBER_ID_MAX)
        return "MemberId can't be longer than 36 characters.";
    if (str_trim(req->GroupId).len == 0)
        return "GroupId can't be empty.";
    if (!str_is_null(req->RackId) && str_trim(req->RackId).len == 0)
        return "RackId can't be empty.";
    if (req->MemberEpoch < EPOCH_LEAVE)
        return "MemberEpoch is invalid.";
    if (req->MemberEpoch == 0 && req->SubscribedTopicNames.len <= 0)
        return "SubscribedTopicNames must be set in first request.";
    return NULL;
}

/* The first heartbeat of all makes the group. */
static bool check_group(const struct group *group, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    if (group_is_share(group) || (group == NULL && req->MemberEpoch == 0))
        return true;
    return refuse(call, GROUP_NOT_FOUND,
                  group == NULL
                      ? str_printf(call->arena, "Share group %.*s not found.", STR_ARG(req->GroupId))
                      : group_is_none(group, "share", req->GroupId, call->arena));
}

static bool refuse_unknown(const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    return refuse(call, GROUP_UNKNOWN_MEMBER,
                  str_printf(call->arena, "Member %.*s is not a member of group %.*s.",
                             STR_ARG(req->MemberId), STR_ARG(req->GroupId)));
}

/* The epoch of before will do: the answer with the new one was lost. */
static bool check_epoch(const struct group_call *call, const struct consumer_member *member)
{
    int32_t epoch = ((const heartbeat_request *)call->req)->MemberEpoch;
    if (epoch == 0 || epoch == member->epoch || (epoch < member->epoch && epoch == member->previous_epoch))
        return true;
    return refuse(call, GROUP_FENCED_EPOCH, fenced_text(KIND_SHARE, epoch, member, call->arena));
}

static bool find_member(struct consumer_turn *turn)
{
    const struct group_call *call = turn->call;
    const heartbeat_request *req = call->req;
    int64_t most = turn->groups->options.share_members_max;
    turn->live = turn->before = consumer_find(turn->consumer, req->MemberId);
    if (turn->live != NULL)
        return check_epoch(call, turn->live);
    if (req->MemberEpoch != 0)
        return refuse_unknown(call);
    return (int64_t)turn->consumer->member_count < most ||
           refuse(call, GROUP_FULL, full_text(KIND_SHARE, most, call->arena));
}

/* --- alive --- */

static void begin_member(struct consumer_turn *turn)
{
    const struct group_call *call = turn->call;
    const heartbeat_request *req = call->req;
    struct consumer_member *member = &turn->member;
    if (turn->live != NULL) {
        *member = *turn->live;
    } else {
        member->id = req->MemberId;
        member->topics = consumer_names(NULL, 0, call->arena);
    }
    if (req->SubscribedTopicNames.len >= 0)
        member->topics =
            consumer_names(req->SubscribedTopicNames.at, (size_t)req->SubscribedTopicNames.len, call->arena);
    if (!str_is_null(req->RackId))
        member->rack_id = req->RackId;
    member->client_id = call->client_id;
    member->client_host = call->client_host;
}

/* Its target is what it has, without topics that it does not subscribe to any more. */
static void follow(struct consumer_turn *turn)
{
    struct consumer_member *member = &turn->member;
    bool moves = turn->before == NULL || member->epoch != turn->target_epoch;
    if (!moves && !turn->subscription_changed)
        return;
    struct part_set assigned = consumer_subscribed(turn, &member->target, true);
    if (!moves && part_set_eq(&member->assigned, &assigned))
        return;
    if (moves)
        member->previous_epoch = member->epoch;
    member->epoch = turn->target_epoch;
    member->assigned = assigned;
    turn->records->current(turn->name, member, NULL, turn->now_ms, turn->out);
}

static void answer(const struct consumer_turn *turn)
{
    const struct group_call *call = turn->call;
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    bool full = req->MemberEpoch == 0 || req->SubscribedTopicNames.len >= 0;
    res->MemberId = str_dup(turn->member.id, call->arena);
    res->MemberEpoch = turn->member.epoch;
    res->HeartbeatIntervalMs =
        (int32_t)consumer_setting(turn->groups, turn->name, GROUP_SHARE_HEARTBEAT_INTERVAL_MS);
    if (!full && part_set_eq(&turn->before->assigned, &turn->member.assigned))
        return;
    res->Assignment = wire_new(&WIRE_ShareGroupHeartbeatResponse_Assignment, 1, call->arena);
    PART_SET_WRITE(&turn->member.assigned, res->Assignment->TopicPartitions,
                   ShareGroupHeartbeatResponse_TopicPartitions, call->arena);
}

static void alive(struct groups *groups, struct group *group, const struct group_call *call,
                  struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    struct consumer_group *consumer = group != NULL ? group->consumer : NULL;
    struct consumer_turn turn;
    consumer_turn_init(&turn, groups, req->GroupId, consumer, call, out);
    turn.records = &share_records;
    if (find_member(&turn)) {
        begin_member(&turn);
        consumer_step_subscription(&turn);
        consumer_step_target(&turn);
        follow(&turn);
        answer(&turn);
        if (turn.live != NULL)
            consumer_touch((struct consumer_member *)turn.live, call->now_ms);
        if (consumer != NULL)
            consumer->topics_seen = groups->topics_version;
    }
    consumer_turn_fini(&turn);
}

static void leave(struct group *group, const struct group_call *call, struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    struct consumer_member *member = consumer_find(group->consumer, req->MemberId);
    if (member == NULL) {
        refuse_unknown(call);
        return;
    }
    res->MemberId = req->MemberId;
    res->MemberEpoch = req->MemberEpoch;
    consumer_fence(group, &member, 1, call->now_ms, out);
}

bool group_decide_share_heartbeat(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const heartbeat_request *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    const char *wrong = what_is_wrong(req);
    groups->effects = call->effects;
    if (wrong != NULL)
        refuse(call, GROUP_INVALID_REQUEST, str_from(wrong));
    else if (!check_group(group, call))
        return true;
    else if (req->MemberEpoch == EPOCH_LEAVE)
        leave(group, call, out);
    else
        alive(groups, group, call, out);
    return true;
}

/* --- for administrators --- */

bool group_decide_share_make(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct group_share_make *make = request;
    if (group_find(state, make->group) == NULL)
        share_records.epoch(make->group, 1, 0, make->now_ms, out);
    return true;
}

typedef struct ShareGroupDescribeResponse_DescribedGroup described_group;
typedef struct ShareGroupDescribeResponse_Member described_member;

static void describe_member(const struct groups *groups, const struct consumer_member *member,
                            struct arena *arena, described_member *out)
{
    DESCRIBE_MEMBER(out, member, arena);
    DESCRIBE_SUBSCRIPTION(out, member, arena);
    DESCRIBE_PARTS(groups, &member->assigned, out->Assignment.TopicPartitions,
                   ShareGroupDescribeResponse_TopicPartitions, arena);
}

static void describe(const struct groups *groups, struct str name, struct arena *arena, described_group *out)
{
    const struct consumer_group *consumer =
        group_to_describe(groups, name, KIND_SHARE, arena, &out->ErrorCode, &out->ErrorMessage);
    out->GroupId = name;
    if (consumer == NULL)
        return;
    DESCRIBE_GROUP(out, consumer);
    out->AssignorName = STR("simple");
    WIRE_ALLOC(arena, out->Members, ShareGroupDescribeResponse_Member, consumer->member_count);
    described_member *row = out->Members.at;
    list_each (struct consumer_member, member, &consumer->members, link)
        describe_member(groups, member, arena, row++);
}

void group_describe_share(struct groups *groups, struct group_call *call)
{
    DESCRIBE_GROUPS(ShareGroupDescribe, groups, call, describe);
}

void group_share_topics(const struct groups *groups, struct str name, void (*fn)(void *arg, struct str topic),
                        void *arg)
{
    const struct group *group = group_find(groups, name);
    if (!group_is_share(group))
        return;
    list_each (struct consumer_member, member, &group->consumer->members, link)
        for (size_t i = 0; i < member->topics->len; i++)
            fn(arg, member->topics->at[i]);
}
