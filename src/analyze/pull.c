/* pull.c - which queries without EMIT can be answered from what is there: one source, no regrouping, a
 * readable table. */
#include "analyze/analyze_int.h"

static const char help[] = " See https://cnfl.io/queries for more info.\n"
                           "Add EMIT CHANGES if you intended to issue a push query.";

static bool check_clauses(struct query_build *qb)
{
    const struct ast_query *query = qb->query;
    const struct {
        bool present;
        const char *words;
    } clauses[] = {
        {query->join_count > 0, "JOIN"},       {query->window.kind != WINDOW_NONE, "WINDOW"},
        {query->group_by != NULL, "GROUP BY"}, {query->partition_by != NULL, "PARTITION BY"},
        {query->having != NULL, "HAVING"},
    };
    for (size_t i = 0; i < COUNT_OF(clauses); i++)
        if (clauses[i].present)
            return deny(qb->err, "Pull queries don't support %s clauses.%s", clauses[i].words, help);
    if (query->limit >= 0 && !session_flag(qb->env, "ksql.query.pull.limit.clause.enabled", true))
        return deny(qb->err,
                    "LIMIT clause in pull queries is currently disabled. You can enable them by setting "
                    "ksql.query.pull.limit.clause.enabled=true.%s",
                    help);
    return true;
}

bool check_pull_source(struct query_build *qb)
{
    const struct source *source = qb->sources[0].source;
    if (source->kind == SOURCE_STREAM) {
        if (!session_flag(qb->env, "ksql.query.pull.stream.enabled", true))
            return deny(
                qb->err,
                "Pull queries on streams are disabled. To create a push query on the stream, add EMIT "
                "CHANGES to the end. To enable pull queries on streams, set the "
                "ksql.query.pull.stream.enabled config to 'true'.");
        return true;
    }
    if (source->materialized)
        return true;
    return deny(qb->err,
                "The `%.*s` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE "
                "QUERYABLE_%.*s AS "
                "SELECT * FROM %.*s'.%s",
                STR_ARG(source->name), STR_ARG(source->name), STR_ARG(source->name), help);
}

struct pseudo_search {
    struct query_build *qb;
    struct buf names;
};

/* Gathers ROWPARTITION and ROWOFFSET: a row that was read back from a store has no place in a topic. */
static bool gather_pseudo(const struct ast_expr *ast, void *state)
{
    struct pseudo_search *search = state;
    bool refused = ast->kind == AST_COLUMN && is_pseudo_name(ast->name) && !str_eq_cstr(ast->name, "ROWTIME");
    if (refused)
        buf_printf(&search->names, "%s`%.*s`", search->names.len ? ", " : "", STR_ARG(ast->name));
    return true;
}

static bool refuse_gathered(struct query_build *qb, struct pseudo_search *search, const char *clause)
{
    bool none = search->names.len == 0;
    if (!none)
        deny(qb->err, "Pull queries don't support the following columns in %s clauses: %s.%s", clause,
             search->names.ptr, help);
    buf_fini(&search->names);
    return none;
}

static bool check_pseudo(struct query_build *qb)
{
    struct pseudo_search search = {.qb = qb};
    for (uint32_t i = 0; i < qb->query->item_count; i++)
        if (qb->query->items[i].kind == SELECT_EXPR)
            ast_walk(qb->query->items[i].expr, gather_pseudo, &search);
    if (!refuse_gathered(qb, &search, "SELECT"))
        return false;
    search = (struct pseudo_search){.qb = qb};
    ast_walk(qb->query->where, gather_pseudo, &search);
    return refuse_gathered(qb, &search, "WHERE");
}

bool check_pull(struct query_build *qb)
{
    return check_clauses(qb) && check_pseudo(qb);
}
