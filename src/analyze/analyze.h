/* analyze.h - from syntax tree to what is asked: names resolved, rules checked, in ksqlDB's words.
 *
 * Every refusal of a statement that depends on the catalog is made here, before anything is done. The
 * result of a query statement is an `analysis` (what is asked); `plan` turns it into steps (how it is
 * done).
 */
#ifndef RIALTO_ANALYZE_ANALYZE_H
#define RIALTO_ANALYZE_ANALYZE_H

#include "catalog/catalog.h"
#include "expr/expr.h"
#include "sql/ast.h"

/* What analysis needs to know beside the catalog; filled by the engine. */
struct analyze_env {
    const struct catalog *catalog;
    const struct map *properties; /* name -> struct str *: ksql.persistence.default.format.key ... */
    const struct func_settings *func_settings;
    /* Partition count of an existing topic, or -1. */
    int32_t (*topic_partitions)(void *state, struct str topic);
    void *state;
    bool may_tap; /* a push query reads only what is written from now on, when it has the form (plan.taps) */
};

/* analyze/analysis.h. Owns its memory: give it to plan_build, which takes it over, or to analysis_free. */
struct analysis;

/* CREATE STREAM/TABLE with columns: gives the source (not yet in a catalog; caller owns one reference). */
bool analyze_create_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct source **source,
                           struct arena *arena, struct err *err);

/* CREATE ... AS SELECT, INSERT INTO ... SELECT, and stand-alone queries (push or pull by their EMIT clause).
 * `query_id` names the query in logger and step names. */
bool analyze_query(const struct analyze_env *env, const struct ast_stmt *stmt, struct str query_id,
                   const struct analysis **analysis, struct arena *arena, struct err *err);

/* INSERT INTO ... VALUES: the row's values coerced to the source's columns, one per schema column (NULL
 * where not given), and its ROWTIME (-1: now). */
bool analyze_insert_values(const struct analyze_env *env, const struct ast_stmt *stmt,
                           const struct source **source, struct value *values, int64_t *rowtime_ms,
                           struct arena *arena, struct err *err);

/* CREATE OR REPLACE, ALTER ... ADD: may the source `before` become `after` (same name)? false:
 * ERR_STATEMENT, "Cannot upgrade data source: ..." in ksqlDB's words. For sources of queries
 * plan_can_replace has more to say. */
bool analyze_can_replace(const struct source *before, const struct source *after, struct err *err);

/* ALTER STREAM/TABLE ... ADD: the source with the columns appended (caller owns one reference). */
bool analyze_alter_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct source **source,
                          struct arena *arena, struct err *err);

/* ASSERT STREAM/TABLE of test scripts: is the source that the statement names as the statement describes
 * it, defaults filled in? false: ERR_ASSERTION says what differs; other errors as in CREATE. */
bool analyze_assert_source(const struct analyze_env *env, const struct ast_stmt *stmt, struct arena *arena,
                           struct err *err);

#endif
