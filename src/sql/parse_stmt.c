/* parse_stmt.c - statements that define and fill: CREATE, INSERT, DROP, ALTER, and the lists that they share. */
#include "sql/sql_int.h"

#include <stdlib.h>

/* Shared lists ------------------------------------------------------------------------------------------ */

/* column_mark = "KEY" | "PRIMARY" "KEY" | "HEADERS" | "HEADER" "(" STRING ")" ; */
static bool parse_column_mark(struct parser *p, struct ast_column_def *column)
{
    if (parser_accept_word(p, KW_KEY)) {
        column->mark = MARK_KEY;
    } else if (parser_accept_word(p, KW_PRIMARY)) {
        column->mark = MARK_PRIMARY_KEY;
        return parser_expect_word(p, KW_KEY);
    } else if (parser_accept_word(p, KW_HEADERS)) {
        column->mark = MARK_HEADERS;
    } else if (parser_accept_word(p, KW_HEADER)) {
        column->mark = MARK_HEADER;
        if (!parser_expect(p, TOK_LEFT) || !parse_string(p, &column->header_key) ||
            !parser_expect(p, TOK_RIGHT))
            return false;
        column->header_key = str_trim(column->header_key);
    }
    return true;
}

/* column_def = name type [ column_mark ] ; */
static bool parse_column_def(struct parser *p, struct ast_column_def *column)
{
    column->place = peek(p)->place;
    return parse_name(p, &column->name, NULL) && (column->type = parse_type(p)) != NULL &&
           parse_column_mark(p, column);
}

/* columns = "(" column_def { "," column_def } ")" ; */
bool parse_columns(struct parser *p, struct ast_stmt *stmt)
{
    stmt->has_columns = true;
    vec(struct ast_column_def) columns = {0};
    bool ok = parser_expect(p, TOK_LEFT);
    while (ok) {
        struct ast_column_def column = {0};
        ok = parse_column_def(p, &column);
        vec_push(&columns, column);
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    if (columns.len > 0)
        stmt->columns = arena_dup(p->arena, columns.at, columns.len * sizeof *columns.at);
    stmt->column_count = (uint32_t)columns.len;
    vec_fini(&columns);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}"));
}

/* property = ( name | STRING ) "=" literal ; */
static bool parse_property(struct parser *p, struct ast_property *property)
{
    bool ok =
        is_token(p, TOK_STRING) ? parse_string(p, &property->name) : parse_name(p, &property->name, NULL);
    return ok && parser_expect(p, TOK_EQ) && (property->value = parse_literal(p)) != NULL;
}

/* properties = "WITH" "(" property { "," property } ")" ; */
bool parse_properties(struct parser *p, struct ast_stmt *stmt)
{
    vec(struct ast_property) properties = {0};
    bool ok = parser_expect_word(p, KW_WITH) && parser_expect(p, TOK_LEFT);
    while (ok) {
        struct ast_property property = {0};
        ok = parse_property(p, &property);
        vec_push(&properties, property);
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    if (properties.len > 0)
        stmt->properties = arena_dup(p->arena, properties.at, properties.len * sizeof *properties.at);
    stmt->property_count = (uint32_t)properties.len;
    vec_fini(&properties);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}"));
}

/* name_list = "(" name { "," name } ")" ; */
bool parse_name_list(struct parser *p, struct ast_stmt *stmt)
{
    vec(struct str) names = {0};
    bool ok = parser_expect(p, TOK_LEFT);
    while (ok) {
        struct str name = STR_NULL;
        ok = parse_name(p, &name, NULL);
        vec_push(&names, name);
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    if (names.len > 0)
        stmt->insert_columns = arena_dup(p->arena, names.at, names.len * sizeof *names.at);
    stmt->insert_column_count = (uint32_t)names.len;
    vec_fini(&names);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}"));
}

/* row = "(" [ value_expression { "," value_expression } ] ")" ; */
bool parse_row(struct parser *p, struct ast_stmt *stmt)
{
    vec(const struct ast_expr *) values = {0};
    bool ok = parser_expect(p, TOK_LEFT);
    while (ok && !(values.len == 0 && is_token(p, TOK_RIGHT))) {
        const struct ast_expr *value = parse_value(p);
        ok = value != NULL;
        vec_push(&values, value);
        if (!parser_accept(p, TOK_COMMA))
            break;
    }
    if (values.len > 0)
        stmt->values = arena_dup(p->arena, values.at, values.len * sizeof *values.at);
    stmt->value_count = (uint32_t)values.len;
    vec_fini(&values);
    return ok && (parser_accept(p, TOK_RIGHT) || parse_unexpected(p, "{',', ')'}"));
}

/* if_not_exists = "IF" "NOT" "EXISTS" ; */
static bool parse_if_not_exists(struct parser *p, struct ast_stmt *stmt)
{
    if (!is_keyword(p, KW_IF) || peek_at(p, 1)->keyword != KW_NOT)
        return true;
    stmt->if_not_exists = true;
    p->at += 2;
    return parser_expect_word(p, KW_EXISTS);
}

/* if_exists = "IF" "EXISTS" ; */
static void parse_if_exists(struct parser *p, struct ast_stmt *stmt)
{
    stmt->if_exists = is_keyword(p, KW_IF) && peek_at(p, 1)->keyword == KW_EXISTS;
    if (stmt->if_exists)
        p->at += 2;
}

/* CREATE ------------------------------------------------------------------------------------------------ */

/* A stream has KEY columns, a table PRIMARY KEY columns. */
static void check_keys(struct parser *p, const struct ast_stmt *stmt)
{
    bool table = stmt->kind == STMT_CREATE_TABLE || stmt->kind == STMT_ASSERT_TABLE;
    for (uint32_t i = 0; i < stmt->column_count; i++) {
        const struct ast_column_def *column = &stmt->columns[i];
        if (column->mark != (table ? MARK_KEY : MARK_PRIMARY_KEY))
            continue;
        struct buf name = {0};
        sql_print_quoted(column->name, &name);
        parser_refuse(p, column->place,
                      "Line: %d, Col: %d: Column %s is a '%s' column: please use '%s' for %s.",
                      column->place.line, column->place.column, name.ptr, table ? "KEY" : "PRIMARY KEY",
                      table ? "PRIMARY KEY" : "KEY", table ? "tables" : "streams");
        buf_fini(&name);
    }
}

/* create_source = "CREATE" [ "OR" "REPLACE" ] [ "SOURCE" ] ( "STREAM" | "TABLE" ) [ if_not_exists ] source_name
 *                 ( [ columns ] [ properties ] | [ properties ] "AS" query ) ; */
static bool parse_create_source(struct parser *p, struct ast_stmt *stmt)
{
    bool table = is_keyword(p, KW_TABLE);
    stmt->kind = table ? STMT_CREATE_TABLE : STMT_CREATE_STREAM;
    advance(p);
    if (!parse_if_not_exists(p, stmt) || !parse_source_name(p, &stmt->name, &stmt->name_quoted))
        return false;
    if (is_token(p, TOK_LEFT) && !parse_columns(p, stmt))
        return false;
    if (is_keyword(p, KW_WITH) && !parse_properties(p, stmt))
        return false;
    if (stmt->has_columns || stmt->source_only || !is_keyword(p, KW_AS)) {
        check_keys(p, stmt);
        return true;
    }
    advance(p);
    stmt->kind = table ? STMT_CREATE_TABLE_AS : STMT_CREATE_STREAM_AS;
    if (!is_keyword(p, KW_SELECT))
        return parser_expect_word(p, KW_SELECT);
    stmt->query = parse_query(p);
    return stmt->query != NULL;
}

/* create_type = "CREATE" "TYPE" [ if_not_exists ] name "AS" type ; */
static bool parse_create_type(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = STMT_CREATE_TYPE;
    advance(p);
    return parse_if_not_exists(p, stmt) && parse_name(p, &stmt->name, &stmt->name_quoted) &&
           parser_expect_word(p, KW_AS) && (stmt->type = parse_type(p)) != NULL;
}

/* create_connector = "CREATE" ( "SOURCE" | "SINK" ) "CONNECTOR" [ if_not_exists ] name properties ; */
static bool parse_create_connector(struct parser *p, struct ast_stmt *stmt)
{
    stmt->kind = STMT_CREATE_CONNECTOR;
    stmt->connector_kind = is_keyword(p, KW_SOURCE) ? CONNECTORS_SOURCE : CONNECTORS_SINK;
    p->at += 2;
    return parse_if_not_exists(p, stmt) && parse_name(p, &stmt->name, &stmt->name_quoted) &&
           parse_properties(p, stmt);
}

/* create = create_source | create_type | create_connector ; */
bool parse_create(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (parser_accept_word(p, KW_OR)) {
        stmt->or_replace = true;
        if (!parser_expect_word(p, KW_REPLACE))
            return false;
    }
    bool link = is_keyword(p, KW_SOURCE) || is_keyword(p, KW_SINK);
    if (!stmt->or_replace && is_keyword(p, KW_TYPE))
        return parse_create_type(p, stmt);
    if (!stmt->or_replace && link && peek_at(p, 1)->keyword == KW_CONNECTOR)
        return parse_create_connector(p, stmt);
    stmt->source_only = parser_accept_word(p, KW_SOURCE);
    if (is_keyword(p, KW_STREAM) || is_keyword(p, KW_TABLE))
        return parse_create_source(p, stmt);
    return parse_unviable(p);
}

/* INSERT, DROP, ALTER ----------------------------------------------------------------------------------- */

/* insert = "INSERT" "INTO" source_name ( [ properties ] query | [ name_list ] "VALUES" row ) ; */
bool parse_insert(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (!parser_expect_word(p, KW_INTO) || !parse_source_name(p, &stmt->name, &stmt->name_quoted))
        return false;
    if (is_keyword(p, KW_WITH) || is_keyword(p, KW_SELECT)) {
        stmt->kind = STMT_INSERT_INTO;
        if (is_keyword(p, KW_WITH) && !parse_properties(p, stmt))
            return false;
        if (!is_keyword(p, KW_SELECT))
            return parser_expect_word(p, KW_SELECT);
        stmt->query = parse_query(p);
        return stmt->query != NULL;
    }
    stmt->kind = STMT_INSERT_VALUES;
    if (is_token(p, TOK_LEFT) && !parse_name_list(p, stmt))
        return false;
    if (!is_keyword(p, KW_VALUES) && stmt->insert_column_count == 0)
        return parse_unviable(p);
    return parser_expect_word(p, KW_VALUES) && parse_row(p, stmt);
}

/* drop = "DROP" ( "STREAM" | "TABLE" ) [ if_exists ] source_name [ "DELETE" "TOPIC" ]
 *      | "DROP" ( "CONNECTOR" | "TYPE" ) [ if_exists ] name ; */
bool parse_drop(struct parser *p, struct ast_stmt *stmt)
{
    static const struct {
        enum keyword keyword;
        enum ast_stmt_kind kind;
    } things[] = {{KW_STREAM, STMT_DROP_STREAM},
                  {KW_TABLE, STMT_DROP_TABLE},
                  {KW_CONNECTOR, STMT_DROP_CONNECTOR},
                  {KW_TYPE, STMT_DROP_TYPE}};
    advance(p);
    size_t i = 0;
    while (i < COUNT_OF(things) && !is_keyword(p, things[i].keyword))
        i++;
    if (i == COUNT_OF(things))
        return parse_unviable(p);
    advance(p);
    stmt->kind = things[i].kind;
    parse_if_exists(p, stmt);
    if (stmt->kind == STMT_DROP_CONNECTOR || stmt->kind == STMT_DROP_TYPE)
        return parse_name(p, &stmt->name, &stmt->name_quoted);
    if (!parse_source_name(p, &stmt->name, &stmt->name_quoted))
        return false;
    stmt->delete_topic = parser_accept_word(p, KW_DELETE);
    return !stmt->delete_topic || parser_expect_word(p, KW_TOPIC);
}

/* alter_option = "ADD" [ "COLUMN" ] name type ; */
static bool parse_alter_options(struct parser *p, struct ast_stmt *stmt)
{
    vec(struct ast_column_def) columns = {0};
    bool ok = true;
    do {
        struct ast_column_def column = {0};
        ok = parser_expect_word(p, KW_ADD);
        /* COLUMN is a name too: `ADD column INT` adds a column of that name. */
        if (ok && is_keyword(p, KW_COLUMN) && parser_is_name_at(p, 2))
            advance(p);
        column.place = peek(p)->place;
        ok = ok && parse_name(p, &column.name, NULL) && (column.type = parse_type(p)) != NULL;
        vec_push(&columns, column);
    } while (ok && parser_accept(p, TOK_COMMA));
    stmt->columns = arena_dup(p->arena, columns.at, columns.len * sizeof *columns.at);
    stmt->column_count = (uint32_t)columns.len;
    vec_fini(&columns);
    return ok;
}

/* alter = "ALTER" ( "STREAM" | "TABLE" ) source_name alter_option { "," alter_option }
 *       | "ALTER" "SYSTEM" STRING "=" STRING ; */
bool parse_alter(struct parser *p, struct ast_stmt *stmt)
{
    advance(p);
    if (parser_accept_word(p, KW_SYSTEM)) {
        stmt->kind = STMT_ALTER_SYSTEM;
        return parse_string(p, &stmt->name) && parser_expect(p, TOK_EQ) && parse_string(p, &stmt->value);
    }
    if (!is_keyword(p, KW_STREAM) && !is_keyword(p, KW_TABLE))
        return parse_unexpected(p, "{'TABLE', 'STREAM', 'SYSTEM'}");
    stmt->kind = is_keyword(p, KW_STREAM) ? STMT_ALTER_STREAM : STMT_ALTER_TABLE;
    advance(p);
    return parse_source_name(p, &stmt->name, &stmt->name_quoted) && parse_alter_options(p, stmt);
}
