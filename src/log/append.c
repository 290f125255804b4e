/* append.c - the write path: check, number, write by one call, publish.
 *
 *   log_append
 *     check (no lock)            sizes, checksum, records, timestamps
 *     append_lock
 *       producer_check           duplicate? out of order? fenced?
 *       log_roll                 when the active segment is full or old
 *       batch_set_place          offsets, in the caller's bytes
 *       one pwrite               at the end of the active segment
 *       lock: log_publish        end, index entries, producer state, all at once
 *
 * (A1) Nothing is published before it is written whole: readers, syncs and checkpoints only know published
 *      batches.
 * (A2) When a write fails, the file is cut back to the published end. If even that fails the log goes
 *      offline: what lies behind the end is cut or taken by the next recovery, and was never acknowledged.
 * (A3) No allocation per append, but for a new producer, a new transaction, a growing index, or where the topic asks for
 *      another codec than the producer's: those batches are written anew.
 */
#include "log/log_int.h"

#include <errno.h>

/* What the checks found out about the bytes to append. */
struct append {
    struct str bytes;
    struct buf rewritten; /* owns `bytes` when the topic has another codec than the producer */
    enum log_origin origin;
    struct log_config config;
    int64_t now_ms;
    int64_t offset; /* of the next batch */
    uint64_t pos;   /* in the active segment */
    int64_t max_timestamp_ms;
    bool placed; /* the batch has its offset and its times */
};

static bool check_message_size(const struct append *app, size_t size, struct err *err)
{
    return size <= app->config.message_bytes_max ||
           err_set(err, ERR_TOO_LARGE, "record batch: %zu bytes, max.message.bytes is %u", size,
                   app->config.message_bytes_max);
}

static bool check_client_header(const struct append *app, const struct batch *batch, struct err *err)
{
    if (batch->bytes.len != app->bytes.len)
        return err_set(err, ERR_INVALID_RECORD,
                       "%zu bytes follow the record batch; exactly one batch is allowed",
                       app->bytes.len - batch->bytes.len);
    if (batch->base_offset != 0)
        return err_set(err, ERR_INVALID_RECORD, "record batch: base offset %lld, a producer must send 0",
                       (long long)batch->base_offset);
    if (!check_message_size(app, batch->bytes.len, err))
        return false;
    if (!batch_check_crc(batch, err))
        return false;
    if (batch->record_count == 0 || batch->record_count != batch->last_offset_delta + 1)
        return err_set(err, ERR_INVALID_RECORD,
                       "record batch: %d records do not fit the last offset delta %d", batch->record_count,
                       batch->last_offset_delta);
    if (batch->attributes & (BATCH_CONTROL | BATCH_DELETE_HORIZON))
        return err_set(err, ERR_INVALID_RECORD, "record batch: a producer may not write control batches");
    if (batch->pid >= 0 && (batch->base_seq < 0 || batch->epoch < 0))
        return err_set(err, ERR_INVALID_RECORD, "record batch: producer id without sequence number");
    return true;
}

static struct batch_rules rules_of(const struct append *app)
{
    const struct log_config *config = &app->config;
    struct batch_rules rules = {config->key_required, INT64_MIN, INT64_MAX};
    if (config->append_time)
        return rules;
    if (config->timestamp_before_max_ms < app->now_ms) /* else any time since 1970 and before is in it */
        rules.timestamp_min_ms = app->now_ms - config->timestamp_before_max_ms;
    if (config->timestamp_after_max_ms < INT64_MAX - app->now_ms)
        rules.timestamp_max_ms = app->now_ms + config->timestamp_after_max_ms;
    return rules;
}

static bool check_rules(const struct append *app, const struct batch_facts *facts,
                        struct log_append_result *result, struct err *err)
{
    struct batch_rules rules = rules_of(app);
    enum batch_fault fault = batch_facts_fault(&rules, facts);
    if (fault == BATCH_GOOD)
        return true;
    result->bad_records = true;
    result->rules = rules;
    if (fault == BATCH_NO_KEY)
        return err_set(err, ERR_INVALID_RECORD, "record without key: a compacted topic needs one");
    bool future = facts->max_timestamp_ms > rules.timestamp_max_ms;
    return err_set(err, ERR_INVALID_TIMESTAMP, "record timestamp %lld is too far in the %s",
                   (long long)(future ? facts->max_timestamp_ms : facts->min_timestamp_ms),
                   future ? "future" : "past");
}

static bool check_sizes(const struct append *app, size_t size, struct err *err)
{
    if (!check_message_size(app, size, err))
        return false;
    if (size > app->config.segment_bytes)
        return err_set(err, ERR_RECORD_LIST_TOO_LARGE, "record batch: %zu bytes, segment.bytes is %u", size,
                       app->config.segment_bytes);
    return true;
}

/* Gives the batches the codec of the topic (compression.type) where they have another. */
static bool recompress(struct append *app, struct err *err)
{
    struct str rest = app->bytes;
    struct batch batch;
    bool other = false, ok = true;
    while (app->config.recompress && batch_next(&rest, &batch, NULL))
        other |= !batch_is_control(&batch) && batch_codec(&batch) != app->config.codec;
    if (!other)
        return true;
    struct batch_builder builder = {0};
    struct batch_rewrite how = {.codec = app->config.codec,
                                .level = app->config.codec_levels[app->config.codec],
                                .horizon_ms = -1};
    rest = app->bytes;
    while (ok && batch_next(&rest, &batch, NULL)) {
        struct str bytes = batch.bytes;
        if (!batch_is_control(&batch) && batch_codec(&batch) != app->config.codec)
            ok = batch_rewrite(&builder, &batch, &how, codec_scratch(), &bytes, err);
        if (ok)
            buf_append_str(&app->rewritten, bytes);
    }
    batch_builder_fini(&builder);
    app->bytes = buf_str(&app->rewritten);
    return ok && (app->origin != LOG_CLIENT || check_sizes(app, app->bytes.len, err));
}

/* All checks of a client's batch that need no lock. */
static bool check_client(struct append *app, struct batch *batch, struct log_append_result *result,
                         struct err *err)
{
    struct batch_facts facts;
    if (!batch_open(app->bytes, batch, err)) {
        if (err != NULL)
            err->code = ERR_INVALID_RECORD;
        return false;
    }
    if (!check_client_header(app, batch, err) || !batch_check_records(batch, &facts, err))
        return false;
    app->max_timestamp_ms = facts.max_timestamp_ms;
    return check_rules(app, &facts, result, err) && check_sizes(app, batch->bytes.len, err) &&
           recompress(app, err);
}

/* Batches of this program: only that they are whole, and few enough to be judged together. */
static bool check_internal(struct append *app, struct err *err)
{
    struct str rest = app->bytes;
    struct batch batch;
    struct err why = {0};
    size_t count = 0;
    bool sequences = false;
    while (batch_next(&rest, &batch, &why)) {
        count++;
        sequences |= batch.base_seq >= 0;
        app->max_timestamp_ms = MAX(app->max_timestamp_ms, batch.max_timestamp_ms);
    }
    if (why.code != ERR_NONE || rest.len != 0 || count == 0)
        return err_set(err, ERR_INVALID_RECORD, "batches to append are not whole: %s",
                       why.code != ERR_NONE ? why.text : "bytes are left over");
    if (sequences && count > 1)
        return err_set(err, ERR_INVALID_RECORD, "batches with sequence numbers are appended one by one");
    return recompress(app, err);
}

/* True when all is new; false with *result set (duplicate) or *err. */
static enum producer_verdict judge(const struct log *log, const struct append *app,
                                   struct log_append_result *result, struct err *err)
{
    struct str rest = app->bytes;
    struct batch batch;
    struct producer_batch earlier;
    while (batch_next(&rest, &batch, NULL)) {
        enum producer_verdict verdict = producer_check(log, &batch, &earlier, err);
        if (verdict == PRODUCER_DUPLICATE) {
            result->duplicate = true;
            result->incarnation = atomic_load(&log->incarnation);
            result->base_offset = earlier.base_offset;
            result->last_offset = earlier.last_offset;
            result->append_time_ms = earlier.timestamp_ms;
        }
        if (verdict != PRODUCER_APPEND)
            return verdict;
    }
    return PRODUCER_APPEND;
}

/* Age at which the segment is rolled: that of the topic, sooner by its own share of the jitter; and compaction within
 * max.compaction.lag.ms needs closed segments. */
static int64_t roll_age(const struct log_segment *seg, const struct log_config *config)
{
    int64_t age_ms = config->segment_ms, jitter_ms = MIN(config->segment_jitter_ms, config->segment_ms);
    if (jitter_ms > 0)
        age_ms -= (int64_t)(seg->jitter % (uint64_t)jitter_ms);
    return config->compaction_on ? MIN(age_ms, config->compaction_lag_max_ms) : age_ms;
}

/* As Kafka counts: the time index keeps room for the entry that completes it. */
static bool indexes_are_full(const struct log_segment *seg, uint32_t bytes_max)
{
    return seg->loaded && (seg->index.len >= bytes_max / LOG_INDEX_ENTRY_BYTES ||
                           seg->times.len + 1 >= bytes_max / LOG_TIME_ENTRY_BYTES);
}

/* Is the active segment full or too old for these batches? */
static bool roll_is_due(const struct log *log, const struct log_segment *seg, const struct append *app)
{
    if (seg->end_pos == 0)
        return false;
    if (seg->end_pos + app->bytes.len > MIN(app->config.segment_bytes, INT32_MAX))
        return true;
    if (log->end.offset - seg->base_offset >
        INT32_MAX - (int64_t)app->bytes.len) /* a record takes a byte at least */
        return true;
    if (indexes_are_full(seg, app->config.index_bytes_max))
        return true;
    int64_t first_ms = seg->first_timestamp_ms;
    int64_t newest_ms = app->max_timestamp_ms >= 0 ? app->max_timestamp_ms : app->now_ms;
    return first_ms >= 0 && newest_ms - first_ms > roll_age(seg, &app->config);
}

bool log_secure_dir(struct log *log, struct err *err)
{
    if (log->dir_sure)
        return true;
    int rc = io_mkdir(log->io, log->dir);
    if (rc < 0 && rc != -EEXIST && !io_make_dirs(log->io, log->dir, err))
        return false;
    uint64_t name_round = names_join(log->names);
    pthread_mutex_lock(&log->lock);
    if (!log->dir_made) /* else it joined when recovery found it */
        log->name_round = name_round;
    log->dir_made = log->dir_sure = log->dir_dirty = true;
    pthread_mutex_unlock(&log->lock);
    return true;
}

/* Makes the directory and the file of the active segment where they are missing yet. */
static bool make_files(struct log *log, struct log_segment *seg, struct err *err)
{
    if (!log_secure_dir(log, err))
        return false;
    if (seg->made)
        return true;
    int fd;
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, seg, true, &fd, err);
    log->dir_dirty |= ok;
    seg->made |= ok;
    pthread_mutex_unlock(&log->lock);
    return ok;
}

bool log_roll(struct log *log, struct err *err)
{
    struct log_segment *old = segs_active_append(log);
    struct log_segment *seg = segment_new(log, log->end.offset);
    seg->loaded = seg->counts_known = seg->times_known = true;
    seg->stale = true; /* files of a crashed predecessor may lie there */
    if (old->end_pos == 0 || !checkpoint_first(log, err) || !make_files(log, seg, err)) {
        segment_unref(seg);
        return old->end_pos == 0;
    }
    ignore(!index_load(log, old, NULL), "an index that cannot be read is made anew when it is needed");
    pthread_mutex_lock(&log->lock);
    index_finish(old);
    vec_push(&log->segs, seg);
    log->end = (struct log_point){seg->base_offset, seg->base_offset, 0};
    log->checkpoint_due = log->checkpoint_dirty = true;
    pthread_mutex_unlock(&log->lock);
    return true;
}

void log_publish(struct log *log, struct log_segment *seg, uint64_t pos, const struct batch *batch)
{
    index_note(seg, log->config.index_interval_bytes, pos, batch);
    producer_apply(log, seg, pos, batch);
    seg->end_pos = pos + batch->bytes.len;
    log->end = (struct log_point){batch_last_offset(batch) + 1, seg->base_offset, seg->end_pos};
    known_add(seg, &(struct known){pos, seg->end_pos, log->end.offset});
    log->bytes_since_checkpoint += batch->bytes.len;
    log->checkpoint_dirty = true;
}

/* Sets offsets and times in the bytes. */
static void number_batches(struct append *app)
{
    struct str rest = app->bytes;
    struct batch batch;
    int64_t offset = app->offset;
    while (batch_next(&rest, &batch, NULL)) {
        char *at = (char *)batch.bytes.ptr;
        if (app->config.append_time && !batch_is_control(&batch))
            batch_set_time(at, true, app->now_ms);
        else if (app->origin == LOG_CLIENT)
            batch_set_time(at, false, app->max_timestamp_ms);
        batch_set_place(at, offset, 0);
        offset += batch.last_offset_delta + 1;
    }
}

static void unnumber_batches(const struct append *app)
{
    struct str rest = app->bytes;
    struct batch batch;
    while (batch_next(&rest, &batch, NULL))
        batch_set_place((char *)batch.bytes.ptr, 0, -1);
}

/* Writes behind the published end; on failure nothing is left there, or the log is offline. */
static bool write_batches(struct log *log, struct log_segment *seg, const struct append *app, struct err *err)
{
    int fd;
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, seg, false, &fd, err);
    pthread_mutex_unlock(&log->lock);
    if (!ok)
        return false;
    struct iovec part = {(void *)app->bytes.ptr, app->bytes.len};
    struct err why = {0};
    if (io_write_all(log->io, fd, &part, 1, app->pos, NULL, &why))
        return true;
    char path[LOG_PATH_BYTES];
    log_path(log, seg->base_offset, "log", path);
    err_context(&why, "%s", path);
    int rc = io_truncate(log->io, fd, app->pos);
    if (rc < 0) {
        err_context(&why,
                    "the file could not be cut back after a failed write, restart when the disk works again");
        why.code = ERR_STORAGE;
        log_set_offline(log, &why);
    }
    if (err != NULL)
        *err = why;
    return false;
}

static void publish_batches(struct log *log, struct log_segment *seg, struct append *app)
{
    struct str rest = app->bytes;
    struct batch batch;
    uint64_t pos = app->pos;
    pthread_mutex_lock(&log->lock);
    while (batch_next(&rest, &batch, NULL)) {
        log_publish(log, seg, pos, &batch);
        pos += batch.bytes.len;
    }
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
}

/* Says when writing begins to fail, and when it works again; not each time. Holder of append_lock. */
static void note_write(struct log *log, bool ok, const struct err *err)
{
    if (ok && log->append_fails)
        log_info("log", "append_works_again", "log=%s", log->name);
    if (!ok && !log->append_fails && !atomic_load(&log->offline)) /* else it was said when it went offline */
        log_error("log", "append_fails", "log=%s cause=\"%s\"", log->name, err != NULL ? err->text : "");
    log->append_fails = !ok;
}

/* Makes room and files, numbers the batches and writes them; *seg is where they are. */
static bool place_batches(struct log *log, struct append *app, struct log_segment **seg, struct err *err)
{
    *seg = segs_active_append(log);
    if (roll_is_due(log, *seg, app)) {
        if (!log_roll(log, err))
            return false;
        *seg = segs_active_append(log);
    }
    if (!make_files(log, *seg, err))
        return false;
    ignore(!index_load(log, *seg, NULL), "the index stays short until it can be read");
    app->offset = log->end.offset;
    app->pos = (*seg)->end_pos;
    if (!app->placed)
        number_batches(app);
    if (write_batches(log, *seg, app, err))
        return true;
    if (!app->placed)
        unnumber_batches(app);
    return false;
}

/* Everything that needs append_lock. */
static bool append_locked(struct log *log, struct append *app, struct log_append_result *result,
                          struct err *err)
{
    if (!log_check_online(log, err))
        return false;
    switch (judge(log, app, result, err)) {
    case PRODUCER_REFUSE:
        return false;
    case PRODUCER_DUPLICATE:
        return true;
    case PRODUCER_APPEND:
        break;
    }
    struct log_segment *seg;
    bool ok = place_batches(log, app, &seg, err);
    note_write(log, ok, err);
    if (!ok)
        return false;
    publish_batches(log, seg, app);
    result->incarnation = atomic_load(&log->incarnation);
    result->base_offset = app->offset;
    result->last_offset = log->end.offset - 1;
    result->append_time_ms = app->config.append_time ? app->now_ms : -1;
    result->flush = log->end.offset - log_durable_offset(log) >= app->config.flush_messages;
    return true;
}

bool log_append_placed(struct log *log, struct str bytes, struct err *err)
{
    struct append app = {.bytes = bytes,
                         .origin = LOG_INTERNAL,
                         .placed = true,
                         .config = log_get_config(log)};
    struct batch batch;
    struct log_segment *seg;
    app.now_ms = io_now_ms(log->io);
    if (!batch_open(bytes, &batch, err))
        return false;
    app.max_timestamp_ms = batch.max_timestamp_ms;
    bool ok = place_batches(log, &app, &seg, err);
    if (ok)
        publish_batches(log, seg, &app);
    return ok;
}

/* When there is room again, the log starts anew from what is on the disk. */
bool log_heal(struct log *log, struct err *err)
{
    bool ok = true;
    if (!atomic_load_explicit(&log->offline, memory_order_relaxed))
        return true;
    pthread_mutex_lock(&log->sync_lock);
    pthread_mutex_lock(&log->append_lock);
    if (atomic_load(&log->offline) && log->offline_code == ERR_DISK_FULL) {
        struct log_config config = log->config;
        config.names = log->names;
        config.settle_later =
            false; /* it may never have been opened since the start, which settles no more */
        struct log *fresh = log_new(log->dir, log->name, &config, log->io);
        ok = log_recover(fresh, err) && log_redo_all(fresh, err);
        if (ok) {
            log_swap(log, fresh);
            atomic_fetch_add(&log->incarnation, 1);
            atomic_store(&log->offline, false);
            log_info("log", "online_again", "log=%s end=%lld", log->name, (long long)log->end.offset);
        }
        log_free(fresh);
    }
    pthread_mutex_unlock(&log->append_lock);
    pthread_mutex_unlock(&log->sync_lock);
    return ok && log_check_online(log, err);
}

bool log_append(struct log *log, void *bytes, size_t size, enum log_origin origin,
                struct log_append_result *result, struct err *err)
{
    struct append app = {.bytes = str_of(bytes, size), .origin = origin, .max_timestamp_ms = -1};
    struct batch batch;
    *result = (struct log_append_result){.base_offset = -1, .last_offset = -1, .append_time_ms = -1};
    result->start_offset = log_start_offset(log);
    pthread_mutex_lock(&log->lock);
    app.config = log->config;
    pthread_mutex_unlock(&log->lock);
    app.now_ms = io_now_ms(log->io);
    if (size > INT32_MAX) /* positions in a segment are 31 bits */
        return err_set(err, ERR_TOO_LARGE, "%zu bytes to append at once, at most %d are possible", size,
                       INT32_MAX);
    bool checked = origin == LOG_CLIENT ? check_client(&app, &batch, result, err) : check_internal(&app, err);
    bool ok = checked && log_heal(log, err);
    if (ok) {
        pthread_mutex_lock(&log->append_lock);
        ok = append_locked(log, &app, result, err);
        pthread_mutex_unlock(&log->append_lock);
    }
    buf_fini(&app.rewritten);
    return ok;
}

bool log_append_marker(struct log *log, int64_t pid, int16_t epoch, enum marker marker,
                       int32_t coordinator_epoch, struct log_append_result *result, struct err *err)
{
    uint8_t bytes[BATCH_MARKER_BYTES];
    batch_make_marker(bytes, pid, epoch, marker, coordinator_epoch, io_now_ms(log->io));
    return log_append(log, bytes, sizeof bytes, LOG_INTERNAL, result, err);
}
