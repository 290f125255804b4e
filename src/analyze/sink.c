/* sink.c - what a persistent query writes: the new source of CREATE ... AS, or the present one of INSERT
 * INTO.
 *
 *   keys, then the other items in order  -->  schema
 *   topic, partitions, formats: WITH clause, else the left-most source's
 */
#include "analyze/analyze_int.h"

static const struct schema *result_schema(struct query_build *qb)
{
    struct schema *schema = arena_new(qb->arena, struct schema);
    struct column *columns = arena_array(qb->arena, struct column, qb->out->key_count + qb->items.len);
    schema->columns = columns;
    schema->key_count = qb->out->key_count;
    for (uint32_t i = 0; i < qb->out->key_count; i++) {
        const struct analysis_key *key = &qb->out->keys[i];
        columns[schema->column_count++] =
            (struct column){.name = key->name, .type = key->expr->type, .role = COLUMN_KEY};
    }
    for (size_t i = 0; i < qb->items.len; i++) {
        const struct analysis_item *item = &qb->items.at[i];
        if (item->key < 0)
            columns[schema->column_count++] =
                (struct column){.name = item->name, .type = item->expr->type, .role = COLUMN_VALUE};
    }
    return schema;
}

/* A NULL of no type cannot be a column. */
static bool check_types(struct query_build *qb, const struct schema *schema)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (schema->columns[i].type->kind == SQL_NULL)
            return deny(qb->err,
                        "The type of column `%.*s` cannot be told from NULL: use CAST(NULL AS type).",
                        STR_ARG(schema->columns[i].name));
    return true;
}

static const char *kind_words(enum source_kind kind)
{
    return kind == SOURCE_STREAM ? "STREAM" : "TABLE";
}

/* CREATE ... AS ------------------------------------------------------------------------------------------ */

static bool check_result_kind(struct query_build *qb)
{
    enum source_kind wanted = qb->stmt->kind == STMT_CREATE_STREAM_AS ? SOURCE_STREAM : SOURCE_TABLE;
    if (wanted == qb->out->result_kind)
        return true;
    return deny(
        qb->err,
        "Invalid result type. Your SELECT query produces a %s. Please use CREATE %s AS SELECT statement "
        "instead.",
        kind_words(qb->out->result_kind), kind_words(qb->out->result_kind));
}

static bool check_free_name(struct query_build *qb)
{
    const struct source *present = catalog_source(qb->env->catalog, qb->stmt->name);
    const char *kind = qb->out->result_kind == SOURCE_STREAM ? "stream" : "table";
    if (present == NULL)
        return true;
    const char *present_kind = present->kind == SOURCE_STREAM ? "stream" : "table";
    if (qb->stmt->or_replace && present->read_only)
        return deny(qb->err, "Cannot add %s '%.*s': CREATE OR REPLACE is not supported on source %ss.", kind,
                    STR_ARG(qb->stmt->name), present_kind);
    if (qb->stmt->or_replace && present->kind == qb->out->result_kind)
        return true;
    return err_set(qb->err, ERR_DUPLICATE_RESOURCE,
                   "Cannot add %s '%.*s': A %s with the same name already exists", kind,
                   STR_ARG(qb->stmt->name), present_kind);
}

static bool set_formats(struct query_build *qb, const struct with_props *props, struct source *proto)
{
    const struct source *first = qb->sources[0].source;
    const struct source_format *key_default = &first->key_format;
    struct source_format none = {.name = STR("NONE")};
    bool keyed = proto->schema->key_count > 0;
    if (keyed && str_eq_cstr(first->key_format.name, "NONE"))
        key_default = NULL;
    if (!keyed && qb->out->partition != NULL && qb->out->partition_count == 0) {
        if (!str_is_null(props->key_format) && !str_eq_nocase(props->key_format, none.name))
            return deny(qb->err, "Key format specified for stream without key columns.");
        key_default = &none;
    }
    return formats_resolve(qb->env, props, key_default, &first->value_format, &proto->key_format,
                           &proto->value_format, qb->arena, qb->err) &&
           formats_check(qb->env, props, proto->schema, &proto->key_format, &proto->value_format, qb->arena,
                         qb->err);
}

static bool set_topic(struct query_build *qb, const struct with_props *props, struct source *proto)
{
    const struct source *first = qb->sources[0].source;
    struct str prefix = session_property(qb->env, "ksql.output.topic.name.prefix");
    proto->topic = props->topic;
    if (str_is_null(proto->topic))
        proto->topic = str_printf(qb->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(proto->name));
    if (proto->topic.len == 0)
        return deny(qb->err, "Failed to prepare statement: Configuration KAFKA_TOPIC must not be empty.");
    int32_t present = qb->env->topic_partitions(qb->env->state, proto->topic);
    if (present >= 0 && props->partitions >= 0 && props->partitions != present)
        return deny(qb->err,
                    "A Kafka topic with the name '%.*s' already exists, with different partition/replica "
                    "configuration than "
                    "required. KSQL expects %lld partitions (topic has %d)",
                    STR_ARG(proto->topic), (long long)props->partitions, present);
    proto->partition_count = present >= 0             ? present
                             : props->partitions >= 0 ? (int32_t)props->partitions
                                                      : first->partition_count;
    proto->replicas = props->replicas > 0 ? (int16_t)props->replicas : first->replicas;
    proto->create_topic = present < 0;
    return true;
}

static bool set_retention(struct query_build *qb, const struct with_props *props, struct source *proto)
{
    struct analysis *out = qb->out;
    bool windowed = proto->window_kind != WINDOW_NONE;
    if (proto->kind == SOURCE_TABLE && !windowed && props->retention_ms >= 0)
        return deny(
            qb->err,
            "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support "
            "retention.");
    out->topic_compact = proto->kind == SOURCE_TABLE;
    out->topic_delete = proto->kind == SOURCE_STREAM || windowed;
    out->topic_retention_ms = props->retention_ms;
    if (out->window.kind != WINDOW_NONE)
        out->topic_retention_ms = MAX(out->window.retention_ms, props->retention_ms);
    proto->retention_ms = out->topic_retention_ms;
    return true;
}

/* Index of the item that a column of the result comes from. */
static int item_of_column(const struct query_build *qb, struct str name)
{
    for (size_t i = 0; i < qb->items.len; i++)
        if (str_eq(qb->items.at[i].name, name))
            return (int)i;
    return -1;
}

bool read_sink_properties(struct query_build *qb)
{
    if (qb->out->kind != ANALYSIS_PERSISTENT)
        return true;
    return with_read(qb->stmt, qb->out->insert ? WITH_INSERT : WITH_CREATE_AS, &qb->props, qb->arena,
                     qb->err);
}

bool check_sink_timestamp(struct query_build *qb)
{
    if (qb->out->kind != ANALYSIS_PERSISTENT || qb->out->insert)
        return true;
    struct column *columns = arena_array(qb->arena, struct column, qb->items.len);
    for (size_t i = 0; i < qb->items.len; i++)
        columns[i] = (struct column){.name = qb->items.at[i].name, .type = qb->items.at[i].expr->type};
    struct schema schema = {.columns = columns, .column_count = (uint32_t)qb->items.len};
    struct str column;
    return check_timestamp(&qb->props, &schema, &column, qb->arena, qb->err);
}

static bool new_sink(struct query_build *qb, const struct schema *schema)
{
    struct source proto = {.name = qb->stmt->name,
                           .kind = qb->out->result_kind,
                           .schema = schema,
                           .refs = 1,
                           .statement = qb->stmt->text,
                           .query_id = qb->out->query_id};
    const struct with_props *props = &qb->props;
    struct str *references = arena_array(qb->arena, struct str, qb->out->source_count);
    for (uint32_t i = 0; i < qb->out->source_count; i++)
        references[i] = qb->sources[i].source->name;
    proto.references = references;
    proto.reference_count = qb->out->source_count;
    proto.materialized = proto.kind == SOURCE_TABLE;
    proto.window_kind = qb->out->key_window;
    proto.window_size_ms = qb->out->key_window_size_ms;
    if (!check_result_kind(qb) || !check_free_name(qb) || !set_formats(qb, props, &proto) ||
        !check_timestamp(props, schema, &proto.timestamp_column, qb->arena, qb->err) ||
        !set_topic(qb, props, &proto) || !set_retention(qb, props, &proto))
        return false;
    if (props->key_schema_id >= 0 || props->value_schema_id >= 0)
        return err_set(qb->err, ERR_UNSUPPORTED,
                       "KEY_SCHEMA_ID and VALUE_SCHEMA_ID are not supported yet: rialto cannot ask a schema "
                       "registry. Leave "
                       "them out to write the columns of the SELECT list.");
    proto.timestamp_format = props->timestamp_format;
    if (!str_is_null(proto.timestamp_column))
        qb->out->timestamp_item = item_of_column(qb, proto.timestamp_column);
    qb->out->create_topic = proto.create_topic;
    qb->out->sink = source_new(&proto);
    return true;
}

/* INSERT INTO -------------------------------------------------------------------------------------------- */

/* Where the target's name stands: behind INSERT and INTO, line breaks and blanks between them counted. */
static struct sql_place target_place(const struct ast_stmt *stmt)
{
    struct sql_place place = stmt->place;
    size_t words = 0, i = 0;
    for (bool inside = false; i < stmt->text.len; i++) {
        char c = stmt->text.ptr[i];
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!blank && !inside && ++words == 3)
            break;
        inside = !blank;
        place.column++;
        if (c == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

static bool check_target(struct query_build *qb, const struct source **out)
{
    const struct source *target = catalog_source(qb->env->catalog, qb->stmt->name);
    *out = target;
    if (target == NULL) {
        struct sql_place place = target_place(qb->stmt);
        return deny(qb->err, "Line: %d, Col: %d: Source `%.*s` does not exist.", place.line, place.column,
                    STR_ARG(qb->stmt->name));
    }
    if (target->kind != SOURCE_STREAM)
        return deny(qb->err, "INSERT INTO can only be used to insert into a stream. %.*s is a table.",
                    STR_ARG(target->name));
    if (target->read_only)
        return deny(qb->err, "Cannot insert into read-only stream: %.*s", STR_ARG(target->name));
    for (uint32_t i = 0; i < target->schema->column_count; i++)
        if (target->schema->columns[i].role == COLUMN_HEADERS)
            return deny(qb->err, "Cannot insert into %.*s because it has header columns",
                        STR_ARG(target->name));
    return true;
}

/* As coercion, but a whole number may go into any DECIMAL: whether it fits is seen row by row. */
static bool can_insert(const struct sql_type *from, const struct sql_type *to)
{
    bool whole = from->kind == SQL_INTEGER || from->kind == SQL_BIGINT;
    return type_eq(from, to) || type_can_coerce(from, to) || (whole && to->kind == SQL_DECIMAL);
}

static bool check_insert_schema(struct query_build *qb, const struct schema *schema,
                                const struct source *target)
{
    const struct schema *into = target->schema;
    bool fits = schema->column_count == into->column_count && schema->key_count == into->key_count;
    for (uint32_t i = 0; fits && i < schema->column_count; i++)
        fits = str_eq(schema->columns[i].name, into->columns[i].name) &&
               can_insert(schema->columns[i].type, into->columns[i].type);
    if (fits)
        return true;
    return deny(qb->err,
                "Incompatible schema between results and sink.\nResult schema is %s\nSink schema is %s",
                text_of_schema(schema, qb->arena), text_of_schema(into, qb->arena));
}

static const struct expr *coerced(const struct expr *expr, const struct sql_type *type, struct arena *arena)
{
    if (type_eq(expr->type, type))
        return expr;
    struct expr *node = arena_new(arena, struct expr);
    const struct expr **args = arena_array(arena, const struct expr *, 1);
    args[0] = expr;
    *node = (struct expr){.kind = EXPR_COERCE, .type = type, .args = args, .arg_count = 1, .ast = expr->ast};
    return node;
}

static bool insert_sink(struct query_build *qb, const struct schema *schema)
{
    const struct source *target;
    if (!check_target(qb, &target))
        return false;
    if (qb->out->result_kind != SOURCE_STREAM)
        return deny(qb->err,
                    "INSERT INTO can only be used to insert into a stream. The query produces a table.");
    if (!check_insert_schema(qb, schema, target))
        return false;
    uint32_t value = schema->key_count;
    for (uint32_t i = 0; i < qb->out->key_count; i++) {
        struct analysis_item *item = &qb->items.at[qb->out->keys[i].item];
        item->expr = coerced(item->expr, target->schema->columns[i].type, qb->arena);
    }
    for (size_t i = 0; i < qb->items.len; i++)
        if (qb->items.at[i].key < 0)
            qb->items.at[i].expr =
                coerced(qb->items.at[i].expr, target->schema->columns[value++].type, qb->arena);
    qb->out->sink = source_ref(target);
    qb->out->topic_retention_ms = -1;
    return true;
}

bool analyze_sink(struct query_build *qb)
{
    const struct schema *schema = result_schema(qb);
    qb->out->timestamp_item = -1;
    qb->out->topic_retention_ms = -1;
    if (!check_duplicates(schema, qb->err))
        return false;
    if (qb->out->kind != ANALYSIS_PERSISTENT)
        return true;
    if (!check_types(qb, schema))
        return false;
    return qb->out->insert ? insert_sink(qb, schema) : new_sink(qb, schema);
}
