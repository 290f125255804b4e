/* The runtime on rialto's own log: worker threads, the commit, restarts. Every test counts what comes out: each input
 * exactly once, whatever was stopped or killed in between. */
#include "sql_world.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/broker.h"

struct server {
    char dir[64], state_dir[80];
    struct broker *broker;
    struct client *client;
    struct state *state;
    struct flow_runtime *runtime;
    struct flow_txn_check check;
};

/* Everything up to the runtime; false with a message when something does not start. */
static bool server_open(struct server *server, int worker_count)
{
    struct err err = {0};
    struct broker_config config;
    broker_config_init(&config);
    config.storage.data_dir = str_from(server->dir);
    config.kafka_listen = STR("");
    if (!broker_start(&server->broker, &config, io_real(), NULL, &err)) {
        print_error("broker: %s\n", err.text);
        return false;
    }
    server->client = client_embedded_new(broker_storage(server->broker), broker_coord(server->broker));
    server->check = (struct flow_txn_check){.client = server->client};
    ignore(snprintf(server->state_dir, sizeof server->state_dir, "%s/state", server->dir) < 0, "it fits");
    struct state_options state_options = {.dir = str_from(server->state_dir),
                                          .io = io_real(),
                                          .txn_committed = flow_txn_committed,
                                          .arg = &server->check};
    if (!state_open(&server->state, &state_options, &err)) {
        print_error("state: %s\n", err.text);
        return false;
    }
    struct flow_options options = {.client = server->client,
                                   .state = server->state,
                                   .worker_count = worker_count,
                                   .commit_interval_ms = 20};
    server->runtime = flow_runtime_new(&options, &err);
    return server->runtime != NULL;
}

static void server_close(struct server *server)
{
    flow_runtime_free(server->runtime);
    state_close(server->state);
    client_free(server->client);
    broker_stop(server->broker);
}

static void server_make(struct server *server)
{
    *server = (struct server){.dir = "/tmp/rialto-flow-XXXXXX"};
    assert_non_null(mkdtemp(server->dir));
}

static void server_remove(struct server *server)
{
    assert_true(io_remove_tree(io_real(), server->dir, NULL));
}

static struct flow_query *start(struct server *server, const struct plan *plan, const char *id)
{
    struct err err;
    struct flow_query_options options = {.id = str_from(id), .group = str_from(id), .reset = FLOW_EARLIEST};
    struct flow_query *query = flow_query_start(server->runtime, plan, &options, &err);
    if (query == NULL)
        fail_msg("%s", err.text);
    return query;
}

static void wait_quiet(struct server *server)
{
    assert_true(flow_wait_caught_up(server->runtime, 20000));
}

/* A decided transaction can be read when its markers are durable, a moment later. */
static void wait_readable(struct sql_world *world, const char *topic, int32_t partition)
{
    struct client_offsets offsets = {.end = -1};
    for (int i = 0; i < 2000 && offsets.committed != offsets.end; i++) {
        struct timespec wait = {0, i == 0 ? 0 : 1000000};
        nanosleep(&wait, NULL);
        assert_true(client_offsets(world->client, str_from(topic), partition, &offsets, NULL));
    }
    assert_int_equal(offsets.committed, offsets.end);
}

/* Records of all partitions of a topic that transactions have let through; `even`: only those whose value is. */
static int64_t count(struct sql_world *world, const char *topic, bool even)
{
    int64_t total = 0;
    for (int32_t p = 0; p < client_partition_count(world->client, str_from(topic)); p++) {
        wait_readable(world, topic, p);
        struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
        struct err err;
        struct client_reader *reader = client_reader_new(world->client, str_from(topic), p, &options, &err);
        if (reader == NULL)
            fail_msg("%s-%d: %s", topic, p, err.text);
        struct record rec;
        for (;;) {
            if (!client_reader_poll(reader, &err)) /* an end for another reason than the end of the log */
                fail_msg("%s-%d: %s", topic, p, err.text);
            if (client_reader_take(reader, &rec, 1) == 0)
                break;
            total += !even || (rec.value.ptr[rec.value.len - 1] - '0') % 2 == 0;
        }
        struct client_offsets offsets;
        assert_true(client_offsets(world->client, str_from(topic), p, &offsets, NULL));
        assert_int_equal(client_reader_position(reader), offsets.end);
        client_reader_free(reader);
    }
    return total;
}

static int64_t count_records(struct sql_world *world, const char *topic)
{
    return count(world, topic, false);
}

enum { ROUND_BATCHES = 20 }; /* of one process that will be killed */

static const char *const stream_s =
    "CREATE STREAM S (K STRING KEY, V INT) WITH (KAFKA_TOPIC='s', PARTITIONS=4, "
    "VALUE_FORMAT='DELIMITED');";
static const char *const stream_o = "CREATE STREAM O AS SELECT K, V FROM S WHERE V % 2 = 0;";
static const char *const table_c = "CREATE TABLE C AS SELECT V, COUNT(*) AS N FROM O GROUP BY V;";

/* Numbers first..last as values, each with one of ten keys. */
static void put_numbers(struct sql_world *world, int first, int last)
{
    struct err err;
    struct client_writer *writer =
        client_writer_new(world->client, STR("s"), &(struct client_writer_options){0}, &err);
    assert_non_null(writer);
    for (int i = first; i <= last; i++) {
        char key[16], value[16];
        ignore(snprintf(key, sizeof key, "key-%d", i % 10) < 0, "it fits");
        ignore(snprintf(value, sizeof value, "%d", i) < 0, "it fits");
        assert_true(client_writer_add(writer, -1, i, str_from(key), str_from(value), STR_NULL, 0, &err));
    }
    assert_true(client_writer_wait(writer, &err));
    client_writer_free(writer);
}

static void sql_make(struct sql_world *world, struct server *server, const struct plan **o,
                     const struct plan **c)
{
    sql_world_init(world, server->client);
    sql_run(world, "", stream_s);
    *o = sql_run(world, "O_1", stream_o);
    *c = sql_run(world, "C_1", table_c);
}

static void results_come_once_over_restarts(void **state)
{
    struct server server;
    struct sql_world world;
    const struct plan *o, *c;
    server_make(&server);
    for (int round = 0; round < 3; round++) {
        assert_true(server_open(&server, 2));
        sql_make(&world, &server, &o, &c);
        struct flow_query *oq = start(&server, o, "O_1"), *cq = start(&server, c, "C_1");
        put_numbers(&world, round * 1000, round * 1000 + 999);
        wait_quiet(&server);
        assert_int_equal(count_records(&world, "O"), (round + 1) * 500);
        struct flow_status status;
        flow_query_status(oq, &status);
        assert_int_equal(status.state, FLOW_RUNNING);
        assert_int_equal(status.lag, 0);
        assert_int_equal(status.rows_in, 1000);
        assert_int_equal(status.rows_out, 500);
        flow_query_stop(oq);
        flow_query_stop(cq);
        sql_world_fini(&world);
        server_close(&server);
    }
    server_remove(&server);
}

static bool sum_column(void *arg, const struct flow_rows *rows)
{
    int64_t *sums = arg;
    for (uint32_t r = 0; r < rows->count; r++) {
        sums[0]++;
        sums[1] += rows->cols[rows->column_count - 1][r].l;
    }
    return true;
}

static void assert_pull(struct server *server, struct sql_world *world, const char *text, int64_t rows,
                        int64_t sum)
{
    int64_t sums[2] = {0, 0};
    struct err err;
    const struct plan *plan = sql_run(world, "P", text);
    if (!flow_pull(server->runtime, plan, NULL, sum_column, sums, &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(sums[0], rows);
    assert_int_equal(sums[1], sum);
}

static void aggregates_go_on_where_they_were(void **state)
{
    struct server server;
    struct sql_world world;
    server_make(&server);
    for (int round = 0; round < 3; round++) {
        assert_true(server_open(&server, 2));
        sql_world_init(&world, server.client);
        sql_run(&world, "", stream_s);
        const struct plan *plan =
            sql_run(&world, "T_1", "CREATE TABLE T AS SELECT K, SUM(V) AS SUM FROM S GROUP BY K;");
        struct flow_query *query = start(&server, plan, "T_1");
        put_numbers(&world, round * 1000, round * 1000 + 999);
        wait_quiet(&server);
        int64_t n = (round + 1) * 1000;
        assert_pull(&server, &world, "SELECT K, SUM FROM T;", 10, n * (n - 1) / 2);
        assert_pull(&server, &world, "SELECT K, SUM FROM T WHERE K = 'key-3';", 1,
                    (n / 10) * 3 + 10 * (n / 10) * (n / 10 - 1) / 2);
        flow_query_stop(query);
        sql_world_fini(&world);
        server_close(&server);
    }
    server_remove(&server);
}

/* Four partitions: rows move through an internal topic to the partition of their group. */
static void rows_meet_in_their_group_over_partitions(void **state)
{
    struct server server;
    struct sql_world world;
    server_make(&server);
    assert_true(server_open(&server, 2));
    sql_world_init(&world, server.client);
    sql_run(&world, "", stream_s);
    const struct plan *plan =
        sql_run(&world, "G_1", "CREATE TABLE G AS SELECT V % 3 AS M, COUNT(*) AS N FROM S GROUP BY V % 3;");
    struct flow_query *query = start(&server, plan, "G_1");
    put_numbers(&world, 0, 2999);
    wait_quiet(&server);
    assert_pull(&server, &world, "SELECT M, N FROM G;", 3, 3000);
    assert_pull(&server, &world, "SELECT M, N FROM G WHERE M = 1;", 1, 1000);
    struct err err;
    flow_query_stop(query);
    assert_int_equal(client_partition_count(server.client, STR("G_1-Aggregate-GroupBy-repartition")), 4);
    if (!flow_query_drop(server.runtime, STR("G_1"), STR("G_1"), &err))
        fail_msg("%s", err.text);
    assert_int_equal(client_partition_count(server.client, STR("G_1-Aggregate-GroupBy-repartition")), -1);
    int64_t number;
    assert_false(state_number(server.state, STR("G_1/source.pos/s/0"), &number));
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

/* A stream joined with a table: rows of the table that are there are read before rows of the stream that are younger. */
static void a_join_reads_its_table_first(void **state)
{
    struct server server;
    struct sql_world world;
    server_make(&server);
    assert_true(server_open(&server, 2));
    sql_world_init(&world, server.client);
    sql_run(&world, "", stream_s);
    sql_run(&world, "",
            "CREATE TABLE N (K STRING PRIMARY KEY, NAME STRING) WITH (KAFKA_TOPIC='n', PARTITIONS=4, "
            "VALUE_FORMAT='DELIMITED');");
    const struct plan *plan =
        sql_run(&world, "J_1", "CREATE STREAM J AS SELECT S.K, NAME, V FROM S JOIN N ON S.K = N.K;");
    put_numbers(&world, 100, 1099);
    for (int i = 0; i < 10; i++) {
        char key[16];
        ignore(snprintf(key, sizeof key, "key-%d", i) < 0, "it fits");
        sql_put(&world, "n", -1, i, key, "somebody");
    }
    struct flow_query *query = start(&server, plan, "J_1");
    wait_quiet(&server);
    assert_int_equal(count_records(&world, "J"), 1000);
    flow_query_stop(query);
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

/* Processes of their own, killed at some moment while they work. A byte into `told` for every hundred numbers that are
 * durable, so that the kill hits work however slow the machine is. */
static void work_until_killed(struct server *server, int round, int told)
{
    struct sql_world world;
    const struct plan *o, *c;
    if (!server_open(server, 2))
        _exit(1);
    sql_make(&world, server, &o, &c);
    start(server, o, "O_1");
    start(server, c, "C_1");
    for (int i = 0; i < ROUND_BATCHES; i++) {
        put_numbers(&world, (round * ROUND_BATCHES + i) * 100, (round * ROUND_BATCHES + i) * 100 + 99);
        if (write(told, "", 1) != 1)
            _exit(1);
    }
    for (;;)
        pause();
}

/* Kills it `delay_us` after it has put `batches` times a hundred numbers. */
static void kill_after(struct server *server, int round, int batches, int64_t delay_us)
{
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(told[0]);
        work_until_killed(server, round, told[1]);
        _exit(1);
    }
    close(told[1]);
    for (int i = 0; i < batches; i++)
        assert_int_equal(read(told[0], &byte, 1), 1);
    struct timespec wait = {0, delay_us * 1000};
    nanosleep(&wait, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    close(told[0]);
}

/* What the killed ones have left: as many results as inputs, each counted once. Also in a process of its own, since
 * threads do not survive a fork. */
static void look(struct server *server)
{
    struct sql_world world;
    const struct plan *o, *c;
    assert_true(server_open(server, 2));
    sql_make(&world, server, &o, &c);
    struct flow_query *oq = start(server, o, "O_1"), *cq = start(server, c, "C_1");
    wait_quiet(server);
    /* Not half of what is there: a hundred numbers are one batch in each of four partitions, a kill may have come between
     * two of these, and their shares of even numbers differ (10 of 30, 20 of 30, 10 of 10, 10 of 30). */
    int64_t wanted = count(&world, "s", true);
    assert_int_equal(count_records(&world, "O"), wanted);
    assert_pull(server, &world, "SELECT V, N FROM C;", wanted, wanted);
    flow_query_stop(oq);
    flow_query_stop(cq);
    sql_world_fini(&world);
    server_close(server);
}

static void killed_anywhere_nothing_is_lost_or_twice(void **state)
{
    struct server server;
    server_make(&server);
    kill_after(&server, 0, 0, 20000); /* somewhere in the start */
    for (int round = 1; round < 8; round++)
        kill_after(&server, round, round * 3 % ROUND_BATCHES, 700 * round);
    pid_t pid = fork();
    if (pid == 0) {
        look(&server);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    server_remove(&server);
}

static void count_states(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void wait_state(struct flow_query *query, enum flow_query_state want)
{
    struct flow_status status;
    for (int i = 0; i < 2000; i++) {
        flow_query_status(query, &status);
        if (status.state == want)
            return;
        struct timespec wait = {0, 5000000};
        nanosleep(&wait, NULL);
    }
    fail_msg("state %d did not come", want);
}

static void a_query_dies_alone(void **state)
{
    struct server server;
    struct sql_world world;
    const struct plan *o, *c;
    _Atomic int states = 0;
    struct err err;
    server_make(&server);
    assert_true(server_open(&server, 2));
    sql_make(&world, &server, &o, &c);
    const struct plan *x = sql_run(&world, "X_1", "CREATE STREAM X AS SELECT K, V FROM S;");
    struct flow_query_options options = {.id = STR("X_1"),
                                         .group = STR("X_1"),
                                         .reset = FLOW_EARLIEST,
                                         .on_state = count_states,
                                         .arg = &states};
    struct flow_query *xq = flow_query_start(server.runtime, x, &options, &err);
    assert_non_null(xq);
    struct flow_query *oq = start(&server, o, "O_1"), *cq = start(&server, c, "C_1");
    put_numbers(&world, 0, 999);
    wait_quiet(&server);
    assert_true(client_topic_delete(server.client, STR("X"), &err));
    put_numbers(&world, 1000, 1999);
    wait_state(xq, FLOW_ERROR);
    wait_quiet(&server);
    assert_int_equal(states, 1);
    struct flow_status status;
    flow_query_status(xq, &status);
    assert_int_equal(status.error.code, ERR_UNKNOWN_TOPIC);
    assert_int_equal(count_records(&world, "O"), 1000);
    assert_pull(&server, &world, "SELECT V, N FROM C;", 1000, 1000);
    flow_query_stop(xq);
    flow_query_stop(oq);
    flow_query_stop(cq);
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

static void a_paused_query_waits(void **state)
{
    struct server server;
    struct sql_world world;
    const struct plan *o, *c;
    server_make(&server);
    assert_true(server_open(&server, 1));
    sql_make(&world, &server, &o, &c);
    struct flow_query *oq = start(&server, o, "O_1");
    flow_query_pause(oq);
    put_numbers(&world, 0, 99);
    struct timespec wait = {0, 50000000};
    nanosleep(&wait, NULL);
    assert_int_equal(count_records(&world, "O"), 0);
    flow_query_resume(oq);
    wait_quiet(&server);
    assert_int_equal(count_records(&world, "O"), 50);
    flow_query_stop(oq);
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

struct push {
    _Atomic int64_t rows;
    _Atomic bool ended;
    bool limit_reached;
    int64_t pause_at;
};

static bool on_push_rows(void *arg, const struct flow_rows *rows)
{
    struct push *push = arg;
    int64_t n = atomic_fetch_add(&push->rows, rows->count) + rows->count;
    return push->pause_at == 0 || n < push->pause_at;
}

static void on_push_end(void *arg, bool limit_reached, const struct err *failure)
{
    struct push *push = arg;
    push->limit_reached = limit_reached && failure == NULL;
    atomic_store(&push->ended, true);
}

static void wait_true(_Atomic bool *flag)
{
    for (int i = 0; i < 2000 && !atomic_load(flag); i++) {
        struct timespec wait = {0, 5000000};
        nanosleep(&wait, NULL);
    }
    assert_true(atomic_load(flag));
}

static void a_push_query_pauses_and_ends_at_its_limit(void **state)
{
    struct server server;
    struct sql_world world;
    struct err err;
    server_make(&server);
    assert_true(server_open(&server, 2));
    sql_world_init(&world, server.client);
    sql_run(&world, "", stream_s);
    put_numbers(&world, 0, 4999);
    const struct plan *plan = sql_run(&world, "P", "SELECT K, V FROM S EMIT CHANGES LIMIT 3000;");
    struct push push = {.pause_at = 1000};
    struct flow_query_options options = {.id = STR("transient_S_1"),
                                         .reset = FLOW_EARLIEST,
                                         .on_rows = on_push_rows,
                                         .on_end = on_push_end,
                                         .arg = &push};
    struct flow_query *query = flow_query_start(server.runtime, plan, &options, &err);
    assert_non_null(query);
    struct timespec wait = {0, 100000000};
    nanosleep(&wait, NULL);
    int64_t paused_at = atomic_load(&push.rows);
    assert_in_range(paused_at, 1000, 1000 + 2 * 512);
    nanosleep(&wait, NULL);
    assert_int_equal(atomic_load(&push.rows), paused_at);
    push.pause_at = 0;
    flow_query_resume(query);
    wait_true(&push.ended);
    assert_true(push.limit_reached);
    assert_int_equal(atomic_load(&push.rows), 3000);
    flow_query_stop(query);
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

static void groups_show_positions(void **state)
{
    struct server server;
    struct sql_world world;
    const struct plan *o, *c;
    server_make(&server);
    assert_true(server_open(&server, 2));
    sql_make(&world, &server, &o, &c);
    struct flow_query *oq = start(&server, o, "O_1");
    put_numbers(&world, 0, 99);
    wait_quiet(&server);
    int64_t sum = 0;
    for (int i = 0; i < 400 && sum != 100; i++) {
        struct client_group_offset ask[4];
        for (int p = 0; p < 4; p++)
            ask[p] = (struct client_group_offset){STR("s"), p, -1};
        assert_true(client_group_fetch(server.client, STR("O_1"), ask, 4, NULL));
        sum = 0;
        for (int p = 0; p < 4; p++)
            sum += ask[p].offset > 0 ? ask[p].offset : 0;
        struct timespec wait = {0, 10000000};
        nanosleep(&wait, NULL);
    }
    assert_int_equal(sum, 100);
    flow_query_stop(oq);
    sql_world_fini(&world);
    server_close(&server);
    server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            killed_anywhere_nothing_is_lost_or_twice), /* first: it forks before there are threads */
        cmocka_unit_test(results_come_once_over_restarts),
        cmocka_unit_test(aggregates_go_on_where_they_were),
        cmocka_unit_test(rows_meet_in_their_group_over_partitions),
        cmocka_unit_test(a_join_reads_its_table_first),
        cmocka_unit_test(a_query_dies_alone),
        cmocka_unit_test(a_paused_query_waits),
        cmocka_unit_test(a_push_query_pauses_and_ends_at_its_limit),
        cmocka_unit_test(groups_show_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
