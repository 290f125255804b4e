/* login.c - who a connection is: by its certificate, by SASL, or nobody.
 *
 *   plain, TLS     LOGIN_DONE at once: ANONYMOUS, or the certificate's subject
 *   SASL           START --SaslHandshake v1--> TOKENS --SaslAuthenticate--> BUSY --+--> DONE
 *                    |                            ^------- more tokens -----------+--> FAILED: answered late, closed
 *                    +----SaslHandshake v0--> RAW --token--> BUSY -- ...
 *                  DONE --SaslHandshake, when there is an end--> TOKENS (KIP-368: it proves again who it is)
 *
 * (L1) Until it is DONE a connection may do nothing else; another request ends it.
 * (L2) While a token is looked at (on the auth pool: hashing a password takes ms) nothing is read from the connection.
 * (L3) A failure, and a mechanism that is not on, is answered after connection.failed.authentication.delay.ms; then the
 *      connection is closed (KIP-43). It says neither whether the user exists nor what was wrong with the secret.
 * (L4) Who has proved it again must be the same, by the same mechanism; past its end only that is taken (closed else).
 */
#include "broker/broker_int.h"

enum { API_VERSIONS = 18, SASL_HANDSHAKE = 17, SASL_AUTHENTICATE = 36 };
enum { UNSUPPORTED_MECHANISM = 33, ILLEGAL_STATE = 34, AUTHENTICATION_FAILED = 58 };

/* --- coming and going --- */

/* The address without port. */
static struct str host_of(struct str peer)
{
    struct str host;
    int port;
    return net_address_split(peer, 0, &host, &port, NULL) ? host : peer;
}

bool login_begin(struct login *login, const struct kafka_listener *listener, struct conn *conn)
{
    *login = (struct login){.phase = listener->sasl ? LOGIN_START : LOGIN_DONE, .expires_ms = -1};
    login->who = (struct auth_who){STR(AUTH_ANONYMOUS), host_of(conn_peer(conn))};
    if (listener->sasl) {
        conn_set_deadline(conn, auth_config_of(listener->broker->auth)->setup_ms_max);
        return true;
    }
    struct str subject = conn_tls_subject(conn);
    return str_is_null(subject) ||
           auth_map_subject(listener->auth, subject, &login->who.principal, &login->arena);
}

void login_fini(struct login *login)
{
    if (login->refused != NULL)
        loop_timer_stop(&login->delay);
    sasl_free(login->sasl);
    arena_fini(&login->arena);
}

bool login_admits(const struct login *login, int16_t api_key, int64_t now_ms, struct err *err)
{
    switch (login->phase) {
    case LOGIN_DONE:
        return login->expires_ms < 0 || now_ms < login->expires_ms || api_key == SASL_HANDSHAKE ||
               err_set(err, ERR_FORBIDDEN,
                       "the authentication has expired, and the client has not renewed it");
    case LOGIN_START:
        return api_key == API_VERSIONS || api_key == SASL_HANDSHAKE ||
               err_set(err, ERR_FORBIDDEN,
                       "API key %d before authentication: the client's security.protocol must be "
                       "SASL_PLAINTEXT or SASL_SSL",
                       api_key);
    case LOGIN_TOKENS:
        return api_key == SASL_AUTHENTICATE ||
               err_set(err, ERR_FORBIDDEN, "API key %d in the middle of an authentication", api_key);
    default:
        return err_set(err, ERR_FORBIDDEN, "no request is taken here");
    }
}

/* --- failures --- */

/* L3: now it is told. */
static void on_delay(struct loop_timer *timer)
{
    struct login *login = LIST_ENTRY(timer, struct login, delay);
    struct request *req = login->refused;
    login->refused = NULL;
    req->cancel = NULL;
    req->close_why = "authentication failed";
    if (req->body == NULL)
        req->no_reply = true;
    else
        request_encode(req, req->res);
    request_deliver(req);
}

/* The connection went while its failure was held back. */
static void cancel_refused(struct request *req)
{
}

/* L3: the answer waits. */
static void hold_back(struct request *req)
{
    struct login *login = request_login(req);
    login->phase = LOGIN_FAILED;
    login->refused = req;
    req->cancel = cancel_refused;
    loop_timer_init(&login->delay, req->loop, on_delay);
    loop_timer_start(&login->delay, auth_config_of(req->broker->auth)->failed_delay_ms);
}

/* --- SaslHandshake --- */

static void list_mechanisms(const struct auth_listener *listener, struct SaslHandshakeResponse *res)
{
    const struct conf_list *on = &auth_listener_config(listener, AUTH_NONE)->mechanisms;
    res->Mechanisms.at = on->at;
    res->Mechanisms.len = (int32_t)on->len;
}

void api_sasl_handshake(struct request *req)
{
    struct broker *broker = req->broker;
    struct login *login = request_login(req);
    const struct SaslHandshakeRequest *body = req->body;
    struct SaslHandshakeResponse *res = req->res;
    uint8_t nonce[SASL_NONCE_BYTES];
    enum auth_mechanism mechanism = auth_mechanism_find(body->Mechanism);
    bool again = login->phase == LOGIN_DONE;
    list_mechanisms(req->listener->auth, res);
    if (!req->listener->sasl || (again && login->expires_ms < 0)) {
        res->ErrorCode = ILLEGAL_STATE;
        res->Mechanisms.len = 0;
    } else if (mechanism == AUTH_NONE || !auth_mechanism_is_on(req->listener->auth, mechanism)) {
        res->ErrorCode = UNSUPPORTED_MECHANISM;
        hold_back(req);
        return;
    } else {
        io_random(broker->io, nonce, sizeof nonce);
        login->sasl = sasl_new(req->listener->auth, mechanism, nonce);
        login->again = again;
        login->raw = req->version == 0;
        login->phase = login->raw ? LOGIN_RAW : LOGIN_TOKENS;
    }
    request_reply(req);
}

/* --- tokens --- */

/* One step of an authentication, on its way through the pool. */
struct token_step {
    struct sasl *sasl;
    struct str token;
    struct buf reply;
    int64_t now_ms; /* since 1970 */
    enum sasl_result result;
    struct err err;
};

static void step_fini(struct request *req)
{
    struct token_step *step = req->parked;
    sasl_free(step->sasl);
    buf_fini(&step->reply);
}

/* A token is answered in a message, or in the old way as a frame without header. */
static void reply_token(struct request *req, struct str token)
{
    struct SaslAuthenticateResponse *res = req->res;
    if (req->body != NULL) {
        res->AuthBytes = token;
        request_reply(req);
        return;
    }
    store_be32(buf_extend(&req->out.buf, 4), (uint32_t)token.len);
    buf_append_str(&req->out.buf, token);
    request_deliver(req);
}

static void log_failure(struct request *req, const struct token_step *step)
{
    int64_t unsaid;
    metric_add(req->broker->failed_logins, 1);
    if (log_rate_due(&req->broker->failed_login_rate, &unsaid))
        log_warn("broker", "authentication_failed",
                 "peer=%.*s listener=%.*s mechanism=%s unsaid=%" PRId64 " cause=\"%s\"",
                 STR_ARG(req->who.host), STR_ARG(req->listener->name),
                 auth_mechanism_name(sasl_mechanism(step->sasl)), unsaid, step->err.text);
}

static void refuse(struct request *req, const struct token_step *step)
{
    struct SaslAuthenticateResponse *res = req->res;
    log_failure(req, step);
    if (res != NULL) {
        res->ErrorCode = AUTHENTICATION_FAILED;
        res->ErrorMessage = str_dup(str_from(step->err.text), &req->arena);
    }
    hold_back(req);
}

/* L4 */
static bool is_same(const struct login *login, struct token_step *step)
{
    if (!login->again)
        return true;
    if (sasl_mechanism(step->sasl) != login->mechanism)
        return err_set(&step->err, ERR_FORBIDDEN,
                       "The SASL mechanism cannot be changed during re-authentication");
    struct str old = login->who.principal, new = sasl_principal(step->sasl);
    size_t type = strlen("User:");
    return str_eq(new, old) ||
           err_set(&step->err, ERR_FORBIDDEN,
                   "Cannot change principals during re-authentication from User.%.*s: User.%.*s",
                   STR_ARG(str_sub(old, type, SIZE_MAX)), STR_ARG(str_sub(new, type, SIZE_MAX)));
}

/* How long it counts: connections.max.reauth.ms or the token's end, whichever is first; -1: for ever. */
static int64_t lifetime_ms(const struct request *req, const struct token_step *step)
{
    int64_t longest = auth_listener_config(req->listener->auth, sasl_mechanism(step->sasl))->reauth_ms_max;
    int64_t end_ms = sasl_expires_ms(step->sasl);
    if (end_ms < 0)
        return longest > 0 ? longest : -1;
    int64_t left = MAX(end_ms - step->now_ms, 0);
    return longest > 0 ? MIN(left, longest) : left;
}

static void accept(struct request *req, struct login *login, const struct token_step *step)
{
    struct SaslAuthenticateResponse *res = req->res;
    int64_t life_ms = lifetime_ms(req, step);
    metric_add(req->broker->logins, 1);
    login->mechanism = sasl_mechanism(step->sasl);
    if (!login->again)
        login->who.principal = str_dup(sasl_principal(step->sasl), &login->arena);
    login->who.by_token = sasl_is_by_token(step->sasl);
    login->expires_ms = life_ms >= 0 ? loop_now_ms(req->loop) + life_ms : -1;
    login->phase = LOGIN_DONE;
    conn_set_deadline(request_conn(req), 0);
    if (res != NULL)
        res->SessionLifetimeMs = MAX(life_ms, 0);
}

/* Back on the connection's thread. */
static void on_step(struct request *req)
{
    struct login *login = request_login(req);
    struct token_step *step = req->parked;
    req->fini = NULL;
    if (step->result == SASL_DONE && !is_same(login, step))
        step->result = SASL_FAILED;
    if (step->result == SASL_FAILED) {
        refuse(req, step);
    } else if (step->result == SASL_DONE) {
        accept(req, login, step);
    } else {
        login->sasl = step->sasl;
        step->sasl = NULL;
        login->phase = login->raw ? LOGIN_RAW : LOGIN_TOKENS;
    }
    if (step->result != SASL_FAILED)
        reply_token(req, str_dup(buf_str(&step->reply), &req->arena));
    sasl_free(step->sasl);
    buf_fini(&step->reply);
}

static void run_step(void *arg)
{
    struct request *req = arg;
    struct token_step *step = req->parked;
    struct broker *broker = req->broker;
    if (sasl_mechanism(step->sasl) == AUTH_OAUTHBEARER)
        security_refresh_keys(req->listener);
    pthread_rwlock_rdlock(&broker->auth_lock);
    step->result = sasl_step(step->sasl, step->token, step->now_ms, &step->reply, &step->err);
    pthread_rwlock_unlock(&broker->auth_lock);
    request_deliver(req);
}

static void start_step(struct request *req, struct str token)
{
    struct login *login = request_login(req);
    struct token_step *step = arena_new(&req->arena, struct token_step);
    *step = (struct token_step){.sasl = login->sasl, .token = token, .now_ms = io_now_ms(req->broker->io)};
    login->sasl = NULL;
    login->phase = LOGIN_BUSY;
    req->parked = step;
    req->fini = step_fini;
    req->arrive = on_step;
    pool_submit(req->broker->auth_pool, run_step, req, NULL, NULL);
}

void api_sasl_authenticate(struct request *req)
{
    const struct SaslAuthenticateRequest *body = req->body;
    struct SaslAuthenticateResponse *res = req->res;
    if (request_login(req)->phase == LOGIN_TOKENS) {
        start_step(req, body->AuthBytes);
        return;
    }
    res->ErrorCode = ILLEGAL_STATE;
    res->ErrorMessage = STR("SaslAuthenticate request received after successful authentication");
    request_reply(req);
}

void login_raw_token(struct request *req, struct str token)
{
    start_step(req, str_dup(token, &req->arena));
}
