/* wire.h - Kafka messages: structs and field tables made from spec/kafka, and the walkers over them.
 *
 *   spec/kafka/Fetch.msg --tools/gen_wire.py--> wire_messages.h   struct FetchRequest, WIRE_FetchRequest (its fields),
 *                                                                 FetchRequest_message (versions, key), ...
 *                                               wire_tables.c     the tables
 *   bytes --wire_decode--> struct --wire_encode--> bytes
 *                             \----wire_print----> JSON text   (wire_describe_*: as items of a dump)
 *
 * (W1) Structs and fields have Kafka's own names; a struct inside a message is Message_Struct. Arrays are {at, len}: len -1
 *      is null. Strings and bytes are slices (null: ptr NULL) of the decoded bytes, which must live as long as the
 *      struct; arrays live in the arena.
 * (W2) Every struct starts from its defaults: decoding does it, builders call wire_new and WIRE_ALLOC.
 * (W3) A field that the version lacks is skipped when encoding and has its default after decoding. Null in a field
 *      that may not be null is written as empty.
 * (W4) Bytes from outside are checked: sizes against what is left before anything is allocated.
 * Any thread; nothing here has state.
 */
#ifndef RIALTO_WIRE_WIRE_H
#define RIALTO_WIRE_WIRE_H

#include "base/base.h"

struct uuid {
    uint8_t bytes[16];
};

/* Record batches inside a message: bytes at hand, or (encoding only) a reference to bytes that the sender
 * puts there by itself, for sendfile. Null: bytes.ptr and slice both NULL. */
struct wire_records {
    struct str bytes;
    const void *slice; /* not NULL: only the length is encoded and the place is noted in wire_out.cuts */
    size_t slice_bytes;
};

/* A typed array of a message. */
#define wire_array_of(T) \
    struct {             \
        T *at;           \
        int32_t len;     \
    }

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_INT32,
    WIRE_INT64,
    WIRE_UINT16,
    WIRE_UINT32,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_STRUCT,
};

struct wire_range {
    int16_t min, max; /* inclusive; max < min: none */
};

enum wire_field_flag {
    WIRE_ARRAY = 1,        /* an array of `type` */
    WIRE_DEFAULT_NULL = 2, /* the default is null, otherwise it is `init` (numbers), "" or the empty array */
    WIRE_INFLEXIBLE = 4,   /* keeps the old string form in flexible versions */
    WIRE_SECRET = 8,       /* is not printed */
};

struct wire_struct;

struct wire_field {
    const char *name;
    uint8_t type;  /* enum wire_type */
    uint8_t flags; /* enum wire_field_flag */
    int16_t tag;   /* -1: never tagged */
    uint16_t at;   /* offsetof */
    struct wire_range versions, nullable, tagged;
    const struct wire_struct *sub; /* of WIRE_STRUCT */
    int64_t init;
};

struct wire_struct {
    const char *name;
    const struct wire_field *fields;
    uint16_t field_count;
    uint16_t size; /* sizeof */
};

struct wire_message {
    const char *name;
    int16_t
        api_key; /* of requests and responses; record type of coordinator keys and values; -1 for others */
    int16_t flexible_min; /* first flexible version; INT16_MAX: never */
    struct wire_range versions;
    const struct wire_struct *body;
};

/* Request and response of an API. */
struct wire_api {
    int16_t api_key;
    const char *name;
    const struct wire_message *request, *response;
};

/* NULL when the key is not among the messages we have. */
const struct wire_api *wire_api_find(int16_t api_key);

/* All of them, by ascending key; for dumps and fuzzers. */
const struct wire_api *wire_api_all(size_t *count);

/* The message with this name ("OffsetCommitValue"), or NULL. */
const struct wire_message *wire_message_find(struct str name);

static inline bool wire_is_flexible(const struct wire_message *msg, int16_t version)
{
    return version >= msg->flexible_min;
}

/* --- making structs --- */

/* Sets every field to its default. */
void wire_init(const struct wire_struct *type, void *out);

/* A struct, or `count` of them in a row, in the arena, all fields at their defaults. */
void *wire_new(const struct wire_struct *type, size_t count, struct arena *arena);

/* Makes an array field of structs: WIRE_ALLOC(arena, res->Topics, MetadataResponse_MetadataResponseTopic, n);
 */
#define WIRE_ALLOC(arena, field, T, count) \
    ((field).at = (struct T *)wire_new(&WIRE_##T, (size_t)(count), (arena)), (field).len = (int32_t)(count))

/* --- bytes to structs --- */

enum { WIRE_DECODED_BYTES_MAX = 64 << 20 }; /* arrays of one message may not take more memory than this */

/* Decodes one message body into *out (of msg->body->size bytes). *rest, when not NULL, takes what follows the
 * body; otherwise trailing bytes are accepted silently. False: ERR_INVALID_REQUEST with field, position and
 * cause. */
bool wire_decode(const struct wire_message *msg, int16_t version, struct str bytes, void *out,
                 struct str *rest, struct arena *arena, struct err *err);

/* The header of a request, for known APIs and unknown ones (`known` false; then only the four fixed fields
 * are set). */
struct wire_request {
    int16_t api_key, api_version;
    int32_t correlation_id;
    struct str client_id;       /* may be null */
    const struct wire_api *api; /* NULL: unknown key */
    bool version_known;         /* the version is in the range of the tables */
    struct str body;            /* what follows the header */
};

/* Splits a frame (without its length) into header and body. */
bool wire_decode_request_header(struct str frame, struct wire_request *out, struct arena *arena,
                                struct err *err);

/* Keys and values of the coordinators' topics: an int16 (record type of a key, version of a value), then the
 * struct. Decoding a value checks that we know its version. */
void wire_encode_typed(const struct wire_message *msg, int16_t version, const void *in, struct buf *out);
bool wire_decode_value(const struct wire_message *msg, struct str bytes, void *out, struct arena *arena,
                       struct err *err);

/* --- structs to bytes --- */

struct wire_cut {
    size_t pos;        /* position in buf where the slice's bytes belong */
    const void *slice; /* from wire_records */
    size_t bytes;
};

struct wire_out {
    struct buf buf;
    vec(struct wire_cut) cuts;
};

void wire_out_fini(struct wire_out *out);

/* Appends the body. */
void wire_encode(const struct wire_message *msg, int16_t version, const void *in, struct wire_out *out);

/* A whole response frame: length (cuts included), header of the right version, body. `out` should be empty.
 */
void wire_encode_response(const struct wire_api *api, int16_t version, int32_t correlation_id,
                          const void *res, struct wire_out *out);

/* A whole request frame; for clients and tests. */
void wire_encode_request(const struct wire_api *api, int16_t version, int32_t correlation_id,
                         struct str client_id, const void *req, struct wire_out *out);

/* --- text --- */

/* Appends the struct as one line of JSON with the fields that the version has; bytes and records as base64.
 */
void wire_print(const struct wire_message *msg, int16_t version, const void *in, struct buf *out);

/* The same, with record batches in this function's words: it appends one JSON value. */
typedef void wire_records_fn(struct str batches, struct buf *out);
void wire_print_with(const struct wire_message *msg, int16_t version, const void *in,
                     wire_records_fn *records, struct buf *out);

/* --- dumps --- */

/* Tells a frame (without its length) as fields of the item that is open: header, body with field names. False: nothing was
 * told, *err says what is wrong with it. */
bool wire_describe_request(struct describe *out, struct str frame, wire_records_fn *records,
                           struct wire_request *req, struct arena *arena, struct err *err);
bool wire_describe_response(struct describe *out, struct str frame, const struct wire_api *api,
                            int16_t version, wire_records_fn *records, struct arena *arena, struct err *err);

/* Key and value of a record of a coordinator's topic, as fields of the item that is open: the key's message is the first of
 * those named `<name>Key` with the key's type, the value's is `<name>Value`; "A:B": AKey and BValue. False: it is none of
 * these, nothing was told. */
bool wire_describe_typed(struct describe *out, const char *const *names, size_t name_count, struct str key,
                         struct str value);

/* --- uuids --- */

static inline bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static inline bool uuid_is_zero(struct uuid a)
{
    return uuid_eq(a, (struct uuid){{0}});
}

/* URL-safe base64 without padding, 22 characters. */
void buf_append_uuid(struct buf *buf, struct uuid uuid);

#include "wire_messages.h"

#endif
