/* classic_member.c - calls of the classic protocol by members of a consumer group: while a group is moved from one protocol
 * to the other, old and new clients share its partitions.
 *
 *   JoinGroup   a heartbeat with what the client subscribes to and has: answered at once with its epoch as generation
 *   SyncGroup   its assignment, as Kafka's consumer protocol writes it
 *   Heartbeat   REBALANCE_IN_PROGRESS when there is something to fetch or to give up: the client joins again
 *
 * (J1) Such a client never leads: it is told of no members, so it assigns nothing.
 * (J2) When it has to join or sync and does not within its rebalance timeout, it is fenced as one that does not revoke.
 */
#include "group/consumer_int.h"

typedef struct ConsumerProtocolSubscription subscription;

/* --- who is it --- */

static int16_t find_member(const struct consumer_group *consumer, struct str id, struct str instance_id,
                           struct consumer_member **out)
{
    struct consumer_member *member = consumer_find(consumer, id);
    if (!str_is_null(instance_id)) {
        struct consumer_member *holder = consumer_static(consumer, instance_id);
        if (holder == NULL)
            return GROUP_UNKNOWN_MEMBER;
        if (!str_eq(holder->id, id))
            return GROUP_FENCED_INSTANCE;
        member = holder;
    }
    *out = member;
    return member == NULL || member->classic == NULL ? GROUP_UNKNOWN_MEMBER : GROUP_NONE;
}

/* J2: from now on, unless it was told before. */
static void expect_join(struct consumer_member *member, int64_t now_ms)
{
    if (member->rejoin.heap_pos == 0)
        replay_timer_start(&member->group->groups->timers, &member->rejoin,
                           now_ms + member->rebalance_timeout_ms);
}

/* --- JoinGroup --- */

static bool supports(const struct protocols *protocols, struct str name)
{
    for (size_t i = 0; i < protocols->count; i++)
        if (str_eq(protocols->at[i].name, name))
            return true;
    return false;
}

/* A protocol of the request that all classic members of the group have too. */
static bool protocols_fit(const struct consumer_group *consumer, const struct JoinGroupRequest *req)
{
    if (!str_eq(req->ProtocolType, STR("consumer")))
        return false;
    for (int32_t i = 0; i < req->Protocols.len; i++) {
        bool all = true;
        list_each (struct consumer_member, member, &consumer->members, link)
            all = all && (member->classic == NULL || supports(member->classic, req->Protocols.at[i].Name));
        if (all)
            return true;
    }
    return false;
}

static int16_t find_joiner(struct consumer_turn *turn, const struct JoinGroupRequest *req, struct str new_id)
{
    struct consumer_member *holder = consumer_static(turn->consumer, req->GroupInstanceId);
    if (str_is_null(req->GroupInstanceId) || (holder == NULL && req->MemberId.len == 0)) {
        turn->live = turn->before = consumer_find(turn->consumer, new_id);
        return GROUP_NONE;
    }
    if (req->MemberId.len == 0) {
        turn->replaced = holder;
        return GROUP_NONE;
    }
    if (holder == NULL)
        return GROUP_UNKNOWN_MEMBER;
    turn->live = turn->before = holder;
    return str_eq(holder->id, req->MemberId) ? GROUP_NONE : GROUP_FENCED_INSTANCE;
}

/* What the client says it has, by the ids of topics. */
static struct part_set read_owned(const struct groups *groups, const subscription *sub, struct arena *arena)
{
    struct part_set set = {0};
    struct group_topic topic;
    size_t count = 0;
    for (int32_t i = 0; i < sub->OwnedPartitions.len; i++)
        count += (size_t)MAX(sub->OwnedPartitions.at[i].Partitions.len, 0);
    set.at = arena_array(arena, struct topic_part, count);
    for (int32_t i = 0; i < sub->OwnedPartitions.len; i++) {
        const struct ConsumerProtocolSubscription_TopicPartition *row = &sub->OwnedPartitions.at[i];
        if (!groups->options.topics->find(groups->options.topics->arg, row->Topic, &topic))
            continue;
        for (int32_t j = 0; j < row->Partitions.len; j++)
            set.at[set.len++] = (struct topic_part){topic.id, row->Partitions.at[j], 0};
    }
    part_set_sort(&set);
    return set;
}

static void update_member(struct consumer_turn *turn, const struct group_call *call, const subscription *sub,
                          struct name_list *topics, struct protocols *protocols)
{
    const struct JoinGroupRequest *req = call->req;
    struct consumer_member *member = &turn->member;
    member->topics = topics;
    member->regex = STR("");
    member->assignor = STR_NULL;
    if (!str_is_null(req->GroupInstanceId))
        member->instance_id = req->GroupInstanceId;
    member->rack_id = sub->RackId;
    member->rebalance_timeout_ms =
        req->RebalanceTimeoutMs >= 0 ? req->RebalanceTimeoutMs : req->SessionTimeoutMs;
    member->client_id = call->client_id;
    member->client_host = call->client_host;
    member->classic = protocols;
    member->classic_session_ms = req->SessionTimeoutMs;
}

static void answer_join(struct consumer_turn *turn, const struct group_call *call)
{
    struct arena *arena = &turn->groups->effects->arena;
    const struct JoinGroupRequest *req = call->req;
    struct JoinGroupResponse *res = reply_join_new(turn->groups, call->token);
    res->GenerationId = turn->member.epoch;
    res->ProtocolType = STR("consumer");
    res->ProtocolName = str_dup(req->Protocols.at[0].Name, arena);
    res->MemberId = str_dup(turn->member.id, arena);
}

/* All members speak the classic protocol now that this one took a static member's place: the group may become classic, by
 * a deadline that is over at once. */
static void check_downgrade(const struct consumer_turn *turn, struct group *group)
{
    if (turn->replaced == NULL || turn->replaced->classic != NULL)
        return;
    list_each (struct consumer_member, member, &turn->consumer->members, link)
        if (member != turn->replaced && member->classic == NULL)
            return;
    replay_timer_start(&turn->groups->timers, &group->deadline, turn->now_ms);
}

static void join_member(struct consumer_turn *turn, const struct group_call *call, struct group *group,
                        struct str id, const subscription *sub)
{
    const struct JoinGroupRequest *req = call->req;
    struct protocols *protocols = join_protocols(req);
    struct name_list *topics = name_list_new(sub->Topics.at, (size_t)MAX(sub->Topics.len, 0));
    struct part_set owned = read_owned(turn->groups, sub, call->arena);
    turn->owned = &owned;
    if (turn->replaced != NULL)
        consumer_replace(turn, turn->replaced, id);
    else if (turn->live != NULL)
        turn->member = *turn->live;
    else
        turn->member.id = id;
    update_member(turn, call, sub, topics, protocols);
    consumer_step_subscription(turn);
    consumer_step_target(turn);
    consumer_step_reconcile(turn);
    answer_join(turn, call);
    check_downgrade(turn, group);
    if (turn->live != NULL) {
        struct consumer_member *live = (struct consumer_member *)turn->live;
        replay_timer_stop(&turn->groups->timers, &live->rejoin);
        expect_join(live, turn->now_ms); /* now: the SyncGroup */
        replay_timer_start(&turn->groups->timers, &live->session, turn->now_ms + req->SessionTimeoutMs);
    }
    group->consumer->topics_seen = turn->groups->topics_version;
    free(topics);
    free(protocols);
}

void consumer_join_classic(struct group *group, const struct group_call *call, struct str new_id,
                           struct replay_records *out)
{
    enum { MEMBER_ID_REQUIRED_VERSION = 4 };
    struct groups *groups = group->groups;
    const struct JoinGroupRequest *req = call->req;
    struct consumer_turn turn;
    struct str id = req->MemberId.len != 0 ? req->MemberId : new_id;
    int16_t error = GROUP_NONE;
    subscription *sub = NULL;
    consumer_turn_init(&turn, groups, group->name, group->consumer, call, out);
    if ((int64_t)group->consumer->member_count >= groups->options.consumer_members_max &&
        consumer_find(group->consumer, id) == NULL)
        error = GROUP_FULL;
    else if (!protocols_fit(group->consumer, req) ||
             (sub = consumer_protocol_read(req->Protocols.at[0].Metadata, call->arena)) == NULL)
        error = GROUP_INCONSISTENT_PROTOCOL;
    else if (req->MemberId.len == 0 && str_is_null(req->GroupInstanceId) &&
             call->version >= MEMBER_ID_REQUIRED_VERSION)
        error = GROUP_MEMBER_ID_REQUIRED;
    else
        error = find_joiner(&turn, req, id);
    if (error != GROUP_NONE)
        reply_join_error(groups, call->token, error, error == GROUP_FULL ? STR("") : id);
    else
        join_member(&turn, call, group, id, sub);
    consumer_turn_fini(&turn);
}

/* --- SyncGroup, Heartbeat --- */

/* There is a target that it does not follow yet, or its JoinGroup would bring one. */
static bool is_behind(const struct group *group, const struct consumer_member *member, int64_t now_ms)
{
    const struct consumer_group *consumer = group->consumer;
    return member->epoch < consumer->target_epoch ||
           (member->epoch < consumer->epoch &&
            !consumer_target_is_young(group->groups, group->name, consumer, now_ms));
}

static int16_t check_sync(const struct consumer_group *consumer, const struct SyncGroupRequest *req,
                          struct consumer_member **member)
{
    int16_t error = find_member(consumer, req->MemberId, req->GroupInstanceId, member);
    if (error != GROUP_NONE)
        return error;
    if (req->GenerationId != (*member)->epoch)
        return GROUP_ILLEGAL_GENERATION;
    if (!str_is_null(req->ProtocolType) && !str_eq(req->ProtocolType, STR("consumer")))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (!str_is_null(req->ProtocolName) && !str_eq(req->ProtocolName, (*member)->classic->at[0].name))
        return GROUP_INCONSISTENT_PROTOCOL;
    return GROUP_NONE;
}

void consumer_sync_classic(struct group *group, const struct group_call *call)
{
    struct groups *groups = group->groups;
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member = NULL;
    int16_t error = check_sync(consumer, call->req, &member);
    if (error == GROUP_NONE && is_behind(group, member, call->now_ms) && member->state != MEMBER_UNREVOKED) {
        expect_join(member, call->now_ms);
        error = GROUP_REBALANCING;
    }
    if (error != GROUP_NONE) {
        reply_sync_error(groups, call->token, error);
        return;
    }
    replay_timer_stop(&groups->timers, &member->rejoin);
    consumer_touch(member, call->now_ms);
    struct SyncGroupResponse *res = reply_sync_new(groups, call->token);
    res->ProtocolType = STR("consumer");
    res->ProtocolName = str_dup(member->classic->at[0].name, &groups->effects->arena);
    res->Assignment = migrate_assignment(groups, member, &groups->effects->arena);
}

/* Partitions that it waits for have become free: it can have some of its target now. */
static bool can_have_more(const struct consumer_group *consumer, const struct consumer_member *member)
{
    if (member->state != MEMBER_UNRELEASED)
        return false;
    for (size_t i = 0; i < member->target.len; i++) {
        const struct topic_part *part = &member->target.at[i];
        const struct consumer_member *owner = consumer_owner(consumer, part);
        if (owner != NULL && owner != member)
            return false;
    }
    return true;
}

int16_t consumer_heartbeat_classic(struct group *group, const struct group_call *call)
{
    const struct HeartbeatRequest *req = call->req;
    struct consumer_group *consumer = group->consumer;
    struct consumer_member *member = NULL;
    int16_t error = find_member(consumer, req->MemberId, req->GroupInstanceId, &member);
    if (error != GROUP_NONE)
        return error;
    if (req->GenerationId != member->epoch)
        return GROUP_ILLEGAL_GENERATION;
    consumer_touch(member, call->now_ms);
    if (!is_behind(group, member, call->now_ms) && member->state != MEMBER_UNREVOKED &&
        !can_have_more(consumer, member))
        return GROUP_NONE;
    expect_join(member, call->now_ms);
    return GROUP_REBALANCING;
}

/* --- LeaveGroup --- */

static int16_t find_leaver(const struct consumer_group *consumer, struct str id, struct str instance_id,
                           struct consumer_member **out)
{
    if (id.len != 0 || str_is_null(instance_id))
        return find_member(consumer, id, instance_id, out);
    *out = consumer_static(consumer,
                           instance_id); /* an administrator removes a static member of either protocol */
    return *out == NULL ? GROUP_UNKNOWN_MEMBER : GROUP_NONE;
}

void consumer_leave_classic(struct group *group, const struct leaver *leavers, size_t count, int16_t *errors,
                            int64_t now_ms, struct replay_records *out)
{
    vec(struct consumer_member *) gone = {0};
    for (size_t i = 0; i < count; i++) {
        struct consumer_member *member = NULL;
        errors[i] = find_leaver(group->consumer, leavers[i].id, leavers[i].instance_id, &member);
        for (size_t j = 0; j < gone.len && errors[i] == GROUP_NONE; j++)
            if (gone.at[j] == member)
                errors[i] = GROUP_UNKNOWN_MEMBER; /* named twice */
        if (errors[i] == GROUP_NONE)
            vec_push(&gone, member);
    }
    consumer_fence(group, gone.at, gone.len, now_ms, out);
    vec_fini(&gone);
}
