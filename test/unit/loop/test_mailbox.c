/* test_mailbox.c - order, limit, waiting, closing; with and without a loop; many writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "loop/mailbox.h"

struct note {
    struct mail mail;
    int writer, n;
};

static _Atomic int dropped;

static void note_drop(struct mail *mail)
{
    atomic_fetch_add(&dropped, 1);
    free(mail);
}

static struct mail *note_new(int writer, int n)
{
    struct note *note = mem_new(struct note);
    note->mail.drop = note_drop;
    note->writer = writer;
    note->n = n;
    return &note->mail;
}

static void test_limit_and_order(void **state)
{
    struct mailbox *box = mailbox_new(3);
    for (int i = 0; i < 3; i++)
        assert_true(mailbox_put(box, note_new(0, i)));
    struct mail *extra = note_new(0, 3);
    assert_false(mailbox_put(box, extra));
    assert_false(mailbox_put_wait(box, extra, 20)); /* nobody reads */
    assert_true(mailbox_put_reply(box, extra));     /* replies go beyond the limit */
    assert_int_equal(mailbox_len(box), 4);
    for (int i = 0; i < 4; i++) {
        struct note *note = (struct note *)mailbox_take(box, 0);
        assert_int_equal(note->n, i);
        free(note);
    }
    assert_null(mailbox_take(box, 0));
    int64_t start_ms = clock_mono_ms();
    assert_null(mailbox_take(box, 30));
    assert_in_range(clock_mono_ms() - start_ms, 28, 2000);
    mailbox_wake(box);
    assert_null(mailbox_take(box, -1)); /* woken without mail */
    mailbox_put(box, note_new(0, 9));
    mailbox_close(box);
    assert_int_equal(atomic_load(&dropped), 1);
    struct mail *late = note_new(0, 10);
    assert_false(mailbox_put(box, late));
    assert_false(mailbox_put_reply(box, late));
    assert_false(mailbox_put_wait(box, late, -1));
    mail_drop(late);
    mailbox_unref(box);
}

/* ---- many writers, one reader on a loop ---- */

enum { WRITERS = 4, NOTES = 5000 };

static struct mailbox *shared;
static int next_of[WRITERS], received;
static struct loop *reader_loop;

static void writer_main(void *arg)
{
    int writer = (int)(intptr_t)arg;
    for (int i = 0; i < NOTES; i++) {
        struct mail *mail = note_new(writer, i);
        if (!mailbox_put(shared, mail))
            assert_true(mailbox_put_wait(shared, mail, -1));
    }
}

static void on_note(struct mail *mail, void *arg)
{
    struct note *note = (struct note *)mail;
    assert_int_equal(note->n, next_of[note->writer]++); /* each writer's order is kept */
    free(note);
    if (++received == WRITERS * NOTES)
        loop_stop(arg);
}

static void run_writers(struct thread *threads)
{
    for (int i = 0; i < WRITERS; i++)
        assert_true(thread_start(&threads[i], "writer", writer_main, (void *)(intptr_t)i, NULL));
}

static void test_bound(void **state)
{
    reader_loop = loop_new("reader");
    shared = mailbox_new(16);
    mailbox_put(shared, note_new(0, 0)); /* mail before the binding is seen */
    next_of[0] = 0;
    mailbox_bind(shared, reader_loop, on_note, reader_loop);
    loop_step(reader_loop, 100);
    assert_int_equal(received, 1);
    received = next_of[0] = 0;
    struct thread threads[WRITERS];
    run_writers(threads);
    loop_run(reader_loop);
    for (int i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(received, WRITERS * NOTES);
    mailbox_close(shared);
    mailbox_unref(shared);
    loop_free(reader_loop);
}

static void test_unbound(void **state)
{
    shared = mailbox_new(8);
    memset(next_of, 0, sizeof next_of);
    struct thread threads[WRITERS];
    run_writers(threads);
    for (int i = 0; i < WRITERS * NOTES; i++) {
        struct note *note = (struct note *)mailbox_take(shared, -1);
        assert_int_equal(note->n, next_of[note->writer]++);
        free(note);
    }
    for (int i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    mailbox_close(shared);
    mailbox_unref(shared);
}

/* ---- a closed mailbox lets waiting writers go; a request is answered through reply_to ---- */

static _Atomic int refused;

static void blocked_main(void *arg)
{
    struct mail *mail = note_new(0, 0);
    if (!mailbox_put_wait(shared, mail, -1)) {
        atomic_fetch_add(&refused, 1);
        mail_drop(mail);
    }
}

static void test_close_wakes(void **state)
{
    shared = mailbox_new(1);
    mailbox_put(shared, note_new(0, 0));
    struct thread thread;
    assert_true(thread_start(&thread, "blocked", blocked_main, NULL, NULL));
    usleep(20000);
    mailbox_close(shared);
    thread_join(&thread);
    assert_int_equal(atomic_load(&refused), 1);
    mailbox_unref(shared);
}

static void test_reply_to(void **state)
{
    struct mailbox *asker = mailbox_new(1), *worker = mailbox_new(1);
    struct mail *question = note_new(1, 1);
    question->reply_to = mailbox_ref(asker);
    assert_true(mailbox_put(worker, question));
    struct mail *got = mailbox_take(worker, 0);
    assert_true(mailbox_put_reply(got->reply_to, note_new(2, 2)));
    mail_drop(got); /* gives the reference back too */
    struct note *answer = (struct note *)mailbox_take(asker, 0);
    assert_int_equal(answer->n, 2);
    free(answer);
    mailbox_unref(asker);
    mailbox_unref(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_and_order), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_unbound),         cmocka_unit_test(test_close_wakes),
        cmocka_unit_test(test_reply_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
