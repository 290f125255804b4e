/* regex.h - topic patterns of consumer groups: RE2's syntax, the one that KIP-848 names.
 *
 * RE2 matches in time linear to the text and within a memory limit, whatever a client sends; that, and that its syntax is
 * the specified one, is why it is used here and not PCRE2, which `func` has for SQL.
 */
#ifndef RIALTO_GROUP_REGEX_H
#define RIALTO_GROUP_REGEX_H

#include "base/base.h"

struct regex;

/* NULL: the pattern is not valid, or too large; *err (ERR_INVALID_REQUEST) says where. */
struct regex *regex_new(struct str pattern, struct err *err);
void regex_free(struct regex *regex);

/* The pattern matches the whole text. */
bool regex_matches(const struct regex *regex, struct str text);

#endif
