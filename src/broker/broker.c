/* broker.c - start and stop in order, the data directory's identity, housekeeping.
 *
 *   start: meta | threads | topics (logs) | groups | transactions | users and rules | listeners
 *   stop:  listener | timers | pools | states | logs | threads
 *
 * Housekeeping runs on the admin pool, asked for by timers on network thread 0: retention, offsets that lapse, topics of
 * states that are mostly history; and with durability=os a sync of what is dirty once a second, which bounds what a power
 * cut takes. Compaction has a thread of its own (cleaner.c).
 */
#include "broker/broker_int.h"

/* --- identity --- */

/* DIR/meta: name=value lines; written once. */
static bool read_meta(struct broker *broker, struct str text, const char *path, struct err *err)
{
    struct str rest = text, line;
    bool format_good = false;
    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("format=1")))
            format_good = true;
        if (str_starts_with(line, STR("cluster.id=")))
            broker->cluster_id = str_dup(str_sub(line, strlen("cluster.id="), line.len), &broker->arena);
    }
    if (!format_good || broker->cluster_id.len != 22)
        return err_set(err, ERR_CORRUPT,
                       "%s is not the description of a data directory that this program can read", path);
    return true;
}

static bool write_meta(struct broker *broker, const char *dir, const char *path, struct err *err)
{
    struct uuid id;
    struct buf text = {0}, word = {0};
    do { /* an id that starts with '-' looks like an option on a command line */
        io_random(broker->io, id.bytes, sizeof id.bytes);
        buf_clear(&word);
        buf_append_uuid(&word, id);
    } while (word.ptr[0] == '-');
    broker->cluster_id = str_dup(buf_str(&word), &broker->arena);
    buf_printf(&text, "format=1\ncluster.id=%s\nnode.id=%d\n", word.ptr, NODE_ID);
    bool good = io_replace_file(broker->io, dir, path, buf_str(&text), err);
    buf_fini(&text);
    buf_fini(&word);
    return good;
}

static bool open_directory(struct broker *broker, struct err *err)
{
    enum { META_BYTES_MAX = 4096 };
    char *dir = str_cstr(broker->config.data_dir, &broker->arena);
    struct str path = str_printf(&broker->arena, "%s/meta", dir);
    struct buf text = {0};
    struct err missing;
    if (!io_make_dirs(broker->io, dir, err))
        return false;
    bool good;
    if (io_read_file(broker->io, path.ptr, META_BYTES_MAX, &text, &missing))
        good = read_meta(broker, buf_str(&text), path.ptr, err);
    else if (missing.code == ERR_NOT_FOUND)
        good = write_meta(broker, dir, path.ptr, err);
    else
        good = err_set(err, missing.code, "%s", missing.text);
    buf_fini(&text);
    return good;
}

/* --- housekeeping --- */

static void sync_if_dirty(struct partition *part, void *arg)
{
    if (!part->fsync && log_is_dirty(part->log))
        partition_kick_sync(part);
}

static void on_sync_timer(struct loop_timer *timer)
{
    struct broker *broker = LIST_ENTRY(timer, struct broker, sync_timer);
    topics_each_partition(broker, sync_if_dirty, NULL);
    loop_timer_start(timer, OS_SYNC_MS);
}

static void retain(struct partition *part, void *arg)
{
    struct broker *broker = arg;
    struct log_retained retained = {0};
    struct err err;
    if (broker_partition_is_deleted(part) || log_offline_reason(part->log) != NULL)
        return;
    if (!log_retain(part->log, io_now_ms(broker->io), &retained, &err))
        log_warn("broker", "retention_failed", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(part->topic),
                 part->id, err.text);
    if (retained.segments != 0) {
        log_info("broker", "segments_removed", "topic=%.*s partition=%d segments=%u bytes=%llu",
                 STR_ARG(part->topic), part->id, retained.segments, (unsigned long long)retained.bytes);
        partition_notify(part, BROKER_WATCH_STATE);
    }
}

static void close_files(struct partition *part, void *arg)
{
    log_close_files(part->log, true);
}

static void close_all_files(void *arg)
{
    struct broker *broker = arg;
    topics_each_partition(broker, close_files, NULL);
    atomic_store(&broker->closing_files, false);
}

void broker_close_files(struct broker *broker)
{
    if (!atomic_load(&broker->stopping) && !atomic_exchange(&broker->closing_files, true))
        pool_submit(broker->admin_pool, close_all_files, broker, NULL, NULL);
}

static void housekeep(void *arg)
{
    struct broker *broker = arg;
    topics_each_partition(broker, retain, broker);
    groups_expire(broker);
    atomic_store(&broker->retaining, false);
}

static void on_retention_timer(struct loop_timer *timer)
{
    struct broker *broker = LIST_ENTRY(timer, struct broker, retention_timer);
    if (!atomic_exchange(&broker->retaining, true))
        pool_submit(broker->admin_pool, housekeep, broker, NULL, NULL);
    loop_timer_start(timer, LIVE(broker, retention_check_interval_ms));
}

static void on_cleaner_timer(struct loop_timer *timer)
{
    struct broker *broker = LIST_ENTRY(timer, struct broker, cleaner_timer);
    cleaner_wake(broker);
    loop_timer_start(timer, LIVE(broker, cleaner_backoff_ms));
}

static void start_timers(struct loop_call *call)
{
    struct broker *broker = LIST_ENTRY(call, struct broker, start_call);
    if (broker->config.durability == BROKER_OS)
        loop_timer_start(&broker->sync_timer, OS_SYNC_MS);
    loop_timer_start(&broker->retention_timer, LIVE(broker, retention_check_interval_ms));
    loop_timer_start(&broker->txn_timer, broker->config.txn_check_interval_ms);
    loop_timer_start(&broker->cleaner_timer, LIVE(broker, cleaner_backoff_ms));
}

static void stop_timers(struct loop_call *call)
{
    struct broker *broker = LIST_ENTRY(call, struct broker, stop_call);
    atomic_store(&broker->stopping, true);
    loop_timer_stop(&broker->sync_timer);
    loop_timer_stop(&broker->retention_timer);
    loop_timer_stop(&broker->txn_timer);
    loop_timer_stop(&broker->cleaner_timer);
    loop_timer_stop(&broker->group_timer);
    loop_call_cancel(net_loop(broker->net, 0), &broker->group_call);
    loop_call_cancel(net_loop(broker->net, 0), &broker->settings_call);
    pthread_mutex_lock(&broker->timers_lock);
    broker->timers_off = true;
    pthread_cond_signal(&broker->timers_cond);
    pthread_mutex_unlock(&broker->timers_lock);
}

/* --- start and stop --- */

static void copy_config(struct broker *broker, const struct broker_config *config)
{
    broker->config = *config;
    broker->config.data_dir = str_dup(config->data_dir, &broker->arena);
    broker->config.kafka_listen = str_dup(config->kafka_listen, &broker->arena);
    broker->config.kafka_advertise = str_dup(config->kafka_advertise, &broker->arena);
    broker->config.consumer_assignors = str_dup(config->consumer_assignors, &broker->arena);
    broker->config.listener_protocols = str_dup(config->listener_protocols, &broker->arena);
    broker->given_config = broker->config;
    broker_config_init(&broker->default_config);
}

/* Who ends a transaction is not held up by a stream of appends: writers first. No thread takes one twice. */
static void init_append_locks(struct broker *broker)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (int i = 0; i < TXN_APPEND_LOCKS; i++)
        pthread_rwlock_init(&broker->txn_append_locks[i], &attr);
    pthread_rwlockattr_destroy(&attr);
}

static void init_locks(struct broker *broker)
{
    pthread_mutex_init(&broker->address_lock, NULL);
    pthread_mutex_init(&broker->admin_lock, NULL);
    pthread_rwlock_init(&broker->topics_lock, NULL);
    pthread_mutex_init(&broker->watch_lock, NULL);
    pthread_mutex_init(&broker->dead_lock, NULL);
    pthread_cond_init(&broker->dead_cond, NULL);
    pthread_mutex_init(&broker->txn_lock, NULL);
    pthread_rwlock_init(&broker->auth_lock, NULL);
    pthread_mutex_init(&broker->jwks_lock, NULL);
    init_append_locks(broker);
    pthread_mutex_init(&broker->timers_lock, NULL);
    pthread_cond_init(&broker->timers_cond, NULL);
    list_init(&broker->topic_watches);
}

static void fini_locks(struct broker *broker)
{
    pthread_mutex_destroy(&broker->address_lock);
    pthread_mutex_destroy(&broker->admin_lock);
    pthread_rwlock_destroy(&broker->topics_lock);
    pthread_mutex_destroy(&broker->watch_lock);
    pthread_mutex_destroy(&broker->dead_lock);
    pthread_cond_destroy(&broker->dead_cond);
    pthread_mutex_destroy(&broker->txn_lock);
    pthread_rwlock_destroy(&broker->auth_lock);
    pthread_mutex_destroy(&broker->jwks_lock);
    for (int i = 0; i < TXN_APPEND_LOCKS; i++)
        pthread_rwlock_destroy(&broker->txn_append_locks[i]);
    pthread_mutex_destroy(&broker->timers_lock);
    pthread_cond_destroy(&broker->timers_cond);
    map_fini(&broker->dead_topics);
}

static bool start_threads(struct broker *broker, struct err *err)
{
    struct net_options options = {.thread_count = (int)broker->config.net_threads,
                                  .conn_max = broker->config.connections_max,
                                  .metrics = broker->metrics};
    broker->net = net_new(&options, err);
    if (broker->net == NULL)
        return false;
    struct loop *loop = net_loop(broker->net, 0);
    loop_timer_init(&broker->sync_timer, loop, on_sync_timer);
    loop_timer_init(&broker->retention_timer, loop, on_retention_timer);
    loop_timer_init(&broker->cleaner_timer, loop, on_cleaner_timer);
    groups_init_clock(broker);
    txns_init_clock(broker);
    loop_call_init(&broker->start_call, start_timers);
    loop_call_init(&broker->stop_call, stop_timers);
    broker->sync_pool = pool_new("sync", (int)broker->config.sync_threads);
    broker->admin_pool = pool_new("admin", 1);
    broker->auth_pool = pool_new("auth", 2);
    broker->cleaner_pool = pool_new("cleaner", 1);
    return true;
}

bool broker_start(struct broker **out, const struct broker_config *config, struct io *io,
                  struct metric_registry *metrics, struct err *err)
{
    struct broker *broker = mem_new(struct broker);
    broker->io = io;
    broker->own_metrics = metrics == NULL ? metric_registry_new() : NULL;
    broker->metrics = metrics == NULL ? broker->own_metrics : metrics;
    atomic_init(&broker->refused_said_ms, INT64_MIN / 2); /* the first one is said */
    copy_config(broker, config);
    init_locks(broker);
    settings_init(broker);
    sessions_open(broker);
    quotas_open(broker);
    cleaner_open(broker);
    bool good = open_directory(broker, err) && start_threads(broker, err) && topics_open(broker, err) &&
                groups_open(broker, err) && txns_open(broker, err) && security_open(broker, err);
    if (good) {
        loop_post(net_loop(broker->net, 0), &broker->start_call);
        good = kafka_listen(broker, err);
    }
    if (!good) {
        broker_stop(broker);
        return false;
    }
    *out = broker;
    return true;
}

static void wait_timers_off(struct broker *broker)
{
    loop_post(net_loop(broker->net, 0), &broker->stop_call);
    pthread_mutex_lock(&broker->timers_lock);
    while (!broker->timers_off)
        pthread_cond_wait(&broker->timers_cond, &broker->timers_lock);
    pthread_mutex_unlock(&broker->timers_lock);
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL)
        return;
    if (broker->net != NULL) {
        net_stop(broker->net);
        wait_timers_off(broker);
        groups_stop(broker);
    }
    if (broker->auth_pool != NULL)
        pool_free(broker->auth_pool);
    if (broker->cleaner_pool != NULL)
        pool_free(broker->cleaner_pool);
    if (broker->admin_pool != NULL)
        pool_free(broker->admin_pool);
    if (broker->sync_pool != NULL)
        pool_free(broker->sync_pool); /* runs what is queued: who waits for a sync is told */
    if (broker->net != NULL)
        net_free(broker->net);
    security_close(broker);
    sessions_close(broker);
    quotas_close(broker);
    txns_close(broker);
    groups_close(broker);
    topics_close(broker);
    settings_fini(broker);
    fini_locks(broker);
    if (broker->own_metrics != NULL)
        metric_registry_free(broker->own_metrics);
    arena_fini(&broker->arena);
    free(broker);
}

struct str broker_cluster_id(const struct broker *broker)
{
    return broker->cluster_id;
}

int64_t broker_connection_count(const struct broker *broker)
{
    return atomic_load(&broker->connection_count);
}
