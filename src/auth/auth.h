/* auth.h - who is it, and may he: SASL, users, delegation tokens, access rules.
 *
 *   token --sasl_step--> principal "User:alice"            PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
 *   certificate's subject --auth_map_subject--> principal
 *   principal, host, resource, operation --auth_allows--> yes or no
 *
 * Users and rules are a state over `replay` (auth_apply, auth_snapshot, auth_decide_*) in a log of their own, which no client
 * can read. Nothing here reads a clock or a file, takes random numbers or a lock: times, random bytes and the text of the
 * key file come with the call, and the owner keeps auth_apply apart from the readers.
 *
 * (G1) A password is nowhere: users are a salt and two keys of RFC 5802, which verify but do not log in.
 * (G2) Secrets are compared in constant time; an unknown user takes the same steps and answers as a wrong password.
 * (G3) No secret is in an error text.
 * (G4) Without an authorizer everything is allowed: auth_is_on is false and nobody needs to ask.
 */
#ifndef RIALTO_AUTH_AUTH_H
#define RIALTO_AUTH_AUTH_H

#include "base/base.h"
#include "conf/conf.h"
#include "replay/replay.h"

/* --- options --- */

struct auth_config {
    struct str authorizer;             /* authorizer.class.name; empty: off */
    struct str super_users;            /* super.users, separated by ';' */
    bool allow_if_no_acl;              /* allow.everyone.if.no.acl.found */
    struct conf_list mechanisms;       /* sasl.enabled.mechanisms */
    struct str bootstrap_users;        /* sasl.bootstrap.users: made at the start if they do not exist */
    int64_t reauth_ms_max;             /* connections.max.reauth.ms; 0: never */
    int64_t failed_delay_ms;           /* connection.failed.authentication.delay.ms */
    int64_t receive_bytes_max;         /* sasl.server.max.receive.size: of a request before authentication */
    int64_t setup_ms_max;              /* connection.setup.timeout.ms: TLS handshake and authentication */
    struct str subject_rules;          /* ssl.principal.mapping.rules */
    struct str jwks_url;               /* sasl.oauthbearer.jwks.endpoint.url: file:///... */
    struct conf_list audiences;        /* sasl.oauthbearer.expected.audience */
    struct str issuer;                 /* sasl.oauthbearer.expected.issuer */
    struct conf_list scopes;           /* sasl.oauthbearer.expected.scope */
    struct str scope_claim, sub_claim; /* sasl.oauthbearer.scope.claim.name, .sub.claim.name */
    int64_t clock_skew_s;              /* sasl.oauthbearer.clock.skew.seconds */
    struct str token_secret;           /* delegation.token.secret.key; empty: there are no tokens */
    int64_t token_life_ms_max;         /* delegation.token.max.lifetime.ms */
    int64_t token_expiry_ms;           /* delegation.token.expiry.time.ms: until a token must be renewed */
    int64_t token_check_ms;            /* delegation.token.expiry.check.interval.ms */
};

extern const struct conf_table auth_conf_table;
void auth_config_init(struct auth_config *config);

/* --- life --- */

struct auth;

/* Takes a copy of the config. `secret` (32 random bytes) makes up salts for users that do not exist. NULL with *err. */
struct auth *auth_new(const struct auth_config *config, const uint8_t secret[32], struct err *err);
void auth_free(struct auth *auth);
const struct auth_config *auth_config_of(const struct auth *auth);

/* The state's functions; the owner makes a replay_class of them with its lock around auth_apply. */
bool auth_apply(void *auth, const struct replay_record *rec, struct err *err);
void auth_snapshot(void *auth, struct replay_records *out);

/* Request and response of an API as `wire` has them. */
struct auth_call {
    const void *req;
    void *res;
    int64_t now_ms;
    struct arena *arena;
    struct str principal, fresh_id; /* of token calls: who asks; a random name for a new one */
};

/* --- users --- */

/* Kafka's numbers; the others are not stored. */
enum auth_mechanism {
    AUTH_NONE,
    AUTH_SCRAM_SHA_256,
    AUTH_SCRAM_SHA_512,
    AUTH_PLAIN,
    AUTH_OAUTHBEARER,
    AUTH_MECHANISMS
};

enum {
    AUTH_SALT_BYTES = 16,
    AUTH_HASH_BYTES_MAX = 64,
    AUTH_ITERATIONS_MIN = 4096,
    AUTH_ITERATIONS_MAX = 16384
};

/* "SCRAM-SHA-256"; AUTH_NONE for a name that is not known. */
enum auth_mechanism auth_mechanism_find(struct str name);
const char *auth_mechanism_name(enum auth_mechanism mechanism);

/* PBKDF2 of RFC 5802: what a client sends to make a user. Slow by intention (ms). Returns the bytes written. */
size_t auth_salt_password(enum auth_mechanism mechanism, struct str password, struct str salt,
                          int32_t iterations, uint8_t out[AUTH_HASH_BYTES_MAX]);

/* AlterUserScramCredentials, DescribeUserScramCredentials. */
bool auth_decide_alter_users(void *auth, void *auth_call, struct replay_records *out, struct err *err);
void auth_describe_users(const struct auth *auth, struct auth_call *call);

/* A user of sasl.bootstrap.users, in the form of Kafka's storage tool:
 * SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]; several are separated by ';'. */
struct auth_new_user {
    struct str name, password;
    enum auth_mechanism mechanism;
    int32_t iterations;
};
/* Cuts one off the front of *rest; false with *err. *found false: none is left. */
bool auth_next_user(struct str *rest, struct auth_new_user *user, bool *found, struct err *err);
bool auth_has_user(const struct auth *auth, struct str name, enum auth_mechanism mechanism);

/* --- delegation tokens --- */

/* Is there a secret key? Without one no token lets anybody in, and the decide functions below may not be called. */
bool auth_tokens_are_on(const struct auth *auth);

struct CreateDelegationTokenRequest;

/* Whose the token will be: who is named, or who asks. */
struct str auth_token_owner(const struct CreateDelegationTokenRequest *req, struct str requester,
                            struct arena *arena);

bool auth_decide_create_token(void *auth, void *auth_call, struct replay_records *out, struct err *err);
bool auth_decide_renew_token(void *auth, void *auth_call, struct replay_records *out, struct err *err);
bool auth_decide_expire_token(void *auth, void *auth_call, struct replay_records *out, struct err *err);
/* Takes away the tokens that have ended by now. */
bool auth_decide_sweep_tokens(void *auth, void *auth_call, struct replay_records *out, struct err *err);

/* Fills the answer of DescribeDelegationToken with all tokens that are asked for, whoever asks, and tells of each what
 * decides whether it may be seen. In the arena. */
struct auth_token_view {
    struct str owner;
    bool is_own; /* who asks is its owner, requester or renewer */
};
struct auth_token_view *auth_describe_tokens(const struct auth *auth, const struct auth_call *call);

/* --- listeners --- */

/* What one listener asks of those who come. */
struct auth_listener;

/* Takes copies of the options as they are for each mechanism; of[AUTH_NONE] has what is not a mechanism's. `auth` outlives
 * it. NULL with *err. */
struct auth_listener *auth_listener_new(const struct auth *auth, const struct auth_config of[AUTH_MECHANISMS],
                                        struct err *err);
void auth_listener_free(struct auth_listener *listener);
const struct auth_config *auth_listener_config(const struct auth_listener *listener,
                                               enum auth_mechanism mechanism);
bool auth_mechanism_is_on(const struct auth_listener *listener, enum auth_mechanism mechanism);

/* --- rules --- */

enum acl_resource {
    ACL_UNKNOWN,
    ACL_ANY_RESOURCE,
    ACL_TOPIC,
    ACL_GROUP,
    ACL_CLUSTER,
    ACL_TRANSACTIONAL_ID,
    ACL_DELEGATION_TOKEN,
    ACL_USER
};
enum acl_pattern { ACL_ANY_PATTERN = 1, ACL_MATCH, ACL_LITERAL, ACL_PREFIXED };
enum acl_permission { ACL_ANY_PERMISSION = 1, ACL_DENY, ACL_ALLOW };
enum acl_operation {
    ACL_ANY_OPERATION = 1,
    ACL_ALL,
    ACL_READ,
    ACL_WRITE,
    ACL_CREATE,
    ACL_DELETE,
    ACL_ALTER,
    ACL_DESCRIBE,
    ACL_CLUSTER_ACTION,
    ACL_DESCRIBE_CONFIGS,
    ACL_ALTER_CONFIGS,
    ACL_IDEMPOTENT_WRITE,
    ACL_CREATE_TOKENS,
    ACL_DESCRIBE_TOKENS,
    ACL_TWO_PHASE_COMMIT
};

#define ACL_CLUSTER_NAME "kafka-cluster"

/* Words as Kafka's tools write them ("Topic", "IdempotentWrite"), case ignored when read; -1 and NULL: none. */
const char *acl_resource_word(int resource);
const char *acl_operation_word(int operation);
const char *acl_pattern_word(int pattern);
const char *acl_permission_word(int permission);
int acl_resource_find(struct str word);
int acl_operation_find(struct str word);
int acl_pattern_find(struct str word);
int acl_permission_find(struct str word);

/* CreateAcls, DeleteAcls, DescribeAcls. */
bool auth_decide_create_acls(void *auth, void *auth_call, struct replay_records *out, struct err *err);
bool auth_decide_delete_acls(void *auth, void *auth_call, struct replay_records *out, struct err *err);
void auth_describe_acls(const struct auth *auth, struct auth_call *call);

/* Is an authorizer configured? */
bool auth_is_on(const struct auth *auth);

struct auth_who {
    struct str principal; /* "User:alice" */
    struct str host;      /* "192.0.2.1" */
    bool by_token;        /* proved by a delegation token */
};

/* Super users may all; a matching denial refuses, a matching permission allows; otherwise nobody may, unless no rule names
 * the resource at all and allow.everyone.if.no.acl.found is set. */
bool auth_allows(const struct auth *auth, struct auth_who who, enum acl_resource type, struct str name,
                 enum acl_operation operation);

/* Is there any resource of this type that it is allowed on? */
bool auth_allows_any(const struct auth *auth, struct auth_who who, enum acl_resource type,
                     enum acl_operation operation);

/* The operations that are allowed, one bit each; without an authorizer all that the type has. */
int32_t auth_operations(const struct auth *auth, struct auth_who who, enum acl_resource type,
                        struct str name);

/* --- principals --- */

#define AUTH_ANONYMOUS "User:ANONYMOUS"

/* The principal of a certificate's subject by ssl.principal.mapping.rules: false when no rule fits. */
bool auth_map_subject(const struct auth_listener *listener, struct str subject, struct str *principal,
                      struct arena *arena);

/* --- SASL --- */

/* Public keys for OAUTHBEARER from the text of a JWKS file; the old ones stay when it is not good. */
bool auth_set_jwks(struct auth_listener *listener, struct str text, struct err *err);

/* One authentication. Steps come one after another, on any thread. */
struct sasl;

enum { SASL_NONCE_BYTES = 18 };

struct sasl *sasl_new(const struct auth_listener *listener, enum auth_mechanism mechanism,
                      const uint8_t nonce[SASL_NONCE_BYTES]);
void sasl_free(struct sasl *sasl);
enum auth_mechanism sasl_mechanism(const struct sasl *sasl);

enum sasl_result { SASL_CONTINUE, SASL_DONE, SASL_FAILED };

/* Takes the client's token and appends the answer to *reply. SASL_FAILED: *err is what the client may be told. Reads users:
 * the owner keeps auth_apply out. May take ms (PLAIN). */
enum sasl_result sasl_step(struct sasl *sasl, struct str token, int64_t now_ms, struct buf *reply,
                           struct err *err);

/* After SASL_DONE: "User:alice"; when the token that proved it ends, in ms since 1970, or -1. Live as long as the sasl. */
struct str sasl_principal(const struct sasl *sasl);
int64_t sasl_expires_ms(const struct sasl *sasl);
bool sasl_is_by_token(const struct sasl *sasl); /* a delegation token proved it */

/* --- SASL from the client's side: PLAIN and SCRAM --- */

struct sasl_client;

struct sasl_client *sasl_client_new(enum auth_mechanism mechanism, struct str user, struct str password,
                                    const uint8_t nonce[SASL_NONCE_BYTES]);
void sasl_client_free(struct sasl_client *client);
/* User and password are a delegation token's id and the base64 of its secret. SCRAM, before the first step. */
void sasl_client_by_token(struct sasl_client *client);

/* Takes the server's answer to the last token (null at first) and appends the next token. SASL_CONTINUE: send it; SASL_DONE:
 * nothing more to send, and with SCRAM the server has proved that it knows the user; SASL_FAILED: *err. */
enum sasl_result sasl_client_step(struct sasl_client *client, struct str answer, struct buf *token,
                                  struct err *err);

#endif
