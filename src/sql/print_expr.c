/* print_expr.c - names, types and expressions as text.
 *
 * The form is ksqlDB's: every operator with two operands stands in parentheses, so precedence never matters:
 * (A + B), (X IS NOT NULL), (CASE WHEN (A > 1) THEN 'x' END). Messages quote it, schemas and EXPLAIN show it.
 *
 * Where ksqlDB's own form would not read back as the same tree, parentheses are added: -(5) is an operator, -5 a literal.
 */
#include "sql/sql_int.h"

#include <stdio.h>
#include <stdlib.h>

/* Names ------------------------------------------------------------------------------------------------- */

static void print_doubled(struct str s, char quote, struct buf *out)
{
    buf_append_char(out, quote);
    for (size_t i = 0; i < s.len; i++) {
        buf_append_char(out, s.ptr[i]);
        if (s.ptr[i] == quote)
            buf_append_char(out, quote);
    }
    buf_append_char(out, quote);
}

void sql_print_quoted(struct str name, struct buf *out)
{
    print_doubled(name, '`', out);
}

/* ${x}: a reference that was left in place of a name. */
static bool is_reference(struct str name)
{
    if (name.len < 4 || !str_starts_with(name, STR("${")) || name.ptr[name.len - 1] != '}')
        return false;
    for (size_t i = 2; i + 1 < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '@';
        if (!letter && !(other && i > 2))
            return false;
    }
    return true;
}

static bool is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '@';
        if (!letter && !(other && i > 0))
            return false;
    }
    return name.len > 0 && !sql_keyword_reserved(sql_keyword_of(name));
}

void sql_print_name(struct str name, struct buf *out)
{
    if (is_plain(name) || is_reference(name))
        buf_append_str(out, name);
    else
        sql_print_quoted(name, out);
}

/* Types ------------------------------------------------------------------------------------------------- */

void sql_print_type(const struct ast_type *type, struct buf *out)
{
    switch (type->kind) {
    case AST_TYPE_NAME:
        sql_print_name(type->name, out);
        break;
    case AST_TYPE_DECIMAL:
        buf_printf(out, "DECIMAL(%d, %d)", type->precision, type->scale);
        break;
    case AST_TYPE_ARRAY:
        buf_append_cstr(out, "ARRAY<");
        sql_print_type(type->elem, out);
        buf_append_char(out, '>');
        break;
    case AST_TYPE_MAP:
        buf_append_cstr(out, "MAP<");
        sql_print_type(type->key, out);
        buf_append_cstr(out, ", ");
        sql_print_type(type->elem, out);
        buf_append_char(out, '>');
        break;
    case AST_TYPE_STRUCT:
        buf_append_cstr(out, "STRUCT<");
        for (uint32_t i = 0; i < type->field_count; i++) {
            buf_append_cstr(out, i > 0 ? ", " : "");
            sql_print_name(type->fields[i].name, out);
            buf_append_char(out, ' ');
            sql_print_type(type->fields[i].type, out);
        }
        buf_append_cstr(out, type->field_count == 0 ? " >" : ">");
        break;
    }
}

/* Expressions ------------------------------------------------------------------------------------------- */

/* Shortest digits that read back, in scientific form: 2.5E2. */
static void print_double(struct str text, struct buf *out)
{
    double value = 0;
    ignore(!str_to_double(text, &value), "the parser has read it");
    char digits[40];
    int precision = 0;
    do
        snprintf(digits, sizeof digits, "%.*E", precision, value);
    while (precision++ < 17 && strtod(digits, NULL) != value);
    char *exponent = strchr(digits, 'E');
    ASSERT(exponent != NULL);
    *exponent = '\0';
    buf_printf(out, "%sE%ld", digits, strtol(exponent + 1, NULL, 10));
}

static const char *const op_words[] = {
    [OP_ADD] = "+",
    [OP_SUB] = "-",
    [OP_MUL] = "*",
    [OP_DIV] = "/",
    [OP_MOD] = "%",
    [OP_CONCAT] = "||",
    [OP_EQ] = "=",
    [OP_NE] = "<>",
    [OP_LT] = "<",
    [OP_LE] = "<=",
    [OP_GT] = ">",
    [OP_GE] = ">=",
    [OP_AND] = "AND",
    [OP_OR] = "OR",
    [OP_DISTINCT] = "IS DISTINCT FROM",
    [OP_NOT_DISTINCT] = "IS NOT DISTINCT FROM",
};

static void print_args(const struct ast_expr *expr, struct buf *out)
{
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_expr(expr->args[i], out);
    }
}

/* A name in a place where the word would begin a constructor: ARRAY[, MAP(, STRUCT(. */
static void print_head(struct str name, struct buf *out)
{
    enum keyword keyword = sql_keyword_of(name);
    if (is_plain(name) && (keyword == KW_ARRAY || keyword == KW_MAP || keyword == KW_STRUCT))
        sql_print_quoted(name, out);
    else
        sql_print_name(name, out);
}

/* The operand of [ ], -> : a sign in front would bind to the whole. */
static void print_base(const struct ast_expr *expr, struct buf *out)
{
    if (expr->kind == AST_COLUMN && str_is_null(expr->qualifier)) {
        print_head(expr->name, out);
        return;
    }
    bool sign = expr->kind == AST_UNARY && expr->op != OP_NOT;
    buf_append_cstr(out, sign ? "(" : "");
    sql_print_expr(expr, out);
    buf_append_cstr(out, sign ? ")" : "");
}

static void print_unary(const struct ast_expr *expr, struct buf *out)
{
    if (expr->op == OP_NOT) {
        buf_append_cstr(out, "(NOT ");
        sql_print_expr(expr->left, out);
        buf_append_char(out, ')');
        return;
    }
    struct buf operand = {0};
    sql_print_expr(expr->left, &operand);
    char first = operand.ptr[0];
    bool digit = first == '.' || (first >= '0' && first <= '9');
    if (expr->op == OP_NEG)
        buf_printf(out, digit ? "-(%s)" : first == '-' ? "- %s" : "-%s", operand.ptr);
    else
        buf_printf(out, "+%s", operand.ptr);
    buf_fini(&operand);
}

static void print_case(const struct ast_expr *expr, struct buf *out)
{
    buf_append_cstr(out, "(CASE");
    if (expr->kind == AST_SIMPLE_CASE) {
        buf_append_char(out, ' ');
        sql_print_expr(expr->left, out);
    }
    for (uint32_t i = 0; i + 1 < expr->arg_count; i += 2) {
        buf_append_cstr(out, " WHEN ");
        sql_print_expr(expr->args[i], out);
        buf_append_cstr(out, " THEN ");
        sql_print_expr(expr->args[i + 1], out);
    }
    if (expr->right != NULL) {
        buf_append_cstr(out, " ELSE ");
        sql_print_expr(expr->right, out);
    }
    buf_append_cstr(out, " END)");
}

/* (left [NOT] IN (...)) and its like. */
static void print_predicate(const struct ast_expr *expr, struct buf *out)
{
    const char *not = expr->negated ? "NOT " : "";
    buf_append_char(out, '(');
    sql_print_expr(expr->left, out);
    switch (expr->kind) {
    case AST_IS_NULL:
        buf_printf(out, " IS %sNULL", not );
        break;
    case AST_BETWEEN:
        buf_printf(out, " %sBETWEEN ", not );
        sql_print_expr(expr->args[0], out);
        buf_append_cstr(out, " AND ");
        sql_print_expr(expr->args[1], out);
        break;
    case AST_IN:
        buf_printf(out, " %sIN (", not );
        print_args(expr, out);
        buf_append_char(out, ')');
        break;
    default:
        buf_printf(out, " %sLIKE ", not );
        sql_print_expr(expr->right, out);
        if (!str_is_null(expr->text)) {
            buf_append_cstr(out, " ESCAPE ");
            print_doubled(expr->text, '\'', out);
        }
    }
    buf_append_char(out, ')');
}

static void print_map(const struct ast_expr *expr, struct buf *out)
{
    buf_append_cstr(out, "MAP(");
    for (uint32_t i = 0; i + 1 < expr->arg_count; i += 2) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_expr(expr->args[i], out);
        buf_append_cstr(out, ":=");
        sql_print_expr(expr->args[i + 1], out);
    }
    buf_append_char(out, ')');
}

static void print_struct(const struct ast_expr *expr, struct buf *out)
{
    buf_append_cstr(out, "STRUCT(");
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_name(expr->names[i], out);
        buf_append_cstr(out, ":=");
        sql_print_expr(expr->args[i], out);
    }
    buf_append_char(out, ')');
}

static void print_lambda(const struct ast_expr *expr, struct buf *out)
{
    buf_append_char(out, '(');
    for (uint32_t i = 0; i < expr->name_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_name(expr->names[i], out);
    }
    buf_append_cstr(out, ") => ");
    sql_print_expr(expr->left, out);
}

static void print_literal(const struct ast_expr *expr, struct buf *out)
{
    switch (expr->kind) {
    case AST_NULL:
        buf_append_cstr(out, "null");
        break;
    case AST_BOOLEAN:
        buf_append_cstr(out, expr->boolean ? "true" : "false");
        break;
    case AST_INTEGER:
    case AST_BIGINT:
        buf_append_i64(out, expr->integer);
        break;
    case AST_DOUBLE:
        print_double(expr->text, out);
        break;
    case AST_STRING:
        print_doubled(expr->text, '\'', out);
        break;
    case AST_VARIABLE:
        buf_printf(out, "${%.*s}", STR_ARG(expr->name));
        break;
    default:
        buf_append_str(out, expr->text);
    }
}

static void print_column(const struct ast_expr *expr, struct buf *out)
{
    if (!str_is_null(expr->qualifier)) {
        sql_print_name(expr->qualifier, out);
        buf_append_char(out, '.');
    }
    sql_print_name(expr->name, out);
}

void sql_print_expr(const struct ast_expr *expr, struct buf *out)
{
    switch (expr->kind) {
    case AST_NULL:
    case AST_BOOLEAN:
    case AST_INTEGER:
    case AST_BIGINT:
    case AST_DECIMAL:
    case AST_DOUBLE:
    case AST_STRING:
    case AST_VARIABLE:
        print_literal(expr, out);
        break;
    case AST_COLUMN:
        print_column(expr, out);
        break;
    case AST_FIELD:
    case AST_FIELD_STAR:
        print_base(expr->left, out);
        buf_append_cstr(out, "->");
        if (expr->kind == AST_FIELD)
            sql_print_name(expr->name, out);
        else
            buf_append_char(out, '*');
        break;
    case AST_SUBSCRIPT:
        print_base(expr->left, out);
        buf_append_char(out, '[');
        sql_print_expr(expr->right, out);
        buf_append_char(out, ']');
        break;
    case AST_CALL:
        print_head(expr->name, out);
        buf_append_cstr(out, expr->star ? "(*" : "(");
        print_args(expr, out);
        buf_append_char(out, ')');
        break;
    case AST_LAMBDA:
        print_lambda(expr, out);
        break;
    case AST_UNARY:
        print_unary(expr, out);
        break;
    case AST_BINARY:
        buf_append_char(out, '(');
        sql_print_expr(expr->left, out);
        buf_printf(out, " %s ", op_words[expr->op]);
        sql_print_expr(expr->right, out);
        buf_append_char(out, ')');
        break;
    case AST_IS_NULL:
    case AST_BETWEEN:
    case AST_IN:
    case AST_LIKE:
        print_predicate(expr, out);
        break;
    case AST_CASE:
    case AST_SIMPLE_CASE:
        print_case(expr, out);
        break;
    case AST_CAST:
        buf_append_cstr(out, "CAST(");
        sql_print_expr(expr->left, out);
        buf_append_cstr(out, " AS ");
        sql_print_type(expr->type, out);
        buf_append_char(out, ')');
        break;
    case AST_ARRAY:
        buf_append_cstr(out, "ARRAY[");
        print_args(expr, out);
        buf_append_char(out, ']');
        break;
    case AST_MAP:
        print_map(expr, out);
        break;
    case AST_STRUCT:
        print_struct(expr, out);
        break;
    case AST_AT_ZONE:
        buf_append_char(out, '(');
        sql_print_expr(expr->left, out);
        buf_append_cstr(out, " AT TIME ZONE ");
        print_doubled(expr->text, '\'', out);
        buf_append_char(out, ')');
        break;
    case AST_TIME_UNIT:
        buf_append_str(out, expr->name);
        break;
    }
}
