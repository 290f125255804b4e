/* resolve.c - the sources of a query, their fields, and what the names in its expressions mean.
 *
 *   FROM L JOIN R ...      sources   [0] L      [1] R
 *                          fields    L.A L.B L.ROWTIME L.ROWPARTITION L.ROWOFFSET | R.A R.C R.ROWTIME ...
 *
 * An unqualified name must belong to one source only. A name that no source has is refused, but for those
 * that the query itself makes: ROWKEY (the key of a join on expressions) and the bounds of the query's own
 * window.
 */
#include "analyze/analyze_int.h"

static const char *const clause_words[] = {
    [CLAUSE_SELECT] = "SELECT",
    [CLAUSE_WHERE] = "WHERE",
    [CLAUSE_HAVING] = "HAVING",
    [CLAUSE_GROUP_BY] = "GROUP BY",
    [CLAUSE_PARTITION_BY] = "PARTITION BY",
    [CLAUSE_JOIN] = "JOIN ON",
};

uint32_t add_field(struct query_build *qb, struct analysis_field field)
{
    vec_push(&qb->fields, field);
    return (uint32_t)qb->fields.len - 1;
}

/* Sources ------------------------------------------------------------------------------------------------ */

static void add_source_field(struct query_build *qb, uint32_t source, enum analysis_field_kind kind,
                             uint32_t index, struct str name, const struct sql_type *type)
{
    struct str alias = qb->sources[source].alias;
    struct str internal = qb->join ? str_printf(qb->arena, "%.*s_%.*s", STR_ARG(alias), STR_ARG(name)) : name;
    add_field(qb, (struct analysis_field){kind, source, index, name, internal, type});
}

static void add_source_fields(struct query_build *qb, uint32_t i)
{
    struct analysis_source *from = &qb->sources[i];
    const struct source *source = from->source;
    const struct schema *schema = source->schema;
    from->first_field = (uint32_t)qb->fields.len;
    for (uint32_t c = 0; c < schema->column_count; c++)
        add_source_field(qb, i, c < schema->key_count ? FIELD_KEY : FIELD_VALUE, c, schema->columns[c].name,
                         schema->columns[c].type);
    add_source_field(qb, i, FIELD_ROWTIME, 0, STR("ROWTIME"), &type_bigint);
    add_source_field(qb, i, FIELD_ROWPARTITION, 0, STR("ROWPARTITION"), &type_integer);
    add_source_field(qb, i, FIELD_ROWOFFSET, 0, STR("ROWOFFSET"), &type_bigint);
    if (source->window_kind != WINDOW_NONE) {
        add_source_field(qb, i, FIELD_WINDOWSTART, 0, STR("WINDOWSTART"), &type_bigint);
        add_source_field(qb, i, FIELD_WINDOWEND, 0, STR("WINDOWEND"), &type_bigint);
    }
    from->field_count = (uint32_t)qb->fields.len - from->first_field;
}

static bool collect_source(struct query_build *qb, uint32_t i, const struct ast_source *ast)
{
    const struct source *source = catalog_source(qb->env->catalog, ast->name);
    if (source == NULL)
        return refuse_unknown_source(qb->env, ast->name, "Failed to prepare statement: ", " does not exist.",
                                     qb->err);
    struct str alias = str_is_null(ast->alias) ? ast->name : ast->alias;
    for (uint32_t k = 0; k < i; k++) {
        if (str_eq(qb->sources[k].source->name, source->name)) {
            if (qb->query->join_count == 1)
                return deny(qb->err, "Can not join '%.*s' to '%.*s': self joins are not yet supported.",
                            STR_ARG(source->name), STR_ARG(source->name));
            return deny(qb->err,
                        "N-way joins do not support multiple occurrences of the same source. Source: '%.*s'.",
                        STR_ARG(source->name));
        }
        if (str_eq(qb->sources[k].alias, alias))
            return deny(qb->err, "The alias '%.*s' is used for more than one source.", STR_ARG(alias));
    }
    qb->sources[i].source = source_ref(source);
    qb->sources[i].alias = str_dup(alias, qb->arena);
    qb->out->source_count = i + 1;
    return true;
}

bool collect_sources(struct query_build *qb)
{
    const struct ast_query *query = qb->query;
    qb->join = query->join_count > 0;
    qb->sources = arena_array(qb->arena, struct analysis_source, query->join_count + 1);
    qb->out->sources = qb->sources;
    if (!collect_source(qb, 0, &query->from))
        return false;
    for (uint32_t i = 0; i < query->join_count; i++)
        if (!collect_source(qb, i + 1, &query->joins[i].right))
            return false;
    for (uint32_t i = 0; i < qb->out->source_count; i++)
        add_source_fields(qb, i);
    return true;
}

/* Names -------------------------------------------------------------------------------------------------- */

static int32_t source_field(const struct query_build *qb, uint32_t source, struct str name)
{
    const struct analysis_source *from = &qb->sources[source];
    for (uint32_t i = from->first_field; i < from->first_field + from->field_count; i++)
        if (str_eq(qb->fields.at[i].name, name))
            return (int32_t)i;
    return -1;
}

static int32_t source_of_alias(const struct query_build *qb, struct str alias)
{
    for (uint32_t i = 0; i < qb->out->source_count; i++)
        if (str_eq(qb->sources[i].alias, alias))
            return (int32_t)i;
    return -1;
}

/* ROWKEY of a join, and WINDOWSTART and WINDOWEND of the query's own window; -1 when the name is none of
 * them. */
static int32_t made_field(const struct query_build *qb, struct str name)
{
    for (size_t i = qb->fields.len; i-- > 0 && qb->fields.at[i].kind >= FIELD_JOIN_KEY;)
        if (qb->fields.at[i].kind != FIELD_TABLE_FUNCTION && str_eq(qb->fields.at[i].name, name))
            return (int32_t)i;
    return -1;
}

static bool refuse_unknown_column(struct query_build *qb, const struct ast_expr *ast, enum clause clause)
{
    const char *text = text_of_expr(ast, qb->arena);
    const char *words = clause_words[clause];
    if (clause == CLAUSE_GROUP_BY || clause == CLAUSE_PARTITION_BY)
        return deny(qb->err,
                    "%s column '%s' cannot be resolved. '%s' must be a column in the source schema since "
                    "%s is applied "
                    "on the input.",
                    words, text, text, words);
    return deny(qb->err, "%s column '%s' cannot be resolved.", words, text);
}

static bool refuse_ambiguous(struct query_build *qb, const struct ast_expr *ast)
{
    struct buf options = {0};
    for (uint32_t i = 0; i < qb->out->source_count; i++)
        if (source_field(qb, i, ast->name) >= 0)
            buf_printf(&options, "%s%.*s.%.*s", options.len ? " or " : "", STR_ARG(qb->sources[i].alias),
                       STR_ARG(ast->name));
    deny(qb->err,
         "Exception while preparing statement: Line: %d, Col: %d: Column '%.*s' is ambiguous. Could be %s.",
         ast->place.line, ast->place.column, STR_ARG(ast->name), options.ptr);
    buf_fini(&options);
    return false;
}

/* The field that a reference means; -1 with *err set when there is none. */
static int32_t find_field(struct query_build *qb, const struct ast_expr *ast, enum clause clause)
{
    if (!str_is_null(ast->qualifier)) {
        int32_t source = source_of_alias(qb, ast->qualifier);
        if (source < 0) {
            deny(qb->err, "Failed to prepare statement: '%.*s' is not a valid stream/table name or alias.",
                 STR_ARG(ast->qualifier));
            return -1;
        }
        int32_t field = source_field(qb, (uint32_t)source, ast->name);
        if (field < 0)
            refuse_unknown_column(qb, ast, clause);
        return field;
    }
    int32_t found = -1;
    for (uint32_t i = 0; i < qb->out->source_count; i++) {
        int32_t field = source_field(qb, i, ast->name);
        if (field >= 0 && found >= 0)
            return refuse_ambiguous(qb, ast) ? 0 : -1;
        if (field >= 0)
            found = field;
    }
    if (found < 0)
        found = made_field(qb, ast->name);
    if (found < 0)
        refuse_unknown_column(qb, ast, clause);
    return found;
}

const struct ast_expr *field_ast(struct query_build *qb, uint32_t field, struct sql_place place)
{
    const struct analysis_field *at = &qb->fields.at[field];
    bool made = at->kind >= FIELD_JOIN_KEY;
    return ast_column(qb->arena, qb->join && !made ? qb->sources[at->source].alias : STR_NULL, at->name,
                      place);
}

const struct expr *field_expr(struct query_build *qb, uint32_t field, struct sql_place place)
{
    struct expr *expr = arena_new(qb->arena, struct expr);
    expr->kind = EXPR_COLUMN;
    expr->index = field;
    expr->type = qb->fields.at[field].type;
    expr->ast = field_ast(qb, field, place);
    return expr;
}

/* Canonical trees ---------------------------------------------------------------------------------------- */

struct canonical {
    struct query_build *qb;
    enum clause clause;
};

static bool is_lambda_name(const struct rewrite *rewrite, const struct ast_expr *ast)
{
    if (!str_is_null(ast->qualifier))
        return false;
    for (const struct lambda_names *at = rewrite->lambdas; at != NULL; at = at->outer)
        for (uint32_t i = 0; i < at->count; i++)
            if (str_eq(at->names[i], ast->name))
                return true;
    return false;
}

static const struct ast_expr *canonical_node(struct rewrite *rewrite, const struct ast_expr *ast, bool *ok)
{
    struct canonical *canonical = rewrite->state;
    if (ast->kind != AST_COLUMN || is_lambda_name(rewrite, ast))
        return NULL;
    int32_t field = find_field(canonical->qb, ast, canonical->clause);
    *ok = field >= 0;
    return *ok ? field_ast(canonical->qb, (uint32_t)field, ast->place) : NULL;
}

const struct ast_expr *canonical_expr(struct query_build *qb, const struct ast_expr *ast, enum clause clause)
{
    struct canonical canonical = {qb, clause};
    struct rewrite rewrite = {.arena = qb->arena, .node = canonical_node, .state = &canonical};
    return ast_rewrite(&rewrite, ast);
}

static const struct ast_expr *qualified_node(struct rewrite *rewrite, const struct ast_expr *ast, bool *ok)
{
    struct query_build *qb = rewrite->state;
    if (ast->kind != AST_COLUMN || !str_is_null(ast->qualifier) || is_lambda_name(rewrite, ast))
        return NULL;
    return ast_column(qb->arena, qb->sources[0].alias, ast->name, ast->place);
}

const char *qualified_text(struct query_build *qb, const struct ast_expr *ast)
{
    struct rewrite rewrite = {.arena = qb->arena, .node = qualified_node, .state = qb};
    return text_of_expr(qb->join ? ast : ast_rewrite(&rewrite, ast), qb->arena);
}

/* Typed trees -------------------------------------------------------------------------------------------- */

struct typing {
    struct query_build *qb;
    enum clause clause;
};

static bool scope_column(void *state, struct str qualifier, struct str name, struct sql_place place,
                         uint32_t *index, const struct sql_type **type, struct err *err)
{
    struct typing *typing = state;
    struct query_build *qb = typing->qb;
    struct ast_expr ast = {.kind = AST_COLUMN, .qualifier = qualifier, .name = name, .place = place};
    int32_t field = find_field(qb, &ast, typing->clause);
    qb->name_refused |= field < 0;
    if (field < 0)
        return false;
    enum analysis_field_kind kind = qb->fields.at[field].kind;
    if ((kind == FIELD_BOUND_START || kind == FIELD_BOUND_END) && typing->clause != CLAUSE_SELECT &&
        typing->clause != CLAUSE_HAVING) {
        qb->name_refused = true;
        return deny(err, "Error in %s expression: Unknown column %.*s.", clause_words[typing->clause],
                    STR_ARG(name));
    }
    *index = (uint32_t)field;
    *type = qb->fields.at[field].type;
    return true;
}

static const struct sql_type *scope_type(void *state, struct str name, struct arena *arena, struct err *err)
{
    struct typing *typing = state;
    const struct sql_type *type = catalog_type(typing->qb->env->catalog, name);
    if (type == NULL)
        deny(err, "Cannot resolve unknown type: %.*s", STR_ARG(name));
    return type ? type_dup(type, arena) : NULL;
}

const struct expr *typed_expr(struct query_build *qb, const struct ast_expr *ast, enum clause clause)
{
    struct typing typing = {qb, clause};
    struct expr_scope scope = {.column = scope_column,
                               .type_name = scope_type,
                               .state = &typing,
                               .aggregates_allowed = clause == CLAUSE_SELECT || clause == CLAUSE_HAVING,
                               .tables_allowed = clause == CLAUSE_SELECT};
    qb->name_refused = false;
    return expr_check(ast, &scope, qb->arena, qb->err);
}

/* Refusals of conversions are told apart from those of names and operators: ksqlDB finds them in another
 * phase. */
static bool is_conversion(struct str text)
{
    static const struct str starts[] = {STR_INIT("Cast of "), STR_INIT("invalid input syntax"),
                                        STR_INIT("operator does not exist")};
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        if (str_starts_with(text, starts[i]))
            return true;
    return false;
}

void word_refusal(struct query_build *qb, const struct ast_expr *ast, enum clause clause)
{
    if (qb->name_refused || qb->err == NULL)
        return;
    if (is_conversion(str_from(qb->err->text))) {
        err_context(qb->err, clause == CLAUSE_WHERE || clause == CLAUSE_HAVING ? "Invalid Predicate"
                                                                               : "Invalid Select");
    } else if (clause == CLAUSE_WHERE) {
        const char *text = str_cstr(str_from(qb->err->text), qb->arena);
        int line = qb->err->line, column = qb->err->column;
        deny(qb->err, "Error in WHERE expression: %s\nStatement: %s", text, text_of_expr(ast, qb->arena));
        qb->err->line = line;
        qb->err->column = column;
    }
}
