/* disk.c - the disk by itself: what a promise of "it is on the disk" costs before any server has done anything.
 *
 *   sync   4 KiB at a time into the file TOPIC, written from end to end before, past the page cache, and a sync; -r times a
 *          second for -d seconds after -w seconds: how long each takes
 *   grow   -T threads, a file TOPIC-N each that grows by -D batches of -R records, then a sync, and again, until -n records are
 *          on the disk: how many a second
 *
 * The first is the shortest way to a durable append, with the pauses of a server that waits for requests (a disk is faster
 * without them); the second the writes and syncs that replay brings about, without a server.
 */
#include "load.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, FILE_BYTES = 32 << 20, FILL_BYTES = 1 << 20, THREADS_MAX = 64 };

static int file_open(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0644);
    if (fd < 0 && errno == EINVAL)
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static void put(int fd, const char *bytes, size_t size, off_t pos)
{
    if (pwrite(fd, bytes, size, pos) != (ssize_t)size)
        die("write: %s", strerror(errno));
}

static void make_durable(int fd)
{
    if (fdatasync(fd) != 0)
        die("fdatasync: %s", strerror(errno));
}

/* --- one at a time --- */

static uint32_t one_sync_us(int fd, const char *block, off_t pos)
{
    int64_t begin_ns = clock_ns();
    put(fd, block, BLOCK, pos);
    make_durable(fd);
    return (uint32_t)((clock_ns() - begin_ns) / 1000);
}

int mode_sync(const struct options *o)
{
    int64_t skipped = (int64_t)o->rate * o->warmup_s, total = skipped + (int64_t)o->rate * o->measured_s;
    uint32_t *us = calloc((size_t)total + 1, sizeof *us);
    char *block = aligned_alloc(BLOCK, FILL_BYTES);
    if (us == NULL || block == NULL || total == skipped)
        die("no memory, or nothing to measure");
    memset(block, 'x', FILL_BYTES);
    int fd = file_open(o->topic, O_DIRECT);
    for (off_t pos = 0; pos < FILE_BYTES; pos += FILL_BYTES)
        put(fd, block, FILL_BYTES, pos);
    make_durable(fd);
    struct usage before = usage_now(0);
    int64_t step_ns = INT64_C(1000000000) / o->rate, due_ns = clock_ns();
    for (int64_t i = 0; i < total; i++) {
        struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};
        while (clock_ns() < due_ns && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            continue;
        us[i] = one_sync_us(fd, block, i * BLOCK % FILE_BYTES);
        due_ns = due_ns + step_ns > clock_ns() ? due_ns + step_ns : clock_ns();
    }
    struct usage after = usage_now(0);
    printf("{\"rate\":%d,\"samples\":%" PRId64, o->rate, total - skipped);
    print_quantiles(us + skipped, total - skipped);
    usage_print(&before, &after, (double)total);
    puts("}");
    close(fd);
    unlink(o->topic);
    free(block);
    free(us);
    return 0;
}

/* --- as many as it goes --- */

struct grower {
    const struct options *o;
    pthread_t thread;
    int number;
    atomic_llong *left; /* records that nobody has begun to write */
    int64_t records, bytes;
};

static void *grow(void *argument)
{
    struct grower *grower = argument;
    const struct options *o = grower->o;
    struct raw_bytes batch = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s-%d", o->topic, grower->number);
    raw_batch(&batch, o->batch_records, o->json ? 0 : o->record_bytes, o->codec);
    int fd = file_open(path, 0);
    int64_t step = (int64_t)o->batch_records * o->depth;
    while (atomic_fetch_sub(grower->left, step) > 0) {
        for (int i = 0; i < o->depth; i++) {
            put(fd, batch.at, batch.len, (off_t)grower->bytes);
            grower->bytes += (int64_t)batch.len;
        }
        make_durable(fd);
        grower->records += step;
    }
    close(fd);
    unlink(path);
    raw_free(&batch);
    return NULL;
}

int mode_grow(const struct options *o)
{
    struct grower growers[THREADS_MAX] = {0};
    atomic_llong left = o->record_count;
    int64_t records = 0, bytes = 0;
    if (o->producer_count > THREADS_MAX)
        die("at most %d threads", THREADS_MAX);
    struct usage before = usage_now(0);
    double start = clock_s();
    for (int i = 0; i < o->producer_count; i++) {
        growers[i] = (struct grower){.o = o, .number = i, .left = &left};
        if (pthread_create(&growers[i].thread, NULL, grow, &growers[i]) != 0)
            die("cannot start a thread");
    }
    for (int i = 0; i < o->producer_count; i++) {
        pthread_join(growers[i].thread, NULL);
        records += growers[i].records;
        bytes += growers[i].bytes;
    }
    double took_s = clock_s() - start;
    struct usage after = usage_now(0);
    printf("{\"records\":%" PRId64 ",\"seconds\":%.4f,\"records_per_s\":%.0f,\"mb_per_s\":%.1f", records,
           took_s, (double)records / took_s, (double)bytes / 1e6 / took_s);
    usage_print(&before, &after, (double)records);
    puts("}");
    return 0;
}
