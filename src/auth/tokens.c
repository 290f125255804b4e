/* tokens.c - delegation tokens (KIP-48): made for a user, renewed, described, ended; they log in by SCRAM.
 *
 *   id (random)  --HMAC-SHA-512 under delegation.token.secret.key-->  hmac: what its holder proves, and what renews it
 *   "tokenauth=true", id, base64 of the hmac as password  --SCRAM-->  the owner
 *
 * (T1) The log has no secret of a token: it is made of the id whenever it is needed. Another secret key ends all tokens.
 * (T2) A token counts until its expiry, which its owner, its requester and its renewers move, never past its end (max_ms).
 *      Then it lets nobody in; a sweep takes it away.
 * (T3) Without a secret key there are no tokens: those of the log are kept, and none of them lets anybody in.
 */
#include "auth/auth_int.h"

enum { INVALID_REQUEST = 42, NOT_FOUND = 62, OWNER_MISMATCH = 63, EXPIRED = 66, INVALID_PRINCIPAL_TYPE = 67 };
enum { TOKENS_MAX = 100000, RENEWERS_MAX = 1000, PRINCIPAL_BYTES_MAX = 1024 };

bool auth_tokens_are_on(const struct auth *auth)
{
    return auth->config.token_secret.len != 0;
}

static struct str hmac_of(const struct auth *auth, struct str id, uint8_t hmac[AUTH_HASH_BYTES_MAX])
{
    scram_hmac(AUTH_SCRAM_SHA_512, auth->config.token_secret, id, hmac);
    return str_of((const char *)hmac, scram_hash_bytes(AUTH_SCRAM_SHA_512));
}

static bool has_ended(const struct auth_token *token, int64_t now_ms)
{
    return token->max_ms < now_ms || token->expiry_ms < now_ms;
}

/* --- records --- */

static void token_remove(struct auth *auth, struct str id)
{
    struct auth_token *token = map_remove(&auth->tokens, id);
    if (token == NULL)
        return;
    map_remove(&auth->tokens_by_hmac, token->hmac);
    arena_fini(&token->arena);
    free(token);
}

void auth_token_apply(struct auth *auth, const struct DelegationTokenKey *key,
                      const struct DelegationTokenValue *value)
{
    uint8_t hmac[AUTH_HASH_BYTES_MAX];
    token_remove(auth, key->TokenId);
    if (value == NULL)
        return;
    struct auth_token *token = mem_new(struct auth_token);
    struct arena *arena = &token->arena;
    token->id = str_dup(key->TokenId, arena);
    token->hmac = str_dup(hmac_of(auth, key->TokenId, hmac), arena);
    token->owner = str_dup(value->Owner, arena);
    token->requester = str_dup(value->Requester, arena);
    token->renewer_count = (size_t)MAX(value->Renewers.len, 0);
    token->renewers = arena_array(arena, struct str, token->renewer_count);
    for (size_t i = 0; i < token->renewer_count; i++)
        token->renewers[i] = str_dup(value->Renewers.at[i], arena);
    token->issue_ms = value->IssueMs;
    token->expiry_ms = value->ExpiryMs;
    token->max_ms = value->MaxMs;
    map_put(&auth->tokens, token->id, token);
    map_put(&auth->tokens_by_hmac, token->hmac, token);
}

static void add_token(const struct auth_token *token, int64_t now_ms, struct replay_records *out)
{
    struct DelegationTokenKey key = {.TokenId = token->id};
    struct DelegationTokenValue value = {.Owner = token->owner,
                                         .Requester = token->requester,
                                         .Renewers = {token->renewers, (int32_t)token->renewer_count},
                                         .IssueMs = token->issue_ms,
                                         .ExpiryMs = token->expiry_ms,
                                         .MaxMs = token->max_ms};
    replay_add_typed(out, &DelegationTokenKey_message, &key, &DelegationTokenValue_message, 0, &value,
                     now_ms);
}

static void add_removal(const struct auth_token *token, int64_t now_ms, struct replay_records *out)
{
    struct DelegationTokenKey key = {.TokenId = token->id};
    replay_add_typed(out, &DelegationTokenKey_message, &key, &DelegationTokenValue_message, 0, NULL, now_ms);
}

void auth_tokens_snapshot(struct auth *auth, struct replay_records *out)
{
    void *token;
    for (size_t i = 0; map_next(&auth->tokens, &i, NULL, &token);)
        add_token(token, 0, out);
}

void auth_tokens_fini(struct auth *auth)
{
    void *token;
    for (size_t i = 0; map_next(&auth->tokens, &i, NULL, &token);) {
        arena_fini(&((struct auth_token *)token)->arena);
        free(token);
    }
    map_fini(&auth->tokens);
    map_fini(&auth->tokens_by_hmac);
}

/* --- principals --- */

/* "User:alice" into both. */
static void split_principal(struct str principal, struct str *type, struct str *name)
{
    ptrdiff_t colon = str_find_char(principal, ':');
    *type = str_sub(principal, 0, (size_t)MAX(colon, 0));
    *name = str_sub(principal, (size_t)(colon + 1), SIZE_MAX);
}

static bool is_owner_or_renewer(const struct auth_token *token, struct str principal)
{
    bool found = str_eq(token->owner, principal) || str_eq(token->requester, principal);
    for (size_t i = 0; i < token->renewer_count && !found; i++)
        found = str_eq(token->renewers[i], principal);
    return found;
}

struct str auth_token_owner(const struct CreateDelegationTokenRequest *req, struct str requester,
                            struct arena *arena)
{
    if (str_is_null(req->OwnerPrincipalName) || req->OwnerPrincipalName.len == 0)
        return requester;
    struct str type = req->OwnerPrincipalType, name = req->OwnerPrincipalName;
    char *text = arena_alloc_bytes(arena, type.len + 1 + name.len); /* all bytes count, a NUL too */
    memcpy(text, type.ptr != NULL ? type.ptr : "", type.len);
    text[type.len] = ':';
    memcpy(text + type.len + 1, name.ptr, name.len);
    return str_of(text, type.len + 1 + name.len);
}

/* --- CreateDelegationToken --- */

/* Fills the renewers of the token; 0 or an error code. */
static int16_t take_renewers(const struct CreateDelegationTokenRequest *req, struct auth_token *token,
                             struct arena *arena)
{
    size_t count = (size_t)MAX(req->Renewers.len, 0);
    if (count > RENEWERS_MAX)
        return INVALID_REQUEST;
    token->renewers = arena_array(arena, struct str, count);
    for (size_t i = 0; i < count; i++) {
        struct str type = req->Renewers.at[i].PrincipalType, name = req->Renewers.at[i].PrincipalName;
        if (!str_eq(type, STR("User")))
            return INVALID_PRINCIPAL_TYPE;
        if (name.len > PRINCIPAL_BYTES_MAX)
            return INVALID_REQUEST;
        token->renewers[token->renewer_count++] = user_principal(name, arena);
    }
    bool typed = str_find_char(token->owner, ':') > 0;
    return !typed || token->owner.len > PRINCIPAL_BYTES_MAX ? INVALID_REQUEST : 0;
}

bool auth_decide_create_token(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const struct CreateDelegationTokenRequest *req = call->req;
    struct CreateDelegationTokenResponse *res = call->res;
    const struct auth_config *config = &auth->config;
    struct auth_token token = {.id = call->fresh_id, .requester = call->principal, .issue_ms = call->now_ms};
    ASSERT(auth_tokens_are_on(auth) && token.id.len != 0);
    if (auth->tokens.len >= TOKENS_MAX)
        return err_set(err, ERR_LIMIT, "there are %zu delegation tokens, and no more than %d are kept",
                       auth->tokens.len, TOKENS_MAX);
    token.owner = auth_token_owner(req, call->principal, call->arena);
    split_principal(token.owner, &res->PrincipalType, &res->PrincipalName);
    split_principal(token.requester, &res->TokenRequesterPrincipalType, &res->TokenRequesterPrincipalName);
    res->ErrorCode = take_renewers(req, &token, call->arena);
    if (res->ErrorCode != 0)
        return true;
    int64_t life_ms = req->MaxLifetimeMs > 0 ? MIN(req->MaxLifetimeMs, config->token_life_ms_max)
                                             : config->token_life_ms_max;
    token.max_ms = call->now_ms + life_ms;
    token.expiry_ms = MIN(token.max_ms, call->now_ms + config->token_expiry_ms);
    add_token(&token, call->now_ms, out);
    uint8_t *hmac = arena_alloc(call->arena, AUTH_HASH_BYTES_MAX);
    res->IssueTimestampMs = token.issue_ms;
    res->ExpiryTimestampMs = token.expiry_ms;
    res->MaxTimestampMs = token.max_ms;
    res->TokenId = token.id;
    res->Hmac = hmac_of(auth, token.id, hmac);
    return true;
}

/* --- RenewDelegationToken, ExpireDelegationToken --- */

/* NULL: the code says why. */
static const struct auth_token *find_own(const struct auth *auth, struct str hmac,
                                         const struct auth_call *call, int16_t *code)
{
    const struct auth_token *token = map_get(&auth->tokens_by_hmac, hmac);
    *code = token == NULL                                  ? NOT_FOUND
            : has_ended(token, call->now_ms)               ? EXPIRED
            : !is_owner_or_renewer(token, call->principal) ? OWNER_MISMATCH
                                                           : 0;
    return *code == 0 ? token : NULL;
}

bool auth_decide_renew_token(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const struct RenewDelegationTokenRequest *req = call->req;
    struct RenewDelegationTokenResponse *res = call->res;
    const struct auth_token *found = find_own(auth, req->Hmac, call, &res->ErrorCode);
    if (found == NULL)
        return true;
    struct auth_token token = *found;
    int64_t period_ms = auth->config.token_expiry_ms;
    if (req->RenewPeriodMs > 0)
        period_ms = MIN(period_ms, req->RenewPeriodMs);
    token.expiry_ms = res->ExpiryTimestampMs = MIN(token.max_ms, call->now_ms + period_ms);
    add_token(&token, call->now_ms, out);
    return true;
}

bool auth_decide_expire_token(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const struct ExpireDelegationTokenRequest *req = call->req;
    struct ExpireDelegationTokenResponse *res = call->res;
    const struct auth_token *found = find_own(auth, req->Hmac, call, &res->ErrorCode);
    if (found == NULL)
        return true;
    struct auth_token token = *found;
    if (req->ExpiryTimePeriodMs < 0) { /* now */
        res->ExpiryTimestampMs = call->now_ms;
        add_removal(found, call->now_ms, out);
        return true;
    }
    int64_t left_ms = token.max_ms - call->now_ms; /* the sum could overflow */
    token.expiry_ms = res->ExpiryTimestampMs = call->now_ms + MIN(left_ms, req->ExpiryTimePeriodMs);
    add_token(&token, call->now_ms, out);
    return true;
}

bool auth_decide_sweep_tokens(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    const struct auth_call *call = request;
    void *token;
    for (size_t i = 0; map_next(&auth->tokens, &i, NULL, &token);)
        if (has_ended(token, call->now_ms))
            add_removal(token, call->now_ms, out);
    return true;
}

/* --- DescribeDelegationToken --- */

static bool is_asked_for(const struct DescribeDelegationTokenRequest *req, const struct auth_token *token)
{
    bool found = req->Owners.len < 0;
    for (int32_t i = 0; i < req->Owners.len && !found; i++) {
        struct str type = req->Owners.at[i].PrincipalType, name = req->Owners.at[i].PrincipalName, own, owner;
        struct str all[] = {token->owner, token->requester};
        for (size_t j = 0; j < COUNT_OF(all) + token->renewer_count && !found; j++) {
            split_principal(j < COUNT_OF(all) ? all[j] : token->renewers[j - COUNT_OF(all)], &own, &owner);
            found = str_eq(own, type) && str_eq(owner, name);
        }
    }
    return found;
}

static void describe(const struct auth_token *token,
                     struct DescribeDelegationTokenResponse_DescribedDelegationToken *row,
                     struct arena *arena)
{
    split_principal(str_dup(token->owner, arena), &row->PrincipalType, &row->PrincipalName);
    split_principal(str_dup(token->requester, arena), &row->TokenRequesterPrincipalType,
                    &row->TokenRequesterPrincipalName);
    row->IssueTimestamp = token->issue_ms;
    row->ExpiryTimestamp = token->expiry_ms;
    row->MaxTimestamp = token->max_ms;
    row->TokenId = str_dup(token->id, arena);
    row->Hmac = str_dup(token->hmac, arena);
    WIRE_ALLOC(arena, row->Renewers, DescribeDelegationTokenResponse_DescribedDelegationTokenRenewer,
               token->renewer_count);
    for (size_t i = 0; i < token->renewer_count; i++)
        split_principal(str_dup(token->renewers[i], arena), &row->Renewers.at[i].PrincipalType,
                        &row->Renewers.at[i].PrincipalName);
}

struct auth_token_view *auth_describe_tokens(const struct auth *auth, const struct auth_call *call)
{
    const struct DescribeDelegationTokenRequest *req = call->req;
    struct DescribeDelegationTokenResponse *res = call->res;
    struct auth_token_view *views = arena_array(call->arena, struct auth_token_view, auth->tokens.len);
    void *value;
    WIRE_ALLOC(call->arena, res->Tokens, DescribeDelegationTokenResponse_DescribedDelegationToken,
               auth->tokens.len);
    res->Tokens.len = 0;
    for (size_t i = 0; map_next(&auth->tokens, &i, NULL, &value);) {
        const struct auth_token *token = value;
        if (!is_asked_for(req, token))
            continue;
        views[res->Tokens.len] = (struct auth_token_view){str_dup(token->owner, call->arena),
                                                          is_owner_or_renewer(token, call->principal)};
        describe(token, &res->Tokens.at[res->Tokens.len++], call->arena);
    }
    return views;
}

/* --- logging in --- */

struct auth_user auth_token_user(const struct auth *auth, struct str id, enum auth_mechanism mechanism,
                                 int64_t now_ms, bool *real, struct token_holder *holder, struct arena *arena)
{
    const struct auth_token *token = map_get(&auth->tokens, id);
    struct str secret = str_of((const char *)auth->secret, sizeof auth->secret);
    struct auth_user user = {.mechanism = mechanism, .iterations = AUTH_ITERATIONS_MIN};
    uint8_t *salt = arena_alloc(arena, AUTH_HASH_BYTES_MAX), made[AUTH_HASH_BYTES_MAX];
    uint8_t salted[AUTH_HASH_BYTES_MAX];
    uint8_t *stored = arena_alloc(arena, AUTH_HASH_BYTES_MAX);
    uint8_t *server = arena_alloc(arena, AUTH_HASH_BYTES_MAX);
    size_t size = scram_hash_bytes(mechanism);
    ASSERT(auth_tokens_are_on(auth));
    *real = token != NULL && !has_ended(token, now_ms);
    if (*real)
        *holder = (struct token_holder){str_dup(token->owner, arena), token->expiry_ms};
    /* The salt is the id's own, the password of a token that does not exist is nobody's: all takes the same steps (G2). */
    scram_hmac(mechanism, secret, id, salt);
    scram_hmac(AUTH_SCRAM_SHA_512, secret, id, made);
    struct buf password = {0};
    buf_append_base64(&password, *real ? token->hmac : str_of((const char *)made, sizeof made));
    user.salt = str_of((const char *)salt, AUTH_SALT_BYTES);
    auth_salt_password(mechanism, buf_str(&password), user.salt, user.iterations, salted);
    scram_keys(mechanism, str_of((const char *)salted, size), stored, server);
    user.stored_key = str_of((const char *)stored, size);
    user.server_key = str_of((const char *)server, size);
    secret_wipe(password.ptr, password.len);
    secret_wipe(salted, sizeof salted);
    buf_fini(&password);
    return user;
}
