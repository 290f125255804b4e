/* reconcile.c - the next step of one member towards its target (KIP-848, "reconciliation").
 *
 *   has:    1 2 3        kept    = has and shall have           2 3
 *   target:   2 3 4 5    revoke  = has and shall not have       1        first these go: state Unrevoked, epoch as before
 *   4 is free, 5 is not  add     = shall have, and free         4        then these come: epoch of the target
 *                        missing = shall have, not free           5      state Unreleased until they are
 *
 * (Q1) A partition is given up when the member's next report of what it has does not contain it any more; until then it
 *      is in `revoking` and its owner is the member (U2).
 * (Q2) Topics that the member does not subscribe to any more count as not targeted, though the target may lag behind.
 */
#include "group/streams_int.h"

/* The member still says, or does not say that it does not, that it has one of these. */
static bool still_has(const struct consumer_turn *turn, const struct part_set *revoking)
{
    return turn->owned == NULL || part_set_meets(turn->owned, revoking);
}

static void move_epoch(struct consumer_member *member, int32_t epoch)
{
    if (epoch == member->epoch)
        return;
    member->previous_epoch = member->epoch;
    member->epoch = epoch;
}

/* Q2 */
struct part_set consumer_subscribed(struct consumer_turn *turn, const struct part_set *set, bool in)
{
    if (turn->topology != NULL)
        return *set; /* tasks; what is not in the topology any more is not targeted */
    struct topic_list topics = consumer_topics_of(turn, &turn->member);
    struct part_set out = {arena_array(turn->arena, struct topic_part, set->len), 0};
    for (size_t i = 0; i < set->len; i++)
        if (topic_list_has(&topics, set->at[i].topic) == in)
            out.at[out.len++] = set->at[i];
    return out;
}

static bool is_free(const struct consumer_turn *turn, const struct topic_part *part)
{
    if (turn->topology != NULL)
        return streams_task_is_free(turn, part);
    const struct consumer_member *owner = consumer_owner(turn->consumer, part);
    return owner == NULL || owner == turn->live || owner == turn->replaced;
}

/* The whole step, from scratch. */
static void compute(struct consumer_turn *turn)
{
    struct consumer_member *member = &turn->member;
    struct part_set target = consumer_subscribed(turn, &member->target, true);
    struct part_set kept = part_set_filter(&member->assigned, &target, true, turn->arena);
    struct part_set revoke = part_set_filter(&member->assigned, &kept, false, turn->arena);
    struct part_set wanted = part_set_filter(&target, &kept, false, turn->arena);
    struct part_set add = {arena_array(turn->arena, struct topic_part, wanted.len), 0};
    for (size_t i = 0; i < wanted.len; i++) {
        if (!is_free(turn, &wanted.at[i]))
            continue;
        add.at[add.len] = wanted.at[i];
        add.at[add.len++].epoch = turn->target_epoch;
    }
    if (revoke.len != 0 && still_has(turn, &revoke)) {
        member->state = MEMBER_UNREVOKED;
        member->assigned = kept;
        member->revoking = revoke;
        return;
    }
    member->state = add.len < wanted.len ? MEMBER_UNRELEASED : MEMBER_STABLE;
    move_epoch(member, turn->target_epoch);
    member->assigned = part_set_union(&kept, &add, turn->arena);
    member->revoking = (struct part_set){0};
}

/* A changed subscription takes effect at once: what is not subscribed to goes, whatever else is under way. */
static void shrink(struct consumer_turn *turn)
{
    struct consumer_member *member = &turn->member;
    struct part_set gone = consumer_subscribed(turn, &member->assigned, false);
    if (gone.len == 0)
        return;
    struct part_set revoking = part_set_union(&member->revoking, &gone, turn->arena);
    member->assigned = part_set_filter(&member->assigned, &gone, false, turn->arena);
    if (still_has(turn, &revoking)) {
        member->state = MEMBER_UNREVOKED;
        member->revoking = revoking;
    }
}

/* A member of a streams group that has to go on giving up shows by its epoch that it has come on. */
static void compute_after_revoking(struct consumer_turn *turn)
{
    compute(turn);
    if (turn->topology != NULL && turn->member.state == MEMBER_UNREVOKED)
        move_epoch(&turn->member, turn->member.epoch + 1);
}

void consumer_step_reconcile(struct consumer_turn *turn)
{
    struct consumer_member *member = &turn->member;
    const struct consumer_member *before = turn->before;
    switch (member->state) {
    case MEMBER_STABLE:
        if (member->epoch != turn->target_epoch)
            compute(turn);
        else if (turn->subscription_changed)
            shrink(turn);
        break;
    case MEMBER_UNREVOKED:
        if (!still_has(turn, &member->revoking))
            compute_after_revoking(turn);
        else if (turn->subscription_changed)
            shrink(turn);
        break;
    case MEMBER_UNRELEASED:
        compute(turn);
        break;
    }
    if (before != NULL && before->epoch == member->epoch &&
        before->previous_epoch == member->previous_epoch && before->state == member->state &&
        part_set_eq(&before->assigned, &member->assigned) &&
        part_set_eq(&before->revoking, &member->revoking))
        return;
    turn->records->current(turn->name, member, turn->topology, turn->now_ms, turn->out);
}
