/* test_net.c - connections over real sockets on free ports: framing in pieces, order, push-back, limits, idle
 * times, mail to connections that are gone, stopping. The test's thread is the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"

/* ---- the protocol of these tests: u32 length, then a body whose first byte says what to do ---- */

enum { FRAME_MAX = 8 << 20 };

static _Atomic int opened, closed, writable_calls, mails, mail_drops, released;
static _Atomic size_t out_peak;
static struct conn_ref last_ref; /* tests with one connection only */
static _Atomic(const char *) last_why;
static pthread_mutex_t ref_lock = PTHREAD_MUTEX_INITIALIZER;
static char pattern[1 << 20];
static int pattern_fd;

static void count_release(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void frame_open(struct conn *conn)
{
    pthread_mutex_lock(&ref_lock);
    last_ref = conn_ref(conn);
    pthread_mutex_unlock(&ref_lock);
    atomic_fetch_add(&opened, 1);
}

static void frame_close(struct conn *conn, const char *why)
{
    atomic_store(&last_why, why);
    conn_write(conn, STR("too late")); /* harmless */
    atomic_fetch_add(&closed, 1);
}

static void frame_writable(struct conn *conn)
{
    atomic_fetch_add(&writable_calls, 1);
}

static void frame_answer(struct conn *conn, struct str body)
{
    struct buf copy = {0};
    switch (body.len > 0 ? body.ptr[0] : '?') {
    case 'e': /* echo, by copy and by handed over memory */
        conn_write(conn, str_sub(body, 0, 1));
        buf_append_str(&copy, str_sub(body, 1, SIZE_MAX));
        conn_write_take(conn, &copy);
        break;
    case 'f': /* head, a file slice, a borrowed tail */
        conn_write(conn, STR("["));
        conn_write_file(conn, pattern_fd, 100, 1000, count_release, &released);
        conn_write_borrowed(conn, STR("]"), count_release, &released);
        break;
    case 'm': /* a megabyte */
        conn_write_borrowed(conn, str_of(pattern, sizeof pattern), NULL, NULL);
        break;
    case 'b': /* last words */
        conn_write(conn, STR("bye"));
        conn_close_flushed(conn, "asked to");
        break;
    case 'x': /* more than the file holds */
        conn_write_file(conn, pattern_fd, sizeof pattern - 10, 20, count_release, &released);
        break;
    default:
        conn_close(conn, "garbage");
    }
    size_t bytes = conn_out_bytes(conn);
    if (bytes > atomic_load(&out_peak))
        atomic_store(&out_peak, bytes);
}

static size_t frame_bytes(struct conn *conn, struct str unread)
{
    size_t used = 0;
    while (unread.len - used >= 4 && !conn_out_full(conn)) {
        uint32_t len = load_be32(unread.ptr + used);
        if (len > FRAME_MAX) {
            conn_close(conn, "too large");
            return unread.len;
        }
        if (unread.len - used < 4 + (size_t)len) {
            conn_expect(conn, 4 + (size_t)len);
            break;
        }
        frame_answer(conn, str_of(unread.ptr + used + 4, len));
        used += 4 + (size_t)len;
    }
    return used;
}

static void frame_mail(struct conn *conn, struct mail *mail)
{
    atomic_fetch_add(&mails, 1);
    conn_write(conn, STR("mail"));
    free(mail);
}

static const struct conn_class frame_class = {"frame",        frame_open, frame_bytes,
                                              frame_writable, frame_mail, frame_close};

/* ---- client ---- */

static struct net *net;
static struct net_listener *listener;
static int port;

static void serve(int threads, int64_t conn_max, const struct net_listen_options *options)
{
    struct err err;
    struct net_options net_options = {.thread_count = threads, .conn_max = conn_max};
    net = net_new(&net_options, &err);
    assert_non_null(net);
    listener = net_listen(net, STR("127.0.0.1:0"), &frame_class, NULL, options, &err);
    if (listener == NULL)
        fail_msg("%s", err.text);
    port = net_listener_port(listener);
    assert_true(net_listener_is_loopback(listener));
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    atomic_store(&released, 0);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const char *)bytes + at, size - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

static void send_frame(int fd, char what, const char *text)
{
    struct buf frame = {0};
    store_be32(buf_extend(&frame, 4), (uint32_t)strlen(text) + 1);
    buf_append_char(&frame, what);
    buf_append_cstr(&frame, text);
    send_all(fd, frame.ptr, frame.len);
    buf_fini(&frame);
}

/* Reads exactly `size` bytes, or less when the peer ends; returns the number. */
static size_t recv_all(int fd, void *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        struct pollfd ready = {fd, POLLIN, 0};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        ssize_t n = recv(fd, (char *)bytes + at, size - at, 0);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

static void wait_for(const _Atomic int *counter, int value)
{
    for (int i = 0; i < 5000 && atomic_load(counter) < value; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), value);
}

static int setup(void **state)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)(i * 31 + i / 251);
    char path[] = "/tmp/test_net_XXXXXX";
    pattern_fd = mkstemp(path);
    unlink(path);
    return write(pattern_fd, pattern, sizeof pattern) == (ssize_t)sizeof pattern ? 0 : -1;
}

/* ---- tests ---- */

static void test_byte_by_byte(void **state)
{
    serve(1, 0, NULL);
    int fd = dial();
    static const char bytes[] = "\0\0\0\6ehello\0\0\0\3exy";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        send_all(fd, bytes + i, 1);
        usleep(500);
    }
    char got[9];
    assert_int_equal(recv_all(fd, got, sizeof got), 9);
    assert_memory_equal(got, "ehelloexy", 9);
    close(fd);
    wait_for(&closed, 1);
    assert_string_equal(atomic_load(&last_why), "closed by peer");
    net_free(net);
}

/* Replies of every kind, pipelined, come back in the order of the requests. */
static void test_order_of_replies(void **state)
{
    serve(2, 0, NULL);
    int fd = dial();
    for (int i = 0; i < 200; i++) {
        send_frame(fd, 'e', "1");
        send_frame(fd, 'f', "");
        send_frame(fd, 'e', "2");
    }
    for (int i = 0; i < 200; i++) {
        char got[1006];
        assert_int_equal(recv_all(fd, got, sizeof got), 1006);
        assert_memory_equal(got, "e1[", 3);
        assert_memory_equal(got + 3, pattern + 100, 1000);
        assert_memory_equal(got + 1003, "]e2", 3);
    }
    wait_for(&released, 400);
    close(fd);
    net_free(net);
}

static void test_large_frame(void **state)
{
    serve(1, 0, NULL);
    int fd = dial();
    enum { SIZE = 5 << 20 };
    char *frame = mem_alloc(4 + SIZE), *got = mem_alloc(SIZE);
    store_be32(frame, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        frame[4 + i] = (char)(i * 7);
    frame[4] = 'e';
    send_all(fd, frame, 4 + SIZE);
    assert_int_equal(recv_all(fd, got, SIZE), SIZE);
    assert_memory_equal(got, frame + 4, SIZE);
    free(frame);
    free(got);
    close(fd);
    net_free(net);
}

/* A client that asks for 300 MB and does not read stops being read itself; all comes when it reads again. */
static void test_slow_reader(void **state)
{
    struct net_listen_options options = {.out_max = 1 << 20};
    serve(1, 0, &options);
    atomic_store(&out_peak, 0);
    atomic_store(&writable_calls, 0);
    int fd = dial();
    enum { COUNT = 300 };
    for (int i = 0; i < COUNT; i++)
        send_frame(fd, 'm', "");
    usleep(100000);
    assert_true(atomic_load(&out_peak) <= 3 << 20);
    char *got = mem_alloc(sizeof pattern);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(recv_all(fd, got, sizeof pattern), sizeof pattern);
        assert_memory_equal(got, pattern, sizeof pattern);
    }
    assert_true(atomic_load(&out_peak) <= 3 << 20);
    assert_true(atomic_load(&writable_calls) > 0);
    free(got);
    close(fd);
    net_free(net);
}

static void test_many_connections(void **state)
{
    enum { COUNT = 400 };
    serve(3, 0, NULL);
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++)
        fds[i] = dial();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            send_frame(fds[i], 'e', "abc");
        for (int i = 0; i < COUNT; i++) {
            char got[4];
            assert_int_equal(recv_all(fds[i], got, 4), 4);
            assert_memory_equal(got, "eabc", 4);
        }
    }
    for (int i = 0; i < COUNT; i += 2)
        close(fds[i]);
    wait_for(&closed, COUNT / 2);
    net_stop(net); /* closes the others */
    assert_int_equal(atomic_load(&closed), COUNT);
    for (int i = 1; i < COUNT; i += 2) {
        char byte;
        assert_int_equal(recv_all(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
    net_free(net);
}

/* True when the connection answers, false when it was refused. */
static bool is_served(int fd)
{
    static const char frame[] = {0, 0, 0, 1, 'e'};
    char got;
    return send(fd, frame, sizeof frame, MSG_NOSIGNAL) == (ssize_t)sizeof frame && recv(fd, &got, 1, 0) == 1;
}

static void test_limit_per_host(void **state)
{
    struct net_listen_options options = {.limits = {.conn_max_per_host = 2}};
    serve(2, 0, &options);
    int one = dial(), two = dial(), three = dial();
    assert_true(is_served(one));
    assert_true(is_served(two));
    assert_false(is_served(three));
    close(three);
    net_listener_limit(listener, &(struct net_limits){.conn_max_per_host = 3});
    three = dial();
    assert_true(is_served(three));
    net_listener_limit(listener, &(struct net_limits){0}); /* none */
    int four = dial();
    assert_true(is_served(four));
    int fds[] = {one, two, three, four};
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    net_free(net);
}

static const char *admit_none(void *arg, struct str host)
{
    assert_true(str_eq(host, STR("127.0.0.1")));
    return "nobody is let in";
}

static void test_admit(void **state)
{
    struct net_listen_options options = {.admit = admit_none};
    serve(1, 0, &options);
    int fd = dial();
    char byte;
    assert_int_equal(recv_all(fd, &byte, 1), 0);
    close(fd);
    net_free(net);
}

/* More than the rate are not refused: they wait for the next seconds. */
static void test_limit_rate(void **state)
{
    enum { RATE = 4, COUNT = 10 };
    struct net_listen_options options = {.limits = {.conn_rate_max = RATE}};
    serve(1, 0, &options);
    int fds[COUNT];
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < COUNT; i++)
        fds[i] = dial();
    for (int i = 0; i < COUNT; i++)
        assert_true(is_served(fds[i]));
    assert_true(clock_mono_ms() - start_ms > 1000); /* three seconds had to have a share of it */
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    net_free(net);
}

/* The rate of all listeners counts for one without a rate of its own. */
static void test_limit_rate_in_all(void **state)
{
    enum { RATE = 4, COUNT = 10 };
    serve(1, 0, NULL);
    net_limit(net, 0, RATE);
    int fds[COUNT];
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < COUNT; i++)
        fds[i] = dial();
    for (int i = 0; i < COUNT; i++)
        assert_true(is_served(fds[i]));
    assert_true(clock_mono_ms() - start_ms > 1000); /* three seconds had to have a share of it */
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    net_free(net);
}

static void test_limit(void **state)
{
    serve(2, 3, NULL);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        send_frame(fds[i], 'e', "");
        char got;
        assert_int_equal(recv_all(fds[i], &got, 1), 1);
    }
    int extra = dial();
    char byte;
    assert_int_equal(recv_all(extra, &byte, 1), 0); /* refused */
    close(extra);
    close(fds[0]);
    wait_for(&closed, 1);
    usleep(10000);
    fds[0] = dial(); /* there is room again */
    send_frame(fds[0], 'e', "");
    assert_int_equal(recv_all(fds[0], &byte, 1), 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    net_free(net);
}

static void test_idle(void **state)
{
    struct net_listen_options options = {.idle_ms = 150};
    serve(1, 0, &options);
    int fd = dial();
    for (int i = 0; i < 4; i++) { /* traffic keeps it open */
        usleep(80000);
        send_frame(fd, 'e', "");
        char got;
        assert_int_equal(recv_all(fd, &got, 1), 1);
    }
    char byte;
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(recv_all(fd, &byte, 1), 0);
    assert_in_range(clock_mono_ms() - start_ms, 100, 2000);
    assert_string_equal(atomic_load(&last_why), "idle");
    close(fd);
    net_free(net);
}

static void test_output_that_does_not_move(void **state)
{
    struct net_listen_options options = {.idle_ms = 200};
    serve(1, 0, &options);
    int fd = dial();
    for (int i = 0; i < 20; i++)
        send_frame(fd, 'm', "");
    wait_for(&closed, 1);
    assert_string_equal(atomic_load(&last_why), "output does not move");
    close(fd);
    net_free(net);
}

static void test_close_flushed(void **state)
{
    serve(1, 0, NULL);
    int fd = dial();
    send_frame(fd, 'm', "");
    send_frame(fd, 'b', "");
    for (int i = 0; i < 100; i++)
        send_frame(fd, 'e', "ignored"); /* unread when it closes: must not turn into a reset */
    char *got = mem_alloc(sizeof pattern + 10);
    assert_int_equal(recv_all(fd, got, sizeof pattern + 10), sizeof pattern + 3);
    assert_memory_equal(got + sizeof pattern, "bye", 3);
    free(got);
    assert_int_equal(atomic_load(&closed), 0); /* waits for our end */
    close(fd);
    wait_for(&closed, 1);
    assert_string_equal(atomic_load(&last_why), "asked to");
    net_free(net);
}

static void test_file_too_short(void **state)
{
    serve(1, 0, NULL);
    int fd = dial();
    send_frame(fd, 'x', "");
    char got[32];
    assert_int_equal(recv_all(fd, got, sizeof got), 10);
    wait_for(&closed, 1);
    wait_for(&released, 1);
    assert_string_equal(atomic_load(&last_why), "file is shorter than announced");
    close(fd);
    net_free(net);
}

static void test_garbage(void **state)
{
    serve(2, 0, NULL);
    for (unsigned seed = 1; seed <= 50; seed++) {
        int fd = dial();
        char junk[512];
        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = (char)rand_r(&seed);
        junk[0] = (char)0xff; /* a length of gigabytes */
        send(fd, junk, sizeof junk, MSG_NOSIGNAL);
        close(fd);
    }
    int fd = dial();
    send_frame(fd, 'e', "alive");
    char got[6];
    assert_int_equal(recv_all(fd, got, 6), 6);
    close(fd);
    net_free(net);
}

/* ---- mail ---- */

struct note {
    struct conn_mail mail;
};

static void note_drop(struct mail *mail)
{
    atomic_fetch_add(&mail_drops, 1);
    free(mail);
}

static void send_note(struct conn_ref to)
{
    struct note *note = mem_new(struct note);
    note->mail.mail.drop = note_drop;
    net_send(net, to, &note->mail);
}

static void test_mail(void **state)
{
    serve(2, 0, NULL);
    int fd = dial();
    wait_for(&opened, 1);
    struct conn_ref first = last_ref;
    send_note(first);
    char got[4];
    assert_int_equal(recv_all(fd, got, 4), 4);
    assert_memory_equal(got, "mail", 4);
    close(fd);
    wait_for(&closed, 1);
    send_note(first); /* gone: dropped */
    wait_for(&mail_drops, 1);
    fd = dial(); /* may take the same slot, but is another connection */
    wait_for(&opened, 2);
    send_note(first);
    wait_for(&mail_drops, 2);
    send_note((struct conn_ref){0, 12345, 1}); /* never was */
    wait_for(&mail_drops, 3);
    assert_int_equal(atomic_load(&mails), 1);
    close(fd);
    net_free(net);
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"127.0.0.1:9092", "127.0.0.1", 9092},
                {"[::1]:80", "::1", 80},
                {"localhost:0", "localhost", 0},
                {":8080", "", 8080},
                {"name", "name", 7},
                {"[::]", "::", 7}};
    struct str host;
    int got_port;
    struct err err;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(net_address_split(str_from(good[i].text), 7, &host, &got_port, &err));
        assert_true(str_eq_cstr(host, good[i].host));
        assert_int_equal(got_port, good[i].port);
    }
    static const char *const bad[] = {"a:65536", "a:-1",   "a:+1",    "a:x", "a:",
                                      "[::1",    "::1:80", "[::1]80", "a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(net_address_split(str_from(bad[i]), -1, &host, &got_port, &err));
}

static void test_listen_errors(void **state)
{
    struct err err;
    serve(1, 0, NULL);
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", port);
    assert_null(net_listen(net, str_from(taken), &frame_class, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_LOCKED);
    assert_non_null(strstr(err.text, taken));
    assert_null(net_listen(net, STR("203.0.113.1:0"), &frame_class, NULL, NULL, &err)); /* not ours */
    assert_null(net_listen(net, STR("no such host:80"), &frame_class, NULL, NULL, &err));
    struct net_listener *all = net_listen(net, STR("0.0.0.0:0"), &frame_class, NULL, NULL, &err);
    assert_non_null(all);
    assert_false(net_listener_is_loopback(all));
    struct net_listener *named = net_listen(net, STR("localhost:0"), &frame_class, NULL, NULL, &err);
    assert_non_null(named);
    assert_true(net_listener_is_loopback(named));
    net_free(net);
}

/* Without a free descriptor the server waits and goes on when there is one; nothing ends. */
static void test_out_of_descriptors(void **state)
{
    serve(1, 0, NULL);
    int first = dial(), second = socket(AF_INET, SOCK_STREAM, 0);
    wait_for(&opened, 1);
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)second + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(second, (struct sockaddr *)&addr, sizeof addr), 0);
    usleep(50000);
    assert_int_equal(atomic_load(&opened), 1);
    setrlimit(RLIMIT_NOFILE, &before);
    wait_for(&opened, 2);
    close(first);
    close(second);
    net_free(net);
}

int main(void)
{
    log_level_set(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_listen_errors),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_order_of_replies),
        cmocka_unit_test(test_large_frame),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_per_host),
        cmocka_unit_test(test_limit_rate),
        cmocka_unit_test(test_limit_rate_in_all),
        cmocka_unit_test(test_admit),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_output_that_does_not_move),
        cmocka_unit_test(test_close_flushed),
        cmocka_unit_test(test_file_too_short),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_mail),
        cmocka_unit_test(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
