/* topics.c - requests about topics, as administrators send them: create, delete, look, change and describe a config.
 *
 * Each gives Kafka's error code, or NO_ANSWER: then the change may have been made, or may be made yet.
 */
#include "clients.h"

enum {
    METADATA = 3,
    CREATE_TOPICS = 19,
    DELETE_TOPICS = 20,
    DESCRIBE_CONFIGS = 32,
    INCREMENTAL_ALTER_CONFIGS = 44
};
enum { ANSWER_US = 20000000, TOPIC_RESOURCE = 2, SET = 0 };

struct setting {
    const char *name;
    int64_t value;
    bool given;
};

static struct CreateTopicsRequest *make_request(const struct topic_plan *plan, struct arena *arena)
{
    bool deletes = topic_trims(plan);
    const struct setting settings[] = {
        {"segment.bytes", plan->segment_bytes, true},
        {"segment.ms", plan->segment_ms, plan->segment_ms > 0},
        {"retention.ms", plan->retention_ms, true},
        {"retention.bytes", plan->retention_bytes, true},
        {"delete.retention.ms", plan->tombstone_ms, plan->compacts},
        {"min.cleanable.dirty.ratio", 0, plan->compacts},
    };
    struct CreateTopicsRequest *req = wire_new(&WIRE_CreateTopicsRequest, 1, arena);
    req->timeoutMs = 30000;
    WIRE_ALLOC(arena, req->Topics, CreateTopicsRequest_CreatableTopic, 1);
    struct CreateTopicsRequest_CreatableTopic *topic = req->Topics.at;
    topic->Name = str_from(plan->name);
    topic->NumPartitions = plan->partition_count;
    topic->ReplicationFactor = 1;
    WIRE_ALLOC(arena, topic->Configs, CreateTopicsRequest_CreatableTopicConfig, COUNT_OF(settings) + 1);
    topic->Configs.at[0].Name = STR("cleanup.policy");
    topic->Configs.at[0].Value = !plan->compacts ? STR("delete")
                                 : deletes       ? STR("compact,delete")
                                                 : STR("compact");
    topic->Configs.len = 1;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (!settings[i].given)
            continue;
        struct CreateTopicsRequest_CreatableTopicConfig *config = &topic->Configs.at[topic->Configs.len++];
        config->Name = str_from(settings[i].name);
        config->Value = str_printf(arena, "%lld", (long long)settings[i].value);
    }
    return req;
}

int topic_create(struct client *client, const struct topic_plan *plan)
{
    struct arena arena = {0};
    const struct CreateTopicsResponse *res =
        client_call(client, CREATE_TOPICS, (int16_t)sim_between(2, 7), make_request(plan, &arena), ANSWER_US);
    arena_fini(&arena);
    return res == NULL ? NO_ANSWER : res->Topics.at[0].ErrorCode;
}

int topic_delete(struct client *client, const char *topic)
{
    struct arena arena = {0};
    struct DeleteTopicsRequest *req = wire_new(&WIRE_DeleteTopicsRequest, 1, &arena);
    struct str name = str_from(topic);
    req->TimeoutMs = 30000;
    req->TopicNames.at = &name;
    req->TopicNames.len = 1;
    const struct DeleteTopicsResponse *res =
        client_call(client, DELETE_TOPICS, (int16_t)sim_between(1, 5), req, ANSWER_US);
    arena_fini(&arena);
    return res == NULL ? NO_ANSWER : res->Responses.at[0].ErrorCode;
}

int topic_look(struct client *client, const char *topic, struct topic_seen *out)
{
    enum { WITH_IDS = 10, LAST = 12 };
    struct arena arena = {0};
    struct MetadataRequest *req = wire_new(&WIRE_MetadataRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Topics, MetadataRequest_MetadataRequestTopic, 1);
    req->Topics.at[0].Name = str_from(topic);
    const struct MetadataResponse *res =
        client_call(client, METADATA,
                    out->wants_id ? (int16_t)sim_between(WITH_IDS, LAST) : (int16_t)sim_between(4, LAST), req,
                    ANSWER_US);
    arena_fini(&arena);
    if (res == NULL)
        return NO_ANSWER;
    out->partition_count = res->Topics.at[0].Partitions.len;
    out->id = res->Topics.at[0].TopicId;
    return res->Topics.at[0].ErrorCode;
}

int topic_set(struct client *client, const char *topic, const char *config, int64_t value)
{
    struct arena arena = {0};
    struct IncrementalAlterConfigsRequest *req = wire_new(&WIRE_IncrementalAlterConfigsRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Resources, IncrementalAlterConfigsRequest_AlterConfigsResource, 1);
    req->Resources.at[0].ResourceType = TOPIC_RESOURCE;
    req->Resources.at[0].ResourceName = str_from(topic);
    WIRE_ALLOC(&arena, req->Resources.at[0].Configs, IncrementalAlterConfigsRequest_AlterableConfig, 1);
    req->Resources.at[0].Configs.at[0].Name = str_from(config);
    req->Resources.at[0].Configs.at[0].ConfigOperation = SET;
    req->Resources.at[0].Configs.at[0].Value = str_printf(&arena, "%lld", (long long)value);
    const struct IncrementalAlterConfigsResponse *res =
        client_call(client, INCREMENTAL_ALTER_CONFIGS, (int16_t)sim_between(0, 1), req, ANSWER_US);
    arena_fini(&arena);
    return res == NULL ? NO_ANSWER : res->Responses.at[0].ErrorCode;
}

int topic_get(struct client *client, const char *topic, const char *config, int64_t *value)
{
    struct arena arena = {0};
    struct DescribeConfigsRequest *req = wire_new(&WIRE_DescribeConfigsRequest, 1, &arena);
    struct str name = str_from(config);
    WIRE_ALLOC(&arena, req->Resources, DescribeConfigsRequest_DescribeConfigsResource, 1);
    req->Resources.at[0].ResourceType = TOPIC_RESOURCE;
    req->Resources.at[0].ResourceName = str_from(topic);
    req->Resources.at[0].ConfigurationKeys.at = &name;
    req->Resources.at[0].ConfigurationKeys.len = 1;
    const struct DescribeConfigsResponse *res =
        client_call(client, DESCRIBE_CONFIGS, (int16_t)sim_between(1, 4), req, ANSWER_US);
    arena_fini(&arena);
    if (res == NULL || res->Results.at[0].ErrorCode != 0)
        return res == NULL ? NO_ANSWER : res->Results.at[0].ErrorCode;
    if (res->Results.at[0].Configs.len != 1 || !str_to_i64(res->Results.at[0].Configs.at[0].Value, value))
        sim_fail("%s of %s is described by %d values", config, topic, res->Results.at[0].Configs.len);
    return 0;
}

void topics_make(struct client *client)
{
    for (size_t i = 0; i < scenario.topic_count; i++) {
        const struct topic_plan *plan = &scenario.topics[i];
        for (int code = NO_ANSWER; code != 0 && code != KAFKA_TOPIC_EXISTS;) {
            code = topic_create(client, plan);
            sim_sleep_us(1000);
        }
        sim_note(
            "topic %s with %d partitions, segments of %lld bytes, %lld ms%s%s, retention %lld ms, %lld bytes",
            plan->name, plan->partition_count, (long long)plan->segment_bytes, (long long)plan->segment_ms,
            plan->compacts ? ", compacted" : "", plan->trims ? ", trimmed" : "",
            (long long)plan->retention_ms, (long long)plan->retention_bytes);
    }
}
