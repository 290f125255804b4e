/* mailbox.h - bounded mail between threads: many writers, one reader.
 *
 *     struct row_mail { struct mail mail; struct row *row; };        the mail is the first member
 *
 *     writer:   struct row_mail *m = mem_new(struct row_mail);
 *               m->mail.type = MAIL_ROW;
 *               if (!mailbox_put(box, &m->mail)) ... full or closed: the writer still owns m
 *     reader:   on its loop: mailbox_bind(box, loop, on_mail, arg)
 *               or without one: while ((mail = mailbox_take(box, 100)) != NULL) ...
 *
 * (M1) A put hands the mail over; the reader frees it. A put that returns false hands nothing over.
 * (M2) Order of one writer is kept.
 * (M3) Bounded: requests use mailbox_put or mailbox_put_wait and feel the limit; replies to requests that
 *      were admitted use mailbox_put_reply, which ignores it, so that two full mailboxes cannot wait for each
 *      other.
 * (M4) Wake-ups are coalesced: one for many mails.
 * (M5) Counted: who keeps a mailbox to reply to holds a reference; after mailbox_close every put returns
 *      false.
 */
#ifndef RIALTO_LOOP_MAILBOX_H
#define RIALTO_LOOP_MAILBOX_H

#include "loop/loop.h"

struct mailbox;

struct mail {
    struct mail *next;        /* the mailbox's */
    int type;                 /* an enum of the reader */
    struct mailbox *reply_to; /* where the answer goes; NULL: none is wanted. A reference when not NULL */
    void (*drop)(struct mail *mail); /* frees a mail that nobody will read; NULL: free() */
};

typedef void mailbox_fn(struct mail *mail, void *arg);

/* A mailbox for at most mail_max mails; the caller has one reference. Any thread. */
struct mailbox *mailbox_new(size_t mail_max);
struct mailbox *mailbox_ref(struct mailbox *box);
void mailbox_unref(struct mailbox *box);

/* Calls fn(mail, arg) on the loop for each mail, in batches. Loop thread. mailbox_close unbinds. */
void mailbox_bind(struct mailbox *box, struct loop *loop, mailbox_fn *fn, void *arg);

/* No more mail: drops what is there, wakes who waits, unbinds. By the reader (on the loop thread when bound).
 */
void mailbox_close(struct mailbox *box);

/* False: full or closed; the mail stays the caller's. Any thread. */
bool mailbox_put(struct mailbox *box, struct mail *mail);

/* Waits up to timeout_ms (-1: for ever) for room. Any thread that may block. */
bool mailbox_put_wait(struct mailbox *box, struct mail *mail, int64_t timeout_ms);

/* Puts beyond the limit (M3); false only when closed. Any thread. */
bool mailbox_put_reply(struct mailbox *box, struct mail *mail);

/* The next mail, after waiting up to timeout_ms (-1: for ever, 0: not at all); NULL when there is none, or
 * closed. The reader's thread, unbound mailboxes only. */
struct mail *mailbox_take(struct mailbox *box, int64_t timeout_ms);

/* Gives all present mails to fn and returns their number; does not wait. The reader's thread. */
size_t mailbox_drain(struct mailbox *box, mailbox_fn *fn, void *arg);

/* Wakes a reader that waits in mailbox_take without mail (it returns NULL). Any thread. */
void mailbox_wake(struct mailbox *box);

/* Mails waiting. Any thread. */
size_t mailbox_len(struct mailbox *box);

/* Releases a mail by its own drop function, and its reply_to reference. */
void mail_drop(struct mail *mail);

#endif
