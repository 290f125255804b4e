/* group_configs.c - what can be set for one group: a table of names, defaults and bounds.
 *
 *   a group's setting (text, in __cluster_metadata) --parse--> a number at hand for the states (group_settings.c)
 *
 * A setting without an option of the broker behind it has its default here. Bounds are options: a change is held against them,
 * and so is the option itself; what was set when they were wider is taken for the bound itself. All as Apache Kafka has it.
 */
#include "coord/coord_int.h"

enum { TYPE_BOOLEAN = 1, TYPE_STRING = 2, TYPE_INT = 3 };

/* --- values --- */

static bool parse_number(struct str value, int64_t *out)
{
    return str_to_i64(value, out) && *out >= 1 && *out <= INT32_MAX;
}

static bool parse_count(struct str value, int64_t *out)
{
    return str_to_i64(value, out) && *out >= 0 && *out <= INT32_MAX;
}

static bool parse_bool(struct str value, int64_t *out)
{
    *out = str_eq_nocase(value, STR("true"));
    return *out || str_eq_nocase(value, STR("false"));
}

static bool parse_isolation(struct str value, int64_t *out)
{
    *out = str_eq(value, STR("read_committed")) ? LOG_READ_COMMITTED : LOG_UP_TO_HW;
    return *out == LOG_READ_COMMITTED || str_eq(value, STR("read_uncommitted"));
}

/* One part of a duration, "12H" or "1.5S", off the front; *ms grows. */
static bool take_part(struct str *rest, bool of_day, int64_t *ms)
{
    static const struct {
        char letter;
        bool of_day;
        int64_t ms;
    } units[] = {{'D', true, 86400000}, {'H', false, 3600000}, {'M', false, 60000}, {'S', false, 1000}};
    size_t len = 0;
    double number;
    while (len < rest->len && ((rest->ptr[len] >= '0' && rest->ptr[len] <= '9') || rest->ptr[len] == '.'))
        len++;
    if (len == 0 || len == rest->len || !str_to_double(str_sub(*rest, 0, len), &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        double part_ms = number * (double)units[i].ms;
        if (units[i].letter != (rest->ptr[len] & ~0x20) || units[i].of_day != of_day ||
            part_ms > (double)(INT64_MAX / 4))
            continue;
        *ms += (int64_t)part_ms;
        *rest = str_sub(*rest, len + 1, rest->len);
        return *ms <= INT64_MAX / 4;
    }
    return false;
}

/* An ISO 8601 duration of days, hours, minutes and seconds: P1DT2H3M4.5S. */
static bool parse_duration(struct str text, int64_t *ms)
{
    struct str rest = text;
    *ms = 0;
    if (rest.len < 3 || (rest.ptr[0] & ~0x20) != 'P')
        return false;
    rest = str_sub(rest, 1, rest.len);
    if (rest.ptr[0] != 'T' && rest.ptr[0] != 't' && !take_part(&rest, true, ms))
        return false;
    if (rest.len == 0)
        return true;
    if ((rest.ptr[0] & ~0x20) != 'T' || rest.len == 1)
        return false;
    rest = str_sub(rest, 1, rest.len);
    while (rest.len != 0)
        if (!take_part(&rest, false, ms))
            return false;
    return true;
}

static bool parse_reset(struct str value, int64_t *out)
{
    const struct str back = STR("by_duration:");
    *out = str_eq(value, STR("earliest")) ? SHARE_RESET_EARLIEST : SHARE_RESET_LATEST;
    if (*out == SHARE_RESET_EARLIEST || str_eq(value, STR("latest")))
        return true;
    if (!str_starts_with(value, back) || !parse_duration(str_sub(value, back.len, value.len), out))
        return false;
    *out += SHARE_RESET_BACK;
    return true;
}

/* --- the table --- */

/* A number with its option and the options that bound it. */
#define BOUNDED(kind, text, field, how, is_live)                                                     \
    {                                                                                                \
        .name = kind "." text, .synonym = "group." kind "." text, .low = "group." kind ".min." text, \
        .high = "group." kind ".max." text, .at = offsetof(struct coord_config, field),              \
        .low_at = offsetof(struct coord_config, field##_min),                                        \
        .high_at = offsetof(struct coord_config, field##_max), .type = TYPE_INT, .live = (is_live),  \
        .parse = (how)                                                                               \
    }
#define NUMBER(kind, text, field) BOUNDED(kind, text, field, parse_number, false)
#define INTERVAL(kind, field)     BOUNDED(kind, "assignment.interval.ms", field, parse_count, true)
#define SHARE(text, field)        NUMBER("share", text, field)
#define PLAIN(kind, text, how)                                                                     \
    {                                                                                              \
        .name = kind "." text, .synonym = "group." kind "." text, .type = TYPE_INT, .parse = (how) \
    }

const struct group_config_def group_config_defs[GROUP_SETTINGS] = {
    [GROUP_SESSION_TIMEOUT_MS] = NUMBER("consumer", "session.timeout.ms", consumer_session_timeout_ms),
    [GROUP_HEARTBEAT_INTERVAL_MS] =
        NUMBER("consumer", "heartbeat.interval.ms", consumer_heartbeat_interval_ms),
    [GROUP_ASSIGNMENT_INTERVAL_MS] = INTERVAL("consumer", consumer_assignment_interval_ms),
    [GROUP_SHARE_SESSION_TIMEOUT_MS] = SHARE("session.timeout.ms", share_session_timeout_ms),
    [GROUP_SHARE_HEARTBEAT_INTERVAL_MS] = SHARE("heartbeat.interval.ms", share_heartbeat_interval_ms),
    [GROUP_SHARE_ASSIGNMENT_INTERVAL_MS] = INTERVAL("share", share_assignment_interval_ms),
    [GROUP_STREAMS_SESSION_TIMEOUT_MS] = NUMBER("streams", "session.timeout.ms", streams_session_timeout_ms),
    [GROUP_STREAMS_HEARTBEAT_INTERVAL_MS] =
        NUMBER("streams", "heartbeat.interval.ms", streams_heartbeat_interval_ms),
    [GROUP_STREAMS_STANDBY_COUNT] = {.name = "streams.num.standby.replicas",
                                     .synonym = "group.streams.num.standby.replicas",
                                     .high = "group.streams.max.standby.replicas",
                                     .at = offsetof(struct coord_config, streams_standby_count),
                                     .high_at = offsetof(struct coord_config, streams_standby_count_max),
                                     .type = TYPE_INT,
                                     .parse = parse_count},
    [GROUP_STREAMS_INITIAL_DELAY_MS] = PLAIN("streams", "initial.rebalance.delay.ms", parse_count),
    [GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS] = INTERVAL("streams", streams_assignment_interval_ms),
    [GROUP_SHARE_LOCK_MS] = SHARE("record.lock.duration.ms", share_lock_ms),
    [GROUP_SHARE_DELIVERIES_MAX] = SHARE("delivery.count.limit", share_deliveries_max),
    [GROUP_SHARE_LOCKS_MAX] = SHARE("partition.max.record.locks", share_locks_max),
    [GROUP_SHARE_OFFSET_RESET] =
        {.name = "share.auto.offset.reset",
         .init = "latest",
         .doc = "Where a share group begins in a partition that it meets: latest, earliest, or "
                "by_duration:<ISO 8601 duration> back from now.",
         .type = TYPE_STRING,
         .parse = parse_reset},
    [GROUP_SHARE_ISOLATION] = {.name = "share.isolation.level",
                               .init = "read_uncommitted",
                               .doc =
                                   "Whether a share group is delivered records of transactions that are not "
                                   "decided or were aborted: read_uncommitted, read_committed.",
                               .type = TYPE_STRING,
                               .parse = parse_isolation},
    [GROUP_SHARE_RENEW] = {.name = "share.renew.acknowledge.enable",
                           .init = "true",
                           .doc = "Members of a share group may ask to keep records for longer.",
                           .type = TYPE_BOOLEAN,
                           .parse = parse_bool},
};

bool group_config_parse(enum group_setting setting, struct str value, int64_t *out)
{
    return !str_is_null(value) && group_config_defs[setting].parse(value, out);
}

static int64_t option_at(const struct coord_config *config, size_t at)
{
    return *(const int64_t *)((const char *)config + at);
}

static bool check_bounds(const struct coord_config *config, const struct group_config_def *def,
                         const char *name, int64_t number, struct err *err)
{
    if (def->low != NULL && number < option_at(config, def->low_at))
        return err_set(err, ERR_INVALID_CONFIG, "%s must be greater than or equal to %s (%lld)", name,
                       def->low, (long long)option_at(config, def->low_at));
    if (def->high != NULL && number > option_at(config, def->high_at))
        return err_set(err, ERR_INVALID_CONFIG, "%s must be less than or equal to %s (%lld)", name, def->high,
                       (long long)option_at(config, def->high_at));
    return true;
}

bool coord_group_setting_check(void *arg, struct str name, struct str value, struct err *err)
{
    const struct coord *coord = arg;
    int i = 0;
    int64_t number;
    while (i < GROUP_SETTINGS && !str_eq_cstr(name, group_config_defs[i].name))
        i++;
    if (i == GROUP_SETTINGS)
        return err_set(err, ERR_INVALID_CONFIG, "Unknown group config name: %.*s", STR_ARG(name));
    const struct group_config_def *def = &group_config_defs[i];
    if (!def->parse(value, &number))
        return err_set(err, ERR_INVALID_CONFIG, "Invalid value %.*s for configuration %s%s", STR_ARG(value),
                       def->name,
                       def->parse == parse_number  ? ": a number from 1 to 2147483647 is wanted"
                       : def->parse == parse_count ? ": a number from 0 to 2147483647 is wanted"
                                                   : "");
    return check_bounds(coord->config, def, def->name, number, err);
}

int64_t group_config_clamp(const struct coord_config *config, enum group_setting setting, int64_t number)
{
    const struct group_config_def *def = &group_config_defs[setting];
    if (def->low != NULL && number < option_at(config, def->low_at))
        return option_at(config, def->low_at);
    return def->high != NULL ? MIN(number, option_at(config, def->high_at)) : number;
}

int64_t group_config_live(const struct coord_config *config, enum group_setting setting)
{
    const struct group_config_def *def = &group_config_defs[setting];
    if (!def->live)
        return -1;
    const int64_t *option = (const int64_t *)((const char *)config + def->at);
    return group_config_clamp(config, setting, __atomic_load_n(option, __ATOMIC_RELAXED));
}

bool coord_option_check(const struct coord *coord, struct str name, struct str value, struct err *err)
{
    int64_t number;
    for (int i = 0; i < GROUP_SETTINGS; i++) {
        const struct group_config_def *def = &group_config_defs[i];
        if (def->synonym == NULL || !str_eq_cstr(name, def->synonym) || !def->parse(value, &number) ||
            check_bounds(coord->config, def, def->synonym, number, err))
            continue;
        if (err != NULL)
            err->code = ERR_INVALID_REQUEST; /* as of any option that cannot be so */
        return false;
    }
    return true;
}

/* Which settings are a session's length, and which the time between the heartbeats that keep it. */
static const struct {
    enum group_setting session, heartbeat;
} sessions[] = {
    {GROUP_SESSION_TIMEOUT_MS, GROUP_HEARTBEAT_INTERVAL_MS},
    {GROUP_SHARE_SESSION_TIMEOUT_MS, GROUP_SHARE_HEARTBEAT_INTERVAL_MS},
    {GROUP_STREAMS_SESSION_TIMEOUT_MS, GROUP_STREAMS_HEARTBEAT_INTERVAL_MS},
};

/* The group's own, else the option. */
static int64_t set_or_option(const struct coord_config *config, enum group_setting setting,
                             const struct topic_setting *settings, size_t count)
{
    const struct group_config_def *def = &group_config_defs[setting];
    int64_t number;
    for (size_t i = 0; i < count; i++)
        if (str_eq_cstr(settings[i].name, def->name) && def->parse(settings[i].value, &number))
            return number;
    return option_at(config, def->at);
}

bool coord_group_settings_agree(void *arg, const struct topic_setting *settings, size_t count,
                                struct err *err)
{
    const struct coord_config *config = ((const struct coord *)arg)->config;
    for (size_t i = 0; i < COUNT_OF(sessions); i++)
        if (set_or_option(config, sessions[i].session, settings, count) <=
            set_or_option(config, sessions[i].heartbeat, settings, count))
            return err_set(err, ERR_INVALID_CONFIG, "%s must be greater than %s",
                           group_config_defs[sessions[i].session].name,
                           group_config_defs[sessions[i].heartbeat].name);
    return true;
}

bool group_options_check(const struct coord_config *config, struct err *err)
{
    if (config->group_session_timeout_ms_max < config->group_session_timeout_ms_min)
        return err_set(
            err, ERR_INVALID_CONFIG,
            "group.max.session.timeout.ms must be greater than or equal to group.min.session.timeout.ms");
    for (int i = 0; i < GROUP_SETTINGS; i++) {
        const struct group_config_def *def = &group_config_defs[i];
        if (def->low != NULL && option_at(config, def->high_at) < option_at(config, def->low_at))
            return err_set(err, ERR_INVALID_CONFIG, "%s must be greater than or equal to %s", def->high,
                           def->low);
        if (def->high != NULL && !check_bounds(config, def, def->synonym, option_at(config, def->at), err))
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(sessions); i++) {
        const struct group_config_def *session = &group_config_defs[sessions[i].session],
                                      *heartbeat = &group_config_defs[sessions[i].heartbeat];
        if (option_at(config, heartbeat->at) >= option_at(config, session->at))
            return err_set(err, ERR_INVALID_CONFIG, "%s must be less than %s", heartbeat->synonym,
                           session->synonym);
    }
    return true;
}
