/* admin.c - an administrator that makes, grows and deletes topics of its own.
 *
 * (A1) A change that was acknowledged is so for ever: the topic exists with its partitions, or is gone, whatever happens to the
 *      server. Refusals count too: "exists" and "unknown" are statements about the topic.
 */
#include "clients.h"

enum { CREATE_PARTITIONS = 37 };

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
    int32_t before = topic->plan.partition_count;
    topic->plan.partition_count = (int32_t)sim_between(1, 3);
    int code = topic_create(&admin->client, &topic->plan);
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
    int code = topic_delete(&admin->client, topic->plan.name);
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
    struct topic_seen seen = {0};
    int code = topic_look(&admin->client, topic->plan.name, &seen);
    if (code == NO_ANSWER)
        return;
    if (topic->state == OWN_PRESENT && (code != 0 || seen.partition_count < topic->plan.partition_count))
        sim_fail("%s was created with %d partitions: metadata say error %d, %d partitions", topic->plan.name,
                 topic->plan.partition_count, code, seen.partition_count);
    if (topic->state == OWN_ABSENT && code != KAFKA_UNKNOWN_TOPIC)
        sim_fail("%s was deleted: metadata say error %d", topic->plan.name, code);
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
