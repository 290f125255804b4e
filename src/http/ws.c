/* ws.c - websockets (RFC 6455) by wslay, on a connection that was upgraded from HTTP/1.1.
 *
 *   bytes -> wslay_event_recv -> on_message          ws_send -> out: chunk with opcode -> wslay -> conn_write
 *
 * (W1) A websocket is an exchange whose reply is the stream of frames; the rules of exchange.c (references,
 *      lock, wake) hold. on_close is called once: when the peer's close frame came or the connection went.
 * (W2) wslay answers pings and close frames by itself, joins fragments up to ws_message_max and checks UTF-8.
 */
#include <openssl/sha.h>
#include <wslay/wslay.h>

#include "http/http_int.h"

enum { CLOSE_WAIT_MS = 5000, REASON_MAX = 123 };

static const struct str close_1002 = STR_INIT("\x88\x02\x03\xea");

static void ws_pump(struct exchange *ex);
static void ws_body_used(struct exchange *ex, size_t bytes);
static const struct http_proto ws_proto = {ws_pump, ws_body_used};

bool ws_accept_key(struct str key, char out[32])
{
    static const struct str guid = STR_INIT("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    struct buf text = {0};
    unsigned char hash[SHA_DIGEST_LENGTH];
    bool ok = !str_is_null(key) && key.len == 24 && buf_append_base64_decoded(&text, key) && text.len == 16;
    if (ok) {
        buf_clear(&text);
        buf_append_str(&text, key);
        buf_append_str(&text, guid);
        SHA1((const unsigned char *)text.ptr, text.len, hash);
        buf_clear(&text);
        buf_append_base64(&text, str_of((const char *)hash, sizeof hash));
        memcpy(out, text.ptr, text.len + 1);
    }
    buf_fini(&text);
    return ok;
}

/* ---- wslay's side ---- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *bytes, size_t size, int flags, void *arg)
{
    struct ws *ws = arg;
    size_t n = MIN(size, ws->unread.len);
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(bytes, ws->unread.ptr, n);
    ws->unread = str_sub(ws->unread, n, SIZE_MAX);
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t size, int flags, void *arg)
{
    struct ws *ws = arg;
    conn_write(ws->ex->hc->conn, str_of((const char *)bytes, size));
    return (ssize_t)size;
}

/* Under the lock. */
static void tell_close(struct ws *ws, int code)
{
    if (ws->close_told)
        return;
    ws->close_told = true;
    if (!ws->is_released)
        ws->cls->on_close(ws, code, ws->arg);
}

static void on_msg(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
    struct ws *ws = arg;
    struct str bytes = str_of((const char *)msg->msg, msg->msg_length);
    pthread_mutex_lock(&ws->ex->lock);
    if (msg->opcode == WSLAY_CONNECTION_CLOSE)
        tell_close(ws, msg->status_code != 0 ? msg->status_code : 1005);
    else if (!wslay_is_ctrl_frame(msg->opcode) && !ws->is_released && !ws->close_told)
        ws->cls->on_message(ws, bytes, msg->opcode == WSLAY_TEXT_FRAME, ws->arg);
    pthread_mutex_unlock(&ws->ex->lock);
}

/* ---- network thread ---- */

void ws_begin(struct exchange *ex)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .on_msg_recv_callback = on_msg};
    wslay_event_context_ptr ctx;
    ASSERT(wslay_event_context_server_init(&ctx, &callbacks, ex->ws) == 0);
    wslay_event_config_set_max_recv_msg_length(ctx, ex->server->ws_message_max);
    ex->ws->wslay = ctx;
    ex->proto = &ws_proto;
    conn_set_deadline(ex->hc->conn, 0);
    conn_resume(ex->hc->conn);
    ws_pump(ex);
}

/* Writes what wslay queued; closes when both directions are done. */
static void ws_flush(struct exchange *ex)
{
    wslay_event_context_ptr ctx = ex->ws->wslay;
    struct conn *conn = ex->hc->conn;
    if (wslay_event_want_write(ctx) && wslay_event_send(ctx) != 0)
        conn_close(conn, "websocket failed");
    else if (!wslay_event_want_read(ctx) && !wslay_event_want_write(ctx))
        conn_close_flushed(conn, "websocket is closed");
}

static void queue_close(struct exchange *ex, struct str code_and_reason)
{
    wslay_event_context_ptr ctx = ex->ws->wslay;
    uint16_t code = load_be16(code_and_reason.ptr);
    ignore(wslay_event_queue_close(ctx, code, (const uint8_t *)code_and_reason.ptr + 2,
                                   code_and_reason.len - 2) != 0,
           "a close frame is queued already");
    conn_set_deadline(ex->hc->conn, CLOSE_WAIT_MS); /* for the peer's answer */
}

static void ws_pump(struct exchange *ex)
{
    wslay_event_context_ptr ctx = ex->ws->wslay;
    struct chunk *chunk;
    while (!conn_out_full(ex->hc->conn) && (chunk = exchange_take(ex)) != NULL) {
        size_t len = chunk->bytes.len;
        struct wslay_event_msg msg = {(uint8_t)chunk->ws_opcode, (const uint8_t *)chunk->bytes.ptr, len};
        if (chunk->ws_opcode == WSLAY_CONNECTION_CLOSE)
            queue_close(ex, chunk->bytes);
        else
            ignore(wslay_event_queue_msg(ctx, &msg) != 0, "nothing may follow a close frame");
        chunk_free(chunk);
        ws_flush(ex);
        exchange_sent(ex, len);
    }
}

static void ws_body_used(struct exchange *ex, size_t bytes)
{
}

void ws_writable(struct exchange *ex)
{
    ws_pump(ex);
}

size_t ws_bytes(struct exchange *ex, struct str unread)
{
    struct ws *ws = ex->ws;
    ws->unread = unread;
    if (wslay_event_recv(ws->wslay) != 0) {
        if (!wslay_event_get_close_sent(ws->wslay))
            conn_write(ex->hc->conn, close_1002); /* wslay's own would not say why */
        conn_close_flushed(ex->hc->conn, "websocket is malformed");
    } else {
        ws_flush(ex);
    }
    ws->unread = STR("");
    return unread.len;
}

void ws_end(struct exchange *ex)
{
    pthread_mutex_lock(&ex->lock);
    tell_close(ex->ws, 1006);
    pthread_mutex_unlock(&ex->lock);
    exchange_detach(ex);
}

void ws_memory_free(struct ws *ws)
{
    if (ws == NULL)
        return;
    if (ws->wslay != NULL)
        wslay_event_context_free(ws->wslay);
    free(ws);
}

/* ---- what handlers call ---- */

struct ws *ws_accept(struct http_request *req, const struct ws_class *cls, void *arg)
{
    struct exchange *ex = (struct exchange *)req;
    ASSERT(ex->wants_ws && loop_is_mine(ex->loop));
    ASSERT(cls->on_message != NULL && cls->on_close != NULL);
    struct ws *ws = mem_new(struct ws);
    ws->ex = ex;
    ws->cls = cls;
    ws->arg = arg;
    pthread_mutex_lock(&ex->lock);
    ASSERT_CMP(ex->state, ==, REPLY_NONE);
    ex->state = REPLY_STARTED;
    ex->status = 101;
    ex->ws = ws;
    exchange_wake(ex);
    pthread_mutex_unlock(&ex->lock);
    return ws;
}

struct http_request *ws_request(struct ws *ws)
{
    return &ws->ex->req;
}

/* Under the lock. */
static void ws_append(struct ws *ws, int opcode, struct str bytes)
{
    struct chunk *chunk = chunk_new(bytes);
    chunk->ws_opcode = opcode;
    exchange_append(ws->ex, chunk);
    exchange_wake(ws->ex);
}

enum http_flow ws_send(struct ws *ws, struct str bytes, bool is_text)
{
    struct exchange *ex = ws->ex;
    enum http_flow flow = HTTP_FLOW_GONE;
    pthread_mutex_lock(&ex->lock);
    if (!ex->is_gone && !ws->close_told && !ws->close_queued) {
        ws_append(ws, is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, bytes);
        ex->was_full = ex->was_full || ex->waiting > ex->server->stream_out_max;
        flow = ex->waiting > ex->server->stream_out_max ? HTTP_FLOW_FULL : HTTP_FLOW_OK;
    }
    pthread_mutex_unlock(&ex->lock);
    return flow;
}

/* Cuts at a character: the bytes 10xxxxxx continue one. */
static struct str reason_cut(struct str reason)
{
    size_t len = MIN(reason.len, REASON_MAX);
    while (len < reason.len && len > 0 && ((unsigned char)reason.ptr[len] & 0xc0) == 0x80)
        len--;
    return str_sub(reason, 0, len);
}

void ws_close(struct ws *ws, int code, struct str reason)
{
    struct exchange *ex = ws->ex;
    char bytes[2 + REASON_MAX];
    reason = reason_cut(reason);
    store_be16(bytes, (uint16_t)code);
    if (reason.len > 0)
        memcpy(bytes + 2, reason.ptr, reason.len);
    pthread_mutex_lock(&ex->lock);
    if (!ex->is_gone && !ws->close_told && !ws->close_queued) {
        ws->close_queued = true;
        ws_append(ws, WSLAY_CONNECTION_CLOSE, str_of(bytes, 2 + reason.len));
    }
    pthread_mutex_unlock(&ex->lock);
}

void ws_release(struct ws *ws)
{
    struct exchange *ex = ws->ex;
    ws_close(ws, 1000, STR(""));
    pthread_mutex_lock(&ex->lock);
    ws->is_released = true;
    pthread_mutex_unlock(&ex->lock);
    exchange_end(ex, REPLY_ENDED);
}
