/* kafka_share.c - share groups (KIP-932) for the commands about groups: members, offsets, in the shape of other groups.
 *
 * The calls about consumers answer "no such group" for one; then these are tried.
 */
#include "cli/kafka_int.h"

enum { SHARE_GROUP_DESCRIBE = 77, DESCRIBE_SHARE_GROUP_OFFSETS = 90, ALTER_SHARE_GROUP_OFFSETS = 91 };

bool kafka_share_describe(struct kafka *kafka, int32_t node_id, struct str name,
                          struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena)
{
    struct ShareGroupDescribeRequest req;
    struct ShareGroupDescribeResponse res;
    wire_init(&WIRE_ShareGroupDescribeRequest, &req);
    req.GroupIds.at = &name;
    req.GroupIds.len = 1;
    if (!kafka_call(kafka, node_id, SHARE_GROUP_DESCRIBE, &req, &res, 0, arena, NULL) ||
        res.Groups.len != 1 || res.Groups.at[0].ErrorCode != 0)
        return false;
    const struct ShareGroupDescribeResponse_DescribedGroup *group = &res.Groups.at[0];
    out->ErrorCode = 0;
    out->GroupState = group->GroupState;
    out->ProtocolType = STR("share");
    WIRE_ALLOC(arena, out->Members, DescribeGroupsResponse_DescribedGroupMember, group->Members.len);
    for (int32_t i = 0; i < group->Members.len; i++) {
        out->Members.at[i].MemberId = group->Members.at[i].MemberId;
        out->Members.at[i].ClientId = group->Members.at[i].ClientId;
        out->Members.at[i].ClientHost = group->Members.at[i].ClientHost;
    }
    return true;
}

bool kafka_share_offsets(struct kafka *kafka, int32_t node_id, struct str name,
                         struct kafka_committed **offsets, size_t *count, struct arena *arena)
{
    struct DescribeShareGroupOffsetsRequest req;
    struct DescribeShareGroupOffsetsResponse res;
    vec(struct kafka_committed) found = {0};
    wire_init(&WIRE_DescribeShareGroupOffsetsRequest, &req);
    WIRE_ALLOC(arena, req.Groups, DescribeShareGroupOffsetsRequest_DescribeShareGroupOffsetsRequestGroup, 1);
    req.Groups.at[0].GroupId = name;
    req.Groups.at[0].Topics.len = -1;
    if (!kafka_call(kafka, node_id, DESCRIBE_SHARE_GROUP_OFFSETS, &req, &res, 0, arena, NULL) ||
        res.Groups.len != 1 || res.Groups.at[0].ErrorCode != 0)
        return false;
    for (int32_t t = 0; t < res.Groups.at[0].Topics.len; t++) {
        const struct DescribeShareGroupOffsetsResponse_DescribeShareGroupOffsetsResponseTopic *topic =
            &res.Groups.at[0].Topics.at[t];
        for (int32_t i = 0; i < topic->Partitions.len; i++)
            if (topic->Partitions.at[i].ErrorCode == 0 && topic->Partitions.at[i].StartOffset >= 0)
                vec_push(&found,
                         (struct kafka_committed){topic->TopicName, topic->Partitions.at[i].PartitionIndex,
                                                  topic->Partitions.at[i].StartOffset,
                                                  topic->Partitions.at[i].Lag >= 0,
                                                  topic->Partitions.at[i].Lag});
    }
    *offsets = arena_dup(arena, found.at, found.len * sizeof *found.at);
    *count = found.len;
    vec_fini(&found);
    return true;
}

bool kafka_share_set_offsets(struct kafka *kafka, int32_t node_id, struct str name,
                             const struct kafka_committed *offsets, size_t count, struct err *err)
{
    struct arena arena = {0};
    struct AlterShareGroupOffsetsRequest req;
    struct AlterShareGroupOffsetsResponse res;
    wire_init(&WIRE_AlterShareGroupOffsetsRequest, &req);
    req.GroupId = name;
    WIRE_ALLOC(&arena, req.Topics, AlterShareGroupOffsetsRequest_AlterShareGroupOffsetsRequestTopic, count);
    for (size_t i = 0; i < count; i++) {
        req.Topics.at[i].TopicName = offsets[i].topic;
        WIRE_ALLOC(&arena, req.Topics.at[i].Partitions,
                   AlterShareGroupOffsetsRequest_AlterShareGroupOffsetsRequestPartition, 1);
        req.Topics.at[i].Partitions.at[0].PartitionIndex = offsets[i].partition;
        req.Topics.at[i].Partitions.at[0].StartOffset = offsets[i].offset;
    }
    bool ok = kafka_call(kafka, node_id, ALTER_SHARE_GROUP_OFFSETS, &req, &res, 0, &arena, err) &&
              kafka_check(res.ErrorCode, res.ErrorMessage, err, "group '%.*s'", STR_ARG(name));
    for (int32_t i = 0; ok && i < res.Responses.len; i++)
        for (int32_t k = 0; ok && k < res.Responses.at[i].Partitions.len; k++)
            ok = kafka_check(res.Responses.at[i].Partitions.at[k].ErrorCode,
                             res.Responses.at[i].Partitions.at[k].ErrorMessage, err,
                             "offset of group '%.*s' in %.*s-%d", STR_ARG(name),
                             STR_ARG(res.Responses.at[i].TopicName),
                             res.Responses.at[i].Partitions.at[k].PartitionIndex);
    arena_fini(&arena);
    return ok;
}
