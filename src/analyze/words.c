/* words.c - refusals and the texts they quote, session properties, reserved names. */
#include "analyze/analyze_int.h"

#include <stdarg.h>

bool deny(struct err *err, const char *fmt, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    err_set(err, ERR_STATEMENT, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}

/* Copies the text into the arena and releases the buffer. */
static const char *keep(struct buf *text, struct arena *arena)
{
    const char *copy = str_cstr(buf_str(text), arena);
    buf_fini(text);
    return copy;
}

const char *text_of_expr(const struct ast_expr *ast, struct arena *arena)
{
    struct buf text = {0};
    sql_print_expr(ast, &text);
    return keep(&text, arena);
}

const char *text_of_type(const struct sql_type *type, struct arena *arena)
{
    struct buf text = {0};
    type_print(type, &text);
    return keep(&text, arena);
}

const char *text_of_schema(const struct schema *schema, struct arena *arena)
{
    struct buf text = {0};
    schema_print(schema, &text);
    return keep(&text, arena);
}

const char *text_of_columns(const struct column *columns, uint32_t count, struct arena *arena)
{
    struct buf text = {0};
    struct schema schema = {.columns = columns, .column_count = count};
    while (schema.key_count < count && columns[schema.key_count].role == COLUMN_KEY)
        schema.key_count++;
    buf_append_char(&text, '[');
    schema_print(&schema, &text);
    buf_append_char(&text, ']');
    return keep(&text, arena);
}

/* A source whose name differs by case only: the writer's quotes were one too many or missing. */
static const struct source *near_name(const struct catalog *catalog, struct str name)
{
    const struct source *source;
    for (uint32_t i = 0; (source = catalog_source_at(catalog, i)) != NULL; i++)
        if (str_eq_nocase(source->name, name))
            return source;
    return NULL;
}

bool refuse_unknown_source(const struct analyze_env *env, struct str name, const char *prefix,
                           const char *suffix, struct err *err)
{
    const struct source *near = near_name(env->catalog, name);
    if (near == NULL)
        return deny(err, "%s%.*s%s", prefix, STR_ARG(name), suffix);
    struct arena arena = {0};
    bool folded = str_eq(near->name, str_upper(near->name, &arena));
    arena_fini(&arena);
    if (folded)
        return deny(err,
                    "%s%.*s%s\nDid you mean %.*s? Hint: try removing double quotes from the source name.",
                    prefix, STR_ARG(name), suffix, STR_ARG(near->name));
    return deny(err,
                "%s%.*s%s\nDid you mean \"%.*s\"? Hint: wrap the source name in double quotes to make it "
                "case-sensitive.",
                prefix, STR_ARG(name), suffix, STR_ARG(near->name));
}

bool is_pseudo_name(struct str name)
{
    return str_eq_cstr(name, "ROWTIME") || str_eq_cstr(name, "ROWPARTITION") ||
           str_eq_cstr(name, "ROWOFFSET");
}

bool is_bound_name(struct str name)
{
    return str_eq_cstr(name, "WINDOWSTART") || str_eq_cstr(name, "WINDOWEND");
}

bool is_reserved_name(struct str name)
{
    return is_pseudo_name(name) || is_bound_name(name);
}

struct str session_property(const struct analyze_env *env, const char *name)
{
    const struct str *value = env->properties ? map_get(env->properties, str_from(name)) : NULL;
    return value ? *value : STR_NULL;
}

bool session_flag(const struct analyze_env *env, const char *name, bool fallback)
{
    struct str value = session_property(env, name);
    return str_is_null(value) ? fallback : str_eq_nocase(value, STR("true"));
}
