/* Rows of a pull query on their way to a receiver that asks for pauses: its word that it can take more may come at any moment,
 * also before the pause has begun, and every row comes. */
#include "../flow/sql_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "query/query.h"

enum { ROWS = 5000, WAIT_MS = 20000 };

/* A receiver that is full after every call. */
struct receiver {
    _Atomic(struct query_rows *) query;
    bool at_once; /* says that it can take more before it says that it is full */
    _Atomic int wanted, rows, calls;
    _Atomic bool ended, stop;
    pthread_t drain;
};

static bool on_rows(void *arg, const struct value *const *cols, uint32_t count, const bool *tombstones)
{
    struct receiver *receiver = arg;
    struct query_rows *query;
    atomic_fetch_add(&receiver->rows, (int)count);
    atomic_fetch_add(&receiver->calls, 1);
    while ((query = atomic_load(&receiver->query)) == NULL) {
    }
    if (receiver->at_once)
        query_rows_resume(query);
    else
        atomic_fetch_add(&receiver->wanted, 1);
    return false;
}

static void on_end(void *arg, bool limit_reached, const struct err *failure)
{
    assert_null(failure);
    atomic_store(&((struct receiver *)arg)->ended, true);
}

/* Says it from another thread, as soon as it is wanted: before the pause or after. */
static void *drain(void *arg)
{
    struct receiver *receiver = arg;
    for (int said = 0; !atomic_load(&receiver->stop);)
        if (said < atomic_load(&receiver->wanted)) {
            query_rows_resume(atomic_load(&receiver->query));
            said++;
        }
    return NULL;
}

static void put_rows(struct sql_world *world)
{
    struct err err;
    struct client_writer *writer =
        client_writer_new(world->client, STR("s"), &(struct client_writer_options){0}, &err);
    assert_non_null(writer);
    for (int i = 0; i < ROWS; i++)
        assert_true(client_writer_add(writer, 0, i, STR("k"), STR("7"), STR_NULL, 0, &err));
    assert_true(client_writer_wait(writer, &err));
    client_writer_free(writer);
}

static void pull_all(bool at_once)
{
    static const struct query_rows_class class = {.on_rows = on_rows, .on_end = on_end};
    struct err err = {0};
    struct receiver receiver = {.at_once = at_once};
    struct client *client = client_memory_new();
    struct flow_runtime *flow = flow_runtime_new(&(struct flow_options){.client = client}, &err);
    struct queries *queries = queries_new(flow, client, STR("default_"), &err);
    struct sql_world world;
    assert_non_null(queries);
    sql_world_init(&world, client);
    sql_run(&world, "",
            "CREATE STREAM S (K STRING KEY, V INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, "
            "VALUE_FORMAT='DELIMITED');");
    put_rows(&world);
    struct plan *plan = (struct plan *)sql_run(&world, "P", "SELECT K, V FROM S;");
    world.plans.len = 0; /* the query takes it */
    struct query_options options = {.id = STR("query_1"), .statement = STR("SELECT")};
    struct query_rows *query = query_pull(queries, plan, &options, &class, &receiver, &err);
    if (query == NULL)
        fail_msg("%s", err.text);
    atomic_store(&receiver.query, query);
    if (!at_once)
        assert_int_equal(pthread_create(&receiver.drain, NULL, drain, &receiver), 0);
    for (int i = 0; i < WAIT_MS && !atomic_load(&receiver.ended); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    bool ended = atomic_load(&receiver.ended);
    atomic_store(&receiver.stop, true);
    if (!at_once)
        pthread_join(receiver.drain, NULL);
    query_rows_close(query);
    if (!ended)
        fail_msg("%d rows in %d calls, then nothing more", receiver.rows, receiver.calls);
    assert_int_equal(receiver.rows, ROWS);
    assert_true(receiver.calls > 1);
    sql_world_fini(&world);
    queries_free(queries);
    flow_runtime_free(flow);
    client_free(client);
}

static void a_word_before_the_pause_counts(void **state)
{
    pull_all(true);
}

static void words_from_another_thread_count(void **state)
{
    for (int i = 0; i < 20; i++)
        pull_all(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_before_the_pause_counts),
        cmocka_unit_test(words_from_another_thread_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
