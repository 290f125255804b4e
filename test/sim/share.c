/* share.c - a member of a share group (KIP-932): takes records, says of each what became of it, or forgets to.
 *
 *   heartbeat (joins) -> ShareFetch, epoch 0 -> [ ShareFetch | ShareAcknowledge | heartbeat | sleep ] ... -> leaves, breaks off
 *                             ^------------ no answer, session unknown, wrong epoch ------------'
 *
 * (B1) The group begins at the earliest record: that is set, and acknowledged, before its first member joins. So all that is in
 *      the topic is the group's to work off.
 * (B2) What it has taken it accepts, rejects or releases, a range with one type or with one for each offset, alone or with the
 *      next fetch; or it keeps it until the lock has ended.
 * (B3) When faults are over it accepts all there is, until nothing is left in any partition and nobody else writes any more.
 */
#include "clients.h"

enum {
    SHARE_HEARTBEAT = 76,
    SHARE_FETCH = 78,
    SHARE_ACKNOWLEDGE = 79,
    DESCRIBE_SHARE_OFFSETS = 90,
    INCREMENTAL_ALTER_CONFIGS = 44,
    GROUP_RESOURCE = 32,
    INVALID_REQUEST = 42,
    INVALID_RECORD_STATE = 121,
    TOPIC = 0,
    RANGES_MAX = 64,
    ANSWER_US = 20000000,
};

#define GROUP "share-group"

/* Records that were taken, and are not spoken of yet. */
struct taken {
    int32_t partition;
    int64_t first, last, count;
};

/* An acknowledgement on its way. */
struct spoken {
    struct taken range;
    bool held;         /* for sure, when it was sent */
    int64_t failed_us; /* scenario_failed_us() at that time */
    int8_t types[8];   /* of the offsets, again and again */
    int32_t type_count;
};

struct share_member {
    struct client client;
    size_t number, lives;
    char id[40];
    int32_t epoch;   /* 0: no member */
    int32_t session; /* epoch of the next request */
    uint64_t connection;
    struct uuid topic;
    struct taken taken[RANGES_MAX];
    size_t taken_count;
};

static bool group_is_set; /* B1 */

/* ---- the session's end ---- */

/* What it had is not its any more, as far as it knows. */
static void lose_session(struct share_member *member, bool fetch_lost)
{
    member->session = 0;
    member->taken_count = 0;
    facts_share_gone(member->number, fetch_lost);
}

/* After each answer: it is the same session only on the same connection. */
static void note_answer(struct share_member *member, const void *res, bool fetches)
{
    if (res == NULL || member->client.connections != member->connection)
        lose_session(member, res == NULL && fetches);
    member->connection = member->client.connections;
}

/* ---- the group ---- */

static bool set_group(struct client *client)
{
    struct arena arena = {0};
    struct IncrementalAlterConfigsRequest *req = wire_new(&WIRE_IncrementalAlterConfigsRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Resources, IncrementalAlterConfigsRequest_AlterConfigsResource, 1);
    req->Resources.at[0].ResourceType = GROUP_RESOURCE;
    req->Resources.at[0].ResourceName = STR(GROUP);
    WIRE_ALLOC(&arena, req->Resources.at[0].Configs, IncrementalAlterConfigsRequest_AlterableConfig, 1);
    req->Resources.at[0].Configs.at[0].Name = STR("share.auto.offset.reset");
    req->Resources.at[0].Configs.at[0].Value = STR("earliest");
    const struct IncrementalAlterConfigsResponse *res =
        client_call(client, INCREMENTAL_ALTER_CONFIGS, 1, req, ANSWER_US);
    arena_fini(&arena);
    return res != NULL && res->Responses.at[0].ErrorCode == 0;
}

/* epoch 0: joins; -1: leaves. */
static void heartbeat(struct share_member *member, int32_t epoch)
{
    struct arena arena = {0};
    struct ShareGroupHeartbeatRequest *req = wire_new(&WIRE_ShareGroupHeartbeatRequest, 1, &arena);
    struct str topic = str_from(scenario.topics[TOPIC].name);
    if (epoch == 0)
        snprintf(member->id, sizeof member->id, "share-%zu-%zu", member->number, ++member->lives);
    req->GroupId = STR(GROUP);
    req->MemberId = str_from(member->id);
    req->MemberEpoch = epoch;
    if (epoch == 0) {
        req->SubscribedTopicNames.at = &topic;
        req->SubscribedTopicNames.len = 1;
    }
    const struct ShareGroupHeartbeatResponse *res =
        client_call(&member->client, SHARE_HEARTBEAT, 1, req, ANSWER_US);
    arena_fini(&arena);
    note_answer(member, res, false);
    if (epoch <= 0)
        lose_session(member, false);
    if (epoch == -1 || (res != NULL && res->ErrorCode != 0))
        member->epoch = 0;
    else if (res != NULL)
        member->epoch = res->MemberEpoch;
}

/* ---- acknowledgements ---- */

static int8_t choose_type(void)
{
    if (scenario.calm)
        return SHARE_TYPE_ACCEPT;
    return (int8_t)(sim_chance(2, 3)   ? SHARE_TYPE_ACCEPT
                    : sim_chance(1, 2) ? SHARE_TYPE_RELEASE
                                       : SHARE_TYPE_REJECT);
}

static int8_t type_at(const struct spoken *spoken, int64_t offset)
{
    return spoken->types[(offset - spoken->range.first) % spoken->type_count];
}

/* Takes a range out of what was taken, to speak of it. */
static void speak(struct share_member *member, struct spoken *out)
{
    size_t i = sim_below(member->taken_count);
    *out = (struct spoken){.range = member->taken[i], .held = true, .type_count = 1};
    member->taken[i] = member->taken[--member->taken_count];
    if (sim_chance(1, 3))
        out->type_count = (int32_t)sim_between(1, COUNT_OF(out->types));
    for (int32_t k = 0; k < out->type_count; k++)
        out->types[k] = choose_type();
}

static void fill_batch(const struct spoken *spoken, int64_t *first, int64_t *last, const int8_t **types,
                       int32_t *count, struct arena *arena)
{
    int64_t len = spoken->range.last - spoken->range.first + 1;
    int8_t *all = arena_alloc(arena, (size_t)len);
    *first = spoken->range.first;
    *last = spoken->range.last;
    *count = spoken->type_count == 1 ? 1 : (int32_t)len;
    for (int32_t i = 0; i < *count; i++)
        all[i] = type_at(spoken, *first + i);
    *types = all;
}

/* It is about to be sent. */
static void note_spoken(struct share_member *member, struct spoken *spoken)
{
    spoken->failed_us = scenario_failed_us();
    for (int64_t at = spoken->range.first; at <= spoken->range.last; at++)
        spoken->held &= facts_share_holds(member->number, spoken->range.partition, at);
    for (int64_t at = spoken->range.first; at <= spoken->range.last; at++)
        facts_share_acks(member->number, spoken->range.partition, at, type_at(spoken, at));
}

/* H4: it was held until the answer came, whatever is answered later. */
static void take_ack(struct share_member *member, const struct spoken *spoken, int64_t until_us, int code)
{
    const struct taken *range = &spoken->range;
    if (code == 0)
        for (int64_t at = range->first; at <= range->last; at++)
            facts_share_acked(range->partition, at, type_at(spoken, at), range->count);
    else
        sim_note("share-%zu: acknowledgement of %d, %lld to %lld: %d", member->number, range->partition,
                 (long long)range->first, (long long)range->last, code);
    bool refused = code == INVALID_RECORD_STATE || code == INVALID_REQUEST;
    bool held = spoken->held && spoken->failed_us == scenario_failed_us();
    if (refused && held && sim_now_us() < until_us && scenario.cuts == 0)
        sim_fail("share-%zu holds %d, %lld to %lld, and may not acknowledge it: %d", member->number,
                 range->partition, (long long)range->first, (long long)range->last, code);
}

static void acknowledge(struct share_member *member)
{
    struct arena arena = {0};
    struct spoken spoken;
    int64_t sent_us = sim_now_us();
    speak(member, &spoken);
    int64_t until_us = facts_share_held_until(spoken.range.partition, spoken.range.first, spoken.range.last);
    note_spoken(member, &spoken);
    struct ShareAcknowledgeRequest *req = wire_new(&WIRE_ShareAcknowledgeRequest, 1, &arena);
    req->GroupId = STR(GROUP);
    req->MemberId = str_from(member->id);
    req->ShareSessionEpoch = member->session++;
    WIRE_ALLOC(&arena, req->Topics, ShareAcknowledgeRequest_AcknowledgeTopic, 1);
    req->Topics.at[0].TopicId = member->topic;
    WIRE_ALLOC(&arena, req->Topics.at[0].Partitions, ShareAcknowledgeRequest_AcknowledgePartition, 1);
    struct ShareAcknowledgeRequest_AcknowledgePartition *part = req->Topics.at[0].Partitions.at;
    part->PartitionIndex = spoken.range.partition;
    WIRE_ALLOC(&arena, part->AcknowledgementBatches, ShareAcknowledgeRequest_AcknowledgementBatch, 1);
    struct ShareAcknowledgeRequest_AcknowledgementBatch *batch = part->AcknowledgementBatches.at;
    const int8_t *types;
    fill_batch(&spoken, &batch->FirstOffset, &batch->LastOffset, &types, &batch->AcknowledgeTypes.len,
               &arena);
    batch->AcknowledgeTypes.at = (int8_t *)types;
    const struct ShareAcknowledgeResponse *res =
        client_call(&member->client, SHARE_ACKNOWLEDGE, (int16_t)sim_between(1, 2), req, ANSWER_US);
    arena_fini(&arena);
    bool same = res != NULL && member->client.connections == member->connection;
    note_answer(member, res, false);
    if (res != NULL && res->ErrorCode != 0)
        lose_session(member, false);
    else if (same)
        facts_share_alive(member->number, sent_us);
    if (res != NULL && res->ErrorCode == 0 &&
        (res->Responses.len != 1 || res->Responses.at[0].Partitions.len != 1))
        sim_fail("an acknowledgement of one partition is answered with %d topics", res->Responses.len);
    if (res != NULL && res->ErrorCode == 0)
        take_ack(member, &spoken, same ? until_us : 0, res->Responses.at[0].Partitions.at[0].ErrorCode);
}

/* ---- fetches ---- */

/* The records of the answer that are the member's: each offset of the ranges once. */
static void take_records(struct share_member *member, const struct ShareFetchResponse_PartitionData *part,
                         int64_t sent_us, uint64_t server_start)
{
    struct str bytes = part->Records.bytes;
    struct buf plain = {0};
    struct batch batch;
    struct batch_iter it;
    struct record rec;
    struct err err;
    int64_t given = 0, found = 0;
    for (int32_t i = 0; i < part->AcquiredRecords.len; i++)
        given += part->AcquiredRecords.at[i].LastOffset - part->AcquiredRecords.at[i].FirstOffset + 1;
    while (batch_next(&bytes, &batch, &err)) {
        if (!batch_check_crc(&batch, &err) || !batch_iter_init(&it, &batch, &plain, &err))
            sim_fail("share group, %d: batch at %lld: %s", part->PartitionIndex, (long long)batch.base_offset,
                     err.text);
        while (!batch_is_control(&batch) && batch_iter_next(&it, &rec))
            for (int32_t i = 0; i < part->AcquiredRecords.len; i++) {
                const struct ShareFetchResponse_AcquiredRecords *range = &part->AcquiredRecords.at[i];
                if (rec.offset < range->FirstOffset || rec.offset > range->LastOffset)
                    continue;
                facts_seen(TOPIC, part->PartitionIndex, rec.offset, mark_of(&rec));
                facts_share_given(&(struct share_told){member->number, part->PartitionIndex, rec.offset,
                                                       range->DeliveryCount, sent_us, server_start});
                found++;
            }
    }
    buf_fini(&plain);
    if (found != given && !scenario.topics[TOPIC].compacts)
        sim_fail("share group, %d: %lld records are the member's, %lld of them are there",
                 part->PartitionIndex, (long long)given, (long long)found);
    for (int32_t i = 0; i < part->AcquiredRecords.len && member->taken_count < RANGES_MAX; i++) {
        const struct ShareFetchResponse_AcquiredRecords *range = &part->AcquiredRecords.at[i];
        member->taken[member->taken_count++] =
            (struct taken){part->PartitionIndex, range->FirstOffset, range->LastOffset, range->DeliveryCount};
    }
}

static struct ShareFetchRequest *make_fetch(struct share_member *member, struct spoken *spoken, bool speaks,
                                            struct arena *arena)
{
    struct ShareFetchRequest *req = wire_new(&WIRE_ShareFetchRequest, 1, arena);
    int32_t count = scenario.topics[TOPIC].partition_count;
    req->GroupId = STR(GROUP);
    req->MemberId = str_from(member->id);
    req->ShareSessionEpoch = member->session;
    req->MaxWaitMs = (int32_t)sim_below(sim_chance(1, 4) ? 1000 : 20);
    req->MinBytes = sim_chance(1, 4) ? 0 : 1;
    req->MaxBytes = (int32_t)sim_between(1, 100000);
    req->MaxRecords = (int32_t)sim_between(1, 50);
    req->BatchSize = (int32_t)sim_between(1, 50);
    req->ShareAcquireMode = sim_chance(1, 3);
    if (member->session == 0 || speaks) {
        WIRE_ALLOC(arena, req->Topics, ShareFetchRequest_FetchTopic, 1);
        req->Topics.at[0].TopicId = member->topic;
        WIRE_ALLOC(arena, req->Topics.at[0].Partitions, ShareFetchRequest_FetchPartition, count);
    }
    for (int32_t i = 0; i < count && req->Topics.len == 1; i++) {
        struct ShareFetchRequest_FetchPartition *part = &req->Topics.at[0].Partitions.at[i];
        part->PartitionIndex = i;
        if (!speaks || i != spoken->range.partition)
            continue;
        const int8_t *types;
        WIRE_ALLOC(arena, part->AcknowledgementBatches, ShareFetchRequest_AcknowledgementBatch, 1);
        struct ShareFetchRequest_AcknowledgementBatch *batch = part->AcknowledgementBatches.at;
        fill_batch(spoken, &batch->FirstOffset, &batch->LastOffset, &types, &batch->AcknowledgeTypes.len,
                   arena);
        batch->AcknowledgeTypes.at = (int8_t *)types;
    }
    return req;
}

static void fetch(struct share_member *member)
{
    struct arena arena = {0};
    struct spoken spoken = {0};
    bool speaks = member->session > 0 && member->taken_count > 0 && sim_chance(1, 2);
    int64_t sent_us = sim_now_us(), until_us = 0;
    uint64_t server_start = scenario.starts;
    if (speaks) {
        speak(member, &spoken);
        until_us = facts_share_held_until(spoken.range.partition, spoken.range.first, spoken.range.last);
        note_spoken(member, &spoken);
    }
    struct ShareFetchRequest *req = make_fetch(member, &spoken, speaks, &arena);
    if (member->session == 0) /* one that was open may be replaced */
        lose_session(member, false);
    const struct ShareFetchResponse *res =
        client_call(&member->client, SHARE_FETCH, (int16_t)sim_between(1, 2), req, ANSWER_US);
    arena_fini(&arena);
    bool begins = member->session == 0;
    bool same = res != NULL && (begins || member->client.connections == member->connection);
    note_answer(member, res, true);
    if (res == NULL)
        return;
    if (res->ErrorCode != 0) {
        sim_note("share-%zu: fetch: %d", member->number, res->ErrorCode);
        lose_session(member, false);
        return;
    }
    if (!begins && same)
        facts_share_alive(member->number, sent_us);
    member->session = (begins ? 0 : member->session) + 1;
    for (int32_t i = 0; i < res->Responses.len; i++)
        for (int32_t j = 0; j < res->Responses.at[i].Partitions.len; j++) {
            const struct ShareFetchResponse_PartitionData *part = &res->Responses.at[i].Partitions.at[j];
            if (speaks && part->PartitionIndex == spoken.range.partition)
                take_ack(member, &spoken, same ? until_us : 0, part->AcknowledgeErrorCode);
            if (part->ErrorCode == 0)
                take_records(member, part, sent_us, server_start);
        }
}

/* ---- how far the group is ---- */

/* H5; true: all partitions were answered, and nothing is left in any. */
static bool look(struct share_member *member)
{
    struct arena arena = {0};
    int32_t count = scenario.topics[TOPIC].partition_count, *list = arena_alloc(&arena, 8 * sizeof *list);
    int64_t least[8];
    struct DescribeShareGroupOffsetsRequest *req =
        wire_new(&WIRE_DescribeShareGroupOffsetsRequest, 1, &arena);
    WIRE_ALLOC(&arena, req->Groups, DescribeShareGroupOffsetsRequest_DescribeShareGroupOffsetsRequestGroup,
               1);
    req->Groups.at[0].GroupId = STR(GROUP);
    WIRE_ALLOC(&arena, req->Groups.at[0].Topics,
               DescribeShareGroupOffsetsRequest_DescribeShareGroupOffsetsRequestTopic, 1);
    req->Groups.at[0].Topics.at[0].TopicName = str_from(scenario.topics[TOPIC].name);
    req->Groups.at[0].Topics.at[0].Partitions.at = list;
    req->Groups.at[0].Topics.at[0].Partitions.len = count;
    for (int32_t i = 0; i < count; i++) {
        list[i] = i;
        least[i] = facts_share_start(i);
    }
    const struct DescribeShareGroupOffsetsResponse *res =
        client_call(&member->client, DESCRIBE_SHARE_OFFSETS, (int16_t)sim_between(0, 1), req, ANSWER_US);
    arena_fini(&arena);
    note_answer(member, res, false);
    if (res == NULL || res->Groups.len != 1 || res->Groups.at[0].ErrorCode != 0 ||
        res->Groups.at[0].Topics.len != 1)
        return false;
    int64_t starts[8];
    int32_t answered = 0;
    for (int32_t i = 0; i < res->Groups.at[0].Topics.at[0].Partitions.len; i++) {
        const struct DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponsePartition *part =
            &res->Groups.at[0].Topics.at[0].Partitions.at[i];
        if (part->ErrorCode != 0 || part->StartOffset < 0 || part->PartitionIndex >= count)
            continue;
        facts_share_start_answered(part->PartitionIndex, least[part->PartitionIndex], part->StartOffset);
        starts[part->PartitionIndex] = part->StartOffset;
        answered++;
    }
    bool all = answered == count && scenario.calm;
    for (int32_t i = 0; i < count && all; i++) { /* what has gone from the log needs no work */
        int64_t begin = list_offset(&member->client, TOPIC, i, false);
        all = begin >= 0 && list_offset(&member->client, TOPIC, i, true) == MAX(starts[i], begin);
    }
    return all;
}

/* ---- at work ---- */

static void one_step(struct share_member *member)
{
    if (member->epoch == 0) {
        heartbeat(member, 0);
    } else if (member->session > 0 && member->taken_count > 0 && sim_chance(1, 2)) {
        if (!scenario.calm && sim_chance(1, 6))
            member->taken[0] = member->taken[--member->taken_count]; /* forgotten: until its lock ends */
        else
            acknowledge(member);
    } else if (sim_chance(1, 10)) {
        heartbeat(member, member->epoch);
    } else if (!scenario.calm && sim_chance(1, 60)) {
        heartbeat(member, -1);
    } else if (!scenario.calm && sim_chance(1, 60)) {
        client_disconnect(&member->client);
        lose_session(member, false);
    } else if (sim_chance(1, 10)) {
        ignore(look(member), "for what it checks");
    } else {
        fetch(member);
    }
}

static void share_main(void *arg)
{
    struct share_member *member = arg;
    struct topic_seen topic = {.wants_id = true};
    while (!group_is_set || topic_look(&member->client, scenario.topics[TOPIC].name, &topic) != 0) {
        if (member->number == 0 && !group_is_set)
            group_is_set = set_group(&member->client);
        sim_sleep_us(10000);
    }
    member->topic = topic.id;
    member->connection = member->client.connections;
    for (;;) {
        one_step(member);
        bool others = scenario.actors > scenario.sharers;
        if (scenario.calm && !others && member->taken_count == 0 && look(member))
            break;
        sim_sleep_us(scenario.calm || !sim_chance(1, 30) ? sim_between(0, 50000) : sim_between(0, 4000000));
    }
    client_fini(&member->client);
    free(member);
    scenario.sharers--;
    scenario.actors--;
}

void share_spawn(size_t number)
{
    struct share_member *member = mem_new(struct share_member);
    char name[24];
    snprintf(name, sizeof name, "share-%zu", number);
    member->number = number;
    client_init(&member->client, name);
    scenario.actors++;
    scenario.sharers++;
    sim_spawn(name, SIM_CLIENTS, share_main, member);
}
