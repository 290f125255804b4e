/* scram.c - SCRAM-SHA-256 and SCRAM-SHA-512, the server's side (RFC 5802, RFC 7677).
 *
 *   client                                        server
 *   n,,n=alice,r=<nonce>                     ->
 *                                            <-   r=<nonce><ours>,s=<salt>,i=<iterations>
 *   c=biws,r=<nonce><ours>,p=<proof>         ->   ClientKey = proof XOR HMAC(StoredKey, AuthMessage)
 *                                                 H(ClientKey) = StoredKey ?
 *                                            <-   v=<HMAC(ServerKey, AuthMessage)>
 *
 * AuthMessage = client-first without its "n,,", server-first, client-final without its proof, with commas between.
 */
#include "auth/auth_int.h"

static const char failed_text[] =
    "Authentication failed during authentication due to invalid credentials with SASL "
    "mechanism %s";

struct scram {
    struct str gs2_header; /* "n,," */
    struct str client_first, server_first;
    struct str nonce;
    struct auth_user user;
    bool real;
    bool by_token; /* tokenauth=true: the name is a delegation token's (KIP-48) */
    struct token_holder holder;
};

static enum sasl_result refuse(const struct sasl *sasl, struct err *err)
{
    err_set(err, ERR_FORBIDDEN, failed_text, sasl->class->name);
    return SASL_FAILED;
}

/* The value of "x=..." up to the next comma; *rest goes on after it. */
static bool take_attribute(struct str *rest, char letter, struct str *value)
{
    struct str part;
    if (!str_split(rest, ',', &part) || part.len < 2 || part.ptr[0] != letter || part.ptr[1] != '=')
        return false;
    *value = str_sub(part, 2, SIZE_MAX);
    return true;
}

/* "=2C" is a comma, "=3D" an equals sign; nothing else is escaped. */
static bool unescape_name(struct str text, struct str *name, struct arena *arena)
{
    char *out = arena_alloc_bytes(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '=') {
            struct str code = str_sub(text, i + 1, 2);
            if (!str_eq(code, STR("2C")) && !str_eq(code, STR("3D")))
                return false;
            c = code.ptr[0] == '2' ? ',' : '=';
            i += 2;
        }
        out[len++] = c;
    }
    *name = str_of(out, len);
    return len > 0 && utf8_valid(*name) && str_find_char(*name, '\0') < 0;
}

/* ",a=value" once or more, or nothing: what may follow a nonce. */
static bool are_extensions(struct str rest)
{
    struct str part;
    while (str_split(&rest, ',', &part)) {
        ptrdiff_t at = str_find_char(part, '=');
        if (at <= 0 || (size_t)at + 1 == part.len)
            return false;
    }
    return true;
}

/* Printable ASCII without commas. */
static bool is_nonce(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e || text.ptr[i] == ',')
            return false;
    return text.len > 0;
}

/* gs2-header client-first-message-bare; the message stays in the arena. *authzid: empty when there is none. */
static bool read_first(struct sasl *sasl, struct scram *scram, struct str token, struct str *authzid,
                       struct str *name, struct str *nonce)
{
    struct str message = str_dup(token, &sasl->arena), rest = message, part, escaped;
    *authzid = STR("");
    if (!str_split(&rest, ',', &part) || (!str_eq(part, STR("n")) && !str_eq(part, STR("y"))))
        return false; /* "p=...": a channel binding, which no SCRAM mechanism of ours offers */
    if (!str_split(&rest, ',', &part))
        return false;
    if (part.len != 0 && (!str_starts_with(part, STR("a=")) ||
                          !unescape_name(str_sub(part, 2, SIZE_MAX), authzid, &sasl->arena)))
        return false;
    if (str_is_null(rest))
        return false;
    scram->gs2_header = str_sub(message, 0, (size_t)(rest.ptr - message.ptr));
    scram->client_first = rest;
    if (!take_attribute(&rest, 'n', &escaped) || !unescape_name(escaped, name, &sasl->arena) ||
        !take_attribute(&rest, 'r', nonce) || !is_nonce(*nonce) || !are_extensions(rest))
        return false;
    while (str_split(&rest, ',', &part)) /* other extensions are passed over (RFC 5802) */
        if (str_eq_nocase(part, STR("tokenauth=true")))
            scram->by_token = true;
    return true;
}

static void find_user(struct sasl *sasl, struct scram *scram, struct str name, int64_t now_ms)
{
    enum auth_mechanism mechanism = sasl->class->mechanism;
    if (scram->by_token && auth_tokens_are_on(sasl->auth)) {
        scram->user =
            auth_token_user(sasl->auth, name, mechanism, now_ms, &scram->real, &scram->holder, &sasl->arena);
    } else {
        scram->user = sasl_user(sasl->auth, name, mechanism, &scram->real, &sasl->arena);
        scram->real = scram->real && !scram->by_token; /* a user is no token */
    }
    scram->user.name = name;
}

/* A token stands for its owner, until its expiry. */
static void admit(struct sasl *sasl, const struct scram *scram)
{
    sasl->by_token = scram->by_token;
    if (scram->by_token) {
        sasl->principal = scram->holder.owner;
        sasl->expires_ms = scram->holder.expires_ms;
    } else {
        sasl_set_user(sasl, scram->user.name);
    }
}

static enum sasl_result first_step(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                                   struct err *err)
{
    enum { FIRST_BYTES_MAX = 4096 };
    struct scram *scram = arena_new(&sasl->arena, struct scram);
    struct str authzid, name, nonce;
    if (token.len > FIRST_BYTES_MAX || !read_first(sasl, scram, token, &authzid, &name, &nonce))
        return sasl_fail(err, "Invalid SCRAM client first message");
    if (authzid.len != 0 && !str_eq(authzid, name))
        return sasl_fail(err, sasl_other_authzid);
    sasl->data = scram;
    find_user(sasl, scram, name, now_ms);
    struct buf text = {0};
    buf_append_str(&text, nonce);
    buf_append_base64(&text, str_of((const char *)sasl->nonce, SASL_NONCE_BYTES));
    scram->nonce = str_dup(buf_str(&text), &sasl->arena);
    buf_clear(&text);
    buf_printf(&text, "r=%.*s,s=", STR_ARG(scram->nonce));
    buf_append_base64(&text, scram->user.salt);
    buf_printf(&text, ",i=%d", scram->user.iterations);
    scram->server_first = str_dup(buf_str(&text), &sasl->arena);
    buf_append_str(reply, scram->server_first);
    buf_fini(&text);
    sasl->step = 1;
    return SASL_CONTINUE;
}

static bool proof_fits(const struct sasl *sasl, const struct scram *scram, struct str auth_message,
                       struct str proof)
{
    enum auth_mechanism mechanism = sasl->class->mechanism;
    size_t size = scram_hash_bytes(mechanism);
    uint8_t key[AUTH_HASH_BYTES_MAX], hash[AUTH_HASH_BYTES_MAX];
    if (proof.len != size)
        return false;
    scram_hmac(mechanism, scram->user.stored_key, auth_message, key);
    for (size_t i = 0; i < size; i++)
        key[i] ^= (uint8_t)proof.ptr[i];
    scram_hash(mechanism, str_of((const char *)key, size), hash);
    bool same = secret_eq(str_of((const char *)hash, size), scram->user.stored_key);
    secret_wipe(key, sizeof key);
    return same && scram->real;
}

/* channel-binding and nonce are those of the first messages. librdkafka before 2.6.1 writes its own nonce once more in front
 * of the whole one, so the end of what it says counts, as in Kafka: all that is ours, and all that it chose, is in there. */
static bool same_exchange(const struct scram *scram, struct str binding, struct str nonce)
{
    struct buf header = {0};
    buf_append_base64(&header, scram->gs2_header);
    bool same = str_eq(buf_str(&header), binding) && str_ends_with(nonce, scram->nonce);
    buf_fini(&header);
    return same;
}

/* What stands between nonce and proof: `rest` begins behind the nonce. */
static struct str before_proof(struct str token, struct str rest, ptrdiff_t proof_at)
{
    ptrdiff_t len = token.ptr + proof_at - rest.ptr;
    return len > 0 ? str_of(rest.ptr, (size_t)len) : STR_NULL;
}

static enum sasl_result final_step(struct sasl *sasl, struct str token, struct buf *reply, struct err *err)
{
    enum { FINAL_BYTES_MAX = 8192 };
    struct scram *scram = sasl->data;
    struct str rest = token, binding, nonce;
    struct buf proof = {0}, message = {0};
    ptrdiff_t proof_at = token.len > FINAL_BYTES_MAX ? -1 : str_find(token, STR(",p="));
    if (proof_at < 0 || !take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce) ||
        !are_extensions(before_proof(token, rest, proof_at)) ||
        !buf_append_base64_decoded(&proof, str_sub(token, (size_t)proof_at + 3, SIZE_MAX))) {
        buf_fini(&proof);
        return sasl_fail(err, "Invalid SCRAM client final message");
    }
    buf_printf(&message, "%.*s,%.*s,%.*s", STR_ARG(scram->client_first), STR_ARG(scram->server_first),
               (int)proof_at, token.ptr);
    bool good =
        same_exchange(scram, binding, nonce) && proof_fits(sasl, scram, buf_str(&message), buf_str(&proof));
    if (good) {
        uint8_t signature[AUTH_HASH_BYTES_MAX];
        scram_hmac(sasl->class->mechanism, scram->user.server_key, buf_str(&message), signature);
        buf_append_cstr(reply, "v=");
        buf_append_base64(reply, str_of((const char *)signature, scram_hash_bytes(sasl->class->mechanism)));
        admit(sasl, scram);
    }
    buf_fini(&proof);
    buf_fini(&message);
    sasl->step = 2;
    return good ? SASL_DONE : refuse(sasl, err);
}

static enum sasl_result scram_step(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                                   struct err *err)
{
    switch (sasl->step) {
    case 0:
        return first_step(sasl, token, now_ms, reply, err);
    case 1:
        return final_step(sasl, token, reply, err);
    default:
        return sasl_fail(err, "the authentication is over");
    }
}

const struct sasl_class sasl_scram_256 = {"SCRAM-SHA-256", AUTH_SCRAM_SHA_256, scram_step};
const struct sasl_class sasl_scram_512 = {"SCRAM-SHA-512", AUTH_SCRAM_SHA_512, scram_step};
