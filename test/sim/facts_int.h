/* facts_int.h - what is known of records, shared by the files that check it (facts.c, compact_facts.c). */
#ifndef RIALTO_TEST_SIM_FACTS_INT_H
#define RIALTO_TEST_SIM_FACTS_INT_H

#include "clients.h"

enum { PARTITIONS_MAX = 8, PRODUCERS_MAX = 32 };

/* A record at an offset; mark.n 0: nothing is known. */
struct known {
    struct mark mark;
    bool is_acked, found;
    uint64_t since;    /* losses when it was first told: it was there by then */
    int64_t told_us;   /* when that was */
    uint64_t survived; /* losses; UINT64_MAX: it survives all */
};

/* What became of a record that was sent. */
struct sent_fact {
    int64_t sent_ms, offset; /* -1: not known */
    int64_t lost_from;       /* a loss took it from this offset; -1: none has */
    bool acked, found, found_committed;
    uint64_t survived;
};

struct fact_part {
    vec(struct known) at; /* by offset */
    vec(struct sent_fact) sent[PRODUCERS_MAX];
    int64_t start, hw;
    int64_t asked; /* DeleteRecords were asked to go up to here */
};

struct identity {
    int64_t pid;
    int16_t epoch;
};

struct facts {
    struct fact_part parts[COUNT_OF(scenario.topics)][PARTITIONS_MAX];
    bool idempotent[PRODUCERS_MAX];
    uint16_t producer_count;
    uint64_t acked, seen, trimmed, compacted, lost;
    vec(struct identity) identities;
    /* of the read under way */
    uint16_t topic;
    int32_t partition;
    uint64_t last_n[PRODUCERS_MAX];
};

extern struct facts facts;

struct fact_part *fact_part(uint16_t topic, int32_t partition);
struct sent_fact *fact_sent(struct mark mark);

/* No loss can have taken it. */
bool known_is_safe(const struct known *known);

#endif
