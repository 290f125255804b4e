/* producer.c - a producer: batches to random partitions, several requests in flight, retried until they are acknowledged.
 *
 *   round:  make up to 5 batches -> send all -> receive all -> those that failed again, in order -> ... -> all acknowledged
 *
 * (P1) Idempotent: a batch keeps its sequence however often it is sent, and a later one of the same partition is not made
 *      before all are acknowledged. Then OUT_OF_ORDER for the first of a partition means that the server has forgotten an
 *      acknowledged one: that fails the run.
 * (P2) Not idempotent: the same without sequences; a record may be found twice.
 *      A round has one batch at most of a partition that has acknowledged none yet: a server that knows nothing of a
 *      producer takes any sequence, as Kafka does, so a second one could get in before a first that failed.
 * (P3) When the world is calm the round under way is finished: everything that was sent is then acknowledged.
 * (P4) Some that are not idempotent ask for acks=1, which promises less (facts.c, V7), or for no answers at all.
 * (P5) A power cut with durability=os may take sequences that were acknowledged: the producer then goes on with a new
 *      identity, and what it sends again may be there twice.
 */
#include "clients.h"

enum {
    PARTITIONS_MAX = 8,
    BATCHES_MAX = 5,
    RECORDS_MAX = 4,
    PRODUCE = 0,
    INIT_PRODUCER_ID = 22,
    ZSTD_VERSION_MIN = 7
};

struct out_batch {
    uint16_t topic;
    int32_t partition;
    int32_t seq;
    struct mark marks[RECORDS_MAX];
    int count;
    enum codec codec;
    bool acked;
};

struct producer {
    struct client client;
    uint16_t number;
    bool idempotent;
    int16_t acks;
    int64_t pid;
    int16_t epoch;
    uint64_t cuts; /* when it took its identity */
    int in_flight_max;
    int16_t version;
    int32_t next_seq[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    uint64_t next_n[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    struct out_batch batches[BATCHES_MAX];
    int batch_count;
    struct batch_builder builder;
    struct buf value;
};

/* ---- what is sent ---- */

/* A batch before the i-th of this round is the producer's first in the partition. */
static bool is_new_here(const struct producer *prod, int i, uint16_t topic, int32_t partition)
{
    for (const struct out_batch *b = prod->batches; b < prod->batches + i; b++)
        if (b->topic == topic && b->partition == partition && b->seq == 0)
            return true;
    return false;
}

static void make_round(struct producer *prod)
{
    prod->batch_count = (int)sim_between(1, prod->in_flight_max);
    for (int i = 0; i < prod->batch_count; i++) {
        struct out_batch *batch = &prod->batches[i];
        uint16_t topic = (uint16_t)sim_below(scenario.topic_count);
        int32_t partition = (int32_t)sim_below((uint64_t)scenario.topics[topic].partition_count);
        if (is_new_here(prod, i, topic, partition)) {
            prod->batch_count = i;
            break;
        }
        *batch = (struct out_batch){.topic = topic,
                                    .partition = partition,
                                    .seq = prod->next_seq[topic][partition],
                                    .count = (int)sim_between(1, RECORDS_MAX),
                                    .codec = CODEC_NONE};
        if (sim_chance(1, 3)) /* zstd is the last of them */
            batch->codec = (enum codec)sim_between(0, prod->version >= ZSTD_VERSION_MIN ? 4 : 3);
        prod->next_seq[topic][partition] += batch->count;
        for (int j = 0; j < batch->count; j++) {
            batch->marks[j] = (struct mark){.producer = prod->number,
                                            .topic = topic,
                                            .partition = (uint32_t)partition,
                                            .n = ++prod->next_n[topic][partition]};
            facts_sent(batch->marks[j]);
        }
    }
}

static bool send_batch(struct producer *prod, const struct out_batch *batch)
{
    struct arena arena = {0};
    struct err err;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    spec.codec = batch->codec;
    if (prod->idempotent) {
        spec.pid = prod->pid;
        spec.epoch = prod->epoch;
        spec.base_seq = batch->seq;
    }
    batch_builder_begin(&prod->builder, &spec);
    for (int i = 0; i < batch->count; i++)
        mark_add(batch->marks[i], &prod->builder, &prod->value);
    struct ProduceRequest *req = wire_new(&WIRE_ProduceRequest, 1, &arena);
    req->TransactionalId = STR_NULL;
    req->Acks = prod->acks;
    req->TimeoutMs = 30000;
    WIRE_ALLOC(&arena, req->TopicData, ProduceRequest_TopicProduceData, 1);
    req->TopicData.at[0].Name = str_from(scenario.topics[batch->topic].name);
    WIRE_ALLOC(&arena, req->TopicData.at[0].PartitionData, ProduceRequest_PartitionProduceData, 1);
    struct ProduceRequest_PartitionProduceData *part = req->TopicData.at[0].PartitionData.at;
    part->Index = batch->partition;
    bool good = batch_builder_finish(&prod->builder, &part->Records.bytes, &err);
    ASSERT(good);
    good = client_send(&prod->client, PRODUCE, prod->version, req);
    arena_fini(&arena);
    return good;
}

/* ---- what is answered ---- */

static void on_acked(struct producer *prod, struct out_batch *batch, int64_t base_offset)
{
    batch->acked = true;
    for (int i = 0; i < batch->count; i++)
        facts_acked(batch->marks[i], base_offset < 0 ? -1 : base_offset + i, prod->acks == -1);
    sim_note("acked %s-%d %d records at %lld", scenario.topics[batch->topic].name, batch->partition,
             batch->count, (long long)base_offset);
}

/* P1: is it the first of its partition that was not acknowledged? */
static bool is_first(const struct producer *prod, const struct out_batch *batch)
{
    for (const struct out_batch *b = prod->batches; b < batch; b++)
        if (!b->acked && b->topic == batch->topic && b->partition == batch->partition)
            return false;
    return true;
}

static void on_answer(struct producer *prod, struct out_batch *batch, const struct ProduceResponse *res)
{
    if (res->Responses.len != 1 || res->Responses.at[0].PartitionResponses.len != 1)
        sim_fail("a produce of one partition is answered with %d topics", res->Responses.len);
    const struct ProduceResponse_PartitionProduceResponse *part = res->Responses.at[0].PartitionResponses.at;
    if (part->ErrorCode == 0)
        on_acked(prod, batch, part->BaseOffset);
    else if (part->ErrorCode == KAFKA_DUPLICATE_SEQUENCE && prod->idempotent)
        on_acked(prod, batch, -1);
    else if ((part->ErrorCode == KAFKA_OUT_OF_ORDER_SEQUENCE ||
              part->ErrorCode == KAFKA_UNKNOWN_PRODUCER_ID) &&
             is_first(prod, batch) && prod->cuts == scenario.cuts)
        sim_fail("%s-%d: sequence %d of producer %u is refused with %d, all before were acknowledged",
                 scenario.topics[batch->topic].name, batch->partition, batch->seq, prod->number,
                 part->ErrorCode);
    else
        sim_note("produce to %s-%d: error %d", scenario.topics[batch->topic].name, batch->partition,
                 part->ErrorCode);
}

/* P4: nothing is answered; that it went out is all that is known. */
static bool send_round(struct producer *prod)
{
    for (int i = 0; i < prod->batch_count; i++)
        if (!prod->batches[i].acked)
            prod->batches[i].acked = send_batch(prod, &prod->batches[i]);
    prod->client.in_flight = 0;
    return true;
}

/* Sends what is not acknowledged, in order, and takes the answers. True: all is acknowledged. */
static bool try_round(struct producer *prod)
{
    if (prod->acks == 0)
        return send_round(prod);
    struct out_batch *sent[BATCHES_MAX];
    int sent_count = 0, acked = 0;
    for (int i = 0; i < prod->batch_count; i++) {
        if (prod->batches[i].acked)
            continue;
        if (!send_batch(prod, &prod->batches[i]))
            break;
        sent[sent_count++] = &prod->batches[i];
    }
    for (int i = 0; i < sent_count; i++) {
        const struct ProduceResponse *res =
            client_receive(&prod->client, PRODUCE, prod->version, sim_between(1, 20) * 500000);
        if (res == NULL)
            break;
        on_answer(prod, sent[i], res);
    }
    for (int i = 0; i < prod->batch_count; i++)
        acked += prod->batches[i].acked;
    return acked == prod->batch_count;
}

static void take_identity(struct producer *prod)
{
    while (prod->pid < 0) {
        struct arena arena = {0};
        struct InitProducerIdRequest *req = wire_new(&WIRE_InitProducerIdRequest, 1, &arena);
        req->TransactionalId = STR_NULL;
        req->TransactionTimeoutMs = 60000;
        const struct InitProducerIdResponse *res =
            client_call(&prod->client, INIT_PRODUCER_ID, 4, req, 5000000);
        if (res != NULL && res->ErrorCode == 0) {
            prod->pid = res->ProducerId;
            prod->epoch = res->ProducerEpoch;
            prod->cuts = scenario.told_cuts;
            facts_pid(prod->pid, prod->epoch);
        }
        arena_fini(&arena);
        sim_sleep_us(1000);
    }
}

/* P5 */
static void begin_anew(struct producer *prod)
{
    sim_note("producer %u takes a new identity", prod->number);
    prod->pid = -1;
    take_identity(prod);
    facts_not_idempotent(prod->number);
    memset(prod->next_seq, 0, sizeof prod->next_seq);
    for (int i = 0; i < prod->batch_count; i++) {
        struct out_batch *batch = &prod->batches[i];
        int32_t *next = &prod->next_seq[batch->topic][batch->partition];
        if (batch->acked)
            continue;
        batch->seq = *next;
        batch->acked = *next > 0; /* P2: given up, two would be new in the partition */
        if (!batch->acked)
            *next += batch->count;
    }
}

static void producer_main(void *arg)
{
    struct producer *prod = arg;
    sim_note("producer %u: acks %d%s", prod->number, prod->acks, prod->idempotent ? ", idempotent" : "");
    if (prod->idempotent)
        take_identity(prod);
    while (!scenario.calm) {
        make_round(prod);
        while (!try_round(prod)) {
            sim_sleep_us(sim_between(1, 200000));
            if (prod->idempotent && prod->cuts != scenario.cuts)
                begin_anew(prod);
        }
        sim_sleep_us(sim_between(0, scenario.slow || sim_chance(1, 10) ? 1000000 : 20000));
    }
    client_fini(&prod->client);
    batch_builder_fini(&prod->builder);
    buf_fini(&prod->value);
    free(prod);
    scenario.actors--;
}

void producer_spawn(size_t number)
{
    struct producer *prod = mem_new(struct producer);
    char name[32];
    prod->idempotent = sim_chance(3, 4);
    prod->number = facts_producer(prod->idempotent);
    prod->acks = -1;
    if (!prod->idempotent && sim_chance(1, 2))
        prod->acks = sim_chance(1, 2) ? 1 : 0;
    prod->pid = -1;
    prod->in_flight_max = (int)sim_between(1, BATCHES_MAX);
    prod->version = (int16_t)sim_between(3, 12);
    snprintf(name, sizeof name, "producer-%zu", number);
    client_init(&prod->client, name);
    scenario.actors++;
    sim_spawn(name, SIM_CLIENTS, producer_main, prod);
}
