/* create.c - CREATE STREAM/TABLE over a topic, and ALTER ... ADD: from written columns and properties to a
 * source.
 *
 *   columns --> schema (keys first) --> formats can hold it? --> timestamp, window --> topic
 *
 * Columns that are not declared would come from the schema registry; that is refused, because rialto
 * cannot ask one yet.
 */
#include "analyze/analyze_int.h"

/* The written state of one CREATE. */
struct creation {
    const struct analyze_env *env;
    const struct ast_stmt *stmt;
    struct with_props props;
    struct source proto;
    struct arena *arena;
    struct err *err;
};

static const char *kind_word(enum source_kind kind)
{
    return kind == SOURCE_STREAM ? "stream" : "table";
}

/* Names -------------------------------------------------------------------------------------------------- */

static bool check_name(struct creation *cr)
{
    const struct ast_stmt *stmt = cr->stmt;
    const char *kind = kind_word(cr->proto.kind);
    const struct source *present = catalog_source(cr->env->catalog, stmt->name);
    if (stmt->or_replace && (stmt->source_only || (present != NULL && present->read_only)))
        return deny(cr->err, "Cannot add %s '%.*s': CREATE OR REPLACE is not supported on source %ss.", kind,
                    STR_ARG(stmt->name), kind);
    if (present == NULL || (stmt->or_replace && present->kind == cr->proto.kind))
        return true;
    return err_set(cr->err, ERR_DUPLICATE_RESOURCE,
                   "Cannot add %s '%.*s': A %s with the same name already exists", kind, STR_ARG(stmt->name),
                   kind_word(present->kind));
}

/* Columns ------------------------------------------------------------------------------------------------ */

static const struct sql_type *scope_type(void *state, struct str name, struct arena *arena, struct err *err)
{
    const struct analyze_env *env = state;
    const struct sql_type *type = catalog_type(env->catalog, name);
    if (type == NULL)
        deny(err, "Cannot resolve unknown type: %.*s", STR_ARG(name));
    return type ? type_dup(type, arena) : NULL;
}

static bool is_headers_type(const struct sql_type *type)
{
    if (type->kind != SQL_ARRAY || type->elem->kind != SQL_STRUCT || type->elem->field_count != 2)
        return false;
    const struct sql_field *fields = type->elem->fields;
    return str_eq_cstr(fields[0].name, "KEY") && fields[0].type->kind == SQL_STRING &&
           str_eq_cstr(fields[1].name, "VALUE") && fields[1].type->kind == SQL_BYTES;
}

static bool check_header_column(struct creation *cr, const struct ast_column_def *def,
                                const struct sql_type *type)
{
    if (def->mark == MARK_HEADERS && !is_headers_type(type))
        return deny(
            cr->err,
            "Invalid type for HEADERS column: expected ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>>, got %s",
            text_of_type(type, cr->arena));
    if (def->mark == MARK_HEADER && type->kind != SQL_BYTES)
        return deny(cr->err, "Invalid type for HEADER('%.*s') column: expected BYTES, got %s",
                    STR_ARG(def->header_key), text_of_type(type, cr->arena));
    return true;
}

/* One column of all headers, or any number of columns with different header keys. */
static bool check_header_columns(struct creation *cr, const struct schema *schema)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        for (uint32_t k = 0; k < i; k++) {
            const struct column *a = &schema->columns[i], *b = &schema->columns[k];
            if (a->role != COLUMN_HEADERS || b->role != COLUMN_HEADERS)
                continue;
            if (str_is_null(a->header_key) || str_is_null(b->header_key))
                return deny(cr->err, "Schema already contains a HEADERS column.");
            if (str_eq(a->header_key, b->header_key))
                return deny(cr->err, "Schema already contains a HEADER('%.*s') column.",
                            STR_ARG(a->header_key));
        }
    return true;
}

static bool read_column(struct creation *cr, const struct ast_column_def *def, struct column *out)
{
    struct expr_scope scope = {.type_name = scope_type, .state = (void *)cr->env};
    if (is_reserved_name(def->name))
        return deny(cr->err, "'%.*s' is a reserved column name. You cannot use it as a name for a column.",
                    STR_ARG(def->name));
    const struct sql_type *type = expr_type_of(def->type, &scope, cr->arena, cr->err);
    if (type == NULL || !check_header_column(cr, def, type))
        return false;
    *out = (struct column){.name = def->name, .type = type, .role = COLUMN_VALUE};
    if (def->mark == MARK_KEY || def->mark == MARK_PRIMARY_KEY)
        out->role = COLUMN_KEY;
    else if (def->mark == MARK_HEADERS || def->mark == MARK_HEADER)
        out->role = COLUMN_HEADERS, out->header_key = def->mark == MARK_HEADER ? def->header_key : STR_NULL;
    return true;
}

static bool check_column_names(struct creation *cr, const struct column *columns, uint32_t count)
{
    struct map seen = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++)
        if (map_put(&seen, columns[i].name, (void *)columns) != NULL)
            ok = deny(cr->err, "Duplicate column names: `%.*s`", STR_ARG(columns[i].name));
    map_fini(&seen);
    return ok;
}

/* Key columns first, each group in the order written. */
static const struct schema *order_columns(const struct column *columns, uint32_t count, struct arena *arena)
{
    struct schema *schema = arena_new(arena, struct schema);
    struct column *ordered = arena_array(arena, struct column, count);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < count; i++)
            if ((columns[i].role == COLUMN_KEY) == (pass == 0))
                ordered[schema->column_count++] = columns[i];
    while (schema->key_count < count && ordered[schema->key_count].role == COLUMN_KEY)
        schema->key_count++;
    schema->columns = ordered;
    return schema;
}

static bool read_columns(struct creation *cr)
{
    const struct ast_stmt *stmt = cr->stmt;
    if (stmt->column_count > COLUMNS_MAX)
        return deny(cr->err, "%u columns are more than the %d that a source can have", stmt->column_count,
                    COLUMNS_MAX);
    struct column *columns = arena_array(cr->arena, struct column, stmt->column_count);
    for (uint32_t i = 0; i < stmt->column_count; i++)
        if (!read_column(cr, &stmt->columns[i], &columns[i]))
            return false;
    if (!check_column_names(cr, columns, stmt->column_count))
        return false;
    cr->proto.schema = order_columns(columns, stmt->column_count, cr->arena);
    return check_header_columns(cr, cr->proto.schema);
}

/* Columns the statement leaves to the schema registry, when its formats can tell them. */
static bool check_declared(struct creation *cr)
{
    const struct schema *schema = cr->proto.schema;
    bool values = schema->column_count > schema->key_count;
    const struct serde_format *key = serde_format_find(cr->proto.key_format.name);
    const struct serde_format *value = serde_format_find(cr->proto.value_format.name);
    bool key_inferred = schema->key_count == 0 && key->infers, value_inferred = !values && value->infers;
    if (schema->key_count > 0 && cr->props.key_schema_id >= 0)
        return deny(cr->err, "Table elements and KEY_SCHEMA_ID cannot both exist for create statement.");
    if (values && cr->props.value_schema_id >= 0)
        return deny(cr->err, "Table elements and VALUE_SCHEMA_ID cannot both exist for create statement.");
    if (cr->proto.kind == SOURCE_TABLE && schema->key_count == 0 && !key_inferred)
        return deny(cr->err, "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.");
    if (key_inferred || value_inferred)
        return err_set(
            cr->err, ERR_UNSUPPORTED,
            "The %s columns of %.*s are not declared, and reading them from the schema registry is not built "
            "yet. Declare them in the statement, or choose a format that does not use a schema registry.",
            key_inferred ? "key" : "value", STR_ARG(cr->stmt->name));
    if (schema->column_count == 0)
        return deny(cr->err, "No columns supplied.");
    return true;
}

/* Windows ------------------------------------------------------------------------------------------------ */

static bool deny_duration(struct creation *cr, struct str text, const char *why)
{
    return deny(cr->err,
                "Failed to prepare statement: Configuration WINDOW_SIZE is invalid: Invalid duration: "
                "'%.*s'. %s\nExample valid "
                "value: '10 SECONDS'",
                STR_ARG(text), why);
}

/* "20 SECONDS" to milliseconds. */
static bool parse_duration(struct creation *cr, struct str text, int64_t *out)
{
    static const struct {
        struct str word;
        enum ast_unit unit;
    } units[] = {{STR_INIT("MILLISECOND"), UNIT_MILLISECONDS},
                 {STR_INIT("SECOND"), UNIT_SECONDS},
                 {STR_INIT("MINUTE"), UNIT_MINUTES},
                 {STR_INIT("HOUR"), UNIT_HOURS},
                 {STR_INIT("DAY"), UNIT_DAYS}};
    struct str trimmed = str_trim(text);
    ptrdiff_t space = str_find_char(trimmed, ' ');
    struct ast_duration duration = {.present = true};
    if (space < 0)
        return deny_duration(cr, text, "Expected 2 parts: the size, and the unit.");
    if (!str_to_i64(str_sub(trimmed, 0, (size_t)space), &duration.count) || duration.count <= 0)
        return deny_duration(cr, text, "The size must be a number above zero.");
    struct str word = str_upper(str_trim(str_sub(trimmed, (size_t)space, trimmed.len)), cr->arena);
    struct str single = str_ends_with(word, STR("S")) ? str_sub(word, 0, word.len - 1) : word;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(units[i].word, single)) {
            duration.unit = units[i].unit;
            *out = ast_duration_ms(duration);
            return *out > 0 || deny_duration(cr, text, "It is longer than 2^63 milliseconds.");
        }
    return deny_duration(cr, text, str_printf(cr->arena, "Unknown time unit: '%.*s'", STR_ARG(word)).ptr);
}

static bool read_window(struct creation *cr)
{
    static const struct {
        struct str word;
        enum ast_window_kind kind;
    } kinds[] = {{STR_INIT("SESSION"), WINDOW_SESSION},
                 {STR_INIT("HOPPING"), WINDOW_HOPPING},
                 {STR_INIT("TUMBLING"), WINDOW_TUMBLING}};
    const struct with_props *props = &cr->props;
    if (str_is_null(props->window_type)) {
        if (!str_is_null(props->window_size))
            return deny(cr->err,
                        "Failed to prepare statement: 'WINDOW_SIZE' is given without 'WINDOW_TYPE'.");
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_eq_nocase(kinds[i].word, str_trim(props->window_type)))
            cr->proto.window_kind = kinds[i].kind;
    if (cr->proto.window_kind == WINDOW_NONE)
        return deny(cr->err,
                    "Failed to prepare statement: Invalid value %.*s for configuration WINDOW_TYPE: String "
                    "must be one "
                    "of: SESSION, HOPPING, TUMBLING, null",
                    STR_ARG(props->window_type));
    if (cr->proto.window_kind == WINDOW_SESSION) {
        if (!str_is_null(props->window_size))
            return deny(cr->err,
                        "Failed to prepare statement: 'WINDOW_SIZE' should not be set for SESSION windows.");
        return true;
    }
    if (str_is_null(props->window_size))
        return deny(cr->err,
                    "Failed to prepare statement: %s windows should be provided with window size. Please set "
                    "'WINDOW_SIZE'.",
                    cr->proto.window_kind == WINDOW_HOPPING ? "HOPPING" : "TUMBLING");
    return parse_duration(cr, props->window_size, &cr->proto.window_size_ms);
}

/* Topic -------------------------------------------------------------------------------------------------- */

static bool read_topic(struct creation *cr)
{
    const struct with_props *props = &cr->props;
    cr->proto.topic = props->topic;
    cr->proto.replicas = props->replicas > 0 ? (int16_t)props->replicas : 0;
    cr->proto.retention_ms = props->retention_ms;
    if (cr->proto.kind == SOURCE_TABLE && cr->proto.window_kind == WINDOW_NONE && props->retention_ms >= 0)
        return deny(
            cr->err,
            "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support "
            "retention.");
    int32_t partitions = cr->env->topic_partitions(cr->env->state, props->topic);
    cr->proto.create_topic = partitions < 0;
    if (partitions < 0 && props->partitions < 0)
        return deny(
            cr->err,
            "Topic '%.*s' does not exist. If you want to create a new topic for the stream/table please "
            "re-run the "
            "statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally "
            "'REPLICAS'). For example: CREATE %s %.*s ... WITH (KAFKA_TOPIC='%.*s', PARTITIONS=1, ...);",
            STR_ARG(props->topic), cr->proto.kind == SOURCE_STREAM ? "STREAM" : "TABLE",
            STR_ARG(cr->stmt->name), STR_ARG(props->topic));
    if (partitions >= 0 && props->partitions >= 0 && props->partitions != partitions)
        return deny(cr->err,
                    "A Kafka topic with the name '%.*s' already exists, with different partition/replica "
                    "configuration than "
                    "required. KSQL expects %lld partitions (topic has %d)",
                    STR_ARG(props->topic), (long long)props->partitions, partitions);
    cr->proto.partition_count = partitions >= 0 ? partitions : (int32_t)props->partitions;
    return true;
}

/* What the statement itself says: columns, formats, window, timestamp. */
static bool read_form(struct creation *cr)
{
    return with_read(cr->stmt, WITH_CREATE, &cr->props, cr->arena, cr->err) && read_columns(cr) &&
           formats_resolve(cr->env, &cr->props, NULL, NULL, &cr->proto.key_format, &cr->proto.value_format,
                           cr->arena, cr->err) &&
           check_declared(cr) && read_window(cr) &&
           formats_check(cr->env, &cr->props, cr->proto.schema, &cr->proto.key_format,
                         &cr->proto.value_format, cr->arena, cr->err) &&
           check_timestamp(&cr->props, cr->proto.schema, &cr->proto.timestamp_column, cr->arena, cr->err);
}

static bool check_topic_named(struct creation *cr)
{
    if (!str_is_null(cr->props.topic) && cr->props.topic.len > 0)
        return true;
    return deny(cr->err,
                "Failed to prepare statement: Missing required property \"KAFKA_TOPIC\" which has no default "
                "value.");
}

bool analyze_create_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct source **source,
                           struct arena *arena, struct err *err)
{
    ASSERT(stmt->kind == STMT_CREATE_STREAM || stmt->kind == STMT_CREATE_TABLE);
    struct creation cr = {.env = env, .stmt = stmt, .arena = arena, .err = err};
    cr.proto.name = stmt->name;
    cr.proto.kind = stmt->kind == STMT_CREATE_STREAM ? SOURCE_STREAM : SOURCE_TABLE;
    cr.proto.read_only = stmt->source_only;
    cr.proto.statement = stmt->text;
    if (!check_name(&cr) || !read_form(&cr) || !check_topic_named(&cr) || !read_topic(&cr))
        return false;
    cr.proto.timestamp_format = cr.props.timestamp_format;
    *source = source_new(&cr.proto);
    return true;
}

/* ASSERT ------------------------------------------------------------------------------------------------- */

static bool schema_eq(const struct schema *a, const struct schema *b)
{
    if (a->column_count != b->column_count || a->key_count != b->key_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!str_eq(a->columns[i].name, b->columns[i].name) || a->columns[i].role != b->columns[i].role ||
            !type_eq(a->columns[i].type, b->columns[i].type))
            return false;
    return true;
}

static bool format_eq(const struct source_format *a, const struct source_format *b)
{
    return str_eq(a->name, b->name) && a->delimiter == b->delimiter && a->wrap == b->wrap;
}

bool analyze_assert_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct arena *arena,
                           struct err *err)
{
    ASSERT(stmt->kind == STMT_ASSERT_STREAM || stmt->kind == STMT_ASSERT_TABLE);
    struct creation cr = {.env = env, .stmt = stmt, .arena = arena, .err = err};
    const struct source *is = catalog_source(env->catalog, stmt->name);
    if (is == NULL)
        return err_set(err, ERR_ASSERTION, "Source %.*s does not exist", STR_ARG(stmt->name));
    cr.proto.kind = stmt->kind == STMT_ASSERT_STREAM ? SOURCE_STREAM : SOURCE_TABLE;
    if (!read_form(&cr))
        return false;
    const struct {
        bool same;
        const char *what;
    } parts[] = {
        {is->kind == cr.proto.kind, "type"},
        {schema_eq(is->schema, cr.proto.schema), "schema"},
        {str_is_null(cr.props.topic) || str_eq(is->topic, cr.props.topic), "kafka topic"},
        {format_eq(&is->key_format, &cr.proto.key_format), "key format"},
        {format_eq(&is->value_format, &cr.proto.value_format), "value format"},
        {str_eq(is->timestamp_column, cr.proto.timestamp_column), "timestamp column"},
        {str_eq(is->timestamp_format, cr.props.timestamp_format), "timestamp format"},
        {is->window_kind == cr.proto.window_kind && is->window_size_ms == cr.proto.window_size_ms, "window"},
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (!parts[i].same)
            return err_set(err, ERR_ASSERTION, "Expected %s does not match actual for source %.*s.",
                           parts[i].what, STR_ARG(is->name));
    return true;
}

/* ALTER -------------------------------------------------------------------------------------------------- */

static bool check_alterable(const struct ast_stmt *stmt, const struct source *present, struct err *err)
{
    enum source_kind kind = stmt->kind == STMT_ALTER_STREAM ? SOURCE_STREAM : SOURCE_TABLE;
    if (present == NULL)
        return deny(err, "Source %.*s does not exist", STR_ARG(stmt->name));
    if (present->kind != kind)
        return deny(err, "Incompatible data source type is %s, but statement was ALTER %s",
                    present->kind == SOURCE_STREAM ? "STREAM" : "TABLE",
                    kind == SOURCE_STREAM ? "STREAM" : "TABLE");
    if (present->read_only)
        return deny(err, "Cannot alter %s '%.*s': ALTER operations are not supported on source %ss.",
                    kind_word(present->kind), STR_ARG(present->name), kind_word(present->kind));
    if (!str_is_null(present->query_id))
        return deny(err, "ALTER command is not supported for CREATE ... AS statements.");
    return true;
}

bool analyze_alter_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct source **source,
                          struct arena *arena, struct err *err)
{
    ASSERT(stmt->kind == STMT_ALTER_STREAM || stmt->kind == STMT_ALTER_TABLE);
    const struct source *present = catalog_source(env->catalog, stmt->name);
    if (!check_alterable(stmt, present, err))
        return false;
    struct creation cr = {.env = env, .stmt = stmt, .arena = arena, .err = err};
    const struct schema *before = present->schema;
    struct column *columns = arena_array(arena, struct column, before->column_count + stmt->column_count);
    memcpy(columns, before->columns, before->column_count * sizeof *columns);
    for (uint32_t i = 0; i < stmt->column_count; i++) {
        const struct ast_column_def *def = &stmt->columns[i];
        if (schema_find(before, def->name) >= 0)
            return deny(err,
                        "Cannot add column `%.*s` to schema. A column with the same name already exists.",
                        STR_ARG(def->name));
        if (!read_column(&cr, def, &columns[before->column_count + i]))
            return false;
    }
    struct schema schema = {columns, before->column_count + stmt->column_count, before->key_count};
    if (!check_column_names(&cr, columns, schema.column_count))
        return false;
    struct source proto = *present;
    proto.schema = &schema;
    struct with_props props = {.wrap = -1};
    if (!formats_check(env, &props, &schema, &proto.key_format, &proto.value_format, arena, err))
        return false;
    *source = source_new(&proto);
    return true;
}
