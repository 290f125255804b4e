/* net.c - sockets between machines: bytes travel in pieces, late, and sometimes not at all.
 *
 *   send -> pieces, each with the time at which it arrives -> recv takes what has arrived
 *
 * (N1) Each direction keeps its order; a piece never overtakes the one before it.
 * (N2) A direction holds at most `window` bytes that were not received: beyond, the sender has to wait.
 * (N3) A connection that is to break does so after a number of bytes that the seed chose, anywhere inside a piece: what was
 *      sent before may still arrive, what comes after is lost. Both ends then see a reset.
 * (N4) Whoever closes with unread bytes resets the connection, as TCP does.
 * (N5) A killed machine's connections are reset; its listener is gone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim.h"

enum { FD_FIRST = 1 << 20, PORT_FIRST = 40000 };

struct piece {
    int64_t at_us;
    size_t len, taken;
    char *bytes;
};

struct sock {
    int fd, machine, port;
    bool listens, closed, accepted;
    struct sock *peer;
    vec(struct piece) in; /* on their way here, or arrived */
    size_t in_bytes, window;
    int64_t last_at_us;         /* N1 */
    int64_t eof_us, reset_us;   /* when the peer's end, or a reset, is seen; SIM_NEVER */
    uint64_t *dies_after;       /* N3: shared by both ends; NULL: does not */
    vec(struct sock *) backlog; /* of a listener */
    int64_t open_us;            /* a connection: when the listener sees it */
    const void *wakes;
};

static struct {
    vec(struct sock *) socks; /* by fd; closed ones stay */
    struct sim_net_faults faults;
    int next_port;
} net = {.faults = {.delay_us_max = 1000, .piece_max = 1 << 16}, .next_port = PORT_FIRST};

void sim_net_set(const struct sim_net_faults *faults)
{
    net.faults = *faults;
}

static struct sock *sock_at(int fd)
{
    if (fd < FD_FIRST || (size_t)(fd - FD_FIRST) >= net.socks.len)
        return NULL;
    return net.socks.at[fd - FD_FIRST];
}

bool sim_sock_is(int fd)
{
    return sock_at(fd) != NULL;
}

static struct sock *sock_new(int machine)
{
    struct sock *sock = mem_new(struct sock);
    sock->fd = FD_FIRST + (int)net.socks.len;
    sock->machine = machine;
    sock->eof_us = sock->reset_us = SIM_NEVER;
    sock->window = (size_t)1 << sim_between(12, 18);
    vec_push(&net.socks, sock);
    return sock;
}

static void changed(struct sock *sock)
{
    if (sock == NULL)
        return;
    sim_wake(sock, true);
    if (sock->wakes != NULL)
        sim_wake(sock->wakes, true);
}

void sim_sock_watch(int fd, const void *wakes)
{
    struct sock *sock = sock_at(fd);
    if (sock != NULL)
        sock->wakes = wakes;
}

/* ---- readiness ---- */

static size_t arrived_bytes(const struct sock *sock)
{
    size_t bytes = 0;
    for (size_t i = 0; i < sock->in.len && sock->in.at[i].at_us <= sim_now_us(); i++)
        bytes += sock->in.at[i].len - sock->in.at[i].taken;
    return bytes;
}

static bool is_reset(const struct sock *sock)
{
    return sock->reset_us <= sim_now_us();
}

static struct sock *next_newcomer(struct sock *listener)
{
    for (size_t i = 0; i < listener->backlog.len; i++)
        if (listener->backlog.at[i]->open_us <= sim_now_us())
            return listener->backlog.at[i];
    return NULL;
}

static size_t room(const struct sock *sock)
{
    const struct sock *peer = sock->peer;
    return peer == NULL || peer->in_bytes >= peer->window ? 0 : peer->window - peer->in_bytes;
}

int sim_sock_ready(int fd)
{
    struct sock *sock = sock_at(fd);
    if (sock == NULL)
        return 0;
    if (sock->listens)
        return next_newcomer(sock) != NULL ? SIM_CAN_READ : 0;
    if (is_reset(sock))
        return SIM_CAN_READ | SIM_CAN_WRITE;
    bool reads = arrived_bytes(sock) > 0 || sock->eof_us <= sim_now_us();
    return (reads ? SIM_CAN_READ : 0) | (room(sock) > 0 ? SIM_CAN_WRITE : 0);
}

int64_t sim_sock_next_us(int fd)
{
    const struct sock *sock = sock_at(fd);
    int64_t next_us = SIM_NEVER, now_us = sim_now_us();
    if (sock == NULL)
        return next_us;
    for (size_t i = 0; i < sock->backlog.len; i++)
        if (sock->backlog.at[i]->open_us > now_us)
            next_us = MIN(next_us, sock->backlog.at[i]->open_us);
    for (size_t i = 0; i < sock->in.len; i++)
        if (sock->in.at[i].at_us > now_us) {
            next_us = MIN(next_us, sock->in.at[i].at_us);
            break;
        }
    if (sock->eof_us > now_us)
        next_us = MIN(next_us, sock->eof_us);
    if (sock->reset_us > now_us)
        next_us = MIN(next_us, sock->reset_us);
    return next_us;
}

/* ---- moving bytes ---- */

static int64_t delay_us(void)
{
    int64_t us = sim_between(10, MAX(net.faults.delay_us_max, 11));
    return sim_chance(1, net.faults.stall_one_in) ? us + sim_between(100000, 5000000) : us;
}

/* When something that leaves now gets there (N1). */
static int64_t arrival_us(const struct sock *to)
{
    int64_t at_us = sim_now_us() + delay_us();
    return MAX(to->last_at_us, at_us);
}

static void reset_end(struct sock *sock, int64_t at_us)
{
    if (sock == NULL)
        return;
    sock->reset_us = MIN(sock->reset_us, at_us);
    changed(sock);
}

/* N3: how many of the bytes still travel. */
static size_t surviving(struct sock *sock, size_t size)
{
    if (sock->dies_after == NULL || *sock->dies_after >= size) {
        if (sock->dies_after != NULL)
            *sock->dies_after -= size;
        return size;
    }
    size_t left = (size_t)*sock->dies_after;
    *sock->dies_after = 0;
    return left;
}

static void add_piece(struct sock *to, const char *bytes, size_t len)
{
    int64_t at_us = arrival_us(to);
    to->last_at_us = at_us;
    to->in_bytes += len;
    vec_push(&to->in, (struct piece){.at_us = at_us, .len = len, .bytes = mem_dup(bytes, len)});
    sim_trace('p', len);
}

/* Takes what fits; the number of bytes or -1 with errno. */
static ssize_t put_bytes(struct sock *sock, const char *bytes, size_t size)
{
    if (is_reset(sock) || sock->peer == NULL || sock->peer->closed) {
        errno = is_reset(sock) ? ECONNRESET : EPIPE;
        return -1;
    }
    size_t fits = MIN(size, room(sock));
    if (fits == 0) {
        errno = EAGAIN;
        return -1;
    }
    size_t lives = surviving(sock, fits);
    for (size_t at = 0; at < lives;) {
        size_t len = (size_t)sim_between(1, (int64_t)MIN(lives - at, net.faults.piece_max));
        add_piece(sock->peer, bytes + at, len);
        at += len;
    }
    if (lives < fits) {
        sim_note("connection %d breaks", sock->fd);
        reset_end(sock->peer, sock->peer->last_at_us);
        reset_end(sock, sim_now_us() + delay_us());
    }
    changed(sock->peer);
    return (ssize_t)fits;
}

/* Bytes, 0 at the end, -1 with errno. */
static ssize_t take_bytes(struct sock *sock, char *bytes, size_t size)
{
    size_t got = 0;
    while (got < size && sock->in.len > 0 && sock->in.at[0].at_us <= sim_now_us()) {
        struct piece *piece = &sock->in.at[0];
        size_t step = MIN(size - got, piece->len - piece->taken);
        memcpy(bytes + got, piece->bytes + piece->taken, step);
        piece->taken += step;
        got += step;
        sock->in_bytes -= step;
        if (piece->taken < piece->len)
            break;
        free(piece->bytes);
        vec_remove(&sock->in, 0);
    }
    if (got > 0) {
        changed(sock->peer);
        return (ssize_t)got;
    }
    if (is_reset(sock)) {
        errno = ECONNRESET;
        return -1;
    }
    if (sock->eof_us <= sim_now_us() && sock->in.len == 0)
        return 0;
    errno = EAGAIN;
    return -1;
}

static void drop_pieces(struct sock *sock)
{
    for (size_t i = 0; i < sock->in.len; i++)
        free(sock->in.at[i].bytes);
    vec_fini(&sock->in);
    sock->in_bytes = 0;
}

static void send_end(struct sock *sock)
{
    struct sock *peer = sock->peer;
    if (peer == NULL || peer->eof_us != SIM_NEVER)
        return;
    peer->eof_us = arrival_us(peer);
    changed(peer);
}

static void sock_close(struct sock *sock, bool reset)
{
    if (sock->closed)
        return;
    sock->closed = true;
    sock->wakes = NULL;
    for (size_t i = 0; i < sock->backlog.len; i++)
        reset_end(sock->backlog.at[i]->peer, sim_now_us());
    vec_fini(&sock->backlog);
    if (sock->peer != NULL && !sock->peer->closed) {
        if (reset || sock->in.len > 0)
            reset_end(sock->peer, arrival_us(sock->peer));
        else
            send_end(sock);
    }
    drop_pieces(sock);
    sock->listens = false;
    changed(sock);
}

/* ---- connecting ---- */

static struct sock *listener_of(int port)
{
    for (size_t i = 0; i < net.socks.len; i++)
        if (net.socks.at[i]->listens && net.socks.at[i]->port == port)
            return net.socks.at[i];
    return NULL;
}

int sim_connect(int port)
{
    enum { LIFE_BYTES_MAX = 60000 };
    struct sock *listener = listener_of(port);
    if (listener == NULL)
        return -1;
    struct sock *here = sock_new(SIM_CLIENTS), *there = sock_new(listener->machine);
    here->peer = there;
    there->peer = here;
    there->port = port;
    there->open_us = sim_now_us() + delay_us();
    if (sim_chance(1, net.faults.cut_one_in)) {
        here->dies_after = there->dies_after = mem_new(uint64_t);
        *here->dies_after = sim_below(sim_chance(1, 2) ? LIFE_BYTES_MAX : 500);
    }
    vec_push(&listener->backlog, there);
    changed(listener);
    return here->fd;
}

void sim_net_kill_machine(int machine)
{
    for (size_t i = 0; i < net.socks.len; i++)
        if (net.socks.at[i]->machine == machine)
            sock_close(net.socks.at[i], true);
}

void sim_net_break_one(void)
{
    struct sock *open[1024];
    size_t count = 0;
    for (size_t i = 0; i < net.socks.len && count < COUNT_OF(open); i++)
        if (net.socks.at[i]->peer != NULL && !net.socks.at[i]->closed)
            open[count++] = net.socks.at[i];
    if (count == 0)
        return;
    struct sock *sock = open[sim_below(count)];
    sim_note("connection %d is broken", sock->fd);
    reset_end(sock, sim_now_us());
    reset_end(sock->peer, sim_now_us() + delay_us());
}

/* ---- clients: calls that wait ---- */

ssize_t sim_recv(int fd, void *bytes, size_t size, int64_t until_us)
{
    struct sock *sock = sock_at(fd);
    for (;;) {
        ssize_t got = take_bytes(sock, bytes, size);
        if (got >= 0 || errno != EAGAIN)
            return got > 0 ? got : -1;
        if (sim_now_us() >= until_us)
            return -1;
        sim_wait(sock, MIN(until_us, sim_sock_next_us(fd)));
    }
}

bool sim_send(int fd, struct str bytes, int64_t until_us)
{
    struct sock *sock = sock_at(fd);
    while (bytes.len > 0) {
        ssize_t sent = put_bytes(sock, bytes.ptr, bytes.len);
        if (sent < 0 && (errno != EAGAIN || sim_now_us() >= until_us))
            return false;
        if (sent < 0)
            sim_wait(sock, MIN(until_us, sim_sock_next_us(fd)));
        else
            bytes = str_sub(bytes, (size_t)sent, bytes.len);
    }
    return true;
}

void sim_close(int fd)
{
    sock_close(sock_at(fd), sim_chance(1, 2));
}

/* ---- the server: the system's calls ---- */

int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    return sock_new(sim_machine())->fd;
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    int port = ntohs(((const struct sockaddr_in *)addr)->sin_port);
    if (port != 0 && listener_of(port) != NULL) {
        errno = EADDRINUSE;
        return -1;
    }
    sock_at(fd)->port = port != 0 ? port : net.next_port++;
    return 0;
}

int __wrap_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog)
{
    sock_at(fd)->listens = true;
    return 0;
}

static void fill_address(struct sockaddr *addr, socklen_t *len, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(addr, &in, MIN((size_t)*len, sizeof in));
    *len = sizeof in;
}

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct sock *listener = sock_at(fd), *sock = next_newcomer(listener);
    if (sock == NULL) {
        errno = EAGAIN;
        return -1;
    }
    for (size_t i = 0; i < listener->backlog.len; i++)
        if (listener->backlog.at[i] == sock)
            vec_remove(&listener->backlog, i);
    fill_address(addr, len, 10000 + sock->fd - FD_FIRST);
    sim_trace('a', (uint64_t)sock->fd);
    return sock->fd;
}

int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    fill_address(addr, len, sock_at(fd)->port);
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    *(int *)value = level == SOL_SOCKET && name == SO_ERROR && is_reset(sock_at(fd)) ? ECONNRESET : 0;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return 0;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    sim_switch_point();
    return take_bytes(sock_at(fd), bytes, size);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct buf all = {0};
    sim_switch_point();
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        buf_append(&all, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
    ssize_t sent = put_bytes(sock_at(fd), buf_str(&all).ptr, all.len);
    int cause = errno;
    buf_fini(&all);
    errno = cause;
    return sent;
}

ssize_t __wrap_sendfile(int to, int file, off_t *pos, size_t size);
ssize_t __wrap_sendfile(int to, int file, off_t *pos, size_t size)
{
    char bytes[16384];
    sim_switch_point();
    ssize_t got = sim_disk_read(file, bytes, MIN(size, sizeof bytes), (uint64_t)*pos);
    if (got < 0) {
        errno = (int)-got;
        return -1;
    }
    if (got == 0)
        return 0;
    ssize_t sent = put_bytes(sock_at(to), bytes, (size_t)got);
    if (sent > 0)
        *pos += sent;
    return sent;
}

int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
    send_end(sock_at(fd));
    return 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    struct sock *sock = sock_at(fd);
    if (sock == NULL)
        return __real_close(fd);
    sock_close(sock, false);
    return 0;
}
