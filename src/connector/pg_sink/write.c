/* write.c - records to statements: shapes, rows, runs; a failing batch is halved until the bad record is alone.
 *
 *   record --shape of (topic, key schema, value schema)--> row: one array element a column
 *   rows of one statement --run--> INSERT INTO t SELECT ... FROM unnest($1::type[], ...)      one parameter a column
 *   runs + positions --> one pipeline = one transaction
 *   data error --> BEGIN; SAVEPOINT, halves, ROLLBACK TO; the bad record is reported; COMMIT
 *
 * unnest of arrays is one prepared statement whatever the number of rows, one round trip, and takes ON CONFLICT; COPY
 * needs a temporary table and a second statement for that.
 *
 * (W1) Rows go in the order of the records. Upsert, update and delete keep the last row of a key in a run; when the
 *      batch is halved they do not, since the last one may be the bad one: then a repeated key begins a new run.
 * (W2) Tables are made and widened before, outside the transaction.
 */
#include "connector/pg_sink/pg_sink_int.h"

struct shape {
    struct str topic;
    const struct connect_schema *key, *value;
    struct pg_table *table;
    struct pg_target_column *columns;
    size_t column_count, pk_count;
    bool is_delete;
    struct err refused;            /* records of this shape cannot be written; ERR_NONE otherwise */
    struct pg_statement statement; /* sql and count */
};

struct row {
    uint32_t record;
    struct shape *shape;
    size_t *ends; /* of each column's element in write->cells; the first begins at `start` */
    size_t start;
    bool superseded;
};

struct run {
    struct shape *shape;
    size_t from, to; /* rows */
};

struct write {
    struct pg_sink *sink;
    const struct sink_record *records;
    vec(struct shape *) shapes;
    vec(struct row) rows;
    vec(struct run) runs;
    struct buf cells;
    struct arena *arena;
};

/* Shapes ------------------------------------------------------------------------------------------------- */

static bool same_name(const struct pg_sink *sink, struct str a, struct str b)
{
    return sink->never_quote ? str_eq_nocase(a, b) : str_eq(a, b);
}

static struct pg_target_column *column_named(const struct pg_sink *sink, struct shape *shape, struct str name)
{
    for (size_t i = 0; i < shape->column_count; i++)
        if (same_name(sink, shape->columns[i].name, name))
            return &shape->columns[i];
    return NULL;
}

static void add_column(struct pg_sink *sink, struct shape *shape, struct str name,
                       const struct connect_type *type, bool is_pk, enum pg_from from, uint32_t field)
{
    struct pg_target_column *column = column_named(sink, shape, name);
    if (column != NULL && column->from == FROM_VALUE && from == FROM_VALUE) {
        column->field = field; /* a member that is there twice: the last counts */
        return;
    }
    if (column != NULL)
        return; /* the key's field wins */
    shape->columns[shape->column_count++] =
        (struct pg_target_column){.name = name, .type = *type, .is_pk = is_pk, .from = from, .field = field};
    shape->pk_count += is_pk;
}

static bool is_listed(const struct pg_sink *sink, const struct conf_list *list, struct str name)
{
    for (size_t i = 0; i < list->len; i++)
        if (same_name(sink, list->at[i], name))
            return true;
    return false;
}

static void add_kafka_key(struct pg_sink *sink, struct shape *shape)
{
    static const struct connect_type text = {.type = &type_string},
                                     integer = {.type = &type_integer, .bits = 32},
                                     bigint = {.type = &type_bigint, .bits = 64};
    static const struct str names[] = {STR_INIT("__connect_topic"), STR_INIT("__connect_partition"),
                                       STR_INIT("__connect_offset")};
    const struct str *name = sink->settings->pk_fields.len == 3 ? sink->settings->pk_fields.at : names;
    add_column(sink, shape, name[0], &text, true, FROM_TOPIC, 0);
    add_column(sink, shape, name[1], &integer, true, FROM_PARTITION, 0);
    add_column(sink, shape, name[2], &bigint, true, FROM_OFFSET, 0);
}

/* The fields of the record's key or value that make the primary key. */
static bool add_record_key(struct pg_sink *sink, struct shape *shape, const struct connect_schema *schema,
                           enum pg_from from)
{
    const struct conf_list *fields = &sink->settings->pk_fields;
    const char *what = from == FROM_KEY ? "key" : "value";
    if (schema == NULL)
        return err_set(&shape->refused, ERR_INVALID_RECORD,
                       "pk.mode=record_%s needs records with a %s, and this one has none", what, what);
    if (!schema->is_struct) {
        if (from == FROM_VALUE || fields->len != 1)
            return err_set(&shape->refused, ERR_INVALID_RECORD,
                           "the record's %s is a bare value: pk.fields must be exactly one name (and pk.mode "
                           "record_key)",
                           what);
        add_column(sink, shape, fields->at[0], &schema->fields[0].type, true, from, 0);
        return true;
    }
    for (size_t k = 0; k < fields->len; k++) {
        uint32_t i = 0;
        while (i < schema->field_count && !same_name(sink, schema->fields[i].name, fields->at[k]))
            i++;
        if (i == schema->field_count)
            return err_set(&shape->refused, ERR_INVALID_RECORD,
                           "pk.fields names %.*s, which the record's %s does not have",
                           STR_ARG(fields->at[k]), what);
        add_column(sink, shape, fields->at[k], &schema->fields[i].type, true, from, i);
    }
    for (uint32_t i = 0; i < schema->field_count && fields->len == 0; i++)
        add_column(sink, shape, schema->fields[i].name, &schema->fields[i].type, true, from, i);
    return true;
}

static bool add_key(struct pg_sink *sink, struct shape *shape)
{
    switch ((enum pk_mode)sink->settings->pk_mode) {
    case PK_NONE:
        return true;
    case PK_KAFKA:
        add_kafka_key(sink, shape);
        return true;
    case PK_RECORD_KEY:
        return add_record_key(sink, shape, shape->key, FROM_KEY);
    case PK_RECORD_VALUE:
        return add_record_key(sink, shape, shape->value, FROM_VALUE);
    }
    UNREACHABLE();
}

static bool add_values(struct pg_sink *sink, struct shape *shape)
{
    const struct pg_settings *settings = sink->settings;
    const struct connect_schema *schema = shape->value;
    if (!schema->is_struct) {
        if (schema->fields[0].type.type->kind != SQL_STRING || schema->fields[0].type.json)
            return err_set(
                &shape->refused, ERR_INVALID_RECORD,
                "the record's value is neither a struct nor a text, so there are no columns for it");
        add_column(sink, shape, settings->value_column, &schema->fields[0].type, false, FROM_VALUE, 0);
        return true;
    }
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (settings->whitelist.len == 0 || is_listed(sink, &settings->whitelist, schema->fields[i].name))
            add_column(sink, shape, schema->fields[i].name, &schema->fields[i].type, false, FROM_VALUE, i);
    return shape->column_count != 0 ||
           err_set(&shape->refused, ERR_INVALID_RECORD, "the record has no fields to write");
}

static void fill_shape(struct pg_sink *sink, struct shape *shape, struct arena *arena)
{
    const struct pg_settings *settings = sink->settings;
    size_t most = 3 + (shape->key != NULL ? shape->key->field_count : 0) +
                  (shape->value != NULL ? shape->value->field_count : 0) + settings->pk_fields.len;
    shape->columns = arena_array(arena, struct pg_target_column, most);
    if (shape->value != NULL) {
        if (add_key(sink, shape))
            add_values(sink, shape);
        return;
    }
    shape->is_delete = true;
    if (!settings->delete_enabled)
        err_set(
            &shape->refused, ERR_INVALID_RECORD,
            "Sink connector '%.*s' is configured with 'delete.enabled=false' and therefore requires records "
            "with a non-null value, but found a record with a null value",
            STR_ARG(connect_task_connector(sink->task)));
    else
        add_key(sink, shape);
}

static struct shape *shape_of(struct write *write, const struct sink_record *rec)
{
    for (size_t i = write->shapes.len; i-- > 0;) {
        struct shape *shape = write->shapes.at[i];
        if (shape->key == rec->key.schema && shape->value == rec->value.schema &&
            str_eq(shape->topic, rec->topic))
            return shape;
    }
    struct shape *shape = arena_new(write->arena, struct shape);
    shape->topic = rec->topic;
    shape->key = rec->key.schema;
    shape->value = rec->value.schema;
    fill_shape(write->sink, shape, write->arena);
    vec_push(&write->shapes, shape);
    return shape;
}

/* Guessed types of one field over all shapes of a table: what was null here may show there, and DOUBLE holds integers. */
static void widen(struct write *write, struct shape *shape)
{
    for (size_t i = 0; i < shape->column_count; i++) {
        struct connect_type *type = &shape->columns[i].type;
        for (size_t k = 0; k < write->shapes.len; k++) {
            struct shape *other = write->shapes.at[k];
            struct pg_target_column *column = str_eq(other->topic, shape->topic)
                                                  ? column_named(write->sink, other, shape->columns[i].name)
                                                  : NULL;
            if (column == NULL)
                continue;
            if (type->type == &type_null || (type->type == &type_bigint && column->type.type == &type_double))
                *type = column->type;
        }
    }
}

/* SQL ---------------------------------------------------------------------------------------------------- */

/* The column as it is called in the table. */
static void append_column(const struct pg_target_column *column, struct buf *sql)
{
    buf_append_char(sql, '"');
    for (size_t i = 0; i < column->column->name.len; i++) {
        if (column->column->name.ptr[i] == '"')
            buf_append_char(sql, '"');
        buf_append_char(sql, column->column->name.ptr[i]);
    }
    buf_append_char(sql, '"');
}

static void append_source_value(const struct pg_target_column *column, size_t i, struct buf *sql)
{
    buf_printf(sql, "u.c%zu", i);
    if (column->column->is_array)
        buf_printf(sql, "::%.*s", STR_ARG(column->column->type));
}

/* unnest($1::type[], ...) AS u(c0, ...): arrays of arrays cannot be unnested, so they come as texts. */
static void append_unnest(const struct shape *shape, struct buf *sql)
{
    buf_append_cstr(sql, "unnest(");
    for (size_t i = 0; i < shape->column_count; i++) {
        const struct pg_column *column = shape->columns[i].column;
        struct str type = column->is_array ? STR("text") : column->type;
        buf_printf(sql, "%s$%zu::%.*s[]", i != 0 ? ", " : "", i + 1, STR_ARG(type));
    }
    buf_append_cstr(sql, ") AS u(");
    for (size_t i = 0; i < shape->column_count; i++)
        buf_printf(sql, "%sc%zu", i != 0 ? ", " : "", i);
    buf_append_char(sql, ')');
}

static void append_conflict(const struct shape *shape, struct buf *sql)
{
    const char *comma = "";
    buf_append_cstr(sql, " ON CONFLICT (");
    for (size_t i = 0; i < shape->column_count; i++)
        if (shape->columns[i].is_pk) {
            buf_append_cstr(sql, comma);
            append_column(&shape->columns[i], sql);
            comma = ", ";
        }
    buf_append_cstr(sql, shape->pk_count == shape->column_count ? ") DO NOTHING" : ") DO UPDATE SET ");
    comma = "";
    for (size_t i = 0; i < shape->column_count; i++)
        if (!shape->columns[i].is_pk) {
            buf_append_cstr(sql, comma);
            append_column(&shape->columns[i], sql);
            buf_append_cstr(sql, " = EXCLUDED.");
            append_column(&shape->columns[i], sql);
            comma = ", ";
        }
}

static void append_insert(const struct pg_sink *sink, const struct shape *shape, struct buf *sql)
{
    buf_printf(sql, "INSERT INTO %.*s (", STR_ARG(shape->table->name));
    for (size_t i = 0; i < shape->column_count; i++) {
        buf_append_cstr(sql, i != 0 ? ", " : "");
        append_column(&shape->columns[i], sql);
    }
    buf_append_cstr(sql, ") SELECT ");
    for (size_t i = 0; i < shape->column_count; i++) {
        buf_append_cstr(sql, i != 0 ? ", " : "");
        append_source_value(&shape->columns[i], i, sql);
    }
    buf_append_cstr(sql, " FROM ");
    append_unnest(shape, sql);
    if (sink->settings->insert_mode == INSERT_UPSERT)
        append_conflict(shape, sql);
}

static void append_pk_condition(const struct shape *shape, struct buf *sql)
{
    const char *and = " WHERE ";
    for (size_t i = 0; i < shape->column_count; i++)
        if (shape->columns[i].is_pk) {
            buf_printf(sql, "%st.", and);
            append_column(&shape->columns[i], sql);
            buf_append_cstr(sql, " = ");
            append_source_value(&shape->columns[i], i, sql);
            and = " AND ";
        }
}

static void append_update(const struct shape *shape, struct buf *sql)
{
    const char *comma = "";
    buf_printf(sql, "UPDATE %.*s AS t SET ", STR_ARG(shape->table->name));
    for (size_t i = 0; i < shape->column_count; i++)
        if (!shape->columns[i].is_pk) {
            buf_append_cstr(sql, comma);
            append_column(&shape->columns[i], sql);
            buf_append_cstr(sql, " = ");
            append_source_value(&shape->columns[i], i, sql);
            comma = ", ";
        }
    buf_append_cstr(sql, " FROM ");
    append_unnest(shape, sql);
    append_pk_condition(shape, sql);
}

static void make_statement(const struct pg_sink *sink, struct shape *shape, struct arena *arena)
{
    struct buf sql = {0};
    if (shape->is_delete) {
        buf_printf(&sql, "DELETE FROM %.*s AS t USING ", STR_ARG(shape->table->name));
        append_unnest(shape, &sql);
        append_pk_condition(shape, &sql);
    } else if (sink->settings->insert_mode == INSERT_UPDATE) {
        append_update(shape, &sql);
    } else {
        append_insert(sink, shape, &sql);
    }
    shape->statement = (struct pg_statement){str_dup(buf_str(&sql), arena), (int)shape->column_count, NULL};
    buf_fini(&sql);
}

/* Columns that are nowhere (only nulls were seen) are left out. */
static void drop_unknown(struct shape *shape)
{
    size_t kept = 0;
    for (size_t i = 0; i < shape->column_count; i++)
        if (shape->columns[i].column != NULL)
            shape->columns[kept++] = shape->columns[i];
    shape->column_count = kept;
}

static bool prepare_shape(struct write *write, struct shape *shape, struct err *err)
{
    struct pg_sink *sink = write->sink;
    if (shape->refused.code != ERR_NONE)
        return true;
    widen(write, shape);
    shape->table = table_get(sink, table_name_of(sink, shape->topic, write->arena), err);
    if (shape->table == NULL)
        return false;
    if (shape->is_delete && !shape->table->exists) { /* nothing to delete from */
        shape->column_count = 0;
        return true;
    }
    if (!table_fit(sink, shape->table, shape->columns, shape->column_count, err)) {
        /* Records with fields that the table has no column for are bad records, not a bad table. */
        shape->refused = *err;
        return err->code == ERR_INVALID_RECORD;
    }
    drop_unknown(shape);
    if (shape->column_count == 0)
        err_set(&shape->refused, ERR_INVALID_RECORD, "the record holds nothing but nulls of unknown type");
    else
        make_statement(sink, shape, write->arena);
    return true;
}

/* Rows --------------------------------------------------------------------------------------------------- */

static struct value value_of(const struct sink_record *rec, const struct pg_target_column *column)
{
    switch ((enum pg_from)column->from) {
    case FROM_KEY:
        return rec->key.values[column->field];
    case FROM_VALUE:
        return rec->value.values[column->field];
    case FROM_TOPIC:
        return value_str(rec->topic);
    case FROM_PARTITION:
        return value_int(rec->partition);
    case FROM_OFFSET:
        return value_bigint(rec->offset);
    }
    UNREACHABLE();
}

/* Adds the record's row; false: the task must fail. */
static bool add_row(struct write *write, uint32_t i, struct shape *shape, struct err *err)
{
    const struct sink_record *rec = &write->records[i];
    struct row row = {.record = i, .shape = shape, .start = write->cells.len};
    struct err cause = shape->refused;
    bool good = cause.code == ERR_NONE;
    row.ends = arena_array(write->arena, size_t, shape->column_count);
    for (size_t c = 0; c < shape->column_count && good; c++) {
        good = append_element(write->sink, value_of(rec, &shape->columns[c]), &shape->columns[c].type,
                              shape->columns[c].column, &write->cells, &cause);
        row.ends[c] = write->cells.len;
    }
    if (!good)
        return connect_task_report(write->sink->task, i, &cause, err);
    if (shape->column_count != 0)
        vec_push(&write->rows, row);
    return true;
}

static struct str cell(const struct write *write, const struct row *row, size_t c)
{
    size_t from = c == 0 ? row->start : row->ends[c - 1];
    return str_of(write->cells.ptr + from, row->ends[c] - from);
}

static struct str key_of(const struct write *write, const struct row *row, struct buf *out)
{
    buf_clear(out);
    for (size_t c = 0; c < row->shape->column_count; c++)
        if (row->shape->columns[c].is_pk) {
            buf_append_str(out, cell(write, row, c));
            buf_append_char(out, '\0');
        }
    return buf_str(out);
}

/* Runs --------------------------------------------------------------------------------------------------- */

static bool same_statement(const struct shape *a, const struct shape *b)
{
    return a == b || (a->table == b->table && a->is_delete == b->is_delete &&
                      str_eq(a->statement.sql, b->statement.sql));
}

static bool keys_are_unique(const struct write *write, const struct shape *shape)
{
    return shape->is_delete || write->sink->settings->insert_mode != INSERT_INSERT;
}

/* Cuts the rows into runs (W1). */
static void make_runs(struct write *write, bool keep_all)
{
    struct map last = {0}; /* key -> its row in the run, plus one */
    struct buf key = {0};
    vec_clear(&write->runs);
    for (size_t i = 0; i < write->rows.len; i++) {
        struct row *row = &write->rows.at[i];
        row->superseded = false;
        bool unique = keys_are_unique(write, row->shape);
        struct str text = unique ? key_of(write, row, &key) : STR("");
        bool same = write->runs.len != 0 && same_statement(vec_last(&write->runs).shape, row->shape);
        size_t older = same && unique ? (size_t)(uintptr_t)map_get(&last, text) : 0;
        if (older != 0 && !keep_all)
            write->rows.at[older - 1].superseded = true;
        if (!same || (older != 0 && keep_all)) {
            vec_push(&write->runs, (struct run){row->shape, i, i});
            map_clear(&last);
        }
        vec_last(&write->runs).to = i + 1;
        if (unique)
            map_put(&last, text, (void *)(uintptr_t)(i + 1));
    }
    map_fini(&last);
    buf_fini(&key);
}

/* The statement for rows [from, to) of a run. */
static struct pg_statement statement_for(struct write *write, const struct shape *shape, size_t from,
                                         size_t to)
{
    struct pg_statement statement = shape->statement;
    struct buf text = {0};
    statement.params = arena_array(write->arena, const char *, shape->column_count);
    for (size_t c = 0; c < shape->column_count; c++) {
        buf_clear(&text);
        buf_append_char(&text, '{');
        for (size_t i = from; i < to; i++) {
            if (write->rows.at[i].superseded)
                continue;
            if (text.len > 1)
                buf_append_char(&text, ',');
            buf_append_str(&text, cell(write, &write->rows.at[i], c));
        }
        buf_append_char(&text, '}');
        statement.params[c] = str_dup(buf_str(&text), write->arena).ptr;
    }
    buf_fini(&text);
    return statement;
}

static bool run_fast(struct write *write, const struct sink_position *positions, size_t position_count,
                     struct err *err)
{
    vec(struct pg_statement) statements = {0};
    size_t chunk = (size_t)write->sink->settings->batch_size;
    for (size_t r = 0; r < write->runs.len; r++) {
        const struct run *run = &write->runs.at[r];
        for (size_t from = run->from; from < run->to; from += chunk)
            vec_push(&statements, statement_for(write, run->shape, from, MIN(from + chunk, run->to)));
    }
    vec_push(&statements, offsets_statement(write->sink, positions, position_count, write->arena));
    bool done = pg_run_all(&write->sink->conn, statements.at, statements.len, err);
    vec_fini(&statements);
    return done;
}

/* Halving ------------------------------------------------------------------------------------------------ */

static bool halve(struct write *write, const struct shape *shape, size_t from, size_t to, struct err *err)
{
    struct pg_conn *conn = &write->sink->conn;
    struct pg_statement statement = statement_for(write, shape, from, to);
    struct err cause;
    if (!pg_run(conn, "SAVEPOINT rialto", 0, NULL, NULL, err))
        return false;
    if (pg_run_all(conn, &statement, 1, &cause))
        return pg_run(conn, "RELEASE SAVEPOINT rialto", 0, NULL, NULL, err);
    if (cause.code != ERR_INVALID_RECORD) {
        *err = cause;
        return false;
    }
    if (!pg_run(conn, "ROLLBACK TO SAVEPOINT rialto", 0, NULL, NULL, err) ||
        !pg_run(conn, "RELEASE SAVEPOINT rialto", 0, NULL, NULL, err))
        return false;
    if (to - from == 1)
        return connect_task_report(write->sink->task, write->rows.at[from].record, &cause, err);
    size_t middle = from + (to - from) / 2;
    return halve(write, shape, from, middle, err) && halve(write, shape, middle, to, err);
}

static bool run_halving(struct write *write, const struct sink_position *positions, size_t position_count,
                        struct err *err)
{
    struct pg_conn *conn = &write->sink->conn;
    struct pg_statement offsets = offsets_statement(write->sink, positions, position_count, write->arena);
    bool done = true;
    make_runs(write, true);
    if (!pg_prepare(conn, offsets.sql, offsets.count, err) || !pg_run(conn, "BEGIN", 0, NULL, NULL, err))
        return false;
    for (size_t r = 0; r < write->runs.len && done; r++)
        done = halve(write, write->runs.at[r].shape, write->runs.at[r].from, write->runs.at[r].to, err);
    done = done && pg_run_all(conn, &offsets, 1, err) && connect_task_settle(write->sink->task, err) &&
           pg_run(conn, "COMMIT", 0, NULL, NULL, err);
    if (!done && PQstatus(conn->pq) == CONNECTION_OK)
        pg_run(conn, "ROLLBACK", 0, NULL, NULL, &(struct err){0});
    return done;
}

static bool write_all(struct write *write, size_t count, const struct sink_position *positions,
                      size_t position_count, struct err *err)
{
    struct shape **of = arena_array(write->arena, struct shape *, count);
    for (size_t i = 0; i < count; i++)
        of[i] = shape_of(write, &write->records[i]);
    for (size_t i = 0; i < write->shapes.len; i++)
        if (!prepare_shape(write, write->shapes.at[i], err))
            return false;
    for (size_t i = 0; i < count; i++)
        if (!add_row(write, (uint32_t)i, of[i], err))
            return false;
    if (!connect_task_settle(write->sink->task, err))
        return false;
    make_runs(write, false);
    if (run_fast(write, positions, position_count, err))
        return true;
    return err->code == ERR_INVALID_RECORD && run_halving(write, positions, position_count, err);
}

bool write_records(struct pg_sink *sink, const struct sink_record *records, size_t count,
                   const struct sink_position *positions, size_t position_count, struct err *err)
{
    struct write write = {.sink = sink, .records = records, .arena = &sink->batch};
    arena_reset(&sink->batch);
    bool done = write_all(&write, count, positions, position_count, err);
    vec_fini(&write.shapes);
    vec_fini(&write.rows);
    vec_fini(&write.runs);
    buf_fini(&write.cells);
    return done;
}
