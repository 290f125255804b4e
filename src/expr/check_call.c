/* check_call.c - function calls: arguments, lambdas, resolution, aggregates.
 *
 *   arguments checked -> func_resolve picks the signature -> arguments coerced to its parameter types
 *                           |  asks for a lambda's body type once its parameters' types are known
 *                           +--> check_lambda: the body under a scope in which the parameters hide columns
 *
 * (L1) A lambda is checked with the parameter types that the resolver settled on; the last check
 *      counts.
 * (L2) Slots of nested lambdas do not overlap: the inner ones start behind the outer ones.
 */
#include "expr/expr_int.h"

enum { CALL_ARGS_MAX = 255 };

struct call_check {
    struct check *check;
    const struct ast_expr *ast;
    const struct ast_expr **lambdas; /* the lambda arguments in order */
    const struct expr **bodies;      /* what they became */
};

static uint32_t next_slot(const struct check *check)
{
    return check->lambdas ? check->lambdas->first_slot + check->lambdas->count : 0;
}

static const struct expr *check_lambda(struct check *check, const struct ast_expr *lambda,
                                       const struct sql_type *const *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(lambda->names[i], lambda->names[k]))
                return check_fail(check, lambda, "Lambda arguments have duplicate names: %.*s",
                                  STR_ARG(lambda->names[i]));
    struct lambda_scope scope = {lambda->names, types, count, next_slot(check), check->lambdas};
    const struct lambda_scope *outer = check->lambdas;
    check->lambdas = &scope;
    const struct expr *body = check_expr(check, lambda->left);
    check->lambdas = outer;
    return body;
}

static const struct sql_type *lambda_type(void *state, uint32_t index, const struct sql_type *const *params,
                                          uint32_t count, struct err *err)
{
    struct call_check *call = state;
    const struct ast_expr *lambda = call->lambdas[index];
    struct err *before = call->check->err;
    call->check->err = err;
    const struct expr *body = check_lambda(call->check, lambda, params, count);
    call->check->err = before;
    if (body == NULL)
        return NULL;
    struct expr *node = expr_unary(call->check, EXPR_LAMBDA, body->type, lambda, body);
    node->index = next_slot(call->check);
    call->bodies[index] = node;
    return body->type;
}

/* Checks the arguments; lambdas stay NULL in args and are known by their position among lambdas. */
static bool check_arguments(struct call_check *call, const struct expr **args, struct func_arg *facts)
{
    const struct ast_expr *ast = call->ast;
    for (uint32_t i = 0, lambdas = 0; i < ast->arg_count; i++) {
        const struct ast_expr *arg = ast->args[i];
        if (arg->kind == AST_LAMBDA) {
            call->lambdas[lambdas++] = arg;
            facts[i].lambda_params = arg->name_count;
        } else if (arg->kind == AST_TIME_UNIT) {
            struct value *unit = arena_new(call->check->arena, struct value);
            *unit = value_str(arg->name);
            facts[i] = (struct func_arg){.type = &type_string, .is_unit = true, .literal = unit};
            args[i] = expr_literal(call->check, &type_string, *unit, arg);
        } else {
            args[i] = check_expr(call->check, arg);
            if (args[i] == NULL)
                return false;
            facts[i].type = args[i]->type;
            if (args[i]->kind == EXPR_LITERAL)
                facts[i].literal = &args[i]->literal;
        }
    }
    return true;
}

static bool coerce_arguments(struct call_check *call, const struct func_call *resolved,
                             const struct expr **args)
{
    uint32_t lambdas = 0;
    for (uint32_t i = 0; i < call->ast->arg_count; i++) {
        if (call->ast->args[i]->kind == AST_LAMBDA) {
            args[i] = call->bodies[lambdas++];
        } else if (resolved->params[i] != NULL) {
            const struct expr *arg = coerce_implicit(call->check, args[i], resolved->params[i]);
            if (arg == NULL) {
                check_fail(call->check, call->ast,
                           "Argument %u of function '%.*s' cannot be converted to %s.", i + 1,
                           STR_ARG(resolved->name), check_type_text(call->check, resolved->params[i]));
                return false;
            }
            args[i] = arg;
        }
    }
    return true;
}

static bool check_constants(struct call_check *call, const struct func_call *resolved,
                            const struct expr **args)
{
    for (uint32_t i = call->ast->arg_count - resolved->constant_args; i < call->ast->arg_count; i++)
        if (args[i]->kind != EXPR_LITERAL) {
            check_fail(
                call->check, call->ast,
                "Parameter %u passed to function %.*s must be a literal constant, but was expression: '%s'",
                i + 1, STR_ARG(call->ast->name), check_text(call->check, call->ast->args[i]));
            return false;
        }
    return true;
}

static const struct expr *resolve(struct call_check *call, const struct func *func)
{
    struct check *check = call->check;
    const struct ast_expr *ast = call->ast;
    const struct expr **args = arena_array(check->arena, const struct expr *, ast->arg_count + 1);
    struct func_arg *facts = arena_array(check->arena, struct func_arg, ast->arg_count + 1);
    if (!check_arguments(call, args, facts))
        return NULL;
    const struct func_call *resolved =
        func_resolve(func, facts, ast->arg_count, lambda_type, call, check->arena, check->err);
    if (resolved == NULL) {
        if (check->err != NULL && check->err->line == 0) {
            check->err->line = ast->place.line;
            check->err->column = ast->place.column;
        }
        return NULL;
    }
    if (!coerce_arguments(call, resolved, args) || !check_constants(call, resolved, args))
        return NULL;
    enum expr_kind kind = resolved->kind == FUNC_AGGREGATE ? EXPR_AGGREGATE : EXPR_CALL;
    struct expr *node = expr_node(check, kind, resolved->result, ast);
    node->call = resolved;
    node->args = args;
    node->arg_count = ast->arg_count;
    return node;
}

const struct expr *check_call(struct check *check, const struct ast_expr *ast)
{
    const struct func *func = func_find(ast->name);
    if (func == NULL)
        return check_fail(check, ast, "Can't find any functions with the name '%.*s'", STR_ARG(ast->name));
    if (ast->arg_count > CALL_ARGS_MAX)
        return check_fail(check, ast, "Function '%.*s' has more than %d arguments.", STR_ARG(ast->name),
                          CALL_ARGS_MAX);
    bool aggregate = func_kind_of(func) == FUNC_AGGREGATE;
    const struct ast_expr *around = check->aggregate;
    if (aggregate && !check->scope->aggregates_allowed)
        return check_fail(check, ast, "Aggregate functions are not allowed here: %s", check_text(check, ast));
    if (func_kind_of(func) == FUNC_TABLE && !check->scope->tables_allowed)
        return check_fail(check, ast, "Table functions are not allowed here: %s", check_text(check, ast));
    if (aggregate && around != NULL)
        return check_fail(check, ast, "Aggregate functions can not be nested: %s", check_text(check, around));
    if (aggregate)
        check->aggregate = ast;
    struct call_check call = {.check = check,
                              .ast = ast,
                              .lambdas = arena_array(check->arena, const struct ast_expr *, ast->arg_count),
                              .bodies = arena_array(check->arena, const struct expr *, ast->arg_count)};
    const struct expr *expr = resolve(&call, func);
    check->aggregate = around;
    return expr;
}
