/* parser.c - the parser's core: tokens, names, error texts, and the doors of sql.h.
 *
 * Error texts follow ksqlDB:
 *
 *   line 1:8: Syntax Error                                                    where, then one of:
 *   Unknown statement 'SELEC'   Did you mean 'SELECT'?                        first word of a statement
 *   "FROM" is a reserved keyword and it can't be used as an identifier. ...   a name was meant
 *   Expecting {',', ')'}                                                      few tokens were possible
 *   Syntax error at or near 'X' at line 1:8                                   many alternatives, none fits
 *   (nothing)                                                                 many tokens were possible
 *   Statement: ...                                                            last line of all
 *
 * A text is parsed in one go. With variables it is parsed twice: the first time the uses of variables are noted with
 * their context (a name, a literal, inside a string), then the values are put in and the new text is parsed.
 *
 * Memory: tokens and edits are on the heap during the call; the tree and all its strings live in the caller's arena,
 * the text itself included, so the caller may drop his. Thread: none of its own, no state between calls.
 */
#include "sql/sql_int.h"

#include <stdio.h>

/* Tokens ------------------------------------------------------------------------------------------------ */

static const char *const token_shown[] = {
    [TOK_EOF] = "<EOF>",  [TOK_STRING] = "STRING",    [TOK_INTEGER] = "INTEGER_VALUE",
    [TOK_EQ] = "'='",     [TOK_LT] = "'<'",           [TOK_GT] = "'>'",
    [TOK_STAR] = "'*'",   [TOK_ASSIGN] = "':='",      [TOK_LAMBDA] = "'=>'",
    [TOK_COMMA] = "','",  [TOK_SEMICOLON] = "';'",    [TOK_LEFT] = "'('",
    [TOK_RIGHT] = "')'",  [TOK_LEFT_BRACKET] = "'['", [TOK_RIGHT_BRACKET] = "']'",
    [TOK_UNKNOWN] = NULL,
};

bool parser_accept(struct parser *p, enum token_kind kind)
{
    if (!is_token(p, kind))
        return false;
    advance(p);
    return true;
}

bool parser_accept_word(struct parser *p, enum keyword keyword)
{
    if (!is_keyword(p, keyword))
        return false;
    advance(p);
    return true;
}

bool parser_expect(struct parser *p, enum token_kind kind)
{
    return parser_accept(p, kind) || parse_unexpected(p, token_shown[kind]);
}

bool parser_expect_word(struct parser *p, enum keyword keyword)
{
    if (parser_accept_word(p, keyword))
        return true;
    char shown[32];
    snprintf(shown, sizeof shown, "'%s'", sql_keyword_word(keyword));
    return parse_unexpected(p, shown);
}

/* Errors ------------------------------------------------------------------------------------------------ */

static bool syntax_error(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets the error at the current token. The statement line holds the whole text, as ksqlDB reports it. */
static bool syntax_error(struct parser *p, const char *fmt, ...)
{
    struct buf detail = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&detail, fmt, args);
    va_end(args);
    struct sql_place place = peek(p)->place;
    err_set(p->err, ERR_SYNTAX, "line %d:%d: Syntax Error\n%.*s\nStatement: %.*s", place.line, place.column,
            STR_ARG(buf_str(&detail)), STR_ARG(str_trim(p->text)));
    if (p->err != NULL) {
        p->err->line = place.line;
        p->err->column = place.column;
    }
    buf_fini(&detail);
    return false;
}

bool parse_unexpected(struct parser *p, const char *expected)
{
    const struct token *token = peek(p);
    if (token->kind == TOK_EOF && expected != NULL && strcmp(expected, "';'") == 0)
        return syntax_error(p, "missing ';' at '<EOF>'");
    if (token->kind == TOK_EOF)
        return syntax_error(p, "Syntax error at or near \";\"\n'}', ']', or ')' is missing");
    if (expected == NULL)
        return syntax_error(p, "%s", "");
    return syntax_error(p, "Expecting %s", expected);
}

bool parse_unviable(struct parser *p)
{
    const struct token *token = peek(p);
    if (token->kind == TOK_EOF)
        return parse_unexpected(p, NULL);
    return syntax_error(p, "Syntax error at or near '%.*s' at line %d:%d", STR_ARG(token->text),
                        token->place.line, token->place.column);
}

bool parse_too_complex(struct parser *p)
{
    return syntax_error(p, "The statement is nested too deeply; at most %d levels are read.", SQL_HEIGHT_MAX);
}

bool parse_enter(struct parser *p)
{
    if (p->depth >= SQL_DEPTH_MAX)
        return parse_too_complex(p);
    p->depth++;
    return true;
}

void parse_leave(struct parser *p)
{
    ASSERT(p->depth > 0);
    p->depth--;
}

/* The current statement's text: from its first token to its semicolon or the end of the text. */
static struct str statement_text(const struct parser *p)
{
    uint32_t last = p->stmt_first;
    while (p->tokens.at[last].kind != TOK_EOF && p->tokens.at[last].kind != TOK_SEMICOLON)
        last++;
    const char *start = p->tokens.at[p->stmt_first].text.ptr;
    struct str end = p->tokens.at[last].text;
    return str_trim(str_of(start, (size_t)(end.ptr + end.len - start)));
}

static void keep_refusal(struct parser *p, struct sql_place place, struct str text)
{
    if (p->refused)
        return;
    p->refused = true;
    err_set(&p->refusal, ERR_SYNTAX, "Failed to prepare statement: %.*s\nStatement: %.*s", STR_ARG(text),
            STR_ARG(statement_text(p)));
    p->refusal.line = place.line;
    p->refusal.column = place.column;
}

void parser_refuse(struct parser *p, struct sql_place place, const char *fmt, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    keep_refusal(p, place, buf_str(&text));
    buf_fini(&text);
}

void parser_refuse_at(struct parser *p, struct sql_place place, const char *fmt, ...)
{
    struct buf text = {0};
    /* ksqlDB adds one to a column that counts from one already in this kind of message. */
    buf_printf(&text, "line %d:%d: ", place.line, place.column + 1);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    keep_refusal(p, place, buf_str(&text));
    buf_fini(&text);
}

/* The first word of each statement, in the order in which ties of the distance are decided. */
static const char *const commands[] = {"SELECT", "CREATE", "INSERT",    "DESCRIBE", "PRINT",  "EXPLAIN",
                                       "SHOW",   "LIST",   "TERMINATE", "PAUSE",    "RESUME", "DROP",
                                       "SET",    "DEFINE", "UNDEFINE",  "UNSET",    "ASSERT", "ALTER"};

enum { MISTYPED_BYTES_MAX = 32 };

/* Levenshtein distance of the upper-cased word (at most MISTYPED_BYTES_MAX bytes are looked at). */
static size_t edit_distance(struct str word, const char *command)
{
    size_t row[MISTYPED_BYTES_MAX + 1];
    word = str_sub(word, 0, MISTYPED_BYTES_MAX);
    for (size_t i = 0; i <= word.len; i++)
        row[i] = i;
    for (size_t j = 1; command[j - 1] != '\0'; j++) {
        size_t diagonal = row[0];
        row[0] = j;
        for (size_t i = 1; i <= word.len; i++) {
            char c = word.ptr[i - 1];
            if (c >= 'a' && c <= 'z')
                c = (char)(c - 32);
            size_t cost = diagonal + (c != command[j - 1]);
            diagonal = row[i];
            row[i] = MIN(cost, MIN(row[i], row[i - 1]) + 1);
        }
    }
    return row[word.len];
}

static bool unknown_statement(struct parser *p)
{
    struct str word = peek(p)->text;
    const char *nearest = commands[0];
    for (size_t i = 1; i < COUNT_OF(commands); i++)
        if (edit_distance(word, commands[i]) < edit_distance(word, nearest))
            nearest = commands[i];
    return syntax_error(p, "Unknown statement '%.*s'\nDid you mean '%s'?", STR_ARG(word), nearest);
}

/* Names ------------------------------------------------------------------------------------------------- */

bool parser_is_name_at(const struct parser *p, uint32_t ahead)
{
    const struct token *token = peek_at(p, ahead);
    switch (token->kind) {
    case TOK_WORD:
        return !sql_keyword_reserved(token->keyword);
    case TOK_QUOTED:
    case TOK_DIGIT_WORD:
    case TOK_VARIABLE:
        return true;
    default:
        return false;
    }
}

bool parser_is_name(const struct parser *p)
{
    return parser_is_name_at(p, 0);
}

/* A name was meant, but the current token is none. */
static bool not_a_name(struct parser *p)
{
    const struct token *token = peek(p);
    if (token->kind == TOK_WORD)
        return syntax_error(p,
                            "\"%.*s\" is a reserved keyword and it can't be used as an identifier."
                            " You can use it as an identifier by escaping it as '%.*s' ",
                            STR_ARG(token->text), STR_ARG(token->text));
    return parse_unviable(p);
}

static bool read_name(struct parser *p, struct str *name, bool *quoted, bool keep_case)
{
    if (!parser_is_name(p))
        return not_a_name(p);
    const struct token *token = peek(p);
    if (quoted != NULL)
        *quoted = token->kind == TOK_QUOTED;
    switch (token->kind) {
    case TOK_QUOTED:
        *name = sql_token_unquote(token, p->arena);
        break;
    case TOK_VARIABLE:
        parser_note_variable(p, EDIT_NAME);
        *name = str_dup(token->text, p->arena);
        break;
    default:
        if (token->kind == TOK_DIGIT_WORD)
            parser_refuse_at(
                p, token->place,
                "identifiers must not start with a digit; please use backquotes to wrap the identifier");
        *name = keep_case ? str_dup(token->text, p->arena) : str_upper(token->text, p->arena);
    }
    advance(p);
    return true;
}

/* name = IDENTIFIER | QUOTED_IDENTIFIER | BACKQUOTED_IDENTIFIER | VARIABLE | non_reserved_keyword ; */
bool parse_name(struct parser *p, struct str *name, bool *quoted)
{
    return read_name(p, name, quoted, false);
}

static bool is_source_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-';
        if (!ok)
            return false;
    }
    return true;
}

/* source_name = name ; */
bool parse_source_name(struct parser *p, struct str *name, bool *quoted)
{
    const struct token *token = peek(p);
    if (!parse_name(p, name, quoted))
        return false;
    if (token->kind != TOK_VARIABLE && !is_source_name(*name))
        parser_refuse(
            p, token->place,
            "Illegal argument at Line: %d, Col: %d. Source names may only contain alphanumeric values, "
            "'_' or '-'."
            " Got: '%.*s'",
            token->place.line, token->place.column, STR_ARG(*name));
    return true;
}

/* resource = name | STRING ; */
bool parse_resource(struct parser *p, struct str *name)
{
    if (is_token(p, TOK_STRING))
        return parse_string(p, name);
    return read_name(p, name, NULL, true);
}

bool parse_string(struct parser *p, struct str *value)
{
    if (!is_token(p, TOK_STRING))
        return parse_unexpected(p, token_shown[TOK_STRING]);
    parser_note_variable(p, EDIT_STRING);
    *value = sql_token_unquote(peek(p), p->arena);
    advance(p);
    return true;
}

/* Doors ------------------------------------------------------------------------------------------------- */

static const struct sql_place first_place = {1, 1};

static bool parser_init(struct parser *p, struct str text, struct sql_place start, struct arena *arena,
                        struct err *err)
{
    *p = (struct parser){.start = start, .arena = arena, .err = err};
    if (text.len > SQL_TEXT_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the statements are %zu bytes long; at most %d are read at once",
                       text.len, SQL_TEXT_BYTES_MAX);
    p->text = str_dup(str_is_null(text) ? STR("") : text, arena);
    parser_lex(p);
    return true;
}

static void parser_fini(struct parser *p)
{
    vec_fini(&p->tokens);
    vec_fini(&p->edits);
}

static bool report_refusal(struct parser *p)
{
    if (p->refused && p->err != NULL)
        *p->err = p->refusal;
    return !p->refused;
}

/* statements = { statement ";" } ; */
static bool parse_statements(struct parser *p, const struct ast_stmt *const **stmts, uint32_t *count)
{
    vec(const struct ast_stmt *) found = {0};
    bool ok = true;
    while (ok && !is_token(p, TOK_EOF)) {
        p->stmt_first = p->at;
        const struct ast_stmt *stmt = parse_statement(p);
        ok = stmt != NULL && parser_expect(p, TOK_SEMICOLON);
        if (ok) {
            ((struct ast_stmt *)stmt)->text = statement_text(p);
            vec_push(&found, stmt);
        }
    }
    ok = ok && report_refusal(p);
    if (ok) {
        *stmts = found.len ? arena_dup(p->arena, found.at, found.len * sizeof *found.at) : NULL;
        *count = (uint32_t)found.len;
    }
    vec_fini(&found);
    return ok;
}

static bool parse_text(struct str text, struct sql_place start, const struct map *variables,
                       bool test_statements, const struct ast_stmt *const **stmts, uint32_t *count,
                       struct arena *arena, struct err *err)
{
    struct parser p;
    if (!parser_init(&p, text, start, arena, err))
        return false;
    p.test_statements = test_statements;
    p.collect_edits = variables != NULL;
    bool ok = parse_statements(&p, stmts, count);
    bool again = ok && p.edits.len > 0;
    if (again)
        ok = sql_substitute(&p, variables, &text);
    parser_fini(&p);
    if (!again || !ok)
        return ok;
    return parse_text(text, start, NULL, test_statements, stmts, count, arena, err);
}

bool sql_parse(struct str text, const struct map *variables, const struct ast_stmt *const **stmts,
               uint32_t *count, struct arena *arena, struct err *err)
{
    return parse_text(text, first_place, variables, false, stmts, count, arena, err);
}

bool sql_parse_at(struct str text, struct sql_place start, const struct map *variables,
                  const struct ast_stmt *const **stmts, uint32_t *count, struct arena *arena, struct err *err)
{
    return parse_text(text, start, variables, false, stmts, count, arena, err);
}

bool sql_parse_script(struct str text, const struct map *variables, const struct ast_stmt *const **stmts,
                      uint32_t *count, struct arena *arena, struct err *err)
{
    return parse_text(text, first_place, variables, true, stmts, count, arena, err);
}

bool sql_parse_expr(struct str text, const struct ast_expr **expr, struct arena *arena, struct err *err)
{
    struct parser p;
    if (!parser_init(&p, text, first_place, arena, err))
        return false;
    *expr = parse_expr(&p);
    bool ok = *expr != NULL && parser_expect(&p, TOK_EOF) && report_refusal(&p);
    parser_fini(&p);
    return ok;
}

bool sql_parse_type(struct str text, const struct ast_type **type, struct arena *arena, struct err *err)
{
    struct parser p;
    if (!parser_init(&p, text, first_place, arena, err))
        return false;
    *type = parse_type(&p);
    bool ok = *type != NULL && parser_expect(&p, TOK_EOF) && report_refusal(&p);
    parser_fini(&p);
    return ok;
}

/* The statement's first word picks its rule. */
static const struct {
    enum keyword keyword;
    bool (*parse)(struct parser *p, struct ast_stmt *stmt);
    bool test_only;
} statement_rules[] = {
    {KW_CREATE, parse_create, false},     {KW_INSERT, parse_insert, false},
    {KW_DROP, parse_drop, false},         {KW_ALTER, parse_alter, false},
    {KW_SHOW, parse_show, false},         {KW_LIST, parse_show, false},
    {KW_DESCRIBE, parse_describe, false}, {KW_PRINT, parse_print, false},
    {KW_TERMINATE, parse_control, false}, {KW_PAUSE, parse_control, false},
    {KW_RESUME, parse_control, false},    {KW_EXPLAIN, parse_explain, false},
    {KW_SET, parse_set, false},           {KW_UNSET, parse_set, false},
    {KW_DEFINE, parse_define, false},     {KW_UNDEFINE, parse_define, false},
    {KW_ASSERT, parse_assert, false},     {KW_RUN, parse_run_script, true},
};

/* statement = query | create | insert | drop | alter | show | describe | print | control | explain | set | define
 *           | assert | run_script ; */
const struct ast_stmt *parse_statement(struct parser *p)
{
    if (!parse_enter(p))
        return NULL;
    struct ast_stmt *stmt = arena_new(p->arena, struct ast_stmt);
    stmt->place = peek(p)->place;
    stmt->interval = stmt->limit = stmt->schema_id = -1;
    bool ok = false, known = false;
    if (is_keyword(p, KW_SELECT)) {
        known = true;
        stmt->kind = STMT_QUERY;
        stmt->query = parse_query(p);
        ok = stmt->query != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(statement_rules) && !known; i++) {
        known = is_keyword(p, statement_rules[i].keyword) &&
                (!statement_rules[i].test_only || p->test_statements);
        ok = known && statement_rules[i].parse(p, stmt);
    }
    if (!known)
        ok = unknown_statement(p);
    parse_leave(p);
    return ok ? stmt : NULL;
}

const char *sql_stmt_words(enum ast_stmt_kind kind)
{
    static const char *const words[] = {
#define S(kind, words) words,
#include "sql/statements.def"
#undef S
    };
    ASSERT_CMP(kind, <, STMT_COUNT);
    return words[kind];
}
