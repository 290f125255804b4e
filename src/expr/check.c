/* check.c - from the syntax tree to typed expressions: names, literals, operators; ksqlDB's words for
 * refusals.
 *
 * One function per form of the language. A function checks its operands first, so that the innermost
 * mistake is the one reported. Coercions become nodes here; whoever evaluates never converts by himself.
 *
 * (K1) A node's operands have exactly the types that its instruction wants, but for INTEGER where
 *      BIGINT is read: both keep their number in the same place.
 * (K2) A literal is converted when it is checked: no conversion of constants is left in a tree.
 * Memory: everything lives in the caller's arena.
 */
#include "expr/expr_int.h"

#include <stdarg.h>

static const struct expr *check_node(struct check *check, const struct ast_expr *ast);

const struct expr *check_fail(struct check *check, const struct ast_expr *ast, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct buf text = {0};
    buf_vprintf(&text, fmt, args);
    va_end(args);
    err_set(check->err, ERR_STATEMENT, "%.*s", STR_ARG(buf_str(&text)));
    if (check->err != NULL && ast != NULL) {
        check->err->line = ast->place.line;
        check->err->column = ast->place.column;
    }
    buf_fini(&text);
    return NULL;
}

const char *check_text(struct check *check, const struct ast_expr *ast)
{
    struct buf text = {0};
    sql_print_expr(ast, &text);
    char *copy = str_cstr(buf_str(&text), check->arena);
    buf_fini(&text);
    return copy;
}

const char *check_type_text(struct check *check, const struct sql_type *type)
{
    if (type->kind == SQL_NULL)
        return "null";
    struct buf text = {0};
    type_print(type, &text);
    char *copy = str_cstr(buf_str(&text), check->arena);
    buf_fini(&text);
    return copy;
}

struct expr *expr_node(struct check *check, enum expr_kind kind, const struct sql_type *type,
                       const struct ast_expr *ast)
{
    struct expr *expr = arena_new(check->arena, struct expr);
    expr->kind = kind;
    expr->type = type;
    expr->ast = ast;
    return expr;
}

static void set_args(struct check *check, struct expr *expr, uint32_t count, const struct expr *a,
                     const struct expr *b)
{
    const struct expr **args = arena_array(check->arena, const struct expr *, 2);
    args[0] = a;
    args[1] = b;
    expr->args = args;
    expr->arg_count = count;
}

struct expr *expr_unary(struct check *check, enum expr_kind kind, const struct sql_type *type,
                        const struct ast_expr *ast, const struct expr *arg)
{
    struct expr *expr = expr_node(check, kind, type, ast);
    set_args(check, expr, 1, arg, NULL);
    return expr;
}

struct expr *expr_binary(struct check *check, enum expr_kind kind, const struct sql_type *type,
                         const struct ast_expr *ast, const struct expr *left, const struct expr *right)
{
    struct expr *expr = expr_node(check, kind, type, ast);
    expr->op = ast->op;
    set_args(check, expr, 2, left, right);
    return expr;
}

const struct expr *expr_literal(struct check *check, const struct sql_type *type, struct value value,
                                const struct ast_expr *ast)
{
    struct expr *expr = expr_node(check, EXPR_LITERAL, type, ast);
    expr->literal = value;
    return expr;
}

bool expr_is_null_literal(const struct expr *expr)
{
    return expr->type->kind == SQL_NULL;
}

/* A decimal literal's type is taken from its digits; below 1 the precision is one more than the scale.
 * */
static const struct expr *check_decimal_literal(struct check *check, const struct ast_expr *ast)
{
    const struct decimal *dec = decimal_parse(ast->text, check->arena);
    if (dec == NULL)
        return check_fail(check, ast, "Invalid numeric literal: %.*s", STR_ARG(ast->text));
    uint32_t scale = (uint32_t)MAX(dec->scale, 0);
    uint32_t precision = MAX(decimal_precision(dec), scale + 1);
    if (decimal_precision(dec) == scale && decimal_sign(dec) == 0)
        precision = scale + 1;
    return expr_literal(check, type_decimal(precision, scale, check->arena), value_decimal(dec), ast);
}

static const struct expr *check_double_literal(struct check *check, const struct ast_expr *ast)
{
    double d;
    if (!str_to_double(ast->text, &d))
        return check_fail(check, ast, "Invalid numeric literal: %.*s", STR_ARG(ast->text));
    return expr_literal(check, &type_double, value_double(d), ast);
}

static const struct expr *check_column(struct check *check, const struct ast_expr *ast)
{
    if (str_is_null(ast->qualifier))
        for (const struct lambda_scope *at = check->lambdas; at != NULL; at = at->outer)
            for (uint32_t i = 0; i < at->count; i++)
                if (str_eq(at->names[i], ast->name)) {
                    struct expr *param = expr_node(check, EXPR_LAMBDA_PARAM, at->types[i], ast);
                    param->index = at->first_slot + i;
                    return param;
                }
    uint32_t index;
    const struct sql_type *type;
    if (!check->scope->column(check->scope->state, ast->qualifier, ast->name, ast->place, &index, &type,
                              check->err))
        return NULL;
    struct expr *column = expr_node(check, EXPR_COLUMN, type, ast);
    column->index = index;
    return column;
}

static const struct expr *check_field(struct check *check, const struct ast_expr *ast)
{
    const struct expr *left = check_expr(check, ast->left);
    if (left == NULL)
        return NULL;
    if (left->type->kind != SQL_STRUCT)
        return check_fail(check, ast, "Expected STRUCT type, got: %s", check_type_text(check, left->type));
    for (uint32_t i = 0; i < left->type->field_count; i++)
        if (str_eq(left->type->fields[i].name, ast->name)) {
            struct expr *field = expr_unary(check, EXPR_FIELD, left->type->fields[i].type, ast, left);
            field->index = i;
            return field;
        }
    return check_fail(check, ast, "Could not find field '%.*s' in '%s'.", STR_ARG(ast->name),
                      check_text(check, ast->left));
}

static const struct expr *check_subscript(struct check *check, const struct ast_expr *ast)
{
    const struct expr *left = check_expr(check, ast->left);
    const struct expr *right = left ? check_expr(check, ast->right) : NULL;
    if (right == NULL)
        return NULL;
    const struct expr *key = NULL;
    if (left->type->kind == SQL_ARRAY) {
        key = coerce_implicit(check, right, &type_bigint);
    } else if (left->type->kind == SQL_MAP) {
        key = coerce_implicit(check, right, left->type->key);
    } else {
        return check_fail(check, ast, "Subscript expression (%s) do not apply to %s.",
                          check_text(check, ast->right), check_type_text(check, left->type));
    }
    if (key == NULL)
        return check_fail(check, ast, "Subscript %s of %s must be %s, but is %s.",
                          check_text(check, ast->right), check_type_text(check, left->type),
                          left->type->kind == SQL_ARRAY ? "INTEGER" : "its key type",
                          check_type_text(check, right->type));
    return expr_binary(check, EXPR_SUBSCRIPT, left->type->elem, ast, left, key);
}

static const struct expr *negate_literal(struct check *check, const struct ast_expr *ast,
                                         const struct expr *literal)
{
    struct value v = literal->literal;
    switch (v.kind) {
    case SQL_INTEGER:
        v = value_int((int32_t)(0u - (uint32_t)v.l));
        break;
    case SQL_BIGINT:
        v = value_bigint((int64_t)(0u - (uint64_t)v.l));
        break;
    case SQL_DOUBLE:
        v = value_double(-v.d);
        break;
    default:
        v = value_decimal(decimal_neg(v.dec, check->arena));
        break;
    }
    return expr_literal(check, literal->type, v, ast);
}

static const struct expr *check_unary(struct check *check, const struct ast_expr *ast)
{
    const struct expr *arg = check_expr(check, ast->left);
    if (arg == NULL)
        return NULL;
    if (ast->op == OP_NOT) {
        const struct expr *boolean = coerce_implicit(check, arg, &type_boolean);
        if (boolean == NULL)
            return check_fail(check, ast, "Error processing expression: %s. NOT needs a BOOLEAN, not %s.",
                              check_text(check, ast), check_type_text(check, arg->type));
        return expr_unary(check, EXPR_NOT, &type_boolean, ast, boolean);
    }
    if (!type_is_number(arg->type))
        return check_fail(check, ast,
                          "Error processing expression: %s. Arithmetic on type %s is not supported.",
                          check_text(check, ast), check_type_text(check, arg->type));
    if (ast->op == OP_POS)
        return arg;
    if (arg->kind == EXPR_LITERAL && !value_is_null(arg->literal))
        return negate_literal(check, ast, arg);
    return expr_unary(check, EXPR_NEGATE, arg->type, ast, arg);
}

static const struct expr *arithmetic_refused(struct check *check, const struct ast_expr *ast,
                                             const struct sql_type *left, const struct sql_type *right)
{
    return check_fail(check, ast,
                      "Error processing expression: %s. Arithmetic on types %s and %s are not supported.",
                      check_text(check, ast), check_type_text(check, left), check_type_text(check, right));
}

/* Operands of DECIMAL arithmetic are decimals; of DOUBLE, doubles; INTEGER and BIGINT mix (K1). */
static const struct expr *arithmetic_operand(struct check *check, const struct expr *operand,
                                             const struct sql_type *result)
{
    if (result->kind == SQL_DOUBLE)
        return coerce_implicit(check, operand, &type_double);
    if (result->kind != SQL_DECIMAL || operand->type->kind == SQL_DECIMAL)
        return operand;
    uint32_t digits = operand->type->kind == SQL_INTEGER ? 10 : 19;
    return coerce_implicit(check, operand, type_decimal(digits, 0, check->arena));
}

static const struct expr *check_arithmetic(struct check *check, const struct ast_expr *ast,
                                           const struct expr *left, const struct expr *right)
{
    static const char signs[] = {
        [OP_ADD] = '+', [OP_SUB] = '-', [OP_MUL] = '*', [OP_DIV] = '/', [OP_MOD] = '%'};
    bool texts = left->type->kind == SQL_STRING && right->type->kind == SQL_STRING;
    if (texts && (ast->op == OP_ADD || ast->op == OP_CONCAT))
        return expr_binary(check, EXPR_CONCAT, &type_string, ast, left, right);
    if (ast->op == OP_CONCAT)
        return arithmetic_refused(check, ast, left->type, right->type);
    const struct sql_type *type = type_of_arithmetic(signs[ast->op], left->type, right->type, check->arena);
    if (type == NULL)
        return arithmetic_refused(check, ast, left->type, right->type);
    left = arithmetic_operand(check, left, type);
    right = arithmetic_operand(check, right, type);
    return expr_binary(check, EXPR_ARITHMETIC, type, ast, left, right);
}

static const struct expr *check_logic(struct check *check, const struct ast_expr *ast,
                                      const struct expr *left, const struct expr *right)
{
    const struct expr *a = coerce_implicit(check, left, &type_boolean);
    const struct expr *b = coerce_implicit(check, right, &type_boolean);
    if (a == NULL || b == NULL)
        return check_fail(check, ast,
                          "Error processing expression: %s. %s needs two BOOLEANs, not %s and %s.",
                          check_text(check, ast), ast->op == OP_AND ? "AND" : "OR",
                          check_type_text(check, left->type), check_type_text(check, right->type));
    return expr_binary(check, ast->op == OP_AND ? EXPR_AND : EXPR_OR, &type_boolean, ast, a, b);
}

static const struct expr *check_binary(struct check *check, const struct ast_expr *ast)
{
    const struct expr *left = check_expr(check, ast->left);
    const struct expr *right = left ? check_expr(check, ast->right) : NULL;
    if (right == NULL)
        return NULL;
    switch (ast->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
    case OP_CONCAT:
        return check_arithmetic(check, ast, left, right);
    case OP_AND:
    case OP_OR:
        return check_logic(check, ast, left, right);
    default:
        return check_compare(check, ast, ast->op, left, right);
    }
}

static const struct expr *check_is_null(struct check *check, const struct ast_expr *ast)
{
    const struct expr *arg = check_expr(check, ast->left);
    if (arg == NULL)
        return NULL;
    struct expr *test = expr_unary(check, EXPR_IS_NULL, &type_boolean, ast, arg);
    test->negated = ast->negated;
    return test;
}

static const struct expr *check_cast(struct check *check, const struct ast_expr *ast)
{
    const struct sql_type *type = expr_type_of(ast->type, check->scope, check->arena, check->err);
    const struct expr *arg = type ? check_expr(check, ast->left) : NULL;
    if (arg == NULL)
        return NULL;
    if (expr_is_null_literal(arg))
        return expr_literal(check, type, VALUE_NULL, ast);
    if (type_eq(arg->type, type))
        return arg;
    if (!type_can_cast(arg->type, type))
        return check_fail(check, ast, "Cast of %s to %s is not supported", check_type_text(check, arg->type),
                          check_type_text(check, type));
    return expr_unary(check, EXPR_CAST, type, ast, arg);
}

const struct expr *check_expr(struct check *check, const struct ast_expr *ast)
{
    if (check->depth >= EXPR_DEPTH_MAX)
        return check_fail(check, ast, "Expression is nested more than %d levels deep", EXPR_DEPTH_MAX);
    check->depth++;
    const struct expr *expr = check_node(check, ast);
    check->depth--;
    return expr;
}

static const struct expr *check_node(struct check *check, const struct ast_expr *ast)
{
    switch (ast->kind) {
    case AST_NULL:
        return expr_literal(check, &type_null, VALUE_NULL, ast);
    case AST_BOOLEAN:
        return expr_literal(check, &type_boolean, value_bool(ast->boolean), ast);
    case AST_INTEGER:
        return expr_literal(check, &type_integer, value_int((int32_t)ast->integer), ast);
    case AST_BIGINT:
        return expr_literal(check, &type_bigint, value_bigint(ast->integer), ast);
    case AST_DECIMAL:
        return check_decimal_literal(check, ast);
    case AST_DOUBLE:
        return check_double_literal(check, ast);
    case AST_STRING:
        return expr_literal(check, &type_string, value_str(ast->text), ast);
    case AST_COLUMN:
        return check_column(check, ast);
    case AST_FIELD:
        return check_field(check, ast);
    case AST_SUBSCRIPT:
        return check_subscript(check, ast);
    case AST_CALL:
        return check_call(check, ast);
    case AST_UNARY:
        return check_unary(check, ast);
    case AST_BINARY:
        return check_binary(check, ast);
    case AST_IS_NULL:
        return check_is_null(check, ast);
    case AST_BETWEEN:
        return check_between(check, ast);
    case AST_IN:
        return check_in(check, ast);
    case AST_LIKE:
        return check_like(check, ast);
    case AST_CASE:
    case AST_SIMPLE_CASE:
        return check_case(check, ast);
    case AST_CAST:
        return check_cast(check, ast);
    case AST_ARRAY:
        return check_array(check, ast);
    case AST_MAP:
        return check_map(check, ast);
    case AST_STRUCT:
        return check_struct(check, ast);
    case AST_FIELD_STAR:
        return check_fail(check, ast, "%s is only allowed in a SELECT list.", check_text(check, ast));
    case AST_LAMBDA:
        return check_fail(check, ast, "A lambda is only allowed as an argument of a function.");
    case AST_TIME_UNIT:
        return check_fail(check, ast, "%.*s is only allowed as an argument of a function.",
                          STR_ARG(ast->name));
    case AST_AT_ZONE:
        return check_fail(check, ast, "AT TIME ZONE is not supported; use CONVERT_TZ.");
    case AST_VARIABLE:
        return check_fail(check, ast, "Variable ${%.*s} is not defined.", STR_ARG(ast->name));
    }
    UNREACHABLE();
}

const struct expr *expr_check(const struct ast_expr *ast, const struct expr_scope *scope, struct arena *arena,
                              struct err *err)
{
    struct check check = {.scope = scope, .arena = arena, .err = err};
    return check_expr(&check, ast);
}

const struct expr *expr_check_as(const struct ast_expr *ast, const struct sql_type *type,
                                 const struct expr_scope *scope, struct arena *arena, struct err *err)
{
    struct check check = {.scope = scope, .arena = arena, .err = err};
    const struct expr *expr = check_expr(&check, ast);
    if (expr == NULL)
        return NULL;
    const struct expr *coerced = coerce_implicit(&check, expr, type);
    if (coerced == NULL)
        return check_fail(&check, ast, "Expected type %s but got %s(%s).", check_type_text(&check, type),
                          check_type_text(&check, expr->type), check_text(&check, ast));
    return coerced;
}
