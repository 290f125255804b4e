/* scrub.c - the disk is read again, slowly: which partition next, how fast.
 *
 *   with every check of retention, unless a round is running
 *     round (thread scrub-0): the log that was looked at longest ago, the next one, ... until none is due
 *       log_scrub, paced: after each piece the thread sleeps as long as the rate asks for
 *
 * (R1) A log is due when the last look is log.scrub.interval.ms ago. When that was is not kept over a restart: after a start
 *      all are due, in an order of its own each time, so that a server that is often started comes to all of them in the end.
 * (R2) One thread, one log at a time, at most log.scrub.io.max.bytes.per.second; 0 switches it off, at once.
 * (R3) A stop waits for a piece of work at most.
 */
#include <time.h>

#include "storage/storage_int.h"

enum { NAP_MS = 50 };

void scrub_open(struct storage *storage)
{
    struct metric_registry *metrics = storage->metrics;
    storage->scrub_meters = (struct scrub_meters){
        .damaged = metric_counter(metrics, "rialto_log_damaged_total", NO_LABELS),
        .runs = metric_counter(metrics, "rialto_log_scrubs_total", NO_LABELS),
        .read_bytes = metric_counter(metrics, "rialto_log_scrub_read_bytes_total", NO_LABELS),
    };
    io_random(storage->io, &storage->scrub_seed, sizeof storage->scrub_seed);
}

/* --- pace --- */

struct work {
    struct storage *storage;
    struct partition *part;
    int64_t due_us; /* when what was read so far is allowed to have been read */
};

static bool must_stop(const struct work *work)
{
    return atomic_load(&work->storage->stopping) || partition_is_deleted(work->part) ||
           LIVE(work->storage, scrub_bytes_per_s) == 0;
}

static bool keep_pace(void *arg, uint64_t bytes)
{
    struct work *work = arg;
    struct io *io = work->storage->io;
    int64_t rate = LIVE(work->storage, scrub_bytes_per_s);
    metric_add(work->storage->scrub_meters.read_bytes, (int64_t)bytes);
    work->due_us += rate == 0 ? 0 : (int64_t)((double)bytes * 1e6 / (double)rate);
    while (!must_stop(work)) {
        int64_t ahead_us = work->due_us - io_monotonic_us(io);
        if (ahead_us < 1000)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = (long)MIN(ahead_us / 1000, NAP_MS) * 1000000}, NULL);
    }
    return false;
}

/* --- rounds --- */

struct choice {
    struct storage *storage;
    int64_t now_us;
    struct partition *best; /* a reference */
    uint64_t lot;           /* decides among those that were never looked at */
};

static void consider(struct partition *part, void *arg)
{
    struct choice *choice = arg;
    const struct storage *storage = choice->storage;
    uint64_t lot = (hash_str(part->topic) + (uint64_t)part->id) * (storage->scrub_seed | 1);
    bool due = part->scrubbed_us == 0 ||
               choice->now_us - part->scrubbed_us >= LIVE(storage, scrub_interval_ms) * 1000;
    if (!due || partition_is_deleted(part) || log_size_bytes(part->log) == 0)
        return;
    if (choice->best != NULL && (part->scrubbed_us > choice->best->scrubbed_us ||
                                 (part->scrubbed_us == choice->best->scrubbed_us && lot >= choice->lot)))
        return;
    partition_unref(choice->best);
    choice->best = partition_ref(part);
    choice->lot = lot;
}

/* The next log that is due, with a reference; NULL: none. */
static struct partition *choose(struct storage *storage)
{
    struct choice choice = {.storage = storage, .now_us = io_monotonic_us(storage->io)};
    storage_each_partition(storage, consider, &choice);
    consider(storage->topics_log.part, &choice); /* no topic */
    return choice.best;
}

static void scrub(struct storage *storage, struct partition *part)
{
    struct work work = {.storage = storage, .part = part, .due_us = io_monotonic_us(storage->io)};
    struct log_scrub_options options = {.pace = keep_pace, .arg = &work};
    struct log_scrubbed done;
    log_scrub(part->log, &options, &done);
    if (done.stopped)
        return;
    part->scrubbed_us = MAX(io_monotonic_us(storage->io), 1);
    metric_add(storage->scrub_meters.runs, 1);
    if (done.damaged != 0)
        log_error("broker", "scrub_found_damage", "topic=%.*s partition=%d places=%llu read=%llu",
                  STR_ARG(part->topic), part->id, (unsigned long long)done.damaged,
                  (unsigned long long)done.bytes);
}

static void run_round(void *arg)
{
    struct storage *storage = arg;
    while (!atomic_load(&storage->stopping) && LIVE(storage, scrub_bytes_per_s) != 0) {
        struct partition *part = choose(storage);
        if (part == NULL)
            break;
        scrub(storage, part);
        partition_unref(part);
    }
    atomic_store(&storage->scrubbing, false);
}

void scrub_wake(struct storage *storage)
{
    if (LIVE(storage, scrub_bytes_per_s) != 0 && !atomic_exchange(&storage->scrubbing, true))
        pool_submit(storage->scrub_pool, run_round, storage, NULL, NULL);
}
