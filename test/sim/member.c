/* member.c - a member of a consumer group: joins, shares the partitions of the first topic, reads, commits, goes.
 *
 *   join -> (leader: assign) -> sync -> committed offsets -> fetch, commit, heartbeat ... -> rebalance: join again
 *                                                                                      `-> leaves, or is silent too long
 *
 * (M1) It reads on from what is committed and commits what it has read, in the generation it was assigned in. So a commit that
 *      was acknowledged is never followed by an older one.
 * (M2) When a commit is not answered, it may still come in. The member then joins under a new id: the next assignment has another
 *      generation, in which the late commit is refused.
 * (M3) Now and then it commits in a generation that is over, as one does that has slept through a rebalance: that is refused.
 * (M4) What a sync gives a member must be what the leader of that generation sent for it (facts_assigned), and no partition
 *      has two owners in one generation.
 */
#include "clients.h"

enum {
    OFFSET_COMMIT = 8,
    OFFSET_FETCH = 9,
    JOIN_GROUP = 11,
    HEARTBEAT = 12,
    LEAVE_GROUP = 13,
    SYNC_GROUP = 14,
    TOPIC = 0, /* the one that groups read */
    ANSWER_US = 30000000,
};

struct member {
    struct client client;
    uint16_t group;
    struct str group_id;
    char group_name[16];
    char id[80]; /* empty: none yet */
    int32_t generation, rebalance_ms;
    bool leads;
    struct buf assignment; /* partition numbers, a byte each */
    int64_t next[8], committed[8];
};

static const struct JoinGroupResponse *join(struct member *member, struct arena *arena)
{
    struct JoinGroupRequest *req = wire_new(&WIRE_JoinGroupRequest, 1, arena);
    req->GroupId = member->group_id;
    req->SessionTimeoutMs = 6000;
    req->RebalanceTimeoutMs = member->rebalance_ms = (int32_t)sim_between(1, 5) * 1000;
    req->MemberId = str_from(member->id);
    req->GroupInstanceId = STR_NULL;
    req->ProtocolType = STR("consumer");
    WIRE_ALLOC(arena, req->Protocols, JoinGroupRequest_JoinGroupRequestProtocol, 1);
    req->Protocols.at[0].Name = STR("range");
    req->Protocols.at[0].Metadata = STR("what a member says of itself is not read by the server");
    return client_call(&member->client, JOIN_GROUP, (int16_t)sim_between(0, 9), req, ANSWER_US);
}

/* The leader's work: partition i goes to the (i mod n)-th member. */
static void assign(struct member *member, const struct JoinGroupResponse *joined,
                   struct SyncGroupRequest *req, struct arena *arena)
{
    int32_t count = joined->Members.len, partitions = scenario.topics[TOPIC].partition_count;
    WIRE_ALLOC(arena, req->Assignments, SyncGroupRequest_SyncGroupRequestAssignment, count);
    for (int32_t i = 0; i < count; i++) {
        char *bytes = arena_alloc(arena, (size_t)partitions + 1);
        size_t len = 0;
        for (int32_t p = i; p < partitions; p += count)
            bytes[len++] = (char)p;
        struct SyncGroupRequest_SyncGroupRequestAssignment *to = &req->Assignments.at[i];
        to->MemberId = str_dup(joined->Members.at[i].MemberId, arena);
        to->Assignment = str_of(bytes, len);
        facts_assigned(member->group, member->generation, to->MemberId, to->Assignment);
    }
}

static void forget_id(struct member *member)
{
    facts_contact(member->group, str_from(member->id), false);
    member->id[0] = '\0';
}

/* True: the member is in a generation and has its assignment. */
static bool take_assignment(struct member *member, const struct JoinGroupResponse *joined,
                            struct arena *arena)
{
    struct SyncGroupRequest *req = wire_new(&WIRE_SyncGroupRequest, 1, arena);
    req->GroupId = member->group_id;
    req->GenerationId = member->generation;
    req->MemberId = str_from(member->id);
    req->GroupInstanceId = STR_NULL;
    req->ProtocolType = STR("consumer");
    req->ProtocolName = STR("range");
    if (member->leads)
        assign(member, joined, req, arena);
    const struct SyncGroupResponse *res =
        client_call(&member->client, SYNC_GROUP, (int16_t)sim_between(0, 5), req, ANSWER_US);
    if (res == NULL || res->ErrorCode != 0) {
        if (res != NULL && res->ErrorCode == KAFKA_UNKNOWN_MEMBER_ID)
            forget_id(member);
        return false;
    }
    facts_owns(member->group, member->generation, str_from(member->id), res->Assignment,
               member->rebalance_ms);
    buf_clear(&member->assignment);
    buf_append_str(&member->assignment, res->Assignment);
    sim_note("%s generation %d: %zu partitions", member->group_name, member->generation, res->Assignment.len);
    return true;
}

static bool enter(struct member *member)
{
    struct arena arena = {0};
    bool good = false;
    facts_contact(member->group, str_from(member->id), false); /* who joins anew gives up what it has */
    const struct JoinGroupResponse *res = join(member, &arena);
    if (res != NULL && (res->ErrorCode == 0 || res->ErrorCode == KAFKA_MEMBER_ID_REQUIRED)) {
        if (res->MemberId.len == 0 || res->MemberId.len >= sizeof member->id)
            sim_fail("a member is given an id of %zu bytes", res->MemberId.len);
        snprintf(member->id, sizeof member->id, "%.*s", STR_ARG(res->MemberId));
    }
    if (res != NULL && res->ErrorCode == KAFKA_UNKNOWN_MEMBER_ID)
        forget_id(member);
    if (res != NULL && res->ErrorCode == 0) {
        member->generation = res->GenerationId;
        member->leads = str_eq(res->Leader, res->MemberId);
        good = take_assignment(member, res, &arena);
    }
    sim_note("%s: join as %s: %d, generation %d%s", member->group_name, member->id,
             res == NULL ? -1 : res->ErrorCode, member->generation, good ? "" : ", no assignment");
    arena_fini(&arena);
    return good;
}

/* ---- offsets ---- */

int group_offset(struct client *client, struct str group, int32_t partition, int64_t *offset)
{
    struct arena arena = {0};
    struct OffsetFetchRequest *req = wire_new(&WIRE_OffsetFetchRequest, 1, &arena);
    req->GroupId = group;
    WIRE_ALLOC(&arena, req->Topics, OffsetFetchRequest_OffsetFetchRequestTopic, 1);
    req->Topics.at[0].Name = str_from(scenario.topics[TOPIC].name);
    req->Topics.at[0].PartitionIndexes.at = &partition;
    req->Topics.at[0].PartitionIndexes.len = 1;
    const struct OffsetFetchResponse *res =
        client_call(client, OFFSET_FETCH, (int16_t)sim_between(1, 7), req, ANSWER_US);
    arena_fini(&arena);
    if (res == NULL || res->ErrorCode != 0)
        return res == NULL ? -1 : res->ErrorCode;
    if (res->Topics.len != 1 || res->Topics.at[0].Partitions.len != 1)
        sim_fail("an offset fetch of one partition is answered with %d topics", res->Topics.len);
    *offset = res->Topics.at[0].Partitions.at[0].CommittedOffset;
    return res->Topics.at[0].Partitions.at[0].ErrorCode;
}

static bool find_offsets(struct member *member)
{
    for (size_t i = 0; i < member->assignment.len; i++) {
        int32_t partition = member->assignment.ptr[i];
        int64_t offset = -1, least = facts_committed(member->group, partition);
        if (group_offset(&member->client, member->group_id, partition, &offset) != 0)
            return false;
        facts_committed_answered(member->group, partition, least, offset);
        member->next[partition] = member->committed[partition] = MAX(offset, 0);
    }
    return true;
}

int group_commit(struct client *client, int16_t version, const struct group_position *at)
{
    struct arena arena = {0};
    struct OffsetCommitRequest *req = wire_new(&WIRE_OffsetCommitRequest, 1, &arena);
    req->GroupId = at->group;
    req->GenerationIdOrMemberEpoch = at->generation;
    req->MemberId = str_from(at->member);
    req->GroupInstanceId = STR_NULL;
    req->RetentionTimeMs = -1;
    WIRE_ALLOC(&arena, req->Topics, OffsetCommitRequest_OffsetCommitRequestTopic, 1);
    req->Topics.at[0].Name = str_from(scenario.topics[TOPIC].name);
    WIRE_ALLOC(&arena, req->Topics.at[0].Partitions, OffsetCommitRequest_OffsetCommitRequestPartition, 1);
    req->Topics.at[0].Partitions.at[0].PartitionIndex = at->partition;
    req->Topics.at[0].Partitions.at[0].CommittedOffset = at->offset;
    req->Topics.at[0].Partitions.at[0].CommittedLeaderEpoch = -1;
    const struct OffsetCommitResponse *res = client_call(client, OFFSET_COMMIT, version, req, ANSWER_US);
    arena_fini(&arena);
    return res == NULL ? NO_ANSWER : res->Topics.at[0].Partitions.at[0].ErrorCode;
}

static int send_commit(struct member *member, int32_t partition, int32_t generation, int64_t offset)
{
    struct group_position at = {member->group_id, member->id, generation, partition, offset};
    return group_commit(&member->client, (int16_t)sim_between(2, 9), &at);
}

/* M3 */
static bool commit_late(struct member *member, int32_t partition)
{
    int code = send_commit(member, partition, member->generation - 1, 0);
    if (code == 0)
        sim_fail("%s, generation %d: a commit of the one before is taken", member->group_name,
                 member->generation);
    return code == KAFKA_ILLEGAL_GENERATION;
}

static bool commit(struct member *member, int32_t partition)
{
    int code = send_commit(member, partition, member->generation, member->next[partition]);
    if (code == NO_ANSWER) { /* M2 */
        forget_id(member);
        return false;
    }
    if (code == 0) {
        facts_commit_acked(member->group, partition, member->next[partition]);
        member->committed[partition] = member->next[partition];
        sim_note("%s committed %d: %lld", member->group_name, partition, (long long)member->next[partition]);
    } else if (code == KAFKA_UNKNOWN_MEMBER_ID) {
        forget_id(member);
    }
    return code == 0 || code == KAFKA_REBALANCE_IN_PROGRESS;
}

/* ---- at work ---- */

static bool heartbeat(struct member *member)
{
    struct arena arena = {0};
    struct HeartbeatRequest *req = wire_new(&WIRE_HeartbeatRequest, 1, &arena);
    req->GroupId = member->group_id;
    req->GenerationId = member->generation;
    req->MemberId = str_from(member->id);
    req->GroupInstanceId = STR_NULL;
    const struct HeartbeatResponse *res =
        client_call(&member->client, HEARTBEAT, (int16_t)sim_between(0, 4), req, ANSWER_US);
    arena_fini(&arena);
    if (res != NULL && res->ErrorCode == KAFKA_UNKNOWN_MEMBER_ID)
        forget_id(member);
    if (res == NULL || res->ErrorCode != 0)
        return false;
    facts_contact(member->group, str_from(member->id), true);
    return true;
}

static void leave(struct member *member)
{
    struct arena arena = {0};
    struct LeaveGroupRequest *req = wire_new(&WIRE_LeaveGroupRequest, 1, &arena);
    req->GroupId = member->group_id;
    req->MemberId = str_from(member->id);
    facts_contact(member->group, req->MemberId, false); /* from the moment it says so */
    ignore(client_call(&member->client, LEAVE_GROUP, (int16_t)sim_between(0, 2), req, ANSWER_US) == NULL,
           "its session ends all the same");
    arena_fini(&arena);
    forget_id(member);
}

static void tell_seen(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen(topic, partition, rec->offset, mark_of(rec));
}

static bool read_some(struct member *member)
{
    struct fetched got;
    if (member->assignment.len == 0) {
        sim_sleep_us(100000);
        return true;
    }
    int32_t partition = member->assignment.ptr[sim_below(member->assignment.len)];
    if (member->generation > 1 && sim_chance(1, 50))
        return commit_late(member, partition);
    int code = fetch_once(&member->client, TOPIC, partition, member->next[partition], 0, tell_seen, &got);
    if (code == 0)
        member->next[partition] = got.next_offset;
    if (code == KAFKA_OFFSET_OUT_OF_RANGE)
        return offset_reset(&member->client, TOPIC, partition, &member->next[partition]);
    if (member->next[partition] > member->committed[partition] && sim_chance(1, 2))
        return commit(member, partition);
    return code == 0;
}

static void work(struct member *member)
{
    if (!find_offsets(member))
        return;
    while (!scenario.calm) {
        bool good = sim_chance(1, 4) ? heartbeat(member) : read_some(member);
        if (!good)
            return;
        if (sim_chance(1, 100)) {
            leave(member);
            return;
        }
        sim_sleep_us(sim_chance(1, 100) ? 8000000
                                        : sim_between(0, 300000)); /* now and then beyond its session */
    }
}

static void member_main(void *arg)
{
    struct member *member = arg;
    while (!scenario.calm) {
        if (enter(member))
            work(member);
        sim_sleep_us(sim_between(1, 100000));
    }
    client_fini(&member->client);
    buf_fini(&member->assignment);
    free(member);
    scenario.actors--;
}

void member_spawn(size_t number, uint16_t group)
{
    struct member *member = mem_new(struct member);
    char name[32];
    snprintf(name, sizeof name, "member-%zu", number);
    client_init(&member->client, name);
    member->group = group;
    snprintf(member->group_name, sizeof member->group_name, "group-%u", group);
    member->group_id = str_from(member->group_name);
    scenario.actors++;
    sim_spawn(name, SIM_CLIENTS, member_main, member);
}

static void check_offsets(struct client *client, uint16_t group)
{
    for (int32_t partition = 0; partition < scenario.topics[TOPIC].partition_count; partition++) {
        char name[32];
        int64_t offset = -1, least = facts_committed(group, partition);
        snprintf(name, sizeof name, "group-%u", group);
        for (int tries = 0; group_offset(client, str_from(name), partition, &offset) != 0; tries++) {
            if (tries == 100)
                sim_fail("the offsets of %s cannot be read", name);
            sim_sleep_us(10000);
        }
        facts_committed_answered(group, partition, least, offset);
    }
}

void groups_check_all(struct client *client)
{
    for (uint16_t group = 0; group < scenario.group_count; group++)
        check_offsets(client, group);
    if (scenario.balanced)
        check_offsets(client, BALANCED_INDEX);
}
