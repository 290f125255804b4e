/* h1.c - a connection that speaks HTTP/1.1 (or 1.0): one request at a time, replies in order by construction.
 *
 *   HEAD --head complete--> BODY --body complete--> WAIT --reply written--> HEAD ...
 *     |                        `--reply written first--> close, or read a short rest and go on
 *     `-- upgrade: h2c -> h2.c, websocket -> ws.c
 *
 * (S1) While a reply is on its way the next requests stay unread in the connection; reading goes on up to the
 *      limit of unread bytes, so that a client that goes away is noticed.
 * (S2) Whatever is wrong with the framing closes the connection after the answer: nobody knows where the next
 *      request would begin.
 * (S3) Slow heads and bodies meet a deadline; replies may take as long as they like.
 */
#include <stdio.h>

#include "http/http_int.h"

enum { BODY_DEADLINES = 8, CHUNK_COPY_MAX = 16 << 10, BODY_PIECE_BYTES = 16 << 10 };

struct h1 {
    struct http_conn *hc;
    enum { H1_HEAD, H1_BODY, H1_WAIT } state;
    size_t scanned;      /* of a head that is not complete */
    bool has_deadline;   /* for this head */
    struct exchange *ex; /* NULL in H1_HEAD */
    bool keep_alive;
    bool body_chunked;
    int64_t body_left; /* unless chunked */
    struct chunk_decoder decoder;
    bool head_written, out_chunked, reply_done;
};

static void h1_pump(struct exchange *ex);
static void h1_body_used(struct exchange *ex, size_t bytes);
static const struct http_proto h1_proto = {h1_pump, h1_body_used};

struct h1 *h1_new(struct http_conn *hc)
{
    struct h1 *h1 = mem_new(struct h1);
    h1->hc = hc;
    return h1;
}

void h1_free(struct h1 *h1)
{
    if (h1 == NULL)
        return;
    if (h1->ex != NULL)
        exchange_detach(h1->ex);
    free(h1);
}

/* Answers without a handler, then closes (S2). */
static void h1_fail(struct h1 *h1, struct h1_fault fault)
{
    struct conn *conn = h1->hc->conn;
    if (h1->ex != NULL) {
        exchange_detach(h1->ex);
        h1->ex = NULL;
    }
    h1->state = H1_WAIT;
    if (h1->head_written) {
        conn_close(conn, fault.text);
        return;
    }
    char body[256], head[256], date[32];
    int body_len =
        snprintf(body, sizeof body, "{\"error_code\":%d,\"message\":\"%s\"}", fault.status, fault.text);
    http_date(date);
    int head_len = snprintf(head, sizeof head,
                            "HTTP/1.1 %d %s\r\ndate: %s\r\ncontent-type: application/json\r\n"
                            "content-length: %d\r\nconnection: close\r\n\r\n",
                            fault.status, http_status_text(fault.status), date, body_len);
    conn_write(conn, str_of(head, (size_t)head_len));
    conn_write(conn, str_of(body, (size_t)body_len));
    conn_close_flushed(conn, fault.text);
}

/* ---- replies ---- */

static void write_head(struct h1 *h1, struct exchange *ex)
{
    struct buf head = {0};
    char date[32];
    http_date(date);
    bool is_head = str_eq(ex->req.method, STR("HEAD"));
    bool has_length = ex->content_length >= 0 && ex->status != 204;
    h1->out_chunked = ex->content_length < 0 && ex->req.version == 11 && !is_head;
    bool ends_by_close = ex->content_length < 0 && ex->req.version == 10 && !is_head;
    bool rest_is_long = h1->body_chunked || h1->body_left > HTTP_DISCARD_MAX;
    if (ends_by_close || (h1->state == H1_BODY && ex->body_discarded && rest_is_long))
        h1->keep_alive = false;
    pthread_mutex_lock(&ex->lock);
    buf_printf(&head, "HTTP/1.1 %d %s\r\ndate: %s\r\nx-content-type-options: nosniff\r\n", ex->status,
               http_status_text(ex->status), date);
    for (size_t i = 0; i < ex->reply_headers.len; i++)
        buf_printf(&head, "%.*s: %.*s\r\n", STR_ARG(ex->reply_headers.at[i].name),
                   STR_ARG(ex->reply_headers.at[i].value));
    pthread_mutex_unlock(&ex->lock);
    if (h1->out_chunked)
        buf_append_cstr(&head, "transfer-encoding: chunked\r\n");
    else if (has_length && ex->status != 304)
        buf_printf(&head, "content-length: %" PRId64 "\r\n", ex->content_length);
    if (!h1->keep_alive)
        buf_append_cstr(&head, "connection: close\r\n");
    else if (ex->req.version == 10)
        buf_append_cstr(&head, "connection: keep-alive\r\n");
    buf_append_cstr(&head, "\r\n");
    conn_write_take(h1->hc->conn, &head);
    h1->head_written = true;
}

static void on_chunk_sent(void *arg)
{
    chunk_free(arg);
}

/* One chunk a write (H4). Large ones are not copied again. */
static void write_chunk(struct h1 *h1, struct exchange *ex, struct chunk *chunk)
{
    struct conn *conn = h1->hc->conn;
    char size[24];
    size_t len = chunk->bytes.len;
    if (h1->out_chunked)
        conn_write(conn, str_of(size, (size_t)snprintf(size, sizeof size, "%zx\r\n", len)));
    if (len <= CHUNK_COPY_MAX) {
        conn_write(conn, chunk->bytes);
        chunk_free(chunk);
    } else {
        conn_write_borrowed(conn, chunk->bytes, on_chunk_sent, chunk);
    }
    if (h1->out_chunked)
        conn_write(conn, STR("\r\n"));
    exchange_sent(ex, len);
}

/* Ready for the next request. */
static void h1_next(struct h1 *h1)
{
    exchange_detach(h1->ex);
    h1->ex = NULL;
    h1->state = H1_HEAD;
    h1->scanned = 0;
    h1->has_deadline = h1->head_written = h1->reply_done = false;
    conn_set_deadline(h1->hc->conn, 0);
    conn_resume(h1->hc->conn);
}

/* The reply is written: what about the rest of the request? */
static void h1_reply_done(struct h1 *h1)
{
    bool rest_is_short = !h1->body_chunked && h1->body_left <= HTTP_DISCARD_MAX;
    h1->reply_done = true;
    if (h1->state == H1_BODY && h1->keep_alive && rest_is_short) {
        h1->ex->body_discarded = true;
        conn_resume(h1->hc->conn);
        return; /* h1_body_done goes on */
    }
    if (h1->state == H1_BODY || !h1->keep_alive) {
        h1->state = H1_WAIT;
        conn_close_flushed(h1->hc->conn, "reply is sent");
        return;
    }
    h1_next(h1);
}

static void h1_upgrade_ws(struct h1 *h1)
{
    struct exchange *ex = h1->ex;
    struct buf head = {0};
    buf_printf(&head,
               "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
               "sec-websocket-accept: %s\r\n\r\n",
               ex->ws_accept_key);
    conn_write_take(h1->hc->conn, &head);
    h1->ex = NULL;
    h1->hc->mode = MODE_WS;
    h1->hc->ws = ex;
    ws_begin(ex);
}

static void h1_pump(struct exchange *ex)
{
    struct h1 *h1 = ex->hc->h1;
    struct conn *conn = h1->hc->conn;
    if (h1->ex != ex || h1->reply_done)
        return;
    if (ex->ws != NULL) {
        h1_upgrade_ws(h1);
        return;
    }
    enum reply_state state =
        exchange_state(ex); /* read before the queue: what ENDED follows is in the queue */
    if (state == REPLY_NONE)
        return;
    if (state == REPLY_ABORTED) {
        conn_close(conn, "reply was broken off");
        return;
    }
    if (!h1->head_written)
        write_head(h1, ex);
    struct chunk *chunk;
    while (!conn_out_full(conn) && (chunk = exchange_take(ex)) != NULL)
        write_chunk(h1, ex, chunk);
    if (state != REPLY_ENDED || exchange_has_output(ex))
        return;
    if (h1->out_chunked)
        conn_write(conn, STR("0\r\n\r\n"));
    h1_reply_done(h1);
}

void h1_writable(struct h1 *h1)
{
    if (h1->ex != NULL)
        h1_pump(h1->ex);
}

static void h1_body_used(struct exchange *ex, size_t bytes)
{
    conn_resume(ex->hc->conn); /* h1_body_full pauses again if it is not enough */
}

/* ---- requests ---- */

static void request_fill(struct exchange *ex, const struct h1_head *head)
{
    ex->req.method = head->method;
    ex->req.path = head->path;
    ex->req.query = head->query;
    ex->req.host = head->host.ptr != NULL ? head->host : STR("");
    ex->req.version = head->version;
    ex->req.headers = head->headers;
    ex->req.header_count = head->header_count;
    ex->wants_ws = head->upgrade_websocket && str_eq(head->method, STR("GET")) &&
                   str_eq(http_header(&ex->req, "sec-websocket-version"), STR("13")) &&
                   ws_accept_key(http_header(&ex->req, "sec-websocket-key"), ex->ws_accept_key);
}

/* Turns into HTTP/2 if the client asks for it and no body has to be read first; true when it did. */
static bool try_h2c(struct h1 *h1, const struct h1_head *head)
{
    struct http_conn *hc = h1->hc;
    struct exchange *ex = h1->ex;
    struct str settings = http_header(&ex->req, "http2-settings");
    if (!head->upgrade_h2c || head->chunked || head->content_length > 0 || str_is_null(settings))
        return false;
    struct h2 *h2 = h2_new(hc);
    if (!h2_upgrade(h2, ex, settings)) {
        h2_free(h2);
        return false;
    }
    conn_write(hc->conn,
               STR("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n"));
    conn_set_deadline(hc->conn, 0);
    h1->ex = NULL;
    hc->h2 = h2;
    hc->mode = MODE_H2;
    exchange_head(ex, 0);
    exchange_body_end(ex);
    return true;
}

static void h1_begin_body(struct h1 *h1, const struct h1_head *head)
{
    struct conn *conn = h1->hc->conn;
    h1->state = H1_BODY;
    h1->body_chunked = head->chunked;
    h1->body_left = head->chunked ? 0 : head->content_length;
    h1->decoder = (struct chunk_decoder){0};
    if (head->expect_continue && h1->ex->body_discarded)
        h1->keep_alive = false; /* the client may send the body or not: nobody knows what comes next */
    else if (head->expect_continue)
        conn_write(conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    bool is_streamed = h1->ex->match.entry != NULL && h1->ex->match.entry->route->flags & HTTP_STREAM_BODY;
    conn_set_deadline(conn, is_streamed ? 0 : h1->hc->server->head_ms * BODY_DEADLINES);
}

static void h1_begin_request(struct h1 *h1, const struct h1_head *head)
{
    struct exchange *ex = h1->ex;
    h1->keep_alive = head->keep_alive;
    h1->head_written = h1->reply_done = false;
    request_fill(ex, head);
    conn_set_deadline(h1->hc->conn, 0);
    if (try_h2c(h1, head))
        return;
    exchange_head(ex, head->content_length);
    if (head->chunked || head->content_length > 0) {
        h1_begin_body(h1, head);
    } else {
        h1->state = H1_WAIT;
        h1->body_left = 0;
        h1->body_chunked = false;
        exchange_body_end(ex);
    }
    h1_pump(ex);
}

/* Returns the bytes used; 0: the head is not complete. */
static size_t h1_take_head(struct h1 *h1, struct str unread)
{
    const struct h1_limits *limits = &h1->hc->server->limits;
    if (unread.ptr[0] == '\r' || unread.ptr[0] == '\n')
        return 1; /* an empty line before a request is to be ignored (RFC 9112, 2.2) */
    size_t len = h1_head_len(unread, &h1->scanned);
    if (len == 0 ? unread.len >= limits->head_bytes_max : len > limits->head_bytes_max) {
        h1_fail(h1, (struct h1_fault){431, "the head is too large"});
        return unread.len;
    }
    if (len == 0) {
        if (!h1->has_deadline)
            conn_set_deadline(h1->hc->conn, h1->hc->server->head_ms);
        h1->has_deadline = true;
        return 0;
    }
    struct h1_head head;
    struct h1_fault fault;
    struct exchange *ex = h1->ex = exchange_new(h1->hc, &h1_proto);
    char *copy = arena_dup(&ex->arena, unread.ptr, len);
    if (h1_parse_head(copy, len, limits, &ex->arena, &head, &fault))
        h1_begin_request(h1, &head);
    else
        h1_fail(h1, fault);
    return len;
}

static void h1_body_done(struct h1 *h1)
{
    struct exchange *ex = h1->ex;
    h1->state = H1_WAIT;
    conn_set_deadline(h1->hc->conn, 0);
    if (h1->reply_done) {
        h1_next(h1);
        return;
    }
    exchange_body_end(ex);
    h1_pump(ex);
}

/* Hands a piece of the body on; false when it was refused. */
static bool h1_body_piece(struct h1 *h1, struct str bytes)
{
    struct exchange *ex = h1->ex;
    if (exchange_body(ex, bytes) != BODY_TOO_LARGE)
        return true;
    h1->keep_alive = false;
    if (ex->body_discarded) /* answered */
        h1_pump(ex);
    else
        h1_fail(h1, (struct h1_fault){413, "the body is larger than the limit of this route"});
    return false;
}

/* Has the handler of a streamed body enough for now? Then reading stops until it used some. */
static bool h1_body_full(struct h1 *h1)
{
    if (exchange_body_outstanding(h1->ex) < HTTP_BODY_OUTSTANDING_MAX)
        return false;
    conn_pause(h1->hc->conn);
    return true;
}

static size_t h1_take_chunked(struct h1 *h1, struct str unread)
{
    struct str rest = unread, data;
    while (rest.len > 0 && h1->decoder.state != CHUNK_END && !h1_body_full(h1)) {
        struct str piece = str_sub(rest, 0, BODY_PIECE_BYTES);
        size_t before = piece.len;
        if (!chunk_decode(&h1->decoder, &piece, &data)) {
            h1_fail(h1, (struct h1_fault){400, "a chunk of the body is malformed"});
            return unread.len;
        }
        rest = str_sub(rest, before - piece.len, SIZE_MAX);
        if (data.len > 0 && !h1_body_piece(h1, data))
            return unread.len;
    }
    if (h1->decoder.state == CHUNK_END)
        h1_body_done(h1);
    return unread.len - rest.len;
}

/* Returns the bytes used; 0: the handler has enough for now. */
static size_t h1_take_body(struct h1 *h1, struct str unread)
{
    if (h1->body_chunked)
        return h1_take_chunked(h1, unread);
    if (h1_body_full(h1))
        return 0;
    size_t len = (size_t)MIN(MIN(h1->body_left, BODY_PIECE_BYTES), (int64_t)unread.len);
    h1->body_left -= (int64_t)len;
    if (!h1_body_piece(h1, str_sub(unread, 0, len)))
        return unread.len;
    if (h1->body_left == 0)
        h1_body_done(h1);
    return len;
}

size_t h1_bytes(struct h1 *h1, struct str unread)
{
    size_t used = 0;
    while (used < unread.len && h1->hc->mode == MODE_H1 && h1->state != H1_WAIT &&
           !conn_out_full(h1->hc->conn)) {
        struct str rest = str_sub(unread, used, SIZE_MAX);
        size_t step = h1->state == H1_HEAD ? h1_take_head(h1, rest) : h1_take_body(h1, rest);
        if (step == 0)
            break;
        used += step;
    }
    return used;
}
