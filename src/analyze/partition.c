/* partition.c - PARTITION BY: the new key of a stream, by expressions over its columns. */
#include "analyze/analyze_int.h"

static bool is_null(const struct ast_expr *ast)
{
    return ast->kind == AST_NULL;
}

/* The expressions are the key that the rows have: nothing moves. */
static bool is_present_key(const struct query_build *qb, const struct expr *const *keys, uint32_t count)
{
    const struct source *first = qb->sources[0].source;
    if (qb->join) {
        if (count != 1 || keys[0]->kind != EXPR_COLUMN)
            return false;
        for (uint32_t i = 0; i < qb->viable_key_count; i++)
            if (qb->viable_keys[i] == (int32_t)keys[0]->index)
                return true;
        return (int32_t)keys[0]->index == qb->join_key_field;
    }
    if (count != first->schema->key_count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (keys[i]->kind != EXPR_COLUMN || keys[i]->index != i)
            return false;
    return true;
}

static bool check_windowed(struct query_build *qb)
{
    if (qb->sources[0].source->window_kind == WINDOW_NONE || !qb->out->rekeyed)
        return true;
    return deny(qb->err, "Implicit repartitioning of windowed sources is not supported. See "
                         "https://github.com/confluentinc/ksql/issues/4385.");
}

static bool check_stream(struct query_build *qb)
{
    if (qb->out->result_kind == SOURCE_STREAM || !qb->out->rekeyed)
        return true;
    return deny(
        qb->err,
        "Cannot repartition a TABLE source. If this is a join, joins on tables must be on the primary key "
        "of the right table, and on the primary key or a foreign key of the left one.");
}

bool analyze_partition(struct query_build *qb)
{
    const struct ast_query *query = qb->query;
    if (query->partition_by == NULL)
        return true;
    uint32_t count = query->partition_by_count;
    if (count == 0)
        return deny(qb->err, "PARTITION BY requires at least one expression");
    const struct expr **keys = arena_array(qb->arena, const struct expr *, count);
    qb->out->partition = keys;
    if (count == 1 && is_null(query->partition_by[0])) {
        qb->out->rekeyed = true;
        return check_stream(qb) && check_windowed(qb);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_null(query->partition_by[i]))
            return deny(qb->err, "Cannot PARTITION BY multiple columns including NULL");
        if (calls_aggregate(query->partition_by[i]))
            return deny(qb->err, "PARTITION BY does not support aggregate functions: %s",
                        text_of_expr(query->partition_by[i], qb->arena));
        const struct ast_expr *ast = canonical_expr(qb, query->partition_by[i], CLAUSE_PARTITION_BY);
        keys[i] = ast ? typed_expr(qb, ast, CLAUSE_PARTITION_BY) : NULL;
        if (keys[i] == NULL)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (analysis_expr_eq(keys[i], keys[k]))
                return deny(qb->err, "Duplicate PARTITION BY expression: %s", qualified_text(qb, ast));
    }
    qb->out->partition_count = count;
    qb->out->rekeyed = !is_present_key(qb, keys, count);
    return check_stream(qb) && check_windowed(qb);
}
