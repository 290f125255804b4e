/* crc32c.c - CRC-32C, the checksum of record batches and of everything else that is stored.
 *
 *   |<- 512 B ->|<- 512 B ->|<- 512 B ->|      three lanes at once, then one value of them
 *      lane 0      lane 1      lane 2          crc = lane0 * x^(8*1024) + lane1 * x^(8*512) + lane2   (mod P)
 *
 * The instruction gives a result each cycle, but only three cycles after it began: one chain of them uses a third of it.
 * So a group of three blocks is summed in three chains, which are then joined by two carry-less multiplications. What is
 * left of a group, and what was too short for one, goes word by word.
 *
 * A checksum that is moved n bytes ahead is the checksum times x^(8n). clmul of two bit-reflected values has one x
 * too much, and the CRC instruction, which reduces the product, multiplies by x^32: so the factors are x^(8n - 33).
 */
#include "base/hash.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* bit-reflected */

/* One byte at a time with a table made at start; the fallback where no instruction exists. */
static uint32_t crc32c_table[256];

static void __attribute__((constructor)) crc32c_table_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
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
#include <wmmintrin.h>

#define LANE_BYTES    512
#define AHEAD_1_LANE  0xdd7e3b0cu /* x^(8 * 512 - 33) mod P, bit-reflected */
#define AHEAD_2_LANES 0x170076fau /* x^(8 * 1024 - 33) mod P */

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* The checksum `crc` as if the bytes that `factor` stands for, all zero, had come after it. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t ahead(uint64_t crc, uint32_t factor)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128(factor), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t group(uint64_t crc, const uint8_t *at)
{
    uint64_t lane1 = 0, lane2 = 0;
    for (size_t i = 0; i < LANE_BYTES; i += 8) {
        crc = _mm_crc32_u64(crc, load_word(at + i));
        lane1 = _mm_crc32_u64(lane1, load_word(at + LANE_BYTES + i));
        lane2 = _mm_crc32_u64(lane2, load_word(at + 2 * LANE_BYTES + i));
    }
    return ahead(crc, AHEAD_2_LANES) ^ ahead(lane1, AHEAD_1_LANE) ^ lane2;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_hw(uint32_t crc32, const uint8_t *at,
                                                                   size_t size)
{
    uint64_t crc = crc32;
    for (; size >= 3 * LANE_BYTES; at += 3 * LANE_BYTES, size -= 3 * LANE_BYTES)
        crc = group(crc, at);
    for (; size >= 8; at += 8, size -= 8)
        crc = _mm_crc32_u64(crc, load_word(at));
    for (; size != 0; size--)
        crc = _mm_crc32_u8((uint32_t)crc, *at++);
    return (uint32_t)crc;
}

static bool crc32c_hw_present(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
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
