/* heartbeat.c - ConsumerGroupHeartbeat: the one call of a member of the new protocol.
 *
 *   epoch  0  join, or begin anew after having been fenced     > 0  alive; may change what it subscribes to
 *         -1  leave                                             -2  a static member leaves and means to come back
 *
 *   check the request -> which group, which member -> what it is and subscribes to -> target -> reconcile -> answer
 *
 * (L1) A refused call changes nothing: every check comes before the first record.
 * (L2) A member that says nothing new costs no record: its session is prolonged, that is all.
 * (L3) The answer carries the assignment when it changed, or the request was a full one.
 */
#include "group/consumer_int.h"
#include "group/regex.h"

typedef struct ConsumerGroupHeartbeatRequest heartbeat_request;
typedef struct ConsumerGroupHeartbeatResponse heartbeat_response;

static bool refuse(const struct group_call *call, int16_t error, struct str message)
{
    heartbeat_response *res = call->res;
    res->ErrorCode = error;
    res->ErrorMessage = message;
    return false;
}

/* --- the request by itself --- */

static const char *what_is_wrong(const heartbeat_request *req, int16_t version)
{
    if (str_trim(req->GroupId).len == 0)
        return "GroupId can't be empty.";
    if (!str_is_null(req->InstanceId) && str_trim(req->InstanceId).len == 0)
        return "InstanceId can't be empty.";
    if (!str_is_null(req->RackId) && str_trim(req->RackId).len == 0)
        return "RackId can't be empty.";
    if (req->MemberEpoch < EPOCH_LEAVE_STATIC)
        return "MemberEpoch is invalid.";
    if (str_trim(req->MemberId).len == 0 && (version >= 1 || req->MemberEpoch != 0))
        return "MemberId can't be empty.";
    if (req->MemberEpoch == EPOCH_LEAVE_STATIC && str_is_null(req->InstanceId))
        return "InstanceId can't be null.";
    if (req->MemberEpoch != 0)
        return NULL;
    if (req->RebalanceTimeoutMs == -1)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (req->TopicPartitions.len != 0)
        return "TopicPartitions must be empty when (re-)joining.";
    if (req->SubscribedTopicNames.len < 0 && str_is_null(req->SubscribedTopicRegex))
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
    return NULL;
}

static bool check_request(struct groups *groups, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    const char *wrong = what_is_wrong(req, call->version);
    if (wrong != NULL)
        return refuse(call, GROUP_INVALID_REQUEST, str_from(wrong));
    if (!str_is_null(req->ServerAssignor) && !consumer_assignor_allowed(groups, req->ServerAssignor))
        return refuse(call, GROUP_UNSUPPORTED_ASSIGNOR,
                      str_printf(call->arena,
                                 "ServerAssignor %.*s is not supported. Supported assignors: %.*s.",
                                 STR_ARG(req->ServerAssignor), STR_ARG(groups->options.consumer_assignors)));
    return true;
}

/* --- the group --- */

/* Is there a consumer group, or room for one? An empty classic group makes room; one of classic consumers has become a
 * consumer group by now, if it may (group_decide_upgrade). */
static bool check_group(struct groups *groups, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    const struct group *group = group_find(groups, req->GroupId);
    if (group_is(group, KIND_CONSUMER))
        return true;
    if (req->MemberEpoch != 0)
        return refuse(call, GROUP_NOT_FOUND, group_is_none(group, "consumer", req->GroupId, call->arena));
    if (group == NULL || (group->consumer == NULL && group->state == GROUP_EMPTY))
        return true;
    return refuse(call, GROUP_NOT_FOUND,
                  str_printf(call->arena, "Group %.*s is not a consumer group.", STR_ARG(req->GroupId)));
}

static bool check_regex(const struct group_call *call)
{
    struct str pattern = ((const heartbeat_request *)call->req)->SubscribedTopicRegex;
    struct err err;
    if (!str_is_set(pattern))
        return true;
    struct regex *regex = regex_new(pattern, &err);
    if (regex == NULL)
        return refuse(call, GROUP_INVALID_REGEX,
                      str_printf(call->arena, "SubscribedTopicRegex is not a valid regular expression: %s",
                                 err.text));
    regex_free(regex);
    return true;
}

static bool check_size(const struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    int64_t most = turn->groups->options.consumer_members_max;
    if ((int64_t)turn->consumer->member_count < most || consumer_find(turn->consumer, req->MemberId) != NULL)
        return true;
    return refuse(call, GROUP_FULL, full_text(KIND_CONSUMER, most, call->arena));
}

/* --- the member --- */

/* Is the epoch that a member names the one it has? The previous one will do when it only has what it may have: then the
 * answer with the new one was lost. */
static bool check_epoch(const struct consumer_turn *turn, const struct group_call *call,
                        const struct consumer_member *member)
{
    int32_t epoch = ((const heartbeat_request *)call->req)->MemberEpoch;
    if (epoch == 0 || epoch == member->epoch)
        return true;
    if (epoch < member->epoch && epoch == member->previous_epoch && turn->owned != NULL &&
        part_set_within(turn->owned, &member->assigned))
        return true;
    return refuse(call, GROUP_FENCED_EPOCH, fenced_text(KIND_CONSUMER, epoch, member, call->arena));
}

static bool refuse_unknown(const struct group_call *call, struct str id)
{
    return refuse(call, GROUP_UNKNOWN_MEMBER,
                  str_printf(call->arena, "Member %.*s is not a member of the group.", STR_ARG(id)));
}

static bool find_dynamic(struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    turn->live = turn->before = consumer_find(turn->consumer, req->MemberId);
    if (turn->live == NULL)
        return req->MemberEpoch == 0 || refuse_unknown(call, req->MemberId);
    return check_epoch(turn, call, turn->live);
}

/* The holder of an instance id has to be the member itself, or when it joins, to have left for a while. */
static bool find_static(struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    const struct consumer_member *holder = consumer_static(turn->consumer, req->InstanceId);
    if (req->MemberEpoch != 0) {
        if (holder == NULL)
            return refuse(call, GROUP_UNKNOWN_MEMBER,
                          str_printf(call->arena, "Instance id %.*s is unknown.", STR_ARG(req->InstanceId)));
        if (!str_eq(holder->id, req->MemberId))
            return refuse(call, GROUP_FENCED_INSTANCE,
                          str_printf(call->arena,
                                     "Static member %.*s with instance id %.*s was fenced by member %.*s.",
                                     STR_ARG(req->MemberId), STR_ARG(req->InstanceId), STR_ARG(holder->id)));
        turn->live = turn->before = holder;
        return check_epoch(turn, call, holder);
    }
    if (holder == NULL) {
        turn->live = turn->before = consumer_find(turn->consumer, req->MemberId);
        return true;
    }
    if (str_eq(holder->id, req->MemberId)) { /* the same process begins anew */
        turn->live = turn->before = holder;
        return true;
    }
    if (holder->classic == NULL && holder->epoch != EPOCH_LEAVE_STATIC)
        return refuse(call, GROUP_UNRELEASED_INSTANCE,
                      str_printf(call->arena,
                                 "Static member %.*s with instance id %.*s cannot join the group because the "
                                 "instance id is owned by %.*s member.",
                                 STR_ARG(req->MemberId), STR_ARG(req->InstanceId), STR_ARG(holder->id)));
    if (consumer_find(turn->consumer, req->MemberId) != NULL)
        return refuse(call, GROUP_INVALID_REQUEST,
                      str_printf(call->arena,
                                 "Member %.*s is in the group already, without instance id %.*s.",
                                 STR_ARG(req->MemberId), STR_ARG(req->InstanceId)));
    turn->replaced = holder;
    return true;
}

void consumer_replace(struct consumer_turn *turn, const struct consumer_member *replaced, struct str new_id)
{
    struct consumer_member *before = arena_new(turn->arena, struct consumer_member);
    *before = *replaced;
    before->id = new_id;
    before->epoch = before->previous_epoch = 0;
    turn->replaced = replaced;
    turn->live = NULL;
    turn->before = before;
    turn->member = *before;
    record_member_gone(turn->records, turn->name, replaced->id, turn->now_ms, turn->out);
    turn->records->member(turn->name, before, turn->now_ms, turn->out);
    turn->records->target(turn->name, new_id, &before->target, NULL, turn->now_ms, turn->out);
    turn->records->current(turn->name, before, NULL, turn->now_ms, turn->out);
}

struct name_list *consumer_names(const struct str *names, size_t count, struct arena *arena)
{
    struct name_list *list = arena_alloc(arena, sizeof *list + count * sizeof list->at[0]);
    struct name_list *sorted = name_list_new(names, count);
    list->len = sorted->len;
    for (size_t i = 0; i < sorted->len; i++)
        list->at[i] = str_dup(sorted->at[i], arena);
    free(sorted);
    return list;
}

/* Takes over what the request says; null fields say nothing. */
static void update_member(struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    struct consumer_member *member = &turn->member;
    if (req->SubscribedTopicNames.len >= 0)
        member->topics =
            consumer_names(req->SubscribedTopicNames.at, (size_t)req->SubscribedTopicNames.len, call->arena);
    if (!str_is_null(req->SubscribedTopicRegex))
        member->regex = req->SubscribedTopicRegex;
    if (!str_is_null(req->InstanceId))
        member->instance_id = req->InstanceId;
    if (!str_is_null(req->RackId))
        member->rack_id = req->RackId;
    if (!str_is_null(req->ServerAssignor))
        member->assignor = req->ServerAssignor;
    if (req->RebalanceTimeoutMs != -1)
        member->rebalance_timeout_ms = req->RebalanceTimeoutMs;
    member->client_id = call->client_id;
    member->client_host = call->client_host;
    member->classic = NULL;
    member->classic_session_ms = 0;
}

/* A UUID as Kafka writes it: 22 characters of URL-safe base64. */
static struct str make_id(const struct group_call *call)
{
    struct buf text = {0};
    struct uuid uuid;
    memcpy(uuid.bytes, call->random, sizeof uuid.bytes);
    buf_append_uuid(&text, uuid);
    struct str id = str_dup(buf_str(&text), call->arena);
    buf_fini(&text);
    return id;
}

static void begin_member(struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    struct str id = req->MemberId.len != 0 ? req->MemberId : make_id(call);
    if (turn->replaced != NULL) {
        consumer_replace(turn, turn->replaced, id);
    } else if (turn->live != NULL) {
        turn->member = *turn->live;
    } else {
        turn->member.id = id;
        turn->member.topics = consumer_names(NULL, 0, call->arena);
    }
    update_member(turn, call);
}

/* --- the answer --- */

static void answer(const struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    bool full = req->MemberEpoch == 0 ||
                (req->RebalanceTimeoutMs != -1 && req->TopicPartitions.len >= 0 &&
                 (req->SubscribedTopicNames.len >= 0 || !str_is_null(req->SubscribedTopicRegex)));
    res->MemberId = str_dup(turn->member.id, call->arena);
    res->MemberEpoch = turn->member.epoch;
    res->HeartbeatIntervalMs =
        (int32_t)consumer_setting(turn->groups, turn->name, GROUP_HEARTBEAT_INTERVAL_MS);
    if (!full && turn->before != NULL && part_set_eq(&turn->before->assigned, &turn->member.assigned))
        return;
    res->Assignment = wire_new(&WIRE_ConsumerGroupHeartbeatResponse_Assignment, 1, call->arena);
    PART_SET_WRITE(&turn->member.assigned, res->Assignment->TopicPartitions,
                   ConsumerGroupHeartbeatResponse_TopicPartitions, call->arena);
}

static bool find_member(struct consumer_turn *turn, const struct group_call *call)
{
    const heartbeat_request *req = call->req;
    return check_size(turn, call) &&
           (str_is_null(req->InstanceId) ? find_dynamic(turn, call) : find_static(turn, call));
}

static void alive(struct groups *groups, const struct group_call *call, struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    struct consumer_group *consumer = group != NULL ? group->consumer : NULL;
    struct consumer_turn turn;
    struct part_set owned = {0};
    if (!check_group(groups, call))
        return;
    consumer_turn_init(&turn, groups, req->GroupId, consumer, call, out);
    if (req->TopicPartitions.len >= 0) {
        PART_SET_READ(&owned, req->TopicPartitions, call->arena);
        turn.owned = &owned;
    }
    if (find_member(&turn, call)) {
        if (group != NULL && consumer == NULL && group->protocol_type.len != 0)
            group_add_record(group, true, call->now_ms, out); /* the classic group ends */
        begin_member(&turn, call);
        consumer_step_subscription(&turn);
        consumer_step_target(&turn);
        consumer_step_reconcile(&turn);
        answer(&turn, call);
        if (turn.live != NULL)
            consumer_touch((struct consumer_member *)turn.live, call->now_ms);
        if (consumer != NULL)
            consumer->topics_seen = groups->topics_version;
    }
    consumer_turn_fini(&turn);
}

/* --- leaving --- */

static void leave(struct groups *groups, const struct group_call *call, struct replay_records *out)
{
    const heartbeat_request *req = call->req;
    heartbeat_response *res = call->res;
    struct group *group = group_find(groups, req->GroupId);
    struct consumer_turn turn;
    if (!group_is(group, KIND_CONSUMER)) {
        refuse(call, GROUP_NOT_FOUND,
               str_printf(call->arena, "Group %.*s not found.", STR_ARG(req->GroupId)));
        return;
    }
    consumer_turn_init(&turn, groups, req->GroupId, group->consumer, call, out);
    bool is_static = !str_is_null(req->InstanceId);
    struct consumer_member *member = is_static ? consumer_static(group->consumer, req->InstanceId)
                                               : consumer_find(group->consumer, req->MemberId);
    if (member == NULL) {
        refuse_unknown(call, is_static ? req->InstanceId : req->MemberId);
    } else if (!str_eq(member->id, req->MemberId)) {
        refuse(call, GROUP_FENCED_INSTANCE,
               str_printf(call->arena, "Static member %.*s with instance id %.*s was fenced by member %.*s.",
                          STR_ARG(req->MemberId), STR_ARG(req->InstanceId), STR_ARG(member->id)));
    } else {
        res->MemberId = req->MemberId;
        res->MemberEpoch = req->MemberEpoch;
        if (req->MemberEpoch == EPOCH_LEAVE_STATIC) {
            turn.member = *member;
            turn.member.epoch = EPOCH_LEAVE_STATIC;
            turn.member.revoking = (struct part_set){0};
            turn.records->current(group->name, &turn.member, NULL, call->now_ms, out);
        } else {
            consumer_fence(group, &member, 1, call->now_ms, out);
        }
    }
    consumer_turn_fini(&turn);
}

bool group_decide_upgrade(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const heartbeat_request *req = call->req;
    struct group *group = group_find(groups, req->GroupId);
    groups->effects = call->effects;
    if (req->MemberEpoch == 0 && group != NULL && group->consumer == NULL && group->state != GROUP_EMPTY &&
        check_request(groups, call) && check_regex(call))
        migrate_up(group, call->now_ms, out);
    return true;
}

bool group_decide_consumer_heartbeat(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const heartbeat_request *req = call->req;
    groups->effects = call->effects;
    if (!check_request(groups, call) || !check_regex(call))
        return true;
    if (req->MemberEpoch < 0)
        leave(groups, call, out);
    else
        alive(groups, call, out);
    return true;
}

void group_heartbeat_failed(struct groups *groups)
{
    groups->topics_version++; /* what was seen was not stored: every group looks again */
}

/* --- fencing --- */

void consumer_fence(struct group *group, struct consumer_member *const *members, size_t count, int64_t now_ms,
                    struct replay_records *out)
{
    struct arena arena = {0};
    struct group_call call = {.now_ms = now_ms, .arena = &arena};
    struct consumer_turn turn;
    if (count == 0 || (group_is(group, KIND_CONSUMER) && migrate_down(group, members, count, now_ms, out)))
        return;
    for (size_t i = 0; i < count; i++)
        record_member_gone(records_of(group->consumer), group->name, members[i]->id, now_ms, out);
    if (group_is(group, KIND_STREAMS)) { /* what it needs of topics does not depend on its members */
        record_epoch_of(group, group->consumer->epoch + 1, group->consumer->metadata_hash, now_ms, out);
        return;
    }
    consumer_turn_init(&turn, group->groups, group->name, group->consumer, &call, out);
    for (size_t i = 0; i < count; i++) { /* patterns that none of those who stay has */
        size_t users = 0;
        bool first = true;
        if (!str_is_set(members[i]->regex))
            continue;
        for (size_t j = 0; j < count; j++) {
            bool same = str_eq(members[j]->regex, members[i]->regex);
            users += same;
            first = first && !(same && j < i);
        }
        if (first && users == consumer_regex_users(group->consumer, members[i]->regex))
            record_regex_gone(group->name, members[i]->regex, now_ms, out);
    }
    turn.records->epoch(group->name, group->consumer->epoch + 1,
                        consumer_metadata_hash(&turn, members, count), now_ms, out);
    consumer_turn_fini(&turn);
    arena_fini(&arena);
}
