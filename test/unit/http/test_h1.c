/* test_h1.c - HTTP/1.1 over real sockets: replies of every kind, pieces, pipelining, limits, slow and
 * vanishing clients, malformed requests. */
#include "server_fixture.h"

/* Sends a request and returns everything until the server closes (the requests say "connection: close"). */
static char *ask(const char *request)
{
    struct buf in = {0};
    int fd = dial();
    send_text(fd, request);
    while (recv_some(fd, &in))
        ;
    close(fd);
    buf_append_char(&in, '\0');
    return buf_take(&in);
}

#define HEAD_REST "Host: localhost\r\nConnection: close\r\n\r\n"

static void expect(const char *request, const char *status, const char *part)
{
    char *reply = ask(request);
    if (strncmp(reply, "HTTP/1.1 ", 9) != 0 || strncmp(reply + 9, status, 3) != 0 ||
        strstr(reply, part) == NULL)
        fail_msg("request:\n%s\nreply:\n%s\nexpected %s and: %s", request, reply, status, part);
    free(reply);
}

static void test_replies(void **state)
{
    expect("GET /echo/a%2Fb?q=x%20y HTTP/1.1\r\n" HEAD_REST, "200",
           "\r\n\r\nGET /echo/a%2Fb name=a/b q=x y body=");
    expect("GET /echo/x HTTP/1.1\r\n" HEAD_REST, "200", "x-test: a  evil: 1\r\n");
    expect("GET /echo/x HTTP/1.1\r\n" HEAD_REST, "200", "connection: close\r\n");
    expect("GET /echo/x HTTP/1.0\r\n\r\n", "200", "content-length: 27\r\n");
    expect("GET /later HTTP/1.1\r\n" HEAD_REST, "200", "content-length: 5\r\n");
    expect("POST /echo/x HTTP/1.1\r\nContent-Length: 4\r\n" HEAD_REST "data", "200", "body=data");
    expect("POST /echo/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD_REST
           "2\r\nda\r\n2\r\nta\r\n0\r\n\r\n",
           "200", "body=data");
    expect("GET /fail HTTP/1.1\r\n" HEAD_REST, "404",
           "{\"error_code\":40400,\"message\":\"no \\\"thing\\\" here\"}");
    expect("GET /nothing HTTP/1.1\r\n" HEAD_REST, "404",
           "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}");
    expect("DELETE /later HTTP/1.1\r\n" HEAD_REST, "405", "allow: GET\r\n");
    expect("OPTIONS /echo/x HTTP/1.1\r\n" HEAD_REST, "204", "allow: GET, POST\r\n");
    expect("GET /ws HTTP/1.1\r\n" HEAD_REST, "426", "upgrade: websocket\r\n");
    expect("GET /echo/%zz HTTP/1.1\r\n" HEAD_REST, "400", "malformed");
    expect("GET /rows HTTP/1.1\r\n" HEAD_REST, "200",
           "transfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\nrow 0\n\r\n6\r\nrow 1\n\r\n");
    expect("GET /rows HTTP/1.1\r\n" HEAD_REST, "200", "6\r\nrow 4\n\r\n0\r\n\r\n");
    expect("GET /rows HTTP/1.0\r\n\r\n", "200", "\r\n\r\nrow 0\nrow 1\nrow 2\nrow 3\nrow 4\n");
    expect("POST /duplex HTTP/1.1\r\nContent-Length: 4\r\n" HEAD_REST "data", "200",
           "4\r\ndata\r\n0\r\n\r\n");
}

static void test_head_and_blob(void **state)
{
    char *reply = ask("HEAD /echo/x HTTP/1.1\r\n" HEAD_REST);
    assert_non_null(strstr(reply, "content-length: 28\r\n"));
    assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    free(reply);
    reply = ask("HEAD /rows HTTP/1.1\r\n" HEAD_REST);
    assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    free(reply);
    expect("GET /blob HTTP/1.1\r\n" HEAD_REST, "200", "\r\n\r\nbody{}");
    expect("GET /blob HTTP/1.1\r\nAccept-Encoding: gzip, br\r\n" HEAD_REST, "200", "\r\n\r\nGZIPPED");
    expect("GET /blob HTTP/1.1\r\nAccept-Encoding: gzip, br\r\n" HEAD_REST, "200",
           "content-encoding: gzip\r\n");
    expect("GET /blob HTTP/1.1\r\n" HEAD_REST, "200", "cache-control: public, max-age=9\r\n");
    reply = ask("GET /blob HTTP/1.1\r\nIf-None-Match: \"x\", W/\"tag\"\r\n" HEAD_REST);
    assert_non_null(strstr(reply, "HTTP/1.1 304 Not Modified\r\n"));
    assert_null(strstr(reply, "content-length"));
    free(reply);
}

static void test_broken_off(void **state)
{
    char *reply = ask("GET /abort HTTP/1.1\r\n" HEAD_REST);
    assert_null(strstr(reply, "\r\n0\r\n\r\n")); /* the client sees that the end is missing */
    free(reply);
}

static void test_guard(void **state)
{
    expect("GET /echo/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "421", "http.hosts");
    expect("GET /echo/x HTTP/1.1\r\nOrigin: http://evil.example\r\n" HEAD_REST, "403", "other origins");
    expect("GET /echo/x HTTP/1.1\r\nOrigin: null\r\n" HEAD_REST, "403", "other origins");
    expect("POST /echo/x HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 1\r\n" HEAD_REST "x",
           "403", "other origins");
    expect("GET /nothing HTTP/1.1\r\nOrigin: http://evil.example\r\n" HEAD_REST, "403", "other origins");
    expect("GET /echo/x HTTP/1.1\r\nOrigin: http://dev:5173\r\n" HEAD_REST, "200",
           "access-control-allow-origin: http://dev:5173\r\n");
    expect("OPTIONS /echo/x HTTP/1.1\r\nOrigin: http://dev:5173\r\nAccess-Control-Request-Headers: "
           "x-a\r\n" HEAD_REST,
           "204", "access-control-allow-headers: x-a\r\n");
    expect(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Connection: close\r\n\r\n",
        "403", "other origins");
}

static void test_malformed(void **state)
{
    expect("NONSENSE\r\n\r\n", "400", "request line");
    expect("GET / HTTP/1.1\r\n\r\n", "400", "Host is missing");
    expect("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505", "spoken");
    expect(
        "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "400", "exclude each other");
    expect("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400",
           "chunk");
    expect("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n\r\n", "413", "limit");
    expect("POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n", "413", "limit");
    expect("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "505", "spoken");
    struct buf big = {0};
    buf_append_cstr(&big, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    for (int i = 0; i < 40000; i++)
        buf_append_char(&big, 'x');
    expect(big.ptr, "431", "too large");
    buf_clear(&big);
    buf_append_cstr(&big, "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 30; i++)
        buf_printf(&big, "1388\r\n%05000d\r\n", 0);
    expect(big.ptr, "413", "limit"); /* 150,000 bytes where 100,000 are allowed */
    buf_fini(&big);
    unsigned seed = 7;
    for (int i = 0; i < 50; i++) {
        char junk[300];
        for (size_t j = 0; j < sizeof junk; j++)
            junk[j] = (char)rand_r(&seed);
        int fd = dial();
        send_all(fd, junk, sizeof junk);
        close(fd);
    }
    expect("GET /later HTTP/1.1\r\n" HEAD_REST, "200", "later");
}

static void test_byte_by_byte(void **state)
{
    static const char request[] =
        "\r\nPOST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: t\r\n\r\n";
    int fd = dial();
    struct buf in = {0};
    for (size_t i = 0; i < sizeof request - 1; i++) {
        send_all(fd, request + i, 1);
        usleep(200);
    }
    while (recv_some(fd, &in))
        ;
    assert_non_null(strstr(in.ptr, "body=abc"));
    buf_fini(&in);
    close(fd);
}

/* Counts replies by their marks until `count` came; they must be in order. */
static void test_pipelining(void **state)
{
    enum { COUNT = 300 };
    int fd = dial();
    struct buf out = {0}, in = {0};
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            buf_printf(&out, "GET /echo/n%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
        else if (i % 3 == 1)
            buf_printf(&out, "POST /echo/n%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi", i);
        else /* refused, with a body that has to be skipped */
            buf_printf(&out, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345");
    }
    send_all(fd, out.ptr, out.len);
    size_t at = 0;
    for (int i = 0; i < COUNT; i++) {
        char mark[32];
        snprintf(mark, sizeof mark, i % 3 == 2 ? "404 Not Found\"}" : "/echo/n%d name", i);
        char *found;
        while ((found = in.len > at ? strstr(in.ptr + at, mark) : NULL) == NULL)
            assert_true(recv_some(fd, &in));
        at = (size_t)(found - in.ptr) + 1;
    }
    buf_fini(&out);
    buf_fini(&in);
    close(fd);
}

static void test_continue(void **state)
{
    int fd = dial();
    struct buf in = {0};
    send_text(
        fd, "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    while (in.len < 25)
        assert_true(recv_some(fd, &in));
    assert_string_equal(in.ptr, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_clear(&in);
    send_text(fd, "data");
    while (in.len == 0 || strstr(in.ptr, "body=data") == NULL)
        assert_true(recv_some(fd, &in));
    close(fd);
    /* Refused before the body: no 100, and the connection ends. */
    buf_clear(&in);
    fd = dial();
    send_text(
        fd, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    while (recv_some(fd, &in))
        ;
    assert_non_null(strstr(in.ptr, "HTTP/1.1 404"));
    assert_non_null(strstr(in.ptr, "connection: close\r\n"));
    buf_fini(&in);
    close(fd);
}

/* 64 MiB to a client that first does not read: the handler is told to wait, memory stays small, nothing is
 * lost. */
static void test_slow_reader(void **state)
{
    int fd = dial();
    struct buf in = {0};
    send_text(fd, "GET /flood HTTP/1.0\r\n\r\n");
    usleep(200000);
    assert_true(atomic_load(&fulls) > 0);
    size_t total = 0, body = 0;
    while (recv_some(fd, &in)) {
        if (body == 0 && strstr(in.ptr, "\r\n\r\n") != NULL)
            body = (size_t)(strstr(in.ptr, "\r\n\r\n") - in.ptr) + 4;
        total += in.len;
        buf_clear(&in);
    }
    assert_int_equal(total - body, 2048 * (32 << 10));
    assert_true(atomic_load(&drains) > 0);
    assert_true(atomic_load(&waiting_peak) <= 512 << 10);
    buf_fini(&in);
    close(fd);
}

static void test_vanishing_clients(void **state)
{
    int before = atomic_load(&cancels);
    for (int i = 0; i < 4; i++) {
        int fd = dial();
        struct buf in = {0};
        send_text(fd, i % 2 == 0 ? "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                 : "GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(recv_some(fd, &in));
        close(fd);
        buf_fini(&in);
        wait_for(&cancels, before + i + 1);
    }
    for (int i = 0; i < 20; i++) { /* gone before the reply */
        int fd = dial();
        send_text(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
        close(fd);
    }
}

static void test_streamed_body(void **state)
{
    enum { SIZE = 10 << 20 };
    int fd = dial();
    struct buf in = {0};
    char head[128], *body = mem_zalloc(1, SIZE);
    snprintf(head, sizeof head, "POST /sink HTTP/1.1\r\nContent-Length: %d\r\n" HEAD_REST, SIZE);
    send_text(fd, head);
    send_all(fd, body, SIZE);
    while (recv_some(fd, &in))
        ;
    assert_non_null(strstr(in.ptr, "10485760 bytes"));
    assert_true(atomic_load(&body_pieces) > 10);
    buf_fini(&in);
    free(body);
    close(fd);
    expect("POST /small-sink HTTP/1.1\r\nContent-Length: 11\r\n" HEAD_REST "12345678901", "413", "limit");
}

/* The handler uses nothing: the client can send what fits into buffers, no more. */
static void test_stuck_body(void **state)
{
    int fd = dial();
    static char piece[64 << 10];
    send_text(fd, "POST /stuck HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n");
    size_t sent = 0;
    for (int idle = 0; idle < 20;) {
        ssize_t n = send(fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else
            idle++;
        usleep(2000);
    }
    assert_true(sent < 32 << 20);
    assert_true(atomic_load(&body_bytes) <= 96 << 10);
    struct linger hard = {1, 0}; /* a reset: a paused connection does not see an orderly end */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

static void test_slow_head(void **state)
{
    struct buf in = {0};
    int fd = dial();
    send_text(fd, "GET / HT");
    int64_t start_ms = clock_mono_ms();
    assert_false(recv_some(fd, &in)); /* head_ms is 1.5 s in these tests */
    assert_in_range(clock_mono_ms() - start_ms, 1000, 6000);
    close(fd);
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),       cmocka_unit_test(test_head_and_blob),
        cmocka_unit_test(test_broken_off),    cmocka_unit_test(test_guard),
        cmocka_unit_test(test_malformed),     cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_pipelining),    cmocka_unit_test(test_continue),
        cmocka_unit_test(test_slow_reader),   cmocka_unit_test(test_vanishing_clients),
        cmocka_unit_test(test_streamed_body), cmocka_unit_test(test_stuck_body),
        cmocka_unit_test(test_slow_head),
    };
    return cmocka_run_group_tests(tests, serve, unserve);
}
