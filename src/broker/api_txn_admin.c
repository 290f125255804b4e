/* api_txn_admin.c - what administrators see of transactions: DescribeProducers, DescribeTransactions, ListTransactions. */
#include "broker/broker_int.h"
#include "group/regex.h"

enum { UNKNOWN_TOPIC = 3 };

typedef struct DescribeProducersResponse_PartitionResponse described_partition;

static void describe_partition(struct request *req, struct str topic, int32_t partition,
                               described_partition *row)
{
    struct log_producer_list list = {0};
    struct err err;
    row->PartitionIndex = partition;
    row->ErrorCode = request_denied(req, ACL_TOPIC, ACL_READ, topic);
    row->ErrorMessage = request_denied_text(row->ErrorCode);
    if (row->ErrorCode != 0)
        return;
    if (!topic_name_check(topic, &err)) {
        row->ErrorCode = error_code_of(&err);
        row->ErrorMessage = str_dup(str_from(err.text), &req->arena);
        return;
    }
    struct partition *part = storage_partition(req->broker->storage, topic, partition);
    if (part == NULL) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage = STR("This server does not host this topic-partition.");
        return;
    }
    log_producers(partition_log(part), &list);
    WIRE_ALLOC(&req->arena, row->ActiveProducers, DescribeProducersResponse_ProducerState, list.list.len);
    for (size_t i = 0; i < list.list.len; i++) {
        const struct log_producer_info *info = &list.list.at[i];
        row->ActiveProducers.at[i] = (struct DescribeProducersResponse_ProducerState){
            .ProducerId = info->pid,
            .ProducerEpoch = info->epoch,
            .LastSequence = info->last_seq,
            .LastTimestamp = info->last_timestamp_ms,
            .CoordinatorEpoch = info->coordinator_epoch,
            .CurrentTxnStartOffset = info->txn_first_offset,
        };
    }
    vec_fini(&list.list);
    partition_unref(part);
}

void api_describe_producers(struct request *req)
{
    const struct DescribeProducersRequest *body = req->body;
    struct DescribeProducersResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Topics, DescribeProducersResponse_TopicResponse, MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct DescribeProducersRequest_TopicRequest *asked = &body->Topics.at[i];
        struct DescribeProducersResponse_TopicResponse *row = &res->Topics.at[i];
        row->Name = asked->Name;
        WIRE_ALLOC(&req->arena, row->Partitions, DescribeProducersResponse_PartitionResponse,
                   MAX(asked->PartitionIndexes.len, 0));
        for (int32_t j = 0; j < asked->PartitionIndexes.len; j++)
            describe_partition(req, asked->Name, asked->PartitionIndexes.at[j], &row->Partitions.at[j]);
    }
    request_reply(req);
}

/* Topics that may not be described are left out. */
static void hide_topics(struct request *req, struct DescribeTransactionsResponse_TransactionState *row)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < row->Topics.len; i++)
        if (request_may(req, ACL_TOPIC, ACL_DESCRIBE, row->Topics.at[i].Topic))
            row->Topics.at[kept++] = row->Topics.at[i];
    row->Topics.len = kept;
}

static void hide_transactions(struct request *req)
{
    struct DescribeTransactionsResponse *res = req->res;
    for (int32_t i = 0; i < res->TransactionStates.len; i++) {
        struct DescribeTransactionsResponse_TransactionState *row = &res->TransactionStates.at[i], hidden;
        wire_init(&WIRE_DescribeTransactionsResponse_TransactionState, &hidden);
        hidden.TransactionalId = row->TransactionalId;
        hidden.ErrorCode = request_denied(req, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, row->TransactionalId);
        if (hidden.ErrorCode != 0)
            *row = hidden;
        else
            hide_topics(req, row);
    }
}

void api_describe_transactions(struct request *req)
{
    struct broker *broker = req->broker;
    replay_lock(coord_txns_replay(broker->coord));
    txns_describe(coord_txns(broker->coord), req->body, req->res, &req->arena);
    replay_unlock(coord_txns_replay(broker->coord));
    hide_transactions(req);
    request_reply_durable(req, coord_txns_replay(broker->coord),
                          replay_end(coord_txns_replay(broker->coord)));
}

static bool matches(void *regex, struct str transactional_id)
{
    return regex_matches(regex, transactional_id);
}

static void hide_listed(struct request *req)
{
    struct ListTransactionsResponse *res = req->res;
    int32_t kept = 0;
    for (int32_t i = 0; i < res->TransactionStates.len; i++)
        if (request_may(req, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE,
                        res->TransactionStates.at[i].TransactionalId))
            res->TransactionStates.at[kept++] = res->TransactionStates.at[i];
    res->TransactionStates.len = kept;
}

void api_list_transactions(struct request *req)
{
    const struct ListTransactionsRequest *body = req->body;
    struct ListTransactionsResponse *res = req->res;
    struct broker *broker = req->broker;
    struct regex *regex = NULL;
    if (body->TransactionalIdPattern.len != 0) {
        regex = regex_new(body->TransactionalIdPattern, NULL);
        if (regex == NULL) {
            res->ErrorCode = TXN_INVALID_REGEX;
            request_reply(req);
            return;
        }
    }
    replay_lock(coord_txns_replay(broker->coord));
    txns_list(coord_txns(broker->coord), body, io_now_ms(broker->io), regex != NULL ? matches : NULL, regex,
              res, &req->arena);
    replay_unlock(coord_txns_replay(broker->coord));
    regex_free(regex);
    hide_listed(req);
    request_reply_durable(req, coord_txns_replay(broker->coord),
                          replay_end(coord_txns_replay(broker->coord)));
}
