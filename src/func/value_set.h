/* value_set.h - private to src/func: a set of values in an arena, in order of insertion; NULL is a
 * member like others.
 *
 * Small sets are searched in line; from 16 members on a table of hashes is kept.
 */
#ifndef RIALTO_FUNC_VALUE_SET_H
#define RIALTO_FUNC_VALUE_SET_H

#include "func/func_int.h"

struct value_set {
    struct value *items; /* room for `capacity` */
    uint32_t count, capacity;
    uint32_t *slots; /* item + 1, open addressing; NULL while small */
    uint32_t slot_mask;
    struct arena *arena;
};

/* A set that can take up to `capacity` members. */
void value_set_init(struct value_set *set, uint32_t capacity, struct arena *arena);
bool value_set_has(const struct value_set *set, struct value v);
/* False when it was there already. */
bool value_set_add(struct value_set *set, struct value v);

#endif
