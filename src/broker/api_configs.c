/* api_configs.c - DescribeConfigs for topics and for this broker.
 *
 * Topic configs come from the table of `topic`. The broker's are those that tools look at: its own options under Kafka's names,
 * and facts of a single node. They are read-only here: options are set where the server is started.
 */
#include "broker/broker_int.h"

enum { UNKNOWN_TOPIC = 3, INVALID_REQUEST = 42 };
enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { SOURCE_TOPIC = 1, SOURCE_STATIC = 4, SOURCE_DEFAULT = 5 };
enum { TYPE_BOOL = 1, TYPE_STRING = 2, TYPE_INT = 3, TYPE_LONG = 5, TYPE_LIST = 7 };

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

static void add_synonym(config_row *row, struct str name, struct str value, int8_t source)
{
    row->Synonyms.at[row->Synonyms.len++] =
        (struct DescribeConfigsResponse_DescribeConfigsSynonym){.Name = name,
                                                                .Value = value,
                                                                .Source = source};
}

/* The chain from the value in force back to the default. */
static void fill_synonyms(struct request *req, int config, config_row *row)
{
    const struct topic_config_def *def = &topic_config_defs[config];
    int8_t source;
    WIRE_ALLOC(&req->arena, row->Synonyms, DescribeConfigsResponse_DescribeConfigsSynonym, 3);
    row->Synonyms.len = 0;
    if (row->ConfigSource == SOURCE_TOPIC)
        add_synonym(row, row->Name, row->Value, SOURCE_TOPIC);
    struct str value = topic_config_value(req->broker, NULL, config, &source, &req->arena);
    if (source != SOURCE_DEFAULT)
        add_synonym(row, str_from(def->synonym), value, source);
    add_synonym(row, str_from(def->synonym), str_from(def->init), SOURCE_DEFAULT);
}

static void describe_topic(struct request *req, const asked_resource *asked, result_row *row)
{
    const struct DescribeConfigsRequest *body = req->body;
    struct broker *broker = req->broker;
    replay_lock(broker->topics_replay);
    const struct topic *topic = topics_find(broker->topics, asked->ResourceName);
    if (topic == NULL) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage =
            str_printf(&req->arena, "Topic '%.*s' does not exist.", STR_ARG(asked->ResourceName));
    } else {
        WIRE_ALLOC(&req->arena, row->Configs, DescribeConfigsResponse_DescribeConfigsResourceResult,
                   TOPIC_CONFIG_COUNT);
        row->Configs.len = 0;
        for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) {
            const struct topic_config_def *def = &topic_config_defs[i];
            if (!wanted(asked, str_from(def->name)))
                continue;
            config_row *config = &row->Configs.at[row->Configs.len++];
            config->Name = str_from(def->name);
            config->Value = topic_config_value(broker, topic, i, &config->ConfigSource, &req->arena);
            config->ConfigType = (int8_t)def->type;
            if (body->IncludeSynonyms)
                fill_synonyms(req, i, config);
            if (body->IncludeDocumentation)
                config->Documentation = str_from(def->doc);
        }
    }
    replay_unlock(broker->topics_replay);
}

/* One option of the broker under Kafka's name. */
struct broker_value {
    const char *name;
    int8_t type;
    struct str value;
};

static struct str text_of(struct arena *arena, int64_t number)
{
    return str_printf(arena, "%lld", (long long)number);
}

static struct str word_of(bool on)
{
    return on ? STR("true") : STR("false");
}

static size_t list_values(struct request *req, struct broker_value out[])
{
    const struct broker_config *c = &req->broker->config;
    struct arena *a = &req->arena;
    struct str address = str_printf(a, "%.*s://%.*s:%d", STR_ARG(req->listener->name),
                                    STR_ARG(req->listener->host), req->listener->port);
    const struct broker_value list[] = {
        {"broker.id", TYPE_INT, text_of(a, NODE_ID)},
        {"node.id", TYPE_INT, text_of(a, NODE_ID)},
        {"advertised.listeners", TYPE_STRING, address},
        {"listeners", TYPE_STRING, address},
        {"auto.create.topics.enable", TYPE_BOOL, word_of(c->auto_create_topics)},
        {"delete.topic.enable", TYPE_BOOL, word_of(c->delete_topics)},
        {"num.partitions", TYPE_INT, text_of(a, c->num_partitions)},
        {"default.replication.factor", TYPE_INT, text_of(a, 1)},
        {"min.insync.replicas", TYPE_INT, text_of(a, 1)},
        {"message.max.bytes", TYPE_INT, text_of(a, c->message_bytes_max)},
        {"fetch.max.bytes", TYPE_INT, text_of(a, c->fetch_bytes_max)},
        {"socket.request.max.bytes", TYPE_INT, text_of(a, c->request_bytes_max)},
        {"connections.max.idle.ms", TYPE_LONG, text_of(a, c->connections_idle_ms_max)},
        {"max.connections", TYPE_INT, text_of(a, c->connections_max)},
        {"log.dirs", TYPE_STRING, c->data_dir},
        {"log.segment.bytes", TYPE_INT, text_of(a, c->segment_bytes)},
        {"log.roll.ms", TYPE_LONG, text_of(a, c->segment_ms)},
        {"log.retention.ms", TYPE_LONG, text_of(a, c->retention_ms)},
        {"log.retention.bytes", TYPE_LONG, text_of(a, c->retention_bytes)},
        {"log.retention.check.interval.ms", TYPE_LONG, text_of(a, c->retention_check_interval_ms)},
        {"log.cleanup.policy", TYPE_LIST, STR("delete")},
        {"offsets.topic.num.partitions", TYPE_INT, text_of(a, 1)},
        {"offsets.topic.replication.factor", TYPE_INT, text_of(a, 1)},
        {"offset.metadata.max.bytes", TYPE_INT, text_of(a, c->offset_metadata_bytes_max)},
        {"group.initial.rebalance.delay.ms", TYPE_INT, text_of(a, c->group_initial_rebalance_delay_ms)},
        {"group.min.session.timeout.ms", TYPE_INT, text_of(a, c->group_session_timeout_ms_min)},
        {"group.max.session.timeout.ms", TYPE_INT, text_of(a, c->group_session_timeout_ms_max)},
        {"group.max.size", TYPE_INT, text_of(a, c->group_members_max)},
    };
    memcpy(out, list, sizeof list);
    return COUNT_OF(list);
}

static void describe_broker(struct request *req, const asked_resource *asked, result_row *row)
{
    enum { VALUES_MAX = 64 };
    struct broker_value values[VALUES_MAX];
    int64_t id;
    if (asked->ResourceName.len == 0)
        return; /* the defaults of the cluster: there are no dynamic ones */
    if (!str_to_i64(asked->ResourceName, &id) || id != NODE_ID) {
        row->ErrorCode = INVALID_REQUEST;
        row->ErrorMessage =
            str_printf(&req->arena, "this is node %d, not %.*s", NODE_ID, STR_ARG(asked->ResourceName));
        return;
    }
    size_t count = list_values(req, values);
    ASSERT_CMP(count, <=, VALUES_MAX);
    WIRE_ALLOC(&req->arena, row->Configs, DescribeConfigsResponse_DescribeConfigsResourceResult, count);
    row->Configs.len = 0;
    for (size_t i = 0; i < count; i++) {
        if (!wanted(asked, str_from(values[i].name)))
            continue;
        config_row *config = &row->Configs.at[row->Configs.len++];
        config->Name = str_from(values[i].name);
        config->Value = values[i].value;
        config->ReadOnly = true;
        config->ConfigSource = SOURCE_STATIC;
        config->ConfigType = values[i].type;
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
        if (asked->ResourceType == RESOURCE_TOPIC) {
            describe_topic(req, asked, row);
        } else if (asked->ResourceType == RESOURCE_BROKER) {
            describe_broker(req, asked, row);
        } else {
            row->ErrorCode = INVALID_REQUEST;
            row->ErrorMessage = STR("only topics (2) and brokers (4) have configs here");
        }
    }
    request_reply(req);
}
