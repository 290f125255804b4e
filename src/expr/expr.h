/* expr.h - typed expressions: check, compile, evaluate over the rows of a run.
 *
 *   ast_expr --expr_check--> struct expr (typed tree) --expr_compile--> struct expr_program
 *                                                                          --expr_eval--> column of results
 *
 * A program is a flat array of instructions over registers; a register is a column of values, one per
 * row of the run. Each instruction loops over the rows, so that dispatch is paid once a run.
 *
 * Errors of evaluation belong to a row, not to the run: the row's result is NULL, its error is reported
 * through expr_ctx.on_error (processing log), evaluation goes on.
 *
 * Thread: a typed tree and a program are read-only and may be shared; an expr_ctx belongs to one task.
 */
#ifndef RIALTO_EXPR_EXPR_H
#define RIALTO_EXPR_EXPR_H

#include "func/func.h"
#include "sql/ast.h"
#include "type/type.h"

/* What names mean: filled by analyze. A column is known by its index in the input columns of a run. */
struct expr_scope {
    /* Resolves [qualifier.]name to an input column; false with *err set when unknown or ambiguous. */
    bool (*column)(void *state, struct str qualifier, struct str name, struct sql_place place,
                   uint32_t *index, const struct sql_type **type, struct err *err);
    /* Resolves a custom type name of CAST; NULL with *err set when unknown. May be NULL: only built-in
     * types. */
    const struct sql_type *(*type_name)(void *state, struct str name, struct arena *arena, struct err *err);
    void *state;
    /* A call of an aggregate is an error unless allowed; then it becomes EXPR_AGGREGATE. A call of a
     * table function likewise; it becomes an EXPR_CALL whose call->kind is FUNC_TABLE. Both must be
     * replaced before expr_compile. */
    bool aggregates_allowed, tables_allowed;
};

enum expr_kind {
    EXPR_LITERAL,
    EXPR_COLUMN,
    EXPR_LAMBDA_PARAM,
    EXPR_CALL,
    EXPR_AGGREGATE,
    EXPR_LAMBDA,
    EXPR_ARITHMETIC,
    EXPR_NEGATE,
    EXPR_CONCAT,
    EXPR_COMPARE,
    EXPR_AND,
    EXPR_OR,
    EXPR_NOT,
    EXPR_IS_NULL,
    EXPR_LIKE,
    EXPR_IN,
    EXPR_CASE,
    EXPR_CAST,
    EXPR_COERCE,
    EXPR_FIELD,
    EXPR_SUBSCRIPT,
    EXPR_ARRAY,
    EXPR_MAP,
    EXPR_STRUCT
};

struct expr {
    enum expr_kind kind;
    enum ast_op op;
    const struct sql_type *type;
    uint32_t index; /* EXPR_COLUMN: input column; EXPR_FIELD: field; EXPR_LAMBDA_PARAM: slot */
    bool negated;
    struct value literal;
    const struct expr *const *args;
    uint32_t arg_count;
    const struct func_call *call;
    const struct ast_expr *ast; /* for messages */
};

/* Converts a written type to a type. */
const struct sql_type *expr_type_of(const struct ast_type *type, const struct expr_scope *scope,
                                    struct arena *arena, struct err *err);

/* Resolves names, functions and types; NULL with *err set (ksqlDB's words). */
const struct expr *expr_check(const struct ast_expr *ast, const struct expr_scope *scope, struct arena *arena,
                              struct err *err);

/* As expr_check, then coerces the result implicitly to `type` (INSERT VALUES uses the literal rules). */
const struct expr *expr_check_as(const struct ast_expr *ast, const struct sql_type *type,
                                 const struct expr_scope *scope, struct arena *arena, struct err *err);

/* Sets used[i] for every input column that the tree reads. */
void expr_columns_used(const struct expr *expr, bool *used);

bool expr_is_constant(const struct expr *expr);

struct expr_program;

/* Compiles; the program lives in the arena. Aggregates must have been replaced by columns before. */
const struct expr_program *expr_compile(const struct expr *expr, struct arena *arena);

/* Prints a program, one instruction a line (EXPLAIN, tests). */
void expr_program_print(const struct expr_program *program, struct buf *out);

/* Evaluation context of a task: registers are kept between runs. */
struct expr_ctx;
struct expr_ctx *expr_ctx_new(const struct func_settings *settings,
                              void (*on_error)(void *state, uint32_t row, const struct err *err),
                              void *state);
void expr_ctx_free(struct expr_ctx *ctx);
void expr_ctx_set_now(struct expr_ctx *ctx, int64_t now_ms);

/* Evaluates over `count` rows: cols[c][row] are the inputs, out[row] the results (in `arena` where they
 * need memory, borrowed from the inputs where they do not). `failed`, when not NULL, gets true for rows
 * whose evaluation failed. */
void expr_eval(struct expr_ctx *ctx, const struct expr_program *program, const struct value *const *cols,
               uint32_t count, struct value *out, bool *failed, struct arena *arena);

/* Evaluates a constant expression; false with *err set when it fails. */
bool expr_eval_constant(const struct expr *expr, const struct func_settings *settings, struct value *out,
                        struct arena *arena, struct err *err);

/* The instant that a text means where ROWTIME, WINDOWSTART or WINDOWEND is compared with it: ISO 8601,
 * partial allowed, UTC when it names no zone. expr_check does this by itself for literals. */
bool expr_parse_instant(struct str text, int64_t *ms, struct err *err);

/* Aggregates and table functions are driven by operators with a context of this call site. */
struct func_ctx *expr_ctx_func(struct expr_ctx *ctx, const struct func_call *call, struct arena *arena);

#endif
