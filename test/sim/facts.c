/* facts.c - what the clients were told, and the invariants over it.
 *
 *   per partition:  at[offset] = mark    told by an acknowledgement or given to a consumer; never another one after
 *                   acked[producer]      how many marks were acknowledged, each of which a full read must find
 *
 * (V1) An offset that was acknowledged or seen holds that record for ever.
 * (V2) Every acknowledged record is found by a full read; an idempotent producer's are found at most once, in the order in
 *      which they were sent (the n of its marks grows).
 * (V3) A record that is found was sent, to this partition, with these bytes.
 * (V4) The high watermark that a request is answered is not below one that was answered before the request was sent.
 * (V5) A producer id with its epoch is given out once.
 */
#include "clients.h"

enum { PARTITIONS_MAX = 8, PRODUCERS_MAX = 32, VALUE_BYTES_MAX = 1500 };

struct known {
    struct mark mark;
    bool is_acked;
};

struct fact_part {
    vec(struct known) at; /* by offset; mark.n 0: nothing known */
    int64_t hw;
    uint64_t sent[PRODUCERS_MAX];   /* largest n */
    vec(bool) acked[PRODUCERS_MAX]; /* by n */
    /* of the read under way */
    uint64_t last_n[PRODUCERS_MAX];
    vec(bool) found[PRODUCERS_MAX];
};

struct identity {
    int64_t pid;
    int16_t epoch;
};

static struct {
    struct fact_part parts[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    bool idempotent[PRODUCERS_MAX];
    uint16_t producer_count;
    uint64_t acked, seen;
    vec(struct identity) identities;
    uint16_t topic; /* being read */
    int32_t partition;
} facts;

static struct fact_part *part_of(uint16_t topic, int32_t partition)
{
    ASSERT(topic < COUNT_OF(scenario.topics) && partition >= 0 && partition < PARTITIONS_MAX);
    return &facts.parts[topic][partition];
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

void facts_pid(int64_t pid, int16_t epoch)
{
    for (size_t i = 0; i < facts.identities.len; i++)
        if (facts.identities.at[i].pid == pid && facts.identities.at[i].epoch == epoch)
            sim_fail("producer id %lld with epoch %d was given out twice", (long long)pid, epoch);
    vec_push(&facts.identities, (struct identity){pid, epoch});
}

/* ---- values ---- */

/* Length and bytes behind the mark follow from it. */
static uint64_t mark_seed(struct mark mark)
{
    return hash_bytes(&mark, sizeof mark);
}

static size_t filler_bytes(struct mark mark)
{
    uint64_t seed = mark_seed(mark);
    return seed % 8 == 0 ? seed / 8 % VALUE_BYTES_MAX : seed / 8 % 60;
}

void mark_write(struct mark mark, struct buf *value)
{
    buf_clear(value);
    buf_append(value, &mark, sizeof mark);
    size_t size = filler_bytes(mark);
    memset(buf_extend(value, size), (int)('a' + mark.n % 26), size);
}

struct mark mark_read(struct str value)
{
    struct mark mark = {0};
    if (value.len < sizeof mark)
        sim_fail("a record has a value of %zu bytes", value.len);
    memcpy(&mark, value.ptr, sizeof mark);
    if (value.len != sizeof mark + filler_bytes(mark))
        sim_fail("a record of producer %u (n %llu) has a value of %zu bytes, %zu were sent", mark.producer,
                 (unsigned long long)mark.n, value.len, sizeof mark + filler_bytes(mark));
    for (size_t i = sizeof mark; i < value.len; i++)
        if (value.ptr[i] != (char)('a' + mark.n % 26))
            sim_fail("a record of producer %u (n %llu) is damaged at byte %zu", mark.producer,
                     (unsigned long long)mark.n, i);
    return mark;
}

/* ---- telling ---- */

static struct known *known_at(struct fact_part *part, int64_t offset)
{
    while (part->at.len <= (size_t)offset)
        vec_push_zero(&part->at);
    return &part->at.at[offset];
}

static bool same(struct mark a, struct mark b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* V1, V3 */
static struct known *tell(uint16_t topic, int32_t partition, int64_t offset, struct mark mark,
                          const char *how)
{
    struct fact_part *part = part_of(topic, partition);
    if (offset < 0 || offset > 100000000)
        sim_fail("%s: offset %lld", how, (long long)offset);
    if (mark.topic != topic || mark.partition != (uint32_t)partition || mark.producer >= PRODUCERS_MAX ||
        mark.n == 0 || mark.n > part->sent[mark.producer])
        sim_fail("%s: %s-%d has at %lld a record that was not sent to it", how, scenario.topics[topic].name,
                 partition, (long long)offset);
    struct known *known = known_at(part, offset);
    if (known->mark.n != 0 && !same(known->mark, mark))
        sim_fail("%s: %s-%d had at %lld record %llu of producer %u (%s), now it has %llu of %u", how,
                 scenario.topics[topic].name, partition, (long long)offset, (unsigned long long)known->mark.n,
                 known->mark.producer, known->is_acked ? "acknowledged" : "seen", (unsigned long long)mark.n,
                 mark.producer);
    known->mark = mark;
    return known;
}

void facts_sent(struct mark mark)
{
    struct fact_part *part = part_of(mark.topic, (int32_t)mark.partition);
    ASSERT_CMP(mark.n, ==, part->sent[mark.producer] + 1);
    part->sent[mark.producer] = mark.n;
}

void facts_acked(struct mark mark, int64_t offset)
{
    struct fact_part *part = part_of(mark.topic, (int32_t)mark.partition);
    while (part->acked[mark.producer].len <= mark.n)
        vec_push_zero(&part->acked[mark.producer]);
    part->acked[mark.producer].at[mark.n] = true;
    facts.acked++;
    scenario_promised(PROMISE_RECORDS);
    if (offset >= 0)
        tell(mark.topic, (int32_t)mark.partition, offset, mark, "acknowledgement")->is_acked = true;
}

void facts_seen(uint16_t topic, int32_t partition, int64_t offset, struct mark mark)
{
    tell(topic, partition, offset, mark, "fetch");
    facts.seen++;
}

int64_t facts_hw(uint16_t topic, int32_t partition)
{
    return part_of(topic, partition)->hw;
}

void facts_hw_answered(uint16_t topic, int32_t partition, int64_t least, int64_t hw)
{
    struct fact_part *part = part_of(topic, partition);
    if (hw < least)
        sim_fail("%s-%d: the high watermark went back from %lld to %lld", scenario.topics[topic].name,
                 partition, (long long)least, (long long)hw);
    part->hw = MAX(part->hw, hw);
}

/* ---- a full read ---- */

void facts_read_begin(uint16_t topic, int32_t partition)
{
    struct fact_part *part = part_of(topic, partition);
    facts.topic = topic;
    facts.partition = partition;
    memset(part->last_n, 0, sizeof part->last_n);
    for (size_t i = 0; i < PRODUCERS_MAX; i++)
        vec_clear(&part->found[i]);
}

/* V2 */
void facts_read(int64_t offset, struct mark mark)
{
    struct fact_part *part = part_of(facts.topic, facts.partition);
    tell(facts.topic, facts.partition, offset, mark, "final read");
    if (facts.idempotent[mark.producer] && mark.n <= part->last_n[mark.producer])
        sim_fail("%s-%d: record %llu of idempotent producer %u comes at %lld, after its record %llu",
                 scenario.topics[facts.topic].name, facts.partition, (unsigned long long)mark.n,
                 mark.producer, (long long)offset, (unsigned long long)part->last_n[mark.producer]);
    part->last_n[mark.producer] = mark.n;
    while (part->found[mark.producer].len <= mark.n)
        vec_push_zero(&part->found[mark.producer]);
    part->found[mark.producer].at[mark.n] = true;
}

void facts_read_end(int64_t hw)
{
    struct fact_part *part = part_of(facts.topic, facts.partition);
    const char *topic = scenario.topics[facts.topic].name;
    for (size_t offset = 0; offset < part->at.len; offset++)
        if (part->at.at[offset].mark.n != 0 && (int64_t)offset >= hw)
            sim_fail("%s-%d ends at %lld: offset %zu, %s, is lost", topic, facts.partition, (long long)hw,
                     offset, part->at.at[offset].is_acked ? "acknowledged" : "seen by a consumer");
    for (size_t i = 0; i < PRODUCERS_MAX; i++)
        for (size_t n = 0; n < part->acked[i].len; n++)
            if (part->acked[i].at[n] && (n >= part->found[i].len || !part->found[i].at[n]))
                sim_fail("%s-%d: record %zu of producer %zu was acknowledged and is not there", topic,
                         facts.partition, n, i);
}

uint64_t facts_acked_count(void)
{
    return facts.acked;
}

uint64_t facts_seen_count(void)
{
    return facts.seen;
}
