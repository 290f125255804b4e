/* world.h - a group coordinator over a list of records kept in memory, for tests: every record that a call adds is applied
 * and kept, and `reload` makes a second coordinator from the list alone, as a restart does.
 */
#ifndef RIALTO_TEST_GROUP_WORLD_H
#define RIALTO_TEST_GROUP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "group/group.h"

#define UNUSED __attribute__((unused))

struct kept {
    struct str key, value;
};

struct world {
    struct groups *groups;
    struct replay *replay;
    vec(struct kept) log;
    struct arena arena;
    struct group_effects effects;
    int64_t now_ms;
    uint8_t next_random;
    bool append_fails;
    struct group_topic topics[8]; /* those that there are */
    size_t topic_count;
    struct group_topics topic_ops;
};

/* --- topics: the id of topic "a" is 16 times 'a' --- */

static struct uuid topic_id(char c)
{
    struct uuid id;
    memset(id.bytes, c, sizeof id.bytes);
    return id;
}

static bool topics_find_one(void *arg, struct str name, struct group_topic *out)
{
    struct world *w = arg;
    for (size_t i = 0; i < w->topic_count; i++) {
        if (!str_eq(w->topics[i].name, name))
            continue;
        out->id = w->topics[i].id;
        out->partition_count = w->topics[i].partition_count;
        return true;
    }
    return false;
}

static struct str topics_name(void *arg, struct uuid id, struct arena *arena)
{
    struct world *w = arg;
    for (size_t i = 0; i < w->topic_count; i++)
        if (uuid_eq(w->topics[i].id, id))
            return str_dup(w->topics[i].name, arena);
    return STR_NULL;
}

static void topics_each(void *arg, void (*fn)(void *fn_arg, const struct group_topic *topic), void *fn_arg)
{
    struct world *w = arg;
    for (size_t i = 0; i < w->topic_count; i++)
        fn(fn_arg, &w->topics[i]);
}

/* A topic comes, or grows. */
UNUSED static void set_topic(struct world *w, const char *name, int32_t partition_count)
{
    size_t i = 0;
    while (i < w->topic_count && !str_eq_cstr(w->topics[i].name, name))
        i++;
    if (i == w->topic_count)
        w->topic_count++;
    w->topics[i] = (struct group_topic){str_from(name), topic_id(name[0]), partition_count};
    groups_topics_changed(w->groups);
}

/* --- the log --- */

static bool log_append_records(void *log, const struct replay_record *records, size_t count, int64_t *end,
                               struct err *err)
{
    struct world *w = log;
    if (w->append_fails)
        return err_set(err, ERR_DISK_FULL, "no room");
    for (size_t i = 0; i < count; i++)
        vec_push(&w->log,
                 (struct kept){str_dup(records[i].key, &w->arena), str_dup(records[i].value, &w->arena)});
    *end = (int64_t)w->log.len;
    return true;
}

static void log_when_durable(void *log, int64_t end, struct replay_wait *wait)
{
    wait->fn(wait, NULL);
}

static bool log_read_records(void *log, int64_t from, replay_visit_fn visit, void *arg, int64_t *end,
                             struct err *err)
{
    struct world *w = log;
    for (size_t i = (size_t)from; i < w->log.len; i++) {
        struct replay_record rec = {.key = w->log.at[i].key,
                                    .value = w->log.at[i].value,
                                    .offset = (int64_t)i};
        if (!visit(arg, &rec, err))
            return false;
    }
    *end = (int64_t)w->log.len;
    return true;
}

static bool log_trim(void *log, int64_t before, struct err *err)
{
    struct world *w = log;
    for (int64_t i = 0; i < before;
         i++) /* trimmed records are told by offset only: keep places, drop contents */
        w->log.at[i] = (struct kept){STR_NULL, STR_NULL};
    return true;
}

static const struct replay_log_ops ops = {log_append_records, log_when_durable, log_read_records, log_trim};

static const struct group_options options = {.session_timeout_ms_min = 6000,
                                             .session_timeout_ms_max = 60000,
                                             .members_max = 3,
                                             .offset_metadata_bytes_max = 8,
                                             .offsets_retention_ms = 1000,
                                             .consumer_session_timeout_ms = 45000,
                                             .consumer_heartbeat_interval_ms = 5000,
                                             .consumer_members_max = 3,
                                             .consumer_assignors = STR_INIT("uniform,range"),
                                             .migration = GROUP_MIGRATE_BOTH,
                                             .share_session_timeout_ms = 45000,
                                             .share_heartbeat_interval_ms = 5000,
                                             .share_members_max = 3,
                                             .streams_session_timeout_ms = 45000,
                                             .streams_heartbeat_interval_ms = 5000,
                                             .streams_members_max = 3};

static void load(struct world *w, const struct group_options *opts)
{
    struct err err;
    struct group_options own = *opts;
    w->topic_ops = (struct group_topics){w, topics_find_one, topics_name, topics_each};
    own.topics = &w->topic_ops;
    w->groups = groups_new(&own);
    assert_true(replay_open(&w->replay, &ops, w, &groups_class, w->groups, &err));
    groups_loaded(w->groups, w->now_ms);
}

static void unload(struct world *w)
{
    replay_close(w->replay);
    groups_free(w->groups);
}

UNUSED static void reload(struct world *w)
{
    unload(w);
    load(w, &options);
}

UNUSED static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->now_ms = 1000000;
    load(w, &options);
    *state = w;
    return 0;
}

UNUSED static int teardown(void **state)
{
    struct world *w = *state;
    unload(w);
    vec_fini(&w->log);
    group_effects_fini(&w->effects);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

/* --- calls --- */

UNUSED static struct group_call call_of(struct world *w, int16_t version, const void *req, void *res)
{
    struct group_call call = {.now_ms = w->now_ms,
                              .version = version,
                              .req = req,
                              .res = res,
                              .arena = &w->arena,
                              .effects = &w->effects,
                              .client_id = STR("client"),
                              .client_host = STR("/127.0.0.1")};
    memset(call.random, ++w->next_random, sizeof call.random);
    group_effects_reset(&w->effects);
    return call;
}

UNUSED static void run(struct world *w, replay_decide_fn decide, struct group_call *call)
{
    struct err err;
    assert_true(replay_run(w->replay, decide, call, NULL, &err));
}

/* Who waits for an answer is a small number here. */
UNUSED static void *token(int n)
{
    return (void *)(intptr_t)n;
}

UNUSED static const struct group_reply *reply_to(struct world *w, int n)
{
    for (size_t i = 0; i < w->effects.replies.len; i++)
        if (w->effects.replies.at[i].token == token(n))
            return &w->effects.replies.at[i];
    return NULL;
}

/* JoinGroup of group "g" by the classic protocol, with one assignor. */
UNUSED static void join_classic(struct world *w, int n, int16_t version, const char *member,
                                const char *instance, const char *assignor, struct str metadata)
{
    struct JoinGroupRequest req;
    struct JoinGroupRequest_JoinGroupRequestProtocol protocol = {.Name = str_from(assignor),
                                                                 .Metadata = metadata};
    wire_init(&WIRE_JoinGroupRequest, &req);
    req.GroupId = STR("g");
    req.SessionTimeoutMs = 10000;
    req.RebalanceTimeoutMs = 30000;
    req.MemberId = str_from(member);
    req.GroupInstanceId = str_from(instance);
    req.ProtocolType = STR("consumer");
    req.Protocols.at = &protocol;
    req.Protocols.len = 1;
    struct group_call call = call_of(w, version, &req, NULL);
    call.token = token(n);
    run(w, group_decide_join, &call);
}

#endif
