/* guard.c - keeps web pages of other origins away from all routes.
 *
 * A page on the web may send requests to 127.0.0.1, and by DNS rebinding may even look like same-origin.
 * Three headers tell: a browser always sends Host, sends Origin with everything that can change something,
 * and current ones send Sec-Fetch-Site with everything. Programs send no Origin and no Sec-Fetch-Site and are
 * not hindered.
 *
 *   Host             on a loopback connection: a loopback name, the local address or a configured name, else
 *                    421; on others only if names are configured (a LAN name cannot be guessed here)
 *   Origin           absent, or the scheme, host and port that the request itself went to, or configured, else
 *                    403; "null" is foreign
 *   Sec-Fetch-Site   same-origin or none; or a configured Origin; or a top-level navigation to a page that
 *                    allows it; else 403
 */
#include "http/http_int.h"

/* Host without port; the brackets of an IPv6 address are dropped. */
static struct str host_name(struct str authority)
{
    if (authority.len > 0 && authority.ptr[0] == '[') {
        ptrdiff_t close = str_find_char(authority, ']');
        return close < 0 ? authority : str_sub(authority, 1, (size_t)close - 1);
    }
    ptrdiff_t colon = str_rfind_char(authority, ':');
    return colon < 0 ? authority : str_sub(authority, 0, (size_t)colon);
}

/* 127.x.y.z with decimal parts only: "127.evil.example" is a name. */
static bool is_loopback_v4(struct str host)
{
    if (!str_starts_with(host, STR("127.")))
        return false;
    int dots = 0;
    for (size_t i = 0; i < host.len; i++) {
        dots += host.ptr[i] == '.';
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
            return false;
    }
    return dots == 3;
}

static bool is_loopback_name(struct str host)
{
    if (str_ends_with(host, STR("."))) /* the same name, fully qualified */
        host.len--;
    return str_eq_nocase(host, STR("localhost")) || str_eq(host, STR("::1")) || is_loopback_v4(host) ||
           (host.len > 10 && str_eq_nocase(str_sub(host, host.len - 10, 10), STR(".localhost")));
}

static bool is_listed(struct str text, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (str_eq_nocase(text, str_from(*list)))
            return true;
    return false;
}

static bool host_allowed(const struct guard_rules *rules, const struct guard_facts *facts)
{
    struct str host = host_name(facts->host);
    bool has_list = rules->hosts != NULL && rules->hosts[0] != NULL;
    if (facts->host.len == 0)
        return !facts->needs_host;
    if (!facts->on_loopback && !has_list)
        return true;
    return is_loopback_name(host) || str_eq_nocase(host, facts->local_host) || is_listed(host, rules->hosts);
}

/* "host:port" without the default port of the scheme. */
static struct str without_port(struct str authority, struct str port)
{
    return str_ends_with(authority, port) ? str_sub(authority, 0, authority.len - port.len) : authority;
}

static bool origin_is_ours(struct str origin, struct str host)
{
    static const struct {
        struct str scheme, port;
    } schemes[] = {{STR_INIT("http://"), STR_INIT(":80")}, {STR_INIT("https://"), STR_INIT(":443")}};
    for (size_t i = 0; i < COUNT_OF(schemes) && host.len > 0; i++)
        if (str_starts_with_nocase(origin, schemes[i].scheme))
            return str_eq_nocase(without_port(str_sub(origin, schemes[i].scheme.len, SIZE_MAX),
                                              schemes[i].port),
                                 without_port(host, schemes[i].port));
    return false;
}

static bool is_navigation(const struct guard_facts *facts)
{
    return facts->is_navigable && str_eq(facts->method, STR("GET")) &&
           str_eq(header_find(facts->headers, facts->header_count, "sec-fetch-mode"), STR("navigate")) &&
           str_eq(header_find(facts->headers, facts->header_count, "sec-fetch-dest"), STR("document"));
}

int guard_check(const struct guard_rules *rules, const struct guard_facts *facts, const char **why,
                struct str *cors)
{
    struct str origin = header_find(facts->headers, facts->header_count, "origin");
    struct str site = header_find(facts->headers, facts->header_count, "sec-fetch-site");
    *cors = STR_NULL;
    if (!host_allowed(rules, facts)) {
        *why = "this server does not answer to that host name; add it to http.hosts";
        return 421;
    }
    bool listed = !str_is_null(origin) && is_listed(origin, rules->origins);
    if (listed) {
        *cors = origin;
        return 0;
    }
    if (!str_is_null(origin) && !origin_is_ours(origin, facts->host)) {
        *why = "requests from pages of other origins are refused; add the origin to http.cors.origins";
        return 403;
    }
    bool own = str_is_null(site) || str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
    if (!own && !is_navigation(facts)) {
        *why = "requests from pages of other origins are refused; add the origin to http.cors.origins";
        return 403;
    }
    return 0;
}
