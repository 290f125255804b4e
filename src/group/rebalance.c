/* rebalance.c - the join phase of a group, from the first who wants a change to the new generation.
 *
 *   Empty --first join--> PreparingRebalance --all joined, or time over--> CompletingRebalance --assignment--> Stable
 *     ^                        ^     |                                        |                                  |
 *     |                        |     +-- nobody left --> Empty                +-- change, or sync time over --+  |
 *     |                        +------------------------------------------------------------------------------+--+
 *
 * (B1) In PreparingRebalance a member is *joined* when its JoinGroup is parked. The phase ends when all members have joined
 *      and no member id that was given out is still expected, at the latest at the deadline: then members that did not
 *      join are removed, static ones stay until their session ends.
 * (B2) A group that was empty waits options.initial_rebalance_delay_ms for more members, prolonged by each new one, up to
 *      its rebalance timeout.
 * (B3) The leader is the first member (in order of joining) unless the old one is still there.
 */
#include "group/group_int.h"

/* --- answers --- */

static struct group_reply *add_reply(struct groups *groups, void *token, bool is_sync)
{
    struct group_reply *reply = vec_push_zero(&groups->effects->replies);
    reply->token = token;
    reply->is_sync = is_sync;
    if (is_sync)
        wire_init(&WIRE_SyncGroupResponse, &reply->sync);
    else
        wire_init(&WIRE_JoinGroupResponse, &reply->join);
    return reply;
}

struct JoinGroupResponse *reply_join_new(struct groups *groups, void *token)
{
    return &add_reply(groups, token, false)->join;
}

struct SyncGroupResponse *reply_sync_new(struct groups *groups, void *token)
{
    return &add_reply(groups, token, true)->sync;
}

void reply_join_error(struct groups *groups, void *token, int16_t error, struct str member_id)
{
    struct JoinGroupResponse *res = reply_join_new(groups, token);
    res->ErrorCode = error;
    res->ProtocolName = STR_NULL; /* before version 7: empty */
    res->MemberId = str_dup(member_id, &groups->effects->arena);
}

static struct str metadata_of(const struct group *group, const struct member *member)
{
    for (size_t i = 0; i < member->protocols->count; i++)
        if (str_eq(member->protocols->at[i].name, group->protocol))
            return member->protocols->at[i].metadata;
    return STR("");
}

void reply_join(struct groups *groups, const struct group *group, struct member *member, void *token,
                bool with_members)
{
    struct arena *arena = &groups->effects->arena;
    struct JoinGroupResponse *res = reply_join_new(groups, token);
    res->GenerationId = group->generation;
    res->ProtocolType = str_dup(group->protocol_type, arena);
    res->ProtocolName = str_dup(group->protocol, arena);
    res->Leader = str_dup(group->leader, arena);
    res->MemberId = str_dup(member->id, arena);
    if (!with_members)
        return;
    WIRE_ALLOC(arena, res->Members, JoinGroupResponse_JoinGroupResponseMember, group->member_count);
    struct JoinGroupResponse_JoinGroupResponseMember *row = res->Members.at;
    list_each (struct member, other, &group->members, link) {
        row->MemberId = str_dup(other->id, arena);
        row->GroupInstanceId = str_dup(other->instance_id, arena);
        row->Metadata = str_dup(metadata_of(group, other), arena);
        row++;
    }
}

void reply_sync_error(struct groups *groups, void *token, int16_t error)
{
    reply_sync_new(groups, token)->ErrorCode = error;
}

void reply_sync(struct groups *groups, const struct group *group, struct member *member, void *token)
{
    struct arena *arena = &groups->effects->arena;
    struct SyncGroupResponse *res = reply_sync_new(groups, token);
    res->ProtocolType = str_dup(group->protocol_type, arena);
    res->ProtocolName = str_dup(group->protocol, arena);
    res->Assignment = str_is_null(member->assignment) ? STR("") : str_dup(member->assignment, arena);
}

/* --- choosing --- */

static bool supports(const struct member *member, struct str name)
{
    for (size_t i = 0; i < member->protocols->count; i++)
        if (str_eq(member->protocols->at[i].name, name))
            return true;
    return false;
}

static bool all_support(const struct group *group, struct str name)
{
    list_each (struct member, member, &group->members, link)
        if (!supports(member, name))
            return false;
    return true;
}

/* The first choice of a member among those that all support. */
static struct str vote_of(const struct group *group, const struct member *member)
{
    for (size_t i = 0; i < member->protocols->count; i++)
        if (all_support(group, member->protocols->at[i].name))
            return member->protocols->at[i].name;
    return STR_NULL;
}

struct str rebalance_choose_protocol(const struct group *group)
{
    struct str best = STR_NULL;
    size_t best_votes = 0;
    if (group->member_count == 0)
        return STR_NULL;
    const struct member *first = LIST_ENTRY(group->members.next, struct member, link);
    for (size_t i = 0; i < first->protocols->count; i++) {
        struct str name = first->protocols->at[i].name;
        size_t votes = 0;
        if (!all_support(group, name))
            continue;
        list_each (struct member, member, &group->members, link)
            votes += str_eq(vote_of(group, member), name);
        if (votes > best_votes) {
            best = name;
            best_votes = votes;
        }
    }
    return best;
}

/* --- the phase --- */

static void set_deadline(struct group *group, int64_t due_ms)
{
    replay_timer_start(&group->groups->timers, &group->deadline, due_ms);
}

static bool all_joined(const struct group *group)
{
    if (group->pending.len != 0)
        return false;
    list_each (struct member, member, &group->members, link)
        if (member->join_token == NULL)
            return false;
    return true;
}

/* Parked SyncGroups of a generation that will not be. */
static void cancel_syncs(struct groups *groups, struct group *group, int64_t now_ms)
{
    list_each (struct member, member, &group->members, link) {
        if (member->sync_token != NULL) {
            reply_sync_error(groups, member->sync_token, GROUP_REBALANCING);
            member->sync_token = NULL;
            member_touch(member, now_ms);
        }
        str_disown(&member->assignment);
    }
}

void rebalance_prepare(struct groups *groups, struct group *group, int64_t now_ms, struct replay_records *out)
{
    int64_t timeout_ms = group_rebalance_timeout_ms(group);
    if (group->state == GROUP_PREPARING) {
        if (group->initial) /* B2: each new member prolongs the wait */
            set_deadline(group,
                         MIN(now_ms + groups->options.initial_rebalance_delay_ms, group->initial_end_ms));
        rebalance_maybe_complete(groups, group, now_ms, out);
        return;
    }
    if (group->state == GROUP_COMPLETING)
        cancel_syncs(groups, group, now_ms);
    group->initial = group->state == GROUP_EMPTY && groups->options.initial_rebalance_delay_ms > 0;
    group->initial_end_ms = now_ms + timeout_ms;
    group->state = GROUP_PREPARING;
    set_deadline(group, group->initial_end_ms);
    if (group->initial)
        set_deadline(group, MIN(now_ms + groups->options.initial_rebalance_delay_ms, group->initial_end_ms));
    rebalance_maybe_complete(groups, group, now_ms, out);
}

/* Nobody is left: a new generation without members, which is stored. */
static void become_empty(struct group *group, int64_t now_ms, struct replay_records *out)
{
    group->state = GROUP_EMPTY;
    group->state_ms = now_ms;
    group->generation++;
    group->initial = false;
    set_deadline(group, INT64_MAX);
    str_disown(&group->protocol);
    str_disown(&group->leader);
    group_add_record(group, false, now_ms, out);
}

static void elect_leader(struct group *group)
{
    struct member *leader = str_is_null(group->leader) ? NULL : group_member(group, group->leader);
    if (leader != NULL && leader->join_token != NULL)
        return;
    list_each (struct member, member, &group->members, link) {
        if (member->join_token != NULL) {
            str_disown(&group->leader);
            group->leader = str_own(member->id);
            return;
        }
    }
}

/* All who will be members are known: answers every parked JoinGroup. */
static void complete_join(struct groups *groups, struct group *group, int64_t now_ms)
{
    struct str protocol = str_own(rebalance_choose_protocol(group));
    str_disown(&group->protocol);
    group->protocol = protocol;
    group->generation++;
    group->state = GROUP_COMPLETING;
    group->initial = false;
    set_deadline(group, now_ms + group_rebalance_timeout_ms(group));
    elect_leader(group);
    list_each (struct member, member, &group->members, link) {
        member->synced = false;
        if (member->join_token == NULL)
            continue; /* a static member that is away */
        reply_join(groups, group, member, member->join_token, str_eq(member->id, group->leader));
        member->join_token = NULL;
        member_touch(member, now_ms);
    }
}

void rebalance_maybe_complete(struct groups *groups, struct group *group, int64_t now_ms,
                              struct replay_records *out)
{
    if (group->state != GROUP_PREPARING || group->initial || !all_joined(group))
        return;
    if (group->member_count == 0)
        become_empty(group, now_ms, out);
    else
        complete_join(groups, group, now_ms);
}

static size_t joined_count(const struct group *group)
{
    size_t count = 0;
    list_each (struct member, member, &group->members, link)
        count += member->join_token != NULL;
    return count;
}

void rebalance_on_join_deadline(struct groups *groups, struct group *group, int64_t now_ms,
                                struct replay_records *out)
{
    group->initial = false;
    map_clear(&group->pending);
    list_each_safe (struct member, member, &group->members, link) {
        if (member->join_token == NULL && str_is_null(member->instance_id))
            member_remove(group, member);
    }
    if (group->member_count == 0)
        become_empty(group, now_ms, out);
    else if (joined_count(group) ==
             0) /* only static members that are away: wait for them or for their sessions */
        set_deadline(group, now_ms + group_rebalance_timeout_ms(group));
    else
        complete_join(groups, group, now_ms);
}

void rebalance_drop_member(struct groups *groups, struct group *group, struct member *member, int64_t now_ms,
                           struct replay_records *out)
{
    if (member->join_token != NULL)
        reply_join_error(groups, member->join_token, GROUP_UNKNOWN_MEMBER, member->id);
    if (member->sync_token != NULL)
        reply_sync_error(groups, member->sync_token, GROUP_UNKNOWN_MEMBER);
    member_remove(group, member);
    if (group->state == GROUP_PREPARING)
        rebalance_maybe_complete(groups, group, now_ms, out);
    else if (group->state != GROUP_EMPTY)
        rebalance_prepare(groups, group, now_ms, out);
}
