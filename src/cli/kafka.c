/* kafka.c - connections to the nodes of a cluster, one request at a time on each.
 *
 * A node is connected when it is first needed: ApiVersions is asked for, and every later request takes the highest
 * version that the server and our tables share, below the versions that name topics by id only. The bootstrap connection
 * is a node of its own (KAFKA_ANY): the addresses are tried in order.
 */
#include "cli/kafka_int.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/sock_int.h"
#include "net/net.h"

enum { TIMEOUT_MS = 10000, CONNECT_MS = 5000, DEFAULT_PORT = 9092, API_VERSIONS = 18 };

/* The last version in which a topic is named, not numbered. */
static const struct {
    int16_t api_key, version_max;
} version_caps[] = {{0, 12}, {1, 12}, {8, 9}, {9, 9}, {20, 5}};

void kafka_init(struct kafka *kafka, struct str brokers, const struct kafka_security *security, int stop_fd)
{
    *kafka = (struct kafka){.brokers = brokers,
                            .security = security,
                            .client_id = STR("rialto"),
                            .timeout_ms = TIMEOUT_MS,
                            .stop_fd = stop_fd};
    vec_push(&kafka->nodes, (struct kafka_node){.id = KAFKA_ANY, .fd = -1});
}

static void node_close(struct kafka_node *node)
{
    tls_free(node->tls);
    node->tls = NULL;
    if (node->fd >= 0)
        close(node->fd);
    node->fd = -1;
}

void kafka_fini(struct kafka *kafka)
{
    for (size_t i = 0; i < kafka->nodes.len; i++)
        node_close(&kafka->nodes.at[i]);
    vec_fini(&kafka->nodes);
    map_fini(&kafka->topics);
    buf_fini(&kafka->in);
    wire_out_fini(&kafka->out);
    arena_fini(&kafka->arena);
}

/* Errors -------------------------------------------------------------------------------------------------- */

bool kafka_is_retriable(const struct err *err)
{
    return err_retriable(err->code) && err->code != ERR_CORRUPT && err->code != ERR_SHUTDOWN;
}

bool kafka_check(int16_t code, struct str message, struct err *err, const char *fmt, ...)
{
    if (code == 0)
        return true;
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    /* Leaders move (5, 6) and new topics are not known everywhere at once (3): it passes. */
    enum err_code known = code == 5 || code == 6 ? ERR_UNAVAILABLE : err_from_kafka(code);
    /* A server that explains itself names the thing too. */
    if (!str_is_null(message) && message.len > 0)
        return err_set(err, known, "%.*s", STR_ARG(message));
    if (known == ERR_UNKNOWN && code != -1)
        return err_set(err, known, "%s: the server answered with error %d", what, code);
    return err_set(err, known, "%s: %s", what, err_default_text(known));
}

/* Requests ------------------------------------------------------------------------------------------------ */

/* Sends what kafka->out holds and leaves the answer's frame, without its length, in kafka->in. */
static bool exchange(struct kafka *kafka, struct kafka_node *node, int64_t wait_ms, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + kafka->timeout_ms + wait_ms;
    buf_clear(&kafka->in);
    if (!kafka_link_write(kafka, node, buf_str(&kafka->out.buf), deadline_ms, err))
        return false;
    size_t size = 4;
    while (kafka->in.len < size) {
        if (!kafka_link_read(kafka, node, &kafka->in, deadline_ms, err))
            return false;
        if (kafka->in.len < 4)
            continue;
        size = 4 + (size_t)load_be32(kafka->in.ptr);
        if (size < 8 || size > KAFKA_RESPONSE_BYTES_MAX)
            return err_set(err, ERR_INVALID_REQUEST, "%.*s:%d does not speak Kafka's protocol",
                           STR_ARG(node->host), node->port);
    }
    return true;
}

/* Checks the answer's header and gives its body. */
static bool open_answer(struct kafka *kafka, const struct wire_api *api, int16_t version, struct str *body,
                        struct err *err)
{
    struct str frame = str_sub(buf_str(&kafka->in), 4, SIZE_MAX);
    if ((int32_t)load_be32(frame.ptr) != kafka->correlation_id)
        return err_set(err, ERR_INVALID_REQUEST, "the answer belongs to another request");
    *body = str_sub(frame, 4, SIZE_MAX);
    /* Flexible answers have tagged fields in the header; ApiVersions never, so that anybody can read it. */
    if (api->api_key == API_VERSIONS || !wire_is_flexible(api->response, version))
        return true;
    uint64_t tags;
    const uint8_t *at = (const uint8_t *)body->ptr, *end = at + body->len;
    size_t n = varint_decode(at, end, &tags);
    bool ok = n > 0;
    for (at += n; ok && tags > 0; tags--) {
        uint64_t tag, size;
        size_t a = varint_decode(at, end, &tag);
        size_t b = a > 0 ? varint_decode(at + a, end, &size) : 0;
        ok = b > 0 && size <= (uint64_t)(end - at) - a - b;
        if (ok)
            at += a + b + size;
    }
    *body = str_of((const char *)at, (size_t)(end - at));
    return ok || err_set(err, ERR_INVALID_REQUEST, "the header of an answer is damaged");
}

bool kafka_call_node(struct kafka *kafka, struct kafka_node *node, const struct wire_api *api,
                     int16_t version, const void *req, void *res, int64_t wait_ms, struct arena *arena,
                     struct err *err)
{
    struct str body = STR_NULL;
    kafka->correlation_id = (kafka->correlation_id + 1) & INT32_MAX;
    buf_clear(&kafka->out.buf);
    vec_clear(&kafka->out.cuts);
    wire_encode_request(api, version, kafka->correlation_id, kafka->client_id, req, &kafka->out);
    bool ok;
    if (res == NULL)
        ok =
            kafka_link_write(kafka, node, buf_str(&kafka->out.buf), clock_mono_ms() + kafka->timeout_ms, err);
    else
        ok = exchange(kafka, node, wait_ms, err) && open_answer(kafka, api, version, &body, err);
    if (!ok || res == NULL) {
        if (!ok)
            node_close(node);
        return ok;
    }
    /* The structs refer to the bytes: the answer outlives kafka->in only in the arena. */
    return wire_decode(api->response, version, str_dup(body, arena), res, NULL, arena, err);
}

/* Connecting ---------------------------------------------------------------------------------------------- */

static bool learn_versions(struct kafka *kafka, struct kafka_node *node, struct err *err)
{
    struct arena arena = {0};
    struct ApiVersionsRequest req;
    struct ApiVersionsResponse res;
    wire_init(&WIRE_ApiVersionsRequest, &req);
    bool ok = kafka_call_node(kafka, node, wire_api_find(API_VERSIONS), 0, &req, &res, 0, &arena, err) &&
              kafka_check(res.ErrorCode, STR_NULL, err, "asking for versions");
    for (size_t i = 0; i < KAFKA_API_KEYS; i++)
        node->ranges[i] = (struct wire_range){0, -1};
    for (int32_t i = 0; ok && i < res.ApiKeys.len; i++) {
        const struct ApiVersionsResponse_ApiVersion *api = &res.ApiKeys.at[i];
        if (api->ApiKey >= 0 && api->ApiKey < KAFKA_API_KEYS)
            node->ranges[api->ApiKey] = (struct wire_range){api->MinVersion, api->MaxVersion};
    }
    arena_fini(&arena);
    if (!ok)
        node_close(node);
    return ok;
}

static bool connect_to(struct kafka *kafka, struct kafka_node *node, struct str host, int port,
                       struct err *err)
{
    struct err failure = {0};
    int64_t deadline_ms = clock_mono_ms() + CONNECT_MS;
    node->fd = cli_sock_connect(host, port, deadline_ms, kafka->stop_fd, &failure);
    if (node->fd >= 0 && kafka_security_start(kafka, node, host, deadline_ms, &failure) &&
        learn_versions(kafka, node, &failure))
        return true;
    node_close(node);
    if (failure.code == ERR_FORBIDDEN || failure.code == ERR_INVALID_CONFIG) /* trying again would not help */
        return err_set(err, failure.code, "Kafka server %.*s:%d: %s", STR_ARG(host), port, failure.text);
    if (failure.code != ERR_SHUTDOWN)
        return err_set(err, ERR_UNAVAILABLE, "no Kafka server at %.*s:%d: %s", STR_ARG(host), port,
                       failure.text);
    if (err != NULL)
        *err = failure;
    return false;
}

static bool connect_bootstrap(struct kafka *kafka, struct kafka_node *node, struct err *err)
{
    struct str rest = kafka->brokers, address;
    while (str_split(&rest, ',', &address)) {
        if (!cli_sock_split_address(str_trim(address), DEFAULT_PORT, &node->host, &node->port, err))
            return false;
        if (connect_to(kafka, node, node->host, node->port, err))
            return true;
        if (err != NULL && (err->code == ERR_SHUTDOWN || err->code == ERR_FORBIDDEN))
            return false;
    }
    return false;
}

static struct kafka_node *node_find(struct kafka *kafka, int32_t id)
{
    for (size_t i = 0; i < kafka->nodes.len; i++)
        if (kafka->nodes.at[i].id == id)
            return &kafka->nodes.at[i];
    return NULL;
}

static struct kafka_node *node_ready(struct kafka *kafka, int32_t id, struct err *err)
{
    struct kafka_node *node = node_find(kafka, id);
    if (node == NULL) {
        err_set(err, ERR_UNAVAILABLE, "node %d is not known", id);
        return NULL;
    }
    if (node->fd >= 0)
        return node;
    bool ok = id == KAFKA_ANY ? connect_bootstrap(kafka, node, err)
                              : connect_to(kafka, node, node->host, node->port, err);
    return ok ? node : NULL;
}

static bool pick_version(const struct kafka_node *node, const struct wire_api *api, int16_t *version,
                         struct err *err)
{
    struct wire_range ours = api->request->versions, theirs = {0, -1};
    if (api->api_key < KAFKA_API_KEYS)
        theirs = node->ranges[api->api_key];
    for (size_t i = 0; i < COUNT_OF(version_caps); i++)
        if (version_caps[i].api_key == api->api_key)
            ours.max = MIN(ours.max, version_caps[i].version_max);
    *version = MIN(ours.max, theirs.max);
    if (*version < ours.min || *version < theirs.min)
        return err_set(err, ERR_UNSUPPORTED_VERSION, "%.*s:%d does not offer %s in a version that we speak",
                       STR_ARG(node->host), node->port, api->name);
    return true;
}

bool kafka_call(struct kafka *kafka, int32_t node_id, int16_t api_key, const void *req, void *res,
                int64_t wait_ms, struct arena *arena, struct err *err)
{
    const struct wire_api *api = wire_api_find(api_key);
    struct err failure = {0};
    int16_t version;
    ASSERT(api != NULL);
    if (kafka->stopping != NULL && atomic_load_explicit(kafka->stopping, memory_order_relaxed))
        return err_set(err, ERR_SHUTDOWN, "interrupted");
    struct kafka_node *node = node_ready(kafka, node_id, err);
    if (node == NULL || !pick_version(node, api, &version, err))
        return false;
    if (kafka_call_node(kafka, node, api, version, req, res, wait_ms, arena, &failure))
        return true;
    if (failure.code == ERR_UNAVAILABLE || failure.code == ERR_TIMED_OUT)
        return err_set(err, failure.code, "Kafka server %.*s:%d: %s", STR_ARG(node->host), node->port,
                       failure.text);
    if (err != NULL)
        *err = failure;
    return false;
}
