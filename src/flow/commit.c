/* commit.c - the epoch: what all tasks commit together.
 *
 *     workers            |  committer
 *     run, append        |  waits until it is time: all idle, dirty share full, or commit.interval.ms over
 *     join: hand over -> |  all joined
 *     go on (epoch n+1,  |  state_prepare   changes, positions, named by the transaction: journal, durable
 *       outputs held)    |  client_txn_commit   inputs and outputs durable, decision durable: DECIDED
 *                        |  state_apply     RocksDB
 *     outputs appended <-|  client_txn_begin    of epoch n+1
 *
 * (C1) One epoch is decided before the next one's outputs are appended; so only the last journal entry can be undecided.
 * (C2) An epoch that cannot be committed, or in which a task failed, is dropped whole: workers park (their persistent
 *      tasks are gone), the journal entry is cut, the transaction aborted, and tasks are made again from what was
 *      committed. The failed query stays in FLOW_ERROR.
 * (C3) When the outcome of a transaction is unknown, nothing goes on until the next start, which finds it out.
 * (C4) Group offsets are for tools only: what counts is in the state. They are told about once a second.
 */
#include "flow/runtime_int.h"

#include <time.h>

enum { APPLY_RETRY_MS = 1000, PUBLISH_INTERVAL_MS = 1000, BEGIN_RETRY_MS = 1000 };

struct drop_request {
    struct drop_request *next;
    struct str prefix;
    bool done, ok;
    struct err err;
};

struct group_position {
    struct str group, topic;
    int32_t partition;
    int64_t offset;
    bool told;
};

/* Failure of a query ------------------------------------------------------------------------------------------- */

void query_fail(struct flow_query *query, const struct err *err)
{
    struct flow_runtime *rt = query->runtime;
    pthread_mutex_lock(&rt->lock);
    bool first = atomic_exchange(&query->state, FLOW_ERROR) != FLOW_ERROR;
    if (first) {
        query->error = *err;
        query->error_ms = clock_wall_ms();
        rt->abort_wanted = true;
        pthread_cond_broadcast(&rt->changed);
    }
    pthread_mutex_unlock(&rt->lock);
    if (!first)
        return;
    log_error("flow", "query_failed", "query=%.*s cause=\"%s\"", STR_ARG(query->env.id), err->text);
    if (rt->on_log != NULL) {
        struct flow_log_entry entry = {.type = FLOW_LOG_TASK,
                                       .query_id = query->env.id,
                                       .logger = query->env.id,
                                       .partition = -1,
                                       .offset = -1,
                                       .message = str_from(err->text)};
        rt->on_log(rt->log_arg, &entry);
    }
    if (query->on_state != NULL)
        query->on_state(query->env.arg);
}

/* Waking -------------------------------------------------------------------------------------------------------- */

static void wake_all(struct flow_runtime *rt)
{
    for (int i = 0; i < rt->worker_count; i++)
        worker_wake(&rt->workers[i]);
}

/* Waits for a change, at most until `until_ms` (monotonic; -1: for ever). Under the lock. */
static void wait_change(struct flow_runtime *rt, int64_t until_ms)
{
    if (until_ms < 0) {
        pthread_cond_wait(&rt->changed, &rt->lock);
        return;
    }
    struct timespec at = clock_deadline(MAX(until_ms - clock_mono_ms(), 0));
    pthread_cond_timedwait(&rt->changed, &rt->lock, &at);
}

/* Dropping an epoch ------------------------------------------------------------------------------------------------ */

/* Brings all workers to a stand; their persistent tasks are gone when it returns. Under the lock. */
static void park_all(struct flow_runtime *rt)
{
    rt->park_wanted = true;
    rt->parked = 0;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
    wake_all(rt);
    pthread_mutex_lock(&rt->lock);
    while (rt->parked < rt->worker_count)
        pthread_cond_wait(&rt->changed, &rt->lock);
}

static void go_offline(struct flow_runtime *rt, const struct err *err)
{
    rt->offline = true;
    rt->offline_error = *err;
    list_each (struct flow_query, query, &rt->queries, link)
        if (query->persistent && atomic_exchange(&query->state, FLOW_ERROR) != FLOW_ERROR) {
            query->error = *err;
            query->error_ms = clock_wall_ms();
        }
    log_error("flow", "commit_offline", "cause=\"%s\"", err->text);
}

/* Drops the present epoch (C2). `prepared`: its entry is in the journal. Under the lock. */
static void drop_epoch(struct flow_runtime *rt, bool prepared)
{
    struct err err;
    park_all(rt);
    struct client_txn *txn = rt->txn;
    rt->txn = NULL;
    pthread_mutex_unlock(&rt->lock);
    metric_add(rt->aborts, 1);
    bool ok = txn == NULL || client_txn_abort(txn, &err);
    if (!ok)
        log_warn("flow", "abort_failed", "cause=\"%s\"", err.text);
    bool cut = !prepared || state_cancel(rt->state, &err);
    pthread_mutex_lock(&rt->lock);
    if (!cut)
        go_offline(rt, &err);
    rt->epoch++;
    rt->abort_wanted = rt->join_wanted = rt->park_wanted = false;
    pthread_cond_broadcast(&rt->changed);
}

/* Commit ---------------------------------------------------------------------------------------------------------- */

/* Begins the transaction of the present epoch. Under the lock; false: not now. */
static bool begin(struct flow_runtime *rt)
{
    struct err err;
    pthread_mutex_unlock(&rt->lock);
    struct client_txn *txn = client_txn_begin(rt->client, rt->transactional_id, &err);
    if (txn == NULL)
        log_warn("flow", "begin_failed", "cause=\"%s\"", err.text);
    pthread_mutex_lock(&rt->lock);
    rt->txn = txn;
    rt->need_txn = rt->need_txn && txn == NULL;
    pthread_cond_broadcast(&rt->changed);
    if (txn == NULL) {
        wait_change(rt, clock_mono_ms() + BEGIN_RETRY_MS);
        return false;
    }
    pthread_mutex_unlock(&rt->lock);
    wake_all(rt);
    pthread_mutex_lock(&rt->lock);
    return true;
}

/* All workers hand over. Under the lock. */
static void join_all(struct flow_runtime *rt)
{
    rt->join_wanted = true;
    rt->joined = 0;
    pthread_mutex_unlock(&rt->lock);
    wake_all(rt);
    pthread_mutex_lock(&rt->lock);
    while (rt->joined < rt->worker_count)
        pthread_cond_wait(&rt->changed, &rt->lock);
    rt->join_wanted = false;
}

/* A decided epoch must reach RocksDB; until then nothing else is committed. Without the lock. */
static void apply(struct flow_runtime *rt)
{
    struct err err;
    while (!state_apply(rt->state, &err)) {
        log_error("flow", "apply_failed", "cause=\"%s\" retry_ms=%d", err.text, APPLY_RETRY_MS);
        struct timespec wait = {APPLY_RETRY_MS / 1000, APPLY_RETRY_MS % 1000 * 1000000L};
        nanosleep(&wait, NULL);
    }
}

static struct client_txn_input *gather_inputs(struct flow_runtime *rt, size_t *count)
{
    size_t n = 0;
    for (int i = 0; i < rt->worker_count; i++)
        n += rt->workers[i].inputs.len;
    struct client_txn_input *inputs = mem_zalloc(n + 1, sizeof *inputs);
    *count = 0;
    for (int i = 0; i < rt->worker_count; i++)
        for (size_t k = 0; k < rt->workers[i].inputs.len; k++)
            inputs[(*count)++] = rt->workers[i].inputs.at[k].at;
    return inputs;
}

static bool prepare(struct flow_runtime *rt, const struct client_txn *txn, struct err *err)
{
    struct state_batch **batches = mem_zalloc((size_t)rt->worker_count + 1, sizeof *batches);
    for (int i = 0; i < rt->worker_count; i++)
        batches[i] = rt->workers[i].batch;
    bool ok = state_prepare(rt->state, client_txn_pid(txn), client_txn_epoch(txn), batches,
                            (size_t)rt->worker_count, err);
    free(batches);
    return ok;
}

/* Is the outcome of a failed commit unknown (C3)? */
static bool is_undecided(struct flow_runtime *rt, int64_t pid, int16_t epoch)
{
    int64_t last_pid = -1;
    int16_t last_epoch = -1;
    enum client_txn_state state = client_txn_last(rt->client, rt->transactional_id, &last_pid, &last_epoch);
    return state == CLIENT_TXN_OPEN ||
           (state == CLIENT_TXN_COMMITTED && last_pid == pid && last_epoch == epoch);
}

static void note_positions(struct flow_runtime *rt);

/* Prepares and decides what was handed over. Under the lock. */
static void decide(struct flow_runtime *rt)
{
    struct err err;
    struct client_txn *txn = rt->txn;
    int64_t pid = client_txn_pid(txn), started_us = clock_mono_us();
    int16_t epoch = client_txn_epoch(txn);
    pthread_mutex_unlock(&rt->lock);
    size_t input_count;
    struct client_txn_input *inputs = gather_inputs(rt, &input_count);
    bool prepared = prepare(rt, txn, &err), decided = false;
    if (prepared)
        decided = client_txn_commit(txn, inputs, input_count, &err);
    bool unknown = prepared && !decided && is_undecided(rt, pid, epoch);
    if (decided)
        apply(rt);
    free(inputs);
    if (decided)
        note_positions(rt);
    pthread_mutex_lock(&rt->lock);
    if (prepared)
        rt->txn = NULL; /* committed or aborted: the handle is gone */
    if (decided) {
        rt->epoch++;
        rt->need_txn = true; /* begun while workers run: their outputs need not wait for it */
        metric_add(rt->commits, 1);
        metric_observe(rt->commit_time, clock_mono_us() - started_us);
        return;
    }
    log_error("flow", "commit_failed", "cause=\"%s\"", err.text);
    if (unknown) {
        err_context(&err, "the outcome of the last commit is unknown; restart the server");
        go_offline(rt, &err);
    }
    drop_epoch(rt, prepared && !unknown);
}

static void commit(struct flow_runtime *rt)
{
    uint64_t wanted = rt->commits_wanted;
    rt->busy = true;
    if (rt->txn != NULL || begin(rt)) {
        join_all(rt);
        if (rt->abort_wanted)
            drop_epoch(rt, false);
        else
            decide(rt);
        rt->last_commit_ms = clock_mono_ms();
    }
    rt->commits_done =
        wanted; /* also when there is no transaction to be had: who waits must not wait for ever */
    rt->busy = false;
    pthread_cond_broadcast(&rt->changed);
}

/* Group offsets ----------------------------------------------------------------------------------------------------- */

/* Remembers the committed positions, to be told to the groups. */
static void note_positions(struct flow_runtime *rt)
{
    struct buf key = {0};
    for (int w = 0; w < rt->worker_count; w++)
        for (size_t i = 0; i < rt->workers[w].inputs.len; i++) {
            const struct epoch_input *input = &rt->workers[w].inputs.at[i];
            if (str_is_null(input->group))
                continue;
            buf_clear(&key);
            buf_printf(&key, "%.*s\n%.*s\n%d", STR_ARG(input->group), STR_ARG(input->at.topic),
                       input->at.partition);
            struct group_position *at = map_get(&rt->offsets, buf_str(&key));
            if (at == NULL) {
                at = arena_new(&rt->offsets_arena, struct group_position);
                at->group = str_dup(input->group, &rt->offsets_arena);
                at->topic = str_dup(input->at.topic, &rt->offsets_arena);
                at->partition = input->at.partition;
                map_put(&rt->offsets, buf_str(&key), at);
            }
            at->offset = input->at.offset;
            at->told = false;
            rt->publish_due = true;
        }
    buf_fini(&key);
}

/* Tells one group the positions that it does not know. */
static void publish_group(struct flow_runtime *rt, struct str group)
{
    struct client_group_offset *list = mem_zalloc(rt->offsets.len + 1, sizeof *list);
    size_t count = 0;
    struct str key;
    void *value;
    for (size_t i = 0; map_next(&rt->offsets, &i, &key, &value);) {
        struct group_position *at = value;
        if (at->told || !str_eq(at->group, group))
            continue;
        at->told = true;
        list[count++] = (struct client_group_offset){at->topic, at->partition, at->offset};
    }
    struct err err;
    if (!client_group_commit(rt->client, group, list, count, &err))
        log_warn("flow", "group_offsets", "group=%.*s cause=\"%s\"", STR_ARG(group), err.text);
    free(list);
}

/* Without the lock. */
static void publish(struct flow_runtime *rt)
{
    int64_t started_ms = clock_mono_ms();
    struct str key;
    void *value;
    for (size_t i = 0; map_next(&rt->offsets, &i, &key, &value);)
        if (!((struct group_position *)value)->told)
            publish_group(rt, ((struct group_position *)value)->group);
    rt->publish_due = false;
    int64_t took_ms = clock_mono_ms() - started_ms;
    rt->publish_at_ms = clock_mono_ms() + MAX(PUBLISH_INTERVAL_MS, 10 * took_ms);
}

/* Drops ------------------------------------------------------------------------------------------------------------- */

static void serve_drops(struct flow_runtime *rt)
{
    while (rt->drops != NULL) {
        struct drop_request *request = rt->drops;
        rt->drops = request->next;
        pthread_mutex_unlock(&rt->lock);
        request->ok = state_drop(rt->state, request->prefix, &request->err);
        pthread_mutex_lock(&rt->lock);
        request->done = true;
        pthread_cond_broadcast(&rt->changed);
    }
}

bool commit_drop(struct flow_runtime *rt, struct str prefix, struct err *err)
{
    struct drop_request request = {.prefix = prefix};
    pthread_mutex_lock(&rt->lock);
    request.next = rt->drops;
    rt->drops = &request;
    pthread_cond_broadcast(&rt->changed);
    while (!request.done)
        pthread_cond_wait(&rt->changed, &rt->lock);
    pthread_mutex_unlock(&rt->lock);
    if (!request.ok && err != NULL)
        *err = request.err;
    return request.ok;
}

/* When -------------------------------------------------------------------------------------------------------------- */

static bool any_dirty(struct flow_runtime *rt)
{
    for (int i = 0; i < rt->worker_count; i++)
        if (atomic_load(&rt->workers[i].dirty))
            return true;
    return false;
}

static bool all_idle(struct flow_runtime *rt)
{
    for (int i = 0; i < rt->worker_count; i++)
        if (!worker_is_idle(&rt->workers[i]))
            return false;
    return true;
}

static bool is_due(struct flow_runtime *rt)
{
    if (rt->commits_wanted != rt->commits_done)
        return true;
    if (!any_dirty(rt))
        return false;
    return all_idle(rt) || clock_mono_ms() >= rt->last_commit_ms + rt->commit_interval_ms ||
           state_dirty_bytes(rt->state) > state_cache_limit(rt->state) / 2;
}

static int64_t next_look_ms(struct flow_runtime *rt)
{
    int64_t at_ms = rt->publish_due ? rt->publish_at_ms : -1;
    if (any_dirty(rt))
        return clock_mono_ms() + MAX(rt->commit_interval_ms / 10, 1);
    return at_ms;
}

void committer_run(void *arg)
{
    struct flow_runtime *rt = arg;
    pthread_mutex_lock(&rt->lock);
    while (!rt->stopping) {
        if (rt->offline) {
            rt->commits_done = rt->commits_wanted;
            rt->abort_wanted = false;
            pthread_cond_broadcast(&rt->changed);
            serve_drops(rt);
            if (!rt->stopping)
                pthread_cond_wait(&rt->changed, &rt->lock);
            continue;
        }
        serve_drops(rt);
        if (rt->abort_wanted) {
            rt->busy = true;
            drop_epoch(rt, false);
            rt->commits_done = rt->commits_wanted;
            rt->busy = false;
            pthread_cond_broadcast(&rt->changed);
        } else if (rt->need_txn && rt->txn == NULL) {
            ignore(begin(rt), "it is tried again");
        } else if (is_due(rt)) {
            commit(rt);
        } else if (rt->publish_due && clock_mono_ms() >= rt->publish_at_ms) {
            pthread_mutex_unlock(&rt->lock);
            publish(rt);
            pthread_mutex_lock(&rt->lock);
        } else {
            wait_change(rt, next_look_ms(rt));
        }
    }
    struct client_txn *txn = rt->txn;
    rt->txn = NULL;
    serve_drops(rt);
    pthread_mutex_unlock(&rt->lock);
    struct err err;
    if (rt->publish_due)
        publish(rt);
    if (txn != NULL && !client_txn_abort(txn, &err))
        log_warn("flow", "abort_failed", "cause=\"%s\"", err.text);
}

void commit_now(struct flow_runtime *rt)
{
    pthread_mutex_lock(&rt->lock);
    uint64_t wanted = ++rt->commits_wanted;
    pthread_cond_broadcast(&rt->changed);
    while (rt->commits_done < wanted && !rt->stopping && !rt->offline)
        pthread_cond_wait(&rt->changed, &rt->lock);
    pthread_mutex_unlock(&rt->lock);
}
