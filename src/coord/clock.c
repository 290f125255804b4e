/* clock.c - the clock of a state that knows by itself when something of it is due: sessions of groups, locks of share partitions.
 *
 *   a run --something is due earlier?--> rearm --mail--> the loop: the timer anew        any thread
 *   timer -> tick: what is due, as one more decision -> the timer anew                   loop thread
 *
 * (C1) `armed_ms` is when the timer fires. Only what is due before that is worth a wake-up: a tick that comes too early finds
 *      nothing due and arms the timer anew.
 */
#include "coord/coord_int.h"

static void arm(struct coord_clock *clock)
{
    int64_t next_ms = clock->next_ms(clock->coord);
    atomic_store(&clock->armed_ms, next_ms);
    if (next_ms == INT64_MAX)
        loop_timer_stop(&clock->timer);
    else
        loop_timer_start(&clock->timer, MAX(next_ms - io_now_ms(clock->coord->io), 0));
}

static void on_timer(struct loop_timer *timer)
{
    struct coord_clock *clock = LIST_ENTRY(timer, struct coord_clock, timer);
    atomic_store(&clock->armed_ms, INT64_MAX);
    clock->tick(clock->coord, io_now_ms(clock->coord->io));
    arm(clock);
}

static void on_mail(struct loop_call *call)
{
    struct coord_clock *clock = LIST_ENTRY(call, struct coord_clock, mail);
    if (!atomic_load(&clock->coord->stopping))
        arm(clock);
}

void coord_clock_init(struct coord_clock *clock, struct coord *coord, int64_t (*next_ms)(struct coord *coord),
                      void (*tick)(struct coord *coord, int64_t now_ms))
{
    clock->coord = coord;
    clock->next_ms = next_ms;
    clock->tick = tick;
    atomic_store(&clock->armed_ms, INT64_MAX);
    loop_timer_init(&clock->timer, coord->loop, on_timer);
    loop_call_init(&clock->mail, on_mail);
}

void coord_clock_rearm(struct coord_clock *clock)
{
    if (clock->next_ms(clock->coord) < atomic_load(&clock->armed_ms))
        loop_post(clock->coord->loop, &clock->mail);
}

void coord_clock_stop(struct coord_clock *clock)
{
    loop_timer_stop(&clock->timer);
    loop_call_cancel(clock->coord->loop, &clock->mail);
}
