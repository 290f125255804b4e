/* flow.h - running plans: tasks on worker threads, the commit, pull reads, and the step mode.
 *
 *     plan --flow_query_start--> subtopologies x partitions = tasks, spread over K workers
 *                                  task: sources -> operators -> sinks     (never sees thread, socket, clock)
 *     commit: one epoch over all tasks; outputs, state and positions together
 *
 *     plan --flow_driver_new---> the same operators, one record at a time, no thread (conformance, rialto test)
 *     plan --flow_pull---------> the same operators over rows of a store, to the end
 *
 * (F1) Results of a persistent query are exactly once: they become readable together with the positions and state
 *      that they were made from, or not at all.
 * (F2) A task that fails takes its query to FLOW_ERROR; the others live. What was not committed is done again.
 * (F3) What a plan needs and flow does not do is refused by flow_query_start / flow_driver_new, never skipped.
 * (F4) Callbacks run on a worker thread, must not block and must not call flow_query_stop.
 */
#ifndef RIALTO_FLOW_FLOW_H
#define RIALTO_FLOW_FLOW_H

#include "client/client.h"
#include "metric/metric.h"
#include "plan/plan.h"
#include "state/state.h"

struct flow_runtime;
struct flow_query;
struct flow_driver;

/* Rows that leave the engine, column by column: cols[c][row]. All is borrowed for the call. */
struct flow_rows {
    uint32_t count;
    uint32_t column_count; /* plan->output_count, in the order of plan->output_order */
    const struct value *const *cols;
    const int64_t *rowtime_ms;
    const int64_t *window_start_ms, *window_end_ms; /* NULL when the rows have no window */
    const bool *tombstones; /* NULL: none; else only key columns of such a row are filled */
};

/* What goes wrong with a record: for the processing log. `type` has ksqlDB's numbers. */
enum flow_log_type {
    FLOW_LOG_DESERIALIZATION,
    FLOW_LOG_PROCESSING,
    FLOW_LOG_PRODUCTION,
    FLOW_LOG_SERIALIZATION,
    FLOW_LOG_TASK
};

struct flow_log_entry {
    enum flow_log_type type;
    struct str query_id;
    struct str logger; /* processing.<QUERY_ID>.<step>... */
    struct str topic;  /* DESERIALIZATION, SERIALIZATION; else null */
    bool is_key;       /* the bad part is the key */
    int32_t partition; /* of the source record, -1 when unknown */
    int64_t offset;    /* -1 when unknown */
    struct str bytes;  /* the bad bytes, null when there are none */
    struct str message;
};

/* Any worker thread; must not block. */
typedef void flow_log_fn(void *arg, const struct flow_log_entry *entry);

/* Runtime -------------------------------------------------------------------------------------------------------- */

struct flow_options {
    struct client *client; /* borrowed; outlives the runtime */
    struct state *state;   /* borrowed; outlives the runtime. NULL: nothing is kept (only push queries) */
    int32_t worker_count;  /* 0: 2 */
    int64_t commit_interval_ms;      /* 0: 100 */
    struct str transactional_id;     /* names the engine's transactions; null: "rialto-engine" */
    struct metric_registry *metrics; /* may be NULL */
    flow_log_fn *on_log;             /* may be NULL */
    void *log_arg;
};

/* For state_options.txn_committed: asks the client about the engine's last transaction. `arg` of the state. */
struct flow_txn_check {
    struct client *client;
    struct str transactional_id; /* as in flow_options */
};
bool flow_txn_committed(void *check, int64_t pid, int16_t epoch);

/* Starts the threads. NULL with *err. Strings are copied. */
struct flow_runtime *flow_runtime_new(const struct flow_options *options, struct err *err);

/* Commits what is done, stops queries that still run (their state stays) and joins the threads. NULL is allowed. */
void flow_runtime_free(struct flow_runtime *runtime);

/* True when every running query has read all its inputs and all results are committed. Any thread. */
bool flow_is_caught_up(struct flow_runtime *runtime);

/* Waits for it; false when it did not come within timeout_ms. */
bool flow_wait_caught_up(struct flow_runtime *runtime, int64_t timeout_ms);

/* Queries ---------------------------------------------------------------------------------------------------------- */

enum flow_reset { FLOW_LATEST, FLOW_EARLIEST };

struct flow_query_options {
    struct str id;         /* unique in the runtime: CTAS_X_3, transient_... */
    struct str group;      /* consumer group and prefix of internal topics; null: no group offsets (push) */
    enum flow_reset reset; /* auto.offset.reset: where sources without a committed position begin */
    const struct func_settings *func_settings; /* copied; NULL: no limits */
    bool fail_on_deserialization;              /* ksql.fail.on.deserialization.error */
    bool fail_on_timestamp;                    /* ksql.timestamp.throw.on.invalid */
    bool paused;                               /* start paused */
    bool
        every_change; /* cache.max.bytes.buffering = 0: updates of a key are not merged until the next commit */

    /* Push queries (plan->kind QUERY_PUSH). on_rows: false asks for a pause until flow_query_resume. on_end comes
     * once, after the last rows: the limit was reached, or the query failed; not after flow_query_stop. */
    bool (*on_rows)(void *arg, const struct flow_rows *rows);
    void (*on_end)(void *arg, bool limit_reached, const struct err *failure);
    /* Persistent queries: went to FLOW_ERROR, or came back. May be NULL. */
    void (*on_state)(void *arg);
    void *arg;
};

/* Is there anything in the plan that flow does not do? false: ERR_UNSUPPORTED says what. */
bool flow_check(const struct plan *plan, struct err *err);

/* Starts a persistent or push query. The plan is borrowed until flow_query_stop has returned. The sink's topic must
 * exist; internal topics are made. Blocking. NULL with *err. */
struct flow_query *flow_query_start(struct flow_runtime *runtime, const struct plan *plan,
                                    const struct flow_query_options *options, struct err *err);

/* Ends the query after its last epoch was committed; its positions and stores stay for a later start with the same
 * id. After it returned no callback runs and the handle is gone. Blocking; not from a callback. */
void flow_query_stop(struct flow_query *query);

/* Removes what a stopped query has left: positions, stores, internal topics, group. Blocking. */
bool flow_query_drop(struct flow_runtime *runtime, struct str id, struct str group, struct err *err);

/* Pause takes effect between runs. resume also goes on after on_rows returned false. Any thread. */
void flow_query_pause(struct flow_query *query);
void flow_query_resume(struct flow_query *query);

enum flow_query_state { FLOW_RUNNING, FLOW_PAUSED, FLOW_ERROR };

struct flow_status {
    enum flow_query_state state;
    struct err error; /* of FLOW_ERROR: code ERR_NONE when there was none */
    int64_t error_ms; /* wall clock */
    uint64_t rows_in, rows_out;
    uint64_t rows_late; /* dropped: out of grace */
    uint64_t errors;    /* entries of the processing log */
    int64_t lag;        /* records not read yet */
    uint32_t task_count;
};

/* Any thread. */
void flow_query_status(struct flow_query *query, struct flow_status *out);

/* Pull queries ------------------------------------------------------------------------------------------------------ */

/* Rows of a pull query, to the end, on the calling thread (which may block). The source's rows are those of the
 * running query source->query_id; for PULL_STREAM the source's topic from its start to its present end. `on_rows`
 * returns false to stop early. Row order within a key is that of time. */
bool flow_pull(struct flow_runtime *runtime, const struct plan *plan, const struct func_settings *settings,
               bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err);

/* Step mode --------------------------------------------------------------------------------------------------------- */

struct flow_driver_options {
    struct client *client;           /* client_memory; sinks are written through it */
    struct flow_query_options query; /* id; on_rows and on_end for push plans; `reset` is not looked at */
    bool
        from_latest; /* flow_driver_drain begins at the topics' present end, where the plan does not say from the start */
    flow_log_fn *on_log; /* may be NULL */
    void *log_arg;
};

/* A persistent or push plan as a closed machine: state in memory, each change of an aggregate is emitted, one
 * partition, no clock. The plan is borrowed. NULL with *err. */
struct flow_driver *flow_driver_new(const struct plan *plan, const struct flow_driver_options *options,
                                    struct err *err);
void flow_driver_free(struct flow_driver *driver);

/* CREATE OR REPLACE: goes on with another plan of the same query; stores and positions stay. On failure the driver is as
 * it was. */
bool flow_driver_replace(struct flow_driver *driver, const struct plan *plan, struct err *err);

/* Does the query read this topic? */
bool flow_driver_reads(const struct flow_driver *driver, struct str topic);

/* Processes one record of the topic (partition 0) with all its effects; sinks are appended to their topics. rec->
 * offset is the record's ROWOFFSET. The bytes need no slack. false: the query has failed (fail_on_... or a sink). */
bool flow_driver_feed(struct flow_driver *driver, struct str topic, const struct record *rec,
                      struct err *err);

/* Feeds all records that the topic holds from the driver's position on; at first from the start. */
bool flow_driver_drain(struct flow_driver *driver, struct str topic, struct err *err);

/* A pull query over the rows that the driver's query keeps. */
bool flow_driver_pull(struct flow_driver *driver, const struct plan *plan,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err);

/* A PULL_STREAM query over a client's topic. */
bool flow_pull_stream(struct client *client, const struct plan *plan, const struct func_settings *settings,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err);

#endif
