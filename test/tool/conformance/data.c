/* data.c - the JSON form of a case's data to bytes of a topic and back (the data's README, section 3). */
#include "conformance.h"

static struct str tree_text(const struct json_value *value, struct arena *arena)
{
    struct buf text = {0};
    struct json_writer writer = {.out = &text};
    json_tree(&writer, value);
    struct str copy = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return copy;
}

/* The only column of one side of a source, or NULL. */
static const struct column *only_column(const struct source *source, enum serde_side side)
{
    const struct schema *schema = source->schema;
    const struct column *found = NULL;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if ((schema->columns[i].role == COLUMN_KEY) != (side == SERDE_KEY) ||
            schema->columns[i].role == COLUMN_HEADERS)
            continue;
        if (found != NULL)
            return NULL;
        found = &schema->columns[i];
    }
    return found;
}

static bool encode_kafka(const struct column *column, const struct json_value *value, struct str *out,
                         struct arena *arena, struct err *err)
{
    enum sql_kind kind = column != NULL ? column->type->kind : SQL_STRING;
    int64_t n = 0;
    double d = 0;
    char *bytes = arena_alloc_bytes(arena, 8);
    if (kind == SQL_INTEGER || kind == SQL_BIGINT) {
        if (!json_to_i64(value, &n))
            return err_set(err, ERR_CONVERSION, "case: not an integer: %.*s",
                           STR_ARG(tree_text(value, arena)));
        if (kind == SQL_INTEGER)
            store_be32(bytes, (uint32_t)n);
        else
            store_be64(bytes, (uint64_t)n);
        *out = str_of(bytes, kind == SQL_INTEGER ? 4 : 8);
    } else if (kind == SQL_DOUBLE) {
        uint64_t bits;
        if (!json_to_double(value, &d))
            return err_set(err, ERR_CONVERSION, "case: not a number");
        memcpy(&bits, &d, 8);
        store_be64(bytes, bits);
        *out = str_of(bytes, 8);
    } else {
        *out = value->kind == JSON_STRING ? value->str : tree_text(value, arena);
    }
    return true;
}

static bool encode_side(const struct source *source, enum serde_side side, const struct json_value *value,
                        struct str *out, struct arena *arena, struct err *err)
{
    *out = STR_NULL;
    if (value == NULL || value->kind == JSON_NULL)
        return true;
    if (source == NULL) {
        *out = value->kind == JSON_STRING ? value->str : tree_text(value, arena);
        return true;
    }
    struct str format = side == SERDE_KEY ? source->key_format.name : source->value_format.name;
    if (str_eq(format, STR("JSON")))
        *out = tree_text(value, arena);
    else if (str_eq(format, STR("DELIMITED")))
        *out = value->kind == JSON_STRING ? value->str : tree_text(value, arena);
    else if (str_eq(format, STR("KAFKA")))
        return encode_kafka(only_column(source, side), value, out, arena, err);
    else if (!str_eq(format, STR("NONE")))
        return err_set(err, ERR_UNSUPPORTED, "format %.*s is not built yet", STR_ARG(format));
    return true;
}

static bool encode_headers(const struct json_value *headers, struct machine_record *out, struct arena *arena,
                           struct err *err)
{
    out->headers = STR("");
    if (headers == NULL || headers->kind != JSON_ARRAY)
        return true;
    struct record_header *list = arena_array(arena, struct record_header, headers->len);
    for (uint32_t i = 0; i < headers->len; i++) {
        list[i].key = case_text(&headers->elems[i], "key");
        struct str coded = case_text(&headers->elems[i], "value");
        struct buf bytes = {0};
        if (!str_is_null(coded) && !buf_append_base64_decoded(&bytes, coded))
            return err_set(err, ERR_CONVERSION, "case: header is not base64");
        list[i].value = str_is_null(coded) ? STR_NULL : str_dup(buf_str(&bytes), arena);
        buf_fini(&bytes);
    }
    struct buf raw = {0};
    record_headers_encode(&raw, list, (int32_t)headers->len);
    out->headers = str_dup(buf_str(&raw), arena);
    out->header_count = (int32_t)headers->len;
    buf_fini(&raw);
    return true;
}

static void append_window(const struct json_value *window, struct str *key, struct arena *arena)
{
    struct buf bytes = {0};
    buf_append_str(&bytes, *key);
    int64_t start_ms = case_number(window, "start", 0), end_ms = case_number(window, "end", 0);
    if (str_eq_nocase(case_text(window, "type"), STR("session")))
        serde_append_session_window(&bytes, start_ms, end_ms);
    else
        serde_append_time_window(&bytes, start_ms);
    *key = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
}

bool data_encode(struct machine *machine, const struct json_value *input, struct machine_record *out,
                 struct err *err)
{
    struct arena *arena = &machine->arena;
    *out = (struct machine_record){.topic = case_text(input, "topic"),
                                   .timestamp_ms = case_number(input, "timestamp", 0)};
    const struct source *source = machine_source_of(machine, out->topic);
    bool done = encode_side(source, SERDE_KEY, json_get(input, STR("key")), &out->key, arena, err) &&
                encode_side(source, SERDE_VALUE, json_get(input, STR("value")), &out->value, arena, err) &&
                encode_headers(json_get(input, STR("headers")), out, arena, err);
    source_unref(source);
    const struct json_value *window = json_get(input, STR("window"));
    if (done && window != NULL && window->kind == JSON_OBJECT)
        append_window(window, &out->key, arena);
    return done;
}

static bool decode_kafka(const struct column *column, struct str bytes, struct json_value *out,
                         struct arena *arena, struct err *err)
{
    enum sql_kind kind = column != NULL ? column->type->kind : SQL_STRING;
    size_t size = kind == SQL_INTEGER ? 4 : kind == SQL_BIGINT || kind == SQL_DOUBLE ? 8 : bytes.len;
    if (bytes.len != size)
        return err_set(err, ERR_SERIALIZATION, "KAFKA: %zu bytes, %zu expected", bytes.len, size);
    struct buf text = {0};
    out->kind = JSON_NUMBER;
    if (kind == SQL_INTEGER) {
        buf_append_i64(&text, (int32_t)load_be32(bytes.ptr));
    } else if (kind == SQL_BIGINT) {
        buf_append_i64(&text, (int64_t)load_be64(bytes.ptr));
    } else if (kind == SQL_DOUBLE) {
        uint64_t bits = load_be64(bytes.ptr);
        double d;
        memcpy(&d, &bits, 8);
        buf_append_double(&text, d);
    } else {
        out->kind = JSON_STRING;
        buf_append_str(&text, bytes);
    }
    out->str = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return true;
}

bool data_decode(const struct source *source, enum serde_side side, struct str bytes, struct json_value *out,
                 struct arena *arena, struct err *err)
{
    *out = (struct json_value){.kind = JSON_NULL};
    if (str_is_null(bytes))
        return true;
    struct str format = source == NULL      ? STR("DELIMITED")
                        : side == SERDE_KEY ? source->key_format.name
                                            : source->value_format.name;
    if (str_eq(format, STR("JSON"))) {
        const struct json_value *tree = json_parse(bytes, arena, err);
        if (tree == NULL)
            return false;
        *out = *tree;
        return true;
    }
    if (str_eq(format, STR("KAFKA")))
        return decode_kafka(source != NULL ? only_column(source, side) : NULL, bytes, out, arena, err);
    if (str_eq(format, STR("DELIMITED"))) {
        *out = (struct json_value){.kind = JSON_STRING, .str = bytes};
        return true;
    }
    return err_set(err, ERR_UNSUPPORTED, "format %.*s is not built yet", STR_ARG(format));
}
