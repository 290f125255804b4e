/* tenant.c - has a topic for itself: makes it, writes to it, reads it back, changes its configs, deletes it, and makes it again
 * under the same name.
 *
 *   absent --create--> life 1: write, read, set, describe --delete--> absent --create--> life 2 ...
 *
 * A change that was not answered, or failed at the disk, may be there, may be yet to come, or may be undone by a crash. So
 * it is asked for again until it is answered, and nothing else is done before.
 *
 * (O1) A life begins empty: no record and no config of an earlier one is seen in it. Its topic id is a new one, and stays.
 * (O2) A config that was changed is described so and in force, also after restarts: a batch is refused for its size exactly
 *      when it is larger than max.message.bytes.
 * (O3) What was written and acknowledged in this life is there, each record at its offset.
 */
#include "clients.h"

enum {
    PRODUCE = 0,
    FETCH = 1,
    PRODUCE_VERSION = 9,
    FETCH_VERSION = 11,
    ANSWER_US = 20000000,
    LIMIT_DEFAULT = 1048588,
    LIVES_MAX = 100,
};

enum presence { ABSENT, PRESENT };
enum change { NO_CHANGE, CREATE, DELETE, SET_CONFIG };
typedef vec(bool) vec_bool;

/* A config that it changes. */
struct knob {
    const char *name;
    int64_t value;
};

enum { LIMIT, RETENTION, KNOB_COUNT };

struct written {
    int64_t offset;
    uint32_t n;
    uint64_t cuts;
};

struct tenant {
    struct client client;
    struct topic_plan plan;
    enum presence presence;
    enum change pending; /* was not answered */
    struct uuid ids[LIVES_MAX];
    size_t lives; /* ids so far; the last is the present one's */
    uint32_t n;
    vec(struct written) written; /* in this life */
    struct knob knobs[KNOB_COUNT];
    size_t knob; /* that is being changed, and to what */
    int64_t value_asked;
    struct batch_builder builder;
    struct buf value;
};

static void begin_life(struct tenant *tenant, struct uuid id)
{
    for (size_t i = 0; i < tenant->lives; i++) /* O1 */
        if (memcmp(&tenant->ids[i], &id, sizeof id) == 0)
            sim_fail("%s is made again and has the id of an earlier life", tenant->plan.name);
    tenant->ids[tenant->lives++] = id;
    tenant->presence = PRESENT;
    vec_clear(&tenant->written);
    tenant->knobs[LIMIT] = (struct knob){"max.message.bytes", LIMIT_DEFAULT};
    tenant->knobs[RETENTION] = (struct knob){"retention.ms", tenant->plan.retention_ms};
    sim_note("%s: life %zu", tenant->plan.name, tenant->lives);
}

/* Asks until it knows. `sure`: it must be as the tenant thinks. */
static void look(struct tenant *tenant, bool sure)
{
    struct topic_seen seen = {.wants_id = true};
    int code;
    while ((code = topic_look(&tenant->client, tenant->plan.name, &seen)) != 0 && code != KAFKA_UNKNOWN_TOPIC)
        sim_sleep_us(100000);
    bool same = tenant->lives > 0 && tenant->presence == PRESENT &&
                memcmp(&seen.id, &tenant->ids[tenant->lives - 1], sizeof seen.id) == 0;
    if (sure && (code != 0) != (tenant->presence == ABSENT))
        sim_fail("%s is %s, metadata say error %d", tenant->plan.name,
                 tenant->presence == ABSENT ? "deleted" : "there", code);
    if (sure && code == 0 && !same)
        sim_fail("%s has another id than it had", tenant->plan.name);
    if (code != 0)
        tenant->presence = ABSENT;
    else if (!same)
        begin_life(tenant, seen.id);
}

/* What was not answered may still be on its way: it has arrived after this. */
static void let_settle(struct tenant *tenant, enum change change)
{
    tenant->pending = change;
    sim_sleep_us(20000000);
}

static void create(struct tenant *tenant)
{
    int code = topic_create(&tenant->client, &tenant->plan);
    sim_note("create %s: %d", tenant->plan.name, code);
    if (code == KAFKA_TOPIC_EXISTS && tenant->pending == NO_CHANGE)
        sim_fail("%s was deleted and exists", tenant->plan.name);
    if (code != 0 && code != KAFKA_TOPIC_EXISTS) {
        let_settle(tenant, CREATE);
        return;
    }
    tenant->pending = NO_CHANGE;
    scenario_promised(PROMISE_TOPIC);
    look(tenant, false);
    if (tenant->presence == ABSENT)
        sim_fail("%s was created and is not there", tenant->plan.name);
}

static void remove_topic(struct tenant *tenant)
{
    int code = topic_delete(&tenant->client, tenant->plan.name);
    sim_note("delete %s: %d", tenant->plan.name, code);
    if (code == KAFKA_UNKNOWN_TOPIC && tenant->pending == NO_CHANGE)
        sim_fail("%s was created and is not known", tenant->plan.name);
    if (code != 0 && code != KAFKA_UNKNOWN_TOPIC) {
        let_settle(tenant, DELETE);
        return;
    }
    tenant->pending = NO_CHANGE;
    tenant->presence = ABSENT;
    scenario_promised(PROMISE_TOPIC);
}

/* ---- configs ---- */

static void set(struct tenant *tenant)
{
    if (tenant->pending == NO_CHANGE) {
        tenant->knob = sim_below(KNOB_COUNT);
        tenant->value_asked =
            tenant->knob == LIMIT ? sim_between(200, 2000) : sim_between(86400000, INT32_MAX);
    }
    struct knob *knob = &tenant->knobs[tenant->knob];
    int code = topic_set(&tenant->client, tenant->plan.name, knob->name, tenant->value_asked);
    sim_note("%s of %s = %lld: %d", knob->name, tenant->plan.name, (long long)tenant->value_asked, code);
    if (code != 0) {
        let_settle(tenant, SET_CONFIG);
        return;
    }
    tenant->pending = NO_CHANGE;
    knob->value = tenant->value_asked;
    scenario_promised(PROMISE_TOPIC);
}

/* O2 */
static void describe(struct tenant *tenant)
{
    const struct knob *knob = &tenant->knobs[sim_below(KNOB_COUNT)];
    int64_t value;
    if (topic_get(&tenant->client, tenant->plan.name, knob->name, &value) == 0 && value != knob->value)
        sim_fail("%s of %s is %lld, it was set to %lld", knob->name, tenant->plan.name, (long long)value,
                 (long long)knob->value);
}

/* ---- records ---- */

static struct str make_batch(struct tenant *tenant)
{
    struct str bytes;
    struct err err;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    buf_clear(&tenant->value);
    buf_printf(&tenant->value, "%zu %u ", tenant->lives, ++tenant->n);
    size_t size = (size_t)sim_between(0, 2000);
    memset(buf_extend(&tenant->value, size), 'x', size);
    batch_builder_begin(&tenant->builder, &spec);
    batch_builder_add(&tenant->builder, sim_wall_us() / 1000, STR_NULL, buf_str(&tenant->value), NULL, 0);
    bool good = batch_builder_finish(&tenant->builder, &bytes, &err);
    ASSERT(good);
    return bytes;
}

/* Kafka's error code, or NO_ANSWER. */
static int produce(struct tenant *tenant, struct str bytes, int64_t *offset)
{
    struct arena arena = {0};
    struct ProduceRequest *req = wire_new(&WIRE_ProduceRequest, 1, &arena);
    req->TransactionalId = STR_NULL;
    req->Acks = -1;
    req->TimeoutMs = 30000;
    WIRE_ALLOC(&arena, req->TopicData, ProduceRequest_TopicProduceData, 1);
    req->TopicData.at[0].Name = str_from(tenant->plan.name);
    WIRE_ALLOC(&arena, req->TopicData.at[0].PartitionData, ProduceRequest_PartitionProduceData, 1);
    req->TopicData.at[0].PartitionData.at[0].Records.bytes = bytes;
    const struct ProduceResponse *res =
        client_call(&tenant->client, PRODUCE, PRODUCE_VERSION, req, ANSWER_US);
    arena_fini(&arena);
    if (res == NULL)
        return NO_ANSWER;
    *offset = res->Responses.at[0].PartitionResponses.at[0].BaseOffset;
    return res->Responses.at[0].PartitionResponses.at[0].ErrorCode;
}

static void write_one(struct tenant *tenant)
{
    struct str bytes = make_batch(tenant);
    const struct knob *limit = &tenant->knobs[LIMIT];
    int64_t offset, size = (int64_t)bytes.len;
    int code = produce(tenant, bytes, &offset);
    if (code == NO_ANSWER) {
        let_settle(tenant, NO_CHANGE);
        return;
    }
    bool larger = size > limit->value;
    if (code == 0 ? larger : code == KAFKA_MESSAGE_TOO_LARGE && !larger) /* O2 */
        sim_fail("%s: a batch of %lld bytes is answered with %d, max.message.bytes is %lld",
                 tenant->plan.name, (long long)size, code, (long long)limit->value);
    if (code == KAFKA_UNKNOWN_TOPIC)
        sim_fail("%s was created and is not known to a producer", tenant->plan.name);
    if (code == 0)
        vec_push(&tenant->written, (struct written){offset, tenant->n, scenario.told_cuts});
}

/* O1; the number of the record. */
static uint32_t check_record(const struct tenant *tenant, const struct record *rec)
{
    size_t life;
    uint32_t n;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)MIN(rec->value.len, sizeof text - 1), rec->value.ptr);
    if (sscanf(text, "%zu %u ", &life, &n) != 2)
        sim_fail("%s has a record at %lld that nobody wrote", tenant->plan.name, (long long)rec->offset);
    if (life != tenant->lives)
        sim_fail("%s has at %lld in life %zu a record of life %zu", tenant->plan.name, (long long)rec->offset,
                 tenant->lives, life);
    return n;
}

/* Takes the records of an answer: which of the written are there. The next offset. */
static int64_t take(struct tenant *tenant, struct str bytes, int64_t next, vec_bool *there)
{
    struct batch batch;
    struct batch_iter it;
    struct record rec;
    struct buf plain = {0};
    struct err err;
    while (batch_next(&bytes, &batch, &err)) {
        if (!batch_check_crc(&batch, &err) || !batch_iter_init(&it, &batch, &plain, &err))
            sim_fail("%s: batch at %lld: %s", tenant->plan.name, (long long)batch.base_offset, err.text);
        while (batch_iter_next(&it, &rec)) {
            uint32_t n = check_record(tenant, &rec);
            for (size_t i = 0; i < tenant->written.len; i++)
                if (tenant->written.at[i].offset == rec.offset && tenant->written.at[i].n == n)
                    there->at[i] = true;
        }
        next = batch_last_offset(&batch) + 1;
    }
    buf_fini(&plain);
    return next;
}

/* From `next` on; false: no answer. */
static bool fetch(struct tenant *tenant, int64_t *next, int64_t *end, vec_bool *there)
{
    struct arena arena = {0};
    struct FetchRequest *req = wire_new(&WIRE_FetchRequest, 1, &arena);
    req->ReplicaId = -1;
    req->MaxBytes = 1 << 20;
    req->SessionEpoch = -1;
    WIRE_ALLOC(&arena, req->Topics, FetchRequest_FetchTopic, 1);
    req->Topics.at[0].Topic = str_from(tenant->plan.name);
    WIRE_ALLOC(&arena, req->Topics.at[0].Partitions, FetchRequest_FetchPartition, 1);
    req->Topics.at[0].Partitions.at[0].CurrentLeaderEpoch = -1;
    req->Topics.at[0].Partitions.at[0].FetchOffset = *next;
    req->Topics.at[0].Partitions.at[0].PartitionMaxBytes = 1 << 16;
    const struct FetchResponse *res = client_call(&tenant->client, FETCH, FETCH_VERSION, req, ANSWER_US);
    arena_fini(&arena);
    const struct FetchResponse_PartitionData *part =
        res == NULL || res->Responses.len != 1 ? NULL : res->Responses.at[0].Partitions.at;
    if (part == NULL || part->ErrorCode != 0)
        return false;
    *end = part->HighWatermark;
    *next = take(tenant, part->Records.bytes, *next, there);
    return true;
}

/* O3 */
static void read_all(struct tenant *tenant)
{
    vec_bool there = {0};
    int64_t next = 0, end = 1;
    for (size_t i = 0; i < tenant->written.len; i++)
        vec_push(&there, false);
    for (int tries = 0; next < end && tries < 200; tries++)
        if (!fetch(tenant, &next, &end, &there))
            sim_sleep_us(50000);
    for (size_t i = 0; i < tenant->written.len && next >= end; i++) {
        const struct written *written = &tenant->written.at[i];
        if (!there.at[i] && written->cuts == scenario.cuts)
            sim_fail("%s, life %zu: record %u was acknowledged at %lld and is not there", tenant->plan.name,
                     tenant->lives, written->n, (long long)written->offset);
    }
    vec_fini(&there);
}

/* ---- life ---- */

static void act(struct tenant *tenant)
{
    if (tenant->pending == DELETE) {
        remove_topic(tenant);
        return;
    }
    if (tenant->pending == SET_CONFIG) {
        set(tenant);
        return;
    }
    if (tenant->presence == ABSENT) {
        create(tenant);
        return;
    }
    switch (sim_below(12)) {
    case 0:
        remove_topic(tenant);
        break;
    case 1:
        set(tenant);
        break;
    case 2:
        describe(tenant);
        break;
    case 3:
        read_all(tenant);
        break;
    case 4:
        look(tenant, true);
        break;
    default:
        write_one(tenant);
    }
}

static void tenant_main(void *arg)
{
    struct tenant *tenant = arg;
    while (!scenario.calm && tenant->lives < LIVES_MAX - 1) {
        act(tenant);
        sim_sleep_us(sim_between(0, scenario.slow ? 500000 : 50000));
    }
    while (!scenario.calm)
        sim_sleep_us(1000000);
    if (tenant->pending == NO_CHANGE)
        look(tenant, true);
    if (tenant->pending == NO_CHANGE && tenant->presence == PRESENT) {
        describe(tenant);
        read_all(tenant);
    }
    client_fini(&tenant->client);
    batch_builder_fini(&tenant->builder);
    buf_fini(&tenant->value);
    vec_fini(&tenant->written);
    free(tenant);
    scenario.actors--;
}

void tenant_spawn(void)
{
    struct tenant *tenant = mem_new(struct tenant);
    client_init(&tenant->client, "tenant");
    tenant->plan = (struct topic_plan){.name = "tenant",
                                       .partition_count = 1,
                                       .segment_bytes = sim_between(7000, 12000),
                                       .retention_ms = -1,
                                       .retention_bytes = -1};
    scenario.actors++;
    sim_spawn("tenant", SIM_CLIENTS, tenant_main, tenant);
}
