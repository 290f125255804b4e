/* member.c - what members do between rebalances: SyncGroup, Heartbeat, LeaveGroup; and what time does to them.
 *
 * (M1) A session does not end while the member's JoinGroup or SyncGroup is parked: who waits for us is alive.
 * (M2) Members that do not send SyncGroup until the deadline of the sync phase are removed.
 */
#include "group/consumer_int.h"

/* Takes the leader's assignment; members that it leaves out get nothing. */
static void take_assignments(struct group *group, const struct SyncGroupRequest *req)
{
    list_each (struct member, member, &group->members, link)
        str_disown(&member->assignment);
    for (int32_t i = 0; i < req->Assignments.len; i++) {
        struct member *member = group_member(group, req->Assignments.at[i].MemberId);
        if (member == NULL)
            continue;
        str_disown(&member->assignment);
        member->assignment = str_own(req->Assignments.at[i].Assignment);
    }
}

/* Checks that come before the state counts. */
static int16_t check_sync(const struct group *group, const struct SyncGroupRequest *req,
                          struct member **member)
{
    if (group == NULL)
        return GROUP_UNKNOWN_MEMBER;
    int16_t error = group_check_member(group, req->MemberId, req->GroupInstanceId, req->GenerationId, member);
    if (error != GROUP_NONE)
        return error;
    if (!str_is_null(req->ProtocolType) && !str_eq(req->ProtocolType, group->protocol_type))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (!str_is_null(req->ProtocolName) && !str_is_null(group->protocol) &&
        !str_eq(req->ProtocolName, group->protocol))
        return GROUP_INCONSISTENT_PROTOCOL;
    return GROUP_NONE;
}

static void sync_completing(struct group *group, struct member *member, struct group_call *call,
                            struct groups *groups, struct replay_records *out)
{
    if (member->sync_token != NULL)
        reply_sync_error(groups, member->sync_token, GROUP_REBALANCING);
    member->sync_token = call->token;
    member->synced = true;
    if (str_eq(member->id, group->leader)) {
        take_assignments(group, call->req);
        group->state_ms = call->now_ms;
        group_add_record(group, false, call->now_ms, out); /* applying it answers all who wait */
    }
}

bool group_decide_sync(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct SyncGroupRequest *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    struct member *member = NULL;
    groups->effects = call->effects;
    if (req->GroupId.len == 0) {
        reply_sync_error(groups, call->token, GROUP_INVALID_ID);
        return true;
    }
    if (group_is(group, KIND_CONSUMER)) {
        consumer_sync_classic(group, call);
        return true;
    }
    if (group != NULL && group->consumer != NULL) {
        reply_sync_error(groups, call->token, GROUP_UNKNOWN_MEMBER);
        return true;
    }
    int16_t error = check_sync(group, req, &member);
    if (error != GROUP_NONE) {
        reply_sync_error(groups, call->token, error);
        return true;
    }
    member_touch(member, call->now_ms);
    switch (group->state) {
    case GROUP_EMPTY:
        reply_sync_error(groups, call->token, GROUP_UNKNOWN_MEMBER);
        break;
    case GROUP_PREPARING:
        reply_sync_error(groups, call->token, GROUP_REBALANCING);
        break;
    case GROUP_COMPLETING:
        sync_completing(group, member, call, groups, out);
        break;
    case GROUP_STABLE:
        reply_sync(groups, group, member, call->token);
        break;
    }
    return true;
}

void group_sync_failed(struct groups *groups, struct group_call *call)
{
    const struct SyncGroupRequest *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    groups->effects = call->effects;
    reply_sync_error(groups, call->token, GROUP_NOT_AVAILABLE);
    struct member *member = group ? group_member(group, req->MemberId) : NULL;
    if (member != NULL && member->sync_token == call->token)
        member->sync_token = NULL;
    if (group != NULL && group->state == GROUP_COMPLETING)
        list_each (struct member, other, &group->members, link)
            str_disown(&other->assignment);
}

bool group_decide_heartbeat(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct HeartbeatRequest *req = call->req;
    struct HeartbeatResponse *res = call->res;
    struct group *group = group_find(groups, req->GroupId);
    struct member *member = NULL;
    groups->effects = call->effects;
    if (group_is(group, KIND_CONSUMER)) {
        res->ErrorCode = consumer_heartbeat_classic(group, call);
        return true;
    }
    res->ErrorCode =
        req->GroupId.len == 0 ? GROUP_INVALID_ID
        : group == NULL || group->consumer != NULL
            ? GROUP_UNKNOWN_MEMBER
            : group_check_member(group, req->MemberId, req->GroupInstanceId, req->GenerationId, &member);
    if (res->ErrorCode != GROUP_NONE)
        return true;
    member_touch(member, call->now_ms);
    if (group->state == GROUP_PREPARING)
        res->ErrorCode = GROUP_REBALANCING;
    return true;
}

/* --- leaving --- */

static int16_t leave_one(struct groups *groups, struct group *group, struct str id, struct str instance_id,
                         int64_t now_ms, struct replay_records *out)
{
    struct member *member = group_member(group, id);
    if (!str_is_null(instance_id)) {
        struct member *holder = map_get(&group->statics, instance_id);
        if (holder == NULL)
            return GROUP_UNKNOWN_MEMBER;
        if (id.len != 0 && holder != member)
            return GROUP_FENCED_INSTANCE;
        member = holder;
    } else if (group_forget_awaited(group, id)) {
        rebalance_maybe_complete(groups, group, now_ms, out);
        return GROUP_NONE;
    }
    if (member == NULL)
        return GROUP_UNKNOWN_MEMBER;
    rebalance_drop_member(groups, group, member, now_ms, out);
    return GROUP_NONE;
}

static void leave_all(struct groups *groups, struct group *group, const struct leaver *leavers, size_t count,
                      int16_t *errors, int64_t now_ms, struct replay_records *out)
{
    if (group_is(group, KIND_CONSUMER)) {
        consumer_leave_classic(group, leavers, count, errors, now_ms, out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        errors[i] = group == NULL || group->consumer != NULL
                        ? GROUP_UNKNOWN_MEMBER
                        : leave_one(groups, group, leavers[i].id, leavers[i].instance_id, now_ms, out);
}

bool group_decide_leave(void *state, void *request, struct replay_records *out, struct err *err)
{
    enum { MANY_VERSION = 3 };
    struct groups *groups = state;
    struct group_call *call = request;
    const struct LeaveGroupRequest *req = call->req;
    struct LeaveGroupResponse *res = call->res;
    struct group *group = group_find(groups, req->GroupId);
    groups->effects = call->effects;
    if (req->GroupId.len == 0) {
        res->ErrorCode = GROUP_INVALID_ID;
        return true;
    }
    if (call->version < MANY_VERSION) {
        leave_all(groups, group, &(struct leaver){req->MemberId, STR_NULL}, 1, &res->ErrorCode, call->now_ms,
                  out);
        return true;
    }
    size_t count = (size_t)MAX(req->Members.len, 0);
    struct leaver *leavers = arena_array(call->arena, struct leaver, count);
    int16_t *errors = arena_array(call->arena, int16_t, count);
    for (size_t i = 0; i < count; i++)
        leavers[i] = (struct leaver){req->Members.at[i].MemberId, req->Members.at[i].GroupInstanceId};
    leave_all(groups, group, leavers, count, errors, call->now_ms, out);
    WIRE_ALLOC(call->arena, res->Members, LeaveGroupResponse_MemberResponse, count);
    for (size_t i = 0; i < count; i++) {
        res->Members.at[i].MemberId = leavers[i].id;
        res->Members.at[i].GroupInstanceId = leavers[i].instance_id;
        res->Members.at[i].ErrorCode = errors[i];
    }
    return true;
}

/* --- time --- */

static int64_t pending_expiry(void *value)
{
    return (int64_t)(intptr_t)value;
}

void member_touch(struct member *member, int64_t now_ms)
{
    replay_timer_start(&member->group->groups->timers, &member->session, now_ms + member->session_timeout_ms);
}

void member_session_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct member *member = LIST_ENTRY(timer, struct member, session);
    if (member->join_token != NULL || member->sync_token != NULL)
        member_touch(member, now_ms); /* M1 */
    else
        rebalance_drop_member(member->group->groups, member->group, member, now_ms, out);
}

void group_await(struct group *group, struct str id, int64_t lapses_ms)
{
    map_put(&group->pending, id, (void *)(intptr_t)lapses_ms);
    if (group->pending_timer.heap_pos == 0 || lapses_ms < group->pending_timer.due_ms)
        replay_timer_start(&group->groups->timers, &group->pending_timer, lapses_ms);
}

bool group_forget_awaited(struct group *group, struct str id)
{
    if (map_remove(&group->pending, id) == NULL)
        return false;
    if (group->pending.len == 0)
        replay_timer_stop(&group->groups->timers, &group->pending_timer);
    return true;
}

void group_pending_lapse(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct group *group = LIST_ENTRY(timer, struct group, pending_timer);
    int64_t next_ms = INT64_MAX;
    struct str id;
    void *value;
    for (size_t i = 0; map_next(&group->pending, &i, &id, &value);) {
        if (pending_expiry(value) <= now_ms)
            map_remove(&group->pending, id);
        else
            next_ms = MIN(next_ms, pending_expiry(value));
    }
    replay_timer_start(&group->groups->timers, timer, next_ms);
    rebalance_maybe_complete(group->groups, group, now_ms, out);
}

/* M2 */
static void on_sync_deadline(struct groups *groups, struct group *group, int64_t now_ms,
                             struct replay_records *out)
{
    list_each_safe (struct member, member, &group->members, link) {
        if (!member->synced)
            member_remove(group, member);
    }
    rebalance_prepare(groups, group, now_ms, out);
}

void group_deadline(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct group *group = LIST_ENTRY(timer, struct group, deadline);
    if (group->consumer != NULL) {
        migrate_down(group, NULL, 0, now_ms, out); /* its last member of the new protocol was replaced */
        return;
    }
    switch (group->state) {
    case GROUP_PREPARING:
        rebalance_on_join_deadline(group->groups, group, now_ms, out);
        break;
    case GROUP_COMPLETING:
        on_sync_deadline(group->groups, group, now_ms, out);
        break;
    case GROUP_STABLE: /* it was a consumer group until now */
        rebalance_prepare(group->groups, group, now_ms, out);
        break;
    case GROUP_EMPTY:
        break;
    }
}

int64_t groups_next_ms(const struct groups *groups)
{
    return replay_timers_next_ms(&groups->timers);
}

bool group_decide_tick(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    groups->effects = call->effects;
    replay_timers_fire(&groups->timers, call->now_ms, out);
    return true;
}

static void stop_member(struct groups *groups, struct member *member)
{
    if (member->join_token != NULL)
        reply_join_error(groups, member->join_token, GROUP_NOT_AVAILABLE, member->id);
    if (member->sync_token != NULL)
        reply_sync_error(groups, member->sync_token, GROUP_NOT_AVAILABLE);
    member->join_token = member->sync_token = NULL;
}

bool group_decide_stop(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    void *group_ptr;
    groups->effects = call->effects;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group_ptr);) {
        struct group *group = group_ptr;
        list_each (struct member, member, &group->members, link)
            stop_member(groups, member);
    }
    return true;
}
