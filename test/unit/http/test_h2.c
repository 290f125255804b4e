/* test_h2.c - HTTP/2 with nghttp2's client side over a real socket: many streams, one frame a row, resets,
 * windows, the upgrade from HTTP/1.1, malformed frames. */
#include "server_fixture.h"

#include <nghttp2/nghttp2.h>

struct reply {
    int status;
    struct buf body;
    int frames;  /* DATA frames with bytes */
    int largest; /* bytes of the largest */
    bool closed;
    uint32_t error;
    const char *request_body;
    size_t request_at, request_size;
    bool request_stays_open;
};

static int client_fd;
static bool connection_over;

static ssize_t client_send(nghttp2_session *session, const uint8_t *bytes, size_t size, int flags, void *arg)
{
    ssize_t n = send(client_fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? NGHTTP2_ERR_WOULDBLOCK : n;
}

static struct reply *reply_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int client_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct reply *reply = reply_of(session, frame->hd.stream_id);
    int32_t status;
    if (reply != NULL && str_eq(str_of((const char *)name, name_len), STR(":status")) &&
        str_to_i32(str_of((const char *)value, value_len), &status))
        reply->status = status;
    return 0;
}

static int client_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                       size_t len, void *arg)
{
    struct reply *reply = reply_of(session, stream_id);
    if (reply != NULL)
        buf_append(&reply->body, bytes, len);
    return 0;
}

static int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct reply *reply = reply_of(session, frame->hd.stream_id);
    if (reply != NULL && frame->hd.type == NGHTTP2_DATA && frame->hd.length > 0) {
        reply->frames++;
        reply->largest = MAX(reply->largest, (int)frame->hd.length);
    }
    return 0;
}

static int client_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *arg)
{
    struct reply *reply = reply_of(session, stream_id);
    if (reply != NULL) {
        reply->closed = true;
        reply->error = error;
    }
    return 0;
}

static nghttp2_session *client_new(void)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, client_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_stream_close);
    nghttp2_session_client_new(&session, callbacks, NULL);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
    client_fd = dial();
    connection_over = false;
    return session;
}

static void client_free(nghttp2_session *session)
{
    nghttp2_session_del(session);
    close(client_fd);
}

static ssize_t client_body(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct reply *reply = source->ptr;
    size_t n = MIN(size, reply->request_size - reply->request_at);
    if (reply->request_body != NULL)
        memcpy(bytes, reply->request_body + reply->request_at, n);
    else
        memset(bytes, 'z', n);
    reply->request_at += n;
    if (reply->request_at == reply->request_size && !reply->request_stays_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (n == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)n;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static int32_t request(nghttp2_session *session, const char *method, const char *path, const char *origin,
                       struct reply *reply)
{
    nghttp2_nv headers[] = {nv(":method", method), nv(":scheme", "http"), nv(":authority", "localhost"),
                            nv(":path", path), nv("origin", origin != NULL ? origin : "")};
    nghttp2_data_provider provider = {.source.ptr = reply, .read_callback = client_body};
    bool has_body = reply->request_size > 0 || reply->request_stays_open;
    return nghttp2_submit_request(session, NULL, headers, COUNT_OF(headers) - (origin == NULL),
                                  has_body ? &provider : NULL, reply);
}

/* Sends what is due and reads once, waiting up to wait_ms. */
static void turn(nghttp2_session *session, int wait_ms)
{
    assert_int_equal(nghttp2_session_send(session), 0);
    struct pollfd ready = {client_fd, POLLIN, 0};
    static uint8_t bytes[256 << 10];
    if (poll(&ready, 1, wait_ms) != 1)
        return;
    ssize_t n = recv(client_fd, bytes, sizeof bytes, 0);
    connection_over = n <= 0;
    if (n > 0)
        assert_int_equal(nghttp2_session_mem_recv(session, bytes, (size_t)n), n);
    assert_int_equal(nghttp2_session_send(session), 0);
}

static void finish(nghttp2_session *session, struct reply *reply)
{
    for (int64_t end_ms = clock_mono_ms() + 20000;
         !reply->closed && clock_mono_ms() < end_ms && !connection_over;)
        turn(session, 50);
    assert_true(reply->closed);
}

static void expect(nghttp2_session *session, const char *method, const char *path, const char *body,
                   int status, const char *reply_body)
{
    struct reply reply = {.request_body = body, .request_size = body != NULL ? strlen(body) : 0};
    request(session, method, path, NULL, &reply);
    finish(session, &reply);
    assert_int_equal(reply.status, status);
    assert_true(str_eq_cstr(buf_str(&reply.body), reply_body));
    buf_fini(&reply.body);
}

static void test_replies(void **state)
{
    nghttp2_session *session = client_new();
    expect(session, "GET", "/echo/a?q=b+c", NULL, 200, "GET /echo/a name=a q=b c body=");
    expect(session, "POST", "/echo/a", "data", 200, "POST /echo/a name=a q= body=data");
    expect(session, "GET", "/later", NULL, 200, "later");
    expect(session, "HEAD", "/later", NULL, 200, "");
    expect(session, "GET", "/nothing", NULL, 404, "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}");
    expect(session, "POST", "/later", "x", 405,
           "{\"error_code\":405,\"message\":\"HTTP 405 Method Not Allowed\"}");
    expect(session, "GET", "/blob", NULL, 200, "body{}");
    client_free(session);
}

static void test_guard(void **state)
{
    nghttp2_session *session = client_new();
    struct reply reply = {0};
    request(session, "GET", "/later", "http://evil.example", &reply);
    finish(session, &reply);
    assert_int_equal(reply.status, 403);
    buf_fini(&reply.body);
    client_free(session);
}

/* Each write is a frame of its own: clients take a frame for a row. */
static void test_one_frame_a_row(void **state)
{
    nghttp2_session *session = client_new();
    struct reply reply = {0};
    request(session, "GET", "/rows", NULL, &reply);
    finish(session, &reply);
    assert_string_equal(reply.body.ptr, "row 0\nrow 1\nrow 2\nrow 3\nrow 4\n");
    assert_int_equal(reply.frames, 5);
    assert_int_equal(reply.largest, 6);
    buf_fini(&reply.body);
    client_free(session);
}

static void test_many_streams(void **state)
{
    enum { COUNT = 90 };
    nghttp2_session *session = client_new();
    struct reply *replies = mem_zalloc(COUNT, sizeof *replies);
    for (int i = 0; i < COUNT; i++)
        request(session, "GET", i % 2 == 0 ? "/rows" : "/later", NULL, &replies[i]);
    for (int i = 0; i < COUNT; i++) {
        finish(session, &replies[i]);
        assert_int_equal(replies[i].status, 200);
        assert_int_equal(replies[i].body.len, i % 2 == 0 ? 30 : 5);
        buf_fini(&replies[i].body);
    }
    free(replies);
    client_free(session);
}

static void test_large_reply_and_cancel(void **state)
{
    nghttp2_session *session = client_new();
    struct reply flood = {0}, cancelled = {0}, after = {0};
    int before = atomic_load(&cancels);
    request(session, "GET", "/flood", NULL, &flood);
    int32_t id = request(session, "GET", "/endless", NULL, &cancelled);
    finish(session, &flood);
    assert_int_equal(flood.body.len, 2048 * (32 << 10));
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    turn(session, 10);
    wait_for(&cancels, before + 1);
    request(session, "GET", "/later", NULL, &after); /* the connection goes on */
    finish(session, &after);
    assert_int_equal(after.status, 200);
    buf_fini(&flood.body);
    buf_fini(&cancelled.body);
    buf_fini(&after.body);
    client_free(session);
}

static void test_streamed_body(void **state)
{
    nghttp2_session *session = client_new();
    struct reply reply = {.request_size = 20 << 20}; /* more than the connection's window */
    request(session, "POST", "/sink", NULL, &reply);
    finish(session, &reply);
    assert_string_equal(reply.body.ptr, "20971520 bytes");
    buf_fini(&reply.body);
    struct reply duplex = {.request_body = "ping", .request_size = 4, .request_stays_open = true};
    int32_t id = request(session, "POST", "/duplex", NULL, &duplex);
    for (int i = 0; i < 100 && duplex.body.len < 4; i++)
        turn(session, 50);
    assert_string_equal(duplex.body.ptr, "ping"); /* the answer comes while the request is open */
    duplex.request_stays_open = false;
    nghttp2_session_resume_data(session, id);
    finish(session, &duplex);
    buf_fini(&duplex.body);
    client_free(session);
}

/* Four handlers that use nothing are stopped at their windows; a fifth stream of the same connection goes on.
 * */
static void test_stuck_bodies(void **state)
{
    nghttp2_session *session = client_new();
    struct reply stuck[4] = {{0}}, good = {.request_size = 1 << 20};
    int before = atomic_load(&cancels);
    for (int i = 0; i < 4; i++) {
        stuck[i].request_size = 1 << 30;
        request(session, "POST", "/stuck", NULL, &stuck[i]);
    }
    for (int i = 0; i < 10; i++)
        turn(session, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(stuck[i].request_at, 65535);
    request(session, "POST", "/sink", NULL, &good);
    finish(session, &good);
    assert_int_equal(good.status, 200);
    buf_fini(&good.body);
    client_free(session);
    wait_for(&cancels, before + 4);
}

static void test_body_too_large(void **state)
{
    nghttp2_session *session = client_new();
    struct reply reply = {.request_size = 100001};
    request(session, "POST", "/echo/x", NULL, &reply);
    finish(session, &reply);
    assert_int_equal(reply.status, 413);
    buf_fini(&reply.body);
    struct reply streamed = {.request_size = 11};
    request(session, "POST", "/small-sink", NULL, &streamed);
    for (int i = 0; i < 20 && !streamed.closed; i++)
        turn(session, 20);
    assert_true(streamed.closed);
    buf_fini(&streamed.body);
    client_free(session);
}

static void test_abort(void **state)
{
    nghttp2_session *session = client_new();
    struct reply reply = {0};
    request(session, "GET", "/abort", NULL, &reply);
    finish(session, &reply);
    assert_int_equal(reply.error, NGHTTP2_INTERNAL_ERROR);
    buf_fini(&reply.body);
    client_free(session);
}

/* curl --http2: an HTTP/1.1 request that becomes stream 1. */
static void test_upgrade(void **state)
{
    struct buf in = {0};
    nghttp2_session *session = client_new();
    struct reply reply = {0}, second = {0};
    send_text(client_fd, "GET /echo/up HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                         "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    while (in.len == 0 || strstr(in.ptr, "\r\n\r\n") == NULL)
        assert_true(recv_some(client_fd, &in));
    assert_true(str_starts_with(buf_str(&in), STR("HTTP/1.1 101 ")));
    static const uint8_t settings[] = {0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 255, 255};
    assert_int_equal(nghttp2_session_upgrade2(session, settings, sizeof settings, 0, &reply), 0);
    size_t head = (size_t)(strstr(in.ptr, "\r\n\r\n") - in.ptr) + 4;
    assert_int_equal(nghttp2_session_mem_recv(session, (uint8_t *)in.ptr + head, in.len - head),
                     in.len - head);
    finish(session, &reply);
    assert_string_equal(reply.body.ptr, "GET /echo/up name=up q= body=");
    request(session, "GET", "/later", NULL, &second);
    finish(session, &second);
    assert_int_equal(second.status, 200);
    buf_fini(&reply.body);
    buf_fini(&second.body);
    buf_fini(&in);
    client_free(session);
}

static void test_garbage(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    unsigned seed = 3;
    for (int i = 0; i < 50; i++) {
        int fd = dial();
        char junk[200];
        for (size_t j = 0; j < sizeof junk; j++)
            junk[j] = (char)rand_r(&seed);
        send_all(fd, preface, sizeof preface - 1);
        if (i % 2 == 0) /* an empty SETTINGS first, so that frames are looked at */
            send_all(fd, "\0\0\0\4\0\0\0\0\0", 9);
        ignore(send(fd, junk, sizeof junk, MSG_NOSIGNAL) < 0, "the server may be quicker");
        close(fd);
    }
    for (size_t cut = 1; cut < sizeof preface - 1; cut++) { /* the preface in two pieces */
        int fd = dial();
        struct buf in = {0};
        send_all(fd, preface, cut);
        usleep(300);
        send_all(fd, preface + cut, sizeof preface - 1 - cut);
        assert_true(recv_some(fd, &in));
        assert_int_equal(in.ptr[3], NGHTTP2_SETTINGS);
        buf_fini(&in);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_one_frame_a_row),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_large_reply_and_cancel),
        cmocka_unit_test(test_streamed_body),
        cmocka_unit_test(test_stuck_bodies),
        cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, serve, unserve);
}
