/* uv.c - the part of libuv that `loop` uses, over fibers: the program's own definitions win over the shared library's.
 *
 *   uv_run, a turn:  timer due -> idle -> wait for async, a socket or the timer -> those, in an order by the seed -> closed
 *
 * (U1) One loop has one async, one idle, one timer (as loop.c uses it) and any number of polls.
 * (U2) Polls are level-triggered. What is ready at the same time is called in an order that the seed chooses; a poll that was
 *      stopped or closed by a call before is left out.
 */
#include <uv.h>
#undef MIN
#undef MAX

#include "sim.h"

struct sim_poll {
    uv_poll_t *handle;
    int fd, events;
    uv_poll_cb fn;
};

struct closing {
    uv_handle_t *handle;
    uv_close_cb fn;
};

struct sim_uv {
    uv_async_t *async;
    uv_async_cb async_fn;
    bool async_sent, idle_on, timer_on, stop;
    uv_idle_t *idle;
    uv_idle_cb idle_fn;
    uv_timer_t *timer;
    uv_timer_cb timer_fn;
    int64_t timer_ms, now_ms;
    vec(struct sim_poll *) polls;
    vec(struct closing) closing;
};

static struct sim_uv *uv_of(const uv_loop_t *loop)
{
    return loop->data;
}

static void init_handle(uv_loop_t *loop, uv_handle_t *handle, uv_handle_type type)
{
    handle->loop = loop;
    handle->type = type;
}

int uv_loop_init(uv_loop_t *loop)
{
    loop->data = mem_new(struct sim_uv);
    uv_update_time(loop);
    return 0;
}

int uv_loop_close(uv_loop_t *loop)
{
    struct sim_uv *uv = uv_of(loop);
    if (uv->polls.len > 0 || uv->async != NULL)
        return UV_EBUSY;
    vec_fini(&uv->polls);
    vec_fini(&uv->closing);
    free(uv);
    return 0;
}

const char *uv_strerror(int rc)
{
    return "simulated";
}

uint64_t uv_now(const uv_loop_t *loop)
{
    return (uint64_t)uv_of(loop)->now_ms;
}

void uv_update_time(uv_loop_t *loop)
{
    uv_of(loop)->now_ms = sim_now_us() / 1000;
}

void uv_stop(uv_loop_t *loop)
{
    uv_of(loop)->stop = true;
}

/* ---- handles ---- */

int uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb fn)
{
    init_handle(loop, (uv_handle_t *)async, UV_ASYNC);
    uv_of(loop)->async = async;
    uv_of(loop)->async_fn = fn;
    return 0;
}

/* Any fiber. */
int uv_async_send(uv_async_t *async)
{
    struct sim_uv *uv = uv_of(async->loop);
    uv->async_sent = true;
    sim_wake(uv, true);
    return 0;
}

int uv_idle_init(uv_loop_t *loop, uv_idle_t *idle)
{
    init_handle(loop, (uv_handle_t *)idle, UV_IDLE);
    uv_of(loop)->idle = idle;
    return 0;
}

int uv_idle_start(uv_idle_t *idle, uv_idle_cb fn)
{
    uv_of(idle->loop)->idle_fn = fn;
    uv_of(idle->loop)->idle_on = true;
    return 0;
}

int uv_idle_stop(uv_idle_t *idle)
{
    uv_of(idle->loop)->idle_on = false;
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    init_handle(loop, (uv_handle_t *)timer, UV_TIMER);
    uv_of(loop)->timer = timer;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t delay_ms, uint64_t repeat_ms)
{
    struct sim_uv *uv = uv_of(timer->loop);
    ASSERT(repeat_ms == 0);
    uv->timer_fn = fn;
    uv->timer_on = true;
    uv->timer_ms = delay_ms < INT64_MAX / 4 ? uv->now_ms + (int64_t)delay_ms : INT64_MAX / 2;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    uv_of(timer->loop)->timer_on = false;
    return 0;
}

static struct sim_poll *poll_of(uv_poll_t *handle)
{
    struct sim_uv *uv = uv_of(handle->loop);
    for (size_t i = 0; i < uv->polls.len; i++)
        if (uv->polls.at[i]->handle == handle)
            return uv->polls.at[i];
    assert_failed(__FILE__, __LINE__, "poll_of", "a poll that was not initialised or is closed");
}

int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd)
{
    struct sim_uv *uv = uv_of(loop);
    if (!sim_sock_is(fd))
        return UV_EBADF;
    init_handle(loop, (uv_handle_t *)handle, UV_POLL);
    struct sim_poll *poll = mem_new(struct sim_poll);
    *poll = (struct sim_poll){.handle = handle, .fd = fd};
    vec_push(&uv->polls, poll);
    sim_sock_watch(fd, uv);
    return 0;
}

int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb fn)
{
    struct sim_poll *poll = poll_of(handle);
    poll->events = events;
    poll->fn = fn;
    return 0;
}

int uv_poll_stop(uv_poll_t *handle)
{
    poll_of(handle)->events = 0;
    return 0;
}

/* The server takes no signals here: main does, and it is not part of the simulation. */
int uv_signal_init(uv_loop_t *loop, uv_signal_t *handle)
{
    return UV_ENOSYS;
}

int uv_signal_start(uv_signal_t *handle, uv_signal_cb fn, int signum)
{
    return UV_ENOSYS;
}

void uv_close(uv_handle_t *handle, uv_close_cb fn)
{
    struct sim_uv *uv = uv_of(handle->loop);
    if (handle->type == UV_POLL) {
        struct sim_poll *poll = poll_of((uv_poll_t *)handle);
        for (size_t i = 0; i < uv->polls.len; i++)
            if (uv->polls.at[i] == poll)
                vec_remove(&uv->polls, i);
        sim_sock_watch(poll->fd, NULL);
        free(poll);
    } else if (handle->type == UV_ASYNC) {
        uv->async = NULL;
    } else if (handle->type == UV_IDLE) {
        uv->idle_on = false;
    } else {
        uv->timer_on = false;
    }
    vec_push(&uv->closing, (struct closing){handle, fn});
}

/* ---- turns ---- */

static int ready_events(const struct sim_poll *poll)
{
    int ready = sim_sock_ready(poll->fd), events = 0;
    if (ready & SIM_CAN_READ)
        events |= poll->events & UV_READABLE;
    if (ready & SIM_CAN_WRITE)
        events |= poll->events & UV_WRITABLE;
    return events;
}

static bool anything_ready(const struct sim_uv *uv)
{
    bool ready = uv->async_sent || uv->idle_on || uv->stop;
    for (size_t i = 0; i < uv->polls.len && !ready; i++)
        ready = ready_events(uv->polls.at[i]) != 0;
    return ready;
}

static void wait_ready(uv_loop_t *loop)
{
    struct sim_uv *uv = uv_of(loop);
    while (!anything_ready(uv)) {
        int64_t until_us = uv->timer_on ? uv->timer_ms * 1000 : SIM_NEVER;
        if (until_us <= sim_now_us())
            break;
        for (size_t i = 0; i < uv->polls.len; i++)
            if (uv->polls.at[i]->events != 0)
                until_us = MIN(until_us, sim_sock_next_us(uv->polls.at[i]->fd));
        sim_wait(uv, until_us);
    }
    uv_update_time(loop);
}

static void run_timer(struct sim_uv *uv)
{
    if (!uv->timer_on || uv->timer_ms > uv->now_ms)
        return;
    uv->timer_on = false;
    uv->timer_fn(uv->timer);
}

static void run_async(struct sim_uv *uv)
{
    if (!uv->async_sent || uv->async == NULL)
        return;
    uv->async_sent = false;
    uv->async_fn(uv->async);
}

/* U2 */
static void run_polls(struct sim_uv *uv)
{
    vec(struct sim_poll *) ready = {0};
    for (size_t i = 0; i < uv->polls.len; i++)
        if (ready_events(uv->polls.at[i]) != 0)
            vec_push(&ready, uv->polls.at[i]);
    while (ready.len > 0) {
        size_t pick = sim_below(ready.len);
        struct sim_poll *poll = ready.at[pick];
        vec_remove(&ready, pick);
        bool lives = false;
        for (size_t i = 0; i < uv->polls.len; i++)
            lives |= uv->polls.at[i] == poll;
        int events = lives ? ready_events(poll) : 0;
        if (events != 0)
            poll->fn(poll->handle, 0, events);
    }
    vec_fini(&ready);
}

static void run_closing(struct sim_uv *uv)
{
    for (size_t i = 0; i < uv->closing.len; i++)
        if (uv->closing.at[i].fn != NULL)
            uv->closing.at[i].fn(uv->closing.at[i].handle);
    vec_clear(&uv->closing);
}

int uv_run(uv_loop_t *loop, uv_run_mode mode)
{
    struct sim_uv *uv = uv_of(loop);
    bool alive;
    do {
        bool async_first = sim_chance(1, 2);
        uv_update_time(loop);
        run_timer(uv);
        if (uv->idle_on)
            uv->idle_fn(uv->idle);
        alive = uv->async != NULL || uv->polls.len > 0 || uv->timer_on;
        if (alive && mode != UV_RUN_NOWAIT && uv->closing.len == 0)
            wait_ready(loop);
        if (async_first)
            run_async(uv);
        run_polls(uv);
        run_async(uv);
        run_closing(uv);
        sim_yield();
    } while (mode == UV_RUN_DEFAULT && alive && !uv->stop);
    uv->stop = false;
    return alive;
}
