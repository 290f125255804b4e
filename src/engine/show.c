/* show.c - SHOW / LIST: what there is. One function a kind of answer, chosen by a table. */
#include "engine/engine_int.h"

typedef void show_fn(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                     struct arena *arena);

static void put_source(struct json_writer *out, const struct source *source)
{
    json_object_begin(out);
    json_key_cstr(out, "type", source->kind == SOURCE_TABLE ? "TABLE" : "STREAM");
    json_key_str(out, "name", source->name);
    json_key_str(out, "topic", source->topic);
    json_key_str(out, "keyFormat", source->key_format.name);
    json_key_str(out, "valueFormat", source->value_format.name);
    json_key_bool(out, "isWindowed", source->window_kind != WINDOW_NONE);
    json_object_end(out);
}

static void show_sources(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                         struct arena *arena)
{
    enum source_kind kind = prepared->stmt->kind == STMT_SHOW_TABLES ? SOURCE_TABLE : SOURCE_STREAM;
    const char *word = kind == SOURCE_TABLE ? "tables" : "streams";
    entity_begin(out, word, prepared->stmt->text);
    json_key_begin(out, word);
    json_array_begin(out);
    const struct source *source;
    for (uint32_t i = 0; (source = catalog_source_at(engine->catalog, i)) != NULL; i++)
        if (source->kind == kind)
            put_source(out, source);
    json_array_end(out);
    entity_end(out);
}

/* ksql.hidden.topics' default patterns. */
static bool is_hidden(struct str topic)
{
    static const struct str prefixes[] = {STR_INIT("_confluent"),      STR_INIT("__"),
                                          STR_INIT("_schemas"),        STR_INIT("connect-configs"),
                                          STR_INIT("connect-offsets"), STR_INIT("connect-status")};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts_with(topic, prefixes[i]))
            return true;
    return false;
}

static void show_topics(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                        struct arena *arena)
{
    size_t count;
    struct client_topic *topics = client_topic_list(engine->options.client, &count, arena);
    entity_begin(out, "kafka_topics", prepared->stmt->text);
    json_key_begin(out, "topics");
    json_array_begin(out);
    for (size_t i = 0; i < count; i++) {
        if (!prepared->stmt->all && (topics[i].internal || is_hidden(topics[i].name)))
            continue;
        json_object_begin(out);
        json_key_str(out, "name", topics[i].name);
        json_key_begin(out, "replicaInfo");
        json_array_begin(out);
        for (int32_t p = 0; p < topics[i].partition_count; p++)
            json_i64(out, 1);
        json_array_end(out);
        json_object_end(out);
    }
    json_array_end(out);
    entity_end(out);
}

void entity_running_query(struct json_writer *out, struct persistent *at)
{
    struct query_stats stats;
    query_stats(at->query, &stats);
    const char *state = stats.state == QUERY_RUNNING  ? "RUNNING"
                        : stats.state == QUERY_PAUSED ? "PAUSED"
                                                      : "ERROR";
    json_object_begin(out);
    json_key_str(out, "queryString", at->statement);
    json_key_begin(out, "sinks");
    json_array_begin(out);
    if (!at->keeps_sink)
        json_str(out, at->sink->name);
    json_array_end(out);
    json_key_begin(out, "sinkKafkaTopics");
    json_array_begin(out);
    if (!at->keeps_sink)
        json_str(out, at->sink->topic);
    json_array_end(out);
    json_key_str(out, "id", at->id);
    json_key_begin(out, "statusCount");
    json_object_begin(out);
    json_key_i64(out, state, 1);
    json_object_end(out);
    json_key_cstr(out, "queryType", "PERSISTENT");
    json_key_cstr(out, "state", state);
    json_object_end(out);
}

static void put_push_query(struct json_writer *out, const struct engine_query *query)
{
    json_object_begin(out);
    json_key_str(out, "queryString", query->sql);
    json_key_begin(out, "sinks");
    json_array_begin(out);
    json_array_end(out);
    json_key_begin(out, "sinkKafkaTopics");
    json_array_begin(out);
    json_array_end(out);
    json_key_str(out, "id", query->id);
    json_key_begin(out, "statusCount");
    json_object_begin(out);
    json_key_i64(out, "RUNNING", 1);
    json_object_end(out);
    json_key_cstr(out, "queryType", "PUSH");
    json_key_cstr(out, "state", "RUNNING");
    json_object_end(out);
}

static void show_queries(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                         struct arena *arena)
{
    entity_begin(out, "queries", prepared->stmt->text);
    json_key_begin(out, "queries");
    json_array_begin(out);
    for (size_t i = 0; i < engine->persistent.len; i++)
        entity_running_query(out, engine->persistent.at[i]);
    pthread_mutex_lock(&engine->lock);
    list_each (struct engine_query, query, &engine->transient, link)
        if (atomic_load(&query->is_running) && query->kind == ENGINE_PUSH)
            put_push_query(out, query);
    pthread_mutex_unlock(&engine->lock);
    json_array_end(out);
    entity_end(out);
}

static void show_properties(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                            struct arena *arena)
{
    struct str name, fallback;
    vec(struct str) overwritten = {0}, defaults = {0};
    entity_begin(out, "properties", prepared->stmt->text);
    json_key_begin(out, "properties");
    json_array_begin(out);
    for (uint32_t i = 0; session_property_at(i, &name, &fallback); i++) {
        const struct str *set = map_get(&prepared->properties, name);
        json_object_begin(out);
        json_key_str(out, "name", name);
        json_key_cstr(out, "scope", "KSQL");
        json_key_str(out, "value", set != NULL ? *set : fallback);
        json_key_bool(out, "editable", session_check_property(name, NULL));
        json_key_cstr(out, "level", session_check_property(name, NULL) ? "QUERY" : "SERVER");
        json_object_end(out);
        if (set != NULL)
            vec_push(&overwritten, name);
        else
            vec_push(&defaults, name);
    }
    json_array_end(out);
    json_key_begin(out, "overwrittenProperties");
    json_array_begin(out);
    for (size_t i = 0; i < overwritten.len; i++)
        json_str(out, overwritten.at[i]);
    json_array_end(out);
    json_key_begin(out, "defaultProperties");
    json_array_begin(out);
    for (size_t i = 0; i < defaults.len; i++)
        json_str(out, defaults.at[i]);
    json_array_end(out);
    entity_end(out);
    vec_fini(&overwritten);
    vec_fini(&defaults);
}

static const char *func_kind_word(enum func_kind kind)
{
    return kind == FUNC_SCALAR ? "SCALAR" : kind == FUNC_TABLE ? "TABLE" : "AGGREGATE";
}

static void show_functions(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                           struct arena *arena)
{
    const struct func *func;
    entity_begin(out, "function_names", prepared->stmt->text);
    json_key_begin(out, "functions");
    json_array_begin(out);
    for (uint32_t i = 0; (func = func_at(i)) != NULL; i++) {
        struct func_doc doc;
        func_describe(func, &doc);
        json_object_begin(out);
        json_key_str(out, "name", doc.name);
        json_key_cstr(out, "type", func_kind_word(doc.kind));
        json_key_str(out, "category", doc.category);
        json_object_end(out);
    }
    json_array_end(out);
    entity_end(out);
}

static void show_types(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                       struct arena *arena)
{
    struct str name;
    const struct sql_type *type;
    entity_begin(out, "type_list", prepared->stmt->text);
    json_key_begin(out, "types");
    json_object_begin(out);
    for (uint32_t i = 0; catalog_type_at(engine->catalog, i, &name, &type); i++) {
        json_key(out, name);
        entity_type(out, type);
    }
    json_object_end(out);
    entity_end(out);
}

static void show_variables(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                           struct arena *arena)
{
    struct str name;
    void *value;
    entity_begin(out, "variables", prepared->stmt->text);
    json_key_begin(out, "variables");
    json_array_begin(out);
    for (size_t pos = 0; map_next(prepared->variables, &pos, &name, &value);) {
        json_object_begin(out);
        json_key_str(out, "name", name);
        json_key_str(out, "value", *(const struct str *)value);
        json_object_end(out);
    }
    json_array_end(out);
    entity_end(out);
}

static const struct {
    enum ast_stmt_kind kind;
    show_fn *fn;
} shows[] = {
    {STMT_SHOW_STREAMS, show_sources},       {STMT_SHOW_TABLES, show_sources},
    {STMT_SHOW_TOPICS, show_topics},         {STMT_SHOW_QUERIES, show_queries},
    {STMT_SHOW_PROPERTIES, show_properties}, {STMT_SHOW_FUNCTIONS, show_functions},
    {STMT_SHOW_TYPES, show_types},           {STMT_SHOW_VARIABLES, show_variables},
};

bool prepare_show(struct sandbox *box, struct session *session, struct prepared *prepared,
                  struct arena *arena, struct err *err)
{
    prepared->variables = &session->variables;
    if (prepared->stmt->extended && prepared->stmt->kind != STMT_SHOW_STREAMS &&
        prepared->stmt->kind != STMT_SHOW_TABLES)
        return err_set(err, ERR_UNSUPPORTED, "%s EXTENDED is not built yet; leave EXTENDED out",
                       sql_stmt_words(prepared->stmt->kind));
    return true;
}

bool execute_show(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                  struct arena *arena, struct err *err)
{
    if (prepared->stmt->extended)
        return execute_describe(engine, prepared, out, arena, err);
    for (size_t i = 0; i < COUNT_OF(shows); i++)
        if (shows[i].kind == prepared->stmt->kind)
            shows[i].fn(engine, prepared, out, arena);
    return true;
}
