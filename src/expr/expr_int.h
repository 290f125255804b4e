/* expr_int.h - private to src/expr: the checker's state, programs, and the state of an evaluation.
 *
 *   operand table      lanes of a run
 *   0 register  ----->  [values of the register]  mask ~0
 *   1 column    ----->  [values of the input  ]   mask ~0
 *   2 constant  ----->  [one value            ]   mask 0      at[row & mask] reads any of them
 *   3 slot      ----->  [a lambda's parameter ]   mask 0
 *
 * (P1) A program is immutable after expr_compile.
 * (P2) A register is written before it is read, for the same rows.
 * (P3) A row whose evaluation failed carries VALUE_FAILED through operators; it never leaves
 *      expr_eval.
 */
#ifndef RIALTO_EXPR_EXPR_INT_H
#define RIALTO_EXPR_EXPR_INT_H

#include "expr/expr.h"
#include "sql/sql.h"
#include "type/decimal.h"
#include "type/time_format.h"

/* Check */

enum { EXPR_DEPTH_MAX = 1000 };

/* Parameters of the lambdas around an expression, innermost first. */
struct lambda_scope {
    const struct str *names;
    const struct sql_type *const *types;
    uint32_t count;
    uint32_t first_slot;
    const struct lambda_scope *outer;
};

struct check {
    const struct expr_scope *scope;
    struct arena *arena;
    struct err *err;
    const struct lambda_scope *lambdas;
    uint32_t depth;
    const struct ast_expr *aggregate; /* the aggregate call around the expression, or NULL */
};

/* NULL with *err set when the expression is refused. */
const struct expr *check_expr(struct check *check, const struct ast_expr *ast);
const struct expr *check_call(struct check *check, const struct ast_expr *ast);
const struct expr *check_compare(struct check *check, const struct ast_expr *ast, enum ast_op op,
                                 const struct expr *left, const struct expr *right);
const struct expr *check_between(struct check *check, const struct ast_expr *ast);
const struct expr *check_in(struct check *check, const struct ast_expr *ast);
const struct expr *check_like(struct check *check, const struct ast_expr *ast);
const struct expr *check_case(struct check *check, const struct ast_expr *ast);
const struct expr *check_array(struct check *check, const struct ast_expr *ast);
const struct expr *check_map(struct check *check, const struct ast_expr *ast);
const struct expr *check_struct(struct check *check, const struct ast_expr *ast);

/* Sets ERR_STATEMENT with the place of ast; returns NULL so that one can write `return check_fail(...)`.
 * */
const struct expr *check_fail(struct check *check, const struct ast_expr *ast, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Text of a node and of a type (null for a bare NULL) for messages; in the arena. */
const char *check_text(struct check *check, const struct ast_expr *ast);
const char *check_type_text(struct check *check, const struct sql_type *type);

struct expr *expr_node(struct check *check, enum expr_kind kind, const struct sql_type *type,
                       const struct ast_expr *ast);
struct expr *expr_unary(struct check *check, enum expr_kind kind, const struct sql_type *type,
                        const struct ast_expr *ast, const struct expr *arg);
struct expr *expr_binary(struct check *check, enum expr_kind kind, const struct sql_type *type,
                         const struct ast_expr *ast, const struct expr *left, const struct expr *right);
const struct expr *expr_literal(struct check *check, const struct sql_type *type, struct value value,
                                const struct ast_expr *ast);
bool expr_is_null_literal(const struct expr *expr);

/* Coercion (coerce.c) */

/* The expression converted implicitly to type, NULL without an error when that is not allowed. Literals
 * are converted now, columns when they are evaluated. */
const struct expr *coerce_implicit(struct check *check, const struct expr *expr, const struct sql_type *type);

/* Widens *common so that it can hold expr too, by the rules for expression lists; false with the
 * message. */
bool coerce_unify(struct check *check, const struct sql_type **common, const struct expr *expr);

/* Converts to the type that coerce_unify arrived at; NULL with the message. */
const struct expr *coerce_to(struct check *check, const struct expr *expr, const struct sql_type *type);

/* All elements to one type, in place; *common stays NULL when all are NULL literals. */
bool coerce_list(struct check *check, const struct expr **elems, uint32_t count,
                 const struct sql_type **common);

/* Programs */

enum instr_op {
#define I(name) INSTR_##name,
#include "expr/instrs.def"
#undef I
    INSTR_COUNT
};

enum lane_kind { LANE_REGISTER, LANE_COLUMN, LANE_CONSTANT, LANE_SLOT };

struct operand {
    enum lane_kind kind;
    uint32_t index;
};

struct instr {
    enum instr_op op;
    uint32_t dst;    /* register */
    uint32_t a, b;   /* operands */
    uint32_t target; /* SELECT_*: instruction to go to when no row is selected */
    const void *data;
    const struct ast_expr *ast;
};

struct instr_list { /* ARRAY, MAP, STRUCT, CALL, IN */
    const uint32_t *operands;
    uint32_t count;
    const struct func_call *call;
    const struct expr_program *const *lambdas; /* CALL: bodies of its lambda arguments */
    const uint32_t *lambda_slots;
    const struct expr *const *arg_exprs;
};

struct instr_cast {
    const struct sql_type *from, *to;
    bool explicit_cast;
};

struct like_pattern {
    enum { LIKE_EXACT, LIKE_PREFIX, LIKE_SUFFIX, LIKE_CONTAINS, LIKE_GENERAL } kind;
    struct str text;   /* the literal part; LIKE_GENERAL: the pattern as written */
    struct str escape; /* one character, or null */
};

struct instr_like {
    struct str escape;
    const struct like_pattern *constant; /* NULL: the pattern is an operand */
};

struct expr_program {
    const struct instr *instrs;
    uint32_t instr_count;
    const struct operand *operands;
    uint32_t operand_count;
    const struct value *constants;
    uint32_t register_count; /* register 0 is the result */
    uint32_t select_depth;
    uint32_t slot_count;
};

/* Longest LIKE loop is linear in text times pattern; see like.c. */
const struct like_pattern *like_compile(struct str pattern, struct str escape, struct arena *arena);
bool like_match(const struct like_pattern *pattern, struct str text);

/* Evaluation */

#define VALUE_FAILED ((struct value){.kind = 0xff})

static inline bool value_is_failed(struct value v)
{
    return v.kind == 0xff;
}

/* Neither NULL (0) nor failed (255). */
static inline bool value_is_there(struct value v)
{
    return (uint8_t)(v.kind - 1) < 0xfe;
}

struct lane {
    const struct value *at;
    uint32_t mask;
};

/* Rows selected at one level: rows[0..count), or all rows below count when rows is NULL. */
struct selection {
    const uint32_t *rows;
    uint32_t count;
};

/* Memory of a running program, kept for the next run. */
struct frame {
    struct value *registers;
    struct lane *lanes;
    uint32_t *rows; /* one buffer of row_count a level of selection */
    struct selection *selected;
    size_t register_cap, lane_cap, row_cap, selected_cap;
};

struct site {
    struct func_ctx func;
    struct err err;
};

struct expr_ctx {
    const struct func_settings *settings;
    void (*on_error)(void *state, uint32_t row, const struct err *err);
    void *state;
    int64_t now_ms;
    vec(struct frame *) frames; /* one per depth of nested lambdas */
    uint32_t depth;
    vec(struct site *) sites;
    struct map site_of; /* func_call pointer bytes -> site */
    struct time_formats *formats;
};

struct eval {
    struct expr_ctx *ctx;
    const struct expr_program *program;
    struct frame *frame;
    const struct lane *lanes;
    struct value *result;
    const struct value *const *cols;
    struct value *slots;
    struct selection *selected; /* stack of select_depth + 1 */
    uint32_t level;
    uint32_t row_count;
    uint32_t row_base; /* lambdas: the row of the outermost run */
    bool failed;       /* some row failed */
    struct arena *arena;
};

static inline struct value lane_at(struct lane lane, uint32_t row)
{
    return lane.at[row & lane.mask];
}

static inline struct value *eval_register(struct eval *ev, uint32_t reg)
{
    return reg == 0 ? ev->result : ev->frame->registers + (size_t)(reg - 1) * ev->row_count;
}

/* Runs the program over ev's rows; the caller has set all members but lanes, frame, selected and level.
 * */
void eval_run(struct eval *ev);

/* One instruction over the selected rows; control flow stays in eval.c. */
void eval_arithmetic(struct eval *ev, const struct instr *in);
void eval_compare(struct eval *ev, const struct instr *in);
void eval_construct(struct eval *ev, const struct instr *in);
void eval_call(struct eval *ev, const struct instr *in);
void eval_scalar(struct eval *ev, const struct instr *in);

/* Reports that this row failed and gives VALUE_FAILED. */
struct value eval_fail(struct eval *ev, uint32_t row, const struct err *err);
struct value eval_failf(struct eval *ev, uint32_t row, const struct instr *in, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What an operator makes of operands of which at least one is NULL or failed: failed, reported once. */
struct value eval_null_operand(struct eval *ev, uint32_t row, const struct instr *in, struct value a,
                               struct value b);

/* Loops over the selected rows; `row` is the loop variable. */
#define EACH_ROW(ev, row, ...)                                     \
    do {                                                           \
        const struct selection sel_ = (ev)->selected[(ev)->level]; \
        if (sel_.rows == NULL)                                     \
            for (uint32_t row = 0; row < sel_.count; row++) {      \
                __VA_ARGS__                                        \
            }                                                      \
        else                                                       \
            for (uint32_t k_ = 0; k_ < sel_.count; k_++) {         \
                const uint32_t row = sel_.rows[k_];                \
                __VA_ARGS__                                        \
            }                                                      \
    } while (0)

struct site *expr_ctx_site(struct expr_ctx *ctx, const struct func_call *call);

#endif
