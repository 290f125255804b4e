/* api_fetch.c - Fetch: answer at once when there is enough, else wait without polling.
 *
 *   session? (fetch_session.c) --> the partitions to look at: all, or those where something has happened
 *   ready? --yes--> read slices --> answer (files by sendfile, small ones copied)
 *     |no
 *   watch the partitions, start the timer (max wait)
 *     watch fires (any thread) -> loop_post -> on the connection's thread: ready? -> answer, or wait on
 *
 * (F1) A fetch is ready when any partition has an error, or the readable bytes reach min_bytes; the timer answers with
 *      what is there.
 * (F2) Whole batches from the one that holds the offset. The first non-empty partition of a response gives at least one
 *      whole batch, whatever the limits; those after it keep to what is left.
 * (F3) A fetch without session has its partitions in the request (struct lone_part). An incremental one answers only
 *      partitions with records, an error, or a high watermark or log start that the client does not know.
 * (F4) A parked fetch holds references to its partitions, or its session, and no slice. Watches are removed, or the session told,
 *      before its memory goes. A session is given back before the answer leaves: the next request may come at once.
 * (F5) A slice below COPY_BYTES is copied into the response: one write is cheaper than a write and a sendfile.
 */
#include "broker/fetch_int.h"
#include "broker/parts_once.h"

enum {
    OFFSET_OUT_OF_RANGE = 1,
    DENIED = 29,
    STORAGE = 56,
    FENCED_EPOCH = 74,
    UNKNOWN_EPOCH = 75,
    UNSUPPORTED_CODEC = 76,
};

enum { TOPIC_ID_VERSION = 13, ZSTD_VERSION = 10, COPY_BYTES = 16384 };

typedef struct FetchRequest_FetchPartition asked_partition;
typedef struct FetchResponse_FetchableTopicResponse topic_row;
typedef struct FetchResponse_PartitionData partition_row;

struct lone_part {
    struct fetch_part fp;
    struct fetch *fetch;
    struct partition_watch watch;
};

struct fetch {
    struct request *req;
    struct fetch_session *session; /* taken; NULL: none */
    bool full;
    struct lone_part *lone; /* without session */
    size_t lone_count;
    enum log_isolation isolation;
    int64_t min_bytes;
    bool parked;
    struct loop_timer timer;
    struct loop_call wake;
};

/* --- ready? --- */

static int16_t check_epoch(const struct fetch_part *fp)
{
    int32_t asked = fp->leader_epoch, current = log_leader_epoch(partition_log(fp->part));
    if (asked < 0 || asked == current)
        return 0;
    return asked < current ? FENCED_EPOCH : UNKNOWN_EPOCH;
}

/* The end of the epoch from which the client says it has read: *end -1: unknown here. Kafka's KIP-595. */
static bool has_diverged(const struct fetch_part *fp, int32_t *epoch, int64_t *end)
{
    if (fp->fetched_epoch < 0)
        return false;
    log_offset_for_epoch(partition_log(fp->part), fp->fetched_epoch, epoch, end);
    return *epoch < fp->fetched_epoch || *end < fp->offset;
}

/* An offset that cannot be read, or that lies on another branch of history. */
static int16_t check_offset(struct fetch_part *fp)
{
    struct log *log = partition_log(fp->part);
    int32_t epoch;
    int64_t end;
    fp->diverged = has_diverged(fp, &epoch, &end);
    if (fp->diverged)
        return end < 0 ? OFFSET_OUT_OF_RANGE : 0;
    return fp->offset < log_start_offset(log) || fp->offset > log_end_offset(log) ? OFFSET_OUT_OF_RANGE : 0;
}

/* Finds errors that need no read; true when there is one, or a divergence to tell. The right is asked for each time: a session
 * may outlive it. */
static bool find_error(const struct fetch *fetch, struct fetch_part *fp)
{
    struct str name = fp->part != NULL ? partition_topic(fp->part) : fp->topic.name;
    fp->diverged = false;
    fp->error = str_is_null(name) ? 0 : request_denied(fetch->req, ACL_TOPIC, ACL_READ, name);
    if (fp->error != 0)
        return true;
    if (fp->part == NULL || partition_is_deleted(fp->part)) {
        fp->error = fp->unknown;
        return true;
    }
    fp->error = !log_check_readable(partition_log(fp->part), NULL) ? STORAGE : check_epoch(fp);
    if (fp->error == 0)
        fp->error = check_offset(fp);
    return fp->error != 0 || fp->diverged;
}

/* Bytes that the partition could give; -1: it has an error. */
static int64_t look(const struct fetch *fetch, struct fetch_part *fp)
{
    if (find_error(fetch, fp))
        return -1;
    int64_t readable = (int64_t)log_readable_bytes(partition_log(fp->part), fp->offset, fetch->isolation);
    return MIN(readable, MAX(fp->bytes_max, 1));
}

/* Has the client not been told of this yet? */
static bool has_news(const struct session_part *sp)
{
    return sp->told_hw != log_high_watermark(partition_log(sp->fp.part)) ||
           sp->told_start != log_start_offset(partition_log(sp->fp.part));
}

/* Looks at the active parts; those with nothing to tell rest. */
static bool is_session_ready(struct fetch *fetch)
{
    int64_t bytes = 0;
    bool error = false;
    session_collect(fetch->session);
    list_each_safe (struct session_part, sp, &fetch->session->active, active_link) {
        int64_t readable = look(fetch, &sp->fp);
        error = error || readable < 0;
        bytes += MAX(readable, 0);
        if (readable == 0 && !fetch->full && !has_news(sp))
            session_part_rest(sp);
    }
    return error || fetch->session->parts.len == 0 || bytes >= fetch->min_bytes;
}

static bool is_ready(struct fetch *fetch)
{
    int64_t bytes = 0;
    bool error = false;
    if (fetch->session != NULL)
        return is_session_ready(fetch);
    for (size_t i = 0; i < fetch->lone_count; i++) {
        int64_t readable = look(fetch, &fetch->lone[i].fp);
        error = error || readable < 0;
        bytes += MAX(readable, 0);
    }
    return error || fetch->lone_count == 0 || bytes >= fetch->min_bytes;
}

/* --- answering --- */

static void fill_aborted(const struct fetch_part *fp, partition_row *row, const struct log_slice *slice,
                         struct arena *arena)
{
    struct log_aborted_list aborted = {0};
    log_aborted_in(partition_log(fp->part), fp->offset, slice->lso, &aborted);
    WIRE_ALLOC(arena, row->AbortedTransactions, FetchResponse_AbortedTransaction, aborted.list.len);
    for (size_t i = 0; i < aborted.list.len; i++)
        row->AbortedTransactions.at[i] =
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
    bool zstd = log_slice_read(partition_log(part), &first, &head, NULL) &&
                batch_open_header(head.ptr, &batch, NULL) && batch_codec(&batch) == CODEC_ZSTD;
    buf_fini(&head);
    return !zstd;
}

/* Puts the slice into the row; takes it over. */
static bool attach_slice(const struct fetch_part *fp, partition_row *row, struct log_slice *slice,
                         struct arena *arena, struct err *err)
{
    if (slice->len == 0) {
        row->Records.bytes = STR("");
        log_slice_release(slice);
        return true;
    }
    partition_count_fetched(fp->part, (int64_t)slice->len);
    if (slice->len > COPY_BYTES) {
        row->Records.slice = mem_dup(slice, sizeof *slice); /* released by the connection */
        row->Records.slice_bytes = slice->len;
        return true;
    }
    struct buf bytes = {0};
    bool good = log_slice_read(partition_log(fp->part), slice, &bytes, err);
    if (good)
        row->Records.bytes = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    log_slice_release(slice);
    return good;
}

static void refuse(partition_row *row, int16_t code)
{
    row->ErrorCode = code;
    row->HighWatermark = -1;
    row->LastStableOffset = -1;
    row->LogStartOffset = -1;
    row->Records.bytes = STR("");
}

/* Reads one partition within the bytes that are left. Gives the bytes read. */
static int64_t read_part(struct fetch *fetch, struct fetch_part *fp, partition_row *row, int64_t *bytes_left,
                         bool *first)
{
    struct arena *arena = &fetch->req->arena;
    struct log_slice slice = {0};
    struct err err;
    int64_t limit = MAX(MIN((int64_t)fp->bytes_max, *bytes_left), 0);
    if (!log_read(partition_log(fp->part), fp->offset, (size_t)limit, fetch->isolation, &slice, &err)) {
        refuse(row, err.code == ERR_OFFSET_OUT_OF_RANGE ? OFFSET_OUT_OF_RANGE : error_code_of(&err));
        return 0;
    }
    if (!*first && (int64_t)slice.len > limit) /* F2 */
        slice.len = 0;
    row->HighWatermark = slice.hw;
    row->LastStableOffset = slice.lso;
    row->LogStartOffset = slice.start;
    if (slice.len != 0 && !codec_fits(fetch->req, fp->part, &slice)) {
        log_slice_release(&slice);
        refuse(row, UNSUPPORTED_CODEC);
        return 0;
    }
    if (fetch->isolation == LOG_READ_COMMITTED)
        fill_aborted(fp, row, &slice, arena);
    int64_t len = (int64_t)slice.len;
    if (!attach_slice(fp, row, &slice, arena, &err)) {
        log_warn("broker", "fetch_failed", "topic=%.*s partition=%d cause=\"%s\"",
                 STR_ARG(partition_topic(fp->part)), partition_id(fp->part), err.text);
        refuse(row, error_code_of(&err));
        return 0;
    }
    *bytes_left -= len;
    *first = *first && len == 0;
    return len;
}

/* Where the client's branch ends, and no records. */
static void tell_divergence(const struct fetch_part *fp, partition_row *row)
{
    struct log *log = partition_log(fp->part);
    has_diverged(fp, &row->DivergingEpoch.Epoch, &row->DivergingEpoch.EndOffset);
    row->HighWatermark = log_high_watermark(log);
    row->LastStableOffset = log_lso(log);
    row->LogStartOffset = log_start_offset(log);
    row->Records.bytes = STR("");
}

static int64_t fill_row(struct fetch *fetch, struct fetch_part *fp, partition_row *row, int64_t *bytes_left,
                        bool *first)
{
    wire_init(&WIRE_FetchResponse_PartitionData, row);
    row->PartitionIndex = fp->id;
    bool asked = fp->part != NULL && fp->error != DENIED && fp->error != fp->unknown;
    row->AbortedTransactions.len = asked ? -1 : 0; /* as Kafka has it: null is what a log says */
    if (fp->error != 0)
        refuse(row, fp->error);
    else if (fp->diverged)
        tell_divergence(fp, row);
    else
        return read_part(fetch, fp, row, bytes_left, first);
    return 0;
}

/* The rows of an answer: partitions in one array, topics as pieces of it. */
struct rows {
    struct FetchResponse *res;
    partition_row *parts;
    size_t count;
};

static void rows_init(struct rows *rows, struct fetch *fetch, size_t count_max)
{
    struct arena *arena = &fetch->req->arena;
    rows->res = fetch->req->res;
    rows->count = 0;
    rows->parts = arena_alloc(arena, count_max * sizeof *rows->parts);
    WIRE_ALLOC(arena, rows->res->Responses, FetchResponse_FetchableTopicResponse, count_max);
    rows->res->Responses.len = 0;
}

/* Takes the next row for the topic: into the last piece if it is the same topic. */
static void rows_take(struct rows *rows, const struct fetch_topic *topic, struct arena *arena)
{
    topic_row *last =
        rows->res->Responses.len == 0 ? NULL : &rows->res->Responses.at[rows->res->Responses.len - 1];
    if (last == NULL || !str_eq(last->Topic, topic->name) || !uuid_eq(last->TopicId, topic->id)) {
        last = &rows->res->Responses.at[rows->res->Responses.len++];
        last->Topic = str_dup(topic->name, arena);
        last->TopicId = topic->id;
        last->Partitions.at = &rows->parts[rows->count];
    }
    last->Partitions.len++;
    rows->count++;
}

static void answer_lone(struct fetch *fetch, int64_t *bytes_left)
{
    struct rows rows;
    bool first = true;
    rows_init(&rows, fetch, fetch->lone_count);
    for (size_t i = 0; i < fetch->lone_count; i++) {
        struct fetch_part *fp = &fetch->lone[i].fp;
        fill_row(fetch, fp, &rows.parts[rows.count], bytes_left, &first);
        rows_take(&rows, &fp->topic, &fetch->req->arena);
    }
}

/* F3: takes the row if the client needs it. */
static void answer_part(struct fetch *fetch, struct session_part *sp, struct rows *rows, int64_t *bytes_left,
                        bool *first)
{
    partition_row *row = &rows->parts[rows->count];
    int64_t len = fill_row(fetch, &sp->fp, row, bytes_left, first);
    bool news = len > 0 || row->ErrorCode != 0 || sp->fp.diverged || row->HighWatermark != sp->told_hw ||
                row->LogStartOffset != sp->told_start;
    if (fetch->full || news) {
        rows_take(rows, &sp->fp.topic, &fetch->req->arena);
        sp->told_hw = row->HighWatermark;
        sp->told_start = row->LogStartOffset;
    }
    if (len > 0) /* none starves */
        session_part_last(sp);
}

static void answer_session(struct fetch *fetch, int64_t *bytes_left)
{
    struct fetch_session *session = fetch->session;
    struct session_part **parts =
        arena_array(&fetch->req->arena, struct session_part *, session->active_count);
    struct rows rows;
    size_t count = 0;
    bool first = true;
    list_each (struct session_part, sp, &session->active, active_link)
        parts[count++] = sp;
    rows_init(&rows, fetch, count);
    for (size_t i = 0; i < count; i++)
        answer_part(fetch, parts[i], &rows, bytes_left, &first);
}

static void unpark(struct fetch *fetch)
{
    if (!fetch->parked)
        return;
    fetch->parked = false;
    if (fetch->session != NULL)
        session_park(fetch->session, NULL);
    for (size_t i = 0; i < fetch->lone_count; i++)
        if (fetch->lone[i].fp.part != NULL)
            partition_watch_remove(fetch->lone[i].fp.part, &fetch->lone[i].watch);
    loop_timer_stop(&fetch->timer);
    loop_call_cancel(fetch->req->loop, &fetch->wake);
}

static void release(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->lone_count; i++)
        partition_unref(fetch->lone[i].fp.part);
    if (fetch->session != NULL)
        session_release(fetch->session);
}

static void answer(struct fetch *fetch)
{
    struct request *req = fetch->req;
    const struct FetchRequest *body = req->body;
    int64_t bytes_left = MIN((int64_t)MAX(body->MaxBytes, 0), LIVE(req->broker, fetch_bytes_max));
    bytes_left = MIN(bytes_left, client_quotas_burst(req->quotas, QUOTA_FETCH));
    unpark(fetch);
    if (fetch->session != NULL)
        answer_session(fetch, &bytes_left);
    else
        answer_lone(fetch, &bytes_left);
    release(fetch);
    req->cancel = NULL;
    request_reply(req);
}

/* --- waiting --- */

void fetch_wake(struct fetch *fetch)
{
    loop_post(fetch->req->loop, &fetch->wake);
}

static void on_watch(struct partition_watch *watch)
{
    fetch_wake(LIST_ENTRY(watch, struct lone_part, watch)->fetch);
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
    release(fetch);
}

static void park(struct fetch *fetch, int64_t wait_ms)
{
    struct request *req = fetch->req;
    fetch->parked = true;
    req->cancel = cancel;
    loop_call_init(&fetch->wake, on_wake);
    loop_timer_init(&fetch->timer, req->loop, on_timer);
    if (fetch->session != NULL)
        session_park(fetch->session, fetch);
    for (size_t i = 0; i < fetch->lone_count; i++) {
        fetch->lone[i].watch.fn = on_watch;
        fetch->lone[i].watch.events = PARTITION_WATCH_VISIBLE;
        partition_watch_add(fetch->lone[i].fp.part, &fetch->lone[i].watch);
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

/* Looks up what was asked, each partition once, of a fetch without session. */
static void resolve(struct fetch *fetch)
{
#define SHAPE(key, by_id) \
    PARTS_SHAPE(FetchRequest_FetchTopic, key, by_id, Partitions, FetchRequest_FetchPartition, Partition)
    static const struct parts_shape of_names = SHAPE(Topic, false), of_ids = SHAPE(TopicId, true);
#undef SHAPE
    struct request *req = fetch->req;
    const struct FetchRequest *body = req->body;
    bool by_id = req->version >= TOPIC_ID_VERSION;
    parts_once(by_id ? &of_ids : &of_names, &body->Topics, NULL, &req->arena);
    fetch->lone = arena_array(&req->arena, struct lone_part, count_partitions(body));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct FetchRequest_FetchTopic *asked = &body->Topics.at[i];
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            struct lone_part *lone = &fetch->lone[fetch->lone_count++];
            lone->fetch = fetch;
            lone->fp.topic = by_id ? (struct fetch_topic){STR_NULL, asked->TopicId}
                                   : (struct fetch_topic){asked->Topic, {{0}}};
            fetch_part_set(&lone->fp, &asked->Partitions.at[j]);
            fetch_part_resolve(req->broker, &lone->fp);
            list_init(&lone->watch.link);
        }
    }
}

void api_fetch(struct request *req)
{
    const struct FetchRequest *body = req->body;
    struct FetchResponse *res = req->res;
    struct session_use use = session_take(req);
    if (use.error != 0) {
        res->ErrorCode = use.error;
        request_reply(req);
        return;
    }
    struct fetch *fetch = arena_new(&req->arena, struct fetch);
    fetch->req = req;
    fetch->session = use.session;
    fetch->full = use.full;
    fetch->isolation = body->IsolationLevel == 1 ? LOG_READ_COMMITTED : LOG_UP_TO_HW;
    fetch->min_bytes = MAX(body->MinBytes, 0);
    res->SessionId = use.id;
    req->parked = fetch;
    if (fetch->session == NULL)
        resolve(fetch);
    if (is_ready(fetch) || body->MaxWaitMs <= 0)
        answer(fetch);
    else
        park(fetch, body->MaxWaitMs);
}
