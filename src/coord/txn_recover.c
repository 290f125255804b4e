/* txn_recover.c - what a start makes of transactions, from the state and from what is open in the logs.
 *
 *   open in a log, by (producer id, epoch)         then
 *   ------------------------------------------------------------------------------------------------------------------
 *   the last decided transaction's                 the marker of its outcome: it was lost, because markers are not waited for
 *   an older one's of that producer                an abort marker: it had ended without this partition (txn_outcome_of)
 *   the present one's                              its partition joins it, if the record of that was lost; a client goes on
 *                                                  where it was, or its time-out ends it
 *   nobody's                                       left alone: DescribeProducers shows it, an administrator may end it
 *
 *   then   Prepare*              Complete*: all markers are durable now
 *          Ongoing, the engine's aborted: there is nobody who could go on with it
 *
 * While a partition cannot be opened, the marker of a transaction that has touched it may be missing there, whether it is
 * complete (the record does not wait for markers) or not: its id takes no other decision before the marker is there or a later
 * start has found out (txn_hold). A decided one stays so until then. Other ids go on.
 *
 * The offsets that a transaction has pending in groups are found and ended in the same way, as its part in
 * __consumer_offsets. One walk over all logs, whatever the number of ids.
 */
#include "coord/coord_int.h"

/* One transactional id. */
struct found {
    struct str id;
    struct txn txn;
    vec(struct txn_partition) joins; /* open, and the present transaction's */
};

struct search {
    struct coord *coord;
    struct arena arena;
    struct map by_pid; /* producer id -> struct found */
    vec(struct found *) all;
    vec(struct partition *)
        unreadable; /* could not be opened: what is open there is not known; a reference each */
    bool good;
    struct err *err;
};

static struct str pid_key(const int64_t *pid)
{
    return str_of((const char *)pid, sizeof *pid);
}

static void list_ids(struct search *search)
{
    struct str id;
    struct txn txn;
    for (size_t i = 0; txns_next(search->coord->txns, &i, &id, &txn);) {
        struct found *found = arena_new(&search->arena, struct found);
        *found = (struct found){.id = str_dup(id, &search->arena), .txn = txn};
        vec_push(&search->all, found);
        map_put(&search->by_pid, pid_key(&txn.pid), found);
        if (txn.decided.pid >= 0)
            map_put(&search->by_pid, pid_key(&txn.decided.pid), found);
    }
}

static bool write_lost_marker(struct coord *coord, struct partition *part, const struct txn_outcome *outcome,
                              struct err *err)
{
    struct partition_appended appended;
    log_info("broker", "marker_written", "topic=%.*s partition=%d producer_id=%lld epoch=%d marker=%s",
             STR_ARG(partition_topic(part)), partition_id(part), (long long)outcome->pid,
             outcome->marker_epoch, outcome->commit ? "commit" : "abort");
    return txn_write_marker(coord, part, outcome, 0, &appended, err) &&
           partition_wait_durable(part, appended.end_offset, err);
}

/* One producer that has something open in a partition. */
static void take_open(struct search *search, struct partition *part, int64_t pid, int16_t epoch)
{
    struct found *found = map_get(&search->by_pid, pid_key(&pid));
    enum txn_owner owner = found == NULL ? TXN_OWNER_NONE : txn_of_open(&found->txn, pid, epoch);
    struct txn_outcome outcome;
    switch (owner) {
    case TXN_OWNER_DECIDED:
        outcome = txn_outcome_of(&found->txn, epoch);
        search->good = search->good && write_lost_marker(search->coord, part, &outcome, search->err);
        break;
    case TXN_OWNER_PRESENT:
        vec_push(&found->joins,
                 (struct txn_partition){str_dup(partition_topic(part), &search->arena), partition_id(part)});
        break;
    case TXN_OWNER_NONE:
        log_warn("broker", "transaction_hangs", "topic=%.*s partition=%d producer_id=%lld epoch=%d",
                 STR_ARG(partition_topic(part)), partition_id(part), (long long)pid, epoch);
        break;
    }
}

static void search_log(struct partition *part, void *arg)
{
    struct log_producer_list list = {0};
    struct search *search = arg;
    struct err err;
    if (!log_check_readable(partition_log(part), &err))
        vec_push(&search->unreadable, partition_ref(part));
    log_producers(partition_log(part), &list);
    for (size_t i = 0; i < list.list.len; i++)
        if (list.list.at[i].txn_first_offset >= 0)
            take_open(arg, part, list.list.at[i].pid, list.list.at[i].epoch);
    vec_fini(&list.list);
}

static void search_groups(struct search *search)
{
    struct coord *coord = search->coord;
    vec(struct {
        int64_t pid;
        int16_t epoch;
    }) open = {0};
    int64_t pid;
    int16_t epoch;
    for (size_t i = 0; group_txn_next(coord->groups, &i, &pid, &epoch);) {
        vec_reserve(&open, open.len + 1);
        open.at[open.len].pid = pid;
        open.at[open.len++].epoch = epoch;
    }
    for (size_t i = 0; i < open.len; i++) /* ending one changes the list */
        take_open(search, coord->groups_log.part, open.at[i].pid, open.at[i].epoch);
    vec_fini(&open);
}

static bool join(struct coord *coord, const struct found *found, struct err *err)
{
    struct txn_add req = {
        .transactional_id = found->id,
        .pid = found->txn.pid,
        .epoch = found->txn.epoch,
        .version = 2,
        .partitions = found->joins.at,
        .partition_count = found->joins.len,
        .now_ms = io_now_ms(coord->io),
    };
    return replay_run_durable(coord->txns_replay, txns_decide_add, &req, err);
}

/* The engine's transaction that was under way. */
static bool abort_ongoing(struct coord *coord, struct str id, struct err *err)
{
    struct txn txn;
    if (!txn_id_is_reserved(id) || !txns_find(coord->txns, id, &txn) || txn.status != TXN_ONGOING)
        return true;
    struct txn_ending ending = {
        .coord = coord,
        .id = id,
        .pid = txn.pid,
        .epoch = txn.epoch,
        .fresh_pid = -1,
        .by = TXN_BY_SERVER,
        .wait_markers = true,
    };
    return txn_end_wait(&ending, NULL, err);
}

static bool settle(struct coord *coord, const struct found *found, bool held, struct err *err)
{
    struct txn_complete complete = {.transactional_id = found->id,
                                    .pid = found->txn.pid,
                                    .marker_epoch = found->txn.epoch,
                                    .now_ms = io_now_ms(coord->io)};
    return (held || replay_run_durable(coord->txns_replay, txns_decide_complete, &complete, err)) &&
           (found->joins.len == 0 || join(coord, found, err)) &&
           (held || abort_ongoing(coord, found->id, err));
}

/* True when the marker of the last decision may be missing in what cannot be opened. Without a bump all markers were durable
 * before the transaction was complete. */
static bool hold(struct search *search, const struct found *found)
{
    const struct txn *txn = &found->txn;
    struct coord *coord = search->coord;
    bool prepared = txn->status == TXN_PREPARE_COMMIT || txn->status == TXN_PREPARE_ABORT;
    vec(struct partition *) parts = {0};
    for (size_t i = 0; i < search->unreadable.len; i++) {
        struct partition *part = search->unreadable.at[i];
        struct txn_partition at = {partition_topic(part), partition_id(part)};
        if ((prepared || txn->decided.marker_epoch != txn->decided.data_epoch) &&
            txns_decided_in(coord->txns, found->id, &at))
            vec_push(&parts, part);
    }
    bool held = parts.len != 0;
    if (held) {
        log_warn(
            "broker", "transaction_held",
            "transactional_id=%.*s producer_id=%lld topic=%.*s partition=%d cause=\"a marker may be missing "
            "in a partition that could not be opened\"",
            STR_ARG(found->id), (long long)txn->decided.pid, STR_ARG(partition_topic(parts.at[0])),
            partition_id(parts.at[0]));
        txn_hold(coord, found->id, txn, parts.at, parts.len);
    }
    vec_fini(&parts);
    return held;
}

bool txns_recover(struct coord *coord, struct err *err)
{
    struct search search = {.coord = coord, .good = true, .err = err};
    list_ids(&search);
    storage_each_partition(coord->storage, search_log, &search);
    search_groups(&search);
    for (size_t i = 0; i < search.all.len; i++) {
        struct found *found = search.all.at[i];
        search.good = search.good && settle(coord, found, hold(&search, found), err);
        vec_fini(&found->joins);
    }
    for (size_t i = 0; i < search.unreadable.len; i++)
        partition_unref(search.unreadable.at[i]);
    vec_fini(&search.unreadable);
    vec_fini(&search.all);
    map_fini(&search.by_pid);
    arena_fini(&search.arena);
    return search.good;
}
