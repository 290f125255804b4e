/* scan.c - ranges and whole scans over cache and RocksDB, expiry, and trimming of the cache.
 *
 * The cache is newer: a row of RocksDB counts only when the cache does not know its key (present or absent) and it is
 * not expired.
 */
#include "state/state_int.h"

enum {
    EXPIRE_STEPS = 8,      /* expiry is done eight times per retention */
    TRIM_STEPS_MAX = 4096, /* of one store_trim: nothing may be free to leave */
};

/* One key ------------------------------------------------------------------------------------------------------ */

bool store_range(struct store *store, struct str key, int64_t t0_min, int64_t t0_max,
                 struct store_entries *out, struct err *err)
{
    ASSERT(store->kind == STORE_SESSION);
    struct bucket *bucket = table_find(store, key, hash_str(key));
    if (bucket == NULL && !store->complete) {
        bucket = table_add(store, key, hash_str(key));
        if (!store_load_bucket(store, bucket, err)) {
            bucket->whole = false;
            return false;
        }
    }
    if (bucket == NULL)
        return true;
    bucket->touched = true;
    for (uint32_t i = bucket_lower(bucket, t0_min, INT64_MIN); i < bucket->len; i++) {
        if (bucket->rows[i]->t0 > t0_max)
            break;
        if (bucket->rows[i]->present)
            vec_push(&out->list, bucket->rows[i]);
    }
    return true;
}

struct found_row {
    int64_t t0, t1;
    const struct value *cells;
};

struct found_rows {
    vec(struct found_row) list;
};

static int found_cmp(const void *a, const void *b)
{
    const struct found_row *x = a, *y = b;
    if (x->t0 != y->t0)
        return x->t0 < y->t0 ? -1 : 1;
    return x->t1 < y->t1 ? -1 : x->t1 > y->t1;
}

/* Does the cache speak for this row, so that RocksDB's is not asked? */
static bool is_covered(struct store *store, struct str key, int64_t t0, int64_t t1)
{
    if (t0 < store->expired_below)
        return true;
    struct bucket *bucket = table_find(store, key, hash_str(key));
    return bucket != NULL && (bucket->whole || bucket_find(bucket, t0, t1) != NULL);
}

/* A row of RocksDB, copied to the arena. */
static bool found_add(struct store *store, int64_t t0, int64_t t1, struct str bytes, struct arena *arena,
                      struct found_rows *out, struct err *err)
{
    struct value *cells = arena_array(arena, struct value, store->cell_count + 1);
    struct str copy = str_dup(bytes, arena);
    if (!store_cells_decode(store, copy, cells, arena, err))
        return false;
    vec_push(&out->list, (struct found_row){t0, t1, cells});
    return true;
}

/* Windows of one key in RocksDB: keys are ordered by time first, so the search jumps from window to window. */
static bool find_windows(struct store *store, struct str key, int64_t t0_min, int64_t t0_max,
                         struct arena *arena, struct found_rows *out, struct err *err)
{
    rocksdb_iterator_t *it = db_iterator(atomic_load(&store->state->db));
    int64_t at = MAX(t0_min, store->expired_below);
    bool ok = true;
    while (ok && at <= t0_max) {
        struct str found;
        int64_t t0, t1;
        store_key_encode(store, key, at, 0, &store->key_scratch);
        rocksdb_iter_seek(it, store->key_scratch.ptr, store->key_scratch.len);
        if (!rocksdb_iter_valid(it) || !store_key_decode(store, db_iter_key(it), &found, &t0, &t1) ||
            t0 > t0_max)
            break;
        int cmp = str_cmp(found, key);
        if (cmp == 0 && !is_covered(store, key, t0, 0))
            ok = found_add(store, t0, 0, db_iter_value(it), arena, out, err);
        if (t0 == INT64_MAX)
            break;
        at = cmp < 0 ? t0 : t0 + 1; /* an earlier key of that window: look there again for ours */
    }
    ok = ok && db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    return ok;
}

static bool find_single(struct store *store, struct str key, struct arena *arena, struct found_rows *out,
                        struct err *err)
{
    bool found;
    if (is_covered(store, key, 0, 0))
        return true;
    store_key_encode(store, key, 0, 0, &store->key_scratch);
    buf_clear(&store->value_scratch);
    if (!db_get(atomic_load(&store->state->db), buf_str(&store->key_scratch), &store->value_scratch, &found,
                err))
        return false;
    return !found || found_add(store, 0, 0, buf_str(&store->value_scratch), arena, out, err);
}

/* Rows of a key that only RocksDB has; a session's rows are loaded into the cache instead. */
static bool find_stored(struct store *store, struct str key, int64_t t0_min, int64_t t0_max,
                        struct arena *arena, struct found_rows *out, struct err *err)
{
    if (store->complete)
        return true;
    switch (store->kind) {
    case STORE_KEY_VALUE:
        return find_single(store, key, arena, out, err);
    case STORE_WINDOW:
        return find_windows(store, key, t0_min, t0_max, arena, out, err);
    case STORE_SESSION:
        break;
    }
    struct store_entries loaded = {0};
    bool ok = store_range(store, key, t0_min, t0_max, &loaded, err);
    vec_fini(&loaded.list);
    return ok;
}

bool store_scan_key(struct store *store, struct str key, int64_t t0_min, int64_t t0_max, store_scan_fn *fn,
                    void *arg, struct err *err)
{
    struct arena arena = {0};
    struct found_rows rows = {0};
    bool ok = find_stored(store, key, t0_min, t0_max, &arena, &rows, err);
    struct bucket *bucket = ok ? table_find(store, key, hash_str(key)) : NULL;
    for (uint32_t i = bucket != NULL ? bucket_lower(bucket, t0_min, INT64_MIN) : 0;
         bucket != NULL && i < bucket->len && bucket->rows[i]->t0 <= t0_max; i++) {
        struct store_entry *entry = bucket->rows[i];
        if (entry->present)
            vec_push(&rows.list, (struct found_row){entry->t0, entry->t1, entry->cells});
    }
    if (rows.list.len > 1)
        qsort(rows.list.at, rows.list.len, sizeof *rows.list.at, found_cmp);
    for (size_t i = 0; ok && i < rows.list.len; i++)
        if (!fn(arg, key, rows.list.at[i].t0, rows.list.at[i].t1, rows.list.at[i].cells))
            break;
    vec_fini(&rows.list);
    arena_fini(&arena);
    return ok;
}

/* All rows ------------------------------------------------------------------------------------------------------ */

static bool scan_stored(struct store *store, store_scan_fn *fn, void *arg, bool *stopped, struct err *err)
{
    char from[4];
    struct arena arena = {0};
    struct value *cells = mem_zalloc(store->cell_count + 1, sizeof *cells);
    rocksdb_iterator_t *it = db_iterator(atomic_load(&store->state->db));
    store_be32(from, store->id);
    bool ok = true;
    for (rocksdb_iter_seek(it, from, 4); ok && !*stopped && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct str key;
        int64_t t0, t1;
        if (!store_key_decode(store, db_iter_key(it), &key, &t0, &t1))
            break;
        if (is_covered(store, key, t0, t1))
            continue;
        arena_reset(&arena);
        ok = store_cells_decode(store, db_iter_value(it), cells, &arena, err);
        *stopped = ok && !fn(arg, key, t0, t1, cells);
    }
    ok = ok && db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    free(cells);
    arena_fini(&arena);
    return ok;
}

bool store_scan(struct store *store, store_scan_fn *fn, void *arg, struct err *err)
{
    bool stopped = false;
    if (!store->complete && !scan_stored(store, fn, arg, &stopped, err))
        return false;
    for (size_t i = 0; !stopped && i < store->slot_cap; i++) {
        struct bucket *bucket = store->slots[i].bucket;
        for (uint32_t r = 0; bucket != NULL && !stopped && r < bucket->len; r++) {
            struct store_entry *entry = bucket->rows[r];
            if (entry->present)
                stopped = !fn(arg, bucket_key(bucket), entry->t0, entry->t1, entry->cells);
        }
    }
    return true;
}

/* Expiry ---------------------------------------------------------------------------------------------------------- */

/* Takes an expired row out. A session's must be deleted in RocksDB by its key, a window's goes with the range. */
static void expire_row(struct store *store, struct store_entry *entry)
{
    if (store->kind == STORE_SESSION) {
        if (entry->present)
            store_delete(store, entry);
        return;
    }
    store->row_len -= entry->present;
    entry->present = false;
    entry_unlink(store, entry);
    if (!entry->dirty)
        entry_free(store, entry);
}

/* Expired sessions that the cache has not: loading their keys makes them ordinary rows. */
static bool load_expired(struct store *store, int64_t t0_below, struct err *err)
{
    char from[4];
    rocksdb_iterator_t *it = db_iterator(atomic_load(&store->state->db));
    store_be32(from, store->id);
    bool ok = true;
    for (rocksdb_iter_seek(it, from, 4); ok && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct str key;
        int64_t t0, t1;
        if (!store_key_decode(store, db_iter_key(it), &key, &t0, &t1))
            break;
        if (t0 >= t0_below || table_find(store, key, hash_str(key)) != NULL)
            continue;
        struct bucket *bucket = table_add(store, key, hash_str(key));
        ok = store_load_bucket(store, bucket, err);
    }
    ok = ok && db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    return ok;
}

bool store_expire(struct store *store, int64_t t0_below, struct err *err)
{
    ASSERT(store->kind != STORE_KEY_VALUE);
    int64_t step = store->retention_ms / EXPIRE_STEPS;
    if (store->expired_below != INT64_MIN && t0_below < store->expired_below + MAX(step, 1))
        return true;
    if (store->kind == STORE_SESSION && !store->complete && !load_expired(store, t0_below, err))
        return false;
    for (size_t i = 0; i < store->slot_cap; i++) {
        struct bucket *bucket = store->slots[i].bucket;
        while (bucket != NULL && bucket->len != 0 && bucket->rows[0]->t0 < t0_below &&
               bucket->rows[0]->pins == 0)
            expire_row(store, bucket->rows[0]);
    }
    store->expired_below = t0_below;
    store->expired_new = store->kind == STORE_WINDOW && store->state != NULL && !store->id_new;
    /* Empty buckets are removed by the next trim; here slots must stay where they are. */
    return true;
}

/* Trimming ---------------------------------------------------------------------------------------------------------- */

static bool may_leave(const struct store_entry *entry, uint64_t applied)
{
    return !entry->dirty && entry->pins == 0 && entry->seq <= applied;
}

static void leave(struct store *store, struct store_entry *entry)
{
    if (entry->present) {
        store->complete = false;
        store->db_t0_max = MAX(store->db_t0_max, entry->t0);
        store->row_len--;
        entry->present = false;
    }
    entry_unlink(store, entry);
    entry_free(store, entry);
}

/* Frees what may leave of a bucket. Sessions leave together, so that a bucket is always whole. */
static void trim_bucket(struct store *store, struct bucket *bucket, uint64_t applied)
{
    if (store->kind == STORE_SESSION) {
        if (bucket->pending != 0 || bucket->seq > applied)
            return;
        for (uint32_t i = 0; i < bucket->len; i++)
            if (!may_leave(bucket->rows[i], applied))
                return;
    }
    for (uint32_t i = bucket->len; i-- > 0;)
        if (may_leave(bucket->rows[i], applied))
            leave(store, bucket->rows[i]);
}

static void free_dead(struct store *store)
{
    for (size_t i = 0; i < store->dead.len; i++)
        entry_free(store, store->dead.at[i]);
    vec_clear(&store->dead);
}

static bool is_over(const struct store *store)
{
    return store->state != NULL && state_cache_bytes(store->state) > state_cache_limit(store->state);
}

/* An empty bucket without changes under way may go at any time. */
static bool is_useless(const struct bucket *bucket, uint64_t applied)
{
    return bucket->len == 0 && bucket->pending == 0 && bucket->seq <= applied;
}

/* One step of the hand: a bucket that was used lately is spared once. */
static void trim_slot(struct store *store, uint64_t applied)
{
    struct bucket *bucket = store->slots[store->hand].bucket;
    if (bucket != NULL && !bucket->touched)
        trim_bucket(store, bucket, applied);
    if (bucket != NULL && is_useless(bucket, applied)) {
        table_remove(store, bucket); /* another bucket may have moved here: the hand stays */
        return;
    }
    if (bucket != NULL)
        bucket->touched = false;
    store->hand = (store->hand + 1) & (store->slot_cap - 1);
}

void store_trim(struct store *store)
{
    free_dead(store);
    store_tell(store);
    if (store->slot_cap == 0)
        return;
    uint64_t applied = store->state != NULL ? atomic_load(&store->state->seq_applied) : 0;
    /* A few steps always, so that empty buckets do not pile up; many while the caches are too large. */
    size_t steps = MIN(store->slot_cap, 8);
    for (size_t i = 0; i < steps; i++) {
        struct bucket *bucket = store->slots[store->hand].bucket;
        if (bucket != NULL && is_useless(bucket, applied))
            table_remove(store, bucket);
        else
            store->hand = (store->hand + 1) & (store->slot_cap - 1);
    }
    for (size_t i = 0; i < TRIM_STEPS_MAX && is_over(store); i++) {
        trim_slot(store, applied);
        if (i % 64 == 63)
            store_tell(store);
    }
    store_tell(store);
}
