/* trimmer.c - an administrator that deletes records from the front of partitions, where the scenario has that.
 *
 *   up to an offset that is there | up to the high watermark (-1) | up to one that is not there: refused
 *
 * (R1) What was answered is the least log start from then on, also after a crash; nothing behind what was asked for is lost
 *      (facts.c, V4, V6).
 */
#include "clients.h"

enum { DELETE_RECORDS = 21, HIGH_WATERMARK = -1, BEYOND = 1000000 };

/* Kafka's error code, or -1. */
static int delete_records(struct client *client, uint16_t topic, int32_t partition, int64_t offset,
                          int64_t *start)
{
    struct arena arena = {0};
    struct DeleteRecordsRequest *req = wire_new(&WIRE_DeleteRecordsRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Topics, DeleteRecordsRequest_DeleteRecordsTopic, 1);
    req->TimeoutMs = 30000;
    req->Topics.at[0].Name = str_from(scenario.topics[topic].name);
    WIRE_ALLOC(&arena, req->Topics.at[0].Partitions, DeleteRecordsRequest_DeleteRecordsPartition, 1);
    req->Topics.at[0].Partitions.at[0].PartitionIndex = partition;
    req->Topics.at[0].Partitions.at[0].Offset = offset;
    const struct DeleteRecordsResponse *res =
        client_call(client, DELETE_RECORDS, (int16_t)sim_between(0, 2), req, 20000000);
    arena_fini(&arena);
    if (res == NULL)
        return -1;
    *start = res->Topics.at[0].Partitions.at[0].LowWatermark;
    return res->Topics.at[0].Partitions.at[0].ErrorCode;
}

static void trim(struct client *client, uint16_t topic, int32_t partition)
{
    struct ends ends = facts_ends(topic, partition);
    int64_t start = -1, offset = sim_between(0, ends.hw);
    if (sim_chance(1, 4))
        offset = sim_chance(1, 2) ? HIGH_WATERMARK : ends.hw + BEYOND;
    int64_t asked = offset == HIGH_WATERMARK ? INT64_MAX : offset <= ends.hw ? offset : 0;
    int64_t before = facts_start_asks(topic, partition, asked);
    int code = delete_records(client, topic, partition, offset, &start);
    sim_note("delete records of %s-%d before %lld: %d, start %lld", scenario.topics[topic].name, partition,
             (long long)offset, code, (long long)start);
    if (code == 0 && (start < offset || offset > ends.hw + BEYOND / 2)) /* R1 */
        sim_fail("%s-%d: records before %lld were deleted, the log start is %lld",
                 scenario.topics[topic].name, partition, (long long)offset, (long long)start);
    if (code == 0 || code == KAFKA_OFFSET_OUT_OF_RANGE)
        facts_start_given(topic, partition, before, MAX(start, code == 0 ? offset : -1));
    if (code == 0) {
        facts_ends_answered(topic, partition, ends, start, -1);
        scenario_promised(PROMISE_START);
    }
}

static void trimmer_main(void *arg)
{
    struct client *client = arg;
    while (!scenario.calm) {
        uint16_t topic = (uint16_t)sim_below(scenario.topic_count);
        if (scenario.topics[topic].trims)
            trim(client, topic, (int32_t)sim_below((uint64_t)scenario.topics[topic].partition_count));
        sim_sleep_us(sim_between(0, scenario.slow ? 2000000 : 200000));
    }
    client_fini(client);
    free(client);
    scenario.actors--;
}

void trimmer_spawn(void)
{
    struct client *client = mem_new(struct client);
    client_init(client, "trimmer");
    scenario.actors++;
    sim_spawn("trimmer", SIM_CLIENTS, trimmer_main, client);
}
