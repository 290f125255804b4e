/* auth_int.h - private to src/auth: the state, mechanisms, keys. */
#ifndef RIALTO_AUTH_AUTH_INT_H
#define RIALTO_AUTH_AUTH_INT_H

#include "auth/auth.h"
#include "wire/wire.h"

/* What verifies a user's password with one mechanism. */
struct auth_user {
    struct str name;
    enum auth_mechanism mechanism;
    int32_t iterations;
    struct str salt, stored_key, server_key;
    struct arena arena; /* of the slices */
};

/* A delegation token (tokens.c). */
struct auth_token {
    struct str id, hmac, owner, requester; /* principals: "User:alice" */
    struct str *renewers;
    size_t renewer_count;
    int64_t issue_ms, expiry_ms, max_ms;
    struct arena arena; /* of all these */
};

struct acl_rule {
    struct str principal, host;
    int8_t operation, permission;
};

/* The rules of one resource pattern. */
struct acl_set {
    int8_t type, pattern;
    struct str name;
    vec(struct acl_rule) rules; /* texts in allocations of their own */
};

/* A length of prefixes that exists, so that a look-up tries no others. */
struct acl_length {
    size_t len, count;
};

enum { ACL_RESOURCES = ACL_USER + 1 };

struct subject_rules;
struct jwks;

struct auth {
    struct auth_config config;
    struct arena arena; /* of the config */
    uint8_t secret[32];
    bool on;
    struct map super_users;
    struct map users;                  /* mechanism, name -> struct auth_user */
    struct map tokens, tokens_by_hmac; /* struct auth_token */
    struct map sets;                   /* type, pattern, name -> struct acl_set */
    vec(struct acl_length) prefix_lengths[ACL_RESOURCES];
    size_t rule_count;
};

struct auth_listener {
    const struct auth *auth;
    struct auth_config of[AUTH_MECHANISMS]; /* AUTH_NONE: what no mechanism has of its own */
    struct arena arena;                     /* of their texts */
    struct subject_rules *subject_rules;
    struct jwks *jwks; /* NULL: not read yet */
};

enum { AUTH_USERS_MAX = 100000, AUTH_RULES_MAX = 100000 };

/* Texts go to the arena. */
void auth_config_copy(struct auth_config *config, const struct auth_config *given, struct arena *arena);

/* --- users.c --- */
const struct auth_user *auth_user_find(const struct auth *auth, struct str name,
                                       enum auth_mechanism mechanism);
void auth_user_apply(struct auth *auth, const struct UserKey *key, const struct UserValue *value);
void auth_users_snapshot(struct auth *auth, struct replay_records *out);
void auth_users_fini(struct auth *auth);

/* --- tokens.c --- */
void auth_token_apply(struct auth *auth, const struct DelegationTokenKey *key,
                      const struct DelegationTokenValue *value);
void auth_tokens_snapshot(struct auth *auth, struct replay_records *out);
void auth_tokens_fini(struct auth *auth);

/* Whom a token lets in, and until when. */
struct token_holder {
    struct str owner;
    int64_t expires_ms;
};

/* The keys of the token, or (*real false) of one that does not exist. Only when tokens are on. Takes ms. */
struct auth_user auth_token_user(const struct auth *auth, struct str id, enum auth_mechanism mechanism,
                                 int64_t now_ms, bool *real, struct token_holder *holder,
                                 struct arena *arena);

/* --- acls.c --- */
void acl_apply(struct auth *auth, const struct AclKey *key, bool exists);
void acls_snapshot(struct auth *auth, struct replay_records *out);
void acls_fini(struct auth *auth);
struct acl_set *acl_set_find(const struct auth *auth, enum acl_resource type, enum acl_pattern pattern,
                             struct str name);

/* --- principal.c --- */
bool subject_rules_new(struct subject_rules **out, struct str text, struct err *err);
void subject_rules_free(struct subject_rules *rules);

/* "User:" and the name, all its bytes: a name that holds a NUL is another one than what stands before it. */
struct str user_principal(struct str name, struct arena *arena);

/* --- crypto.c: the functions of RFC 5802 and base64url --- */

size_t scram_hash_bytes(enum auth_mechanism mechanism);
void scram_hmac(enum auth_mechanism mechanism, struct str key, struct str text,
                uint8_t out[AUTH_HASH_BYTES_MAX]);
void scram_hash(enum auth_mechanism mechanism, struct str bytes, uint8_t out[AUTH_HASH_BYTES_MAX]);
/* From the salted password. */
void scram_keys(enum auth_mechanism mechanism, struct str salted, uint8_t stored_key[AUTH_HASH_BYTES_MAX],
                uint8_t server_key[AUTH_HASH_BYTES_MAX]);
/* In a time that does not depend on the bytes. */
bool secret_eq(struct str a, struct str b);
void secret_wipe(void *bytes, size_t size);
bool append_base64url_decoded(struct buf *out, struct str text);

/* --- jwks.c --- */
struct jwks *jwks_parse(struct str text, struct err *err);
void jwks_free(struct jwks *jwks);
/* Is `signature` one of `text` by the key of this id (null: any key that fits) and algorithm ("RS256")? */
bool jwks_verify(const struct jwks *jwks, struct str alg, struct str kid, struct str text,
                 struct str signature, struct err *err);

/* --- mechanisms --- */

struct sasl {
    const struct auth *auth;
    const struct auth_listener *listener;
    const struct sasl_class *class;
    struct arena arena;
    uint8_t nonce[SASL_NONCE_BYTES];
    int step;
    struct str principal;
    int64_t expires_ms;
    bool by_token;
    void *data; /* of the mechanism, in the arena */
};

struct sasl_class {
    const char *name;
    enum auth_mechanism mechanism;
    enum sasl_result (*step)(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                             struct err *err);
};

extern const struct sasl_class sasl_plain, sasl_scram_256, sasl_scram_512, sasl_oauthbearer;

enum sasl_result sasl_fail(struct err *err, const char *text);
extern const char sasl_other_authzid[]; /* why nobody may come as another one */
void sasl_set_user(struct sasl *sasl, struct str name);

/* The user's keys, or made-up ones that nobody knows the password of (G2). *real says which. */
struct auth_user sasl_user(const struct auth *auth, struct str name, enum auth_mechanism mechanism,
                           bool *real, struct arena *arena);

#endif
