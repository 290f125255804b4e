/* format.c - the formats of a source's keys and values: which, with which options, and can they hold the
 * columns.
 *
 *   FORMAT / KEY_FORMAT / VALUE_FORMAT  >  the left-most source's  >  ksql.persistence.default.format.*
 *
 * Wrapping of a single value column: WRAP_SINGLE_VALUE > ksql.persistence.wrap.single.values > the
 * format's own. A single key column is bare wherever its format can.
 */
#include "analyze/analyze_int.h"

/* One side of a source, for the code that both share. */
struct side {
    enum serde_side side;
    const char *name; /* KEY, VALUE */
    struct str delimiter, schema_name, nullable;
    int64_t schema_id;
};

static struct str first_of(struct str a, struct str b)
{
    return str_is_null(a) ? b : a;
}

static bool refuse_option(struct str format, const char *option, struct err *err)
{
    return deny(err, "%.*s does not support the following configs: [%s]", STR_ARG(format), option);
}

static bool set_options(const struct side *side, const struct serde_format *format, struct source_format *out,
                        struct arena *arena, struct err *err)
{
    bool protobuf = str_starts_with(format->name, STR("PROTOBUF"));
    if (!str_is_null(side->schema_name)) {
        struct str name = str_trim(side->schema_name);
        if (!format->registry)
            return refuse_option(format->name, "fullSchemaName", err);
        if (name.len == 0)
            return deny(err, "fullSchemaName cannot be empty. Format configuration: {fullSchemaName=}");
        out->schema_full_name = name;
    }
    if (!str_is_null(side->delimiter)) {
        if (!format->delimiter)
            return refuse_option(format->name, "delimiter", err);
        if (!serde_parse_delimiter(side->delimiter, &out->delimiter, err))
            return false;
    }
    if (!str_is_null(side->nullable)) {
        if (!protobuf)
            return refuse_option(format->name, "nullableRepresentation", err);
        out->nullable_as = str_upper(side->nullable, arena);
        if (!str_eq_cstr(out->nullable_as, "OPTIONAL") && !str_eq_cstr(out->nullable_as, "WRAPPER"))
            return deny(err,
                        "Invalid value %.*s for nullableRepresentation: must be one of OPTIONAL, WRAPPER",
                        STR_ARG(side->nullable));
    }
    if (side->schema_id >= 0) {
        if (!format->infers)
            return deny(
                err,
                "%s_FORMAT should support schema inference when %s_SCHEMA_ID is provided. Current format is "
                "%.*s.",
                side->name, side->name, STR_ARG(format->name));
        out->schema_id = (int32_t)side->schema_id;
    }
    return true;
}

/* `named` is what the statement says, null for nothing; the fallback then gives name and delimiter. */
static bool resolve_side(const struct side *side, struct str named, const struct source_format *fallback,
                         struct source_format *out, struct arena *arena, struct err *err)
{
    struct str name = first_of(named, fallback->name);
    const struct serde_format *format = serde_format_find(str_trim(name));
    if (format == NULL)
        return deny(err, "Unknown format: %.*s", STR_ARG(str_upper(name, arena)));
    *out = (struct source_format){.name = format->name};
    if (str_eq(format->name, fallback->name)) {
        out->delimiter = fallback->delimiter;
        if (str_is_null(named))
            out->nullable_as = fallback->nullable_as;
    }
    return set_options(side, format, out, arena, err);
}

bool formats_resolve(const struct analyze_env *env, const struct with_props *props,
                     const struct source_format *key_default, const struct source_format *value_default,
                     struct source_format *key, struct source_format *value, struct arena *arena,
                     struct err *err)
{
    struct side key_side = {
        SERDE_KEY,           "KEY", props->key_delimiter, props->key_schema_name, props->key_nullable,
        props->key_schema_id};
    struct side value_side = {SERDE_VALUE,
                              "VALUE",
                              props->value_delimiter,
                              first_of(props->value_schema_name, props->value_avro_name),
                              props->value_nullable,
                              props->value_schema_id};
    struct source_format key_fallback = {.name =
                                             session_property(env, "ksql.persistence.default.format.key")};
    struct source_format value_fallback = {
        .name = session_property(env, "ksql.persistence.default.format.value")};
    if (str_is_null(key_fallback.name))
        key_fallback.name = STR("KAFKA");
    if (key_default == NULL)
        key_default = &key_fallback;
    if (value_default == NULL)
        value_default = &value_fallback;
    struct str value_named = first_of(props->value_format, props->format);
    if (str_is_null(value_named) && str_is_null(value_default->name))
        return deny(err, "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either "
                         "provide one or set "
                         "a default via the 'ksql.persistence.default.format.value' config.");
    return resolve_side(&key_side, first_of(props->key_format, props->format), key_default, key, arena,
                        err) &&
           resolve_side(&value_side, value_named, value_default, value, arena, err);
}

/* Wrapping ----------------------------------------------------------------------------------------------- */

static uint32_t value_count(const struct schema *schema)
{
    uint32_t count = 0;
    for (uint32_t i = schema->key_count; i < schema->column_count; i++)
        count += schema->columns[i].role == COLUMN_VALUE;
    return count;
}

static bool set_value_wrap(const struct analyze_env *env, const struct with_props *props,
                           const struct schema *schema, const struct serde_format *format,
                           struct source_format *value, struct err *err)
{
    bool single = value_count(schema) == 1;
    struct str setting = session_property(env, "ksql.persistence.wrap.single.values");
    bool wrap = props->wrap >= 0 ? props->wrap == 1 : str_eq_nocase(setting, STR("true"));
    bool can = wrap ? format->wraps : format->unwraps;
    if (!single)
        value->wrap = WRAP_DEFAULT;
    if (props->wrap >= 0) {
        if (!single)
            return deny(err, "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas");
        if (!can)
            return deny(err, "Format '%.*s' does not support 'WRAP_SINGLE_VALUE' set to '%s'.",
                        STR_ARG(format->name), wrap ? "true" : "false");
    } else if (str_is_null(setting) || setting.len == 0 || !single || !can) {
        return true;
    }
    value->wrap = wrap ? WRAP_SINGLES : UNWRAP_SINGLES;
    return true;
}

/* Columns ------------------------------------------------------------------------------------------------ */

static bool holds_map(const struct sql_type *type)
{
    if (type->kind == SQL_MAP)
        return true;
    if (type->kind == SQL_ARRAY)
        return holds_map(type->elem);
    for (uint32_t i = 0; type->kind == SQL_STRUCT && i < type->field_count; i++)
        if (holds_map(type->fields[i].type))
            return true;
    return false;
}

bool check_key_types(const struct schema *schema, struct err *err)
{
    struct arena arena = {0};
    for (uint32_t i = 0; i < schema->key_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!holds_map(column->type))
            continue;
        deny(err,
             "Map keys, including types that contain maps, are not supported as they may lead to "
             "unexpected behavior due "
             "to inconsistent serialization. Key column name: `%.*s`. Column type: %s. See "
             "https://github.com/confluentinc/ksql/issues/6621 for more.",
             STR_ARG(column->name), text_of_type(column->type, &arena));
        arena_fini(&arena);
        return false;
    }
    arena_fini(&arena);
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Avro's names: a letter, then letters and digits; in structs too. */
static bool check_avro_name(struct str name, const struct sql_type *type, struct err *err)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_letter(name.ptr[i]) && (i == 0 || name.ptr[i] < '0' || name.ptr[i] > '9'))
            return deny(err, "Schema is not compatible with Avro: Illegal %s: %.*s",
                        i == 0 ? "initial character" : "character in", STR_ARG(name));
    while (type->kind == SQL_ARRAY || type->kind == SQL_MAP)
        type = type->elem;
    for (uint32_t i = 0; type->kind == SQL_STRUCT && i < type->field_count; i++)
        if (!check_avro_name(type->fields[i].name, type->fields[i].type, err))
            return false;
    return true;
}

static bool check_avro_names(const struct column *columns, uint32_t count, struct err *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (!check_avro_name(columns[i].name, columns[i].type, err))
            return false;
    return true;
}

static bool check_side(enum serde_side side, const struct serde_format *format,
                       const struct source_format *named, const struct column *columns, uint32_t count,
                       struct err *err)
{
    static const enum serde_wrap wraps[] = {
        [WRAP_DEFAULT] = SERDE_WRAP_DEFAULT, [WRAP_SINGLES] = SERDE_WRAP, [UNWRAP_SINGLES] = SERDE_UNWRAP};
    struct serde_options options = {.delimiter = named->delimiter, .wrap = wraps[named->wrap]};
    bool record = side == SERDE_VALUE || count > 1;
    if (record && str_eq_cstr(format->name, "AVRO") && !check_avro_names(columns, count, err))
        return false;
    return serde_check(format, side, columns, count, &options, err);
}

bool formats_check(const struct analyze_env *env, const struct with_props *props, const struct schema *schema,
                   struct source_format *key, struct source_format *value, struct arena *arena,
                   struct err *err)
{
    const struct serde_format *key_format = serde_format_find(key->name);
    const struct serde_format *value_format = serde_format_find(value->name);
    ASSERT(key_format != NULL && value_format != NULL);
    key->wrap =
        schema->key_count == 1 && key_format->wraps && key_format->unwraps ? UNWRAP_SINGLES : WRAP_DEFAULT;
    if (!set_value_wrap(env, props, schema, value_format, value, err))
        return false;
    if (!check_key_types(schema, err))
        return false;
    uint32_t count = 0;
    struct column *values = arena_array(arena, struct column, schema->column_count);
    for (uint32_t i = schema->key_count; i < schema->column_count; i++)
        if (schema->columns[i].role == COLUMN_VALUE)
            values[count++] = schema->columns[i];
    if (schema->key_count > 0 &&
        !check_side(SERDE_KEY, key_format, key, schema->columns, schema->key_count, err))
        return false;
    return check_side(SERDE_VALUE, value_format, value, values, count, err);
}

/* A name in a string property is read as an identifier: upper-cased unless back-quoted. */
static struct str property_name(struct str text, struct arena *arena)
{
    text = str_trim(text);
    if (text.len >= 2 && text.ptr[0] == '`' && text.ptr[text.len - 1] == '`')
        return str_sub(text, 1, text.len - 2);
    return str_upper(text, arena);
}

bool check_timestamp(const struct with_props *props, const struct schema *schema, struct str *column,
                     struct arena *arena, struct err *err)
{
    *column = STR_NULL;
    if (str_is_null(props->timestamp)) {
        if (!str_is_null(props->timestamp_format))
            return deny(err, "Failed to prepare statement: TIMESTAMP_FORMAT is given without TIMESTAMP.");
        return true;
    }
    struct str name = property_name(props->timestamp, arena);
    int i = schema_find(schema, name);
    if (i < 0)
        return deny(err, "The TIMESTAMP column set in the WITH clause does not exist in the schema: '%.*s'",
                    STR_ARG(name));
    enum sql_kind kind = schema->columns[i].type->kind;
    bool format = !str_is_null(props->timestamp_format);
    if (kind == SQL_STRING ? !format : kind != SQL_BIGINT && kind != SQL_TIMESTAMP)
        return deny(
            err,
            "Timestamp column, `%.*s`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format "
            "specified",
            STR_ARG(name));
    if (kind != SQL_STRING && format)
        return deny(
            err,
            "Timestamp column, `%.*s`, should be STRING when a timestamp_format is specified; its type is %s",
            STR_ARG(name), text_of_type(schema->columns[i].type, arena));
    *column = schema->columns[i].name;
    return true;
}

bool check_duplicates(const struct schema *schema, struct err *err)
{
    struct buf text = {0};
    struct map seen = {0};
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (map_put(&seen, schema->columns[i].name, (void *)schema) != NULL) {
            buf_printf(&text, "%s`%.*s` ", text.len ? ", " : "", STR_ARG(schema->columns[i].name));
            type_print(schema->columns[i].type, &text);
        }
    map_fini(&seen);
    bool ok = text.len == 0 || deny(err, "Duplicate value columns found in schema: %s", text.ptr);
    buf_fini(&text);
    return ok;
}
