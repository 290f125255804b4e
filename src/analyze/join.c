/* join.c - joins, left-deep in written order: which sides meet on what, which kinds are refused, what the
 * key is.
 *
 *     ((S1 join T2 on S1.ID = T2.ID) join T3 on S1.ID = T3.ID)
 *       running result, joins[0]        joins[1]
 *
 * (J1) A criterion is one equality; one side reads only the joined source, the other one earlier source.
 * (J2) The result is keyed by the joined value. Columns known to be equal to it form a set: those of this
 *      criterion and, when the criterion shares a column with the set of the join before, that set too.
 *      Each of them may stand for the key in the result. A FULL join's value belongs to neither side, so
 *      its set is empty, as is the set of a criterion between two expressions: then the key is a column of
 *      its own, ROWKEY.
 * (J3) Tables are never repartitioned to another key: the right side of a join with a table is its primary
 *      key. A left table that is joined by something else than its own key is joined by a foreign key, and
 *      keeps its key.
 */
#include "analyze/analyze_int.h"

/* The running result that the next source is joined to. */
struct running {
    enum source_kind kind;
    const int32_t *
        keys; /* fields equal to its key, in order of fields; none: the key is synthetic or of many columns */
    uint32_t key_count;
};

struct criterion {
    const struct ast_expr *ast; /* canonical, as written */
    const struct ast_expr *left, *right;
};

static const char *join_words(enum ast_join_kind kind)
{
    switch (kind) {
    case JOIN_INNER:
        return "[INNER] JOIN";
    case JOIN_LEFT:
        return "LEFT [OUTER] JOIN";
    case JOIN_RIGHT:
        return "RIGHT [OUTER] JOIN";
    case JOIN_FULL:
        return "[FULL] OUTER JOIN";
    }
    UNREACHABLE();
}

/* Text of a criterion without the outer parentheses: A.X = B.Y. */
static const char *criterion_text(struct query_build *qb, const struct criterion *on)
{
    return str_printf(qb->arena, "%s = %s", text_of_expr(on->ast->left, qb->arena),
                      text_of_expr(on->ast->right, qb->arena))
        .ptr;
}

/* Kinds -------------------------------------------------------------------------------------------------- */

static bool check_kinds(struct query_build *qb, const struct running *left, uint32_t i,
                        enum ast_join_kind kind)
{
    const struct analysis_source *right = &qb->sources[i + 1];
    struct str left_name = qb->sources[0].alias;
    if (left->kind == SOURCE_TABLE && right->source->kind == SOURCE_STREAM)
        return deny(qb->err,
                    "Invalid join order: table-stream joins are not supported; only stream-table joins. "
                    "Got %.*s %s %.*s.",
                    STR_ARG(left_name), join_words(kind), STR_ARG(right->alias));
    bool stream_table = left->kind == SOURCE_STREAM && right->source->kind == SOURCE_TABLE;
    if (stream_table && (kind == JOIN_FULL || kind == JOIN_RIGHT))
        return deny(qb->err,
                    "Invalid join type: %s join not supported for stream-table join. Got %.*s %s %.*s.",
                    kind == JOIN_FULL ? "full-outer" : "right-outer", STR_ARG(left_name), join_words(kind),
                    STR_ARG(right->alias));
    return true;
}

static bool read_within(struct query_build *qb, const struct running *left, uint32_t i,
                        struct analysis_join *join)
{
    const struct ast_join *ast = &qb->query->joins[i];
    bool streams = left->kind == SOURCE_STREAM && qb->sources[i + 1].source->kind == SOURCE_STREAM;
    if (streams && !ast->within)
        return deny(
            qb->err,
            "Stream-Stream joins must have a WITHIN clause specified. None was provided. To learn about how "
            "to specify a WITHIN clause with a stream-stream join, please visit: "
            "https://docs.confluent.io/current/ksql/docs/syntax-reference.html#create-stream-as-select");
    if (!streams && ast->within)
        return deny(qb->err,
                    "A window definition was provided for a %s join. These joins are not windowed. Please "
                    "drop the window "
                    "definition (ie. the WITHIN clause) and try to execute your join again.",
                    left->kind == SOURCE_STREAM ? "Stream-Table" : "Table-Table");
    join->kind = ast->kind;
    join->within = ast->within;
    join->grace_ms = -1;
    if (!ast->within)
        return true;
    join->before_ms = ast_duration_ms(ast->before);
    join->after_ms = ast_duration_ms(ast->after);
    if (ast->grace.present)
        join->grace_ms = ast_duration_ms(ast->grace);
    if (join->before_ms < 0 || join->after_ms < 0 || (ast->grace.present && join->grace_ms < 0))
        return deny(qb->err, "The WITHIN clause's duration is out of range.");
    return true;
}

/* Criterion ---------------------------------------------------------------------------------------------- */

struct reference_count {
    struct query_build *qb;
    int32_t source; /* the only one seen; -1: none; -2: several */
};

static bool count_reference(const struct ast_expr *ast, void *state)
{
    struct reference_count *count = state;
    if (ast->kind != AST_COLUMN || str_is_null(ast->qualifier))
        return true;
    for (uint32_t i = 0; i < count->qb->out->source_count; i++)
        if (str_eq(count->qb->sources[i].alias, ast->qualifier))
            count->source = count->source == -1 || count->source == (int32_t)i ? (int32_t)i : -2;
    return true;
}

/* The one source that a side reads; -1 with *err set when there is not exactly one. */
static int32_t side_source(struct query_build *qb, const struct ast_expr *side,
                           const struct ast_expr *criterion)
{
    struct reference_count count = {qb, -1};
    ast_walk(side, count_reference, &count);
    if (count.source < 0)
        deny(qb->err,
             "Invalid comparison expression '%s' in join '%s'. Each side of the join comparision must "
             "contain references "
             "from exactly one source.",
             text_of_expr(side, qb->arena), text_of_expr(criterion, qb->arena));
    return count.source;
}

static bool read_criterion(struct query_build *qb, uint32_t i, struct criterion *out)
{
    const struct ast_expr *on = canonical_expr(qb, qb->query->joins[i].on, CLAUSE_JOIN);
    if (on == NULL)
        return false;
    if (on->kind == AST_BINARY && (on->op == OP_AND || on->op == OP_OR))
        return deny(qb->err,
                    "Invalid join condition: joins on multiple conditions are not yet supported. Got %s.",
                    text_of_expr(on, qb->arena));
    if (on->kind != AST_BINARY || on->op != OP_EQ)
        return deny(qb->err, "Unsupported join expression: %s. Only equality join criteria is supported.",
                    text_of_expr(on, qb->arena));
    int32_t left = side_source(qb, on->left, on);
    int32_t right = left < 0 ? -1 : side_source(qb, on->right, on);
    if (right < 0)
        return false;
    int32_t joined = (int32_t)i + 1;
    if (left != joined && right != joined)
        return deny(qb->err,
                    "A join criteria is expected to reference the source (`%.*s`) in the FROM clause, "
                    "instead the right "
                    "source references `%.*s` and the left source references `%.*s`",
                    STR_ARG(qb->sources[joined].alias), STR_ARG(qb->sources[right].alias),
                    STR_ARG(qb->sources[left].alias));
    if (left == right)
        return deny(qb->err,
                    "Each side of the join must reference exactly one source and not the same source. Left "
                    "side references "
                    "`%.*s` and right references `%.*s`",
                    STR_ARG(qb->sources[left].alias), STR_ARG(qb->sources[right].alias));
    *out =
        (struct criterion){on, left == joined ? on->right : on->left, left == joined ? on->left : on->right};
    if (left > joined || right > joined)
        return deny(qb->err, "A join criteria may only reference sources that are joined before it. Got %s.",
                    criterion_text(qb, out));
    return true;
}

static bool type_criterion(struct query_build *qb, const struct criterion *on, struct analysis_join *join)
{
    join->left = typed_expr(qb, on->left, CLAUSE_JOIN);
    join->right = join->left ? typed_expr(qb, on->right, CLAUSE_JOIN) : NULL;
    if (join->right == NULL)
        return false;
    if (type_eq(join->left->type, join->right->type))
        return true;
    return deny(qb->err, "Invalid join condition: types don't match. Got %s{%s} = %s{%s}.",
                text_of_expr(on->left, qb->arena), text_of_type(join->left->type, qb->arena),
                text_of_expr(on->right, qb->arena), text_of_type(join->right->type, qb->arena));
}

/* Keys --------------------------------------------------------------------------------------------------- */

/* Both sides become keys, which must not hold maps. */
static bool check_key_side(struct query_build *qb, const struct expr *side)
{
    struct str name = side->kind == EXPR_COLUMN ? qb->fields.at[side->index].internal : STR("ROWKEY");
    struct column column = {.name = name, .type = side->type, .role = COLUMN_KEY};
    struct schema schema = {.columns = &column, .column_count = 1, .key_count = 1};
    return check_key_types(&schema, qb->err);
}

/* The expression is the only key column of its source. */
static bool is_source_key(const struct query_build *qb, const struct expr *expr)
{
    if (expr->kind != EXPR_COLUMN)
        return false;
    const struct analysis_field *field = &qb->fields.at[expr->index];
    return field->kind == FIELD_KEY && qb->sources[field->source].source->schema->key_count == 1;
}

static bool is_running_key(const struct running *left, const struct expr *expr)
{
    for (uint32_t i = 0; expr->kind == EXPR_COLUMN && i < left->key_count; i++)
        if (left->keys[i] == (int32_t)expr->index)
            return true;
    return false;
}

static bool check_table_keys(struct query_build *qb, const struct running *left, const struct criterion *on,
                             struct analysis_join *join)
{
    if (!join->right_keyed)
        return deny(qb->err, "Invalid join condition: %s Got %s.",
                    left->kind == SOURCE_STREAM
                        ? "stream-table joins require to join on the table's primary key."
                        : "table-table joins require to join on the primary key of the right input table.",
                    criterion_text(qb, on));
    if (left->kind == SOURCE_STREAM || join->left_keyed)
        return true;
    if (qb->query->join_count > 1)
        return deny(qb->err,
                    "Invalid join condition: foreign-key table-table joins are not supported as part of "
                    "n-way joins. Got %s.",
                    criterion_text(qb, on));
    if (join->kind == JOIN_RIGHT || join->kind == JOIN_FULL)
        return deny(qb->err, "Invalid join type: %s OUTER JOIN on a foreign key is not supported. Got %s.",
                    join->kind == JOIN_RIGHT ? "RIGHT" : "FULL", criterion_text(qb, on));
    join->foreign_key = true;
    return true;
}

/* The set of (J2), in order of fields. */
static void join_keys(struct query_build *qb, const struct running *left, const struct analysis_join *join,
                      struct running *out)
{
    int32_t *keys = arena_array(qb->arena, int32_t, left->key_count + 2);
    uint32_t count = 0;
    if (join->kind != JOIN_FULL) {
        if (is_running_key(left, join->left))
            for (uint32_t i = 0; i < left->key_count; i++)
                keys[count++] = left->keys[i];
        else if (join->left->kind == EXPR_COLUMN)
            keys[count++] = (int32_t)join->left->index;
        if (join->right->kind == EXPR_COLUMN)
            keys[count++] = (int32_t)join->right->index;
    }
    out->keys = keys;
    out->key_count = count;
}

/* Windows and partitions --------------------------------------------------------------------------------- */

static void describe_window(const struct analysis_source *from, struct buf *out)
{
    static const char *const words[] = {
        [WINDOW_TUMBLING] = "TUMBLING", [WINDOW_HOPPING] = "HOPPING", [WINDOW_SESSION] = "SESSION"};
    buf_printf(out, "\n`%.*s` is ", STR_ARG(from->alias));
    if (from->source->window_kind == WINDOW_NONE)
        buf_append_cstr(out, "not windowed");
    else
        buf_printf(out, "%s windowed", words[from->source->window_kind]);
}

static bool check_windows(struct query_build *qb, uint32_t i, const struct analysis_join *join)
{
    const struct source *left = qb->sources[0].source, *right = qb->sources[i + 1].source;
    if (left->window_kind == WINDOW_NONE && right->window_kind == WINDOW_NONE)
        return true;
    if (left->window_kind == WINDOW_NONE || right->window_kind == WINDOW_NONE) {
        struct buf text = {0};
        describe_window(&qb->sources[0], &text);
        describe_window(&qb->sources[i + 1], &text);
        deny(qb->err, "Can not join windowed source to non-windowed source.%s", text.ptr);
        buf_fini(&text);
        return false;
    }
    bool alike = (left->window_kind == WINDOW_SESSION) == (right->window_kind == WINDOW_SESSION) &&
                 left->window_size_ms == right->window_size_ms;
    if (!alike || !join->left_keyed || !join->right_keyed)
        return deny(qb->err, "Implicit repartitioning of windowed sources is not supported. See "
                             "https://github.com/confluentinc/ksql/issues/4385.");
    return true;
}

static bool check_partitions(struct query_build *qb, uint32_t i)
{
    const struct analysis_source *left = &qb->sources[0], *right = &qb->sources[i + 1];
    int32_t left_count = left->source->partition_count, right_count = right->source->partition_count;
    if (left_count == right_count)
        return true;
    return deny(qb->err,
                "Can't join `%.*s` with `%.*s` since the number of partitions don't match. `%.*s` "
                "partitions = %d; `%.*s` "
                "partitions = %d. Please repartition either one so that the number of partitions match.",
                STR_ARG(left->alias), STR_ARG(right->alias), STR_ARG(left->alias), left_count,
                STR_ARG(right->alias), right_count);
}

/* All together ------------------------------------------------------------------------------------------- */

static bool analyze_join(struct query_build *qb, uint32_t i, struct running *left)
{
    struct analysis_join *join = &qb->joins[i];
    struct criterion on;
    if (!read_criterion(qb, i, &on) || !check_kinds(qb, left, i, qb->query->joins[i].kind) ||
        !read_within(qb, left, i, join) || !type_criterion(qb, &on, join))
        return false;
    if (!check_key_side(qb, join->left) || !check_key_side(qb, join->right))
        return false;
    join->left_keyed = is_running_key(left, join->left);
    join->right_keyed = is_source_key(qb, join->right);
    bool table = qb->sources[i + 1].source->kind == SOURCE_TABLE;
    if (table && !check_table_keys(qb, left, &on, join))
        return false;
    if (!check_windows(qb, i, join) || (!join->foreign_key && !check_partitions(qb, i)))
        return false;
    struct running result = {.kind = left->kind};
    join_keys(qb, left, join, &result);
    join->synthetic = !join->foreign_key && result.key_count == 0;
    join->key_field = result.key_count ? result.keys[0] : -1;
    if (join->kind == JOIN_RIGHT && join->right->kind == EXPR_COLUMN)
        join->key_field = (int32_t)join->right->index;
    *left = result;
    return true;
}

static bool is_field_name(const struct query_build *qb, struct str name)
{
    for (size_t i = 0; i < qb->fields.len; i++)
        if (str_eq(qb->fields.at[i].name, name))
            return true;
    return false;
}

/* The key column that no source has: ROWKEY, or ROWKEY_n where that name is taken. */
static void add_synthetic_key(struct query_build *qb, const struct sql_type *type)
{
    struct str name = STR("ROWKEY");
    for (int n = 1; is_field_name(qb, name); n++)
        name = str_printf(qb->arena, "ROWKEY_%d", n);
    struct analysis_field field = {.kind = FIELD_JOIN_KEY, .name = name, .internal = name, .type = type};
    qb->join_key_field = (int32_t)add_field(qb, field);
}

bool analyze_joins(struct query_build *qb)
{
    qb->join_key_field = -1;
    const struct schema *schema = qb->sources[0].source->schema;
    int32_t *keys = arena_array(qb->arena, int32_t, 1);
    keys[0] = (int32_t)qb->sources[0].first_field;
    struct running left = {qb->sources[0].source->kind, keys, schema->key_count == 1};
    qb->joins = arena_array(qb->arena, struct analysis_join, qb->query->join_count);
    qb->out->joins = qb->joins;
    for (uint32_t i = 0; i < qb->query->join_count; i++)
        if (!analyze_join(qb, i, &left))
            return false;
    qb->out->result_kind = left.kind;
    qb->viable_keys = left.keys;
    qb->viable_key_count = left.key_count;
    if (qb->join && qb->joins[qb->query->join_count - 1].synthetic)
        add_synthetic_key(qb, qb->joins[qb->query->join_count - 1].left->type);
    return true;
}
