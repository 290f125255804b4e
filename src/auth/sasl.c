/* sasl.c - authentications by mechanism, and the mechanism PLAIN (RFC 4616).
 *
 * PLAIN brings the password itself; it is hashed as SCRAM does and compared with the user's SCRAM keys, so there is one kind
 * of user. That hashing is slow by intention: callers run steps on a pool.
 */
#include "auth/auth_int.h"

const char sasl_other_authzid[] =
    "Authentication failed: Client requested an authorization id that is different from username";

static const struct sasl_class *const classes[] = {&sasl_scram_256, &sasl_scram_512, &sasl_plain,
                                                   &sasl_oauthbearer};

enum auth_mechanism auth_mechanism_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (str_eq_cstr(name, classes[i]->name))
            return classes[i]->mechanism;
    return AUTH_NONE;
}

static const struct sasl_class *class_of(enum auth_mechanism mechanism)
{
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (classes[i]->mechanism == mechanism)
            return classes[i];
    return NULL;
}

const char *auth_mechanism_name(enum auth_mechanism mechanism)
{
    const struct sasl_class *class = class_of(mechanism);
    return class != NULL ? class->name : "none";
}

struct sasl *sasl_new(const struct auth_listener *listener, enum auth_mechanism mechanism,
                      const uint8_t nonce[SASL_NONCE_BYTES])
{
    struct sasl *sasl = mem_new(struct sasl);
    sasl->listener = listener;
    sasl->auth = listener->auth;
    sasl->class = class_of(mechanism);
    ASSERT(sasl->class != NULL);
    sasl->expires_ms = -1;
    memcpy(sasl->nonce, nonce, SASL_NONCE_BYTES);
    return sasl;
}

void sasl_free(struct sasl *sasl)
{
    if (sasl == NULL)
        return;
    arena_fini(&sasl->arena);
    free(sasl);
}

enum auth_mechanism sasl_mechanism(const struct sasl *sasl)
{
    return sasl->class->mechanism;
}

enum sasl_result sasl_step(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                           struct err *err)
{
    return sasl->class->step(sasl, token, now_ms, reply, err);
}

struct str sasl_principal(const struct sasl *sasl)
{
    return sasl->principal;
}

int64_t sasl_expires_ms(const struct sasl *sasl)
{
    return sasl->expires_ms;
}

bool sasl_is_by_token(const struct sasl *sasl)
{
    return sasl->by_token;
}

enum sasl_result sasl_fail(struct err *err, const char *text)
{
    err_set(err, ERR_FORBIDDEN, "%s", text);
    return SASL_FAILED;
}

void sasl_set_user(struct sasl *sasl, struct str name)
{
    sasl->principal = user_principal(name, &sasl->arena);
}

struct auth_user sasl_user(const struct auth *auth, struct str name, enum auth_mechanism mechanism,
                           bool *real, struct arena *arena)
{
    const struct auth_user *found = auth_user_find(auth, name, mechanism);
    *real = found != NULL;
    struct auth_user user = {.mechanism = mechanism};
    if (found != NULL) {
        user.name = str_dup(found->name, arena);
        user.iterations = found->iterations;
        user.salt = str_dup(found->salt, arena);
        user.stored_key = str_dup(found->stored_key, arena);
        user.server_key = str_dup(found->server_key, arena);
        return user;
    }
    /* The same salt each time one asks for the same name, as for a user that exists. */
    uint8_t *made = arena_alloc(arena, AUTH_HASH_BYTES_MAX);
    size_t size = scram_hash_bytes(mechanism);
    scram_hmac(mechanism, str_of((const char *)auth->secret, sizeof auth->secret), name, made);
    user.iterations = AUTH_ITERATIONS_MIN;
    user.salt = str_of((const char *)made, AUTH_SALT_BYTES);
    user.stored_key = user.server_key = str_of((const char *)made, size);
    return user;
}

/* --- PLAIN --- */

/* Either kind of SCRAM user will do. */
static bool password_fits(const struct sasl *sasl, struct str name, struct str password)
{
    enum auth_mechanism mechanism = auth_user_find(sasl->auth, name, AUTH_SCRAM_SHA_256) == NULL &&
                                            auth_user_find(sasl->auth, name, AUTH_SCRAM_SHA_512) != NULL
                                        ? AUTH_SCRAM_SHA_512
                                        : AUTH_SCRAM_SHA_256;
    struct arena arena = {0};
    uint8_t salted[AUTH_HASH_BYTES_MAX], stored[AUTH_HASH_BYTES_MAX], server[AUTH_HASH_BYTES_MAX];
    bool real;
    struct auth_user user = sasl_user(sasl->auth, name, mechanism, &real, &arena);
    size_t size = auth_salt_password(mechanism, password, user.salt, user.iterations, salted);
    scram_keys(mechanism, str_of((const char *)salted, size), stored, server);
    bool same = secret_eq(str_of((const char *)stored, size), user.stored_key);
    secret_wipe(salted, sizeof salted);
    arena_fini(&arena);
    return same && real;
}

/* authzid NUL name NUL password: Kafka's words for what is wrong, in its order. */
static enum sasl_result plain_step(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                                   struct err *err)
{
    enum { PARTS = 3, PASSWORD_BYTES_MAX = 4096 };
    struct str rest = token, part[PARTS + 1];
    int parts = 0;
    while (parts <= PARTS && str_split(&rest, '\0', &part[parts]))
        parts++;
    if (parts != PARTS) {
        err_set(err, ERR_FORBIDDEN, "Invalid SASL/PLAIN response: expected %d tokens, got %d", PARTS,
                MAX(parts, 1));
        return SASL_FAILED;
    }
    struct str authzid = part[0], name = part[1], password = part[2];
    if (name.len == 0)
        return sasl_fail(err, "Authentication failed: username not specified");
    if (password.len == 0)
        return sasl_fail(err, "Authentication failed: password not specified");
    if (password.len > PASSWORD_BYTES_MAX || !password_fits(sasl, name, password))
        return sasl_fail(err, "Authentication failed: Invalid username or password");
    if (authzid.len != 0 && !str_eq(authzid, name))
        return sasl_fail(err, sasl_other_authzid);
    sasl_set_user(sasl, name);
    return SASL_DONE;
}

const struct sasl_class sasl_plain = {"PLAIN", AUTH_PLAIN, plain_step};
