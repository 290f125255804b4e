/* tree.c - copying and walking syntax trees and typed trees.
 *
 * A copy is deep: names, texts and types too, so that nothing points back into the statement (Q2 of
 * analysis.h). The walks know the shape of a node only by its members: left, right and args hold all
 * children of every kind.
 */
#include "analyze/analyze_int.h"

struct ast_expr *ast_new(struct arena *arena, enum ast_expr_kind kind, struct sql_place place)
{
    struct ast_expr *ast = arena_new(arena, struct ast_expr);
    ast->kind = kind;
    ast->place = place;
    return ast;
}

const struct ast_expr *ast_column(struct arena *arena, struct str qualifier, struct str name,
                                  struct sql_place place)
{
    struct ast_expr *ast = ast_new(arena, AST_COLUMN, place);
    ast->qualifier = qualifier;
    ast->name = name;
    return ast;
}

static const struct ast_type *copy_type(const struct ast_type *type, struct arena *arena)
{
    if (type == NULL)
        return NULL;
    struct ast_type *copy = arena_dup(arena, type, sizeof *type);
    copy->name = str_dup(type->name, arena);
    copy->key = copy_type(type->key, arena);
    copy->elem = copy_type(type->elem, arena);
    struct ast_type_field *fields = arena_array(arena, struct ast_type_field, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++) {
        fields[i].name = str_dup(type->fields[i].name, arena);
        fields[i].type = copy_type(type->fields[i].type, arena);
    }
    copy->fields = fields;
    return copy;
}

static const struct str *copy_names(const struct str *names, uint32_t count, struct arena *arena)
{
    struct str *copy = arena_array(arena, struct str, count);
    for (uint32_t i = 0; i < count; i++)
        copy[i] = str_dup(names[i], arena);
    return copy;
}

static bool rewrite_children(struct rewrite *rewrite, const struct ast_expr *ast, struct ast_expr *copy)
{
    if (ast->left != NULL && (copy->left = ast_rewrite(rewrite, ast->left)) == NULL)
        return false;
    if (ast->right != NULL && (copy->right = ast_rewrite(rewrite, ast->right)) == NULL)
        return false;
    const struct ast_expr **args = arena_array(rewrite->arena, const struct ast_expr *, ast->arg_count);
    for (uint32_t i = 0; i < ast->arg_count; i++)
        if ((args[i] = ast_rewrite(rewrite, ast->args[i])) == NULL)
            return false;
    copy->args = args;
    return true;
}

const struct ast_expr *ast_rewrite(struct rewrite *rewrite, const struct ast_expr *ast)
{
    bool ok = true;
    const struct ast_expr *other = rewrite->node(rewrite, ast, &ok);
    if (!ok || other != NULL)
        return ok ? other : NULL;
    struct ast_expr *copy = arena_dup(rewrite->arena, ast, sizeof *ast);
    copy->name = str_dup(ast->name, rewrite->arena);
    copy->qualifier = str_dup(ast->qualifier, rewrite->arena);
    copy->text = str_dup(ast->text, rewrite->arena);
    copy->names = copy_names(ast->names, ast->name_count, rewrite->arena);
    copy->type = copy_type(ast->type, rewrite->arena);
    struct lambda_names lambda = {ast->names, ast->name_count, rewrite->lambdas};
    if (ast->kind == AST_LAMBDA)
        rewrite->lambdas = &lambda;
    ok = rewrite_children(rewrite, ast, copy);
    if (ast->kind == AST_LAMBDA)
        rewrite->lambdas = lambda.outer;
    return ok ? copy : NULL;
}

bool ast_walk(const struct ast_expr *ast, bool (*visit)(const struct ast_expr *, void *), void *state)
{
    if (ast == NULL)
        return true;
    if (!visit(ast, state) || !ast_walk(ast->left, visit, state) || !ast_walk(ast->right, visit, state))
        return false;
    for (uint32_t i = 0; i < ast->arg_count; i++)
        if (!ast_walk(ast->args[i], visit, state))
            return false;
    return true;
}

/* Typed trees -------------------------------------------------------------------------------------------- */

static bool call_eq(const struct expr *a, const struct expr *b)
{
    if (a->call == NULL || b->call == NULL)
        return a->call == b->call;
    static const struct str drifting[] = {STR_INIT("RANDOM"), STR_INIT("UUID")};
    for (size_t i = 0; i < COUNT_OF(drifting); i++)
        if (str_eq_nocase(a->call->name, drifting[i]))
            return false;
    return a->call->func == b->call->func && type_eq(a->call->result, b->call->result);
}

bool analysis_expr_eq(const struct expr *a, const struct expr *b)
{
    if (a->kind != b->kind || a->op != b->op || a->index != b->index || a->negated != b->negated ||
        a->arg_count != b->arg_count || !call_eq(a, b))
        return false;
    if ((a->type == NULL) != (b->type == NULL) || (a->type != NULL && !type_eq(a->type, b->type)))
        return false;
    if (a->kind == EXPR_LITERAL && !value_eq(a->literal, b->literal))
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        if (a->args[i] == NULL || b->args[i] == NULL) {
            if (a->args[i] != b->args[i])
                return false;
        } else if (!analysis_expr_eq(a->args[i], b->args[i])) {
            return false;
        }
    }
    return true;
}

const struct expr *analysis_expr_find(const struct expr *expr, bool (*accept)(const struct expr *, void *),
                                      void *state)
{
    if (expr == NULL || accept(expr, state))
        return expr;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        const struct expr *found = analysis_expr_find(expr->args[i], accept, state);
        if (found != NULL)
            return found;
    }
    return NULL;
}

const struct expr *expr_replace(const struct expr *expr,
                                const struct expr *(*replace)(const struct expr *, void *), void *state,
                                struct arena *arena)
{
    if (expr == NULL)
        return NULL;
    const struct expr *other = replace(expr, state);
    if (other != NULL || expr->arg_count == 0)
        return other != NULL ? other : expr;
    const struct expr **args = arena_array(arena, const struct expr *, expr->arg_count);
    bool changed = false;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        args[i] = expr_replace(expr->args[i], replace, state, arena);
        changed |= args[i] != expr->args[i];
    }
    if (!changed)
        return expr;
    struct expr *copy = arena_dup(arena, expr, sizeof *expr);
    copy->args = args;
    return copy;
}
