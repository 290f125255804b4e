/* text_case.c - capital and small letters as java.lang.String has them in the root locale.
 *
 * Simple mappings come from utf8proc; the unconditional special cases of Unicode's SpecialCasing that
 * change the length are in a table. ASCII takes a short way.
 */
#include <utf8proc.h>

#include "func/func_int.h"

static const struct {
    uint32_t code_point;
    const char *upper;
} special_upper[] = {
    {0x00df, "SS"},
    {0x0149, "\u02bcN"},
    {0x01f0, "J\u030c"},
    {0x0390, "\u0399\u0308\u0301"},
    {0x03b0, "\u03a5\u0308\u0301"},
    {0x0587, "\u0535\u0552"},
    {0x1e96, "H\u0331"},
    {0x1e97, "T\u0308"},
    {0x1e98, "W\u030a"},
    {0x1e99, "Y\u030a"},
    {0x1e9a, "A\u02be"},
    {0xfb00, "FF"},
    {0xfb01, "FI"},
    {0xfb02, "FL"},
    {0xfb03, "FFI"},
    {0xfb04, "FFL"},
    {0xfb05, "ST"},
    {0xfb06, "ST"},
};

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

static struct str map_text(struct str s, bool upper, struct arena *arena)
{
    struct buf text = {0};
    for (size_t at = 0, len; at < s.len; at += len) {
        uint32_t c = text_decode(str_sub(s, at, s.len), &len);
        const char *special = NULL;
        for (size_t i = 0; upper && c >= 0xdf && i < COUNT_OF(special_upper) && special == NULL; i++)
            if (special_upper[i].code_point == c)
                special = special_upper[i].upper;
        if (special != NULL)
            buf_append_cstr(&text, special);
        else
            text_append(&text,
                        (uint32_t)(upper ? utf8proc_toupper((int32_t)c) : utf8proc_tolower((int32_t)c)));
    }
    struct str copy = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return copy;
}

struct str text_upper(struct str s, struct arena *arena)
{
    return is_ascii(s) ? str_upper(s, arena) : map_text(s, true, arena);
}

struct str text_lower(struct str s, struct arena *arena)
{
    return is_ascii(s) ? str_lower(s, arena) : map_text(s, false, arena);
}
