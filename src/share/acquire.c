/* acquire.c - a member takes records of the batches that were read for it.
 *
 *   log      [10..14] [15..19]   [25..29 control] [30..34]        a gap between 19 and 25
 *   ranges   10..12 Available, 13..17 Acquired, 18..19 Available, nothing after
 *   taken    10..12,                            18..19,                 30..34        20..29 are done with
 *
 * (Q1) Without `exact` a batch is taken as a whole as far as it is available: clients decode whole batches anyway.
 * (Q2) Records that have come back often are taken in ever smaller pieces, the last time one by one: if one of them breaks
 *      its readers, its neighbours are not given up with it.
 * (Q3) Nothing of it is a record (S3), but for the start, which moves over gaps at the front.
 */
#include "share/share_int.h"

struct acquiring {
    struct share_part *part;
    struct share_acquire *call;
    uint64_t holder;
    int64_t lock_ms, locks_max, deliveries_max;
    int64_t left;       /* of records_max */
    int64_t out_len;    /* of the last range of the answer */
    bool full, new_out; /* no more; the next range begins anew */
    bool exact, pieces; /* batches are cut; because of Q2 */
    vec(struct share_acquired) out;
};

/* --- what is not there --- */

/* Offsets that hold nothing to deliver: what is available of them is done with. */
static void pass_over(struct acquiring *a, int64_t first, int64_t last)
{
    struct share_part *part = a->part;
    const struct share_range gone = {.state = SHARE_ARCHIVED};
    for (int64_t at = first, to; at <= last; at = to + 1) {
        size_t i = share_ranges_find(&part->ranges, at);
        bool known = i < part->ranges.list.len;
        to = known ? MIN(part->ranges.list.at[i].last, last) : last;
        if (!known || part->ranges.list.at[i].state == SHARE_AVAILABLE)
            share_ranges_set(&part->ranges, part->start_offset, at, to, &gone);
    }
}

/* --- what is --- */

static void add_out(struct acquiring *a, int64_t first, int64_t last, int16_t delivery_count)
{
    struct share_acquired *end = a->out.len != 0 ? &vec_last(&a->out) : NULL;
    if (end != NULL && !a->new_out && end->last + 1 == first && end->delivery_count == delivery_count) {
        end->last = last;
        a->out_len += last - first + 1;
        return;
    }
    a->new_out = false;
    a->out_len = last - first + 1;
    vec_push(&a->out, (struct share_acquired){first, last, delivery_count});
}

/* Q2: how many of `len` records that were delivered `count` times are taken at once. */
static int64_t piece_of(const struct acquiring *a, int64_t len, int16_t count)
{
    int64_t often = MAX((a->deliveries_max + 1) / 2, 2);
    if (count < often)
        return INT64_MAX;
    return count + 1 >= a->deliveries_max ? 1 : MAX(len >> (count - often + 1), 1);
}

/* Takes an available piece, cut to what may be taken; gives its last offset. */
static int64_t take(struct acquiring *a, int64_t first, int64_t last, int16_t count)
{
    if (a->exact && last - first >= a->left)
        last = first + a->left - 1;
    a->left -= last - first + 1;
    a->full = a->exact && a->left == 0;
    struct share_range range = {
        .state = SHARE_ACQUIRED,
        .delivery_count = (int16_t)MIN(count + 1, INT16_MAX),
        .holder = a->holder,
        .lock_ms = a->lock_ms,
    };
    share_ranges_set(&a->part->ranges, a->part->start_offset, first, last, &range);
    add_out(a, first, last, range.delivery_count);
    return last;
}

/* The same of a range in flight. */
static int64_t take_again(struct acquiring *a, const struct share_range *range, int64_t first, int64_t last)
{
    int64_t piece = piece_of(a, range->last - first + 1, range->delivery_count);
    if (piece != INT64_MAX && !a->pieces) {
        a->pieces = a->exact = true;
        a->left = MIN(a->left, piece);
    }
    return take(a, first, last, range->delivery_count);
}

/* Takes what is available of a batch. */
static void take_batch(struct acquiring *a, int64_t first, int64_t last)
{
    struct share_part *part = a->part;
    for (int64_t at = first, to; at <= last && !a->full; at = to + 1) {
        size_t i = share_ranges_find(&part->ranges, at);
        if (i < part->ranges.list.len) {
            const struct share_range *range = &part->ranges.list.at[i];
            to = MIN(range->last, last);
            if (range->state == SHARE_AVAILABLE)
                to = take_again(a, range, at, to);
            continue;
        }
        int64_t room = a->locks_max - (at - part->start_offset);
        if (room <= 0) {
            a->full = true;
            return;
        }
        to = take(a, at, a->exact ? MIN(last, at + room - 1) : last, 0);
    }
}

/* --- the call --- */

static void take_all(struct acquiring *a)
{
    const struct share_acquire *call = a->call;
    int64_t next = MAX(call->from_offset, a->part->start_offset);
    for (size_t i = 0; i < call->batch_count && !a->full && a->left > 0; i++) {
        const struct share_batch *batch = &call->batches[i];
        int64_t first = MAX(batch->first, next);
        if (batch->last < next)
            continue;
        if (first > next)
            pass_over(a, next, first - 1);
        if (batch->deliverable)
            take_batch(a, first, batch->last);
        else
            pass_over(a, first, batch->last);
        a->new_out = a->out_len >= MAX(call->batch_records, 1);
        next = batch->last + 1;
    }
}

bool share_decide_acquire(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct shares *shares = state;
    struct share_acquire *call = request;
    struct acquiring a = {.part = share_part_find(shares, &call->key), .call = call};
    call->acquired = NULL;
    call->acquired_count = 0;
    if (a.part == NULL)
        return true;
    a.holder = share_holder(shares, call->key.group, call->member, true);
    a.lock_ms = call->now_ms + share_part_limit(a.part, SHARE_LOCK_MS);
    a.locks_max = share_part_limit(a.part, SHARE_LOCKS_MAX);
    a.deliveries_max = share_part_limit(a.part, SHARE_DELIVERIES_MAX);
    a.left = MAX(call->records_max, 1);
    a.exact = call->exact;
    take_all(&a);
    share_part_time(a.part);
    share_add_update(a.part, &a.part->ranges, NULL, 0, MAX(call->log_start, a.part->start_offset),
                     call->now_ms, out);
    call->acquired_count = a.out.len;
    call->acquired = arena_dup(call->arena, a.out.at, a.out.len * sizeof *a.out.at);
    vec_fini(&a.out);
    return true;
}
