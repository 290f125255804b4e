/* loop_int.h - private to loop: the struct. */
#ifndef RIALTO_LOOP_LOOP_INT_H
#define RIALTO_LOOP_LOOP_INT_H

#include <stdatomic.h>
#include <uv.h>
#undef MIN /* sys/param.h, by way of uv.h, has its own; base/num.h defines ours */
#undef MAX

#include "loop/loop.h"

struct loop {
    uv_loop_t uv;
    const char *name;
    _Atomic bool has_owner, stop_asked;
    pthread_t owner; /* valid when has_owner */

    pthread_mutex_t post_lock; /* posted, queued of posted calls */
    struct list posted;
    uv_async_t wake;

    struct list deferred;
    uv_idle_t idle; /* active while calls are deferred: makes the poll return at once */

    vec(struct loop_timer *) heap; /* by due_ms, smallest first */
    uv_timer_t alarm;              /* for the smallest */
    bool firing;

    int bound_mailboxes;
};

/* Aborts when another thread than the owner calls. */
void loop_assert_mine(const struct loop *loop);

/* As loop_call_cancel, for calls that other threads may post at the same time. */
void loop_call_cancel_locked(struct loop *loop, struct loop_call *call);

#endif
