/* group: streams groups - joining with a topology, tasks from one member to the other, standbys, statuses, what is refused; over
 * restarts; offsets and other kinds. Expected values follow from KIP-1071 and were seen of Apache Kafka 4.3.1
 * (test/peer/test_streams_protocol.py).
 */
#include "streams_world.h"

enum {
    ILLEGAL_GENERATION = 22,
    INCONSISTENT_PROTOCOL = 23,
    UNKNOWN_MEMBER = 25,
    UNSUPPORTED_VERSION = 35,
    NOT_EMPTY = 68,
    NOT_FOUND = 69,
    SUBSCRIBED = 86,
    STALE_EPOCH = 113
};

static const char *state_of(struct world *w)
{
    struct group_info info = {0};
    assert_true(group_info_of(w->groups, STR("g"), &info));
    assert_true(str_eq(info.type, STR("streams")) && str_eq(info.protocol_type, STR("streams")));
    return info.state.ptr;
}

static void tick(struct world *w)
{
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
}

static void set_all_topics(struct world *w, int32_t a, int32_t b)
{
    set_topic(w, "a", a);
    set_topic(w, "b", b);
    set_topic(w, "c", b);
}

/* A second member: the first gives a task up, then the second gets it. */
static void test_tasks_move(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 2, 2);
    assert_string_equal(BEAT(w, "m1", 0), "2: 0_0 0_1 1_0 1_1");
    assert_string_equal(state_of(w), "Stable");
    assert_string_equal(BEAT(w, "m1", 2), "2");
    assert_string_equal(BEAT(w, "m2", 0), "3:"); /* nothing is free yet */
    assert_string_equal(state_of(w), "Reconciling");
    assert_string_equal(BEAT(w, "m1", 2),
                        "2: 0_0 1_0"); /* it keeps low partitions, and has to give up the rest */
    assert_string_equal(BEAT(w, "m2", 3), "3");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 0_1 1_0"), "2: 0_0 1_0"); /* one is not given up yet */
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 1_0"), "3");
    assert_string_equal(BEAT(w, "m2", 3), "3: 0_1 1_1");
    assert_string_equal(state_of(w), "Stable");
    size_t records = w->log.len;
    assert_string_equal(BEAT(w, "m1", 3), "3");
    assert_int_equal(w->log.len, records); /* A2 */
    assert_string_equal(BEAT(w, "m2", -1), "-1");
    assert_string_equal(state_of(w), "Assigning");
    assert_string_equal(BEAT(w, "m1", 3), "4: 0_0 0_1 1_0 1_1");
    assert_string_equal(BEAT(w, "m1", -1), "-1");
    assert_string_equal(state_of(w), "Empty");
}

/* One standby for each task with state, on another process. A task whose role changes is given up first. */
static void test_standby(void **state)
{
    struct world *w = *state;
    struct group_options own = options;
    own.streams_standby_count = 1;
    unload(w);
    load(w, &own);
    set_all_topics(w, 2, 2);
    assert_string_equal(BEAT(w, "m1", 0), "2: 0_0 0_1 1_0 1_1"); /* there is no other process */
    assert_string_equal(BEAT(w, "m2", 0), "3: 1_0s");
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0 1_0");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 1_0"), "3: 0_0 1_0 1_1s");
    assert_string_equal(BEAT(w, "m2", 3), "3: 0_1 1_1 1_0s");
    /* A thread of the first one's process: a process has a task in one role only, so the standby of what the new thread shall
     * have goes first (Y3). */
    assert_string_equal(BEAT(w, "m3", 0, .process = "m1"), "4:");
    assert_string_equal(BEAT(w, "m2", 3), "3: 0_1 1_0s");
    assert_string_equal(BEAT(w, "m2", 3, .owned = "0_1; 1_0"), "4: 0_1 1_0s 1_1s");
    assert_string_equal(BEAT(w, "m3", 4), "4");
    assert_string_equal(BEAT(w, "m1", 3), "3: 0_0 1_0");
    assert_string_equal(BEAT(w, "m3", 4), "4");
    assert_string_equal(BEAT(w, "m1", 3, .owned = "0_0 1_0"), "4");
    assert_string_equal(BEAT(w, "m3", 4), "4: 1_1");
    assert_string_equal(state_of(w), "Stable");
}

/* The number of standbys is the group's setting: a change of it is a new assignment. */
static int64_t standbys_of_g;
static int64_t get_setting(void *arg, struct str group, enum group_setting setting)
{
    return setting == GROUP_STREAMS_STANDBY_COUNT ? standbys_of_g : -1;
}

static void test_settings(void **state)
{
    struct world *w = *state;
    struct group_options own = options;
    const struct group_settings settings = {NULL, get_setting};
    own.settings = &settings;
    standbys_of_g = 0;
    unload(w);
    load(w, &own);
    set_all_topics(w, 1, 1);
    assert_string_equal(BEAT(w, "m1", 0), "2: 0_0 1_0");
    assert_string_equal(BEAT(w, "m2", 0), "3:");
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0"), "3");
    assert_string_equal(BEAT(w, "m2", 3), "3: 1_0");
    standbys_of_g = 1;
    assert_string_equal(BEAT(w, "m1", 3), "4: 0_0 1_0s");
    assert_string_equal(BEAT(w, "m1", 4), "4");
    unload(w);
    load(w, &own); /* it is known with which number the target was made */
    size_t records = w->log.len;
    assert_string_equal(BEAT(w, "m1", 4), "4");
    assert_int_equal(w->log.len, records);
}

/* --- what is the matter with the group --- */

static void test_topics(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_string_equal(BEAT(w, "m1", 0), "2: !1"); /* b is missing */
    assert_string_equal(state_of(w), "NotReady");
    assert_int_equal(last_call.missing.len, 0);
    set_topic(w, "b", 3);
    assert_string_equal(BEAT(w, "m1", 2), "3 !3"); /* c is to be made */
    assert_int_equal(last_call.missing.len, 1);
    assert_true(str_eq(last_call.missing.at[0].Name, STR("c")));
    assert_int_equal(last_call.missing.at[0].NumPartitions, 3);
    assert_string_equal(BEAT(w, "m1", 3), "3 !3"); /* still */
    assert_int_equal(last_call.missing.len, 1);
    set_topic(w, "c", 2);
    assert_string_equal(BEAT(w, "m1", 3), "4 !2");
    set_topic(w, "c", 3);
    assert_string_equal(BEAT(w, "m1", 4), "5: 0_0 0_1 1_0 1_1 1_2");
    assert_string_equal(state_of(w), "Stable");
    set_topic(w, "a", 3); /* it grows */
    assert_string_equal(BEAT(w, "m1", 5), "6: 0_0 0_1 0_2 1_0 1_1 1_2");
    set_topic(w, "b", 4); /* its changelog does not follow: nobody works on */
    assert_string_equal(BEAT(w, "m1", 6), "6: !2");
    assert_string_equal(BEAT(w, "m1", 6, .owned = ""), "7 !2");
    assert_string_equal(state_of(w), "NotReady");
}

/* The first assignment waits for more members; later ones come no faster than the interval. */
static void test_delays(void **state)
{
    struct world *w = *state;
    struct group_options own = options;
    own.streams_initial_delay_ms = 3000;
    own.streams_assignment_interval_ms = 1000;
    unload(w);
    load(w, &own);
    set_all_topics(w, 2, 1);
    assert_string_equal(BEAT(w, "m1", 0), "1: !5");
    assert_string_equal(state_of(w), "Assigning");
    assert_string_equal(BEAT(w, "m2", 0), "1: !5");
    assert_string_equal(BEAT(w, "m1", 1), "1 !5");
    int64_t due_ms = w->now_ms + 3000;
    assert_int_equal(groups_next_ms(w->groups), due_ms);
    w->now_ms = due_ms;
    tick(w);
    assert_string_equal(BEAT(w, "m1", 1), "3: 0_0 1_0");
    assert_string_equal(BEAT(w, "m2", 1), "3: 0_1");
    assert_string_equal(state_of(w), "Stable");
    w->now_ms += 999;
    assert_string_equal(BEAT(w, "m2", -1), "-1");
    assert_string_equal(BEAT(w, "m1", 3), "3 !5");
    w->now_ms += 1;
    assert_string_equal(BEAT(w, "m1", 3), "4: 0_0 0_1 1_0");
    assert_string_equal(BEAT(w, "m1", -1), "-1");
    assert_string_equal(BEAT(w, "m3", 0), "4: !5"); /* it was empty: the delay begins anew */
    unload(w);
    load(w, &own); /* but not after a restart */
    w->now_ms += 1000;
    assert_string_equal(BEAT(w, "m3", 4), "6: 0_0 0_1 1_0");
}

/* One asks for the end of the application: everybody is told, as long as somebody is in the group. */
static void test_shutdown(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    BEAT(w, "m1", 0);
    BEAT(w, "m2", 0);
    assert_string_equal(BEAT(w, "m2", 3, .shutdown = true), "3 !4");
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0 !4");
    assert_string_equal(BEAT(w, "m2", -1), "-1");
    assert_string_equal(BEAT(w, "m1", -1), "-1");
    assert_string_equal(BEAT(w, "m1", 0), "6: 0_0 1_0");
    assert_string_equal(BEAT(w, "m1", -1, .shutdown = true), "-1");
    assert_string_equal(BEAT(w, "m1", 0), "8: 0_0 1_0");
    assert_string_equal(BEAT(w, "m2", 0, .topology_epoch = 0), "9:");
    assert_string_equal(BEAT(w, "m2", -1, .shutdown = true), "-1");
    assert_string_equal(BEAT(w, "m1", 8), "10 !4");
}

static const char *endpoints(struct world *w, const struct StreamsGroupHeartbeatResponse *res)
{
    struct buf text = {0};
    buf_printf(&text, "%d", res->EndpointInformationEpoch);
    for (int32_t i = 0; i < res->PartitionsByUserEndpoint.len; i++) {
        const struct StreamsGroupHeartbeatResponse_EndpointToPartitions *row =
            &res->PartitionsByUserEndpoint.at[i];
        buf_printf(&text, " %.*s:%d", STR_ARG(row->UserEndpoint.Host), row->UserEndpoint.Port);
        for (int32_t j = 0; j < row->ActivePartitions.len; j++)
            for (int32_t k = 0; k < row->ActivePartitions.at[j].Partitions.len; k++)
                buf_printf(&text, " %.*s%d", STR_ARG(row->ActivePartitions.at[j].Topic),
                           row->ActivePartitions.at[j].Partitions.at[k]);
        for (int32_t j = 0; j < row->StandbyPartitions.len; j++)
            for (int32_t k = 0; k < row->StandbyPartitions.at[j].Partitions.len; k++)
                buf_printf(&text, " %.*s%ds", STR_ARG(row->StandbyPartitions.at[j].Topic),
                           row->StandbyPartitions.at[j].Partitions.at[k]);
    }
    const char *out = str_dup(buf_str(&text), &w->arena).ptr;
    buf_fini(&text);
    return out;
}

#define ENDPOINTS(member, epoch, ...) \
    endpoints(w, answer_of(w, "g", (member), (epoch), (struct say){__VA_ARGS__}))

static void test_endpoints(void **state)
{
    struct world *w = *state;
    struct group_options own = options;
    own.streams_standby_count = 1;
    unload(w);
    load(w, &own);
    set_all_topics(w, 1, 1);
    assert_string_equal(ENDPOINTS("m1", 0, .host = "h1"), "0 h1:80 a0 b0");
    assert_string_equal(ENDPOINTS("m1", 2), "0"); /* it has seen the latest */
    assert_string_equal(ENDPOINTS("m2", 0, .host = "h2"), "1 h1:80 a0 b0 h2:80");
    assert_string_equal(ENDPOINTS("m1", 2), "2 h2:80 h1:80 a0");
    assert_string_equal(ENDPOINTS("m1", 2, .owned = "0_0", .endpoint_epoch = 2), "3 h2:80 h1:80 a0 b0s");
    assert_string_equal(ENDPOINTS("m2", 3, .endpoint_epoch = 3), "4 h1:80 a0 b0s h2:80 b0");
    assert_string_equal(ENDPOINTS("m2", 3, .endpoint_epoch = 4), "4");
    assert_string_equal(ENDPOINTS("m1", 3, .endpoint_epoch = 3), "4 h2:80 b0 h1:80 a0 b0s");
}

/* --- who is refused --- */

static int16_t error_of(struct world *w, const struct StreamsGroupHeartbeatRequest *req)
{
    struct StreamsGroupHeartbeatResponse res;
    wire_init(&WIRE_StreamsGroupHeartbeatResponse, &res);
    struct group_call call = call_of(w, 0, req, &res);
    run(w, group_decide_streams_heartbeat, &call);
    return res.ErrorCode;
}

static void test_requests(void **state)
{
    enum { INVALID = 42 };
    struct world *w = *state;
    struct StreamsGroupHeartbeatRequest good, bad;
    set_all_topics(w, 1, 1);
    fill_beat(w, "g", "m", 0, &(struct say){0}, &good);
#define REFUSED(code, change) (bad = good, (void)(change), assert_int_equal(error_of(w, &bad), (code)))
    REFUSED(INVALID, bad.MemberId = STR(""));
    REFUSED(INVALID, bad.GroupId = STR(""));
    REFUSED(INVALID, bad.RackId = STR(""));
    REFUSED(INVALID, bad.InstanceId = STR("i"));
    REFUSED(INVALID, bad.RebalanceTimeoutMs = -1);
    REFUSED(INVALID, bad.Topology = NULL);
    REFUSED(INVALID, bad.StandbyTasks.len = -1);
    REFUSED(INVALID, bad.TaskOffsets.len = 0);
    REFUSED(INVALID, bad.TaskEndOffsets.len = 0);
    REFUSED(INVALID, bad.MemberEpoch = -2);
    REFUSED(INVALID, bad.MemberEpoch = -3);
    REFUSED(INVALID, (fill_owned(w, "0_0", &bad), 0));
    REFUSED(INVALID, (fill_owned(w, ";1_0", &bad), 0));
    REFUSED(INVALID, bad.MemberEpoch = 1); /* with a topology */
    REFUSED(NOT_FOUND, (bad.MemberEpoch = 1, bad.Topology = NULL));
    struct str pattern = STR("a.*");
    bad.Topology = application(w, 0);
    bad.Topology->Subtopologies.at[0].SourceTopicRegex.at = &pattern;
    bad.Topology->Subtopologies.at[0].SourceTopicRegex.len = 1;
    bad.MemberEpoch = 0;
    assert_int_equal(error_of(w, &bad), INVALID);
    assert_int_equal(w->log.len, 0); /* A1 */
    assert_int_equal(error_of(w, &good), 0);
}

static void test_refused_members(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    assert_string_equal(BEAT(w, "m1", 0), "2: 0_0 1_0");
    size_t records = w->log.len;
    assert_string_equal(BEAT(w, "m1", 3), "error 110");
    assert_string_equal(BEAT(w, "m1", 1), "error 110");
    assert_string_equal(BEAT(w, "mx", 2), "error 25");
    assert_string_equal(BEAT(w, "mx", -1), "error 25");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_7"), "error 42");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "9_0"), "error 42");
    assert_string_equal(BEAT(w, "m2", 0, .topology_epoch = 1), "error 42"); /* no updates */
    assert_int_equal(w->log.len, records);
    assert_string_equal(BEAT(w, "m2", 0), "3:");
    assert_string_equal(BEAT(w, "m3", 0), "4:");
    assert_string_equal(BEAT(w, "m4", 0), "error 81");
    assert_string_equal(BEAT(w, "m3", 0), "4:"); /* who is in may begin anew */
    /* the answer with the new epoch was lost: the one of before will do, if it says that it has no more than it may */
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0"), "4");
    assert_string_equal(BEAT(w, "m1", 2), "error 110");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 1_0"), "error 110");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0"), "4");
}

static void test_older_topology(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    assert_string_equal(BEAT(w, "m1", 0, .topology_epoch = 3), "2: 0_0 1_0");
    assert_string_equal(BEAT(w, "m2", 0, .topology_epoch = 2), "3: !0"); /* stale: to be told, not refused */
    assert_string_equal(BEAT(w, "m2", 3), "3 !0");
}

/* --- time and restarts --- */

static void test_sessions_and_restart(void **state)
{
    struct world *w = *state;
    struct err err;
    set_all_topics(w, 2, 1);
    BEAT(w, "m1", 0, .host = "h1");
    BEAT(w, "m2", 0);
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0 1_0");
    for (int i = 0; i < 2; i++) { /* in the middle of it, from all records and from the state written anew */
        reload(w);
        assert_string_equal(state_of(w), "Reconciling");
        assert_string_equal(BEAT(w, "m2", 3), "3");
        assert_string_equal(BEAT(w, "m1", 2), "2");
        assert_true(replay_rewrite(w->replay, 0, &err));
    }
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 1_0"), "3");
    reload(w);
    assert_string_equal(BEAT(w, "m2", 3), "3: 0_1");
    w->now_ms += 44000;
    BEAT(w, "m1", 3);
    w->now_ms += 1000;
    assert_int_equal(groups_next_ms(w->groups), w->now_ms);
    tick(w);
    assert_string_equal(BEAT(w, "m2", 3), "error 25");
    assert_string_equal(BEAT(w, "m1", 3), "4: 0_0 0_1 1_0");
}

/* Who does not give a task up in time is out, though it is alive; also when a restart is in between. */
static void test_rebalance_timeout(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 2, 1);
    BEAT(w, "m1", 0, .timeout_ms = 10000);
    BEAT(w, "m2", 0);
    assert_string_equal(BEAT(w, "m1", 2), "2: 0_0 1_0");
    w->now_ms += 9000;
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0 0_1 1_0"), "2: 0_0 1_0");
    reload(w);
    w->now_ms += 9000;
    assert_string_equal(BEAT(w, "m1", 2), "2");
    w->now_ms += 1000;
    tick(w);
    assert_string_equal(BEAT(w, "m1", 2), "error 25");
    assert_string_equal(BEAT(w, "m2", 3), "4: 0_0 0_1 1_0");
}

/* --- offsets --- */

static int16_t commit(struct world *w, int16_t version, const char *member, int32_t epoch, const char *topic)
{
    struct OffsetCommitRequest_OffsetCommitRequestPartition part = {.CommittedOffset = 5};
    struct OffsetCommitRequest_OffsetCommitRequestTopic row = {.Name = str_from(topic),
                                                               .Partitions = {&part, 1}};
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res = {0};
    wire_init(&WIRE_OffsetCommitRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationIdOrMemberEpoch = epoch;
    req.Topics.at = &row;
    req.Topics.len = 1;
    struct group_call call = call_of(w, version, &req, &res);
    run(w, group_decide_commit, &call);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static int16_t txn_commit(struct world *w, const char *member, int32_t epoch)
{
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition part = {.CommittedOffset = 6};
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic row = {.Name = STR("a"),
                                                                     .Partitions = {&part, 1}};
    struct TxnOffsetCommitRequest req;
    struct TxnOffsetCommitResponse res = {0};
    wire_init(&WIRE_TxnOffsetCommitRequest, &req);
    req.GroupId = STR("g");
    req.ProducerId = 1;
    req.MemberId = str_from(member);
    req.GenerationId = epoch;
    req.Topics.at = &row;
    req.Topics.len = 1;
    struct group_call call = call_of(w, 5, &req, &res);
    run(w, group_decide_txn_commit, &call);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static int16_t fetch(struct world *w, const char *member, int32_t epoch)
{
    struct OffsetFetchRequest_OffsetFetchRequestGroup row = {.GroupId = STR("g"),
                                                             .MemberId = str_from(member),
                                                             .MemberEpoch = epoch,
                                                             .Topics.len = -1};
    struct OffsetFetchRequest req = {.Groups = {&row, 1}};
    struct OffsetFetchResponse res = {0};
    struct group_call call = call_of(w, 9, &req, &res);
    group_fetch(w->groups, &call);
    return res.Groups.at[0].ErrorCode;
}

/* A member commits in its epoch, or in an older one for tasks that it had then already. */
static void test_offsets(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    BEAT(w, "m1", 0); /* epoch 2: 0_0 1_0 */
    BEAT(w, "m2", 0);
    BEAT(w, "m1", 2, .owned = "0_0 1_0");
    assert_string_equal(BEAT(w, "m1", 2, .owned = "0_0"), "3");
    assert_string_equal(BEAT(w, "m2", 3), "3: 1_0");
    assert_int_equal(commit(w, 9, "m1", 3, "a"), 0);
    assert_int_equal(commit(w, 9, "m1", 2, "a"), 0);
    assert_int_equal(commit(w, 9, "m1", 1, "a"), STALE_EPOCH);
    assert_int_equal(commit(w, 9, "m1", 4, "a"), STALE_EPOCH);
    assert_int_equal(commit(w, 9, "m1", 2, "b"), STALE_EPOCH);
    assert_int_equal(commit(w, 9, "m2", 2, "b"), STALE_EPOCH);
    assert_int_equal(commit(w, 9, "m1", 2, "z"), STALE_EPOCH); /* not in the topology */
    assert_int_equal(commit(w, 9, "mx", 3, "a"), UNKNOWN_MEMBER);
    assert_int_equal(commit(w, 9, "", -1, "a"), UNKNOWN_MEMBER);
    assert_int_equal(commit(w, 8, "m1", 3, "a"), UNSUPPORTED_VERSION);
    assert_int_equal(txn_commit(w, "m1", 3), 0);
    assert_int_equal(txn_commit(w, "m1", 2), 0);
    assert_int_equal(txn_commit(w, "m1", 1), ILLEGAL_GENERATION);
    assert_int_equal(txn_commit(w, "mx", 1), UNKNOWN_MEMBER);
    assert_int_equal(txn_commit(w, "", -1), 0);
    assert_int_equal(fetch(w, "m1", 3), 0);
    assert_int_equal(fetch(w, "m1", 2), STALE_EPOCH);
    assert_int_equal(fetch(w, "mx", 3), UNKNOWN_MEMBER);
    assert_int_equal(fetch(w, NULL, -1), 0);
    BEAT(w, "m1", -1);
    BEAT(w, "m2", -1);
    assert_int_equal(commit(w, 9, "", -1, "a"), 0); /* nobody is in it */
}

static int16_t delete_offset(struct world *w, const char *topic)
{
    struct OffsetDeleteRequest_OffsetDeleteRequestPartition part = {0};
    struct OffsetDeleteRequest_OffsetDeleteRequestTopic row = {.Name = str_from(topic),
                                                               .Partitions = {&part, 1}};
    struct OffsetDeleteRequest req = {.GroupId = STR("g"), .Topics = {&row, 1}};
    struct OffsetDeleteResponse res = {0};
    struct group_call call = call_of(w, 0, &req, &res);
    run(w, group_decide_offset_delete, &call);
    assert_int_equal(res.ErrorCode, 0);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static int16_t delete_group(struct world *w)
{
    struct str group = STR("g");
    struct DeleteGroupsRequest req = {.GroupsNames = {.at = &group, .len = 1}};
    struct DeleteGroupsResponse res = {0};
    struct group_call call = call_of(w, 2, &req, &res);
    run(w, group_decide_delete, &call);
    return res.Results.at[0].ErrorCode;
}

static void test_retention_and_end(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    BEAT(w, "m", 0);
    assert_int_equal(commit(w, 9, "m", 2, "a"), 0);
    assert_int_equal(commit(w, 9, "m", 2, "z"), 0);
    assert_int_equal(delete_offset(w, "a"), SUBSCRIBED);
    assert_int_equal(delete_group(w), NOT_EMPTY);
    w->now_ms += 2000; /* retention is a second */
    struct group_call call = call_of(w, 0, NULL, NULL);
    size_t records = w->log.len;
    run(w, group_decide_expire, &call);
    assert_int_equal(w->log.len, records + 1); /* z, which the application does not read */
    BEAT(w, "m", -1);
    assert_int_equal(delete_offset(w, "a"), 0);
    assert_int_equal(delete_group(w), 0);
    reload(w);
    assert_int_equal(delete_group(w), NOT_FOUND);
    assert_string_equal(BEAT(w, "m", 0), "2: 0_0 1_0"); /* the name may be used anew */
}

/* --- other kinds --- */

static void test_other_kinds(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    BEAT(w, "m", 0);
    join_classic(w, 1, 5, "", NULL, "range", STR(""));
    assert_int_equal(reply_to(w, 1)->join.ErrorCode, INCONSISTENT_PROTOCOL);
    struct HeartbeatRequest old = {.GroupId = STR("g"), .MemberId = STR("m"), .GenerationId = 2};
    struct HeartbeatResponse old_res = {0};
    struct group_call call = call_of(w, 4, &old, &old_res);
    run(w, group_decide_heartbeat, &call);
    assert_int_equal(old_res.ErrorCode, UNKNOWN_MEMBER);
    struct ShareGroupHeartbeatRequest share;
    struct ShareGroupHeartbeatResponse share_res;
    struct str topic = STR("a");
    wire_init(&WIRE_ShareGroupHeartbeatRequest, &share);
    wire_init(&WIRE_ShareGroupHeartbeatResponse, &share_res);
    share.GroupId = STR("g");
    share.MemberId = STR("s");
    share.SubscribedTopicNames.at = &topic;
    share.SubscribedTopicNames.len = 1;
    call = call_of(w, 1, &share, &share_res);
    run(w, group_decide_share_heartbeat, &call);
    assert_int_equal(share_res.ErrorCode, NOT_FOUND);
    share.GroupId = STR("shared");
    wire_init(&WIRE_ShareGroupHeartbeatResponse, &share_res);
    run(w, group_decide_share_heartbeat, &call);
    assert_int_equal(share_res.ErrorCode, 0);
    assert_string_equal(print_beat(w, answer_of(w, "shared", "m", 0, (struct say){0})), "error 69");
    assert_string_equal(print_beat(w, answer_of(w, "shared", "m", -1, (struct say){0})), "error 69");
    BEAT(w, "m", -1); /* an empty one makes room */
    join_classic(w, 1, 3, "", NULL, "range", STR(""));
    reload(w);
    struct group_info info;
    assert_false(group_info_of(w->groups, STR("g"), &info) && str_eq(info.type, STR("streams")));
}

/* Offsets alone are no group yet: the application begins with them. */
static void test_after_offsets(void **state)
{
    struct world *w = *state;
    set_all_topics(w, 1, 1);
    assert_int_equal(commit(w, 9, "", -1, "a"), 0);
    assert_string_equal(BEAT(w, "m", 0), "2: 0_0 1_0");
    reload(w);
    assert_string_equal(state_of(w), "Stable");
    assert_int_equal(delete_offset(w, "a"), SUBSCRIBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tasks_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_standby, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_topology, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions_and_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rebalance_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_offsets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
