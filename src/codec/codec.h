/* codec.h - gzip, snappy, lz4 and zstd in the framings that Kafka's clients use.
 *
 *   codec    written                                read
 *   gzip     one RFC 1952 member                    members one after the other
 *   snappy   xerial: header, {i32 size, block}...   xerial, or one raw block (librdkafka)
 *   lz4      one frame, 64 KiB blocks               frames one after the other
 *   zstd     one frame                              frames one after the other
 *
 * Whole blocks in, whole blocks out. Contexts of the libraries are kept per thread and released at its end.
 * Any thread.
 */
#ifndef RIALTO_CODEC_CODEC_H
#define RIALTO_CODEC_CODEC_H

#include "base/base.h"

/* The values are those of a record batch's attributes, bits 0 to 2. */
enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODEC_COUNT };

/* Kafka's name ("none", "gzip", ...). */
const char *codec_name(enum codec codec);

/* By name, ASCII case ignored; false when there is none. */
bool codec_from_name(struct str name, enum codec *out);

/* Levels are the library's own: gzip 1 to 9 (-1: zlib's default), lz4 1 to 17, zstd -131072 to 22; snappy has none. */
enum { CODEC_LEVEL_DEFAULT = 0 }; /* gzip -1, lz4's fast mode, zstd 1 */

/* Appends the compressed form of `in` to `out` (CODEC_NONE: a copy). Fails only when the library does
 * (ERR_INTERNAL); `out` is then as it was. */
bool codec_compress(enum codec codec, int level, struct str in, struct buf *out, struct err *err);

/* Appends the plain form of `in` to `out`. `in` comes from outside: damaged bytes are ERR_CORRUPT, more than
 * `bytes_max` plain bytes ERR_TOO_LARGE, found before they are made. `out` is then as it was. */
bool codec_decompress(enum codec codec, struct str in, size_t bytes_max, struct buf *out, struct err *err);

/* This thread's scratch buffer, emptied; it stays valid until the thread asks again. For plain bytes that are
 * looked at once. A buffer that grew past a few MiB is given back at the next call. */
struct buf *codec_scratch(void);

#endif
