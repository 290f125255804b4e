/* fuzz_http_request.c - any bytes as an HTTP/1.1 request: head, routing, query, negotiation, chunked body.
 * Checks that slices stay inside the input and that the decoder's result does not depend on how the bytes are
 * cut. */
#include <stdint.h>
#include <stdlib.h>

#include "http/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
    {"GET", "/", NULL, 0, 0, ""},
    {"GET", "/a/{b}", NULL, 0, 0, ""},
    {"POST", "/a/{b}/{c*}", NULL, 0, 0, ""},
    {"GET", "/ws", NULL, HTTP_WEBSOCKET, 0, ""},
};

static void use_request(const struct h1_head *head, struct arena *arena)
{
    struct exchange ex = {.arena = *arena};
    ex.req = (struct http_request){.method = head->method,
                                   .path = head->path,
                                   .query = head->query,
                                   .headers = head->headers,
                                   .header_count = head->header_count,
                                   .arena = &ex.arena};
    static const char *const types[] = {"application/json", "text/plain"};
    struct route_entry entries[COUNT_OF(routes)];
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        route_entry_init(&entries[i], &routes[i], NULL);
    ignore(route_find(entries, COUNT_OF(entries), head->method, head->path, false, &ex.arena, &ex.match),
           "any answer will do");
    http_param(&ex.req, "b");
    struct str name, value;
    for (size_t pos = 0; http_query_next(&ex.req, &pos, &name, &value);)
        ASSERT(name.ptr != NULL && value.ptr != NULL);
    ASSERT_CMP(http_accept(&ex.req, types, COUNT_OF(types)), <, 2);
    ignore(http_accept_encoding(&ex.req, "gzip"), "any answer will do");
    struct guard_rules rules = {NULL, NULL};
    struct guard_facts facts = {
        head->method, head->host, STR("127.0.0.1"), head->headers, head->header_count, true, false, true};
    const char *why;
    struct str cors;
    ASSERT_CMP(guard_check(&rules, &facts, &why, &cors), >=, 0);
    *arena = ex.arena;
}

static bool decode(struct str all, size_t piece, struct buf *out, size_t *used)
{
    struct chunk_decoder decoder = {0};
    size_t at = 0;
    while (at < all.len && decoder.state != CHUNK_END) {
        struct str in = str_sub(all, at, piece), bytes;
        size_t before = in.len;
        if (!chunk_decode(&decoder, &in, &bytes))
            return false;
        ASSERT(before > in.len || bytes.len > 0);
        buf_append_str(out, bytes);
        at += before - in.len;
    }
    *used = at;
    return true;
}

static void check_chunks(struct str body)
{
    struct buf whole = {0}, single = {0};
    size_t used_whole = 0, used_single = 0;
    bool ok_whole = decode(body, SIZE_MAX, &whole, &used_whole);
    bool ok_single = decode(body, 1, &single, &used_single);
    ASSERT_CMP(ok_whole, ==, ok_single);
    ASSERT_CMP(used_whole, ==, used_single);
    ASSERT(!ok_whole || str_eq(buf_str(&whole), buf_str(&single)));
    buf_fini(&whole);
    buf_fini(&single);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h1_limits limits = {16384, 32};
    struct arena arena = {0};
    struct str input = str_of((const char *)data, size);
    size_t scanned = 0, len = h1_head_len(input, &scanned);
    ASSERT_CMP(len, <=, size);
    if (len > 0) {
        struct h1_head head;
        struct h1_fault fault;
        char *copy = mem_dup(data, len);
        if (h1_parse_head(copy, len, &limits, &arena, &head, &fault))
            use_request(&head, &arena);
        else
            ASSERT(fault.status >= 400 && fault.text != NULL);
        free(copy);
    }
    check_chunks(str_sub(input, len, SIZE_MAX));
    arena_fini(&arena);
    return 0;
}
