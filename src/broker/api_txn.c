/* api_txn.c - transactions of clients: who comes (InitProducerId), what joins (AddPartitionsToTxn, AddOffsetsToTxn,
 * TxnOffsetCommit), how it ends (EndTxn, WriteTxnMarkers).
 *
 * The rules are those of `txn` (decide functions), the end is that of txn_end.c; here are versions, names of errors in each of
 * them, and what may be named: ids of the engine may not.
 * Answers wait for the records they tell of. A partition that joins by itself (KIP-890) is not waited for: what it has in
 * its log would bring it back (X3).
 */
#include "broker/broker_int.h"
#include "broker/parts_once.h"

enum {
    UNKNOWN_TOPIC = 3,
    NOT_AVAILABLE = 15,
    INVALID_GROUP = 24,
    NOT_ATTEMPTED = 55,
};

/* PRODUCER_FENCED came with a later version of each API; before, the epoch is what is invalid. */
static int16_t fenced_as(int16_t code, bool known)
{
    return code == TXN_FENCED && !known ? TXN_INVALID_EPOCH : code;
}

/* 0: a client may name this transactional id. */
static int16_t check_id(struct str id)
{
    if (id.len == 0)
        return TXN_INVALID_REQUEST;
    return txn_id_is_reserved(id) ? TXN_UNAUTHORIZED : 0;
}

/* The same, and whoever asks may write with it. */
static int16_t check_use(struct request *req, struct str id)
{
    int16_t denied = request_denied(req, ACL_TRANSACTIONAL_ID, ACL_WRITE, id);
    return denied != 0 ? denied : check_id(id);
}

static int16_t log_failed(const struct err *err)
{
    log_warn("broker", "transaction_log_failed", "cause=\"%s\"", err->text);
    return NOT_AVAILABLE;
}

static void reply_when_durable(struct request *req)
{
    struct replay *replay = coord_txns_replay(req->broker->coord);
    request_reply_durable(req, replay, replay_end(replay));
}

/* --- InitProducerId --- */

static void init_answer(struct request *req, int16_t error)
{
    enum { FENCED_VERSION = 4 };
    struct InitProducerIdResponse *res = req->res;
    res->ErrorCode = fenced_as(error, req->version >= FENCED_VERSION);
    if (error != 0) {
        res->ProducerId = -1;
        res->ProducerEpoch = -1;
        request_reply(req);
    } else {
        reply_when_durable(req);
    }
}

/* The one before is aborted; the client comes again, for an epoch that nobody has been told. */
static void on_fenced(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    init_answer(ending->arg, failure != NULL ? log_failed(failure) : TXN_CONCURRENT);
}

static void refill_and_init(struct request *req);

/* A transactional producer. fresh_pid -1: there is none at hand. */
static void init_transactional(struct request *req, int64_t fresh_pid)
{
    const struct InitProducerIdRequest *body = req->body;
    struct InitProducerIdResponse *res = req->res;
    struct broker *broker = req->broker;
    struct err err;
    struct txn_init init = {
        .transactional_id = body->TransactionalId,
        .timeout_ms = body->TransactionTimeoutMs,
        .pid = body->ProducerId,
        .epoch = body->ProducerEpoch,
        .fresh_pid = fresh_pid,
        .now_ms = io_now_ms(broker->io),
    };
    if (!replay_run(coord_txns_replay(broker->coord), txns_decide_init, &init, NULL, &err)) {
        init_answer(req, log_failed(&err));
    } else if (init.needs_pid && coord_take_producer_id(broker->coord, &fresh_pid)) {
        init_transactional(req, fresh_pid);
    } else if (init.needs_pid) {
        request_on_pool(req, refill_and_init);
    } else if (init.must_end) {
        txn_ending_start(&(struct txn_ending){.coord = broker->coord,
                                              .id = body->TransactionalId,
                                              .pid = init.txn.pid,
                                              .epoch = init.txn.epoch,
                                              .by = TXN_BY_SERVER,
                                              .fresh_pid = -1,
                                              .done = on_fenced,
                                              .arg = req});
    } else {
        res->ProducerId = init.txn.pid;
        res->ProducerEpoch = init.txn.epoch;
        init_answer(req, init.error);
    }
}

static void init_idempotent(struct request *req)
{
    struct InitProducerIdResponse *res = req->res;
    if (!coord_take_producer_id(req->broker->coord, &res->ProducerId)) {
        request_on_pool(req, refill_and_init);
        return;
    }
    res->ProducerEpoch = 0;
    request_reply(req);
}

static void init(struct request *req)
{
    const struct InitProducerIdRequest *body = req->body;
    if (str_is_null(body->TransactionalId))
        init_idempotent(req);
    else
        init_transactional(req, -1);
}

/* On the admin pool: a new block of ids has to be durable first. */
static void refill_and_init(struct request *req)
{
    struct err err;
    if (coord_refill_producer_ids(req->broker->coord, &err))
        init(req);
    else
        init_answer(req, log_failed(&err));
}

/* A producer without transactions: the right of the cluster, or to write to any topic. */
static int16_t check_idempotent(struct request *req)
{
    int16_t denied = request_denied_cluster(req, ACL_IDEMPOTENT_WRITE);
    return denied == 0 ? 0 : request_denied_everywhere(req, ACL_TOPIC, ACL_WRITE);
}

void api_init_producer_id(struct request *req)
{
    const struct InitProducerIdRequest *body = req->body;
    struct InitProducerIdResponse *res = req->res;
    bool transactional = !str_is_null(body->TransactionalId);
    int16_t error = transactional ? check_use(req, body->TransactionalId) : check_idempotent(req);
    res->ProducerEpoch = -1;
    if (transactional) {
        if (error == 0 && (body->TransactionTimeoutMs <= 0 ||
                           body->TransactionTimeoutMs > req->broker->config.coord.txn_timeout_ms_max))
            error = TXN_INVALID_TIMEOUT;
    }
    if (error == 0 && (body->ProducerId == -1) != (body->ProducerEpoch == -1))
        error = TXN_INVALID_REQUEST;
    if (error != 0)
        init_answer(req, error);
    else
        init(req);
}

/* --- AddPartitionsToTxn --- */

typedef struct AddPartitionsToTxnRequest_AddPartitionsToTxnTransaction asked_txn;
typedef struct AddPartitionsToTxnRequest_AddPartitionsToTxnTopic asked_topic;
typedef struct AddPartitionsToTxnResponse_AddPartitionsToTxnTopicResult topic_result;

/* One transaction of the request, in the shape of versions 4 and later. */
struct add_one {
    struct str id;
    int64_t pid;
    int16_t epoch;
    bool verify_only;
    const asked_topic *topics;
    topic_result *results;
    int32_t count;
};

/* All partitions in one list; codes[i] is that of each. */
struct add_list {
    struct txn_partition *at;
    int16_t *codes;
    size_t count;
};

static void list_partitions(struct request *req, const struct add_one *one, struct add_list *list)
{
    size_t total = 0;
    for (int32_t i = 0; i < one->count; i++)
        total += (size_t)MAX(one->topics[i].Partitions.len, 0);
    list->at = arena_array(&req->arena, struct txn_partition, total + 1);
    list->codes = arena_array(&req->arena, int16_t, total + 1);
    for (int32_t i = 0; i < one->count; i++)
        for (int32_t j = 0; j < one->topics[i].Partitions.len; j++)
            list->at[list->count++] =
                (struct txn_partition){one->topics[i].Name, one->topics[i].Partitions.at[j]};
}

static bool partition_exists(struct broker *broker, struct str topic, int32_t partition)
{
    struct partition *part = str_is_null(topic) ? NULL : storage_partition(broker->storage, topic, partition);
    partition_unref(part);
    return part != NULL;
}

/* One that does not exist, or may not be written to, spoils all: the others are not attempted. */
static bool check_all(struct request *req, struct add_list *list)
{
    bool all = true;
    for (size_t i = 0; i < list->count; i++) {
        const struct txn_partition *one = &list->at[i];
        int16_t code = request_denied(req, ACL_TOPIC, ACL_WRITE, one->topic);
        if (code == 0 && !partition_exists(req->broker, one->topic, one->partition))
            code = UNKNOWN_TOPIC;
        list->codes[i] = code != 0 ? code : NOT_ATTEMPTED;
        all = all && code == 0;
    }
    return all;
}

static void set_all(struct add_list *list, int16_t code)
{
    for (size_t i = 0; i < list->count; i++)
        list->codes[i] = code;
}

static int16_t verify(struct broker *broker, const struct add_one *one, struct add_list *list)
{
    replay_lock(coord_txns_replay(broker->coord));
    int16_t error = txns_verify(coord_txns(broker->coord), one->id, one->pid, one->epoch, list->at,
                                list->count, list->codes);
    replay_unlock(coord_txns_replay(broker->coord));
    return error;
}

static int16_t add(struct broker *broker, const struct add_one *one, int16_t version,
                   const struct add_list *list)
{
    struct err err;
    struct txn_add req = {.transactional_id = one->id,
                          .pid = one->pid,
                          .epoch = one->epoch,
                          .version = version,
                          .partitions = list->at,
                          .partition_count = list->count,
                          .now_ms = io_now_ms(broker->io)};
    return replay_run(coord_txns_replay(broker->coord), txns_decide_add, &req, NULL, &err) ? req.error
                                                                                           : log_failed(&err);
}

static void fill_results(struct request *req, const struct add_one *one, const struct add_list *list)
{
    size_t at = 0;
    for (int32_t i = 0; i < one->count; i++) {
        const asked_topic *topic = &one->topics[i];
        one->results[i].Name = topic->Name;
        WIRE_ALLOC(&req->arena, one->results[i].ResultsByPartition,
                   AddPartitionsToTxnResponse_AddPartitionsToTxnPartitionResult,
                   MAX(topic->Partitions.len, 0));
        for (int32_t j = 0; j < topic->Partitions.len; j++, at++) {
            one->results[i].ResultsByPartition.at[j].PartitionIndex = topic->Partitions.at[j];
            one->results[i].ResultsByPartition.at[j].PartitionErrorCode = list->codes[at];
        }
    }
}

static void add_one(struct request *req, const struct add_one *one)
{
    enum { FENCED_VERSION = 2, BATCHED_VERSION = 4 };
    struct add_list list = {0};
    list_partitions(req, one, &list);
    int16_t error = check_use(req, one->id);
    if (error != 0 || !check_all(req, &list)) {
        /* all is said */
    } else if (one->verify_only) {
        error = verify(req->broker, one, &list);
    } else {
        error = add(req->broker, one, req->version >= BATCHED_VERSION ? 2 : 0, &list);
        set_all(&list, 0);
    }
    if (error != 0)
        set_all(&list, fenced_as(error, req->version >= FENCED_VERSION));
    fill_results(req, one, &list);
}

static void add_old(struct request *req)
{
    const struct AddPartitionsToTxnRequest *body = req->body;
    struct AddPartitionsToTxnResponse *res = req->res;
    struct add_one one = {.id = body->V3AndBelowTransactionalId,
                          .pid = body->V3AndBelowProducerId,
                          .epoch = body->V3AndBelowProducerEpoch,
                          .topics = body->V3AndBelowTopics.at,
                          .count = MAX(body->V3AndBelowTopics.len, 0)};
    WIRE_ALLOC(&req->arena, res->ResultsByTopicV3AndBelow,
               AddPartitionsToTxnResponse_AddPartitionsToTxnTopicResult, one.count);
    one.results = res->ResultsByTopicV3AndBelow.at;
    add_one(req, &one);
}

static void add_batched(struct request *req)
{
    const struct AddPartitionsToTxnRequest *body = req->body;
    struct AddPartitionsToTxnResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->ResultsByTransaction, AddPartitionsToTxnResponse_AddPartitionsToTxnResult,
               MAX(body->Transactions.len, 0));
    for (int32_t i = 0; i < body->Transactions.len; i++) {
        const asked_txn *asked = &body->Transactions.at[i];
        struct AddPartitionsToTxnResponse_AddPartitionsToTxnResult *row = &res->ResultsByTransaction.at[i];
        struct add_one one = {.id = asked->TransactionalId,
                              .pid = asked->ProducerId,
                              .epoch = asked->ProducerEpoch,
                              .verify_only = asked->VerifyOnly,
                              .topics = asked->Topics.at,
                              .count = MAX(asked->Topics.len, 0)};
        row->TransactionalId = asked->TransactionalId;
        WIRE_ALLOC(&req->arena, row->TopicResults, AddPartitionsToTxnResponse_AddPartitionsToTxnTopicResult,
                   one.count);
        one.results = row->TopicResults.at;
        add_one(req, &one);
    }
}

void api_add_partitions_to_txn(struct request *req)
{
    enum { BATCHED_VERSION = 4 };
    if (req->version < BATCHED_VERSION)
        add_old(req);
    else
        add_batched(req);
    reply_when_durable(req);
}

/* --- offsets --- */

/* All groups keep their offsets in the one partition of their topic. */
static const struct txn_partition offsets_partition = {{OFFSETS_TOPIC, sizeof OFFSETS_TOPIC - 1}, 0};

void api_add_offsets_to_txn(struct request *req)
{
    enum { FENCED_VERSION = 2 };
    const struct AddOffsetsToTxnRequest *body = req->body;
    struct AddOffsetsToTxnResponse *res = req->res;
    struct add_one one = {.id = body->TransactionalId, .pid = body->ProducerId, .epoch = body->ProducerEpoch};
    struct add_list list = {.at = (struct txn_partition *)&offsets_partition, .count = 1};
    int16_t error = check_use(req, one.id);
    if (error == 0)
        error = request_denied(req, ACL_GROUP, ACL_READ, body->GroupId);
    if (error == 0)
        error = add(req->broker, &one, 0, &list);
    res->ErrorCode = fenced_as(error, req->version >= FENCED_VERSION);
    reply_when_durable(req);
}

int16_t txn_admit(struct broker *broker, struct str id, int64_t pid, int16_t epoch, bool joins,
                  const struct txn_partition *partitions, size_t count, int16_t *codes)
{
    struct add_one one = {.id = id, .pid = pid, .epoch = epoch};
    struct add_list list = {.at = (struct txn_partition *)partitions, .codes = codes, .count = count};
    int16_t error = check_id(id);
    if (error == 0 && !joins)
        return verify(broker, &one, &list);
    set_all(&list, 0);
    return error != 0 ? error : add(broker, &one, 2, &list);
}

/* What keeps TxnOffsetCommit from its transaction, in the terms of the version; 0: nothing. */
static int16_t admit_offsets(struct request *req)
{
    enum { ABORTABLE_VERSION = 4, JOINS_VERSION = 5 };
    const struct TxnOffsetCommitRequest *body = req->body;
    int16_t code = request_denied(req, ACL_TRANSACTIONAL_ID, ACL_WRITE, body->TransactionalId);
    if (code == 0)
        code = request_denied(req, ACL_GROUP, ACL_READ, body->GroupId);
    if (code != 0)
        return code;
    if (body->GroupId.len == 0)
        return INVALID_GROUP;
    int16_t error = txn_admit(req->broker, body->TransactionalId, body->ProducerId, body->ProducerEpoch,
                              req->version >= JOINS_VERSION, &offsets_partition, 1, &code);
    if (error == TXN_CONCURRENT && req->version < JOINS_VERSION)
        return NOT_AVAILABLE; /* which these versions try again */
    if (error == 0 && code == TXN_ABORTABLE && req->version < ABORTABLE_VERSION)
        return TXN_INVALID_STATE;
    return error != 0 ? fenced_as(error, false) : code;
}

/* A topic that may not be read is none to commit to; name_denied names the cause. */
static bool may_commit(void *arg, struct str topic, int32_t partition)
{
    struct request *req = arg;
    return request_denied(req, ACL_TOPIC, ACL_READ, topic) == 0 &&
           partition_exists(req->broker, topic, partition);
}

static void name_denied(struct request *req)
{
    struct TxnOffsetCommitResponse *res = req->res;
    for (int32_t i = 0; i < res->Topics.len; i++) {
        int16_t denied = request_denied(req, ACL_TOPIC, ACL_READ, res->Topics.at[i].Name);
        for (int32_t j = 0; denied != 0 && j < res->Topics.at[i].Partitions.len; j++)
            res->Topics.at[i].Partitions.at[j].ErrorCode = denied;
    }
}

/* What is not there is told so before anything about the transaction, but after rights. */
static void name_unknown(struct request *req, int16_t error)
{
    enum { NO_GROUP = 30, NO_TRANSACTIONAL_ID = 53 };
    struct TxnOffsetCommitResponse *res = req->res;
    if (error == NO_GROUP || error == NO_TRANSACTIONAL_ID || error == INVALID_GROUP)
        return;
    for (int32_t i = 0; i < res->Topics.len; i++)
        for (int32_t j = 0; j < res->Topics.at[i].Partitions.len; j++)
            if (!partition_exists(req->broker, res->Topics.at[i].Name,
                                  res->Topics.at[i].Partitions.at[j].PartitionIndex))
                res->Topics.at[i].Partitions.at[j].ErrorCode = UNKNOWN_TOPIC;
    name_denied(req);
}

static void drop_empty(const struct TxnOffsetCommitRequest *body)
{
    static const struct parts_shape shape =
        PARTS_SHAPE(TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic, Name, false, Partitions,
                    TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition, PartitionIndex);
    parts_drop_empty(&shape, &body->Topics);
}

void api_txn_offset_commit(struct request *req)
{
    const struct TxnOffsetCommitRequest *body = req->body;
    struct broker *broker = req->broker;
    struct group_effects effects = {0};
    struct err err;
    struct group_call call = {.now_ms = io_now_ms(broker->io),
                              .version = req->version,
                              .req = body,
                              .res = req->res,
                              .arena = &req->arena,
                              .effects = &effects,
                              .partition_exists = may_commit,
                              .exists_arg = req};
    int64_t end_offset = 0;
    drop_empty(body);
    pthread_rwlock_t *appends = txn_append_lock(broker->coord, body->TransactionalId);
    pthread_rwlock_rdlock(appends);
    int16_t error = admit_offsets(req);
    if (error == 0 &&
        !replay_run(coord_groups_replay(broker->coord), group_decide_txn_commit, &call, &end_offset, &err))
        error = log_failed(&err);
    pthread_rwlock_unlock(appends);
    if (error != 0) {
        group_txn_commit_answer(body, req->res, error, &req->arena);
        name_unknown(req, error);
        request_reply(req);
    } else {
        name_denied(req);
        request_reply_durable(req, coord_groups_replay(broker->coord), end_offset);
    }
}

/* --- EndTxn --- */

enum { END_ABORTABLE_VERSION = 4, END_BUMP_VERSION = 5 };

static void on_ended(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    enum { FENCED_VERSION = 2 };
    struct request *req = ending->arg;
    struct EndTxnResponse *res = req->res;
    if (failure !=
        NULL) { /* it cannot be committed, as what it has written is not on the disk; or not yet (X5) */
        int16_t later = log_failed(failure); /* the answer says what the client can do */
        error = failure->code == ERR_COORDINATOR_NOT_AVAILABLE ? later
                : req->version >= END_ABORTABLE_VERSION        ? TXN_ABORTABLE
                                                               : TXN_INVALID_STATE;
    }
    res->ErrorCode = fenced_as(error, req->version >= FENCED_VERSION);
    if (error == 0) {
        res->ProducerId = ending->next_pid;
        res->ProducerEpoch = ending->next_epoch;
    }
    if (error == 0 && ending->outcome.pid < 0) /* a repeated call: nothing of it was waited for */
        reply_when_durable(req);
    else
        request_reply(req);
}

/* What the partitions of the transaction hold is waited for, so that it is durable as a whole or not at all. */
static struct txn_input *list_inputs(struct request *req, struct str id, size_t *input_count)
{
    struct broker *broker = req->broker;
    size_t count;
    replay_lock(coord_txns_replay(broker->coord));
    struct txn_partition *list = txns_partitions(coord_txns(broker->coord), id, &count, &req->arena);
    replay_unlock(coord_txns_replay(broker->coord));
    struct txn_input *inputs = mem_zalloc(count + 1, sizeof *inputs);
    *input_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct partition *part = storage_partition(broker->storage, list[i].topic, list[i].partition);
        if (part != NULL)
            inputs[(*input_count)++] =
                (struct txn_input){.part = part,
                                   .appended = {.end_offset = log_end_offset(partition_log(part))},
                                   .any_incarnation = true};
    }
    return inputs;
}

static void start_end(struct request *req, int64_t fresh_pid)
{
    const struct EndTxnRequest *body = req->body;
    struct txn_ending ending = {.coord = req->broker->coord,
                                .id = body->TransactionalId,
                                .pid = body->ProducerId,
                                .epoch = body->ProducerEpoch,
                                .fresh_pid = fresh_pid,
                                .commit = body->Committed,
                                .by = req->version >= END_BUMP_VERSION ? TXN_BY_V2 : TXN_BY_V1,
                                .done = on_ended,
                                .arg = req};
    if (body->Committed)
        ending.inputs = list_inputs(req, body->TransactionalId, &ending.input_count);
    txn_ending_start(&ending);
}

/* On the admin pool. */
static void refill_and_end(struct request *req)
{
    struct EndTxnResponse *res = req->res;
    struct err err;
    int64_t fresh_pid;
    if (coord_producer_id(req->broker->coord, &fresh_pid, &err)) {
        start_end(req, fresh_pid);
        return;
    }
    res->ErrorCode = log_failed(&err);
    request_reply(req);
}

void api_end_txn(struct request *req)
{
    const struct EndTxnRequest *body = req->body;
    struct EndTxnResponse *res = req->res;
    int64_t fresh_pid = -1;
    res->ErrorCode = check_use(req, body->TransactionalId);
    if (res->ErrorCode != 0)
        request_reply(req);
    else if (req->version >= END_BUMP_VERSION && body->ProducerEpoch >= TXN_EPOCH_LAST &&
             !coord_take_producer_id(req->broker->coord, &fresh_pid))
        request_on_pool(req, refill_and_end);
    else
        start_end(req, fresh_pid);
}

/* --- WriteTxnMarkers --- */

typedef struct WriteTxnMarkersRequest_WritableTxnMarker asked_marker;

/* A partition whose marker waits for its sync. */
struct marker_wait {
    struct partition_wait wait;
    struct request *req;
    int16_t *code;
};

static void on_marker_durable(struct partition_wait *wait, const struct err *failure)
{
    struct marker_wait *marker = (struct marker_wait *)wait;
    struct request *req = marker->req;
    if (failure != NULL)
        *marker->code = error_code_of(failure);
    if (atomic_fetch_sub(&req->left, 1) == 1)
        request_reply(req);
}

/* No client decides for the engine. */
static bool is_engine_pid(struct broker *broker, int64_t pid)
{
    struct str id;
    struct txn txn;
    bool is = false;
    replay_lock(coord_txns_replay(broker->coord));
    for (size_t i = 0; !is && txns_next(coord_txns(broker->coord), &i, &id, &txn);)
        is = txn.pid == pid && txn_id_is_reserved(id);
    replay_unlock(coord_txns_replay(broker->coord));
    return is;
}

static void write_one(struct request *req, const asked_marker *asked, struct str topic, int32_t partition,
                      int16_t *code)
{
    struct txn_outcome outcome = {asked->ProducerId, asked->ProducerEpoch, asked->ProducerEpoch,
                                  asked->TransactionResult};
    struct partition_appended appended;
    struct err err;
    struct partition *part = storage_partition(req->broker->storage, topic, partition);
    if (part == NULL) {
        *code = UNKNOWN_TOPIC;
        return;
    }
    if (asked->ProducerId < 0)
        *code = TXN_INVALID_REQUEST;
    else if (!txn_write_marker(req->broker->coord, part, &outcome, asked->CoordinatorEpoch, &appended,
                               &err)) {
        *code = error_code_of(&err);
    } else {
        struct marker_wait *marker = arena_new(&req->arena, struct marker_wait);
        *marker = (struct marker_wait){.wait.fn = on_marker_durable, .req = req, .code = code};
        atomic_fetch_add(&req->left, 1);
        partition_when_durable(part, appended.end_offset, &marker->wait);
    }
    partition_unref(part);
}

static void write_marker(struct request *req, const asked_marker *asked,
                         struct WriteTxnMarkersResponse_WritableTxnMarkerResult *result)
{
    int16_t refused = request_denied_cluster(req, ACL_CLUSTER_ACTION);
    if (refused != 0)
        refused = request_denied_cluster(req, ACL_ALTER);
    if (refused == 0 && is_engine_pid(req->broker, asked->ProducerId))
        refused = TXN_UNAUTHORIZED;
    result->ProducerId = asked->ProducerId;
    WIRE_ALLOC(&req->arena, result->Topics, WriteTxnMarkersResponse_WritableTxnMarkerTopicResult,
               MAX(asked->Topics.len, 0));
    for (int32_t i = 0; i < asked->Topics.len; i++) {
        const struct WriteTxnMarkersRequest_WritableTxnMarkerTopic *topic = &asked->Topics.at[i];
        struct WriteTxnMarkersResponse_WritableTxnMarkerTopicResult *row = &result->Topics.at[i];
        row->Name = topic->Name;
        WIRE_ALLOC(&req->arena, row->Partitions, WriteTxnMarkersResponse_WritableTxnMarkerPartitionResult,
                   MAX(topic->PartitionIndexes.len, 0));
        for (int32_t j = 0; j < topic->PartitionIndexes.len; j++) {
            row->Partitions.at[j].PartitionIndex = topic->PartitionIndexes.at[j];
            if (refused != 0)
                row->Partitions.at[j].ErrorCode = refused;
            else
                write_one(req, asked, topic->Name, topic->PartitionIndexes.at[j],
                          &row->Partitions.at[j].ErrorCode);
        }
    }
}

void api_write_txn_markers(struct request *req)
{
    const struct WriteTxnMarkersRequest *body = req->body;
    struct WriteTxnMarkersResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Markers, WriteTxnMarkersResponse_WritableTxnMarkerResult,
               MAX(body->Markers.len, 0));
    atomic_store(&req->left, 1); /* ours, until all are written */
    for (int32_t i = 0; i < body->Markers.len; i++)
        write_marker(req, &body->Markers.at[i], &res->Markers.at[i]);
    if (atomic_fetch_sub(&req->left, 1) == 1)
        request_reply(req);
}
