/* url.c - parts of URLs and the encoding of their parameters.
 *
 *   scheme ":" [ "//" [ user "@" ] host [ ":" port ] ] path [ "?" query ] [ "#" fragment ]
 *
 * Split as java.net.URI does; a text with characters that no URI may have is not one, and its parts are
 * NULL.
 */
#include <ctype.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

struct url {
    struct str scheme, host, path, query, fragment; /* null when absent */
    int port;                                       /* -1 when absent */
};

/* Cuts off what stands behind the first c; STR_NULL when there is none. */
static struct str cut_behind(struct str *s, char c)
{
    ptrdiff_t at = str_find_char(*s, c);
    if (at < 0)
        return STR_NULL;
    struct str behind = str_of(s->ptr + at + 1, s->len - (size_t)at - 1);
    s->len = (size_t)at;
    return behind;
}

static struct str scheme_of(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == ':' && i > 0)
            return str_sub(s, 0, i);
        if (!(isalpha(c) || (i > 0 && (isdigit(c) || c == '+' || c == '-' || c == '.'))))
            break;
    }
    return STR_NULL;
}

static void split_authority(struct url *url, struct str authority)
{
    ptrdiff_t user = str_rfind_char(authority, '@');
    struct str host = user < 0 ? authority : str_sub(authority, (size_t)user + 1, authority.len);
    ptrdiff_t bracket = str_rfind_char(host, ']'), colon = str_rfind_char(host, ':');
    int32_t port;
    if (colon > bracket) {
        if (str_to_i32(str_sub(host, (size_t)colon + 1, host.len), &port) && port >= 0)
            url->port = port;
        host.len = (size_t)colon;
    }
    if (host.len > 0)
        url->host = host;
}

static bool legal(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
            return false;
        if (c == '%' && !(i + 2 < s.len && isxdigit((unsigned char)s.ptr[i + 1]) &&
                          isxdigit((unsigned char)s.ptr[i + 2])))
            return false;
    }
    return true;
}

static bool parse(struct func_ctx *ctx, struct str text, struct url *url)
{
    *url = (struct url){.port = -1};
    if (!legal(text)) {
        func_fail(ctx, "'%.*s' is not a valid URL", STR_ARG(text));
        return false;
    }
    url->fragment = cut_behind(&text, '#');
    url->query = cut_behind(&text, '?');
    url->scheme = scheme_of(text);
    if (!str_is_null(url->scheme))
        text = str_sub(text, url->scheme.len + 1, text.len);
    if (str_starts_with(text, STR("//"))) {
        text = str_sub(text, 2, text.len);
        ptrdiff_t slash = str_find_char(text, '/');
        size_t end = slash < 0 ? text.len : (size_t)slash;
        split_authority(url, str_sub(text, 0, end));
        text = str_sub(text, end, text.len);
    }
    url->path = text;
    return true;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* application/x-www-form-urlencoded; false on a broken escape. */
static bool decode(struct str s, bool plus_is_blank, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '+' && plus_is_blank) {
            buf_append_char(out, ' ');
        } else if (s.ptr[i] == '%') {
            if (i + 2 >= s.len || !isxdigit((unsigned char)s.ptr[i + 1]) ||
                !isxdigit((unsigned char)s.ptr[i + 2]))
                return false;
            buf_append_char(out, (char)(hex_digit(s.ptr[i + 1]) << 4 | hex_digit(s.ptr[i + 2])));
            i += 2;
        } else {
            buf_append_char(out, s.ptr[i]);
        }
    }
    return true;
}

/* A decoded part; escapes that do not spell valid text give NULL. */
static void decoded_part(struct func_ctx *ctx, struct str part, bool plus_is_blank, struct value *out)
{
    struct buf text = {0};
    if (!str_is_null(part) && decode(part, plus_is_blank, &text) && text_is_valid(buf_str(&text)))
        *out = func_take_text(ctx, &text);
    buf_fini(&text);
}

#define PART(name, member)                             \
    SCALAR(name)                                       \
    {                                                  \
        struct url url;                                \
        if (parse(ctx, value_slice(args[0]), &url))    \
            decoded_part(ctx, url.member, false, out); \
    }

PART(fn_fragment, fragment)
PART(fn_host, host)
PART(fn_path, path)
PART(fn_protocol, scheme)
PART(fn_query, query)

SCALAR(fn_port)
{
    struct url url;
    if (parse(ctx, value_slice(args[0]), &url) && url.port >= 0)
        *out = value_int(url.port);
}

SCALAR(fn_parameter)
{
    struct url url;
    struct str pair;
    if (!parse(ctx, value_slice(args[0]), &url))
        return;
    while (str_split(&url.query, '&', &pair)) {
        struct str value = cut_behind(&pair, '=');
        struct value name = VALUE_NULL;
        decoded_part(ctx, pair, true, &name);
        if (value_is_null(name) || !str_eq(value_slice(name), value_slice(args[1])))
            continue;
        if (str_is_null(value))
            *out = value_str(STR(""));
        else
            decoded_part(ctx, value, false, out);
        return;
    }
}

SCALAR(fn_decode)
{
    struct buf text = {0};
    if (decode(value_slice(args[0]), true, &text) && text_is_valid(buf_str(&text)))
        *out = func_take_text(ctx, &text);
    else
        func_fail(ctx, "url_decode udf encountered an encoding exception while decoding '%.*s'",
                  STR_ARG(value_slice(args[0])));
    buf_fini(&text);
}

SCALAR(fn_encode)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < args[0].len; i++) {
        unsigned char c = (unsigned char)args[0].ptr[i];
        if (isalnum(c) || c == '.' || c == '-' || c == '*' || c == '_')
            buf_append_char(&text, (char)c);
        else if (c == ' ')
            buf_append_char(&text, '+');
        else
            buf_printf(&text, "%%%02X", c);
    }
    *out = func_take_text(ctx, &text);
}

#define ONE(name, fn, result) \
    static const struct func_sig name[] = {{"(input STRING) " result, .scalar = fn, .strict = true}}

ONE(decode_sigs, fn_decode, "STRING");
ONE(encode_sigs, fn_encode, "STRING");
ONE(fragment_sigs, fn_fragment, "STRING");
ONE(host_sigs, fn_host, "STRING");
ONE(path_sigs, fn_path, "STRING");
ONE(port_sigs, fn_port, "INTEGER");
ONE(protocol_sigs, fn_protocol, "STRING");
ONE(query_sigs, fn_query, "STRING");
static const struct func_sig parameter_sigs[] = {
    {"(input STRING, paramToFind STRING) STRING", .scalar = fn_parameter, .strict = true}};

#define URL(name, sigs, text) FUNC(name, "URL", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    URL("url_decode_param", decode_sigs, "Decodes a text from the form of URL parameters."),
    URL("url_encode_param", encode_sigs, "Encodes a text into the form of URL parameters."),
    URL("url_extract_fragment", fragment_sigs, "The fragment of a URL, behind its #."),
    URL("url_extract_host", host_sigs, "The host of a URL."),
    URL("url_extract_parameter", parameter_sigs, "The value of a named parameter of a URL."),
    URL("url_extract_path", path_sigs, "The path of a URL."),
    URL("url_extract_port", port_sigs, "The port of a URL."),
    URL("url_extract_protocol", protocol_sigs, "The protocol of a URL."),
    URL("url_extract_query", query_sigs, "The query of a URL, behind its ?."),
};

const struct func_family family_url = {funcs, COUNT_OF(funcs)};
