/* admin.c - topics: those of the scenario are made at its beginning; administrators make, grow and delete others.
 *
 * (A1) A change that was acknowledged is so for ever: the topic exists with its partitions, or is gone, whatever happens to the
 *      server. Refusals count too: "exists" and "unknown" are statements about the topic.
 */
#include "clients.h"

enum { METADATA = 3, CREATE_TOPICS = 19, DELETE_TOPICS = 20, CREATE_PARTITIONS = 37 };

struct setting {
    const char *name;
    int64_t value;
    bool given;
};

static struct CreateTopicsRequest *make_request(const struct topic_plan *plan, struct arena *arena)
{
    bool deletes = topic_trims(plan);
    const struct setting settings[] = {
        {"segment.bytes", plan->segment_bytes, true},
        {"segment.ms", plan->segment_ms, plan->segment_ms > 0},
        {"retention.ms", plan->retention_ms, true},
        {"retention.bytes", plan->retention_bytes, true},
        {"delete.retention.ms", plan->tombstone_ms, plan->compacts},
        {"min.cleanable.dirty.ratio", 0, plan->compacts},
    };
    struct CreateTopicsRequest *req = wire_new(&WIRE_CreateTopicsRequest, 1, arena);
    req->timeoutMs = 30000;
    WIRE_ALLOC(arena, req->Topics, CreateTopicsRequest_CreatableTopic, 1);
    struct CreateTopicsRequest_CreatableTopic *topic = req->Topics.at;
    topic->Name = str_from(plan->name);
    topic->NumPartitions = plan->partition_count;
    topic->ReplicationFactor = 1;
    WIRE_ALLOC(arena, topic->Configs, CreateTopicsRequest_CreatableTopicConfig, COUNT_OF(settings) + 1);
    topic->Configs.at[0].Name = STR("cleanup.policy");
    topic->Configs.at[0].Value = !plan->compacts ? STR("delete")
                                 : deletes       ? STR("compact,delete")
                                                 : STR("compact");
    topic->Configs.len = 1;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (!settings[i].given)
            continue;
        struct CreateTopicsRequest_CreatableTopicConfig *config = &topic->Configs.at[topic->Configs.len++];
        config->Name = str_from(settings[i].name);
        config->Value = str_printf(arena, "%lld", (long long)settings[i].value);
    }
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
        const struct topic_plan *plan = &scenario.topics[i];
        sim_note(
            "topic %s with %d partitions, segments of %lld bytes, %lld ms%s%s, retention %lld ms, %lld bytes",
            plan->name, plan->partition_count, (long long)plan->segment_bytes, (long long)plan->segment_ms,
            plan->compacts ? ", compacted" : "", plan->trims ? ", trimmed" : "",
            (long long)plan->retention_ms, (long long)plan->retention_bytes);
    }
}

/* ---- an administrator that makes, grows and deletes topics of its own ---- */

/* What it knows of one of its topics. Unsure: a change was not answered, or failed at the disk. */
enum own_state { OWN_ABSENT, OWN_PRESENT, OWN_UNSURE };

struct own_topic {
    struct topic_plan plan; /* partition_count: at least so many when present */
    enum own_state state;
};

struct admin {
    struct client client;
    struct own_topic topics[3];
};

/* A change that was not answered may still be on its way: nothing new is asked before it can have arrived. */
static void let_settle(struct own_topic *topic)
{
    topic->state = OWN_UNSURE;
    sim_sleep_us(20000000);
}

static void promised(struct own_topic *topic, enum own_state state)
{
    topic->state = state;
    scenario_promised(PROMISE_TOPIC);
}

static void create_own(struct admin *admin, struct own_topic *topic)
{
    struct arena arena = {0};
    int32_t before = topic->plan.partition_count;
    topic->plan.partition_count = (int32_t)sim_between(1, 3);
    const struct CreateTopicsResponse *res =
        client_call(&admin->client, CREATE_TOPICS, (int16_t)sim_between(2, 7),
                    make_request(&topic->plan, &arena), 20000000);
    arena_fini(&arena);
    int code = res == NULL ? -1 : res->Topics.at[0].ErrorCode;
    sim_note("create %s: %d", topic->plan.name, code);
    if (code == 0 && topic->state == OWN_PRESENT)
        sim_fail("%s exists and is created again", topic->plan.name);
    if (code == KAFKA_TOPIC_EXISTS && topic->state == OWN_ABSENT)
        sim_fail("%s was deleted and exists", topic->plan.name);
    if (code == KAFKA_TOPIC_EXISTS)
        topic->plan.partition_count = topic->state == OWN_PRESENT ? before : 1;
    if (code == 0 || code == KAFKA_TOPIC_EXISTS)
        promised(topic, OWN_PRESENT);
    else
        let_settle(topic);
}

static void delete_own(struct admin *admin, struct own_topic *topic)
{
    struct arena arena = {0};
    struct DeleteTopicsRequest *req = wire_new(&WIRE_DeleteTopicsRequest, 1, &arena);
    struct str name = str_from(topic->plan.name);
    req->TimeoutMs = 30000;
    req->TopicNames.at = &name;
    req->TopicNames.len = 1;
    const struct DeleteTopicsResponse *res =
        client_call(&admin->client, DELETE_TOPICS, (int16_t)sim_between(1, 5), req, 20000000);
    arena_fini(&arena);
    int code = res == NULL ? -1 : res->Responses.at[0].ErrorCode;
    sim_note("delete %s: %d", topic->plan.name, code);
    if (code == 0 && topic->state == OWN_ABSENT)
        sim_fail("%s was deleted and is deleted again", topic->plan.name);
    if (code == KAFKA_UNKNOWN_TOPIC && topic->state == OWN_PRESENT)
        sim_fail("%s was created and is not known", topic->plan.name);
    if (code == 0 || code == KAFKA_UNKNOWN_TOPIC)
        promised(topic, OWN_ABSENT);
    else
        let_settle(topic);
}

static void grow_own(struct admin *admin, struct own_topic *topic)
{
    struct arena arena = {0};
    struct CreatePartitionsRequest *req = wire_new(&WIRE_CreatePartitionsRequest, 1, &arena);
    int32_t count = topic->plan.partition_count + (int32_t)sim_between(1, 2);
    if (topic->state != OWN_PRESENT || count > 8)
        return;
    req->TimeoutMs = 30000;
    WIRE_ALLOC(&arena, req->Topics, CreatePartitionsRequest_CreatePartitionsTopic, 1);
    req->Topics.at[0].Name = str_from(topic->plan.name);
    req->Topics.at[0].Count = count;
    req->Topics.at[0].Assignments.len = -1;
    const struct CreatePartitionsResponse *res =
        client_call(&admin->client, CREATE_PARTITIONS, (int16_t)sim_between(0, 3), req, 20000000);
    arena_fini(&arena);
    int code = res == NULL ? -1 : res->Results.at[0].ErrorCode;
    sim_note("grow %s to %d: %d", topic->plan.name, count, code);
    if (code == KAFKA_UNKNOWN_TOPIC)
        sim_fail("%s was created and cannot be grown: it is not known", topic->plan.name);
    if (code == 0)
        topic->plan.partition_count = count;
    else
        sim_sleep_us(20000000);
}

/* What Metadata says: topics that are there for sure, with their partitions, and none that is gone for sure. */
static void look(struct admin *admin, struct own_topic *topic)
{
    struct arena arena = {0};
    struct MetadataRequest *req = wire_new(&WIRE_MetadataRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Topics, MetadataRequest_MetadataRequestTopic, 1);
    req->Topics.at[0].Name = str_from(topic->plan.name);
    const struct MetadataResponse *res =
        client_call(&admin->client, METADATA, (int16_t)sim_between(4, 12), req, 20000000);
    arena_fini(&arena);
    if (res == NULL)
        return;
    const struct MetadataResponse_MetadataResponseTopic *row = res->Topics.at;
    if (topic->state == OWN_PRESENT &&
        (row->ErrorCode != 0 || row->Partitions.len < topic->plan.partition_count))
        sim_fail("%s was created with %d partitions: metadata say error %d, %d partitions", topic->plan.name,
                 topic->plan.partition_count, row->ErrorCode, row->Partitions.len);
    if (topic->state == OWN_ABSENT && row->ErrorCode != KAFKA_UNKNOWN_TOPIC)
        sim_fail("%s was deleted: metadata say error %d", topic->plan.name, row->ErrorCode);
}

static void admin_main(void *arg)
{
    struct admin *admin = arg;
    while (!scenario.calm) {
        struct own_topic *topic = &admin->topics[sim_below(COUNT_OF(admin->topics))];
        switch (sim_below(6)) {
        case 0:
        case 1:
            create_own(admin, topic);
            break;
        case 2:
            delete_own(admin, topic);
            break;
        case 3:
            grow_own(admin, topic);
            break;
        default:
            look(admin, topic);
        }
        sim_sleep_us(sim_between(0, 500000));
    }
    for (size_t i = 0; i < COUNT_OF(admin->topics); i++)
        look(admin, &admin->topics[i]);
    client_fini(&admin->client);
    free(admin);
    scenario.actors--;
}

void admin_spawn(size_t number)
{
    struct admin *admin = mem_new(struct admin);
    char name[32];
    snprintf(name, sizeof name, "admin-%zu", number);
    client_init(&admin->client, name);
    for (size_t i = 0; i < COUNT_OF(admin->topics); i++) {
        struct topic_plan *plan = &admin->topics[i].plan;
        *plan = (struct topic_plan){.segment_bytes = sim_between(7000, 40000),
                                    .retention_ms = -1,
                                    .retention_bytes = -1};
        snprintf(plan->name, sizeof plan->name, "own-%zu-%zu", number, i);
    }
    scenario.actors++;
    sim_spawn(name, SIM_CLIENTS, admin_main, admin);
}
