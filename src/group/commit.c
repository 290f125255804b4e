/* commit.c - OffsetCommit: who may commit for a group, and the records of what was committed.
 *
 *   group             request                            answer
 *   none              generation < 0                     becomes a group that only has offsets
 *   none              generation >= 0                    GROUP_ID_NOT_FOUND; before version 9 ILLEGAL_GENERATION
 *   nobody in it      generation < 0                     taken: a consumer without membership, or an administrator
 *   classic           names a member                     member, instance, generation are checked in this order
 *   classic           names nobody                       UNKNOWN_MEMBER_ID
 *   classic, waiting for the assignment                  REBALANCE_IN_PROGRESS
 *   consumer          names a member                     its epoch, or an older one at which it had all partitions already
 *
 * A commit becomes one record a partition and changes the state when that is applied.
 */
#include "group/streams_int.h"

enum { EPOCH_VERSION = 9 };

typedef struct OffsetCommitRequest_OffsetCommitRequestTopic commit_topic;
typedef struct OffsetCommitRequest_OffsetCommitRequestPartition commit_partition;

/* A commit at work; member: of a consumer group, when it commits at an older epoch than its own. */
struct commit {
    const struct groups *groups;
    const struct group_call *call;
    const struct OffsetCommitRequest *req;
    const struct consumer_member *late;
    struct replay_records *out;
};

static int16_t check_classic(struct group *group, const struct group_call *call)
{
    const struct OffsetCommitRequest *req = call->req;
    int32_t generation = req->GenerationIdOrMemberEpoch;
    if (group->state == GROUP_EMPTY && generation < 0)
        return GROUP_NONE;
    if (generation < 0 && req->MemberId.len == 0 && str_is_null(req->GroupInstanceId))
        return GROUP_UNKNOWN_MEMBER;
    struct member *member = NULL;
    int16_t error = group_check_member(group, req->MemberId, req->GroupInstanceId, generation, &member);
    if (error != GROUP_NONE)
        return error;
    if (group->state == GROUP_COMPLETING)
        return GROUP_REBALANCING;
    member_touch(member, call->now_ms);
    return GROUP_NONE;
}

int16_t consumer_check_commit(const struct consumer_group *consumer, struct str id, int32_t epoch,
                              const struct consumer_member **late)
{
    *late = NULL;
    if (epoch < 0 && consumer->member_count == 0)
        return GROUP_NONE;
    const struct consumer_member *member = consumer_find(consumer, id);
    if (member == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (member->classic != NULL)
        return epoch == member->epoch ? GROUP_NONE : GROUP_ILLEGAL_GENERATION;
    if (epoch < 0 || epoch > member->epoch)
        return GROUP_STALE_EPOCH;
    *late = epoch < member->epoch ? member : NULL;
    return GROUP_NONE;
}

bool consumer_had_already(const struct groups *groups, const struct consumer_member *late, int32_t epoch,
                          struct str topic, struct uuid id, int32_t partition)
{
    struct group_topic found = {.id = id};
    const struct group_topics *topics = groups->options.topics;
    if (late->streams != NULL) {
        if (!streams_active_task(late->group->consumer->streams, topic, &found.id))
            return false;
    } else if (uuid_is_zero(id) && !topics->find(topics->arg, topic, &found)) {
        return false;
    }
    const struct topic_part *part = part_set_find(&late->assigned, found.id, partition);
    if (part == NULL)
        part = part_set_find(&late->revoking, found.id, partition);
    return part != NULL && epoch >= part->epoch;
}

static int16_t check_consumer(struct commit *commit, const struct consumer_group *consumer)
{
    const struct consumer_member *member = consumer_find(consumer, commit->req->MemberId);
    if (member != NULL && member->classic == NULL && commit->call->version < EPOCH_VERSION)
        return GROUP_UNSUPPORTED_VERSION;
    return consumer_check_commit(consumer, commit->req->MemberId, commit->req->GenerationIdOrMemberEpoch,
                                 &commit->late);
}

static int16_t check_group(struct commit *commit)
{
    struct group *group = group_find(commit->groups, commit->req->GroupId);
    if (group_is_share(group))
        return GROUP_NOT_FOUND;
    if (group != NULL)
        return group->consumer != NULL ? check_consumer(commit, group->consumer)
                                       : check_classic(group, commit->call);
    if (commit->req->GenerationIdOrMemberEpoch < 0)
        return GROUP_NONE;
    return commit->call->version >= EPOCH_VERSION ? GROUP_NOT_FOUND : GROUP_ILLEGAL_GENERATION;
}

/* At the older epoch of the request the member had all its partitions already: one that it had not refuses them all. */
static bool had_all(const struct commit *commit)
{
    const struct OffsetCommitRequest *req = commit->req;
    for (int32_t i = 0; i < req->Topics.len; i++)
        for (int32_t j = 0; j < req->Topics.at[i].Partitions.len; j++)
            if (!consumer_had_already(commit->groups, commit->late, req->GenerationIdOrMemberEpoch,
                                      req->Topics.at[i].Name, req->Topics.at[i].TopicId,
                                      req->Topics.at[i].Partitions.at[j].PartitionIndex))
                return false;
    return true;
}

static int16_t commit_one(struct commit *commit, const commit_topic *topic, const commit_partition *part)
{
    const struct group_call *call = commit->call;
    if (call->partition_exists != NULL &&
        !call->partition_exists(call->exists_arg, topic->Name, part->PartitionIndex))
        return GROUP_UNKNOWN_TOPIC;
    if ((int64_t)part->CommittedMetadata.len > commit->groups->options.offset_metadata_bytes_max)
        return GROUP_METADATA_TOO_LARGE;
    struct offset_entry entry = {
        .topic = topic->Name,
        .partition = part->PartitionIndex,
        .offset = part->CommittedOffset,
        .commit_ms = call->now_ms,
        .leader_epoch = part->CommittedLeaderEpoch,
        .metadata = part->CommittedMetadata,
    };
    offset_add_record(commit->req->GroupId, &entry, false, call->now_ms, commit->out);
    return GROUP_NONE;
}

bool group_decide_commit(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct OffsetCommitRequest *req = call->req;
    struct OffsetCommitResponse *res = call->res;
    struct commit commit = {.groups = groups, .call = call, .req = req, .out = out};
    groups->effects = call->effects;
    int16_t error = check_group(&commit);
    if (error == GROUP_NONE && commit.late != NULL && !had_all(&commit))
        error = GROUP_STALE_EPOCH;
    WIRE_ALLOC(call->arena, res->Topics, OffsetCommitResponse_OffsetCommitResponseTopic,
               MAX(req->Topics.len, 0));
    for (int32_t i = 0; i < req->Topics.len; i++) {
        const commit_topic *topic = &req->Topics.at[i];
        struct OffsetCommitResponse_OffsetCommitResponseTopic *row = &res->Topics.at[i];
        row->Name = topic->Name;
        row->TopicId = topic->TopicId;
        WIRE_ALLOC(call->arena, row->Partitions, OffsetCommitResponse_OffsetCommitResponsePartition,
                   MAX(topic->Partitions.len, 0));
        for (int32_t j = 0; j < topic->Partitions.len; j++) {
            row->Partitions.at[j].PartitionIndex = topic->Partitions.at[j].PartitionIndex;
            row->Partitions.at[j].ErrorCode =
                error != GROUP_NONE ? error : commit_one(&commit, topic, &topic->Partitions.at[j]);
        }
    }
    return true;
}
