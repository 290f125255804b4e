/* docs.c - `rialto doc`: references printed from the tables that the program itself works with. */
#include "main/docs.h"

#include "api/api.h"
#include "func/func.h"
#include "main/options.h"

/* Options ---------------------------------------------------------------------------------------------------------- */

static void doc_options(struct str pattern, bool json, struct buf *out)
{
    struct conf_table shown[8];
    const struct conf_table *tables[8];
    size_t count = 0;
    struct arena arena = {0};
    for (size_t i = 0; option_tables[i] != NULL; i++) {
        const struct conf_table *table = option_tables[i];
        struct conf_option *rows = arena_array(&arena, struct conf_option, table->count);
        size_t kept = 0;
        for (size_t o = 0; o < table->count; o++)
            if (cli_glob(pattern, str_from(table->options[o].name)))
                rows[kept++] = table->options[o];
        if (kept == 0)
            continue;
        ASSERT(count < COUNT_OF(shown));
        shown[count] = *table;
        shown[count].options = rows;
        shown[count].count = kept;
        tables[count] = &shown[count];
        count++;
    }
    if (json)
        conf_write_json(tables, count, out);
    else
        conf_write_markdown(tables, count, out);
    arena_fini(&arena);
}

/* Functions ---------------------------------------------------------------------------------------------------------- */

static const char *func_kind_word(enum func_kind kind)
{
    return kind == FUNC_SCALAR ? "scalar" : kind == FUNC_TABLE ? "table" : "aggregate";
}

static void put_signatures(const struct func *func, const struct func_doc *doc, struct json_writer *writer,
                           struct buf *out)
{
    for (uint32_t i = 0; i < doc->signature_count; i++) {
        struct buf line = {0}, arguments = {0}, result = {0};
        func_print_signature(func, i, &arguments, &result);
        buf_printf(&line, "%.*s(%s) -> %s", STR_ARG(doc->name), arguments.len ? arguments.ptr : "",
                   result.len ? result.ptr : "");
        if (writer != NULL)
            json_str(writer, buf_str(&line));
        else
            buf_printf(out, "    %s\n", line.ptr);
        buf_fini(&line);
        buf_fini(&arguments);
        buf_fini(&result);
    }
}

static void doc_functions(struct str pattern, bool json, struct buf *out)
{
    struct json_writer writer = {.out = out};
    const struct func *func;
    if (json)
        json_array_begin(&writer);
    for (uint32_t i = 0; (func = func_at(i)) != NULL; i++) {
        struct func_doc doc;
        func_describe(func, &doc);
        if (!cli_glob(pattern, doc.name))
            continue;
        if (json) {
            json_object_begin(&writer);
            json_key_str(&writer, "name", doc.name);
            json_key_cstr(&writer, "kind", func_kind_word(doc.kind));
            json_key_str(&writer, "category", doc.category);
            json_key_str(&writer, "description", doc.description);
            json_key_begin(&writer, "signatures");
            json_array_begin(&writer);
            put_signatures(func, &doc, &writer, out);
            json_array_end(&writer);
            json_object_end(&writer);
        } else {
            buf_printf(out, "### %.*s\n\n%.*s (%s, %.*s)\n\n", STR_ARG(doc.name), STR_ARG(doc.description),
                       func_kind_word(doc.kind), STR_ARG(doc.category));
            put_signatures(func, &doc, NULL, out);
            buf_append_char(out, '\n');
        }
    }
    if (json)
        json_array_end(&writer);
}

/* Routes --------------------------------------------------------------------------------------------------------------- */

struct route_print {
    struct str pattern;
    struct json_writer *json;
    struct buf *out;
};

static void put_route(const struct http_route *route, void *arg)
{
    struct route_print *print = arg;
    if (!cli_glob(print->pattern, str_from(route->pattern)))
        return;
    if (print->json != NULL) {
        json_object_begin(print->json);
        json_key_cstr(print->json, "method", route->method);
        json_key_cstr(print->json, "path", route->pattern);
        json_key_cstr(print->json, "doc", route->doc);
        json_object_end(print->json);
    } else {
        buf_printf(print->out, "| %s | `%s` | %s |\n", route->method, route->pattern,
                   route->doc != NULL ? route->doc : "");
    }
}

static void doc_routes(struct str pattern, bool json, struct buf *out)
{
    static struct api_env env; /* the routes are only listed, never called */
    struct http_options options = {.body_max = 0};
    struct http_server *server = http_server_new(&options);
    struct json_writer writer = {.out = out};
    struct route_print print = {.pattern = pattern, .json = json ? &writer : NULL, .out = out};
    api_routes(server, &env);
    if (json)
        json_array_begin(&writer);
    else
        buf_append_cstr(out, "| method | path | what |\n|---|---|---|\n");
    http_server_each_route(server, put_route, &print);
    if (json)
        json_array_end(&writer);
    http_server_free(server);
}

/* Metrics -------------------------------------------------------------------------------------------------------------- */

static void put_labels(const char *labels, struct json_writer *writer, struct buf *out)
{
    struct str rest = str_from(labels), name;
    bool first = true;
    if (writer != NULL)
        json_array_begin(writer);
    for (; str_split(&rest, ' ', &name) && name.len != 0; first = false) {
        if (writer != NULL)
            json_str(writer, name);
        else
            buf_printf(out, "%s%.*s", first ? "" : ", ", STR_ARG(name));
    }
    if (writer != NULL)
        json_array_end(writer);
}

static void doc_metrics(struct str pattern, bool json, struct buf *out)
{
    struct json_writer writer = {.out = out};
    if (json)
        json_array_begin(&writer);
    else
        buf_append_cstr(out, "| metric | kind | labels | what |\n|---|---|---|---|\n");
    for (size_t i = 0; i < metric_defs.count; i++) {
        const struct metric_def *def = &metric_defs.at[i];
        if (!cli_glob(pattern, str_from(def->name)))
            continue;
        if (json) {
            json_object_begin(&writer);
            json_key_cstr(&writer, "name", def->name);
            json_key_cstr(&writer, "kind", metric_kind_name(def->kind));
            json_key_begin(&writer, "labels");
            put_labels(def->labels, &writer, NULL);
            json_key_cstr(&writer, "doc", def->help);
            json_object_end(&writer);
        } else {
            buf_printf(out, "| `%s` | %s | ", def->name, metric_kind_name(def->kind));
            put_labels(def->labels, NULL, out);
            buf_printf(out, " | %s |\n", def->help);
        }
    }
    if (json)
        json_array_end(&writer);
}

/* Rights --------------------------------------------------------------------------------------------------------------- */

static void doc_rights(struct str pattern, bool json, struct buf *out)
{
    struct json_writer writer = {.out = out};
    struct broker_right_doc right;
    if (json)
        json_array_begin(&writer);
    else
        buf_append_cstr(out,
                        "| API | resource | operation | error without it | when |\n|---|---|---|---|---|\n");
    for (size_t i = 0; broker_right_at(i, &right); i++) {
        if (!cli_glob(pattern, str_from(right.api)))
            continue;
        if (json) {
            json_object_begin(&writer);
            json_key_cstr(&writer, "api", right.api);
            json_key_cstr(&writer, "resource", right.resource);
            json_key_cstr(&writer, "operation", right.operation);
            json_key_i64(&writer, "error", right.error);
            json_key_cstr(&writer, "when", right.when);
            json_object_end(&writer);
        } else {
            buf_printf(out, "| %s | %s | %s | %d | %s |\n", right.api, right.resource, right.operation,
                       right.error, right.when);
        }
    }
    if (json)
        json_array_end(&writer);
}

const struct cli_docs rialto_docs = {.options = doc_options,
                                     .functions = doc_functions,
                                     .routes = doc_routes,
                                     .metrics = doc_metrics,
                                     .rights = doc_rights};
