/* json_int.h - private to json: the small checks that scanner and column reader share. */
#ifndef RIALTO_JSON_JSON_INT_H
#define RIALTO_JSON_JSON_INT_H

#include "json/json.h"

/* End of the number that starts at `at` by RFC 8259's grammar; NULL when none does. */
const char *json_number_end(const char *at, const char *end);

/* The text of a string whose inside (between the quotes) is `raw`, which holds escapes. A lone surrogate
 * becomes U+FFFD. On a bad escape: false and *bad at it. */
bool json_unescape(struct str raw, struct arena *arena, struct str *out, const char **bad);

/* "JSON is not valid at position 7: expected ':'" */
bool json_fail(struct err *err, size_t position, const char *what);

/* The shape of the objects of one reader: for the n-th member, the key seen there last and the columns it
 * belongs to. */
enum { JSON_SHAPE_MEMBERS = 128, JSON_SHAPE_KEY_BYTES = 47 };

struct json_match {
    int32_t exact; /* the column of this very name, or -1 */
    int32_t upper; /* the column named by the upper-cased name, when it is another one; or -1 */
};

struct json_shape_entry {
    struct json_match match;
    uint8_t key_len; /* 0: nothing seen yet */
    char key[JSON_SHAPE_KEY_BYTES + 8];
};

/* The key of the entry, with its closing quote, stands at `raw`. Reads up to JSON_SHAPE_KEY_BYTES + 8
 * bytes. */
static inline bool json_shape_fits(const struct json_shape_entry *entry, const char *raw)
{
    size_t n = entry->key_len;
    if (n == 0 || raw[n] != '"')
        return false;
    const char *key = entry->key;
    uint64_t x, y;
    for (; n >= 8; n -= 8, raw += 8, key += 8) {
        memcpy(&x, raw, 8);
        memcpy(&y, key, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, raw, 8);
    memcpy(&y, key, 8);
    return n == 0 || (x ^ y) << (64 - 8 * n) == 0;
}

/* Gives a member's value to the columns it belongs to: the exact name keeps what it has, of variants the
 * last counts. */
static inline void json_match_put(struct json_match match, const bool *wanted, struct json_field found,
                                  struct json_field *out)
{
    if (match.upper >= 0 && (wanted == NULL || wanted[match.upper]) && !out[match.upper].exact)
        out[match.upper] = found;
    found.exact = true;
    if (match.exact >= 0 && (wanted == NULL || wanted[match.exact]))
        out[match.exact] = found;
}

/* flat.c: reads a flat object of the remembered shape; false when the text is anything else (or broken):
 * the general reader must take it from its start, over cleared `out`. The text must be padded. */
bool json_flat_read(const struct json_shape_entry *shape, struct str text, const bool *wanted,
                    struct json_field *out);

#endif
