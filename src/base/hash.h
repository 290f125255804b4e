/* hash.h - hashes: XXH3 for tables in memory, murmur2 for Kafka's partitioner, CRC32C for batches. */
#ifndef RIALTO_BASE_HASH_H
#define RIALTO_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* XXH3, 64 bits. Only for structures in memory: never stored, never sent. */
uint64_t hash_bytes(const void *bytes, size_t size);

/* XXH3, 128 bits, with a seed: where a hash stands for its key. Who does not know the seed cannot make two keys meet. */
struct hash128 {
    uint64_t low, high;
};
struct hash128 hash_bytes128(const void *bytes, size_t size, uint64_t seed);

static inline uint64_t hash_str(struct str s)
{
    return hash_bytes(s.ptr, s.len);
}

/* Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c). */
int32_t hash_murmur2(const void *bytes, size_t size);

/* The partition that Kafka's default partitioner picks for these key bytes. */
static inline int32_t hash_partition(struct str key, int32_t partition_count)
{
    return (hash_murmur2(key.ptr, key.len) & 0x7fffffff) % partition_count;
}

/* CRC32C (Castagnoli), continued from `crc` (0 to start). SSE4.2 or ARMv8 instructions where the machine has them. */
uint32_t hash_crc32c(uint32_t crc, const void *bytes, size_t size);

#endif
