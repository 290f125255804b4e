/* admin.c - the page's own API under /api/v1: what the compatible APIs do not answer in one call.
 *
 *   handler (network thread) -> job on env->pool: picture, catalog, offsets -> reply
 *
 * Counts and offsets are texts (they may exceed 53 bits), times are milliseconds. Changes are made by the compatible APIs
 * (/ksql, /connectors), so there is no route here that changes anything.
 *
 * Decided against: routes of consumer groups; `client` has no list of groups yet.
 */
#include <stdlib.h>

#include "api/admin_int.h"
#include "connect/connect.h"

static const struct str json_type = STR_INIT("application/json");

/* Jobs ---------------------------------------------------------------------------------------------------------------- */

typedef void admin_fn(struct http_request *req, struct api_env *env);

struct job {
    struct http_request *req;
    struct api_env *env;
    admin_fn *fn;
};

static void job_run(void *arg)
{
    struct job *job = arg;
    if (http_is_cancelled(job->req))
        http_reply_error(job->req, 499, 49900, STR("the client is gone"));
    else
        job->fn(job->req, job->env);
    free(job);
}

static void submit(struct http_request *req, struct api_env *env, admin_fn *fn)
{
    enum { JOBS_MAX = 1000 };
    if (pool_pending(env->pool) >= JOBS_MAX) {
        http_reply_error(req, 503, 50300,
                         STR("the server has too many requests of this kind at once; try again"));
        return;
    }
    struct job *job = mem_new(struct job);
    *job = (struct job){req, env, fn};
    pool_submit(env->pool, job_run, job, NULL, NULL);
}

/* JSON ------------------------------------------------------------------------------------------------------------------ */

static void put_count(struct json_writer *out, const char *name, int64_t count)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)count);
    json_key_cstr(out, name, text);
}

static void put_columns(const struct schema *schema, struct json_writer *out)
{
    json_key_begin(out, "columns");
    json_array_begin(out);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct buf type = {0};
        type_print(schema->columns[i].type, &type);
        json_object_begin(out);
        json_key_str(out, "name", schema->columns[i].name);
        json_key_str(out, "type", buf_str(&type));
        json_key_bool(out, "key", schema->columns[i].role == COLUMN_KEY);
        json_object_end(out);
        buf_fini(&type);
    }
    json_array_end(out);
}

static const char *window_word(enum ast_window_kind kind)
{
    static const char *const words[] = {[WINDOW_NONE] = NULL,
                                        [WINDOW_TUMBLING] = "tumbling",
                                        [WINDOW_HOPPING] = "hopping",
                                        [WINDOW_SESSION] = "session"};
    return words[kind];
}

static void put_source(const struct source *source, struct json_writer *out)
{
    json_object_begin(out);
    json_key_str(out, "name", source->name);
    json_key_cstr(out, "kind", source->kind == SOURCE_TABLE ? "table" : "stream");
    json_key_str(out, "topic", source->topic);
    json_key_str(out, "key_format", source->key_format.name);
    json_key_str(out, "value_format", source->value_format.name);
    if (source->window_kind != WINDOW_NONE) {
        json_key_cstr(out, "window", window_word(source->window_kind));
        json_key_i64(out, "window_ms", source->window_size_ms);
    }
    json_key_bool(out, "materialized", source->materialized);
    json_key_str(out, "query", source->query_id);
    json_key_str(out, "statement", source->statement);
    put_columns(source->schema, out);
    json_object_end(out);
}

/* Server ------------------------------------------------------------------------------------------------------------------ */

static void get_server(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_cstr(&out, "name", "rialto");
    json_key_str(&out, "version", env->version);
    json_key_str(&out, "cluster_id", env->cluster_id);
    json_key_str(&out, "service_id", env->service_id);
    json_key_str(&out, "kafka", env->kafka_address);
    const struct str *addresses = atomic_load(&env->http_addresses);
    json_key_str(&out, "http", addresses != NULL ? *addresses : STR(""));
    json_key_str(&out, "data_dir", env->data_dir);
    json_key_i64(&out, "started_at", env->started_ms);
    json_key_i64(&out, "now", clock_wall_ms());
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

/* Flow ------------------------------------------------------------------------------------------------------------------ */

static void flow_job(struct http_request *req, struct api_env *env)
{
    struct picture *picture = picture_take(env);
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_begin(&out, "graph");
    picture_write_graph(picture, str_eq(http_query(req, "internal"), STR("1")), &out);
    json_key_begin(&out, "figures");
    picture_write_figures(picture, NULL, &out);
    json_object_end(&out);
    picture_free(picture);
    http_reply_take(req, 200, json_type, &body);
}

static void get_flow(struct http_request *req, void *env)
{
    submit(req, env, flow_job);
}

/* Topics ------------------------------------------------------------------------------------------------------------------ */

static void put_topic(struct api_env *env, const struct client_topic *topic, struct json_writer *out)
{
    int64_t records = 0;
    for (int32_t p = 0; p < topic->partition_count; p++) {
        struct client_offsets offsets;
        if (client_offsets(env->client, topic->name, p, &offsets, NULL))
            records += offsets.end - offsets.start;
    }
    json_key_str(out, "name", topic->name);
    json_key_i64(out, "partitions", topic->partition_count);
    json_key_bool(out, "internal", topic_is_internal(topic));
    put_count(out, "records", records);
}

static void topics_job(struct http_request *req, struct api_env *env)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    size_t count;
    struct client_topic *topics = client_topic_list(env->client, &count, req->arena);
    json_object_begin(&out);
    json_key_begin(&out, "items");
    json_array_begin(&out);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&out);
        put_topic(env, &topics[i], &out);
        json_object_end(&out);
    }
    json_array_end(&out);
    json_key_i64(&out, "total", (int64_t)count);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_topics(struct http_request *req, void *env)
{
    submit(req, env, topics_job);
}

static void put_partitions(struct api_env *env, const struct client_topic *topic, struct json_writer *out)
{
    json_key_begin(out, "partition_list");
    json_array_begin(out);
    for (int32_t p = 0; p < topic->partition_count; p++) {
        struct client_offsets offsets;
        if (!client_offsets(env->client, topic->name, p, &offsets, NULL))
            continue;
        json_object_begin(out);
        json_key_i64(out, "partition", p);
        put_count(out, "start", offsets.start);
        put_count(out, "end", offsets.end);
        put_count(out, "committed", offsets.committed);
        json_object_end(out);
    }
    json_array_end(out);
}

static void put_configs(struct api_env *env, struct str topic, struct arena *arena, struct json_writer *out)
{
    static const struct str names[] = {STR_INIT("cleanup.policy"),    STR_INIT("retention.ms"),
                                       STR_INIT("retention.bytes"),   STR_INIT("segment.bytes"),
                                       STR_INIT("max.message.bytes"), STR_INIT("message.timestamp.type")};
    json_key_begin(out, "config");
    json_object_begin(out);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct str value = client_topic_config_get(env->client, topic, names[i], arena);
        if (!str_is_null(value)) {
            json_key(out, names[i]);
            json_str(out, value);
        }
    }
    json_object_end(out);
}

static void put_topic_sources(struct api_env *env, struct str topic, struct json_writer *out)
{
    const struct catalog *catalog = engine_catalog(env->engine);
    const struct source *source;
    json_key_begin(out, "sources");
    json_array_begin(out);
    for (uint32_t i = 0; (source = catalog_source_at(catalog, i)) != NULL; i++)
        if (str_eq(source->topic, topic))
            put_source(source, out);
    json_array_end(out);
    catalog_unref(catalog);
}

static void topic_job(struct http_request *req, struct api_env *env)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    struct client_topic topic;
    struct err err = {0};
    if (!client_topic_describe(env->client, http_param(req, "topic"), &topic, req->arena, &err)) {
        http_reply_err(req, &err);
        return;
    }
    json_object_begin(&out);
    put_topic(env, &topic, &out);
    put_partitions(env, &topic, &out);
    put_configs(env, topic.name, req->arena, &out);
    put_topic_sources(env, topic.name, &out);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_topic(struct http_request *req, void *env)
{
    submit(req, env, topic_job);
}

static void get_records(struct http_request *req, void *env)
{
    submit(req, env, records_get);
}

/* Streams and tables ------------------------------------------------------------------------------------------------------ */

static void sources_job(struct http_request *req, struct api_env *env)
{
    const struct catalog *catalog = engine_catalog(env->engine);
    const struct source *source;
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_begin(&out, "items");
    json_array_begin(&out);
    for (uint32_t i = 0; (source = catalog_source_at(catalog, i)) != NULL; i++)
        put_source(source, &out);
    json_array_end(&out);
    json_object_end(&out);
    catalog_unref(catalog);
    http_reply_take(req, 200, json_type, &body);
}

static void get_sources(struct http_request *req, void *env)
{
    submit(req, env, sources_job);
}

/* Queries ------------------------------------------------------------------------------------------------------------------ */

static void put_query(const struct engine_query_info *query, struct json_writer *out)
{
    static const char *const states[] = {
        [ENGINE_QUERY_RUNNING] = "running", [ENGINE_QUERY_PAUSED] = "paused", [ENGINE_QUERY_ERROR] = "error"};
    json_key_str(out, "id", query->id);
    json_key_str(out, "statement", query->statement);
    json_key_bool(out, "persistent", query->persistent);
    json_key_cstr(out, "state", states[query->state]);
    json_key_str(out, "sink", query->sink);
    json_key_str(out, "sink_topic", query->sink_topic);
    json_key_begin(out, "sources");
    json_array_begin(out);
    for (uint32_t i = 0; i < query->source_count; i++)
        json_str(out, query->sources[i]);
    json_array_end(out);
    put_count(out, "rows_in", (int64_t)query->rows_in);
    put_count(out, "rows_out", (int64_t)query->rows_out);
    put_count(out, "rows_dropped", (int64_t)query->rows_dropped);
    put_count(out, "errors", (int64_t)query->errors);
    put_count(out, "lag", query->lag);
    if (!str_is_null(query->error)) {
        json_key_str(out, "error", query->error);
        json_key_i64(out, "error_at", query->error_ms);
    }
}

static void queries_job(struct http_request *req, struct api_env *env)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    uint32_t count;
    struct engine_query_info *queries = engine_query_list(env->engine, &count, req->arena);
    json_object_begin(&out);
    json_key_begin(&out, "items");
    json_array_begin(&out);
    for (uint32_t i = 0; i < count; i++) {
        json_object_begin(&out);
        put_query(&queries[i], &out);
        json_object_end(&out);
    }
    json_array_end(&out);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_queries(struct http_request *req, void *env)
{
    submit(req, env, queries_job);
}

static void put_plan(struct api_env *env, struct str id, struct json_writer *out)
{
    struct buf json = {0}, text = {0};
    if (engine_query_plan(env->engine, id, &json, &text)) {
        if (json.len != 0) {
            json_key_begin(out, "plan");
            json_raw(out, buf_str(&json));
        }
        json_key_str(out, "plan_text", buf_str(&text));
    }
    buf_fini(&json);
    buf_fini(&text);
}

static void query_job(struct http_request *req, struct api_env *env)
{
    struct str id = http_param(req, "id");
    uint32_t count, i = 0;
    struct engine_query_info *queries = engine_query_list(env->engine, &count, req->arena);
    while (i < count && !str_eq(queries[i].id, id))
        i++;
    if (i == count) {
        struct err err;
        err_set(&err, ERR_NOT_FOUND, "query '%.*s' does not exist", STR_ARG(id));
        http_reply_err(req, &err);
        return;
    }
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    put_query(&queries[i], &out);
    put_plan(env, id, &out);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_query(struct http_request *req, void *env)
{
    submit(req, env, query_job);
}

/* Connectors ---------------------------------------------------------------------------------------------------------------- */

static void put_task(const struct connect_task_info *task, struct json_writer *out)
{
    json_object_begin(out);
    json_key_str(out, "state", task->state);
    json_key_str(out, "trace", task->trace);
    put_count(out, "records_in", (int64_t)task->records_in);
    put_count(out, "records_written", (int64_t)task->records_written);
    put_count(out, "records_failed", (int64_t)task->records_failed);
    put_count(out, "retries", (int64_t)task->retries);
    put_count(out, "lag", task->lag);
    json_object_end(out);
}

static void put_connector(const struct connect_connector_info *info, struct json_writer *out)
{
    json_object_begin(out);
    json_key_str(out, "name", info->name);
    json_key_str(out, "class", info->class_name);
    json_key_str(out, "type", info->type);
    json_key_str(out, "state", info->state);
    json_key_begin(out, "topics");
    json_array_begin(out);
    for (uint32_t i = 0; i < info->topic_count; i++)
        json_str(out, info->topics[i]);
    json_array_end(out);
    json_key_begin(out, "tasks");
    json_array_begin(out);
    for (uint32_t i = 0; i < info->task_count; i++)
        put_task(&info->tasks[i], out);
    json_array_end(out);
    json_object_end(out);
}

static void connectors_job(struct http_request *req, struct api_env *env)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    uint32_t count = 0;
    struct connect_connector_info *infos =
        env->connect != NULL ? connect_info_list(env->connect, &count, req->arena) : NULL;
    json_object_begin(&out);
    json_key_begin(&out, "items");
    json_array_begin(&out);
    for (uint32_t i = 0; i < count; i++)
        put_connector(&infos[i], &out);
    json_array_end(&out);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_connectors(struct http_request *req, void *env)
{
    submit(req, env, connectors_job);
}

/* Search ------------------------------------------------------------------------------------------------------------------ */

struct matches {
    struct str q; /* lower case */
    int64_t limit;
    struct arena *arena;
    struct json_writer *out;
};

/* A hit holds the letters of q in order; one that holds them together is marked "exact" for the page's order. */
static void match(struct matches *matches, const char *kind, struct str name, struct str sub)
{
    struct str lower = str_lower(name, matches->arena);
    ptrdiff_t at = str_find(lower, matches->q);
    size_t have = 0;
    for (size_t i = 0; i < lower.len && have < matches->q.len; i++)
        have += lower.ptr[i] == matches->q.ptr[have];
    if (matches->limit <= 0 || (at < 0 && have < matches->q.len))
        return;
    matches->limit--;
    json_object_begin(matches->out);
    json_key_cstr(matches->out, "kind", kind);
    json_key_str(matches->out, "name", name);
    json_key_str(matches->out, "sub", sub);
    json_key_bool(matches->out, "exact", at >= 0);
    json_object_end(matches->out);
}

static void match_sources(struct matches *matches, struct api_env *env)
{
    const struct catalog *catalog = engine_catalog(env->engine);
    const struct source *source;
    for (uint32_t i = 0; (source = catalog_source_at(catalog, i)) != NULL; i++)
        match(matches, source->kind == SOURCE_TABLE ? "table" : "stream", source->name,
              str_printf(matches->arena, "topic %.*s", STR_ARG(source->topic)));
    catalog_unref(catalog);
}

static void match_all(struct matches *matches, struct api_env *env)
{
    size_t topic_count;
    uint32_t count;
    match_sources(matches, env);
    struct engine_query_info *queries = engine_query_list(env->engine, &count, matches->arena);
    for (uint32_t i = 0; i < count; i++)
        if (queries[i].persistent)
            match(matches, "query", queries[i].id, queries[i].sink);
    struct connect_connector_info *infos =
        env->connect != NULL ? connect_info_list(env->connect, &count, matches->arena) : NULL;
    for (uint32_t i = 0; infos != NULL && i < count; i++)
        match(matches, "connector", infos[i].name, infos[i].class_name);
    struct client_topic *topics = client_topic_list(env->client, &topic_count, matches->arena);
    for (size_t i = 0; i < topic_count; i++)
        match(matches, "topic", topics[i].name,
              str_printf(matches->arena, "%d partitions", topics[i].partition_count));
}

static void search_job(struct http_request *req, struct api_env *env)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    struct str q = http_query(req, "q");
    struct matches matches = {.q = str_lower(str_is_null(q) ? STR("") : q, req->arena),
                              .limit = 50,
                              .arena = req->arena,
                              .out = &out};
    json_object_begin(&out);
    json_key_begin(&out, "items");
    json_array_begin(&out);
    match_all(&matches, env);
    json_array_end(&out);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

static void get_search(struct http_request *req, void *env)
{
    submit(req, env, search_job);
}

/* Routes ------------------------------------------------------------------------------------------------------------------ */

static const struct http_route routes[] = {
    {"GET", "/api/v1/server", get_server, .doc = "Version, addresses and start of this server."},
    {"GET", "/api/v1/flow", get_flow,
     .doc = "Topics, queries, connectors and clients as a graph, with health and counters."},
    {"GET", "/api/v1/live", live_get, HTTP_WEBSOCKET,
     .doc = "Websocket of the page: channels flow (graph, rates) and tail (new records)."},
    {"GET", "/api/v1/topics", get_topics, .doc = "All topics with their sizes in records."},
    {"GET", "/api/v1/topics/{topic}", get_topic,
     .doc = "Partitions, settings, streams and tables of a topic."},
    {"GET", "/api/v1/topics/{topic}/records", get_records,
     .doc = "Records, decoded: from=newest, beginning, offset:N or time:MS; partition, limit, before."},
    {"GET", "/api/v1/sources", get_sources, .doc = "Streams and tables with columns."},
    {"GET", "/api/v1/queries", get_queries, .doc = "Persistent and push queries with counters."},
    {"GET", "/api/v1/queries/{id}", get_query, .doc = "One query with its plan."},
    {"GET", "/api/v1/connectors", get_connectors, .doc = "Connectors with tasks and counters."},
    {"GET", "/api/v1/search", get_search, .doc = "Names that match q."},
};

void api_admin_routes(struct http_server *server, struct api_env *env)
{
    http_server_route(server, routes, COUNT_OF(routes), env);
}
