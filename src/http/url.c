/* url.c - what a request says, read by handlers: escapes, query parameters, Accept, Accept-Encoding. */
#include "http/http_int.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 32);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool http_url_decode(struct str text, bool plus_is_space, struct arena *arena, struct str *out)
{
    char *at = arena_alloc_bytes(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3)
                return false;
            int high = hex_value(text.ptr[i + 1]);
            int low = hex_value(text.ptr[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        at[len++] = c;
    }
    at[len] = '\0';
    *out = str_of(at, len);
    return true;
}

struct str header_find(const struct http_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_cstr(headers[i].name, name))
            return headers[i].value;
    return STR_NULL;
}

struct str http_header(const struct http_request *req, const char *name)
{
    return header_find(req->headers, req->header_count, name);
}

struct str http_param(const struct http_request *req, const char *name)
{
    const struct exchange *ex = (const struct exchange *)req;
    const struct route_entry *entry = ex->match.entry;
    for (size_t i = 0; entry != NULL && i < entry->segment_count; i++)
        if (entry->segments[i].kind != SEGMENT_LITERAL && str_eq_cstr(entry->segments[i].text, name))
            return ex->match.params[i];
    return STR_NULL;
}

bool http_query_next(struct http_request *req, size_t *pos, struct str *name, struct str *value)
{
    while (*pos < req->query.len) {
        struct str rest = str_sub(req->query, *pos, SIZE_MAX), pair;
        str_split(&rest, '&', &pair);
        *pos += pair.len + 1;
        if (pair.len == 0)
            continue;
        ptrdiff_t equals = str_find_char(pair, '=');
        struct str raw_name = equals < 0 ? pair : str_sub(pair, 0, (size_t)equals);
        struct str raw_value = equals < 0 ? STR("") : str_sub(pair, (size_t)equals + 1, SIZE_MAX);
        /* A malformed escape stands for itself, as it does in most servers. */
        if (!http_url_decode(raw_name, true, req->arena, name))
            *name = raw_name;
        if (!http_url_decode(raw_value, true, req->arena, value))
            *value = raw_value;
        return true;
    }
    return false;
}

struct str http_query(struct http_request *req, const char *name)
{
    struct str at, value;
    for (size_t pos = 0; http_query_next(req, &pos, &at, &value);)
        if (str_eq_cstr(at, name))
            return value;
    return STR_NULL;
}

/* One element of Accept or Accept-Encoding: its name, and its weight in thousandths. */
static bool next_weighted(struct str *list, struct str *name, int *weight)
{
    struct str part, param;
    while (str_split(list, ',', &part)) {
        str_split(&part, ';', name);
        *name = str_trim(*name);
        *weight = 1000;
        while (!str_is_null(part) && str_split(&part, ';', &param)) {
            double q;
            param = str_trim(param);
            if (str_starts_with_nocase(param, STR("q=")) && str_to_double(str_sub(param, 2, SIZE_MAX), &q))
                *weight = q <= 0 ? 0 : q >= 1 ? 1000 : (int)(q * 1000);
        }
        if (name->len > 0)
            return true;
    }
    return false;
}

/* 3 for the type itself, 2 for "type/" + "*", 1 for everything, 0 for no match. */
static int specificity(struct str range, struct str type)
{
    if (str_eq_nocase(range, type))
        return 3;
    if (str_eq(range, STR("*/*")) || str_eq(range, STR("*")))
        return 1;
    ptrdiff_t slash = str_find_char(range, '/');
    bool wild = slash > 0 && str_eq(str_sub(range, (size_t)slash, SIZE_MAX), STR("/*"));
    return wild && str_starts_with_nocase(type, str_sub(range, 0, (size_t)slash + 1)) ? 2 : 0;
}

/* Rank of a type by the range of the list that fits it best: weight, then specificity, then the client's
 * order. -1 when it is not accepted. */
static int64_t accept_rank(struct str list, struct str type)
{
    struct str range;
    int weight, best_specific = 0, order = 0;
    int64_t rank = -1;
    for (; next_weighted(&list, &range, &weight); order++) {
        int specific = specificity(range, type);
        if (specific <= best_specific)
            continue;
        best_specific = specific;
        rank = weight == 0 ? -1 : (int64_t)weight * 1000000 + specific * 100000 - MIN(order, 99999);
    }
    return rank;
}

int http_accept(const struct http_request *req, const char *const *types, size_t count)
{
    struct str list = http_header(req, "accept");
    int best = -1;
    int64_t best_rank = -1;
    if (str_is_null(list) || str_trim(list).len == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        int64_t rank = accept_rank(list, str_from(types[i]));
        if (rank > best_rank) {
            best_rank = rank;
            best = (int)i;
        }
    }
    return best;
}

bool http_accept_encoding(const struct http_request *req, const char *coding)
{
    struct str list = http_header(req, "accept-encoding"), name;
    int weight, star = 0;
    while (!str_is_null(list) && next_weighted(&list, &name, &weight)) {
        if (str_eq_nocase(name, str_from(coding)))
            return weight > 0;
        if (str_eq(name, STR("*")))
            star = weight;
    }
    return star > 0;
}
