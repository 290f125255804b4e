/* fuzz_group_calls.c - any sequence of calls of the group state, in both protocols, with any contents: it answers, and
 * what it has
 * written makes a state again.
 *
 *   bytes:  { kind of call | time that has passed | version | contents, as wire_fill asks for them } ...
 *
 * (C1) A call never dies, whatever the calls before. Ids of members that were given out are among the words of the next calls,
 *      so that conversations come about.
 * (C2) A restart takes every record that was written, at any point; the state it makes has a snapshot that makes the same.
 */
#include <stddef.h>
#include <stdint.h>

#include "group/group.h"
#include "state_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 200, WORDS_MAX = 24, WORDS_FIXED = 9 };

struct world {
    struct groups *groups;
    struct replay *replay;
    vec(struct replay_record) log;
    struct arena arena;
    struct group_effects effects;
    struct str words[WORDS_MAX];
    size_t word_count, next_word;
    struct group_options options;
    struct group_topics topics;
    int64_t now_ms;
};

/* --- topics: "topic-a" with three partitions --- */

static bool find_topic(void *arg, struct str name, struct group_topic *out)
{
    *out = (struct group_topic){STR("topic-a"), {{1, 1}}, 3};
    return str_eq(name, out->name);
}

static struct str topic_name(void *arg, struct uuid id, struct arena *arena)
{
    return uuid_eq(id, (struct uuid){{1, 1}}) ? STR("topic-a") : STR_NULL;
}

static void each_topic(void *arg, void (*fn)(void *fn_arg, const struct group_topic *topic), void *fn_arg)
{
    struct group_topic topic;
    find_topic(arg, STR("topic-a"), &topic);
    fn(fn_arg, &topic);
}

/* --- the log --- */

static bool append(void *log, const struct replay_record *records, size_t count, int64_t *end,
                   struct err *err)
{
    struct world *w = log;
    for (size_t i = 0; i < count; i++)
        vec_push(&w->log, (struct replay_record){.key = str_dup(records[i].key, &w->arena),
                                                 .value = str_dup(records[i].value, &w->arena),
                                                 .timestamp_ms = records[i].timestamp_ms,
                                                 .offset = (int64_t)w->log.len});
    *end = (int64_t)w->log.len;
    return true;
}

static void when_durable(void *log, int64_t end, struct replay_wait *wait)
{
    wait->fn(wait, NULL);
}

static bool read_log(void *log, int64_t from, replay_visit_fn visit, void *arg, int64_t *end, struct err *err)
{
    struct world *w = log;
    for (size_t i = (size_t)from; i < w->log.len; i++)
        if (!visit(arg, &w->log.at[i], err))
            return false;
    *end = (int64_t)w->log.len;
    return true;
}

static const struct replay_log_ops log_ops = {.append = append,
                                              .when_durable = when_durable,
                                              .read = read_log};

/* C2 */
static void restart(struct world *w)
{
    struct err err;
    replay_close(w->replay);
    groups_free(w->groups);
    w->groups = groups_new(&w->options);
    if (!replay_open(&w->replay, &log_ops, w, &groups_class, w->groups, &err))
        assert_failed(__FILE__, __LINE__, "replay_open", "%s", err.text);
    groups_loaded(w->groups, w->now_ms);
}

/* --- calls --- */

static bool decide_heartbeat(void *groups, void *call, struct replay_records *out, struct err *err)
{
    return group_decide_upgrade(groups, call, out, err) && out->list.len == 0 &&
                   *(int16_t *)((char *)((struct group_call *)call)->res +
                                offsetof(struct ConsumerGroupHeartbeatResponse, ErrorCode)) == 0
               ? group_decide_consumer_heartbeat(groups, call, out, err)
               : true;
}

static const struct {
    int16_t api_key;
    replay_decide_fn decide;
} kinds[] = {
    {8, group_decide_commit},
    {11, group_decide_join},
    {12, group_decide_heartbeat},
    {13, group_decide_leave},
    {14, group_decide_sync},
    {28, group_decide_txn_commit},
    {42, group_decide_delete},
    {47, group_decide_offset_delete},
    {68, decide_heartbeat},
    {68, decide_heartbeat},
    {11, group_decide_join},
    {14, group_decide_sync},
    {88, group_decide_streams_heartbeat},
    {88, group_decide_streams_heartbeat},
};

static void learn(struct world *w, struct str word)
{
    if (word.len == 0 || word.len > 100)
        return;
    size_t place = WORDS_FIXED + w->next_word++ % (WORDS_MAX - WORDS_FIXED);
    w->words[place] = str_dup(word, &w->arena);
    w->word_count = MAX(w->word_count, place + 1);
}

static void learn_members(struct world *w, int16_t api_key, const void *res)
{
    if (api_key == 68)
        learn(w, ((const struct ConsumerGroupHeartbeatResponse *)res)->MemberId);
    for (size_t i = 0; i < w->effects.replies.len; i++)
        if (!w->effects.replies.at[i].is_sync)
            learn(w, w->effects.replies.at[i].join.MemberId);
}

static void call_once(struct world *w, struct state_input *in)
{
    size_t kind = state_number(in) % COUNT_OF(kinds);
    const struct wire_api *api = wire_api_find(kinds[kind].api_key);
    struct wire_fill fill = {.random = state_number,
                             .arg = in,
                             .words = w->words,
                             .word_count = w->word_count,
                             .array_max = 2,
                             .arena = &w->arena};
    struct wire_range versions = api->request->versions;
    struct err err;
    void *req = arena_zalloc(&w->arena, 1, api->request->body->size);
    w->now_ms += (int64_t)(state_number(in) % 8) * 1500;
    struct group_call call = {
        .now_ms = w->now_ms,
        .version =
            (int16_t)(versions.min + (int)(state_number(in) % (uint64_t)(versions.max - versions.min + 1))),
        .req = req,
        .res = wire_new(api->response->body, 1, &w->arena),
        .arena = &w->arena,
        .effects = &w->effects,
        .token = w,
        .client_id = STR("client"),
        .client_host = STR("/127.0.0.1"),
    };
    wire_fill_struct(&fill, api->request->body, req);
    memset(call.random, (int)state_number(in), sizeof call.random);
    group_effects_reset(&w->effects);
    ignore(replay_run(w->replay, kinds[kind].decide, &call, NULL, &err), "the answer says what was wrong");
    learn_members(w, api->api_key, call.res);
}

static void let_time_pass(struct world *w)
{
    struct err err;
    struct group_call call = {.now_ms = w->now_ms, .arena = &w->arena, .effects = &w->effects};
    group_effects_reset(&w->effects);
    if (groups_next_ms(w->groups) <= w->now_ms)
        ignore(replay_run(w->replay, group_decide_tick, &call, NULL, &err), "it has no answer");
}

static void world_init(struct world *w)
{
    /* ConsumerProtocolSubscription, version 0: topic-a, no data. */
    static const char subscription[] = "\0\0\0\0\0\1\0\7topic-a\377\377\377\377";
    static const struct str fixed[WORDS_FIXED] = {STR_INIT("g"),        STR_INIT("h"),
                                                  STR_INIT("consumer"), STR_INIT("range"),
                                                  STR_INIT("uniform"),  STR_INIT("topic-a"),
                                                  STR_INIT(""),         STR_INIT("topic-.*"),
                                                  STR_INIT("i")};
    *w = (struct world){.now_ms = 1000000, .word_count = WORDS_FIXED + 1, .next_word = 1};
    memcpy(w->words, fixed, sizeof fixed);
    w->words[WORDS_FIXED] = str_of(subscription, sizeof subscription - 1);
    w->topics = (struct group_topics){w, find_topic, topic_name, each_topic};
    w->options = (struct group_options){.session_timeout_ms_min = 0,
                                        .session_timeout_ms_max = INT32_MAX,
                                        .members_max = 4,
                                        .offset_metadata_bytes_max = 100,
                                        .offsets_retention_ms = 5000,
                                        .consumer_session_timeout_ms = 10000,
                                        .consumer_heartbeat_interval_ms = 1000,
                                        .consumer_members_max = 4,
                                        .consumer_assignors = STR("uniform,range"),
                                        .migration = GROUP_MIGRATE_BOTH,
                                        .streams_session_timeout_ms = 10000,
                                        .streams_heartbeat_interval_ms = 1000,
                                        .streams_members_max = 4,
                                        .streams_standby_count = 1,
                                        .streams_initial_delay_ms = 3000,
                                        .streams_assignment_interval_ms = 1000,
                                        .topics = &w->topics};
    restart(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    struct state_input in = {data, data + size};
    log_level_set(LOG_OFF);
    world_init(&w);
    for (int i = 0; i < CALLS_MAX && in.at < in.end; i++) {
        call_once(&w, &in);
        let_time_pass(&w);
        if (state_number(&in) % 16 == 1)
            restart(&w);
    }
    restart(&w);
    struct groups *fresh = groups_new(&w.options);
    state_check_snapshot(&groups_class, w.groups, fresh);
    groups_free(fresh);
    replay_close(w.replay);
    groups_free(w.groups);
    vec_fini(&w.log);
    group_effects_fini(&w.effects);
    arena_fini(&w.arena);
    return 0;
}
