/* admin.c - what administrators ask of groups: DescribeGroups, ConsumerGroupDescribe, ListGroups, DeleteGroups. */
#include "group/consumer_int.h"

enum { NOT_FOUND_VERSION = 6 };

typedef struct DescribeGroupsResponse_DescribedGroup described_group;
typedef struct DescribeGroupsResponse_DescribedGroupMember described_member;

static struct str metadata_of(const struct group *group, const struct member *member)
{
    for (size_t i = 0; member->protocols != NULL && i < member->protocols->count; i++)
        if (str_eq(member->protocols->at[i].name, group->protocol))
            return member->protocols->at[i].metadata;
    return STR("");
}

static struct str or_empty(struct str s, struct arena *arena)
{
    return str_is_null(s) ? STR("") : str_dup(s, arena);
}

/* Metadata and assignment only mean something in a stable group. */
static void describe_members(const struct group *group, struct arena *arena, described_group *out)
{
    bool stable = group->state == GROUP_STABLE;
    WIRE_ALLOC(arena, out->Members, DescribeGroupsResponse_DescribedGroupMember, group->member_count);
    described_member *row = out->Members.at;
    list_each (struct member, member, &group->members, link) {
        row->MemberId = str_dup(member->id, arena);
        row->GroupInstanceId = str_dup(member->instance_id, arena);
        row->ClientId = or_empty(member->client_id, arena);
        row->ClientHost = or_empty(member->client_host, arena);
        row->MemberMetadata = stable ? str_dup(metadata_of(group, member), arena) : STR("");
        row->MemberAssignment = stable ? or_empty(member->assignment, arena) : STR("");
        row++;
    }
}

static void describe_one(const struct groups *groups, struct str name, struct group_call *call,
                         described_group *out)
{
    const struct group *group = group_find(groups, name);
    out->GroupId = name;
    if (group == NULL || group->consumer != NULL) {
        out->GroupState = STR("Dead");
        if (call->version >= NOT_FOUND_VERSION) {
            out->ErrorCode = GROUP_NOT_FOUND;
            out->ErrorMessage = group_is_none(group, "classic", name, call->arena);
        }
        return;
    }
    out->GroupState = str_from(group_state_name(group->state));
    out->ProtocolType = str_dup(group->protocol_type, call->arena);
    if (group->state == GROUP_STABLE)
        out->ProtocolData = or_empty(group->protocol, call->arena);
    describe_members(group, call->arena, out);
}

void group_describe(struct groups *groups, struct group_call *call)
{
    const struct DescribeGroupsRequest *req = call->req;
    struct DescribeGroupsResponse *res = call->res;
    WIRE_ALLOC(call->arena, res->Groups, DescribeGroupsResponse_DescribedGroup, MAX(req->Groups.len, 0));
    for (int32_t i = 0; i < req->Groups.len; i++)
        describe_one(groups, req->Groups.at[i], call, &res->Groups.at[i]);
}

/* --- consumer groups --- */

typedef struct ConsumerGroupDescribeResponse_DescribedGroup described_consumer;
typedef struct ConsumerGroupDescribeResponse_Member described_consumer_member;
typedef struct ConsumerGroupDescribeResponse_Assignment described_assignment;

/* Topics that are gone have no name to show. */
static void describe_parts(const struct groups *groups, const struct part_set *set, struct arena *arena,
                           described_assignment *out)
{
    const struct group_topics *topics = groups->options.topics;
    int32_t kept = 0;
    PART_SET_WRITE(set, out->TopicPartitions, ConsumerGroupDescribeResponse_TopicPartitions, arena);
    for (int32_t i = 0; i < out->TopicPartitions.len; i++) {
        struct ConsumerGroupDescribeResponse_TopicPartitions *row = &out->TopicPartitions.at[i];
        row->TopicName = topics->name_of(topics->arg, row->TopicId, arena);
        if (!str_is_null(row->TopicName))
            out->TopicPartitions.at[kept++] = *row;
    }
    out->TopicPartitions.len = kept;
}

/* What it has to give up is its own until it says that it has. */
static void describe_consumer_member(const struct groups *groups, const struct consumer_member *member,
                                     struct arena *arena, described_consumer_member *out)
{
    enum { TYPE_CLASSIC = 0, TYPE_CONSUMER = 1 };
    out->MemberId = str_dup(member->id, arena);
    out->InstanceId = str_dup(member->instance_id, arena);
    out->RackId = str_dup(member->rack_id, arena);
    out->MemberEpoch = member->epoch;
    out->ClientId = or_empty(member->client_id, arena);
    out->ClientHost = or_empty(member->client_host, arena);
    out->SubscribedTopicNames.at = arena_array(arena, struct str, member->topics->len);
    out->SubscribedTopicNames.len = (int32_t)member->topics->len;
    for (size_t i = 0; i < member->topics->len; i++)
        out->SubscribedTopicNames.at[i] = str_dup(member->topics->at[i], arena);
    out->SubscribedTopicRegex = or_empty(member->regex, arena);
    out->MemberType = member->classic != NULL ? TYPE_CLASSIC : TYPE_CONSUMER;
    const struct part_set has = part_set_union(&member->assigned, &member->revoking, arena);
    describe_parts(groups, &has, arena, &out->Assignment);
    describe_parts(groups, &member->target, arena, &out->TargetAssignment);
}

static void describe_consumer(const struct groups *groups, struct str name, struct arena *arena,
                              described_consumer *out)
{
    const struct consumer_group *consumer =
        group_to_describe(groups, name, KIND_CONSUMER, arena, &out->ErrorCode, &out->ErrorMessage);
    out->GroupId = name;
    if (consumer == NULL)
        return;
    out->GroupState = str_from(consumer_state_name(consumer));
    out->GroupEpoch = consumer->epoch;
    out->AssignmentEpoch = consumer->target_epoch;
    out->AssignorName = consumer_assignor(groups, consumer);
    WIRE_ALLOC(arena, out->Members, ConsumerGroupDescribeResponse_Member, consumer->member_count);
    described_consumer_member *row = out->Members.at;
    list_each (struct consumer_member, member, &consumer->members, link)
        describe_consumer_member(groups, member, arena, row++);
}

void group_describe_consumer(struct groups *groups, struct group_call *call)
{
    const struct ConsumerGroupDescribeRequest *req = call->req;
    struct ConsumerGroupDescribeResponse *res = call->res;
    WIRE_ALLOC(call->arena, res->Groups, ConsumerGroupDescribeResponse_DescribedGroup,
               MAX(req->GroupIds.len, 0));
    for (int32_t i = 0; i < req->GroupIds.len; i++)
        describe_consumer(groups, req->GroupIds.at[i], call->arena, &res->Groups.at[i]);
}

/* --- all groups --- */

/* An empty filter lets all pass. */
static bool passes(const struct str *words, int32_t count, struct str word)
{
    for (int32_t i = 0; i < count; i++)
        if (str_eq_nocase(words[i], word))
            return true;
    return count <= 0;
}

void group_list(struct groups *groups, struct group_call *call)
{
    const struct ListGroupsRequest *req = call->req;
    struct ListGroupsResponse *res = call->res;
    struct group_info info;
    WIRE_ALLOC(call->arena, res->Groups, ListGroupsResponse_ListedGroup, groups->by_name.len);
    res->Groups.len = 0;
    for (size_t i = 0; group_info_next(groups, &i, &info);) {
        if (!passes(req->StatesFilter.at, req->StatesFilter.len, info.state) ||
            !passes(req->TypesFilter.at, req->TypesFilter.len, info.type))
            continue;
        struct ListGroupsResponse_ListedGroup *row = &res->Groups.at[res->Groups.len++];
        row->GroupId = str_dup(info.name, call->arena);
        row->ProtocolType = str_dup(info.protocol_type, call->arena);
        row->GroupState = info.state;
        row->GroupType = info.type;
    }
}

static int16_t delete_one(const struct groups *groups, struct str name, int64_t now_ms,
                          struct replay_records *out)
{
    const struct group *group = group_find(groups, name);
    void *entry;
    if (group == NULL)
        return GROUP_NOT_FOUND;
    if (group->state != GROUP_EMPTY || /* whoever has a member id but has not joined gets a new one */
        (group->consumer != NULL && group->consumer->member_count != 0))
        return GROUP_NOT_EMPTY;
    for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry);)
        offset_add_record(name, entry, true, now_ms, out);
    pending_drop(groups, name, STR_NULL, now_ms, out);
    group_add_end(group, now_ms, out);
    return GROUP_NONE;
}

bool group_decide_delete(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct DeleteGroupsRequest *req = call->req;
    struct DeleteGroupsResponse *res = call->res;
    groups->effects = call->effects;
    WIRE_ALLOC(call->arena, res->Results, DeleteGroupsResponse_DeletableGroupResult,
               MAX(req->GroupsNames.len, 0));
    for (int32_t i = 0; i < req->GroupsNames.len; i++) {
        res->Results.at[i].GroupId = req->GroupsNames.at[i];
        res->Results.at[i].ErrorCode = delete_one(groups, req->GroupsNames.at[i], call->now_ms, out);
    }
    return true;
}
