/* broker_int.h - private to src/broker: what the broker is made of.
 *
 *   struct broker --storage--> topics, partitions
 *                 --coord--> groups, transactions
 *                 --auth_log (security) --> struct replay --> auth
 *                 --net--> connections --requests--> struct request
 *
 * Locks (their order, among those of all modules, is in doc/threads.md): address_lock, the replay lock of auth_replay,
 * jwks_lock, auth_lock, those of fetch sessions, timers_lock.
 */
#ifndef RIALTO_BROKER_BROKER_INT_H
#define RIALTO_BROKER_BROKER_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "base/base.h"
#include "base/log_rate.h"
#include "broker/broker.h"
#include "coord/serve.h"
#include "group/group.h"
#include "io/io.h"
#include "log/log.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "net/net.h"
#include "quota/quota.h"
#include "record/record.h"
#include "replay/replay.h"
#include "storage/storage.h"
#include "topic/topic.h"
#include "txn/txn.h"
#include "wire/wire.h"

enum { BROKER_API_KEYS = 96 };

/* An option that may change while the broker runs (`live` in its table; settings.c). */
#define LIVE(broker, member) __atomic_load_n(&(broker)->config.member, __ATOMIC_RELAXED)

/* --- settings (settings.c) --- */

struct conf_option;
const struct conf_option *broker_option_find(struct str name);
/* Of users and rights, and of certificates; none of them is live. */
const struct conf_option *fixed_option_find(struct str name);

/* A name that DescribeConfigs shows as a fact of this node (broker/facts.def): it cannot be changed. */
bool broker_fact_is(struct str name);

/* Brings the settings of the state into force; after replay and after changes. */
void settings_take(struct broker *broker);

/* Changes settings, durable and in force when it returns. Blocking: on the admin pool. `req` has everything but the time and
 * the check. */
bool settings_alter(struct broker *broker, struct resource_alter *req, struct err *err);

/* With replication.factor.clamp, min.insync.replicas above 1 counts as 1 too: what is set is what is in force. */
struct str topic_setting_clamped(const struct broker *broker, struct str name, struct str value);

/* --- share sessions (share_sessions.c) --- */

struct share_sessions;

void share_sessions_open(struct broker *broker);
void share_sessions_close(struct broker *broker);

/* The connection of this number (request_hold_shares) has gone. */
void share_sessions_conn_closed(struct broker *broker, uint64_t conn);

/* --- transactions (api_txn.c) --- */

/* May what (pid, epoch) writes to these partitions be part of its transaction? `joins`: they are added when they are not in
 * it (KIP-890). The result is for all; where it is 0 codes[i] says it for each (0 or TXN_ABORTABLE). */
int16_t txn_admit(struct broker *broker, struct str transactional_id, int64_t pid, int16_t epoch, bool joins,
                  const struct txn_partition *partitions, size_t count, int16_t *codes);

/* --- fetch sessions (fetch_session.c) --- */

void sessions_open(struct broker *broker);
void sessions_close(struct broker *broker);

/* Lets go of the partitions of deleted topics. */
void sessions_topic_deleted(struct broker *broker);

/* --- the broker --- */

struct broker {
    struct broker_config config;                       /* in force; live options change (LIVE) */
    struct broker_config given_config, default_config; /* as started, as nobody has set anything */
    struct arena arena;                                /* texts of config and addresses */
    struct io *io;
    struct metric_registry *metrics;
    struct metric_registry *own_metrics; /* when the caller has none */

    struct net *net;
    struct kafka_listener *listeners;
    size_t listener_count;
    pthread_mutex_t
        address_lock; /* held until the listeners' addresses are known: connections wait for it when they open */
    struct pool *auth_pool; /* hashing of passwords, signatures of tokens */
    atomic_llong connection_count;

    struct storage *storage;
    struct coord *coord;
    struct share_sessions *share_sessions;
    struct quotas *quotas;
    struct fetch_sessions *fetch_sessions;

    struct auth *auth;
    struct replay *auth_replay;
    struct state_log auth_log;
    pthread_rwlock_t auth_lock; /* what auth knows */
    struct metric *logins, *failed_logins, *refusals;

    struct loop_timer token_timer; /* takes away delegation tokens that have ended */
    atomic_bool sweeping;          /* a job that does it is queued or running */
    struct loop_call start_call, stop_call;
    pthread_mutex_t timers_lock;
    pthread_cond_t timers_cond;
    bool timers_off;

    struct metric *request_meters[BROKER_API_KEYS]; /* requests by API key */
    struct metric *refused_meter;                   /* requests that could not be read */
    struct log_rate refused_rate;                   /* of log lines about them */
    struct log_rate failed_login_rate; /* the same about logins: who guesses must not fill the log */
};

/* --- listeners (listeners.c) --- */

/* Public keys of tokens, from a file that may change. */
struct token_keys {
    pthread_mutex_t lock;
    int64_t checked_ms;
    struct buf text; /* as last read */
};

struct kafka_listener {
    struct broker *broker;
    struct str name; /* PLAINTEXT, or the name given in kafka.listen */
    bool tls, sasl;
    struct auth_listener *auth;                    /* who comes in, and how */
    struct net_tls *certificate, *own_certificate; /* NULL: none; none of its own */
    struct token_keys token_keys;
    struct net_listener *net;
    struct str host; /* what clients are told, with port */
    int port;
};

extern const struct conn_class kafka_conn_class; /* conn.c; its argument is the listener */

/* Opens all listeners of the config. */
bool kafka_listen(struct broker *broker, struct err *err);

/* After net_free. */
void kafka_listeners_free(struct broker *broker);

/* Is there a listener in kafka.listen whose name fits? */
bool kafka_listener_named(struct str listen, bool (*fits)(void *arg, struct str name), void *arg);

/* Brings the limits of connections into force; before the listeners are there, those of the whole. */
void kafka_listeners_limit(struct broker *broker);

/* --- options of one listener (listener_options.c) --- */

#define LISTENER_OPTION "listener.name."

/* The options as one listener has them; texts live as long as the broker. */
struct listener_options {
    struct broker_config broker; /* limits of connections */
    struct auth_config auth[AUTH_MECHANISMS];
    struct net_tls_options tls;
    bool own_tls; /* tls is not the server's */
};

/* The listener's name and protocol are set. False with *err: an option that it cannot have. */
bool listener_options_read(const struct kafka_listener *listener, struct listener_options *out,
                           struct err *err);

/* The option that "listener.name.<listener>..." narrows, or NULL. */
const struct conf_option *listener_option_find(const struct broker *broker, struct str name);

/* What it was started with, or null. */
struct str listener_option_given(const struct broker *broker, struct str name);

/* The values of "listener.name.<listener>...", the one in force first; a null one where nothing is set: the option itself has
 * the others. Under storage_topics_lock(). */
void listener_config_chain(const struct broker *broker, struct str name,
                           struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena);

/* --- who a connection is (login.c) --- */

enum login_phase {
    LOGIN_DONE,   /* known, or nobody asks: all requests are taken */
    LOGIN_START,  /* ApiVersions and SaslHandshake only */
    LOGIN_RAW,    /* after SaslHandshake v0: frames are tokens */
    LOGIN_TOKENS, /* after SaslHandshake v1: SaslAuthenticate only */
    LOGIN_BUSY,   /* a token is being looked at: nothing is read */
    LOGIN_FAILED, /* closed as soon as the answer has left */
};

struct login {
    enum login_phase phase;
    bool raw, again;               /* tokens are bare frames; it was known before (KIP-368) */
    enum auth_mechanism mechanism; /* by which it is known */
    struct sasl *sasl;             /* NULL while a job has it */
    struct auth_who who;           /* texts in the arena, or literals */
    struct arena arena;
    int64_t expires_ms;      /* monotonic; -1: never */
    struct loop_timer delay; /* holds a failure back */
    struct request *refused; /* whose answer waits for it */
};

struct kafka_conn;

/* --- requests (conn.c, apis.c) --- */

struct request {
    struct conn_mail mail; /* brings the request back to its connection's thread */
    struct broker *broker;
    struct kafka_conn *kc; /* NULL: the connection is gone; only on its thread */
    struct loop *loop;
    struct list link; /* kc->requests, in order of arrival */
    const struct wire_api *api;
    int16_t version;
    int32_t correlation_id;
    struct str client_id, peer;      /* in the arena */
    struct kafka_listener *listener; /* that it came in on */
    struct auth_who who;             /* whose it is; in the arena, or literals */
    struct client_quotas *quotas;    /* a reference, or NULL */
    int64_t throttle_ms;             /* told in the answer; the connection is not read for as long after it */
    const void *body;                /* decoded request */
    void *res;                       /* response struct, at its defaults */
    struct arena arena;
    struct wire_out out; /* the encoded response */
    bool done, no_reply;
    void *parked;                        /* of the API that parks it */
    const char *close_why;               /* not NULL: the connection is closed instead of an answer */
    void (*cancel)(struct request *req); /* parked on the connection's thread: takes it out */
    struct replay_wait wait;             /* for request_reply_durable */
    atomic_int left;                     /* waits of a produce request */
    void (*job)(struct request *req);    /* what the admin pool runs */
    /* Runs instead of the answer when the request comes back to its thread, once; then that answers. */
    void (*arrive)(struct request *req);
    void (*fini)(struct request *req); /* frees `parked` when the connection has gone meanwhile */
};

/* A row of the API table: announced range, smallest version that is answered. */
struct broker_api {
    int16_t api_key, version_min, version_max, answered_min;
    /* Answers now or later by one of the functions below, exactly once. On the connection's thread. */
    void (*run)(struct request *req);
};

extern const struct broker_api broker_apis[];
extern const size_t broker_api_count;
const struct broker_api *broker_api_find(int16_t api_key);

/* Encodes req->res and sends it. Any thread; the request is gone after. */
void request_reply(struct request *req);

/* Encodes now, sends when the state's topic is durable up to end_offset; a failure closes the connection. */
void request_reply_durable(struct request *req, struct replay *replay, int64_t end_offset);

/* Encodes res (another struct than req->res) without sending; then request_deliver. */
void request_encode(struct request *req, const void *res);
void request_deliver(struct request *req);

/* Ends a request that has no answer (acks=0), or closes the connection. */
void request_no_reply(struct request *req);
void request_close(struct request *req, const char *why);

/* Charges `partitions` that are made or deleted. False: the quota is used up and the version knows the error for it
 * (THROTTLING_QUOTA_EXCEEDED); older ones are throttled only. */
bool request_may_mutate(struct request *req, int16_t strict_version, int64_t partitions);
enum { THROTTLING_QUOTA_EXCEEDED = 89 };

/* Runs fn(req) on the admin pool; fn answers. */
void request_on_pool(struct request *req, void (*fn)(struct request *req));

/* conn.c, for login.c: on the connection's thread, while req->kc is not NULL. */
struct login *request_login(struct request *req);
struct conn *request_conn(struct request *req);
/* What the produce requests of the read append that is under way. On the connection's thread, while the request runs. */
struct produce_queue *request_produces(struct request *req);

/* Share sessions of this connection are to end with it; its number. On the connection's thread. */
uint64_t request_hold_shares(struct request *req);

/* Appends of the requests that one read brought: all of them are written together. */
struct produce_queue {
    struct list syncs; /* they ask for */
    size_t count;
    struct produce_append {
        struct request *req;
        struct ProduceResponse_PartitionProduceResponse *row;
        struct partition *part; /* reference; NULL: written */
        struct log_append append;
    } at[LOG_APPENDS_MAX];
};

/* api_produce.c: appends what is queued; answers that wait for nothing else are given. On the connection's thread. */
void produce_write(struct produce_queue *queue);

/* login.c: a connection has come. False: it is nobody who may come in (by its certificate). */
bool login_begin(struct login *login, const struct kafka_listener *listener, struct conn *conn);
void login_fini(struct login *login);
/* May a request of this API come now? False with *err: the connection is closed. */
bool login_admits(const struct login *login, int16_t api_key, int64_t now_ms, struct err *err);
/* A frame without header, in LOGIN_RAW. */
void login_raw_token(struct request *req, struct str token);

/* security.c */
bool security_open(struct broker *broker, struct err *err);
void security_close(struct broker *broker);
/* Shortens the log of users and rules when it is mostly history. Blocking. */
void security_rewrite(struct broker *broker);
/* Reads the key file of tokens, at the start; later, if it changed. Blocking. */
bool security_read_keys(struct kafka_listener *listener, struct err *err);
void security_refresh_keys(struct kafka_listener *listener);

/* api_tokens.c: takes away delegation tokens that have ended. */
void tokens_init_clock(struct broker *broker);
void tokens_start_clock(struct broker *broker); /* on the loop of network thread 0 */

/* --- rights (security.c; the table is in apis.c) --- */

/* A right that an API asks for. `error` is what is answered without it. */
struct broker_right {
    int16_t api_key;
    enum acl_resource resource;
    enum acl_operation operation;
    int16_t error;
    const char *when; /* in which case, or what else serves: for the reference */
};

extern const struct broker_right broker_rights[];
extern const size_t broker_right_count;

/* Does the table say what the API asks for, or that it is for everybody? With an authorizer others are not served. */
bool broker_api_is_guarded(int16_t api_key);

/* 0, or the error of the table's row when whoever sent the request may not do this to the resource. The row must be there
 * (asserted): the table says all that is asked. ACL_CLUSTER takes no name. Any thread. */
int16_t request_denied(struct request *req, enum acl_resource resource, enum acl_operation operation,
                       struct str name);
/* The same where there is no error, only things that are left out. */
bool request_may(struct request *req, enum acl_resource resource, enum acl_operation operation,
                 struct str name);
static inline bool request_may_cluster(struct request *req, enum acl_operation operation)
{
    return request_may(req, ACL_CLUSTER, operation, STR(ACL_CLUSTER_NAME));
}
/* What a denial says; null for no denial. */
struct str request_denied_text(int16_t code);
static inline int16_t request_denied_cluster(struct request *req, enum acl_operation operation)
{
    return request_denied(req, ACL_CLUSTER, operation, STR(ACL_CLUSTER_NAME));
}
/* The same for "on any resource of this type". */
int16_t request_denied_everywhere(struct request *req, enum acl_resource resource,
                                  enum acl_operation operation);

/* Answers of groups without what may not be seen, with the authorized operations if they were asked for. */
void hide_fetched_offsets(struct request *req);
void hide_described_groups(struct request *req);
void hide_consumer_groups(struct request *req);
void hide_listed_groups(struct request *req);
void hide_share_groups(struct request *req);
void hide_streams_groups(struct request *req);

/* For the authorized-operations fields. */
int32_t request_operations(struct request *req, enum acl_resource resource, struct str name);

/* The check of group.coordinator.rebalance.protocols (group_protocols.c). */
bool group_protocols_check(const struct conf_option *option, struct str text, struct err *err);
/* True for "consumer" or "streams" when that option does not name it: who asks is answered UNSUPPORTED_VERSION. */
bool group_protocol_is_off(const struct broker *broker, struct str protocol);

/* A call of the group state, in the request's arena; of one who would be a member, with the host of the client (api_groups.c). */
struct group_call *request_group_call(struct request *req);
struct group_call *request_member_call(struct request *req);
/* Runs a reader of that state under its lock; `finish` may be NULL. The answer waits for what was seen to be durable. */
void request_read_groups(struct request *req, void (*reader)(struct groups *groups, struct group_call *call),
                         void (*finish)(struct request *req));

/* Creates a topic as CreateTopics would, for who may. 0, or the error and its text. On the admin pool (api_topics.c). */
int16_t request_create_topic(struct request *req, const struct CreateTopicsRequest_CreatableTopic *asked,
                             struct str *text);

/* Kafka's code of an error; what a produce answers where the general table says otherwise is in api_produce.c. */
int16_t error_code_of(const struct err *err);

/* Handlers, one file a family. */
void api_produce(struct request *req);
void api_fetch(struct request *req);
void api_list_offsets(struct request *req);
void api_metadata(struct request *req);
void api_offset_commit(struct request *req);
void api_offset_fetch(struct request *req);
void api_find_coordinator(struct request *req);
void api_join_group(struct request *req);
void api_sync_group(struct request *req);
void api_heartbeat(struct request *req);
void api_leave_group(struct request *req);
void api_describe_groups(struct request *req);
void api_list_groups(struct request *req);
void api_delete_groups(struct request *req);
void api_offset_delete(struct request *req);
void api_consumer_group_heartbeat(struct request *req);
void api_consumer_group_describe(struct request *req);
void api_share_group_heartbeat(struct request *req);
void api_share_group_describe(struct request *req);
void api_share_fetch(struct request *req);
void api_streams_group_heartbeat(struct request *req);
void api_streams_group_describe(struct request *req);
void api_share_acknowledge(struct request *req);
void api_describe_share_group_offsets(struct request *req);
void api_alter_share_group_offsets(struct request *req);
void api_delete_share_group_offsets(struct request *req);
void api_versions(struct request *req);
void api_create_topics(struct request *req);
void api_delete_topics(struct request *req);
void api_create_partitions(struct request *req);
void api_delete_records(struct request *req);
void api_init_producer_id(struct request *req);
void api_add_partitions_to_txn(struct request *req);
void api_add_offsets_to_txn(struct request *req);
void api_txn_offset_commit(struct request *req);
void api_end_txn(struct request *req);
void api_write_txn_markers(struct request *req);
void api_describe_producers(struct request *req);
void api_describe_transactions(struct request *req);
void api_list_transactions(struct request *req);
void api_offset_for_leader_epoch(struct request *req);
void api_describe_configs(struct request *req);
void api_alter_configs(struct request *req);
void api_incremental_alter_configs(struct request *req);
void api_list_config_resources(struct request *req);
void api_describe_topic_partitions(struct request *req);
void api_describe_log_dirs(struct request *req);
void api_alter_replica_log_dirs(struct request *req);
void api_elect_leaders(struct request *req);
void api_alter_partition_reassignments(struct request *req);
void api_list_partition_reassignments(struct request *req);
void api_describe_quorum(struct request *req);
void api_update_features(struct request *req);
void api_describe_client_quotas(struct request *req);
void api_alter_client_quotas(struct request *req);
void api_describe_cluster(struct request *req);
void api_sasl_handshake(struct request *req);
void api_sasl_authenticate(struct request *req);
void api_create_delegation_token(struct request *req);
void api_renew_delegation_token(struct request *req);
void api_expire_delegation_token(struct request *req);
void api_describe_delegation_token(struct request *req);
void api_describe_acls(struct request *req);
void api_create_acls(struct request *req);
void api_delete_acls(struct request *req);
void api_describe_user_scram_credentials(struct request *req);
void api_alter_user_scram_credentials(struct request *req);

/* Answer to an ApiVersions request of a version we do not know (reference 1.2): error 35 in version 0. */
void api_versions_unsupported(struct request *req);

#endif
