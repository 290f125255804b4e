/* worker.c - a thread that runs tasks.
 *
 *     for (;;) {
 *         mail                                  add, remove, pull reads
 *         join or park, if the committer asks
 *         each task: poll, some steps           a task never blocks
 *         nothing to do: merged updates out, outputs to their topics, sleep until a reader or mail wakes
 *     }
 *
 * (W1) Tasks, their stores and writers are touched by this thread only.
 * (W2) Outputs of an epoch are appended in that epoch's transaction. After its join a worker goes on; what it makes then
 *      belongs to the next epoch and is held until that has a transaction. So nobody reads, within an epoch, what another
 *      made in a later one.
 * (W3) Too much held output stops the worker until there is a transaction: memory is bounded.
 * (W4) A parked worker has dropped its persistent tasks; they are made again, from what was committed, when it goes on.
 * (W5) WORKER_IDLE is seen only while no task is ready: a reader's notification makes the task ready, then the worker busy,
 *      and a worker on its way to idle that was made busy meanwhile stays busy.
 */
#include "base/latch.h"
#include "flow/runtime_int.h"

#include <time.h>

enum {
    STEPS_PER_TURN = 8,        /* of a task, before the next task's turn */
    HELD_BYTES_MAX = 16 << 20, /* of a worker's outputs without a transaction */
    MAILS_MAX = 1024,
};

/* Mail ---------------------------------------------------------------------------------------------------------- */

struct call {
    struct mail mail;
    void (*fn)(struct worker *worker, void *arg);
    void *arg;
    struct latch *over; /* NULL: nobody waits */
};

void worker_post(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    struct call *call = mem_new(struct call);
    call->fn = fn;
    call->arg = arg;
    if (!mailbox_put_reply(worker->box, &call->mail)) /* never waits */
        free(call);
}

void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    struct latch over;
    struct call *call = mem_new(struct call);
    latch_init(&over);
    *call = (struct call){.fn = fn, .arg = arg, .over = &over};
    bool sent = mailbox_put_wait(worker->box, &call->mail, -1);
    ASSERT(sent); /* the box is closed after the last query is gone */
    ignore(latch_wait(&over, NULL), "a call does not fail");
}

static void on_mail(struct mail *mail, void *arg)
{
    struct call *call = (struct call *)mail;
    call->fn(arg, call->arg);
    if (call->over != NULL)
        latch_end(call->over, NULL);
    free(call);
}

void worker_wake(struct worker *worker)
{
    atomic_store(&worker->rest, WORKER_BUSY);
    mailbox_wake(worker->box);
}

static void on_task_ready(void *arg)
{
    worker_wake(arg);
}

/* Tasks ----------------------------------------------------------------------------------------------------------- */

static bool is_source_input(const struct flow_input *input)
{
    return input->source->class == &op_source_class;
}

static void connect_progress(struct flow_query *query, struct flow_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        for (size_t p = 0; is_source_input(input) && p < query->progress.len; p++) {
            struct flow_progress *progress = query->progress.at[p];
            if (progress->partition == input->partition && str_eq(progress->topic, input->topic)) {
                input->progress = &progress->position;
                atomic_store(&progress->position, input->position);
            }
        }
    }
}

bool worker_task_make(struct worker *worker, struct worker_task *wt, struct err *err)
{
    struct flow_query *query = wt->query;
    wt->task = flow_task_new(&query->env, query->topology, wt->subtopology, wt->partition, err);
    if (wt->task == NULL)
        return false;
    wt->task->recs = worker->recs;
    if (!flow_task_open_inputs(wt->task, on_task_ready, worker, err)) {
        worker_task_drop(wt);
        return false;
    }
    connect_progress(query, wt->task);
    atomic_store(&worker->rest, WORKER_BUSY);
    return true;
}

void worker_task_drop(struct worker_task *wt)
{
    flow_task_free(wt->task);
    wt->task = NULL;
}

static bool may_run(const struct worker_task *wt)
{
    const struct flow_query *query = wt->query;
    return wt->task != NULL && !atomic_load(&query->paused) && !atomic_load(&query->ended) &&
           !query->env.rows_full && atomic_load(&query->state) == FLOW_RUNNING;
}

/* The end of a push query: its limit was reached, or it failed. */
static void end_push(struct worker *worker, struct flow_query *query, const struct err *failure)
{
    if (atomic_exchange(&query->ended, true))
        return;
    if (query->on_end != NULL)
        query->on_end(query->env.arg, failure == NULL, failure);
}

static void task_failed(struct worker *worker, struct worker_task *wt)
{
    struct flow_query *query = wt->query;
    struct err failure = wt->task->failure;
    if (!query->persistent) {
        end_push(worker, query, &failure);
        return;
    }
    query_fail(query, &failure);
}

/* A turn of one task; true when something was done. */
static bool run_task(struct worker *worker, struct worker_task *wt)
{
    struct flow_task *task = wt->task;
    bool done = false;
    flow_task_set_now(task, clock_wall_ms());
    if (flow_task_poll(task)) {
        for (int i = 0; i < STEPS_PER_TURN && may_run(wt) && flow_task_step(task); i++)
            done = true;
    }
    if (task->failed)
        task_failed(worker, wt);
    else if (!wt->query->persistent && wt->query->env.rows_left == 0)
        end_push(worker, wt->query, NULL);
    if (task->has_work && wt->query->persistent)
        atomic_store(&worker->dirty, true);
    return done || atomic_load(&task->ready);
}

/* Outputs --------------------------------------------------------------------------------------------------------- */

/* The transaction of this worker's epoch, or NULL. */
static struct client_txn *epoch_txn(struct worker *worker)
{
    struct flow_runtime *rt = worker->runtime;
    pthread_mutex_lock(&rt->lock);
    struct client_txn *txn = rt->epoch == worker->epoch && !rt->park_wanted ? rt->txn : NULL;
    pthread_mutex_unlock(&rt->lock);
    return txn;
}

static size_t held_bytes(const struct flow_task *task)
{
    size_t held = 0;
    for (size_t i = 0; i < task->writers.len; i++)
        held += client_writer_held(task->writers.at[i]);
    return held;
}

static void write_task(struct worker *worker, struct worker_task *wt, struct client_txn *txn)
{
    struct flow_task *task = wt->task;
    struct err err;
    for (size_t i = 0; i < task->writers.len; i++) {
        if (wt->query->env.transactional)
            client_writer_set_txn(task->writers.at[i], txn);
        if (task->failed || client_writer_flush(task->writers.at[i], &err))
            continue;
        task->failed = true;
        task->failure = err;
        task_failed(worker, wt);
    }
}

/* Gives writers the epoch's transaction, so that full batches go out while tasks run. */
static void lend_txn(struct worker *worker, struct client_txn *txn)
{
    list_each (struct worker_task, wt, &worker->tasks, link)
        for (size_t i = 0; wt->task != NULL && wt->query->env.transactional && i < wt->task->writers.len; i++)
            client_writer_set_txn(wt->task->writers.at[i], txn);
}

/* Appends what tasks have made; true when something went out. Without a transaction it is held, and one is asked for. */
static bool write_out(struct worker *worker, struct client_txn *txn)
{
    bool out = false, held = false;
    list_each (struct worker_task, wt, &worker->tasks, link) {
        if (wt->task == NULL || wt->task->failed || held_bytes(wt->task) == 0)
            continue;
        bool can = txn != NULL || !wt->query->env.transactional;
        held |= !can;
        out |= can;
        if (can)
            write_task(worker, wt, txn);
    }
    struct flow_runtime *rt = worker->runtime;
    if (held) {
        pthread_mutex_lock(&rt->lock);
        rt->need_txn = true;
        pthread_cond_broadcast(&rt->changed);
        pthread_mutex_unlock(&rt->lock);
    }
    return out;
}

/* Waits for a transaction when too much is held (W3). */
static void limit_held(struct worker *worker)
{
    struct flow_runtime *rt = worker->runtime;
    size_t held = 0;
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->task != NULL && wt->query->env.transactional)
            held += held_bytes(wt->task);
    if (held < HELD_BYTES_MAX)
        return;
    pthread_mutex_lock(&rt->lock);
    rt->need_txn = true;
    pthread_cond_broadcast(&rt->changed);
    while (!(rt->epoch == worker->epoch && rt->txn != NULL) && !rt->park_wanted && !rt->stopping &&
           !rt->offline)
        pthread_cond_wait(&rt->changed, &rt->lock);
    pthread_mutex_unlock(&rt->lock);
}

/* Joins ------------------------------------------------------------------------------------------------------------ */

static void hand_over_task(struct worker *worker, struct worker_task *wt)
{
    struct flow_task *task = wt->task;
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        if (input->position == input->position_told)
            continue;
        struct str group = is_source_input(input) ? wt->query->env.group : STR_NULL;
        vec_push(&worker->inputs, (struct epoch_input){str_dup(group, &worker->inputs_arena),
                                                       {str_dup(input->topic, &worker->inputs_arena),
                                                        input->partition, input->position}});
    }
    flow_task_hand_over(task, worker->batch);
}

/* Hands over all that was done in the epoch. */
static void join(struct worker *worker, struct client_txn *txn)
{
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->task != NULL && wt->query->persistent && flow_task_flush(wt->task) && wt->task->failed)
            task_failed(worker, wt);
    ignore(write_out(worker, txn), "whether there was output does not matter here");
    state_batch_clear(worker->batch);
    arena_reset(&worker->inputs_arena);
    vec_clear(&worker->inputs);
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->task != NULL && wt->query->persistent && !wt->task->failed)
            hand_over_task(worker, wt);
    lend_txn(worker, NULL);
    atomic_store(&worker->dirty, false);
}

/* Drops all persistent tasks and waits until the epoch is gone, then makes them again. */
static void park(struct worker *worker)
{
    struct flow_runtime *rt = worker->runtime;
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->query->persistent)
            worker_task_drop(wt);
    pthread_mutex_lock(&rt->lock);
    rt->parked++;
    pthread_cond_broadcast(&rt->changed);
    while (rt->park_wanted)
        pthread_cond_wait(&rt->changed, &rt->lock);
    bool offline = rt->offline;
    worker->epoch = rt->epoch;
    pthread_mutex_unlock(&rt->lock);
    atomic_store(&worker->dirty, false);
    struct err err;
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->task == NULL && !offline && atomic_load(&wt->query->state) == FLOW_RUNNING &&
            !worker_task_make(worker, wt, &err))
            query_fail(wt->query, &err);
}

/* Does what the committer asks for; true when it asked. */
static bool obey(struct worker *worker)
{
    struct flow_runtime *rt = worker->runtime;
    pthread_mutex_lock(&rt->lock);
    bool parks = rt->park_wanted, joins = rt->join_wanted && rt->epoch == worker->epoch;
    struct client_txn *txn = rt->txn;
    pthread_mutex_unlock(&rt->lock);
    if (parks) {
        park(worker);
        return true;
    }
    if (!joins)
        return false;
    join(worker, txn);
    pthread_mutex_lock(&rt->lock);
    worker->epoch++;
    rt->joined++;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
    return true;
}

/* The loop ----------------------------------------------------------------------------------------------------------- */

static bool run_tasks(struct worker *worker)
{
    bool done = false;
    struct client_txn *txn = epoch_txn(worker);
    lend_txn(worker, txn);
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (may_run(wt))
            done |= run_task(worker, wt);
    limit_held(worker);
    return done;
}

static bool flush_tasks(struct worker *worker)
{
    bool flushed = false;
    list_each (struct worker_task, wt, &worker->tasks, link) {
        if (!may_run(wt) || !flow_task_flush(wt->task))
            continue;
        flushed = true;
        if (wt->task->failed)
            task_failed(worker, wt);
    }
    return flushed;
}

static bool any_ready(struct worker *worker)
{
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (may_run(wt) && !wt->task->failed && atomic_load(&wt->task->ready))
            return true;
    return false;
}

/* Nothing to do: tells the committer, and sleeps. A wake-up while it looks once more wins (W5). */
static void rest(struct worker *worker)
{
    struct flow_runtime *rt = worker->runtime;
    int looking = WORKER_LOOKING;
    atomic_store(&worker->rest, WORKER_LOOKING);
    if (any_ready(worker) || !atomic_compare_exchange_strong(&worker->rest, &looking, WORKER_IDLE)) {
        atomic_store(&worker->rest, WORKER_BUSY);
        return;
    }
    pthread_mutex_lock(&rt->lock);
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
    struct mail *mail = mailbox_take(worker->box, -1);
    atomic_store(&worker->rest, WORKER_BUSY);
    if (mail != NULL)
        on_mail(mail, worker);
}

void worker_run(void *arg)
{
    struct worker *worker = arg;
    while (!worker->stop) {
        mailbox_drain(worker->box, on_mail, worker);
        if (worker->stop || obey(worker) || run_tasks(worker))
            continue;
        bool flushed = flush_tasks(worker);
        if (write_out(worker, epoch_txn(worker)) || flushed)
            continue;
        rest(worker);
    }
}

void worker_init(struct worker *worker, struct flow_runtime *runtime)
{
    worker->runtime = runtime;
    worker->box = mailbox_new(MAILS_MAX);
    worker->batch = state_batch_new();
    worker->recs = mem_alloc(RUN_ROWS_MAX * sizeof *worker->recs);
    worker->epoch = runtime->epoch;
    list_init(&worker->tasks);
    atomic_store(&worker->rest, WORKER_IDLE);
}

void worker_fini(struct worker *worker)
{
    ASSERT(list_empty(&worker->tasks));
    mailbox_close(worker->box);
    mailbox_unref(worker->box);
    state_batch_free(worker->batch);
    free(worker->recs);
    arena_fini(&worker->inputs_arena);
    vec_fini(&worker->inputs);
}
