/* check_compare.c - comparisons, BETWEEN, IN, LIKE.
 *
 * BETWEEN is two comparisons under an AND that share the tested value: the node appears twice in the
 * tree and the compiler evaluates it once. Text beside a time is converted to the time; text beside
 * ROWTIME, WINDOWSTART or WINDOWEND to milliseconds.
 */
#include "expr/expr_int.h"

static const char *const op_words[] = {
    [OP_EQ] = "EQUAL",
    [OP_NE] = "NOT_EQUAL",
    [OP_LT] = "LESS_THAN",
    [OP_LE] = "LESS_THAN_OR_EQUAL",
    [OP_GT] = "GREATER_THAN",
    [OP_GE] = "GREATER_THAN_OR_EQUAL",
    [OP_DISTINCT] = "IS_DISTINCT_FROM",
    [OP_NOT_DISTINCT] = "IS_NOT_DISTINCT_FROM",
};

static const char *const op_signs[] = {
    [OP_EQ] = "=",
    [OP_NE] = "<>",
    [OP_LT] = "<",
    [OP_LE] = "<=",
    [OP_GT] = ">",
    [OP_GE] = ">=",
    [OP_DISTINCT] = "IS DISTINCT FROM",
    [OP_NOT_DISTINCT] = "IS NOT DISTINCT FROM",
};

static bool is_instant_column(const struct expr *expr)
{
    if (expr->kind != EXPR_COLUMN || expr->type->kind != SQL_BIGINT || expr->ast->kind != AST_COLUMN)
        return false;
    struct str name = expr->ast->name;
    return str_eq(name, STR("ROWTIME")) || str_eq(name, STR("WINDOWSTART")) || str_eq(name, STR("WINDOWEND"));
}

/* A text literal beside an instant column becomes milliseconds; other expressions stay. NULL when it is
 * no time. */
static const struct expr *instant_literal(struct check *check, const struct expr *expr,
                                          const struct expr *other)
{
    int64_t ms;
    if (expr->kind != EXPR_LITERAL || expr->literal.kind != SQL_STRING || !is_instant_column(other))
        return expr;
    if (!expr_parse_instant(value_slice(expr->literal), &ms, check->err))
        return NULL;
    return expr_literal(check, &type_bigint, value_bigint(ms), expr->ast);
}

static bool is_temporal(const struct sql_type *type)
{
    return type->kind == SQL_DATE || type->kind == SQL_TIME || type->kind == SQL_TIMESTAMP;
}

/* The type both sides are compared in; NULL when they cannot be compared with this operator. */
static const struct sql_type *compared_type(struct check *check, enum ast_op op, const struct sql_type *a,
                                            const struct sql_type *b)
{
    bool equality = op == OP_EQ || op == OP_NE || op == OP_DISTINCT || op == OP_NOT_DISTINCT;
    if (type_is_number(a) && type_is_number(b)) {
        if (a->kind == SQL_DECIMAL && b->kind == SQL_DECIMAL)
            return a; /* compared by value, whatever their scales */
        return type_common_number(a, b, check->arena);
    }
    if (a->kind == SQL_STRING && is_temporal(b))
        return b;
    if (is_temporal(a) && b->kind == SQL_STRING)
        return a;
    if ((a->kind == SQL_DATE && b->kind == SQL_TIMESTAMP) ||
        (a->kind == SQL_TIMESTAMP && b->kind == SQL_DATE))
        return &type_timestamp;
    if (a->kind != b->kind)
        return NULL;
    switch (a->kind) {
    case SQL_STRING:
    case SQL_BYTES:
    case SQL_DATE:
    case SQL_TIME:
    case SQL_TIMESTAMP:
        return a;
    case SQL_BOOLEAN:
        return equality ? a : NULL;
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT:
        return equality ? (type_can_coerce(a, b) ? b : a) : NULL;
    default:
        return NULL;
    }
}

static const struct expr *compared_operand(struct check *check, const struct expr *expr,
                                           const struct sql_type *type)
{
    bool whole = expr->type->kind == SQL_INTEGER || expr->type->kind == SQL_BIGINT;
    if (whole && (type->kind == SQL_INTEGER || type->kind == SQL_BIGINT) && expr->kind != EXPR_LITERAL)
        return expr;
    if (expr->type->kind == SQL_DECIMAL && type->kind == SQL_DECIMAL)
        return expr;
    if (expr->type->kind == SQL_DATE && type->kind == SQL_TIMESTAMP)
        return expr_unary(check, EXPR_COERCE, type, expr->ast, expr);
    const struct expr *coerced = coerce_implicit(check, expr, type);
    return coerced ? coerced : expr;
}

const struct expr *check_compare(struct check *check, const struct ast_expr *ast, enum ast_op op,
                                 const struct expr *left, const struct expr *right)
{
    bool distinct = op == OP_DISTINCT || op == OP_NOT_DISTINCT;
    left = instant_literal(check, left, right);
    right = left ? instant_literal(check, right, left) : NULL;
    if (right == NULL)
        return NULL;
    const struct sql_type *type;
    if (expr_is_null_literal(left) || expr_is_null_literal(right)) {
        if (!distinct)
            return check_fail(check, ast,
                              "Comparison with NULL not supported: %s %s %s\n"
                              "Use 'IS NULL' or 'IS NOT NULL' instead.",
                              expr_is_null_literal(left) ? "NULL" : check_type_text(check, left->type),
                              op_signs[op],
                              expr_is_null_literal(right) ? "NULL" : check_type_text(check, right->type));
        type = expr_is_null_literal(left) ? right->type : left->type;
    } else {
        type = compared_type(check, op, left->type, right->type);
    }
    if (type == NULL)
        return check_fail(check, ast, "Cannot compare %s (%s) to %s (%s) with %s.",
                          check_text(check, left->ast), check_type_text(check, left->type),
                          check_text(check, right->ast), check_type_text(check, right->type), op_words[op]);
    struct expr *compare =
        expr_binary(check, EXPR_COMPARE, &type_boolean, ast, compared_operand(check, left, type),
                    compared_operand(check, right, type));
    compare->op = op;
    return compare;
}

const struct expr *check_between(struct check *check, const struct ast_expr *ast)
{
    const struct expr *value = check_expr(check, ast->left);
    const struct expr *low = value ? check_expr(check, ast->args[0]) : NULL;
    const struct expr *high = low ? check_expr(check, ast->args[1]) : NULL;
    const struct expr *from = high ? check_compare(check, ast, OP_GE, value, low) : NULL;
    const struct expr *to = from ? check_compare(check, ast, OP_LE, value, high) : NULL;
    if (to == NULL && high != NULL)
        err_context(check->err, "Invalid expression");
    if (to == NULL)
        return NULL;
    const struct expr *both = expr_binary(check, EXPR_AND, &type_boolean, ast, from, to);
    return ast->negated ? expr_unary(check, EXPR_NOT, &type_boolean, ast, both) : both;
}

const struct expr *check_in(struct check *check, const struct ast_expr *ast)
{
    uint32_t count = ast->arg_count + 1, kept = 0;
    const struct expr **elems = arena_array(check->arena, const struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        elems[i] = check_expr(check, i == 0 ? ast->left : ast->args[i - 1]);
        if (elems[i] == NULL)
            return NULL;
        elems[i] = instant_literal(check, elems[i], elems[0]);
        if (elems[i] == NULL)
            return NULL;
    }
    const struct sql_type *common;
    if (!coerce_list(check, elems, count, &common))
        return NULL;
    for (uint32_t i = 0; i < count; i++) /* nothing equals NULL */
        if (i == 0 || elems[i]->kind != EXPR_LITERAL || !value_is_null(elems[i]->literal))
            elems[kept++] = elems[i];
    struct expr *in = expr_node(check, EXPR_IN, &type_boolean, ast);
    in->args = elems;
    in->arg_count = kept;
    return ast->negated ? expr_unary(check, EXPR_NOT, &type_boolean, ast, in) : in;
}

const struct expr *check_like(struct check *check, const struct ast_expr *ast)
{
    const struct expr *value = check_expr(check, ast->left);
    const struct expr *pattern = value ? check_expr(check, ast->right) : NULL;
    if (pattern == NULL)
        return NULL;
    if (expr_is_null_literal(value))
        value = coerce_implicit(check, value, &type_string);
    if (expr_is_null_literal(pattern))
        pattern = coerce_implicit(check, pattern, &type_string);
    const struct expr *other = value->type->kind != SQL_STRING ? value : pattern;
    if (other->type->kind != SQL_STRING)
        return check_fail(check, ast,
                          "The column type for Like condition must be VARCHAR. The column type is %s",
                          check_type_text(check, other->type));
    struct expr *like = expr_binary(check, EXPR_LIKE, &type_boolean, ast, value, pattern);
    return ast->negated ? expr_unary(check, EXPR_NOT, &type_boolean, ast, like) : like;
}
