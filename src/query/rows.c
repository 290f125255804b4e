/* rows.c - rows of push and pull queries on their way to a face.
 *
 *   push   flow worker -> rows_push -> class->on_rows        false pauses the flow query
 *   pull   pool thread -> flow_pull -> class->on_rows        false makes the pool thread wait
 *
 * (R1) on_end comes exactly once, unless query_rows_close was called before.
 * (R2) Closing from another thread: the flag stops further calls, then close waits until none is under way.
 * (R3) The receiver's word that it can take more may come before the pause that it ends: words are counted, none is lost.
 */
#include "query/query_int.h"

struct query_rows {
    struct queries *queries;
    struct plan *plan;
    struct arena arena;
    const struct query_rows_class *class;
    void *arg;
    struct func_settings settings;
    struct flow_query *flow; /* push */
    pthread_mutex_t lock;    /* closed, paused, running, resumes */
    pthread_cond_t changed;
    bool closed;      /* no more calls */
    bool paused;      /* the receiver asked for a pause */
    bool running;     /* pull: the pool has it */
    uint64_t resumes; /* pull: how often the receiver has said that it can take more */
    int64_t left;     /* rows until LIMIT; -1: no limit */
};

static struct query_rows *rows_new(struct queries *queries, struct plan *plan,
                                   const struct func_settings *settings, const struct query_rows_class *class,
                                   void *arg)
{
    struct query_rows *rows = mem_new(struct query_rows);
    rows->queries = queries;
    rows->plan = plan;
    rows->class = class;
    rows->arg = arg;
    rows->settings = *settings;
    rows->left = plan->limit;
    pthread_mutex_init(&rows->lock, NULL);
    pthread_cond_init(&rows->changed, NULL);
    return rows;
}

static void rows_free(struct query_rows *rows)
{
    plan_free(rows->plan);
    arena_fini(&rows->arena);
    pthread_cond_destroy(&rows->changed);
    pthread_mutex_destroy(&rows->lock);
    free(rows);
}

/* Push --------------------------------------------------------------------------------------------------------------- */

static bool rows_push(void *arg, const struct flow_rows *batch)
{
    struct query_rows *rows = arg;
    return rows->class->on_rows(rows->arg, batch->cols, batch->count, batch->tombstones);
}

static void rows_push_end(void *arg, bool limit_reached, const struct err *failure)
{
    struct query_rows *rows = arg;
    rows->class->on_end(rows->arg, limit_reached, failure);
}

struct query_rows *query_push(struct queries *queries, struct plan *plan, const struct query_options *options,
                              const struct query_rows_class *class, void *arg, struct err *err)
{
    struct query_rows *rows = rows_new(queries, plan, &options->func_settings, class, arg);
    struct flow_query_options flow = {
        .id = str_dup(options->id, &rows->arena),
        .reset = options->from_earliest ? FLOW_EARLIEST : FLOW_LATEST,
        .func_settings = &rows->settings,
        .fail_on_timestamp = options->fail_on_timestamp,
        .on_rows = rows_push,
        .on_end = rows_push_end,
        .arg = rows,
    };
    if (!flow_check(plan, err) || (rows->flow = flow_query_start(queries->flow, plan, &flow, err)) == NULL) {
        rows_free(rows);
        return NULL;
    }
    return rows;
}

/* Pull --------------------------------------------------------------------------------------------------------------- */

/* Waits while the receiver wants a pause; false when it is gone. *resumes: its words so far. */
static bool rows_wait_wanted(struct query_rows *rows, uint64_t *resumes)
{
    pthread_mutex_lock(&rows->lock);
    while (rows->paused && !rows->closed)
        pthread_cond_wait(&rows->changed, &rows->lock);
    bool wanted = !rows->closed;
    *resumes = rows->resumes;
    pthread_mutex_unlock(&rows->lock);
    return wanted;
}

static bool rows_pull(void *arg, const struct flow_rows *batch)
{
    struct query_rows *rows = arg;
    uint64_t resumes;
    if (!rows_wait_wanted(rows, &resumes))
        return false;
    uint32_t count = batch->count;
    if (rows->left >= 0 && (int64_t)count > rows->left)
        count = (uint32_t)rows->left;
    if (rows->left >= 0)
        rows->left -= count;
    if (count != 0 && !rows->class->on_rows(rows->arg, batch->cols, count, batch->tombstones)) {
        pthread_mutex_lock(&rows->lock);
        rows->paused = rows->resumes == resumes;
        pthread_mutex_unlock(&rows->lock);
    }
    return rows->left != 0;
}

static void rows_pull_run(void *arg)
{
    struct query_rows *rows = arg;
    struct err err = {0};
    bool done =
        rows->left == 0 || flow_pull(rows->queries->flow, rows->plan, &rows->settings, rows_pull, rows, &err);
    uint64_t resumes;
    if (rows_wait_wanted(rows, &resumes))
        rows->class->on_end(rows->arg, rows->left == 0, done ? NULL : &err);
    pthread_mutex_lock(&rows->lock);
    rows->running = false;
    pthread_cond_broadcast(&rows->changed);
    pthread_mutex_unlock(&rows->lock);
}

struct query_rows *query_pull(struct queries *queries, struct plan *plan, const struct query_options *options,
                              const struct query_rows_class *class, void *arg, struct err *err)
{
    struct query_rows *rows = rows_new(queries, plan, &options->func_settings, class, arg);
    if (!flow_check(plan, err)) {
        rows_free(rows);
        return NULL;
    }
    rows->running = true;
    pool_submit(queries->pull_pool, rows_pull_run, rows, NULL, NULL);
    return rows;
}

/* Both --------------------------------------------------------------------------------------------------------------- */

void query_rows_resume(struct query_rows *rows)
{
    if (rows->flow != NULL) {
        flow_query_resume(rows->flow);
        return;
    }
    pthread_mutex_lock(&rows->lock);
    rows->paused = false;
    rows->resumes++;
    pthread_cond_broadcast(&rows->changed);
    pthread_mutex_unlock(&rows->lock);
}

void query_rows_close(struct query_rows *rows)
{
    if (rows->flow != NULL) {
        flow_query_stop(rows->flow);
    } else {
        pthread_mutex_lock(&rows->lock);
        rows->closed = true;
        pthread_cond_broadcast(&rows->changed);
        while (rows->running)
            pthread_cond_wait(&rows->changed, &rows->lock);
        pthread_mutex_unlock(&rows->lock);
    }
    rows_free(rows);
}
