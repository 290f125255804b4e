/* parse_info.c - statements that show, control and check: SHOW, DESCRIBE, PRINT, TERMINATE, EXPLAIN, SET, DEFINE,
 * ASSERT, RUN SCRIPT. */
#include "sql/sql_int.h"

/* SHOW, DESCRIBE, PRINT --------------------------------------------------------------------------------- */

static const struct {
    enum keyword keyword;
    enum ast_stmt_kind kind;
    bool extended; /* EXTENDED may follow */
} shown[] = {
    {KW_STREAMS, STMT_SHOW_STREAMS, true},        {KW_TABLES, STMT_SHOW_TABLES, true},
    {KW_TOPICS, STMT_SHOW_TOPICS, true},          {KW_QUERIES, STMT_SHOW_QUERIES, true},
    {KW_PROPERTIES, STMT_SHOW_PROPERTIES, false}, {KW_FUNCTIONS, STMT_SHOW_FUNCTIONS, false},
    {KW_TYPES, STMT_SHOW_TYPES, false},           {KW_VARIABLES, STMT_SHOW_VARIABLES, false},
    {KW_CONNECTORS, STMT_SHOW_CONNECTORS, false},
};

/* show = ( "SHOW" | "LIST" ) ( ( "STREAMS" | "TABLES" | "QUERIES" | [ "ALL" ] "TOPICS" ) [ "EXTENDED" ]
 *      | "PROPERTIES" | "FUNCTIONS" | "TYPES" | "VARIABLES" | [ "SOURCE" | "SINK" ] "CONNECTORS"
 *      | "CONNECTOR" "PLUGINS" ) ; */
bool parse_show(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (parser_accept_word(p, KW_CONNECTOR)) {
        stmt->kind = STMT_SHOW_CONNECTOR_PLUGINS;
        return parser_expect_word(p, KW_PLUGINS);
    }
    if (parser_accept_word(p, KW_ALL)) {
        stmt->all = true;
        if (!is_keyword(p, KW_TOPICS))
            return parser_expect_word(p, KW_TOPICS);
    } else if (is_keyword(p, KW_SOURCE) || is_keyword(p, KW_SINK)) {
        stmt->connector_kind = is_keyword(p, KW_SOURCE) ? CONNECTORS_SOURCE : CONNECTORS_SINK;
        advance(p);
        if (!is_keyword(p, KW_CONNECTORS))
            return parser_expect_word(p, KW_CONNECTORS);
    }
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        if (!parser_accept_word(p, shown[i].keyword))
            continue;
        stmt->kind = shown[i].kind;
        stmt->extended = shown[i].extended && parser_accept_word(p, KW_EXTENDED);
        return true;
    }
    return parse_unviable(p);
}

/* describe = "DESCRIBE" ( source_name | "STREAMS" | "TABLES" ) [ "EXTENDED" ]
 *          | "DESCRIBE" ( "FUNCTION" | "CONNECTOR" ) name ; */
bool parse_describe(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (is_keyword(p, KW_FUNCTION) && parser_is_name_at(p, 1)) {
        stmt->kind = STMT_DESCRIBE_FUNCTION;
        advance(p);
        return parse_name(p, &stmt->name, &stmt->name_quoted);
    }
    if (parser_accept_word(p, KW_CONNECTOR)) {
        stmt->kind = STMT_DESCRIBE_CONNECTOR;
        return parse_name(p, &stmt->name, &stmt->name_quoted);
    }
    if (parser_accept_word(p, KW_STREAMS)) {
        stmt->kind = STMT_DESCRIBE_STREAMS;
    } else if (parser_accept_word(p, KW_TABLES)) {
        stmt->kind = STMT_DESCRIBE_TABLES;
    } else {
        stmt->kind = STMT_DESCRIBE;
        if (!parse_source_name(p, &stmt->name, &stmt->name_quoted))
            return false;
    }
    stmt->extended = parser_accept_word(p, KW_EXTENDED);
    return true;
}

/* print = "PRINT" resource [ "FROM" "BEGINNING" ] [ ( "INTERVAL" | "SAMPLE" ) number ] [ "LIMIT" number ] ; */
bool parse_print(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    stmt->kind = STMT_PRINT;
    if (!parse_resource(p, &stmt->name))
        return false;
    stmt->from_beginning = parser_accept_word(p, KW_FROM);
    if (stmt->from_beginning && !parser_expect_word(p, KW_BEGINNING))
        return false;
    if ((parser_accept_word(p, KW_INTERVAL) || parser_accept_word(p, KW_SAMPLE)) &&
        !parse_integer(p, "INTERVAL", 0, INT32_MAX, &stmt->interval))
        return false;
    return !parser_accept_word(p, KW_LIMIT) || parse_integer(p, "LIMIT", 0, INT32_MAX, &stmt->limit);
}

/* Queries and the session ------------------------------------------------------------------------------- */

/* control = ( "TERMINATE" | "PAUSE" | "RESUME" ) ( "ALL" | name ) ; */
bool parse_control(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = is_keyword(p, KW_TERMINATE) ? STMT_TERMINATE
                 : is_keyword(p, KW_PAUSE)   ? STMT_PAUSE
                                             : STMT_RESUME;
    advance(p);
    stmt->all = parser_accept_word(p, KW_ALL);
    return stmt->all || parse_name(p, &stmt->name, &stmt->name_quoted);
}

/* explain = "EXPLAIN" ( name | statement ) ; */
bool parse_explain(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    stmt->kind = STMT_EXPLAIN;
    bool last = peek_at(p, 1)->kind == TOK_SEMICOLON || peek_at(p, 1)->kind == TOK_EOF;
    if (last && parser_is_name(p))
        return parse_name(p, &stmt->name, &stmt->name_quoted);
    if (++p->explain_depth > SQL_EXPLAIN_MAX)
        return parse_too_complex(p);
    struct ast_stmt *explained = (struct ast_stmt *)parse_statement(p);
    p->explain_depth--;
    if (explained == NULL)
        return false;
    const char *start = p->text.ptr;
    const struct token *end = peek(p);
    for (uint32_t i = p->stmt_first; i < p->at; i++)
        if (p->tokens.at[i].place.line == explained->place.line &&
            p->tokens.at[i].place.column == explained->place.column)
            start = p->tokens.at[i].text.ptr;
    explained->text = str_trim(str_of(start, (size_t)(end->text.ptr + end->text.len - start)));
    stmt->explained = explained;
    return true;
}

/* A string, or a variable that stands for one. */
static bool parse_setting(struct parser *p, struct str *value)
{
    if (!is_token(p, TOK_VARIABLE))
        return parse_string(p, value);
    parser_note_variable(p, EDIT_LITERAL);
    *value = str_dup(peek(p)->text, p->arena);
    advance(p);
    return true;
}

/* set = "SET" ( STRING | VARIABLE ) "=" ( STRING | VARIABLE ) | "UNSET" ( STRING | VARIABLE ) ; */
bool parse_set(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = is_keyword(p, KW_SET) ? STMT_SET_PROPERTY : STMT_UNSET_PROPERTY;
    advance(p);
    if (!parse_setting(p, &stmt->name))
        return false;
    return stmt->kind == STMT_UNSET_PROPERTY || (parser_expect(p, TOK_EQ) && parse_setting(p, &stmt->value));
}

/* define = "DEFINE" WORD "=" STRING | "UNDEFINE" WORD ; */
bool parse_define(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = is_keyword(p, KW_DEFINE) ? STMT_DEFINE : STMT_UNDEFINE;
    advance(p);
    /* Any word names a variable, keywords too. */
    if (!is_token(p, TOK_WORD))
        return parse_unexpected(p, "IDENTIFIER");
    stmt->name = str_dup(peek(p)->text, p->arena);
    advance(p);
    return stmt->kind == STMT_UNDEFINE || (parser_expect(p, TOK_EQ) && parse_string(p, &stmt->value));
}

/* ASSERT, RUN SCRIPT ------------------------------------------------------------------------------------ */

/* timeout = "TIMEOUT" duration ; */
static bool parse_timeout(struct parser *p, struct ast_stmt *stmt)
{
    return !parser_accept_word(p, KW_TIMEOUT) || parse_duration(p, &stmt->timeout);
}

/* assert_topic = "ASSERT" [ "NOT" "EXISTS" ] "TOPIC" resource [ properties ] [ timeout ] ; */
static bool parse_assert_topic(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = STMT_ASSERT_TOPIC;
    if (!parse_resource(p, &stmt->name))
        return false;
    if (is_keyword(p, KW_WITH) && !parse_properties(p, stmt))
        return false;
    return parse_timeout(p, stmt);
}

/* assert_schema = "ASSERT" [ "NOT" "EXISTS" ] "SCHEMA" [ "SUBJECT" resource ] [ "ID" number ] [ timeout ] ; */
static bool parse_assert_schema(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = STMT_ASSERT_SCHEMA;
    if (parser_accept_word(p, KW_SUBJECT) && !parse_resource(p, &stmt->subject))
        return false;
    if (parser_accept_word(p, KW_ID) && !parse_integer(p, "ID", 0, INT32_MAX, &stmt->schema_id))
        return false;
    return parse_timeout(p, stmt);
}

/* assert_source = "ASSERT" ( "STREAM" | "TABLE" ) source_name [ columns ] [ properties ] ; */
static bool parse_assert_source(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = is_keyword(p, KW_STREAM) ? STMT_ASSERT_STREAM : STMT_ASSERT_TABLE;
    advance(p);
    if (!parse_source_name(p, &stmt->name, &stmt->name_quoted))
        return false;
    if (is_token(p, TOK_LEFT) && !parse_columns(p, stmt))
        return false;
    return !is_keyword(p, KW_WITH) || parse_properties(p, stmt);
}

/* assert_values = "ASSERT" "VALUES" source_name [ name_list ] "VALUES" row
 *               | "ASSERT" "NULL" "VALUES" source_name [ name_list ] "KEY" row ; */
static bool parse_assert_values(struct parser *p, struct ast_stmt *stmt)
{
    bool null = parser_accept_word(p, KW_NULL);
    stmt->kind = null ? STMT_ASSERT_NULL_VALUES : STMT_ASSERT_VALUES;
    if (!parser_expect_word(p, KW_VALUES) || !parse_source_name(p, &stmt->name, &stmt->name_quoted))
        return false;
    if (is_token(p, TOK_LEFT) && !parse_name_list(p, stmt))
        return false;
    return parser_expect_word(p, null ? KW_KEY : KW_VALUES) && parse_row(p, stmt);
}

/* assert = assert_topic | assert_schema | assert_source | assert_values ; */
bool parse_assert(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (is_keyword(p, KW_NOT) && peek_at(p, 1)->keyword == KW_EXISTS) {
        stmt->not_exists = true;
        p->at += 2;
    }
    if (parser_accept_word(p, KW_TOPIC))
        return parse_assert_topic(p, stmt);
    if (parser_accept_word(p, KW_SCHEMA))
        return parse_assert_schema(p, stmt);
    bool test = p->test_statements && !stmt->not_exists;
    if (test && (is_keyword(p, KW_STREAM) || is_keyword(p, KW_TABLE)))
        return parse_assert_source(p, stmt);
    if (test && (is_keyword(p, KW_VALUES) || is_keyword(p, KW_NULL)))
        return parse_assert_values(p, stmt);
    return parse_unviable(p);
}

/* run_script = "RUN" "SCRIPT" STRING ; */
bool parse_run_script(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    stmt->kind = STMT_RUN_SCRIPT;
    return parser_expect_word(p, KW_SCRIPT) && parse_string(p, &stmt->name);
}
