/* reply.c - what handlers call to answer. Any thread; one thread at a time uses a request (H3). */
#include <stdio.h>
#include <time.h>

#include "http/http_int.h"

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Status";
}

void http_date(char text[32])
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc); /* strftime would take the day's name from the locale */
    snprintf(text, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * utc.tm_wday, utc.tm_mday,
             months + 3 * utc.tm_mon, utc.tm_year % 8100 + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static struct exchange *exchange_of(struct http_request *req)
{
    return (struct exchange *)req;
}

static bool has_no_body(const struct exchange *ex)
{
    return ex->status == 204 || ex->status == 304 || str_eq(ex->req.method, STR("HEAD"));
}

void http_reply_header(struct http_request *req, struct str name, struct str value)
{
    struct exchange *ex = exchange_of(req);
    char *copy = (char *)str_dup(value, &ex->arena).ptr;
    for (size_t i = 0; i < value.len; i++) /* a line break in a value would begin a header of its own */
        if ((unsigned char)copy[i] < ' ' || copy[i] == 0x7f)
            copy[i] = ' ';
    pthread_mutex_lock(&ex->lock);
    ASSERT_CMP(ex->state, ==, REPLY_NONE);
    vec_push(&ex->reply_headers, (struct http_header){str_dup(name, &ex->arena), str_of(copy, value.len)});
    pthread_mutex_unlock(&ex->lock);
}

/* Sets the head; content_length -1: streamed. Under no lock. */
static void reply_begin(struct exchange *ex, int status, struct str content_type, int64_t content_length)
{
    ASSERT(status >= 200 && status <= 599);
    if (!str_is_null(content_type))
        http_reply_header(&ex->req, STR("content-type"), content_type);
    pthread_mutex_lock(&ex->lock);
    ASSERT_CMP(ex->state, ==, REPLY_NONE);
    ex->status = status;
    ex->content_length = content_length;
    ex->state = REPLY_STARTED;
    pthread_mutex_unlock(&ex->lock);
}

static void reply_whole(struct exchange *ex, int status, struct str content_type, struct chunk *chunk)
{
    reply_begin(ex, status, content_type, (int64_t)chunk->bytes.len);
    if (has_no_body(ex) || chunk->bytes.len == 0) {
        chunk_free(chunk);
    } else {
        pthread_mutex_lock(&ex->lock);
        exchange_append(ex, chunk);
        pthread_mutex_unlock(&ex->lock);
    }
    exchange_end(ex, REPLY_ENDED);
}

void http_reply(struct http_request *req, int status, struct str content_type, struct str body)
{
    reply_whole(exchange_of(req), status, content_type, chunk_new(body));
}

static struct chunk *chunk_take(struct buf *bytes)
{
    struct chunk *chunk = mem_new(struct chunk);
    chunk->owned = *bytes;
    chunk->bytes = buf_str(&chunk->owned);
    *bytes = (struct buf){0};
    return chunk;
}

void http_reply_take(struct http_request *req, int status, struct str content_type, struct buf *body)
{
    reply_whole(exchange_of(req), status, content_type, chunk_take(body));
}

static void append_json_text(struct buf *out, struct str text)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ')
            buf_printf(out, "\\u%04x", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_char(out, '"');
}

void http_reply_error(struct http_request *req, int status, int error_code, struct str message)
{
    struct buf body = {0};
    buf_printf(&body, "{\"error_code\":%d,\"message\":", error_code);
    append_json_text(&body, message);
    buf_append_char(&body, '}');
    http_reply_take(req, status, STR("application/json"), &body);
}

void http_reply_err(struct http_request *req, const struct err *err)
{
    http_reply_error(req, err_http_status(err->code), err_ksql_code(err->code), str_from(err->text));
}

/* If-None-Match: "*" or a list of tags; the weak mark does not count (RFC 9110, 13.1.2). */
static bool has_tag(struct str list, struct str etag)
{
    struct str part;
    while (str_split(&list, ',', &part)) {
        part = str_trim(part);
        if (str_starts_with(part, STR("W/")))
            part = str_sub(part, 2, SIZE_MAX);
        if (str_eq(part, STR("*")) || str_eq(part, etag))
            return true;
    }
    return false;
}

void http_reply_blob(struct http_request *req, const struct http_blob *blob)
{
    struct str none_match = http_header(req, "if-none-match");
    bool gzip = !str_is_null(blob->gzip) && http_accept_encoding(req, "gzip");
    http_reply_header(req, STR("cache-control"),
                      str_is_null(blob->cache_control) ? STR("no-cache") : blob->cache_control);
    if (!str_is_null(blob->gzip))
        http_reply_header(req, STR("vary"), STR("Accept-Encoding"));
    if (!str_is_null(blob->etag))
        http_reply_header(req, STR("etag"), blob->etag);
    if (!str_is_null(blob->etag) && !str_is_null(none_match) && has_tag(none_match, blob->etag)) {
        http_reply(req, 304, STR_NULL, STR(""));
        return;
    }
    if (!gzip && str_is_null(blob->identity)) {
        http_reply_error(req, 406, 406, STR("this file is sent with Content-Encoding gzip only"));
        return;
    }
    if (gzip)
        http_reply_header(req, STR("content-encoding"), STR("gzip"));
    struct chunk *chunk = mem_new(struct chunk);
    chunk->bytes = gzip ? blob->gzip : blob->identity;
    reply_whole(exchange_of(req), 200, blob->content_type, chunk);
}

void http_reply_start(struct http_request *req, int status, struct str content_type)
{
    struct exchange *ex = exchange_of(req);
    reply_begin(ex, status, content_type, -1);
    pthread_mutex_lock(&ex->lock);
    exchange_wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

/* Under the lock: what the writer should do next. */
static enum http_flow flow_of(struct exchange *ex)
{
    if (ex->is_gone)
        return HTTP_FLOW_GONE;
    if (ex->waiting <= ex->server->stream_out_max)
        return HTTP_FLOW_OK;
    ex->was_full = true;
    return HTTP_FLOW_FULL;
}

enum http_flow http_reply_write(struct http_request *req, struct str bytes)
{
    struct exchange *ex = exchange_of(req);
    struct chunk *chunk = has_no_body(ex) || bytes.len == 0 ? NULL : chunk_new(bytes);
    pthread_mutex_lock(&ex->lock);
    ASSERT_CMP(ex->state, ==, REPLY_STARTED);
    if (chunk != NULL) {
        exchange_append(ex, chunk);
        exchange_wake(ex);
    }
    enum http_flow flow = flow_of(ex);
    pthread_mutex_unlock(&ex->lock);
    return flow;
}

void http_reply_end(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    ASSERT_CMP(ex->state, ==, REPLY_STARTED);
    exchange_end(ex, REPLY_ENDED);
}

void http_reply_abort(struct http_request *req)
{
    exchange_end(exchange_of(req), REPLY_ABORTED);
}

void http_on_cancel(struct http_request *req, void (*fn)(struct http_request *req, void *arg), void *arg)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    ex->on_cancel = fn;
    ex->cancel_arg = arg;
    pthread_mutex_unlock(&ex->lock);
}

void http_on_drain(struct http_request *req, void (*fn)(struct http_request *req, void *arg), void *arg)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    ex->on_drain = fn;
    ex->drain_arg = arg;
    pthread_mutex_unlock(&ex->lock);
}

void http_on_body(struct http_request *req, http_body_fn *on_body, void *arg)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    ex->on_body = on_body;
    ex->body_arg = arg;
    pthread_mutex_unlock(&ex->lock);
}

void http_body_used(struct http_request *req, size_t bytes)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    ASSERT_CMP(bytes, <=, ex->body_outstanding);
    ex->body_outstanding -= bytes;
    ex->body_used += bytes;
    exchange_wake(ex);
    pthread_mutex_unlock(&ex->lock);
}

bool http_is_cancelled(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    bool is_gone = ex->is_gone;
    pthread_mutex_unlock(&ex->lock);
    return is_gone;
}

size_t http_reply_waiting(struct http_request *req)
{
    struct exchange *ex = exchange_of(req);
    pthread_mutex_lock(&ex->lock);
    size_t waiting = ex->waiting;
    pthread_mutex_unlock(&ex->lock);
    return waiting;
}
