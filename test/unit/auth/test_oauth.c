/* test_oauth.c - OAUTHBEARER with keys and tokens made here by OpenSSL: signatures of both kinds, every claim, and the
 * attacks that tokens are known for (alg none, the public key as an HMAC secret, a signature of other text). */
#include "auth_test.h"

#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

enum { NOW_S = 1800000000 };

static struct arena arena;
static EVP_PKEY *rsa, *other_rsa, *ec;
static struct auth *auth;
static struct auth_listener *listener;

static struct str base64url(struct str bytes)
{
    struct buf buf = {0};
    buf_append_base64(&buf, bytes);
    while (buf.len > 0 && buf.ptr[buf.len - 1] == '=')
        buf.len--;
    for (size_t i = 0; i < buf.len; i++)
        buf.ptr[i] = buf.ptr[i] == '+' ? '-' : buf.ptr[i] == '/' ? '_' : buf.ptr[i];
    struct str text = str_dup(buf_str(&buf), &arena);
    buf_fini(&buf);
    return text;
}

static struct str number(EVP_PKEY *key, const char *name, int size)
{
    BIGNUM *value = NULL;
    uint8_t bytes[512];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
    int len = size > 0 ? BN_bn2binpad(value, bytes, size) : BN_bn2bin(value, bytes);
    BN_free(value);
    return base64url(str_of((char *)bytes, (size_t)len));
}

static struct str jwks_text(void)
{
    return str_printf(
        &arena,
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},"
        "{\"kty\":\"RSA\",\"kid\":\"r1\",\"use\":\"sig\",\"n\":\"%.*s\",\"e\":\"%.*s\"},"
        "{\"kty\":\"EC\",\"kid\":\"e1\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"%.*s\",\"y\":\"%.*s\"}]}",
        STR_ARG(number(rsa, OSSL_PKEY_PARAM_RSA_N, 0)), STR_ARG(number(rsa, OSSL_PKEY_PARAM_RSA_E, 0)),
        STR_ARG(number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32)), STR_ARG(number(ec, OSSL_PKEY_PARAM_EC_PUB_Y, 32)));
}

/* Signature as JWS has it. */
static struct str sign(EVP_PKEY *key, struct str text)
{
    uint8_t sig[512];
    size_t len = sizeof sig;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key);
    assert_int_equal(EVP_DigestSign(context, sig, &len, (const uint8_t *)text.ptr, text.len), 1);
    EVP_MD_CTX_free(context);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        const uint8_t *at = sig;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
        uint8_t raw[64];
        BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
        ECDSA_SIG_free(pair);
        return base64url(str_of((char *)raw, 64));
    }
    return base64url(str_of((char *)sig, len));
}

static struct str token_of(EVP_PKEY *key, const char *header, const char *claims)
{
    struct str text = str_printf(&arena, "%.*s.%.*s", STR_ARG(base64url(str_from(header))),
                                 STR_ARG(base64url(str_from(claims))));
    return str_printf(&arena, "%.*s.%.*s", STR_ARG(text), STR_ARG(key != NULL ? sign(key, text) : STR("")));
}

#define RS  "{\"alg\":\"RS256\",\"kid\":\"r1\"}"
#define ES  "{\"alg\":\"ES256\",\"kid\":\"e1\"}"
#define ALL "\"sub\":\"alice\",\"iss\":\"https://issuer\",\"aud\":[\"x\",\"kafka\"],\"scope\":\"read write\""

static struct auth *make_auth(void)
{
    static struct str mechanisms[] = {STR_INIT("OAUTHBEARER")}, audiences[] = {STR_INIT("kafka")};
    static struct str scopes[] = {STR_INIT("write")};
    static const uint8_t secret[32];
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.mechanisms = (struct conf_list){mechanisms, 1};
    config.jwks_url = STR("file:///keys");
    config.audiences = (struct conf_list){audiences, 1};
    config.scopes = (struct conf_list){scopes, 1};
    config.issuer = STR("https://issuer");
    struct auth *made = auth_new(&config, secret, &err);
    if (made == NULL)
        fail_msg("%s", err.text);
    listener = make_listener(made, &config);
    return made;
}

/* The answer to a whole message; a refusal takes the client's ^A too. */
static enum sasl_result say(struct str message, struct str *principal, int64_t *expires_ms)
{
    static const uint8_t nonce[SASL_NONCE_BYTES];
    struct sasl *sasl = sasl_new(listener, AUTH_OAUTHBEARER, nonce);
    struct buf reply = {0};
    struct err err;
    enum sasl_result result = sasl_step(sasl, message, NOW_S * INT64_C(1000), &reply, &err);
    if (result == SASL_CONTINUE) {
        assert_string_equal(reply.ptr, "{\"status\":\"invalid_token\"}");
        result = sasl_step(sasl, STR("\1"), NOW_S * INT64_C(1000), &reply, &err);
        assert_int_equal(result, SASL_FAILED);
    } else if (result == SASL_DONE) {
        assert_int_equal(reply.len, 0);
        *principal = str_dup(sasl_principal(sasl), &arena);
        *expires_ms = sasl_expires_ms(sasl);
    }
    buf_fini(&reply);
    sasl_free(sasl);
    return result;
}

static bool accepts(struct str token)
{
    struct str principal = STR_NULL;
    int64_t expires_ms = 0;
    bool good = say(str_printf(&arena, "n,,\1auth=Bearer %.*s\1\1", STR_ARG(token)), &principal,
                    &expires_ms) == SASL_DONE;
    assert_true(!good || str_eq(principal, STR("User:alice")));
    assert_true(!good || expires_ms == (NOW_S + 60) * INT64_C(1000));
    return good;
}

/* RFC 7515, appendix A.3: a signature that somebody else made. */
static void test_example_of_rfc_7515(void **state)
{
    static const char keys[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
    static const char text[] =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    static const char signature[] =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    struct buf bytes = {0};
    struct err err;
    struct jwks *jwks = jwks_parse(str_from(keys), &err);
    assert_non_null(jwks);
    assert_true(append_base64url_decoded(&bytes, str_from(signature)));
    assert_true(jwks_verify(jwks, STR("ES256"), STR_NULL, str_from(text), buf_str(&bytes), &err));
    bytes.ptr[40] ^= 1;
    assert_false(jwks_verify(jwks, STR("ES256"), STR_NULL, str_from(text), buf_str(&bytes), &err));
    buf_fini(&bytes);
    jwks_free(jwks);
}

static void test_good_tokens(void **state)
{
    char claims[512];
    snprintf(claims, sizeof claims, "{" ALL ",\"exp\":%d,\"nbf\":%d}", NOW_S + 60, NOW_S + 29);
    assert_true(accepts(token_of(rsa, RS, claims)));
    assert_true(accepts(token_of(ec, ES, claims)));
    assert_true(accepts(token_of(rsa, "{\"alg\":\"RS256\"}", claims))); /* without a kid: any key that fits */
    snprintf(
        claims, sizeof claims,
        "{\"sub\":\"alice\",\"iss\":\"https://issuer\",\"aud\":\"kafka\",\"scope\":[\"write\"],\"exp\":%d}",
        NOW_S + 60);
    assert_true(accepts(token_of(ec, ES, claims)));
}

static void test_claims(void **state)
{
    static const char *const bad[] = {
        "{" ALL "}",                        /* no end */
        "{" ALL ",\"exp\":1799999969}",     /* over, beyond the skew of 30 s */
        "{" ALL ",\"exp\":\"1800000060\"}", /* not a number */
        "{" ALL ",\"exp\":1e300}",
        "{" ALL ",\"exp\":1800000060,\"nbf\":1800000031}", /* not yet */
        "{\"sub\":\"alice\",\"iss\":\"https://issuer\",\"scope\":\"write\",\"exp\":1800000060}",
        "{\"sub\":\"alice\",\"iss\":\"https://"
        "issuer\",\"aud\":\"other\",\"scope\":\"write\",\"exp\":1800000060}",
        "{\"sub\":\"alice\",\"iss\":\"https://"
        "issuer2\",\"aud\":\"kafka\",\"scope\":\"write\",\"exp\":1800000060}",
        "{\"sub\":\"alice\",\"aud\":\"kafka\",\"scope\":\"write\",\"exp\":1800000060}",
        "{\"sub\":\"alice\",\"iss\":\"https://"
        "issuer\",\"aud\":\"kafka\",\"scope\":\"writer\",\"exp\":1800000060}",
        "{\"sub\":\"alice\",\"iss\":\"https://issuer\",\"aud\":\"kafka\",\"exp\":1800000060}",
        "{\"sub\":\"\",\"iss\":\"https://issuer\",\"aud\":\"kafka\",\"scope\":\"write\",\"exp\":1800000060}",
        "{\"iss\":\"https://issuer\",\"aud\":\"kafka\",\"scope\":\"write\",\"exp\":1800000060}",
        "[]",
        "no json",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (accepts(token_of(rsa, RS, bad[i])))
            fail_msg("%s", bad[i]);
}

static void test_forgeries(void **state)
{
    static const char claims[] = "{" ALL ",\"exp\":1800000060}";
    struct str good = token_of(rsa, RS, claims);
    assert_true(accepts(good));
    assert_false(accepts(token_of(NULL, "{\"alg\":\"none\"}", claims)));
    assert_false(accepts(token_of(NULL, "{}", claims)));
    assert_false(accepts(token_of(other_rsa, RS, claims)));
    assert_false(accepts(token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", claims)));
    assert_false(accepts(token_of(ec, RS, claims)));
    assert_false(accepts(token_of(rsa, ES, claims)));
    assert_false(accepts(token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"r1\",\"crit\":[\"x\"]}", claims)));
    /* HS256 with the public key's text as the secret. */
    struct str head =
        str_printf(&arena, "%.*s.%.*s", STR_ARG(base64url(STR("{\"alg\":\"HS256\",\"kid\":\"r1\"}"))),
                   STR_ARG(base64url(str_from(claims))));
    struct str secret = jwks_text();
    uint8_t mac[32];
    HMAC(EVP_sha256(), secret.ptr, (int)secret.len, (const uint8_t *)head.ptr, head.len, mac, NULL);
    assert_false(
        accepts(str_printf(&arena, "%.*s.%.*s", STR_ARG(head), STR_ARG(base64url(str_of((char *)mac, 32))))));
    /* Another text under a good signature; one byte of the signature; parts too few and too many. */
    ptrdiff_t dot = str_rfind_char(good, '.');
    struct str root = token_of(rsa, RS, "{\"sub\":\"root\"}");
    root = str_sub(root, 0, (size_t)str_rfind_char(root, '.'));
    assert_false(accepts(
        str_printf(&arena, "%.*s%.*s", STR_ARG(root), STR_ARG(str_sub(good, (size_t)dot, SIZE_MAX)))));
    struct str broken = str_dup(good, &arena);
    ((char *)broken.ptr)[dot + 20] ^= 1;
    assert_false(accepts(broken));
    assert_false(accepts(str_sub(good, 0, (size_t)dot)));
    assert_false(accepts(str_printf(&arena, "%.*s.x", STR_ARG(good))));
}

/* A name that goes on behind a NUL is not the name before it. */
static void test_names_with_nul(void **state)
{
    struct str principal = STR_NULL;
    int64_t expires_ms;
    struct str token = token_of(ec, ES,
                                "{\"sub\":\"root\\u0000x\",\"iss\":\"https://issuer\",\"aud\":\"kafka\","
                                "\"scope\":\"write\",\"exp\":1800000060}");
    struct str message = str_printf(&arena, "n,,\1auth=Bearer %.*s\1\1", STR_ARG(token));
    assert_int_equal(say(message, &principal, &expires_ms), SASL_DONE);
    assert_true(str_eq(principal, STR("User:root\0x")));
}

static void test_messages(void **state)
{
    static const char claims[] = "{" ALL ",\"exp\":1800000060}";
    struct str good = token_of(ec, ES, claims), principal;
    int64_t expires_ms;
    static const struct {
        const char *before, *after;
        bool good;
    } cases[] = {
        {"n,,\1auth=Bearer ", "\1\1", true},
        {"n,,\1auth=bearer ", "\1\1", true},
        {"n,a=alice,\1auth=Bearer ", "\1\1", true},
        {"n,a=bob,\1auth=Bearer ", "\1\1", false},
        {"n,,\1traceId=1\1auth=Bearer ", "\1\1", true},
        {"n,,\1auth=Bearer ", "\1", false},
        {"n,,\1auth=Basic ", "\1\1", false},
        {"n,,auth=Bearer ", "\1\1", false},
        {"n,,\1", "\1\1", false},
        {"p,,\1auth=Bearer ", "\1\1", false},
        {"", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str message = str_printf(&arena, "%s%.*s%s", cases[i].before, STR_ARG(good), cases[i].after);
        if ((say(message, &principal, &expires_ms) == SASL_DONE) != cases[i].good)
            fail_msg("case %zu", i);
    }
}

static void test_key_files(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}"};
    struct err err;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(auth_set_jwks(listener, str_from(bad[i]), &err));
    test_good_tokens(state); /* the old keys are still there */
}

static int setup(void **state)
{
    struct err err;
    log_level_set(LOG_OFF);
    rsa = EVP_RSA_gen(2048);
    other_rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    auth = make_auth();
    if (!auth_set_jwks(listener, jwks_text(), &err))
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(ec);
    auth_listener_free(listener);
    auth_free(auth);
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_rfc_7515),
        cmocka_unit_test(test_good_tokens),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_forgeries),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_names_with_nul),
        cmocka_unit_test(test_key_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
