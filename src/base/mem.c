#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void __attribute__((noreturn)) mem_exhausted(size_t size)
{
    fprintf(stderr, "rialto: out of memory: %zu bytes were refused by the system\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (p == NULL)
        mem_exhausted(size);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (p == NULL)
        mem_exhausted(size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p;
}

void *mem_realloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (p == NULL)
        mem_exhausted(size);
    return p;
}

void *mem_alloc_aligned(size_t align, size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, align, size ? size : 1) != 0)
        mem_exhausted(size);
    return p;
}

void *mem_dup(const void *bytes, size_t size)
{
    void *p = mem_alloc(size);
    if (size != 0)
        memcpy(p, bytes, size);
    return p;
}
