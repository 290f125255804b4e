/* decode.c - bytes to structs: one walker over the field tables.
 *
 * The reader is sticky: after the first failure every read gives 0 and the walk ends soon; one look at `failed` at
 * the end of the walk is enough. The failure remembers field, position and cause.
 *
 * (D1) A length is compared with the bytes that are left before it is believed.
 * (D2) The element count of an array is compared with the bytes left (an element takes at least min_bytes) and with
 *      WIRE_DECODED_BYTES_MAX before the array is allocated.
 * (D3) Recursion is as deep as the tables, never as deep as the bytes say.
 */
#include "wire/wire_int.h"

struct reader {
    const uint8_t *at, *end, *start;
    const struct wire_message *msg;
    struct arena *arena;
    int16_t version;
    bool flexible;
    bool failed;
    size_t decoded_bytes; /* memory of arrays so far */
    const char *field;    /* the field being read */
    struct err *err;
};

static void fail(struct reader *rd, const char *cause)
{
    if (!rd->failed)
        err_set(rd->err, ERR_INVALID_REQUEST, "%s v%d is malformed: field %s at byte %zu: %s", rd->msg->name,
                rd->version, rd->field, (size_t)(rd->at - rd->start), cause);
    rd->failed = true;
    rd->at = rd->end;
}

static size_t left(const struct reader *rd)
{
    return (size_t)(rd->end - rd->at);
}

/* `n` bytes, or NULL after a failure. */
static const uint8_t *take(struct reader *rd, size_t n)
{
    if (n > left(rd)) {
        fail(rd, "the bytes end too early");
        return NULL;
    }
    const uint8_t *at = rd->at;
    rd->at += n;
    return rd->failed ? NULL : at;
}

static uint64_t take_be(struct reader *rd, size_t n)
{
    const uint8_t *at = take(rd, n);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < n; i++)
        v = v << 8 | at[i];
    return v;
}

static uint32_t take_uvarint(struct reader *rd)
{
    uint64_t v = 0;
    size_t n = varint_decode(rd->at, rd->end, &v);
    if (n == 0 || n > 5 || v > UINT32_MAX) {
        fail(rd, "not an unsigned varint of 32 bits");
        return 0;
    }
    rd->at += n;
    return (uint32_t)v;
}

/* Length of a string, bytes or array: -1 is null. `wide` of the old forms is 2 or 4 bytes. */
static int64_t take_length(struct reader *rd, bool compact, size_t wide)
{
    if (compact)
        return (int64_t)take_uvarint(rd) - 1;
    uint64_t v = take_be(rd, wide);
    return wide == 2 ? (int16_t)v : (int32_t)v;
}

/* A length that is not null, or a null that is allowed; -1 for null, which any negative length is, as Kafka reads it. */
static int64_t check_length(struct reader *rd, const struct wire_field *field, int64_t len)
{
    if (len < 0 && !rd->failed && !wire_in(field->nullable, rd->version))
        fail(rd, len == -1 ? "null is not allowed" : "the length is negative");
    return MAX(len, -1);
}

static struct str take_slice(struct reader *rd, const struct wire_field *field)
{
    bool compact = rd->flexible && !(field->flags & WIRE_INFLEXIBLE);
    int64_t len = check_length(rd, field, take_length(rd, compact, field->type == WIRE_STRING ? 2 : 4));
    if (len < 0 || rd->failed)
        return STR_NULL;
    const uint8_t *at = take(rd, (size_t)len);
    return at ? str_of((const char *)at, (size_t)len) : STR_NULL;
}

static void decode_struct(struct reader *rd, const struct wire_struct *type, void *out);

static void decode_value(struct reader *rd, const struct wire_field *field, void *at)
{
    switch ((enum wire_type)field->type) {
    case WIRE_BOOL:
        *(bool *)at = take_be(rd, 1) != 0;
        break;
    case WIRE_INT8:
        *(int8_t *)at = (int8_t)take_be(rd, 1);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(uint16_t *)at = (uint16_t)take_be(rd, 2);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(uint32_t *)at = (uint32_t)take_be(rd, 4);
        break;
    case WIRE_INT64:
    case WIRE_FLOAT64:
        *(uint64_t *)at = take_be(rd, 8);
        break;
    case WIRE_UUID: {
        const uint8_t *bytes = take(rd, 16);
        if (bytes != NULL)
            memcpy(at, bytes, 16);
        break;
    }
    case WIRE_STRING:
    case WIRE_BYTES:
        *(struct str *)at = take_slice(rd, field);
        break;
    case WIRE_RECORDS:
        *(struct wire_records *)at = (struct wire_records){.bytes = take_slice(rd, field)};
        break;
    case WIRE_STRUCT:
        decode_struct(rd, field->sub, at);
        break;
    }
}

/* The fewest bytes that an element takes on the wire. */
static size_t min_bytes(const struct reader *rd, const struct wire_field *field)
{
    static const uint8_t fixed[] = {
        [WIRE_BOOL] = 1,   [WIRE_INT8] = 1,   [WIRE_INT16] = 2,   [WIRE_INT32] = 4, [WIRE_INT64] = 8,
        [WIRE_UINT16] = 2, [WIRE_UINT32] = 4, [WIRE_FLOAT64] = 8, [WIRE_UUID] = 16,
    };
    if (field->type < COUNT_OF(fixed))
        return fixed[field->type];
    if (field->type != WIRE_STRUCT)
        return rd->flexible ? 1 : field->type == WIRE_STRING ? 2 : 4;
    size_t sum = rd->flexible; /* the tagged section's count */
    for (size_t i = 0; i < field->sub->field_count; i++) {
        const struct wire_field *sub = &field->sub->fields[i];
        if (wire_is_plain(sub, rd->version))
            sum += sub->flags & WIRE_ARRAY ? (rd->flexible ? 1 : 4)
                   : wire_is_pointer(sub)  ? 1
                                           : min_bytes(rd, sub);
    }
    return sum;
}

static void decode_array(struct reader *rd, const struct wire_field *field, wire_any_array *out)
{
    int64_t count = check_length(rd, field, take_length(rd, rd->flexible, 4));
    *out = (wire_any_array){.len = count < 0 ? -1 : 0};
    if (count <= 0 || rd->failed)
        return;
    size_t value_size = wire_value_size(field);
    if ((uint64_t)count > left(rd) / MAX(min_bytes(rd, field), (size_t)1)) {
        fail(rd, "more elements than the bytes can hold");
        return;
    }
    rd->decoded_bytes += (size_t)count * value_size;
    if (rd->decoded_bytes > WIRE_DECODED_BYTES_MAX) {
        fail(rd, "the message has too many elements");
        return;
    }
    out->at = arena_zalloc(rd->arena, (size_t)count, value_size);
    out->len = (int32_t)count;
    for (int64_t i = 0; i < count && !rd->failed; i++)
        decode_value(rd, field, out->at + (size_t)i * value_size);
}

static void decode_pointer(struct reader *rd, const struct wire_field *field, void **out)
{
    int8_t present = (int8_t)take_be(rd, 1);
    *out = NULL;
    if (rd->failed)
        return;
    if (present < 0) {
        check_length(rd, field, -1);
        return;
    }
    *out = arena_zalloc(rd->arena, 1, field->sub->size);
    decode_struct(rd, field->sub, *out);
}

static void decode_field(struct reader *rd, const struct wire_field *field, void *at)
{
    rd->field = field->name;
    if (field->flags & WIRE_ARRAY)
        decode_array(rd, field, at);
    else if (wire_is_pointer(field))
        decode_pointer(rd, field, at);
    else
        decode_value(rd, field, at);
}

static const struct wire_field *find_tagged(const struct reader *rd, const struct wire_struct *type,
                                            uint32_t tag)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].tag == (int64_t)tag && wire_is_tagged(&type->fields[i], rd->version))
            return &type->fields[i];
    return NULL;
}

/* The tagged section of a struct; unknown tags are skipped. */
static void decode_tagged(struct reader *rd, const struct wire_struct *type, void *out)
{
    rd->field = "(tagged fields)";
    uint32_t count = take_uvarint(rd);
    int64_t before = -1;
    for (uint32_t i = 0; i < count && !rd->failed; i++) {
        rd->field = "(tagged fields)";
        uint32_t tag = take_uvarint(rd);
        uint32_t size = take_uvarint(rd);
        if ((int64_t)tag <= before) {
            fail(rd, "tags are not in ascending order");
            return;
        }
        before = tag;
        const struct wire_field *field = find_tagged(rd, type, tag);
        const uint8_t *bytes = take(rd, size);
        if (field == NULL || bytes == NULL)
            continue;
        const uint8_t *end = rd->end, *next = rd->at;
        rd->at = bytes;
        rd->end = next;
        decode_field(rd, field, (char *)out + field->at);
        if (!rd->failed && rd->at != next)
            fail(rd, "the tagged field is shorter than its size");
        rd->at = rd->failed ? end : next;
        rd->end = end;
    }
}

static void decode_struct(struct reader *rd, const struct wire_struct *type, void *out)
{
    wire_init(type, out);
    for (size_t i = 0; i < type->field_count && !rd->failed; i++)
        if (wire_is_plain(&type->fields[i], rd->version))
            decode_field(rd, &type->fields[i], (char *)out + type->fields[i].at);
    if (rd->flexible && !rd->failed)
        decode_tagged(rd, type, out);
}

bool wire_decode(const struct wire_message *msg, int16_t version, struct str bytes, void *out,
                 struct str *rest, struct arena *arena, struct err *err)
{
    const uint8_t *start = (const uint8_t *)bytes.ptr;
    struct reader rd = {
        .at = start,
        .end = start + bytes.len,
        .start = start,
        .msg = msg,
        .arena = arena,
        .version = version,
        .flexible = wire_is_flexible(msg, version),
        .field = "(none)",
        .err = err,
    };
    decode_struct(&rd, msg->body, out);
    if (rd.failed)
        return false;
    if (rest != NULL)
        *rest = str_of((const char *)rd.at, left(&rd));
    return true;
}

bool wire_decode_request_header(struct str frame, struct wire_request *out, struct arena *arena,
                                struct err *err)
{
    struct RequestHeader header;
    *out = (struct wire_request){0};
    if (frame.len < 4)
        return err_set(err, ERR_INVALID_REQUEST, "request of %zu bytes is too short for a header", frame.len);
    int16_t api_key = (int16_t)load_be16(frame.ptr);
    int16_t version = (int16_t)load_be16(frame.ptr + 2);
    out->api = wire_api_find(api_key);
    out->version_known = out->api != NULL && wire_in(out->api->request->versions, version);
    int16_t header_version = out->version_known && wire_is_flexible(out->api->request, version) ? 2 : 1;
    if (!wire_decode(&RequestHeader_message, header_version, frame, &header, &out->body, arena, err))
        return false;
    out->api_key = api_key;
    out->api_version = version;
    out->correlation_id = header.CorrelationId;
    out->client_id = header.ClientId;
    return true;
}

bool wire_decode_value(const struct wire_message *msg, struct str bytes, void *out, struct arena *arena,
                       struct err *err)
{
    if (bytes.len < 2)
        return err_set(err, ERR_CORRUPT, "%s of %zu bytes is too short for a version", msg->name, bytes.len);
    int16_t version = (int16_t)load_be16(bytes.ptr);
    if (!wire_in(msg->versions, version))
        return err_set(err, ERR_UNSUPPORTED_VERSION, "%s has version %d, known are %d to %d", msg->name,
                       version, msg->versions.min, msg->versions.max);
    return wire_decode(msg, version, str_sub(bytes, 2, bytes.len), out, NULL, arena, err);
}
