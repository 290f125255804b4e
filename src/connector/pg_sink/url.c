/* url.c - connection.url to libpq's parameters.
 *
 *   jdbc:postgresql://host:port,host2:port/database?user=u&sslmode=require     the driver's parameters are translated
 *   postgresql://...                                                          libpq's own, taken as it is
 */
#include "connector/pg_sink/pg_sink_int.h"

static void add(struct pg_params *out, const char *name, struct str value, struct arena *arena)
{
    if (out->count + 1 >= COUNT_OF(out->names))
        return;
    out->names[out->count] = name;
    out->values[out->count++] = str_cstr(value, arena);
}

static bool decode(struct str text, struct str *out, struct arena *arena, struct err *err)
{
    char *at = arena_alloc_bytes(arena, text.len + 1);
    size_t len = 0;
    struct buf hex = {0};
    bool good = true;
    for (size_t i = 0; i < text.len && good; i++) {
        if (text.ptr[i] == '%') {
            buf_clear(&hex);
            good = i + 2 < text.len && buf_append_hex_decoded(&hex, str_sub(text, i + 1, 2)) &&
                   hex.ptr[0] != '\0';
            at[len++] = good ? hex.ptr[0] : '\0';
            i += 2;
        } else {
            at[len++] = text.ptr[i] == '+' ? ' ' : text.ptr[i];
        }
    }
    buf_fini(&hex);
    *out = str_of(at, len);
    return good ||
           err_set(err, ERR_INVALID_CONFIG, "connection.url: a %% must be followed by two hex digits");
}

/* Parameters of the JDBC driver that mean something here; those that only tune the driver are known and skipped. */
static const struct {
    const char *jdbc, *libpq;
} translations[] = {
    {"user", "user"},
    {"password", "password"},
    {"sslmode", "sslmode"},
    {"sslrootcert", "sslrootcert"},
    {"sslcert", "sslcert"},
    {"sslkey", "sslkey"},
    {"ApplicationName", "application_name"},
    {"options", "options"},
    {"loginTimeout", "connect_timeout"},
    {"connectTimeout", "connect_timeout"},
    {"targetServerType", NULL},
    {"reWriteBatchedInserts", NULL},
    {"prepareThreshold", NULL},
    {"stringtype", NULL},
    {"tcpKeepAlive", NULL},
    {"socketTimeout", NULL},
    {"defaultRowFetchSize", NULL},
    {"binaryTransfer", NULL},
};

static bool add_parameter(struct str name, struct str value, struct pg_params *out, struct arena *arena,
                          struct err *err)
{
    if (!decode(value, &value, arena, err))
        return false;
    if (str_eq(name, STR("currentSchema"))) {
        add(out, "options", str_printf(arena, "-c search_path=%.*s", STR_ARG(value)), arena);
        return true;
    }
    if (str_eq(name, STR("ssl"))) {
        if (!str_eq_nocase(value, STR("false")))
            add(out, "sslmode", STR("require"), arena);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(translations); i++) {
        if (!str_eq_cstr(name, translations[i].jdbc))
            continue;
        if (translations[i].libpq != NULL)
            add(out, translations[i].libpq, value, arena);
        return true;
    }
    return err_set(err, ERR_INVALID_CONFIG, "connection.url: the parameter %.*s is not known", STR_ARG(name));
}

/* host:port[,host:port] to libpq's two lists. */
static void add_hosts(struct str hosts, struct pg_params *out, struct arena *arena)
{
    struct buf names = {0}, ports = {0};
    struct str part;
    while (str_split(&hosts, ',', &part)) {
        ptrdiff_t colon = str_rfind_char(part, ':'), bracket = str_rfind_char(part, ']');
        struct str host = part, port = STR("5432");
        if (colon > bracket) {
            host = str_sub(part, 0, (size_t)colon);
            port = str_sub(part, (size_t)colon + 1, SIZE_MAX);
        }
        if (bracket > 0)
            host = str_sub(host, 1, (size_t)bracket - 1);
        buf_printf(&names, "%s%.*s", names.len != 0 ? "," : "", STR_ARG(host));
        buf_printf(&ports, "%s%.*s", ports.len != 0 ? "," : "", STR_ARG(port));
    }
    if (names.len != 0) {
        add(out, "host", buf_str(&names), arena);
        add(out, "port", buf_str(&ports), arena);
    }
    buf_fini(&names);
    buf_fini(&ports);
}

static bool parse_jdbc(struct str rest, struct pg_params *out, struct arena *arena, struct err *err)
{
    struct str query = STR_NULL, database = rest, name;
    ptrdiff_t mark = str_find_char(rest, '?');
    if (mark >= 0) {
        query = str_sub(rest, (size_t)mark + 1, SIZE_MAX);
        rest = database = str_sub(rest, 0, (size_t)mark);
    }
    if (str_starts_with(rest, STR("//"))) {
        rest = str_sub(rest, 2, SIZE_MAX);
        ptrdiff_t slash = str_find_char(rest, '/');
        struct str hosts = slash >= 0 ? str_sub(rest, 0, (size_t)slash) : rest;
        database = slash >= 0 ? str_sub(rest, (size_t)slash + 1, SIZE_MAX) : STR("");
        add_hosts(hosts, out, arena);
    } else {
        add(out, "host", STR("localhost"), arena);
    }
    if (!decode(database, &name, arena, err))
        return false;
    if (name.len != 0)
        add(out, "dbname", name, arena);
    struct str part;
    while (query.len != 0 && str_split(&query, '&', &part)) {
        ptrdiff_t equals = str_find_char(part, '=');
        struct str value = equals >= 0 ? str_sub(part, (size_t)equals + 1, SIZE_MAX) : STR("");
        struct str key = equals >= 0 ? str_sub(part, 0, (size_t)equals) : part;
        if (key.len != 0 && !add_parameter(key, value, out, arena, err))
            return false;
    }
    return true;
}

static bool parse_libpq(struct str url, struct pg_params *out, struct arena *arena, struct err *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(str_cstr(url, arena), &why);
    if (options == NULL) {
        err_set(err, ERR_INVALID_CONFIG, "connection.url: %.*s", STR_ARG(str_trim(str_from(why))));
        PQfreemem(why);
        return false;
    }
    for (PQconninfoOption *at = options; at->keyword != NULL; at++)
        if (at->val != NULL)
            add(out, str_cstr(str_from(at->keyword), arena), str_from(at->val), arena);
    PQconninfoFree(options);
    return true;
}

bool pg_url_parse(const struct pg_settings *settings, struct pg_params *out, struct arena *arena,
                  struct err *err)
{
    static const struct str jdbc = STR_INIT("jdbc:postgresql:");
    *out = (struct pg_params){0};
    bool done;
    if (str_starts_with(settings->url, jdbc))
        done = parse_jdbc(str_sub(settings->url, jdbc.len, SIZE_MAX), out, arena, err);
    else if (str_starts_with(settings->url, STR("postgresql:")) ||
             str_starts_with(settings->url, STR("postgres:")))
        done = parse_libpq(settings->url, out, arena, err);
    else
        done = err_set(err, ERR_INVALID_CONFIG,
                       "connection.url must begin with jdbc:postgresql: or postgresql: ; sinks for other "
                       "databases are not available in this version");
    if (!done)
        return false;
    add(out, "fallback_application_name", STR("rialto"), arena);
    add(out, "client_encoding", STR("UTF8"), arena);
    /* libpq takes the last of a name: the options win against the URL. */
    if (settings->user.len != 0)
        add(out, "user", settings->user, arena);
    if (settings->password.len != 0)
        add(out, "password", settings->password, arena);
    return true;
}
