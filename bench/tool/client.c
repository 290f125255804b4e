/* client.c - a librdkafka client made of the options, the clocks, and what processes used. */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list args;
    fputs("load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static double seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

double clock_s(void)
{
    return (double)clock_ns() / 1e9;
}

/* CPU seconds of the whole machine but idle and waiting. */
static double machine_cpu_s(void)
{
    unsigned long v[8] = {0};
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
               v + 7) < 4)
        v[0] = v[1] = v[2] = 0;
    fclose(file);
    return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / (double)sysconf(_SC_CLK_TCK);
}

static void server_memory(int pid, struct usage *u)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        die("process %d is gone", pid);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            u->server_rss_kb = kb;
        if (sscanf(line, "VmHWM: %ld", &kb) == 1)
            u->server_peak_kb = kb;
    }
    fclose(file);
}

struct usage usage_now(int server_pid)
{
    struct usage u = {0};
    struct timespec t;
    clockid_t clock;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    u.self_cpu_s = seconds(t);
    u.machine_cpu_s = machine_cpu_s();
    /* The process's own CPU clock counts nanoseconds; /proc/PID/stat would count hundredths of a second. */
    if (server_pid != 0) {
        if (clock_getcpuclockid(server_pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
            die("process %d is gone", server_pid);
        u.server_cpu_s = seconds(t);
        server_memory(server_pid, &u);
    }
    return u;
}

void usage_print(const struct usage *from, const struct usage *to, double record_count)
{
    double millions = record_count > 0 ? record_count / 1e6 : 1;
    double self_s = to->self_cpu_s - from->self_cpu_s;
    double server_s = to->server_cpu_s - from->server_cpu_s;
    printf(",\"client_cpu_s_per_m\":%.4f,\"server_cpu_s\":%.4f,\"server_cpu_s_per_m\":%.4f",
           self_s / millions, server_s, server_s / millions);
    printf(",\"server_rss_mb\":%.1f,\"server_peak_mb\":%.1f", (double)to->server_rss_kb / 1024,
           (double)to->server_peak_kb / 1024);
    printf(",\"other_cpu_s\":%.2f", to->machine_cpu_s - from->machine_cpu_s - server_s - self_s);
}

void conf_set(rd_kafka_conf_t *conf, const char *name, const char *format, ...)
{
    char value[256], error[256];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        die("%s", error);
}

rd_kafka_conf_t *conf_new(const struct options *o)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    conf_set(conf, "bootstrap.servers", "%s", o->bootstrap);
    return conf;
}

rd_kafka_conf_t *conf_new_producer(const struct options *o)
{
    rd_kafka_conf_t *conf = conf_new(o);
    conf_set(conf, "acks", "all");
    conf_set(conf, "linger.ms", "%g", o->linger_ms);
    conf_set(conf, "compression.codec", "%s", o->codec);
    conf_set(conf, "queue.buffering.max.messages", "2000000");
    conf_set(conf, "queue.buffering.max.kbytes", "1048576");
    return conf;
}

rd_kafka_t *client_open(const struct options *o, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char error[256];
    for (int i = 0; i < o->client_count; i++)
        conf_set(conf, o->client[i].name, "%s", o->client[i].value);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (client == NULL)
        die("%s", error);
    return client;
}

int topic_partition_count(const struct options *o, rd_kafka_t *client)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, o->topic, NULL);
    int count = 0;
    for (int attempt = 0; attempt < 100 && count == 0; attempt++) {
        const struct rd_kafka_metadata *meta = NULL;
        if (rd_kafka_metadata(client, 0, topic, &meta, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (meta->topic_cnt == 1 && meta->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
                count = meta->topics[0].partition_cnt;
            rd_kafka_metadata_destroy(meta);
        }
        if (count == 0)
            usleep(50000);
    }
    rd_kafka_topic_destroy(topic);
    if (count == 0)
        die("topic %s is not there", o->topic);
    return count;
}

rd_kafka_t *consumer_open(const struct options *o, int64_t offset)
{
    rd_kafka_conf_t *conf = conf_new(o);
    conf_set(conf, "group.id", "load");
    conf_set(conf, "enable.auto.commit", "false");
    conf_set(conf, "auto.offset.reset", "earliest");
    rd_kafka_t *client = client_open(o, RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    int count = topic_partition_count(o, client);
    for (int p = 0; p < count; p++)
        rd_kafka_topic_partition_list_add(list, o->topic, p)->offset = offset;
    rd_kafka_resp_err_t error = rd_kafka_assign(client, list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("assign: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}
