/* gzip.c - RFC 1952 members by zlib, as Kafka's Java clients write them. */
#include "codec/codec_int.h"

#include <stdlib.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, GZIP_MEM_LEVEL = 8 }; /* +16: gzip framing instead of zlib's own */

static z_stream *deflate_context(int level)
{
    struct codec_thread *thread = codec_thread();
    if (thread->gzip_deflate != NULL) {
        deflateReset(thread->gzip_deflate);
        return deflateParams(thread->gzip_deflate, level, Z_DEFAULT_STRATEGY) == Z_OK ? thread->gzip_deflate
                                                                                      : NULL;
    }
    z_stream *z = mem_new(z_stream);
    if (deflateInit2(z, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return NULL;
    }
    return thread->gzip_deflate = z;
}

static z_stream *inflate_context(void)
{
    struct codec_thread *thread = codec_thread();
    if (thread->gzip_inflate != NULL) {
        inflateReset(thread->gzip_inflate);
        return thread->gzip_inflate;
    }
    z_stream *z = mem_new(z_stream);
    if (inflateInit2(z, GZIP_WINDOW) != Z_OK) {
        free(z);
        return NULL;
    }
    return thread->gzip_inflate = z;
}

void gzip_thread_end(struct codec_thread *thread)
{
    if (thread->gzip_deflate != NULL)
        deflateEnd(thread->gzip_deflate);
    if (thread->gzip_inflate != NULL)
        inflateEnd(thread->gzip_inflate);
    free(thread->gzip_deflate);
    free(thread->gzip_inflate);
}

bool gzip_compress(int level, struct str in, struct buf *out, struct err *err)
{
    z_stream *z = deflate_context(level == CODEC_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level);
    if (z == NULL || in.len > UINT32_MAX / 2)
        return err_set(err, ERR_INTERNAL, "gzip: %zu bytes cannot be compressed", in.len);
    size_t bound = deflateBound(z, in.len);
    buf_reserve(out, bound);
    z->next_in = (Bytef *)in.ptr;
    z->avail_in = (uInt)in.len;
    z->next_out = (Bytef *)out->ptr + out->len;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return err_set(err, ERR_INTERNAL, "gzip: compression failed");
    buf_extend(out, bound - z->avail_out);
    return true;
}

/* Inflates one member; *in is advanced past it. */
static bool inflate_member(z_stream *z, struct str *in, size_t start, size_t bytes_max, struct buf *out,
                           struct err *err)
{
    z->next_in = (Bytef *)in->ptr;
    z->avail_in = (uInt)in->len;
    for (int rc = Z_OK; rc != Z_STREAM_END;) {
        size_t room;
        char spare; /* at the limit, one byte more tells an exact fit from too much */
        bool fits = codec_make_room(out, start, bytes_max, &room);
        z->next_out = fits ? (Bytef *)out->ptr + out->len : (Bytef *)&spare;
        z->avail_out = fits ? (uInt)MIN(room, UINT32_MAX / 2) : 1;
        uInt asked = z->avail_out;
        rc = inflate(z, Z_NO_FLUSH);
        size_t made = asked - z->avail_out;
        if (rc != Z_OK && rc != Z_STREAM_END)
            return codec_set_damaged(err, CODEC_GZIP,
                                     rc == Z_BUF_ERROR ? "the end is missing"
                                     : z->msg != NULL  ? z->msg
                                                       : "not a gzip stream");
        if (!fits && made != 0)
            return codec_set_too_large(err, CODEC_GZIP, bytes_max);
        if (fits)
            buf_extend(out, made);
    }
    *in = str_of((const char *)z->next_in, z->avail_in);
    return true;
}

bool gzip_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    size_t start = out->len;
    if (in.len == 0 || in.len > UINT32_MAX / 2)
        return codec_set_damaged(err, CODEC_GZIP, in.len == 0 ? "no bytes" : "too long");
    while (in.len != 0) {
        z_stream *z = inflate_context();
        if (z == NULL)
            return err_set(err, ERR_INTERNAL, "gzip: no context");
        if (!inflate_member(z, &in, start, bytes_max, out, err))
            return false;
    }
    return true;
}
