/* shares.c - share groups at work: their state over __share_group_state, its clock, who is woken, and what ends with groups and
 * topics.
 *
 *   start: state replayed | what belongs to groups or topics that are gone is let go | groups that are ahead step back | clock
 *
 * (G1) A share group is there as long as `group` says so. Its places in topics end after it: a crash in between is made good by
 *      the next start. The same goes for topics.
 * (G2) The state tells (`freed`) when there may be something to acquire again; only parked fetches of that group look.
 * (G3) A power cut with durability=os may take the end of a log that a group was done with. What comes in its place is new: the
 *      group begins again where the log ends, or where it was before, whatever was in flight.
 */
#include "coord/coord_int.h"

/* --- settings --- */

int64_t coord_share_setting(struct coord *coord, struct str group, enum group_setting setting)
{
    const struct coord_config *config = coord->config;
    int64_t own = coord->group_settings.get(coord->group_settings.arg, group, setting);
    if (own >= 0)
        return own;
    switch (setting) {
    case GROUP_SHARE_LOCK_MS:
        return config->share_lock_ms;
    case GROUP_SHARE_DELIVERIES_MAX:
        return config->share_deliveries_max;
    case GROUP_SHARE_LOCKS_MAX:
        return config->share_locks_max;
    case GROUP_SHARE_OFFSET_RESET:
        return SHARE_RESET_LATEST;
    case GROUP_SHARE_ISOLATION:
        return LOG_UP_TO_HW;
    case GROUP_SHARE_RENEW:
        return true;
    default:
        ASSERT(false); /* the others concern members: group reads them */
    }
}

static int64_t limit_of(void *arg, struct str group, enum share_limit limit)
{
    static const enum group_setting settings[] = {[SHARE_LOCK_MS] = GROUP_SHARE_LOCK_MS,
                                                  [SHARE_DELIVERIES_MAX] = GROUP_SHARE_DELIVERIES_MAX,
                                                  [SHARE_LOCKS_MAX] = GROUP_SHARE_LOCKS_MAX};
    return coord_share_setting(arg, group, settings[limit]);
}

/* --- who waits --- */

void coord_share_park(struct coord *coord, struct coord_share_waiter *waiter)
{
    pthread_mutex_lock(&coord->share_lock);
    list_push_back(&coord->share_waiters, &waiter->link);
    pthread_mutex_unlock(&coord->share_lock);
}

void coord_share_unpark(struct coord *coord, struct coord_share_waiter *waiter)
{
    pthread_mutex_lock(&coord->share_lock);
    list_remove(&waiter->link);
    pthread_mutex_unlock(&coord->share_lock);
}

static void freed(void *arg, struct str group)
{
    struct coord *coord = arg;
    pthread_mutex_lock(&coord->share_lock);
    list_each (struct coord_share_waiter, waiter, &coord->share_waiters, link)
        if (str_eq(waiter->group, group))
            loop_post(waiter->loop, waiter->wake);
    pthread_mutex_unlock(&coord->share_lock);
}

/* --- the clock --- */

static int64_t next_tick_ms(struct coord *coord)
{
    replay_lock(coord->shares_replay);
    int64_t next_ms = shares_next_ms(coord->shares);
    replay_unlock(coord->shares_replay);
    return next_ms;
}

static void tick(struct coord *coord, int64_t now_ms)
{
    struct err err;
    if (!replay_run(coord->shares_replay, share_decide_tick, &now_ms, NULL, &err))
        log_warn("broker", "share_tick_failed", "cause=\"%s\"", err.text);
}

bool coord_shares_run(struct coord *coord, replay_decide_fn decide, void *request, int64_t *end_offset,
                      struct err *err)
{
    bool good = replay_run(coord->shares_replay, decide, request, end_offset, err);
    coord_clock_rearm(&coord->share_clock);
    return good;
}

/* --- what ends --- */

bool coord_share_group(struct coord *coord, struct str group, size_t *member_count)
{
    struct group_info info = {0};
    replay_lock(coord->groups_replay);
    bool there = group_info_of(coord->groups, group, &info) && str_eq(info.type, STR("share"));
    replay_unlock(coord->groups_replay);
    if (member_count != NULL)
        *member_count = there ? info.member_count : 0;
    return there;
}

static void end(struct coord *coord, struct share_end *request)
{
    struct err err;
    request->now_ms = io_now_ms(coord->io);
    if (!coord_shares_run(coord, share_decide_end, request, NULL, &err))
        log_warn("broker", "share_end_failed", "cause=\"%s\"", err.text);
}

void coord_share_group_deleted(struct coord *coord, struct str group)
{
    struct share_end request = {.group = group, .every_topic = true};
    end(coord, &request);
}

/* The topics, or groups, that there is state for; each once. */
struct owners {
    struct arena arena;
    struct map groups, topics;
};

static void list_owners(struct coord *coord, struct owners *owners)
{
    struct share_info info;
    replay_lock(coord->shares_replay);
    for (size_t i = 0; share_info_next(coord->shares, &i, &info);) {
        map_put(&owners->groups, info.key.group, owners);
        map_put(&owners->topics, str_of((const char *)info.key.topic.bytes, sizeof info.key.topic), owners);
    }
    replay_unlock(coord->shares_replay);
}

static void owners_fini(struct owners *owners)
{
    map_fini(&owners->groups);
    map_fini(&owners->topics);
    arena_fini(&owners->arena);
}

static void end_lost_topics(struct coord *coord, struct owners *owners)
{
    struct str bytes;
    for (size_t i = 0; map_next(&owners->topics, &i, &bytes, NULL);) {
        struct share_end request = {.group = STR_NULL};
        memcpy(request.topic.bytes, bytes.ptr, sizeof request.topic.bytes);
        if (str_is_null(storage_topic_name(coord->storage, request.topic, &owners->arena)))
            end(coord, &request);
    }
}

void shares_topics_gone(struct coord *coord)
{
    struct owners owners = {0};
    list_owners(coord, &owners);
    end_lost_topics(coord, &owners);
    owners_fini(&owners);
}

/* G1, after a crash. */
static void end_lost(struct coord *coord)
{
    struct owners owners = {0};
    struct str group;
    list_owners(coord, &owners);
    end_lost_topics(coord, &owners);
    for (size_t i = 0; map_next(&owners.groups, &i, &group, NULL);)
        if (!coord_share_group(coord, group, NULL))
            coord_share_group_deleted(coord, group);
    owners_fini(&owners);
}

/* --- G3 --- */

/* A place that the group has got to. */
struct place {
    struct share_key key;
    int64_t start_offset, end_offset;
};

/* Where the log of the place ends; INT64_MAX: not known. */
static int64_t log_end_of(struct coord *coord, const struct share_key *key)
{
    bool known;
    struct partition *part = storage_partition_by_id(coord->storage, key->topic, key->partition, &known);
    int64_t end_offset =
        part != NULL && log_check_readable(partition_log(part), NULL) ? partition_end(part) : INT64_MAX;
    partition_unref(part);
    return end_offset;
}

static void step_back(struct coord *coord)
{
    struct arena arena = {0};
    vec(struct place) places = {0};
    struct share_info info;
    struct err err;
    replay_lock(coord->shares_replay);
    for (size_t i = 0; share_info_next(coord->shares, &i, &info);) {
        struct place place = {info.key, info.start_offset, info.end_offset};
        place.key.group = str_dup(info.key.group, &arena);
        vec_push(&places, place);
    }
    replay_unlock(coord->shares_replay);
    for (size_t i = 0; i < places.len; i++) {
        const struct place *place = &places.at[i];
        int64_t log_end = log_end_of(coord, &place->key);
        struct share_reset reset = {place->key, MIN(place->start_offset, log_end), io_now_ms(coord->io)};
        if (place->end_offset <= log_end)
            continue;
        log_warn("broker", "share_group_steps_back", "group=%.*s partition=%d from=%lld to=%lld",
                 STR_ARG(place->key.group), place->key.partition, (long long)place->end_offset,
                 (long long)reset.start_offset);
        if (!coord_shares_run(coord, share_decide_reset, &reset, NULL, &err))
            log_warn("broker", "share_reset_failed", "cause=\"%s\"", err.text);
    }
    vec_fini(&places);
    arena_fini(&arena);
}

/* --- start and stop --- */

void shares_init_clock(struct coord *coord)
{
    pthread_mutex_init(&coord->share_lock, NULL);
    list_init(&coord->share_waiters);
    coord_clock_init(&coord->share_clock, coord, next_tick_ms, tick);
}

bool shares_open(struct coord *coord, struct err *err)
{
    struct share_owner owner = {coord, limit_of, freed};
    coord->shares = shares_new(&owner);
    if (!state_log_open(&coord->shares_log, coord->storage, STR(SHARE_TOPIC), err) ||
        !replay_open(&coord->shares_replay, &state_log_ops, &coord->shares_log, &shares_class, coord->shares,
                     err))
        return false;
    end_lost(coord);
    step_back(coord);
    return true;
}

void shares_close(struct coord *coord)
{
    replay_close(coord->shares_replay);
    shares_free(coord->shares);
    state_log_close(&coord->shares_log);
    pthread_mutex_destroy(&coord->share_lock);
}

struct replay *coord_shares_replay(struct coord *coord)
{
    return coord->shares_replay;
}

struct shares *coord_shares(struct coord *coord)
{
    return coord->shares;
}
