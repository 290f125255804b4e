/* storage.c - start and stop in order; what is looked after now and then.
 *
 *   storage_new   locks, pools
 *   storage_open  directory | topics (logs)
 *   timers on the loop ask for: retention; compaction (cleaner.c); with durability=os a sync of what is dirty once a second,
 *                 which bounds what a power cut takes
 *   storage_stop  pools         storage_free  topics (logs)
 *
 * Housekeeping runs on the admin pool, and takes what the modules above want looked after with it (hooks.housekeep).
 * Compaction has a thread of its own, and so has the reading of what lies on the disk (scrub.c).
 */
#include "storage/storage_int.h"

enum { REAP_MS = 1000 };

/* --- housekeeping --- */

static void sync_if_dirty(struct partition *part, void *arg)
{
    if (!part->fsync && log_is_dirty(part->log))
        partition_kick_sync(part);
}

static void on_sync_timer(struct loop_timer *timer)
{
    struct storage *storage = LIST_ENTRY(timer, struct storage, sync_timer);
    storage_each_partition(storage, sync_if_dirty, NULL);
    loop_timer_start(timer, OS_SYNC_MS);
}

static void retain(struct partition *part, void *arg)
{
    struct storage *storage = arg;
    struct log_retained retained = {0};
    struct err err;
    if (partition_is_deleted(part) || log_offline_reason(part->log) != NULL)
        return;
    if (!log_retain(part->log, io_now_ms(storage->io), &retained, &err))
        log_warn("broker", "retention_failed", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(part->topic),
                 part->id, err.text);
    if (retained.segments != 0) {
        log_info("broker", "segments_removed", "topic=%.*s partition=%d segments=%u bytes=%llu",
                 STR_ARG(part->topic), part->id, retained.segments, (unsigned long long)retained.bytes);
        partition_notify(part, PARTITION_WATCH_STATE);
    }
}

static void close_files(struct partition *part, void *arg)
{
    ignore(!log_flush(part->log, log_durable_offset(part->log), NULL), "then its files stay open");
    log_close_files(part->log, true);
}

static void close_all_files(void *arg)
{
    struct storage *storage = arg;
    storage_each_partition(storage, close_files, NULL);
    atomic_store(&storage->closing_files, false);
}

void storage_close_files(struct storage *storage)
{
    if (!atomic_load(&storage->stopping) && !atomic_exchange(&storage->closing_files, true))
        pool_submit(storage->admin_pool, close_all_files, storage, NULL, NULL);
}

static void reap_one(struct partition *part, void *arg)
{
    log_reap(part->log, io_now_ms(part->storage->io));
}

static void reap(void *arg)
{
    struct storage *storage = arg;
    storage_each_partition(storage, reap_one, NULL);
    atomic_store(&storage->reaping, false);
}

static void on_reap_timer(struct loop_timer *timer)
{
    struct storage *storage = LIST_ENTRY(timer, struct storage, reap_timer);
    if (atomic_load(&storage->doomed_files) == 0)
        return;
    if (!atomic_exchange(&storage->reaping, true))
        pool_submit(storage->admin_pool, reap, storage, NULL, NULL);
    loop_timer_start(timer, REAP_MS);
}

static void start_reaping(struct loop_call *call)
{
    struct storage *storage = LIST_ENTRY(call, struct storage, reap_call);
    if (!loop_timer_is_on(&storage->reap_timer) && !atomic_load(&storage->stopping))
        loop_timer_start(&storage->reap_timer, REAP_MS);
}

void storage_reap(struct storage *storage)
{
    if (atomic_load(&storage->doomed_files) != 0 && !atomic_load(&storage->stopping))
        loop_post(storage->loop, &storage->reap_call);
}

static void housekeep(void *arg)
{
    enum { HISTORY_RECORDS = 20000 };
    struct storage *storage = arg;
    struct err err;
    storage_each_partition(storage, retain, storage);
    storage_reap(storage);
    storage->hooks.housekeep(storage->hooks.arg);
    if (!replay_rewrite(storage->topics_replay, HISTORY_RECORDS, &err))
        log_warn("broker", "rewrite_failed", "cause=\"%s\"", err.text);
    atomic_store(&storage->retaining, false);
}

static void on_retention_timer(struct loop_timer *timer)
{
    struct storage *storage = LIST_ENTRY(timer, struct storage, retention_timer);
    if (!atomic_exchange(&storage->retaining, true))
        pool_submit(storage->admin_pool, housekeep, storage, NULL, NULL);
    scrub_wake(storage);
    loop_timer_start(timer, LIVE(storage, retention_check_interval_ms));
}

static void on_cleaner_timer(struct loop_timer *timer)
{
    struct storage *storage = LIST_ENTRY(timer, struct storage, cleaner_timer);
    cleaner_wake(storage);
    loop_timer_start(timer, LIVE(storage, cleaner_backoff_ms));
}

static void on_configured(struct loop_call *call)
{
    struct storage *storage = LIST_ENTRY(call, struct storage, configured_call);
    if (loop_timer_is_on(&storage->retention_timer)) /* else it stops, or has not begun */
        loop_timer_start(&storage->retention_timer, LIVE(storage, retention_check_interval_ms));
}

void storage_configure(struct storage *storage)
{
    topics_configure(storage, STR_NULL);
    loop_post(storage->loop, &storage->configured_call);
}

void storage_start_timers(struct storage *storage)
{
    if (storage->config->durability == STORAGE_OS)
        loop_timer_start(&storage->sync_timer, OS_SYNC_MS);
    loop_timer_start(&storage->retention_timer, LIVE(storage, retention_check_interval_ms));
    loop_timer_start(&storage->cleaner_timer, LIVE(storage, cleaner_backoff_ms));
}

void storage_stop_timers(struct storage *storage)
{
    atomic_store(&storage->stopping, true);
    loop_timer_stop(&storage->sync_timer);
    loop_timer_stop(&storage->retention_timer);
    loop_timer_stop(&storage->cleaner_timer);
    loop_timer_stop(&storage->reap_timer);
    loop_call_cancel(storage->loop, &storage->reap_call);
    loop_call_cancel(storage->loop, &storage->configured_call);
}

/* --- start and stop --- */

struct storage *storage_new(const struct storage_options *options)
{
    struct storage *storage = mem_new(struct storage);
    storage->config = options->config;
    storage->server_table = options->server_table;
    storage->given = options->given;
    storage->defaults = options->defaults;
    storage->hooks = options->hooks;
    storage->io = options->io;
    storage->metrics = options->metrics;
    storage->loop = options->loop;
    pthread_mutex_init(&storage->admin_lock, NULL);
    pthread_rwlock_init(&storage->topics_lock, NULL);
    pthread_mutex_init(&storage->dead_lock, NULL);
    pthread_cond_init(&storage->dead_cond, NULL);
    loop_timer_init(&storage->sync_timer, storage->loop, on_sync_timer);
    loop_timer_init(&storage->retention_timer, storage->loop, on_retention_timer);
    loop_timer_init(&storage->cleaner_timer, storage->loop, on_cleaner_timer);
    loop_timer_init(&storage->reap_timer, storage->loop, on_reap_timer);
    loop_call_init(&storage->reap_call, start_reaping);
    loop_call_init(&storage->configured_call, on_configured);
    cleaner_open(storage);
    scrub_open(storage);
    sync_init(storage);
    storage->admin_pool = pool_new("admin", 1);
    storage->cleaner_pool = pool_new("cleaner", 1);
    storage->scrub_pool = pool_new("scrub", 1);
    return storage;
}

bool storage_open(struct storage *storage, struct err *err)
{
    return directory_open(storage, err) && topics_open(storage, err);
}

void storage_stop(struct storage *storage)
{
    pool_free(storage->cleaner_pool);
    pool_free(storage->scrub_pool);
    pool_free(storage->admin_pool);
    sync_stop(storage);
}

void storage_free(struct storage *storage)
{
    if (storage == NULL)
        return;
    topics_close(storage);
    sync_fini(storage);
    pthread_mutex_destroy(&storage->admin_lock);
    pthread_rwlock_destroy(&storage->topics_lock);
    pthread_mutex_destroy(&storage->dead_lock);
    pthread_cond_destroy(&storage->dead_cond);
    map_fini(&storage->dead_topics);
    arena_fini(&storage->arena);
    free(storage);
}

struct str storage_cluster_id(const struct storage *storage)
{
    return storage->cluster_id;
}

struct pool *storage_admin_pool(struct storage *storage)
{
    return storage->admin_pool;
}

void storage_topics_lock(struct storage *storage)
{
    replay_lock(storage->topics_replay);
}

void storage_topics_unlock(struct storage *storage)
{
    replay_unlock(storage->topics_replay);
}

struct topics *storage_topics(struct storage *storage)
{
    return storage->topics;
}

struct partition *storage_metadata_partition(struct storage *storage)
{
    return storage->topics_log.part;
}
