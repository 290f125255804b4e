/* settings.c - configs that clients change while the broker runs: kept in __cluster_metadata, in force at once.
 *
 *   alter -> decide (topic/resource.c) -> record durable -> settings_take: options of the broker, configs of open logs
 *   start -> replay                                      -> settings_take
 *
 * The value of a broker config, from the strongest to the weakest:
 *   set on the node ("1") | set as default of the cluster ("") | the option the server was started with | the default
 *
 * (G1) What is stored works: a name that is not known, or that nothing here would act on, is refused with the reason.
 * (G2) Changes run one at a time under admin_lock, so that options and logs follow the records in their order.
 * (G3) Options that may change (`live` in the table) are read by LIVE and written here only.
 */
#include "broker/broker_int.h"
#include "conf/conf.h"

static const struct conf_option *option_find(const struct conf_table *table, struct str name)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_eq_cstr(name, table->options[i].name))
            return &table->options[i];
    return NULL;
}

const struct conf_option *broker_option_find(struct str name)
{
    return option_find(&broker_conf_table, name);
}

const struct conf_option *security_option_find(struct str name)
{
    return option_find(&auth_conf_table, name);
}

int topic_config_by_synonym(struct str name)
{
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (str_eq_cstr(name, topic_config_defs[i].synonym))
            return i;
    return -1;
}

static struct str list_text(const struct conf_list *list, struct arena *arena)
{
    struct buf text = {0};
    for (size_t i = 0; i < list->len; i++)
        buf_printf(&text, "%s%.*s", i == 0 ? "" : ",", STR_ARG(list->at[i]));
    struct str out = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return out;
}

struct str option_text(const struct conf_option *option, const void *config, struct arena *arena)
{
    const void *field = (const char *)config + option->offset;
    switch (option->type) {
    case CONF_BOOL:
        return __atomic_load_n((const bool *)field, __ATOMIC_RELAXED) ? STR("true") : STR("false");
    case CONF_INT:
    case CONF_SIZE:
    case CONF_DURATION_MS:
        return str_printf(arena, "%lld",
                          (long long)__atomic_load_n((const int64_t *)field, __ATOMIC_RELAXED));
    case CONF_DOUBLE: {
        int64_t bits = __atomic_load_n((const int64_t *)field, __ATOMIC_RELAXED);
        double number;
        memcpy(&number, &bits, sizeof number);
        return str_printf(arena, "%.15g", number);
    }
    case CONF_ENUM:
        return str_from(option->words[*(const int *)field]);
    case CONF_STRING:
        return *(const struct str *)field;
    case CONF_LIST:
        return list_text(field, arena);
    default: /* a password */
        return STR_NULL;
    }
}

/* The chain of a broker config, see above. */
void broker_config_chain(const struct broker *broker, struct str name, struct str init,
                         struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena)
{
    const struct conf_option *option = broker_option_find(name);
    struct str node =
        resource_setting(topics_resource(broker->topics, RESOURCE_BROKER, STR(NODE_NAME)), name);
    struct str cluster = resource_setting(topics_resource(broker->topics, RESOURCE_BROKER, STR("")), name);
    size_t count = 0;
    if (!str_is_null(node))
        chain[count++] = (struct config_value){str_dup(node, arena), SOURCE_DYNAMIC_BROKER};
    if (!str_is_null(cluster))
        chain[count++] = (struct config_value){str_dup(cluster, arena), SOURCE_DYNAMIC_DEFAULT};
    if (option != NULL) {
        struct str given = option_text(option, &broker->given_config, arena);
        init = option_text(option, &broker->default_config, arena);
        if (!str_eq(given, init))
            chain[count++] = (struct config_value){given, SOURCE_STATIC};
    }
    chain[count++] = (struct config_value){init, SOURCE_DEFAULT};
    while (count < CONFIG_CHAIN_MAX)
        chain[count++] = (struct config_value){STR_NULL, 0};
}

const struct group_config_def group_config_defs[GROUP_SETTINGS] = {
    [GROUP_SESSION_TIMEOUT_MS] = {"consumer.session.timeout.ms", "group.consumer.session.timeout.ms"},
    [GROUP_HEARTBEAT_INTERVAL_MS] = {"consumer.heartbeat.interval.ms",
                                     "group.consumer.heartbeat.interval.ms"},
};

/* --- groups: numbers at hand for their state --- */

/* -1: not set. */
struct group_numbers {
    int64_t at[GROUP_SETTINGS];
};

/* Under the lock of the groups' state, which must not wait for that of the topics: hence a copy with a lock of its own. */
static int64_t group_setting_get(void *arg, struct str group, enum group_setting setting)
{
    struct broker *broker = arg;
    if (!atomic_load_explicit(&broker->any_group_settings, memory_order_acquire))
        return -1;
    pthread_mutex_lock(&broker->group_settings_lock);
    const struct group_numbers *numbers = map_get(&broker->group_numbers, group);
    int64_t value = numbers == NULL ? -1 : numbers->at[setting];
    pthread_mutex_unlock(&broker->group_settings_lock);
    return value;
}

static void group_numbers_clear(struct map *map)
{
    void *numbers;
    for (size_t i = 0; map_next(map, &i, NULL, &numbers);)
        free(numbers);
    map_fini(map);
    *map = (struct map){0};
}

/* Under the lock of the topics' state. */
static void take_groups(struct broker *broker)
{
    struct map all = {0}, before;
    size_t pos = 0;
    for (const struct resource *res; (res = topics_next_resource(broker->topics, &pos)) != NULL;) {
        if (res->type != RESOURCE_GROUP)
            continue;
        struct group_numbers *numbers = mem_new(struct group_numbers);
        for (int i = 0; i < GROUP_SETTINGS; i++)
            if (!str_to_i64(resource_setting(res, str_from(group_config_defs[i].name)), &numbers->at[i]))
                numbers->at[i] = -1;
        map_put(&all, res->name, numbers);
    }
    pthread_mutex_lock(&broker->group_settings_lock);
    before = broker->group_numbers;
    broker->group_numbers = all;
    atomic_store(&broker->any_group_settings, all.len != 0);
    pthread_mutex_unlock(&broker->group_settings_lock);
    group_numbers_clear(&before);
}

/* --- into force --- */

/* Under the lock of the state. A value was checked when it was set. */
static void take_option(struct broker *broker, const struct conf_option *option)
{
    struct config_value chain[CONFIG_CHAIN_MAX];
    struct arena arena = {0};
    void *field = (char *)&broker->config + option->offset;
    union {
        bool on;
        int64_t number;
        double ratio;
    } value = {0};
    struct err err;
    broker_config_chain(broker, str_from(option->name), STR_NULL, chain, &arena);
    if (!conf_parse_value(option, chain[0].value, &value, &arena, &err)) /* a later version allowed more */
        log_warn("broker", "setting_left_out", "cause=\"%s\"", err.text);
    else if (option->type == CONF_BOOL)
        __atomic_store_n((bool *)field, value.on, __ATOMIC_RELAXED);
    else
        __atomic_store_n((int64_t *)field, value.number, __ATOMIC_RELAXED); /* of a double: its bits */
    arena_fini(&arena);
}

void settings_take(struct broker *broker)
{
    replay_lock(broker->topics_replay);
    for (size_t i = 0; i < broker_conf_table.count; i++)
        if (broker_conf_table.options[i].live)
            take_option(broker, &broker_conf_table.options[i]);
    take_groups(broker);
    replay_unlock(broker->topics_replay);
    kafka_listeners_limit(broker);
    quotas_changed(broker); /* the length of windows may have changed too */
}

static void on_limits_changed(struct loop_call *call)
{
    struct broker *broker = LIST_ENTRY(call, struct broker, settings_call);
    if (loop_timer_is_on(&broker->retention_timer)) /* else it stops, or has not begun */
        loop_timer_start(&broker->retention_timer, LIVE(broker, retention_check_interval_ms));
}

void settings_init(struct broker *broker)
{
    loop_call_init(&broker->settings_call, on_limits_changed);
    pthread_mutex_init(&broker->group_settings_lock, NULL);
    broker->group_settings = (struct group_settings){broker, group_setting_get};
}

void settings_fini(struct broker *broker)
{
    group_numbers_clear(&broker->group_numbers);
    pthread_mutex_destroy(&broker->group_settings_lock);
}

/* --- checks --- */

/* Kafka answers all of these with INVALID_REQUEST. */
static bool check_option(const struct conf_option *option, struct str value, struct err *err)
{
    struct arena arena = {0};
    int64_t scratch[4], number;
    bool good = true;
    if (!option->live)
        good =
            err_set(err, ERR_INVALID_REQUEST, "Cannot update these configs dynamically: [%s]", option->name);
    /* The option table also reads "7d" and "1GiB"; Kafka's tools would not. */
    else if (option->type != CONF_BOOL && !str_to_i64(value, &number))
        good = err_set(err, ERR_INVALID_REQUEST,
                       "Invalid value %.*s for configuration %s: Not a number of type LONG", STR_ARG(value),
                       option->name);
    else if (!conf_parse_value(option, value, scratch, &arena, err)) {
        good = false;
        if (err != NULL)
            err->code = ERR_INVALID_REQUEST;
    }
    arena_fini(&arena);
    return good;
}

/* A value that a broker config would have: G1. */
static bool check_broker_setting(void *arg, struct str name, struct str value, struct err *err)
{
    const struct conf_option *option = broker_option_find(name);
    int config = topic_config_by_synonym(name);
    if (broker_fact_is(name) || security_option_find(name) != NULL)
        return err_set(err, ERR_INVALID_REQUEST, "Cannot update these configs dynamically: [%.*s]",
                       STR_ARG(name));
    if (option == NULL && config < 0)
        return err_set(err, ERR_INVALID_CONFIG, "Unknown broker config name: %.*s", STR_ARG(name));
    return (option == NULL || check_option(option, value, err)) &&
           (config < 0 || topic_config_check(config, value, err));
}

static bool check_group_setting(void *arg, struct str name, struct str value, struct err *err)
{
    int i = 0;
    int64_t number;
    while (i < GROUP_SETTINGS && !str_eq_cstr(name, group_config_defs[i].name))
        i++;
    if (i == GROUP_SETTINGS)
        return err_set(err, ERR_INVALID_CONFIG, "Unknown group config name: %.*s", STR_ARG(name));
    return (str_to_i64(value, &number) && number >= 1 && number <= INT32_MAX) ||
           err_set(err, ERR_INVALID_CONFIG,
                   "Invalid value %.*s for configuration %s: a number from 1 to %d is wanted", STR_ARG(value),
                   group_config_defs[i].name, INT32_MAX);
}

/* --- changes --- */

bool settings_alter(struct broker *broker, struct resource_alter *req, struct err *err)
{
    bool of_broker = req->type == RESOURCE_BROKER, of_group = req->type == RESOURCE_GROUP;
    ASSERT(of_broker || of_group || req->type == RESOURCE_QUOTA); /* quotas are checked by api_quotas.c */
    req->check = of_broker ? check_broker_setting : of_group ? check_group_setting : NULL;
    req->now_ms = io_now_ms(broker->io);
    pthread_mutex_lock(&broker->admin_lock);
    bool good = replay_run_durable(broker->topics_replay, resources_decide_alter, req, err);
    if (good && of_broker && !req->check_only) {
        settings_take(broker);
        topics_configure(broker, STR_NULL);
        loop_post(net_loop(broker->net, 0), &broker->settings_call);
    }
    if (good && req->type == RESOURCE_QUOTA && !req->check_only)
        quotas_changed(broker);
    if (good && of_group && !req->check_only) {
        replay_lock(broker->topics_replay);
        take_groups(broker);
        replay_unlock(broker->topics_replay);
    }
    pthread_mutex_unlock(&broker->admin_lock);
    if (good && !req->check_only)
        log_info("broker", "settings_changed", "type=%d name=%.*s", (int)req->type, STR_ARG(req->name));
    return good;
}

bool topics_alter(struct broker *broker, struct topic_alter *req, struct err *err)
{
    if (is_internal_topic(req->name))
        return err_set(err, ERR_INVALID_REQUEST, "'%.*s' is internal: its configs are the broker's own",
                       STR_ARG(req->name));
    req->now_ms = io_now_ms(broker->io);
    pthread_mutex_lock(&broker->admin_lock);
    bool good = replay_run_durable(broker->topics_replay, topics_decide_alter, req, err);
    if (good && !req->check_only)
        topics_configure(broker, req->name);
    pthread_mutex_unlock(&broker->admin_lock);
    if (good && !req->check_only)
        log_info("broker", "topic_altered", "topic=%.*s", STR_ARG(req->name));
    return good;
}

struct str topic_setting_clamped(const struct broker *broker, struct str name, struct str value)
{
    int64_t number;
    bool clamped = LIVE(broker, clamp_replication_factor) && str_eq(name, STR("min.insync.replicas")) &&
                   str_to_i64(value, &number) && number > 1;
    return clamped ? STR("1") : value;
}
