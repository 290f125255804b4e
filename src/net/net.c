/* net.c - the network threads: start, mail to connections, stop.
 *
 *   stop:  first thread closes the listeners -> every thread closes its connections -> net_stop returns
 *   free:  every thread closes its mailbox, stops its timer and loop -> joined -> freed
 *
 * A handover posted before the listeners were closed reaches its thread before the stop call, because posted
 * calls keep their order; so no connection is left over.
 */
#include <unistd.h>

#include "net/net_int.h"

struct conn *net_conn_at(struct net_thread *thread, uint32_t slot, uint64_t generation)
{
    ASSERT(loop_is_mine(thread->loop));
    if (slot >= thread->slots.len || thread->slots.at[slot].generation != generation)
        return NULL;
    struct conn *conn = thread->slots.at[slot].conn;
    return conn == NULL || conn->closing || conn->draining ? NULL : conn;
}

static void on_conn_mail(struct mail *mail, void *arg)
{
    struct net_thread *thread = arg;
    struct conn_ref to = ((struct conn_mail *)mail)->to;
    struct conn *conn = net_conn_at(thread, to.slot, to.generation);
    if (conn == NULL || conn->listener->cls->on_mail == NULL)
        mail_drop(mail);
    else
        conn->listener->cls->on_mail(conn, mail);
}

void net_send(struct net *net, struct conn_ref to, struct conn_mail *mail)
{
    ASSERT(to.thread < (uint32_t)net->thread_count);
    mail->to = to;
    if (!mailbox_put_reply(net->threads[to.thread].box, &mail->mail))
        mail_drop(&mail->mail);
}

/* ---- stopping, each on its thread ---- */

static void on_thread_stop(struct loop_call *call)
{
    struct net_thread *thread = LIST_ENTRY(call, struct net_thread, stop_call);
    struct net *net = thread->net;
    list_each_safe (struct conn, conn, &thread->conns, link)
        conn_stop(conn);
    pthread_mutex_lock(&net->lock);
    net->threads_stopped++;
    pthread_cond_broadcast(&net->stopped);
    pthread_mutex_unlock(&net->lock);
}

static void on_listening_over(struct loop_call *call)
{
    struct net *net = LIST_ENTRY(call, struct net, listening_over_call);
    list_each (struct net_listener, listener, &net->listeners, link)
        net_listener_close(listener);
    pthread_mutex_lock(&net->lock);
    net->listening_over = true;
    pthread_cond_broadcast(&net->stopped);
    pthread_mutex_unlock(&net->lock);
}

static void on_thread_end(struct loop_call *call)
{
    struct net_thread *thread = LIST_ENTRY(call, struct net_thread, end_call);
    loop_timer_stop(&thread->sweep);
    mailbox_close(thread->box);
    loop_stop(thread->loop);
}

/* ---- life ---- */

static void net_thread_main(void *arg)
{
    struct net_thread *thread = arg;
    loop_run(thread->loop);
}

static void thread_init(struct net *net, uint32_t index)
{
    static const char *const names[] = {"net-0", "net-1", "net-2", "net-3",
                                        "net-4", "net-5", "net-6", "net-7"};
    struct net_thread *thread = &net->threads[index];
    thread->net = net;
    thread->index = index;
    thread->loop = loop_new(names[index % COUNT_OF(names)]);
    thread->box = mailbox_new(1); /* replies only, they ignore the limit */
    thread->scratch = mem_alloc(NET_SCRATCH_BYTES);
    thread->sweep_ms = 1000;
    list_init(&thread->conns);
    list_init(&thread->unsettled);
    loop_call_init(&thread->settle_call, conn_settle_all);
    loop_call_init(&thread->stop_call, on_thread_stop);
    loop_call_init(&thread->end_call, on_thread_end);
    loop_timer_init(&thread->sweep, thread->loop, conn_sweep);
    mailbox_bind(thread->box, thread->loop, on_conn_mail, thread);
}

static void thread_fini(struct net_thread *thread)
{
    loop_free(thread->loop);
    mailbox_unref(thread->box);
    ASSERT(list_empty(&thread->conns));
    vec_fini(&thread->slots);
    vec_fini(&thread->free_slots);
    free(thread->scratch);
}

static int thread_count_default(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 1 : cpus > 8 ? 8 : (int)cpus;
}

struct net *net_new(const struct net_options *options, struct err *err)
{
    struct net *net = mem_new(struct net);
    net->conn_max = options != NULL && options->conn_max > 0 ? options->conn_max : 10000;
    net->metrics = options != NULL ? options->metrics : NULL;
    int wanted =
        options != NULL && options->thread_count > 0 ? options->thread_count : thread_count_default();
    net->threads = mem_zalloc((size_t)wanted, sizeof *net->threads);
    list_init(&net->listeners);
    pthread_mutex_init(&net->lock, NULL);
    pthread_cond_init(&net->stopped, NULL);
    loop_call_init(&net->listening_over_call, on_listening_over);
    for (int i = 0; i < wanted; i++) {
        struct net_thread *thread = &net->threads[i];
        thread_init(net, (uint32_t)i);
        char name[16] = "net-0";
        name[4] = (char)('0' + i % 10);
        if (!thread_start(&thread->thread, name, net_thread_main, thread, err)) {
            mailbox_close(thread->box);
            thread_fini(thread);
            net_free(net);
            return NULL;
        }
        net->thread_count++;
    }
    return net;
}

void net_stop(struct net *net)
{
    pthread_mutex_lock(&net->lock);
    if (net->is_stopping || net->thread_count == 0) {
        pthread_mutex_unlock(&net->lock);
        return;
    }
    net->is_stopping = true;
    loop_post(net->threads[0].loop, &net->listening_over_call);
    while (!net->listening_over)
        pthread_cond_wait(&net->stopped, &net->lock);
    for (int i = 0; i < net->thread_count; i++)
        loop_post(net->threads[i].loop, &net->threads[i].stop_call);
    while (net->threads_stopped < net->thread_count)
        pthread_cond_wait(&net->stopped, &net->lock);
    pthread_mutex_unlock(&net->lock);
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    net_stop(net);
    for (int i = 0; i < net->thread_count; i++)
        loop_post(net->threads[i].loop, &net->threads[i].end_call);
    for (int i = 0; i < net->thread_count; i++) {
        thread_join(&net->threads[i].thread);
        thread_fini(&net->threads[i]);
    }
    list_each_safe (struct net_listener, listener, &net->listeners, link)
        net_listener_free(listener);
    pthread_mutex_destroy(&net->lock);
    pthread_cond_destroy(&net->stopped);
    free(net->threads);
    free(net);
}

void net_limit(struct net *net, int64_t conn_max, int64_t conn_rate_max)
{
    atomic_store_explicit(&net->conn_max, conn_max, memory_order_relaxed);
    atomic_store_explicit(&net->conn_rate_max, conn_rate_max, memory_order_relaxed);
}

int net_thread_count(const struct net *net)
{
    return net->thread_count;
}

struct loop *net_loop(const struct net *net, int thread)
{
    ASSERT(thread >= 0 && thread < net->thread_count);
    return net->threads[thread].loop;
}
