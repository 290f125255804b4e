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
 * (K6) What the produce requests of one read append is queued, written when all have run or before anything else runs, and the
 *      syncs it asks for start then: requests share writes and syncs.
 * (K5) A throttled answer leaves at once and tells the time; the connection is not read for as long after it.
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
    struct kafka_listener *listener;
    struct login login;
    bool muted;           /* K5 */
    bool paused, closing; /* paused: conn_pause was called */
    struct loop_timer mute;
    struct client_quotas *quotas;   /* of the last request's client id; NULL: there are none */
    struct produce_queue *produces; /* K6; NULL: nothing is being read */
    uint64_t shares_conn;           /* its number, once share sessions are held; 0: none are */
    int64_t run_us;                 /* since when a request runs whose time is not charged yet; 0: none */
};

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

static void request_free(struct request *req)
{
    if (req->fini != NULL)
        req->fini(req);
    client_quotas_unref(req->quotas);
    arena_fini(&req->arena);
    wire_out_fini(&req->out);
    free(req);
}

/* An answer that finds no connection, or one that is being closed and has the request in its list still. */
static void drop_mail(struct mail *mail)
{
    struct request *req = (struct request *)mail;
    if (req->kc != NULL) {
        list_remove(&req->link);
        req->kc->pending--;
    }
    release_cuts(req);
    request_free(req);
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
    client_quotas_unref(req->quotas);
    *req = (struct request){.arena = arena, .out = out};
    arena_reset(&req->arena);
    buf_clear(&req->out.buf);
    vec_clear(&req->out.cuts);
    list_push_back(&kc->free_requests, &req->link);
    kc->free_count++;
}

/* --- throttling --- */

/* Charges the time that a request of this connection has taken so far. */
static int64_t charge_run(struct kafka_conn *kc)
{
    if (kc->run_us == 0)
        return 0;
    int64_t now_us = clock_mono_us(), ran_us = now_us - kc->run_us;
    kc->run_us = now_us;
    return client_quotas_charge(kc->quotas, QUOTA_REQUEST, (double)ran_us / 1e6);
}

/* What the answer, of `bytes`, has to tell. The quotas of produce and of changes are charged when they come. */
static int64_t throttle_of(struct request *req, size_t bytes)
{
    enum { KEY_PRODUCE = 0, KEY_FETCH = 1, KEY_SHARE_FETCH = 78 };
    int64_t ms = req->throttle_ms; /* what request_may_mutate has left */
    if (req->api->api_key == KEY_FETCH || req->api->api_key == KEY_SHARE_FETCH)
        ms = MAX(ms, client_quotas_charge(req->quotas, QUOTA_FETCH, (double)bytes));
    if (req->api->api_key == KEY_PRODUCE)
        ms = MAX(ms, client_quotas_charge(req->quotas, QUOTA_PRODUCE, 0));
    int64_t run_ms = loop_is_mine(req->loop) && req->kc != NULL && req->kc->run_us != 0
                         ? charge_run(req->kc)
                         : client_quotas_charge(req->quotas, QUOTA_REQUEST, 0);
    return MAX(ms, run_ms);
}

/* Almost every answer has the field. */
static void tell_throttle(const struct request *req, void *res)
{
    const struct wire_struct *type = req->api->response->body;
    for (size_t i = 0; i < type->field_count; i++)
        if (strcmp(type->fields[i].name, "ThrottleTimeMs") == 0)
            *(int32_t *)((char *)res + type->fields[i].at) = (int32_t)req->throttle_ms;
}

/* As Kafka (KIP-599): who is refused is told to wait, and by versions that know no refusal who goes into debt. */
bool request_may_mutate(struct request *req, int16_t strict_version, int64_t partitions)
{
    bool strict = req->version >= strict_version;
    int64_t debt_ms = client_quotas_charge(req->quotas, QUOTA_MUTATION, 0);
    bool refused = strict && debt_ms > 0;
    if (!refused)
        debt_ms = client_quotas_charge(req->quotas, QUOTA_MUTATION, (double)partitions);
    if (refused || !strict)
        req->throttle_ms = MAX(req->throttle_ms, debt_ms);
    return !refused;
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

static bool is_held(const struct kafka_conn *kc)
{
    return kc->muted || kc->login.phase == LOGIN_BUSY || kc->login.phase == LOGIN_FAILED;
}

/* K3, K5; and while it is found out who it is, nothing else is looked at. */
static void pause_or_resume(struct kafka_conn *kc)
{
    size_t limit = kc->paused ? PENDING_MAX / 2 : PENDING_MAX;
    bool pause = is_held(kc) || kc->pending > limit;
    if (pause == kc->paused || kc->closing)
        return;
    kc->paused = pause;
    if (pause)
        conn_pause(kc->conn);
    else
        conn_resume(kc->conn);
}

static void on_mute_over(struct loop_timer *timer)
{
    struct kafka_conn *kc = LIST_ENTRY(timer, struct kafka_conn, mute);
    kc->muted = false;
    pause_or_resume(kc);
    conn_hold_idle(kc->conn, kc->pending != 0);
}

static void mute(struct kafka_conn *kc, int64_t ms)
{
    kc->muted = true;
    loop_timer_start(&kc->mute, ms);
}

struct login *request_login(struct request *req)
{
    ASSERT(loop_is_mine(req->loop) && req->kc != NULL);
    return &req->kc->login;
}

uint64_t request_hold_shares(struct request *req)
{
    static atomic_ullong last;
    ASSERT(loop_is_mine(req->loop) && req->kc != NULL);
    if (req->kc->shares_conn == 0)
        req->kc->shares_conn = atomic_fetch_add(&last, 1) + 1;
    return req->kc->shares_conn;
}

struct conn *request_conn(struct request *req)
{
    ASSERT(loop_is_mine(req->loop) && req->kc != NULL);
    return req->kc->conn;
}

struct produce_queue *request_produces(struct request *req)
{
    ASSERT(loop_is_mine(req->loop) && req->kc != NULL && req->kc->produces != NULL);
    return req->kc->produces;
}

/* Sends what is done at the front (K1). */
static void flush(struct kafka_conn *kc)
{
    while (!list_empty(&kc->requests)) {
        struct request *req = LIST_ENTRY(kc->requests.next, struct request, link);
        if (!req->done)
            break;
        if (!req->no_reply && !kc->closing)
            write_answer(kc->conn, &req->out);
        if (req->throttle_ms > 0 && !kc->closing)
            mute(kc, req->throttle_ms);
        if (req->close_why != NULL)
            close_conn(kc, req->close_why);
        give_back(kc, req);
    }
    pause_or_resume(kc);
    conn_hold_idle(kc->conn, kc->pending != 0 || kc->muted);
}

/* On the connection's thread. */
static void on_done(struct request *req)
{
    void (*arrive)(struct request *) = req->arrive;
    if (arrive != NULL && req->kc != NULL) {
        req->arrive = NULL;
        arrive(req);
        return;
    }
    req->done = true;
    if (req->kc == NULL) {
        release_cuts(req);
        request_free(req);
    } else if (req->kc->produces == NULL) { /* else: on_bytes flushes once at its end */
        flush(req->kc);
    }
}

void request_encode(struct request *req, const void *res)
{
    buf_clear(&req->out.buf);
    wire_encode_response(req->api, req->version, req->correlation_id, res, &req->out);
    if (req->quotas == NULL)
        return;
    size_t bytes = req->out.buf.len;
    for (size_t i = 0; i < req->out.cuts.len; i++)
        bytes += req->out.cuts.at[i].bytes;
    req->throttle_ms = throttle_of(req, bytes);
    if (req->throttle_ms > 0) { /* its size had to be known first */
        tell_throttle(req, (void *)res);
        buf_clear(&req->out.buf);
        vec_clear(&req->out.cuts);
        wire_encode_response(req->api, req->version, req->correlation_id, res, &req->out);
    }
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
    req->throttle_ms = req->quotas == NULL ? 0 : throttle_of(req, 0); /* nobody is told, but it counts */
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
    pool_submit(storage_admin_pool(req->broker->storage), run_job, req, NULL, NULL);
}

/* --- frames --- */

/* Finds what the request is charged to, and charges the bytes of a produce. Q1: nothing without quotas. */
static void take_quotas(struct kafka_conn *kc, struct request *req, size_t produced)
{
    if (!quotas_on(kc->broker->quotas) && kc->quotas == NULL)
        return;
    kc->quotas = quotas_current(kc->broker->quotas, kc->quotas,
                                str_sub(kc->login.who.principal, strlen("User:"), SIZE_MAX), req->client_id);
    req->quotas = client_quotas_ref(kc->quotas);
    kc->run_us = kc->quotas == NULL ? 0 : clock_mono_us();
    if (produced != 0)
        ignore(client_quotas_charge(req->quotas, QUOTA_PRODUCE, (double)produced), "told in the answer");
}

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
    take_quotas(kc, req, produce ? frame.len : 0);
    if (api == NULL)
        return err_set(err, ERR_UNSUPPORTED_VERSION, "API key %d is not served", head.api_key);
    if (auth_is_on(kc->broker->auth) && !broker_api_is_guarded(head.api_key))
        return err_set(err, ERR_UNSUPPORTED,
                       "API key %d is not served with an authorizer: no right is defined for it",
                       head.api_key);
    if (!login_admits(&kc->login, head.api_key, loop_now_ms(req->loop), err))
        return false;
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
    if (!produce)
        produce_write(kc->produces); /* K6 */
    api->run(req);
    return true;
}

static void refuse(struct kafka_conn *kc, const struct err *err)
{
    struct broker *broker = kc->broker;
    struct str peer = conn_peer(kc->conn);
    int64_t unsaid;
    metric_add(broker->refused_meter, 1);
    if (log_rate_due(&broker->refused_rate, &unsaid))
        log_warn("broker", "request_refused", "peer=%.*s unsaid=%" PRId64 " cause=\"%s\"", STR_ARG(peer),
                 unsaid, err->text);
    close_conn(kc, "malformed or unsupported request");
}

/* The request may outlive the connection. */
static void set_who(const struct kafka_conn *kc, struct request *req)
{
    req->who = kc->login.who;
    if (kc->login.mechanism == AUTH_NONE && !kc->listener->tls && !auth_is_on(kc->broker->auth))
        return; /* anonymous, and nobody asks from where */
    req->who.principal = str_dup(req->who.principal, &req->arena);
    req->who.host = str_dup(req->who.host, &req->arena);
}

static void take_frame(struct kafka_conn *kc, struct str frame)
{
    struct err err;
    struct request *req = take_request(kc);
    req->peer = conn_peer(kc->conn);
    req->listener = kc->listener;
    set_who(kc, req);
    if (kc->login.phase == LOGIN_RAW)
        login_raw_token(req, frame);
    else if (!start_request(kc, req, frame, &err)) {
        refuse(kc, &err);
        req->no_reply = true;
        req->done = true;
    }
    ignore(charge_run(kc), "told in the next answer");
    kc->run_us = 0;
}

static bool size_is_good(const struct kafka_conn *kc, uint32_t size, struct err *err)
{
    enum { TLS_HANDSHAKE = 0x1603 };
    if (size >> 16 == TLS_HANDSHAKE)
        return err_set(
            err, ERR_TOO_LARGE,
            "a TLS handshake on the plain listener %.*s: the client's security.protocol must be PLAINTEXT or "
            "SASL_PLAINTEXT, or its address that of an SSL listener",
            STR_ARG(kc->listener->name));
    int64_t early_max = auth_listener_config(kc->listener->auth, AUTH_NONE)->receive_bytes_max;
    if (kc->login.phase != LOGIN_DONE && size > early_max)
        return err_set(
            err, ERR_TOO_LARGE,
            "a request of %d bytes before authentication, sasl.server.max.receive.size is %" PRId64,
            (int32_t)size, early_max);
    return size <= LIVE(kc->broker, request_bytes_max) ||
           err_set(err, ERR_TOO_LARGE, "a request of %d bytes, socket.request.max.bytes is %lld",
                   (int32_t)size, (long long)LIVE(kc->broker, request_bytes_max));
}

/* Takes whole frames off the front; returns the bytes used. */
static size_t take_frames(struct kafka_conn *kc, struct str unread)
{
    size_t used = 0;
    while (!kc->closing && !kc->paused && unread.len - used >= 4) {
        struct err err;
        uint32_t size = load_be32(unread.ptr + used);
        if (!size_is_good(kc, size, &err)) {
            refuse(kc, &err);
            break;
        }
        if (unread.len - used - 4 < size) {
            conn_expect(kc->conn, (size_t)size + 4);
            break;
        }
        take_frame(kc, str_sub(unread, used + 4, size));
        used += 4 + (size_t)size;
        pause_or_resume(kc);
    }
    return used;
}

static size_t on_bytes(struct conn *conn, struct str unread)
{
    struct kafka_conn *kc = conn_data(conn);
    struct produce_queue produces;
    produces.count = 0;
    list_init(&produces.syncs);
    kc->produces = &produces;
    size_t used = take_frames(kc, unread);
    produce_write(&produces);
    partition_start_syncs(&produces.syncs);
    kc->produces = NULL;
    flush(kc);
    return kc->closing ? unread.len : used;
}

/* --- life --- */

static void on_open(struct conn *conn)
{
    struct kafka_conn *kc = mem_new(struct kafka_conn);
    kc->listener = conn_arg(conn);
    kc->broker = kc->listener->broker;
    kc->conn = conn;
    list_init(&kc->requests);
    list_init(&kc->free_requests);
    loop_timer_init(&kc->mute, conn_loop(conn), on_mute_over);
    conn_set_data(conn, kc);
    pthread_mutex_lock(&kc->broker->address_lock); /* the first client may be faster than kafka_listen */
    pthread_mutex_unlock(&kc->broker->address_lock);
    atomic_fetch_add(&kc->broker->connection_count, 1);
    if (!login_begin(&kc->login, kc->listener, conn))
        close_conn(kc, "no mapping rule fits the certificate");
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
    if (kc->shares_conn != 0)
        share_sessions_conn_closed(kc->broker, kc->shares_conn);
    login_fini(&kc->login);
    atomic_fetch_sub(&kc->broker->connection_count, 1);
    loop_timer_stop(&kc->mute);
    client_quotas_unref(kc->quotas);
    free(kc);
}

const struct conn_class kafka_conn_class = {
    .name = "kafka",
    .on_open = on_open,
    .on_bytes = on_bytes,
    .on_mail = on_mail,
    .on_close = on_close,
};
