/* conn.c - a connection: reading, offering bytes to its class, settling, closing.
 *
 *   readable -> read -> on_bytes --+
 *   mail, timers -> conn_write ... +--> settle: flush | tear down | on_writable | offer again | watch
 *
 * (N6) conn_ functions only change state and mark the connection; settling, which runs when the event or the
 *      turn is over, acts. So a class is never called from inside its own calls.
 * (N7) An idle connection holds no buffer: reading goes to the thread's scratch, only what the class leaves
 *      unread is copied into `in`. When more is expected, it is read to `in` directly, which grows with what
 *      arrived.
 * (N9) With TLS the class hears of a connection when its handshake is done, which has a deadline. What OpenSSL has read
 *      but not given out yet raises no event: settling reads it (tls_has_unread).
 * (N8) A read event takes at most READ_TURN_BYTES, so that one fast peer does not hold up the others of its
 *      thread.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/net_int.h"

enum { READ_TURN_BYTES = 1 << 20, IN_KEEP_BYTES = 64 << 10, IN_ROOM_BYTES = 16 << 10, SETTLE_ROUNDS = 8 };

static void conn_settle(struct conn *conn);

/* ---- opening and tearing down ---- */

static uint32_t slot_take(struct net_thread *thread, struct conn *conn)
{
    uint32_t slot;
    if (thread->free_slots.len > 0) {
        slot = vec_last(&thread->free_slots);
        thread->free_slots.len--;
    } else {
        slot = (uint32_t)thread->slots.len;
        vec_push(&thread->slots, (struct conn_slot){0});
    }
    thread->slots.at[slot].conn = conn;
    conn->generation = ++thread->slots.at[slot].generation;
    return slot;
}

static void conn_on_event(void *arg, int events);

static void conn_name(struct conn *conn)
{
    union net_sockaddr local = {0};
    socklen_t len = sizeof local;
    if (getsockname(conn->fd, &local.any, &len) == 0) {
        net_address_text(&local, false, conn->local);
        conn->is_loopback = net_address_is_loopback(&local);
    }
}

/* Replies are written whole, so waiting for more to fill a packet only delays; dead peers show up in the end.
 * */
static void conn_tune(int fd)
{
    int on = 1;
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "slower, not wrong");
    ignore(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), "the idle time remains");
}

/* The class gets the connection. */
static void conn_begin(struct conn *conn)
{
    conn->opened = true;
    conn->busy = true;
    conn->listener->cls->on_open(conn);
    conn->busy = false;
}

void conn_open(struct net_thread *thread, struct net_listener *listener, int fd,
               const union net_sockaddr *peer)
{
    struct err err;
    struct conn *conn = mem_new(struct conn);
    conn->thread = thread;
    conn->listener = listener;
    conn->fd = fd;
    list_init(&conn->link);
    list_init(&conn->unsettled);
    net_address_text(peer, true, conn->peer);
    conn->watch = loop_watch_new(thread->loop, fd, conn_on_event, conn, &err);
    if (conn->watch == NULL) {
        listener_complain(listener, "conn_refused", conn->peer, err.text);
        net_conn_release(thread, listener, conn->peer);
        close(fd);
        free(conn);
        return;
    }
    conn_tune(fd);
    conn_name(conn);
    if (listener->options.tls != NULL) {
        conn->tls = tls_new(listener->options.tls, fd, listener->cls->alpn);
        conn->deadline_ms = loop_now_ms(thread->loop) + listener->options.handshake_ms;
        conn->closing = conn->tls == NULL;
        conn->why = conn->tls == NULL ? "no memory for TLS" : NULL;
    }
    conn->slot = slot_take(thread, conn);
    conn->moved_ms = loop_now_ms(thread->loop);
    list_push_back(&thread->conns, &conn->link);
    int64_t short_ms = MIN(listener->options.idle_ms, listener->options.handshake_ms);
    int64_t sweep_ms = MIN(MAX(short_ms / 4, 10), 1000);
    thread->sweep_ms = MIN(thread->sweep_ms, sweep_ms);
    if (!loop_timer_is_on(&thread->sweep))
        loop_timer_start(&thread->sweep, thread->sweep_ms);
    if (listener->options.tls == NULL)
        conn_begin(conn);
    conn_settle(conn);
}

static void conn_tear_down(struct conn *conn)
{
    struct net_thread *thread = conn->thread;
    ASSERT(conn->closing);
    conn->busy = true;
    if (conn->opened)
        conn->listener->cls->on_close(conn, conn->why);
    tls_free(conn->tls);
    list_remove(&conn->link);
    list_remove(&conn->unsettled);
    thread->slots.at[conn->slot].conn = NULL;
    vec_push(&thread->free_slots, conn->slot);
    loop_watch_free(conn->watch);
    close(conn->fd);
    out_fini(&conn->out);
    buf_fini(&conn->in);
    net_conn_release(thread, conn->listener, conn->peer);
    free(conn);
}

/* ---- reading ---- */

/* Offers the slice; returns what is left of it. */
static struct str conn_offer(struct conn *conn, struct str unread)
{
    conn->expect = 0;
    conn->offer = false;
    size_t used = conn->listener->cls->on_bytes(conn, unread);
    ASSERT_CMP(used, <=, unread.len);
    return str_of(unread.ptr + used, unread.len - used);
}

/* Offers what is in `in` and keeps the rest there. */
static void conn_offer_in(struct conn *conn)
{
    struct str left = conn_offer(conn, buf_str(&conn->in));
    if (left.len == 0 && conn->in.cap > IN_KEEP_BYTES)
        buf_fini(&conn->in);
    else
        buf_consume(&conn->in, conn->in.len - left.len);
}

static bool conn_may_offer(const struct conn *conn)
{
    return conn->opened && !conn->paused && !conn->closing && !conn->draining && !conn->was_full;
}

static bool conn_wants_bytes(const struct conn *conn)
{
    return conn_may_offer(conn) && conn->in.len < MAX(conn->listener->options.unread_max, conn->expect);
}

static void conn_read_failed(struct conn *conn, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n < 0) {
        conn_close(conn, strerrordesc_np(errno));
        return;
    }
    conn->eof = true;
    if (conn->out.bytes > 0 && !conn->lingering)
        conn_close_flushed(conn, "closed by peer");
    else
        conn_close(conn, "closed by peer");
}

static void conn_count_in(struct conn *conn, size_t n)
{
    conn->bytes_in += n;
    conn->moved_ms = loop_now_ms(conn->thread->loop);
    metric_add(conn->listener->counts.bytes_in, (int64_t)n);
}

/* Reads once. False when there is nothing more to read now. */
static bool conn_read_once(struct conn *conn, size_t *total)
{
    bool direct = conn->in.len > 0;
    size_t room = NET_SCRATCH_BYTES;
    char *at = conn->thread->scratch;
    if (direct) { /* at most doubles: memory follows what arrived, not what was announced */
        size_t missing = conn->expect > conn->in.len ? conn->expect - conn->in.len : 0;
        room = MIN(MAX(missing, IN_ROOM_BYTES), MAX(conn->in.len, IN_KEEP_BYTES));
        buf_reserve(&conn->in, room);
        at = conn->in.ptr + conn->in.len;
    }
    ssize_t n = conn->tls != NULL ? tls_read(conn->tls, at, room) : sock_read(conn->fd, at, room);
    if (n <= 0) {
        conn_read_failed(conn, n);
        return false;
    }
    conn_count_in(conn, (size_t)n);
    *total += (size_t)n;
    if (direct) {
        buf_extend(&conn->in, (size_t)n);
        if (conn->in.len >= conn->expect)
            conn_offer_in(conn);
    } else {
        buf_append_str(&conn->in, conn_offer(conn, str_of(at, (size_t)n)));
    }
    return (size_t)n == room && *total < READ_TURN_BYTES;
}

static void conn_discard(struct conn *conn)
{
    ssize_t n;
    size_t total = 0;
    while ((n = sock_read(conn->fd, conn->thread->scratch, NET_SCRATCH_BYTES)) > 0 && total < READ_TURN_BYTES)
        total += (size_t)n;
    if (n <= 0)
        conn_read_failed(conn, n);
}

static void conn_read(struct conn *conn)
{
    size_t total = 0;
    if (conn->lingering) {
        conn_discard(conn);
        return;
    }
    while (conn_wants_bytes(conn) && conn_read_once(conn, &total))
        ;
}

/* The kernel reports errors as readable even when nothing is wanted; the cause is then asked for. */
static void conn_check_error(struct conn *conn)
{
    int cause = 0;
    socklen_t len = sizeof cause;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &cause, &len) == 0 && cause != 0)
        conn_close(conn, strerrordesc_np(cause));
}

static void conn_complain_tls(struct conn *conn, const char *why)
{
    struct net_listener *listener = conn->listener;
    int64_t unsaid;
    metric_add(listener->counts.tls_failed, 1);
    if (log_rate_due(&listener->tls_failed_rate, &unsaid))
        log_warn("net", "tls_handshake_failed", "face=%s address=%s peer=%s unsaid=%" PRId64 " cause=\"%s\"",
                 listener->cls->name, listener->address, conn->peer, unsaid, why);
}

static void conn_handshake(struct conn *conn)
{
    const char *why = NULL;
    enum tls_result result = tls_handshake(conn->tls, &why);
    if (result == TLS_FAILED) {
        conn_complain_tls(conn, why);
        conn_close(conn, why);
    } else if (result == TLS_DONE) {
        conn->deadline_ms = 0;
        conn->moved_ms = loop_now_ms(conn->thread->loop);
        conn_begin(conn);
    }
}

static void conn_on_event(void *arg, int events)
{
    struct conn *conn = arg;
    conn->busy = true;
    if (!conn->opened && !conn->closing) {
        conn_handshake(conn);
    } else if (events & LOOP_READ || conn->tls != NULL) {
        if (conn->lingering || conn_wants_bytes(conn))
            conn_read(conn);
        else
            conn_check_error(conn);
    }
    conn->busy = false;
    conn_settle(conn);
}

/* ---- settling ---- */

static void conn_touch(struct conn *conn)
{
    struct net_thread *thread = conn->thread;
    if (conn->busy || !list_empty(&conn->unsettled))
        return;
    list_push_back(&thread->unsettled, &conn->unsettled);
    loop_defer(thread->loop, &thread->settle_call);
}

static void conn_flush(struct conn *conn)
{
    size_t sent = 0;
    if (conn->out.head == NULL)
        return;
    enum out_result result =
        conn->tls != NULL ? out_flush_tls(&conn->out, conn->tls, conn->thread->scratch, &sent, &conn->why)
                          : out_flush(&conn->out, conn->fd, &sent, &conn->why);
    if (result == OUT_FAILED)
        conn->closing = true;
    if (sent > 0) {
        conn->bytes_out += sent;
        conn->moved_ms = loop_now_ms(conn->thread->loop);
        metric_add(conn->listener->counts.bytes_out, (int64_t)sent);
    }
}

/* After the last byte: tells the peer and waits for its end, so that a reset does not take back what it has
 * not read. */
static void conn_linger(struct conn *conn)
{
    if (conn->tls != NULL)
        tls_shut(conn->tls);
    if (conn->eof || shutdown(conn->fd, SHUT_WR) != 0) {
        conn->closing = true;
        return;
    }
    conn->lingering = true;
    conn->deadline_ms = loop_now_ms(conn->thread->loop) + NET_LINGER_MS;
}

/* One round; true when a class function ran and may have made new work. */
static bool conn_settle_once(struct conn *conn)
{
    const struct conn_class *cls = conn->listener->cls;
    conn_flush(conn);
    if (conn->closing)
        return false;
    if (conn->draining) {
        if (conn->out.head == NULL && !conn->lingering)
            conn_linger(conn);
        return false;
    }
    if (conn->was_full && conn->out.bytes <= conn->listener->options.out_max / 2) {
        conn->was_full = false;
        conn->offer = true;
        if (cls->on_writable != NULL) {
            cls->on_writable(conn);
            return true;
        }
    }
    if (conn->offer && conn_may_offer(conn) && conn->in.len > 0 && conn->in.len >= conn->expect) {
        conn_offer_in(conn);
        return true;
    }
    if (conn->tls != NULL && conn_wants_bytes(conn) && tls_has_unread(conn->tls)) {
        conn_read(conn);
        return true;
    }
    return false;
}

/* What the socket is watched for. */
static int conn_events(const struct conn *conn)
{
    if (!conn->opened)
        return tls_events(conn->tls);
    bool reads = conn->lingering || conn_wants_bytes(conn);
    bool writes =
        conn->out.head != NULL || (conn->tls != NULL && reads && tls_events(conn->tls) == LOOP_WRITE);
    return (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0);
}

static void conn_settle(struct conn *conn)
{
    int rounds = 0;
    list_remove(&conn->unsettled);
    conn->busy = true;
    while (conn_settle_once(conn) && ++rounds < SETTLE_ROUNDS)
        ;
    conn->busy = false;
    if (conn->closing) {
        conn_tear_down(conn);
        return;
    }
    if (rounds == SETTLE_ROUNDS)
        conn_touch(conn); /* goes on in the next turn */
    loop_watch_set(conn->watch, conn_events(conn));
}

void conn_settle_all(struct loop_call *call)
{
    struct net_thread *thread = LIST_ENTRY(call, struct net_thread, settle_call);
    struct list batch;
    list_init(&batch);
    while (!list_empty(&thread->unsettled)) {
        struct list *link = thread->unsettled.next;
        list_remove(link);
        list_push_back(&batch, link);
    }
    while (!list_empty(&batch))
        conn_settle(LIST_ENTRY(batch.next, struct conn, unsettled));
}

void conn_stop(struct conn *conn)
{
    conn_flush(conn);
    conn_close(conn, "stop");
    conn_settle(conn);
}

static const char *conn_overdue(const struct conn *conn, int64_t now_ms)
{
    int64_t idle_ms = conn->listener->options.idle_ms;
    if (conn->deadline_ms != 0 && now_ms >= conn->deadline_ms)
        return conn->lingering ? conn->why : conn->opened ? "deadline" : "TLS handshake takes too long";
    if (now_ms - conn->moved_ms < idle_ms)
        return NULL;
    if (conn->out.bytes > 0)
        return "output does not move";
    return conn->held ? NULL : "idle";
}

void conn_sweep(struct loop_timer *timer)
{
    struct net_thread *thread = LIST_ENTRY(timer, struct net_thread, sweep);
    int64_t now_ms = loop_now_ms(thread->loop);
    list_each (struct conn, conn, &thread->conns, link) {
        const char *why = conn_overdue(conn, now_ms);
        if (why != NULL && !conn->opened)
            conn_complain_tls(conn, why);
        if (why != NULL)
            conn_close(conn, why);
    }
    if (!list_empty(&thread->conns))
        loop_timer_start(timer, thread->sweep_ms);
}

/* ---- what classes call ---- */

static void conn_assert_mine(const struct conn *conn)
{
    ASSERT(loop_is_mine(conn->thread->loop));
}

/* Common start of the writing functions: false when the connection takes no more. */
static bool conn_writes(struct conn *conn, size_t size)
{
    conn_assert_mine(conn);
    return !conn->closing && !conn->draining && size > 0;
}

static void conn_wrote(struct conn *conn)
{
    if (conn->out.bytes > conn->listener->options.out_max)
        conn->was_full = true;
    conn_touch(conn);
}

void conn_write(struct conn *conn, struct str bytes)
{
    if (!conn_writes(conn, bytes.len))
        return;
    out_append(&conn->out, bytes);
    conn_wrote(conn);
}

void conn_write_take(struct conn *conn, struct buf *bytes)
{
    if (!conn_writes(conn, bytes->len)) {
        buf_fini(bytes);
        return;
    }
    struct out_item *item = out_push(&conn->out);
    item->kind = OUT_OWNED;
    item->owned = *bytes;
    item->len = bytes->len;
    conn->out.bytes += item->len;
    *bytes = (struct buf){0};
    conn_wrote(conn);
}

void conn_write_borrowed(struct conn *conn, struct str bytes, void (*release)(void *arg), void *arg)
{
    if (!conn_writes(conn, bytes.len)) {
        if (release != NULL)
            release(arg);
        return;
    }
    struct out_item *item = out_push(&conn->out);
    item->kind = OUT_BORROWED;
    item->borrowed = bytes;
    item->len = bytes.len;
    item->release = release;
    item->arg = arg;
    conn->out.bytes += item->len;
    conn_wrote(conn);
}

void conn_write_file(struct conn *conn, int fd, uint64_t pos, size_t len, void (*release)(void *arg),
                     void *arg)
{
    if (!conn_writes(conn, len)) {
        if (release != NULL)
            release(arg);
        return;
    }
    struct out_item *item = out_push(&conn->out);
    item->kind = OUT_FILE;
    item->fd = fd;
    item->pos = pos;
    item->len = len;
    item->release = release;
    item->arg = arg;
    conn->out.bytes += len;
    conn_wrote(conn);
}

size_t conn_out_bytes(const struct conn *conn)
{
    return conn->out.bytes;
}

bool conn_out_full(const struct conn *conn)
{
    return conn->was_full;
}

void conn_pause(struct conn *conn)
{
    conn_assert_mine(conn);
    conn->paused = true;
    conn_touch(conn);
}

void conn_resume(struct conn *conn)
{
    conn_assert_mine(conn);
    conn->paused = false;
    conn->offer = true;
    conn_touch(conn);
}

void conn_expect(struct conn *conn, size_t size)
{
    conn_assert_mine(conn);
    conn->expect = size;
}

void conn_hold_idle(struct conn *conn, bool held)
{
    conn_assert_mine(conn);
    conn->held = held;
    conn->moved_ms = loop_now_ms(conn->thread->loop);
}

void conn_set_deadline(struct conn *conn, int64_t delay_ms)
{
    conn_assert_mine(conn);
    if (!conn->lingering)
        conn->deadline_ms = delay_ms > 0 ? loop_now_ms(conn->thread->loop) + delay_ms : 0;
}

void conn_close(struct conn *conn, const char *why)
{
    conn_assert_mine(conn);
    if (conn->closing)
        return;
    conn->closing = true;
    if (conn->why == NULL)
        conn->why = why;
    conn_touch(conn);
}

void conn_close_flushed(struct conn *conn, const char *why)
{
    conn_assert_mine(conn);
    if (conn->closing || conn->draining)
        return;
    conn->draining = true;
    conn->why = why;
    conn_touch(conn);
}

struct conn_ref conn_ref(const struct conn *conn)
{
    return (struct conn_ref){conn->thread->index, conn->slot, conn->generation};
}

struct conn *conn_get(struct net *net, struct conn_ref ref)
{
    ASSERT(ref.thread < (uint32_t)net->thread_count);
    return net_conn_at(&net->threads[ref.thread], ref.slot, ref.generation);
}

void *conn_arg(const struct conn *conn)
{
    return conn->listener->class_arg;
}

void *conn_data(const struct conn *conn)
{
    return conn->data;
}

void conn_set_data(struct conn *conn, void *data)
{
    conn->data = data;
}

struct net *conn_net(const struct conn *conn)
{
    return conn->thread->net;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->thread->loop;
}

int conn_thread(const struct conn *conn)
{
    return (int)conn->thread->index;
}

struct net_listener *conn_listener(const struct conn *conn)
{
    return conn->listener;
}

struct str conn_peer(const struct conn *conn)
{
    return str_from(conn->peer);
}

struct str conn_local_host(const struct conn *conn)
{
    return str_from(conn->local);
}

bool conn_is_loopback(const struct conn *conn)
{
    return conn->is_loopback;
}

bool conn_is_tls(const struct conn *conn)
{
    return conn->tls != NULL;
}

struct str conn_tls_subject(const struct conn *conn)
{
    return conn->tls != NULL ? tls_subject(conn->tls) : STR_NULL;
}

uint64_t conn_bytes_in(const struct conn *conn)
{
    return conn->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *conn)
{
    return conn->bytes_out;
}
