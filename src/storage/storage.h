/* storage.h - the data directory at work: topics, their open partitions, what is set on them.
 *
 *   struct storage --entries--> struct topic_entry --parts--> struct partition --> struct log
 *        `-- __cluster_metadata --> struct replay --> struct topics      topics, their configs, settings of the server
 *
 * No socket and no request: who serves one asks here. What the modules above want to hear of is a table of functions that
 * they fill (struct storage_hooks). Functions marked *blocking* wait for the disk and may not be called on a net thread; the
 * others may be called on any. What can be done with a partition is in storage/partition.h.
 *
 * Order of locks: doc/threads.md; those that callers see are storage_topics_lock(), then storage_entries_lock().
 */
#ifndef RIALTO_STORAGE_STORAGE_H
#define RIALTO_STORAGE_STORAGE_H

#include "base/base.h"
#include "record/record.h"
#include "replay/replay.h"
#include "storage/partition.h"
#include "topic/topic.h"

struct storage;
struct conf_table;
struct io;
struct loop;
struct metric_registry;
struct pool;

/* This node in Kafka's eyes; NODE_NAME as the name of a config resource. */
enum { NODE_ID = 1 };
#define NODE_NAME "1"

/* Logs of states. The first and the last are no topics: is_hidden_topic(). */
#define METADATA_TOPIC "__cluster_metadata"
#define OFFSETS_TOPIC  "__consumer_offsets"
#define TXN_TOPIC      "__transaction_state"
#define SHARE_TOPIC    "__share_group_state"
#define SECURITY_TOPIC "__cluster_security"

bool is_internal_topic(struct str name);
/* A log that is no topic: clients neither see nor read it, and may not make a topic of its name. */
bool is_hidden_topic(struct str name);

/* --- life --- */

enum storage_durability {
    STORAGE_FSYNC, /* acks=all answers after an fdatasync shared by all who wait; consumers see only what is
                      synced */
    STORAGE_OS,    /* the page cache is durable enough: Kafka's own default */
};

/* The options of topics and logs. Those marked live change while the server runs: they are loaded atomically. What a topic's
 * config defaults to is found by name (config_chain), so most of these are read there only. */
struct storage_config {
    struct str data_dir;                 /* logs live in <data_dir>/log; not in the option table */
    int durability;                      /* durability: enum storage_durability */
    int64_t sync_threads;                /* num.sync.threads: pool threads that sync partitions */
    int64_t wal_bytes_max;               /* wal.bytes.max: of the write-ahead log; 0: there is none */
    int64_t num_partitions;              /* num.partitions: of topics created without a count; live */
    int64_t retention_ms;                /* log.retention.ms; -1 never */
    int64_t retention_bytes;             /* log.retention.bytes; -1 unlimited, per partition */
    int64_t retention_check_interval_ms; /* log.retention.check.interval.ms; live */
    int64_t segment_bytes;               /* log.segment.bytes */
    int64_t segment_ms;                  /* log.roll.ms */
    bool cleaner_on;                     /* log.cleaner.enable; live */
    int64_t cleaner_backoff_ms;          /* log.cleaner.backoff.ms; live */
    int64_t cleaner_map_bytes;           /* log.cleaner.dedupe.buffer.size; live */
    int64_t cleaner_bytes_per_s;         /* log.cleaner.io.max.bytes.per.second; live */
    int64_t delete_retention_ms;         /* log.cleaner.delete.retention.ms */
    double cleanable_ratio_min;          /* log.cleaner.min.cleanable.ratio */
    int64_t compaction_lag_min_ms;       /* log.cleaner.min.compaction.lag.ms */
    int64_t compaction_lag_max_ms;       /* log.cleaner.max.compaction.lag.ms */
    int64_t cut_keep_ms;                 /* log.recovery.keep.ms; 0: nothing is kept, -1: for ever; live */
    int64_t scrub_bytes_per_s;           /* log.scrub.io.max.bytes.per.second; 0: off; live */
    int64_t scrub_interval_ms;           /* log.scrub.interval.ms; live */
    int64_t producer_expiration_ms;      /* producer.id.expiration.ms; live */
    int64_t open_files_max;              /* log.files.max: segment files held open */
    int64_t message_bytes_max;           /* message.max.bytes: one record batch */
};

/* What those above do when something has happened here. No lock of storage is held. */
struct storage_hooks {
    void *arg;
    /* A topic was deleted: its record is durable, its partitions are marked. On the thread that deleted it. */
    void (*topic_deleted)(void *arg, struct str name);
    /* Topics came, went (after topic_deleted) or grew. On the thread that changed them. */
    void (*topics_changed)(void *arg);
    /* Every log.retention.check.interval.ms, on the admin pool, after retention: other things that are looked after now and
     * then. May block. */
    void (*housekeep)(void *arg);
};

struct storage_options {
    const struct storage_config *config; /* in force; outlives the storage */
    /* All options of the server, as it was started, and as nobody has set anything: defaults of topic configs are among
     * them, by name. All outlive the storage. */
    const struct conf_table *server_table;
    const void *given, *defaults;
    struct storage_hooks hooks;
    struct io *io;
    struct metric_registry *metrics;
    struct loop *loop; /* its timers run on it */
};

/* Its pools and locks; touches no file. */
struct storage *storage_new(const struct storage_options *options);

/* Opens the data directory: its identity, topics, logs. What a crash left undone is made good. False with *err: a file that
 * must be whole is not; storage_free is all that may follow. Hooks are called from here on. Blocking. */
bool storage_open(struct storage *storage, struct err *err);

/* On the loop's thread: timers begin; they stop, and nothing new begins (then storage_stop, from another). */
void storage_start_timers(struct storage *storage);
void storage_stop_timers(struct storage *storage);

/* Ends the pools: what is queued runs, who waits for a sync is told. After storage_stop_timers, or without it if timers never
 * began. Blocking. */
void storage_stop(struct storage *storage);

/* Closes the logs. All references to partitions have been given back. NULL is allowed. Blocking. */
void storage_free(struct storage *storage);

/* 22 characters; generated once per data directory. */
struct str storage_cluster_id(const struct storage *storage);

/* One thread, for blocking work in order: topic changes and whatever else may wait for the disk. */
struct pool *storage_admin_pool(struct storage *storage);

/* --- open topics --- */

/* Counters of a topic, shared by its partitions; series of the metric registry. */
struct topic_meters {
    struct metric *appended_bytes, *appended_records, *fetched_bytes;
};

/* A topic as it is open. Immutable but for growth, which is under the lock; valid while the lock is held. */
struct topic_entry {
    struct str name; /* owned */
    struct uuid id;
    bool internal;
    int32_t partition_count;
    struct partition **parts; /* a reference each */
    struct topic_meters meters;
};

/* Many readers at once. Held for moments; no other lock of storage but a partition's may be taken under it. */
void storage_entries_lock(struct storage *storage);
void storage_entries_unlock(struct storage *storage);

/* Under the lock above; NULL: there is none. */
struct topic_entry *storage_entry(struct storage *storage, struct str name);
struct topic_entry *storage_entry_by_id(struct storage *storage, struct uuid id);

/* All, in no order: *at begins with 0; NULL after the last one. Under the lock above. */
size_t storage_entry_count(struct storage *storage);
struct topic_entry *storage_entry_next(struct storage *storage, size_t *at);

/* A reference to a partition, or NULL. Give it back with partition_unref. */
struct partition *storage_partition(struct storage *storage, struct str topic, int32_t id);
/* By the topic's id; *known: there is such a topic. */
struct partition *storage_partition_by_id(struct storage *storage, struct uuid topic, int32_t id,
                                          bool *known);
/* The same by name, with ERR_UNKNOWN_TOPIC. */
struct partition *storage_partition_get(struct storage *storage, struct str topic, int32_t partition,
                                        struct err *err);

/* The topic of an id, in the arena; null: there is none. */
struct str storage_topic_name(struct storage *storage, struct uuid id, struct arena *arena);

/* Calls fn for every partition, with a reference and no lock held. */
void storage_each_partition(struct storage *storage, void (*fn)(struct partition *part, void *arg),
                            void *arg);

/* --- changes of topics: durable when they return, one at a time. Blocking --- */

struct topic_create_args {
    struct str name;
    int32_t partition_count; /* -1: num.partitions */
    const struct topic_setting *settings;
    size_t setting_count;
    bool check_only;
    struct uuid id; /* reply */
};

/* ERR_TOPIC_EXISTS, ERR_INVALID_TOPIC, ERR_INVALID_PARTITIONS, ERR_INVALID_CONFIG; ERR_TIMED_OUT: a deleted namesake is still
 * being read. */
bool storage_topic_create_with(struct storage *storage, struct topic_create_args *args, struct err *err);

/* Deletes topic and records; references to its partitions answer ERR_UNKNOWN_TOPIC from then on. */
bool storage_topic_delete(struct storage *storage, struct str name, struct err *err);

/* Raises the partition count. */
bool storage_topic_grow(struct storage *storage, struct str name, int32_t partition_count, bool check_only,
                        struct err *err);

/* Changes a topic's configs; its logs go by them when it returns. `req` has everything but the time. */
bool storage_topic_alter(struct storage *storage, struct topic_alter *req, struct err *err);

/* --- topics as values: for who is no Kafka client --- */

struct storage_topic_config {
    struct str name, value; /* Kafka's topic config names; value null: back to the default (only in alter) */
};

struct storage_topic {
    struct str name;
    uint8_t id[16]; /* changes when a topic is deleted and created again */
    int32_t partition_count;
    bool internal;                        /* __consumer_offsets and the like */
    struct storage_topic_config *configs; /* those set on the topic */
    size_t config_count;
};

/* storage_topic_create_with, for configs as texts. Blocking. */
bool storage_topic_create(struct storage *storage, struct str name, int32_t partition_count,
                          const struct storage_topic_config *configs, size_t config_count, struct err *err);

/* Fills *out in the arena. ERR_UNKNOWN_TOPIC. */
bool storage_topic_describe(struct storage *storage, struct str name, struct storage_topic *out,
                            struct arena *arena, struct err *err);

/* All topics, by name. */
struct storage_topic *storage_topic_list(struct storage *storage, size_t *count, struct arena *arena);

/* The value in force of a topic's config, defaults included; null when there is no such config or topic. */
struct str storage_topic_config_get(struct storage *storage, struct str topic, struct str config,
                                    struct arena *arena);

/* --- the state: topics and settings as they are in __cluster_metadata --- */

/* The lock of the state. Not together with that of another state. */
void storage_topics_lock(struct storage *storage);
void storage_topics_unlock(struct storage *storage);

/* The state, to look at under the lock above. */
struct topics *storage_topics(struct storage *storage);

/* Its log; borrowed. */
struct partition *storage_metadata_partition(struct storage *storage);

/* Changes what is set on a resource that is no topic (a broker, group, quota); durable when it returns. `req` has everything
 * but the time. When it is more than a check, take(arg) is called before another change may run: it brings what is set into
 * force. take may be NULL. Blocking. */
bool storage_resource_alter(struct storage *storage, struct resource_alter *req, void (*take)(void *arg),
                            void *arg, struct err *err);

/* The options of the server are others now (called by `take`): logs and timers go by them. */
void storage_configure(struct storage *storage);

/* --- values of configs (configs.c) --- */

/* Where a config's value comes from, as DescribeConfigs numbers it. */
enum config_source {
    SOURCE_TOPIC = 1,
    SOURCE_DYNAMIC_BROKER = 2,
    SOURCE_DYNAMIC_DEFAULT = 3,
    SOURCE_STATIC = 4,
    SOURCE_DEFAULT = 5,
    SOURCE_LOGGER = 6,
    SOURCE_GROUP = 8,
};

struct config_value {
    struct str value;
    int8_t source; /* enum config_source */
};

enum { CONFIG_CHAIN_MAX = 4 };

/* The values of a config of the server from the one in force to the default; unused entries have a null value. `init`:
 * Kafka's default, of names that are no options. Under storage_topics_lock(). */
void config_chain(const struct storage *storage, struct str name, struct str init,
                  struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena);

/* The value in force of a topic config and where it comes from; `topic` NULL: what a topic has that sets none. Under
 * storage_topics_lock(). */
struct str topic_config_value(const struct storage *storage, const struct topic *topic, int config,
                              int8_t *source, struct arena *arena);

/* The topic config whose default is this config of the server, or -1. */
int topic_config_by_synonym(struct str name);

/* --- partitions as logs of states (state_log.c) --- */

/* What `replay` needs of a log, filled by a partition. Zeroed before state_log_open. */
struct state_log {
    struct partition *part; /* a reference */
    struct batch_builder builder;
};

extern const struct replay_log_ops state_log_ops;

/* Takes partition 0 of an internal topic, or opens the log of a hidden one (made if it is not there; always synced, never
 * shortened by age or size). False with *err; state_log_close may follow all the same. Blocking. */
bool state_log_open(struct state_log *state_log, struct storage *storage, struct str name, struct err *err);
void state_log_close(struct state_log *state_log);

#endif
