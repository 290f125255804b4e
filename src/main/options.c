/* options.c - tables of options, and reading them from file, environment and command line. */
#include "main/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

static const char *const durability_words[] = {"fsync", "os", NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};

#define SERVER(member) CONF_AT(struct server_options, member)
#define KAFKA(member)  CONF_AT(struct kafka_options, member)

static const struct conf_option server_rows[] = {
    {"http.listen", CONF_LIST, "127.0.0.1:8080,127.0.0.1:8081,127.0.0.1:8083,127.0.0.1:8088",
     SERVER(http_listen),
     .doc = "Addresses of the HTTP listeners; every API answers on each of them. Port 0 takes a free one."},
    {"http.hosts", CONF_LIST, "", SERVER(http_hosts),
     .doc =
         "Further host names that requests may carry, beside loopback names and the addresses listened on."},
    {"memory.max", CONF_SIZE, "256MiB", SERVER(memory_max), .min = 16 << 20, .max = INT64_C(1) << 40,
     .doc = "Budget of the state stores: caches and write buffers."},
    {"ksql.streams.num.stream.threads", CONF_INT, "2", SERVER(worker_count), .min = 1, .max = 256,
     .doc = "Threads that run SQL tasks."},
    {"ksql.streams.commit.interval.ms", CONF_DURATION_MS, "100", SERVER(commit_interval_ms), .min = 1,
     .max = 60000, .doc = "Longest time between two commits of a busy engine; a quiet one commits at once."},
    {"ksql.service.id", CONF_STRING, "default_", SERVER(service_id),
     .doc = "Part of the names of internal topics and consumer groups."},
    {"ksql.max.push.queries", CONF_INT, "100", SERVER(push_queries_max), .min = 0, .max = 100000,
     .doc = "Push queries that may run at once; 0 for no limit."},
    {"log.level", CONF_ENUM, "info", SERVER(log_level), .words = level_words,
     .doc = "Log lines below this level are not written."},
};

static const struct conf_option kafka_rows[] = {
    {"kafka.listen", CONF_STRING, "127.0.0.1:9092", KAFKA(listen),
     .doc = "Address of the Kafka listener. Port 0 takes a free one."},
    {"kafka.advertise", CONF_STRING, "", KAFKA(advertise),
     .doc = "host:port that clients are told to connect to; empty: the address listened on."},
    {"durability", CONF_ENUM, "fsync", KAFKA(durability), .words = durability_words,
     .doc = "fsync: acks=all is answered after an fdatasync shared by all who wait; os: the page cache is "
            "durable enough, "
            "as Apache Kafka has it."},
    {"num.network.threads", CONF_INT, "2", KAFKA(net_threads), .min = 1, .max = 64,
     .doc = "Network threads."},
    {"num.partitions", CONF_INT, "1", KAFKA(num_partitions), .min = 1, .max = 100000,
     .doc = "Partitions of topics that are created without a count."},
    {"auto.create.topics.enable", CONF_BOOL, "true", KAFKA(auto_create_topics),
     .doc = "Topics are created when a client asks for them."},
    {"replication.factor.clamp", CONF_BOOL, "false", KAFKA(clamp_replication_factor),
     .doc = "A replication factor above 1 counts as 1; otherwise it is refused."},
    {"log.retention.ms", CONF_INT, "604800000", KAFKA(retention_ms), .min = -1, .max = INT64_MAX,
     .doc = "Records older than this are deleted; -1: never."},
    {"log.retention.bytes", CONF_INT, "-1", KAFKA(retention_bytes), .min = -1, .max = INT64_MAX,
     .doc = "Size of a partition above which its oldest segments are deleted; -1: no limit."},
    {"log.retention.check.interval.ms", CONF_DURATION_MS, "300000", KAFKA(retention_check_ms), .min = 1,
     .max = INT64_MAX, .doc = "Time between two looks for what retention deletes."},
    {"log.segment.bytes", CONF_SIZE, "1GiB", KAFKA(segment_bytes), .min = 1024, .max = INT32_MAX + INT64_C(1),
     .doc = "Size at which a new segment is begun."},
    {"log.roll.ms", CONF_DURATION_MS, "604800000", KAFKA(segment_ms), .min = 1, .max = INT64_MAX,
     .doc = "Age at which a new segment is begun."},
    {"message.max.bytes", CONF_SIZE, "1048588", KAFKA(message_bytes_max), .min = 1024, .max = INT32_MAX,
     .doc = "Largest record batch."},
    {"socket.request.max.bytes", CONF_SIZE, "104857600", KAFKA(request_bytes_max), .min = 1024,
     .max = INT32_MAX, .doc = "Largest request; a larger one closes its connection."},
    {"fetch.max.bytes", CONF_SIZE, "57671680", KAFKA(fetch_bytes_max), .min = 1024, .max = INT32_MAX,
     .doc = "Largest fetch response."},
    {"max.connections", CONF_INT, "20000", KAFKA(connections_max), .min = 1, .max = 1000000,
     .doc = "Kafka connections that may be open at once."},
    {"connections.max.idle.ms", CONF_DURATION_MS, "600000", KAFKA(connections_idle_ms), .min = 1000,
     .max = INT64_MAX, .doc = "Connections without a request for this long are closed."},
    {"group.initial.rebalance.delay.ms", CONF_DURATION_MS, "0", KAFKA(rebalance_delay_ms), .min = 0,
     .max = 600000, .doc = "Time that a new consumer group waits for more members."},
    {"group.min.session.timeout.ms", CONF_DURATION_MS, "6000", KAFKA(session_timeout_ms_min), .min = 1,
     .max = INT32_MAX, .doc = "Shortest session timeout that a member may ask for."},
    {"group.max.session.timeout.ms", CONF_DURATION_MS, "1800000", KAFKA(session_timeout_ms_max), .min = 1,
     .max = INT32_MAX, .doc = "Longest session timeout that a member may ask for."},
    {"offsets.retention.minutes", CONF_INT, "10080", KAFKA(offsets_retention_minutes), .min = 1,
     .max = INT32_MAX, .doc = "Committed offsets of a group without members are kept for this long."},
};

const struct conf_table server_table = {"server", server_rows, COUNT_OF(server_rows),
                                        sizeof(struct server_options)};
const struct conf_table kafka_table = {"kafka", kafka_rows, COUNT_OF(kafka_rows),
                                       sizeof(struct kafka_options)};
const struct conf_table *const option_tables[] = {&server_table, &kafka_table, NULL};

/* The whole text of a file, in the arena. */
static bool read_text(const char *path, struct str *text, struct arena *arena, struct err *err)
{
    enum { TEXT_BYTES_MAX = 1 << 20 };
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set_errno(err, errno, "cannot open %s", path);
    char *bytes = arena_alloc_bytes(arena, TEXT_BYTES_MAX);
    size_t len = fread(bytes, 1, TEXT_BYTES_MAX, file);
    bool whole = !ferror(file) && len < TEXT_BYTES_MAX;
    fclose(file);
    if (!whole)
        return err_set(err, ERR_TOO_LARGE, "%s: cannot be read, or is larger than 1 MiB", path);
    *text = str_of(bytes, len);
    return true;
}

bool options_read(const char *conf_file, const struct conf_list *assignments, struct server_options *server,
                  struct kafka_options *kafka, struct arena *arena, struct err *err)
{
    struct conf *conf = conf_new();
    struct str text;
    for (size_t i = 0; option_tables[i] != NULL; i++)
        conf_add_table(conf, option_tables[i]);
    bool done = (conf_file == NULL ||
                 (read_text(conf_file, &text, arena, err) && conf_parse(conf, text, conf_file, err))) &&
                conf_parse_env(conf, environ, NULL, err);
    for (size_t i = 0; done && i < assignments->len; i++)
        done = conf_set(conf, assignments->at[i], err);
    done = done && conf_check(conf, err) && conf_read(conf, &server_table, server, arena, err) &&
           conf_read(conf, &kafka_table, kafka, arena, err);
    conf_free(conf);
    return done;
}

void options_broker_config(const struct kafka_options *options, struct str data_dir,
                           struct broker_config *config)
{
    broker_config_init(config);
    config->data_dir = data_dir;
    config->kafka_listen = options->listen;
    config->kafka_advertise = options->advertise;
    config->durability = options->durability == 0 ? BROKER_FSYNC : BROKER_OS;
    config->net_threads = (int32_t)options->net_threads;
    config->num_partitions = (int32_t)options->num_partitions;
    config->auto_create_topics = options->auto_create_topics;
    config->clamp_replication_factor = options->clamp_replication_factor;
    config->retention_ms = options->retention_ms;
    config->retention_bytes = options->retention_bytes;
    config->retention_check_interval_ms = options->retention_check_ms;
    config->segment_bytes = options->segment_bytes;
    config->segment_ms = options->segment_ms;
    config->message_bytes_max = (int32_t)options->message_bytes_max;
    config->request_bytes_max = (int32_t)options->request_bytes_max;
    config->fetch_bytes_max = (int32_t)options->fetch_bytes_max;
    config->connections_max = (int32_t)options->connections_max;
    config->connections_idle_ms_max = options->connections_idle_ms;
    config->group_initial_rebalance_delay_ms = (int32_t)options->rebalance_delay_ms;
    config->group_session_timeout_ms_min = (int32_t)options->session_timeout_ms_min;
    config->group_session_timeout_ms_max = (int32_t)options->session_timeout_ms_max;
    config->offsets_retention_ms = options->offsets_retention_minutes * 60000;
}
