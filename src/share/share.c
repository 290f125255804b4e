/* share.c - share partitions in memory: making, finding, letting go; their locks' end; what readers see.
 *
 * A member of a group is a number here (`holders`), so that ranges hold no pointers and a member that is forgotten cannot be
 * mistaken for a later one: numbers are never used twice.
 */
#include "share/share_int.h"

/* --- keys --- */

/* Group, topic and partition as one key of the map. */
static struct str map_key(struct buf *buf, const struct share_key *key)
{
    buf_clear(buf);
    buf_append(buf, key->topic.bytes, sizeof key->topic.bytes);
    store_be32(buf_extend(buf, 4), (uint32_t)key->partition);
    buf_append_str(buf, key->group);
    return buf_str(buf);
}

struct share_part *share_part_find(const struct shares *shares, const struct share_key *key)
{
    struct buf buf = {0};
    struct share_part *part = map_get(&shares->parts, map_key(&buf, key));
    buf_fini(&buf);
    return part;
}

/* --- locks --- */

int64_t share_part_end(const struct share_part *part)
{
    const struct share_ranges *ranges = &part->ranges;
    return ranges->list.len != 0 ? vec_last(&ranges->list).last + 1 : part->start_offset;
}

int64_t share_part_limit(const struct share_part *part, enum share_limit limit)
{
    const struct share_owner *owner = &part->shares->owner;
    return owner->limit(owner->arg, part->key.group, limit);
}

void share_part_time(struct share_part *part)
{
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < part->ranges.list.len; i++)
        if (part->ranges.list.at[i].state == SHARE_ACQUIRED)
            first_ms = MIN(first_ms, part->ranges.list.at[i].lock_ms);
    replay_timer_start(&part->shares->timers, &part->timer, first_ms);
}

/* Which acquired ranges go back: those whose lock is over, or those of a member. */
struct going_back {
    int64_t until_ms;
    uint64_t holder; /* 0: whoever's */
};

/* They are available again, or were delivered often enough. */
static void go_back(const struct share_part *part, const struct going_back *which, int64_t now_ms,
                    struct replay_records *out)
{
    int64_t deliveries_max = share_part_limit(part, SHARE_DELIVERIES_MAX);
    struct share_ranges after;
    vec(struct share_span) spans = {0};
    share_ranges_copy(&after, &part->ranges);
    for (size_t i = 0; i < part->ranges.list.len; i++) {
        struct share_range range = part->ranges.list.at[i];
        if (range.state != SHARE_ACQUIRED || range.lock_ms > which->until_ms ||
            (which->holder != 0 && range.holder != which->holder))
            continue;
        range = share_range_release(range, deliveries_max);
        share_ranges_set(&after, part->start_offset, range.first, range.last, &range);
        vec_push(&spans, (struct share_span){range.first, range.last});
    }
    if (spans.len != 0)
        share_add_update(part, &after, spans.at, spans.len, part->start_offset, now_ms, out);
    vec_fini(&after.list);
    vec_fini(&spans);
}

/* Apply sets the timer; if the record cannot be appended, it is tried again in a while. */
static void lock_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out)
{
    enum { RETRY_MS = 1000 };
    struct share_part *part = LIST_ENTRY(timer, struct share_part, timer);
    go_back(part, &(struct going_back){.until_ms = now_ms}, now_ms, out);
    replay_timer_start(&part->shares->timers, &part->timer, now_ms + RETRY_MS);
}

bool share_decide_tick(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct shares *shares = state;
    replay_timers_fire(&shares->timers, *(const int64_t *)request, out);
    return true;
}

int64_t shares_next_ms(const struct shares *shares)
{
    return replay_timers_next_ms(&shares->timers);
}

/* --- partitions --- */

struct share_part *share_part_make(struct shares *shares, const struct share_key *key)
{
    struct share_part *part = share_part_find(shares, key);
    struct buf buf = {0};
    if (part != NULL)
        return part;
    part = mem_new(struct share_part);
    part->shares = shares;
    part->key = *key;
    part->key.group.ptr = mem_dup(key->group.ptr, key->group.len);
    part->timer.fire = lock_end;
    map_put(&shares->parts, map_key(&buf, key), part);
    buf_fini(&buf);
    return part;
}

static void part_free(struct share_part *part)
{
    replay_timer_stop(&part->shares->timers, &part->timer);
    vec_fini(&part->ranges.list);
    free((char *)part->key.group.ptr);
    free(part);
}

void share_part_remove(struct share_part *part)
{
    struct buf buf = {0};
    map_remove(&part->shares->parts, map_key(&buf, &part->key));
    buf_fini(&buf);
    part_free(part);
}

struct shares *shares_new(const struct share_owner *owner)
{
    struct shares *shares = mem_new(struct shares);
    shares->owner = *owner;
    return shares;
}

void shares_free(struct shares *shares)
{
    void *part;
    if (shares == NULL)
        return;
    for (size_t i = 0; map_next(&shares->parts, &i, NULL, &part);)
        part_free(part);
    map_fini(&shares->parts);
    map_fini(&shares->holders);
    vec_fini(&shares->timers.heap);
    free(shares);
}

/* --- members --- */

static struct str holder_key(struct buf *buf, struct str group, struct str member)
{
    buf_clear(buf);
    buf_append_str(buf, group);
    buf_append_char(buf, '\0');
    buf_append_str(buf, member);
    return buf_str(buf);
}

uint64_t share_holder(struct shares *shares, struct str group, struct str member, bool make)
{
    struct buf buf = {0};
    struct str key = holder_key(&buf, group, member);
    uint64_t number = (uint64_t)(uintptr_t)map_get(&shares->holders, key);
    if (number == 0 && make) {
        number = ++shares->next_holder;
        map_put(&shares->holders, key, (void *)(uintptr_t)number);
    }
    buf_fini(&buf);
    return number;
}

void share_holder_forget(struct shares *shares, struct str group, struct str member)
{
    struct buf buf = {0};
    map_remove(&shares->holders, holder_key(&buf, group, member));
    buf_fini(&buf);
}

bool share_decide_release(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct shares *shares = state;
    const struct share_release *release = request;
    struct going_back which = {.until_ms = INT64_MAX,
                               .holder = share_holder(shares, release->group, release->member, false)};
    void *part_ptr;
    if (which.holder == 0)
        return true;
    for (size_t i = 0; map_next(&shares->parts, &i, NULL, &part_ptr);) {
        const struct share_part *part = part_ptr;
        if (str_eq(part->key.group, release->group))
            go_back(part, &which, release->now_ms, out);
    }
    share_holder_forget(shares, release->group, release->member);
    return true;
}

/* --- begin and end --- */

bool share_decide_start(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct share_start *start = request;
    if (share_part_find(state, &start->key) == NULL)
        share_add_fresh(&start->key, start->start_offset, 0, 0, start->now_ms, start->now_ms, out);
    return true;
}

bool share_decide_reset(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct share_reset *reset = request;
    const struct share_part *part = share_part_find(state, &reset->key);
    share_add_fresh(&reset->key, reset->start_offset, part != NULL ? part->snapshot_epoch + 1 : 0,
                    part != NULL ? part->state_epoch + 1 : 0, part != NULL ? part->create_ms : reset->now_ms,
                    reset->now_ms, out);
    return true;
}

bool share_decide_end(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct shares *shares = state;
    struct share_end *end = request;
    void *part_ptr;
    end->count = 0;
    for (size_t i = 0; map_next(&shares->parts, &i, NULL, &part_ptr);) {
        const struct share_part *part = part_ptr;
        if ((!str_is_null(end->group) && !str_eq(part->key.group, end->group)) ||
            (!end->every_topic && !uuid_eq(part->key.topic, end->topic)))
            continue;
        share_add_end(&part->key, end->now_ms, out);
        end->count++;
    }
    return true;
}

/* --- readers --- */

static void fill_info(const struct share_part *part, struct share_info *out)
{
    const struct share_ranges *ranges = &part->ranges;
    bool found = false;
    *out = (struct share_info){
        .key = part->key,
        .start_offset = part->start_offset,
        .end_offset = share_part_end(part),
        .state_epoch = part->state_epoch,
    };
    out->next_offset = out->end_offset;
    for (size_t i = 0; i < ranges->list.len; i++) {
        const struct share_range *range = &ranges->list.at[i];
        if (share_range_is_done(range))
            out->done_count += range->last - range->first + 1;
        if (!found && range->state == SHARE_AVAILABLE) {
            found = true;
            out->next_offset = range->first;
        }
    }
    out->open = found || out->end_offset - out->start_offset < share_part_limit(part, SHARE_LOCKS_MAX);
}

bool share_info_of(const struct shares *shares, const struct share_key *key, struct share_info *out)
{
    const struct share_part *part = share_part_find(shares, key);
    if (part != NULL)
        fill_info(part, out);
    return part != NULL;
}

bool share_info_next(const struct shares *shares, size_t *pos, struct share_info *out)
{
    void *part;
    if (!map_next(&shares->parts, pos, NULL, &part))
        return false;
    fill_info(part, out);
    return true;
}
