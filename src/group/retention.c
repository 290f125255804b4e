/* retention.c - how offsets go: after their time, with their topic, by OffsetDelete.
 *
 *   group                                       an offset goes `offsets.retention.ms` after
 *   only offsets, never a member                its commit
 *   classic, empty                              the group became empty, or the commit when that was later
 *   classic consumers, Stable                   its commit, if nobody subscribes to the topic
 *   consumer (KIP-848)                          its commit, if nobody subscribes to the topic
 *   streams (KIP-1071)                          its commit, if it has no member or does not read the topic
 *   any other                                   never
 *
 * A group without members goes with its last offset.
 */
#include "group/streams_int.h"

typedef struct OffsetDeleteRequest_OffsetDeleteRequestTopic delete_topic;
typedef struct OffsetDeleteResponse_OffsetDeleteResponseTopic deleted_topic;

/* --- who subscribes to what --- */

static struct str metadata_of(const struct group *group, const struct member *member)
{
    for (size_t i = 0; i < member->protocols->count; i++)
        if (str_eq(member->protocols->at[i].name, group->protocol))
            return member->protocols->at[i].metadata;
    return STR_NULL;
}

static void add_names(struct map *topics, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        map_put(topics, names[i], topics);
}

static bool add_classic(const struct group *group, struct map *topics)
{
    struct arena arena = {0};
    bool known = true;
    list_each (struct member, member, &group->members, link) {
        const struct ConsumerProtocolSubscription *sub =
            str_is_null(group->protocol) ? NULL : consumer_protocol_read(metadata_of(group, member), &arena);
        known = known && sub != NULL;
        if (sub != NULL)
            add_names(topics, sub->Topics.at, (size_t)MAX(sub->Topics.len, 0));
    }
    arena_fini(&arena);
    return known;
}

static void add_consumer(const struct consumer_group *consumer, struct map *topics)
{
    void *regex;
    list_each (struct consumer_member, member, &consumer->members, link)
        add_names(topics, member->topics->at, member->topics->len);
    for (size_t i = 0; map_next(&consumer->regexes, &i, NULL, &regex);) {
        const struct name_list *list = ((struct consumer_regex *)regex)->topics;
        add_names(topics, list->at, list->len);
    }
}

/* The topics that the members of a group subscribe to, as keys. False: not known, because somebody does not say so in the
 * consumer protocol. */
static bool subscribed_topics(const struct group *group, struct map *topics)
{
    if (group->consumer != NULL) {
        add_consumer(group->consumer, topics);
        if (group_is(group, KIND_STREAMS) && group->consumer->member_count != 0)
            streams_add_inputs(group->consumer->streams, topics);
        return true;
    }
    return group->member_count == 0 ||
           (str_eq(group->protocol_type, STR("consumer")) && add_classic(group, topics));
}

/* --- by time --- */

/* From when on retention counts for an offset of a topic that nobody subscribes to; INT64_MAX: it stays. */
static int64_t retained_since_ms(const struct group *group, const struct offset_entry *entry)
{
    if (group->consumer != NULL || group->state == GROUP_STABLE || group->protocol_type.len == 0)
        return entry->commit_ms;
    return group->state == GROUP_EMPTY ? MAX(group->state_ms, entry->commit_ms) : INT64_MAX;
}

/* A share group stays until it is deleted: its place in the topics is not kept here. */
static bool nobody_in(const struct group *group)
{
    if (group_is_share(group))
        return false;
    return group->consumer != NULL ? group->consumer->member_count == 0
                                   : group->state == GROUP_EMPTY && group->pending.len == 0;
}

/* Is there an offset whose time is over, as far as its group lets it? Saves reading subscriptions. */
static bool any_old(const struct group *group, int64_t before_ms)
{
    void *entry;
    for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry);)
        if (retained_since_ms(group, entry) < before_ms)
            return true;
    return false;
}

static void expire_group(const struct groups *groups, const struct group *group, int64_t now_ms,
                         struct replay_records *out)
{
    struct map topics = {0};
    int64_t before_ms = now_ms - groups->options.offsets_retention_ms;
    size_t left = group->offsets.len;
    void *entry_ptr;
    if (any_old(group, before_ms) && subscribed_topics(group, &topics)) {
        for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry_ptr);) {
            const struct offset_entry *entry = entry_ptr;
            if (retained_since_ms(group, entry) >= before_ms || map_has(&topics, entry->topic))
                continue;
            offset_add_record(group->name, entry, true, now_ms, out);
            left--;
        }
    }
    if (left == 0 && group->unstable.len == 0 && nobody_in(group))
        group_add_end(group, now_ms, out);
    map_fini(&topics);
}

bool group_decide_expire(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    void *group;
    groups->effects = call->effects;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group);)
        expire_group(groups, group, call->now_ms, out);
    return true;
}

/* --- with their topic --- */

bool group_decide_topic_deleted(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct str *topic = call->req;
    void *group_ptr, *entry_ptr;
    groups->effects = call->effects;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group_ptr);) {
        const struct group *group = group_ptr;
        for (size_t j = 0; map_next(&group->offsets, &j, NULL, &entry_ptr);) {
            const struct offset_entry *entry = entry_ptr;
            if (str_eq(entry->topic, *topic))
                offset_add_record(group->name, entry, true, call->now_ms, out);
        }
    }
    pending_drop(groups, STR_NULL, *topic, call->now_ms, out);
    return true;
}

/* --- by OffsetDelete --- */

/* May offsets of the group be deleted? Of a group of consumers those of topics that nobody subscribes to may. */
static int16_t check_delete(const struct group *group)
{
    if (group == NULL || group_is_share(group))
        return GROUP_NOT_FOUND;
    bool consumers = group->consumer != NULL || str_eq(group->protocol_type, STR("consumer"));
    return consumers || group->state == GROUP_EMPTY ? GROUP_NONE : GROUP_NOT_EMPTY;
}

static int16_t delete_offset(const struct group *group, const struct group_call *call, struct str topic,
                             int32_t partition, bool subscribed, struct replay_records *out)
{
    struct buf key = {0};
    if (call->partition_exists != NULL && !call->partition_exists(call->exists_arg, topic, partition))
        return GROUP_UNKNOWN_TOPIC;
    if (subscribed)
        return GROUP_SUBSCRIBED_TO_TOPIC;
    const struct offset_entry *entry = map_get(&group->offsets, offset_key(&key, topic, partition));
    if (entry != NULL)
        offset_add_record(group->name, entry, true, call->now_ms, out);
    buf_fini(&key);
    return GROUP_NONE;
}

bool group_decide_offset_delete(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    const struct OffsetDeleteRequest *req = call->req;
    struct OffsetDeleteResponse *res = call->res;
    const struct group *group = group_find(groups, req->GroupId);
    struct map topics = {0};
    groups->effects = call->effects;
    res->ErrorCode = req->GroupId.len == 0 ? GROUP_INVALID_ID : check_delete(group);
    if (res->ErrorCode != GROUP_NONE)
        return true;
    bool known = subscribed_topics(group, &topics);
    WIRE_ALLOC(call->arena, res->Topics, OffsetDeleteResponse_OffsetDeleteResponseTopic,
               MAX(req->Topics.len, 0));
    res->Topics.len = 0;
    for (int32_t i = 0; i < req->Topics.len; i++) {
        const delete_topic *topic = &req->Topics.at[i];
        if (topic->Partitions.len <= 0) /* nothing to say of it */
            continue;
        deleted_topic *row = &res->Topics.at[res->Topics.len++];
        bool subscribed = !known || map_has(&topics, topic->Name);
        row->Name = topic->Name;
        WIRE_ALLOC(call->arena, row->Partitions, OffsetDeleteResponse_OffsetDeleteResponsePartition,
                   MAX(topic->Partitions.len, 0));
        for (int32_t j = 0; j < topic->Partitions.len; j++) {
            int32_t partition = topic->Partitions.at[j].PartitionIndex;
            row->Partitions.at[j].PartitionIndex = partition;
            row->Partitions.at[j].ErrorCode =
                delete_offset(group, call, topic->Name, partition, subscribed, out);
        }
    }
    map_fini(&topics);
    return true;
}
