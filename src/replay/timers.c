/* timers.c - what time brings to a state: a binary heap of embedded timers.
 *
 *   heap[0] is due first; timer->heap_pos = its index + 1 (0: it does not run), so one is moved in O(log n)
 *
 * (T1) A tick touches what is due and nothing else: thousands of quiet timers cost nothing.
 * (T2) A function that fires may start and stop any timer, its own included.
 * (T3) One tick fires at most TICK_MAX timers: it runs under the state's lock, and the next tick is due at once.
 */
#include "replay/replay.h"

enum { TICK_MAX = 1000 };

static void put(struct replay_timers *timers, size_t at, struct replay_timer *timer)
{
    timers->heap.at[at] = timer;
    timer->heap_pos = at + 1;
}

static void sift_up(struct replay_timers *timers, size_t at, struct replay_timer *timer)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (timers->heap.at[parent]->due_ms <= timer->due_ms)
            break;
        put(timers, at, timers->heap.at[parent]);
        at = parent;
    }
    put(timers, at, timer);
}

static void sift_down(struct replay_timers *timers, size_t at, struct replay_timer *timer)
{
    for (size_t child; (child = 2 * at + 1) < timers->heap.len; at = child) {
        if (child + 1 < timers->heap.len &&
            timers->heap.at[child + 1]->due_ms < timers->heap.at[child]->due_ms)
            child++;
        if (timer->due_ms <= timers->heap.at[child]->due_ms)
            break;
        put(timers, at, timers->heap.at[child]);
    }
    put(timers, at, timer);
}

static void place(struct replay_timers *timers, size_t at, struct replay_timer *timer)
{
    if (at > 0 && timer->due_ms < timers->heap.at[(at - 1) / 2]->due_ms)
        sift_up(timers, at, timer);
    else
        sift_down(timers, at, timer);
}

void replay_timer_start(struct replay_timers *timers, struct replay_timer *timer, int64_t due_ms)
{
    ASSERT(timer->fire != NULL);
    timer->due_ms = due_ms;
    if (due_ms == INT64_MAX) {
        replay_timer_stop(timers, timer);
        return;
    }
    if (timer->heap_pos == 0) {
        vec_push(&timers->heap, timer);
        sift_up(timers, timers->heap.len - 1, timer);
    } else {
        place(timers, timer->heap_pos - 1, timer);
    }
}

void replay_timer_stop(struct replay_timers *timers, struct replay_timer *timer)
{
    if (timer->heap_pos == 0)
        return;
    size_t at = timer->heap_pos - 1;
    ASSERT(timers->heap.at[at] == timer);
    struct replay_timer *last = timers->heap.at[--timers->heap.len];
    timer->heap_pos = 0;
    if (last != timer)
        place(timers, at, last);
}

int64_t replay_timers_next_ms(const struct replay_timers *timers)
{
    return timers->heap.len == 0 ? INT64_MAX : timers->heap.at[0]->due_ms;
}

void replay_timers_fire(struct replay_timers *timers, int64_t now_ms, struct replay_records *out)
{
    for (int fired = 0; fired < TICK_MAX && replay_timers_next_ms(timers) <= now_ms; fired++) {
        struct replay_timer *timer = timers->heap.at[0];
        replay_timer_stop(timers, timer);
        timer->fire(timer, now_ms, out);
    }
}
