/* group: from the classic protocol to KIP-848's and back with members in the group, as calls and answers; the records of every
 * move give the same group to a second coordinator.
 */
#include "world.h"

/* Kafka's consumer protocol, version 0, by hand: subscription to topic "a"; its partition 0 or 1 assigned. */
#define SUBSCRIPTION         "\0\0\0\0\0\1\0\1a\xff\xff\xff\xff"
#define ASSIGNED_0           "\0\0\0\0\0\1\0\1a\0\0\0\1\0\0\0\0\xff\xff\xff\xff"
#define ASSIGNED_0_WITH_DATA "\0\0\0\0\0\1\0\1a\0\0\0\1\0\0\0\0\0\0\0\1x"
#define ASSIGNED_1           "\0\0\0\0\0\1\0\1a\0\0\0\1\0\0\0\1\xff\xff\xff\xff"
#define NOTHING              "\0\0\0\0\0\0\xff\xff\xff\xff"
#define BYTES(text)          ((struct str){text, sizeof(text) - 1})

static const char *assignor = "range"; /* of the classic members */

static const struct JoinGroupResponse *join_as(struct world *w, int n, const char *member,
                                               const char *instance, struct str metadata)
{
    join_classic(w, n, 5, member, instance, assignor, metadata);
    return reply_to(w, n) != NULL ? &reply_to(w, n)->join : NULL;
}

static const struct JoinGroupResponse *join(struct world *w, int n, const char *member)
{
    return join_as(w, n, member, NULL, BYTES(SUBSCRIPTION));
}

/* Joins with the two steps of a dynamic member; returns its id. */
static const char *join_new(struct world *w, int n)
{
    const char *id = str_cstr(join(w, n, "")->MemberId, &w->arena);
    join(w, n, id);
    return id;
}

/* Both assignments belong to the leader's call; error or assignment. */
static const struct SyncGroupResponse *sync_as(struct world *w, int n, const char *member, int32_t generation,
                                               const char *other, struct str mine, struct str others)
{
    struct SyncGroupRequest req;
    struct SyncGroupRequest_SyncGroupRequestAssignment rows[] = {{str_from(member), mine},
                                                                 {str_from(other), others}};
    wire_init(&WIRE_SyncGroupRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationId = generation;
    req.Assignments.at = rows;
    req.Assignments.len = mine.len == 0 ? 0 : other == NULL ? 1 : 2;
    struct group_call call = call_of(w, 3, &req, NULL);
    call.token = token(n);
    run(w, group_decide_sync, &call);
    return reply_to(w, n) != NULL ? &reply_to(w, n)->sync : NULL;
}

static int16_t heartbeat(struct world *w, const char *member, int32_t generation)
{
    struct HeartbeatRequest req;
    struct HeartbeatResponse res = {0};
    wire_init(&WIRE_HeartbeatRequest, &req);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationId = generation;
    struct group_call call = call_of(w, 3, &req, &res);
    run(w, group_decide_heartbeat, &call);
    return res.ErrorCode;
}

static int16_t leave(struct world *w, const char *member)
{
    struct LeaveGroupRequest req;
    struct LeaveGroupResponse res;
    struct LeaveGroupRequest_MemberIdentity one = {.MemberId = str_from(member)};
    wire_init(&WIRE_LeaveGroupRequest, &req);
    wire_init(&WIRE_LeaveGroupResponse, &res);
    req.GroupId = STR("g");
    req.Members.at = &one;
    req.Members.len = 1;
    struct group_call call = call_of(w, 3, &req, &res);
    run(w, group_decide_leave, &call);
    return res.Members.at[0].ErrorCode;
}

/* A heartbeat of the new protocol: error, or epoch; `parts` counts what the answer assigns (-1: no assignment). */
static int beat(struct world *w, const char *member, int32_t epoch, const char *instance, int *parts)
{
    struct ConsumerGroupHeartbeatRequest req;
    struct ConsumerGroupHeartbeatResponse res;
    struct str topic = STR("a");
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &res);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.MemberEpoch = epoch;
    req.InstanceId = str_from(instance);
    if (epoch == 0) {
        req.RebalanceTimeoutMs = 20000;
        req.SubscribedTopicNames.at = &topic;
        req.SubscribedTopicNames.len = 1;
        req.TopicPartitions.len = 0;
    }
    struct group_call call = call_of(w, 1, &req, &res);
    run(w, group_decide_upgrade, &call);
    if (res.ErrorCode == 0)
        run(w, group_decide_consumer_heartbeat, &call);
    *parts = -1;
    for (int32_t i = 0; res.Assignment != NULL && i < MAX(res.Assignment->TopicPartitions.len, 1); i++)
        *parts = MAX(*parts, 0) + (res.Assignment->TopicPartitions.len != 0
                                       ? res.Assignment->TopicPartitions.at[i].Partitions.len
                                       : 0);
    return res.ErrorCode != 0 ? -res.ErrorCode : res.MemberEpoch;
}

static const char *kind(struct world *w, struct groups *groups)
{
    static char text[64];
    struct group_info info;
    if (!group_info_of(groups, STR("g"), &info))
        return "none";
    snprintf(text, sizeof text, "%.*s %.*s %d: %zu", STR_ARG(info.type), STR_ARG(info.state), info.generation,
             info.member_count);
    return text;
}

static void check_replay(struct world *w, const char *wanted)
{
    struct world other = {.now_ms = w->now_ms, .topic_count = w->topic_count};
    memcpy(other.topics, w->topics, sizeof w->topics);
    assert_string_equal(kind(w, w->groups), wanted);
    for (size_t i = 0; i < w->log.len; i++)
        vec_push(&other.log, w->log.at[i]);
    load(&other, &options);
    assert_string_equal(kind(w, other.groups), wanted);
    unload(&other);
    vec_fini(&other.log);
}

/* Two classic members, one partition each, generation 2. */
static void two_classic(struct world *w, const char **a, const char **b)
{
    set_topic(w, "a", 2);
    *a = join_new(w, 1);
    sync_as(w, 2, *a, 1, NULL, BYTES(ASSIGNED_0), STR(""));
    *b = join_new(w, 3);
    join(w, 4, *a);
    sync_as(w, 5, *b, 2, NULL, STR(""), STR(""));
    sync_as(w, 6, *a, 2, *b, BYTES(ASSIGNED_0), BYTES(ASSIGNED_1));
    check_replay(w, "classic Stable 2: 2");
}

static void test_up_and_down(void **state)
{
    struct world *w = *state;
    const char *a, *b;
    int parts;
    two_classic(w, &a, &b);
    /* a third one, of the new protocol: 2 partitions for 3 members, nothing moves */
    assert_int_equal(beat(w, "new", 0, NULL, &parts), 3);
    assert_int_equal(parts, 0);
    check_replay(w, "consumer Reconciling 3: 3");
    reload(w);
    assert_int_equal(heartbeat(w, a, 2), 27);
    assert_int_equal(sync_as(w, 7, a, 2, NULL, STR(""), STR(""))->ErrorCode, 27);
    assert_int_equal(heartbeat(w, "new", 3), 25); /* not a classic member */
    const struct JoinGroupResponse *joined = join(w, 8, a);
    assert_int_equal(joined->ErrorCode, 0);
    assert_int_equal(joined->GenerationId, 3);
    assert_int_equal(joined->Members.len, 0);
    const struct SyncGroupResponse *synced = sync_as(w, 9, a, 3, NULL, STR(""), STR(""));
    assert_true(str_eq(synced->Assignment, BYTES(ASSIGNED_0))); /* what it had */
    assert_int_equal(heartbeat(w, a, 3), 0);
    assert_int_equal(leave(w, b), 0);
    check_replay(w, "consumer Assigning 4: 2");
    assert_int_equal(beat(w, "new", 3, NULL, &parts), 4); /* b's partition is free */
    assert_int_equal(parts, 1);
    assert_int_equal(heartbeat(w, a, 3), 27);
    assert_int_equal(join(w, 10, a)->GenerationId, 4);
    assert_int_equal(sync_as(w, 11, a, 4, NULL, STR(""), STR(""))->ErrorCode, 0);
    check_replay(w, "consumer Stable 4: 2");
    /* the new one goes: the other is a classic group, told to join */
    assert_int_equal(beat(w, "new", -1, NULL, &parts), -1);
    check_replay(w, "classic Stable 4: 1");
    assert_int_equal(groups_next_ms(w->groups), w->now_ms); /* the rebalance is due */
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
    assert_int_equal(heartbeat(w, a, 4), 27);
    assert_int_equal(join(w, 12, a)->GenerationId, 5);
    assert_true(
        str_eq(sync_as(w, 13, a, 5, NULL, BYTES(ASSIGNED_0), STR(""))->Assignment, BYTES(ASSIGNED_0)));
    check_replay(w, "classic Stable 5: 1");
}

/* Calls that are parked when the group is moved are answered: they join again. */
static void test_up_in_a_rebalance(void **state)
{
    struct world *w = *state;
    const char *a, *b;
    int parts;
    two_classic(w, &a, &b);
    assert_null(join(w, 7, a)); /* the leader: parked until b comes */
    assert_int_equal(beat(w, "new", 0, NULL, &parts), 3);
    check_replay(w, "consumer Reconciling 3: 3");
    assert_int_equal(heartbeat(w, a, 2), 27);
    assert_int_equal(join(w, 8, a)->GenerationId, 3);
}

static void test_refused(void **state)
{
    struct world *w = *state;
    const char *a, *b;
    int parts;
    struct group_options opts = options;
    opts.migration = GROUP_MIGRATE_NEVER;
    two_classic(w, &a, &b);
    unload(w);
    load(w, &opts);
    assert_int_equal(beat(w, "new", 0, NULL, &parts), -69);
    opts.migration = GROUP_UPGRADE; /* but not back */
    unload(w);
    load(w, &opts);
    assert_int_equal(beat(w, "new", 0, NULL, &parts), 3);
    assert_int_equal(beat(w, "new", -1, NULL, &parts), -1);
    check_replay(w, "consumer Assigning 4: 2");
}

/* What is not Kafka's consumer protocol cannot be carried over, nor what an assignor of the client's own would miss. */
static void test_what_is_carried_over(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *assignor;
        struct str assignment;
        int wanted;
    } cases[] = {
        {"range", STR_INIT("nonsense"), -69},
        {"range", {ASSIGNED_0, sizeof ASSIGNED_0 - 1}, 2},
        {"mine", {ASSIGNED_0, sizeof ASSIGNED_0 - 1}, 2},
        {"mine", {ASSIGNED_0_WITH_DATA, sizeof ASSIGNED_0_WITH_DATA - 1}, -69},
        {"cooperative-sticky", {ASSIGNED_0_WITH_DATA, sizeof ASSIGNED_0_WITH_DATA - 1}, 2},
    };
    set_topic(w, "a", 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int parts;
        assignor = cases[i].assignor;
        const char *a = join_new(w, 1);
        sync_as(w, 2, a, 1, NULL, cases[i].assignment, STR(""));
        assert_int_equal(beat(w, "new", 0, NULL, &parts), cases[i].wanted);
        check_replay(w, cases[i].wanted < 0 ? "classic Stable 1: 1" : "consumer Reconciling 2: 2");
        w->log.len = 0;
        reload(w); /* from nothing */
    }
    assignor = "range";
}

/* With an interval between assignments: the move is none, and a classic member does not join in vain until the next is due. */
static void test_interval(void **state)
{
    struct world *w = *state;
    const char *a, *b;
    int parts;
    struct group_options own = options;
    own.consumer_assignment_interval_ms = 1000;
    own.consumer_members_max = 4;
    two_classic(w, &a, &b);
    unload(w);
    load(w, &own);
    assert_int_equal(beat(w, "new", 0, NULL, &parts), 3);
    assert_int_equal(beat(w, "newer", 0, NULL, &parts), 3);
    check_replay(w, "consumer Assigning 4: 4");
    assert_int_equal(heartbeat(w, a, 2), 27);
    for (int i = 0; i < 2; i++) { /* it is told to once, and may all the same */
        assert_int_equal(join(w, 7 + i, a)->GenerationId, 3);
        assert_int_equal(sync_as(w, 9 + i, a, 3, NULL, STR(""), STR(""))->ErrorCode, 0);
        assert_int_equal(heartbeat(w, a, 3), 0);
    }
    w->now_ms += 1000;
    assert_int_equal(heartbeat(w, a, 3), 27);
    assert_int_equal(join(w, 11, a)->GenerationId, 4);
    assert_int_equal(sync_as(w, 12, a, 4, NULL, STR(""), STR(""))->ErrorCode, 0);
    check_replay(w, "consumer Reconciling 4: 4");
}

static void tick(struct world *w)
{
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
}

/* A classic member that is told to join and does not is fenced after its rebalance timeout. */
static void test_join_timeout(void **state)
{
    struct world *w = *state;
    const char *a, *b;
    int parts, epoch = 0;
    two_classic(w, &a, &b);
    epoch = beat(w, "new", 0, NULL, &parts);
    for (int i = 0; i < 3; i++) {
        w->now_ms += 9000;
        assert_int_equal(heartbeat(w, a, 2), 27);
        epoch = beat(w, "new", epoch, NULL, &parts);
        tick(w);
    }
    assert_int_equal(epoch, 4);
    check_replay(w, "consumer Reconciling 4: 2"); /* b's session of 10 s is over */
    for (int i = 0; i < 2; i++) {
        w->now_ms += i == 0 ? 2999 : 9000;
        tick(w);
        assert_int_equal(heartbeat(w, a, 2), 27);
    }
    w->now_ms += 1;
    tick(w); /* 30 s after the first heartbeat that told it */
    assert_int_equal(heartbeat(w, a, 2), 25);
    assert_int_equal(beat(w, "new", epoch, NULL, &parts), 5);
    assert_int_equal(parts, 2);
}

/* A static member changes the protocol by a restart: its place, its partition, then the group is classic again. */
static void test_static_member(void **state)
{
    struct world *w = *state;
    int parts;
    set_topic(w, "a", 2);
    const struct JoinGroupResponse *joined = join_as(w, 1, "", "i", BYTES(SUBSCRIPTION));
    const char *a = str_cstr(joined->MemberId, &w->arena);
    sync_as(w, 2, a, 1, NULL, BYTES(ASSIGNED_0), STR(""));
    assert_int_equal(beat(w, "new", 0, "i", &parts), 2);
    assert_int_equal(parts, 2);
    check_replay(w, "consumer Stable 2: 1");
    joined = join_as(w, 3, "", "i", BYTES(SUBSCRIPTION));
    assert_int_equal(joined->ErrorCode, 0);
    assert_int_equal(joined->GenerationId, 2);
    const char *again = str_cstr(joined->MemberId, &w->arena);
    tick(w);
    check_replay(w, "classic Stable 2: 1");
    tick(w); /* it has to come together */
    assert_int_equal(heartbeat(w, again, 2), 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_up_and_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_up_in_a_rebalance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_carried_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_member, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
