/* pool.c - threads with names, and the worker pool.
 *
 * The pool is a queue under one lock with lazily started threads: its jobs (fsync, unlink, getaddrinfo) last
 * far longer than the lock is held. A job that reports to a loop travels back as a posted call inside the job
 * itself, so that a finished job always arrives.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "loop/loop.h"

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->arg);
    return NULL;
}

bool thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg, struct err *err)
{
    thread->fn = fn;
    thread->arg = arg;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the new thread */
    int rc = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set_errno(err, rc, "thread %s cannot be started", name);
    return true;
}

void thread_join(struct thread *thread)
{
    int rc = pthread_join(thread->id, NULL);
    ASSERT_CMP(rc, ==, 0);
}

struct pool_job {
    struct list link;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct loop *loop;
    struct loop_call call;
};

struct pool {
    const char *name;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    struct list jobs;
    size_t pending; /* queued and running */
    size_t queued;  /* not yet taken by a thread */
    int idle, started, thread_max;
    bool closing;
    struct thread *threads;
};

struct pool *pool_new(const char *name, int thread_max)
{
    ASSERT(thread_max > 0);
    struct pool *pool = mem_new(struct pool);
    pool->name = name;
    pool->thread_max = thread_max;
    pool->threads = mem_zalloc((size_t)thread_max, sizeof *pool->threads);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    list_init(&pool->jobs);
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    int started = pool->started;
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++)
        thread_join(&pool->threads[i]);
    ASSERT(list_empty(&pool->jobs));
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    free(pool->threads);
    free(pool);
}

static void job_report(struct loop_call *call)
{
    struct pool_job *job = LIST_ENTRY(call, struct pool_job, call);
    job->done(job->arg);
    free(job);
}

static void job_run(struct pool_job *job)
{
    job->run(job->arg);
    if (job->done != NULL && job->loop != NULL) {
        loop_post(job->loop, &job->call);
        return;
    }
    if (job->done != NULL)
        job->done(job->arg);
    free(job);
}

static void pool_main(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (list_empty(&pool->jobs) && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (list_empty(&pool->jobs))
            break;
        struct pool_job *job = LIST_ENTRY(pool->jobs.next, struct pool_job, link);
        list_remove(&job->link);
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        job_run(job);
        pthread_mutex_lock(&pool->lock);
        pool->pending--;
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Starts one more thread if there are more jobs than idle ones. Without any the pool cannot work, which ends the process. */
static void pool_grow(struct pool *pool)
{
    if (pool->queued <= (size_t)pool->idle || pool->started == pool->thread_max || pool->closing)
        return; /* when closing, the job that submits runs on a thread that will find the new one */
    char name[16];
    snprintf(name, sizeof name, "%.10s-%d", pool->name, pool->started);
    struct err err;
    if (thread_start(&pool->threads[pool->started], name, pool_main, pool, &err))
        pool->started++;
    else if (pool->started == 0)
        assert_failed(__FILE__, __LINE__, "thread_start", "%s", err.text);
}

void pool_submit(struct pool *pool, void (*run)(void *arg), void *arg, struct loop *loop,
                 void (*done)(void *arg))
{
    struct pool_job *job = mem_new(struct pool_job);
    *job = (struct pool_job){.run = run, .done = done, .arg = arg, .loop = loop};
    loop_call_init(&job->call, job_report);
    pthread_mutex_lock(&pool->lock);
    list_push_back(&pool->jobs, &job->link);
    pool->pending++;
    pool->queued++;
    pool_grow(pool);
    bool wake = pool->idle > 0; /* else the next one that is free looks by itself */
    pthread_mutex_unlock(&pool->lock);
    if (wake) /* not under the lock, where the woken thread would run into it and sleep again */
        pthread_cond_signal(&pool->work);
}

bool pool_is_short(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool is_short = pool->queued > (size_t)pool->idle;
    pthread_mutex_unlock(&pool->lock);
    return is_short;
}

size_t pool_pending(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t pending = pool->pending;
    pthread_mutex_unlock(&pool->lock);
    return pending;
}
