/* select.c - stand-alone queries: from a face's request to rows.
 *
 *   engine_query_open   any thread        handle made, mail to the control thread
 *   select_open         control thread    parse, analyse, plan; on_header; query_push or query_pull; PRINT: print.c
 *   rows_* callbacks    worker or pool    on_rows, on_end
 *   engine_query_close  any thread        mail to the control thread
 *   select_close        control thread    stops the query, says closed, frees the handle
 *
 * (L1) Callbacks are made with query->lock held, so they never overlap, and none comes once select_close has taken it.
 * (L2) The handle is freed by select_close only. Mail is read in order, so closing always comes after opening.
 */

#include "engine/engine_int.h"

/* Callbacks ------------------------------------------------------------------------------------------------------- */

void select_end(struct engine_query *query, bool limit_reached, const struct err *failure)
{
    pthread_mutex_lock(&query->lock);
    bool wanted = !query->closed && !query->ended;
    query->ended = true;
    atomic_store(&query->is_running, false);
    if (wanted)
        query->class->on_end(query->arg, limit_reached, failure);
    pthread_mutex_unlock(&query->lock);
}

static bool rows_on_rows(void *arg, const struct value *const *cols, uint32_t row_count,
                         const bool *tombstones)
{
    struct engine_query *query = arg;
    pthread_mutex_lock(&query->lock);
    bool more =
        query->closed || query->ended || query->class->on_rows(query->arg, cols, row_count, tombstones);
    pthread_mutex_unlock(&query->lock);
    return more;
}

bool select_rows(struct engine_query *query, const struct value *const *cols, uint32_t row_count)
{
    return rows_on_rows(query, cols, row_count, NULL);
}

static void rows_on_end(void *arg, bool limit_reached, const struct err *failure)
{
    select_end(arg, limit_reached, failure);
}

static const struct query_rows_class rows_class = {.on_rows = rows_on_rows, .on_end = rows_on_end};

/* Opening ----------------------------------------------------------------------------------------------------------- */

/* The one statement of the text: a SELECT or PRINT. SET and the like before it act on the session. */
static const struct ast_stmt *only_query(struct engine_query *query, struct err *err)
{
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct str text = str_trim(query->sql);
    if (!str_ends_with(text, STR(";")))
        text = str_printf(&query->arena, "%.*s;", STR_ARG(text));
    if (!sql_parse(text, &query->session.variables, &stmts, &count, &query->arena, err))
        return NULL;
    if (count != 1) {
        err_set(err, ERR_BAD_REQUEST, "Expected exactly one KSQL statement; found %u instead", count);
        return NULL;
    }
    if (stmts[0]->kind != STMT_QUERY && stmts[0]->kind != STMT_PRINT) {
        err_set(err, ERR_BAD_REQUEST, "Statement type `%s' not supported for this resource",
                sql_stmt_words(stmts[0]->kind));
        return NULL;
    }
    return stmts[0];
}

static struct str random_id(struct arena *arena, const char *prefix, struct str source)
{
    static _Atomic uint64_t count;
    uint64_t seed[2] = {(uint64_t)clock_wall_us(), ++count};
    return str_printf(arena, "%s_%.*s_%" PRIu64, prefix, STR_ARG(source), hash_bytes(seed, sizeof seed) >> 1);
}

static struct str query_name(const struct ast_query *ast, struct arena *arena)
{
    if (ast->emit != EMIT_NONE)
        return random_id(arena, "transient", ast->from.name);
    /* ksqlDB's form, the time in ms; two of one millisecond must not be equal. Control thread, or step mode's only one. */
    static _Atomic int64_t last;
    int64_t id = MAX(clock_wall_ms(), last + 1);
    last = id;
    return str_printf(arena, "query_%" PRId64, id);
}

static bool check_push_limit(struct engine *engine, struct err *err)
{
    int64_t running = 0;
    pthread_mutex_lock(&engine->lock);
    list_each (struct engine_query, at, &engine->transient, link)
        running += atomic_load(&at->is_running) && at->kind != ENGINE_PULL;
    pthread_mutex_unlock(&engine->lock);
    if (engine->options.push_queries_max == 0 || running < engine->options.push_queries_max)
        return true;
    return err_set(err, ERR_LIMIT,
                   "Maximum number of push queries exceeded: %" PRId64
                   " run; end one, or raise ksql.max.push.queries",
                   running);
}

/* May a push query of the session tap what the source's query writes, instead of reading the topic from where the
 * session says? */
static bool may_tap(const struct engine_query *query, const struct ast_query *ast)
{
    const struct session *session = &query->session;
    if (!str_eq_nocase(session_text(session, "ksql.query.push.v2.enabled"), STR("true")) ||
        str_eq_nocase(session_text(session, "auto.offset.reset"), STR("earliest")))
        return false;
    uint32_t writers = 0;
    for (size_t i = 0; i < query->engine->persistent.len; i++)
        writers += !query->engine->persistent.at[i]->keeps_sink &&
                   str_eq(query->engine->persistent.at[i]->sink->name, ast->from.name);
    return writers == 1;
}

static struct plan *plan_select(struct engine_query *query, const struct ast_stmt *stmt, struct err *err)
{
    struct sandbox box = {.engine = query->engine, .catalog = query->engine->catalog};
    struct analyze_env env = sandbox_env(&box, &query->session);
    struct func_settings settings = session_func_settings(&query->session);
    env.func_settings = &settings;
    env.may_tap = may_tap(query, stmt->query);
    const struct analysis *analysis;
    struct plan *plan = NULL;
    query->id = query_name(stmt->query, &query->arena);
    if (!analyze_query(&env, stmt, query->id, &analysis, &query->arena, err) ||
        !plan_build(analysis, &env, &plan, err))
        return NULL;
    if (plan->taps)
        query->id = random_id(&query->arena, "SCALABLE_PUSH_QUERY", stmt->query->from.name);
    return plan;
}

/* The columns that rows show, in select order. */
static void call_header(struct engine_query *query, const struct plan *plan)
{
    struct column *columns = arena_array(&query->arena, struct column, plan->output_count);
    plan_output_columns(plan, columns);
    bool as_pull = query->kind == ENGINE_PULL && plan->pull.kind != PULL_STREAM;
    pthread_mutex_lock(&query->lock);
    if (!query->closed)
        query->class->on_header(query->arg, query->id, as_pull ? ENGINE_PULL : ENGINE_PUSH, columns,
                                plan->output_count);
    pthread_mutex_unlock(&query->lock);
}

struct plan *select_plan(struct engine_query *query, struct err *err)
{
    const struct ast_stmt *stmt = only_query(query, err);
    if (stmt != NULL && stmt->kind == STMT_PRINT) {
        err_set(err, ERR_UNSUPPORTED, "PRINT has no plan: it reads a topic");
        return NULL;
    }
    return stmt != NULL ? plan_select(query, stmt, err) : NULL;
}

/* PRINT: lines of text in one column. */
static bool open_print(struct engine_query *query, const struct ast_stmt *stmt, struct err *err)
{
    static const struct column line = {.name = STR_INIT("LINE"), .type = &type_string};
    query->kind = ENGINE_PRINT;
    query->id = random_id(&query->arena, "print", stmt->name);
    if (!check_push_limit(query->engine, err))
        return false;
    struct print *print = print_open(query, stmt, err);
    if (print == NULL)
        return false;
    pthread_mutex_lock(&query->lock);
    if (!query->closed)
        query->class->on_header(query->arg, query->id, ENGINE_PRINT, &line, 1);
    atomic_store(&query->is_running, !query->ended);
    pthread_mutex_unlock(&query->lock);
    if (print_start(print, err))
        query->print = print;
    return query->print != NULL;
}

void select_open(struct engine_query *query)
{
    struct err err = {0};
    const struct ast_stmt *stmt = only_query(query, &err);
    if (stmt != NULL && stmt->kind == STMT_PRINT) {
        if (!open_print(query, stmt, &err))
            select_end(query, false, &err);
        return;
    }
    struct plan *plan = stmt != NULL ? plan_select(query, stmt, &err) : NULL;
    if (plan != NULL) {
        query->kind = plan->kind == QUERY_PULL ? ENGINE_PULL : ENGINE_PUSH;
        if ((query->kind == ENGINE_PUSH && !check_push_limit(query->engine, &err)) ||
            !flow_check(plan, &err)) {
            plan_free(plan);
            plan = NULL;
        }
    }
    if (plan == NULL) {
        select_end(query, false, &err);
        return;
    }
    call_header(query, plan);
    struct query_options options = session_query_options(&query->session, query->id, query->sql);
    query->rows = query->kind == ENGINE_PULL
                      ? query_pull(query->engine->queries, plan, &options, &rows_class, query, &err)
                      : query_push(query->engine->queries, plan, &options, &rows_class, query, &err);
    if (query->rows == NULL) {
        select_end(query, false, &err);
        return;
    }
    pthread_mutex_lock(&query->lock);
    atomic_store(&query->is_running, !query->ended); /* it may have ended already */
    pthread_mutex_unlock(&query->lock);
}

void engine_query_open(struct engine *engine, struct str sql, const struct engine_session *session,
                       const struct engine_rows_class *class, void *arg, struct engine_query **out)
{
    struct engine_query *query = mem_new(struct engine_query);
    query->engine = engine;
    query->sql = str_dup(sql, &query->arena);
    query->class = class;
    query->arg = arg;
    query->mail.type = MAIL_QUERY_OPEN;
    session_init(&query->session, engine, session, &query->arena);
    pthread_mutex_init(&query->lock, NULL);
    *out = query;
    pthread_mutex_lock(&engine->lock);
    list_push_back(&engine->transient, &query->link);
    pthread_mutex_unlock(&engine->lock);
    ASSERT(mailbox_put_reply(engine->box, &query->mail)); /* the engine outlives its faces */
}

void engine_query_resume(struct engine_query *query)
{
    struct query_mail *resume = mem_new(struct query_mail);
    resume->mail.type = MAIL_QUERY_RESUME;
    resume->query = query;
    ASSERT(mailbox_put_reply(query->engine->box, &resume->mail));
}

/* Closing ----------------------------------------------------------------------------------------------------------- */

void engine_query_close(struct engine_query *query, void (*closed)(void *arg))
{
    struct query_mail *close = mem_new(struct query_mail);
    close->mail.type = MAIL_QUERY_CLOSE;
    close->query = query;
    close->closed = closed;
    ASSERT(mailbox_put_reply(query->engine->box, &close->mail));
}

void select_close(struct engine_query *query, void (*closed)(void *arg))
{
    pthread_mutex_lock(&query->lock);
    query->closed = true;
    pthread_mutex_unlock(&query->lock);
    if (query->rows != NULL)
        query_rows_close(query->rows);
    if (query->print != NULL)
        print_close(query->print);
    if (closed != NULL)
        closed(query->arg);
    pthread_mutex_lock(&query->engine->lock);
    list_remove(&query->link);
    pthread_mutex_unlock(&query->engine->lock);
    session_fini(&query->session);
    pthread_mutex_destroy(&query->lock);
    arena_fini(&query->arena);
    free(query);
}

bool engine_query_end(struct engine *engine, struct str query_id)
{
    struct engine_query *found = NULL;
    pthread_mutex_lock(&engine->lock);
    list_each (struct engine_query, query, &engine->transient, link)
        if (atomic_load(&query->is_running) && str_eq_nocase(query->id, query_id))
            found = query;
    if (found != NULL)
        select_end(found, false, NULL);
    pthread_mutex_unlock(&engine->lock);
    return found != NULL;
}
