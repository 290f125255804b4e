/* txn.c - a transactional producer: some records in some partitions and an offset of a group, committed or aborted as one.
 *
 *   InitProducerId -> [ AddPartitions, produce ... AddOffsets, TxnOffsetCommit -> EndTxn ] -> [ ... ] -> ...
 *        ^------------ anything that is not answered well -------------------'
 *
 * (X1) The first trouble ends the transaction: the producer takes a new epoch, which aborts what is open. Only an EndTxn that
 *      was to commit and was not answered is asked again now and then; else its outcome is unknown, but it has one.
 * (X2) What a transaction consists of is acknowledged before it is committed.
 * (X3) The group's offset is the number of the transaction: whoever reads it knows which was the last.
 * (X4) Half of them speak KIP-890's way: produce and offset commit add what they concern by themselves, and each end gives the
 *      next epoch, in which sequences begin anew.
 * (X5) Now and then somebody goes on in the name of the epoch before, as a producer does that was taken for dead: what it sends
 *      is refused.
 * (X6) Now and then a last batch is on its way by another connection while an abort is asked for: it is in this transaction, or
 *      it is refused. It is never in the next one.
 */
#include "clients.h"

enum {
    PRODUCE = 0,
    INIT_PRODUCER_ID = 22,
    ADD_PARTITIONS = 24,
    ADD_OFFSETS = 25,
    END_TXN = 26,
    TXN_OFFSET_COMMIT = 28,
    CONCURRENT_TRANSACTIONS = 51,
    PARTITIONS_MAX = 8,
    ANSWER_US = 15000000,
};

/* A batch on its way. */
struct sent {
    uint16_t topic;
    int32_t partition;
    int16_t version;
    int count;
    struct mark marks[3];
};

struct txn_producer {
    struct client client, other; /* other: X6 */
    char id[32], group[32];
    size_t index;    /* of the group's facts */
    uint16_t number; /* as a producer */
    int64_t pid;
    int16_t epoch;
    int32_t timeout_ms;
    bool new_way; /* X4 */
    int32_t next_seq[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    uint64_t next_n[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    bool added[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    bool wrote; /* in the present transaction, and last to: */
    uint16_t last_topic;
    int32_t last_partition;
    int64_t txn, txns; /* number of the present transaction, from 1; of the last that was begun */
    struct batch_builder builder;
    struct buf value;
};

static bool is_good(struct txn_producer *prod, const char *what, int code)
{
    if (code != 0)
        sim_note("%s of %s: %d", what, prod->id, code);
    return code == 0;
}

/* A new epoch; what was open is aborted. */
static bool init(struct txn_producer *prod)
{
    struct arena arena = {0};
    struct InitProducerIdRequest *req = wire_new(&WIRE_InitProducerIdRequest, 1, &arena);
    req->TransactionalId = str_from(prod->id);
    req->TransactionTimeoutMs = prod->timeout_ms;
    req->ProducerId = -1;
    req->ProducerEpoch = -1;
    const struct InitProducerIdResponse *res =
        client_call(&prod->client, INIT_PRODUCER_ID, (int16_t)sim_between(0, 4), req, ANSWER_US);
    arena_fini(&arena);
    if (!is_good(prod, "init", res == NULL ? -1 : res->ErrorCode))
        return false;
    prod->pid = res->ProducerId;
    prod->epoch = res->ProducerEpoch;
    facts_pid(prod->pid, prod->epoch);
    memset(prod->next_seq, 0, sizeof prod->next_seq);
    return true;
}

static bool add_partition(struct txn_producer *prod, uint16_t topic, int32_t partition)
{
    struct arena arena = {0};
    struct AddPartitionsToTxnRequest *req = wire_new(&WIRE_AddPartitionsToTxnRequest, 1, &arena);
    req->V3AndBelowTransactionalId = str_from(prod->id);
    req->V3AndBelowProducerId = prod->pid;
    req->V3AndBelowProducerEpoch = prod->epoch;
    WIRE_ALLOC(&arena, req->V3AndBelowTopics, AddPartitionsToTxnRequest_AddPartitionsToTxnTopic, 1);
    req->V3AndBelowTopics.at[0].Name = str_from(scenario.topics[topic].name);
    req->V3AndBelowTopics.at[0].Partitions.at = &partition;
    req->V3AndBelowTopics.at[0].Partitions.len = 1;
    const struct AddPartitionsToTxnResponse *res =
        client_call(&prod->client, ADD_PARTITIONS, (int16_t)sim_between(0, 3), req, ANSWER_US);
    arena_fini(&arena);
    int code =
        res == NULL ? -1 : res->ResultsByTopicV3AndBelow.at[0].ResultsByPartition.at[0].PartitionErrorCode;
    return is_good(prod, "add partition", code);
}

static bool make_batch(struct txn_producer *prod, uint16_t topic, int32_t partition, struct mark *marks,
                       int count, struct str *out)
{
    struct err err;
    struct batch_spec spec = {.pid = prod->pid,
                              .epoch = prod->epoch,
                              .base_seq = prod->next_seq[topic][partition],
                              .transactional = true};
    batch_builder_begin(&prod->builder, &spec);
    for (int i = 0; i < count; i++) {
        marks[i] = (struct mark){.producer = prod->number,
                                 .topic = topic,
                                 .partition = (uint32_t)partition,
                                 .n = ++prod->next_n[topic][partition]};
        facts_sent(marks[i]);
        facts_txn_mark(prod->number, prod->txn, marks[i]);
        mark_add(marks[i], &prod->builder, &prod->value);
    }
    return batch_builder_finish(&prod->builder, out, &err);
}

static bool produce_send(struct txn_producer *prod, struct client *client, uint16_t topic, int32_t partition,
                         struct sent *sent)
{
    struct arena arena = {0};
    *sent = (struct sent){.topic = topic,
                          .partition = partition,
                          .version = prod->new_way ? 12 : (int16_t)sim_between(3, 11),
                          .count = (int)sim_between(1, COUNT_OF(sent->marks))};
    struct ProduceRequest *req = wire_new(&WIRE_ProduceRequest, 1, &arena);
    req->TransactionalId = str_from(prod->id);
    req->Acks = -1;
    req->TimeoutMs = 30000;
    WIRE_ALLOC(&arena, req->TopicData, ProduceRequest_TopicProduceData, 1);
    req->TopicData.at[0].Name = str_from(scenario.topics[topic].name);
    WIRE_ALLOC(&arena, req->TopicData.at[0].PartitionData, ProduceRequest_PartitionProduceData, 1);
    req->TopicData.at[0].PartitionData.at[0].Index = partition;
    bool good = make_batch(prod, topic, partition, sent->marks, sent->count,
                           &req->TopicData.at[0].PartitionData.at[0].Records.bytes);
    ASSERT(good);
    good = client_send(client, PRODUCE, sent->version, req);
    arena_fini(&arena);
    return good;
}

/* Kafka's error code, or -1. */
static int produce_receive(struct txn_producer *prod, struct client *client, const struct sent *sent)
{
    const struct ProduceResponse *res = client_receive(client, PRODUCE, sent->version, ANSWER_US);
    const struct ProduceResponse_PartitionProduceResponse *part =
        res == NULL ? NULL : res->Responses.at[0].PartitionResponses.at;
    int code = part == NULL ? -1 : part->ErrorCode;
    if (!is_good(prod, "produce", code))
        return code;
    prod->next_seq[sent->topic][sent->partition] += sent->count;
    for (int i = 0; i < sent->count; i++)
        facts_acked(sent->marks[i], part->BaseOffset + i, true);
    return 0;
}

static bool produce(struct txn_producer *prod, uint16_t topic, int32_t partition)
{
    struct sent sent;
    return produce_send(prod, &prod->client, topic, partition, &sent) &&
           produce_receive(prod, &prod->client, &sent) == 0;
}

static void begin(struct txn_producer *prod)
{
    prod->txn = ++prod->txns;
    facts_txn_begin(prod->number, prod->txn);
}

/* X5: its records are of a transaction that is never to be committed. */
static void produce_late(struct txn_producer *prod, uint16_t topic, int32_t partition)
{
    int64_t txn = prod->txn;
    if (prod->epoch == 0)
        return;
    begin(prod);
    prod->epoch--;
    if (produce(prod, topic, partition))
        sim_fail("%s: epoch %d is over and has written to %s-%d", prod->id, prod->epoch,
                 scenario.topics[topic].name, partition);
    prod->epoch++;
    prod->txn = txn;
}

static bool send_offset(struct txn_producer *prod)
{
    struct arena arena = {0};
    struct AddOffsetsToTxnRequest *add = wire_new(&WIRE_AddOffsetsToTxnRequest, 1, &arena);
    struct TxnOffsetCommitRequest *req = wire_new(&WIRE_TxnOffsetCommitRequest, 1, &arena);
    add->TransactionalId = req->TransactionalId = str_from(prod->id);
    add->ProducerId = req->ProducerId = prod->pid;
    add->ProducerEpoch = req->ProducerEpoch = prod->epoch;
    add->GroupId = req->GroupId = str_from(prod->group);
    bool good = prod->new_way;
    if (!good) {
        const struct AddOffsetsToTxnResponse *added =
            client_call(&prod->client, ADD_OFFSETS, (int16_t)sim_between(0, 3), add, ANSWER_US);
        good = is_good(prod, "add offsets", added == NULL ? -1 : added->ErrorCode);
    }
    if (good) {
        int16_t version = prod->new_way ? 5 : (int16_t)sim_between(0, 3);
        WIRE_ALLOC(&arena, req->Topics, TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic, 1);
        req->Topics.at[0].Name = str_from(scenario.topics[0].name);
        WIRE_ALLOC(&arena, req->Topics.at[0].Partitions,
                   TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition, 1);
        req->Topics.at[0].Partitions.at[0].CommittedOffset = prod->txn;
        req->Topics.at[0].Partitions.at[0].CommittedLeaderEpoch = -1;
        const struct TxnOffsetCommitResponse *res =
            client_call(&prod->client, TXN_OFFSET_COMMIT, version, req, ANSWER_US);
        good = is_good(prod, "offset", res == NULL ? -1 : res->Topics.at[0].Partitions.at[0].ErrorCode);
    }
    arena_fini(&arena);
    return good;
}

/* Everything that is to be in it. */
static bool fill(struct txn_producer *prod)
{
    memset(prod->added, 0, sizeof prod->added);
    prod->wrote = false;
    for (int64_t i = sim_between(0, 4); i > 0; i--) {
        uint16_t topic = (uint16_t)sim_below(scenario.topic_count);
        int32_t partition = (int32_t)sim_below((uint64_t)scenario.topics[topic].partition_count);
        if (!prod->new_way && !prod->added[topic][partition] && !add_partition(prod, topic, partition))
            return false;
        prod->added[topic][partition] = true;
        if (!produce(prod, topic, partition))
            return false;
        prod->wrote = true;
        prod->last_topic = topic;
        prod->last_partition = partition;
        if (sim_chance(1, 20))
            produce_late(prod, topic, partition);
        sim_sleep_us(sim_between(0, sim_chance(1, 50) ? 20000000 : 20000));
    }
    return send_offset(prod);
}

/* Kafka's error code, or -1. */
static int end(struct txn_producer *prod, bool commit)
{
    struct arena arena = {0};
    struct EndTxnRequest *req = wire_new(&WIRE_EndTxnRequest, 1, &arena);
    req->TransactionalId = str_from(prod->id);
    req->ProducerId = prod->pid;
    req->ProducerEpoch = prod->epoch;
    req->Committed = commit;
    const struct EndTxnResponse *res =
        client_call(&prod->client, END_TXN, prod->new_way ? 5 : (int16_t)sim_between(0, 3), req, ANSWER_US);
    arena_fini(&arena);
    if (prod->new_way && res != NULL && res->ErrorCode == 0) {
        prod->pid = res->ProducerId;
        prod->epoch = res->ProducerEpoch;
        facts_pid(prod->pid, prod->epoch);
        memset(prod->next_seq, 0, sizeof prod->next_seq);
    }
    return res == NULL ? -1 : res->ErrorCode;
}

/* X6, to the partition that was written last. True: it may be on its way. */
static bool send_beside(struct txn_producer *prod, struct sent *sent)
{
    if (!prod->wrote || !sim_chance(2, 3))
        return false;
    bool good = produce_send(prod, &prod->other, prod->last_topic, prod->last_partition, sent);
    if (good && sim_chance(1, 2))
        sim_sleep_us(sim_between(0, 2000));
    return true;
}

/* True: it is known what became of it. */
static bool take_beside(struct txn_producer *prod, const struct sent *sent)
{
    int16_t epoch = prod->epoch;
    int32_t next_seq = prod->next_seq[sent->topic][sent->partition];
    int code = produce_receive(prod, &prod->other, sent);
    if (prod->new_way) /* it was of the epoch before */
        prod->next_seq[sent->topic][sent->partition] = next_seq;
    sim_note("%s: a batch beside the abort of epoch %d: %d", prod->id, epoch, code);
    return code != -1;
}

/* X1. True: the epoch is good for another. */
static bool finish(struct txn_producer *prod)
{
    struct sent sent;
    bool commit = sim_chance(3, 4);
    bool beside = !commit && send_beside(prod, &sent);
    if (commit)
        facts_txn_ends(prod->number, prod->txn, TXN_UNKNOWN);
    int code = -1;
    for (int tries = 0; tries < 5; tries++) {
        code = end(prod, commit);
        if (code == 0 || (code == -1 && sim_chance(1, 2)))
            break;
        sim_sleep_us(sim_between(1, 200000));
        if (code != -1 && code != CONCURRENT_TRANSACTIONS)
            break;
    }
    if (code == 0)
        facts_txn_ends(prod->number, prod->txn, commit ? TXN_COMMITTED : TXN_ABORTED);
    bool known = !beside || take_beside(prod, &sent);
    sim_note("%s: transaction %lld, %s: %d", prod->id, (long long)prod->txn, commit ? "commit" : "abort",
             code);
    return code == 0 && known;
}

static void txn_main(void *arg)
{
    struct txn_producer *prod = arg;
    bool ready = false;
    while (!scenario.calm || !ready) {
        if (!ready) {
            ready = init(prod);
            sim_sleep_us(sim_between(0, 100000));
            continue;
        }
        begin(prod);
        ready = fill(prod) && finish(prod);
        sim_sleep_us(sim_between(0, 100000));
    }
    client_fini(&prod->client);
    client_fini(&prod->other);
    batch_builder_fini(&prod->builder);
    buf_fini(&prod->value);
    free(prod);
    scenario.actors--;
}

void txn_spawn(size_t number)
{
    struct txn_producer *prod = mem_new(struct txn_producer);
    snprintf(prod->id, sizeof prod->id, "txn-%zu", number);
    snprintf(prod->group, sizeof prod->group, "txn-group-%zu", number);
    prod->number = facts_producer(true);
    prod->new_way = sim_chance(1, 2);
    prod->timeout_ms = (int32_t)sim_between(3, 30) * 1000;
    facts_txn_producer(prod->number, prod->group);
    client_init(&prod->client, prod->id);
    client_init(&prod->other, prod->id);
    scenario.actors++;
    sim_spawn(prod->id, SIM_CLIENTS, txn_main, prod);
}
