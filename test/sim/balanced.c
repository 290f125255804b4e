/* balanced.c - a member of a group of the new protocol (KIP-848): the server shares the partitions, members report what they own.
 *
 *   heartbeat (epoch 0) -> assignment -> read, commit, heartbeat with what is owned ...
 *        ^                                  | less is assigned: given up at once, the next heartbeat says so
 *        `---- fenced, unknown, or left <---'
 *
 * (B1) A partition is owned from the answer that assigns it until the answer that does not, until the member leaves or is told
 *      that it is none any more, or until its session may be over (facts_balanced_owns).
 * (B2) A commit that is not answered may still come in: the member leaves and comes back under another id.
 */
#include "clients.h"

enum {
    CONSUMER_HEARTBEAT = 68,
    FENCED_MEMBER_EPOCH = 110,
    TOPIC = 0,
    PARTITIONS_MAX = 8,
    LEAVES = -1,
    ANSWER_US = 20000000,
};

struct balanced {
    struct client client;
    size_t number, lives;
    char id[32];
    int32_t epoch; /* 0: not in the group */
    struct uuid topic_id;
    bool owns[PARTITIONS_MAX];
    int64_t next[PARTITIONS_MAX];
};

static void be_born(struct balanced *member)
{
    facts_balanced_gone(member->id);
    snprintf(member->id, sizeof member->id, "balanced-%zu-%zu", member->number, ++member->lives);
    member->epoch = 0;
    memset(member->owns, 0, sizeof member->owns);
}

static struct ConsumerGroupHeartbeatRequest *make_request(struct balanced *member, int32_t epoch,
                                                          struct arena *arena)
{
    struct ConsumerGroupHeartbeatRequest *req = wire_new(&WIRE_ConsumerGroupHeartbeatRequest, 1, arena);
    struct str *topic = arena_new(arena, struct str);
    req->GroupId = STR(BALANCED_GROUP);
    req->MemberId = str_from(member->id);
    req->MemberEpoch = epoch;
    req->RebalanceTimeoutMs = 300000;
    *topic = str_from(scenario.topics[TOPIC].name);
    req->SubscribedTopicNames.at = topic;
    req->SubscribedTopicNames.len = 1;
    int32_t *list = arena_alloc(arena, PARTITIONS_MAX * sizeof *list), count = 0;
    for (int32_t i = 0; i < PARTITIONS_MAX && epoch > 0; i++)
        if (member->owns[i])
            list[count++] = i;
    WIRE_ALLOC(arena, req->TopicPartitions, ConsumerGroupHeartbeatRequest_TopicPartitions, count > 0);
    if (count > 0) {
        req->TopicPartitions.at[0].TopicId = member->topic_id;
        req->TopicPartitions.at[0].Partitions.at = list;
        req->TopicPartitions.at[0].Partitions.len = count;
    }
    return req;
}

/* Where the group is in a partition that was just assigned; false: not known. */
static bool find_offset(struct balanced *member, int32_t partition)
{
    int64_t offset = -1, least = facts_committed(BALANCED_INDEX, partition);
    if (group_offset(&member->client, STR(BALANCED_GROUP), partition, &offset) != 0)
        return false;
    facts_committed_answered(BALANCED_INDEX, partition, least, offset);
    member->next[partition] = MAX(offset, 0);
    return true;
}

static void take_assignment(struct balanced *member,
                            const struct ConsumerGroupHeartbeatResponse_Assignment *given)
{
    bool wanted[PARTITIONS_MAX] = {0};
    for (int32_t i = 0; i < given->TopicPartitions.len; i++) {
        member->topic_id = given->TopicPartitions.at[i].TopicId;
        for (int32_t j = 0; j < given->TopicPartitions.at[i].Partitions.len; j++) {
            int32_t partition = given->TopicPartitions.at[i].Partitions.at[j];
            if (partition < 0 || partition >= scenario.topics[TOPIC].partition_count)
                sim_fail("%s is assigned partition %d", member->id, partition);
            wanted[partition] = true;
        }
    }
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        if (wanted[i] && !member->owns[i])
            facts_balanced_owns(i, member->id);
        if (!wanted[i] && member->owns[i])
            facts_balanced_released(i, member->id);
        if (wanted[i] != member->owns[i])
            sim_note("%s %s partition %d", member->id, wanted[i] ? "owns" : "gives up", i);
        member->next[i] = wanted[i] && member->owns[i] ? member->next[i] : -1;
        member->owns[i] = wanted[i];
    }
}

static void heartbeat(struct balanced *member)
{
    struct arena arena = {0};
    int64_t sent_us = sim_now_us();
    const struct ConsumerGroupHeartbeatResponse *res =
        client_call(&member->client, CONSUMER_HEARTBEAT, 1, make_request(member, member->epoch, &arena),
                    ANSWER_US);
    arena_fini(&arena);
    if (res == NULL)
        return;
    if (res->ErrorCode == KAFKA_UNKNOWN_MEMBER_ID || res->ErrorCode == FENCED_MEMBER_EPOCH)
        be_born(member);
    if (res->ErrorCode != 0) {
        sim_note("%s: heartbeat: %d", member->id, res->ErrorCode);
        return;
    }
    member->epoch = res->MemberEpoch;
    facts_balanced_contact(member->id, sent_us);
    if (res->Assignment != NULL)
        take_assignment(member, res->Assignment);
}

static void leave(struct balanced *member)
{
    struct arena arena = {0};
    facts_balanced_gone(member->id); /* from the moment it says so */
    ignore(client_call(&member->client, CONSUMER_HEARTBEAT, 1, make_request(member, LEAVES, &arena),
                       ANSWER_US) == NULL,
           "its session ends all the same");
    arena_fini(&arena);
    be_born(member);
}

static void commit(struct balanced *member, int32_t partition)
{
    int64_t offset = member->next[partition];
    int code = group_commit(&member->client, 9,
                            &(struct group_position){STR(BALANCED_GROUP), member->id, member->epoch,
                                                     partition, offset});
    if (code == 0)
        facts_commit_acked(BALANCED_INDEX, partition, offset);
    else
        sim_note("%s: commit: %d", member->id, code);
    if (code == -1) /* B2 */
        leave(member);
}

static void tell_seen(uint16_t topic, int32_t partition, const struct record *rec)
{
    facts_seen(topic, partition, rec->offset, mark_of(rec));
}

static void read_some(struct balanced *member)
{
    int32_t partition = (int32_t)sim_below((uint64_t)scenario.topics[TOPIC].partition_count);
    struct fetched got;
    if (!member->owns[partition] || (member->next[partition] < 0 && !find_offset(member, partition)))
        return;
    int64_t before = member->next[partition];
    int code = fetch_once(&member->client, TOPIC, partition, before, 0, tell_seen, &got);
    if (code == KAFKA_OFFSET_OUT_OF_RANGE)
        ignore(!offset_reset(&member->client, TOPIC, partition, &member->next[partition]),
               "it is tried again");
    if (code != 0)
        return;
    member->next[partition] = got.next_offset;
    if (got.next_offset > before)
        commit(member, partition);
}

static void balanced_main(void *arg)
{
    struct balanced *member = arg;
    be_born(member);
    while (!scenario.calm) {
        if (member->epoch == 0 || sim_chance(1, 3))
            heartbeat(member);
        else
            read_some(member);
        if (sim_chance(1, 60))
            leave(member);
        sim_sleep_us(sim_chance(1, 60) ? 60000000
                                       : sim_between(0, 300000)); /* now and then beyond its session */
    }
    client_fini(&member->client);
    free(member);
    scenario.actors--;
}

void balanced_spawn(size_t number)
{
    struct balanced *member = mem_new(struct balanced);
    char name[32];
    snprintf(name, sizeof name, "balanced-%zu", number);
    client_init(&member->client, name);
    member->number = number;
    scenario.actors++;
    sim_spawn(name, SIM_CLIENTS, balanced_main, member);
}
