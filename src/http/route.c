/* route.c - from method and path to a handler.
 *
 *   "/connectors/{name}/tasks/{id}/status"   literal > {param} > {rest*}, compared from left to right
 *
 * A path is split at '/' first and decoded after, so a name may hold an escaped slash. One trailing slash is
 * ignored, as the servers whose APIs these are do. "." and ".." are refused instead of resolved: no client
 * needs them.
 */
#include "http/http_int.h"

void route_entry_init(struct route_entry *entry, const struct http_route *route, void *arg)
{
    struct str rest = str_from(route->pattern), part;
    *entry = (struct route_entry){.route = route, .arg = arg};
    ASSERT(rest.len > 0 && rest.ptr[0] == '/');
    rest = rest.len > 1 ? str_sub(rest, 1, SIZE_MAX) : STR_NULL;
    while (str_split(&rest, '/', &part)) {
        ASSERT_CMP(entry->segment_count, <, HTTP_SEGMENTS_MAX);
        struct segment *segment = &entry->segments[entry->segment_count++];
        *segment = (struct segment){SEGMENT_LITERAL, part};
        if (part.len < 2 || part.ptr[0] != '{')
            continue;
        bool is_rest = str_ends_with(part, STR("*}"));
        ASSERT(part.ptr[part.len - 1] == '}' && (!is_rest || str_is_null(rest)));
        segment->kind = is_rest ? SEGMENT_REST : SEGMENT_PARAM;
        segment->text = str_sub(part, 1, part.len - 2 - is_rest);
    }
}

bool route_entry_same(const struct route_entry *a, const struct route_entry *b)
{
    if (strcmp(a->route->method, b->route->method) != 0 || a->segment_count != b->segment_count)
        return false;
    if ((a->route->flags & HTTP_WEBSOCKET) != (b->route->flags & HTTP_WEBSOCKET))
        return false;
    for (size_t i = 0; i < a->segment_count; i++) {
        if (a->segments[i].kind != b->segments[i].kind)
            return false;
        if (a->segments[i].kind == SEGMENT_LITERAL && !str_eq(a->segments[i].text, b->segments[i].text))
            return false;
    }
    return true;
}

struct path {
    struct str parts[64]; /* decoded */
    size_t offsets[64];   /* where each begins in the raw path */
    size_t count;
};

static bool path_split(struct str raw, struct arena *arena, struct path *path)
{
    struct str rest = raw.len > 1 ? str_sub(raw, 1, SIZE_MAX) : STR_NULL, part;
    path->count = 0;
    while (str_split(&rest, '/', &part)) {
        struct str decoded;
        if (part.len == 0 && str_is_null(rest) && path->count > 0)
            break; /* trailing slash */
        if (path->count == COUNT_OF(path->parts) || !http_url_decode(part, false, arena, &decoded))
            return false;
        if (str_eq(decoded, STR(".")) || str_eq(decoded, STR("..")) ||
            memchr(decoded.ptr, '\0', decoded.len) != NULL)
            return false;
        path->offsets[path->count] = (size_t)(part.ptr - raw.ptr);
        path->parts[path->count++] = decoded;
    }
    return true;
}

static bool entry_fits(const struct route_entry *entry, const struct path *path)
{
    size_t n = entry->segment_count;
    bool has_rest = n > 0 && entry->segments[n - 1].kind == SEGMENT_REST;
    if (has_rest ? path->count + 1 < n : path->count != n)
        return false;
    for (size_t i = 0; i < n && entry->segments[i].kind != SEGMENT_REST; i++) {
        if (entry->segments[i].kind == SEGMENT_LITERAL && !str_eq(entry->segments[i].text, path->parts[i]))
            return false;
        if (entry->segments[i].kind == SEGMENT_PARAM && path->parts[i].len == 0)
            return false;
    }
    return true;
}

/* Is a more specific than b for a path that both fit? */
static bool entry_beats(const struct route_entry *a, const struct route_entry *b)
{
    for (size_t i = 0; i < a->segment_count && i < b->segment_count; i++)
        if (a->segments[i].kind != b->segments[i].kind)
            return a->segments[i].kind > b->segments[i].kind;
    return a->segment_count > b->segment_count;
}

static bool method_fits(const struct route_entry *entry, struct str method, bool wants_ws)
{
    if (entry->route->flags & HTTP_WEBSOCKET && !wants_ws)
        return false;
    if (str_eq(method, STR("HEAD")))
        method = STR("GET");
    return str_eq_cstr(method, entry->route->method);
}

static void allow_add(struct route_match *match, const char *method)
{
    size_t len = strlen(match->allow);
    if (strstr(match->allow, method) != NULL || len + strlen(method) + 3 > sizeof match->allow)
        return;
    if (len > 0) {
        memcpy(match->allow + len, ", ", 2);
        len += 2;
    }
    memcpy(match->allow + len, method, strlen(method) + 1);
}

static void fill_params(struct route_match *match, const struct path *path, struct str raw,
                        struct arena *arena)
{
    const struct route_entry *entry = match->entry;
    for (size_t i = 0; i < entry->segment_count; i++) {
        if (entry->segments[i].kind == SEGMENT_PARAM)
            match->params[i] = path->parts[i];
        if (entry->segments[i].kind != SEGMENT_REST)
            continue;
        struct str rest = i < path->count ? str_sub(raw, path->offsets[i], SIZE_MAX) : STR("");
        if (!http_url_decode(rest, false, arena, &match->params[i]))
            match->params[i] = rest; /* path_split decoded its parts, so this cannot fail */
    }
}

bool route_find(const struct route_entry *entries, size_t count, struct str method, struct str path,
                bool wants_ws, struct arena *arena, struct route_match *match)
{
    struct path parts;
    *match = (struct route_match){0};
    if (path.len == 0 || path.ptr[0] != '/')
        return str_eq(path, STR("*")); /* OPTIONS *: no route, but well-formed */
    if (!path_split(path, arena, &parts))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct route_entry *entry = &entries[i];
        if (!entry_fits(entry, &parts))
            continue;
        match->path_known = true;
        allow_add(match, entry->route->method);
        if (!method_fits(entry, method, wants_ws)) {
            match->websocket_only = match->websocket_only || method_fits(entry, method, true);
            continue;
        }
        bool ws_first = wants_ws && match->entry != NULL && entry->route->flags & HTTP_WEBSOCKET &&
                        !entry_beats(match->entry, entry);
        if (match->entry == NULL || ws_first || entry_beats(entry, match->entry))
            match->entry = entry;
    }
    if (match->entry != NULL)
        fill_params(match, &parts, path, arena);
    return true;
}
