/* lz4.c - LZ4 frames: independent 64 KiB blocks, no content size, as Kafka's Java client writes them; any
 * frame is read. */
#include "codec/codec_int.h"

#include <lz4frame.h>

static LZ4F_preferences_t preferences_of(int level)
{
    return (LZ4F_preferences_t){
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level, /* 0: the fast mode */
    };
}

void lz4_thread_end(struct codec_thread *thread)
{
    LZ4F_freeCompressionContext(thread->lz4_compress);
    LZ4F_freeDecompressionContext(thread->lz4_decompress);
}

static bool set_internal(struct err *err, size_t rc)
{
    return err_set(err, ERR_INTERNAL, "lz4: %s", LZ4F_getErrorName(rc));
}

bool lz4_compress(int level, struct str in, struct buf *out, struct err *err)
{
    struct codec_thread *thread = codec_thread();
    LZ4F_preferences_t preferences = preferences_of(level);
    size_t rc;
    if (thread->lz4_compress == NULL) {
        LZ4F_cctx *made;
        rc = LZ4F_createCompressionContext(&made, LZ4F_VERSION);
        if (LZ4F_isError(rc))
            return set_internal(err, rc);
        thread->lz4_compress = made;
    }
    size_t bound = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(in.len, &preferences);
    buf_reserve(out, bound);
    char *at = out->ptr + out->len, *end = at + bound;
    rc = LZ4F_compressBegin(thread->lz4_compress, at, (size_t)(end - at), &preferences);
    if (LZ4F_isError(rc))
        return set_internal(err, rc);
    at += rc;
    rc = LZ4F_compressUpdate(thread->lz4_compress, at, (size_t)(end - at), in.ptr, in.len, NULL);
    if (LZ4F_isError(rc))
        return set_internal(err, rc);
    at += rc;
    rc = LZ4F_compressEnd(thread->lz4_compress, at, (size_t)(end - at), NULL);
    if (LZ4F_isError(rc))
        return set_internal(err, rc);
    at += rc;
    buf_extend(out, (size_t)(at - (out->ptr + out->len)));
    return true;
}

static LZ4F_dctx *decompress_context(void)
{
    struct codec_thread *thread = codec_thread();
    if (thread->lz4_decompress == NULL) {
        LZ4F_dctx *made;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)))
            return NULL;
        thread->lz4_decompress = made;
    } else {
        LZ4F_resetDecompressionContext(thread->lz4_decompress);
    }
    return thread->lz4_decompress;
}

bool lz4_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    LZ4F_dctx *context = decompress_context();
    if (context == NULL)
        return err_set(err, ERR_INTERNAL, "lz4: no context");
    size_t start = out->len, more = 1; /* `more` is 0 where a frame is complete */
    while (in.len != 0 || more != 0) {
        size_t room, taken = in.len;
        char spare; /* at the limit, one byte more tells an exact fit from too much */
        bool fits = codec_make_room(out, start, bytes_max, &room);
        size_t made = fits ? room : 1;
        more = LZ4F_decompress(context, fits ? out->ptr + out->len : &spare, &made, in.ptr, &taken, NULL);
        if (LZ4F_isError(more))
            return codec_set_damaged(err, CODEC_LZ4, LZ4F_getErrorName(more));
        if (!fits && made != 0)
            return codec_set_too_large(err, CODEC_LZ4, bytes_max);
        if (fits)
            buf_extend(out, made);
        in = str_sub(in, taken, in.len);
        if (more != 0 && taken == 0 && made == 0)
            return codec_set_damaged(err, CODEC_LZ4, "the end is missing");
    }
    return true;
}
