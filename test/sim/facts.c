/* facts.c - what the clients were told of records, and the invariants over it.
 *
 *   per partition:  at[offset]       told by an acknowledgement or given to a consumer; never another one after
 *                   sent[producer]   what became of each of its records, by the n of its mark
 *                   start, hw, asked what was answered of the ends, and how far DeleteRecords was asked to go
 *
 * (V1) An offset that was acknowledged or seen holds that record for ever: until it lies below the log start, or, in a topic
 *      that is compacted, a later record of its key has come (compact_facts.c). Offsets never change.
 * (V2) Every acknowledged record is found by a full read; an idempotent producer's are found at most once, in the order in
 *      which they were sent (the n of its marks grows).
 * (V3) A record that is found was sent, to this partition, with these bytes.
 * (V4) The high watermark that a request is answered is not below one that was answered before the request was sent; nor is
 *      the log start.
 * (V5) A producer id with its epoch is given out once.
 * (V6) The log start passes only what was asked for by DeleteRecords, is older than retention.ms, or is more than
 *      retention.bytes; what is due is gone some time after.
 * (V7) What was promised less (acks=1; all with durability=os) survives everything but a loss: a power cut or a failure of
 *      the disk. A loss takes the end of a partition, no record out of its middle: of what was told before it, nothing that
 *      lies behind a lost record is found again. In a partition that is read to records behind it, it is as safe as they are.
 *
 * How much is promised of a record is a number: how many losses (scenario_losses) it is known to have survived, UINT64_MAX
 * when it is safe. An answer tells what was so when its request was sent (scenario.told_losses) or later.
 */
#include "facts_int.h"

struct facts facts;

struct fact_part *fact_part(uint16_t topic, int32_t partition)
{
    ASSERT(topic < COUNT_OF(scenario.topics) && partition >= 0 && partition < PARTITIONS_MAX);
    return &facts.parts[topic][partition];
}

struct sent_fact *fact_sent(struct mark mark)
{
    struct fact_part *part = fact_part(mark.topic, (int32_t)mark.partition);
    ASSERT(mark.n >= 1 && mark.n <= part->sent[mark.producer].len);
    return &part->sent[mark.producer].at[mark.n - 1];
}

void facts_init(void)
{
    memset(&facts, 0, sizeof facts);
}

uint16_t facts_producer(bool idempotent)
{
    ASSERT(facts.producer_count < PRODUCERS_MAX);
    facts.idempotent[facts.producer_count] = idempotent;
    return facts.producer_count++;
}

void facts_not_idempotent(uint16_t producer)
{
    facts.idempotent[producer] = false;
}

void facts_pid(int64_t pid, int16_t epoch)
{
    for (size_t i = 0; i < facts.identities.len; i++)
        if (facts.identities.at[i].pid == pid && facts.identities.at[i].epoch == epoch)
            sim_fail("producer id %lld with epoch %d was given out twice", (long long)pid, epoch);
    vec_push(&facts.identities, (struct identity){pid, epoch});
}

/* ---- records ---- */

static bool same(struct mark a, struct mark b)
{
    return a.producer == b.producer && a.topic == b.topic && a.partition == b.partition && a.n == b.n;
}

bool known_is_safe(const struct known *known)
{
    return known->survived >= scenario_losses();
}

/* V7: what lies before a record, and was there after it had come, is as safe as it. */
static void carry_back(struct fact_part *part, int64_t offset, uint64_t from, uint64_t survived)
{
    for (int64_t i = offset - 1; i >= 0; i--) {
        struct known *known = &part->at.at[i];
        if (known->mark.n == 0 || known->survived < from)
            continue;
        if (known->survived == UINT64_MAX)
            return;
        known->survived = MAX(known->survived, survived);
    }
}

/* V7: another record is at the offset of one that a loss may have taken; then the loss took all from there on that was there
 * before it. What was told of only since may have come after. */
static void drop_tail(struct fact_part *part, int64_t offset)
{
    uint64_t survived = part->at.at[offset].survived;
    for (size_t i = (size_t)offset; i < part->at.len; i++) {
        struct known *known = &part->at.at[i];
        bool came_later = i > (size_t)offset && known->since > survived;
        if (known->mark.n == 0 || known->survived > survived || came_later)
            continue;
        /* Others may be sent again; and a loss while the answer was on its way may have come before the append. */
        if (known->is_acked && known->since <= known->survived)
            fact_sent(known->mark)->lost_from = (int64_t)i;
        facts.lost++;
        *known = (struct known){0};
    }
}

/* V1, V3. `safe`: it survives everything. */
static struct known *tell(uint16_t topic, int32_t partition, int64_t offset, struct mark mark,
                          const char *how, bool safe)
{
    struct fact_part *part = fact_part(topic, partition);
    const char *name = scenario.topics[topic].name;
    if (offset < 0 || offset > 100000000)
        sim_fail("%s: offset %lld", how, (long long)offset);
    if (mark.topic != topic || mark.partition != (uint32_t)partition || mark.producer >= PRODUCERS_MAX ||
        mark.n == 0 || mark.n > part->sent[mark.producer].len)
        sim_fail("%s: %s-%d has at %lld a record that was not sent to it", how, name, partition,
                 (long long)offset);
    while (part->at.len <= (size_t)offset)
        vec_push_zero(&part->at);
    struct known *known = &part->at.at[offset];
    struct sent_fact *sent = fact_sent(mark);
    if (known->mark.n != 0 && !same(known->mark, mark)) {
        if (!safe && scenario.told_losses < MIN(known->survived, scenario_losses()))
            return known; /* the answer was long on its way: a loss has taken it since */
        if (known_is_safe(known))
            sim_fail("%s: %s-%d had at %lld record %llu of producer %u (%s), now it has %llu of %u", how,
                     name, partition, (long long)offset, (unsigned long long)known->mark.n,
                     known->mark.producer, known->is_acked ? "acknowledged" : "seen",
                     (unsigned long long)mark.n, mark.producer);
        drop_tail(part, offset);
    }
    if (sent->lost_from == offset && scenario.told_losses < scenario_losses())
        return known;
    if (sent->lost_from == offset)
        sim_fail("%s: %s-%d has lost records before %lld, which is there", how, name, partition,
                 (long long)offset);
    uint64_t survived = safe ? UINT64_MAX : scenario.told_losses;
    if (known->mark.n == 0) {
        known->since = scenario_losses();
        known->told_us = sim_now_us();
        known->survived = scenario.told_losses;
    }
    known->mark = mark;
    sent->offset = offset;
    if (known->survived < survived) {
        known->survived = survived;
        carry_back(part, offset, known->since, survived);
    }
    return known;
}

void facts_sent(struct mark mark)
{
    struct fact_part *part = fact_part(mark.topic, (int32_t)mark.partition);
    ASSERT_CMP(mark.n, ==, part->sent[mark.producer].len + 1);
    vec_push(&part->sent[mark.producer],
             (struct sent_fact){.sent_ms = sim_wall_us() / 1000, .offset = -1, .lost_from = -1});
}

void facts_acked(struct mark mark, int64_t offset, bool safe)
{
    safe = safe && !scenario.os;
    struct sent_fact *sent = fact_sent(mark);
    sent->acked = true;
    sent->survived = MAX(sent->survived, safe ? UINT64_MAX : scenario.told_losses);
    facts.acked++;
    scenario_promised(PROMISE_RECORDS);
    if (offset >= 0)
        tell(mark.topic, (int32_t)mark.partition, offset, mark, "acknowledgement", safe)->is_acked = true;
}

void facts_seen(uint16_t topic, int32_t partition, int64_t offset, struct mark mark)
{
    tell(topic, partition, offset, mark, "fetch", !scenario.os);
    facts.seen++;
}

void facts_settled(int64_t ready_us)
{
    for (size_t i = 0; i < COUNT_OF(scenario.topics); i++)
        for (size_t j = 0; j < PARTITIONS_MAX; j++) {
            struct fact_part *part = &facts.parts[i][j];
            for (size_t k = 0; k < part->at.len; k++)
                if (part->at.at[k].mark.n != 0 && part->at.at[k].told_us < ready_us &&
                    known_is_safe(&part->at.at[k]))
                    part->at.at[k].survived = UINT64_MAX;
        }
}

/* ---- the ends ---- */

struct ends facts_ends(uint16_t topic, int32_t partition)
{
    const struct fact_part *part = fact_part(topic, partition);
    return (struct ends){.start = part->start, .hw = part->hw};
}

/* V6 */
static void check_trimmed(uint16_t topic, int32_t partition, int64_t start)
{
    const struct topic_plan *plan = &scenario.topics[topic];
    const struct fact_part *part = fact_part(topic, partition);
    int64_t now_ms = sim_wall_us() / 1000;
    if (start <= part->asked || plan->retention_bytes >= 0 || plan->compacts)
        return;
    for (int64_t i = MAX(part->start, part->asked); i < MIN(start, (int64_t)part->at.len); i++) {
        struct known *known = &part->at.at[i];
        if (known->mark.n == 0 || !known_is_safe(known))
            continue;
        int64_t age_ms = now_ms - fact_sent(known->mark)->sent_ms;
        if (plan->retention_ms < 0 || age_ms <= plan->retention_ms)
            sim_fail("%s-%d begins at %lld: the record at %lld, %lld ms old, was to be kept", plan->name,
                     partition, (long long)start, (long long)i, (long long)age_ms);
    }
}

/* V4 */
void facts_ends_answered(uint16_t topic, int32_t partition, struct ends least, int64_t start, int64_t hw)
{
    struct fact_part *part = fact_part(topic, partition);
    const char *name = scenario.topics[topic].name;
    if (start >= 0 && start < least.start)
        sim_fail("%s-%d: the log start went back from %lld to %lld", name, partition, (long long)least.start,
                 (long long)start);
    if (start > part->start) {
        check_trimmed(topic, partition, start);
        part->start = start;
    }
    if (hw < 0 || scenario.told_cuts != scenario.cuts)
        return;
    if (hw < least.hw)
        sim_fail("%s-%d: the high watermark went back from %lld to %lld", name, partition,
                 (long long)least.hw, (long long)hw);
    part->hw = MAX(part->hw, hw);
}

int64_t facts_start_asks(uint16_t topic, int32_t partition, int64_t offset)
{
    struct fact_part *part = fact_part(topic, partition);
    int64_t before = part->asked;
    part->asked = MAX(part->asked, offset);
    return before;
}

void facts_start_given(uint16_t topic, int32_t partition, int64_t before, int64_t start)
{
    fact_part(topic, partition)->asked = MAX(before, start);
}

void facts_cut(void)
{
    for (size_t i = 0; i < COUNT_OF(scenario.topics); i++)
        for (size_t j = 0; j < PARTITIONS_MAX; j++)
            facts.parts[i][j].hw = facts.parts[i][j].start;
}

/* ---- a full read ---- */

void facts_read_begin(uint16_t topic, int32_t partition)
{
    facts.topic = topic;
    facts.partition = partition;
    memset(facts.last_n, 0, sizeof facts.last_n);
}

/* V2 */
void facts_read(int64_t offset, struct mark mark)
{
    struct known *known = tell(facts.topic, facts.partition, offset, mark, "final read", !scenario.os);
    if (facts.idempotent[mark.producer] && mark.n <= facts.last_n[mark.producer])
        sim_fail("%s-%d: record %llu of idempotent producer %u comes at %lld, after its record %llu",
                 scenario.topics[facts.topic].name, facts.partition, (unsigned long long)mark.n,
                 mark.producer, (long long)offset, (unsigned long long)facts.last_n[mark.producer]);
    facts.last_n[mark.producer] = mark.n;
    known->found = true;
    fact_sent(mark)->found = true;
}

static void check_missing(const struct fact_part *part, int64_t offset, int64_t end)
{
    const struct known *known = &part->at.at[offset];
    const struct topic_plan *plan = &scenario.topics[facts.topic];
    if (known->mark.n == 0 || known->found)
        return;
    if (offset < part->start)
        facts.trimmed++;
    else if (!known_is_safe(known))
        facts.lost++;
    else if (!plan->compacts) /* else compact_facts.c says what may be missing */
        sim_fail("%s-%d ends at %lld: offset %lld, %s, is lost", plan->name, facts.partition, (long long)end,
                 (long long)offset, known->is_acked ? "acknowledged" : "seen by a consumer");
}

void facts_read_end(int64_t end, uint64_t bytes)
{
    const struct fact_part *part = fact_part(facts.topic, facts.partition);
    const struct topic_plan *plan = &scenario.topics[facts.topic];
    for (size_t offset = 0; offset < part->at.len; offset++)
        check_missing(part, (int64_t)offset, end);
    for (size_t i = 0; i < PRODUCERS_MAX && !topic_forgets(plan); i++)
        for (size_t n = 0; n < part->sent[i].len; n++) {
            const struct sent_fact *sent = &part->sent[i].at[n];
            if (sent->acked && !sent->found && sent->survived >= scenario_losses())
                sim_fail("%s-%d: record %zu of producer %zu was acknowledged and is not there", plan->name,
                         facts.partition, n + 1, i);
        }
    bool by_size_alone = plan->retention_bytes >= 0 && plan->retention_ms < 0 && !plan->trims;
    if (by_size_alone && part->start > 0 && bytes < (uint64_t)plan->retention_bytes &&
        scenario.cuts == 0) /* V6 */
        sim_fail("%s-%d begins at %lld: %llu bytes are there, %lld were to be kept", plan->name,
                 facts.partition, (long long)part->start, (unsigned long long)bytes,
                 (long long)plan->retention_bytes);
}

void facts_counts(struct fact_counts *out)
{
    *out = (struct fact_counts){facts.acked, facts.seen, facts.trimmed, facts.compacted, facts.lost};
}
