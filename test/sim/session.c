/* session.c - a consumer of all partitions with a fetch session (KIP-227): what is asked and answered is only what has changed.
 *
 *   full fetch (epoch 0) -> session id -> fetches 1, 2, ...: partitions whose position has moved, and nothing of the others
 *        ^---- no answer, session unknown, wrong epoch ----'
 *
 * (E1) A partition of which nothing is said has nothing new: at the end, when nobody writes, the session alone must bring the
 *      consumer to the high watermark of every partition.
 */
#include "clients.h"

enum { FETCH = 1, VERSION_MIN = 10, VERSION_MAX = 12, PARTITIONS_MAX = 8, ANSWER_US = 8000000 };

struct session {
    struct client client;
    int32_t id, epoch; /* epoch 0: begins anew */
    int64_t next[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    int64_t told[COUNT_OF(scenario.topics)][PARTITIONS_MAX]; /* positions that the server knows; -1: none */
    struct ends least[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    bool resets[COUNT_OF(scenario.topics)][PARTITIONS_MAX]; /* was out of range */
};

/* What has moved of one topic. */
static void add_partitions(struct session *session, size_t topic, struct FetchRequest_FetchTopic *out,
                           struct arena *arena)
{
    out->Topic = str_from(scenario.topics[topic].name);
    WIRE_ALLOC(arena, out->Partitions, FetchRequest_FetchPartition, scenario.topics[topic].partition_count);
    out->Partitions.len = 0;
    for (int32_t i = 0; i < scenario.topics[topic].partition_count; i++) {
        session->least[topic][i] = facts_ends((uint16_t)topic, i);
        if (session->epoch > 0 && session->told[topic][i] == session->next[topic][i])
            continue;
        struct FetchRequest_FetchPartition *part = &out->Partitions.at[out->Partitions.len++];
        part->Partition = i;
        part->CurrentLeaderEpoch = -1;
        part->FetchOffset = session->next[topic][i];
        part->PartitionMaxBytes = 20000;
        session->told[topic][i] = session->next[topic][i];
    }
}

static struct FetchRequest *make_request(struct session *session, struct arena *arena)
{
    struct FetchRequest *req = wire_new(&WIRE_FetchRequest, 1, arena);
    req->ReplicaId = -1;
    req->MaxWaitMs = (int32_t)sim_between(0, 500);
    req->MinBytes = 1;
    req->MaxBytes = (int32_t)sim_between(1, 50000);
    req->SessionId = session->epoch > 0 ? session->id : 0;
    req->SessionEpoch = session->epoch;
    WIRE_ALLOC(arena, req->Topics, FetchRequest_FetchTopic, scenario.topic_count);
    req->Topics.len = 0;
    for (size_t i = 0; i < scenario.topic_count; i++) {
        struct FetchRequest_FetchTopic *topic = &req->Topics.at[req->Topics.len];
        add_partitions(session, i, topic, arena);
        req->Topics.len += topic->Partitions.len > 0;
    }
    return req;
}

static void tell_seen(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen(topic, partition, rec->offset, mark_of(rec));
}

/* False: a partition cannot be read now; it is asked for again. */
static bool take_topic(struct session *session, const struct FetchResponse_FetchableTopicResponse *row)
{
    uint16_t topic = 0;
    bool good = true;
    while (topic < scenario.topic_count && !str_eq_cstr(row->Topic, scenario.topics[topic].name))
        topic++;
    if (topic == scenario.topic_count)
        sim_fail("the session is answered a topic that it does not have");
    for (int32_t i = 0; i < row->Partitions.len; i++) {
        const struct FetchResponse_PartitionData *part = &row->Partitions.at[i];
        int32_t p = part->PartitionIndex;
        struct fetched got;
        int code =
            fetch_take(topic, p, session->next[topic][p], 0, part, session->least[topic][p], tell_seen, &got);
        good = good && code == 0;
        session->resets[topic][p] = code == KAFKA_OFFSET_OUT_OF_RANGE;
        session->next[topic][p] = got.next_offset;
    }
    return good;
}

static void reset_offsets(struct session *session)
{
    for (size_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count; j++)
            if (session->resets[i][j] && offset_reset(&session->client, (uint16_t)i, j, &session->next[i][j]))
                session->resets[i][j] = false;
}

static void fetch(struct session *session)
{
    struct arena arena = {0};
    const struct FetchRequest *req = make_request(session, &arena);
    const struct FetchResponse *res =
        client_call(&session->client, FETCH, (int16_t)sim_between(VERSION_MIN, VERSION_MAX), req, ANSWER_US);
    arena_fini(&arena);
    bool good = res != NULL && res->ErrorCode == 0;
    for (int32_t i = 0; good && i < res->Responses.len; i++)
        if (!take_topic(session, &res->Responses.at[i]))
            sim_sleep_us(10000);
    if (res != NULL && res->ErrorCode != 0)
        sim_note("fetch session %d, epoch %d: error %d", session->id, session->epoch, res->ErrorCode);
    int32_t id = good ? res->SessionId : 0;
    session->epoch = id != 0 ? session->epoch + 1 : 0;
    session->id = id;
    reset_offsets(session);
}

/* E1 */
static bool has_all(const struct session *session)
{
    for (size_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count; j++)
            if (session->next[i][j] < facts_ends((uint16_t)i, j).hw)
                return false;
    return true;
}

static void session_main(void *arg)
{
    struct session *session = arg;
    while (!scenario.calm || !has_all(session)) {
        fetch(session);
        if (sim_chance(1, 100))
            session->epoch = 0;
        sim_sleep_us(sim_between(0, scenario.slow ? 300000 : 20000));
    }
    sim_note("ends with all that is there, in epoch %d of session %d", session->epoch, session->id);
    client_fini(&session->client);
    free(session);
    scenario.actors--;
}

void session_spawn(void)
{
    struct session *session = mem_new(struct session);
    client_init(&session->client, "session");
    scenario.actors++;
    sim_spawn("session", SIM_CLIENTS, session_main, session);
}
