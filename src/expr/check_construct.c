/* check_construct.c - CASE and the constructors ARRAY, MAP, STRUCT: forms whose parts share a type.
 *
 * A searched CASE is kept as [condition, result, condition, result, ..., else]; a simple CASE becomes
 * one whose conditions compare the same operand node, which is evaluated once.
 */
#include "expr/expr_int.h"

#define ISSUE "(see https://github.com/confluentinc/ksql/issues/4239)"

static const struct expr *case_condition(struct check *check, const struct ast_expr *ast, uint32_t branch,
                                         const struct expr *subject)
{
    const struct expr *when = check_expr(check, ast->args[2 * branch]);
    if (when == NULL)
        return NULL;
    if (subject != NULL)
        return check_compare(check, ast, OP_EQ, subject, when);
    const struct expr *condition = coerce_implicit(check, when, &type_boolean);
    if (condition == NULL)
        return check_fail(check, when->ast, "WHEN operand type should be boolean.\nType for '%s' is %s",
                          check_text(check, when->ast), check_type_text(check, when->type));
    return condition;
}

const struct expr *check_case(struct check *check, const struct ast_expr *ast)
{
    uint32_t branches = ast->arg_count / 2;
    const struct expr *subject = NULL;
    if (ast->kind == AST_SIMPLE_CASE && (subject = check_expr(check, ast->left)) == NULL)
        return NULL;
    const struct expr **args = arena_array(check->arena, const struct expr *, 2 * branches + 1);
    const struct expr **results = arena_array(check->arena, const struct expr *, branches + 1);
    for (uint32_t i = 0; i < branches; i++) {
        args[2 * i] = case_condition(check, ast, i, subject);
        results[i] = args[2 * i] ? check_expr(check, ast->args[2 * i + 1]) : NULL;
        if (results[i] == NULL)
            return NULL;
    }
    results[branches] =
        ast->right ? check_expr(check, ast->right) : expr_literal(check, &type_null, VALUE_NULL, ast);
    const struct sql_type *type;
    if (results[branches] == NULL || !coerce_list(check, results, branches + 1, &type))
        return NULL;
    if (type == NULL)
        return check_fail(check, ast, "Invalid Case expression. All case branches have NULL type");
    for (uint32_t i = 0; i < branches; i++)
        args[2 * i + 1] = results[i];
    args[2 * branches] = results[branches];
    struct expr *expr = expr_node(check, EXPR_CASE, type, ast);
    expr->args = args;
    expr->arg_count = 2 * branches + 1;
    return expr;
}

/* Every step-th argument from `first`, checked. */
static const struct expr **check_args(struct check *check, const struct ast_expr *ast, uint32_t first,
                                      uint32_t step)
{
    const struct expr **args = arena_array(check->arena, const struct expr *, ast->arg_count / step + 1);
    for (uint32_t i = first, n = 0; i < ast->arg_count; i += step)
        if ((args[n++] = check_expr(check, ast->args[i])) == NULL)
            return NULL;
    return args;
}

const struct expr *check_array(struct check *check, const struct ast_expr *ast)
{
    if (ast->arg_count == 0)
        return check_fail(check, ast,
                          "Array constructor cannot be empty. Please supply at least one element " ISSUE ".");
    const struct expr **args = check_args(check, ast, 0, 1);
    const struct sql_type *elem;
    if (args == NULL || !coerce_list(check, args, ast->arg_count, &elem))
        return NULL;
    if (elem == NULL)
        return check_fail(check, ast,
                          "Cannot construct an array with all NULL elements " ISSUE
                          ". As a workaround, you may cast a NULL value to the desired type.");
    struct expr *expr = expr_node(check, EXPR_ARRAY, type_array(elem, check->arena), ast);
    expr->args = args;
    expr->arg_count = ast->arg_count;
    return expr;
}

const struct expr *check_map(struct check *check, const struct ast_expr *ast)
{
    if (ast->arg_count == 0)
        return check_fail(check, ast,
                          "Map constructor cannot be empty. Please supply at least one key value pair " ISSUE
                          ".");
    uint32_t count = ast->arg_count / 2;
    const struct expr **keys = check_args(check, ast, 0, 2);
    const struct expr **values = keys ? check_args(check, ast, 1, 2) : NULL;
    const struct sql_type *key, *value;
    if (values == NULL || !coerce_list(check, keys, count, &key) ||
        !coerce_list(check, values, count, &value))
        return NULL;
    if (key == NULL || value == NULL)
        return check_fail(check, ast,
                          "Cannot construct a map with all NULL %s " ISSUE
                          ". As a workaround, you may cast a NULL value to the desired type.",
                          key == NULL ? "keys" : "values");
    const struct expr **args = arena_array(check->arena, const struct expr *, ast->arg_count);
    for (uint32_t i = 0; i < count; i++) {
        args[2 * i] = keys[i];
        args[2 * i + 1] = values[i];
    }
    struct expr *expr = expr_node(check, EXPR_MAP, type_map(key, value, check->arena), ast);
    expr->args = args;
    expr->arg_count = ast->arg_count;
    return expr;
}

const struct expr *check_struct(struct check *check, const struct ast_expr *ast)
{
    struct sql_field *fields = arena_array(check->arena, struct sql_field, ast->arg_count);
    const struct expr **args = check_args(check, ast, 0, 1);
    if (args == NULL)
        return NULL;
    for (uint32_t i = 0; i < ast->arg_count; i++) {
        if (expr_is_null_literal(args[i]))
            return check_fail(check, ast,
                              "The type of field %.*s cannot be inferred from NULL. As a workaround, you may "
                              "cast a NULL value to the desired type.",
                              STR_ARG(ast->names[i]));
        fields[i] = (struct sql_field){str_dup(ast->names[i], check->arena), args[i]->type};
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(fields[k].name, fields[i].name))
                return check_fail(check, ast,
                                  "Duplicate field names found in STRUCT: '%s'. Field names: %.*s",
                                  check_text(check, ast), STR_ARG(fields[i].name));
    }
    struct expr *expr = expr_node(check, EXPR_STRUCT, type_struct(fields, ast->arg_count, check->arena), ast);
    expr->args = args;
    expr->arg_count = ast->arg_count;
    return expr;
}
