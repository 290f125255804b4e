/* like.c - LIKE: % any run, _ one character, an escape makes the next character literal; the whole text
 * must match.
 *
 * Patterns with no wildcard but a % at either end are plain text searches. The general match walks both
 * texts and falls back to the last % on a mismatch: no recursion, no more steps than text length times
 * pattern length.
 */
#include "expr/expr_int.h"

/* Bytes of the character at the front of s (1 for a byte that starts none). */
static size_t char_len(struct str s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return MIN(len, s.len);
}

static bool is_wild(char c)
{
    return c == '%' || c == '_';
}

const struct like_pattern *like_compile(struct str pattern, struct str escape, struct arena *arena)
{
    struct like_pattern *like = arena_new(arena, struct like_pattern);
    *like = (struct like_pattern){LIKE_GENERAL, pattern, escape};
    if (escape.len > 0 && str_find(pattern, escape) >= 0)
        return like;
    bool open_start = pattern.len > 0 && pattern.ptr[0] == '%';
    bool open_end = pattern.len > 1 && pattern.ptr[pattern.len - 1] == '%';
    struct str inner = str_sub(pattern, open_start, pattern.len - open_start - open_end);
    for (size_t i = 0; i < inner.len; i++)
        if (is_wild(inner.ptr[i]))
            return like;
    like->text = inner;
    like->kind = open_start ? (open_end ? LIKE_CONTAINS : LIKE_SUFFIX) : open_end ? LIKE_PREFIX : LIKE_EXACT;
    return like;
}

/* One element of a pattern: a wildcard or a literal character; *rest moves behind it. */
static struct str next_element(struct str *rest, struct str escape, char *wild)
{
    if (escape.len > 0 && str_starts_with(*rest, escape) && rest->len > escape.len) {
        *rest = str_sub(*rest, escape.len, rest->len);
        *wild = 0;
    } else {
        *wild = is_wild(rest->ptr[0]) ? rest->ptr[0] : 0;
    }
    struct str element = str_sub(*rest, 0, char_len(*rest));
    *rest = str_sub(*rest, element.len, rest->len);
    return element;
}

static bool match_general(struct str pattern, struct str escape, struct str text)
{
    struct str retry_pattern = STR_NULL, retry_text = STR_NULL;
    while (text.len > 0 || pattern.len > 0) {
        if (pattern.len > 0) {
            struct str rest = pattern;
            char wild;
            struct str element = next_element(&rest, escape, &wild);
            if (wild == '%') {
                retry_pattern = pattern = rest;
                retry_text = text;
                continue;
            }
            if (text.len > 0 && (wild == '_' || str_starts_with(text, element))) {
                pattern = rest;
                text = str_sub(text, wild ? char_len(text) : element.len, text.len);
                continue;
            }
        }
        if (str_is_null(retry_pattern) || retry_text.len == 0)
            return false;
        retry_text = str_sub(retry_text, char_len(retry_text), retry_text.len);
        text = retry_text;
        pattern = retry_pattern;
    }
    return true;
}

bool like_match(const struct like_pattern *pattern, struct str text)
{
    switch (pattern->kind) {
    case LIKE_EXACT:
        return str_eq(text, pattern->text);
    case LIKE_PREFIX:
        return str_starts_with(text, pattern->text);
    case LIKE_SUFFIX:
        return str_ends_with(text, pattern->text);
    case LIKE_CONTAINS:
        return str_find(text, pattern->text) >= 0;
    case LIKE_GENERAL:
        return match_general(pattern->text, pattern->escape, text);
    }
    UNREACHABLE();
}
