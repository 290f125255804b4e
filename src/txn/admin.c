/* admin.c - DescribeTransactions and ListTransactions over the state. */
#include "txn/txn_int.h"

/* --- describe --- */

typedef struct DescribeTransactionsResponse_TransactionState described;

static void describe_partitions(const struct txn_entry *entry, described *row, struct arena *arena)
{
    struct txn_rows rows;
    txn_rows_of(&entry->partitions, NULL, 0, arena, &rows);
    WIRE_ALLOC(arena, row->Topics, DescribeTransactionsResponse_TopicData, rows.len);
    for (size_t i = 0; i < rows.len; i++) {
        row->Topics.at[i].Topic = str_dup(rows.at[i].topic, arena);
        row->Topics.at[i].Partitions.at = rows.at[i].partitions;
        row->Topics.at[i].Partitions.len = (int32_t)rows.at[i].count;
    }
}

static void describe_one(const struct txns *txns, struct str id, described *row, struct arena *arena)
{
    const struct txn_entry *entry = txn_entry_find(txns, id);
    row->TransactionalId = id;
    if (id.len == 0 || entry == NULL) {
        row->ErrorCode = id.len == 0 ? TXN_INVALID_REQUEST : TXN_NOT_FOUND;
        return;
    }
    row->TransactionState = str_from(txn_status_name(entry->txn.status));
    row->TransactionTimeoutMs = entry->txn.timeout_ms;
    row->TransactionStartTimeMs = entry->txn.start_ms;
    row->ProducerId = entry->txn.pid;
    row->ProducerEpoch = entry->txn.epoch;
    if (entry->txn.status != TXN_EMPTY)
        describe_partitions(entry, row, arena);
}

void txns_describe(const struct txns *txns, const struct DescribeTransactionsRequest *req,
                   struct DescribeTransactionsResponse *res, struct arena *arena)
{
    WIRE_ALLOC(arena, res->TransactionStates, DescribeTransactionsResponse_TransactionState,
               MAX(req->TransactionalIds.len, 0));
    for (int32_t i = 0; i < req->TransactionalIds.len; i++)
        describe_one(txns, req->TransactionalIds.at[i], &res->TransactionStates.at[i], arena);
}

/* --- list --- */

/* The statuses asked for as bits; names that are none go into the answer. */
static unsigned read_states(const struct ListTransactionsRequest *req, struct ListTransactionsResponse *res,
                            struct arena *arena)
{
    static const char *const unused[] = {"Dead", "PrepareEpochFence"}; /* Kafka's, which none is in here */
    unsigned wanted = 0;
    int32_t count = MAX(req->StateFilters.len, 0);
    res->UnknownStateFilters.at = arena_array(arena, struct str, (size_t)count + 1);
    for (int32_t i = 0; i < count; i++) {
        unsigned bit = 0;
        bool known = false;
        for (int status = 0; status < TXN_STATUS_COUNT; status++)
            if (str_eq_cstr(req->StateFilters.at[i], txn_status_name((enum txn_status)status)))
                bit = 1u << status;
        wanted |= bit;
        for (size_t u = 0; u < COUNT_OF(unused); u++)
            known = known || str_eq_cstr(req->StateFilters.at[i], unused[u]);
        if (bit == 0 && !known)
            res->UnknownStateFilters.at[res->UnknownStateFilters.len++] = req->StateFilters.at[i];
    }
    return count == 0 ? ~0u : wanted;
}

static bool has_pid(const struct ListTransactionsRequest *req, int64_t pid)
{
    for (int32_t i = 0; i < req->ProducerIdFilters.len; i++)
        if (req->ProducerIdFilters.at[i] == pid)
            return true;
    return req->ProducerIdFilters.len <= 0;
}

void txns_list(const struct txns *txns, const struct ListTransactionsRequest *req, int64_t now_ms,
               bool (*matches)(void *arg, struct str transactional_id), void *arg,
               struct ListTransactionsResponse *res, struct arena *arena)
{
    struct str id;
    struct txn txn;
    unsigned states = read_states(req, res, arena);
    WIRE_ALLOC(arena, res->TransactionStates, ListTransactionsResponse_TransactionState, txns->by_id.len);
    res->TransactionStates.len = 0;
    for (size_t i = 0; txns_next(txns, &i, &id, &txn);) {
        bool old_enough = req->DurationFilter < 0 || now_ms - txn.start_ms > req->DurationFilter;
        if ((states >> txn.status & 1) == 0 || !has_pid(req, txn.pid) || !old_enough ||
            (matches != NULL && !matches(arg, id)))
            continue;
        res->TransactionStates.at[res->TransactionStates.len++] =
            (struct ListTransactionsResponse_TransactionState){
                .TransactionalId = str_dup(id, arena),
                .ProducerId = txn.pid,
                .TransactionState = str_from(txn_status_name(txn.status)),
            };
    }
}
