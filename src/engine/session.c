/* session.c - properties and variables of a request.
 *
 * A property is known by its plain name (auto.offset.reset) or with ksqlDB's prefixes (ksql.streams., and
 * consumer. / producer. below it); it is stored by its plain name. What SET may change stands in one table, which
 * SHOW PROPERTIES and /is_valid_property read too.
 */
#include "engine/engine_int.h"

struct known_property {
    const char *name;
    const char *default_value; /* NULL: none */
    bool per_query;            /* SET and streamsProperties may change it */
};

/* Only properties that something in rialto reads. */
static const struct known_property known_properties[] = {
    {"auto.offset.reset", "latest", true},
    {"ksql.functions.collect_list.limit", "2147483647", true},
    {"ksql.functions.collect_set.limit", "2147483647", true},
    {"ksql.output.topic.name.prefix", "", false},
    {"ksql.persistence.default.format.key", "KAFKA", true},
    {"ksql.persistence.default.format.value", NULL, true},
    {"ksql.persistence.wrap.single.values", NULL, true},
    {"ksql.query.pull.limit.clause.enabled", "true", true},
    {"ksql.query.pull.range.scan.enabled", "true", true},
    {"ksql.query.pull.stream.enabled", "true", true},
    {"ksql.query.pull.table.scan.enabled", "true", true},
    {"ksql.query.push.v2.enabled", "false", true},
    {"ksql.service.id", "default_", false},
    {"ksql.timestamp.throw.on.invalid", "false", true},
};

/* Properties of the original that say how, not what: they change no result, and are accepted so that scripts run. */
static const char *const accepted_names[] = {
    "buffered.records.per.partition",
    "cache.max.bytes.buffering",
    "commit.interval.ms",
    "ksql.headers.columns.enabled",
    "ksql.lambdas.enabled",
    "ksql.suppress.enabled",
    "max.task.idle.ms",
    "num.stream.threads",
    "processing.guarantee",
    "statestore.cache.max.bytes",
    "topology.optimization",
};

static struct str plain_name(struct str name)
{
    static const struct str prefixes[] = {STR_INIT("ksql.streams."), STR_INIT("consumer."),
                                          STR_INIT("producer.")};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts_with(name, prefixes[i]))
            name = str_sub(name, prefixes[i].len, name.len);
    return name;
}

static const struct known_property *find_property(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(known_properties); i++)
        if (str_eq_cstr(name, known_properties[i].name))
            return &known_properties[i];
    return NULL;
}

bool session_property_at(uint32_t i, struct str *name, struct str *default_value)
{
    if (i >= COUNT_OF(known_properties))
        return false;
    *name = str_from(known_properties[i].name);
    *default_value = str_from(known_properties[i].default_value);
    return true;
}

bool session_check_property(struct str name, struct err *err)
{
    struct str plain = plain_name(name);
    const struct known_property *property = find_property(plain);
    if (property != NULL && !property->per_query)
        return err_set(
            err, ERR_STATEMENT,
            "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to "
            "reset their default value): [%.*s]",
            STR_ARG(name));
    if (property != NULL)
        return true;
    for (size_t i = 0; i < COUNT_OF(accepted_names); i++)
        if (str_eq_cstr(plain, accepted_names[i]))
            return true;
    return err_set(err, ERR_STATEMENT,
                   "Not recognizable as ksql, streams, consumer, or producer property: '%.*s'; SHOW "
                   "PROPERTIES lists what "
                   "may be set",
                   STR_ARG(name));
}

bool engine_property_is_valid(struct str name, struct err *err)
{
    return session_check_property(name, err);
}

void session_set(struct session *session, struct map *map, struct str name, struct str value)
{
    struct str *copy = arena_new(session->arena, struct str);
    *copy = str_dup(value, session->arena);
    map_put(map, map == &session->properties ? plain_name(name) : name, copy);
}

static void copy_all(struct session *session, struct map *to, const struct map *from)
{
    struct str name;
    void *value;
    for (size_t pos = 0; from != NULL && map_next(from, &pos, &name, &value);)
        session_set(session, to, name, *(const struct str *)value);
}

void session_init(struct session *session, const struct engine *engine, const struct engine_session *from,
                  struct arena *arena)
{
    *session = (struct session){.arena = arena};
    copy_all(session, &session->properties, engine->options.properties);
    if (from != NULL) {
        copy_all(session, &session->properties, from->properties);
        copy_all(session, &session->variables, from->variables);
    }
}

void session_fini(struct session *session)
{
    map_fini(&session->properties);
    map_fini(&session->variables);
}

struct str session_text(const struct session *session, const char *name)
{
    const struct str *value = map_get(&session->properties, str_from(name));
    return value != NULL ? *value : STR_NULL;
}

static int64_t limit_of(const struct session *session, const char *name)
{
    int64_t limit;
    struct str text = session_text(session, name);
    return !str_is_null(text) && str_to_i64(text, &limit) && limit >= 0 ? limit : INT32_MAX;
}

struct func_settings session_func_settings(const struct session *session)
{
    return (struct func_settings){
        .collect_list_limit = limit_of(session, "ksql.functions.collect_list.limit"),
        .collect_set_limit = limit_of(session, "ksql.functions.collect_set.limit"),
    };
}

struct query_options session_query_options(const struct session *session, struct str id, struct str statement)
{
    return (struct query_options){
        .id = id,
        .statement = statement,
        .from_earliest = str_eq_nocase(session_text(session, "auto.offset.reset"), STR("earliest")),
        .fail_on_timestamp =
            str_eq_nocase(session_text(session, "ksql.timestamp.throw.on.invalid"), STR("true")),
        .func_settings = session_func_settings(session),
    };
}
