/* timer.c - timers of a loop: a binary heap of embedded timers over one uv timer, the alarm.
 *
 *   heap[0] is due first; timer->heap_pos = its index + 1, so a running timer is found and moved in O(log n)
 *
 * (T1) The alarm is set for heap[0] whenever the heap is not empty, and never later than that.
 * (T2) A timer that is started with no delay from a timer's function runs in the next turn, not in this one.
 */
#include "loop/loop_int.h"

static void heap_put(struct loop *loop, size_t at, struct loop_timer *timer)
{
    loop->heap.at[at] = timer;
    timer->heap_pos = at + 1;
}

static void heap_up(struct loop *loop, size_t at, struct loop_timer *timer)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (loop->heap.at[parent]->due_ms <= timer->due_ms)
            break;
        heap_put(loop, at, loop->heap.at[parent]);
        at = parent;
    }
    heap_put(loop, at, timer);
}

static void heap_down(struct loop *loop, size_t at, struct loop_timer *timer)
{
    for (size_t child; (child = 2 * at + 1) < loop->heap.len; at = child) {
        if (child + 1 < loop->heap.len && loop->heap.at[child + 1]->due_ms < loop->heap.at[child]->due_ms)
            child++;
        if (timer->due_ms <= loop->heap.at[child]->due_ms)
            break;
        heap_put(loop, at, loop->heap.at[child]);
    }
    heap_put(loop, at, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer)
{
    size_t at = timer->heap_pos - 1;
    ASSERT(loop->heap.at[at] == timer);
    struct loop_timer *last = loop->heap.at[--loop->heap.len];
    timer->heap_pos = 0;
    if (last == timer)
        return;
    if (at > 0 && last->due_ms < loop->heap.at[(at - 1) / 2]->due_ms)
        heap_up(loop, at, last);
    else
        heap_down(loop, at, last);
}

static void on_alarm(uv_timer_t *alarm);

static void alarm_set(struct loop *loop)
{
    if (loop->heap.len == 0) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    int64_t delay_ms = loop->heap.at[0]->due_ms - loop_now_ms(loop);
    uv_timer_start(&loop->alarm, on_alarm, (uint64_t)MAX(delay_ms, 0), 0);
}

static void on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = alarm->data;
    int64_t now_ms = loop_now_ms(loop);
    loop->firing = true;
    while (loop->heap.len > 0 && loop->heap.at[0]->due_ms <= now_ms) {
        struct loop_timer *timer = loop->heap.at[0];
        heap_remove(loop, timer);
        timer->fn(timer);
    }
    loop->firing = false;
    alarm_set(loop);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fn)(struct loop_timer *timer))
{
    *timer = (struct loop_timer){.loop = loop, .fn = fn};
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ms)
{
    struct loop *loop = timer->loop;
    loop_assert_mine(loop);
    if (timer->heap_pos != 0)
        heap_remove(loop, timer);
    int64_t now_ms = clock_mono_ms(); /* the turn's time may be old */
    delay_ms = MIN(MAX(delay_ms, loop->firing ? 1 : 0), INT64_MAX / 4);
    timer->due_ms = now_ms + delay_ms;
    vec_push(&loop->heap, timer);
    heap_up(loop, loop->heap.len - 1, timer);
    if (!loop->firing && timer->heap_pos == 1) {
        uv_update_time(&loop->uv);
        alarm_set(loop);
    }
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (timer->heap_pos == 0)
        return;
    loop_assert_mine(timer->loop);
    bool first = timer->heap_pos == 1;
    heap_remove(timer->loop, timer);
    if (first && !timer->loop->firing)
        alarm_set(timer->loop);
}

bool loop_timer_is_on(const struct loop_timer *timer)
{
    return timer->heap_pos != 0;
}
