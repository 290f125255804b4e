/* append.c - the write path: check, number, write by one call, publish.
 *
 *   log_append_all
 *     append_check (no lock)     append_check.c
 *     append_lock                for each append, in order:
 *       run_takes                nothing but the one before decides about it: it goes along
 *       else run_end, run_begin
 *         producer_check         duplicate? out of order? fenced?
 *         log_roll               when the active segment is full or old
 *       batch_set_place          offsets, in the caller's bytes
 *     run_end
 *       one pwritev              at the end of the active segment
 *       lock: log_publish        end, index entries, producer state, all at once
 *
 * (A1) Nothing is published before it is written whole: readers, syncs and checkpoints only know published
 *      batches.
 * (A2) When a write fails, the file is cut back to the published end. If even that fails the log goes
 *      offline: what lies behind the end is cut or taken by the next recovery, and was never acknowledged.
 * (A3) No allocation per append, but for a new producer, a new transaction, a growing index, or where the topic asks for
 *      another codec than the producer's: those batches are written anew.
 * (A4) A run ends the way it would have ended append by append: what is judged by the state of the log, or rolls it, is judged
 *      when all before it is published. Only a write that fails takes the whole run with it.
 * (A5) Where batches may be written anew there are no runs: one of them can unpack to any size.
 */
#include "log/append_int.h"

#include <errno.h>

/* Appends that follow one another at the end of the active segment. */
struct run {
    struct log_segment *seg;
    struct append *appends[LOG_APPENDS_MAX];
    size_t count;
};

/* All that is new is to be appended; what is not sets the result (duplicate) or the error. */
static enum producer_verdict judge(const struct log *log, const struct append *app)
{
    struct log_append_result *result = &app->of->result;
    struct err *err = app->err;
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

/* As Kafka counts: the time index keeps room for the entry that completes it. `more` are to come. */
static bool indexes_are_full(const struct log_segment *seg, uint32_t bytes_max, size_t more)
{
    return seg->loaded && (seg->index.len + more >= bytes_max / LOG_INDEX_ENTRY_BYTES ||
                           seg->times.len + more + 1 >= bytes_max / LOG_TIME_ENTRY_BYTES);
}

/* Is the active segment full or too old for what has its place there, behind `before` appends that are not published yet? */
static bool roll_is_due(const struct log_segment *seg, const struct append *app, size_t before)
{
    if (app->pos == 0)
        return false;
    if (app->pos + app->bytes.len > MIN(app->config->segment_bytes, INT32_MAX))
        return true;
    if (app->offset - seg->base_offset >
        INT32_MAX - (int64_t)app->bytes.len) /* a record takes a byte at least */
        return true;
    if (indexes_are_full(seg, app->config->index_bytes_max, before))
        return true;
    int64_t first_ms = seg->first_timestamp_ms;
    int64_t newest_ms = app->max_timestamp_ms >= 0 ? app->max_timestamp_ms : app->now_ms;
    return first_ms >= 0 && newest_ms - first_ms > roll_age(seg, app->config);
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

/* --- numbers --- */

/* Sets offsets and times in the bytes, where they are not there already. */
static void number_batches(struct append *app)
{
    struct str rest = app->bytes;
    struct batch batch;
    int64_t offset = app->offset;
    bool placed = app->of == NULL;
    while (batch_next(&rest, &batch, NULL)) {
        char *at = (char *)batch.bytes.ptr;
        if (!placed && app->config->append_time && !batch_is_control(&batch))
            batch_set_time(at, true, app->now_ms);
        else if (!placed && app->origin == LOG_CLIENT)
            batch_set_time(at, false, app->max_timestamp_ms);
        if (!placed)
            batch_set_place(at, offset, 0);
        offset += batch.last_offset_delta + 1;
    }
    app->end_offset = offset;
}

static void unnumber_batches(const struct append *app)
{
    struct str rest = app->bytes;
    struct batch batch;
    while (app->of != NULL && batch_next(&rest, &batch, NULL))
        batch_set_place((char *)batch.bytes.ptr, 0, -1);
}

/* --- runs --- */

static void place(const struct log *log, const struct run *run, struct append *app)
{
    const struct append *before = run->count != 0 ? run->appends[run->count - 1] : NULL;
    app->offset = before != NULL ? before->end_offset : log->end.offset;
    app->pos = before != NULL ? before->pos + before->bytes.len : run->seg->end_pos;
}

static void run_add(const struct log *log, struct run *run, struct append *app)
{
    place(log, run, app);
    number_batches(app);
    run->appends[run->count++] = app;
}

/* Does the append go along (A4)? Not with the first of a segment, of whose time others are judged. */
static bool run_takes(const struct log *log, struct run *run, struct append *app)
{
    if (run->count == 0 || run->seg->end_pos == 0)
        return false;
    const struct append *before = run->appends[run->count - 1];
    if (before->origin != LOG_CLIENT || app->origin != LOG_CLIENT ||
        !producer_follows(&before->head, &app->head))
        return false;
    place(log, run, app);
    if (roll_is_due(run->seg, app, run->count))
        return false;
    run_add(log, run, app);
    return true;
}

/* Says when writing begins to fail, and when it works again; not each time. Holder of append_lock. */
static void note_write(struct log *log, bool ok, const struct err *err)
{
    if (ok && log->append_fails)
        log_info("log", "append_works_again", "log=%s", log->name);
    if (!ok && !log->append_fails && !atomic_load(&log->offline)) /* else it was said when it went offline */
        log_error("log", "append_fails", "log=%s cause=\"%s\"", log->name, err->text);
    log->append_fails = !ok;
}

/* Makes room and files for the append that a run begins with. */
static bool open_run(struct log *log, struct run *run, struct append *app, struct err *err)
{
    run->seg = segs_active_append(log);
    place(log, run, app);
    if (roll_is_due(run->seg, app, 0)) {
        if (!log_roll(log, err))
            return false;
        run->seg = segs_active_append(log);
    }
    if (!make_files(log, run->seg, err))
        return false;
    ignore(!index_load(log, run->seg, NULL), "the index stays short until it can be read");
    run_add(log, run, app);
    return true;
}

/* Writes behind the published end; on failure nothing is left there, or the log is offline. */
static bool write_run(struct log *log, const struct run *run, struct err *err)
{
    int fd;
    uint64_t pos = run->appends[0]->pos;
    struct iovec parts[LOG_APPENDS_MAX];
    pthread_mutex_lock(&log->lock);
    bool ok = segment_open(log, run->seg, false, &fd, err);
    pthread_mutex_unlock(&log->lock);
    if (!ok)
        return false;
    for (size_t i = 0; i < run->count; i++)
        parts[i] = (struct iovec){(void *)run->appends[i]->bytes.ptr, run->appends[i]->bytes.len};
    if (io_write_all(log->io, fd, parts, (int)run->count, pos, NULL, err))
        return true;
    char path[LOG_PATH_BYTES];
    log_path(log, run->seg->base_offset, "log", path);
    err_context(err, "%s", path);
    int rc = io_truncate(log->io, fd, pos);
    if (rc < 0) {
        err_context(err,
                    "the file could not be cut back after a failed write, restart when the disk works again");
        err->code = ERR_STORAGE;
        log_set_offline(log, err);
    }
    return false;
}

static void publish_run(struct log *log, const struct run *run)
{
    struct batch batch;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < run->count; i++) {
        struct str rest = run->appends[i]->bytes;
        for (uint64_t pos = run->appends[i]->pos; batch_next(&rest, &batch, NULL); pos += batch.bytes.len)
            log_publish(log, run->seg, pos, &batch);
    }
    log_set_hw(log);
    pthread_mutex_unlock(&log->lock);
}

static void refuse(struct append *app, const struct err *why)
{
    app->good = false;
    if (app->err != NULL)
        *app->err = *why;
}

static void fill_result(const struct log *log, const struct append *app)
{
    struct log_append_result *result = &app->of->result;
    result->incarnation = atomic_load(&log->incarnation);
    result->base_offset = app->offset;
    result->last_offset = app->end_offset - 1;
    result->append_time_ms = app->config->append_time ? app->now_ms : -1;
    result->flush = app->end_offset - log_durable_offset(log) >= app->config->flush_messages;
}

/* Writes and publishes the run, which is empty then. */
static void run_end(struct log *log, struct run *run)
{
    struct err why;
    if (run->count == 0)
        return;
    bool ok = write_run(log, run, &why);
    note_write(log, ok, &why);
    if (ok)
        publish_run(log, run);
    for (size_t i = 0; i < run->count; i++) {
        struct append *app = run->appends[i];
        if (!ok)
            unnumber_batches(app);
        if (!ok)
            refuse(app, &why);
        else if (app->of != NULL)
            fill_result(log, app);
    }
    run->count = 0;
}

/* Begins a run with an append that is to be judged by the log as it is now, unless that settles it. */
static void run_begin(struct log *log, struct run *run, struct append *app)
{
    struct err why;
    if (!log_check_online(log, &why)) {
        refuse(app, &why);
        return;
    }
    enum producer_verdict verdict = judge(log, app);
    app->good = verdict != PRODUCER_REFUSE;
    if (verdict != PRODUCER_APPEND || open_run(log, run, app, &why))
        return;
    note_write(log, false, &why);
    refuse(app, &why);
}

bool log_append_placed(struct log *log, struct str bytes, struct err *err)
{
    struct log_config config = log_get_config(log);
    struct append app = {.err = err, .config = &config, .origin = LOG_INTERNAL, .bytes = bytes, .good = true};
    struct batch batch;
    struct run run = {.count = 0};
    app.now_ms = io_now_ms(log->io);
    if (!batch_open(bytes, &batch, err))
        return false;
    app.max_timestamp_ms = batch.max_timestamp_ms;
    if (!open_run(log, &run, &app, err))
        return false;
    run_end(log, &run);
    return app.good;
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
        log_cut_undurable(log); /* the sync that failed may not have come to that */
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

/* Everything that needs append_lock. */
static void append_in_order(struct log *log, struct append *appends, size_t count)
{
    struct run run = {.count = 0};
    pthread_mutex_lock(&log->append_lock);
    for (size_t i = 0; i < count; i++) {
        if (!appends[i].good || run_takes(log, &run, &appends[i]))
            continue;
        run_end(log, &run);
        run_begin(log, &run, &appends[i]);
    }
    run_end(log, &run);
    pthread_mutex_unlock(&log->append_lock);
}

static void append_group(struct log *log, const struct log_config *config, struct log_append *const *all,
                         size_t count)
{
    struct append appends[LOG_APPENDS_MAX];
    int64_t start_offset = log_start_offset(log), now_ms = io_now_ms(log->io);
    bool any = false;
    ASSERT_CMP(count, <=, LOG_APPENDS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct append *app = &appends[i];
        struct log_append *of = all[i];
        of->result = (struct log_append_result){.base_offset = -1,
                                                .last_offset = -1,
                                                .append_time_ms = -1,
                                                .start_offset = start_offset};
        *app = (struct append){.of = of,
                               .err = of->err,
                               .config = config,
                               .origin = of->origin,
                               .bytes = str_of(of->bytes, of->size),
                               .now_ms = now_ms,
                               .max_timestamp_ms = -1};
        app->good = append_check(app, &of->result, of->err);
        any |= app->good;
    }
    struct err why;
    bool healed = any && log_heal(log, &why);
    for (size_t i = 0; any && !healed && i < count; i++)
        if (appends[i].good)
            refuse(&appends[i], &why);
    if (healed)
        append_in_order(log, appends, count);
    for (size_t i = 0; i < count; i++) {
        all[i]->good = appends[i].good;
        buf_fini(&appends[i].rewritten);
    }
}

void log_append_all(struct log *log, struct log_append *const *all, size_t count)
{
    struct log_config config = log_get_config(log);
    size_t group = config.recompress ? 1 : count; /* A5 */
    for (size_t i = 0; i < count; i += group)
        append_group(log, &config, all + i, group);
}

bool log_append(struct log *log, void *bytes, size_t size, enum log_origin origin,
                struct log_append_result *result, struct err *err)
{
    struct log_append one = {.bytes = bytes, .size = size, .origin = origin, .err = err};
    struct log_append *all[] = {&one};
    log_append_all(log, all, 1);
    *result = one.result;
    return one.good;
}

bool log_append_marker(struct log *log, int64_t pid, int16_t epoch, enum marker marker,
                       int32_t coordinator_epoch, struct log_append_result *result, struct err *err)
{
    uint8_t bytes[BATCH_MARKER_BYTES];
    batch_make_marker(bytes, pid, epoch, marker, coordinator_epoch, io_now_ms(log->io));
    return log_append(log, bytes, sizeof bytes, LOG_INTERNAL, result, err);
}
