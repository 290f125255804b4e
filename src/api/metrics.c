/* metrics.c - GET /metrics for Prometheus, GET /healthz for load balancers and scripts. */
#include "api/api.h"

static void get_metrics(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct buf body = {0};
    metric_write_prometheus(env->metrics, &body);
    http_reply_take(req, 200, STR("text/plain; version=0.0.4; charset=utf-8"), &body);
}

/* Who gets an answer got it from a server that is ready: it listens when all its parts have started. */
static void get_healthz(struct http_request *req, void *arg)
{
    http_reply_header(req, STR("cache-control"), STR("no-store"));
    http_reply(req, 200, STR("text/plain; charset=utf-8"), STR("ok\n"));
}

static const struct http_route routes[] = {
    {"GET", "/metrics", get_metrics, .doc = "All metrics in Prometheus' text format."},
    {"GET", "/healthz", get_healthz, .doc = "200 when the server is up."},
};

void api_metrics_routes(struct http_server *server, struct api_env *env)
{
    http_server_route(server, routes, COUNT_OF(routes), env);
}
