/* mailbox.c - a list under a lock, with a limit, two conditions and a loop to wake.
 *
 *   writers -> head .. tail (lock) --swap--> batch (the reader's alone) -> fn
 *
 * (B1) The reader takes all that is there at once and works on it without the lock; a writer holds the lock
 *      for a pointer or two. Decided against: a lock-free list, which loses the blocking waits.
 * (B2) A bound mailbox posts its wake-up call when the list becomes non-empty; an unbound one signals
 *      not_empty.
 * (B3) The limit counts the list, not the batch: a reader that is busy with a batch has room for as much
 *      again.
 */
#include <errno.h>
#include <stdatomic.h>

#include "loop/loop_int.h"
#include "loop/mailbox.h"

struct mailbox {
    _Atomic int refs;
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    struct mail *head, *tail;
    size_t len, mail_max;
    int putters_waiting;
    bool closed, woken;
    struct mail *batch; /* the reader's */
    struct loop *loop;  /* NULL: unbound */
    struct loop_call wake;
    mailbox_fn *fn;
    void *arg;
};

struct mailbox *mailbox_new(size_t mail_max)
{
    ASSERT(mail_max > 0);
    struct mailbox *box = mem_new(struct mailbox);
    atomic_init(&box->refs, 1);
    box->mail_max = mail_max;
    pthread_mutex_init(&box->lock, NULL);
    clock_cond_init(&box->not_empty);
    clock_cond_init(&box->not_full);
    return box;
}

struct mailbox *mailbox_ref(struct mailbox *box)
{
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return box;
}

void mail_drop(struct mail *mail)
{
    if (mail->reply_to != NULL)
        mailbox_unref(mail->reply_to);
    mail->reply_to = NULL;
    if (mail->drop != NULL)
        mail->drop(mail);
    else
        free(mail);
}

static void mail_drop_all(struct mail *mail)
{
    while (mail != NULL) {
        struct mail *next = mail->next;
        mail_drop(mail);
        mail = next;
    }
}

void mailbox_unref(struct mailbox *box)
{
    if (box == NULL || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    ASSERT(box->loop == NULL); /* closed, or never bound */
    mail_drop_all(box->head);
    mail_drop_all(box->batch);
    pthread_mutex_destroy(&box->lock);
    pthread_cond_destroy(&box->not_empty);
    pthread_cond_destroy(&box->not_full);
    free(box);
}

/* ---- writing ---- */

/* Waits for a signal; false when the time is over. timeout_ms -1: no limit. */
static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms,
                       const struct timespec *deadline)
{
    if (timeout_ms < 0)
        return pthread_cond_wait(cond, lock) == 0;
    return pthread_cond_timedwait(cond, lock, deadline) != ETIMEDOUT;
}

/* Under the lock. */
static void append(struct mailbox *box, struct mail *mail)
{
    bool first = box->head == NULL;
    mail->next = NULL;
    if (first)
        box->head = mail;
    else
        box->tail->next = mail;
    box->tail = mail;
    box->len++;
    if (!first)
        return;
    if (box->loop != NULL)
        loop_post(box->loop, &box->wake);
    else
        pthread_cond_signal(&box->not_empty);
}

bool mailbox_put_wait(struct mailbox *box, struct mail *mail, int64_t timeout_ms)
{
    struct timespec deadline = clock_deadline(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&box->lock);
    bool in_time = timeout_ms != 0;
    while (box->len >= box->mail_max && !box->closed && in_time) {
        box->putters_waiting++;
        in_time = wait_until(&box->not_full, &box->lock, timeout_ms, &deadline);
        box->putters_waiting--;
    }
    bool put = !box->closed && box->len < box->mail_max;
    if (put)
        append(box, mail);
    pthread_mutex_unlock(&box->lock);
    return put;
}

bool mailbox_put(struct mailbox *box, struct mail *mail)
{
    pthread_mutex_lock(&box->lock);
    bool put = !box->closed && box->len < box->mail_max;
    if (put)
        append(box, mail);
    pthread_mutex_unlock(&box->lock);
    return put;
}

bool mailbox_put_reply(struct mailbox *box, struct mail *mail)
{
    pthread_mutex_lock(&box->lock);
    bool put = !box->closed;
    if (put)
        append(box, mail);
    pthread_mutex_unlock(&box->lock);
    return put;
}

void mailbox_wake(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->woken = true;
    pthread_cond_signal(&box->not_empty);
    pthread_mutex_unlock(&box->lock);
}

size_t mailbox_len(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    size_t len = box->len;
    pthread_mutex_unlock(&box->lock);
    return len;
}

/* ---- reading ---- */

/* Moves the list to the (empty) batch. Under the lock. */
static void swap_in(struct mailbox *box)
{
    ASSERT(box->batch == NULL);
    box->batch = box->head;
    box->head = box->tail = NULL;
    box->len = 0;
    if (box->putters_waiting > 0)
        pthread_cond_broadcast(&box->not_full);
}

static struct mail *batch_pop(struct mailbox *box)
{
    struct mail *mail = box->batch;
    if (mail != NULL) {
        box->batch = mail->next;
        mail->next = NULL;
    }
    return mail;
}

struct mail *mailbox_take(struct mailbox *box, int64_t timeout_ms)
{
    ASSERT(box->loop == NULL);
    if (box->batch != NULL)
        return batch_pop(box);
    struct timespec deadline = clock_deadline(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&box->lock);
    bool in_time = timeout_ms != 0;
    while (box->head == NULL && !box->closed && !box->woken && in_time)
        in_time = wait_until(&box->not_empty, &box->lock, timeout_ms, &deadline);
    box->woken = false;
    swap_in(box);
    pthread_mutex_unlock(&box->lock);
    return batch_pop(box);
}

size_t mailbox_drain(struct mailbox *box, mailbox_fn *fn, void *arg)
{
    size_t count = 0;
    mailbox_ref(box); /* fn may close and release it */
    if (box->batch == NULL) {
        pthread_mutex_lock(&box->lock);
        box->woken = false;
        swap_in(box);
        pthread_mutex_unlock(&box->lock);
    }
    for (struct mail *mail; (mail = batch_pop(box)) != NULL; count++)
        fn(mail, arg);
    mailbox_unref(box);
    return count;
}

static void on_wake_call(struct loop_call *call)
{
    struct mailbox *box = LIST_ENTRY(call, struct mailbox, wake);
    mailbox_drain(box, box->fn, box->arg);
}

void mailbox_bind(struct mailbox *box, struct loop *loop, mailbox_fn *fn, void *arg)
{
    loop_assert_mine(loop);
    ASSERT(box->loop == NULL);
    pthread_mutex_lock(&box->lock);
    box->fn = fn;
    box->arg = arg;
    box->loop = loop;
    loop_call_init(&box->wake, on_wake_call);
    loop->bound_mailboxes++;
    if (box->head != NULL)
        loop_post(loop, &box->wake);
    pthread_mutex_unlock(&box->lock);
}

void mailbox_close(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    struct mail *left = box->head;
    box->head = box->tail = NULL;
    box->len = 0;
    if (box->loop != NULL) {
        loop_assert_mine(box->loop);
        loop_call_cancel_locked(box->loop, &box->wake);
        box->loop->bound_mailboxes--;
        box->loop = NULL;
    }
    pthread_cond_broadcast(&box->not_empty);
    pthread_cond_broadcast(&box->not_full);
    pthread_mutex_unlock(&box->lock);
    mail_drop_all(box->batch);
    box->batch = NULL;
    mail_drop_all(left);
}
