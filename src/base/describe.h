/* describe.h - what some bytes hold, told as items with named fields: for dumps.
 *
 *     a module (log, record, state ...)                         who asked (cli)
 *        describe_begin(out, 61, 1, "record")                     @0x0000003d   record offset=7 key=k
 *        describe_number(out, "offset", 7)               or       {"what":"record","at":61,"offset":7,"key":"k"}
 *        describe_end(out)
 *
 * The module knows what its bytes mean and nothing of text or JSON; the other way round for who asked. Names are the
 * same for ever; times end in _ms. One thread; slices are borrowed for the call.
 */
#ifndef RIALTO_BASE_DESCRIBE_H
#define RIALTO_BASE_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct describe {
    /* An item: where its bytes are (-1: not in the file as they are, decompressed for example), how deep it lies in
     * those before it (0: at the top), and what it is, in one word. */
    void (*begin)(struct describe *out, int64_t at, int depth, const char *what);
    void (*number)(struct describe *out, const char *name, int64_t n);
    void (*flag)(struct describe *out, const char *name, bool yes);
    void (*text)(struct describe *out, const char *name, struct str bytes); /* any bytes; STR_NULL is null */
    void (*json)(struct describe *out, const char *name, struct str json);  /* a value that is JSON already */
    void (*end)(struct describe *out);
};

static inline void describe_begin(struct describe *out, int64_t at, int depth, const char *what)
{
    out->begin(out, at, depth, what);
}

static inline void describe_number(struct describe *out, const char *name, int64_t n)
{
    out->number(out, name, n);
}

static inline void describe_flag(struct describe *out, const char *name, bool yes)
{
    out->flag(out, name, yes);
}

static inline void describe_text(struct describe *out, const char *name, struct str bytes)
{
    out->text(out, name, bytes);
}

static inline void describe_cstr(struct describe *out, const char *name, const char *s)
{
    out->text(out, name, str_from(s));
}

static inline void describe_json(struct describe *out, const char *name, struct str json)
{
    out->json(out, name, json);
}

static inline void describe_end(struct describe *out)
{
    out->end(out);
}

/* A checksum or a magic number: eight hex digits. */
void describe_hex32(struct describe *out, const char *name, uint32_t n);

/* The result of a check: "ok", or what is wrong. */
void describe_check(struct describe *out, bool good, const char *why);

/* A whole item that says that `bytes` bytes cannot be read, and why. */
void describe_damage(struct describe *out, int64_t at, int depth, uint64_t bytes, const char *why);

/* Items as lines of text: the address, two blanks for each depth, what it is, name=value. Values with blanks, quotes or
 * control characters are quoted; bytes that are no printable ASCII or UTF-8 are \xNN. */
struct describe_lines {
    struct describe describe;
    struct buf *out;
};

void describe_lines_init(struct describe_lines *lines, struct buf *out);

#endif
