/* encode.c - structs to bytes: one walker over the field tables.
 *
 * Records that the sender puts on the socket by itself (sendfile) leave a cut: only their length is written, and the
 * place is noted. A tagged field's size stands before it and is known only after it: the field is encoded at the end of
 * the buffer and moved up by the few bytes of its size. No cut is ever inside a tagged field: records are never tagged.
 */
#include "wire/wire_int.h"

struct writer {
    struct wire_out *out;
    int16_t version;
    bool flexible;
};

static void put_be(struct buf *buf, uint64_t v, size_t n)
{
    char *at = buf_extend(buf, n);
    for (size_t i = n; i-- > 0; v >>= 8)
        at[i] = (char)v;
}

static void put_uvarint(struct buf *buf, uint64_t v)
{
    uint8_t bytes[10];
    buf_append(buf, bytes, varint_encode(bytes, v));
}

/* len -1 is null. */
static void put_length(struct writer *wr, bool compact, size_t wide, int64_t len)
{
    if (compact)
        put_uvarint(&wr->out->buf, (uint64_t)(len + 1));
    else
        put_be(&wr->out->buf, (uint64_t)len, wide);
}

static void put_slice(struct writer *wr, const struct wire_field *field, struct str s)
{
    bool compact = wr->flexible && !(field->flags & WIRE_INFLEXIBLE);
    bool null = str_is_null(s) && wire_in(field->nullable, wr->version);
    size_t wide = field->type == WIRE_STRING ? 2 : 4;
    ASSERT(compact || wide == 4 || s.len <= INT16_MAX);
    put_length(wr, compact, wide, null ? -1 : (int64_t)s.len);
    if (!str_is_null(s))
        buf_append_str(&wr->out->buf, s);
}

static void put_records(struct writer *wr, const struct wire_field *field, const struct wire_records *records)
{
    if (records->slice == NULL) {
        put_slice(wr, field, records->bytes);
        return;
    }
    put_length(wr, wr->flexible, 4, (int64_t)records->slice_bytes);
    vec_push(&wr->out->cuts, (struct wire_cut){.pos = wr->out->buf.len,
                                               .slice = records->slice,
                                               .bytes = records->slice_bytes});
}

static void encode_struct(struct writer *wr, const struct wire_struct *type, const void *in);

static void encode_value(struct writer *wr, const struct wire_field *field, const void *at)
{
    struct buf *buf = &wr->out->buf;
    switch ((enum wire_type)field->type) {
    case WIRE_BOOL:
        put_be(buf, *(const bool *)at, 1);
        break;
    case WIRE_INT8:
        put_be(buf, *(const uint8_t *)at, 1);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        put_be(buf, *(const uint16_t *)at, 2);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        put_be(buf, *(const uint32_t *)at, 4);
        break;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        put_be(buf, *(const uint64_t *)at, 8);
        break;
    case WIRE_UUID:
        buf_append(buf, at, sizeof(struct uuid));
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
        put_slice(wr, field, *(const struct str *)at);
        break;
    case WIRE_RECORDS:
        put_records(wr, field, at);
        break;
    case WIRE_STRUCT:
        encode_struct(wr, field->sub, at);
        break;
    }
}

static void encode_array(struct writer *wr, const struct wire_field *field, const wire_any_array *array)
{
    bool null = array->len < 0 && wire_in(field->nullable, wr->version);
    put_length(wr, wr->flexible, 4, null ? -1 : MAX(array->len, 0));
    for (int32_t i = 0; i < array->len; i++)
        encode_value(wr, field, array->at + (size_t)i * wire_value_size(field));
}

static void encode_field(struct writer *wr, const struct wire_field *field, const void *at)
{
    if (field->flags & WIRE_ARRAY) {
        encode_array(wr, field, at);
    } else if (wire_is_pointer(field)) {
        const void *target = *(const void *const *)at;
        put_be(&wr->out->buf, target ? 1 : UINT8_MAX, 1);
        if (target != NULL)
            encode_struct(wr, field->sub, target);
    } else {
        encode_value(wr, field, at);
    }
}

/* The value is what a reader assumes when the field is missing. */
static bool is_default(const struct wire_field *field, const void *at)
{
    bool null_default = field->flags & WIRE_DEFAULT_NULL;
    if (field->flags & WIRE_ARRAY)
        return null_default ? ((const wire_any_array *)at)->len < 0 : ((const wire_any_array *)at)->len == 0;
    if (wire_is_pointer(field))
        return *(const void *const *)at == NULL;
    if (field->type == WIRE_STRING || field->type == WIRE_BYTES) {
        struct str s = *(const struct str *)at;
        return null_default ? str_is_null(s) : s.len == 0;
    }
    if (field->type == WIRE_STRUCT) {
        for (size_t i = 0; i < field->sub->field_count; i++)
            if (!is_default(&field->sub->fields[i], (const char *)at + field->sub->fields[i].at))
                return false;
        return true;
    }
    if (field->type == WIRE_UUID)
        return uuid_is_zero(*(const struct uuid *)at);
    ASSERT(field->type != WIRE_RECORDS);
    /* Numbers are little-endian in memory: the low bytes of `init` are the default. */
    return memcmp(at, &field->init, wire_value_size(field)) == 0;
}

static void encode_tagged_field(struct writer *wr, const struct wire_field *field, const void *at)
{
    struct buf *buf = &wr->out->buf;
    put_uvarint(buf, (uint64_t)field->tag);
    size_t start = buf->len;
    encode_field(wr, field, at);
    uint8_t size[10];
    size_t value_len = buf->len - start, size_len = varint_encode(size, value_len);
    buf_extend(buf, size_len);
    memmove(buf->ptr + start + size_len, buf->ptr + start, value_len);
    memcpy(buf->ptr + start, size, size_len);
}

/* Tagged fields in ascending order of their tags; there are few, so each is looked for anew. */
static void encode_tagged(struct writer *wr, const struct wire_struct *type, const void *in)
{
    size_t count = 0;
    int16_t tag_max = -1;
    for (size_t i = 0; i < type->field_count; i++) {
        const struct wire_field *field = &type->fields[i];
        if (wire_is_tagged(field, wr->version) && !is_default(field, (const char *)in + field->at)) {
            tag_max = MAX(tag_max, field->tag);
            count++;
        }
    }
    put_uvarint(&wr->out->buf, count);
    for (int16_t tag = 0; tag <= tag_max; tag++)
        for (size_t i = 0; i < type->field_count; i++) {
            const struct wire_field *field = &type->fields[i];
            const void *at = (const char *)in + field->at;
            if (field->tag == tag && wire_is_tagged(field, wr->version) && !is_default(field, at))
                encode_tagged_field(wr, field, at);
        }
}

static void encode_struct(struct writer *wr, const struct wire_struct *type, const void *in)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (wire_is_plain(&type->fields[i], wr->version))
            encode_field(wr, &type->fields[i], (const char *)in + type->fields[i].at);
    if (wr->flexible)
        encode_tagged(wr, type, in);
}

void wire_encode(const struct wire_message *msg, int16_t version, const void *in, struct wire_out *out)
{
    struct writer wr = {.out = out, .version = version, .flexible = wire_is_flexible(msg, version)};
    encode_struct(&wr, msg->body, in);
}

void wire_out_fini(struct wire_out *out)
{
    buf_fini(&out->buf);
    vec_fini(&out->cuts);
}

/* Writes the length of everything after the length itself. */
static void finish_frame(struct wire_out *out, size_t start)
{
    size_t size = out->buf.len - start - 4;
    for (size_t i = 0; i < out->cuts.len; i++)
        size += out->cuts.at[i].bytes;
    ASSERT_CMP(size, <=, INT32_MAX);
    store_be32(out->buf.ptr + start, (uint32_t)size);
}

enum { API_VERSIONS = 18 };

void wire_encode_response(const struct wire_api *api, int16_t version, int32_t correlation_id,
                          const void *res, struct wire_out *out)
{
    size_t start = out->buf.len;
    ASSERT(out->cuts.len == 0);
    buf_extend(&out->buf, 4);
    /* ApiVersions keeps the old header always: the client does not know yet what we speak. */
    int16_t header_version = wire_is_flexible(api->response, version) && api->api_key != API_VERSIONS;
    struct ResponseHeader header = {.CorrelationId = correlation_id};
    wire_encode(&ResponseHeader_message, header_version, &header, out);
    wire_encode(api->response, version, res, out);
    finish_frame(out, start);
}

void wire_encode_request(const struct wire_api *api, int16_t version, int32_t correlation_id,
                         struct str client_id, const void *req, struct wire_out *out)
{
    size_t start = out->buf.len;
    buf_extend(&out->buf, 4);
    struct RequestHeader header = {.RequestApiKey = api->api_key,
                                   .RequestApiVersion = version,
                                   .CorrelationId = correlation_id,
                                   .ClientId = client_id};
    wire_encode(&RequestHeader_message, wire_is_flexible(api->request, version) ? 2 : 1, &header, out);
    wire_encode(api->request, version, req, out);
    finish_frame(out, start);
}

void wire_encode_typed(const struct wire_message *msg, int16_t version, const void *in, struct buf *out)
{
    struct wire_out tail = {0};
    wire_encode(msg, version, in, &tail);
    /* Records of these topics begin with a type (keys) or a version (values). */
    bool is_key = str_ends_with(str_from(msg->name), STR("Key"));
    put_be(out, (uint16_t)(is_key ? msg->api_key : version), 2);
    buf_append(out, tail.buf.ptr, tail.buf.len);
    wire_out_fini(&tail);
}
