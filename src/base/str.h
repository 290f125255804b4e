/* str.h - a borrowed slice of bytes: pointer and length, not terminated, never owned.
 *
 * (T1) A `struct str` never owns memory; who made the bytes keeps them alive.
 * (T2) len 0 is the empty string; ptr may then be anything. "No string" is ptr NULL: str_is_null().
 * (T3) Text is UTF-8; functions here work on bytes unless their name says otherwise.
 */
#ifndef RIALTO_BASE_STR_H
#define RIALTO_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct str {
    const char *ptr;
    size_t len;
};

/* STR("literal") as an expression; STR_INIT("literal") in static tables; STR_ARG(s) for "%.*s". */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)               \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }
#define STR_ARG(s) (int)(s).len, (s).ptr
#define STR_NULL   ((struct str){NULL, 0})

static inline struct str str_of(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

/* Slice over a terminated string; NULL gives STR_NULL. */
static inline struct str str_from(const char *cstr)
{
    return cstr ? (struct str){cstr, strlen(cstr)} : STR_NULL;
}

static inline bool str_is_null(struct str s)
{
    return s.ptr == NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_eq_cstr(struct str a, const char *b)
{
    return str_eq(a, str_from(b));
}

/* ASCII case is ignored. */
bool str_eq_nocase(struct str a, struct str b);

/* Orders by unsigned bytes, shorter first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);

bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
bool str_starts_with_nocase(struct str s, struct str prefix);

/* Position of the first occurrence, or -1. */
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);

/* Part of s from `from`, at most `len` bytes; clipped to s. */
struct str str_sub(struct str s, size_t from, size_t len);

/* s without leading and trailing ASCII white space. */
struct str str_trim(struct str s);

/* Cuts the part before the next `sep` off *rest and puts it into *part; false when *rest is exhausted.
 * "a,,b" gives "a", "", "b"; "a," gives "a", ""; the empty string gives one empty part, STR_NULL gives none. */
bool str_split(struct str *rest, char sep, struct str *part);

/* Copies into the arena; the copy is followed by a NUL byte that len does not count. STR_NULL stays STR_NULL. */
struct str str_dup(struct str s, struct arena *arena);

/* Terminated copy in the arena. */
char *str_cstr(struct str s, struct arena *arena);

/* Upper- or lower-cased copy in the arena; ASCII only. */
struct str str_upper(struct str s, struct arena *arena);
struct str str_lower(struct str s, struct arena *arena);

/* printf into the arena. */
struct str str_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
