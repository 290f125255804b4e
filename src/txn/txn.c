/* txn.c - the state of transactions: ids in memory, their records, apply and readers (see txn.h). */
#include "txn/txn_int.h"

enum {
    KEY_TXN = 0,
    KEY_PRODUCER_IDS = 100,
    TXN_VALUE_VERSION = 1,
};

struct txns *txns_new(void)
{
    return mem_new(struct txns);
}

static void entry_free(struct txn_entry *entry)
{
    if (entry == NULL)
        return;
    map_fini(&entry->partitions);
    map_fini(&entry->decided);
    free(entry);
}

void txns_free(struct txns *txns)
{
    if (txns == NULL)
        return;
    void *entry;
    for (size_t i = 0; map_next(&txns->by_id, &i, NULL, &entry);)
        entry_free(entry);
    map_fini(&txns->by_id);
    free(txns);
}

const char *txn_status_name(enum txn_status status)
{
    static const char *const names[] = {"Empty",        "Ongoing",        "PrepareCommit",
                                        "PrepareAbort", "CompleteCommit", "CompleteAbort"};
    return status < TXN_STATUS_COUNT ? names[status] : "Unknown";
}

/* --- readers --- */

bool txns_find(const struct txns *txns, struct str transactional_id, struct txn *out)
{
    const struct txn_entry *entry = txn_entry_find(txns, transactional_id);
    if (entry == NULL)
        return false;
    *out = entry->txn;
    return true;
}

bool txns_next(const struct txns *txns, size_t *pos, struct str *transactional_id, struct txn *out)
{
    void *entry;
    if (!map_next(&txns->by_id, pos, transactional_id, &entry))
        return false;
    *out = ((struct txn_entry *)entry)->txn;
    return true;
}

struct str txn_partition_key(struct buf *buf, const struct txn_partition *partition)
{
    buf_clear(buf);
    store_be32(buf_extend(buf, 4), (uint32_t)partition->partition);
    buf_append_str(buf, partition->topic);
    return buf_str(buf);
}

struct txn_partition txn_partition_of_key(struct str key)
{
    return (struct txn_partition){str_sub(key, 4, key.len), (int32_t)load_be32(key.ptr)};
}

struct txn_partition *txns_partitions(const struct txns *txns, struct str transactional_id, size_t *count,
                                      struct arena *arena)
{
    const struct txn_entry *entry = txn_entry_find(txns, transactional_id);
    struct str key;
    *count = 0;
    if (entry == NULL)
        return NULL;
    struct txn_partition *list = arena_array(arena, struct txn_partition, entry->partitions.len + 1);
    for (size_t i = 0; map_next(&entry->partitions, &i, &key, NULL);) {
        struct txn_partition at = txn_partition_of_key(key);
        list[(*count)++] = (struct txn_partition){str_dup(at.topic, arena), at.partition};
    }
    return list;
}

static bool is_prepared(const struct txn *txn)
{
    return txn->status == TXN_PREPARE_COMMIT || txn->status == TXN_PREPARE_ABORT;
}

bool txns_decided_in(const struct txns *txns, struct str transactional_id, const struct txn_partition *at)
{
    const struct txn_entry *entry = txn_entry_find(txns, transactional_id);
    struct buf buf = {0};
    bool in =
        entry != NULL && entry->txn.decided.pid >= 0 &&
        map_has(is_prepared(&entry->txn) ? &entry->partitions : &entry->decided, txn_partition_key(&buf, at));
    buf_fini(&buf);
    return in;
}

int16_t txns_verify(const struct txns *txns, struct str transactional_id, int64_t pid, int16_t epoch,
                    const struct txn_partition *partitions, size_t count, int16_t *codes)
{
    const struct txn_entry *entry = txn_entry_find(txns, transactional_id);
    struct buf buf = {0};
    if (entry == NULL || entry->txn.pid != pid)
        return TXN_INVALID_MAPPING;
    if (entry->txn.epoch != epoch)
        return TXN_FENCED;
    if (entry->txn.status == TXN_PREPARE_COMMIT || entry->txn.status == TXN_PREPARE_ABORT)
        return TXN_CONCURRENT;
    for (size_t i = 0; i < count; i++)
        codes[i] = entry->txn.status == TXN_ONGOING &&
                           map_has(&entry->partitions, txn_partition_key(&buf, &partitions[i]))
                       ? TXN_NONE
                       : TXN_ABORTABLE;
    buf_fini(&buf);
    return TXN_NONE;
}

enum txn_owner txn_of_open(const struct txn *txn, int64_t pid, int16_t epoch)
{
    const struct txn_outcome *decided = &txn->decided;
    bool preparing = txn->status == TXN_PREPARE_COMMIT || txn->status == TXN_PREPARE_ABORT;
    bool bumped = decided->marker_epoch != decided->data_epoch;
    /* Without a bump the markers are durable before Complete (T3): what is open then is of the next one. */
    if (decided->pid == pid && epoch <= decided->data_epoch && (bumped || preparing))
        return TXN_OWNER_DECIDED;
    return txn->pid == pid && txn->epoch == epoch ? TXN_OWNER_PRESENT : TXN_OWNER_NONE;
}

struct txn_outcome txn_outcome_of(const struct txn *txn, int16_t epoch)
{
    struct txn_outcome outcome = txn->decided;
    ASSERT(epoch <= outcome.data_epoch);
    if (epoch < outcome.data_epoch)
        outcome.commit = false;
    outcome.data_epoch = epoch;
    return outcome;
}

/* --- records --- */

static struct str txn_key(struct buf *key, struct str transactional_id)
{
    wire_encode_typed(&TransactionLogKey_message, 0,
                      &(struct TransactionLogKey){.TransactionalId = transactional_id}, key);
    return buf_str(key);
}

void txn_rows_of(const struct map *map, const struct txn_partition *more, size_t more_count,
                 struct arena *arena, struct txn_rows *out)
{
    struct map by_topic = {0}; /* topic -> index of its row + 1 */
    struct buf buf = {0};
    struct str key;
    size_t count = 0, cap = more_count + (map != NULL ? map->len : 0);
    struct txn_partition *all = arena_array(arena, struct txn_partition, cap + 1);
    size_t *row_of = arena_array(arena, size_t, cap + 1);
    for (size_t i = 0; map != NULL && map_next(map, &i, &key, NULL);)
        all[count++] = txn_partition_of_key(key);
    for (size_t i = 0; i < more_count; i++)
        if (map == NULL || !map_has(map, txn_partition_key(&buf, &more[i])))
            all[count++] = more[i];
    *out = (struct txn_rows){.at = arena_array(arena, struct txn_row, count + 1)};
    for (size_t i = 0; i < count; i++) {
        size_t row = (size_t)(uintptr_t)map_get(&by_topic, all[i].topic);
        if (row == 0) {
            row = ++out->len;
            out->at[row - 1].topic = all[i].topic;
            map_put(&by_topic, all[i].topic, (void *)(uintptr_t)row); /* NOLINT: a number in a pointer */
        }
        row_of[i] = row - 1;
        out->at[row - 1].count++;
    }
    for (size_t i = 0; i < out->len; i++) {
        out->at[i].partitions = arena_array(arena, int32_t, out->at[i].count);
        out->at[i].count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct txn_row *row = &out->at[row_of[i]];
        row->partitions[row->count++] = all[i].partition;
    }
    map_fini(&by_topic);
    buf_fini(&buf);
}

static void fill_partitions(struct TransactionLogValue *value, const struct txn_entry *entry,
                            const struct txn_partition *more, size_t more_count, struct arena *arena)
{
    struct txn_rows rows;
    txn_rows_of(entry != NULL ? &entry->partitions : NULL, more, more_count, arena, &rows);
    WIRE_ALLOC(arena, value->TransactionPartitions, TransactionLogValue_PartitionsSchema, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        value->TransactionPartitions.at[i].Topic = rows.at[i].topic;
        value->TransactionPartitions.at[i].PartitionIds.at = rows.at[i].partitions;
        value->TransactionPartitions.at[i].PartitionIds.len = (int32_t)rows.at[i].count;
    }
}

/* Beside a Prepare they are the transaction's own. */
static void fill_decided(struct TransactionLogValue *value, const struct map *decided, struct arena *arena)
{
    struct txn_rows rows;
    txn_rows_of(decided, NULL, 0, arena, &rows);
    WIRE_ALLOC(arena, value->DecidedPartitions, TransactionLogValue_DecidedPartitionsSchema, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        value->DecidedPartitions.at[i].Topic = rows.at[i].topic;
        value->DecidedPartitions.at[i].PartitionIds.at = rows.at[i].partitions;
        value->DecidedPartitions.at[i].PartitionIds.len = (int32_t)rows.at[i].count;
    }
}

/* `snapshot`: it stands alone, the record that has decided is not there any more. */
static void add_record(struct str transactional_id, const struct txn *txn, const struct txn_entry *entry,
                       const struct txn_partition *more, size_t more_count, bool snapshot,
                       struct replay_records *out)
{
    struct arena arena = {0};
    struct buf key = {0}, bytes = {0};
    struct TransactionLogValue value;
    wire_init(&WIRE_TransactionLogValue, &value);
    value.ProducerId = txn->pid;
    value.PreviousProducerId = txn->prev_pid;
    value.NextProducerId = txn->next_pid;
    value.ProducerEpoch = txn->epoch;
    value.NextProducerEpoch = txn->next_pid >= 0 ? 0 : -1;
    value.TransactionTimeoutMs = txn->timeout_ms;
    value.TransactionStatus = (int8_t)txn->status;
    value.TransactionLastUpdateTimestampMs = txn->update_ms;
    value.TransactionStartTimestampMs = txn->start_ms;
    value.ClientTransactionVersion = txn->version;
    value.LastProducerEpoch = txn->last_epoch;
    value.DecidedProducerId = txn->decided.pid;
    value.DecidedEpoch = txn->decided.data_epoch;
    value.DecidedMarkerEpoch = txn->decided.marker_epoch;
    value.DecidedCommit = txn->decided.commit;
    fill_partitions(&value, entry, more, more_count, &arena);
    if (snapshot && !is_prepared(txn))
        fill_decided(&value, &entry->decided, &arena);
    txn_key(&key, transactional_id);
    wire_encode_typed(&TransactionLogValue_message, TXN_VALUE_VERSION, &value, &bytes);
    replay_add(out, buf_str(&key), buf_str(&bytes), txn->update_ms);
    buf_fini(&key);
    buf_fini(&bytes);
    arena_fini(&arena);
}

void txn_add_record(struct str transactional_id, const struct txn *txn, const struct txn_entry *entry,
                    const struct txn_partition *more, size_t more_count, struct replay_records *out)
{
    add_record(transactional_id, txn, entry, more, more_count, false, out);
}

void txn_add_tombstone(struct str transactional_id, int64_t now_ms, struct replay_records *out)
{
    struct buf key = {0};
    replay_add(out, txn_key(&key, transactional_id), STR_NULL, now_ms);
    buf_fini(&key);
}

void txn_add_producer_ids(int64_t next_pid, int64_t now_ms, struct replay_records *out)
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
    void *entry_ptr;
    txn_add_producer_ids(txns->next_pid, 0, out);
    for (size_t i = 0; map_next(&txns->by_id, &i, &id, &entry_ptr);) {
        const struct txn_entry *entry = entry_ptr;
        add_record(id, &entry->txn, entry, NULL, 0, true, out);
    }
}

/* --- apply --- */

static struct txn txn_of_value(const struct TransactionLogValue *value)
{
    struct txn txn = {
        .pid = value->ProducerId,
        .prev_pid = value->PreviousProducerId,
        .next_pid = value->NextProducerId,
        .epoch = value->ProducerEpoch,
        .last_epoch = value->LastProducerEpoch,
        .version = value->ClientTransactionVersion,
        .timeout_ms = value->TransactionTimeoutMs,
        .status = (enum txn_status)value->TransactionStatus,
        .start_ms = value->TransactionStartTimestampMs,
        .update_ms = value->TransactionLastUpdateTimestampMs,
        .decided = {value->DecidedProducerId, value->DecidedEpoch, value->DecidedMarkerEpoch,
                    value->DecidedCommit},
    };
    /* A record of version 0.1.0: its markers had the epoch of the data, which no other transaction had. */
    if (txn.status >= TXN_PREPARE_COMMIT && txn.decided.pid < 0)
        txn.decided =
            (struct txn_outcome){txn.pid, txn.epoch, (int16_t)(txn.epoch + 1),
                                 txn.status == TXN_PREPARE_COMMIT || txn.status == TXN_COMPLETE_COMMIT};
    return txn;
}

static void take_partitions(struct txn_entry *entry, const struct TransactionLogValue *value)
{
    struct buf buf = {0};
    map_clear(&entry->partitions);
    for (int32_t i = 0; i < value->TransactionPartitions.len; i++) {
        const struct TransactionLogValue_PartitionsSchema *row = &value->TransactionPartitions.at[i];
        for (int32_t j = 0; j < row->PartitionIds.len; j++) {
            struct txn_partition at = {row->Topic, row->PartitionIds.at[j]};
            map_put(&entry->partitions, txn_partition_key(&buf, &at), entry);
        }
    }
    buf_fini(&buf);
}

/* The partitions of what was decided outlive the record that ends it; a snapshot tells them. */
static void take_decided(struct txn_entry *entry, bool was_prepared, const struct TransactionLogValue *value)
{
    struct buf buf = {0};
    if (was_prepared && !is_prepared(&entry->txn)) {
        struct map decided = entry->partitions;
        entry->partitions = entry->decided;
        entry->decided = decided;
    }
    if (value->DecidedPartitions.len >= 0)
        map_clear(&entry->decided);
    for (int32_t i = 0; i < value->DecidedPartitions.len; i++) {
        const struct TransactionLogValue_DecidedPartitionsSchema *row = &value->DecidedPartitions.at[i];
        for (int32_t j = 0; j < row->PartitionIds.len; j++) {
            struct txn_partition at = {row->Topic, row->PartitionIds.at[j]};
            map_put(&entry->decided, txn_partition_key(&buf, &at), entry);
        }
    }
    buf_fini(&buf);
}

static bool apply_txn(struct txns *txns, const struct replay_record *rec, struct arena *arena,
                      struct err *err)
{
    struct TransactionLogKey key;
    struct TransactionLogValue value;
    if (!wire_decode(&TransactionLogKey_message, 0, str_sub(rec->key, 2, rec->key.len), &key, NULL, arena,
                     err))
        return false;
    if (str_is_null(rec->value)) {
        entry_free(map_remove(&txns->by_id, key.TransactionalId));
        return true;
    }
    if (!wire_decode_value(&TransactionLogValue_message, rec->value, &value, arena, err))
        return false;
    if (value.TransactionStatus < TXN_EMPTY || value.TransactionStatus > TXN_COMPLETE_ABORT)
        return err_set(err, ERR_CORRUPT, "transaction status %d is not known", value.TransactionStatus);
    struct txn_entry *entry = txn_entry_find(txns, key.TransactionalId);
    if (entry == NULL) {
        entry = mem_new(struct txn_entry);
        entry->txn.decided.pid = -1;
        map_put(&txns->by_id, key.TransactionalId, entry);
    }
    struct txn_outcome decided = entry->txn.decided;
    bool was_prepared = is_prepared(&entry->txn);
    entry->txn = txn_of_value(&value);
    if (entry->txn.decided.pid < 0) /* of version 0.1.0, which told it by the record before */
        entry->txn.decided = decided;
    take_decided(entry, was_prepared, &value);
    take_partitions(entry, &value);
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
    uint16_t type;
    bool good;
    if (!replay_type(rec, &type, err))
        return false;
    switch (type) {
    case KEY_TXN:
        good = apply_txn(state, rec, &arena, err);
        break;
    case KEY_PRODUCER_IDS:
        good = apply_producer_ids(state, rec, &arena, err);
        break;
    default:
        good = err_set(err, ERR_CORRUPT, "record type %u is not known", type);
    }
    arena_fini(&arena);
    return good;
}

const struct replay_class txns_class = {.name = "transactions", .apply = apply, .snapshot = snapshot};
