/* log.c - life of a log: open, close, delete; its plain getters.
 *
 *   log_open    -> log_new -> log_recover
 *   log_close   -> log_checkpoint -> log_free
 *   log_delete  -> rename to <dir>.<random>-delete -> remove the files -> log_free
 *
 * The rename is the moment of deletion: a crash after it leaves a directory that log_purge removes, a crash
 * before it leaves the log whole; a new log of the same name never meets files of the old one.
 */
#include "log/log_int.h"

#include <errno.h>
#include <stdio.h>

struct log_config log_config_default(void)
{
    return (struct log_config){
        .durability = LOG_FSYNC,
        .segment_bytes = 1 << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .index_interval_bytes = 4096,
        .index_bytes_max = 10 << 20,
        .message_bytes_max = 1048588,
        .retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_bytes = -1,
        .retention_on = true,
        .delete_retention_ms = INT64_C(24) * 3600 * 1000,
        .compaction_lag_max_ms = INT64_MAX,
        .cleanable_ratio_min = 0.5,
        .codec_levels = {[CODEC_GZIP] = -1, [CODEC_LZ4] = 9, [CODEC_ZSTD] = 3},
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600 * 1000,
        .producer_expiration_ms = INT64_C(24) * 3600 * 1000,
        .checkpoint_bytes = 64 << 20,
        .cut_keep_ms = INT64_C(30) * 24 * 3600 * 1000,
    };
}

/* The directory that holds the log's. */
static void parent_of(const char *dir, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s", dir);
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        snprintf(out, LOG_PATH_BYTES, ".");
    else
        slash[slash == out] = '\0';
}

struct log *log_new(const char *dir, const char *name, const struct log_config *config, struct io *io)
{
    struct log *log = mem_new(struct log);
    log->io = io;
    log->dir = mem_dup(dir, strlen(dir) + 1);
    log->name = mem_dup(name, strlen(name) + 1);
    log->config = *config;
    char parent[LOG_PATH_BYTES];
    parent_of(dir, parent);
    log->names_own = config->names == NULL ? log_names_new(parent, io) : NULL;
    log->names = config->names == NULL ? log->names_own : config->names;
    log->checkpoint_base = INT64_MAX;
    list_init(&log->txns);
    pthread_mutex_init(&log->compact_lock, NULL);
    pthread_mutex_init(&log->sync_lock, NULL);
    pthread_mutex_init(&log->flush_lock, NULL);
    pthread_mutex_init(&log->append_lock, NULL);
    pthread_mutex_init(&log->checkpoint_lock, NULL);
    pthread_mutex_init(&log->abort_lock, NULL);
    pthread_mutex_init(&log->load_lock, NULL);
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void log_free(struct log *log)
{
    producers_clear(log);
    for (size_t i = 0; i < log->segs.len; i++)
        segment_unref(log->segs.at[i]);
    vec_fini(&log->segs);
    while (log->doomed.len > 0)
        segment_forget_doomed(log, log->doomed.len - 1);
    vec_fini(&log->doomed);
    pthread_mutex_destroy(&log->compact_lock);
    pthread_mutex_destroy(&log->sync_lock);
    pthread_mutex_destroy(&log->flush_lock);
    pthread_mutex_destroy(&log->append_lock);
    pthread_mutex_destroy(&log->checkpoint_lock);
    pthread_mutex_destroy(&log->abort_lock);
    pthread_mutex_destroy(&log->load_lock);
    pthread_mutex_destroy(&log->lock);
    log_names_free(log->names_own);
    free(log->offline_reason);
    free(log->last_cut.path);
    free(log->dir);
    free(log->name);
    free(log);
}

#define SWAP(a, b)                 \
    do {                           \
        __typeof__(a) swap_ = (a); \
        (a) = (b);                 \
        (b) = swap_;               \
    } while (0)

void log_swap(struct log *log, struct log *fresh)
{
    struct list txns;
    list_init(&txns);
    pthread_mutex_lock(&log->lock);
    list_take(&txns, &log->txns);
    list_take(&log->txns, &fresh->txns);
    list_take(&fresh->txns, &txns);
    SWAP(log->segs, fresh->segs);
    SWAP(log->producers, fresh->producers);
    SWAP(log->end, fresh->end);
    SWAP(log->durable, fresh->durable);
    SWAP(log->synced, fresh->synced);
    SWAP(log->dir_made, fresh->dir_made);
    SWAP(log->dir_dirty, fresh->dir_dirty);
    SWAP(log->dir_sure, fresh->dir_sure);
    SWAP(log->name_round, fresh->name_round); /* both have the same `names` */
    atomic_store_explicit(&log->unread, false, memory_order_release);
    SWAP(log->checkpoint_base, fresh->checkpoint_base);
    log->has_cuts |= fresh->has_cuts;
    SWAP(log->cleaned_offset, fresh->cleaned_offset);
    SWAP(log->loose, fresh->loose);
    atomic_store(&log->aborted_distrusted, atomic_load(&fresh->aborted_distrusted));
    SWAP(log->bytes_since_checkpoint, fresh->bytes_since_checkpoint);
    SWAP(log->checkpoint_dirty, fresh->checkpoint_dirty);
    SWAP(log->checkpoint_due, fresh->checkpoint_due);
    atomic_store(&log->start_offset, log_start_offset(fresh));
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
}

struct log *log_open(const char *dir, const char *name, const struct log_config *config, struct io *io,
                     struct err *err)
{
    enum { FILE_NAME_BYTES = 64 };
    if (strlen(dir) > LOG_PATH_BYTES - FILE_NAME_BYTES) {
        err_set(err, ERR_LIMIT, "log %s: the path of its directory is too long", name);
        return NULL;
    }
    struct log *log = log_new(dir, name, config, io);
    if (log_recover(log, err))
        return log;
    err_context(err, "log %s cannot be opened", name);
    log_free(log);
    return NULL;
}

struct log *log_open_offline(const char *dir, const char *name, const struct log_config *config,
                             struct io *io, const struct err *why)
{
    struct log *log = log_new(dir, name, config, io);
    struct err cause = *why;
    atomic_store(&log->unread, true);
    log_set_offline(log, &cause);
    return log;
}

bool log_check_readable(const struct log *log, struct err *err)
{
    if (!atomic_load_explicit(&((struct log *)log)->unread, memory_order_acquire))
        return true;
    return err_set(err, ERR_STORAGE, "%s", log->offline_reason);
}

void log_abandon(struct log *log)
{
    if (log != NULL)
        log_free(log);
}

/* Syncs, and writes a checkpoint where the next start would otherwise read much: of thousands of logs few were written to. */
static bool settle_end(struct log *log, struct err *err)
{
    enum { CHEAP_SCAN_BYTES = 64 << 10 };
    pthread_mutex_lock(&log->lock);
    bool cheap = !log->checkpoint_due && log->bytes_since_checkpoint < CHEAP_SCAN_BYTES;
    pthread_mutex_unlock(&log->lock);
    return cheap ? log_flush(log, log_end_offset(log), err) : log_checkpoint(log, err);
}

void log_close(struct log *log)
{
    struct err err;
    if (log == NULL)
        return;
    /* An unsettled log is left as it was found: a sync that fails would cut off what may have been acknowledged. */
    if (!log->unsettled && log_offline_reason(log) == NULL && !settle_end(log, &err))
        log_warn("log", "close_failed", "log=%s cause=%s", log->name, err.text);
    log_free(log);
}

bool log_delete(struct log *log, struct err *err)
{
    char doomed[LOG_PATH_BYTES];
    uint32_t random;
    io_random(log->io, &random, sizeof random);
    int len = snprintf(doomed, sizeof doomed, "%s.%08x-delete", log->dir, random);
    ASSERT(len > 0 && (size_t)len < sizeof doomed);
    int rc = io_rename(log->io, log->dir, doomed);
    bool ok = rc >= 0 || rc == -ENOENT; /* nothing was ever written */
    if (!ok)
        err_set_errno(err, -rc, "log %s: directory cannot be renamed for deletion", log->name);
    else if (rc == 0 && !(ok = log_names_sync(log->names, err)))
        err_context(err, "log %s", log->name);
    struct err why;
    if (ok && !io_remove_tree(log->io, doomed, &why))
        log_warn("log", "files_kept", "log=%s cause=%s", log->name, why.text); /* log_purge tries again */
    log_free(log);
    return ok;
}

static void collect_doomed(void *arg, const char *name)
{
    if (str_ends_with(str_from(name), STR("-delete")))
        buf_append(arg, name, strlen(name) + 1);
}

bool log_purge(const char *logs_dir, struct io *io, struct err *err)
{
    struct buf names = {0};
    char path[LOG_PATH_BYTES];
    int rc = io_list(io, logs_dir, collect_doomed, &names);
    bool ok = rc >= 0 || rc == -ENOENT || err_set_errno(err, -rc, "%s: cannot be listed", logs_dir);
    for (const char *name = names.ptr; ok && name < names.ptr + names.len; name += strlen(name) + 1) {
        snprintf(path, sizeof path, "%s/%s", logs_dir, name);
        ok = io_remove_tree(io, path, err);
    }
    buf_fini(&names);
    return ok;
}

void log_set_config(struct log *log, const struct log_config *config)
{
    pthread_mutex_lock(&log->append_lock);
    pthread_mutex_lock(&log->lock);
    log->config = *config;
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->append_lock);
}

struct log_config log_get_config(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    struct log_config config = log->config;
    pthread_mutex_unlock(&log->lock);
    return config;
}

static int64_t load(const _Atomic int64_t *offset)
{
    return atomic_load_explicit((_Atomic int64_t *)offset, memory_order_acquire);
}

int64_t log_start_offset(const struct log *log)
{
    return load(&log->start_offset);
}

int64_t log_end_offset(const struct log *log)
{
    return load(&log->end_offset);
}

int64_t log_durable_offset(const struct log *log)
{
    return load(&log->durable_offset);
}

int64_t log_high_watermark(const struct log *log)
{
    return load(&log->hw_offset);
}

uint64_t log_size_bytes(struct log *log)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->segs.len; i++)
        bytes += log->segs.at[i]->end_pos;
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

const char *log_name(const struct log *log)
{
    return log->name;
}

int32_t log_leader_epoch(const struct log *log)
{
    return 0;
}

void log_offset_for_epoch(struct log *log, int32_t epoch, int32_t *out_epoch, int64_t *out_end)
{
    bool known = epoch == log_leader_epoch(log);
    *out_epoch = known ? epoch : -1;
    *out_end = known ? log_end_offset(log) : -1;
}
