/* group.c - groups and classic members in memory: making, finding, letting go; and what readers in process see.
 *
 * A group is there as long as something of it is: members or ids given out, a protocol type, a consumer group, offsets, offsets
 * pending in transactions.
 */
#include "group/consumer_int.h"

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

void offset_free(struct offset_entry *entry)
{
    if (entry == NULL)
        return;
    str_disown(&entry->topic);
    str_disown(&entry->metadata);
    free(entry);
}

void group_clear_members(struct group *group)
{
    list_each_safe (struct member, member, &group->members, link)
        member_remove(group, member);
}

void group_free(struct group *group)
{
    void *entry;
    group_clear_members(group);
    consumer_free(group->consumer);
    replay_timer_stop(&group->groups->timers, &group->deadline);
    replay_timer_stop(&group->groups->timers, &group->pending_timer);
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

void group_clear_classic(struct group *group)
{
    group_clear_members(group);
    map_clear(&group->pending);
    replay_timer_stop(&group->groups->timers, &group->deadline);
    replay_timer_stop(&group->groups->timers, &group->pending_timer);
    str_disown(&group->protocol_type);
    str_disown(&group->protocol);
    str_disown(&group->leader);
    group->protocol_type = str_own(STR(""));
    group->state = GROUP_EMPTY;
    group->generation = 0;
    group->initial = false;
}

void group_drop_if_void(struct group *group)
{
    if (group->consumer != NULL || group->protocol_type.len != 0 || group->member_count != 0 ||
        group->pending.len != 0 || group->offsets.len != 0 || group->unstable.len != 0)
        return;
    map_remove(&group->groups->by_name, group->name);
    group_free(group);
}

bool group_is_share(const struct group *group)
{
    return group_is(group, KIND_SHARE);
}

struct str group_is_none(const struct group *group, const char *kind, struct str name, struct arena *arena)
{
    return group == NULL ? str_printf(arena, "Group %.*s not found.", STR_ARG(name))
                         : str_printf(arena, "Group %.*s is not a %s group.", STR_ARG(name), kind);
}

void group_become_consumer(struct group *group)
{
    ASSERT(group->consumer == NULL);
    group_clear_classic(group);
    ignore(consumer_of(group), "makes it");
}

void group_end_consumer(struct group *group, int64_t now_ms)
{
    consumer_free(group->consumer);
    group->consumer = NULL;
    group->state_ms = now_ms;
    group_drop_if_void(group);
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
    replay_timer_stop(&group->groups->timers, &member->session);
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
        out->protocol_type = out->type = str_from(group_kind_name(group->consumer->kind));
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
