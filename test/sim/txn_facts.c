/* txn_facts.c - what is known of transactions, and the invariants over it.
 *
 *   open -> unknown (a commit was sent) -> committed | aborted          open -> aborted
 *
 * (T1) A read_committed consumer is given a record only when a commit of its transaction was sent, and then the transaction is
 *      committed for ever.
 * (T2) At the end every transaction is there as a whole or not at all; acknowledged commits are, acknowledged aborts and those
 *      that were never to be committed are not.
 * (T3) The offset that was committed in transactions is the number of the last one that is there.
 */
#include "clients.h"

enum { PRODUCERS_MAX = 32 };

struct txn_fact {
    enum txn_outcome outcome;
    uint32_t marks, found;
};

static struct {
    struct map txn_of; /* bytes of a mark -> number of its transaction */
    struct {
        char group[32]; /* empty: no transactional producer */
        vec(struct txn_fact) txns;
    } producers[PRODUCERS_MAX];
} facts;

static struct txn_fact *fact(uint16_t producer, int64_t txn)
{
    ASSERT(txn >= 1 && (size_t)txn <= facts.producers[producer].txns.len);
    return &facts.producers[producer].txns.at[txn - 1];
}

/* NULL: not of a transaction. */
static struct txn_fact *fact_of(struct mark mark)
{
    void *txn = map_get(&facts.txn_of, str_of((const char *)&mark, sizeof mark));
    return txn == NULL ? NULL : fact(mark.producer, (int64_t)(uintptr_t)txn);
}

void facts_txn_producer(uint16_t producer, const char *group)
{
    snprintf(facts.producers[producer].group, sizeof facts.producers[producer].group, "%s", group);
}

void facts_txn_begin(uint16_t producer, int64_t txn)
{
    vec_push(&facts.producers[producer].txns, (struct txn_fact){.outcome = TXN_OPEN});
    ASSERT_CMP(facts.producers[producer].txns.len, ==, (size_t)txn);
}

void facts_txn_mark(uint16_t producer, int64_t txn, struct mark mark)
{
    map_put(&facts.txn_of, str_of((const char *)&mark, sizeof mark), (void *)(uintptr_t)txn);
    fact(producer, txn)->marks++;
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
    struct txn_fact *known = fact_of(mark);
    if (known != NULL)
        known->found++;
}

/* T2; the number of the last that is there. */
static int64_t check_producer(uint16_t producer)
{
    int64_t last = 0;
    for (size_t i = 0; i < facts.producers[producer].txns.len; i++) {
        const struct txn_fact *known = &facts.producers[producer].txns.at[i];
        bool must = known->outcome == TXN_COMMITTED;
        bool must_not = known->outcome == TXN_ABORTED || known->outcome == TXN_OPEN;
        if (known->found != 0 && known->found != known->marks)
            sim_fail("transaction %zu of producer %u: %u of %u records are there", i + 1, producer,
                     known->found, known->marks);
        if (must && known->found != known->marks)
            sim_fail("transaction %zu of producer %u was committed and is not there", i + 1, producer);
        if (must_not && known->found != 0)
            sim_fail("transaction %zu of producer %u was %s and is there", i + 1, producer,
                     known->outcome == TXN_ABORTED ? "aborted" : "never to be committed");
        if (known->found != 0 || must)
            last = (int64_t)i + 1;
    }
    return last;
}

/* T3. A transaction without records that may have been committed can only be told by its offset. */
static void check_offset(struct client *client, uint16_t producer, int64_t last)
{
    int64_t offset = -1;
    for (int tries = 0; group_offset(client, str_from(facts.producers[producer].group), 0, &offset) != 0;
         tries++) {
        if (tries == 100)
            sim_fail("the offsets of %s cannot be read", facts.producers[producer].group);
        sim_sleep_us(10000);
    }
    offset = MAX(offset, 0);
    bool later_unknown = offset > last && (size_t)offset <= facts.producers[producer].txns.len &&
                         fact(producer, offset)->outcome == TXN_UNKNOWN && fact(producer, offset)->marks == 0;
    if (offset != last && !later_unknown)
        sim_fail("%s: the offset is of transaction %lld, the last that is there is %lld",
                 facts.producers[producer].group, (long long)offset, (long long)last);
}

void facts_txns_check(struct client *client)
{
    for (uint16_t i = 0; i < PRODUCERS_MAX; i++)
        if (facts.producers[i].group[0] != '\0')
            check_offset(client, i, check_producer(i));
}
