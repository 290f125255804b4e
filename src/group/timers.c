/* timers.c - what time brings to groups: a binary heap of embedded timers.
 *
 *   heap[0] is due first; timer->heap_pos = its index + 1 (0: it does not run), so one is moved in O(log n)
 *
 * (T1) A tick touches what is due and nothing else: thousands of quiet groups cost nothing.
 * (T2) A function that fires may start and stop any timer, its own included.
 * (T3) One tick fires at most TICK_MAX timers: it runs under the state's lock, and the next tick is due at once.
 */
#include "group/group_int.h"

enum { TICK_MAX = 1000 };

static void put(struct group_timers *timers, size_t at, struct group_timer *timer)
{
    timers->heap.at[at] = timer;
    timer->heap_pos = at + 1;
}

static void sift_up(struct group_timers *timers, size_t at, struct group_timer *timer)
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

static void sift_down(struct group_timers *timers, size_t at, struct group_timer *timer)
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

static void place(struct group_timers *timers, size_t at, struct group_timer *timer)
{
    if (at > 0 && timer->due_ms < timers->heap.at[(at - 1) / 2]->due_ms)
        sift_up(timers, at, timer);
    else
        sift_down(timers, at, timer);
}

void group_timer_start(struct group_timers *timers, struct group_timer *timer, int64_t due_ms)
{
    ASSERT(timer->fire != NULL);
    timer->due_ms = due_ms;
    if (due_ms == INT64_MAX) {
        group_timer_stop(timers, timer);
        return;
    }
    if (timer->heap_pos == 0) {
        vec_push(&timers->heap, timer);
        sift_up(timers, timers->heap.len - 1, timer);
    } else {
        place(timers, timer->heap_pos - 1, timer);
    }
}

void group_timer_stop(struct group_timers *timers, struct group_timer *timer)
{
    if (timer->heap_pos == 0)
        return;
    size_t at = timer->heap_pos - 1;
    ASSERT(timers->heap.at[at] == timer);
    struct group_timer *last = timers->heap.at[--timers->heap.len];
    timer->heap_pos = 0;
    if (last != timer)
        place(timers, at, last);
}

int64_t groups_next_ms(const struct groups *groups)
{
    return groups->timers.heap.len == 0 ? INT64_MAX : groups->timers.heap.at[0]->due_ms;
}

bool group_decide_tick(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct groups *groups = state;
    struct group_call *call = request;
    struct group_timers *timers = &groups->timers;
    groups->effects = call->effects;
    for (int fired = 0; fired < TICK_MAX && groups_next_ms(groups) <= call->now_ms; fired++) {
        struct group_timer *timer = timers->heap.at[0];
        group_timer_stop(timers, timer);
        timer->fire(timer, call->now_ms, out);
    }
    return true;
}
