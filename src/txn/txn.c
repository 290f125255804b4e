/* txn.c - the state of transactions: decide and apply (see txn.h). */
#include "txn/txn.h"

enum {
    KEY_TXN = 0,
    KEY_PRODUCER_IDS = 100,
    TXN_VALUE_VERSION = 1,
    EPOCH_LAST = INT16_MAX - 1, /* Kafka keeps the last one for fencing */
    TIMEOUT_MS = 60000, /* what the records say; transactions of this process end with it, not by time */
};

struct txns {
    struct map by_id; /* transactional id -> struct txn */
    int64_t next_pid;
};

struct txns *txns_new(void)
{
    return mem_new(struct txns);
}

void txns_free(struct txns *txns)
{
    if (txns == NULL)
        return;
    void *txn;
    for (size_t i = 0; map_next(&txns->by_id, &i, NULL, &txn);)
        free(txn);
    map_fini(&txns->by_id);
    free(txns);
}

const char *txn_status_name(enum txn_status status)
{
    static const char *const names[] = {"Empty",        "Ongoing",        "PrepareCommit",
                                        "PrepareAbort", "CompleteCommit", "CompleteAbort"};
    return status <= TXN_COMPLETE_ABORT ? names[status] : "Unknown";
}

bool txns_find(const struct txns *txns, struct str transactional_id, struct txn *out)
{
    const struct txn *txn = map_get(&txns->by_id, transactional_id);
    if (txn == NULL)
        return false;
    *out = *txn;
    return true;
}

bool txns_next(const struct txns *txns, size_t *pos, struct str *transactional_id, struct txn *out)
{
    void *txn;
    if (!map_next(&txns->by_id, pos, transactional_id, &txn))
        return false;
    *out = *(struct txn *)txn;
    return true;
}

bool txns_needs_pid(const struct txns *txns, struct str transactional_id)
{
    const struct txn *txn = map_get(&txns->by_id, transactional_id);
    return txn == NULL || txn->epoch >= EPOCH_LAST;
}

/* --- records --- */

static struct str txn_key(struct buf *key, struct str transactional_id)
{
    wire_encode_typed(&TransactionLogKey_message, 0,
                      &(struct TransactionLogKey){.TransactionalId = transactional_id}, key);
    return buf_str(key);
}

/* Rows of one topic each; partitions of a topic may come in any order. */
static void fill_partitions(struct TransactionLogValue *value, const struct txn_partition *partitions,
                            size_t count, struct arena *arena)
{
    WIRE_ALLOC(arena, value->TransactionPartitions, TransactionLogValue_PartitionsSchema, count);
    value->TransactionPartitions.len = 0;
    for (size_t i = 0; i < count; i++) {
        struct TransactionLogValue_PartitionsSchema *row = NULL;
        for (int32_t j = 0; j < value->TransactionPartitions.len && row == NULL; j++)
            if (str_eq(value->TransactionPartitions.at[j].Topic, partitions[i].topic))
                row = &value->TransactionPartitions.at[j];
        if (row == NULL) {
            row = &value->TransactionPartitions.at[value->TransactionPartitions.len++];
            row->Topic = partitions[i].topic;
            row->PartitionIds.at = arena_array(arena, int32_t, count);
        }
        row->PartitionIds.at[row->PartitionIds.len++] = partitions[i].partition;
    }
}

static void add_txn(struct str transactional_id, const struct txn *txn,
                    const struct txn_partition *partitions, size_t partition_count,
                    struct replay_records *out)
{
    struct arena arena = {0};
    struct buf key = {0}, bytes = {0};
    struct TransactionLogValue value;
    wire_init(&WIRE_TransactionLogValue, &value);
    value.ProducerId = txn->pid;
    value.ProducerEpoch = txn->epoch;
    value.TransactionTimeoutMs = TIMEOUT_MS;
    value.TransactionStatus = (int8_t)txn->status;
    value.TransactionLastUpdateTimestampMs = txn->update_ms;
    value.TransactionStartTimestampMs = txn->start_ms;
    fill_partitions(&value, partitions, partition_count, &arena);
    txn_key(&key, transactional_id);
    wire_encode_typed(&TransactionLogValue_message, TXN_VALUE_VERSION, &value, &bytes);
    replay_add(out, buf_str(&key), buf_str(&bytes), txn->update_ms);
    buf_fini(&key);
    buf_fini(&bytes);
    arena_fini(&arena);
}

static void add_producer_ids(int64_t next_pid, int64_t now_ms, struct replay_records *out)
{
    struct buf key = {0}, bytes = {0};
    struct ProducerIdsKey key_fields = {0};
    wire_encode_typed(&ProducerIdsKey_message, 0, &key_fields, &key);
    wire_encode_typed(&ProducerIdsValue_message, 0, &(struct ProducerIdsValue){.NextProducerId = next_pid},
                      &bytes);
    replay_add(out, buf_str(&key), buf_str(&bytes), now_ms);
    buf_fini(&key);
    buf_fini(&bytes);
}

static void snapshot(void *state, struct replay_records *out)
{
    struct txns *txns = state;
    struct str id;
    struct txn txn;
    add_producer_ids(txns->next_pid, 0, out);
    for (size_t i = 0; txns_next(txns, &i, &id, &txn);) {
        struct txn decided = txn;
        decided.pid = txn.decided_pid;
        decided.epoch = txn.decided_epoch;
        decided.status = txn.decided_commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
        if (txn.status == TXN_ONGOING && txn.decided_pid >= 0)
            add_txn(id, &decided, NULL, 0, out);
        add_txn(id, &txn, NULL, 0, out);
    }
}

/* --- apply --- */

static bool apply_txn(struct txns *txns, const struct replay_record *rec, struct arena *arena,
                      struct err *err)
{
    struct TransactionLogKey key;
    struct TransactionLogValue value;
    if (!wire_decode(&TransactionLogKey_message, 0, str_sub(rec->key, 2, rec->key.len), &key, NULL, arena,
                     err))
        return false;
    if (str_is_null(rec->value)) {
        free(map_remove(&txns->by_id, key.TransactionalId));
        return true;
    }
    if (!wire_decode_value(&TransactionLogValue_message, rec->value, &value, arena, err))
        return false;
    if (value.TransactionStatus < TXN_EMPTY || value.TransactionStatus > TXN_COMPLETE_ABORT)
        return err_set(err, ERR_CORRUPT, "transaction status %d is not known", value.TransactionStatus);
    struct txn *txn = map_get(&txns->by_id, key.TransactionalId);
    if (txn == NULL) {
        txn = mem_new(struct txn);
        txn->decided_pid = -1;
        map_put(&txns->by_id, key.TransactionalId, txn);
    }
    txn->pid = value.ProducerId;
    txn->epoch = value.ProducerEpoch;
    txn->status = (enum txn_status)value.TransactionStatus;
    txn->start_ms = value.TransactionStartTimestampMs;
    txn->update_ms = value.TransactionLastUpdateTimestampMs;
    if (txn->status >= TXN_PREPARE_COMMIT) {
        txn->decided_pid = txn->pid;
        txn->decided_epoch = txn->epoch;
        txn->decided_commit = txn->status == TXN_PREPARE_COMMIT || txn->status == TXN_COMPLETE_COMMIT;
    }
    return true;
}

static bool apply_producer_ids(struct txns *txns, const struct replay_record *rec, struct arena *arena,
                               struct err *err)
{
    struct ProducerIdsValue value;
    if (!wire_decode_value(&ProducerIdsValue_message, rec->value, &value, arena, err))
        return false;
    txns->next_pid = MAX(txns->next_pid, value.NextProducerId);
    return true;
}

static bool apply(void *state, const struct replay_record *rec, struct err *err)
{
    struct arena arena = {0};
    bool good;
    if (rec->key.len < 2)
        return err_set(err, ERR_CORRUPT, "key of %zu bytes is too short", rec->key.len);
    switch (load_be16(rec->key.ptr)) {
    case KEY_TXN:
        good = apply_txn(state, rec, &arena, err);
        break;
    case KEY_PRODUCER_IDS:
        good = apply_producer_ids(state, rec, &arena, err);
        break;
    default:
        good = err_set(err, ERR_CORRUPT, "record type %u is not known", load_be16(rec->key.ptr));
    }
    arena_fini(&arena);
    return good;
}

const struct replay_class txns_class = {.name = "transactions", .apply = apply, .snapshot = snapshot};

/* --- decide --- */

bool txns_decide_reserve(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txns *txns = state;
    struct txn_reserve *req = request;
    req->first = txns->next_pid;
    add_producer_ids(txns->next_pid + req->count, req->now_ms, out);
    return true;
}

bool txns_decide_begin(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txns *txns = state;
    struct txn_begin *req = request;
    struct txn before = {0};
    bool known = txns_find(txns, req->transactional_id, &before);
    if (known && before.status >= TXN_ONGOING && before.status <= TXN_PREPARE_ABORT)
        return err_set(err, ERR_CONCURRENT_TRANSACTIONS,
                       "transaction '%.*s' (producer id %lld, epoch %d) is %s",
                       STR_ARG(req->transactional_id), (long long)before.pid, before.epoch,
                       txn_status_name(before.status));
    req->took_fresh_pid = txns_needs_pid(txns, req->transactional_id);
    req->txn = (struct txn){
        .pid = req->took_fresh_pid ? req->fresh_pid : before.pid,
        .epoch = req->took_fresh_pid ? 0 : (int16_t)(before.epoch + 1),
        .status = TXN_ONGOING,
        .start_ms = req->now_ms,
        .update_ms = req->now_ms,
    };
    add_txn(req->transactional_id, &req->txn, NULL, 0, out);
    return true;
}

/* What may follow what. */
static bool follows(enum txn_status from, enum txn_status to)
{
    static const struct {
        enum txn_status from, to;
    } steps[] = {
        {TXN_ONGOING, TXN_PREPARE_COMMIT},
        {TXN_ONGOING, TXN_PREPARE_ABORT},
        {TXN_PREPARE_COMMIT, TXN_COMPLETE_COMMIT},
        {TXN_PREPARE_ABORT, TXN_COMPLETE_ABORT},
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        if (steps[i].from == from && steps[i].to == to)
            return true;
    return false;
}

bool txns_decide_change(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct txn_change *req = request;
    struct txn txn;
    bool known = txns_find(state, req->transactional_id, &txn);
    if (!known || txn.pid != req->pid || txn.epoch != req->epoch)
        return err_set(err, ERR_PRODUCER_FENCED,
                       "transaction '%.*s' is not (producer id %lld, epoch %d) any more",
                       STR_ARG(req->transactional_id), (long long)req->pid, req->epoch);
    if (!follows(txn.status, req->to))
        return err_set(err, ERR_INVALID_TXN_STATE, "transaction '%.*s' is %s and cannot become %s",
                       STR_ARG(req->transactional_id), txn_status_name(txn.status), txn_status_name(req->to));
    txn.status = req->to;
    txn.update_ms = req->now_ms;
    add_txn(req->transactional_id, &txn, req->partitions, req->partition_count, out);
    return true;
}

bool txns_decide_burn(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct txn_change *req = request;
    struct txn txn = {
        .pid = req->pid,
        .epoch = req->epoch,
        .status = TXN_COMPLETE_ABORT,
        .start_ms = req->now_ms,
        .update_ms = req->now_ms,
    };
    add_txn(req->transactional_id, &txn, NULL, 0, out);
    return true;
}
