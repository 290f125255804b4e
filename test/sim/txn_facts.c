/* txn_facts.c - what is known of transactions, and the invariants over it.
 *
 *   open -> unknown (a commit was sent) -> committed | aborted          open -> aborted
 *
 * (T1) A read_committed consumer is given a record only when a commit of its transaction was sent, and then the transaction is
 *      committed for ever.
 * (T2) At the end every transaction is there as a whole or not at all; acknowledged commits are, acknowledged aborts and those
 *      that were never to be committed are not. What lies below a log start, or may have been compacted away, says nothing.
 * (T3) The offset that was committed in transactions is the number of the last one that is there.
 * (T4) After a power cut with durability=os only this is left: what was not to be committed is not there.
 */
#include "facts_int.h"

struct txn_fact {
    enum txn_outcome outcome;
    vec(struct mark) marks;
};

static struct {
    struct map txn_of; /* bytes of a mark -> number of its transaction */
    struct {
        char group[32]; /* empty: no transactional producer */
        vec(struct txn_fact) txns;
    } producers[PRODUCERS_MAX];
} txns;

static struct txn_fact *fact(uint16_t producer, int64_t txn)
{
    ASSERT(txn >= 1 && (size_t)txn <= txns.producers[producer].txns.len);
    return &txns.producers[producer].txns.at[txn - 1];
}

/* NULL: not of a transaction. */
static struct txn_fact *fact_of(struct mark mark)
{
    void *txn = map_get(&txns.txn_of, str_of((const char *)&mark, sizeof mark));
    return txn == NULL ? NULL : fact(mark.producer, (int64_t)(uintptr_t)txn);
}

void facts_txn_producer(uint16_t producer, const char *group)
{
    snprintf(txns.producers[producer].group, sizeof txns.producers[producer].group, "%s", group);
}

void facts_txn_begin(uint16_t producer, int64_t txn)
{
    vec_push(&txns.producers[producer].txns, (struct txn_fact){.outcome = TXN_OPEN});
    ASSERT_CMP(txns.producers[producer].txns.len, ==, (size_t)txn);
}

void facts_txn_mark(uint16_t producer, int64_t txn, struct mark mark)
{
    map_put(&txns.txn_of, str_of((const char *)&mark, sizeof mark), (void *)(uintptr_t)txn);
    vec_push(&fact(producer, txn)->marks, mark);
}

void facts_txn_ends(uint16_t producer, int64_t txn, enum txn_outcome outcome)
{
    struct txn_fact *known = fact(producer, txn);
    if (known->outcome == TXN_COMMITTED && outcome == TXN_ABORTED)
        sim_fail("transaction %lld of producer %u was seen and is aborted", (long long)txn, producer);
    known->outcome = outcome;
    if (outcome == TXN_COMMITTED)
        scenario_promised(PROMISE_TXN);
}

/* T1 */
void facts_seen_committed(uint16_t topic, int32_t partition, int64_t offset, struct mark mark)
{
    struct txn_fact *known = fact_of(mark);
    facts_seen(topic, partition, offset, mark);
    if (known == NULL)
        return;
    if (known->outcome == TXN_OPEN || known->outcome == TXN_ABORTED)
        sim_fail("read_committed gives %s-%d, %lld: record %llu of producer %u, whose transaction %s",
                 scenario.topics[topic].name, partition, (long long)offset, (unsigned long long)mark.n,
                 mark.producer, known->outcome == TXN_OPEN ? "was not committed" : "is aborted");
    known->outcome = TXN_COMMITTED;
}

void facts_found_committed(struct mark mark)
{
    fact_sent(mark)->found_committed = true;
}

enum txn_outcome facts_txn_of(struct mark mark)
{
    const struct txn_fact *known = fact_of(mark);
    return known == NULL ? TXN_NONE : known->outcome;
}

/* Does it say something that this record is not there? */
static bool is_to_stay(struct mark mark)
{
    const struct fact_part *part = fact_part(mark.topic, (int32_t)mark.partition);
    const struct topic_plan *plan = &scenario.topics[mark.topic];
    int64_t offset = fact_sent(mark)->offset;
    return !plan->compacts && (!topic_trims(plan) || offset >= part->start);
}

struct txn_found {
    uint32_t there, missing;
};

static struct txn_found count(const struct txn_fact *known)
{
    struct txn_found out = {0};
    for (size_t i = 0; i < known->marks.len; i++) {
        bool there = fact_sent(known->marks.at[i])->found_committed;
        out.there += there;
        out.missing += !there && is_to_stay(known->marks.at[i]);
    }
    return out;
}

/* T2; the number of the last that is there. */
static int64_t check_producer(uint16_t producer)
{
    int64_t last = 0;
    for (size_t i = 0; i < txns.producers[producer].txns.len; i++) {
        struct txn_fact *known = &txns.producers[producer].txns.at[i];
        struct txn_found found = count(known);
        bool must = known->outcome == TXN_COMMITTED && scenario.cuts == 0;
        bool must_not = known->outcome == TXN_ABORTED || known->outcome == TXN_OPEN;
        if (found.there != 0 && found.missing != 0 && scenario.cuts == 0)
            sim_fail("transaction %zu of producer %u: %u of its records are there, %u are not", i + 1,
                     producer, found.there, found.missing);
        if (must && found.missing != 0)
            sim_fail("transaction %zu of producer %u was committed and is not there", i + 1, producer);
        if (must_not && found.there != 0)
            sim_fail("transaction %zu of producer %u was %s and is there", i + 1, producer,
                     known->outcome == TXN_ABORTED ? "aborted" : "never to be committed");
        if (known->outcome == TXN_UNKNOWN && found.there != 0)
            known->outcome = TXN_COMMITTED;
        if (known->outcome == TXN_UNKNOWN && found.missing != 0)
            known->outcome = TXN_ABORTED;
        if (known->outcome == TXN_COMMITTED)
            last = (int64_t)i + 1;
    }
    return last;
}

/* T3. A transaction that may have been committed and has left no records can only be told by its offset. */
static void check_offset(struct client *client, uint16_t producer, int64_t last)
{
    int64_t offset = -1;
    for (int tries = 0; group_offset(client, str_from(txns.producers[producer].group), 0, &offset) != 0;
         tries++) {
        if (tries == 100)
            sim_fail("the offsets of %s cannot be read", txns.producers[producer].group);
        sim_sleep_us(10000);
    }
    offset = MAX(offset, 0);
    bool later_unknown = offset > last && (size_t)offset <= txns.producers[producer].txns.len &&
                         fact(producer, offset)->outcome == TXN_UNKNOWN;
    if (offset != last && !later_unknown)
        sim_fail("%s: the offset is of transaction %lld, the last that is there is %lld",
                 txns.producers[producer].group, (long long)offset, (long long)last);
}

void facts_txns_check(struct client *client)
{
    for (uint16_t i = 0; i < PRODUCERS_MAX; i++) {
        int64_t last = txns.producers[i].group[0] != '\0' ? check_producer(i) : -1;
        if (last >= 0 && scenario.cuts == 0)
            check_offset(client, i, last);
    }
}
