/* codec_int.h - private to codec: one file a library, each with the same pair of functions; the thread's
 * contexts.
 *
 * compress appends to `out`; decompress appends at most `bytes_max` plain bytes. On failure both may leave
 * `out` longer: the callers in codec.c cut it back.
 */
#ifndef RIALTO_CODEC_CODEC_INT_H
#define RIALTO_CODEC_CODEC_INT_H

#include "codec/codec.h"

/* Kept per thread, made at first use, released when the thread ends. */
struct codec_thread {
    struct buf scratch;
    void *gzip_deflate, *gzip_inflate; /* z_stream */
    void *lz4_compress, *lz4_decompress;
    void *zstd_compress, *zstd_decompress;
};

struct codec_thread *codec_thread(void);

bool gzip_compress(int level, struct str in, struct buf *out, struct err *err);
bool gzip_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err);
bool snappy_compress_xerial(int level, struct str in, struct buf *out, struct err *err);
bool snappy_decompress_any(struct str in, size_t bytes_max, struct buf *out, struct err *err);
bool lz4_compress(int level, struct str in, struct buf *out, struct err *err);
bool lz4_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err);
bool zstd_compress(int level, struct str in, struct buf *out, struct err *err);
bool zstd_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err);

void gzip_thread_end(struct codec_thread *thread);
void lz4_thread_end(struct codec_thread *thread);
void zstd_thread_end(struct codec_thread *thread);

/* Failures that all decoders share. */
bool codec_set_damaged(struct err *err, enum codec codec, const char *why);
bool codec_set_too_large(struct err *err, enum codec codec, size_t bytes_max);

/* Makes room for more output: `*room` free bytes at the end of `out`, at most until bytes_max bytes after
 * `start`. False when the limit is reached. Used by the decoders that produce output piece by piece. */
bool codec_make_room(struct buf *out, size_t start, size_t bytes_max, size_t *room);

#endif
