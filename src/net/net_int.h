/* net_int.h - private to net: threads, listeners, connections, the output queue, socket calls. */
#ifndef RIALTO_NET_NET_INT_H
#define RIALTO_NET_NET_INT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log_rate.h"
#include "net/net.h"

enum {
    NET_SCRATCH_BYTES = 128 << 10, /* one read buffer a thread: an idle connection holds none */
    NET_LISTEN_FDS = 8,
    NET_ADDRESS_BYTES = 64,
    NET_LINGER_MS = 2000,
};

/* What the kernel gives as an address. */
union net_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct conn_slot {
    struct conn *conn; /* NULL: free */
    uint64_t generation;
};

struct net_thread {
    struct net *net;
    uint32_t index;
    struct loop *loop;
    struct thread thread;
    struct mailbox *box; /* conn_mail */
    char *scratch;
    vec(struct conn_slot) slots;
    vec(uint32_t) free_slots;
    struct list conns;
    struct list unsettled;        /* connections that something was done to in this turn */
    struct loop_call settle_call; /* deferred while unsettled is not empty */
    struct loop_timer sweep;
    int64_t sweep_ms;
    _Atomic int conn_count; /* read by the accepting thread */
    struct loop_call stop_call, end_call;
};

struct net_counts {
    struct metric *open, *accepted, *refused, *bytes_in, *bytes_out, *tls_failed;
};

/* Connections that came in a second of the monotonic clock. On the first network thread. */
struct net_turns {
    int64_t second, count;
};

struct net_listener {
    struct net *net;
    const struct conn_class *cls;
    void *class_arg;
    struct net_listen_options options;
    int fds[NET_LISTEN_FDS];
    struct loop_watch *watches[NET_LISTEN_FDS];
    int fd_count;
    char address[NET_ADDRESS_BYTES];
    int port;
    bool is_loopback;
    _Atomic int64_t conn_count, conn_max, conn_max_per_host, conn_rate_max; /* the limits may change */
    pthread_mutex_t hosts_lock;
    struct map hosts; /* address of a peer -> its connections */
    struct net_counts counts;
    struct loop_call start_call;
    struct loop_timer pause; /* after descriptors ran out, or too many came in a second */
    struct net_turns turns;
    struct log_rate refused_rate, tls_failed_rate; /* of log lines about connections and handshakes */
    struct list link;
};

struct net {
    struct net_thread *threads;
    int thread_count;
    _Atomic int64_t conn_max, conn_count, conn_rate_max;
    struct net_turns turns; /* of all listeners */
    struct metric_registry *metrics;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t stopped;
    struct list listeners;
    int threads_stopped;
    bool is_stopping, listening_over;
    struct loop_call listening_over_call;
};

/* One piece of the output queue. */
struct out_item {
    struct out_item *next;
    enum { OUT_OWNED, OUT_BORROWED, OUT_FILE } kind;
    struct buf owned;
    struct str borrowed;
    int fd;
    uint64_t pos;
    size_t len, sent;
    void (*release)(void *arg);
    void *arg;
};

struct out_queue {
    struct out_item *head, *tail;
    size_t bytes;
};

struct conn {
    struct net_thread *thread;
    struct net_listener *listener;
    int fd;
    struct tls *tls; /* NULL: plain text */
    struct loop_watch *watch;
    uint32_t slot;
    uint64_t generation;
    struct list link;      /* thread->conns */
    struct list unsettled; /* thread->unsettled */
    void *data;
    struct buf in; /* unread bytes */
    size_t expect;
    struct out_queue out;
    bool opened;              /* the class knows it: with TLS, after the handshake */
    bool was_full;            /* the queue was above out_max; on_writable is owed */
    bool paused, held, offer; /* by the class; unread bytes are to be offered again */
    bool busy;                /* a class function or settling is on the stack */
    bool closing;             /* to be torn down */
    bool draining;            /* conn_close_flushed */
    bool lingering, eof;      /* our end is shut, the peer's end is shut */
    const char *why;
    int64_t moved_ms, deadline_ms;
    uint64_t bytes_in, bytes_out;
    char peer[NET_ADDRESS_BYTES], local[NET_ADDRESS_BYTES];
    bool is_loopback;
};

/* ---- net.c ---- */
struct conn *net_conn_at(struct net_thread *thread, uint32_t slot, uint64_t generation);

/* ---- listen.c ---- */
void net_listener_close(struct net_listener *listener); /* on the first network thread */
void net_listener_free(struct net_listener *listener);

/* Says why a connection was not taken, at most once a second. Any network thread. */
void listener_complain(struct net_listener *listener, const char *what, const char *peer, const char *cause);

/* A connection is counted when it is accepted and until it is torn down. `peer` is its address with port. */
void net_conn_reserve(struct net_thread *thread, struct net_listener *listener, const char *peer);
void net_conn_release(struct net_thread *thread, struct net_listener *listener, const char *peer);

/* ---- address.c ---- */

/* Resolves the host (empty: all addresses) for listening; at most `max` addresses. Blocks. -1 with *err. */
int net_address_resolve(struct str host, int port, union net_sockaddr *addrs, int max, struct err *err);
socklen_t net_address_len(const union net_sockaddr *addr);
int net_address_port(const union net_sockaddr *addr);
void net_address_set_port(union net_sockaddr *addr, int port);

/* "127.0.0.1:80" or "[::1]:80"; without port: "127.0.0.1" or "::1". */
void net_address_text(const union net_sockaddr *addr, bool with_port, char text[NET_ADDRESS_BYTES]);
bool net_address_is_loopback(const union net_sockaddr *addr);

/* ---- conn.c ---- */

/* Makes the connection of an accepted socket on this thread and calls on_open; closes the socket when it
 * cannot. */
void conn_open(struct net_thread *thread, struct net_listener *listener, int fd,
               const union net_sockaddr *peer);
/* Writes what the socket takes at once, then tears down. For stopping. */
void conn_stop(struct conn *conn);
/* Settles all connections of thread->unsettled; closes what has been idle too long. */
void conn_settle_all(struct loop_call *call);
void conn_sweep(struct loop_timer *timer);

/* ---- out.c ---- */

enum out_result { OUT_EMPTY, OUT_BLOCKED, OUT_FAILED };

struct out_item *out_push(struct out_queue *out);
void out_append(struct out_queue *out, struct str bytes);
/* Writes until the socket takes no more. *sent gets the bytes written, *why the cause of OUT_FAILED. */
enum out_result out_flush(struct out_queue *out, int fd, size_t *sent, const char **why);
/* The same through TLS; `scratch` (TLS_RECORD_BYTES) holds a record while it is put together. */
enum out_result out_flush_tls(struct out_queue *out, struct tls *tls, char *scratch, size_t *sent,
                              const char **why);
void out_fini(struct out_queue *out);

/* ---- tls.c, tls_conn.c ---- */

enum { TLS_RECORD_BYTES = 16 << 10 };

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* OpenSSL's SSL */

/* A reference to the present context; reads changed files first. */
struct ssl_ctx_st *net_tls_context(struct net_tls *tls);

/* OpenSSL's callback, for every context. */
int tls_choose_alpn(struct ssl_st *ssl, const unsigned char **out, unsigned char *out_len,
                    const unsigned char *in, unsigned in_len, void *arg);

/* The server's side of a connection; the socket stays the caller's. NULL: out of memory for OpenSSL. */
struct tls *tls_new(struct net_tls *tls, int fd, const char *alpn);
void tls_shut(struct tls *tls);
/* Bytes (or the peer's end) wait inside, of which no event will tell. */
bool tls_has_unread(const struct tls *tls);
struct str tls_subject(const struct tls *tls);

/* ---- sock.c: the calls that move bytes without TLS ---- */

/* Each returns the bytes moved, 0 for the peer's end (reading) or a file that is too short (sending), -1 with
 * errno. */
ssize_t sock_read(int fd, void *bytes, size_t size);
ssize_t sock_writev(int fd, const struct iovec *parts, size_t count, bool more_follows);
ssize_t sock_sendfile(int fd, int file, uint64_t pos, size_t len);

#endif
