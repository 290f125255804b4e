/* net.h - network threads, listeners, connections with push-back; the protocol above is a table of functions.
 *
 *   listener --accept--> the network thread with the fewest connections
 *              conn: unread bytes -> class->on_bytes
 *                    output queue <- conn_write*, conn_write_file        bytes and file slices, in order
 *
 * (N1) A connection stays on its network thread; everything of it happens there: all conn_ functions are for
 *      that thread (asserted). Other threads hold a conn_ref and send mail; if the connection is gone the
 *      mail is dropped.
 * (N2) Reading pauses while the output queue is above out_max, while the class paused it, and while more than
 *      unread_max bytes wait unconsumed. So a client that does not read, or floods, stops itself.
 * (N3) Output is written in order; replies of one turn leave in one system call where possible.
 * (N4) on_close is the last call for a connection and always comes, exactly once if on_open came. It is never
 *      called from inside a conn_ function: closing takes effect after the present callback. With TLS on_open
 *      comes after the handshake: who never finishes one never reaches a class.
 * (N5) Nothing a peer sends or does ends the process; too many connections are refused, lack of descriptors
 *      pauses accepting.
 */
#ifndef RIALTO_NET_NET_H
#define RIALTO_NET_NET_H

#include <sys/types.h>

#include "base/base.h"
#include "conf/conf.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "metric/metric.h"

struct net;
struct net_listener;
struct conn;

/* ---- network threads ---- */

struct net_options {
    int thread_count;                /* network threads; 0: one a processor, at most 8 */
    int64_t conn_max;                /* connections in all; 0: 10000 */
    struct metric_registry *metrics; /* NULL: not counted */
};

/* Makes and starts the network threads. NULL with *err. Any thread. */
struct net *net_new(const struct net_options *options, struct err *err);

/* Stops listening and closes all connections (on_close runs on their threads); returns when they are closed.
 * The threads go on running, so that late replies find a loop. Not from a network thread. */
void net_stop(struct net *net);

/* net_stop if not done, ends the threads, frees all. Nobody may send mail to a conn_ref any more. */
void net_free(struct net *net);

int net_thread_count(const struct net *net);

/* Changes the number of connections in all, and of new ones a second over all listeners (0: no limit); those that are open
 * stay. Any thread. */
void net_limit(struct net *net, int64_t conn_max, int64_t conn_rate_max);

/* Loop of network thread i: for loop_post, timers made on it, mailboxes bound to it. Any thread. */
struct loop *net_loop(const struct net *net, int thread);

/* ---- TLS: certificates and rules, shared by any number of listeners ---- */

enum net_store_type { NET_STORE_PEM, NET_STORE_PKCS12 };

/* Is a client asked for a certificate, and must it have one? One that it shows must be good in any case. */
enum net_client_auth { NET_CLIENT_NONE, NET_CLIENT_REQUESTED, NET_CLIENT_REQUIRED };

/* Kafka's ssl.* options; texts are copied by net_tls_new. */
struct net_tls_options {
    struct str keystore, truststore;    /* files; an empty truststore: nobody's certificate is good */
    int keystore_type, truststore_type; /* enum net_store_type */
    struct str keystore_password, key_password, truststore_password;
    int client_auth;                           /* enum net_client_auth */
    struct conf_list protocols, cipher_suites; /* empty: TLS 1.2 and 1.3; OpenSSL's suites */
};

extern const struct conf_table net_tls_conf_table;

struct net_tls;

/* Reads key, certificates and trusted certificates. NULL with *err, which names the file and what is wrong with it.
 * Files that change later are read again by the next handshake (at most once a second); if they cannot be used the old
 * ones stay, and a log line says why. Outlives the nets that use it. Any thread. */
struct net_tls *net_tls_new(const struct net_tls_options *options, struct err *err);
void net_tls_free(struct net_tls *tls);
/* Must clients have a certificate? */
bool net_tls_requires_client(const struct net_tls *tls);

/* ---- listeners ---- */

struct conn_class {
    const char *name; /* for log lines and metrics: "kafka", "http" */

    /* A connection was made; with TLS: its handshake is done. Set its data here. */
    void (*on_open)(struct conn *conn);

    /* Bytes arrived (or conn_resume offers the rest again). Returns how many from the front were consumed;
     * the others are offered again together with what comes next. The slice lives until the function returns.
     * After an incomplete message call conn_expect to be called again only when it can be complete. */
    size_t (*on_bytes)(struct conn *conn, struct str unread);

    /* The output queue fell to half of out_max after having been above it. May be NULL. */
    void (*on_writable)(struct conn *conn);

    /* Mail to this connection's conn_ref; the class frees it. May be NULL if nobody sends any. */
    void (*on_mail)(struct conn *conn, struct mail *mail);

    /* Last call; `why` is a short text ("closed by peer", "idle", "stop", an error). */
    void (*on_close)(struct conn *conn, const char *why);

    /* What may be chosen by ALPN, in order of preference, each word after its length: "\x02h2\x08http/1.1". NULL: none. */
    const char *alpn;
};

/* What a listener lets in; 0: no limit of its own. */
struct net_limits {
    int64_t conn_max;          /* connections open at a time; more are refused */
    int64_t conn_max_per_host; /* of them from one address; more are refused */
    int64_t conn_rate_max;     /* new ones a second; more wait in the kernel's queue */
};

struct net_listen_options {
    struct net_limits limits;
    /* Asked for each new connection that the limits let in, with the peer's address without port, on the first network
     * thread: NULL, or why it is refused (a text that lives for ever). May be NULL. */
    const char *(*admit)(void *class_arg, struct str host);
    int64_t
        idle_ms; /* close when no byte moved for so long; 0: 10 minutes, as Kafka's connections.max.idle.ms */
    size_t out_max;    /* bytes in the output queue at which reading pauses; 0: 1 MiB */
    size_t unread_max; /* unconsumed bytes at which reading pauses; 0: 64 KiB. conn_expect may ask for more */
    struct net_tls *tls;  /* NULL: plain text */
    int64_t handshake_ms; /* longest TLS handshake; 0: 10 s */
};

/* Listens on "host:port" ("127.0.0.1:9092", "[::1]:9092", "localhost:0", "0.0.0.0:80", ":80"); port 0 takes a
 * free one; a name with several addresses is bound on all with the same port. class_arg is handed on by
 * conn_arg. The class and its argument outlive the net. NULL with *err, which names the address and the
 * cause. Any thread. */
struct net_listener *net_listen(struct net *net, struct str address, const struct conn_class *cls,
                                void *class_arg, const struct net_listen_options *options, struct err *err);

/* Changes the limits; connections that are open stay. Any thread. */
void net_listener_limit(struct net_listener *listener, const struct net_limits *limits);

int net_listener_port(const struct net_listener *listener);

/* "127.0.0.1:9092": the first bound address, terminated; lives as long as the listener. */
struct str net_listener_address(const struct net_listener *listener);

/* Is it bound to loopback addresses only? */
bool net_listener_is_loopback(const struct net_listener *listener);

/* Splits "host:port" or "[v6]:port" (port may be missing when port_default >= 0). Pure; slices of `address`.
 */
bool net_address_split(struct str address, int port_default, struct str *host, int *port, struct err *err);

/* ---- connections ---- */

/* Names a connection from any thread, also after it is gone. */
struct conn_ref {
    uint32_t thread, slot;
    uint64_t generation;
};

/* Mail for a connection: embed as first member. */
struct conn_mail {
    struct mail mail;
    struct conn_ref to;
};

/* Hands the mail to class->on_mail on the connection's thread, or drops it when the connection is gone. Takes
 * the mail in any case. Any thread, until net_free. */
void net_send(struct net *net, struct conn_ref to, struct conn_mail *mail);

struct conn_ref conn_ref(const struct conn *conn);
/* The connection, or NULL when it is gone or closing. On its thread. */
struct conn *conn_get(struct net *net, struct conn_ref ref);

void *conn_arg(const struct conn *conn);  /* class_arg of the listener */
void *conn_data(const struct conn *conn); /* what conn_set_data set */
void conn_set_data(struct conn *conn, void *data);
struct net *conn_net(const struct conn *conn);
struct loop *conn_loop(const struct conn *conn);
int conn_thread(const struct conn *conn);
struct net_listener *conn_listener(const struct conn *conn);

/* "127.0.0.1:54321"; lives as long as the connection. */
struct str conn_peer(const struct conn *conn);
/* The local address without port, "127.0.0.1", and whether it is a loopback address; lives as long. */
struct str conn_local_host(const struct conn *conn);
bool conn_is_loopback(const struct conn *conn);

bool conn_is_tls(const struct conn *conn);
/* Subject of the client's certificate as RFC 2253 writes it ("CN=alice,O=Shop,C=DE"), as Java prints it; null without
 * one; lives as long as the connection. */
struct str conn_tls_subject(const struct conn *conn);

/* Output. Each is queued in order and leaves after the present callback at the latest. On a closing
 * connection they release what they were given and do nothing else. */

/* Takes the buffer's memory; *bytes is empty after. */
void conn_write_take(struct conn *conn, struct buf *bytes);
/* Copies. */
void conn_write(struct conn *conn, struct str bytes);
/* Borrows until release(arg) is called on this thread; release NULL: the bytes live for ever. */
void conn_write_borrowed(struct conn *conn, struct str bytes, void (*release)(void *arg), void *arg);
/* Sends `len` bytes of a file from position `pos` with sendfile (through memory under TLS); release(arg) is
 * called on this thread when they are sent or the connection is gone. The file must not shrink below pos + len: if it does the
 * connection is closed. */
void conn_write_file(struct conn *conn, int fd, uint64_t pos, size_t len, void (*release)(void *arg),
                     void *arg);

/* Bytes in the output queue, and whether it is above out_max: a class that makes output in pieces stops there
 * and goes on in on_writable. */
size_t conn_out_bytes(const struct conn *conn);
bool conn_out_full(const struct conn *conn);

/* Stops and continues reading (N2). Calls do not nest. conn_resume offers unread bytes again. While reading
 * is paused a peer that goes away is noticed only when writing or by the idle time. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/* Next on_bytes only when `size` unread bytes are there (checked against a limit of the protocol by the
 * class). Memory grows with what arrives, not with what was announced. Reset by each on_bytes call. */
void conn_expect(struct conn *conn, size_t size);

/* While `held` only output that does not move counts as idle: for parked requests and endless replies. */
void conn_hold_idle(struct conn *conn, bool held);

/* Closes with "deadline" unless called again before: for the time a head may take. 0: no deadline. Coarse (1
 * s). */
void conn_set_deadline(struct conn *conn, int64_t delay_ms);

/* Closes; queued output is lost. `why` is a string that lives for ever. */
void conn_close(struct conn *conn, const char *why);
/* Stops reading, writes what is queued, then closes (waits up to 2 s for the peer's end so that it can read
 * all). */
void conn_close_flushed(struct conn *conn, const char *why);

/* Bytes received and sent so far. */
uint64_t conn_bytes_in(const struct conn *conn);
uint64_t conn_bytes_out(const struct conn *conn);

/* ---- TLS as a client, on a socket of the caller's: for those who have no loop ---- */

struct tls_client_options {
    struct str host;        /* whose certificate it must be, an address or a name; empty: anybody's */
    const char *truststore; /* PEM file; NULL: what the system trusts */
    const char *keystore;   /* PEM file with key and certificate of our own; NULL: none */
};

struct tls; /* one connection */

/* The socket stays the caller's. NULL with *err. Not bound to a thread. */
struct tls *tls_connect(int fd, const struct tls_client_options *options, struct err *err);
/* Tells the peer that nothing more comes, if that takes no waiting, and frees. NULL is allowed. */
void tls_free(struct tls *tls);

enum tls_result { TLS_DONE, TLS_BLOCKED, TLS_FAILED };
/* One step of the handshake; *why lives for ever. */
enum tls_result tls_handshake(struct tls *tls, const char **why);
/* LOOP_READ or LOOP_WRITE: what a blocked call waits for. */
int tls_events(const struct tls *tls);

/* Bytes moved; 0: the peer's end; -1 with errno (EAGAIN: wait for tls_events; EPROTO: the peer broke the rules). A read
 * fills the room if there is enough. */
ssize_t tls_read(struct tls *tls, void *bytes, size_t size);
ssize_t tls_write(struct tls *tls, const void *bytes, size_t size);

#endif
