/* share_int.h - private to src/share: a share partition in memory.
 *
 *   shares --parts--> share_part --ranges--> [10..14 Acquired by 3 until t, 1st time] [15..15 Available] [16..19 Acknowledged]
 *          |--holders (group and member -> number)
 *          `--timers  (of each partition: when its first lock ends)
 *
 * (P1) The ranges follow each other without holes, from `start_offset` on; neighbours differ.
 * (P2) The first range is not done with: the start moves over what is.
 * (P3) `state`, `delivery_count` of ranges that are not Acquired, and `start_offset` come from records. Acquired ranges, and
 *      gaps of the log that count as Archived, are forgotten by a restart and found again.
 */
#ifndef RIALTO_SHARE_SHARE_INT_H
#define RIALTO_SHARE_SHARE_INT_H

#include "share/share.h"

enum { SHARE_INVALID_STATE = 121, SHARE_INVALID_OFFSETS = 42, SHARE_UNKNOWN_PARTITION = 3 };

/* Kafka's numbers, as stored; Acquired is not. */
enum share_state { SHARE_AVAILABLE = 0, SHARE_ACQUIRED = 1, SHARE_ACKNOWLEDGED = 2, SHARE_ARCHIVED = 4 };

struct share_range {
    int64_t first, last; /* inclusive */
    enum share_state state;
    int16_t delivery_count;
    uint64_t holder; /* of Acquired: who, and until when */
    int64_t lock_ms;
};

/* --- ranges (ranges.c) --- */

struct share_ranges {
    vec(struct share_range) list;
};

/* The index of the range that holds the offset, or of the first one after it; list.len: there is none. */
size_t share_ranges_find(const struct share_ranges *ranges, int64_t offset);

/* Makes [first, last] what `as` says (its offsets do not count); what lies between the last range, or `start` when there is
 * none, and `first` becomes Available. first >= start. */
void share_ranges_set(struct share_ranges *ranges, int64_t start, int64_t first, int64_t last,
                      const struct share_range *as);

/* Forgets everything before the offset. */
void share_ranges_drop(struct share_ranges *ranges, int64_t offset);

/* Where the offsets from `start` on that are done with end; `start` when there are none. */
int64_t share_ranges_done_until(const struct share_ranges *ranges, int64_t start);

void share_ranges_copy(struct share_ranges *to, const struct share_ranges *from);

/* The range in nobody's hands any more. */
static inline struct share_range share_range_let_go(struct share_range range, enum share_state state)
{
    range.state = state;
    range.holder = 0;
    range.lock_ms = 0;
    return range;
}

/* An acquired range that is released, or whose lock ends. */
static inline struct share_range share_range_release(struct share_range range, int64_t deliveries_max)
{
    return share_range_let_go(range,
                              range.delivery_count < deliveries_max ? SHARE_AVAILABLE : SHARE_ARCHIVED);
}

static inline bool share_range_is_done(const struct share_range *range)
{
    return range->state == SHARE_ACKNOWLEDGED || range->state == SHARE_ARCHIVED;
}

/* --- partitions (share.c) --- */

struct share_part {
    struct shares *shares;
    struct share_key key; /* the group is owned */
    int64_t start_offset;
    struct share_ranges ranges;
    int32_t snapshot_epoch, state_epoch;
    int64_t create_ms;
    struct replay_timer timer; /* the first lock ends */
};

struct shares {
    struct share_owner owner;
    struct map parts;   /* share_map_key -> share_part */
    struct map holders; /* group, NUL, member -> (void *)number */
    uint64_t next_holder;
    struct replay_timers timers;
};

struct share_part *share_part_find(const struct shares *shares, const struct share_key *key);
struct share_part *share_part_make(struct shares *shares, const struct share_key *key);
void share_part_remove(struct share_part *part); /* frees it */
int64_t share_part_end(const struct share_part *part);
/* Starts the timer anew, after locks have changed. */
void share_part_time(struct share_part *part);
int64_t share_part_limit(const struct share_part *part, enum share_limit limit);

/* The number of a member, 0 when it has none and is not to get one. */
uint64_t share_holder(struct shares *shares, struct str group, struct str member, bool make);
void share_holder_forget(struct shares *shares, struct str group, struct str member);

/* --- records (record.c) --- */

/* Offsets that a call has changed; inclusive. */
struct share_span {
    int64_t first, last;
};

/* Adds the record that makes the partition's ranges those of `after` within the spans, and moves the start over what is done
 * with there, at least to `start_min`; nothing when neither changes anything. */
void share_add_update(const struct share_part *part, const struct share_ranges *after,
                      const struct share_span *spans, size_t span_count, int64_t start_min, int64_t now_ms,
                      struct replay_records *out);

/* A partition that has nothing in flight, from now on. */
void share_add_fresh(const struct share_key *key, int64_t start_offset, int32_t snapshot_epoch,
                     int32_t state_epoch, int64_t create_ms, int64_t now_ms, struct replay_records *out);
void share_add_end(const struct share_key *key, int64_t now_ms, struct replay_records *out);

#endif
