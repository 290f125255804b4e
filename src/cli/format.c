/* format.c - records as text and back. */
#include "cli/format_int.h"

#include <stdio.h>
#include <time.h>

#include "base/utf8.h"
#include "json/json.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void format_unescape(struct str text, struct buf *out)
{
    static const char letters[] = "ntr0\\", bytes[] = "\n\t\r\0\\";
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = NULL;
        if (text.ptr[i] == '\\' && i + 1 < text.len)
            letter = memchr(letters, text.ptr[i + 1], sizeof letters - 1);
        bool hex = text.ptr[i] == '\\' && i + 3 < text.len && text.ptr[i + 1] == 'x' &&
                   hex_digit(text.ptr[i + 2]) >= 0 && hex_digit(text.ptr[i + 3]) >= 0;
        if (hex) {
            buf_append_char(out, (char)(hex_digit(text.ptr[i + 2]) << 4 | hex_digit(text.ptr[i + 3])));
            i += 3;
        } else if (letter != NULL) {
            buf_append_char(out, bytes[letter - letters]);
            i++;
        } else {
            buf_append_char(out, text.ptr[i]);
        }
    }
}

static void put_headers(const struct record *rec, struct buf *out)
{
    struct str rest = rec->headers;
    struct record_header header;
    for (int32_t i = 0; i < rec->header_count && record_header_next(&rest, &header); i++)
        buf_printf(out, "%s%.*s=%.*s", i > 0 ? "," : "", STR_ARG(header.key),
                   str_is_null(header.value) ? 4 : (int)header.value.len,
                   str_is_null(header.value) ? "NULL" : header.value.ptr);
}

static bool put_letter(char letter, const struct kafka_record *rec, struct buf *out)
{
    const struct record *r = &rec->rec;
    switch (letter) {
    case 't':
        buf_append_str(out, rec->topic);
        break;
    case 'p':
        buf_append_i64(out, rec->partition);
        break;
    case 'o':
        buf_append_i64(out, r->offset);
        break;
    case 'k':
        buf_append(out, r->key.ptr, r->key.len);
        break;
    case 's':
        buf_append(out, r->value.ptr, r->value.len);
        break;
    case 'h':
        put_headers(r, out);
        break;
    case 'T':
        buf_append_i64(out, r->timestamp_ms);
        break;
    case 'K':
        buf_append_i64(out, str_is_null(r->key) ? -1 : (int64_t)r->key.len);
        break;
    case 'S':
        buf_append_i64(out, str_is_null(r->value) ? -1 : (int64_t)r->value.len);
        break;
    case '%':
        buf_append_char(out, '%');
        break;
    default:
        return false;
    }
    return true;
}

bool format_record(struct str format, const struct kafka_record *rec, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%') {
            buf_append_char(out, format.ptr[i]);
            continue;
        }
        char letter = i + 1 < format.len ? format.ptr[i + 1] : '\0';
        if (!put_letter(letter, rec, out))
            return err_set(err, ERR_USAGE, "the format has an unknown letter: %%%c",
                           letter != '\0' ? letter : ' ');
        i++;
    }
    return true;
}

/* JSON ---------------------------------------------------------------------------------------------------- */

static void put_bytes(struct json_writer *writer, const char *name, struct str bytes)
{
    json_key_begin(writer, name);
    if (str_is_null(bytes) || utf8_valid(bytes)) {
        json_str(writer, bytes);
        return;
    }
    json_object_begin(writer);
    json_key_begin(writer, "b64");
    json_base64(writer, bytes);
    json_object_end(writer);
}

static void put_time(struct json_writer *writer, int64_t ms)
{
    char text[64];
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    int rest = (int)(ms % 1000);
    json_key_begin(writer, "timestamp");
    /* Times before 1970 and beyond year 9999 have no RFC 3339 form. */
    if (ms < 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099) {
        json_i64(writer, ms);
        return;
    }
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", rest);
    json_cstr(writer, text);
}

void format_record_json(const struct kafka_record *rec, struct buf *out)
{
    struct json_writer writer = {.out = out};
    struct str rest = rec->rec.headers;
    struct record_header header;
    json_object_begin(&writer);
    json_key_str(&writer, "topic", rec->topic);
    json_key_i64(&writer, "partition", rec->partition);
    json_key_i64(&writer, "offset", rec->rec.offset);
    put_time(&writer, rec->rec.timestamp_ms);
    json_key_begin(&writer, "headers");
    json_array_begin(&writer);
    for (int32_t i = 0; i < rec->rec.header_count && record_header_next(&rest, &header); i++) {
        json_object_begin(&writer);
        put_bytes(&writer, "key", header.key);
        put_bytes(&writer, "value", header.value);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    put_bytes(&writer, "key", rec->rec.key);
    put_bytes(&writer, "value", rec->rec.value);
    json_object_end(&writer);
    buf_append_char(out, '\n');
}

/* A member that put_bytes wrote. */
static bool get_bytes(const struct json_value *object, const char *name, struct str *out, struct arena *arena,
                      struct err *err)
{
    const struct json_value *value = json_get(object, str_from(name));
    *out = STR_NULL;
    if (value == NULL || value->kind == JSON_NULL)
        return true;
    if (value->kind == JSON_STRING) {
        *out = value->str;
        return true;
    }
    const struct json_value *base64 = json_get(value, STR("b64"));
    struct buf bytes = {0};
    bool ok = base64 != NULL && base64->kind == JSON_STRING && buf_append_base64_decoded(&bytes, base64->str);
    if (ok)
        *out = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    return ok || err_set(err, ERR_USAGE, "\"%s\" must be a text, null or {\"b64\": ...}", name);
}

static bool get_time(const struct json_value *object, int64_t *ms, struct err *err)
{
    const struct json_value *value = json_get(object, STR("timestamp"));
    *ms = -1;
    if (value == NULL || value->kind == JSON_NULL || json_to_i64(value, ms))
        return true;
    struct tm tm = {0};
    int milli = 0, used = 0;
    char text[32];
    bool ok = value->kind == JSON_STRING && value->str.len < sizeof text;
    if (ok) {
        snprintf(text, sizeof text, "%.*s", STR_ARG(value->str));
        ok = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                    &tm.tm_min, &tm.tm_sec, &used) == 6;
    }
    if (ok && text[used] == '.') {
        int more = 0;
        ok = sscanf(text + used, ".%3d%n", &milli, &more) == 1 && more == 4;
        used += more;
    }
    if (!ok || strcmp(text + used, "Z") != 0)
        return err_set(err, ERR_USAGE,
                       "\"timestamp\" must be a time like 2026-01-31T12:00:00.123Z, or milliseconds");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ms = (int64_t)timegm(&tm) * 1000 + milli;
    return true;
}

bool format_parse_json(struct str line, struct format_record *out, struct arena *arena, struct err *err)
{
    const struct json_value *object = json_parse(line, arena, err);
    *out = (struct format_record){.timestamp_ms = -1};
    if (object == NULL)
        return false;
    if (object->kind != JSON_OBJECT)
        return err_set(err, ERR_USAGE, "a record must be a JSON object, not %s",
                       json_kind_name(object->kind));
    if (!get_bytes(object, "key", &out->key, arena, err) ||
        !get_bytes(object, "value", &out->value, arena, err) || !get_time(object, &out->timestamp_ms, err))
        return false;
    const struct json_value *headers = json_get(object, STR("headers"));
    if (headers == NULL || headers->kind == JSON_NULL)
        return true;
    if (headers->kind != JSON_ARRAY)
        return err_set(err, ERR_USAGE, "\"headers\" must be a list of {\"key\", \"value\"}");
    out->headers = arena_array(arena, struct record_header, headers->len);
    out->header_count = (int32_t)headers->len;
    for (uint32_t i = 0; i < headers->len; i++)
        if (!get_bytes(&headers->elems[i], "key", &out->headers[i].key, arena, err) ||
            !get_bytes(&headers->elems[i], "value", &out->headers[i].value, arena, err))
            return false;
    return true;
}
