/* consumer.c - consumers without a group, and the full read at the end.
 *
 *   consumer: picks a partition, reads from where it was or from an older place; what it is given it tells to the facts
 *   reader:   every partition from start to end, when nobody writes: facts_read_end says what is missing
 *
 * (C1) Batches of an answer are whole but for a cut tail, have good checksums, and come in order of offsets without a hole.
 * (C2) An offset below a high watermark that was answered before is never out of range.
 * (C3) With read_committed nothing lies above the last stable offset, and aborted transactions are left out as Kafka's clients
 *      do it: by the list of the answer, from the first offset of each to its marker.
 */
#include "clients.h"

enum { FETCH = 1, FETCH_VERSION_MIN = 10, FETCH_VERSION_MAX = 12 };

/* C3: the transactions of the list that have begun and not ended before a batch. */
struct aborted {
    const struct FetchResponse_AbortedTransaction *list;
    int32_t count;
    vec(int64_t) open; /* producer ids */
    vec(bool) begun;   /* by place in the list */
};

static bool is_aborted(struct aborted *aborted, const struct batch *batch)
{
    enum marker marker;
    int32_t coordinator_epoch;
    for (int32_t i = 0; i < aborted->count; i++)
        if (!aborted->begun.at[i] && aborted->list[i].FirstOffset <= batch->base_offset) {
            aborted->begun.at[i] = true;
            vec_push(&aborted->open, aborted->list[i].ProducerId);
        }
    for (size_t i = 0; i < aborted->open.len; i++) {
        if (aborted->open.at[i] != batch->pid)
            continue;
        if (!batch_is_control(batch))
            return batch_is_transactional(batch);
        if (batch_read_marker(batch, &marker, &coordinator_epoch) && marker == MARKER_ABORT)
            vec_remove(&aborted->open, i);
        return false;
    }
    return false;
}

static void take_batch(uint16_t topic, int32_t partition, int64_t from, const struct batch *batch,
                       struct aborted *aborted, struct buf *plain, take_fn *fn, struct fetched *out)
{
    struct batch_iter it;
    struct record rec;
    struct err err;
    bool left_out = is_aborted(aborted, batch) || batch_is_control(batch);
    if (!batch_check_crc(batch, &err) || !batch_iter_init(&it, batch, plain, &err))
        sim_fail("%s-%d: batch at %lld: %s", scenario.topics[topic].name, partition,
                 (long long)batch->base_offset, err.text);
    while (batch_iter_next(&it, &rec)) {
        if (rec.offset < from || left_out)
            continue;
        fn(topic, partition, &rec);
        out->records++;
    }
    if (!batch_iter_ok(&it, &err))
        sim_fail("%s-%d: batch at %lld: %s", scenario.topics[topic].name, partition,
                 (long long)batch->base_offset, err.text);
    out->next_offset = batch_last_offset(batch) + 1;
}

/* C1 */
static void take_records(uint16_t topic, int32_t partition, int64_t from, struct str bytes,
                         struct aborted *aborted, take_fn *fn, struct fetched *out)
{
    struct buf plain = {0};
    struct batch batch;
    struct err err;
    int64_t expected = -1;
    out->next_offset = from;
    while (batch_next(&bytes, &batch, &err)) {
        if (expected < 0 ? batch.base_offset > from || batch_last_offset(&batch) < from
                         : batch.base_offset != expected)
            sim_fail("%s-%d: a batch at %lld where %lld was to come", scenario.topics[topic].name, partition,
                     (long long)batch.base_offset, (long long)(expected < 0 ? from : expected));
        take_batch(topic, partition, from, &batch, aborted, &plain, fn, out);
        expected = out->next_offset;
    }
    if (!str_is_null(batch.bytes))
        sim_fail("%s-%d: behind offset %lld: %s", scenario.topics[topic].name, partition,
                 (long long)out->next_offset, err.text);
    buf_fini(&plain);
}

static struct FetchRequest *make_request(uint16_t topic, int32_t partition, int64_t offset, int8_t isolation,
                                         struct arena *arena)
{
    struct FetchRequest *req = wire_new(&WIRE_FetchRequest, 1, arena);
    req->ReplicaId = -1;
    req->MaxWaitMs = (int32_t)sim_below(sim_chance(1, 4) ? 2000 : 50);
    req->MinBytes = (int32_t)sim_between(0, sim_chance(1, 4) ? 5000 : 1);
    req->MaxBytes = (int32_t)sim_between(1, 100000);
    req->IsolationLevel = isolation;
    req->SessionEpoch = -1;
    WIRE_ALLOC(arena, req->Topics, FetchRequest_FetchTopic, 1);
    req->Topics.at[0].Topic = str_from(scenario.topics[topic].name);
    WIRE_ALLOC(arena, req->Topics.at[0].Partitions, FetchRequest_FetchPartition, 1);
    struct FetchRequest_FetchPartition *part = req->Topics.at[0].Partitions.at;
    part->Partition = partition;
    part->CurrentLeaderEpoch = -1;
    part->FetchOffset = offset;
    part->PartitionMaxBytes = (int32_t)sim_between(1, 50000);
    return req;
}

int fetch_take(uint16_t topic, int32_t partition, int64_t offset, int8_t isolation,
               const struct FetchResponse_PartitionData *part, int64_t least_hw, take_fn *fn,
               struct fetched *out)
{
    *out = (struct fetched){.next_offset = offset};
    if (part->ErrorCode == KAFKA_OFFSET_OUT_OF_RANGE && offset <= least_hw)
        sim_fail("%s-%d: offset %lld is out of range, the high watermark was %lld", /* C2 */
                 scenario.topics[topic].name, partition, (long long)offset, (long long)least_hw);
    if (part->ErrorCode != 0)
        return part->ErrorCode;
    facts_hw_answered(topic, partition, least_hw, part->HighWatermark);
    out->hw = part->HighWatermark;
    out->lso = part->LastStableOffset;
    out->start = part->LogStartOffset;
    struct aborted aborted = {.list = part->AbortedTransactions.at,
                              .count = MAX(part->AbortedTransactions.len, 0)};
    for (int32_t i = 0; i < aborted.count; i++)
        vec_push(&aborted.begun, false);
    take_records(topic, partition, offset, part->Records.bytes, &aborted, fn, out);
    vec_fini(&aborted.open);
    vec_fini(&aborted.begun);
    if (isolation == 1 && out->records > 0 && out->next_offset > part->LastStableOffset)
        sim_fail("%s-%d: read_committed gives records up to %lld, the last stable offset is %lld",
                 scenario.topics[topic].name, partition, (long long)out->next_offset,
                 (long long)part->LastStableOffset);
    if (out->next_offset > part->HighWatermark)
        sim_fail("%s-%d: records up to %lld above the high watermark %lld", scenario.topics[topic].name,
                 partition, (long long)out->next_offset, (long long)part->HighWatermark);
    return 0;
}

int fetch_once(struct client *client, uint16_t topic, int32_t partition, int64_t offset, int8_t isolation,
               take_fn *fn, struct fetched *out)
{
    struct arena arena = {0};
    int16_t version = (int16_t)sim_between(FETCH_VERSION_MIN, FETCH_VERSION_MAX);
    int64_t least_hw = facts_hw(topic, partition);
    *out = (struct fetched){0};
    const struct FetchResponse *res =
        client_call(client, FETCH, version, make_request(topic, partition, offset, isolation, &arena),
                    8000000);
    arena_fini(&arena);
    if (res == NULL || res->ErrorCode != 0)
        return res == NULL ? -1 : res->ErrorCode;
    if (res->Responses.len != 1 || res->Responses.at[0].Partitions.len != 1)
        sim_fail("a fetch of one partition is answered with %d topics", res->Responses.len);
    return fetch_take(topic, partition, offset, isolation, res->Responses.at[0].Partitions.at, least_hw, fn,
                      out);
}

/* ---- a consumer ---- */

struct consumer {
    struct client client;
    bool committed; /* reads with read_committed */
    int64_t next[COUNT_OF(scenario.topics)][8];
};

static void tell_seen(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen(topic, partition, rec->offset, mark_read(rec->value));
}

static void tell_committed(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen_committed(topic, partition, rec->offset, mark_read(rec->value));
}

static void consumer_main(void *arg)
{
    struct consumer *consumer = arg;
    while (!scenario.calm) {
        uint16_t topic = (uint16_t)sim_below(scenario.topic_count);
        int32_t partition = (int32_t)sim_below((uint64_t)scenario.topics[topic].partition_count);
        int64_t *next = &consumer->next[topic][partition];
        struct fetched got;
        if (sim_chance(1, 20)) /* looks again at what it has seen */
            *next = sim_between(0, *next);
        int code = fetch_once(&consumer->client, topic, partition, *next, consumer->committed,
                              consumer->committed ? tell_committed : tell_seen, &got);
        if (code == 0)
            *next = got.next_offset;
        else
            sim_sleep_us(sim_between(1, 100000));
        sim_sleep_us(sim_between(0, scenario.slow ? 300000 : 5000));
    }
    client_fini(&consumer->client);
    free(consumer);
    scenario.actors--;
}

void consumer_spawn(size_t number)
{
    struct consumer *consumer = mem_new(struct consumer);
    char name[32];
    snprintf(name, sizeof name, "consumer-%zu", number);
    client_init(&consumer->client, name);
    consumer->committed = number % 2;
    scenario.actors++;
    sim_spawn(name, SIM_CLIENTS, consumer_main, consumer);
}

/* ---- the full read ---- */

static void read_one(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_read(rec->offset, mark_read(rec->value));
}

static void read_committed_one(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_found_committed(mark_read(rec->value));
}

/* Reads to the end; the end. With read_committed that is reached too: nothing is open any more. */
static int64_t read_partition(struct client *client, uint16_t topic, int32_t partition, int8_t isolation,
                              take_fn *fn)
{
    enum { TRIES_MAX = 2000 };
    int64_t next = 0, end = 1;
    int failed = 0;
    struct fetched got;
    while (next < end) {
        int code = fetch_once(client, topic, partition, next, isolation, fn, &got);
        bool moved = code == 0 && got.next_offset > next;
        if (code == 0) {
            next = got.next_offset;
            end = got.hw;
        }
        if (moved || next >= end)
            continue;
        if (++failed == TRIES_MAX)
            sim_fail("%s-%d cannot be read from %lld: error %d, %lld is the high watermark, %lld the last "
                     "stable offset",
                     scenario.topics[topic].name, partition, (long long)next, code, (long long)got.hw,
                     (long long)got.lso);
        sim_sleep_us(10000);
    }
    return next;
}

static void check_partition(struct client *client, uint16_t topic, int32_t partition)
{
    facts_read_begin(topic, partition);
    int64_t end = read_partition(client, topic, partition, 0, read_one);
    facts_read_end(end);
    read_partition(client, topic, partition, 1, read_committed_one);
    sim_note("%s-%d: %lld offsets checked", scenario.topics[topic].name, partition, (long long)end);
}

void reader_check_all(struct client *client)
{
    for (size_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count; j++)
            check_partition(client, (uint16_t)i, j);
}
