#include "base/map.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

enum { SLOT_EMPTY = 0, SLOT_REMOVED = UINT32_MAX };

void map_clear(struct map *map)
{
    for (size_t i = 0; i < map->entry_len; i++)
        free((void *)map->entries[i].key.ptr);
    free(map->entries);
    free(map->slots);
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    map_clear(map);
}

/* The slot that holds `key`, or SIZE_MAX. */
static size_t map_find(const struct map *map, struct str key, uint64_t hash)
{
    if (map->slot_cap == 0)
        return SIZE_MAX;
    for (size_t slot = hash & (map->slot_cap - 1);; slot = (slot + 1) & (map->slot_cap - 1)) {
        uint32_t ref = map->slots[slot];
        if (ref == SLOT_EMPTY)
            return SIZE_MAX;
        if (ref == (uint32_t)SLOT_REMOVED)
            continue;
        const struct map_entry *entry = &map->entries[ref - 1];
        if (entry->hash == hash && str_eq(entry->key, key))
            return slot;
    }
}

void *map_get(const struct map *map, struct str key)
{
    size_t slot = map_find(map, key, hash_str(key));
    return slot == SIZE_MAX ? NULL : map->entries[map->slots[slot] - 1].value;
}

bool map_has(const struct map *map, struct str key)
{
    return map_find(map, key, hash_str(key)) != SIZE_MAX;
}

static void map_link(struct map *map, size_t entry)
{
    size_t slot = map->entries[entry].hash & (map->slot_cap - 1);
    while (map->slots[slot] != SLOT_EMPTY && map->slots[slot] != (uint32_t)SLOT_REMOVED)
        slot = (slot + 1) & (map->slot_cap - 1);
    map->slots[slot] = (uint32_t)entry + 1;
}

/* Drops removed entries and makes room for one more: entries stay below half of the slots. */
static void map_rebuild(struct map *map)
{
    size_t live = 0;
    for (size_t i = 0; i < map->entry_len; i++)
        if (map->entries[i].key.ptr != NULL)
            map->entries[live++] = map->entries[i];
    ASSERT(live == map->len);
    map->entry_len = live;
    map->entry_cap = live < 8 ? 16 : live * 2;
    ASSERT(map->entry_cap < UINT32_MAX / 4);
    map->entries = mem_realloc(map->entries, map->entry_cap * sizeof *map->entries);
    for (map->slot_cap = 32; map->slot_cap < map->entry_cap * 2;)
        map->slot_cap *= 2;
    free(map->slots);
    map->slots = mem_zalloc(map->slot_cap, sizeof *map->slots);
    for (size_t i = 0; i < live; i++)
        map_link(map, i);
}

void *map_put(struct map *map, struct str key, void *value)
{
    uint64_t hash = hash_str(key);
    size_t slot = map_find(map, key, hash);
    if (slot != SIZE_MAX) {
        struct map_entry *entry = &map->entries[map->slots[slot] - 1];
        void *old = entry->value;
        entry->value = value;
        return old;
    }
    if (map->entry_len == map->entry_cap)
        map_rebuild(map);
    char *copy = mem_alloc(key.len + 1);
    if (key.len != 0)
        memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    map->entries[map->entry_len] = (struct map_entry){str_of(copy, key.len), value, hash};
    map_link(map, map->entry_len++);
    map->len++;
    return NULL;
}

void *map_remove(struct map *map, struct str key)
{
    size_t slot = map_find(map, key, hash_str(key));
    if (slot == SIZE_MAX)
        return NULL;
    struct map_entry *entry = &map->entries[map->slots[slot] - 1];
    void *old = entry->value;
    free((void *)entry->key.ptr);
    entry->key = STR_NULL;
    map->slots[slot] = (uint32_t)SLOT_REMOVED;
    map->len--;
    return old;
}

bool map_next(const struct map *map, size_t *pos, struct str *key, void **value)
{
    while (*pos < map->entry_len) {
        const struct map_entry *entry = &map->entries[(*pos)++];
        if (entry->key.ptr == NULL)
            continue;
        if (key != NULL)
            *key = entry->key;
        if (value != NULL)
            *value = entry->value;
        return true;
    }
    return false;
}
