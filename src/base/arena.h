/* arena.h - memory by lifetime: many allocations, one release.
 *
 *   chunk            chunk (newest)
 *   [hdr|used.....]<-[hdr|used...|free   ]
 *                                ^ at
 *
 * Four lives use it (README): request, batch, query, module. The arena is always an explicit argument, last but
 * `err`. There is no single free: an arena is reset (memory kept for the next round) or finished.
 * Not thread-safe: an arena belongs to whoever runs the work it serves.
 */
#ifndef RIALTO_BASE_ARENA_H
#define RIALTO_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena_chunk;

struct arena {
    char *at;                  /* next free byte of the newest chunk */
    char *end;                 /* end of the newest chunk */
    struct arena_chunk *chunk; /* newest chunk, linked to older ones */
    size_t chunk_bytes;        /* size of the next chunk; 0 means the default */
    size_t used_bytes;         /* sum of the chunks before the newest, for arena_bytes */
};

/* Makes an empty arena; allocates nothing yet. A zeroed struct is a valid empty arena too. */
void arena_init(struct arena *arena);

/* Releases everything; the arena is empty and may be used again. */
void arena_fini(struct arena *arena);

/* Forgets all allocations but keeps the largest chunk for the next round: a steady state allocates nothing. */
void arena_reset(struct arena *arena);

/* Bytes held from the heap. */
size_t arena_bytes(const struct arena *arena);

/* Slow path of the inline functions below: takes a new chunk. */
void *arena_alloc_slow(struct arena *arena, size_t size, size_t align);

/* `size` uninitialised bytes aligned to `align` (a power of two); never NULL. */
static inline void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align)
{
    uintptr_t start = ((uintptr_t)arena->at + align - 1) & ~(uintptr_t)(align - 1);
    if (__builtin_expect(arena->at == NULL || start > (uintptr_t)arena->end ||
                             size > (uintptr_t)arena->end - start,
                         0))
        return arena_alloc_slow(arena, size, align);
    arena->at = (char *)(start + size);
    return (void *)start;
}

/* `size` uninitialised bytes, aligned for any object. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    return arena_alloc_aligned(arena, size, 16);
}

/* `size` uninitialised bytes without alignment: text and encoded bytes. */
static inline void *arena_alloc_bytes(struct arena *arena, size_t size)
{
    return arena_alloc_aligned(arena, size, 1);
}

/* `count * size` zeroed bytes. */
static inline void *arena_zalloc(struct arena *arena, size_t count, size_t size)
{
    return memset(arena_alloc(arena, count * size), 0, count * size);
}

/* A copy of `size` bytes, aligned for any object. */
static inline void *arena_dup(struct arena *arena, const void *bytes, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size != 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* One zeroed object, or an array of zeroed objects. */
#define arena_new(arena, T)          ((T *)arena_zalloc((arena), 1, sizeof(T)))
#define arena_array(arena, T, count) ((T *)arena_zalloc((arena), (count), sizeof(T)))

#endif
