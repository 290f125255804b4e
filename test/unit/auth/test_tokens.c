/* test_tokens.c - delegation tokens: what decisions make of the state, times by hand, logging in, a state made again from its
 * records, and what happens to tokens under another secret key or none. */
#include "auth_test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { NONE = 0, NOT_FOUND = 62, OWNER_MISMATCH = 63, EXPIRED = 66, INVALID_PRINCIPAL_TYPE = 67 };
enum { LIFE_MS = 1000, EXPIRY_MS = 300 };

typedef bool decide(void *auth, void *call, struct replay_records *out, struct err *err);

static struct arena arena;

static struct auth *make_auth(const char *secret_key)
{
    static const uint8_t secret[32] = {1, 2, 3};
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.token_secret = str_from(secret_key);
    config.token_life_ms_max = LIFE_MS;
    config.token_expiry_ms = EXPIRY_MS;
    struct auth *made = auth_new(&config, secret, &err);
    assert_non_null(made);
    return made;
}

/* The number of records that the decision made. */
static size_t decide_and_apply(struct auth *auth, decide *fn, struct auth_call *call)
{
    struct replay_records records = {0};
    struct err err;
    call->arena = &arena;
    assert_true(fn(auth, call, &records, &err));
    return apply_all(auth, &records);
}

static struct CreateDelegationTokenResponse create(struct auth *auth, const char *id, const char *by,
                                                   const char *renewer, int64_t life_ms, int64_t now_ms)
{
    struct CreateDelegationTokenRequest_CreatableRenewers one = {STR("User"), str_from(renewer)};
    struct CreateDelegationTokenRequest req = {.Renewers = {&one, 1}, .MaxLifetimeMs = life_ms};
    struct CreateDelegationTokenResponse res = {0};
    struct auth_call call = {&req, &res, now_ms, .principal = str_from(by), .fresh_id = str_from(id)};
    assert_int_equal(decide_and_apply(auth, auth_decide_create_token, &call), 1);
    assert_int_equal(res.ErrorCode, NONE);
    return res;
}

/* The new expiry, or minus the error code. */
static int64_t renew(struct auth *auth, struct str hmac, const char *by, int64_t period_ms, int64_t now_ms)
{
    struct RenewDelegationTokenRequest req = {hmac, period_ms};
    struct RenewDelegationTokenResponse res = {0};
    struct auth_call call = {&req, &res, now_ms, .principal = str_from(by)};
    size_t records = decide_and_apply(auth, auth_decide_renew_token, &call);
    assert_int_equal(records, res.ErrorCode == 0);
    return res.ErrorCode != 0 ? -res.ErrorCode : res.ExpiryTimestampMs;
}

static int64_t expire(struct auth *auth, struct str hmac, const char *by, int64_t period_ms, int64_t now_ms)
{
    struct ExpireDelegationTokenRequest req = {hmac, period_ms};
    struct ExpireDelegationTokenResponse res = {0};
    struct auth_call call = {&req, &res, now_ms, .principal = str_from(by)};
    size_t records = decide_and_apply(auth, auth_decide_expire_token, &call);
    assert_int_equal(records, res.ErrorCode == 0);
    return res.ErrorCode != 0 ? -res.ErrorCode : res.ExpiryTimestampMs;
}

static int32_t seen(const struct auth *auth, const char *owner, const char *by, bool *own)
{
    struct DescribeDelegationTokenRequest_DescribeDelegationTokenOwner one = {STR("User"), str_from(owner)};
    struct DescribeDelegationTokenRequest req = {.Owners = {&one, owner != NULL ? 1 : -1}};
    struct DescribeDelegationTokenResponse res = {0};
    struct auth_call call = {&req, &res, .arena = &arena, .principal = str_from(by)};
    const struct auth_token_view *views = auth_describe_tokens(auth, &call);
    *own = res.Tokens.len != 0 && views[0].is_own;
    return res.Tokens.len;
}

/* ---- times ---- */

static void test_life(void **state)
{
    struct auth *auth = make_auth("key");
    struct CreateDelegationTokenResponse made = create(auth, "one", "User:alice", "bob", -1, 5000);
    assert_int_equal(made.IssueTimestampMs, 5000);
    assert_int_equal(made.ExpiryTimestampMs, 5000 + EXPIRY_MS);
    assert_int_equal(made.MaxTimestampMs, 5000 + LIFE_MS);
    assert_int_equal(create(auth, "two", "User:alice", "bob", 100, 5000).ExpiryTimestampMs, 5100);
    assert_int_equal(create(auth, "three", "User:alice", "bob", INT64_MAX, 5000).MaxTimestampMs,
                     5000 + LIFE_MS);
    assert_int_equal(renew(auth, made.Hmac, "User:alice", -1, 5100), 5100 + EXPIRY_MS);
    assert_int_equal(renew(auth, made.Hmac, "User:bob", 50, 5200), 5250);
    assert_int_equal(renew(auth, made.Hmac, "User:bob", INT64_MAX, 5250), 5250 + EXPIRY_MS);
    assert_int_equal(renew(auth, made.Hmac, "User:carol", -1, 5300), -OWNER_MISMATCH);
    assert_int_equal(renew(auth, STR("no hmac"), "User:alice", -1, 5300), -NOT_FOUND);
    assert_int_equal(expire(auth, made.Hmac, "User:bob", 700, 5300), 6000); /* never past its end */
    assert_int_equal(expire(auth, made.Hmac, "User:bob", INT64_MAX, 5300), 6000);
    assert_int_equal(renew(auth, made.Hmac, "User:bob", -1, 5900), 6000);
    assert_int_equal(renew(auth, made.Hmac, "User:bob", -1, 6001), -EXPIRED); /* at 6000 it still counts */
    assert_int_equal(expire(auth, made.Hmac, "User:bob", -1, 6001), -EXPIRED);
    auth_free(auth);
}

static void test_end_and_sweep(void **state)
{
    struct auth *auth = make_auth("key");
    bool own;
    struct CreateDelegationTokenResponse first = create(auth, "one", "User:alice", "bob", -1, 0);
    create(auth, "two", "User:alice", "bob", 100, 0);
    create(auth, "three", "User:carol", "bob", -1, 0);
    assert_int_equal(seen(auth, NULL, "User:bob", &own), 3);
    assert_true(own);
    assert_int_equal(seen(auth, "alice", "User:dora", &own), 2);
    assert_false(own);
    assert_int_equal(seen(auth, "bob", "User:bob", &own),
                     3); /* a renewer counts as one of the owners asked for */
    assert_int_equal(seen(auth, "dora", "User:bob", &own), 0);
    assert_int_equal(expire(auth, first.Hmac, "User:alice", -1, 50), 50);
    assert_int_equal(renew(auth, first.Hmac, "User:alice", -1, 50), -NOT_FOUND);
    struct auth_call sweep = {.now_ms = 100};
    assert_int_equal(decide_and_apply(auth, auth_decide_sweep_tokens, &sweep),
                     0); /* the last ms is its own */
    sweep.now_ms = 101;
    assert_int_equal(decide_and_apply(auth, auth_decide_sweep_tokens, &sweep), 1);
    assert_int_equal(seen(auth, NULL, "User:bob", &own), 1);
    sweep.now_ms = EXPIRY_MS + 1;
    assert_int_equal(decide_and_apply(auth, auth_decide_sweep_tokens, &sweep), 1);
    assert_int_equal(seen(auth, NULL, "User:bob", &own), 0);
    auth_free(auth);
}

static void test_principals(void **state)
{
    struct auth *auth = make_auth("key");
    struct CreateDelegationTokenRequest_CreatableRenewers group = {STR("Group"), STR("x")};
    struct CreateDelegationTokenRequest req = {.Renewers = {&group, 1}, .MaxLifetimeMs = -1};
    struct CreateDelegationTokenResponse res = {0};
    struct auth_call call = {&req, &res, 1, .principal = STR("User:root"), .fresh_id = STR("id")};
    assert_int_equal(decide_and_apply(auth, auth_decide_create_token, &call), 0);
    assert_int_equal(res.ErrorCode, INVALID_PRINCIPAL_TYPE);
    req = (struct CreateDelegationTokenRequest){.OwnerPrincipalType = STR("User"),
                                                .OwnerPrincipalName = STR("a:b"),
                                                .MaxLifetimeMs = -1};
    res = (struct CreateDelegationTokenResponse){0};
    assert_int_equal(decide_and_apply(auth, auth_decide_create_token, &call), 1);
    assert_true(str_eq_cstr(res.PrincipalType, "User") && str_eq_cstr(res.PrincipalName, "a:b"));
    assert_true(str_eq_cstr(res.TokenRequesterPrincipalName, "root"));
    assert_int_equal(renew(auth, res.Hmac, "User:a", -1, 2), -OWNER_MISMATCH);
    assert_int_equal(renew(auth, res.Hmac, "User:root", -1, 2), 2 + EXPIRY_MS); /* who asked for it may */
    assert_int_equal(renew(auth, res.Hmac, "User:a:b", -1, 2), 2 + EXPIRY_MS);
    req.OwnerPrincipalType = STR_NULL; /* a name alone is nobody */
    assert_int_equal(decide_and_apply(auth, auth_decide_create_token, &call), 0);
    assert_int_equal(res.ErrorCode, 42);
    auth_free(auth);
}

/* ---- logging in ---- */

static struct str attribute(struct str message, char letter)
{
    struct str part;
    while (str_split(&message, ',', &part))
        if (part.len > 2 && part.ptr[0] == letter)
            return str_sub(part, 2, SIZE_MAX);
    return STR_NULL;
}

static struct str base64(struct str bytes)
{
    struct buf buf = {0};
    buf_append_base64(&buf, bytes);
    struct str text = str_dup(buf_str(&buf), &arena);
    buf_fini(&buf);
    return text;
}

/* The client's side from the text of RFC 5802: what it says last. */
static struct str final_message(struct str bare, struct str server, struct str password)
{
    uint8_t salted[32], key[32], stored[32], sig[32];
    struct buf salt = {0};
    assert_true(buf_append_base64_decoded(&salt, attribute(server, 's')));
    PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, (const uint8_t *)salt.ptr, (int)salt.len, 4096,
                      EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Client Key", 10, key, NULL);
    EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL);
    struct str without = str_printf(&arena, "c=biws,r=%.*s", STR_ARG(attribute(server, 'r')));
    struct str all = str_printf(&arena, "%.*s,%.*s,%.*s", STR_ARG(bare), STR_ARG(server), STR_ARG(without));
    HMAC(EVP_sha256(), stored, 32, (const uint8_t *)all.ptr, all.len, sig, NULL);
    for (int i = 0; i < 32; i++)
        key[i] ^= sig[i];
    buf_fini(&salt);
    return str_printf(&arena, "%.*s,p=%.*s", STR_ARG(without), STR_ARG(base64(str_of((char *)key, 32))));
}

struct entry {
    bool let_in, by_token;
    struct str principal;
    int64_t expires_ms;
};

static struct entry log_in(const struct auth *auth, const char *name, struct str password,
                           const char *extensions, int64_t now_ms)
{
    static const uint8_t nonce[SASL_NONCE_BYTES] = {7};
    struct auth_listener *listener = make_listener(auth, auth_config_of(auth));
    struct sasl *sasl = sasl_new(listener, AUTH_SCRAM_SHA_256, nonce);
    struct buf reply = {0};
    struct entry entry = {0};
    struct err err;
    struct str bare = str_printf(&arena, "n=%s,r=abc%s", name, extensions);
    assert_int_equal(sasl_step(sasl, str_printf(&arena, "n,,%.*s", STR_ARG(bare)), now_ms, &reply, &err),
                     SASL_CONTINUE); /* whether there is such a token is not told */
    struct str last = final_message(bare, str_dup(buf_str(&reply), &arena), password);
    buf_clear(&reply);
    entry.let_in = sasl_step(sasl, last, now_ms, &reply, &err) == SASL_DONE;
    if (entry.let_in)
        entry = (struct entry){true, sasl_is_by_token(sasl), str_dup(sasl_principal(sasl), &arena),
                               sasl_expires_ms(sasl)};
    sasl_free(sasl);
    auth_listener_free(listener);
    buf_fini(&reply);
    return entry;
}

static void test_log_in(void **state)
{
    struct auth *auth = make_auth("key");
    struct CreateDelegationTokenResponse made = create(auth, "one", "User:alice", "bob", -1, 0);
    struct str password = base64(made.Hmac);
    struct entry entry = log_in(auth, "one", password, ",tokenauth=true", 10);
    assert_true(entry.let_in && entry.by_token);
    assert_true(str_eq_cstr(entry.principal, "User:alice"));
    assert_int_equal(entry.expires_ms, EXPIRY_MS);
    assert_true(log_in(auth, "one", password, ",x=y,tokenauth=TRUE", 10).let_in);
    assert_false(log_in(auth, "one", password, "", 10).let_in); /* there is no user of this name */
    assert_false(log_in(auth, "one", password, ",tokenauth=false", 10).let_in);
    assert_false(log_in(auth, "one", STR("guess"), ",tokenauth=true", 10).let_in);
    assert_false(log_in(auth, "two", password, ",tokenauth=true", 10).let_in);
    assert_true(log_in(auth, "one", password, ",tokenauth=true", EXPIRY_MS).let_in);
    assert_false(log_in(auth, "one", password, ",tokenauth=true", EXPIRY_MS + 1).let_in);
    auth_free(auth);
}

/* ---- the state again ---- */

static void test_records(void **state)
{
    uint8_t hmac[64];
    unsigned n = sizeof hmac;
    struct auth *auth = make_auth("key"), *again = make_auth("key"), *other = make_auth("other");
    struct auth *off = make_auth("");
    struct auth *all[] = {again, other, off};
    struct CreateDelegationTokenResponse made = create(auth, "one", "User:alice", "bob", -1, 0);
    HMAC(EVP_sha512(), "key", 3, (const uint8_t *)"one", 3, hmac, &n);
    assert_int_equal(made.Hmac.len, n);
    assert_memory_equal(made.Hmac.ptr, hmac, n);
    renew(auth, made.Hmac, "User:bob", 250, 100);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct replay_records records = {0};
        auth_snapshot(auth, &records);
        for (size_t r = 0; r < records.list.len; r++) /* T1 */
            assert_int_equal(str_find(records.list.at[r].value, made.Hmac), -1);
        assert_int_equal(apply_all(all[i], &records), 1);
    }
    struct str password = base64(made.Hmac);
    assert_int_equal(log_in(again, "one", password, ",tokenauth=true", 200).expires_ms, 350);
    assert_false(log_in(other, "one", password, ",tokenauth=true", 200).let_in);
    assert_int_equal(renew(other, made.Hmac, "User:bob", -1, 200), -NOT_FOUND);
    n = sizeof hmac; /* T3: without a key the secret of a token could be reckoned by anybody */
    HMAC(EVP_sha512(), "", 0, (const uint8_t *)"one", 3, hmac, &n);
    assert_false(auth_tokens_are_on(off));
    assert_false(log_in(off, "one", base64(str_of((char *)hmac, n)), ",tokenauth=true", 200).let_in);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        auth_free(all[i]);
    auth_free(auth);
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),       cmocka_unit_test(test_end_and_sweep),
        cmocka_unit_test(test_principals), cmocka_unit_test(test_log_in),
        cmocka_unit_test(test_records),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
