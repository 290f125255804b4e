/* conf.c - values from file, environment and --set, and reading them into structs.
 *
 *   by_name: "log.segment.bytes" -> {"1GiB", "rialto.conf", line 3}        the last one set wins
 *
 * (V1) A name is kept even if no table knows it: tables may be added later; conf_check tells what is left
 *      over.
 * (V2) A default is written as text in the table and goes through the same parser as a value, so that the
 *      printed reference cannot differ from what happens.
 */
#include <ctype.h>
#include <stdio.h>

#include "conf/conf_int.h"

struct conf_value {
    char *text;
    char *origin;
    int line; /* 0: none */
};

struct conf {
    vec(const struct conf_table *) tables;
    struct map by_name; /* struct conf_value * */
    conf_why_fn *why;
};

struct conf *conf_new(void)
{
    return mem_new(struct conf);
}

static void value_free(struct conf_value *value)
{
    if (value == NULL)
        return;
    free(value->text);
    free(value->origin);
    free(value);
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    struct str name;
    void *value;
    for (size_t pos = 0; map_next(&conf->by_name, &pos, &name, &value);)
        value_free(value);
    map_fini(&conf->by_name);
    vec_fini(&conf->tables);
    free(conf);
}

void conf_explain(struct conf *conf, conf_why_fn *why)
{
    conf->why = why;
}

void conf_add_table(struct conf *conf, const struct conf_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_option *option = &table->options[i];
        ASSERT_CMP(option->size, ==, conf_type_size(option->type));
        ASSERT_CMP(option->offset + option->size, <=, table->struct_size);
        ASSERT(option->type != CONF_ENUM || option->words != NULL);
    }
    vec_push(&conf->tables, table);
}

static char *text_dup(struct str text)
{
    char *copy = mem_alloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

static void conf_put(struct conf *conf, struct str name, struct str text, const char *origin, int line)
{
    struct conf_value *value = mem_new(struct conf_value);
    value->text = text_dup(text);
    value->origin = text_dup(str_from(origin));
    value->line = line;
    value_free(map_put(&conf->by_name, name, value));
}

/* ---- .properties ---- */

/* The next logical line: continued lines joined, comments and blank lines skipped. False at the end. */
static bool next_line(struct str *rest, struct buf *line, int *line_number, int *first_line)
{
    struct str raw;
    bool continued = false;
    buf_clear(line);
    while (str_split(rest, '\n', &raw)) {
        *line_number += 1;
        if (raw.len > 0 && raw.ptr[raw.len - 1] == '\r')
            raw.len--;
        while (raw.len > 0 && (*raw.ptr == ' ' || *raw.ptr == '\t' || *raw.ptr == '\f'))
            raw = str_sub(raw, 1, SIZE_MAX);
        if (!continued && (raw.len == 0 || raw.ptr[0] == '#' || raw.ptr[0] == '!'))
            continue;
        if (!continued)
            *first_line = *line_number;
        size_t slashes = 0;
        while (slashes < raw.len && raw.ptr[raw.len - 1 - slashes] == '\\')
            slashes++;
        continued = slashes % 2 == 1;
        buf_append(line, raw.ptr, raw.len - continued);
        if (!continued)
            return true;
    }
    return line->len > 0;
}

static void append_utf8(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_append_char(out, (char)code);
    } else if (code < 0x800) {
        buf_append_char(out, (char)(0xc0 | code >> 6));
        buf_append_char(out, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_append_char(out, (char)(0xe0 | code >> 12));
        buf_append_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_append_char(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* \n, \t, \r, \f, \uXXXX; any other escaped character stands for itself, as java.util.Properties has it. */
static void unescape(struct str text, struct buf *out)
{
    static const char names[] = "ntrf", values[] = "\n\t\r\f";
    buf_clear(out);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\\' || i + 1 == text.len) {
            buf_append_char(out, text.ptr[i]);
            continue;
        }
        char c = text.ptr[++i];
        const char *known = memchr(names, c, sizeof names - 1);
        unsigned code;
        char hex[5] = {0};
        if (c == 'u' && i + 4 < text.len)
            memcpy(hex, text.ptr + i + 1, 4);
        if (known != NULL) {
            buf_append_char(out, values[known - names]);
        } else if (strspn(hex, "0123456789abcdefABCDEF") == 4 && sscanf(hex, "%4x", &code) == 1) {
            append_utf8(out, code);
            i += 4;
        } else {
            buf_append_char(out, c);
        }
    }
}

/* Where the name ends: at the first '=', ':' or white space that is not escaped. */
static size_t name_len(struct str line)
{
    size_t i = 0;
    while (i < line.len && strchr("=: \t", line.ptr[i]) == NULL)
        i += line.ptr[i] == '\\' && i + 1 < line.len ? 2 : 1;
    return i;
}

bool conf_parse(struct conf *conf, struct str text, const char *origin, struct err *err)
{
    struct buf line = {0}, name = {0}, value = {0};
    int line_number = 0, first_line = 0;
    bool ok = true;
    while (ok && next_line(&text, &line, &line_number, &first_line)) {
        struct str all = buf_str(&line);
        size_t end = name_len(all), at = end;
        while (at < all.len && (all.ptr[at] == ' ' || all.ptr[at] == '\t'))
            at++;
        bool separated = at < all.len && (all.ptr[at] == '=' || all.ptr[at] == ':');
        unescape(str_sub(all, 0, end), &name);
        unescape(str_trim(str_sub(all, at + separated, SIZE_MAX)), &value);
        if (name.len == 0 || !separated || memchr(name.ptr, '\0', name.len) != NULL) {
            ok = err_set(err, ERR_INVALID_CONFIG, "%s line %d is not of the form name=value", origin,
                         first_line);
            if (err != NULL)
                err->line = first_line;
            break;
        }
        conf_put(conf, buf_str(&name), buf_str(&value), origin, first_line);
    }
    buf_fini(&line);
    buf_fini(&name);
    buf_fini(&value);
    return ok;
}

bool conf_set(struct conf *conf, struct str assignment, struct err *err)
{
    ptrdiff_t equals = str_find_char(assignment, '=');
    if (equals <= 0)
        return err_set(err, ERR_USAGE, "--set %.*s is not of the form name=value", STR_ARG(assignment));
    conf_put(conf, str_trim(str_sub(assignment, 0, (size_t)equals)),
             str_sub(assignment, (size_t)equals + 1, SIZE_MAX), "--set", 0);
    return true;
}

/* ---- environment ---- */

/* kafka.listen as KAFKA_LISTEN. */
static bool env_matches(struct str variable, const char *name, size_t len)
{
    if (variable.len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char want = isalnum((unsigned char)name[i]) ? (char)toupper((unsigned char)name[i]) : '_';
        if (variable.ptr[i] != want)
            return false;
    }
    return true;
}

static bool env_name(const struct conf *conf, struct str variable, struct buf *name)
{
    buf_clear(name);
    for (size_t t = 0; t < conf->tables.len; t++) {
        const struct conf_table *table = conf->tables.at[t];
        for (size_t i = 0; i < table->count; i++) {
            const struct conf_option *option = &table->options[i];
            size_t len = strlen(option->name);
            if (!env_matches(variable, option->name, len))
                continue;
            if (option->type != CONF_PREFIX && variable.len != len)
                continue;
            buf_append_cstr(name, option->name);
            for (size_t j = len; j < variable.len; j++)
                buf_append_char(name,
                                variable.ptr[j] == '_' ? '.' : (char)tolower((unsigned char)variable.ptr[j]));
            return true;
        }
    }
    return false;
}

static bool is_one_of(struct str text, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++)
        if (str_eq_cstr(text, *words))
            return true;
    return false;
}

static bool env_unknown(const struct conf *conf, struct str variable, struct buf *name, struct err *err)
{
    buf_clear(name);
    for (size_t i = 0; i < variable.len; i++)
        buf_append_char(name, variable.ptr[i] == '_' ? '.' : (char)tolower((unsigned char)variable.ptr[i]));
    const char *nearest = conf_nearest(conf->tables.at, conf->tables.len, buf_str(name));
    return err_set(err, ERR_INVALID_CONFIG, "environment variable RIALTO_%.*s names no option%s%s",
                   STR_ARG(variable), nearest != NULL ? "; the nearest is " : "",
                   nearest != NULL ? nearest : "");
}

bool conf_parse_env(struct conf *conf, char *const *environ, const char *const *ignored, struct err *err)
{
    struct buf name = {0};
    bool ok = true;
    for (; ok && *environ != NULL; environ++) {
        struct str entry = str_from(*environ), variable;
        if (!str_starts_with(entry, STR("RIALTO_")) || !str_split(&entry, '=', &variable))
            continue;
        if (is_one_of(variable, ignored))
            continue;
        struct str rest = str_sub(variable, strlen("RIALTO_"), SIZE_MAX);
        char origin[256];
        snprintf(origin, sizeof origin, "environment variable %.*s", STR_ARG(variable));
        if (env_name(conf, rest, &name))
            conf_put(conf, buf_str(&name), entry, origin, 0);
        else
            ok = env_unknown(conf, rest, &name, err);
    }
    buf_fini(&name);
    return ok;
}

/* ---- reading ---- */

bool conf_option_matches(const struct conf_option *option, struct str name)
{
    struct str own = str_from(option->name);
    return option->type == CONF_PREFIX ? name.len > own.len && str_starts_with(name, own) : str_eq(name, own);
}

static bool is_known(const struct conf *conf, struct str name)
{
    for (size_t t = 0; t < conf->tables.len; t++)
        for (size_t i = 0; i < conf->tables.at[t]->count; i++)
            if (conf_option_matches(&conf->tables.at[t]->options[i], name))
                return true;
    return false;
}

/* " (rialto.conf line 3)" */
static const char *place(const struct conf_value *value, char *text, size_t size)
{
    if (value->line > 0)
        snprintf(text, size, "%s line %d", value->origin, value->line);
    else
        snprintf(text, size, "%s", value->origin);
    return text;
}

bool conf_check(const struct conf *conf, struct err *err)
{
    struct str name;
    void *value;
    for (size_t pos = 0; map_next(&conf->by_name, &pos, &name, &value);) {
        char where[300];
        if (is_known(conf, name))
            continue;
        const char *why = conf->why != NULL ? conf->why(name) : NULL;
        if (why != NULL)
            return err_set(err, ERR_INVALID_CONFIG, "there is no option %.*s, set by %s: %s", STR_ARG(name),
                           place(value, where, sizeof where), why);
        const char *nearest = conf_nearest(conf->tables.at, conf->tables.len, name);
        return err_set(err, ERR_INVALID_CONFIG, "there is no option %.*s, set by %s%s%s%s", STR_ARG(name),
                       place(value, where, sizeof where), nearest != NULL ? "; did you mean " : "",
                       nearest != NULL ? nearest : "",
                       nearest != NULL ? "?" : "; `rialto doc options` lists them");
    }
    return true;
}

static void read_prefix(const struct conf *conf, const struct conf_option *option, struct conf_pairs *out,
                        struct arena *arena)
{
    struct str name;
    void *value;
    *out = (struct conf_pairs){.at = arena_array(arena, struct conf_pair, conf->by_name.len)};
    for (size_t pos = 0; map_next(&conf->by_name, &pos, &name, &value);) {
        if (!conf_option_matches(option, name))
            continue;
        struct str rest = str_sub(name, strlen(option->name), SIZE_MAX);
        struct str text = str_from(((struct conf_value *)value)->text);
        out->at[out->len++] = (struct conf_pair){str_dup(rest, arena), str_dup(text, arena)};
    }
}

static bool read_option(const struct conf *conf, const struct conf_option *option, void *field,
                        struct arena *arena, struct err *err)
{
    const struct conf_value *value = map_get(&conf->by_name, str_from(option->name));
    if (option->type == CONF_PREFIX) {
        read_prefix(conf, option, field, arena);
        return true;
    }
    if (value == NULL && option->required && option->default_text == NULL)
        return err_set(err, ERR_INVALID_CONFIG, "option %s must be set: %s", option->name, option->doc);
    conf_set_default(option, field, arena);
    if (value == NULL || conf_parse_value(option, str_from(value->text), field, arena, err))
        return true;
    char where[300];
    err_context(err, "%s", place(value, where, sizeof where));
    return false;
}

bool conf_read(const struct conf *conf, const struct conf_table *table, void *out, struct arena *arena,
               struct err *err)
{
    for (size_t i = 0; i < table->count; i++)
        if (!read_option(conf, &table->options[i], (char *)out + table->options[i].offset, arena, err))
            return false;
    return true;
}

struct str conf_text(const struct conf *conf, const char *name)
{
    const struct conf_value *value = map_get(&conf->by_name, str_from(name));
    return value != NULL ? str_from(value->text) : STR_NULL;
}
