/* statements.c - the table of statements, and how the statements of one request run.
 *
 *   for each statement of the text (variables substituted as they stand there)
 *       SET, UNSET, DEFINE, UNDEFINE    change the session
 *       others                          class->prepare against the sandbox
 *   then for each prepared statement    class->execute
 *
 * Nothing has an effect before all are prepared (E3). ASSERT TOPIC divides a text: what is behind it is prepared when the
 * assertion holds, since it is there to wait for what comes next to be possible; others' statements run meanwhile.
 */
#include "engine/engine_int.h"

enum { ASSERT_WAIT_MS = 1000 }; /* without TIMEOUT */

/* prepare NULL: the statement is read but not executed yet; the answer says so. */
static const struct statement_class classes[STMT_COUNT] = {
    [STMT_CREATE_STREAM] = {prepare_create_source, execute_create_source, .logged = true},
    [STMT_CREATE_TABLE] = {prepare_create_source, execute_create_source, .logged = true},
    [STMT_CREATE_STREAM_AS] = {prepare_create_as, execute_create_as, .logged = true},
    [STMT_CREATE_TABLE_AS] = {prepare_create_as, execute_create_as, .logged = true},
    [STMT_INSERT_INTO] = {prepare_insert_into, execute_insert_into, .logged = true},
    [STMT_INSERT_VALUES] = {prepare_insert_values, execute_insert_values},
    [STMT_DROP_STREAM] = {prepare_drop_source, execute_drop_source, .logged = true},
    [STMT_DROP_TABLE] = {prepare_drop_source, execute_drop_source, .logged = true},
    [STMT_ALTER_STREAM] = {prepare_alter_source, execute_alter_source, .logged = true},
    [STMT_ALTER_TABLE] = {prepare_alter_source, execute_alter_source, .logged = true},
    [STMT_CREATE_TYPE] = {prepare_create_type, execute_create_type, .logged = true},
    [STMT_DROP_TYPE] = {prepare_drop_type, execute_drop_type, .logged = true},
    [STMT_TERMINATE] = {prepare_query_control, execute_query_control, .logged = true},
    [STMT_PAUSE] = {prepare_query_control, execute_query_control, .logged = true},
    [STMT_RESUME] = {prepare_query_control, execute_query_control, .logged = true},
    [STMT_EXPLAIN] = {prepare_explain, execute_explain},
    [STMT_SHOW_STREAMS] = {prepare_show, execute_show},
    [STMT_SHOW_TABLES] = {prepare_show, execute_show},
    [STMT_SHOW_TOPICS] = {prepare_show, execute_show},
    [STMT_SHOW_QUERIES] = {prepare_show, execute_show},
    [STMT_SHOW_PROPERTIES] = {prepare_show, execute_show},
    [STMT_SHOW_FUNCTIONS] = {prepare_show, execute_show},
    [STMT_SHOW_TYPES] = {prepare_show, execute_show},
    [STMT_SHOW_VARIABLES] = {prepare_show, execute_show},
    [STMT_SHOW_CONNECTORS] = {prepare_connector, execute_connector},
    [STMT_SHOW_CONNECTOR_PLUGINS] = {prepare_connector, execute_connector},
    [STMT_CREATE_CONNECTOR] = {prepare_connector, execute_connector},
    [STMT_DROP_CONNECTOR] = {prepare_connector, execute_connector},
    [STMT_DESCRIBE_CONNECTOR] = {prepare_connector, execute_connector},
    [STMT_DESCRIBE] = {prepare_describe, execute_describe},
    [STMT_DESCRIBE_STREAMS] = {prepare_describe, execute_describe},
    [STMT_DESCRIBE_TABLES] = {prepare_describe, execute_describe},
    [STMT_DESCRIBE_FUNCTION] = {prepare_describe, execute_describe},
    [STMT_ASSERT_TOPIC] = {prepare_assert_topic, execute_assert_topic, .waits = true},
};

const struct statement_class *statement_class(enum ast_stmt_kind kind)
{
    ASSERT((unsigned)kind < STMT_COUNT);
    return &classes[kind];
}

struct analyze_env sandbox_env(struct sandbox *box, struct session *session)
{
    return (struct analyze_env){
        .catalog = box->catalog,
        .properties = &session->properties,
        .func_settings = &box->engine->func_settings,
        .topic_partitions = sandbox_topic_partitions,
        .state = box,
    };
}

int32_t sandbox_topic_partitions(void *state, struct str topic)
{
    struct sandbox *box = state;
    intptr_t known = (intptr_t)map_get(&box->topics, topic);
    if (known != 0)
        return known == 1 ? -1 : (int32_t)known - 1;
    return client_partition_count(box->engine->options.client, topic);
}

void sandbox_set_catalog(struct sandbox *box, const struct catalog *catalog)
{
    catalog_unref(box->catalog);
    box->catalog = catalog;
}

/* SET and its kin act on the session; true when the statement was one of them. */
static bool run_session_statement(struct session *session, const struct ast_stmt *stmt, bool *ok,
                                  struct err *err)
{
    *ok = true;
    switch (stmt->kind) {
    case STMT_SET_PROPERTY:
        *ok = session_check_property(stmt->name, err);
        if (*ok)
            session_set(session, &session->properties, stmt->name, stmt->value);
        return true;
    case STMT_UNSET_PROPERTY:
        *ok = session_check_property(stmt->name, err);
        if (*ok)
            map_remove(&session->properties, stmt->name);
        return true;
    case STMT_DEFINE:
        session_set(session, &session->variables, str_upper(stmt->name, session->arena), stmt->value);
        return true;
    case STMT_UNDEFINE:
        map_remove(&session->variables, str_upper(stmt->name, session->arena));
        return true;
    default:
        return false;
    }
}

/* SELECT and PRINT have endpoints of their own. */
static bool refuse_query(const struct ast_stmt *stmt, struct err *err)
{
    if (stmt->kind != STMT_QUERY && stmt->kind != STMT_PRINT)
        return true;
    return err_set(err, ERR_QUERY_ENDPOINT,
                   "The following statement types should be issued to the websocket endpoint '/query':\n\t* "
                   "PRINT\n\t* SELECT");
}

static bool prepare_one(struct sandbox *box, struct session *session, const struct ast_stmt *stmt,
                        struct arena *arena, struct err *err)
{
    bool ok;
    if (run_session_statement(session, stmt, &ok, err))
        return ok;
    if (!refuse_query(stmt, err))
        return false;
    const struct statement_class *class = statement_class(stmt->kind);
    if (class->prepare == NULL)
        return err_set(err, ERR_UNSUPPORTED, "%s is read but not executed yet by this version of rialto",
                       sql_stmt_words(stmt->kind));
    struct prepared *prepared = arena_new(arena, struct prepared);
    prepared->stmt = stmt;
    vec_push(&box->prepared, prepared);
    struct str name;
    void *value;
    for (size_t pos = 0; map_next(&session->properties, &pos, &name, &value);)
        map_put(&prepared->properties, name, value);
    if (!class->prepare(box, session, prepared, arena, err))
        return false;
    if (class->logged && str_is_null(prepared->warning))
        box->command_next++;
    return true;
}

/* Parses and prepares the statements up to an assertion, or to the end; run->text is then what is left. */
static bool prepare_part(struct sandbox *box, struct statements *run, struct arena *arena, struct err *err)
{
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct str text;
    for (const char *done = run->text.ptr; sql_next_statement(&run->text, &text); done = text.ptr) {
        sql_place_move(&run->place, str_of(done, (size_t)(text.ptr - done)));
        run->failed = text;
        if (!sql_parse_at(text, run->place, &run->session->variables, &stmts, &count, arena, err))
            return false;
        bool waits = false;
        for (uint32_t i = 0; i < count; i++) {
            run->failed = stmts[i]->text;
            if (!prepare_one(box, run->session, stmts[i], arena, err))
                return false;
            waits |= statement_class(stmts[i]->kind)->waits;
        }
        if (waits) {
            sql_place_move(&run->place, str_of(text.ptr, (size_t)(run->text.ptr - text.ptr)));
            break;
        }
    }
    run->failed = STR_NULL;
    return true;
}

static void prepared_fini(struct prepared *prepared)
{
    source_unref(prepared->source);
    source_unref(prepared->target);
    plan_free(prepared->plan);
    map_fini(&prepared->properties);
}

static enum statements_result execute_part(struct engine *engine, struct sandbox *box, struct statements *run,
                                           struct json_writer *out, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < box->prepared.len; i++) {
        struct prepared *prepared = box->prepared.at[i];
        const struct ast_stmt *stmt = prepared->stmt;
        const struct statement_class *class = statement_class(stmt->kind);
        if (!str_is_null(prepared->warning)) {
            entity_warning(out, stmt->text, prepared->warning);
            continue;
        }
        if (class->execute(engine, prepared, out, arena, err))
            continue;
        run->failed = stmt->text;
        if (!class->waits)
            return STATEMENTS_FAILED;
        run->awaited = stmt;
        run->until_ms =
            clock_mono_ms() + (stmt->timeout.present ? ast_duration_ms(stmt->timeout) : ASSERT_WAIT_MS);
        return STATEMENTS_WAIT;
    }
    return STATEMENTS_DONE;
}

static enum statements_result run_part(struct engine *engine, struct statements *run, struct json_writer *out,
                                       struct arena *arena, struct err *err)
{
    struct sandbox box = {.engine = engine,
                          .catalog = catalog_ref(engine->catalog),
                          .command_next = engine->command_next};
    enum statements_result result = prepare_part(&box, run, arena, err)
                                        ? execute_part(engine, &box, run, out, arena, err)
                                        : STATEMENTS_FAILED;
    for (size_t i = 0; i < box.prepared.len; i++)
        prepared_fini(box.prepared.at[i]);
    vec_fini(&box.prepared);
    map_fini(&box.topics);
    map_fini(&box.ended);
    catalog_unref(box.catalog);
    return result;
}

static enum statements_result run_parts(struct engine *engine, struct statements *run,
                                        struct json_writer *out, struct arena *arena, struct err *err)
{
    enum statements_result result = STATEMENTS_DONE;
    for (const char *before = NULL; result == STATEMENTS_DONE && run->text.ptr != before;) {
        before = run->text.ptr;
        result = run_part(engine, run, out, arena, err);
    }
    return result;
}

enum statements_result statements_run(struct engine *engine, struct statements *run, struct json_writer *out,
                                      struct arena *arena, struct err *err)
{
    const struct ast_stmt *const *stmts;
    uint32_t count;
    /* A syntax error anywhere comes first, with its place. */
    if (sql_parse(run->text, NULL, &stmts, &count, arena, err))
        return run_parts(engine, run, out, arena, err);
    run->failed = run->text;
    return STATEMENTS_FAILED;
}

enum statements_result statements_retry(struct engine *engine, struct statements *run,
                                        struct json_writer *out, struct arena *arena, struct err *err)
{
    struct prepared prepared = {.stmt = run->awaited};
    if (!statement_class(run->awaited->kind)->execute(engine, &prepared, out, arena, err))
        return clock_mono_ms() >= run->until_ms ? STATEMENTS_FAILED : STATEMENTS_WAIT;
    run->failed = STR_NULL;
    return run_parts(engine, run, out, arena, err);
}

bool statements_run_all(struct engine *engine, struct str sql, struct session *session,
                        struct json_writer *out, struct str *failed_text, struct arena *arena,
                        struct err *err)
{
    struct statements run = {.text = sql, .place = {1, 1}, .session = session};
    json_array_begin(out);
    bool done = statements_run(engine, &run, out, arena, err) == STATEMENTS_DONE;
    json_array_end(out);
    *failed_text = run.failed;
    return done;
}
