/* zstd.c - zstd frames; level 1 unless asked otherwise: the best exchange of time for size on records. */
#include "codec/codec_int.h"

#include <zstd.h>

enum { ZSTD_LEVEL_INIT = 1, ZSTD_WINDOW_LOG_MAX = 23 }; /* 8 MiB, the largest window that clients use */

void zstd_thread_end(struct codec_thread *thread)
{
    ZSTD_freeCCtx(thread->zstd_compress);
    ZSTD_freeDCtx(thread->zstd_decompress);
}

bool zstd_compress(int level, struct str in, struct buf *out, struct err *err)
{
    struct codec_thread *thread = codec_thread();
    if (thread->zstd_compress == NULL)
        thread->zstd_compress = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(in.len);
    buf_reserve(out, bound);
    size_t rc = ZSTD_compressCCtx(thread->zstd_compress, out->ptr + out->len, bound, in.ptr, in.len,
                                  level == CODEC_LEVEL_DEFAULT ? ZSTD_LEVEL_INIT : level);
    if (ZSTD_isError(rc))
        return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(rc));
    buf_extend(out, rc);
    return true;
}

static ZSTD_DCtx *decompress_context(void)
{
    struct codec_thread *thread = codec_thread();
    if (thread->zstd_decompress == NULL) {
        thread->zstd_decompress = ZSTD_createDCtx();
        ZSTD_DCtx_setParameter(thread->zstd_decompress, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    } else {
        ZSTD_DCtx_reset(thread->zstd_decompress, ZSTD_reset_session_only);
    }
    return thread->zstd_decompress;
}

bool zstd_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    ZSTD_DCtx *context = decompress_context();
    if (context == NULL)
        return err_set(err, ERR_INTERNAL, "zstd: no context");
    ZSTD_inBuffer from = {in.ptr, in.len, 0};
    size_t start = out->len, more = 1; /* `more` is 0 where a frame is complete and flushed */
    while (from.pos < from.size || more != 0) {
        size_t room, before = from.pos;
        char spare; /* at the limit, one byte more tells an exact fit from too much */
        bool fits = codec_make_room(out, start, bytes_max, &room);
        ZSTD_outBuffer to = {fits ? out->ptr + out->len : &spare, fits ? room : 1, 0};
        more = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(more))
            return codec_set_damaged(err, CODEC_ZSTD, ZSTD_getErrorName(more));
        if (!fits && to.pos != 0)
            return codec_set_too_large(err, CODEC_ZSTD, bytes_max);
        if (fits)
            buf_extend(out, to.pos);
        if (more != 0 && from.pos == before && to.pos == 0)
            return codec_set_damaged(err, CODEC_ZSTD, "the end is missing");
    }
    return true;
}
