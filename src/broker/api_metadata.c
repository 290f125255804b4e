/* api_metadata.c - Metadata, DescribeTopicPartitions, DescribeCluster, FindCoordinator: one node is the whole cluster.
 *
 * Unknown topics are created by a Metadata request when the options and the request allow it; since that waits for the
 * disk, such a request goes on on the admin pool, and is answered with the finished topics.
 */
#include <ctype.h>

#include "broker/broker_int.h"
#include "broker/once.h"

enum { UNKNOWN_TOPIC = 3, INVALID_REQUEST = 42, UNKNOWN_TOPIC_ID = 100 };
enum { FLAG_VERSION = 4 };

typedef struct MetadataRequest_MetadataRequestTopic asked_topic;
typedef struct MetadataResponse_MetadataResponseTopic topic_row;

static const int32_t self[] = {NODE_ID};

/* Rows of a topic that is there. Under the lock of the entries. */
static void fill_topic(const struct topic_entry *entry, topic_row *row, struct arena *arena)
{
    row->ErrorCode = 0;
    row->Name = str_dup(entry->name, arena);
    row->TopicId = entry->id;
    row->IsInternal = entry->internal;
    WIRE_ALLOC(arena, row->Partitions, MetadataResponse_MetadataResponsePartition, entry->partition_count);
    for (int32_t i = 0; i < entry->partition_count; i++) {
        struct MetadataResponse_MetadataResponsePartition *part = &row->Partitions.at[i];
        part->PartitionIndex = i;
        part->LeaderId = NODE_ID;
        part->LeaderEpoch = log_leader_epoch(partition_log(entry->parts[i]));
        part->ReplicaNodes.at = part->IsrNodes.at = (int32_t *)self;
        part->ReplicaNodes.len = part->IsrNodes.len = 1;
    }
}

/* Asked for by id: some clients leave the name null then, others empty. */
static bool by_id(const asked_topic *asked)
{
    return str_is_null(asked->Name) || !uuid_is_zero(asked->TopicId);
}

/* What makes it the same topic in a request. */
static struct str topic_key(const asked_topic *asked)
{
    return by_id(asked) ? str_of((const char *)asked->TopicId.bytes, sizeof asked->TopicId.bytes)
                        : asked->Name;
}

static void fill_missing(const asked_topic *asked, topic_row *row)
{
    struct err err;
    row->Name = by_id(asked) ? STR_NULL : asked->Name;
    row->TopicId = asked->TopicId;
    if (by_id(asked))
        row->ErrorCode = UNKNOWN_TOPIC_ID;
    else
        row->ErrorCode = topic_name_check(asked->Name, &err) ? UNKNOWN_TOPIC : error_code_of(&err);
}

static struct topic_entry *find(struct broker *broker, const asked_topic *asked)
{
    return by_id(asked) ? storage_entry_by_id(broker->storage, asked->TopicId)
                        : storage_entry(broker->storage, asked->Name);
}

static bool may_create(const struct request *req)
{
    const struct MetadataRequest *body = req->body;
    return LIVE(req->broker, auto_create_topics) &&
           (req->version < FLAG_VERSION || body->AllowAutoTopicCreation);
}

static bool includes_topic_operations(const struct request *req)
{
    return ((const struct MetadataRequest *)req->body)->IncludeTopicAuthorizedOperations;
}

/* One that may be seen, with what may be done to it. Under the lock of the entries. */
static void show_topic(struct request *req, const struct topic_entry *entry, topic_row *row)
{
    fill_topic(entry, row, &req->arena);
    if (includes_topic_operations(req))
        row->TopicAuthorizedOperations = request_operations(req, ACL_TOPIC, row->Name);
}

/* A topic that may not be seen: whether it exists is not told by its name. An id is no secret, as in Kafka. */
static void hide_topic(const asked_topic *asked, topic_row *row, int16_t denied)
{
    row->Name = by_id(asked) ? STR_NULL : asked->Name;
    row->TopicId = asked->TopicId;
    row->ErrorCode = denied;
}

/* A named topic that is not there and may not be created either. */
static int16_t check_right_to_create(struct request *req, struct str name)
{
    int16_t code = request_denied_cluster(req, ACL_CREATE);
    return code == 0 ? 0 : request_denied(req, ACL_TOPIC, ACL_CREATE, name);
}

static void fill_named(struct request *req, const asked_topic *asked, topic_row *row)
{
    const struct topic_entry *entry = find(req->broker, asked);
    struct str name = entry != NULL ? entry->name : by_id(asked) ? STR_NULL : asked->Name;
    int16_t denied = str_is_null(name) ? 0 : request_denied(req, ACL_TOPIC, ACL_DESCRIBE, name);
    if (denied != 0) {
        hide_topic(asked, row, denied);
    } else if (entry != NULL) {
        show_topic(req, entry, row);
    } else {
        fill_missing(asked, row);
        denied = row->ErrorCode == UNKNOWN_TOPIC && may_create(req) ? check_right_to_create(req, name) : 0;
        row->ErrorCode = denied != 0 ? denied : row->ErrorCode;
    }
}

/* The topics that are asked for, each once. */
static void fill_asked(struct request *req)
{
    const struct MetadataRequest *body = req->body;
    struct MetadataResponse *res = req->res;
    struct once once = {0};
    bool twice, alone = body->Topics.len == 1;
    WIRE_ALLOC(&req->arena, res->Topics, MetadataResponse_MetadataResponseTopic, body->Topics.len);
    res->Topics.len = 0;
    for (int32_t i = 0; i < body->Topics.len && !alone; i++)
        once_add(&once, topic_key(&body->Topics.at[i]));
    for (int32_t i = 0; i < body->Topics.len; i++)
        if (alone || once_take(&once, topic_key(&body->Topics.at[i]), &twice))
            fill_named(req, &body->Topics.at[i], &res->Topics.at[res->Topics.len++]);
    once_fini(&once);
}

static void fill_topics(struct request *req)
{
    struct broker *broker = req->broker;
    const struct MetadataRequest *body = req->body;
    struct MetadataResponse *res = req->res;
    bool all = body->Topics.len < 0 || (req->version == 0 && body->Topics.len == 0);
    struct topic_entry *entry;
    storage_entries_lock(broker->storage);
    if (all) {
        WIRE_ALLOC(&req->arena, res->Topics, MetadataResponse_MetadataResponseTopic,
                   storage_entry_count(broker->storage));
        res->Topics.len = 0;
        for (size_t i = 0; (entry = storage_entry_next(broker->storage, &i)) != NULL;)
            if (request_denied(req, ACL_TOPIC, ACL_DESCRIBE, entry->name) == 0)
                show_topic(req, entry, &res->Topics.at[res->Topics.len++]);
    } else {
        fill_asked(req);
    }
    storage_entries_unlock(broker->storage);
}

/* What may be done to the cluster; nothing is told without the right to describe it. */
static int32_t cluster_operations(struct request *req)
{
    return request_may_cluster(req, ACL_DESCRIBE)
               ? request_operations(req, ACL_CLUSTER, STR(ACL_CLUSTER_NAME))
               : 0;
}

static void answer(struct request *req)
{
    struct broker *broker = req->broker;
    const struct MetadataRequest *body = req->body;
    struct MetadataResponse *res = req->res;
    fill_topics(req);
    for (int32_t i = 0; body->IncludeTopicAuthorizedOperations && i < res->Topics.len; i++)
        if (res->Topics.at[i].ErrorCode == 0)
            res->Topics.at[i].TopicAuthorizedOperations =
                request_operations(req, ACL_TOPIC, res->Topics.at[i].Name);
    if (body->IncludeClusterAuthorizedOperations)
        res->ClusterAuthorizedOperations = request_operations(req, ACL_CLUSTER, STR(ACL_CLUSTER_NAME));
    WIRE_ALLOC(&req->arena, res->Brokers, MetadataResponse_MetadataResponseBroker, 1);
    res->Brokers.at[0].NodeId = NODE_ID;
    res->Brokers.at[0].Host = req->listener->host;
    res->Brokers.at[0].Port = req->listener->port;
    res->ClusterId = storage_cluster_id(broker->storage);
    res->ControllerId = NODE_ID;
    if (((const struct MetadataRequest *)req->body)->IncludeClusterAuthorizedOperations)
        res->ClusterAuthorizedOperations = cluster_operations(req);
    request_reply(req);
}

static bool may_make(struct request *req, struct str name)
{
    return request_denied(req, ACL_TOPIC, ACL_DESCRIBE, name) == 0 && check_right_to_create(req, name) == 0;
}

/* Some named topic is missing and could be made. */
static bool any_missing(struct request *req)
{
    const struct MetadataRequest *body = req->body;
    bool missing = false;
    storage_entries_lock(req->broker->storage);
    for (int32_t i = 0; i < body->Topics.len && !missing; i++)
        missing = !by_id(&body->Topics.at[i]) && find(req->broker, &body->Topics.at[i]) == NULL &&
                  topic_name_check(body->Topics.at[i].Name, NULL);
    storage_entries_unlock(req->broker->storage);
    return missing;
}

/* On the admin pool. A name that cannot be made is answered as unknown, or with its fault. */
static void create_and_answer(struct request *req)
{
    const struct MetadataRequest *body = req->body;
    for (int32_t i = 0; i < body->Topics.len; i++) {
        struct err err;
        struct str name = body->Topics.at[i].Name;
        struct topic_create_args args = {.name = name, .partition_count = -1};
        if (by_id(&body->Topics.at[i]))
            continue;
        struct partition *part = storage_partition(req->broker->storage, name, 0);
        partition_unref(part);
        if (part == NULL && may_make(req, name) &&
            !storage_topic_create_with(req->broker->storage, &args, &err) && err.code != ERR_TOPIC_EXISTS)
            log_warn("broker", "auto_create_failed", "topic=%.*s cause=\"%s\"", STR_ARG(name), err.text);
    }
    answer(req);
}

/* Versions 10 and 11 have the field of the id, but only names are asked for by them. */
static bool any_by_id_too_early(const struct request *req)
{
    enum { BY_ID_VERSION = 12 };
    const struct MetadataRequest *body = req->body;
    bool any = false;
    for (int32_t i = 0; i < body->Topics.len && req->version < BY_ID_VERSION; i++)
        any = any || by_id(&body->Topics.at[i]);
    return any;
}

/* The same error for all, and nothing of the cluster. */
static void refuse_all(struct request *req)
{
    const struct MetadataRequest *body = req->body;
    struct MetadataResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Topics, MetadataResponse_MetadataResponseTopic, body->Topics.len);
    for (int32_t i = 0; i < body->Topics.len; i++) {
        res->Topics.at[i].Name = body->Topics.at[i].Name;
        res->Topics.at[i].TopicId = body->Topics.at[i].TopicId;
        res->Topics.at[i].ErrorCode = INVALID_REQUEST;
    }
    request_reply(req);
}

void api_metadata(struct request *req)
{
    if (any_by_id_too_early(req))
        refuse_all(req);
    else if (may_create(req) && any_missing(req))
        request_on_pool(req, create_and_answer);
    else
        answer(req);
}

void api_describe_cluster(struct request *req)
{
    enum { BROKERS = 1, CONTROLLERS = 2, MISMATCHED_ENDPOINT = 114, UNSUPPORTED_ENDPOINT = 115 };
    const struct DescribeClusterRequest *body = req->body;
    struct DescribeClusterResponse *res = req->res;
    res->EndpointType = BROKERS;
    if (body->EndpointType != BROKERS) {
        bool known = body->EndpointType == CONTROLLERS;
        res->ErrorCode = known ? MISMATCHED_ENDPOINT : UNSUPPORTED_ENDPOINT;
        res->ErrorMessage = known
                                ? STR("The request was sent to an endpoint of type BROKER, but we wanted an "
                                      "endpoint of type CONTROLLER")
                                : str_printf(&req->arena, "Unsupported endpoint type %d", body->EndpointType);
        request_reply(req);
        return;
    }
    res->ClusterId = storage_cluster_id(req->broker->storage);
    res->ControllerId = NODE_ID;
    if (body->IncludeClusterAuthorizedOperations)
        res->ClusterAuthorizedOperations = cluster_operations(req);
    WIRE_ALLOC(&req->arena, res->Brokers, DescribeClusterResponse_DescribeClusterBroker, 1);
    res->Brokers.at[0].BrokerId = NODE_ID;
    res->Brokers.at[0].Host = req->listener->host;
    res->Brokers.at[0].Port = req->listener->port;
    request_reply(req);
}

/* --- DescribeTopicPartitions: Metadata in pages, topics by name --- */

enum { PAGE_PARTITIONS_MAX = 2000 };

typedef struct DescribeTopicPartitionsResponse_DescribeTopicPartitionsResponseTopic page_topic;

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The names to describe, sorted, each once, none before the cursor's topic. Under the lock of the entries. */
static struct str *page_names(struct request *req, size_t *count)
{
    const struct DescribeTopicPartitionsRequest *body = req->body;
    struct broker *broker = req->broker;
    bool all = body->Topics.len <= 0;
    size_t have = all ? storage_entry_count(broker->storage) : (size_t)body->Topics.len, used = 0;
    struct str *names = arena_array(&req->arena, struct str, have);
    struct topic_entry *entry;
    for (size_t i = 0, n = 0; all && (entry = storage_entry_next(broker->storage, &i)) != NULL; n++)
        names[n] = entry->name;
    for (size_t i = 0; !all && i < have; i++)
        names[i] = body->Topics.at[i].Name;
    qsort(names, have, sizeof *names, by_name);
    for (size_t i = 0; i < have; i++) {
        bool before = body->Cursor != NULL && str_cmp(names[i], body->Cursor->TopicName) < 0;
        if (!before && (used == 0 || !str_eq(names[used - 1], names[i])))
            names[used++] = names[i];
    }
    *count = used;
    return names;
}

static void fill_page_topic(const struct topic_entry *entry, int32_t from, int32_t to, page_topic *row,
                            struct arena *arena)
{
    row->TopicId = entry->id;
    row->IsInternal = entry->internal;
    WIRE_ALLOC(arena, row->Partitions,
               DescribeTopicPartitionsResponse_DescribeTopicPartitionsResponsePartition, MAX(to - from, 0));
    for (int32_t i = from; i < to; i++) {
        struct DescribeTopicPartitionsResponse_DescribeTopicPartitionsResponsePartition *part =
            &row->Partitions.at[i - from];
        part->PartitionIndex = i;
        part->LeaderId = NODE_ID;
        part->LeaderEpoch = log_leader_epoch(partition_log(entry->parts[i]));
        part->ReplicaNodes.at = part->IsrNodes.at = (int32_t *)self;
        part->ReplicaNodes.len = part->IsrNodes.len = 1;
        part->EligibleLeaderReplicas.len = part->LastKnownElr.len = 0; /* Java clients cannot take null */
    }
}

static void set_cursor(struct request *req, struct str topic, int32_t partition)
{
    struct DescribeTopicPartitionsResponse *res = req->res;
    res->NextCursor = wire_new(&WIRE_DescribeTopicPartitionsResponse_Cursor, 1, &req->arena);
    res->NextCursor->TopicName = str_dup(topic, &req->arena);
    res->NextCursor->PartitionIndex = partition;
}

/* Adds topics until `left` partitions are described; what comes next is the cursor. Under the lock of the entries. */
static void fill_page(struct request *req, int32_t left)
{
    const struct DescribeTopicPartitionsRequest *body = req->body;
    struct DescribeTopicPartitionsResponse *res = req->res;
    size_t count;
    struct str *names = page_names(req, &count);
    WIRE_ALLOC(&req->arena, res->Topics, DescribeTopicPartitionsResponse_DescribeTopicPartitionsResponseTopic,
               count);
    res->Topics.len = 0;
    for (size_t i = 0; i < count; i++) {
        struct topic_entry *entry = storage_entry(req->broker->storage, names[i]);
        bool here = body->Cursor != NULL && str_eq(names[i], body->Cursor->TopicName);
        int32_t from = here ? body->Cursor->PartitionIndex : 0;
        if (left == 0) {
            set_cursor(req, names[i], from);
            return;
        }
        int16_t denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, names[i]);
        if (denied != 0 && body->Topics.len <= 0)
            continue;
        page_topic *row = &res->Topics.at[res->Topics.len++];
        row->Name = str_dup(names[i], &req->arena);
        row->ErrorCode = denied;
        if (denied != 0)
            continue;
        row->TopicAuthorizedOperations = request_operations(req, ACL_TOPIC, names[i]);
        if (entry == NULL) {
            struct err err;
            row->ErrorCode = topic_name_check(names[i], &err) ? UNKNOWN_TOPIC : error_code_of(&err);
            continue;
        }
        int32_t to = MIN(entry->partition_count, from > INT32_MAX - left ? INT32_MAX : from + left);
        fill_page_topic(entry, from, to, row, &req->arena);
        left -= MAX(to - from, 0);
        if (to < entry->partition_count) {
            set_cursor(req, names[i], to);
            return;
        }
    }
}

/* A cursor stands at a partition of a topic that is asked for. */
static bool cursor_fits(const struct DescribeTopicPartitionsRequest *body)
{
    bool there = body->Topics.len <= 0;
    for (int32_t i = 0; i < body->Topics.len; i++)
        there = there || str_eq(body->Topics.at[i].Name, body->Cursor->TopicName);
    return there && body->Cursor->PartitionIndex >= 0;
}

void api_describe_topic_partitions(struct request *req)
{
    const struct DescribeTopicPartitionsRequest *body = req->body;
    struct DescribeTopicPartitionsResponse *res = req->res;
    if (body->Cursor != NULL && !cursor_fits(body)) {
        WIRE_ALLOC(&req->arena, res->Topics,
                   DescribeTopicPartitionsResponse_DescribeTopicPartitionsResponseTopic,
                   MAX(body->Topics.len, 0));
        for (int32_t i = 0; i < body->Topics.len; i++) {
            res->Topics.at[i].Name = body->Topics.at[i].Name;
            res->Topics.at[i].ErrorCode = INVALID_REQUEST;
        }
    } else {
        storage_entries_lock(req->broker->storage);
        fill_page(req, MAX(1, MIN(body->ResponsePartitionLimit, PAGE_PARTITIONS_MAX)));
        storage_entries_unlock(req->broker->storage);
    }
    request_reply(req);
}

/* "group:topic id:partition", the id in 22 characters. */
static bool is_share_key(struct str key)
{
    enum { ID_CHARS = 22 };
    struct str group, id, partition, more;
    int64_t number;
    bool three = str_split(&key, ':', &group) && str_split(&key, ':', &id) &&
                 str_split(&key, ':', &partition) && !str_split(&key, ':', &more);
    if (!three || group.len == 0 || id.len != ID_CHARS || !str_to_i64(partition, &number))
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!isalnum((unsigned char)id.ptr[i]) && id.ptr[i] != '-' && id.ptr[i] != '_')
            return false;
    return number >= INT32_MIN && number <= INT32_MAX;
}

/* 0, or why the key has no coordinator for whoever asks. */
static int16_t check_coordinator(struct request *req, struct str key, struct str *text)
{
    enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2, MANY_VERSION = 4, SHARE_VERSION = 6 };
    const struct FindCoordinatorRequest *body = req->body;
    int16_t denied = body->KeyType == KEY_SHARE ? request_denied_cluster(req, ACL_CLUSTER_ACTION) : 0;
    *text = req->version < MANY_VERSION ? STR("NONE") : STR(""); /* Kafka's words for no error */
    if (body->KeyType == KEY_GROUP)
        return request_denied(req, ACL_GROUP, ACL_DESCRIBE, key);
    if (body->KeyType == KEY_TRANSACTION)
        return request_denied(req, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, key);
    if (body->KeyType == KEY_SHARE &&
        req->version >= SHARE_VERSION) /* of brokers: group:topic id:partition */
        return denied != 0 || is_share_key(key) ? denied : INVALID_REQUEST;
    *text = STR("groups (key type 0), transactions (1) and, from version 6 on, share partitions (2) have a "
                "coordinator");
    return INVALID_REQUEST;
}

void api_find_coordinator(struct request *req)
{
    enum { MANY_VERSION = 4 };
    const struct FindCoordinatorRequest *body = req->body;
    struct FindCoordinatorResponse *res = req->res;
    if (req->version < MANY_VERSION) {
        res->ErrorCode = check_coordinator(req, body->Key, &res->ErrorMessage);
        res->NodeId = res->ErrorCode != 0 ? -1 : NODE_ID;
        res->Host = res->ErrorCode != 0 ? STR("") : req->listener->host;
        res->Port = res->ErrorCode != 0 ? -1 : req->listener->port;
        request_reply(req);
        return;
    }
    WIRE_ALLOC(&req->arena, res->Coordinators, FindCoordinatorResponse_Coordinator,
               MAX(body->CoordinatorKeys.len, 0));
    for (int32_t i = 0; i < body->CoordinatorKeys.len; i++) {
        struct FindCoordinatorResponse_Coordinator *row = &res->Coordinators.at[i];
        row->Key = body->CoordinatorKeys.at[i];
        row->ErrorCode = check_coordinator(req, row->Key, &row->ErrorMessage);
        row->NodeId = row->ErrorCode != 0 ? -1 : NODE_ID;
        row->Host = row->ErrorCode != 0 ? STR("") : req->listener->host;
        row->Port = row->ErrorCode != 0 ? -1 : req->listener->port;
    }
    request_reply(req);
}
