/* fuzz_plan_query.c - any text as statements: parsed, analysed against a small catalog, planned,
 * explained; the plan's steps must fit each other. */
#include "../unit/analyze/world.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const sources[] = {
    "CREATE STREAM S (ID INT KEY, A INT, B STRING, R ARRAY<INT>, N STRUCT<X INT, Y STRING>, D DECIMAL(8, 2), "
    "TS "
    "TIMESTAMP) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE STREAM U (ID INT KEY, A INT, C DOUBLE) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE TABLE T (ID INT PRIMARY KEY, A INT, F INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE TABLE M AS SELECT B, COUNT(*) AS N FROM S GROUP BY B;",
};

/* Every column that an expression reads is a column of the step's input, of the type that the expression
 * has. */
static void check_expr(const struct expr *expr, const struct step *input)
{
    if (expr == NULL)
        return;
    ASSERT(expr->kind != EXPR_AGGREGATE);
    if (expr->kind == EXPR_COLUMN) {
        ASSERT_CMP(expr->index, <, input->column_count);
        ASSERT(type_eq(expr->type, input->columns[expr->index].type));
    }
    for (uint32_t i = 0; i < expr->arg_count; i++)
        check_expr(expr->args[i], input);
}

static void check_column(const struct step *step, uint32_t column, const struct step *input, uint32_t from)
{
    ASSERT_CMP(column, <, step->column_count);
    ASSERT_CMP(from, <, input->column_count);
    ASSERT(type_eq(step->columns[column].type, input->columns[from].type));
}

static void check_select(const struct step *step)
{
    for (uint32_t i = 0; i < step->column_count; i++) {
        const struct expr *expr = step->select.exprs[i];
        check_expr(expr, step->input);
        ASSERT(expr == NULL || type_eq(expr->type, step->columns[i].type));
        const struct func_call *call = step->kind == STEP_FLAT_MAP ? step->select.table_calls[i] : NULL;
        ASSERT((expr == NULL) == (call != NULL));
        for (uint32_t k = 0; call != NULL && k < call->arg_count; k++)
            check_expr(step->select.table_args[i][k], step->input);
    }
}

static void check_key(const struct step *step)
{
    for (uint32_t i = 0; i < step->key_count; i++) {
        check_expr(step->key.keys[i], step->input);
        ASSERT(type_eq(step->key.keys[i]->type, step->columns[i].type));
    }
    for (uint32_t i = step->key_count; i < step->column_count; i++)
        check_column(step, i, step->input, step->key.carried[i - step->key_count]);
}

static void check_aggregate(const struct step *step)
{
    uint32_t count = step->aggregate.aggregate_count;
    ASSERT_CMP(step->column_count, ==, step->key_count + count + (step->aggregate.window_columns ? 2 : 0));
    ASSERT_CMP(step->key_count, ==, step->input->key_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_aggregate *aggregate = &step->aggregate.aggregates[i];
        ASSERT(type_eq(aggregate->call->result, step->columns[step->key_count + i].type));
        for (uint32_t k = 0; k < aggregate->arg_count; k++)
            check_expr(aggregate->args[k], step->input);
    }
}

static void check_join(const struct step *step)
{
    uint32_t at = step->key_count;
    ASSERT_CMP(step->column_count, ==, at + step->join.left_count + step->join.right_count);
    for (uint32_t i = 0; i < step->join.left_count; i++)
        check_column(step, at++, step->input, step->join.left_columns[i]);
    for (uint32_t i = 0; i < step->join.right_count; i++)
        check_column(step, at++, step->right, step->join.right_columns[i]);
    check_expr(step->join.foreign_key, step->input);
    ASSERT_CMP(step->right->key_count, ==, 1);
    ASSERT(step->kind == STEP_JOIN_FOREIGN_KEY || step->input->key_count == 1);
}

static void check_step(const struct step *step)
{
    ASSERT_CMP(step->key_count, <=, step->column_count);
    switch (step->kind) {
    case STEP_SOURCE:
        break;
    case STEP_FILTER:
        check_expr(step->filter.condition, step->input);
        ASSERT_CMP(step->filter.condition->type->kind, ==, SQL_BOOLEAN);
        break;
    case STEP_SELECT:
    case STEP_FLAT_MAP:
        check_select(step);
        break;
    case STEP_PARTITION_BY:
    case STEP_GROUP_BY:
        check_key(step);
        break;
    case STEP_AGGREGATE:
        check_aggregate(step);
        break;
    case STEP_JOIN_STREAM_TABLE:
    case STEP_JOIN_STREAM_STREAM:
    case STEP_JOIN_TABLE_TABLE:
    case STEP_JOIN_FOREIGN_KEY:
        check_join(step);
        break;
    case STEP_SUPPRESS:
    case STEP_SINK:
        ASSERT_CMP(step->column_count, ==, step->input->column_count);
        break;
    }
}

static void plan_statement(struct world *world, const struct ast_stmt *stmt)
{
    const struct analysis *analysis;
    struct plan *plan;
    if (!analyze_query(&world->env, stmt, STR("Q_1"), &analysis, &world->arena, &world->err) ||
        !plan_build(analysis, &world->env, &plan, &world->err))
        return;
    for (uint32_t i = 0; i < plan->step_count; i++)
        check_step(plan->steps[i]);
    const struct source *sink = plan->sink->sink.sink;
    for (uint32_t i = 0; sink != NULL && i < sink->schema->column_count; i++)
        ASSERT(type_eq(sink->schema->columns[i].type, plan->sink->columns[i].type));
    struct buf text = {0};
    plan_explain(plan, STR("Q_1"), &text);
    struct json_writer writer = {.out = &text};
    plan_to_json(plan, &writer);
    ASSERT(plan_can_replace(plan, plan, &world->err) || world->err.text[0] != '\0');
    buf_fini(&text);
    plan_free(plan);
}

static void run_statement(struct world *world, const struct ast_stmt *stmt)
{
    struct source *source;
    const struct source *target;
    struct value values[16];
    int64_t rowtime;
    switch (stmt->kind) {
    case STMT_CREATE_STREAM:
    case STMT_CREATE_TABLE:
        if (analyze_create_source(&world->env, stmt, &source, &world->arena, &world->err))
            source_unref(source);
        break;
    case STMT_CREATE_STREAM_AS:
    case STMT_CREATE_TABLE_AS:
    case STMT_INSERT_INTO:
    case STMT_QUERY:
        plan_statement(world, stmt);
        break;
    case STMT_INSERT_VALUES:
        ignore(analyze_insert_values(&world->env, stmt, &target, values, &rowtime, &world->arena,
                                     &world->err),
               "only that it ends is asked");
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world;
    const struct ast_stmt *const *stmts;
    uint32_t count;
    world_init(&world);
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        ASSERT(world_run(&world, sources[i]));
    struct str text = str_of((const char *)data, size);
    if (sql_parse(text, NULL, &stmts, &count, &world.arena, &world.err))
        for (uint32_t i = 0; i < count; i++)
            run_statement(&world, stmts[i]);
    world_fini(&world);
    return 0;
}
