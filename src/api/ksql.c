/* ksql.c - ksqlDB's REST API: statements, server state (reference: ksql page 3). Query rows: ksql_rows.c.
 *
 *   POST /ksql     body -> engine_execute -> (control thread) entities -> reply
 *   GET  /info     answered at once
 *
 * Errors: {"@type": "statement_error" | "generic_error", "error_code", "message", ...}; HTTP status is error_code / 100.
 */
#include "api/ksql_int.h"

#include <ctype.h>

static const struct str json_type = STR_INIT("application/json");

/* Requests ---------------------------------------------------------------------------------------------------------- */

static bool put_pairs(const struct json_value *object, struct map *map, const char *what, struct arena *arena,
                      struct err *err)
{
    if (object == NULL || object->kind == JSON_NULL)
        return true;
    if (object->kind != JSON_OBJECT)
        return err_set(err, ERR_BAD_REQUEST, "Invalid JSON in request: %s must be an object", what);
    for (uint32_t i = 0; i < object->len; i++) {
        const struct json_value *value = &object->members[i].value;
        struct str *text = arena_new(arena, struct str);
        *text = value->kind == JSON_BOOL ? (value->b ? STR("true") : STR("false")) : value->str;
        if (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT)
            return err_set(err, ERR_BAD_REQUEST,
                           "Invalid JSON in request: %s.%.*s must be a string, number or boolean", what,
                           STR_ARG(object->members[i].name));
        if (value->kind != JSON_NULL)
            map_put(map, object->members[i].name, text);
    }
    return true;
}

bool ksql_request_parse(struct http_request *req, const char *sql_member, const char *properties_member,
                        struct ksql_request *out, struct err *err)
{
    *out = (struct ksql_request){0};
    const struct json_value *body = json_parse(req->body, req->arena, err);
    if (body == NULL || body->kind != JSON_OBJECT) {
        if (body != NULL)
            err_set(err, ERR_BAD_REQUEST, "the body must be an object");
        err->code = ERR_BAD_REQUEST;
        err_context(err, "Invalid JSON in request");
        return false;
    }
    const struct json_value *sql = json_get(body, str_from(sql_member));
    if (sql == NULL || sql->kind != JSON_STRING)
        return err_set(err, ERR_BAD_REQUEST,
                       "Invalid JSON in request: Missing required creator property '%s'", sql_member);
    out->sql = sql->str;
    if (put_pairs(json_get(body, str_from(properties_member)), &out->properties, properties_member,
                  req->arena, err) &&
        put_pairs(json_get(body, STR("sessionVariables")), &out->variables, "sessionVariables", req->arena,
                  err)) {
        struct map upper = {0}; /* variables are known without regard to case */
        struct str name;
        void *value;
        for (size_t pos = 0; map_next(&out->variables, &pos, &name, &value);)
            map_put(&upper, str_upper(name, req->arena), value);
        map_fini(&out->variables);
        out->variables = upper;
        return true;
    }
    ksql_request_fini(out);
    return false;
}

void ksql_request_fini(struct ksql_request *request)
{
    map_fini(&request->properties);
    map_fini(&request->variables);
}

/* Errors ------------------------------------------------------------------------------------------------------------ */

static bool is_statement_error(const struct err *err)
{
    return err_ksql_code(err->code) == 40001;
}

void ksql_error_json(const struct err *err, struct str statement_text, struct str entities, struct buf *out)
{
    struct json_writer writer = {.out = out};
    bool statement = is_statement_error(err);
    json_object_begin(&writer);
    json_key_cstr(&writer, "@type", statement ? "statement_error" : "generic_error");
    json_key_i64(&writer, "error_code", err_ksql_code(err->code));
    json_key_cstr(&writer, "message", err->text);
    if (statement) {
        json_key_str(&writer, "statementText", str_is_null(statement_text) ? STR("") : statement_text);
        json_key_begin(&writer, "entities");
        json_raw(&writer, entities.len != 0 ? entities : STR("[]"));
    }
    json_key_begin(&writer, "stackTrace");
    json_array_begin(&writer);
    json_array_end(&writer);
    json_key_begin(&writer, "stack_trace");
    json_array_begin(&writer);
    json_array_end(&writer);
    json_object_end(&writer);
}

void ksql_reply_error(struct http_request *req, const struct err *err, struct str statement_text,
                      struct str entities)
{
    struct buf body = {0};
    ksql_error_json(err, statement_text, entities, &body);
    http_reply_take(req, err_ksql_code(err->code) / 100, json_type, &body);
}

/* POST /ksql -------------------------------------------------------------------------------------------------------- */

static void ksql_done(void *arg, struct str entities, const struct err *failure, struct str statement_text)
{
    struct http_request *req = arg;
    if (failure == NULL)
        http_reply(req, 200, json_type, entities);
    else
        ksql_reply_error(req, failure, statement_text, entities);
}

static void post_ksql(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct ksql_request request;
    struct err err = {0};
    if (!ksql_request_parse(req, "ksql", "streamsProperties", &request, &err)) {
        ksql_reply_error(req, &err, STR_NULL, STR_NULL);
        return;
    }
    struct engine_session session = {.properties = &request.properties, .variables = &request.variables};
    engine_execute(env->engine, request.sql, &session, ksql_done, req);
    ksql_request_fini(&request);
}

/* Server state -------------------------------------------------------------------------------------------------------- */

static void reply_json(struct http_request *req, struct buf *body)
{
    http_reply_take(req, 200, json_type, body);
}

static void get_info(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_begin(&out, "KsqlServerInfo");
    json_object_begin(&out);
    json_key_str(&out, "version", STR(KSQL_VERSION));
    json_key_str(&out, "kafkaClusterId", env->cluster_id);
    json_key_str(&out, "ksqlServiceId", env->service_id);
    json_key_cstr(&out, "serverStatus", "RUNNING");
    json_object_end(&out);
    json_object_end(&out);
    reply_json(req, &body);
}

static void get_healthcheck(struct http_request *req, void *arg)
{
    http_reply(req, 200, json_type,
               STR("{\"isHealthy\":true,\"details\":{\"metastore\":{\"isHealthy\":true},\"kafka\":{"
                   "\"isHealthy\":true},"
                   "\"commandRunner\":{\"isHealthy\":true}},\"serverState\":\"READY\"}"));
}

static void get_metadata(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_cstr(&out, "version", KSQL_VERSION);
    json_key_begin(&out, "clusterId");
    json_object_begin(&out);
    json_key_begin(&out, "scope");
    json_object_begin(&out);
    json_key_begin(&out, "path");
    json_array_begin(&out);
    json_array_end(&out);
    json_key_begin(&out, "clusters");
    json_object_begin(&out);
    json_key_str(&out, "kafka-cluster", env->cluster_id);
    json_key_str(&out, "ksql-cluster", env->service_id);
    json_object_end(&out);
    json_object_end(&out);
    json_key_cstr(&out, "id", "");
    json_object_end(&out);
    json_object_end(&out);
    reply_json(req, &body);
}

static void get_valid_property(struct http_request *req, void *arg)
{
    struct err err = {0};
    if (engine_property_is_valid(http_param(req, "name"), &err)) {
        http_reply(req, 200, json_type, STR("true"));
        return;
    }
    err.code = ERR_BAD_REQUEST;
    ksql_reply_error(req, &err, STR_NULL, STR_NULL);
}

static void get_ready(struct http_request *req, void *arg)
{
    http_reply(req, 200, json_type, STR("{}"));
}

static const struct http_route routes[] = {
    {"POST", "/ksql", post_ksql, .doc = "Runs SQL statements; answers with one entity a statement."},
    {"POST", "/query", ksql_post_query, .doc = "Runs a pull or push query; rows as one JSON array."},
    {"POST", "/query-stream", ksql_post_query_stream,
     .doc = "Runs a pull or push query; one JSON value a line."},
    {"POST", "/close-query", ksql_post_close_query, .doc = "Ends a running push query."},
    {"GET", "/info", get_info, .doc = "Version, ids and state of the SQL server."},
    {"GET", "/healthcheck", get_healthcheck, .doc = "Health of the SQL server."},
    {"GET", "/v1/metadata", get_metadata, .doc = "Version and cluster ids."},
    {"GET", "/is_valid_property/{name}", get_valid_property, .doc = "Says whether SET takes a property."},
    {"GET", "/chc/ready", get_ready, .doc = "Readiness probe."},
    {"GET", "/chc/live", get_ready, .doc = "Liveness probe."},
};

void api_ksql_routes(struct http_server *server, struct api_env *env)
{
    http_server_route(server, routes, COUNT_OF(routes), env);
}
