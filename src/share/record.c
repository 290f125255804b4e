/* record.c - share partitions as records of __share_group_state, and back.
 *
 *   type  key                      value                                             null value
 *      0  group, topic, partition  start, and every range that is not plainly new    the share partition is gone
 *      1  group, topic, partition  what changed: ranges, and the start if it moved   nothing
 *
 * (R1) A partition's first record is of type 0, and a later one of type 0 replaces everything. One of type 1 without it says
 *      nothing: where a log has lost the first one, the state follows whole (replay, P4).
 * (R2) Acquired is written as what it was before: Available, delivered once less (P3).
 */
#include "share/share_int.h"

enum { TYPE_SNAPSHOT = 0, TYPE_UPDATE = 1 };

typedef struct ShareSnapshotValue_StateBatch snapshot_batch;
typedef struct ShareUpdateValue_StateBatch update_batch;

/* --- to records --- */

static void add(const struct wire_message *key_msg, const struct share_key *key,
                const struct wire_message *value_msg, const void *value, int64_t now_ms,
                struct replay_records *out)
{
    struct ShareSnapshotKey fields = {.GroupId = key->group,
                                      .TopicId = key->topic,
                                      .Partition = key->partition};
    _Static_assert(sizeof(struct ShareSnapshotKey) == sizeof(struct ShareUpdateKey), "both keys are alike");
    replay_add_typed(out, key_msg, &fields, value_msg, 0, value, now_ms);
}

void share_add_fresh(const struct share_key *key, int64_t start_offset, int32_t snapshot_epoch,
                     int32_t state_epoch, int64_t create_ms, int64_t now_ms, struct replay_records *out)
{
    struct ShareSnapshotValue value = {
        .SnapshotEpoch = snapshot_epoch,
        .StateEpoch = state_epoch,
        .StartOffset = start_offset,
        .DeliveryCompleteCount = 0,
        .CreateTimestamp = create_ms,
        .WriteTimestamp = now_ms,
    };
    add(&ShareSnapshotKey_message, key, &ShareSnapshotValue_message, &value, now_ms, out);
}

void share_add_end(const struct share_key *key, int64_t now_ms, struct replay_records *out)
{
    add(&ShareSnapshotKey_message, key, NULL, NULL, now_ms, out);
}

/* Offsets that are done with from the start on. */
static int32_t done_count(const struct share_ranges *ranges, int64_t start)
{
    int64_t count = 0;
    for (size_t i = 0; i < ranges->list.len; i++) {
        const struct share_range *range = &ranges->list.at[i];
        if (share_range_is_done(range) && range->last >= start)
            count += range->last - MAX(range->first, start) + 1;
    }
    return (int32_t)MIN(count, INT32_MAX);
}

/* The rows of the spans from the start on, as `after` has them. */
static void fill_update(struct ShareUpdateValue *value, const struct share_ranges *after,
                        const struct share_span *spans, size_t span_count, int64_t start, struct arena *arena)
{
    vec(update_batch) rows = {0};
    for (size_t i = 0; i < span_count; i++) {
        int64_t first = MAX(spans[i].first, start);
        for (size_t j = share_ranges_find(after, first);
             j < after->list.len && after->list.at[j].first <= spans[i].last; j++) {
            const struct share_range *range = &after->list.at[j];
            if (range->state != SHARE_ACQUIRED)
                vec_push(&rows, (update_batch){MAX(range->first, first), MIN(range->last, spans[i].last),
                                               (int8_t)range->state, range->delivery_count});
        }
    }
    value->StateBatches.at = arena_dup(arena, rows.at, rows.len * sizeof *rows.at);
    value->StateBatches.len = (int32_t)rows.len;
    vec_fini(&rows);
}

void share_add_update(const struct share_part *part, const struct share_ranges *after,
                      const struct share_span *spans, size_t span_count, int64_t start_min, int64_t now_ms,
                      struct replay_records *out)
{
    struct arena arena = {0};
    int64_t start = share_ranges_done_until(after, MAX(part->start_offset, start_min));
    struct ShareUpdateValue value = {
        .SnapshotEpoch = part->snapshot_epoch,
        .StartOffset = start != part->start_offset ? start : -1,
        .DeliveryCompleteCount = done_count(after, start),
    };
    fill_update(&value, after, spans, span_count, start, &arena);
    if (value.StateBatches.len != 0 || value.StartOffset >= 0)
        add(&ShareUpdateKey_message, &part->key, &ShareUpdateValue_message, &value, now_ms, out);
    arena_fini(&arena);
}

/* R2. False: nothing that a restart would not find by itself. */
static bool row_of(const struct share_range *range, snapshot_batch *row)
{
    bool acquired = range->state == SHARE_ACQUIRED;
    *row = (snapshot_batch){range->first, range->last, (int8_t)(acquired ? SHARE_AVAILABLE : range->state),
                            (int16_t)(range->delivery_count - acquired)};
    return row->DeliveryState != SHARE_AVAILABLE || row->DeliveryCount != 0;
}

static void add_snapshot(const struct share_part *part, struct replay_records *out)
{
    struct ShareSnapshotValue value = {
        .SnapshotEpoch = part->snapshot_epoch,
        .StateEpoch = part->state_epoch,
        .StartOffset = part->start_offset,
        .DeliveryCompleteCount = done_count(&part->ranges, part->start_offset),
        .CreateTimestamp = part->create_ms,
        .WriteTimestamp = part->create_ms,
    };
    vec(snapshot_batch) rows = {0};
    for (size_t i = 0; i < part->ranges.list.len; i++) {
        snapshot_batch row, *last = rows.len != 0 ? &vec_last(&rows) : NULL;
        if (!row_of(&part->ranges.list.at[i], &row))
            continue;
        if (last != NULL && last->LastOffset + 1 == row.FirstOffset &&
            last->DeliveryState == row.DeliveryState && last->DeliveryCount == row.DeliveryCount)
            last->LastOffset = row.LastOffset;
        else
            vec_push(&rows, row);
    }
    value.StateBatches.at = rows.at;
    value.StateBatches.len = (int32_t)rows.len;
    add(&ShareSnapshotKey_message, &part->key, &ShareSnapshotValue_message, &value, part->create_ms, out);
    vec_fini(&rows);
}

static void snapshot(void *state, struct replay_records *out)
{
    const struct shares *shares = state;
    void *part;
    for (size_t i = 0; map_next(&shares->parts, &i, NULL, &part);)
        add_snapshot(part, out);
}

/* --- from records --- */

static bool set_row(struct share_part *part, int64_t first, int64_t last, int8_t state, int16_t count,
                    struct err *err)
{
    bool known = state == SHARE_AVAILABLE || state == SHARE_ACKNOWLEDGED || state == SHARE_ARCHIVED;
    if (!known || first < 0 || last < first || last == INT64_MAX || count < 0)
        return err_set(err, ERR_CORRUPT, "offsets %lld to %lld in state %d, delivered %d times, are no range",
                       (long long)first, (long long)last, state, count);
    struct share_range range = {.state = (enum share_state)state, .delivery_count = count};
    first = MAX(first, part->start_offset);
    if (first <= last)
        share_ranges_set(&part->ranges, part->start_offset, first, last, &range);
    return true;
}

static void freed(struct share_part *part)
{
    share_part_time(part);
    part->shares->owner.freed(part->shares->owner.arg, part->key.group);
}

static bool apply_snapshot(struct shares *shares, const struct share_key *key,
                           const struct replay_record *rec, struct arena *arena, struct err *err)
{
    struct ShareSnapshotValue value;
    bool good = true;
    if (str_is_null(rec->value)) {
        struct share_part *gone = share_part_find(shares, key);
        if (gone != NULL)
            share_part_remove(gone);
        return true;
    }
    if (!wire_decode_value(&ShareSnapshotValue_message, rec->value, &value, arena, err))
        return false;
    if (value.StartOffset < 0)
        return err_set(err, ERR_CORRUPT, "start offset %lld of a share partition is negative",
                       (long long)value.StartOffset);
    struct share_part *part = share_part_make(shares, key);
    part->snapshot_epoch = value.SnapshotEpoch;
    part->state_epoch = value.StateEpoch;
    part->start_offset = value.StartOffset;
    part->create_ms = value.CreateTimestamp;
    vec_clear(&part->ranges.list);
    for (int32_t i = 0; i < value.StateBatches.len && good; i++) {
        const snapshot_batch *row = &value.StateBatches.at[i];
        good = set_row(part, row->FirstOffset, row->LastOffset, row->DeliveryState, row->DeliveryCount, err);
    }
    freed(part);
    return good;
}

static bool apply_update(struct shares *shares, const struct share_key *key, const struct replay_record *rec,
                         struct arena *arena, struct err *err)
{
    struct ShareUpdateValue value;
    struct share_part *part = share_part_find(shares, key);
    bool good = true;
    if (str_is_null(rec->value))
        return true;
    if (!wire_decode_value(&ShareUpdateValue_message, rec->value, &value, arena, err))
        return false;
    if (part == NULL) /* R1 */
        return true;
    for (int32_t i = 0; i < value.StateBatches.len && good; i++) {
        const update_batch *row = &value.StateBatches.at[i];
        good = set_row(part, row->FirstOffset, row->LastOffset, row->DeliveryState, row->DeliveryCount, err);
    }
    if (value.StartOffset > part->start_offset) {
        part->start_offset = value.StartOffset;
        share_ranges_drop(&part->ranges, value.StartOffset);
    }
    freed(part);
    return good;
}

static bool apply(void *state, const struct replay_record *rec, struct err *err)
{
    struct arena arena = {0};
    struct ShareSnapshotKey fields;
    uint16_t type = rec->key.len < 2 ? UINT16_MAX : load_be16(rec->key.ptr);
    if (type != TYPE_SNAPSHOT && type != TYPE_UPDATE)
        return err_set(err, ERR_CORRUPT, "a key of %zu bytes is not one of a share partition", rec->key.len);
    bool good = wire_decode(&ShareSnapshotKey_message, 0, str_sub(rec->key, 2, rec->key.len), &fields, NULL,
                            &arena, err);
    struct share_key key = {fields.GroupId, fields.TopicId, fields.Partition};
    if (good)
        good = type == TYPE_SNAPSHOT ? apply_snapshot(state, &key, rec, &arena, err)
                                     : apply_update(state, &key, rec, &arena, err);
    arena_fini(&arena);
    return good;
}

const struct replay_class shares_class = {.name = "share groups", .apply = apply, .snapshot = snapshot};
