/* kafka_producer.c - batches sent until they are acknowledged, each record once.
 *
 *   send -> a partition's builder -> (full, or flush) -> Produce to each leader -> acknowledged
 *                                          ^                     |
 *                                          +-- same bytes, same sequence: after a lost connection, a timeout,
 *                                              a moved leader; the server drops what it has already
 *
 * (K1) With acks=all the batches carry a producer id and a sequence per partition that never has a gap: a retry is
 *      recognised by the server (DUPLICATE_SEQUENCE is success), so nothing is lost or doubled by a restart.
 * (K2) A partition has one batch on its way at a time, so that order is kept.
 * (K3) The time of retries is counted from the last success, so a long load survives many restarts.
 */
#include "cli/kafka_int.h"

#include <stdlib.h>

#include "cli/sock_int.h"

enum { PRODUCE = 0, INIT_PRODUCER_ID = 22, PRODUCE_MS = 30000, BACKOFF_MS_MIN = 20, BACKOFF_MS_MAX = 1000 };

struct kafka_producer_batch {
    struct batch_builder builder;
    int32_t next_seq;
    bool open;        /* records are being added */
    struct str bytes; /* a finished batch that is not acknowledged yet; null: none */
};

/* Opening ------------------------------------------------------------------------------------------------- */

static bool ask_producer_id(struct kafka_producer *producer, struct err *err)
{
    struct arena arena = {0};
    struct InitProducerIdRequest req;
    struct InitProducerIdResponse res;
    struct err failure = {0};
    int64_t deadline_ms = clock_mono_ms() + producer->kafka->timeout_ms;
    bool ok;
    wire_init(&WIRE_InitProducerIdRequest, &req);
    req.TransactionalId = STR_NULL;
    req.TransactionTimeoutMs = INT32_MAX;
    do {
        ok = kafka_call(producer->kafka, KAFKA_ANY, INIT_PRODUCER_ID, &req, &res, 0, &arena, &failure) &&
             kafka_check(res.ErrorCode, STR_NULL, &failure, "asking for a producer id");
        if (ok || !kafka_is_retriable(&failure) || failure.code == ERR_UNAVAILABLE)
            break;
    } while (clock_mono_ms() < deadline_ms &&
             cli_sock_sleep(BACKOFF_MS_MAX, producer->kafka->stop_fd, &failure));
    if (ok) {
        producer->pid = res.ProducerId;
        producer->epoch = res.ProducerEpoch;
    } else if (err != NULL) {
        *err = failure;
    }
    arena_fini(&arena);
    return ok;
}

bool kafka_producer_open(struct kafka_producer *producer, struct kafka *kafka,
                         const struct kafka_producer_options *options, struct err *err)
{
    *producer = (struct kafka_producer){.kafka = kafka, .options = *options, .pid = -1, .epoch = -1};
    const struct kafka_topic *topic = kafka_topic_find(kafka, options->topic, true, false, err);
    if (topic == NULL || (options->acks < 0 && !ask_producer_id(producer, err)))
        return false;
    producer->partition_count = topic->partition_count;
    producer->batches = mem_zalloc((size_t)topic->partition_count, sizeof *producer->batches);
    return true;
}

void kafka_producer_close(struct kafka_producer *producer)
{
    for (int32_t i = 0; i < producer->partition_count; i++)
        batch_builder_fini(&producer->batches[i].builder);
    free(producer->batches);
    *producer = (struct kafka_producer){0};
}

/* Sending ------------------------------------------------------------------------------------------------- */

static int32_t pick_partition(const struct kafka_producer *producer, int32_t partition, struct str key)
{
    if (partition >= 0)
        return partition;
    if (str_is_null(key))
        return producer->sticky % producer->partition_count;
    return hash_partition(key, producer->partition_count);
}

bool kafka_producer_send(struct kafka_producer *producer, int32_t partition, int64_t timestamp_ms,
                         struct str key, struct str value, const struct record_header *headers,
                         int32_t header_count, struct err *err)
{
    partition = pick_partition(producer, partition, key);
    if (partition >= producer->partition_count)
        return err_set(err, ERR_USAGE, "topic '%.*s' has no partition %d; it has %d",
                       STR_ARG(producer->options.topic), partition, producer->partition_count);
    struct kafka_producer_batch *batch = &producer->batches[partition];
    if (!batch->open) {
        struct batch_spec spec = BATCH_SPEC_PLAIN;
        spec.codec = producer->options.codec;
        spec.pid = producer->pid;
        spec.epoch = producer->epoch;
        spec.base_seq = producer->pid >= 0 ? batch->next_seq : -1;
        batch_builder_begin(&batch->builder, &spec);
        batch->open = true;
    }
    batch_builder_add(&batch->builder, timestamp_ms, key, value, headers, header_count);
    return (int64_t)batch_builder_size(&batch->builder) < producer->options.batch_bytes ||
           kafka_producer_flush(producer, err);
}

static void acknowledged(struct kafka_producer *producer, struct kafka_producer_batch *batch)
{
    producer->sent_records += batch->builder.count;
    producer->sent_bytes += (int64_t)batch->bytes.len;
    batch->next_seq = (int32_t)(((int64_t)batch->next_seq + batch->builder.count) & INT32_MAX);
    batch->bytes = STR_NULL;
}

/* The waiting batches whose partitions this node leads. */
static int32_t fill_request(struct kafka_producer *producer, const struct kafka_topic *topic, int32_t leader,
                            struct ProduceRequest *req, struct arena *arena)
{
    int32_t n = 0;
    wire_init(&WIRE_ProduceRequest, req);
    req->Acks = (int16_t)producer->options.acks;
    req->TimeoutMs = PRODUCE_MS;
    WIRE_ALLOC(arena, req->TopicData, ProduceRequest_TopicProduceData, 1);
    req->TopicData.at[0].Name = topic->name;
    WIRE_ALLOC(arena, req->TopicData.at[0].PartitionData, ProduceRequest_PartitionProduceData,
               producer->partition_count);
    for (int32_t i = 0; i < producer->partition_count && i < topic->partition_count; i++) {
        if (str_is_null(producer->batches[i].bytes) || topic->leaders[i] != leader)
            continue;
        req->TopicData.at[0].PartitionData.at[n].Index = i;
        req->TopicData.at[0].PartitionData.at[n++].Records.bytes = producer->batches[i].bytes;
    }
    req->TopicData.at[0].PartitionData.len = n;
    return n;
}

static bool take_response(struct kafka_producer *producer, const struct ProduceResponse *res, struct err *err)
{
    bool ok = true;
    for (int32_t t = 0; t < res->Responses.len; t++) {
        for (int32_t i = 0; i < res->Responses.at[t].PartitionResponses.len; i++) {
            const struct ProduceResponse_PartitionProduceResponse *part =
                &res->Responses.at[t].PartitionResponses.at[i];
            if (part->Index < 0 || part->Index >= producer->partition_count ||
                str_is_null(producer->batches[part->Index].bytes))
                continue;
            bool duplicate = part->ErrorCode == err_kafka_code(ERR_DUPLICATE_SEQUENCE);
            if (duplicate || part->ErrorCode == 0) {
                acknowledged(producer, &producer->batches[part->Index]);
                continue;
            }
            /* A refusal counts more than what may be tried again: keep the first of its kind. */
            struct err failure = {0};
            kafka_check(part->ErrorCode, part->ErrorMessage, &failure, "topic '%.*s' partition %d",
                        STR_ARG(producer->options.topic), part->Index);
            if (ok || kafka_is_retriable(err))
                *err = failure;
            ok = false;
        }
    }
    return ok;
}

static bool send_to(struct kafka_producer *producer, const struct kafka_topic *topic, int32_t leader,
                    struct err *err)
{
    struct arena arena = {0};
    struct ProduceRequest req;
    struct ProduceResponse res;
    bool silent = producer->options.acks == 0, ok = true;
    if (fill_request(producer, topic, leader, &req, &arena) > 0)
        ok = kafka_call(producer->kafka, leader, PRODUCE, &req, silent ? NULL : &res, PRODUCE_MS, &arena,
                        err) &&
             (silent || take_response(producer, &res, err));
    for (int32_t i = 0; ok && silent && i < producer->partition_count; i++)
        if (!str_is_null(producer->batches[i].bytes) && topic->leaders[i] == leader)
            acknowledged(producer, &producer->batches[i]);
    arena_fini(&arena);
    return ok;
}

static int32_t next_waiting(const struct kafka_producer *producer)
{
    for (int32_t i = 0; i < producer->partition_count; i++)
        if (!str_is_null(producer->batches[i].bytes))
            return i;
    return -1;
}

static bool finish_batches(struct kafka_producer *producer, struct err *err)
{
    for (int32_t i = 0; i < producer->partition_count; i++) {
        struct kafka_producer_batch *batch = &producer->batches[i];
        if (!batch->open)
            continue;
        batch->open = false;
        if (!batch_builder_finish(&batch->builder, &batch->bytes, err))
            return false;
    }
    return true;
}

/* One try for all that waits, node by node. */
static bool try_all(struct kafka_producer *producer, bool refresh, struct err *err)
{
    const struct kafka_topic *topic =
        kafka_topic_find(producer->kafka, producer->options.topic, false, refresh, err);
    if (topic == NULL)
        return false;
    for (int32_t i; (i = next_waiting(producer)) >= 0;) {
        if (i >= topic->partition_count)
            return err_set(err, ERR_UNAVAILABLE, "topic '%.*s' has lost partition %d", STR_ARG(topic->name),
                           i);
        if (!send_to(producer, topic, topic->leaders[i], err))
            return false;
    }
    return true;
}

bool kafka_producer_flush(struct kafka_producer *producer, struct err *err)
{
    struct err failure = {0};
    if (!finish_batches(producer, err))
        return false;
    producer->sticky = (producer->sticky + 1) % producer->partition_count;
    int64_t deadline_ms = clock_mono_ms() + producer->options.retry_ms, backoff_ms = BACKOFF_MS_MIN;
    bool refresh = false;
    while (!try_all(producer, refresh, &failure)) {
        if (!kafka_is_retriable(&failure) || clock_mono_ms() > deadline_ms ||
            !cli_sock_sleep(backoff_ms, producer->kafka->stop_fd, &failure)) {
            if (err != NULL)
                *err = failure;
            return false;
        }
        backoff_ms = MIN(backoff_ms * 2, BACKOFF_MS_MAX);
        refresh = true;
    }
    return true;
}
