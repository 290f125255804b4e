/* exchange.c - one request and its reply, between a protocol (network thread) and a handler (any thread).
 *
 *   protocol: exchange_new -> exchange_head -> exchange_body ... -> exchange_body_end     -> exchange_detach
 *                                 | guard, route      | limit, pieces       | handler
 *   handler:                                 http_reply_* -> out: chunk -> chunk -> chunk -> protocol's pump
 *
 * (X1) Two references: the protocol's, given back by exchange_detach, and the handler's, given back by
 *      exchange_end. A request that never reached a handler gives both back in exchange_detach.
 * (X2) What both sides touch is under `lock`. After is_gone the handler's side wakes nobody, so a loop may be
 *      freed while handlers still hold requests.
 * (X3) Callbacks run under the lock: when exchange_end has returned none of them runs any more.
 * (X4) A refusal (guard, no route, body too large) is a reply made here in the handler's place.
 */
#include "http/http_int.h"

static void on_posted_wake(struct loop_call *call);
static void on_deferred_wake(struct loop_call *call);

struct exchange *exchange_new(struct http_conn *hc, const struct http_proto *proto)
{
    struct exchange *ex = mem_new(struct exchange);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&ex->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    atomic_init(&ex->refs, 2);
    arena_init(&ex->arena);
    list_init(&ex->h2_link);
    ex->server = hc->server;
    ex->hc = hc;
    ex->proto = proto;
    ex->loop = conn_loop(hc->conn);
    ex->begun_us = clock_mono_us();
    ex->req.arena = &ex->arena;
    ex->req.peer = str_dup(conn_peer(hc->conn), &ex->arena);
    ex->req.listener_port = net_listener_port(conn_listener(hc->conn));
    loop_call_init(&ex->posted_wake, on_posted_wake);
    loop_call_init(&ex->deferred_wake, on_deferred_wake);
    if (hc->exchanges++ == 0)
        conn_hold_idle(hc->conn, true);
    return ex;
}

static void chunks_free(struct exchange *ex)
{
    while (ex->out != NULL) {
        struct chunk *next = ex->out->next;
        chunk_free(ex->out);
        ex->out = next;
    }
    ex->out_last = NULL;
    ex->waiting = 0;
}

void exchange_unref(struct exchange *ex)
{
    if (atomic_fetch_sub_explicit(&ex->refs, 1, memory_order_acq_rel) != 1)
        return;
    chunks_free(ex);
    ws_memory_free(ex->ws);
    vec_fini(&ex->reply_headers);
    vec_fini(&ex->h2_headers);
    buf_fini(&ex->body);
    arena_fini(&ex->arena);
    pthread_mutex_destroy(&ex->lock);
    free(ex);
}

/* ---- protocol side: the request comes in ---- */

static void exchange_dispatched(struct exchange *ex)
{
    ASSERT(!ex->dispatched);
    ex->dispatched = true;
    atomic_fetch_add_explicit(&ex->server->in_flight, 1, memory_order_relaxed);
}

static void exchange_refuse(struct exchange *ex, int status, const char *why)
{
    exchange_dispatched(ex);
    ex->body_discarded = true;
    http_reply_error(&ex->req, status, status, str_from(why));
}

static void exchange_dispatch(struct exchange *ex)
{
    const struct route_entry *entry = ex->match.entry;
    exchange_dispatched(ex);
    entry->route->handler(&ex->req, entry->arg);
}

static int exchange_guard(struct exchange *ex, const char **why, struct str *cors)
{
    const struct route_entry *entry = ex->match.entry;
    struct conn *conn = ex->hc->conn;
    struct guard_facts facts = {
        .method = ex->req.method,
        .host = ex->req.host,
        .local_host = conn_local_host(conn),
        .headers = ex->req.headers,
        .header_count = ex->req.header_count,
        .on_loopback = conn_is_loopback(conn),
        .is_navigable = entry != NULL && entry->route->flags & HTTP_NAVIGABLE,
        .needs_host = ex->req.version > 10,
    };
    return guard_check(&ex->server->rules, &facts, why, cors);
}

/* A page of an allowed origin may read the answers; OPTIONS from it asks what it may send. */
static void exchange_allow_origin(struct exchange *ex, struct str origin)
{
    http_reply_header(&ex->req, STR("access-control-allow-origin"), origin);
    http_reply_header(&ex->req, STR("vary"), STR("Origin"));
    struct str asked = http_header(&ex->req, "access-control-request-headers");
    if (!str_eq(ex->req.method, STR("OPTIONS")))
        return;
    http_reply_header(&ex->req, STR("access-control-allow-methods"), STR("GET, POST, PUT, PATCH, DELETE"));
    if (!str_is_null(asked))
        http_reply_header(&ex->req, STR("access-control-allow-headers"), asked);
}

/* There is no route for this method: why. */
static void exchange_refuse_route(struct exchange *ex)
{
    if (ex->match.websocket_only) {
        http_reply_header(&ex->req, STR("upgrade"), STR("websocket"));
        http_reply_header(&ex->req, STR("sec-websocket-version"), STR("13"));
        exchange_refuse(ex, 426, "this is a websocket: ask for the upgrade");
        return;
    }
    if (ex->match.path_known)
        http_reply_header(&ex->req, STR("allow"), str_from(ex->match.allow));
    if (str_eq(ex->req.method, STR("OPTIONS")) && (ex->match.path_known || str_eq(ex->req.path, STR("*")))) {
        exchange_dispatched(ex);
        ex->body_discarded = true;
        http_reply(&ex->req, 204, STR_NULL, STR(""));
    } else if (ex->match.path_known) {
        exchange_refuse(ex, 405, "HTTP 405 Method Not Allowed");
    } else {
        exchange_refuse(ex, 404, "HTTP 404 Not Found");
    }
}

void exchange_head(struct exchange *ex, int64_t content_length)
{
    const struct http_server *server = ex->server;
    const char *why = NULL;
    struct str cors;
    bool is_path = route_find(server->routes.at, server->routes.len, ex->req.method, ex->req.path,
                              ex->wants_ws, &ex->arena, &ex->match);
    int status = exchange_guard(ex, &why, &cors);
    if (status != 0) {
        exchange_refuse(ex, status, why);
        return;
    }
    if (!str_is_null(cors))
        exchange_allow_origin(ex, cors);
    if (!is_path) {
        exchange_refuse(ex, 400, "the path is malformed");
        return;
    }
    if (ex->match.entry == NULL) {
        exchange_refuse_route(ex);
        return;
    }
    const struct http_route *route = ex->match.entry->route;
    bool is_streamed = route->flags & HTTP_STREAM_BODY;
    ex->body_max = route->body_max > 0 ? route->body_max : is_streamed ? SIZE_MAX : server->body_max;
    if (content_length > 0 && (uint64_t)content_length > ex->body_max)
        exchange_refuse(ex, 413, "the body is larger than the limit of this route");
    else if (is_streamed)
        exchange_dispatch(ex);
}

enum body_fate exchange_body(struct exchange *ex, struct str bytes)
{
    enum body_fate fate = BODY_KEPT;
    if (ex->body_discarded || bytes.len == 0)
        return BODY_KEPT;
    ex->body_bytes += bytes.len;
    if (ex->body_bytes > ex->body_max) {
        if (!ex->dispatched)
            exchange_refuse(ex, 413, "the body is larger than the limit of this route");
        return BODY_TOO_LARGE;
    }
    if (!ex->dispatched) {
        buf_append_str(&ex->body, bytes);
        return BODY_KEPT;
    }
    pthread_mutex_lock(&ex->lock);
    if (ex->on_body != NULL) {
        ex->body_outstanding += bytes.len;
        ex->on_body(&ex->req, bytes, false, ex->body_arg);
        fate = BODY_HANDED;
    }
    pthread_mutex_unlock(&ex->lock);
    return fate;
}

void exchange_body_end(struct exchange *ex)
{
    ex->body_ended = true;
    if (ex->body_discarded)
        return;
    if (!ex->dispatched) {
        ex->req.body = buf_str(&ex->body);
        exchange_dispatch(ex);
        return;
    }
    pthread_mutex_lock(&ex->lock);
    if (ex->on_body != NULL)
        ex->on_body(&ex->req, STR(""), true, ex->body_arg);
    pthread_mutex_unlock(&ex->lock);
}

void exchange_detach(struct exchange *ex)
{
    struct http_conn *hc = ex->hc;
    ASSERT(hc != NULL);
    pthread_mutex_lock(&ex->lock);
    ex->is_gone = true;
    chunks_free(ex);
    void (*on_cancel)(struct http_request * req, void *arg) = ex->on_cancel;
    ex->on_cancel = NULL;
    if (on_cancel != NULL && ex->state < REPLY_ENDED)
        on_cancel(&ex->req, ex->cancel_arg);
    pthread_mutex_unlock(&ex->lock);
    loop_call_cancel(ex->loop, &ex->posted_wake);
    loop_defer_cancel(ex->loop, &ex->deferred_wake);
    list_remove(&ex->h2_link);
    ex->hc = NULL;
    if (--hc->exchanges == 0)
        conn_hold_idle(hc->conn, false);
    if (!ex->dispatched)
        exchange_unref(ex); /* no handler will give it back */
    exchange_unref(ex);
}

/* ---- the way out ---- */

void exchange_wake(struct exchange *ex)
{
    if (ex->is_gone)
        return;
    if (loop_is_mine(ex->loop))
        loop_defer(ex->loop, &ex->deferred_wake);
    else
        loop_post(ex->loop, &ex->posted_wake);
}

static void on_wake(struct exchange *ex)
{
    ASSERT(ex->hc != NULL);
    pthread_mutex_lock(&ex->lock);
    size_t used = ex->body_used;
    ex->body_used = 0;
    pthread_mutex_unlock(&ex->lock);
    atomic_fetch_add_explicit(&ex->refs, 1,
                              memory_order_relaxed); /* the protocol may be done with it on the way */
    if (used > 0)
        ex->proto->body_used(ex, used);
    if (ex->hc != NULL)
        ex->proto->pump(ex);
    exchange_unref(ex);
}

static void on_posted_wake(struct loop_call *call)
{
    on_wake(LIST_ENTRY(call, struct exchange, posted_wake));
}

static void on_deferred_wake(struct loop_call *call)
{
    on_wake(LIST_ENTRY(call, struct exchange, deferred_wake));
}

struct chunk *chunk_new(struct str bytes)
{
    struct chunk *chunk = mem_alloc(sizeof *chunk + bytes.len);
    *chunk = (struct chunk){.bytes = {chunk->inline_bytes, bytes.len}};
    if (bytes.len > 0)
        memcpy(chunk->inline_bytes, bytes.ptr, bytes.len);
    return chunk;
}

void chunk_free(struct chunk *chunk)
{
    buf_fini(&chunk->owned);
    free(chunk);
}

void exchange_append(struct exchange *ex, struct chunk *chunk)
{
    if (ex->is_gone) {
        chunk_free(chunk);
        return;
    }
    if (ex->out_last == NULL)
        ex->out = chunk;
    else
        ex->out_last->next = chunk;
    ex->out_last = chunk;
    ex->waiting += chunk->bytes.len;
}

static struct chunk *out_pop(struct exchange *ex)
{
    struct chunk *chunk = ex->out;
    if (chunk != NULL) {
        ex->out = chunk->next;
        if (ex->out == NULL)
            ex->out_last = NULL;
    }
    return chunk;
}

struct chunk *exchange_take(struct exchange *ex)
{
    pthread_mutex_lock(&ex->lock);
    struct chunk *chunk = out_pop(ex);
    pthread_mutex_unlock(&ex->lock);
    return chunk;
}

/* Under the lock. */
static void out_sent(struct exchange *ex, size_t bytes)
{
    ASSERT_CMP(bytes, <=, ex->waiting);
    ex->waiting -= bytes;
    if (!ex->was_full || ex->waiting > ex->server->stream_out_max / 2)
        return;
    ex->was_full = false;
    if (ex->ws != NULL && ex->ws->cls->on_drain != NULL && !ex->ws->is_released)
        ex->ws->cls->on_drain(ex->ws, ex->ws->arg);
    else if (ex->on_drain != NULL)
        ex->on_drain(&ex->req, ex->drain_arg);
}

void exchange_sent(struct exchange *ex, size_t bytes)
{
    pthread_mutex_lock(&ex->lock);
    out_sent(ex, bytes);
    pthread_mutex_unlock(&ex->lock);
}

size_t exchange_read(struct exchange *ex, void *bytes, size_t size, bool *end)
{
    size_t n = 0;
    pthread_mutex_lock(&ex->lock);
    struct chunk *chunk = ex->out;
    if (chunk != NULL) {
        n = MIN(size, chunk->bytes.len - chunk->sent);
        memcpy(bytes, chunk->bytes.ptr + chunk->sent, n);
        chunk->sent += n;
        if (chunk->sent == chunk->bytes.len)
            chunk_free(out_pop(ex));
        out_sent(ex, n);
    }
    *end = ex->out == NULL && ex->state >= REPLY_ENDED;
    pthread_mutex_unlock(&ex->lock);
    return n;
}

enum reply_state exchange_state(struct exchange *ex)
{
    pthread_mutex_lock(&ex->lock);
    enum reply_state state = ex->state;
    pthread_mutex_unlock(&ex->lock);
    return state;
}

bool exchange_has_output(struct exchange *ex)
{
    pthread_mutex_lock(&ex->lock);
    bool has = ex->out != NULL;
    pthread_mutex_unlock(&ex->lock);
    return has;
}

size_t exchange_body_outstanding(struct exchange *ex)
{
    pthread_mutex_lock(&ex->lock);
    size_t outstanding = ex->body_outstanding + ex->body_used;
    pthread_mutex_unlock(&ex->lock);
    return outstanding;
}

void exchange_end(struct exchange *ex, enum reply_state state)
{
    struct http_server *server = ex->server;
    pthread_mutex_lock(&ex->lock);
    ASSERT(ex->state < REPLY_ENDED); /* else the request was given back twice */
    ex->state = state;
    ex->on_cancel = NULL;
    ex->on_drain = NULL;
    ex->on_body = NULL;
    int hundreds = ex->status / 100;
    exchange_wake(ex);
    pthread_mutex_unlock(&ex->lock);
    metric_add(server->requests[hundreds >= 1 && hundreds <= 5 ? hundreds : 0], 1);
    metric_observe(server->seconds, clock_mono_us() - ex->begun_us);
    atomic_fetch_sub_explicit(&server->in_flight, 1, memory_order_release);
    exchange_unref(ex);
}
