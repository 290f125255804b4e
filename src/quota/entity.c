/* entity.c - whom a quota is for, as the name of a resource: "user=alice,client-id=<default>".
 *
 * Characters that have a meaning in such a name, and all that are not plain, are written as % and two hex digits: every
 * entity comes back.
 */
#include "quota/quota.h"

const char *const quota_type_names[QUOTA_TYPES] = {"user", "client-id", "ip"};

static const char default_word[] = "<default>";

int quota_type_find(struct str name)
{
    for (int i = 0; i < QUOTA_TYPES; i++)
        if (str_eq_cstr(name, quota_type_names[i]))
            return i;
    return -1;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == ':';
}

void quota_entity_name(const struct quota_entity *entity, struct buf *out)
{
    for (int i = 0; i < QUOTA_TYPES; i++) {
        const struct quota_part *part = &entity->parts[i];
        if (!part->present)
            continue;
        buf_printf(out, "%s%s=", out->len == 0 ? "" : ",", quota_type_names[i]);
        if (str_is_null(part->name))
            buf_append_cstr(out, default_word);
        for (size_t j = 0; j < part->name.len; j++) {
            char c = part->name.ptr[j];
            if (is_plain(c))
                buf_append_char(out, c);
            else
                buf_printf(out, "%%%02x", (unsigned char)c);
        }
    }
}

static bool unescape(struct str text, struct str *out, struct arena *arena)
{
    struct buf plain = {0};
    bool good = true;
    for (size_t i = 0; i < text.len && good; i++) {
        if (text.ptr[i] != '%')
            buf_append_char(&plain, text.ptr[i]);
        else if ((good = buf_append_hex_decoded(&plain, str_sub(text, i + 1, 2)) && i + 2 < text.len))
            i += 2;
    }
    *out = str_dup(buf_str(&plain), arena);
    buf_fini(&plain);
    return good;
}

bool quota_entity_parse(struct str name, struct quota_entity *out, struct arena *arena)
{
    struct str rest = name, one;
    memset(out, 0, sizeof *out);
    while (str_split(&rest, ',', &one)) {
        ptrdiff_t at = str_find_char(one, '=');
        int type = at < 0 ? -1 : quota_type_find(str_sub(one, 0, (size_t)at));
        if (type < 0)
            return false;
        struct str text = str_sub(one, (size_t)at + 1, one.len);
        out->parts[type].present = true;
        out->parts[type].name = STR_NULL;
        if (!str_eq_cstr(text, default_word) && !unescape(text, &out->parts[type].name, arena))
            return false;
    }
    return true;
}
