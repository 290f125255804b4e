/* throughput.c - as many records a second as go through: produce and consume.
 *
 * The payloads are 1,024 different pseudo-random texts: compressible as text is, never all the same bytes.
 */
#include "load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PAYLOADS      1024
#define PRODUCERS_MAX 16
#define FETCHED_MAX   4096

struct producer {
    const struct options *o;
    const char *payloads;
    pthread_t thread;
    int64_t record_count;
    int64_t acked, failed;
};

static char *payloads_new(int bytes)
{
    static const char letters[] = "etaoinshrdlucmfwypvbgkjqxz 0123456789{}:,\"";
    char *all = malloc((size_t)PAYLOADS * (size_t)bytes);
    uint64_t state = 88172645463325252ULL;
    if (all == NULL)
        die("no memory for the payloads");
    for (size_t i = 0; i < (size_t)PAYLOADS * (size_t)bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all[i] = letters[(state >> 32) % (sizeof letters - 1)];
    }
    return all;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        producer->acked++;
    else
        producer->failed++;
}

static void *producer_run(void *argument)
{
    struct producer *producer = argument;
    const struct options *o = producer->o;
    rd_kafka_conf_t *conf = conf_new_producer(o);
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = client_open(o, RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, o->topic, NULL);
    size_t bytes = (size_t)o->record_bytes;
    for (int64_t i = 0; i < producer->record_count; i++) {
        /* The payloads outlive the client, so librdkafka need not copy them. */
        void *payload = (char *)producer->payloads + (size_t)(i % PAYLOADS) * bytes;
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, 0, payload, bytes, NULL, 0, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
            rd_kafka_poll(client, 5);
        }
        if (i % 1000 == 0)
            rd_kafka_poll(client, 0);
    }
    rd_kafka_flush(client, o->timeout_s * 1000);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return NULL;
}

int mode_produce(const struct options *o)
{
    struct producer producers[PRODUCERS_MAX] = {0};
    int64_t acked = 0, failed = 0;
    if (o->producer_count > PRODUCERS_MAX)
        die("at most %d producers", PRODUCERS_MAX);
    char *payloads = payloads_new(o->record_bytes);
    struct usage before = usage_now(o->server_pid);
    double start = clock_s();
    for (int i = 0; i < o->producer_count; i++) {
        producers[i].o = o;
        producers[i].payloads = payloads;
        producers[i].record_count = o->record_count / o->producer_count;
        if (pthread_create(&producers[i].thread, NULL, producer_run, &producers[i]) != 0)
            die("cannot start a thread");
    }
    for (int i = 0; i < o->producer_count; i++) {
        pthread_join(producers[i].thread, NULL);
        acked += producers[i].acked;
        failed += producers[i].failed;
    }
    double took_s = clock_s() - start;
    struct usage after = usage_now(o->server_pid);
    printf("{\"acked\":%" PRId64 ",\"failed\":%" PRId64
           ",\"seconds\":%.4f,\"records_per_s\":%.0f,\"mb_per_s\":%.1f",
           acked, failed, took_s, (double)acked / took_s, (double)acked * o->record_bytes / 1e6 / took_s);
    usage_print(&before, &after, (double)acked);
    puts("}");
    free(payloads);
    return failed > 0 || acked == 0;
}

int mode_consume(const struct options *o)
{
    static rd_kafka_message_t *fetched[FETCHED_MAX];
    int64_t count = 0, bytes = 0;
    struct usage before = usage_now(o->server_pid);
    double start = clock_s(), first = 0, last = start;
    rd_kafka_t *client = consumer_open(o, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    while (count < o->record_count && clock_s() - last < o->timeout_s) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, 50, fetched, FETCHED_MAX);
        for (ssize_t i = 0; i < got; i++) {
            if (fetched[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                bytes += (int64_t)fetched[i]->len;
                count++;
            }
            rd_kafka_message_destroy(fetched[i]);
        }
        last = got > 0 ? clock_s() : last;
        first = first == 0 && count > 0 ? last : first;
    }
    struct usage after = usage_now(o->server_pid);
    double took_s = last - start;
    printf("{\"records\":%" PRId64
           ",\"seconds\":%.4f,\"first_ms\":%.1f,\"records_per_s\":%.0f,\"mb_per_s\":%.1f",
           count, took_s, (first - start) * 1e3, (double)count / took_s, (double)bytes / 1e6 / took_s);
    usage_print(&before, &after, (double)count);
    puts("}");
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return count < o->record_count;
}
