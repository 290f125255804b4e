/* join.c - JoinGroup: who may be a member, under which id, and whether that starts a rebalance.
 *
 *   id "", no instance     v4+: an id is given out, the client comes back with it (MEMBER_ID_REQUIRED); older: a member at once
 *   id "", instance        unknown: a member at once; known: the earlier holder is replaced under a new id
 *   id known               by state: parked, answered again, or a rebalance begins
 */
#include "group/consumer_int.h"

enum { MEMBER_ID_REQUIRED_VERSION = 4, SKIP_ASSIGNMENT_VERSION = 9 };

/* A join as the functions below hand it on. */
struct join {
    struct groups *groups;
    struct group_call *call;
    const struct JoinGroupRequest *req;
    struct group *group;
    struct replay_records *out;
};

static void refuse(struct join *join, int16_t error, struct str member_id)
{
    reply_join_error(join->groups, join->call->token, error, member_id);
}

struct protocols *join_protocols(const struct JoinGroupRequest *req)
{
    size_t count = (size_t)MAX(req->Protocols.len, 0);
    struct protocol *list = mem_zalloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct protocol){req->Protocols.at[i].Name, req->Protocols.at[i].Metadata};
    struct protocols *copy = protocols_new(list, count);
    free(list);
    return copy;
}

static bool same_protocols(const struct member *member, const struct JoinGroupRequest *req)
{
    if (member->protocols->count != (size_t)req->Protocols.len)
        return false;
    for (int32_t i = 0; i < req->Protocols.len; i++)
        if (!str_eq(member->protocols->at[i].name, req->Protocols.at[i].Name) ||
            !str_eq(member->protocols->at[i].metadata, req->Protocols.at[i].Metadata))
            return false;
    return true;
}

static void update_member(struct join *join, struct member *member)
{
    const struct JoinGroupRequest *req = join->req;
    free(member->protocols);
    member->protocols = join_protocols(req);
    member->session_timeout_ms = req->SessionTimeoutMs;
    member->rebalance_timeout_ms =
        req->RebalanceTimeoutMs >= 0 ? req->RebalanceTimeoutMs : req->SessionTimeoutMs;
    str_disown(&member->client_id);
    str_disown(&member->client_host);
    member->client_id = str_own(str_is_null(join->call->client_id) ? STR("") : join->call->client_id);
    member->client_host = str_own(join->call->client_host);
    member_touch(member, join->call->now_ms);
}

/* Parks the call and lets the group come together anew. An earlier call of the same member is given up. */
static void park_and_rebalance(struct join *join, struct member *member)
{
    if (member->join_token != NULL)
        reply_join_error(join->groups, member->join_token, GROUP_REBALANCING, member->id);
    member->join_token = join->call->token;
    rebalance_prepare(join->groups, join->group, join->call->now_ms, join->out);
}

static void add_member(struct join *join, struct str id)
{
    struct group *group = join->group;
    if (group->member_count == 0) {
        str_disown(&group->protocol_type);
        group->protocol_type = str_own(join->req->ProtocolType);
    }
    struct member *member = member_new(group, id, join->req->GroupInstanceId);
    update_member(join, member);
    park_and_rebalance(join, member);
}

static void answer_current(struct join *join, struct member *member)
{
    bool leads = str_eq(member->id, join->group->leader);
    member_touch(member, join->call->now_ms);
    reply_join(join->groups, join->group, member, join->call->token,
               leads && join->group->state == GROUP_COMPLETING);
}

/* "<client or instance id>-<uuid>" in the arena of the answers. */
static struct str make_member_id(struct join *join)
{
    const uint8_t *r = join->call->random;
    struct str prefix =
        str_is_null(join->req->GroupInstanceId) ? join->call->client_id : join->req->GroupInstanceId;
    return str_printf(&join->groups->effects->arena,
                      "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                      STR_ARG(prefix), r[0], r[1], r[2], r[3], r[4], r[5], (r[6] & 0x0f) | 0x40, r[7],
                      (r[8] & 0x3f) | 0x80, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* A static member came back without its id: it goes on under a new one, the old id is fenced. Without a change of
 * protocols a stable group stays as it is. */
static void replace_static(struct join *join, struct member *member)
{
    struct groups *groups = join->groups;
    struct group *group = join->group;
    struct str old_id = str_dup(member->id, &groups->effects->arena);
    bool led = str_eq(old_id, group->leader);
    if (member->join_token != NULL)
        reply_join_error(groups, member->join_token, GROUP_FENCED_INSTANCE, old_id);
    if (member->sync_token != NULL)
        reply_sync_error(groups, member->sync_token, GROUP_FENCED_INSTANCE);
    member->join_token = member->sync_token = NULL;
    member_rename(group, member, make_member_id(join));
    update_member(join, member);
    if (group->state != GROUP_STABLE || !str_eq(rebalance_choose_protocol(group), group->protocol)) {
        park_and_rebalance(join, member);
        return;
    }
    bool skip = join->call->version >= SKIP_ASSIGNMENT_VERSION;
    group_add_record(group, false, join->call->now_ms, join->out);
    reply_join(groups, group, member, join->call->token, led && skip);
    struct JoinGroupResponse *res = &vec_last(&groups->effects->replies).join;
    if (led && skip)
        res->SkipAssignment = true;
    else if (led)
        res->Leader = old_id; /* older clients would assign anew if they saw themselves as leader */
}

static void join_without_id(struct join *join)
{
    struct group *group = join->group;
    bool is_static = !str_is_null(join->req->GroupInstanceId);
    struct member *holder = is_static ? map_get(&group->statics, join->req->GroupInstanceId) : NULL;
    if (holder != NULL) {
        replace_static(join, holder);
        return;
    }
    struct str id = make_member_id(join);
    if (!is_static && join->call->version >= MEMBER_ID_REQUIRED_VERSION) {
        group_await(group, id, join->call->now_ms + join->req->SessionTimeoutMs);
        refuse(join, GROUP_MEMBER_ID_REQUIRED, id);
        return;
    }
    add_member(join, id);
}

static void rejoin(struct join *join, struct member *member)
{
    struct group *group = join->group;
    bool same = same_protocols(member, join->req);
    bool leads = str_eq(member->id, group->leader);
    if ((group->state == GROUP_COMPLETING && same) || (group->state == GROUP_STABLE && same && !leads)) {
        answer_current(join, member);
        return;
    }
    update_member(join, member);
    park_and_rebalance(join, member);
}

static void join_with_id(struct join *join)
{
    struct group *group = join->group;
    struct str id = join->req->MemberId, instance_id = join->req->GroupInstanceId;
    struct member *member = group_member(group, id);
    if (!str_is_null(instance_id)) {
        struct member *holder = map_get(&group->statics, instance_id);
        if (holder == NULL || holder != member) {
            refuse(join, holder == NULL ? GROUP_UNKNOWN_MEMBER : GROUP_FENCED_INSTANCE, id);
            return;
        }
    } else if (group_forget_awaited(group, id)) {
        add_member(join, id);
        return;
    }
    if (member == NULL)
        refuse(join, GROUP_UNKNOWN_MEMBER, id);
    else
        rejoin(join, member);
}

/* There is a protocol that the joiner and all members support. */
static bool protocols_fit(const struct join *join)
{
    const struct JoinGroupRequest *req = join->req;
    struct group *group = join->group;
    if (req->ProtocolType.len == 0 || req->Protocols.len <= 0)
        return false;
    if (group == NULL || group->member_count == 0)
        return true;
    if (!str_eq(group->protocol_type, req->ProtocolType))
        return false;
    for (int32_t i = 0; i < req->Protocols.len; i++) {
        bool all = true;
        list_each (struct member, member, &group->members, link) {
            bool one = false;
            for (size_t j = 0; j < member->protocols->count && !one; j++)
                one = str_eq(member->protocols->at[j].name, req->Protocols.at[i].Name);
            all = all && one;
        }
        if (all)
            return true;
    }
    return false;
}

/* Checks that need no group. */
static int16_t check_request(const struct groups *groups, const struct JoinGroupRequest *req)
{
    if (req->GroupId.len == 0)
        return GROUP_INVALID_ID;
    if (req->SessionTimeoutMs < groups->options.session_timeout_ms_min ||
        req->SessionTimeoutMs > groups->options.session_timeout_ms_max)
        return GROUP_INVALID_SESSION;
    return GROUP_NONE;
}

/* Is there room? In the join phase those count who have joined: when the limit was lowered, the last ones to rejoin are
 * left out. */
static bool has_room(const struct join *join)
{
    const struct group *group = join->group;
    const struct member *member = group_member(group, join->req->MemberId);
    size_t joined = 0;
    if (group->state == GROUP_EMPTY)
        return true;
    if (group->state != GROUP_PREPARING)
        return member != NULL || (int64_t)group->member_count < join->groups->options.members_max;
    list_each (struct member, other, &group->members, link)
        joined += other->join_token != NULL;
    return (member != NULL && member->join_token != NULL) ||
           (int64_t)joined < join->groups->options.members_max;
}

static void refuse_full(struct join *join)
{
    struct member *member = group_member(join->group, join->req->MemberId);
    refuse(join, GROUP_FULL, STR(""));
    if (group_forget_awaited(join->group, join->req->MemberId))
        rebalance_maybe_complete(join->groups, join->group, join->call->now_ms, join->out);
    if (member != NULL)
        rebalance_drop_member(join->groups, join->group, member, join->call->now_ms, join->out);
}

static void join_group(struct join *join)
{
    struct groups *groups = join->groups;
    const struct JoinGroupRequest *req = join->req;
    if (join->group == NULL && req->MemberId.len != 0)
        refuse(join, GROUP_UNKNOWN_MEMBER, req->MemberId);
    else if (join->group != NULL && !has_room(join))
        refuse_full(join);
    else if (!protocols_fit(join))
        refuse(join, GROUP_INCONSISTENT_PROTOCOL, req->MemberId);
    else {
        if (join->group == NULL)
            join->group = group_find_or_make(groups, req->GroupId);
        if (req->MemberId.len == 0)
            join_without_id(join);
        else
            join_with_id(join);
    }
}

bool group_decide_join(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct JoinGroupRequest *req = call->req;
    struct join join = {.groups = groups, .call = call, .req = req, .out = out};
    groups->effects = call->effects;
    join.group = group_find(groups, req->GroupId);
    int16_t error = check_request(groups, req);
    if (error != GROUP_NONE) {
        refuse(&join, error, req->MemberId);
        return true;
    }
    if (group_is_share(join.group)) {
        refuse(&join, GROUP_INCONSISTENT_PROTOCOL, req->MemberId);
        return true;
    }
    if (join.group != NULL && join.group->consumer != NULL) {
        if (join.group->consumer->member_count != 0) {
            if (group_is(join.group, KIND_STREAMS))
                refuse(&join, GROUP_INCONSISTENT_PROTOCOL, STR(""));
            else
                consumer_join_classic(join.group, call, make_member_id(&join), out);
            return true;
        }
        record_consumer_gone(join.group, call->now_ms, out); /* an empty one makes room */
    }
    join_group(&join);
    return true;
}
