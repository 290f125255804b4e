/* world.h - a catalog made by statements, for tests of analyze and plan: no log, no execution. Topics
 * named t1, t4 and t8 exist with that many partitions, and so does every other topic, with 4; those that
 * begin with "new" do not exist. */
#ifndef RIALTO_TEST_WORLD_H
#define RIALTO_TEST_WORLD_H

#include "analyze/analysis.h"
#include "sql/sql.h"

struct world {
    struct arena arena;
    const struct catalog *catalog;
    struct map properties;
    struct func_settings settings;
    struct analyze_env env;
    struct err err;
};

static int32_t world_partitions(void *state, struct str topic)
{
    if (str_starts_with(topic, STR("new")))
        return -1;
    if (topic.len == 2 && topic.ptr[0] == 't' && topic.ptr[1] >= '1' && topic.ptr[1] <= '9')
        return topic.ptr[1] - '0';
    return 4;
}

static void world_init(struct world *world)
{
    *world = (struct world){.settings = {INT32_MAX, INT32_MAX}};
    world->catalog = catalog_new();
    world->env =
        (struct analyze_env){world->catalog, &world->properties, &world->settings, world_partitions, world};
}

static void world_fini(struct world *world)
{
    catalog_unref(world->catalog);
    map_fini(&world->properties);
    arena_fini(&world->arena);
}

static void world_add(struct world *world, const struct source *source)
{
    const struct catalog *next = catalog_with_source(world->catalog, source);
    catalog_unref(world->catalog);
    world->catalog = world->env.catalog = next;
}

/* The one statement of a text; NULL with err set. */
static const struct ast_stmt *world_parse(struct world *world, const char *text)
{
    const struct ast_stmt *const *stmts;
    uint32_t count;
    if (!sql_parse(str_from(text), NULL, &stmts, &count, &world->arena, &world->err) || count != 1)
        return NULL;
    return stmts[0];
}

/* Analyses one statement and adds the source that it makes, if any. */
static bool world_run(struct world *world, const char *text)
{
    const struct ast_stmt *stmt = world_parse(world, text);
    struct source *source;
    const struct source *target;
    const struct analysis *analysis;
    struct value values[64];
    int64_t rowtime;
    if (stmt == NULL)
        return false;
    if (stmt->kind == STMT_INSERT_VALUES)
        return analyze_insert_values(&world->env, stmt, &target, values, &rowtime, &world->arena,
                                     &world->err);
    if (stmt->query == NULL) {
        if (!analyze_create_source(&world->env, stmt, &source, &world->arena, &world->err))
            return false;
        world_add(world, source);
        source_unref(source);
        return true;
    }
    if (!analyze_query(&world->env, stmt, STR("Q_1"), &analysis, &world->arena, &world->err))
        return false;
    if (analysis->sink != NULL)
        world_add(world, analysis->sink);
    analysis_free(analysis);
    return true;
}

#endif
