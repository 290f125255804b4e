/* topic.c - topics are made and deleted, and watched until nothing more comes. */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void ask_create(const struct options *o, rd_kafka_t *client, rd_kafka_queue_t *queue)
{
    char error[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(o->topic, o->partition_count, 1, error, sizeof error);
    if (topic == NULL)
        die("%s", error);
    for (int i = 0; i < o->topic_config_count; i++)
        rd_kafka_NewTopic_set_config(topic, o->topic_config[i].name, o->topic_config[i].value);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_NewTopic_destroy(topic);
}

static void ask_delete(const struct options *o, rd_kafka_t *client, rd_kafka_queue_t *queue)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(o->topic);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    rd_kafka_DeleteTopic_destroy(topic);
}

static void require_success(rd_kafka_event_t *event, bool create)
{
    size_t count = 0;
    if (event == NULL)
        die("no answer to the request about the topic");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("%s", rd_kafka_event_error_string(event));
    const rd_kafka_topic_result_t **results =
        create ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
               : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            die("%s: %s", rd_kafka_topic_result_name(results[i]),
                rd_kafka_topic_result_error_string(results[i]));
}

static int administrate(const struct options *o, bool create)
{
    rd_kafka_t *client = client_open(o, RD_KAFKA_PRODUCER, conf_new(o));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    if (create)
        ask_create(o, client, queue);
    else
        ask_delete(o, client, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, o->timeout_s * 1000);
    require_success(event, create);
    rd_kafka_event_destroy(event);
    if (create)
        topic_partition_count(o, client);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    puts("{}");
    return 0;
}

int mode_create(const struct options *o)
{
    return administrate(o, true);
}

int mode_delete(const struct options *o)
{
    return administrate(o, false);
}

/* The sum of all partitions' ends, as a read_committed reader sees them. -1: not known just now. */
static int64_t readable_end(rd_kafka_t *client, const char *topic, int partition_count)
{
    int64_t sum = 0;
    for (int p = 0; p < partition_count; p++) {
        int64_t low = 0, high = 0;
        if (rd_kafka_query_watermark_offsets(client, topic, p, &low, &high, 5000) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            return -1;
        sum += high;
    }
    return sum;
}

int mode_settle(const struct options *o)
{
    const double quiet_s = 1;
    rd_kafka_conf_t *conf = conf_new(o);
    conf_set(conf, "isolation.level", "read_committed");
    rd_kafka_t *client = client_open(o, RD_KAFKA_CONSUMER, conf);
    int count = topic_partition_count(o, client);
    double start = clock_s(), first = 0, last = start;
    int64_t end = 0;
    struct usage used = usage_now(o->server_pid);
    for (;;) {
        int64_t seen = readable_end(client, o->topic, count);
        double at = clock_s();
        if (seen > end) {
            used = usage_now(o->server_pid);
            first = end == 0 ? at : first;
            last = at;
            end = seen;
        } else if ((end > 0 && at - last > quiet_s) || at - last > o->timeout_s) {
            break;
        }
        usleep(50000);
    }
    printf("{\"end\":%" PRId64
           ",\"first_s\":%.3f,\"last_s\":%.3f,\"last_clock_s\":%.3f,\"server_cpu_at_last_s\":%.4f}\n",
           end, end > 0 ? first - start : 0, last - start, last, used.server_cpu_s);
    rd_kafka_destroy(client);
    return end > 0 ? 0 : 1;
}
