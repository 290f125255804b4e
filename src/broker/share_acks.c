/* share_acks.c - acknowledgements: those of ShareAcknowledge, and those that a ShareFetch brings along.
 *
 *   request -> each partition: may it, is it there, are its batches well-formed -> all together decided, one append -> answer
 *
 * (Y1) A partition succeeds or fails as a whole and by itself.
 * (Y2) The answer leaves when what it says is durable.
 */
#include "broker/shares_int.h"

struct share_acked *share_acks_add(struct share_acks *acks, struct uuid topic, int32_t partition,
                                   int32_t batch_count)
{
    struct share_acked *acked = &acks->at[acks->count++];
    acked->place = (struct share_place){topic, partition};
    acked->batch_count = (size_t)batch_count;
    acked->batches = arena_array(&acks->req->arena, struct share_ack_batch, acked->batch_count);
    return acked;
}

int16_t share_check_names(struct request *req, struct str group, struct str member)
{
    if (group.len == 0 || member.len == 0)
        return SHARE_BAD_REQUEST;
    return request_denied(req, ACL_GROUP, ACL_READ, group);
}

/* --- checks --- */

static bool refuse(struct share_acked *acked, int16_t error, const char *message)
{
    acked->error = error;
    acked->message = message;
    return false;
}

static bool check_place(struct request *req, struct share_acked *acked)
{
    bool known;
    struct str name = storage_topic_name(req->broker->storage, acked->place.topic, &req->arena);
    int16_t denied = str_is_null(name) ? 0 : request_denied(req, ACL_TOPIC, ACL_READ, name);
    if (denied != 0)
        return refuse(acked, denied, NULL);
    struct partition *part =
        storage_partition_by_id(req->broker->storage, acked->place.topic, acked->place.partition, &known);
    bool there = part != NULL;
    partition_unref(part);
    return there || refuse(acked, known ? SHARE_NO_PARTITION : SHARE_NO_TOPIC_ID, NULL);
}

static bool check_types(const struct share_acks *acks, struct share_acked *acked,
                        const struct share_ack_batch *batch)
{
    for (int32_t i = 0; i < batch->type_count; i++) {
        if (batch->types[i] < 0 || batch->types[i] >= SHARE_ACK_TYPES)
            return refuse(acked, SHARE_BAD_REQUEST, "There is no such type of acknowledgement.");
        if (batch->types[i] == SHARE_RENEW && !acks->renew)
            return refuse(acked, SHARE_BAD_REQUEST, "The request does not say that it renews.");
        if (batch->types[i] == SHARE_RENEW &&
            !coord_share_setting(acks->req->broker->coord, acks->group, GROUP_SHARE_RENEW))
            return refuse(acked, SHARE_BAD_REQUEST, "share.renew.acknowledge.enable is false for the group.");
    }
    return true;
}

static bool check_batches(const struct share_acks *acks, struct share_acked *acked)
{
    int64_t last = INT64_MIN;
    for (size_t i = 0; i < acked->batch_count; i++) {
        const struct share_ack_batch *batch = &acked->batches[i];
        if (batch->first < 0 || batch->last < batch->first || batch->last == INT64_MAX)
            return refuse(acked, SHARE_BAD_REQUEST, "The offsets of a batch are no range.");
        if (batch->first < last) /* the same offset twice is refused later: it is not acquired any more */
            return refuse(acked, SHARE_BAD_REQUEST, "Batches overlap or are not in order.");
        if (batch->type_count < 1 ||
            (batch->type_count > 1 && batch->type_count != batch->last - batch->first + 1))
            return refuse(acked, SHARE_BAD_REQUEST, "A batch has one type, or one for each of its offsets.");
        if (!check_types(acks, acked, batch))
            return false;
        last = batch->last;
    }
    return true;
}

/* A partition that comes twice is refused the second time: what it means would depend on the first. */
static bool check_once(struct map *seen, struct share_acked *acked)
{
    char key[20];
    memcpy(key, acked->place.topic.bytes, 16);
    store_be32(key + 16, (uint32_t)acked->place.partition);
    return map_put(seen, str_of(key, sizeof key), acked) == NULL ||
           refuse(acked, SHARE_BAD_REQUEST, "The partition comes twice.");
}

/* --- at work --- */

struct ack_job {
    const struct share_acks *acks;
    int64_t now_ms;
};

static bool decide_all(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct ack_job *job = request;
    for (size_t i = 0; i < job->acks->count; i++) {
        struct share_acked *acked = &job->acks->at[i];
        if (acked->error != 0)
            continue;
        struct share_ack ack = {
            .key = {job->acks->group, acked->place.topic, acked->place.partition},
            .member = job->acks->member,
            .now_ms = job->now_ms,
            .batches = acked->batches,
            .batch_count = acked->batch_count,
        };
        ignore(share_decide_ack(state, &ack, out, err), "errors are in the request");
        acked->error = ack.error;
        acked->message = ack.message;
    }
    return true;
}

void share_acks_run(struct share_acks *acks)
{
    struct ack_job job = {acks, io_now_ms(acks->req->broker->io)};
    struct map seen = {0};
    struct err err;
    acks->end_offset = -1;
    for (size_t i = 0; i < acks->count; i++) {
        struct share_acked *acked = &acks->at[i];
        ignore(check_place(acks->req, acked) && check_batches(acks, acked) && check_once(&seen, acked),
               "errors are in each");
    }
    map_fini(&seen);
    if (acks->count == 0 ||
        coord_shares_run(acks->req->broker->coord, decide_all, &job, &acks->end_offset, &err))
        return;
    log_warn("broker", "share_ack_failed", "cause=\"%s\"", err.text);
    acks->end_offset = -1;
    for (size_t i = 0; i < acks->count; i++)
        if (acks->at[i].error == 0)
            acks->at[i].error = error_code_of(&err);
}

/* --- ShareAcknowledge --- */

typedef struct ShareAcknowledgeResponse_ShareAcknowledgeTopicResponse ack_topic;
typedef struct ShareAcknowledgeResponse_PartitionData ack_row;

/* In the order of the request; partitions of a topic are one piece of an array. */
static void fill_rows(const struct share_acks *acks, struct ShareAcknowledgeResponse *res)
{
    struct arena *arena = &acks->req->arena;
    ack_row *rows = wire_new(&WIRE_ShareAcknowledgeResponse_PartitionData, acks->count, arena);
    WIRE_ALLOC(arena, res->Responses, ShareAcknowledgeResponse_ShareAcknowledgeTopicResponse, acks->count);
    res->Responses.len = 0;
    for (size_t i = 0; i < acks->count; i++) {
        const struct share_acked *acked = &acks->at[i];
        if (i == 0 || !uuid_eq(acks->at[i - 1].place.topic, acked->place.topic)) {
            ack_topic *topic = &res->Responses.at[res->Responses.len++];
            topic->TopicId = acked->place.topic;
            topic->Partitions.at = &rows[i];
        }
        res->Responses.at[res->Responses.len - 1].Partitions.len++;
        rows[i].PartitionIndex = acked->place.partition;
        rows[i].ErrorCode = acked->error;
        rows[i].ErrorMessage = acked->error == SHARE_NO_PARTITION
                                   ? STR("This server does not host this topic-partition.")
                                   : str_from(acked->message);
    }
}

void api_share_acknowledge(struct request *req)
{
    const struct ShareAcknowledgeRequest *body = req->body;
    struct ShareAcknowledgeResponse *res = req->res;
    struct broker *broker = req->broker;
    struct share_acks acks = {.req = req,
                              .group = body->GroupId,
                              .member = body->MemberId,
                              .renew = body->IsRenewAck};
    res->ErrorCode = share_check_names(req, body->GroupId, body->MemberId);
    if (res->ErrorCode == 0)
        res->ErrorCode =
            share_session_step(req, body->GroupId, body->MemberId, body->ShareSessionEpoch, false);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    SHARE_ACKS_READ(&acks, body);
    share_acks_run(&acks);
    fill_rows(&acks, res);
    res->AcquisitionLockTimeoutMs =
        (int32_t)coord_share_setting(broker->coord, body->GroupId, GROUP_SHARE_LOCK_MS);
    if (body->ShareSessionEpoch == SHARE_EPOCH_CLOSE)
        share_session_end(broker, body->GroupId, body->MemberId);
    if (acks.end_offset >= 0)
        request_reply_durable(req, coord_shares_replay(broker->coord), acks.end_offset);
    else
        request_reply(req);
}
