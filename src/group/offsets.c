/* offsets.c - OffsetFetch: committed offsets as clients ask for them.
 *
 * Requests of old and new versions are answered by one function over the shape of version 8, into which older requests are
 * brought first.
 */
#include "group/consumer_int.h"

enum { GROUPS_VERSION = 8 };

typedef struct OffsetFetchRequest_OffsetFetchRequestGroup fetch_group;
typedef struct OffsetFetchRequest_OffsetFetchRequestTopics fetch_topic;
typedef struct OffsetFetchResponse_OffsetFetchResponseGroup fetched_group;
typedef struct OffsetFetchResponse_OffsetFetchResponseTopics fetched_topic;
typedef struct OffsetFetchResponse_OffsetFetchResponsePartitions fetched_partition;

static void fill_partition(const struct group *group, struct str topic, int32_t partition, bool stable,
                           struct arena *arena, fetched_partition *out)
{
    struct buf buf = {0};
    const struct offset_entry *entry =
        group ? map_get(&group->offsets, offset_key(&buf, topic, partition)) : NULL;
    buf_fini(&buf);
    *out =
        (fetched_partition){.PartitionIndex = partition, .CommittedOffset = -1, .CommittedLeaderEpoch = -1};
    out->Metadata = STR("");
    if (stable && pending_has(group, topic, partition))
        out->ErrorCode = GROUP_UNSTABLE_OFFSET;
    if (entry == NULL || out->ErrorCode != GROUP_NONE)
        return;
    out->CommittedOffset = entry->offset;
    out->CommittedLeaderEpoch = entry->leader_epoch;
    out->Metadata = str_is_null(entry->metadata) ? STR("") : str_dup(entry->metadata, arena);
}

static void fetch_asked(const struct group *group, const fetch_group *req, bool stable, struct arena *arena,
                        fetched_group *out)
{
    WIRE_ALLOC(arena, out->Topics, OffsetFetchResponse_OffsetFetchResponseTopics, req->Topics.len);
    for (int32_t i = 0; i < req->Topics.len; i++) {
        const fetch_topic *topic = &req->Topics.at[i];
        fetched_topic *row = &out->Topics.at[i];
        row->Name = topic->Name;
        row->TopicId = topic->TopicId;
        WIRE_ALLOC(arena, row->Partitions, OffsetFetchResponse_OffsetFetchResponsePartitions,
                   MAX(topic->PartitionIndexes.len, 0));
        for (int32_t j = 0; j < topic->PartitionIndexes.len; j++)
            fill_partition(group, topic->Name, topic->PartitionIndexes.at[j], stable, arena,
                           &row->Partitions.at[j]);
    }
}

/* All committed offsets: counted by topic first, then filled. */
static void fetch_all(const struct group *group, bool stable, struct arena *arena, fetched_group *out)
{
    struct map rows = {0}; /* topic -> index + 1 */
    void *entry_ptr;
    WIRE_ALLOC(arena, out->Topics, OffsetFetchResponse_OffsetFetchResponseTopics, group->offsets.len);
    out->Topics.len = 0;
    int32_t *counts = arena_array(arena, int32_t, group->offsets.len + 1);
    for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry_ptr);) {
        const struct offset_entry *entry = entry_ptr;
        size_t row = (size_t)(uintptr_t)map_get(&rows, entry->topic);
        if (row == 0) {
            row = (size_t)++out->Topics.len;
            out->Topics.at[row - 1].Name = str_dup(entry->topic, arena);
            map_put(&rows, entry->topic, (void *)(uintptr_t)row);
        }
        counts[row - 1]++;
    }
    for (int32_t i = 0; i < out->Topics.len; i++) {
        WIRE_ALLOC(arena, out->Topics.at[i].Partitions, OffsetFetchResponse_OffsetFetchResponsePartitions,
                   counts[i]);
        out->Topics.at[i].Partitions.len = 0;
    }
    for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry_ptr);) {
        const struct offset_entry *entry = entry_ptr;
        fetched_topic *row = &out->Topics.at[(size_t)(uintptr_t)map_get(&rows, entry->topic) - 1];
        fill_partition(group, entry->topic, entry->partition, stable, arena,
                       &row->Partitions.at[row->Partitions.len++]);
    }
    map_fini(&rows);
}

/* Version 9 and later may name the member that asks; in a consumer group it must be one, with this epoch. Classic groups
 * are not asked, as in Apache Kafka. */
static int16_t check_fetch(const struct group *group, const fetch_group *req)
{
    if (group == NULL || group->consumer == NULL || group_is_share(group) ||
        (str_is_null(req->MemberId) && req->MemberEpoch < 0))
        return GROUP_NONE;
    const struct consumer_member *member = consumer_find(group->consumer, req->MemberId);
    if (member == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (req->MemberEpoch == member->epoch)
        return GROUP_NONE;
    return member->classic != NULL ? GROUP_ILLEGAL_GENERATION : GROUP_STALE_EPOCH;
}

static void fetch_one(const struct groups *groups, const fetch_group *req, bool stable, struct arena *arena,
                      fetched_group *out)
{
    const struct group *group = group_find(groups, req->GroupId);
    out->GroupId = req->GroupId;
    out->ErrorCode = check_fetch(group, req);
    if (out->ErrorCode != GROUP_NONE)
        return;
    if (req->Topics.len >= 0)
        fetch_asked(group, req, stable, arena, out);
    else if (group != NULL)
        fetch_all(group, stable, arena, out);
}

/* Brings a request of versions 1 to 7 into the shape of version 8. */
static void from_old(const struct OffsetFetchRequest *req, struct arena *arena, fetch_group *out)
{
    wire_init(&WIRE_OffsetFetchRequest_OffsetFetchRequestGroup, out);
    out->GroupId = req->GroupId;
    out->Topics.len = -1;
    if (req->Topics.len < 0)
        return;
    WIRE_ALLOC(arena, out->Topics, OffsetFetchRequest_OffsetFetchRequestTopics, req->Topics.len);
    for (int32_t i = 0; i < req->Topics.len; i++) {
        out->Topics.at[i].Name = req->Topics.at[i].Name;
        out->Topics.at[i].PartitionIndexes.at = req->Topics.at[i].PartitionIndexes.at;
        out->Topics.at[i].PartitionIndexes.len = req->Topics.at[i].PartitionIndexes.len;
    }
}

static void to_old(const fetched_group *group, struct arena *arena, struct OffsetFetchResponse *res)
{
    res->ErrorCode = group->ErrorCode;
    WIRE_ALLOC(arena, res->Topics, OffsetFetchResponse_OffsetFetchResponseTopic, group->Topics.len);
    for (int32_t i = 0; i < group->Topics.len; i++) {
        const fetched_topic *from = &group->Topics.at[i];
        struct OffsetFetchResponse_OffsetFetchResponseTopic *to = &res->Topics.at[i];
        to->Name = from->Name;
        WIRE_ALLOC(arena, to->Partitions, OffsetFetchResponse_OffsetFetchResponsePartition,
                   from->Partitions.len);
        for (int32_t j = 0; j < from->Partitions.len; j++) {
            const fetched_partition *part = &from->Partitions.at[j];
            to->Partitions.at[j] = (struct OffsetFetchResponse_OffsetFetchResponsePartition){
                .PartitionIndex = part->PartitionIndex,
                .CommittedOffset = part->CommittedOffset,
                .CommittedLeaderEpoch = part->CommittedLeaderEpoch,
                .Metadata = part->Metadata,
                .ErrorCode = part->ErrorCode,
            };
        }
    }
}

void group_fetch(struct groups *groups, struct group_call *call)
{
    const struct OffsetFetchRequest *req = call->req;
    struct OffsetFetchResponse *res = call->res;
    if (call->version < GROUPS_VERSION) {
        fetch_group one;
        fetched_group fetched;
        wire_init(&WIRE_OffsetFetchResponse_OffsetFetchResponseGroup, &fetched);
        from_old(req, call->arena, &one);
        fetch_one(groups, &one, req->RequireStable, call->arena, &fetched);
        to_old(&fetched, call->arena, res);
        return;
    }
    WIRE_ALLOC(call->arena, res->Groups, OffsetFetchResponse_OffsetFetchResponseGroup,
               MAX(req->Groups.len, 0));
    for (int32_t i = 0; i < req->Groups.len; i++)
        fetch_one(groups, &req->Groups.at[i], req->RequireStable, call->arena, &res->Groups.at[i]);
}
