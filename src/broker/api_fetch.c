/* api_fetch.c - Fetch: answer at once when there is enough, else wait without polling.
 *
 *   ready? --yes--> read slices --> answer (files by sendfile, small ones copied)
 *     |no
 *   watch every partition, start the timer (max wait)
 *     watch fires (any thread) -> loop_post -> on the connection's thread: ready? -> answer, or wait on
 *
 * (F1) A fetch is ready when any partition has an error, or the readable bytes reach min_bytes; the timer answers with
 *      what is there.
 * (F2) Whole batches from the one that holds the offset. The first non-empty partition of a response gives at least one
 *      whole batch, whatever the limits; those after it keep to what is left.
 * (F3) Sessions are declined: a full fetch is answered with session id 0, which every client takes as "no sessions". A request
 *      that continues a session gets FETCH_SESSION_ID_NOT_FOUND.
 * (F4) A parked fetch holds references to its partitions and no slice. Watches are removed before its memory goes.
 * (F5) A slice below COPY_BYTES is copied into the response: one write is cheaper than a write and a sendfile.
 */
#include "broker/broker_int.h"

enum {
    OFFSET_OUT_OF_RANGE = 1,
    UNKNOWN_TOPIC = 3,
    FETCH_SESSION_NOT_FOUND = 70,
    FENCED_EPOCH = 74,
    UNKNOWN_EPOCH = 75,
    UNSUPPORTED_CODEC = 76,
    UNKNOWN_TOPIC_ID = 100,
};

enum { TOPIC_ID_VERSION = 13, ZSTD_VERSION = 10, COPY_BYTES = 16384 };

typedef struct FetchRequest_FetchPartition asked_partition;
typedef struct FetchResponse_FetchableTopicResponse topic_row;
typedef struct FetchResponse_PartitionData partition_row;

struct fetch_part {
    struct broker_watch watch;
    struct fetch *fetch;
    struct partition *part; /* a reference; NULL: unknown */
    const asked_partition *asked;
    partition_row *row;
    int16_t unknown; /* the error of a partition that is not there */
    int16_t error;   /* found before anything is read */
};

struct fetch {
    struct request *req;
    struct fetch_part *parts;
    size_t count;
    enum log_isolation isolation;
    int64_t min_bytes;
    bool parked;
    struct loop_timer timer;
    struct loop_call wake;
};

/* --- ready? --- */

static int16_t check_epoch(const struct fetch_part *fp)
{
    int32_t asked = fp->asked->CurrentLeaderEpoch, current = log_leader_epoch(fp->part->log);
    if (asked < 0 || asked == current)
        return 0;
    return asked < current ? FENCED_EPOCH : UNKNOWN_EPOCH;
}

/* Finds errors that need no read; true when there is one. */
static bool find_error(struct fetch_part *fp)
{
    if (fp->part == NULL || broker_partition_is_deleted(fp->part)) {
        fp->error = fp->unknown;
        return true;
    }
    fp->error = check_epoch(fp);
    int64_t offset = fp->asked->FetchOffset;
    if (fp->error == 0 &&
        (offset < log_start_offset(fp->part->log) || offset > log_end_offset(fp->part->log)))
        fp->error = OFFSET_OUT_OF_RANGE;
    return fp->error != 0;
}

static bool is_ready(struct fetch *fetch)
{
    int64_t bytes = 0;
    bool error = false;
    for (size_t i = 0; i < fetch->count; i++) {
        struct fetch_part *fp = &fetch->parts[i];
        if (find_error(fp)) {
            error = true;
            continue;
        }
        int64_t readable =
            (int64_t)log_readable_bytes(fp->part->log, fp->asked->FetchOffset, fetch->isolation);
        bytes += MIN(readable, MAX(fp->asked->PartitionMaxBytes, 1));
    }
    return error || fetch->count == 0 || bytes >= fetch->min_bytes;
}

/* --- answering --- */

static void fill_aborted(struct fetch_part *fp, const struct log_slice *slice, struct arena *arena)
{
    struct log_aborted_list aborted = {0};
    log_aborted_in(fp->part->log, fp->asked->FetchOffset, slice->lso, &aborted);
    WIRE_ALLOC(arena, fp->row->AbortedTransactions, FetchResponse_AbortedTransaction, aborted.list.len);
    for (size_t i = 0; i < aborted.list.len; i++)
        fp->row->AbortedTransactions.at[i] =
            (struct FetchResponse_AbortedTransaction){aborted.list.at[i].pid,
                                                      aborted.list.at[i].first_offset};
    vec_fini(&aborted.list);
}

/* Old versions cannot carry zstd: looks at the first batch. */
static bool codec_fits(struct request *req, struct partition *part, const struct log_slice *slice)
{
    struct buf head = {0};
    struct batch batch;
    struct log_slice first = *slice;
    if (req->version >= ZSTD_VERSION || slice->len < BATCH_HEADER_BYTES)
        return true;
    first.len = BATCH_HEADER_BYTES;
    bool zstd = log_slice_read(part->log, &first, &head, NULL) && batch_open_header(head.ptr, &batch, NULL) &&
                batch_codec(&batch) == CODEC_ZSTD;
    buf_fini(&head);
    return !zstd;
}

/* Puts the slice into the row; takes it over. */
static bool attach_slice(struct fetch_part *fp, struct log_slice *slice, struct arena *arena, struct err *err)
{
    if (slice->len == 0) {
        fp->row->Records.bytes = STR("");
        log_slice_release(slice);
        return true;
    }
    metric_add(fp->part->meters.fetched_bytes, (int64_t)slice->len);
    if (slice->len > COPY_BYTES) {
        fp->row->Records.slice = mem_dup(slice, sizeof *slice); /* released by the connection */
        fp->row->Records.slice_bytes = slice->len;
        return true;
    }
    struct buf bytes = {0};
    bool good = log_slice_read(fp->part->log, slice, &bytes, err);
    if (good)
        fp->row->Records.bytes = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    log_slice_release(slice);
    return good;
}

static void refuse(struct fetch_part *fp, int16_t code)
{
    fp->row->ErrorCode = code;
    fp->row->HighWatermark = -1;
    fp->row->LastStableOffset = -1;
    fp->row->LogStartOffset = -1;
    fp->row->Records.bytes = STR("");
}

/* Reads one partition within the bytes that are left. */
static void read_part(struct fetch *fetch, struct fetch_part *fp, int64_t *bytes_left, bool *first)
{
    struct arena *arena = &fetch->req->arena;
    struct log_slice slice = {0};
    struct err err;
    int64_t limit = MAX(MIN((int64_t)fp->asked->PartitionMaxBytes, *bytes_left), 0);
    if (!log_read(fp->part->log, fp->asked->FetchOffset, (size_t)limit, fetch->isolation, &slice, &err)) {
        refuse(fp, err.code == ERR_OFFSET_OUT_OF_RANGE ? OFFSET_OUT_OF_RANGE : error_code_of(&err));
        return;
    }
    if (!*first && (int64_t)slice.len > limit) /* F2 */
        slice.len = 0;
    fp->row->HighWatermark = slice.hw;
    fp->row->LastStableOffset = slice.lso;
    fp->row->LogStartOffset = slice.start;
    if (slice.len != 0 && !codec_fits(fetch->req, fp->part, &slice)) {
        log_slice_release(&slice);
        refuse(fp, UNSUPPORTED_CODEC);
        return;
    }
    if (fetch->isolation == LOG_READ_COMMITTED)
        fill_aborted(fp, &slice, arena);
    int64_t len = (int64_t)slice.len;
    if (!attach_slice(fp, &slice, arena, &err)) {
        log_warn("broker", "fetch_failed", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(fp->part->topic),
                 fp->part->id, err.text);
        refuse(fp, error_code_of(&err));
        return;
    }
    *bytes_left -= len;
    *first = *first && len == 0;
}

static void unpark(struct fetch *fetch)
{
    if (!fetch->parked)
        return;
    fetch->parked = false;
    for (size_t i = 0; i < fetch->count; i++)
        if (fetch->parts[i].part != NULL)
            broker_partition_watch_remove(fetch->parts[i].part, &fetch->parts[i].watch);
    loop_timer_stop(&fetch->timer);
    loop_call_cancel(fetch->req->loop, &fetch->wake);
}

static void release_parts(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->count; i++)
        broker_partition_unref(fetch->parts[i].part);
}

static void answer(struct fetch *fetch)
{
    struct request *req = fetch->req;
    const struct FetchRequest *body = req->body;
    int64_t bytes_left = MIN((int64_t)MAX(body->MaxBytes, 0), LIVE(req->broker, fetch_bytes_max));
    bool first = true;
    unpark(fetch);
    for (size_t i = 0; i < fetch->count; i++) {
        struct fetch_part *fp = &fetch->parts[i];
        if (fp->error != 0)
            refuse(fp, fp->error);
        else
            read_part(fetch, fp, &bytes_left, &first);
    }
    release_parts(fetch);
    req->cancel = NULL;
    request_reply(req);
}

/* --- waiting --- */

static void on_watch(struct broker_watch *watch)
{
    struct fetch_part *fp = LIST_ENTRY(watch, struct fetch_part, watch);
    loop_post(fp->fetch->req->loop, &fp->fetch->wake);
}

static void on_wake(struct loop_call *call)
{
    struct fetch *fetch = LIST_ENTRY(call, struct fetch, wake);
    if (fetch->parked && is_ready(fetch))
        answer(fetch);
}

static void on_timer(struct loop_timer *timer)
{
    struct fetch *fetch = LIST_ENTRY(timer, struct fetch, timer);
    is_ready(fetch); /* errors that came meanwhile */
    answer(fetch);
}

/* The connection goes: F4. */
static void cancel(struct request *req)
{
    struct fetch *fetch = req->parked;
    unpark(fetch);
    release_parts(fetch);
}

static void park(struct fetch *fetch, int64_t wait_ms)
{
    struct request *req = fetch->req;
    fetch->parked = true;
    req->cancel = cancel;
    loop_call_init(&fetch->wake, on_wake);
    loop_timer_init(&fetch->timer, req->loop, on_timer);
    for (size_t i = 0; i < fetch->count; i++) {
        fetch->parts[i].watch.fn = on_watch;
        fetch->parts[i].watch.events = BROKER_WATCH_VISIBLE;
        broker_partition_watch_add(fetch->parts[i].part, &fetch->parts[i].watch);
    }
    loop_timer_start(&fetch->timer, wait_ms);
    if (is_ready(fetch)) /* something may have come between the first look and the watches */
        answer(fetch);
}

/* --- the request --- */

static size_t count_partitions(const struct FetchRequest *body)
{
    size_t count = 0;
    for (int32_t i = 0; i < body->Topics.len; i++)
        count += (size_t)MAX(body->Topics.at[i].Partitions.len, 0);
    return count;
}

/* Makes rows for all that was asked and looks the partitions up. */
static void resolve(struct fetch *fetch)
{
    struct request *req = fetch->req;
    const struct FetchRequest *body = req->body;
    struct FetchResponse *res = req->res;
    fetch->parts = arena_array(&req->arena, struct fetch_part, count_partitions(body));
    WIRE_ALLOC(&req->arena, res->Responses, FetchResponse_FetchableTopicResponse, MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct FetchRequest_FetchTopic *asked = &body->Topics.at[i];
        topic_row *row = &res->Responses.at[i];
        bool by_id = req->version >= TOPIC_ID_VERSION;
        struct str name = by_id ? topics_name_of(req->broker, asked->TopicId, &req->arena) : asked->Topic;
        row->Topic = name;
        row->TopicId = asked->TopicId;
        WIRE_ALLOC(&req->arena, row->Partitions, FetchResponse_PartitionData, MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            struct fetch_part *fp = &fetch->parts[fetch->count++];
            fp->fetch = fetch;
            fp->asked = &asked->Partitions.at[j];
            fp->row = &row->Partitions.at[j];
            fp->row->PartitionIndex = fp->asked->Partition;
            fp->row->AbortedTransactions.len = fetch->isolation == LOG_READ_COMMITTED ? 0 : -1;
            fp->unknown = by_id && str_is_null(name) ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC;
            list_init(&fp->watch.link);
            fp->part = str_is_null(name) ? NULL : topics_partition(req->broker, name, fp->asked->Partition);
        }
    }
}

void api_fetch(struct request *req)
{
    const struct FetchRequest *body = req->body;
    struct FetchResponse *res = req->res;
    if (body->SessionId != 0 && body->SessionEpoch > 0) { /* F3 */
        res->ErrorCode = FETCH_SESSION_NOT_FOUND;
        request_reply(req);
        return;
    }
    struct fetch *fetch = arena_new(&req->arena, struct fetch);
    fetch->req = req;
    fetch->isolation = body->IsolationLevel == 1 ? LOG_READ_COMMITTED : LOG_UP_TO_HW;
    fetch->min_bytes = MAX(body->MinBytes, 0);
    req->parked = fetch;
    resolve(fetch);
    if (is_ready(fetch) || body->MaxWaitMs <= 0)
        answer(fetch);
    else
        park(fetch, body->MaxWaitMs);
}
