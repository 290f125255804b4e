/* store.c - a store: rows of typed cells, found in the cache, loaded from RocksDB when they are not there.
 *
 *     store_at -> table (hash) -> entry     hit: nothing else happens
 *                     | miss, and RocksDB may have it
 *                  RocksDB get, or for sessions all rows of the key
 *
 *     key in RocksDB    KEY_VALUE   id (4)  key
 *                       WINDOW      id (4)  t0 (8)  key         time first: old windows are one range
 *                       SESSION     id (4)  key  t0 (8)  t1 (8)     key first: rows of a key are one range
 *
 * (S1) `complete`: RocksDB has no row that the cache has not; then a miss needs no look there. True for new stores,
 *      until a present row is thrown out of the cache.
 * (S2) KEY_VALUE and WINDOW: an absent row stays in the cache as such until its deletion was applied.
 *      SESSION: a bucket has all rows of its key; a deleted row leaves it at once and waits in the dirty list.
 * (S3) An entry leaves the cache only when it is clean, not pinned, and its last batch was applied.
 * (S4) Cells point into the entry's own heap block (or are scalars): nothing of a batch arena is kept.
 *
 * Thread: the owner's. Decided against: cells as encoded bytes, which would cost a decode and an encode per change.
 */
#include "state/state_int.h"
#include "type/decimal.h"

/* Keys and cells as bytes ------------------------------------------------------------------------------------ */

/* Signed numbers in an order that bytes keep. */
static void append_ordered(struct buf *out, int64_t t)
{
    store_be64(buf_extend(out, 8), (uint64_t)t ^ (uint64_t)1 << 63);
}

static int64_t load_ordered(const char *at)
{
    return (int64_t)(load_be64(at) ^ (uint64_t)1 << 63);
}

void store_key_encode(const struct store *store, struct str key, int64_t t0, int64_t t1, struct buf *out)
{
    buf_clear(out);
    store_be32(buf_extend(out, 4), store->id);
    if (store->kind == STORE_WINDOW)
        append_ordered(out, t0);
    buf_append_str(out, key);
    if (store->kind == STORE_SESSION) {
        append_ordered(out, t0);
        append_ordered(out, t1);
    }
}

bool store_key_decode(const struct store *store, struct str bytes, struct str *key, int64_t *t0, int64_t *t1)
{
    size_t fixed = store->kind == STORE_WINDOW ? 12 : store->kind == STORE_SESSION ? 20 : 4;
    if (bytes.len < fixed || load_be32(bytes.ptr) != store->id)
        return false;
    *t0 = *t1 = 0;
    *key = str_of(bytes.ptr + 4, bytes.len - fixed);
    if (store->kind == STORE_WINDOW) {
        *t0 = load_ordered(bytes.ptr + 4);
        key->ptr += 8;
    } else if (store->kind == STORE_SESSION) {
        *t0 = load_ordered(bytes.ptr + bytes.len - 16);
        *t1 = load_ordered(bytes.ptr + bytes.len - 8);
    }
    return true;
}

bool store_cells_decode(const struct store *store, struct str bytes, struct value *cells, struct arena *arena,
                        struct err *err)
{
    for (uint32_t i = 0; i < store->cell_count; i++)
        if (!value_decode(&bytes, store->types[i], &cells[i], arena))
            return err_set(err, ERR_CORRUPT, "store %.*s: a row's cell %u cannot be read",
                           STR_ARG(store->name), i);
    return bytes.len == 0 || err_set(err, ERR_CORRUPT, "store %.*s: a row has %zu bytes too many",
                                     STR_ARG(store->name), bytes.len);
}

/* Memory of cells -------------------------------------------------------------------------------------------- */

static bool kind_is_scalar(enum sql_kind kind)
{
    return kind != SQL_DECIMAL && kind != SQL_STRING && kind != SQL_BYTES && kind < SQL_ARRAY;
}

/* An upper bound of what value_dup takes from an arena. */
static size_t dup_bytes(struct value v)
{
    enum { SLACK = 32 }; /* alignment, terminator */
    switch (v.kind) {
    case SQL_STRING:
    case SQL_BYTES:
        return v.len + SLACK;
    case SQL_DECIMAL:
        return sizeof(struct decimal) + (size_t)abs(v.dec->limb_count) * 8 + 2 * SLACK;
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT: {
        size_t n = v.kind == SQL_MAP ? 2 * (size_t)v.len : v.len, bytes = n * sizeof v + SLACK;
        for (size_t i = 0; i < n; i++)
            bytes += dup_bytes(v.elems[i]);
        return bytes;
    }
    default:
        return 0;
    }
}

/* Do all cells that need memory lie in the entry's own block already? */
static bool is_kept(const struct store_entry *entry, uint32_t cell_count)
{
    uintptr_t low = (uintptr_t)entry->heap, high = low + (entry->heap ? *(size_t *)entry->heap : 0);
    for (uint32_t i = 0; i < cell_count; i++) {
        struct value v = entry->cells[i];
        if (kind_is_scalar(v.kind) || v.len == 0)
            continue;
        if ((uintptr_t)v.ptr < low || (uintptr_t)v.ptr >= high)
            return false;
    }
    return true;
}

void store_keep(struct store *store, struct store_entry *entry)
{
    if (is_kept(entry, store->cell_count))
        return;
    size_t bytes = sizeof(size_t);
    for (uint32_t i = 0; i < store->cell_count; i++)
        bytes += dup_bytes(entry->cells[i]);
    char *heap = mem_alloc(bytes + 16);
    *(size_t *)heap = bytes + 16;
    struct arena arena = {.at = heap + sizeof(size_t), .end = heap + bytes + 16};
    for (uint32_t i = 0; i < store->cell_count; i++)
        entry->cells[i] = value_dup(entry->cells[i], &arena);
    ASSERT(arena.chunk == NULL); /* dup_bytes is an upper bound */
    store->bytes += (int64_t)(bytes + 16);
    if (entry->heap != NULL) {
        store->bytes -= (int64_t) * (size_t *)entry->heap;
        free(entry->heap);
    }
    entry->heap = heap;
}

/* Opening ------------------------------------------------------------------------------------------------------ */

/* What RocksDB has of this store: nothing, or its latest window. */
static bool probe_db(struct store *store, struct err *err)
{
    char from[4], to[4];
    store_be32(from, store->id);
    store_be32(to, store->id + 1);
    rocksdb_iterator_t *it = db_iterator(atomic_load(&store->state->db));
    struct str key;
    int64_t t0, t1;
    rocksdb_iter_seek(it, from, 4);
    store->complete = !rocksdb_iter_valid(it) || !store_key_decode(store, db_iter_key(it), &key, &t0, &t1);
    store->db_t0_max = INT64_MAX;
    if (!store->complete && store->kind == STORE_WINDOW) {
        rocksdb_iter_seek_for_prev(it, to, 4);
        if (rocksdb_iter_valid(it) && store_key_decode(store, db_iter_key(it), &key, &t0, &t1))
            store->db_t0_max = t0;
    }
    bool ok = db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    return ok;
}

static bool open_stored(struct store *store, struct err *err)
{
    if (!state_need_db(store->state, err))
        return false;
    store->id = state_store_id(store->state, store->name, &store->id_new);
    if (store->id_new)
        return true;
    return probe_db(store, err);
}

struct store *store_open(struct state *state, struct str name, const struct store_options *options,
                         struct err *err)
{
    struct store *store = mem_new(struct store);
    store->owners = 1;
    store->state = state;
    store->name = str_dup(name, &store->arena);
    store->kind = options->kind;
    store->types = options->types;
    store->cell_count = options->cell_count;
    store->retention_ms = options->retention_ms;
    store->scalar = true;
    for (uint32_t i = 0; i < store->cell_count; i++)
        store->scalar &= kind_is_scalar(store->types[i]->kind);
    store->entry_bytes = sizeof(struct store_entry) + store->cell_count * sizeof(struct value);
    store->complete = true;
    store->db_t0_max = INT64_MIN;
    store->expired_below = INT64_MIN;
    if (state != NULL && !open_stored(store, err)) {
        store_close(store);
        return NULL;
    }
    return store;
}

struct store *store_share(struct store *store, const struct store_options *options)
{
    ASSERT(store->state == NULL && store->kind == options->kind && store->cell_count == options->cell_count);
    store->types = options->types;
    store->retention_ms = options->retention_ms;
    store->owners++;
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL || --store->owners != 0)
        return;
    for (size_t i = 0; i < store->slot_cap; i++) {
        struct bucket *bucket = store->slots[i].bucket;
        for (uint32_t r = 0; bucket != NULL && r < bucket->len; r++)
            free(bucket->rows[r]->heap);
        if (bucket != NULL && bucket->cap != 0)
            free(bucket->rows);
        free(bucket);
    }
    for (size_t i = 0; i < store->dirty.len; i++)
        if (!store->dirty.at[i]->linked)
            free(store->dirty.at[i]->heap);
    for (size_t i = 0; i < store->dead.len; i++)
        free(store->dead.at[i]->heap);
    for (size_t i = 0; i < store->slabs.len; i++)
        free(store->slabs.at[i]);
    store->bytes = store->dirty_bytes = 0;
    store_tell(store);
    vec_fini(&store->slabs);
    vec_fini(&store->dirty);
    vec_fini(&store->dead);
    free(store->slots);
    buf_fini(&store->key_scratch);
    buf_fini(&store->value_scratch);
    arena_fini(&store->load_arena);
    arena_fini(&store->arena);
    free(store);
}

void store_tell(struct store *store)
{
    if (store->state == NULL)
        return;
    atomic_fetch_add(&store->state->cache_bytes, store->bytes - store->bytes_told);
    atomic_fetch_add(&store->state->dirty_bytes, store->dirty_bytes - store->dirty_bytes_told);
    store->bytes_told = store->bytes;
    store->dirty_bytes_told = store->dirty_bytes;
}

/* Lookup ------------------------------------------------------------------------------------------------------- */

/* Fills an entry from the bytes of its row. */
static bool entry_fill(struct store *store, struct store_entry *entry, struct str bytes, struct err *err)
{
    arena_reset(&store->load_arena);
    if (!store_cells_decode(store, bytes, entry->cells, &store->load_arena, err)) {
        memset(entry->cells, 0, store->cell_count * sizeof *entry->cells);
        return false;
    }
    store_keep(store, entry);
    entry->present = true;
    entry->stored = true;
    store->row_len++;
    return true;
}

static bool entry_load(struct store *store, struct store_entry *entry, struct err *err)
{
    if (store->complete || (store->kind == STORE_WINDOW && entry->t0 > store->db_t0_max) ||
        entry->t0 < store->expired_below)
        return true;
    bool found;
    store_key_encode(store, bucket_key(entry->bucket), entry->t0, entry->t1, &store->key_scratch);
    buf_clear(&store->value_scratch);
    if (!db_get(atomic_load(&store->state->db), buf_str(&store->key_scratch), &store->value_scratch, &found,
                err))
        return false;
    return !found || entry_fill(store, entry, buf_str(&store->value_scratch), err);
}

bool store_load_bucket(struct store *store, struct bucket *bucket, struct err *err)
{
    bucket->whole = true;
    if (store->complete)
        return true;
    struct str prefix, key;
    int64_t t0, t1;
    store_key_encode(store, bucket_key(bucket), 0, 0, &store->key_scratch);
    prefix = str_of(store->key_scratch.ptr, store->key_scratch.len - 16);
    rocksdb_iterator_t *it = db_iterator(atomic_load(&store->state->db));
    bool ok = true;
    for (rocksdb_iter_seek(it, prefix.ptr, prefix.len); ok && rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct str bytes = db_iter_key(it);
        if (!str_starts_with(bytes, prefix))
            break;
        /* A longer key may begin with the same bytes. */
        if (!store_key_decode(store, bytes, &key, &t0, &t1) || key.len != bucket->key_len ||
            t0 < store->expired_below)
            continue;
        ok = entry_fill(store, entry_add(store, bucket, t0, t1), db_iter_value(it), err);
    }
    ok = ok && db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    return ok;
}

/* A bucket that could not be loaded must not look complete. */
static void bucket_discard(struct store *store, struct bucket *bucket)
{
    while (bucket->len != 0) {
        struct store_entry *entry = bucket->rows[bucket->len - 1];
        store->row_len -= entry->present;
        entry_unlink(store, entry);
        entry_free(store, entry);
    }
    table_remove(store, bucket);
}

/* The bucket of a key; made, and for sessions loaded, when it is not there. */
static struct bucket *bucket_at(struct store *store, struct str key, struct err *err)
{
    uint64_t hash = hash_str(key);
    struct bucket *bucket = table_find(store, key, hash);
    if (bucket != NULL) {
        bucket->touched = true;
        return bucket;
    }
    bucket = table_add(store, key, hash);
    if (store->kind == STORE_SESSION && !store_load_bucket(store, bucket, err)) {
        bucket_discard(store, bucket);
        return NULL;
    }
    return bucket;
}

struct store_entry *store_at(struct store *store, struct str key, int64_t t0, int64_t t1, struct err *err)
{
    struct bucket *bucket = bucket_at(store, key, err);
    if (bucket == NULL)
        return NULL;
    struct store_entry *entry = bucket_find(bucket, t0, t1);
    if (entry != NULL)
        return entry;
    entry = entry_add(store, bucket, t0, t1);
    if (store->kind != STORE_SESSION && !entry_load(store, entry, err)) {
        entry_unlink(store, entry);
        entry_free(store, entry);
        return NULL;
    }
    return entry;
}

struct store_entry *store_find(struct store *store, struct str key, int64_t t0, int64_t t1, bool *failed,
                               struct err *err)
{
    *failed = false;
    if (store->complete) {
        struct bucket *bucket = table_find(store, key, hash_str(key));
        struct store_entry *entry = bucket != NULL ? bucket_find(bucket, t0, t1) : NULL;
        return entry != NULL && entry->present ? entry : NULL;
    }
    struct store_entry *entry = store_at(store, key, t0, t1, err);
    *failed = entry == NULL;
    return entry != NULL && entry->present ? entry : NULL;
}

struct str store_entry_key(const struct store_entry *entry)
{
    return bucket_key(entry->bucket);
}

struct value *store_cells_dup(const struct store_entry *entry, uint32_t count, struct arena *arena)
{
    if (!entry->present)
        return NULL;
    struct value *cells = arena_array(arena, struct value, count);
    for (uint32_t i = 0; i < count; i++)
        cells[i] = value_dup(entry->cells[i], arena);
    return cells;
}

/* Changes ------------------------------------------------------------------------------------------------------ */

static void make_dirty(struct store *store, struct store_entry *entry)
{
    if (entry->dirty || store->state == NULL)
        return;
    entry->dirty = true;
    entry->bucket->pending++;
    store->dirty_bytes += (int64_t)store->entry_bytes;
    vec_push(&store->dirty, entry);
}

void store_changed(struct store *store, struct store_entry *entry)
{
    ASSERT(entry->linked);
    if (!store->scalar)
        store_keep(store, entry);
    store->row_len += !entry->present;
    entry->present = true;
    make_dirty(store, entry);
}

void store_delete(struct store *store, struct store_entry *entry)
{
    if (!entry->present)
        return;
    entry->present = false;
    store->row_len--;
    memset(entry->cells, 0, store->cell_count * sizeof *entry->cells);
    if (entry->stored)
        make_dirty(store, entry);
    if (store->kind == STORE_SESSION || store->state == NULL) {
        entry_unlink(store, entry);
        if (!entry->dirty)
            vec_push(&store->dead, entry);
    }
}

/* Hand-over ------------------------------------------------------------------------------------------------------ */

static void hand_over_expired(struct store *store, struct buf *ops)
{
    char from[12], to[12];
    store_be32(from, store->id);
    store_be64(from + 4, 0);
    store_be32(to, store->id);
    store_be64(to + 4, (uint64_t)store->expired_below ^ (uint64_t)1 << 63);
    op_append(ops, OP_DELETE_RANGE, str_of(from, 12), str_of(to, 12), 0);
    store->expired_new = false;
}

static void hand_over_entry(struct store *store, struct store_entry *entry, struct buf *ops)
{
    if (entry->t0 < store->expired_below && store->kind == STORE_WINDOW)
        return; /* the range covers it */
    store_key_encode(store, bucket_key(entry->bucket), entry->t0, entry->t1, &store->key_scratch);
    if (!entry->present) {
        if (entry->stored)
            op_append(ops, OP_DELETE, buf_str(&store->key_scratch), STR_NULL, 0);
        entry->stored = false;
        return;
    }
    buf_clear(&store->value_scratch);
    for (uint32_t i = 0; i < store->cell_count; i++)
        value_encode(entry->cells[i], store->types[i], &store->value_scratch);
    op_append(ops, OP_PUT, buf_str(&store->key_scratch), buf_str(&store->value_scratch), 0);
    entry->stored = true;
}

void store_hand_over(struct store *store, struct state_batch *batch)
{
    if (store->state == NULL)
        return;
    uint64_t seq = atomic_load(&store->state->seq_applied) + 1;
    if (store->id_new && store->dirty.len != 0) {
        op_append(&batch->ops, OP_STORE, store->name, STR_NULL, store->id);
        store->id_new = false;
    }
    if (store->expired_new)
        hand_over_expired(store, &batch->ops);
    for (size_t i = 0; i < store->dirty.len; i++) {
        struct store_entry *entry = store->dirty.at[i];
        hand_over_entry(store, entry, &batch->ops);
        entry->dirty = false;
        entry->seq = seq;
        entry->bucket->pending--;
        entry->bucket->seq = seq;
        if (!entry->linked)
            entry_free(store, entry);
    }
    vec_clear(&store->dirty);
    store->dirty_bytes = 0;
    store_tell(store);
}

size_t store_cached(const struct store *store)
{
    return store->row_len;
}
