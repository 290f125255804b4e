/* threads.c - threads, locks and clocks of the product: the linker sends its calls here (--wrap, cmake/tests.cmake).
 *
 * (T1) A thread is a fiber of the machine that made it. A mutex, rwlock or condition keeps its state in the memory of the
 *      system's own type; zero is free, as PTHREAD_..._INITIALIZER is.
 * (T2) A switch may happen before a lock is taken and after it is given back, never in between: so a lock that lies
 *      outside of a machine (the disk's) is free when the machine is killed.
 * (T3) A condition wakes by the seed's choice, and now and then without cause, as POSIX allows.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "sim.h"

struct sim_mutex {
    struct fiber *owner;
};

struct sim_rwlock {
    struct fiber *writer;
    int64_t readers;
};

_Static_assert(sizeof(struct sim_mutex) <= sizeof(pthread_mutex_t), "the state lies in the system's type");
_Static_assert(sizeof(struct sim_rwlock) <= sizeof(pthread_rwlock_t), "the state lies in the system's type");

/* ---- threads ---- */

struct start {
    void *(*fn)(void *arg);
    void *arg;
};

static void run_thread(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    start.fn(start.arg);
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    struct start *start = mem_new(struct start);
    *start = (struct start){fn, arg};
    *id = (pthread_t)sim_spawn("thread", sim_machine(), run_thread, start);
    sim_switch_point();
    return 0;
}

int __wrap_pthread_join(pthread_t id, void **result);
int __wrap_pthread_join(pthread_t id, void **result)
{
    struct fiber *fiber = (struct fiber *)id;
    while (!sim_has_ended(fiber))
        sim_wait(fiber, SIM_NEVER);
    return 0;
}

pthread_t __wrap_pthread_self(void);
pthread_t __wrap_pthread_self(void)
{
    return (pthread_t)sim_self();
}

int __wrap_pthread_setname_np(pthread_t id, const char *name);
int __wrap_pthread_setname_np(pthread_t id, const char *name)
{
    sim_set_name((struct fiber *)id, name);
    return 0;
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    return 0;
}

/* ---- mutexes ---- */

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    *(struct sim_mutex *)mutex = (struct sim_mutex){0};
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    if (((struct sim_mutex *)mutex)->owner != NULL)
        sim_fail("a mutex is destroyed while %s holds it", sim_name(((struct sim_mutex *)mutex)->owner));
    return 0;
}

static void take(struct sim_mutex *mutex)
{
    if (mutex->owner == sim_self())
        sim_fail("a mutex is locked twice by the same thread");
    while (mutex->owner != NULL)
        sim_wait(mutex, SIM_NEVER);
    mutex->owner = sim_self();
}

static void give(struct sim_mutex *mutex)
{
    if (mutex->owner != sim_self())
        sim_fail("a mutex is unlocked by a thread that does not hold it");
    mutex->owner = NULL;
    sim_wake(mutex, false);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    sim_switch_point();
    take((struct sim_mutex *)mutex);
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    sim_switch_point();
    if (((struct sim_mutex *)mutex)->owner != NULL)
        return EBUSY;
    take((struct sim_mutex *)mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    give((struct sim_mutex *)mutex);
    sim_switch_point();
    return 0;
}

/* ---- conditions ---- */

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond);
int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    return 0;
}

static bool wait_cond(pthread_cond_t *cond, struct sim_mutex *mutex, int64_t until_us)
{
    enum { SPURIOUS_ONE_IN = 50 };
    bool woken = true;
    give(mutex);
    if (sim_chance(1, SPURIOUS_ONE_IN))
        sim_sleep_us(1);
    else
        woken = sim_wait(cond, until_us);
    take(mutex);
    return woken;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    wait_cond(cond, (struct sim_mutex *)mutex, SIM_NEVER);
    return 0;
}

/* Which clock the condition was made for is told by the size of the number: decades lie between the two. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    int64_t until_us = (int64_t)until->tv_sec * 1000000 + until->tv_nsec / 1000;
    int64_t offset_us = sim_wall_us() - sim_now_us();
    if (until_us > offset_us)
        until_us -= offset_us;
    return wait_cond(cond, (struct sim_mutex *)mutex, until_us) ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    sim_wake(cond, false);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    sim_wake(cond, true);
    return 0;
}

/* ---- read-write locks ---- */

int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr);
int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr)
{
    *(struct sim_rwlock *)lock = (struct sim_rwlock){0};
    return 0;
}

int __wrap_pthread_rwlock_destroy(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
    return 0;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    struct sim_rwlock *mine = (struct sim_rwlock *)lock;
    sim_switch_point();
    while (mine->writer != NULL)
        sim_wait(mine, SIM_NEVER);
    mine->readers++;
    return 0;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    struct sim_rwlock *mine = (struct sim_rwlock *)lock;
    sim_switch_point();
    while (mine->writer != NULL || mine->readers > 0)
        sim_wait(mine, SIM_NEVER);
    mine->writer = sim_self();
    return 0;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    struct sim_rwlock *mine = (struct sim_rwlock *)lock;
    if (mine->writer == sim_self())
        mine->writer = NULL;
    else if (mine->readers-- <= 0)
        sim_fail("a read-write lock is unlocked by a thread that does not hold it");
    sim_wake(mine, true);
    sim_switch_point();
    return 0;
}

/* ---- clocks ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int64_t us = clock == CLOCK_REALTIME ? sim_wall_us() : sim_now_us();
    *out = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    sim_sleep_us((int64_t)time->tv_sec * 1000000 + time->tv_nsec / 1000);
    return 0;
}
