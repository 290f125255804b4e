/* kafka_group.c - a member of a consumer group: join, take partitions, commit, leave.
 *
 *   FindCoordinator -> JoinGroup -> (leader: assign) -> SyncGroup -> OffsetFetch -> fetch ... Heartbeat, OffsetCommit
 *                         ^                                                             |
 *                         +------------------- the group is forming anew ---------------+
 *
 * Assignment by "range", as Kafka's own clients do by default: each topic's partitions in consecutive runs over the members
 * in order of their ids. The formats of subscription and assignment are Kafka's ConsumerProtocol, version 0.
 */
#include "cli/kafka_int.h"

#include <stdlib.h>

#include "cli/sock_int.h"

enum {
    OFFSET_COMMIT = 8,
    OFFSET_FETCH = 9,
    FIND_COORDINATOR = 10,
    JOIN_GROUP = 11,
    HEARTBEAT = 12,
    LEAVE_GROUP = 13,
    SYNC_GROUP = 14,
    GROUP_NOT_FOUND = 69,
    SESSION_MS = 30000,
    REBALANCE_MS = 30000,
    RETRY_MS = 200
};

void kafka_group_init(struct kafka_group *group, struct kafka *kafka, struct str group_id,
                      const struct str *topics, size_t topic_count)
{
    *group = (struct kafka_group){.kafka = kafka,
                                  .group_id = group_id,
                                  .member_id = STR(""),
                                  .topics = topics,
                                  .topic_count = topic_count,
                                  .generation = -1};
}

void kafka_group_fini(struct kafka_group *group)
{
    arena_fini(&group->arena);
}

/* ConsumerProtocol ---------------------------------------------------------------------------------------- */

static void put_i16(struct buf *out, int16_t v)
{
    store_be16(buf_extend(out, 2), (uint16_t)v);
}

static void put_i32(struct buf *out, int32_t v)
{
    store_be32(buf_extend(out, 4), (uint32_t)v);
}

static void put_str(struct buf *out, struct str s)
{
    put_i16(out, (int16_t)s.len);
    buf_append_str(out, s);
}

/* Reads behind the end give 0 and set bad. */
struct slice_reader {
    struct str rest;
    bool bad;
};

static uint32_t get_be(struct slice_reader *rd, size_t size)
{
    if (rd->rest.len < size) {
        rd->bad = true;
        rd->rest = STR("");
        return 0;
    }
    uint32_t v = size == 2 ? load_be16(rd->rest.ptr) : load_be32(rd->rest.ptr);
    rd->rest = str_sub(rd->rest, size, SIZE_MAX);
    return v;
}

static struct str get_str(struct slice_reader *rd)
{
    size_t size = get_be(rd, 2);
    if (size > rd->rest.len) {
        rd->bad = true;
        size = rd->rest.len;
    }
    struct str s = str_sub(rd->rest, 0, size);
    rd->rest = str_sub(rd->rest, size, SIZE_MAX);
    return s;
}

static void put_subscription(const struct kafka_group *group, struct buf *out)
{
    put_i16(out, 0);
    put_i32(out, (int32_t)group->topic_count);
    for (size_t i = 0; i < group->topic_count; i++)
        put_str(out, group->topics[i]);
    put_i32(out, -1);
}

static bool is_subscribed(struct str subscription, struct str topic)
{
    struct slice_reader rd = {.rest = subscription};
    get_be(&rd, 2);
    for (uint32_t n = get_be(&rd, 4); n > 0 && !rd.bad; n--)
        if (str_eq(get_str(&rd), topic))
            return !rd.bad;
    return false;
}

/* Assignment by the leader -------------------------------------------------------------------------------- */

static int by_member(const void *a, const void *b)
{
    const struct JoinGroupResponse_JoinGroupResponseMember *x = a, *y = b;
    return str_cmp(x->MemberId, y->MemberId);
}

/* Partitions [*from, *to) of the topic that go to member m. */
static void range_of(const struct JoinGroupResponse *res, int32_t m, const struct kafka_topic *topic,
                     int32_t *from, int32_t *to)
{
    int32_t count = 0, rank = 0;
    for (int32_t i = 0; i < res->Members.len; i++) {
        bool in = is_subscribed(res->Members.at[i].Metadata, topic->name);
        rank += in && i < m;
        count += in;
    }
    *from = *to = 0;
    if (count == 0 || !is_subscribed(res->Members.at[m].Metadata, topic->name))
        return;
    int32_t each = topic->partition_count / count, more = topic->partition_count % count;
    *from = each * rank + MIN(rank, more);
    *to = *from + each + (rank < more);
}

/* All topics that any member asks for, each once. */
static bool all_topics(struct kafka *kafka, const struct JoinGroupResponse *res,
                       const struct kafka_topic ***topics, size_t *count, struct arena *arena,
                       struct err *err)
{
    struct map seen = {0};
    vec(const struct kafka_topic *) found = {0};
    bool ok = true;
    for (int32_t i = 0; ok && i < res->Members.len; i++) {
        struct slice_reader rd = {.rest = res->Members.at[i].Metadata};
        get_be(&rd, 2);
        for (uint32_t n = get_be(&rd, 4); ok && n > 0 && !rd.bad; n--) {
            struct str name = get_str(&rd);
            if (rd.bad || map_has(&seen, name))
                continue;
            const struct kafka_topic *topic = kafka_topic_find(kafka, name, false, true, err);
            ok = topic != NULL;
            map_put(&seen, name, (void *)topic);
            if (ok)
                vec_push(&found, topic);
        }
    }
    *topics = arena_dup(arena, found.at, found.len * sizeof *found.at);
    *count = found.len;
    vec_fini(&found);
    map_fini(&seen);
    return ok;
}

static void put_assignment(const struct JoinGroupResponse *res, int32_t m, const struct kafka_topic **topics,
                           size_t topic_count, struct buf *out)
{
    put_i16(out, 0);
    size_t count_pos = out->len;
    uint32_t count = 0;
    put_i32(out, 0);
    for (size_t t = 0; t < topic_count; t++) {
        int32_t from, to;
        range_of(res, m, topics[t], &from, &to);
        if (from == to)
            continue;
        put_str(out, topics[t]->name);
        put_i32(out, to - from);
        for (int32_t p = from; p < to; p++)
            put_i32(out, p);
        count++;
    }
    store_be32(out->ptr + count_pos, count);
    put_i32(out, -1);
}

static bool assign(struct kafka_group *group, const struct JoinGroupResponse *res,
                   struct SyncGroupRequest *req, struct arena *arena, struct err *err)
{
    const struct kafka_topic **topics;
    size_t count;
    if (!all_topics(group->kafka, res, &topics, &count, arena, err))
        return false;
    qsort(res->Members.at, (size_t)res->Members.len, sizeof *res->Members.at, by_member);
    WIRE_ALLOC(arena, req->Assignments, SyncGroupRequest_SyncGroupRequestAssignment, res->Members.len);
    for (int32_t m = 0; m < res->Members.len; m++) {
        struct buf bytes = {0};
        put_assignment(res, m, topics, count, &bytes);
        req->Assignments.at[m].MemberId = res->Members.at[m].MemberId;
        req->Assignments.at[m].Assignment = str_dup(buf_str(&bytes), arena);
        buf_fini(&bytes);
    }
    return true;
}

/* Joining ------------------------------------------------------------------------------------------------- */

bool kafka_group_find(struct kafka *kafka, struct str group_id, int32_t *node_id, struct err *err)
{
    struct arena arena = {0};
    struct FindCoordinatorRequest req;
    struct FindCoordinatorResponse res;
    struct err failure = {0};
    int64_t deadline_ms = clock_mono_ms() + kafka->timeout_ms;
    bool ok;
    wire_init(&WIRE_FindCoordinatorRequest, &req);
    req.Key = group_id;
    req.CoordinatorKeys.at = &group_id;
    req.CoordinatorKeys.len = 1;
    do {
        ok = kafka_call(kafka, KAFKA_ANY, FIND_COORDINATOR, &req, &res, 0, &arena, &failure);
        if (ok && res.Coordinators.len == 1) {
            const struct FindCoordinatorResponse_Coordinator *found = &res.Coordinators.at[0];
            res.ErrorCode = found->ErrorCode;
            res.NodeId = found->NodeId;
            res.Host = found->Host;
            res.Port = found->Port;
        }
        ok = ok &&
             kafka_check(res.ErrorCode, STR_NULL, &failure, "coordinator of group '%.*s'", STR_ARG(group_id));
        if (ok || !kafka_is_retriable(&failure) || failure.code == ERR_UNAVAILABLE)
            break;
    } while (clock_mono_ms() < deadline_ms && cli_sock_sleep(RETRY_MS, kafka->stop_fd, &failure));
    if (ok) {
        bool known = false;
        for (size_t i = 0; i < kafka->nodes.len; i++)
            known = known || kafka->nodes.at[i].id == res.NodeId;
        if (!known)
            vec_push(&kafka->nodes, (struct kafka_node){.id = res.NodeId,
                                                        .fd = -1,
                                                        .host = str_dup(res.Host, &kafka->arena),
                                                        .port = res.Port});
        *node_id = res.NodeId;
    } else if (err != NULL) {
        *err = failure;
    }
    arena_fini(&arena);
    return ok;
}

static bool join_once(struct kafka_group *group, struct JoinGroupResponse *res, struct arena *arena,
                      struct err *err)
{
    struct JoinGroupRequest req;
    struct buf subscription = {0};
    wire_init(&WIRE_JoinGroupRequest, &req);
    put_subscription(group, &subscription);
    req.GroupId = group->group_id;
    req.SessionTimeoutMs = SESSION_MS;
    req.RebalanceTimeoutMs = REBALANCE_MS;
    req.MemberId = group->member_id;
    req.ProtocolType = STR("consumer");
    WIRE_ALLOC(arena, req.Protocols, JoinGroupRequest_JoinGroupRequestProtocol, 1);
    req.Protocols.at[0].Name = STR("range");
    req.Protocols.at[0].Metadata = str_dup(buf_str(&subscription), arena);
    buf_fini(&subscription);
    if (!kafka_call(group->kafka, group->coordinator, JOIN_GROUP, &req, res, REBALANCE_MS + SESSION_MS, arena,
                    err))
        return false;
    if (res->MemberId.len > 0)
        group->member_id = str_dup(res->MemberId, &group->kafka->arena);
    return kafka_check(res->ErrorCode, STR_NULL, err, "joining group '%.*s'", STR_ARG(group->group_id));
}

static bool sync_once(struct kafka_group *group, const struct JoinGroupResponse *joined,
                      struct SyncGroupResponse *res, struct arena *arena, struct err *err)
{
    struct SyncGroupRequest req;
    wire_init(&WIRE_SyncGroupRequest, &req);
    group->generation = joined->GenerationId;
    req.GroupId = group->group_id;
    req.GenerationId = joined->GenerationId;
    req.MemberId = group->member_id;
    req.ProtocolType = STR("consumer");
    req.ProtocolName = joined->ProtocolName;
    if (str_eq(joined->Leader, joined->MemberId) && !assign(group, joined, &req, arena, err))
        return false;
    return kafka_call(group->kafka, group->coordinator, SYNC_GROUP, &req, res, REBALANCE_MS, arena, err) &&
           kafka_check(res->ErrorCode, STR_NULL, err, "joining group '%.*s'", STR_ARG(group->group_id));
}

/* The group moves on without us, or wants us again: not an error of the user's. */
static bool is_rejoin(const struct err *err)
{
    return err->code == ERR_REBALANCE_IN_PROGRESS || err->code == ERR_ILLEGAL_GENERATION ||
           err->code == ERR_UNKNOWN_MEMBER_ID || err->code == ERR_MEMBER_ID_REQUIRED;
}

/* Committed offset of each assigned partition, the fallback's where there is none. */
static bool add_parts(struct kafka_group *group, struct kafka_reader *reader, struct str assignment,
                      int64_t fallback, struct arena *arena, struct err *err)
{
    struct kafka_committed *committed;
    size_t count;
    if (!kafka_group_offsets(group->kafka, group->group_id, &committed, &count, arena, err))
        return false;
    struct slice_reader rd = {.rest = assignment};
    get_be(&rd, 2);
    for (uint32_t t = get_be(&rd, 4); t > 0 && !rd.bad; t--) {
        const struct kafka_topic *topic = kafka_topic_find(group->kafka, get_str(&rd), false, false, err);
        if (topic == NULL)
            return false;
        int64_t *offsets = arena_array(arena, int64_t, (size_t)topic->partition_count);
        if (!kafka_offsets(group->kafka, topic, fallback, offsets, arena, err))
            return false;
        for (uint32_t n = get_be(&rd, 4); n > 0 && !rd.bad; n--) {
            int32_t partition = (int32_t)get_be(&rd, 4);
            if (partition < 0 || partition >= topic->partition_count)
                continue;
            int64_t offset = offsets[partition];
            for (size_t i = 0; i < count; i++)
                if (committed[i].partition == partition && str_eq(committed[i].topic, topic->name))
                    offset = committed[i].offset;
            kafka_reader_add(reader, topic, partition, offset, -1);
        }
    }
    return true;
}

bool kafka_group_join(struct kafka_group *group, struct kafka_reader *reader, int64_t fallback,
                      struct err *err)
{
    kafka_reader_clear(reader);
    int64_t deadline_ms = clock_mono_ms() + 2 * REBALANCE_MS;
    for (;;) {
        struct JoinGroupResponse joined;
        struct SyncGroupResponse synced;
        struct err failure = {0};
        arena_reset(&group->arena);
        bool ok = kafka_group_find(group->kafka, group->group_id, &group->coordinator, &failure) &&
                  join_once(group, &joined, &group->arena, &failure) &&
                  sync_once(group, &joined, &synced, &group->arena, &failure);
        if (ok)
            return add_parts(group, reader, synced.Assignment, fallback, &group->arena, err);
        if (failure.code == ERR_UNKNOWN_MEMBER_ID)
            group->member_id = STR("");
        bool again = is_rejoin(&failure) || kafka_is_retriable(&failure);
        if (!again || clock_mono_ms() > deadline_ms ||
            (failure.code != ERR_MEMBER_ID_REQUIRED &&
             !cli_sock_sleep(RETRY_MS, group->kafka->stop_fd, &failure))) {
            *err = failure;
            return false;
        }
    }
}

/* Staying, committing, leaving ---------------------------------------------------------------------------- */

bool kafka_group_heartbeat(struct kafka_group *group, bool *rejoin, struct err *err)
{
    struct arena arena = {0};
    struct HeartbeatRequest req;
    struct HeartbeatResponse res;
    struct err failure = {0};
    wire_init(&WIRE_HeartbeatRequest, &req);
    req.GroupId = group->group_id;
    req.GenerationId = group->generation;
    req.MemberId = group->member_id;
    bool ok = kafka_call(group->kafka, group->coordinator, HEARTBEAT, &req, &res, 0, &arena, &failure) &&
              kafka_check(res.ErrorCode, STR_NULL, &failure, "group '%.*s'", STR_ARG(group->group_id));
    arena_fini(&arena);
    *rejoin = !ok && (is_rejoin(&failure) || kafka_is_retriable(&failure));
    if (!ok && !*rejoin)
        *err = failure;
    return ok || *rejoin;
}

bool kafka_group_commit(struct kafka_group *group, const struct kafka_reader *reader, struct err *err)
{
    struct arena arena = {0};
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res;
    wire_init(&WIRE_OffsetCommitRequest, &req);
    req.GroupId = group->group_id;
    req.GenerationIdOrMemberEpoch = group->generation;
    req.MemberId = group->member_id;
    WIRE_ALLOC(&arena, req.Topics, OffsetCommitRequest_OffsetCommitRequestTopic, reader->parts.len);
    for (size_t i = 0; i < reader->parts.len; i++) {
        const struct kafka_reader_part *part = reader->parts.at[i];
        struct OffsetCommitRequest_OffsetCommitRequestTopic *topic = &req.Topics.at[i];
        topic->Name = part->topic->name;
        WIRE_ALLOC(&arena, topic->Partitions, OffsetCommitRequest_OffsetCommitRequestPartition, 1);
        topic->Partitions.at[0].PartitionIndex = part->partition;
        topic->Partitions.at[0].CommittedOffset = part->offset;
        topic->Partitions.at[0].CommittedMetadata = STR("");
    }
    bool ok = reader->parts.len == 0 ||
              kafka_call(group->kafka, group->coordinator, OFFSET_COMMIT, &req, &res, 0, &arena, err);
    for (int32_t i = 0; ok && reader->parts.len > 0 && i < res.Topics.len; i++)
        for (int32_t k = 0; ok && k < res.Topics.at[i].Partitions.len; k++)
            ok = kafka_check(res.Topics.at[i].Partitions.at[k].ErrorCode, STR_NULL, err,
                             "committing for group '%.*s'", STR_ARG(group->group_id));
    arena_fini(&arena);
    return ok;
}

void kafka_group_leave(struct kafka_group *group)
{
    struct arena arena = {0};
    struct LeaveGroupRequest req;
    struct LeaveGroupResponse res;
    wire_init(&WIRE_LeaveGroupRequest, &req);
    req.GroupId = group->group_id;
    req.MemberId = group->member_id;
    WIRE_ALLOC(&arena, req.Members, LeaveGroupRequest_MemberIdentity, 1);
    req.Members.at[0].MemberId = group->member_id;
    ignore(!kafka_call(group->kafka, group->coordinator, LEAVE_GROUP, &req, &res, 0, &arena, NULL),
           "the session ends by time otherwise");
    arena_fini(&arena);
}

/* Offsets ------------------------------------------------------------------------------------------------- */

static bool ask_group_offsets(struct kafka *kafka, int32_t node_id, struct str group_id,
                              struct OffsetFetchResponse *res, struct arena *arena, struct err *err)
{
    struct OffsetFetchRequest req;
    wire_init(&WIRE_OffsetFetchRequest, &req);
    req.GroupId = group_id;
    req.Topics.len = -1;
    WIRE_ALLOC(arena, req.Groups, OffsetFetchRequest_OffsetFetchRequestGroup, 1);
    req.Groups.at[0].GroupId = group_id;
    req.Groups.at[0].Topics.len = -1;
    return kafka_call(kafka, node_id, OFFSET_FETCH, &req, res, 0, arena, err);
}

bool kafka_group_offsets(struct kafka *kafka, struct str group_id, struct kafka_committed **offsets,
                         size_t *count, struct arena *arena, struct err *err)
{
    struct OffsetFetchResponse res;
    int32_t node_id;
    vec(struct kafka_committed) found = {0};
    if (!kafka_group_find(kafka, group_id, &node_id, err) ||
        !ask_group_offsets(kafka, node_id, group_id, &res, arena, err))
        return false;
    int16_t code = res.Groups.len == 1 ? res.Groups.at[0].ErrorCode : res.ErrorCode;
    if (!kafka_check(code, STR_NULL, err, "offsets of group '%.*s'", STR_ARG(group_id)))
        return false;
    for (int32_t t = 0; res.Groups.len == 1 && t < res.Groups.at[0].Topics.len; t++) {
        const struct OffsetFetchResponse_OffsetFetchResponseTopics *topic = &res.Groups.at[0].Topics.at[t];
        for (int32_t i = 0; i < topic->Partitions.len; i++)
            vec_push(&found, (struct kafka_committed){topic->Name, topic->Partitions.at[i].PartitionIndex,
                                                      topic->Partitions.at[i].CommittedOffset});
    }
    for (int32_t t = 0; res.Groups.len != 1 && t < res.Topics.len; t++) {
        const struct OffsetFetchResponse_OffsetFetchResponseTopic *topic = &res.Topics.at[t];
        for (int32_t i = 0; i < topic->Partitions.len; i++)
            vec_push(&found, (struct kafka_committed){topic->Name, topic->Partitions.at[i].PartitionIndex,
                                                      topic->Partitions.at[i].CommittedOffset});
    }
    *offsets = arena_dup(arena, found.at, found.len * sizeof *found.at);
    *count = 0;
    for (size_t i = 0; i < found.len; i++)
        if (found.at[i].offset >= 0)
            (*offsets)[(*count)++] = found.at[i];
    vec_fini(&found);
    if (*count == 0) /* or a share group, whose places are kept elsewhere */
        ignore(kafka_share_offsets(kafka, node_id, group_id, offsets, count, arena), "it has none then");
    return true;
}

/* Groups as a whole --------------------------------------------------------------------------------------- */

enum { DESCRIBE_GROUPS = 15, CONSUMER_GROUP_DESCRIBE = 69, STREAMS_GROUP_DESCRIBE = 89 };

/* A described group of a newer protocol in the shape of a classic one: fields of the same names. */
#define COPY_GROUP(group, type, out, arena)                                              \
    do {                                                                                 \
        (out)->ErrorCode = 0;                                                            \
        (out)->GroupState = (group)->GroupState;                                         \
        (out)->ProtocolType = STR(type);                                                 \
        WIRE_ALLOC((arena), (out)->Members, DescribeGroupsResponse_DescribedGroupMember, \
                   (group)->Members.len);                                                \
        for (int32_t i_ = 0; i_ < (group)->Members.len; i_++) {                          \
            (out)->Members.at[i_].MemberId = (group)->Members.at[i_].MemberId;           \
            (out)->Members.at[i_].GroupInstanceId = (group)->Members.at[i_].InstanceId;  \
            (out)->Members.at[i_].ClientId = (group)->Members.at[i_].ClientId;           \
            (out)->Members.at[i_].ClientHost = (group)->Members.at[i_].ClientHost;       \
        }                                                                                \
    } while (0)

/* A group of KIP-848's protocol in the shape of a classic one. False: it is not one, or the server knows no such groups. */
static bool describe_consumer(struct kafka *kafka, int32_t node_id, struct str name,
                              struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena)
{
    struct ConsumerGroupDescribeRequest req;
    struct ConsumerGroupDescribeResponse res;
    wire_init(&WIRE_ConsumerGroupDescribeRequest, &req);
    req.GroupIds.at = &name;
    req.GroupIds.len = 1;
    if (!kafka_call(kafka, node_id, CONSUMER_GROUP_DESCRIBE, &req, &res, 0, arena, NULL) ||
        res.Groups.len != 1 || res.Groups.at[0].ErrorCode != 0)
        return false;
    COPY_GROUP(&res.Groups.at[0], "consumer", out, arena);
    return true;
}

/* The same of a streams group (KIP-1071). */
static bool describe_streams(struct kafka *kafka, int32_t node_id, struct str name,
                             struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena)
{
    struct StreamsGroupDescribeRequest req;
    struct StreamsGroupDescribeResponse res;
    wire_init(&WIRE_StreamsGroupDescribeRequest, &req);
    req.GroupIds.at = &name;
    req.GroupIds.len = 1;
    if (!kafka_call(kafka, node_id, STREAMS_GROUP_DESCRIBE, &req, &res, 0, arena, NULL) ||
        res.Groups.len != 1 || res.Groups.at[0].ErrorCode != 0)
        return false;
    COPY_GROUP(&res.Groups.at[0], "streams", out, arena);
    return true;
}

bool kafka_group_describe(struct kafka *kafka, struct str name,
                          struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena,
                          struct err *err)
{
    struct DescribeGroupsRequest req;
    struct DescribeGroupsResponse res;
    int32_t node_id;
    wire_init(&WIRE_DescribeGroupsRequest, &req);
    req.Groups.at = &name;
    req.Groups.len = 1;
    if (!kafka_group_find(kafka, name, &node_id, err) ||
        !kafka_call(kafka, node_id, DESCRIBE_GROUPS, &req, &res, 0, arena, err))
        return false;
    if (res.Groups.len != 1)
        return err_set(err, ERR_GROUP_NOT_FOUND, "group '%.*s' does not exist", STR_ARG(name));
    *out = res.Groups.at[0];
    if (str_eq(out->GroupState, STR("Dead"))) /* for the classic protocol */
        ignore(describe_consumer(kafka, node_id, name, out, arena) ||
                   kafka_share_describe(kafka, node_id, name, out, arena) ||
                   describe_streams(kafka, node_id, name, out, arena),
               "then it does not exist");
    return kafka_check(out->ErrorCode, out->ErrorMessage, err, "group '%.*s'", STR_ARG(name));
}

bool kafka_group_set_offsets(struct kafka *kafka, struct str group_id, const struct kafka_committed *offsets,
                             size_t count, struct err *err)
{
    struct arena arena = {0};
    struct OffsetCommitRequest req;
    struct OffsetCommitResponse res;
    int32_t node_id;
    wire_init(&WIRE_OffsetCommitRequest, &req);
    req.GroupId = group_id;
    WIRE_ALLOC(&arena, req.Topics, OffsetCommitRequest_OffsetCommitRequestTopic, count);
    for (size_t i = 0; i < count; i++) {
        struct OffsetCommitRequest_OffsetCommitRequestTopic *topic = &req.Topics.at[i];
        topic->Name = offsets[i].topic;
        WIRE_ALLOC(&arena, topic->Partitions, OffsetCommitRequest_OffsetCommitRequestPartition, 1);
        topic->Partitions.at[0].PartitionIndex = offsets[i].partition;
        topic->Partitions.at[0].CommittedOffset = offsets[i].offset;
        topic->Partitions.at[0].CommittedMetadata = STR("");
    }
    bool ok = kafka_group_find(kafka, group_id, &node_id, err) &&
              kafka_call(kafka, node_id, OFFSET_COMMIT, &req, &res, 0, &arena, err);
    bool is_share = ok && res.Topics.len > 0 && res.Topics.at[0].Partitions.len > 0 &&
                    res.Topics.at[0].Partitions.at[0].ErrorCode == GROUP_NOT_FOUND;
    if (is_share) {
        arena_fini(&arena);
        return kafka_share_set_offsets(kafka, node_id, group_id, offsets, count, err);
    }
    for (int32_t i = 0; ok && i < res.Topics.len; i++)
        for (int32_t k = 0; ok && k < res.Topics.at[i].Partitions.len; k++)
            ok =
                kafka_check(res.Topics.at[i].Partitions.at[k].ErrorCode, STR_NULL, err,
                            "offset of group '%.*s' in %.*s-%d", STR_ARG(group_id),
                            STR_ARG(res.Topics.at[i].Name), res.Topics.at[i].Partitions.at[k].PartitionIndex);
    arena_fini(&arena);
    return ok;
}
