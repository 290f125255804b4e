/* kafka_reader.c - records of any number of partitions, one after the other.
 *
 *   Fetch to each leader -> batches of a partition -> records
 *
 * Batches are walked in place; a batch that is compressed is unpacked into the part's own buffer. Records of aborted
 * transactions are skipped (read_committed): the server lists pid and first offset of each, the marker ends it.
 */
#include "cli/kafka_int.h"

#include <stdlib.h>

#include "cli/sock_int.h"

enum { FETCH = 1, FETCH_BYTES_MAX = 32 << 20, PART_BYTES_MAX = 1 << 20, RETRY_MS = 200 };

void kafka_reader_init(struct kafka_reader *reader, struct kafka *kafka)
{
    *reader = (struct kafka_reader){.kafka = kafka};
}

static void part_free(struct kafka_reader_part *part)
{
    buf_fini(&part->bytes);
    buf_fini(&part->plain);
    vec_fini(&part->aborted);
    vec_fini(&part->aborts);
    free(part);
}

void kafka_reader_clear(struct kafka_reader *reader)
{
    for (size_t i = 0; i < reader->parts.len; i++)
        part_free(reader->parts.at[i]);
    vec_clear(&reader->parts);
}

void kafka_reader_fini(struct kafka_reader *reader)
{
    kafka_reader_clear(reader);
    vec_fini(&reader->parts);
    arena_fini(&reader->arena);
}

void kafka_reader_add(struct kafka_reader *reader, const struct kafka_topic *topic, int32_t partition,
                      int64_t offset, int64_t end_offset)
{
    struct kafka_reader_part *part = mem_new(struct kafka_reader_part);
    part->topic = topic;
    part->partition = partition;
    part->offset = offset;
    part->end_offset = end_offset;
    part->high = -1;
    part->done = end_offset >= 0 && offset >= end_offset;
    vec_push(&reader->parts, part);
}

bool kafka_reader_done(const struct kafka_reader *reader)
{
    for (size_t i = 0; i < reader->parts.len; i++)
        if (!reader->parts.at[i]->done)
            return false;
    return true;
}

/* Walking ------------------------------------------------------------------------------------------------- */

static void start_aborts(struct kafka_reader_part *part)
{
    for (size_t i = 0; i < part->aborts.len;) {
        if (part->aborts.at[i].first_offset > batch_last_offset(&part->batch)) {
            i++;
            continue;
        }
        vec_push(&part->aborted, part->aborts.at[i].pid);
        vec_remove(&part->aborts, i);
    }
}

/* Is the batch to be shown? Markers and aborted batches are not. */
static bool is_visible(struct kafka_reader *reader, struct kafka_reader_part *part)
{
    if (!reader->read_uncommitted)
        start_aborts(part);
    for (size_t i = 0; i < part->aborted.len; i++) {
        if (part->aborted.at[i] != part->batch.pid || !batch_is_transactional(&part->batch))
            continue;
        if (batch_is_control(&part->batch))
            vec_remove(&part->aborted, i);
        return false;
    }
    return !batch_is_control(&part->batch);
}

/* Opens the next batch with records to show; false when the fetched bytes are used up. */
static bool next_batch(struct kafka_reader *reader, struct kafka_reader_part *part, struct err *err)
{
    struct err failure = {0};
    while (batch_next(&part->rest, &part->batch, &failure)) {
        int64_t next = batch_last_offset(&part->batch) + 1;
        if (next <= part->offset)
            continue;
        if (!is_visible(reader, part)) {
            part->offset = next;
            continue;
        }
        part->in_batch = batch_check_crc(&part->batch, err) &&
                         batch_iter_init(&part->iter, &part->batch, &part->plain, err);
        if (!part->in_batch)
            err_context(err, "%.*s-%d at offset %" PRId64, STR_ARG(part->topic->name), part->partition,
                        part->batch.base_offset);
        return part->in_batch;
    }
    if (failure.code != ERR_NONE && err != NULL)
        *err = failure;
    part->rest = STR("");
    return false;
}

/* Gives the part's next record from what was fetched. */
static bool next_record(struct kafka_reader *reader, struct kafka_reader_part *part, struct kafka_record *rec,
                        struct err *err)
{
    while (!part->done && (part->in_batch || next_batch(reader, part, err))) {
        while (batch_iter_next(&part->iter, &rec->rec)) {
            if (rec->rec.offset < part->offset)
                continue;
            part->offset = rec->rec.offset + 1;
            part->done = part->end_offset >= 0 && part->offset >= part->end_offset;
            rec->topic = part->topic->name;
            rec->partition = part->partition;
            return true;
        }
        part->in_batch = false;
        if (!batch_iter_ok(&part->iter, err))
            return false;
        part->offset = batch_last_offset(&part->batch) + 1;
    }
    if (!part->done && part->end_offset >= 0 && part->offset >= part->end_offset)
        part->done = true;
    return false;
}

static bool has_bytes(const struct kafka_reader_part *part)
{
    return part->in_batch || part->rest.len > 0;
}

/* Fetching ------------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct kafka_reader_part *part, int32_t leader)
{
    return !part->done && !has_bytes(part) && part->topic->leaders[part->partition] == leader;
}

static void fill_request(const struct kafka_reader *reader, int32_t leader, int64_t wait_ms,
                         struct FetchRequest *req, struct arena *arena)
{
    wire_init(&WIRE_FetchRequest, req);
    req->MaxWaitMs = (int32_t)wait_ms;
    req->MinBytes = 1;
    req->MaxBytes = FETCH_BYTES_MAX;
    req->IsolationLevel = reader->read_uncommitted ? 0 : 1;
    WIRE_ALLOC(arena, req->Topics, FetchRequest_FetchTopic, reader->parts.len);
    int32_t n = 0;
    for (size_t i = 0; i < reader->parts.len; i++) {
        const struct kafka_reader_part *part = reader->parts.at[i];
        if (!is_wanted(part, leader))
            continue;
        /* An entry a partition: the protocol lets a topic come more than once only in the eyes of some servers, so
         * partitions of one topic share an entry. */
        int32_t t = 0;
        while (t < n && !str_eq(req->Topics.at[t].Topic, part->topic->name))
            t++;
        struct FetchRequest_FetchTopic *topic = &req->Topics.at[t];
        if (t == n) {
            n++;
            topic->Topic = part->topic->name;
            WIRE_ALLOC(arena, topic->Partitions, FetchRequest_FetchPartition, part->topic->partition_count);
            topic->Partitions.len = 0;
        }
        struct FetchRequest_FetchPartition *to = &topic->Partitions.at[topic->Partitions.len++];
        to->Partition = part->partition;
        to->FetchOffset = part->offset;
        to->PartitionMaxBytes = PART_BYTES_MAX;
    }
    req->Topics.len = n;
}

static struct kafka_reader_part *part_find(struct kafka_reader *reader, struct str topic, int32_t partition)
{
    for (size_t i = 0; i < reader->parts.len; i++)
        if (reader->parts.at[i]->partition == partition && str_eq(reader->parts.at[i]->topic->name, topic))
            return reader->parts.at[i];
    return NULL;
}

static bool take_partition(struct kafka_reader *reader, struct kafka_reader_part *part,
                           const struct FetchResponse_PartitionData *data, struct err *err)
{
    if (!kafka_check(data->ErrorCode, STR_NULL, err, "reading %.*s-%d at offset %" PRId64,
                     STR_ARG(part->topic->name), part->partition, part->offset))
        return false;
    part->high =
        reader->read_uncommitted || data->LastStableOffset < 0 ? data->HighWatermark : data->LastStableOffset;
    buf_clear(&part->bytes);
    if (!str_is_null(data->Records.bytes))
        buf_append_str(&part->bytes, data->Records.bytes);
    part->rest = buf_str(&part->bytes);
    vec_clear(&part->aborts);
    for (int32_t i = 0; i < data->AbortedTransactions.len; i++)
        vec_push(&part->aborts, (struct kafka_abort){data->AbortedTransactions.at[i].ProducerId,
                                                     data->AbortedTransactions.at[i].FirstOffset});
    if (reader->stop_at_end && part->rest.len == 0 && part->offset >= part->high)
        part->done = true;
    return true;
}

static bool fetch_from(struct kafka_reader *reader, int32_t leader, int64_t wait_ms, struct err *err)
{
    struct FetchRequest req;
    struct FetchResponse res;
    arena_reset(&reader->arena);
    fill_request(reader, leader, wait_ms, &req, &reader->arena);
    if (!kafka_call(reader->kafka, leader, FETCH, &req, &res, wait_ms, &reader->arena, err) ||
        !kafka_check(res.ErrorCode, STR_NULL, err, "reading"))
        return false;
    for (int32_t t = 0; t < res.Responses.len; t++) {
        for (int32_t i = 0; i < res.Responses.at[t].Partitions.len; i++) {
            const struct FetchResponse_PartitionData *data = &res.Responses.at[t].Partitions.at[i];
            struct kafka_reader_part *part =
                part_find(reader, res.Responses.at[t].Topic, data->PartitionIndex);
            if (part != NULL && !take_partition(reader, part, data, err))
                return false;
        }
    }
    return true;
}

/* Fetches from all leaders that have something to give; the wait is shared. */
static bool fetch_all(struct kafka_reader *reader, int64_t wait_ms, struct err *err)
{
    vec(int32_t) leaders = {0};
    for (size_t i = 0; i < reader->parts.len; i++) {
        int32_t leader = reader->parts.at[i]->topic->leaders[reader->parts.at[i]->partition];
        bool known = false;
        for (size_t k = 0; k < leaders.len; k++)
            known = known || leaders.at[k] == leader;
        if (!known && is_wanted(reader->parts.at[i], leader))
            vec_push(&leaders, leader);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < leaders.len; i++)
        ok = fetch_from(reader, leaders.at[i], wait_ms / (int64_t)leaders.len, err);
    vec_fini(&leaders);
    return ok;
}

/* New leaders after a failure that passes. */
static bool refresh(struct kafka_reader *reader, struct err *err)
{
    if (!cli_sock_sleep(RETRY_MS, reader->kafka->stop_fd, err))
        return false;
    for (size_t i = 0; i < reader->parts.len; i++) {
        struct kafka_reader_part *part = reader->parts.at[i];
        const struct kafka_topic *topic =
            kafka_topic_find(reader->kafka, part->topic->name, false, i == 0, err);
        if (topic == NULL)
            return false;
        if (part->partition < topic->partition_count)
            part->topic = topic;
    }
    return true;
}

/* A record from what was fetched before, parts in turn. */
static bool take_record(struct kafka_reader *reader, struct kafka_record *rec, struct err *err)
{
    struct err failure = {0};
    for (size_t n = 0; n < reader->parts.len; n++) {
        struct kafka_reader_part *part = reader->parts.at[reader->turn % reader->parts.len];
        if (has_bytes(part) && next_record(reader, part, rec, &failure))
            return true;
        if (failure.code != ERR_NONE) {
            *err = failure;
            return false;
        }
        reader->turn++;
    }
    return false;
}

bool kafka_reader_next(struct kafka_reader *reader, int64_t wait_ms, struct kafka_record *rec, bool *found,
                       struct err *err)
{
    struct err failure = {0};
    int64_t deadline_ms = clock_mono_ms() + wait_ms;
    *found = false;
    if (reader->parts.len == 0)
        return cli_sock_sleep(wait_ms, reader->kafka->stop_fd, err);
    for (;;) {
        *found = take_record(reader, rec, &failure);
        if (*found || (failure.code == ERR_NONE && kafka_reader_done(reader)))
            return true;
        int64_t left_ms = deadline_ms - clock_mono_ms();
        bool ok = failure.code == ERR_NONE && fetch_all(reader, MAX(left_ms, 0), &failure);
        if (!ok && kafka_is_retriable(&failure) && refresh(reader, &failure)) {
            failure = (struct err){0};
        } else if (!ok) {
            *err = failure;
            return false;
        }
        bool bytes = false;
        for (size_t i = 0; i < reader->parts.len; i++)
            bytes = bytes || has_bytes(reader->parts.at[i]);
        if (!bytes && clock_mono_ms() >= deadline_ms)
            return true;
    }
}
