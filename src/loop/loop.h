/* loop.h - event loop of one thread, worker pool, named threads. Mail between threads: mailbox.h.
 *
 *   loop_run:   timers due -> deferred calls -> posted calls, file descriptors, signals -> again
 *
 * (L1) A loop belongs to the thread that runs it. All functions here are for that thread (asserted), except
 *      those marked "any thread". Before the first loop_run or loop_step any one thread may prepare the loop.
 * (L2) Callbacks never block. What blocks goes to the pool.
 * (L3) Timers, deferred and posted calls are embedded in their owner: starting one allocates nothing and
 *      cannot fail; after the stop or cancel function returns the callback does not run any more.
 * Times are milliseconds of the monotonic clock.
 */
#ifndef RIALTO_LOOP_LOOP_H
#define RIALTO_LOOP_LOOP_H

#include <pthread.h>

#include "base/base.h"

struct loop;

/* Makes a loop; `name` is for messages. Freed by loop_free, which first runs calls that are still posted and
 * asserts that no mailbox is bound any more. */
struct loop *loop_new(const char *name);
void loop_free(struct loop *loop);

/* Runs until loop_stop. The calling thread becomes the owner; SIGPIPE is blocked for it (sendfile has no
 * flag). */
void loop_run(struct loop *loop);

/* One turn: waits at most `wait_ms` for something to do (0: not at all). For tests and step-wise driving. */
void loop_step(struct loop *loop, int64_t wait_ms);

/* Makes loop_run return after the present turn. Any thread. */
void loop_stop(struct loop *loop);

/* Is the calling thread the owner (or has the loop none yet)? Any thread. */
bool loop_is_mine(const struct loop *loop);

/* Monotonic time of this turn. */
int64_t loop_now_ms(const struct loop *loop);

/* ---- calls: a function to run on the loop soon ---- */

struct loop_call {
    struct list link;
    void (*fn)(struct loop_call *call);
    bool queued;
};

void loop_call_init(struct loop_call *call, void (*fn)(struct loop_call *call));

/* Runs call->fn on the loop in its next turn; a call that is queued already runs once. Any thread; never
 * fails: the memory is the caller's and must live until fn was called or loop_call_cancel returned. */
void loop_post(struct loop *loop, struct loop_call *call);

/* Takes a posted call back. Loop thread. */
void loop_call_cancel(struct loop *loop, struct loop_call *call);

/* As loop_post but cheaper (no lock, no wake-up); loop thread only. For work that should be done once after
 * all events of this turn. Do not mix with loop_post on the same call. */
void loop_defer(struct loop *loop, struct loop_call *call);
void loop_defer_cancel(struct loop *loop, struct loop_call *call);

/* ---- timers ---- */

struct loop_timer {
    struct loop *loop;
    void (*fn)(struct loop_timer *timer);
    int64_t due_ms;
    size_t heap_pos; /* position + 1 in the loop's heap; 0: not started */
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fn)(struct loop_timer *timer));

/* Fires once after `delay_ms` (>= 0); starting a running timer moves it. Start it again in fn to repeat. */
void loop_timer_start(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_on(const struct loop_timer *timer);

/* ---- file descriptors and signals ---- */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_watch;
typedef void loop_watch_fn(void *arg, int events); /* LOOP_READ | LOOP_WRITE; an error shows as both */

/* Watches a non-blocking descriptor, level-triggered, at first for nothing. The descriptor stays the
 * caller's. After loop_watch_free returns the callback does not run any more and the descriptor may be
 * closed. NULL with *err. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn, void *arg, struct err *err);
void loop_watch_set(struct loop_watch *watch, int events);
void loop_watch_free(struct loop_watch *watch);

struct loop_signal;
typedef void loop_signal_fn(void *arg, int signum);

/* Calls fn on the loop when the process gets the signal. NULL with *err. */
struct loop_signal *loop_signal_new(struct loop *loop, int signum, loop_signal_fn *fn, void *arg,
                                    struct err *err);
void loop_signal_free(struct loop_signal *sig);

/* ---- threads ---- */

struct thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

/* Starts fn(arg) on a thread of this name (cut to 15 bytes); all signals are blocked on it, so that they
 * reach the thread that runs the signal watchers. *thread must stay where it is until thread_join. */
bool thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg, struct err *err);
void thread_join(struct thread *thread);

/* ---- worker pool: fsync, deletion, name lookups ---- */

struct pool;

/* Threads start when there is work for them, up to thread_max. */
struct pool *pool_new(const char *name, int thread_max);

/* Runs what is queued, and what running jobs still submit, to its end, then joins. Free the pool before the loops
 * that its jobs report to. Nobody else may submit any more, or be about to return from it: end the threads that do first. */
void pool_free(struct pool *pool);

/* Runs run(arg) on a pool thread, then done(arg) on `loop`; `done` may be NULL, `loop` NULL runs done on the
 * pool thread. Jobs start in order of submission. Any thread; never fails, so the submitter bounds what it
 * submits. */
void pool_submit(struct pool *pool, void (*run)(void *arg), void *arg, struct loop *loop,
                 void (*done)(void *arg));

/* More jobs wait than there are idle threads: a job that could go on should end and submit the rest of its work. Any thread. */
bool pool_is_short(struct pool *pool);

/* Jobs queued or running. Any thread. */
size_t pool_pending(struct pool *pool);

#endif
