/* json_int.h - private to json: the small checks that scanner and column reader share. */
#ifndef RIALTO_JSON_JSON_INT_H
#define RIALTO_JSON_JSON_INT_H

#include "json/json.h"

/* End of the number that starts at `at` by RFC 8259's grammar; NULL when none does. */
const char *json_number_end(const char *at, const char *end);

/* The text of a string whose inside (between the quotes) is `raw`, which holds escapes. A lone surrogate becomes U+FFFD.
 * On a bad escape: false and *bad at it. */
bool json_unescape(struct str raw, struct arena *arena, struct str *out, const char **bad);

/* "JSON is not valid at position 7: expected ':'" */
bool json_fail(struct err *err, size_t position, const char *what);

#endif
