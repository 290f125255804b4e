/* replay.c - the lock, the order and the waiting around decide and apply (see replay.h).
 *
 *   replay_run:  lock | decide -> records | append | apply each | unlock      then the caller waits for durability
 *
 * (P1) `end` is the offset after the last record that was applied: append returns the offset it wrote up to, so state
 *      and topic agree whenever the lock is free.
 * (P2) A record of our own that cannot be applied is a bug, not an error: it was made a moment ago.
 * (P3) A rewrite appends the state as records, waits until they are durable, and only then lets the history go: at
 *      every instant the topic alone gives the whole state.
 * (P4) A log that drops records (a failed sync on a full disk, and then room again) leaves the state ahead of the topic:
 *      append then ends lower than the state is. The state is appended anew at once, behind tombstones of the keys that are
 *      in the topic and not in the state: a deletion may be among what was dropped. So the topic alone gives the state again;
 *      the next rewrite lets what is before it go. Who wants to tell of the state without a record of its own asks replay_secure.
 */
#include "replay/replay.h"

#include <pthread.h>

#include "base/latch.h"

enum {
    REWRITE_BATCH_RECORDS = 500,
    REWRITE_BATCH_BYTES = 256 << 10,
    REWRITE_FACTOR = 4,
};

struct replay {
    const struct replay_log_ops *ops;
    void *log;
    const struct replay_class *class;
    void *state;
    pthread_mutex_t lock;
    int64_t start, end;            /* offsets of the records that are there */
    bool dropped;                  /* P4: the log has lost records that the state knows */
    int64_t renewed;               /* P4: the state was appended anew from here on; -1: it was not */
    struct replay_records records; /* of the present run */
};

bool replay_type(const struct replay_record *rec, uint16_t *type, struct err *err)
{
    if (rec->key.len < 2)
        return err_set(err, ERR_CORRUPT, "key of %zu bytes is too short for a type", rec->key.len);
    *type = load_be16(rec->key.ptr);
    return true;
}

void replay_add(struct replay_records *records, struct str key, struct str value, int64_t timestamp_ms)
{
    struct replay_record rec = {
        .key = str_dup(key, &records->arena),
        .value = str_dup(value, &records->arena),
        .timestamp_ms = timestamp_ms,
        .offset = -1,
    };
    vec_push(&records->list, rec);
}

void replay_add_typed(struct replay_records *records, const struct wire_message *key_message, const void *key,
                      const struct wire_message *value_message, int16_t version, const void *value,
                      int64_t timestamp_ms)
{
    struct buf key_bytes = {0}, bytes = {0};
    wire_encode_typed(key_message, 0, key, &key_bytes);
    if (value != NULL)
        wire_encode_typed(value_message, version, value, &bytes);
    replay_add(records, buf_str(&key_bytes), value != NULL ? buf_str(&bytes) : STR_NULL, timestamp_ms);
    buf_fini(&key_bytes);
    buf_fini(&bytes);
}

static void records_reset(struct replay_records *records)
{
    vec_clear(&records->list);
    arena_reset(&records->arena);
}

static bool apply_read(void *arg, const struct replay_record *rec, struct err *err)
{
    struct replay *replay = arg;
    if (replay->end < 0)
        replay->start = rec->offset;
    replay->end = rec->offset + 1;
    if (replay->class->apply(replay->state, rec, err))
        return true;
    err_context(err, "%s, record at offset %lld", replay->class->name, (long long)rec->offset);
    return false;
}

bool replay_open(struct replay **out, const struct replay_log_ops *ops, void *log,
                 const struct replay_class *class, void *state, struct err *err)
{
    struct replay *replay = mem_new(struct replay);
    *replay =
        (struct replay){.ops = ops, .log = log, .class = class, .state = state, .end = -1, .renewed = -1};
    pthread_mutex_init(&replay->lock, NULL);
    int64_t end = 0;
    if (!ops->read(log, 0, apply_read, replay, &end, err)) {
        replay_close(replay);
        return false;
    }
    if (replay->end < 0)
        replay->start = end;
    replay->end = end;
    *out = replay;
    return true;
}

void replay_close(struct replay *replay)
{
    if (replay == NULL)
        return;
    pthread_mutex_destroy(&replay->lock);
    vec_fini(&replay->records.list);
    arena_fini(&replay->records.arena);
    free(replay);
}

/* Appends records [from, to) of the present run and takes note of their offsets. Under the lock. */
static bool append(struct replay *replay, size_t from, size_t to, struct err *err)
{
    int64_t end = replay->end;
    struct replay_record *list = replay->records.list.at;
    if (!replay->ops->append(replay->log, list + from, to - from, &end, err)) {
        err_context(err, "%s", replay->class->name);
        return false;
    }
    for (size_t i = from; i < to; i++)
        list[i].offset = end - (int64_t)(to - i);
    replay->dropped = replay->dropped || end != replay->end + (int64_t)(to - from);
    replay->end = end;
    return true;
}

static void apply_all(struct replay *replay)
{
    struct err err;
    for (size_t i = 0; i < replay->records.list.len; i++) {
        bool applied = replay->class->apply(replay->state, &replay->records.list.at[i], &err);
        if (!applied)
            log_error("replay", "apply_failed", "state=%s cause=\"%s\"", replay->class->name, err.text);
        ASSERT(applied); /* P2 */
    }
}

static bool append_snapshot(struct replay *replay, struct err *err);

/* Keys that have a value in the topic. */
static bool note_key(void *arg, const struct replay_record *rec, struct err *err)
{
    struct map *keys = arg;
    if (str_is_null(rec->value))
        map_remove(keys, rec->key);
    else
        map_put(keys, rec->key, keys);
    return true;
}

/* Tombstones, the last key first, as things that belong to others come after them; then the state. */
static void fill_renewal(struct replay *replay, const struct replay_records *state, const struct map *stale)
{
    vec(struct str) keys = {0};
    struct str key;
    records_reset(&replay->records);
    for (size_t i = 0; map_next(stale, &i, &key, NULL);)
        vec_push(&keys, key);
    while (keys.len > 0)
        replay_add(&replay->records, keys.at[--keys.len], STR_NULL, 0);
    for (size_t i = 0; i < state->list.len; i++)
        replay_add(&replay->records, state->list.at[i].key, state->list.at[i].value,
                   state->list.at[i].timestamp_ms);
    vec_fini(&keys);
}

/* Appends what makes the topic give the state again (P4); *first is where it begins. Under the lock. */
static bool append_renewal(struct replay *replay, int64_t *first, struct err *err)
{
    struct replay_records state = {0};
    struct map stale = {0};
    int64_t end;
    bool good = replay->ops->read(replay->log, 0, note_key, &stale, &end, err);
    if (good) {
        replay->class->snapshot(replay->state, &state);
        for (size_t i = 0; i < state.list.len; i++)
            map_remove(&stale, state.list.at[i].key);
        fill_renewal(replay, &state, &stale);
        good = append_snapshot(replay, err);
    }
    replay->dropped = !good;
    if (good)
        *first = replay->renewed = replay->records.list.len != 0 ? replay->records.list.at[0].offset : end;
    vec_fini(&state.list);
    arena_fini(&state.arena);
    map_fini(&stale);
    return good;
}

/* P4. A failure is tried again by the next run. */
static void renew(struct replay *replay)
{
    struct err err;
    int64_t first;
    if (replay->class->snapshot == NULL)
        return;
    if (append_renewal(replay, &first, &err))
        log_warn("replay", "state_renewed", "state=%s offset=%lld", replay->class->name, (long long)first);
    else
        log_warn("replay", "state_renew_failed", "state=%s cause=\"%s\"", replay->class->name, err.text);
}

bool replay_run(struct replay *replay, replay_decide_fn decide, void *request, int64_t *end_offset,
                struct err *err)
{
    pthread_mutex_lock(&replay->lock);
    records_reset(&replay->records);
    bool good = decide(replay->state, request, &replay->records, err);
    if (good && replay->records.list.len != 0) {
        good = append(replay, 0, replay->records.list.len, err);
        if (good)
            apply_all(replay);
        if (good && replay->dropped)
            renew(replay);
    }
    if (end_offset != NULL)
        *end_offset = replay->end;
    pthread_mutex_unlock(&replay->lock);
    return good;
}

void replay_when_durable(struct replay *replay, int64_t end_offset, struct replay_wait *wait)
{
    replay->ops->when_durable(replay->log, end_offset, wait);
}

/* A thread that waits for one callback. */
struct blocking_wait {
    struct replay_wait wait;
    struct latch over;
};

static void wake_blocked(struct replay_wait *wait, const struct err *failure)
{
    latch_end(&((struct blocking_wait *)wait)->over, failure);
}

bool replay_wait_durable(struct replay *replay, int64_t end_offset, struct err *err)
{
    struct blocking_wait blocked = {.wait.fn = wake_blocked};
    latch_init(&blocked.over);
    replay_when_durable(replay, end_offset, &blocked.wait);
    return latch_wait(&blocked.over, err);
}

bool replay_run_durable(struct replay *replay, replay_decide_fn decide, void *request, struct err *err)
{
    int64_t end;
    return replay_run(replay, decide, request, &end, err) && replay_wait_durable(replay, end, err);
}

bool replay_secure(struct replay *replay, struct err *err)
{
    int64_t first = 0, end;
    if (replay_wait_durable(replay, replay_end(replay), err))
        return true;
    if (replay->class->snapshot == NULL || replay->ops->trim == NULL)
        return false;
    pthread_mutex_lock(&replay->lock);
    bool good = append_renewal(replay, &first, err);
    end = replay->end;
    pthread_mutex_unlock(&replay->lock);
    if (!good || !replay_wait_durable(replay, end, err) || !replay->ops->trim(replay->log, first, err))
        return false;
    pthread_mutex_lock(&replay->lock);
    replay->start = MAX(replay->start, first);
    if (replay->renewed == first)
        replay->renewed = -1;
    pthread_mutex_unlock(&replay->lock);
    return true;
}

void replay_lock(struct replay *replay)
{
    pthread_mutex_lock(&replay->lock);
}

void replay_unlock(struct replay *replay)
{
    pthread_mutex_unlock(&replay->lock);
}

int64_t replay_end(struct replay *replay)
{
    pthread_mutex_lock(&replay->lock);
    int64_t end = replay->end;
    pthread_mutex_unlock(&replay->lock);
    return end;
}

/* Appends the snapshot in batches of moderate size. Under the lock. */
static bool append_snapshot(struct replay *replay, struct err *err)
{
    size_t from = 0, bytes = 0, count = replay->records.list.len;
    for (size_t i = 0; i < count; i++) {
        const struct replay_record *rec = &replay->records.list.at[i];
        bytes += rec->key.len + rec->value.len;
        if (i + 1 < count && i + 1 - from < REWRITE_BATCH_RECORDS && bytes < REWRITE_BATCH_BYTES)
            continue;
        if (!append(replay, from, i + 1, err))
            return false;
        from = i + 1;
        bytes = 0;
    }
    return true;
}

bool replay_rewrite(struct replay *replay, int64_t history_records, struct err *err)
{
    if (replay->class->snapshot == NULL || replay->ops->trim == NULL)
        return true;
    pthread_mutex_lock(&replay->lock);
    bool good = true, rewritten = replay->renewed >= 0;
    int64_t history = replay->end - replay->start;
    int64_t first = rewritten ? replay->renewed : replay->end;
    if (!rewritten && history > history_records) {
        records_reset(&replay->records);
        replay->class->snapshot(replay->state, &replay->records);
        rewritten = (int64_t)replay->records.list.len * REWRITE_FACTOR < history;
        good = !rewritten || append_snapshot(replay, err);
    }
    int64_t end = replay->end;
    pthread_mutex_unlock(&replay->lock);
    if (!good || !rewritten)
        return good;
    if (!replay_wait_durable(replay, end, err) || !replay->ops->trim(replay->log, first, err))
        return false; /* P3: the history stays, the next rewrite tries again */
    pthread_mutex_lock(&replay->lock);
    replay->start = first;
    if (replay->renewed == first)
        replay->renewed = -1;
    pthread_mutex_unlock(&replay->lock);
    return true;
}
