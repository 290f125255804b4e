/* listeners.c - the Kafka listeners: their options, what clients are told of them, the warning when anybody may come.
 *
 *   kafka.listen      127.0.0.1:9092, OUTSIDE://0.0.0.0:9093           [NAME://]host:port; no name: PLAINTEXT
 *   kafka.advertise   OUTSIDE://kafka.example:9093                     by name; else the address listened on
 *   listener.security.protocol.map   OUTSIDE:SASL_SSL                  the four protocols' own names need no entry
 *
 * Metadata, FindCoordinator and DescribeCluster answer with the address of the listener that the request came in on, so a
 * client that came through one door is never sent to another.
 */
#include "broker/broker_int.h"

enum { LISTENERS_MAX = 8 };

static const struct {
    const char *name;
    bool tls, sasl;
} protocols[] = {{"PLAINTEXT", false, false},
                 {"SSL", true, false},
                 {"SASL_PLAINTEXT", false, true},
                 {"SASL_SSL", true, true}};

static bool protocol_find(struct str name, struct kafka_listener *listener)
{
    for (size_t i = 0; i < COUNT_OF(protocols); i++)
        if (str_eq_cstr(name, protocols[i].name)) {
            listener->tls = protocols[i].tls;
            listener->sasl = protocols[i].sasl;
            return true;
        }
    return false;
}

/* "NAME:PROTOCOL" into both; false: it is none. */
static bool split_protocol(struct str entry, struct str *name, struct kafka_listener *listener)
{
    ptrdiff_t colon = str_find_char(entry, ':');
    *name = str_trim(str_sub(entry, 0, (size_t)MAX(colon, 0)));
    return name->len != 0 && protocol_find(str_trim(str_sub(entry, (size_t)colon + 1, SIZE_MAX)), listener);
}

/* Entries of listeners that are not there as well. */
static bool check_protocols(struct str map, struct err *err)
{
    struct kafka_listener none = {0};
    struct str entry, name;
    while (str_split(&map, ',', &entry)) {
        entry = str_trim(entry);
        if (entry.len != 0 && !split_protocol(entry, &name, &none))
            return err_set(err, ERR_INVALID_CONFIG,
                           "listener.security.protocol.map: '%.*s' is no name with PLAINTEXT, SSL, "
                           "SASL_PLAINTEXT or SASL_SSL behind a colon",
                           STR_ARG(entry));
    }
    return true;
}

/* The protocol of a listener's name: the map first, as in Kafka. */
static bool set_protocol(struct kafka_listener *listener, struct str map, struct err *err)
{
    struct kafka_listener mapped = {0};
    struct str entry, name;
    while (str_split(&map, ',', &entry))
        if (split_protocol(str_trim(entry), &name, &mapped) && str_eq(name, listener->name)) {
            listener->tls = mapped.tls;
            listener->sasl = mapped.sasl;
            return true;
        }
    return protocol_find(listener->name, listener) ||
           err_set(
               err, ERR_INVALID_CONFIG,
               "kafka.listen: no protocol is known by the name %.*s; listener.security.protocol.map can say "
               "%.*s:SASL_SSL",
               STR_ARG(listener->name), STR_ARG(listener->name));
}

/* "NAME://host:port" into both. */
static void split_entry(struct str entry, struct str *name, struct str *address)
{
    ptrdiff_t at = str_find(entry, STR("://"));
    *name = at >= 0 ? str_sub(entry, 0, (size_t)at) : STR("PLAINTEXT");
    *address = at >= 0 ? str_sub(entry, (size_t)at + 3, SIZE_MAX) : entry;
}

/* The entry of kafka.advertise for the listener; null: none. */
static struct str advertised(const struct broker *broker, struct str listener_name)
{
    struct str rest = broker->config.kafka_advertise, entry, name, address;
    while (str_split(&rest, ',', &entry)) {
        split_entry(str_trim(entry), &name, &address);
        if (address.len != 0 && str_eq(name, listener_name))
            return address;
    }
    return STR_NULL;
}

/* The address that clients are told: never one that cannot be connected to. */
static bool choose_address(struct kafka_listener *listener, struct str listen, struct err *err)
{
    struct broker *broker = listener->broker;
    struct str host, address = advertised(broker, listener->name);
    int port = net_listener_port(listener->net);
    if (!net_address_split(str_is_null(address) ? listen : address, port, &host, &listener->port, err)) {
        err_context(err, "kafka.advertise");
        return false;
    }
    bool anywhere = host.len == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));
    if (!str_is_null(address) && anywhere)
        return err_set(err, ERR_INVALID_CONFIG, "kafka.advertise: clients cannot connect to '%.*s'",
                       STR_ARG(address));
    if (str_is_null(address)) {
        listener->port = port;
        host = anywhere ? STR("localhost") : host;
    }
    listener->host = str_dup(host, &broker->arena);
    return true;
}

/* Anybody, or only who has proved who he is? */
static void warn_if_open(const struct kafka_listener *listener)
{
    struct str address = net_listener_address(listener->net);
    bool proves = listener->sasl || (listener->tls && net_tls_requires_client(listener->certificate));
    if (net_listener_is_loopback(listener->net))
        return;
    if (!proves)
        log_warn("broker", "listener_open",
                 "address=%.*s risk=\"anybody who reaches this address can read, write and delete all "
                 "topics%s: this "
                 "listener does not ask who it is (kafka.listen=SASL_SSL://... does)\"",
                 STR_ARG(address), auth_is_on(listener->broker->auth) ? " that rules leave open" : "");
    if (listener->sasl && !listener->tls && auth_mechanism_is_on(listener->auth, AUTH_PLAIN))
        log_warn("broker", "password_in_clear",
                 "address=%.*s risk=\"PLAIN sends passwords, and this listener does not encrypt\"",
                 STR_ARG(address));
}

/* For net_listen: why a connection from this address is refused, or NULL. */
static const char *admit(void *arg, struct str host)
{
    return quotas_admit(((const struct kafka_listener *)arg)->broker->quotas, host);
}

/* A limit as the listener has it; -1: none of its own. */
static int64_t own_limit(const struct kafka_listener *listener, const char *option)
{
    struct broker *broker = listener->broker;
    struct config_value chain[CONFIG_CHAIN_MAX];
    struct arena arena = {0};
    int64_t value = -1;
    struct str name = str_lower(listener->name, &arena);
    storage_topics_lock(broker->storage); /* settings are part of that state */
    listener_config_chain(broker, str_printf(&arena, LISTENER_OPTION "%.*s.%s", STR_ARG(name), option), chain,
                          &arena);
    if (!str_is_null(chain[0].value) && !str_to_i64(chain[0].value, &value))
        value = -1; /* checked when it was set */
    storage_topics_unlock(broker->storage);
    arena_fini(&arena);
    return value;
}

/* max.connections and max.connection.creation.rate are the broker's as a whole (net_limit), and one more limit of a listener
 * that has its own. */
static struct net_limits limits_of(const struct kafka_listener *listener)
{
    const struct broker *broker = listener->broker;
    return (struct net_limits){.conn_max = MAX(own_limit(listener, "max.connections"), 0),
                               .conn_max_per_host = LIVE(broker, connections_per_ip_max),
                               .conn_rate_max = MAX(own_limit(listener, "max.connection.creation.rate"), 0)};
}

void kafka_listeners_limit(struct broker *broker)
{
    net_limit(broker->net, LIVE(broker, connections_max), LIVE(broker, connection_rate_max));
    for (size_t i = 0; i < broker->listener_count; i++) {
        struct net_limits limits = limits_of(&broker->listeners[i]);
        net_listener_limit(broker->listeners[i].net, &limits);
    }
}

/* Certificates, mechanisms and keys, by the options of the listener. */
static bool secure(struct kafka_listener *listener, struct err *err)
{
    struct broker *broker = listener->broker;
    struct listener_options options;
    if (!listener_options_read(listener, &options, err))
        return false;
    if (listener->tls && options.own_tls) {
        listener->own_certificate = net_tls_new(&options.tls, err);
        if (listener->own_certificate == NULL)
            return false;
    }
    if (listener->tls)
        listener->certificate =
            listener->own_certificate != NULL ? listener->own_certificate : broker->config.tls;
    if (listener->tls && listener->certificate == NULL)
        return err_set(err, ERR_INVALID_CONFIG, "listener %.*s speaks TLS: ssl.keystore.location must be set",
                       STR_ARG(listener->name));
    if (listener->sasl && options.auth[AUTH_NONE].mechanisms.len == 0)
        return err_set(err, ERR_INVALID_CONFIG,
                       "listener %.*s speaks SASL: sasl.enabled.mechanisms must not be empty",
                       STR_ARG(listener->name));
    listener->auth = auth_listener_new(broker->auth, options.auth, err);
    return listener->auth != NULL && security_read_keys(listener, err);
}

static bool open_listener(struct kafka_listener *listener, struct str entry, struct err *err)
{
    struct broker *broker = listener->broker;
    const struct broker_config *config = &broker->config;
    struct str name, address;
    split_entry(entry, &name, &address);
    listener->name = str_dup(name, &broker->arena);
    if (!set_protocol(listener, config->listener_protocols, err))
        return false;
    if (!secure(listener, err))
        return false;
    struct net_listen_options options = {
        .limits = limits_of(listener),
        .admit = admit,
        .idle_ms = config->connections_idle_ms_max,
        .tls = listener->certificate,
        .handshake_ms = auth_config_of(broker->auth)->setup_ms_max,
    };
    listener->net = net_listen(broker->net, address, &kafka_conn_class, listener, &options, err);
    if (listener->net == NULL || !choose_address(listener, address, err))
        return false;
    warn_if_open(listener);
    return true;
}

bool kafka_listener_named(struct str listen, bool (*fits)(void *arg, struct str name), void *arg)
{
    struct str entry, name, address;
    bool found = false;
    while (!found && str_split(&listen, ',', &entry)) {
        split_entry(str_trim(entry), &name, &address);
        found = address.len != 0 && fits(arg, name);
    }
    return found;
}

static bool is_name(void *arg, struct str name)
{
    return str_eq(name, *(const struct str *)arg);
}

/* What is advertised of a listener that is not there would tell nobody anything. */
static bool check_advertised(const struct broker *broker, struct err *err)
{
    struct str rest = broker->config.kafka_advertise, entry, name, address;
    while (str_split(&rest, ',', &entry)) {
        split_entry(str_trim(entry), &name, &address);
        if (address.len != 0 && !kafka_listener_named(broker->config.kafka_listen, is_name, &name))
            return err_set(err, ERR_INVALID_CONFIG,
                           "kafka.advertise=%.*s: kafka.listen has no listener of the name %.*s",
                           STR_ARG(str_trim(entry)), STR_ARG(name));
    }
    return true;
}

static bool open_all(struct broker *broker, struct err *err)
{
    if (!check_protocols(broker->config.listener_protocols, err) || !check_advertised(broker, err))
        return false;
    struct str rest = broker->config.kafka_listen, entry;
    broker->listeners = arena_zalloc(&broker->arena, LISTENERS_MAX, sizeof *broker->listeners);
    while (str_split(&rest, ',', &entry)) {
        entry = str_trim(entry);
        if (entry.len == 0)
            continue;
        if (broker->listener_count == LISTENERS_MAX)
            return err_set(err, ERR_INVALID_CONFIG, "kafka.listen has more than %d addresses", LISTENERS_MAX);
        struct kafka_listener *listener = &broker->listeners[broker->listener_count];
        listener->broker = broker;
        pthread_mutex_init(&listener->token_keys.lock, NULL);
        if (!open_listener(listener, entry, err)) {
            err_context(err, "Kafka listener");
            return false;
        }
        broker->listener_count++;
    }
    return true;
}

void kafka_listeners_free(struct broker *broker)
{
    for (size_t i = 0; broker->listeners != NULL && i < LISTENERS_MAX; i++) {
        struct kafka_listener *listener = &broker->listeners[i];
        if (listener->broker == NULL) /* also one that did not open is begun */
            continue;
        auth_listener_free(listener->auth);
        net_tls_free(listener->own_certificate);
        buf_fini(&listener->token_keys.text);
        pthread_mutex_destroy(&listener->token_keys.lock);
    }
}

bool kafka_listen(struct broker *broker, struct err *err)
{
    for (size_t i = 0; i < broker_api_count; i++) {
        const struct wire_api *api = wire_api_find(broker_apis[i].api_key);
        broker->request_meters[broker_apis[i].api_key] =
            metric_counter(broker->metrics, "rialto_kafka_requests_total", LABELS({"api", api->name}));
    }
    broker->refused_meter = metric_counter(broker->metrics, "rialto_kafka_refused_requests_total", NO_LABELS);
    pthread_mutex_lock(&broker->address_lock);
    bool good = open_all(broker, err);
    pthread_mutex_unlock(&broker->address_lock);
    return good;
}

int broker_kafka_port(const struct broker *broker)
{
    return broker->listener_count != 0 ? net_listener_port(broker->listeners[0].net) : 0;
}

struct str broker_kafka_addresses(const struct broker *broker, struct arena *arena)
{
    struct buf out = {0};
    for (size_t i = 0; i < broker->listener_count; i++) {
        const struct kafka_listener *listener = &broker->listeners[i];
        buf_append_cstr(&out, i != 0 ? "," : "");
        if (!str_eq(listener->name, STR("PLAINTEXT")))
            buf_printf(&out, "%.*s://", STR_ARG(listener->name));
        buf_append_str(&out, net_listener_address(listener->net));
    }
    struct str text = str_dup(buf_str(&out), arena);
    buf_fini(&out);
    return text;
}
