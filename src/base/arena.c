#include "base/arena.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

enum { ARENA_CHUNK_BYTES = 4096, ARENA_CHUNK_BYTES_MAX = 1 << 20 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of the whole chunk, this header included */
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->chunk, *older; chunk != NULL; chunk = older) {
        older = chunk->older;
        free(chunk);
    }
    *arena = (struct arena){0};
}

/* Makes `chunk` the only chunk, empty. */
static void arena_start_chunk(struct arena *arena, struct arena_chunk *chunk)
{
    arena->at = (char *)(chunk + 1);
    arena->end = (char *)chunk + chunk->size;
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *largest = arena->chunk;
    if (largest == NULL)
        return;
    for (struct arena_chunk *chunk = largest->older; chunk != NULL; chunk = chunk->older)
        if (chunk->size > largest->size)
            largest = chunk;
    for (struct arena_chunk *chunk = arena->chunk, *older; chunk != NULL; chunk = older) {
        older = chunk->older;
        if (chunk != largest)
            free(chunk);
    }
    largest->older = NULL;
    arena->chunk = largest;
    arena->used_bytes = 0;
    arena_start_chunk(arena, largest);
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->used_bytes + (arena->chunk ? arena->chunk->size : 0);
}

void *arena_alloc_slow(struct arena *arena, size_t size, size_t align)
{
    ASSERT(align != 0 && (align & (align - 1)) == 0);
    ASSERT(size < SIZE_MAX / 2);
    size_t want = arena->chunk_bytes ? arena->chunk_bytes : ARENA_CHUNK_BYTES;
    size_t need = sizeof(struct arena_chunk) + size + align;
    if (want < need)
        want = need;
    struct arena_chunk *chunk = mem_alloc(want);
    chunk->older = arena->chunk;
    chunk->size = want;
    if (arena->chunk != NULL)
        arena->used_bytes += arena->chunk->size;
    arena->chunk = chunk;
    arena->chunk_bytes = want * 2 < ARENA_CHUNK_BYTES_MAX ? want * 2 : ARENA_CHUNK_BYTES_MAX;
    arena_start_chunk(arena, chunk);
    return arena_alloc_aligned(arena, size, align);
}
