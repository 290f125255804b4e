/* pending.c - offsets that transactions have committed: pending until the transaction is decided, then offsets or nothing.
 *
 *   TxnOffsetCommit -> PendingOffsetKey records, one an offset   -> groups->txns: (producer id, epoch) -> its offsets
 *                                                                   group->unstable: partition -> how many are pending
 *   end of the transaction (the broker's "marker" for groups) -> the offsets as those of a plain commit, and tombstones
 *
 * (N1) A pending offset is seen by nobody: OffsetFetch gives the one before, or UNSTABLE_OFFSET_COMMIT to who asks for
 *      stable ones.
 * (N2) The end is one batch of records: a restart sees all offsets of a transaction, or all of them pending still; then
 *      the broker, which knows the outcome, ends it again.
 * (N3) A group with pending offsets does not lapse.
 */
#include "group/consumer_int.h"

/* What one transaction has committed in all groups. */
struct group_txn {
    int64_t pid;
    int16_t epoch;
    struct map offsets; /* record key -> struct pending_offset */
};

struct pending_offset {
    struct str group; /* owned */
    struct offset_entry entry;
};

typedef struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic commit_topic;
typedef struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition commit_partition;

/* --- state --- */

static void pending_free(struct pending_offset *pending)
{
    str_disown(&pending->group);
    str_disown(&pending->entry.topic);
    str_disown(&pending->entry.metadata);
    free(pending);
}

static void group_txn_free(struct group_txn *txn)
{
    void *pending;
    for (size_t i = 0; map_next(&txn->offsets, &i, NULL, &pending);)
        pending_free(pending);
    map_fini(&txn->offsets);
    free(txn);
}

void pending_fini(struct groups *groups)
{
    void *txn;
    for (size_t i = 0; map_next(&groups->txns, &i, NULL, &txn);)
        group_txn_free(txn);
    map_fini(&groups->txns);
}

enum { TXN_KEY_BYTES = 10 };

static struct str txn_key(char bytes[TXN_KEY_BYTES], int64_t pid, int16_t epoch)
{
    store_be64(bytes, (uint64_t)pid);
    store_be16(bytes + 8, (uint16_t)epoch);
    return str_of(bytes, TXN_KEY_BYTES);
}

static void count_unstable(struct groups *groups, const struct pending_offset *pending, int change)
{
    struct buf buf = {0};
    struct group *group = group_find(groups, pending->group);
    struct str key = offset_key(&buf, pending->entry.topic, pending->entry.partition);
    if (group != NULL) { /* it may have been deleted, with what was pending in it */
        intptr_t count = (intptr_t)map_get(&group->unstable, key) + change;
        if (count > 0)
            map_put(&group->unstable, key, (void *)count); /* NOLINT: a count in a pointer */
        else
            map_remove(&group->unstable, key);
    }
    buf_fini(&buf);
}

static void pending_remove(struct groups *groups, struct str of_txn, struct str key)
{
    struct group_txn *txn = map_get(&groups->txns, of_txn);
    struct pending_offset *pending = txn != NULL ? map_remove(&txn->offsets, key) : NULL;
    if (pending == NULL)
        return;
    count_unstable(groups, pending, -1);
    pending_free(pending);
    if (txn->offsets.len == 0) {
        map_remove(&groups->txns, of_txn);
        group_txn_free(txn);
    }
}

static void pending_put(struct groups *groups, struct str of_txn, const struct PendingOffsetKey *fields,
                        struct str key, const struct OffsetCommitValue *value)
{
    pending_remove(groups, of_txn, key);
    struct group_txn *txn = map_get(&groups->txns, of_txn);
    if (txn == NULL) {
        txn = mem_new(struct group_txn);
        txn->pid = fields->ProducerId;
        txn->epoch = fields->ProducerEpoch;
        map_put(&groups->txns, of_txn, txn);
    }
    struct pending_offset *pending = mem_new(struct pending_offset);
    *pending = (struct pending_offset){
        .group = str_own(fields->Group),
        .entry = {.topic = str_own(fields->Topic),
                  .partition = fields->Partition,
                  .offset = value->offset,
                  .commit_ms = value->commitTimestamp,
                  .leader_epoch = value->leaderEpoch,
                  .metadata = str_own(value->metadata)},
    };
    map_put(&txn->offsets, key, pending);
    ignore(group_find_or_make(groups, fields->Group), "made, if it is not there");
    count_unstable(groups, pending, 1);
}

bool pending_apply(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                   struct err *err)
{
    struct PendingOffsetKey fields;
    struct OffsetCommitValue value;
    char bytes[TXN_KEY_BYTES];
    if (!wire_decode(&PendingOffsetKey_message, 0, str_sub(rec->key, 2, rec->key.len), &fields, NULL, arena,
                     err))
        return false;
    struct str of_txn = txn_key(bytes, fields.ProducerId, fields.ProducerEpoch);
    if (str_is_null(rec->value)) {
        pending_remove(groups, of_txn, rec->key);
        return true;
    }
    if (!wire_decode_value(&OffsetCommitValue_message, rec->value, &value, arena, err))
        return false;
    pending_put(groups, of_txn, &fields, rec->key, &value);
    return true;
}

static void add_pending_record(struct str group, int64_t pid, int16_t epoch, const struct offset_entry *entry,
                               bool deleted, struct replay_records *out)
{
    enum { VALUE_VERSION = 3 };
    struct buf key = {0}, bytes = {0};
    struct PendingOffsetKey fields = {.ProducerId = pid,
                                      .ProducerEpoch = epoch,
                                      .Group = group,
                                      .Topic = entry->topic,
                                      .Partition = entry->partition};
    struct OffsetCommitValue value = {.offset = entry->offset,
                                      .leaderEpoch = entry->leader_epoch,
                                      .metadata = entry->metadata,
                                      .commitTimestamp = entry->commit_ms};
    wire_encode_typed(&PendingOffsetKey_message, 0, &fields, &key);
    wire_encode_typed(&OffsetCommitValue_message, VALUE_VERSION, &value, &bytes);
    replay_add(out, buf_str(&key), deleted ? STR_NULL : buf_str(&bytes), entry->commit_ms);
    buf_fini(&key);
    buf_fini(&bytes);
}

void pending_snapshot(const struct groups *groups, struct replay_records *out)
{
    void *txn_ptr, *pending_ptr;
    for (size_t i = 0; map_next(&groups->txns, &i, NULL, &txn_ptr);) {
        const struct group_txn *txn = txn_ptr;
        for (size_t j = 0; map_next(&txn->offsets, &j, NULL, &pending_ptr);) {
            const struct pending_offset *pending = pending_ptr;
            add_pending_record(pending->group, txn->pid, txn->epoch, &pending->entry, false, out);
        }
    }
}

void pending_drop(const struct groups *groups, struct str group, struct str topic, int64_t now_ms,
                  struct replay_records *out)
{
    struct str key;
    void *txn_ptr, *pending_ptr;
    for (size_t i = 0; map_next(&groups->txns, &i, NULL, &txn_ptr);) {
        const struct group_txn *txn = txn_ptr;
        for (size_t j = 0; map_next(&txn->offsets, &j, &key, &pending_ptr);) {
            const struct pending_offset *pending = pending_ptr;
            if ((str_is_null(group) || str_eq(pending->group, group)) &&
                (str_is_null(topic) || str_eq(pending->entry.topic, topic)))
                replay_add(out, key, STR_NULL, now_ms);
        }
    }
}

bool pending_has(const struct group *group, struct str topic, int32_t partition)
{
    struct buf buf = {0};
    bool has = group != NULL && map_has(&group->unstable, offset_key(&buf, topic, partition));
    buf_fini(&buf);
    return has;
}

/* --- commit --- */

/* TxnOffsetCommit knows no stale epochs. */
static int16_t check_consumer(const struct consumer_group *consumer, const struct TxnOffsetCommitRequest *req,
                              const struct consumer_member **late)
{
    int16_t error = consumer_check_commit(consumer, req->MemberId, req->GenerationId, late);
    return error == GROUP_STALE_EPOCH ? GROUP_ILLEGAL_GENERATION : error;
}

/* May this request commit for the group? Unlike a plain commit, one without member is taken from a group that has members
 * (old versions name none), and a rebalance does not stand in its way. */
static int16_t check_commit(const struct group *group, const struct TxnOffsetCommitRequest *req,
                            const struct consumer_member **late)
{
    struct member *member;
    *late = NULL;
    if (req->GroupId.len == 0)
        return GROUP_INVALID_ID;
    if (group == NULL)
        return req->GenerationId < 0 ? GROUP_NONE : GROUP_ILLEGAL_GENERATION;
    if (group_is_share(group))
        return GROUP_NOT_FOUND;
    if (req->GenerationId < 0 && req->MemberId.len == 0 && str_is_null(req->GroupInstanceId))
        return GROUP_NONE;
    if (group->consumer != NULL)
        return check_consumer(group->consumer, req, late);
    if (group->state == GROUP_EMPTY && req->GenerationId < 0)
        return GROUP_NONE;
    return group_check_member(group, req->MemberId, req->GroupInstanceId, req->GenerationId, &member);
}

static bool had_all(const struct groups *groups, const struct TxnOffsetCommitRequest *req,
                    const struct consumer_member *late)
{
    for (int32_t i = 0; i < req->Topics.len; i++)
        for (int32_t j = 0; j < req->Topics.at[i].Partitions.len; j++)
            if (!consumer_had_already(groups, late, req->GenerationId, req->Topics.at[i].Name,
                                      (struct uuid){{0}}, req->Topics.at[i].Partitions.at[j].PartitionIndex))
                return false;
    return true;
}

static int16_t commit_one(const struct groups *groups, const struct group_call *call, struct str topic,
                          const commit_partition *part, struct replay_records *out)
{
    const struct TxnOffsetCommitRequest *req = call->req;
    if (call->partition_exists != NULL &&
        !call->partition_exists(call->exists_arg, topic, part->PartitionIndex))
        return GROUP_UNKNOWN_TOPIC;
    if ((int64_t)part->CommittedMetadata.len > groups->options.offset_metadata_bytes_max)
        return GROUP_METADATA_TOO_LARGE;
    struct offset_entry entry = {
        .topic = topic,
        .partition = part->PartitionIndex,
        .offset = part->CommittedOffset,
        .commit_ms = call->now_ms,
        .leader_epoch = part->CommittedLeaderEpoch,
        .metadata = part->CommittedMetadata,
    };
    add_pending_record(req->GroupId, req->ProducerId, req->ProducerEpoch, &entry, false, out);
    return GROUP_NONE;
}

bool group_decide_txn_commit(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct TxnOffsetCommitRequest *req = call->req;
    struct TxnOffsetCommitResponse *res = call->res;
    groups->effects = call->effects;
    const struct consumer_member *late;
    int16_t error = check_commit(group_find(groups, req->GroupId), req, &late);
    if (error == GROUP_NONE && late != NULL && !had_all(groups, req, late))
        error = GROUP_ILLEGAL_GENERATION;
    group_txn_commit_answer(req, res, error, call->arena);
    for (int32_t i = 0; error == GROUP_NONE && i < req->Topics.len; i++) {
        const commit_topic *topic = &req->Topics.at[i];
        for (int32_t j = 0; j < topic->Partitions.len; j++)
            res->Topics.at[i].Partitions.at[j].ErrorCode =
                commit_one(groups, call, topic->Name, &topic->Partitions.at[j], out);
    }
    return true;
}

void group_txn_commit_answer(const struct TxnOffsetCommitRequest *req, struct TxnOffsetCommitResponse *res,
                             int16_t error, struct arena *arena)
{
    WIRE_ALLOC(arena, res->Topics, TxnOffsetCommitResponse_TxnOffsetCommitResponseTopic,
               MAX(req->Topics.len, 0));
    for (int32_t i = 0; i < req->Topics.len; i++) {
        const commit_topic *topic = &req->Topics.at[i];
        struct TxnOffsetCommitResponse_TxnOffsetCommitResponseTopic *row = &res->Topics.at[i];
        row->Name = topic->Name;
        WIRE_ALLOC(arena, row->Partitions, TxnOffsetCommitResponse_TxnOffsetCommitResponsePartition,
                   MAX(topic->Partitions.len, 0));
        for (int32_t j = 0; j < topic->Partitions.len; j++) {
            row->Partitions.at[j].PartitionIndex = topic->Partitions.at[j].PartitionIndex;
            row->Partitions.at[j].ErrorCode = error;
        }
    }
}

/* --- the end --- */

static void end_txn(const struct group_txn *txn, const struct group_txn_end *req, struct replay_records *out)
{
    struct str key;
    void *pending_ptr;
    for (size_t i = 0; map_next(&txn->offsets, &i, &key, &pending_ptr);) {
        const struct pending_offset *pending = pending_ptr;
        if (req->commit)
            offset_add_record(pending->group, &pending->entry, false, req->now_ms, out);
        replay_add(out, key, STR_NULL, req->now_ms);
    }
}

bool group_decide_txn_end(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct groups *groups = state;
    const struct group_txn_end *req = request;
    void *txn_ptr;
    for (size_t i = 0; map_next(&groups->txns, &i, NULL, &txn_ptr);) {
        const struct group_txn *txn = txn_ptr;
        if (txn->pid == req->pid && txn->epoch <= req->epoch)
            end_txn(txn, req, out);
    }
    if (req->always && out->list.len == 0) /* the tombstone of nothing */
        add_pending_record(
            STR(""), req->pid, req->epoch,
            &(struct offset_entry){.topic = STR(""), .partition = -1, .commit_ms = req->now_ms}, true, out);
    return true;
}

bool group_txn_next(const struct groups *groups, size_t *pos, int64_t *pid, int16_t *epoch)
{
    void *txn_ptr;
    if (!map_next(&groups->txns, pos, NULL, &txn_ptr))
        return false;
    *pid = ((struct group_txn *)txn_ptr)->pid;
    *epoch = ((struct group_txn *)txn_ptr)->epoch;
    return true;
}
