/* crypto.c - the functions that RFC 5802 names (H, HMAC, Hi), comparison in constant time, base64url. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/auth_int.h"

static const EVP_MD *digest_of(enum auth_mechanism mechanism)
{
    ASSERT(mechanism == AUTH_SCRAM_SHA_256 || mechanism == AUTH_SCRAM_SHA_512);
    return mechanism == AUTH_SCRAM_SHA_256 ? EVP_sha256() : EVP_sha512();
}

size_t scram_hash_bytes(enum auth_mechanism mechanism)
{
    return (size_t)EVP_MD_get_size(digest_of(mechanism));
}

void scram_hmac(enum auth_mechanism mechanism, struct str key, struct str text,
                uint8_t out[AUTH_HASH_BYTES_MAX])
{
    unsigned len = AUTH_HASH_BYTES_MAX;
    const void *made = HMAC(digest_of(mechanism), key.len != 0 ? key.ptr : "", (int)key.len,
                            (const unsigned char *)text.ptr, text.len, out, &len);
    ASSERT(made != NULL && len == scram_hash_bytes(mechanism));
}

void scram_hash(enum auth_mechanism mechanism, struct str bytes, uint8_t out[AUTH_HASH_BYTES_MAX])
{
    unsigned len = AUTH_HASH_BYTES_MAX;
    int made = EVP_Digest(bytes.ptr, bytes.len, out, &len, digest_of(mechanism), NULL);
    ASSERT(made == 1);
}

size_t auth_salt_password(enum auth_mechanism mechanism, struct str password, struct str salt,
                          int32_t iterations, uint8_t out[AUTH_HASH_BYTES_MAX])
{
    size_t size = scram_hash_bytes(mechanism);
    ASSERT(iterations > 0 && password.len < INT32_MAX && salt.len < INT32_MAX);
    int made = PKCS5_PBKDF2_HMAC(password.len != 0 ? password.ptr : "", (int)password.len,
                                 (const unsigned char *)salt.ptr, (int)salt.len, iterations,
                                 digest_of(mechanism), (int)size, out);
    ASSERT(made == 1);
    return size;
}

void scram_keys(enum auth_mechanism mechanism, struct str salted, uint8_t stored_key[AUTH_HASH_BYTES_MAX],
                uint8_t server_key[AUTH_HASH_BYTES_MAX])
{
    uint8_t client_key[AUTH_HASH_BYTES_MAX];
    scram_hmac(mechanism, salted, STR("Client Key"), client_key);
    scram_hash(mechanism, str_of((const char *)client_key, scram_hash_bytes(mechanism)), stored_key);
    scram_hmac(mechanism, salted, STR("Server Key"), server_key);
    secret_wipe(client_key, sizeof client_key);
}

bool secret_eq(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void secret_wipe(void *bytes, size_t size)
{
    OPENSSL_cleanse(bytes, size);
}

/* The two other letters, and padding may be absent (RFC 7515). */
bool append_base64url_decoded(struct buf *out, struct str text)
{
    struct buf plain = {0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' || c == '/' || c == '=') {
            buf_fini(&plain);
            return false;
        }
        buf_append_char(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (plain.len % 4 != 0)
        buf_append_char(&plain, '=');
    bool good = text.len % 4 != 1 && buf_append_base64_decoded(out, buf_str(&plain));
    buf_fini(&plain);
    return good;
}
