/* join.c - JoinGroup: who may be a member, under which id, and whether that starts a rebalance.
 *
 *   id "", no instance     v4+: an id is given out, the client comes back with it (MEMBER_ID_REQUIRED); older: a member at once
 *   id "", instance        unknown: a member at once; known: the earlier holder is replaced under a new id
 *   id known               by state: parked, answered again, or a rebalance begins
 */
#include "group/group_int.h"

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

/* One block that holds the protocols of a request. */
static struct protocols *copy_protocols(const struct JoinGroupRequest *req)
{
    size_t count = (size_t)req->Protocols.len, bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += req->Protocols.at[i].Name.len + req->Protocols.at[i].Metadata.len;
    struct protocols *copy = mem_alloc(sizeof *copy + count * sizeof copy->at[0] + bytes);
    char *at = (char *)&copy->at[count];
    copy->count = count;
    for (size_t i = 0; i < count; i++) {
        struct str name = req->Protocols.at[i].Name, metadata = req->Protocols.at[i].Metadata;
        memcpy(at, name.ptr, name.len);
        memcpy(at + name.len, metadata.ptr, metadata.len);
        copy->at[i] = (struct protocol){str_of(at, name.len), str_of(at + name.len, metadata.len)};
        at += name.len + metadata.len;
    }
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
    member->protocols = copy_protocols(req);
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
        int64_t lapses_ms = join->call->now_ms + join->req->SessionTimeoutMs;
        map_put(&group->pending, id, (void *)(intptr_t)lapses_ms);
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
    } else if (map_has(&group->pending, id)) {
        map_remove(&group->pending, id);
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

/* The first check that fails, or GROUP_NONE. */
static int16_t check(const struct join *join)
{
    const struct group_options *options = &join->groups->options;
    const struct JoinGroupRequest *req = join->req;
    if (req->GroupId.len == 0)
        return GROUP_INVALID_ID;
    if (req->SessionTimeoutMs < options->session_timeout_ms_min ||
        req->SessionTimeoutMs > options->session_timeout_ms_max)
        return GROUP_INVALID_SESSION;
    if (join->group == NULL && req->MemberId.len != 0)
        return GROUP_UNKNOWN_MEMBER;
    bool known = join->group != NULL && group_member(join->group, req->MemberId) != NULL;
    if (join->group != NULL && !known && (int64_t)join->group->member_count >= options->members_max)
        return GROUP_FULL;
    return protocols_fit(join) ? GROUP_NONE : GROUP_INCONSISTENT_PROTOCOL;
}

bool group_decide_join(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct JoinGroupRequest *req = call->req;
    struct join join = {.groups = groups, .call = call, .req = req, .out = out};
    groups->effects = call->effects;
    join.group = group_find(groups, req->GroupId);
    int16_t error = check(&join);
    if (error != GROUP_NONE) {
        refuse(&join, error, req->MemberId);
        return true;
    }
    if (join.group == NULL)
        join.group = group_find_or_make(groups, req->GroupId);
    if (req->MemberId.len == 0)
        join_without_id(&join);
    else
        join_with_id(&join);
    return true;
}
