/* target.c - who shall have what: runs the group's assignor over its members as they will be, and stores what changed.
 *
 * The assignor is the one that most members ask for, or the first of `group.consumer.assignors`. Only targets that differ
 * from the stored ones become records.
 *
 * (W1) A target is computed in the call that finds the group's epoch ahead of it, but no sooner after the last one than the
 *      group's interval (`consumer.`, `share.` and `streams.assignment.interval.ms`): changes in between are one rebalance. A
 *      new member is in at the target's epoch then, with nothing. No timer computes it: members ask by themselves. A clock
 *      that was set back delays nothing.
 */
#include "group/streams_int.h"

static const struct {
    struct str name;
    void (*assign)(struct assign_member *members, size_t count, struct arena *arena);
} assignors[] = {{STR_INIT("uniform"), assign_uniform}, {STR_INIT("range"), assign_range}};

bool group_assignor_known(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(assignors); i++)
        if (str_eq(assignors[i].name, name))
            return true;
    return false;
}

/* The first of the option's list. */
static struct str default_assignor(const struct groups *groups)
{
    struct str rest = groups->options.consumer_assignors, first = STR_NULL;
    ignore(str_split(&rest, ',', &first), "an empty list was refused at start");
    return str_trim(first);
}

bool consumer_assignor_allowed(const struct groups *groups, struct str name)
{
    struct str rest = groups->options.consumer_assignors, part;
    while (str_split(&rest, ',', &part))
        if (str_eq(str_trim(part), name))
            return true;
    return false;
}

static bool is_left(const struct consumer_turn *turn, const struct consumer_member *member)
{
    return member == turn->live || member == turn->replaced;
}

static size_t votes_for(const struct consumer_group *consumer, const struct consumer_turn *turn,
                        struct str name)
{
    size_t votes = turn != NULL && str_eq(turn->member.assignor, name);
    list_each (struct consumer_member, member, &consumer->members, link)
        votes += (turn == NULL || !is_left(turn, member)) && str_eq(member->assignor, name);
    return votes;
}

/* The assignor of the group, with the turn's member as it will be when there is a turn. */
static size_t choose(const struct groups *groups, const struct consumer_group *consumer,
                     const struct consumer_turn *turn)
{
    size_t best = 0, best_votes = 0;
    for (size_t i = 0; i < COUNT_OF(assignors); i++)
        if (str_eq(assignors[i].name, default_assignor(groups)))
            best = i;
    for (size_t i = 0; i < COUNT_OF(assignors); i++) {
        size_t votes = votes_for(consumer, turn, assignors[i].name);
        if (votes > best_votes && consumer_assignor_allowed(groups, assignors[i].name)) {
            best = i;
            best_votes = votes;
        }
    }
    return best;
}

struct str consumer_assignor(const struct groups *groups, const struct consumer_group *consumer)
{
    return assignors[choose(groups, consumer, NULL)].name;
}

static bool same_list(const struct topic_list *a, const struct topic_list *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->at, b->at, a->len * sizeof a->at[0]) == 0);
}

/* Members that subscribe to the same get one list, which is how the assignors know. */
static void add_member(struct consumer_turn *turn, const struct consumer_member *member,
                       struct assign_member *members, size_t *count)
{
    struct assign_member *row = &members[*count];
    *row = (struct assign_member){
        .id = member->id,
        .instance_id = member->instance_id,
        .current = &member->target,
    };
    if (member->streams != NULL) { /* its topics are the group's */
        row->process_id = member->streams->process_id;
        ++*count;
        return;
    }
    row->topics = consumer_topics_of(turn, member);
    if (*count != 0 && same_list(&members[0].topics, &row->topics))
        row->topics = members[0].topics;
    ++*count;
}

struct assign_member *consumer_turn_members(struct consumer_turn *turn, size_t *count)
{
    struct assign_member *members =
        arena_array(turn->arena, struct assign_member, turn->consumer->member_count + 1);
    *count = 0;
    list_each (struct consumer_member, other, &turn->consumer->members, link)
        if (!is_left(turn, other))
            add_member(turn, other, members, count);
    if (!str_is_null(turn->member.id))
        add_member(turn, &turn->member, members, count);
    return members;
}

void consumer_store_targets(struct consumer_turn *turn, const struct assign_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct part_set target = members[i].target;
        if (!part_set_eq(members[i].current, &target))
            turn->records->target(turn->name, members[i].id, &target, turn->topology, turn->now_ms,
                                  turn->out);
        if (str_eq(members[i].id, turn->member.id))
            turn->member.target = target;
    }
    turn->target_epoch = turn->epoch;
    record_target_epoch(turn->records, turn->name, turn->target_epoch, turn->now_ms, turn->now_ms, turn->out);
}

/* W1 */
bool consumer_target_is_young(const struct groups *groups, struct str group,
                              const struct consumer_group *consumer, int64_t now_ms)
{
    int64_t made_ms = consumer->target_ms;
    return made_ms != 0 && now_ms >= made_ms &&
           now_ms - made_ms < consumer_setting(groups, group, records_of(consumer)->interval);
}

void consumer_step_target(struct consumer_turn *turn)
{
    size_t count;
    if (turn->epoch <= turn->target_epoch ||
        consumer_target_is_young(turn->groups, turn->name, turn->consumer, turn->now_ms))
        return;
    struct assign_member *members = consumer_turn_members(turn, &count);
    if (turn->records == &share_records)
        assign_simple(members, count, turn->arena);
    else
        assignors[choose(turn->groups, turn->consumer, turn)].assign(members, count, turn->arena);
    consumer_store_targets(turn, members, count);
}
