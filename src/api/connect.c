/* connect.c - Connect's REST API (reference: connect page 1).
 *
 *   request -> route table -> pool thread -> connect_... -> JSON -> reply
 *
 * Every call of `connect` may block for a moment (a change waits for its record to be durable, a stopped task for its
 * database), so all of them run on the pool. Errors are {"error_code": status, "message": text}.
 */
#include "api/api.h"
#include "connect/connect.h"

static const struct str json_type = STR_INIT("application/json");

/* One call of an operation: what it has, what it answers. */
struct call {
    struct api_env *env;
    struct http_request *req;
    const struct operation *operation;
    struct str name;               /* of the connector or plugin */
    const struct json_value *body; /* parsed, when the operation takes one */
    int status;                    /* 200 unless the operation says otherwise */
    struct buf out;
};

struct operation {
    bool (*run)(struct call *call, struct json_writer *out, struct err *err);
    bool takes_body;
};

/* Replies ------------------------------------------------------------------------------------------------ */

static void reply_err(struct http_request *req, const struct err *err)
{
    int status = err_http_status(err->code);
    if (err->code == ERR_SERIALIZATION || err->code == ERR_INVALID_CONFIG)
        status = 400;
    http_reply_error(req, status, status, str_from(err->text));
}

static void run_call(void *arg)
{
    struct call *call = arg;
    struct json_writer out = {.out = &call->out};
    struct err err = {0};
    if (call->operation->takes_body &&
        (call->body = json_parse(call->req->body, call->req->arena, &err)) == NULL) {
        err.code = ERR_BAD_REQUEST;
        err_context(&err, "the body is no JSON");
        reply_err(call->req, &err);
    } else if (!call->operation->run(call, &out, &err)) {
        reply_err(call->req, &err);
    } else if (call->out.len == 0) {
        http_reply(call->req, call->status, STR_NULL, STR(""));
    } else {
        http_reply_take(call->req, call->status, json_type, &call->out);
    }
    buf_fini(&call->out);
    free(call);
}

static bool body_is_json(const struct http_request *req)
{
    struct str type = http_header(req, "content-type");
    return str_starts_with_nocase(str_trim(type), json_type);
}

static void submit(struct http_request *req, struct api_env *env, const struct operation *operation)
{
    if (operation->takes_body && !body_is_json(req)) {
        http_reply_error(req, 415, 415, STR("HTTP 415 Unsupported Media Type"));
        return;
    }
    struct call *call = mem_new(struct call);
    *call = (struct call){.env = env, .req = req, .operation = operation, .status = 200};
    call->name = http_param(req, "name");
    pool_submit(env->pool, run_call, call, NULL, NULL);
}

/* Operations --------------------------------------------------------------------------------------------- */

static bool query_flag(struct call *call, const char *name)
{
    return str_eq_nocase(http_query(call->req, name), STR("true"));
}

static bool run_list(struct call *call, struct json_writer *out, struct err *err)
{
    struct str name, value;
    bool info = false, status = false;
    for (size_t pos = 0; http_query_next(call->req, &pos, &name, &value);) {
        if (!str_eq(name, STR("expand")))
            continue;
        info = info || str_eq_nocase(value, STR("info"));
        status = status || str_eq_nocase(value, STR("status"));
    }
    return connect_list(call->env->connect, info, status, out, err);
}

static void percent_encode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static bool run_create(struct call *call, struct json_writer *out, struct err *err)
{
    struct str name = STR_NULL, state = STR_NULL;
    enum connect_target target;
    if (!json_get_str(call->body, "name", &name, err) ||
        !json_get_str(call->body, "initial_state", &state, err)) {
        err->code = ERR_BAD_REQUEST;
        return false;
    }
    name = str_trim(name);
    if (name.len == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "the request needs a name: {\"name\": \"...\", \"config\": {...}}");
    if (!connect_target_parse(state, &target, err) ||
        !connect_create(call->env->connect, name, json_get(call->body, STR("config")), target, out, err))
        return false;
    struct buf location = {0};
    buf_append_cstr(&location, "/connectors/");
    percent_encode(name, &location);
    http_reply_header(call->req, STR("location"), buf_str(&location));
    buf_fini(&location);
    call->status = 201;
    return true;
}

static bool run_info(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_info(call->env->connect, call->name, out, err);
}

static bool run_delete(struct call *call, struct json_writer *out, struct err *err)
{
    call->status = 204;
    return connect_delete(call->env->connect, call->name, err);
}

static bool run_config(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_config(call->env->connect, call->name, out, err);
}

static bool run_put_config(struct call *call, struct json_writer *out, struct err *err)
{
    bool created;
    if (!connect_put_config(call->env->connect, call->name, call->body, &created, out, err))
        return false;
    call->status = created ? 201 : 200;
    return true;
}

static bool run_patch_config(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_patch_config(call->env->connect, call->name, call->body, out, err);
}

static bool run_status(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_status(call->env->connect, call->name, out, err);
}

static bool run_tasks(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_tasks(call->env->connect, call->name, out, err);
}

static bool run_tasks_config(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_tasks_config(call->env->connect, call->name, out, err);
}

static bool task_number(struct call *call, int64_t *number, struct err *err)
{
    struct str text = http_param(call->req, "task");
    return str_to_i64(text, number) ||
           err_set(err, ERR_NOT_FOUND, "Unknown task: %.*s-%.*s", STR_ARG(call->name), STR_ARG(text));
}

static bool run_task_status(struct call *call, struct json_writer *out, struct err *err)
{
    int64_t number;
    return task_number(call, &number, err) &&
           connect_task_status(call->env->connect, call->name, number, out, err);
}

static bool run_task_restart(struct call *call, struct json_writer *out, struct err *err)
{
    int64_t number;
    call->status = 204;
    return task_number(call, &number, err) &&
           connect_restart_task(call->env->connect, call->name, number, err);
}

static bool run_restart(struct call *call, struct json_writer *out, struct err *err)
{
    bool tasks = query_flag(call, "includeTasks"), failed = query_flag(call, "onlyFailed");
    if (!connect_restart(call->env->connect, call->name, tasks, failed, err))
        return false;
    call->status = tasks || failed ? 202 : 204;
    return call->status == 204 || connect_status(call->env->connect, call->name, out, err);
}

static bool run_pause(struct call *call, struct json_writer *out, struct err *err)
{
    call->status = 202;
    return connect_set_target(call->env->connect, call->name, CONNECT_PAUSED, err);
}

static bool run_resume(struct call *call, struct json_writer *out, struct err *err)
{
    call->status = 202;
    return connect_set_target(call->env->connect, call->name, CONNECT_STARTED, err);
}

static bool run_stop(struct call *call, struct json_writer *out, struct err *err)
{
    call->status = 204;
    return connect_set_target(call->env->connect, call->name, CONNECT_STOPPED, err);
}

static bool run_topics(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_topics(call->env->connect, call->name, out, err);
}

static bool run_offsets(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_offsets(call->env->connect, call->name, out, err);
}

static bool run_plugins(struct call *call, struct json_writer *out, struct err *err)
{
    bool all = str_eq_nocase(http_query(call->req, "connectorsOnly"), STR("false"));
    return connect_plugins(call->env->connect, !all, out, err);
}

static bool run_plugin_config(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_plugin_config(call->env->connect, call->name, out, err);
}

static bool run_validate(struct call *call, struct json_writer *out, struct err *err)
{
    return connect_validate(call->env->connect, call->name, call->body, out, err);
}

/* Routes ------------------------------------------------------------------------------------------------- */

static void get_root(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    if (api_ui_redirect(req))
        return;
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    json_object_begin(&out);
    json_key_str(&out, "version", env->version);
    json_key_cstr(&out, "commit", "rialto");
    json_key_str(&out, "kafka_cluster_id", env->cluster_id);
    json_object_end(&out);
    http_reply_take(req, 200, json_type, &body);
}

#define HANDLER(name, body)                                                         \
    static void on_##name(struct http_request *req, void *arg)                      \
    {                                                                               \
        static const struct operation operation = {run_##name, .takes_body = body}; \
        submit(req, arg, &operation);                                               \
    }

HANDLER(list, false)
HANDLER(create, true)
HANDLER(info, false)
HANDLER(delete, false)
HANDLER(config, false)
HANDLER(put_config, true)
HANDLER(patch_config, true)
HANDLER(status, false)
HANDLER(tasks, false)
HANDLER(tasks_config, false)
HANDLER(task_status, false)
HANDLER(task_restart, false)
HANDLER(restart, false)
HANDLER(pause, false)
HANDLER(resume, false)
HANDLER(stop, false)
HANDLER(topics, false)
HANDLER(offsets, false)
HANDLER(plugins, false)
HANDLER(plugin_config, false)
HANDLER(validate, true)

static const struct http_route routes[] = {
    {"GET", "/", get_root, HTTP_NAVIGABLE, .doc = "Version and cluster id."},
    {"GET", "/connectors", on_list, .doc = "Names of connectors; ?expand=info&expand=status for more."},
    {"POST", "/connectors", on_create,
     .doc = "Creates a connector: {\"name\", \"config\", \"initial_state\"}."},
    {"GET", "/connectors/{name}", on_info, .doc = "Config and tasks of a connector."},
    {"DELETE", "/connectors/{name}", on_delete, .doc = "Stops and removes a connector."},
    {"GET", "/connectors/{name}/config", on_config, .doc = "Config of a connector."},
    {"PUT", "/connectors/{name}/config", on_put_config,
     .doc = "Creates a connector or sets its whole config."},
    {"PATCH", "/connectors/{name}/config", on_patch_config, .doc = "Changes some of a connector's config."},
    {"GET", "/connectors/{name}/status", on_status, .doc = "States of a connector and its tasks."},
    {"GET", "/connectors/{name}/tasks", on_tasks, .doc = "Tasks of a connector and their configs."},
    {"GET", "/connectors/{name}/tasks-config", on_tasks_config, .doc = "Configs of the tasks, by name."},
    {"GET", "/connectors/{name}/tasks/{task}/status", on_task_status, .doc = "State of a task."},
    {"POST", "/connectors/{name}/tasks/{task}/restart", on_task_restart, .doc = "Restarts a task."},
    {"POST", "/connectors/{name}/restart", on_restart,
     .doc = "Restarts a connector; ?includeTasks=true its tasks, &onlyFailed=true those that failed."},
    {"PUT", "/connectors/{name}/pause", on_pause, .doc = "Pauses a connector; its tasks keep their places."},
    {"PUT", "/connectors/{name}/resume", on_resume, .doc = "Resumes a paused or stopped connector."},
    {"PUT", "/connectors/{name}/stop", on_stop, .doc = "Stops a connector's tasks and keeps its config."},
    {"GET", "/connectors/{name}/topics", on_topics, .doc = "Topics that a connector uses."},
    {"GET", "/connectors/{name}/offsets", on_offsets, .doc = "Committed offsets of a connector."},
    {"GET", "/connector-plugins", on_plugins,
     .doc = "Connector classes; ?connectorsOnly=false for converters too."},
    {"GET", "/connector-plugins/{name}/config", on_plugin_config, .doc = "Options of a connector class."},
    {"PUT", "/connector-plugins/{name}/config/validate", on_validate,
     .doc = "Checks a config: each option with its value and errors."},
};

void api_connect_routes(struct http_server *server, struct api_env *env)
{
    http_server_route(server, routes, COUNT_OF(routes), env);
}
