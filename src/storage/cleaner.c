/* cleaner.c - compaction at work: which partition next, how fast, what is said of it.
 *
 *   every log.cleaner.backoff.ms, unless a round is running
 *     round (thread cleaner-0): the dirtiest log that is due, the next one, ... until none is
 *       log_compact, paced: after each piece of work the thread sleeps as long as the rate asks for
 *
 * (N1) One thread, one log at a time: the memory for keys is there once.
 * (N2) A log whose bytes are damaged is not compacted again before the next start; it says so once, with segment and
 *      position, and is counted (rialto_log_uncleanable_partitions). It goes on taking and giving records.
 * (N3) A stop waits for a piece of work at most. What was compacted halfway is done again, nothing is lost.
 */
#include <time.h>

#include "storage/storage_int.h"

enum { NAP_MS = 50 };

void cleaner_open(struct storage *storage)
{
    struct metric_registry *metrics = storage->metrics;
    struct cleaner_meters *meters = &storage->cleaner_meters;
    meters->runs = metric_counter(metrics, "rialto_log_compactions_total", NO_LABELS);
    meters->failures = metric_counter(metrics, "rialto_log_compaction_failures_total", NO_LABELS);
    meters->read_bytes = metric_counter(metrics, "rialto_log_compaction_read_bytes_total", NO_LABELS);
    meters->written_bytes = metric_counter(metrics, "rialto_log_compaction_written_bytes_total", NO_LABELS);
    meters->freed_bytes = metric_counter(metrics, "rialto_log_compaction_freed_bytes_total", NO_LABELS);
    meters->uncleanable = metric_gauge(metrics, "rialto_log_uncleanable_partitions", NO_LABELS);
    io_random(storage->io, &storage->cleaner_seed, sizeof storage->cleaner_seed);
}

/* --- pace --- */

struct work {
    struct storage *storage;
    struct partition *part;
    int64_t started_us;
    uint64_t bytes;
};

static bool must_stop(const struct work *work)
{
    return atomic_load(&work->storage->stopping) || partition_is_deleted(work->part);
}

static bool keep_pace(void *arg, uint64_t bytes)
{
    struct work *work = arg;
    work->bytes += bytes;
    double due_us = (double)work->bytes * 1e6 / (double)LIVE(work->storage, cleaner_bytes_per_s);
    while (!must_stop(work)) {
        double ahead_us = due_us - (double)(io_monotonic_us(work->storage->io) - work->started_us);
        if (ahead_us < 1000)
            return true;
        long nap_ms = (long)MIN(ahead_us / 1000, (double)NAP_MS);
        nanosleep(&(struct timespec){.tv_nsec = nap_ms * 1000000}, NULL);
    }
    return false;
}

/* --- rounds --- */

/* Says it once, not each round: a full disk stays full for a while. */
static void note_failed(struct partition *part, const struct err *err)
{
    struct storage *storage = part->storage;
    bool passing = err->code == ERR_IO || err->code == ERR_DISK_FULL || err->code == ERR_STORAGE;
    metric_add(storage->cleaner_meters.failures, 1);
    if (!passing) {
        part->uncleanable = true;
        metric_add(storage->cleaner_meters.uncleanable, 1);
    }
    if (!part->clean_fails && log_offline_reason(part->log) == NULL)
        log_error("broker", passing ? "compaction_failed" : "compaction_stopped",
                  "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(part->topic), part->id, err->text);
    part->clean_fails = true;
}

struct choice {
    struct storage *storage;
    struct partition *best; /* a reference */
    double ratio;
};

static void consider(struct partition *part, void *arg)
{
    struct choice *choice = arg;
    struct log_dirty dirty;
    struct err err;
    if (part->uncleanable || part->clean_round == choice->storage->cleaner_round ||
        partition_is_deleted(part) || log_offline_reason(part->log) != NULL)
        return;
    if (!log_compact_due(part->log, io_now_ms(choice->storage->io), &dirty, &err)) {
        part->clean_round = choice->storage->cleaner_round;
        note_failed(part, &err);
        return;
    }
    if (!dirty.due || (choice->best != NULL && dirty.ratio <= choice->ratio))
        return;
    partition_unref(choice->best);
    choice->best = partition_ref(part);
    choice->ratio = dirty.ratio;
}

static void compact(struct storage *storage, struct partition *part)
{
    struct work work = {.storage = storage, .part = part, .started_us = io_monotonic_us(storage->io)};
    struct log_compact_options options = {.map_bytes_max = (size_t)LIVE(storage, cleaner_map_bytes),
                                          .seed = storage->cleaner_seed,
                                          .pace = keep_pace,
                                          .arg = &work};
    struct log_compacted done;
    struct err err;
    part->clean_round = storage->cleaner_round; /* once a round: others wait too */
    bool good = log_compact(part->log, io_now_ms(storage->io), &options, &done, &err);
    metric_add(storage->cleaner_meters.read_bytes, (int64_t)done.bytes_read);
    metric_add(storage->cleaner_meters.written_bytes, (int64_t)done.bytes_written);
    metric_add(storage->cleaner_meters.freed_bytes, (int64_t)done.bytes_freed);
    if (!good) {
        note_failed(part, &err);
        return;
    }
    part->clean_fails = false;
    storage_reap(storage);
    metric_add(storage->cleaner_meters.runs, 1);
    log_info("broker", "compacted",
             "topic=%.*s partition=%d read=%llu freed=%llu records=%lld kept=%lld passes=%u stopped=%d",
             STR_ARG(part->topic), part->id, (unsigned long long)done.bytes_read,
             (unsigned long long)done.bytes_freed, (long long)done.records_read, (long long)done.records_kept,
             done.passes, done.stopped);
}

static void run_round(void *arg)
{
    struct storage *storage = arg;
    storage->cleaner_round++;
    while (!atomic_load(&storage->stopping)) {
        struct choice choice = {.storage = storage};
        storage_each_partition(storage, consider, &choice);
        if (choice.best == NULL)
            break;
        compact(storage, choice.best);
        partition_unref(choice.best);
    }
    atomic_store(&storage->cleaning, false);
}

void cleaner_wake(struct storage *storage)
{
    if (LIVE(storage, cleaner_on) && !atomic_exchange(&storage->cleaning, true))
        pool_submit(storage->cleaner_pool, run_round, storage, NULL, NULL);
}
