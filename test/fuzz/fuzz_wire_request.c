/* Any bytes as a request: header and body decode, or fail with an error; what decodes encodes, decodes again to the same and
 * prints. The frame's own key and version choose the message, so every request at each version is reached. */
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(const struct wire_message *msg, int16_t version, struct str bytes, struct arena *arena)
{
    struct wire_out first = {0}, second = {0};
    struct buf text = {0};
    struct err err;
    void *body = arena_zalloc(arena, 1, msg->body->size), *again = arena_zalloc(arena, 1, msg->body->size);
    if (wire_decode(msg, version, bytes, body, NULL, arena, &err)) {
        wire_encode(msg, version, body, &first);
        bool good = wire_decode(msg, version, buf_str(&first.buf), again, NULL, arena, &err);
        ASSERT(good);
        wire_encode(msg, version, again, &second);
        ASSERT(str_eq(buf_str(&first.buf), buf_str(&second.buf)));
        wire_print(msg, version, body, &text);
    }
    buf_fini(&text);
    wire_out_fini(&first);
    wire_out_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct wire_request req;
    struct err err;
    if (wire_decode_request_header(str_of((const char *)data, size), &req, &arena, &err) &&
        req.version_known) {
        check_body(req.api->request, req.api_version, req.body, &arena);
        check_body(req.api->response, req.api_version, req.body, &arena);
    }
    arena_fini(&arena);
    return 0;
}
