/* report.c - what connectors and tasks look like in answers. The caller holds connect.lock. */
#include "connect/connect_int.h"

static const char *type_of(const struct connector *connector)
{
    if (connector->class == NULL)
        return "unknown";
    return connector->class->kind == CONNECTOR_SINK ? "sink" : "source";
}

void connector_info_to_json(const struct connector *connector, struct json_writer *out)
{
    json_object_begin(out);
    json_key_str(out, "name", connector->name);
    json_key_begin(out, "config");
    pairs_to_json(&connector->config, out);
    json_key_begin(out, "tasks");
    json_array_begin(out);
    for (size_t i = 0; i < connector->task_count; i++) {
        json_object_begin(out);
        json_key_str(out, "connector", connector->name);
        json_key_i64(out, "task", (int64_t)i);
        json_object_end(out);
    }
    json_array_end(out);
    json_key_cstr(out, "type", type_of(connector));
    json_object_end(out);
}

void task_status_to_json(struct connect_task *task, struct json_writer *out)
{
    pthread_mutex_lock(&task->lock);
    json_object_begin(out);
    json_key_i64(out, "id", task->number);
    json_key_cstr(out, "state", connect_state_name(task->state));
    json_key_str(out, "worker_id", task->connect->options.worker_id);
    if (task->trace[0] != '\0')
        json_key_cstr(out, "trace", task->trace);
    json_object_end(out);
    pthread_mutex_unlock(&task->lock);
}

void connector_status_to_json(const struct connector *connector, struct json_writer *out)
{
    json_object_begin(out);
    json_key_str(out, "name", connector->name);
    json_key_begin(out, "connector");
    json_object_begin(out);
    json_key_cstr(out, "state", connect_state_name(connector->state));
    json_key_str(out, "worker_id", connector->connect->options.worker_id);
    if (connector->trace.len != 0)
        json_key_str(out, "trace", connector->trace);
    json_object_end(out);
    json_key_begin(out, "tasks");
    json_array_begin(out);
    for (size_t i = 0; i < connector->task_count; i++)
        task_status_to_json(connector->tasks[i], out);
    json_array_end(out);
    json_key_cstr(out, "type", type_of(connector));
    json_object_end(out);
}

void task_config_to_json(const struct connector *connector, struct json_writer *out)
{
    json_object_begin(out);
    for (size_t i = 0; i < connector->config.len; i++) {
        json_key(out, connector->config.at[i].name);
        json_str(out, connector->config.at[i].value);
    }
    json_key_cstr(out, "task.class", connector->class != NULL ? connector->class->name : "unknown");
    json_object_end(out);
}
