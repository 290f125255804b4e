/* writer.c - JSON text into a buffer; see json.h. Strings without escapes are copied in runs. */
#include "json/json.h"

#include <math.h>

static void before_value(struct json_writer *writer)
{
    if (writer->comma)
        buf_append_char(writer->out, ',');
    writer->comma = true;
}

static void container_begin(struct json_writer *writer, char open)
{
    before_value(writer);
    buf_append_char(writer->out, open);
    writer->comma = false;
}

static void container_end(struct json_writer *writer, char close)
{
    buf_append_char(writer->out, close);
    writer->comma = true;
}

void json_object_begin(struct json_writer *writer)
{
    container_begin(writer, '{');
}

void json_object_end(struct json_writer *writer)
{
    container_end(writer, '}');
}

void json_array_begin(struct json_writer *writer)
{
    container_begin(writer, '[');
}

void json_array_end(struct json_writer *writer)
{
    container_end(writer, ']');
}

void json_key(struct json_writer *writer, struct str name)
{
    before_value(writer);
    json_append_string(writer->out, name);
    buf_append_char(writer->out, ':');
    writer->comma = false;
}

void json_null(struct json_writer *writer)
{
    json_raw(writer, STR("null"));
}

void json_bool(struct json_writer *writer, bool b)
{
    json_raw(writer, b ? STR("true") : STR("false"));
}

void json_i64(struct json_writer *writer, int64_t n)
{
    before_value(writer);
    buf_append_i64(writer->out, n);
}

void json_double(struct json_writer *writer, double d)
{
    before_value(writer);
    bool quoted = !isfinite(d);
    if (quoted)
        buf_append_char(writer->out, '"');
    buf_append_double(writer->out, d);
    if (quoted)
        buf_append_char(writer->out, '"');
}

void json_str(struct json_writer *writer, struct str s)
{
    if (str_is_null(s)) {
        json_null(writer);
        return;
    }
    before_value(writer);
    json_append_string(writer->out, s);
}

void json_cstr(struct json_writer *writer, const char *s)
{
    json_str(writer, str_from(s));
}

void json_base64(struct json_writer *writer, struct str bytes)
{
    before_value(writer);
    buf_append_char(writer->out, '"');
    buf_append_base64(writer->out, bytes);
    buf_append_char(writer->out, '"');
}

void json_raw(struct json_writer *writer, struct str json)
{
    before_value(writer);
    buf_append_str(writer->out, json);
}

void json_tree(struct json_writer *writer, const struct json_value *value)
{
    switch (value->kind) {
    case JSON_NULL:
        json_null(writer);
        return;
    case JSON_BOOL:
        json_bool(writer, value->b);
        return;
    case JSON_NUMBER:
        json_raw(writer, value->str);
        return;
    case JSON_STRING:
        json_str(writer, value->str);
        return;
    case JSON_ARRAY:
        json_array_begin(writer);
        for (uint32_t i = 0; i < value->len; i++)
            json_tree(writer, &value->elems[i]);
        json_array_end(writer);
        return;
    case JSON_OBJECT:
        json_object_begin(writer);
        for (uint32_t i = 0; i < value->len; i++) {
            json_key(writer, value->members[i].name);
            json_tree(writer, &value->members[i].value);
        }
        json_object_end(writer);
        return;
    }
    UNREACHABLE();
}

void json_key_begin(struct json_writer *writer, const char *name)
{
    json_key(writer, str_from(name));
}

void json_key_str(struct json_writer *writer, const char *name, struct str s)
{
    json_key_begin(writer, name);
    json_str(writer, s);
}

void json_key_cstr(struct json_writer *writer, const char *name, const char *s)
{
    json_key_begin(writer, name);
    json_cstr(writer, s);
}

void json_key_i64(struct json_writer *writer, const char *name, int64_t n)
{
    json_key_begin(writer, name);
    json_i64(writer, n);
}

void json_key_bool(struct json_writer *writer, const char *name, bool b)
{
    json_key_begin(writer, name);
    json_bool(writer, b);
}

void json_key_null(struct json_writer *writer, const char *name)
{
    json_key_begin(writer, name);
    json_null(writer);
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static void append_escape(struct buf *out, unsigned char c)
{
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char letter = c < 0x20 ? letters[c] : (char)c;
    if (letter == '\0') {
        buf_printf(out, "\\u%04X", c);
        return;
    }
    char *at = buf_extend(out, 2);
    at[0] = '\\';
    at[1] = letter;
}

void json_append_string(struct buf *out, struct str s)
{
    buf_reserve(out, s.len + 2);
    buf_append_char(out, '"');
    for (size_t from = 0, i = 0;; i++) {
        if (i < s.len && !needs_escape((unsigned char)s.ptr[i]))
            continue;
        buf_append(out, s.ptr + from, i - from);
        if (i == s.len)
            break;
        append_escape(out, (unsigned char)s.ptr[i]);
        from = i + 1;
    }
    buf_append_char(out, '"');
}
