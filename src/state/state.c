/* state.c - the process's state: numbers, store ids, the way of a batch from hand-over to RocksDB.
 *
 *     state_prepare    ops of all batches -> one journal entry, durable              (not visible to anyone)
 *        | decision elsewhere: the transaction named in the entry
 *     state_apply      ops -> RocksDB, numbers, ids         state_cancel   the entry is cut off
 *
 * (A1) RocksDB holds rows up to some entry (db.c); numbers and ids are held in memory, whole, and found again from the
 *      journal: its first entry is a snapshot of them, the others are changes.
 * (A2) At start every entry but the last is known to be decided. The last one is applied if it needs no transaction or
 *      if its transaction was committed, else cut.
 * (A3) When the journal has grown too large, RocksDB is flushed and the journal starts anew with a snapshot.
 * (A4) RocksDB is opened when a store is opened, or when the journal holds rows: a server without stateful queries
 *      does not pay for it.
 *
 * Locks: `lock` guards numbers, ids, journal. RocksDB needs none.
 */
#include "state/state_int.h"

enum {
    CACHE_BYTES = 64 << 20,
    BLOCK_CACHE_BYTES = 8 << 20,
    WRITE_BUFFER_BYTES = 16 << 20,
    JOURNAL_BYTES_MAX = 64 << 20,
};

/* Numbers and ids ------------------------------------------------------------------------------------------- */

/* What a batch says of numbers and ids. *rows: it also has rows. */
static bool apply_names(struct state *state, struct str ops, bool *rows, struct err *err)
{
    struct op_view op;
    bool bad;
    *rows = false;
    while (op_next(&ops, &op, &bad)) {
        switch (op.op) {
        case OP_PUT:
        case OP_DELETE:
        case OP_DELETE_RANGE:
            *rows = true;
            break;
        case OP_NUMBER:
            map_put(&state->numbers, op.a, (void *)(intptr_t)op.number);
            break;
        case OP_NO_NUMBER:
            map_remove(&state->numbers, op.a);
            break;
        case OP_STORE:
            map_put(&state->ids, op.a, (void *)(intptr_t)op.number);
            state->id_next = MAX(state->id_next, (uint32_t)op.number + 1);
            break;
        case OP_NO_STORE:
            map_remove(&state->ids, op.a);
            break;
        }
    }
    return !bad || err_set(err, ERR_CORRUPT, "%s holds an unknown operation", state->journal.path.ptr);
}

/* Numbers and ids as operations: what a new journal begins with. */
static void snapshot_ops(struct state *state, struct buf *ops)
{
    struct str name;
    void *value;
    for (size_t i = 0; map_next(&state->numbers, &i, &name, &value);)
        op_append(ops, OP_NUMBER, name, STR_NULL, (int64_t)(intptr_t)value);
    for (size_t i = 0; map_next(&state->ids, &i, &name, &value);)
        op_append(ops, OP_STORE, name, STR_NULL, (int64_t)(intptr_t)value);
}

bool state_number(struct state *state, struct str name, int64_t *out)
{
    pthread_mutex_lock(&state->lock);
    bool known = map_has(&state->numbers, name);
    if (known)
        *out = (int64_t)(intptr_t)map_get(&state->numbers, name);
    pthread_mutex_unlock(&state->lock);
    return known;
}

uint32_t state_store_id(struct state *state, struct str name, bool *is_new)
{
    pthread_mutex_lock(&state->lock);
    *is_new = !map_has(&state->ids, name);
    uint32_t id = *is_new ? state->id_next++ : (uint32_t)(intptr_t)map_get(&state->ids, name);
    pthread_mutex_unlock(&state->lock);
    return id;
}

/* Opening --------------------------------------------------------------------------------------------------- */

/* Under the lock, or while nobody else has the state. */
static bool need_db_locked(struct state *state, struct err *err)
{
    if (atomic_load(&state->db) != NULL)
        return true;
    struct db *db =
        db_open(state->db_path.ptr, state->options.block_cache_bytes, state->options.write_buffer_bytes, err);
    atomic_store(&state->db, db);
    return db != NULL;
}

bool state_need_db(struct state *state, struct err *err)
{
    pthread_mutex_lock(&state->lock);
    bool ok = need_db_locked(state, err);
    pthread_mutex_unlock(&state->lock);
    return ok;
}

/* One decided entry of the journal, at start. */
static bool replay_entry(struct state *state, const struct journal_entry *entry, struct err *err)
{
    bool rows;
    if (!apply_names(state, entry->ops, &rows, err))
        return false;
    if (rows && !need_db_locked(state, err))
        return false;
    struct db *db = atomic_load(&state->db);
    if (rows && entry->seq > db->seq && !db_apply(db, entry->ops, entry->seq, err))
        return false;
    state->seq_next = entry->seq + 1;
    return true;
}

static bool replay(struct state *state, struct str entries, struct err *err)
{
    struct journal_entry entry;
    while (journal_next(&entries, &entry)) {
        if (entries.len == 0 && entry.pid >= 0 &&
            !state->options.txn_committed(state->options.arg, entry.pid, entry.epoch)) {
            journal_set_last(&state->journal, &entry);
            return journal_cut_last(&state->journal, err);
        }
        if (!replay_entry(state, &entry, err))
            return false;
    }
    return true;
}

static void options_default(struct state_options *options)
{
    options->cache_bytes = options->cache_bytes ? options->cache_bytes : CACHE_BYTES;
    options->block_cache_bytes = options->block_cache_bytes ? options->block_cache_bytes : BLOCK_CACHE_BYTES;
    options->write_buffer_bytes =
        options->write_buffer_bytes ? options->write_buffer_bytes : WRITE_BUFFER_BYTES;
    options->journal_bytes_max = options->journal_bytes_max ? options->journal_bytes_max : JOURNAL_BYTES_MAX;
}

bool state_open(struct state **out, const struct state_options *options, struct err *err)
{
    struct state *state = mem_new(struct state);
    struct buf entries = {0};
    state->options = *options;
    options_default(&state->options);
    buf_append_str(&state->dir, options->dir);
    buf_printf(&state->db_path, "%.*s/db", STR_ARG(options->dir));
    pthread_mutex_init(&state->lock, NULL);
    state->id_next = 1;
    state->seq_next = 1;
    state->journal.fd = -1;
    /* RocksDB makes its own directory, but not the parents; it works on the system's files whatever `io` is. */
    bool ok = io_make_dirs(io_real(), state->dir.ptr, err) &&
              io_make_dirs(options->io, state->dir.ptr, err) &&
              journal_open(&state->journal, options->io, options->dir, &entries, err) &&
              replay(state, buf_str(&entries), err);
    atomic_store(&state->seq_applied, state->seq_next - 1);
    buf_fini(&entries);
    if (!ok) {
        state_close(state);
        return false;
    }
    *out = state;
    return true;
}

/* Flushes RocksDB and begins the journal anew: nothing is left to replay. */
static bool restart_journal(struct state *state, struct err *err)
{
    struct db *db = atomic_load(&state->db);
    if (db != NULL && !db_flush(db, err))
        return false;
    struct buf ops = {0};
    snapshot_ops(state, &ops);
    struct journal_entry snapshot = {.seq = state->seq_next - 1, .pid = -1, .ops = buf_str(&ops)};
    bool ok = journal_restart(&state->journal, &snapshot, err);
    buf_fini(&ops);
    return ok;
}

void state_close(struct state *state)
{
    if (state == NULL)
        return;
    db_close(atomic_load(&state->db));
    journal_close(&state->journal);
    map_fini(&state->numbers);
    map_fini(&state->ids);
    buf_fini(&state->prepared);
    buf_fini(&state->dir);
    buf_fini(&state->db_path);
    pthread_mutex_destroy(&state->lock);
    free(state);
}

/* Commit ---------------------------------------------------------------------------------------------------- */

bool state_prepare(struct state *state, int64_t pid, int16_t epoch, struct state_batch *const *batches,
                   size_t count, struct err *err)
{
    pthread_mutex_lock(&state->lock);
    ASSERT(!state->is_prepared);
    buf_clear(&state->prepared);
    for (size_t i = 0; i < count; i++)
        buf_append_str(&state->prepared, buf_str(&batches[i]->ops));
    struct journal_entry entry = {state->seq_next, pid, epoch, buf_str(&state->prepared)};
    bool ok = journal_append(&state->journal, &entry, err);
    if (ok) {
        state->is_prepared = true;
        state->seq_next++;
    }
    pthread_mutex_unlock(&state->lock);
    return ok;
}

static bool apply_locked(struct state *state, struct err *err)
{
    bool rows;
    if (!apply_names(state, buf_str(&state->prepared), &rows, err))
        return false;
    if (rows && (!need_db_locked(state, err) ||
                 !db_apply(atomic_load(&state->db), buf_str(&state->prepared), state->seq_next - 1, err)))
        return false;
    state->is_prepared = false;
    atomic_store(&state->seq_applied, state->seq_next - 1);
    if (state->prepared.cap > 4u << 20)
        buf_fini(&state->prepared);
    struct err failure;
    if (state->journal.end_pos > state->options.journal_bytes_max && !restart_journal(state, &failure))
        log_warn("state", "journal_not_restarted", "cause=\"%s\"", failure.text);
    return true;
}

bool state_apply(struct state *state, struct err *err)
{
    pthread_mutex_lock(&state->lock);
    ASSERT(state->is_prepared);
    bool ok = apply_locked(state, err);
    pthread_mutex_unlock(&state->lock);
    return ok;
}

bool state_cancel(struct state *state, struct err *err)
{
    pthread_mutex_lock(&state->lock);
    ASSERT(state->is_prepared);
    bool ok = journal_cut_last(&state->journal, err);
    state->is_prepared = false;
    state->seq_next--;
    pthread_mutex_unlock(&state->lock);
    return ok;
}

/* The rows of a store id: [id, id + 1). */
static void drop_rows(struct buf *ops, uint32_t id)
{
    char from[4], to[4];
    store_be32(from, id);
    store_be32(to, id + 1);
    op_append(ops, OP_DELETE_RANGE, str_of(from, 4), str_of(to, 4), 0);
}

bool state_drop(struct state *state, struct str prefix, struct err *err)
{
    struct state_batch batch = {0};
    struct state_batch *list[] = {&batch};
    struct str name;
    void *value;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; map_next(&state->numbers, &i, &name, &value);)
        if (str_starts_with(name, prefix))
            op_append(&batch.ops, OP_NO_NUMBER, name, STR_NULL, 0);
    for (size_t i = 0; map_next(&state->ids, &i, &name, &value);)
        if (str_starts_with(name, prefix)) {
            op_append(&batch.ops, OP_NO_STORE, name, STR_NULL, 0);
            drop_rows(&batch.ops, (uint32_t)(intptr_t)value);
        }
    pthread_mutex_unlock(&state->lock);
    bool ok = batch.ops.len == 0 || (state_prepare(state, -1, 0, list, 1, err) && state_apply(state, err));
    buf_fini(&batch.ops);
    return ok;
}

size_t state_cache_bytes(const struct state *state)
{
    int64_t bytes = atomic_load(&state->cache_bytes);
    return bytes > 0 ? (size_t)bytes : 0;
}

size_t state_dirty_bytes(const struct state *state)
{
    int64_t bytes = atomic_load(&state->dirty_bytes);
    return bytes > 0 ? (size_t)bytes : 0;
}

size_t state_cache_limit(const struct state *state)
{
    return state->options.cache_bytes;
}
