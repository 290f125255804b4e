/* test_args.c - the command line itself: help, options, exit status, errors; references and dumps that need no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness.h"

static void expect(struct outcome o, int status, const char *out, const char *err)
{
    if (o.status != status || strstr(o.out.ptr, out) == NULL || strstr(o.err.ptr, err) == NULL)
        fail_msg("status %d, expected %d\nstdout: %s\nexpected in it: %s\nstderr: %s\nexpected in it: %s",
                 o.status, status, o.out.ptr, out, o.err.ptr, err);
    outcome_fini(&o);
}

static void test_help(void **state)
{
    struct outcome o = harness_run(NULL, (char *[]){NULL});
    expect(o, 0, "usage: rialto COMMAND", "");
    expect(RUN("--help"), 0, "usage: rialto COMMAND", "");
    expect(RUN("--version"), 0, "rialto " RIALTO_VERSION "\n", "");
    expect(RUN("topic", "create", "--help"), 0, "example:\n  rialto topic create", "");
    expect(RUN("help", "produce"), 0, "usage: rialto produce TOPIC", "");
    expect(RUN("group"), 2, "group describe", "");
}

static void test_usage_errors(void **state)
{
    expect(RUN("topik"), 2, "", "rialto: 'topik' is not a command\nhint: did you mean 'topic'?");
    expect(RUN("topic", "lits"), 2, "", "'topic lits' is not a command\nhint: did you mean 'list'?");
    expect(RUN("topic", "list", "--interal"), 2, "",
           "has no option --interal\nhint: did you mean --internal?");
    expect(RUN("topic", "create"), 2, "", "'rialto topic create' needs TOPIC");
    expect(RUN("topic", "describe", "a", "b"), 2, "", "does not take 'b'");
    expect(RUN("topic", "create", "a", "--partitions", "0"), 2, "", "--partitions must be a number from 1");
    expect(RUN("topic", "create", "a", "--partitions"), 2, "", "option --partitions needs N");
    expect(RUN("topic", "list", "--internal=x"), 2, "", "takes no value");
    expect(RUN("topic", "list", "--color", "blue"), 2, "", "--color must be");
    expect(RUN("consume", "a", "-o", "soon"), 2, "", "-o must be");
    expect(RUN("datagen"), 2, "", "datagen needs --schema");
    expect(RUN("datagen", "--schema", "nothing"), 2, "", "there is no schema 'nothing'");
    expect(RUN("sql", "--output", "xml", "-e", "SHOW STREAMS;"), 2, "", "--output must be");
    expect(RUN("topic", "list", "-b", "host:x"), 2, "", "'host:x' is not HOST:PORT");
}

static void test_json_errors(void **state)
{
    expect(RUN("topic", "create", "a", "--partitions", "x", "--json"), 2, "",
           "{\"error\":\"--partitions must be");
}

/* A port that nobody listens on: taken and given back. */
static int dead_port(void)
{
    int port, fd = harness_listen(&port);
    close(fd);
    return port;
}

static void test_no_server(void **state)
{
    char brokers[64], url[64];
    snprintf(brokers, sizeof brokers, "127.0.0.1:%d", dead_port());
    snprintf(url, sizeof url, "http://127.0.0.1:%d", dead_port());
    expect(RUN("topic", "list", "-b", brokers), 1, "", "rialto: no Kafka server at 127.0.0.1:");
    expect(RUN("query", "list", "--url", url), 1, "", "hint: start a server with 'rialto server'");
    expect(RUN("sql", "-e", "SHOW STREAMS", url), 1, "", "no server at http://127.0.0.1:");
    expect(RUN("query", "list", "--url", "https://x"), 1, "", "https is not supported yet");
}

static void test_words(void **state)
{
    expect(RUN("topics", "lis", "--help"), 0, "usage: rialto topic list", "");
    expect(RUN("conn", "list", "--help"), 0, "usage: rialto connector list", "");
    expect(RUN("connectors", "list", "--help"), 0, "usage: rialto connector list", "");
}

static void test_doc(void **state)
{
    expect(RUN("doc", "errors", "SYNTAX"), 0, "SYNTAX\t42\t400\t40001\t42601\tfalse\t", "");
    expect(RUN("doc", "errors", "SYNTAX", "--json"), 0, "[{\"name\":\"SYNTAX\",\"kafka\":42,\"http\":400,",
           "");
    expect(RUN("doc", "errors", "UNKNOWN_TOPIC", "--markdown"), 0, "| UNKNOWN_TOPIC | 3 | 404 |", "");
    expect(RUN("doc", "options"), 1, "", "built without the tables");
}

static void test_completion(void **state)
{
    expect(RUN("completion", "bash"), 0, "complete -F _rialto rialto", "");
    expect(RUN("completion", "fish"), 0, "complete -c rialto", "");
    expect(RUN("completion", "tcsh"), 2, "", "no completion for 'tcsh'");
    /* The shells themselves find no fault in the scripts. */
    struct outcome o = RUN("completion", "bash");
    FILE *bash = popen("bash -n", "w");
    assert_non_null(bash);
    fputs(o.out.ptr, bash);
    assert_int_equal(pclose(bash), 0);
    outcome_fini(&o);
}

static void test_dump_wire(void **state)
{
    /* ApiVersions v0, correlation 7, client "me": length, key, version, correlation, client id. */
    expect(RUN_WITH("0000000c 0012 0000 00000007 0002 6d65", "dump", "wire"), 0,
           "@0x00000000 request bytes=12 api=ApiVersions api_key=18 version=0 correlation_id=7 client_id=me "
           "body={}\n",
           "");
    expect(RUN_WITH("0000000c 0012 0000 00000007 0002 6d65", "dump", "wire", "--json"), 0,
           "{\"what\":\"request\",\"at\":0,\"bytes\":12,\"api\":\"ApiVersions\",\"api_key\":18,\"version\":0,"
           "\"correlation_id\":7,\"client_id\":\"me\",\"body\":{}}\n",
           "");
    expect(RUN_WITH("7fffffff 00", "dump", "wire", "-"), 1, "@0x00000000 damaged bytes=5 ",
           "rialto: 1 damaged part, see above");
    /* Five bytes of nonsense, then the request again. */
    expect(RUN_WITH("ffffffff 00 0000000c 0012 0000 00000007 0002 6d65", "dump", "wire"), 1,
           "@0x00000005 request bytes=12 api=ApiVersions", "1 damaged part");
    expect(RUN("dump", "index", "x.log"), 2, "", "'x.log' is no .index file");
    expect(RUN("dump", "log", "/nonexistent/x.log"), 1, "", "rialto:");
    expect(RUN("dump", "checkpoint", "x.log"), 2, "", "'x.log' is no checkpoint file");
    expect(RUN("dump", "group", "/nonexistent"), 1, "", "/nonexistent: cannot be listed");
}

static void test_glob(void **state)
{
    assert_true(cli_glob(STR_NULL, STR("a")));
    assert_true(cli_glob(STR("ord*"), STR("orders")));
    assert_true(cli_glob(STR("*a*b"), STR("xaxbxb")));
    assert_true(cli_glob(STR("o?d"), STR("OLD")));
    assert_false(cli_glob(STR("ord"), STR("orders")));
    assert_false(cli_glob(STR("a*b"), STR("acbd")));
    assert_true(cli_glob(STR("*"), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_json_errors), cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_doc),
        cmocka_unit_test(test_completion),  cmocka_unit_test(test_dump_wire),
        cmocka_unit_test(test_glob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
