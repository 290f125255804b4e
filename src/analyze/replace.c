/* replace.c - CREATE OR REPLACE: what of a source may change.
 *
 * Rows that were written stay readable, and rows that a query kept stay its own: topic, formats, time and
 * key columns are fixed, columns may only be added behind the present ones.
 */
#include "analyze/analyze_int.h"

struct comparison {
    const struct source *before, *after;
    struct arena arena;
    struct err *err;
};

static bool differ(struct comparison *cmp, const char *what, const char *before, const char *after,
                   const char *reason)
{
    return deny(cmp->err,
                "Cannot upgrade data source: DataSource '%.*s' has %s = %s which is not upgradeable to %s%s",
                STR_ARG(cmp->before->name), what, before, after, reason);
}

static bool check_text(struct comparison *cmp, const char *what, struct str before, struct str after)
{
    if (str_eq(before, after))
        return true;
    return differ(cmp, what, str_cstr(str_is_null(before) ? STR("none") : before, &cmp->arena),
                  str_cstr(str_is_null(after) ? STR("none") : after, &cmp->arena), "");
}

static bool column_eq(const struct column *a, const struct column *b)
{
    return str_eq(a->name, b->name) && a->role == b->role && type_eq(a->type, b->type);
}

/* Columns of the first `count` that do not stand in the same place after; NULL when all do. */
static const char *moved_columns(struct comparison *cmp, uint32_t first, uint32_t count,
                                 const struct schema *after, uint32_t after_first, uint32_t after_count)
{
    struct column *moved = arena_array(&cmp->arena, struct column, count);
    uint32_t moved_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct column *column = &cmp->before->schema->columns[first + i];
        if (i >= after_count || !column_eq(column, &after->columns[after_first + i]))
            moved[moved_count++] = *column;
    }
    return moved_count ? text_of_columns(moved, moved_count, &cmp->arena) : NULL;
}

static bool check_schema(struct comparison *cmp)
{
    const struct schema *before = cmp->before->schema, *after = cmp->after->schema;
    const char *reason = NULL;
    const char *keys = moved_columns(cmp, 0, before->key_count, after, 0, after->key_count);
    const char *values = moved_columns(cmp, before->key_count, before->column_count - before->key_count,
                                       after, after->key_count, after->column_count - after->key_count);
    if (keys != NULL)
        reason = str_printf(&cmp->arena,
                            ". (Key columns must be identical. The following key columns are changed, "
                            "missing or reordered: "
                            "%s)",
                            keys)
                     .ptr;
    else if (before->key_count != after->key_count)
        reason = ". (Key columns must be identical. There are new key columns.)";
    else if (values != NULL)
        reason =
            str_printf(&cmp->arena, ". (The following columns are changed, missing or reordered: %s)", values)
                .ptr;
    if (reason == NULL)
        return true;
    return differ(cmp, "schema", text_of_schema(before, &cmp->arena), text_of_schema(after, &cmp->arena),
                  reason);
}

static bool check_formats(struct comparison *cmp)
{
    return check_text(cmp, "key format", cmp->before->key_format.name, cmp->after->key_format.name) &&
           check_text(cmp, "value format", cmp->before->value_format.name, cmp->after->value_format.name);
}

static bool check_windows(struct comparison *cmp)
{
    if (cmp->before->window_kind == cmp->after->window_kind &&
        cmp->before->window_size_ms == cmp->after->window_size_ms)
        return true;
    return deny(cmp->err,
                "Cannot upgrade data source: DataSource '%.*s' has another window, which is not upgradeable",
                STR_ARG(cmp->before->name));
}

static bool check_all(struct comparison *cmp)
{
    const struct source *before = cmp->before, *after = cmp->after;
    if (before->kind != after->kind)
        return differ(cmp, "type", before->kind == SOURCE_STREAM ? "KSTREAM" : "KTABLE",
                      after->kind == SOURCE_STREAM ? "KSTREAM" : "KTABLE", "");
    return check_schema(cmp) && check_text(cmp, "topic", before->topic, after->topic) && check_formats(cmp) &&
           check_windows(cmp) &&
           check_text(cmp, "timestamp column", before->timestamp_column, after->timestamp_column) &&
           check_text(cmp, "timestamp format", before->timestamp_format, after->timestamp_format);
}

bool analyze_can_replace(const struct source *before, const struct source *after, struct err *err)
{
    ASSERT(str_eq(before->name, after->name));
    struct comparison cmp = {.before = before, .after = after, .err = err};
    bool ok = check_all(&cmp);
    arena_fini(&cmp.arena);
    return ok;
}
