/* print.c - queries and statements as text.
 *
 * The layout is that of ksqlDB's normalised statements, which are stored, logged and shown: a clause a line, several
 * select items a line each, properties as NAME='value'.
 */
#include "sql/sql_int.h"

static void print_string(struct str s, struct buf *out)
{
    buf_append_char(out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        buf_append_char(out, s.ptr[i]);
        if (s.ptr[i] == '\'')
            buf_append_char(out, '\'');
    }
    buf_append_char(out, '\'');
}

/* Queries ----------------------------------------------------------------------------------------------- */

static void print_duration(struct ast_duration duration, struct buf *out)
{
    static const char *const words[] = {[UNIT_MILLISECONDS] = "MILLISECONDS",
                                        [UNIT_SECONDS] = "SECONDS",
                                        [UNIT_MINUTES] = "MINUTES",
                                        [UNIT_HOURS] = "HOURS",
                                        [UNIT_DAYS] = "DAYS"};
    buf_printf(out, "%" PRId64 " %s", duration.count, words[duration.unit]);
}

static void print_duration_clause(const char *words, struct ast_duration duration, struct buf *out)
{
    if (!duration.present)
        return;
    buf_append_cstr(out, words);
    print_duration(duration, out);
}

static void print_window(const struct ast_window *window, struct buf *out)
{
    static const char *const words[] = {[WINDOW_NONE] = "",
                                        [WINDOW_TUMBLING] = "\nWINDOW TUMBLING ( SIZE ",
                                        [WINDOW_HOPPING] = "\nWINDOW HOPPING ( SIZE ",
                                        [WINDOW_SESSION] = "\nWINDOW SESSION ( "};
    if (window->kind == WINDOW_NONE)
        return;
    print_duration_clause(words[window->kind], window->size, out);
    print_duration_clause(" , ADVANCE BY ", window->advance, out);
    print_duration_clause(" , RETENTION ", window->retention, out);
    print_duration_clause(" , GRACE PERIOD ", window->grace, out);
    buf_append_cstr(out, " )");
}

static void print_source(const struct ast_source *source, struct buf *out)
{
    sql_print_name(source->name, out);
    if (!str_is_null(source->alias)) {
        buf_append_char(out, ' ');
        sql_print_name(source->alias, out);
    }
}

static bool same_duration(struct ast_duration a, struct ast_duration b)
{
    return a.count == b.count && a.unit == b.unit;
}

static void print_join(const struct ast_join *join, struct buf *out)
{
    static const char *const words[] = {[JOIN_INNER] = "\nINNER JOIN ",
                                        [JOIN_LEFT] = "\nLEFT OUTER JOIN ",
                                        [JOIN_RIGHT] = "\nRIGHT OUTER JOIN ",
                                        [JOIN_FULL] = "\nFULL OUTER JOIN "};
    buf_append_cstr(out, words[join->kind]);
    print_source(&join->right, out);
    if (join->within) {
        bool one = same_duration(join->before, join->after);
        buf_append_cstr(out, one ? " WITHIN " : " WITHIN (");
        print_duration(join->before, out);
        if (!one) {
            buf_append_cstr(out, ", ");
            print_duration(join->after, out);
            buf_append_char(out, ')');
        }
        print_duration_clause(" GRACE PERIOD ", join->grace, out);
    }
    buf_append_cstr(out, " ON (");
    sql_print_expr(join->on, out);
    buf_append_char(out, ')');
}

static void print_item(const struct ast_select_item *item, struct buf *out)
{
    switch (item->kind) {
    case SELECT_ALL:
        buf_append_char(out, '*');
        break;
    case SELECT_ALL_OF:
        sql_print_name(item->qualifier, out);
        buf_append_cstr(out, ".*");
        break;
    case SELECT_EXPR:
        sql_print_expr(item->expr, out);
        if (!str_is_null(item->alias)) {
            buf_append_char(out, ' ');
            sql_print_name(item->alias, out);
        }
        break;
    }
}

static void print_list(const struct ast_expr *const *list, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_expr(list[i], out);
    }
}

static void print_keys(const char *words, const struct ast_expr *const *list, uint32_t count, struct buf *out)
{
    if (list == NULL)
        return;
    buf_append_cstr(out, words);
    if (count == 0)
        buf_append_cstr(out, "()");
    print_list(list, count, out);
}

static void print_condition(const char *words, const struct ast_expr *condition, struct buf *out)
{
    if (condition == NULL)
        return;
    buf_append_cstr(out, words);
    sql_print_expr(condition, out);
}

void sql_print_query(const struct ast_query *query, struct buf *out)
{
    static const char *const emits[] = {
        [EMIT_NONE] = "", [EMIT_CHANGES] = "\nEMIT CHANGES", [EMIT_FINAL] = "\nEMIT FINAL"};
    buf_append_cstr(out, "SELECT");
    for (uint32_t i = 0; i < query->item_count; i++) {
        buf_append_cstr(out, query->item_count == 1 ? " " : i > 0 ? ",\n  " : "\n  ");
        print_item(&query->items[i], out);
    }
    buf_append_cstr(out, "\nFROM ");
    print_source(&query->from, out);
    for (uint32_t i = 0; i < query->join_count; i++)
        print_join(&query->joins[i], out);
    print_window(&query->window, out);
    print_condition("\nWHERE ", query->where, out);
    print_keys("\nGROUP BY ", query->group_by, query->group_by_count, out);
    print_keys("\nPARTITION BY ", query->partition_by, query->partition_by_count, out);
    print_condition("\nHAVING ", query->having, out);
    buf_append_cstr(out, emits[query->emit]);
    if (query->limit >= 0)
        buf_printf(out, "\nLIMIT %" PRId64, query->limit);
}

/* Statements -------------------------------------------------------------------------------------------- */

static void print_column(const struct ast_column_def *column, struct buf *out)
{
    static const char *const marks[] = {[MARK_NONE] = "",
                                        [MARK_KEY] = " KEY",
                                        [MARK_PRIMARY_KEY] = " PRIMARY KEY",
                                        [MARK_HEADERS] = " HEADERS",
                                        [MARK_HEADER] = " HEADER("};
    sql_print_name(column->name, out);
    buf_append_char(out, ' ');
    sql_print_type(column->type, out);
    buf_append_cstr(out, marks[column->mark]);
    if (column->mark == MARK_HEADER) {
        print_string(column->header_key, out);
        buf_append_char(out, ')');
    }
}

static void print_columns(const struct ast_stmt *stmt, struct buf *out)
{
    if (!stmt->has_columns)
        return;
    buf_append_cstr(out, " (");
    for (uint32_t i = 0; i < stmt->column_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        print_column(&stmt->columns[i], out);
    }
    buf_append_char(out, ')');
}

/* A name that an unquoted word would not give back is written as a string, which also means it as it stands. */
static void print_property_name(struct str name, struct buf *out)
{
    struct buf plain = {0};
    sql_print_name(name, &plain);
    if (str_eq(buf_str(&plain), name))
        buf_append_str(out, name);
    else
        print_string(name, out);
    buf_fini(&plain);
}

static void print_properties(const struct ast_stmt *stmt, struct buf *out)
{
    if (stmt->property_count == 0)
        return;
    buf_append_cstr(out, " WITH (");
    for (uint32_t i = 0; i < stmt->property_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        print_property_name(stmt->properties[i].name, out);
        buf_append_char(out, '=');
        sql_print_expr(stmt->properties[i].value, out);
    }
    buf_append_char(out, ')');
}

static void print_insert_columns(const struct ast_stmt *stmt, struct buf *out)
{
    if (stmt->insert_column_count == 0)
        return;
    buf_append_cstr(out, " (");
    for (uint32_t i = 0; i < stmt->insert_column_count; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        sql_print_name(stmt->insert_columns[i], out);
    }
    buf_append_char(out, ')');
}

static void print_row(const struct ast_stmt *stmt, const char *words, struct buf *out)
{
    buf_append_cstr(out, words);
    buf_append_char(out, '(');
    print_list(stmt->values, stmt->value_count, out);
    buf_append_char(out, ')');
}

static void print_create(const struct ast_stmt *stmt, struct buf *out)
{
    bool table = stmt->kind == STMT_CREATE_TABLE || stmt->kind == STMT_CREATE_TABLE_AS;
    buf_printf(out, "CREATE %s%s%s %s", stmt->or_replace ? "OR REPLACE " : "",
               stmt->source_only ? "SOURCE " : "", table ? "TABLE" : "STREAM",
               stmt->if_not_exists ? "IF NOT EXISTS " : "");
    sql_print_name(stmt->name, out);
    print_columns(stmt, out);
    print_properties(stmt, out);
    if (stmt->query != NULL) {
        buf_append_cstr(out, " AS ");
        sql_print_query(stmt->query, out);
    }
}

static void print_insert(const struct ast_stmt *stmt, struct buf *out)
{
    buf_append_cstr(out, "INSERT INTO ");
    sql_print_name(stmt->name, out);
    if (stmt->kind == STMT_INSERT_INTO) {
        print_properties(stmt, out);
        buf_append_char(out, ' ');
        sql_print_query(stmt->query, out);
    } else {
        print_insert_columns(stmt, out);
        print_row(stmt, " VALUES ", out);
    }
}

static void print_alter(const struct ast_stmt *stmt, struct buf *out)
{
    buf_printf(out, "%s ", sql_stmt_words(stmt->kind));
    sql_print_name(stmt->name, out);
    for (uint32_t i = 0; i < stmt->column_count; i++) {
        buf_append_cstr(out, i > 0 ? ",\nADD COLUMN " : "\nADD COLUMN ");
        print_column(&stmt->columns[i], out);
    }
}

static void print_connector(const struct ast_stmt *stmt, struct buf *out)
{
    buf_printf(out, "CREATE %s CONNECTOR %s", stmt->connector_kind == CONNECTORS_SOURCE ? "SOURCE" : "SINK",
               stmt->if_not_exists ? "IF NOT EXISTS " : "");
    sql_print_name(stmt->name, out);
    print_properties(stmt, out);
}

static void print_topic(const struct ast_stmt *stmt, struct buf *out)
{
    buf_append_cstr(out, "PRINT ");
    print_string(stmt->name, out);
    buf_append_cstr(out, stmt->from_beginning ? " FROM BEGINNING" : "");
    if (stmt->interval >= 0)
        buf_printf(out, " INTERVAL %" PRId64, stmt->interval);
    if (stmt->limit >= 0)
        buf_printf(out, " LIMIT %" PRId64, stmt->limit);
}

static void print_assert(const struct ast_stmt *stmt, struct buf *out)
{
    if (stmt->not_exists)
        buf_printf(out, "ASSERT NOT EXISTS %s ", stmt->kind == STMT_ASSERT_TOPIC ? "TOPIC" : "SCHEMA");
    else
        buf_printf(out, "%s ", sql_stmt_words(stmt->kind));
    switch (stmt->kind) {
    case STMT_ASSERT_TOPIC:
        print_string(stmt->name, out);
        print_properties(stmt, out);
        break;
    case STMT_ASSERT_SCHEMA:
        if (!str_is_null(stmt->subject)) {
            buf_append_cstr(out, "SUBJECT ");
            print_string(stmt->subject, out);
        }
        if (stmt->schema_id >= 0)
            buf_printf(out, " ID %" PRId64, stmt->schema_id);
        break;
    case STMT_ASSERT_VALUES:
    case STMT_ASSERT_NULL_VALUES:
        sql_print_name(stmt->name, out);
        print_insert_columns(stmt, out);
        print_row(stmt, stmt->kind == STMT_ASSERT_VALUES ? " VALUES " : " KEY ", out);
        break;
    default:
        sql_print_name(stmt->name, out);
        print_columns(stmt, out);
        print_properties(stmt, out);
    }
    print_duration_clause(" TIMEOUT ", stmt->timeout, out);
}

/* The statements that are their words, a name and a few flags. */
static void print_simple(const struct ast_stmt *stmt, struct buf *out)
{
    const char *words = sql_stmt_words(stmt->kind);
    if (stmt->kind == STMT_SHOW_TOPICS && stmt->all)
        words = "SHOW ALL TOPICS";
    else if (stmt->kind == STMT_SHOW_CONNECTORS && stmt->connector_kind != CONNECTORS_ALL)
        words = stmt->connector_kind == CONNECTORS_SOURCE ? "SHOW SOURCE CONNECTORS" : "SHOW SINK CONNECTORS";
    buf_append_cstr(out, words);
    buf_append_cstr(out, stmt->if_exists ? " IF EXISTS" : "");
    if (stmt->kind == STMT_UNDEFINE) {
        buf_printf(out, " %.*s", STR_ARG(stmt->name));
    } else if (!str_is_null(stmt->name)) {
        buf_append_char(out, ' ');
        /* Quoted, a source named TABLES is not taken for the list of tables. */
        bool clash =
            stmt->kind == STMT_DESCRIBE && (stmt->name_quoted || sql_keyword_of(stmt->name) != KW_NONE);
        if (clash)
            sql_print_quoted(stmt->name, out);
        else
            sql_print_name(stmt->name, out);
    } else if (stmt->all && stmt->kind != STMT_SHOW_TOPICS) {
        buf_append_cstr(out, " ALL");
    }
    buf_append_cstr(out, stmt->delete_topic ? " DELETE TOPIC" : "");
    buf_append_cstr(out, stmt->extended ? " EXTENDED" : "");
}

static void print_statement(const struct ast_stmt *stmt, struct buf *out);

static void print_explain(const struct ast_stmt *stmt, struct buf *out)
{
    buf_append_cstr(out, "EXPLAIN ");
    if (stmt->explained != NULL)
        print_statement(stmt->explained, out);
    else
        sql_print_name(stmt->name, out);
}

static void print_statement(const struct ast_stmt *stmt, struct buf *out)
{
    switch (stmt->kind) {
    case STMT_CREATE_STREAM:
    case STMT_CREATE_TABLE:
    case STMT_CREATE_STREAM_AS:
    case STMT_CREATE_TABLE_AS:
        print_create(stmt, out);
        break;
    case STMT_INSERT_INTO:
    case STMT_INSERT_VALUES:
        print_insert(stmt, out);
        break;
    case STMT_QUERY:
        sql_print_query(stmt->query, out);
        break;
    case STMT_ALTER_STREAM:
    case STMT_ALTER_TABLE:
        print_alter(stmt, out);
        break;
    case STMT_CREATE_TYPE:
        buf_printf(out, "CREATE TYPE %s", stmt->if_not_exists ? "IF NOT EXISTS " : "");
        sql_print_name(stmt->name, out);
        buf_append_cstr(out, " AS ");
        sql_print_type(stmt->type, out);
        break;
    case STMT_CREATE_CONNECTOR:
        print_connector(stmt, out);
        break;
    case STMT_EXPLAIN:
        print_explain(stmt, out);
        break;
    case STMT_ALTER_SYSTEM:
    case STMT_SET_PROPERTY:
    case STMT_UNSET_PROPERTY:
        buf_printf(out, "%s ", sql_stmt_words(stmt->kind));
        print_string(stmt->name, out);
        if (stmt->kind != STMT_UNSET_PROPERTY) {
            buf_append_char(out, '=');
            print_string(stmt->value, out);
        }
        break;
    case STMT_DEFINE:
        buf_printf(out, "DEFINE %.*s=", STR_ARG(stmt->name));
        print_string(stmt->value, out);
        break;
    case STMT_PRINT:
        print_topic(stmt, out);
        break;
    case STMT_RUN_SCRIPT:
        buf_append_cstr(out, "RUN SCRIPT ");
        print_string(stmt->name, out);
        break;
    case STMT_ASSERT_TOPIC:
    case STMT_ASSERT_SCHEMA:
    case STMT_ASSERT_VALUES:
    case STMT_ASSERT_NULL_VALUES:
    case STMT_ASSERT_STREAM:
    case STMT_ASSERT_TABLE:
        print_assert(stmt, out);
        break;
    default:
        print_simple(stmt, out);
    }
}

void sql_print_stmt(const struct ast_stmt *stmt, struct buf *out)
{
    print_statement(stmt, out);
    buf_append_char(out, ';');
}
