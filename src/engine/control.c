/* control.c - TERMINATE, PAUSE, RESUME of persistent queries, and EXPLAIN. */
#include "engine/engine_int.h"

static struct persistent *find_nocase(struct engine *engine, struct str id)
{
    for (size_t i = 0; i < engine->persistent.len; i++)
        if (str_eq_nocase(engine->persistent.at[i]->id, id))
            return engine->persistent.at[i];
    return NULL;
}

static bool is_transient(struct engine *engine, struct str id)
{
    return str_starts_with_nocase(id, STR("transient_"));
}

bool prepare_query_control(struct sandbox *box, struct session *session, struct prepared *prepared,
                           struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    static const char *const actions[] = {"terminate", "pause", "resume"};
    static const char *const messages[] = {"Query terminated.", "Query paused.", "Query resumed."};
    int which = stmt->kind == STMT_TERMINATE ? 0 : stmt->kind == STMT_PAUSE ? 1 : 2;
    prepared->message = str_from(messages[which]);
    if (!stmt->all) {
        struct persistent *at = find_nocase(box->engine, stmt->name);
        if (at == NULL && !(which == 0 && is_transient(box->engine, stmt->name)))
            return err_set(err, ERR_STATEMENT, "Unknown queryId: %.*s", STR_ARG(stmt->name));
        if (at == NULL && !engine_query_end(box->engine, stmt->name))
            return err_set(err, ERR_STATEMENT, "Unknown queryId: %.*s", STR_ARG(stmt->name));
        prepared->query_id = at != NULL ? at->id : stmt->name;
        if (at != NULL && which == 0)
            map_put(&box->ended, at->id, at);
    } else if (which == 0) {
        for (size_t i = 0; i < box->engine->persistent.len; i++)
            map_put(&box->ended, box->engine->persistent.at[i]->id, box->engine->persistent.at[i]);
    }
    struct str entity = stmt->all ? STR("ALL") : prepared->query_id;
    prepared->query_id = STR_NULL;
    prepared->command_id = str_printf(arena, "%s/`%.*s`/execute", actions[which], STR_ARG(entity));
    return true;
}

static void control_one(struct engine *engine, struct persistent *at, enum ast_stmt_kind kind)
{
    if (kind == STMT_TERMINATE)
        engine_remove_query(engine, at);
    else if (kind == STMT_PAUSE)
        query_pause(at->query);
    else
        query_resume(at->query);
}

bool execute_query_control(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                           struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err))
        return false;
    if (stmt->all) {
        for (size_t i = engine->persistent.len; i-- > 0;)
            control_one(engine, engine->persistent.at[i], stmt->kind);
    } else {
        struct persistent *at = find_nocase(engine, stmt->name);
        if (at != NULL)
            control_one(engine, at, stmt->kind);
    }
    entity_command_status(out, stmt->text, prepared->command_id, prepared->message, STR_NULL, sequence);
    return true;
}

/* EXPLAIN id | EXPLAIN statement --------------------------------------------------------------------------------- */

bool prepare_explain(struct sandbox *box, struct session *session, struct prepared *prepared,
                     struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    if (stmt->explained == NULL) {
        struct persistent *at = find_nocase(box->engine, stmt->name);
        if (at == NULL)
            return err_set(
                err, ERR_STATEMENT,
                "Query with id:%.*s does not exist, use SHOW QUERIES to view the full set of queries.",
                STR_ARG(stmt->name));
        prepared->query_id = str_dup(at->id, arena);
        return true;
    }
    const struct ast_stmt *inner = stmt->explained;
    if (inner->query == NULL)
        return err_set(err, ERR_STATEMENT, "The provided statement does not run a ksql query");
    struct analyze_env env = sandbox_env(box, session);
    const struct analysis *analysis;
    prepared->query_id =
        inner->kind == STMT_QUERY
            ? STR("transient_explain")
            : str_printf(arena, "%s_%.*s_%" PRId64, inner->kind == STMT_CREATE_TABLE_AS ? "CTAS" : "CSAS",
                         STR_ARG(inner->name), box->command_next);
    return analyze_query(&env, inner, prepared->query_id, &analysis, arena, err) &&
           plan_build(analysis, &env, &prepared->plan, err);
}

static void put_names(struct json_writer *out, const char *name, const struct plan *plan, bool sinks)
{
    json_key_begin(out, name);
    json_array_begin(out);
    if (sinks && plan->sink->sink.sink != NULL)
        json_str(out, plan->sink->sink.sink->name);
    for (uint32_t i = 0; !sinks && i < plan->source_count; i++)
        json_str(out, plan->sources[i]->name);
    json_array_end(out);
}

static void put_errors(struct json_writer *out, const struct query_stats *stats)
{
    json_key_begin(out, "queryErrors");
    json_array_begin(out);
    if (stats->error.code != ERR_NONE) {
        json_object_begin(out);
        json_key_i64(out, "timestamp", stats->error_ms);
        json_key_cstr(out, "errorMessage", stats->error.text);
        json_key_cstr(out, "type", "UNKNOWN");
        json_object_end(out);
    }
    json_array_end(out);
}

static const char *state_word(const struct persistent *at, const struct query_stats *stats)
{
    if (at == NULL)
        return NULL;
    return stats->state == QUERY_RUNNING ? "RUNNING" : stats->state == QUERY_PAUSED ? "PAUSED" : "ERROR";
}

bool execute_explain(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                     struct arena *arena, struct err *err)
{
    struct persistent *at = prepared->plan == NULL ? engine_find_query(engine, prepared->query_id) : NULL;
    const struct plan *plan = at != NULL ? query_plan(at->query) : prepared->plan;
    if (plan == NULL)
        return err_set(err, ERR_STATEMENT, "query %.*s ended meanwhile", STR_ARG(prepared->query_id));
    struct query_stats stats = {0};
    if (at != NULL)
        query_stats(at->query, &stats);
    struct buf text = {0};
    plan_explain(plan, prepared->query_id, &text);
    const char *state = state_word(at, &stats);
    entity_begin(out, "queryDescription", prepared->stmt->text);
    json_key_begin(out, "queryDescription");
    json_object_begin(out);
    json_key_str(out, "id", at != NULL ? prepared->query_id : STR(""));
    json_key_str(out, "statementText", at != NULL ? at->statement : prepared->stmt->explained->text);
    json_key_cstr(out, "windowType", entity_window_type(plan->sink->key_window));
    json_key_begin(out, "fields");
    entity_fields(out, plan->sink->columns, plan->sink->column_count);
    put_names(out, "sources", plan, false);
    put_names(out, "sinks", plan, true);
    json_key_str(out, "topology", buf_str(&text));
    json_key_str(out, "executionPlan", buf_str(&text));
    json_key_begin(out, "overriddenProperties");
    json_object_begin(out);
    json_object_end(out);
    json_key_begin(out, "ksqlHostQueryStatus");
    json_object_begin(out);
    if (state != NULL)
        json_key_cstr(out, "localhost", state);
    json_object_end(out);
    json_key_cstr(out, "queryType",
                  plan->kind == QUERY_PERSISTENT ? "PERSISTENT"
                  : plan->kind == QUERY_PUSH     ? "PUSH"
                                                 : "PULL");
    put_errors(out, &stats);
    json_key_begin(out, "tasksMetadata");
    json_array_begin(out);
    json_array_end(out);
    json_key_str(out, "consumerGroupId",
                 str_printf(arena, "_confluent-ksql-%.*squery_%.*s", STR_ARG(engine->options.service_id),
                            STR_ARG(prepared->query_id)));
    json_key_cstr(out, "state", state);
    json_object_end(out);
    entity_end(out);
    buf_fini(&text);
    return true;
}
