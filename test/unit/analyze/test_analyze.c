/* test_analyze.c - what statements mean, and which are refused: sink schemas by rule, refusals in ksqlDB's
 * words.
 *
 * Expected schemas and texts are those of the reference (ksql page, sections 1.5, 1.8, 2), worked out by
 * hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

static const char *const sources[] = {
    "CREATE STREAM S (ID INT KEY, A INT, B STRING, N STRUCT<X INT, Y STRING>, R ARRAY<INT>) WITH "
    "(KAFKA_TOPIC='t4', "
    "VALUE_FORMAT='JSON');",
    "CREATE STREAM U (ID INT KEY, A INT, C DOUBLE) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE STREAM NARROW (ID INT KEY, V INT) WITH (KAFKA_TOPIC='t1', VALUE_FORMAT='JSON');",
    "CREATE STREAM K0 (A INT, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE STREAM RAW (ID INT KEY, V STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='KAFKA');",
    "CREATE STREAM K2 (P INT KEY, Q STRING KEY, V INT) WITH (KAFKA_TOPIC='t4', FORMAT='JSON');",
    "CREATE TABLE T (ID INT PRIMARY KEY, A INT, F INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE TABLE T2 (ID INT PRIMARY KEY, D STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    ("CREATE STREAM W (ID INT KEY, V INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', "
     "WINDOW_TYPE='TUMBLING', WINDOW_SIZE='20 SECONDS');"),
    ("CREATE TABLE WT (ID INT PRIMARY KEY, V INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', "
     "WINDOW_TYPE='SESSION');"),
    "CREATE SOURCE STREAM RO (ID INT KEY, V INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
};

static void world_with_sources(struct world *world)
{
    world_init(world);
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (!world_run(world, sources[i]))
            fail_msg("%s\n  refused: %s", sources[i], world->err.text);
}

/* Sink schemas ------------------------------------------------------------------------------------------- */

static const struct {
    const char *statement, *schema;
} sinks[] = {
    {"CREATE STREAM O AS SELECT * FROM S;",
     "`ID` INTEGER KEY, `A` INTEGER, `B` STRING, `N` STRUCT<`X` INTEGER, `Y` STRING>, "
     "`R` ARRAY<INTEGER>"},
    {"CREATE STREAM O AS SELECT B, ID, A + 1, LEN(B) FROM S;",
     "`ID` INTEGER KEY, `B` STRING, `KSQL_COL_0` INTEGER, `KSQL_COL_1` INTEGER"},
    {"CREATE STREAM O AS SELECT ID AS K, N->X, N->Y AS Y FROM S;",
     "`K` INTEGER KEY, `X` INTEGER, `Y` STRING"},
    {"CREATE STREAM O AS SELECT ID, N->* FROM S;", "`ID` INTEGER KEY, `X` INTEGER, `Y` STRING"},
    {"CREATE STREAM O AS SELECT ID, ROWTIME AS TS, ROWPARTITION AS P FROM S;",
     "`ID` INTEGER KEY, `TS` BIGINT, `P` INTEGER"},
    {"CREATE STREAM O AS SELECT * FROM U PARTITION BY A;", "`A` INTEGER KEY, `C` DOUBLE, `ID` INTEGER"},
    {"CREATE STREAM O AS SELECT * FROM U PARTITION BY A + ID;",
     "`KSQL_COL_0` INTEGER KEY, `A` INTEGER, `C` DOUBLE, `ID` "
     "INTEGER"},
    {"CREATE STREAM O AS SELECT A, C FROM U PARTITION BY NULL;", "`A` INTEGER, `C` DOUBLE"},
    {"CREATE STREAM O AS SELECT * FROM K0;", "`A` INTEGER, `B` STRING"},
    {"CREATE STREAM O AS SELECT * FROM W;", "`ID` INTEGER KEY, `V` INTEGER"},
    {"CREATE STREAM O AS SELECT ID, WINDOWSTART AS WS, V FROM W;",
     "`ID` INTEGER KEY, `WS` BIGINT, `V` INTEGER"},
    {"CREATE TABLE O AS SELECT A, COUNT(*) AS N, SUM(ID) FROM S GROUP BY A;",
     "`A` INTEGER KEY, `N` BIGINT, `KSQL_COL_0` "
     "INTEGER"},
    {"CREATE TABLE O WITH (KEY_FORMAT='JSON') AS SELECT B, A, COUNT(*) AS N FROM S GROUP BY A, B;",
     "`A` INTEGER KEY, `B` STRING KEY, `N` BIGINT"},
    {"CREATE TABLE O AS SELECT LEN(B) AS L, LEN(B) + 1 AS M, MAX(A) AS X FROM S GROUP BY LEN(B);",
     "`L` INTEGER KEY, `M` INTEGER, `X` INTEGER"},
    {"CREATE TABLE O AS SELECT ID, WINDOWSTART AS WS, WINDOWEND AS WE, COUNT(*) AS N FROM S WINDOW TUMBLING "
     "(SIZE 3 SECONDS) "
     "GROUP BY ID;",
     "`ID` INTEGER KEY, `WS` BIGINT, `WE` BIGINT, `N` BIGINT"},
    {"CREATE STREAM O AS SELECT ID, EXPLODE(R) AS E, EXPLODE(R) * 2 FROM S;",
     "`ID` INTEGER KEY, `E` INTEGER, `KSQL_COL_0` "
     "INTEGER"},
    {"CREATE STREAM O AS SELECT S.ID, B, C, S.A FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "`S_ID` INTEGER KEY, `B` STRING, `C` DOUBLE, `S_A` INTEGER"},
    {"CREATE STREAM O AS SELECT U.*, S.B FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "`U_ID` INTEGER KEY, `U_A` INTEGER, `U_C` DOUBLE, `B` STRING"},
    {"CREATE STREAM O AS SELECT S.B, T.A AS TA, S.A FROM S LEFT JOIN T ON S.A = T.ID;",
     "`S_A` INTEGER KEY, `B` STRING, `TA` "
     "INTEGER"},
    {"CREATE STREAM O AS SELECT ROWKEY, B, C FROM S FULL OUTER JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "`ROWKEY` INTEGER KEY, `B` STRING, `C` DOUBLE"},
    {"CREATE STREAM O AS SELECT ROWKEY AS K, B FROM S JOIN U WITHIN 1 HOUR ON ABS(S.ID) = ABS(U.ID);",
     "`K` INTEGER KEY, `B` STRING"},
    {"CREATE TABLE O AS SELECT T.ID, D FROM T JOIN T2 ON T.ID = T2.ID;", "`T_ID` INTEGER KEY, `D` STRING"},
    {"CREATE TABLE O AS SELECT T.ID, T.F, D FROM T JOIN T2 ON T.F = T2.ID;",
     "`T_ID` INTEGER KEY, `F` INTEGER, `D` STRING"},
    {"CREATE STREAM O AS SELECT S.ID, U.C, T.F FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID JOIN T ON U.ID = "
     "T.ID;",
     "`S_ID` INTEGER KEY, `C` DOUBLE, `F` INTEGER"},
};

static void test_sink_schemas(void **state)
{
    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        struct world world;
        world_with_sources(&world);
        if (!world_run(&world, sinks[i].statement))
            fail_msg("%s\n  refused: %s", sinks[i].statement, world.err.text);
        struct buf text = {0};
        schema_print(catalog_source(world.catalog, STR("O"))->schema, &text);
        if (!str_eq_cstr(buf_str(&text), sinks[i].schema))
            fail_msg("%s\n  want %s\n  have %s", sinks[i].statement, sinks[i].schema, text.ptr);
        buf_fini(&text);
        world_fini(&world);
    }
}

/* Refusals ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *statement, *text;
} refusals[] = {
    {"CREATE STREAM X (ROWTIME INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
     "'ROWTIME' is a reserved column name. You cannot use it as a name for a column."},
    {"CREATE STREAM X (A INT, A STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
     "Duplicate column names: `A`"},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='t4');", "Statement is missing the 'VALUE_FORMAT' property"},
    {"CREATE STREAM X (A INT) WITH (VALUE_FORMAT='JSON');", "KAFKA_TOPIC"},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', COLOUR='red');",
     "Failed to prepare statement: Invalid config variable(s) in the WITH clause: COLOUR"},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='new', VALUE_FORMAT='JSON');", "Topic 'new' does not exist."},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', PARTITIONS=2);",
     "A Kafka topic with the name 't4' already exists, with different partition/replica configuration than "
     "required."},
    {"CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
     "Cannot add stream 'S': A stream with the same name already exists"},
    {"CREATE TABLE X (A INT PRIMARY KEY, B INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', "
     "RETENTION_MS=1000);",
     "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support "
     "retention."},
    {"CREATE TABLE X (B INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
     "Tables require a PRIMARY KEY. Please define the PRIMARY KEY."},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', TIMESTAMP='B');",
     "The TIMESTAMP column set in the WITH clause does not exist in the schema: 'B'"},
    {"CREATE STREAM X (A STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', TIMESTAMP='A');",
     "Timestamp column, `A`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format "
     "specified"},
    {"CREATE STREAM X (A INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON', WINDOW_TYPE='HOPPING');",
     "WINDOW_SIZE"},
    {"CREATE STREAM X (K MAP<STRING, INT> KEY, A INT) WITH (KAFKA_TOPIC='t4', FORMAT='JSON');",
     "Map keys, including types that contain maps, are not supported"},
    {"CREATE STREAM X WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='AVRO');", "schema registry is not built yet"},
    {"CREATE STREAM O AS SELECT A FROM NOWHERE;", "NOWHERE does not exist."},
    {"CREATE STREAM O AS SELECT NOPE FROM S;", "SELECT column 'NOPE' cannot be resolved."},
    {"CREATE STREAM O AS SELECT ID, A FROM S WHERE NOPE > 1;", "WHERE column 'NOPE' cannot be resolved."},
    {"CREATE STREAM O AS SELECT ID, A FROM S WHERE B;",
     "Type error in WHERE expression: Should evaluate to boolean but is B (STRING) instead."},
    {"CREATE STREAM O AS SELECT A, B FROM S;",
     "Key missing from projection (ie, SELECT). See https://cnfl.io/2LV7ouS.\nThe query used to build `O` "
     "must include the key "
     "column ID in its projection (eg, SELECT ID...)."},
    {"CREATE STREAM O AS SELECT ID FROM S;", "The projection contains no value columns."},
    {"CREATE STREAM O AS SELECT ID, ID AS I2, A FROM S;",
     "The projection contains a key column (`ID`) more than once, aliased as: I2 and ID."},
    {"CREATE STREAM O AS SELECT ID, A, B AS A FROM S;",
     "Duplicate value columns found in schema: `A` STRING"},
    {"CREATE STREAM O AS SELECT ID, ROWTIME FROM S;",
     "Reserved column name in select: `ROWTIME`. Please remove or alias the column."},
    {"CREATE STREAM O AS SELECT ID, A AS ROWTIME FROM S;",
     "`ROWTIME` is a reserved column name. You cannot use it as an alias for a column."},
    {"CREATE TABLE O AS SELECT ID, A FROM S;",
     "Invalid result type. Your SELECT query produces a STREAM. Please use CREATE "
     "STREAM AS SELECT statement instead."},
    {"CREATE STREAM O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;",
     "Your SELECT query produces a TABLE."},
    {"CREATE STREAM O AS SELECT ID, A FROM S LIMIT 3;",
     "CREATE STREAM AS SELECT statements don't support LIMIT clause."},
    {"CREATE TABLE O AS SELECT ID, A, COUNT(*) AS N FROM S GROUP BY ID;",
     "Non-aggregate SELECT expression(s) not part of GROUP BY: A\nEither add the column(s) to the GROUP BY "
     "or remove them from "
     "the SELECT."},
    {"CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID HAVING A > 1;",
     "Non-aggregate HAVING expression not part of GROUP BY: A"},
    {"CREATE TABLE O AS SELECT COUNT(*) AS N FROM S;",
     "CREATE TABLE AS SELECT statement does not support aggregate function "
     "[COUNT(ROWTIME)] without a GROUP BY clause."},
    {"CREATE TABLE O AS SELECT ID, A + 1 AS X FROM S GROUP BY ID;",
     "GROUP BY requires aggregate functions in either the SELECT or HAVING clause."},
    {"CREATE TABLE O AS SELECT ID, MAX(A) AS M, MIN(A) AS N FROM T GROUP BY ID;",
     "The aggregation functions MAX and MIN cannot be applied to a table source, only to a stream source."},
    {"CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID EMIT FINAL;",
     "EMIT FINAL is only supported for windowed aggregations."},
    {"CREATE TABLE O AS SELECT ID, A FROM S WINDOW TUMBLING (SIZE 1 SECOND);",
     "WINDOW clause requires a GROUP BY clause."},
    {"CREATE TABLE O AS SELECT A, B, COUNT(*) AS N FROM S GROUP BY A, B;",
     "Key format does not support schema.\nformat: KAFKA\nschema: Persistence{columns=[`A` INTEGER KEY, `B` "
     "STRING KEY], "
     "features=[]}\nreason: The 'KAFKA' format only supports a single field. Got: [`A` INTEGER KEY, `B` "
     "STRING KEY]"},
    {"CREATE TABLE O AS SELECT V, COUNT(*) AS N FROM RAW GROUP BY V;",
     "Source(s) RAW are using the 'KAFKA' value format. This format does not yet support GROUP BY."},
    {"CREATE TABLE O AS SELECT ID, V FROM WT;",
     "KSQL does not support persistent queries on windowed tables."},
    {"CREATE TABLE O AS SELECT * FROM T PARTITION BY A;", "Cannot repartition a TABLE source."},
    {"CREATE STREAM O AS SELECT ID, EXPLODE(R) AS E, COUNT(*) AS N FROM S GROUP BY ID;",
     "Table functions cannot be used with aggregations."},
    {"CREATE STREAM O AS SELECT A, B FROM S PARTITION BY Z;",
     "PARTITION BY column 'Z' cannot be resolved. 'Z' must be a column in the source schema since PARTITION "
     "BY is applied on "
     "the input."},
    {"CREATE STREAM O AS SELECT B, C FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "must include the join expressions S.ID or U.ID in its projection (eg, SELECT S.ID...)."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN U ON S.ID = U.ID;",
     "Stream-Stream joins must have a WITHIN clause specified."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN T WITHIN 1 HOUR ON S.ID = T.ID;",
     "A window definition was provided for a Stream-Table join."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN T ON S.ID = T.A;",
     "Invalid join condition: stream-table joins require to join on the table's primary key. Got S.ID = "
     "T.A."},
    {"CREATE STREAM O AS SELECT * FROM S RIGHT JOIN T ON S.ID = T.ID;",
     "Invalid join type: right-outer join not supported for stream-table join. Got S RIGHT [OUTER] JOIN T."},
    {"CREATE STREAM O AS SELECT * FROM T JOIN S ON S.ID = T.ID;",
     "Invalid join order: table-stream joins are not supported; only stream-table joins. Got T [INNER] JOIN "
     "S."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.C;",
     "Invalid join condition: types don't match. Got S.ID{INTEGER} = U.C{DOUBLE}."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN NARROW WITHIN 1 HOUR ON S.ID = NARROW.ID;",
     "Can't join `S` with `NARROW` since the number of partitions don't match. `S` partitions = 4; `NARROW` "
     "partitions = 1."},
    {"CREATE STREAM O AS SELECT * FROM S JOIN W WITHIN 1 HOUR ON S.ID = W.ID;",
     "Can not join windowed source to non-windowed source.\n`S` is not windowed\n`W` is TUMBLING windowed"},
    {"CREATE STREAM O AS SELECT * FROM S A JOIN S B WITHIN 1 HOUR ON A.ID = B.ID;",
     "Can not join 'S' to 'S': self joins are not yet supported."},
    {"CREATE STREAM O AS SELECT A FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "Column 'A' is ambiguous. Could be S.A or U.A."},
    {"CREATE TABLE O AS SELECT T.F, D FROM T JOIN T2 ON T.F = T2.ID;",
     "Primary key column missing in projection. For foreign-key table-table joins, the projection must "
     "include all primary key "
     "columns from the left input table (`T`). Missing column: `ID`."},
    {"INSERT INTO T SELECT * FROM T;", "INSERT INTO can only be used to insert into a stream. T is a table."},
    {"INSERT INTO RO SELECT * FROM NARROW;", "Cannot insert into read-only stream: RO"},
    {"INSERT INTO NARROW SELECT ID, A FROM S;",
     "Incompatible schema between results and sink.\nResult schema is `ID` INTEGER KEY, `A` INTEGER\nSink "
     "schema is `ID` INTEGER "
     "KEY, `V` INTEGER"},
    {"INSERT INTO S (ID, ROWOFFSET) VALUES (1, 2);", "Inserting into column `ROWOFFSET` is not allowed."},
    {"INSERT INTO W VALUES (1, 2);", "Cannot insert values into windowed stream/table!"},
    {"INSERT INTO `narrow` VALUES (1, 2);",
     "Cannot insert values into an unknown stream/table: `narrow`\nDid you mean NARROW? Hint: try removing "
     "double quotes from "
     "the source name."},
    {"SELECT * FROM S GROUP BY ID;", "Pull queries don't support GROUP BY clauses."},
    {"SELECT * FROM T;",
     "The `T` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_T AS "
     "SELECT * FROM T'."},
    {"SELECT ROWOFFSET FROM S;",
     "Pull queries don't support the following columns in SELECT clauses: `ROWOFFSET`"},
};

static void test_refusals(void **state)
{
    struct world world;
    world_with_sources(&world);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (world_run(&world, refusals[i].statement))
            fail_msg("%s\n  was accepted; want %s", refusals[i].statement, refusals[i].text);
        if (str_find(str_from(world.err.text), str_from(refusals[i].text)) < 0)
            fail_msg("%s\n  want %s\n  have %s", refusals[i].statement, refusals[i].text, world.err.text);
    }
    world_fini(&world);
}

/* Formats, topics, windows ------------------------------------------------------------------------------- */

static const struct source *made(struct world *world, const char *statement, const char *name)
{
    if (!world_run(world, statement))
        fail_msg("%s\n  refused: %s", statement, world->err.text);
    return catalog_source(world->catalog, str_from(name));
}

static void test_sink_properties(void **state)
{
    struct world world;
    world_with_sources(&world);
    const struct source *o =
        made(&world,
             "CREATE STREAM NEW1 WITH (KAFKA_TOPIC='new1', PARTITIONS=7, VALUE_FORMAT='DELIMITED', "
             "VALUE_DELIMITER='|', TIMESTAMP='A') AS SELECT ID, CAST(A AS BIGINT) AS A FROM S;",
             "NEW1");
    assert_true(str_eq_cstr(o->topic, "new1"));
    assert_int_equal(o->partition_count, 7);
    assert_true(o->create_topic);
    assert_true(str_eq_cstr(o->value_format.name, "DELIMITED"));
    assert_int_equal(o->value_format.delimiter, '|');
    assert_true(str_eq_cstr(o->timestamp_column, "A"));
    assert_false(o->materialized);
    o = made(&world, "CREATE STREAM HEIR AS SELECT ID, A FROM NEW1;", "HEIR");
    assert_true(str_eq_cstr(o->topic, "HEIR"));
    assert_true(str_eq_cstr(o->value_format.name, "DELIMITED"));
    assert_int_equal(o->value_format.delimiter, '|');
    o = made(&world, "CREATE STREAM KEYLESS AS SELECT A FROM S PARTITION BY NULL;", "KEYLESS");
    assert_true(str_eq_cstr(o->key_format.name, "NONE"));
    o = made(&world, "CREATE STREAM REKEYED AS SELECT A, ID FROM HEIR PARTITION BY A;", "REKEYED");
    assert_true(str_eq_cstr(o->key_format.name, "KAFKA"));
    world_fini(&world);
}

static void test_windowed_sink(void **state)
{
    struct world world;
    world_with_sources(&world);
    const struct ast_stmt *stmt =
        world_parse(&world, "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S WINDOW HOPPING (SIZE 30 "
                            "SECONDS, ADVANCE BY 10 SECONDS, "
                            "RETENTION 2 HOURS, GRACE PERIOD 1 MINUTE) GROUP BY ID;");
    const struct analysis *analysis;
    assert_true(analyze_query(&world.env, stmt, STR("CTAS_O_1"), &analysis, &world.arena, &world.err));
    assert_int_equal(analysis->window.kind, WINDOW_HOPPING);
    assert_int_equal(analysis->window.size_ms, 30000);
    assert_int_equal(analysis->window.advance_ms, 10000);
    assert_int_equal(analysis->window.grace_ms, 60000);
    assert_int_equal(analysis->window.retention_ms, 7200000);
    assert_int_equal(analysis->sink->window_kind, WINDOW_HOPPING);
    assert_int_equal(analysis->sink->window_size_ms, 30000);
    assert_int_equal(analysis->topic_retention_ms, 7200000);
    assert_true(analysis->topic_compact && analysis->topic_delete);
    assert_true(analysis->sink->materialized);
    assert_true(str_eq_cstr(analysis->sink->query_id, "CTAS_O_1"));
    analysis_free(analysis);
    world_fini(&world);
}

/* The default grace is 24 hours less the window's size; with EMIT FINAL it is none. */
static void test_default_grace(void **state)
{
    static const struct {
        const char *emit;
        int64_t grace_ms;
    } cases[] = {{"", 86400000 - 3000}, {"EMIT FINAL", 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world;
        world_with_sources(&world);
        const struct analysis *analysis;
        struct str text = str_printf(
            &world.arena,
            "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 3 SECONDS) GROUP "
            "BY ID %s;",
            cases[i].emit);
        assert_true(analyze_query(&world.env, world_parse(&world, text.ptr), STR("Q"), &analysis,
                                  &world.arena, &world.err));
        assert_int_equal(analysis->window.grace_ms, cases[i].grace_ms);
        assert_int_equal(analysis->window.retention_ms, 3000 + cases[i].grace_ms);
        analysis_free(analysis);
        world_fini(&world);
    }
}

/* INSERT VALUES ------------------------------------------------------------------------------------------ */

static void test_insert_values(void **state)
{
    struct world world;
    world_with_sources(&world);
    const struct source *source;
    struct value values[8];
    int64_t rowtime;
    const struct ast_stmt *stmt = world_parse(&world, "INSERT INTO U (ROWTIME, C, ID) VALUES (1234, 5, 3);");
    assert_true(analyze_insert_values(&world.env, stmt, &source, values, &rowtime, &world.arena, &world.err));
    assert_true(str_eq_cstr(source->name, "U"));
    assert_int_equal(rowtime, 1234);
    assert_int_equal(values[0].kind, SQL_INTEGER);
    assert_int_equal(values[0].l, 3);
    assert_true(value_is_null(values[1]));
    assert_int_equal(values[2].kind, SQL_DOUBLE);
    assert_true(values[2].d == 5.0);
    stmt = world_parse(&world, "INSERT INTO NARROW VALUES (1 + 1, 7);");
    assert_true(analyze_insert_values(&world.env, stmt, &source, values, &rowtime, &world.arena, &world.err));
    assert_int_equal(rowtime, -1);
    assert_int_equal(values[0].l, 2);
    assert_int_equal(values[1].l, 7);
    world_fini(&world);
}

/* CREATE OR REPLACE -------------------------------------------------------------------------------------- */

static const struct {
    const char *after;
    const char *refusal; /* NULL: allowed */
} replacements[] = {
    {"(ID INT KEY, A INT, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON')", NULL},
    {"(ID INT KEY, A INT, B STRING, C INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON')", NULL},
    {"(ID INT KEY, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON')",
     "The following columns are changed, missing or reordered: [`A` INTEGER, `B` STRING]"},
    {"(ID BIGINT KEY, A INT, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON')",
     "(Key columns must be identical. The following key columns are changed, missing or reordered: [`ID` "
     "INTEGER KEY])"},
    {"(ID INT KEY, A INT, B STRING) WITH (KAFKA_TOPIC='t8', VALUE_FORMAT='JSON')",
     "Cannot upgrade data source: DataSource 'P' has topic = t4 which is not upgradeable to t8"},
    {"(ID INT KEY, A INT, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='DELIMITED')",
     "has value format = JSON which is not upgradeable to DELIMITED"},
};

static void test_replace(void **state)
{
    struct world world;
    world_init(&world);
    assert_true(world_run(
        &world,
        "CREATE STREAM P (ID INT KEY, A INT, B STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');"));
    const struct source *before = catalog_source(world.catalog, STR("P"));
    for (size_t i = 0; i < COUNT_OF(replacements); i++) {
        struct source *after;
        struct str text = str_printf(&world.arena, "CREATE OR REPLACE STREAM P %s;", replacements[i].after);
        assert_true(analyze_create_source(&world.env, world_parse(&world, text.ptr), &after, &world.arena,
                                          &world.err));
        bool ok = analyze_can_replace(before, after, &world.err);
        if (ok != (replacements[i].refusal == NULL))
            fail_msg("%s: %s", replacements[i].after, ok ? "was allowed" : world.err.text);
        if (!ok && str_find(str_from(world.err.text), str_from(replacements[i].refusal)) < 0)
            fail_msg("%s\n  want %s\n  have %s", replacements[i].after, replacements[i].refusal,
                     world.err.text);
        source_unref(after);
    }
    world_fini(&world);
}

static void test_alter(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct source *after;
    const struct ast_stmt *stmt =
        world_parse(&world, "ALTER STREAM NARROW ADD COLUMN W STRING, ADD COLUMN X DOUBLE;");
    assert_true(analyze_alter_source(&world.env, stmt, &after, &world.arena, &world.err));
    assert_int_equal(after->schema->column_count, 4);
    assert_true(str_eq_cstr(after->schema->columns[3].name, "X"));
    source_unref(after);
    stmt = world_parse(&world, "ALTER STREAM NARROW ADD COLUMN V INT;");
    assert_false(analyze_alter_source(&world.env, stmt, &after, &world.arena, &world.err));
    assert_string_equal(world.err.text,
                        "Cannot add column `V` to schema. A column with the same name already exists.");
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sink_schemas),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sink_properties), cmocka_unit_test(test_windowed_sink),
        cmocka_unit_test(test_default_grace),   cmocka_unit_test(test_insert_values),
        cmocka_unit_test(test_replace),         cmocka_unit_test(test_alter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
