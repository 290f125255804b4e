/* listener_options.c - options that one listener has of its own: listener.name.<listener>.[<mechanism>.]<option>, as in Kafka.
 *
 *   option tables (scope: listener, mechanism) --+
 *   listener.name.outside.ssl.client.auth=...  --+--> struct listener_options: the options as this listener has them
 *
 * <listener> and <mechanism> are in small letters, as Kafka writes them. Which options have such a scope is said by their
 * tables, nowhere else. What no listener or no table knows, and what a listener of that protocol would not use, is refused.
 * At the start, but for listener_option_*: those are pure, any thread.
 */
#include <ctype.h>

#include "broker/broker_int.h"
#include "conf/conf.h"

enum option_table { OF_BROKER, OF_AUTH, OF_TLS };

static const struct conf_table *const tables[] = {
    [OF_BROKER] = &broker_conf_table, [OF_AUTH] = &auth_conf_table, [OF_TLS] = &net_tls_conf_table};

/* What a name after "listener.name.<listener>." stands for. */
struct scoped_option {
    const struct conf_option *option;
    enum option_table table;
    enum auth_mechanism mechanism; /* AUTH_NONE: all of the listener */
};

/* "outside.ssl.client.auth" of "OUTSIDE": *rest goes on after the point. `lax`: a point stands for '_' and '-' too. */
static bool name_has_prefix(struct str name, struct str of, bool lax, struct str *rest)
{
    *rest = str_sub(name, of.len + 1, SIZE_MAX);
    bool fits = name.len > of.len + 1 && name.ptr[of.len] == '.';
    for (size_t i = 0; i < of.len && fits; i++)
        fits = name.ptr[i] == (char)tolower((unsigned char)of.ptr[i]) ||
               (lax && name.ptr[i] == '.' && (of.ptr[i] == '_' || of.ptr[i] == '-'));
    return fits;
}

static enum auth_mechanism mechanism_of(struct str name, bool lax, struct str *rest)
{
    for (int m = AUTH_NONE + 1; m < AUTH_MECHANISMS; m++)
        if (name_has_prefix(name, str_from(auth_mechanism_name((enum auth_mechanism)m)), lax, rest))
            return (enum auth_mechanism)m;
    *rest = name;
    return AUTH_NONE;
}

static bool find_option(struct str name, struct scoped_option *out, struct err *err)
{
    struct str rest;
    *out = (struct scoped_option){.mechanism = mechanism_of(name, false, &rest)};
    enum conf_scope wanted = out->mechanism != AUTH_NONE ? CONF_MECHANISM : CONF_LISTENER;
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct conf_option *option = &tables[t]->options[i];
            if (!str_eq_cstr(rest, option->name))
                continue;
            out->option = option;
            out->table = (enum option_table)t;
            return option->scope >= wanted ||
                   err_set(err, ERR_INVALID_CONFIG, "%s cannot be set for one %s: it holds for %s",
                           option->name, wanted == CONF_MECHANISM ? "mechanism" : "listener",
                           option->scope == CONF_WHOLE ? "the whole server" : "all mechanisms of a listener");
        }
    return err_set(err, ERR_INVALID_CONFIG,
                   "there is no option %.*s; `rialto doc options` says which may be set for one listener",
                   STR_ARG(rest));
}

/* --- reading --- */

static bool starts_with_any(struct str name, const char *const *starts)
{
    for (; *starts != NULL; starts++)
        if (str_starts_with(name, str_from(*starts)))
            return true;
    return false;
}

/* An option that the listener's protocol has no use for is a mistake. */
static bool check_use(const struct kafka_listener *listener, const struct conf_option *option,
                      struct err *err)
{
    static const char *const of_tls[] = {"ssl.", NULL};
    static const char *const of_sasl[] = {"sasl.", "connections.max.reauth.ms", NULL};
    struct str name = str_from(option->name);
    bool no_tls = !listener->tls && starts_with_any(name, of_tls);
    bool no_sasl = !listener->sasl && starts_with_any(name, of_sasl);
    return (!no_tls && !no_sasl) || err_set(err, ERR_INVALID_CONFIG, "listener %.*s does not speak %s",
                                            STR_ARG(listener->name), no_tls ? "TLS" : "SASL");
}

static bool take_value(const struct kafka_listener *listener, struct listener_options *out,
                       const struct scoped_option *scoped, struct str text, struct err *err)
{
    const struct conf_option *option = scoped->option;
    struct arena *arena = &listener->broker->arena;
    if (!check_use(listener, option, err))
        return false;
    if (scoped->table == OF_BROKER)
        return conf_parse_value(option, text, (char *)&out->broker + option->offset, arena, err);
    if (scoped->table == OF_TLS) {
        out->own_tls = true;
        return conf_parse_value(option, text, (char *)&out->tls + option->offset, arena, err);
    }
    for (int m = 0; m < AUTH_MECHANISMS; m++)
        if ((scoped->mechanism == AUTH_NONE || scoped->mechanism == (enum auth_mechanism)m) &&
            !conf_parse_value(option, text, (char *)&out->auth[m] + option->offset, arena, err))
            return false;
    return true;
}

/* Options of the listener first: those of a mechanism are stronger. */
static bool read_scope(const struct kafka_listener *listener, bool of_mechanisms,
                       struct listener_options *out, struct err *err)
{
    const struct conf_pairs *pairs = &listener->broker->config.listener_options;
    for (size_t i = 0; i < pairs->len; i++) {
        struct scoped_option scoped;
        struct str rest;
        if (!name_has_prefix(pairs->at[i].name, listener->name, false, &rest) ||
            (find_option(rest, &scoped, NULL) && (scoped.mechanism != AUTH_NONE) != of_mechanisms))
            continue;
        if (!find_option(rest, &scoped, err) ||
            !take_value(listener, out, &scoped, pairs->at[i].value, err)) {
            err_context(err, LISTENER_OPTION "%.*s", STR_ARG(pairs->at[i].name));
            return false;
        }
    }
    return true;
}

static void put_small(char *to, struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        to[i] = (char)tolower((unsigned char)word.ptr[i]);
}

/* Variables of the environment have points for '_' and '-' (RIALTO_LISTENER_NAME_SASL_SSL_SCRAM_SHA_512_...): from here on the
 * listener's options are named as they are meant. */
static void spell_names(const struct kafka_listener *listener)
{
    const struct conf_pairs *pairs = &listener->broker->config.listener_options;
    for (size_t i = 0; i < pairs->len; i++) {
        struct str *name = &pairs->at[i].name, rest, option;
        if (!name_has_prefix(*name, listener->name, true, &rest))
            continue;
        enum auth_mechanism mechanism = mechanism_of(rest, true, &option);
        char *text = arena_dup(&listener->broker->arena, name->ptr, name->len);
        put_small(text, listener->name);
        if (mechanism != AUTH_NONE)
            put_small(text + listener->name.len + 1, str_from(auth_mechanism_name(mechanism)));
        *name = str_of(text, name->len);
    }
}

bool listener_options_read(const struct kafka_listener *listener, struct listener_options *out,
                           struct err *err)
{
    const struct broker *broker = listener->broker;
    spell_names(listener);
    *out = (struct listener_options){.broker = broker->config};
    if (broker->config.tls_options != NULL)
        out->tls = *broker->config.tls_options;
    for (int m = 0; m < AUTH_MECHANISMS; m++)
        out->auth[m] = *auth_config_of(broker->auth);
    return read_scope(listener, false, out, err) && read_scope(listener, true, out, err);
}

/* --- names --- */

static bool has_listener(const struct broker *broker, struct str name, struct str *rest)
{
    for (size_t i = 0; i < broker->listener_count; i++)
        if (name_has_prefix(name, broker->listeners[i].name, false, rest))
            return true;
    return false;
}

static bool is_prefix(void *arg, struct str listener_name)
{
    struct str rest;
    return name_has_prefix(*(const struct str *)arg, listener_name, true, &rest); /* spell_names settles it */
}

bool broker_config_check(const struct broker_config *config, struct err *err)
{
    const struct conf_pairs *pairs = &config->listener_options;
    for (size_t i = 0; i < pairs->len; i++)
        if (!kafka_listener_named(config->kafka_listen, is_prefix, &pairs->at[i].name))
            return err_set(err, ERR_INVALID_CONFIG,
                           LISTENER_OPTION "%.*s: kafka.listen has no listener of this name "
                                           "(here it is written in small letters)",
                           STR_ARG(pairs->at[i].name));
    return true;
}

const struct conf_option *listener_option_find(const struct broker *broker, struct str name)
{
    struct scoped_option scoped;
    struct str rest;
    bool known = str_starts_with(name, STR(LISTENER_OPTION)) &&
                 has_listener(broker, str_sub(name, strlen(LISTENER_OPTION), SIZE_MAX), &rest) &&
                 find_option(rest, &scoped, NULL);
    return known ? scoped.option : NULL;
}

struct str listener_option_given(const struct broker *broker, struct str name)
{
    const struct conf_pairs *pairs = &broker->config.listener_options;
    for (size_t i = 0; i < pairs->len && str_starts_with(name, STR(LISTENER_OPTION)); i++)
        if (str_eq(pairs->at[i].name, str_sub(name, strlen(LISTENER_OPTION), SIZE_MAX)))
            return pairs->at[i].value;
    return STR_NULL;
}

/* The form that Kafka's tools read: durations and sizes are plain numbers. */
static struct str plain_text(const struct conf_option *option, struct str text, struct arena *arena)
{
    int64_t number;
    bool unit = option != NULL && (option->type == CONF_SIZE || option->type == CONF_DURATION_MS);
    if (!unit || !conf_parse_value(option, text, &number, arena, NULL))
        return text;
    return str_printf(arena, "%lld", (long long)number);
}

void listener_config_chain(const struct broker *broker, struct str name,
                           struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena)
{
    int last = 0;
    config_chain(broker->storage, name, STR_NULL, chain, arena);
    while (chain[last].source != SOURCE_DEFAULT) /* it is no option: in the place of a default is null */
        last++;
    struct str given = listener_option_given(broker, name);
    chain[last] = (struct config_value){STR_NULL, 0};
    if (!str_is_null(given))
        chain[last] = (struct config_value){plain_text(listener_option_find(broker, name), given, arena),
                                            SOURCE_STATIC};
}
