/* txn_int.h - private to src/txn: an id in memory. */
#ifndef RIALTO_TXN_TXN_INT_H
#define RIALTO_TXN_TXN_INT_H

#include "txn/txn.h"

struct txn_entry {
    struct txn txn;
    struct map partitions; /* of the present transaction: txn_partition_key -> itself (any pointer) */
    struct map decided;    /* of the last one that was decided, once it is complete: where its markers are */
};

struct txns {
    struct map by_id; /* transactional id -> struct txn_entry */
    int64_t next_pid;
};

static inline struct txn_entry *txn_entry_find(const struct txns *txns, struct str transactional_id)
{
    return map_get(&txns->by_id, transactional_id);
}

/* Key of a partition, in *buf, and back (a slice of the key). */
struct str txn_partition_key(struct buf *buf, const struct txn_partition *partition);
struct txn_partition txn_partition_of_key(struct str key);

/* Partitions by topic, as messages name them. */
struct txn_row {
    struct str topic; /* a slice of the entry's key, or of `more` */
    int32_t *partitions;
    size_t count;
};

struct txn_rows {
    struct txn_row *at; /* in the arena */
    size_t len;
};

/* The partitions of `map` (may be NULL) and, beside them, `more`; each once. */
void txn_rows_of(const struct map *map, const struct txn_partition *more, size_t more_count,
                 struct arena *arena, struct txn_rows *out);

/* Adds the record of an id: its partitions are those of `entry` (may be NULL) and, beside them, `more`. */
void txn_add_record(struct str transactional_id, const struct txn *txn, const struct txn_entry *entry,
                    const struct txn_partition *more, size_t more_count, struct replay_records *out);

/* The record that forgets an id. */
void txn_add_tombstone(struct str transactional_id, int64_t now_ms, struct replay_records *out);

/* Every producer id below may be in use. */
void txn_add_producer_ids(int64_t next_pid, int64_t now_ms, struct replay_records *out);

#endif
