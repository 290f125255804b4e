/* table.c - tables as they are in the database, made and widened where the options allow it. */
#include "connector/pg_sink/pg_sink_int.h"

void append_identifier(const struct pg_sink *sink, struct str name, struct buf *out)
{
    if (sink->never_quote) {
        buf_append_str(out, name);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"')
            buf_append_char(out, '"');
        buf_append_char(out, name.ptr[i]);
    }
    buf_append_char(out, '"');
}

/* table.name.format with the topic in it; the parts around dots are schema and table. */
struct str table_name_of(const struct pg_sink *sink, struct str topic, struct arena *arena)
{
    static const struct str mark = STR_INIT("${topic}");
    struct buf name = {0}, quoted = {0};
    struct str rest = sink->settings->table_format, part;
    for (ptrdiff_t at; (at = str_find(rest, mark)) >= 0;
         rest = str_sub(rest, (size_t)at + mark.len, SIZE_MAX)) {
        buf_append_str(&name, str_sub(rest, 0, (size_t)at));
        buf_append_str(&name, topic);
    }
    buf_append_str(&name, rest);
    for (rest = buf_str(&name); str_split(&rest, '.', &part);) {
        if (quoted.len != 0)
            buf_append_char(&quoted, '.');
        append_identifier(sink, part, &quoted);
    }
    struct str result = str_dup(buf_str(&quoted), arena);
    buf_fini(&name);
    buf_fini(&quoted);
    return result;
}

/* Reading ------------------------------------------------------------------------------------------------ */

static bool read_columns(struct pg_sink *sink, struct pg_table *table, struct err *err)
{
    static const char sql[] =
        "SELECT a.attname, format_type(a.atttypid, -1), t.typname, t.typcategory = 'A' AND t.typlen = -1 "
        "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    const char *params[] = {table->name.ptr};
    struct arena *arena = &sink->tables_arena;
    PGresult *result;
    if (!pg_run(&sink->conn, sql, 1, params, &result, err)) {
        err_context(err, "table %.*s", STR_ARG(table->name));
        return false;
    }
    table->column_count = (size_t)PQntuples(result);
    table->exists = table->column_count != 0;
    table->columns = arena_array(arena, struct pg_column, table->column_count);
    for (int i = 0; i < PQntuples(result); i++)
        table->columns[i] = (struct pg_column){
            .name = str_dup(str_from(PQgetvalue(result, i, 0)), arena),
            .type = str_dup(str_from(PQgetvalue(result, i, 1)), arena),
            .type_name = str_dup(str_from(PQgetvalue(result, i, 2)), arena),
            .is_array = PQgetvalue(result, i, 3)[0] == 't',
        };
    PQclear(result);
    return true;
}

struct pg_table *table_get(struct pg_sink *sink, struct str name, struct err *err)
{
    struct pg_table *table = map_get(&sink->tables, name);
    if (table != NULL)
        return table;
    table = arena_new(&sink->tables_arena, struct pg_table);
    table->name = str_dup(name, &sink->tables_arena);
    if (!read_columns(sink, table, err))
        return NULL;
    map_put(&sink->tables, name, table);
    return table;
}

void table_forget_all(struct pg_sink *sink)
{
    map_clear(&sink->tables);
    arena_reset(&sink->tables_arena);
}

static const struct pg_column *find_column(const struct pg_table *table, struct str name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (str_eq(table->columns[i].name, name))
            return &table->columns[i];
    for (size_t i = 0; i < table->column_count; i++)
        if (str_eq_nocase(table->columns[i].name, name))
            return &table->columns[i];
    return NULL;
}

/* Making ------------------------------------------------------------------------------------------------- */

static const char *type_for(const struct connect_type *type)
{
    if (type->json)
        return "JSONB";
    switch (type->type->kind) {
    case SQL_BOOLEAN:
        return "BOOLEAN";
    case SQL_INTEGER:
        return type->bits == 8 || type->bits == 16 ? "SMALLINT" : "INT";
    case SQL_BIGINT:
        return "BIGINT";
    case SQL_DOUBLE:
        return type->bits == 32 ? "REAL" : "DOUBLE PRECISION";
    case SQL_DECIMAL:
        return "DECIMAL";
    case SQL_BYTES:
        return "BYTEA";
    case SQL_DATE:
        return "DATE";
    case SQL_TIME:
        return "TIME";
    case SQL_TIMESTAMP:
        return "TIMESTAMP";
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT:
        return "JSONB";
    default:
        return "TEXT";
    }
}

/* Arrays of plain values are arrays of PostgreSQL. */
static void append_type(const struct connect_type *type, struct buf *out)
{
    if (type->type->kind == SQL_ARRAY && type->type->elem->kind < SQL_ARRAY) {
        struct connect_type elem = {.type = type->type->elem};
        buf_printf(out, "%s[]", type_for(&elem));
    } else {
        buf_append_cstr(out, type_for(type));
    }
}

/* A literal for DEFAULT: only of plain values. */
static void append_default(const struct connect_type *type, struct buf *out)
{
    if (value_is_null(type->default_value) || type->type->kind >= SQL_ARRAY || type->type->kind == SQL_BYTES)
        return;
    struct buf text = {0};
    value_print(type->default_value, type->type, &text);
    buf_append_cstr(out, " DEFAULT '");
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            buf_append_char(out, '\'');
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '\'');
    buf_fini(&text);
}

static void append_definition(const struct pg_sink *sink, const struct pg_target_column *column,
                              struct buf *out)
{
    append_identifier(sink, column->name, out);
    buf_append_char(out, ' ');
    append_type(&column->type, out);
    append_default(&column->type, out);
    buf_append_cstr(out, column->is_pk || !column->type.optional ? " NOT NULL" : " NULL");
}

/* Another task may have done the same just now: that is no failure. */
static bool run_definition(struct pg_sink *sink, const struct buf *sql, struct err *err)
{
    if (pg_run(&sink->conn, sql->ptr, 0, NULL, NULL, err))
        return true;
    return strstr(err->text, "SQLSTATE 42P07") != NULL || strstr(err->text, "SQLSTATE 42701") != NULL ||
           strstr(err->text, "SQLSTATE 23505") != NULL;
}

static bool create_table(struct pg_sink *sink, struct pg_table *table, const struct pg_target_column *columns,
                         size_t count, struct err *err)
{
    struct buf sql = {0}, keys = {0};
    buf_printf(&sql, "CREATE TABLE %.*s (", STR_ARG(table->name));
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        if (columns[i].type.type == &type_null)
            continue; /* its type shows when a value comes */
        if (made++ != 0)
            buf_append_cstr(&sql, ", ");
        append_definition(sink, &columns[i], &sql);
        if (columns[i].is_pk) {
            buf_append_cstr(&keys, keys.len != 0 ? ", " : "");
            append_identifier(sink, columns[i].name, &keys);
        }
    }
    if (keys.len != 0)
        buf_printf(&sql, ", PRIMARY KEY (%s)", keys.ptr);
    buf_append_char(&sql, ')');
    bool done = run_definition(sink, &sql, err);
    if (done)
        log_info("pg_sink", "table_created", "connector=%.*s table=%.*s",
                 STR_ARG(connect_task_connector(sink->task)), STR_ARG(table->name));
    else
        err_context(err, "auto.create of table %.*s", STR_ARG(table->name));
    buf_fini(&sql);
    buf_fini(&keys);
    return done;
}

static bool add_columns(struct pg_sink *sink, struct pg_table *table, const struct pg_target_column *columns,
                        size_t count, struct err *err)
{
    struct buf sql = {0};
    bool done = true;
    buf_printf(&sql, "ALTER TABLE %.*s", STR_ARG(table->name));
    const char *comma = " ";
    for (size_t i = 0; i < count && done; i++) {
        if (columns[i].type.type == &type_null || find_column(table, columns[i].name) != NULL)
            continue;
        if (!columns[i].type.optional && value_is_null(columns[i].type.default_value))
            done = err_set(err, ERR_INVALID_RECORD,
                           "Cannot ALTER TABLE %.*s to add missing field %.*s, as the field is not optional "
                           "and does not have a default value",
                           STR_ARG(table->name), STR_ARG(columns[i].name));
        buf_printf(&sql, "%sADD ", comma);
        append_definition(sink, &columns[i], &sql);
        comma = ", ";
    }
    done = done && run_definition(sink, &sql, err);
    if (done)
        log_info("pg_sink", "table_widened", "connector=%.*s table=%.*s",
                 STR_ARG(connect_task_connector(sink->task)), STR_ARG(table->name));
    else
        err_context(err, "auto.evolve of table %.*s", STR_ARG(table->name));
    buf_fini(&sql);
    return done;
}

static size_t missing_columns(const struct pg_table *table, const struct pg_target_column *columns,
                              size_t count, struct buf *names)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        if (columns[i].type.type != &type_null && find_column(table, columns[i].name) == NULL) {
            buf_printf(names, "%s%.*s", missing++ != 0 ? ", " : "", STR_ARG(columns[i].name));
        }
    return missing;
}

bool table_fit(struct pg_sink *sink, struct pg_table *table, struct pg_target_column *columns, size_t count,
               struct err *err)
{
    const struct pg_settings *settings = sink->settings;
    if (!table->exists) {
        if (!settings->auto_create)
            return err_set(err, ERR_STATEMENT,
                           "table %.*s does not exist; create it, or set auto.create=true",
                           STR_ARG(table->name));
        if (!create_table(sink, table, columns, count, err) || !read_columns(sink, table, err))
            return false;
    }
    struct buf names = {0};
    bool done = true;
    if (missing_columns(table, columns, count, &names) != 0) {
        done =
            settings->auto_evolve ||
            err_set(err, ERR_INVALID_RECORD,
                    "Table %.*s is missing fields (%s) and auto-evolution is disabled; add the columns, or "
                    "set auto.evolve=true",
                    STR_ARG(table->name), names.ptr);
        done = done && add_columns(sink, table, columns, count, err) && read_columns(sink, table, err);
    }
    buf_fini(&names);
    for (size_t i = 0; i < count && done; i++)
        columns[i].column = find_column(table, columns[i].name);
    return done;
}
