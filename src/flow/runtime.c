/* runtime.c - the runtime and its queries: start, stop, drop, status, pull reads.
 *
 *     flow_query_start   topology, internal topics, a task for each subtopology and partition, dealt out to the workers
 *     flow_query_stop    paused, committed, tasks removed
 *
 * Tasks of a persistent query are dealt out round robin; those of a push query are all on one worker, so that its rows
 * come from one thread.
 */
#include "flow/runtime_int.h"

enum { WORKERS_DEFAULT = 2, COMMIT_INTERVAL_MS = 100 };

bool flow_txn_committed(void *arg, int64_t pid, int16_t epoch)
{
    const struct flow_txn_check *check = arg;
    int64_t last_pid;
    int16_t last_epoch;
    struct str id = str_is_null(check->transactional_id) ? STR("rialto-engine") : check->transactional_id;
    enum client_txn_state state = client_txn_last(check->client, id, &last_pid, &last_epoch);
    if (state == CLIENT_TXN_NONE)
        return false; /* the log knows nothing of it: it is not the log of this state */
    if (pid == last_pid && epoch == last_epoch)
        return state == CLIENT_TXN_COMMITTED;
    /* Names grow. An older one was decided, and would have been cut had it been aborted; of a newer one the log has not
     * even kept the beginning. */
    return pid < last_pid || (pid == last_pid && epoch < last_epoch);
}

/* Runtime ------------------------------------------------------------------------------------------------------- */

static void make_metrics(struct flow_runtime *rt, struct metric_registry *metrics)
{
    if (metrics == NULL)
        metrics = rt->own_metrics = metric_registry_new();
    rt->commits = metric_counter(metrics, "rialto_flow_commits_total", NO_LABELS);
    rt->aborts = metric_counter(metrics, "rialto_flow_aborts_total", NO_LABELS);
    rt->commit_time = metric_histogram(metrics, "rialto_flow_commit_seconds", NO_LABELS);
}

struct flow_runtime *flow_runtime_new(const struct flow_options *options, struct err *err)
{
    struct flow_runtime *rt = mem_new(struct flow_runtime);
    rt->client = options->client;
    rt->state = options->state;
    rt->transactional_id =
        str_dup(str_is_null(options->transactional_id) ? STR("rialto-engine") : options->transactional_id,
                &rt->arena);
    rt->commit_interval_ms =
        options->commit_interval_ms != 0 ? options->commit_interval_ms : COMMIT_INTERVAL_MS;
    rt->on_log = options->on_log;
    rt->log_arg = options->log_arg;
    rt->epoch = 1;
    list_init(&rt->queries);
    make_metrics(rt, options->metrics);
    pthread_mutex_init(&rt->lock, NULL);
    clock_cond_init(&rt->changed);
    rt->worker_count = options->worker_count != 0 ? options->worker_count : WORKERS_DEFAULT;
    rt->workers = mem_zalloc((size_t)rt->worker_count, sizeof *rt->workers);
    for (int i = 0; i < rt->worker_count; i++)
        worker_init(&rt->workers[i], rt);
    bool ok = true;
    for (int i = 0; ok && i < rt->worker_count; i++) {
        struct worker *worker = &rt->workers[i];
        worker->started = ok = thread_start(&worker->thread, "flow", worker_run, worker, err);
    }
    if (ok && rt->state != NULL)
        rt->committer_started = ok = thread_start(&rt->committer, "commit", committer_run, rt, err);
    if (ok)
        return rt;
    flow_runtime_free(rt);
    return NULL;
}

static void stop_worker(struct worker *worker, void *arg)
{
    worker->stop = true;
}

void flow_runtime_free(struct flow_runtime *rt)
{
    if (rt == NULL)
        return;
    while (!list_empty(&rt->queries))
        flow_query_stop(LIST_ENTRY(rt->queries.next, struct flow_query, link));
    pthread_mutex_lock(&rt->lock);
    rt->stopping = true;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
    if (rt->committer_started)
        thread_join(&rt->committer);
    for (int i = 0; i < rt->worker_count; i++) {
        if (rt->workers[i].started) {
            worker_call(&rt->workers[i], stop_worker, NULL);
            thread_join(&rt->workers[i].thread);
        }
        worker_fini(&rt->workers[i]);
    }
    free(rt->workers);
    pthread_cond_destroy(&rt->changed);
    pthread_mutex_destroy(&rt->lock);
    metric_registry_free(rt->own_metrics);
    map_fini(&rt->offsets);
    arena_fini(&rt->offsets_arena);
    arena_fini(&rt->arena);
    free(rt);
}

bool flow_is_caught_up(struct flow_runtime *rt)
{
    pthread_mutex_lock(&rt->lock);
    bool caught_up = !rt->busy && !rt->abort_wanted;
    for (int i = 0; i < rt->worker_count; i++)
        caught_up &= worker_is_idle(&rt->workers[i]) && !atomic_load(&rt->workers[i].dirty);
    pthread_mutex_unlock(&rt->lock);
    return caught_up;
}

bool flow_wait_caught_up(struct flow_runtime *rt, int64_t timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    while (!flow_is_caught_up(rt)) {
        if (clock_mono_ms() >= until_ms)
            return false;
        struct timespec wait = {0, 1000000};
        nanosleep(&wait, NULL);
    }
    return true;
}

/* Starting a query ------------------------------------------------------------------------------------------------ */

bool flow_check(const struct plan *plan, struct err *err)
{
    return topology_check(plan, err);
}

static void env_init(struct flow_query *query, const struct plan *plan,
                     const struct flow_query_options *options)
{
    struct flow_runtime *rt = query->runtime;
    struct flow_env *env = &query->env;
    query->persistent = plan->kind == QUERY_PERSISTENT;
    env->plan = plan;
    env->client = rt->client;
    env->state = query->persistent ? rt->state : NULL;
    env->id = str_dup(options->id, &env->arena);
    env->group = str_dup(options->group, &env->arena);
    env->func_settings =
        options->func_settings != NULL
            ? *options->func_settings
            : (struct func_settings){.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
    env->reset = options->reset;
    env->fail_on_deserialization = options->fail_on_deserialization;
    env->fail_on_timestamp = options->fail_on_timestamp;
    env->merge = query->persistent && !options->every_change;
    env->transactional = query->persistent;
    env->isolation = query->persistent ? CLIENT_APPENDED : CLIENT_COMMITTED;
    env->on_log = rt->on_log;
    env->log_arg = rt->log_arg;
    env->on_rows = options->on_rows;
    env->arg = options->arg;
    env->rows_left = query->persistent ? -1 : plan->limit;
    query->on_end = options->on_end;
    query->on_state = options->on_state;
    atomic_store(&query->paused, options->paused);
    atomic_store(&query->state, FLOW_RUNNING);
}

static bool make_internal_topics(struct flow_query *query, struct err *err)
{
    const struct topology *topology = query->topology;
    struct err failure;
    for (uint32_t i = 0; i < topology->plan->step_count; i++) {
        if (!topology->splits[i])
            continue;
        int32_t partitions = topology->partitions[topology->sub_of[i]];
        if (!client_topic_create(query->runtime->client, topology->topic_of[i], partitions, NULL, 0,
                                 &failure) &&
            failure.code != ERR_TOPIC_EXISTS) {
            if (err != NULL)
                *err = failure;
            return false;
        }
    }
    return true;
}

/* Where the sources' positions are shown. */
static void make_progress(struct flow_query *query)
{
    const struct topology *topology = query->topology;
    for (uint32_t i = 0; i < topology->plan->step_count; i++) {
        const struct step *step = topology->plan->steps[i];
        if (step->kind != STEP_SOURCE)
            continue;
        for (int32_t p = 0; p < topology->partitions[topology->sub_of[i]]; p++) {
            struct flow_progress *progress = arena_new(&query->env.arena, struct flow_progress);
            progress->topic = step->source.source->topic;
            progress->partition = p;
            vec_push(&query->progress, progress);
        }
    }
}

struct add_task {
    struct worker_task *wt;
    bool ok;
    struct err err;
};

static void add_task(struct worker *worker, void *arg)
{
    struct add_task *add = arg;
    add->ok = worker_task_make(worker, add->wt, &add->err);
    if (add->ok)
        list_push_back(&worker->tasks, &add->wt->link);
}

static void remove_tasks(struct worker *worker, void *arg)
{
    list_each_safe (struct worker_task, wt, &worker->tasks, link) {
        if (wt->query != arg)
            continue;
        list_remove(&wt->link);
        worker_task_drop(wt);
        free(wt);
    }
}

static bool start_task(struct flow_query *query, uint32_t subtopology, int32_t partition, struct err *err)
{
    struct flow_runtime *rt = query->runtime;
    struct worker_task *wt = mem_new(struct worker_task);
    *wt = (struct worker_task){.query = query, .subtopology = subtopology, .partition = partition};
    uint64_t spread =
        query->persistent ? query->task_count + hash_str(query->env.id) : hash_str(query->env.id);
    struct add_task add = {.wt = wt};
    worker_call(&rt->workers[spread % (uint64_t)rt->worker_count], add_task, &add);
    if (!add.ok) {
        if (err != NULL)
            *err = add.err;
        free(wt);
        return false;
    }
    query->task_count++;
    return true;
}

static bool start_tasks(struct flow_query *query, struct err *err)
{
    const struct topology *topology = query->topology;
    for (uint32_t sub = 0; sub < topology->count; sub++)
        for (int32_t p = 0; p < topology->partitions[sub]; p++)
            if (!start_task(query, sub, p, err))
                return false;
    return true;
}

static void query_free(struct flow_query *query)
{
    vec_fini(&query->progress);
    arena_fini(&query->env.arena);
    free(query);
}

static void drop_internal_topics(struct flow_query *query)
{
    struct err err;
    for (uint32_t i = 0; i < query->topology->plan->step_count; i++)
        if (query->topology->splits[i] &&
            !client_topic_delete(query->runtime->client, query->topology->topic_of[i], &err))
            log_warn("flow", "topic_left", "topic=%.*s cause=\"%s\"", STR_ARG(query->topology->topic_of[i]),
                     err.text);
}

struct flow_query *flow_query_start(struct flow_runtime *rt, const struct plan *plan,
                                    const struct flow_query_options *options, struct err *err)
{
    ASSERT(plan->kind != QUERY_PULL);
    struct flow_query *query = mem_new(struct flow_query);
    query->runtime = rt;
    list_init(&query->link);
    env_init(query, plan, options);
    if (query->persistent && rt->state == NULL) {
        err_set(err, ERR_UNSUPPORTED, "this runtime keeps no state: persistent queries cannot run");
        query_free(query);
        return NULL;
    }
    struct str prefix = str_is_null(query->env.group) ? query->env.id : query->env.group;
    query->topology = topology_new(plan, rt->client, prefix, false, &query->env.arena, err);
    if (query->topology == NULL || !make_internal_topics(query, err)) {
        query_free(query);
        return NULL;
    }
    make_progress(query);
    pthread_mutex_lock(&rt->lock);
    bool offline = query->persistent && rt->offline;
    if (offline && err != NULL)
        *err = rt->offline_error;
    list_push_back(&rt->queries, &query->link);
    pthread_mutex_unlock(&rt->lock);
    if (!offline && start_tasks(query, err))
        return query;
    flow_query_stop(query);
    return NULL;
}

/* Stopping ---------------------------------------------------------------------------------------------------------- */

void flow_query_stop(struct flow_query *query)
{
    struct flow_runtime *rt = query->runtime;
    atomic_store(&query->paused, true);
    if (query->persistent && rt->committer_started)
        commit_now(rt);
    pthread_mutex_lock(&rt->lock);
    list_remove(&query->link);
    pthread_mutex_unlock(&rt->lock);
    for (int i = 0; i < rt->worker_count; i++)
        worker_call(&rt->workers[i], remove_tasks, query);
    if (!query->persistent)
        drop_internal_topics(query);
    query_free(query);
}

bool flow_query_drop(struct flow_runtime *rt, struct str id, struct str group, struct err *err)
{
    struct arena arena = {0};
    size_t count;
    struct str prefix = str_printf(&arena, "%.*s-", STR_ARG(group));
    struct client_topic *topics = client_topic_list(rt->client, &count, &arena);
    bool ok = rt->state == NULL || commit_drop(rt, str_printf(&arena, "%.*s/", STR_ARG(id)), err);
    for (size_t i = 0; ok && i < count; i++)
        if (str_starts_with(topics[i].name, prefix) && str_ends_with(topics[i].name, STR("-repartition")))
            ok = client_topic_delete(rt->client, topics[i].name, err);
    ok = ok && (str_is_null(group) || client_group_delete(rt->client, group, err));
    arena_fini(&arena);
    return ok;
}

/* Pause, resume, status ---------------------------------------------------------------------------------------------- */

void flow_query_pause(struct flow_query *query)
{
    atomic_store(&query->paused, true);
}

static void clear_full(struct worker *worker, void *arg)
{
    struct flow_query *query = arg;
    list_each (struct worker_task, wt, &worker->tasks, link)
        if (wt->query == query)
            query->env.rows_full = false;
}

void flow_query_resume(struct flow_query *query)
{
    atomic_store(&query->paused, false);
    for (int i = 0; i < query->runtime->worker_count; i++) {
        if (query->persistent)
            worker_wake(&query->runtime->workers[i]);
        else
            worker_post(&query->runtime->workers[i], clear_full, query);
    }
}

void flow_query_status(struct flow_query *query, struct flow_status *out)
{
    struct flow_runtime *rt = query->runtime;
    *out = (struct flow_status){.task_count = query->task_count};
    pthread_mutex_lock(&rt->lock);
    bool failed = atomic_load(&query->state) == FLOW_ERROR;
    out->state = failed ? FLOW_ERROR : atomic_load(&query->paused) ? FLOW_PAUSED : FLOW_RUNNING;
    out->error = query->error;
    out->error_ms = query->error_ms;
    pthread_mutex_unlock(&rt->lock);
    out->rows_in = atomic_load(&query->env.stats.rows_in);
    out->rows_out = atomic_load(&query->env.stats.rows_out);
    out->rows_late = atomic_load(&query->env.stats.rows_late);
    out->errors = atomic_load(&query->env.stats.errors);
    for (size_t i = 0; i < query->progress.len; i++) {
        const struct flow_progress *progress = query->progress.at[i];
        struct client_offsets offsets;
        if (client_offsets(rt->client, progress->topic, progress->partition, &offsets, NULL))
            out->lag += MAX(offsets.end - atomic_load(&progress->position), 0);
    }
}

/* Pull queries ------------------------------------------------------------------------------------------------------- */

struct pull_call {
    struct pull *pull;
    struct str query_id;
    bool found, ok;
    struct err err;
};

static void pull_on_worker(struct worker *worker, void *arg)
{
    struct pull_call *call = arg;
    list_each (struct worker_task, wt, &worker->tasks, link) {
        if (!str_eq(wt->query->env.id, call->query_id))
            continue;
        call->found = true;
        if (wt->task == NULL)
            call->ok =
                err_set(&call->err, ERR_UNAVAILABLE, "query %.*s is not running", STR_ARG(call->query_id));
        else if (call->ok)
            call->ok = pull_read_task(call->pull, wt->task, &call->err);
    }
}

bool flow_pull(struct flow_runtime *rt, const struct plan *plan, const struct func_settings *settings,
               bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err)
{
    if (plan->pull.kind == PULL_STREAM)
        return flow_pull_stream(rt->client, plan, settings, on_rows, arg, err);
    struct pull_call call = {.query_id = plan->sources[0]->query_id, .ok = true};
    call.pull = pull_new(plan, rt->client, settings, on_rows, arg, err);
    if (call.pull == NULL)
        return false;
    for (int i = 0; i < rt->worker_count && call.ok; i++)
        worker_call(&rt->workers[i], pull_on_worker, &call);
    if (call.ok && !(call.found && pull_found(call.pull)))
        call.ok = err_set(&call.err, ERR_UNAVAILABLE, "table %.*s is not kept by a running query",
                          STR_ARG(plan->sources[0]->name));
    if (!call.ok && err != NULL)
        *err = call.err;
    bool ok = call.ok && pull_end(call.pull, err);
    pull_free(call.pull);
    return ok;
}
