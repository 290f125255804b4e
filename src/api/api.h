/* api.h - the HTTP face: ksqlDB's, Connect's and the page's routes on one router.
 *
 * Handlers keep no state of their own: they translate requests to `engine`, `connect` and `client`, and answers to JSON.
 */
#ifndef RIALTO_API_API_H
#define RIALTO_API_API_H

#include <stdatomic.h>

#include "client/client.h"
#include "engine/engine.h"
#include "http/http.h"
#include "metric/metric.h"

struct connect;
struct live;
struct pool;

/* What the routes work on; borrowed, outlives the server. */
struct api_env {
    struct client *client;
    struct engine *engine;
    struct connect *connect;
    struct metric_registry *metrics;
    struct pool *pool; /* for handlers that must block */
    struct str version, cluster_id, service_id;
    struct str kafka_address;                   /* "127.0.0.1:9092" */
    _Atomic(const struct str *) http_addresses; /* comma-separated; NULL until all are listened on */
    struct str data_dir;
    int64_t started_ms; /* wall clock */
    struct live *live;  /* of api_live_start */
};

/* All routes of the product (routes.c). */
void api_routes(struct http_server *server, struct api_env *env);

/* ksqlDB's routes: /ksql, /query, /query-stream, /close-query, /info, /healthcheck, ... (ksql.c, ksql_rows.c). */
void api_ksql_routes(struct http_server *server, struct api_env *env);

/* Connect's routes (connect.c). */
void api_connect_routes(struct http_server *server, struct api_env *env);

/* The thread that serves the page's live sockets: started before the first listener, stopped after the net and before the
 * engine (all sockets are given back then). */
void api_live_start(struct api_env *env);
void api_live_stop(struct api_env *env);

/* The page's own API under /api/v1 (admin.c), metrics and health (metrics.c), and the page itself (ui.c). */
void api_admin_routes(struct http_server *server, struct api_env *env);
void api_metrics_routes(struct http_server *server, struct api_env *env);
void api_ui_routes(struct http_server *server, struct api_env *env);

/* For the owner of GET /: a browser that navigates there is sent to the page; true when that was done. */
bool api_ui_redirect(struct http_request *req);

#endif
