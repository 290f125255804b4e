#include "sql/sql_int.h"

static struct ast_type *type_new(struct parser *p, enum ast_type_kind kind, struct sql_place place)
{
    struct ast_type *type = arena_new(p->arena, struct ast_type);
    type->kind = kind;
    type->place = place;
    return type;
}

/* Precision and scale are only counted here; their limits are the type's own matter. */
static bool parse_decimal(struct parser *p, struct ast_type *type)
{
    int64_t precision, scale;
    if (!parser_expect(p, TOK_LEFT) ||
        !parse_integer(p, "DECIMAL(PRECISION)", INT32_MIN, INT32_MAX, &precision) ||
        !parser_expect(p, TOK_COMMA) || !parse_integer(p, "DECIMAL(SCALE)", INT32_MIN, INT32_MAX, &scale) ||
        !parser_expect(p, TOK_RIGHT))
        return false;
    type->precision = (int)precision;
    type->scale = (int)scale;
    return true;
}

static bool parse_struct_fields(struct parser *p, struct ast_type *type)
{
    vec(struct ast_type_field) fields = {0};
    bool ok = true;
    if (!is_token(p, TOK_GT)) {
        do {
            struct ast_type_field field = {0};
            ok = parse_name(p, &field.name, NULL) && (field.type = parse_type(p)) != NULL;
            if (ok)
                vec_push(&fields, field);
        } while (ok && parser_accept(p, TOK_COMMA));
    }
    if (ok && fields.len > 0)
        type->fields = arena_dup(p->arena, fields.at, fields.len * sizeof *fields.at);
    type->field_count = (uint32_t)fields.len;
    vec_fini(&fields);
    return ok && (parser_accept(p, TOK_GT) || parse_unexpected(p, "{',', '>'}"));
}

/* VARCHAR(10) and the like: the parameters mean nothing. */
static bool skip_type_parameters(struct parser *p)
{
    if (!parser_accept(p, TOK_LEFT))
        return true;
    do {
        if (!parser_accept(p, TOK_INTEGER) && !parser_accept_word(p, KW_STRING))
            return parse_unexpected(p, "{'STRING', INTEGER_VALUE}");
    } while (parser_accept(p, TOK_COMMA));
    return parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}");
}

/* type_primary = "ARRAY" "<" type ">" | "MAP" "<" type "," type ">"
 *              | "STRUCT" "<" [ name type { "," name type } ] ">" | "DECIMAL" "(" number "," number ")"
 *              | name [ "(" type_parameter { "," type_parameter } ")" ] ;
 * type_parameter = INTEGER_VALUE | "STRING" ; */
static const struct ast_type *parse_type_primary(struct parser *p)
{
    struct sql_place place = peek(p)->place;
    bool angle = peek_at(p, 1)->kind == TOK_LT;
    if (parser_accept_word(p, KW_DECIMAL)) {
        struct ast_type *type = type_new(p, AST_TYPE_DECIMAL, place);
        return parse_decimal(p, type) ? type : NULL;
    }
    if (angle && is_keyword(p, KW_ARRAY)) {
        struct ast_type *type = type_new(p, AST_TYPE_ARRAY, place);
        p->at += 2;
        type->elem = parse_type(p);
        return type->elem != NULL && parser_expect(p, TOK_GT) ? type : NULL;
    }
    if (angle && is_keyword(p, KW_MAP)) {
        struct ast_type *type = type_new(p, AST_TYPE_MAP, place);
        p->at += 2;
        bool ok = (type->key = parse_type(p)) != NULL && parser_expect(p, TOK_COMMA) &&
                  (type->elem = parse_type(p)) != NULL && parser_expect(p, TOK_GT);
        return ok ? type : NULL;
    }
    /* "<>" is one token: the empty struct. */
    if (is_keyword(p, KW_STRUCT) && peek_at(p, 1)->kind == TOK_NE && peek_at(p, 1)->text.ptr[0] == '<') {
        p->at += 2;
        return type_new(p, AST_TYPE_STRUCT, place);
    }
    if (angle && is_keyword(p, KW_STRUCT)) {
        struct ast_type *type = type_new(p, AST_TYPE_STRUCT, place);
        p->at += 2;
        return parse_struct_fields(p, type) ? type : NULL;
    }
    struct ast_type *type = type_new(p, AST_TYPE_NAME, place);
    return parse_name(p, &type->name, NULL) && skip_type_parameters(p) ? type : NULL;
}

/* Levels of a type; postfix ARRAYs add to those of the nesting, so the counter of the recursion is not enough. */
static uint32_t type_height(const struct ast_type *type)
{
    uint32_t key = type->key != NULL ? type_height(type->key) : 0;
    uint32_t elem = type->elem != NULL ? type_height(type->elem) : 0;
    uint32_t height = MAX(key, elem);
    for (uint32_t i = 0; i < type->field_count; i++) {
        uint32_t field = type_height(type->fields[i].type);
        height = MAX(height, field);
    }
    return height + 1;
}

/* type = type_primary { "ARRAY" } ; */
const struct ast_type *parse_type(struct parser *p)
{
    if (p->type_depth >= SQL_TYPE_DEPTH_MAX) {
        parse_too_complex(p);
        return NULL;
    }
    p->type_depth++;
    const struct ast_type *type = parse_type_primary(p);
    for (int n = 0; type != NULL && n < SQL_TYPE_DEPTH_MAX && is_keyword(p, KW_ARRAY); n++) {
        struct ast_type *array = type_new(p, AST_TYPE_ARRAY, type->place);
        advance(p);
        array->elem = type;
        type = array;
    }
    p->type_depth--;
    if (type != NULL && p->type_depth == 0 && type_height(type) > SQL_TYPE_DEPTH_MAX) {
        parse_too_complex(p);
        return NULL;
    }
    return type;
}
