/* parts_once.h - a request names each partition once: topics that come again are joined, of a partition that comes again the last
 * row counts, and topics without partitions are left out. So does Apache Kafka, whose handlers keep what is asked in maps.
 *
 *   b[1] a[0 1] b[2 1'] c[]  ->  b[1' 2] a[0 1]
 */
#ifndef RIALTO_BROKER_PARTS_ONCE_H
#define RIALTO_BROKER_PARTS_ONCE_H

#include "wire/wire.h"

/* Where a request's array of topics has what; made by PARTS_SHAPE. */
struct parts_shape {
    size_t topic_bytes, key_at, parts_at; /* of a topic; the key is a struct str or a struct uuid */
    size_t part_bytes, index_at;          /* of a partition */
    bool by_id, keeps_empty;              /* topics without partitions stay */
};

#define PARTS_SHAPE(topic, key, id, parts, part, index)                               \
    {                                                                                 \
        .topic_bytes = sizeof(struct topic), .key_at = offsetof(struct topic, key),   \
        .parts_at = offsetof(struct topic, parts), .part_bytes = sizeof(struct part), \
        .index_at = offsetof(struct part, index), .by_id = (id)                       \
    }

/* Brings the array of topics at `topics` (a wire array field of a decoded request) into that form; what is new is in the arena.
 * Where nothing repeats and no topic is empty, as is usual, nothing is done. `again`, NULL or zeroed: takes the partitions that
 * came more than once, for parts_came_again; the caller frees it by map_fini. */
void parts_once(const struct parts_shape *shape, const void *topics, struct map *again, struct arena *arena);

bool parts_came_again(const struct map *again, struct str topic, int32_t partition);

/* Leaves the topics without partitions out, nothing more. */
void parts_drop_empty(const struct parts_shape *shape, const void *topics);

#endif
