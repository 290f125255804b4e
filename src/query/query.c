/* query.c - persistent queries, and rows of push and pull queries for whoever asks.
 *
 *   struct query        a plan and, while it runs, its flow_query; a died one is started again
 *   struct query_rows   a push query (rows from a flow worker) or a pull query (rows from a pool thread)
 *
 * (Q1) The plan of a query lives until its flow_query was stopped.
 * (Q2) A query in ERROR is started again by the restart thread: first after 15 s, then after twice as long each time, at
 *      most 15 min; one that ran for as long as its last wait begins anew with 15 s.
 * (Q3) A pull query blocks its pool thread while its receiver asks for a pause: the pool is as large as the number of
 *      pull queries that may run at once, further ones wait their turn.
 * (Q4) query_rows_close waits for the thread that delivers rows; after it nobody holds the handle.
 *
 * Decided against: pull queries on the flow workers. A slow client would hold up the streams.
 */

#include "query/query_int.h"

enum {
    RETRY_INITIAL_MS = 15000,
    RETRY_MAX_MS = 900000,
    PULL_THREADS = 4,
};

struct query {
    struct queries *queries;
    struct list link;
    struct plan *plan;
    struct arena arena;           /* id, group, statement */
    struct query_options options; /* texts in the arena */
    struct str group;
    pthread_mutex_t lock; /* flow, plan, statement, paused, retry */
    struct flow_query *flow;
    bool paused;
    int64_t retry_ms;       /* length of the next wait */
    int64_t retry_at_ms;    /* monotonic; 0: no restart is due */
    struct err start_error; /* the last start failed with this */
    int64_t start_error_ms;
};

/* Persistent queries --------------------------------------------------------------------------------------------- */

/* Makes the restart thread look at the queries, or end. */
static void queries_wake(struct queries *queries, bool stop)
{
    pthread_mutex_lock(&queries->wake_lock);
    queries->woken = true;
    queries->stopping = queries->stopping || stop;
    pthread_cond_signal(&queries->wake);
    pthread_mutex_unlock(&queries->wake_lock);
}

/* A worker says that the state of a query changed: the restart thread looks. */
static void query_on_state(void *arg)
{
    struct query *query = arg;
    queries_wake(query->queries, false);
}

/* Caller holds query->lock. Without a runtime (step mode) there is nothing to start. */
static bool query_start_flow(struct query *query, struct err *err)
{
    if (query->queries->flow == NULL)
        return true;
    struct flow_query_options options = {
        .id = query->options.id,
        .group = query->group,
        .reset = query->options.from_earliest ? FLOW_EARLIEST : FLOW_LATEST,
        .func_settings = &query->options.func_settings,
        .fail_on_timestamp = query->options.fail_on_timestamp,
        .paused = query->paused,
        .on_state = query_on_state,
        .arg = query,
    };
    query->flow = flow_query_start(query->queries->flow, query->plan, &options, err);
    return query->flow != NULL;
}

static void query_stop_flow(struct query *query)
{
    if (query->flow != NULL)
        flow_query_stop(query->flow);
    query->flow = NULL;
}

static void query_free(struct query *query)
{
    query_stop_flow(query);
    plan_free(query->plan);
    arena_fini(&query->arena);
    pthread_mutex_destroy(&query->lock);
    free(query);
}

bool query_start(struct queries *queries, struct plan *plan, const struct query_options *options,
                 struct query **out, struct err *err)
{
    ASSERT(plan->kind == QUERY_PERSISTENT);
    struct query *query = mem_new(struct query);
    query->queries = queries;
    query->plan = plan;
    query->options = *options;
    query->options.id = str_dup(options->id, &query->arena);
    query->options.statement = str_dup(options->statement, &query->arena);
    query->group = str_printf(&query->arena, "_confluent-ksql-%.*squery_%.*s", STR_ARG(queries->service_id),
                              STR_ARG(options->id));
    query->retry_ms = RETRY_INITIAL_MS;
    pthread_mutex_init(&query->lock, NULL);
    list_init(&query->link);
    if (!flow_check(plan, err) || !query_start_flow(query, err)) {
        query_free(query);
        return false;
    }
    pthread_mutex_lock(&queries->lock);
    list_push_back(&queries->list, &query->link);
    pthread_mutex_unlock(&queries->lock);
    *out = query;
    return true;
}

void query_terminate(struct query *query)
{
    struct queries *queries = query->queries;
    struct err err = {0};
    pthread_mutex_lock(&queries->lock);
    list_remove(&query->link);
    pthread_mutex_unlock(&queries->lock);
    query_stop_flow(query);
    if (queries->flow != NULL && !flow_query_drop(queries->flow, query->options.id, query->group, &err))
        log_warn("query", "leftovers", "query=%.*s error=%s", STR_ARG(query->options.id), err.text);
    query_free(query);
}

bool query_replace(struct query *query, struct plan *plan, struct str statement, struct err *err)
{
    if (!flow_check(plan, err)) {
        plan_free(plan);
        return false;
    }
    pthread_mutex_lock(&query->lock);
    query_stop_flow(query);
    struct plan *old = query->plan;
    query->plan = plan;
    bool done = query_start_flow(query, err);
    if (done) {
        query->options.statement = str_dup(statement, &query->arena);
        plan_free(old);
    } else {
        query->plan = old;
        plan_free(plan);
        struct err again = {0};
        if (!query_start_flow(query, &again))
            log_error("query", "not_restarted", "query=%.*s error=%s", STR_ARG(query->options.id),
                      again.text);
    }
    pthread_mutex_unlock(&query->lock);
    return done;
}

void query_pause(struct query *query)
{
    pthread_mutex_lock(&query->lock);
    query->paused = true;
    if (query->flow != NULL)
        flow_query_pause(query->flow);
    pthread_mutex_unlock(&query->lock);
}

void query_resume(struct query *query)
{
    pthread_mutex_lock(&query->lock);
    query->paused = false;
    if (query->flow != NULL)
        flow_query_resume(query->flow);
    pthread_mutex_unlock(&query->lock);
}

const struct query_options *query_options(const struct query *query)
{
    return &query->options;
}

const struct plan *query_plan(const struct query *query)
{
    return query->plan;
}

void query_stats(struct query *query, struct query_stats *stats)
{
    struct flow_status status = {0};
    *stats = (struct query_stats){0};
    pthread_mutex_lock(&query->lock);
    if (query->flow != NULL) {
        flow_query_status(query->flow, &status);
    } else if (query->queries->flow != NULL) {
        status.state = FLOW_ERROR;
        status.error = query->start_error;
        status.error_ms = query->start_error_ms;
    }
    stats->state = status.state == FLOW_ERROR ? QUERY_ERROR : query->paused ? QUERY_PAUSED : QUERY_RUNNING;
    pthread_mutex_unlock(&query->lock);
    stats->rows_in = status.rows_in;
    stats->rows_out = status.rows_out;
    stats->rows_dropped = status.rows_late;
    stats->errors = status.errors;
    stats->lag = status.lag;
    stats->error = status.error;
    stats->error_ms = status.error_ms;
}

/* Restart with back-off (Q2) --------------------------------------------------------------------------------------- */

/* Looks at one query; returns how long until it has to be looked at again, -1: not before it changes. */
static int64_t query_check(struct query *query, int64_t now_ms)
{
    struct flow_status status = {.state = FLOW_ERROR};
    int64_t wait_ms = -1;
    pthread_mutex_lock(&query->lock);
    if (query->flow != NULL)
        flow_query_status(query->flow, &status);
    if (status.state != FLOW_ERROR) {
        if (query->retry_at_ms != 0 && now_ms > query->retry_at_ms + query->retry_ms)
            query->retry_ms = RETRY_INITIAL_MS;
    } else if (query->retry_at_ms < now_ms - query->retry_ms || query->retry_at_ms == 0) {
        log_error("query", "failed", "query=%.*s error=%s retry_ms=%" PRId64, STR_ARG(query->options.id),
                  status.error.text, query->retry_ms);
        query->retry_at_ms = now_ms + query->retry_ms;
        wait_ms = query->retry_ms;
    } else if (query->retry_at_ms > now_ms) {
        wait_ms = query->retry_at_ms - now_ms;
    } else {
        query->start_error = status.error;
        query->start_error_ms = status.error_ms;
        query_stop_flow(query);
        struct err err = {0};
        if (!query_start_flow(query, &err)) {
            query->start_error = err;
            query->start_error_ms = clock_wall_ms();
        }
        query->retry_ms = MIN(query->retry_ms * 2, RETRY_MAX_MS);
        wait_ms = 1000;
    }
    pthread_mutex_unlock(&query->lock);
    return wait_ms;
}

/* Looks at all queries; returns how long until one is due, -1: none is. */
static int64_t restart_check_all(struct queries *queries)
{
    int64_t wait_ms = -1;
    pthread_mutex_lock(&queries->lock);
    list_each (struct query, query, &queries->list, link) {
        int64_t due_ms = query_check(query, clock_mono_ms());
        if (due_ms >= 0 && (wait_ms < 0 || due_ms < wait_ms))
            wait_ms = due_ms;
    }
    pthread_mutex_unlock(&queries->lock);
    return wait_ms;
}

/* Sleeps until woken, or for wait_ms when that is not -1; false when it is time to end. */
static bool restart_sleep(struct queries *queries, int64_t wait_ms)
{
    struct timespec until = clock_deadline(MAX(wait_ms, 0));
    pthread_mutex_lock(&queries->wake_lock);
    for (int timed_out = 0; !queries->woken && !timed_out;)
        timed_out = wait_ms < 0 ? pthread_cond_wait(&queries->wake, &queries->wake_lock)
                                : pthread_cond_timedwait(&queries->wake, &queries->wake_lock, &until);
    queries->woken = false;
    bool go_on = !queries->stopping;
    pthread_mutex_unlock(&queries->wake_lock);
    return go_on;
}

static void restart_run(void *arg)
{
    struct queries *queries = arg;
    while (restart_sleep(queries, restart_check_all(queries)))
        continue;
}

/* All queries ------------------------------------------------------------------------------------------------------ */

struct queries *queries_new(struct flow_runtime *flow, struct client *client, struct str service_id,
                            struct err *err)
{
    struct queries *queries = mem_new(struct queries);
    queries->flow = flow;
    queries->client = client;
    queries->service_id = str_of(mem_dup(service_id.ptr, service_id.len), service_id.len);
    queries->pull_pool = pool_new("pull", PULL_THREADS);
    pthread_mutex_init(&queries->lock, NULL);
    clock_cond_init(&queries->wake);
    pthread_mutex_init(&queries->wake_lock, NULL);
    list_init(&queries->list);
    queries->restart_running =
        flow != NULL && thread_start(&queries->restart_thread, "restart", restart_run, queries, err);
    if (flow != NULL && !queries->restart_running) {
        queries_free(queries);
        return NULL;
    }
    return queries;
}

void queries_free(struct queries *queries)
{
    if (queries == NULL)
        return;
    queries_wake(queries, true);
    if (queries->restart_running)
        thread_join(&queries->restart_thread);
    list_each_safe (struct query, query, &queries->list, link) {
        list_remove(&query->link);
        query_free(query);
    }
    pool_free(queries->pull_pool);
    pthread_cond_destroy(&queries->wake);
    pthread_mutex_destroy(&queries->wake_lock);
    pthread_mutex_destroy(&queries->lock);
    free((void *)queries->service_id.ptr);
    free(queries);
}
