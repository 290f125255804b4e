#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"

void buf_fini(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){0};
}

void buf_grow(struct buf *buf, size_t more)
{
    ASSERT(more < SIZE_MAX / 4 && buf->cap < SIZE_MAX / 4);
    size_t need = buf->len + more + 1;
    size_t cap = buf->cap ? buf->cap * 2 : 64;
    buf->cap = cap < need ? need : cap;
    buf->ptr = mem_realloc(buf->ptr, buf->cap);
    buf->ptr[buf->len] = '\0';
}

void buf_consume(struct buf *buf, size_t n)
{
    ASSERT_CMP(n, <=, buf->len);
    if (n == 0)
        return;
    memmove(buf->ptr, buf->ptr + n, buf->len - n);
    buf->len -= n;
    buf->ptr[buf->len] = '\0';
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    ASSERT(len >= 0);
    buf_reserve(buf, (size_t)len);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, again);
    buf->len += (size_t)len;
    va_end(again);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

char *buf_take(struct buf *buf)
{
    buf_reserve(buf, 0);
    char *bytes = buf->ptr;
    *buf = (struct buf){0};
    return bytes;
}
