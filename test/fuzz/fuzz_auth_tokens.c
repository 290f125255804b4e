/* Any bytes as a life of delegation tokens: made, renewed, ended, described and swept as the bytes say, by the users that they
 * name, at times that they move on. A token never outlives its end, nobody but its own people changes it, a sweep takes what has
 * ended and nothing else, and the snapshot brings the same tokens back. */
#include <stddef.h>
#include <stdint.h>

#include "auth/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str users[] = {STR_INIT("User:a"), STR_INIT("User:b"), STR_INIT("User:c"),
                                   STR_INIT("User:")};

struct life {
    struct auth *auth;
    struct arena arena;
    int64_t now_ms;
    int made;
    struct str last_hmac;
};

static struct auth *make_auth(void)
{
    static const uint8_t secret[32];
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.token_secret = STR("key");
    config.token_life_ms_max = 1000;
    config.token_expiry_ms = 300;
    struct auth *auth = auth_new(&config, secret, &err);
    ASSERT(auth != NULL);
    return auth;
}

static void apply_all(struct auth *auth, struct replay_records *records)
{
    struct err err;
    for (size_t i = 0; i < records->list.len; i++) {
        bool good = auth_apply(auth, &records->list.at[i], &err);
        ASSERT(good);
    }
    vec_fini(&records->list);
    arena_fini(&records->arena);
}

static void decide(struct life *life, replay_decide_fn fn, const void *req, void *res, struct str principal)
{
    struct replay_records records = {0};
    struct err err;
    struct auth_call call = {req,          res,       life->now_ms,
                             &life->arena, principal, str_printf(&life->arena, "id-%d", life->made)};
    if (fn(life->auth, &call, &records, &err))
        apply_all(life->auth, &records);
}

/* A CreateDelegationToken of these bytes, whatever they are. */
static void create(struct life *life, struct str who, struct str bytes)
{
    const struct wire_message *message = &CreateDelegationTokenRequest_message;
    struct CreateDelegationTokenRequest req;
    struct CreateDelegationTokenResponse res = {0};
    struct err err;
    if (!wire_decode(message, message->versions.max, bytes, &req, NULL, &life->arena, &err))
        return;
    life->made++;
    decide(life, auth_decide_create_token, &req, &res, who);
    if (res.ErrorCode == 0)
        life->last_hmac = res.Hmac;
}

static bool has_part(const struct auth_token *token, struct str who)
{
    bool found = str_eq(token->owner, who) || str_eq(token->requester, who);
    for (size_t i = 0; i < token->renewer_count; i++)
        found = found || str_eq(token->renewers[i], who);
    return found;
}

/* Renews (`expire` false) or ends the last token made. */
static void change(struct life *life, struct str who, int64_t period_ms, bool expire)
{
    const struct auth_token *token = map_get(&life->auth->tokens_by_hmac, life->last_hmac);
    bool may = token != NULL && has_part(token, who) && token->expiry_ms >= life->now_ms;
    struct RenewDelegationTokenRequest renew = {life->last_hmac, period_ms};
    struct RenewDelegationTokenResponse renewed = {0};
    struct ExpireDelegationTokenRequest end = {life->last_hmac, period_ms};
    struct ExpireDelegationTokenResponse ended = {0};
    if (expire)
        decide(life, auth_decide_expire_token, &end, &ended, who);
    else
        decide(life, auth_decide_renew_token, &renew, &renewed, who);
    ASSERT((expire ? ended.ErrorCode == 0 : renewed.ErrorCode == 0) == may);
    ASSERT(!expire || period_ms >= 0 || !may ||
           map_get(&life->auth->tokens_by_hmac, life->last_hmac) == NULL);
}

static void sweep(struct life *life)
{
    void *token;
    decide(life, auth_decide_sweep_tokens, NULL, NULL, STR_NULL);
    for (size_t i = 0; map_next(&life->auth->tokens, &i, NULL, &token);)
        ASSERT_CMP(((struct auth_token *)token)->expiry_ms, >=, life->now_ms);
}

static void check(const struct auth *auth)
{
    void *value;
    ASSERT_CMP(auth->tokens.len, ==, auth->tokens_by_hmac.len);
    for (size_t i = 0; map_next(&auth->tokens, &i, NULL, &value);) {
        const struct auth_token *token = value;
        ASSERT_CMP(token->expiry_ms, <=, token->max_ms);
        ASSERT_CMP(token->max_ms, <=, token->issue_ms + 1000);
        ASSERT(str_find_char(token->owner, ':') > 0);
    }
}

static void step(struct life *life, const uint8_t op[4], struct str bytes)
{
    struct str who = users[op[1] % COUNT_OF(users)];
    int64_t period_ms = (int8_t)op[2] * 8;
    life->now_ms += op[3];
    if (op[0] % 8 < 3)
        create(life, who, bytes);
    else if (op[0] % 8 < 7)
        change(life, who, period_ms, op[0] % 8 > 4);
    else
        sweep(life);
    check(life->auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life life = {.auth = make_auth(), .now_ms = 1, .last_hmac = STR("none")};
    struct auth *again = make_auth();
    struct str rest = str_of((const char *)data, size);
    for (int i = 0; i < 32 && rest.len >= 6; i++) {
        struct str bytes = str_sub(rest, 6, load_be16(rest.ptr + 4));
        step(&life, (const uint8_t *)rest.ptr, bytes);
        rest = str_sub(rest, 6 + bytes.len, SIZE_MAX);
    }
    struct replay_records records = {0};
    auth_snapshot(life.auth, &records);
    ASSERT_CMP(records.list.len, ==, life.auth->tokens.len);
    apply_all(again, &records);
    check(again);
    ASSERT_CMP(again->tokens.len, ==, life.auth->tokens.len);
    auth_free(life.auth);
    auth_free(again);
    arena_fini(&life.arena);
    return 0;
}
