/* test_kafka.c - topics, groups, produce, consume and datagen against a real broker in a process of its own, which is
 * killed and started again in the middle of a load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/broker.h"
#include "harness.h"
#include "io/io.h"

struct server {
    pid_t pid;
    int port;
    char dir[64], brokers[64];
};

static void run_broker(const char *dir, int port, int ready)
{
    struct broker_config config;
    struct broker *broker;
    struct err err = {0};
    char listen[64];
    sigset_t set;
    int signum;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    broker_config_init(&config);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    config.storage.data_dir = str_from(dir);
    config.kafka_listen = str_from(listen);
    config.coord.group_initial_rebalance_delay_ms = 0;
    if (!broker_start(&broker, &config, io_real(), NULL, &err)) {
        fprintf(stderr, "broker: %s\n", err.text);
        _exit(1);
    }
    port = broker_kafka_port(broker);
    ASSERT(write(ready, &port, sizeof port) == sizeof port);
    sigwait(&set, &signum);
    broker_stop(broker);
    _exit(0);
}

/* Starts on a free port the first time, on the same one later. */
static void server_start(struct server *server)
{
    int ready[2];
    ASSERT(pipe(ready) == 0);
    fflush(NULL);
    server->pid = fork();
    ASSERT(server->pid >= 0);
    if (server->pid == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        run_broker(server->dir, server->port, ready[1]);
    }
    close(ready[1]);
    ASSERT(read(ready[0], &server->port, sizeof server->port) == sizeof server->port);
    close(ready[0]);
    snprintf(server->brokers, sizeof server->brokers, "127.0.0.1:%d", server->port);
}

static void server_kill(struct server *server, int signum)
{
    kill(server->pid, signum);
    harness_wait(server->pid);
}

static int setup(void **state)
{
    struct server *server = mem_new(struct server);
    snprintf(server->dir, sizeof server->dir, "/tmp/rialto-cli-XXXXXX");
    ASSERT(mkdtemp(server->dir) != NULL);
    server_start(server);
    setenv("RIALTO_BROKERS", server->brokers, 1);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;
    struct err err = {0};
    server_kill(server, SIGTERM);
    ASSERT(io_remove_tree(io_real(), server->dir, &err));
    free(server);
    return 0;
}

static void expect(struct outcome o, int status, const char *out, const char *err)
{
    if (o.status != status || strcmp(o.out.ptr, out) != 0 || strstr(o.err.ptr, err) == NULL)
        fail_msg("status %d, expected %d\nstdout: '%s'\nexpected: '%s'\nstderr: '%s'\nexpected in it: '%s'",
                 o.status, status, o.out.ptr, out, o.err.ptr, err);
    outcome_fini(&o);
}

static void test_topics(void **state)
{
    expect(RUN("topic", "create", "a", "-p", "3", "--config", "retention.ms=60000"), 0, "",
           "created topic a: 3");
    expect(RUN("topic", "create", "a"), 1, "", "already exists");
    expect(RUN("topic", "create", "a", "--if-absent"), 0, "", "");
    expect(RUN("topic", "create", "b", "--config", "no.such=1"), 1, "", "rialto:");
    expect(RUN("topic", "list", "--header"), 0, "NAME\tPARTITIONS\tREPLICATION\tRECORDS\na\t3\t1\t0\n", "");
    expect(RUN("topic", "list", "x*"), 0, "", "");
    expect(RUN("topic", "list", "--header", "--columns", "records,NAME"), 0, "RECORDS\tNAME\n0\ta\n", "");
    expect(RUN("topic", "list", "--columns=name", "--json"), 0, "[{\"name\":\"a\"}]\n", "");
    expect(RUN("topic", "list", "--columns", "help"), 2, "",
           "there is no column 'help', the columns are: name, partitions, replication, records\n");
    expect(RUN("topic", "list", "--json"), 0,
           "[{\"name\":\"a\",\"partitions\":3,\"replication\":1,\"records\":0}]\n", "");
    expect(RUN("topic", "describe", "a"), 0,
           "0\t1\t0\t0\t0\n1\t1\t0\t0\t0\n2\t1\t0\t0\t0\nretention.ms=60000\n", "");
    expect(RUN("topic", "describe", "aa"), 1, "", "topic 'aa' does not exist\nhint: did you mean 'a'?");
    expect(RUN("topic", "alter", "a"), 2, "", "nothing to change");
    expect(RUN("topic", "alter", "a", "--config", "retention.ms=x"), 1, "", "Not a number");
    expect(RUN("topic", "alter", "a", "--config", "retention.ms"), 2, "", "NAME=VALUE");
    expect(RUN("topic", "alter", "a", "-p", "2"), 1, "", "would not be an increase");
    expect(RUN("topic", "alter", "aa", "-p", "2"), 1, "", "did you mean 'a'?");
    /* Nothing of what cannot be done as a whole, and nothing of what is only checked. */
    expect(RUN("topic", "alter", "a", "-p", "4", "--config", "no.such=1"), 1, "", "no.such");
    expect(RUN("topic", "alter", "a", "-p", "4", "--config", "segment.ms=5000", "--check"), 0, "",
           "topic a would be changed");
    expect(RUN("topic", "describe", "a"), 0,
           "0\t1\t0\t0\t0\n1\t1\t0\t0\t0\n2\t1\t0\t0\t0\nretention.ms=60000\n", "");
    expect(RUN("topic", "alter", "a", "-p", "4", "--config", "segment.ms=5000", "--unset", "retention.ms"), 0,
           "", "changed topic a");
    expect(RUN("topic", "describe", "a"), 0,
           "0\t1\t0\t0\t0\n1\t1\t0\t0\t0\n2\t1\t0\t0\t0\n3\t1\t0\t0\t0\nsegment.ms=5000\n", "");
    expect(RUN("topic", "delete", "a"), 2, "", "needs -y");
    expect(RUN("topic", "delete", "a", "-y"), 0, "", "deleted topic a");
    expect(RUN("topic", "delete", "a", "-y"), 1, "", "does not exist");
    expect(RUN("topic", "delete", "a", "-y", "--if-exists"), 0, "", "");
}

static void test_produce_and_consume(void **state)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < COUNT_OF(codecs); i++)
        expect(RUN_WITH("k1:v1\nk2:\n", "produce", "codecs", "-K:", "-z", (char *)codecs[i], "-Z"), 0, "",
               "");
    expect(RUN("consume", "codecs", "-o", "beginning", "-e", "-f", "%o %k %s %S;"), 0,
           "0 k1 v1 2;1 k2  -1;2 k1 v1 2;3 k2  -1;4 k1 v1 2;5 k2  -1;6 k1 v1 2;7 k2  -1;8 k1 v1 2;9 k2  -1;",
           "");
    expect(RUN("consume", "codecs", "-o", "-2", "-e"), 0, "k1\tv1\nk2\t\n", "");
    expect(RUN("consume", "codecs", "-o", "3", "-c", "2", "-K", "="), 0, "k2=\nk1=v1\n", "");
    expect(RUN("consume", "codecs", "-o", "end", "-e"), 0, "", "");
    expect(RUN("consume", "codecs", "-p", "7", "-e"), 2, "", "none of the partitions exists");
    expect(RUN("consume", "nothing", "-e"), 1, "", "topic 'nothing' does not exist");
    expect(RUN_WITH("no separator\n", "produce", "codecs", "-K:"), 2, "", "record 1 has no separator ':'");
    expect(RUN_WITH("a", "produce", "codecs", "-p", "9"), 2, "", "has no partition 9");
}

static void test_json_copy(void **state)
{
    expect(RUN_WITH("v", "produce", "from", "-k", "k", "-H", "h=1"), 0, "", "");
    struct outcome o = RUN("consume", "from", "-o", "beginning", "-e", "--json");
    assert_int_equal(o.status, 0);
    expect(RUN_WITH(o.out.ptr, "produce", "to", "--json"), 0, "", "");
    struct outcome copy = RUN("consume", "to", "-o", "beginning", "-e", "--json");
    ptrdiff_t a = str_find_char(buf_str(&o.out), ','), b = str_find_char(buf_str(&copy.out), ',');
    assert_string_equal(o.out.ptr + a, copy.out.ptr + b); /* all but the topic */
    outcome_fini(&o);
    outcome_fini(&copy);
}

static void test_times(void **state)
{
    expect(RUN_WITH("{\"value\":\"a\",\"timestamp\":1000}\n{\"value\":\"b\",\"timestamp\":2000}\n"
                    "{\"value\":\"c\",\"timestamp\":3000}\n",
                    "produce", "times", "--json"),
           0, "", "");
    expect(RUN("consume", "times", "-o", "s@1500", "-e", "-f", "%s"), 0, "bc", "");
    expect(RUN("consume", "times", "-o", "s@1000", "-o", "e@2500", "-f", "%s"), 0, "ab", "");
    expect(RUN("consume", "times", "-o", "s@9000", "-e", "-f", "%s"), 0, "", "");
}

/* Two records of the times 1000 and 2000 in partition 0, three of 1000 to 3000 in partition 1. */
static void test_trim(void **state)
{
    expect(RUN("topic", "create", "trim", "-p", "2"), 0, "", "created");
    expect(RUN_WITH("{\"value\":\"a\",\"timestamp\":1000}\n{\"value\":\"b\",\"timestamp\":2000}\n", "produce",
                    "trim", "--json", "-p", "0"),
           0, "", "");
    expect(RUN_WITH("{\"value\":\"c\",\"timestamp\":1000}\n{\"value\":\"d\",\"timestamp\":2000}\n"
                    "{\"value\":\"e\",\"timestamp\":3000}\n",
                    "produce", "trim", "--json", "-p", "1"),
           0, "", "");
    expect(RUN("topic", "trim", "trim"), 2, "", "one of --before-offset and --before-time");
    expect(RUN("topic", "trim", "trim", "--before-offset", "1", "--before-time", "2001-01-01"), 2, "",
           "one of --before-offset and --before-time");
    expect(RUN("topic", "trim", "trim", "--before-offset", "-1"), 2, "", "an offset or 'end' is wanted");
    expect(RUN("topic", "trim", "trim", "--before-time", "soon"), 2, "", "a time is wanted");
    expect(RUN("topic", "trim", "trim", "--before-offset", "1", "-p", "x"), 2, "", "partitions like 0,3");
    expect(RUN("topic", "trim", "trin", "--before-offset", "1"), 1, "", "did you mean 'trim'?");
    expect(RUN("topic", "trim", "trim", "--before-offset", "1"), 2, "",
           "to delete 2 records of topic trim needs -y where nobody can be asked");
    expect(RUN("topic", "trim", "trim", "--before-offset", "9", "--check"), 0, "0\t0\t2\t2\n1\t0\t3\t3\n",
           "");
    expect(RUN("topic", "describe", "trim"), 0, "0\t1\t0\t2\t2\n1\t1\t0\t3\t3\n", "");
    /* Of the two partitions only the named one; its record of 2000 is the first of 1500 or later. */
    expect(RUN("topic", "trim", "trim", "--before-time", "1970-01-01T00:00:01.500Z", "-p", "1", "-y"), 0, "",
           "trimmed topic trim: 1 record\n");
    expect(RUN("consume", "trim", "-o", "beginning", "-p", "1", "-e", "-f", "%s"), 0, "de", "");
    /* What is below the start already is not deleted again. */
    expect(RUN("topic", "trim", "trim", "--before-offset", "1", "-y", "--json"), 0,
           "[{\"partition\":0,\"start\":0,\"to\":1,\"records\":1}]\n", "trimmed topic trim: 1 record\n");
    expect(RUN("topic", "trim", "trim", "--before-offset", "1"), 0, "", "trimmed topic trim: 0 records\n");
    expect(RUN("topic", "trim", "trim", "--before-offset", "end", "-y"), 0, "",
           "trimmed topic trim: 3 records\n");
    expect(RUN("topic", "describe", "trim"), 0, "0\t1\t2\t2\t0\n1\t1\t3\t3\t0\n", "");
    expect(RUN("topic", "create", "kept", "--config", "cleanup.policy=compact"), 0, "", "created");
    expect(RUN_WITH("k:v\n", "produce", "kept", "-K:"), 0, "", "");
    expect(RUN("topic", "trim", "kept", "--before-offset", "end", "-y"), 1, "",
           "records of kept-0 cannot be deleted");
}

static void test_groups(void **state)
{
    expect(RUN("topic", "create", "g", "-p", "2"), 0, "", "created");
    expect(RUN_WITH("a\nb\nc\n", "produce", "g", "-p", "1"), 0, "", "");
    expect(RUN("consume", "g", "-G", "readers", "-o", "beginning", "-e", "-f", "%s"), 0, "abc", "");
    expect(RUN_WITH("d\n", "produce", "g", "-p", "1"), 0, "", "");
    expect(RUN("group", "describe", "readers"), 0, "g\t0\t0\t0\t0\ng\t1\t3\t4\t1\n", "");
    expect(RUN("consume", "g", "-G", "readers", "-o", "beginning", "-e", "-f", "%s"), 0, "d", "");
    expect(RUN("group", "list"), 0, "readers\tclassic\tEmpty\t0\t0\n", "");
    expect(RUN("group", "reset", "readers"), 2, "", "--to must say where");
    expect(RUN("group", "reset", "readers", "--to", "sometime"), 2, "", "a time is wanted");
    expect(RUN("group", "reset", "readers", "--to", "1", "--check"), 0, "g\t0\t0\t0\ng\t1\t4\t1\n", "");
    expect(RUN("group", "describe", "readers"), 0, "g\t0\t0\t0\t0\ng\t1\t4\t4\t0\n", "");
    expect(RUN("group", "reset", "readers", "--to", "1"), 0, "", "reset group readers: 2 partitions");
    expect(RUN("group", "describe", "readers"), 0, "g\t0\t0\t0\t0\ng\t1\t1\t4\t3\n", "");
    expect(RUN("group", "reset", "readers", "--to", "earliest", "--json"), 0,
           "[{\"topic\":\"g\",\"partition\":0,\"from\":0,\"to\":0},{\"topic\":\"g\",\"partition\":1,\"from\":"
           "1,\"to\":0}]\n",
           "reset");
    expect(RUN("group", "reset", "readers", "--to", "2001-01-01T00:00:00Z"), 0, "", "reset");
    expect(RUN("group", "describe", "readers"), 0, "g\t0\t0\t0\t0\ng\t1\t0\t4\t4\n", "");
    expect(RUN("group", "reset", "readers", "--to", "2101-01-01T00:00:00Z"), 0, "", "reset");
    expect(RUN("group", "reset", "readers", "--to", "99"), 0, "", "reset"); /* the end */
    expect(RUN("group", "describe", "readers"), 0, "g\t0\t0\t0\t0\ng\t1\t4\t4\t0\n", "");
    expect(RUN("group", "reset", "fresh", "--to", "latest"), 1, "", "has committed nothing");
    expect(RUN("group", "reset", "fresh", "--to", "latest", "-t", "nowhere"), 1, "", "nowhere");
    expect(RUN("group", "reset", "fresh", "--to", "latest", "-t", "g"), 0, "", "2 partitions");
    expect(RUN("group", "delete", "fresh", "-y"), 0, "", "deleted");
    expect(RUN("group", "delete", "readers"), 2, "", "needs -y");
    expect(RUN("group", "delete", "readers", "-y"), 0, "", "deleted group readers");
    expect(RUN("group", "describe", "readers"), 1, "", "rialto:");
    expect(RUN("group", "delete", "readers", "-y", "--if-exists"), 0, "", "");
    /* One sentence and one hint for each that failed. */
    struct outcome o = RUN("group", "delete", "readers", "others", "-y");
    assert_int_equal(o.status, 1);
    assert_string_equal(o.err.ptr, "rialto: group 'readers': group does not exist\n"
                                   "hint: 'rialto group list' shows all groups.\n"
                                   "rialto: group 'others': group does not exist\n"
                                   "hint: 'rialto group list' shows all groups.\n");
    outcome_fini(&o);
}

/* Two members share the partitions; each record is read once. */
static void test_two_members(void **state)
{
    expect(RUN("topic", "create", "shared", "-p", "4"), 0, "", "created");
    char *args[] = {"consume", "shared", "-G", "pair", "-o", "beginning", "-f", "%s\\n", NULL};
    struct running a = harness_start(NULL, args), b = harness_start(NULL, args);
    for (int tries = 0; tries < 100; tries++) {
        struct outcome o = RUN("group", "list", "pair");
        bool both = strcmp(o.out.ptr, "pair\tStable\t2\t0\n") == 0;
        outcome_fini(&o);
        if (both)
            break;
        usleep(100000);
    }
    char text[2000] = "";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "key%d:%d\n", i, i);
    expect(RUN_WITH(text, "produce", "shared", "-K:"), 0, "", "");
    for (int tries = 0; tries < 100; tries++) {
        struct outcome o = RUN("topic", "list", "shared");
        outcome_fini(&o);
        usleep(20000);
    }
    kill(a.pid, SIGINT);
    kill(b.pid, SIGINT);
    struct outcome x = harness_finish(a), y = harness_finish(b);
    bool seen[100] = {false};
    struct outcome *both[] = {&x, &y};
    int count = 0;
    for (int i = 0; i < 2; i++) {
        struct str rest = buf_str(&both[i]->out), line;
        assert_int_equal(both[i]->status, 0);
        assert_true(both[i]->out.len > 0);
        while (str_split(&rest, '\n', &line)) {
            int64_t n;
            if (line.len == 0)
                continue;
            assert_true(str_to_i64(line, &n) && n >= 0 && n < 100);
            assert_false(seen[n]);
            seen[n] = true;
            count++;
        }
    }
    assert_int_equal(count, 100);
    outcome_fini(&x);
    outcome_fini(&y);
}

/* Counts the lines and that none comes twice: records of the schema "orders" carry their number. */
static int64_t count_distinct(struct str text)
{
    struct map seen = {0};
    struct str line;
    int64_t count = 0;
    while (str_split(&text, '\n', &line)) {
        if (line.len == 0)
            continue;
        assert_false(map_has(&seen, line));
        map_put(&seen, line, &seen);
        count++;
    }
    map_fini(&seen);
    return count;
}

static void test_datagen_survives_kills(void **state)
{
    struct server *server = *state;
    expect(RUN("topic", "create", "orders", "-p", "3"), 0, "", "created");
    struct running run = harness_start(NULL, (char *[]){"datagen", "--schema", "orders", "--count", "3000",
                                                        "--rate", "1500", "--parallel", "4", NULL});
    for (int i = 0; i < 3; i++) {
        usleep(400000);
        server_kill(server, SIGKILL);
        usleep(100000);
        server_start(server);
    }
    struct outcome o = harness_finish(run);
    if (o.status != 0)
        fail_msg("datagen: %s", o.err.ptr);
    assert_non_null(strstr(o.err.ptr, "3,000 records to orders"));
    outcome_fini(&o);
    o = RUN("consume", "orders", "-o", "beginning", "-e", "-f", "%k\\n");
    assert_int_equal(o.status, 0);
    assert_int_equal(count_distinct(buf_str(&o.out)), 3000);
    outcome_fini(&o);
}

static void test_datagen_is_deterministic(void **state)
{
    expect(RUN("datagen", "--schema", "transactions", "--topic", "one", "--count", "50", "--seed", "5",
               "--ts-start", "7"),
           0, "", "50 records to one");
    expect(RUN("datagen", "--schema", "transactions", "--topic", "many", "--count", "50", "--seed", "5",
               "--ts-start", "7", "--parallel", "7"),
           0, "", "50 records to many");
    struct outcome a = RUN("consume", "one", "-o", "beginning", "-e");
    struct outcome b = RUN("consume", "many", "-o", "beginning", "-e");
    struct str text = buf_str(&b.out), line;
    assert_int_equal(count_distinct(text), 50);
    while (str_split(&text, '\n', &line))
        assert_true(str_find(buf_str(&a.out), line) >= 0);
    outcome_fini(&a);
    outcome_fini(&b);
}

static void test_dump_log(void **state)
{
    struct server *server = *state;
    char path[128];
    expect(RUN_WITH("v", "produce", "dumped", "-k", "k"), 0, "", "");
    snprintf(path, sizeof path, "%s/log/dumped-0/00000000000000000000.log", server->dir);
    struct outcome o = RUN("dump", "log", path, "-r");
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out.ptr, " key_bytes=1 value_bytes=1 key=k value=v\n"));
    outcome_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_produce_and_consume),
        cmocka_unit_test(test_json_copy),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_two_members),
        cmocka_unit_test(test_datagen_survives_kills),
        cmocka_unit_test(test_datagen_is_deterministic),
        cmocka_unit_test(test_dump_log),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
