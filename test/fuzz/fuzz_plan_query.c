/* fuzz_plan_query.c - any text as statements: parsed, analysed against a small catalog, planned, explained. */
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

static void plan_statement(struct world *world, const struct ast_stmt *stmt)
{
    const struct analysis *analysis;
    struct plan *plan;
    if (!analyze_query(&world->env, stmt, STR("Q_1"), &analysis, &world->arena, &world->err) ||
        !plan_build(analysis, &world->env, &plan, &world->err))
        return;
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
