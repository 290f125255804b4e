/* post.c - conditions on the catalog after a run (the data's README, section 6). */
#include "conformance.h"

/* Parses "`K` STRING KEY, `V` INTEGER" as the columns of a definition; false when it cannot be read. */
static bool parse_schema(struct str text, const struct ast_column_def **columns, uint32_t *count,
                         struct arena *arena)
{
    const struct ast_stmt *const *stmts;
    uint32_t stmt_count;
    const char *kind = str_find(text, STR("PRIMARY KEY")) >= 0 ? "TABLE" : "STREAM";
    struct str sql = str_printf(arena, "CREATE %s X (%.*s);", kind, STR_ARG(text));
    struct err err = {0};
    if (!sql_parse(sql, NULL, &stmts, &stmt_count, arena, &err) || stmt_count != 1)
        return false;
    *columns = stmts[0]->columns;
    *count = stmts[0]->column_count;
    return true;
}

static bool same_schema(const struct source *source, struct str wanted, struct arena *arena)
{
    const struct ast_column_def *columns;
    uint32_t count;
    struct err err = {0};
    struct expr_scope scope = {.state = NULL};
    struct buf ours = {0};
    schema_print(source->schema, &ours);
    bool same = str_eq_nocase(buf_str(&ours), wanted);
    buf_fini(&ours);
    if (same || !parse_schema(wanted, &columns, &count, arena) || count != source->schema->column_count)
        return same;
    for (uint32_t i = 0; i < count; i++) {
        const struct column *column = &source->schema->columns[i];
        const struct sql_type *type = expr_type_of(columns[i].type, &scope, arena, &err);
        bool key = columns[i].mark == MARK_KEY || columns[i].mark == MARK_PRIMARY_KEY;
        if (type == NULL || !type_eq(type, column->type) || !str_eq(columns[i].name, column->name) ||
            key != (column->role == COLUMN_KEY))
            return false;
    }
    return true;
}

/* `features`: a set with WRAP_SINGLES or UNWRAP_SINGLES. */
static bool same_features(const struct json_value *features, const struct source_format *format)
{
    if (features == NULL || features->kind != JSON_ARRAY)
        return true;
    bool wrap = false, unwrap = false;
    for (uint32_t i = 0; i < features->len; i++) {
        wrap = wrap || str_eq(features->elems[i].str, STR("WRAP_SINGLES"));
        unwrap = unwrap || str_eq(features->elems[i].str, STR("UNWRAP_SINGLES"));
    }
    return wrap == (format->wrap == WRAP_SINGLES) && unwrap == (format->wrap == UNWRAP_SINGLES);
}

static const char *window_word(enum ast_window_kind kind)
{
    static const char *const words[] = {
        [WINDOW_TUMBLING] = "TUMBLING", [WINDOW_HOPPING] = "HOPPING", [WINDOW_SESSION] = "SESSION"};
    return kind == WINDOW_NONE ? "" : words[kind];
}

static bool same_key_format(const struct json_value *wanted, const struct source *source)
{
    if (wanted == NULL || wanted->kind != JSON_OBJECT)
        return true;
    struct str format = case_text(wanted, "format"), window = case_text(wanted, "window_type");
    if (!str_is_null(format) && !str_eq_nocase(format, source->key_format.name))
        return false;
    return str_eq_cstr(window, window_word(source->window_kind)) &&
           case_number(wanted, "window_size_ms", 0) == source->window_size_ms;
}

static bool check_source(const struct catalog *catalog, const struct json_value *wanted, struct arena *arena,
                         struct err *err)
{
    struct str name = case_text(wanted, "name"), type = case_text(wanted, "type");
    const struct source *source = catalog_source(catalog, name);
    if (source == NULL)
        return err_set(err, ERR_ASSERTION, "source %.*s does not exist after the run", STR_ARG(name));
    if (!str_is_null(type) &&
        !str_eq_nocase(type, source->kind == SOURCE_TABLE ? STR("table") : STR("stream")))
        return err_set(err, ERR_ASSERTION, "source %.*s is no %.*s", STR_ARG(name), STR_ARG(type));
    struct str schema = case_text(wanted, "schema");
    if (!str_is_null(schema) && !same_schema(source, schema, arena)) {
        struct buf ours = {0};
        schema_print(source->schema, &ours);
        err_set(err, ERR_ASSERTION, "source %.*s: schema differs\n      expected: %.*s\n      got:      %s",
                STR_ARG(name), STR_ARG(schema), ours.ptr);
        buf_fini(&ours);
        return false;
    }
    struct str value_format = case_text(wanted, "value_format");
    if (!str_is_null(value_format) && !str_eq_nocase(value_format, source->value_format.name))
        return err_set(err, ERR_ASSERTION, "source %.*s: value format %.*s expected, got %.*s", STR_ARG(name),
                       STR_ARG(value_format), STR_ARG(source->value_format.name));
    if (!same_key_format(json_get(wanted, STR("key_format")), source))
        return err_set(err, ERR_ASSERTION, "source %.*s: key format differs: got %.*s %s %" PRId64,
                       STR_ARG(name), STR_ARG(source->key_format.name), window_word(source->window_kind),
                       source->window_size_ms);
    if (!same_features(json_get(wanted, STR("key_features")), &source->key_format) ||
        !same_features(json_get(wanted, STR("value_features")), &source->value_format))
        return err_set(err, ERR_ASSERTION, "source %.*s: key or value features differ", STR_ARG(name));
    const struct json_value *is_source = json_get(wanted, STR("is_source"));
    if (is_source != NULL && is_source->kind == JSON_BOOL && is_source->b != source->read_only)
        return err_set(err, ERR_ASSERTION, "source %.*s: is_source differs", STR_ARG(name));
    return true;
}

/* A property of a format and what the source has for it; absent is the empty text. */
static bool same_property(const struct json_value *properties, const char *name, struct str got)
{
    struct str wanted = properties != NULL ? case_text(properties, name) : STR_NULL;
    return str_eq_nocase(str_is_null(wanted) ? STR("") : wanted, str_is_null(got) ? STR("") : got);
}

/* Exactly this format, with its properties and features. */
static bool same_topic_format(const struct json_value *wanted, const struct source_format *format)
{
    static const struct json_value none = {.kind = JSON_ARRAY};
    if (wanted == NULL || wanted->kind != JSON_OBJECT)
        return true;
    const struct json_value *features = json_get(wanted, STR("features")),
                            *properties = json_get(wanted, STR("properties"));
    char delimiter[2] = {format->delimiter, '\0'};
    return str_eq_nocase(case_text(wanted, "format"), format->name) &&
           same_features(features != NULL ? features : &none, format) &&
           same_property(properties, "nullableRepresentation", format->nullable_as) &&
           same_property(properties, "fullSchemaName", format->schema_full_name) &&
           same_property(properties, "delimiter", str_from(delimiter));
}

static bool check_topic(struct machine *machine, const struct json_value *wanted, struct err *err)
{
    struct str name = case_text(wanted, "name");
    int32_t partitions = client_partition_count(machine->client, name);
    int64_t wanted_partitions = case_number(wanted, "partitions", -1);
    if (partitions < 0)
        return err_set(err, ERR_ASSERTION, "topic %.*s does not exist after the run", STR_ARG(name));
    if (wanted_partitions >= 0 && wanted_partitions != partitions)
        return err_set(err, ERR_ASSERTION, "topic %.*s: %" PRId64 " partitions expected, got %d",
                       STR_ARG(name), wanted_partitions, partitions);
    const struct source *source = machine_source_of(machine, name);
    if (source == NULL)
        return err_set(err, ERR_ASSERTION, "topic %.*s: no source tells its formats", STR_ARG(name));
    bool same = same_topic_format(json_get(wanted, STR("key_format")), &source->key_format) &&
                same_topic_format(json_get(wanted, STR("value_format")), &source->value_format);
    source_unref(source);
    return same || err_set(err, ERR_ASSERTION, "topic %.*s: formats differ", STR_ARG(name));
}

bool check_post(struct machine *machine, const struct json_value *post, struct err *err)
{
    if (post == NULL || post->kind != JSON_OBJECT)
        return true;
    const struct json_value *sources = json_get(post, STR("sources")),
                            *topics = json_get(post, STR("topics"));
    const struct json_value *no_repartition = json_get(post, STR("no_repartition"));
    const struct catalog *catalog = engine_catalog(machine->engine);
    bool done = true;
    for (uint32_t i = 0; done && sources != NULL && i < sources->len; i++)
        done = check_source(catalog, &sources->elems[i], &machine->arena, err);
    for (uint32_t i = 0; done && topics != NULL && i < topics->len; i++)
        done = check_topic(machine, &topics->elems[i], err);
    catalog_unref(catalog);
    for (size_t i = 0; done && no_repartition != NULL && no_repartition->b && i < machine->queries.len; i++)
        if (plan_has_repartition(machine->queries.at[i].plan))
            done = err_set(err, ERR_ASSERTION, "query %.*s repartitions, which is not needed",
                           STR_ARG(machine->queries.at[i].id));
    return done;
}
