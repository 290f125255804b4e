/* h2.c - a connection that speaks HTTP/2 (RFC 9113) by nghttp2, cleartext: by prior knowledge or by upgrade.
 *
 *   bytes -> nghttp2_session_mem_recv -> callbacks -> exchange_head, exchange_body, exchange_body_end
 *   exchange -> pump -> submit_response | resume_data -> nghttp2_session_mem_send (on_read) -> conn_write
 *
 * (F1) A stream is an exchange; nghttp2 keeps it as the stream's user data until on_stream_close detaches it.
 * (F2) DATA is pulled only while the connection's output queue has room, and a frame holds bytes of one write
 *      (H4).
 * (F3) Windows are opened when bytes were used: at once for whole bodies, which have a limit, by
 *      http_body_used for streamed ones. The connection's window is larger than all streams' together, so
 *      that one slow handler does not stop the others.
 * (F4) Floods: streams, header bytes and acknowledgements waiting are limited; nghttp2 limits resets.
 */
#include <nghttp2/nghttp2.h>

#include "http/http_int.h"

enum { STREAMS_MAX = 100, WINDOW_BYTES = 65535, CONN_WINDOW_BYTES = 16 << 20, NV_MAX = 64 };

struct h2 {
    struct http_conn *hc;
    nghttp2_session *session;
    struct list exchanges;
    bool
        is_silent; /* after an upgrade, until the client's preface came: clients have small buffers behind the 101 */
};

static void h2_pump(struct exchange *ex);
static void h2_body_used(struct exchange *ex, size_t bytes);
static const struct http_proto h2_proto = {h2_pump, h2_body_used};

/* ---- sending ---- */

static void h2_send(struct h2 *h2)
{
    struct conn *conn = h2->hc->conn;
    const uint8_t *bytes;
    ssize_t n = 0;
    if (h2->is_silent)
        return;
    while (!conn_out_full(conn) && (n = nghttp2_session_mem_send(h2->session, &bytes)) > 0)
        conn_write(conn, str_of((const char *)bytes, (size_t)n));
    if (n < 0)
        conn_close(conn, "HTTP/2 failed");
    else if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
        conn_close_flushed(conn, "HTTP/2 is over");
}

void h2_writable(struct h2 *h2)
{
    h2_send(h2);
}

static nghttp2_nv nv(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *)name.ptr, (uint8_t *)value.ptr, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

static ssize_t on_read(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct exchange *ex = source->ptr;
    bool end;
    size_t n = exchange_read(ex, bytes, size, &end);
    if (end && exchange_state(ex) == REPLY_ABORTED)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    if (n == 0 && !end) {
        ex->h2_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* Headers that belong to HTTP/1.1's framing are an error in HTTP/2. */
static bool is_hop_header(struct str name)
{
    return str_eq(name, STR("connection")) || str_eq(name, STR("upgrade")) ||
           str_eq(name, STR("transfer-encoding")) || str_eq(name, STR("keep-alive"));
}

static void h2_submit(struct h2 *h2, struct exchange *ex)
{
    nghttp2_nv nvs[NV_MAX];
    size_t count = 0;
    char status[8] = {0}, length[24], date[32];
    struct buf text = {0};
    buf_append_i64(&text, ex->status);
    memcpy(status, text.ptr, 3);
    buf_clear(&text);
    buf_append_i64(&text, ex->content_length);
    memcpy(length, text.ptr, text.len);
    http_date(date);
    nvs[count++] = nv(STR(":status"), str_from(status));
    nvs[count++] = nv(STR("date"), str_from(date));
    nvs[count++] = nv(STR("x-content-type-options"), STR("nosniff"));
    if (ex->content_length >= 0 && ex->status != 204 && ex->status != 304)
        nvs[count++] = nv(STR("content-length"), str_of(length, text.len));
    pthread_mutex_lock(&ex->lock);
    for (size_t i = 0; i < ex->reply_headers.len && count < NV_MAX; i++)
        if (!is_hop_header(ex->reply_headers.at[i].name))
            nvs[count++] = nv(ex->reply_headers.at[i].name, ex->reply_headers.at[i].value);
    bool is_empty = ex->out == NULL && ex->state == REPLY_ENDED;
    pthread_mutex_unlock(&ex->lock);
    nghttp2_data_provider provider = {.source.ptr = ex, .read_callback = on_read};
    ignore(nghttp2_submit_response(h2->session, ex->stream_id, nvs, count, is_empty ? NULL : &provider) != 0,
           "the stream is closing; on_stream_close follows");
    ex->h2_submitted = true;
    buf_fini(&text);
}

static void h2_pump(struct exchange *ex)
{
    struct h2 *h2 = ex->hc->h2;
    enum reply_state state = exchange_state(ex);
    if (state == REPLY_NONE)
        return;
    if (state == REPLY_ABORTED) {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, ex->stream_id, NGHTTP2_INTERNAL_ERROR);
    } else if (!ex->h2_submitted) {
        h2_submit(h2, ex);
    } else if (ex->h2_deferred) {
        ex->h2_deferred = false;
        ignore(nghttp2_session_resume_data(h2->session, ex->stream_id) != 0, "the stream is closing");
    }
    h2_send(h2);
}

static void h2_body_used(struct exchange *ex, size_t bytes)
{
    struct h2 *h2 = ex->hc->h2;
    ignore(nghttp2_session_consume(h2->session, ex->stream_id, bytes) != 0, "the stream is closing");
    h2_send(h2); /* the window's update */
}

/* ---- receiving ---- */

static void h2_adopt(struct h2 *h2, struct exchange *ex, int32_t stream_id)
{
    ex->proto = &h2_proto;
    ex->stream_id = stream_id;
    list_push_back(&h2->exchanges, &ex->h2_link);
    nghttp2_session_set_stream_user_data(h2->session, stream_id, ex);
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    if (is_request(frame))
        h2_adopt(h2, exchange_new(h2->hc, &h2_proto), frame->hd.stream_id);
    return 0;
}

static void take_path(struct exchange *ex, struct str target)
{
    ptrdiff_t mark = str_find_char(target, '?');
    ex->req.path = mark < 0 ? target : str_sub(target, 0, (size_t)mark);
    ex->req.query = mark < 0 ? STR("") : str_sub(target, (size_t)mark + 1, SIZE_MAX);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_bytes,
                     size_t name_len, const uint8_t *value_bytes, size_t value_len, uint8_t flags, void *arg)
{
    struct exchange *ex = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (ex == NULL || !is_request(frame))
        return 0; /* trailers are dropped */
    const struct h1_limits *limits = &ex->server->limits;
    ex->h2_head_bytes += name_len + value_len + 32; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    if (ex->h2_head_bytes > limits->head_bytes_max || ex->h2_headers.len == limits->header_count_max)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct str name = str_dup(str_of((const char *)name_bytes, name_len), &ex->arena);
    struct str value = str_dup(str_of((const char *)value_bytes, value_len), &ex->arena);
    if (str_eq(name, STR(":method")))
        ex->req.method = value;
    else if (str_eq(name, STR(":path")))
        take_path(ex, value);
    else if (str_eq(name, STR(":authority")) || (str_eq(name, STR("host")) && ex->req.host.len == 0))
        ex->req.host = value;
    if (name_bytes[0] != ':')
        vec_push(&ex->h2_headers, (struct http_header){name, value});
    return 0;
}

static void on_request(struct exchange *ex)
{
    int64_t length = -1;
    ex->req.version = 20;
    ex->req.headers = ex->h2_headers.at;
    ex->req.header_count = ex->h2_headers.len;
    if (!str_to_i64(http_header(&ex->req, "content-length"), &length))
        length = -1;
    exchange_head(ex, length);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct exchange *ex = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (ex == NULL)
        return 0;
    if (is_request(frame))
        on_request(ex);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        exchange_body_end(ex);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                   size_t len, void *arg)
{
    struct exchange *ex = nghttp2_session_get_stream_user_data(session, stream_id);
    enum body_fate fate = ex != NULL ? exchange_body(ex, str_of((const char *)bytes, len)) : BODY_KEPT;
    if (fate == BODY_TOO_LARGE && !ex->body_discarded) { /* streamed: the handler has it and is cancelled */
        ex->body_discarded = true;
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
    }
    if (fate != BODY_HANDED)
        ignore(nghttp2_session_consume(session, stream_id, len) != 0, "the stream is closing");
    return 0;
}

/* A reply that is complete while its request is not: tell the client to stop sending (RFC 9113, 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!ends || (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    struct exchange *ex = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (ex != NULL && !ex->body_ended)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *arg)
{
    struct exchange *ex = nghttp2_session_get_stream_user_data(session, stream_id);
    if (ex != NULL) {
        /* What its handler did not use still takes room in the connection's window. */
        ignore(nghttp2_session_consume_connection(session, exchange_body_outstanding(ex)) != 0,
               "session is closing");
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        exchange_detach(ex);
    }
    return 0;
}

size_t h2_bytes(struct h2 *h2, struct str unread)
{
    h2->is_silent = false;
    ssize_t n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)unread.ptr, unread.len);
    h2_send(h2); /* after an error too: says goodbye */
    if (n < 0)
        conn_close_flushed(h2->hc->conn, "HTTP/2 is malformed");
    return unread.len;
}

/* ---- life ---- */

static nghttp2_session *session_new(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    nghttp2_session *session;
    ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    ASSERT(nghttp2_session_server_new2(&session, callbacks, h2, option) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return session;
}

struct h2 *h2_new(struct http_conn *hc)
{
    struct h2 *h2 = mem_new(struct h2);
    h2->hc = hc;
    list_init(&h2->exchanges);
    h2->session = session_new(h2);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)hc->server->limits.head_bytes_max},
    };
    ASSERT(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) == 0);
    ASSERT(nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW_BYTES) == 0);
    return h2;
}

/* HTTP2-Settings is base64 for URLs, without padding. */
static bool settings_decode(struct str text, struct buf *out)
{
    struct buf plain = {0};
    for (size_t i = 0; i < text.len; i++)
        buf_append_char(&plain, text.ptr[i] == '-' ? '+' : text.ptr[i] == '_' ? '/' : text.ptr[i]);
    while (plain.len % 4 != 0)
        buf_append_char(&plain, '=');
    bool ok = buf_append_base64_decoded(out, buf_str(&plain));
    buf_fini(&plain);
    return ok;
}

bool h2_upgrade(struct h2 *h2, struct exchange *ex, struct str settings)
{
    struct buf bytes = {0};
    bool is_head = str_eq(ex->req.method, STR("HEAD"));
    bool ok = settings_decode(settings, &bytes) &&
              nghttp2_session_upgrade2(h2->session, (const uint8_t *)buf_str(&bytes).ptr, bytes.len, is_head,
                                       NULL) == 0;
    if (ok) {
        h2_adopt(h2, ex, 1);
        h2->is_silent = true;
        ex->req.version = 20;
    }
    buf_fini(&bytes);
    return ok;
}

void h2_free(struct h2 *h2)
{
    if (h2 == NULL)
        return;
    while (!list_empty(&h2->exchanges))
        exchange_detach(LIST_ENTRY(h2->exchanges.next, struct exchange, h2_link));
    nghttp2_session_del(h2->session);
    free(h2);
}
