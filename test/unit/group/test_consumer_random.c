/* group: random conversations of honest clients with a consumer group - members come, leave, crash, lose answers, change
 * what they subscribe to; topics grow; records cannot be stored; the coordinator starts anew - and what must hold all the
 * while:
 *
 *   no two clients have a partition at the same time
 *   when it is quiet, every partition of a subscribed topic has a client, and the group is Stable
 *
 * Every other conversation is one with an interval between assignments.
 * A failure prints its seed.
 */
#include "world.h"

enum { CLIENTS = 6, TOPICS = 3, PARTS_MAX = 8, ROUNDS = 300, STEPS = 120 };

struct client {
    bool alive;
    int number; /* its id is "c<number>": a new one each time it starts */
    const char *instance;
    int32_t epoch;
    int subscription; /* index into subscriptions */
    bool has[TOPICS][PARTS_MAX];
    bool tell_all;   /* the next heartbeat says everything */
    bool tell_owned; /* it says what it has, because that changed */
};

static const struct {
    const char *topics, *regex;
} subscriptions[] = {{"a", ""}, {"a b", ""}, {"a b c", ""}, {"", "[ab]"}, {"c", "a"}};

struct game {
    struct world *w;
    struct client clients[CLIENTS];
    int next_number;
    uint32_t first_seed, seed;
};

static struct group_options roomy;

static void start_anew(struct world *w)
{
    unload(w);
    load(w, &roomy);
}

static uint32_t rnd(struct game *g, uint32_t below)
{
    g->seed = g->seed * 1664525u + 1013904223u;
    return (g->seed >> 8) % below;
}

static void check_alone(struct game *g)
{
    for (int t = 0; t < TOPICS; t++)
        for (int p = 0; p < PARTS_MAX; p++) {
            int holders = 0;
            for (int i = 0; i < CLIENTS; i++)
                holders += g->clients[i].alive && g->clients[i].has[t][p];
            if (holders > 1)
                fail_msg("SEED=%u: %c%d has %d clients", g->first_seed, 'a' + t, p, holders);
        }
}

/* --- a client --- */

static void fill_owned(struct game *g, const struct client *c, struct ConsumerGroupHeartbeatRequest *req)
{
    WIRE_ALLOC(&g->w->arena, req->TopicPartitions, ConsumerGroupHeartbeatRequest_TopicPartitions, TOPICS);
    for (int t = 0; t < TOPICS; t++) {
        req->TopicPartitions.at[t].TopicId = topic_id((char)('a' + t));
        req->TopicPartitions.at[t].Partitions.at = arena_array(&g->w->arena, int32_t, PARTS_MAX);
        for (int p = 0; p < PARTS_MAX; p++)
            if (c->has[t][p])
                req->TopicPartitions.at[t].Partitions.at[req->TopicPartitions.at[t].Partitions.len++] = p;
    }
    if (c->epoch == 0)
        req->TopicPartitions.len = 0;
}

static void fill_subscription(struct game *g, const struct client *c,
                              struct ConsumerGroupHeartbeatRequest *req)
{
    struct str rest = str_from(subscriptions[c->subscription].topics), name;
    req->SubscribedTopicNames.at = arena_array(&g->w->arena, struct str, TOPICS);
    req->SubscribedTopicNames.len = 0;
    while (rest.len != 0 && str_split(&rest, ' ', &name))
        req->SubscribedTopicNames.at[req->SubscribedTopicNames.len++] = name;
    req->SubscribedTopicRegex = str_from(subscriptions[c->subscription].regex);
    req->RebalanceTimeoutMs = 60000;
    req->ServerAssignor = rnd(g, 4) == 0 ? STR("range") : STR_NULL;
}

static void forget(struct client *c)
{
    memset(c->has, 0, sizeof c->has);
    c->epoch = 0;
    c->tell_all = true;
}

/* Gives up what is not assigned, then takes what is. */
static void take_assignment(struct client *c,
                            const struct ConsumerGroupHeartbeatResponse_Assignment *assignment)
{
    memset(c->has, 0, sizeof c->has);
    c->tell_owned = true;
    for (int32_t i = 0; i < assignment->TopicPartitions.len; i++)
        for (int32_t j = 0; j < assignment->TopicPartitions.at[i].Partitions.len; j++)
            c->has[assignment->TopicPartitions.at[i].TopicId.bytes[0] - 'a']
                  [assignment->TopicPartitions.at[i].Partitions.at[j]] = true;
}

/* One heartbeat, leave (-1, -2) included. False: the answer did not come. */
static bool beat(struct game *g, struct client *c, int32_t epoch, bool lossy)
{
    struct ConsumerGroupHeartbeatRequest req;
    struct ConsumerGroupHeartbeatResponse res;
    struct err err;
    wire_init(&WIRE_ConsumerGroupHeartbeatRequest, &req);
    wire_init(&WIRE_ConsumerGroupHeartbeatResponse, &res);
    req.GroupId = STR("g");
    req.MemberId = str_printf(&g->w->arena, "c%d", c->number);
    req.InstanceId = str_from(c->instance);
    req.MemberEpoch = epoch;
    if (epoch >= 0 && (c->tell_all || epoch == 0))
        fill_subscription(g, c, &req);
    if (epoch >= 0 && (c->tell_all || c->tell_owned || epoch == 0 || rnd(g, 3) != 0))
        fill_owned(g, c, &req);
    struct group_call call = call_of(g->w, 1, &req, &res);
    g->w->append_fails = lossy && rnd(g, 12) == 0;
    bool stored = replay_run(g->w->replay, group_decide_consumer_heartbeat, &call, NULL, &err);
    g->w->append_fails = false;
    if (!stored)
        group_heartbeat_failed(g->w->groups);
    if (!stored || (lossy && rnd(g, 8) == 0)) {
        c->tell_all = true;
        return false;
    }
    if (epoch < 0)
        return true;
    if (res.ErrorCode == 0) {
        c->epoch = res.MemberEpoch;
        c->tell_all = c->tell_owned = false;
        if (res.Assignment != NULL)
            take_assignment(c, res.Assignment);
    } else if (res.ErrorCode == 110 || res.ErrorCode == 25) {
        forget(c);
    } else if (res.ErrorCode == 111 || res.ErrorCode == 82 || res.ErrorCode == 81) {
        forget(c);
        c->alive = false; /* fatal for a client */
    } else {
        fail_msg("error %d", res.ErrorCode);
    }
    return true;
}

/* --- what happens --- */

static void start_client(struct game *g, struct client *c, int slot)
{
    static const char *const instances[] = {"i0", "i1"};
    *c = (struct client){.alive = true, .number = g->next_number++, .subscription = (int)rnd(g, 5)};
    c->instance = slot < 2 ? instances[slot] : NULL;
    forget(c);
}

static void tick(struct game *g, int64_t later_ms)
{
    struct err err;
    g->w->now_ms += later_ms;
    struct group_call call = call_of(g->w, 0, NULL, NULL);
    assert_true(replay_run(g->w->replay, group_decide_tick, &call, NULL, &err));
}

/* Everybody who lives is heard within the session; who crashed runs out of it. */
static void let_sessions_end(struct game *g)
{
    for (int third = 0; third < 4; third++) {
        for (int i = 0; i < CLIENTS; i++)
            if (g->clients[i].alive)
                beat(g, &g->clients[i], g->clients[i].epoch, false);
        check_alone(g);
        tick(g, 15000);
    }
}

static void step(struct game *g)
{
    int slot = (int)rnd(g, CLIENTS);
    struct client *c = &g->clients[slot];
    g->w->now_ms += roomy.consumer_assignment_interval_ms / 4;
    switch (rnd(g, 14)) {
    case 0: /* leaves, or for a while */
        if (c->alive && beat(g, c, c->instance != NULL && rnd(g, 2) == 0 ? -2 : -1, false))
            c->alive = false;
        break;
    case 1: /* crashes */
        c->alive = false;
        if (rnd(g, 2) == 0)
            let_sessions_end(g);
        break;
    case 2:
        c->subscription = (int)rnd(g, 5);
        c->tell_all = true;
        break;
    case 3: { /* a topic comes or grows */
        size_t t = rnd(g, TOPICS);
        static const char *const names[] = {"a", "b", "c"};
        int32_t count = 1;
        for (size_t i = 0; i < g->w->topic_count; i++)
            if (str_eq_cstr(g->w->topics[i].name, names[t]))
                count = g->w->topics[i].partition_count + 1;
        if (count <= PARTS_MAX)
            set_topic(g->w, names[t], count);
        break;
    }
    case 4:
        start_anew(g->w);
        break;
    default:
        if (!c->alive)
            start_client(g, c, slot);
        beat(g, c, c->epoch, true);
    }
    check_alone(g);
}

/* All are heard until nothing changes any more. */
static void settle(struct game *g)
{
    struct group_info info;
    let_sessions_end(g);
    for (int round = 0; round < 40; round++) {
        g->w->now_ms += roomy.consumer_assignment_interval_ms;
        for (int i = 0; i < CLIENTS; i++)
            if (g->clients[i].alive) {
                g->clients[i].tell_all = true;
                beat(g, &g->clients[i], g->clients[i].epoch, false);
                check_alone(g);
            }
    }
    bool any = false;
    for (int i = 0; i < CLIENTS; i++)
        any = any || g->clients[i].alive;
    if (any && group_info_of(g->w->groups, STR("g"), &info))
        if (!str_eq(info.state, STR("Stable")))
            fail_msg("SEED=%u: %.*s", g->first_seed, STR_ARG(info.state));
}

static bool subscribes(const struct client *c, char topic)
{
    const char *regex = subscriptions[c->subscription].regex;
    return strchr(subscriptions[c->subscription].topics, topic) != NULL || strchr(regex, topic) != NULL;
}

static void check_covered(struct game *g)
{
    for (size_t k = 0; k < g->w->topic_count; k++) {
        char topic = g->w->topics[k].name.ptr[0];
        for (int32_t p = 0; p < g->w->topics[k].partition_count; p++) {
            bool wanted = false, has = false;
            for (int i = 0; i < CLIENTS; i++) {
                const struct client *c = &g->clients[i];
                wanted = wanted || (c->alive && subscribes(c, topic));
                has = has || (c->alive && c->has[topic - 'a'][p]);
            }
            if (has != wanted)
                fail_msg("SEED=%u: %c%d %s", g->first_seed, topic, p, has ? "is nobody's" : "has nobody");
        }
    }
}

static void test_random(void **state)
{
    struct world *w = *state;
    roomy = options;
    roomy.consumer_members_max = 2 * CLIENTS;
    const char *only = getenv("SEED");
    uint32_t seed = only != NULL ? (uint32_t)strtoul(only, NULL, 10) : 1, last = only != NULL ? seed : ROUNDS;
    for (; seed <= last; seed++) {
        struct game g = {.w = w, .first_seed = seed, .seed = seed};
        roomy.consumer_assignment_interval_ms = seed % 2 * 1000;
        unload(w);
        w->log.len = 0;
        w->topic_count = 0;
        load(w, &roomy);
        for (int i = 0; i < STEPS; i++)
            step(&g);
        settle(&g);
        check_covered(&g);
        start_anew(w);
        check_covered(&g);
        arena_reset(&w->arena);
        w->log.len = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_random, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
