/* describe.c - frames and coordinators' records as items of a dump. Bytes are from anywhere. */
#include "wire/wire_int.h"

enum { API_VERSIONS_KEY = 18 }; /* its response never has tagged fields in the header */

static void tell_body(struct describe *out, const struct wire_message *msg, int16_t version, const void *body,
                      wire_records_fn *records)
{
    struct buf json = {0};
    wire_print_with(msg, version, body, records, &json);
    describe_json(out, "body", buf_str(&json));
    buf_fini(&json);
}

static void tell_api(struct describe *out, const char *name, int16_t api_key, int16_t version,
                     int32_t correlation_id)
{
    describe_cstr(out, "api", name);
    describe_number(out, "api_key", api_key);
    describe_number(out, "version", version);
    describe_number(out, "correlation_id", correlation_id);
}

bool wire_describe_request(struct describe *out, struct str frame, wire_records_fn *records,
                           struct wire_request *req, struct arena *arena, struct err *err)
{
    void *body = NULL;
    if (!wire_decode_request_header(frame, req, arena, err))
        return false;
    if (req->version_known) {
        body = arena_zalloc(arena, 1, req->api->request->body->size);
        if (!wire_decode(req->api->request, req->api_version, req->body, body, NULL, arena, err))
            return false;
    }
    describe_number(out, "bytes", (int64_t)frame.len);
    tell_api(out, req->api != NULL ? req->api->name : "unknown", req->api_key, req->api_version,
             req->correlation_id);
    describe_text(out, "client_id", req->client_id);
    if (body != NULL)
        tell_body(out, req->api->request, req->api_version, body, records);
    else
        describe_text(out, "unknown_version", req->body);
    return true;
}

bool wire_describe_response(struct describe *out, struct str frame, const struct wire_api *api,
                            int16_t version, wire_records_fn *records, struct arena *arena, struct err *err)
{
    struct ResponseHeader header;
    struct str rest;
    if (!wire_in(api->response->versions, version))
        return err_set(err, ERR_UNSUPPORTED_VERSION, "%s has no version %d here", api->response->name,
                       version);
    bool tagged = wire_is_flexible(api->response, version) && api->api_key != API_VERSIONS_KEY;
    if (!wire_decode(&ResponseHeader_message, tagged ? 1 : 0, frame, &header, &rest, arena, err))
        return false;
    void *body = arena_zalloc(arena, 1, api->response->body->size);
    if (!wire_decode(api->response, version, rest, body, NULL, arena, err))
        return false;
    describe_number(out, "bytes", (int64_t)frame.len);
    tell_api(out, api->name, api->api_key, version, header.CorrelationId);
    tell_body(out, api->response, version, body, records);
    return true;
}

/* The message `<name><suffix>`, or NULL. */
static const struct wire_message *find(struct str name, const char *suffix, struct arena *arena)
{
    return wire_message_find(str_printf(arena, "%.*s%s", STR_ARG(name), suffix));
}

static void tell_field(struct describe *out, const char *name, const struct wire_message *msg,
                       int16_t version, const void *in)
{
    struct buf json = {0};
    wire_print(msg, version, in, &json);
    describe_json(out, name, buf_str(&json));
    buf_fini(&json);
}

static void tell_value(struct describe *out, const struct wire_message *msg, struct str value,
                       struct arena *arena)
{
    struct err err;
    if (msg == NULL || str_is_null(value)) {
        describe_text(out, "value", value);
        return;
    }
    void *fields = arena_zalloc(arena, 1, msg->body->size);
    if (!wire_decode_value(msg, value, fields, arena, &err)) {
        describe_text(out, "value", value);
        describe_cstr(out, "check", err.text);
        return;
    }
    describe_number(out, "value_version", load_be16(value.ptr));
    tell_field(out, "value", msg, (int16_t)load_be16(value.ptr), fields);
}

bool wire_describe_typed(struct describe *out, const char *const *names, size_t name_count, struct str key,
                         struct str value)
{
    struct arena arena = {0};
    bool told = false;
    for (size_t i = 0; !told && key.len >= 2 && i < name_count; i++) {
        struct str value_name = str_from(names[i]), key_name;
        bool own = !str_split(&value_name, ':', &key_name) || str_is_null(value_name);
        const struct wire_message *msg = find(key_name, "Key", &arena);
        if (msg == NULL || msg->api_key != (int16_t)load_be16(key.ptr))
            continue;
        void *fields = arena_zalloc(&arena, 1, msg->body->size);
        if (!wire_decode(msg, msg->versions.min, str_sub(key, 2, SIZE_MAX), fields, NULL, &arena, NULL))
            break;
        describe_text(out, "type", key_name);
        tell_field(out, "key", msg, msg->versions.min, fields);
        tell_value(out, find(own ? key_name : value_name, "Value", &arena), value, &arena);
        told = true;
    }
    arena_fini(&arena);
    return told;
}
