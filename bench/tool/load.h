/* load.h - what the files of the load tool share: the options of one call, a client, measured use of the machine. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_MAX 32

struct setting {
    const char *name;
    const char *value;
};

/* The command line. Strings live as long as argv. */
struct options {
    const char *mode;
    const char *bootstrap;
    const char *topic;
    const char *codec;
    const char *data;  /* transactions or users */
    const char *query; /* filter, window or join: what check compares with */
    int64_t record_count;
    int record_bytes;
    int partition_count;
    int producer_count; /* or connections */
    int batch_records;  /* of prepared batches */
    bool json;          /* they hold the data set */
    int depth;          /* requests under way on a connection */
    int idle_count;     /* connections that only wait */
    int rate;           /* records a second */
    int measured_s, warmup_s;
    int timeout_s;
    int server_pid; /* whose CPU time and memory are measured; 0: nobody's */
    double linger_ms;
    struct setting client[SETTINGS_MAX]; /* passed to librdkafka */
    struct setting topic_config[SETTINGS_MAX];
    int client_count, topic_config_count;
};

/* Use of the machine at one moment; two of them make a difference. */
struct usage {
    double server_cpu_s;
    double self_cpu_s;
    double machine_cpu_s;
    int64_t server_rss_kb, server_peak_kb;
};

/* client.c */

/* Says what is wrong on stderr and ends the program with 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
int64_t clock_ns(void); /* monotonic */
double clock_s(void);
struct usage usage_now(int server_pid);
/* Prints the members that say what was used between two moments, by million records. */
void usage_print(const struct usage *from, const struct usage *to, double record_count);
rd_kafka_conf_t *conf_new(const struct options *o);
void conf_set(rd_kafka_conf_t *conf, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* acks=all and the options' codec, linger and queue limits that never bind. */
rd_kafka_conf_t *conf_new_producer(const struct options *o);
/* Takes conf; applies the options' own settings last. */
rd_kafka_t *client_open(const struct options *o, rd_kafka_type_t type, rd_kafka_conf_t *conf);
/* Reads all partitions from `offset` (RD_KAFKA_OFFSET_BEGINNING or _END), without a group. */
rd_kafka_t *consumer_open(const struct options *o, int64_t offset);
int topic_partition_count(const struct options *o, rd_kafka_t *client);

/* One function a mode; each prints one JSON line and returns the exit status. */
int mode_create(const struct options *o); /* topic.c */
int mode_delete(const struct options *o);
int mode_settle(const struct options *o);
int mode_produce(const struct options *o); /* throughput.c */
int mode_consume(const struct options *o);
int mode_latency(const struct options *o); /* latency.c */
int mode_data(const struct options *o);    /* data.c */
int mode_check(const struct options *o);   /* check.c */
int mode_replay(const struct options *o);  /* replay.c */
int mode_drain(const struct options *o);
int mode_crowd(const struct options *o); /* crowd.c */
int mode_groups(const struct options *o);
int mode_bare(const struct options *o); /* bare_broker.c */
int mode_sync(const struct options *o); /* disk.c */
int mode_grow(const struct options *o);

#endif
