/* group: the protocol of KIP-848 as lists of heartbeats and their answers. Expected values are the KIP's rules and counting
 * by hand. After every record that a test writes, a second coordinator is made of the records so far: `check_replay`.
 */
#include "world.h"

/* One heartbeat; fields that are left out are null on the wire. */
struct beat {
    const char *member, *instance, *topics, *regex, *assignor, *owned;
    int32_t epoch;
    int32_t rebalance_ms; /* 0: 60 s when joining, else not said */
    int16_t version;
    const char *group;
};

/* The answer, printed: "epoch 1: a0 a1" or "epoch 2" without assignment, or "error 110". */
static char answer[512];
static char answer_member[64];

static void fill_names(struct world *w, const char *names, struct ConsumerGroupHeartbeatRequest *req)
{
    struct str rest = str_from(names), name;
    req->SubscribedTopicNames.at = arena_array(&w->arena, struct str, 8);
    req->SubscribedTopicNames.len = 0;
    while (rest.len != 0 && str_split(&rest, ' ', &name))
        req->SubscribedTopicNames.at[req->SubscribedTopicNames.len++] = name;
}

/* "a0 a1 b0": partitions of topics of one letter. */
static void fill_owned(struct world *w, const char *parts, struct ConsumerGroupHeartbeatRequest *req)
{
    struct str rest = str_from(parts), part;
    WIRE_ALLOC(&w->arena, req->TopicPartitions, ConsumerGroupHeartbeatRequest_TopicPartitions, 16);
    req->TopicPartitions.len = 0;
    while (rest.len != 0 && str_split(&rest, ' ', &part)) {
        struct ConsumerGroupHeartbeatRequest_TopicPartitions *row =
            &req->TopicPartitions.at[req->TopicPartitions.len++];
        int32_t *number = arena_new(&w->arena, int32_t);
        assert_true(str_to_i32(str_sub(part, 1, part.len), number));
        row->TopicId = topic_id(part.ptr[0]);
        row->Partitions.at = number;
        row->Partitions.len = 1;
    }
}

static void print_answer(const struct ConsumerGroupHeartbeatResponse *res)
{
    size_t len = 0;
    if (res->ErrorCode != 0) {
        snprintf(answer, sizeof answer, "error %d", res->ErrorCode);
        return;
    }
    snprintf(answer_member, sizeof answer_member, "%.*s", STR_ARG(res->MemberId));
    len += (size_t)snprintf(answer, sizeof answer, "epoch %d", res->MemberEpoch);
    if (res->Assignment == NULL)
        return;
    len += (size_t)snprintf(answer + len, sizeof answer - len, ":");
    for (int32_t i = 0; i < res->Assignment->TopicPartitions.len; i++)
        for (int32_t j = 0; j < res->Assignment->TopicPartitions.at[i].Partitions.len; j++)
            len += (size_t)snprintf(answer + len, sizeof answer - len, " %c%d",
                                    res->Assignment->TopicPartitions.at[i].TopicId.bytes[0],
                                    res->Assignment->TopicPartitions.at[i].Partitions.at[j]);
}

static const char *hidden; /* a topic that the clients may not see */

static bool visible(void *arg, struct str topic)
{
    return hidden == NULL || !str_eq_cstr(topic, hidden);
}

static const char *beat(struct world *w, struct beat b)
{
    struct ConsumerGroupHeartbeatRequest req;
    struct ConsumerGroupHeartbeatResponse res;
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &res);
    req.GroupId = str_from(b.group ? b.group : "g");
    req.MemberId = str_from(b.member ? b.member : "");
    req.InstanceId = str_from(b.instance);
    req.MemberEpoch = b.epoch;
    req.RebalanceTimeoutMs = b.rebalance_ms != 0 ? b.rebalance_ms : b.epoch == 0 ? 60000 : -1;
    req.SubscribedTopicRegex = str_from(b.regex);
    req.ServerAssignor = str_from(b.assignor);
    if (b.topics != NULL)
        fill_names(w, b.topics, &req);
    if (b.owned != NULL || b.epoch == 0)
        fill_owned(w, b.owned ? b.owned : "", &req);
    struct group_call call = call_of(w, b.version ? b.version : 1, &req, &res);
    call.topic_visible = visible;
    run(w, group_decide_upgrade, &call);
    if (res.ErrorCode == 0)
        run(w, group_decide_consumer_heartbeat, &call);
    print_answer(&res);
    return answer;
}

#define assert_beat(w, wanted, ...) assert_string_equal(beat(w, (struct beat){__VA_ARGS__}), wanted)

static void tick(struct world *w, int64_t later_ms)
{
    w->now_ms += later_ms;
    struct group_call call = call_of(w, 0, NULL, NULL);
    run(w, group_decide_tick, &call);
}

/* ConsumerGroupDescribe as one line: "Stable 2/2 uniform | m1 2 topics=a: a0 -> a0 | ..." */
static const char *describe(struct world *w, struct groups *groups)
{
    static char text[2048];
    struct str name = STR("g");
    struct ConsumerGroupDescribeRequest req = {.GroupIds = {&name, 1}};
    struct ConsumerGroupDescribeResponse res;
    wire_init(&WIRE_ConsumerGroupDescribeResponse, &res);
    struct group_call call = call_of(w, 1, &req, &res);
    group_describe_consumer(groups, &call);
    const struct ConsumerGroupDescribeResponse_DescribedGroup *g = &res.Groups.at[0];
    size_t len = 0;
    if (g->ErrorCode != 0) {
        snprintf(text, sizeof text, "error %d", g->ErrorCode);
        return text;
    }
#define ADD(...) (len += (size_t)snprintf(text + len, sizeof text - len, __VA_ARGS__))
    ADD("%.*s %d/%d %.*s", STR_ARG(g->GroupState), g->GroupEpoch, g->AssignmentEpoch,
        STR_ARG(g->AssignorName));
    for (int32_t i = 0; i < g->Members.len; i++) {
        const struct ConsumerGroupDescribeResponse_Member *m = &g->Members.at[i];
        const struct ConsumerGroupDescribeResponse_Assignment *sets[] = {&m->Assignment,
                                                                         &m->TargetAssignment};
        ADD(" | %.*s %d", STR_ARG(m->MemberId), m->MemberEpoch);
        for (size_t s = 0; s < 2; s++) {
            ADD(s == 0 ? ":" : " ->");
            for (int32_t t = 0; t < sets[s]->TopicPartitions.len; t++)
                for (int32_t p = 0; p < sets[s]->TopicPartitions.at[t].Partitions.len; p++)
                    ADD(" %c%d", sets[s]->TopicPartitions.at[t].TopicId.bytes[0],
                        sets[s]->TopicPartitions.at[t].Partitions.at[p]);
        }
    }
#undef ADD
    return text;
}

#define assert_described(w, wanted) assert_string_equal(describe(w, (w)->groups), wanted)

/* A second coordinator made of the records, whole and of every prefix that a batch ends: it starts, and the whole one is
 * the same. */
static void check_replay(struct world *w)
{
    struct world other = {.now_ms = w->now_ms, .topic_count = w->topic_count};
    memcpy(other.topics, w->topics, sizeof w->topics);
    char wanted[2048];
    snprintf(wanted, sizeof wanted, "%s", describe(w, w->groups));
    for (size_t i = 0; i <= w->log.len; i++) {
        load(&other, &options);
        if (i == w->log.len)
            assert_string_equal(describe(w, other.groups), wanted);
        unload(&other);
        if (i < w->log.len)
            vec_push(&other.log, w->log.at[i]);
    }
    vec_fini(&other.log);
}

/* --- tests --- */

static void test_requests(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    static const struct {
        struct beat beat;
        const char *wanted;
    } cases[] = {
        {{.group = "", .member = "m", .topics = "a"}, "error 42"},
        {{.member = "", .topics = "a"}, "error 42"}, /* version 1: the client makes the id */
        {{.member = "", .topics = "a", .epoch = 2, .version = -1}, "error 42"},
        {{.member = "m", .instance = "", .topics = "a"}, "error 42"},
        {{.member = "m", .topics = "a", .rebalance_ms = -1},
         "error 42"},                                                /* a join says how long it may take */
        {{.member = "m"}, "error 42"},                               /* and subscribes to something */
        {{.member = "m", .topics = "a", .owned = "a0"}, "error 42"}, /* and has nothing */
        {{.member = "m", .epoch = -3}, "error 42"},
        {{.member = "m", .epoch = -2}, "error 42"}, /* only static members leave for a while */
        {{.member = "m", .topics = "a", .assignor = "round"}, "error 112"},
        {{.member = "m", .regex = "a("}, "error 128"},
        {{.member = "m", .regex = "(?=a)"}, "error 128"}, /* RE2 has no look-ahead */
        {{.member = "m", .epoch = 2}, "error 69"},
        {{.member = "m", .epoch = -1}, "error 69"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(beat(w, cases[i].beat), cases[i].wanted);
    assert_int_equal(w->log.len, 0);
    assert_beat(w, "epoch 2: a0 a1", .member = "m", .topics = "a");
    assert_beat(w, "error 25", .member = "other", .epoch = 2);
    assert_beat(w, "error 25", .member = "other", .epoch = -1);
    assert_beat(w, "epoch 2", .member = "m", .epoch = 2);
}

/* Version 0 leaves the id to the server. */
static void test_version_0(void **state)
{
    struct world *w = *state;
    struct ConsumerGroupHeartbeatRequest req;
    struct ConsumerGroupHeartbeatResponse res;
    set_topic(w, "a", 1);
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &res);
    req.GroupId = STR("g");
    req.RebalanceTimeoutMs = 1000;
    fill_names(w, "a", &req);
    req.TopicPartitions.len = 0;
    struct group_call call = call_of(w, 0, &req, &res);
    run(w, group_decide_consumer_heartbeat, &call);
    assert_int_equal(res.ErrorCode, 0);
    assert_int_equal(res.MemberId.len, 22);
    assert_int_equal(res.MemberEpoch, 2);
    assert_int_equal(res.HeartbeatIntervalMs, 5000);
}

/* The KIP's example: the second member gets its half only when the first has given it up. */
static void test_reconciliation(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 4);
    assert_beat(w, "epoch 2: a0 a1 a2 a3", .member = "m1", .topics = "a");
    assert_described(w, "Stable 2/2 uniform | m1 2: a0 a1 a2 a3 -> a0 a1 a2 a3");
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_described(w, "Reconciling 3/3 uniform | m1 2: a0 a1 a2 a3 -> a0 a1 | m2 3: -> a2 a3");
    check_replay(w);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .epoch = 2);
    assert_beat(w, "epoch 3", .member = "m2", .epoch = 3);                         /* they are not free yet */
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "a0 a1 a2 a3"); /* it still has them */
    assert_described(w, "Reconciling 3/3 uniform | m1 2: a0 a1 a2 a3 -> a0 a1 | m2 3: -> a2 a3");
    check_replay(w);
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0 a1");
    assert_beat(w, "epoch 3: a2 a3", .member = "m2", .epoch = 3);
    assert_described(w, "Stable 3/3 uniform | m1 3: a0 a1 -> a0 a1 | m2 3: a2 a3 -> a2 a3");
    size_t records = w->log.len;
    for (int i = 0; i < 3; i++) { /* quiet heartbeats store nothing */
        assert_beat(w, "epoch 3", .member = "m1", .epoch = 3);
        assert_beat(w, "epoch 3", .member = "m2", .epoch = 3, .owned = "a2 a3");
    }
    assert_int_equal(w->log.len, records);
    assert_beat(w, "epoch 3: a2 a3", .member = "m2", .epoch = 3, .owned = "a2 a3", .topics = "a",
                .rebalance_ms = 60000); /* a full request is answered in full */
    check_replay(w);
    reload(w);
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 3);
    assert_described(w, "Stable 3/3 uniform | m1 3: a0 a1 -> a0 a1 | m2 3: a2 a3 -> a2 a3");
}

static void test_epochs(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "error 110", .member = "m1", .epoch = 3);
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_beat(w, "epoch 2: a0", .member = "m1", .epoch = 2);
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0");
    /* the answer was lost: it comes again with the epoch before */
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0");
    assert_beat(w, "error 110", .member = "m1", .epoch = 2); /* not without saying what it has */
    assert_beat(w, "error 110", .member = "m1", .epoch = 2,
                .owned = "a0 a1"); /* or with what it may not have */
    /* fenced: it drops all and begins anew, and what it had is its own still */
    assert_beat(w, "epoch 3: a0", .member = "m1", .topics = "a");
}

/* A group begins with epoch 1. Who wants nothing, or what is not there by its pattern, does not change it. (As Apache Kafka 4.3.1
 * answers.) */
static void test_first_epoch(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 1:", .member = "m1", .topics = "");
    assert_described(w, "Stable 1/1 uniform | m1 1: ->");
    check_replay(w);
    assert_beat(w, "epoch 1", .member = "m1", .epoch = 1, .regex = "z.*");
    assert_beat(w, "epoch 2:", .member = "m2", .regex = "z.*"); /* it is known now */
    assert_beat(w, "epoch 3: a0 a1", .member = "m1", .epoch = 1, .regex = "a.*");
    assert_beat(w, "epoch 3", .member = "m2", .epoch = 2);
    assert_beat(w, "epoch 3:", .member = "m1", .epoch = 3, .regex = "y.*");
    assert_beat(w, "epoch 4", .member = "m1", .epoch = 3, .owned = "");
    reload(w);
    assert_described(w, "Reconciling 4/4 uniform | m1 4: -> | m2 3: ->");
}

/* Before the first change too, the group goes on where it was. */
static void test_first_epoch_left(void **state)
{
    struct world *w = *state;
    assert_beat(w, "epoch 1:", .member = "m1", .topics = "");
    assert_beat(w, "epoch -1", .member = "m1", .epoch = -1);
    assert_described(w, "Empty 2/1 uniform");
    check_replay(w);
    assert_beat(w, "epoch 2:", .member = "m2", .topics = "");
    assert_described(w, "Stable 2/2 uniform | m2 2: ->");
}

static void test_leave(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_beat(w, "epoch -1", .member = "m1", .epoch = -1);
    assert_described(w, "Assigning 4/3 uniform | m2 3: -> a1");
    assert_beat(w, "epoch 4: a0 a1", .member = "m2", .epoch = 3);
    assert_beat(w, "epoch -1", .member = "m2", .epoch = -1);
    assert_described(w, "Empty 5/4 uniform");
    check_replay(w);
    assert_beat(w, "epoch 6: a0 a1", .member = "m3", .topics = "a"); /* epochs go on */
}

static void test_session(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_int_equal(groups_next_ms(w->groups), w->now_ms + 45000);
    tick(w, 44999);
    assert_beat(w, "epoch 3", .member = "m2", .epoch = 3);
    tick(w, 1);
    assert_beat(w, "error 25", .member = "m1", .epoch = 2);
    assert_beat(w, "epoch 4: a0 a1", .member = "m2", .epoch = 3);
    reload(w); /* a full session to show up again */
    assert_int_equal(groups_next_ms(w->groups), w->now_ms + 45000);
    tick(w, 45000);
    assert_described(w, "Empty 5/4 uniform");
    assert_int_equal(groups_next_ms(w->groups), INT64_MAX);
}

/* All members of a group whose sessions end together are fenced by one decision. */
static void test_sessions_together(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 3);
    beat(w, (struct beat){.member = "m1", .topics = "a"});
    beat(w, (struct beat){.member = "m2", .topics = "a"});
    beat(w, (struct beat){.member = "m3", .topics = "a"});
    tick(w, 45000);
    assert_described(w, "Empty 5/4 uniform");
    check_replay(w);
}

/* A member that does not give up what it shall is fenced after its rebalance timeout, heartbeats or not. */
static void test_revocation_timeout(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a", .rebalance_ms = 10000);
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_beat(w, "epoch 2: a0", .member = "m1", .epoch = 2, .owned = "a0 a1");
    tick(w, 5000);
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "a0 a1");
    tick(w, 4999);
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "a0 a1");
    tick(w, 1);
    assert_beat(w, "error 25", .member = "m1", .epoch = 2, .owned = "a0 a1");
    assert_beat(w, "epoch 4: a0 a1", .member = "m2", .epoch = 3);
}

static void test_static_members(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .instance = "i", .topics = "a");
    assert_beat(w, "error 111", .member = "m2", .instance = "i", .topics = "a"); /* it is in use */
    assert_beat(w, "error 25", .member = "m1", .instance = "j", .epoch = 2);
    assert_beat(w, "error 82", .member = "m2", .instance = "i", .epoch = 2);
    assert_beat(w, "error 82", .member = "m2", .instance = "i", .epoch = -2);
    assert_beat(w, "epoch -2", .member = "m1", .instance = "i", .epoch = -2);
    check_replay(w);
    reload(w);
    assert_beat(w, "epoch 3:", .member = "other", .topics = "a");
    assert_beat(w, "error 42", .member = "other", .instance = "i", .topics = "a"); /* one id, two places */
    assert_beat(w, "epoch -1", .member = "other", .epoch = -1);
    size_t before = w->log.len;
    /* it comes back as another process: no new assignment, its partitions at once */
    assert_beat(w, "epoch 4: a0 a1", .member = "m2", .instance = "i", .topics = "a");
    assert_true(w->log.len > before);
    assert_described(w, "Stable 4/4 uniform | m2 4: a0 a1 -> a0 a1");
    assert_beat(w, "error 82", .member = "m1", .instance = "i", .epoch = 2);
    check_replay(w);
    assert_beat(w, "epoch -2", .member = "m2", .instance = "i", .epoch = -2);
    tick(w, 45000); /* it did not come back */
    assert_described(w, "Empty 5/4 uniform");
    assert_beat(w, "epoch 6: a0 a1", .member = "m3", .instance = "i", .topics = "a");
    assert_beat(w, "epoch -1", .member = "m3", .instance = "i", .epoch = -1);
    assert_described(w, "Empty 7/6 uniform");
}

static void test_full(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 3);
    beat(w, (struct beat){.member = "m1", .topics = "a"});
    beat(w, (struct beat){.member = "m2", .topics = "a"});
    beat(w, (struct beat){.member = "m3", .topics = "a"});
    assert_beat(w, "error 81", .member = "m4", .topics = "a");
    assert_beat(w, "epoch 4: a0", .member = "m1", .topics = "a"); /* a member may always come back */
}

static void test_subscription_changes(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 2);
    set_topic(w, "b", 1);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 3: a0 a1 b0", .member = "m1", .epoch = 2, .topics = "a b");
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 3, .topics = "b a"); /* the same set */
    assert_beat(w, "epoch 3: b0", .member = "m1", .epoch = 3, .topics = "b");
    assert_beat(w, "epoch 4", .member = "m1", .epoch = 3, .owned = "b0");
    assert_beat(w, "epoch 5", .member = "m1", .epoch = 4, .topics = "b c"); /* c does not exist yet */
    check_replay(w);
}

static const struct group_options *with_interval(void)
{
    static struct group_options own;
    own = options;
    own.consumer_assignment_interval_ms = 1000;
    return &own;
}

/* Between assignments lies the interval: what changes meanwhile is one rebalance. The steps are those of Apache Kafka 4.3.1. */
static void test_interval(void **state)
{
    struct world *w = *state;
    unload(w);
    load(w, with_interval());
    set_topic(w, "a", 4);
    assert_beat(w, "epoch 2: a0 a1 a2 a3", .member = "m1", .topics = "a"); /* the first one is made at once */
    assert_beat(w, "epoch 2:", .member = "m2", .topics = "a");
    assert_described(w, "Assigning 3/2 uniform | m1 2: a0 a1 a2 a3 -> a0 a1 a2 a3 | m2 2: ->");
    w->now_ms += 999;
    size_t records = w->log.len;
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "a0 a1 a2 a3");
    assert_int_equal(w->log.len, records);
    w->now_ms += 1;
    assert_beat(w, "epoch 3", .member = "m2", .epoch = 2, .owned = "");
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .epoch = 2, .owned = "a0 a1 a2 a3");
    assert_described(w, "Reconciling 3/3 uniform | m1 2: a0 a1 a2 a3 -> a0 a1 | m2 3: -> a2 a3");
    assert_beat(w, "epoch -1", .member = "m2", .epoch = -1);
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0 a1");
    assert_described(w, "Assigning 4/3 uniform | m1 3: a0 a1 -> a0 a1");
    w->now_ms += 1000;
    assert_beat(w, "epoch 4: a0 a1 a2 a3", .member = "m1", .epoch = 3, .owned = "a0 a1");
    check_replay(w);
}

/* It holds for a group that was empty, and over a restart; not when the clock was set back. */
static void test_interval_goes_on(void **state)
{
    struct world *w = *state;
    unload(w);
    load(w, with_interval());
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "epoch -1", .member = "m1", .epoch = -1);
    assert_beat(w, "epoch 2:", .member = "m1", .topics = "a");
    unload(w);
    load(w, with_interval());
    w->now_ms += 999;
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "");
    w->now_ms += 1;
    assert_beat(w, "epoch 4: a0 a1", .member = "m1", .epoch = 2, .owned = "");
    w->now_ms -= 5000;
    assert_beat(w, "epoch 5:", .member = "m2", .topics = "a");
}

/* A member gives up at once what it does not subscribe to any more; what it subscribes to instead comes with the target. */
static void test_interval_and_subscription(void **state)
{
    struct world *w = *state;
    unload(w);
    load(w, with_interval());
    set_topic(w, "a", 4);
    set_topic(w, "b", 2);
    assert_beat(w, "epoch 2: a0 a1 a2 a3", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 2:", .member = "m1", .epoch = 2, .topics = "b", .owned = "a0 a1 a2 a3");
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2, .owned = "");
    w->now_ms += 1000;
    assert_beat(w, "epoch 3: b0 b1", .member = "m1", .epoch = 2, .owned = "");
    assert_described(w, "Stable 3/3 uniform | m1 3: b0 b1 -> b0 b1");
}

/* A topic that comes or grows is noticed at the next heartbeat. */
static void test_topics_change(void **state)
{
    struct world *w = *state;
    assert_beat(w, "epoch 2:", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2);
    set_topic(w, "b", 7);
    size_t before = w->log.len;
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2); /* not ours */
    assert_int_equal(w->log.len, before);
    set_topic(w, "a", 1);
    assert_beat(w, "epoch 3: a0", .member = "m1", .epoch = 2);
    set_topic(w, "a", 3);
    reload(w); /* also when the server was started anew in between */
    assert_beat(w, "epoch 4: a0 a1 a2", .member = "m1", .epoch = 3);
    w->topic_count = 0; /* all are deleted */
    groups_topics_changed(w->groups);
    assert_beat(w, "epoch 4:", .member = "m1", .epoch = 4);
    assert_beat(w, "epoch 5", .member = "m1", .epoch = 4, .owned = "");
}

static void test_regex(void **state)
{
    struct world *w = *state;
    set_topic(w, "apple", 1);
    set_topic(w, "banana", 1);
    assert_beat(w, "epoch 2: a0", .member = "m1", .regex = "a.*");
    assert_beat(w, "epoch 3: b0", .member = "m2", .topics = "banana", .regex = "a.*");
    set_topic(w, "avocado", 1); /* the id of all topics with "a" is one here: give it another */
    w->topics[2].id = topic_id('v');
    groups_topics_changed(w->groups);
    assert_beat(w, "epoch 4: a0 v0", .member = "m1", .epoch = 2, .owned = "a0");
    check_replay(w);
    reload(w);
    assert_beat(w, "epoch 4", .member = "m1", .epoch = 4);
    assert_beat(w, "error 128", .member = "m1", .epoch = 4, .regex = "a(");
    assert_beat(w, "epoch 4:", .member = "m1", .epoch = 4, .regex = ""); /* no pattern any more */
    assert_beat(w, "epoch 5", .member = "m1", .epoch = 4, .owned = "");
    assert_beat(w, "epoch 5: a0 b0 v0", .member = "m2", .epoch = 3,
                .owned = "b0"); /* all for the other one */
}

/* A pattern matches what its client may see. */
static void test_regex_and_rights(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 1);
    set_topic(w, "b", 1);
    hidden = "b";
    assert_beat(w, "epoch 2: a0", .member = "m1", .regex = ".*");
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2);
    hidden = NULL;
    assert_beat(w, "epoch 2", .member = "m1", .epoch = 2);
    groups_topics_changed(w->groups); /* looked at anew */
    assert_beat(w, "epoch 3: a0 b0", .member = "m1", .epoch = 2);
}

static void test_range(void **state)
{
    struct world *w = *state;
    set_topic(w, "a", 3);
    set_topic(w, "b", 3);
    assert_beat(w, "epoch 2: a0 a1 a2 b0 b1 b2", .member = "m1", .topics = "a b", .assignor = "range");
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a b");
    assert_described(w, "Reconciling 3/3 range | m1 2: a0 a1 a2 b0 b1 b2 -> a0 a1 b0 b1 | m2 3: -> a2 b2");
}

/* --- offsets --- */

enum { BOTH = -1 }; /* partitions 0 and 1 of "a", whose answers are the same */

static int16_t commit(struct world *w, const char *member, int32_t epoch, int32_t partition, int16_t version)
{
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res;
    struct OffsetCommitRequest_OffsetCommitRequestPartition parts[] = {
        {.PartitionIndex = MAX(partition, 0), .CommittedOffset = 7, .CommittedMetadata = STR("")},
        {.PartitionIndex = 1, .CommittedOffset = 7, .CommittedMetadata = STR("")}};
    struct OffsetCommitRequest_OffsetCommitRequestTopic topic = {.Name = STR("a"),
                                                                 .Partitions = {parts,
                                                                                partition == BOTH ? 2 : 1}};
    wire_init(&WIRE_OffsetCommitRequest, &req);
    wire_init(&WIRE_OffsetCommitResponse, &res);
    req.GroupId = STR("g");
    req.MemberId = str_from(member);
    req.GenerationIdOrMemberEpoch = epoch;
    req.Topics.at = &topic;
    req.Topics.len = 1;
    struct group_call call = call_of(w, version, &req, &res);
    run(w, group_decide_commit, &call);
    if (partition == BOTH)
        assert_int_equal(res.Topics.at[0].Partitions.at[1].ErrorCode,
                         res.Topics.at[0].Partitions.at[0].ErrorCode);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

/* The same in a transaction. */
static int16_t txn_commit(struct world *w, const char *member, int32_t epoch, int32_t partition)
{
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition parts[] = {
        {.PartitionIndex = MAX(partition, 0), .CommittedOffset = 9, .CommittedMetadata = STR("")},
        {.PartitionIndex = 1, .CommittedOffset = 9, .CommittedMetadata = STR("")}};
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic topic = {
        .Name = STR("a"), .Partitions = {parts, partition == BOTH ? 2 : 1}};
    struct TxnOffsetCommitRequest req;
    struct TxnOffsetCommitResponse res;
    wire_init(&WIRE_TxnOffsetCommitRequest, &req);
    wire_init(&WIRE_TxnOffsetCommitResponse, &res);
    req.GroupId = STR("g");
    req.ProducerId = 5;
    req.MemberId = str_from(member);
    req.GenerationId = epoch;
    req.Topics.at = &topic;
    req.Topics.len = 1;
    struct group_call call = call_of(w, 3, &req, &res);
    run(w, group_decide_txn_commit, &call);
    if (partition == BOTH)
        assert_int_equal(res.Topics.at[0].Partitions.at[1].ErrorCode,
                         res.Topics.at[0].Partitions.at[0].ErrorCode);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static int16_t fetch(struct world *w, const char *member, int32_t epoch, int64_t *offset)
{
    int32_t partition = 0;
    struct OffsetFetchRequest_OffsetFetchRequestTopics topic = {.Name = STR("a"),
                                                                .PartitionIndexes = {&partition, 1}};
    struct OffsetFetchRequest_OffsetFetchRequestGroup group = {.GroupId = STR("g"),
                                                               .MemberId = str_from(member),
                                                               .MemberEpoch = epoch,
                                                               .Topics = {&topic, 1}};
    struct OffsetFetchRequest req;
    struct OffsetFetchResponse res;
    wire_init(&WIRE_OffsetFetchRequest, &req);
    wire_init(&WIRE_OffsetFetchResponse, &res);
    req.Groups.at = &group;
    req.Groups.len = 1;
    struct group_call call = call_of(w, 9, &req, &res);
    group_fetch(w->groups, &call);
    if (res.Groups.at[0].ErrorCode == 0)
        *offset = res.Groups.at[0].Topics.at[0].Partitions.at[0].CommittedOffset;
    return res.Groups.at[0].ErrorCode;
}

static void test_offsets(void **state)
{
    struct world *w = *state;
    int64_t offset = 0;
    set_topic(w, "a", 2);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .topics = "a");
    assert_beat(w, "epoch 3:", .member = "m2", .topics = "a");
    assert_beat(w, "epoch 2: a0", .member = "m1", .epoch = 2, .owned = "a0 a1");
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0");
    static const struct {
        const char *member;
        int32_t epoch, partition;
        int16_t version, wanted;
    } cases[] = {
        {"m1", 3, 0, 9, 0},      {"m1", 3, 0, 8, 35},
        {"m1", 4, 0, 9, 113},    {"m1", 2, 0, 9, 0}, /* it had a0 at epoch 1 already */
        {"m1", 2, 1, 9, 113},                        /* a1 is not its own any more */
        {"m1", 2, BOTH, 9, 113},                     /* and spoils the whole request */
        {"m1", 3, BOTH, 9, 0},   {"m1", 0, 0, 9, 113},
        {"m9", 3, 0, 9, 25},     {"", -1, 0, 9, 25},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(commit(w, cases[i].member, cases[i].epoch, cases[i].partition, cases[i].version),
                         cases[i].wanted);
    assert_int_equal(txn_commit(w, "m1", 3, 0), 0);
    assert_int_equal(txn_commit(w, "m1", 2, 0), 0);
    assert_int_equal(txn_commit(w, "m1", 2, 1), 22); /* it knows no stale epochs */
    assert_int_equal(txn_commit(w, "m1", 2, BOTH), 22);
    assert_int_equal(txn_commit(w, "m1", 3, BOTH), 0);
    assert_int_equal(txn_commit(w, "m1", 4, 0), 22);
    assert_int_equal(txn_commit(w, "m9", 3, 0), 25);
    assert_int_equal(fetch(w, "m1", 3, &offset), 0);
    assert_int_equal(offset, 7);
    assert_int_equal(fetch(w, "m1", 2, &offset), 113);
    assert_int_equal(fetch(w, "m9", 3, &offset), 25);
    assert_int_equal(fetch(w, NULL, -1, &offset), 0); /* administrators */
    beat(w, (struct beat){.member = "m1", .epoch = -1});
    beat(w, (struct beat){.member = "m2", .epoch = -1});
    assert_int_equal(commit(w, "", -1, 0, 9), 0); /* nobody is in it */
    check_replay(w);
}

/* --- between the kinds --- */

static void test_empty_groups_change_kind(void **state)
{
    struct world *w = *state;
    struct group_info info;
    set_topic(w, "a", 1);
    assert_int_equal(commit(w, "", -1, 0, 8), 0); /* a group that only has offsets */
    assert_beat(w, "epoch 2: a0", .member = "m1", .topics = "a");
    assert_true(group_info_of(w->groups, STR("g"), &info));
    assert_true(str_eq(info.type, STR("consumer")));
    assert_true(str_eq(info.state, STR("Stable")));
    int64_t offset = -1;
    assert_int_equal(fetch(w, NULL, -1, &offset), 0);
    assert_int_equal(offset, 7); /* its offsets stay */
    assert_beat(w, "epoch -1", .member = "m1", .epoch = -1);
    check_replay(w);
    /* DeleteGroups */
    struct str name = STR("g");
    struct DeleteGroupsRequest req = {.GroupsNames = {&name, 1}};
    struct DeleteGroupsResponse res;
    wire_init(&WIRE_DeleteGroupsResponse, &res);
    struct group_call call = call_of(w, 2, &req, &res);
    run(w, group_decide_delete, &call);
    assert_int_equal(res.Results.at[0].ErrorCode, 0);
    assert_false(group_info_of(w->groups, STR("g"), &info));
    check_replay(w);
}

/* A classic group that is empty, of consumers. */
static void empty_classic(struct world *w)
{
    struct JoinGroupRequest req;
    struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {.Name = STR("range"), .Metadata = STR("")};
    struct LeaveGroupRequest leave;
    struct LeaveGroupResponse left = {0};
    wire_init(&WIRE_JoinGroupRequest, &req);
    wire_init(&WIRE_LeaveGroupRequest, &leave);
    req.GroupId = leave.GroupId = STR("g");
    req.SessionTimeoutMs = 10000;
    req.ProtocolType = STR("consumer");
    req.Protocols.at = &protocol;
    req.Protocols.len = 1;
    struct group_call call = call_of(w, 3, &req, NULL);
    call.token = w;
    run(w, group_decide_join, &call);
    leave.MemberId = str_dup(w->effects.replies.at[0].join.MemberId, &w->arena);
    call = call_of(w, 1, &leave, &left);
    run(w, group_decide_leave, &call);
    assert_int_equal(left.ErrorCode, 0);
}

/* What a transaction has pending in a group stays so when the group changes its kind, though it has no offset yet. */
static void test_pending_offsets_stay(void **state)
{
    struct world *w = *state;
    struct OffsetFetchRequest_OffsetFetchRequestGroup group = {.GroupId = STR("g"),
                                                               .Topics = {NULL, 1},
                                                               .MemberEpoch = -1};
    int32_t partition = 0;
    struct OffsetFetchRequest_OffsetFetchRequestTopics asked = {.Name = STR("a"),
                                                                .PartitionIndexes = {&partition, 1}};
    struct OffsetFetchRequest fetch_req;
    struct OffsetFetchResponse fetch_res;
    set_topic(w, "a", 1);
    empty_classic(w);
    assert_int_equal(txn_commit(w, "", -1, 0), 0);
    assert_beat(w, "epoch 2: a0", .member = "m1", .topics = "a");
    wire_init(&WIRE_OffsetFetchRequest, &fetch_req);
    wire_init(&WIRE_OffsetFetchResponse, &fetch_res);
    group.Topics.at = &asked;
    fetch_req.Groups.at = &group;
    fetch_req.Groups.len = 1;
    fetch_req.RequireStable = true;
    struct group_call call = call_of(w, 8, &fetch_req, &fetch_res);
    group_fetch(w->groups, &call);
    assert_int_equal(fetch_res.Groups.at[0].Topics.at[0].Partitions.at[0].ErrorCode, 88);
}

/* The topic as it is after a rewrite gives the same state. */
static void test_rewrite(void **state)
{
    struct world *w = *state;
    struct err err;
    set_topic(w, "a", 4);
    assert_beat(w, "epoch 2: a0 a1 a2 a3", .member = "m1", .regex = "a.*");
    assert_beat(w, "epoch 3:", .member = "m2", .instance = "i", .topics = "a");
    for (int i = 0; i < 60; i++) /* history */
        assert_int_equal(commit(w, "m1", 2, 0, 9), 0);
    assert_beat(w, "epoch 2: a0 a1", .member = "m1", .epoch = 2, .owned = "a0 a1 a2 a3");
    char wanted[2048];
    snprintf(wanted, sizeof wanted, "%s", describe(w, w->groups));
    size_t before = w->log.len;
    assert_true(replay_rewrite(w->replay, 20, &err));
    assert_true(w->log.len > before);
    w->log.len -= before;
    memmove(w->log.at, w->log.at + before, w->log.len * sizeof *w->log.at);
    reload(w);
    assert_described(w, wanted);
    assert_beat(w, "epoch 3", .member = "m1", .epoch = 2, .owned = "a0 a1");
    assert_beat(w, "epoch 3: a2 a3", .member = "m2", .instance = "i", .epoch = 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_version_0),
        TEST(test_reconciliation),
        TEST(test_epochs),
        TEST(test_first_epoch),
        TEST(test_first_epoch_left),
        TEST(test_leave),
        TEST(test_session),
        TEST(test_sessions_together),
        TEST(test_revocation_timeout),
        TEST(test_static_members),
        TEST(test_full),
        TEST(test_subscription_changes),
        TEST(test_interval),
        TEST(test_interval_goes_on),
        TEST(test_interval_and_subscription),
        TEST(test_topics_change),
        TEST(test_regex),
        TEST(test_regex_and_rights),
        TEST(test_range),
        TEST(test_offsets),
        TEST(test_empty_groups_change_kind),
        TEST(test_pending_offsets_stay),
        TEST(test_rewrite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
