/* A task by hand: no thread, no clock. Which input's turn it is, what a flush gives, what a hand-over says. */
#include "sql_world.h"

#include "flow/flow_int.h"

struct hand {
    struct sql_world world;
    struct flow_env env;
    struct flow_task *task;
    struct record recs[RUN_ROWS_MAX];
};

static void begin(struct hand *hand)
{
    memset(hand, 0, sizeof *hand);
    sql_world_init(&hand->world, client_memory_new());
}

static void on_wake(void *arg)
{
}

static void open_task(struct hand *hand, const char *text, bool merge)
{
    struct err err;
    const struct plan *plan = sql_run(&hand->world, "Q", text);
    hand->env = (struct flow_env){.plan = plan,
                                  .client = hand->world.client,
                                  .id = STR("Q"),
                                  .group = STR("Q"),
                                  .reset = FLOW_EARLIEST,
                                  .merge = merge,
                                  .isolation = CLIENT_COMMITTED,
                                  .rows_left = -1};
    const struct topology *topology =
        topology_new(plan, hand->world.client, STR("Q"), true, &hand->env.arena, &err);
    if (topology == NULL)
        fail_msg("%s", err.text);
    hand->task = flow_task_new(&hand->env, topology, 0, 0, &err);
    if (hand->task == NULL)
        fail_msg("%s", err.text);
    hand->task->recs = hand->recs;
    if (!flow_task_open_inputs(hand->task, on_wake, NULL, &err))
        fail_msg("%s", err.text);
}

static void run(struct hand *hand)
{
    do
        assert_true(flow_task_poll(hand->task));
    while (flow_task_step(hand->task));
    for (size_t i = 0; i < hand->task->writers.len; i++)
        assert_true(client_writer_flush(hand->task->writers.at[i], NULL));
}

static void end(struct hand *hand)
{
    struct client *client = hand->world.client;
    flow_task_free(hand->task);
    arena_fini(&hand->env.arena);
    sql_world_fini(&hand->world);
    client_free(client);
}

static const char *const stream_s =
    "CREATE STREAM S (K STRING KEY, V INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, "
    "VALUE_FORMAT='DELIMITED');";
static const char *const table_t = "CREATE TABLE T (K STRING PRIMARY KEY, W STRING) WITH (KAFKA_TOPIC='t', "
                                   "PARTITIONS=1, VALUE_FORMAT='DELIMITED');";

static void the_oldest_row_goes_first_and_tables_before_streams(void **state)
{
    struct hand hand;
    begin(&hand);
    sql_run(&hand.world, "", stream_s);
    sql_run(&hand.world, "", table_t);
    open_task(&hand, "CREATE STREAM O AS SELECT S.K, V, W FROM S LEFT JOIN T ON S.K = T.K;", false);
    sql_put(&hand.world, "s", 0, 5, "k", "1");
    sql_put(&hand.world, "s", 0, 15, "k", "2");
    sql_put(&hand.world, "s", 0, 20, "k", "3"); /* as old as the table's second row */
    sql_put(&hand.world, "s", 0, 12, "k", "4"); /* out of order, but not before its turn */
    sql_put(&hand.world, "t", 0, 10, "k", "x");
    sql_put(&hand.world, "t", 0, 20, "k", "y");
    run(&hand);
    assert_topic(&hand.world, "O", "k=1,@5 k=2,x@15 k=3,y@20 k=4,y@12");
    end(&hand);
}

static void merged_updates_come_out_once_with_a_flush(void **state)
{
    struct hand hand;
    begin(&hand);
    sql_run(&hand.world, "", stream_s);
    open_task(&hand, "CREATE TABLE O AS SELECT K, SUM(V) AS T, COUNT(*) AS N FROM S GROUP BY K;", true);
    sql_put(&hand.world, "s", 0, 3, "b", "1");
    sql_put(&hand.world, "s", 0, 1, "a", "2");
    sql_put(&hand.world, "s", 0, 2, "b", "4");
    run(&hand);
    assert_topic(&hand.world, "O", "");
    assert_true(flow_task_flush(hand.task));
    run(&hand);
    assert_topic(&hand.world, "O", "b=5,2@3 a=2,1@1");
    assert_false(flow_task_flush(hand.task));
    sql_put(&hand.world, "s", 0, 9, "a", "1");
    run(&hand);
    assert_true(flow_task_flush(hand.task));
    run(&hand);
    assert_topic(&hand.world, "O", "b=5,2@3 a=2,1@1 a=3,2@9");
    end(&hand);
}

static void positions_are_those_of_processed_rows(void **state)
{
    struct hand hand;
    begin(&hand);
    sql_run(&hand.world, "", stream_s);
    sql_run(&hand.world, "", table_t);
    open_task(&hand, "CREATE STREAM O AS SELECT S.K, V, W FROM S JOIN T ON S.K = T.K;", false);
    for (int i = 0; i < 10; i++)
        sql_put(&hand.world, "s", 0, 10 * i, "k", "1");
    sql_put(&hand.world, "t", 0, 35, "k", "x");
    assert_true(flow_task_poll(hand.task));
    assert_true(flow_task_step(hand.task)); /* the stream's rows of times 0 to 30 */
    struct flow_input *stream = &hand.task->inputs[1], *table = &hand.task->inputs[0];
    assert_false(stream->is_table);
    assert_int_equal(stream->position, 4);
    assert_int_equal(table->position, 0);
    assert_int_equal(flow_task_lag(hand.task), 7);
    assert_true(flow_task_step(hand.task)); /* the table's */
    assert_int_equal(table->position, 1);
    assert_true(flow_task_step(hand.task));
    assert_int_equal(stream->position, 10);
    assert_int_equal(flow_task_lag(hand.task), 0);
    assert_false(flow_task_step(hand.task));
    struct state_batch *batch = state_batch_new();
    flow_task_hand_over(hand.task, batch);
    assert_false(state_batch_is_empty(batch));
    state_batch_clear(batch);
    flow_task_hand_over(hand.task, batch);
    assert_true(state_batch_is_empty(batch)); /* nothing has changed since */
    state_batch_free(batch);
    end(&hand);
}

static void long_inputs_come_in_many_runs(void **state)
{
    struct hand hand;
    begin(&hand);
    sql_run(&hand.world, "", stream_s);
    open_task(&hand, "CREATE TABLE O AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;", true);
    for (int i = 0; i < 3 * RUN_ROWS_MAX + 1; i++)
        sql_put(&hand.world, "s", 0, i, i % 2 ? "a" : "b", "1");
    run(&hand);
    assert_true(flow_task_flush(hand.task));
    assert_topic(&hand.world, "O", "b=769@1536 a=768@1535");
    end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_row_goes_first_and_tables_before_streams),
        cmocka_unit_test(merged_updates_come_out_once_with_a_flush),
        cmocka_unit_test(positions_are_those_of_processed_rows),
        cmocka_unit_test(long_inputs_come_in_many_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
