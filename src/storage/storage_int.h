/* storage_int.h - private to src/storage: what a storage is made of.
 *
 * Locks (their order, among those of all modules, is in doc/threads.md): admin_lock, the replay lock of topics_replay,
 * topics_lock, a partition's lock, sync_lock or dead_lock.
 */
#ifndef RIALTO_STORAGE_STORAGE_INT_H
#define RIALTO_STORAGE_STORAGE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/io.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "storage/storage.h"
#include "wal/wal.h"

/* An option that may change while the server runs (`live` in its table). */
#define LIVE(storage, member) __atomic_load_n(&(storage)->config->member, __ATOMIC_RELAXED)

/* With durability=os what is dirty is synced so often. */
enum { OS_SYNC_MS = 1000 };

/* --- partitions (partition.c) --- */

struct partition {
    atomic_int refs;
    struct storage *storage;
    struct str topic; /* owned */
    int32_t id;
    struct log *log;
    bool fsync;  /* readers see what is synced */
    bool in_wal; /* what is appended may become durable in the write-ahead log, under this key */
    struct wal_key key;
    atomic_bool eager; /* a sync follows every append: fsync, or flush.ms is shorter than OS_SYNC_MS */
    struct topic_meters meters;
    atomic_bool deleted;
    pthread_mutex_t lock;
    struct list waits;     /* struct partition_wait */
    struct list watches;   /* struct partition_watch */
    bool syncing;          /* a sync was asked for and has not ended */
    struct list sync_link; /* in the queue for it, or in the list of a connection that will ask */
    /* Of the cleaner's thread: its last round with this one; the last try failed, which was said; damage was met. */
    uint64_t clean_round;
    bool clean_fails, uncleanable;
    int64_t scrubbed_us; /* of the scrub's thread: when it has looked at this one; 0: not yet */
};

struct partition_spec {
    struct str topic;
    const struct uuid *topic_id; /* NULL: of a log that is no topic */
    int32_t id;
    const struct log_config *config;
    bool fsync;
};

struct partition *partition_open(struct storage *storage, const struct partition_spec *spec, struct err *err);

/* Takes the config for what comes. */
void partition_configure(struct partition *part, const struct log_config *config);

/* Tells everybody that there is nothing more: waits fail, watches hear PARTITION_WATCH_STATE. */
void partition_mark_deleted(struct partition *part);

/* Syncs in the background soon. */
void partition_kick_sync(struct partition *part);

/* What was asked for has ended: tells whom it concerns. True: there is more to do, ask again; the reference that came with the
 * request stays with the caller. */
bool partition_synced(struct partition *part, bool good, const struct err *why);

/* --- rounds of syncs, the write-ahead log (sync.c) --- */

struct wal_meters {
    struct metric *frames, *bytes, *files;
};

void sync_init(struct storage *storage);
/* Opens the write-ahead log; gives what it holds to the logs, which are open and not settled yet; then its files are looked
 * after. */
bool sync_open(struct storage *storage, struct err *err);
bool sync_redo(struct storage *storage, struct err *err);
void sync_start(struct storage *storage);
/* Ends the pools; all that is durable is in the partitions' own files then, but for those that are offline. */
void sync_stop(struct storage *storage);
void sync_fini(struct storage *storage);

/* Asks for a sync of partitions whose `syncing` was just set, with a reference each. Any thread. */
void sync_ask(struct storage *storage, struct partition *part);
/* All of a list (by sync_link); it is empty then. */
void sync_ask_all(struct storage *storage, struct list *parts);

/* log_config.redo of a partition. */
bool sync_redo_one(void *partition, struct log *log, struct err *err);

/* --- configs (configs.c) --- */

/* The config of a topic's logs: what is set on it, else the server's. Internal topics: nothing goes by age or key. */
struct log_config log_config_of(const struct storage *storage, const struct topic *topic);

/* --- topics (topics.c) --- */

/* Opens the logs of all topics of the replayed state; makes the internal ones at the first start. */
bool topics_open(struct storage *storage, struct err *err);
void topics_close(struct storage *storage);

/* Gives the logs of a topic, or of all (null), the configs that are in force now. Under admin_lock. */
void topics_configure(struct storage *storage, struct str name);

/* --- the directory (directory.c) --- */

/* Makes the data directory and its identity, or reads it: cluster_id. Blocking. */
bool directory_open(struct storage *storage, struct err *err);

/* --- compaction (cleaner.c) --- */

struct cleaner_meters {
    struct metric *runs, *failures, *read_bytes, *written_bytes, *freed_bytes, *uncleanable;
};

void cleaner_open(struct storage *storage);

/* Starts a round, unless one is running or compaction is switched off. Any thread, before the pool is freed. */
void cleaner_wake(struct storage *storage);

/* --- the disk is read again (scrub.c) --- */

struct scrub_meters {
    struct metric *damaged; /* by whomever it is found */
    struct metric *runs, *read_bytes;
};

void scrub_open(struct storage *storage);

/* Starts a round, unless one is running or it is switched off. Any thread, before the pool is freed. */
void scrub_wake(struct storage *storage);

/* --- housekeeping (storage.c) --- */

/* Segments may have been removed: what file.delete.delay.ms has kept of them goes when it is due. Any thread. */
void storage_reap(struct storage *storage);

/* More segment files are open than log.files.max: closes those that are durable and not being read, soon. Any thread. */
void storage_close_files(struct storage *storage);

struct storage {
    const struct storage_config *config;
    const struct conf_table *server_table;
    const void *given, *defaults;
    struct storage_hooks hooks;
    struct io *io;
    struct metric_registry *metrics;
    struct loop *loop;
    struct arena arena;
    struct str cluster_id; /* in the arena */
    atomic_bool stopping;
    struct pool *sync_pool, *wal_pool; /* the latter: one thread */
    pthread_mutex_t sync_lock;         /* the two below */
    struct list sync_queue;            /* partitions that ask for a sync */
    bool sync_running;                 /* a job works on them */
    struct round *round;               /* that job's */
    struct wal *wal;                   /* NULL before sync_open */
    struct wal_meters wal_meters;
    atomic_bool wal_upkeep;  /* a job is queued or running */
    bool wal_fails;          /* its own: no file could be made, which was said */
    struct pool *admin_pool; /* one thread: topic changes in order */

    pthread_mutex_t admin_lock;
    struct topics *topics;
    struct replay *topics_replay;
    struct state_log topics_log;
    pthread_rwlock_t topics_lock;
    struct map entries, entries_by_id;
    bool settle_later;         /* while all logs are opened: they are made durable together (topics.c) */
    atomic_bool strays;        /* directories of deleted topics may be there (topics.c, C2) */
    pthread_mutex_t dead_lock; /* partitions of deleted topics that are still referenced */
    pthread_cond_t dead_cond;
    struct map dead_topics; /* name -> number of partitions not yet gone */

    struct loop_timer sync_timer, retention_timer, cleaner_timer;
    struct loop_call configured_call;
    struct pool *cleaner_pool; /* one thread */
    struct cleaner_meters cleaner_meters;
    uint64_t cleaner_seed, cleaner_round;
    atomic_bool cleaning;    /* a round is queued or running */
    struct pool *scrub_pool; /* one thread */
    struct scrub_meters scrub_meters;
    uint64_t scrub_seed;
    atomic_bool scrubbing;        /* a round is queued or running */
    atomic_int doomed_files;      /* segments that wait to be removed, of all partitions */
    struct loop_timer reap_timer; /* runs while there are such */
    struct loop_call reap_call;
    atomic_bool reaping;       /* a job that removes them is queued or running */
    atomic_bool retaining;     /* a housekeeping job is queued or running */
    struct log_names *names;   /* of the logs' directories: they become durable together */
    atomic_int open_files;     /* segment files, of all partitions */
    atomic_bool closing_files; /* a job that closes some is queued or running */
};

#endif
