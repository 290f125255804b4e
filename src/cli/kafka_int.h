/* kafka_int.h - a small blocking Kafka client: any cluster, one thread at a time.
 *
 *   kafka_call      one request to one node, one attempt                                      kafka.c
 *   kafka_topic_*   who leads a partition; create, delete, configurations, offsets             kafka_admin.c
 *   kafka_producer  idempotent batches, retried until acknowledged                             kafka_producer.c
 *   kafka_reader    fetch from partitions                                                      kafka_reader.c
 *   kafka_group     membership, committed offsets                                              kafka_group.c
 *   kafka_share     the same of share groups, for administration                               kafka_share.c
 *
 * Each struct kafka has its own connections, so that threads work side by side with one each.
 */
#ifndef RIALTO_CLI_KAFKA_INT_H
#define RIALTO_CLI_KAFKA_INT_H

#include <stdatomic.h>

#include "record/record.h"
#include "wire/wire.h"

enum {
    KAFKA_ANY = -1,       /* node: whichever bootstrap server answers */
    KAFKA_API_KEYS = 128, /* keys whose version ranges are kept */
    KAFKA_RESPONSE_BYTES_MAX = 256 << 20,
    KAFKA_TOPIC_BYTES_MAX = 249, /* of a topic's name */
};

/* How to get in where not everybody may (kafka_security.c). */
struct kafka_security {
    bool tls, sasl, any_host; /* any_host: the certificate may be another host's */
    bool by_token;            /* username and password are a delegation token's */
    struct str brokers;       /* bootstrap.servers of the file; empty: not said */
    struct str mechanism, username, password;
    const char *truststore, *keystore; /* PEM files; NULL: none */
};

struct tls;

struct kafka_node {
    int32_t id; /* KAFKA_ANY: the bootstrap connection */
    struct str host;
    int port;
    int fd;          /* -1: not connected */
    struct tls *tls; /* NULL: plain */
    struct wire_range ranges[KAFKA_API_KEYS];
};

/* A topic as metadata tell it. */
struct kafka_topic {
    struct str name;
    int32_t partition_count;
    int32_t *leaders; /* node ids; -1: none at present */
    bool internal;
    int32_t replication;
};

struct kafka {
    struct arena arena;                    /* names of nodes and topics */
    struct str brokers;                    /* comma-separated bootstrap servers, borrowed */
    const struct kafka_security *security; /* NULL: none; borrowed */
    struct str client_id;
    vec(struct kafka_node) nodes;
    struct map topics; /* name -> struct kafka_topic, what kafka_topic_find has learnt */
    int32_t correlation_id;
    struct buf in;
    struct wire_out out;
    int64_t timeout_ms;          /* of one request, its own waiting time not counted */
    int stop_fd;                 /* -1: none */
    const atomic_bool *stopping; /* NULL: never; for threads that have no stop_fd */
};

/* Connects nothing yet; `brokers` and `security` (may be NULL) are borrowed. */
void kafka_init(struct kafka *kafka, struct str brokers, const struct kafka_security *security, int stop_fd);
void kafka_fini(struct kafka *kafka);

/* One request to a node, one attempt, in the highest version that both sides know. *res points into the arena. A
 * broken connection is closed: ERR_UNAVAILABLE or ERR_TIMED_OUT, and may be tried again. `wait_ms` is the time for which
 * the server itself may hold the answer back. res NULL: the server will not answer (Produce without acknowledgement). */
bool kafka_call(struct kafka *kafka, int32_t node_id, int16_t api_key, const void *req, void *res,
                int64_t wait_ms, struct arena *arena, struct err *err);

/* The same in a given version on a node that is being connected. */
bool kafka_call_node(struct kafka *kafka, struct kafka_node *node, const struct wire_api *api,
                     int16_t version, const void *req, void *res, int64_t wait_ms, struct arena *arena,
                     struct err *err);

/* kafka_security.c: the file of --command-config; TLS and SASL on a new connection; its bytes. */
bool kafka_security_read(struct str path, struct kafka_security **out, struct arena *arena, struct err *err);
bool kafka_security_start(struct kafka *kafka, struct kafka_node *node, struct str host, int64_t deadline_ms,
                          struct err *err);
bool kafka_link_write(struct kafka *kafka, struct kafka_node *node, struct str bytes, int64_t deadline_ms,
                      struct err *err);
bool kafka_link_read(struct kafka *kafka, struct kafka_node *node, struct buf *in, int64_t deadline_ms,
                     struct err *err);

/* An error that goes away by itself: try again with new metadata. */
bool kafka_is_retriable(const struct err *err);

/* Sets *err from a Kafka error code; true when it is 0. `message` may be null. */
bool kafka_check(int16_t code, struct str message, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* kafka_admin.c */

/* The topic's partitions and leaders; asks the cluster when unknown or `refresh`. With `create` the server may create
 * it. Waits up to timeout_ms for a topic that is being made. */
const struct kafka_topic *kafka_topic_find(struct kafka *kafka, struct str name, bool create, bool refresh,
                                           struct err *err);

/* All topics, sorted by name. */
bool kafka_topic_list(struct kafka *kafka, struct kafka_topic **topics, size_t *count, struct arena *arena,
                      struct err *err);

struct kafka_config {
    struct str name, value;
    bool is_default;
};

bool kafka_topic_create(struct kafka *kafka, struct str name, int32_t partitions, int16_t replication,
                        const struct kafka_config *configs, size_t config_count, struct err *err);
bool kafka_topic_delete(struct kafka *kafka, struct str name, struct err *err);

/* Sets configurations of a topic; a null value goes back to the default. All or none; with `check_only` none. */
bool kafka_topic_alter(struct kafka *kafka, struct str name, const struct kafka_config *configs,
                       size_t config_count, bool check_only, struct err *err);
bool kafka_topic_grow(struct kafka *kafka, struct str name, int32_t partitions, bool check_only,
                      struct err *err);
bool kafka_topic_configs(struct kafka *kafka, struct str name, struct kafka_config **configs, size_t *count,
                         struct arena *arena, struct err *err);

enum { KAFKA_EARLIEST = -2, KAFKA_LATEST = -1 };

/* For each partition of the topic the first offset at or after a time in ms, or KAFKA_EARLIEST, KAFKA_LATEST. A time after
 * the last record gives -1. */
bool kafka_offsets(struct kafka *kafka, const struct kafka_topic *topic, int64_t timestamp_ms,
                   int64_t *offsets, struct arena *arena, struct err *err);

/* A place in a topic: an offset, or the first record at or after a time. */
struct kafka_place {
    int64_t offset;  /* -1: by time_ms */
    int64_t time_ms; /* KAFKA_EARLIEST, KAFKA_LATEST, or ms since 1970 */
};

/* The place in each partition and where the partition starts. What lies outside a partition is its nearer end, a time
 * after its last record its end. */
bool kafka_place_offsets(struct kafka *kafka, const struct kafka_topic *topic,
                         const struct kafka_place *place, int64_t *starts, int64_t *offsets,
                         struct arena *arena, struct err *err);

/* Deletes what lies before the offset of each partition, -1: nothing there (KIP-107). The first error ends it; other
 * partitions may have been trimmed then. */
bool kafka_topic_trim(struct kafka *kafka, const struct kafka_topic *topic, const int64_t *offsets,
                      struct arena *arena, struct err *err);

/* kafka_producer.c */

struct kafka_producer_options {
    struct str topic;
    enum codec codec;
    int acks;            /* -1: all (idempotent), 1, 0 */
    int64_t batch_bytes; /* a partition's batch is sent when it is so large */
    int64_t retry_ms;    /* how long a batch is tried again; at least a minute */
};

struct kafka_producer_batch;

struct kafka_producer {
    struct kafka *kafka;
    struct kafka_producer_options options;
    int64_t pid;
    int16_t epoch;
    struct kafka_producer_batch *batches; /* one a partition */
    int32_t partition_count;
    int32_t sticky;                   /* partition of records without key until the next flush */
    int64_t sent_records, sent_bytes; /* acknowledged */
};

bool kafka_producer_open(struct kafka_producer *producer, struct kafka *kafka,
                         const struct kafka_producer_options *options, struct err *err);
void kafka_producer_close(struct kafka_producer *producer);

/* Adds a record; partition -1: by the key's hash, or any for a null key. Sends when a batch is full. */
bool kafka_producer_send(struct kafka_producer *producer, int32_t partition, int64_t timestamp_ms,
                         struct str key, struct str value, const struct record_header *headers,
                         int32_t header_count, struct err *err);

/* Sends all that waits and returns when it is acknowledged, once each. False: retries were in vain or the server
 * refused; nothing is known of what was not acknowledged. */
bool kafka_producer_flush(struct kafka_producer *producer, struct err *err);

/* kafka_reader.c */

struct kafka_record {
    struct str topic;
    int32_t partition;
    struct record rec;
};

struct kafka_abort {
    int64_t pid, first_offset;
};

struct kafka_reader_part {
    const struct kafka_topic *topic;
    int32_t partition;
    int64_t offset;     /* next to read */
    int64_t end_offset; /* stop there; -1: go on */
    int64_t high;       /* end of the partition when last fetched; -1: unknown */
    bool done;
    struct buf bytes; /* batches of the last fetch */
    struct str rest;  /* not walked yet */
    struct batch batch;
    struct buf plain;
    struct batch_iter iter;
    bool in_batch;
    vec(int64_t) aborted;           /* pids whose transaction is being skipped */
    vec(struct kafka_abort) aborts; /* of the last fetch, not begun yet */
};

struct kafka_reader {
    struct kafka *kafka;
    vec(struct kafka_reader_part *) parts;
    size_t turn;
    bool read_uncommitted;
    bool stop_at_end; /* a part is done when it has reached its end */
    struct arena arena;
};

void kafka_reader_init(struct kafka_reader *reader, struct kafka *kafka);
void kafka_reader_fini(struct kafka_reader *reader);
void kafka_reader_add(struct kafka_reader *reader, const struct kafka_topic *topic, int32_t partition,
                      int64_t offset, int64_t end_offset);
void kafka_reader_clear(struct kafka_reader *reader);

/* The next record of any part, *found false when none came within wait_ms. Slices live until the next call. */
bool kafka_reader_next(struct kafka_reader *reader, int64_t wait_ms, struct kafka_record *rec, bool *found,
                       struct err *err);
bool kafka_reader_done(const struct kafka_reader *reader);

/* kafka_group.c */

struct kafka_group {
    struct kafka *kafka;
    struct str group_id, member_id;
    const struct str *topics;
    size_t topic_count;
    int32_t coordinator, generation;
    struct arena arena; /* of the present membership */
};

void kafka_group_init(struct kafka_group *group, struct kafka *kafka, struct str group_id,
                      const struct str *topics, size_t topic_count);
void kafka_group_fini(struct kafka_group *group);

/* Joins (again) and adds the assigned partitions with their committed offsets to the reader. `fallback` is
 * KAFKA_EARLIEST or KAFKA_LATEST for partitions without one. */
bool kafka_group_join(struct kafka_group *group, struct kafka_reader *reader, int64_t fallback,
                      struct err *err);

/* Tells the coordinator that we live; *rejoin when the group is forming anew. */
bool kafka_group_heartbeat(struct kafka_group *group, bool *rejoin, struct err *err);
bool kafka_group_commit(struct kafka_group *group, const struct kafka_reader *reader, struct err *err);
void kafka_group_leave(struct kafka_group *group);

/* Where a group is in a partition. */
struct kafka_committed {
    struct str topic;
    int32_t partition;
    int64_t offset;
    bool has_lag; /* of a share group: the offset is where it begins, some after it may be done with */
    int64_t lag;
};

/* Node that coordinates a group. */
bool kafka_group_find(struct kafka *kafka, struct str group_id, int32_t *node_id, struct err *err);

/* State and members, from the group's coordinator; also of consumer groups of the new protocol, share and streams groups. */
bool kafka_group_describe(struct kafka *kafka, struct str name,
                          struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena,
                          struct err *err);

/* Sets committed offsets of a group that has no members. */
bool kafka_group_set_offsets(struct kafka *kafka, struct str group_id, const struct kafka_committed *offsets,
                             size_t count, struct err *err);

/* kafka_share.c: share groups in the same shapes. The first two are false when there is no such share group. */
bool kafka_share_describe(struct kafka *kafka, int32_t node_id, struct str name,
                          struct DescribeGroupsResponse_DescribedGroup *out, struct arena *arena);
bool kafka_share_offsets(struct kafka *kafka, int32_t node_id, struct str name,
                         struct kafka_committed **offsets, size_t *count, struct arena *arena);
bool kafka_share_set_offsets(struct kafka *kafka, int32_t node_id, struct str name,
                             const struct kafka_committed *offsets, size_t count, struct err *err);

/* All offsets that a group has committed. */
bool kafka_group_offsets(struct kafka *kafka, struct str group_id, struct kafka_committed **offsets,
                         size_t *count, struct arena *arena, struct err *err);

#endif
