/* api_tokens.c - delegation tokens (KIP-48): CreateDelegationToken, Renew-, Expire-, DescribeDelegationToken; their clock.
 *
 *   who may ask at all?   who has proved who he is, but not by a token himself, and not on a listener that asks nobody
 *   whose token?          his own, or (CreateTokens on the user) another's; renewed and ended by owner, requester, renewers
 *
 * In this order, as Apache Kafka checks it. The state is auth/tokens.c; a secret is in the answers, and nowhere else.
 */
#include "broker/broker_int.h"

enum { AUTH_DISABLED = 61, REQUEST_NOT_ALLOWED = 64, INVALID_PRINCIPAL_TYPE = 67 };

static bool decide_create(void *state, void *call, struct replay_records *out, struct err *err)
{
    return auth_decide_create_token(((struct broker *)state)->auth, call, out, err);
}

static bool decide_renew(void *state, void *call, struct replay_records *out, struct err *err)
{
    return auth_decide_renew_token(((struct broker *)state)->auth, call, out, err);
}

static bool decide_expire(void *state, void *call, struct replay_records *out, struct err *err)
{
    return auth_decide_expire_token(((struct broker *)state)->auth, call, out, err);
}

static bool decide_sweep(void *state, void *call, struct replay_records *out, struct err *err)
{
    return auth_decide_sweep_tokens(((struct broker *)state)->auth, call, out, err);
}

/* --- what all have in common --- */

/* A token must not make the next one, and who is nobody owns nothing. */
static bool may_ask(const struct request *req)
{
    const struct kafka_listener *listener = req->listener;
    bool nobody = !listener->sasl && str_eq(req->who.principal, STR(AUTH_ANONYMOUS));
    return !req->who.by_token && (listener->sasl || listener->tls) && !nobody;
}

static struct auth_call *make_call(struct request *req)
{
    struct auth_call *call = arena_new(&req->arena, struct auth_call);
    *call = (struct auth_call){.req = req->body,
                               .res = req->res,
                               .now_ms = io_now_ms(req->broker->io),
                               .arena = &req->arena,
                               .principal = req->who.principal};
    return call;
}

/* Decides and answers when it is durable; a failure is answered by its code. */
static void run(struct request *req, struct auth_call *call, replay_decide_fn decide, int16_t *code)
{
    struct replay *replay = req->broker->auth_replay;
    struct err err;
    int64_t end_offset;
    if (replay_run(replay, decide, call, &end_offset, &err)) {
        request_reply_durable(req, replay, end_offset);
        return;
    }
    *code = error_code_of(&err);
    request_reply(req);
}

/* --- CreateDelegationToken --- */

/* 22 characters as Kafka's ids; one that begins with '-' looks like an option on a command line. */
static struct str fresh_id(struct request *req)
{
    struct uuid id;
    struct buf text = {0};
    do {
        io_random(req->broker->io, id.bytes, sizeof id.bytes);
        buf_clear(&text);
        buf_append_uuid(&text, id);
    } while (text.ptr[0] == '-');
    struct str out = str_dup(buf_str(&text), &req->arena);
    buf_fini(&text);
    return out;
}

static bool renewers_are_users(const struct CreateDelegationTokenRequest *body)
{
    for (int32_t i = 0; i < body->Renewers.len; i++)
        if (!str_eq(body->Renewers.at[i].PrincipalType, STR("User")))
            return false;
    return true;
}

static int16_t create_fault(struct request *req, struct str owner)
{
    if (!may_ask(req))
        return REQUEST_NOT_ALLOWED;
    int16_t code =
        str_eq(owner, req->who.principal) ? 0 : request_denied(req, ACL_USER, ACL_CREATE_TOKENS, owner);
    if (code == 0 && !renewers_are_users(req->body))
        code = INVALID_PRINCIPAL_TYPE;
    return code == 0 && !auth_tokens_are_on(req->broker->auth) ? AUTH_DISABLED : code;
}

/* "User:ann" as type and name. */
static void split_principal(struct str principal, struct str *type, struct str *name)
{
    ptrdiff_t at = MAX(str_find_char(principal, ':'), 0);
    *type = str_sub(principal, 0, (size_t)at);
    *name = str_sub(principal, (size_t)at + 1, SIZE_MAX);
}

/* A refusal names who would own the token, and who asked. */
static void name_principals(const struct request *req, struct CreateDelegationTokenResponse *res)
{
    const struct CreateDelegationTokenRequest *body = req->body;
    split_principal(req->who.principal, &res->TokenRequesterPrincipalType, &res->TokenRequesterPrincipalName);
    res->PrincipalType = res->TokenRequesterPrincipalType;
    res->PrincipalName = res->TokenRequesterPrincipalName;
    if (body->OwnerPrincipalName.len != 0) {
        res->PrincipalType = body->OwnerPrincipalType;
        res->PrincipalName = body->OwnerPrincipalName;
    }
}

void api_create_delegation_token(struct request *req)
{
    struct CreateDelegationTokenResponse *res = req->res;
    struct auth_call *call = make_call(req);
    res->ErrorCode = create_fault(req, auth_token_owner(req->body, req->who.principal, &req->arena));
    if (res->ErrorCode != 0) {
        name_principals(req, res);
        res->IssueTimestampMs = res->ExpiryTimestampMs = res->MaxTimestampMs = -1;
        request_reply(req);
        return;
    }
    call->fresh_id = fresh_id(req);
    run(req, call, decide_create, &res->ErrorCode);
}

/* --- RenewDelegationToken, ExpireDelegationToken --- */

static int16_t change_fault(const struct request *req)
{
    return !may_ask(req) ? REQUEST_NOT_ALLOWED : !auth_tokens_are_on(req->broker->auth) ? AUTH_DISABLED : 0;
}

void api_renew_delegation_token(struct request *req)
{
    struct RenewDelegationTokenResponse *res = req->res;
    res->ErrorCode = change_fault(req);
    if (res->ErrorCode == 0) {
        run(req, make_call(req), decide_renew, &res->ErrorCode);
        return;
    }
    res->ExpiryTimestampMs = -1;
    request_reply(req);
}

void api_expire_delegation_token(struct request *req)
{
    struct ExpireDelegationTokenResponse *res = req->res;
    res->ErrorCode = change_fault(req);
    if (res->ErrorCode == 0) {
        run(req, make_call(req), decide_expire, &res->ErrorCode);
        return;
    }
    res->ExpiryTimestampMs = -1;
    request_reply(req);
}

/* --- DescribeDelegationToken --- */

/* Leaves out what may not be seen. */
static void hide_tokens(struct request *req, const struct auth_token_view *views)
{
    struct DescribeDelegationTokenResponse *res = req->res;
    int32_t kept = 0;
    for (int32_t i = 0; i < res->Tokens.len; i++)
        if (views[i].is_own ||
            request_may(req, ACL_DELEGATION_TOKEN, ACL_DESCRIBE, res->Tokens.at[i].TokenId) ||
            request_may(req, ACL_USER, ACL_DESCRIBE_TOKENS, views[i].owner))
            res->Tokens.at[kept++] = res->Tokens.at[i];
    res->Tokens.len = kept;
}

void api_describe_delegation_token(struct request *req)
{
    struct broker *broker = req->broker;
    struct DescribeDelegationTokenResponse *res = req->res;
    res->ErrorCode = change_fault(req);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    pthread_rwlock_rdlock(&broker->auth_lock);
    const struct auth_token_view *views = auth_describe_tokens(broker->auth, make_call(req));
    pthread_rwlock_unlock(&broker->auth_lock);
    hide_tokens(req, views);
    request_reply_durable(req, broker->auth_replay, replay_end(broker->auth_replay));
}

/* --- the clock --- */

static void sweep(void *arg)
{
    struct broker *broker = arg;
    struct auth_call call = {.now_ms = io_now_ms(broker->io)};
    struct err err;
    if (!replay_run_durable(broker->auth_replay, decide_sweep, &call, &err))
        log_warn("broker", "tokens_not_swept", "cause=\"%s\"", err.text);
    atomic_store(&broker->sweeping, false);
}

static void on_timer(struct loop_timer *timer)
{
    struct broker *broker = LIST_ENTRY(timer, struct broker, token_timer);
    if (!atomic_exchange(&broker->sweeping, true))
        pool_submit(storage_admin_pool(broker->storage), sweep, broker, NULL, NULL);
    tokens_start_clock(broker);
}

void tokens_init_clock(struct broker *broker)
{
    loop_timer_init(&broker->token_timer, net_loop(broker->net, 0), on_timer);
}

void tokens_start_clock(struct broker *broker)
{
    if (auth_tokens_are_on(broker->auth))
        loop_timer_start(&broker->token_timer, auth_config_of(broker->auth)->token_check_ms);
}
