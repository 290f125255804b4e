/* test_loop.c - turns, calls, timers, watches, signals, pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"

static void step_until(struct loop *loop, const _Atomic int *counter, int value)
{
    for (int64_t end_ms = clock_mono_ms() + 5000; atomic_load(counter) < value && clock_mono_ms() < end_ms;)
        loop_step(loop, 50);
    assert_int_equal(atomic_load(counter), value);
}

/* ---- timers ---- */

struct beat {
    struct loop_timer timer;
    char name;
    struct buf *order;
    int left;
};

static void on_beat(struct loop_timer *timer)
{
    struct beat *beat = LIST_ENTRY(timer, struct beat, timer);
    buf_append_char(beat->order, beat->name);
    if (--beat->left > 0)
        loop_timer_start(timer, 0);
}

static void test_timers(void **state)
{
    struct loop *loop = loop_new("test");
    struct buf order = {0};
    struct beat beats[4];
    for (int i = 0; i < 4; i++) {
        beats[i] = (struct beat){.name = (char)('a' + i), .order = &order, .left = 1};
        loop_timer_init(&beats[i].timer, loop, on_beat);
    }
    beats[0].left = 3; /* starts itself again without delay */
    loop_timer_start(&beats[3].timer, 40);
    loop_timer_start(&beats[2].timer, 30);
    loop_timer_start(&beats[1].timer, 5000);
    loop_timer_start(&beats[0].timer, 10);
    loop_timer_stop(&beats[2].timer);
    loop_timer_start(&beats[1].timer, 20); /* moves it */
    int64_t start_ms = clock_mono_ms();
    while (loop_timer_is_on(&beats[3].timer))
        loop_step(loop, 100);
    while (beats[0].left > 0)
        loop_step(loop, 100);
    assert_in_range(clock_mono_ms() - start_ms, 39, 60000);
    /* A late turn may find b and d due before a has come again; c was stopped. */
    assert_int_equal(order.len, 5);
    assert_int_equal(order.ptr[0], 'a');
    assert_true(strchr(order.ptr, 'b') < strchr(order.ptr, 'd'));
    assert_null(strchr(order.ptr, 'c'));
    buf_fini(&order);
    loop_free(loop);
}

/* A thousand timers started in a scrambled order fire in the order of their times. */
static int64_t last_due_ms;
static int fired;

static void on_ordered(struct loop_timer *timer)
{
    assert_true(timer->due_ms >= last_due_ms);
    last_due_ms = timer->due_ms;
    fired++;
}

static void test_timer_order(void **state)
{
    enum { COUNT = 1000 };
    struct loop *loop = loop_new("test");
    struct loop_timer *timers = mem_zalloc(COUNT, sizeof *timers);
    for (int i = 0; i < COUNT; i++) {
        loop_timer_init(&timers[i], loop, on_ordered);
        loop_timer_start(&timers[i], (i * 7919) % 50);
    }
    for (int i = 0; i < COUNT; i += 3)
        loop_timer_stop(&timers[i]);
    int expect = COUNT - (COUNT + 2) / 3;
    while (fired < expect)
        loop_step(loop, 10);
    assert_int_equal(fired, expect);
    free(timers);
    loop_free(loop);
}

/* ---- calls ---- */

static _Atomic int calls;

static void on_call(struct loop_call *call)
{
    atomic_fetch_add(&calls, 1);
}

static void test_calls(void **state)
{
    struct loop *loop = loop_new("test");
    struct loop_call posted, cancelled, deferred;
    loop_call_init(&posted, on_call);
    loop_call_init(&cancelled, on_call);
    loop_call_init(&deferred, on_call);
    loop_post(loop, &posted);
    loop_post(loop, &posted); /* queued already: runs once */
    loop_post(loop, &cancelled);
    loop_call_cancel(loop, &cancelled);
    loop_defer(loop, &deferred);
    step_until(loop, &calls, 2);
    loop_step(loop, 0);
    assert_int_equal(atomic_load(&calls), 2);
    loop_defer(loop, &deferred);
    loop_defer_cancel(loop, &deferred);
    loop_step(loop, 0);
    assert_int_equal(atomic_load(&calls), 2);
    loop_free(loop);
}

struct poster {
    struct thread thread;
    struct loop *loop;
    struct loop_call call;
};

static void poster_main(void *arg)
{
    struct poster *poster = arg;
    assert_false(loop_is_mine(poster->loop));
    for (int i = 0; i < 1000; i++)
        loop_post(poster->loop, &poster->call);
    usleep(20000);
    loop_stop(poster->loop);
}

static void test_post_from_thread(void **state)
{
    struct loop *loop = loop_new("test");
    loop_step(loop, 0);
    atomic_store(&calls, 0);
    struct poster poster = {.loop = loop};
    loop_call_init(&poster.call, on_call);
    assert_true(thread_start(&poster.thread, "poster", poster_main, &poster, NULL));
    loop_run(loop);
    thread_join(&poster.thread);
    assert_in_range(atomic_load(&calls), 1, 1000);
    loop_free(loop);
}

/* ---- watches and signals ---- */

static _Atomic int seen_read, seen_write;

static void on_ready(void *arg, int events)
{
    if (events & LOOP_READ) {
        char byte;
        if (read(*(int *)arg, &byte, 1) >= 0)
            atomic_fetch_add(&seen_read, 1);
    }
    if (events & LOOP_WRITE)
        atomic_fetch_add(&seen_write, 1);
}

static void test_watch(void **state)
{
    struct loop *loop = loop_new("test");
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct loop_watch *watch = loop_watch_new(loop, pair[0], on_ready, &pair[0], NULL);
    loop_watch_set(watch, LOOP_WRITE);
    step_until(loop, &seen_write, 1);
    loop_watch_set(watch, LOOP_READ);
    assert_int_equal(write(pair[1], "xy", 2), 2);
    step_until(loop, &seen_read, 2); /* level-triggered */
    loop_watch_set(watch, 0);
    assert_int_equal(write(pair[1], "z", 1), 1);
    loop_step(loop, 20);
    assert_int_equal(atomic_load(&seen_read), 2);
    loop_watch_free(watch);
    close(pair[0]);
    close(pair[1]);
    struct err err;
    assert_null(loop_watch_new(loop, -1, on_ready, NULL, &err));
    assert_int_equal(err.code, ERR_IO);
    loop_free(loop);
}

static _Atomic int signals;

static void on_usr1(void *arg, int signum)
{
    assert_int_equal(signum, SIGUSR1);
    atomic_fetch_add(&signals, 1);
}

static void test_signal(void **state)
{
    struct loop *loop = loop_new("test");
    struct loop_signal *sig = loop_signal_new(loop, SIGUSR1, on_usr1, NULL, NULL);
    assert_non_null(sig);
    kill(getpid(), SIGUSR1);
    step_until(loop, &signals, 1);
    loop_signal_free(sig);
    loop_free(loop);
}

/* ---- pool ---- */

static _Atomic int ran, reported;
static struct loop *pool_loop;
static struct pool *chain_pool;

static void job_run(void *arg)
{
    usleep(1000);
    atomic_fetch_add(&ran, 1);
}

static void job_done(void *arg)
{
    assert_true(loop_is_mine(pool_loop));
    atomic_fetch_add(&reported, 1);
}

static void job_chain(void *arg)
{
    int *left = arg;
    usleep(1000);
    atomic_fetch_add(&ran, 1);
    if (--*left > 0)
        pool_submit(chain_pool, job_chain, left, NULL, NULL);
}

/* Jobs that submit jobs while the pool is being freed all run. */
static void test_pool_chain(void **state)
{
    int left = 50;
    atomic_store(&ran, 0);
    chain_pool = pool_new("chain", 4);
    pool_submit(chain_pool, job_chain, &left, NULL, NULL);
    pool_free(chain_pool);
    assert_int_equal(atomic_load(&ran), 50);
}

static void test_pool(void **state)
{
    pool_loop = loop_new("test");
    loop_step(pool_loop, 0);
    struct pool *pool = pool_new("test-pool", 3);
    for (int i = 0; i < 100; i++)
        pool_submit(pool, job_run, NULL, pool_loop, job_done);
    step_until(pool_loop, &reported, 100);
    assert_int_equal(atomic_load(&ran), 100);
    for (int i = 0; i < 10; i++)
        pool_submit(pool, job_run, NULL, NULL, NULL);
    pool_submit(pool, job_run, NULL, pool_loop, job_done);
    pool_free(pool); /* runs them all */
    assert_int_equal(atomic_load(&ran), 111);
    loop_free(pool_loop); /* runs the report that is still posted */
    assert_int_equal(atomic_load(&reported), 101);
}

static atomic_bool gate_open;

static void job_wait(void *arg)
{
    while (!atomic_load(&gate_open))
        usleep(1000);
}

/* It is short from the moment that a job finds no thread until all jobs have one. */
static void test_pool_short(void **state)
{
    struct pool *pool = pool_new("short", 2);
    assert_false(pool_is_short(pool));
    for (int i = 0; i < 3; i++)
        pool_submit(pool, job_wait, NULL, NULL, NULL);
    assert_true(pool_is_short(pool)); /* two threads, three jobs that do not end */
    atomic_store(&gate_open, true);
    while (pool_pending(pool) > 0)
        usleep(1000);
    assert_false(pool_is_short(pool));
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_timer_order),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_post_from_thread),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_chain),
        cmocka_unit_test(test_pool_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
