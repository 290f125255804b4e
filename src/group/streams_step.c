/* streams_step.c - a heartbeat of a streams group at work: what its topology asks of topics, the group's epoch, the target.
 *
 *   topics as the topology wants them?  --no-->  status for all members, targets are empty
 *      | yes: validated
 *   group epoch moves when a member came or changed, topics did, the topology became valid or invalid, standbys are set anew
 *      | not within the initial delay, nor so soon after the last assignment (streams.assignment.interval.ms)
 *   target: assign_sticky
 *
 * (J1) What was found when the topics were as they should be is kept until topics change; anything else is looked at again each
 *      time: it is rare, and what is missing may just have been made.
 */
#include "group/streams_int.h"

static int32_t partitions_of(void *arg, struct str topic)
{
    return consumer_topic(arg, topic)->partition_count;
}

struct hashing {
    struct consumer_turn *turn;
    struct map seen;
    uint64_t sum;
};

static void add_hash(void *arg, struct str topic)
{
    struct hashing *hashing = arg;
    hashing->sum += consumer_topic_hash(hashing->turn, topic, &hashing->seen);
}

/* J1 */
static void keep(struct streams_turn *turn)
{
    struct streams_group *streams = turn->streams;
    if (streams == NULL || streams->topology != turn->base.topology || turn->plan.status != STREAMS_READY)
        return;
    size_t bytes = (size_t)turn->base.topology->Subtopologies.len * sizeof streams->ready_counts[0];
    free(streams->ready_counts);
    streams->ready_counts = bytes == 0 ? NULL : mem_dup(turn->plan.task_counts, bytes);
    streams->ready_version = turn->base.groups->topics_version;
    streams->ready_hash = turn->hash;
}

bool streams_look_at_topics(struct streams_turn *turn, struct err *err)
{
    struct streams_group *streams = turn->streams;
    if (streams != NULL && streams->topology == turn->base.topology &&
        streams->ready_version == turn->base.groups->topics_version) {
        turn->plan = (struct streams_plan){.status = STREAMS_READY, .task_counts = streams->ready_counts};
        turn->hash = streams->ready_hash;
        return true;
    }
    const struct streams_lookup lookup = {&turn->base, partitions_of};
    struct hashing hashing = {.turn = &turn->base};
    if (!streams_plan_make(turn->base.topology, &lookup, &turn->plan, turn->base.arena, err))
        return false;
    streams_topics(turn->base.topology, add_hash, &hashing);
    map_fini(&hashing.seen);
    turn->hash = (int64_t)hashing.sum;
    keep(turn);
    return true;
}

void streams_step_epoch(struct streams_turn *turn, bool changed)
{
    struct consumer_turn *base = &turn->base;
    const struct streams_group *streams = turn->streams;
    int32_t validated = turn->plan.status == STREAMS_READY ? base->topology->Epoch : -1;
    turn->standby_count = (int32_t)consumer_setting(base->groups, base->name, GROUP_STREAMS_STANDBY_COUNT);
    if (!changed && streams != NULL && streams->topology == base->topology &&
        turn->hash == base->consumer->metadata_hash && validated == streams->validated_epoch &&
        turn->standby_count == streams->standby_count)
        return;
    base->epoch++;
    streams_record_epoch(base->name, base->epoch, turn->hash, validated, turn->standby_count, base->now_ms,
                         base->out);
}

/* --- the target --- */

static bool is_delayed_initially(const struct streams_turn *turn)
{
    const struct consumer_turn *base = &turn->base;
    if (turn->streams != NULL && turn->streams->initial.heap_pos != 0)
        return true;
    return base->consumer->member_count == 0 &&
           consumer_setting(base->groups, base->name, GROUP_STREAMS_INITIAL_DELAY_MS) > 0;
}

static void make_target(struct streams_turn *turn)
{
    size_t count;
    struct assign_member *members = consumer_turn_members(&turn->base, &count);
    if (turn->plan.status == STREAMS_READY)
        assign_sticky(members, count, turn->base.topology, turn->plan.task_counts, turn->standby_count,
                      turn->base.arena);
    consumer_store_targets(&turn->base, members, count);
}

void streams_step_target(struct streams_turn *turn)
{
    struct consumer_turn *base = &turn->base;
    turn->delayed_initially = is_delayed_initially(turn);
    if (turn->delayed_initially) {
        base->member.target = (struct part_set){0};
        return;
    }
    if (base->epoch <= base->target_epoch)
        return;
    turn->delayed_by_interval =
        consumer_target_is_young(base->groups, base->name, base->consumer, base->now_ms);
    if (!turn->delayed_by_interval)
        make_target(turn);
}

void streams_initial_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    struct streams_group *streams = LIST_ENTRY(timer, struct streams_group, initial);
    struct group *group = streams->group;
    struct arena arena = {0};
    struct group_call call = {.now_ms = now_ms, .arena = &arena};
    struct streams_turn turn = {.streams = streams, .standby_count = MAX(streams->standby_count, 0)};
    if (group->consumer->member_count == 0 || streams->topology == NULL ||
        group->consumer->epoch <= group->consumer->target_epoch)
        return;
    consumer_turn_init(&turn.base, group->groups, group->name, group->consumer, &call, out);
    turn.base.topology = streams->topology;
    if (streams_look_at_topics(&turn, NULL))
        make_target(&turn);
    consumer_turn_fini(&turn.base);
    arena_fini(&arena);
}

/* --- Y3 --- */

static bool has_in_any_role(const struct consumer_member *member, const struct topic_part *task)
{
    for (int role = 0; role < TASK_ROLES; role++) {
        struct uuid id = task_id((enum task_role)role, task_subtopology(task));
        if (part_set_find(&member->assigned, id, task->partition) != NULL ||
            part_set_find(&member->revoking, id, task->partition) != NULL)
            return true;
    }
    return false;
}

bool streams_task_is_free(const struct consumer_turn *turn, const struct topic_part *task)
{
    const struct consumer_member *owner = task_is_active(task) ? consumer_owner(turn->consumer, task) : NULL;
    if (owner != NULL && owner != turn->live)
        return false;
    list_each (struct consumer_member, other, &turn->consumer->members, link)
        if (other != turn->live && str_eq(other->streams->process_id, turn->member.streams->process_id) &&
            has_in_any_role(other, task))
            return false;
    return true;
}
