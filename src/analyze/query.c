/* query.c - the analysis of a query, part by part, in the order in which ksqlDB refuses.
 *
 *     analyze_query
 *       collect_sources      FROM and JOIN: fields
 *       check_qualifiers, check_statement, check_reserved_items, read_sink_properties
 *       analyze_joins        criteria, kinds, keys
 *       analyze_window, analyze_where, analyze_groups, analyze_partition
 *       analyze_select       items
 *       analyze_aggregation  HAVING, aggregates
 *       analyze_keys         key columns among the items
 *       analyze_sink         schema, formats, topic
 */
#include "analyze/analyze_int.h"

/* Statement ---------------------------------------------------------------------------------------------- */

static bool check_persistent(struct query_build *qb)
{
    if (qb->query->limit != -1)
        return deny(qb->err, "%s statements don't support LIMIT clause.",
                    qb->out->insert ? "INSERT INTO" : sql_stmt_words(qb->stmt->kind));
    for (uint32_t i = 0; i < qb->out->source_count; i++) {
        const struct source *source = qb->sources[i].source;
        if (source->kind == SOURCE_TABLE && source->window_kind != WINDOW_NONE)
            return deny(qb->err, "KSQL does not support persistent queries on windowed tables.");
    }
    return true;
}

static bool check_statement(struct query_build *qb)
{
    switch (qb->out->kind) {
    case ANALYSIS_PERSISTENT:
        return check_persistent(qb);
    case ANALYSIS_PULL:
        return check_pull(qb);
    case ANALYSIS_PUSH:
        return true;
    }
    UNREACHABLE();
}

/* Qualifiers are looked at before anything else is resolved. */
static bool check_qualifier(const struct ast_expr *ast, void *state)
{
    struct query_build *qb = state;
    if (ast->kind != AST_COLUMN || str_is_null(ast->qualifier))
        return true;
    for (uint32_t i = 0; i < qb->out->source_count; i++)
        if (str_eq(qb->sources[i].alias, ast->qualifier))
            return true;
    return deny(qb->err, "Failed to prepare statement: '%.*s' is not a valid stream/table name or alias.",
                STR_ARG(ast->qualifier));
}

static bool check_qualifiers(struct query_build *qb)
{
    const struct ast_query *query = qb->query;
    bool ok = ast_walk(query->where, check_qualifier, qb) && ast_walk(query->having, check_qualifier, qb);
    for (uint32_t i = 0; ok && i < query->join_count; i++)
        ok = ast_walk(query->joins[i].on, check_qualifier, qb);
    for (uint32_t i = 0; ok && i < query->item_count; i++)
        if (query->items[i].kind == SELECT_EXPR)
            ok = ast_walk(query->items[i].expr, check_qualifier, qb);
    for (uint32_t i = 0; ok && query->group_by != NULL && i < query->group_by_count; i++)
        ok = ast_walk(query->group_by[i], check_qualifier, qb);
    for (uint32_t i = 0; ok && query->partition_by != NULL && i < query->partition_by_count; i++)
        ok = ast_walk(query->partition_by[i], check_qualifier, qb);
    return ok;
}

/* A sink cannot have columns of reserved names, wherever they would come from. */
static bool check_reserved_items(struct query_build *qb)
{
    for (uint32_t i = 0; qb->out->kind == ANALYSIS_PERSISTENT && !qb->join && i < qb->query->item_count;
         i++) {
        const struct ast_select_item *item = &qb->query->items[i];
        bool plain = item->kind == SELECT_EXPR && item->expr->kind == AST_COLUMN && str_is_null(item->alias);
        if (plain && is_bound_name(item->expr->name))
            return deny(qb->err, "Reserved column name in select: `%.*s`. Please remove or alias the column.",
                        STR_ARG(item->expr->name));
    }
    return true;
}

/* The value formats of joined sources must be able to take part. */
static bool check_join_formats(struct query_build *qb)
{
    struct buf names = {0};
    struct str format = STR_NULL;
    for (uint32_t i = 0; qb->join && i < qb->out->source_count; i++) {
        const struct source *source = qb->sources[i].source;
        const struct serde_format *row = serde_format_find(source->value_format.name);
        if (row->joins_and_groups)
            continue;
        format = row->name;
        buf_printf(&names, "%s%.*s", names.len ? ", " : "", STR_ARG(source->name));
    }
    bool ok = names.len == 0 ||
              deny(qb->err,
                   "Source(s) %s are using the '%.*s' value format. This format does not yet support JOIN.",
                   names.ptr, STR_ARG(format));
    buf_fini(&names);
    return ok;
}

static bool analyze_where(struct query_build *qb)
{
    if (qb->query->where == NULL)
        return true;
    if (calls_aggregate(qb->query->where))
        return deny(qb->err, "WHERE does not support aggregate functions: use HAVING. Got %s",
                    text_of_expr(qb->query->where, qb->arena));
    const struct ast_expr *ast = canonical_expr(qb, qb->query->where, CLAUSE_WHERE);
    if (ast == NULL)
        return false;
    qb->out->where = typed_expr(qb, ast, CLAUSE_WHERE);
    if (qb->out->where == NULL) {
        word_refusal(qb, ast, CLAUSE_WHERE);
        return false;
    }
    if (qb->out->where->type->kind == SQL_BOOLEAN)
        return true;
    return deny(qb->err, "Type error in WHERE expression: Should evaluate to boolean but is %s (%s) instead.",
                text_of_expr(ast, qb->arena), text_of_type(qb->out->where->type, qb->arena));
}

static bool analyze_parts(struct query_build *qb)
{
    if (!collect_sources(qb) || !check_qualifiers(qb) || !check_statement(qb) || !check_reserved_items(qb) ||
        !read_sink_properties(qb) || !check_join_formats(qb) || !analyze_joins(qb))
        return false;
    if (!analyze_window(qb) || !analyze_where(qb) || !analyze_groups(qb) || !analyze_partition(qb))
        return false;
    if (!analyze_select(qb) || !analyze_aggregation(qb))
        return false;
    if (qb->out->aggregated)
        qb->out->result_kind = SOURCE_TABLE;
    return check_sink_timestamp(qb) && analyze_keys(qb) && analyze_sink(qb) &&
           (qb->out->kind != ANALYSIS_PULL || check_pull_source(qb));
}

/* Result ------------------------------------------------------------------------------------------------- */

static enum analysis_kind kind_of(const struct ast_stmt *stmt)
{
    if (stmt->kind != STMT_QUERY)
        return ANALYSIS_PERSISTENT;
    return stmt->query->emit == EMIT_NONE ? ANALYSIS_PULL : ANALYSIS_PUSH;
}

/* Hands the growing parts over to the analysis. */
static void finish(struct query_build *qb)
{
    struct analysis *out = qb->out;
    out->fields = arena_dup(qb->arena, qb->fields.at, qb->fields.len * sizeof *qb->fields.at);
    out->field_count = (uint32_t)qb->fields.len;
    out->items = arena_dup(qb->arena, qb->items.at, qb->items.len * sizeof *qb->items.at);
    out->item_count = (uint32_t)qb->items.len;
}

static void release(struct query_build *qb)
{
    vec_fini(&qb->fields);
    vec_fini(&qb->items);
    vec_fini(&qb->tables);
    vec_fini(&qb->aggregates);
    map_fini(&qb->aliases.used);
}

bool analyze_query(const struct analyze_env *env, const struct ast_stmt *stmt, struct str query_id,
                   const struct analysis **analysis, struct arena *arena, struct err *err)
{
    ASSERT(stmt->query != NULL);
    struct arena *own = mem_new(struct arena);
    struct analysis *out = arena_new(own, struct analysis);
    struct err local; /* messages are built on what the checks below wrote */
    struct query_build qb = {.env = env,
                             .stmt = stmt,
                             .query = stmt->query,
                             .out = out,
                             .arena = own,
                             .err = err ? err : &local,
                             .sink_name = stmt->kind == STMT_QUERY ? STR_NULL : stmt->name,
                             .join_key_field = -1};
    out->arena = own;
    out->kind = kind_of(stmt);
    out->insert = stmt->kind == STMT_INSERT_INTO;
    out->query_id = str_dup(query_id, own);
    out->statement = str_dup(stmt->text, own);
    out->emit = stmt->query->emit;
    out->limit = stmt->query->limit;
    bool ok = analyze_parts(&qb);
    finish(&qb);
    release(&qb);
    if (!ok) {
        analysis_free(out);
        return false;
    }
    *analysis = out;
    return true;
}

void analysis_free(const struct analysis *analysis)
{
    if (analysis == NULL)
        return;
    for (uint32_t i = 0; i < analysis->source_count; i++)
        source_unref(analysis->sources[i].source);
    source_unref(analysis->sink);
    struct arena *arena = analysis->arena;
    arena_fini(arena);
    free(arena);
}
