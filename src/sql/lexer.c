/* lexer.c - text to tokens.
 *
 * One pass over bytes; the longest match wins, keywords are names found in keywords.def. White space and comments are
 * skipped: `-- ...` to the end of the line (also the `--@` directives of test scripts) and the bracketed form, which
 * does not nest. Lines and columns count characters, not bytes, from 1.
 *
 * The lexer never fails. A character without meaning, an open quote and an open comment become TOK_UNKNOWN, which no
 * rule accepts: the parser then reports the place. This keeps sql_next_statement usable on half-typed text.
 */
#include "sql/sql_int.h"

#include <stdlib.h>

static const struct {
    const char *word;
    bool reserved;
} keywords[KW_COUNT] = {
    {"", false},
#define K(word, reserved) {#word, reserved},
#include "sql/keywords.def"
#undef K
};

enum { KEYWORD_BYTES_MAX = 16 };

enum keyword sql_keyword_of(struct str word)
{
    char upper[KEYWORD_BYTES_MAX];
    if (word.len >= sizeof upper)
        return KW_NONE;
    for (size_t i = 0; i < word.len; i++)
        upper[i] = word.ptr[i] >= 'a' && word.ptr[i] <= 'z' ? (char)(word.ptr[i] - 32) : word.ptr[i];
    int low = 1, high = KW_COUNT - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = str_cmp(str_of(upper, word.len), str_from(keywords[middle].word));
        if (order == 0)
            return (enum keyword)middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return KW_NONE;
}

const char *sql_keyword_word(enum keyword keyword)
{
    return keywords[keyword].word;
}

bool sql_keyword_reserved(enum keyword keyword)
{
    return keywords[keyword].reserved;
}

const char *sql_keyword(uint32_t i, bool *reserved)
{
    if (i + 1 >= KW_COUNT)
        return NULL;
    if (reserved != NULL)
        *reserved = keywords[i + 1].reserved;
    return keywords[i + 1].word;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || c == '@';
}

/* The byte at `i`, or NUL past the end. */
static char byte_at(struct str text, size_t i)
{
    return i < text.len ? text.ptr[i] : '\0';
}

/* End of the quoted run that begins at `i`; 0 when it is never closed. */
static size_t quoted_end(struct str text, size_t i)
{
    char quote = text.ptr[i];
    for (i++; i < text.len; i++) {
        if (text.ptr[i] != quote)
            continue;
        if (byte_at(text, i + 1) != quote)
            return i + 1;
        i++;
    }
    return 0;
}

static size_t digits_end(struct str text, size_t i)
{
    while (is_digit(byte_at(text, i)))
        i++;
    return i;
}

/* End of an exponent at `i`, or `i` when there is none. */
static size_t exponent_end(struct str text, size_t i)
{
    if (byte_at(text, i) != 'e' && byte_at(text, i) != 'E')
        return i;
    size_t sign = i + 1;
    if (byte_at(text, sign) == '+' || byte_at(text, sign) == '-')
        sign++;
    size_t end = digits_end(text, sign);
    return end > sign ? end : i;
}

/* A number, or a name that begins with a digit: the longer of both, the number when they are equally long. */
static enum token_kind lex_number(struct str text, size_t i, size_t *end)
{
    enum token_kind kind = TOK_INTEGER;
    size_t at = digits_end(text, i);
    if (byte_at(text, at) == '.') {
        kind = TOK_DECIMAL;
        at = digits_end(text, at + 1);
    }
    size_t exponent = exponent_end(text, at);
    if (exponent > at) {
        kind = TOK_FLOAT;
        at = exponent;
    }
    size_t word = i;
    while (is_word_char(byte_at(text, word)))
        word++;
    if (is_digit(text.ptr[i]) && word > at) {
        *end = word;
        return TOK_DIGIT_WORD;
    }
    *end = at;
    return kind;
}

/* ${name} */
static bool lex_variable(struct str text, size_t i, size_t *end)
{
    if (byte_at(text, i) != '$' || byte_at(text, i + 1) != '{')
        return false;
    size_t at = i + 2;
    if (!is_letter(byte_at(text, at)) && byte_at(text, at) != '_')
        return false;
    while (is_word_char(byte_at(text, at)))
        at++;
    *end = at + 1;
    return byte_at(text, at) == '}';
}

static enum token_kind lex_operator(struct str text, size_t i, size_t *end)
{
    static const struct {
        char text[3];
        enum token_kind kind;
    } operators[] = {
        {"<>", TOK_NE},
        {"!=", TOK_NE},
        {"<=", TOK_LE},
        {">=", TOK_GE},
        {"||", TOK_CONCAT},
        {":=", TOK_ASSIGN},
        {"->", TOK_FIELD},
        {"=>", TOK_LAMBDA},
        {"=", TOK_EQ},
        {"<", TOK_LT},
        {">", TOK_GT},
        {"+", TOK_PLUS},
        {"-", TOK_MINUS},
        {"*", TOK_STAR},
        {"/", TOK_SLASH},
        {"%", TOK_PERCENT},
        {".", TOK_DOT},
        {",", TOK_COMMA},
        {";", TOK_SEMICOLON},
        {"(", TOK_LEFT},
        {")", TOK_RIGHT},
        {"[", TOK_LEFT_BRACKET},
        {"]", TOK_RIGHT_BRACKET},
    };
    for (size_t k = 0; k < COUNT_OF(operators); k++) {
        size_t len = strlen(operators[k].text);
        if (str_eq(str_sub(text, i, len), str_of(operators[k].text, len))) {
            *end = i + len;
            return operators[k].kind;
        }
    }
    /* One whole character, so that a message never shows half of one. */
    size_t at = i + 1;
    while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
        at++;
    *end = at;
    return TOK_UNKNOWN;
}

static enum token_kind lex_token(struct str text, size_t i, size_t *end)
{
    char c = text.ptr[i];
    if (is_letter(c) || c == '_') {
        for (*end = i + 1; is_word_char(byte_at(text, *end));)
            (*end)++;
        return TOK_WORD;
    }
    if (is_digit(c) || (c == '.' && is_digit(byte_at(text, i + 1))))
        return lex_number(text, i, end);
    if (c == '\'' || c == '"' || c == '`') {
        *end = quoted_end(text, i);
        if (*end == 0) {
            *end = i + 1;
            return TOK_UNKNOWN;
        }
        return c == '\'' ? TOK_STRING : TOK_QUOTED;
    }
    if (lex_variable(text, i, end))
        return TOK_VARIABLE;
    return lex_operator(text, i, end);
}

/* End of the white space or comment at `i`, or `i` when there is none (or a comment is not closed). */
static size_t skip_blank(struct str text, size_t i)
{
    char c = byte_at(text, i);
    if (i < text.len && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
        return i + 1;
    if (c == '-' && byte_at(text, i + 1) == '-') {
        while (i < text.len && text.ptr[i] != '\n')
            i++;
        return i;
    }
    if (c == '/' && byte_at(text, i + 1) == '*') {
        ptrdiff_t close = str_find(str_sub(text, i + 2, SIZE_MAX), STR("*/"));
        return close < 0 ? i : i + 2 + (size_t)close + 2;
    }
    return i;
}

void sql_place_move(struct sql_place *place, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            place->line++;
            place->column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            place->column++;
        }
    }
}

void parser_lex(struct parser *p)
{
    struct sql_place place = p->start;
    struct str text = p->text;
    size_t i = 0;
    for (;;) {
        size_t next = skip_blank(text, i);
        if (next == i) {
            if (i >= text.len)
                break;
            struct token token = {.place = place};
            token.kind = lex_token(text, i, &next);
            token.text = str_sub(text, i, next - i);
            token.keyword = token.kind == TOK_WORD ? sql_keyword_of(token.text) : KW_NONE;
            vec_push(&p->tokens, token);
        }
        ASSERT(next > i);
        sql_place_move(&place, str_sub(text, i, next - i));
        i = next;
    }
    vec_push(&p->tokens, (struct token){.kind = TOK_EOF, .text = str_sub(text, text.len, 0), .place = place});
}

struct str sql_token_unquote(const struct token *token, struct arena *arena)
{
    struct str inner = str_sub(token->text, 1, token->text.len - 2);
    char quote = token->text.ptr[0];
    if (str_find_char(inner, quote) < 0)
        return str_dup(inner, arena);
    char *out = arena_alloc_bytes(arena, inner.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < inner.len; i++) {
        out[len++] = inner.ptr[i];
        if (inner.ptr[i] == quote)
            i++;
    }
    out[len] = '\0';
    return str_of(out, len);
}

bool sql_next_statement(struct str *rest, struct str *stmt)
{
    struct str text = *rest;
    size_t i = 0, start = SIZE_MAX;
    while (i < text.len) {
        size_t next = skip_blank(text, i);
        if (next > i) {
            i = next;
            continue;
        }
        if (start == SIZE_MAX)
            start = i;
        char c = text.ptr[i];
        bool open_comment = c == '/' && byte_at(text, i + 1) == '*';
        bool quoted = c == '\'' || c == '"' || c == '`';
        size_t end = quoted ? quoted_end(text, i) : i + 1;
        if (open_comment || end == 0)
            return false;
        i = end;
        if (c == ';') {
            *stmt = str_sub(text, start, i - start);
            *rest = str_sub(text, i, SIZE_MAX);
            return true;
        }
    }
    return false;
}
