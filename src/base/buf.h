/* buf.h - an owned, growing run of bytes.
 *
 * (B1) ptr is never NULL after the first append, and the byte after len is always NUL.
 * (B2) A zeroed struct is a valid empty buffer; buf_fini releases it and leaves it empty.
 * (B3) Any append may move the bytes: slices into a buffer live until the next append.
 */
#ifndef RIALTO_BASE_BUF_H
#define RIALTO_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

void buf_fini(struct buf *buf);

/* Slow path of buf_reserve. */
void buf_grow(struct buf *buf, size_t more);

/* Makes room for `more` further bytes and the terminator. */
static inline void buf_reserve(struct buf *buf, size_t more)
{
    if (__builtin_expect(buf->cap - buf->len <= more, 0))
        buf_grow(buf, more);
}

/* Room for exactly `size` more bytes, counted as appended; the caller fills them. */
static inline char *buf_extend(struct buf *buf, size_t size)
{
    buf_reserve(buf, size);
    char *at = buf->ptr + buf->len;
    buf->len += size;
    buf->ptr[buf->len] = '\0';
    return at;
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t size)
{
    char *at = buf_extend(buf, size);
    if (size != 0)
        memcpy(at, bytes, size);
}

static inline void buf_append_str(struct buf *buf, struct str s)
{
    buf_append(buf, s.ptr, s.len);
}

static inline void buf_append_cstr(struct buf *buf, const char *s)
{
    buf_append(buf, s, strlen(s));
}

static inline void buf_append_char(struct buf *buf, char c)
{
    *buf_extend(buf, 1) = c;
}

/* Empties the buffer and keeps its memory. */
static inline void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->ptr != NULL)
        buf->ptr[0] = '\0';
}

/* Cuts `n` bytes off the front. */
void buf_consume(struct buf *buf, size_t n);

/* printf at the end. */
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

/* The contents as a slice (see B3); an empty buffer gives an empty, non-null slice. */
static inline struct str buf_str(const struct buf *buf)
{
    return str_of(buf->ptr ? buf->ptr : "", buf->len);
}

/* Hands the bytes over: the caller frees the result (terminated, never NULL); the buffer is empty after. */
char *buf_take(struct buf *buf);

#endif
