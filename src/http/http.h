/* http.h - HTTP/1.1, HTTP/2 (prior knowledge, upgrade), websockets on one port; routes; replies from any
 * thread.
 *
 *   conn (net) -> h1 | h2 -> struct http_request -> guard (Host, Origin, Sec-Fetch-Site) -> route -> handler
 *                    <-  reply, streamed reply, websocket frames  <-  any thread
 *
 * (H1) A handler runs on the network thread of its connection and does not block. It replies at once, or
 *      keeps the request and replies later, from any thread.
 * (H2) Each request that reaches a handler is finished by exactly one of http_reply, http_reply_take,
 *      http_reply_error, http_reply_err, http_reply_blob, http_reply_end, http_reply_abort, ws_release. That
 *      gives the request back: the handler does not touch it any more. This holds also when the client is
 *      gone; the reply is dropped then.
 * (H3) What the request holds (path, headers, body, parameters) is immutable while the handler has it and may
 *      be read from any thread. One thread at a time uses a request.
 * (H4) Each http_reply_write is one chunk (HTTP/1.1) or one DATA frame (HTTP/2, up to its frame size):
 *      clients that take a chunk for a line work.
 * (H5) Every request passes the guard before its handler: pages of other origins cannot reach any route.
 * (H6) Callbacks (on_cancel, on_drain, on_body, those of a websocket) run on the network thread under the
 *      request's lock. They may use the request and finish it; they must not wait for a lock under which
 *      another thread calls http_ or ws_ functions. Post mail instead.
 */
#ifndef RIALTO_HTTP_HTTP_H
#define RIALTO_HTTP_HTTP_H

#include "base/base.h"
#include "net/net.h"

struct http_server;

struct http_header {
    struct str name, value; /* names are lower-case */
};

/* One request. The handler sees these fields; further state is private. */
struct http_request {
    struct str method; /* "GET"; HEAD is shown as HEAD to the GET handler, its body is not sent */
    struct str path;   /* without query, not decoded: "/topics/a%2Fb" */
    struct str query;  /* after '?', not decoded; empty when there is none */
    struct str host;   /* Host or :authority as sent; empty when an HTTP/1.0 client sent none */
    int version;       /* 10, 11 or 20 */
    const struct http_header *headers; /* in order; without HTTP/2's pseudo headers */
    size_t header_count;
    struct str body;     /* whole body; empty for routes with HTTP_STREAM_BODY */
    struct str peer;     /* "127.0.0.1:54321" */
    int listener_port;   /* the port that the request came to */
    struct arena *arena; /* lives as long as the request; for its present user only */
    void *data;          /* the handler's own */
};

typedef void http_handler(struct http_request *req, void *arg);

/* ---- server and routes ---- */

enum http_route_flags {
    HTTP_STREAM_BODY =
        1,              /* the handler is called when the head is there and takes the body by http_on_body */
    HTTP_WEBSOCKET = 2, /* a GET that asks for an upgrade; the handler calls ws_accept. A plain GET gets 426
                         * unless another route of the same pattern takes it */
    HTTP_NAVIGABLE = 4, /* a link on a foreign page may lead here (top-level navigation to a document) */
};

struct http_route {
    const char *method; /* "GET" also serves HEAD */
    const char
        *pattern; /* "/connectors/{name}/config"; "{path*}" as last part takes the rest, slashes included */
    http_handler *handler;
    unsigned flags;
    size_t body_max; /* 0: the server's */
    const char *doc; /* one sentence, printed by `rialto doc routes` */
};

struct http_options {
    const char *const *hosts; /* further names that Host may have (without port); NULL-terminated, or NULL */
    const char *const
        *origins;            /* other origins whose pages may use the server ("http://dev:5173"), or NULL */
    struct net_tls *tls;     /* for addresses that begin with https://; NULL: those are refused */
    size_t body_max;         /* 0: 4 MiB */
    size_t head_bytes_max;   /* request line and headers; 0: 32 KiB */
    size_t header_count_max; /* 0: 100 */
    size_t ws_message_max;   /* 0: 64 KiB */
    size_t stream_out_max;   /* bytes of one reply waiting to be sent at which http_reply_write says FULL; 0:
                                256 KiB */
    int64_t head_ms;         /* time a head may take; 0: 15 s */
    struct metric_registry *metrics;
};

struct http_server *http_server_new(const struct http_options *options);

/* All requests must have been given back (H2) and the net freed before. */
void http_server_free(struct http_server *server);

/* Adds a table of routes, all called with `arg`; the table outlives the server. Before the first listener. A
 * literal part wins against a parameter, a parameter against the rest. Two routes of the same method and
 * shape are a programmer error (asserted). */
void http_server_route(struct http_server *server, const struct http_route *routes, size_t count, void *arg);

/* Calls fn for each route in order of registration. */
void http_server_each_route(const struct http_server *server,
                            void (*fn)(const struct http_route *route, void *arg), void *arg);

/* Serves on this address (net_listen's form; with https:// in front: by TLS, HTTP/2 by ALPN). NULL with *err. */
struct net_listener *http_server_listen(struct http_server *server, struct net *net, struct str address,
                                        struct err *err);

/* Requests that handlers have at present. Any thread. */
int64_t http_server_in_flight(const struct http_server *server);

/* ---- reading a request ---- */

/* First header of this lower-case name; STR_NULL when there is none. */
struct str http_header(const struct http_request *req, const char *name);

/* Value of a {name} of the route, decoded; STR_NULL when the route has none of this name. */
struct str http_param(const struct http_request *req, const char *name);

/* First value of a query parameter, decoded ('+' is a space), in req->arena; STR_NULL when absent. */
struct str http_query(struct http_request *req, const char *name);

/* Walks the query parameters: for (size_t pos = 0; http_query_next(req, &pos, &name, &value);) */
bool http_query_next(struct http_request *req, size_t *pos, struct str *name, struct str *value);

/* How well the request's Accept fits: index of the best of `types` ("application/json"), by weight, then by
 * order; 0 when there is no Accept; -1 when nothing fits (406). Parameters other than q are ignored. */
int http_accept(const struct http_request *req, const char *const *types, size_t count);

/* Does Accept-Encoding allow this coding ("gzip")? */
bool http_accept_encoding(const struct http_request *req, const char *coding);

/* Decodes %XX (and '+' when plus_is_space); false on a malformed escape. */
bool http_url_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *out);

/* Streamed body: calls on_body on the network thread with each piece as it comes, then once with end = true
 * and no bytes (not after a cancel). Call in the handler. At most 64 KiB are outstanding: tell what was used
 * by http_body_used (any thread) and more comes. A body that is larger than the limit or broken is a cancel.
 */
typedef void http_body_fn(struct http_request *req, struct str bytes, bool end, void *arg);
void http_on_body(struct http_request *req, http_body_fn *on_body, void *arg);
void http_body_used(struct http_request *req, size_t bytes);

/* ---- replying ---- */

/* Adds a reply header; the name in lower case, both copied. Before the reply starts. Control characters in
 * the value are replaced by spaces. content-length, transfer-encoding, connection and date are made by the
 * server. */
void http_reply_header(struct http_request *req, struct str name, struct str value);

/* Replies and gives the request back. content_type may be STR_NULL. `body` is copied; the second form takes
 * it. */
void http_reply(struct http_request *req, int status, struct str content_type, struct str body);
void http_reply_take(struct http_request *req, int status, struct str content_type, struct buf *body);

/* {"error_code": code, "message": text} with this status: the form of the three REST APIs. */
void http_reply_error(struct http_request *req, int status, int error_code, struct str message);

/* As http_reply_error with the error's own status and its ksqlDB code. */
void http_reply_err(struct http_request *req, const struct err *err);

/* A fixed body that lives for ever, such as an embedded file: entity tag, 304, Cache-Control, gzip form when
 * accepted. */
struct http_blob {
    struct str content_type;
    struct str identity;      /* may be null when gzip is there: then who does not accept gzip gets 406 */
    struct str gzip;          /* may be null */
    struct str etag;          /* with its quotes: "\"a1b2\""; null: none */
    struct str cache_control; /* null: "no-cache" */
};
void http_reply_blob(struct http_request *req, const struct http_blob *blob);

/* Streamed reply: start, any number of writes, end. */
enum http_flow {
    HTTP_FLOW_OK,   /* go on */
    HTTP_FLOW_FULL, /* taken, but wait for on_drain before the next */
    HTTP_FLOW_GONE, /* the client is gone: end now */
};

void http_reply_start(struct http_request *req, int status, struct str content_type);
enum http_flow http_reply_write(struct http_request *req, struct str bytes);
/* Ends the reply and gives the request back. */
void http_reply_end(struct http_request *req);
/* Ends it as broken (connection or stream is reset, so that the client sees that the end is missing). */
void http_reply_abort(struct http_request *req);

/* fn runs on the network thread, once, when the client goes away before the reply's end; the request still
 * has to be finished (H2). Set it in the handler. After http_reply_end returned fn does not run. fn may
 * finish the request. */
void http_on_cancel(struct http_request *req, void (*fn)(struct http_request *req, void *arg), void *arg);

/* fn runs on the network thread when, after HTTP_FLOW_FULL, half of the waiting bytes are sent. Set it in the
 * handler or between start and the first write. */
void http_on_drain(struct http_request *req, void (*fn)(struct http_request *req, void *arg), void *arg);

/* Any thread. */
bool http_is_cancelled(struct http_request *req);
size_t http_reply_waiting(struct http_request *req); /* bytes written and not yet handed to the socket */

/* ---- websockets ---- */

struct ws;

struct ws_class {
    /* All on the network thread. A message is whole; text is valid UTF-8. */
    void (*on_message)(struct ws *ws, struct str bytes, bool is_text, void *arg);
    /* As http_on_drain; may be NULL. */
    void (*on_drain)(struct ws *ws, void *arg);
    /* The socket is gone or closing; last call. The owner still has to ws_release. code as in RFC 6455 (1006:
     * none). */
    void (*on_close)(struct ws *ws, int code, void *arg);
};

/* Accepts the upgrade (in the handler of an HTTP_WEBSOCKET route; req->arena etc. stay valid until
 * ws_release). */
struct ws *ws_accept(struct http_request *req, const struct ws_class *cls, void *arg);
struct http_request *ws_request(struct ws *ws);

/* Sends a message. Any thread. */
enum http_flow ws_send(struct ws *ws, struct str bytes, bool is_text);
/* Starts the closing handshake; reason is cut to 123 bytes. Any thread. */
void ws_close(struct ws *ws, int code, struct str reason);
/* Gives the socket back; closes it (1000) when it is still open. After it no callback runs. Any thread. */
void ws_release(struct ws *ws);

/* Reason phrase: "Not Found". */
const char *http_status_text(int status);

#endif
