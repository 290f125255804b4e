/* variables.c - values in place of ${name}.
 *
 * The parser has noted where variables stand and what the grammar wants there (a name, a literal, the inside of a
 * string). A value must fit its place: a name must be one, a literal must be a string in quotes, TRUE, FALSE or a
 * number; inside a string any value does, its quotes are doubled. So a value can never add a clause or a statement.
 *
 * An unknown variable stays as it is: inside a string that is text, elsewhere `${x}` fits no place and is refused.
 * `$${x}` inside a string gives `${x}`.
 */
#include "sql/sql_int.h"

#include <stdlib.h>

void parser_note_variable(struct parser *p, int context)
{
    if (!p->collect_edits)
        return;
    if (context == EDIT_STRING && str_find_char(peek(p)->text, '$') < 0)
        return;
    struct sql_edit edit = {.token = p->at};
    edit.context = context;
    vec_push(&p->edits, edit);
}

/* The variable's value, or NULL. Names are compared without case. */
static const struct str *variable_value(const struct map *variables, struct str name)
{
    const struct str *value = map_get(variables, name);
    struct str key;
    void *candidate;
    for (size_t i = 0; value == NULL && map_next(variables, &i, &key, &candidate);)
        if (str_eq_nocase(key, name))
            value = candidate;
    return value;
}

static struct str variable_name(struct str reference)
{
    return str_sub(reference, 2, reference.len - 3);
}

static bool is_identifier(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '@';
        if (!letter && !(other && i > 0))
            return false;
    }
    return s.len > 0;
}

static bool is_quoted(struct str s, char quote)
{
    return s.len >= 2 && s.ptr[0] == quote && s.ptr[s.len - 1] == quote;
}

static bool is_name_value(struct str s)
{
    if (is_quoted(s, '"') || is_quoted(s, '`'))
        s = str_sub(s, 1, s.len - 2);
    return is_identifier(s);
}

static bool is_literal_value(struct str s)
{
    double number;
    return is_quoted(s, '\'') || str_eq_nocase(s, STR("true")) || str_eq_nocase(s, STR("false")) ||
           str_to_double(s, &number);
}

static void append_doubling_quotes(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        buf_append_char(out, s.ptr[i]);
        if (s.ptr[i] == '\'')
            buf_append_char(out, '\'');
    }
}

/* A quoted string keeps its outer quotes; the ones inside are halved first, so that 'it''s' and 'it's' agree. */
static void append_literal(struct str value, struct buf *out)
{
    if (!is_quoted(value, '\'')) {
        buf_append_str(out, value);
        return;
    }
    struct str inner = str_sub(value, 1, value.len - 2);
    buf_append_char(out, '\'');
    for (size_t i = 0; i < inner.len; i++) {
        append_doubling_quotes(str_sub(inner, i, 1), out);
        if (inner.ptr[i] == '\'' && i + 1 < inner.len && inner.ptr[i + 1] == '\'')
            i++;
    }
    buf_append_char(out, '\'');
}

/* End of the reference ${name} at `i` of s, or 0. */
static size_t reference_end(struct str s, size_t i)
{
    if (!str_starts_with(str_sub(s, i, SIZE_MAX), STR("${")))
        return 0;
    ptrdiff_t close = str_find_char(str_sub(s, i, SIZE_MAX), '}');
    if (close < 0 || !is_identifier(str_sub(s, i + 2, (size_t)close - 2)))
        return 0;
    return i + (size_t)close + 1;
}

/* Copies a string token, known references replaced. */
static void substitute_string(struct str text, const struct map *variables, struct buf *out)
{
    for (size_t i = 0; i < text.len;) {
        bool escaped = text.ptr[i] == '$' && reference_end(text, i + 1) != 0;
        if (escaped)
            i++;
        size_t end = reference_end(text, i);
        const struct str *value = NULL;
        if (end != 0 && !escaped)
            value = variable_value(variables, variable_name(str_sub(text, i, end - i)));
        if (value != NULL)
            append_doubling_quotes(*value, out);
        else
            buf_append_str(out, str_sub(text, i, end != 0 ? end - i : 1));
        i = end != 0 ? end : i + 1;
    }
}

static bool misfit(struct parser *p, const struct token *token, bool name, struct str value)
{
    err_set(p->err, ERR_SYNTAX, "Illegal argument at Line: %d, Col: %d.%s Got: '%.*s'", token->place.line,
            token->place.column,
            name ? " Identifier names cannot start with '@' and may only contain alphanumeric values and '_'."
                 : "",
            STR_ARG(value));
    if (p->err != NULL) {
        p->err->line = token->place.line;
        p->err->column = token->place.column;
    }
    return false;
}

static bool substitute_token(struct parser *p, const struct sql_edit *edit, const struct map *variables,
                             struct buf *out)
{
    const struct token *token = &p->tokens.at[edit->token];
    if (edit->context == EDIT_STRING) {
        substitute_string(token->text, variables, out);
        return true;
    }
    const struct str *known = variable_value(variables, variable_name(token->text));
    struct str value = known != NULL ? *known : token->text;
    bool name = edit->context == EDIT_NAME;
    if (!(name ? is_name_value(value) : is_literal_value(value)))
        return misfit(p, token, name, value);
    if (name)
        buf_append_str(out, value);
    else
        append_literal(value, out);
    return true;
}

static int by_token(const void *a, const void *b)
{
    const struct sql_edit *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

bool sql_substitute(struct parser *p, const struct map *variables, struct str *text)
{
    struct buf out = {0};
    size_t copied = 0;
    bool ok = true;
    qsort(p->edits.at, p->edits.len, sizeof *p->edits.at, by_token);
    for (size_t i = 0; ok && i < p->edits.len; i++) {
        const struct sql_edit *edit = &p->edits.at[i];
        if (i > 0 && edit->token == p->edits.at[i - 1].token)
            continue;
        struct str token = p->tokens.at[edit->token].text;
        size_t start = (size_t)(token.ptr - p->text.ptr);
        buf_append(&out, p->text.ptr + copied, start - copied);
        ok = substitute_token(p, edit, variables, &out);
        copied = start + token.len;
    }
    buf_append(&out, p->text.ptr + copied, p->text.len - copied);
    if (ok)
        *text = str_dup(buf_str(&out), p->arena);
    buf_fini(&out);
    return ok;
}
