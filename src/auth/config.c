/* config.c - the options of authentication and authorisation; Kafka's names where the meaning is Kafka's. */
#include "auth/auth_int.h"

#define OPT(...) CONF_ROW(struct auth_config, __VA_ARGS__)

/* One that a listener, or one of its mechanisms, may have of its own. */
#define SCOPED(reach, name, type, init, low, high, member, text)                        \
    {                                                                                   \
        name, type, init, .min = (low), .max = (high), .doc = (text), .scope = (reach), \
                          CONF_AT(struct auth_config, member)                           \
    }

static const struct conf_option options[] = {
    SCOPED(CONF_LISTENER, "sasl.enabled.mechanisms", CONF_LIST, "SCRAM-SHA-256,SCRAM-SHA-512", 0, 0,
           mechanisms,
           "How clients may prove who they are on SASL listeners: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, "
           "OAUTHBEARER. PLAIN "
           "sends the password and checks it against a SCRAM user: use it with TLS only."),
    OPT("sasl.bootstrap.users", CONF_PASSWORD, "", 0, 0, bootstrap_users,
        "Users that are made at the start if they do not exist, as Kafka's storage tool writes them: "
        "SCRAM-SHA-256=[name=admin,password=...]; several are separated by ';'."),
    SCOPED(CONF_MECHANISM, "connections.max.reauth.ms", CONF_DURATION_MS, "0", 0, INT64_C(1) << 40,
           reauth_ms_max, "Longest time until a SASL client has to prove again who it is; 0: for ever."),
    OPT("connection.failed.authentication.delay.ms", CONF_DURATION_MS, "100", 0, 60000, failed_delay_ms,
        "How long a failed authentication is held back before it is answered and the connection closed."),
    OPT("connection.setup.timeout.ms", CONF_DURATION_MS, "15s", 10, 600000, setup_ms_max,
        "Longest TLS handshake, and longest time until a SASL client has proved who it is."),
    SCOPED(CONF_LISTENER, "sasl.server.max.receive.size", CONF_SIZE, "524288", 1024, INT32_MAX,
           receive_bytes_max, "Largest request before authentication."),
    SCOPED(CONF_LISTENER, "ssl.principal.mapping.rules", CONF_STRING, "DEFAULT", 0, 0, subject_rules,
           "How the subject of a client's certificate becomes a user: RULE:pattern/replacement/[LU], ..., "
           "DEFAULT (the whole "
           "subject); the first that fits counts."),
    OPT("authorizer.class.name", CONF_STRING, "", 0, 0, authorizer,
        "StandardAuthorizer turns access rules (ACLs) on; empty: everybody may everything."),
    OPT("super.users", CONF_STRING, "", 0, 0, super_users, "Who may everything: User:admin;User:other."),
    OPT("allow.everyone.if.no.acl.found", CONF_BOOL, "false", 0, 0, allow_if_no_acl,
        "What no access rule names is open to everybody."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.jwks.endpoint.url", CONF_STRING, "", 0, 0, jwks_url,
           "File with the public keys of tokens, file:///path/to/jwks.json; read again when it changes."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.expected.audience", CONF_LIST, "", 0, 0, audiences,
           "One of these must be in a token's aud; empty: tokens with an aud are refused."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.expected.issuer", CONF_STRING, "", 0, 0, issuer,
           "What a token's iss must be; empty: anything."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.expected.scope", CONF_LIST, "", 0, 0, scopes,
           "All of these must be in a token's scope."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.scope.claim.name", CONF_STRING, "scope", 0, 0, scope_claim,
           "Where a token has its scope: a list, or words in a string."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.sub.claim.name", CONF_STRING, "sub", 0, 0, sub_claim,
           "Where a token has the user's name."),
    SCOPED(CONF_MECHANISM, "sasl.oauthbearer.clock.skew.seconds", CONF_INT, "30", 0, 3600, clock_skew_s,
           "How far the clocks of issuer and server may be apart."),
    OPT("delegation.token.secret.key", CONF_PASSWORD, "", 0, 0, token_secret,
        "Secret that delegation tokens are made of; without it there are none. Another one ends all tokens."),
    OPT("delegation.token.max.lifetime.ms", CONF_DURATION_MS, "7d", 1, INT64_C(1) << 50, token_life_ms_max,
        "Longest life of a delegation token, however often it is renewed."),
    OPT("delegation.token.expiry.time.ms", CONF_DURATION_MS, "1d", 1, INT64_C(1) << 50, token_expiry_ms,
        "Time until which a delegation token must be renewed."),
    OPT("delegation.token.expiry.check.interval.ms", CONF_DURATION_MS, "1h", 1, INT64_C(1) << 50,
        token_check_ms, "How often delegation tokens that have ended are taken away."),
};

const struct conf_table auth_conf_table = {"security", options, COUNT_OF(options),
                                           sizeof(struct auth_config)};

void auth_config_init(struct auth_config *config)
{
    static struct str mechanisms[] = {STR_INIT("SCRAM-SHA-256"), STR_INIT("SCRAM-SHA-512")};
    struct err err;
    struct arena arena = {0}; /* texts of defaults are set again below, as literals */
    struct conf *conf = conf_new();
    memset(config, 0, sizeof *config);
    bool good = conf_read(conf, &auth_conf_table, config, &arena, &err);
    ASSERT(good);
    conf_free(conf);
    arena_fini(&arena);
    struct str *empty[] = {&config->authorizer, &config->super_users, &config->bootstrap_users,
                           &config->jwks_url,   &config->issuer,      &config->token_secret};
    for (size_t i = 0; i < COUNT_OF(empty); i++)
        *empty[i] = STR("");
    config->mechanisms = (struct conf_list){mechanisms, COUNT_OF(mechanisms)};
    config->audiences = config->scopes = (struct conf_list){0};
    config->subject_rules = STR("DEFAULT");
    config->scope_claim = STR("scope");
    config->sub_claim = STR("sub");
}

static void copy_list(struct conf_list *list, struct arena *arena)
{
    struct str *at = arena_array(arena, struct str, list->len);
    for (size_t i = 0; i < list->len; i++)
        at[i] = str_dup(list->at[i], arena);
    list->at = at;
}

void auth_config_copy(struct auth_config *c, const struct auth_config *given, struct arena *arena)
{
    *c = *given;
    struct str *texts[] = {&c->authorizer,    &c->super_users, &c->bootstrap_users,
                           &c->subject_rules, &c->jwks_url,    &c->issuer,
                           &c->scope_claim,   &c->sub_claim,   &c->token_secret};
    struct conf_list *lists[] = {&c->mechanisms, &c->audiences, &c->scopes};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = str_dup(*texts[i], arena);
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        copy_list(lists[i], arena);
}
