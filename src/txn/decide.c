/* decide.c - what may follow what: producers come, partitions join, transactions end (see txn.h for the picture).
 *
 * The end is a table: status x (commit or abort) -> what to do, a row a kind of asker. Whether the asker may ask at all is
 * checked before: the same producer id, and an epoch that is the present one or, with KIP-890, the one before in a repeated
 * call (its answer was lost; it is answered again).
 */
#include "txn/txn_int.h"

bool txns_decide_reserve(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txns *txns = state;
    struct txn_reserve *req = request;
    req->first = txns->next_pid;
    txn_add_producer_ids(txns->next_pid + req->count, req->now_ms, out);
    return true;
}

/* --- a producer comes --- */

static struct txn first_txn(const struct txn_init *req)
{
    return (struct txn){
        .pid = req->fresh_pid,
        .prev_pid = -1,
        .next_pid = -1,
        .epoch = 0,
        .last_epoch = -1,
        .timeout_ms = req->timeout_ms,
        .status = TXN_EMPTY,
        .start_ms = -1,
        .update_ms = req->now_ms,
        .decided = {.pid = -1, .data_epoch = -1, .marker_epoch = -1},
    };
}

/* May a producer that recovers, with this identity, go on? One that says nothing may always. */
static bool may_recover(const struct txn *txn, const struct txn_init *req)
{
    return req->pid == -1 || req->pid == txn->pid ||
           (req->pid == txn->prev_pid && req->epoch >= TXN_EPOCH_LAST);
}

/* The next identity of an id at rest. False: the producer is fenced, or a fresh producer id is needed. */
static bool next_identity(struct txn_init *req, struct txn *txn)
{
    bool recovers = req->pid != -1, bumped = recovers && req->epoch == txn->last_epoch;
    if (bumped && req->epoch != txn->epoch && txn->epoch <= TXN_EPOCH_LAST)
        return true; /* repeated, or by the server when its transaction took too long (KIP-588) */
    if (recovers && !bumped && req->epoch != txn->epoch) {
        req->error = TXN_FENCED;
        return false;
    }
    int16_t last = recovers ? txn->epoch : -1;
    if (txn->epoch < TXN_EPOCH_LAST) {
        txn->epoch++;
    } else if (req->fresh_pid < 0) {
        req->needs_pid = true;
        return false;
    } else {
        txn->prev_pid = txn->pid;
        txn->pid = req->fresh_pid;
        txn->epoch = 0;
    }
    txn->last_epoch = last;
    return true;
}

static void init_known(struct txn_init *req, const struct txn *before, struct replay_records *out)
{
    struct txn txn = *before;
    req->txn = txn;
    if (!may_recover(&txn, req)) {
        req->error = TXN_FENCED;
    } else if (txn.status == TXN_PREPARE_COMMIT || txn.status == TXN_PREPARE_ABORT) {
        req->error = TXN_CONCURRENT;
    } else if (txn.status == TXN_ONGOING) {
        req->must_end = true;
    } else if (next_identity(req, &txn)) {
        txn.status = TXN_EMPTY;
        txn.version = 0;
        txn.timeout_ms = req->timeout_ms;
        txn.start_ms = -1;
        txn.update_ms = req->now_ms;
        req->txn = txn;
        txn_add_record(req->transactional_id, &txn, NULL, NULL, 0, out);
    }
}

bool txns_decide_init(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txn_init *req = request;
    const struct txn_entry *entry = txn_entry_find(state, req->transactional_id);
    req->error = TXN_NONE;
    req->needs_pid = req->must_end = false;
    if (entry != NULL) {
        init_known(req, &entry->txn, out);
    } else if (req->fresh_pid < 0) {
        req->needs_pid = true;
    } else {
        req->txn = first_txn(req);
        txn_add_record(req->transactional_id, &req->txn, NULL, NULL, 0, out);
    }
    return true;
}

/* --- partitions join --- */

static bool has_all(const struct txn_entry *entry, const struct txn_partition *partitions, size_t count)
{
    struct buf buf = {0};
    bool all = true;
    for (size_t i = 0; i < count && all; i++)
        all = map_has(&entry->partitions, txn_partition_key(&buf, &partitions[i]));
    buf_fini(&buf);
    return all;
}

bool txns_decide_add(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txn_add *req = request;
    const struct txn_entry *entry = txn_entry_find(state, req->transactional_id);
    req->error = TXN_NONE;
    if (entry == NULL || entry->txn.pid != req->pid) {
        req->error = TXN_INVALID_MAPPING;
        return true;
    }
    struct txn txn = entry->txn;
    bool ongoing = txn.status == TXN_ONGOING;
    if (txn.epoch != req->epoch)
        req->error = TXN_FENCED;
    else if (txn.status == TXN_PREPARE_COMMIT || txn.status == TXN_PREPARE_ABORT)
        req->error = TXN_CONCURRENT;
    if (req->error != TXN_NONE || (ongoing && has_all(entry, req->partitions, req->partition_count)))
        return true;
    if (!ongoing)
        txn.start_ms = req->now_ms;
    txn.status = TXN_ONGOING;
    txn.version = req->version;
    txn.update_ms = req->now_ms;
    txn_add_record(req->transactional_id, &txn, ongoing ? entry : NULL, req->partitions, req->partition_count,
                   out);
    return true;
}

/* --- the end --- */

enum end_action {
    END_WRONG,   /* INVALID_TXN_STATE */
    END_BUSY,    /* CONCURRENT_TRANSACTIONS: it is on its way already */
    END_AGAIN,   /* was done: success */
    END_PREPARE, /* the decision */
    END_BUMP,    /* nothing to abort, but the producer gets its next epoch */
};

enum end_asker { ASKED_V1, ASKED_V2, ASKED_V2_AGAIN, ASKER_COUNT };

/* By status; [0] commit, [1] abort. */
static const enum end_action end_table[ASKER_COUNT][TXN_STATUS_COUNT][2] = {
    [ASKED_V1] =
        {
            [TXN_EMPTY] = {END_WRONG, END_WRONG},
            [TXN_ONGOING] = {END_PREPARE, END_PREPARE},
            [TXN_PREPARE_COMMIT] = {END_BUSY, END_WRONG},
            [TXN_PREPARE_ABORT] = {END_WRONG, END_BUSY},
            [TXN_COMPLETE_COMMIT] = {END_AGAIN, END_WRONG},
            [TXN_COMPLETE_ABORT] = {END_WRONG, END_AGAIN},
        },
    [ASKED_V2] =
        {
            [TXN_EMPTY] = {END_WRONG, END_BUMP},
            [TXN_ONGOING] = {END_PREPARE, END_PREPARE},
            [TXN_COMPLETE_COMMIT] = {END_WRONG, END_BUMP},
            [TXN_COMPLETE_ABORT] = {END_WRONG, END_BUMP},
        },
    [ASKED_V2_AGAIN] =
        {
            [TXN_PREPARE_COMMIT] = {END_BUSY, END_WRONG},
            [TXN_PREPARE_ABORT] = {END_WRONG, END_BUSY},
            [TXN_COMPLETE_COMMIT] = {END_AGAIN, END_WRONG},
            [TXN_COMPLETE_ABORT] = {END_WRONG, END_AGAIN},
        },
};

/* Who asks, or ASKER_COUNT with req->error: nobody that may. */
static enum end_asker asker_of(struct txn_end *req, const struct txn *txn)
{
    bool preparing = txn->status == TXN_PREPARE_COMMIT || txn->status == TXN_PREPARE_ABORT;
    bool decided = preparing || txn->status == TXN_COMPLETE_COMMIT || txn->status == TXN_COMPLETE_ABORT;
    bool rolled_over =
        decided && !preparing && txn->prev_pid == req->pid && req->epoch == TXN_EPOCH_LAST && txn->epoch == 0;
    if (txn->pid != req->pid && !(req->by == TXN_BY_V2 && rolled_over)) {
        req->error = TXN_INVALID_MAPPING;
        return ASKER_COUNT;
    }
    if (req->by == TXN_BY_V2 && decided && (rolled_over || txn->epoch == req->epoch + 1))
        return ASKED_V2_AGAIN;
    if (txn->epoch != req->epoch || (req->by == TXN_BY_V2 && preparing)) {
        req->error = TXN_FENCED;
        return ASKER_COUNT;
    }
    return req->by == TXN_BY_V1 ? ASKED_V1 : ASKED_V2;
}

/* The next epoch, and the next producer id where epochs have run out. False: one is needed. */
static bool bump(struct txn_end *req, struct txn *txn)
{
    if (req->by == TXN_BY_V1)
        return true;
    bool exhausted = req->by == TXN_BY_V2 && txn->epoch >= TXN_EPOCH_LAST;
    if (exhausted && req->fresh_pid < 0) {
        req->needs_pid = true;
        return false;
    }
    txn->next_pid = exhausted ? req->fresh_pid : -1;
    txn->last_epoch = txn->epoch;
    txn->epoch++;
    return true;
}

/* Complete is where the fresh producer id takes over. */
static void complete(struct txn *txn, bool commit, int64_t now_ms)
{
    txn->status = commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    txn->update_ms = now_ms;
    if (txn->next_pid < 0)
        return;
    txn->prev_pid = txn->pid;
    txn->pid = txn->next_pid;
    txn->next_pid = -1;
    txn->epoch = 0;
}

static void set_reply(struct txn_end *req, const struct txn *txn)
{
    req->txn = *txn;
    req->next_pid = txn->next_pid >= 0 ? txn->next_pid : txn->pid;
    req->next_epoch = txn->next_pid >= 0 ? 0 : txn->epoch;
}

static void prepare(struct txn_end *req, const struct txn_entry *entry, struct replay_records *out)
{
    struct txn txn = entry->txn;
    txn.decided = (struct txn_outcome){txn.pid, txn.epoch, txn.epoch, req->commit};
    if (!bump(req, &txn))
        return;
    txn.decided.marker_epoch = txn.epoch;
    txn.status = req->commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
    txn.update_ms = req->now_ms;
    txn_add_record(req->transactional_id, &txn, entry, req->partitions, req->partition_count, out);
    req->prepared = true;
    set_reply(req, &txn);
}

/* An abort of nothing: no markers, so Complete at once. */
static void bump_only(struct txn_end *req, const struct txn_entry *entry, struct replay_records *out)
{
    struct txn txn = entry->txn;
    if (!bump(req, &txn))
        return;
    txn.start_ms = req->now_ms;
    complete(&txn, false, req->now_ms);
    txn_add_record(req->transactional_id, &txn, NULL, NULL, 0, out);
    set_reply(req, &txn);
}

bool txns_decide_end(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct txn_end *req = request;
    const struct txn_entry *entry = txn_entry_find(state, req->transactional_id);
    req->error = entry == NULL ? TXN_INVALID_MAPPING : TXN_NONE;
    req->needs_pid = req->prepared = false;
    req->next_pid = -1;
    req->next_epoch = -1;
    enum end_asker asker = entry == NULL ? ASKER_COUNT : asker_of(req, &entry->txn);
    if (asker == ASKER_COUNT)
        return true;
    switch (end_table[asker][entry->txn.status][req->commit ? 0 : 1]) {
    case END_WRONG:
        req->error = TXN_INVALID_STATE;
        break;
    case END_BUSY:
        req->error = TXN_CONCURRENT;
        break;
    case END_AGAIN:
        set_reply(req, &entry->txn);
        break;
    case END_PREPARE:
        prepare(req, entry, out);
        break;
    case END_BUMP:
        if (req->by == TXN_BY_SERVER) /* nothing is ongoing any more */
            req->error = TXN_INVALID_STATE;
        else
            bump_only(req, entry, out);
        break;
    }
    return true;
}

bool txns_decide_complete(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct txn_complete *req = request;
    const struct txn_entry *entry = txn_entry_find(state, req->transactional_id);
    if (entry == NULL)
        return true;
    struct txn txn = entry->txn;
    if ((txn.status != TXN_PREPARE_COMMIT && txn.status != TXN_PREPARE_ABORT) || txn.pid != req->pid ||
        txn.epoch != req->marker_epoch)
        return true;
    complete(&txn, txn.status == TXN_PREPARE_COMMIT, req->now_ms);
    txn_add_record(req->transactional_id, &txn, NULL, NULL, 0, out);
    return true;
}

/* --- forgetting --- */

bool txns_decide_expire(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct txns *txns = state;
    struct txn_expire *req = request;
    struct str id;
    struct txn txn;
    req->count = 0;
    for (size_t i = 0; txns_next(txns, &i, &id, &txn);) {
        bool rests =
            txn.status == TXN_EMPTY || txn.status == TXN_COMPLETE_COMMIT || txn.status == TXN_COMPLETE_ABORT;
        if (!rests || txn.update_ms >= req->before_ms || (req->keep != NULL && req->keep(req->arg, id)))
            continue;
        txn_add_tombstone(id, req->now_ms, out);
        req->count++;
    }
    return true;
}
