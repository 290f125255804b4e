/* loop.c - the loop itself: turns, posted and deferred calls, descriptors, signals.
 *
 * libuv gives the poll, the cross-thread wake-up and signals. Sockets are watched with uv_poll, so that
 * reading, writing and sendfile stay with their owner. Calls and timers are our own lists over one uv handle
 * each: a uv handle must outlive its asynchronous close, which would force every small object that has a
 * timer onto the heap.
 *
 *   turn:  alarm -> timers.c    idle -> deferred    poll -> watches, signals, wake -> posted
 *
 * (C1) `posted` is the only thing that other threads touch, always under post_lock.
 * (C2) The wake-up is sent when `posted` becomes non-empty, and again when a turn leaves calls behind.
 * (C3) A turn runs no more posted calls than there were when it began: calls that post themselves do not
 *      starve I/O.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "loop/loop_int.h"

void loop_assert_mine(const struct loop *loop)
{
    if (!loop_is_mine(loop))
        assert_failed(__FILE__, __LINE__, "loop_is_mine(loop)",
                      "loop %s is used by a thread that does not own it", loop->name);
}

bool loop_is_mine(const struct loop *loop)
{
    return !atomic_load_explicit(&loop->has_owner, memory_order_acquire) ||
           pthread_equal(loop->owner, pthread_self());
}

/* ---- posted and deferred calls ---- */

void loop_call_init(struct loop_call *call, void (*fn)(struct loop_call *call))
{
    list_init(&call->link);
    call->fn = fn;
    call->queued = false;
}

void loop_post(struct loop *loop, struct loop_call *call)
{
    ASSERT(call->fn != NULL);
    pthread_mutex_lock(&loop->post_lock);
    if (!call->queued) {
        bool first = list_empty(&loop->posted);
        call->queued = true;
        list_push_back(&loop->posted, &call->link);
        if (first)
            uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&loop->post_lock);
}

void loop_call_cancel_locked(struct loop *loop, struct loop_call *call)
{
    pthread_mutex_lock(&loop->post_lock);
    if (call->queued) {
        list_remove(&call->link);
        call->queued = false;
    }
    pthread_mutex_unlock(&loop->post_lock);
}

void loop_call_cancel(struct loop *loop, struct loop_call *call)
{
    loop_assert_mine(loop);
    loop_call_cancel_locked(loop, call);
}

static struct loop_call *posted_pop(struct loop *loop)
{
    struct loop_call *call = NULL;
    pthread_mutex_lock(&loop->post_lock);
    if (!list_empty(&loop->posted)) {
        call = LIST_ENTRY(loop->posted.next, struct loop_call, link);
        list_remove(&call->link);
        call->queued = false;
    }
    pthread_mutex_unlock(&loop->post_lock);
    return call;
}

static void posted_run(struct loop *loop)
{
    size_t budget = 0;
    pthread_mutex_lock(&loop->post_lock);
    list_each (struct loop_call, call, &loop->posted, link)
        budget++;
    pthread_mutex_unlock(&loop->post_lock);

    for (struct loop_call *call; budget > 0 && (call = posted_pop(loop)) != NULL; budget--)
        call->fn(call);

    pthread_mutex_lock(&loop->post_lock);
    if (!list_empty(&loop->posted))
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->post_lock);
}

static void on_wake(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    if (atomic_load_explicit(&loop->stop_asked, memory_order_acquire))
        uv_stop(&loop->uv);
    posted_run(loop);
}

static void on_idle(uv_idle_t *handle)
{
    struct loop *loop = handle->data;
    struct list batch;
    list_init(&batch);
    while (!list_empty(&loop->deferred)) {
        struct list *link = loop->deferred.next;
        list_remove(link);
        list_push_back(&batch, link);
    }
    while (!list_empty(&batch)) {
        struct loop_call *call = LIST_ENTRY(batch.next, struct loop_call, link);
        list_remove(&call->link);
        call->queued = false;
        call->fn(call);
    }
    if (list_empty(&loop->deferred))
        uv_idle_stop(&loop->idle);
}

void loop_defer(struct loop *loop, struct loop_call *call)
{
    loop_assert_mine(loop);
    ASSERT(call->fn != NULL);
    if (call->queued)
        return;
    call->queued = true;
    if (list_empty(&loop->deferred))
        uv_idle_start(&loop->idle, on_idle);
    list_push_back(&loop->deferred, &call->link);
}

void loop_defer_cancel(struct loop *loop, struct loop_call *call)
{
    loop_assert_mine(loop);
    list_remove(&call->link);
    call->queued = false;
}

/* ---- life ---- */

struct loop *loop_new(const char *name)
{
    struct loop *loop = mem_new(struct loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc != 0)
        assert_failed(__FILE__, __LINE__, "uv_loop_init", "loop %s: %s", name, uv_strerror(rc));
    loop->name = name;
    list_init(&loop->posted);
    list_init(&loop->deferred);
    pthread_mutex_init(&loop->post_lock, NULL);
    ASSERT(uv_async_init(&loop->uv, &loop->wake, on_wake) == 0);
    ASSERT(uv_idle_init(&loop->uv, &loop->idle) == 0);
    ASSERT(uv_timer_init(&loop->uv, &loop->alarm) == 0);
    loop->wake.data = loop->idle.data = loop->alarm.data = loop;
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    atomic_store(&loop->has_owner, false); /* its thread has ended or is the present one */
    for (struct loop_call *call; (call = posted_pop(loop)) != NULL;)
        call->fn(call);
    ASSERT_CMP(loop->bound_mailboxes, ==, 0);
    ASSERT_CMP(loop->heap.len, ==, 0);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&loop->uv);
    if (rc != 0)
        assert_failed(__FILE__, __LINE__, "uv_loop_close", "loop %s still has watches or signals",
                      loop->name);
    vec_fini(&loop->heap);
    pthread_mutex_destroy(&loop->post_lock);
    free(loop);
}

static void loop_own(struct loop *loop)
{
    if (atomic_load(&loop->has_owner)) {
        loop_assert_mine(loop);
        return;
    }
    loop->owner = pthread_self();
    atomic_store_explicit(&loop->has_owner, true, memory_order_release);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void loop_run(struct loop *loop)
{
    loop_own(loop);
    while (!atomic_load_explicit(&loop->stop_asked, memory_order_acquire))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store(&loop->stop_asked, false);
}

static void on_step_over(struct loop_timer *timer)
{
}

void loop_step(struct loop *loop, int64_t wait_ms)
{
    loop_own(loop);
    if (wait_ms <= 0) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    struct loop_timer limit;
    loop_timer_init(&limit, loop, on_step_over);
    loop_timer_start(&limit, wait_ms);
    uv_run(&loop->uv, UV_RUN_ONCE);
    loop_timer_stop(&limit);
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stop_asked, true, memory_order_release);
    uv_async_send(&loop->wake);
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

/* ---- descriptors and signals ---- */

struct loop_watch {
    uv_poll_t poll;
    struct loop *loop;
    loop_watch_fn *fn;
    void *arg;
    int events;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_watch *watch = poll->data;
    if (status < 0)
        watch->events = 0; /* libuv stopped it */
    int seen = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);
    watch->fn(watch->arg, status < 0 ? LOOP_READ | LOOP_WRITE : seen);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn, void *arg, struct err *err)
{
    loop_assert_mine(loop);
    struct loop_watch *watch = mem_new(struct loop_watch);
    int rc = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (rc != 0) {
        free(watch);
        err_set_errno(err, -rc, "loop %s cannot watch descriptor %d", loop->name, fd);
        return NULL;
    }
    watch->poll.data = watch;
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    return watch;
}

void loop_watch_set(struct loop_watch *watch, int events)
{
    loop_assert_mine(watch->loop);
    if (events == watch->events)
        return;
    watch->events = events;
    int wanted = (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
    int rc = wanted != 0 ? uv_poll_start(&watch->poll, wanted, on_poll) : uv_poll_stop(&watch->poll);
    ASSERT_CMP(rc, ==, 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    loop_assert_mine(watch->loop);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

struct loop_signal {
    uv_signal_t handle;
    struct loop *loop;
    loop_signal_fn *fn;
    void *arg;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    struct loop_signal *sig = handle->data;
    sig->fn(sig->arg, signum);
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signum, loop_signal_fn *fn, void *arg,
                                    struct err *err)
{
    loop_assert_mine(loop);
    struct loop_signal *sig = mem_new(struct loop_signal);
    ASSERT(uv_signal_init(&loop->uv, &sig->handle) == 0);
    sig->handle.data = sig;
    sig->loop = loop;
    sig->fn = fn;
    sig->arg = arg;
    int rc = uv_signal_start(&sig->handle, on_signal, signum);
    if (rc != 0) {
        uv_close((uv_handle_t *)&sig->handle, on_signal_closed);
        err_set_errno(err, -rc, "loop %s cannot watch signal %d", loop->name, signum);
        return NULL;
    }
    return sig;
}

void loop_signal_free(struct loop_signal *sig)
{
    if (sig == NULL)
        return;
    loop_assert_mine(sig->loop);
    uv_close((uv_handle_t *)&sig->handle, on_signal_closed);
}
