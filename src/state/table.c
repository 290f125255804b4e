/* table.c - the cache's own table: hash of key -> bucket -> rows by time.
 *
 *     slots   [hash|*] [ - ] [hash|*] ...       open addressing, linear probing, removal shifts back
 *     bucket  key bytes, rows: e(t0 = 10) e(t0 = 20) e(t0 = 30)    one row lies in the bucket, more in an array
 *     entry   fixed size per store: header and cells, from slabs that double in size up to SLAB_BYTES_MAX
 *
 * A lookup is one hash of the key, one compare of the key, and mostly one compare of the time: the newest window is the
 * last row, where the search begins. In a steady state nothing is allocated.
 */
#include "state/state_int.h"

enum { SLOTS_MIN = 16, SLAB_ENTRIES_MIN = 32, SLAB_DOUBLINGS_MAX = 16, SLAB_BYTES_MAX = 64 * 1024 };

struct bucket *table_find(struct store *store, struct str key, uint64_t hash)
{
    if (store->slot_cap == 0)
        return NULL;
    size_t mask = store->slot_cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct slot *slot = &store->slots[i];
        if (slot->bucket == NULL)
            return NULL;
        if (slot->hash == hash && slot->bucket->key_len == key.len &&
            memcmp(slot->bucket->key, key.ptr, key.len) == 0)
            return slot->bucket;
    }
}

static void slot_put(struct slot *slots, size_t mask, struct bucket *bucket)
{
    size_t i = bucket->hash & mask;
    while (slots[i].bucket != NULL)
        i = (i + 1) & mask;
    slots[i] = (struct slot){bucket->hash, bucket};
}

static void table_grow(struct store *store)
{
    size_t cap = store->slot_cap != 0 ? store->slot_cap * 2 : SLOTS_MIN;
    struct slot *slots = mem_zalloc(cap, sizeof *slots);
    for (size_t i = 0; i < store->slot_cap; i++)
        if (store->slots[i].bucket != NULL)
            slot_put(slots, cap - 1, store->slots[i].bucket);
    free(store->slots);
    store->bytes += (int64_t)((cap - store->slot_cap) * sizeof *slots);
    store->slots = slots;
    store->slot_cap = cap;
    store->hand = 0;
}

struct bucket *table_add(struct store *store, struct str key, uint64_t hash)
{
    ASSERT(key.len < UINT32_MAX);
    if ((store->bucket_len + 1) * 4 > store->slot_cap * 3)
        table_grow(store);
    struct bucket *bucket = mem_alloc(sizeof *bucket + key.len);
    *bucket = (struct bucket){.hash = hash, .key_len = (uint32_t)key.len, .touched = true};
    bucket->rows = &bucket->one;
    if (key.len != 0)
        memcpy(bucket->key, key.ptr, key.len);
    slot_put(store->slots, store->slot_cap - 1, bucket);
    store->bucket_len++;
    store->bytes += (int64_t)(sizeof *bucket + key.len);
    return bucket;
}

void table_remove(struct store *store, struct bucket *bucket)
{
    ASSERT(bucket->len == 0 && bucket->pending == 0);
    size_t mask = store->slot_cap - 1;
    size_t i = bucket->hash & mask;
    while (store->slots[i].bucket != bucket)
        i = (i + 1) & mask;
    /* Later members of the chain move up, so that no search ends at the hole. */
    for (size_t j = (i + 1) & mask; store->slots[j].bucket != NULL; j = (j + 1) & mask) {
        size_t home = store->slots[j].hash & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            store->slots[i] = store->slots[j];
            i = j;
        }
    }
    store->slots[i] = (struct slot){0};
    store->bucket_len--;
    store->bytes -= (int64_t)(sizeof *bucket + bucket->key_len + bucket->cap * sizeof *bucket->rows);
    if (bucket->cap != 0)
        free(bucket->rows);
    free(bucket);
}

static int order(const struct store_entry *entry, int64_t t0, int64_t t1)
{
    if (entry->t0 != t0)
        return entry->t0 < t0 ? -1 : 1;
    return entry->t1 < t1 ? -1 : entry->t1 > t1;
}

uint32_t bucket_lower(const struct bucket *bucket, int64_t t0, int64_t t1)
{
    uint32_t low = 0, high = bucket->len;
    if (high != 0 && order(bucket->rows[high - 1], t0, t1) < 0)
        return high;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (order(bucket->rows[mid], t0, t1) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct store_entry *bucket_find(const struct bucket *bucket, int64_t t0, int64_t t1)
{
    if (bucket->len == 0)
        return NULL;
    struct store_entry *last = bucket->rows[bucket->len - 1];
    if (last->t0 == t0 && last->t1 == t1)
        return last;
    uint32_t at = bucket_lower(bucket, t0, t1);
    if (at == bucket->len || order(bucket->rows[at], t0, t1) != 0)
        return NULL;
    return bucket->rows[at];
}

/* Small stores stay small. Large ones ask seldom: off the main thread, malloc grows its heap by one system call for
 * every few KiB. */
static size_t slab_entries(const struct store *store)
{
    size_t entries = (size_t)SLAB_ENTRIES_MIN << MIN(store->slabs.len, (size_t)SLAB_DOUBLINGS_MAX);
    size_t fitting = SLAB_BYTES_MAX / store->entry_bytes;
    return MIN(entries, MAX(fitting, (size_t)SLAB_ENTRIES_MIN));
}

static void slab_add(struct store *store)
{
    size_t entries = slab_entries(store);
    char *slab = mem_alloc(store->entry_bytes * entries);
    vec_push(&store->slabs, slab);
    for (size_t i = 0; i < entries; i++) {
        struct store_entry *entry = (struct store_entry *)(slab + i * store->entry_bytes);
        entry->bucket = (struct bucket *)store->free_list;
        store->free_list = entry;
    }
}

static struct store_entry *entry_new(struct store *store)
{
    if (store->free_list == NULL)
        slab_add(store);
    struct store_entry *entry = store->free_list;
    store->free_list = (struct store_entry *)entry->bucket;
    memset(entry, 0, store->entry_bytes);
    store->bytes += (int64_t)store->entry_bytes;
    return entry;
}

static void rows_grow(struct store *store, struct bucket *bucket)
{
    uint32_t cap = bucket->cap != 0 ? bucket->cap * 2 : 4;
    struct store_entry **rows = mem_alloc(cap * sizeof *rows);
    if (bucket->len != 0)
        memcpy(rows, bucket->rows, bucket->len * sizeof *rows);
    if (bucket->cap != 0)
        free(bucket->rows);
    store->bytes += (int64_t)((cap - bucket->cap) * sizeof *rows);
    bucket->rows = rows;
    bucket->cap = cap;
}

struct store_entry *entry_add(struct store *store, struct bucket *bucket, int64_t t0, int64_t t1)
{
    if (bucket->len == (bucket->cap != 0 ? bucket->cap : 1))
        rows_grow(store, bucket);
    uint32_t at = bucket_lower(bucket, t0, t1);
    memmove(&bucket->rows[at + 1], &bucket->rows[at], (bucket->len - at) * sizeof *bucket->rows);
    struct store_entry *entry = entry_new(store);
    entry->t0 = t0;
    entry->t1 = t1;
    entry->bucket = bucket;
    entry->linked = true;
    bucket->rows[at] = entry;
    bucket->len++;
    return entry;
}

void entry_unlink(struct store *store, struct store_entry *entry)
{
    struct bucket *bucket = entry->bucket;
    uint32_t at = bucket_lower(bucket, entry->t0, entry->t1);
    ASSERT(at < bucket->len && bucket->rows[at] == entry);
    memmove(&bucket->rows[at], &bucket->rows[at + 1], (bucket->len - at - 1) * sizeof *bucket->rows);
    bucket->len--;
    entry->linked = false;
}

void entry_free(struct store *store, struct store_entry *entry)
{
    ASSERT(!entry->linked && !entry->dirty);
    if (entry->heap != NULL) {
        store->bytes -= (int64_t)(*(size_t *)entry->heap);
        free(entry->heap);
    }
    store->bytes -= (int64_t)store->entry_bytes;
    entry->bucket = (struct bucket *)store->free_list;
    store->free_list = entry;
}
