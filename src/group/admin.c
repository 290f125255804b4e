/* admin.c - what administrators ask of groups: DescribeGroups, ConsumerGroupDescribe, ListGroups, DeleteGroups. */
#include "group/describe_int.h"

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

struct str describe_str(struct str text, struct arena *arena)
{
    return str_is_null(text) ? STR("") : str_dup(text, arena);
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
        row->ClientId = describe_str(member->client_id, arena);
        row->ClientHost = describe_str(member->client_host, arena);
        row->MemberMetadata = stable ? str_dup(metadata_of(group, member), arena) : STR("");
        row->MemberAssignment = stable ? describe_str(member->assignment, arena) : STR("");
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
        out->ProtocolData = describe_str(group->protocol, call->arena);
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

struct str *describe_names(const struct str *names, size_t count, struct arena *arena)
{
    struct str *copies = arena_array(arena, struct str, count);
    for (size_t i = 0; i < count; i++)
        copies[i] = str_dup(names[i], arena);
    return copies;
}

const struct consumer_group *group_to_describe(const struct groups *groups, struct str name,
                                               enum group_kind kind, struct arena *arena, int16_t *code,
                                               struct str *message)
{
    const struct group *group = group_find(groups, name);
    if (name.len != 0 && group_is(group, kind))
        return group->consumer;
    *code = name.len == 0 ? GROUP_INVALID_ID : GROUP_NOT_FOUND;
    if (name.len != 0)
        *message = group_is_none(group, group_kind_name(kind), name, arena);
    return NULL;
}

/* What it has to give up is its own until it says that it has. */
static void describe_consumer_member(const struct groups *groups, const struct consumer_member *member,
                                     struct arena *arena, described_consumer_member *out)
{
    enum { TYPE_CLASSIC = 0, TYPE_CONSUMER = 1 };
    DESCRIBE_MEMBER(out, member, arena);
    DESCRIBE_SUBSCRIPTION(out, member, arena);
    out->InstanceId = str_dup(member->instance_id, arena);
    out->SubscribedTopicRegex = describe_str(member->regex, arena);
    out->MemberType = member->classic != NULL ? TYPE_CLASSIC : TYPE_CONSUMER;
    const struct part_set has = part_set_union(&member->assigned, &member->revoking, arena);
    DESCRIBE_PARTS(groups, &has, out->Assignment.TopicPartitions,
                   ConsumerGroupDescribeResponse_TopicPartitions, arena);
    DESCRIBE_PARTS(groups, &member->target, out->TargetAssignment.TopicPartitions,
                   ConsumerGroupDescribeResponse_TopicPartitions, arena);
}

static void describe_consumer(const struct groups *groups, struct str name, struct arena *arena,
                              described_consumer *out)
{
    const struct consumer_group *consumer =
        group_to_describe(groups, name, KIND_CONSUMER, arena, &out->ErrorCode, &out->ErrorMessage);
    out->GroupId = name;
    if (consumer == NULL)
        return;
    DESCRIBE_GROUP(out, consumer);
    out->AssignorName = consumer_assignor(groups, consumer);
    WIRE_ALLOC(arena, out->Members, ConsumerGroupDescribeResponse_Member, consumer->member_count);
    described_consumer_member *row = out->Members.at;
    list_each (struct consumer_member, member, &consumer->members, link)
        describe_consumer_member(groups, member, arena, row++);
}

void group_describe_consumer(struct groups *groups, struct group_call *call)
{
    DESCRIBE_GROUPS(ConsumerGroupDescribe, groups, call, describe_consumer);
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
