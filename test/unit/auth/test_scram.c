/* test_scram.c - SCRAM against the example of RFC 7677 and against a client written here from RFC 5802's text (OpenSSL's
 * functions only); PLAIN; users as records; what is refused, and that refusals look alike. */
#include "auth_test.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

static struct arena arena;
static struct auth *auth;
static struct auth_listener *listener;

static struct auth *make_auth(const char *mechanisms)
{
    static const uint8_t secret[32] = {1, 2, 3};
    struct auth_config config;
    struct err err;
    struct str list[4], rest = str_from(mechanisms);
    auth_config_init(&config);
    config.mechanisms = (struct conf_list){list, 0};
    while (str_split(&rest, ',', &list[config.mechanisms.len]))
        config.mechanisms.len++;
    struct auth *made = auth_new(&config, secret, &err);
    if (made == NULL)
        fail_msg("%s", err.text);
    listener = make_listener(made, &config);
    return made;
}

static int16_t put_user(struct auth *to, const char *name, int mechanism, const char *password,
                        struct str salt, int32_t iterations)
{
    uint8_t salted[AUTH_HASH_BYTES_MAX];
    struct AlterUserScramCredentialsRequest_ScramCredentialUpsertion one = {.Name = str_from(name),
                                                                            .Mechanism = (int8_t)mechanism,
                                                                            .Iterations = iterations,
                                                                            .Salt = salt};
    one.SaltedPassword =
        str_of((char *)salted, auth_salt_password((enum auth_mechanism)mechanism, str_from(password), salt,
                                                  iterations, salted));
    struct AlterUserScramCredentialsRequest req = {.Upsertions = {&one, 1}};
    struct AlterUserScramCredentialsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .now_ms = 1, .arena = &arena};
    struct replay_records records = {0};
    struct err err;
    assert_true(auth_decide_alter_users(to, &call, &records, &err));
    assert_int_equal(res.Results.len, 1);
    assert_int_equal(apply_all(to, &records), res.Results.at[0].ErrorCode == 0 ? 1 : 0);
    return res.Results.at[0].ErrorCode;
}

static struct str base64(const void *bytes, size_t size)
{
    struct buf buf = {0};
    buf_append_base64(&buf, str_of(bytes, size));
    struct str text = str_dup(buf_str(&buf), &arena);
    buf_fini(&buf);
    return text;
}

static struct str unbase64(const char *text)
{
    struct buf buf = {0};
    assert_true(buf_append_base64_decoded(&buf, str_from(text)));
    struct str bytes = str_dup(buf_str(&buf), &arena);
    buf_fini(&buf);
    return bytes;
}

/* ---- RFC 7677, section 3 ---- */

static void test_example_of_rfc_7677(void **state)
{
    static const char message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%"
                                  "hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
                                  "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    uint8_t salted[64], stored[64], server[64], signature[64], key[64];
    size_t n = auth_salt_password(AUTH_SCRAM_SHA_256, STR("pencil"), unbase64("W22ZaJ0SNY7soEsUEjb6gQ=="),
                                  4096, salted);
    assert_int_equal(n, 32);
    scram_keys(AUTH_SCRAM_SHA_256, str_of((char *)salted, n), stored, server);
    scram_hmac(AUTH_SCRAM_SHA_256, str_of((char *)server, n), str_from(message), signature);
    assert_true(str_eq_cstr(base64(signature, n), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    /* The example's proof gives the stored key. */
    struct str proof = unbase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    scram_hmac(AUTH_SCRAM_SHA_256, str_of((char *)stored, n), str_from(message), key);
    for (size_t i = 0; i < n; i++)
        key[i] ^= (uint8_t)proof.ptr[i];
    scram_hash(AUTH_SCRAM_SHA_256, str_of((char *)key, n), signature);
    assert_memory_equal(signature, stored, n);
}

/* ---- a client from the text of RFC 5802 ---- */

struct client {
    const EVP_MD *md;
    const char *name, *password, *first; /* first: client-first-message-bare, made of the name unless given */
    const char *nonce;                   /* of the last message: "%s" is what the server said */
};

static struct str attribute(struct str message, char letter)
{
    struct str part;
    while (str_split(&message, ',', &part))
        if (part.len > 2 && part.ptr[0] == letter)
            return str_sub(part, 2, SIZE_MAX);
    fail_msg("no %c", letter);
    return STR_NULL;
}

static struct str prove(const struct client *client, struct str bare, struct str server_first,
                        struct str without_proof)
{
    uint8_t salted[64], key[64], stored[64], sig[64];
    unsigned n = (unsigned)EVP_MD_get_size(client->md);
    struct str salt = unbase64(str_cstr(attribute(server_first, 's'), &arena));
    int64_t iterations;
    assert_true(str_to_i64(attribute(server_first, 'i'), &iterations) && iterations >= 4096);
    PKCS5_PBKDF2_HMAC(client->password, -1, (const uint8_t *)salt.ptr, (int)salt.len, (int)iterations,
                      client->md, (int)n, salted);
    HMAC(client->md, salted, (int)n, (const uint8_t *)"Client Key", 10, key, &n);
    EVP_Digest(key, n, stored, NULL, client->md, NULL);
    struct str message =
        str_printf(&arena, "%.*s,%.*s,%.*s", STR_ARG(bare), STR_ARG(server_first), STR_ARG(without_proof));
    HMAC(client->md, stored, (int)n, (const uint8_t *)message.ptr, message.len, sig, &n);
    for (unsigned i = 0; i < n; i++)
        key[i] ^= sig[i];
    return str_printf(&arena, "%.*s,p=%.*s", STR_ARG(without_proof), STR_ARG(base64(key, n)));
}

/* The whole exchange; *err is the server's refusal. */
static enum sasl_result talk(const struct client *client, enum auth_mechanism mechanism, const char *gs2,
                             struct str *principal, struct err *err)
{
    static const uint8_t nonce[SASL_NONCE_BYTES] = "nonce of 18 bytes";
    struct sasl *sasl = sasl_new(listener, mechanism, nonce);
    struct buf reply = {0};
    struct str bare = client->first != NULL
                          ? str_from(client->first)
                          : str_printf(&arena, "n=%s,r=fyko+d2lbbFgONRv9qkxdawL", client->name);
    struct str first = str_printf(&arena, "%s%.*s", gs2, STR_ARG(bare));
    enum sasl_result result = sasl_step(sasl, first, 0, &reply, err);
    if (result == SASL_CONTINUE) {
        struct str server_first = str_dup(buf_str(&reply), &arena);
        struct str r = attribute(server_first, 'r');
        assert_true(str_starts_with(r, STR("fyko+d2lbbFgONRv9qkxdawL")) && r.len >= 24 + 24);
        const char *form = client->nonce != NULL ? client->nonce : "%s";
        char said[256];
        char *whole = str_cstr(r, &arena);
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(said, sizeof said, form, whole);
        struct str last = str_printf(&arena, "c=%.*s,r=%s", STR_ARG(base64(gs2, strlen(gs2))), said);
        buf_clear(&reply);
        result = sasl_step(sasl, prove(client, bare, server_first, last), 0, &reply, err);
    }
    assert_true(result != SASL_CONTINUE);
    if (result == SASL_DONE) {
        assert_true(str_starts_with(buf_str(&reply), STR("v=")));
        *principal = str_dup(sasl_principal(sasl), &arena);
        assert_int_equal(sasl_expires_ms(sasl), -1);
    }
    buf_fini(&reply);
    sasl_free(sasl);
    return result;
}

static void test_exchange(void **state)
{
    struct str principal;
    struct err err;
    auth = make_auth("SCRAM-SHA-256,SCRAM-SHA-512");
    assert_int_equal(put_user(auth, "alice", 1, "secret", STR("0123456789abcdef"), 4096), 0);
    assert_int_equal(put_user(auth, "alice", 2, "other", STR("salt"), 8192), 0);
    assert_int_equal(put_user(auth, "a,b=c", 1, "secret", STR("xyz"), 4096), 0);
    struct client alice = {EVP_sha256(), "alice", "secret"}, alice512 = {EVP_sha512(), "alice", "other"};
    struct client odd = {EVP_sha256(), "a=2Cb=3Dc", "secret"}, wrong = {EVP_sha256(), "alice", "Secret"};
    struct client nobody = {EVP_sha256(), "nobody", "secret"}, bob512 = {EVP_sha512(), "a=2Cb=3Dc", "secret"};
    assert_int_equal(talk(&alice, AUTH_SCRAM_SHA_256, "n,,", &principal, &err), SASL_DONE);
    assert_true(str_eq(principal, STR("User:alice")));
    assert_int_equal(talk(&alice, AUTH_SCRAM_SHA_256, "y,a=alice,", &principal, &err), SASL_DONE);
    assert_int_equal(talk(&alice512, AUTH_SCRAM_SHA_512, "n,,", &principal, &err), SASL_DONE);
    assert_int_equal(talk(&odd, AUTH_SCRAM_SHA_256, "n,,", &principal, &err), SASL_DONE);
    assert_true(str_eq(principal, STR("User:a,b=c")));
    struct err unknown;
    assert_int_equal(talk(&wrong, AUTH_SCRAM_SHA_256, "n,,", &principal, &err), SASL_FAILED);
    assert_int_equal(talk(&nobody, AUTH_SCRAM_SHA_256, "n,,", &principal, &unknown), SASL_FAILED);
    assert_string_equal(err.text, unknown.text);
    assert_int_equal(talk(&bob512, AUTH_SCRAM_SHA_512, "n,,", &principal, &err), SASL_FAILED);
    assert_int_equal(talk(&alice, AUTH_SCRAM_SHA_256, "n,a=bob,", &principal, &err), SASL_FAILED);
    assert_int_equal(talk(&alice, AUTH_SCRAM_SHA_256, "p=tls-unique,,", &principal, &err), SASL_FAILED);
    static const char *const bad[] = {"",
                                      "n=alice",
                                      "r=abc,n=alice",
                                      "n=,r=abc",
                                      "n=al=ice,r=abc",
                                      "n=alice,r=",
                                      "n=alice,r=a\x01"
                                      "c",
                                      "m=x,n=alice,r=abc",
                                      "n=alice,r=abc,",
                                      "n=alice,r=abc,words",
                                      "n=alice,r=abc,x=",
                                      "n=al\xffice,r=abc"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct client client = {EVP_sha256(), "alice", "secret", bad[i]};
        assert_int_equal(talk(&client, AUTH_SCRAM_SHA_256, "n,,", &principal, &err), SASL_FAILED);
    }
    auth_listener_free(listener);
    auth_free(auth);
}

/* Asking twice for a user that does not exist gives the same salt, another name another one: as if they existed. */
static void test_unknown_users_look_real(void **state)
{
    static const char *const names[] = {"ghost", "ghost", "spirit"};
    struct str salts[3];
    struct err err;
    auth = make_auth("SCRAM-SHA-256");
    for (size_t i = 0; i < 3; i++) {
        uint8_t nonce[SASL_NONCE_BYTES] = {(uint8_t)i};
        struct sasl *sasl = sasl_new(listener, AUTH_SCRAM_SHA_256, nonce);
        struct buf reply = {0};
        struct str first = str_printf(&arena, "n,,n=%s,r=abc", names[i]);
        assert_int_equal(sasl_step(sasl, first, 0, &reply, &err), SASL_CONTINUE);
        salts[i] = str_dup(attribute(buf_str(&reply), 's'), &arena);
        assert_true(str_eq(attribute(buf_str(&reply), 'i'), STR("4096")));
        buf_fini(&reply);
        sasl_free(sasl);
    }
    assert_int_equal(unbase64(salts[0].ptr).len, AUTH_SALT_BYTES);
    assert_true(str_eq(salts[0], salts[1]));
    assert_false(str_eq(salts[0], salts[2]));
    auth_listener_free(listener);
    auth_free(auth);
}

static void test_plain(void **state)
{
    static const struct {
        struct str token;
        const char *why; /* as an Apache Kafka 4.3 says it; NULL: let in */
    } cases[] = {
        {STR_INIT("\0alice\0secret"), NULL},
        {STR_INIT("alice\0alice\0secret"), NULL},
        {STR_INIT("\0bob\0hunter2"), NULL},
        {STR_INIT("\0alice\0Secret"), "Authentication failed: Invalid username or password"},
        {STR_INIT("bob\0alice\0Secret"), "Authentication failed: Invalid username or password"},
        {STR_INIT("bob\0alice\0secret"),
         "Authentication failed: Client requested an authorization id that is "
         "different from username"},
        {STR_INIT("\0nobody\0secret"), "Authentication failed: Invalid username or password"},
        {STR_INIT("\0alice\0"), "Authentication failed: password not specified"},
        {STR_INIT("\0\0secret"), "Authentication failed: username not specified"},
        {STR_INIT("alice\0secret"), "Invalid SASL/PLAIN response: expected 3 tokens, got 2"},
        {STR_INIT("\0alice\0secret\0"), "Invalid SASL/PLAIN response: expected 3 tokens, got 4"},
        {STR_INIT("\0\0\0\0\0"), "Invalid SASL/PLAIN response: expected 3 tokens, got 4"},
        {STR_INIT(""), "Invalid SASL/PLAIN response: expected 3 tokens, got 1"},
    };
    auth = make_auth("PLAIN");
    put_user(auth, "alice", 1, "secret", STR("salt"), 4096);
    put_user(auth, "bob", 2, "hunter2", STR("salt"), 5000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t nonce[SASL_NONCE_BYTES] = {0};
        struct sasl *sasl = sasl_new(listener, AUTH_PLAIN, nonce);
        struct buf reply = {0};
        struct err err;
        enum sasl_result result = sasl_step(sasl, cases[i].token, 0, &reply, &err);
        assert_int_equal(result, cases[i].why == NULL ? SASL_DONE : SASL_FAILED);
        assert_int_equal(reply.len, 0);
        if (cases[i].why != NULL)
            assert_string_equal(err.text, cases[i].why);
        buf_fini(&reply);
        sasl_free(sasl);
    }
    auth_listener_free(listener);
    auth_free(auth);
}

/* ---- users ---- */

static void test_users_that_are_refused(void **state)
{
    auth = make_auth("PLAIN");
    assert_int_equal(put_user(auth, "a", 1, "x", STR("salt"), 4095), 93);
    assert_int_equal(put_user(auth, "a", 1, "x", STR("salt"), 16385), 93);
    assert_int_equal(put_user(auth, "", 1, "x", STR("salt"), 4096), 93);
    assert_int_equal(put_user(auth, "a", 1, "x", STR(""), 4096), 93);
    assert_int_equal(put_user(auth, "a", 1, "x", STR("salt"), 16384), 0);
    struct AlterUserScramCredentialsRequest_ScramCredentialDeletion gone[] = {
        {STR_INIT("b"), 1}, {STR_INIT("a"), 3}, {STR_INIT("c"), 1}, {STR_INIT("c"), 1}, {STR_INIT("d"), 2}};
    struct AlterUserScramCredentialsRequest req = {.Deletions = {gone, 5}};
    struct AlterUserScramCredentialsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    struct replay_records records = {0};
    struct err err;
    assert_true(auth_decide_alter_users(auth, &call, &records, &err));
    assert_int_equal(apply_all(auth, &records), 0);
    assert_int_equal(res.Results.len, 4);
    assert_int_equal(res.Results.at[0].ErrorCode, 91);
    assert_int_equal(res.Results.at[1].ErrorCode, 33);
    assert_int_equal(res.Results.at[3].ErrorCode, 91);
    auth_listener_free(listener);
    auth_free(auth);
}

/* Twice in one request: refused, also when it would be a change and a deletion. */
static void test_duplicates(void **state)
{
    uint8_t salted[32] = {0};
    auth = make_auth("PLAIN");
    put_user(auth, "a", 1, "x", STR("salt"), 4096);
    struct AlterUserScramCredentialsRequest_ScramCredentialDeletion gone = {STR_INIT("a"), 1};
    struct AlterUserScramCredentialsRequest_ScramCredentialUpsertion put = {
        STR_INIT("a"), 1, 4096, STR_INIT("salt"), {(char *)salted, 32}};
    struct AlterUserScramCredentialsRequest req = {.Deletions = {&gone, 1}, .Upsertions = {&put, 1}};
    struct AlterUserScramCredentialsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    struct replay_records records = {0};
    struct err err;
    assert_true(auth_decide_alter_users(auth, &call, &records, &err));
    assert_int_equal(apply_all(auth, &records), 0);
    assert_int_equal(res.Results.len, 1);
    assert_int_equal(res.Results.at[0].ErrorCode, 92);
    auth_listener_free(listener);
    auth_free(auth);
}

/* The state comes back from its records, and nothing in them is the password. */
static void test_snapshot(void **state)
{
    struct replay_records records = {0};
    struct str principal;
    struct err err;
    auth = make_auth("SCRAM-SHA-256");
    put_user(auth, "alice", 1, "a long secret", STR("salt"), 4096);
    put_user(auth, "bob", 1, "x", STR("salt"), 4096);
    auth_snapshot(auth, &records);
    assert_int_equal(records.list.len, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(str_find(records.list.at[i].value, STR("secret")) < 0);
    auth_listener_free(listener);
    auth_free(auth);
    auth = make_auth("SCRAM-SHA-256");
    apply_all(auth, &records);
    struct client alice = {EVP_sha256(), "alice", "a long secret"};
    assert_int_equal(talk(&alice, AUTH_SCRAM_SHA_256, "n,,", &principal, &err), SASL_DONE);
    struct DescribeUserScramCredentialsRequest req = {.Users = {NULL, -1}};
    struct DescribeUserScramCredentialsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    auth_describe_users(auth, &call);
    assert_int_equal(res.Results.len, 2);
    assert_true(str_eq(res.Results.at[0].User, STR("alice")));
    assert_int_equal(res.Results.at[0].CredentialInfos.len, 1);
    assert_int_equal(res.Results.at[0].CredentialInfos.at[0].Iterations, 4096);
    auth_listener_free(listener);
    auth_free(auth);
}

static void test_users_at_the_start(void **state)
{
    struct auth_new_user user;
    struct err err;
    bool found;
    struct str rest = STR(" SCRAM-SHA-256=[name=alice,password=secret] ; "
                          "SCRAM-SHA-512=[name=\"b,c\",password=\"x]y;z\",iterations=8192]");
    assert_true(auth_next_user(&rest, &user, &found, &err) && found);
    assert_true(str_eq(user.name, STR("alice")) && str_eq(user.password, STR("secret")));
    assert_int_equal(user.mechanism, AUTH_SCRAM_SHA_256);
    assert_int_equal(user.iterations, 4096);
    assert_true(auth_next_user(&rest, &user, &found, &err) && found);
    assert_true(str_eq(user.name, STR("b,c")) && str_eq(user.password, STR("x]y;z")));
    assert_int_equal(user.iterations, 8192);
    assert_true(auth_next_user(&rest, &user, &found, &err) && !found);
    static const char *const bad[] = {"alice",
                                      "PLAIN=[name=a,password=secret]",
                                      "SCRAM-SHA-256=[name=a,password=secret",
                                      "SCRAM-SHA-256=[name=a]",
                                      "SCRAM-SHA-256=[password=secret]",
                                      "SCRAM-SHA-256=[name=a,password=secret,iterations=1]",
                                      "SCRAM-SHA-256=[name=a,password=secret]x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        rest = str_from(bad[i]);
        assert_false(auth_next_user(&rest, &user, &found, &err));
        assert_null(strstr(err.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_rfc_7677),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_unknown_users_look_real),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_users_that_are_refused),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_users_at_the_start),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
