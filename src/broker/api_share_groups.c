/* api_share_groups.c - share groups but for the records: heartbeats of members, and what administrators ask: ShareGroupDescribe,
 * DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets.
 *
 * Offsets change while nobody is in the group only: its members would go on with what they have.
 */
#include "broker/parts_once.h"
#include "broker/shares_int.h"

enum { NOT_AVAILABLE = 15 };

/* --- members --- */

static int16_t denied_heartbeat(struct request *req)
{
    const struct ShareGroupHeartbeatRequest *body = req->body;
    int16_t denied = request_denied(req, ACL_GROUP, ACL_READ, body->GroupId);
    for (int32_t i = 0; i < body->SubscribedTopicNames.len && denied == 0; i++)
        denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, body->SubscribedTopicNames.at[i]);
    return denied;
}

/* A member without news is answered at once: nothing of its answer waits for the disk. What a member that leaves still has is
 * its share session's to give back: it may acknowledge until that ends. */
void api_share_group_heartbeat(struct request *req)
{
    struct broker *broker = req->broker;
    struct ShareGroupHeartbeatResponse *res = req->res;
    struct group_call *call = request_member_call(req);
    struct err err;
    int64_t before = replay_end(coord_groups_replay(broker->coord)), end_offset;
    res->ErrorCode = denied_heartbeat(req);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    bool good = coord_groups_run(broker->coord, group_decide_share_heartbeat, call, &end_offset, &err);
    if (!good) {
        coord_heartbeat_failed(broker->coord, &err);
        wire_init(&WIRE_ShareGroupHeartbeatResponse, res);
        res->ErrorCode = NOT_AVAILABLE;
    }
    if (good && res->ErrorCode == 0 && (end_offset != before || res->Assignment != NULL))
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
    else
        request_reply(req);
    group_effects_fini(call->effects);
    coord_groups_rearm(broker->coord);
}

void api_share_group_describe(struct request *req)
{
    request_read_groups(req, group_describe_share, hide_share_groups);
}

/* --- where groups are --- */

typedef struct DescribeShareGroupOffsetsRequest_DescribeShareGroupOffsetsRequestGroup asked_group;
typedef struct DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseGroup told_group;
typedef struct DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseTopic told_topic;
typedef struct DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponsePartition told_partition;

static bool id_of(struct broker *broker, struct str name, struct uuid *id, int32_t *partition_count)
{
    storage_entries_lock(broker->storage);
    const struct topic_entry *entry = storage_entry(broker->storage, name);
    if (entry != NULL) {
        *id = entry->id;
        *partition_count = entry->partition_count;
    }
    storage_entries_unlock(broker->storage);
    return entry != NULL;
}

/* What is left of the partition from the start of the group on, without what it has done out of order; -1: not known. */
static int64_t lag_of(struct broker *broker, struct str topic, const struct share_info *info)
{
    struct partition *part = storage_partition(broker->storage, topic, info->key.partition);
    int64_t lag = -1;
    if (part != NULL && log_check_readable(partition_log(part), NULL))
        lag = MAX(log_high_watermark(partition_log(part)) - info->start_offset - info->done_count, 0);
    partition_unref(part);
    return lag;
}

/* A partition that the group has not met has no offset. */
static void tell_partition(struct request *req, struct str group, const told_topic *topic, int32_t id,
                           told_partition *out)
{
    struct coord *coord = req->broker->coord;
    const struct share_key key = {group, topic->TopicId, id};
    struct share_info info;
    wire_init(&WIRE_DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponsePartition, out);
    out->PartitionIndex = id;
    out->StartOffset = -1;
    replay_lock(coord_shares_replay(coord));
    bool met = share_info_of(coord_shares(coord), &key, &info);
    replay_unlock(coord_shares_replay(coord));
    if (!met)
        return;
    out->StartOffset = info.start_offset;
    out->Lag = lag_of(req->broker, topic->TopicName, &info);
}

/* Partitions [0, count), or those asked for. */
static void tell_topic(struct request *req, struct str group, struct str name, const int32_t *ids,
                       int32_t id_count, told_topic *out)
{
    int32_t count = 0;
    out->TopicName = name;
    int16_t error = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, name);
    if (error == 0)
        ignore(id_of(req->broker, name, &out->TopicId, &count),
               "it has no id then, and the group was not there");
    id_count = ids == NULL ? count : MAX(id_count, 0);
    WIRE_ALLOC(&req->arena, out->Partitions,
               DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponsePartition, id_count);
    for (int32_t i = 0; i < id_count; i++) {
        int32_t id = ids == NULL ? i : ids[i];
        told_partition *row = &out->Partitions.at[i];
        if (error == 0)
            tell_partition(req, group, out, id, row);
        else
            row->StartOffset = -1;
        row->PartitionIndex = id;
        row->ErrorCode = error;
        row->ErrorMessage = request_denied_text(error);
    }
}

/* Names of topics that a group reads or has read, each once. */
struct names {
    struct map seen;
    vec(struct str) list;
    struct arena *arena;
};

static void add_name(void *arg, struct str topic)
{
    struct names *names = arg;
    if (str_is_null(topic) || map_has(&names->seen, topic))
        return;
    map_put(&names->seen, topic, names);
    vec_push(&names->list, str_dup(topic, names->arena));
}

static void list_topics(struct request *req, struct str group, struct names *names)
{
    struct broker *broker = req->broker;
    vec(struct uuid) ids = {0};
    struct share_info info;
    replay_lock(coord_shares_replay(broker->coord));
    for (size_t i = 0; share_info_next(coord_shares(broker->coord), &i, &info);)
        if (str_eq(info.key.group, group))
            vec_push(&ids, info.key.topic);
    replay_unlock(coord_shares_replay(broker->coord));
    for (size_t i = 0; i < ids.len; i++)
        add_name(names, storage_topic_name(broker->storage, ids.at[i], &req->arena));
    vec_fini(&ids);
    replay_lock(coord_groups_replay(broker->coord));
    group_share_topics(coord_groups(broker->coord), group, add_name, names);
    replay_unlock(coord_groups_replay(broker->coord));
}

/* Of a list of all, what may not be seen and what is not there is left out. */
static void tell_all(struct request *req, struct str group, told_group *out)
{
    struct names names = {.arena = &req->arena};
    struct uuid id;
    int32_t count, kept = 0;
    list_topics(req, group, &names);
    WIRE_ALLOC(&req->arena, out->Topics,
               DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseTopic, names.list.len);
    for (size_t i = 0; i < names.list.len; i++)
        if (request_may(req, ACL_TOPIC, ACL_DESCRIBE, names.list.at[i]) &&
            id_of(req->broker, names.list.at[i], &id, &count))
            tell_topic(req, group, names.list.at[i], NULL, 0, &out->Topics.at[kept++]);
    out->Topics.len = kept;
    map_fini(&names.seen);
    vec_fini(&names.list);
}

/* A group that is not there has been nowhere, as a topic that is not there. */
static void tell_group(struct request *req, const asked_group *asked, told_group *out)
{
    typedef struct DescribeShareGroupOffsetsRequest_DescribeShareGroupOffsetsRequestTopic asked_topic;
    static const struct parts_shape shape = {.topic_bytes = sizeof(asked_topic),
                                             .key_at = offsetof(asked_topic, TopicName),
                                             .parts_at = offsetof(asked_topic, Partitions),
                                             .part_bytes = sizeof(int32_t),
                                             .keeps_empty = true};
    out->GroupId = asked->GroupId;
    out->ErrorCode = request_denied(req, ACL_GROUP, ACL_DESCRIBE, asked->GroupId);
    if (out->ErrorCode != 0)
        return;
    if (asked->Topics.len < 0) {
        tell_all(req, asked->GroupId, out);
        return;
    }
    parts_once(&shape, &asked->Topics, NULL, &req->arena);
    WIRE_ALLOC(&req->arena, out->Topics,
               DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseTopic, asked->Topics.len);
    for (int32_t i = 0; i < asked->Topics.len; i++)
        tell_topic(req, asked->GroupId, asked->Topics.at[i].TopicName, asked->Topics.at[i].Partitions.at,
                   asked->Topics.at[i].Partitions.len, &out->Topics.at[i]);
}

void api_describe_share_group_offsets(struct request *req)
{
    const struct DescribeShareGroupOffsetsRequest *body = req->body;
    struct DescribeShareGroupOffsetsResponse *res = req->res;
    struct replay *replay = coord_shares_replay(req->broker->coord);
    WIRE_ALLOC(&req->arena, res->Groups,
               DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseGroup,
               MAX(body->Groups.len, 0));
    for (int32_t i = 0; i < body->Groups.len; i++)
        tell_group(req, &body->Groups.at[i], &res->Groups.at[i]);
    request_reply_durable(req, replay, replay_end(replay));
}

/* --- changing that --- */

static const struct str not_hosted = STR_INIT("This server does not host this topic-partition.");
static const struct str bad_group_id = STR_INIT("The group id is invalid.");

/* 0: the group is there and empty. */
static int16_t check_idle(struct request *req, struct str group, enum acl_operation operation,
                          struct str *text)
{
    size_t members;
    int16_t denied = request_denied(req, ACL_GROUP, operation, group);
    *text = request_denied_text(denied);
    if (denied != 0)
        return denied;
    if (group.len == 0) {
        *text = bad_group_id;
        return SHARE_BAD_GROUP_ID;
    }
    if (!coord_share_group(req->broker->coord, group, &members)) {
        *text = str_printf(&req->arena, "Group %.*s not found.", STR_ARG(group));
        return SHARE_NO_GROUP;
    }
    if (members != 0)
        *text = STR("The group is not empty.");
    return members != 0 ? SHARE_GROUP_NOT_EMPTY : 0;
}

/* Who sets offsets of a group that is not there makes it, as with consumers. */
static int16_t make_group(struct request *req, struct str group)
{
    struct group_share_make make = {group, io_now_ms(req->broker->io)};
    struct err err;
    int16_t denied = request_denied(req, ACL_GROUP, ACL_READ, group);
    if (denied != 0)
        return denied;
    if (group.len == 0)
        return SHARE_BAD_GROUP_ID;
    if (!replay_run_durable(coord_groups_replay(req->broker->coord), group_decide_share_make, &make, &err))
        return error_code_of(&err);
    return 0;
}

/* All changes of a request, decided together. */
struct resets {
    struct share_reset *at;
    size_t count;
};

static bool decide_resets(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct resets *resets = request;
    for (size_t i = 0; i < resets->count; i++)
        ignore(share_decide_reset(state, &resets->at[i], out, err), "it refuses nothing");
    return true;
}

typedef struct AlterShareGroupOffsetsRequest_AlterShareGroupOffsetsRequestTopic alter_topic;
typedef struct AlterShareGroupOffsetsResponse_AlterShareGroupOffsetsResponseTopic altered_topic;

static void alter_topic_offsets(struct request *req, const alter_topic *asked, altered_topic *out,
                                struct resets *resets)
{
    const struct AlterShareGroupOffsetsRequest *body = req->body;
    int32_t count = 0;
    out->TopicName = asked->TopicName;
    int16_t error = request_denied(req, ACL_TOPIC, ACL_READ, asked->TopicName);
    if (error == 0 && !id_of(req->broker, asked->TopicName, &out->TopicId, &count))
        error = SHARE_NO_PARTITION;
    WIRE_ALLOC(&req->arena, out->Partitions,
               AlterShareGroupOffsetsResponse_AlterShareGroupOffsetsResponsePartition,
               MAX(asked->Partitions.len, 0));
    for (int32_t i = 0; i < asked->Partitions.len; i++) {
        int32_t id = asked->Partitions.at[i].PartitionIndex;
        int64_t offset = asked->Partitions.at[i].StartOffset;
        int16_t code = error != 0 ? error : id < 0 || id >= count ? SHARE_NO_PARTITION : 0;
        out->Partitions.at[i].PartitionIndex = id;
        out->Partitions.at[i].ErrorCode = code == 0 && offset < 0 ? SHARE_BAD_REQUEST : code;
        out->Partitions.at[i].ErrorMessage = code == SHARE_NO_PARTITION ? not_hosted
                                             : code == 0 && offset < 0  ? STR("An offset is not negative.")
                                                                        : STR_NULL;
        if (out->Partitions.at[i].ErrorCode == 0)
            resets->at[resets->count++] = (struct share_reset){
                .key = {body->GroupId, out->TopicId, id},
                .start_offset = offset,
                .now_ms = io_now_ms(req->broker->io),
            };
    }
}

/* On the admin pool: making the group waits for the disk. */
static void alter_offsets(struct request *req)
{
    const struct AlterShareGroupOffsetsRequest *body = req->body;
    struct AlterShareGroupOffsetsResponse *res = req->res;
    struct resets resets = {0};
    struct err err;
    size_t count = 0;
    int64_t end_offset;
    res->ErrorCode = make_group(req, body->GroupId);
    if (res->ErrorCode == SHARE_BAD_GROUP_ID)
        res->ErrorMessage = bad_group_id;
    if (res->ErrorCode == 0)
        res->ErrorCode = check_idle(req, body->GroupId, ACL_READ, &res->ErrorMessage);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    for (int32_t i = 0; i < body->Topics.len; i++)
        count += (size_t)MAX(body->Topics.at[i].Partitions.len, 0);
    resets.at = arena_array(&req->arena, struct share_reset, count);
    WIRE_ALLOC(&req->arena, res->Responses,
               AlterShareGroupOffsetsResponse_AlterShareGroupOffsetsResponseTopic, MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++)
        alter_topic_offsets(req, &body->Topics.at[i], &res->Responses.at[i], &resets);
    if (coord_shares_run(req->broker->coord, decide_resets, &resets, &end_offset, &err)) {
        request_reply_durable(req, coord_shares_replay(req->broker->coord), end_offset);
        return;
    }
    wire_init(&WIRE_AlterShareGroupOffsetsResponse, res);
    res->ErrorCode = error_code_of(&err);
    request_reply(req);
}

void api_alter_share_group_offsets(struct request *req)
{
    request_on_pool(req, alter_offsets);
}

/* Has the group read anything of the topic? */
static bool has_offsets(struct broker *broker, struct str group, struct uuid topic)
{
    struct share_info info;
    bool has = false;
    replay_lock(coord_shares_replay(broker->coord));
    for (size_t i = 0; !has && share_info_next(coord_shares(broker->coord), &i, &info);)
        has = uuid_eq(info.key.topic, topic) && str_eq(info.key.group, group);
    replay_unlock(coord_shares_replay(broker->coord));
    return has;
}

void api_delete_share_group_offsets(struct request *req)
{
    const struct DeleteShareGroupOffsetsRequest *body = req->body;
    struct DeleteShareGroupOffsetsResponse *res = req->res;
    struct replay *replay = coord_shares_replay(req->broker->coord);
    int32_t count;
    res->ErrorCode = check_idle(req, body->GroupId, ACL_DELETE, &res->ErrorMessage);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    WIRE_ALLOC(&req->arena, res->Responses,
               DeleteShareGroupOffsetsResponse_DeleteShareGroupOffsetsResponseTopic,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        struct DeleteShareGroupOffsetsResponse_DeleteShareGroupOffsetsResponseTopic *row =
            &res->Responses.at[i];
        struct share_end end = {.group = body->GroupId, .now_ms = io_now_ms(req->broker->io)};
        struct err err;
        row->TopicName = body->Topics.at[i].TopicName;
        row->ErrorCode = request_denied(req, ACL_TOPIC, ACL_READ, row->TopicName);
        if (row->ErrorCode == 0 && !id_of(req->broker, row->TopicName, &row->TopicId, &count)) {
            row->ErrorCode = SHARE_NO_PARTITION;
            row->ErrorMessage = not_hosted;
        } else if (row->ErrorCode == 0 && !has_offsets(req->broker, body->GroupId, row->TopicId)) {
            row->ErrorCode = SHARE_NO_PARTITION;
            row->ErrorMessage = STR("There is no offset information to delete.");
            row->TopicId = (struct uuid){0};
        }
        end.topic = row->TopicId;
        if (row->ErrorCode == 0 && !coord_shares_run(req->broker->coord, share_decide_end, &end, NULL, &err))
            row->ErrorCode = error_code_of(&err);
    }
    request_reply_durable(req, replay, replay_end(replay));
}
