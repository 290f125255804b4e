/* sql_int.h - tokens and the parser's state, for src/sql only.
 *
 *   text --lexer.c--> tokens (one array, all lookahead is free) --parse_*.c--> tree in the arena
 *
 * (P1) A parse_x function returns false (or NULL) after a syntax error, and then *p->err is set; nobody goes on.
 * (P2) A refusal (a number too large, a KEY column in a table) does not stop the parser: the first one is kept and
 *      reported when the whole text is free of syntax errors, which is the order of ksqlDB.
 * (P3) Every recursion passes parse_enter or a counter of its own, so that no text can exhaust the stack; and a tree
 *      is never so high that its printed text would be refused.
 */
#ifndef RIALTO_SQL_SQL_INT_H
#define RIALTO_SQL_SQL_INT_H

#include "sql/sql.h"

enum {
    SQL_TEXT_BYTES_MAX = 16 << 20, /* one text given to the parser */
    SQL_HEIGHT_MAX = 1000, /* of the tree of an expression; a chain a + b + c has the height of its length */
    SQL_DEPTH_MAX = 2200,  /* calls in each other: two a level, since printed text has more parentheses */
    SQL_TYPE_DEPTH_MAX = 100, /* types in each other */
    SQL_EXPLAIN_MAX = 10,     /* EXPLAIN EXPLAIN ... */
};

enum keyword {
    KW_NONE,
#define K(word, reserved) KW_##word,
#include "sql/keywords.def"
#undef K
    KW_COUNT
};

enum token_kind {
    TOK_EOF,
    TOK_WORD,       /* unquoted name or keyword */
    TOK_DIGIT_WORD, /* name that begins with a digit: refused where a name is meant */
    TOK_QUOTED,     /* `name` or "name" */
    TOK_STRING,
    TOK_INTEGER,
    TOK_DECIMAL,
    TOK_FLOAT,
    TOK_VARIABLE, /* ${name} */
    TOK_EQ,
    TOK_NE,
    TOK_LT,
    TOK_LE,
    TOK_GT,
    TOK_GE,
    TOK_PLUS,
    TOK_MINUS,
    TOK_STAR,
    TOK_SLASH,
    TOK_PERCENT,
    TOK_CONCAT,
    TOK_ASSIGN, /* := */
    TOK_FIELD,  /* -> */
    TOK_LAMBDA, /* => */
    TOK_DOT,
    TOK_COMMA,
    TOK_SEMICOLON,
    TOK_LEFT,
    TOK_RIGHT,
    TOK_LEFT_BRACKET,
    TOK_RIGHT_BRACKET,
    TOK_UNKNOWN
};

struct token {
    enum token_kind kind;
    enum keyword keyword; /* TOK_WORD; KW_NONE when it is no keyword */
    struct str text;      /* as written, quotes included */
    struct sql_place place;
};

/* A place of the text that a variable's value goes to. */
struct sql_edit {
    uint32_t token;
    enum { EDIT_NAME, EDIT_LITERAL, EDIT_STRING } context;
};

struct parser {
    struct str text;
    struct sql_place start; /* where the text begins in the whole that the user sent */
    vec(struct token) tokens;
    uint32_t at;         /* current token */
    uint32_t stmt_first; /* first token of the statement being parsed */
    uint32_t depth, type_depth, explain_depth;
    bool test_statements;              /* statements of the test tool are read too */
    const struct ast_expr *star_field; /* a `-> *` that nobody has accepted yet */
    uint32_t star_token;
    bool refused;
    struct err refusal;
    bool collect_edits;
    vec(struct sql_edit) edits;
    struct arena *arena;
    struct err *err;
};

/* lexer.c: cuts the text into tokens, TOK_EOF last. Never fails: what it does not know becomes TOK_UNKNOWN. */
void parser_lex(struct parser *p);
enum keyword sql_keyword_of(struct str word);
const char *sql_keyword_word(enum keyword keyword);
bool sql_keyword_reserved(enum keyword keyword);

/* Contents of a quoted token: quotes cut off, doubled ones halved. */
struct str sql_token_unquote(const struct token *token, struct arena *arena);

/* parser.c: looking at tokens. */
static inline const struct token *peek(const struct parser *p)
{
    return &p->tokens.at[p->at];
}

static inline const struct token *peek_at(const struct parser *p, uint32_t ahead)
{
    size_t i = (size_t)p->at + ahead;
    return &p->tokens.at[i < p->tokens.len ? i : p->tokens.len - 1];
}

static inline bool is_token(const struct parser *p, enum token_kind kind)
{
    return peek(p)->kind == kind;
}

static inline bool is_keyword(const struct parser *p, enum keyword keyword)
{
    return peek(p)->keyword == keyword;
}

static inline void advance(struct parser *p)
{
    if (p->tokens.at[p->at].kind != TOK_EOF)
        p->at++;
}

bool parser_accept(struct parser *p, enum token_kind kind);
bool parser_accept_word(struct parser *p, enum keyword keyword);

/* The token must come; else a syntax error that names it. */
bool parser_expect(struct parser *p, enum token_kind kind);
bool parser_expect_word(struct parser *p, enum keyword keyword);

/* Syntax errors at the current token; all return false. `expected` is what ksqlDB prints after "Expecting" (NULL when
 * the list is long); parse_unviable says only where. */
bool parse_unexpected(struct parser *p, const char *expected);
bool parse_unviable(struct parser *p);

/* Keeps a refusal (P2). The first form puts "line L:C: " before the text, the second nothing. */
void parser_refuse_at(struct parser *p, struct sql_place place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void parser_refuse(struct parser *p, struct sql_place place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Guards a recursion: enter returns false with a syntax error when it is too deep. */
bool parse_enter(struct parser *p);
void parse_leave(struct parser *p);
bool parse_too_complex(struct parser *p);

/* Names. A source name holds letters, digits, '_' and '-' only; a resource is a name or a string, its case kept. */
bool parser_is_name(const struct parser *p);
bool parser_is_name_at(const struct parser *p, uint32_t ahead);
bool parse_name(struct parser *p, struct str *name, bool *quoted);
bool parse_source_name(struct parser *p, struct str *name, bool *quoted);
bool parse_resource(struct parser *p, struct str *name);
bool parse_string(struct parser *p, struct str *value);

/* parse_type.c */
const struct ast_type *parse_type(struct parser *p);

/* parse_expr.c */
const struct ast_expr *parse_expr(struct parser *p);
const struct ast_expr *parse_value(struct parser *p);
const struct ast_expr *parse_literal(struct parser *p);
const struct ast_expr *parse_select_expr(struct parser *p); /* a trailing `-> *` is allowed */
bool parse_integer(struct parser *p, const char *what, int64_t min, int64_t max, int64_t *value);

/* parse_query.c */
bool parse_unit(struct parser *p, enum ast_unit *unit);
bool parser_is_unit(enum keyword keyword, enum ast_unit *unit);
bool parse_duration(struct parser *p, struct ast_duration *duration);
const struct ast_query *parse_query(struct parser *p);

/* parse_stmt.c, parse_info.c */
const struct ast_stmt *parse_statement(struct parser *p);
bool parse_create(struct parser *p, struct ast_stmt *stmt);
bool parse_insert(struct parser *p, struct ast_stmt *stmt);
bool parse_drop(struct parser *p, struct ast_stmt *stmt);
bool parse_alter(struct parser *p, struct ast_stmt *stmt);
bool parse_columns(struct parser *p, struct ast_stmt *stmt);
bool parse_properties(struct parser *p, struct ast_stmt *stmt);
bool parse_name_list(struct parser *p, struct ast_stmt *stmt);
bool parse_row(struct parser *p, struct ast_stmt *stmt);
bool parse_show(struct parser *p, struct ast_stmt *stmt);
bool parse_describe(struct parser *p, struct ast_stmt *stmt);
bool parse_print(struct parser *p, struct ast_stmt *stmt);
bool parse_control(struct parser *p, struct ast_stmt *stmt);
bool parse_explain(struct parser *p, struct ast_stmt *stmt);
bool parse_set(struct parser *p, struct ast_stmt *stmt);
bool parse_define(struct parser *p, struct ast_stmt *stmt);
bool parse_assert(struct parser *p, struct ast_stmt *stmt);
bool parse_run_script(struct parser *p, struct ast_stmt *stmt);

/* variables.c: the text with all edits of the parser applied; false with *p->err set when a value does not fit. */
bool sql_substitute(struct parser *p, const struct map *variables, struct str *text);
void parser_note_variable(struct parser *p, int context);

#endif
