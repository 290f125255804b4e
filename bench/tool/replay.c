/* replay.c - the server alone: prepared batches in, records out, by clients that do next to nothing.
 *
 *   replay   -T connections, each with -D requests under way, send the same batch of -R records to partition
 *            (connection modulo -p) until -n records are acknowledged
 *   drain    -T connections, each reading partition (connection) from its start to its end; -n records must come
 *
 * A thread a connection. What a client library costs is not in the figure, so these are the rates of the server.
 */
#include "load.h"
#include "raw.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, FETCH_BYTES = 4 << 20 };

struct worker {
    const struct options *o;
    pthread_t thread;
    int number;
    atomic_llong *left; /* records nobody has asked for yet (replay) */
    int64_t records, bytes, failed;
};

/* Claims up to `room` batches of what nobody has asked for yet; clears *more when that is all gone. */
static int claim(struct worker *worker, int room, bool *more)
{
    int count = 0;
    while (*more && count < room) {
        *more = atomic_fetch_sub(worker->left, worker->o->batch_records) > 0;
        count += *more;
    }
    return count;
}

/* One answer. A refusal is asked for again: a new topic may need a moment. */
static void take_answer(struct worker *worker, const char *answer, size_t len, bool *more)
{
    const struct options *o = worker->o;
    if (raw_produce_error(answer, len) == 0) {
        worker->records += o->batch_records;
        return;
    }
    worker->failed += o->batch_records;
    atomic_fetch_add(worker->left, o->batch_records);
    *more = worker->failed < o->record_count;
    usleep(1000);
}

/* What may be asked leaves with one call, and all answers that are there come with one: the fewer calls here, the more of the
 * figure is the server's. */
static void *replay_run(void *argument)
{
    struct worker *worker = argument;
    const struct options *o = worker->o;
    struct raw_bytes batch = {0}, frame = {0};
    struct raw_answers answers = {0};
    raw_batch(&batch, o->batch_records, o->json ? 0 : o->record_bytes, o->codec);
    raw_produce(&frame, o->topic, worker->number % o->partition_count, &batch);
    int fd = raw_connect(o->bootstrap), under_way = 0;
    for (bool more = true;;) {
        int count = claim(worker, o->depth - under_way, &more);
        raw_send_times(fd, &frame, count);
        under_way += count;
        if (under_way == 0)
            break;
        raw_take_some(fd, &answers);
        const char *answer;
        for (size_t len; (answer = raw_next(&answers, &len)) != NULL; under_way--)
            take_answer(worker, answer, len, &more);
    }
    worker->bytes = worker->records / o->batch_records * (int64_t)batch.len;
    close(fd);
    raw_free(&batch);
    raw_free(&frame);
    raw_free(&answers.bytes);
    return NULL;
}

/* Walks the batches of a Fetch answer; returns the records in it and moves *offset behind the last whole batch. */
static int64_t take_batches(const struct raw_bytes *answer, int64_t *offset)
{
    /* correlation id, throttle, topics, name, partitions, index, error, high watermark, last stable offset, aborted, size */
    size_t at = 4 + 4 + 4 + 2 + (size_t)raw_int(answer->at + 12, 2) + 4 + 4;
    int64_t count = 0;
    int error = (int)raw_int(answer->at + at, 2);
    if (error != 0)
        die("Fetch: error %d", error);
    for (at += 2 + 8 + 8 + 4 + 4; at + 61 <= answer->len;) {
        const char *batch = answer->at + at;
        size_t len = 12 + (size_t)raw_int(batch + 8, 4);
        if (at + len > answer->len)
            break;
        count += raw_int(batch + 57, 4);
        *offset = raw_int(batch, 8) + raw_int(batch + 23, 4) + 1;
        at += len;
    }
    return count;
}

static void *drain_run(void *argument)
{
    struct worker *worker = argument;
    const struct options *o = worker->o;
    struct raw_bytes frame = {0}, answer = {0};
    size_t offset_pos;
    int64_t offset = 0;
    raw_fetch(&frame, o->topic, worker->number % o->partition_count, FETCH_BYTES, &offset_pos);
    int fd = raw_connect(o->bootstrap);
    for (int64_t count = 1; count > 0;) {
        for (int i = 0; i < 8; i++)
            frame.at[offset_pos + (size_t)i] = (char)(offset >> (56 - 8 * i));
        raw_ask(fd, &frame, &answer);
        count = take_batches(&answer, &offset);
        worker->records += count;
        worker->bytes += (int64_t)answer.len;
    }
    close(fd);
    raw_free(&frame);
    raw_free(&answer);
    return NULL;
}

static int run_all(const struct options *o, void *(*run)(void *))
{
    struct worker workers[CONNECTIONS_MAX] = {0};
    atomic_llong left = o->record_count;
    int64_t records = 0, bytes = 0, failed = 0;
    if (o->producer_count > CONNECTIONS_MAX || o->partition_count < 1)
        die("at most %d connections, and at least one partition (-p)", CONNECTIONS_MAX);
    struct usage before = usage_now(o->server_pid);
    double start = clock_s();
    for (int i = 0; i < o->producer_count; i++) {
        workers[i] = (struct worker){.o = o, .number = i, .left = &left};
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            die("cannot start a thread");
    }
    for (int i = 0; i < o->producer_count; i++) {
        pthread_join(workers[i].thread, NULL);
        records += workers[i].records;
        bytes += workers[i].bytes;
        failed += workers[i].failed;
    }
    double took_s = clock_s() - start;
    struct usage after = usage_now(o->server_pid);
    printf("{\"records\":%" PRId64 ",\"failed\":%" PRId64
           ",\"seconds\":%.4f,\"records_per_s\":%.0f,\"mb_per_s\":%.1f",
           records, failed, took_s, (double)records / took_s, (double)bytes / 1e6 / took_s);
    usage_print(&before, &after, (double)records);
    puts("}");
    return records < o->record_count;
}

int mode_replay(const struct options *o)
{
    return run_all(o, replay_run);
}

int mode_drain(const struct options *o)
{
    return run_all(o, drain_run);
}
