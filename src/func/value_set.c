/* value_set.c - see value_set.h. */
#include "func/value_set.h"

enum { SMALL_SET = 16 };

void value_set_init(struct value_set *set, uint32_t capacity, struct arena *arena)
{
    *set = (struct value_set){.capacity = capacity, .arena = arena};
    set->items = arena_array(arena, struct value, capacity);
    if (capacity <= SMALL_SET)
        return;
    uint32_t slots = 64;
    while (slots < 2 * (uint64_t)capacity)
        slots *= 2;
    set->slots = arena_array(arena, uint32_t, slots);
    set->slot_mask = slots - 1;
}

static uint32_t find(const struct value_set *set, struct value v, uint32_t *slot)
{
    if (set->slots == NULL) {
        for (uint32_t i = 0; i < set->count; i++)
            if (value_eq(set->items[i], v))
                return i;
        return UINT32_MAX;
    }
    for (uint32_t at = (uint32_t)value_hash(v) & set->slot_mask;; at = (at + 1) & set->slot_mask) {
        *slot = at;
        if (set->slots[at] == 0)
            return UINT32_MAX;
        if (value_eq(set->items[set->slots[at] - 1], v))
            return set->slots[at] - 1;
    }
}

bool value_set_has(const struct value_set *set, struct value v)
{
    uint32_t slot;
    return find(set, v, &slot) != UINT32_MAX;
}

bool value_set_add(struct value_set *set, struct value v)
{
    uint32_t slot = 0;
    if (find(set, v, &slot) != UINT32_MAX)
        return false;
    ASSERT_CMP(set->count, <, set->capacity);
    set->items[set->count++] = v;
    if (set->slots != NULL)
        set->slots[slot] = set->count;
    return true;
}
