/* map.h - hash table from byte string to pointer, in order of insertion when walked.
 *
 *   slots: [ 2 | - | 0 | - | 1 ... ]      open addressing, linear probing: index + 1 into entries
 *   entries: [key,value] [key,value] ...  dense, in insertion order; a removed entry has key.ptr NULL
 *
 * The map owns copies of its keys and borrows the values. Not thread-safe. A zeroed map is valid and empty.
 */
#ifndef RIALTO_BASE_MAP_H
#define RIALTO_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_entry {
    struct str key; /* ptr NULL: removed */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    uint32_t *slots;
    size_t entry_len, entry_cap;
    size_t slot_cap; /* a power of two, or 0 */
    size_t len;      /* live entries */
};

void map_fini(struct map *map);

/* Removes all entries. */
void map_clear(struct map *map);

/* The value, or NULL. */
void *map_get(const struct map *map, struct str key);
bool map_has(const struct map *map, struct str key);

/* Sets the value and returns the one it replaces, or NULL. The key is copied. */
void *map_put(struct map *map, struct str key, void *value);

/* Removes the key and returns its value, or NULL. */
void *map_remove(struct map *map, struct str key);

/* Walks in insertion order: for (size_t i = 0; map_next(&map, &i, &key, &value);) ... Entries may be removed inside
 * (the map is compacted only by map_put). */
bool map_next(const struct map *map, size_t *pos, struct str *key, void **value);

#endif
