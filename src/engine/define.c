/* define.c - statements that change the catalog: CREATE, ALTER, DROP of streams, tables, types; INSERT INTO a query.
 *
 *   prepare   analysis and plan against the sandbox; the sandbox then shows the new catalog to later statements
 *   execute   command record durable -> topic made -> catalog swapped -> query started -> answer
 *
 * Query ids carry the offset of their command record: CSAS_<SINK>_<n>, CTAS_<SINK>_<n>, INSERTQUERY_<n>, and CST_<NAME>_<n> of
 * the query that keeps the rows of a source table.
 */
#include "engine/engine_int.h"

static const char *kind_word(enum source_kind kind)
{
    return kind == SOURCE_TABLE ? "table" : "stream";
}

static struct str command_id(enum source_kind kind, struct str name, const char *action, struct arena *arena)
{
    return str_printf(arena, "%s/`%.*s`/%s", kind_word(kind), STR_ARG(name), action);
}

/* Is a source of this name there already? IF NOT EXISTS turns that into a warning, OR REPLACE allows it. */
static bool check_free_name(struct sandbox *box, struct prepared *prepared, enum source_kind kind,
                            struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    const struct source *old = catalog_source(box->catalog, stmt->name);
    if (old == NULL || stmt->or_replace)
        return true;
    const char *words = old->kind == SOURCE_TABLE ? "table" : "stream";
    if (stmt->if_not_exists) {
        prepared->warning = str_printf(arena, "Cannot add %s `%.*s`: A %s with the same name already exists.",
                                       kind_word(kind), STR_ARG(stmt->name), words);
        return true;
    }
    return err_set(err, ERR_STATEMENT, "Cannot add %s '%.*s': A %s with the same name already exists",
                   kind_word(kind), STR_ARG(stmt->name), words);
}

static void sandbox_add_topic(struct sandbox *box, struct str topic, int32_t partitions)
{
    if (sandbox_topic_partitions(box, topic) < 0)
        map_put(&box->topics, topic, (void *)(intptr_t)(partitions + 1));
}

/* Makes the topic of a source when it is not there. */
static bool ensure_topic(struct engine *engine, const struct source *source, const struct step *sink,
                         struct err *err)
{
    if (client_partition_count(engine->options.client, source->topic) > 0)
        return true;
    bool windowed = source->window_kind != WINDOW_NONE;
    bool compact = sink != NULL ? sink->sink.topic_compact : source->kind == SOURCE_TABLE;
    bool delete = sink != NULL ? sink->sink.topic_delete : source->kind == SOURCE_STREAM || windowed;
    struct client_topic_config configs[2] = {{STR("cleanup.policy"), compact && delete ? STR("compact,delete")
                                                                     : compact         ? STR("compact")
                                                                                       : STR("delete")}};
    size_t count = 1;
    char retention[24];
    if (sink != NULL && sink->sink.topic_retention_ms >= 0) {
        int len = snprintf(retention, sizeof retention, "%" PRId64, sink->sink.topic_retention_ms);
        configs[count++] = (struct client_topic_config){STR("retention.ms"), str_of(retention, (size_t)len)};
    }
    if (client_topic_create(engine->options.client, source->topic, MAX(source->partition_count, 1), configs,
                            count, err) ||
        err->code == ERR_TOPIC_EXISTS)
        return true;
    err_context(err, "topic %.*s could not be created", STR_ARG(source->topic));
    return false;
}

/* Starts the query of a prepared statement, which must have been logged. */
static bool start_query(struct engine *engine, struct prepared *prepared, bool creates_sink, struct err *err)
{
    struct persistent *made = mem_new(struct persistent);
    made->arena = mem_new(struct arena);
    made->id = str_dup(prepared->query_id, made->arena);
    made->statement = str_dup(prepared->stmt->text, made->arena);
    const struct source *sink = prepared->plan->sink->sink.sink;
    made->keeps_sink = sink == NULL;
    made->sink = source_ref(made->keeps_sink ? prepared->source : sink);
    made->creates_sink = creates_sink;
    struct plan *plan = prepared->plan;
    prepared->plan = NULL;
    if (query_start(engine->queries, plan, &prepared->query_options, &made->query, err)) {
        engine_add_query(engine, made);
        return true;
    }
    source_unref(made->sink);
    arena_fini(made->arena);
    free(made->arena);
    free(made);
    return false;
}

/* CREATE STREAM/TABLE (...) -------------------------------------------------------------------------------------- */

/* A source table can be queried: a query of its own keeps its rows. */
static void prepare_source_table(struct sandbox *box, struct session *session, struct prepared *prepared,
                                 struct arena *arena)
{
    struct source *source = prepared->source;
    prepared->query_id = str_printf(arena, "CST_%.*s_%" PRId64, STR_ARG(source->name), box->command_next);
    source->query_id = str_dup(prepared->query_id, source->arena);
    source->materialized = true;
    prepared->plan = plan_keep_table(source);
    prepared->message = str_printf(arena, "Created query with ID %.*s", STR_ARG(prepared->query_id));
    prepared->query_options = session_query_options(session, prepared->query_id, prepared->stmt->text);
}

bool prepare_create_source(struct sandbox *box, struct session *session, struct prepared *prepared,
                           struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    enum source_kind kind = stmt->kind == STMT_CREATE_TABLE ? SOURCE_TABLE : SOURCE_STREAM;
    struct analyze_env env = sandbox_env(box, session);
    if (!check_free_name(box, prepared, kind, arena, err))
        return false;
    if (!str_is_null(prepared->warning))
        return true;
    if (!analyze_create_source(&env, stmt, &prepared->source, arena, err))
        return false;
    const struct source *old = catalog_source(box->catalog, stmt->name);
    if (old != NULL && !analyze_can_replace(old, prepared->source, err))
        return false;
    prepared->command_id = command_id(kind, stmt->name, "create", arena);
    prepared->message = kind == SOURCE_TABLE ? STR("Table created") : STR("Stream created");
    if (kind == SOURCE_TABLE && stmt->source_only)
        prepare_source_table(box, session, prepared, arena);
    sandbox_add_topic(box, prepared->source->topic, prepared->source->partition_count);
    sandbox_set_catalog(box, catalog_with_source(box->catalog, prepared->source));
    return true;
}

static void answer(struct prepared *prepared, int64_t sequence, struct json_writer *out)
{
    entity_command_status(out, prepared->stmt->text, prepared->command_id, prepared->message,
                          prepared->query_id, sequence);
}

bool execute_create_source(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                           struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err) ||
        !ensure_topic(engine, prepared->source, NULL, err) ||
        (prepared->plan != NULL && !start_query(engine, prepared, true, err)))
        return false;
    engine_set_catalog(engine, catalog_with_source(engine->catalog, prepared->source));
    answer(prepared, sequence, out);
    return true;
}

/* CREATE ... AS SELECT -------------------------------------------------------------------------------------------- */

static struct persistent *find_creator(struct engine *engine, struct str sink)
{
    for (size_t i = 0; i < engine->persistent.len; i++) {
        struct persistent *at = engine->persistent.at[i];
        if (at->creates_sink && str_eq(at->sink->name, sink))
            return at;
    }
    return NULL;
}

static bool plan_query(struct sandbox *box, struct session *session, struct prepared *prepared,
                       struct arena *arena, struct err *err)
{
    struct analyze_env env = sandbox_env(box, session);
    const struct analysis *analysis;
    return analyze_query(&env, prepared->stmt, prepared->query_id, &analysis, arena, err) &&
           plan_build(analysis, &env, &prepared->plan, err);
}

/* OR REPLACE: the new query takes the place, the positions and the state of the old one. */
static bool prepare_replace(struct sandbox *box, struct prepared *prepared, const struct source *old,
                            struct arena *arena, struct err *err)
{
    struct persistent *creator = find_creator(box->engine, old->name);
    if (!analyze_can_replace(old, prepared->plan->sink->sink.sink, err))
        return false;
    if (creator == NULL)
        return err_set(err, ERR_STATEMENT,
                       "Cannot replace %s '%.*s': it was not made by a query; DROP it first",
                       kind_word(old->kind), STR_ARG(old->name));
    for (size_t i = 0; i < box->engine->persistent.len; i++) {
        struct persistent *other = box->engine->persistent.at[i];
        if (other != creator && str_eq(other->sink->name, old->name))
            return err_set(err, ERR_STATEMENT,
                           "REPLACE for sink %.*s is not supported because there are multiple queries "
                           "writing into it: [%.*s, %.*s]",
                           STR_ARG(old->name), STR_ARG(creator->id), STR_ARG(other->id));
    }
    if (!plan_can_replace(query_plan(creator->query), prepared->plan, err))
        return false;
    prepared->query_id = prepared->replaces_query = str_dup(creator->id, arena);
    return true;
}

bool prepare_create_as(struct sandbox *box, struct session *session, struct prepared *prepared,
                       struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    bool table = stmt->kind == STMT_CREATE_TABLE_AS;
    if (!check_free_name(box, prepared, table ? SOURCE_TABLE : SOURCE_STREAM, arena, err))
        return false;
    if (!str_is_null(prepared->warning))
        return true;
    prepared->query_id = str_printf(arena, "%s_%.*s_%" PRId64, table ? "CTAS" : "CSAS", STR_ARG(stmt->name),
                                    box->command_next);
    if (!plan_query(box, session, prepared, arena, err))
        return false;
    const struct source *sink = prepared->plan->sink->sink.sink;
    const struct source *old = catalog_source(box->catalog, stmt->name);
    if (old != NULL && !prepare_replace(box, prepared, old, arena, err))
        return false;
    prepared->source = (struct source *)source_ref(sink);
    prepared->command_id = command_id(sink->kind, stmt->name, "create", arena);
    prepared->message = str_printf(arena, "Created query with ID %.*s", STR_ARG(prepared->query_id));
    prepared->query_options = session_query_options(session, prepared->query_id, prepared->stmt->text);
    sandbox_add_topic(box, sink->topic, sink->partition_count);
    sandbox_set_catalog(box, catalog_with_source(box->catalog, sink));
    return true;
}

static bool replace_query(struct engine *engine, struct prepared *prepared, struct err *err)
{
    struct persistent *old = engine_find_query(engine, prepared->replaces_query);
    if (old == NULL)
        return err_set(err, ERR_STATEMENT, "query %.*s ended meanwhile", STR_ARG(prepared->replaces_query));
    struct plan *plan = prepared->plan;
    prepared->plan = NULL;
    const struct source *sink = source_ref(prepared->source);
    struct str text = str_dup(prepared->stmt->text, old->arena);
    if (!query_replace(old->query, plan, text, err)) {
        source_unref(sink);
        return false;
    }
    pthread_mutex_lock(&engine->lock);
    source_unref(old->sink);
    old->sink = sink;
    old->statement = text;
    pthread_mutex_unlock(&engine->lock);
    return true;
}

bool execute_create_as(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                       struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err) ||
        !ensure_topic(engine, prepared->source, prepared->plan->sink, err))
        return false;
    bool started = str_is_null(prepared->replaces_query) ? start_query(engine, prepared, true, err)
                                                         : replace_query(engine, prepared, err);
    if (!started)
        return false;
    engine_set_catalog(engine, catalog_with_source(engine->catalog, prepared->source));
    answer(prepared, sequence, out);
    return true;
}

/* INSERT INTO ... SELECT -------------------------------------------------------------------------------------------- */

static bool named_query_id(struct sandbox *box, struct prepared *prepared, struct arena *arena,
                           struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    prepared->query_id = str_printf(arena, "INSERTQUERY_%" PRId64, box->command_next);
    for (uint32_t i = 0; i < stmt->property_count; i++) {
        if (!str_eq_nocase(stmt->properties[i].name, STR("QUERY_ID")))
            continue;
        struct str id = str_upper(stmt->properties[i].value->text, arena);
        static const struct str reserved[] = {STR_INIT("INSERTQUERY_"), STR_INIT("CTAS_"), STR_INIT("CSAS_"),
                                              STR_INIT("CST_")};
        for (size_t r = 0; r < COUNT_OF(reserved); r++)
            if (str_starts_with(id, reserved[r]))
                return err_set(err, ERR_STATEMENT,
                               "Query IDs must not start with a reserved query ID prefix (INSERTQUERY_, "
                               "CTAS_, CSAS_, CST_). Got '%.*s'.",
                               STR_ARG(id));
        if (engine_find_query(box->engine, id) != NULL)
            return err_set(err, ERR_STATEMENT, "Query ID '%.*s' already exists.", STR_ARG(id));
        prepared->query_id = id;
    }
    return true;
}

bool prepare_insert_into(struct sandbox *box, struct session *session, struct prepared *prepared,
                         struct arena *arena, struct err *err)
{
    if (!named_query_id(box, prepared, arena, err) || !plan_query(box, session, prepared, arena, err))
        return false;
    prepared->command_id = command_id(SOURCE_STREAM, prepared->stmt->name, "create", arena);
    prepared->message = str_printf(arena, "Created query with ID %.*s", STR_ARG(prepared->query_id));
    prepared->query_options = session_query_options(session, prepared->query_id, prepared->stmt->text);
    return true;
}

bool execute_insert_into(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                         struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err) || !start_query(engine, prepared, false, err))
        return false;
    answer(prepared, sequence, out);
    return true;
}

/* ALTER ... ADD ------------------------------------------------------------------------------------------------------ */

bool prepare_alter_source(struct sandbox *box, struct session *session, struct prepared *prepared,
                          struct arena *arena, struct err *err)
{
    struct analyze_env env = sandbox_env(box, session);
    if (!analyze_alter_source(&env, prepared->stmt, &prepared->source, arena, err))
        return false;
    prepared->command_id = command_id(prepared->source->kind, prepared->stmt->name, "alter", arena);
    prepared->message =
        str_printf(arena, "%s %.*s altered.", prepared->source->kind == SOURCE_TABLE ? "Table" : "Stream",
                   STR_ARG(prepared->stmt->name));
    sandbox_set_catalog(box, catalog_with_source(box->catalog, prepared->source));
    return true;
}

bool execute_alter_source(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                          struct arena *arena, struct err *err)
{
    return execute_create_source(engine, prepared, out, arena, err);
}

/* DROP --------------------------------------------------------------------------------------------------------------- */

static void append_names(struct buf *out, const struct str *names, size_t count)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_append_cstr(out, ", ");
        buf_append_str(out, names[i]);
    }
    buf_append_char(out, ']');
}

static bool reads_from(const struct persistent *at, struct str source)
{
    const struct plan *plan = query_plan(at->query);
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (str_eq(plan->sources[i]->name, source))
            return true;
    return false;
}

/* INSERT queries stop a DROP: those that read the source and those that write it. Queries that earlier statements of the
 * request end do not count. */
static bool check_no_inserts(struct sandbox *box, const struct source *source, struct err *err)
{
    vec(struct str) readers = {0}, writers = {0};
    for (size_t i = 0; i < box->engine->persistent.len; i++) {
        struct persistent *at = box->engine->persistent.at[i];
        if (at->creates_sink || map_has(&box->ended, at->id))
            continue;
        if (reads_from(at, source->name))
            vec_push(&readers, at->id);
        if (str_eq(at->sink->name, source->name))
            vec_push(&writers, at->id);
    }
    bool free_to_go = readers.len == 0 && writers.len == 0;
    if (!free_to_go) {
        struct buf text = {0};
        buf_printf(&text,
                   "Cannot drop %.*s.\nThe following queries read from this source: ", STR_ARG(source->name));
        append_names(&text, readers.at, readers.len);
        buf_append_cstr(&text, ".\nThe following queries write into this source: ");
        append_names(&text, writers.at, writers.len);
        buf_printf(&text, ".\nYou need to terminate them before dropping %.*s.", STR_ARG(source->name));
        err_set(err, ERR_STATEMENT, "%s", text.ptr);
        buf_fini(&text);
    }
    vec_fini(&readers);
    vec_fini(&writers);
    return free_to_go;
}

static bool refers_to(const struct source *source, struct str name)
{
    for (uint32_t i = 0; i < source->reference_count; i++)
        if (str_eq(source->references[i], name))
            return true;
    return false;
}

/* Sources that were made out of this one stop a DROP, also when their queries have ended. */
static bool check_no_references(struct sandbox *box, const struct source *source, struct err *err)
{
    vec(struct str) names = {0};
    const struct source *at;
    for (uint32_t i = 0; (at = catalog_source_at(box->catalog, i)) != NULL; i++)
        if (refers_to(at, source->name))
            vec_push(&names, at->name);
    bool free_to_go = names.len == 0;
    if (!free_to_go) {
        struct buf text = {0};
        append_names(&text, names.at, names.len);
        err_set(err, ERR_STATEMENT,
                "Cannot drop %.*s.\nThe following streams and/or tables read from this source: %s.\n"
                "You need to drop them before dropping %.*s.",
                STR_ARG(source->name), text.ptr, STR_ARG(source->name));
        buf_fini(&text);
    }
    vec_fini(&names);
    return free_to_go;
}

/* May the source go? Its creator ends with it. */
static bool check_unused(struct sandbox *box, const struct source *source, struct err *err)
{
    if (!check_no_inserts(box, source, err) || !check_no_references(box, source, err))
        return false;
    struct persistent *creator = find_creator(box->engine, source->name);
    if (creator != NULL)
        map_put(&box->ended, creator->id, creator);
    return true;
}

static bool check_topic_unshared(struct sandbox *box, const struct source *source, struct err *err)
{
    struct buf others = {0};
    const struct source *at;
    for (uint32_t i = 0; (at = catalog_source_at(box->catalog, i)) != NULL; i++)
        if (!str_eq(at->name, source->name) && str_eq(at->topic, source->topic))
            buf_printf(&others, "%s%.*s", others.len ? ", " : "", STR_ARG(at->name));
    if (others.len != 0)
        err_set(err, ERR_STATEMENT,
                "Refusing to delete topic. Found other data sources (%s) using topic %.*s", others.ptr,
                STR_ARG(source->topic));
    bool unshared = others.len == 0;
    buf_fini(&others);
    return unshared;
}

bool prepare_drop_source(struct sandbox *box, struct session *session, struct prepared *prepared,
                         struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    enum source_kind kind = stmt->kind == STMT_DROP_TABLE ? SOURCE_TABLE : SOURCE_STREAM;
    const char *word = kind == SOURCE_TABLE ? "Table" : "Stream";
    const struct source *source = catalog_source(box->catalog, stmt->name);
    if (source == NULL) {
        if (!stmt->if_exists)
            return err_set(err, ERR_STATEMENT, "%s %.*s does not exist.", word, STR_ARG(stmt->name));
        prepared->warning = str_printf(arena, "Source `%.*s` does not exist.", STR_ARG(stmt->name));
        return true;
    }
    if (source->kind != kind)
        return err_set(err, ERR_STATEMENT, "Incompatible data source type is %s, but statement was DROP %s",
                       source->kind == SOURCE_TABLE ? "TABLE" : "STREAM",
                       kind == SOURCE_TABLE ? "TABLE" : "STREAM");
    if (source->read_only && stmt->delete_topic)
        return err_set(err, ERR_STATEMENT, "Cannot delete topic for read-only source: %.*s",
                       STR_ARG(source->name));
    if (!check_unused(box, source, err) || (stmt->delete_topic && !check_topic_unshared(box, source, err)))
        return false;
    prepared->target = source_ref(source);
    prepared->command_id = command_id(kind, stmt->name, "drop", arena);
    prepared->message = str_printf(arena, "Source `%.*s` (topic: %.*s) was dropped.", STR_ARG(stmt->name),
                                   STR_ARG(source->topic));
    if (stmt->delete_topic)
        map_put(&box->topics, source->topic, (void *)(intptr_t)1);
    sandbox_set_catalog(box, catalog_without_source(box->catalog, stmt->name));
    return true;
}

bool execute_drop_source(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                         struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err))
        return false;
    struct persistent *creator = find_creator(engine, prepared->stmt->name);
    if (creator != NULL)
        engine_remove_query(engine, creator);
    engine_set_catalog(engine, catalog_without_source(engine->catalog, prepared->stmt->name));
    struct err ignored = {0};
    if (prepared->stmt->delete_topic && !engine->replaying &&
        !client_topic_delete(engine->options.client, prepared->target->topic, &ignored))
        log_warn("engine", "topic_not_deleted", "topic=%.*s error=%s", STR_ARG(prepared->target->topic),
                 ignored.text);
    answer(prepared, sequence, out);
    return true;
}

/* Types -------------------------------------------------------------------------------------------------------------- */

static const struct sql_type *find_type_name(void *state, struct str name, struct arena *arena,
                                             struct err *err)
{
    const struct sql_type *type = catalog_type(state, name);
    if (type == NULL)
        err_set(err, ERR_STATEMENT, "Cannot resolve unknown type: %.*s", STR_ARG(name));
    return type;
}

bool prepare_create_type(struct sandbox *box, struct session *session, struct prepared *prepared,
                         struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    if (catalog_type(box->catalog, stmt->name) != NULL) {
        if (!stmt->if_not_exists)
            return err_set(err, ERR_STATEMENT,
                           "Cannot register custom type '%.*s' since it is already registered.",
                           STR_ARG(stmt->name));
        prepared->warning = str_printf(arena, "%.*s is already registered.", STR_ARG(stmt->name));
        return true;
    }
    struct expr_scope scope = {.type_name = find_type_name, .state = (void *)box->catalog};
    prepared->type = expr_type_of(stmt->type, &scope, arena, err);
    if (prepared->type == NULL)
        return false;
    struct buf text = {0};
    type_print(prepared->type, &text);
    prepared->message = str_printf(arena, "Registered custom type with name '%.*s' and SQL type %s",
                                   STR_ARG(stmt->name), text.ptr);
    buf_fini(&text);
    prepared->command_id = str_printf(arena, "type/`%.*s`/create", STR_ARG(stmt->name));
    sandbox_set_catalog(box, catalog_with_type(box->catalog, stmt->name, prepared->type));
    return true;
}

bool execute_create_type(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                         struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err))
        return false;
    engine_set_catalog(engine, catalog_with_type(engine->catalog, prepared->stmt->name, prepared->type));
    answer(prepared, sequence, out);
    return true;
}

bool prepare_drop_type(struct sandbox *box, struct session *session, struct prepared *prepared,
                       struct arena *arena, struct err *err)
{
    struct str name = prepared->stmt->name;
    if (catalog_type(box->catalog, name) == NULL) {
        if (!prepared->stmt->if_exists)
            return err_set(err, ERR_STATEMENT, "Type %.*s does not exist.", STR_ARG(name));
        prepared->warning = str_printf(arena, "Type '%.*s' does not exist", STR_ARG(name));
        return true;
    }
    prepared->command_id = str_printf(arena, "type/`%.*s`/drop", STR_ARG(name));
    prepared->message = str_printf(arena, "Dropped type '%.*s'", STR_ARG(name));
    sandbox_set_catalog(box, catalog_without_type(box->catalog, name));
    return true;
}

bool execute_drop_type(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                       struct arena *arena, struct err *err)
{
    int64_t sequence;
    if (!command_log_append(engine, prepared, &sequence, err))
        return false;
    engine_set_catalog(engine, catalog_without_type(engine->catalog, prepared->stmt->name));
    answer(prepared, sequence, out);
    return true;
}
