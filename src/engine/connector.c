/* connector.c - connector statements, handed to `connect` through engine_connect_ops; and ASSERT TOPIC. */
#include <time.h>

#include "engine/engine_int.h"

bool prepare_connector(struct sandbox *box, struct session *session, struct prepared *prepared,
                       struct arena *arena, struct err *err)
{
    if (box->engine->options.connect == NULL)
        return err_set(err, ERR_UNSUPPORTED, "this process runs no connectors");
    return true;
}

/* The WITH clause as a connector configuration: names as written, all values text. */
static void put_config(const struct ast_stmt *stmt, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_object_begin(&writer);
    for (uint32_t i = 0; i < stmt->property_count; i++) {
        const struct ast_expr *value = stmt->properties[i].value;
        json_key(&writer, stmt->properties[i].name);
        if (value->kind == AST_BOOLEAN)
            json_cstr(&writer, value->boolean ? "true" : "false");
        else
            json_str(&writer, value->text);
    }
    json_object_end(&writer);
}

static bool show_connectors(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                            struct err *err)
{
    bool plugins = prepared->stmt->kind == STMT_SHOW_CONNECTOR_PLUGINS;
    struct buf list = {0};
    struct json_writer writer = {.out = &list};
    bool done = plugins ? engine->options.connect->plugins(engine->options.connect_state, &writer, err)
                        : engine->options.connect->list(engine->options.connect_state, &writer, err);
    if (done) {
        entity_begin(out, plugins ? "connector_plugins_list" : "connector_list", prepared->stmt->text);
        json_key_begin(out, plugins ? "connectorsPlugins" : "connectors");
        json_raw(out, buf_str(&list));
        if (plugins) {
            json_key_begin(out, "connectorPlugins");
            json_raw(out, buf_str(&list));
        }
        entity_end(out);
    }
    buf_fini(&list);
    return done;
}

static bool change_connector(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                             struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    const struct engine_connect_ops *ops = engine->options.connect;
    struct buf config = {0}, info = {0};
    struct json_writer writer = {.out = &info};
    bool done;
    if (stmt->kind == STMT_DROP_CONNECTOR) {
        done = ops->drop(engine->options.connect_state, stmt->name, err);
        if (done) {
            entity_begin(out, "drop_connector", stmt->text);
            json_key_str(out, "connectorName", stmt->name);
            entity_end(out);
        } else if (stmt->if_exists && err->code == ERR_NOT_FOUND) {
            entity_warning(out, stmt->text, str_from(err->text));
            done = true;
        }
    } else {
        put_config(stmt, &config);
        done = ops->create(engine->options.connect_state, stmt->name, buf_str(&config), &writer, err);
        if (done) {
            entity_begin(out, "connector_info", stmt->text);
            json_key_begin(out, "info");
            json_raw(out, buf_str(&info));
            entity_end(out);
        } else if (stmt->if_not_exists && err->code == ERR_CONFLICT) {
            entity_warning(out, stmt->text, str_from(err->text));
            done = true;
        }
    }
    buf_fini(&config);
    buf_fini(&info);
    return done;
}

static bool describe_connector(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                               struct err *err)
{
    struct buf status = {0};
    struct json_writer writer = {.out = &status};
    bool done =
        engine->options.connect->describe(engine->options.connect_state, prepared->stmt->name, &writer, err);
    if (done) {
        entity_begin(out, "connector_description", prepared->stmt->text);
        json_key_begin(out, "status");
        json_raw(out, buf_str(&status));
        json_key_begin(out, "sources");
        json_array_begin(out);
        json_array_end(out);
        json_key_begin(out, "topics");
        json_array_begin(out);
        json_array_end(out);
        entity_end(out);
    }
    buf_fini(&status);
    return done;
}

bool execute_connector(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                       struct arena *arena, struct err *err)
{
    switch (prepared->stmt->kind) {
    case STMT_SHOW_CONNECTORS:
    case STMT_SHOW_CONNECTOR_PLUGINS:
        return show_connectors(engine, prepared, out, err);
    case STMT_DESCRIBE_CONNECTOR:
        return describe_connector(engine, prepared, out, err);
    default:
        return change_connector(engine, prepared, out, err);
    }
}

/* ASSERT [NOT EXISTS] TOPIC ------------------------------------------------------------------------------------------ */

static int64_t property_number(const struct ast_stmt *stmt, const char *name)
{
    for (uint32_t i = 0; i < stmt->property_count; i++)
        if (str_eq_nocase(stmt->properties[i].name, str_from(name)))
            return stmt->properties[i].value->integer;
    return -1;
}

bool prepare_assert_topic(struct sandbox *box, struct session *session, struct prepared *prepared,
                          struct arena *arena, struct err *err)
{
    return true;
}

static bool topic_as_asserted(struct engine *engine, const struct ast_stmt *stmt, struct err *err)
{
    int32_t partitions = client_partition_count(engine->options.client, stmt->name);
    if (stmt->not_exists)
        return partitions < 0 || err_set(err, ERR_ASSERTION, "Topic %.*s exists.", STR_ARG(stmt->name));
    if (partitions < 0)
        return err_set(err, ERR_ASSERTION, "Topic %.*s does not exist.", STR_ARG(stmt->name));
    int64_t wanted = property_number(stmt, "PARTITIONS"), replicas = property_number(stmt, "REPLICAS");
    if (wanted >= 0 && wanted != partitions)
        return err_set(err, ERR_ASSERTION,
                       "Mismatched configuration for topic %.*s: For config partitions, expected %" PRId64
                       " got %d",
                       STR_ARG(stmt->name), wanted, partitions);
    if (replicas >= 0 && replicas != 1)
        return err_set(err, ERR_ASSERTION,
                       "Mismatched configuration for topic %.*s: For config replicas, expected %" PRId64
                       " got 1",
                       STR_ARG(stmt->name), replicas);
    return true;
}

bool execute_assert_topic(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                          struct arena *arena, struct err *err)
{
    const struct ast_stmt *stmt = prepared->stmt;
    if (!topic_as_asserted(engine, stmt, err))
        return false;
    entity_begin(out, "assert_topic", stmt->text);
    json_key_str(out, "topicName", stmt->name);
    json_key_bool(out, "exists", !stmt->not_exists);
    entity_end(out);
    return true;
}
