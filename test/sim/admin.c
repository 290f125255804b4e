/* admin.c - topics: those of the scenario are made at its beginning. */
#include "clients.h"

enum { CREATE_TOPICS = 19, METADATA = 3 };

static struct CreateTopicsRequest *make_request(const struct topic_plan *plan, struct arena *arena)
{
    struct CreateTopicsRequest *req = wire_new(&WIRE_CreateTopicsRequest, 1, arena);
    req->timeoutMs = 30000;
    WIRE_ALLOC(arena, req->Topics, CreateTopicsRequest_CreatableTopic, 1);
    req->Topics.at[0].Name = str_from(plan->name);
    req->Topics.at[0].NumPartitions = plan->partition_count;
    req->Topics.at[0].ReplicationFactor = 1;
    WIRE_ALLOC(arena, req->Topics.at[0].Configs, CreateTopicsRequest_CreatableTopicConfig, 2);
    req->Topics.at[0].Configs.at[0].Name = STR("segment.bytes");
    req->Topics.at[0].Configs.at[0].Value = str_printf(arena, "%d", (int)sim_between(2000, 40000));
    req->Topics.at[0].Configs.at[1].Name = STR("retention.ms");
    req->Topics.at[0].Configs.at[1].Value = STR("-1");
    return req;
}

void topics_make(struct client *client)
{
    for (size_t i = 0; i < scenario.topic_count; i++) {
        int code = -1;
        while (code != 0 && code != KAFKA_TOPIC_EXISTS) {
            struct arena arena = {0};
            const struct CreateTopicsResponse *res =
                client_call(client, CREATE_TOPICS, (int16_t)sim_between(2, 7),
                            make_request(&scenario.topics[i], &arena), 20000000);
            if (res != NULL && res->Topics.len == 1)
                code = res->Topics.at[0].ErrorCode;
            arena_fini(&arena);
            sim_sleep_us(1000);
        }
        sim_note("topic %s with %d partitions", scenario.topics[i].name, scenario.topics[i].partition_count);
    }
}
