/* partition.c - a partition at work: appends, the shared sync, who waits, who watches.
 *
 *   append -> written, not durable --+
 *   append -> written, not durable --+--> asks for a sync (sync.c) --> waits up to the durable offset are told,
 *   append -> ...                    |                                 watches hear that there is more to see
 *                                    +--> came meanwhile: asks again
 *
 * (P1) A partition asks once (`syncing`), until what it asked for has ended; then again when there is more to do.
 * (P2) A wait is told exactly once, outside the lock. A watch is told under the lock, so that none is told after its
 *      removal.
 * (P3) A failed sync fails all waits; the log is offline from then on and says so to the next append. A log that was offline
 *      because the disk was full comes back by itself; what it dropped is told by its incarnation.
 * (P4) References: handles given out, entries of topics, jobs. The last one closes the log, or deletes it when the topic is
 *      gone.
 * (P5) Pipelined produces share a sync: the job that the first of them asks for is held back until all that the connection
 *      has read is appended (partition_append_all, `held`). Without that the first would be synced alone while the others
 *      are appended.
 */
#include "base/latch.h"
#include "storage/storage_int.h"

static struct log_config own_config(struct partition *part, const struct log_config *config)
{
    struct storage *storage = part->storage;
    struct log_config own = *config;
    own.durability = part->fsync ? LOG_FSYNC : LOG_OS;
    own.redo = sync_redo_one;
    own.redo_arg = part;
    own.open_files = &storage->open_files;
    own.names = storage->names;
    own.doomed_files = &storage->doomed_files;
    own.cut_keep_ms = LIVE(storage, cut_keep_ms);
    own.damaged = storage->scrub_meters.damaged;
    return own;
}

void partition_reap(struct partition *part)
{
    storage_reap(part->storage);
}

void partition_configure(struct partition *part, const struct log_config *config)
{
    struct log_config own = own_config(part, config);
    atomic_store_explicit(&part->eager, part->fsync || own.flush_ms < OS_SYNC_MS, memory_order_relaxed);
    log_set_config(part->log, &own);
}

/* Opens the log of a partition that has all but that. */
static bool open_log(struct partition *part, const struct log_config *config, struct err *err)
{
    struct storage *storage = part->storage;
    struct arena arena = {0};
    struct log_config own = own_config(part, config);
    own.settle_later = storage->settle_later;
    struct str name = str_printf(&arena, "%.*s-%d", STR_ARG(part->topic), part->id);
    struct str dir = str_printf(&arena, "%.*s/log/%.*s", STR_ARG(storage->config->data_dir), STR_ARG(name));
    struct err why = {0};
    part->log = log_open(dir.ptr, name.ptr, &own, storage->io, &why);
    /* One bad file of many does not keep a start from serving the rest; the broker's own states must be whole. */
    if (part->log == NULL && storage->settle_later && !is_internal_topic(part->topic))
        part->log = log_open_offline(dir.ptr, name.ptr, &own, storage->io, &why);
    if (part->log == NULL && err != NULL)
        *err = why;
    arena_fini(&arena);
    return part->log != NULL;
}

static void free_partition(struct partition *part)
{
    pthread_mutex_destroy(&part->lock);
    free((char *)part->topic.ptr);
    free(part);
}

struct partition *partition_open(struct storage *storage, const struct partition_spec *spec, struct err *err)
{
    struct partition *part = mem_new(struct partition);
    atomic_init(&part->refs, 1);
    part->storage = storage;
    part->topic = str_of(mem_dup(spec->topic.ptr, spec->topic.len), spec->topic.len);
    part->id = spec->id;
    part->fsync = spec->fsync;
    part->in_wal = spec->fsync && spec->topic_id != NULL;
    if (spec->topic_id != NULL)
        memcpy(part->key.topic, spec->topic_id->bytes, sizeof part->key.topic);
    part->key.partition = spec->id;
    atomic_init(&part->eager, spec->fsync || spec->config->flush_ms < OS_SYNC_MS);
    pthread_mutex_init(&part->lock, NULL);
    list_init(&part->waits);
    list_init(&part->watches);
    list_init(&part->sync_link);
    if (open_log(part, spec->config, err))
        return part;
    free_partition(part);
    return NULL;
}

struct partition *partition_ref(struct partition *part)
{
    int before = atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
    ASSERT_CMP(before, >, 0);
    return part;
}

static void drop_meters(struct storage *storage, const struct topic_meters *meters)
{
    metric_remove(storage->metrics, meters->appended_bytes);
    metric_remove(storage->metrics, meters->appended_records);
    metric_remove(storage->metrics, meters->fetched_bytes);
}

/* One partition less of a deleted topic; after the last its name may be taken again (a create waits for that). */
static void leave_dead(struct partition *part)
{
    struct storage *storage = part->storage;
    pthread_mutex_lock(&storage->dead_lock);
    size_t left = (size_t)(uintptr_t)map_get(&storage->dead_topics, part->topic);
    if (left <= 1) {
        map_remove(&storage->dead_topics, part->topic);
        drop_meters(storage, &part->meters);
    } else {
        map_put(&storage->dead_topics, part->topic, (void *)(uintptr_t)(left - 1));
    }
    pthread_cond_broadcast(&storage->dead_cond);
    pthread_mutex_unlock(&storage->dead_lock);
}

void partition_unref(struct partition *part)
{
    struct err err;
    if (part == NULL || atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) != 1)
        return;
    ASSERT(list_empty(&part->waits));
    if (part->uncleanable)
        metric_add(part->storage->cleaner_meters.uncleanable, -1);
    if (!atomic_load(&part->deleted)) {
        log_close(part->log);
    } else {
        if (!log_delete(part->log, &err)) {
            log_warn("broker", "partition_delete_failed", "topic=%.*s partition=%d cause=\"%s\"",
                     STR_ARG(part->topic), part->id, err.text);
            atomic_store(&part->storage->strays, true);
        }
        leave_dead(part);
    }
    free_partition(part);
}

struct str partition_topic(const struct partition *part)
{
    return part->topic;
}

int32_t partition_id(const struct partition *part)
{
    return part->id;
}

struct log *partition_log(const struct partition *part)
{
    return part->log;
}

bool partition_is_synced(const struct partition *part)
{
    return part->fsync;
}

void partition_count_fetched(struct partition *part, int64_t bytes)
{
    metric_add(part->meters.fetched_bytes, bytes);
}

int64_t partition_start(struct partition *part)
{
    return log_start_offset(part->log);
}

int64_t partition_end(struct partition *part)
{
    return log_end_offset(part->log);
}

int64_t partition_hw(struct partition *part)
{
    return log_high_watermark(part->log);
}

int64_t partition_lso(struct partition *part)
{
    return log_lso(part->log);
}

bool partition_is_deleted(struct partition *part)
{
    return atomic_load_explicit(&part->deleted, memory_order_acquire);
}

/* --- watches --- */

void partition_watch_add(struct partition *part, struct partition_watch *watch)
{
    pthread_mutex_lock(&part->lock);
    list_push_back(&part->watches, &watch->link);
    pthread_mutex_unlock(&part->lock);
}

void partition_watch_remove(struct partition *part, struct partition_watch *watch)
{
    pthread_mutex_lock(&part->lock);
    list_remove(&watch->link);
    pthread_mutex_unlock(&part->lock);
}

static void notify_locked(struct partition *part, int events)
{
    list_each (struct partition_watch, watch, &part->watches, link)
        if ((watch->events | PARTITION_WATCH_STATE) & events)
            watch->fn(watch);
}

void partition_notify(struct partition *part, int events)
{
    pthread_mutex_lock(&part->lock);
    notify_locked(part, events);
    pthread_mutex_unlock(&part->lock);
}

/* --- the shared sync --- */

/* Asks for a sync, or leaves it to whoever holds the list `held` (P5). Under the lock. */
static void queue_sync(struct partition *part, struct list *held)
{
    if (part->syncing)
        return;
    part->syncing = true;
    partition_ref(part);
    if (held != NULL)
        list_push_back(held, &part->sync_link);
    else
        sync_ask(part->storage, part);
}

void partition_kick_sync(struct partition *part)
{
    pthread_mutex_lock(&part->lock);
    queue_sync(part, NULL);
    pthread_mutex_unlock(&part->lock);
}

void partition_start_syncs(struct list *held)
{
    if (!list_empty(held))
        sync_ask_all(LIST_ENTRY(held->next, struct partition, sync_link)->storage, held);
}

enum wait_state { WAIT_PENDING, WAIT_DURABLE, WAIT_LOST };

/* A failed sync drops records, and a log that goes on after it uses their offsets again (P3): an offset alone does not say
 * that what was waited for is there. */
static enum wait_state state_of(const struct partition *part, const struct partition_wait *wait)
{
    struct log_append_result result = {.last_offset = wait->offset - 1, .incarnation = wait->incarnation};
    if (log_durable_offset(part->log) >= wait->offset)
        return wait->any_incarnation || log_is_durable(part->log, &result) ? WAIT_DURABLE : WAIT_LOST;
    return log_end_offset(part->log) < wait->offset ? WAIT_LOST : WAIT_PENDING;
}

/* Moves the waits that are over: those that are durable, and the lost ones, which are all when `all_lost`. Under the lock. */
static void take_waits(struct partition *part, bool all_lost, struct list *durable, struct list *lost)
{
    list_init(durable);
    list_init(lost);
    list_each_safe (struct partition_wait, wait, &part->waits, link) {
        enum wait_state state = all_lost ? WAIT_LOST : state_of(part, wait);
        if (state == WAIT_PENDING)
            continue;
        list_remove(&wait->link);
        list_push_back(state == WAIT_DURABLE ? durable : lost, &wait->link);
    }
}

static void tell_waits(struct list *over, const struct err *failure)
{
    list_each_safe (struct partition_wait, wait, over, link) {
        list_remove(&wait->link);
        wait->fn(wait, failure);
    }
}

static void set_lost(const struct partition *part, struct err *err)
{
    err_set(err, ERR_STORAGE, "partition %.*s-%d: the records were dropped by a failed sync",
            STR_ARG(part->topic), part->id);
}

bool partition_synced(struct partition *part, bool good, const struct err *why)
{
    struct err err;
    struct list durable, lost;
    pthread_mutex_lock(&part->lock);
    take_waits(part, !good, &durable, &lost);
    bool more = good && (!list_empty(&part->waits) || log_is_dirty(part->log));
    part->syncing = more;
    notify_locked(part, PARTITION_WATCH_VISIBLE);
    pthread_mutex_unlock(&part->lock);
    if (good)
        set_lost(part, &err);
    else
        err = *why;
    if (!good && log_offline_reason(part->log) == NULL) /* else it was said when it went offline */
        log_error("broker", "sync_failed", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(part->topic),
                  part->id, err.text);
    tell_waits(&durable, NULL);
    tell_waits(&lost, &err);
    return more;
}

/* Joins the waits, or finds out at once how it ends. Under the lock. */
static enum wait_state enlist(struct partition *part, struct partition_wait *wait, struct err *err)
{
    enum wait_state state = state_of(part, wait);
    const char *offline = log_offline_reason(part->log);
    if (state == WAIT_LOST) {
        set_lost(part, err);
    } else if (state == WAIT_PENDING && partition_is_deleted(part)) {
        err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' was deleted", STR_ARG(part->topic));
        state = WAIT_LOST;
    } else if (state == WAIT_PENDING && offline != NULL) {
        err_set(err, ERR_STORAGE, "partition %.*s-%d: %s", STR_ARG(part->topic), part->id, offline);
        state = WAIT_LOST;
    } else if (state == WAIT_PENDING) {
        list_push_back(&part->waits, &wait->link);
        queue_sync(part, NULL);
    }
    return state;
}

static void start_wait(struct partition *part, struct partition_wait *wait)
{
    struct err err;
    enum wait_state state = WAIT_DURABLE;
    if (part->fsync || wait->even_os) {
        pthread_mutex_lock(&part->lock);
        state = enlist(part, wait, &err);
        pthread_mutex_unlock(&part->lock);
    }
    if (state != WAIT_PENDING)
        wait->fn(wait, state == WAIT_DURABLE ? NULL : &err);
}

void partition_when_durable(struct partition *part, int64_t offset, struct partition_wait *wait)
{
    wait->offset = offset;
    wait->any_incarnation = true;
    start_wait(part, wait);
}

void partition_when_appended(struct partition *part, const struct partition_appended *appended,
                             struct partition_wait *wait)
{
    wait->offset = appended->end_offset;
    wait->incarnation = appended->incarnation;
    wait->any_incarnation = false;
    start_wait(part, wait);
}

struct blocking_wait {
    struct partition_wait wait;
    struct latch over;
};

static void wake_blocked(struct partition_wait *wait, const struct err *failure)
{
    latch_end(&((struct blocking_wait *)wait)->over, failure);
}

bool partition_wait_durable(struct partition *part, int64_t offset, struct err *err)
{
    struct blocking_wait blocked = {.wait = {.fn = wake_blocked, .even_os = true}};
    latch_init(&blocked.over);
    partition_when_durable(part, offset, &blocked.wait);
    return latch_wait(&blocked.over, err);
}

bool partition_wait_appended(struct partition *part, const struct partition_appended *appended,
                             struct err *err)
{
    struct blocking_wait blocked = {.wait.fn = wake_blocked};
    latch_init(&blocked.over);
    partition_when_appended(part, appended, &blocked.wait);
    return latch_wait(&blocked.over, err);
}

void partition_mark_deleted(struct partition *part)
{
    struct err err;
    struct list durable, lost;
    pthread_mutex_lock(&part->lock);
    atomic_store_explicit(&part->deleted, true, memory_order_release);
    take_waits(part, true, &durable, &lost);
    notify_locked(part, PARTITION_WATCH_STATE);
    pthread_mutex_unlock(&part->lock);
    err_set(&err, ERR_UNKNOWN_TOPIC, "topic '%.*s' was deleted", STR_ARG(part->topic));
    tell_waits(&lost, &err);
}

/* --- appending --- */

/* After an append: whoever may read now hears of it; with fsync that is after the sync. */
static void after_append(struct partition *part, bool flush, struct list *held)
{
    pthread_mutex_lock(&part->lock);
    notify_locked(part, part->fsync ? PARTITION_WATCH_END : PARTITION_WATCH_END | PARTITION_WATCH_VISIBLE);
    if (flush || atomic_load_explicit(&part->eager, memory_order_relaxed))
        queue_sync(part, held);
    pthread_mutex_unlock(&part->lock);
}

static bool check_alive(const struct partition *part, struct err *err)
{
    if (!atomic_load_explicit(&part->deleted, memory_order_acquire))
        return true;
    return err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' was deleted", STR_ARG(part->topic));
}

static void refuse_all(struct log_append *const *appends, size_t count, const struct err *why)
{
    for (size_t i = 0; i < count; i++) {
        appends[i]->good = false;
        if (appends[i]->err != NULL)
            *appends[i]->err = *why;
    }
}

void partition_append_all(struct partition *part, struct log_append *const *appends, size_t count,
                          struct list *held)
{
    struct err err;
    int64_t bytes = 0, records = 0;
    bool flush = false;
    if (!check_alive(part, &err)) {
        refuse_all(appends, count, &err);
        return;
    }
    log_append_all(part->log, appends, count);
    for (size_t i = 0; i < count; i++) {
        const struct log_append_result *result = &appends[i]->result;
        if (!appends[i]->good || result->duplicate)
            continue;
        bytes += (int64_t)appends[i]->size;
        records += result->last_offset - result->base_offset + 1;
        flush |= result->flush;
    }
    if (records == 0)
        return;
    if (part->meters.appended_bytes != NULL) { /* __cluster_metadata is not counted */
        metric_add(part->meters.appended_bytes, bytes);
        metric_add(part->meters.appended_records, records);
    }
    after_append(part, flush, held);
}

static void fill_appended(const struct log_append_result *result, struct partition_appended *out)
{
    *out = (struct partition_appended){
        .base_offset = result->base_offset,
        .end_offset = result->last_offset + 1,
        .append_ms = result->append_time_ms,
        .duplicate = result->duplicate,
        .incarnation = result->incarnation,
    };
}

bool partition_append_marker(struct partition *part, int64_t pid, int16_t epoch, enum marker marker,
                             int32_t coordinator_epoch, struct partition_appended *out, struct err *err)
{
    struct log_append_result result;
    if (!check_alive(part, err) ||
        !log_append_marker(part->log, pid, epoch, marker, coordinator_epoch, &result, err))
        return false;
    fill_appended(&result, out);
    after_append(part, result.flush, NULL);
    return true;
}

bool partition_append(struct partition *part, char *batch, size_t size, struct partition_appended *out,
                      struct err *err)
{
    struct log_append one = {.bytes = batch, .size = size, .origin = LOG_INTERNAL, .err = err};
    struct log_append *all[] = {&one};
    partition_append_all(part, all, 1, NULL);
    if (one.good)
        fill_appended(&one.result, out);
    return one.good;
}
