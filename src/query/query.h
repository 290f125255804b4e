/* query.h - persistent, push and pull queries: life cycle and results, above the running plans of `flow`.
 *
 *   persistent   RUNNING <-> PAUSED, ERROR (a task died; started again with back-off), stopped
 *   push         a private run of a plan whose sink is the caller; ends by LIMIT, by close, or by an error
 *   pull         the rows of a store (or of a topic up to its present end) through the plan's steps, then the end
 *
 * Rows are handed over in runs, columns in the order of the select list. Callbacks of one query never overlap; they come
 * from a flow worker (push) or from the thread that serves pulls, must not block long and must not call query_close.
 */
#ifndef RIALTO_QUERY_QUERY_H
#define RIALTO_QUERY_QUERY_H

#include "client/client.h"
#include "flow/flow.h"
#include "plan/plan.h"

struct query;
struct queries;

/* All queries of a process. `service_id` is part of internal topic and group names. `flow` NULL is step mode: persistent
 * queries are kept but not run (who drives them takes their plans), and there are no push and pull queries. */
struct queries *queries_new(struct flow_runtime *flow, struct client *client, struct str service_id,
                            struct err *err);

/* Push queries must have been closed. Stops all; persistent ones resume at the next start. Blocking. */
void queries_free(struct queries *queries);

enum query_state { QUERY_RUNNING, QUERY_PAUSED, QUERY_ERROR };

struct query_options {
    struct str id, statement; /* copied */
    bool from_earliest;       /* where input topics without a committed position begin */
    bool fail_on_timestamp;   /* ksql.timestamp.throw.on.invalid */
    struct func_settings func_settings;
};

/* Starts a persistent query. Takes the plan, in any case. */
bool query_start(struct queries *queries, struct plan *plan, const struct query_options *options,
                 struct query **out, struct err *err);

/* Stops and forgets: positions and stores of the query are dropped. Blocking. */
void query_terminate(struct query *query);

/* Replaces the plan (CREATE OR REPLACE) and keeps positions and stores. Takes the plan. Blocking. */
bool query_replace(struct query *query, struct plan *plan, struct str statement, struct err *err);

void query_pause(struct query *query);
void query_resume(struct query *query);

const struct query_options *query_options(const struct query *query);
const struct plan *query_plan(const struct query *query);

struct query_stats {
    enum query_state state;
    uint64_t rows_in, rows_out, rows_dropped, errors;
    int64_t lag;
    int64_t error_ms; /* of the newest error; 0: none */
    struct err error; /* the newest; code ERR_NONE: none */
};
void query_stats(struct query *query, struct query_stats *stats);

/* Where rows go. */
struct query_rows_class {
    /* cols[c][row], one column per output of the plan; tombstones may be NULL. False asks for a pause until
     * query_rows_resume. */
    bool (*on_rows)(void *arg, const struct value *const *cols, uint32_t row_count, const bool *tombstones);
    /* Once, last. failure NULL: complete, or LIMIT reached. */
    void (*on_end)(void *arg, bool limit_reached, const struct err *failure);
};

struct query_rows;

/* Starts a push query. Takes the plan, in any case. Rows come until on_end. */
struct query_rows *query_push(struct queries *queries, struct plan *plan, const struct query_options *options,
                              const struct query_rows_class *class, void *arg, struct err *err);

/* Runs a pull query. Takes the plan, in any case. Errors that show up before the first row are returned (NULL). */
struct query_rows *query_pull(struct queries *queries, struct plan *plan, const struct query_options *options,
                              const struct query_rows_class *class, void *arg, struct err *err);

/* After on_rows returned false: more may come. Any thread. */
void query_rows_resume(struct query_rows *rows);

/* Ends early; no callback runs after it returned. Frees the handle; must be called once also after on_end. */
void query_rows_close(struct query_rows *rows);

#endif
