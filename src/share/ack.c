/* ack.c - what a member says became of records.
 *
 *   accept   Acknowledged                      release  Available, or Archived after the last delivery
 *   reject   Archived                          gap      Archived: there was no record at the offset
 *   renew    Acquired, for another while
 *
 * The call works on a copy of the ranges; when all of it is right, the difference becomes one record. Renewals are no
 * difference: they are made in place (S3).
 */
#include "share/share_int.h"

struct acking {
    struct share_part *part;
    struct share_ack *call;
    uint64_t holder;
    int64_t lock_ms, deliveries_max;
    struct share_ranges after;
    vec(struct share_span) spans, renewed;
};

static bool refuse(struct share_ack *call, int16_t error, const char *message)
{
    call->error = error;
    call->message = message;
    return false;
}

/* What a range of the member's becomes. */
static struct share_range outcome(const struct acking *a, struct share_range range, enum share_ack_type type)
{
    if (type == SHARE_RENEW) {
        range.lock_ms = a->lock_ms;
        return range;
    }
    if (type == SHARE_RELEASE)
        return share_range_release(range, a->deliveries_max);
    return share_range_let_go(range, type == SHARE_ACCEPT ? SHARE_ACKNOWLEDGED : SHARE_ARCHIVED);
}

/* One type for [first, last]. */
static bool ack_span(struct acking *a, int64_t first, int64_t last, enum share_ack_type type)
{
    first = MAX(first, a->part->start_offset);
    for (int64_t at = first, to; at <= last; at = to + 1) {
        size_t i = share_ranges_find(&a->after, at);
        if (i == a->after.list.len)
            return refuse(a->call, SHARE_INVALID_OFFSETS, "The offsets are not among the records in flight.");
        struct share_range range = a->after.list.at[i];
        to = MIN(range.last, last);
        if (range.state != SHARE_ACQUIRED)
            return refuse(a->call, SHARE_INVALID_STATE,
                          "The records are not acquired: their lock may have ended.");
        if (range.holder != a->holder)
            return refuse(a->call, SHARE_INVALID_STATE, "The records are acquired by another member.");
        range = outcome(a, range, type);
        share_ranges_set(&a->after, a->part->start_offset, at, to, &range);
        if (type == SHARE_RENEW)
            vec_push(&a->renewed, (struct share_span){at, to});
    }
    if (type != SHARE_RENEW && first <= last)
        vec_push(&a->spans, (struct share_span){first, last});
    return true;
}

/* Runs of equal types are one. */
static bool ack_batch(struct acking *a, const struct share_ack_batch *batch)
{
    if (batch->type_count == 1)
        return ack_span(a, batch->first, batch->last, (enum share_ack_type)batch->types[0]);
    for (int32_t from = 0, to; from < batch->type_count; from = to) {
        for (to = from + 1; to < batch->type_count && batch->types[to] == batch->types[from];)
            to++;
        if (!ack_span(a, batch->first + from, batch->first + to - 1, (enum share_ack_type)batch->types[from]))
            return false;
    }
    return true;
}

static void renew(struct acking *a)
{
    struct share_part *part = a->part;
    for (size_t i = 0; i < a->renewed.len; i++) {
        const struct share_span *span = &a->renewed.at[i];
        struct share_range range = part->ranges.list.at[share_ranges_find(&part->ranges, span->first)];
        range.lock_ms = a->lock_ms;
        share_ranges_set(&part->ranges, part->start_offset, span->first, span->last, &range);
    }
    share_part_time(part);
}

bool share_decide_ack(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct shares *shares = state;
    struct share_ack *call = request;
    struct acking a = {.part = share_part_find(shares, &call->key), .call = call};
    bool good = true;
    call->error = 0;
    call->message = NULL;
    if (a.part == NULL) {
        call->error = SHARE_UNKNOWN_PARTITION;
        return true;
    }
    a.holder = share_holder(shares, call->key.group, call->member, false);
    a.lock_ms = call->now_ms + share_part_limit(a.part, SHARE_LOCK_MS);
    a.deliveries_max = share_part_limit(a.part, SHARE_DELIVERIES_MAX);
    share_ranges_copy(&a.after, &a.part->ranges);
    for (size_t i = 0; i < call->batch_count && good; i++)
        good = ack_batch(&a, &call->batches[i]);
    if (good && a.renewed.len != 0)
        renew(&a);
    if (good)
        share_add_update(a.part, &a.after, a.spans.at, a.spans.len, a.part->start_offset, call->now_ms, out);
    vec_fini(&a.after.list);
    vec_fini(&a.spans);
    vec_fini(&a.renewed);
    return true;
}
