/* describe.c - DESCRIBE of sources and functions (reference: ksql page 3.4, SourceDescription). */
#include "engine/engine_int.h"

static void put_queries(struct engine *engine, struct json_writer *out, const char *name,
                        const struct source *source, bool writers)
{
    json_key_begin(out, name);
    json_array_begin(out);
    for (size_t i = 0; i < engine->persistent.len; i++) {
        struct persistent *at = engine->persistent.at[i];
        const struct plan *plan = query_plan(at->query);
        bool shown = writers && !at->keeps_sink && str_eq(at->sink->name, source->name);
        for (uint32_t s = 0; !writers && !shown && s < plan->source_count; s++)
            shown = str_eq(plan->sources[s]->name, source->name);
        if (shown)
            entity_running_query(out, at);
    }
    json_array_end(out);
}

/* Rows read and written by the queries around a source, as DESCRIBE EXTENDED's statistics. */
static void put_statistics(struct engine *engine, struct json_writer *out, const struct source *source)
{
    uint64_t written = 0, errors = 0;
    for (size_t i = 0; i < engine->persistent.len; i++) {
        struct persistent *at = engine->persistent.at[i];
        if (at->keeps_sink || !str_eq(at->sink->name, source->name))
            continue;
        struct query_stats stats;
        query_stats(at->query, &stats);
        written += stats.rows_out;
        errors += stats.errors;
    }
    struct buf text = {0};
    buf_printf(&text, "total-messages: %" PRIu64, written);
    json_key_str(out, "statistics", buf_str(&text));
    buf_clear(&text);
    buf_printf(&text, "total-errors: %" PRIu64, errors);
    json_key_str(out, "errorStats", buf_str(&text));
    buf_fini(&text);
}

/* Sources that were made out of this one: they must be dropped first. */
static void put_constraints(struct engine *engine, struct json_writer *out, const struct source *source)
{
    const struct source *at;
    json_key_begin(out, "sourceConstraints");
    json_array_begin(out);
    for (uint32_t i = 0; (at = catalog_source_at(engine->catalog, i)) != NULL; i++)
        for (uint32_t r = 0; r < at->reference_count; r++)
            if (str_eq(at->references[r], source->name))
                json_str(out, at->name);
    json_array_end(out);
}

static void put_source_description(struct engine *engine, struct json_writer *out,
                                   const struct source *source, bool extended)
{
    json_object_begin(out);
    json_key_str(out, "name", source->name);
    json_key_cstr(out, "windowType", entity_window_type(source->window_kind));
    put_queries(engine, out, "readQueries", source, false);
    put_queries(engine, out, "writeQueries", source, true);
    json_key_begin(out, "fields");
    entity_fields(out, source->schema->columns, source->schema->column_count);
    json_key_cstr(out, "type", source->kind == SOURCE_TABLE ? "TABLE" : "STREAM");
    json_key_str(out, "timestamp",
                 str_is_null(source->timestamp_column) ? STR("") : source->timestamp_column);
    put_statistics(engine, out, source);
    json_key_bool(out, "extended", extended);
    json_key_str(out, "keyFormat", source->key_format.name);
    json_key_str(out, "valueFormat", source->value_format.name);
    json_key_str(out, "topic", source->topic);
    json_key_i64(out, "partitions",
                 extended ? MAX(client_partition_count(engine->options.client, source->topic), 0) : 0);
    json_key_i64(out, "replication", extended ? 1 : 0);
    json_key_str(out, "statement", source->statement);
    put_constraints(engine, out, source);
    static const char *const empty[] = {"queryOffsetSummaries", "clusterStatistics", "clusterErrorStats"};
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        json_key_begin(out, empty[i]);
        json_array_begin(out);
        json_array_end(out);
    }
    json_object_end(out);
}

static void describe_all(struct engine *engine, struct prepared *prepared, struct json_writer *out)
{
    enum ast_stmt_kind kind = prepared->stmt->kind;
    enum source_kind wanted =
        kind == STMT_DESCRIBE_TABLES || kind == STMT_SHOW_TABLES ? SOURCE_TABLE : SOURCE_STREAM;
    entity_begin(out, "source_descriptions", prepared->stmt->text);
    json_key_begin(out, "sourceDescriptions");
    json_array_begin(out);
    const struct source *source;
    for (uint32_t i = 0; (source = catalog_source_at(engine->catalog, i)) != NULL; i++)
        if (source->kind == wanted)
            put_source_description(engine, out, source, prepared->stmt->extended);
    json_array_end(out);
    entity_end(out);
}

/* DESCRIBE FUNCTION ------------------------------------------------------------------------------------------------- */

/* Arguments come as text "T, ARRAY<T>, INT...": split at the commas of the top level. */
static void put_arguments(struct json_writer *out, struct str text)
{
    json_array_begin(out);
    int depth = 0;
    size_t start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.ptr[i] : ',';
        depth += (c == '<' || c == '(') - (c == '>' || c == ')');
        if (c != ',' || (depth != 0 && i < text.len))
            continue;
        struct str type = str_trim(str_sub(text, start, i - start));
        start = i + 1;
        if (type.len == 0)
            continue;
        bool variadic = str_ends_with(type, STR("[]")) || str_ends_with(type, STR("..."));
        json_object_begin(out);
        json_key_cstr(out, "name", "");
        json_key_str(out, "type", type);
        json_key_cstr(out, "description", "");
        json_key_bool(out, "isVariadic", variadic);
        json_object_end(out);
    }
    json_array_end(out);
}

static void describe_function(struct prepared *prepared, struct json_writer *out)
{
    const struct func *func = func_find(prepared->stmt->name);
    struct func_doc doc;
    func_describe(func, &doc);
    entity_begin(out, "describe_function", prepared->stmt->text);
    json_key_str(out, "name", doc.name);
    json_key_str(out, "description", doc.description);
    json_key_str(out, "author", doc.author);
    json_key_str(out, "version", doc.version);
    json_key_cstr(out, "path", "");
    json_key_cstr(out, "type",
                  doc.kind == FUNC_SCALAR  ? "SCALAR"
                  : doc.kind == FUNC_TABLE ? "TABLE"
                                           : "AGGREGATE");
    json_key_begin(out, "functions");
    json_array_begin(out);
    for (uint32_t i = 0; i < doc.signature_count; i++) {
        struct buf arguments = {0}, result = {0};
        func_print_signature(func, i, &arguments, &result);
        json_object_begin(out);
        json_key_begin(out, "arguments");
        put_arguments(out, buf_str(&arguments));
        json_key_str(out, "returnType", buf_str(&result));
        json_key_str(out, "description", doc.description);
        json_object_end(out);
        buf_fini(&arguments);
        buf_fini(&result);
    }
    json_array_end(out);
    entity_end(out);
}

bool prepare_describe(struct sandbox *box, struct session *session, struct prepared *prepared,
                      struct arena *arena, struct err *err)
{
    struct str name = prepared->stmt->name;
    if (prepared->stmt->kind == STMT_DESCRIBE_FUNCTION && func_find(name) == NULL)
        return err_set(err, ERR_STATEMENT, "Can't find any functions with the name '%.*s'", STR_ARG(name));
    if (prepared->stmt->kind != STMT_DESCRIBE)
        return true;
    const struct source *source = catalog_source(box->catalog, name);
    if (source == NULL)
        return err_set(err, ERR_STATEMENT, "Could not find STREAM/TABLE '%.*s' in the Metastore",
                       STR_ARG(name));
    prepared->target = source_ref(source);
    return true;
}

bool execute_describe(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                      struct arena *arena, struct err *err)
{
    if (prepared->stmt->kind == STMT_DESCRIBE_FUNCTION) {
        describe_function(prepared, out);
    } else if (prepared->stmt->kind == STMT_DESCRIBE) {
        entity_begin(out, "sourceDescription", prepared->stmt->text);
        json_key_begin(out, "sourceDescription");
        put_source_description(engine, out, prepared->target, prepared->stmt->extended);
        entity_end(out);
    } else {
        describe_all(engine, prepared, out);
    }
    return true;
}
