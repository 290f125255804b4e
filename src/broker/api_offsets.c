/* api_offsets.c - ListOffsets, OffsetForLeaderEpoch: questions to partitions. ListOffsets refuses one that is asked for twice. */
#include "broker/broker_int.h"
#include "broker/parts_once.h"

enum {
    UNKNOWN_TOPIC = 3,
    UNSUPPORTED_VERSION = 35,
    INVALID_REQUEST = 42,
    FENCED_EPOCH = 74,
    UNKNOWN_EPOCH = 75,
};

typedef struct ListOffsetsRequest_ListOffsetsPartition list_asked;
typedef struct ListOffsetsResponse_ListOffsetsPartitionResponse list_row;

static int16_t check_epoch(struct partition *part, int32_t asked)
{
    enum { NO_EPOCH = -1 };
    int32_t current = log_leader_epoch(partition_log(part));
    if (asked == NO_EPOCH || asked == current)
        return 0;
    return asked < current ? FENCED_EPOCH : UNKNOWN_EPOCH;
}

/* Timestamps below 0 have meanings of their own, each from a version on. There is no tiered storage: the log is all local. */
enum {
    LATEST = -1,
    EARLIEST = -2,
    MAX_TIMESTAMP = -3,
    EARLIEST_LOCAL = -4,
    LATEST_TIERED = -5,
    EARLIEST_PENDING = -6
};

static int16_t first_version_of(int64_t timestamp)
{
    static const struct {
        int64_t timestamp;
        int16_t version;
    } table[] = {{LATEST, 1},         {EARLIEST, 1},      {MAX_TIMESTAMP, 7},
                 {EARLIEST_LOCAL, 8}, {LATEST_TIERED, 9}, {EARLIEST_PENDING, 11}};
    if (timestamp >= 0)
        return 1;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (table[i].timestamp == timestamp)
            return table[i].version;
    return INT16_MAX;
}

static void list_one(struct partition *part, const list_asked *asked, enum log_isolation isolation,
                     list_row *row)
{
    struct err err;
    struct log_time_hit hit;
    int64_t time_ms = asked->Timestamp;
    if (time_ms == LATEST_TIERED || time_ms == EARLIEST_PENDING)
        return; /* nothing is tiered: offset -1 */
    if (!log_check_readable(partition_log(part), &err)) {
        row->ErrorCode = error_code_of(&err);
        return;
    }
    if (time_ms == LATEST || time_ms == EARLIEST || time_ms == EARLIEST_LOCAL) {
        bool latest = time_ms == LATEST;
        row->Offset = !latest                           ? log_start_offset(partition_log(part))
                      : isolation == LOG_READ_COMMITTED ? log_lso(partition_log(part))
                                                        : log_high_watermark(partition_log(part));
        row->LeaderEpoch = log_leader_epoch(partition_log(part));
        return;
    }
    if (time_ms == MAX_TIMESTAMP)
        time_ms = LOG_TIME_MAX;
    if (!log_offset_for_time(partition_log(part), time_ms, isolation, &hit, &err)) {
        row->ErrorCode = error_code_of(&err);
        return;
    }
    row->Offset = hit.offset;
    row->Timestamp = hit.timestamp_ms;
    row->LeaderEpoch = hit.offset >= 0 ? hit.leader_epoch : -1;
}

static void list_partition(struct request *req, struct str topic, const list_asked *asked, bool came_again,
                           list_row *row)
{
    const struct ListOffsetsRequest *body = req->body;
    enum log_isolation isolation = body->IsolationLevel == 1 ? LOG_READ_COMMITTED : LOG_UP_TO_HW;
    row->PartitionIndex = asked->PartitionIndex;
    row->ErrorCode = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, topic);
    if (row->ErrorCode == 0 && came_again)
        row->ErrorCode = INVALID_REQUEST;
    if (row->ErrorCode == 0 && req->version < first_version_of(asked->Timestamp))
        row->ErrorCode = UNSUPPORTED_VERSION;
    if (row->ErrorCode != 0)
        return;
    struct partition *part = storage_partition(req->broker->storage, topic, asked->PartitionIndex);
    row->ErrorCode = part == NULL ? UNKNOWN_TOPIC : check_epoch(part, asked->CurrentLeaderEpoch);
    if (row->ErrorCode == 0)
        list_one(part, asked, isolation, row);
    partition_unref(part);
}

void api_list_offsets(struct request *req)
{
    static const struct parts_shape shape =
        PARTS_SHAPE(ListOffsetsRequest_ListOffsetsTopic, Name, false, Partitions,
                    ListOffsetsRequest_ListOffsetsPartition, PartitionIndex);
    const struct ListOffsetsRequest *body = req->body;
    struct ListOffsetsResponse *res = req->res;
    struct map again = {0};
    parts_once(&shape, &body->Topics, &again, &req->arena);
    WIRE_ALLOC(&req->arena, res->Topics, ListOffsetsResponse_ListOffsetsTopicResponse,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct ListOffsetsRequest_ListOffsetsTopic *asked = &body->Topics.at[i];
        struct ListOffsetsResponse_ListOffsetsTopicResponse *row = &res->Topics.at[i];
        row->Name = asked->Name;
        WIRE_ALLOC(&req->arena, row->Partitions, ListOffsetsResponse_ListOffsetsPartitionResponse,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++)
            list_partition(req, asked->Name, &asked->Partitions.at[j],
                           parts_came_again(&again, asked->Name, asked->Partitions.at[j].PartitionIndex),
                           &row->Partitions.at[j]);
    }
    map_fini(&again);
    request_reply(req);
}

typedef struct OffsetForLeaderEpochRequest_OffsetForLeaderPartition epoch_asked;
typedef struct OffsetForLeaderEpochResponse_EpochEndOffset epoch_row;

/* Describe on the topic; brokers have a right on the cluster instead. */
static int16_t check_right(struct request *req, struct str topic)
{
    int16_t denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, topic);
    return denied == 0 ? 0 : request_denied_cluster(req, ACL_CLUSTER_ACTION);
}

static void epoch_one(struct request *req, struct str topic, const epoch_asked *asked, epoch_row *row)
{
    struct err err;
    row->Partition = asked->Partition;
    row->ErrorCode = check_right(req, topic);
    if (row->ErrorCode != 0)
        return;
    struct partition *part = storage_partition(req->broker->storage, topic, asked->Partition);
    row->ErrorCode = part == NULL ? UNKNOWN_TOPIC
                     : !log_check_readable(partition_log(part), &err)
                         ? error_code_of(&err)
                         : check_epoch(part, asked->CurrentLeaderEpoch);
    if (row->ErrorCode == 0)
        log_offset_for_epoch(partition_log(part), asked->LeaderEpoch, &row->LeaderEpoch, &row->EndOffset);
    partition_unref(part);
}

void api_offset_for_leader_epoch(struct request *req)
{
    const struct OffsetForLeaderEpochRequest *body = req->body;
    struct OffsetForLeaderEpochResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Topics, OffsetForLeaderEpochResponse_OffsetForLeaderTopicResult,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct OffsetForLeaderEpochRequest_OffsetForLeaderTopic *asked = &body->Topics.at[i];
        struct OffsetForLeaderEpochResponse_OffsetForLeaderTopicResult *row = &res->Topics.at[i];
        row->Topic = asked->Topic;
        WIRE_ALLOC(&req->arena, row->Partitions, OffsetForLeaderEpochResponse_EpochEndOffset,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++)
            epoch_one(req, asked->Topic, &asked->Partitions.at[j], &row->Partitions.at[j]);
    }
    request_reply(req);
}
