/* api_share_fetch.c - ShareFetch: acknowledge what the request brings, then acquire records, or wait without polling.
 *
 *   session -> acknowledgements -> the places to look at -> something there? --yes--> read a piece, acquire in it, answer
 *                                                             |no
 *   watch the partitions and the group's state, start the timer (max wait)
 *     records became visible, or available again (any thread) -> loop_post -> on the connection's thread: look again
 *
 * (F1) Where to read is looked up, then read without a lock, then what was read is acquired as far as it is available still:
 *      another member may have been faster. Then the next try, or the wait goes on: an answer has records, an error, or the
 *      wait was over.
 * (F2) Records leave as whole batches as they are in the log, from the first to the last that holds something acquired; the
 *      ranges say which of it is the member's.
 * (F3) Acquisitions are not durable and need not be; the answer waits for the acknowledgements that came with the request.
 * (F4) A parked fetch holds references to its partitions. Watches are removed before its memory goes.
 */
#include "broker/shares_int.h"

enum { READ_BYTES_MAX = 256 << 10, TRIES_MAX = 4, STORAGE_ERROR = 56 };

typedef struct ShareFetchResponse_PartitionData part_row;

struct share_fetch_part {
    struct share_fetch *fetch;
    struct share_place place;
    struct partition *part; /* a reference; NULL: not there */
    struct str topic;       /* its name; null: there is no such topic */
    int16_t unmet;          /* why the group does not begin there */
    int16_t error;
    struct partition_watch watch;
};

struct share_fetch {
    struct request *req;
    struct str group, member;
    struct share_fetch_part *parts;
    size_t part_count;
    struct share_acks acks;
    enum log_isolation isolation;
    int64_t bytes_min, bytes_left, records_left;
    bool exact; /* ShareAcquireMode 1: not a record more than asked for */
    /* rows of the answer */
    part_row *rows;
    struct uuid *row_topics;
    size_t row_count;
    bool parked;
    struct loop_timer timer;
    struct loop_call wake;
    struct coord_share_waiter waiter;
};

static struct share_key key_of(const struct share_fetch *fetch, const struct share_fetch_part *fp)
{
    return (struct share_key){fetch->group, fp->place.topic, fp->place.partition};
}

/* --- is there anything? --- */

/* The right is asked for each time: a wait may outlive it. */
static bool find_error(struct share_fetch *fetch, struct share_fetch_part *fp)
{
    if (str_is_null(fp->topic))
        fp->error = SHARE_NO_TOPIC_ID;
    else
        fp->error = request_denied(fetch->req, ACL_TOPIC, ACL_READ, fp->topic);
    if (fp->error == 0)
        fp->error = fp->unmet;
    if (fp->error == 0 && (fp->part == NULL || partition_is_deleted(fp->part)))
        fp->error = SHARE_NO_PARTITION;
    if (fp->error == 0 && !log_check_readable(partition_log(fp->part), NULL))
        fp->error = STORAGE_ERROR;
    return fp->error != 0;
}

/* Where the next record for the group may be; -1: nowhere, as things stand. */
static int64_t next_offset(struct share_fetch *fetch, const struct share_fetch_part *fp)
{
    const struct share_key key = key_of(fetch, fp);
    struct share_info info;
    if (!share_info_of(coord_shares(fetch->req->broker->coord), &key, &info) || !info.open)
        return -1;
    return MAX(info.next_offset, log_start_offset(partition_log(fp->part)));
}

static bool is_ready(struct share_fetch *fetch)
{
    struct replay *replay = coord_shares_replay(fetch->req->broker->coord);
    uint64_t bytes = 0;
    bool error = false;
    for (size_t i = 0; i < fetch->part_count; i++)
        error |= find_error(fetch, &fetch->parts[i]);
    if (error)
        return true;
    replay_lock(replay);
    for (size_t i = 0; i < fetch->part_count; i++) {
        int64_t from = next_offset(fetch, &fetch->parts[i]);
        if (from >= 0)
            bytes += log_readable_bytes(partition_log(fetch->parts[i].part), from, fetch->isolation);
    }
    replay_unlock(replay);
    return bytes >= (uint64_t)MAX(fetch->bytes_min, 1);
}

/* --- rows of the answer --- */

static part_row *add_row(struct share_fetch *fetch, const struct share_place *place)
{
    part_row *row = &fetch->rows[fetch->row_count];
    wire_init(&WIRE_ShareFetchResponse_PartitionData, row);
    row->PartitionIndex = place->partition;
    row->Records.bytes = STR("");
    fetch->row_topics[fetch->row_count++] = place->topic;
    for (size_t i = 0; i < fetch->acks.count; i++) {
        struct share_acked *acked = &fetch->acks.at[i];
        if (acked->told || acked->place.partition != place->partition ||
            !uuid_eq(acked->place.topic, place->topic))
            continue;
        acked->told = true;
        row->AcknowledgeErrorCode = acked->error;
        row->AcknowledgeErrorMessage = str_from(acked->message);
        break;
    }
    return row;
}

/* Rows of a topic that follow each other are one piece. */
static void send(struct share_fetch *fetch)
{
    struct request *req = fetch->req;
    const struct ShareFetchRequest *body = req->body;
    struct ShareFetchResponse *res = req->res;
    for (size_t i = 0; i < fetch->acks.count; i++)
        if (!fetch->acks.at[i].told)
            ignore(add_row(fetch, &fetch->acks.at[i].place), "it is all that is told of the place");
    WIRE_ALLOC(&req->arena, res->Responses, ShareFetchResponse_ShareFetchableTopicResponse, fetch->row_count);
    res->Responses.len = 0;
    for (size_t i = 0; i < fetch->row_count; i++) {
        if (i == 0 || !uuid_eq(fetch->row_topics[i - 1], fetch->row_topics[i])) {
            res->Responses.at[res->Responses.len].TopicId = fetch->row_topics[i];
            res->Responses.at[res->Responses.len++].Partitions.at = &fetch->rows[i];
        }
        res->Responses.at[res->Responses.len - 1].Partitions.len++;
    }
    res->AcquisitionLockTimeoutMs =
        (int32_t)coord_share_setting(req->broker->coord, body->GroupId, GROUP_SHARE_LOCK_MS);
    for (size_t i = 0; i < fetch->part_count; i++)
        partition_unref(fetch->parts[i].part);
    req->cancel = NULL;
    if (fetch->acks.end_offset >= 0)
        request_reply_durable(req, coord_shares_replay(req->broker->coord), fetch->acks.end_offset); /* F3 */
    else
        request_reply(req);
}

/* --- acquiring --- */

/* A piece of the log that was read, and where its batches are. */
struct piece {
    struct buf bytes;
    vec(struct share_batch) batches;
    vec(size_t) ends; /* of the batches in bytes */
};

static void piece_fini(struct piece *piece)
{
    buf_fini(&piece->bytes);
    vec_fini(&piece->batches);
    vec_fini(&piece->ends);
}

static bool is_aborted(const struct log_aborted_list *aborted, const struct batch *batch)
{
    for (size_t i = 0; i < aborted->list.len; i++) {
        const struct log_aborted *txn = &aborted->list.at[i];
        if (txn->pid == batch->pid && txn->first_offset <= batch->base_offset &&
            txn->last_offset >= batch->base_offset)
            return true;
    }
    return false;
}

static void walk(struct share_fetch *fetch, const struct share_fetch_part *fp, int64_t from, int64_t lso,
                 struct piece *piece)
{
    struct log_aborted_list aborted = {0};
    struct str rest = buf_str(&piece->bytes);
    struct batch batch;
    if (fetch->isolation == LOG_READ_COMMITTED)
        log_aborted_in(partition_log(fp->part), from, lso, &aborted);
    while (batch_next(&rest, &batch, NULL)) {
        bool dead =
            batch_is_control(&batch) || (batch_is_transactional(&batch) && is_aborted(&aborted, &batch));
        vec_push(&piece->batches, (struct share_batch){batch.base_offset, batch_last_offset(&batch), !dead});
        vec_push(&piece->ends, piece->bytes.len - rest.len);
    }
    vec_fini(&aborted.list);
}

/* False: nothing was read; fp->error says whether that is an error. */
static bool read_piece(struct share_fetch *fetch, struct share_fetch_part *fp, int64_t from,
                       struct piece *piece)
{
    struct log *log = partition_log(fp->part);
    struct log_slice slice = {0};
    struct err err;
    int64_t limit = MIN(MAX(fetch->bytes_left, 0), READ_BYTES_MAX);
    bool good = log_read(log, from, (size_t)limit, fetch->isolation, &slice, &err);
    bool some = good && slice.len != 0 && (fetch->row_count == 0 || (int64_t)slice.len <= limit);
    if (some)
        good = some = log_slice_read(log, &slice, &piece->bytes, &err);
    if (!good && err.code != ERR_OFFSET_OUT_OF_RANGE) /* it has moved: the next look knows */
        fp->error = error_code_of(&err);
    if (some)
        walk(fetch, fp, from, slice.lso, piece);
    log_slice_release(&slice);
    return some && piece->batches.len != 0;
}

/* F2. The batches that hold something acquired, from the first to the last. */
static struct str cut(const struct piece *piece, int64_t first, int64_t last, struct arena *arena)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < piece->batches.len; i++) {
        if (piece->batches.at[i].last < first)
            from = piece->ends.at[i];
        if (piece->batches.at[i].first <= last)
            to = piece->ends.at[i];
    }
    return str_dup(str_sub(buf_str(&piece->bytes), from, to - from), arena);
}

static void tell(struct share_fetch *fetch, const struct share_fetch_part *fp, const struct piece *piece,
                 const struct share_acquire *got)
{
    struct arena *arena = &fetch->req->arena;
    part_row *row = add_row(fetch, &fp->place);
    WIRE_ALLOC(arena, row->AcquiredRecords, ShareFetchResponse_AcquiredRecords, got->acquired_count);
    for (size_t i = 0; i < got->acquired_count; i++) {
        const struct share_acquired *range = &got->acquired[i];
        row->AcquiredRecords.at[i] =
            (struct ShareFetchResponse_AcquiredRecords){range->first, range->last, range->delivery_count};
        fetch->records_left -= range->last - range->first + 1;
    }
    row->Records.bytes =
        cut(piece, got->acquired[0].first, got->acquired[got->acquired_count - 1].last, arena);
    fetch->bytes_left -= (int64_t)row->Records.bytes.len;
    partition_count_fetched(fp->part, (int64_t)row->Records.bytes.len);
}

/* One try. False: there is nothing (more) to try. */
static bool try_part(struct share_fetch *fetch, struct share_fetch_part *fp)
{
    const struct ShareFetchRequest *body = fetch->req->body;
    struct broker *broker = fetch->req->broker;
    struct piece piece = {0};
    struct err err;
    replay_lock(coord_shares_replay(broker->coord));
    int64_t from = next_offset(fetch, fp);
    replay_unlock(coord_shares_replay(broker->coord));
    bool again = from >= 0 && read_piece(fetch, fp, from, &piece);
    struct share_acquire call = {
        .key = key_of(fetch, fp),
        .member = fetch->member,
        .now_ms = io_now_ms(broker->io),
        .log_start = log_start_offset(partition_log(fp->part)),
        .from_offset = from,
        .batches = piece.batches.at,
        .batch_count = piece.batches.len,
        .records_max = fetch->records_left,
        .exact = fetch->exact,
        .batch_records = body->BatchSize,
        .arena = &fetch->req->arena,
    };
    if (again && !coord_shares_run(broker->coord, share_decide_acquire, &call, NULL, &err)) {
        log_warn("broker", "share_acquire_failed", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(fp->topic),
                 fp->place.partition, err.text);
        fp->error = error_code_of(&err); /* what was acquired all the same goes back when its lock ends */
        again = false;
    } else if (again && call.acquired_count != 0) {
        tell(fetch, fp, &piece, &call);
        again = false;
    }
    piece_fini(&piece);
    return again;
}

static void unpark(struct share_fetch *fetch)
{
    if (!fetch->parked)
        return;
    fetch->parked = false;
    coord_share_unpark(fetch->req->broker->coord, &fetch->waiter);
    for (size_t i = 0; i < fetch->part_count; i++)
        if (fetch->parts[i].part != NULL)
            partition_watch_remove(fetch->parts[i].part, &fetch->parts[i].watch);
    loop_timer_stop(&fetch->timer);
    loop_call_cancel(fetch->req->loop, &fetch->wake);
}

/* Acquires what there is and answers; with nothing to tell only when the wait is over. */
static bool answer(struct share_fetch *fetch, bool over)
{
    for (size_t i = 0; i < fetch->part_count && fetch->records_left > 0; i++) {
        struct share_fetch_part *fp = &fetch->parts[i];
        for (int tries = 0; fp->error == 0 && tries < TRIES_MAX && try_part(fetch, fp);)
            tries++;
        if (fp->error != 0)
            add_row(fetch, &fp->place)->ErrorCode = fp->error;
    }
    if (fetch->row_count == 0 && !over)
        return false;
    unpark(fetch);
    send(fetch);
    return true;
}

/* --- waiting --- */

static void on_watch(struct partition_watch *watch)
{
    struct share_fetch *fetch = LIST_ENTRY(watch, struct share_fetch_part, watch)->fetch;
    loop_post(fetch->req->loop, &fetch->wake);
}

static void on_wake(struct loop_call *call)
{
    struct share_fetch *fetch = LIST_ENTRY(call, struct share_fetch, wake);
    if (fetch->parked && is_ready(fetch))
        answer(fetch, false);
}

static void on_timer(struct loop_timer *timer)
{
    struct share_fetch *fetch = LIST_ENTRY(timer, struct share_fetch, timer);
    is_ready(fetch); /* errors that came meanwhile */
    answer(fetch, true);
}

/* The connection goes: F4. */
static void cancel(struct request *req)
{
    struct share_fetch *fetch = req->parked;
    unpark(fetch);
    for (size_t i = 0; i < fetch->part_count; i++)
        partition_unref(fetch->parts[i].part);
}

static void park(struct share_fetch *fetch, int64_t wait_ms)
{
    struct request *req = fetch->req;
    fetch->parked = true;
    req->cancel = cancel;
    loop_call_init(&fetch->wake, on_wake);
    loop_timer_init(&fetch->timer, req->loop, on_timer);
    fetch->waiter =
        (struct coord_share_waiter){.group = fetch->group, .loop = req->loop, .wake = &fetch->wake};
    coord_share_park(req->broker->coord, &fetch->waiter);
    for (size_t i = 0; i < fetch->part_count; i++) {
        if (fetch->parts[i].part == NULL)
            continue;
        fetch->parts[i].watch.fn = on_watch;
        fetch->parts[i].watch.events = PARTITION_WATCH_VISIBLE;
        partition_watch_add(fetch->parts[i].part, &fetch->parts[i].watch);
    }
    loop_timer_start(&fetch->timer, wait_ms);
    if (is_ready(fetch)) /* something may have come between the first look and the watches */
        answer(fetch, false);
}

/* --- a group meets a partition --- */

static bool first_offset(const struct share_fetch *fetch, struct log *log, int64_t *offset, struct err *err)
{
    struct broker *broker = fetch->req->broker;
    int64_t reset = coord_share_setting(broker->coord, fetch->group, GROUP_SHARE_OFFSET_RESET);
    struct log_time_hit hit;
    *offset = reset == SHARE_RESET_EARLIEST            ? log_start_offset(log)
              : fetch->isolation == LOG_READ_COMMITTED ? log_lso(log)
                                                       : log_high_watermark(log);
    if (reset < SHARE_RESET_BACK)
        return true;
    int64_t time_ms = io_now_ms(broker->io) - (reset - SHARE_RESET_BACK);
    if (!log_offset_for_time(log, MAX(time_ms, 0), fetch->isolation, &hit, err))
        return false;
    if (hit.offset >= 0) /* else all is older: the end */
        *offset = hit.offset;
    return true;
}

static bool has_met(const struct share_fetch *fetch, const struct share_fetch_part *fp)
{
    struct coord *coord = fetch->req->broker->coord;
    const struct share_key key = key_of(fetch, fp);
    struct share_info info;
    replay_lock(coord_shares_replay(coord));
    bool met = share_info_of(coord_shares(coord), &key, &info);
    replay_unlock(coord_shares_replay(coord));
    return met;
}

/* Notes where the group begins, if it does not know the partition yet. Only groups that there are begin anywhere. */
static void meet(struct share_fetch *fetch, struct share_fetch_part *fp)
{
    struct broker *broker = fetch->req->broker;
    struct share_start start = {.key = key_of(fetch, fp), .now_ms = io_now_ms(broker->io)};
    int64_t end_offset = -1;
    struct err err;
    if (find_error(fetch, fp) || has_met(fetch, fp))
        return;
    if (!coord_share_group(broker->coord, fetch->group, NULL))
        fp->unmet = SHARE_NO_GROUP;
    else if (!first_offset(fetch, partition_log(fp->part), &start.start_offset, &err) ||
             !coord_shares_run(broker->coord, share_decide_start, &start, &end_offset, &err))
        fp->unmet = error_code_of(&err);
    fp->error = fp->unmet;
    fetch->acks.end_offset = MAX(fetch->acks.end_offset, end_offset);
}

/* --- the request --- */

static void take_places(struct share_fetch *fetch)
{
    struct request *req = fetch->req;
    const struct ShareFetchRequest *body = req->body;
    vec(struct share_place) add = {0}, remove = {0};
    for (int32_t i = 0; i < body->Topics.len; i++)
        for (int32_t j = 0; j < body->Topics.at[i].Partitions.len; j++)
            vec_push(&add, (struct share_place){body->Topics.at[i].TopicId,
                                                body->Topics.at[i].Partitions.at[j].PartitionIndex});
    for (int32_t i = 0; i < body->ForgottenTopicsData.len; i++)
        for (int32_t j = 0; j < body->ForgottenTopicsData.at[i].Partitions.len; j++)
            vec_push(&remove, (struct share_place){body->ForgottenTopicsData.at[i].TopicId,
                                                   body->ForgottenTopicsData.at[i].Partitions.at[j]});
    struct share_place *places = share_session_places(req, fetch->group, fetch->member, add.at, add.len,
                                                      remove.at, remove.len, &fetch->part_count);
    fetch->parts = arena_array(&req->arena, struct share_fetch_part, fetch->part_count);
    for (size_t i = 0; i < fetch->part_count; i++) {
        struct share_fetch_part *fp = &fetch->parts[i];
        bool known;
        *fp = (struct share_fetch_part){.fetch = fetch, .place = places[i]};
        list_init(&fp->watch.link);
        fp->topic = storage_topic_name(req->broker->storage, fp->place.topic, &req->arena);
        fp->part =
            storage_partition_by_id(req->broker->storage, fp->place.topic, fp->place.partition, &known);
        meet(fetch, fp);
    }
    vec_fini(&add);
    vec_fini(&remove);
}

/* Makes what comes before anything is read; false: answered with an error. */
static bool begin(struct share_fetch *fetch)
{
    struct request *req = fetch->req;
    const struct ShareFetchRequest *body = req->body;
    struct ShareFetchResponse *res = req->res;
    fetch->acks = (struct share_acks){.req = req,
                                      .group = body->GroupId,
                                      .member = body->MemberId,
                                      .renew = body->IsRenewAck,
                                      .end_offset = -1};
    res->ErrorCode = share_check_names(req, body->GroupId, body->MemberId);
    if (res->ErrorCode == 0)
        SHARE_ACKS_READ(&fetch->acks, body);
    if (body->IsRenewAck &&
        (body->MaxWaitMs != 0 || body->MinBytes != 0 || body->MaxBytes != 0 || body->MaxRecords != 0)) {
        res->ErrorCode = SHARE_BAD_REQUEST;
        res->ErrorMessage = STR("A request that renews fetches nothing.");
    }
    if (fetch->acks.count != 0 && body->ShareSessionEpoch == SHARE_EPOCH_OPEN) {
        res->ErrorCode = SHARE_BAD_REQUEST;
        res->ErrorMessage = STR("A new session has nothing to acknowledge.");
    }
    if (res->ErrorCode == 0)
        res->ErrorCode =
            share_session_step(req, body->GroupId, body->MemberId, body->ShareSessionEpoch, true);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return false;
    }
    share_acks_run(&fetch->acks);
    return true;
}

void api_share_fetch(struct request *req)
{
    const struct ShareFetchRequest *body = req->body;
    struct share_fetch *fetch = arena_new(&req->arena, struct share_fetch);
    bool closes = body->ShareSessionEpoch == SHARE_EPOCH_CLOSE;
    fetch->req = req;
    fetch->group = body->GroupId;
    fetch->member = body->MemberId;
    req->parked = fetch;
    if (!begin(fetch))
        return;
    fetch->isolation =
        (enum log_isolation)coord_share_setting(req->broker->coord, fetch->group, GROUP_SHARE_ISOLATION);
    fetch->bytes_min = body->MinBytes;
    fetch->bytes_left = MIN((int64_t)MAX(body->MaxBytes, 0), LIVE(req->broker, fetch_bytes_max));
    fetch->bytes_left = MIN(fetch->bytes_left, client_quotas_burst(req->quotas, QUOTA_FETCH));
    fetch->records_left = closes || body->IsRenewAck ? 0 : MAX(body->MaxRecords, 0);
    fetch->exact = body->ShareAcquireMode == 1;
    if (closes)
        share_session_end(req->broker, fetch->group, fetch->member);
    else
        take_places(fetch);
    size_t rows_max = fetch->part_count + fetch->acks.count;
    fetch->rows = arena_array(&req->arena, part_row, rows_max);
    fetch->row_topics = arena_array(&req->arena, struct uuid, rows_max);
    bool over = body->MaxWaitMs <= 0 || fetch->records_left == 0;
    if ((over || is_ready(fetch)) && answer(fetch, over))
        return;
    park(fetch, body->MaxWaitMs);
}
