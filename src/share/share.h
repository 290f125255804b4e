/* share.h - share partitions (KIP-932): which records of a partition a share group is done with, and who works on the
 * others. A state over `replay`, in Kafka's own record formats (ShareSnapshot, ShareUpdate).
 *
 *   offsets   |done ... |  in flight: Available, Acquired, Acknowledged, Archived  |  not looked at yet ...
 *                       start                                                      end
 *
 *   share_decide_start    a group meets a partition          share_decide_ack       accept, release, reject, renew
 *   share_decide_acquire  a member gets records, for a time  share_decide_tick      that time is over
 *
 * (S1) A record is in the hands of one member at a time, until it acknowledges or releases it or its lock ends.
 * (S2) What is acknowledged or archived is so in the topic before anybody is told; it is never handed out again.
 * (S3) Acquiring is no record: a restart makes what was acquired available again, with the delivery count of before. A
 *      release, by the member or for it, is one.
 * (S4) No clock, no I/O, no lock inside: the time and the batches of the log come with the call.
 * All functions run under the lock of the state's `struct replay`.
 */
#ifndef RIALTO_SHARE_SHARE_H
#define RIALTO_SHARE_SHARE_H

#include "base/base.h"
#include "replay/replay.h"
#include "wire/wire.h"

struct shares;

/* What a group may have of each partition. */
enum share_limit {
    SHARE_LOCK_MS,        /* how long a member may keep a record */
    SHARE_DELIVERIES_MAX, /* how often a record is delivered before it is given up */
    SHARE_LOCKS_MAX,      /* records in flight */
};

/* Whose state it is. Both are called inside decide and apply: quick, without a lock above those of the state. */
struct share_owner {
    void *arg;
    int64_t (*limit)(void *arg, struct str group, enum share_limit limit);
    /* There may be something to acquire for the group again. */
    void (*freed)(void *arg, struct str group);
};

struct shares *shares_new(const struct share_owner *owner); /* copied */
void shares_free(struct shares *shares);

/* apply and snapshot over a `struct shares`. */
extern const struct replay_class shares_class;

struct share_key {
    struct str group;
    struct uuid topic;
    int32_t partition;
};

/* --- requests of the decide functions; they return true, errors are in the request --- */

/* A share partition comes to be, at an offset. Nothing happens when it is there already. */
struct share_start {
    struct share_key key;
    int64_t start_offset, now_ms;
};
bool share_decide_start(void *shares, void *share_start, struct replay_records *out, struct err *err);

/* A batch as it is in the log; offsets inclusive. */
struct share_batch {
    int64_t first, last;
    bool deliverable; /* not a control batch, not of an aborted transaction that nobody is to read */
};

/* Records that are the member's now; offsets inclusive. */
struct share_acquired {
    int64_t first, last;
    int16_t delivery_count;
};

/* A member takes what is available in the batches. What is between them, or not deliverable, is done with. */
struct share_acquire {
    struct share_key key;
    struct str member;
    int64_t now_ms;
    int64_t log_start;   /* what was before it is gone */
    int64_t from_offset; /* where the batches were read from: nothing is between it and the first of them */
    const struct share_batch *batches;
    size_t batch_count;
    int64_t records_max; /* no further batch is begun beyond it */
    bool exact; /* batches are cut to keep to records_max, and to the group's limit of records in flight */
    int64_t
        batch_records; /* a range of the answer ends with the first batch that brings it to so many records */
    struct arena *arena;
    /* reply, in the arena */
    struct share_acquired *acquired;
    size_t acquired_count;
};
bool share_decide_acquire(void *shares, void *share_acquire, struct replay_records *out, struct err *err);

/* As members say it on the wire. */
enum share_ack_type { SHARE_GAP, SHARE_ACCEPT, SHARE_RELEASE, SHARE_REJECT, SHARE_RENEW, SHARE_ACK_TYPES };

struct share_ack_batch {
    int64_t first, last; /* inclusive, first <= last */
    const int8_t *types; /* enum share_ack_type, checked: one for all, or one for each offset */
    int32_t type_count;
};

/* A member says what became of records: all of it happens or, with an error, nothing. What is before the start already is
 * passed over. */
struct share_ack {
    struct share_key key;
    struct str member;
    int64_t now_ms;
    const struct share_ack_batch *batches;
    size_t batch_count;
    /* reply */
    int16_t error; /* Kafka's code */
    const char *message;
};
bool share_decide_ack(void *shares, void *share_ack, struct replay_records *out, struct err *err);

/* A member is gone: what it has goes back as if it had released it, in all partitions of the group. */
struct share_release {
    struct str group, member;
    int64_t now_ms;
};
bool share_decide_release(void *shares, void *share_release, struct replay_records *out, struct err *err);

/* The group begins anew at the offset, whatever was in flight. */
struct share_reset {
    struct share_key key;
    int64_t start_offset, now_ms;
};
bool share_decide_reset(void *shares, void *share_reset, struct replay_records *out, struct err *err);

/* Share partitions end: of a group (null: all groups) and a topic (`every_topic`: all topics). */
struct share_end {
    struct str group;
    struct uuid topic;
    bool every_topic;
    int64_t now_ms;
    /* reply */
    size_t count;
};
bool share_decide_end(void *shares, void *share_end, struct replay_records *out, struct err *err);

/* Locks that are over; the request is the time, a `const int64_t *`. */
bool share_decide_tick(void *shares, void *now_ms, struct replay_records *out, struct err *err);

/* When that has to run next; INT64_MAX: never, as things stand. */
int64_t shares_next_ms(const struct shares *shares);

/* --- readers --- */

struct share_info {
    struct share_key key; /* the group is borrowed under the lock */
    int64_t start_offset, end_offset;
    int64_t done_count;  /* offsets from the start on that are done with */
    int64_t next_offset; /* the first that can be acquired */
    bool open;           /* there may be something to acquire there */
    int32_t state_epoch;
};

/* False: the group has not met the partition. */
bool share_info_of(const struct shares *shares, const struct share_key *key, struct share_info *out);

/* Walks all share partitions; *pos starts at 0. */
bool share_info_next(const struct shares *shares, size_t *pos, struct share_info *out);

#endif
