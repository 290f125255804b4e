/* print.c - the reference of options, and the name that somebody probably meant. */
#include <ctype.h>
#include <stdio.h>

#include "conf/conf_int.h"

enum { NAME_MAX_BYTES = 96 };

static const char *const scopes[] = {"whole", "listener", "mechanism"};
static const char *const scope_docs[] = {"", " May be set for one listener.",
                                         " May be set for one listener, and for one of its mechanisms."};
static const char *const importances[] = {"high", "medium", "low"};

/* Edits (insert, delete, replace) between two names, ignoring case; counted up to `limit` + 1. */
static int distance(struct str a, struct str b, int limit)
{
    int row[NAME_MAX_BYTES + 1];
    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
        return limit + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a.len; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = tolower((unsigned char)a.ptr[i - 1]) == tolower((unsigned char)b.ptr[j - 1]);
            int replaced = diagonal + !same;
            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

const char *conf_nearest(const struct conf_table *const *tables, size_t table_count, struct str name)
{
    int best = MAX(2, (int)MIN(name.len, NAME_MAX_BYTES) / 3) + 1;
    const char *nearest = NULL;
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            int edits = distance(name, str_from(tables[t]->options[i].name), best);
            if (edits < best) {
                best = edits;
                nearest = tables[t]->options[i].name;
            }
        }
    }
    return nearest;
}

static const char *range_text(const struct conf_option *option, char *text, size_t size)
{
    bool has_max = option->max != 0 || option->min < 0;
    if (option->min == 0 && option->max == 0)
        snprintf(text, size, "%s", "");
    else if (!has_max)
        snprintf(text, size, "at least %" PRId64, option->min);
    else
        snprintf(text, size, "%" PRId64 " to %" PRId64, option->min, option->max);
    return text;
}

static void write_words(struct buf *out, const struct conf_option *option)
{
    for (int i = 0; option->words != NULL && option->words[i] != NULL; i++)
        buf_printf(out, "%s`%s`", i == 0 ? "" : ", ", option->words[i]);
}

/* A bar would end the cell. */
static void write_cell(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            buf_append_char(out, '\\');
        buf_append_char(out, *text == '\n' ? ' ' : *text);
    }
}

void conf_write_markdown(const struct conf_table *const *tables, size_t count, struct buf *out)
{
    char range[64];
    for (size_t t = 0; t < count; t++) {
        buf_printf(out, "%s## %s\n\n| option | type | default | allowed | meaning |\n|---|---|---|---|---|\n",
                   t == 0 ? "" : "\n", tables[t]->name);
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct conf_option *option = &tables[t]->options[i];
            bool shown = option->default_text != NULL && option->default_text[0] != '\0';
            buf_printf(out, "| `%s%s` | %s | ", option->name, option->type == CONF_PREFIX ? "*" : "",
                       conf_type_name(option->type));
            buf_printf(out, shown ? "`%s` | " : "%s | ",
                       shown              ? option->default_text
                       : option->required ? "required"
                                          : "");
            buf_append_cstr(out, range_text(option, range, sizeof range));
            write_words(out, option);
            buf_append_cstr(out, " | ");
            write_cell(out, option->doc);
            if (option->live)
                buf_append_cstr(out, " May be changed while the server runs.");
            buf_append_cstr(out, scope_docs[option->scope]);
            buf_append_cstr(out, " |\n");
        }
    }
}

static void write_json_text(struct buf *out, const char *text)
{
    if (text == NULL) {
        buf_append_cstr(out, "null");
        return;
    }
    buf_append_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            buf_printf(out, "\\u%04x", *text);
        else
            buf_append_char(out, *text);
    }
    buf_append_char(out, '"');
}

static void write_json_member(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    write_json_text(out, text);
}

static void write_json_option(struct buf *out, const struct conf_table *table,
                              const struct conf_option *option)
{
    buf_append_cstr(out, "{\"name\":");
    write_json_text(out, option->name);
    write_json_member(out, "module", table->name);
    write_json_member(out, "type", conf_type_name(option->type));
    write_json_member(out, "default", option->default_text);
    buf_printf(out, ",\"required\":%s,\"live\":%s", option->required ? "true" : "false",
               option->live ? "true" : "false");
    write_json_member(out, "scope", scopes[option->scope]);
    write_json_member(out, "importance", importances[option->importance]);
    if (option->min != 0 || option->max != 0)
        buf_printf(out, ",\"min\":%" PRId64, option->min);
    if (option->max != 0)
        buf_printf(out, ",\"max\":%" PRId64, option->max);
    if (option->words != NULL) {
        buf_append_cstr(out, ",\"words\":[");
        for (int i = 0; option->words[i] != NULL; i++) {
            buf_append_cstr(out, i == 0 ? "" : ",");
            write_json_text(out, option->words[i]);
        }
        buf_append_char(out, ']');
    }
    write_json_member(out, "doc", option->doc);
    buf_append_char(out, '}');
}

void conf_write_json(const struct conf_table *const *tables, size_t count, struct buf *out)
{
    bool first = true;
    buf_append_char(out, '[');
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            buf_append_cstr(out, first ? "" : ",\n");
            write_json_option(out, tables[t], &tables[t]->options[i]);
            first = false;
        }
    }
    buf_append_cstr(out, "]\n");
}
