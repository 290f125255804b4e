/* txn.c - the engine's transactions: steps of a commit, recovery at start, producer ids in blocks.
 *
 *   broker_txn_commit:
 *     (a) syncs of touched partitions and inputs,    each by its partition's shared sync; the last one done goes on
 *         and of the markers of the transaction before
 *     (b) record PrepareCommit, durable              from here on the transaction is committed
 *     (c) markers, record CompleteCommit             CompleteCommit is not waited for: a start would write it again
 *
 * (X1) Steps are chained by callbacks, no thread waits. A callback may run on a pool thread or, when nothing was to be
 *      synced, on the caller's.
 * (X2) A failure in (a) aborts: abort markers, PrepareAbort, CompleteAbort. A failure in (b) leaves the decision to the next
 *      start, because the record may or may not be on the disk; the state's topic is offline then.
 * (X3) Recovery goes by what is open in the logs (log_txn_first_offset), not by lists in records: markers are written
 *      exactly where they are missing. Nobody waits for markers to be durable but the decision of the next transaction of the
 *      id (marker_tail), so what is open is the present transaction or the last decided one.
 * (X4) The sequence of a batch is drawn and the batch appended under the touched partition's lock: sequences are in
 *      order of append, and nothing is appended behind the marker of a fenced transaction.
 */
#include "broker/broker_int.h"

enum { PID_BLOCK = 1000 };

/* A partition that the transaction has appended to. */
struct touched {
    struct broker_wait wait; /* of step (a) */
    struct broker_txn *txn;
    struct partition *part; /* a reference */
    pthread_mutex_t lock;   /* X4 */
    int32_t next_seq;
    struct broker_appended last; /* end_offset 0: nothing was appended */
};

/* Where the last transaction of an id has put its markers. */
struct marker_tail {
    size_t count;
    struct {
        struct partition *part; /* a reference */
        struct broker_appended marker;
    } at[];
};

struct broker_txn {
    atomic_int refs; /* the handle's, and that of who fences it */
    struct broker *broker;
    struct str id; /* owned */
    int64_t pid;
    int16_t epoch;
    pthread_mutex_t lock;
    struct map by_partition; /* address of the partition -> struct touched */
    bool fenced;             /* aborted from outside: the handle answers ERR_PRODUCER_FENCED */
    bool ending;
    atomic_int left; /* syncs of step (a) still to come */
    atomic_bool failed;
    struct err failure;
    struct replay_wait decided;
    void (*done)(void *arg, const struct err *failure);
    void *done_arg;
    struct touched *inputs;     /* waits for inputs and for the markers before */
    struct marker_tail *before; /* markers of the transaction before */
};

/* --- producer ids --- */

bool txns_take_id(struct broker *broker, int64_t *pid)
{
    pthread_mutex_lock(&broker->txn_lock);
    bool good = broker->pid_next < broker->pid_end;
    if (good)
        *pid = broker->pid_next++;
    pthread_mutex_unlock(&broker->txn_lock);
    return good;
}

bool txns_refill_ids(struct broker *broker, struct err *err)
{
    struct txn_reserve req = {.count = PID_BLOCK, .now_ms = io_now_ms(broker->io)};
    if (!replay_run_durable(broker->txns_replay, txns_decide_reserve, &req, err))
        return false;
    pthread_mutex_lock(&broker->txn_lock);
    if (broker->pid_next >= broker->pid_end) { /* else: somebody else was faster, this block stays unused */
        broker->pid_next = req.first;
        broker->pid_end = req.first + req.count;
    }
    pthread_mutex_unlock(&broker->txn_lock);
    return true;
}

bool broker_producer_id(struct broker *broker, int64_t *producer_id, struct err *err)
{
    while (!txns_take_id(broker, producer_id))
        if (!txns_refill_ids(broker, err))
            return false;
    return true;
}

/* --- records --- */

static bool change(struct broker *broker, struct str id, int64_t pid, int16_t epoch, enum txn_status to,
                   const struct txn_partition *partitions, size_t partition_count, int64_t *end_offset,
                   struct err *err)
{
    struct txn_change req = {
        .transactional_id = id,
        .pid = pid,
        .epoch = epoch,
        .to = to,
        .partitions = partitions,
        .partition_count = partition_count,
        .now_ms = io_now_ms(broker->io),
    };
    return replay_run(broker->txns_replay, txns_decide_change, &req, end_offset, err);
}

/* --- begin --- */

static void touched_free(struct touched *touched)
{
    broker_partition_unref(touched->part);
    pthread_mutex_destroy(&touched->lock);
    free(touched);
}

static void tail_free(struct marker_tail *tail)
{
    for (size_t i = 0; tail != NULL && i < tail->count; i++)
        broker_partition_unref(tail->at[i].part);
    free(tail);
}

static void txn_unref(struct broker_txn *txn)
{
    void *touched;
    if (atomic_fetch_sub(&txn->refs, 1) != 1)
        return;
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched);)
        touched_free(touched);
    map_fini(&txn->by_partition);
    pthread_mutex_destroy(&txn->lock);
    tail_free(txn->before);
    free(txn->inputs);
    free((char *)txn->id.ptr);
    free(txn);
}

/* The open transaction of the id is fenced and aborted; its handle stays its holder's. */
static bool fence_open(struct broker *broker, struct str id, struct err *err);

static bool decide_begin(struct broker *broker, struct str id, struct txn_begin *req, struct err *err)
{
    int64_t end_offset;
    *req = (struct txn_begin){.transactional_id = id, .fresh_pid = -1, .now_ms = io_now_ms(broker->io)};
    replay_lock(broker->txns_replay);
    bool needs_pid = txns_needs_pid(broker->txns, id);
    replay_unlock(broker->txns_replay);
    if (needs_pid && !broker_producer_id(broker, &req->fresh_pid, err))
        return false;
    if (!replay_run(broker->txns_replay, txns_decide_begin, req, &end_offset, err))
        return false;
    return !req->took_fresh_pid || replay_wait_durable(broker->txns_replay, end_offset, err);
}

bool broker_txn_begin(struct broker *broker, struct str transactional_id, struct broker_txn **out,
                      struct err *err)
{
    struct txn_begin req;
    if (!fence_open(broker, transactional_id, err) || !decide_begin(broker, transactional_id, &req, err))
        return false;
    struct broker_txn *txn = mem_new(struct broker_txn);
    atomic_init(&txn->refs, 1);
    txn->broker = broker;
    txn->id = str_of(mem_dup(transactional_id.ptr, transactional_id.len), transactional_id.len);
    txn->pid = req.txn.pid;
    txn->epoch = req.txn.epoch;
    pthread_mutex_init(&txn->lock, NULL);
    pthread_mutex_lock(&broker->txn_lock);
    map_put(&broker->open_txns, transactional_id, txn);
    txn->before = map_remove(&broker->marker_tails, transactional_id);
    pthread_mutex_unlock(&broker->txn_lock);
    *out = txn;
    return true;
}

int64_t broker_txn_producer_id(const struct broker_txn *txn)
{
    return txn->pid;
}

int16_t broker_txn_epoch(const struct broker_txn *txn)
{
    return txn->epoch;
}

/* --- append --- */

static bool is_fenced(struct broker_txn *txn, struct err *err)
{
    pthread_mutex_lock(&txn->lock);
    bool fenced = txn->fenced;
    pthread_mutex_unlock(&txn->lock);
    if (fenced)
        err_set(err, ERR_PRODUCER_FENCED, "transaction '%.*s' (epoch %d) was aborted by a newer one",
                STR_ARG(txn->id), txn->epoch);
    return fenced;
}

static struct touched *touch(struct broker_txn *txn, struct partition *part, struct err *err)
{
    struct str key = str_of((const char *)&part, sizeof part);
    if (is_fenced(txn, err))
        return NULL;
    pthread_mutex_lock(&txn->lock);
    ASSERT(!txn->ending);
    struct touched *touched = map_get(&txn->by_partition, key);
    if (touched == NULL) {
        touched = mem_new(struct touched);
        touched->txn = txn;
        touched->part = broker_partition_ref(part);
        pthread_mutex_init(&touched->lock, NULL);
        map_put(&txn->by_partition, key, touched);
    }
    pthread_mutex_unlock(&txn->lock);
    return touched;
}

bool broker_txn_append(struct broker_txn *txn, struct partition *part, char *batch, size_t size,
                       struct broker_appended *out, struct err *err)
{
    struct batch view;
    struct touched *touched = touch(txn, part, err);
    if (touched == NULL || !batch_open(str_of(batch, size), &view, err))
        return false;
    pthread_mutex_lock(&touched->lock);
    batch_set_producer(batch, txn->pid, txn->epoch, touched->next_seq, true);
    bool good = !is_fenced(txn, err) && broker_partition_append(part, batch, size, out, err);
    if (good) {
        int64_t next = (int64_t)touched->next_seq + view.record_count;
        touched->next_seq = (int32_t)(next & INT32_MAX);
        /* Earlier batches of another incarnation were dropped: the wait for this one then has to fail too. */
        if (touched->last.end_offset == 0)
            touched->last = *out;
        touched->last.end_offset = out->end_offset;
    }
    pthread_mutex_unlock(&touched->lock);
    return good;
}

/* --- end --- */

/* Partitions as the records name them; slices live as long as the transaction. */
static struct txn_partition *list_partitions(const struct broker_txn *txn, size_t *count, struct arena *arena)
{
    struct txn_partition *list = arena_array(arena, struct txn_partition, txn->by_partition.len + 1);
    void *touched_ptr;
    *count = 0;
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched_ptr);) {
        const struct touched *touched = touched_ptr;
        list[(*count)++] = (struct txn_partition){touched->part->topic, touched->part->id};
    }
    return list;
}

/* Remembers where the markers are, for the next transaction of the id. */
static void leave_tail(struct broker_txn *txn, struct marker_tail *tail)
{
    pthread_mutex_lock(&txn->broker->txn_lock);
    struct marker_tail *older = map_put(&txn->broker->marker_tails, txn->id, tail);
    pthread_mutex_unlock(&txn->broker->txn_lock);
    tail_free(older);
}

static bool write_marker(struct broker_txn *txn, struct touched *touched, enum marker marker,
                         struct marker_tail *tail, struct err *err)
{
    bool good = true;
    pthread_mutex_lock(&touched->lock);
    if (touched->last.end_offset != 0 && !broker_partition_is_deleted(touched->part)) {
        struct broker_appended appended;
        good = partition_append_marker(touched->part, txn->pid, txn->epoch, marker, &appended, err);
        if (good) {
            tail->at[tail->count].part = broker_partition_ref(touched->part);
            tail->at[tail->count++].marker = appended;
        }
    }
    pthread_mutex_unlock(&touched->lock);
    return good;
}

/* Markers for all touched partitions; one that cannot be written is left to the next start. */
static void write_markers(struct broker_txn *txn, enum marker marker)
{
    struct err err;
    void *touched_ptr;
    struct marker_tail *tail = mem_zalloc(1, sizeof *tail + txn->by_partition.len * sizeof tail->at[0]);
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched_ptr);) {
        struct touched *touched = touched_ptr;
        if (!write_marker(txn, touched, marker, tail, &err))
            log_warn("broker", "marker_failed", "topic=%.*s partition=%d producer_id=%lld cause=\"%s\"",
                     STR_ARG(touched->part->topic), touched->part->id, (long long)txn->pid, err.text);
    }
    leave_tail(txn, tail);
}

/* The transaction is no longer the open one of its id. */
static void leave_open(struct broker_txn *txn)
{
    struct broker *broker = txn->broker;
    pthread_mutex_lock(&broker->txn_lock);
    if (map_get(&broker->open_txns, txn->id) == txn)
        map_remove(&broker->open_txns, txn->id);
    pthread_mutex_unlock(&broker->txn_lock);
}

/* The markers of the transaction before are durable: now this one may be decided (X3). */
static bool before_is_durable(struct broker_txn *txn, bool may_block, struct err *err)
{
    for (size_t i = 0; txn->before != NULL && i < txn->before->count; i++) {
        struct partition *part = txn->before->at[i].part;
        const struct broker_appended *marker = &txn->before->at[i].marker;
        if (!part->fsync || broker_partition_is_deleted(part))
            continue;
        if (!may_block && log_durable_offset(part->log) < marker->end_offset)
            return err_set(err, ERR_STORAGE, "markers of the transaction before are not durable in %.*s-%d",
                           STR_ARG(part->topic), part->id);
        if (!broker_partition_wait_appended(part, marker, err) && !broker_partition_is_deleted(part))
            return false;
    }
    return true;
}

/* Decides the abort. What cannot be recorded is decided by the next start, the same way. */
static bool abort_records(struct broker_txn *txn, bool may_block, struct err *err)
{
    struct arena arena = {0};
    size_t count;
    if (!before_is_durable(txn, may_block, err))
        return false;
    const struct txn_partition *partitions = list_partitions(txn, &count, &arena);
    bool good =
        change(txn->broker, txn->id, txn->pid, txn->epoch, TXN_PREPARE_ABORT, partitions, count, NULL, err);
    if (good) {
        write_markers(txn, MARKER_ABORT);
        good = change(txn->broker, txn->id, txn->pid, txn->epoch, TXN_COMPLETE_ABORT, NULL, 0, NULL, err);
    }
    arena_fini(&arena);
    return good;
}

/* Tells the committer, and the handle is gone. */
static void finish(struct broker_txn *txn, const struct err *failure)
{
    void (*done)(void *, const struct err *) = txn->done;
    void *arg = txn->done_arg;
    struct err kept;
    if (failure != NULL)
        kept = *failure;
    leave_open(txn);
    txn_unref(txn);
    done(arg, failure != NULL ? &kept : NULL);
}

/* Step (c). */
static void on_decided(struct replay_wait *wait, const struct err *failure)
{
    struct broker_txn *txn = (struct broker_txn *)((char *)wait - offsetof(struct broker_txn, decided));
    struct err err;
    if (failure != NULL) { /* X2 */
        finish(txn, failure);
        return;
    }
    write_markers(txn, MARKER_COMMIT);
    if (!change(txn->broker, txn->id, txn->pid, txn->epoch, TXN_COMPLETE_COMMIT, NULL, 0, NULL, &err))
        log_warn("broker", "complete_failed", "transactional_id=%.*s cause=\"%s\"", STR_ARG(txn->id),
                 err.text);
    finish(txn, NULL);
}

/* Step (b), or the way back. */
static void decide(struct broker_txn *txn)
{
    struct arena arena = {0};
    struct err err, second;
    int64_t end_offset = 0;
    size_t count;
    const struct txn_partition *partitions = list_partitions(txn, &count, &arena);
    bool good = !atomic_load(&txn->failed);
    if (!good)
        err = txn->failure;
    else
        good = change(txn->broker, txn->id, txn->pid, txn->epoch, TXN_PREPARE_COMMIT, partitions, count,
                      &end_offset, &err);
    arena_fini(&arena);
    if (good) {
        txn->decided.fn = on_decided;
        replay_when_durable(txn->broker->txns_replay, end_offset, &txn->decided);
        return;
    }
    if (!abort_records(txn, false, &second))
        log_warn("broker", "abort_failed", "transactional_id=%.*s cause=\"%s\"", STR_ARG(txn->id),
                 second.text);
    finish(txn, &err);
}

/* One sync of step (a) is over. */
static void on_synced(struct broker_wait *wait, const struct err *failure)
{
    struct touched *touched = (struct touched *)wait;
    struct broker_txn *txn = touched->txn;
    if (failure != NULL && failure->code != ERR_UNKNOWN_TOPIC) { /* what was deleted needs no decision */
        pthread_mutex_lock(&txn->lock);
        if (!atomic_load(&txn->failed))
            txn->failure = *failure;
        atomic_store(&txn->failed, true);
        pthread_mutex_unlock(&txn->lock);
    }
    if (atomic_fetch_sub(&txn->left, 1) == 1)
        decide(txn);
}

void broker_txn_commit(struct broker_txn *txn, const struct broker_txn_input *inputs, size_t input_count,
                       void (*done)(void *arg, const struct err *failure), void *arg)
{
    void *touched_ptr;
    struct err err;
    bool fenced = is_fenced(txn, &err);
    pthread_mutex_lock(&txn->lock);
    txn->ending = true;
    pthread_mutex_unlock(&txn->lock);
    txn->done = done;
    txn->done_arg = arg;
    if (fenced) {
        finish(txn, &err);
        return;
    }
    txn->inputs = mem_zalloc(input_count + 1, sizeof *txn->inputs);
    atomic_store(&txn->left,
                 (int)(txn->by_partition.len + input_count + 1)); /* one is ours, until all are asked for */
    for (size_t i = 0; i < input_count; i++) {
        txn->inputs[i].txn = txn;
        txn->inputs[i].wait.fn = on_synced;
        broker_partition_when_durable(inputs[i].part, inputs[i].offset, &txn->inputs[i].wait);
    }
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched_ptr);) {
        struct touched *touched = touched_ptr;
        touched->wait.fn = on_synced;
        if (touched->last.end_offset != 0)
            broker_partition_when_appended(touched->part, &touched->last, &touched->wait);
        else /* nothing was appended after all */
            on_synced(&touched->wait, NULL);
    }
    if (atomic_fetch_sub(&txn->left, 1) == 1)
        decide(txn);
}

struct commit_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool over, failed;
    struct err failure;
};

static void on_commit_over(void *arg, const struct err *failure)
{
    struct commit_wait *wait = arg;
    pthread_mutex_lock(&wait->lock);
    wait->over = true;
    wait->failed = failure != NULL;
    if (failure != NULL)
        wait->failure = *failure;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

bool broker_txn_commit_wait(struct broker_txn *txn, const struct broker_txn_input *inputs, size_t input_count,
                            struct err *err)
{
    struct commit_wait wait = {0};
    pthread_mutex_init(&wait.lock, NULL);
    pthread_cond_init(&wait.cond, NULL);
    broker_txn_commit(txn, inputs, input_count, on_commit_over, &wait);
    pthread_mutex_lock(&wait.lock);
    while (!wait.over)
        pthread_cond_wait(&wait.cond, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.cond);
    pthread_mutex_destroy(&wait.lock);
    if (wait.failed && err != NULL)
        *err = wait.failure;
    return !wait.failed;
}

bool broker_txn_abort(struct broker_txn *txn, struct err *err)
{
    pthread_mutex_lock(&txn->lock);
    bool fenced = txn->fenced;
    txn->ending = true;
    pthread_mutex_unlock(&txn->lock);
    bool good = fenced || abort_records(txn, true, err);
    leave_open(txn);
    txn_unref(txn);
    return good;
}

static bool fence_open(struct broker *broker, struct str id, struct err *err)
{
    pthread_mutex_lock(&broker->txn_lock);
    struct broker_txn *txn = map_get(&broker->open_txns, id);
    bool ending = false;
    if (txn != NULL) {
        pthread_mutex_lock(&txn->lock);
        ending = txn->ending;
        txn->fenced = txn->fenced || !ending;
        pthread_mutex_unlock(&txn->lock);
        if (!ending) {
            map_remove(&broker->open_txns, id);
            atomic_fetch_add(&txn->refs, 1);
        }
    }
    pthread_mutex_unlock(&broker->txn_lock);
    if (txn == NULL)
        return true;
    if (ending)
        return err_set(err, ERR_CONCURRENT_TRANSACTIONS, "transaction '%.*s' is being completed",
                       STR_ARG(id));
    bool good = abort_records(txn, true, err);
    txn_unref(txn);
    return good;
}

enum broker_txn_state broker_txn_last(struct broker *broker, struct str transactional_id,
                                      int64_t *producer_id, int16_t *epoch)
{
    struct txn txn;
    replay_lock(broker->txns_replay);
    bool known = txns_find(broker->txns, transactional_id, &txn);
    replay_unlock(broker->txns_replay);
    if (!known)
        return BROKER_TXN_NONE;
    *producer_id = txn.pid;
    *epoch = txn.epoch;
    switch (txn.status) {
    case TXN_PREPARE_COMMIT:
    case TXN_COMPLETE_COMMIT:
        return BROKER_TXN_COMMITTED;
    case TXN_ONGOING:
        return BROKER_TXN_OPEN;
    default:
        return BROKER_TXN_ABORTED;
    }
}

/* --- recovery --- */

/* What the logs say about one transactional id. */
struct open_search {
    const struct txn *txn;
    int64_t pid; /* the present one's, then the decided one's if it is another */
    bool good;
    struct err *err;
    int16_t epoch_seen; /* newer than the state's: its begin was lost; -1 none */
};

/* Ends what the producer has left open in a partition (X3). */
static void close_open(struct partition *part, void *arg)
{
    struct open_search *search = arg;
    const struct txn *txn = search->txn;
    struct log_producer_info info;
    struct broker_appended appended;
    if (!search->good || log_txn_first_offset(part->log, search->pid) < 0 ||
        !log_producer(part->log, search->pid, &info))
        return;
    bool decided = info.pid == txn->decided_pid && info.epoch == txn->decided_epoch;
    enum marker marker = decided && txn->decided_commit ? MARKER_COMMIT : MARKER_ABORT;
    if (info.pid == txn->pid && info.epoch > txn->epoch)
        search->epoch_seen = MAX(search->epoch_seen, info.epoch);
    search->good = partition_append_marker(part, info.pid, info.epoch, marker, &appended, search->err) &&
                   broker_partition_wait_appended(part, &appended, search->err);
    log_info("broker", "transaction_closed", "topic=%.*s partition=%d producer_id=%lld epoch=%d marker=%s",
             STR_ARG(part->topic), part->id, (long long)info.pid, info.epoch,
             marker == MARKER_COMMIT ? "commit" : "abort");
}

/* The records that bring an id to rest after its markers are durable. */
static bool settle(struct broker *broker, struct str id, const struct txn *txn, int16_t epoch_seen,
                   struct err *err)
{
    bool good = true;
    if (txn->status == TXN_ONGOING)
        good = change(broker, id, txn->pid, txn->epoch, TXN_PREPARE_ABORT, NULL, 0, NULL, err);
    if (good && (txn->status == TXN_ONGOING || txn->status == TXN_PREPARE_ABORT))
        good = change(broker, id, txn->pid, txn->epoch, TXN_COMPLETE_ABORT, NULL, 0, NULL, err);
    if (good && txn->status == TXN_PREPARE_COMMIT)
        good = change(broker, id, txn->pid, txn->epoch, TXN_COMPLETE_COMMIT, NULL, 0, NULL, err);
    if (good && epoch_seen >= 0) {
        struct txn_change burn = {.transactional_id = id,
                                  .pid = txn->pid,
                                  .epoch = epoch_seen,
                                  .now_ms = io_now_ms(broker->io)};
        good = replay_run_durable(broker->txns_replay, txns_decide_burn, &burn, err);
    }
    return good;
}

static bool recover(struct broker *broker, struct str id, const struct txn *txn, struct err *err)
{
    struct open_search search = {.txn = txn, .pid = txn->pid, .good = true, .err = err, .epoch_seen = -1};
    topics_each_partition(broker, close_open, &search);
    if (txn->decided_pid >= 0 && txn->decided_pid != txn->pid) {
        search.pid = txn->decided_pid;
        topics_each_partition(broker, close_open, &search);
    }
    return search.good && settle(broker, id, txn, search.epoch_seen, err);
}

bool txns_open(struct broker *broker, struct err *err)
{
    struct arena arena = {0};
    struct str id;
    struct txn txn;
    vec(struct str) ids = {0};
    broker->txns = txns_new();
    broker->txns_log.part = broker_partition_get(broker, STR(TXN_TOPIC), 0, err);
    if (broker->txns_log.part == NULL ||
        !replay_open(&broker->txns_replay, &state_log_ops, &broker->txns_log, &txns_class, broker->txns, err))
        return false;
    for (size_t i = 0; txns_next(broker->txns, &i, &id, &txn);)
        vec_push(&ids, str_dup(id, &arena));
    bool good = true;
    for (size_t i = 0; good && i < ids.len; i++)
        good = txns_find(broker->txns, ids.at[i], &txn) && recover(broker, ids.at[i], &txn, err);
    vec_fini(&ids);
    arena_fini(&arena);
    return good;
}

void txns_close(struct broker *broker)
{
    void *tail;
    ASSERT_CMP(broker->open_txns.len, ==, 0);
    map_fini(&broker->open_txns);
    for (size_t i = 0; map_next(&broker->marker_tails, &i, NULL, &tail);)
        tail_free(tail);
    map_fini(&broker->marker_tails);
    replay_close(broker->txns_replay);
    txns_free(broker->txns);
    batch_builder_fini(&broker->txns_log.builder);
    broker_partition_unref(broker->txns_log.part);
}
