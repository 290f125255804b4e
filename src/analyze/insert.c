/* insert.c - INSERT INTO ... VALUES: one row, each value a constant, coerced to its column.
 *
 * Without a column list the values stand for all columns, keys first. With one, the columns that are not
 * named are NULL; ROWTIME may be named too.
 */
#include "analyze/analyze_int.h"

#include "type/time_format.h"

struct insertion {
    const struct analyze_env *env;
    const struct ast_stmt *stmt;
    const struct source *source;
    struct arena *arena;
    struct err *err;
};

/* Target ------------------------------------------------------------------------------------------------- */

static bool find_target(struct insertion *in)
{
    struct str name = in->stmt->name;
    in->source = catalog_source(in->env->catalog, name);
    if (in->source == NULL) {
        const char *prefix = "Cannot insert values into an unknown stream/table: `";
        return refuse_unknown_source(in->env, name, prefix, "`", in->err);
    }
    const char *kind = in->source->kind == SOURCE_STREAM ? "stream" : "table";
    if (in->source->read_only)
        return deny(in->err, "Cannot insert values into read-only %s: %.*s", kind, STR_ARG(name));
    if (in->source->window_kind != WINDOW_NONE)
        return deny(in->err, "Cannot insert values into windowed stream/table!");
    if (!session_flag(in->env, "ksql.insert.into.values.enabled", true))
        return deny(
            in->err,
            "The server has disabled INSERT INTO ... VALUES functionality. To enable it, restart your KSQL "
            "server with 'ksql.insert.into.values.enabled'=true");
    return true;
}

/* Columns ------------------------------------------------------------------------------------------------ */

enum { COLUMN_IS_ROWTIME = -2 };

/* Index of the column, COLUMN_IS_ROWTIME, or -1 with *err set. */
static int find_column(struct insertion *in, struct str name)
{
    if (str_eq_cstr(name, "ROWTIME"))
        return COLUMN_IS_ROWTIME;
    if (is_reserved_name(name)) {
        deny(in->err, "Inserting into column `%.*s` is not allowed.", STR_ARG(name));
        return -1;
    }
    int column = schema_find(in->source->schema, name);
    if (column < 0)
        deny(in->err, "Column name `%.*s` does not exist.", STR_ARG(name));
    return column;
}

/* columns[i] is where value i goes. */
static bool read_columns(struct insertion *in, int *columns)
{
    const struct ast_stmt *stmt = in->stmt;
    const struct schema *schema = in->source->schema;
    if (stmt->insert_column_count == 0) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < schema->column_count; i++)
            if (schema->columns[i].role != COLUMN_HEADERS && count < stmt->value_count)
                columns[count++] = (int)i;
            else if (schema->columns[i].role != COLUMN_HEADERS)
                count++;
        if (count != stmt->value_count)
            return deny(in->err, "Expected a value for each column. Expected Columns: %s. Got %u values",
                        text_of_columns(schema->columns, schema->column_count, in->arena), stmt->value_count);
        return true;
    }
    if (stmt->insert_column_count != stmt->value_count)
        return deny(in->err, "Expected number columns and values to match: %u columns, %u values",
                    stmt->insert_column_count, stmt->value_count);
    struct buf headers = {0};
    for (uint32_t i = 0; i < stmt->value_count; i++) {
        columns[i] = find_column(in, stmt->insert_columns[i]);
        if (columns[i] == -1)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (columns[k] == columns[i])
                return deny(in->err, "Duplicate column: `%.*s`", STR_ARG(stmt->insert_columns[i]));
        if (columns[i] >= 0 && schema->columns[columns[i]].role == COLUMN_HEADERS)
            buf_printf(&headers, "%s%.*s", headers.len ? ", " : "", STR_ARG(stmt->insert_columns[i]));
    }
    bool ok = headers.len == 0 || deny(in->err, "Cannot insert into HEADER columns: %s", headers.ptr);
    buf_fini(&headers);
    return ok;
}

static bool check_keys(struct insertion *in, const int *columns)
{
    const struct schema *schema = in->source->schema;
    if (in->source->kind != SOURCE_TABLE)
        return true;
    for (uint32_t key = 0; key < schema->key_count; key++) {
        bool given = false;
        for (uint32_t i = 0; i < in->stmt->value_count; i++)
            given |= columns[i] == (int)key;
        if (!given)
            return deny(
                in->err,
                "Failed to insert values into '%.*s'. Value for primary key column(s) %s is required for "
                "tables",
                STR_ARG(in->source->name), text_of_columns(schema->columns, schema->key_count, in->arena));
    }
    return true;
}

/* Values ------------------------------------------------------------------------------------------------- */

static bool no_column(void *state, struct str qualifier, struct str name, struct sql_place place,
                      uint32_t *index, const struct sql_type **type, struct err *err)
{
    if (!str_is_null(qualifier))
        return deny(err, "Failed to prepare statement: '%.*s' is not a valid stream/table name or alias.",
                    STR_ARG(qualifier));
    return deny(
        err, "Failed to prepare statement: Line: %d, Col: %d: INSERT VALUES cannot reference columns: `%.*s`",
        place.line, place.column, STR_ARG(name));
}

static const struct sql_type *custom_type(void *state, struct str name, struct arena *arena, struct err *err)
{
    const struct insertion *in = state;
    const struct sql_type *type = catalog_type(in->env->catalog, name);
    if (type == NULL)
        deny(err, "Cannot resolve unknown type: %.*s", STR_ARG(name));
    return type ? type_dup(type, arena) : NULL;
}

static const struct expr *checked_value(struct insertion *in, const struct ast_expr *ast,
                                        const struct sql_type *type)
{
    struct expr_scope scope = {.column = no_column, .type_name = custom_type, .state = in};
    return type ? expr_check_as(ast, type, &scope, in->arena, in->err)
                : expr_check(ast, &scope, in->arena, in->err);
}

static bool read_value(struct insertion *in, uint32_t i, const struct column *column, struct value *out)
{
    const struct expr *expr = checked_value(in, in->stmt->values[i], column->type);
    if (expr != NULL && expr_eval_constant(expr, in->env->func_settings, out, in->arena, in->err))
        return true;
    if (in->err != NULL && !str_starts_with(str_from(in->err->text), STR("Failed to prepare")))
        err_context(in->err, "Failed to insert values into '%.*s'", STR_ARG(in->source->name));
    return false;
}

/* ROWTIME: a number, or text as in comparisons. */
static bool read_rowtime(struct insertion *in, uint32_t i, int64_t *out)
{
    const struct ast_expr *ast = in->stmt->values[i];
    if (ast->kind == AST_STRING)
        return time_parse_timestamp(ast->text, out, in->err);
    struct value value;
    const struct expr *expr = checked_value(in, ast, &type_bigint);
    if (expr == NULL || !expr_eval_constant(expr, in->env->func_settings, &value, in->arena, in->err))
        return false;
    if (value_is_null(value) || value.l < 0)
        return deny(
            in->err,
            "Failed to insert values into '%.*s'. ROWTIME must be a time since 1970, not negative and not "
            "NULL",
            STR_ARG(in->source->name));
    *out = value.l;
    return true;
}

bool analyze_insert_values(const struct analyze_env *env, const struct ast_stmt *stmt,
                           const struct source **source, struct value *values, int64_t *rowtime_ms,
                           struct arena *arena, struct err *err)
{
    ASSERT(stmt->kind == STMT_INSERT_VALUES);
    struct insertion in = {.env = env, .stmt = stmt, .arena = arena, .err = err};
    *rowtime_ms = -1;
    int *columns = arena_array(arena, int, stmt->value_count);
    if (!find_target(&in) || !read_columns(&in, columns) || !check_keys(&in, columns))
        return false;
    const struct schema *schema = in.source->schema;
    for (uint32_t i = 0; i < schema->column_count; i++)
        values[i] = VALUE_NULL;
    for (uint32_t i = 0; i < stmt->value_count; i++) {
        bool ok = columns[i] == COLUMN_IS_ROWTIME
                      ? read_rowtime(&in, i, rowtime_ms)
                      : read_value(&in, i, &schema->columns[columns[i]], &values[columns[i]]);
        if (!ok)
            return false;
    }
    *source = in.source;
    return true;
}
