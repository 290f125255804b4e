/* engine.c - the engine's life, its control thread, and what others may ask of its state.
 *
 *   engine_open    queries_new, command topic replayed (on the caller's thread), control thread started
 *   control loop   mail: execute | open a query | resume | close | stop
 *   engine_close   stop mail, thread joined, queries stopped, catalog released
 *
 * The control thread is the only writer of the catalog and of the list of queries; it takes engine->lock around the
 * change, so that readers on other threads see whole states. It reads them itself without the lock.
 */
#include "engine/engine_int.h"

enum {
    ENGINE_MAIL_MAX = 1024,
    ASSERT_RETRY_MS = 20, /* between two looks at an assertion that does not hold yet */
};

/* State ------------------------------------------------------------------------------------------------------------ */

void engine_set_catalog(struct engine *engine, const struct catalog *catalog)
{
    pthread_mutex_lock(&engine->lock);
    const struct catalog *old = engine->catalog;
    engine->catalog = catalog;
    pthread_mutex_unlock(&engine->lock);
    catalog_unref(old);
}

const struct catalog *engine_catalog(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    const struct catalog *catalog = catalog_ref(engine->catalog);
    pthread_mutex_unlock(&engine->lock);
    return catalog;
}

struct persistent *engine_find_query(struct engine *engine, struct str id)
{
    for (size_t i = 0; i < engine->persistent.len; i++)
        if (str_eq(engine->persistent.at[i]->id, id))
            return engine->persistent.at[i];
    return NULL;
}

void engine_add_query(struct engine *engine, struct persistent *persistent)
{
    pthread_mutex_lock(&engine->lock);
    vec_push(&engine->persistent, persistent);
    pthread_mutex_unlock(&engine->lock);
}

static void persistent_free(struct persistent *persistent)
{
    source_unref(persistent->sink);
    arena_fini(persistent->arena);
    free(persistent->arena);
    free(persistent);
}

void engine_remove_query(struct engine *engine, struct persistent *persistent)
{
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < engine->persistent.len; i++) {
        if (engine->persistent.at[i] == persistent) {
            vec_remove(&engine->persistent, i);
            break;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    query_terminate(persistent->query);
    persistent_free(persistent);
}

/* Requests ---------------------------------------------------------------------------------------------------------- */

static void request_free(struct request *request)
{
    session_fini(&request->session);
    buf_fini(&request->answer);
    arena_fini(&request->arena);
    free(request);
}

/* Answers, or looks again in a moment. */
static void step_request(struct request *request, enum statements_result result, const struct err *err)
{
    if (result == STATEMENTS_WAIT) {
        loop_timer_start(&request->timer, ASSERT_RETRY_MS);
        return;
    }
    list_remove(&request->link);
    json_array_end(&request->out);
    request->done(request->arg, buf_str(&request->answer), result == STATEMENTS_DONE ? NULL : err,
                  request->statements.failed);
    request_free(request);
}

static void retry_request(struct loop_timer *timer)
{
    struct request *request = LIST_ENTRY(timer, struct request, timer);
    struct err err = {0};
    step_request(request,
                 statements_retry(request->engine, &request->statements, &request->out, &request->arena,
                                  &err),
                 &err);
}

static void run_request(struct engine *engine, struct request *request)
{
    struct err err = {0};
    request->out.out = &request->answer;
    request->statements =
        (struct statements){.text = request->sql, .place = {1, 1}, .session = &request->session};
    loop_timer_init(&request->timer, engine->loop, retry_request);
    list_push_back(&engine->waiting, &request->link);
    json_array_begin(&request->out);
    step_request(request, statements_run(engine, &request->statements, &request->out, &request->arena, &err),
                 &err);
}

/* Those that wait when the engine stops. */
static void fail_waiting(struct engine *engine)
{
    struct err err = {0};
    err_set(&err, ERR_UNAVAILABLE, "the server stops; the assertion did not hold until now");
    list_each_safe (struct request, request, &engine->waiting, link) {
        loop_timer_stop(&request->timer);
        step_request(request, STATEMENTS_FAILED, &err);
    }
}

void engine_execute(struct engine *engine, struct str sql, const struct engine_session *session,
                    engine_done_fn done, void *arg)
{
    struct request *request = mem_new(struct request);
    request->mail.type = MAIL_EXECUTE;
    request->engine = engine;
    request->sql = str_dup(sql, &request->arena);
    request->done = done;
    request->arg = arg;
    session_init(&request->session, engine, session, &request->arena);
    ASSERT(mailbox_put_reply(engine->box, &request->mail)); /* the engine outlives its faces */
}

static void engine_on_mail(struct mail *mail, void *arg)
{
    struct engine *engine = arg;
    struct query_mail *query_mail = (struct query_mail *)mail;
    switch ((enum mail_type)mail->type) {
    case MAIL_EXECUTE:
        run_request(engine, (struct request *)mail);
        break;
    case MAIL_QUERY_OPEN:
        select_open(LIST_ENTRY(mail, struct engine_query, mail));
        break;
    case MAIL_QUERY_RESUME:
        if (query_mail->query->rows != NULL)
            query_rows_resume(query_mail->query->rows);
        if (query_mail->query->print != NULL)
            print_resume(query_mail->query->print);
        free(query_mail);
        break;
    case MAIL_QUERY_CLOSE:
        select_close(query_mail->query, query_mail->closed);
        free(query_mail);
        break;
    case MAIL_STOP:
        fail_waiting(engine);
        loop_stop(engine->loop);
        free(mail);
        break;
    }
}

static void control_run(void *arg)
{
    struct engine *engine = arg;
    mailbox_bind(engine->box, engine->loop, engine_on_mail, engine);
    loop_run(engine->loop);
    mailbox_close(engine->box);
}

/* Life --------------------------------------------------------------------------------------------------------------- */

static void engine_free(struct engine *engine)
{
    for (size_t i = 0; i < engine->persistent.len; i++)
        persistent_free(engine->persistent.at[i]);
    vec_fini(&engine->persistent);
    client_writer_free(engine->command_writer);
    queries_free(engine->queries);
    catalog_unref(engine->catalog);
    if (engine->box != NULL)
        mailbox_unref(engine->box);
    if (engine->loop != NULL)
        loop_free(engine->loop);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

bool engine_open(struct engine **out, const struct engine_options *options, struct err *err)
{
    struct engine *engine = mem_new(struct engine);
    engine->options = *options;
    engine->catalog = catalog_new();
    engine->loop = loop_new("control");
    engine->box = mailbox_new(ENGINE_MAIL_MAX);
    list_init(&engine->transient);
    list_init(&engine->waiting);
    pthread_mutex_init(&engine->lock, NULL);
    struct arena arena = {0};
    struct session session;
    session_init(&session, engine, NULL, &arena);
    engine->func_settings = session_func_settings(&session);
    session_fini(&session);
    arena_fini(&arena);
    engine->queries = queries_new(options->flow, options->client, options->service_id, err);
    if (engine->queries == NULL || !command_log_open(engine, err) ||
        (options->flow != NULL && !thread_start(&engine->thread, "control", control_run, engine, err))) {
        engine_free(engine);
        return false;
    }
    *out = engine;
    return true;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->options.flow != NULL) {
        struct mail *stop = mem_new(struct mail);
        stop->type = MAIL_STOP;
        ASSERT(mailbox_put_reply(engine->box, stop));
        thread_join(&engine->thread);
    } else {
        mailbox_close(engine->box);
    }
    list_each_safe (struct engine_query, query, &engine->transient, link)
        select_close(query, NULL); /* its face did not close it: it is gone already */
    engine_free(engine);
}

/* For the page and the metrics ------------------------------------------------------------------------------------------ */

static void describe_persistent(struct persistent *at, struct engine_query_info *info, struct arena *arena)
{
    struct query_stats stats;
    query_stats(at->query, &stats);
    const struct plan *plan = query_plan(at->query);
    struct str *sources = arena_array(arena, struct str, plan->source_count);
    for (uint32_t i = 0; i < plan->source_count; i++)
        sources[i] = str_dup(plan->sources[i]->name, arena);
    *info = (struct engine_query_info){
        .id = str_dup(at->id, arena),
        .statement = str_dup(at->statement, arena),
        .sink = at->keeps_sink ? STR_NULL : str_dup(at->sink->name, arena),
        .sink_topic = at->keeps_sink ? STR_NULL : str_dup(at->sink->topic, arena),
        .sources = sources,
        .source_count = plan->source_count,
        .persistent = true,
        .state = stats.state == QUERY_RUNNING  ? ENGINE_QUERY_RUNNING
                 : stats.state == QUERY_PAUSED ? ENGINE_QUERY_PAUSED
                                               : ENGINE_QUERY_ERROR,
        .error = stats.error.code != ERR_NONE ? str_dup(str_from(stats.error.text), arena) : STR_NULL,
        .error_ms = stats.error_ms,
        .rows_in = stats.rows_in,
        .rows_out = stats.rows_out,
        .rows_dropped = stats.rows_dropped,
        .errors = stats.errors,
        .lag = stats.lag,
    };
}

struct engine_query_info *engine_query_list(struct engine *engine, uint32_t *count, struct arena *arena)
{
    pthread_mutex_lock(&engine->lock);
    size_t max = engine->persistent.len;
    list_each (struct engine_query, query, &engine->transient, link)
        max++;
    struct engine_query_info *list = arena_array(arena, struct engine_query_info, max);
    uint32_t n = 0;
    for (size_t i = 0; i < engine->persistent.len; i++)
        describe_persistent(engine->persistent.at[i], &list[n++], arena);
    list_each (struct engine_query, query, &engine->transient, link) {
        if (!atomic_load(&query->is_running) || query->kind != ENGINE_PUSH)
            continue;
        list[n++] = (struct engine_query_info){.id = str_dup(query->id, arena),
                                               .statement = str_dup(query->sql, arena)};
    }
    pthread_mutex_unlock(&engine->lock);
    *count = n;
    return list;
}

bool engine_query_plan(struct engine *engine, struct str query_id, struct buf *json, struct buf *text)
{
    pthread_mutex_lock(&engine->lock);
    struct persistent *at = engine_find_query(engine, query_id);
    if (at != NULL) {
        struct json_writer out = {.out = json};
        plan_to_json(query_plan(at->query), &out);
        plan_explain(query_plan(at->query), query_id, text);
    }
    pthread_mutex_unlock(&engine->lock);
    return at != NULL;
}

/* Step mode ---------------------------------------------------------------------------------------------------------- */

bool engine_run(struct engine *engine, struct str sql, const struct engine_session *session,
                struct buf *entities, struct str *failed_text, struct arena *arena, struct err *err)
{
    ASSERT(engine->options.flow == NULL);
    struct session own;
    struct json_writer out = {.out = entities};
    session_init(&own, engine, session, arena);
    bool done = statements_run_all(engine, sql, &own, &out, failed_text, arena, err);
    session_fini(&own);
    return done;
}

const struct plan *engine_plan_at(struct engine *engine, uint32_t i, struct str *id,
                                  struct func_settings *settings, bool *fail_on_timestamp)
{
    ASSERT(engine->options.flow == NULL);
    if (i >= engine->persistent.len)
        return NULL;
    const struct query_options *options = query_options(engine->persistent.at[i]->query);
    *id = options->id;
    *settings = options->func_settings;
    *fail_on_timestamp = options->fail_on_timestamp;
    return query_plan(engine->persistent.at[i]->query);
}

struct plan *engine_plan_select(struct engine *engine, struct str sql, const struct engine_session *session,
                                struct str *query_id, struct err *err)
{
    ASSERT(engine->options.flow == NULL);
    struct engine_query query = {.engine = engine};
    query.sql = sql;
    session_init(&query.session, engine, session, &query.arena);
    struct plan *plan = select_plan(&query, err);
    if (plan != NULL)
        *query_id = str_dup(query.id, plan->arena);
    session_fini(&query.session);
    arena_fini(&query.arena);
    return plan;
}
