/* project.c - the select list: stars expanded, names given, table functions taken out.
 *
 *   a              NAME of the column; ALIAS_NAME in a join where more than one source has it
 *   s->f           F, or F_1, F_2 ... when taken
 *   e              KSQL_COL_0, KSQL_COL_1 ... in order, names in use left out
 *   *              keys, bounds of a windowed source (not into sinks), values; in joins always ALIAS_NAME
 *   * PARTITION BY new keys first, columns that were keys last
 */
#include "analyze/analyze_int.h"

/* Names -------------------------------------------------------------------------------------------------- */

static struct str take_name(struct alias_gen *gen, struct str name)
{
    map_put(&gen->used, name, gen);
    return name;
}

struct str alias_next(struct alias_gen *gen, struct arena *arena)
{
    for (;;) {
        struct str name = str_printf(arena, "KSQL_COL_%u", gen->next++);
        if (!map_has(&gen->used, name))
            return take_name(gen, name);
    }
}

struct str alias_of_field(struct alias_gen *gen, struct str field, struct arena *arena)
{
    if (!map_has(&gen->used, field))
        return take_name(gen, field);
    for (int n = 1;; n++) {
        struct str name = str_printf(arena, "%.*s_%d", STR_ARG(field), n);
        if (!map_has(&gen->used, name))
            return take_name(gen, name);
    }
}

/* More than one source has a column of this name. */
static bool is_common_name(const struct query_build *qb, struct str name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < qb->out->source_count; i++) {
        const struct analysis_source *from = &qb->sources[i];
        for (uint32_t f = from->first_field; f < from->first_field + from->field_count; f++)
            if (str_eq(qb->fields.at[f].name, name)) {
                count++;
                break;
            }
    }
    return count > 1;
}

static struct str item_name(struct query_build *qb, const struct ast_select_item *item,
                            const struct ast_expr *ast)
{
    if (!str_is_null(item->alias))
        return str_dup(item->alias, qb->arena);
    if (ast->kind == AST_COLUMN) {
        if (!str_is_null(ast->qualifier) && is_common_name(qb, ast->name))
            return str_printf(qb->arena, "%.*s_%.*s", STR_ARG(ast->qualifier), STR_ARG(ast->name));
        return ast->name;
    }
    if (ast->kind == AST_FIELD)
        return alias_of_field(&qb->aliases, ast->name, qb->arena);
    return alias_next(&qb->aliases, qb->arena);
}

static bool check_alias(struct query_build *qb, const struct ast_select_item *item,
                        const struct ast_expr *ast)
{
    if (str_is_null(item->alias) || !is_reserved_name(item->alias))
        return true;
    if (ast->kind == AST_COLUMN && str_eq(ast->name, item->alias))
        return true; /* its own name: refused below where results may not have it */
    return deny(qb->err, "`%.*s` is a reserved column name. You cannot use it as an alias for a column.",
                STR_ARG(item->alias));
}

/* Items -------------------------------------------------------------------------------------------------- */

static void add_item(struct query_build *qb, struct str name, const struct ast_expr *ast,
                     const struct expr *expr)
{
    vec_push(&qb->items, (struct analysis_item){.name = name, .expr = expr, .ast = ast, .key = -1});
}

static void add_field_item(struct query_build *qb, uint32_t field)
{
    const struct expr *expr = field_expr(qb, field, (struct sql_place){0, 0});
    add_item(qb, qb->fields.at[field].internal, expr->ast, expr);
}

/* SUM(COUNT(*)) is told by its outer call; expr_check would name the inner one. */
static bool find_nested(const struct ast_expr *ast, void *state)
{
    const struct ast_expr **nested = state;
    const struct func *func = ast->kind == AST_CALL ? func_find(ast->name) : NULL;
    if (func == NULL || func_kind_of(func) != FUNC_AGGREGATE)
        return true;
    for (uint32_t i = 0; i < ast->arg_count; i++)
        if (calls_aggregate(ast->args[i]))
            *nested = ast;
    return *nested == NULL;
}

static bool find_table_call(const struct ast_expr *ast, void *state)
{
    const struct func *func = ast->kind == AST_CALL ? func_find(ast->name) : NULL;
    return func == NULL || func_kind_of(func) != FUNC_TABLE;
}

static bool check_item_count(struct query_build *qb)
{
    return qb->query->item_count <= COLUMNS_MAX ||
           deny(qb->err, "%u columns are more than the %d that a query can have", qb->query->item_count,
                COLUMNS_MAX);
}

/* Rows cannot be multiplied and grouped in one query; said before types are looked at. */
static bool check_tables_alone(struct query_build *qb)
{
    bool tables = false, aggregates = qb->query->group_by != NULL;
    for (uint32_t i = 0; i < qb->query->item_count; i++) {
        const struct ast_select_item *item = &qb->query->items[i];
        if (item->kind != SELECT_EXPR)
            continue;
        tables |= !ast_walk(item->expr, find_table_call, NULL);
        aggregates |= calls_aggregate(item->expr);
    }
    return !tables || !aggregates || deny(qb->err, "Table functions cannot be used with aggregations.");
}

static const struct expr *item_expr(struct query_build *qb, const struct ast_expr *ast)
{
    const struct ast_expr *nested = NULL;
    ast_walk(ast, find_nested, &nested);
    if (nested != NULL) {
        deny(qb->err, "Aggregate functions can not be nested: %s", text_of_expr(nested, qb->arena));
        return NULL;
    }
    const struct expr *expr = typed_expr(qb, ast, CLAUSE_SELECT);
    if (expr == NULL)
        word_refusal(qb, ast, CLAUSE_SELECT);
    return expr;
}

/* s->*: one item per field of the struct. */
static bool add_struct_items(struct query_build *qb, const struct ast_expr *star)
{
    const struct ast_expr *left = canonical_expr(qb, star->left, CLAUSE_SELECT);
    const struct expr *whole = left ? item_expr(qb, left) : NULL;
    if (whole == NULL)
        return false;
    if (whole->type->kind != SQL_STRUCT)
        return deny(qb->err, "Cannot get fields of %s: expected STRUCT type, got %s",
                    text_of_expr(left, qb->arena), text_of_type(whole->type, qb->arena));
    for (uint32_t i = 0; i < whole->type->field_count; i++) {
        struct ast_expr *ast = ast_new(qb->arena, AST_FIELD, star->place);
        ast->left = left;
        ast->name = whole->type->fields[i].name;
        const struct expr *expr = item_expr(qb, ast);
        if (expr == NULL)
            return false;
        add_item(qb, alias_of_field(&qb->aliases, ast->name, qb->arena), ast, expr);
    }
    return true;
}

static bool add_expr_item(struct query_build *qb, const struct ast_select_item *item)
{
    if (item->expr->kind == AST_FIELD_STAR)
        return add_struct_items(qb, item->expr);
    const struct ast_expr *ast = canonical_expr(qb, item->expr, CLAUSE_SELECT);
    if (ast == NULL || !check_alias(qb, item, ast))
        return false;
    struct str name = item_name(qb, item, ast);
    const struct expr *expr = item_expr(qb, ast);
    if (expr == NULL)
        return false;
    add_item(qb, name, ast, expr);
    return true;
}

/* Stars -------------------------------------------------------------------------------------------------- */

static bool is_partition_key(const struct query_build *qb, uint32_t field)
{
    for (uint32_t i = 0; i < qb->out->partition_count; i++)
        if (qb->out->partition[i]->kind == EXPR_COLUMN && qb->out->partition[i]->index == field)
            return true;
    return false;
}

static void add_fields_of_kind(struct query_build *qb, const struct analysis_source *from,
                               enum analysis_field_kind first, enum analysis_field_kind last)
{
    for (uint32_t f = from->first_field; f < from->first_field + from->field_count; f++) {
        enum analysis_field_kind kind = qb->fields.at[f].kind;
        if (kind >= first && kind <= last && !(qb->out->rekeyed && is_partition_key(qb, f)))
            add_field_item(qb, f);
    }
}

static struct str partition_name(struct query_build *qb, const struct expr *key)
{
    if (key->kind == EXPR_COLUMN)
        return qb->fields.at[key->index].internal;
    if (key->kind == EXPR_FIELD)
        return alias_of_field(&qb->aliases, key->ast->name, qb->arena);
    return alias_next(&qb->aliases, qb->arena);
}

static void add_partition_items(struct query_build *qb)
{
    for (uint32_t i = 0; i < qb->out->partition_count; i++) {
        const struct expr *key = qb->out->partition[i];
        add_item(qb, partition_name(qb, key), key->ast, key);
    }
}

/* The bounds of a windowed source. A sink could not have columns of these names; a join renames them. */
static void add_bounds(struct query_build *qb, const struct analysis_source *from)
{
    if (qb->out->kind != ANALYSIS_PERSISTENT || qb->join)
        add_fields_of_kind(qb, from, FIELD_WINDOWSTART, FIELD_WINDOWEND);
}

/* Stars behind a PARTITION BY: the order of the rows that it makes. In a join those have the pseudo
 * columns too, under names that nobody takes for pseudo columns any more. */
static void add_rekeyed_star(struct query_build *qb, const struct analysis_source *from)
{
    add_bounds(qb, from);
    add_fields_of_kind(qb, from, FIELD_VALUE, FIELD_VALUE);
    if (qb->join)
        add_fields_of_kind(qb, from, FIELD_ROWTIME, FIELD_ROWOFFSET);
    add_fields_of_kind(qb, from, FIELD_KEY, FIELD_KEY);
}

static void add_star(struct query_build *qb, const struct analysis_source *from)
{
    if (qb->out->rekeyed) {
        add_rekeyed_star(qb, from);
        return;
    }
    add_fields_of_kind(qb, from, FIELD_KEY, FIELD_KEY);
    add_bounds(qb, from);
    add_fields_of_kind(qb, from, FIELD_VALUE, FIELD_VALUE);
}

static bool add_star_item(struct query_build *qb, const struct ast_select_item *item)
{
    if (qb->out->rekeyed)
        add_partition_items(qb);
    if (item->kind == SELECT_ALL && qb->join_key_field >= 0 && !qb->out->rekeyed)
        add_field_item(qb, (uint32_t)qb->join_key_field);
    bool found = item->kind == SELECT_ALL;
    for (uint32_t i = 0; i < qb->out->source_count; i++) {
        bool meant = item->kind == SELECT_ALL || str_eq(qb->sources[i].alias, item->qualifier);
        if (meant)
            add_star(qb, &qb->sources[i]);
        found |= meant;
    }
    return found ||
           deny(qb->err, "Failed to prepare statement: '%.*s' is not a valid stream/table name or alias.",
                STR_ARG(item->qualifier));
}

/* Table functions ---------------------------------------------------------------------------------------- */

static bool is_table_call(const struct expr *expr, void *state)
{
    return expr->kind == EXPR_CALL && expr->call->kind == FUNC_TABLE;
}

static bool check_table_call(struct query_build *qb, const struct expr *call)
{
    if (qb->out->result_kind == SOURCE_TABLE)
        return deny(qb->err, "Table source is not supported with table functions");
    for (uint32_t i = 0; i < call->arg_count; i++)
        if (analysis_expr_find(call->args[i], is_table_call, NULL) != NULL)
            return deny(qb->err, "Table functions cannot be nested: %s", text_of_expr(call->ast, qb->arena));
    return true;
}

struct table_walk {
    struct query_build *qb;
    bool failed;
};

/* Puts the column that a FLAT_MAP step will make in place of a call. */
static const struct expr *replace_table_call(const struct expr *expr, void *state)
{
    struct table_walk *walk = state;
    struct query_build *qb = walk->qb;
    bool barrier = expr->kind == EXPR_CASE || expr->kind == EXPR_AGGREGATE;
    if (barrier && !walk->failed && analysis_expr_find(expr, is_table_call, NULL) != NULL) {
        deny(qb->err,
             expr->kind == EXPR_CASE ? "Table functions cannot be used in CASE: %s"
                                     : "Table functions cannot be used with aggregations. Got %s",
             text_of_expr(expr->ast, qb->arena));
        walk->failed = true;
    }
    if (walk->failed || !is_table_call(expr, NULL))
        return walk->failed ? expr : NULL;
    walk->failed = !check_table_call(qb, expr);
    vec_push(&qb->tables, expr);
    struct analysis_field field = {.kind = FIELD_TABLE_FUNCTION,
                                   .index = (uint32_t)qb->tables.len - 1,
                                   .name = str_printf(qb->arena, "KSQL_SYNTH_%zu", qb->tables.len - 1),
                                   .type = expr->call->result};
    field.internal = field.name;
    struct expr *column = arena_new(qb->arena, struct expr);
    column->kind = EXPR_COLUMN;
    column->type = field.type;
    column->ast = expr->ast;
    column->index = add_field(qb, field);
    return column;
}

static bool take_table_calls(struct query_build *qb)
{
    struct table_walk walk = {.qb = qb};
    for (size_t i = 0; i < qb->items.len && !walk.failed; i++)
        qb->items.at[i].expr = expr_replace(qb->items.at[i].expr, replace_table_call, &walk, qb->arena);
    qb->out->table_calls = arena_dup(qb->arena, qb->tables.at, qb->tables.len * sizeof *qb->tables.at);
    qb->out->table_call_count = (uint32_t)qb->tables.len;
    return !walk.failed;
}

/* All together ------------------------------------------------------------------------------------------- */

static bool check_reserved(struct query_build *qb)
{
    if (qb->out->kind != ANALYSIS_PERSISTENT)
        return true;
    for (size_t i = 0; i < qb->items.len; i++) {
        const struct analysis_item *item = &qb->items.at[i];
        bool rekeyed =
            qb->out->rekeyed && item->expr->kind == EXPR_COLUMN && is_partition_key(qb, item->expr->index);
        if (is_reserved_name(item->name) && !rekeyed)
            return deny(qb->err, "Reserved column name in select: `%.*s`. Please remove or alias the column.",
                        STR_ARG(item->name));
    }
    return true;
}

bool analyze_select(struct query_build *qb)
{
    if (!check_item_count(qb) || !check_tables_alone(qb))
        return false;
    for (size_t i = 0; i < qb->fields.len; i++)
        take_name(&qb->aliases, qb->fields.at[i].name);
    for (uint32_t i = 0; i < qb->query->item_count; i++) {
        const struct ast_select_item *item = &qb->query->items[i];
        if (!(item->kind == SELECT_EXPR ? add_expr_item(qb, item) : add_star_item(qb, item)))
            return false;
    }
    return check_reserved(qb) && take_table_calls(qb);
}
