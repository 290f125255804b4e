/* compact_facts.c - what compaction may have removed.
 *
 *   offsets of a key, newest first:   aborted -> skipped    found -> good    tombstone -> good, when it is old enough
 *                                     may be aborted, not found -> skipped   any other -> fails the run
 *
 * (Q1) The last record of every key that was acknowledged or seen, and is not of an aborted transaction, is there, to
 *      read_committed too; or, delete.retention.ms after it was written, it was a tombstone. So a later record that was
 *      aborted has replaced nothing.
 * (Q2) A tombstone whose offset nobody was told may have come last and be gone: nothing is said of its key then. That is so when
 *      its producer asks for no answers, or was told that it was a duplicate.
 * Offsets that stay are checked by the read itself (V1), transactions as a whole by txn_facts.c.
 */
#include "facts_int.h"

/* Q2 */
static void find_silent(const struct fact_part *part, uint16_t topic, int32_t partition, bool *silent)
{
    for (uint16_t i = 0; i < PRODUCERS_MAX; i++)
        for (size_t n = 0; n < part->sent[i].len; n++) {
            struct mark mark = {i, topic, (uint32_t)partition, n + 1};
            if (part->sent[i].at[n].offset < 0 && mark_is_tombstone(mark))
                silent[mark_key(mark)] = true;
        }
}

/* True: nothing more is to be looked for of this key. */
static bool settles(const struct fact_part *part, int64_t offset, uint16_t topic, int32_t partition)
{
    const struct known *known = &part->at.at[offset];
    const struct sent_fact *sent = fact_sent(known->mark);
    const struct topic_plan *plan = &scenario.topics[topic];
    enum txn_outcome outcome = facts_txn_of(known->mark);
    if (outcome == TXN_ABORTED || outcome == TXN_OPEN)
        return false;
    if (sent->found_committed || !known_is_safe(known) || offset < part->start)
        return true;
    if (mark_is_tombstone(known->mark) && sim_wall_us() / 1000 - sent->sent_ms > plan->tombstone_ms)
        return true;
    if (outcome == TXN_UNKNOWN || (outcome == TXN_COMMITTED && scenario.cuts > 0)) /* txn_facts.c, T4 */
        return false;
    sim_fail("%s-%d: the record at %lld, %llu of producer %u, the last of key %u, is %s", plan->name,
             partition, (long long)offset, (unsigned long long)known->mark.n, known->mark.producer,
             mark_key(known->mark), known->found ? "not given to read_committed" : "gone");
}

/* Q1 */
static void check_partition(uint16_t topic, int32_t partition)
{
    struct fact_part *part = fact_part(topic, partition);
    bool settled[MARK_KEYS] = {0};
    find_silent(part, topic, partition, settled);
    for (int64_t offset = (int64_t)part->at.len - 1; offset >= part->start; offset--) {
        const struct known *known = &part->at.at[offset];
        if (known->mark.n == 0)
            continue;
        facts.compacted += !known->found;
        uint32_t key = mark_key(known->mark);
        settled[key] = settled[key] || settles(part, offset, topic, partition);
    }
}

void facts_compacted_check(void)
{
    for (uint16_t i = 0; i < scenario.topic_count; i++)
        for (int32_t j = 0; j < scenario.topics[i].partition_count && scenario.topics[i].compacts; j++)
            check_partition(i, j);
}
