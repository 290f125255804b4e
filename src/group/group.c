/* group.c - groups and members in memory, their records, and what a restart makes of these.
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

struct str str_own(struct str s)
{
    return str_is_null(s) ? STR_NULL : str_of(mem_dup(s.ptr, s.len), s.len);
}

void str_disown(struct str *s)
{
    free((char *)s->ptr);
    *s = STR_NULL;
}

struct groups *groups_new(const struct group_options *options)
{
    struct groups *groups = mem_new(struct groups);
    groups->options = *options;
    groups->topics_version = 1; /* consumer groups have seen none yet */
    return groups;
}

void groups_free(struct groups *groups)
{
    if (groups == NULL)
        return;
    void *group;
    for (size_t i = 0; map_next(&groups->by_name, &i, NULL, &group);)
        group_free(group);
    map_fini(&groups->by_name);
    vec_fini(&groups->timers.heap);
    pending_fini(groups);
    free(groups);
}

void group_effects_reset(struct group_effects *effects)
{
    vec_clear(&effects->replies);
    arena_reset(&effects->arena);
}

void group_effects_fini(struct group_effects *effects)
{
    vec_fini(&effects->replies);
    arena_fini(&effects->arena);
}

/* --- groups --- */

struct group *group_find(const struct groups *groups, struct str name)
{
    return map_get(&groups->by_name, name);
}

struct group *group_find_or_make(struct groups *groups, struct str name)
{
    struct group *group = group_find(groups, name);
    if (group != NULL)
        return group;
    group = mem_new(struct group);
    group->groups = groups;
    group->name = str_own(name);
    group->protocol_type = str_own(STR(""));
    group->deadline.fire = group_deadline;
    group->pending_timer.fire = group_pending_lapse;
    list_init(&group->members);
    map_put(&groups->by_name, name, group);
    return group;
}

static void offset_free(struct offset_entry *entry)
{
    if (entry == NULL)
        return;
    str_disown(&entry->topic);
    str_disown(&entry->metadata);
    free(entry);
}

static void clear_members(struct group *group)
{
    list_each_safe (struct member, member, &group->members, link)
        member_remove(group, member);
}

void group_free(struct group *group)
{
    void *entry;
    clear_members(group);
    consumer_free(group->consumer);
    group_timer_stop(&group->groups->timers, &group->deadline);
    group_timer_stop(&group->groups->timers, &group->pending_timer);
    for (size_t i = 0; map_next(&group->offsets, &i, NULL, &entry);)
        offset_free(entry);
    map_fini(&group->offsets);
    map_fini(&group->unstable);
    map_fini(&group->by_id);
    map_fini(&group->statics);
    map_fini(&group->pending);
    str_disown(&group->name);
    str_disown(&group->protocol_type);
    str_disown(&group->protocol);
    str_disown(&group->leader);
    free(group);
}

/* Forgets what a group of the classic protocol is; offsets stay. */
static void clear_classic(struct group *group)
{
    clear_members(group);
    map_clear(&group->pending);
    group_timer_stop(&group->groups->timers, &group->deadline);
    group_timer_stop(&group->groups->timers, &group->pending_timer);
    str_disown(&group->protocol_type);
    str_disown(&group->protocol);
    str_disown(&group->leader);
    group->protocol_type = str_own(STR(""));
    group->state = GROUP_EMPTY;
    group->generation = 0;
    group->initial = false;
}

/* Lets a group go of which nothing is left. */
static void drop_if_void(struct group *group)
{
    if (group->consumer != NULL || group->protocol_type.len != 0 || group->member_count != 0 ||
        group->pending.len != 0 || group->offsets.len != 0 || group->unstable.len != 0)
        return;
    map_remove(&group->groups->by_name, group->name);
    group_free(group);
}

void group_become_consumer(struct group *group)
{
    ASSERT(group->consumer == NULL);
    clear_classic(group);
    ignore(consumer_of(group), "makes it");
}

void group_end_consumer(struct group *group, int64_t now_ms)
{
    consumer_free(group->consumer);
    group->consumer = NULL;
    group->state_ms = now_ms;
    drop_if_void(group);
}

const char *group_state_name(enum group_state state)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"};
    return names[state];
}

/* --- members --- */

struct protocols *protocols_new(const struct protocol *list, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += list[i].name.len + list[i].metadata.len;
    struct protocols *copy = mem_alloc(sizeof *copy + count * sizeof copy->at[0] + bytes);
    char *text = (char *)&copy->at[count];
    copy->count = count;
    for (size_t i = 0; i < count; i++) {
        struct str parts[] = {list[i].name, list[i].metadata};
        for (size_t j = 0; j < COUNT_OF(parts); j++) {
            if (parts[j].len != 0)
                memcpy(text, parts[j].ptr, parts[j].len);
            parts[j].ptr = text;
            text += parts[j].len;
        }
        copy->at[i] = (struct protocol){parts[0], parts[1]};
    }
    return copy;
}

struct member *group_member(const struct group *group, struct str id)
{
    return map_get(&group->by_id, id);
}

struct member *member_new(struct group *group, struct str id, struct str instance_id)
{
    struct member *member = mem_new(struct member);
    member->group = group;
    member->session.fire = member_session_end;
    member->id = str_own(id);
    member->instance_id = str_own(instance_id);
    list_push_back(&group->members, &member->link);
    group->member_count++;
    map_put(&group->by_id, id, member);
    if (!str_is_null(instance_id))
        map_put(&group->statics, instance_id, member);
    return member;
}

void member_remove(struct group *group, struct member *member)
{
    list_remove(&member->link);
    group_timer_stop(&group->groups->timers, &member->session);
    group->member_count--;
    map_remove(&group->by_id, member->id);
    if (!str_is_null(member->instance_id))
        map_remove(&group->statics, member->instance_id);
    if (str_eq(group->leader, member->id))
        str_disown(&group->leader);
    str_disown(&member->id);
    str_disown(&member->instance_id);
    str_disown(&member->client_id);
    str_disown(&member->client_host);
    str_disown(&member->assignment);
    free(member->protocols);
    free(member);
}

void member_rename(struct group *group, struct member *member, struct str id)
{
    bool leads = str_eq(group->leader, member->id);
    map_remove(&group->by_id, member->id);
    str_disown(&member->id);
    member->id = str_own(id);
    map_put(&group->by_id, id, member);
    if (leads) {
        str_disown(&group->leader);
        group->leader = str_own(id);
    }
}

int64_t group_rebalance_timeout_ms(const struct group *group)
{
    int64_t longest = 0;
    list_each (struct member, member, &group->members, link)
        longest = MAX(longest, member->rebalance_timeout_ms);
    return longest;
}

int16_t group_check_member(const struct group *group, struct str id, struct str instance_id,
                           int32_t generation, struct member **out)
{
    struct member *member = group_member(group, id);
    if (!str_is_null(instance_id)) {
        struct member *holder = map_get(&group->statics, instance_id);
        if (holder == NULL)
            return GROUP_UNKNOWN_MEMBER;
        if (holder != member)
            return GROUP_FENCED_INSTANCE;
    }
    if (member == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (generation != group->generation)
        return GROUP_ILLEGAL_GENERATION;
    *out = member;
    return GROUP_NONE;
}

/* --- records --- */

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
    struct buf key = {0}, bytes = {0};
    wire_encode_typed(&GroupMetadataKey_message, 0, &(struct GroupMetadataKey){.group = name}, &key);
    if (value != NULL)
        wire_encode_typed(&GroupMetadataValue_message, GROUP_VALUE_VERSION, value, &bytes);
    replay_add(out, buf_str(&key), value != NULL ? buf_str(&bytes) : STR_NULL, now_ms);
    buf_fini(&key);
    buf_fini(&bytes);
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

/* --- apply --- */

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
    clear_members(group);
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
    group_timer_stop(&groups->timers, &group->deadline);
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
    group_timer_start(&groups->timers, &group->deadline, now_ms);
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
        clear_classic(group);
        drop_if_void(group);
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
    bool good;
    if (rec->key.len < 2)
        return err_set(err, ERR_CORRUPT, "key of %zu bytes is too short", rec->key.len);
    switch (load_be16(rec->key.ptr)) {
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
            group_timer_start(&group->groups->timers, &member->revoke, now_ms + member->rebalance_timeout_ms);
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

/* --- readers in process --- */

bool group_info_of(const struct groups *groups, struct str name, struct group_info *out)
{
    const struct group *group = group_find(groups, name);
    if (group == NULL)
        return false;
    *out = (struct group_info){
        .name = group->name,
        .state = str_from(group_state_name(group->state)),
        .protocol_type = group->protocol_type,
        .type = STR("classic"),
        .generation = group->generation,
        .member_count = group->member_count,
    };
    if (group->consumer != NULL) {
        out->state = str_from(consumer_state_name(group->consumer));
        out->protocol_type = STR("consumer");
        out->type = STR("consumer");
        out->generation = group->consumer->epoch;
        out->member_count = group->consumer->member_count;
    }
    return true;
}

bool group_info_next(const struct groups *groups, size_t *pos, struct group_info *out)
{
    struct str name;
    return map_next(&groups->by_name, pos, &name, NULL) && group_info_of(groups, name, out);
}
