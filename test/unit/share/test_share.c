/* share: what a record of a share partition goes through: acquired, acknowledged, released, given up; over restarts too.
 * Expected values follow from KIP-932. */
#include "world.h"

enum { INVALID_REQUEST = 42, INVALID_RECORD_STATE = 121 };

static void test_acquire_and_accept(void **state)
{
    struct world *w = *state;
    start_at(w, 10);
    assert_string_equal(acquire(w, "a", 10, 19, 5), "10-14x1");
    assert_string_equal(acquire(w, "b", 10, 19, 500), "15-19x1");
    assert_string_equal(acquire(w, "c", 10, 19, 500), "");
    assert_int_equal(ack(w, "b", 15, 19, SHARE_ACCEPT), 0);
    assert_int_equal(info(w).start_offset, 10); /* a still has the front */
    assert_int_equal(info(w).done_count, 5);
    assert_int_equal(ack(w, "a", 10, 14, SHARE_ACCEPT), 0);
    assert_int_equal(info(w).start_offset, 20);
    assert_int_equal(info(w).end_offset, 20);
    assert_int_equal(info(w).done_count, 0);
}

static void test_who_may_acknowledge(void **state)
{
    struct world *w = *state;
    start_at(w, 0);
    acquire(w, "a", 0, 9, 500);
    assert_int_equal(ack(w, "b", 0, 0, SHARE_ACCEPT), INVALID_RECORD_STATE);
    assert_int_equal(ack(w, "a", 8, 10, SHARE_ACCEPT), INVALID_REQUEST); /* 10 is not in flight */
    assert_int_equal(info(w).done_count, 0);                             /* nothing of it happened */
    assert_int_equal(ack(w, "a", 0, 4, SHARE_ACCEPT), 0);
    assert_int_equal(ack(w, "a", 5, 5, SHARE_RELEASE), 0);
    assert_int_equal(ack(w, "a", 5, 5, SHARE_ACCEPT), INVALID_RECORD_STATE);
    assert_int_equal(ack(w, "a", 3, 6, SHARE_RELEASE), INVALID_RECORD_STATE);
    assert_int_equal(ack(w, "a", 0, 4, SHARE_ACCEPT), 0); /* all before the start: passed over */
}

static void test_release_counts_deliveries(void **state)
{
    struct world *w = *state;
    start_at(w, 0);
    for (int i = 1; i <= 3; i++) {
        char expected[16];
        snprintf(expected, sizeof expected, "0-0x%d", i);
        assert_string_equal(acquire(w, "a", 0, 0, 500), expected);
        assert_int_equal(ack(w, "a", 0, 0, SHARE_RELEASE), 0);
    }
    assert_int_equal(info(w).start_offset, 1); /* delivered three times, the limit: given up */
    assert_string_equal(acquire(w, "a", 0, 0, 500), "");
}

static void test_reject_and_types_by_offset(void **state)
{
    struct world *w = *state;
    static const int8_t types[] = {SHARE_ACCEPT, SHARE_REJECT, SHARE_RELEASE, SHARE_RELEASE, SHARE_GAP};
    start_at(w, 0);
    acquire(w, "a", 0, 4, 500);
    int64_t freed = w->freed;
    assert_int_equal(ack_types(w, "a", 0, 4, types, 5), 0);
    assert_true(w->freed > freed);
    assert_int_equal(info(w).start_offset, 2);
    assert_int_equal(info(w).next_offset, 2);
    assert_int_equal(info(w).done_count, 1);
    assert_string_equal(acquire(w, "b", 0, 4, 500), "2-3x2");
}

static void test_lock_ends(void **state)
{
    struct world *w = *state;
    start_at(w, 0);
    acquire(w, "a", 0, 4, 500);
    assert_int_equal(shares_next_ms(w->shares), 1100);
    assert_int_equal(tick(w, 99), 0);
    assert_int_equal(ack(w, "a", 0, 0, SHARE_RENEW), 0);
    assert_int_equal(tick(w, 1), 1);
    assert_int_equal(shares_next_ms(w->shares), 1199); /* the one that was renewed */
    assert_int_equal(ack(w, "a", 1, 1, SHARE_ACCEPT), INVALID_RECORD_STATE);
    assert_string_equal(acquire(w, "b", 0, 4, 500), "1-4x2");
    assert_int_equal(ack(w, "a", 0, 0, SHARE_ACCEPT), 0);
    tick(w, 100);
    assert_string_equal(acquire(w, "b", 0, 4, 500), "1-1x3"); /* the last time: one by one */
    tick(w, 100);
    assert_int_equal(info(w).start_offset, 2); /* the limit: given up, without a word of anybody */
    assert_int_equal(shares_next_ms(w->shares), INT64_MAX);
}

static void test_failed_append_is_tried_again(void **state)
{
    struct world *w = *state;
    start_at(w, 0);
    acquire(w, "a", 0, 0, 500);
    w->append_fails = true;
    assert_int_equal(tick(w, 100), 1);
    w->append_fails = false;
    assert_int_equal(tick(w, 500), 0);
    assert_int_equal(tick(w, 500), 1);
    assert_string_equal(acquire(w, "b", 0, 0, 500), "0-0x2");
    w->append_fails = true;
    ack(w, "b", 0, 0, SHARE_ACCEPT);
    w->append_fails = false;
    assert_int_equal(info(w).start_offset, 0); /* S2: not stored, not so */
    assert_int_equal(ack(w, "b", 0, 0, SHARE_ACCEPT), 0);
    assert_int_equal(info(w).start_offset, 1);
}

static void test_restart(void **state)
{
    struct world *w = *state;
    start_at(w, 5);
    acquire(w, "a", 5, 14, 500);
    ack(w, "a", 7, 8, SHARE_ACCEPT);
    ack(w, "a", 9, 9, SHARE_RELEASE);
    for (int i = 0; i < 2; i++) { /* from all that happened, and from the state written anew */
        restart(w);
        assert_int_equal(info(w).start_offset, 5);
        assert_int_equal(info(w).done_count, 2);
        assert_int_equal(ack(w, "a", 5, 5, SHARE_ACCEPT), INVALID_RECORD_STATE);
        assert_string_equal(acquire(w, "b", 5, 14, 500), "5-6x1 9-9x2 10-14x1");
        rewrite(w); /* while b has everything */
    }
    ack(w, "b", 5, 14, SHARE_ACCEPT);
    assert_int_equal(info(w).start_offset, 5); /* 7 and 8 are not b's: nothing happened */
    ack(w, "b", 5, 6, SHARE_ACCEPT);
    assert_int_equal(info(w).start_offset, 9);
    restart(w);
    assert_int_equal(info(w).start_offset, 9);
}

static void test_member_goes(void **state)
{
    struct world *w = *state;
    start_at(w, 0);
    acquire(w, "a", 0, 4, 500);
    ack(w, "a", 1, 1, SHARE_RELEASE);
    acquire(w, "b", 0, 1, 500);
    acquire(w, "b", 5, 5, 500);
    int64_t freed = w->freed;
    release(w, "a");
    assert_int_equal(w->freed, freed + 1);
    assert_string_equal(acquire(w, "c", 0, 5, 500), "0-0x2 2-4x2"); /* as if it had released them */
    assert_int_equal(ack(w, "a", 0, 0, SHARE_ACCEPT), INVALID_RECORD_STATE);
    release(w, "nobody");
}

static void test_batches_gaps_and_markers(void **state)
{
    struct world *w = *state;
    static const struct share_batch batches[] = {
        {10, 14, true}, {15, 19, true}, {25, 29, false}, {30, 34, true}, {35, 39, true}};
    start_at(w, 12);
    assert_string_equal(acquire_from(w, "a", 12, batches, 5, 4, false), "12-19x1"); /* whole batches */
    assert_string_equal(acquire_from(w, "b", 20, batches, 5, 3, true), "30-32x1");  /* just as many */
    ack(w, "a", 12, 19, SHARE_ACCEPT);
    assert_int_equal(info(w).start_offset, 30); /* what holds no records is passed over */
    ack(w, "b", 30, 32, SHARE_ACCEPT);
    restart(w);
    assert_int_equal(info(w).start_offset, 33);
    assert_string_equal(acquire_from(w, "b", 33, batches, 5, 500, false), "33-39x1");
}

/* Only a gap: the start moves at once, or lag would never end. */
static void test_gap_at_the_front(void **state)
{
    struct world *w = *state;
    static const struct share_batch batches[] = {{3, 3, false}};
    start_at(w, 0);
    assert_string_equal(acquire_from(w, "a", 0, batches, 1, 500, false), "");
    assert_int_equal(info(w).start_offset, 4);
    restart(w);
    assert_int_equal(info(w).start_offset, 4);
}

static void test_limit_of_records_in_flight(void **state)
{
    struct world *w = *state;
    static const struct share_batch batches[] = {{0, 5, true}, {6, 11, true}, {12, 17, true}};
    w->locks_max = 8;
    start_at(w, 0);
    assert_string_equal(acquire_from(w, "a", 0, batches, 3, 500, false), "0-11x1"); /* a batch is not cut */
    assert_false(info(w).open);
    assert_string_equal(acquire_from(w, "b", 12, batches, 3, 500, false), "");
    ack(w, "a", 0, 5, SHARE_ACCEPT);
    assert_true(info(w).open);
    assert_string_equal(acquire_from(w, "b", 12, batches, 3, 500, true), "12-13x1");
}

/* The log has lost its front: what was there is done with, also what somebody has. */
static void test_log_start_moves(void **state)
{
    struct world *w = *state;
    static const struct share_batch batch = {10, 19, true};
    start_at(w, 0);
    acquire(w, "a", 0, 4, 500);
    struct share_acquire call = {.key = key0,
                                 .member = STR("b"),
                                 .now_ms = w->now_ms,
                                 .log_start = 10,
                                 .from_offset = 10,
                                 .batches = &batch,
                                 .batch_count = 1,
                                 .records_max = 500,
                                 .arena = &w->arena};
    world_run(w, share_decide_acquire, &call);
    assert_int_equal(call.acquired_count, 1);
    assert_int_equal(info(w).start_offset, 10);
    assert_int_equal(ack(w, "a", 0, 4, SHARE_ACCEPT), 0);
    assert_int_equal(ack(w, "b", 10, 19, SHARE_ACCEPT), 0);
    assert_int_equal(info(w).start_offset, 20);
}

/* What is behind the new front is done with too: the start passes it at once, nobody else would move it. */
static void test_log_start_moves_to_done(void **state)
{
    struct world *w = *state;
    static const struct share_batch marker = {10, 12, false};
    start_at(w, 0);
    acquire(w, "a", 0, 4, 500); /* 5 to 9 were not looked at */
    release(w, "a");
    struct share_acquire call = {.key = key0,
                                 .member = STR("b"),
                                 .now_ms = w->now_ms,
                                 .log_start = 10,
                                 .from_offset = 10,
                                 .batches = &marker,
                                 .batch_count = 1,
                                 .records_max = 500,
                                 .arena = &w->arena};
    world_run(w, share_decide_acquire, &call);
    assert_int_equal(call.acquired_count, 0);
    assert_int_equal(info(w).start_offset, 13);
    assert_int_equal(info(w).done_count, 0);
}

static void test_reset_and_end(void **state)
{
    struct world *w = *state;
    start_at(w, 50);
    acquire(w, "a", 50, 54, 500);
    ack(w, "a", 50, 52, SHARE_ACCEPT);
    struct share_reset reset = {.key = key0, .start_offset = 20, .now_ms = 5};
    assert_int_equal(world_run(w, share_decide_reset, &reset), 1);
    assert_int_equal(info(w).start_offset, 20);
    assert_int_equal(info(w).state_epoch, 1);
    assert_int_equal(ack(w, "a", 53, 54, SHARE_ACCEPT), INVALID_REQUEST);
    start_at(w, 99); /* it is there already */
    assert_int_equal(info(w).start_offset, 20);
    struct share_end end = {.group = STR("other"), .every_topic = true};
    assert_int_equal(world_run(w, share_decide_end, &end), 0);
    end = (struct share_end){.group = STR_NULL, .topic = key0.topic};
    assert_int_equal(world_run(w, share_decide_end, &end), 1);
    restart(w);
    struct share_info out;
    assert_false(share_info_of(w->shares, &key0, &out));
    assert_int_equal(ack(w, "a", 0, 0, SHARE_ACCEPT), 3);
}

/* Records that broke their readers before are given out in smaller and smaller pieces. */
static void test_bad_records_are_isolated(void **state)
{
    struct world *w = *state;
    static const struct share_batch batch = {0, 15, true};
    w->deliveries_max = 5;
    start_at(w, 0);
    for (int i = 1; i <= 3; i++) {
        acquire_from(w, "a", 0, &batch, 1, 500, false);
        tick(w, 100);
    }
    assert_string_equal(acquire_from(w, "a", 0, &batch, 1, 500, false), "0-7x4");
    tick(w, 100);
    assert_string_equal(acquire_from(w, "a", 0, &batch, 1, 500, false), "0-0x5");
    assert_string_equal(acquire_from(w, "b", 0, &batch, 1, 500, false), "1-1x5");
}

/* Random calls of three members: S1, S2 and a restart after each step are checked against an array of single offsets. */
static void test_random(void **state)
{
    enum { OFFSETS = 60, STEPS = 4000 };
    struct world *w = *state;
    struct {
        bool done;
        int owner;
    } model[OFFSETS] = {0};
    uint64_t seed = 42;
    static const char *const names[] = {"", "a", "b", "c"};
    w->deliveries_max = 30000;
    w->locks_max = 20;
    start_at(w, 0);
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        int who = 1 + (int)(seed >> 60) % 3, what = (int)(seed >> 40) % 16;
        int64_t first = (int64_t)((seed >> 33) % OFFSETS),
                last = MIN(first + (int64_t)(seed >> 50) % 6, OFFSETS - 1);
        if (what < 6) {
            int64_t next = info(w).next_offset;
            if (next >= OFFSETS)
                continue;
            struct str rest = str_from(acquire(w, names[who], next, MIN(next + 7, OFFSETS - 1), 4)), part;
            while (rest.len != 0 && str_split(&rest, ' ', &part)) {
                long long from, to;
                assert_int_equal(sscanf(part.ptr, "%lld-%lld", &from, &to), 2);
                for (long long at = from; at <= to; at++) {
                    assert_false(model[at].done);         /* S2 */
                    assert_int_equal(model[at].owner, 0); /* S1 */
                    model[at].owner = who;
                }
            }
        } else if (what < 14) {
            enum share_ack_type type = what < 7 ? SHARE_ACCEPT : what < 8 ? SHARE_REJECT : SHARE_RELEASE;
            int64_t start = info(w).start_offset;
            bool may = true;
            for (int64_t at = MAX(first, start); at <= last; at++)
                may = may && model[at].owner == who && !model[at].done;
            assert_int_equal(ack(w, names[who], first, last, type) == 0, may);
            for (int64_t at = MAX(first, start); at <= last && may; at++) {
                model[at].owner = 0;
                model[at].done = type != SHARE_RELEASE;
            }
        } else if (what == 14) {
            release(w, names[who]);
            for (int at = 0; at < OFFSETS; at++)
                model[at].owner = model[at].owner == who ? 0 : model[at].owner;
        } else {
            if (step % 2 == 0)
                rewrite(w);
            restart(w);
            for (int at = 0; at < OFFSETS; at++)
                model[at].owner = 0;
        }
        int64_t front = 0;
        while (front < OFFSETS && model[front].done)
            front++;
        assert_int_equal(info(w).start_offset, front);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(test_acquire_and_accept),
        T(test_who_may_acknowledge),
        T(test_release_counts_deliveries),
        T(test_reject_and_types_by_offset),
        T(test_lock_ends),
        T(test_failed_append_is_tried_again),
        T(test_restart),
        T(test_member_goes),
        T(test_batches_gaps_and_markers),
        T(test_gap_at_the_front),
        T(test_limit_of_records_in_flight),
        T(test_log_start_moves),
        T(test_log_start_moves_to_done),
        T(test_reset_and_end),
        T(test_bad_records_are_isolated),
        T(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
