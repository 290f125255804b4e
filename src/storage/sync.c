/* sync.c - how what was appended becomes durable: rounds over all partitions that ask for it.
 *
 *   partition_append --+--> short tails of synced partitions: a queue --round--> copied into frames of the write-ahead log
 *                      |      (wal), one write and one sync for all of them; then all who wait are told. What came meanwhile is
 *                      |      the next round
 *                      `--> the others (long tails, durability=os), and those that found no room in a frame: a job each,
 *                             fdatasync of the partition's own file, several at a time
 *
 *   upkeep (thread wal-0)   makes the next file of the wal; a full one is used again when all partitions in it were synced
 *   start                   what the partitions' files lack is appended again from the wal, before they are settled
 *
 * (S1) One round at a time. It holds the sync locks of the logs in its frame; a log whose lock is taken goes by its own job,
 *      and a round waits for nothing but the frame.
 * (S2) A tail longer than TAIL_BYTES_MAX is not worth writing twice: its own sync costs little a byte.
 * (S3) When a frame fails, its partitions are synced by their own jobs: the wal being gone is no reason to fail an append.
 * (S4) What is in the wal stays there until the partition's own file is synced. One that is offline keeps its files there.
 */
#include "storage/storage_int.h"

enum { TAIL_BYTES_MAX = 32 << 10, FRAME_TAILS_MAX = 1024, FILE_COUNT = 8 };
static const uint64_t file_bytes_max = 32 << 20;
static const uint64_t file_bytes_min = 16 << 10;

struct round {
    struct storage *storage;
    size_t count; /* tails in the frame */
    struct {
        struct partition *part;
        struct log_tail tail;
    } tails[FRAME_TAILS_MAX];
};

/* --- a partition by itself --- */

static void sync_alone(void *arg)
{
    struct partition *part = arg;
    struct storage *storage = part->storage;
    struct err err = {0};
    bool good = log_sync(part->log, &err);
    if (partition_synced(part, good, &err))
        sync_ask(storage, part);
    else
        partition_unref(part);
}

static void go_alone(struct storage *storage, struct partition *part)
{
    pool_submit(storage->sync_pool, sync_alone, part, NULL, NULL);
}

/* --- rounds --- */

/* Tells those whose tails were in the frame; who has more by now is in the next round. */
static void end_frame(struct round *round, bool good)
{
    struct storage *storage = round->storage;
    for (size_t i = 0; i < round->count; i++)
        log_tail_end(round->tails[i].part->log, &round->tails[i].tail, good);
    for (size_t i = 0; i < round->count; i++) {
        struct partition *part = round->tails[i].part;
        if (!good)
            go_alone(storage, part); /* S3 */
        else if (partition_synced(part, true, NULL))
            sync_ask(storage, part);
        else
            partition_unref(part);
    }
    round->count = 0;
}

static void commit_frame(struct round *round)
{
    if (round->count == 0)
        return;
    bool good = wal_commit(round->storage->wal, NULL);
    metric_add(round->storage->wal_meters.frames, good);
    end_frame(round, good);
}

/* Copies the partition's tail into the frame. False: not this one. */
static bool take_tail(struct round *round, struct partition *part)
{
    struct wal *wal = round->storage->wal;
    struct log_tail tail;
    if (!log_tail_begin(part->log, TAIL_BYTES_MAX, &tail))
        return false;
    struct wal_entry entry = {.key = part->key,
                              .base_offset = tail.base_offset,
                              .end_offset = tail.end_offset,
                              .bytes = str_of(NULL, tail.len)};
    char *room = round->count < FRAME_TAILS_MAX ? wal_add(wal, &entry) : NULL;
    if (room == NULL && round->count != 0) {
        commit_frame(round);
        room = wal_add(wal, &entry);
    }
    if (room != NULL && !log_tail_read(part->log, &tail, room, NULL)) {
        wal_take_back(wal);
        room = NULL;
    }
    if (room == NULL) {
        log_tail_end(part->log, &tail, false);
        return false;
    }
    metric_add(round->storage->wal_meters.bytes, (int64_t)tail.len);
    round->tails[round->count].part = part;
    round->tails[round->count++].tail = tail;
    return true;
}

static void upkeep_wake(struct storage *storage);

static void run_rounds(void *arg)
{
    struct storage *storage = arg;
    struct round *round = storage->round;
    pthread_mutex_lock(&storage->sync_lock);
    while (!list_empty(&storage->sync_queue)) {
        struct list taken;
        list_init(&taken);
        list_take(&taken, &storage->sync_queue);
        pthread_mutex_unlock(&storage->sync_lock);
        list_each_safe (struct partition, part, &taken, sync_link) {
            list_remove(&part->sync_link);
            if (!take_tail(round, part))
                go_alone(storage, part);
        }
        commit_frame(round);
        if (wal_has_work(storage->wal))
            upkeep_wake(storage);
        pthread_mutex_lock(&storage->sync_lock);
    }
    storage->sync_running = false;
    pthread_mutex_unlock(&storage->sync_lock);
}

/* Is it worth a round, which costs a hand-over between threads? */
static bool is_for_frame(const struct storage *storage, const struct partition *part)
{
    return storage->wal != NULL && part->in_wal && log_tail_bytes(part->log) <= TAIL_BYTES_MAX;
}

void sync_ask_all(struct storage *storage, struct list *parts)
{
    list_each_safe (struct partition, part, parts, sync_link) {
        if (is_for_frame(storage, part))
            continue;
        list_remove(&part->sync_link);
        go_alone(storage, part);
    }
    if (list_empty(parts))
        return;
    pthread_mutex_lock(&storage->sync_lock);
    list_take(&storage->sync_queue, parts);
    bool start = !storage->sync_running;
    storage->sync_running = true;
    pthread_mutex_unlock(&storage->sync_lock);
    if (start)
        pool_submit(storage->sync_pool, run_rounds, storage, NULL, NULL);
}

void sync_ask(struct storage *storage, struct partition *part)
{
    struct list one;
    list_init(&one);
    list_push_back(&one, &part->sync_link);
    sync_ask_all(storage, &one);
}

/* --- upkeep --- */

/* The partition's own file holds all of it, or nobody will ask for it again. */
static bool settle_entry(void *arg, const struct wal_key *key, int64_t end_offset)
{
    struct storage *storage = arg;
    struct uuid topic;
    bool known;
    memcpy(topic.bytes, key->topic, sizeof topic.bytes);
    struct partition *part = storage_partition_by_id(storage, topic, key->partition, &known);
    bool good = part == NULL || log_flush(part->log, end_offset, NULL);
    partition_unref(part);
    return good;
}

static void upkeep(void *arg)
{
    struct storage *storage = arg;
    struct err err = {0};
    bool made = wal_make_spare(storage->wal, &err);
    if (!made && !storage->wal_fails) /* said once, until one could be made */
        log_warn("broker", "wal_file_not_made", "cause=\"%s\" then=partitions_are_synced_one_by_one",
                 err.text);
    storage->wal_fails = !made;
    wal_reclaim(storage->wal, settle_entry, storage);
    metric_set(storage->wal_meters.files, wal_stats(storage->wal).files);
    atomic_store(&storage->wal_upkeep, false);
}

static void upkeep_wake(struct storage *storage)
{
    if (!atomic_exchange(&storage->wal_upkeep, true))
        pool_submit(storage->wal_pool, upkeep, storage, NULL, NULL);
}

/* --- life --- */

void sync_init(struct storage *storage)
{
    struct wal_meters *meters = &storage->wal_meters;
    pthread_mutex_init(&storage->sync_lock, NULL);
    list_init(&storage->sync_queue);
    storage->round = mem_new(struct round);
    storage->round->storage = storage;
    meters->frames = metric_counter(storage->metrics, "rialto_wal_frames_total", NO_LABELS);
    meters->bytes = metric_counter(storage->metrics, "rialto_wal_bytes_total", NO_LABELS);
    meters->files = metric_gauge(storage->metrics, "rialto_wal_files", NO_LABELS);
    storage->sync_pool = pool_new("sync", (int)storage->config->sync_threads);
    storage->wal_pool = pool_new("wal", 1);
}

bool sync_open(struct storage *storage, struct err *err)
{
    uint64_t bytes =
        MIN(file_bytes_max, (uint64_t)storage->config->wal_bytes_max / FILE_COUNT) & ~(uint64_t)4095;
    struct arena arena = {0};
    struct wal_config config = {.dir = str_printf(&arena, "%.*s/wal", STR_ARG(storage->config->data_dir)).ptr,
                                .file_bytes = MAX(bytes, file_bytes_min),
                                .file_max = bytes >= file_bytes_min ? FILE_COUNT : 0};
    storage->wal = wal_open(&config, storage->io, err);
    arena_fini(&arena);
    return storage->wal != NULL;
}

struct redo {
    struct storage *storage;
    uint64_t entries, lost;
};

static bool redo_entry(void *arg, const struct wal_entry *entry)
{
    struct redo *redo = arg;
    struct uuid topic;
    struct err err = {0};
    bool known;
    memcpy(topic.bytes, entry->key.topic, sizeof topic.bytes);
    struct partition *part = storage_partition_by_id(redo->storage, topic, entry->key.partition, &known);
    if (part == NULL) /* of a topic that was deleted */
        return false;
    bool good = log_redo(part->log, entry->bytes, &err), lost = !good && err.code == ERR_CORRUPT;
    redo->entries++;
    redo->lost += lost;
    if (lost)
        log_error("broker", "wal_gap", "topic=%.*s partition=%d cause=\"%s\"", STR_ARG(part->topic), part->id,
                  err.text);
    partition_unref(part);
    return !lost;
}

bool sync_redo(struct storage *storage, struct err *err)
{
    struct redo redo = {.storage = storage};
    if (!wal_replay(storage->wal, redo_entry, &redo, err))
        return false;
    if (redo.entries != 0)
        log_info("broker", "wal_replayed", "entries=%llu lost=%llu", (unsigned long long)redo.entries,
                 (unsigned long long)redo.lost);
    return true;
}

void sync_start(struct storage *storage)
{
    if (wal_stats(storage->wal).files != 0)
        upkeep_wake(storage);
}

static bool redo_own(void *arg, const struct wal_entry *entry)
{
    struct log *log = arg;
    ignore(!log_redo(log, entry->bytes, NULL), "the log says so and stays offline");
    return true;
}

bool sync_redo_one(void *arg, struct log *log, struct err *err)
{
    struct partition *part = arg;
    if (part->storage->wal == NULL || !part->in_wal)
        return true;
    return wal_each(part->storage->wal, &part->key, redo_own, log, err) && log_check_readable(log, err);
}

void sync_stop(struct storage *storage)
{
    pool_free(storage->sync_pool); /* runs what is queued: who waits for a sync is told */
    pool_free(storage->wal_pool);
    if (storage->wal == NULL)
        return;
    wal_seal(storage->wal);
    wal_reclaim(storage->wal, settle_entry, storage);
}

void sync_fini(struct storage *storage)
{
    wal_close(storage->wal);
    free(storage->round);
    pthread_mutex_destroy(&storage->sync_lock);
}
