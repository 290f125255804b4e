/* broker.h - the Kafka side of the server: a listener, topics, partitions, groups, transactions.
 *
 *   Kafka clients --net threads--> requests --+
 *                                             +--> topics, partitions (logs), groups, transactions
 *   `client` (embedded), in process ----------+
 *
 * Two doors lead to the same state: the Kafka protocol on a listener, and the functions below, which `client` uses
 * without a socket. Functions marked *blocking* wait for the disk and may not be called on a net thread. Callbacks come
 * on any thread (a net thread, a pool thread, the appender's), must not block and must not call back into the same
 * partition; they typically post a mail.
 */
#ifndef RIALTO_BROKER_BROKER_H
#define RIALTO_BROKER_BROKER_H

#include "base/base.h"
#include "storage/storage.h"

struct broker;
struct broker_txn;
struct io;
struct conf_table;
struct metric_registry;
struct auth_config;
struct net_tls;

/* --- life --- */

/* Options of the broker. Strings are borrowed until broker_start returns. */
struct broker_config {
    struct storage_config storage; /* topics and logs */
    struct str
        kafka_listen; /* kafka.listen, "127.0.0.1:9092,SASL_SSL://:9093"; port 0 takes a free one; empty: none */
    struct str kafka_advertise; /* kafka.advertise, the same form, told to clients; empty: where we listen */
    struct str listener_protocols;  /* listener.security.protocol.map, "INSIDE:PLAINTEXT,OUTSIDE:SASL_SSL" */
    const struct auth_config *auth; /* users and rights; NULL: the defaults. Not in the option table */
    struct net_tls
        *tls; /* for SSL and SASL_SSL listeners, outlives the broker; NULL: none. Not in the option table */
    int64_t net_threads;     /* num.network.threads */
    bool auto_create_topics; /* auto.create.topics.enable */
    bool delete_topics;      /* delete.topic.enable */
    bool
        clamp_replication_factor; /* replication.factor.clamp: above 1 counts as 1 instead of being refused */
    int64_t request_bytes_max;    /* socket.request.max.bytes: one request frame */
    int64_t fetch_bytes_max;      /* fetch.max.bytes: one fetch response */
    int64_t connections_max;      /* max.connections */
    int64_t connections_per_ip_max;           /* max.connections.per.ip */
    int64_t connection_rate_max;              /* max.connection.creation.rate: new ones a second */
    int64_t fetch_sessions_max;               /* max.incremental.fetch.session.cache.slots */
    int64_t quota_windows;                    /* quota.window.num */
    int64_t quota_window_s;                   /* quota.window.size.seconds */
    int64_t connections_idle_ms_max;          /* connections.max.idle.ms */
    int64_t group_initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms */
    int64_t group_session_timeout_ms_min;     /* group.min.session.timeout.ms */
    int64_t group_session_timeout_ms_max;     /* group.max.session.timeout.ms */
    int64_t group_members_max;                /* group.max.size */
    int64_t consumer_session_timeout_ms;      /* group.consumer.session.timeout.ms */
    int64_t consumer_heartbeat_interval_ms;   /* group.consumer.heartbeat.interval.ms */
    int64_t consumer_members_max;             /* group.consumer.max.size */
    struct str consumer_assignors; /* group.consumer.assignors, "uniform,range"; the first is the default */
    int consumer_migration;        /* group.consumer.migration.policy: enum group_migration */
    int64_t offsets_retention_ms;  /* offsets.retention.ms: committed offsets of groups without members */
    int64_t offset_metadata_bytes_max; /* offset.metadata.max.bytes */
    int64_t txn_timeout_ms_max;        /* transaction.max.timeout.ms */
    int64_t txn_id_expiration_ms;      /* transactional.id.expiration.ms */
    int64_t txn_check_interval_ms;     /* transaction.abort.timed.out.transaction.cleanup.interval.ms */
};

/* The options above, for conf_read into a struct broker_config; names, defaults and words are there. */
extern const struct conf_table broker_conf_table;

/* Sets the defaults of the table. */
void broker_config_init(struct broker_config *config);

/* Opens the logs, replays topics, groups and
 * transactions (decided transactions are completed, open ones aborted), then listens. Blocking. `io` outlives the broker;
 * `metrics` may be NULL. The caller holds the lock of the data directory (io_lock_dir). */
bool broker_start(struct broker **out, const struct broker_config *config, struct io *io,
                  struct metric_registry *metrics, struct err *err);

/* Closes the listener, answers or drops what waits, syncs and closes the logs. All partition handles must
 * have been given back and all transactions ended. Blocking. */
void broker_stop(struct broker *broker);

/* Where the Kafka listeners listen: "127.0.0.1:9092,SASL_SSL://0.0.0.0:9093" (PLAINTEXT is not named). In the arena. */
struct str broker_kafka_addresses(const struct broker *broker, struct arena *arena);

/* The port that the first Kafka listener got; 0 without one. */
int broker_kafka_port(const struct broker *broker);

/* Its topics and partitions, for this process. */
struct storage *broker_storage(struct broker *broker);

/* 22 characters; generated once per data directory. */
struct str broker_cluster_id(const struct broker *broker);

/* Connections open at present on the Kafka listener. */
int64_t broker_connection_count(const struct broker *broker);

/* --- the table of rights, for references --- */

struct broker_right_doc {
    const char *api, *resource, *operation;
    int16_t error;    /* what is answered without it; 0: something is left out */
    const char *when; /* in which case; may be empty */
};

/* Row `at` of what APIs ask for; false: there are no more. */
bool broker_right_at(size_t at, struct broker_right_doc *out);

/* --- committed offsets of a group (any thread) --- */

struct broker_group_offset {
    struct str topic;
    int32_t partition;
    int64_t offset;      /* next to read; -1 when fetching and nothing was committed */
    struct str metadata; /* may be empty */
};

/* Commits for a group without members, as a simple consumer does; durable when it returns.
 * ERR_UNKNOWN_MEMBER_ID when the group has members. Blocking. */
bool broker_group_commit(struct broker *broker, struct str group, const struct broker_group_offset *offsets,
                         size_t count, struct err *err);

/* Fills offset and metadata (in the arena) of the given entries. */
void broker_group_fetch(struct broker *broker, struct str group, struct broker_group_offset *offsets,
                        size_t count, struct arena *arena);

/* All committed offsets of the group. */
struct broker_group_offset *broker_group_fetch_all(struct broker *broker, struct str group, size_t *count,
                                                   struct arena *arena);

struct broker_group_info {
    struct str name, state, protocol_type; /* state: Empty, PreparingRebalance, CompletingRebalance, Stable */
    int32_t generation;
    size_t member_count;
};
struct broker_group_info *broker_group_list(struct broker *broker, size_t *count, struct arena *arena);

/* Deletes a group without members and its offsets. Blocking. */
bool broker_group_delete(struct broker *broker, struct str group, struct err *err);

/* --- the engine's transaction ---
 *
 * One transaction at a time per transactional id. Its identity is (producer id, epoch): a new pair each time, so it can
 * name what the caller prepared elsewhere.
 *
 *   begin            gives (pid, epoch); what a crash leaves open under it is aborted at the next start
 *   append ...       batches into any partitions, from any threads
 *   commit           (a) fdatasync of every partition appended to, and of inputs read beyond their hw, in parallel
 *                    (b) decision record durable in __transaction_state: from here on the transaction is committed
 *                    (c) commit markers in every partition; the lso moves past them when they are durable
 *
 * After a crash before (b) the transaction is aborted with markers at the next start, after (b) it is completed.
 */
enum broker_txn_state {
    BROKER_TXN_NONE,      /* the transactional id was never used */
    BROKER_TXN_OPEN,      /* begun in this process's life */
    BROKER_TXN_COMMITTED, /* decided, even if markers are still to be written */
    BROKER_TXN_ABORTED,
};

/* Begins a transaction. The id begins with "rialto-engine": clients may not name such ids. An open one of the same id is
 * aborted first (the earlier handle then answers ERR_PRODUCER_FENCED). Blocking. */
bool broker_txn_begin(struct broker *broker, struct str transactional_id, struct broker_txn **out,
                      struct err *err);

int64_t broker_txn_producer_id(const struct broker_txn *txn);
int16_t broker_txn_epoch(const struct broker_txn *txn);

/* Appends a record batch inside the transaction. Producer id, epoch, sequence and the transactional bit are
 * stamped into `batch`, the CRC is computed anew: the builder needs to know nothing of them. Any thread. */
bool broker_txn_append(struct broker_txn *txn, struct partition *part, char *batch, size_t size,
                       struct partition_appended *out, struct err *err);

/* A place that the transaction has read up to. When it is beyond the hw of that partition, step (a) syncs it
 * too: results never outlive their inputs. */
struct broker_txn_input {
    struct partition *part; /* borrowed until done was called */
    int64_t offset;         /* next to read */
};

/* Commits. done(arg, failure) is called once, from any thread: failure NULL means decided and markers
 * appended; otherwise the transaction is aborted (or, when the decision could not be written, decided by the
 * next start; the partition of decisions is then offline). The handle is gone when done is called. */
void broker_txn_commit(struct broker_txn *txn, const struct broker_txn_input *inputs, size_t input_count,
                       void (*done)(void *arg, const struct err *failure), void *arg);

/* The same, blocking. */
bool broker_txn_commit_wait(struct broker_txn *txn, const struct broker_txn_input *inputs, size_t input_count,
                            struct err *err);

/* Aborts: markers are appended and the abort is recorded. The handle is gone. Blocking. */
bool broker_txn_abort(struct broker_txn *txn, struct err *err);

/* State and identity of the last transaction of an id. After broker_start there are no open ones. */
enum broker_txn_state broker_txn_last(struct broker *broker, struct str transactional_id,
                                      int64_t *producer_id, int16_t *epoch);

/* Identity for an idempotent producer in process. Blocking. */
bool broker_producer_id(struct broker *broker, int64_t *producer_id, struct err *err);

#endif
