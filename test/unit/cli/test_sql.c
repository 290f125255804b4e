/* test_sql.c - rialto sql, query and connector against a scripted HTTP server: what is sent, how answers are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness.h"

static void check(struct outcome o, pid_t server, int status, const char *out, const char *err)
{
    assert_int_equal(harness_wait(server), 0);
    if (o.status != status || strcmp(o.out.ptr, out) != 0 || strstr(o.err.ptr, err) == NULL)
        fail_msg("status %d, expected %d\nstdout: '%s'\nexpected: '%s'\nstderr: '%s'\nexpected in it: '%s'",
                 o.status, status, o.out.ptr, out, o.err.ptr, err);
    outcome_fini(&o);
}

/* Serves the exchanges and runs `rialto sql URL ...`. */
#define SQL_CASE(exchanges, status, out, err, ...)                             \
    do {                                                                       \
        int port_;                                                             \
        char url_[64];                                                         \
        pid_t server_ = harness_serve(exchanges, COUNT_OF(exchanges), &port_); \
        snprintf(url_, sizeof url_, "http://127.0.0.1:%d", port_);             \
        check(RUN("sql", url_, __VA_ARGS__), server_, status, out, err);       \
    } while (0)

static const char rows[] =
    "{\"queryId\":\"q\",\"columnNames\":[\"ID\",\"NAME\"],\"columnTypes\":[\"INTEGER\",\"STRING\"]}\n"
    "[1,\"a\\\"x,y\"]\n[20,null]\n\n";

static void test_rows(void **state)
{
    struct exchange one[] = {{"POST /query-stream HTTP/1.1\r\n", "\"sql\":\"SELECT * FROM s;\"", 0, rows,
                              REPLY_CHUNKED, 0, false}};
    SQL_CASE(one, 0, "1\ta\"x,y\n20\tnull\n", "", "-e", "SELECT * FROM s;");
    /* The same, byte by byte; the missing semicolon is added. */
    struct exchange slow[] = {
        {"POST /query-stream HTTP/1.1\r\n", "SELECT * FROM s\\n;", 0, rows, REPLY_CHUNKED, 1, false}};
    SQL_CASE(slow, 0, "1\ta\"x,y\n20\tnull\n", "", "-e", "SELECT * FROM s");
    SQL_CASE(one, 0, "ID  NAME\n 1  a\"x,y\n20  null\n", "", "-e", "SELECT * FROM s;", "--output", "table");
    SQL_CASE(one, 0, "{\"ID\":1,\"NAME\":\"a\\\"x,y\"}\n{\"ID\":20,\"NAME\":null}\n", "", "-e",
             "SELECT * FROM s;", "--output", "json");
    SQL_CASE(one, 0, "ID,NAME\r\n1,\"a\"\"x,y\"\r\n20,\r\n", "", "-e", "SELECT * FROM s;", "--output", "csv");
    SQL_CASE(one, 0, "ID\tNAME\n1\ta\"x,y\n20\tnull\n", "", "-e", "SELECT * FROM s;", "--header");
    SQL_CASE(one, 0, "1\ta\"x,y\n", "", "-e", "SELECT * FROM s;", "--query-row-limit", "1");
}

static void test_timeout(void **state)
{
    struct exchange endless[] = {{"POST /query-stream", NULL, 0, rows, REPLY_ENDLESS, 0, false}};
    SQL_CASE(endless, 0, "1\ta\"x,y\n20\tnull\n", "", "-e", "SELECT * FROM s EMIT CHANGES;",
             "--query-timeout", "300");
}

static void test_row_error(void **state)
{
    struct exchange broken[] = {
        {"POST /query-stream", NULL, 0,
         "{\"queryId\":\"q\",\"columnNames\":[],\"columnTypes\":[]}\n"
         "{\"@type\":\"generic_error\",\"error_code\":50000,\"message\":\"it broke\"}",
         REPLY_CHUNKED, 0, false}};
    SQL_CASE(broken, 1, "", "rialto: it broke", "-e", "SELECT * FROM s;");
}

static void test_refusal(void **state)
{
    struct exchange refused[] = {
        {"POST /query-stream", NULL, 400,
         "{\"@type\":\"statement_error\",\"error_code\":40001,\"message\":\"line 1:8: no column NAMA\"}",
         REPLY_LENGTH, 0, false}};
    SQL_CASE(refused, 1, "", "SELECT nama FROM s;\n       ^\nrialto: line 1:8: no column NAMA", "-e",
             "SELECT nama FROM s;");
}

static void test_syntax_error(void **state)
{
    struct outcome o = RUN("sql", "-e", "SHOW STREAMZ;");
    assert_int_equal(o.status, 1);
    assert_non_null(strstr(o.err.ptr, "SHOW STREAMZ;\n     ^\nrialto: line 1:6: Syntax Error"));
    assert_null(strstr(o.err.ptr, "Statement:"));
    outcome_fini(&o);
}

static void test_entities(void **state)
{
    struct exchange list[] = {
        {"POST /ksql HTTP/1.1\r\n", "\"ksql\":\"SHOW STREAMS;\"", 0,
         "[{\"@type\":\"streams\",\"statementText\":\"x\",\"streams\":[{\"type\":\"STREAM\","
         "\"name\":\"S1\",\"topic\":\"t1\",\"keyFormat\":\"KAFKA\",\"valueFormat\":\"JSON\","
         "\"isWindowed\":false}],\"warnings\":[]}]",
         REPLY_LENGTH, 0, false}};
    SQL_CASE(list, 0,
             "Stream Name  Kafka Topic  Key Format  Value Format  Windowed\n"
             "S1           t1           KAFKA       JSON          false\n",
             "", "-e", "SHOW STREAMS;", "--output", "table");
    SQL_CASE(list, 0, "S1\tt1\tKAFKA\tJSON\tfalse\n", "", "-e", "SHOW STREAMS;");
    struct exchange status[] = {{"POST /ksql HTTP/1.1\r\n", NULL, 0,
                                 "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
                                 "[{\"@type\":\"currentStatus\",\"commandStatus\":{\"status\":\"SUCCESS\","
                                 "\"message\":\"Stream created\\nmore\"},"
                                 "\"warnings\":[{\"message\":\"careful\"}]}]",
                                 REPLY_RAW, 0, true}};
    SQL_CASE(status, 0, "", "Stream created\nWARNING: careful", "-e",
             "CREATE STREAM s (a INT) WITH (kafka_topic='t');");
    SQL_CASE(status, 0, "Stream created\n", "WARNING: careful", "--output", "table", "-e",
             "CREATE STREAM s (a INT) WITH (kafka_topic='t');");
}

static void test_describe(void **state)
{
    struct exchange describe[] = {{"POST /ksql HTTP/1.1\r\n", "DESCRIBE t;", 0,
                                   "[{\"@type\":\"sourceDescription\",\"sourceDescription\":{\"name\":\"T\","
                                   "\"windowType\":\"TUMBLING\",\"type\":"
                                   "\"TABLE\",\"extended\":false,\"fields\":[{\"name\":\"K\",\"schema\":{"
                                   "\"type\":\"STRING\",\"fields\":null,"
                                   "\"memberSchema\":null},\"type\":\"KEY\"},{\"name\":\"A\",\"schema\":{"
                                   "\"type\":\"ARRAY\",\"fields\":null,"
                                   "\"memberSchema\":{\"type\":\"DECIMAL\",\"parameters\":{\"precision\":4,"
                                   "\"scale\":2},\"fields\":null,"
                                   "\"memberSchema\":null}}},{\"name\":\"S\",\"schema\":{\"type\":\"STRUCT\","
                                   "\"fields\":[{\"name\":\"X\",\"schema\":{"
                                   "\"type\":\"INTEGER\"}}]}}]},\"warnings\":[]}]",
                                   REPLY_LENGTH, 0, false}};
    SQL_CASE(describe, 0,
             "Name                 : T\n\n"
             "Field  Type\n"
             "K      VARCHAR(STRING) (primary key) (Window type: TUMBLING)\n"
             "A      ARRAY<DECIMAL(4, 2)>\n"
             "S      STRUCT<X INTEGER>\n",
             "", "-e", "DESCRIBE t;", "--output", "table");
}

static void test_print(void **state)
{
    struct exchange print[] = {{"POST /query HTTP/1.1\r\n", "\"ksql\":\"PRINT 't' LIMIT 1;\"", 0,
                                "Key format: JSON\nrowtime: x, key: 1\n", REPLY_CHUNKED, 0, false}};
    SQL_CASE(print, 0, "Key format: JSON\nrowtime: x, key: 1\n", "Topic printing ceased", "-e",
             "PRINT 't' LIMIT 1;");
}

static void test_session(void **state)
{
    struct exchange exchanges[] = {
        {"GET /is_valid_property/auto.offset.reset HTTP/1.1", NULL, 0, "true", REPLY_LENGTH, 0, false},
        {"POST /query-stream",
         "\"properties\":{\"auto.offset.reset\":\"earliest\"},\"sessionVariables\":{\"U\":\"y\",\"T\":\"x\"}",
         0, "", REPLY_CHUNKED, 0, false},
        {"POST /ksql", "\"ksql\":\"DROP STREAM x;\",\"streamsProperties\":{}", 0, "[]", REPLY_LENGTH, 0,
         false}};
    SQL_CASE(
        exchanges, 0, "", "", "-d", "u=y", "-e",
        "SET 'auto.offset.reset'='earliest'; DEFINE t='x'; SELECT * FROM ${t}; UNSET 'auto.offset.reset';"
        "DROP STREAM ${T};");
}

static void test_keep_going(void **state)
{
    struct exchange exchanges[] = {{"POST /ksql", "DROP STREAM a;", 400, "{\"message\":\"bad\"}",
                                    REPLY_LENGTH, 0, false},
                                   {"POST /ksql", "DROP STREAM b;", 0, "[]", REPLY_LENGTH, 0, false}};
    SQL_CASE(exchanges, 1, "", "rialto: bad", "--keep-going", "-e", "DROP STREAM a; DROP STREAM b;");
    struct exchange first[] = {exchanges[0]};
    SQL_CASE(first, 1, "", "rialto: bad", "-e", "DROP STREAM a; DROP STREAM b;");
}

/* A connection that was closed while idle is opened again. */
static void test_reconnect(void **state)
{
    struct exchange exchanges[] = {{"POST /ksql", "DROP STREAM a;", 0, "[]", REPLY_LENGTH, 0, true},
                                   {"POST /ksql", "DROP STREAM b;", 0, "[]", REPLY_LENGTH, 0, false}};
    SQL_CASE(exchanges, 0, "", "", "-e", "DROP STREAM a; DROP STREAM b;");
}

static void test_bad_http(void **state)
{
    static const char *const answers[] = {"SSH-2.0-x\r\n\r\n",
                                          "HTTP/1.1 abc\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
                                          "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[]",
                                          "",
                                          "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{]}"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct exchange one[] = {{"POST /ksql", NULL, 0, answers[i], REPLY_RAW, 0, true}};
        SQL_CASE(one, 1, "", "rialto: ", "-e", "SHOW STREAMS;");
    }
}

/* Serves and runs a command that takes --url. */
#define URL_CASE(exchanges, status, out, err, input, ...)                              \
    do {                                                                               \
        int port_;                                                                     \
        char url_[64];                                                                 \
        pid_t server_ = harness_serve(exchanges, COUNT_OF(exchanges), &port_);         \
        snprintf(url_, sizeof url_, "http://127.0.0.1:%d/", port_);                    \
        check(RUN_WITH(input, __VA_ARGS__, "--url", url_), server_, status, out, err); \
    } while (0)

static void test_queries(void **state)
{
    struct exchange list[] = {{"POST /ksql", "SHOW QUERIES;", 0,
                               "[{\"@type\":\"queries\",\"queries\":[{\"queryString\":\"CREATE\\nX\","
                               "\"sinks\":[\"X\"],\"id\":\"CTAS_X_1\","
                               "\"queryType\":\"PERSISTENT\",\"state\":\"RUNNING\"}],\"warnings\":[]}]",
                               REPLY_LENGTH, 0, false}};
    URL_CASE(list, 0, "CTAS_X_1\tPERSISTENT\tRUNNING\tX\tCREATE\\nX\n", "", NULL, "query", "list");
    URL_CASE(list, 0, "", "", NULL, "query", "list", "CSAS*");
    struct exchange end[] = {{"POST /ksql", "\"TERMINATE CTAS_X_1;\"", 0, "[{}]", REPLY_LENGTH, 0, false}};
    URL_CASE(end, 0, "", "terminated query ctas_x_1", NULL, "query", "terminate", "ctas_x_1");
}

static void test_connectors(void **state)
{
    struct exchange list[] = {{"GET /connectors?expand=status&expand=info HTTP/1.1", NULL, 0,
                               "{\"pg\":{\"status\":{\"name\":\"pg\",\"connector\":{\"state\":\"RUNNING\"},"
                               "\"tasks\":[{\"id\":0,\"state\":"
                               "\"RUNNING\"},{\"id\":1,\"state\":\"FAILED\"}],\"type\":\"sink\"},\"info\":{"
                               "\"config\":{\"connector.class\":"
                               "\"PostgresSink\"}}}}",
                               REPLY_LENGTH, 0, false}};
    URL_CASE(list, 0, "pg\tsink\tRUNNING\t1/2\tPostgresSink\n", "", NULL, "connector", "list");
    struct exchange create[] = {{"PUT /connectors/a%20b/config HTTP/1.1",
                                 "{\"connector.class\":\"X\",\"topics\":\"t\"}", 201, "{}", REPLY_LENGTH, 0,
                                 false}};
    URL_CASE(create, 0, "", "created connector a b",
             "{\"name\":\"a b\",\"config\":{\"connector.class\":\"X\"}}", "connector", "create", "a b", "-f",
             "-", "--config", "topics=t");
    struct exchange pause[] = {{"PUT /connectors/pg/pause HTTP/1.1", NULL, 202, "", REPLY_LENGTH, 0, false}};
    URL_CASE(pause, 0, "", "paused connector pg", NULL, "connector", "pause", "pg");
    struct exchange gone[] = {{"DELETE /connectors/x HTTP/1.1", NULL, 404,
                               "{\"error_code\":404,\"message\":\"no such x\"}", REPLY_LENGTH, 0, false}};
    URL_CASE(gone, 1, "", "rialto: no such x", NULL, "connector", "delete", "x", "-y");
    URL_CASE(gone, 0, "", "", NULL, "connector", "delete", "x", "-y", "--if-exists");
    struct outcome o = RUN("connector", "delete", "x");
    assert_int_equal(o.status, 2);
    outcome_fini(&o);
}

/* Ctrl-C ends a push query: the connection is closed and the rows so far are told. */
static void test_interrupt(void **state)
{
    struct exchange endless[] = {{"POST /query-stream", NULL, 0, rows, REPLY_ENDLESS, 0, false}};
    int port;
    char url[64], piece[16];
    pid_t server = harness_serve(endless, 1, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    struct running run =
        harness_start(NULL, (char *[]){"sql", url, "-e", "SELECT * FROM s EMIT CHANGES;", NULL});
    assert_true(read(run.out, piece, 1) == 1); /* a row has come */
    usleep(100000);
    kill(run.pid, SIGINT);
    struct outcome o = harness_finish(run);
    assert_int_equal(o.status, 130);
    assert_non_null(strstr(o.err.ptr, "stopped after 2 rows"));
    outcome_fini(&o);
    assert_int_equal(harness_wait(server), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_row_error),    cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_syntax_error), cmocka_unit_test(test_entities),
        cmocka_unit_test(test_describe),     cmocka_unit_test(test_print),
        cmocka_unit_test(test_session),      cmocka_unit_test(test_keep_going),
        cmocka_unit_test(test_reconnect),    cmocka_unit_test(test_bad_http),
        cmocka_unit_test(test_queries),      cmocka_unit_test(test_connectors),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
