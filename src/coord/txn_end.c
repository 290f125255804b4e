/* txn_end.c - how a transaction ends, whoever it belongs to: a client (EndTxn), the engine (coord_txn_commit), or nobody
 * any more (time-out, fencing).
 *
 *   (a) what it was made of is durable,            commits only: its partitions and inputs, each by its shared sync
 *       and the markers of the transaction before  the tail of the id
 *   (b) record Prepare, durable                    from here on it is decided
 *   (c) markers appended: the tail                 not waited for,
 *   (d) record Complete                            at once; without an epoch bump (version 1) when the tail is durable
 *
 * (X1) Steps are chained by callbacks, no thread waits. A callback may run on a pool thread or, when nothing was to be
 *      synced, on the caller's.
 * (X2) A failure in (a) refuses: nothing is decided. A failure in (b) leaves the decision to the next start, because the
 *      record may or may not be on the disk; the state's topic is offline then.
 * (X3) A start goes by what is open in the logs, not by lists in records (txn_recover.c): markers are written exactly where
 *      they are missing. For that at most one decided transaction of an id may be open beside the present one, and the
 *      epoch must tell them apart: hence (a) waits for the tail, and (d) does where there is no bump.
 * (X4) Between (b) and (c) the append lock is taken once: who had checked the transaction before (b) has appended by then,
 *      who checks after is refused. So no batch lands behind its marker.
 * (X5) A marker that cannot be written, or is lost by a failed sync, leaves its tail failed: the id takes no new decision
 *      until the marker is there (tried again by the next end and every few seconds), or the next start writes it. A start
 *      that cannot open a partition of the last decision holds the id in the same way (txn_hold). Until then the log itself
 *      refuses batches of the producer's next epoch (producer.c, P4).
 */
#include "coord/coord_int.h"

/* A marker on its way to the disk. */
struct tail_part {
    struct partition_wait wait;
    struct txn_tail *tail;
    struct partition *part; /* a reference until it is durable */
    struct partition_appended marker;
    bool lost;  /* to be written again */
    bool there; /* it is in the log, only its sync failed */
    bool said;  /* that it cannot be written */
    bool held;  /* a start could not look (txn_hold): it may be in the log, or not */
};

/* Where the last transaction of an id has put its markers. */
struct txn_tail {
    struct coord *coord;
    struct str id; /* owned */
    struct txn_outcome outcome;
    bool bumped;
    bool complete; /* the record is written already */
    atomic_int left;
    bool failed;         /* settled, but some are lost; under txn_lock */
    struct list waiting; /* struct txn_ending; under txn_lock */
    size_t count;
    struct tail_part at[];
};

/* --- ids and locks --- */

#define RESERVED_PREFIX "rialto-engine"

bool txn_id_is_reserved(struct str transactional_id)
{
    return str_starts_with(transactional_id, STR(RESERVED_PREFIX));
}

pthread_rwlock_t *txn_append_lock(struct coord *coord, struct str transactional_id)
{
    return &coord->txn_append_locks[hash_str(transactional_id) % TXN_APPEND_LOCKS];
}

/* --- markers --- */

/* Pending offsets of the transaction become offsets, or nothing: that is the marker of the offsets' topic. */
static bool end_offsets(struct coord *coord, const struct txn_outcome *outcome,
                        struct partition_appended *out, struct err *err)
{
    struct group_txn_end req = {.pid = outcome->pid,
                                .epoch = outcome->data_epoch,
                                .commit = outcome->commit,
                                .now_ms = io_now_ms(coord->io),
                                .always = true};
    *out = (struct partition_appended){.base_offset = -1};
    return replay_run(coord->groups_replay, group_decide_txn_end, &req, &out->end_offset, err);
}

static bool is_offsets_topic(const struct partition *part)
{
    return str_eq(partition_topic(part), STR(OFFSETS_TOPIC));
}

bool txn_write_marker(struct coord *coord, struct partition *part, const struct txn_outcome *outcome,
                      int32_t coordinator_epoch, struct partition_appended *out, struct err *err)
{
    if (is_offsets_topic(part))
        return end_offsets(coord, outcome, out, err);
    return partition_append_marker(part, outcome->pid, outcome->marker_epoch,
                                   outcome->commit ? MARKER_COMMIT : MARKER_ABORT, coordinator_epoch, out,
                                   err);
}

/* --- the tail --- */

static void tail_free(struct txn_tail *tail)
{
    for (size_t i = 0; i < tail->count; i++)
        partition_unref(tail->at[i].part);
    free((char *)tail->id.ptr);
    free(tail);
}

void txn_tails_free(struct coord *coord)
{
    void *tail;
    for (size_t i = 0; map_next(&coord->tails, &i, NULL, &tail);)
        tail_free(tail);
    map_fini(&coord->tails);
}

bool txn_tail_is_settled(struct coord *coord, struct str transactional_id)
{
    pthread_mutex_lock(&coord->txn_lock);
    bool settled = !map_has(&coord->tails, transactional_id);
    pthread_mutex_unlock(&coord->txn_lock);
    return settled;
}

static bool write_complete(struct coord *coord, struct str id, const struct txn_outcome *outcome)
{
    struct err err;
    struct txn_complete req = {.transactional_id = id,
                               .pid = outcome->pid,
                               .marker_epoch = outcome->marker_epoch,
                               .now_ms = io_now_ms(coord->io)};
    bool good = replay_run(coord->txns_replay, txns_decide_complete, &req, NULL, &err);
    if (!good)
        log_warn("broker", "complete_failed", "transactional_id=%.*s cause=\"%s\"", STR_ARG(id), err.text);
    return good;
}

static void tail_over(struct txn_ending *ending, bool good);

/* The last wait is over. Whoever waits for the tail goes on; a failed one stays, to be tried again. */
static void tail_settle(struct txn_tail *tail)
{
    struct coord *coord = tail->coord;
    struct list waiting;
    bool failed = false;
    for (size_t i = 0; i < tail->count; i++)
        failed = failed || tail->at[i].lost;
    if (!failed && !tail->complete)
        write_complete(coord, tail->id, &tail->outcome);
    pthread_mutex_lock(&coord->txn_lock);
    list_init(&waiting);
    list_each_safe (struct txn_ending, ending, &tail->waiting, link) {
        list_remove(&ending->link);
        list_push_back(&waiting, &ending->link);
    }
    tail->failed = failed;
    if (!failed)
        map_remove(&coord->tails, tail->id);
    pthread_mutex_unlock(&coord->txn_lock);
    if (!failed)
        tail_free(tail);
    list_each_safe (struct txn_ending, ending, &waiting, link) {
        list_remove(&ending->link);
        tail_over(ending, !failed);
    }
}

static void tail_release(struct txn_tail *tail)
{
    if (atomic_fetch_sub(&tail->left, 1) == 1)
        tail_settle(tail);
}

static void on_marker_durable(struct partition_wait *wait, const struct err *failure)
{
    struct tail_part *at = (struct tail_part *)wait;
    struct partition *part = at->part;
    at->lost = failure != NULL && failure->code != ERR_UNKNOWN_TOPIC; /* what was deleted needs no marker */
    if (!at->lost)
        at->part = NULL;
    else
        log_warn("broker", "marker_lost", "topic=%.*s partition=%d producer_id=%lld cause=\"%s\"",
                 STR_ARG(partition_topic(part)), partition_id(part), (long long)at->tail->outcome.pid,
                 failure->text);
    tail_release(at->tail);
    if (failure == NULL || failure->code == ERR_UNKNOWN_TOPIC)
        partition_unref(part);
}

/* The marker was written and its sync has failed. With durability=fsync the log has dropped it, and what it ends is open again;
 * else it is there, the next transaction may be open behind it, and a second marker would end that one. A log that the sync took
 * offline says what was so before, until it has read its files again. Of a held one nothing is known while its log cannot be
 * read. */
static bool is_there(const struct tail_part *at)
{
    struct log_producer_info info;
    const struct txn_outcome *outcome = &at->tail->outcome;
    bool unknown = at->held ? !log_check_readable(partition_log(at->part), NULL) : at->marker.end_offset == 0;
    if (unknown || is_offsets_topic(at->part) || !log_heal(partition_log(at->part), NULL))
        return false;
    return !log_producer(partition_log(at->part), outcome->pid, &info) || info.txn_first_offset < 0 ||
           info.epoch > outcome->data_epoch;
}

/* Appends what is missing and waits for it. tail->left is held by the caller. True: all are appended. */
static bool tail_write(struct txn_tail *tail)
{
    struct err err;
    bool all = true;
    for (size_t i = 0; i < tail->count; i++) {
        struct tail_part *at = &tail->at[i];
        if (!at->lost)
            continue;
        at->there = is_there(at);
        if (!at->there && !partition_is_deleted(at->part) &&
            !txn_write_marker(tail->coord, at->part, &tail->outcome, 0, &at->marker, &err)) {
            if (!at->said)
                log_warn("broker", "marker_failed", "topic=%.*s partition=%d producer_id=%lld cause=\"%s\"",
                         STR_ARG(partition_topic(at->part)), partition_id(at->part),
                         (long long)tail->outcome.pid, err.text);
            at->said = true;
            at->lost =
                err.code != ERR_INVALID_PRODUCER_EPOCH; /* a newer one is there: nothing of this is open */
            all = all && !at->lost;
            continue;
        }
        at->lost = false;
        atomic_fetch_add(&tail->left, 1);
        at->wait.fn = on_marker_durable;
        at->wait.even_os = true;
    }
    return all;
}

/* The waits begin when all markers are appended, so that no callback sees half of them. */
static void tail_wait(struct txn_tail *tail)
{
    for (size_t i = 0; i < tail->count; i++) {
        struct tail_part *at = &tail->at[i];
        if (at->wait.fn == NULL)
            continue;
        bool whoever =
            at->there || is_offsets_topic(at->part); /* the group state sees to what its log drops */
        int64_t end_offset = at->marker.end_offset;
        if (partition_is_deleted(at->part))
            on_marker_durable(&at->wait, NULL);
        else if (whoever)
            partition_when_durable(at->part, end_offset, &at->wait);
        else
            partition_when_appended(at->part, &at->marker, &at->wait);
    }
}

/* Tries a failed tail again. Under txn_lock; true: it was one, and tail->left is held. */
static bool tail_take_failed(struct txn_tail *tail)
{
    if (!tail->failed)
        return false;
    tail->failed = false;
    for (size_t i = 0; i < tail->count; i++)
        tail->at[i].wait.fn = NULL;
    atomic_store(&tail->left, 1);
    return true;
}

/* A held log may come back with an append of the next transaction: none comes between the look and the marker. */
static void tail_retry(struct txn_tail *tail)
{
    pthread_rwlock_t *appends = txn_append_lock(tail->coord, tail->id);
    bool held = tail->count != 0 && tail->at[0].held;
    if (held)
        pthread_rwlock_wrlock(appends);
    tail_write(tail);
    if (held)
        pthread_rwlock_unlock(appends);
    tail_wait(tail);
    tail_release(tail);
}

static struct txn_tail *tail_alloc(struct coord *coord, struct str id, const struct txn_outcome *outcome,
                                   size_t count_max)
{
    struct txn_tail *tail = mem_zalloc(1, sizeof *tail + count_max * sizeof tail->at[0]);
    tail->coord = coord;
    tail->id = str_of(mem_dup(id.ptr, id.len), id.len);
    tail->outcome = *outcome;
    tail->bumped = outcome->marker_epoch != outcome->data_epoch;
    list_init(&tail->waiting);
    return tail;
}

/* A tail that has failed already: tried again as every other. Before any other thread asks. */
void txn_hold(struct coord *coord, struct str transactional_id, const struct txn *txn,
              struct partition *const *parts, size_t count)
{
    struct txn_tail *tail = tail_alloc(coord, transactional_id, &txn->decided, count);
    for (size_t i = 0; i < count; i++)
        tail->at[tail->count++] = (struct tail_part){
            .tail = tail, .part = partition_ref(parts[i]), .lost = true, .said = true, .held = true};
    tail->complete = txn->status != TXN_PREPARE_COMMIT && txn->status != TXN_PREPARE_ABORT;
    tail->failed = true;
    pthread_mutex_lock(&coord->txn_lock);
    map_put(&coord->tails, tail->id, tail);
    pthread_mutex_unlock(&coord->txn_lock);
}

static struct txn_tail *tail_new(struct txn_ending *ending)
{
    struct coord *coord = ending->coord;
    struct arena arena = {0};
    size_t count;
    replay_lock(coord->txns_replay);
    struct txn_partition *list = txns_partitions(coord->txns, ending->id, &count, &arena);
    replay_unlock(coord->txns_replay);
    struct txn_tail *tail = tail_alloc(coord, ending->id, &ending->outcome, count);
    atomic_init(&tail->left, 1);
    for (size_t i = 0; i < count; i++) {
        struct partition *part = storage_partition(coord->storage, list[i].topic, list[i].partition);
        if (part != NULL)
            tail->at[tail->count++] = (struct tail_part){.tail = tail, .part = part, .lost = true};
    }
    arena_fini(&arena);
    return tail;
}

/* --- the ending --- */

static void ending_free(struct txn_ending *ending)
{
    for (size_t i = 0; i < ending->input_count; i++)
        partition_unref(ending->inputs[i].part);
    free(ending->inputs);
    free((char *)ending->id.ptr);
    pthread_mutex_destroy(&ending->lock);
    free(ending);
}

static void finish(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    struct coord *coord = ending->coord;
    ending->done(ending, error, failure);
    ending_free(ending);
    atomic_fetch_sub(&coord->ending_count, 1);
}

/* (c) and (d). */
static void on_decided(struct replay_wait *wait, const struct err *failure)
{
    struct txn_ending *ending = LIST_ENTRY(wait, struct txn_ending, decided);
    struct coord *coord = ending->coord;
    if (failure != NULL) { /* X2 */
        finish(ending, err_kafka_code(failure->code), failure);
        return;
    }
    pthread_rwlock_t *appends = txn_append_lock(coord, ending->id);
    pthread_rwlock_wrlock(appends); /* X4 */
    pthread_rwlock_unlock(appends);
    struct txn_tail *tail = tail_new(ending);
    bool appended = tail_write(tail);
    bool waits = !tail->bumped || !appended || ending->wait_markers;
    ending->waits_tail = true;
    pthread_mutex_lock(&coord->txn_lock);
    map_put(&coord->tails, tail->id, tail);
    if (waits)
        list_push_back(&tail->waiting, &ending->link);
    pthread_mutex_unlock(&coord->txn_lock);
    if (!waits)
        tail->complete = write_complete(coord, ending->id, &ending->outcome);
    tail_wait(tail);
    tail_release(tail);
    if (!waits)
        finish(ending, 0, NULL);
}

/* (b) */
static void decide(struct txn_ending *ending)
{
    struct coord *coord = ending->coord;
    struct err err;
    int64_t end_offset = 0;
    struct txn_end req = {
        .transactional_id = ending->id,
        .pid = ending->pid,
        .epoch = ending->epoch,
        .commit = ending->commit,
        .by = ending->by,
        .fresh_pid = ending->fresh_pid,
        .partitions = ending->touched,
        .partition_count = ending->touched_count,
        .now_ms = io_now_ms(coord->io),
    };
    bool good = replay_run(coord->txns_replay, txns_decide_end, &req, &end_offset, &err);
    if (!good) {
        finish(ending, err_kafka_code(err.code), &err);
        return;
    }
    ending->next_pid = req.next_pid;
    ending->next_epoch = req.next_epoch;
    if (req.error != 0 || req.needs_pid) {
        finish(ending, req.error != 0 ? req.error : TXN_CONCURRENT, NULL);
        return;
    }
    if (!req.prepared) { /* it was at its end already; what is answered has to be durable all the same */
        ending->outcome.pid = -1;
        finish(ending, 0, NULL);
        return;
    }
    ending->outcome = req.txn.decided;
    ending->decided.fn = on_decided;
    replay_when_durable(coord->txns_replay, end_offset, &ending->decided);
}

/* One wait of (a) is over. */
static void release(struct txn_ending *ending, const struct err *failure)
{
    if (failure != NULL && failure->code != ERR_UNKNOWN_TOPIC) { /* what was deleted needs no decision */
        pthread_mutex_lock(&ending->lock);
        if (!ending->failed)
            ending->failure = *failure;
        ending->failed = true;
        pthread_mutex_unlock(&ending->lock);
    }
    if (atomic_fetch_sub(&ending->left, 1) != 1)
        return;
    if (!ending->failed) {
        decide(ending);
        return;
    }
    struct err err = ending->failure;
    finish(ending, err_kafka_code(err.code), &err);
}

static void on_input_durable(struct partition_wait *wait, const struct err *failure)
{
    release(((struct txn_input *)wait)->ending, failure);
}

/* The tail that was waited for has settled: the one before (in step (a)), or the ending's own. */
static void tail_over(struct txn_ending *ending, bool good)
{
    struct err err;
    if (ending->waits_tail) { /* decided is decided; a marker that failed is tried again later (X5) */
        finish(ending, 0, NULL);
    } else if (good) {
        release(ending, NULL);
    } else {
        err_set(&err, ERR_COORDINATOR_NOT_AVAILABLE,
                "transaction '%.*s': a marker of the one before cannot be written yet", STR_ARG(ending->id));
        release(ending, &err);
    }
}

/* Joins those who wait for the tail of the id, if there is one. */
static void wait_before(struct txn_ending *ending)
{
    struct coord *coord = ending->coord;
    pthread_mutex_lock(&coord->txn_lock);
    struct txn_tail *tail = map_get(&coord->tails, ending->id);
    bool retry = tail != NULL && tail_take_failed(tail);
    if (tail != NULL)
        list_push_back(&tail->waiting, &ending->link);
    pthread_mutex_unlock(&coord->txn_lock);
    if (tail == NULL)
        release(ending, NULL);
    else if (retry)
        tail_retry(tail);
}

void txn_ending_start(const struct txn_ending *template)
{
    struct txn_ending *ending = mem_new(struct txn_ending);
    *ending = *template;
    ending->id = str_of(mem_dup(template->id.ptr, template->id.len), template->id.len);
    pthread_mutex_init(&ending->lock, NULL);
    atomic_fetch_add(&ending->coord->ending_count, 1);
    atomic_init(&ending->left, (int)ending->input_count + 2); /* the tail, and ours until all are asked for */
    for (size_t i = 0; i < ending->input_count; i++) {
        struct txn_input *input = &ending->inputs[i];
        input->ending = ending;
        input->wait.fn = on_input_durable;
        if (input->any_incarnation)
            partition_when_durable(input->part, input->appended.end_offset, &input->wait);
        else
            partition_when_appended(input->part, &input->appended, &input->wait);
    }
    wait_before(ending);
    release(ending, NULL);
}

/* --- blocking --- */

struct end_wait {
    struct latch over;
    int16_t error;
};

static void on_over(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    struct end_wait *wait = ending->arg;
    struct err cause;
    wait->error = error;
    if (error != 0 && failure == NULL)
        err_set(&cause, err_from_kafka(error), "transaction '%.*s' (producer id %lld, epoch %d): %s",
                STR_ARG(ending->id), (long long)ending->pid, ending->epoch,
                err_default_text(err_from_kafka(error)));
    latch_end(&wait->over, error == 0 ? NULL : failure != NULL ? failure : &cause);
}

bool txn_end_wait(struct txn_ending *template, int16_t *error, struct err *err)
{
    struct end_wait wait = {.error = 0};
    latch_init(&wait.over);
    template->done = on_over;
    template->arg = &wait;
    txn_ending_start(template);
    bool good = latch_wait(&wait.over, err);
    if (error != NULL)
        *error = wait.error;
    return good;
}

/* --- the clock --- */

static void on_timed_out(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    if (error != 0)
        log_warn("broker", "transaction_abort_failed", "transactional_id=%.*s error=%d cause=\"%s\"",
                 STR_ARG(ending->id), error, failure != NULL ? failure->text : "");
}

/* Aborts what is ongoing for longer than its producer said. */
static void abort_timed_out(struct coord *coord)
{
    struct arena arena = {0};
    vec(struct txn_ending) due = {0};
    struct str id;
    struct txn txn;
    int64_t now_ms = io_now_ms(coord->io);
    replay_lock(coord->txns_replay);
    for (size_t i = 0; txns_next(coord->txns, &i, &id, &txn);)
        if (txn.status == TXN_ONGOING && txn.timeout_ms != TXN_NO_TIMEOUT &&
            now_ms - txn.start_ms > txn.timeout_ms)
            vec_push(&due, (struct txn_ending){.coord = coord,
                                               .id = str_dup(id, &arena),
                                               .pid = txn.pid,
                                               .epoch = txn.epoch,
                                               .fresh_pid = -1,
                                               .by = TXN_BY_SERVER,
                                               .done = on_timed_out});
    replay_unlock(coord->txns_replay);
    for (size_t i = 0; i < due.len; i++) {
        log_info("broker", "transaction_timed_out", "transactional_id=%.*s producer_id=%lld epoch=%d",
                 STR_ARG(due.at[i].id), (long long)due.at[i].pid, due.at[i].epoch);
        txn_ending_start(&due.at[i]);
    }
    vec_fini(&due);
    arena_fini(&arena);
}

static void retry_tails(struct coord *coord)
{
    vec(struct txn_tail *) failed = {0};
    void *tail;
    pthread_mutex_lock(&coord->txn_lock);
    for (size_t i = 0; map_next(&coord->tails, &i, NULL, &tail);)
        if (tail_take_failed(tail))
            vec_push(&failed, (struct txn_tail *)tail);
    pthread_mutex_unlock(&coord->txn_lock);
    for (size_t i = 0; i < failed.len; i++)
        tail_retry(failed.at[i]);
    vec_fini(&failed);
}

static bool keeps_id(void *arg, struct str transactional_id)
{
    return txn_id_is_reserved(transactional_id) || !txn_tail_is_settled(arg, transactional_id);
}

static void expire_ids(struct coord *coord)
{
    struct err err;
    int64_t now_ms = io_now_ms(coord->io);
    struct txn_expire req = {.before_ms = now_ms - coord->config->txn_id_expiration_ms,
                             .now_ms = now_ms,
                             .keep = keeps_id,
                             .arg = coord};
    if (!replay_run(coord->txns_replay, txns_decide_expire, &req, NULL, &err))
        log_warn("broker", "transactional_ids_expire_failed", "cause=\"%s\"", err.text);
    else if (req.count != 0)
        log_info("broker", "transactional_ids_expired", "count=%zu", req.count);
}

static void tend(void *arg)
{
    struct coord *coord = arg;
    abort_timed_out(coord);
    retry_tails(coord);
    expire_ids(coord);
    atomic_store(&coord->txns_tended, false);
}

static void on_txn_timer(struct loop_timer *timer)
{
    struct coord *coord = LIST_ENTRY(timer, struct coord, txn_timer);
    if (!atomic_exchange(&coord->txns_tended, true))
        pool_submit(storage_admin_pool(coord->storage), tend, coord, NULL, NULL);
    loop_timer_start(timer, coord->config->txn_check_interval_ms);
}

void txns_init_clock(struct coord *coord)
{
    loop_timer_init(&coord->txn_timer, coord->loop, on_txn_timer);
}
