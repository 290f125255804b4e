/* coerce.c - implicit conversion: of one expression to a wanted type, and of a list to one common type.
 *
 *   list:  first element that is not NULL fixes the family   number, text, boolean, time, array, map, struct
 *          every further one may widen the type              coerce_unify
 *          then all are converted                            coerce_to
 *
 * (C1) Literals are lenient: text may stand for a number, a boolean or a time, anything for text.
 *      Columns are not.
 * (C2) A constructor is as lenient as its elements: ARRAY['1'] is an ARRAY<BIGINT> where one is
 *      wanted.
 * (C3) A refusal names the outermost element of the list that does not fit, as a failing `=` would.
 */
#include "expr/expr_int.h"

enum unify { UNIFY_OK, UNIFY_MISMATCH, UNIFY_REPORTED };

static enum unify unify_expr(struct check *check, const struct sql_type **common, const struct expr *expr);

static bool is_literal(const struct expr *expr)
{
    return expr->kind == EXPR_LITERAL && !value_is_null(expr->literal);
}

static bool is_temporal(const struct sql_type *type)
{
    return type->kind == SQL_DATE || type->kind == SQL_TIME || type->kind == SQL_TIMESTAMP;
}

/* A literal converted now; an EXPR_COERCE that fails per row when the value cannot be converted. */
static const struct expr *convert(struct check *check, const struct expr *expr, const struct sql_type *type)
{
    struct value out;
    if (expr->kind == EXPR_LITERAL) {
        if (value_is_null(expr->literal))
            return expr_literal(check, type, VALUE_NULL, expr->ast);
        if (value_cast(expr->literal, expr->type, type, &out, check->arena, NULL))
            return expr_literal(check, type, out, expr->ast);
    }
    return expr_unary(check, EXPR_COERCE, type, expr->ast, expr);
}

const struct expr *coerce_implicit(struct check *check, const struct expr *expr, const struct sql_type *type)
{
    if (expr_is_null_literal(expr))
        return expr_literal(check, type, VALUE_NULL, expr->ast);
    if (type_eq(expr->type, type))
        return expr;
    bool from_text = expr->type->kind == SQL_STRING && (is_temporal(type) || type->kind == SQL_BYTES);
    if (from_text || type_can_coerce(expr->type, type))
        return convert(check, expr, type);
    if (expr->kind == EXPR_ARRAY || expr->kind == EXPR_MAP || expr->kind == EXPR_STRUCT) {
        const struct sql_type *common = type;
        struct check quiet = *check;
        quiet.err = NULL;
        if (coerce_unify(&quiet, &common, expr) && type_eq(common, type))
            return coerce_to(check, expr, type);
    }
    return NULL;
}

/* The type of the number that a text literal spells; NULL when it spells none. */
static const struct sql_type *type_of_number_text(struct str text, struct arena *arena)
{
    int32_t i;
    int64_t l;
    text = str_trim(text);
    if (str_to_i32(text, &i))
        return &type_integer;
    if (str_to_i64(text, &l))
        return &type_bigint;
    const struct decimal *dec = decimal_parse(text, arena);
    if (dec == NULL)
        return NULL;
    uint32_t scale = (uint32_t)MAX(dec->scale, 0);
    return type_decimal(MAX(decimal_precision(dec), scale + 1), scale, arena);
}

/* A leading part of true, yes, false or no, in any case. */
static bool parse_boolean_prefix(struct str text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"yes", true}, {"false", false}, {"no", false}};
    text = str_trim(text);
    for (size_t i = 0; i < COUNT_OF(words) && text.len > 0; i++)
        if (str_starts_with_nocase(str_from(words[i].word), text)) {
            *out = words[i].value;
            return true;
        }
    return false;
}

static const char *base_name(const struct sql_type *type, struct check *check)
{
    return type->kind == SQL_DECIMAL ? "DECIMAL" : check_type_text(check, type);
}

static enum unify bad_text(struct check *check, const struct sql_type *type, const struct expr *expr)
{
    check_fail(check, expr->ast, "invalid input syntax for type %s: \"%.*s\".", base_name(type, check),
               STR_ARG(value_slice(expr->literal)));
    return UNIFY_REPORTED;
}

static enum unify unify_number_text(struct check *check, const struct sql_type **common,
                                    const struct expr *expr)
{
    const struct sql_type *type = type_of_number_text(value_slice(expr->literal), check->arena);
    if (type == NULL)
        return bad_text(check, *common, expr);
    *common = type_common_number(*common, type, check->arena);
    return UNIFY_OK;
}

static enum unify unify_fields(struct check *check, const struct sql_type **common,
                               const struct sql_type *type);

static enum unify unify_type(struct check *check, const struct sql_type **common, const struct sql_type *type)
{
    const struct sql_type *a = *common;
    if (type_eq(a, type))
        return UNIFY_OK;
    if (type_is_number(a) && type_is_number(type)) {
        *common = type_common_number(a, type, check->arena);
        return UNIFY_OK;
    }
    if (a->kind != type->kind)
        return UNIFY_MISMATCH;
    const struct sql_type *key = a->key, *elem = a->elem;
    switch (a->kind) {
    case SQL_ARRAY:
        if (unify_type(check, &elem, type->elem) != UNIFY_OK)
            return UNIFY_MISMATCH;
        *common = type_array(elem, check->arena);
        return UNIFY_OK;
    case SQL_MAP:
        if (unify_type(check, &key, type->key) != UNIFY_OK ||
            unify_type(check, &elem, type->elem) != UNIFY_OK)
            return UNIFY_MISMATCH;
        *common = type_map(key, elem, check->arena);
        return UNIFY_OK;
    case SQL_STRUCT:
        return unify_fields(check, common, type);
    default:
        return UNIFY_MISMATCH;
    }
}

static int find_field(const struct sql_field *fields, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(fields[i].name, name))
            return (int)i;
    return -1;
}

/* The common struct has the fields of `type`, then those that only *common has. `exprs`, when given, are
 * the constructor's values for type's fields. */
static enum unify unify_fields_with(struct check *check, const struct sql_type **common,
                                    const struct sql_type *type, const struct expr *const *exprs)
{
    const struct sql_type *before = *common;
    uint32_t count = type->field_count;
    struct sql_field *fields = arena_array(check->arena, struct sql_field, count + before->field_count);
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = type->fields[i];
        int at = find_field(before->fields, before->field_count, fields[i].name);
        if (at < 0)
            continue;
        fields[i].type = before->fields[at].type;
        enum unify result = exprs ? unify_expr(check, &fields[i].type, exprs[i])
                                  : unify_type(check, &fields[i].type, type->fields[i].type);
        if (result != UNIFY_OK)
            return result;
    }
    for (uint32_t i = 0; i < before->field_count; i++)
        if (find_field(type->fields, type->field_count, before->fields[i].name) < 0)
            fields[count++] = before->fields[i];
    *common = type_struct(fields, count, check->arena);
    return UNIFY_OK;
}

static enum unify unify_fields(struct check *check, const struct sql_type **common,
                               const struct sql_type *type)
{
    return unify_fields_with(check, common, type, NULL);
}

static enum unify unify_constructor(struct check *check, const struct sql_type **common,
                                    const struct expr *expr)
{
    if (expr->kind == EXPR_STRUCT)
        return unify_fields_with(check, common, expr->type, expr->args);
    const struct sql_type *parts[2] = {(*common)->elem, (*common)->elem};
    uint32_t step = expr->kind == EXPR_MAP ? 2 : 1;
    if (step == 2)
        parts[0] = (*common)->key;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        enum unify result = unify_expr(check, &parts[i % step], expr->args[i]);
        if (result != UNIFY_OK)
            return result;
    }
    *common = step == 2 ? type_map(parts[0], parts[1], check->arena) : type_array(parts[0], check->arena);
    return UNIFY_OK;
}

static enum unify unify_expr(struct check *check, const struct sql_type **common, const struct expr *expr)
{
    bool b;
    const struct sql_type *type = *common;
    if (expr_is_null_literal(expr))
        return UNIFY_OK;
    if (type == NULL || type->kind == SQL_NULL) {
        *common = expr->type;
        return UNIFY_OK;
    }
    if (is_literal(expr) && type->kind == SQL_STRING)
        return UNIFY_OK;
    if (is_literal(expr) && expr->type->kind == SQL_STRING) {
        struct value out;
        if (type_is_number(type))
            return unify_number_text(check, common, expr);
        if (type->kind == SQL_BOOLEAN)
            return parse_boolean_prefix(value_slice(expr->literal), &b) ? UNIFY_OK
                                                                        : bad_text(check, type, expr);
        if (is_temporal(type))
            return value_cast(expr->literal, expr->type, type, &out, check->arena, NULL)
                       ? UNIFY_OK
                       : bad_text(check, type, expr);
    }
    bool constructor = (expr->kind == EXPR_ARRAY && type->kind == SQL_ARRAY) ||
                       (expr->kind == EXPR_MAP && type->kind == SQL_MAP) ||
                       (expr->kind == EXPR_STRUCT && type->kind == SQL_STRUCT);
    return constructor ? unify_constructor(check, common, expr) : unify_type(check, common, expr->type);
}

bool coerce_unify(struct check *check, const struct sql_type **common, const struct expr *expr)
{
    const struct sql_type *before = *common;
    enum unify result = unify_expr(check, common, expr);
    if (result == UNIFY_MISMATCH)
        check_fail(check, expr->ast,
                   "operator does not exist: %s = %s (%s)\nHint: You might need to add explicit type casts.",
                   check_type_text(check, before), check_type_text(check, expr->type),
                   check_text(check, expr->ast));
    return result == UNIFY_OK;
}

static const struct expr *rebuild(struct check *check, const struct expr *expr, const struct sql_type *type)
{
    uint32_t count = expr->kind == EXPR_STRUCT ? type->field_count : expr->arg_count;
    const struct expr **args = arena_array(check->arena, const struct expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_type *want = expr->kind == EXPR_MAP && i % 2 == 0 ? type->key : type->elem;
        const struct expr *arg = expr->kind == EXPR_STRUCT ? NULL : expr->args[i];
        if (expr->kind == EXPR_STRUCT) {
            want = type->fields[i].type;
            int at = find_field(expr->type->fields, expr->type->field_count, type->fields[i].name);
            arg = at < 0 ? expr_literal(check, want, VALUE_NULL, expr->ast) : expr->args[at];
        }
        args[i] = coerce_to(check, arg, want);
        if (args[i] == NULL)
            return NULL;
    }
    struct expr *node = expr_node(check, expr->kind, type, expr->ast);
    node->args = args;
    node->arg_count = count;
    return node;
}

const struct expr *coerce_to(struct check *check, const struct expr *expr, const struct sql_type *type)
{
    bool b;
    if (expr_is_null_literal(expr))
        return expr_literal(check, type, VALUE_NULL, expr->ast);
    if (type_eq(expr->type, type))
        return expr;
    if (is_literal(expr) && expr->type->kind == SQL_STRING && type->kind == SQL_BOOLEAN &&
        parse_boolean_prefix(value_slice(expr->literal), &b))
        return expr_literal(check, type, value_bool(b), expr->ast);
    bool constructor = (expr->kind == EXPR_ARRAY && type->kind == SQL_ARRAY) ||
                       (expr->kind == EXPR_MAP && type->kind == SQL_MAP) ||
                       (expr->kind == EXPR_STRUCT && type->kind == SQL_STRUCT);
    return constructor ? rebuild(check, expr, type) : convert(check, expr, type);
}

bool coerce_list(struct check *check, const struct expr **elems, uint32_t count,
                 const struct sql_type **common)
{
    *common = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!coerce_unify(check, common, elems[i]))
            return false;
    if (*common == NULL)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        elems[i] = coerce_to(check, elems[i], *common);
        if (elems[i] == NULL)
            return false;
    }
    return true;
}
