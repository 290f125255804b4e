/* plan_check.c - runs the statements of conformance cases through parser, analysis and planner, without
 * executing them.
 *
 *     plan_check [-v] DIR [CASE]     DIR holds query/, rest/, sql/ with one case a line
 *
 * A case passes when the error it expects is given in its words, or, when it expects none, when all
 * statements are accepted and the sources in the catalog are those that were recorded: kind, columns,
 * formats, windows. Topics are names with partition counts. Cases that need a schema registry, or that
 * fail only while records are processed, are counted apart.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "analyze/analysis.h"
#include "json/json.h"
#include "plan/plan.h"
#include "sql/sql.h"

enum outcome { PASSED, FAILED, APART };

struct run {
    struct arena arena;
    const struct catalog *catalog;
    struct map topics;     /* name -> int32_t * */
    struct map properties; /* name -> struct str * */
    struct map plans;      /* sink name -> struct plan * */
    struct func_settings settings;
    struct analyze_env env;
    bool repartition;
    bool script; /* topics come to be when they are named; test statements are read */
    uint32_t query_count;
    struct err err;
};

static int32_t topic_partitions(void *state, struct str topic)
{
    struct run *run = state;
    const int32_t *count = map_get(&run->topics, topic);
    return count ? *count : run->script ? 1 : -1;
}

static void put_topic(struct run *run, struct str name, int32_t partitions)
{
    int32_t *count = arena_new(&run->arena, int32_t);
    *count = partitions;
    map_put(&run->topics, name, count);
}

static void put_property(struct run *run, struct str name, struct str value)
{
    struct str *copy = arena_new(&run->arena, struct str);
    *copy = str_dup(value, &run->arena);
    map_put(&run->properties, name, copy);
}

static void set_catalog(struct run *run, const struct catalog *next)
{
    catalog_unref(run->catalog);
    run->catalog = run->env.catalog = next;
}

/* Statements --------------------------------------------------------------------------------------------- */

static bool run_create(struct run *run, const struct ast_stmt *stmt)
{
    const struct source *present = catalog_source(run->catalog, stmt->name);
    struct source *source;
    if (present != NULL && stmt->if_not_exists)
        return true;
    if (!analyze_create_source(&run->env, stmt, &source, &run->arena, &run->err))
        return false;
    source->materialized = source->read_only && source->kind == SOURCE_TABLE;
    bool ok = present == NULL || analyze_can_replace(present, source, &run->err);
    if (ok) {
        put_topic(run, source->topic, source->partition_count);
        set_catalog(run, catalog_with_source(run->catalog, source));
    }
    source_unref(source);
    return ok;
}

static bool run_query(struct run *run, const struct ast_stmt *stmt)
{
    const struct analysis *analysis;
    struct plan *plan;
    bool creates = stmt->kind == STMT_CREATE_STREAM_AS || stmt->kind == STMT_CREATE_TABLE_AS;
    const struct source *present = creates ? catalog_source(run->catalog, stmt->name) : NULL;
    if (present != NULL && stmt->if_not_exists)
        return true;
    struct str id = str_printf(&run->arena, "Q_%u", run->query_count++);
    if (!analyze_query(&run->env, stmt, id, &analysis, &run->arena, &run->err) ||
        !plan_build(analysis, &run->env, &plan, &run->err))
        return false;
    run->repartition |= plan_has_repartition(plan);
    struct buf text = {0};
    plan_explain(plan, id, &text);
    struct json_writer writer = {.out = &text};
    plan_to_json(plan, &writer);
    buf_fini(&text);
    const struct source *sink = plan->sink->sink.sink;
    bool ok = true;
    if (creates && present != NULL) {
        const struct plan *before = map_get(&run->plans, stmt->name);
        ok = analyze_can_replace(present, sink, &run->err) &&
             (before == NULL || plan_can_replace(before, plan, &run->err));
    }
    if (ok && creates) {
        put_topic(run, sink->topic, sink->partition_count);
        set_catalog(run, catalog_with_source(run->catalog, sink));
        plan_free(map_put(&run->plans, stmt->name, plan));
        return true;
    }
    plan_free(plan);
    return ok;
}

static bool run_insert(struct run *run, const struct ast_stmt *stmt)
{
    const struct source *source = catalog_source(run->catalog, stmt->name);
    struct value *values = arena_array(&run->arena, struct value, source ? source->schema->column_count : 1);
    int64_t rowtime;
    return analyze_insert_values(&run->env, stmt, &source, values, &rowtime, &run->arena, &run->err);
}

static bool run_drop(struct run *run, const struct ast_stmt *stmt)
{
    const struct source *source = catalog_source(run->catalog, stmt->name);
    if (source != NULL && source->read_only && stmt->delete_topic)
        return err_set(&run->err, ERR_STATEMENT, "Cannot delete topic for read-only source: %.*s",
                       STR_ARG(stmt->name));
    set_catalog(run, catalog_without_source(run->catalog, stmt->name));
    return true;
}

static bool run_alter(struct run *run, const struct ast_stmt *stmt)
{
    struct source *source;
    if (!analyze_alter_source(&run->env, stmt, &source, &run->arena, &run->err))
        return false;
    set_catalog(run, catalog_with_source(run->catalog, source));
    source_unref(source);
    return true;
}

static const struct sql_type *type_name(void *state, struct str name, struct arena *arena, struct err *err)
{
    const struct run *run = state;
    const struct sql_type *type = catalog_type(run->catalog, name);
    if (type == NULL)
        err_set(err, ERR_STATEMENT, "Cannot resolve unknown type: %.*s", STR_ARG(name));
    return type ? type_dup(type, arena) : NULL;
}

static bool run_create_type(struct run *run, const struct ast_stmt *stmt)
{
    struct expr_scope scope = {.type_name = type_name, .state = run};
    const struct sql_type *type = expr_type_of(stmt->type, &scope, &run->arena, &run->err);
    if (type != NULL)
        set_catalog(run, catalog_with_type(run->catalog, stmt->name, type));
    return type != NULL;
}

static bool run_statement(struct run *run, const struct ast_stmt *stmt)
{
    switch (stmt->kind) {
    case STMT_CREATE_STREAM:
    case STMT_CREATE_TABLE:
        return run_create(run, stmt);
    case STMT_CREATE_STREAM_AS:
    case STMT_CREATE_TABLE_AS:
    case STMT_INSERT_INTO:
    case STMT_QUERY:
        return run_query(run, stmt);
    case STMT_INSERT_VALUES:
        return run_insert(run, stmt);
    case STMT_DROP_STREAM:
    case STMT_DROP_TABLE:
        return run_drop(run, stmt);
    case STMT_ALTER_STREAM:
    case STMT_ALTER_TABLE:
        return run_alter(run, stmt);
    case STMT_CREATE_TYPE:
        return run_create_type(run, stmt);
    case STMT_ASSERT_STREAM:
    case STMT_ASSERT_TABLE:
        return analyze_assert_source(&run->env, stmt, &run->arena, &run->err);
    case STMT_DROP_TYPE:
        set_catalog(run, catalog_without_type(run->catalog, stmt->name));
        return true;
    case STMT_SET_PROPERTY:
        put_property(run, stmt->name, stmt->value);
        return true;
    default:
        return true;
    }
}

/* Cases -------------------------------------------------------------------------------------------------- */

/* The number, or `*out` as it is when there is none. */
static void number_of(const struct json_value *value, int64_t *out)
{
    if (value != NULL)
        ignore(json_to_i64(value, out), "what is no number keeps the default");
}

static struct str text_of(const struct json_value *value)
{
    return value && (value->kind == JSON_STRING || value->kind == JSON_NUMBER) ? value->str : STR_NULL;
}

static void read_settings(struct run *run, const struct json_value *test)
{
    const struct json_value *topics = json_get(test, STR("topics")),
                            *properties = json_get(test, STR("properties"));
    for (uint32_t i = 0; topics != NULL && i < topics->len; i++) {
        const struct json_value *topic = &topics->elems[i];
        int64_t partitions = 1;
        if (str_eq_cstr(text_of(json_get(topic, STR("role"))), "sink"))
            continue;
        if (json_get(topic, STR("statement_partitions")) != NULL)
            continue; /* the statement makes it */
        number_of(json_get(topic, STR("partitions")), &partitions);
        put_topic(run, text_of(json_get(topic, STR("name"))), (int32_t)partitions);
    }
    for (uint32_t i = 0; properties != NULL && properties->kind == JSON_OBJECT && i < properties->len; i++) {
        const struct json_value *value = &properties->members[i].value;
        struct str text = value->kind == JSON_BOOL ? (value->b ? STR("true") : STR("false")) : value->str;
        put_property(run, properties->members[i].name, text);
    }
}

/* Parses statements [first, end) as one text and runs them. */
static bool run_text(struct run *run, const struct json_value *statements, uint32_t first, uint32_t end)
{
    struct buf text = {0};
    for (uint32_t i = first; i < end; i++) {
        buf_append_str(&text, statements->elems[i].str);
        buf_append_char(&text, '\n');
    }
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct str all = str_dup(buf_str(&text), &run->arena);
    buf_fini(&text);
    if (!(run->script ? sql_parse_script : sql_parse)(all, NULL, &stmts, &count, &run->arena, &run->err))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!run_statement(run, stmts[i]))
            return false;
    return true;
}

/* REST cases send their queries one by one, all else goes as one text. */
static bool run_statements(struct run *run, const struct json_value *test)
{
    const struct json_value *statements = json_get(test, STR("statements"));
    int64_t first_query = statements->len;
    number_of(json_get(test, STR("first_query")), &first_query);
    if (!run_text(run, statements, 0, (uint32_t)first_query))
        return false;
    for (uint32_t i = (uint32_t)first_query; i < statements->len; i++)
        if (!run_text(run, statements, i, i + 1))
            return false;
    return true;
}

static void print_wrap(const struct source_format *format, struct buf *out)
{
    static const char *const words[] = {
        [WRAP_DEFAULT] = "", [WRAP_SINGLES] = " WRAP_SINGLES", [UNWRAP_SINGLES] = " UNWRAP_SINGLES"};
    buf_append_cstr(out, words[format->wrap]);
}

/* kind, columns, formats, window in one line, made of a source or of its record. */
static void print_source(const struct source *source, struct buf *out)
{
    static const char *const windows[] = {[WINDOW_NONE] = "",
                                          [WINDOW_TUMBLING] = " TUMBLING",
                                          [WINDOW_HOPPING] = " HOPPING",
                                          [WINDOW_SESSION] = " SESSION"};
    buf_append_cstr(out, source->kind == SOURCE_STREAM ? "stream " : "table ");
    schema_print(source->schema, out);
    buf_printf(out, " | %.*s", STR_ARG(source->key_format.name));
    print_wrap(&source->key_format, out);
    buf_append_cstr(out, windows[source->window_kind]);
    if (source->window_size_ms > 0)
        buf_printf(out, " %lld", (long long)source->window_size_ms);
    buf_printf(out, " | %.*s", STR_ARG(source->value_format.name));
    print_wrap(&source->value_format, out);
    buf_append_cstr(out, source->read_only ? " source" : "");
}

static void print_features(const struct json_value *features, struct buf *out)
{
    for (uint32_t i = 0; features != NULL && features->kind == JSON_ARRAY && i < features->len; i++)
        buf_printf(out, " %.*s", STR_ARG(features->elems[i].str));
}

static void print_recorded(const struct json_value *record, struct buf *out)
{
    const struct json_value *key = json_get(record, STR("key_format"));
    struct str window = text_of(json_get(key, STR("window_type"))),
               size = text_of(json_get(key, STR("window_size_ms")));
    const struct json_value *is_source = json_get(record, STR("is_source"));
    buf_printf(out, "%.*s %.*s", STR_ARG(text_of(json_get(record, STR("type")))),
               STR_ARG(text_of(json_get(record, STR("schema")))));
    buf_printf(out, " | %.*s", STR_ARG(text_of(json_get(key, STR("format")))));
    print_features(json_get(record, STR("key_features")), out);
    if (!str_is_null(window))
        buf_printf(out, " %.*s", STR_ARG(window));
    if (!str_is_null(size))
        buf_printf(out, " %.*s", STR_ARG(size));
    buf_printf(out, " | %.*s", STR_ARG(text_of(json_get(record, STR("value_format")))));
    print_features(json_get(record, STR("value_features")), out);
    buf_append_cstr(out, is_source && is_source->b ? " source" : "");
}

static bool check_recorded(struct run *run, const struct json_value *test, struct buf *report)
{
    const struct json_value *sources = json_get(json_get(test, STR("recorded")), STR("sources"));
    bool ok = true;
    for (uint32_t i = 0; sources != NULL && i < sources->len; i++) {
        struct buf have = {0}, want = {0};
        const struct source *source =
            catalog_source(run->catalog, text_of(json_get(&sources->elems[i], STR("name"))));
        print_recorded(&sources->elems[i], &want);
        if (source != NULL)
            print_source(source, &have);
        if (!str_eq(buf_str(&have), buf_str(&want))) {
            buf_printf(report, "    want %s\n    have %s\n", want.ptr, have.ptr ? have.ptr : "nothing");
            ok = false;
        }
        buf_fini(&have);
        buf_fini(&want);
    }
    const struct json_value *still = json_get(json_get(test, STR("post")), STR("no_repartition"));
    if (still != NULL && still->kind == JSON_BOOL && still->b && run->repartition) {
        buf_append_cstr(report, "    a step repartitions, none should\n");
        ok = false;
    }
    return ok;
}

static enum outcome judge(struct run *run, const struct json_value *test, bool ok, struct buf *report)
{
    const struct json_value *error = json_get(test, STR("error"));
    bool wants_error = error != NULL && error->kind == JSON_OBJECT;
    struct str category = text_of(json_get(error, STR("category"))),
               message = text_of(json_get(error, STR("message")));
    if (!ok && run->err.code == ERR_UNSUPPORTED)
        return APART;
    if (ok && (str_eq_cstr(category, "runtime") || str_eq_cstr(category, "assertion")))
        return APART;
    if (wants_error) {
        if (!ok && (str_is_null(message) || str_find(str_from(run->err.text), message) >= 0))
            return PASSED;
        buf_printf(report, "    want error %.*s\n    have %s\n", STR_ARG(message),
                   ok ? "none" : run->err.text);
        return FAILED;
    }
    if (!ok) {
        buf_printf(report, "    refused: %s\n", run->err.text);
        return FAILED;
    }
    return check_recorded(run, test, report) ? PASSED : FAILED;
}

static enum outcome run_case(const struct json_value *test, struct buf *report)
{
    struct run run = {.settings = {INT32_MAX, INT32_MAX}};
    run.catalog = catalog_new();
    run.env = (struct analyze_env){run.catalog, &run.properties, &run.settings, topic_partitions, &run};
    run.script = str_eq_cstr(text_of(json_get(test, STR("suite"))), "sql");
    read_settings(&run, test);
    bool ok = run_statements(&run, test);
    enum outcome outcome = judge(&run, test, ok, report);
    struct str name;
    void *plan;
    for (size_t i = 0; map_next(&run.plans, &i, &name, &plan);)
        plan_free(plan);
    catalog_unref(run.catalog);
    map_fini(&run.plans);
    map_fini(&run.topics);
    map_fini(&run.properties);
    arena_fini(&run.arena);
    return outcome;
}

/* Files -------------------------------------------------------------------------------------------------- */

static bool run_file(const char *path, bool verbose, const char *only, uint32_t totals[3])
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    uint32_t counts[3] = {0};
    if (file == NULL)
        return false;
    for (ssize_t len; (len = getline(&line, &room, file)) > 0;) {
        struct arena arena = {0};
        struct err err;
        struct buf report = {0};
        const struct json_value *test = json_parse(str_of(line, (size_t)len), &arena, &err);
        if (test == NULL) {
            printf("%s: %s\n", path, err.text);
        } else if (only == NULL || str_eq_cstr(text_of(json_get(test, STR("id"))), only)) {
            enum outcome outcome = run_case(test, &report);
            counts[outcome]++;
            if (outcome == FAILED && verbose) {
                const struct json_value *statements = json_get(test, STR("statements"));
                printf("FAIL %.*s %.*s\n", STR_ARG(text_of(json_get(test, STR("id")))),
                       STR_ARG(text_of(json_get(test, STR("name")))));
                for (uint32_t i = 0; i < statements->len; i++)
                    printf("  %.*s\n", STR_ARG(statements->elems[i].str));
                printf("%s", report.ptr ? report.ptr : "");
            }
        }
        buf_fini(&report);
        arena_fini(&arena);
    }
    free(line);
    fclose(file);
    for (int i = 0; i < 3; i++)
        totals[i] += counts[i];
    if (counts[FAILED] > 0)
        printf("%s: %u passed, %u failed, %u apart\n", path, counts[PASSED], counts[FAILED], counts[APART]);
    return true;
}

static bool run_suite(const char *dir, const char *suite, bool verbose, const char *only)
{
    char path[4096];
    uint32_t totals[3] = {0};
    snprintf(path, sizeof path, "%s/%s", dir, suite);
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        if (str_ends_with(str_from(names[i]->d_name), STR(".jsonl"))) {
            snprintf(path, sizeof path, "%s/%s/%s", dir, suite, names[i]->d_name);
            run_file(path, verbose, only, totals);
        }
        free(names[i]);
    }
    free(names);
    printf("%s: %u passed, %u failed, %u apart\n", suite, totals[PASSED], totals[FAILED], totals[APART]);
    return true;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    const char *dir = argc > 1 + verbose ? argv[1 + verbose] : NULL;
    const char *only = argc > 2 + verbose ? argv[2 + verbose] : NULL;
    if (dir == NULL) {
        fprintf(stderr, "usage: plan_check [-v] DIR [CASE]\n");
        return 2;
    }
    func_enable_test_functions();
    bool ok = run_suite(dir, "query", verbose, only);
    ok &= run_suite(dir, "rest", verbose, only);
    ok &= run_suite(dir, "sql", verbose, only);
    return ok ? 0 : 1;
}
