/* api_configs_broker.c - DescribeConfigs of the broker.
 *
 *   "1"   options of this broker | those read once (users, rights, certificates) | those of its listeners
 *         | defaults of topic configs under the broker's names | facts of a single node
 *   ""    what is set as default of the cluster
 *
 * A password is a row without a value. All under the lock of the topics' state, which settings are part of.
 */
#include "broker/configs_int.h"
#include "conf/conf.h"

enum { HOUR_MS = 3600000, MINUTE_MS = 60000 };

static struct str units(int64_t ms, int64_t unit_ms, struct arena *arena)
{
    return str_printf(arena, "%lld", (long long)(ms < 0 ? -1 : ms / unit_ms));
}

static struct str logs_dir(const struct broker *broker, struct arena *arena)
{
    return str_printf(arena, "%.*s/log", STR_ARG(broker->config.storage.data_dir));
}

bool broker_fact_is(struct str name)
{
    static const char *const names[] = {
#define F(name, type, value, init) name,
#include "broker/facts.def"
#undef F
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_cstr(name, names[i]))
            return true;
    return false;
}

/* How many rows the options of listeners may take. */
static size_t count_listener_options(const struct broker *broker)
{
    const struct resource *node =
        topics_resource(storage_topics(broker->storage), RESOURCE_BROKER, STR(NODE_NAME));
    const struct resource *all = topics_resource(storage_topics(broker->storage), RESOURCE_BROKER, STR(""));
    return broker->config.listener_options.len + (node != NULL ? node->setting_count : 0) +
           (all != NULL ? all->setting_count : 0);
}

static void describe_facts(struct request *req, const asked_resource *asked, result_row *row)
{
    const struct broker *broker = req->broker;
    struct arena *a = &req->arena;
    struct str address = str_printf(a, "%.*s://%.*s:%d", STR_ARG(req->listener->name),
                                    STR_ARG(req->listener->host), req->listener->port);
    const struct {
        const char *name;
        int type;
        struct str value, init;
    } facts[] = {
#define F(name, type, value, init) {name, TYPE_##type, value, init},
#include "broker/facts.def"
#undef F
    };
    config_rows_alloc(req, row,
                      COUNT_OF(facts) + broker_conf_table.count + auth_conf_table.count +
                          net_tls_conf_table.count + count_listener_options(broker) + TOPIC_CONFIG_COUNT);
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct config_value chain[CONFIG_CHAIN_MAX] = {{facts[i].value, SOURCE_STATIC},
                                                       {facts[i].init, SOURCE_DEFAULT}};
        if (str_is_null(facts[i].value) || str_eq(facts[i].value, facts[i].init))
            memmove(&chain[0], &chain[1], (CONFIG_CHAIN_MAX - 1) * sizeof *chain);
        config_row *config = config_row_add(req, asked, row, facts[i].name, facts[i].type, chain[0],
                                            "A fact of this node, or of how it was started.");
        if (config != NULL)
            config->ReadOnly = true;
        config_row_synonyms(req, config, str_from(facts[i].name), chain);
    }
}

static int type_of_option(const struct conf_option *option)
{
    switch (option->type) {
    case CONF_BOOL:
        return TYPE_BOOL;
    case CONF_INT:
    case CONF_SIZE:
    case CONF_DURATION_MS:
        return option->max > INT32_MAX ? TYPE_LONG : TYPE_INT;
    case CONF_DOUBLE:
        return TYPE_DOUBLE;
    case CONF_LIST:
        return TYPE_LIST;
    case CONF_PASSWORD:
        return TYPE_PASSWORD;
    default:
        return option->kafka_type != NULL && strcmp(option->kafka_type, "LIST") == 0 ? TYPE_LIST
                                                                                     : TYPE_STRING;
    }
}

static void describe_option(struct request *req, const asked_resource *asked, result_row *row,
                            const struct conf_option *option)
{
    struct config_value chain[CONFIG_CHAIN_MAX];
    struct str name = str_from(option->name);
    config_chain(req->broker->storage, name, STR_NULL, chain, &req->arena);
    if (config_default_is_null(name))
        config_chain_hide_default(chain);
    config_row *config =
        config_row_add(req, asked, row, option->name, type_of_option(option), chain[0], option->doc);
    if (config != NULL) {
        config->ReadOnly = !option->live;
        config->IsSensitive = option->type == CONF_PASSWORD; /* its text is null */
    }
    config_row_synonyms(req, config, name, chain);
}

/* Options that are read once, at the start: users and rights, certificates. */
struct fixed_options {
    const struct conf_table *table;
    const void *given, *defaults;
};

static void fixed_chain(const struct fixed_options *fixed, const struct conf_option *option,
                        struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena)
{
    struct str init = conf_option_text(option, fixed->defaults, arena);
    struct str value = conf_option_text(option, fixed->given, arena);
    memset(chain, 0, CONFIG_CHAIN_MAX * sizeof *chain);
    if (value.len == 0 && option->type != CONF_LIST &&
        !str_eq_cstr(STR("authorizer.class.name"), option->name))
        value = init = STR_NULL; /* nothing is set, for which Kafka has null, but for this one */
    chain[0] = (struct config_value){value, str_eq(value, init) ? SOURCE_DEFAULT : SOURCE_STATIC};
}

static void describe_fixed(struct request *req, const asked_resource *asked, result_row *row,
                           const struct fixed_options *fixed)
{
    for (size_t i = 0; i < fixed->table->count; i++) {
        const struct conf_option *option = &fixed->table->options[i];
        struct config_value chain[CONFIG_CHAIN_MAX];
        fixed_chain(fixed, option, chain, &req->arena);
        config_row *config =
            config_row_add(req, asked, row, option->name, type_of_option(option), chain[0], option->doc);
        if (config != NULL) {
            config->ReadOnly = true;
            config->IsSensitive = option->type == CONF_PASSWORD;
        }
        config_row_synonyms(req, config, str_from(option->name), chain);
    }
}

/* listener.name.*: what is set of one listener, then the option's own chain. */
static void describe_scoped(struct request *req, const asked_resource *asked, result_row *row,
                            struct str name, const struct fixed_options *fixed, size_t fixed_count)
{
    const struct broker *broker = req->broker;
    const struct conf_option *option = listener_option_find(broker, name);
    struct config_value own[CONFIG_CHAIN_MAX], chain[CONFIG_CHAIN_MAX];
    if (option == NULL) /* a setting of a listener that is no more */
        return;
    listener_config_chain(broker, name, own, &req->arena);
    for (int i = 0; i < CONFIG_CHAIN_MAX && option->type == CONF_PASSWORD; i++)
        own[i].value = STR_NULL;
    config_row *config = config_row_add(req, asked, row, str_cstr(name, &req->arena), type_of_option(option),
                                        own[0], option->doc);
    if (config != NULL) {
        config->ReadOnly = !option->live;
        config->IsSensitive = option->type == CONF_PASSWORD;
    }
    config_chain(broker->storage, str_from(option->name), STR_NULL, chain, &req->arena);
    for (size_t f = 0; f < fixed_count; f++)
        if (option >= fixed[f].table->options && option < fixed[f].table->options + fixed[f].table->count)
            fixed_chain(&fixed[f], option, chain, &req->arena);
    config_row_synonyms(req, config, name, own);
    config_row_synonyms(req, config, str_from(option->name), chain);
}

/* Options of listeners: those that the server was started with, then those that were set and were not among them. */
static void describe_listeners(struct request *req, const asked_resource *asked, result_row *row,
                               const struct fixed_options *fixed, size_t fixed_count)
{
    const struct broker *broker = req->broker;
    const struct conf_pairs *pairs = &broker->config.listener_options;
    static const char *const resources[] = {NODE_NAME, ""};
    for (size_t i = 0; i < pairs->len; i++)
        describe_scoped(req, asked, row,
                        str_printf(&req->arena, LISTENER_OPTION "%.*s", STR_ARG(pairs->at[i].name)), fixed,
                        fixed_count);
    for (size_t r = 0; r < COUNT_OF(resources); r++) {
        const struct resource *res =
            topics_resource(storage_topics(broker->storage), RESOURCE_BROKER, str_from(resources[r]));
        const struct resource *node =
            topics_resource(storage_topics(broker->storage), RESOURCE_BROKER, STR(NODE_NAME));
        for (size_t i = 0; res != NULL && i < res->setting_count; i++) {
            struct str name = res->settings[i].name;
            bool said = !str_is_null(listener_option_given(broker, name)) ||
                        (r > 0 && !str_is_null(resource_setting(node, name)));
            if (str_starts_with(name, STR(LISTENER_OPTION)) && !said)
                describe_scoped(req, asked, row, name, fixed, fixed_count);
        }
    }
}

static void describe_options(struct request *req, const asked_resource *asked, result_row *row)
{
    static const struct net_tls_options no_tls;
    struct auth_config auth_defaults;
    struct net_tls_options tls_defaults;
    struct str protocols[] = {STR("TLSv1.2"), STR("TLSv1.3")};
    auth_config_init(&auth_defaults);
    tls_defaults = no_tls;
    tls_defaults.protocols = (struct conf_list){protocols, COUNT_OF(protocols)};
    const struct net_tls_options *tls = req->broker->config.tls_options;
    const struct fixed_options fixed[] = {
        {&auth_conf_table, auth_config_of(req->broker->auth), &auth_defaults},
        {&net_tls_conf_table, tls != NULL ? tls : &tls_defaults, &tls_defaults},
    };
    for (size_t i = 0; i < broker_conf_table.count; i++)
        if (broker_conf_table.options[i].type != CONF_PREFIX)
            describe_option(req, asked, row, &broker_conf_table.options[i]);
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        describe_fixed(req, asked, row, &fixed[i]);
    describe_listeners(req, asked, row, fixed, COUNT_OF(fixed));
}

/* Defaults of topic configs that are no options of their own. */
static void describe_default(struct request *req, const asked_resource *asked, result_row *row,
                             const struct topic_config_def *def)
{
    struct config_value chain[CONFIG_CHAIN_MAX];
    struct str name = str_from(def->synonym);
    if (broker_option_find(name) != NULL || !topic_config_has_option((int)(def - topic_config_defs)))
        return;
    config_chain(req->broker->storage, name, str_from(def->init), chain, &req->arena);
    if (config_default_is_null(name))
        config_chain_hide_default(chain);
    config_row *config = config_row_add(req, asked, row, def->synonym, (int)def->type, chain[0], def->doc);
    config_row_synonyms(req, config, name, chain);
}

/* Only what is set, as Kafka does. */
static void describe_cluster_default(struct request *req, const asked_resource *asked, result_row *row)
{
    const struct resource *res =
        topics_resource(storage_topics(req->broker->storage), RESOURCE_BROKER, STR(""));
    config_rows_alloc(req, row, res == NULL ? 0 : res->setting_count);
    for (size_t i = 0; res != NULL && i < res->setting_count; i++) {
        const char *name = str_cstr(res->settings[i].name, &req->arena);
        const struct conf_option *option = broker_option_find(res->settings[i].name);
        if (option == NULL)
            option = listener_option_find(req->broker, res->settings[i].name);
        int config = topic_config_by_synonym(res->settings[i].name);
        struct config_value chain[CONFIG_CHAIN_MAX] = {
            {str_dup(res->settings[i].value, &req->arena), SOURCE_DYNAMIC_DEFAULT}};
        config_row *added = config_row_add(req, asked, row, name,
                                           option != NULL ? type_of_option(option)
                                           : config >= 0  ? (int)topic_config_defs[config].type
                                                          : TYPE_STRING,
                                           chain[0], option != NULL ? option->doc : NULL);
        config_row_synonyms(req, added, str_from(name), chain);
    }
}

bool is_this_node(struct request *req, const asked_resource *asked, result_row *row)
{
    if (str_eq(asked->ResourceName, STR(NODE_NAME)))
        return true;
    row->ErrorCode = INVALID_REQUEST;
    row->ErrorMessage = str_printf(&req->arena, "Unexpected broker id, expected %s, but received %.*s",
                                   NODE_NAME, STR_ARG(asked->ResourceName));
    return false;
}

void describe_broker(struct request *req, const asked_resource *asked, result_row *row)
{
    bool cluster = asked->ResourceName.len == 0;
    if (!cluster && !is_this_node(req, asked, row))
        return;
    storage_topics_lock(req->broker->storage);
    if (cluster) {
        describe_cluster_default(req, asked, row);
    } else {
        describe_facts(req, asked, row);
        describe_options(req, asked, row);
        for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
            describe_default(req, asked, row, &topic_config_defs[i]);
    }
    storage_topics_unlock(req->broker->storage);
}
