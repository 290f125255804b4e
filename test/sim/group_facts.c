/* group_facts.c - what members of groups were told, and the invariants over it.
 *
 * (G1) An offset that is fetched is not below one whose commit was acknowledged before the fetch was sent.
 * (G2) A member is given what the leader of its generation has sent for it.
 * (G3) In one generation of a group a partition has one owner. A group that became empty may be forgotten and begin anew with
 *      generation 1: an owner counts only while its session lasts and a rebalance would wait for it, until it joins anew or
 *      knows itself that it is none any more, and until a later generation is seen.
 * (G4) In a group of the new protocol a partition has one owner at a time: the next is assigned it after the one before has said
 *      that it has given it up, has left, or is silent for a session.
 * (G5) A power cut with durability=os may take all of that back: nothing told before it counts.
 */
#include "clients.h"

enum { GROUPS_MAX = 3, PARTITIONS_MAX = 8, SESSION_US = 6000000, BALANCED_SESSION_US = 45000000 };

struct assigned {
    uint16_t group;
    int32_t generation;
    struct str member, assignment; /* in the arena */
    bool given;
    int64_t contact_us; /* last answer to the member */
    int64_t silence_us; /* it stays a member for so long without another */
};

static struct {
    int64_t committed[GROUPS_MAX][PARTITIONS_MAX];
    vec(struct assigned) assigned;
    struct {
        char member[32]; /* empty: nobody */
        int64_t sent_us; /* of the last heartbeat that was answered */
    } owners[PARTITIONS_MAX];
    struct arena arena;
} facts;

int64_t facts_committed(uint16_t group, int32_t partition)
{
    return facts.committed[group][partition];
}

void facts_commit_acked(uint16_t group, int32_t partition, int64_t offset)
{
    if (scenario.told_cuts != scenario.cuts)
        return;
    facts.committed[group][partition] = MAX(facts.committed[group][partition], offset);
    scenario_promised(PROMISE_OFFSET);
}

/* G1 */
void facts_committed_answered(uint16_t group, int32_t partition, int64_t least, int64_t offset)
{
    if (MAX(offset, 0) < least && scenario.told_cuts == scenario.cuts)
        sim_fail("group-%u, partition %d: the committed offset is %lld, %lld was acknowledged", group,
                 partition, (long long)offset, (long long)least);
}

void facts_assigned(uint16_t group, int32_t generation, struct str member, struct str assignment)
{
    vec_push(&facts.assigned, (struct assigned){.group = group,
                                                .generation = generation,
                                                .member = str_dup(member, &facts.arena),
                                                .assignment = str_dup(assignment, &facts.arena)});
}

static bool overlaps(struct str a, struct str b)
{
    for (size_t i = 0; i < a.len; i++)
        for (size_t j = 0; j < b.len; j++)
            if (a.ptr[i] == b.ptr[j])
                return true;
    return false;
}

void facts_owns(uint16_t group, int32_t generation, struct str member, struct str assignment,
                int64_t rebalance_ms)
{
    struct assigned *own = NULL;
    if (scenario.told_cuts != scenario.cuts)
        return;
    for (size_t i = 0; i < facts.assigned.len; i++) {
        struct assigned *other = &facts.assigned.at[i];
        if (other->group == group && other->generation < generation)
            other->given = false; /* that generation is over, whoever slept through its end */
        if (other->group != group || other->generation != generation)
            continue;
        if (str_eq(other->member, member)) {
            if (str_eq(other->assignment, assignment))
                own = other;
        } else if (other->given && sim_now_us() - other->contact_us < other->silence_us &&
                   overlaps(other->assignment, assignment)) { /* G3 */
            sim_fail("group-%u, generation %d: a partition belongs to %.*s and to %.*s", group, generation,
                     STR_ARG(other->member), STR_ARG(member));
        }
    }
    if (own == NULL) /* G2 */
        sim_fail("group-%u, generation %d: %.*s is given what no leader sent for it", group, generation,
                 STR_ARG(member));
    own->given = true;
    own->contact_us = sim_now_us();
    own->silence_us = MIN(SESSION_US, rebalance_ms * 1000);
}

void facts_contact(uint16_t group, struct str member, bool is_member)
{
    for (size_t i = 0; i < facts.assigned.len; i++) {
        struct assigned *own = &facts.assigned.at[i];
        if (own->group != group || !str_eq(own->member, member))
            continue;
        own->given = own->given && is_member;
        own->contact_us = sim_now_us();
    }
}

/* ---- the new protocol ---- */

/* G4 */
void facts_balanced_owns(int32_t partition, const char *member)
{
    const char *before = facts.owners[partition].member;
    if (scenario.told_cuts != scenario.cuts)
        return;
    if (before[0] != '\0' && strcmp(before, member) != 0 &&
        sim_now_us() - facts.owners[partition].sent_us < BALANCED_SESSION_US)
        sim_fail("partition %d belongs to %s and is assigned to %s", partition, before, member);
    snprintf(facts.owners[partition].member, sizeof facts.owners[partition].member, "%s", member);
    facts.owners[partition].sent_us = sim_now_us();
}

void facts_balanced_released(int32_t partition, const char *member)
{
    if (strcmp(facts.owners[partition].member, member) == 0)
        facts.owners[partition].member[0] = '\0';
}

void facts_balanced_contact(const char *member, int64_t sent_us)
{
    for (size_t i = 0; i < PARTITIONS_MAX; i++)
        if (strcmp(facts.owners[i].member, member) == 0)
            facts.owners[i].sent_us = sent_us;
}

void facts_balanced_gone(const char *member)
{
    for (int32_t i = 0; i < PARTITIONS_MAX; i++)
        facts_balanced_released(i, member);
}

/* G5 */
void facts_groups_cut(void)
{
    memset(facts.committed, 0, sizeof facts.committed);
    memset(facts.owners, 0, sizeof facts.owners);
    for (size_t i = 0; i < facts.assigned.len; i++)
        facts.assigned.at[i].given = false;
}
