/* api_groups_hide.c - what may not be seen of groups is taken out of answers that are made already: OffsetFetch, DescribeGroups,
 * ListGroups, and the describing of consumer, share and streams groups.
 *
 * The group state knows nothing of rights, nor of protocols that are off; it answers as to somebody who may all. What was asked
 * for by name shows its error, what is part of a list of all is left out, as in Kafka.
 */
#include "broker/broker_int.h"

enum { UNSUPPORTED_VERSION = 35 };

typedef struct OffsetFetchResponse_OffsetFetchResponseTopics fetched_topic;
typedef struct OffsetFetchResponse_OffsetFetchResponseTopic old_fetched_topic;

/* A topic that was named shows its error; one of a list of all is left out. False: it goes. */
static bool keep_fetched(struct request *req, fetched_topic *topic, bool named)
{
    int16_t denied = str_is_null(topic->Name) ? 0 : request_denied(req, ACL_TOPIC, ACL_DESCRIBE, topic->Name);
    for (int32_t i = 0; denied != 0 && i < topic->Partitions.len; i++) {
        struct OffsetFetchResponse_OffsetFetchResponsePartitions *part = &topic->Partitions.at[i];
        part->CommittedOffset = part->CommittedLeaderEpoch = -1;
        part->Metadata = STR("");
        part->ErrorCode = denied;
    }
    return denied == 0 || named;
}

/* Versions before 8 ask for one group. */
static void hide_fetched_old(struct request *req)
{
    enum { GROUP_CODE_VERSION = 2 };
    const struct OffsetFetchRequest *body = req->body;
    struct OffsetFetchResponse *res = req->res;
    int16_t group = request_denied(req, ACL_GROUP, ACL_DESCRIBE, body->GroupId);
    int32_t kept = 0;
    res->ErrorCode = group != 0 ? group : res->ErrorCode;
    for (int32_t i = 0; i < res->Topics.len; i++) {
        old_fetched_topic *topic = &res->Topics.at[i];
        int16_t denied = group != 0 ? group : request_denied(req, ACL_TOPIC, ACL_DESCRIBE, topic->Name);
        for (int32_t j = 0; denied != 0 && j < topic->Partitions.len; j++) {
            topic->Partitions.at[j].CommittedOffset = topic->Partitions.at[j].CommittedLeaderEpoch = -1;
            topic->Partitions.at[j].Metadata = STR("");
            topic->Partitions.at[j].ErrorCode = denied;
        }
        bool gone = group != 0 ? req->version >= GROUP_CODE_VERSION : denied != 0 && body->Topics.len < 0;
        if (!gone)
            res->Topics.at[kept++] = *topic;
    }
    res->Topics.len = kept;
}

void hide_fetched_offsets(struct request *req)
{
    enum { GROUPS_VERSION = 8 };
    const struct OffsetFetchRequest *body = req->body;
    struct OffsetFetchResponse *res = req->res;
    if (!auth_is_on(req->broker->auth))
        return;
    if (req->version < GROUPS_VERSION) {
        hide_fetched_old(req);
        return;
    }
    for (int32_t i = 0; i < res->Groups.len; i++) {
        struct OffsetFetchResponse_OffsetFetchResponseGroup *group = &res->Groups.at[i];
        int16_t denied = request_denied(req, ACL_GROUP, ACL_DESCRIBE, group->GroupId);
        int32_t kept = 0, count = denied != 0 ? 0 : group->Topics.len;
        for (int32_t j = 0; j < count; j++)
            if (keep_fetched(req, &group->Topics.at[j], body->Groups.at[i].Topics.len >= 0))
                group->Topics.at[kept++] = group->Topics.at[j];
        group->Topics.len = kept;
        group->ErrorCode = denied != 0 ? denied : group->ErrorCode;
    }
}

void hide_described_groups(struct request *req)
{
    const struct DescribeGroupsRequest *body = req->body;
    struct DescribeGroupsResponse *res = req->res;
    for (int32_t i = 0; i < res->Groups.len; i++) {
        struct DescribeGroupsResponse_DescribedGroup *row = &res->Groups.at[i], hidden;
        int16_t denied = request_denied(req, ACL_GROUP, ACL_DESCRIBE, row->GroupId);
        if (denied != 0) {
            wire_init(&WIRE_DescribeGroupsResponse_DescribedGroup, &hidden);
            hidden.GroupId = row->GroupId;
            hidden.ErrorCode = denied;
            *row = hidden;
        } else if (body->IncludeAuthorizedOperations && row->ErrorCode == 0) {
            row->AuthorizedOperations = request_operations(req, ACL_GROUP, row->GroupId);
        }
    }
}

typedef struct ConsumerGroupDescribeResponse_DescribedGroup consumer_row;

/* Why one of the topics may not be described; 0: all may. */
static int16_t denied_topics(struct request *req, const struct str *names, int32_t count)
{
    int16_t denied = 0;
    for (int32_t i = 0; denied == 0 && i < count; i++)
        denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, names[i]);
    return denied;
}

/* Why a group of this protocol may not be described at all. */
static int16_t denied_group(struct request *req, struct str protocol, struct str name)
{
    return group_protocol_is_off(req->broker, protocol) ? UNSUPPORTED_VERSION
                                                        : request_denied(req, ACL_GROUP, ACL_DESCRIBE, name);
}

/* A group with a member that has a topic which may not be described is not shown, as in Kafka. */
static int16_t denied_consumer(struct request *req, const consumer_row *row)
{
    int16_t denied = denied_group(req, STR("consumer"), row->GroupId);
    for (int32_t i = 0; denied == 0 && i < row->Members.len; i++)
        denied = denied_topics(req, row->Members.at[i].SubscribedTopicNames.at,
                               row->Members.at[i].SubscribedTopicNames.len);
    return denied;
}

void hide_consumer_groups(struct request *req)
{
    const struct ConsumerGroupDescribeRequest *body = req->body;
    struct ConsumerGroupDescribeResponse *res = req->res;
    for (int32_t i = 0; i < res->Groups.len; i++) {
        consumer_row *row = &res->Groups.at[i], hidden;
        int16_t denied = denied_consumer(req, row);
        if (denied != 0) {
            wire_init(&WIRE_ConsumerGroupDescribeResponse_DescribedGroup, &hidden);
            hidden.GroupId = row->GroupId;
            hidden.ErrorCode = denied;
            *row = hidden;
        } else if (body->IncludeAuthorizedOperations && row->ErrorCode == 0) {
            row->AuthorizedOperations = request_operations(req, ACL_GROUP, row->GroupId);
        }
    }
}

typedef struct ShareGroupDescribeResponse_DescribedGroup share_row;

static int16_t denied_share(struct request *req, const share_row *row)
{
    int16_t denied = request_denied(req, ACL_GROUP, ACL_DESCRIBE, row->GroupId);
    for (int32_t i = 0; denied == 0 && i < row->Members.len; i++)
        denied = denied_topics(req, row->Members.at[i].SubscribedTopicNames.at,
                               row->Members.at[i].SubscribedTopicNames.len);
    return denied;
}

void hide_share_groups(struct request *req)
{
    const struct ShareGroupDescribeRequest *body = req->body;
    struct ShareGroupDescribeResponse *res = req->res;
    for (int32_t i = 0; i < res->Groups.len; i++) {
        share_row *row = &res->Groups.at[i], hidden;
        int16_t denied = denied_share(req, row);
        if (denied != 0) {
            wire_init(&WIRE_ShareGroupDescribeResponse_DescribedGroup, &hidden);
            hidden.GroupId = row->GroupId;
            hidden.ErrorCode = denied;
            *row = hidden;
        } else if (body->IncludeAuthorizedOperations && row->ErrorCode == 0) {
            row->AuthorizedOperations = request_operations(req, ACL_GROUP, row->GroupId);
        }
    }
}

typedef struct StreamsGroupDescribeResponse_DescribedGroup streams_row;

static int16_t denied_infos(struct request *req, const struct StreamsGroupDescribeResponse_TopicInfo *topics,
                            int32_t count)
{
    int16_t denied = 0;
    for (int32_t i = 0; denied == 0 && i < count; i++)
        denied = request_denied(req, ACL_TOPIC, ACL_DESCRIBE, topics[i].Name);
    return denied;
}

/* A group that uses a topic which may not be described is not shown. */
static int16_t denied_topology(struct request *req, const streams_row *row)
{
    int16_t denied = 0;
    for (int32_t i = 0; row->Topology != NULL && denied == 0 && i < row->Topology->Subtopologies.len; i++) {
        const struct StreamsGroupDescribeResponse_Subtopology *sub = &row->Topology->Subtopologies.at[i];
        denied = denied_topics(req, sub->SourceTopics.at, sub->SourceTopics.len);
        if (denied == 0)
            denied = denied_topics(req, sub->RepartitionSinkTopics.at, sub->RepartitionSinkTopics.len);
        if (denied == 0)
            denied = denied_infos(req, sub->RepartitionSourceTopics.at, sub->RepartitionSourceTopics.len);
        if (denied == 0)
            denied = denied_infos(req, sub->StateChangelogTopics.at, sub->StateChangelogTopics.len);
    }
    return denied;
}

void hide_streams_groups(struct request *req)
{
    const struct StreamsGroupDescribeRequest *body = req->body;
    struct StreamsGroupDescribeResponse *res = req->res;
    for (int32_t i = 0; i < res->Groups.len; i++) {
        streams_row *row = &res->Groups.at[i], hidden;
        int16_t group = denied_group(req, STR("streams"), row->GroupId);
        int16_t denied = group != 0 ? group : denied_topology(req, row);
        if (denied != 0) {
            wire_init(&WIRE_StreamsGroupDescribeResponse_DescribedGroup, &hidden);
            hidden.GroupId = row->GroupId;
            hidden.ErrorCode = denied;
            if (group == 0)
                hidden.ErrorMessage =
                    STR("The described group uses topics that the client is not authorized to describe.");
            *row = hidden;
        } else if (body->IncludeAuthorizedOperations && row->ErrorCode == 0) {
            row->AuthorizedOperations = request_operations(req, ACL_GROUP, row->GroupId);
        }
    }
}

void hide_listed_groups(struct request *req)
{
    struct ListGroupsResponse *res = req->res;
    int32_t kept = 0;
    if (!auth_is_on(req->broker->auth) || request_may_cluster(req, ACL_DESCRIBE))
        return;
    for (int32_t i = 0; i < res->Groups.len; i++)
        if (request_may(req, ACL_GROUP, ACL_DESCRIBE, res->Groups.at[i].GroupId))
            res->Groups.at[kept++] = res->Groups.at[i];
    res->Groups.len = kept;
}
