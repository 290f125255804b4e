/* jwks.c - public keys of tokens (RFC 7517) and signatures made by their private halves (RFC 7515, 7518).
 *
 *   {"keys": [{"kty": "RSA", "kid": "1", "n": "...", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "...", "y": "..."}]}
 *
 * Only asymmetric algorithms are known: a token cannot choose "none", nor make a public key serve as an HMAC secret.
 * Keys of other kinds and for encryption are left out; a file without any usable key is refused.
 */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "auth/auth_int.h"
#include "json/json.h"

enum { KEYS_MAX = 100, RSA_BITS_MIN = 2048, PART_BYTES_MAX = 2048 };

struct jwk {
    struct str kid, alg; /* null: any */
    EVP_PKEY *key;
    bool is_rsa;
    size_t coordinate_bytes; /* of EC */
};

struct jwks {
    struct arena arena;
    vec(struct jwk) keys;
};

/* --- reading --- */

/* A member that holds bytes in base64url. */
static bool member_bytes(const struct json_value *jwk, const char *name, struct buf *out)
{
    const struct json_value *value = json_get(jwk, str_from(name));
    return value != NULL && value->kind == JSON_STRING && value->str.len > 0 &&
           value->str.len <= PART_BYTES_MAX && append_base64url_decoded(out, value->str);
}

static struct str member_text(const struct json_value *jwk, const char *name)
{
    const struct json_value *value = json_get(jwk, str_from(name));
    return value != NULL && value->kind == JSON_STRING ? value->str : STR_NULL;
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *parts)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const struct json_value *jwk)
{
    struct buf n = {0}, e = {0};
    EVP_PKEY *key = NULL;
    if (member_bytes(jwk, "n", &n) && member_bytes(jwk, "e", &e)) {
        BIGNUM *modulus = BN_bin2bn((const uint8_t *)n.ptr, (int)n.len, NULL);
        BIGNUM *exponent = BN_bin2bn((const uint8_t *)e.ptr, (int)e.len, NULL);
        OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
        if (OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
            OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent) == 1 &&
            BN_num_bits(modulus) >= RSA_BITS_MIN)
            key = make_key("RSA", parts);
        OSSL_PARAM_BLD_free(parts);
        BN_free(modulus);
        BN_free(exponent);
    }
    buf_fini(&n);
    buf_fini(&e);
    return key;
}

static EVP_PKEY *ec_key(const struct json_value *jwk, size_t *coordinate_bytes)
{
    struct str curve = member_text(jwk, "crv");
    const char *group = str_eq(curve, STR("P-256")) ? "P-256" : str_eq(curve, STR("P-384")) ? "P-384" : NULL;
    struct buf point = {0};
    EVP_PKEY *key = NULL;
    *coordinate_bytes = group != NULL && group[2] == '2' ? 32 : 48;
    buf_append_char(&point, 4); /* uncompressed */
    if (group != NULL && member_bytes(jwk, "x", &point) && point.len == 1 + *coordinate_bytes &&
        member_bytes(jwk, "y", &point) && point.len == 1 + 2 * *coordinate_bytes) {
        OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
        if (OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point.ptr, point.len) == 1)
            key = make_key("EC", parts);
        OSSL_PARAM_BLD_free(parts);
    }
    buf_fini(&point);
    return key;
}

static void read_key(struct jwks *jwks, const struct json_value *value)
{
    struct str kind = member_text(value, "kty"), use = member_text(value, "use");
    struct jwk jwk = {.is_rsa = str_eq(kind, STR("RSA"))};
    if (!str_is_null(use) && !str_eq(use, STR("sig")))
        return;
    if (jwk.is_rsa)
        jwk.key = rsa_key(value);
    else if (str_eq(kind, STR("EC")))
        jwk.key = ec_key(value, &jwk.coordinate_bytes);
    if (jwk.key == NULL)
        return;
    jwk.kid = str_dup(member_text(value, "kid"), &jwks->arena);
    jwk.alg = str_dup(member_text(value, "alg"), &jwks->arena);
    vec_push(&jwks->keys, jwk);
}

struct jwks *jwks_parse(struct str text, struct err *err)
{
    struct arena arena = {0};
    struct jwks *jwks = mem_new(struct jwks);
    const struct json_value *root = json_parse(text, &arena, err);
    const struct json_value *list = json_get(root, STR("keys"));
    bool good = root != NULL;
    if (good && (list == NULL || list->kind != JSON_ARRAY || list->len > KEYS_MAX))
        good = err_set(err, ERR_SERIALIZATION, "a JWKS is an object with at most %d \"keys\"", KEYS_MAX);
    for (uint32_t i = 0; good && i < list->len; i++)
        read_key(jwks, &list->elems[i]);
    if (good && jwks->keys.len == 0)
        good = err_set(err, ERR_SERIALIZATION,
                       "no key is usable: RSA of 2048 bits or more, EC of P-256 or P-384");
    ERR_clear_error();
    arena_fini(&arena);
    if (good)
        return jwks;
    jwks_free(jwks);
    return NULL;
}

void jwks_free(struct jwks *jwks)
{
    if (jwks == NULL)
        return;
    for (size_t i = 0; i < jwks->keys.len; i++)
        EVP_PKEY_free(jwks->keys.at[i].key);
    vec_fini(&jwks->keys);
    arena_fini(&jwks->arena);
    free(jwks);
}

/* --- signatures --- */

static const struct algorithm {
    const char *name;
    const EVP_MD *(*digest)(void);
    size_t coordinate_bytes; /* 0: RSA */
} algorithms[] = {{"RS256", EVP_sha256, 0},
                  {"RS384", EVP_sha384, 0},
                  {"RS512", EVP_sha512, 0},
                  {"ES256", EVP_sha256, 32},
                  {"ES384", EVP_sha384, 48}};

static const struct algorithm *algorithm_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(algorithms); i++)
        if (str_eq_cstr(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

static bool key_fits(const struct jwk *jwk, const struct algorithm *alg, struct str kid)
{
    return (str_is_null(kid) || str_is_null(jwk->kid) || str_eq(jwk->kid, kid)) &&
           (str_is_null(jwk->alg) || str_eq_cstr(jwk->alg, alg->name)) &&
           jwk->is_rsa == (alg->coordinate_bytes == 0) && jwk->coordinate_bytes == alg->coordinate_bytes;
}

/* JWS has r and s one after the other, OpenSSL wants them as ASN.1. */
static int ec_signature(struct str raw, size_t coordinate_bytes, uint8_t **der)
{
    if (raw.len != 2 * coordinate_bytes)
        return -1;
    const uint8_t *bytes = (const uint8_t *)raw.ptr;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)coordinate_bytes;
    int len = -1;
    if (ECDSA_SIG_set0(sig, BN_bin2bn(bytes, half, NULL), BN_bin2bn(bytes + half, half, NULL)) == 1)
        len = i2d_ECDSA_SIG(sig, der);
    ECDSA_SIG_free(sig);
    return len;
}

static bool verify(const struct jwk *jwk, const struct algorithm *alg, struct str text, struct str signature)
{
    uint8_t *der = NULL;
    const uint8_t *bytes = (const uint8_t *)signature.ptr;
    int len = (int)signature.len;
    if (!jwk->is_rsa) {
        len = ec_signature(signature, alg->coordinate_bytes, &der);
        bytes = der;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = len > 0 && EVP_DigestVerifyInit(context, NULL, alg->digest(), NULL, jwk->key) == 1 &&
                EVP_DigestVerify(context, bytes, (size_t)len, (const uint8_t *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ERR_clear_error();
    return good;
}

bool jwks_verify(const struct jwks *jwks, struct str alg_name, struct str kid, struct str text,
                 struct str signature, struct err *err)
{
    const struct algorithm *alg = algorithm_find(alg_name);
    if (alg == NULL)
        return err_set(err, ERR_FORBIDDEN,
                       "the token's algorithm is not RS256, RS384, RS512, ES256 or ES384");
    bool any = false;
    for (size_t i = 0; i < jwks->keys.len; i++) {
        if (!key_fits(&jwks->keys.at[i], alg, kid))
            continue;
        any = true;
        if (verify(&jwks->keys.at[i], alg, text, signature))
            return true;
    }
    return err_set(err, ERR_FORBIDDEN,
                   any ? "the token's signature is wrong" : "no key belongs to the token");
}
