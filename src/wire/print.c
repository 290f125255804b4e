/* print.c - structs to one line of JSON, by the same tables: for dumps and for readable test failures. What record batches
 * hold is not known here: whoever knows passes a function. */
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

struct printer {
    struct buf *out;
    int16_t version;
    wire_records_fn *records; /* NULL: base64 */
};

static void print_struct(const struct printer *pr, const struct wire_struct *type, const void *in);

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
    else if ((field->flags & WIRE_SECRET) && s.len != 0)
        buf_printf(out, "\"(%zu bytes hidden)\"", s.len);
    else if (field->type == WIRE_STRING)
        print_text(out, s);
    else
        print_base64(out, s);
}

static void print_value(const struct printer *pr, const struct wire_field *field, const void *at)
{
    struct buf *out = pr->out;
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
        else if (pr->records != NULL && !str_is_null(records->bytes))
            pr->records(records->bytes, out);
        else
            print_slice(field, records->bytes, out);
        break;
    }
    case WIRE_STRUCT:
        print_struct(pr, field->sub, at);
        break;
    default:
        print_number(field, at, out);
    }
}

static void print_field(const struct printer *pr, const struct wire_field *field, const void *at)
{
    struct buf *out = pr->out;
    if (wire_is_pointer(field)) {
        const void *target = *(const void *const *)at;
        if (target == NULL)
            buf_append_str(out, STR("null"));
        else
            print_struct(pr, field->sub, target);
        return;
    }
    if (!(field->flags & WIRE_ARRAY)) {
        print_value(pr, field, at);
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
        print_value(pr, field, array->at + (size_t)i * wire_value_size(field));
    }
    buf_append_char(out, ']');
}

static void print_struct(const struct printer *pr, const struct wire_struct *type, const void *in)
{
    const char *separator = "{";
    for (size_t i = 0; i < type->field_count; i++) {
        const struct wire_field *field = &type->fields[i];
        if (!wire_in(field->versions, pr->version))
            continue;
        buf_printf(pr->out, "%s\"%s\":", separator, field->name);
        print_field(pr, field, (const char *)in + field->at);
        separator = ",";
    }
    buf_append_cstr(pr->out, *separator == '{' ? "{}" : "}");
}

void wire_print_with(const struct wire_message *msg, int16_t version, const void *in,
                     wire_records_fn *records, struct buf *out)
{
    struct printer pr = {out, version, records};
    print_struct(&pr, msg->body, in);
}

void wire_print(const struct wire_message *msg, int16_t version, const void *in, struct buf *out)
{
    wire_print_with(msg, version, in, NULL, out);
}
