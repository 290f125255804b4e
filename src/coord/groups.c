/* groups.c - consumer groups at work: runs decide functions, sends their answers, keeps the clock.
 *
 * Answers are encoded at once, in the thread that ran the decision, and leave when the group log is durable up to the
 * records of the run. One timer runs group_decide_tick when something is due.
 */
#include "coord/coord_int.h"

/* --- answers --- */

/* Answers that wait for the same records. */
struct held_answers {
    struct replay_wait wait;
    struct coord *coord;
    vec(void *) tokens;
};

static void on_durable(struct replay_wait *wait, const struct err *failure)
{
    struct held_answers *held = (struct held_answers *)wait;
    const struct coord_hooks *hooks = &held->coord->hooks;
    for (size_t i = 0; i < held->tokens.len; i++) {
        if (failure != NULL)
            hooks->fail(held->tokens.at[i], "the group's log failed");
        else
            hooks->deliver(held->tokens.at[i]);
    }
    vec_fini(&held->tokens);
    free(held);
}

void coord_groups_deliver(struct coord *coord, struct group_effects *effects, int64_t end_offset)
{
    struct held_answers *held = NULL;
    for (size_t i = 0; i < effects->replies.len; i++) {
        struct group_reply *reply = &effects->replies.at[i];
        coord->hooks.encode(reply->token, reply->is_sync ? (const void *)&reply->sync : &reply->join);
        if (end_offset < 0) {
            coord->hooks.deliver(reply->token);
            continue;
        }
        if (held == NULL) {
            held = mem_new(struct held_answers);
            held->wait.fn = on_durable;
            held->coord = coord;
        }
        vec_push(&held->tokens, reply->token);
    }
    if (held != NULL)
        replay_when_durable(coord->groups_replay, end_offset, &held->wait);
}

bool coord_groups_run(struct coord *coord, replay_decide_fn decide, struct group_call *call,
                      int64_t *end_offset, struct err *err)
{
    int64_t end;
    bool good = replay_run(coord->groups_replay, decide, call, &end, err);
    if (good)
        coord_groups_deliver(coord, call->effects, end);
    if (end_offset != NULL)
        *end_offset = end;
    return good;
}

void coord_heartbeat_failed(struct coord *coord, const struct err *err)
{
    log_warn("broker", "heartbeat_failed", "cause=\"%s\"", err->text);
    replay_lock(coord->groups_replay);
    group_heartbeat_failed(coord->groups);
    replay_unlock(coord->groups_replay);
}

/* --- the clock --- */

static int64_t next_tick_ms(struct coord *coord)
{
    replay_lock(coord->groups_replay);
    int64_t next_ms = groups_next_ms(coord->groups);
    replay_unlock(coord->groups_replay);
    return next_ms;
}

static void tick(struct coord *coord, int64_t now_ms)
{
    struct group_call call = {.now_ms = now_ms, .effects = &coord->tick_effects};
    struct err err;
    group_effects_reset(&coord->tick_effects);
    if (!coord_groups_run(coord, group_decide_tick, &call, NULL, &err))
        log_warn("broker", "group_tick_failed", "cause=\"%s\"", err.text);
}

void coord_groups_rearm(struct coord *coord)
{
    coord_clock_rearm(&coord->group_clock);
}

static void run_quietly(struct coord *coord, replay_decide_fn decide, const void *req, const char *what)
{
    struct group_effects effects = {0};
    struct err err;
    struct group_call call = {.now_ms = io_now_ms(coord->io), .req = req, .effects = &effects};
    if (!coord_groups_run(coord, decide, &call, NULL, &err))
        log_warn("broker", what, "cause=\"%s\"", err.text);
    group_effects_fini(&effects);
}

void groups_expire(struct coord *coord)
{
    run_quietly(coord, group_decide_expire, NULL, "offsets_expire_failed");
}

void coord_topic_deleted(struct coord *coord, struct str topic)
{
    if (coord->groups_replay != NULL)
        run_quietly(coord, group_decide_topic_deleted, &topic, "offsets_of_topic_failed");
    if (coord->shares_replay != NULL)
        shares_topics_gone(coord);
}

void coord_topics_changed(struct coord *coord)
{
    if (coord->groups_replay == NULL)
        return;
    replay_lock(coord->groups_replay);
    groups_topics_changed(coord->groups);
    replay_unlock(coord->groups_replay);
}

/* --- topics, for decide functions: replay lock, then the lock of the entries --- */

static bool find_topic(void *arg, struct str name, struct group_topic *out)
{
    struct coord *coord = arg;
    storage_entries_lock(coord->storage);
    const struct topic_entry *entry = storage_entry(coord->storage, name);
    if (entry != NULL) {
        out->id = entry->id;
        out->partition_count = entry->partition_count;
    }
    storage_entries_unlock(coord->storage);
    return entry != NULL;
}

static struct str topic_name_of(void *arg, struct uuid id, struct arena *arena)
{
    struct coord *coord = arg;
    return storage_topic_name(coord->storage, id, arena);
}

static void each_topic(void *arg, void (*fn)(void *fn_arg, const struct group_topic *topic), void *fn_arg)
{
    struct coord *coord = arg;
    storage_entries_lock(coord->storage);
    const struct topic_entry *entry;
    for (size_t i = 0; (entry = storage_entry_next(coord->storage, &i)) != NULL;) {
        struct group_topic topic = {entry->name, entry->id, entry->partition_count};
        fn(fn_arg, &topic);
    }
    storage_entries_unlock(coord->storage);
}

static bool check_assignors(struct str list, struct err *err)
{
    struct str rest = list, name;
    while (str_split(&rest, ',', &name))
        if (!group_assignor_known(str_trim(name)))
            return err_set(err, ERR_INVALID_CONFIG,
                           "group.consumer.assignors: '%.*s' is not an assignor; there are uniform and range",
                           STR_ARG(str_trim(name)));
    return list.len != 0 || err_set(err, ERR_INVALID_CONFIG, "group.consumer.assignors names no assignor");
}

/* --- start and stop --- */

void groups_init_clock(struct coord *coord)
{
    coord_clock_init(&coord->group_clock, coord, next_tick_ms, tick);
}

bool groups_open(struct coord *coord, struct err *err)
{
    const struct coord_config *config = coord->config;
    coord->group_topics =
        (struct group_topics){.arg = coord, .find = find_topic, .name_of = topic_name_of, .each = each_topic};
    struct group_options options = {
        .session_timeout_ms_min = config->group_session_timeout_ms_min,
        .session_timeout_ms_max = config->group_session_timeout_ms_max,
        .initial_rebalance_delay_ms = config->group_initial_rebalance_delay_ms,
        .members_max = config->group_members_max,
        .offset_metadata_bytes_max = config->offset_metadata_bytes_max,
        .offsets_retention_ms = config->offsets_retention_ms,
        .consumer_session_timeout_ms = config->consumer_session_timeout_ms,
        .consumer_heartbeat_interval_ms = config->consumer_heartbeat_interval_ms,
        .consumer_assignment_interval_ms = config->consumer_assignment_interval_ms,
        .consumer_members_max = config->consumer_members_max,
        .consumer_assignors = config->consumer_assignors,
        .migration = (enum group_migration)config->consumer_migration,
        .share_session_timeout_ms = config->share_session_timeout_ms,
        .share_heartbeat_interval_ms = config->share_heartbeat_interval_ms,
        .share_assignment_interval_ms = config->share_assignment_interval_ms,
        .share_members_max = config->share_members_max,
        .streams_session_timeout_ms = config->streams_session_timeout_ms,
        .streams_heartbeat_interval_ms = config->streams_heartbeat_interval_ms,
        .streams_members_max = config->streams_members_max,
        .streams_standby_count = config->streams_standby_count,
        .streams_initial_delay_ms = config->streams_initial_delay_ms,
        .streams_assignment_interval_ms = config->streams_assignment_interval_ms,
        .topics = &coord->group_topics,
        .settings = &coord->group_settings,
    };
    if (!check_assignors(config->consumer_assignors, err) || !group_options_check(config, err))
        return false;
    coord->groups = groups_new(&options);
    if (!state_log_open(&coord->groups_log, coord->storage, STR(OFFSETS_TOPIC), err) ||
        !replay_open(&coord->groups_replay, &state_log_ops, &coord->groups_log, &groups_class, coord->groups,
                     err))
        return false;
    groups_loaded(coord->groups, io_now_ms(coord->io));
    coord_groups_rearm(coord);
    return true;
}

void groups_stop(struct coord *coord)
{
    if (coord->groups_replay != NULL)
        run_quietly(coord, group_decide_stop, NULL, "group_stop_failed");
}

void groups_close(struct coord *coord)
{
    replay_close(coord->groups_replay);
    groups_free(coord->groups);
    group_effects_fini(&coord->tick_effects);
    state_log_close(&coord->groups_log);
}

/* --- the in-process door --- */

typedef struct OffsetCommitRequest_OffsetCommitRequestTopic commit_topic;
typedef struct OffsetCommitRequest_OffsetCommitRequestPartition commit_partition;

/* One row an offset: the coordinator does not mind a topic that comes twice. */
static void fill_commit(struct OffsetCommitRequest *req, struct str group,
                        const struct coord_group_offset *offsets, size_t count, struct arena *arena)
{
    wire_init(&WIRE_OffsetCommitRequest, req);
    req->GroupId = group;
    WIRE_ALLOC(arena, req->Topics, OffsetCommitRequest_OffsetCommitRequestTopic, count);
    for (size_t i = 0; i < count; i++) {
        commit_topic *topic = &req->Topics.at[i];
        topic->Name = offsets[i].topic;
        WIRE_ALLOC(arena, topic->Partitions, OffsetCommitRequest_OffsetCommitRequestPartition, 1);
        commit_partition *part = topic->Partitions.at;
        part->PartitionIndex = offsets[i].partition;
        part->CommittedOffset = offsets[i].offset;
        part->CommittedMetadata = offsets[i].metadata;
    }
}

/* The first error of the answer. */
static bool check_commit(const struct OffsetCommitResponse *res, struct str group, struct err *err)
{
    for (int32_t i = 0; i < res->Topics.len; i++)
        for (int32_t j = 0; j < res->Topics.at[i].Partitions.len; j++) {
            int16_t code = res->Topics.at[i].Partitions.at[j].ErrorCode;
            if (code != 0)
                return err_set(err, err_from_kafka(code),
                               "group '%.*s' did not take the offset of %.*s-%d: %s", STR_ARG(group),
                               STR_ARG(res->Topics.at[i].Name),
                               res->Topics.at[i].Partitions.at[j].PartitionIndex,
                               err_default_text(err_from_kafka(code)));
        }
    return true;
}

bool coord_group_commit(struct coord *coord, struct str group, const struct coord_group_offset *offsets,
                        size_t count, struct err *err)
{
    enum { VERSION = 8 };
    struct arena arena = {0};
    struct group_effects effects = {0};
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res = {0};
    struct group_call call = {.now_ms = io_now_ms(coord->io),
                              .version = VERSION,
                              .req = &req,
                              .res = &res,
                              .arena = &arena,
                              .effects = &effects};
    fill_commit(&req, group, offsets, count, &arena);
    bool good = replay_run_durable(coord->groups_replay, group_decide_commit, &call, err) &&
                check_commit(&res, group, err);
    group_effects_fini(&effects);
    arena_fini(&arena);
    return good;
}

/* All offsets of a group as OffsetFetch gives them. */
static void fetch_response(struct coord *coord, struct str group, struct OffsetFetchResponse *res,
                           struct arena *arena)
{
    enum { VERSION = 8 };
    struct OffsetFetchRequest req;
    struct group_effects effects = {0};
    struct group_call call = {
        .version = VERSION, .req = &req, .res = res, .arena = arena, .effects = &effects};
    wire_init(&WIRE_OffsetFetchRequest, &req);
    wire_init(&WIRE_OffsetFetchResponse, res);
    WIRE_ALLOC(arena, req.Groups, OffsetFetchRequest_OffsetFetchRequestGroup, 1);
    req.Groups.at[0].GroupId = group;
    req.Groups.at[0].Topics.len = -1;
    replay_lock(coord->groups_replay);
    group_fetch(coord->groups, &call);
    replay_unlock(coord->groups_replay);
    group_effects_fini(&effects);
}

struct coord_group_offset *coord_group_fetch_all(struct coord *coord, struct str group, size_t *count,
                                                 struct arena *arena)
{
    struct OffsetFetchResponse res;
    vec(struct coord_group_offset) list = {0};
    fetch_response(coord, group, &res, arena);
    struct OffsetFetchResponse_OffsetFetchResponseGroup *row = &res.Groups.at[0];
    for (int32_t i = 0; i < row->Topics.len; i++)
        for (int32_t j = 0; j < row->Topics.at[i].Partitions.len; j++) {
            struct OffsetFetchResponse_OffsetFetchResponsePartitions *part =
                &row->Topics.at[i].Partitions.at[j];
            vec_push(&list, (struct coord_group_offset){.topic = row->Topics.at[i].Name,
                                                        .partition = part->PartitionIndex,
                                                        .offset = part->CommittedOffset,
                                                        .metadata = part->Metadata});
        }
    *count = list.len;
    struct coord_group_offset *out = arena_dup(arena, list.at, list.len * sizeof *list.at);
    vec_fini(&list);
    return out;
}

void coord_group_fetch(struct coord *coord, struct str group, struct coord_group_offset *offsets,
                       size_t count, struct arena *arena)
{
    size_t all_count;
    struct coord_group_offset *all = coord_group_fetch_all(coord, group, &all_count, arena);
    for (size_t i = 0; i < count; i++) {
        offsets[i].offset = -1;
        offsets[i].metadata = STR("");
        for (size_t j = 0; j < all_count; j++)
            if (all[j].partition == offsets[i].partition && str_eq(all[j].topic, offsets[i].topic)) {
                offsets[i].offset = all[j].offset;
                offsets[i].metadata = all[j].metadata;
            }
    }
}

struct coord_group_info *coord_group_list(struct coord *coord, size_t *count, struct arena *arena)
{
    vec(struct coord_group_info) list = {0};
    struct group_info info;
    replay_lock(coord->groups_replay);
    for (size_t i = 0; group_info_next(coord->groups, &i, &info);)
        vec_push(&list, (struct coord_group_info){.name = str_dup(info.name, arena),
                                                  .state = info.state,
                                                  .protocol_type = str_dup(info.protocol_type, arena),
                                                  .generation = info.generation,
                                                  .member_count = info.member_count});
    replay_unlock(coord->groups_replay);
    *count = list.len;
    struct coord_group_info *out = arena_dup(arena, list.at, list.len * sizeof *list.at);
    vec_fini(&list);
    return out;
}

bool coord_group_delete(struct coord *coord, struct str group, struct err *err)
{
    struct arena arena = {0};
    struct group_effects effects = {0};
    struct DeleteGroupsRequest req = {.GroupsNames = {.at = &group, .len = 1}};
    struct DeleteGroupsResponse res = {0};
    struct group_call call = {
        .now_ms = io_now_ms(coord->io), .req = &req, .res = &res, .arena = &arena, .effects = &effects};
    bool good = replay_run_durable(coord->groups_replay, group_decide_delete, &call, err);
    int16_t code = good ? res.Results.at[0].ErrorCode : 0;
    if (code != 0)
        good = err_set(err, err_from_kafka(code), "group '%.*s': %s", STR_ARG(group),
                       err_default_text(err_from_kafka(code)));
    if (good)
        coord_share_group_deleted(coord, group);
    group_effects_fini(&effects);
    arena_fini(&arena);
    return good;
}
