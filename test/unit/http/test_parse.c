/* test_parse.c - the pure parts: heads and chunks against RFC 9112, URLs, Accept, routes, the guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/http_int.h"

static const struct h1_limits limits = {4096, 8};

/* Status of the fault, 0 when the head is good. */
static int parse(const char *text, struct arena *arena, struct h1_head *head)
{
    size_t scanned = 0;
    struct h1_fault fault = {0, ""};
    struct str bytes = str_dup(str_from(text), arena);
    size_t len = h1_head_len(bytes, &scanned);
    assert_int_equal(len, bytes.len);
    return h1_parse_head((char *)bytes.ptr, len, &limits, arena, head, &fault) ? 0 : fault.status;
}

static void test_good_head(void **state)
{
    struct arena arena = {0};
    struct h1_head head;
    assert_int_equal(
        parse("POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: h:80\r\nCONTENT-Length:  12 \r\nX-Empty:\r\n"
              "Expect: 100-continue\r\n\r\n",
              &arena, &head),
        0);
    assert_true(str_eq(head.method, STR("POST")));
    assert_true(str_eq(head.path, STR("/a/b%20c")));
    assert_true(str_eq(head.query, STR("x=1&y")));
    assert_true(str_eq(head.host, STR("h:80")));
    assert_int_equal(head.version, 11);
    assert_int_equal(head.content_length, 12);
    assert_int_equal(head.header_count, 4);
    assert_true(str_eq(head.headers[1].name, STR("content-length")));
    assert_true(str_eq(head.headers[1].value, STR("12")));
    assert_int_equal(head.headers[2].value.len, 0);
    assert_true(head.keep_alive && head.expect_continue && !head.chunked);

    assert_int_equal(
        parse("GET http://name:1/p?q HTTP/1.1\r\nHost: other\r\nConnection: keep-alive, Upgrade\r\n"
              "Upgrade: h2c, websocket\r\n\r\n",
              &arena, &head),
        0);
    assert_true(str_eq(head.host, STR("name:1"))); /* RFC 9112, 3.2.2: the target's host counts */
    assert_true(str_eq(head.path, STR("/p")));
    assert_true(head.upgrade_websocket && head.upgrade_h2c);

    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &arena, &head), 0);
    assert_false(head.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &arena, &head), 0);
    assert_true(head.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\nconnection: close\r\nUpgrade: websocket\r\n\r\n",
                           &arena, &head),
                     0);
    assert_false(head.keep_alive);
    assert_false(head.upgrade_websocket); /* Connection does not say Upgrade */
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                           &arena, &head),
                     0);
    arena_fini(&arena);
}

static void test_bad_heads(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "GET /\r\n\r\n"},
        {400, "GET  HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"},
        {400, "GET / HTTP\r\nHost: h\r\n\r\n"},
        {400, " GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "G@T / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET /\ta HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"},
        {400, "GET / http/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nx: \x01\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {501,
         "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
        {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n"},
        {431, "GET / HTTP/1.1\r\nHost: a\r\n1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n7: \r\n8: \r\n\r\n"},
    };
    struct arena arena = {0};
    struct h1_head head;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (parse(cases[i].text, &arena, &head) != cases[i].status)
            fail_msg("expected %d for: %s", cases[i].status, cases[i].text);
    arena_fini(&arena);
}

/* The end of the head is found whatever the pieces are. */
static void test_head_in_pieces(void **state)
{
    struct str text = STR("GET / HTTP/1.1\r\nHost: h\r\n\r\nbody");
    size_t scanned = 0, head_len = text.len - 4;
    for (size_t n = 0; n < head_len; n++)
        assert_int_equal(h1_head_len(str_sub(text, 0, n), &scanned), 0);
    assert_int_equal(h1_head_len(str_sub(text, 0, head_len), &scanned), head_len);
    scanned = 0;
    assert_int_equal(h1_head_len(text, &scanned), head_len);
}

/* ---- chunks ---- */

static bool decode_all(const char *text, size_t piece, struct buf *out, size_t *used, bool *end)
{
    struct chunk_decoder decoder = {0};
    struct str all = str_from(text);
    size_t at = 0;
    while (at < all.len && decoder.state != CHUNK_END) {
        struct str in = str_sub(all, at, piece), data;
        size_t before = in.len;
        if (!chunk_decode(&decoder, &in, &data))
            return false;
        buf_append_str(out, data);
        at += before - in.len;
    }
    *used = at;
    *end = decoder.state == CHUNK_END;
    return true;
}

static void test_chunks(void **state)
{
    static const struct {
        const char *text, *data;
        size_t left;
        bool end;
    } good[] = {
        {"5\r\nhello\r\n0\r\n\r\n", "hello", 0, true},
        {"1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\nNEXT", "a0123456789", 4, true},
        {"3;ext=\"v\" ;b\r\nabc\r\n0\r\nTrailer: x\r\nMore: y\r\n\r\n", "abc", 0, true},
        {"5\r\nhel", "hel", 0, false},
        {"0\r\n", "", 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        for (size_t piece = 1; piece < 20; piece++) {
            struct buf out = {0};
            size_t used;
            bool end;
            assert_true(decode_all(good[i].text, piece, &out, &used, &end));
            assert_true(str_eq_cstr(buf_str(&out), good[i].data));
            assert_int_equal(strlen(good[i].text) - used, good[i].left);
            assert_int_equal(end, good[i].end);
            buf_fini(&out);
        }
    }
    static const char *const bad[] = {"\r\n",
                                      "g\r\n",
                                      "-1\r\n",
                                      "5\nhello",
                                      "5\r\nhelloX",
                                      "5\r\nhello\rX",
                                      "5 x\r\n",
                                      "5;\n",
                                      "1234567890123456\r\n",
                                      "0x5\r\n",
                                      "5\r\nhello\r\n\r\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf out = {0};
        size_t used;
        bool end;
        if (decode_all(bad[i], 100, &out, &used, &end))
            fail_msg("accepted: %s", bad[i]);
        buf_fini(&out);
    }
}

/* ---- URLs and negotiation ---- */

static void test_url(void **state)
{
    struct arena arena = {0};
    struct str out;
    assert_true(http_url_decode(STR("a%20b%2Fc+d"), false, &arena, &out) && str_eq(out, STR("a b/c+d")));
    assert_true(http_url_decode(STR("a+b%2b"), true, &arena, &out) && str_eq(out, STR("a b+")));
    static const char *const bad[] = {"%", "%1", "a%zz", "%%20"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(http_url_decode(str_from(bad[i]), true, &arena, &out));
    struct http_request req = {.query = STR("a=1&&b&a=2&c=x%3Dy&d=%zz&=e"), .arena = &arena};
    assert_true(str_eq(http_query(&req, "a"), STR("1")));
    assert_true(str_eq(http_query(&req, "b"), STR("")));
    assert_true(str_eq(http_query(&req, "c"), STR("x=y")));
    assert_true(str_eq(http_query(&req, "d"), STR("%zz")));
    assert_true(str_is_null(http_query(&req, "f")));
    arena_fini(&arena);
}

static int accept_of(const char *value)
{
    static const char *const types[] = {"application/json", "application/vnd.ksql.v1+json", "text/plain"};
    struct http_header header = {STR("accept"), str_from(value)};
    struct http_request req = {.headers = &header, .header_count = value != NULL};
    return http_accept(&req, types, COUNT_OF(types));
}

/* RFC 9110, 12.5.1. */
static void test_accept(void **state)
{
    assert_int_equal(accept_of(NULL), 0);
    assert_int_equal(accept_of("*/*"), 0);
    assert_int_equal(accept_of("text/plain"), 2);
    assert_int_equal(accept_of("application/json; charset=utf-8"), 0);
    assert_int_equal(accept_of("application/vnd.ksql.v1+json, application/json"), 1);
    assert_int_equal(accept_of("application/json;q=0.5, application/vnd.ksql.v1+json"), 1);
    assert_int_equal(accept_of("text/*, application/json;q=0.9"), 2);
    assert_int_equal(accept_of("*/*, application/json;q=0"), 1);
    assert_int_equal(accept_of("image/png"), -1);
    assert_int_equal(accept_of("text/plain;q=0"), -1);
    struct http_header header = {STR("accept-encoding"), STR("br, gzip;q=0.8")};
    struct http_request req = {.headers = &header, .header_count = 1};
    assert_true(http_accept_encoding(&req, "gzip"));
    header.value = STR("gzip;q=0, *");
    assert_false(http_accept_encoding(&req, "gzip"));
    assert_true(http_accept_encoding(&req, "br"));
    header.value = STR("identity");
    assert_false(http_accept_encoding(&req, "gzip"));
}

/* ---- routes ---- */

static const struct http_route routes[] = {
    {"GET", "/", NULL, 0, 0, "root"},
    {"GET", "/connectors", NULL, 0, 0, "list"},
    {"POST", "/connectors", NULL, 0, 0, "create"},
    {"GET", "/connectors/{name}", NULL, 0, 0, "one"},
    {"GET", "/connectors/special", NULL, 0, 0, "special"},
    {"PUT", "/connectors/{name}/tasks/{id}", NULL, 0, 0, "task"},
    {"GET", "/ui/{path*}", NULL, 0, 0, "ui"},
    {"GET", "/ui/assets/{path*}", NULL, 0, 0, "assets"},
    {"GET", "/live", NULL, HTTP_WEBSOCKET, 0, "live"},
};

static struct route_entry entries[COUNT_OF(routes)];

/* doc of the route found, or "404", "405", "400", "426". */
static const char *find(const char *method, const char *path, bool ws, struct arena *arena,
                        struct route_match *match)
{
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        route_entry_init(&entries[i], &routes[i], NULL);
    if (!route_find(entries, COUNT_OF(entries), str_from(method), str_from(path), ws, arena, match))
        return "400";
    if (match->entry != NULL)
        return match->entry->route->doc;
    return match->websocket_only ? "426" : match->path_known ? "405" : "404";
}

static void test_routes(void **state)
{
    static const struct {
        const char *method, *path, *found;
    } cases[] = {
        {"GET", "/", "root"},
        {"HEAD", "/", "root"},
        {"GET", "/connectors", "list"},
        {"GET", "/connectors/", "list"},
        {"POST", "/connectors", "create"},
        {"PUT", "/connectors", "405"},
        {"GET", "/connectors/x", "one"},
        {"GET", "/connectors/special", "special"},
        {"GET", "/connectors/a%2Fb", "one"},
        {"GET", "/connectors//", "404"},
        {"GET", "/%63onnectors", "list"},
        {"PUT", "/connectors/a/tasks/0", "task"},
        {"GET", "/connectors/a/tasks", "404"},
        {"GET", "/ui", "ui"},
        {"GET", "/ui/", "ui"},
        {"GET", "/ui/topics/a", "ui"},
        {"GET", "/ui/assets/x.js", "assets"},
        {"GET", "/live", "426"},
        {"GET", "/nothing", "404"},
        {"GET", "/connectors/../x", "400"},
        {"GET", "/connectors/%2e%2E", "400"},
        {"GET", "/connectors/%00", "400"},
        {"GET", "/connectors/%2", "400"},
    };
    struct arena arena = {0};
    struct route_match match;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *found = find(cases[i].method, cases[i].path, false, &arena, &match);
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("%s %s gave %s", cases[i].method, cases[i].path, found);
    }
    assert_string_equal(find("GET", "/live", true, &arena, &match), "live");
    find("PUT", "/connectors/a%2Fb/tasks/7", false, &arena, &match);
    assert_true(str_eq(match.params[1], STR("a/b")));
    assert_true(str_eq(match.params[3], STR("7")));
    find("GET", "/ui/assets/js/x%20y.js", false, &arena, &match);
    assert_true(str_eq(match.params[2], STR("js/x y.js")));
    find("DELETE", "/connectors", false, &arena, &match);
    assert_string_equal(match.allow, "GET, POST");
    arena_fini(&arena);
}

/* ---- guard ---- */

static const char *const no_names[] = {NULL};
static const char *const names[] = {"kafka.lan", NULL};
static const char *const origins[] = {"http://dev:5173", NULL};

struct guard_case {
    int status;
    bool remote;
    const char *host, *origin, *site;
};

static int guard(const struct guard_case *c, const char *const *hosts, const char *mode, bool navigable)
{
    struct http_header headers[4];
    size_t n = 0;
    if (c->origin != NULL)
        headers[n++] = (struct http_header){STR("origin"), str_from(c->origin)};
    if (c->site != NULL)
        headers[n++] = (struct http_header){STR("sec-fetch-site"), str_from(c->site)};
    if (mode != NULL) {
        headers[n++] = (struct http_header){STR("sec-fetch-mode"), str_from(mode)};
        headers[n++] = (struct http_header){STR("sec-fetch-dest"), STR("document")};
    }
    struct guard_rules rules = {hosts, origins};
    struct guard_facts facts = {STR("GET"), str_from(c->host), STR("127.0.0.1"), headers,
                                n,          !c->remote,        navigable,        true};
    const char *why;
    struct str cors;
    return guard_check(&rules, &facts, &why, &cors);
}

static void test_guard(void **state)
{
    static const struct guard_case cases[] = {
        /* programs */
        {0, false, "localhost:8088", NULL, NULL},
        {0, false, "LOCALHOST", NULL, NULL},
        {0, false, "127.0.0.1:8088", NULL, NULL},
        {0, false, "127.8.9.10", NULL, NULL},
        {0, false, "[::1]:80", NULL, NULL},
        {0, false, "caldrop.localhost:80", NULL, NULL},
        /* rebound names */
        {421, false, "evil.example", NULL, NULL},
        {421, false, "127.0.0.1.evil.example", NULL, NULL},
        {421, false, "127.evil.0.1", NULL, NULL},
        {421, false, "evillocalhost", NULL, NULL},
        {421, false, "", NULL, NULL},
        {421, false, "kafka.lan", NULL, NULL},
        {0, true, "kafka.lan:8083", NULL, NULL}, /* another address, no names configured */
        /* pages */
        {0, false, "localhost:8080", "http://localhost:8080", "same-origin"},
        {0, false, "localhost", "http://localhost:80", NULL},
        {403, false, "localhost:8080", "http://localhost:3000", NULL},
        {403, false, "localhost:8080", "http://127.0.0.1:8080", NULL},
        {403, false, "localhost:8080", "http://evil.example", NULL},
        {403, false, "localhost:8080", "null", NULL},
        {403, false, "localhost:8080", "", NULL},
        {403, false, "localhost:8080", "ftp://localhost:8080", NULL},
        {0, false, "localhost:8080", "http://dev:5173", "cross-site"},
        {403, false, "localhost:8080", NULL, "cross-site"},
        {403, false, "localhost:8080", NULL, "same-site"},
        {0, false, "localhost:8080", NULL, "none"},
        {403, true, "kafka.lan:8083", "http://evil.example", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (guard(&cases[i], no_names, NULL, false) != cases[i].status)
            fail_msg("host %s origin %s site %s", cases[i].host, cases[i].origin ? cases[i].origin : "-",
                     cases[i].site ? cases[i].site : "-");
    struct guard_case named = {0, false, "kafka.lan:8083", NULL, NULL};
    assert_int_equal(guard(&named, names, NULL, false), 0);
    struct guard_case remote_other = {421, true, "other.lan", NULL, NULL};
    assert_int_equal(guard(&remote_other, names, NULL, false), 421);
    struct guard_case link = {0, false, "localhost", NULL, "cross-site"};
    assert_int_equal(guard(&link, no_names, "navigate", true), 0); /* a shared link to the page */
    assert_int_equal(guard(&link, no_names, "navigate", false), 403);
    assert_int_equal(guard(&link, no_names, "no-cors", true), 403);
}

/* Key and answer of RFC 6455, 1.3. */
static void test_ws_key(void **state)
{
    char accept[32];
    assert_true(ws_accept_key(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(ws_accept_key(STR("dGhlIHNhbXBsZSBub25j"), accept));
    assert_false(ws_accept_key(STR_NULL, accept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_head),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_head_in_pieces),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_ws_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
