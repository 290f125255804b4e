/* txn.c - the engine's transactions: a handle in this process over the state machine that clients use (txn_end.c), and
 * producer ids in blocks.
 *
 *   begin    Ongoing, a record that nobody waits for     a lost one is found by what it has left open in the logs
 *   append   straight into partitions                    no record: the engine's partitions are named at the end
 *   commit   txn_end.c, as a KIP-890 producer would      one durable record; the next begin uses the bumped epoch
 *
 * (E1) Transactional ids that begin with "rialto-engine" are this process's: clients that name one are refused.
 * (E2) The sequence of a batch is drawn and the batch appended under the touched partition's lock: sequences are in order of
 *      append.
 * (E3) A second begin of an id fences the first handle: no append of it passes the append lock any more, then its
 *      transaction is aborted.
 */
#include "coord/coord_int.h"

enum { PID_BLOCK = 1000 };

/* A partition that the transaction has appended to. */
struct touched {
    struct partition *part; /* a reference */
    pthread_mutex_t lock;   /* E2 */
    int32_t next_seq;
    struct partition_appended last; /* end_offset 0: nothing was appended */
};

struct coord_txn {
    struct coord *coord;
    struct str id; /* owned */
    int64_t pid;
    int16_t epoch;
    pthread_mutex_t lock;
    struct map by_partition; /* address of the partition -> struct touched */
    atomic_bool fenced;      /* aborted from outside: the handle answers ERR_PRODUCER_FENCED */
    bool ending;             /* under txn_lock */
    struct txn_partition *names;
    size_t name_count;
    struct err failure; /* why the commit became an abort */
    void (*done)(void *arg, const struct err *failure);
    void *done_arg;
};

/* --- producer ids --- */

bool coord_take_producer_id(struct coord *coord, int64_t *pid)
{
    pthread_mutex_lock(&coord->txn_lock);
    bool good = coord->pid_next < coord->pid_end;
    if (good)
        *pid = coord->pid_next++;
    pthread_mutex_unlock(&coord->txn_lock);
    return good;
}

bool coord_refill_producer_ids(struct coord *coord, struct err *err)
{
    struct txn_reserve req = {.count = PID_BLOCK, .now_ms = io_now_ms(coord->io)};
    if (!replay_run_durable(coord->txns_replay, txns_decide_reserve, &req, err))
        return false;
    pthread_mutex_lock(&coord->txn_lock);
    if (coord->pid_next >= coord->pid_end) { /* else: somebody else was faster, this block stays unused */
        coord->pid_next = req.first;
        coord->pid_end = req.first + req.count;
    }
    pthread_mutex_unlock(&coord->txn_lock);
    return true;
}

bool coord_producer_id(struct coord *coord, int64_t *producer_id, struct err *err)
{
    while (!coord_take_producer_id(coord, producer_id))
        if (!coord_refill_producer_ids(coord, err))
            return false;
    return true;
}

/* --- begin --- */

static void touched_free(struct touched *touched)
{
    partition_unref(touched->part);
    pthread_mutex_destroy(&touched->lock);
    free(touched);
}

/* The handle is gone. */
static void txn_free(struct coord_txn *txn)
{
    void *touched;
    pthread_mutex_lock(&txn->coord->txn_lock);
    if (map_get(&txn->coord->open_txns, txn->id) == txn)
        map_remove(&txn->coord->open_txns, txn->id);
    pthread_mutex_unlock(&txn->coord->txn_lock);
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched);)
        touched_free(touched);
    map_fini(&txn->by_partition);
    pthread_mutex_destroy(&txn->lock);
    free(txn->names);
    free((char *)txn->id.ptr);
    free(txn);
}

static bool set_busy(struct str id, struct err *err)
{
    return err_set(err, ERR_CONCURRENT_TRANSACTIONS, "transaction '%.*s' is being completed", STR_ARG(id));
}

/* The partitions that a transaction names when it ends; slices live as long as the handle. */
static struct txn_partition *list_names(const struct coord_txn *txn, size_t *count)
{
    struct txn_partition *names = mem_zalloc(txn->by_partition.len + 1, sizeof *names);
    void *touched_ptr;
    *count = 0;
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched_ptr);) {
        const struct touched *touched = touched_ptr;
        if (touched->last.end_offset != 0)
            names[(*count)++] =
                (struct txn_partition){partition_topic(touched->part), partition_id(touched->part)};
    }
    return names;
}

static bool abort_wait(struct coord *coord, struct str id, int64_t pid, int16_t epoch,
                       const struct txn_partition *names, size_t name_count, struct err *err)
{
    struct txn_ending ending = {
        .coord = coord,
        .id = id,
        .pid = pid,
        .epoch = epoch,
        .by = TXN_BY_SERVER,
        .fresh_pid = -1,
        .touched = names,
        .touched_count = name_count,
    };
    return txn_end_wait(&ending, NULL, err);
}

/* The open handle of the id is fenced (E3) and its transaction aborted; the handle stays its holder's. */
static bool fence_open(struct coord *coord, struct str id, struct err *err)
{
    struct txn_partition *names = NULL;
    size_t name_count = 0;
    int64_t pid = -1;
    int16_t epoch = -1;
    pthread_rwlock_t *appends = txn_append_lock(coord, id);
    pthread_rwlock_wrlock(appends);
    pthread_mutex_lock(&coord->txn_lock);
    struct coord_txn *txn = map_get(&coord->open_txns, id);
    bool ending = txn != NULL && txn->ending;
    if (txn != NULL && !ending) {
        atomic_store(&txn->fenced, true);
        map_remove(&coord->open_txns, id);
        pid = txn->pid;
        epoch = txn->epoch;
        names = list_names(txn, &name_count);
        for (size_t i = 0; i < name_count; i++) /* the holder may give the handle back meanwhile */
            names[i].topic = str_of(mem_dup(names[i].topic.ptr, names[i].topic.len), names[i].topic.len);
    }
    pthread_mutex_unlock(&coord->txn_lock);
    pthread_rwlock_unlock(appends);
    if (ending)
        return set_busy(id, err);
    bool good = names == NULL || abort_wait(coord, id, pid, epoch, names, name_count, err);
    for (size_t i = 0; i < name_count; i++)
        free((char *)names[i].topic.ptr);
    free(names);
    return good;
}

/* Where the transaction of an epoch is open. */
struct left {
    int64_t pid;
    int16_t epoch;
    vec(struct txn_partition) names;
    struct arena arena;
};

static void look_for_left(struct partition *part, void *arg)
{
    struct left *left = arg;
    struct log_producer_info info;
    if (log_producer(partition_log(part), left->pid, &info) && info.epoch == left->epoch &&
        info.txn_first_offset >= 0)
        vec_push(&left->names,
                 (struct txn_partition){str_dup(partition_topic(part), &left->arena), partition_id(part)});
}

/* Aborts what no handle has any more, because an abort of it had failed: the logs say where it has written. */
static bool abort_left(struct coord *coord, struct str id, const struct txn *txn, struct err *err)
{
    struct left left = {.pid = txn->pid, .epoch = txn->epoch};
    storage_each_partition(coord->storage, look_for_left, &left);
    bool good = abort_wait(coord, id, txn->pid, txn->epoch, left.names.at, left.names.len, err);
    vec_fini(&left.names);
    arena_fini(&left.arena);
    return good;
}

/* An identity for an id that has none it could go on with. Durable when it returns. */
static bool take_identity(struct coord *coord, struct str id, struct txn *txn, struct err *err)
{
    struct txn_init req = {.transactional_id = id,
                           .timeout_ms = TXN_NO_TIMEOUT,
                           .pid = -1,
                           .epoch = -1,
                           .fresh_pid = -1,
                           .now_ms = io_now_ms(coord->io)};
    do {
        if (req.needs_pid && !coord_producer_id(coord, &req.fresh_pid, err))
            return false;
        if (!replay_run_durable(coord->txns_replay, txns_decide_init, &req, err))
            return false;
    } while (req.needs_pid);
    *txn = req.txn;
    return req.error == 0 && !req.must_end ? true : set_busy(id, err);
}

/* Ongoing under an epoch that no transaction has had. */
static bool decide_begin(struct coord *coord, struct str id, struct txn *txn, struct err *err)
{
    replay_lock(coord->txns_replay);
    bool known = txns_find(coord->txns, id, txn);
    replay_unlock(coord->txns_replay);
    if (known && txn->status == TXN_ONGOING && !abort_left(coord, id, txn, err))
        return false;
    bool used = !known || txn->status == TXN_ONGOING || txn->epoch >= TXN_EPOCH_LAST ||
                (txn->decided.pid == txn->pid && txn->decided.data_epoch >= txn->epoch);
    if (used && !take_identity(coord, id, txn, err))
        return false;
    struct txn_add req = {.transactional_id = id,
                          .pid = txn->pid,
                          .epoch = txn->epoch,
                          .version = 2,
                          .now_ms = io_now_ms(coord->io)};
    if (!replay_run(coord->txns_replay, txns_decide_add, &req, NULL, err))
        return false;
    return req.error == 0 ? true : set_busy(id, err);
}

bool coord_txn_begin(struct coord *coord, struct str transactional_id, struct coord_txn **out,
                     struct err *err)
{
    struct txn state;
    ASSERT(txn_id_is_reserved(transactional_id));
    if (!fence_open(coord, transactional_id, err) || !decide_begin(coord, transactional_id, &state, err))
        return false;
    struct coord_txn *txn = mem_new(struct coord_txn);
    txn->coord = coord;
    txn->id = str_of(mem_dup(transactional_id.ptr, transactional_id.len), transactional_id.len);
    txn->pid = state.pid;
    txn->epoch = state.epoch;
    pthread_mutex_init(&txn->lock, NULL);
    pthread_mutex_lock(&coord->txn_lock);
    map_put(&coord->open_txns, transactional_id, txn);
    pthread_mutex_unlock(&coord->txn_lock);
    *out = txn;
    return true;
}

int64_t coord_txn_producer_id(const struct coord_txn *txn)
{
    return txn->pid;
}

int16_t coord_txn_epoch(const struct coord_txn *txn)
{
    return txn->epoch;
}

/* --- append --- */

static bool is_fenced(const struct coord_txn *txn, struct err *err)
{
    if (!atomic_load(&txn->fenced))
        return false;
    err_set(err, ERR_PRODUCER_FENCED, "transaction '%.*s' (epoch %d) was aborted by a newer one",
            STR_ARG(txn->id), txn->epoch);
    return true;
}

static struct touched *touch(struct coord_txn *txn, struct partition *part)
{
    struct str key = str_of((const char *)&part, sizeof part);
    pthread_mutex_lock(&txn->lock);
    ASSERT(!txn->ending);
    struct touched *touched = map_get(&txn->by_partition, key);
    if (touched == NULL) {
        touched = mem_new(struct touched);
        touched->part = partition_ref(part);
        pthread_mutex_init(&touched->lock, NULL);
        map_put(&txn->by_partition, key, touched);
    }
    pthread_mutex_unlock(&txn->lock);
    return touched;
}

static bool append_touched(struct coord_txn *txn, struct touched *touched, char *batch, size_t size,
                           int32_t record_count, struct partition_appended *out, struct err *err)
{
    pthread_mutex_lock(&touched->lock);
    batch_set_producer(batch, txn->pid, txn->epoch, touched->next_seq, true);
    bool good = partition_append(touched->part, batch, size, out, err);
    if (good) {
        int64_t next = (int64_t)touched->next_seq + record_count;
        touched->next_seq = (int32_t)(next & INT32_MAX);
        /* Earlier batches of another incarnation were dropped: the wait for this one then has to fail too. */
        if (touched->last.end_offset == 0)
            touched->last = *out;
        touched->last.end_offset = out->end_offset;
    }
    pthread_mutex_unlock(&touched->lock);
    return good;
}

bool coord_txn_append(struct coord_txn *txn, struct partition *part, char *batch, size_t size,
                      struct partition_appended *out, struct err *err)
{
    struct batch view;
    if (!batch_open(str_of(batch, size), &view, err))
        return false;
    pthread_rwlock_t *appends = txn_append_lock(txn->coord, txn->id);
    pthread_rwlock_rdlock(appends);
    bool good = !is_fenced(txn, err) &&
                append_touched(txn, touch(txn, part), batch, size, view.record_count, out, err);
    pthread_rwlock_unlock(appends);
    return good;
}

/* --- end --- */

/* False: the handle was fenced. */
static bool take_for_end(struct coord_txn *txn, struct err *err)
{
    pthread_mutex_lock(&txn->coord->txn_lock);
    txn->ending = true;
    bool fenced = is_fenced(txn, err);
    pthread_mutex_unlock(&txn->coord->txn_lock);
    return !fenced;
}

/* Tells the committer, and the handle is gone. */
static void tell(struct coord_txn *txn, const struct err *failure)
{
    void (*done)(void *, const struct err *) = txn->done;
    void *arg = txn->done_arg;
    struct err kept;
    if (failure != NULL)
        kept = *failure;
    txn_free(txn);
    done(arg, failure != NULL ? &kept : NULL);
}

static void on_aborted(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    struct coord_txn *txn = ending->arg;
    if (error != 0)
        log_warn("broker", "abort_failed", "transactional_id=%.*s error=%d cause=\"%s\"", STR_ARG(txn->id),
                 error, failure != NULL ? failure->text : "");
    tell(txn, &txn->failure);
}

/* What could not be committed is aborted, unless the decision may have been written: then the next start knows. */
static void on_committed(struct txn_ending *ending, int16_t error, const struct err *failure)
{
    struct coord_txn *txn = ending->arg;
    struct txn state = {.status = TXN_EMPTY};
    if (error == 0) {
        tell(txn, NULL);
        return;
    }
    err_set(&txn->failure, err_from_kafka(error), "transaction '%.*s' cannot be committed: %s",
            STR_ARG(txn->id), err_default_text(err_from_kafka(error)));
    if (failure != NULL)
        txn->failure = *failure;
    replay_lock(txn->coord->txns_replay);
    ignore(txns_find(txn->coord->txns, txn->id, &state), "not known is not ongoing");
    replay_unlock(txn->coord->txns_replay);
    if (state.status != TXN_ONGOING || state.epoch != txn->epoch) {
        tell(txn, &txn->failure);
        return;
    }
    txn_ending_start(&(struct txn_ending){.coord = txn->coord,
                                          .id = txn->id,
                                          .pid = txn->pid,
                                          .epoch = txn->epoch,
                                          .by = TXN_BY_SERVER,
                                          .fresh_pid = -1,
                                          .touched = txn->names,
                                          .touched_count = txn->name_count,
                                          .done = on_aborted,
                                          .arg = txn});
}

/* What step (a) waits for: what was appended, and what it was made from. */
static struct txn_input *gather_inputs(struct coord_txn *txn, const struct coord_txn_input *inputs,
                                       size_t input_count, size_t *count)
{
    struct txn_input *list = mem_zalloc(txn->by_partition.len + input_count + 1, sizeof *list);
    void *touched_ptr;
    *count = 0;
    for (size_t i = 0; i < input_count; i++)
        list[(*count)++] = (struct txn_input){.part = partition_ref(inputs[i].part),
                                              .appended = {.end_offset = inputs[i].offset},
                                              .any_incarnation = true};
    for (size_t i = 0; map_next(&txn->by_partition, &i, NULL, &touched_ptr);) {
        const struct touched *touched = touched_ptr;
        if (touched->last.end_offset != 0)
            list[(*count)++] =
                (struct txn_input){.part = partition_ref(touched->part), .appended = touched->last};
    }
    return list;
}

void coord_txn_commit(struct coord_txn *txn, const struct coord_txn_input *inputs, size_t input_count,
                      void (*done)(void *arg, const struct err *failure), void *arg)
{
    struct err err;
    struct txn_ending ending = {.coord = txn->coord,
                                .id = txn->id,
                                .pid = txn->pid,
                                .epoch = txn->epoch,
                                .commit = true,
                                .by = TXN_BY_V2,
                                .fresh_pid = -1,
                                .done = on_committed,
                                .arg = txn};
    txn->done = done;
    txn->done_arg = arg;
    if (!take_for_end(txn, &err)) {
        tell(txn, &err);
        return;
    }
    txn->names = list_names(txn, &txn->name_count);
    ending.touched = txn->names;
    ending.touched_count = txn->name_count;
    ending.inputs = gather_inputs(txn, inputs, input_count, &ending.input_count);
    txn_ending_start(&ending);
}

static void on_commit_over(void *arg, const struct err *failure)
{
    latch_end(arg, failure);
}

bool coord_txn_commit_wait(struct coord_txn *txn, const struct coord_txn_input *inputs, size_t input_count,
                           struct err *err)
{
    struct latch over;
    latch_init(&over);
    coord_txn_commit(txn, inputs, input_count, on_commit_over, &over);
    return latch_wait(&over, err);
}

bool coord_txn_abort(struct coord_txn *txn, struct err *err)
{
    struct err fenced;
    bool good = true;
    if (take_for_end(txn, &fenced)) { /* else: it was aborted when it was fenced */
        txn->names = list_names(txn, &txn->name_count);
        good = abort_wait(txn->coord, txn->id, txn->pid, txn->epoch, txn->names, txn->name_count, err);
    }
    txn_free(txn);
    return good;
}

enum coord_txn_state coord_txn_last(struct coord *coord, struct str transactional_id, int64_t *producer_id,
                                    int16_t *epoch)
{
    struct txn txn;
    replay_lock(coord->txns_replay);
    bool known = txns_find(coord->txns, transactional_id, &txn);
    replay_unlock(coord->txns_replay);
    if (known && txn.status == TXN_ONGOING) {
        *producer_id = txn.pid;
        *epoch = txn.epoch;
        return COORD_TXN_OPEN;
    }
    if (!known || txn.decided.pid < 0)
        return COORD_TXN_NONE;
    *producer_id = txn.decided.pid;
    *epoch = txn.decided.data_epoch;
    return txn.decided.commit ? COORD_TXN_COMMITTED : COORD_TXN_ABORTED;
}

/* --- start and stop --- */

bool txns_open(struct coord *coord, struct err *err)
{
    coord->txns = txns_new();
    return state_log_open(&coord->txns_log, coord->storage, STR(TXN_TOPIC), err) &&
           replay_open(&coord->txns_replay, &state_log_ops, &coord->txns_log, &txns_class, coord->txns,
                       err) &&
           txns_recover(coord, err);
}

void txns_close(struct coord *coord)
{
    ASSERT_CMP(coord->open_txns.len, ==, 0);
    ASSERT_CMP(atomic_load(&coord->ending_count), ==, 0);
    map_fini(&coord->open_txns);
    txn_tails_free(coord);
    replay_close(coord->txns_replay);
    txns_free(coord->txns);
    state_log_close(&coord->txns_log);
}
