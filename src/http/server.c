/* server.c - the server: options, routes, listeners; connections and what they speak.
 *
 *   first bytes "PRI * HTTP/2.0..." -> h2, anything else -> h1; h1 may turn into h2 (upgrade) or a websocket
 */
#include "http/http_int.h"

enum { IDLE_MS = 120 * 1000, OUT_MAX = 256 << 10 };

static const struct str preface = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

static int64_t in_flight_value(void *arg)
{
    return http_server_in_flight(arg);
}

static void counts_init(struct http_server *server, struct metric_registry *reg)
{
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        server->requests[i] =
            metric_counter(reg, "rialto_http_requests_total", LABELS({"status", classes[i]}));
    server->seconds = metric_histogram(reg, "rialto_http_request_seconds", NO_LABELS);
    server->in_flight_gauge =
        metric_gauge_call(reg, "rialto_http_requests_in_flight", NO_LABELS, in_flight_value, server);
    server->metrics = reg;
}

struct http_server *http_server_new(const struct http_options *options)
{
    static const struct http_options defaults = {0};
    if (options == NULL)
        options = &defaults;
    struct http_server *server = mem_new(struct http_server);
    server->rules = (struct guard_rules){options->hosts, options->origins};
    server->tls = options->tls;
    server->body_max = options->body_max > 0 ? options->body_max : 4 << 20;
    server->limits.head_bytes_max = options->head_bytes_max > 0 ? options->head_bytes_max : 32 << 10;
    server->limits.header_count_max = options->header_count_max > 0 ? options->header_count_max : 100;
    server->ws_message_max = options->ws_message_max > 0 ? options->ws_message_max : 64 << 10;
    server->stream_out_max = options->stream_out_max > 0 ? options->stream_out_max : 256 << 10;
    server->head_ms = options->head_ms > 0 ? options->head_ms : 15000;
    counts_init(server, options->metrics);
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    ASSERT_CMP(http_server_in_flight(server), ==, 0);
    metric_remove(server->metrics, server->in_flight_gauge); /* it would ask a server that is gone */
    for (size_t i = 0; server->metrics == NULL && i < COUNT_OF(server->requests); i++)
        metric_remove(NULL, server->requests[i]);
    if (server->metrics == NULL)
        metric_remove(NULL, server->seconds);
    vec_fini(&server->routes);
    free(server);
}

void http_server_route(struct http_server *server, const struct http_route *routes, size_t count, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        struct route_entry entry;
        route_entry_init(&entry, &routes[i], arg);
        for (size_t j = 0; j < server->routes.len; j++)
            if (route_entry_same(&entry, &server->routes.at[j]))
                assert_failed(__FILE__, __LINE__, "routes differ", "%s %s against %s", routes[i].method,
                              routes[i].pattern, server->routes.at[j].route->pattern);
        vec_push(&server->routes, entry);
    }
}

void http_server_each_route(const struct http_server *server,
                            void (*fn)(const struct http_route *route, void *arg), void *arg)
{
    for (size_t i = 0; i < server->routes.len; i++)
        fn(server->routes.at[i].route, arg);
}

int64_t http_server_in_flight(const struct http_server *server)
{
    return atomic_load_explicit(&server->in_flight, memory_order_acquire);
}

/* ---- connections ---- */

static void on_open(struct conn *conn)
{
    struct http_conn *hc = mem_new(struct http_conn);
    hc->server = conn_arg(conn);
    hc->conn = conn;
    conn_set_data(conn, hc);
    conn_set_deadline(conn, hc->server->head_ms);
}

/* Decides what is spoken; stays at MODE_SNIFF while the bytes may still become the preface. */
static void sniff(struct http_conn *hc, struct str unread)
{
    size_t n = MIN(unread.len, preface.len);
    if (memcmp(unread.ptr, preface.ptr, n) != 0) {
        hc->mode = MODE_H1;
        hc->h1 = h1_new(hc);
    } else if (n == preface.len) {
        hc->mode = MODE_H2;
        hc->h2 = h2_new(hc);
        conn_set_deadline(hc->conn, 0);
    }
}

static size_t mode_bytes(struct http_conn *hc, struct str unread)
{
    switch (hc->mode) {
    case MODE_SNIFF:
        return 0;
    case MODE_H1:
        return h1_bytes(hc->h1, unread);
    case MODE_H2:
        return h2_bytes(hc->h2, unread);
    case MODE_WS:
        return ws_bytes(hc->ws, unread);
    }
    UNREACHABLE();
}

/* A protocol may turn into another in the middle of the bytes; the rest is the other's. */
static size_t on_bytes(struct conn *conn, struct str unread)
{
    struct http_conn *hc = conn_data(conn);
    size_t used = 0;
    enum http_mode before;
    if (hc->mode == MODE_SNIFF)
        sniff(hc, unread);
    do {
        before = hc->mode;
        used += mode_bytes(hc, str_sub(unread, used, SIZE_MAX));
    } while (hc->mode != before && used < unread.len);
    return used;
}

static void on_writable(struct conn *conn)
{
    struct http_conn *hc = conn_data(conn);
    if (hc->mode == MODE_H1)
        h1_writable(hc->h1);
    else if (hc->mode == MODE_H2)
        h2_writable(hc->h2);
    else if (hc->mode == MODE_WS)
        ws_writable(hc->ws);
}

static void on_close(struct conn *conn, const char *why)
{
    struct http_conn *hc = conn_data(conn);
    if (hc->ws != NULL)
        ws_end(hc->ws);
    h1_free(hc->h1);
    h2_free(hc->h2);
    ASSERT_CMP(hc->exchanges, ==, 0);
    free(hc);
}

static const struct conn_class http_class = {.name = "http",
                                             .on_open = on_open,
                                             .on_bytes = on_bytes,
                                             .on_writable = on_writable,
                                             .on_close = on_close,
                                             .alpn = "\x02h2\x08http/1.1"};

struct net_listener *http_server_listen(struct http_server *server, struct net *net, struct str address,
                                        struct err *err)
{
    struct net_listen_options options = {.idle_ms = IDLE_MS,
                                         .out_max = OUT_MAX,
                                         .unread_max = server->limits.head_bytes_max + (32 << 10)};
    if (str_starts_with(address, STR("https://"))) {
        address = str_sub(address, strlen("https://"), SIZE_MAX);
        options.tls = server->tls;
        if (server->tls == NULL) {
            err_set(err, ERR_INVALID_CONFIG,
                    "https://%.*s needs ssl.keystore.location: a private key and certificates",
                    STR_ARG(address));
            return NULL;
        }
    }
    return net_listen(net, address, &http_class, server, &options, err);
}
