/* listen.c - listeners: binding, accepting, choosing a network thread.
 *
 *   first network thread: accept -> counted -> thread with the fewest connections -> conn_open there
 *
 * (A1) All listening sockets are watched by the first network thread; others get their connections by a
 *      posted call. Kafka's connections are few and long: SO_REUSEPORT spreads them by hash, which leaves
 *      threads idle.
 * (A2) A connection is counted (net, listener, thread) from accept until it is torn down, so the limits hold
 *      while it travels between threads.
 * (A3) Lack of descriptors or memory stops accepting for PAUSE_MS; the kernel's queue holds the newcomers.
 * (A4) So does the limit of new connections a second, until the next second.
 */
#include <errno.h>
#include <unistd.h>

#include "net/net_int.h"

enum { ACCEPT_TURN = 64, BACKLOG = 1024, PAUSE_MS = 200, PORT_TRIES = 16 };

/* The address of a peer without its port. */
static struct str host_of(const char *peer)
{
    struct str text = str_from(peer);
    ptrdiff_t colon = str_rfind_char(text, ':');
    return colon < 0 ? text : str_sub(text, 0, (size_t)colon);
}

/* Counts a host's connections up or down; gives how many it has then. Any thread. */
static int64_t host_count(struct net_listener *listener, struct str host, int change)
{
    pthread_mutex_lock(&listener->hosts_lock);
    int64_t count = (int64_t)(intptr_t)map_get(&listener->hosts, host) + change;
    if (count == 0 && change != 0)
        map_remove(&listener->hosts, host);
    else if (change != 0)
        map_put(&listener->hosts, host, (void *)(intptr_t)count);
    pthread_mutex_unlock(&listener->hosts_lock);
    return count;
}

void net_conn_reserve(struct net_thread *thread, struct net_listener *listener, const char *peer)
{
    atomic_fetch_add_explicit(&thread->conn_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&listener->conn_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&thread->net->conn_count, 1, memory_order_relaxed);
    ignore(host_count(listener, host_of(peer), 1), "the limit was looked at before");
    metric_add(listener->counts.open, 1);
}

void net_conn_release(struct net_thread *thread, struct net_listener *listener, const char *peer)
{
    atomic_fetch_sub_explicit(&thread->conn_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&listener->conn_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&thread->net->conn_count, 1, memory_order_relaxed);
    ignore(host_count(listener, host_of(peer), -1), "nobody waits for room");
    metric_add(listener->counts.open, -1);
}

/* ---- accepting ---- */

struct handover {
    struct loop_call call;
    struct net_thread *thread;
    struct net_listener *listener;
    int fd;
    union net_sockaddr peer;
};

static void on_handover(struct loop_call *call)
{
    struct handover *handover = LIST_ENTRY(call, struct handover, call);
    conn_open(handover->thread, handover->listener, handover->fd, &handover->peer);
    free(handover);
}

static struct net_thread *thread_choose(struct net *net)
{
    struct net_thread *best = &net->threads[0];
    for (int i = 1; i < net->thread_count; i++)
        if (atomic_load_explicit(&net->threads[i].conn_count, memory_order_relaxed) <
            atomic_load_explicit(&best->conn_count, memory_order_relaxed))
            best = &net->threads[i];
    return best;
}

void listener_complain(struct net_listener *listener, const char *what, const char *peer, const char *cause)
{
    int64_t unsaid;
    if (log_rate_due(&listener->refused_rate, &unsaid))
        log_warn("net", what,
                 "face=%s address=%s peer=%s connections=%" PRId64 " unsaid=%" PRId64 " cause=\"%s\"",
                 listener->cls->name, listener->address, peer,
                 atomic_load_explicit(&listener->conn_count, memory_order_relaxed), unsaid, cause);
}

static int64_t limit_of(const _Atomic int64_t *limit)
{
    int64_t value = atomic_load_explicit(limit, memory_order_relaxed);
    return value > 0 ? value : INT64_MAX;
}

/* NULL, or why the connection is not let in. */
static const char *why_refused(struct net_listener *listener, const char *peer)
{
    struct str host = host_of(peer);
    int64_t mine = atomic_load_explicit(&listener->conn_count, memory_order_relaxed);
    int64_t all = atomic_load_explicit(&listener->net->conn_count, memory_order_relaxed);
    if (all >= limit_of(&listener->net->conn_max) || mine >= limit_of(&listener->conn_max))
        return "the limit of connections is reached";
    if (host_count(listener, host, 0) >= limit_of(&listener->conn_max_per_host))
        return "the limit of connections from one address is reached";
    return listener->options.admit != NULL ? listener->options.admit(listener->class_arg, host) : NULL;
}

static void listener_take(struct net_listener *listener, int fd, const union net_sockaddr *peer)
{
    char text[NET_ADDRESS_BYTES];
    net_address_text(peer, true, text);
    const char *why = why_refused(listener, text);
    if (why != NULL) {
        metric_add(listener->counts.refused, 1);
        listener_complain(listener, "conn_refused", text, why);
        close(fd);
        return;
    }
    struct net_thread *thread = thread_choose(listener->net);
    metric_add(listener->counts.accepted, 1);
    net_conn_reserve(thread, listener, text);
    if (thread->index == 0) {
        conn_open(thread, listener, fd, peer);
        return;
    }
    struct handover *handover = mem_new(struct handover);
    *handover = (struct handover){.thread = thread, .listener = listener, .fd = fd, .peer = *peer};
    loop_call_init(&handover->call, on_handover);
    loop_post(thread->loop, &handover->call);
}

static void listener_watch(struct net_listener *listener, int events)
{
    for (int i = 0; i < listener->fd_count; i++)
        if (listener->watches[i] != NULL)
            loop_watch_set(listener->watches[i], events);
}

static void on_pause_over(struct loop_timer *timer)
{
    listener_watch(LIST_ENTRY(timer, struct net_listener, pause), LOOP_READ);
}

static bool is_shortage(int cause)
{
    return cause == EMFILE || cause == ENFILE || cause == ENOMEM || cause == ENOBUFS;
}

static void listener_pause(struct net_listener *listener, int64_t pause_ms)
{
    listener_watch(listener, 0);
    loop_timer_start(&listener->pause, pause_ms);
}

enum { SECOND_MS = 1000 };

static bool has_turn(struct net_turns *turns, int64_t now_ms, int64_t max)
{
    if (turns->second != now_ms / SECOND_MS)
        *turns = (struct net_turns){.second = now_ms / SECOND_MS};
    return turns->count < max;
}

/* A4: counts a connection that is about to be accepted; false: this second has had its share, of the listener or in all. */
static bool take_turn(struct net_listener *listener)
{
    struct net *net = listener->net;
    int64_t now_ms = clock_mono_ms();
    if (has_turn(&listener->turns, now_ms, limit_of(&listener->conn_rate_max)) &&
        has_turn(&net->turns, now_ms, limit_of(&net->conn_rate_max))) {
        listener->turns.count++;
        net->turns.count++;
        return true;
    }
    listener_complain(listener, "accept_paused", "-", "the limit of new connections a second is reached");
    listener_pause(listener, SECOND_MS - now_ms % SECOND_MS);
    return false;
}

/* There was nobody for the turn. */
static void return_turn(struct net_listener *listener)
{
    listener->turns.count--;
    listener->net->turns.count--;
}

static void listener_accept(struct net_listener *listener, int listen_fd)
{
    for (int i = 0; i < ACCEPT_TURN && take_turn(listener); i++) {
        union net_sockaddr peer = {0};
        socklen_t len = sizeof peer;
        int fd = accept4(listen_fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener_take(listener, fd, &peer);
        } else if (is_shortage(errno)) {
            listener_complain(listener, "accept_paused", "-", strerrordesc_np(errno));
            listener_pause(listener, PAUSE_MS);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return_turn(listener);
            return;
        } /* else: this one went away before it was accepted; the next */
    }
}

static void on_acceptable(void *arg, int events)
{
    struct net_listener *listener = arg;
    for (int i = 0; i < listener->fd_count; i++)
        listener_accept(listener, listener->fds[i]);
}

/* On the first network thread. */
static void on_listener_start(struct loop_call *call)
{
    struct net_listener *listener = LIST_ENTRY(call, struct net_listener, start_call);
    struct loop *loop = listener->net->threads[0].loop;
    loop_timer_init(&listener->pause, loop, on_pause_over);
    for (int i = 0; i < listener->fd_count; i++) {
        struct err err;
        listener->watches[i] = loop_watch_new(loop, listener->fds[i], on_acceptable, listener, &err);
        if (listener->watches[i] == NULL)
            log_error("net", "listen_failed", "address=%s cause=%s", listener->address, err.text);
    }
    listener_watch(listener, LOOP_READ);
}

void net_listener_close(struct net_listener *listener)
{
    loop_timer_stop(&listener->pause);
    for (int i = 0; i < listener->fd_count; i++) {
        loop_watch_free(listener->watches[i]);
        listener->watches[i] = NULL;
        close(listener->fds[i]);
    }
    listener->fd_count = 0;
}

/* ---- binding ---- */

static int socket_listen(const union net_sockaddr *addr)
{
    int on = 1, fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    ignore(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "bind says what is wrong");
    if (addr->any.sa_family == AF_INET6)
        ignore(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), "bind says what is wrong");
    if (bind(fd, &addr->any, net_address_len(addr)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

static void listener_close_fds(struct net_listener *listener)
{
    while (listener->fd_count > 0)
        close(listener->fds[--listener->fd_count]);
}

/* A machine without IPv6 still resolves localhost to ::1. */
static bool is_absent(int cause)
{
    return cause == EADDRNOTAVAIL || cause == EAFNOSUPPORT;
}

/* Binds all addresses to one port; 0 or the errno of what failed. */
static int listener_bind(struct net_listener *listener, const union net_sockaddr *addrs, int count, int port)
{
    int absent = 0;
    listener->is_loopback = true;
    for (int i = 0; i < count; i++) {
        union net_sockaddr addr = addrs[i];
        net_address_set_port(&addr, port);
        int fd = socket_listen(&addr);
        if (fd < 0 && is_absent(errno) && count > 1) {
            absent = errno;
            continue;
        }
        if (fd < 0) {
            int cause = errno;
            listener_close_fds(listener);
            return cause;
        }
        listener->fds[listener->fd_count++] = fd;
        listener->is_loopback = listener->is_loopback && net_address_is_loopback(&addr);
        socklen_t len = sizeof addr;
        if (listener->fd_count == 1 && getsockname(fd, &addr.any, &len) == 0) {
            port = listener->port = net_address_port(&addr);
            net_address_text(&addr, true, listener->address);
        }
    }
    return listener->fd_count > 0 ? 0 : absent;
}

static bool listener_listen(struct net_listener *listener, struct str address, struct err *err)
{
    union net_sockaddr addrs[NET_LISTEN_FDS];
    struct str host;
    int port, cause = 0;
    if (!net_address_split(address, -1, &host, &port, err))
        return false;
    int count = net_address_resolve(host, port, addrs, NET_LISTEN_FDS, err);
    if (count < 0)
        return false;
    /* A free port of the first address may be taken on the second: another one then. */
    for (int i = 0; i < (port == 0 ? PORT_TRIES : 1); i++) {
        cause = listener_bind(listener, addrs, count, port);
        if (cause != EADDRINUSE)
            break;
    }
    if (cause == 0)
        return true;
    err_set_errno(err, cause, "cannot listen on %.*s for %s", STR_ARG(address), listener->cls->name);
    if (err != NULL && cause == EADDRINUSE)
        err->code = ERR_LOCKED;
    return false;
}

static struct net_listen_options options_filled(const struct net_listen_options *given)
{
    struct net_listen_options options = given != NULL ? *given : (struct net_listen_options){0};
    if (options.idle_ms <= 0)
        options.idle_ms = 10 * 60 * 1000;
    if (options.handshake_ms <= 0)
        options.handshake_ms = 10 * 1000;
    if (options.out_max == 0)
        options.out_max = 1 << 20;
    if (options.unread_max == 0)
        options.unread_max = 64 << 10;
    return options;
}

static void counts_init(struct net_counts *counts, struct metric_registry *reg, const char *face)
{
    counts->open = metric_gauge(reg, "rialto_net_connections", LABELS({"face", face}));
    counts->accepted = metric_counter(reg, "rialto_net_accepted_total", LABELS({"face", face}));
    counts->refused = metric_counter(reg, "rialto_net_refused_total", LABELS({"face", face}));
    counts->tls_failed = metric_counter(reg, "rialto_net_tls_failed_total", LABELS({"face", face}));
    counts->bytes_in = metric_counter(reg, "rialto_net_received_bytes_total", LABELS({"face", face}));
    counts->bytes_out = metric_counter(reg, "rialto_net_sent_bytes_total", LABELS({"face", face}));
}

void net_listener_limit(struct net_listener *listener, const struct net_limits *limits)
{
    atomic_store_explicit(&listener->conn_max, limits->conn_max, memory_order_relaxed);
    atomic_store_explicit(&listener->conn_max_per_host, limits->conn_max_per_host, memory_order_relaxed);
    atomic_store_explicit(&listener->conn_rate_max, limits->conn_rate_max, memory_order_relaxed);
}

static void listener_free_memory(struct net_listener *listener)
{
    pthread_mutex_destroy(&listener->hosts_lock);
    map_fini(&listener->hosts);
    free(listener);
}

struct net_listener *net_listen(struct net *net, struct str address, const struct conn_class *cls,
                                void *class_arg, const struct net_listen_options *options, struct err *err)
{
    ASSERT(cls->name != NULL && cls->on_open != NULL && cls->on_bytes != NULL && cls->on_close != NULL);
    struct net_listener *listener = mem_new(struct net_listener);
    listener->net = net;
    listener->cls = cls;
    listener->class_arg = class_arg;
    listener->options = options_filled(options);
    pthread_mutex_init(&listener->hosts_lock, NULL);
    net_listener_limit(listener, &listener->options.limits);
    if (!listener_listen(listener, address, err)) {
        listener_free_memory(listener);
        return NULL;
    }
    counts_init(&listener->counts, net->metrics, cls->name);
    loop_call_init(&listener->start_call, on_listener_start);
    pthread_mutex_lock(&net->lock);
    ASSERT(!net->is_stopping);
    list_push_back(&net->listeners, &listener->link);
    pthread_mutex_unlock(&net->lock);
    loop_post(net->threads[0].loop, &listener->start_call);
    return listener;
}

void net_listener_free(struct net_listener *listener)
{
    if (listener->net->metrics == NULL) { /* else they are the registry's, and several listeners share them */
        metric_remove(NULL, listener->counts.open);
        metric_remove(NULL, listener->counts.accepted);
        metric_remove(NULL, listener->counts.refused);
        metric_remove(NULL, listener->counts.tls_failed);
        metric_remove(NULL, listener->counts.bytes_in);
        metric_remove(NULL, listener->counts.bytes_out);
    }
    listener_free_memory(listener);
}

int net_listener_port(const struct net_listener *listener)
{
    return listener->port;
}

struct str net_listener_address(const struct net_listener *listener)
{
    return str_from(listener->address);
}

bool net_listener_is_loopback(const struct net_listener *listener)
{
    return listener->is_loopback;
}
