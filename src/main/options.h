/* options.h - the server's options: one table each for the server itself and for its Kafka side.
 *
 * Names that Kafka, ksqlDB or Connect have keep their name and meaning. `rialto doc options` prints these tables.
 */
#ifndef RIALTO_MAIN_OPTIONS_H
#define RIALTO_MAIN_OPTIONS_H

#include "broker/broker.h"
#include "conf/conf.h"

struct server_options {
    struct conf_list http_listen, http_hosts;
    int64_t memory_max;
    int64_t worker_count, commit_interval_ms;
    struct str service_id;
    int64_t push_queries_max;
    int log_level;
};

struct kafka_options {
    struct str listen, advertise;
    int durability;
    int64_t net_threads, num_partitions;
    bool auto_create_topics, clamp_replication_factor;
    int64_t retention_ms, retention_bytes, retention_check_ms, segment_bytes, segment_ms;
    int64_t message_bytes_max, request_bytes_max, fetch_bytes_max;
    int64_t connections_max, connections_idle_ms;
    int64_t rebalance_delay_ms, session_timeout_ms_min, session_timeout_ms_max, offsets_retention_minutes;
};

extern const struct conf_table server_table, kafka_table;

/* NULL-terminated list of all tables, for `rialto doc options`. */
extern const struct conf_table *const option_tables[];

/* Reads --conf FILE, RIALTO_* and --set, checks all names, fills both structs. Texts live in the arena. */
bool options_read(const char *conf_file, const struct conf_list *assignments, struct server_options *server,
                  struct kafka_options *kafka, struct arena *arena, struct err *err);

/* The broker's configuration from its options; strings are borrowed. */
void options_broker_config(const struct kafka_options *options, struct str data_dir,
                           struct broker_config *config);

#endif
