/* snappy.c - snappy blocks, raw or in the framing of the xerial library, which Kafka's Java client uses.
 *
 *   82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version 1 | compatible 1 | {size of block, block}...   i32, big-endian
 *
 * A raw block starts with its plain size as a varint, so the first byte 0x82 followed by 'S' could only be
 * a block of 10,626 bytes whose next element is impossible at this place: eight bytes of magic never
 * collide with a valid block.
 */
#include "codec/codec_int.h"

#include <snappy-c.h>

enum { XERIAL_HEADER_BYTES = 16, XERIAL_BLOCK_BYTES = 32 << 10, XERIAL_VERSION = 1 };

static const char xerial_magic[8] = "\x82SNAPPY";

bool snappy_compress_xerial(int level, struct str in, struct buf *out, struct err *err)
{
    buf_append(out, xerial_magic, sizeof xerial_magic);
    store_be32(buf_extend(out, 4), XERIAL_VERSION);
    store_be32(buf_extend(out, 4), XERIAL_VERSION);
    for (size_t at = 0; at < in.len; at += XERIAL_BLOCK_BYTES) {
        struct str block = str_sub(in, at, XERIAL_BLOCK_BYTES);
        size_t size = snappy_max_compressed_length(block.len), prefix = out->len;
        buf_reserve(out, 4 + size);
        if (snappy_compress(block.ptr, block.len, out->ptr + prefix + 4, &size) != SNAPPY_OK)
            return err_set(err, ERR_INTERNAL, "snappy: compression failed");
        buf_extend(out, 4 + size);
        store_be32(out->ptr + prefix, (uint32_t)size);
    }
    return true;
}

/* One raw block; `bytes_left` bounds its plain size, which the block itself announces. */
static bool block_decompress(struct str block, size_t start, size_t bytes_max, struct buf *out,
                             struct err *err)
{
    size_t size;
    if (snappy_uncompressed_length(block.ptr, block.len, &size) != SNAPPY_OK)
        return codec_set_damaged(err, CODEC_SNAPPY, "no size");
    if (size > bytes_max - (out->len - start))
        return codec_set_too_large(err, CODEC_SNAPPY, bytes_max);
    /* A block can make at most 64 bytes of 3 (a copy element): a larger claim is a lie, seen before room is
     * made for it. */
    if (size / 64 > block.len)
        return codec_set_damaged(err, CODEC_SNAPPY, "size cannot be true");
    buf_reserve(out, size);
    if (snappy_uncompress(block.ptr, block.len, out->ptr + out->len, &size) != SNAPPY_OK)
        return codec_set_damaged(err, CODEC_SNAPPY, "block cannot be read");
    buf_extend(out, size);
    return true;
}

bool snappy_decompress_any(struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    size_t start = out->len;
    if (in.len < sizeof xerial_magic || memcmp(in.ptr, xerial_magic, sizeof xerial_magic) != 0)
        return block_decompress(in, start, bytes_max, out, err);
    if (in.len < XERIAL_HEADER_BYTES)
        return codec_set_damaged(err, CODEC_SNAPPY, "framing header is cut");
    if ((int32_t)load_be32(in.ptr + 12) > XERIAL_VERSION)
        return codec_set_damaged(err, CODEC_SNAPPY, "framing version is not known");
    in = str_sub(in, XERIAL_HEADER_BYTES, in.len);
    while (in.len != 0) {
        /* Some writers concatenate framed streams: a further header between blocks is stepped over. */
        if (in.len >= XERIAL_HEADER_BYTES && memcmp(in.ptr, xerial_magic, sizeof xerial_magic) == 0) {
            in = str_sub(in, XERIAL_HEADER_BYTES, in.len);
            continue;
        }
        if (in.len < 4)
            return codec_set_damaged(err, CODEC_SNAPPY, "block size is cut");
        uint32_t size = load_be32(in.ptr);
        if (size > in.len - 4)
            return codec_set_damaged(err, CODEC_SNAPPY, "block is cut");
        if (!block_decompress(str_sub(in, 4, size), start, bytes_max, out, err))
            return false;
        in = str_sub(in, 4 + (size_t)size, in.len);
    }
    return true;
}
