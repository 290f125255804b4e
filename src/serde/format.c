/* format.c - the table of formats, and whether a format can hold given columns.
 *
 * Messages are those of the original, which clients and scripts match on; for keys and values they come in
 * the frame "Key format does not support schema.\nformat: ..\nschema: ..\nreason: ..".
 */
#include "serde/serde_int.h"

static const struct serde_format formats[] = {
    {.name = STR_INIT("NONE"), .built = true, .key = true, .value = true, .unwraps = false},
    {
        .name = STR_INIT("KAFKA"),
        .built = true,
        .key = true,
        .value = true,
        .unwraps = true,
    },
    {
        .name = STR_INIT("DELIMITED"),
        .built = true,
        .key = true,
        .value = true,
        .multi_key = true,
        .unwraps = true,
        .delimiter = true,
        .joins_and_groups = true,
    },
    {
        .name = STR_INIT("JSON"),
        .built = true,
        .key = true,
        .value = true,
        .multi_key = true,
        .wraps = true,
        .unwraps = true,
        .wraps_by_default = true,
        .joins_and_groups = true,
    },
    {
        .name = STR_INIT("JSON_SR"),
        .key = true,
        .value = true,
        .multi_key = true,
        .registry = true,
        .infers = true,
        .wraps = true,
        .unwraps = true,
        .wraps_by_default = true,
        .joins_and_groups = true,
    },
    {
        .name = STR_INIT("AVRO"),
        .key = true,
        .value = true,
        .multi_key = true,
        .registry = true,
        .infers = true,
        .wraps = true,
        .unwraps = true,
        .wraps_by_default = true,
        .joins_and_groups = true,
    },
    {
        .name = STR_INIT("PROTOBUF"),
        .key = true,
        .value = true,
        .multi_key = true,
        .registry = true,
        .infers = true,
        .wraps = true,
        .wraps_by_default = true,
        .joins_and_groups = true,
    },
    {
        .name = STR_INIT("PROTOBUF_NOSR"),
        .key = true,
        .value = true,
        .multi_key = true,
        .wraps = true,
        .wraps_by_default = true,
        .joins_and_groups = true,
    },
};

const struct serde_format *serde_format_at(uint32_t i)
{
    return i < COUNT_OF(formats) ? &formats[i] : NULL;
}

const struct serde_format *serde_format_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (str_eq_nocase(formats[i].name, name))
            return &formats[i];
    return NULL;
}

bool serde_parse_delimiter(struct str text, char *out, struct err *err)
{
    if (str_eq_nocase(text, STR("SPACE")))
        *out = ' ';
    else if (str_eq_nocase(text, STR("TAB")))
        *out = '\t';
    else if (text.len == 1 && (uint8_t)text.ptr[0] < 0x80 && text.ptr[0] != '"' && text.ptr[0] != '\n')
        *out = text.ptr[0];
    else
        return err_set(err, ERR_STATEMENT,
                       "Invalid delimiter value: '%.*s'. Delimiter must be a single character or TAB,SPACE",
                       STR_ARG(text));
    return true;
}

/* "[`K` INTEGER KEY, `V` STRING]" */
static void print_columns(const struct column *columns, uint32_t column_count, struct buf *out)
{
    struct schema schema = {columns, column_count, 0};
    buf_append_char(out, '[');
    schema_print(&schema, out);
    buf_append_char(out, ']');
}

static struct str kind_word(const struct sql_type *type, struct buf *text)
{
    type_print(type, text);
    struct str word = buf_str(text);
    ptrdiff_t end = 0;
    while ((size_t)end < word.len && word.ptr[end] != '<' && word.ptr[end] != '(')
        end++;
    return str_of(word.ptr, (size_t)end);
}

static bool refuse_type(const struct serde_format *format, const struct column *column, struct err *err)
{
    struct buf text = {0};
    struct str word = kind_word(column->type, &text);
    if (format->delimiter) /* says which column, too */
        err_set(err, ERR_STATEMENT, "The '%.*s' format does not support type '%.*s', column: `%.*s`",
                STR_ARG(format->name), STR_ARG(word), STR_ARG(column->name));
    else
        err_set(err, ERR_STATEMENT, "The '%.*s' format does not support type '%.*s'", STR_ARG(format->name),
                STR_ARG(word));
    buf_fini(&text);
    return false;
}

static bool has_map(const struct sql_type *type)
{
    for (uint32_t i = 0; type->kind == SQL_STRUCT && i < type->field_count; i++)
        if (has_map(type->fields[i].type))
            return true;
    return type->kind == SQL_MAP || (type->kind == SQL_ARRAY && has_map(type->elem));
}

/* Map keys must be STRING, at any depth. */
static bool map_keys_are_strings(const struct sql_type *type)
{
    if (type->kind == SQL_MAP)
        return type->key->kind == SQL_STRING && map_keys_are_strings(type->elem);
    if (type->kind == SQL_ARRAY)
        return map_keys_are_strings(type->elem);
    for (uint32_t i = 0; type->kind == SQL_STRUCT && i < type->field_count; i++)
        if (!map_keys_are_strings(type->fields[i].type))
            return false;
    return true;
}

static bool check_maps_in_key(const struct column *columns, uint32_t column_count, struct err *err)
{
    for (uint32_t i = 0; i < column_count; i++) {
        if (!has_map(columns[i].type))
            continue;
        struct buf text = {0};
        type_print(columns[i].type, &text);
        err_set(
            err, ERR_STATEMENT,
            "Map keys, including types that contain maps, are not supported as they may lead to unexpected "
            "behavior due to inconsistent serialization. Key column name: `%.*s`. Column type: %.*s. See "
            "https://github.com/confluentinc/ksql/issues/6621 for more.",
            STR_ARG(columns[i].name), STR_ARG(buf_str(&text)));
        buf_fini(&text);
        return false;
    }
    return true;
}

static bool kafka_holds(enum sql_kind kind)
{
    return kind == SQL_INTEGER || kind == SQL_BIGINT || kind == SQL_DOUBLE || kind == SQL_STRING ||
           kind == SQL_BYTES;
}

static bool check_kafka(const struct serde_format *format, const struct column *columns,
                        uint32_t column_count, struct err *err)
{
    if (column_count > 1) {
        struct buf text = {0};
        print_columns(columns, column_count, &text);
        err_set(err, ERR_STATEMENT, "The 'KAFKA' format only supports a single field. Got: %.*s",
                STR_ARG(buf_str(&text)));
        buf_fini(&text);
        return false;
    }
    return column_count == 0 || kafka_holds(columns[0].type->kind) || refuse_type(format, &columns[0], err);
}

static bool check_none(const struct column *columns, uint32_t column_count, struct err *err)
{
    if (column_count == 0)
        return true;
    struct buf text = {0};
    print_columns(columns, column_count, &text);
    err_set(err, ERR_STATEMENT, "The 'NONE' format can only be used when no columns are defined. Got: %.*s",
            STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}

static bool check_delimited(const struct serde_format *format, const struct column *columns,
                            uint32_t column_count, struct err *err)
{
    for (uint32_t i = 0; i < column_count; i++)
        if (columns[i].type->kind >= SQL_ARRAY)
            return refuse_type(format, &columns[i], err);
    return true;
}

static bool check_maps(const struct serde_format *format, const struct column *columns, uint32_t column_count,
                       struct err *err)
{
    for (uint32_t i = 0; i < column_count; i++) {
        if (map_keys_are_strings(columns[i].type))
            continue;
        if (str_eq_cstr(format->name, "AVRO"))
            return err_set(err, ERR_STATEMENT, "Avro only supports MAPs with STRING keys");
        bool protobuf = str_starts_with(format->name, STR("PROTOBUF"));
        return err_set(err, ERR_STATEMENT, "%s only supports MAP types with STRING keys",
                       protobuf ? "PROTOBUF format" : "JSON");
    }
    return true;
}

static bool check_columns(const struct serde_format *format, const struct column *columns,
                          uint32_t column_count, struct err *err)
{
    if (str_eq_cstr(format->name, "NONE"))
        return check_none(columns, column_count, err);
    if (str_eq_cstr(format->name, "KAFKA"))
        return check_kafka(format, columns, column_count, err);
    if (format->delimiter)
        return check_delimited(format, columns, column_count, err);
    return check_maps(format, columns, column_count, err);
}

/* "Key format does not support schema. .." around the text of *err. */
static void frame(const struct serde_format *format, enum serde_side side, const struct column *columns,
                  uint32_t column_count, const struct serde_options *options, struct err *err)
{
    struct buf schema = {0};
    print_columns(columns, column_count, &schema);
    bool choice = column_count == 1 && format->wraps && format->unwraps;
    enum serde_wrap wrap = side == SERDE_KEY ? SERDE_UNWRAP
                           : options != NULL ? options->wrap
                                             : SERDE_WRAP_DEFAULT;
    const char *feature = !choice || wrap == SERDE_WRAP_DEFAULT ? ""
                          : wrap == SERDE_WRAP                  ? "WRAP_SINGLES"
                                                                : "UNWRAP_SINGLES";
    struct err inner = *err;
    err_set(err, inner.code,
            "%s format does not support schema.\nformat: %.*s\nschema: Persistence{columns=%.*s, "
            "features=[%s]}\nreason: %s",
            side == SERDE_KEY ? "Key" : "Value", STR_ARG(format->name), STR_ARG(buf_str(&schema)), feature,
            inner.text);
    buf_fini(&schema);
}

static bool check_wrap(const struct serde_format *format, uint32_t column_count, enum serde_wrap wrap,
                       struct err *err)
{
    if (wrap == SERDE_WRAP_DEFAULT)
        return true;
    if (column_count > 1)
        return err_set(err, ERR_STATEMENT,
                       "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas");
    if (wrap == SERDE_WRAP ? format->wraps : format->unwraps)
        return true;
    return err_set(err, ERR_STATEMENT, "Format '%.*s' does not support 'WRAP_SINGLE_VALUE' set to '%s'.",
                   STR_ARG(format->name), wrap == SERDE_WRAP ? "true" : "false");
}

bool serde_check(const struct serde_format *format, enum serde_side side, const struct column *columns,
                 uint32_t column_count, const struct serde_options *options, struct err *err)
{
    struct err local; /* the frame needs the text even when the caller does not */
    if (err == NULL)
        err = &local;
    if (side == SERDE_KEY && !check_maps_in_key(columns, column_count, err))
        return false;
    if (side == SERDE_VALUE && options != NULL && !check_wrap(format, column_count, options->wrap, err))
        return false;
    if (check_columns(format, columns, column_count, err))
        return true;
    if (!str_eq_cstr(format->name, "NONE"))
        frame(format, side, columns, column_count, options, err);
    return false;
}
