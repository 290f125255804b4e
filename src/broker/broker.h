/* broker.h - the Kafka side of the server: listeners and requests over storage and coordinators.
 *
 *   Kafka clients --net threads--> requests --> storage: topics, partitions (logs)
 *                                           --> coord: groups, transactions
 *   `client` (embedded), in process ----------> both, without a request
 *
 * The broker puts them together: it reads the options, starts and stops them, and tells one what the other needs. Functions
 * marked *blocking* wait for the disk and may not be called on a net thread.
 */
#ifndef RIALTO_BROKER_BROKER_H
#define RIALTO_BROKER_BROKER_H

#include "base/base.h"
#include "conf/conf.h"
#include "coord/coord.h"
#include "quota/quota.h"
#include "storage/storage.h"

struct broker;
struct io;
struct metric_registry;
struct auth_config;
struct net_tls;
struct net_tls_options;

/* --- life --- */

/* Options of the broker. Strings are borrowed until broker_start returns. */
struct broker_config {
    struct storage_config storage; /* topics and logs */
    struct coord_config coord;     /* groups and transactions */
    struct str
        kafka_listen; /* kafka.listen, "127.0.0.1:9092,SASL_SSL://:9093"; port 0 takes a free one; empty: none */
    struct str kafka_advertise; /* kafka.advertise, the same form, told to clients; empty: where we listen */
    struct str listener_protocols; /* listener.security.protocol.map, "INSIDE:PLAINTEXT,OUTSIDE:SASL_SSL" */
    struct str group_protocols;    /* group.coordinator.rebalance.protocols, "classic,consumer,streams" */
    struct conf_pairs listener_options; /* listener.name.*: "external.ssl.client.auth" and its value */
    const struct auth_config *auth;     /* users and rights; NULL: the defaults. Not in the option table */
    struct net_tls
        *tls; /* for SSL and SASL_SSL listeners, outlives the broker; NULL: none. Not in the option table */
    const struct net_tls_options *tls_options; /* what tls was made of; NULL: defaults. Outlives the broker */
    int64_t net_threads;                       /* num.network.threads */
    bool auto_create_topics;                   /* auto.create.topics.enable */
    bool delete_topics;                        /* delete.topic.enable */
    bool
        clamp_replication_factor; /* replication.factor.clamp: above 1 counts as 1 instead of being refused */
    int64_t request_bytes_max;    /* socket.request.max.bytes: one request frame */
    int64_t fetch_bytes_max;      /* fetch.max.bytes: one fetch response */
    int64_t connections_max;      /* max.connections */
    int64_t connections_per_ip_max;  /* max.connections.per.ip */
    int64_t connection_rate_max;     /* max.connection.creation.rate: new ones a second */
    int64_t fetch_sessions_max;      /* max.incremental.fetch.session.cache.slots */
    struct quota_config quota;       /* how quotas are averaged */
    int64_t connections_idle_ms_max; /* connections.max.idle.ms */
};

/* The options above, for conf_read into a struct broker_config; names, defaults and words are there. */
extern const struct conf_table broker_conf_table;

/* Of a name that is no option: why this option of Apache Kafka is none here, or what is in its place; NULL: it is none of
 * Kafka's. */
const char *broker_option_foreign(struct str name);

/* Sets the defaults of the table. */
void broker_config_init(struct broker_config *config);

/* What can be said of options before anything is opened: ERR_INVALID_CONFIG, a listener.name.* of no listener. */
bool broker_config_check(const struct broker_config *config, struct err *err);

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

/* Its parts, for who is in this process and needs no protocol. */
struct storage *broker_storage(struct broker *broker);
struct coord *broker_coord(struct broker *broker);

/* 22 characters; generated once per data directory. */
struct str broker_cluster_id(const struct broker *broker);

/* Connections open at present on the Kafka listener. */
int64_t broker_connection_count(const struct broker *broker);

/* --- the table of rights, for references --- */

struct broker_right_doc {
    const char *api, *resource, *operation; /* "-": it asks for no right */
    int16_t error;                          /* what is answered without it; 0: something is left out */
    const char *when;                       /* in which case; may be empty */
};

/* Row `at` of what APIs ask for; false: there are no more. */
bool broker_right_at(size_t at, struct broker_right_doc *out);

#endif
