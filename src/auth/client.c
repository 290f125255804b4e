/* client.c - SCRAM and PLAIN from the client's side, for the command line (RFC 5802; the server's side is scram.c).
 *
 *   step 0: n,,n=alice,r=<nonce>            step 1: c=biws,r=...,p=<proof>           step 2: v=... is the server's own proof
 */
#include "auth/auth_int.h"

struct sasl_client {
    struct arena arena;
    enum auth_mechanism mechanism;
    bool by_token; /* user and password are a delegation token's */
    struct str user, password, nonce;
    struct str first; /* client-first-message-bare */
    struct str signature;
    int step;
};

struct sasl_client *sasl_client_new(enum auth_mechanism mechanism, struct str user, struct str password,
                                    const uint8_t nonce[SASL_NONCE_BYTES])
{
    ASSERT(mechanism == AUTH_PLAIN || mechanism == AUTH_SCRAM_SHA_256 || mechanism == AUTH_SCRAM_SHA_512);
    struct sasl_client *client = mem_new(struct sasl_client);
    struct buf text = {0};
    client->mechanism = mechanism;
    client->user = str_dup(user, &client->arena);
    client->password = str_dup(password, &client->arena);
    buf_append_base64(&text, str_of((const char *)nonce, SASL_NONCE_BYTES));
    client->nonce = str_dup(buf_str(&text), &client->arena);
    buf_fini(&text);
    return client;
}

void sasl_client_by_token(struct sasl_client *client)
{
    ASSERT(client->mechanism != AUTH_PLAIN && client->step == 0);
    client->by_token = true;
}

void sasl_client_free(struct sasl_client *client)
{
    if (client == NULL)
        return;
    secret_wipe((char *)client->password.ptr, client->password.len);
    arena_fini(&client->arena);
    free(client);
}

static void plain_token(struct sasl_client *client, struct buf *token)
{
    buf_append_char(token, '\0');
    buf_append_str(token, client->user);
    buf_append_char(token, '\0');
    buf_append_str(token, client->password);
}

static void first_token(struct sasl_client *client, struct buf *token)
{
    struct buf bare = {0};
    buf_append_cstr(&bare, "n=");
    for (size_t i = 0; i < client->user.len; i++) {
        char c = client->user.ptr[i];
        if (c == ',' || c == '=')
            buf_append_cstr(&bare, c == ',' ? "=2C" : "=3D");
        else
            buf_append_char(&bare, c);
    }
    buf_printf(&bare, ",r=%.*s%s", STR_ARG(client->nonce), client->by_token ? ",tokenauth=true" : "");
    client->first = str_dup(buf_str(&bare), &client->arena);
    buf_printf(token, "n,,%s", bare.ptr);
    buf_fini(&bare);
}

static struct str attribute(struct str message, char letter)
{
    struct str part;
    while (str_split(&message, ',', &part))
        if (part.len > 2 && part.ptr[0] == letter && part.ptr[1] == '=')
            return str_sub(part, 2, SIZE_MAX);
    return STR_NULL;
}

/* Fills the proof and remembers what the server has to answer. */
static void prove(struct sasl_client *client, struct str salt, int32_t iterations, struct str message,
                  struct buf *proof)
{
    enum auth_mechanism mechanism = client->mechanism;
    uint8_t salted[AUTH_HASH_BYTES_MAX], key[AUTH_HASH_BYTES_MAX], stored[AUTH_HASH_BYTES_MAX];
    uint8_t server[AUTH_HASH_BYTES_MAX], sig[AUTH_HASH_BYTES_MAX];
    size_t n = auth_salt_password(mechanism, client->password, salt, iterations, salted);
    struct str salted_bytes = str_of((const char *)salted, n);
    scram_hmac(mechanism, salted_bytes, STR("Client Key"), key);
    scram_keys(mechanism, salted_bytes, stored, server);
    scram_hmac(mechanism, str_of((const char *)stored, n), message, sig);
    for (size_t i = 0; i < n; i++)
        key[i] ^= sig[i];
    buf_append_base64(proof, str_of((const char *)key, n));
    scram_hmac(mechanism, str_of((const char *)server, n), message, sig);
    client->signature = str_dup(str_of((const char *)sig, n), &client->arena);
    secret_wipe(salted, sizeof salted);
    secret_wipe(key, sizeof key);
}

static enum sasl_result final_token(struct sasl_client *client, struct str answer, struct buf *token,
                                    struct err *err)
{
    enum { ITERATIONS_MAX = 1000000 };
    struct str nonce = attribute(answer, 'r'), salt_text = attribute(answer, 's');
    struct str count = attribute(answer, 'i');
    struct buf salt = {0}, message = {0};
    int32_t iterations = 0;
    bool good = !str_is_null(nonce) && str_starts_with(nonce, client->nonce) &&
                nonce.len > client->nonce.len && buf_append_base64_decoded(&salt, salt_text) &&
                salt.len > 0 && str_to_i32(count, &iterations) && iterations >= AUTH_ITERATIONS_MIN &&
                iterations <= ITERATIONS_MAX;
    if (good) {
        size_t start = token->len;
        buf_printf(token, "c=biws,r=%.*s", STR_ARG(nonce));
        buf_printf(&message, "%.*s,%.*s,%s", STR_ARG(client->first), STR_ARG(answer), token->ptr + start);
        buf_append_cstr(token, ",p=");
        prove(client, buf_str(&salt), iterations, buf_str(&message), token);
    }
    buf_fini(&salt);
    buf_fini(&message);
    return good ? SASL_CONTINUE : sasl_fail(err, "the server's answer is not SCRAM's");
}

static enum sasl_result check_server(struct sasl_client *client, struct str answer, struct err *err)
{
    struct buf signature = {0};
    bool good = buf_append_base64_decoded(&signature, attribute(answer, 'v')) &&
                secret_eq(buf_str(&signature), client->signature);
    buf_fini(&signature);
    return good ? SASL_DONE
                : sasl_fail(err, "the server does not know the password either: it is not the right one");
}

enum sasl_result sasl_client_step(struct sasl_client *client, struct str answer, struct buf *token,
                                  struct err *err)
{
    int step = client->step++;
    if (client->mechanism == AUTH_PLAIN) {
        if (step == 0)
            plain_token(client, token);
        return step == 0 ? SASL_CONTINUE : SASL_DONE;
    }
    if (step == 0) {
        first_token(client, token);
        return SASL_CONTINUE;
    }
    return step == 1 ? final_token(client, answer, token, err) : check_server(client, answer, err);
}
