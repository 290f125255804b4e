/* Operators in step mode: each test is a query, records in, records out. Expected rows were worked out by hand from the
 * SQL reference (windows 2.10, joins 2.11, aggregation 2.12). A windowed key shows its text, then the low bytes of the
 * window start (\N). */
#include "sql_world.h"

struct step_test {
    struct sql_world world;
    struct flow_driver *driver;
    struct buf log;
};

static void on_log(void *arg, const struct flow_log_entry *entry)
{
    buf_printf(arg, "%d %.*s@%" PRId64 "\n", (int)entry->type, STR_ARG(entry->logger), entry->offset);
}

static void begin(struct step_test *test)
{
    *test = (struct step_test){0};
    sql_world_init(&test->world, client_memory_new());
}

static void query(struct step_test *test, const char *text)
{
    struct err err;
    struct flow_driver_options options = {.client = test->world.client,
                                          .query = {.id = STR("Q")},
                                          .on_log = on_log,
                                          .log_arg = &test->log};
    test->driver = flow_driver_new(sql_run(&test->world, "Q", text), &options, &err);
    if (test->driver == NULL)
        fail_msg("%s", err.text);
}

static void put(struct step_test *test, const char *topic, int64_t time_ms, const char *key,
                const char *value)
{
    struct err err;
    sql_put(&test->world, topic, 0, time_ms, key, value);
    if (!flow_driver_drain(test->driver, str_from(topic), &err))
        fail_msg("%s", err.text);
}

static void end(struct step_test *test)
{
    struct client *client = test->world.client;
    flow_driver_free(test->driver);
    sql_world_fini(&test->world);
    client_free(client);
    buf_fini(&test->log);
}

static const char *const stream_s =
    "CREATE STREAM S (K STRING KEY, V INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, "
    "VALUE_FORMAT='DELIMITED');";
static const char *const stream_r =
    "CREATE STREAM R (K STRING KEY, W STRING) WITH (KAFKA_TOPIC='r', PARTITIONS=1, "
    "VALUE_FORMAT='DELIMITED');";
static const char *const stream_l =
    "CREATE STREAM L (K STRING KEY, U STRING) WITH (KAFKA_TOPIC='l', PARTITIONS=1, "
    "VALUE_FORMAT='DELIMITED');";
static const char *const table_t = "CREATE TABLE T (K STRING PRIMARY KEY, W STRING) WITH (KAFKA_TOPIC='t', "
                                   "PARTITIONS=1, VALUE_FORMAT='DELIMITED');";
static const char *const table_n =
    "CREATE TABLE N (K STRING PRIMARY KEY, G STRING, V INT) WITH (KAFKA_TOPIC='n', "
    "PARTITIONS=1, VALUE_FORMAT='DELIMITED');";

static void filter_and_projection(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(&test, "CREATE STREAM O AS SELECT K, V * 2 AS D FROM S WHERE V > 10;");
    put(&test, "s", 1, "a", "10");
    put(&test, "s", 2, "b", "11");
    put(&test, "s", 3, NULL, "12");
    put(&test, "s", 4, "d", NULL); /* WHERE drops null values */
    assert_topic(&test.world, "O", "b=22@2 null=24@3");
    end(&test);
}

static void bad_records_are_told_and_skipped(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(&test, "CREATE STREAM O AS SELECT K, V, 10 / V AS D FROM S;");
    put(&test, "s", 1, "a", "5");
    put(&test, "s", 2, "b", "five");
    put(&test, "s", 3, "c", "0"); /* the expression fails: NULL */
    put(&test, "s", 4, "d", "2");
    assert_topic(&test.world, "O", "a=5,2@1 c=0,@3 d=2,5@4");
    assert_string_equal(test.log.ptr,
                        "0 processing.Q.KsqlTopic.Source.deserializer@1\n1 processing.Q.Project@2\n");
    end(&test);
}

static void a_tumbling_window_counts_and_drops_late_rows(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(&test, "CREATE TABLE O AS SELECT K, SUM(V) AS T, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 10 "
                 "MILLISECONDS, "
                 "GRACE PERIOD 5 MILLISECONDS) GROUP BY K;");
    put(&test, "s", 1, "a", "1");
    put(&test, "s", 9, "a", "2");
    put(&test, "s", 12, "a", "4");
    put(&test, "s", 8, "a", "8");  /* window [0, 10) is open until stream time 15 */
    put(&test, "s", 15, "b", "1"); /* closes it */
    put(&test, "s", 9, "a", "16"); /* late */
    assert_topic(&test.world, "O", "a=1,1@1 a=3,2@9 a\\10=4,1@12 a=11,3@9 b\\10=1,1@15");
    end(&test);
}

static void a_hopping_window_puts_rows_into_each_of_its_windows(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(
        &test,
        "CREATE TABLE O AS SELECT K, COUNT(*) AS N FROM S WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 4 "
        "MILLISECONDS) GROUP BY K;");
    put(&test, "s", 9, "a", "1");  /* [0, 10) [4, 14) [8, 18) */
    put(&test, "s", 13, "a", "1"); /* [4, 14) [8, 18) [12, 22) */
    assert_topic(&test.world, "O", "a=1@9 a\\4=1@9 a\\8=1@9 a\\4=2@13 a\\8=2@13 a\\12=1@13");
    end(&test);
}

static void sessions_grow_and_merge(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(&test,
          "CREATE TABLE O AS SELECT K, SUM(V) AS T FROM S WINDOW SESSION (5 MILLISECONDS) GROUP BY K;");
    put(&test, "s", 10, "a", "1");
    put(&test, "s", 20, "a", "2");
    put(&test, "s", 15, "a", "4"); /* within 5 of both: they become one, [10, 20] */
    put(&test, "s", 30, "a", "8");
    /* Keys end with window end and start. */
    assert_topic(
        &test.world, "O",
        "a\\10\\10=1@10 a\\20\\20=2@20 a\\10\\10=null@10 a\\20\\20=null@20 a\\20\\10=7@20 a\\30\\30=8@30");
    end(&test);
}

static void emit_final_gives_one_row_per_closed_window(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(
        &test,
        "CREATE TABLE O AS SELECT K, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 10 MILLISECONDS) GROUP BY K "
        "EMIT FINAL;");
    put(&test, "s", 1, "b", "1");
    put(&test, "s", 2, "a", "1");
    put(&test, "s", 3, "b", "1");
    assert_topic(&test.world, "O", "");
    put(&test, "s", 10, "c", "1");
    assert_topic(&test.world, "O", "a=1@2 b=2@3");
    put(&test, "s", 35, "c", "1");
    assert_topic(&test.world, "O", "a=1@2 b=2@3 c\\10=1@10");
    end(&test);
}

static void having_deletes_what_it_had_let_through(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", table_n);
    query(&test, "CREATE TABLE O AS SELECT G, SUM(V) AS T FROM N GROUP BY G HAVING SUM(V) > 5;");
    put(&test, "n", 1, "k1", "g,4");
    put(&test, "n", 2, "k2", "g,4"); /* 8 */
    put(&test, "n", 3, "k1", "g,1"); /* 5: no more */
    put(&test, "n", 4, "k1", "g,0"); /* 4: was not there */
    assert_topic(&test.world, "O", "g=8@2 g=null@3");
    end(&test);
}

static void a_table_aggregate_takes_old_rows_out(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", table_n);
    query(&test, "CREATE TABLE O AS SELECT G, SUM(V) AS T, COUNT(*) AS N FROM N GROUP BY G;");
    put(&test, "n", 1, "k1", "g,4");
    put(&test, "n", 2, "k1", "g,5"); /* same group: one change */
    put(&test, "n", 3, "k1", "h,5"); /* another one: two changes */
    put(&test, "n", 4, "k1", NULL);
    assert_topic(&test.world, "O", "g=4,1@1 g=5,1@2 g=0,0@3 h=5,1@3 h=0,0@4");
    end(&test);
}

static void a_filtered_table_deletes_rows_that_stop_matching(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", table_n);
    query(&test, "CREATE TABLE O AS SELECT K, V FROM N WHERE V > 5;");
    put(&test, "n", 1, "a", "g,6");
    put(&test, "n", 2, "b", "g,1"); /* never matched: nothing */
    put(&test, "n", 3, "a", "g,2");
    put(&test, "n", 4, "a", NULL); /* is gone already */
    assert_topic(&test.world, "O", "a=6@1 a=null@3");
    end(&test);
}

static void a_stream_looks_up_the_table(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    sql_run(&test.world, "", table_t);
    query(&test, "CREATE STREAM O AS SELECT S.K, V, W FROM S LEFT JOIN T ON S.K = T.K;");
    put(&test, "s", 1, "a", "1");
    put(&test, "t", 2, "a", "x");
    put(&test, "s", 3, "a", "2");
    put(&test, "t", 4, "a", NULL);
    put(&test, "s", 5, "a", "3");
    put(&test, "s", 6, NULL, "4"); /* no key: dropped */
    assert_topic(&test.world, "O", "a=1,@1 a=2,x@3 a=3,@5");
    end(&test);
}

/* The example of the reference: WITHIN 15 GRACE 5, one key, rows in order of time. */
static void run_stream_join(struct step_test *test, const char *kind)
{
    char text[256];
    begin(test);
    sql_run(&test->world, "", stream_l);
    sql_run(&test->world, "", stream_r);
    ignore(
        snprintf(
            text, sizeof text,
            "CREATE STREAM O AS SELECT %s, U, W FROM L %s JOIN R WITHIN 15 SECONDS GRACE PERIOD 5 SECONDS ON "
            "L.K = R.K;",
            strcmp(kind, "FULL OUTER") == 0 ? "ROWKEY AS K" : "L.K AS K", kind) < 0,
        "it fits");
    query(test, text);
    put(test, "l", 3000, "k", "A");
    put(test, "r", 4000, "k", "a");
    put(test, "l", 5000, "k", "B");
    put(test, "r", 6000, "k", "b");
    put(test, "l", 9000, "k", "C");
    put(test, "r", 10000, "k", "c");
    put(test, "l", 40000, "k", "E"); /* nobody near */
    put(test, "l", 60001, "other", "x");
    put(test, "r", 80000, "k", "f");
    put(test, "r", 100001, "other", "y");
}

#define PAIRS \
    "k=A,a@4000 k=B,a@5000 k=A,b@6000 k=B,b@6000 k=C,a@9000 k=C,b@9000 k=A,c@10000 k=B,c@10000 k=C,c@10000"

static void streams_join_within_an_interval(void **state)
{
    struct step_test test;
    run_stream_join(&test, "INNER");
    assert_topic(&test.world, "O", PAIRS);
    end(&test);
    run_stream_join(&test, "LEFT");
    assert_topic(&test.world, "O", PAIRS " k=E,@40000 other=x,@60001");
    end(&test);
    run_stream_join(&test, "FULL OUTER");
    assert_topic(&test.world, "O", PAIRS " k=E,@40000 other=x,@60001 k=,f@80000");
    end(&test);
}

static void run_table_join(struct step_test *test, const char *kind)
{
    char text[256];
    begin(test);
    sql_run(&test->world, "", table_n);
    sql_run(&test->world, "", table_t);
    ignore(snprintf(text, sizeof text,
                    "CREATE TABLE O AS SELECT %s AS K, V, W FROM N %s JOIN T ON N.K = T.K;",
                    strcmp(kind, "FULL OUTER") == 0 ? "ROWKEY" : "N.K", kind) < 0,
           "it fits");
    query(test, text);
    put(test, "n", 1, "k", "g,1");
    put(test, "t", 2, "k", "a");
    put(test, "n", 3, "k", NULL);
    put(test, "n", 4, "k", "g,2");
    put(test, "t", 3, "k", NULL); /* the left row is younger: its time */
}

static void tables_join_on_their_keys(void **state)
{
    struct step_test test;
    run_table_join(&test, "INNER");
    assert_topic(&test.world, "O", "k=1,a@2 k=null@3 k=2,a@4 k=null@4");
    end(&test);
    run_table_join(&test, "LEFT");
    assert_topic(&test.world, "O", "k=1,@1 k=1,a@2 k=null@3 k=2,a@4 k=2,@4");
    end(&test);
    run_table_join(&test, "FULL OUTER");
    assert_topic(&test.world, "O", "k=1,@1 k=1,a@2 k=,a@3 k=2,a@4 k=2,@4");
    end(&test);
}

static void a_foreign_key_moves_and_follows_its_row(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", table_n);
    sql_run(&test.world, "", table_t);
    query(&test, "CREATE TABLE O AS SELECT N.K AS K, V, W FROM N LEFT JOIN T ON N.G = T.K;");
    put(&test, "t", 1, "g", "x");
    put(&test, "n", 2, "k2", "g,2");
    put(&test, "n", 3, "k1", "g,1");
    put(&test, "t", 4, "g", "y"); /* both left rows, by key */
    put(&test, "n", 5, "k1", "h,1");
    put(&test, "t", 6, "g", NULL);
    put(&test, "n", 7, "k2", NULL);
    assert_topic(&test.world, "O", "k2=2,x@2 k1=1,x@3 k1=1,y@4 k2=2,y@4 k1=1,@5 k2=2,@6 k2=null@7");
    end(&test);
}

static void table_functions_make_rows(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "",
            "CREATE STREAM A (K STRING KEY, X ARRAY<INT>, Y ARRAY<INT>) WITH (KAFKA_TOPIC='a', "
            "PARTITIONS=1, VALUE_FORMAT='JSON');");
    query(&test, "CREATE STREAM O AS SELECT K, EXPLODE(X) AS X, EXPLODE(Y) AS Y FROM A;");
    put(&test, "a", 1, "k", "{\"X\":[1,2],\"Y\":[3]}");
    put(&test, "a", 2, "k", "{\"X\":[],\"Y\":null}");
    put(&test, "a", 3, "k", NULL);
    assert_topic(&test.world, "O", "k={\"X\":1,\"Y\":3}@1 k={\"X\":2,\"Y\":null}@1");
    end(&test);
}

static void grouping_drops_null_groups(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "",
            "CREATE STREAM J (K STRING KEY, G STRING) WITH (KAFKA_TOPIC='j', PARTITIONS=1, "
            "VALUE_FORMAT='JSON');");
    query(&test, "CREATE TABLE O AS SELECT G, COUNT(*) AS N FROM J GROUP BY G;");
    put(&test, "j", 1, "a", "{\"G\":\"x\"}");
    put(&test, "j", 2, "b", "{\"G\":null}");
    put(&test, "j", 3, "c", NULL);
    put(&test, "j", 4, "d", "{\"G\":\"x\"}");
    assert_topic(&test.world, "O", "x={\"N\":1}@1 x={\"N\":2}@4");
    assert_string_equal(test.log.ptr, "1 processing.Q.GroupBy@1\n");
    end(&test);
}

static void a_replaced_query_goes_on(void **state)
{
    struct step_test test;
    struct err err;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(&test, "CREATE TABLE O AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;");
    put(&test, "s", 1, "a", "1");
    const struct plan *plan =
        sql_run(&test.world, "Q",
                "CREATE OR REPLACE TABLE O AS SELECT K, COUNT(*) AS N FROM S WHERE V > 0 GROUP BY K;");
    if (!flow_driver_replace(test.driver, plan, &err))
        fail_msg("%s", err.text);
    put(&test, "s", 2, "a", "0");
    put(&test, "s", 3, "a", "5");
    assert_topic(&test.world, "O", "a=1@1 a=2@3");
    end(&test);
}

static bool print_rows(void *arg, const struct flow_rows *rows)
{
    for (uint32_t r = 0; r < rows->count; r++) {
        buf_append_char(arg, '[');
        for (uint32_t c = 0; c < rows->column_count; c++) {
            struct value v = rows->cols[c][r];
            buf_append_cstr(arg, c != 0 ? "," : "");
            if (v.kind == SQL_STRING)
                buf_append_str(arg, value_slice(v));
            else
                buf_append_i64(arg, v.l);
        }
        buf_append_char(arg, ']');
    }
    return true;
}

static void assert_pull(struct step_test *test, const char *text, const char *want)
{
    struct buf got = {0};
    struct err err;
    if (!flow_driver_pull(test->driver, sql_run(&test->world, "P", text), print_rows, &got, &err))
        fail_msg("%s", err.text);
    assert_string_equal(got.len ? got.ptr : "", want);
    buf_fini(&got);
}

static void pull_queries_read_what_is_kept(void **state)
{
    struct step_test test;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    query(
        &test,
        "CREATE TABLE O AS SELECT K, SUM(V) AS T FROM S WINDOW TUMBLING (SIZE 10 MILLISECONDS) GROUP BY K;");
    put(&test, "s", 1, "a", "1");
    put(&test, "s", 12, "a", "2");
    put(&test, "s", 25, "a", "3");
    put(&test, "s", 13, "b", "4");
    put(&test, "s", 14, "a", "5");
    assert_pull(&test, "SELECT WINDOWSTART, T FROM O WHERE K = 'a';", "[0,1][10,7][20,3]");
    assert_pull(&test,
                "SELECT K, WINDOWSTART, T FROM O WHERE K = 'a' AND WINDOWSTART >= 10 AND WINDOWSTART < 20;",
                "[a,10,7]");
    assert_pull(&test, "SELECT K, T FROM O WHERE T = 4;", "[b,4]");
    assert_pull(&test, "SELECT K, T FROM O WHERE K = 'c';", "");
    end(&test);
}

static void push_queries_end_at_their_limit(void **state)
{
    struct step_test test;
    struct buf got = {0};
    struct err err;
    begin(&test);
    sql_run(&test.world, "", stream_s);
    struct flow_driver_options options = {.client = test.world.client,
                                          .query = {.id = STR("P"), .on_rows = print_rows, .arg = &got}};
    test.driver = flow_driver_new(sql_run(&test.world, "P", "SELECT V, K FROM S EMIT CHANGES LIMIT 2;"),
                                  &options, &err);
    assert_non_null(test.driver);
    put(&test, "s", 1, "a", "1");
    put(&test, "s", 2, "b", "2");
    put(&test, "s", 3, "c", "3");
    assert_string_equal(got.ptr, "[1,a][2,b]");
    buf_fini(&got);
    end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_and_projection),
        cmocka_unit_test(bad_records_are_told_and_skipped),
        cmocka_unit_test(a_tumbling_window_counts_and_drops_late_rows),
        cmocka_unit_test(a_hopping_window_puts_rows_into_each_of_its_windows),
        cmocka_unit_test(sessions_grow_and_merge),
        cmocka_unit_test(emit_final_gives_one_row_per_closed_window),
        cmocka_unit_test(having_deletes_what_it_had_let_through),
        cmocka_unit_test(a_table_aggregate_takes_old_rows_out),
        cmocka_unit_test(a_filtered_table_deletes_rows_that_stop_matching),
        cmocka_unit_test(a_stream_looks_up_the_table),
        cmocka_unit_test(streams_join_within_an_interval),
        cmocka_unit_test(tables_join_on_their_keys),
        cmocka_unit_test(a_foreign_key_moves_and_follows_its_row),
        cmocka_unit_test(table_functions_make_rows),
        cmocka_unit_test(grouping_drops_null_groups),
        cmocka_unit_test(a_replaced_query_goes_on),
        cmocka_unit_test(pull_queries_read_what_is_kept),
        cmocka_unit_test(push_queries_end_at_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
