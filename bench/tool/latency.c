/* latency.c - time from the moment a record was due until its consumer has it, at a fixed rate.
 *
 *   due(i) = start + i / rate      sender: waits for due(i), sends {i, due(i)}      reader: now - due(i)
 *
 * A sender that falls behind does not shift what is due, so a stall is felt by every record that came due in it (no
 * coordinated omission). Sender and reader are two threads of this process and share its clock.
 */
#include "load.h"
#include "raw.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stamp {
    int64_t number;
    int64_t due_ns;
};

struct reader {
    rd_kafka_t *client;
    pthread_t thread;
    int64_t skipped; /* records of the warm-up */
    int64_t total;
    int64_t got;
    uint32_t *us;
    atomic_bool done;
};

static void reader_take(struct reader *reader, const rd_kafka_message_t *message)
{
    int64_t at_ns = clock_ns();
    struct stamp stamp;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->len < sizeof stamp)
        return;
    memcpy(&stamp, message->payload, sizeof stamp);
    if (stamp.number >= reader->skipped && stamp.number < reader->total && reader->got < reader->total)
        reader->us[reader->got++] = (uint32_t)((at_ns - stamp.due_ns) / 1000);
    if (stamp.number == reader->total - 1)
        atomic_store(&reader->done, true);
}

static void *reader_run(void *argument)
{
    struct reader *reader = argument;
    while (!atomic_load(&reader->done)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->client, 100);
        if (message == NULL)
            continue;
        reader_take(reader, message);
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

/* Sends all records, each when it is due; *measured is what was used when the warm-up ended. */
static void send_all(const struct options *o, rd_kafka_t *client, const struct reader *reader,
                     struct usage *measured)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, o->topic, NULL);
    size_t bytes =
        (size_t)o->record_bytes > sizeof(struct stamp) ? (size_t)o->record_bytes : sizeof(struct stamp);
    char *record = malloc(bytes);
    if (record == NULL)
        die("no memory for a record");
    memset(record, 'x', bytes);
    int64_t start_ns = clock_ns(), step_ns = INT64_C(1000000000) / o->rate;
    for (int64_t i = 0; i < reader->total; i++) {
        struct stamp stamp = {i, start_ns + i * step_ns};
        struct timespec due = {stamp.due_ns / 1000000000, stamp.due_ns % 1000000000};
        if (i == reader->skipped)
            *measured = usage_now(o->server_pid);
        while (clock_ns() < stamp.due_ns &&
               clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            continue;
        memcpy(record, &stamp, sizeof stamp);
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, record, bytes, NULL, 0,
                                NULL) != 0)
            rd_kafka_poll(client, 1);
        if (i % 100 == 0)
            rd_kafka_poll(client, 0);
    }
    free(record);
    rd_kafka_flush(client, o->timeout_s * 1000);
    rd_kafka_topic_destroy(topic);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void print_quantiles(uint32_t *us, int64_t n)
{
    qsort(us, (size_t)n, sizeof *us, by_value);
    printf(",\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u", us[n / 2], us[n * 99 / 100],
           us[n * 999 / 1000], us[n - 1]);
}

int mode_latency(const struct options *o)
{
    struct reader reader = {.skipped = (int64_t)o->rate * o->warmup_s,
                            .total = (int64_t)o->rate * (o->measured_s + o->warmup_s)};
    reader.us = calloc((size_t)reader.total + 1, sizeof *reader.us);
    if (reader.us == NULL)
        die("no memory for %" PRId64 " samples", reader.total);
    rd_kafka_t *client = client_open(o, RD_KAFKA_PRODUCER, conf_new_producer(o));
    reader.client = consumer_open(o, RD_KAFKA_OFFSET_END);
    if (pthread_create(&reader.thread, NULL, reader_run, &reader) != 0)
        die("cannot start a thread");
    sleep(1); /* The reader looks up the end of the partition meanwhile. */
    struct usage before = usage_now(o->server_pid);
    send_all(o, client, &reader, &before);
    struct usage after = usage_now(o->server_pid);
    for (int tenths = 0; tenths < 100 && !atomic_load(&reader.done); tenths++)
        usleep(100000);
    atomic_store(&reader.done, true);
    pthread_join(reader.thread, NULL);
    int64_t expected = reader.total - reader.skipped;
    printf("{\"rate\":%d,\"samples\":%" PRId64 ",\"lost\":%" PRId64, o->rate, reader.got,
           expected - reader.got);
    if (reader.got > 0)
        print_quantiles(reader.us, reader.got);
    usage_print(&before, &after, (double)expected);
    puts("}");
    rd_kafka_destroy(client);
    rd_kafka_consumer_close(reader.client);
    rd_kafka_destroy(reader.client);
    free(reader.us);
    return reader.got == 0;
}
