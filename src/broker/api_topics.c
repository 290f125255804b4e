/* api_topics.c - CreateTopics, DeleteTopics, CreatePartitions, DescribeConfigs. Changes run on the admin pool, in order. */
#include "broker/broker_int.h"
#include "broker/once.h"

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

/* The topic as it would be, for one that is only checked. */
static const struct topic *checked_topic(struct request *req, const struct topic_create_args *args)
{
    struct topic *topic = arena_new(&req->arena, struct topic);
    for (size_t i = 0; i < args->setting_count; i++)
        topic->settings[topic_config_find(args->settings[i].name)] = str_trim(args->settings[i].value);
    topic->partition_count = args->partition_count == -1 ? (int32_t)LIVE(req->broker, storage.num_partitions)
                                                         : args->partition_count;
    return topic;
}

/* The configs in force, as version 5 and later show them. */
static void fill_created(struct request *req, const struct topic_create_args *args, create_row *row)
{
    struct broker *broker = req->broker;
    row->TopicConfigErrorCode = request_denied(req, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, row->Name);
    if (row->TopicConfigErrorCode != 0) {
        row->NumPartitions = row->ReplicationFactor = -1;
        row->Configs.len = 0;
        return;
    }
    row->ReplicationFactor = 1;
    WIRE_ALLOC(&req->arena, row->Configs, CreateTopicsResponse_CreatableTopicConfigs, TOPIC_CONFIG_COUNT);
    storage_topics_lock(broker->storage);
    const struct topic *topic =
        args->check_only ? checked_topic(req, args) : topics_find(storage_topics(broker->storage), row->Name);
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

/* Quotas are charged for what would be done: what fails costs nothing, and says why rather than that there is no quota. */
static bool may_create(struct request *req, struct topic_create_args *args, int64_t partitions, int16_t *code,
                       struct str *text)
{
    struct err err;
    if (req->quotas == NULL || args->check_only)
        return true;
    args->check_only = true;
    bool fits = storage_topic_create_with(req->broker->storage, args, &err);
    args->check_only = false;
    if (!fits) {
        *text = str_dup(str_from(err.text), &req->arena);
        *code = error_code_of(&err);
        return false;
    }
    if (request_may_mutate(req, STRICT_CREATE, MAX(partitions, 1)))
        return true;
    *text = throttled_text;
    *code = THROTTLING_QUOTA_EXCEEDED;
    return false;
}

/* Creates or, with check_only, would. 0 with what it was made of, its id too, or the error and its text. */
static int16_t create(struct request *req, const create_asked *asked, bool check_only,
                      struct topic_create_args *args, struct str *text)
{
    struct err err;
    struct topic_setting *settings = arena_array(&req->arena, struct topic_setting, asked->Configs.len + 1);
    for (int32_t i = 0; i < asked->Configs.len; i++)
        settings[i] = (struct topic_setting){asked->Configs.at[i].Name,
                                             topic_setting_clamped(req->broker, asked->Configs.at[i].Name,
                                                                   asked->Configs.at[i].Value)};
    *args = (struct topic_create_args){
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
        args->partition_count == -1 ? LIVE(req->broker, storage.num_partitions) : args->partition_count;
    if (!may_create(req, args, partitions, &code, text))
        return code;
    if (!storage_topic_create_with(req->broker->storage, args, &err)) {
        *text = str_dup(str_from(err.text), &req->arena);
        return error_code_of(&err);
    }
    *text = STR_NULL;
    return 0;
}

int16_t request_create_topic(struct request *req, const create_asked *asked, struct str *text)
{
    struct topic_create_args args;
    return create(req, asked, false, &args, text);
}

static void create_one(struct request *req, const create_asked *asked, create_row *row)
{
    const struct CreateTopicsRequest *body = req->body;
    struct topic_create_args args;
    row->ErrorCode = check_right_to_create(req, asked->Name);
    if (row->ErrorCode == 0)
        row->ErrorCode = create(req, asked, body->validateOnly, &args, &row->ErrorMessage);
    if (row->ErrorCode != 0)
        return;
    row->TopicId = args.id; /* of one that is only checked: some id, as Kafka has it */
    row->NumPartitions = args.partition_count == -1 ? (int32_t)LIVE(req->broker, storage.num_partitions)
                                                    : args.partition_count;
    fill_created(req, &args, row);
}

static void create_topics(struct request *req)
{
    const struct CreateTopicsRequest *body = req->body;
    struct CreateTopicsResponse *res = req->res;
    struct once once = {0};
    bool twice;
    WIRE_ALLOC(&req->arena, res->Topics, CreateTopicsResponse_CreatableTopicResult, MAX(body->Topics.len, 0));
    res->Topics.len = 0;
    for (int32_t i = 0; i < body->Topics.len; i++)
        once_add(&once, body->Topics.at[i].Name);
    for (int32_t i = 0; i < body->Topics.len; i++) {
        if (!once_take(&once, body->Topics.at[i].Name, &twice))
            continue;
        create_row *row = &res->Topics.at[res->Topics.len++];
        row->Name = body->Topics.at[i].Name;
        if (twice) {
            row->ErrorCode = INVALID_REQUEST;
            row->ErrorMessage = STR("Duplicate topic name.");
        } else {
            create_one(req, &body->Topics.at[i], row);
        }
    }
    once_fini(&once);
    request_reply(req);
}

void api_create_topics(struct request *req)
{
    request_on_pool(req, create_topics);
}

/* --- DeleteTopics --- */

typedef struct DeleteTopicsResponse_DeletableTopicResult delete_row;

static int32_t partition_count_of(struct broker *broker, struct str name)
{
    storage_entries_lock(broker->storage);
    struct topic_entry *entry = storage_entry(broker->storage, name);
    int32_t count = entry == NULL ? 0 : entry->partition_count;
    storage_entries_unlock(broker->storage);
    return count;
}

static void delete_one(struct request *req, struct str name, delete_row *row)
{
    struct err err;
    int32_t partitions = partition_count_of(req->broker, name); /* 0: there is none, which costs nothing */
    if (is_hidden_topic(name)) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage = STR("This server does not host this topic-partition.");
    } else if (!LIVE(req->broker, delete_topics)) {
        row->ErrorCode = DELETION_DISABLED;
        row->ErrorMessage = STR("delete.topic.enable is false");
    } else if (partitions > 0 && !request_may_mutate(req, STRICT_DELETE, partitions)) {
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
    if (request_may_cluster(req, ACL_DELETE))
        return 0;
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

/* What a request wants deleted: names, ids, and the names whose topic is asked for by its id as well. */
struct delete_list {
    struct once names, ids, clashes;
};

static struct str id_bytes(const struct uuid *id)
{
    return str_of((const char *)id->bytes, sizeof id->bytes);
}

static bool is_by_id(const delete_row *row)
{
    return !uuid_is_zero(row->TopicId);
}

/* Names both, or neither. */
static bool is_unclear(const delete_row *row)
{
    return is_by_id(row) == !str_is_null(row->Name);
}

static struct uuid id_of(struct broker *broker, struct str name)
{
    storage_entries_lock(broker->storage);
    struct topic_entry *entry = storage_entry(broker->storage, name);
    struct uuid id = entry == NULL ? (struct uuid){0} : entry->id;
    storage_entries_unlock(broker->storage);
    return id;
}

static void list_deleted(struct request *req, const delete_row *rows, int32_t count, struct delete_list *list)
{
    bool twice;
    for (int32_t i = 0; i < count; i++)
        if (!is_unclear(&rows[i]))
            once_add(is_by_id(&rows[i]) ? &list->ids : &list->names,
                     is_by_id(&rows[i]) ? id_bytes(&rows[i].TopicId) : rows[i].Name);
    for (int32_t i = 0; i < count; i++) {
        struct uuid id = is_by_id(&rows[i]) ? (struct uuid){0} : id_of(req->broker, rows[i].Name);
        if (once_take(&list->ids, id_bytes(&id), &twice))
            once_add(&list->clashes, rows[i].Name);
    }
}

static void refuse_delete(delete_row *row, int16_t code, struct str text)
{
    row->ErrorCode = code;
    row->ErrorMessage = text;
}

/* False: the row is another one's double and not answered. */
static bool delete_row_run(struct request *req, struct delete_list *list, delete_row *row)
{
    enum { NAMED_VERSION = 6 };
    bool twice = false, by_id = is_by_id(row);
    if (is_unclear(row)) {
        refuse_delete(row, INVALID_REQUEST,
                      by_id ? STR("You may not specify both topic name and topic id.")
                            : STR("Neither topic name nor id were specified."));
        return true;
    }
    if (!once_take(by_id ? &list->ids : &list->names, by_id ? id_bytes(&row->TopicId) : row->Name, &twice))
        return false;
    struct uuid id = by_id ? row->TopicId : id_of(req->broker, row->Name);
    if (twice) {
        refuse_delete(row, INVALID_REQUEST,
                      by_id ? STR("Duplicate topic id.") : STR("Duplicate topic name."));
        return true;
    }
    if (!by_id && once_has(&list->clashes, row->Name)) {
        refuse_delete(row, INVALID_REQUEST,
                      STR("The provided topic name maps to an ID that was already supplied."));
        row->TopicId = id;
        return true;
    }
    if (by_id)
        row->Name = storage_topic_name(req->broker->storage, row->TopicId, &req->arena);
    if (str_is_null(row->Name))
        refuse_delete(row, UNKNOWN_TOPIC_ID, STR("This server does not host this topic ID."));
    else if ((row->ErrorCode = check_right_to_delete(req, row->Name, &row->Name, by_id)) == 0)
        delete_one(req, row->Name, row);
    if ((row->ErrorCode == 0 || row->ErrorCode == THROTTLING_QUOTA_EXCEEDED) && req->version >= NAMED_VERSION)
        row->TopicId = id;
    return true;
}

static void delete_topics(struct request *req)
{
    enum { STRUCT_VERSION = 6 };
    const struct DeleteTopicsRequest *body = req->body;
    struct DeleteTopicsResponse *res = req->res;
    struct delete_list list = {0};
    bool structs = req->version >= STRUCT_VERSION;
    int32_t count = MAX(structs ? body->Topics.len : body->TopicNames.len, 0);
    WIRE_ALLOC(&req->arena, res->Responses, DeleteTopicsResponse_DeletableTopicResult, count);
    for (int32_t i = 0; i < count; i++) {
        delete_row *row = &res->Responses.at[i];
        row->Name = structs ? body->Topics.at[i].Name : body->TopicNames.at[i];
        row->TopicId = structs ? body->Topics.at[i].TopicId : row->TopicId;
    }
    list_deleted(req, res->Responses.at, count, &list);
    res->Responses.len = 0;
    for (int32_t i = 0; i < count; i++) {
        delete_row *row = &res->Responses.at[i];
        if (delete_row_run(req, &list, row))
            res->Responses.at[res->Responses.len++] = *row;
    }
    once_fini(&list.names);
    once_fini(&list.ids);
    once_fini(&list.clashes);
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

typedef struct CreatePartitionsResponse_CreatePartitionsTopicResult grow_row;

/* As may_create: false when growing would fail for another reason, or there is no quota for it. */
static bool may_grow(struct request *req, const grow_asked *asked, grow_row *row)
{
    struct err err;
    if (req->quotas == NULL)
        return true;
    if (!storage_topic_grow(req->broker->storage, asked->Name, asked->Count, true, &err)) {
        row->ErrorCode = error_code_of(&err);
        row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
        return false;
    }
    if (request_may_mutate(req, STRICT_GROW, added_by(req, asked)))
        return true;
    row->ErrorCode = THROTTLING_QUOTA_EXCEEDED;
    row->ErrorMessage = throttled_text;
    return false;
}

static void grow_one(struct request *req, const grow_asked *asked, bool twice, grow_row *row)
{
    const struct CreatePartitionsRequest *body = req->body;
    struct err err;
    const char *fault = assignments_fault(req, asked);
    row->ErrorCode = request_denied(req, ACL_TOPIC, ACL_ALTER, asked->Name);
    if (row->ErrorCode != 0)
        return;
    if (twice) {
        row->ErrorCode = INVALID_REQUEST;
        row->ErrorMessage = STR("Duplicate topic name.");
    } else if (is_hidden_topic(asked->Name)) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage = STR("This server does not host this topic-partition.");
    } else if (fault != NULL) {
        row->ErrorCode = INVALID_ASSIGNMENT;
        row->ErrorMessage = str_from(fault);
    } else if (!body->ValidateOnly && !may_grow(req, asked, row)) {
        return;
    } else if (!storage_topic_grow(req->broker->storage, asked->Name, asked->Count, body->ValidateOnly,
                                   &err)) {
        row->ErrorCode = error_code_of(&err);
        row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
    }
}

static void create_partitions(struct request *req)
{
    const struct CreatePartitionsRequest *body = req->body;
    struct CreatePartitionsResponse *res = req->res;
    struct once once = {0};
    bool twice;
    WIRE_ALLOC(&req->arena, res->Results, CreatePartitionsResponse_CreatePartitionsTopicResult,
               MAX(body->Topics.len, 0));
    res->Results.len = 0;
    for (int32_t i = 0; i < body->Topics.len; i++)
        once_add(&once, body->Topics.at[i].Name);
    for (int32_t i = 0; i < body->Topics.len; i++) {
        if (!once_take(&once, body->Topics.at[i].Name, &twice))
            continue;
        grow_row *row = &res->Results.at[res->Results.len++];
        row->Name = body->Topics.at[i].Name;
        grow_one(req, &body->Topics.at[i], twice, row);
    }
    once_fini(&once);
    request_reply(req);
}

void api_create_partitions(struct request *req)
{
    request_on_pool(req, create_partitions);
}
