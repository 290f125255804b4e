/* sql.h - text to syntax tree and back.
 *
 * The parser is recursive descent for statements and Pratt for expressions; the grammar stands as EBNF above each
 * function. It reads the whole language; what a statement means, and whether it can be executed, is others' matter.
 */
#ifndef RIALTO_SQL_SQL_H
#define RIALTO_SQL_SQL_H

#include "sql/ast.h"

/* Parses all statements of a text. On success *stmts is an array in the arena (*count may be 0); on failure err has
 * code ERR_SYNTAX, the text as ksqlDB words it (`line 1:15: ...`, with a last line `Statement: ...`) and line and column
 * set. Nothing refers to `text` afterwards. Any thread. Texts over 16 MiB give ERR_LIMIT.
 * `variables` (name -> struct str *) are substituted for ${name} as the reference says (1.9); NULL: no substitution. */
bool sql_parse(struct str text, const struct map *variables, const struct ast_stmt *const **stmts,
               uint32_t *count, struct arena *arena, struct err *err);

/* As sql_parse for a part of a text that begins at `start` of the whole: places count from the whole's start.
 * sql_place_move moves a place over a text. */
bool sql_parse_at(struct str text, struct sql_place start, const struct map *variables,
                  const struct ast_stmt *const **stmts, uint32_t *count, struct arena *arena,
                  struct err *err);
void sql_place_move(struct sql_place *place, struct str text);

/* As sql_parse, and also reads the statements of test scripts: ASSERT VALUES, ASSERT NULL VALUES, ASSERT STREAM, ASSERT
 * TABLE, RUN SCRIPT. */
bool sql_parse_script(struct str text, const struct map *variables, const struct ast_stmt *const **stmts,
                      uint32_t *count, struct arena *arena, struct err *err);

/* Parses one expression, the whole text; one type, the whole text. */
bool sql_parse_expr(struct str text, const struct ast_expr **expr, struct arena *arena, struct err *err);
bool sql_parse_type(struct str text, const struct ast_type **type, struct arena *arena, struct err *err);

/* Cuts the next complete statement (up to and with its semicolon, quotes and comments respected) off *rest; false when
 * there is none. For the shell, which sends a statement as soon as it is complete. */
bool sql_next_statement(struct str *rest, struct str *stmt);

/* Prints a tree as text that parses to an equal tree; keywords upper case, names quoted only where needed.
 * sql_print_expr prints in ksqlDB's own form, which error messages and schemas quote: (A + B), `a b`, CAST(X AS Y). */
void sql_print_stmt(const struct ast_stmt *stmt, struct buf *out);
void sql_print_query(const struct ast_query *query, struct buf *out);
void sql_print_expr(const struct ast_expr *expr, struct buf *out);
void sql_print_type(const struct ast_type *type, struct buf *out);

/* `NAME` as messages quote it: back quotes added, inner ones doubled; and NAME or `na me` as SQL text needs it. */
void sql_print_quoted(struct str name, struct buf *out);
void sql_print_name(struct str name, struct buf *out);

/* Structural equality, places ignored; either may be NULL. */
bool sql_expr_eq(const struct ast_expr *a, const struct ast_expr *b);
bool sql_stmt_eq(const struct ast_stmt *a, const struct ast_stmt *b);

/* "CREATE STREAM" etc. */
const char *sql_stmt_words(enum ast_stmt_kind kind);

/* The language's keywords, for completion; reserved ones must be quoted to serve as names. NULL ends the walk. */
const char *sql_keyword(uint32_t i, bool *reserved);

#endif
