/* parse_expr.c - expressions, by operator precedence (Pratt).
 *
 *   level  operators                                          shape
 *     1    OR                                                 left
 *     2    AND                                                left
 *     3    NOT                                                prefix
 *     4    = <> < <= > >=  BETWEEN IN LIKE IS                 one at most: a < b < c is an error
 *     5    ||                                                 left
 *     6    + -                                                left
 *     7    * / %                                              left
 *     8    + -                                                prefix
 *     9    AT TIME ZONE                                       postfix
 *    10    e[i]  e->f                                         postfix
 *
 * parse_level(min) reads an expression whose outermost operator has level `min` or more. What was read limits what may
 * follow: after NOT only AND and OR, after a predicate only AND, OR; that is the variable `limit`.
 *
 * A sign before a number belongs to the literal, as in ksqlDB: -5 is a literal, -(5) an operator.
 * `e -> *` is legal only as a whole select item: the parser notes it in p->star_field and every door refuses it but
 * parse_select_expr.
 */
#include "sql/sql_int.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum level {
    LEVEL_OR = 1,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_PREDICATE,
    LEVEL_CONCAT,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_SIGN,
    LEVEL_ZONE,
    LEVEL_POSTFIX
};

typedef vec(const struct ast_expr *) expr_vec;

static const struct ast_expr *parse_level(struct parser *p, enum level min);

static struct ast_expr *expr_new(struct parser *p, enum ast_expr_kind kind, struct sql_place place)
{
    struct ast_expr *expr = arena_new(p->arena, struct ast_expr);
    expr->kind = kind;
    expr->place = place;
    return expr;
}

static void take_args(struct parser *p, struct ast_expr *expr, expr_vec *args)
{
    if (args->len > 0)
        expr->args = arena_dup(p->arena, args->at, args->len * sizeof *args->at);
    expr->arg_count = (uint32_t)args->len;
    vec_fini(args);
}

static bool push_arg(expr_vec *args, const struct ast_expr *arg)
{
    if (arg != NULL)
        vec_push(args, arg);
    return arg != NULL;
}

/* Sets the height of a finished node; NULL after a syntax error when it is too high. NULL stays NULL. */
static const struct ast_expr *measure(struct parser *p, const struct ast_expr *done)
{
    struct ast_expr *expr = (struct ast_expr *)done;
    if (expr == NULL || expr->height > 0)
        return expr;
    uint32_t height = expr->left != NULL ? expr->left->height : 0;
    if (expr->right != NULL)
        height = MAX(height, expr->right->height);
    for (uint32_t i = 0; i < expr->arg_count; i++)
        height = MAX(height, expr->args[i]->height);
    expr->height = height + 1;
    if (expr->height <= SQL_HEIGHT_MAX)
        return expr;
    parse_too_complex(p);
    return NULL;
}

/* Literals ---------------------------------------------------------------------------------------------- */

static bool is_number(const struct token *token)
{
    return token->kind == TOK_INTEGER || token->kind == TOK_DECIMAL || token->kind == TOK_FLOAT;
}

static void set_integer(struct parser *p, struct ast_expr *expr)
{
    if (!str_to_i64(expr->text, &expr->integer))
        parser_refuse_at(p, expr->place, "Invalid numeric literal: %.*s", STR_ARG(expr->text));
    bool narrow = expr->integer >= INT32_MIN && expr->integer <= INT32_MAX;
    expr->kind = narrow ? AST_INTEGER : AST_BIGINT;
}

static void check_double(struct parser *p, const struct ast_expr *expr)
{
    double value = 0;
    if (!str_to_double(expr->text, &value) || isinf(value))
        parser_refuse_at(p, expr->place, "Number overflows DOUBLE: %.*s", STR_ARG(expr->text));
}

/* number = [ "-" ] ( DECIMAL_VALUE | FLOATING_POINT_VALUE | INTEGER_VALUE ) ; */
static const struct ast_expr *parse_number(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_INTEGER, peek(p)->place);
    bool minus = parser_accept(p, TOK_MINUS);
    const struct token *token = peek(p);
    if (!is_number(token)) {
        parse_unexpected(p, NULL);
        return NULL;
    }
    expr->text = str_printf(p->arena, "%s%.*s", minus ? "-" : "", STR_ARG(token->text));
    if (token->kind == TOK_INTEGER)
        set_integer(p, expr);
    else
        expr->kind = token->kind == TOK_DECIMAL ? AST_DECIMAL : AST_DOUBLE;
    if (expr->kind == AST_DOUBLE)
        check_double(p, expr);
    advance(p);
    return expr;
}

bool parse_integer(struct parser *p, const char *what, int64_t min, int64_t max, int64_t *value)
{
    *value = 0;
    const struct ast_expr *number = parse_number(p);
    if (number == NULL)
        return false;
    if (number->kind == AST_DECIMAL || number->kind == AST_DOUBLE)
        parser_refuse(p, number->place, "Value must be integer for command: %s", what);
    else if (number->integer < min || number->integer > max)
        parser_refuse(p, number->place, "Value is out of range for command: %s. Got: %.*s", what,
                      STR_ARG(number->text));
    else
        *value = number->integer;
    return true;
}

/* literal = "NULL" | "TRUE" | "FALSE" | STRING | VARIABLE | number ; */
const struct ast_expr *parse_literal(struct parser *p)
{
    const struct token *token = peek(p);
    struct ast_expr *expr;
    switch (token->kind) {
    case TOK_STRING:
        expr = expr_new(p, AST_STRING, token->place);
        return parse_string(p, &expr->text) ? expr : NULL;
    case TOK_VARIABLE:
        parser_note_variable(p, EDIT_LITERAL);
        expr = expr_new(p, AST_VARIABLE, token->place);
        expr->name = str_dup(str_sub(token->text, 2, token->text.len - 3), p->arena);
        break;
    case TOK_WORD:
        if (token->keyword != KW_NULL && token->keyword != KW_TRUE && token->keyword != KW_FALSE)
            return parse_number(p);
        expr = expr_new(p, token->keyword == KW_NULL ? AST_NULL : AST_BOOLEAN, token->place);
        expr->boolean = token->keyword == KW_TRUE;
        break;
    default:
        return parse_number(p);
    }
    advance(p);
    return expr;
}

static bool is_literal(const struct parser *p)
{
    const struct token *token = peek(p);
    /* A variable is a literal unless the grammar wants a name there: before "(" and ".". */
    if (token->kind == TOK_VARIABLE)
        return peek_at(p, 1)->kind != TOK_LEFT && peek_at(p, 1)->kind != TOK_DOT;
    return token->kind == TOK_STRING || is_number(token) ||
           (token->kind == TOK_MINUS && is_number(peek_at(p, 1))) || token->keyword == KW_NULL ||
           token->keyword == KW_TRUE || token->keyword == KW_FALSE;
}

/* Primaries --------------------------------------------------------------------------------------------- */

/* when = "WHEN" expression "THEN" expression ;
 * case = "CASE" [ value_expression ] when { when } [ "ELSE" expression ] "END" ; */
static const struct ast_expr *parse_case(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_CASE, peek(p)->place);
    expr_vec args = {0};
    advance(p);
    bool ok = true;
    if (!is_keyword(p, KW_WHEN)) {
        expr->kind = AST_SIMPLE_CASE;
        ok = (expr->left = parse_level(p, LEVEL_CONCAT)) != NULL;
    }
    do
        ok = ok && parser_expect_word(p, KW_WHEN) && push_arg(&args, parse_level(p, LEVEL_OR)) &&
             parser_expect_word(p, KW_THEN) && push_arg(&args, parse_level(p, LEVEL_OR));
    while (ok && is_keyword(p, KW_WHEN));
    if (ok && parser_accept_word(p, KW_ELSE))
        ok = (expr->right = parse_level(p, LEVEL_OR)) != NULL;
    ok = ok && (parser_accept_word(p, KW_END) || parse_unexpected(p, "{'WHEN', 'ELSE', 'END'}"));
    take_args(p, expr, &args);
    return ok ? expr : NULL;
}

/* cast = "CAST" "(" expression "AS" type ")" ; */
static const struct ast_expr *parse_cast(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_CAST, peek(p)->place);
    advance(p);
    bool ok = parser_expect(p, TOK_LEFT) && (expr->left = parse_level(p, LEVEL_OR)) != NULL &&
              parser_expect_word(p, KW_AS) && (expr->type = parse_type(p)) != NULL &&
              parser_expect(p, TOK_RIGHT);
    return ok ? expr : NULL;
}

/* array = "ARRAY" "[" [ expression { "," expression } ] "]" ; */
static const struct ast_expr *parse_array(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_ARRAY, peek(p)->place);
    expr_vec args = {0};
    p->at += 2;
    bool ok = true;
    if (!is_token(p, TOK_RIGHT_BRACKET)) {
        do
            ok = push_arg(&args, parse_level(p, LEVEL_OR));
        while (ok && parser_accept(p, TOK_COMMA));
    }
    take_args(p, expr, &args);
    return ok && (parser_accept(p, TOK_RIGHT_BRACKET) || parse_unexpected(p, "{',', ']'}")) ? expr : NULL;
}

/* map = "MAP" "(" [ expression ":=" expression { "," expression ":=" expression } ] ")" ; */
static const struct ast_expr *parse_map(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_MAP, peek(p)->place);
    expr_vec args = {0};
    p->at += 2;
    bool ok = true;
    if (!is_token(p, TOK_RIGHT)) {
        do
            ok = push_arg(&args, parse_level(p, LEVEL_OR)) && parser_expect(p, TOK_ASSIGN) &&
                 push_arg(&args, parse_level(p, LEVEL_OR));
        while (ok && parser_accept(p, TOK_COMMA));
    }
    take_args(p, expr, &args);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}")) ? expr : NULL;
}

static void take_names(struct parser *p, struct ast_expr *expr, const struct str *names, size_t count)
{
    if (count > 0)
        expr->names = arena_dup(p->arena, names, count * sizeof *names);
    expr->name_count = (uint32_t)count;
}

/* struct = "STRUCT" "(" [ name ":=" expression { "," name ":=" expression } ] ")" ; */
static const struct ast_expr *parse_struct(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_STRUCT, peek(p)->place);
    expr_vec args = {0};
    vec(struct str) names = {0};
    p->at += 2;
    bool ok = true;
    if (!is_token(p, TOK_RIGHT)) {
        do {
            struct str name;
            ok = parse_name(p, &name, NULL) && parser_expect(p, TOK_ASSIGN) &&
                 push_arg(&args, parse_level(p, LEVEL_OR));
            if (ok)
                vec_push(&names, name);
        } while (ok && parser_accept(p, TOK_COMMA));
    }
    take_args(p, expr, &args);
    take_names(p, expr, names.at, names.len);
    vec_fini(&names);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}")) ? expr : NULL;
}

/* Does a lambda begin here: x => or (x, y) => ? */
static bool is_lambda(const struct parser *p)
{
    uint32_t i = 0;
    if (peek(p)->kind != TOK_LEFT)
        return parser_is_name(p) && peek_at(p, 1)->kind == TOK_LAMBDA;
    do {
        if (!parser_is_name_at(p, i + 1))
            return false;
        i += 2;
    } while (peek_at(p, i)->kind == TOK_COMMA);
    return peek_at(p, i)->kind == TOK_RIGHT && peek_at(p, i + 1)->kind == TOK_LAMBDA;
}

/* lambda = ( name | "(" name { "," name } ")" ) "=>" expression ; */
static const struct ast_expr *parse_lambda(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_LAMBDA, peek(p)->place);
    vec(struct str) names = {0};
    struct str name = STR_NULL;
    bool many = parser_accept(p, TOK_LEFT), ok;
    do {
        ok = parse_name(p, &name, NULL);
        if (ok)
            vec_push(&names, name);
    } while (ok && parser_accept(p, TOK_COMMA));
    ok = ok && (!many || parser_expect(p, TOK_RIGHT)) && parser_expect(p, TOK_LAMBDA) &&
         (expr->left = parse_level(p, LEVEL_OR)) != NULL;
    take_names(p, expr, names.at, names.len);
    vec_fini(&names);
    return ok ? measure(p, expr) : NULL;
}

/* argument = expression | unit ; */
static const struct ast_expr *parse_argument(struct parser *p)
{
    const struct token *token = peek(p);
    enum ast_unit unit;
    /* DAY, HOUR and the other singular units are names too and mean a column here, as in ksqlDB. */
    if (token->kind == TOK_WORD && parser_is_unit(token->keyword, &unit) &&
        sql_keyword_reserved(token->keyword)) {
        struct ast_expr *expr = expr_new(p, AST_TIME_UNIT, token->place);
        expr->height = 1;
        bool singular = token->keyword == KW_MILLISECOND;
        expr->name = singular ? STR("MILLISECONDS") : str_from(sql_keyword_word(token->keyword));
        advance(p);
        return expr;
    }
    return parse_level(p, LEVEL_OR);
}

/* call = name "(" ( "*" | [ argument { "," argument } { "," lambda } ] ) ")" ; */
static const struct ast_expr *parse_call(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_CALL, peek(p)->place);
    expr_vec args = {0};
    if (!parse_name(p, &expr->name, &expr->quoted))
        return NULL;
    advance(p);
    bool ok = true, lambdas = false;
    if (parser_accept(p, TOK_STAR)) {
        expr->star = true;
    } else if (!is_token(p, TOK_RIGHT)) {
        do {
            bool lambda = is_lambda(p);
            if ((lambda && args.len == 0) || (lambdas && !lambda))
                ok = parse_unviable(p);
            else
                ok = push_arg(&args, lambda ? parse_lambda(p) : parse_argument(p));
            lambdas = lambda;
        } while (ok && parser_accept(p, TOK_COMMA));
    }
    take_args(p, expr, &args);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}")) ? expr : NULL;
}

/* column = [ name "." ] name ; */
static const struct ast_expr *parse_column(struct parser *p)
{
    struct ast_expr *expr = expr_new(p, AST_COLUMN, peek(p)->place);
    if (!parse_name(p, &expr->name, &expr->quoted))
        return NULL;
    if (!is_token(p, TOK_DOT))
        return expr;
    advance(p);
    expr->qualifier = expr->name;
    return parse_name(p, &expr->name, &expr->quoted) ? expr : NULL;
}

/* primary_head = literal | case | cast | array | map | struct | call | column | "(" expression ")" ; */
static const struct ast_expr *parse_primary_head(struct parser *p)
{
    enum token_kind next = peek_at(p, 1)->kind;
    if (is_literal(p))
        return parse_literal(p);
    if (parser_accept(p, TOK_LEFT)) {
        const struct ast_expr *inner = parse_level(p, LEVEL_OR);
        return inner != NULL && parser_expect(p, TOK_RIGHT) ? inner : NULL;
    }
    switch (peek(p)->keyword) {
    case KW_CASE:
        return parse_case(p);
    case KW_CAST:
        return parse_cast(p);
    case KW_ARRAY:
        if (next == TOK_LEFT_BRACKET)
            return parse_array(p);
        break;
    case KW_MAP:
        if (next == TOK_LEFT)
            return parse_map(p);
        break;
    case KW_STRUCT:
        if (next == TOK_LEFT)
            return parse_struct(p);
        break;
    default:
        break;
    }
    return parser_is_name(p) && next == TOK_LEFT ? parse_call(p) : parse_column(p);
}

static const struct ast_expr *parse_postfix(struct parser *p, const struct ast_expr *left)
{
    struct ast_expr *expr = expr_new(p, AST_FIELD, left->place);
    expr->left = left;
    if (parser_accept(p, TOK_LEFT_BRACKET)) {
        expr->kind = AST_SUBSCRIPT;
        expr->right = parse_level(p, LEVEL_CONCAT);
        return expr->right != NULL && parser_expect(p, TOK_RIGHT_BRACKET) ? expr : NULL;
    }
    advance(p);
    if (is_token(p, TOK_STAR)) {
        expr->kind = AST_FIELD_STAR;
        if (p->star_field == NULL) {
            p->star_field = expr;
            p->star_token = p->at;
        }
        advance(p);
        return expr;
    }
    return parse_name(p, &expr->name, &expr->quoted) ? expr : NULL;
}

/* primary = primary_head { "[" value_expression "]" | "->" name } ; */
static const struct ast_expr *parse_primary(struct parser *p)
{
    const struct ast_expr *expr = measure(p, parse_primary_head(p));
    while (expr != NULL && (is_token(p, TOK_LEFT_BRACKET) || is_token(p, TOK_FIELD)))
        expr = measure(p, parse_postfix(p, expr));
    return expr;
}

/* Operators --------------------------------------------------------------------------------------------- */

static const struct ast_expr *parse_unary(struct parser *p, enum ast_op op, enum level operand)
{
    struct ast_expr *expr = expr_new(p, AST_UNARY, peek(p)->place);
    expr->op = op;
    advance(p);
    expr->left = parse_level(p, operand);
    return expr->left != NULL ? expr : NULL;
}

/* Reads what may begin an expression; *limit becomes the highest level that may follow. */
static const struct ast_expr *parse_prefix(struct parser *p, enum level min, enum level *limit)
{
    *limit = LEVEL_POSTFIX;
    if (min <= LEVEL_NOT && is_keyword(p, KW_NOT)) {
        *limit = LEVEL_AND;
        return parse_unary(p, OP_NOT, LEVEL_NOT);
    }
    if (is_token(p, TOK_PLUS))
        return parse_unary(p, OP_POS, LEVEL_SIGN);
    if (is_token(p, TOK_MINUS) && !is_number(peek_at(p, 1)))
        return parse_unary(p, OP_NEG, LEVEL_SIGN);
    return parse_primary(p);
}

static const struct ast_expr *parse_binary(struct parser *p, struct ast_expr *expr, enum level right)
{
    expr->right = parse_level(p, right);
    return expr->right != NULL ? expr : NULL;
}

static const struct ast_expr *parse_between(struct parser *p, struct ast_expr *expr)
{
    expr_vec args = {0};
    bool ok = push_arg(&args, parse_level(p, LEVEL_CONCAT)) && parser_expect_word(p, KW_AND) &&
              push_arg(&args, parse_level(p, LEVEL_CONCAT));
    take_args(p, expr, &args);
    return ok ? expr : NULL;
}

static const struct ast_expr *parse_in(struct parser *p, struct ast_expr *expr)
{
    expr_vec args = {0};
    bool ok = parser_expect(p, TOK_LEFT);
    while (ok) {
        ok = push_arg(&args, parse_level(p, LEVEL_OR));
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    take_args(p, expr, &args);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}")) ? expr : NULL;
}

/* Number of characters; 2 stands for "more than one". */
static size_t char_count(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < 2; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static const struct ast_expr *parse_like(struct parser *p, struct ast_expr *expr)
{
    expr->right = parse_level(p, LEVEL_CONCAT);
    if (expr->right == NULL)
        return NULL;
    if (!is_keyword(p, KW_ESCAPE) || peek_at(p, 1)->kind != TOK_STRING)
        return expr;
    advance(p);
    struct sql_place place = peek(p)->place;
    if (!parse_string(p, &expr->text))
        return NULL;
    if (char_count(expr->text) != 1)
        parser_refuse(p, place, "Line: %d, Col: %d: Expected single character escape but got: %.*s",
                      place.line, place.column, STR_ARG(expr->text));
    return expr;
}

static const struct ast_expr *parse_is(struct parser *p, struct ast_expr *expr)
{
    expr->negated = parser_accept_word(p, KW_NOT);
    if (parser_accept_word(p, KW_NULL))
        return expr;
    if (!is_keyword(p, KW_DISTINCT)) {
        parse_unexpected(p, expr->negated ? "{'NULL', 'DISTINCT'}" : "{'NOT', 'NULL', 'DISTINCT'}");
        return NULL;
    }
    advance(p);
    expr->kind = AST_BINARY;
    expr->op = expr->negated ? OP_NOT_DISTINCT : OP_DISTINCT;
    expr->negated = false;
    return parser_expect_word(p, KW_FROM) ? parse_binary(p, expr, LEVEL_CONCAT) : NULL;
}

static const struct ast_expr *parse_zone(struct parser *p, struct ast_expr *expr)
{
    return parser_expect_word(p, KW_TIME) && parser_expect_word(p, KW_ZONE) && parse_string(p, &expr->text)
               ? expr
               : NULL;
}

/* The one table of infix and postfix operators. */
static const struct infix {
    enum token_kind token; /* TOK_WORD: see keyword */
    enum keyword keyword;
    enum level level;
    enum ast_expr_kind kind;
    enum ast_op op;
    const struct ast_expr *(*parse)(struct parser *p, struct ast_expr *expr); /* NULL: a binary operator */
} infixes[] = {
    {TOK_WORD, KW_OR, LEVEL_OR, AST_BINARY, OP_OR, NULL},
    {TOK_WORD, KW_AND, LEVEL_AND, AST_BINARY, OP_AND, NULL},
    {TOK_EQ, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_EQ, NULL},
    {TOK_NE, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_NE, NULL},
    {TOK_LT, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_LT, NULL},
    {TOK_LE, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_LE, NULL},
    {TOK_GT, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_GT, NULL},
    {TOK_GE, KW_NONE, LEVEL_PREDICATE, AST_BINARY, OP_GE, NULL},
    {TOK_WORD, KW_BETWEEN, LEVEL_PREDICATE, AST_BETWEEN, OP_NONE, parse_between},
    {TOK_WORD, KW_IN, LEVEL_PREDICATE, AST_IN, OP_NONE, parse_in},
    {TOK_WORD, KW_LIKE, LEVEL_PREDICATE, AST_LIKE, OP_NONE, parse_like},
    {TOK_WORD, KW_IS, LEVEL_PREDICATE, AST_IS_NULL, OP_NONE, parse_is},
    {TOK_CONCAT, KW_NONE, LEVEL_CONCAT, AST_BINARY, OP_CONCAT, NULL},
    {TOK_PLUS, KW_NONE, LEVEL_ADD, AST_BINARY, OP_ADD, NULL},
    {TOK_MINUS, KW_NONE, LEVEL_ADD, AST_BINARY, OP_SUB, NULL},
    {TOK_STAR, KW_NONE, LEVEL_MULTIPLY, AST_BINARY, OP_MUL, NULL},
    {TOK_SLASH, KW_NONE, LEVEL_MULTIPLY, AST_BINARY, OP_DIV, NULL},
    {TOK_PERCENT, KW_NONE, LEVEL_MULTIPLY, AST_BINARY, OP_MOD, NULL},
    {TOK_WORD, KW_AT, LEVEL_ZONE, AST_AT_ZONE, OP_NONE, parse_zone},
};

/* The operator at the current token, or NULL; *negated: it stands behind a NOT. */
static const struct infix *infix_here(const struct parser *p, bool *negated)
{
    *negated = is_keyword(p, KW_NOT);
    const struct token *token = peek_at(p, *negated);
    if (*negated && token->keyword != KW_BETWEEN && token->keyword != KW_IN && token->keyword != KW_LIKE)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(infixes); i++) {
        const struct infix *infix = &infixes[i];
        if (token->kind == infix->token && (token->kind != TOK_WORD || token->keyword == infix->keyword))
            return infix;
    }
    return NULL;
}

static const struct ast_expr *parse_infix(struct parser *p, const struct infix *infix, bool negated,
                                          const struct ast_expr *left)
{
    bool value = infix->level >= LEVEL_PREDICATE && infix->parse != NULL;
    struct ast_expr *expr = expr_new(p, infix->kind, value ? left->place : peek(p)->place);
    expr->op = infix->op;
    expr->negated = negated;
    expr->left = left;
    p->at += negated ? 2 : 1;
    if (infix->parse != NULL)
        return infix->parse(p, expr);
    return parse_binary(p, expr, (enum level)(infix->level + 1));
}

/* or = and { "OR" and } ;
 * and = not { "AND" not } ;
 * not = "NOT" not | predicate ;
 * predicate = value_expression [ comparison value_expression
 *           | [ "NOT" ] "BETWEEN" value_expression "AND" value_expression
 *           | [ "NOT" ] "IN" "(" expression { "," expression } ")"
 *           | [ "NOT" ] "LIKE" value_expression [ "ESCAPE" STRING ]
 *           | "IS" [ "NOT" ] "NULL"
 *           | "IS" [ "NOT" ] "DISTINCT" "FROM" value_expression ] ;
 * comparison = "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=" ;
 * concat = sum { "||" sum } ;
 * sum = product { ( "+" | "-" ) product } ;
 * product = sign { ( "*" | "/" | "%" ) sign } ;
 * sign = ( "+" | "-" ) sign | zone ;
 * zone = primary { "AT" "TIME" "ZONE" STRING } ; */
static const struct ast_expr *parse_level(struct parser *p, enum level min)
{
    if (!parse_enter(p))
        return NULL;
    enum level limit;
    const struct ast_expr *expr = measure(p, parse_prefix(p, min, &limit));
    while (expr != NULL) {
        bool negated;
        const struct infix *infix = infix_here(p, &negated);
        if (infix == NULL || infix->level < min || infix->level > limit)
            break;
        expr = measure(p, parse_infix(p, infix, negated, expr));
        /* What follows binds no tighter than what was read; a predicate takes no other predicate. */
        limit = infix->level == LEVEL_PREDICATE ? LEVEL_AND : infix->level;
    }
    parse_leave(p);
    return expr;
}

/* Reports a `-> *` inside of an expression at its place. */
static const struct ast_expr *refuse_star(struct parser *p, const struct ast_expr *expr)
{
    const struct ast_expr *star = p->star_field;
    p->star_field = NULL;
    if (expr == NULL || star == NULL)
        return expr;
    p->at = p->star_token;
    parse_unviable(p);
    return NULL;
}

/* expression = or ; */
const struct ast_expr *parse_expr(struct parser *p)
{
    return refuse_star(p, parse_level(p, LEVEL_OR));
}

/* value_expression = concat ; */
const struct ast_expr *parse_value(struct parser *p)
{
    return refuse_star(p, parse_level(p, LEVEL_CONCAT));
}

const struct ast_expr *parse_select_expr(struct parser *p)
{
    const struct ast_expr *expr = parse_level(p, LEVEL_OR);
    if (expr != NULL && expr == p->star_field) {
        p->star_field = NULL;
        return expr;
    }
    return refuse_star(p, expr);
}
