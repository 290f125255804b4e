/* metered.c - a client with a quota: writes as fast as it can, whatever it is told, to a topic for itself.
 *
 *   AlterClientQuotas(client-id, producer_byte_rate) -> produce, produce, ... -> another rate, or none -> ...
 *
 * (Z1) A quota that was changed is described so, also after restarts.
 * (Z2) It is in force: since it was set, no more was taken than the rate allows for that time and one window, and a window more
 *      for each start of the server, which begins to count anew. One batch may go beyond, and one for each new connection, which
 *      is not read for a while only after it was answered.
 */
#include "clients.h"

enum {
    PRODUCE = 0,
    DESCRIBE_QUOTAS = 48,
    ALTER_QUOTAS = 49,
    PRODUCE_VERSION = 9,
    ANSWER_US = 60000000,
    WINDOW_S = 11, /* quota.window.num * quota.window.size.seconds */
    BATCH_BYTES_MAX = 2500,
};

#define CLIENT_ID "metered"

struct metered {
    struct client client, admin; /* the quota is on the name of the first */
    struct topic_plan plan;
    int64_t rate; /* bytes per second; -1: none */
    int64_t set_us;
    uint64_t starts, connections; /* when it was set */
    int64_t bytes;                /* taken since */
    struct batch_builder builder;
    struct buf value;
};

static void begin(struct metered *metered, int64_t rate)
{
    metered->rate = rate;
    metered->set_us = sim_now_us();
    metered->starts = scenario.starts;
    metered->connections = metered->client.connections;
    metered->bytes = 0;
}

static int alter(struct metered *metered, int64_t rate)
{
    struct arena arena = {0};
    struct AlterClientQuotasRequest *req = wire_new(&WIRE_AlterClientQuotasRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Entries, AlterClientQuotasRequest_EntryData, 1);
    WIRE_ALLOC(&arena, req->Entries.at[0].Entity, AlterClientQuotasRequest_EntityData, 1);
    req->Entries.at[0].Entity.at[0].EntityType = STR("client-id");
    req->Entries.at[0].Entity.at[0].EntityName = STR(CLIENT_ID);
    WIRE_ALLOC(&arena, req->Entries.at[0].Ops, AlterClientQuotasRequest_OpData, 1);
    req->Entries.at[0].Ops.at[0].Key = STR("producer_byte_rate");
    req->Entries.at[0].Ops.at[0].Value = (double)rate;
    req->Entries.at[0].Ops.at[0].Remove = rate < 0;
    const struct AlterClientQuotasResponse *res =
        client_call(&metered->admin, ALTER_QUOTAS, (int16_t)sim_between(0, 1), req, ANSWER_US);
    arena_fini(&arena);
    return res == NULL ? NO_ANSWER : res->Entries.at[0].ErrorCode;
}

/* Z1; false: no answer. */
static bool describe(struct metered *metered, int64_t *rate)
{
    struct arena arena = {0};
    struct DescribeClientQuotasRequest *req = wire_new(&WIRE_DescribeClientQuotasRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Components, DescribeClientQuotasRequest_ComponentData, 1);
    req->Components.at[0].EntityType = STR("client-id");
    req->Components.at[0].Match = STR(CLIENT_ID);
    const struct DescribeClientQuotasResponse *res =
        client_call(&metered->admin, DESCRIBE_QUOTAS, (int16_t)sim_between(0, 1), req, ANSWER_US);
    arena_fini(&arena);
    if (res == NULL || res->ErrorCode != 0)
        return false;
    *rate = res->Entries.len > 0 && res->Entries.at[0].Values.len > 0
                ? (int64_t)res->Entries.at[0].Values.at[0].Value
                : -1;
    if (*rate != metered->rate)
        sim_fail("the quota of %s is %lld, it was set to %lld", CLIENT_ID, (long long)*rate,
                 (long long)metered->rate);
    return true;
}

/* A change that was not answered, or failed at the disk, may be there or not: it is asked for until it is answered. */
static void change(struct metered *metered)
{
    int64_t rate = sim_chance(1, 4) ? -1 : sim_between(200, 3000);
    int code;
    while ((code = alter(metered, rate)) != 0) {
        sim_note("quota of %lld bytes/s: %d", (long long)rate, code);
        sim_sleep_us(20000000); /* it may still be on its way */
    }
    sim_note("quota of %lld bytes/s", (long long)rate);
    begin(metered, rate);
    scenario_promised(PROMISE_TOPIC);
}

/* Z2 */
static void check_rate(const struct metered *metered)
{
    int64_t elapsed_s = (sim_now_us() - metered->set_us) / 1000000 + 1;
    int64_t windows = 1 + (int64_t)(scenario.starts - metered->starts);
    int64_t batches = 1 + (int64_t)(metered->client.connections - metered->connections);
    int64_t most = metered->rate * (elapsed_s + windows * WINDOW_S) + batches * BATCH_BYTES_MAX;
    if (metered->rate >= 0 && metered->bytes > most)
        sim_fail("%lld bytes were taken in %lld s and %lld starts, the quota is %lld a second",
                 (long long)metered->bytes, (long long)elapsed_s, (long long)windows - 1,
                 (long long)metered->rate);
}

static void produce(struct metered *metered)
{
    struct arena arena = {0};
    struct err err;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    struct ProduceRequest *req = wire_new(&WIRE_ProduceRequest, 1, &arena);
    req->TransactionalId = STR_NULL;
    req->Acks = 1;
    req->TimeoutMs = 30000;
    WIRE_ALLOC(&arena, req->TopicData, ProduceRequest_TopicProduceData, 1);
    req->TopicData.at[0].Name = str_from(metered->plan.name);
    WIRE_ALLOC(&arena, req->TopicData.at[0].PartitionData, ProduceRequest_PartitionProduceData, 1);
    struct str *bytes = &req->TopicData.at[0].PartitionData.at[0].Records.bytes;
    buf_clear(&metered->value);
    memset(buf_extend(&metered->value, 2000), 'x', 2000);
    batch_builder_begin(&metered->builder, &spec);
    batch_builder_add(&metered->builder, sim_wall_us() / 1000, STR_NULL, buf_str(&metered->value), NULL, 0);
    bool good = batch_builder_finish(&metered->builder, bytes, &err);
    ASSERT(good && bytes->len < BATCH_BYTES_MAX);
    int64_t size = (int64_t)bytes->len;
    const struct ProduceResponse *res =
        client_call(&metered->client, PRODUCE, PRODUCE_VERSION, req, ANSWER_US);
    arena_fini(&arena);
    if (res == NULL || res->Responses.at[0].PartitionResponses.at[0].ErrorCode != 0)
        return;
    metered->bytes += size;
    check_rate(metered);
}

static void metered_main(void *arg)
{
    struct metered *metered = arg;
    int64_t rate;
    for (int code = NO_ANSWER; code != 0 && code != KAFKA_TOPIC_EXISTS; sim_sleep_us(1000))
        code = topic_create(&metered->admin, &metered->plan);
    while (!scenario.calm) {
        if (sim_chance(1, metered->rate < 0 ? 5 : 50))
            change(metered);
        else if (sim_chance(1, 20))
            ignore(!describe(metered, &rate), "no answer says nothing");
        else
            produce(metered);
        sim_sleep_us(sim_between(0, 20000));
    }
    while (!describe(metered, &rate))
        sim_sleep_us(100000);
    client_fini(&metered->client);
    client_fini(&metered->admin);
    batch_builder_fini(&metered->builder);
    buf_fini(&metered->value);
    free(metered);
    scenario.actors--;
}

void metered_spawn(void)
{
    struct metered *metered = mem_new(struct metered);
    client_init(&metered->client, CLIENT_ID);
    client_init(&metered->admin, "metering");
    metered->plan = (struct topic_plan){.name = "metered",
                                        .partition_count = 1,
                                        .segment_bytes = 100000,
                                        .retention_ms = -1,
                                        .retention_bytes = -1};
    metered->rate = -1;
    scenario.actors++;
    sim_spawn(CLIENT_ID, SIM_CLIENTS, metered_main, metered);
}
