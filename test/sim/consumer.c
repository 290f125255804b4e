/* consumer.c - consumers without a group, and the full read at the end.
 *
 *   consumer: picks a partition, reads from where it was or from an older place; what it is given it tells to the facts
 *   reader:   every partition from start to end, when nobody writes: facts_read_end says what is missing
 *
 * (C1) Batches of an answer are whole but for a cut tail, have good checksums, and come in order of offsets, without a hole
 *      unless the topic is compacted.
 * (C2) An offset between the log start and a high watermark that was answered before is never out of range.
 * (C3) With read_committed nothing lies above the last stable offset, and aborted transactions are left out as Kafka's clients
 *      do it: by the list of the answer, from the first offset of each to its marker.
 */
#include "clients.h"

enum {
    FETCH = 1,
    LIST_OFFSETS = 2,
    FETCH_VERSION_MIN = 10,
    FETCH_VERSION_MAX = 12,
    LATEST = -1,
    EARLIEST = -2
};

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
    out->bytes += batch->bytes.len;
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
        bool hole = batch.base_offset > MAX(expected, from) && !scenario.topics[topic].compacts;
        if (hole || batch_last_offset(&batch) < from || (expected >= 0 && batch.base_offset < expected))
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
               const struct FetchResponse_PartitionData *part, struct ends least, take_fn *fn,
               struct fetched *out)
{
    *out = (struct fetched){.next_offset = offset};
    if (part->ErrorCode != 0)
        return part->ErrorCode;
    facts_ends_answered(topic, partition, least, part->LogStartOffset, part->HighWatermark);
    out->hw = part->HighWatermark;
    out->lso = part->LastStableOffset;
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
    struct ends least = facts_ends(topic, partition);
    *out = (struct fetched){0};
    const struct FetchResponse *res =
        client_call(client, FETCH, version, make_request(topic, partition, offset, isolation, &arena),
                    8000000);
    arena_fini(&arena);
    if (res == NULL || res->ErrorCode != 0)
        return res == NULL ? -1 : res->ErrorCode;
    if (res->Responses.len != 1 || res->Responses.at[0].Partitions.len != 1)
        sim_fail("a fetch of one partition is answered with %d topics", res->Responses.len);
    return fetch_take(topic, partition, offset, isolation, res->Responses.at[0].Partitions.at, least, fn,
                      out);
}

int64_t list_offset(struct client *client, uint16_t topic, int32_t partition, bool end)
{
    struct arena arena = {0};
    struct ends least = facts_ends(topic, partition);
    struct ListOffsetsRequest *req = wire_new(&WIRE_ListOffsetsRequest, 1, &arena);
    req->ReplicaId = -1;
    WIRE_ALLOC(&arena, req->Topics, ListOffsetsRequest_ListOffsetsTopic, 1);
    req->Topics.at[0].Name = str_from(scenario.topics[topic].name);
    WIRE_ALLOC(&arena, req->Topics.at[0].Partitions, ListOffsetsRequest_ListOffsetsPartition, 1);
    req->Topics.at[0].Partitions.at[0].PartitionIndex = partition;
    req->Topics.at[0].Partitions.at[0].CurrentLeaderEpoch = -1;
    req->Topics.at[0].Partitions.at[0].Timestamp = end ? LATEST : EARLIEST;
    const struct ListOffsetsResponse *res =
        client_call(client, LIST_OFFSETS, (int16_t)sim_between(1, 7), req, 8000000);
    arena_fini(&arena);
    if (res == NULL || res->Topics.at[0].Partitions.at[0].ErrorCode != 0)
        return -1;
    int64_t offset = res->Topics.at[0].Partitions.at[0].Offset;
    facts_ends_answered(topic, partition, least, end ? -1 : offset, end ? offset : -1);
    return offset;
}

bool offset_reset(struct client *client, uint16_t topic, int32_t partition, int64_t *next)
{
    int64_t end = list_offset(client, topic, partition, true);
    int64_t start = end < 0 ? -1 : list_offset(client, topic, partition, false);
    if (start < 0)
        return false;
    if (start <= *next && *next <= end && scenario.cuts == 0) /* C2 */
        sim_fail("%s-%d: offset %lld is out of range, there are %lld to %lld", scenario.topics[topic].name,
                 partition, (long long)*next, (long long)start, (long long)end);
    *next = *next < start ? start : MIN(*next, end);
    return true;
}

/* ---- a consumer ---- */

struct consumer {
    struct client client;
    bool committed; /* reads with read_committed */
    int64_t next[COUNT_OF(scenario.topics)][8];
};

static void tell_seen(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen(topic, partition, rec->offset, mark_of(rec));
}

static void tell_committed(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen_committed(topic, partition, rec->offset, mark_of(rec));
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
        else if (code != KAFKA_OFFSET_OUT_OF_RANGE ||
                 !offset_reset(&consumer->client, topic, partition, next))
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
    facts_read(rec->offset, mark_of(rec));
}

static void read_committed_one(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_found_committed(mark_of(rec));
}

struct reading {
    int64_t next, end;
    uint64_t bytes;
    int failed;
};

static void count_failure(struct reading *reading, uint16_t topic, int32_t partition, int code)
{
    enum { TRIES_MAX = 2000 };
    if (++reading->failed == TRIES_MAX)
        sim_fail("%s-%d cannot be read from %lld to %lld: error %d", scenario.topics[topic].name, partition,
                 (long long)reading->next, (long long)reading->end, code);
    sim_sleep_us(10000);
}

/* Reads from the log start to the end. With read_committed that is reached too: nothing is open any more. */
static struct reading read_partition(struct client *client, uint16_t topic, int32_t partition,
                                     int8_t isolation, take_fn *fn)
{
    struct reading reading = {0};
    struct fetched got;
    while ((reading.next = list_offset(client, topic, partition, false)) < 0 ||
           (reading.end = list_offset(client, topic, partition, true)) < 0)
        count_failure(&reading, topic, partition, -1);
    while (reading.next < reading.end) {
        int code = fetch_once(client, topic, partition, reading.next, isolation, fn, &got);
        if (code == KAFKA_OFFSET_OUT_OF_RANGE)
            ignore(!offset_reset(client, topic, partition, &reading.next), "it is tried again");
        if (code != 0 || got.next_offset == reading.next) {
            count_failure(&reading, topic, partition, code);
            continue;
        }
        reading.next = got.next_offset;
        reading.bytes += got.bytes;
    }
    return reading;
}

static void check_partition(struct client *client, uint16_t topic, int32_t partition)
{
    facts_read_begin(topic, partition);
    struct reading reading = read_partition(client, topic, partition, 0, read_one);
    facts_read_end(reading.end, reading.bytes);
    read_partition(client, topic, partition, 1, read_committed_one);
    sim_note("%s-%d: offsets up to %lld checked, %llu bytes", scenario.topics[topic].name, partition,
             (long long)reading.end, (unsigned long long)reading.bytes);
}

void reader_check_all(struct client *client)
{
    for (size_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count; j++)
            check_partition(client, (uint16_t)i, j);
}

/* ---- what retention has left ---- */

static void pass(uint16_t topic, int32_t partition, const struct record *rec)
{
}

/* V6: nobody has written for longer than retention.ms. */
static void check_retained(struct client *client, uint16_t topic, int32_t partition)
{
    const struct topic_plan *plan = &scenario.topics[topic];
    struct reading reading = read_partition(client, topic, partition, 0, pass);
    if (plan->retention_ms >= 0 && reading.bytes > 0)
        sim_fail("%s-%d: %llu bytes are there, all of them are older than %lld ms", plan->name, partition,
                 (unsigned long long)reading.bytes, (long long)plan->retention_ms);
    if (plan->retention_bytes >= 0 && (int64_t)reading.bytes >= plan->retention_bytes + plan->segment_bytes)
        sim_fail("%s-%d: %llu bytes are there, %lld and less than a segment were to be kept", plan->name,
                 partition, (unsigned long long)reading.bytes, (long long)plan->retention_bytes);
}

void reader_check_retained(struct client *client)
{
    for (size_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count; j++)
            check_retained(client, (uint16_t)i, j);
}
