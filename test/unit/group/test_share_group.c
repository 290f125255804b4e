/* group: share groups: heartbeats, what members are given, who may not; over restarts; and that calls about consumers do not
 * find them. Expected values follow from KIP-932.
 */
#include "world.h"

enum {
    UNKNOWN_MEMBER = 25,
    INVALID_REQUEST = 42,
    NOT_EMPTY = 68,
    NOT_FOUND = 69,
    FULL = 81,
    FENCED_EPOCH = 110
};
enum { INCONSISTENT_PROTOCOL = 23 };

/* A heartbeat; names are letters of topics, NULL is null. Gives "epoch: a0 a1", "epoch" without an assignment, or "error n". */
static const char *beat(struct world *w, const char *group, const char *member, int32_t epoch,
                        const char *names)
{
    struct ShareGroupHeartbeatRequest req;
    struct ShareGroupHeartbeatResponse res;
    struct buf text = {0};
    wire_init(&WIRE_ShareGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ShareGroupHeartbeatResponse, &res);
    req.GroupId = str_from(group);
    req.MemberId = str_from(member);
    req.MemberEpoch = epoch;
    if (names != NULL) {
        req.SubscribedTopicNames.len = (int32_t)strlen(names);
        req.SubscribedTopicNames.at = arena_array(&w->arena, struct str, strlen(names));
        for (size_t i = 0; i < strlen(names); i++)
            req.SubscribedTopicNames.at[i] = str_of(&names[i], 1);
    }
    struct group_call call = call_of(w, 1, &req, &res);
    run(w, group_decide_share_heartbeat, &call);
    if (res.ErrorCode != 0)
        buf_printf(&text, "error %d", res.ErrorCode);
    else
        buf_printf(&text, "%d%s", res.MemberEpoch, res.Assignment != NULL ? ":" : "");
    for (int32_t i = 0; res.Assignment != NULL && i < res.Assignment->TopicPartitions.len; i++) {
        const struct ShareGroupHeartbeatResponse_TopicPartitions *row =
            &res.Assignment->TopicPartitions.at[i];
        for (int32_t j = 0; j < row->Partitions.len; j++)
            buf_printf(&text, " %c%d", row->TopicId.bytes[0], row->Partitions.at[j]);
    }
    const char *out = str_dup(buf_str(&text), &w->arena).ptr;
    buf_fini(&text);
    return out;
}

static struct group_info info(struct world *w, const char *name)
{
    struct group_info out = {0};
    assert_true(group_info_of(w->groups, str_from(name), &out));
    return out;
}

static void test_members_share(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_string_equal(beat(w, "g", "m1", 0, "a"), "2: a0 a1");
    assert_string_equal(beat(w, "g", "m1", 2, NULL), "2"); /* no news */
    assert_string_equal(beat(w, "g", "m2", 0, "a"), "3: a1");
    assert_string_equal(beat(w, "g", "m1", 2, NULL), "3: a0"); /* at once: nobody waits for anybody */
    assert_string_equal(beat(w, "g", "m1", 2, NULL),
                        "3"); /* the answer was lost: the epoch of before will do */
    assert_string_equal(beat(w, "g", "m3", 0, "a"), "4: a0"); /* more members than partitions */
    assert_true(str_eq(info(w, "g").type, STR("share")));
    assert_true(str_eq(info(w, "g").protocol_type, STR("share")));
    assert_true(str_eq(info(w, "g").state, STR("Stable")));
    assert_string_equal(beat(w, "g", "m4", 0, "a"), "error 81");
    size_t records = w->log.len;
    assert_string_equal(beat(w, "g", "m3", 4, NULL), "4");
    assert_int_equal(w->log.len, records); /* H1 */
}

static void test_refused(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    assert_string_equal(beat(w, "g", "m", 0, NULL), "error 42");
    assert_string_equal(beat(w, "g", "m", 0, ""), "error 42");
    assert_string_equal(beat(w, "", "m", 0, "a"), "error 42");
    assert_string_equal(beat(w, "g", "", 0, "a"), "error 42");
    assert_string_equal(beat(w, "g", "m", -2, "a"), "error 42");
    assert_string_equal(beat(w, "g", "m", 1, "a"), "error 69");
    assert_int_equal(w->log.len, 0);
    assert_string_equal(beat(w, "g", "m", 0, "a"), "2: a0");
    assert_string_equal(beat(w, "g", "m", 8, NULL), "error 110");
    assert_string_equal(beat(w, "g", "n", 1, NULL), "error 25");
    assert_string_equal(beat(w, "g", "n", -1, NULL), "error 25");
}

static void test_topics_and_leaving(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    assert_string_equal(beat(w, "g", "m1", 0, "ab"), "2: a0");
    set_topic(w, "b", 2);
    groups_topics_changed(w->groups);
    assert_string_equal(beat(w, "g", "m1", 2, NULL), "3: a0 b0 b1");
    assert_string_equal(beat(w, "g", "m1", 3, "b"), "4: b0 b1");
    assert_string_equal(beat(w, "g", "m2", 0, "b"), "5: b1");
    assert_string_equal(beat(w, "g", "m1", 4, NULL), "5: b0");
    assert_string_equal(beat(w, "g", "m2", -1, NULL), "-1");
    assert_string_equal(beat(w, "g", "m1", 5, NULL), "6: b0 b1");
    assert_string_equal(beat(w, "g", "m1", -1, NULL), "-1");
    assert_true(str_eq(info(w, "g").state, STR("Empty")));
}

/* Between assignments lies the interval; who changes its subscription loses at once what it does not want any more. */
static void test_interval(void **state)
{
    struct world *w = *state;
    struct group_options own = options;
    own.share_assignment_interval_ms = 1000;
    unload(w);
    load(w, &own);
    set_topic(w, "a", 2);
    set_topic(w, "b", 1);
    assert_string_equal(beat(w, "g", "m1", 0, "a"), "2: a0 a1");
    assert_string_equal(beat(w, "g", "m2", 0, "a"), "2:");
    w->now_ms += 999;
    assert_string_equal(beat(w, "g", "m1", 2, NULL), "2");
    w->now_ms += 1;
    assert_string_equal(beat(w, "g", "m1", 2, NULL), "3: a0");
    assert_string_equal(beat(w, "g", "m2", 2, NULL), "3: a1");
    assert_string_equal(beat(w, "g", "m1", 3, "b"), "3:");
    unload(w);
    load(w, &own);
    size_t records = w->log.len;
    assert_string_equal(beat(w, "g", "m1", 3, NULL), "3");
    assert_int_equal(w->log.len, records);
    w->now_ms += 1000;
    assert_string_equal(beat(w, "g", "m2", 3, NULL), "4: a0 a1");
    assert_string_equal(beat(w, "g", "m1", 3, NULL), "4: b0");
    assert_true(str_eq(info(w, "g").state, STR("Stable")));
}

/* Who does not send heartbeats is out. A restart, from everything or from the state written anew, changes nothing. */
static void test_sessions_and_restart(void **state)
{
    struct world *w = *state;
    struct err err;
    set_topic(w, "a", 2);
    beat(w, "g", "m1", 0, "a");
    beat(w, "g", "m2", 0, "a");
    beat(w, "g", "m1", 2, NULL);
    for (int i = 0; i < 2; i++) {
        reload(w);
        assert_string_equal(beat(w, "g", "m1", 3, NULL), "3");
        assert_string_equal(beat(w, "g", "m2", 3, "a"), "3: a1");
        assert_true(replay_rewrite(w->replay, 0, &err));
    }
    w->now_ms += 44000;
    beat(w, "g", "m1", 3, NULL);
    w->now_ms += 1000;
    assert_int_equal(groups_next_ms(w->groups), w->now_ms);
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
    assert_string_equal(beat(w, "g", "m2", 3, NULL), "error 25");
    assert_string_equal(beat(w, "g", "m1", 3, NULL), "4: a0 a1");
}

static int16_t delete_group(struct world *w, const char *name)
{
    struct str group = str_from(name);
    struct DeleteGroupsRequest req = {.GroupsNames = {.at = &group, .len = 1}};
    struct DeleteGroupsResponse res = {0};
    struct group_call call = call_of(w, 2, &req, &res);
    run(w, group_decide_delete, &call);
    return res.Results.at[0].ErrorCode;
}

static void test_delete_and_expire(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    beat(w, "g", "m", 0, "a");
    assert_int_equal(delete_group(w, "g"), NOT_EMPTY);
    beat(w, "g", "m", -1, NULL);
    w->now_ms += 1000000000;
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_expire, &call);
    info(w, "g"); /* it stays until it is deleted */
    assert_int_equal(delete_group(w, "g"), 0);
    reload(w);
    assert_int_equal(delete_group(w, "g"), NOT_FOUND);
}

/* Members of other kinds, and offsets, have no place in a share group, nor share members in others. */
static void test_other_kinds(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    beat(w, "g", "m", 0, "a");
    for (int round = 0; round < 2; round++) { /* with a member, and empty */
        struct ConsumerGroupHeartbeatRequest hb;
        struct ConsumerGroupHeartbeatResponse hb_res;
        wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &hb);
        wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &hb_res);
        struct str topic = STR("a");
        hb.GroupId = STR("g");
        hb.MemberId = STR("c");
        hb.RebalanceTimeoutMs = 1000;
        hb.SubscribedTopicNames.at = &topic;
        hb.SubscribedTopicNames.len = 1;
        hb.TopicPartitions.len = 0;
        struct group_call call = call_of(w, 1, &hb, &hb_res);
        run(w, group_decide_upgrade, &call);
        run(w, group_decide_consumer_heartbeat, &call);
        assert_int_equal(hb_res.ErrorCode, NOT_FOUND);

        struct JoinGroupRequest join;
        wire_init(&WIRE_JoinGroupRequest, &join);
        struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {STR("range"), STR("")};
        join.GroupId = STR("g");
        join.SessionTimeoutMs = 10000;
        join.RebalanceTimeoutMs = 10000;
        join.ProtocolType = STR("consumer");
        join.Protocols.at = &protocol;
        join.Protocols.len = 1;
        call = call_of(w, 9, &join, NULL);
        run(w, group_decide_join, &call);
        assert_int_equal(w->effects.replies.len, 1);
        assert_int_equal(w->effects.replies.at[0].join.ErrorCode, INCONSISTENT_PROTOCOL);

        struct HeartbeatRequest old = {.GroupId = STR("g"), .MemberId = STR("m"), .GenerationId = 1};
        struct HeartbeatResponse old_res = {0};
        call = call_of(w, 4, &old, &old_res);
        run(w, group_decide_heartbeat, &call);
        assert_int_equal(old_res.ErrorCode, UNKNOWN_MEMBER);

        struct OffsetCommitRequest_OffsetCommitRequestPartition part = {.CommittedOffset = 1};
        struct OffsetCommitRequest_OffsetCommitRequestTopic row = {.Name = topic, .Partitions = {&part, 1}};
        struct OffsetCommitRequest commit;
        struct OffsetCommitResponse commit_res = {0};
        wire_init(&WIRE_OffsetCommitRequest, &commit);
        commit.GroupId = STR("g");
        commit.Topics.at = &row;
        commit.Topics.len = 1;
        call = call_of(w, 9, &commit, &commit_res);
        run(w, group_decide_commit, &call);
        assert_int_equal(commit_res.Topics.at[0].Partitions.at[0].ErrorCode, NOT_FOUND);
        beat(w, "g", "m", -1, NULL);
    }
    assert_true(str_eq(info(w, "g").type, STR("share")));

    struct ConsumerGroupHeartbeatRequest hb;
    struct ConsumerGroupHeartbeatResponse hb_res;
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &hb);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &hb_res);
    struct str topic = STR("a");
    hb.GroupId = STR("c");
    hb.MemberId = STR("c");
    hb.RebalanceTimeoutMs = 1000;
    hb.SubscribedTopicNames.at = &topic;
    hb.SubscribedTopicNames.len = 1;
    hb.TopicPartitions.len = 0;
    struct group_call call = call_of(w, 1, &hb, &hb_res);
    run(w, group_decide_consumer_heartbeat, &call);
    assert_int_equal(hb_res.ErrorCode, 0);
    assert_string_equal(beat(w, "c", "m", 0, "a"), "error 69");
}

static void test_describe(void **state)
{
    struct world *w = *state;
    struct str names[] = {STR("g"), STR("none")};
    struct ShareGroupDescribeRequest req = {.GroupIds = {.at = names, .len = 2}};
    struct ShareGroupDescribeResponse res = {0};
    set_topic(w, "a", 2);
    beat(w, "g", "m", 0, "a");
    struct group_call call = call_of(w, 1, &req, &res);
    group_describe_share(w->groups, &call);
    const struct ShareGroupDescribeResponse_DescribedGroup *group = &res.Groups.at[0];
    assert_int_equal(res.Groups.at[1].ErrorCode, NOT_FOUND);
    assert_int_equal(group->ErrorCode, 0);
    assert_true(str_eq(group->GroupState, STR("Stable")));
    assert_true(str_eq(group->AssignorName, STR("simple")));
    assert_int_equal(group->GroupEpoch, 2);
    assert_int_equal(group->AssignmentEpoch, 2);
    assert_int_equal(group->Members.len, 1);
    assert_true(str_eq(group->Members.at[0].MemberId, STR("m")));
    assert_true(str_eq(group->Members.at[0].ClientHost, STR("/127.0.0.1")));
    assert_true(str_eq(group->Members.at[0].Assignment.TopicPartitions.at[0].TopicName, STR("a")));
    assert_int_equal(group->Members.at[0].Assignment.TopicPartitions.at[0].Partitions.len, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_members_share),      T(test_refused),
        T(test_topics_and_leaving), T(test_sessions_and_restart),
        T(test_delete_and_expire),  T(test_other_kinds),
        T(test_describe),           T(test_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
