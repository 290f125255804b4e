/* api_configs.c - DescribeConfigs and ListConfigResources.
 *
 *   topic           the 33 configs of topic/configs.def
 *   broker          api_configs_broker.c
 *   logger "1"      one logger, "root": the level of our log lines
 *   group           what takes the place of an option for one group of the new consumer protocol
 *
 * Every value shows where it comes from; settings.c has the chain, api_alter_configs.c the changes.
 */
#include "broker/configs_int.h"
#include "conf/conf.h"

enum { UNKNOWN_TOPIC = 3, UNSUPPORTED_VERSION = 35 };

/* All are wanted when no names are given, or (old clients) an empty list of them. */
static bool wanted(const asked_resource *asked, struct str name)
{
    for (int32_t i = 0; i < asked->ConfigurationKeys.len; i++)
        if (str_eq(asked->ConfigurationKeys.at[i], name))
            return true;
    return asked->ConfigurationKeys.len <= 0;
}

config_row *config_row_add(struct request *req, const asked_resource *asked, result_row *row,
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
    config->Documentation = !body->IncludeDocumentation ? STR_NULL : doc != NULL ? str_from(doc) : STR("");
    return config;
}

/* A default that is none is no synonym. */
static void add_synonym(config_row *config, struct str name, struct config_value value)
{
    if (str_is_null(value.value) && value.source == SOURCE_DEFAULT)
        return;
    config->Synonyms.at[config->Synonyms.len++] =
        (struct DescribeConfigsResponse_DescribeConfigsSynonym){name, value.value, value.source};
}

void config_row_synonyms(struct request *req, config_row *config, struct str name,
                         const struct config_value chain[CONFIG_CHAIN_MAX])
{
    const struct DescribeConfigsRequest *body = req->body;
    if (config == NULL || !body->IncludeSynonyms)
        return;
    if (config->Synonyms.at == NULL) { /* room for two chains */
        WIRE_ALLOC(&req->arena, config->Synonyms, DescribeConfigsResponse_DescribeConfigsSynonym,
                   2 * CONFIG_CHAIN_MAX + 1);
        config->Synonyms.len = 0;
    }
    if (config->ConfigSource == SOURCE_TOPIC || config->ConfigSource == SOURCE_GROUP)
        add_synonym(config, config->Name, (struct config_value){config->Value, config->ConfigSource});
    for (int i = 0; i < CONFIG_CHAIN_MAX && chain[i].source != 0; i++)
        add_synonym(config, name, chain[i]);
}

void config_rows_alloc(struct request *req, result_row *row, size_t count_max)
{
    WIRE_ALLOC(&req->arena, row->Configs, DescribeConfigsResponse_DescribeConfigsResourceResult, count_max);
    row->Configs.len = 0;
}

/* --- topics --- */

bool topic_config_has_option(int config)
{
    return config != TOPIC_FOLLOWER_THROTTLED && config != TOPIC_LEADER_THROTTLED &&
           config != TOPIC_REMOTE_COPY_DISABLE && config != TOPIC_REMOTE_DELETE_ON_DISABLE &&
           config != TOPIC_REMOTE_STORAGE_ENABLE;
}

bool config_default_is_null(struct str option)
{
    static const char *const names[] = {"log.flush.interval.ms", "log.retention.ms", "log.roll.ms",
                                        "log.roll.jitter.ms"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_cstr(option, names[i]))
            return true;
    return false;
}

void config_chain_hide_default(struct config_value chain[CONFIG_CHAIN_MAX])
{
    for (int i = 0; i < CONFIG_CHAIN_MAX; i++)
        if (chain[i].source == SOURCE_DEFAULT)
            chain[i].value = STR_NULL;
}

static void describe_topic_config(struct request *req, const asked_resource *asked, result_row *row,
                                  const struct topic *topic, int i)
{
    const struct topic_config_def *def = &topic_config_defs[i];
    struct config_value chain[CONFIG_CHAIN_MAX], value;
    value.value = topic_config_value(req->broker->storage, topic, i, &value.source, &req->arena);
    config_chain(req->broker->storage, str_from(def->synonym), str_from(def->init), chain, &req->arena);
    if (!topic_config_has_option(i) || config_default_is_null(str_from(def->synonym)))
        config_chain_hide_default(chain);
    config_row *config = config_row_add(req, asked, row, def->name, (int)def->type, value, def->doc);
    config_row_synonyms(req, config, str_from(def->synonym), chain);
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
        config_rows_alloc(req, row, TOPIC_CONFIG_COUNT);
        for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
            describe_topic_config(req, asked, row, topic, i);
    }
    storage_topics_unlock(broker->storage);
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
    config_rows_alloc(req, row, 1);
    config_row_add(req, asked, row, "root", TYPE_UNKNOWN, chain[0],
                   "Log lines below this level are dropped.");
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
    config_rows_alloc(req, row, GROUP_SETTINGS);
    for (int i = 0; i < GROUP_SETTINGS; i++) {
        const struct group_config_def *def = &group_config_defs[i];
        struct config_value chain[CONFIG_CHAIN_MAX];
        bool has_option = def->synonym != NULL;
        struct str synonym = str_from(has_option ? def->synonym : def->name);
        struct str set = resource_setting(res, str_from(def->name));
        config_chain(req->broker->storage, synonym, str_from(def->init), chain, &req->arena);
        struct config_value value =
            str_is_null(set) ? chain[0] : (struct config_value){str_dup(set, &req->arena), SOURCE_GROUP};
        config_row *config = config_row_add(req, asked, row, def->name, def->type, value,
                                            has_option ? broker_option_find(synonym)->doc : def->doc);
        config_row_synonyms(req, config, synonym, chain);
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
        else
            row->ErrorMessage = request_denied_text(row->ErrorCode);
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
