/* keys.c - the key columns of the result, and whether the select list shows them.
 *
 *   PARTITION BY / GROUP BY   its expressions
 *   join                      a column equal to the joined value, the left-most that is selected; or ROWKEY
 *   foreign key join          the key columns of the left table
 *   else                      the key columns of the source
 *
 * A persistent query shows each exactly once, so that its sink has a key. Push and pull queries need not.
 */
#include "analyze/analyze_int.h"

/* How the key columns are called when they are missing: `must include the <one> A` / `the <many> A and B`. */
struct key_words {
    const char *one, *many;
    const char *last; /* between the last two names */
};

static uint32_t items_of(const struct query_build *qb, const struct expr *key, uint32_t *first)
{
    uint32_t count = 0;
    for (size_t i = 0; i < qb->items.len; i++)
        if (analysis_expr_eq(qb->items.at[i].expr, key) && count++ == 0)
            *first = (uint32_t)i;
    return count;
}

/* "A", "A and B", "A, B and C". */
static const char *join_names(const struct str *names, uint32_t count, const char *last, struct arena *arena)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&text, "%s%.*s", i == 0 ? "" : i + 1 == count ? last : ", ", STR_ARG(names[i]));
    const char *copy = str_cstr(buf_str(&text), arena);
    buf_fini(&text);
    return copy;
}

/* Missing keys ------------------------------------------------------------------------------------------- */

static bool refuse_missing(struct query_build *qb, const struct key_words *words, const struct str *names,
                           uint32_t count, bool alternatives)
{
    const char *synthetic =
        qb->join && qb->join_key_field >= 0 && !qb->out->aggregated && !qb->out->rekeyed
            ? str_printf(qb->arena,
                         "\n%.*s was added as a synthetic key column because the join criteria did not match "
                         "any source "
                         "column. This expression must be included in the projection and may be aliased.",
                         STR_ARG(qb->fields.at[qb->join_key_field].name))
                  .ptr
            : "";
    return deny(qb->err,
                "Key missing from projection (ie, SELECT). See https://cnfl.io/2LV7ouS.\nThe query used to "
                "build `%.*s` "
                "must include the %s %s in its projection (eg, SELECT %s...).%s",
                STR_ARG(qb->sink_name), count == 1 ? words->one : words->many,
                join_names(names, count, words->last, qb->arena),
                alternatives ? join_names(names, 1, "", qb->arena)
                             : join_names(names, count, ", ", qb->arena),
                synthetic);
}

static bool refuse_foreign_missing(struct query_build *qb, const struct expr *const *keys, uint32_t count)
{
    struct buf missing = {0};
    uint32_t missing_count = 0, item;
    for (uint32_t i = 0; i < count; i++)
        if (items_of(qb, keys[i], &item) == 0)
            buf_printf(&missing, "%s`%.*s`", missing_count++ ? ", " : "",
                       STR_ARG(qb->fields.at[keys[i]->index].name));
    deny(qb->err,
         "Primary key column%s missing in projection. For foreign-key table-table joins, the projection "
         "must include all "
         "primary key columns from the left input table (`%.*s`). Missing column%s: %s.",
         missing_count > 1 ? "s" : "", STR_ARG(qb->sources[0].alias), missing_count > 1 ? "s" : "",
         missing.ptr);
    buf_fini(&missing);
    return false;
}

/* Keys shown twice --------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool refuse_twice(struct query_build *qb, const struct expr *key)
{
    struct str *names = arena_array(qb->arena, struct str, qb->items.len);
    uint32_t count = 0;
    bool grouped = qb->query->group_by != NULL;
    for (size_t i = 0; i < qb->items.len; i++)
        if (analysis_expr_eq(qb->items.at[i].expr, key))
            names[count++] = grouped ? str_printf(qb->arena, "`%.*s`", STR_ARG(qb->items.at[i].name))
                                     : qb->items.at[i].name;
    qsort(names, count, sizeof *names, by_name);
    const char *list = join_names(names, count, " and ", qb->arena);
    if (grouped)
        return deny(
            qb->err,
            "The projection contains a key column more than once: %s.\nEach key column must only be in the "
            "projection once. If you intended to copy the key into the value, then consider using the "
            "AS_VALUE "
            "function to indicate which key reference should be copied.",
            list);
    struct str name = key->kind == EXPR_COLUMN ? qb->fields.at[key->index].internal
                                               : str_from(text_of_expr(key->ast, qb->arena));
    return deny(qb->err,
                "The projection contains a key column (`%.*s`) more than once, aliased as: %s.\nEach key "
                "column must only be "
                "in the projection once. If you intended to copy the key into the value, then consider "
                "using the AS_VALUE "
                "function to indicate which key reference should be copied.",
                STR_ARG(name), list);
}

/* Choosing ----------------------------------------------------------------------------------------------- */

static void set_keys(struct query_build *qb, const struct expr *const *keys, uint32_t count)
{
    struct analysis_key *out = arena_array(qb->arena, struct analysis_key, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t item = 0;
        out[i].expr = keys[i];
        out[i].item = items_of(qb, keys[i], &item) ? (int32_t)item : -1;
        if (out[i].item >= 0) {
            qb->items.at[item].key = (int32_t)i;
            out[i].name = qb->items.at[item].name;
        } else {
            out[i].name = keys[i]->kind == EXPR_COLUMN ? qb->fields.at[keys[i]->index].internal
                                                       : alias_next(&qb->aliases, qb->arena);
        }
    }
    qb->out->keys = out;
    qb->out->key_count = count;
}

/* Each key exactly once; `names` are what a refusal calls them. */
static bool require_keys(struct query_build *qb, const struct expr *const *keys, uint32_t count,
                         const struct str *names, const struct key_words *words)
{
    if (qb->out->kind != ANALYSIS_PERSISTENT)
        return true;
    uint32_t item;
    for (uint32_t i = 0; i < count; i++)
        if (items_of(qb, keys[i], &item) == 0)
            return refuse_missing(qb, words, names, count, false);
    for (uint32_t i = 0; i < count; i++)
        if (items_of(qb, keys[i], &item) > 1)
            return refuse_twice(qb, keys[i]);
    return true;
}

static bool expr_keys(struct query_build *qb, const struct expr *const *keys, uint32_t count,
                      const struct key_words *words)
{
    struct str *names = arena_array(qb->arena, struct str, count);
    for (uint32_t i = 0; i < count; i++)
        names[i] = str_from(qb->query->partition_by ? qualified_text(qb, keys[i]->ast)
                                                    : text_of_expr(keys[i]->ast, qb->arena));
    if (!require_keys(qb, keys, count, names, words))
        return false;
    set_keys(qb, keys, count);
    return true;
}

static bool source_keys(struct query_build *qb, bool foreign)
{
    const struct key_words words =
        qb->out->partition
            ? (struct key_words){"partitioning expression", "partitioning expressions", " and "}
            : (struct key_words){"key column", "key columns", " and "};
    uint32_t count = qb->sources[0].source->schema->key_count, item;
    const struct expr **keys = arena_array(qb->arena, const struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = field_expr(qb, qb->sources[0].first_field + i, (struct sql_place){0, 0});
    for (uint32_t i = 0; foreign && qb->out->kind == ANALYSIS_PERSISTENT && i < count; i++)
        if (items_of(qb, keys[i], &item) == 0)
            return refuse_foreign_missing(qb, keys, count);
    return expr_keys(qb, keys, count, &words);
}

static bool join_key(struct query_build *qb)
{
    static const struct key_words words = {"join expression", "join expressions", " or "};
    uint32_t count = qb->viable_key_count ? qb->viable_key_count : 1, item;
    const struct expr **viable = arena_array(qb->arena, const struct expr *, count);
    struct str *names = arena_array(qb->arena, struct str, count);
    for (uint32_t i = 0; i < count; i++) {
        int32_t field = qb->viable_key_count ? qb->viable_keys[i] : qb->join_key_field;
        viable[i] = field_expr(qb, (uint32_t)field, (struct sql_place){0, 0});
        names[i] = str_from(text_of_expr(viable[i]->ast, qb->arena));
    }
    uint32_t chosen = 0;
    while (chosen < count && items_of(qb, viable[chosen], &item) == 0)
        chosen++;
    if (chosen == count && qb->out->kind == ANALYSIS_PERSISTENT)
        return refuse_missing(qb, &words, names, count, true);
    struct analysis_join *last = &qb->joins[qb->out->source_count - 2];
    if (chosen == count) { /* nobody asks for it: the side that always has it */
        int32_t field = qb->viable_key_count ? last->key_field : qb->join_key_field;
        const struct expr *key = field_expr(qb, (uint32_t)field, (struct sql_place){0, 0});
        set_keys(qb, &key, 1);
        return true;
    }
    if (items_of(qb, viable[chosen], &item) > 1 && qb->out->kind == ANALYSIS_PERSISTENT)
        return refuse_twice(qb, viable[chosen]);
    if (viable[chosen]->kind == EXPR_COLUMN && qb->viable_key_count)
        last->key_field = (int32_t)viable[chosen]->index;
    set_keys(qb, &viable[chosen], 1);
    return true;
}

bool analyze_keys(struct query_build *qb)
{
    static const struct key_words partition_words = {"partitioning expression", "partitioning expressions",
                                                     " and "};
    static const struct key_words group_words = {"grouping expression", "grouping expressions", " and "};
    struct analysis *out = qb->out;
    out->key_window = qb->sources[0].source->window_kind;
    out->key_window_size_ms = qb->sources[0].source->window_size_ms;
    bool ok;
    if (out->aggregated) {
        out->key_window = out->window.kind;
        out->key_window_size_ms = out->window.kind == WINDOW_SESSION ? 0 : out->window.size_ms;
        ok = expr_keys(qb, out->groups, out->group_count, &group_words);
    } else if (out->partition != NULL && out->rekeyed) {
        ok = expr_keys(qb, out->partition, out->partition_count, &partition_words);
    } else if (qb->join && !qb->joins[0].foreign_key) {
        ok = join_key(qb);
    } else {
        ok = source_keys(qb, qb->join);
    }
    if (!ok || out->kind != ANALYSIS_PERSISTENT)
        return ok;
    for (size_t i = 0; i < qb->items.len; i++)
        if (qb->items.at[i].key < 0)
            return true;
    return deny(qb->err, "The projection contains no value columns.");
}
