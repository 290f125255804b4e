/* fuzz_wire_fill.c - every message at every version, made whole from the field table, and damaged: what is encoded
 * decodes to what encodes the same and prints; with bytes changed it decodes or fails with an error.
 *
 *   bytes:  message | version | contents, as wire_fill asks for them ...        when they are used up, zeros
 */
#include <stddef.h>
#include <stdint.h>

#include "wire_fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

/* Two bytes of the input a number: enough for all choices, and short inputs make whole messages. */
static uint64_t next_number(void *arg)
{
    struct input *in = arg;
    uint64_t number = 0;
    for (int i = 0; i < 2 && in->at < in->end; i++)
        number = number << 8 | *in->at++;
    return number;
}

/* Decodes what was encoded, which uses it up whole, and encodes it again. */
static void round_trip(const struct wire_message *msg, int16_t version, struct str bytes,
                       struct wire_out *out, struct arena *arena)
{
    struct buf text = {0};
    struct err err;
    struct str rest;
    void *copy = arena_zalloc(arena, 1, msg->body->size);
    bool good = wire_decode(msg, version, bytes, copy, &rest, arena, &err);
    if (!good)
        assert_failed(__FILE__, __LINE__, "wire_decode", "%s version %d: %s", msg->name, version, err.text);
    ASSERT_CMP(rest.len, ==, 0);
    wire_encode(msg, version, copy, out);
    wire_print(msg, version, copy, &text);
    buf_fini(&text);
}

/* The first trip makes null empty where null may not be; from then on nothing changes any more. */
static void check_whole(const struct wire_message *msg, int16_t version, const void *body,
                        struct wire_out *out, struct arena *arena)
{
    struct wire_out first = {0}, again = {0};
    wire_encode(msg, version, body, &first);
    round_trip(msg, version, buf_str(&first.buf), out, arena);
    round_trip(msg, version, buf_str(&out->buf), &again, arena);
    ASSERT(str_eq(buf_str(&out->buf), buf_str(&again.buf)));
    wire_out_fini(&first);
    wire_out_fini(&again);
}

/* Changes a few bytes, or cuts. */
static void check_damaged(const struct wire_message *msg, int16_t version, struct wire_out *out,
                          struct input *in, struct arena *arena)
{
    struct err err;
    void *body = arena_zalloc(arena, 1, msg->body->size);
    for (int i = 0; i < 3 && out->buf.len > 0; i++)
        out->buf.ptr[next_number(in) % out->buf.len] = (char)next_number(in);
    if (next_number(in) % 4 == 1)
        out->buf.len = next_number(in) % (out->buf.len + 1);
    ignore(wire_decode(msg, version, buf_str(&out->buf), body, NULL, arena, &err), "either may be");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str words[] = {STR_INIT("topic"), STR_INIT("group"), STR_INIT("consumer")};
    struct input in = {data, data + size};
    struct arena arena = {0};
    struct wire_out out = {0};
    size_t count;
    const struct wire_api *apis = wire_api_all(&count);
    uint64_t pick = next_number(&in);
    const struct wire_api *api = &apis[pick / 2 % count];
    const struct wire_message *msg = pick % 2 ? api->response : api->request;
    int versions = msg->versions.max - msg->versions.min + 1;
    int16_t version = (int16_t)(msg->versions.min + (int)(next_number(&in) % (uint64_t)versions));
    struct wire_fill fill = {.random = next_number,
                             .arg = &in,
                             .words = words,
                             .word_count = COUNT_OF(words),
                             .array_max = 3,
                             .arena = &arena};
    void *body = arena_zalloc(&arena, 1, msg->body->size);
    wire_fill_struct(&fill, msg->body, body);
    check_whole(msg, version, body, &out, &arena);
    check_damaged(msg, version, &out, &in, &arena);
    wire_out_fini(&out);
    arena_fini(&arena);
    return 0;
}
