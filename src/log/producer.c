/* producer.c - who wrote what last: sequences of idempotent producers, open transactions, the last stable
 * offset.
 *
 *   producers: pid -> { epoch, last 5 batches, open transaction }
 *   txns:      first offset order   [open] [decided, marker not yet durable] [open] ...
 *                                     ^ its first offset is the last stable offset; none: the high watermark
 *
 * (P1) A batch is accepted once: the same (epoch, first, last sequence) again is answered with the earlier
 *      offsets.
 * (P2) A transaction leaves the list only when its marker is below the high watermark: read_committed
 *      readers never see data whose decision a power cut could still undo.
 * (P3) The state is a function of the batches of the log (and expiry): recovery applies the same function.
 * (P4) A producer's open transaction is of one epoch: a batch of a newer one waits for its marker. Markers need not be durable
 *      when the next transaction begins, so a failed sync may have taken one away.
 * The cases are those of the reference, "Idempotent producer state".
 */
#include "log/log_int.h"

static struct str pid_key(const int64_t *pid)
{
    return str_of((const char *)pid, sizeof *pid);
}

struct producer *producer_get(const struct log *log, int64_t pid)
{
    return map_get(&log->producers, pid_key(&pid));
}

struct producer *producer_add(struct log *log, int64_t pid)
{
    struct producer *prod = producer_get(log, pid);
    if (prod != NULL)
        return prod;
    prod = mem_new(struct producer);
    prod->pid = pid;
    prod->epoch = -1;
    prod->coordinator_epoch = -1;
    prod->last_timestamp_ms = -1;
    map_put(&log->producers, pid_key(&pid), prod);
    return prod;
}

static int32_t seq_next(int32_t seq)
{
    return seq == INT32_MAX ? 0 : seq + 1;
}

static enum producer_verdict refuse(struct err *err, enum err_code code, const struct producer *prod,
                                    const struct batch *batch)
{
    int32_t last_seq = prod->batch_count != 0 ? prod->batches[prod->batch_count - 1].last_seq : -1;
    err_set(err, code, "%s: producer %lld sent epoch %d, sequence %d; epoch %d, sequence %d came last",
            err_default_text(code), (long long)prod->pid, batch->epoch, batch->base_seq, prod->epoch,
            last_seq);
    return PRODUCER_REFUSE;
}

enum producer_verdict producer_check(const struct log *log, const struct batch *batch,
                                     struct producer_batch *earlier, struct err *err)
{
    const struct producer *prod = batch->pid < 0 ? NULL : producer_get(log, batch->pid);
    if (prod == NULL)
        return PRODUCER_APPEND; /* not idempotent, or its state has expired: any sequence is a start */
    if (batch->epoch < prod->epoch)
        return refuse(err, ERR_INVALID_PRODUCER_EPOCH, prod, batch);
    if (batch_is_control(batch))
        return PRODUCER_APPEND;
    if (batch->epoch > prod->epoch && prod->txn != NULL) /* P4 */
        return refuse(err, ERR_CONCURRENT_TRANSACTIONS, prod, batch);
    if (batch->epoch > prod->epoch)
        return batch->base_seq <= 0 ? PRODUCER_APPEND : refuse(err, ERR_OUT_OF_ORDER_SEQUENCE, prod, batch);
    if (batch->base_seq >= 0) {
        for (int i = 0; i < prod->batch_count; i++)
            if (prod->batches[i].base_seq == batch->base_seq &&
                prod->batches[i].last_seq == batch_last_seq(batch)) {
                *earlier = prod->batches[i];
                return PRODUCER_DUPLICATE;
            }
        /* After a marker of a newer epoch (KIP-890) sequences start at 0 again. */
        int32_t next = prod->batch_count != 0 ? seq_next(prod->batches[prod->batch_count - 1].last_seq) : 0;
        if (next != batch->base_seq)
            return refuse(err, ERR_OUT_OF_ORDER_SEQUENCE, prod, batch);
    }
    if (prod->txn != NULL && !batch_is_transactional(batch))
        return refuse(err, ERR_INVALID_TXN_STATE, prod, batch);
    return PRODUCER_APPEND;
}

bool producer_follows(const struct batch *before, const struct batch *batch)
{
    if (batch_is_control(batch) || batch_is_transactional(batch) || batch_is_transactional(before))
        return false;
    if (batch->pid < 0)
        return true;
    return batch->pid == before->pid && batch->epoch == before->epoch && before->base_seq >= 0 &&
           batch->base_seq == seq_next(batch_last_seq(before));
}

struct log_txn *txn_add(struct log *log, struct producer *prod, struct log_point first)
{
    ASSERT(prod->txn == NULL);
    struct log_txn *txn = mem_new(struct log_txn);
    txn->pid = prod->pid;
    txn->first = first;
    txn->marker_offset = -1;
    list_push_back(&log->txns, &txn->link);
    prod->txn = txn;
    return txn;
}

/* What the last stable offset will be once this transaction is out of the way. */
static int64_t lso_without(const struct log *log, const struct log_txn *done, int64_t otherwise)
{
    list_each (struct log_txn, txn, &log->txns, link) {
        if (txn != done && txn->marker_offset < 0)
            return MIN(txn->first.offset, otherwise);
    }
    return otherwise;
}

static void marker_apply(struct log *log, struct log_segment *seg, struct producer *prod,
                         const struct batch *batch)
{
    enum marker marker;
    int32_t coordinator_epoch;
    if (!batch_read_marker(batch, &marker, &coordinator_epoch))
        return;
    prod->coordinator_epoch = coordinator_epoch;
    struct log_txn *txn = prod->txn;
    if (txn == NULL)
        return;
    txn->marker_offset = batch->base_offset;
    if (marker == MARKER_ABORT)
        vec_push(&seg->aborted, (struct log_aborted){prod->pid, txn->first.offset, batch->base_offset,
                                                     lso_without(log, txn, batch->base_offset + 1)});
    prod->txn = NULL;
}

static void sequence_apply(struct producer *prod, const struct batch *batch)
{
    if (prod->batch_count == LOG_PRODUCER_BATCHES) {
        memmove(prod->batches, prod->batches + 1, (LOG_PRODUCER_BATCHES - 1) * sizeof *prod->batches);
        prod->batch_count--;
    }
    prod->batches[prod->batch_count++] =
        (struct producer_batch){batch->base_seq, batch_last_seq(batch), batch->base_offset,
                                batch_last_offset(batch), batch->max_timestamp_ms};
}

void producer_apply(struct log *log, struct log_segment *seg, uint64_t pos, const struct batch *batch)
{
    if (batch->pid < 0)
        return;
    struct producer *prod = producer_add(log, batch->pid);
    if (batch->epoch != prod->epoch) {
        prod->epoch = batch->epoch;
        prod->batch_count = 0;
    }
    prod->seen_ms = io_now_ms(log->io);
    prod->last_timestamp_ms = batch->max_timestamp_ms;
    if (batch_is_control(batch)) {
        marker_apply(log, seg, prod, batch);
        return;
    }
    if (batch->base_seq >= 0)
        sequence_apply(prod, batch);
    if (batch_is_transactional(batch) && prod->txn == NULL)
        txn_add(log, prod, (struct log_point){batch->base_offset, seg->base_offset, pos});
}

void txns_settle(struct log *log)
{
    int64_t hw = atomic_load_explicit(&log->hw_offset, memory_order_relaxed);
    list_each_safe (struct log_txn, txn, &log->txns, link) {
        if (txn->marker_offset >= 0 && txn->marker_offset < hw) {
            list_remove(&txn->link);
            free(txn);
        }
    }
}

struct log_point txns_lso(const struct log *log)
{
    struct log_point hw = log->config.durability == LOG_FSYNC ? log->durable : log->end;
    if (list_empty(&log->txns))
        return hw;
    const struct log_txn *first = LIST_ENTRY(log->txns.next, struct log_txn, link);
    return first->first.offset < hw.offset ? first->first : hw;
}

void producers_expire(struct log *log, int64_t now_ms)
{
    pthread_mutex_lock(&log->append_lock); /* an append asks about its producer under that lock alone */
    pthread_mutex_lock(&log->lock);
    struct str key;
    void *value;
    for (size_t i = 0; map_next(&log->producers, &i, &key, &value);) {
        struct producer *prod = value;
        if (prod->txn != NULL || now_ms - prod->seen_ms <= log->config.producer_expiration_ms)
            continue;
        map_remove(&log->producers, key);
        free(prod);
        log->checkpoint_dirty = true;
    }
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->append_lock);
}

void producers_clear(struct log *log)
{
    void *value;
    for (size_t i = 0; map_next(&log->producers, &i, NULL, &value);)
        free(value);
    map_fini(&log->producers);
    list_each_safe (struct log_txn, txn, &log->txns, link) {
        list_remove(&txn->link);
        free(txn);
    }
}

int64_t log_lso(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    int64_t lso = txns_lso(log).offset;
    pthread_mutex_unlock(&log->lock);
    return MAX(lso, log_start_offset(log));
}

int64_t log_txn_first_offset(struct log *log, int64_t pid)
{
    pthread_mutex_lock(&log->lock);
    const struct producer *prod = producer_get(log, pid);
    int64_t offset = prod != NULL && prod->txn != NULL ? prod->txn->first.offset : -1;
    pthread_mutex_unlock(&log->lock);
    return offset;
}

static struct log_producer_info info_of(const struct producer *prod)
{
    return (struct log_producer_info){
        .pid = prod->pid,
        .epoch = prod->epoch,
        .last_seq = prod->batch_count != 0 ? prod->batches[prod->batch_count - 1].last_seq : -1,
        .last_timestamp_ms = prod->last_timestamp_ms,
        .coordinator_epoch = prod->coordinator_epoch,
        .txn_first_offset = prod->txn != NULL ? prod->txn->first.offset : -1,
    };
}

bool log_producer(struct log *log, int64_t pid, struct log_producer_info *out)
{
    pthread_mutex_lock(&log->lock);
    const struct producer *prod = producer_get(log, pid);
    if (prod != NULL)
        *out = info_of(prod);
    pthread_mutex_unlock(&log->lock);
    return prod != NULL;
}

void log_producers(struct log *log, struct log_producer_list *out)
{
    void *prod;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; map_next(&log->producers, &i, NULL, &prod);)
        vec_push(&out->list, info_of(prod));
    pthread_mutex_unlock(&log->lock);
}

void log_aborted_in(struct log *log, int64_t from_offset, int64_t to_offset, struct log_aborted_list *out)
{
    aborted_secure(log);
    pthread_mutex_lock(&log->lock);
    ptrdiff_t first = segs_find(log, from_offset);
    for (size_t i = first < 0 ? 0 : (size_t)first; i < log->segs.len; i++) {
        const struct log_segment *seg = log->segs.at[i];
        bool enough = false;
        for (size_t k = 0; k < seg->aborted.len && !enough; k++) {
            const struct log_aborted *aborted = &seg->aborted.at[k];
            if (aborted->last_offset >= from_offset && aborted->first_offset < to_offset) {
                size_t at = out->list.len; /* kept in the order of first offsets */
                vec_push(&out->list, *aborted);
                for (; at > 0 && out->list.at[at - 1].first_offset > aborted->first_offset; at--)
                    out->list.at[at] = out->list.at[at - 1];
                out->list.at[at] = *aborted;
            }
            enough = aborted->lso >=
                     to_offset; /* no later marker can end a transaction that began before to_offset */
        }
        if (enough)
            break;
    }
    pthread_mutex_unlock(&log->lock);
}
