/* world.h - share partitions over a list of records kept in memory, for tests: every record that a call adds is applied and
 * kept, and `restart` makes the state anew from the list alone.
 */
#ifndef RIALTO_TEST_SHARE_WORLD_H
#define RIALTO_TEST_SHARE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "share/share.h"

#define UNUSED __attribute__((unused))

struct world {
    struct shares *shares;
    struct replay_records log; /* everything that was ever added */
    struct arena arena;
    int64_t now_ms, lock_ms, deliveries_max, locks_max, freed;
    bool append_fails;
};

static int64_t world_limit(void *arg, struct str group, enum share_limit limit)
{
    const struct world *w = arg;
    return limit == SHARE_LOCK_MS          ? w->lock_ms
           : limit == SHARE_DELIVERIES_MAX ? w->deliveries_max
                                           : w->locks_max;
}

static void world_freed(void *arg, struct str group)
{
    ((struct world *)arg)->freed++;
}

static struct shares *world_new_shares(struct world *w)
{
    return shares_new(&(struct share_owner){w, world_limit, world_freed});
}

static int world_setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->now_ms = 1000;
    w->lock_ms = 100;
    w->deliveries_max = 3;
    w->locks_max = 100;
    w->shares = world_new_shares(w);
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    shares_free(w->shares);
    vec_fini(&w->log.list);
    arena_fini(&w->log.arena);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

/* Runs a decide function; gives the number of its records. With append_fails they come to nothing. */
static size_t world_run(struct world *w, replay_decide_fn decide, void *request)
{
    struct replay_records out = {0};
    struct err err;
    assert_true(decide(w->shares, request, &out, &err));
    for (size_t i = 0; i < out.list.len && !w->append_fails; i++) {
        const struct replay_record *rec = &out.list.at[i];
        replay_add(&w->log, rec->key, rec->value, rec->timestamp_ms);
        assert_true(shares_class.apply(w->shares, rec, &err));
    }
    size_t count = out.list.len;
    vec_fini(&out.list);
    arena_fini(&out.arena);
    return count;
}

UNUSED static void restart(struct world *w)
{
    struct err err;
    shares_free(w->shares);
    w->shares = world_new_shares(w);
    for (size_t i = 0; i < w->log.list.len; i++)
        assert_true(shares_class.apply(w->shares, &w->log.list.at[i], &err));
}

/* The log becomes what the state is. */
UNUSED static void rewrite(struct world *w)
{
    struct replay_records log = {0};
    shares_class.snapshot(w->shares, &log);
    vec_fini(&w->log.list);
    arena_fini(&w->log.arena);
    w->log = log;
}

static const struct share_key key0 = {.group = STR_INIT("g"), .topic = {{7}}, .partition = 0};

UNUSED static void start_at(struct world *w, int64_t offset)
{
    struct share_start start = {.key = key0, .start_offset = offset, .now_ms = w->now_ms};
    world_run(w, share_decide_start, &start);
}

/* "10-12x1 20-20x2": what the member got of the batches. */
UNUSED static const char *acquire_from(struct world *w, const char *member, int64_t from,
                                       const struct share_batch *batches, size_t count, int64_t records_max,
                                       bool exact)
{
    struct share_acquire call = {
        .key = key0,
        .member = str_from(member),
        .now_ms = w->now_ms,
        .from_offset = from,
        .batches = batches,
        .batch_count = count,
        .records_max = records_max,
        .exact = exact,
        .batch_records = 1000,
        .arena = &w->arena,
    };
    struct buf text = {0};
    world_run(w, share_decide_acquire, &call);
    for (size_t i = 0; i < call.acquired_count; i++)
        buf_printf(&text, "%s%lld-%lldx%d", i == 0 ? "" : " ", (long long)call.acquired[i].first,
                   (long long)call.acquired[i].last, call.acquired[i].delivery_count);
    const char *out = str_dup(buf_str(&text), &w->arena).ptr;
    buf_fini(&text);
    return out;
}

/* Batches of one record each for the offsets [first, last]. */
UNUSED static const char *acquire(struct world *w, const char *member, int64_t first, int64_t last,
                                  int64_t records_max)
{
    size_t count = (size_t)(last - first + 1);
    struct share_batch *batches = arena_array(&w->arena, struct share_batch, count);
    for (size_t i = 0; i < count; i++)
        batches[i] = (struct share_batch){first + (int64_t)i, first + (int64_t)i, true};
    return acquire_from(w, member, first, batches, count, records_max, false);
}

UNUSED static int16_t ack_types(struct world *w, const char *member, int64_t first, int64_t last,
                                const int8_t *types, int32_t count)
{
    struct share_ack_batch batch = {first, last, types, count};
    struct share_ack call = {
        .key = key0, .member = str_from(member), .now_ms = w->now_ms, .batches = &batch, .batch_count = 1};
    world_run(w, share_decide_ack, &call);
    return call.error;
}

UNUSED static int16_t ack(struct world *w, const char *member, int64_t first, int64_t last,
                          enum share_ack_type type)
{
    int8_t one = (int8_t)type;
    return ack_types(w, member, first, last, &one, 1);
}

UNUSED static void release(struct world *w, const char *member)
{
    struct share_release call = {.group = key0.group, .member = str_from(member), .now_ms = w->now_ms};
    world_run(w, share_decide_release, &call);
}

UNUSED static size_t tick(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    return world_run(w, share_decide_tick, &w->now_ms);
}

UNUSED static struct share_info info(struct world *w)
{
    struct share_info out = {0};
    assert_true(share_info_of(w->shares, &key0, &out));
    return out;
}

#endif
