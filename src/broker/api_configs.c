/* api_configs.c - DescribeConfigs and ListConfigResources.
 *
 *   topic           the 33 configs of topic/configs.def
 *   broker "1"      options of this broker | defaults of topic configs under the broker's names | facts of a single node
 *   broker ""       what is set as default of the cluster
 *   logger "1"      one logger, "root": the level of our log lines
 *   group           what takes the place of an option for one group of the new consumer protocol
 *
 * Every value shows where it comes from; settings.c has the chain, api_alter_configs.c the changes.
 */
#include "broker/broker_int.h"
#include "conf/conf.h"

enum { UNKNOWN_TOPIC = 3, UNSUPPORTED_VERSION = 35, INVALID_REQUEST = 42 };
enum {
    TYPE_BOOL = 1,
    TYPE_STRING = 2,
    TYPE_INT = 3,
    TYPE_LONG = 5,
    TYPE_DOUBLE = 6,
    TYPE_LIST = 7,
    TYPE_PASSWORD = 9
};

typedef struct DescribeConfigsRequest_DescribeConfigsResource asked_resource;
typedef struct DescribeConfigsResponse_DescribeConfigsResult result_row;
typedef struct DescribeConfigsResponse_DescribeConfigsResourceResult config_row;

/* All are wanted when no names are given, or (old clients) an empty list of them. */
static bool wanted(const asked_resource *asked, struct str name)
{
    for (int32_t i = 0; i < asked->ConfigurationKeys.len; i++)
        if (str_eq(asked->ConfigurationKeys.at[i], name))
            return true;
    return asked->ConfigurationKeys.len <= 0;
}

/* Adds a config when it is wanted. NULL: it is not. */
static config_row *add_config(struct request *req, const asked_resource *asked, result_row *row,
                              const char *name, int type, struct config_value value, const char *doc)
{
    const struct DescribeConfigsRequest *body = req->body;
    if (!wanted(asked, str_from(name)))
        return NULL;
    config_row *config = &row->Configs.at[row->Configs.len++];
    config->Name = str_from(name);
    config->Value = value.value;
    config->ConfigSource = value.source;
    config->ConfigType = (int8_t)type;
    if (body->IncludeDocumentation && doc != NULL)
        config->Documentation = str_from(doc);
    return config;
}

static void add_synonym(config_row *config, struct str name, struct config_value value)
{
    config->Synonyms.at[config->Synonyms.len++] =
        (struct DescribeConfigsResponse_DescribeConfigsSynonym){name, value.value, value.source};
}

/* The chain from the value in force back to the default. */
static void add_synonyms(struct request *req, config_row *config, struct str name,
                         const struct config_value chain[CONFIG_CHAIN_MAX])
{
    const struct DescribeConfigsRequest *body = req->body;
    if (config == NULL || !body->IncludeSynonyms)
        return;
    int32_t count = config->Synonyms.len;
    if (config->Synonyms.len == 0) /* a listener's option has two chains */
        WIRE_ALLOC(&req->arena, config->Synonyms, DescribeConfigsResponse_DescribeConfigsSynonym,
                   2 * CONFIG_CHAIN_MAX + 1);
    config->Synonyms.len = MAX(count, 0);
    if (config->ConfigSource == SOURCE_TOPIC || config->ConfigSource == SOURCE_GROUP)
        add_synonym(config, config->Name, (struct config_value){config->Value, config->ConfigSource});
    for (int i = 0; i < CONFIG_CHAIN_MAX && chain[i].source != 0; i++)
        add_synonym(config, name, chain[i]);
}

static void alloc_configs(struct request *req, result_row *row, size_t count_max)
{
    WIRE_ALLOC(&req->arena, row->Configs, DescribeConfigsResponse_DescribeConfigsResourceResult, count_max);
    row->Configs.len = 0;
}

/* --- topics --- */

static void describe_topic_config(struct request *req, const asked_resource *asked, result_row *row,
                                  const struct topic *topic, int i)
{
    const struct topic_config_def *def = &topic_config_defs[i];
    struct config_value chain[CONFIG_CHAIN_MAX], value;
    value.value = topic_config_value(req->broker->storage, topic, i, &value.source, &req->arena);
    config_chain(req->broker->storage, str_from(def->synonym), str_from(def->init), chain, &req->arena);
    config_row *config = add_config(req, asked, row, def->name, (int)def->type, value, def->doc);
    add_synonyms(req, config, str_from(def->synonym), chain);
}

static void describe_topic(struct request *req, const asked_resource *asked, result_row *row)
{
    struct broker *broker = req->broker;
    struct err err;
    if (!topic_name_check(asked->ResourceName, &err)) {
        row->ErrorCode = error_code_of(&err);
        row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
        return;
    }
    storage_topics_lock(broker->storage);
    const struct topic *topic = topics_find(storage_topics(broker->storage), asked->ResourceName);
    if (topic == NULL) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage =
            str_printf(&req->arena, "Topic '%.*s' does not exist.", STR_ARG(asked->ResourceName));
    } else {
        alloc_configs(req, row, TOPIC_CONFIG_COUNT);
        for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
            describe_topic_config(req, asked, row, topic, i);
    }
    storage_topics_unlock(broker->storage);
}

/* --- the broker --- */

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
#define F(name, type, value) name,
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
        struct str value;
    } facts[] = {
#define F(name, type, value) {name, TYPE_##type, value},
#include "broker/facts.def"
#undef F
    };
    alloc_configs(req, row,
                  COUNT_OF(facts) + broker_conf_table.count + auth_conf_table.count +
                      net_tls_conf_table.count + count_listener_options(broker) + TOPIC_CONFIG_COUNT);
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct config_value chain[CONFIG_CHAIN_MAX] = {{facts[i].value, SOURCE_STATIC}};
        config_row *config = add_config(req, asked, row, facts[i].name, facts[i].type, chain[0],
                                        "A fact of this node, or of how it was started.");
        if (config != NULL)
            config->ReadOnly = true;
        add_synonyms(req, config, str_from(facts[i].name), chain);
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
        return TYPE_STRING;
    }
}

static void describe_option(struct request *req, const asked_resource *asked, result_row *row,
                            const struct conf_option *option)
{
    struct config_value chain[CONFIG_CHAIN_MAX];
    struct str name = str_from(option->name);
    config_chain(req->broker->storage, name, STR_NULL, chain, &req->arena);
    config_row *config =
        add_config(req, asked, row, option->name, type_of_option(option), chain[0], option->doc);
    if (config != NULL) {
        config->ReadOnly = !option->live;
        config->IsSensitive = option->type == CONF_PASSWORD; /* its text is null */
    }
    add_synonyms(req, config, name, chain);
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
            add_config(req, asked, row, option->name, type_of_option(option), chain[0], option->doc);
        if (config != NULL) {
            config->ReadOnly = true;
            config->IsSensitive = option->type == CONF_PASSWORD;
        }
        add_synonyms(req, config, str_from(option->name), chain);
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
    config_row *config =
        add_config(req, asked, row, str_cstr(name, &req->arena), type_of_option(option), own[0], option->doc);
    if (config != NULL) {
        config->ReadOnly = !option->live;
        config->IsSensitive = option->type == CONF_PASSWORD;
    }
    config_chain(broker->storage, str_from(option->name), STR_NULL, chain, &req->arena);
    for (size_t f = 0; f < fixed_count; f++)
        if (option >= fixed[f].table->options && option < fixed[f].table->options + fixed[f].table->count)
            fixed_chain(&fixed[f], option, chain, &req->arena);
    add_synonyms(req, config, name, own);
    add_synonyms(req, config, str_from(option->name), chain);
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
    if (broker_option_find(name) != NULL)
        return;
    config_chain(req->broker->storage, name, str_from(def->init), chain, &req->arena);
    config_row *config = add_config(req, asked, row, def->synonym, (int)def->type, chain[0], def->doc);
    add_synonyms(req, config, name, chain);
}

/* Only what is set, as Kafka does. */
static void describe_cluster_default(struct request *req, const asked_resource *asked, result_row *row)
{
    const struct resource *res =
        topics_resource(storage_topics(req->broker->storage), RESOURCE_BROKER, STR(""));
    alloc_configs(req, row, res == NULL ? 0 : res->setting_count);
    for (size_t i = 0; res != NULL && i < res->setting_count; i++) {
        const char *name = str_cstr(res->settings[i].name, &req->arena);
        const struct conf_option *option = broker_option_find(res->settings[i].name);
        if (option == NULL)
            option = listener_option_find(req->broker, res->settings[i].name);
        int config = topic_config_by_synonym(res->settings[i].name);
        struct config_value chain[CONFIG_CHAIN_MAX] = {
            {str_dup(res->settings[i].value, &req->arena), SOURCE_DYNAMIC_DEFAULT}};
        config_row *added = add_config(req, asked, row, name,
                                       option != NULL ? type_of_option(option)
                                       : config >= 0  ? (int)topic_config_defs[config].type
                                                      : TYPE_STRING,
                                       chain[0], option != NULL ? option->doc : NULL);
        add_synonyms(req, added, str_from(name), chain);
    }
}

static bool is_this_node(struct request *req, const asked_resource *asked, result_row *row)
{
    if (str_eq(asked->ResourceName, STR(NODE_NAME)))
        return true;
    row->ErrorCode = INVALID_REQUEST;
    row->ErrorMessage = str_printf(&req->arena, "Unexpected broker id, expected %s, but received %.*s",
                                   NODE_NAME, STR_ARG(asked->ResourceName));
    return false;
}

static void describe_broker(struct request *req, const asked_resource *asked, result_row *row)
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

/* --- loggers, groups --- */

static void describe_logger(struct request *req, const asked_resource *asked, result_row *row)
{
    static const char *const words[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    struct config_value chain[CONFIG_CHAIN_MAX] = {{STR_NULL, SOURCE_LOGGER}};
    if (!is_this_node(req, asked, row))
        return;
    int level = LOG_DEBUG;
    while (level < LOG_OFF && !log_level_on((enum log_level)level))
        level++;
    chain[0].value = str_from(words[level]);
    alloc_configs(req, row, 1);
    config_row *config =
        add_config(req, asked, row, "root", TYPE_STRING, chain[0], "Log lines below this level are dropped.");
    add_synonyms(req, config, STR("root"), chain);
}

/* False, and the error: a name is needed. */
static bool describe_named(struct request *req, const asked_resource *asked, result_row *row,
                           const char *text)
{
    if (asked->ResourceName.len != 0)
        return true;
    row->ErrorCode = INVALID_REQUEST;
    row->ErrorMessage = str_from(text);
    return false;
}

static void describe_group(struct request *req, const asked_resource *asked, result_row *row)
{
    if (!describe_named(req, asked, row, "Group name must not be empty"))
        return;
    storage_topics_lock(req->broker->storage);
    const struct resource *res =
        topics_resource(storage_topics(req->broker->storage), RESOURCE_GROUP, asked->ResourceName);
    alloc_configs(req, row, GROUP_SETTINGS);
    for (int i = 0; i < GROUP_SETTINGS; i++) {
        const struct group_config_def *def = &group_config_defs[i];
        struct config_value chain[CONFIG_CHAIN_MAX];
        struct str synonym = str_from(def->synonym), set = resource_setting(res, str_from(def->name));
        config_chain(req->broker->storage, synonym, STR_NULL, chain, &req->arena);
        struct config_value value =
            str_is_null(set) ? chain[0] : (struct config_value){str_dup(set, &req->arena), SOURCE_GROUP};
        config_row *config =
            add_config(req, asked, row, def->name, TYPE_INT, value, broker_option_find(synonym)->doc);
        add_synonyms(req, config, synonym, chain);
    }
    storage_topics_unlock(req->broker->storage);
}

/* --- the requests --- */

static int16_t check_right(struct request *req, const asked_resource *asked)
{
    if (asked->ResourceType == RESOURCE_TOPIC)
        return request_denied(req, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, asked->ResourceName);
    if (asked->ResourceType == RESOURCE_GROUP)
        return request_denied(req, ACL_GROUP, ACL_DESCRIBE_CONFIGS, asked->ResourceName);
    return request_denied_cluster(req, ACL_DESCRIBE_CONFIGS);
}

static void describe(struct request *req, const asked_resource *asked, result_row *row)
{
    switch (asked->ResourceType) {
    case RESOURCE_TOPIC:
        describe_topic(req, asked, row);
        break;
    case RESOURCE_BROKER:
        describe_broker(req, asked, row);
        break;
    case RESOURCE_LOGGER:
        describe_logger(req, asked, row);
        break;
    case RESOURCE_CLIENT_METRICS: /* none: metrics of clients are not collected */
        describe_named(req, asked, row, "Client metrics subscription name must not be empty");
        break;
    case RESOURCE_GROUP:
        describe_group(req, asked, row);
        break;
    default:
        row->ErrorCode = INVALID_REQUEST;
        row->ErrorMessage = str_printf(&req->arena, "Unsupported resource type: %d", asked->ResourceType);
    }
}

void api_describe_configs(struct request *req)
{
    const struct DescribeConfigsRequest *body = req->body;
    struct DescribeConfigsResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Results, DescribeConfigsResponse_DescribeConfigsResult,
               MAX(body->Resources.len, 0));
    for (int32_t i = 0; i < body->Resources.len; i++) {
        const asked_resource *asked = &body->Resources.at[i];
        result_row *row = &res->Results.at[i];
        row->ResourceType = asked->ResourceType;
        row->ResourceName = asked->ResourceName;
        row->ErrorCode = check_right(req, asked);
        if (row->ErrorCode == 0)
            describe(req, asked, row);
    }
    request_reply(req);
}

struct resource_list {
    struct request *req;
    vec(struct ListConfigResourcesResponse_ConfigResource) rows;
};

static void list_one(struct resource_list *list, int type, struct str name)
{
    struct ListConfigResourcesResponse_ConfigResource row = {.ResourceName = str_dup(name, &list->req->arena),
                                                             .ResourceType = (int8_t)type};
    vec_push(&list->rows, row);
}

/* Resources of a type: all topics, groups with settings. */
static void list_type(struct resource_list *list, int type)
{
    struct broker *broker = list->req->broker;
    size_t pos = 0;
    if (type == RESOURCE_BROKER || type == RESOURCE_LOGGER)
        list_one(list, type, STR(NODE_NAME));
    storage_topics_lock(broker->storage);
    if (type == RESOURCE_TOPIC)
        for (const struct topic *topic; (topic = topics_next(storage_topics(broker->storage), &pos)) != NULL;)
            list_one(list, type, topic->name);
    if (type == RESOURCE_GROUP)
        for (const struct resource *res;
             (res = topics_next_resource(storage_topics(broker->storage), &pos)) != NULL;)
            if (res->type == RESOURCE_GROUP)
                list_one(list, type, res->name);
    storage_topics_unlock(broker->storage);
}

void api_list_config_resources(struct request *req)
{
    enum { TYPED_VERSION = 1 };
    static const int8_t all[] = {RESOURCE_TOPIC, RESOURCE_BROKER, RESOURCE_LOGGER, RESOURCE_CLIENT_METRICS,
                                 RESOURCE_GROUP};
    const struct ListConfigResourcesRequest *body = req->body;
    struct ListConfigResourcesResponse *res = req->res;
    struct resource_list list = {.req = req};
    bool some = body->ResourceTypes.len > 0;
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE_CONFIGS);
    for (int32_t i = 0; i < body->ResourceTypes.len; i++)
        if (memchr(all, body->ResourceTypes.at[i], sizeof all) == NULL)
            res->ErrorCode = res->ErrorCode != 0 ? res->ErrorCode : UNSUPPORTED_VERSION;
    for (size_t i = 0; i < sizeof all && req->version >= TYPED_VERSION && res->ErrorCode == 0; i++)
        if (!some || memchr(body->ResourceTypes.at, all[i], (size_t)body->ResourceTypes.len) != NULL)
            list_type(&list, all[i]);
    res->ConfigResources.at = arena_dup(&req->arena, list.rows.at, list.rows.len * sizeof *list.rows.at);
    res->ConfigResources.len = (int32_t)list.rows.len;
    vec_fini(&list.rows);
    request_reply(req);
}
