/* utf8.h - UTF-8: is it, one character, repair. The strict form: no surrogates, no overlong bytes, up to
 * U+10FFFF. */
#ifndef RIALTO_BASE_UTF8_H
#define RIALTO_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

/* Eight bytes a step while they are ASCII. */
bool utf8_valid(struct str s);

/* Position of the first byte that is not part of a valid character; s.len when there is none. */
size_t utf8_valid_len(struct str s);

/* Bytes of the character at `at` (1 to 4) with its code point in *code; 0 when it is malformed or cut. */
int utf8_decode(const char *at, const char *end, uint32_t *code);

/* Writes the character, returns its bytes. `code` must be a scalar value (no surrogate, at most U+10FFFF). */
int utf8_encode(uint32_t code, char out[4]);

/* s itself when it is valid, else a copy with U+FFFD in place of malformed bytes, as Java's decoder
 * replaces them. */
struct str utf8_repair(struct str s, struct arena *arena);

#endif
