/* conn.c - a connection of the Kafka listener: frames in, answers out in the order of the requests.
 *
 *   bytes -> frame -> request --run--> answered now, or parked (a fetch that waits, a join, an fdatasync)
 *   kc->requests:  [done] [done] [parked] [done]       only the done ones at the front leave
 *
 * (K1) Requests of a connection run as they come, before earlier ones are answered: that is what lets pipelined
 *      produces share an fdatasync. Answers keep the order.
 * (K2) A request belongs to whoever answers it until then; the list of its connection only orders it. When the connection
 *      goes, parked fetches are taken out (cancel), others are left to their answerer, and freed when the answer finds
 *      no connection.
 * (K3) Reading pauses above PENDING_MAX requests, so a client that pipelines without end is bounded.
 * (K4) A frame that cannot be read is logged and ends its connection, nothing else.
 */
#include "broker/broker_int.h"

enum {
    PENDING_MAX = 256,
    FREE_MAX = 2,                 /* requests kept for reuse by a connection */
    FREE_ARENA_BYTES_MAX = 65536, /* larger arenas are given back */
};

struct kafka_conn {
    struct broker *broker;
    struct conn *conn;
    struct list requests;
    size_t pending;
    struct list free_requests;
    size_t free_count;
    bool paused, closing, flushing;
};

static void request_free(struct request *req)
{
    arena_fini(&req->arena);
    wire_out_fini(&req->out);
    free(req);
}

static void drop_mail(struct mail *mail)
{
    request_free((struct request *)mail);
}

static struct request *take_request(struct kafka_conn *kc)
{
    struct request *req;
    if (!list_empty(&kc->free_requests)) {
        req = LIST_ENTRY(kc->free_requests.next, struct request, link);
        list_remove(&req->link);
        kc->free_count--;
    } else {
        req = mem_new(struct request);
    }
    req->mail.mail.drop = drop_mail;
    req->mail.to = conn_ref(kc->conn);
    req->broker = kc->broker;
    req->kc = kc;
    req->loop = conn_loop(kc->conn);
    list_push_back(&kc->requests, &req->link);
    kc->pending++;
    return req;
}

static void release_slice(void *arg)
{
    struct log_slice *slice = arg;
    log_slice_release(slice);
    free(slice);
}

/* The slices of an answer that nobody will read. */
static void release_cuts(struct request *req)
{
    for (size_t i = 0; i < req->out.cuts.len; i++)
        release_slice((void *)req->out.cuts.at[i].slice);
    vec_clear(&req->out.cuts);
}

/* Keeps a finished request for the next one, unless it is large. */
static void give_back(struct kafka_conn *kc, struct request *req)
{
    list_remove(&req->link);
    kc->pending--;
    release_cuts(req); /* of an answer that was not sent */
    if (kc->free_count == FREE_MAX || arena_bytes(&req->arena) > FREE_ARENA_BYTES_MAX) {
        request_free(req);
        return;
    }
    struct arena arena = req->arena;
    struct wire_out out = req->out;
    *req = (struct request){.arena = arena, .out = out};
    arena_reset(&req->arena);
    buf_clear(&req->out.buf);
    vec_clear(&req->out.cuts);
    list_push_back(&kc->free_requests, &req->link);
    kc->free_count++;
}

/* --- answers --- */

/* Sends the encoded answer; slices of files go between its parts. */
static void write_answer(struct conn *conn, struct wire_out *out)
{
    size_t pos = 0;
    if (out->cuts.len == 0) {
        if (out->buf.len <= 4096) /* small ones are copied: the buffer stays with the request */
            conn_write(conn, buf_str(&out->buf));
        else
            conn_write_take(conn, &out->buf);
        return;
    }
    for (size_t i = 0; i < out->cuts.len; i++) {
        struct wire_cut *cut = &out->cuts.at[i];
        struct log_slice *slice = (struct log_slice *)cut->slice;
        conn_write(conn, str_sub(buf_str(&out->buf), pos, cut->pos - pos));
        conn_write_file(conn, slice->fd, slice->pos, slice->len, release_slice, slice);
        pos = cut->pos;
    }
    conn_write(conn, str_sub(buf_str(&out->buf), pos, out->buf.len));
    vec_clear(&out->cuts);
}

static void close_conn(struct kafka_conn *kc, const char *why)
{
    if (kc->closing)
        return;
    kc->closing = true;
    conn_close_flushed(kc->conn, why);
}

/* Sends what is done at the front (K1). */
static void flush(struct kafka_conn *kc)
{
    while (!list_empty(&kc->requests)) {
        struct request *req = LIST_ENTRY(kc->requests.next, struct request, link);
        if (!req->done)
            break;
        if (req->close_why != NULL)
            close_conn(kc, req->close_why);
        if (!req->no_reply && !kc->closing)
            write_answer(kc->conn, &req->out);
        give_back(kc, req);
    }
    if (kc->paused && kc->pending <= PENDING_MAX / 2 && !kc->closing) {
        kc->paused = false;
        conn_resume(kc->conn);
    }
    conn_hold_idle(kc->conn, kc->pending != 0);
}

/* On the connection's thread. */
static void on_done(struct request *req)
{
    req->done = true;
    if (req->kc == NULL) {
        release_cuts(req);
        request_free(req);
    } else if (!req->kc->flushing) { /* else: on_bytes flushes once at its end */
        flush(req->kc);
    }
}

void request_encode(struct request *req, const void *res)
{
    buf_clear(&req->out.buf);
    wire_encode_response(req->api, req->version, req->correlation_id, res, &req->out);
}

void request_deliver(struct request *req)
{
    if (loop_is_mine(req->loop))
        on_done(req);
    else
        net_send(req->broker->net, req->mail.to, &req->mail);
}

void request_reply(struct request *req)
{
    request_encode(req, req->res);
    request_deliver(req);
}

void request_no_reply(struct request *req)
{
    req->no_reply = true;
    request_deliver(req);
}

void request_close(struct request *req, const char *why)
{
    req->no_reply = true;
    req->close_why = why;
    request_deliver(req);
}

static void on_durable(struct replay_wait *wait, const struct err *failure)
{
    struct request *req = LIST_ENTRY(wait, struct request, wait);
    if (failure != NULL)
        request_close(req, "the log of the state failed");
    else
        request_deliver(req);
}

void request_reply_durable(struct request *req, struct replay *replay, int64_t end_offset)
{
    request_encode(req, req->res);
    req->wait.fn = on_durable;
    replay_when_durable(replay, end_offset, &req->wait);
}

static void run_job(void *arg)
{
    struct request *req = arg;
    req->job(req);
}

void request_on_pool(struct request *req, void (*fn)(struct request *req))
{
    req->job = fn;
    pool_submit(req->broker->admin_pool, run_job, req, NULL, NULL);
}

/* --- frames --- */

/* The frame stays in the connection's buffer only until the call returns: all but produce requests, which are done with it
 * by then, get a copy. */
static bool start_request(struct kafka_conn *kc, struct request *req, struct str frame, struct err *err)
{
    enum { KEY_PRODUCE = 0 };
    struct wire_request head;
    bool produce = frame.len >= 2 && load_be16(frame.ptr) == KEY_PRODUCE;
    struct str bytes = produce ? frame : str_dup(frame, &req->arena);
    if (!wire_decode_request_header(bytes, &head, &req->arena, err))
        return false;
    const struct broker_api *api = broker_api_find(head.api_key);
    req->api = head.api;
    req->version = head.api_version;
    req->correlation_id = head.correlation_id;
    req->client_id = produce ? str_dup(head.client_id, &req->arena) : head.client_id;
    if (api == NULL)
        return err_set(err, ERR_UNSUPPORTED_VERSION, "API key %d is not served", head.api_key);
    bool known = head.api_version >= api->answered_min && head.api_version <= api->version_max;
    if (!known && api->run == api_versions) {
        api_versions_unsupported(req);
        return true;
    }
    if (!known)
        return err_set(err, ERR_UNSUPPORTED_VERSION, "%s version %d is not served, versions %d to %d are",
                       head.api->name, head.api_version, api->answered_min, api->version_max);
    void *body = arena_zalloc(&req->arena, 1, head.api->request->body->size);
    if (!wire_decode(head.api->request, head.api_version, head.body, body, NULL, &req->arena, err))
        return false;
    req->body = body;
    req->res = wire_new(head.api->response->body, 1, &req->arena);
    if (kc->broker->request_meters[head.api_key] != NULL)
        metric_add(kc->broker->request_meters[head.api_key], 1);
    api->run(req);
    return true;
}

static void refuse(struct kafka_conn *kc, const struct err *err)
{
    struct str peer = conn_peer(kc->conn);
    log_warn("broker", "request_refused", "peer=%.*s cause=\"%s\"", STR_ARG(peer), err->text);
    close_conn(kc, "malformed or unsupported request");
}

static void take_frame(struct kafka_conn *kc, struct str frame)
{
    struct err err;
    struct request *req = take_request(kc);
    req->peer = conn_peer(kc->conn);
    if (!start_request(kc, req, frame, &err)) {
        refuse(kc, &err);
        req->no_reply = true;
        req->done = true;
    }
}

/* Takes whole frames off the front; returns the bytes used. */
static size_t take_frames(struct kafka_conn *kc, struct str unread)
{
    size_t used = 0;
    while (!kc->closing && !kc->paused && unread.len - used >= 4) {
        uint32_t size = load_be32(unread.ptr + used);
        if (size > kc->broker->config.request_bytes_max) {
            struct err err;
            err_set(&err, ERR_TOO_LARGE, "a request of %d bytes, socket.request.max.bytes is %lld",
                    (int32_t)size, (long long)kc->broker->config.request_bytes_max);
            refuse(kc, &err);
            break;
        }
        if (unread.len - used - 4 < size) {
            conn_expect(kc->conn, (size_t)size + 4);
            break;
        }
        take_frame(kc, str_sub(unread, used + 4, size));
        used += 4 + (size_t)size;
        if (kc->pending > PENDING_MAX) {
            kc->paused = true;
            conn_pause(kc->conn);
        }
    }
    return used;
}

static size_t on_bytes(struct conn *conn, struct str unread)
{
    struct kafka_conn *kc = conn_data(conn);
    kc->flushing = true;
    size_t used = take_frames(kc, unread);
    kc->flushing = false;
    flush(kc);
    return kc->closing ? unread.len : used;
}

/* --- life --- */

static void on_open(struct conn *conn)
{
    struct kafka_conn *kc = mem_new(struct kafka_conn);
    kc->broker = conn_arg(conn);
    kc->conn = conn;
    list_init(&kc->requests);
    list_init(&kc->free_requests);
    conn_set_data(conn, kc);
    pthread_mutex_lock(&kc->broker->address_lock); /* the first client may be faster than kafka_listen */
    pthread_mutex_unlock(&kc->broker->address_lock);
    atomic_fetch_add(&kc->broker->connection_count, 1);
}

static void on_mail(struct conn *conn, struct mail *mail)
{
    on_done((struct request *)mail);
}

static void on_close(struct conn *conn, const char *why)
{
    struct kafka_conn *kc = conn_data(conn);
    list_each_safe (struct request, req, &kc->requests, link) {
        list_remove(&req->link);
        req->kc = NULL;
        if (req->cancel != NULL)
            req->cancel(req);
        if (req->done || req->cancel != NULL) { /* K2 */
            release_cuts(req);
            request_free(req);
        }
    }
    list_each_safe (struct request, req, &kc->free_requests, link)
        request_free(req);
    atomic_fetch_sub(&kc->broker->connection_count, 1);
    free(kc);
}

static const struct conn_class kafka_class = {
    .name = "kafka",
    .on_open = on_open,
    .on_bytes = on_bytes,
    .on_mail = on_mail,
    .on_close = on_close,
};

/* The address that clients are told: never one that cannot be connected to. */
static bool choose_address(struct broker *broker, struct err *err)
{
    struct str host;
    int port;
    if (broker->config.kafka_advertise.len != 0) {
        if (!net_address_split(broker->config.kafka_advertise, net_listener_port(broker->listener), &host,
                               &port, err)) {
            err_context(err, "kafka.advertise");
            return false;
        }
    } else {
        if (!net_address_split(broker->config.kafka_listen, 0, &host, &port, err))
            return false;
        port = net_listener_port(broker->listener);
        if (host.len == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::")))
            host = STR("localhost");
    }
    broker->host = str_dup(host, &broker->arena);
    broker->port = port;
    return true;
}

bool kafka_listen(struct broker *broker, struct err *err)
{
    struct net_listen_options options = {
        .conn_max = broker->config.connections_max,
        .idle_ms = broker->config.connections_idle_ms_max,
    };
    for (size_t i = 0; i < broker_api_count; i++) {
        const struct wire_api *api = wire_api_find(broker_apis[i].api_key);
        broker->request_meters[broker_apis[i].api_key] =
            metric_counter(broker->metrics, "rialto_kafka_requests_total", LABELS({"api", api->name}));
    }
    pthread_mutex_lock(&broker->address_lock);
    broker->listener =
        net_listen(broker->net, broker->config.kafka_listen, &kafka_class, broker, &options, err);
    bool good = broker->listener != NULL && choose_address(broker, err);
    pthread_mutex_unlock(&broker->address_lock);
    if (!good) {
        err_context(err, "Kafka listener");
        return false;
    }
    if (!net_listener_is_loopback(broker->listener))
        log_warn(
            "broker", "listener_open",
            "address=%.*s risk=\"anybody who reaches this address can read, write and delete all topics: "
            "there is no authentication yet\"",
            STR_ARG(net_listener_address(broker->listener)));
    return true;
}
