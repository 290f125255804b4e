/* value.c - values as elements of PostgreSQL array literals, as the column wants them.
 *
 * The column's type rules: times are written as text in db.timezone, or as milliseconds for integer columns; numbers
 * become times where the column is one; nested data becomes JSON, or an array where the column is one. What
 * PostgreSQL cannot read is refused by it, record by record.
 */
#include <math.h>

#include "connector/pg_sink/pg_sink_int.h"
#include "type/decimal.h"

static bool is_one_of(struct str name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (str_eq_cstr(name, *names))
            return true;
    return false;
}

static const char *const time_types[] = {"timestamp", "timestamptz", NULL};
static const char *const integer_types[] = {"int2", "int4", "int8", NULL};
static const char *const json_types[] = {"json", "jsonb", NULL};

static void append_instant(const struct pg_sink *sink, int64_t ms, bool with_zone, struct buf *out)
{
    int32_t offset_s = time_zone_offset_at(sink->zone, time_floor_div(ms, 1000));
    time_print_timestamp(ms + (with_zone ? 0 : offset_s * INT64_C(1000)), out);
    if (with_zone)
        buf_append_char(out, 'Z');
}

/* PostgreSQL's \x form. */
static void append_bytes(struct str bytes, struct buf *out)
{
    buf_append_cstr(out, "\\x");
    buf_append_hex(out, bytes);
}

static void append_number(struct value v, bool wants_integer, struct buf *out)
{
    if (v.kind == SQL_DECIMAL)
        decimal_print(v.dec, out);
    else if (v.kind == SQL_DOUBLE && wants_integer && v.d == trunc(v.d) && fabs(v.d) < 9e18)
        buf_append_i64(out, (int64_t)v.d);
    else if (v.kind == SQL_DOUBLE)
        buf_append_double(out, v.d);
    else
        buf_append_i64(out, v.l);
}

static void append_time(const struct pg_sink *sink, struct value v, const struct pg_column *column,
                        struct buf *out)
{
    if (is_one_of(column->type_name, integer_types))
        buf_append_i64(out, v.l);
    else if (v.kind == SQL_DATE)
        time_print_date(v.l, out);
    else if (v.kind == SQL_TIME)
        time_print_time(v.l, out);
    else
        append_instant(sink, v.l, str_eq(column->type_name, STR("timestamptz")), out);
}

/* The text of one value, not quoted. */
static void append_text(const struct pg_sink *sink, struct value v, const struct connect_type *type,
                        const struct pg_column *column, struct buf *out)
{
    struct json_writer json = {.out = out};
    bool is_time = is_one_of(column->type_name, time_types);
    switch (v.kind) {
    case SQL_BOOLEAN:
        buf_append_cstr(out, v.b ? "true" : "false");
        break;
    case SQL_INTEGER:
    case SQL_BIGINT:
        if (is_time)
            append_instant(sink, v.l, str_eq(column->type_name, STR("timestamptz")), out);
        else
            append_number(v, false, out);
        break;
    case SQL_DOUBLE:
    case SQL_DECIMAL:
        append_number(v, is_one_of(column->type_name, integer_types), out);
        break;
    case SQL_STRING:
        buf_append_str(out, value_slice(v));
        break;
    case SQL_BYTES:
        append_bytes(value_slice(v), out);
        break;
    case SQL_DATE:
    case SQL_TIME:
    case SQL_TIMESTAMP:
        append_time(sink, v, column, out);
        break;
    default:
        connect_value_to_json(v, type->type, &json);
    }
}

/* Quoted for an array literal. */
static void append_quoted(struct str text, struct buf *out)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '"');
}

/* Arrays: of declared type, and as guessed JSON ---------------------------------------------------------- */

static void append_array(const struct pg_sink *sink, struct value v, const struct sql_type *type,
                         const struct pg_column *column, struct buf *out)
{
    struct buf text = {0};
    struct pg_column plain = *column;
    plain.type_name = STR(""); /* elements are written by their own kind */
    struct connect_type elem = {.type = type->elem};
    buf_append_char(out, '{');
    for (uint32_t i = 0; i < v.len; i++) {
        if (i != 0)
            buf_append_char(out, ',');
        if (value_is_null(v.elems[i])) {
            buf_append_cstr(out, "NULL");
        } else if (v.elems[i].kind == SQL_ARRAY) {
            append_array(sink, v.elems[i], type->elem, column, out);
        } else {
            buf_clear(&text);
            append_text(sink, v.elems[i], &elem, &plain, &text);
            append_quoted(buf_str(&text), out);
        }
    }
    buf_append_char(out, '}');
    buf_fini(&text);
}

static void append_json_array(const struct json_value *json, struct buf *out)
{
    struct buf text = {0};
    buf_append_char(out, '{');
    for (uint32_t i = 0; i < json->len; i++) {
        const struct json_value *elem = &json->elems[i];
        if (i != 0)
            buf_append_char(out, ',');
        if (elem->kind == JSON_NULL) {
            buf_append_cstr(out, "NULL");
        } else if (elem->kind == JSON_ARRAY) {
            append_json_array(elem, out);
        } else if (elem->kind == JSON_STRING || elem->kind == JSON_NUMBER) {
            append_quoted(elem->str, out);
        } else {
            struct json_writer writer = {.out = &text};
            buf_clear(&text);
            json_tree(&writer, elem);
            append_quoted(buf_str(&text), out);
        }
    }
    buf_append_char(out, '}');
    buf_fini(&text);
}

static bool append_for_array(const struct pg_sink *sink, struct value v, const struct connect_type *type,
                             const struct pg_column *column, struct buf *out, struct err *err)
{
    if (v.kind == SQL_ARRAY) {
        append_array(sink, v, type->type, column, out);
        return true;
    }
    if (!type->json) {
        append_text(sink, v, type, column, out);
        return true;
    }
    struct arena arena = {0};
    const struct json_value *json = json_parse(value_slice(v), &arena, err);
    bool done = json != NULL && json->kind == JSON_ARRAY;
    if (done)
        append_json_array(json, out);
    else
        err_set(err, ERR_INVALID_RECORD, "column %.*s is an array, the value is not", STR_ARG(column->name));
    arena_fini(&arena);
    return done;
}

bool append_element(struct pg_sink *sink, struct value v, const struct connect_type *type,
                    const struct pg_column *column, struct buf *out, struct err *err)
{
    if (value_is_null(v)) {
        buf_append_cstr(out, "NULL");
        return true;
    }
    struct buf text = {0};
    bool done = true;
    bool whole = v.kind == SQL_INTEGER || v.kind == SQL_BIGINT;
    if (whole && is_one_of(column->type_name, time_types) &&
        (v.l < -CONNECT_INSTANT_MAX_MS || v.l > CONNECT_INSTANT_MAX_MS))
        return err_set(err, ERR_INVALID_RECORD, "column %.*s: %" PRId64 " is no time in milliseconds",
                       STR_ARG(column->name), v.l);
    if (column->is_array)
        done = append_for_array(sink, v, type, column, &text, err);
    else if (v.kind == SQL_BYTES && is_one_of(column->type_name, json_types))
        buf_append_str(&text, value_slice(v));
    else
        append_text(sink, v, type, column, &text);
    if (done && memchr(buf_str(&text).ptr, '\0', text.len) != NULL)
        done = err_set(err, ERR_INVALID_RECORD,
                       "column %.*s: the value contains the character U+0000, which PostgreSQL cannot store",
                       STR_ARG(column->name));
    if (done)
        append_quoted(buf_str(&text), out);
    buf_fini(&text);
    return done;
}
