/* mem.h - heap allocation that cannot fail: out of memory ends the process with one line on stderr.
 *
 * No code path tests for a failed allocation; therefore every size that comes from outside is checked against a
 * limit before it reaches these functions. Memory from here is released with free().
 */
#ifndef RIALTO_BASE_MEM_H
#define RIALTO_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

/* Returns `size` uninitialised bytes, never NULL (size 0 gives a unique pointer). Caller frees. Any thread. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));

/* Returns `count * size` zeroed bytes, never NULL; overflow of the product ends the process. Caller frees. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));

/* Resizes `old` (may be NULL) to `size` bytes, never NULL; contents up to the smaller size are kept. */
void *mem_realloc(void *old, size_t size) __attribute__((returns_nonnull, alloc_size(2)));

/* Returns `size` uninitialised bytes that begin at a multiple of `align` (a power of 2, at least 8). Caller frees. */
void *mem_alloc_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull));

/* Returns a heap copy of `size` bytes. */
void *mem_dup(const void *bytes, size_t size) __attribute__((malloc, returns_nonnull));

/* One zeroed object of a type: struct log *log = mem_new(struct log); */
#define mem_new(T) ((T *)mem_zalloc(1, sizeof(T)))

#endif
