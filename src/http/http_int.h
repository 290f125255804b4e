/* http_int.h - private to http: exchanges, connections, protocols, parser, routes, guard.
 *
 *   http_conn (a net conn) --sniff--> h1 | h2 --upgrade--> ws
 *      exchange = one request and its reply; two sides hold it:
 *        protocol side (network thread)    pumps `out` to the socket; leaves by exchange_detach
 *        handler side (any thread)         appends to `out`; leaves by ending the reply
 */
#ifndef RIALTO_HTTP_HTTP_INT_H
#define RIALTO_HTTP_HTTP_INT_H

#include <stdatomic.h>

#include "http/http.h"

struct exchange;
struct http_conn;
struct h1;
struct h2;

enum {
    HTTP_BODY_OUTSTANDING_MAX = 64 << 10, /* of a streamed request body */
    HTTP_DISCARD_MAX = 64 << 10, /* rest of a refused body that is read so that the connection can go on */
    HTTP_SEGMENTS_MAX = 16,
};

/* ---- routes: route.c ---- */

enum segment_kind { SEGMENT_REST, SEGMENT_PARAM, SEGMENT_LITERAL }; /* the greater wins */

struct segment {
    enum segment_kind kind;
    struct str text; /* literal, or name of the parameter */
};

struct route_entry {
    const struct http_route *route;
    void *arg;
    struct segment segments[HTTP_SEGMENTS_MAX];
    size_t segment_count;
};

struct route_match {
    const struct route_entry *entry; /* NULL: none; path_known says whether 405 or 404 */
    bool path_known, websocket_only;
    struct str params[HTTP_SEGMENTS_MAX]; /* parallel to entry->segments */
    char allow[64];                       /* methods of the path, for the Allow header */
};

void route_entry_init(struct route_entry *entry, const struct http_route *route, void *arg);
/* Two routes that the same requests would fit equally well. */
bool route_entry_same(const struct route_entry *a, const struct route_entry *b);
/* False: the path is malformed (400). Parameters are decoded into the arena. */
bool route_find(const struct route_entry *entries, size_t count, struct str method, struct str path,
                bool wants_ws, struct arena *arena, struct route_match *match);

/* ---- guard: guard.c ---- */

struct guard_rules {
    const char *const *hosts, *const *origins;
};

struct guard_facts {
    struct str method, host, local_host;
    const struct http_header *headers;
    size_t header_count;
    bool on_loopback, is_navigable, needs_host;
};

/* 0 when the request may pass, else the status of the refusal with *why. *cors is set to the allowed foreign
 * origin, or null. */
int guard_check(const struct guard_rules *rules, const struct guard_facts *facts, const char **why,
                struct str *cors);

struct str header_find(const struct http_header *headers, size_t count, const char *name);

/* ---- parser of HTTP/1.1: parse.c; pure ---- */

struct h1_limits {
    size_t head_bytes_max, header_count_max;
};

struct h1_head {
    struct str method, target, path, query, host;
    int version; /* 10, 11 */
    struct http_header *headers;
    size_t header_count;
    int64_t content_length; /* -1: none given */
    bool chunked, keep_alive, expect_continue;
    bool upgrade_websocket, upgrade_h2c;
};

struct h1_fault {
    int status;
    const char *text;
};

/* Bytes of the head with its empty line, 0 when it is not all there; *scanned remembers where to go on
 * looking. */
size_t h1_head_len(struct str bytes, size_t *scanned);
/* Parses a complete head in place (names become lower-case); slices into `bytes`. False with *fault. */
bool h1_parse_head(char *bytes, size_t len, const struct h1_limits *limits, struct arena *arena,
                   struct h1_head *head, struct h1_fault *fault);

struct chunk_decoder {
    enum {
        CHUNK_SIZE,
        CHUNK_EXTENSION,
        CHUNK_SIZE_LF,
        CHUNK_DATA,
        CHUNK_DATA_CR,
        CHUNK_DATA_LF,
        CHUNK_TRAILER,
        CHUNK_END
    } state;
    uint64_t left;
    unsigned digits, line_bytes, trailer_bytes;
    bool spaced; /* white space after the digits */
};

/* Takes bytes from the front of *in; gives the next piece of data in *data (empty when there is none in these
 * bytes). False when the bytes are malformed. decoder->state CHUNK_END: the body is complete. Call until *in
 * is empty or the end is reached. */
bool chunk_decode(struct chunk_decoder *decoder, struct str *in, struct str *data);

/* ---- server and connections: server.c ---- */

struct http_server {
    struct guard_rules rules;
    struct net_tls *tls;
    size_t body_max, ws_message_max, stream_out_max;
    struct h1_limits limits;
    int64_t head_ms;
    vec(struct route_entry) routes;
    _Atomic int64_t in_flight;
    struct metric_registry *metrics;
    struct metric *requests[6], *seconds, *in_flight_gauge; /* requests: by hundreds of the status */
};

enum http_mode { MODE_SNIFF, MODE_H1, MODE_H2, MODE_WS };

struct http_conn {
    struct http_server *server;
    struct conn *conn;
    enum http_mode mode;
    struct h1 *h1;
    struct h2 *h2;
    struct exchange *ws; /* the upgraded exchange */
    int exchanges;       /* open ones: the connection is not idle */
};

/* ---- exchanges: exchange.c, reply.c ---- */

struct chunk {
    struct chunk *next;
    struct str bytes;
    size_t sent;
    struct buf owned; /* memory of bytes, unless they follow the struct or live for ever */
    int ws_opcode;    /* websockets: what to send */
    char inline_bytes[];
};

struct http_proto {
    /* `out`, the head or an end is new. */
    void (*pump)(struct exchange *ex);
    /* The handler took this many bytes of a streamed body. */
    void (*body_used)(struct exchange *ex, size_t bytes);
};

enum reply_state { REPLY_NONE, REPLY_STARTED, REPLY_ENDED, REPLY_ABORTED };

struct exchange {
    struct http_request req; /* first: handlers see this */
    struct arena arena;
    struct http_server *server;
    _Atomic int refs; /* the two sides */
    int64_t begun_us;

    /* Protocol side. */
    struct http_conn *hc; /* NULL after exchange_detach */
    const struct http_proto *proto;
    struct loop *loop;
    int32_t stream_id; /* HTTP/2, with the next four */
    struct list h2_link;
    vec(struct http_header) h2_headers;
    size_t h2_head_bytes;
    bool h2_submitted, h2_deferred;
    struct buf body;
    size_t body_max;
    size_t body_bytes;
    bool dispatched, body_ended, body_discarded, wants_ws;
    struct route_match match;
    char ws_accept_key[32];

    /* Both, under the lock, which is recursive: callbacks run under it and may reply. */
    pthread_mutex_t lock;
    bool is_gone; /* the protocol side left */
    enum reply_state state;
    int status;
    int64_t content_length; /* -1: streamed */
    vec(struct http_header) reply_headers;
    struct chunk *out, *out_last;
    size_t waiting;
    bool was_full;
    void (*on_cancel)(struct http_request *req, void *arg);
    void *cancel_arg;
    void (*on_drain)(struct http_request *req, void *arg);
    void *drain_arg;
    http_body_fn *on_body;
    void *body_arg;
    size_t body_outstanding, body_used;
    struct ws *ws;
    struct loop_call posted_wake, deferred_wake;
};

struct ws {
    struct exchange *ex;
    const struct ws_class *cls;
    void *arg;
    void *wslay; /* wslay_event_context_ptr; protocol side */
    struct str unread;
    bool is_released, close_told, close_queued;
};

/* A new exchange with both sides: the caller is the protocol side, the handler's side is kept for the
 * handler. */
struct exchange *exchange_new(struct http_conn *hc, const struct http_proto *proto);
void exchange_unref(struct exchange *ex);

/* The head is complete: routes and guards. The reply is made here when the request is refused; then, and for
 * streamed bodies, the exchange counts as dispatched. */
void exchange_head(struct exchange *ex, int64_t content_length);
/* A piece of the body. */
enum body_fate {
    BODY_KEPT,      /* gathered, or not wanted: more may come */
    BODY_HANDED,    /* the handler tells by http_body_used when more may come */
    BODY_TOO_LARGE, /* the exchange was answered, or, when the handler has it already, is to be cut off */
};
enum body_fate exchange_body(struct exchange *ex, struct str bytes);
/* The body is complete: calls the handler if it waits for this. */
void exchange_body_end(struct exchange *ex);
/* The client is gone or the protocol is done with it: cancels what is not ended and drops the protocol's
 * reference. */
void exchange_detach(struct exchange *ex);
/* Takes the first chunk out of the queue, or NULL. The caller frees it by chunk_free after it counted it by
 * exchange_sent. */
struct chunk *exchange_take(struct exchange *ex);
void chunk_free(struct chunk *chunk);
/* Bytes that were taken are handed on: may call on_drain. */
void exchange_sent(struct exchange *ex, size_t bytes);
/* Copies at most `size` bytes of the first chunk; *end when nothing follows. 0 without *end: nothing at
 * present. */
size_t exchange_read(struct exchange *ex, void *bytes, size_t size, bool *end);

enum reply_state exchange_state(struct exchange *ex);
bool exchange_has_output(struct exchange *ex);
/* Bytes of a streamed body that were handed to the handler and not given back to the protocol yet. */
size_t exchange_body_outstanding(struct exchange *ex);

/* Tells the protocol side that there is something to pump. Any thread; under the lock. */
void exchange_wake(struct exchange *ex);
/* Appends a chunk; under the lock. */
void exchange_append(struct exchange *ex, struct chunk *chunk);
struct chunk *chunk_new(struct str bytes);
/* The handler's side ends. */
void exchange_end(struct exchange *ex, enum reply_state state);

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
void http_date(char text[32]);

/* ---- protocols ---- */

struct h1 *h1_new(struct http_conn *hc);
void h1_free(struct h1 *h1);
size_t h1_bytes(struct h1 *h1, struct str unread);
void h1_writable(struct h1 *h1);

struct h2 *h2_new(struct http_conn *hc);
/* Takes over an HTTP/1.1 request that asked for h2c as stream 1; false when its settings are malformed. */
bool h2_upgrade(struct h2 *h2, struct exchange *ex, struct str settings);
void h2_free(struct h2 *h2);
size_t h2_bytes(struct h2 *h2, struct str unread);
void h2_writable(struct h2 *h2);
/* The 101 was written: websocket frames from now on. */
void ws_begin(struct exchange *ex);
size_t ws_bytes(struct exchange *ex, struct str unread);
void ws_writable(struct exchange *ex);
void ws_end(struct exchange *ex);
void ws_memory_free(struct ws *ws);
/* Value of Sec-WebSocket-Accept; false when the key is not 16 bytes of base64. */
bool ws_accept_key(struct str key, char out[32]);

#endif
