/* scan.c - the pull scanner: one pass, no tree, recursion by the caller.
 *
 *     scan_value      [ 1 , { "a" : true } ]
 *                     ^ opened            ^ scan_element says no more
 *
 * (S1) `at` is behind the last token; white space is passed before a token, never after it.
 * (S2) `fresh` is set by an opening bracket and cleared by the first element, member or end: it tells "["
 *      from ",".
 * (S3) Strings are checked eight bytes a step; only those with bytes beyond ASCII pass the UTF-8 check.
 */
#include "json/json_int.h"

bool json_fail(struct err *err, size_t position, const char *what)
{
    return err_set(err, ERR_SERIALIZATION, "JSON is not valid at position %zu: %s", position, what);
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    ASSERT((size_t)kind < COUNT_OF(names));
    return names[kind];
}

static bool scan_fail(struct json_scan *scan, const char *what)
{
    return json_fail(scan->err, (size_t)(scan->at - scan->start), what);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void pass_space(struct json_scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
}

const char *json_number_end(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    if (*at == '0')
        at++;
    else
        while (at < end && is_digit(*at))
            at++;
    if (at < end && *at == '.') {
        if (++at == end || !is_digit(*at))
            return NULL;
        while (at < end && is_digit(*at))
            at++;
    }
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (at == end || !is_digit(*at))
            return NULL;
        while (at < end && is_digit(*at))
            at++;
    }
    return at;
}

static int hex4(const char *at, const char *end)
{
    int code = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* \uXXXX at *at (behind the u), with its second half when it is a surrogate pair; -1 when malformed. */
static int32_t unicode_escape(const char **at, const char *end)
{
    int high = hex4(*at, end);
    if (high < 0)
        return -1;
    *at += 4;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high <= 0xdbff && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        int low = hex4(*at + 2, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *at += 6;
            return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

bool json_unescape(struct str raw, struct arena *arena, struct str *out, const char **bad)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    char *text = arena_alloc_bytes(arena, raw.len),
         *to = text; /* escapes are never shorter than what they stand for */
    for (const char *at = raw.ptr, *end = at + raw.len; at < end;) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape ? escape : end) - at);
        memcpy(to, at, run);
        to += run;
        if (escape == NULL)
            break;
        *bad = escape;
        if (end - escape < 2)
            return false;
        at = escape + 2;
        if (escape[1] == 'u') {
            int32_t code = unicode_escape(&at, end);
            if (code < 0)
                return false;
            to += utf8_encode((uint32_t)code, to);
            continue;
        }
        size_t i = 0;
        while (plain[i] != '\0' && plain[i] != escape[1])
            i += 2;
        if (plain[i] == '\0')
            return false;
        *to++ = plain[i + 1];
    }
    *out = str_of(text, (size_t)(to - text));
    return true;
}

/* Passes eight bytes a step while none of them is a quote, a backslash, a control or beyond ASCII. */
static const char *pass_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        uint64_t quote = eight ^ (ones * '"'), slash = eight ^ (ones * '\\');
        uint64_t stop = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (eight - ones * 0x20) | eight;
        if ((stop & highs) != 0)
            break;
        at += 8;
    }
    return at;
}

/* A string whose opening quote is at `at`. */
static bool scan_string(struct json_scan *scan, struct str *out)
{
    const char *first = ++scan->at;
    bool escapes = false, beyond_ascii = false;
    for (;;) {
        scan->at = pass_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return scan_fail(scan, "the string does not end");
        unsigned char c = (unsigned char)*scan->at;
        if (c == '"')
            break;
        if (c < 0x20)
            return scan_fail(scan, "control characters in strings must be escaped");
        if (c == '\\') {
            escapes = true;
            if (++scan->at == scan->end)
                continue;
        }
        beyond_ascii |= c >= 0x80;
        scan->at++;
    }
    *out = str_of(first, (size_t)(scan->at - first));
    scan->at++;
    if (beyond_ascii) {
        size_t valid = utf8_valid_len(*out);
        if (valid != out->len)
            return json_fail(scan->err, (size_t)(first - scan->start) + valid, "bytes are not UTF-8");
    }
    const char *bad;
    if (escapes && !json_unescape(*out, scan->arena, out, &bad))
        return json_fail(scan->err, (size_t)(bad - scan->start), "unknown escape");
    return true;
}

static bool scan_word(struct json_scan *scan, struct str word)
{
    if ((size_t)(scan->end - scan->at) < word.len || memcmp(scan->at, word.ptr, word.len) != 0)
        return scan_fail(scan, "expected a value");
    scan->at += word.len;
    return true;
}

static bool scan_number(struct json_scan *scan, struct str *out)
{
    const char *end = json_number_end(scan->at, scan->end);
    if (end == NULL)
        return scan_fail(scan, *scan->at == '-' || is_digit(*scan->at) ? "the number is malformed"
                                                                       : "expected a value");
    *out = str_of(scan->at, (size_t)(end - scan->at));
    scan->at = end;
    return true;
}

static bool scan_open(struct json_scan *scan)
{
    if (scan->depth == JSON_DEPTH_MAX)
        return scan_fail(scan, "arrays and objects are nested too deeply");
    scan->depth++;
    scan->at++;
    scan->fresh = true;
    return true;
}

void json_scan_init(struct json_scan *scan, struct str text, struct arena *arena, struct err *err)
{
    const char *start = text.ptr != NULL ? text.ptr : "";
    *scan =
        (struct json_scan){.start = start, .at = start, .end = start + text.len, .arena = arena, .err = err};
}

bool json_scan_value(struct json_scan *scan, struct json_token *out)
{
    pass_space(scan);
    if (scan->at == scan->end)
        return scan_fail(scan, "expected a value, the text ends");
    out->str = STR_NULL;
    out->b = false;
    switch (*scan->at) {
    case '{':
        out->kind = JSON_OBJECT;
        return scan_open(scan);
    case '[':
        out->kind = JSON_ARRAY;
        return scan_open(scan);
    case '"':
        out->kind = JSON_STRING;
        return scan_string(scan, &out->str);
    case 't':
        out->kind = JSON_BOOL;
        out->b = true;
        return scan_word(scan, STR("true"));
    case 'f':
        out->kind = JSON_BOOL;
        return scan_word(scan, STR("false"));
    case 'n':
        out->kind = JSON_NULL;
        return scan_word(scan, STR("null"));
    default:
        out->kind = JSON_NUMBER;
        return scan_number(scan, &out->str);
    }
}

/* Before the next part of a container: its end, or the comma that must stand between two parts. */
static bool scan_next(struct json_scan *scan, char close, bool *more)
{
    pass_space(scan);
    bool fresh = scan->fresh;
    scan->fresh = false;
    if (scan->at < scan->end && *scan->at == close) {
        ASSERT(scan->depth > 0);
        scan->depth--;
        scan->at++;
        *more = false;
        return true;
    }
    *more = true;
    if (fresh)
        return true;
    if (scan->at == scan->end || *scan->at != ',')
        return scan_fail(scan, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
    scan->at++;
    return true;
}

bool json_scan_element(struct json_scan *scan, bool *more)
{
    return scan_next(scan, ']', more);
}

bool json_scan_member(struct json_scan *scan, struct str *name, bool *more)
{
    if (!scan_next(scan, '}', more))
        return false;
    if (!*more)
        return true;
    pass_space(scan);
    if (scan->at == scan->end || *scan->at != '"')
        return scan_fail(scan, "expected a member name");
    if (!scan_string(scan, name))
        return false;
    pass_space(scan);
    if (scan->at == scan->end || *scan->at != ':')
        return scan_fail(scan, "expected ':'");
    scan->at++;
    return true;
}

/* Walks without recursion: one bit a level remembers whether the container is an object. */
bool json_scan_skip(struct json_scan *scan, struct str *raw)
{
    pass_space(scan);
    const char *first = scan->at;
    uint32_t base = scan->depth;
    uint64_t objects[JSON_DEPTH_MAX / 64 + 1] = {0};
    do {
        bool more = true;
        if (scan->depth > base) {
            uint32_t level = scan->depth - 1;
            struct str name;
            bool object = objects[level / 64] >> level % 64 & 1;
            if (object ? !json_scan_member(scan, &name, &more) : !json_scan_element(scan, &more))
                return false;
        }
        if (!more)
            continue;
        struct json_token token;
        if (!json_scan_value(scan, &token))
            return false;
        if (token.kind == JSON_OBJECT || token.kind == JSON_ARRAY) {
            uint32_t level = scan->depth - 1;
            uint64_t bit = (uint64_t)1 << level % 64;
            objects[level / 64] &= ~bit;
            objects[level / 64] |= token.kind == JSON_OBJECT ? bit : 0;
        }
    } while (scan->depth > base);
    if (raw != NULL)
        *raw = str_of(first, (size_t)(scan->at - first));
    return true;
}

bool json_scan_end(struct json_scan *scan)
{
    pass_space(scan);
    return scan->at == scan->end || scan_fail(scan, "text after the value");
}

bool json_peek_kind(struct str text, enum json_kind *out)
{
    size_t i = 0;
    while (i < text.len && is_space(text.ptr[i]))
        i++;
    if (i == text.len)
        return false;
    char c = text.ptr[i];
    *out = c == '{'               ? JSON_OBJECT
           : c == '['             ? JSON_ARRAY
           : c == '"'             ? JSON_STRING
           : c == 't' || c == 'f' ? JSON_BOOL
           : c == 'n'             ? JSON_NULL
                                  : JSON_NUMBER;
    return true;
}
