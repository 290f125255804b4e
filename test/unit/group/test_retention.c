/* group: how offsets go - by time, by kind and state of the group, by OffsetDelete - as calls and what is left. Retention is one
 * second here (world.h).
 */
#include "world.h"

/* Kafka's consumer protocol, version 0, by hand: subscription to topic "a". */
#define SUBSCRIPTION "\0\0\0\0\0\1\0\1a\xff\xff\xff\xff"

static int16_t commit(struct world *w, const char *member, int32_t generation, const char *topic)
{
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res;
    struct OffsetCommitRequest_OffsetCommitRequestPartition part = {.CommittedOffset = 7,
                                                                    .CommittedMetadata = STR("")};
    struct OffsetCommitRequest_OffsetCommitRequestTopic row = {.Name = str_from(topic),
                                                               .Partitions = {&part, 1}};
    wire_init(&WIRE_OffsetCommitRequest, &req);
    wire_init(&WIRE_OffsetCommitResponse, &res);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationIdOrMemberEpoch = generation;
    req.Topics.at = &row;
    req.Topics.len = 1;
    struct group_call call = call_of(w, 9, &req, &res);
    run(w, group_decide_commit, &call);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

/* The topics of which an offset is left, in order of their first commit: "ab". */
static const char *left(struct world *w)
{
    static char text[16];
    struct OffsetFetchRequest_OffsetFetchRequestGroup group = {.GroupId = STR("g"),
                                                               .Topics = {NULL, -1},
                                                               .MemberEpoch = -1};
    struct OffsetFetchRequest req;
    struct OffsetFetchResponse res;
    wire_init(&WIRE_OffsetFetchRequest, &req);
    wire_init(&WIRE_OffsetFetchResponse, &res);
    req.Groups.at = &group;
    req.Groups.len = 1;
    struct group_call call = call_of(w, 8, &req, &res);
    group_fetch(w->groups, &call);
    size_t len = 0;
    for (int32_t i = 0; i < res.Groups.at[0].Topics.len; i++)
        text[len++] = res.Groups.at[0].Topics.at[i].Name.ptr[0];
    text[len] = '\0';
    return text;
}

static void expire(struct world *w, int64_t later_ms)
{
    w->now_ms += later_ms;
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_expire, &call);
}

static bool there(struct world *w)
{
    struct group_info info;
    return group_info_of(w->groups, STR("g"), &info);
}

/* A stable classic group of one member; its protocol type and metadata are the caller's. */
static const char *classic(struct world *w, const char *type, struct str metadata)
{
    struct JoinGroupRequest req;
    struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {.Name = STR("p"), .Metadata = metadata};
    wire_init(&WIRE_JoinGroupRequest, &req);
    req.GroupId = STR("g");
    req.SessionTimeoutMs = 60000;
    req.RebalanceTimeoutMs = 60000;
    req.ProtocolType = str_from(type);
    req.Protocols.at = &protocol;
    req.Protocols.len = 1;
    struct group_call call = call_of(w, 3, &req, NULL);
    call.token = token(1);
    run(w, group_decide_join, &call);
    const char *id = str_cstr(w->effects.replies.at[0].join.MemberId, &w->arena);
    struct SyncGroupRequest sync;
    wire_init(&WIRE_SyncGroupRequest, &sync);
    sync.GroupId = STR("g");
    sync.MemberId = str_from(id);
    sync.GenerationId = 1;
    call = call_of(w, 3, &sync, NULL);
    run(w, group_decide_sync, &call);
    return id;
}

static void leave(struct world *w, const char *member)
{
    struct LeaveGroupRequest req;
    struct LeaveGroupResponse res = {0};
    wire_init(&WIRE_LeaveGroupRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    struct group_call call = call_of(w, 1, &req, &res);
    run(w, group_decide_leave, &call);
    assert_int_equal(res.ErrorCode, 0);
}

static void beat(struct world *w, int32_t epoch)
{
    struct ConsumerGroupHeartbeatRequest req;
    struct ConsumerGroupHeartbeatResponse res;
    struct str topic = STR("a");
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &res);
    req.GroupId = STR("g");
    req.MemberId = STR("m");
    req.MemberEpoch = epoch;
    if (epoch == 0) {
        req.RebalanceTimeoutMs = 1000;
        req.SubscribedTopicNames.at = &topic;
        req.SubscribedTopicNames.len = 1;
        req.TopicPartitions.len = 0;
    }
    struct group_call call = call_of(w, 1, &req, &res);
    run(w, group_decide_consumer_heartbeat, &call);
    assert_int_equal(res.ErrorCode, 0);
}

/* --- by time --- */

static void test_simple(void **state)
{
    struct world *w = *state;
    commit(w, "", -1, "a");
    expire(w, 500);
    commit(w, "", -1, "b");
    expire(w, 501); /* each from its own commit */
    assert_string_equal(left(w), "b");
    assert_true(there(w));
    expire(w, 500);
    assert_string_equal(left(w), "");
    assert_false(there(w)); /* nothing is left of it */
    reload(w);
    assert_false(there(w));
}

static void test_classic_consumers(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    const char *m = classic(w, "consumer", (struct str){SUBSCRIPTION, sizeof SUBSCRIPTION - 1});
    commit(w, m, 1, "a");
    commit(w, m, 1, "b");
    expire(w, 1001); /* Stable: what nobody subscribes to any more */
    assert_string_equal(left(w), "a");
    expire(w, 10000);
    assert_string_equal(left(w), "a");
    leave(w, m);
    expire(w, 1000); /* Empty: since then */
    assert_string_equal(left(w), "a");
    expire(w, 1);
    assert_string_equal(left(w), "");
    assert_false(there(w));
}

/* What its members subscribe to is not known: as long as there are some, all stays. */
static void test_other_classic(void **state)
{
    struct world *w = *state;
    const char *m = classic(w, "connect", STR("whatever"));
    commit(w, m, 1, "a");
    expire(w, 100000);
    assert_string_equal(left(w), "a");
    leave(w, m);
    expire(w, 1001);
    assert_false(there(w));
}

static void test_malformed_subscription(void **state)
{
    struct world *w = *state;
    const char *m = classic(w, "consumer", STR("\0\0\7"));
    commit(w, m, 1, "a");
    expire(w, 100000);
    assert_string_equal(left(w), "a");
}

static void test_consumer_group(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    beat(w, 0);
    commit(w, "m", 2, "a");
    commit(w, "m", 2, "b");
    expire(w, 1001);
    assert_string_equal(left(w), "a");
    beat(w, -1);
    expire(w, 0);
    assert_string_equal(left(w), ""); /* from its commit */
    assert_false(there(w));
    reload(w);
    assert_false(there(w));
}

/* --- OffsetDelete --- */

static int delete (struct world *w, const char *group, const char *topic)
{
    struct OffsetDeleteRequest req;
    struct OffsetDeleteResponse res;
    struct OffsetDeleteRequest_OffsetDeleteRequestPartition part = {0};
    struct OffsetDeleteRequest_OffsetDeleteRequestTopic row = {.Name = str_from(topic),
                                                               .Partitions = {&part, 1}};
    wire_init(&WIRE_OffsetDeleteRequest, &req);
    wire_init(&WIRE_OffsetDeleteResponse, &res);
    req.GroupId = str_from(group);
    req.Topics.at = &row;
    req.Topics.len = 1;
    struct group_call call = call_of(w, 0, &req, &res);
    run(w, group_decide_offset_delete, &call);
    return res.ErrorCode != 0 ? -res.ErrorCode : res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static void test_delete(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    assert_int_equal(delete (w, "", "a"), -24);
    assert_int_equal(delete (w, "g", "a"), -69);
    const char *m = classic(w, "consumer", (struct str){SUBSCRIPTION, sizeof SUBSCRIPTION - 1});
    commit(w, m, 1, "a");
    commit(w, m, 1, "b");
    assert_int_equal(delete (w, "g", "a"), 86);
    assert_int_equal(delete (w, "g", "b"), 0);
    assert_string_equal(left(w), "a");
    leave(w, m);
    assert_int_equal(delete (w, "g", "a"), 0);
    assert_int_equal(delete (w, "g", "a"), 0); /* there is none any more */
    assert_string_equal(left(w), "");
    m = classic(w, "connect", STR(""));
    assert_int_equal(delete (w, "g", "a"), -68);
    leave(w, m);
    beat(w, 0);
    reload(w);
    commit(w, "m", 2, "a");
    commit(w, "m", 2, "b");
    assert_int_equal(delete (w, "g", "a"), 86);
    assert_int_equal(delete (w, "g", "b"), 0);
    assert_string_equal(left(w), "a");
}

/* The offsets of a topic go with it, in all groups. */
static void test_topic_deleted(void **state)
{
    struct world *w = *state;
    struct str topic = STR("a");
    commit(w, "", -1, "a");
    commit(w, "", -1, "b");
    struct group_call call = call_of(w, 0, &topic, NULL);
    run(w, group_decide_topic_deleted, &call);
    assert_string_equal(left(w), "b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_simple),         TEST(test_classic_consumers),
        TEST(test_other_classic),  TEST(test_malformed_subscription),
        TEST(test_consumer_group), TEST(test_delete),
        TEST(test_topic_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
