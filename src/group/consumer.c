/* consumer.c - consumer groups and their members in memory: making, finding, letting go, and who owns which partition.
 *
 * (V1) `owners` holds exactly the partitions in `assigned` and `revoking` of the members. A record that takes a partition
 *      from a member that does not own it any more changes nothing: after compaction records may come in an order in
 *      which the next owner is already there.
 */
#include "group/streams_int.h"

/* --- lists of names --- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct name_list *name_list_new(const struct str *names, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += names[i].len;
    struct name_list *list = mem_alloc(sizeof *list + count * sizeof list->at[0] + bytes);
    char *text = (char *)&list->at[count];
    for (size_t i = 0; i < count; i++) {
        if (names[i].len != 0)
            memcpy(text, names[i].ptr, names[i].len);
        list->at[i] = str_of(text, names[i].len);
        text += names[i].len;
    }
    if (count > 1)
        qsort(list->at, count, sizeof list->at[0], by_text);
    list->len = 0;
    for (size_t i = 0; i < count; i++)
        if (list->len == 0 || !str_eq(list->at[list->len - 1], list->at[i]))
            list->at[list->len++] = list->at[i];
    return list;
}

bool name_list_has(const struct name_list *list, struct str name)
{
    return list->len != 0 && bsearch(&name, list->at, list->len, sizeof name, by_text) != NULL;
}

bool name_list_eq(const struct name_list *a, const struct name_list *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!str_eq(a->at[i], b->at[i]))
            return false;
    return true;
}

/* --- the group --- */

const char *group_kind_name(enum group_kind kind)
{
    static const char *const names[] = {"consumer", "share", "streams"};
    return names[kind];
}

struct str fenced_text(enum group_kind kind, int32_t epoch, const struct consumer_member *member,
                       struct arena *arena)
{
    return str_printf(
        arena,
        "The %s group member has a %s member epoch (%d) than the one known by the group coordinator (%d). "
        "The member must abandon all its partitions and rejoin.",
        group_kind_name(kind), epoch > member->epoch ? "greater" : "smaller", epoch, member->epoch);
}

struct str full_text(enum group_kind kind, int64_t most, struct arena *arena)
{
    return str_printf(arena, "The %s group has reached its maximum capacity of %lld members.",
                      group_kind_name(kind), (long long)most);
}

struct consumer_group *consumer_of(struct group *group)
{
    if (group->consumer == NULL) {
        group->consumer = mem_new(struct consumer_group);
        group->consumer->epoch = group->consumer->target_epoch = EPOCH_FIRST;
        list_init(&group->consumer->members);
    }
    return group->consumer;
}

void consumer_regex_free(struct consumer_regex *regex)
{
    if (regex == NULL)
        return;
    free(regex->topics);
    free(regex);
}

static void member_free(struct consumer_member *member)
{
    struct replay_timers *timers = &member->group->groups->timers;
    replay_timer_stop(timers, &member->session);
    replay_timer_stop(timers, &member->revoke);
    replay_timer_stop(timers, &member->rejoin);
    str_disown(&member->id);
    str_disown(&member->instance_id);
    str_disown(&member->rack_id);
    str_disown(&member->client_id);
    str_disown(&member->client_host);
    str_disown(&member->regex);
    str_disown(&member->assignor);
    free(member->topics);
    free(member->classic);
    part_set_disown(&member->assigned);
    part_set_disown(&member->revoking);
    part_set_disown(&member->target);
    free(member->streams);
    free(member);
}

void consumer_free(struct consumer_group *consumer)
{
    void *regex;
    if (consumer == NULL)
        return;
    list_each_safe (struct consumer_member, member, &consumer->members, link)
        member_free(member);
    for (size_t i = 0; map_next(&consumer->regexes, &i, NULL, &regex);)
        consumer_regex_free(regex);
    map_fini(&consumer->by_id);
    map_fini(&consumer->statics);
    map_fini(&consumer->owners);
    map_fini(&consumer->regexes);
    streams_group_free(consumer->streams);
    free(consumer);
}

const char *consumer_state_name(const struct consumer_group *consumer)
{
    if (consumer->member_count == 0)
        return "Empty";
    if (consumer->kind == KIND_SHARE)
        return "Stable";
    if (consumer->streams != NULL && !streams_is_validated(consumer->streams))
        return "NotReady";
    if (consumer->epoch > consumer->target_epoch)
        return "Assigning";
    list_each (struct consumer_member, member, &consumer->members, link)
        if (member->state != MEMBER_STABLE || member->epoch != consumer->target_epoch)
            return "Reconciling";
    return "Stable";
}

size_t consumer_regex_users(const struct consumer_group *consumer, struct str regex)
{
    size_t count = 0;
    list_each (struct consumer_member, member, &consumer->members, link)
        count += str_is_set(member->regex) && str_eq(member->regex, regex);
    return count;
}

/* --- members --- */

struct consumer_member *consumer_find(const struct consumer_group *consumer, struct str id)
{
    return map_get(&consumer->by_id, id);
}

struct consumer_member *consumer_static(const struct consumer_group *consumer, struct str instance_id)
{
    return str_is_null(instance_id) ? NULL : map_get(&consumer->statics, instance_id);
}

/* Where an option stands that a group may have of its own; what is not here concerns share partitions. */
#define OPTION(setting, field) [setting] = offsetof(struct group_options, field)
static const size_t option_at[GROUP_SETTINGS] = {
    OPTION(GROUP_SESSION_TIMEOUT_MS, consumer_session_timeout_ms),
    OPTION(GROUP_HEARTBEAT_INTERVAL_MS, consumer_heartbeat_interval_ms),
    OPTION(GROUP_ASSIGNMENT_INTERVAL_MS, consumer_assignment_interval_ms),
    OPTION(GROUP_SHARE_SESSION_TIMEOUT_MS, share_session_timeout_ms),
    OPTION(GROUP_SHARE_HEARTBEAT_INTERVAL_MS, share_heartbeat_interval_ms),
    OPTION(GROUP_SHARE_ASSIGNMENT_INTERVAL_MS, share_assignment_interval_ms),
    OPTION(GROUP_STREAMS_SESSION_TIMEOUT_MS, streams_session_timeout_ms),
    OPTION(GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, streams_heartbeat_interval_ms),
    OPTION(GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS, streams_assignment_interval_ms),
    OPTION(GROUP_STREAMS_STANDBY_COUNT, streams_standby_count),
    OPTION(GROUP_STREAMS_INITIAL_DELAY_MS, streams_initial_delay_ms),
};

int64_t consumer_setting(const struct groups *groups, struct str group, enum group_setting setting)
{
    const struct group_options *options = &groups->options;
    const struct group_settings *own = options->settings;
    int64_t value = own == NULL ? -1 : own->get(own->arg, group, setting);
    ASSERT(option_at[setting] != 0);
    return value >= 0 ? value : *(const int64_t *)((const char *)options + option_at[setting]);
}

void consumer_touch(struct consumer_member *member, int64_t now_ms)
{
    struct groups *groups = member->group->groups;
    enum group_setting session = records_of(member->group->consumer)->session;
    int64_t session_ms = member->classic != NULL ? member->classic_session_ms
                                                 : consumer_setting(groups, member->group->name, session);
    replay_timer_start(&groups->timers, &member->session, now_ms + session_ms);
}

/* Fences the members of the group that are due now: each timer stands for all of them, so that one decision sees
 * them together. A decision whose records cannot be appended is tried again in a while. */
static void fence_due(struct group *group, struct consumer_member *first, int64_t now_ms,
                      struct replay_records *out)
{
    enum { RETRY_MS = 1000 };
    struct replay_timers *timers = &group->groups->timers;
    struct replay_timer *of[3];
    vec(struct consumer_member *) due = {0};
    list_each (struct consumer_member, member, &group->consumer->members, link) {
        bool is_due = member == first;
        of[0] = &member->session;
        of[1] = &member->revoke;
        of[2] = &member->rejoin;
        for (size_t i = 0; i < COUNT_OF(of); i++) {
            if (of[i]->heap_pos == 0 || of[i]->due_ms > now_ms)
                continue;
            is_due = true;
            replay_timer_stop(timers, of[i]);
        }
        if (!is_due)
            continue;
        replay_timer_start(timers, &member->session, now_ms + RETRY_MS); /* stops when apply removes it */
        vec_push(&due, member);
    }
    consumer_fence(group, due.at, due.len, now_ms, out);
    vec_fini(&due);
}

static void session_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct consumer_member *member = LIST_ENTRY(timer, struct consumer_member, session);
    fence_due(member->group, member, now_ms, out);
}

static void revoke_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct consumer_member *member = LIST_ENTRY(timer, struct consumer_member, revoke);
    fence_due(member->group, member, now_ms, out);
}

static void rejoin_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct consumer_member *member = LIST_ENTRY(timer, struct consumer_member, rejoin);
    fence_due(member->group, member, now_ms, out);
}

struct consumer_member *consumer_member_make(struct group *group, struct str id)
{
    struct consumer_group *consumer = consumer_of(group);
    struct consumer_member *member = consumer_find(consumer, id);
    if (member != NULL)
        return member;
    member = mem_new(struct consumer_member);
    member->group = group;
    member->id = str_own(id);
    member->client_id = str_own(STR(""));
    member->client_host = str_own(STR(""));
    member->topics = name_list_new(NULL, 0);
    member->session.fire = session_end;
    member->revoke.fire = revoke_end;
    member->rejoin.fire = rejoin_end;
    list_push_back(&consumer->members, &member->link);
    consumer->member_count++;
    map_put(&consumer->by_id, id, member);
    return member;
}

/* --- owners --- */

static struct str owner_key(const struct topic_part *part, char key[20])
{
    memcpy(key, part->topic.bytes, 16);
    store_be32(key + 16, (uint32_t)part->partition);
    return str_of(key, 20);
}

struct consumer_member *consumer_owner(const struct consumer_group *consumer, const struct topic_part *part)
{
    char key[20];
    return map_get(&consumer->owners, owner_key(part, key));
}

/* Only active tasks have an owner: standby tasks are many. */
static bool is_owned(const struct consumer_group *consumer, const struct topic_part *part)
{
    return consumer->kind == KIND_CONSUMER || (consumer->kind == KIND_STREAMS && task_is_active(part));
}

static void release(struct consumer_group *consumer, const struct consumer_member *member,
                    const struct part_set *set)
{
    char key[20];
    for (size_t i = 0; i < set->len; i++)
        if (is_owned(consumer, &set->at[i]) && consumer_owner(consumer, &set->at[i]) == member) /* V1 */
            map_remove(&consumer->owners, owner_key(&set->at[i], key));
}

static void take(struct consumer_group *consumer, struct consumer_member *member, const struct part_set *set)
{
    char key[20];
    for (size_t i = 0; i < set->len; i++)
        if (is_owned(consumer, &set->at[i]))
            map_put(&consumer->owners, owner_key(&set->at[i], key), member);
}

void consumer_member_set_parts(struct consumer_group *consumer, struct consumer_member *member,
                               const struct part_set *assigned, const struct part_set *revoking)
{
    struct part_set new_assigned = part_set_own(assigned), new_revoking = part_set_own(revoking);
    release(consumer, member, &member->assigned);
    release(consumer, member, &member->revoking);
    part_set_disown(&member->assigned);
    part_set_disown(&member->revoking);
    member->assigned = new_assigned;
    member->revoking = new_revoking;
    take(consumer, member, &member->assigned);
    take(consumer, member, &member->revoking);
}

void consumer_member_remove(struct group *group, struct consumer_member *member)
{
    struct consumer_group *consumer = group->consumer;
    release(consumer, member, &member->assigned);
    release(consumer, member, &member->revoking);
    list_remove(&member->link);
    consumer->member_count--;
    map_remove(&consumer->by_id, member->id);
    if (consumer_static(consumer, member->instance_id) == member)
        map_remove(&consumer->statics, member->instance_id);
    member_free(member);
}
