/* api_alter_configs.c - AlterConfigs and IncrementalAlterConfigs: one change a resource, all of its keys or none.
 *
 *   request -> (resource, operations) -> storage_topic_alter | settings_alter | the level of log lines
 *
 * The old AlterConfigs replaces the whole set of a resource: its operations are SET, and what is not named goes back to the
 * default. Both run on the admin pool: a change waits for the disk.
 */
#include "broker/broker_int.h"

/* One resource of either request. */
struct change {
    struct request *req;
    int8_t type;
    struct str name;
    struct setting_op *ops;
    size_t op_count;
    bool replace, check_only;
};

/* What APPEND and SUBTRACT start from when nothing is set: the value in force. */
static void fill_lists(struct change *change)
{
    struct broker *broker = change->req->broker;
    bool topic = change->type == RESOURCE_TOPIC;
    int8_t source;
    storage_topics_lock(broker->storage);
    for (size_t i = 0; i < change->op_count; i++) {
        struct setting_op *op = &change->ops[i];
        int config = topic ? topic_config_find(op->name) : topic_config_by_synonym(op->name);
        op->is_list = config >= 0 && topic_config_defs[config].type == TOPIC_CONFIG_LIST;
        if (op->is_list)
            op->in_force = topic_config_value(broker->storage, NULL, config, &source, &change->req->arena);
    }
    storage_topics_unlock(broker->storage);
}

/* Topics have this config and the broker its default under the same name. */
static void clamp(struct change *change)
{
    for (size_t i = 0; i < change->op_count; i++)
        change->ops[i].value =
            topic_setting_clamped(change->req->broker, change->ops[i].name, change->ops[i].value);
}

static bool alter_topic(struct change *change, struct err *err)
{
    if (change->name.len == 0)
        return err_set(err, ERR_INVALID_REQUEST, "Default topic resources are not allowed.");
    if (!topic_name_check(change->name, err))
        return false;
    fill_lists(change);
    clamp(change);
    struct topic_alter alter = {.name = change->name,
                                .ops = change->ops,
                                .op_count = change->op_count,
                                .replace = change->replace,
                                .check_only = change->check_only};
    return storage_topic_alter(change->req->broker->storage, &alter, err);
}

static bool alter_resource(struct change *change, struct err *err)
{
    struct resource_alter alter = {.type = (enum resource_type)change->type,
                                   .name = change->name,
                                   .ops = change->ops,
                                   .op_count = change->op_count,
                                   .replace = change->replace,
                                   .check_only = change->check_only};
    if (change->type == RESOURCE_GROUP && change->name.len == 0)
        return err_set(err, ERR_INVALID_REQUEST, "Default group resources are not allowed.");
    fill_lists(change);
    if (change->type == RESOURCE_BROKER)
        clamp(change);
    return settings_alter(change->req->broker, &alter, err);
}

/* The level of log lines; not kept over a restart, as in Kafka. */
static bool alter_logger(struct change *change, struct err *err)
{
    static const struct {
        const char *word;
        enum log_level level;
    } levels[] = {{"TRACE", LOG_DEBUG}, {"DEBUG", LOG_DEBUG}, {"INFO", LOG_INFO},
                  {"WARN", LOG_WARN},   {"ERROR", LOG_ERROR}, {"FATAL", LOG_OFF}};
    for (size_t i = 0; i < change->op_count; i++) {
        const struct setting_op *op = &change->ops[i];
        size_t at = 0;
        if (!str_eq(op->name, STR("root")))
            return err_set(err, ERR_INVALID_CONFIG, "Logger %.*s does not exist: the only one is root",
                           STR_ARG(op->name));
        if (op->op == SETTING_DELETE)
            return err_set(err, ERR_INVALID_REQUEST,
                           "Removing the log level of the root logger is not allowed");
        if (op->op != SETTING_SET || str_is_null(op->value))
            return err_set(err, ERR_INVALID_REQUEST, "the level of a logger can only be set");
        while (at < COUNT_OF(levels) && !str_eq_cstr(op->value, levels[at].word))
            at++;
        if (at == COUNT_OF(levels))
            return err_set(err, ERR_INVALID_CONFIG,
                           "Cannot set the log level of %.*s to %.*s as it is not a supported log level. "
                           "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                           STR_ARG(op->name), STR_ARG(op->value));
        if (!change->check_only)
            log_level_set(levels[at].level);
    }
    return true;
}

static bool check_node(const struct change *change, bool cluster_too, struct err *err)
{
    if (str_eq(change->name, STR(NODE_NAME)) || (cluster_too && change->name.len == 0))
        return true;
    return err_set(err, ERR_INVALID_REQUEST, "Unexpected broker id, expected %s%s, but received %.*s",
                   NODE_NAME, cluster_too ? " or an empty name" : "", STR_ARG(change->name));
}

static bool alter(struct change *change, struct err *err)
{
    switch (change->type) {
    case RESOURCE_TOPIC:
        return alter_topic(change, err);
    case RESOURCE_BROKER:
        return check_node(change, true, err) && alter_resource(change, err);
    case RESOURCE_GROUP:
        return alter_resource(change, err);
    case RESOURCE_LOGGER:
        if (change->replace)
            return err_set(err, ERR_INVALID_REQUEST,
                           "AlterConfigs does not change loggers; IncrementalAlterConfigs does");
        return check_node(change, false, err) && settings_are_distinct(change->ops, change->op_count, err) &&
               alter_logger(change, err);
    case RESOURCE_CLIENT_METRICS:
        return err_set(err, ERR_INVALID_REQUEST, "metrics of clients are not collected by this broker");
    default:
        return err_set(err, ERR_INVALID_REQUEST, "Unsupported resource type: %d", change->type);
    }
}

static int16_t check_right(const struct change *change)
{
    if (change->type == RESOURCE_TOPIC)
        return request_denied(change->req, ACL_TOPIC, ACL_ALTER_CONFIGS, change->name);
    if (change->type == RESOURCE_GROUP)
        return request_denied(change->req, ACL_GROUP, ACL_ALTER_CONFIGS, change->name);
    return request_denied_cluster(change->req, ACL_ALTER_CONFIGS);
}

/* Runs change i; its error code, with *text. The same resource twice in a request: neither is changed. */
static int16_t run(struct change *changes, int32_t count, int32_t i, struct str *text)
{
    struct err err;
    bool good = true;
    int16_t denied = check_right(&changes[i]);
    *text = request_denied_text(denied);
    if (denied != 0)
        return denied;
    for (int32_t j = 0; j < count && good; j++)
        if (j != i && changes[j].type == changes[i].type && str_eq(changes[j].name, changes[i].name))
            good = err_set(&err, ERR_INVALID_REQUEST, "Each resource must appear at most once.");
    if (good && alter(&changes[i], &err))
        return 0;
    *text = str_dup(str_from(err.text), &changes[i].req->arena);
    return error_code_of(&err);
}

static struct change *make_change(struct change *change, struct request *req, int8_t type, struct str name,
                                  int32_t op_count)
{
    size_t count = (size_t)MAX(op_count, 0);
    *change = (struct change){.req = req,
                              .type = type,
                              .name = name,
                              .ops = arena_array(&req->arena, struct setting_op, count),
                              .op_count = count};
    return change;
}

static void incremental_alter_configs(struct request *req)
{
    const struct IncrementalAlterConfigsRequest *body = req->body;
    struct IncrementalAlterConfigsResponse *res = req->res;
    int32_t count = MAX(body->Resources.len, 0);
    struct change *changes = arena_array(&req->arena, struct change, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        const struct IncrementalAlterConfigsRequest_AlterConfigsResource *asked = &body->Resources.at[i];
        struct change *change =
            make_change(&changes[i], req, asked->ResourceType, asked->ResourceName, asked->Configs.len);
        change->check_only = body->ValidateOnly;
        for (size_t j = 0; j < change->op_count; j++)
            change->ops[j] = (struct setting_op){.name = asked->Configs.at[j].Name,
                                                 .op = asked->Configs.at[j].ConfigOperation,
                                                 .value = asked->Configs.at[j].Value};
    }
    WIRE_ALLOC(&req->arena, res->Responses, IncrementalAlterConfigsResponse_AlterConfigsResourceResponse,
               count);
    for (int32_t i = 0; i < count; i++) {
        struct IncrementalAlterConfigsResponse_AlterConfigsResourceResponse *row = &res->Responses.at[i];
        row->ResourceType = changes[i].type;
        row->ResourceName = changes[i].name;
        row->ErrorCode = run(changes, count, i, &row->ErrorMessage);
    }
    request_reply(req);
}

void api_incremental_alter_configs(struct request *req)
{
    request_on_pool(req, incremental_alter_configs);
}

static void alter_configs(struct request *req)
{
    const struct AlterConfigsRequest *body = req->body;
    struct AlterConfigsResponse *res = req->res;
    int32_t count = MAX(body->Resources.len, 0);
    struct change *changes = arena_array(&req->arena, struct change, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        const struct AlterConfigsRequest_AlterConfigsResource *asked = &body->Resources.at[i];
        struct change *change =
            make_change(&changes[i], req, asked->ResourceType, asked->ResourceName, asked->Configs.len);
        change->replace = true;
        change->check_only = body->ValidateOnly;
        for (size_t j = 0; j < change->op_count; j++)
            change->ops[j] =
                (struct setting_op){asked->Configs.at[j].Name, SETTING_SET, asked->Configs.at[j].Value};
    }
    WIRE_ALLOC(&req->arena, res->Responses, AlterConfigsResponse_AlterConfigsResourceResponse, count);
    for (int32_t i = 0; i < count; i++) {
        struct AlterConfigsResponse_AlterConfigsResourceResponse *row = &res->Responses.at[i];
        row->ResourceType = changes[i].type;
        row->ResourceName = changes[i].name;
        row->ErrorCode = run(changes, count, i, &row->ErrorMessage);
    }
    request_reply(req);
}

void api_alter_configs(struct request *req)
{
    request_on_pool(req, alter_configs);
}
