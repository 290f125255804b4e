/* fuzz_codec_decompress.c - any bytes through every decoder: the first byte picks the codec. What was read
 * is packed and read again and must be the same. */
#include <stdint.h>

#include "codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf plain = {0}, packed = {0}, again = {0};
    struct err err;
    enum codec codec = (enum codec)(data[0] & 7);
    if (codec_decompress(codec, str_of((const char *)data + 1, size - 1), PLAIN_BYTES_MAX, &plain, &err)) {
        ASSERT(codec_compress(codec, CODEC_LEVEL_DEFAULT, buf_str(&plain), &packed, &err));
        ASSERT(codec_decompress(codec, buf_str(&packed), PLAIN_BYTES_MAX, &again, &err));
        ASSERT(str_eq(buf_str(&plain), buf_str(&again)));
    }
    buf_fini(&plain);
    buf_fini(&packed);
    buf_fini(&again);
    return 0;
}
