/* print.c - structs to one line of JSON, by the same tables: for dumps and for readable test failures. */
#include "wire/wire_int.h"

static void print_text(struct buf *out, struct str s)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\u%04x", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_char(out, '"');
}

static void print_base64(struct buf *out, struct str s)
{
    buf_append_char(out, '"');
    buf_append_base64(out, s);
    buf_append_char(out, '"');
}

static void print_struct(const struct wire_struct *type, int16_t version, const void *in, struct buf *out);

static void print_number(const struct wire_field *field, const void *at, struct buf *out)
{
    switch ((enum wire_type)field->type) {
    case WIRE_INT8:
        buf_append_i64(out, *(const int8_t *)at);
        break;
    case WIRE_INT16:
        buf_append_i64(out, *(const int16_t *)at);
        break;
    case WIRE_INT32:
        buf_append_i64(out, *(const int32_t *)at);
        break;
    case WIRE_INT64:
        buf_append_i64(out, *(const int64_t *)at);
        break;
    case WIRE_UINT16:
        buf_append_i64(out, *(const uint16_t *)at);
        break;
    case WIRE_UINT32:
        buf_append_i64(out, *(const uint32_t *)at);
        break;
    case WIRE_FLOAT64:
        buf_append_double(out, *(const double *)at);
        break;
    default:
        UNREACHABLE();
    }
}

static void print_slice(const struct wire_field *field, struct str s, struct buf *out)
{
    if (str_is_null(s))
        buf_append_str(out, STR("null"));
    else if (field->type == WIRE_STRING)
        print_text(out, s);
    else
        print_base64(out, s);
}

static void print_value(const struct wire_field *field, int16_t version, const void *at, struct buf *out)
{
    switch ((enum wire_type)field->type) {
    case WIRE_BOOL:
        buf_append_str(out, *(const bool *)at ? STR("true") : STR("false"));
        break;
    case WIRE_UUID:
        buf_append_char(out, '"');
        buf_append_uuid(out, *(const struct uuid *)at);
        buf_append_char(out, '"');
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
        print_slice(field, *(const struct str *)at, out);
        break;
    case WIRE_RECORDS: {
        const struct wire_records *records = at;
        if (records->slice != NULL)
            buf_printf(out, "{\"slice_bytes\":%zu}", records->slice_bytes);
        else
            print_slice(field, records->bytes, out);
        break;
    }
    case WIRE_STRUCT:
        print_struct(field->sub, version, at, out);
        break;
    default:
        print_number(field, at, out);
    }
}

static void print_field(const struct wire_field *field, int16_t version, const void *at, struct buf *out)
{
    if (wire_is_pointer(field)) {
        const void *target = *(const void *const *)at;
        if (target == NULL)
            buf_append_str(out, STR("null"));
        else
            print_struct(field->sub, version, target, out);
        return;
    }
    if (!(field->flags & WIRE_ARRAY)) {
        print_value(field, version, at, out);
        return;
    }
    const wire_any_array *array = at;
    if (array->len < 0) {
        buf_append_str(out, STR("null"));
        return;
    }
    buf_append_char(out, '[');
    for (int32_t i = 0; i < array->len; i++) {
        if (i != 0)
            buf_append_char(out, ',');
        print_value(field, version, array->at + (size_t)i * wire_value_size(field), out);
    }
    buf_append_char(out, ']');
}

static void print_struct(const struct wire_struct *type, int16_t version, const void *in, struct buf *out)
{
    const char *separator = "{";
    for (size_t i = 0; i < type->field_count; i++) {
        const struct wire_field *field = &type->fields[i];
        if (!wire_in(field->versions, version))
            continue;
        buf_printf(out, "%s\"%s\":", separator, field->name);
        print_field(field, version, (const char *)in + field->at, out);
        separator = ",";
    }
    buf_append_cstr(out, *separator == '{' ? "{}" : "}");
}

void wire_print(const struct wire_message *msg, int16_t version, const void *in, struct buf *out)
{
    print_struct(msg->body, version, in, out);
}

/* One frame of the stream. */
static bool print_frame(struct str frame, struct buf *out, struct arena *arena, struct err *err)
{
    struct wire_request req;
    if (!wire_decode_request_header(frame, &req, arena, err))
        return false;
    buf_printf(out, "{\"api\":\"%s\",\"api_key\":%d,\"version\":%d,\"correlation_id\":%d,\"client_id\":",
               req.api ? req.api->name : "unknown", req.api_key, req.api_version, req.correlation_id);
    if (str_is_null(req.client_id))
        buf_append_str(out, STR("null"));
    else
        print_text(out, req.client_id);
    if (req.version_known) {
        void *body = arena_zalloc(arena, 1, req.api->request->body->size);
        if (!wire_decode(req.api->request, req.api_version, req.body, body, NULL, arena, err))
            return false;
        buf_append_str(out, STR(",\"request\":"));
        wire_print(req.api->request, req.api_version, body, out);
    }
    buf_append_str(out, STR("}\n"));
    return true;
}

bool wire_print_stream(struct str stream, struct buf *out, struct err *err)
{
    struct arena arena = {0};
    bool good = true;
    size_t pos = 0;
    while (good && stream.len - pos >= 4) {
        size_t size = load_be32(stream.ptr + pos);
        if (size > stream.len - pos - 4) {
            good = err_set(err, ERR_CORRUPT, "frame at byte %zu says %zu bytes, %zu are there", pos, size,
                           stream.len - pos - 4);
            break;
        }
        arena_reset(&arena);
        good = print_frame(str_sub(stream, pos + 4, size), out, &arena, err);
        if (!good)
            err_context(err, "frame at byte %zu", pos);
        pos += 4 + size;
    }
    arena_fini(&arena);
    return good;
}
