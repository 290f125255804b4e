/* record.c - classic groups and committed offsets as records, and what a restart makes of these.
 *
 *   type  key                      value
 *    0,1  group, topic, partition  a committed offset
 *      2  group                    a classic group: generation, members, assignments
 *    101  (pending.c)              an offset pending in a transaction
 *   others (consumer_record.c)     consumer groups
 *
 * (A1) A GroupMetadataValue of the present life only completes what decide has begun: when it is applied, the group is
 *      CompletingRebalance in that generation, becomes Stable, and parked SyncGroups are answered. While loading it
 *      makes the group anew.
 * (A2) Offsets change in apply only.
 * (A3) A GroupMetadataValue for a group that has no member is a consumer group that has become classic: it is loaded in the
 *      present life too, and has to come together anew.
 */
#include "group/consumer_int.h"

enum { KEY_OFFSET_OLD = 0, KEY_OFFSET = 1, KEY_GROUP = 2, KEY_PENDING_OFFSET = 101 };
enum { GROUP_VALUE_VERSION = 3, OFFSET_VALUE_VERSION = 3 };

/* --- to records --- */

static struct str subscription_of(const struct group *group, const struct member *member)
{
    for (size_t i = 0; member->protocols != NULL && i < member->protocols->count; i++)
        if (str_eq(member->protocols->at[i].name, group->protocol))
            return member->protocols->at[i].metadata;
    return STR("");
}

void group_add_value(struct str name, const struct GroupMetadataValue *value, int64_t now_ms,
                     struct replay_records *out)
{
    replay_add_typed(out, &GroupMetadataKey_message, &(struct GroupMetadataKey){.group = name},
                     &GroupMetadataValue_message, GROUP_VALUE_VERSION, value, now_ms);
}

void group_add_record(const struct group *group, bool deleted, int64_t now_ms, struct replay_records *out)
{
    struct arena arena = {0};
    struct GroupMetadataValue value = {
        .protocolType = group->protocol_type,
        .generation = group->generation,
        .protocol = group->protocol,
        .leader = group->leader,
        .currentStateTimestamp = group->state_ms,
    };
    WIRE_ALLOC(&arena, value.members, GroupMetadataValue_MemberMetadata, group->member_count);
    struct GroupMetadataValue_MemberMetadata *row = value.members.at;
    list_each (struct member, member, &group->members, link) {
        *row++ = (struct GroupMetadataValue_MemberMetadata){
            .memberId = member->id,
            .groupInstanceId = member->instance_id,
            .clientId = member->client_id,
            .clientHost = member->client_host,
            .rebalanceTimeout = member->rebalance_timeout_ms,
            .sessionTimeout = member->session_timeout_ms,
            .subscription = subscription_of(group, member),
            .assignment = member->assignment,
        };
    }
    group_add_value(group->name, deleted ? NULL : &value, now_ms, out);
    arena_fini(&arena);
}

void group_add_end(const struct group *group, int64_t now_ms, struct replay_records *out)
{
    if (group->consumer != NULL)
        record_consumer_gone(group, now_ms, out);
    else
        group_add_record(group, true, now_ms, out);
}

void offset_add_record(struct str group, const struct offset_entry *entry, bool deleted, int64_t now_ms,
                       struct replay_records *out)
{
    struct buf key = {0}, bytes = {0};
    struct OffsetCommitKey key_fields = {.group = group,
                                         .topic = entry->topic,
                                         .partition = entry->partition};
    struct OffsetCommitValue value = {
        .offset = entry->offset,
        .leaderEpoch = entry->leader_epoch,
        .metadata = entry->metadata,
        .commitTimestamp = entry->commit_ms,
    };
    wire_encode_typed(&OffsetCommitKey_message, 0, &key_fields, &key);
    wire_encode_typed(&OffsetCommitValue_message, OFFSET_VALUE_VERSION, &value, &bytes);
    replay_add(out, buf_str(&key), deleted ? STR_NULL : buf_str(&bytes), now_ms);
    buf_fini(&key);
    buf_fini(&bytes);
}

/* A half-done rebalance is written as a group without members: a restart would show its members as settled. Its generation is
 * not forgotten. */
static void record_half_done(const struct group *group, struct replay_records *out)
{
    struct GroupMetadataValue value = {
        .protocolType = group->protocol_type,
        .generation = group->generation,
        .protocol = STR_NULL,
        .leader = STR_NULL,
        .currentStateTimestamp = group->state_ms,
    };
    group_add_value(group->name, &value, group->state_ms, out);
}

static void snapshot(void *state, struct replay_records *out)
{
    struct groups *groups = state;
    void *group_ptr, *entry_ptr;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group_ptr);) {
        struct group *group = group_ptr;
        if (group->consumer != NULL)
            record_consumer(group, group->state_ms, out);
        bool is_classic = group->protocol_type.len != 0;
        if (is_classic && (group->state == GROUP_STABLE || group->state == GROUP_EMPTY))
            group_add_record(group, false, group->state_ms, out);
        else if (is_classic && group->consumer == NULL)
            record_half_done(group, out);
        for (size_t j = 0; map_next(&group->offsets, &j, NULL, &entry_ptr);) {
            struct offset_entry *entry = entry_ptr;
            offset_add_record(group->name, entry, false, entry->commit_ms, out);
        }
    }
    pending_snapshot(groups, out);
}

/* --- from records --- */

struct str offset_key(struct buf *buf, struct str topic, int32_t partition)
{
    char *at;
    buf_clear(buf);
    at = buf_extend(buf, 4);
    store_be32(at, (uint32_t)partition);
    buf_append_str(buf, topic);
    return buf_str(buf);
}

static bool apply_offset(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                         struct err *err)
{
    struct OffsetCommitKey key;
    struct OffsetCommitValue value;
    struct buf buf = {0};
    if (!wire_decode(&OffsetCommitKey_message, 0, str_sub(rec->key, 2, rec->key.len), &key, NULL, arena, err))
        return false;
    if (!str_is_null(rec->value) &&
        !wire_decode_value(&OffsetCommitValue_message, rec->value, &value, arena, err))
        return false;
    struct str map_key = offset_key(&buf, key.topic, key.partition);
    if (str_is_null(rec->value)) {
        struct group *group = group_find(groups, key.group);
        offset_free(group ? map_remove(&group->offsets, map_key) : NULL);
    } else {
        struct group *group = group_find_or_make(groups, key.group);
        struct offset_entry *entry = mem_new(struct offset_entry);
        *entry = (struct offset_entry){
            .topic = str_own(key.topic),
            .partition = key.partition,
            .offset = value.offset,
            .commit_ms = value.commitTimestamp,
            .leader_epoch = value.leaderEpoch,
            .metadata = str_own(value.metadata),
        };
        offset_free(map_put(&group->offsets, map_key, entry));
    }
    buf_fini(&buf);
    return true;
}

/* Takes one member of a stored generation into the group. */
static void load_member(struct group *group, const struct GroupMetadataValue_MemberMetadata *row)
{
    struct member *member = member_new(group, row->memberId, row->groupInstanceId);
    member->client_id = str_own(row->clientId);
    member->client_host = str_own(row->clientHost);
    member->session_timeout_ms = row->sessionTimeout;
    member->rebalance_timeout_ms = row->rebalanceTimeout >= 0 ? row->rebalanceTimeout : row->sessionTimeout;
    member->assignment = str_own(row->assignment);
    member->protocols = protocols_new(&(struct protocol){group->protocol, row->subscription}, 1);
}

static void load_group(struct groups *groups, struct str name, const struct GroupMetadataValue *value)
{
    struct group *group = group_find_or_make(groups, name);
    group_clear_members(group);
    str_disown(&group->protocol_type);
    str_disown(&group->protocol);
    str_disown(&group->leader);
    group->protocol_type = str_own(value->protocolType);
    group->protocol = str_own(value->protocol);
    group->generation = value->generation;
    group->state = value->members.len > 0 ? GROUP_STABLE : GROUP_EMPTY;
    group->state_ms = value->currentStateTimestamp;
    for (int32_t i = 0; i < value->members.len; i++)
        if (group_member(group, value->members.at[i].memberId) == NULL)
            load_member(group, &value->members.at[i]);
    if (!str_is_null(value->leader) && group_member(group, value->leader) != NULL)
        group->leader = str_own(value->leader);
}

/* The assignment of this generation is stored: the group is stable, and who waits for its part gets it (A1). */
static void complete_sync(struct groups *groups, struct group *group, int64_t now_ms)
{
    group->state = GROUP_STABLE;
    replay_timer_stop(&groups->timers, &group->deadline);
    list_each (struct member, member, &group->members, link) {
        if (member->sync_token != NULL) {
            reply_sync(groups, group, member, member->sync_token);
            member->sync_token = NULL;
            member_touch(member, now_ms);
        }
    }
}

/* A3: its members have their sessions from now, and the deadline that is over makes them join. */
static void load_live(struct groups *groups, struct str name, const struct GroupMetadataValue *value,
                      int64_t now_ms)
{
    load_group(groups, name, value);
    struct group *group = group_find(groups, name);
    list_each (struct member, member, &group->members, link)
        member_touch(member, now_ms);
    replay_timer_start(&groups->timers, &group->deadline, now_ms);
}

static bool apply_group(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                        struct err *err)
{
    struct GroupMetadataKey key;
    struct GroupMetadataValue value;
    if (!wire_decode(&GroupMetadataKey_message, 0, str_sub(rec->key, 2, rec->key.len), &key, NULL, arena,
                     err))
        return false;
    if (!str_is_null(rec->value) &&
        !wire_decode_value(&GroupMetadataValue_message, rec->value, &value, arena, err))
        return false;
    struct group *group = group_find(groups, key.group);
    if (str_is_null(rec->value)) {
        if (group == NULL || group->consumer != NULL)
            return true;
        group_clear_classic(group);
        group_drop_if_void(group);
        return true;
    }
    if (!groups->loaded)
        load_group(groups, key.group, &value);
    else if (group == NULL || (group->member_count == 0 && value.members.len != 0))
        load_live(groups, key.group, &value, rec->timestamp_ms);
    else if (group->state == GROUP_COMPLETING && group->generation == value.generation)
        complete_sync(groups, group, rec->timestamp_ms);
    return true;
}

static bool apply(void *state, const struct replay_record *rec, struct err *err)
{
    struct arena arena = {0};
    uint16_t type;
    bool good;
    if (!replay_type(rec, &type, err))
        return false;
    switch (type) {
    case KEY_OFFSET_OLD:
    case KEY_OFFSET:
        good = apply_offset(state, rec, &arena, err);
        break;
    case KEY_GROUP:
        good = apply_group(state, rec, &arena, err);
        break;
    case KEY_PENDING_OFFSET:
        good = pending_apply(state, rec, &arena, err);
        break;
    default: /* a consumer group's, or one that is not known */
        good = consumer_apply(state, rec, &arena, err);
    }
    arena_fini(&arena);
    return good;
}

const struct replay_class groups_class = {.name = "groups", .apply = apply, .snapshot = snapshot};

static void consumer_loaded(struct group *group, int64_t now_ms)
{
    list_each (struct consumer_member, member, &group->consumer->members, link) {
        consumer_touch(member, now_ms);
        if (member->state == MEMBER_UNREVOKED)
            replay_timer_start(&group->groups->timers, &member->revoke,
                               now_ms + member->rebalance_timeout_ms);
    }
}

void groups_loaded(struct groups *groups, int64_t now_ms)
{
    groups->loaded = true;
    void *group_ptr;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group_ptr);) {
        struct group *group = group_ptr;
        list_each (struct member, member, &group->members, link)
            member_touch(member, now_ms);
        if (group->consumer != NULL)
            consumer_loaded(group, now_ms);
    }
}

void groups_topics_changed(struct groups *groups)
{
    groups->topics_version++;
}
