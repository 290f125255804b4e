/* with.c - the WITH clause: one table of properties, read into struct with_props.
 *
 * A row says where a property may stand; another place, or a name that no row has, is an unknown variable
 * to the statement. Values are literals; a number or a truth value may also be written as text.
 */
#include "analyze/analyze_int.h"

#include <stddef.h>

enum with_type { WITH_TEXT, WITH_NUMBER, WITH_BOOLEAN };

struct with_row {
    struct str name;
    enum with_type type;
    unsigned places;
    size_t offset;
    int64_t min, max; /* WITH_NUMBER */
};

#define TEXT(name, member, places)                                                   \
    {                                                                                \
        STR_INIT(name), WITH_TEXT, places, offsetof(struct with_props, member), 0, 0 \
    }
#define NUMBER(name, member, places, min, max)                                             \
    {                                                                                      \
        STR_INIT(name), WITH_NUMBER, places, offsetof(struct with_props, member), min, max \
    }
#define BOTH (WITH_CREATE | WITH_CREATE_AS)

static const struct with_row rows[] = {
    TEXT("KAFKA_TOPIC", topic, BOTH),
    NUMBER("PARTITIONS", partitions, BOTH, 1, INT32_MAX),
    NUMBER("REPLICAS", replicas, BOTH, 1, INT16_MAX),
    NUMBER("RETENTION_MS", retention_ms, BOTH, 0, INT64_MAX),
    TEXT("CLEANUP_POLICY", cleanup_policy, BOTH),
    TEXT("FORMAT", format, BOTH),
    TEXT("KEY_FORMAT", key_format, BOTH),
    TEXT("VALUE_FORMAT", value_format, BOTH),
    TEXT("KEY_DELIMITER", key_delimiter, BOTH),
    TEXT("VALUE_DELIMITER", value_delimiter, BOTH),
    {STR_INIT("WRAP_SINGLE_VALUE"), WITH_BOOLEAN, BOTH, offsetof(struct with_props, wrap), 0, 0},
    TEXT("TIMESTAMP", timestamp, BOTH),
    TEXT("TIMESTAMP_FORMAT", timestamp_format, BOTH),
    NUMBER("KEY_SCHEMA_ID", key_schema_id, BOTH, 0, INT32_MAX),
    NUMBER("VALUE_SCHEMA_ID", value_schema_id, BOTH, 0, INT32_MAX),
    TEXT("KEY_SCHEMA_FULL_NAME", key_schema_name, BOTH),
    TEXT("VALUE_SCHEMA_FULL_NAME", value_schema_name, BOTH),
    TEXT("VALUE_AVRO_SCHEMA_FULL_NAME", value_avro_name, BOTH),
    TEXT("KEY_PROTOBUF_NULLABLE_REPRESENTATION", key_nullable, BOTH),
    TEXT("VALUE_PROTOBUF_NULLABLE_REPRESENTATION", value_nullable, BOTH),
    TEXT("WINDOW_TYPE", window_type, WITH_CREATE),
    TEXT("WINDOW_SIZE", window_size, WITH_CREATE),
    TEXT("SOURCED_BY_CONNECTOR", by_connector, WITH_CREATE),
    TEXT("SOURCE_CONNECTOR", connector, WITH_CREATE),
    TEXT("QUERY_ID", query_id, WITH_INSERT),
};

static const struct with_row *find_row(struct str name, unsigned place)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_eq_nocase(rows[i].name, name))
            return (rows[i].places & place) ? &rows[i] : NULL;
    return NULL;
}

/* A literal as text; null for anything else. */
static struct str literal_text(const struct ast_expr *value, struct arena *arena)
{
    switch (value->kind) {
    case AST_STRING:
    case AST_DECIMAL:
    case AST_DOUBLE:
        return str_dup(value->text, arena);
    case AST_BOOLEAN:
        return value->boolean ? STR("true") : STR("false");
    case AST_INTEGER:
    case AST_BIGINT:
        return str_printf(arena, "%lld", (long long)value->integer);
    case AST_UNARY:
        return value->op == OP_NEG ? str_printf(arena, "-%.*s", STR_ARG(literal_text(value->left, arena)))
                                   : STR_NULL;
    default:
        return STR_NULL;
    }
}

static bool read_number(const struct with_row *row, struct str text, int64_t *out, struct err *err)
{
    int64_t number;
    if (!str_to_i64(text, &number))
        return deny(
            err,
            "Failed to prepare statement: Invalid value %.*s for configuration %.*s: Not a number of type %s",
            STR_ARG(text), STR_ARG(row->name), row->max == INT64_MAX ? "LONG" : "INT");
    if (number < row->min || number > row->max)
        return deny(err,
                    "Failed to prepare statement: Invalid value %lld for configuration %.*s: must be "
                    "between %lld and "
                    "%lld",
                    (long long)number, STR_ARG(row->name), (long long)row->min, (long long)row->max);
    *out = number;
    return true;
}

static bool read_boolean(const struct with_row *row, struct str text, int64_t *out, struct err *err)
{
    bool yes = str_eq_nocase(text, STR("true"));
    if (!yes && !str_eq_nocase(text, STR("false")))
        return deny(err,
                    "Failed to prepare statement: Invalid value %.*s for configuration %.*s: Expected "
                    "value to be either "
                    "true or false",
                    STR_ARG(text), STR_ARG(row->name));
    *out = yes;
    return true;
}

static bool read_property(const struct with_row *row, const struct ast_property *prop,
                          struct with_props *props, struct arena *arena, struct err *err)
{
    struct str text = literal_text(prop->value, arena);
    if (str_is_null(text))
        return deny(err,
                    "Failed to prepare statement: The value of %.*s in the WITH clause must be a literal.",
                    STR_ARG(row->name));
    char *at = (char *)props + row->offset;
    switch (row->type) {
    case WITH_TEXT:
        *(struct str *)at = text;
        return true;
    case WITH_NUMBER:
        return read_number(row, text, (int64_t *)at, err);
    case WITH_BOOLEAN:
        return read_boolean(row, text, (int64_t *)at, err);
    }
    UNREACHABLE();
}

/* A delimiter's text is checked where it is written, whatever the format. */
static bool check_delimiter(const char *name, struct str text, struct err *err)
{
    char delimiter;
    struct err why = {0};
    if (str_is_null(text))
        return true;
    if (str_trim(text).len == 0)
        err_set(&why, ERR_STATEMENT,
                "Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use "
                "the special values "
                "'TAB' or 'SPACE'");
    else if (serde_parse_delimiter(text, &delimiter, &why))
        return true;
    return deny(err, "Failed to prepare statement: Configuration %s is invalid: %s\nExample valid value: ';'",
                name, why.text);
}

static bool check_formats(const struct with_props *props, struct err *err)
{
    const struct {
        const char *name;
        struct str value;
    } sides[] = {{"KEY_FORMAT", props->key_format}, {"VALUE_FORMAT", props->value_format}};
    for (size_t i = 0; i < COUNT_OF(sides); i++)
        if (!str_is_null(props->format) && !str_is_null(sides[i].value))
            return deny(err,
                        "Cannot supply both '%s' and 'FORMAT' properties, as 'FORMAT' sets both key and "
                        "value formats. "
                        "Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'.",
                        sides[i].name);
    return true;
}

bool with_read(const struct ast_stmt *stmt, enum with_place place, struct with_props *props,
               struct arena *arena, struct err *err)
{
    *props = (struct with_props){.partitions = -1,
                                 .replicas = -1,
                                 .retention_ms = -1,
                                 .key_schema_id = -1,
                                 .value_schema_id = -1,
                                 .wrap = -1};
    for (uint32_t i = 0; i < stmt->property_count; i++) {
        const struct ast_property *prop = &stmt->properties[i];
        const struct with_row *row = find_row(prop->name, place);
        if (row == NULL)
            return deny(err,
                        "Failed to prepare statement: Invalid config variable(s) in the WITH clause: %.*s",
                        STR_ARG(str_upper(prop->name, arena)));
        if (!read_property(row, prop, props, arena, err))
            return false;
    }
    if (!str_is_null(props->cleanup_policy))
        return deny(
            err, "Failed to prepare statement: Invalid config variable in the WITH clause: CLEANUP_POLICY.\n"
                 "The CLEANUP_POLICY config is automatically inferred based on the type of source (STREAM or "
                 "TABLE).\nUsers can't set the CLEANUP_POLICY config manually.");
    return check_delimiter("KEY_DELIMITER", props->key_delimiter, err) &&
           check_delimiter("VALUE_DELIMITER", props->value_delimiter, err) && check_formats(props, err);
}
