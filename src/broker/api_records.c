/* api_records.c - DeleteRecords: the start of a partition moves forward. On the admin pool: the new start is durable before
 * the answer.
 *
 *   offset                        answer
 *   -1                            the start is the high watermark
 *   up to the high watermark      the start is there, or stays where it is when that is further
 *   beyond, or below -1           OFFSET_OUT_OF_RANGE
 * Only where cleanup.policy contains delete (POLICY_VIOLATION), and not in the broker's own topics.
 */
#include "broker/broker_int.h"
#include "broker/parts_once.h"

enum { OUT_OF_RANGE = 1, UNKNOWN_TOPIC = 3, INVALID_TOPIC = 17, POLICY_VIOLATION = 44, HIGH_WATERMARK = -1 };

typedef struct DeleteRecordsRequest_DeleteRecordsPartition asked_partition;
typedef struct DeleteRecordsResponse_DeleteRecordsPartitionResult result_row;

static int16_t delete_before(struct partition *part, int64_t offset)
{
    struct err err;
    int64_t before = log_start_offset(partition_log(part));
    if (!log_get_config(partition_log(part)).retention_on)
        return POLICY_VIOLATION;
    if (offset < HIGH_WATERMARK)
        return OUT_OF_RANGE;
    if (!log_delete_before(partition_log(part),
                           offset == HIGH_WATERMARK ? log_high_watermark(partition_log(part)) : offset,
                           &err)) {
        if (err.code != ERR_OFFSET_OUT_OF_RANGE &&
            err.code != ERR_STORAGE) /* which was said when it happened */
            log_warn("broker", "delete_records_failed", "topic=%.*s partition=%d cause=\"%s\"",
                     STR_ARG(partition_topic(part)), partition_id(part), err.text);
        return error_code_of(&err);
    }
    partition_reap(part);
    if (log_start_offset(partition_log(part)) != before)
        partition_notify(part, PARTITION_WATCH_STATE);
    return 0;
}

static void delete_one(struct request *req, struct str topic, const asked_partition *asked, result_row *row)
{
    row->PartitionIndex = asked->PartitionIndex;
    row->LowWatermark = -1;
    struct partition *part = storage_partition(req->broker->storage, topic, asked->PartitionIndex);
    int16_t denied = request_denied(req, ACL_TOPIC, ACL_DELETE, topic);
    row->ErrorCode = denied != 0                ? denied
                     : part == NULL             ? UNKNOWN_TOPIC
                     : is_internal_topic(topic) ? INVALID_TOPIC
                                                : delete_before(part, asked->Offset);
    if (row->ErrorCode == 0)
        row->LowWatermark = log_start_offset(partition_log(part));
    partition_unref(part);
}

static void delete_records(struct request *req)
{
    static const struct parts_shape shape =
        PARTS_SHAPE(DeleteRecordsRequest_DeleteRecordsTopic, Name, false, Partitions,
                    DeleteRecordsRequest_DeleteRecordsPartition, PartitionIndex);
    const struct DeleteRecordsRequest *body = req->body;
    struct DeleteRecordsResponse *res = req->res;
    parts_once(&shape, &body->Topics, NULL, &req->arena);
    WIRE_ALLOC(&req->arena, res->Topics, DeleteRecordsResponse_DeleteRecordsTopicResult,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct DeleteRecordsRequest_DeleteRecordsTopic *asked = &body->Topics.at[i];
        struct DeleteRecordsResponse_DeleteRecordsTopicResult *row = &res->Topics.at[i];
        row->Name = asked->Name;
        WIRE_ALLOC(&req->arena, row->Partitions, DeleteRecordsResponse_DeleteRecordsPartitionResult,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++)
            delete_one(req, asked->Name, &asked->Partitions.at[j], &row->Partitions.at[j]);
    }
    request_reply(req);
}

void api_delete_records(struct request *req)
{
    request_on_pool(req, delete_records);
}
