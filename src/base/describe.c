/* describe.c - items as lines of text, and the fields that several modules have. */
#include "base/base.h"

void describe_hex32(struct describe *out, const char *name, uint32_t n)
{
    char bytes[4];
    struct buf hex = {0};
    store_be32(bytes, n);
    buf_append_hex(&hex, str_of(bytes, sizeof bytes));
    describe_text(out, name, buf_str(&hex));
    buf_fini(&hex);
}

void describe_check(struct describe *out, bool good, const char *why)
{
    describe_cstr(out, "check", good ? "ok" : why);
}

void describe_damage(struct describe *out, int64_t at, int depth, uint64_t bytes, const char *why)
{
    describe_begin(out, at, depth, "damaged");
    describe_number(out, "bytes", (int64_t)bytes);
    describe_cstr(out, "why", why);
    describe_end(out);
}

/* Lines ------------------------------------------------------------------------------------------------------------ */

static struct buf *buf_of(struct describe *out)
{
    return ((struct describe_lines *)out)->out;
}

static void line_begin(struct describe *out, int64_t at, int depth, const char *what)
{
    struct buf *buf = buf_of(out);
    if (at >= 0)
        buf_printf(buf, "@0x%08llx ", (unsigned long long)at);
    else
        buf_append_cstr(buf, "            ");
    buf_printf(buf, "%*s%s", 2 * depth, "", what);
}

static void line_number(struct describe *out, const char *name, int64_t n)
{
    buf_printf(buf_of(out), " %s=%lld", name, (long long)n);
}

static void line_flag(struct describe *out, const char *name, bool yes)
{
    buf_printf(buf_of(out), " %s=%s", name, yes ? "true" : "false");
}

static bool needs_quotes(struct str bytes)
{
    static const char *const words[] = {"", "null"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq_cstr(bytes, words[i]))
            return true;
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.ptr[i] <= ' ' || bytes.ptr[i] == '"' || bytes.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Characters of valid UTF-8 as they are, everything else as \xNN. */
static void append_printable(struct buf *buf, struct str bytes)
{
    while (bytes.len != 0) {
        size_t valid = utf8_valid_len(bytes);
        for (size_t i = 0; i < valid; i++) {
            unsigned char c = (unsigned char)bytes.ptr[i];
            if (c < 0x20 || c == 0x7f || c == '\\')
                buf_printf(buf, c == '\\' ? "\\%c" : "\\x%02x", c);
            else
                buf_append_char(buf, (char)c);
        }
        if (valid < bytes.len)
            buf_printf(buf, "\\x%02x", (unsigned char)bytes.ptr[valid]);
        bytes = str_sub(bytes, valid + 1, SIZE_MAX);
    }
}

static void line_text(struct describe *out, const char *name, struct str bytes)
{
    struct buf *buf = buf_of(out);
    bool quoted = !str_is_null(bytes) && needs_quotes(bytes);
    buf_printf(buf, " %s=%s", name, quoted ? "\"" : "");
    if (str_is_null(bytes))
        buf_append_cstr(buf, "null");
    else
        append_printable(buf, bytes);
    if (quoted)
        buf_append_char(buf, '"');
}

static void line_json(struct describe *out, const char *name, struct str json)
{
    buf_printf(buf_of(out), " %s=%.*s", name, STR_ARG(json));
}

static void line_end(struct describe *out)
{
    buf_append_char(buf_of(out), '\n');
}

void describe_lines_init(struct describe_lines *lines, struct buf *out)
{
    *lines = (struct describe_lines){
        {line_begin, line_number, line_flag, line_text, line_json, line_end},
        out,
    };
}
