#include "base/hash.h"

#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

int32_t hash_murmur2(const void *bytes, size_t size)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *at = bytes;
    uint32_t h = 0x9747b28cu ^ (uint32_t)size;
    for (; size >= 4; at += 4, size -= 4) {
        uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (size >= 3)
        h ^= (uint32_t)at[2] << 16;
    if (size >= 2)
        h ^= (uint32_t)at[1] << 8;
    if (size >= 1) {
        h ^= at[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)h;
}

/* One byte at a time with a table made at first use; the fallback where no instruction exists. */
static uint32_t crc32c_table[256];

static void __attribute__((constructor)) crc32c_table_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        crc32c_table[i] = crc;
    }
}

static uint32_t crc32c_portable(uint32_t crc, const uint8_t *at, size_t size)
{
    for (; size != 0; size--)
        crc = crc >> 8 ^ crc32c_table[(crc ^ *at++) & 0xff];
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_hw(uint32_t crc32, const uint8_t *at, size_t size)
{
    uint64_t crc = crc32;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; size != 0; size--)
        crc = _mm_crc32_u8((uint32_t)crc, *at++);
    return (uint32_t)crc;
}

static bool crc32c_hw_present(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t crc32c_hw(uint32_t crc, const uint8_t *at, size_t size)
{
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    for (; size != 0; size--)
        crc = __crc32cb(crc, *at++);
    return crc;
}

static bool crc32c_hw_present(void)
{
    return true;
}
#else
static uint32_t crc32c_hw(uint32_t crc, const uint8_t *at, size_t size)
{
    return crc32c_portable(crc, at, size);
}

static bool crc32c_hw_present(void)
{
    return false;
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    crc = ~crc;
    crc = crc32c_hw_present() ? crc32c_hw(crc, bytes, size) : crc32c_portable(crc, bytes, size);
    return ~crc;
}
