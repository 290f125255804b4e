/* group: the classic protocol as lists of calls and their answers, driven without clock, socket or disk. */
#include "world.h"

struct join_args {
    int n; /* token */
    const char *member, *instance, *protocol;
    int16_t version;
};

static void join(struct world *w, struct join_args a)
{
    join_classic(w, a.n, a.version ? a.version : 5, a.member ? a.member : "", a.instance,
                 a.protocol ? a.protocol : "range", STR("meta"));
}

static void sync_group(struct world *w, int n, const char *member, int32_t generation,
                       const char *assigned_to[], int count)
{
    struct SyncGroupRequest req;
    struct SyncGroupRequest_SyncGroupRequestAssignment rows[4];
    wire_init(&WIRE_SyncGroupRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationId = generation;
    for (int i = 0; i < count; i++)
        rows[i] = (struct SyncGroupRequest_SyncGroupRequestAssignment){str_from(assigned_to[i]),
                                                                       str_from(assigned_to[i])};
    req.Assignments.at = rows;
    req.Assignments.len = count;
    struct group_call call = call_of(w, 3, &req, NULL);
    call.token = token(n);
    struct err err;
    if (!replay_run(w->replay, group_decide_sync, &call, NULL, &err)) {
        group_effects_reset(&w->effects);
        group_sync_failed(w->groups, &call);
    }
}

static int16_t heartbeat(struct world *w, const char *member, const char *instance, int32_t generation)
{
    struct HeartbeatRequest req;
    struct HeartbeatResponse res = {0};
    wire_init(&WIRE_HeartbeatRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GroupInstanceId = str_from(instance);
    req.GenerationId = generation;
    struct group_call call = call_of(w, 3, &req, &res);
    run(w, group_decide_heartbeat, &call);
    return res.ErrorCode;
}

static int16_t leave(struct world *w, const char *member, const char *instance)
{
    struct LeaveGroupRequest req;
    struct LeaveGroupResponse res;
    struct LeaveGroupRequest_MemberIdentity one = {.MemberId = str_from(member),
                                                   .GroupInstanceId = str_from(instance)};
    wire_init(&WIRE_LeaveGroupRequest, &req);
    wire_init(&WIRE_LeaveGroupResponse, &res);
    req.GroupId = STR("g");
    req.Members.at = &one;
    req.Members.len = 1;
    struct group_call call = call_of(w, 3, &req, &res);
    run(w, group_decide_leave, &call);
    assert_int_equal(res.ErrorCode, 0);
    return res.Members.at[0].ErrorCode;
}

static void tick(struct world *w, int64_t later_ms)
{
    w->now_ms += later_ms;
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
}

static int16_t commit_as(struct world *w, const char *group, const char *member, int32_t generation,
                         int64_t offset, const char *metadata, int16_t version)
{
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res;
    struct OffsetCommitRequest_OffsetCommitRequestPartition part = {.PartitionIndex = 0,
                                                                    .CommittedOffset = offset,
                                                                    .CommittedMetadata = str_from(metadata)};
    struct OffsetCommitRequest_OffsetCommitRequestTopic topic = {.Name = STR("t"), .Partitions = {&part, 1}};
    wire_init(&WIRE_OffsetCommitRequest, &req);
    wire_init(&WIRE_OffsetCommitResponse, &res);
    req.GroupId = str_from(group);
    req.MemberId = str_from(member);
    req.GenerationIdOrMemberEpoch = generation;
    req.Topics.at = &topic;
    req.Topics.len = 1;
    struct group_call call = call_of(w, version, &req, &res);
    run(w, group_decide_commit, &call);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static int64_t committed(struct world *w, const char *group)
{
    struct OffsetFetchRequest req;
    struct OffsetFetchResponse res;
    int32_t partition = 0;
    struct OffsetFetchRequest_OffsetFetchRequestTopic topic = {.Name = STR("t"),
                                                               .PartitionIndexes = {&partition, 1}};
    wire_init(&WIRE_OffsetFetchRequest, &req);
    wire_init(&WIRE_OffsetFetchResponse, &res);
    req.GroupId = str_from(group);
    req.Topics.at = &topic;
    req.Topics.len = 1;
    struct group_call call = call_of(w, 5, &req, &res);
    group_fetch(w->groups, &call);
    assert_int_equal(res.Topics.at[0].Partitions.at[0].ErrorCode, 0);
    return res.Topics.at[0].Partitions.at[0].CommittedOffset;
}

static const char *state_of(struct world *w)
{
    struct group_info info;
    return group_info_of(w->groups, STR("g"), &info) ? info.state.ptr : "none";
}

/* Joins with the two steps of version 4 and later; returns the member id. */
static const char *join_new(struct world *w, int n)
{
    join(w, (struct join_args){.n = n});
    const struct group_reply *reply = reply_to(w, n);
    assert_non_null(reply);
    assert_int_equal(reply->join.ErrorCode, 79);
    const char *id = str_cstr(reply->join.MemberId, &w->arena);
    join(w, (struct join_args){.n = n, .member = id});
    return id;
}

/* A group of one member in generation 1, stable. */
static const char *stable_one(struct world *w)
{
    const char *id = join_new(w, 1);
    sync_group(w, 2, id, 1, &id, 1);
    assert_string_equal(state_of(w), "Stable");
    return id;
}

/* --- tests --- */

static void test_two_members(void **state)
{
    struct world *w = *state;
    const char *a = join_new(w, 1);
    const struct group_reply *reply = reply_to(w, 1);
    assert_int_equal(reply->join.ErrorCode, 0);
    assert_int_equal(reply->join.GenerationId, 1);
    assert_true(str_eq_cstr(reply->join.Leader, a));
    assert_int_equal(reply->join.Members.len, 1);
    assert_true(str_eq(reply->join.Members.at[0].Metadata, STR("meta")));
    assert_string_equal(state_of(w), "CompletingRebalance");
    sync_group(w, 2, a, 1, &a, 1);
    assert_true(str_eq_cstr(reply_to(w, 2)->sync.Assignment, a));
    assert_int_equal(heartbeat(w, a, NULL, 1), 0);

    const char *b = join_new(w, 3); /* parked: a has to come first */
    assert_null(reply_to(w, 3));
    assert_string_equal(state_of(w), "PreparingRebalance");
    assert_int_equal(heartbeat(w, a, NULL, 1), 27);
    join(w, (struct join_args){.n = 4, .member = a});
    assert_int_equal(reply_to(w, 3)->join.GenerationId, 2);
    assert_int_equal(reply_to(w, 3)->join.Members.len, 0); /* followers see no members */
    assert_int_equal(reply_to(w, 4)->join.Members.len, 2);
    assert_true(str_eq_cstr(reply_to(w, 3)->join.Leader, a));

    sync_group(w, 5, b, 2, NULL, 0); /* the follower waits for the leader */
    assert_null(reply_to(w, 5));
    const char *both[] = {a, b};
    sync_group(w, 6, a, 2, both, 2);
    assert_true(str_eq_cstr(reply_to(w, 5)->sync.Assignment, b));
    assert_true(str_eq_cstr(reply_to(w, 6)->sync.Assignment, a));
    assert_string_equal(state_of(w), "Stable");

    assert_int_equal(leave(w, b, NULL), 0);
    assert_string_equal(state_of(w), "PreparingRebalance");
    join(w, (struct join_args){.n = 7, .member = a});
    assert_int_equal(reply_to(w, 7)->join.GenerationId, 3);
    assert_int_equal(leave(w, "nobody", NULL), 25);
    assert_int_equal(leave(w, a, NULL), 0);
    assert_string_equal(state_of(w), "Empty");
}

static void test_join_checks(void **state)
{
    struct world *w = *state;
    struct JoinGroupRequest req;
    struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {.Name = STR("range"), .Metadata = STR("")};
    static const struct {
        const char *group, *member, *type;
        int32_t session_ms;
        int protocols;
        int16_t error;
    } cases[] = {
        {"", "", "consumer", 10000, 1, 24},  {"x", "", "consumer", 5999, 1, 26},
        {"x", "", "consumer", 60001, 1, 26}, {"x", "m", "consumer", 10000, 1, 25},
        {"x", "", "", 10000, 1, 23},         {"x", "", "consumer", 10000, 0, 23},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wire_init(&WIRE_JoinGroupRequest, &req);
        req.GroupId = str_from(cases[i].group);
        req.MemberId = str_from(cases[i].member);
        req.ProtocolType = str_from(cases[i].type);
        req.SessionTimeoutMs = cases[i].session_ms;
        req.Protocols.at = &protocol;
        req.Protocols.len = cases[i].protocols;
        struct group_call call = call_of(w, 5, &req, NULL);
        call.token = token(1);
        run(w, group_decide_join, &call);
        assert_int_equal(reply_to(w, 1)->join.ErrorCode, cases[i].error);
        assert_int_equal(reply_to(w, 1)->join.GenerationId, -1);
    }
    stable_one(w);
    join(w, (struct join_args){.n = 9, .protocol = "other"});
    assert_int_equal(reply_to(w, 9)->join.ErrorCode, 23);
    join(w, (struct join_args){.n = 9, .member = "stranger"});
    assert_int_equal(reply_to(w, 9)->join.ErrorCode, 25);
    join_new(w, 10);
    join_new(w, 11);
    join_new(w, 12); /* group.max.size is 3: in the join phase those count who have joined */
    assert_null(reply_to(w, 12));
    join(w, (struct join_args){.n = 13});
    assert_int_equal(reply_to(w, 13)->join.ErrorCode, 81);
}

/* Versions below 4 get their member id with the answer. */
static void test_old_join(void **state)
{
    struct world *w = *state;
    join(w, (struct join_args){.n = 1, .version = 3});
    assert_int_equal(reply_to(w, 1)->join.ErrorCode, 0);
    assert_true(str_starts_with(reply_to(w, 1)->join.MemberId, STR("client-")));
}

static void test_fencing(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    assert_int_equal(heartbeat(w, a, NULL, 2), 22);
    assert_int_equal(heartbeat(w, "other", NULL, 2), 25); /* the member is checked before the generation */
    assert_int_equal(commit_as(w, "g", a, 1, 5, "", 7), 0);
    assert_int_equal(commit_as(w, "g", a, 0, 5, "", 7), 22);
    assert_int_equal(commit_as(w, "g", "other", 1, 5, "", 7), 25);
    assert_int_equal(commit_as(w, "g", "", -1, 5, "", 7), 25); /* nobody commits past the members */
    assert_int_equal(commit_as(w, "g", a, 1, 6, "123456789", 7), 12);
    assert_int_equal(committed(w, "g"), 5);
    join(w, (struct join_args){.n = 3, .member = a}); /* the leader rejoins: a rebalance */
    assert_int_equal(reply_to(w, 3)->join.GenerationId, 2);
    assert_int_equal(commit_as(w, "g", a, 2, 7, "", 7), 27); /* CompletingRebalance */
    sync_group(w, 4, a, 1, NULL, 0);
    assert_int_equal(reply_to(w, 4)->sync.ErrorCode, 22);
}

static void test_simple_commits(void **state)
{
    struct world *w = *state;
    assert_int_equal(committed(w, "s"), -1);
    assert_int_equal(commit_as(w, "s", "", 3, 5, "", 8), 22);
    assert_int_equal(commit_as(w, "s", "", 3, 5, "", 9), 69);
    assert_int_equal(commit_as(w, "s", "", -1, 5, "", 8), 0);
    assert_int_equal(commit_as(w, "s", "", -1, 6, "", 8), 0);
    assert_int_equal(committed(w, "s"), 6);
    reload(w);
    assert_int_equal(committed(w, "s"), 6);
    w->now_ms += 1001;
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_expire, &call);
    assert_int_equal(committed(w, "s"), -1);
}

static void test_session_expiry(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    tick(w, 9999);
    assert_string_equal(state_of(w), "Stable");
    assert_int_equal(heartbeat(w, a, NULL, 1), 0);
    assert_int_equal(groups_next_ms(w->groups), w->now_ms + 10000);
    tick(w, 9999);
    assert_string_equal(state_of(w), "Stable");
    tick(w, 1);
    assert_string_equal(state_of(w), "Empty");
    assert_int_equal(heartbeat(w, a, NULL, 1), 25);
    assert_int_equal(groups_next_ms(w->groups), INT64_MAX);
}

/* A member that does not rejoin in time is dropped, the others go on. A parked join is alive however long it takes. */
static void test_rebalance_timeout(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    const char *b = join_new(w, 3);
    for (int i = 0; i < 3; i++) { /* a heartbeats but never joins */
        tick(w, 9000);
        assert_int_equal(heartbeat(w, a, NULL, 1), 27);
    }
    tick(w, 3000);
    assert_int_equal(reply_to(w, 3)->join.ErrorCode, 0);
    assert_int_equal(reply_to(w, 3)->join.GenerationId, 2);
    assert_true(str_eq_cstr(reply_to(w, 3)->join.Leader, b));
    assert_int_equal(heartbeat(w, a, NULL, 1), 25);
}

/* Who never sends SyncGroup is dropped when the sync phase is over. */
static void test_sync_timeout(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    const char *b = join_new(w, 3);
    join(w, (struct join_args){.n = 4, .member = a});
    sync_group(w, 5, b, 2, NULL, 0);
    for (int i = 0; i < 3; i++) {
        tick(w, 9000);
        assert_int_equal(heartbeat(w, a, NULL, 2), 0);
    }
    tick(w, 3000);
    assert_int_equal(reply_to(w, 5)->sync.ErrorCode, 27);
    assert_int_equal(heartbeat(w, a, NULL, 2), 25);
    join(w, (struct join_args){.n = 6, .member = b});
    assert_int_equal(reply_to(w, 6)->join.GenerationId, 3);
}

static void test_pending_member_lapses(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    join(w, (struct join_args){.n = 3}); /* takes an id and never comes back */
    join(w, (struct join_args){.n = 4, .member = a});
    assert_null(reply_to(w, 4)); /* the promised member is waited for */
    tick(w, 10000);
    assert_int_equal(reply_to(w, 4)->join.GenerationId, 2);
}

static void test_static_member(void **state)
{
    struct world *w = *state;
    join(w, (struct join_args){.n = 1, .instance = "i"});
    const struct group_reply *reply = reply_to(w, 1);
    assert_int_equal(reply->join.ErrorCode, 0);
    const char *a = str_cstr(reply->join.MemberId, &w->arena);
    assert_true(str_starts_with(reply->join.MemberId, STR("i-")));
    sync_group(w, 2, a, 1, &a, 1);
    /* it comes back without its id: same generation, a new id, the old one is fenced */
    join(w, (struct join_args){.n = 3, .instance = "i"});
    reply = reply_to(w, 3);
    assert_int_equal(reply->join.ErrorCode, 0);
    assert_int_equal(reply->join.GenerationId, 1);
    const char *again = str_cstr(reply->join.MemberId, &w->arena);
    assert_string_not_equal(a, again);
    assert_true(str_eq_cstr(reply->join.Leader, a)); /* version 5 must not take itself for the leader */
    assert_string_equal(state_of(w), "Stable");
    sync_group(w, 4, again, 1, NULL, 0);
    assert_true(str_eq_cstr(reply_to(w, 4)->sync.Assignment, a)); /* its old assignment */
    assert_int_equal(heartbeat(w, a, "i", 1), 82);
    assert_int_equal(heartbeat(w, again, "i", 1), 0);
    join(w, (struct join_args){.n = 5, .instance = "i", .version = 9});
    assert_true(reply_to(w, 5)->join.SkipAssignment);
    reload(w); /* the new id is stored */
    const char *last = str_cstr(reply_to(w, 5)->join.MemberId, &w->arena);
    assert_int_equal(heartbeat(w, last, "i", 1), 0);
    assert_int_equal(leave(w, "", "j"), 25);
    assert_int_equal(leave(w, "", "i"), 0);
    assert_string_equal(state_of(w), "Empty");
}

static void test_restart(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    assert_int_equal(commit_as(w, "g", a, 1, 42, "m", 7), 0);
    reload(w);
    assert_string_equal(state_of(w), "Stable");
    assert_int_equal(heartbeat(w, a, NULL, 1), 0);
    assert_int_equal(commit_as(w, "g", a, 1, 43, "m", 7), 0);
    sync_group(w, 3, a, 1, NULL, 0);
    assert_true(str_eq_cstr(reply_to(w, 3)->sync.Assignment, a));
    reload(w);
    assert_int_equal(committed(w, "g"), 43);
    assert_int_equal(groups_next_ms(w->groups), w->now_ms + 10000); /* a full session to show up */
    tick(w, 10000);
    assert_string_equal(state_of(w), "Empty");
    reload(w);
    assert_string_equal(state_of(w), "Empty");
    join_new(w, 4);
    assert_int_equal(reply_to(w, 4)->join.GenerationId, 3); /* generations go on */
}

/* An assignment that cannot be stored is given to nobody; the leader's next try succeeds. */
static void test_append_failure(void **state)
{
    struct world *w = *state;
    const char *a = join_new(w, 1);
    w->append_fails = true;
    sync_group(w, 2, a, 1, &a, 1);
    assert_int_equal(reply_to(w, 2)->sync.ErrorCode, 15);
    assert_string_equal(state_of(w), "CompletingRebalance");
    w->append_fails = false;
    sync_group(w, 3, a, 1, &a, 1);
    assert_int_equal(reply_to(w, 3)->sync.ErrorCode, 0);
    assert_string_equal(state_of(w), "Stable");
}

static void test_initial_delay(void **state)
{
    struct world *w = *state;
    struct group_options delayed = options;
    delayed.initial_rebalance_delay_ms = 3000;
    unload(w);
    load(w, &delayed);
    join_new(w, 1);
    assert_null(reply_to(w, 1));
    tick(w, 2000);
    join_new(w, 2); /* prolongs the wait */
    tick(w, 2999);
    assert_int_equal(w->effects.replies.len, 0);
    tick(w, 1);
    assert_int_equal(reply_to(w, 1)->join.GenerationId, 1);
    assert_int_equal(reply_to(w, 2)->join.GenerationId, 1);
}

static int16_t delete_group(struct world *w, const char *name)
{
    struct str group = str_from(name);
    struct DeleteGroupsRequest req = {.GroupsNames = {&group, 1}};
    struct DeleteGroupsResponse res;
    wire_init(&WIRE_DeleteGroupsResponse, &res);
    struct group_call call = call_of(w, 2, &req, &res);
    run(w, group_decide_delete, &call);
    return res.Results.at[0].ErrorCode;
}

static void test_admin(void **state)
{
    struct world *w = *state;
    struct str names[] = {STR("g"), STR("none")};
    struct DescribeGroupsRequest req = {.Groups = {names, 2}};
    struct DescribeGroupsResponse res;
    const char *a = stable_one(w);
    wire_init(&WIRE_DescribeGroupsResponse, &res);
    struct group_call call = call_of(w, 5, &req, &res);
    group_describe(w->groups, &call);
    assert_true(str_eq(res.Groups.at[0].GroupState, STR("Stable")));
    assert_true(str_eq(res.Groups.at[0].ProtocolData, STR("range")));
    assert_true(str_eq_cstr(res.Groups.at[0].Members.at[0].MemberAssignment, a));
    assert_true(str_eq(res.Groups.at[1].GroupState, STR("Dead")));
    assert_int_equal(res.Groups.at[1].ErrorCode, 0);
    call = call_of(w, 6, &req, &res);
    group_describe(w->groups, &call);
    assert_int_equal(res.Groups.at[1].ErrorCode, 69);
    assert_int_equal(delete_group(w, "g"), 68);
    assert_int_equal(delete_group(w, "none"), 69);
    assert_int_equal(commit_as(w, "g", a, 1, 42, "", 7), 0);
    assert_int_equal(leave(w, a, NULL), 0);
    assert_int_equal(delete_group(w, "g"), 0);
    assert_string_equal(state_of(w), "none");
    assert_int_equal(committed(w, "g"), -1);
}

/* A topic that is mostly history is written anew; what is left gives the same state. */
static void test_rewrite(void **state)
{
    struct world *w = *state;
    struct err err;
    const char *a = stable_one(w);
    for (int i = 0; i < 100; i++)
        assert_int_equal(commit_as(w, "g", a, 1, i, "", 7), 0);
    size_t before = w->log.len;
    assert_true(replay_rewrite(w->replay, 50, &err));
    assert_int_equal(w->log.len, before + 2); /* the group, its offset */
    for (size_t i = 0; i < before; i++)
        assert_true(str_is_null(w->log.at[i].key));
    memmove(w->log.at, w->log.at + before, 2 * sizeof *w->log.at);
    w->log.len = 2;
    reload(w);
    assert_string_equal(state_of(w), "Stable");
    assert_int_equal(committed(w, "g"), 99);
}

/* A rewrite in the middle of a rebalance: the members have to join anew, but generations go on. */
static void test_rewrite_in_rebalance(void **state)
{
    struct world *w = *state;
    struct err err;
    const char *a = stable_one(w);
    for (int i = 0; i < 100; i++)
        assert_int_equal(commit_as(w, "g", a, 1, i, "", 7), 0);
    join_new(w, 5);
    assert_string_equal(state_of(w), "PreparingRebalance");
    size_t before = w->log.len;
    assert_true(replay_rewrite(w->replay, 50, &err));
    w->log.len -= before;
    memmove(w->log.at, w->log.at + before, w->log.len * sizeof *w->log.at);
    reload(w);
    assert_string_equal(state_of(w), "Empty");
    assert_int_equal(committed(w, "g"), 99);
    join_new(w, 6);
    assert_int_equal(reply_to(w, 6)->join.GenerationId, 2);
}

/* A log that drops what it had taken (a failed sync) and goes on: the state is written anew, a deletion stays one. */
static void test_dropped(void **state)
{
    struct world *w = *state;
    struct err err;
    assert_int_equal(commit_as(w, "s", "", -1, 5, "", 8), 0);
    assert_int_equal(commit_as(w, "t", "", -1, 6, "", 8), 0);
    assert_int_equal(commit_as(w, "u", "", -1, 1, "", 8), 0);
    assert_int_equal(delete_group(w, "u"), 0);
    w->log.len = 1; /* only the first commit is left */
    assert_int_equal(commit_as(w, "v", "", -1, 7, "", 8), 0);
    assert_true(replay_rewrite(w->replay, 1000, &err));
    size_t gone = 0;
    while (str_is_null(w->log.at[gone].key))
        gone++;
    assert_int_equal(gone, 2); /* the old commit and the one that found out */
    w->log.len -= gone;
    memmove(w->log.at, w->log.at + gone, w->log.len * sizeof *w->log.at);
    reload(w);
    assert_int_equal(committed(w, "s"), 5);
    assert_int_equal(committed(w, "t"), 6);
    assert_int_equal(committed(w, "u"), -1);
    assert_int_equal(committed(w, "v"), 7);
}

/* A group whose limit was lowered: the last ones to rejoin are left out. */
static void test_lowered_limit(void **state)
{
    struct world *w = *state;
    struct group_options fewer = options;
    fewer.members_max = 1;
    const char *a = join_new(w, 1);
    sync_group(w, 2, a, 1, &a, 1);
    const char *b = join_new(w, 3);
    join(w, (struct join_args){.n = 4, .member = a});
    const char *both[] = {a, b};
    sync_group(w, 5, a, 2, both, 2);
    unload(w);
    load(w, &fewer);
    join(w, (struct join_args){.n = 6, .member = a}); /* the leader: a rebalance */
    assert_null(reply_to(w, 6));
    join(w, (struct join_args){.n = 7, .member = b});
    assert_int_equal(reply_to(w, 7)->join.ErrorCode, 81);
    assert_int_equal(reply_to(w, 7)->join.MemberId.len, 0);
    assert_int_equal(reply_to(w, 6)->join.GenerationId, 3); /* b is out: nobody is waited for */
    assert_int_equal(heartbeat(w, b, NULL, 3), 25);
}

/* The protocol is the one that most members prefer among those that all have. */
static void test_votes(void **state)
{
    struct world *w = *state;
    static const char *const wishes[][3] = {{"x", "y", "z"}, {"y", "x", NULL}, {"y", "z", "x"}};
    struct group_options delayed = options;
    delayed.initial_rebalance_delay_ms = 100;
    unload(w);
    load(w, &delayed);
    for (int i = 0; i < 3; i++) {
        struct JoinGroupRequest req;
        struct JoinGroupRequest_JoinGroupRequestProtocol protocols[3];
        wire_init(&WIRE_JoinGroupRequest, &req);
        req.GroupId = STR("g");
        req.SessionTimeoutMs = 10000;
        req.ProtocolType = STR("consumer");
        req.Protocols.at = protocols;
        for (int j = 0; j < 3 && wishes[i][j] != NULL; j++)
            protocols[req.Protocols.len++] =
                (struct JoinGroupRequest_JoinGroupRequestProtocol){.Name = str_from(wishes[i][j]),
                                                                   .Metadata = str_from(wishes[i][j])};
        struct group_call call = call_of(w, 3, &req, NULL);
        call.token = token(i + 1);
        run(w, group_decide_join, &call);
    }
    tick(w, 100);
    for (int i = 0; i < 3; i++)
        assert_true(str_eq(reply_to(w, i + 1)->join.ProtocolName, STR("y")));
    const struct JoinGroupResponse *leader = &reply_to(w, 1)->join; /* who came first */
    assert_true(str_eq(leader->Leader, leader->MemberId));
    assert_int_equal(leader->Members.len, 3);
    assert_true(str_eq(leader->Members.at[2].Metadata, STR("y")));
}

/* Who waits for us is alive, and has a full session when it has been answered. */
static void test_parked_sessions(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    const char *b = join_new(w, 3);
    for (int i = 0; i < 2; i++) { /* b is parked for 18 s, its session is 10 */
        tick(w, 9000);
        assert_int_equal(heartbeat(w, a, NULL, 1), 27);
    }
    join(w, (struct join_args){.n = 4, .member = a});
    assert_int_equal(reply_to(w, 3)->join.GenerationId, 2);
    sync_group(w, 5, b, 2, NULL, 0);
    for (int i = 0; i < 2; i++) { /* and parked again */
        tick(w, 9000);
        assert_int_equal(heartbeat(w, a, NULL, 2), 0);
    }
    const char *both[] = {a, b};
    sync_group(w, 6, a, 2, both, 2);
    assert_int_equal(reply_to(w, 5)->sync.ErrorCode, 0);
    tick(w, 9999);
    assert_int_equal(heartbeat(w, b, NULL, 2), 0);
}

/* LeaveGroup of many, each with its own answer; one that was only promised a place may leave too. */
static void test_leave_many(void **state)
{
    struct world *w = *state;
    const char *a = stable_one(w);
    join(w, (struct join_args){.n = 3});
    const char *promised = str_cstr(reply_to(w, 3)->join.MemberId, &w->arena);
    assert_int_equal(leave(w, promised, NULL), 0);
    assert_string_equal(state_of(w), "Stable");
    struct LeaveGroupRequest req;
    struct LeaveGroupResponse res;
    struct LeaveGroupRequest_MemberIdentity rows[] = {{.MemberId = STR("x")},
                                                      {.MemberId = str_from(a)},
                                                      {.MemberId = str_from(a)},
                                                      {.GroupInstanceId = STR("i")}};
    static const int16_t wanted[] = {25, 0, 25, 25};
    wire_init(&WIRE_LeaveGroupRequest, &req);
    wire_init(&WIRE_LeaveGroupResponse, &res);
    req.GroupId = STR("g");
    req.Members.at = rows;
    req.Members.len = 4;
    struct group_call call = call_of(w, 5, &req, &res);
    run(w, group_decide_leave, &call);
    assert_int_equal(res.ErrorCode, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(res.Members.at[i].ErrorCode, wanted[i]);
    assert_string_equal(state_of(w), "Empty");
    assert_int_equal(groups_next_ms(w->groups), INT64_MAX); /* no timer is left */
}

/* Thousands of quiet groups: a tick that finds nothing due adds nothing, and time is kept for each of them. */
static void test_many_groups(void **state)
{
    enum { GROUPS = 5000 };
    struct world *w = *state;
    for (int i = 0; i < GROUPS; i++) {
        struct JoinGroupRequest req;
        struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {.Name = STR("p"), .Metadata = STR("")};
        wire_init(&WIRE_JoinGroupRequest, &req);
        req.GroupId = str_printf(&w->arena, "group-%d", i);
        req.SessionTimeoutMs = 10000 + i % 7;
        req.RebalanceTimeoutMs = 30000;
        req.ProtocolType = STR("consumer");
        req.Protocols.at = &protocol;
        req.Protocols.len = 1;
        struct group_call call = call_of(w, 3, &req, NULL);
        call.token = token(1);
        run(w, group_decide_join, &call);
    }
    assert_int_equal(groups_next_ms(w->groups), w->now_ms + 10000);
    for (int i = 0; i < 9999; i++) /* had each tick walked the groups, this would be 50 million steps */
        tick(w, 1);
    assert_int_equal(w->log.len, 0);
    for (int i = 0; groups_next_ms(w->groups) != INT64_MAX; i++)
        tick(w, i == 0 ? 7 : 0);
    assert_int_equal(w->log.len, GROUPS); /* each became empty once */
}

/* The same when only a deletion was dropped: it is one for a start that comes before any rewrite, too. */
static void test_dropped_deletion(void **state)
{
    struct world *w = *state;
    assert_int_equal(commit_as(w, "s", "", -1, 5, "", 8), 0);
    assert_int_equal(commit_as(w, "u", "", -1, 1, "", 8), 0);
    size_t before = w->log.len;
    assert_int_equal(delete_group(w, "u"), 0);
    w->log.len = before;
    assert_int_equal(commit_as(w, "v", "", -1, 7, "", 8), 0);
    reload(w);
    assert_int_equal(committed(w, "s"), 5);
    assert_int_equal(committed(w, "u"), -1);
    assert_int_equal(committed(w, "v"), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_join, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fencing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_simple_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_session_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rebalance_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pending_member_lapses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_member, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_initial_delay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_admin, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rewrite, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rewrite_in_rebalance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped_deletion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lowered_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_votes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parked_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leave_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_groups, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
