/* settings.c - configs that clients change while the broker runs: kept in __cluster_metadata, in force at once.
 *
 *   alter -> decide (topic/resource.c) -> record durable -> settings_take: options of the broker, configs of open logs
 *   start -> storage_open                                -> settings_take
 *
 * What the value of a config is: storage/configs.c.
 *
 * (G1) What is stored works: a name that is not known, or that nothing here would act on, is refused with the reason.
 * (G2) Changes run one at a time in storage, so that options and logs follow the records in their order.
 * (G3) Options that may change (`live` in the table) are read by LIVE and written here only.
 */
#include "broker/broker_int.h"
#include "conf/conf.h"

const struct conf_option *broker_option_find(struct str name)
{
    return conf_option_find(&broker_conf_table, name);
}

const struct conf_option *fixed_option_find(struct str name)
{
    const struct conf_option *option = conf_option_find(&auth_conf_table, name);
    return option != NULL ? option : conf_option_find(&net_tls_conf_table, name);
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
    config_chain(broker->storage, str_from(option->name), STR_NULL, chain, &arena);
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
    storage_topics_lock(broker->storage);
    for (size_t i = 0; i < broker_conf_table.count; i++)
        if (broker_conf_table.options[i].live)
            take_option(broker, &broker_conf_table.options[i]);
    storage_topics_unlock(broker->storage);
    coord_group_settings_take(broker->coord);
    kafka_listeners_limit(broker);
    quotas_changed(broker->quotas); /* the length of windows may have changed too */
}

/* --- checks --- */

/* `option`: what is read once, or NULL for a fact. */
static bool refuse_fixed(struct str name, const struct conf_option *option, struct err *err)
{
    const struct conf_table *tls = &net_tls_conf_table;
    bool of_files = option >= tls->options && option < tls->options + tls->count;
    return err_set(err, ERR_INVALID_REQUEST, "Cannot update these configs dynamically: [%.*s]%s",
                   STR_ARG(name), of_files ? "; files of certificates are read again when they change" : "");
}

/* Kafka answers all of these with INVALID_REQUEST. */
static bool check_option(const struct conf_option *option, struct str value, struct err *err)
{
    struct arena arena = {0};
    int64_t scratch[4], number;
    bool good = true;
    /* The option table also reads "7d" and "1GiB"; Kafka's tools would not. */
    if (option->type != CONF_BOOL && !str_to_i64(value, &number))
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

static bool refuse_unknown(struct str name, struct err *err)
{
    const char *why = broker_option_foreign(name);
    return err_set(err, ERR_INVALID_CONFIG, "Unknown broker config name: %.*s%s%s", STR_ARG(name),
                   why != NULL ? ": " : "", why != NULL ? why : "");
}

/* A value that a broker config would have: G1. */
static bool check_broker_setting(void *arg, struct str name, struct str value, struct err *err)
{
    const struct broker *broker = arg;
    const struct conf_option *option = str_starts_with(name, STR(LISTENER_OPTION))
                                           ? listener_option_find(arg, name)
                                           : broker_option_find(name);
    int config = topic_config_by_synonym(name);
    if (option == NULL)
        option = fixed_option_find(name);
    if (broker_fact_is(name) || (option != NULL && !option->live))
        return refuse_fixed(name, option, err);
    if (option == NULL && config < 0)
        return refuse_unknown(name, err);
    return (option == NULL ||
            (check_option(option, value, err) && coord_option_check(broker->coord, name, value, err))) &&
           (config < 0 || topic_config_check(config, value, err));
}

/* --- changes --- */

static void take_broker(void *arg)
{
    struct broker *broker = arg;
    settings_take(broker);
    storage_configure(broker->storage);
}

static void take_quotas(void *arg)
{
    quotas_changed(((struct broker *)arg)->quotas);
}

static void take_group(void *arg)
{
    coord_group_settings_take(((struct broker *)arg)->coord);
}

bool settings_alter(struct broker *broker, struct resource_alter *req, struct err *err)
{
    bool of_broker = req->type == RESOURCE_BROKER, of_group = req->type == RESOURCE_GROUP;
    ASSERT(of_broker || of_group || req->type == RESOURCE_QUOTA); /* quotas are checked by api_quotas.c */
    req->check = of_broker ? check_broker_setting : of_group ? coord_group_setting_check : NULL;
    req->agree = of_group ? coord_group_settings_agree : NULL;
    req->check_arg = of_group ? (void *)broker->coord : broker;
    return storage_resource_alter(broker->storage, req,
                                  of_broker  ? take_broker
                                  : of_group ? take_group
                                             : take_quotas,
                                  broker, err);
}

struct str topic_setting_clamped(const struct broker *broker, struct str name, struct str value)
{
    int64_t number;
    bool clamped = LIVE(broker, clamp_replication_factor) && str_eq(name, STR("min.insync.replicas")) &&
                   str_to_i64(value, &number) && number > 1;
    return clamped ? STR("1") : value;
}
