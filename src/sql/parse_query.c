/* parse_query.c - SELECT and its clauses, windows and durations.
 *
 * Clause order is fixed. Words that are no reserved ones and could be an alias (EMIT, PARTITION) begin their clause when
 * the next word fits: `FROM s EMIT CHANGES` has no alias, `FROM s emit WHERE ...` has one.
 */
#include "sql/sql_int.h"

#include <stdlib.h>

/* Durations --------------------------------------------------------------------------------------------- */

static const struct {
    enum keyword singular, plural;
    int64_t ms;
} units[] = {
    [UNIT_MILLISECONDS] = {KW_MILLISECOND, KW_MILLISECONDS, 1},
    [UNIT_SECONDS] = {KW_SECOND, KW_SECONDS, 1000},
    [UNIT_MINUTES] = {KW_MINUTE, KW_MINUTES, 60 * 1000},
    [UNIT_HOURS] = {KW_HOUR, KW_HOURS, 60 * 60 * 1000},
    [UNIT_DAYS] = {KW_DAY, KW_DAYS, 24 * 60 * 60 * 1000},
};

int64_t ast_duration_ms(struct ast_duration duration)
{
    int64_t ms;
    if (__builtin_mul_overflow(duration.count, units[duration.unit].ms, &ms))
        return -1;
    return ms;
}

bool parser_is_unit(enum keyword keyword, enum ast_unit *unit)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (keyword == units[i].singular || keyword == units[i].plural) {
            *unit = (enum ast_unit)i;
            return keyword != KW_NONE;
        }
    }
    return false;
}

/* unit = "DAY" | "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" | "DAYS" | "HOURS" | "MINUTES" | "SECONDS"
 *      | "MILLISECONDS" ; */
bool parse_unit(struct parser *p, enum ast_unit *unit)
{
    if (!parser_is_unit(peek(p)->keyword, unit))
        return parse_unexpected(p, NULL);
    advance(p);
    return true;
}

/* duration = number unit ; */
bool parse_duration(struct parser *p, struct ast_duration *duration)
{
    duration->present = true;
    return parse_integer(p, "TIME", INT64_MIN, INT64_MAX, &duration->count) && parse_unit(p, &duration->unit);
}

/* grace = "GRACE" "PERIOD" duration ; */
static bool parse_grace(struct parser *p, struct ast_duration *grace)
{
    return parser_expect_word(p, KW_GRACE) && parser_expect_word(p, KW_PERIOD) && parse_duration(p, grace);
}

/* Windows ----------------------------------------------------------------------------------------------- */

/* window_tail = [ "," "RETENTION" duration ] [ "," grace ] ")" ; */
static bool parse_window_tail(struct parser *p, struct ast_window *window)
{
    if (is_token(p, TOK_COMMA) && peek_at(p, 1)->keyword == KW_RETENTION) {
        p->at += 2;
        if (!parse_duration(p, &window->retention))
            return false;
    }
    if (parser_accept(p, TOK_COMMA) && !parse_grace(p, &window->grace))
        return false;
    return parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}");
}

/* window = "WINDOW" [ name ] ( "TUMBLING" "(" "SIZE" duration window_tail
 *        | "HOPPING" "(" "SIZE" duration "," "ADVANCE" "BY" duration window_tail
 *        | "SESSION" "(" duration window_tail ) ; */
static bool parse_window(struct parser *p, struct ast_window *window)
{
    static const struct {
        enum keyword keyword;
        enum ast_window_kind kind;
    } kinds[] = {{KW_TUMBLING, WINDOW_TUMBLING}, {KW_HOPPING, WINDOW_HOPPING}, {KW_SESSION, WINDOW_SESSION}};
    window->place = peek(p)->place;
    advance(p);
    /* The window's name has no meaning. */
    if (is_token(p, TOK_WORD) && peek(p)->keyword == KW_NONE)
        advance(p);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (is_keyword(p, kinds[i].keyword))
            window->kind = kinds[i].kind;
    if (window->kind == WINDOW_NONE)
        return parse_unexpected(p, "{'SESSION', 'TUMBLING', 'HOPPING'}");
    advance(p);
    if (!parser_expect(p, TOK_LEFT))
        return false;
    if (window->kind != WINDOW_SESSION && !parser_expect_word(p, KW_SIZE))
        return false;
    if (!parse_duration(p, &window->size))
        return false;
    if (window->kind == WINDOW_HOPPING &&
        !(parser_expect(p, TOK_COMMA) && parser_expect_word(p, KW_ADVANCE) && parser_expect_word(p, KW_BY) &&
          parse_duration(p, &window->advance)))
        return false;
    return parse_window_tail(p, window);
}

/* Sources ----------------------------------------------------------------------------------------------- */

/* A name follows that is not the first word of the next clause. */
static bool is_alias(const struct parser *p)
{
    enum keyword next = peek_at(p, 1)->keyword;
    if (is_keyword(p, KW_EMIT) && (next == KW_CHANGES || next == KW_FINAL))
        return false;
    if (is_keyword(p, KW_PARTITION) && next == KW_BY)
        return false;
    return parser_is_name(p);
}

/* source = source_name [ [ "AS" ] source_name ] ; */
static bool parse_source(struct parser *p, struct ast_source *source)
{
    source->place = peek(p)->place;
    if (!parse_source_name(p, &source->name, NULL))
        return false;
    if (parser_accept_word(p, KW_AS) || is_alias(p))
        return parse_source_name(p, &source->alias, NULL);
    return true;
}

/* within = "WITHIN" ( duration | "(" duration "," duration ")" ) [ grace ] ; */
static bool parse_within(struct parser *p, struct ast_join *join)
{
    join->within = true;
    advance(p);
    if (parser_accept(p, TOK_LEFT)) {
        if (!parse_duration(p, &join->before) || !parser_expect(p, TOK_COMMA) ||
            !parse_duration(p, &join->after) || !parser_expect(p, TOK_RIGHT))
            return false;
    } else {
        if (!parse_duration(p, &join->before))
            return false;
        join->after = join->before;
    }
    return !is_keyword(p, KW_GRACE) || parse_grace(p, &join->grace);
}

static bool is_join(const struct parser *p)
{
    switch (peek(p)->keyword) {
    case KW_JOIN:
    case KW_INNER:
    case KW_LEFT:
    case KW_RIGHT:
    case KW_FULL:
        return true;
    default:
        return false;
    }
}

/* join = [ "INNER" | ( "LEFT" | "RIGHT" | "FULL" ) [ "OUTER" ] ] "JOIN" source [ within ] "ON" expression ; */
static bool parse_join(struct parser *p, struct ast_join *join)
{
    join->place = peek(p)->place;
    switch (peek(p)->keyword) {
    case KW_LEFT:
        join->kind = JOIN_LEFT;
        break;
    case KW_RIGHT:
        join->kind = JOIN_RIGHT;
        break;
    case KW_FULL:
        join->kind = JOIN_FULL;
        break;
    default:
        join->kind = JOIN_INNER;
    }
    if (!is_keyword(p, KW_JOIN)) {
        advance(p);
        if (join->kind != JOIN_INNER)
            ignore(parser_accept_word(p, KW_OUTER), "the word is optional and means nothing");
    }
    if (!parser_expect_word(p, KW_JOIN) || !parse_source(p, &join->right))
        return false;
    if (is_keyword(p, KW_WITHIN) && !parse_within(p, join))
        return false;
    return parser_expect_word(p, KW_ON) && (join->on = parse_expr(p)) != NULL;
}

/* relation = source { join } ; */
static bool parse_relation(struct parser *p, struct ast_query *query)
{
    if (!parse_source(p, &query->from))
        return false;
    vec(struct ast_join) joins = {0};
    bool ok = true;
    while (ok && is_join(p)) {
        struct ast_join join = {0};
        ok = parse_join(p, &join);
        vec_push(&joins, join);
    }
    if (joins.len > 0)
        query->joins = arena_dup(p->arena, joins.at, joins.len * sizeof *joins.at);
    query->join_count = (uint32_t)joins.len;
    vec_fini(&joins);
    return ok;
}

/* Clauses ----------------------------------------------------------------------------------------------- */

/* select_item = "*" | name "." "*" | primary "->" "*" | expression [ [ "AS" ] name ] ; */
static bool parse_select_item(struct parser *p, struct ast_select_item *item)
{
    item->place = peek(p)->place;
    if (parser_accept(p, TOK_STAR)) {
        item->kind = SELECT_ALL;
        return true;
    }
    if (parser_is_name(p) && peek_at(p, 1)->kind == TOK_DOT && peek_at(p, 2)->kind == TOK_STAR) {
        item->kind = SELECT_ALL_OF;
        if (!parse_name(p, &item->qualifier, NULL))
            return false;
        p->at += 2;
        return true;
    }
    item->kind = SELECT_EXPR;
    item->expr = parse_select_expr(p);
    if (item->expr == NULL || item->expr->kind == AST_FIELD_STAR)
        return item->expr != NULL;
    if (parser_accept_word(p, KW_AS) || parser_is_name(p))
        return parse_name(p, &item->alias, NULL);
    return true;
}

/* select = "SELECT" select_item { "," select_item } ; */
static bool parse_select(struct parser *p, struct ast_query *query)
{
    vec(struct ast_select_item) items = {0};
    bool ok = parser_expect_word(p, KW_SELECT);
    while (ok) {
        struct ast_select_item item = {0};
        ok = parse_select_item(p, &item);
        vec_push(&items, item);
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    if (items.len > 0)
        query->items = arena_dup(p->arena, items.at, items.len * sizeof *items.at);
    query->item_count = (uint32_t)items.len;
    vec_fini(&items);
    return ok;
}

/* Is the list in parentheses of its own: () or (a, b)? A single (a) reads as an expression, which means the same. */
static bool is_list_in_parentheses(const struct parser *p)
{
    if (!is_token(p, TOK_LEFT))
        return false;
    if (peek_at(p, 1)->kind == TOK_RIGHT)
        return true;
    uint32_t depth = 0, i = 0;
    bool comma = false;
    do {
        enum token_kind kind = peek_at(p, i++)->kind;
        if (kind == TOK_EOF)
            return false;
        depth += kind == TOK_LEFT || kind == TOK_LEFT_BRACKET;
        depth -= kind == TOK_RIGHT || kind == TOK_RIGHT_BRACKET;
        comma = comma || (kind == TOK_COMMA && depth == 1);
    } while (depth > 0);
    return comma;
}

/* key_list = value_expression { "," value_expression } | "(" [ value_expression { "," value_expression } ] ")" ; */
static bool parse_key_list(struct parser *p, const struct ast_expr *const **list, uint32_t *count)
{
    vec(const struct ast_expr *) exprs = {0};
    bool enclosed = is_list_in_parentheses(p), ok = true;
    if (enclosed)
        advance(p);
    if (!(enclosed && is_token(p, TOK_RIGHT))) {
        do {
            const struct ast_expr *expr = parse_value(p);
            ok = expr != NULL;
            vec_push(&exprs, expr);
        } while (ok && parser_accept(p, TOK_COMMA));
    }
    /* An empty list is present all the same: its address tells. */
    *list = arena_dup(p->arena, exprs.at, exprs.len * sizeof *exprs.at);
    *count = (uint32_t)exprs.len;
    vec_fini(&exprs);
    return ok && (!enclosed || parser_expect(p, TOK_RIGHT));
}

static bool parse_keys_by(struct parser *p, const struct ast_expr *const **list, uint32_t *count)
{
    advance(p);
    return parser_expect_word(p, KW_BY) && parse_key_list(p, list, count);
}

static bool parse_condition(struct parser *p, const struct ast_expr **condition)
{
    advance(p);
    *condition = parse_expr(p);
    return *condition != NULL;
}

/* emit = "EMIT" ( "CHANGES" | "FINAL" ) ; */
static bool parse_emit(struct parser *p, struct ast_query *query)
{
    advance(p);
    if (parser_accept_word(p, KW_CHANGES))
        query->emit = EMIT_CHANGES;
    else if (parser_accept_word(p, KW_FINAL))
        query->emit = EMIT_FINAL;
    return query->emit != EMIT_NONE || parse_unexpected(p, "{'CHANGES', 'FINAL'}");
}

/* limit = "LIMIT" number ; */
static bool parse_limit(struct parser *p, struct ast_query *query)
{
    advance(p);
    struct sql_place place = peek(p)->place;
    bool negative = is_token(p, TOK_MINUS);
    bool pull = query->emit == EMIT_NONE && p->tokens.at[p->stmt_first].keyword == KW_SELECT;
    if (!parse_integer(p, "LIMIT", INT32_MIN, INT32_MAX, &query->limit))
        return false;
    if (negative && pull)
        parser_refuse(p, place,
                      "Pull queries don't support negative integers in the LIMIT clause. See "
                      "https://cnfl.io/queries for"
                      " more info.");
    else if (negative)
        parser_refuse(p, place, "LIMIT must not be negative.");
    return true;
}

/* query = select "FROM" relation [ window ] [ "WHERE" expression ] [ "GROUP" "BY" key_list ]
 *         [ "PARTITION" "BY" key_list ] [ "HAVING" expression ] [ emit ] [ limit ] ; */
const struct ast_query *parse_query(struct parser *p)
{
    struct ast_query *query = arena_new(p->arena, struct ast_query);
    query->place = peek(p)->place;
    query->limit = -1;
    bool ok = parse_select(p, query) && parser_expect_word(p, KW_FROM) && parse_relation(p, query);
    if (ok && is_keyword(p, KW_WINDOW))
        ok = parse_window(p, &query->window);
    if (ok && is_keyword(p, KW_WHERE))
        ok = parse_condition(p, &query->where);
    if (ok && is_keyword(p, KW_GROUP))
        ok = parse_keys_by(p, &query->group_by, &query->group_by_count);
    if (ok && is_keyword(p, KW_PARTITION))
        ok = parse_keys_by(p, &query->partition_by, &query->partition_by_count);
    if (ok && is_keyword(p, KW_HAVING))
        ok = parse_condition(p, &query->having);
    if (ok && is_keyword(p, KW_EMIT))
        ok = parse_emit(p, query);
    if (ok && is_keyword(p, KW_LIMIT))
        ok = parse_limit(p, query);
    /* Many clauses could follow: ksqlDB lists none of them. */
    if (ok && !is_token(p, TOK_SEMICOLON) && !is_token(p, TOK_EOF))
        ok = parse_unexpected(p, NULL);
    return ok ? query : NULL;
}
