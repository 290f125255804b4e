/* share_facts.c - what members of a share group (KIP-932) were told, and the invariants over it.
 *
 *   given (count 1) -> given back, or the lock's end -> given (count 2) -> accepted | rejected
 *                                                      `-> ... delivered as often as the limit says: given up
 *
 * (H1) A record is delivered at most as often as the limit says. The count grows with each delivery of one life of the server;
 *      over restarts it does not go back behind a release that was acknowledged.
 * (H2) What was accepted or rejected, and acknowledged so, is never delivered again.
 * (H3) A record has one holder at a time: another is given it when the first has acknowledged it, its session is over, its lock
 *      may have ended, or the server has died. That the session was not over shows when it answers once more: until then it is
 *      a suspicion.
 * (H4) Who still holds a record can acknowledge it.
 * (H5) The start of a partition moves forward only.
 * (H6) At the end, when the group has worked all off, each record was accepted, rejected, or delivered as often as the limit
 *      says; answers that got lost, and acknowledgements whose answer did, may have been such.
 * (H7) A power cut with durability=os may take all of that back: from then on only the limit counts.
 * (H8) A log that a failure of the disk has taken offline is read again when there is room, and the state that lives in it with
 *      it: then H1, H3 and H4 hold as over a restart. That may take a while.
 */
#include "facts_int.h"

enum {
    LOCK_SLACK_US = 2000,  /* the server's clock has milliseconds */
    RENEWED_US = 10000000, /* H8 */
};

struct share_record {
    int64_t count, count_us; /* the largest that was told, and when */
    uint64_t count_start;    /* in which life of the server */
    int64_t floor, floor_us; /* deliveries that are remembered for sure, and since when */
    bool done, perhaps_done;
    int64_t done_us;
    int holder;                          /* 1 + member; 0: nobody for sure */
    int64_t held_from_us, held_until_us; /* at least */
};

static struct {
    int64_t limit, lock_us;
    bool weak; /* H7 */
    uint64_t lost_fetches;
    int64_t start[PARTITIONS_MAX];
    vec(struct share_record) records[PARTITIONS_MAX];
    struct {
        int64_t since_us; /* 0: nothing is suspected */
        char text[160];
    } suspicions[SHARE_MEMBERS_MAX];
} facts_share;

void facts_share_init(int64_t limit, int64_t lock_ms)
{
    facts_share.limit = limit;
    facts_share.lock_us = lock_ms * 1000;
}

void facts_share_cut(void)
{
    facts_share.weak = true;
}

static struct share_record *record_at(int32_t partition, int64_t offset)
{
    ASSERT(partition >= 0 && partition < PARTITIONS_MAX && offset >= 0);
    while (facts_share.records[partition].len <= (size_t)offset)
        vec_push_zero(&facts_share.records[partition]);
    return &facts_share.records[partition].at[offset];
}

/* H8 */
static bool is_sure_since(int64_t us)
{
    return scenario_failed_us() == 0 || scenario_failed_us() + RENEWED_US < us;
}

/* H1 */
static void check_count(const struct share_record *rec, const struct share_told *told)
{
    bool same_life = rec->count_start == told->server_start && told->server_start == scenario.starts;
    int64_t least = rec->floor_us < told->sent_us ? rec->floor + 1 : 1;
    if (same_life && is_sure_since(rec->count_us) && rec->count_us < told->sent_us)
        least = MAX(least, rec->count + 1);
    if (told->count < 1 || told->count > facts_share.limit)
        sim_fail("share group, %d at %lld: delivery %d of at most %lld", told->partition,
                 (long long)told->offset, told->count, (long long)facts_share.limit);
    if (told->count < least && !facts_share.weak)
        sim_fail("share group, %d at %lld: delivery %d, it was delivered %lld times before", told->partition,
                 (long long)told->offset, told->count, (long long)least - 1);
}

/* H3 */
static void check_holder(const struct share_record *rec, const struct share_told *told)
{
    int64_t now_us = sim_now_us();
    if (rec->holder == 0 || rec->held_from_us >= told->sent_us || now_us >= rec->held_until_us ||
        !is_sure_since(rec->held_from_us))
        return;
    size_t holder = (size_t)rec->holder - 1;
    if (facts_share.suspicions[holder].since_us != 0)
        return;
    facts_share.suspicions[holder].since_us = now_us;
    snprintf(facts_share.suspicions[holder].text, sizeof facts_share.suspicions[holder].text,
             "share group, %d at %lld: given to member %zu while member %zu has it", told->partition,
             (long long)told->offset, told->member, holder);
}

void facts_share_given(const struct share_told *told)
{
    struct share_record *rec = record_at(told->partition, told->offset);
    int64_t now_us = sim_now_us();
    check_count(rec, told);
    if (rec->done && rec->done_us < told->sent_us && !facts_share.weak) /* H2 */
        sim_fail("share group, %d at %lld: delivered after it was acknowledged", told->partition,
                 (long long)told->offset);
    if (!facts_share.weak)
        check_holder(rec, told);
    bool late = rec->count_us >= told->sent_us; /* who came first is not known */
    if (!late || told->count > rec->count) {
        rec->count = told->count;
        rec->count_us = now_us;
        rec->count_start = told->server_start;
    }
    rec->holder = late ? 0 : (int)told->member + 1;
    rec->held_from_us = now_us;
    rec->held_until_us = late ? 0 : told->sent_us + facts_share.lock_us - LOCK_SLACK_US;
}

void facts_share_acks(size_t member, int32_t partition, int64_t offset, int type)
{
    struct share_record *rec = record_at(partition, offset);
    if (type != SHARE_TYPE_RELEASE)
        rec->perhaps_done = true;
    if (rec->holder == (int)member + 1)
        rec->holder = 0;
}

void facts_share_acked(int32_t partition, int64_t offset, int type, int64_t count)
{
    struct share_record *rec = record_at(partition, offset);
    if (type == SHARE_TYPE_RELEASE) {
        rec->floor = MAX(rec->floor, count);
        rec->floor_us = sim_now_us();
        return;
    }
    rec->done = true;
    rec->done_us = sim_now_us();
    scenario_promised(PROMISE_OFFSET);
}

bool facts_share_holds(size_t member, int32_t partition, int64_t offset)
{
    const struct share_record *rec = record_at(partition, offset);
    return rec->holder == (int)member + 1 && sim_now_us() < rec->held_until_us &&
           is_sure_since(rec->held_from_us);
}

int64_t facts_share_held_until(int32_t partition, int64_t first, int64_t last)
{
    int64_t until_us = INT64_MAX;
    for (int64_t at = first; at <= last; at++)
        until_us = MIN(until_us, record_at(partition, at)->held_until_us);
    return until_us;
}

void facts_share_alive(size_t member, int64_t sent_us)
{
    if (facts_share.suspicions[member].since_us != 0 && facts_share.suspicions[member].since_us < sent_us &&
        !facts_share.weak)
        sim_fail("%s", facts_share.suspicions[member].text);
}

void facts_share_gone(size_t member, bool fetch_lost)
{
    facts_share.lost_fetches += fetch_lost;
    facts_share.suspicions[member].since_us = 0;
    for (size_t i = 0; i < PARTITIONS_MAX; i++)
        for (size_t k = 0; k < facts_share.records[i].len; k++)
            if (facts_share.records[i].at[k].holder == (int)member + 1)
                facts_share.records[i].at[k].holder = 0;
}

int64_t facts_share_start(int32_t partition)
{
    return facts_share.start[partition];
}

/* H5 */
void facts_share_start_answered(int32_t partition, int64_t least, int64_t start)
{
    if (start < least && !facts_share.weak)
        sim_fail("share group, %d: the start went back from %lld to %lld", partition, (long long)least,
                 (long long)start);
    facts_share.start[partition] = MAX(facts_share.start[partition], start);
}

/* H6 */
static void check_record(int32_t partition, int64_t offset)
{
    const struct share_record *rec = record_at(partition, offset);
    int64_t perhaps = rec->count + (int64_t)facts_share.lost_fetches;
    if (rec->done || rec->perhaps_done || perhaps >= facts_share.limit)
        return;
    sim_fail(
        "share group, %d at %lld: worked off after %lld of %lld deliveries, and nobody has acknowledged it",
        partition, (long long)offset, (long long)rec->count, (long long)facts_share.limit);
}

void facts_share_check(uint16_t topic)
{
    if (facts_share.weak || topic_forgets(&scenario.topics[topic]))
        return;
    for (int32_t i = 0; i < scenario.topics[topic].partition_count; i++) {
        const struct fact_part *part = fact_part(topic, i);
        for (size_t k = 0; k < part->at.len; k++)
            if (part->at.at[k].mark.n != 0 && known_is_safe(&part->at.at[k]))
                check_record(i, (int64_t)k);
    }
}
