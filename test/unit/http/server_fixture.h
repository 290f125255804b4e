/* server_fixture.h - a server with a handler for everything that the tests of HTTP/1.1, HTTP/2 and websockets
 * ask for, and a blocking client socket. Included by one test program each. */
#ifndef RIALTO_TEST_HTTP_SERVER_FIXTURE_H
#define RIALTO_TEST_HTTP_SERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"

static struct net *net;
static struct http_server *server;
static struct pool *pool;
static int port;

static _Atomic int cancels, drains, fulls, body_pieces, ws_opens, ws_closes, last_ws_code;
static _Atomic size_t body_bytes, waiting_peak;

/* ---- handlers ---- */

static void on_echo(struct http_request *req, void *arg)
{
    struct buf out = {0};
    buf_printf(&out, "%.*s %.*s name=%.*s q=%.*s body=", STR_ARG(req->method), STR_ARG(req->path),
               STR_ARG(http_param(req, "name")), STR_ARG(http_query(req, "q")));
    buf_append_str(&out, req->body);
    http_reply_header(req, STR("x-test"), STR("a\r\nevil: 1"));
    http_reply_take(req, 200, STR("text/plain"), &out);
}

static void run_later(void *arg)
{
    usleep(10000);
    http_reply(arg, 200, STR("text/plain"), STR("later"));
}

static void on_later(struct http_request *req, void *arg)
{
    pool_submit(pool, run_later, req, NULL, NULL);
}

/* Lines "row 0" ... from another thread. */
static void run_rows(void *arg)
{
    struct http_request *req = arg;
    http_reply_start(req, 200, STR("text/plain"));
    for (int i = 0; i < 5; i++) {
        char line[32];
        int len = snprintf(line, sizeof line, "row %d\n", i);
        http_reply_write(req, str_of(line, (size_t)len));
        usleep(2000);
    }
    http_reply_end(req);
}

static void on_rows(struct http_request *req, void *arg)
{
    pool_submit(pool, run_rows, req, NULL, NULL);
}

/* 64 MiB in pieces of 32 KiB, as fast as the client takes them: goes on only when drained. */
struct flood {
    int left;
    char piece[32 << 10];
};

static void flood_on(struct http_request *req, struct flood *flood)
{
    enum http_flow flow = HTTP_FLOW_OK;
    while (flood->left > 0 && flow == HTTP_FLOW_OK) {
        memset(flood->piece, 'a' + flood->left % 26, sizeof flood->piece);
        flow = http_reply_write(req, str_of(flood->piece, sizeof flood->piece));
        flood->left--;
        if (http_reply_waiting(req) > atomic_load(&waiting_peak))
            atomic_store(&waiting_peak, http_reply_waiting(req));
    }
    if (flow == HTTP_FLOW_FULL)
        atomic_fetch_add(&fulls, 1);
    if (flow == HTTP_FLOW_FULL && flood->left > 0)
        return;
    free(flood);
    http_reply_end(req);
}

static void on_flood_drain(struct http_request *req, void *arg)
{
    atomic_fetch_add(&drains, 1);
    flood_on(req, arg);
}

static void on_flood_cancel(struct http_request *req, void *arg)
{
    atomic_fetch_add(&cancels, 1);
    free(arg);
    http_reply_end(req);
}

static void on_flood(struct http_request *req, void *arg)
{
    struct flood *flood = mem_new(struct flood);
    flood->left = 2048;
    http_on_drain(req, on_flood_drain, flood);
    http_on_cancel(req, on_flood_cancel, flood);
    http_reply_start(req, 200, STR("application/octet-stream"));
    flood_on(req, flood);
}

/* Endless until the client goes. */
static void on_endless_cancel(struct http_request *req, void *arg)
{
    atomic_fetch_add(&cancels, 1);
}

static void run_endless(void *arg)
{
    while (http_reply_write(arg, STR("tick\n")) != HTTP_FLOW_GONE)
        usleep(2000);
    http_reply_end(arg);
}

static void on_endless(struct http_request *req, void *arg)
{
    http_on_cancel(req, on_endless_cancel, NULL);
    http_reply_start(req, 200, STR("text/plain"));
    pool_submit(pool, run_endless, req, NULL, NULL);
}

/* Streamed body: counted, used at once, answered at its end. */

static void on_sink_piece(struct http_request *req, struct str bytes, bool end, void *arg)
{
    atomic_fetch_add(&body_pieces, 1);
    atomic_fetch_add(&body_bytes, bytes.len);
    if (!end) {
        http_body_used(req, bytes.len);
        return;
    }
    char text[32];
    int len = snprintf(text, sizeof text, "%zu bytes", atomic_load(&body_bytes));
    http_reply(req, 200, STR("text/plain"), str_of(text, (size_t)len));
}

static void on_sink_cancel(struct http_request *req, void *arg)
{
    http_reply(req, 200, STR_NULL, STR(""));
}

static void on_sink(struct http_request *req, void *arg)
{
    http_on_cancel(req, on_sink_cancel, NULL);
    atomic_store(&body_bytes, 0);
    atomic_store(&body_pieces, 0);
    http_on_body(req, on_sink_piece, NULL);
}

/* Takes a body and never uses it: the client must be stopped by the window. */
static void on_stuck_piece(struct http_request *req, struct str bytes, bool end, void *arg)
{
    atomic_fetch_add(&body_bytes, bytes.len);
}

static void on_stuck_cancel(struct http_request *req, void *arg)
{
    atomic_fetch_add(&cancels, 1);
    http_reply(req, 200, STR_NULL, STR(""));
}

static void on_stuck(struct http_request *req, void *arg)
{
    atomic_store(&body_bytes, 0);
    http_on_cancel(req, on_stuck_cancel, NULL);
    http_on_body(req, on_stuck_piece, NULL);
}

/* Answers each piece while the body comes. */
static void on_duplex_piece(struct http_request *req, struct str bytes, bool end, void *arg)
{
    if (end) {
        http_reply_end(req);
        return;
    }
    http_reply_write(req, bytes);
    http_body_used(req, bytes.len);
}

static void on_duplex_cancel(struct http_request *req, void *arg)
{
    http_reply_end(req);
}

static void on_duplex(struct http_request *req, void *arg)
{
    http_on_cancel(req, on_duplex_cancel, NULL);
    http_on_body(req, on_duplex_piece, NULL);
    http_reply_start(req, 200, STR("text/plain"));
}

static void on_abort(struct http_request *req, void *arg)
{
    http_reply_start(req, 200, STR("text/plain"));
    http_reply_write(req, STR("half"));
    http_reply_abort(req);
}

static void on_blob(struct http_request *req, void *arg)
{
    static const struct http_blob blob = {STR_INIT("text/css"), STR_INIT("body{}"), STR_INIT("GZIPPED"),
                                          STR_INIT("\"tag\""), STR_INIT("public, max-age=9")};
    http_reply_blob(req, &blob);
}

static void on_fail(struct http_request *req, void *arg)
{
    struct err err;
    err_set(&err, ERR_NOT_FOUND, "no \"%s\" here", "thing");
    http_reply_err(req, &err);
}

/* ---- websocket: echoes; "close" closes; "many" sends a lot from another thread ---- */

static void run_many(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%d", i);
        while (ws_send(arg, str_of(text, (size_t)len), true) == HTTP_FLOW_FULL)
            usleep(500);
    }
    ws_close(arg, 1000, STR("done"));
}

static void on_ws_message(struct ws *ws, struct str bytes, bool is_text, void *arg)
{
    if (str_eq(bytes, STR("close")))
        ws_close(ws, 4001, STR("as you wish"));
    else if (str_eq(bytes, STR("many")))
        pool_submit(pool, run_many, ws, NULL, NULL);
    else
        ws_send(ws, bytes, is_text);
}

static void on_ws_close(struct ws *ws, int code, void *arg)
{
    atomic_store(&last_ws_code, code);
    atomic_fetch_add(&ws_closes, 1);
    if (arg != NULL) /* the one that "many" uses is released by the test's end */
        ws_release(ws);
}

static const struct ws_class ws_class = {on_ws_message, NULL, on_ws_close};

static void on_ws(struct http_request *req, void *arg)
{
    atomic_fetch_add(&ws_opens, 1);
    ws_accept(req, &ws_class, server);
}

static const struct http_route routes[] = {
    {"GET", "/echo/{name}", on_echo, 0, 0, "echo"},
    {"POST", "/echo/{name}", on_echo, 0, 100000, "echo"},
    {"GET", "/later", on_later, 0, 0, "later"},
    {"GET", "/rows", on_rows, 0, 0, "rows"},
    {"GET", "/flood", on_flood, 0, 0, "flood"},
    {"GET", "/endless", on_endless, 0, 0, "endless"},
    {"POST", "/sink", on_sink, HTTP_STREAM_BODY, 0, "sink"},
    {"POST", "/small-sink", on_sink, HTTP_STREAM_BODY, 10, "sink with a limit"},
    {"POST", "/stuck", on_stuck, HTTP_STREAM_BODY, 0, "stuck"},
    {"POST", "/duplex", on_duplex, HTTP_STREAM_BODY, 0, "duplex"},
    {"GET", "/abort", on_abort, 0, 0, "abort"},
    {"GET", "/blob", on_blob, 0, 0, "blob"},
    {"GET", "/fail", on_fail, 0, 0, "fail"},
    {"GET", "/ws", on_ws, HTTP_WEBSOCKET, 0, "websocket"},
};

/* ---- start, stop, client ---- */

static int serve(void **state)
{
    struct err err;
    static const char *const origins[] = {"http://dev:5173", NULL};
    struct http_options options = {.origins = origins, .ws_message_max = 1000, .head_ms = 1500};
    struct net_options net_options = {.thread_count = 2};
    log_level_set(LOG_ERROR);
    pool = pool_new("test", 4);
    net = net_new(&net_options, &err);
    server = http_server_new(&options);
    http_server_route(server, routes, COUNT_OF(routes), NULL);
    struct net_listener *listener = http_server_listen(server, net, STR("127.0.0.1:0"), &err);
    if (listener == NULL)
        return -1;
    port = net_listener_port(listener);
    return 0;
}

static int unserve(void **state)
{
    net_stop(net);
    for (int i = 0; i < 2000 && http_server_in_flight(server) > 0; i++)
        usleep(1000);
    pool_free(pool);
    net_free(net);
    http_server_free(server); /* asserts that every request was given back */
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    int on = 1; /* else the last packet of each window waits for the server's delayed acknowledgement */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const char *)bytes + at, size - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

static void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

/* Reads more into *in; false at the end. Fails after ten seconds of silence. */
static bool recv_some(int fd, struct buf *in)
{
    struct pollfd ready = {fd, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    buf_reserve(in, 65536);
    ssize_t n = recv(fd, in->ptr + in->len, 65536, 0);
    if (n <= 0)
        return false;
    buf_extend(in, (size_t)n);
    return true;
}

static void wait_for(const _Atomic int *counter, int value)
{
    for (int i = 0; i < 5000 && atomic_load(counter) < value; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), value);
}

#endif
