/* config.c - the server's options on the Kafka side: one table, whose rows fill the config of the module that reads them.
 *
 *   row -> struct broker_config { storage: topics and logs; coord: groups, transactions; the rest: this module's }
 */
#include "broker/broker_int.h"
#include "conf/conf.h"

static const char *const durability_words[] = {"fsync", "os", NULL};
static const char *const migration_words[] = {"disabled", "upgrade", "downgrade", "bidirectional", NULL};

/* An option that is read once, and one that may change while the broker runs (read by LIVE). */
#define OPT(...)      CONF_ROW(struct broker_config, __VA_ARGS__)
#define LIVE_OPT(...) CONF_LIVE_ROW(struct broker_config, __VA_ARGS__)

/* One that a listener may have of its own. */
#define LISTENER_OPT(name, type, init, low, high, member, text)                                             \
    {                                                                                                       \
        name, type, init, .min = (low), .max = (high), .doc = (text), .live = true, .scope = CONF_LISTENER, \
                          CONF_AT(struct broker_config, member)                                             \
    }

enum { I32_MAX = INT32_MAX };

static const struct conf_option options[] = {
    OPT("kafka.listen", CONF_STRING, "127.0.0.1:9092", 0, 0, kafka_listen,
        "Addresses of the Kafka listeners, [NAME://]host:port, separated by commas. The name says the "
        "protocol: PLAINTEXT "
        "(if there is none), SSL, SASL_PLAINTEXT, SASL_SSL, or a name of listener.security.protocol.map. "
        "Port 0 takes a "
        "free one; empty: no listener."),
    OPT("kafka.advertise", CONF_STRING, "", 0, 0, kafka_advertise,
        "Addresses that clients are told, [NAME://]host:port, by the listener that they came to; empty: the "
        "address "
        "listened on."),
    OPT("listener.security.protocol.map", CONF_STRING, "", 0, 0, listener_protocols,
        "Protocols of listeners with names of their own: INSIDE:PLAINTEXT,OUTSIDE:SASL_SSL."),
    {"listener.name.", CONF_PREFIX, NULL,
     .doc = "Options of one listener: listener.name.outside.ssl.client.auth=required is that of the listener "
            "OUTSIDE, listener.name.outside.scram-sha-512.connections.max.reauth.ms that of one of its "
            "mechanisms. Names are in small letters. Which options may be set so is said with them.",
     CONF_AT(struct broker_config, listener_options)},
    {"durability", CONF_ENUM, "fsync", .words = durability_words,
     .doc = "fsync: acks=all is answered after an fdatasync shared by all who wait, and consumers see only "
            "what is synced. "
            "os: the page cache is enough, as in Kafka.",
     CONF_AT(struct broker_config, storage.durability)},
    OPT("num.network.threads", CONF_INT, "2", 1, 64, net_threads, "Threads that serve connections."),
    OPT("num.sync.threads", CONF_INT, "4", 1, 64, storage.sync_threads,
        "Threads that sync partitions: so many disk syncs run at a time."),
    OPT("wal.bytes.max", CONF_SIZE, "256MiB", 0, INT64_MAX, storage.wal_bytes_max,
        "Disk for the write-ahead log, in which what many partitions were given is synced together with "
        "durability=fsync; less than 128 KiB: none, each partition is synced by itself."),
    LIVE_OPT("num.partitions", CONF_INT, "1", 1, TOPIC_PARTITIONS_MAX, storage.num_partitions,
             "Partitions of topics that are created without a count."),
    LIVE_OPT("auto.create.topics.enable", CONF_BOOL, "true", 0, 0, auto_create_topics,
             "A metadata request for an unknown topic creates it."),
    LIVE_OPT("delete.topic.enable", CONF_BOOL, "true", 0, 0, delete_topics, "Clients may delete topics."),
    LIVE_OPT("replication.factor.clamp", CONF_BOOL, "false", 0, 0, clamp_replication_factor,
             "A replication factor above 1 counts as 1 instead of being refused."),
    LIVE_OPT("log.retention.ms", CONF_DURATION_MS, "7d", -1, INT64_MAX, storage.retention_ms,
             "Time that records are kept; -1: for ever. Topics: retention.ms."),
    LIVE_OPT("log.retention.bytes", CONF_SIZE, "-1", -1, INT64_MAX, storage.retention_bytes,
             "Bytes kept of a partition; -1: all. Topics: retention.bytes."),
    LIVE_OPT("log.retention.check.interval.ms", CONF_DURATION_MS, "5m", 100, INT64_MAX,
             storage.retention_check_interval_ms, "How often retention is looked after."),
    LIVE_OPT("log.segment.bytes", CONF_SIZE, "1GiB", 1024, I32_MAX, storage.segment_bytes,
             "Largest segment file. Topics: segment.bytes."),
    OPT("log.files.max", CONF_INT, "2000", 100, I32_MAX, storage.open_files_max,
        "Segment files held open. More are closed as soon as they are durable, and opened again when they "
        "are needed: the other "
        "descriptors of the process are for connections."),
    LIVE_OPT("log.roll.ms", CONF_DURATION_MS, "7d", 1, INT64_MAX, storage.segment_ms,
             "Age at which a new segment is begun. Topics: segment.ms."),
    LIVE_OPT("log.cleaner.enable", CONF_BOOL, "true", 0, 0, storage.cleaner_on,
             "Topics with cleanup.policy=compact are compacted."),
    LIVE_OPT("log.cleaner.backoff.ms", CONF_DURATION_MS, "15s", 1, INT64_MAX, storage.cleaner_backoff_ms,
             "How often is looked for something to compact."),
    LIVE_OPT(
        "log.cleaner.dedupe.buffer.size", CONF_SIZE, "128MiB", 1 << 20, INT64_MAX, storage.cleaner_map_bytes,
        "Memory for the keys of the log that is being compacted, 24 bytes each, taken as needed; more keys "
        "take more passes."),
    LIVE_OPT("log.cleaner.io.max.bytes.per.second", CONF_SIZE, "64MiB", 1024, INT64_MAX,
             storage.cleaner_bytes_per_s,
             "How fast compaction reads and writes, so that it is not felt by who produces."),
    LIVE_OPT("log.recovery.keep.ms", CONF_DURATION_MS, "30d", -1, INT64_MAX, storage.cut_keep_ms,
             "What a start cuts off a segment behind damage is kept beside it for so long; 0: it is not "
             "kept; -1: for ever."),
    LIVE_OPT(
        "log.scrub.io.max.bytes.per.second", CONF_SIZE, "4MiB", 0, INT64_MAX, storage.scrub_bytes_per_s,
        "How fast what lies on the disk is read again to find damage, past the page cache; 0: not at all."),
    LIVE_OPT("log.scrub.interval.ms", CONF_DURATION_MS, "7d", 0, INT64_MAX / 1000, storage.scrub_interval_ms,
             "How long after a partition was read so it is read again; looked after with "
             "log.retention.check.interval.ms."),
    LIVE_OPT("log.cleaner.delete.retention.ms", CONF_DURATION_MS, "1d", 0, INT64_MAX,
             storage.delete_retention_ms,
             "Time that tombstones are kept after compaction first met them. Topics: delete.retention.ms."),
    LIVE_OPT("log.cleaner.min.cleanable.ratio", CONF_DOUBLE, "0.5", 0, 1, storage.cleanable_ratio_min,
             "Share of new data in a log from which it is compacted. Topics: min.cleanable.dirty.ratio."),
    LIVE_OPT("log.cleaner.min.compaction.lag.ms", CONF_DURATION_MS, "0", 0, INT64_MAX,
             storage.compaction_lag_min_ms,
             "Age that records reach before they are compacted. Topics: min.compaction.lag.ms."),
    LIVE_OPT(
        "log.cleaner.max.compaction.lag.ms", CONF_DURATION_MS, "9223372036854775807", 1, INT64_MAX,
        storage.compaction_lag_max_ms,
        "Age at which records are compacted whatever the share of new data. Topics: max.compaction.lag.ms."),
    LIVE_OPT("producer.id.expiration.ms", CONF_DURATION_MS, "1d", 1, I32_MAX, storage.producer_expiration_ms,
             "How long a partition remembers the sequence of a producer that is quiet and in no transaction; "
             "looked after with log.retention.check.interval.ms."),
    LIVE_OPT("message.max.bytes", CONF_SIZE, "1048588", 1024, 100 << 20, storage.message_bytes_max,
             "Largest record batch. Topics: max.message.bytes."),
    LIVE_OPT("socket.request.max.bytes", CONF_SIZE, "100MiB", 1024, I32_MAX, request_bytes_max,
             "Largest request."),
    LIVE_OPT("fetch.max.bytes", CONF_SIZE, "55MiB", 1024, I32_MAX, fetch_bytes_max,
             "Largest fetch response."),
    LISTENER_OPT("max.connections", CONF_INT, "20000", 1, 10000000, connections_max,
                 "Connections on all Kafka listeners."),
    LIVE_OPT("max.connections.per.ip", CONF_INT, "2147483647", 1, I32_MAX, connections_per_ip_max,
             "Connections from one address."),
    LISTENER_OPT("max.connection.creation.rate", CONF_INT, "2147483647", 1, I32_MAX, connection_rate_max,
                 "New connections a second on all Kafka listeners; more wait to be accepted."),
    LIVE_OPT("max.incremental.fetch.session.cache.slots", CONF_INT, "1000", 0, 100000, fetch_sessions_max,
             "Fetch sessions that are kept (KIP-227); 0: none."),
    LIVE_OPT("quota.window.num", CONF_INT, "11", 2, 1000, quota.windows,
             "Windows over which client quotas are averaged: a client that was quiet may burst for all but "
             "one of them."),
    LIVE_OPT("quota.window.size.seconds", CONF_INT, "1", 1, 3600, quota.window_s,
             "Length of a window of client quotas."),
    OPT("connections.max.idle.ms", CONF_DURATION_MS, "10m", 1000, INT64_MAX, connections_idle_ms_max,
        "Time after which an idle connection is closed."),
    {"group.coordinator.rebalance.protocols", CONF_STRING, "classic,consumer,streams", .kafka_type = "LIST",
     .check = group_protocols_check,
     .doc =
         "Protocols of groups, separated by commas. Without consumer or streams, members of groups of that "
         "protocol are refused; classic and share switch nothing.",
     CONF_AT(struct broker_config, group_protocols)},
    OPT("group.initial.rebalance.delay.ms", CONF_DURATION_MS, "0", 0, 3600000,
        coord.group_initial_rebalance_delay_ms,
        "How long a new group waits for more members before its first assignment."),
    OPT("group.min.session.timeout.ms", CONF_DURATION_MS, "6s", 1, I32_MAX,
        coord.group_session_timeout_ms_min, "Smallest session timeout of group members."),
    OPT("group.max.session.timeout.ms", CONF_DURATION_MS, "30m", 1, I32_MAX,
        coord.group_session_timeout_ms_max, "Largest session timeout of group members."),
    OPT("group.max.size", CONF_INT, "10000", 1, 1000000, coord.group_members_max, "Members of a group."),
    OPT("group.consumer.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX,
        coord.consumer_session_timeout_ms,
        "Time without a heartbeat after which a member of a consumer group of the new protocol (KIP-848) is "
        "out. Groups: consumer.session.timeout.ms."),
    OPT("group.consumer.min.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX,
        coord.consumer_session_timeout_ms_min, "Smallest consumer.session.timeout.ms of a group."),
    OPT("group.consumer.max.session.timeout.ms", CONF_DURATION_MS, "60s", 1, I32_MAX,
        coord.consumer_session_timeout_ms_max, "Largest consumer.session.timeout.ms of a group."),
    OPT("group.consumer.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.consumer_heartbeat_interval_ms,
        "How often such members are told to send heartbeats. Groups: consumer.heartbeat.interval.ms."),
    OPT("group.consumer.min.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.consumer_heartbeat_interval_ms_min, "Smallest consumer.heartbeat.interval.ms of a group."),
    OPT("group.consumer.max.heartbeat.interval.ms", CONF_DURATION_MS, "15s", 1, I32_MAX,
        coord.consumer_heartbeat_interval_ms_max, "Largest consumer.heartbeat.interval.ms of a group."),
    LIVE_OPT("group.consumer.assignment.interval.ms", CONF_DURATION_MS, "0s", 0, I32_MAX,
             coord.consumer_assignment_interval_ms,
             "Time from one assignment of a consumer group of the new protocol to the next; changes in "
             "between are taken together. Groups: consumer.assignment.interval.ms."),
    OPT("group.consumer.min.assignment.interval.ms", CONF_DURATION_MS, "0s", 0, I32_MAX,
        coord.consumer_assignment_interval_ms_min, "Smallest consumer.assignment.interval.ms of a group."),
    OPT("group.consumer.max.assignment.interval.ms", CONF_DURATION_MS, "15s", 0, I32_MAX,
        coord.consumer_assignment_interval_ms_max, "Largest consumer.assignment.interval.ms of a group."),
    OPT("group.consumer.max.size", CONF_INT, "10000", 1, 1000000, coord.consumer_members_max,
        "Members of such a group."),
    {"group.consumer.assignors", CONF_STRING, "uniform,range", .kafka_type = "LIST",
     .doc = "Assignors that members may ask for: uniform, range; the first is used when nobody asks.",
     CONF_AT(struct broker_config, coord.consumer_assignors)},
    {"group.consumer.migration.policy", CONF_ENUM, "bidirectional", .words = migration_words,
     .doc =
         "Whether a group with members may go over to the other protocol: upgrade, when a member of the new "
         "protocol joins classic consumers; downgrade, when the last one leaves.",
     CONF_AT(struct broker_config, coord.consumer_migration)},
    OPT("group.share.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX, coord.share_session_timeout_ms,
        "Time without a heartbeat after which a member of a share group (KIP-932) is out. Groups: "
        "share.session.timeout.ms."),
    OPT("group.share.min.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX,
        coord.share_session_timeout_ms_min, "Smallest share.session.timeout.ms of a group."),
    OPT("group.share.max.session.timeout.ms", CONF_DURATION_MS, "60s", 1, I32_MAX,
        coord.share_session_timeout_ms_max, "Largest share.session.timeout.ms of a group."),
    OPT("group.share.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.share_heartbeat_interval_ms,
        "How often members of share groups are told to send heartbeats. Groups: "
        "share.heartbeat.interval.ms."),
    OPT("group.share.min.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.share_heartbeat_interval_ms_min, "Smallest share.heartbeat.interval.ms of a group."),
    OPT("group.share.max.heartbeat.interval.ms", CONF_DURATION_MS, "15s", 1, I32_MAX,
        coord.share_heartbeat_interval_ms_max, "Largest share.heartbeat.interval.ms of a group."),
    LIVE_OPT("group.share.assignment.interval.ms", CONF_DURATION_MS, "0s", 0, I32_MAX,
             coord.share_assignment_interval_ms,
             "Time from one assignment of a share group to the next; changes in between are taken together. "
             "Groups: share.assignment.interval.ms."),
    OPT("group.share.min.assignment.interval.ms", CONF_DURATION_MS, "0s", 0, I32_MAX,
        coord.share_assignment_interval_ms_min, "Smallest share.assignment.interval.ms of a group."),
    OPT("group.share.max.assignment.interval.ms", CONF_DURATION_MS, "15s", 0, I32_MAX,
        coord.share_assignment_interval_ms_max, "Largest share.assignment.interval.ms of a group."),
    OPT("group.share.record.lock.duration.ms", CONF_DURATION_MS, "30s", 1, I32_MAX, coord.share_lock_ms,
        "How long a member of a share group may keep a record before it is delivered again. Groups: "
        "share.record.lock.duration.ms."),
    OPT("group.share.min.record.lock.duration.ms", CONF_DURATION_MS, "15s", 1, I32_MAX,
        coord.share_lock_ms_min, "Smallest share.record.lock.duration.ms of a group."),
    OPT("group.share.max.record.lock.duration.ms", CONF_DURATION_MS, "60s", 1, I32_MAX,
        coord.share_lock_ms_max, "Largest share.record.lock.duration.ms of a group."),
    OPT("group.share.delivery.count.limit", CONF_INT, "5", 1, INT16_MAX, coord.share_deliveries_max,
        "How often a record is delivered to a share group before it is given up. Groups: "
        "share.delivery.count.limit."),
    OPT("group.share.min.delivery.count.limit", CONF_INT, "2", 1, INT16_MAX, coord.share_deliveries_max_min,
        "Smallest share.delivery.count.limit of a group."),
    OPT("group.share.max.delivery.count.limit", CONF_INT, "10", 1, INT16_MAX, coord.share_deliveries_max_max,
        "Largest share.delivery.count.limit of a group."),
    OPT("group.share.partition.max.record.locks", CONF_INT, "2000", 1, 1000000, coord.share_locks_max,
        "Records of a partition that a share group may have in flight. Groups: "
        "share.partition.max.record.locks."),
    OPT("group.share.min.partition.max.record.locks", CONF_INT, "100", 1, 1000000, coord.share_locks_max_min,
        "Smallest share.partition.max.record.locks of a group."),
    OPT("group.share.max.partition.max.record.locks", CONF_INT, "4000", 1, 1000000, coord.share_locks_max_max,
        "Largest share.partition.max.record.locks of a group."),
    OPT("group.share.max.size", CONF_INT, "200", 1, 1000, coord.share_members_max,
        "Members of a share group."),
    OPT("group.share.max.share.sessions", CONF_INT, "2000", 1, 1000000, coord.share_sessions_max,
        "Share sessions that are kept: members of share groups that fetch."),
    OPT("group.streams.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX,
        coord.streams_session_timeout_ms,
        "Time without a heartbeat after which a member of a streams group (KIP-1071) is out. Groups: "
        "streams.session.timeout.ms."),
    OPT("group.streams.min.session.timeout.ms", CONF_DURATION_MS, "45s", 1, I32_MAX,
        coord.streams_session_timeout_ms_min, "Smallest streams.session.timeout.ms of a group."),
    OPT("group.streams.max.session.timeout.ms", CONF_DURATION_MS, "60s", 1, I32_MAX,
        coord.streams_session_timeout_ms_max, "Largest streams.session.timeout.ms of a group."),
    OPT("group.streams.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.streams_heartbeat_interval_ms,
        "How often members of streams groups are told to send heartbeats. Groups: "
        "streams.heartbeat.interval.ms."),
    OPT("group.streams.min.heartbeat.interval.ms", CONF_DURATION_MS, "5s", 1, I32_MAX,
        coord.streams_heartbeat_interval_ms_min, "Smallest streams.heartbeat.interval.ms of a group."),
    OPT("group.streams.max.heartbeat.interval.ms", CONF_DURATION_MS, "15s", 1, I32_MAX,
        coord.streams_heartbeat_interval_ms_max, "Largest streams.heartbeat.interval.ms of a group."),
    OPT("group.streams.max.size", CONF_INT, "10000", 1, 1000000, coord.streams_members_max,
        "Members of a streams group."),
    OPT("group.streams.num.standby.replicas", CONF_INT, "0", 0, I32_MAX, coord.streams_standby_count,
        "Standby tasks for each task with state. Groups: streams.num.standby.replicas."),
    OPT("group.streams.max.standby.replicas", CONF_INT, "2", 0, I32_MAX, coord.streams_standby_count_max,
        "Largest streams.num.standby.replicas of a group."),
    OPT("group.streams.initial.rebalance.delay.ms", CONF_DURATION_MS, "3s", 0, I32_MAX,
        coord.streams_initial_delay_ms,
        "How long an empty streams group waits for more members before its first assignment. Groups: "
        "streams.initial.rebalance.delay.ms."),
    LIVE_OPT("group.streams.assignment.interval.ms", CONF_DURATION_MS, "1s", 0, I32_MAX,
             coord.streams_assignment_interval_ms,
             "Time from one assignment of a streams group to the next; changes in between are taken "
             "together. Groups: streams.assignment.interval.ms."),
    OPT("group.streams.min.assignment.interval.ms", CONF_DURATION_MS, "0s", 0, I32_MAX,
        coord.streams_assignment_interval_ms_min, "Smallest streams.assignment.interval.ms of a group."),
    OPT("group.streams.max.assignment.interval.ms", CONF_DURATION_MS, "15s", 0, I32_MAX,
        coord.streams_assignment_interval_ms_max, "Largest streams.assignment.interval.ms of a group."),
    OPT("offsets.retention.ms", CONF_DURATION_MS, "7d", 1, INT64_MAX, coord.offsets_retention_ms,
        "How long committed offsets of a group without members are kept."),
    OPT("offset.metadata.max.bytes", CONF_SIZE, "4096", 0, 1 << 20, coord.offset_metadata_bytes_max,
        "Largest metadata text of a committed offset."),
    OPT("transaction.max.timeout.ms", CONF_DURATION_MS, "15m", 1, I32_MAX, coord.txn_timeout_ms_max,
        "Longest transaction timeout that a producer may ask for."),
    OPT("transactional.id.expiration.ms", CONF_DURATION_MS, "7d", 1, INT64_MAX, coord.txn_id_expiration_ms,
        "Time after which a transactional id that nobody uses is forgotten."),
    OPT("transaction.abort.timed.out.transaction.cleanup.interval.ms", CONF_DURATION_MS, "10s", 100, I32_MAX,
        coord.txn_check_interval_ms,
        "How often transactions that are older than their timeout are looked for and aborted."),
};

const struct conf_table broker_conf_table = {"kafka", options, COUNT_OF(options),
                                             sizeof(struct broker_config)};

void broker_config_init(struct broker_config *config)
{
    struct err err;
    struct arena arena = {0}; /* every default text is a literal or empty */
    struct conf *conf = conf_new();
    memset(config, 0, sizeof *config);
    bool good = conf_read(conf, &broker_conf_table, config, &arena, &err);
    ASSERT(good);
    conf_free(conf);
    arena_fini(&arena);
    config->kafka_listen = STR("127.0.0.1:9092");
    config->kafka_advertise = STR("");
    config->coord.consumer_assignors = STR("uniform,range");
    config->group_protocols = STR("classic,consumer,streams");
    config->listener_protocols = STR("");
    config->listener_options = (struct conf_pairs){0};
}
