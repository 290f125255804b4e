/* entity.c - pieces of the JSON answers: columns, types, statuses (reference: ksql page 3.4).
 *
 * Every answer of /ksql is an array of entities; an entity begins with "@type" and "statementText" and ends with
 * "warnings". The functions here write the parts that several entities share.
 */
#include "engine/engine_int.h"

void entity_begin(struct json_writer *out, const char *type, struct str statement_text)
{
    json_object_begin(out);
    json_key_cstr(out, "@type", type);
    json_key_str(out, "statementText", statement_text);
}

void entity_end(struct json_writer *out)
{
    json_key_begin(out, "warnings");
    json_array_begin(out);
    json_array_end(out);
    json_object_end(out);
}

void entity_warning(struct json_writer *out, struct str statement_text, struct str message)
{
    entity_begin(out, "warning_entity", statement_text);
    json_key_str(out, "message", message);
    entity_end(out);
}

/* The SQL base type's name: DECIMAL, not DECIMAL(4, 2). */
static const char *base_type_name(enum sql_kind kind)
{
    static const char *const names[SQL_KIND_COUNT] = {
        [SQL_NULL] = "NULL",     [SQL_BOOLEAN] = "BOOLEAN",     [SQL_INTEGER] = "INTEGER",
        [SQL_BIGINT] = "BIGINT", [SQL_DOUBLE] = "DOUBLE",       [SQL_DECIMAL] = "DECIMAL",
        [SQL_STRING] = "STRING", [SQL_BYTES] = "BYTES",         [SQL_DATE] = "DATE",
        [SQL_TIME] = "TIME",     [SQL_TIMESTAMP] = "TIMESTAMP", [SQL_ARRAY] = "ARRAY",
        [SQL_MAP] = "MAP",       [SQL_STRUCT] = "STRUCT",
    };
    return names[kind];
}

void entity_type(struct json_writer *out, const struct sql_type *type)
{
    json_object_begin(out);
    json_key_cstr(out, "type", base_type_name(type->kind));
    json_key_begin(out, "fields");
    if (type->kind == SQL_STRUCT) {
        json_array_begin(out);
        for (uint32_t i = 0; i < type->field_count; i++) {
            json_object_begin(out);
            json_key_str(out, "name", type->fields[i].name);
            json_key_begin(out, "schema");
            entity_type(out, type->fields[i].type);
            json_object_end(out);
        }
        json_array_end(out);
    } else {
        json_null(out);
    }
    json_key_begin(out, "memberSchema");
    if (type->elem != NULL)
        entity_type(out, type->elem);
    else
        json_null(out);
    if (type->kind == SQL_DECIMAL) {
        json_key_begin(out, "parameters");
        json_object_begin(out);
        json_key_i64(out, "precision", type->precision);
        json_key_i64(out, "scale", type->scale);
        json_object_end(out);
    }
    json_object_end(out);
}

void entity_fields(struct json_writer *out, const struct column *columns, uint32_t column_count)
{
    json_array_begin(out);
    for (uint32_t i = 0; i < column_count; i++) {
        const struct column *column = &columns[i];
        json_object_begin(out);
        json_key_str(out, "name", column->name);
        json_key_begin(out, "schema");
        entity_type(out, column->type);
        if (column->role == COLUMN_KEY)
            json_key_cstr(out, "type", "KEY");
        if (column->role == COLUMN_HEADERS) {
            json_key_cstr(out, "type", "HEADER");
            if (!str_is_null(column->header_key))
                json_key_str(out, "headerKey", column->header_key);
        }
        json_object_end(out);
    }
    json_array_end(out);
}

void entity_command_status(struct json_writer *out, struct str statement_text, struct str command_id,
                           struct str message, struct str query_id, int64_t sequence)
{
    entity_begin(out, "currentStatus", statement_text);
    json_key_str(out, "commandId", command_id);
    json_key_begin(out, "commandStatus");
    json_object_begin(out);
    json_key_cstr(out, "status", "SUCCESS");
    json_key_str(out, "message", message);
    json_key_str(out, "queryId", query_id);
    json_object_end(out);
    json_key_i64(out, "commandSequenceNumber", sequence);
    entity_end(out);
}

const char *entity_window_type(enum ast_window_kind kind)
{
    switch (kind) {
    case WINDOW_TUMBLING:
        return "TUMBLING";
    case WINDOW_HOPPING:
        return "HOPPING";
    case WINDOW_SESSION:
        return "SESSION";
    case WINDOW_NONE:
        return NULL;
    }
    UNREACHABLE();
}
