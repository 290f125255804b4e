/* keymap.c - the last offset of every key in the part of a log that is being compacted.
 *
 *   slots: [ hash of the key (16 bytes) | offset + 1 ] ...      open addressing, linear probing; 0: free
 *
 * 24 bytes a key whatever its size, in one block that never grows: what does not fit is left to the next pass. The
 * hash stands for the key: with 128 bits and a seed that nobody knows, two keys do not meet.
 * Decided against: the keys themselves. They would have to be read again from the log for every look-up.
 */
#include "log/compact_int.h"

#include <stdlib.h>

struct keymap_slot {
    struct hash128 hash;
    int64_t end; /* offset + 1 */
};

void keymap_init(struct keymap *map, size_t bytes_max, uint64_t keys_max, uint64_t seed)
{
    enum { SLOTS_MIN = 16 };
    uint64_t wanted = keys_max < UINT64_MAX / 2 ? keys_max + keys_max / 8 + SLOTS_MIN : keys_max;
    uint64_t slots = MAX(MIN(wanted, bytes_max / sizeof(struct keymap_slot)), SLOTS_MIN);
    *map = (struct keymap){.slot_count = (size_t)slots, .seed = seed};
    map->len_max = map->slot_count - map->slot_count / 10; /* probes stay short */
    map->slots = mem_zalloc(map->slot_count, sizeof(struct keymap_slot));
}

void keymap_fini(struct keymap *map)
{
    free(map->slots);
    *map = (struct keymap){0};
}

/* The slot of the key, or the free one where it would go. */
static struct keymap_slot *find(const struct keymap *map, struct hash128 hash)
{
    for (size_t i = (size_t)(hash.low % map->slot_count);; i = i + 1 == map->slot_count ? 0 : i + 1) {
        struct keymap_slot *slot = &map->slots[i];
        if (slot->end == 0 || (slot->hash.low == hash.low && slot->hash.high == hash.high))
            return slot;
    }
}

bool keymap_put(struct keymap *map, struct str key, int64_t offset)
{
    ASSERT(offset >= 0);
    struct hash128 hash = hash_bytes128(key.ptr, key.len, map->seed);
    struct keymap_slot *slot = find(map, hash);
    if (slot->end == 0) {
        if (map->len == map->len_max)
            return false;
        map->len++;
    }
    slot->hash = hash;
    slot->end = offset + 1;
    return true;
}

int64_t keymap_get(const struct keymap *map, struct str key)
{
    return find(map, hash_bytes128(key.ptr, key.len, map->seed))->end - 1;
}
