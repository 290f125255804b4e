/* regex.cc - RE2 behind C functions: the one file of the module that is not C.
 *
 * (X1) No exception leaves this file: RE2 throws none, and allocation failure ends the process as everywhere.
 * (X2) A pattern's program is bounded by PROGRAM_BYTES_MAX; a larger one is refused as invalid.
 */
#include <re2/re2.h>

extern "C" {
#include "group/regex.h"
}

enum { PROGRAM_BYTES_MAX = 1 << 20 };

struct regex {
    RE2 re;
    regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

extern "C" struct regex *regex_new(struct str pattern, struct err *err)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(PROGRAM_BYTES_MAX);
    struct regex *made = new regex(re2::StringPiece(pattern.ptr, pattern.len), options);
    if (made->re.ok())
        return made;
    err_set(err, ERR_INVALID_REQUEST, "pattern '%.*s': %s", STR_ARG(pattern), made->re.error().c_str());
    delete made;
    return NULL;
}

extern "C" void regex_free(struct regex *regex)
{
    delete regex;
}

extern "C" bool regex_matches(const struct regex *regex, struct str text)
{
    return RE2::FullMatch(re2::StringPiece(text.ptr, text.len), regex->re);
}
