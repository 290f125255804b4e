/* runtime_int.h - workers, the committer, queries. Private to src/flow.
 *
 *     flow_query_start --mail--> worker: tasks          K threads
 *                                  | join: hand over
 *                                committer              one thread: decides when, prepares, commits, applies
 *
 * The lock order: runtime->lock only; no other lock of flow is held with it. Mail is sent without it.
 */
#ifndef RIALTO_FLOW_RUNTIME_INT_H
#define RIALTO_FLOW_RUNTIME_INT_H

#include "flow/flow_int.h"
#include "flow/pull_int.h"
#include "loop/mailbox.h"

/* A task's place on a worker. `task` is NULL while it has to be made (again). */
struct worker_task {
    struct list link;
    struct flow_query *query;
    struct flow_task *task;
    uint32_t subtopology;
    int32_t partition;
};

/* An input's position, as it goes into the transaction and to the consumer group. */
struct epoch_input {
    struct str group; /* null: an internal topic, or no group */
    struct client_txn_input at;
};

enum worker_rest { WORKER_BUSY, WORKER_LOOKING /* found nothing to do, looks once more */, WORKER_IDLE };

struct worker {
    struct flow_runtime *runtime;
    struct thread thread;
    bool started;
    struct mailbox *box;
    struct list tasks;   /* struct worker_task; the worker's alone */
    _Atomic int rest;    /* enum worker_rest; made busy by readers' notifications */
    _Atomic bool dirty;  /* has work that is not handed over */
    struct record *recs; /* RUN_ROWS_MAX, for all its tasks */
    uint64_t epoch;      /* that its outputs belong to; the worker's alone, and the committer's when parked */
    bool stop;
    /* Filled by a join, read by the committer until the next. */
    struct state_batch *batch;
    struct arena inputs_arena;
    vec(struct epoch_input) inputs;
};

struct flow_runtime {
    struct client *client;
    struct state *state;
    struct arena arena; /* strings */
    struct str transactional_id;
    int64_t commit_interval_ms;
    flow_log_fn *on_log;
    void *log_arg;
    struct metric_registry *own_metrics; /* when the options give none */
    struct metric *commits, *commit_time, *aborts;

    struct worker *workers;
    int worker_count;
    struct thread committer;
    bool committer_started;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    struct list queries;    /* struct flow_query */
    uint64_t epoch;         /* that is open, or will be */
    struct client_txn *txn; /* of `epoch`; NULL until begun */
    bool need_txn;          /* a worker holds output back */
    bool join_wanted, park_wanted, abort_wanted;
    int joined, parked;
    uint64_t commits_wanted, commits_done; /* counted requests for a commit whatever the time */
    bool busy;                             /* the committer is at work */
    bool stopping;
    bool offline; /* the outcome of a transaction is unknown: no more epochs until the next start */
    struct err offline_error;
    int64_t last_commit_ms;
    struct drop_request *drops; /* for the committer, between epochs */

    /* The committer's alone. */
    struct arena offsets_arena;
    struct map offsets; /* group, topic, partition -> struct group_position */
    int64_t publish_at_ms;
    bool publish_due;
};

/* A source partition of a query and how far it has been read: for lag. */
struct flow_progress {
    struct str topic;
    int32_t partition;
    _Atomic int64_t position;
};

struct flow_query {
    struct list link;
    struct flow_runtime *runtime;
    struct flow_env env;
    const struct topology *topology;
    bool persistent;
    void (*on_end)(void *arg, bool limit_reached, const struct err *failure);
    void (*on_state)(void *arg);
    _Atomic bool paused;
    _Atomic bool ended; /* a push query that came to its end */
    _Atomic int state;  /* FLOW_RUNNING or FLOW_ERROR */
    struct err error;   /* under the runtime's lock */
    int64_t error_ms;
    vec(struct flow_progress *) progress; /* filled before tasks run */
    uint32_t task_count;
};

/* worker.c */
void worker_init(struct worker *worker, struct flow_runtime *runtime);
void worker_run(void *worker);
void worker_fini(struct worker *worker);
/* Runs fn(worker, arg) on the worker's thread and waits for it. Not from a worker. */
void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg);
void worker_wake(struct worker *worker);
static inline bool worker_is_idle(struct worker *worker)
{
    return atomic_load(&worker->rest) == WORKER_IDLE;
}
/* The same without waiting: the caller may be inside a callback of this worker. `arg` must live until it ran. */
void worker_post(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg);

/* Makes the task of a place and opens its inputs. On the worker's thread. */
bool worker_task_make(struct worker *worker, struct worker_task *wt, struct err *err);
void worker_task_drop(struct worker_task *wt);

/* commit.c */
void committer_run(void *runtime);
/* Asks for a commit of all that is done now and waits for it. */
void commit_now(struct flow_runtime *runtime);
/* Runs state_drop on the committer, between epochs. */
bool commit_drop(struct flow_runtime *runtime, struct str prefix, struct err *err);
/* A query cannot go on: its state is FLOW_ERROR, and what the epoch has is dropped. Any thread. */
void query_fail(struct flow_query *query, const struct err *err);

#endif
