/* aggregate.c - WINDOW, GROUP BY, HAVING and the rules of aggregations.
 *
 * What may stand outside of an aggregate's arguments: a GROUP BY expression, anything computed from such
 * and from constants, and the bounds of the query's window. Expressions are compared as typed trees, so
 * that `TEST.A` and `A` are one.
 */
#include "analyze/analyze_int.h"

enum { GRACE_DEFAULT_MS = 24 * 3600 * 1000 };

/* Windows ------------------------------------------------------------------------------------------------ */

static void add_bound_fields(struct query_build *qb)
{
    static const struct str names[] = {STR_INIT("WINDOWSTART"), STR_INIT("WINDOWEND")};
    if (qb->join) /* as in ksqlDB: a join's names are all qualified, and these have no source */
        return;
    for (int i = 0; i < 2; i++)
        add_field(qb, (struct analysis_field){.kind = i ? FIELD_BOUND_END : FIELD_BOUND_START,
                                              .name = names[i],
                                              .internal = names[i],
                                              .type = &type_bigint});
}

static bool window_duration(struct query_build *qb, struct ast_duration duration, const char *what, bool zero,
                            int64_t *out)
{
    *out = ast_duration_ms(duration);
    if (*out < 0 || (*out == 0 && !zero))
        return deny(qb->err, "%s must be %s and less than 2^63 milliseconds.", what,
                    zero ? "zero or more" : "larger than zero");
    return true;
}

static bool read_window_sizes(struct query_build *qb, struct analysis_window *win)
{
    const struct ast_window *ast = &qb->query->window;
    if (!window_duration(qb, ast->size, ast->kind == WINDOW_SESSION ? "Session gap" : "Window size", false,
                         &win->size_ms))
        return false;
    win->advance_ms = win->size_ms;
    if (ast->kind == WINDOW_HOPPING) {
        if (!window_duration(qb, ast->advance, "Window advance", false, &win->advance_ms))
            return false;
        if (win->advance_ms > win->size_ms)
            return deny(
                qb->err,
                "Window advance interval should be more than zero and less than window duration %lldms.",
                (long long)win->size_ms);
    }
    win->grace_ms = qb->query->emit == EMIT_FINAL ? 0 : MAX(GRACE_DEFAULT_MS - win->size_ms, 0);
    if (ast->grace.present && !window_duration(qb, ast->grace, "Grace period", true, &win->grace_ms))
        return false;
    if (__builtin_add_overflow(win->size_ms, win->grace_ms, &win->retention_ms))
        win->retention_ms = INT64_MAX;
    if (!ast->retention.present)
        return true;
    int64_t least = win->retention_ms;
    if (!window_duration(qb, ast->retention, "Retention", false, &win->retention_ms))
        return false;
    if (win->retention_ms < least && ast->grace.present)
        return deny(qb->err,
                    "The retention period of the window store %lldms must be no smaller than its window "
                    "size plus the "
                    "grace period, %lldms.",
                    (long long)win->retention_ms, (long long)least);
    if (win->retention_ms < win->size_ms)
        return deny(qb->err,
                    "The retention period of the window store %lldms must be no smaller than its window "
                    "size, %lldms.",
                    (long long)win->retention_ms, (long long)win->size_ms);
    if (!ast->grace.present)
        win->grace_ms = MIN(win->grace_ms, win->retention_ms - win->size_ms);
    return true;
}

bool analyze_window(struct query_build *qb)
{
    struct analysis_window *win = &qb->out->window;
    win->kind = qb->query->window.kind;
    if (win->kind == WINDOW_NONE) {
        if (qb->query->emit == EMIT_FINAL)
            return deny(qb->err, "EMIT FINAL is only supported for windowed aggregations.");
        return true;
    }
    if (qb->query->group_by == NULL)
        return deny(qb->err, "WINDOW clause requires a GROUP BY clause.");
    if (qb->out->result_kind == SOURCE_TABLE)
        return deny(qb->err,
                    "WINDOW clause is only supported for streams: windowing is not supported for table "
                    "aggregations.");
    add_bound_fields(qb);
    return read_window_sizes(qb, win);
}

/* GROUP BY ----------------------------------------------------------------------------------------------- */

static bool find_aggregate(const struct ast_expr *ast, void *state)
{
    struct str *name = state;
    if (ast->kind != AST_CALL)
        return true;
    const struct func *func = func_find(ast->name);
    if (func == NULL || func_kind_of(func) != FUNC_AGGREGATE)
        return true;
    *name = ast->name;
    return false;
}

bool calls_aggregate(const struct ast_expr *ast)
{
    struct str name;
    return !ast_walk(ast, find_aggregate, &name);
}

/* The groups are the columns of the running key: rows stay where they are. */
static bool groups_are_key(const struct query_build *qb)
{
    const struct analysis *out = qb->out;
    const struct source *first = qb->sources[0].source;
    if (first->window_kind != WINDOW_NONE)
        return false;
    if (qb->join) {
        if (out->group_count != 1 || out->groups[0]->kind != EXPR_COLUMN)
            return false;
        int32_t field = (int32_t)out->groups[0]->index;
        for (uint32_t i = 0; i < qb->viable_key_count; i++)
            if (qb->viable_keys[i] == field)
                return true;
        return field == qb->join_key_field;
    }
    if (out->group_count != first->schema->key_count || out->group_count == 0)
        return false;
    for (uint32_t i = 0; i < out->group_count; i++)
        if (out->groups[i]->kind != EXPR_COLUMN || out->groups[i]->index != i)
            return false;
    return true;
}

bool analyze_groups(struct query_build *qb)
{
    const struct ast_query *query = qb->query;
    if (query->group_by == NULL)
        return true;
    if (query->group_by_count == 0)
        return deny(qb->err, "GROUP BY requires at least one expression");
    const struct expr **groups = arena_array(qb->arena, const struct expr *, query->group_by_count);
    for (uint32_t i = 0; i < query->group_by_count; i++) {
        struct str name;
        if (!ast_walk(query->group_by[i], find_aggregate, &name))
            return deny(qb->err,
                        "GROUP BY does not support aggregate functions: %.*s is an aggregate function.",
                        STR_ARG(name));
        const struct ast_expr *ast = canonical_expr(qb, query->group_by[i], CLAUSE_GROUP_BY);
        groups[i] = ast ? typed_expr(qb, ast, CLAUSE_GROUP_BY) : NULL;
        if (groups[i] == NULL)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (analysis_expr_eq(groups[i], groups[k]))
                return deny(qb->err, "Duplicate GROUP BY expression: %s", qualified_text(qb, ast));
    }
    qb->out->groups = groups;
    qb->out->group_count = query->group_by_count;
    qb->out->regrouped = !groups_are_key(qb);
    return true;
}

/* Aggregates --------------------------------------------------------------------------------------------- */

/* Adds every different aggregate of a tree to qb->aggregates. */
static void collect_aggregates(struct query_build *qb, const struct expr *expr)
{
    if (expr == NULL)
        return;
    if (expr->kind != EXPR_AGGREGATE) {
        for (uint32_t i = 0; i < expr->arg_count; i++)
            collect_aggregates(qb, expr->args[i]);
        return;
    }
    for (size_t i = 0; i < qb->aggregates.len; i++)
        if (analysis_expr_eq(qb->aggregates.at[i], expr))
            return;
    vec_push(&qb->aggregates, expr);
}

static bool is_bound(const struct query_build *qb, const struct expr *expr)
{
    if (expr->kind != EXPR_COLUMN)
        return false;
    enum analysis_field_kind kind = qb->fields.at[expr->index].kind;
    return kind == FIELD_BOUND_START || kind == FIELD_BOUND_END;
}

static bool is_group(const struct query_build *qb, const struct expr *expr)
{
    for (uint32_t i = 0; i < qb->out->group_count; i++)
        if (analysis_expr_eq(qb->out->groups[i], expr))
            return true;
    return false;
}

/* The first column that is neither aggregated nor grouped; NULL when there is none. */
static const struct expr *loose_column(const struct query_build *qb, const struct expr *expr)
{
    if (expr == NULL || expr->kind == EXPR_AGGREGATE || is_group(qb, expr) || is_bound(qb, expr))
        return NULL;
    if (expr->kind == EXPR_COLUMN)
        return expr;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        const struct expr *loose = loose_column(qb, expr->args[i]);
        if (loose != NULL)
            return loose;
    }
    return NULL;
}

static bool check_select_grouped(struct query_build *qb)
{
    struct buf loose = {0};
    for (size_t i = 0; i < qb->items.len; i++)
        if (loose_column(qb, qb->items.at[i].expr) != NULL) {
            buf_append_cstr(&loose, loose.len ? ", " : "");
            sql_print_expr(qb->items.at[i].ast, &loose);
        }
    bool ok =
        loose.len == 0 || deny(qb->err,
                               "Non-aggregate SELECT expression(s) not part of GROUP BY: %s\nEither add the "
                               "column(s) to the GROUP BY or remove them from the SELECT.",
                               loose.ptr);
    buf_fini(&loose);
    return ok;
}

static bool bound_in_args(const struct expr *expr, void *state)
{
    const struct query_build *qb = state;
    return is_bound(qb, expr);
}

/* Refusals that concern one aggregate call. */
static bool check_aggregate(struct query_build *qb, const struct expr *aggregate)
{
    for (uint32_t i = 0; i < aggregate->arg_count; i++) {
        const struct expr *bound = analysis_expr_find(aggregate->args[i], bound_in_args, qb);
        if (bound != NULL)
            return deny(
                qb->err,
                "Window bounds column %s can only be used in the SELECT clause of windowed aggregations and "
                "can not "
                "be passed to aggregate functions.\nSee https://github.com/confluentinc/ksql/issues/4397",
                text_of_expr(bound->ast, qb->arena));
    }
    /* What an aggregate keeps between rows is written in the source's value format. */
    const struct source *source = qb->sources[0].source;
    struct column state = {.name = STR("KSQL_AGG_VARIABLE_0"),
                           .type = aggregate->call->state_type,
                           .role = COLUMN_VALUE};
    struct serde_options options = {0};
    if (state.type != NULL &&
        !serde_check(serde_format_find(source->value_format.name), SERDE_VALUE, &state, 1, &options, NULL))
        return deny(
            qb->err,
            "One of the functions used in the statement has an intermediate type that the value format can "
            "not handle. Please remove the function or change the format.");
    return true;
}

static bool check_undo(struct query_build *qb)
{
    const char *names = "";
    uint32_t count = 0;
    if (qb->out->result_kind != SOURCE_TABLE)
        return true;
    for (size_t i = 0; i < qb->aggregates.len; i++) {
        const struct func_call *call = qb->aggregates.at[i]->call;
        if (func_is_table_capable(call->func))
            continue;
        names = str_printf(qb->arena, "%s%s%.*s", names, count ? " and " : "",
                           STR_ARG(str_upper(call->name, qb->arena)))
                    .ptr;
        count++;
    }
    if (count == 0)
        return true;
    return deny(qb->err,
                "The aggregation function%s %s cannot be applied to a table source, only to a stream source.",
                count > 1 ? "s" : "", names);
}

/* The source's value format must be able to hold rows that are grouped. */
static bool check_group_format(struct query_build *qb)
{
    const struct source *source = qb->sources[0].source;
    const struct serde_format *format = serde_format_find(source->value_format.name);
    if (format->joins_and_groups)
        return true;
    return deny(
        qb->err,
        "Source(s) %.*s are using the '%.*s' value format. This format does not yet support GROUP BY.",
        STR_ARG(source->name), STR_ARG(format->name));
}

/* Required columns: what ksqlDB would carry into the aggregation; CREATE OR REPLACE compares them. */
static void require(struct query_build *qb, struct str *names, uint32_t *count, const struct expr *expr)
{
    if (expr == NULL)
        return;
    struct str name = STR_NULL;
    if (expr->kind == EXPR_COLUMN && !is_bound(qb, expr))
        name = qb->fields.at[expr->index].internal;
    else if (expr->kind == EXPR_AGGREGATE && expr->arg_count == 0)
        name = STR("ROWTIME");
    for (uint32_t i = 0; !str_is_null(name) && i < *count; i++)
        if (str_eq(names[i], name))
            name = STR_NULL;
    if (!str_is_null(name))
        names[(*count)++] = name;
    for (uint32_t i = 0; i < expr->arg_count; i++)
        require(qb, names, count, expr->args[i]);
}

static void note_required(struct query_build *qb)
{
    struct str *names = arena_array(qb->arena, struct str, qb->fields.len + 1);
    uint32_t count = 0;
    for (size_t i = 0; i < qb->items.len; i++)
        require(qb, names, &count, qb->items.at[i].expr);
    require(qb, names, &count, qb->out->where);
    for (uint32_t i = 0; i < qb->out->group_count; i++)
        require(qb, names, &count, qb->out->groups[i]);
    require(qb, names, &count, qb->out->having);
    qb->out->required = names;
    qb->out->required_count = count;
}

/* CTAS without GROUP BY has no key to keep its results under. */
static bool check_no_groups(struct query_build *qb)
{
    if (qb->out->kind == ANALYSIS_PUSH)
        return true;
    const struct expr *aggregate = qb->aggregates.at[0];
    const char *text = text_of_expr(aggregate->ast, qb->arena);
    if (aggregate->arg_count == 0)
        text = str_printf(qb->arena, "%.*s(ROWTIME)", STR_ARG(aggregate->ast->name)).ptr;
    return deny(qb->err, "%s statement does not support aggregate function [%s] without a GROUP BY clause.",
                sql_stmt_words(qb->stmt->kind), text);
}

static bool analyze_having(struct query_build *qb)
{
    const struct ast_expr *ast = qb->query->having;
    if (ast == NULL)
        return true;
    if (qb->query->group_by == NULL)
        return deny(qb->err, "HAVING clause requires a GROUP BY clause.");
    ast = canonical_expr(qb, ast, CLAUSE_HAVING);
    qb->out->having = ast ? typed_expr(qb, ast, CLAUSE_HAVING) : NULL;
    if (qb->out->having == NULL)
        return false;
    if (qb->out->having->type->kind != SQL_BOOLEAN)
        return deny(qb->err,
                    "Type error in HAVING expression: Should evaluate to boolean but is %s (%s) instead.",
                    text_of_expr(ast, qb->arena), text_of_type(qb->out->having->type, qb->arena));
    return true;
}

bool analyze_aggregation(struct query_build *qb)
{
    if (!analyze_having(qb))
        return false;
    for (size_t i = 0; i < qb->items.len; i++)
        collect_aggregates(qb, qb->items.at[i].expr);
    collect_aggregates(qb, qb->out->having);
    qb->out->aggregated = qb->query->group_by != NULL || qb->aggregates.len > 0;
    if (!qb->out->aggregated)
        return true;
    if (qb->tables.len > 0)
        return deny(qb->err, "Table functions cannot be used with aggregations.");
    if (qb->aggregates.len == 0)
        return deny(qb->err, "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.");
    if (qb->query->partition_by != NULL)
        return deny(qb->err, "Only one of PARTITION BY or GROUP BY can be used in a query.");
    if (!check_group_format(qb) || !check_select_grouped(qb) ||
        (qb->query->group_by == NULL && !check_no_groups(qb)))
        return false;
    const struct expr *loose = qb->out->having ? loose_column(qb, qb->out->having) : NULL;
    if (loose != NULL)
        return deny(qb->err, "Non-aggregate HAVING expression not part of GROUP BY: %s",
                    text_of_expr(loose->ast, qb->arena));
    for (size_t i = 0; i < qb->aggregates.len; i++)
        if (!check_aggregate(qb, qb->aggregates.at[i]))
            return false;
    if (!check_undo(qb))
        return false;
    note_required(qb);
    qb->out->aggregates =
        arena_dup(qb->arena, qb->aggregates.at, qb->aggregates.len * sizeof *qb->aggregates.at);
    qb->out->aggregate_count = (uint32_t)qb->aggregates.len;
    return true;
}
