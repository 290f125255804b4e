/* test_plan.c - the steps of queries, what each step carries, access of pull queries, upgrades of queries.
 *
 * Shapes are written as the steps from the sink down: KIND(columns) with key columns before a bar. They
 * were worked out by hand from plan.h and the reference (ksql page, 2.8 to 2.14).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../analyze/world.h"
#include "plan/plan.h"

static const char *const sources[] = {
    ("CREATE STREAM S (ID INT KEY, A INT, B STRING, R ARRAY<INT>) WITH (KAFKA_TOPIC='t4', "
     "VALUE_FORMAT='JSON');"),
    "CREATE STREAM U (ID INT KEY, A INT, C DOUBLE) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE TABLE T (ID INT PRIMARY KEY, A INT, F INT) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE TABLE T2 (ID INT PRIMARY KEY, D STRING) WITH (KAFKA_TOPIC='t4', VALUE_FORMAT='JSON');",
    "CREATE STREAM J (ID INT KEY, E INT) WITH (KAFKA_TOPIC='t4', KEY_FORMAT='JSON', VALUE_FORMAT='JSON');",
    "CREATE TABLE M AS SELECT ID, A, F FROM T;",
    "CREATE STREAM WIDE (P STRING KEY, Q STRING KEY, V INT) WITH (KAFKA_TOPIC='t4', FORMAT='JSON');",
    "CREATE TABLE NAMES AS SELECT B, COUNT(*) AS N FROM S GROUP BY B;",
    "CREATE TABLE PAIRS AS SELECT P, Q, COUNT(*) AS N FROM WIDE GROUP BY P, Q;",
    "CREATE TABLE WINS AS SELECT ID, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY ID;",
};

static void world_with_sources(struct world *world)
{
    world_init(world);
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (!world_run(world, sources[i]))
            fail_msg("%s\n  refused: %s", sources[i], world->err.text);
}

static struct plan *plan_of(struct world *world, const char *text)
{
    const struct ast_stmt *stmt = world_parse(world, text);
    const struct analysis *analysis;
    struct plan *plan = NULL;
    if (stmt == NULL ||
        !analyze_query(&world->env, stmt, STR("Q_1"), &analysis, &world->arena, &world->err) ||
        !plan_build(analysis, &world->env, &plan, &world->err))
        return NULL;
    return plan;
}

static struct plan *must_plan(struct world *world, const char *text)
{
    struct plan *plan = plan_of(world, text);
    if (plan == NULL)
        fail_msg("%s\n  refused: %s", text, world->err.text);
    return plan;
}

/* Shapes ------------------------------------------------------------------------------------------------- */

static void print_shape(const struct step *step, struct buf *out)
{
    static const char *const words[] = {
        [STEP_SOURCE] = "SOURCE",       [STEP_FILTER] = "FILTER",        [STEP_SELECT] = "SELECT",
        [STEP_FLAT_MAP] = "FLAT",       [STEP_PARTITION_BY] = "REKEY",   [STEP_GROUP_BY] = "GROUP",
        [STEP_AGGREGATE] = "AGG",       [STEP_JOIN_STREAM_TABLE] = "ST", [STEP_JOIN_STREAM_STREAM] = "SS",
        [STEP_JOIN_TABLE_TABLE] = "TT", [STEP_JOIN_FOREIGN_KEY] = "FK",  [STEP_SUPPRESS] = "SUPPRESS",
        [STEP_SINK] = "SINK",
    };
    buf_append_cstr(out, words[step->kind]);
    bool moves = (step->kind == STEP_PARTITION_BY || step->kind == STEP_GROUP_BY) && step->key.repartition;
    buf_append_cstr(out, moves ? "!(" : "(");
    for (uint32_t i = 0; i < step->column_count; i++)
        buf_printf(out, "%s%.*s",
                   i == 0                 ? ""
                   : i == step->key_count ? " | "
                                          : " ",
                   STR_ARG(step->columns[i].name));
    buf_append_char(out, ')');
    if (step->input != NULL) {
        buf_append_cstr(out, step->right ? " [" : " ");
        print_shape(step->input, out);
    }
    if (step->right != NULL) {
        buf_append_cstr(out, "] [");
        print_shape(step->right, out);
        buf_append_char(out, ']');
    }
}

static const struct {
    const char *statement, *shape;
} shapes[] = {
    {"CREATE STREAM O AS SELECT ID, A + 1 AS X FROM S WHERE B = 'b';",
     "SINK(ID | X) SELECT(ID | X) FILTER(ID | A B) SOURCE(ID | A B)"},
    {"CREATE STREAM O AS SELECT A, ID FROM S PARTITION BY A;",
     "SINK(A | ID) SELECT(A | ID) REKEY(A | ID) SOURCE(ID | A)"},
    {"CREATE STREAM O AS SELECT B FROM S WHERE A > 1 PARTITION BY NULL;",
     "SINK(B) SELECT(B) REKEY(B) FILTER(A B) SOURCE(A B)"},
    {"CREATE STREAM O AS SELECT ID, A FROM S PARTITION BY ID;", "SINK(ID | A) SELECT(ID | A) SOURCE(ID | A)"},
    {"CREATE TABLE O AS SELECT ID, SUM(A) AS N FROM S WHERE A > 0 GROUP BY ID;",
     "SINK(ID | N) SELECT(ID | N) AGG(ID | KSQL_AGG_VARIABLE_0) GROUP(ID | A) FILTER(ID | A) SOURCE(ID | A)"},
    {"CREATE TABLE O AS SELECT B, COUNT(*) AS N, COUNT(*) + 1 AS M FROM S GROUP BY B HAVING COUNT(*) > 1;",
     "SINK(B | N M) SELECT(B | N M) FILTER(B | KSQL_AGG_VARIABLE_0) AGG(B | KSQL_AGG_VARIABLE_0) GROUP!(B) "
     "SOURCE(B)"},
    {"CREATE TABLE O AS SELECT ID, MAX(A) AS M, WINDOWSTART AS WS FROM S WINDOW TUMBLING (SIZE 3 SECONDS) "
     "GROUP BY ID EMIT "
     "FINAL;",
     "SINK(ID | M WS) SELECT(ID | M WS) SUPPRESS(ID | KSQL_AGG_VARIABLE_0 WINDOWSTART WINDOWEND) AGG(ID | "
     "KSQL_AGG_VARIABLE_0 "
     "WINDOWSTART WINDOWEND) GROUP(ID | A) SOURCE(ID | A)"},
    {"SELECT COUNT(*) FROM S EMIT CHANGES;",
     "SINK(KSQL_COL_0) SELECT(KSQL_COL_0) AGG(KSQL_AGG_VARIABLE_0) GROUP!() SOURCE()"},
    {"CREATE STREAM O AS SELECT ID, EXPLODE(R) AS E FROM S;",
     "SINK(ID | E) SELECT(ID | E) FLAT(ID | R KSQL_SYNTH_0) SOURCE(ID | R)"},
    {"CREATE STREAM O AS SELECT S.ID, B, C FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "SINK(S_ID | B C) SELECT(S_ID | B C) SS(S_ID | S_B U_C) [SOURCE(S_ID | S_B)] [SOURCE(U_ID | U_C)]"},
    {"CREATE STREAM O AS SELECT S.ID, U.ID, C FROM S LEFT JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "SINK(S_ID | U_ID C) SELECT(S_ID | U_ID C) SS(S_ID | U_ID U_C) [SOURCE(S_ID)] [SOURCE(U_ID | U_C)]"},
    {"CREATE STREAM O AS SELECT S.A, B, T.F FROM S LEFT JOIN T ON S.A = T.ID;",
     "SINK(S_A | B F) SELECT(S_A | B F) ST(S_A | S_B T_F) [REKEY!(S_A | S_B) SOURCE(S_A S_B)] [SOURCE(T_ID | "
     "T_F)]"},
    {"CREATE STREAM O AS SELECT ROWKEY, B FROM S FULL JOIN U WITHIN 1 HOUR ON S.ID = U.ID;",
     "SINK(ROWKEY | B) SELECT(ROWKEY | B) SS(ROWKEY | S_B) [SOURCE(S_ID | S_B)] [SOURCE(U_ID)]"},
    {"CREATE TABLE O AS SELECT T.ID, T.A, D FROM T JOIN T2 ON T.ID = T2.ID;",
     "SINK(T_ID | A D) SELECT(T_ID | A D) TT(T_ID | T_A T2_D) [SOURCE(T_ID | T_A)] [SOURCE(T2_ID | T2_D)]"},
    {"CREATE TABLE O AS SELECT T.ID, D FROM T LEFT JOIN T2 ON T.F = T2.ID;",
     "SINK(T_ID | D) SELECT(T_ID | D) FK(T_ID | T2_D) [SOURCE(T_ID | T_F)] [SOURCE(T2_ID | T2_D)]"},
    {"CREATE STREAM O AS SELECT S.ID, C, F FROM S JOIN U WITHIN 1 HOUR ON S.ID = U.ID JOIN T ON U.ID = T.ID;",
     "SINK(S_ID | C F) SELECT(S_ID | C F) ST(S_ID | U_C T_F) [SS(S_ID | U_ID U_C) [SOURCE(S_ID)] "
     "[SOURCE(U_ID | U_C)]] "
     "[SOURCE(T_ID | T_F)]"},
    {"CREATE STREAM O AS SELECT J.ID, E, F FROM J JOIN T ON J.ID = T.ID;",
     "SINK(J_ID | E F) SELECT(J_ID | E F) ST(J_ID | J_E T_F) [REKEY!(J_ID | J_E) SOURCE(J_ID | J_E)] "
     "[SOURCE(T_ID | T_F)]"},
    {"SELECT A FROM T EMIT CHANGES;", "SINK(ID | A) SELECT(ID | A) SOURCE(ID | A)"},
    {"INSERT INTO U SELECT ID, A, A AS C FROM S;", "SINK(ID | A C) SELECT(ID | A C) SOURCE(ID | A)"},
};

static void test_shapes(void **state)
{
    struct world world;
    world_with_sources(&world);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct plan *plan = must_plan(&world, shapes[i].statement);
        struct buf text = {0};
        print_shape(plan->sink, &text);
        if (!str_eq_cstr(buf_str(&text), shapes[i].shape))
            fail_msg("%s\n  want %s\n  have %s", shapes[i].statement, shapes[i].shape, text.ptr);
        buf_fini(&text);
        plan_free(plan);
    }
    world_fini(&world);
}

/* Steps in detail ---------------------------------------------------------------------------------------- */

static const struct step *step_of(const struct plan *plan, enum step_kind kind)
{
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i]->kind == kind)
            return plan->steps[i];
    fail_msg("the plan has no step of kind %d", kind);
    return NULL;
}

static void test_indexes(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan =
        must_plan(&world, "CREATE STREAM O AS SELECT S.A, B, T.F, S.ID FROM S LEFT JOIN T ON S.A = T.ID;");
    const struct step *join = step_of(plan, STEP_JOIN_STREAM_TABLE);
    assert_int_equal(join->join.kind, JOIN_LEFT);
    assert_int_equal(join->join.left_count, 2); /* S_ID, S_B behind the key S_A */
    assert_int_equal(join->join.left_columns[0], 1);
    assert_int_equal(join->join.left_columns[1], 2);
    assert_int_equal(join->join.right_count, 1);
    assert_int_equal(join->join.right_columns[0], 1);
    const struct step *rekey = step_of(plan, STEP_PARTITION_BY);
    assert_int_equal(rekey->key.keys[0]->kind, EXPR_COLUMN);
    assert_true(str_eq_cstr(rekey->input->columns[rekey->key.keys[0]->index].name, "S_A"));
    for (uint32_t i = rekey->key_count; i < rekey->column_count; i++)
        assert_true(str_eq(rekey->input->columns[rekey->key.carried[i - rekey->key_count]].name,
                           rekey->columns[i].name));
    for (uint32_t i = 0; i < plan->step_count; i++)
        assert_int_equal(plan->steps[i]->id, i);
    assert_true(plan_has_repartition(plan));
    const struct step *table = join->right;
    assert_true(table->source.materialize && table->source.from_earliest);
    plan_free(plan);
    world_fini(&world);
}

static void test_aggregate_step(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan =
        must_plan(&world,
                  "CREATE TABLE O AS SELECT ID, TOPK(A, 3) AS K, SUM(A + 1) AS N FROM S WINDOW HOPPING "
                  "(SIZE 6 SECONDS, ADVANCE BY 2 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY ID;");
    const struct step *step = step_of(plan, STEP_AGGREGATE);
    assert_int_equal(step->aggregate.aggregate_count, 2);
    assert_int_equal(step->aggregate.aggregates[0].arg_count, 1); /* the 3 is the call's own */
    assert_int_equal(step->aggregate.aggregates[1].args[0]->kind, EXPR_ARITHMETIC);
    assert_int_equal(step->aggregate.window.size_ms, 6000);
    assert_int_equal(step->aggregate.window.advance_ms, 2000);
    assert_int_equal(step->aggregate.window.retention_ms, 7000);
    assert_false(step->aggregate.window_columns);
    assert_int_equal(step->key_window, WINDOW_HOPPING);
    const struct step *sink = step_of(plan, STEP_SINK);
    assert_true(sink->sink.materialize && sink->sink.create_topic == false);
    assert_true(sink->sink.topic_compact && sink->sink.topic_delete);
    plan_free(plan);
    plan = must_plan(&world, "CREATE TABLE O AS SELECT F, SUM(A) AS N FROM T GROUP BY F;");
    assert_true(step_of(plan, STEP_AGGREGATE)->aggregate.undo);
    assert_true(step_of(plan, STEP_SOURCE)->source.materialize);
    plan_free(plan);
    world_fini(&world);
}

/* Keys that KAFKA's format cannot hold move as JSON. */
static void test_key_format(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan = must_plan(&world, "SELECT A, B, COUNT(*) FROM S GROUP BY A, B EMIT CHANGES;");
    assert_true(str_eq_cstr(step_of(plan, STEP_GROUP_BY)->key.key_format.name, "JSON"));
    plan_free(plan);
    plan = must_plan(&world, "SELECT B, COUNT(*) FROM S GROUP BY B EMIT CHANGES;");
    assert_true(str_eq_cstr(step_of(plan, STEP_GROUP_BY)->key.key_format.name, "KAFKA"));
    plan_free(plan);
    world_fini(&world);
}

static void test_output_order(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan = must_plan(&world, "SELECT A, ID, B, ID AS I2 FROM S EMIT CHANGES LIMIT 5;");
    static const uint32_t order[] = {1, 0, 2, 3};
    assert_int_equal(plan->kind, QUERY_PUSH);
    assert_int_equal(plan->limit, 5);
    assert_int_equal(plan->output_count, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(plan->output_order[i], order[i]);
    assert_false(plan->internal_key);
    plan_free(plan);
    plan = must_plan(&world, "SELECT A FROM S EMIT CHANGES;");
    assert_true(plan->internal_key);
    plan_free(plan);
    world_fini(&world);
}

static void test_insert_coerces(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan = must_plan(&world, "INSERT INTO U SELECT ID, A, A AS C FROM S;");
    const struct step *select = step_of(plan, STEP_SELECT);
    assert_int_equal(select->columns[2].type->kind, SQL_DOUBLE);
    assert_int_equal(select->select.exprs[2]->kind, EXPR_COERCE);
    assert_true(str_eq_cstr(step_of(plan, STEP_SINK)->sink.sink->name, "U"));
    plan_free(plan);
    world_fini(&world);
}

/* Pull queries ------------------------------------------------------------------------------------------- */

static const struct {
    const char *query;
    int kind;
    uint32_t keys;
} accesses[] = {
    {"SELECT * FROM M;", PULL_SCAN, 0},
    {"SELECT * FROM M WHERE ID = 3;", PULL_KEYS, 1},
    {"SELECT * FROM M WHERE 3 = ID AND A > 2;", PULL_KEYS, 1},
    {"SELECT * FROM M WHERE ID IN (1, 2, 2, 3);", PULL_KEYS, 3},
    {"SELECT * FROM M WHERE ID = 1 OR ID = 1 + 1;", PULL_KEYS, 2},
    {"SELECT * FROM M WHERE ID = 1 AND ID = 2;", PULL_KEYS, 0},
    {"SELECT * FROM M WHERE ID = 5000000000;", PULL_KEYS, 0},
    {"SELECT * FROM M WHERE ID = 1 OR A = 2;", PULL_SCAN, 0},
    {"SELECT * FROM M WHERE ID > 1;", PULL_SCAN, 0},
    {"SELECT * FROM NAMES WHERE B > 'b';", PULL_RANGE, 0},
    {"SELECT * FROM NAMES WHERE B > 'b' AND B <= 'd';", PULL_RANGE, 0},
    {"SELECT * FROM NAMES WHERE B > 'b' OR B <= 'a';", PULL_SCAN, 0},
    {"SELECT * FROM PAIRS WHERE P = 'x' AND Q IN ('y', 'z');", PULL_KEYS, 2},
    {"SELECT * FROM PAIRS WHERE P = 'x';", PULL_SCAN, 0},
    {"SELECT * FROM WINS WHERE ID = 1 AND WINDOWSTART >= 10;", PULL_KEYS, 1},
    {"SELECT * FROM S WHERE ID = 1;", PULL_STREAM, 0},
};

static void test_pull_access(void **state)
{
    struct world world;
    world_with_sources(&world);
    for (size_t i = 0; i < COUNT_OF(accesses); i++) {
        struct plan *plan = must_plan(&world, accesses[i].query);
        if ((int)plan->pull.kind != accesses[i].kind || plan->pull.key_count != accesses[i].keys)
            fail_msg("%s: kind %d, %u keys; want %d, %u", accesses[i].query, plan->pull.kind,
                     plan->pull.key_count, accesses[i].kind, accesses[i].keys);
        plan_free(plan);
    }
    world_fini(&world);
}

static void test_pull_bounds(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan = must_plan(&world, "SELECT * FROM NAMES WHERE B > 'b' AND B <= 'd';");
    assert_true(str_eq_cstr(value_slice(*plan->pull.low), "b") && !plan->pull.low_inclusive);
    assert_true(str_eq_cstr(value_slice(*plan->pull.high), "d") && plan->pull.high_inclusive);
    plan_free(plan);
    plan = must_plan(
        &world,
        "SELECT * FROM WINS WHERE ID = 1 AND WINDOWSTART > '1970-01-01T00:00:10' AND WINDOWEND <= 40000;");
    assert_int_equal(plan->pull.window_start_min, 10001);
    assert_int_equal(plan->pull.window_start_max, INT64_MAX);
    assert_int_equal(plan->pull.window_end_min, INT64_MIN);
    assert_int_equal(plan->pull.window_end_max, 40000);
    assert_int_equal(plan->output_count, 4); /* ID, WINDOWSTART, WINDOWEND, N */
    plan_free(plan);
    world_fini(&world);
}

static const struct {
    const char *query, *text;
} scan_refusals[] = {
    {"SELECT * FROM M;", "Missing WHERE clause. See https://cnfl.io/queries for more info."},
    {"SELECT * FROM M WHERE A = 2;", "WHERE clause missing key column for disjunct: (A = 2)"},
    {"SELECT * FROM M WHERE ID <> 2;", "Bound on key columns '[`ID` INTEGER KEY]' must currently be '='."},
    {"SELECT * FROM M WHERE ID + 1 = 2;", "A comparison must directly reference a key column."},
    {"SELECT * FROM M WHERE ID = A;",
     "A comparison must be between a key column and a resolvable expression."},
    {"SELECT * FROM PAIRS WHERE P = 'x';",
     "Multi-column sources must specify every key in the WHERE clause."},
};

static void test_scans_off(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct str off = STR("false");
    map_put(&world.properties, STR("ksql.query.pull.table.scan.enabled"), &off);
    for (size_t i = 0; i < COUNT_OF(scan_refusals); i++) {
        struct plan *plan = plan_of(&world, scan_refusals[i].query);
        if (plan != NULL || str_find(str_from(world.err.text), str_from(scan_refusals[i].text)) < 0)
            fail_msg("%s\n  want %s\n  have %s", scan_refusals[i].query, scan_refusals[i].text,
                     plan ? "a plan" : world.err.text);
    }
    struct plan *plan = must_plan(&world, "SELECT * FROM M WHERE ID = 3;");
    plan_free(plan);
    world_fini(&world);
}

/* Upgrades ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *before, *after;
    const char *refusal; /* NULL: allowed */
} upgrades[] = {
    {"CREATE STREAM O AS SELECT ID, A FROM S;",
     "CREATE STREAM O AS SELECT ID, A * 2 AS A, B FROM S WHERE A > 1;", NULL},
    {"CREATE TABLE O AS SELECT ID, COUNT(A) AS N FROM S GROUP BY ID;",
     "CREATE TABLE O AS SELECT ID, COUNT(A) AS N FROM S WHERE A > 1 GROUP BY ID;", NULL},
    {"CREATE TABLE O AS SELECT ID, COUNT(A) AS N FROM S GROUP BY ID;",
     "CREATE TABLE O AS SELECT ID, SUM(A) AS N FROM S GROUP BY ID;",
     "StreamAggregate must have matching aggregation functions."},
    {"CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;",
     "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S WHERE A > 1 GROUP BY ID;",
     "StreamAggregate must have matching columns not part of aggregate. Values differ: [`ID`, `ROWTIME`] vs. "
     "[`ID`, `ROWTIME`, "
     "`A`]"},
    {"CREATE STREAM O AS SELECT ID, A FROM S;", "CREATE STREAM O AS SELECT ID, A FROM U;",
     "StreamSource must have matching source. Values differ: `S` vs. `U`"},
    {"CREATE STREAM O AS SELECT S.ID, B, F FROM S JOIN T ON S.ID = T.ID;",
     "CREATE STREAM O AS SELECT S.ID, F, B FROM S JOIN T ON S.ID = T.ID;",
     "Upgrades not yet supported for StreamTableJoin"},
    {"CREATE STREAM O AS SELECT ID, A FROM S;", "CREATE STREAM O AS SELECT A, ID FROM S PARTITION BY A;",
     "Query is not upgradeable. Plan type mismatch: StreamSource vs. StreamSelectKey"},
};

static void test_upgrades(void **state)
{
    struct world world;
    world_with_sources(&world);
    for (size_t i = 0; i < COUNT_OF(upgrades); i++) {
        struct plan *before = must_plan(&world, upgrades[i].before),
                    *after = must_plan(&world, upgrades[i].after);
        bool ok = plan_can_replace(before, after, &world.err);
        if (ok != (upgrades[i].refusal == NULL))
            fail_msg("%s: %s", upgrades[i].after, ok ? "was allowed" : world.err.text);
        if (!ok && str_find(str_from(world.err.text), str_from(upgrades[i].refusal)) < 0)
            fail_msg("%s\n  want %s\n  have %s", upgrades[i].after, upgrades[i].refusal, world.err.text);
        plan_free(before);
        plan_free(after);
    }
    world_fini(&world);
}

/* Stand-alone queries, source tables --------------------------------------------------------------------- */

/* What a header shows: the columns in order, those it calls KEY with a mark. */
static void assert_shown(struct world *world, const char *text, const char *wanted)
{
    struct plan *plan = must_plan(world, text);
    struct column *columns = arena_array(plan->arena, struct column, plan->output_count);
    struct buf shown = {0};
    plan_output_columns(plan, columns);
    for (uint32_t i = 0; i < plan->output_count; i++)
        buf_printf(&shown, "%s%.*s%s", i == 0 ? "" : " ", STR_ARG(columns[i].name),
                   columns[i].role == COLUMN_KEY ? "*" : "");
    assert_string_equal(shown.ptr, wanted);
    buf_fini(&shown);
    plan_free(plan);
}

static void test_shown_columns(void **state)
{
    struct world world;
    world_with_sources(&world);
    assert_shown(&world, "SELECT N, B FROM NAMES;", "N B*");
    assert_shown(&world, "SELECT * FROM WINS;", "ID* WINDOWSTART* WINDOWEND* N");
    assert_shown(&world, "SELECT ID, WINDOWSTART AS W FROM WINS;", "ID* W");
    assert_shown(&world, "SELECT ID, A FROM S;", "ID A");
    world_fini(&world);
}

static void assert_taps(struct world *world, const char *text, bool taps, bool from_earliest)
{
    struct plan *plan = must_plan(world, text);
    assert_int_equal(plan->taps, taps);
    assert_int_equal(plan->steps[0]->source.from_earliest, from_earliest);
    plan_free(plan);
}

static void test_taps(void **state)
{
    struct world world;
    world_with_sources(&world);
    assert_taps(&world, "SELECT * FROM M EMIT CHANGES;", false, true); /* nobody asked for it */
    world.env.may_tap = true;
    assert_taps(&world, "SELECT * FROM M EMIT CHANGES;", true, false);
    assert_taps(&world, "SELECT ID FROM S WHERE A > 1 EMIT CHANGES;", true, false);
    assert_taps(&world, "SELECT ID, ROWOFFSET FROM S EMIT CHANGES;", false, false);
    assert_taps(&world, "SELECT A, COUNT(*) FROM S GROUP BY A EMIT CHANGES;", false, false);
    assert_taps(&world, "SELECT A, ID FROM S PARTITION BY A EMIT CHANGES;", false, false);
    assert_taps(&world, "SELECT * FROM M;", false, true);
    world_fini(&world);
}

static void test_keep_table(void **state)
{
    struct world world;
    world_with_sources(&world);
    const struct source *table = catalog_source(world.env.catalog, STR("T"));
    struct plan *plan = plan_keep_table(table);
    struct buf shape = {0};
    print_shape(plan->sink, &shape);
    assert_string_equal(shape.ptr, "SINK(ID | A F) SOURCE(ID | A F)");
    assert_null(plan->sink->sink.sink);
    assert_true(plan->sink->sink.materialize);
    assert_true(plan->steps[0]->source.from_earliest);
    assert_ptr_equal(plan->sources[0], table);
    assert_int_equal(plan->steps[0]->source.origins[2].origin, ORIGIN_VALUE);
    assert_int_equal(plan->steps[0]->source.origins[2].index, 2);
    buf_fini(&shape);
    plan_free(plan);
    world_fini(&world);
}

/* Texts -------------------------------------------------------------------------------------------------- */

static void test_explain(void **state)
{
    struct world world;
    world_with_sources(&world);
    struct plan *plan = must_plan(&world, "CREATE STREAM O AS SELECT ID, A FROM S WHERE A > 1;");
    struct buf text = {0};
    plan_explain(plan, STR("CSAS_O_1"), &text);
    assert_string_equal(
        text.ptr,
        " > [ SINK ] | Schema: `ID` INTEGER KEY, `A` INTEGER | Logger: CSAS_O_1.O\n"
        "\t\t > [ PROJECT ] | Schema: `ID` INTEGER KEY, `A` INTEGER | Logger: CSAS_O_1.Project\n"
        "\t\t\t\t > [ FILTER ] | Schema: `ID` INTEGER KEY, `A` INTEGER | Logger: CSAS_O_1.WhereFilter | "
        "Filter: (A > 1)\n"
        "\t\t\t\t\t\t > [ SOURCE ] | Schema: `ID` INTEGER KEY, `A` INTEGER | Logger: CSAS_O_1.KsqlTopic | "
        "Topic: t4\n");
    buf_clear(&text);
    struct json_writer writer = {.out = &text};
    plan_to_json(plan, &writer);
    const struct json_value *json = json_parse(buf_str(&text), &world.arena, &world.err);
    assert_non_null(json);
    assert_int_equal(json_get(json, STR("steps"))->len, 4);
    buf_fini(&text);
    plan_free(plan);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_indexes),
        cmocka_unit_test(test_aggregate_step), cmocka_unit_test(test_key_format),
        cmocka_unit_test(test_output_order),   cmocka_unit_test(test_insert_coerces),
        cmocka_unit_test(test_pull_access),    cmocka_unit_test(test_pull_bounds),
        cmocka_unit_test(test_scans_off),      cmocka_unit_test(test_upgrades),
        cmocka_unit_test(test_shown_columns),  cmocka_unit_test(test_taps),
        cmocka_unit_test(test_keep_table),     cmocka_unit_test(test_explain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
