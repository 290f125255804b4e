/* api_topics.c - CreateTopics, DeleteTopics, CreatePartitions, DescribeConfigs. Changes run on the admin pool, in order. */
#include "broker/broker_int.h"

/* Versions from which a client knows THROTTLING_QUOTA_EXCEEDED. */
enum { STRICT_CREATE = 6, STRICT_DELETE = 5, STRICT_GROW = 3 };

static const struct str throttled_text = STR_INIT("The throttling quota has been exceeded.");

enum {
    UNKNOWN_TOPIC = 3,
    INVALID_REPLICATION = 38,
    INVALID_ASSIGNMENT = 39,
    INVALID_REQUEST = 42,
    DELETION_DISABLED = 73,
    UNKNOWN_TOPIC_ID = 100,
};

typedef struct CreateTopicsRequest_CreatableTopic create_asked;
typedef struct CreateTopicsResponse_CreatableTopicResult create_row;

/* --- CreateTopics --- */

/* The assignment must name this node for partitions 0 to n - 1. */
static bool assignment_fits(const create_asked *asked)
{
    int32_t count = asked->Assignments.len;
    for (int32_t i = 0; i < count; i++) {
        const struct CreateTopicsRequest_CreatableReplicaAssignment *one = &asked->Assignments.at[i];
        bool seen = one->PartitionIndex < 0 || one->PartitionIndex >= count;
        for (int32_t j = 0; j < i; j++)
            seen = seen || asked->Assignments.at[j].PartitionIndex == one->PartitionIndex;
        if (seen || one->BrokerIds.len != 1 || one->BrokerIds.at[0] != NODE_ID)
            return false;
    }
    return true;
}

static int16_t check_create(const struct request *req, const create_asked *asked, struct str *text)
{
    bool assigned = asked->Assignments.len > 0;
    if (assigned && (asked->NumPartitions != -1 || asked->ReplicationFactor != -1)) {
        *text =
            STR("A manual partition assignment was specified, but numPartitions or replicationFactor was not "
                "set to -1.");
        return INVALID_REQUEST;
    }
    if (assigned && !assignment_fits(asked)) {
        *text = STR("partitions can only be assigned to node 1, from partition 0 on without gaps");
        return INVALID_ASSIGNMENT;
    }
    bool too_many = asked->ReplicationFactor > 1 && !LIVE(req->broker, clamp_replication_factor);
    if (!assigned && (too_many || asked->ReplicationFactor == 0 || asked->ReplicationFactor < -1)) {
        *text = STR("there is one node: the replication factor must be 1 (or -1); the option "
                    "replication.factor.clamp=true "
                    "takes larger ones as 1");
        return INVALID_REPLICATION;
    }
    return 0;
}

/* The configs in force, as version 5 and later show them. */
static void fill_created(struct request *req, create_row *row)
{
    struct broker *broker = req->broker;
    row->TopicConfigErrorCode = request_denied(req, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, row->Name);
    if (row->TopicConfigErrorCode != 0) {
        row->NumPartitions = row->ReplicationFactor = -1;
        row->Configs.len = -1;
        return;
    }
    row->ReplicationFactor = 1;
    WIRE_ALLOC(&req->arena, row->Configs, CreateTopicsResponse_CreatableTopicConfigs, TOPIC_CONFIG_COUNT);
    storage_topics_lock(broker->storage);
    const struct topic *topic = topics_find(storage_topics(broker->storage), row->Name);
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) {
        row->Configs.at[i].Name = str_from(topic_config_defs[i].name);
        row->Configs.at[i].Value =
            topic_config_value(broker->storage, topic, i, &row->Configs.at[i].ConfigSource, &req->arena);
    }
    if (topic != NULL)
        row->NumPartitions = topic->partition_count;
    storage_topics_unlock(broker->storage);
}

static int16_t check_right_to_create(struct request *req, struct str name)
{
    int16_t code = request_denied_cluster(req, ACL_CREATE);
    return code == 0 ? 0 : request_denied(req, ACL_TOPIC, ACL_CREATE, name);
}

/* Creates or, with check_only, would. 0 with the topic's id, or the error and its text. */
static int16_t create(struct request *req, const create_asked *asked, bool check_only, struct uuid *id,
                      struct str *text)
{
    struct err err;
    struct topic_setting *settings = arena_array(&req->arena, struct topic_setting, asked->Configs.len + 1);
    for (int32_t i = 0; i < asked->Configs.len; i++)
        settings[i] = (struct topic_setting){asked->Configs.at[i].Name,
                                             topic_setting_clamped(req->broker, asked->Configs.at[i].Name,
                                                                   asked->Configs.at[i].Value)};
    struct topic_create_args args = {
        .name = asked->Name,
        .partition_count = asked->Assignments.len > 0 ? asked->Assignments.len : asked->NumPartitions,
        .settings = settings,
        .setting_count = (size_t)MAX(asked->Configs.len, 0),
        .check_only = check_only,
    };
    int16_t code = check_create(req, asked, text);
    if (code != 0)
        return code;
    int64_t partitions =
        args.partition_count == -1 ? LIVE(req->broker, storage.num_partitions) : args.partition_count;
    if (!check_only && !request_may_mutate(req, STRICT_CREATE, MAX(partitions, 1))) {
        *text = throttled_text;
        return THROTTLING_QUOTA_EXCEEDED;
    }
    if (!storage_topic_create_with(req->broker->storage, &args, &err)) {
        *text = str_dup(str_from(err.text), &req->arena);
        return error_code_of(&err);
    }
    *text = STR_NULL;
    *id = args.id;
    return 0;
}

int16_t request_create_topic(struct request *req, const create_asked *asked, struct str *text)
{
    struct uuid id;
    return create(req, asked, false, &id, text);
}

static void create_one(struct request *req, const create_asked *asked, create_row *row)
{
    const struct CreateTopicsRequest *body = req->body;
    struct uuid id = {{0}};
    row->ErrorCode = check_right_to_create(req, asked->Name);
    if (row->ErrorCode == 0)
        row->ErrorCode = create(req, asked, body->validateOnly, &id, &row->ErrorMessage);
    if (row->ErrorCode != 0)
        return;
    if (!body->validateOnly)
        row->TopicId = id;
    row->NumPartitions = asked->Assignments.len > 0 ? asked->Assignments.len : asked->NumPartitions;
    if (row->NumPartitions == -1)
        row->NumPartitions = (int32_t)LIVE(req->broker, storage.num_partitions);
    fill_created(req, row);
}

static bool named_twice(const struct CreateTopicsRequest *body, int32_t at)
{
    for (int32_t i = 0; i < body->Topics.len; i++)
        if (i != at && str_eq(body->Topics.at[i].Name, body->Topics.at[at].Name))
            return true;
    return false;
}

static void create_topics(struct request *req)
{
    const struct CreateTopicsRequest *body = req->body;
    struct CreateTopicsResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Topics, CreateTopicsResponse_CreatableTopicResult, MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        create_row *row = &res->Topics.at[i];
        row->Name = body->Topics.at[i].Name;
        if (named_twice(body, i)) {
            row->ErrorCode = INVALID_REQUEST;
            row->ErrorMessage = STR("Duplicate topic name.");
        } else {
            create_one(req, &body->Topics.at[i], row);
        }
    }
    request_reply(req);
}

void api_create_topics(struct request *req)
{
    request_on_pool(req, create_topics);
}

/* --- DeleteTopics --- */

static int32_t partition_count_of(struct broker *broker, struct str name)
{
    storage_entries_lock(broker->storage);
    struct topic_entry *entry = storage_entry(broker->storage, name);
    int32_t count = entry == NULL ? 0 : entry->partition_count;
    storage_entries_unlock(broker->storage);
    return count;
}

static void delete_one(struct request *req, struct str name,
                       struct DeleteTopicsResponse_DeletableTopicResult *row)
{
    struct err err;
    if (!LIVE(req->broker, delete_topics)) {
        row->ErrorCode = DELETION_DISABLED;
        row->ErrorMessage = STR("delete.topic.enable is false");
    } else if (!request_may_mutate(req, STRICT_DELETE, partition_count_of(req->broker, name))) {
        row->ErrorCode = THROTTLING_QUOTA_EXCEEDED;
        row->ErrorMessage = throttled_text;
    } else if (!storage_topic_delete(req->broker->storage, name, &err)) {
        row->ErrorCode = error_code_of(&err);
        row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
    }
}

/* As Kafka: Describe, then whether it exists, then Delete. A name that may not be seen is not told for an id. */
static int16_t check_right_to_delete(struct request *req, struct str name, struct str *told, bool by_id)
{
    int16_t denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, name);
    if (denied != 0) {
        *told = by_id ? STR_NULL : name;
        return denied;
    }
    struct partition *part = storage_partition(req->broker->storage, name, 0);
    denied = part == NULL ? 0 : request_denied(req, ACL_TOPIC, ACL_DELETE, name);
    partition_unref(part);
    return denied;
}

static void delete_topics(struct request *req)
{
    enum { STRUCT_VERSION = 6 };
    const struct DeleteTopicsRequest *body = req->body;
    struct DeleteTopicsResponse *res = req->res;
    bool structs = req->version >= STRUCT_VERSION;
    int32_t count = MAX(structs ? body->Topics.len : body->TopicNames.len, 0);
    WIRE_ALLOC(&req->arena, res->Responses, DeleteTopicsResponse_DeletableTopicResult, count);
    for (int32_t i = 0; i < count; i++) {
        struct DeleteTopicsResponse_DeletableTopicResult *row = &res->Responses.at[i];
        row->Name = structs ? body->Topics.at[i].Name : body->TopicNames.at[i];
        row->TopicId = structs ? body->Topics.at[i].TopicId : row->TopicId;
        bool by_id = structs && !uuid_is_zero(row->TopicId);
        if (by_id == !str_is_null(row->Name)) {
            row->ErrorCode = INVALID_REQUEST;
            row->ErrorMessage = by_id ? STR("You may not specify both topic name and topic id.")
                                      : STR("Neither topic name nor id were specified.");
            continue;
        }
        if (by_id)
            row->Name = storage_topic_name(req->broker->storage, row->TopicId, &req->arena);
        if (str_is_null(row->Name))
            row->ErrorCode = UNKNOWN_TOPIC_ID;
        else if ((row->ErrorCode = check_right_to_delete(req, row->Name, &row->Name, by_id)) == 0)
            delete_one(req, row->Name, row);
    }
    request_reply(req);
}

void api_delete_topics(struct request *req)
{
    request_on_pool(req, delete_topics);
}

/* --- CreatePartitions --- */

typedef struct CreatePartitionsRequest_CreatePartitionsTopic grow_asked;

/* NULL when the assignments, if there are any, can be those of the new partitions. */
static const char *assignments_fault(struct request *req, const grow_asked *asked)
{
    int32_t present = partition_count_of(req->broker, asked->Name);
    if (asked->Assignments.len < 0 || present == 0 || asked->Count <= present)
        return NULL; /* there are none, or growing has another fault */
    if (asked->Assignments.len != asked->Count - present)
        return str_printf(
                   &req->arena,
                   "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
                   asked->Count - present, asked->Assignments.len)
            .ptr;
    for (int32_t i = 0; i < asked->Assignments.len; i++)
        if (asked->Assignments.at[i].BrokerIds.len != 1 ||
            asked->Assignments.at[i].BrokerIds.at[0] != NODE_ID)
            return "partitions can only be assigned to node 1";
    return NULL;
}

static int32_t added_by(struct request *req, const grow_asked *asked)
{
    int32_t present = partition_count_of(req->broker, asked->Name);
    return present == 0 ? 0 : MAX(MIN(asked->Count, TOPIC_PARTITIONS_MAX) - present, 0);
}

static bool grown_twice(const struct CreatePartitionsRequest *body, int32_t at)
{
    for (int32_t i = 0; i < body->Topics.len; i++)
        if (i != at && str_eq(body->Topics.at[i].Name, body->Topics.at[at].Name))
            return true;
    return false;
}

static void create_partitions(struct request *req)
{
    const struct CreatePartitionsRequest *body = req->body;
    struct CreatePartitionsResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Results, CreatePartitionsResponse_CreatePartitionsTopicResult,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const grow_asked *asked = &body->Topics.at[i];
        struct CreatePartitionsResponse_CreatePartitionsTopicResult *row = &res->Results.at[i];
        struct err err;
        const char *fault = assignments_fault(req, asked);
        row->Name = asked->Name;
        row->ErrorCode = request_denied(req, ACL_TOPIC, ACL_ALTER, asked->Name);
        if (row->ErrorCode != 0)
            continue;
        if (grown_twice(body, i)) {
            row->ErrorCode = INVALID_REQUEST;
            row->ErrorMessage = STR("Duplicate topic name.");
        } else if (fault != NULL) {
            row->ErrorCode = INVALID_ASSIGNMENT;
            row->ErrorMessage = str_from(fault);
        } else if (!body->ValidateOnly && !request_may_mutate(req, STRICT_GROW, added_by(req, asked))) {
            row->ErrorCode = THROTTLING_QUOTA_EXCEEDED;
            row->ErrorMessage = throttled_text;
        } else if (!storage_topic_grow(req->broker->storage, asked->Name, asked->Count, body->ValidateOnly,
                                       &err)) {
            row->ErrorCode = error_code_of(&err);
            row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
        }
    }
    request_reply(req);
}

void api_create_partitions(struct request *req)
{
    request_on_pool(req, create_partitions);
}
