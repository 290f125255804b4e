/* api_groups.c - the group APIs: requests become calls of the group state, answers wait for its log.
 *
 * Answers of calls that only read wait too, when the log has records that are not durable yet: nobody is told of a commit that
 * a power cut could take back. Heartbeats never wait.
 */
#include "broker/broker_int.h"
#include "broker/once.h"
#include "broker/parts_once.h"

enum { NOT_AVAILABLE = 15, UNSUPPORTED_VERSION = 35, UNKNOWN_TOPIC_ID = 100 };
enum { COMMIT_ID_VERSION = 10, FETCH_ID_VERSION = 10 };

struct group_call *request_group_call(struct request *req)
{
    struct group_call *call = arena_new(&req->arena, struct group_call);
    *call = (struct group_call){
        .now_ms = io_now_ms(req->broker->io),
        .version = req->version,
        .req = req->body,
        .res = req->res,
        .arena = &req->arena,
        .effects = arena_new(&req->arena, struct group_effects),
        .token = req,
        .client_id = str_is_null(req->client_id) ? STR("") : req->client_id,
        .client_host = req->peer,
    };
    return call;
}

/* "/127.0.0.1", as Kafka names the host of a member. */
struct group_call *request_member_call(struct request *req)
{
    struct group_call *call = request_group_call(req);
    struct str host;
    int port;
    if (net_address_split(req->peer, 0, &host, &port, NULL))
        call->client_host = str_printf(&req->arena, "/%.*s", STR_ARG(host));
    return call;
}

/* True when it was answered: whoever asks may not use the group like this. */
static bool refuse_group(struct request *req, int16_t *code, enum acl_operation operation, struct str group)
{
    *code = request_denied(req, ACL_GROUP, operation, group);
    if (*code != 0)
        request_reply(req);
    return *code != 0;
}

/* --- joining: answered through the effects, by token --- */

void api_join_group(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_member_call(req);
    struct group_effects own = {0};
    struct err err;
    struct JoinGroupResponse *res = req->res;
    res->ProtocolName = STR_NULL;
    if (refuse_group(req, &res->ErrorCode, ACL_READ, ((const struct JoinGroupRequest *)req->body)->GroupId))
        return;
    call->effects = &own;
    io_random(broker->io, call->random, sizeof call->random);
    if (!coord_groups_run(broker->coord, group_decide_join, call, NULL, &err)) {
        log_warn("broker", "join_failed", "cause=\"%s\"", err.text);
        res->ErrorCode = NOT_AVAILABLE;
        request_reply(req);
    }
    group_effects_fini(&own);
    coord_groups_rearm(broker->coord);
}

/* From version 5 on a member says which protocol it syncs for. */
static bool refuse_sync(struct request *req)
{
    enum { INCONSISTENT_PROTOCOL = 23, NAMED_VERSION = 5 };
    const struct SyncGroupRequest *body = req->body;
    struct SyncGroupResponse *res = req->res;
    if (req->version >= NAMED_VERSION && (str_is_null(body->ProtocolType) || str_is_null(body->ProtocolName)))
        res->ErrorCode = INCONSISTENT_PROTOCOL;
    if (res->ErrorCode == 0)
        return refuse_group(req, &res->ErrorCode, ACL_READ, body->GroupId);
    request_reply(req);
    return true;
}

void api_sync_group(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_group_call(req);
    struct group_effects own = {0};
    struct err err;
    if (refuse_sync(req))
        return;
    call->effects = &own;
    if (!coord_groups_run(broker->coord, group_decide_sync, call, NULL, &err)) {
        log_warn("broker", "sync_failed", "cause=\"%s\"", err.text);
        group_effects_reset(&own);
        replay_lock(coord_groups_replay(broker->coord));
        group_sync_failed(coord_groups(broker->coord), call);
        replay_unlock(coord_groups_replay(broker->coord));
        coord_groups_deliver(broker->coord, &own, -1);
    }
    group_effects_fini(&own);
    coord_groups_rearm(broker->coord);
}

/* --- calls with an answer of their own --- */

void api_heartbeat(struct request *req)
{
    struct group_call *call = request_group_call(req);
    struct HeartbeatResponse *res = req->res;
    struct err err;
    if (refuse_group(req, &res->ErrorCode, ACL_READ, ((const struct HeartbeatRequest *)req->body)->GroupId))
        return;
    if (!replay_run(coord_groups_replay(req->broker->coord), group_decide_heartbeat, call, NULL, &err))
        res->ErrorCode = NOT_AVAILABLE;
    request_reply(req);
}

void api_leave_group(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_group_call(req);
    struct group_effects own = {0};
    struct LeaveGroupResponse *res = req->res;
    struct err err;
    int64_t end_offset;
    if (refuse_group(req, &res->ErrorCode, ACL_READ, ((const struct LeaveGroupRequest *)req->body)->GroupId))
        return;
    call->effects = &own;
    if (coord_groups_run(broker->coord, group_decide_leave, call, &end_offset, &err)) {
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
    } else {
        res->ErrorCode = NOT_AVAILABLE;
        request_reply(req);
    }
    group_effects_fini(&own);
    coord_groups_rearm(broker->coord);
}

/* The group, and the topics that are subscribed to by name. */
static bool refuse_heartbeat(struct request *req)
{
    const struct ConsumerGroupHeartbeatRequest *body = req->body;
    struct ConsumerGroupHeartbeatResponse *res = req->res;
    if (group_protocol_is_off(req->broker, STR("consumer"))) {
        res->ErrorCode = UNSUPPORTED_VERSION;
        request_reply(req);
        return true;
    }
    if (refuse_group(req, &res->ErrorCode, ACL_READ, body->GroupId))
        return true;
    for (int32_t i = 0; i < body->SubscribedTopicNames.len && res->ErrorCode == 0; i++)
        res->ErrorCode = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, body->SubscribedTopicNames.at[i]);
    if (res->ErrorCode != 0)
        request_reply(req);
    return res->ErrorCode != 0;
}

/* What a pattern may match. */
static bool topic_visible(void *arg, struct str topic)
{
    return request_denied(arg, ACL_TOPIC, ACL_DESCRIBE, topic) == 0;
}

/* A member without news is answered at once: nothing of its answer waits for the disk. */
void api_consumer_group_heartbeat(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_member_call(req);
    struct group_effects own = {0};
    struct ConsumerGroupHeartbeatResponse *res = req->res;
    struct err err;
    int64_t before = replay_end(coord_groups_replay(broker->coord)), end_offset;
    if (refuse_heartbeat(req))
        return;
    call->effects = &own;
    call->topic_visible = topic_visible;
    call->visible_arg = req;
    io_random(broker->io, call->random, sizeof call->random);
    bool good = coord_groups_run(broker->coord, group_decide_upgrade, call, NULL, &err);
    group_effects_reset(&own);
    if (good && res->ErrorCode == 0)
        good = coord_groups_run(broker->coord, group_decide_consumer_heartbeat, call, &end_offset, &err);
    if (!good) {
        coord_heartbeat_failed(broker->coord, &err);
        wire_init(&WIRE_ConsumerGroupHeartbeatResponse, res);
        res->ErrorCode = NOT_AVAILABLE;
    }
    if (good && res->ErrorCode == 0 && (end_offset != before || res->Assignment != NULL))
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
    else
        request_reply(req);
    group_effects_fini(&own);
    coord_groups_rearm(broker->coord);
}

/* A topic that may not be read is none to commit to; fix_commit_errors names the cause. */
static bool partition_exists(void *arg, struct str topic, int32_t partition)
{
    struct request *req = arg;
    if (str_is_null(topic) || request_denied(req, ACL_TOPIC, ACL_READ, topic) != 0)
        return false;
    struct partition *part = storage_partition(req->broker->storage, topic, partition);
    partition_unref(part);
    return part != NULL;
}

/* Version 10 names topics by id. */
static void name_commit_topics(struct request *req)
{
    struct OffsetCommitRequest *body = (struct OffsetCommitRequest *)req->body;
    if (req->version < COMMIT_ID_VERSION)
        return;
    for (int32_t i = 0; i < body->Topics.len; i++)
        body->Topics.at[i].Name =
            storage_topic_name(req->broker->storage, body->Topics.at[i].TopicId, &req->arena);
}

/* What does not exist is named differently where topics have ids; a failed append says so for each partition. */
static void fix_commit_errors(struct request *req, const struct err *failure)
{
    struct OffsetCommitResponse *res = req->res;
    for (int32_t i = 0; i < res->Topics.len; i++) {
        struct str topic = res->Topics.at[i].Name;
        int16_t denied = str_is_null(topic) ? 0 : request_denied(req, ACL_TOPIC, ACL_READ, topic);
        for (int32_t j = 0; j < res->Topics.at[i].Partitions.len; j++) {
            int16_t *code = &res->Topics.at[i].Partitions.at[j].ErrorCode;
            if (denied != 0)
                *code = denied;
            if (failure != NULL && *code == 0)
                *code = NOT_AVAILABLE;
            if (str_is_null(topic) && *code != 0)
                *code = UNKNOWN_TOPIC_ID;
        }
    }
}

/* The same error for all that was to be committed. */
static void refuse_commit(struct request *req, int16_t code)
{
    const struct OffsetCommitRequest *body = req->body;
    struct OffsetCommitResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Topics, OffsetCommitResponse_OffsetCommitResponseTopic,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct OffsetCommitRequest_OffsetCommitRequestTopic *asked = &body->Topics.at[i];
        struct OffsetCommitResponse_OffsetCommitResponseTopic *row = &res->Topics.at[i];
        row->Name = asked->Name;
        row->TopicId = asked->TopicId;
        WIRE_ALLOC(&req->arena, row->Partitions, OffsetCommitResponse_OffsetCommitResponsePartition,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            row->Partitions.at[j].PartitionIndex = asked->Partitions.at[j].PartitionIndex;
            row->Partitions.at[j].ErrorCode = code;
        }
    }
    request_reply(req);
}

void api_offset_commit(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_group_call(req);
    struct err err;
    int64_t end_offset;
    int16_t denied =
        request_denied(req, ACL_GROUP, ACL_READ, ((const struct OffsetCommitRequest *)req->body)->GroupId);
    if (denied != 0) {
        refuse_commit(req, denied);
        return;
    }
    static const struct parts_shape shape =
        PARTS_SHAPE(OffsetCommitRequest_OffsetCommitRequestTopic, Name, false, Partitions,
                    OffsetCommitRequest_OffsetCommitRequestPartition, PartitionIndex);
    parts_drop_empty(&shape, &((const struct OffsetCommitRequest *)req->body)->Topics);
    name_commit_topics(req);
    call->partition_exists = partition_exists;
    call->exists_arg = req;
    bool good = replay_run(coord_groups_replay(broker->coord), group_decide_commit, call, &end_offset, &err);
    fix_commit_errors(req, good ? NULL : &err);
    if (good)
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
    else
        request_reply(req);
}

/* Version 10 again, in both directions. A topic id that is not known is answered with its error. */
static void name_fetch_topics(struct request *req)
{
    struct OffsetFetchRequest *body = (struct OffsetFetchRequest *)req->body;
    if (req->version < FETCH_ID_VERSION)
        return;
    for (int32_t i = 0; i < body->Groups.len; i++)
        for (int32_t j = 0; j < body->Groups.at[i].Topics.len; j++) {
            struct OffsetFetchRequest_OffsetFetchRequestTopics *topic = &body->Groups.at[i].Topics.at[j];
            topic->Name = storage_topic_name(req->broker->storage, topic->TopicId, &req->arena);
        }
}

static struct uuid id_of(struct broker *broker, struct str name)
{
    struct uuid id = {{0}};
    storage_entries_lock(broker->storage);
    struct topic_entry *entry = storage_entry(broker->storage, name);
    if (entry != NULL)
        id = entry->id;
    storage_entries_unlock(broker->storage);
    return id;
}

static void fix_fetched_topics(struct request *req)
{
    struct OffsetFetchResponse *res = req->res;
    if (req->version < FETCH_ID_VERSION)
        return;
    for (int32_t i = 0; i < res->Groups.len; i++)
        for (int32_t j = 0; j < res->Groups.at[i].Topics.len; j++) {
            struct OffsetFetchResponse_OffsetFetchResponseTopics *topic = &res->Groups.at[i].Topics.at[j];
            if (!str_is_null(topic->Name) && uuid_is_zero(topic->TopicId))
                topic->TopicId = id_of(req->broker, topic->Name);
            for (int32_t k = 0; k < topic->Partitions.len && str_is_null(topic->Name); k++)
                topic->Partitions.at[k].ErrorCode = UNKNOWN_TOPIC_ID;
        }
}

static void finish_fetch(struct request *req)
{
    fix_fetched_topics(req);
    hide_fetched_offsets(req);
}

void request_read_groups(struct request *req, void (*reader)(struct groups *groups, struct group_call *call),
                         void (*finish)(struct request *req))
{
    struct replay *replay = coord_groups_replay(req->broker->coord);
    struct group_call *call = request_group_call(req);
    replay_lock(replay);
    reader(coord_groups(req->broker->coord), call);
    replay_unlock(replay);
    if (finish != NULL)
        finish(req);
    request_reply_durable(req, replay, replay_end(replay));
}

void api_offset_fetch(struct request *req)
{
    name_fetch_topics(req);
    request_read_groups(req, group_fetch, finish_fetch);
}

void api_describe_groups(struct request *req)
{
    request_read_groups(req, group_describe, hide_described_groups);
}

void api_consumer_group_describe(struct request *req)
{
    request_read_groups(req, group_describe_consumer, hide_consumer_groups);
}

void api_list_groups(struct request *req)
{
    request_read_groups(req, group_list, hide_listed_groups);
}

/* Each group is deleted, and answered, once. */
static void drop_doubles(struct request *req)
{
    struct DeleteGroupsRequest *body = (struct DeleteGroupsRequest *)req->body;
    struct once once = {0};
    int32_t kept = 0;
    bool twice;
    for (int32_t i = 0; i < body->GroupsNames.len; i++)
        once_add(&once, body->GroupsNames.at[i]);
    for (int32_t i = 0; i < body->GroupsNames.len; i++)
        if (once_take(&once, body->GroupsNames.at[i], &twice))
            body->GroupsNames.at[kept++] = body->GroupsNames.at[i];
    body->GroupsNames.len = kept;
    once_fini(&once);
}

/* Moves the names that may not be deleted to the end of the request, out of its count; gives how many they are. */
static int32_t part_denied(struct request *req)
{
    struct DeleteGroupsRequest *body = (struct DeleteGroupsRequest *)req->body;
    drop_doubles(req);
    int32_t kept = 0, count = MAX(body->GroupsNames.len, 0);
    for (int32_t i = 0; i < count; i++) {
        struct str name = body->GroupsNames.at[i];
        if (request_denied(req, ACL_GROUP, ACL_DELETE, name) == 0) {
            body->GroupsNames.at[i] = body->GroupsNames.at[kept];
            body->GroupsNames.at[kept++] = name;
        }
    }
    body->GroupsNames.len = kept;
    return count - kept;
}

static void add_denied(struct request *req, int32_t denied)
{
    const struct DeleteGroupsRequest *body = req->body;
    struct DeleteGroupsResponse *res = req->res, old = *res;
    int32_t kept = old.Results.len;
    if (denied == 0)
        return;
    WIRE_ALLOC(&req->arena, res->Results, DeleteGroupsResponse_DeletableGroupResult, kept + denied);
    memcpy(res->Results.at, old.Results.at, (size_t)kept * sizeof *old.Results.at);
    for (int32_t i = kept; i < kept + denied; i++) {
        res->Results.at[i].GroupId = body->GroupsNames.at[i];
        res->Results.at[i].ErrorCode = request_denied(req, ACL_GROUP, ACL_DELETE, body->GroupsNames.at[i]);
    }
}

void api_delete_groups(struct request *req)
{
    struct group_call *call = request_group_call(req);
    struct DeleteGroupsResponse *res = req->res;
    struct err err;
    int64_t end_offset;
    int32_t denied = part_denied(req);
    if (replay_run(coord_groups_replay(req->broker->coord), group_decide_delete, call, &end_offset, &err)) {
        for (int32_t i = 0; i < res->Results.len; i++)
            if (res->Results.at[i].ErrorCode == 0) /* nothing happens to one that was no share group */
                coord_share_group_deleted(req->broker->coord, res->Results.at[i].GroupId);
        add_denied(req, denied);
        request_reply_durable(req, coord_groups_replay(req->broker->coord), end_offset);
        return;
    }
    for (int32_t i = 0; i < res->Results.len; i++)
        if (res->Results.at[i].ErrorCode == 0)
            res->Results.at[i].ErrorCode = NOT_AVAILABLE;
    add_denied(req, denied);
    request_reply(req);
}

/* A topic that may not be read looked as if it did not exist. */
static void name_undeleted(struct request *req)
{
    struct OffsetDeleteResponse *res = req->res;
    for (int32_t i = 0; i < res->Topics.len; i++) {
        int16_t denied = request_denied(req, ACL_TOPIC, ACL_READ, res->Topics.at[i].Name);
        for (int32_t j = 0; denied != 0 && j < res->Topics.at[i].Partitions.len; j++)
            res->Topics.at[i].Partitions.at[j].ErrorCode = denied;
    }
}

void api_offset_delete(struct request *req)
{
    struct broker *broker = req->broker;
    struct group_call *call = request_group_call(req);
    struct OffsetDeleteResponse *res = req->res;
    struct err err;
    int64_t end_offset;
    if (refuse_group(req, &res->ErrorCode, ACL_DELETE,
                     ((const struct OffsetDeleteRequest *)req->body)->GroupId))
        return;
    call->partition_exists = partition_exists;
    call->exists_arg = req;
    if (replay_run(coord_groups_replay(broker->coord), group_decide_offset_delete, call, &end_offset, &err)) {
        name_undeleted(req);
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
        return;
    }
    wire_init(&WIRE_OffsetDeleteResponse, res);
    res->ErrorCode = NOT_AVAILABLE;
    request_reply(req);
}
