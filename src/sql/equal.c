/* equal.c - do two trees say the same? Places, texts of statements and whether a name was quoted do not count. */
#include "sql/sql_int.h"

#include <stdlib.h>

static bool type_eq(const struct ast_type *a, const struct ast_type *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->kind != b->kind || !str_eq(a->name, b->name) || a->precision != b->precision ||
        a->scale != b->scale || a->field_count != b->field_count || !type_eq(a->key, b->key) ||
        !type_eq(a->elem, b->elem))
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!str_eq(a->fields[i].name, b->fields[i].name) || !type_eq(a->fields[i].type, b->fields[i].type))
            return false;
    return true;
}

/* Absent and empty are two things. */
static bool text_eq(struct str a, struct str b)
{
    return str_is_null(a) == str_is_null(b) && str_eq(a, b);
}

static bool names_eq(const struct str *a, const struct str *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return true;
}

static bool list_eq(const struct ast_expr *const *a, uint32_t a_count, const struct ast_expr *const *b,
                    uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (!sql_expr_eq(a[i], b[i]))
            return false;
    return true;
}

static bool literal_eq(const struct ast_expr *a, const struct ast_expr *b)
{
    double x, y;
    switch (a->kind) {
    case AST_INTEGER:
    case AST_BIGINT:
        return a->integer == b->integer;
    case AST_DOUBLE:
        return str_to_double(a->text, &x) && str_to_double(b->text, &y) && x == y;
    default:
        return text_eq(a->text, b->text);
    }
}

bool sql_expr_eq(const struct ast_expr *a, const struct ast_expr *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->kind == b->kind && a->op == b->op && a->negated == b->negated && a->star == b->star &&
           a->boolean == b->boolean && text_eq(a->name, b->name) && text_eq(a->qualifier, b->qualifier) &&
           literal_eq(a, b) && sql_expr_eq(a->left, b->left) && sql_expr_eq(a->right, b->right) &&
           list_eq(a->args, a->arg_count, b->args, b->arg_count) && a->name_count == b->name_count &&
           names_eq(a->names, b->names, a->name_count) && type_eq(a->type, b->type);
}

static bool duration_eq(struct ast_duration a, struct ast_duration b)
{
    return a.present == b.present && a.count == b.count && a.unit == b.unit;
}

static bool source_eq(const struct ast_source *a, const struct ast_source *b)
{
    return str_eq(a->name, b->name) && text_eq(a->alias, b->alias);
}

static bool items_eq(const struct ast_query *a, const struct ast_query *b)
{
    if (a->item_count != b->item_count)
        return false;
    for (uint32_t i = 0; i < a->item_count; i++) {
        const struct ast_select_item *x = &a->items[i], *y = &b->items[i];
        if (x->kind != y->kind || !sql_expr_eq(x->expr, y->expr) || !text_eq(x->alias, y->alias) ||
            !text_eq(x->qualifier, y->qualifier))
            return false;
    }
    return true;
}

static bool joins_eq(const struct ast_query *a, const struct ast_query *b)
{
    if (a->join_count != b->join_count)
        return false;
    for (uint32_t i = 0; i < a->join_count; i++) {
        const struct ast_join *x = &a->joins[i], *y = &b->joins[i];
        if (x->kind != y->kind || !source_eq(&x->right, &y->right) || !sql_expr_eq(x->on, y->on) ||
            x->within != y->within || !duration_eq(x->before, y->before) ||
            !duration_eq(x->after, y->after) || !duration_eq(x->grace, y->grace))
            return false;
    }
    return true;
}

static bool window_eq(const struct ast_window *a, const struct ast_window *b)
{
    return a->kind == b->kind && duration_eq(a->size, b->size) && duration_eq(a->advance, b->advance) &&
           duration_eq(a->retention, b->retention) && duration_eq(a->grace, b->grace);
}

static bool query_eq(const struct ast_query *a, const struct ast_query *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return items_eq(a, b) && source_eq(&a->from, &b->from) && joins_eq(a, b) &&
           window_eq(&a->window, &b->window) && sql_expr_eq(a->where, b->where) &&
           sql_expr_eq(a->having, b->having) && (a->group_by == NULL) == (b->group_by == NULL) &&
           list_eq(a->group_by, a->group_by_count, b->group_by, b->group_by_count) &&
           (a->partition_by == NULL) == (b->partition_by == NULL) &&
           list_eq(a->partition_by, a->partition_by_count, b->partition_by, b->partition_by_count) &&
           a->emit == b->emit && a->limit == b->limit;
}

static bool columns_eq(const struct ast_stmt *a, const struct ast_stmt *b)
{
    if (a->has_columns != b->has_columns || a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++) {
        const struct ast_column_def *x = &a->columns[i], *y = &b->columns[i];
        if (!str_eq(x->name, y->name) || !type_eq(x->type, y->type) || x->mark != y->mark ||
            !text_eq(x->header_key, y->header_key))
            return false;
    }
    return true;
}

static bool properties_eq(const struct ast_stmt *a, const struct ast_stmt *b)
{
    if (a->property_count != b->property_count)
        return false;
    for (uint32_t i = 0; i < a->property_count; i++)
        if (!str_eq(a->properties[i].name, b->properties[i].name) ||
            !sql_expr_eq(a->properties[i].value, b->properties[i].value))
            return false;
    return true;
}

static bool flags_eq(const struct ast_stmt *a, const struct ast_stmt *b)
{
    return a->or_replace == b->or_replace && a->if_not_exists == b->if_not_exists &&
           a->if_exists == b->if_exists && a->source_only == b->source_only && a->extended == b->extended &&
           a->all == b->all && a->delete_topic == b->delete_topic && a->not_exists == b->not_exists &&
           a->from_beginning == b->from_beginning && a->connector_kind == b->connector_kind;
}

bool sql_stmt_eq(const struct ast_stmt *a, const struct ast_stmt *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->kind == b->kind && flags_eq(a, b) && text_eq(a->name, b->name) && text_eq(a->value, b->value) &&
           columns_eq(a, b) && properties_eq(a, b) && query_eq(a->query, b->query) &&
           a->insert_column_count == b->insert_column_count &&
           names_eq(a->insert_columns, b->insert_columns, a->insert_column_count) &&
           list_eq(a->values, a->value_count, b->values, b->value_count) && type_eq(a->type, b->type) &&
           sql_stmt_eq(a->explained, b->explained) && a->interval == b->interval && a->limit == b->limit &&
           text_eq(a->subject, b->subject) && a->schema_id == b->schema_id &&
           duration_eq(a->timeout, b->timeout);
}
