/* group: random conversations of honest members with a streams group - threads and processes come, leave, crash, lose answers;
 * topics grow; the number of standbys changes; records cannot be stored; the coordinator starts anew - and what must hold all
 * the while:
 *
 *   no two members work on a task at the same time, and no process has a task twice, in whatever role
 *   when it is quiet, every task is active once, has as many standbys as there are other processes for, and the group is Stable
 *
 * A failure prints its seed.
 */
#include "streams_world.h"

enum { CLIENTS = 6, SUBS = 2, PARTS_MAX = 6, ROUNDS = 300, STEPS = 120 };
enum { ACTIVE, STANDBY, ROLES };

struct client {
    bool alive;
    int number; /* its id is "c<number>": a new one each time it starts */
    int32_t epoch;
    bool has[ROLES][SUBS][PARTS_MAX];
    bool tell_owned; /* it says what it has, because that changed or it does not know what was heard */
};

struct game {
    struct world *w;
    struct client clients[CLIENTS];
    int next_number;
    uint32_t first_seed, seed;
};

/* Threads of a process are neighbours. */
static const char *const processes[CLIENTS] = {"p0", "p0", "p1", "p1", "p2", "p3"};

static struct group_options roomy;
static int64_t standbys;

static int64_t get_setting(void *arg, struct str group, enum group_setting setting)
{
    return setting == GROUP_STREAMS_STANDBY_COUNT ? standbys : -1;
}

static const struct group_settings settings = {NULL, get_setting};

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

/* How many living members have it, in a role or (ROLES) in any; of a process, or (NULL) of all. */
static int holders(const struct game *g, int role, int sub, int p, const char *process)
{
    int count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *c = &g->clients[i];
        if (!c->alive || (process != NULL && strcmp(process, processes[i]) != 0))
            continue;
        for (int r = 0; r < ROLES; r++)
            count += (role == r || role == ROLES) && c->has[r][sub][p];
    }
    return count;
}

static void check_alone(struct game *g)
{
    for (int sub = 0; sub < SUBS; sub++)
        for (int p = 0; p < PARTS_MAX; p++) {
            if (holders(g, ACTIVE, sub, p, NULL) > 1)
                fail_msg("SEED=%u: %d_%d is active twice", g->first_seed, sub, p);
            for (int i = 0; i < CLIENTS; i++)
                if (holders(g, ROLES, sub, p, processes[i]) > 1)
                    fail_msg("SEED=%u: %d_%d twice in %s", g->first_seed, sub, p, processes[i]);
        }
}

/* --- a client --- */

static const char *owned_text(struct game *g, const struct client *c)
{
    struct buf text = {0};
    for (int role = 0; role < ROLES; role++) {
        for (int sub = 0; sub < SUBS; sub++)
            for (int p = 0; p < PARTS_MAX; p++)
                if (c->has[role][sub][p])
                    buf_printf(&text, "%d_%d ", sub, p);
        if (role == ACTIVE)
            buf_printf(&text, ";");
    }
    const char *out = str_dup(buf_str(&text), &g->w->arena).ptr;
    buf_fini(&text);
    return out;
}

static void forget(struct client *c)
{
    memset(c->has, 0, sizeof c->has);
    c->epoch = 0;
    c->tell_owned = true;
}

#define TAKE(c, role, array)                                           \
    for (int32_t i_ = 0; i_ < (array).len; i_++)                       \
        for (int32_t j_ = 0; j_ < (array).at[i_].Partitions.len; j_++) \
    (c)->has[role][(array).at[i_].SubtopologyId.ptr[0] - '0'][(array).at[i_].Partitions.at[j_]] = true

/* One heartbeat, leave (-1) included. False: the answer did not come. */
static bool beat(struct game *g, struct client *c, int32_t epoch, bool lossy)
{
    struct StreamsGroupHeartbeatRequest req;
    struct StreamsGroupHeartbeatResponse res;
    struct err err;
    bool tells = epoch > 0 && (c->tell_owned || rnd(g, 3) != 0);
    struct say say = {.process = processes[c - g->clients], .owned = tells ? owned_text(g, c) : NULL};
    fill_beat(g->w, "g", str_printf(&g->w->arena, "c%d", c->number).ptr, epoch, &say, &req);
    wire_init(&WIRE_StreamsGroupHeartbeatResponse, &res);
    struct group_call call = call_of(g->w, 0, &req, &res);
    g->w->append_fails = lossy && rnd(g, 12) == 0;
    bool stored = replay_run(g->w->replay, group_decide_streams_heartbeat, &call, NULL, &err);
    g->w->append_fails = false;
    if (!stored)
        group_heartbeat_failed(g->w->groups);
    if (!stored || (lossy && rnd(g, 8) == 0)) {
        c->tell_owned = true;
        return false;
    }
    if (epoch < 0)
        return true;
    if (res.ErrorCode == 0) {
        c->epoch = res.MemberEpoch;
        c->tell_owned = false;
        if (res.ActiveTasks.len >= 0) { /* gives up what is not assigned, then takes what is */
            memset(c->has, 0, sizeof c->has);
            TAKE(c, ACTIVE, res.ActiveTasks);
            TAKE(c, STANDBY, res.StandbyTasks);
            c->tell_owned = true;
        }
    } else if (res.ErrorCode == 110 || res.ErrorCode == 25) {
        forget(c);
    } else {
        fail_msg("SEED=%u: error %d: %.*s", g->first_seed, res.ErrorCode, STR_ARG(res.ErrorMessage));
    }
    return true;
}

/* --- what happens --- */

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

static int32_t size_of(const struct game *g, const char *topic)
{
    struct group_topic found;
    return topics_find_one(g->w, str_from(topic), &found) ? found.partition_count : 0;
}

/* Topics grow. The changelog of b follows at once or later; till then nobody works. */
static void grow(struct game *g)
{
    uint32_t which = rnd(g, 3);
    if (which == 0 && size_of(g, "a") < PARTS_MAX)
        set_topic(g->w, "a", size_of(g, "a") + 1);
    if (which == 1 && size_of(g, "b") < PARTS_MAX)
        set_topic(g->w, "b", size_of(g, "b") + 1);
    if (which != 0 && rnd(g, 2) == 0)
        set_topic(g->w, "c", size_of(g, "b"));
}

static void step(struct game *g)
{
    int slot = (int)rnd(g, CLIENTS);
    struct client *c = &g->clients[slot];
    switch (rnd(g, 16)) {
    case 0:
        if (c->alive && c->epoch > 0 && beat(g, c, -1, false))
            c->alive = false;
        break;
    case 1: /* crashes */
        c->alive = false;
        if (rnd(g, 2) == 0)
            let_sessions_end(g);
        break;
    case 2:
        grow(g);
        break;
    case 3:
        standbys = rnd(g, 3);
        break;
    case 4:
        start_anew(g->w);
        break;
    default:
        if (!c->alive) {
            *c = (struct client){.alive = true, .number = g->next_number++};
            forget(c);
        }
        beat(g, c, c->epoch, true);
    }
    check_alone(g);
}

/* All are heard until nothing changes any more. False: nobody lives. */
static bool settle(struct game *g)
{
    struct group_info info;
    bool any = false;
    set_topic(g->w, "c", size_of(g, "b"));
    let_sessions_end(g);
    for (int round = 0; round < 40; round++)
        for (int i = 0; i < CLIENTS; i++)
            if (g->clients[i].alive) {
                g->clients[i].tell_owned = any = true;
                beat(g, &g->clients[i], g->clients[i].epoch, false);
                check_alone(g);
            }
    if (any && (!group_info_of(g->w->groups, STR("g"), &info) || !str_eq(info.state, STR("Stable"))))
        fail_msg("SEED=%u: %.*s", g->first_seed, STR_ARG(info.state));
    return any;
}

static int living_processes(const struct game *g)
{
    int count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        bool known = !g->clients[i].alive;
        for (int j = 0; j < i; j++)
            known = known || (g->clients[j].alive && strcmp(processes[i], processes[j]) == 0);
        count += !known;
    }
    return count;
}

static void check_covered(struct game *g)
{
    int others = living_processes(g) - 1, wanted = (int)MIN(standbys, others);
    for (int p = 0; p < PARTS_MAX; p++) {
        int in_a = p < size_of(g, "a"), in_b = p < size_of(g, "b");
        if (holders(g, ACTIVE, 0, p, NULL) != in_a || holders(g, ACTIVE, 1, p, NULL) != in_b)
            fail_msg("SEED=%u: partition %d is not active once", g->first_seed, p);
        if (holders(g, STANDBY, 0, p, NULL) != 0 || holders(g, STANDBY, 1, p, NULL) != in_b * wanted)
            fail_msg("SEED=%u: %d standbys of 1_%d, not %d", g->first_seed, holders(g, STANDBY, 1, p, NULL),
                     p, in_b * wanted);
    }
}

/* Active tasks are spread evenly: when it is quiet, nobody has two more than another. */
static void check_even(struct game *g)
{
    int least = INT32_MAX, most = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int count = 0;
        if (!g->clients[i].alive)
            continue;
        for (int sub = 0; sub < SUBS; sub++)
            for (int p = 0; p < PARTS_MAX; p++)
                count += g->clients[i].has[ACTIVE][sub][p];
        least = MIN(least, count);
        most = MAX(most, count);
    }
    if (standbys == 0 && living_processes(g) > 0 && most > least + 2)
        fail_msg("SEED=%u: from %d to %d active tasks", g->first_seed, least, most);
}

static void test_random(void **state)
{
    struct world *w = *state;
    roomy = options;
    roomy.streams_members_max = 4 * CLIENTS;
    roomy.settings = &settings;
    const char *only = getenv("SEED");
    uint32_t seed = only != NULL ? (uint32_t)strtoul(only, NULL, 10) : 1, last = only != NULL ? seed : ROUNDS;
    for (; seed <= last; seed++) {
        struct game g = {.w = w, .first_seed = seed, .seed = seed};
        standbys = 0;
        unload(w);
        w->log.len = 0;
        w->topic_count = 0;
        load(w, &roomy);
        set_topic(w, "a", 1);
        set_topic(w, "b", 1);
        set_topic(w, "c", 1);
        for (int i = 0; i < STEPS; i++)
            step(&g);
        if (settle(&g)) {
            check_covered(&g);
            check_even(&g);
            start_anew(w);
            assert_true(settle(&g));
            check_covered(&g);
        }
        arena_reset(&w->arena);
        w->log.len = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_random, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
