/* api_produce.c - Produce: append each partition's batch, answer when all are as durable as asked for.
 *
 *   acks=0   no answer; a failure closes the connection, as the only sign there is
 *   acks=1   answered after the writes
 *   acks=-1  answered after the syncs that the writes share with all who write to the same partitions
 *   and where a topic's flush.messages is reached, acks=1 as well, and with durability=os too
 *
 *   api_produce    checks; what is to be appended joins the queue of the connection's read
 *   api_produce    ...
 *   produce_write  appends the queue: what goes to the same partition by one write; the syncs start when the read is done with
 *
 * A batch is appended from the connection's buffer, in place: offsets are patched into it, nothing is copied. So the queue is
 * written before the read that brought it ends. What the answer needs later (topic names) is copied into the request's arena.
 */
#include "broker/broker_int.h"
#include "broker/parts_once.h"

enum {
    CORRUPT = 2,
    UNKNOWN_TOPIC = 3,
    TOO_LARGE = 10,
    INVALID_TOPIC = 17,
    LIST_TOO_LARGE = 18,
    NOT_ENOUGH_REPLICAS = 19,
    INVALID_ACKS = 21,
    INVALID_TIMESTAMP = 32,
    TRANSACTION_UNAUTHORIZED = 53,
    STORAGE = 56,
    UNSUPPORTED_CODEC = 76,
    INVALID_RECORD = 87,
    UNKNOWN_TOPIC_ID = 100,
};

/* Of one batch, so that a small compressed one cannot ask for an answer of any size; the message has the number of all. */
enum { RECORD_ERRORS_MAX = 10000 };
enum { ZSTD_VERSION = 7, ABORTABLE_VERSION = 11, JOINS_VERSION = 12, TOPIC_ID_VERSION = 13 };

typedef struct ProduceRequest_TopicProduceData topic_data;
typedef struct ProduceRequest_PartitionProduceData partition_data;
typedef struct ProduceResponse_TopicProduceResponse topic_response;
typedef struct ProduceResponse_PartitionProduceResponse partition_response;

/* A partition whose append waits for its sync. */
struct produce_wait {
    struct partition_wait wait;
    struct request *req;
    partition_response *row;
};

static void refuse(struct request *req, partition_response *row, int16_t code, const char *text)
{
    row->ErrorCode = code;
    row->BaseOffset = -1;
    row->LogStartOffset = -1;
    row->ErrorMessage = text != NULL && text[0] != '\0' ? str_dup(str_from(text), &req->arena) : STR_NULL;
}

/* May the batch be part of its producer's transaction? Under the append lock. */
static int16_t check_transaction(const struct request *req, const struct batch *batch, struct str topic,
                                 int32_t partition)
{
    const struct ProduceRequest *body = req->body;
    struct txn_partition at = {topic, partition};
    int16_t code = 0;
    int16_t error = txn_admit(req->broker, body->TransactionalId, batch->pid, batch->epoch,
                              req->version >= JOINS_VERSION, &at, 1, &code);
    switch (error) {
    case TXN_NONE:
        return code == TXN_ABORTABLE && req->version < ABORTABLE_VERSION ? TXN_INVALID_STATE : code;
    case TXN_FENCED: /* Produce has never had that code */
        return TXN_INVALID_EPOCH;
    case TXN_CONCURRENT: /* producers before KIP-890 do not try that again */
        return req->version < JOINS_VERSION ? NOT_ENOUGH_REPLICAS : error;
    default:
        return error;
    }
}

/* What the log refused, in Produce's terms. */
static int16_t code_of(const struct request *req, const struct err *err)
{
    switch (err->code) {
    case ERR_CONCURRENT_TRANSACTIONS:
        return req->version < JOINS_VERSION ? NOT_ENOUGH_REPLICAS : TXN_CONCURRENT;
    case ERR_UNSUPPORTED_FORMAT:
        return INVALID_RECORD;
    case ERR_IO:
    case ERR_DISK_FULL:
        return STORAGE;
    default:
        return error_code_of(err);
    }
}

/* Checks that come before the log's own: exactly one whole batch of format 2 first of all. 0: all is well; *err says what is
 * wrong with its header, or nothing. */
static int16_t check_batch(const struct request *req, struct str bytes, struct str topic, int32_t partition,
                           struct err *err)
{
    struct batch batch;
    *err = (struct err){.text = ""};
    if (bytes.len < BATCH_HEADER_BYTES)
        return INVALID_RECORD;
    if (!batch_open_header(bytes.ptr, &batch, err))
        return code_of(req, err);
    if (!batch_open(bytes, &batch, NULL) || batch.bytes.len != bytes.len)
        return INVALID_RECORD;
    if (batch_codec(&batch) == CODEC_ZSTD && req->version < ZSTD_VERSION)
        return UNSUPPORTED_CODEC;
    if (is_internal_topic(topic))
        return INVALID_TOPIC;
    return batch_is_transactional(&batch) ? check_transaction(req, &batch, topic, partition) : 0;
}

/* Does a refusal tell where the log starts? As Kafka has it: when the log has looked at the records. */
static bool tells_start(int16_t code)
{
    return code != CORRUPT && code != TOO_LARGE && code != LIST_TOO_LARGE && code != STORAGE;
}

/* Names all records that break the rules (KIP-467), from another walk over the batch. As Kafka has it, a timestamp among the
 * faults decides the error. */
static void name_bad_records(struct request *req, partition_response *row, struct str bytes,
                             const struct batch_rules *rules)
{
    struct batch batch;
    struct batch_iter it;
    struct record rec;
    struct str no_key = STR("record without key: a compacted topic needs one");
    vec(struct ProduceResponse_BatchIndexAndErrorMessage) rows = {0};
    int32_t index = 0, bad = 0;
    if (!batch_open(bytes, &batch, NULL))
        return;
    batch.attributes &= (uint16_t)~BATCH_APPEND_TIME; /* timestamps as the producer set them */
    if (!batch_iter_init(&it, &batch, codec_scratch(), NULL))
        return;
    for (; batch_iter_next(&it, &rec); index++) {
        enum batch_fault fault = batch_record_fault(rules, &rec);
        if (fault == BATCH_GOOD || bad++ >= RECORD_ERRORS_MAX)
            continue;
        struct ProduceResponse_BatchIndexAndErrorMessage one = {.BatchIndex = index,
                                                                .BatchIndexErrorMessage = no_key};
        if (fault == BATCH_BAD_TIMESTAMP) {
            row->ErrorCode = INVALID_TIMESTAMP;
            one.BatchIndexErrorMessage =
                str_printf(&req->arena, "timestamp %" PRId64 " is outside of %" PRId64 " to %" PRId64,
                           rec.timestamp_ms, rules->timestamp_min_ms, rules->timestamp_max_ms);
        }
        vec_push(&rows, one);
    }
    if (rows.len == 0)
        return;
    row->RecordErrors.at = arena_dup(&req->arena, rows.at, rows.len * sizeof *rows.at);
    row->RecordErrors.len = (int32_t)rows.len;
    row->ErrorMessage = str_printf(&req->arena, "%d of %d records are refused; record %d: %.*s", bad, index,
                                   rows.at[0].BatchIndex, STR_ARG(rows.at[0].BatchIndexErrorMessage));
    vec_fini(&rows);
}

/* 0, or the error of a request that may not write to the topic. */
static int16_t check_rights(struct request *req, struct str topic)
{
    return str_is_null(topic) ? 0 : request_denied(req, ACL_TOPIC, ACL_WRITE, topic);
}

/* Joins the queue; whether the answer waits for a sync is known when it is written. */
static void queue_append(struct request *req, partition_response *row, struct partition *part,
                         struct str bytes)
{
    struct produce_queue *queue = request_produces(req);
    if (queue->count == COUNT_OF(queue->at))
        produce_write(queue);
    struct produce_append *one = &queue->at[queue->count++];
    one->req = req;
    one->row = row;
    one->part = part;
    one->append = (struct log_append){.bytes = (char *)bytes.ptr, .size = bytes.len, .origin = LOG_CLIENT};
    atomic_fetch_add_explicit(&req->left, 1, memory_order_relaxed);
}

/* Refuses one partition's batch, or queues its append. */
static void take_batch(struct request *req, struct str topic, const partition_data *data,
                       partition_response *row)
{
    struct err err;
    struct str bytes = data->Records.bytes;
    row->Index = data->Index;
    int16_t denied = check_rights(req, topic);
    if (denied != 0) {
        refuse(req, row, denied, NULL);
        return;
    }
    struct partition *part =
        str_is_null(topic) ? NULL : storage_partition(req->broker->storage, topic, data->Index);
    if (part == NULL) { /* a name comes of a known id, or of an older version */
        refuse(req, row, str_is_null(topic) ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC, NULL);
        return;
    }
    int16_t code = check_batch(req, bytes, topic, data->Index, &err);
    if (code == 0) {
        queue_append(req, row, part, bytes);
        return;
    }
    refuse(req, row, code, err.text);
    if (err.code == ERR_INVALID_RECORD) /* numbers that do not fit: what the log would say */
        row->LogStartOffset = log_start_offset(partition_log(part));
    partition_unref(part);
}

static bool any_error(const struct ProduceResponse *res)
{
    for (int32_t i = 0; i < res->Responses.len; i++)
        for (int32_t j = 0; j < res->Responses.at[i].PartitionResponses.len; j++)
            if (res->Responses.at[i].PartitionResponses.at[j].ErrorCode != 0)
                return true;
    return false;
}

/* One of those that req->left counts is done with; the last one ends the request. Any thread. */
static void leave(struct request *req)
{
    if (atomic_fetch_sub_explicit(&req->left, 1, memory_order_acq_rel) != 1)
        return;
    if (((const struct ProduceRequest *)req->body)->Acks != 0)
        request_reply(req);
    else if (any_error(req->res))
        request_close(req, "produce without acknowledgement failed");
    else
        request_no_reply(req);
}

static void on_durable(struct partition_wait *wait, const struct err *failure)
{
    struct produce_wait *produce = (struct produce_wait *)wait;
    struct request *req = produce->req;
    if (failure != NULL) {
        produce->row->ErrorCode = failure->code == ERR_UNKNOWN_TOPIC ? UNKNOWN_TOPIC : STORAGE;
        produce->row->BaseOffset = -1;
        produce->row->LogStartOffset = -1;
    }
    leave(req);
}

/* Must the answer wait for the sync? With acks=0 there is none. */
static bool waits(const struct partition *part, int16_t acks, bool flush)
{
    return (acks == -1 && partition_is_synced(part)) || (acks != 0 && flush);
}

static void wait_for_sync(struct produce_append *one)
{
    const struct log_append_result *result = &one->append.result;
    struct partition_appended appended = {.end_offset = result->last_offset + 1,
                                          .incarnation = result->incarnation};
    struct produce_wait *produce = arena_new(&one->req->arena, struct produce_wait);
    *produce =
        (struct produce_wait){.wait.fn = on_durable, .wait.even_os = true, .req = one->req, .row = one->row};
    partition_when_appended(one->part, &appended, &produce->wait);
}

/* Tells how the append went; its request waits for the sync, or not for this append any more. */
static void end_append(struct produce_append *one)
{
    struct request *req = one->req;
    partition_response *row = one->row;
    const struct log_append_result *result = &one->append.result;
    if (!one->append.good) {
        const struct err *err = one->append.err;
        refuse(req, row, code_of(req, err), err->text);
        if (tells_start(row->ErrorCode))
            row->LogStartOffset = log_start_offset(partition_log(one->part));
        if (result->bad_records)
            name_bad_records(req, row, str_of(one->append.bytes, one->append.size), &result->rules);
        leave(req);
        return;
    }
    row->BaseOffset = result->base_offset;
    row->LogAppendTimeMs = result->append_time_ms;
    row->LogStartOffset = result->start_offset;
    if (waits(one->part, ((const struct ProduceRequest *)req->body)->Acks, result->flush))
        wait_for_sync(one);
    else
        leave(req);
}

/* Appends what goes to the same partition as the first one that is left. */
static void write_partition(struct produce_queue *queue, size_t first)
{
    struct partition *part = queue->at[first].part;
    struct log_append *appends[COUNT_OF(queue->at)];
    struct err errs[COUNT_OF(queue->at)];
    size_t count = 0;
    for (size_t i = first; i < queue->count; i++)
        if (queue->at[i].part == part) {
            queue->at[i].append.err = &errs[count];
            appends[count++] = &queue->at[i].append;
        }
    partition_append_all(part, appends, count, &queue->syncs);
    for (size_t i = first; i < queue->count; i++)
        if (queue->at[i].part == part) {
            end_append(&queue->at[i]);
            queue->at[i].part = NULL;
            partition_unref(part);
        }
}

void produce_write(struct produce_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        if (queue->at[i].part != NULL)
            write_partition(queue, i);
    queue->count = 0;
}

static struct str topic_name(struct request *req, const topic_data *topic)
{
    if (req->version >= TOPIC_ID_VERSION)
        return storage_topic_name(req->broker->storage, topic->TopicId, &req->arena);
    return str_dup(topic->Name, &req->arena);
}

/* Queues the appends of all partitions of a topic. */
static void take_topic(struct request *req, const topic_data *topic, topic_response *out)
{
    struct str name = topic_name(req, topic);
    out->Name = name;
    out->TopicId = topic->TopicId;
    WIRE_ALLOC(&req->arena, out->PartitionResponses, ProduceResponse_PartitionProduceResponse,
               MAX(topic->PartitionData.len, 0));
    for (int32_t i = 0; i < topic->PartitionData.len; i++)
        take_batch(req, name, &topic->PartitionData.at[i], &out->PartitionResponses.at[i]);
}

static void refuse_all(struct request *req, const struct ProduceRequest *body, int16_t code)
{
    struct ProduceResponse *res = req->res;
    for (int32_t i = 0; i < body->TopicData.len; i++) {
        const topic_data *topic = &body->TopicData.at[i];
        topic_response *out = &res->Responses.at[i];
        out->Name = str_dup(topic->Name, &req->arena);
        out->TopicId = topic->TopicId;
        WIRE_ALLOC(&req->arena, out->PartitionResponses, ProduceResponse_PartitionProduceResponse,
                   MAX(topic->PartitionData.len, 0));
        for (int32_t j = 0; j < topic->PartitionData.len; j++) {
            out->PartitionResponses.at[j].Index = topic->PartitionData.at[j].Index;
            refuse(req, &out->PartitionResponses.at[j], code, NULL);
        }
    }
    request_reply(req);
}

static bool any_transactional(const struct ProduceRequest *body)
{
    struct batch batch;
    for (int32_t i = 0; i < body->TopicData.len; i++)
        for (int32_t j = 0; j < body->TopicData.at[i].PartitionData.len; j++) {
            struct str bytes = body->TopicData.at[i].PartitionData.at[j].Records.bytes;
            if (!str_is_null(bytes) && bytes.len >= BATCH_HEADER_BYTES &&
                batch_open_header(bytes.ptr, &batch, NULL) && batch_is_transactional(&batch))
                return true;
        }
    return false;
}

/* Asked of batches of a transaction only, as Kafka does: an id alone writes nothing. */
static bool may_write_transaction(struct request *req)
{
    const struct ProduceRequest *body = req->body;
    return !str_is_null(body->TransactionalId) &&
           request_denied(req, ACL_TRANSACTIONAL_ID, ACL_WRITE, body->TransactionalId) == 0;
}

/* Of a partition that comes twice the last batch is appended. */
static void name_once(struct request *req)
{
#define SHAPE(key, by_id)                                                   \
    PARTS_SHAPE(ProduceRequest_TopicProduceData, key, by_id, PartitionData, \
                ProduceRequest_PartitionProduceData, Index)
    static const struct parts_shape by_name = SHAPE(Name, false), by_id = SHAPE(TopicId, true);
#undef SHAPE
    const struct ProduceRequest *body = req->body;
    parts_once(req->version >= TOPIC_ID_VERSION ? &by_id : &by_name, &body->TopicData, NULL, &req->arena);
}

void api_produce(struct request *req)
{
    const struct ProduceRequest *body = req->body;
    struct ProduceResponse *res = req->res;
    int16_t acks = body->Acks;
    name_once(req);
    WIRE_ALLOC(&req->arena, res->Responses, ProduceResponse_TopicProduceResponse,
               MAX(body->TopicData.len, 0));
    if (acks < -1 || acks > 1) {
        refuse_all(req, body, INVALID_ACKS);
        return;
    }
    if (any_transactional(body) && !may_write_transaction(req)) {
        refuse_all(req, body, TRANSACTION_UNAUTHORIZED);
        return;
    }
    bool transactional = !str_is_null(body->TransactionalId);
    pthread_rwlock_t *appends = txn_append_lock(req->broker->coord, body->TransactionalId);
    atomic_store_explicit(&req->left, 1, memory_order_relaxed); /* ours, until all are queued */
    if (transactional) {
        produce_write(request_produces(req)); /* what is of others need not be under the lock */
        pthread_rwlock_rdlock(appends);
    }
    for (int32_t i = 0; i < body->TopicData.len; i++)
        take_topic(req, &body->TopicData.at[i], &res->Responses.at[i]);
    if (transactional || req->quotas != NULL) /* under the lock; its own time is charged to it */
        produce_write(request_produces(req));
    if (transactional)
        pthread_rwlock_unlock(appends);
    leave(req);
}
