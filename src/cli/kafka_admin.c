/* kafka_admin.c - topics: metadata, creation, deletion, configurations, offsets, deletion of records. */
#include "cli/kafka_int.h"

#include <stdlib.h>

#include "cli/sock_int.h"

enum {
    METADATA = 3,
    LIST_OFFSETS = 2,
    CREATE_TOPICS = 19,
    DELETE_TOPICS = 20,
    DELETE_RECORDS = 21,
    DESCRIBE_CONFIGS = 32,
    CREATE_PARTITIONS = 37,
    INCREMENTAL_ALTER_CONFIGS = 44,
};
enum { RESOURCE_TOPIC = 2, CONFIG_DEFAULT = 5, ADMIN_MS = 30000, RETRY_MS = 100 };

/* Metadata ------------------------------------------------------------------------------------------------ */

static void learn_nodes(struct kafka *kafka, const struct MetadataResponse *res)
{
    for (int32_t i = 0; i < res->Brokers.len; i++) {
        const struct MetadataResponse_MetadataResponseBroker *broker = &res->Brokers.at[i];
        struct kafka_node *node = NULL;
        for (size_t k = 0; k < kafka->nodes.len; k++)
            if (kafka->nodes.at[k].id == broker->NodeId)
                node = &kafka->nodes.at[k];
        if (node == NULL) {
            vec_push(&kafka->nodes, (struct kafka_node){.id = broker->NodeId, .fd = -1});
            node = &vec_last(&kafka->nodes);
        }
        if (!str_eq(node->host, broker->Host))
            node->host = str_dup(broker->Host, &kafka->arena);
        node->port = broker->Port;
    }
}

static struct kafka_topic *topic_new(const struct MetadataResponse_MetadataResponseTopic *from,
                                     struct arena *arena)
{
    struct kafka_topic *topic = arena_new(arena, struct kafka_topic);
    topic->name = str_dup(from->Name, arena);
    topic->internal = from->IsInternal;
    topic->partition_count = from->Partitions.len;
    topic->leaders = arena_array(arena, int32_t, (size_t)MAX(from->Partitions.len, 0));
    for (int32_t i = 0; i < topic->partition_count; i++)
        topic->leaders[i] = -1;
    for (int32_t i = 0; i < from->Partitions.len; i++) {
        const struct MetadataResponse_MetadataResponsePartition *part = &from->Partitions.at[i];
        topic->replication = MAX(topic->replication, part->ReplicaNodes.len);
        if (part->PartitionIndex >= 0 && part->PartitionIndex < topic->partition_count)
            topic->leaders[part->PartitionIndex] = part->LeaderId;
    }
    return topic;
}

/* Asks for one topic, or for all when name is null. */
static bool ask_metadata(struct kafka *kafka, struct str name, bool create, struct MetadataResponse *res,
                         struct arena *arena, struct err *err)
{
    struct MetadataRequest req;
    wire_init(&WIRE_MetadataRequest, &req);
    req.AllowAutoTopicCreation = create;
    if (str_is_null(name)) {
        req.Topics.len = -1;
    } else {
        WIRE_ALLOC(arena, req.Topics, MetadataRequest_MetadataRequestTopic, 1);
        req.Topics.at[0].Name = name;
    }
    if (!kafka_call(kafka, KAFKA_ANY, METADATA, &req, res, 0, arena, err))
        return false;
    learn_nodes(kafka, res);
    return true;
}

static bool has_leaders(const struct kafka_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (topic->leaders[i] < 0)
            return false;
    return topic->partition_count > 0;
}

const struct kafka_topic *kafka_topic_find(struct kafka *kafka, struct str name, bool create, bool refresh,
                                           struct err *err)
{
    const struct kafka_topic *known = map_get(&kafka->topics, name);
    if (known != NULL && !refresh)
        return known;
    int64_t deadline_ms = clock_mono_ms() + kafka->timeout_ms;
    struct arena arena = {0};
    struct kafka_topic *topic = NULL;
    for (bool again = true; again && topic == NULL;) {
        struct MetadataResponse res;
        struct err failure = {0};
        arena_reset(&arena);
        if (!ask_metadata(kafka, name, create, &res, &arena, &failure)) {
            again = false;
        } else if (res.Topics.len != 1) {
            again = err_set(&failure, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(name));
        } else if (res.Topics.at[0].ErrorCode == err_kafka_code(ERR_UNKNOWN_TOPIC) && !create) {
            again = err_set(&failure, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(name));
        } else if (kafka_check(res.Topics.at[0].ErrorCode, STR_NULL, &failure, "topic '%.*s'",
                               STR_ARG(name))) {
            topic = topic_new(&res.Topics.at[0], &kafka->arena);
            if (has_leaders(topic))
                break;
            topic = NULL;
            err_set(&failure, ERR_UNAVAILABLE, "topic '%.*s' has partitions without a leader", STR_ARG(name));
        } else {
            again = kafka_is_retriable(&failure);
        }
        again = again && clock_mono_ms() < deadline_ms && cli_sock_sleep(RETRY_MS, kafka->stop_fd, &failure);
        if (!again && err != NULL)
            *err = failure;
    }
    if (topic != NULL)
        map_put(&kafka->topics, name, topic);
    arena_fini(&arena);
    return topic;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct kafka_topic *)a)->name, ((const struct kafka_topic *)b)->name);
}

bool kafka_topic_list(struct kafka *kafka, struct kafka_topic **topics, size_t *count, struct arena *arena,
                      struct err *err)
{
    struct MetadataResponse res;
    if (!ask_metadata(kafka, STR_NULL, false, &res, arena, err))
        return false;
    *topics = arena_array(arena, struct kafka_topic, (size_t)MAX(res.Topics.len, 0));
    *count = 0;
    for (int32_t i = 0; i < res.Topics.len; i++)
        (*topics)[(*count)++] = *topic_new(&res.Topics.at[i], arena);
    qsort(*topics, *count, sizeof **topics, by_name);
    return true;
}

/* Creation, deletion, configurations ---------------------------------------------------------------------- */

bool kafka_topic_create(struct kafka *kafka, struct str name, int32_t partitions, int16_t replication,
                        const struct kafka_config *configs, size_t config_count, struct err *err)
{
    struct arena arena = {0};
    struct CreateTopicsRequest req;
    struct CreateTopicsResponse res;
    wire_init(&WIRE_CreateTopicsRequest, &req);
    req.timeoutMs = ADMIN_MS;
    WIRE_ALLOC(&arena, req.Topics, CreateTopicsRequest_CreatableTopic, 1);
    req.Topics.at[0].Name = name;
    req.Topics.at[0].NumPartitions = partitions;
    req.Topics.at[0].ReplicationFactor = replication;
    WIRE_ALLOC(&arena, req.Topics.at[0].Configs, CreateTopicsRequest_CreatableTopicConfig, config_count);
    for (size_t i = 0; i < config_count; i++) {
        req.Topics.at[0].Configs.at[i].Name = configs[i].name;
        req.Topics.at[0].Configs.at[i].Value = configs[i].value;
    }
    bool ok = kafka_call(kafka, KAFKA_ANY, CREATE_TOPICS, &req, &res, ADMIN_MS, &arena, err);
    if (ok && res.Topics.len == 1)
        ok = kafka_check(res.Topics.at[0].ErrorCode, res.Topics.at[0].ErrorMessage, err, "topic '%.*s'",
                         STR_ARG(name));
    arena_fini(&arena);
    return ok;
}

bool kafka_topic_delete(struct kafka *kafka, struct str name, struct err *err)
{
    struct arena arena = {0};
    struct DeleteTopicsRequest req;
    struct DeleteTopicsResponse res;
    wire_init(&WIRE_DeleteTopicsRequest, &req);
    req.TimeoutMs = ADMIN_MS;
    req.TopicNames.at = &name;
    req.TopicNames.len = 1;
    bool ok = kafka_call(kafka, KAFKA_ANY, DELETE_TOPICS, &req, &res, ADMIN_MS, &arena, err);
    if (ok && res.Responses.len == 1)
        ok = kafka_check(res.Responses.at[0].ErrorCode, res.Responses.at[0].ErrorMessage, err, "topic '%.*s'",
                         STR_ARG(name));
    map_remove(&kafka->topics, name);
    arena_fini(&arena);
    return ok;
}

bool kafka_topic_alter(struct kafka *kafka, struct str name, const struct kafka_config *configs,
                       size_t config_count, bool check_only, struct err *err)
{
    enum { SET = 0, DELETE = 1 };
    struct arena arena = {0};
    struct IncrementalAlterConfigsRequest req;
    struct IncrementalAlterConfigsResponse res;
    wire_init(&WIRE_IncrementalAlterConfigsRequest, &req);
    req.ValidateOnly = check_only;
    WIRE_ALLOC(&arena, req.Resources, IncrementalAlterConfigsRequest_AlterConfigsResource, 1);
    req.Resources.at[0].ResourceType = RESOURCE_TOPIC;
    req.Resources.at[0].ResourceName = name;
    WIRE_ALLOC(&arena, req.Resources.at[0].Configs, IncrementalAlterConfigsRequest_AlterableConfig,
               config_count);
    for (size_t i = 0; i < config_count; i++) {
        struct IncrementalAlterConfigsRequest_AlterableConfig *config = &req.Resources.at[0].Configs.at[i];
        config->Name = configs[i].name;
        config->Value = configs[i].value;
        config->ConfigOperation = str_is_null(configs[i].value) ? DELETE : SET;
    }
    bool ok = kafka_call(kafka, KAFKA_ANY, INCREMENTAL_ALTER_CONFIGS, &req, &res, ADMIN_MS, &arena, err);
    if (ok && res.Responses.len == 1)
        ok = kafka_check(res.Responses.at[0].ErrorCode, res.Responses.at[0].ErrorMessage, err, "topic '%.*s'",
                         STR_ARG(name));
    arena_fini(&arena);
    return ok;
}

bool kafka_topic_grow(struct kafka *kafka, struct str name, int32_t partitions, bool check_only,
                      struct err *err)
{
    struct arena arena = {0};
    struct CreatePartitionsRequest req;
    struct CreatePartitionsResponse res;
    wire_init(&WIRE_CreatePartitionsRequest, &req);
    req.TimeoutMs = ADMIN_MS;
    req.ValidateOnly = check_only;
    WIRE_ALLOC(&arena, req.Topics, CreatePartitionsRequest_CreatePartitionsTopic, 1);
    req.Topics.at[0].Name = name;
    req.Topics.at[0].Count = partitions;
    req.Topics.at[0].Assignments.len = -1;
    bool ok = kafka_call(kafka, KAFKA_ANY, CREATE_PARTITIONS, &req, &res, ADMIN_MS, &arena, err);
    if (ok && res.Results.len == 1)
        ok = kafka_check(res.Results.at[0].ErrorCode, res.Results.at[0].ErrorMessage, err, "topic '%.*s'",
                         STR_ARG(name));
    map_remove(&kafka->topics, name);
    arena_fini(&arena);
    return ok;
}

bool kafka_topic_configs(struct kafka *kafka, struct str name, struct kafka_config **configs, size_t *count,
                         struct arena *arena, struct err *err)
{
    struct DescribeConfigsRequest req;
    struct DescribeConfigsResponse res;
    wire_init(&WIRE_DescribeConfigsRequest, &req);
    WIRE_ALLOC(arena, req.Resources, DescribeConfigsRequest_DescribeConfigsResource, 1);
    req.Resources.at[0].ResourceType = RESOURCE_TOPIC;
    req.Resources.at[0].ResourceName = name;
    req.Resources.at[0].ConfigurationKeys.len = -1;
    if (!kafka_call(kafka, KAFKA_ANY, DESCRIBE_CONFIGS, &req, &res, 0, arena, err))
        return false;
    *configs = NULL;
    *count = 0;
    if (res.Results.len != 1)
        return true;
    const struct DescribeConfigsResponse_DescribeConfigsResult *result = &res.Results.at[0];
    if (!kafka_check(result->ErrorCode, result->ErrorMessage, err, "topic '%.*s'", STR_ARG(name)))
        return false;
    *configs = arena_array(arena, struct kafka_config, (size_t)MAX(result->Configs.len, 0));
    for (int32_t i = 0; i < result->Configs.len; i++) {
        const struct DescribeConfigsResponse_DescribeConfigsResourceResult *config = &result->Configs.at[i];
        /* Source 1 is the topic itself; all others are defaults of some kind. */
        (*configs)[(*count)++] =
            (struct kafka_config){config->Name, config->Value, config->ConfigSource != 1};
    }
    return true;
}

/* Offsets ------------------------------------------------------------------------------------------------- */

/* Asks one node for the partitions that it leads. */
static bool ask_offsets(struct kafka *kafka, const struct kafka_topic *topic, int32_t leader,
                        int64_t timestamp_ms, int64_t *offsets, struct arena *arena, struct err *err)
{
    struct ListOffsetsRequest req;
    struct ListOffsetsResponse res;
    int32_t n = 0;
    wire_init(&WIRE_ListOffsetsRequest, &req);
    req.ReplicaId = -1;
    req.IsolationLevel = 1;
    req.TimeoutMs = ADMIN_MS;
    WIRE_ALLOC(arena, req.Topics, ListOffsetsRequest_ListOffsetsTopic, 1);
    req.Topics.at[0].Name = topic->name;
    WIRE_ALLOC(arena, req.Topics.at[0].Partitions, ListOffsetsRequest_ListOffsetsPartition,
               topic->partition_count);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->leaders[i] != leader)
            continue;
        req.Topics.at[0].Partitions.at[n].PartitionIndex = i;
        req.Topics.at[0].Partitions.at[n++].Timestamp = timestamp_ms;
    }
    req.Topics.at[0].Partitions.len = n;
    if (!kafka_call(kafka, leader, LIST_OFFSETS, &req, &res, 0, arena, err))
        return false;
    for (int32_t t = 0; t < res.Topics.len; t++) {
        for (int32_t i = 0; i < res.Topics.at[t].Partitions.len; i++) {
            const struct ListOffsetsResponse_ListOffsetsPartitionResponse *part =
                &res.Topics.at[t].Partitions.at[i];
            if (!kafka_check(part->ErrorCode, STR_NULL, err, "offsets of %.*s-%d", STR_ARG(topic->name),
                             part->PartitionIndex))
                return false;
            if (part->PartitionIndex >= 0 && part->PartitionIndex < topic->partition_count)
                offsets[part->PartitionIndex] = part->Offset;
        }
    }
    return true;
}

/* Is this the first partition that its leader leads? A request is for all of a leader's. */
static bool is_first_of_leader(const struct kafka_topic *topic, int32_t partition)
{
    for (int32_t i = 0; i < partition; i++)
        if (topic->leaders[i] == topic->leaders[partition])
            return false;
    return true;
}

bool kafka_offsets(struct kafka *kafka, const struct kafka_topic *topic, int64_t timestamp_ms,
                   int64_t *offsets, struct arena *arena, struct err *err)
{
    for (int32_t i = 0; i < topic->partition_count; i++)
        offsets[i] = -1;
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (is_first_of_leader(topic, i) &&
            !ask_offsets(kafka, topic, topic->leaders[i], timestamp_ms, offsets, arena, err))
            return false;
    return true;
}

bool kafka_place_offsets(struct kafka *kafka, const struct kafka_topic *topic,
                         const struct kafka_place *place, int64_t *starts, int64_t *offsets,
                         struct arena *arena, struct err *err)
{
    int64_t *ends = arena_array(arena, int64_t, (size_t)topic->partition_count);
    if (!kafka_offsets(kafka, topic, KAFKA_EARLIEST, starts, arena, err) ||
        !kafka_offsets(kafka, topic, KAFKA_LATEST, ends, arena, err) ||
        (place->offset < 0 && !kafka_offsets(kafka, topic, place->time_ms, offsets, arena, err)))
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        int64_t offset = place->offset >= 0 ? place->offset : offsets[i] < 0 ? ends[i] : offsets[i];
        offsets[i] = MIN(MAX(offset, starts[i]), ends[i]);
    }
    return true;
}

/* Asks one node to delete in the partitions that it leads. */
static bool trim_at(struct kafka *kafka, const struct kafka_topic *topic, int32_t leader,
                    const int64_t *offsets, struct arena *arena, struct err *err)
{
    struct DeleteRecordsRequest req;
    struct DeleteRecordsResponse res;
    int32_t n = 0;
    wire_init(&WIRE_DeleteRecordsRequest, &req);
    req.TimeoutMs = ADMIN_MS;
    WIRE_ALLOC(arena, req.Topics, DeleteRecordsRequest_DeleteRecordsTopic, 1);
    req.Topics.at[0].Name = topic->name;
    WIRE_ALLOC(arena, req.Topics.at[0].Partitions, DeleteRecordsRequest_DeleteRecordsPartition,
               topic->partition_count);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->leaders[i] != leader || offsets[i] < 0)
            continue;
        req.Topics.at[0].Partitions.at[n].PartitionIndex = i;
        req.Topics.at[0].Partitions.at[n++].Offset = offsets[i];
    }
    req.Topics.at[0].Partitions.len = n;
    if (n == 0)
        return true;
    if (!kafka_call(kafka, leader, DELETE_RECORDS, &req, &res, ADMIN_MS, arena, err))
        return false;
    for (int32_t t = 0; t < res.Topics.len; t++)
        for (int32_t i = 0; i < res.Topics.at[t].Partitions.len; i++)
            if (!kafka_check(res.Topics.at[t].Partitions.at[i].ErrorCode, STR_NULL, err,
                             "records of %.*s-%d cannot be deleted", STR_ARG(topic->name),
                             res.Topics.at[t].Partitions.at[i].PartitionIndex))
                return false;
    return true;
}

bool kafka_topic_trim(struct kafka *kafka, const struct kafka_topic *topic, const int64_t *offsets,
                      struct arena *arena, struct err *err)
{
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (is_first_of_leader(topic, i) && !trim_at(kafka, topic, topic->leaders[i], offsets, arena, err))
            return false;
    return true;
}
