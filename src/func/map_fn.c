/* map_fn.c - functions of maps: made of arrays, their keys, values, entries, union.
 *
 * Maps keep the order in which their entries came; where a sequence is made of one, func_map_walk gives
 * the order that the peer's hash table would, since folds and unsorted lists show it.
 */
#include <stdlib.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

/* Sets the value of a key: the last one counts, the first place is kept. Returns the new count. */
static uint32_t put(struct value *entries, uint32_t count, struct value key, struct value value)
{
    uint32_t at = 0;
    while (at < count && !value_eq(entries[2 * at], key))
        at++;
    entries[2 * at] = key;
    entries[2 * at + 1] = value;
    return MAX(count, at + 1);
}

/* String.hashCode with HashMap's spreading of the high bits. */
static uint32_t java_hash(struct str key)
{
    uint32_t hash = 0;
    for (size_t at = 0, len; at < key.len; at += len) {
        uint32_t c = text_decode(str_sub(key, at, key.len), &len);
        if (c >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + c;
    }
    return hash ^ hash >> 16;
}

/* Buckets of a HashMap that was made for `count` entries and took them all: it grows beyond three
 * quarters. */
static uint32_t java_buckets(uint32_t count)
{
    uint32_t buckets = 1;
    while (buckets < count)
        buckets *= 2;
    return count > (uint64_t)buckets * 3 / 4 ? buckets * 2 : buckets;
}

struct value func_map_walk(struct func_ctx *ctx, struct value map)
{
    if (value_is_null(map) || map.len < 2)
        return map;
    uint32_t buckets = java_buckets(map.len), place = 0;
    uint32_t *bucket_of = arena_array(ctx->arena, uint32_t, map.len);
    uint32_t *start = arena_array(ctx->arena, uint32_t, buckets + 1);
    for (uint32_t i = 0; i < map.len; i++) {
        struct value key = map.elems[2 * i];
        bucket_of[i] = key.kind == SQL_STRING ? java_hash(value_slice(key)) & (buckets - 1) : 0;
        start[bucket_of[i]]++;
    }
    for (uint32_t b = 0; b < buckets; b++) {
        uint32_t count = start[b];
        start[b] = place;
        place += count;
    }
    struct value *entries = func_values(ctx, 2 * (size_t)map.len);
    for (uint32_t i = 0; i < map.len; i++)
        memcpy(&entries[2 * start[bucket_of[i]]++], &map.elems[2 * i], 2 * sizeof *entries);
    return value_nested(SQL_MAP, entries, map.len);
}

SCALAR(fn_as_map)
{
    struct value *entries = func_values(ctx, 2 * (size_t)args[0].len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < args[0].len; i++)
        count = put(entries, count, args[0].elems[i], i < args[1].len ? args[1].elems[i] : VALUE_NULL);
    *out = value_nested(SQL_MAP, entries, count);
}

static void every_second(struct func_ctx *ctx, struct value map, uint32_t first, struct value *out)
{
    struct value *elems = func_values(ctx, map.len);
    map = func_map_walk(ctx, map);
    for (uint32_t i = 0; i < map.len; i++)
        elems[i] = map.elems[2 * i + first];
    *out = value_nested(SQL_ARRAY, elems, map.len);
}

SCALAR(fn_map_keys)
{
    every_second(ctx, args[0], 0, out);
}

SCALAR(fn_map_values)
{
    every_second(ctx, args[0], 1, out);
}

SCALAR(fn_map_union)
{
    if (value_is_null(args[0]) || value_is_null(args[1])) {
        *out = value_is_null(args[0]) ? args[1] : args[0];
        return;
    }
    struct value *entries = func_values(ctx, 2 * ((size_t)args[0].len + args[1].len));
    uint32_t count = 0;
    for (uint32_t m = 0; m < 2; m++)
        for (uint32_t i = 0; i < args[m].len; i++)
            count = put(entries, count, args[m].elems[2 * i], args[m].elems[2 * i + 1]);
    *out = value_nested(SQL_MAP, entries, count);
}

static int compare_entries(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    if (value_is_null(x->elems[0]) || value_is_null(y->elems[0]))
        return (int)value_is_null(x->elems[0]) - (int)value_is_null(y->elems[0]);
    return value_cmp(x->elems[0], y->elems[0]);
}

SCALAR(fn_entries)
{
    struct value map = func_map_walk(ctx, args[0]);
    struct value *structs = func_values(ctx, args[0].len);
    for (uint32_t i = 0; i < args[0].len; i++)
        structs[i] = value_nested(SQL_STRUCT, &map.elems[2 * i], 2);
    if (args[1].b && args[0].len > 1)
        qsort(structs, args[0].len, sizeof *structs, compare_entries);
    *out = value_nested(SQL_ARRAY, structs, args[0].len);
}

static const struct func_sig as_map_sigs[] = {
    {"(keys ARRAY<STRING>, values ARRAY<T>) MAP<STRING, T>", .scalar = fn_as_map, .strict = true}};
static const struct func_sig keys_sigs[] = {
    {"(input MAP<STRING, T>) ARRAY<STRING>", .scalar = fn_map_keys, .strict = true}};
static const struct func_sig values_sigs[] = {
    {"(input MAP<STRING, T>) ARRAY<T>", .scalar = fn_map_values, .strict = true}};
static const struct func_sig union_sigs[] = {
    {"(map1 MAP<STRING, T>, map2 MAP<STRING, T>) MAP<STRING, T>", .scalar = fn_map_union}};

#define ENTRIES_SIG(type)                                                                  \
    {                                                                                      \
        "(map MAP<STRING, " type ">, sorted BOOLEAN) ARRAY<STRUCT<K STRING, V " type ">>", \
            .scalar = fn_entries, .strict = true                                           \
    }

static const struct func_sig entries_sigs[] = {ENTRIES_SIG("INTEGER"), ENTRIES_SIG("BIGINT"),
                                               ENTRIES_SIG("DOUBLE"), ENTRIES_SIG("BOOLEAN"),
                                               ENTRIES_SIG("STRING")};

static const struct func funcs[] = {
    FUNC("AS_MAP", "MAP", FUNC_SCALAR, as_map_sigs, "A map of an array of keys and an array of values."),
    FUNC("entries", "MAP", FUNC_SCALAR, entries_sigs,
         "The entries of a map as an array of K and V, sorted by key if asked."),
    FUNC("map_keys", "MAP", FUNC_SCALAR, keys_sigs, "The keys of a map."),
    FUNC("map_union", "MAP", FUNC_SCALAR, union_sigs,
         "The entries of both maps; the second one's count where both have a key."),
    FUNC("map_values", "MAP", FUNC_SCALAR, values_sigs, "The values of a map."),
};

const struct func_family family_map = {funcs, COUNT_OF(funcs)};
