/* types.c - written types to types, and what can be asked of a typed tree. */
#include "expr/expr_int.h"

static const struct {
    const char *name;
    const struct sql_type *type;
} primitives[] = {
    {"BOOLEAN", &type_boolean}, {"INT", &type_integer},         {"INTEGER", &type_integer},
    {"BIGINT", &type_bigint},   {"DOUBLE", &type_double},       {"STRING", &type_string},
    {"VARCHAR", &type_string},  {"BYTES", &type_bytes},         {"DATE", &type_date},
    {"TIME", &type_time},       {"TIMESTAMP", &type_timestamp},
};

static const struct sql_type *named_type(const struct ast_type *type, const struct expr_scope *scope,
                                         struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(primitives); i++)
        if (str_eq_nocase(type->name, str_from(primitives[i].name)))
            return primitives[i].type;
    if (scope != NULL && scope->type_name != NULL)
        return scope->type_name(scope->state, type->name, arena, err);
    err_set(err, ERR_STATEMENT, "Cannot resolve unknown type: %.*s", STR_ARG(type->name));
    return NULL;
}

static const struct sql_type *decimal_type(const struct ast_type *type, struct arena *arena, struct err *err)
{
    if (type->precision < 1 || type->scale < 0 || type->scale > type->precision) {
        err_set(err, ERR_STATEMENT, "%s: DECIMAL(%d, %d)",
                type->precision < 1 ? "DECIMAL precision must be >= 1"
                : type->scale < 0   ? "DECIMAL scale must be >= 0"
                                    : "DECIMAL precision must be >= scale",
                type->precision, type->scale);
        return NULL;
    }
    return type_decimal((uint32_t)type->precision, (uint32_t)type->scale, arena);
}

static const struct sql_type *struct_type(const struct ast_type *type, const struct expr_scope *scope,
                                          struct arena *arena, struct err *err)
{
    struct sql_field *fields = arena_array(arena, struct sql_field, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++) {
        fields[i].name = str_dup(type->fields[i].name, arena);
        fields[i].type = expr_type_of(type->fields[i].type, scope, arena, err);
        if (fields[i].type == NULL)
            return NULL;
    }
    return type_struct(fields, type->field_count, arena);
}

const struct sql_type *expr_type_of(const struct ast_type *type, const struct expr_scope *scope,
                                    struct arena *arena, struct err *err)
{
    switch (type->kind) {
    case AST_TYPE_NAME:
        return named_type(type, scope, arena, err);
    case AST_TYPE_DECIMAL:
        return decimal_type(type, arena, err);
    case AST_TYPE_STRUCT:
        return struct_type(type, scope, arena, err);
    case AST_TYPE_ARRAY: {
        const struct sql_type *elem = expr_type_of(type->elem, scope, arena, err);
        return elem ? type_array(elem, arena) : NULL;
    }
    case AST_TYPE_MAP: {
        const struct sql_type *key = expr_type_of(type->key, scope, arena, err);
        const struct sql_type *elem = key ? expr_type_of(type->elem, scope, arena, err) : NULL;
        return elem ? type_map(key, elem, arena) : NULL;
    }
    }
    UNREACHABLE();
}

void expr_columns_used(const struct expr *expr, bool *used)
{
    if (expr->kind == EXPR_COLUMN)
        used[expr->index] = true;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (expr->args[i] != NULL)
            expr_columns_used(expr->args[i], used);
}

bool expr_is_constant(const struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN || expr->kind == EXPR_AGGREGATE || expr->kind == EXPR_LAMBDA_PARAM)
        return false;
    if (expr->kind == EXPR_CALL && (expr->call->kind != FUNC_SCALAR || expr->call->is_volatile))
        return false;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        if (expr->args[i] != NULL && !expr_is_constant(expr->args[i]))
            return false;
    return true;
}

bool expr_parse_instant(struct str text, int64_t *ms, struct err *err)
{
    if (time_parse_timestamp(text, ms, err))
        return true;
    err_context(err, "Failed to parse timestamp '%.*s'", STR_ARG(text));
    return false;
}
