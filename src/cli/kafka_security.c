/* kafka_security.c - how the command line gets in where not everybody may: TLS and SASL for the Kafka client.
 *
 *   --command-config FILE      the file that Kafka's own tools take (client.properties): security.protocol, sasl.mechanism,
 *                              sasl.jaas.config or sasl.username and sasl.password, ssl.truststore.location, ...
 *   connect -> TLS handshake -> SaslHandshake -> SaslAuthenticate ... -> ApiVersions and all else
 *
 * Stores are PEM files. Names that the command line has no use for are refused, so that a wrong one is seen.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "auth/auth.h"
#include "cli/cli_int.h"
#include "cli/kafka_int.h"
#include "cli/sock_int.h"
#include "conf/conf.h"
#include "net/net.h"

enum { SASL_HANDSHAKE = 17, SASL_AUTHENTICATE = 36 };
enum { PROTOCOL_PLAINTEXT, PROTOCOL_SSL, PROTOCOL_SASL_PLAINTEXT, PROTOCOL_SASL_SSL };

static const char *const protocol_words[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", NULL};
static const char *const pem_words[] = {"PEM", NULL};

struct client_options {
    int protocol;
    struct str brokers, mechanism, jaas, username, password, truststore, ca, keystore, identification;
    int truststore_type, keystore_type;
};

#define CLIENT(member) CONF_AT(struct client_options, member)

static const struct conf_option options[] = {
    {"security.protocol", CONF_ENUM, "PLAINTEXT", CLIENT(protocol), .words = protocol_words,
     .doc = "How the server is talked to."},
    {"bootstrap.servers", CONF_STRING, "", CLIENT(brokers),
     .doc = "Where the server is, unless --brokers says it."},
    {"sasl.mechanism", CONF_STRING, "SCRAM-SHA-256", CLIENT(mechanism),
     .doc = "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."},
    {"sasl.jaas.config", CONF_PASSWORD, "", CLIENT(jaas),
     .doc = "Java's way to give username=\"...\" password=\"...\" (and tokenauth=\"true\": they are a "
            "delegation token's)."},
    {"sasl.username", CONF_STRING, "", CLIENT(username), .doc = "The user."},
    {"sasl.password", CONF_PASSWORD, "", CLIENT(password), .doc = "The user's password."},
    {"ssl.truststore.location", CONF_STRING, "", CLIENT(truststore),
     .doc = "PEM file by which the server is judged; else what the system trusts."},
    {"ssl.truststore.type", CONF_ENUM, "PEM", CLIENT(truststore_type), .words = pem_words, .doc = "PEM."},
    {"ssl.ca.location", CONF_STRING, "", CLIENT(ca), .doc = "librdkafka's name of ssl.truststore.location."},
    {"ssl.endpoint.identification.algorithm", CONF_STRING, "https", CLIENT(identification),
     .doc = "Empty: the server's certificate may be for another host."},
    {"ssl.keystore.location", CONF_STRING, "", CLIENT(keystore),
     .doc = "PEM file with a key and certificate of one's own."},
    {"ssl.keystore.type", CONF_ENUM, "PEM", CLIENT(keystore_type), .words = pem_words, .doc = "PEM."},
};

static const struct conf_table client_table = {"client", options, COUNT_OF(options),
                                               sizeof(struct client_options)};

/* --- the file --- */

/* The value of name="..." in Java's line. */
static struct str jaas_value(struct str line, const char *name, struct arena *arena)
{
    struct str start = str_printf(arena, " %s=\"", name);
    ptrdiff_t at = str_find(line, start);
    if (at < 0)
        return STR("");
    struct str rest = str_sub(line, (size_t)at + start.len, SIZE_MAX);
    return str_sub(rest, 0, (size_t)MAX(str_find_char(rest, '"'), 0));
}

static bool finish_options(struct client_options *o, struct kafka_security *out, struct arena *arena,
                           struct err *err)
{
    struct str truststore = o->truststore.len != 0 ? o->truststore : o->ca;
    out->tls = o->protocol == PROTOCOL_SSL || o->protocol == PROTOCOL_SASL_SSL;
    out->sasl = o->protocol == PROTOCOL_SASL_PLAINTEXT || o->protocol == PROTOCOL_SASL_SSL;
    out->mechanism = o->mechanism;
    out->brokers = o->brokers;
    out->any_host = o->identification.len == 0;
    out->username = o->username.len != 0 ? o->username : jaas_value(o->jaas, "username", arena);
    out->password = o->password.len != 0 ? o->password : jaas_value(o->jaas, "password", arena);
    out->by_token =
        str_find(o->jaas, STR(" tokenauth=\"true\"")) >= 0 || str_find(o->jaas, STR(" tokenauth=true")) >= 0;
    out->truststore = truststore.len != 0 ? str_cstr(truststore, arena) : NULL;
    out->keystore = o->keystore.len != 0 ? str_cstr(o->keystore, arena) : NULL;
    enum auth_mechanism mechanism = auth_mechanism_find(o->mechanism);
    if (out->sasl && (mechanism == AUTH_NONE || mechanism == AUTH_OAUTHBEARER))
        return err_set(err, ERR_USAGE, "sasl.mechanism=%.*s: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                       STR_ARG(o->mechanism));
    if (out->by_token && mechanism == AUTH_PLAIN)
        return err_set(err, ERR_USAGE, "tokenauth=true needs sasl.mechanism=SCRAM-SHA-256 or SCRAM-SHA-512");
    return !out->sasl || out->username.len != 0 ||
           err_set(err, ERR_USAGE,
                   "a SASL protocol needs sasl.username and sasl.password, or sasl.jaas.config");
}

bool kafka_security_read(struct str path, struct kafka_security **out, struct arena *arena, struct err *err)
{
    struct client_options read;
    struct buf text = {0};
    struct conf *conf = conf_new();
    conf_add_table(conf, &client_table);
    *out = arena_new(arena, struct kafka_security);
    bool good = cli_read_file(path, &text, err) &&
                conf_parse(conf, buf_str(&text), str_cstr(path, arena), err) && conf_check(conf, err) &&
                conf_read(conf, &client_table, &read, arena, err) && finish_options(&read, *out, arena, err);
    conf_free(conf);
    buf_fini(&text);
    if (!good)
        err_context(err, "--command-config");
    return good;
}

/* --- bytes --- */

/* Waits for what TLS waits for. */
static bool wait_tls(struct kafka *kafka, const struct kafka_node *node, int64_t deadline_ms, struct err *err)
{
    short events = tls_events(node->tls) == LOOP_WRITE ? POLLOUT : POLLIN;
    return cli_sock_wait(node->fd, events, deadline_ms, kafka->stop_fd, err);
}

bool kafka_link_write(struct kafka *kafka, struct kafka_node *node, struct str bytes, int64_t deadline_ms,
                      struct err *err)
{
    if (node->tls == NULL)
        return cli_sock_write(node->fd, bytes, deadline_ms, kafka->stop_fd, err);
    while (bytes.len > 0) {
        ssize_t n = tls_write(node->tls, bytes.ptr, bytes.len);
        if (n > 0)
            bytes = str_sub(bytes, (size_t)n, SIZE_MAX);
        else if (errno != EAGAIN)
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
        else if (!wait_tls(kafka, node, deadline_ms, err))
            return false;
    }
    return true;
}

bool kafka_link_read(struct kafka *kafka, struct kafka_node *node, struct buf *in, int64_t deadline_ms,
                     struct err *err)
{
    enum { PIECE_BYTES = 64 << 10 };
    if (node->tls == NULL)
        return cli_sock_read(node->fd, in, deadline_ms, kafka->stop_fd, err);
    for (;;) {
        buf_reserve(in, PIECE_BYTES);
        ssize_t n = tls_read(node->tls, in->ptr + in->len, PIECE_BYTES);
        if (n > 0) {
            in->len += (size_t)n;
            in->ptr[in->len] = '\0';
            return true;
        }
        if (n == 0)
            return err_set(err, ERR_UNAVAILABLE, "the server closed the connection");
        if (errno != EAGAIN)
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
        if (!wait_tls(kafka, node, deadline_ms, err))
            return false;
    }
}

/* --- getting in --- */

static bool start_tls(struct kafka *kafka, struct kafka_node *node, struct str host, int64_t deadline_ms,
                      struct err *err)
{
    struct tls_client_options tls = {.host = host,
                                     .truststore = kafka->security->truststore,
                                     .keystore = kafka->security->keystore};
    const char *why = NULL;
    enum tls_result result;
    node->tls = tls_connect(node->fd, &tls, err);
    if (node->tls == NULL)
        return false;
    while ((result = tls_handshake(node->tls, &why)) == TLS_BLOCKED)
        if (!wait_tls(kafka, node, deadline_ms, err))
            return false;
    return result == TLS_DONE || err_set(err, ERR_FORBIDDEN, "TLS with %.*s: %s", STR_ARG(host), why);
}

static bool handshake(struct kafka *kafka, struct kafka_node *node, struct arena *arena, struct err *err)
{
    struct SaslHandshakeRequest req = {.Mechanism = kafka->security->mechanism};
    struct SaslHandshakeResponse res;
    if (!kafka_call_node(kafka, node, wire_api_find(SASL_HANDSHAKE), 1, &req, &res, 0, arena, err))
        return false;
    return kafka_check(res.ErrorCode, STR_NULL, err, "SASL with %.*s", STR_ARG(req.Mechanism));
}

static bool authenticate(struct kafka *kafka, struct kafka_node *node, struct sasl_client *client,
                         struct arena *arena, struct err *err)
{
    struct buf token = {0};
    struct str answer = STR_NULL;
    bool good = true;
    enum sasl_result result;
    while ((result = sasl_client_step(client, answer, &token, err)) == SASL_CONTINUE && good) {
        struct SaslAuthenticateRequest req = {.AuthBytes = buf_str(&token)};
        struct SaslAuthenticateResponse res;
        good = kafka_call_node(kafka, node, wire_api_find(SASL_AUTHENTICATE), 1, &req, &res, 0, arena, err);
        if (good && res.ErrorCode != 0)
            good = err_set(err, ERR_FORBIDDEN, "%.*s", STR_ARG(res.ErrorMessage));
        if (!good)
            break;
        answer = res.AuthBytes;
        buf_clear(&token);
    }
    buf_fini(&token);
    return good && result == SASL_DONE;
}

static bool start_sasl(struct kafka *kafka, struct kafka_node *node, struct err *err)
{
    const struct kafka_security *security = kafka->security;
    struct arena arena = {0};
    uint8_t nonce[SASL_NONCE_BYTES];
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return err_set_errno(err, errno, "random numbers");
    struct sasl_client *client = sasl_client_new(auth_mechanism_find(security->mechanism), security->username,
                                                 security->password, nonce);
    if (security->by_token)
        sasl_client_by_token(client);
    bool good = handshake(kafka, node, &arena, err) && authenticate(kafka, node, client, &arena, err);
    sasl_client_free(client);
    arena_fini(&arena);
    return good;
}

bool kafka_security_start(struct kafka *kafka, struct kafka_node *node, struct str host, int64_t deadline_ms,
                          struct err *err)
{
    const struct kafka_security *security = kafka->security;
    return security == NULL || ((!security->tls || start_tls(kafka, node, host, deadline_ms, err)) &&
                                (!security->sasl || start_sasl(kafka, node, err)));
}
