/* compact_int.h - private to the compaction of a log: keymap.c, clean.c, swap.c, compact.c.
 *
 *   compact.c  what is due, and the passes          owns a struct cleaner for the time of log_compact
 *     keymap.c   last offset of every new key
 *     clean.c    judges batches, writes *.cleaned   a struct clean_out per new segment
 *     swap.c     puts it in the place of the old    also called by recovery
 */
#ifndef RIALTO_LOG_COMPACT_INT_H
#define RIALTO_LOG_COMPACT_INT_H

#include "log/log_int.h"

/* --- keymap.c --- */

struct keymap_slot;

struct keymap {
    struct keymap_slot *slots;
    size_t slot_count, len, len_max;
    uint64_t seed;
};

/* Room for keys_max keys, at most in bytes_max bytes. */
void keymap_init(struct keymap *map, size_t bytes_max, uint64_t keys_max, uint64_t seed);
void keymap_fini(struct keymap *map);
/* False: full, and the key is not in it. */
bool keymap_put(struct keymap *map, struct str key, int64_t offset);
/* -1: not in the map. */
int64_t keymap_get(const struct keymap *map, struct str key);

/* --- clean.c --- */

struct clean_aborted {
    struct log_aborted entry;
    bool met; /* data of it */
};

/* Transactions as a walk over all batches from a point on meets them. */
struct clean_txns {
    vec(struct clean_aborted) aborted; /* by first offset */
    size_t next;
    struct map open;      /* pid -> struct clean_aborted that is under way */
    struct map committed; /* pids of which data were met that will be committed */
};

void clean_txns_begin(struct clean_txns *txns, struct log *log);
void clean_txns_fini(struct clean_txns *txns);
/* A data batch is met; true: its transaction was aborted. */
bool clean_txns_data(struct clean_txns *txns, const struct batch *batch);
/* A control batch is met; true: it is a marker of which no data were met. *entry: what stays in the abort index. */
bool clean_txns_marker(struct clean_txns *txns, const struct batch *batch, const struct log_aborted **entry);

/* What a producer wrote last, as of the start of the compaction. */
struct clean_writer {
    int64_t pid;
    int64_t last_data_offset; /* -1: unknown; its last marker counts then */
    int16_t epoch;
};

struct cleaner {
    struct log *log;
    const struct log_compact_options *options;
    struct log_compacted *stats;
    struct log_config config;
    int64_t now_ms, horizon_ms;
    int64_t first_dirty, map_end, limit;
    struct keymap map;
    struct clean_txns txns;
    vec(struct clean_writer) writers; /* by pid */
    vec(bool) keep;
    struct batch_builder builder;
    struct buf plain;
    uint64_t unpaced;
    bool stopped; /* by pace, or because segments are not there any more */
    bool enough;  /* the walk over a segment may end here */
};

/* A segment that is being written. */
struct clean_out {
    struct log *log;
    struct log_segment *seg; /* taken over by swap_in */
    struct buf pending;
    uint64_t written, synced;
    uint32_t crc; /* of what is written */
    uint32_t interval_bytes;
    bool changed; /* it differs from what was read */
    char path[LOG_PATH_BYTES];
};

bool clean_out_open(struct clean_out *out, struct log *log, int64_t base_offset, struct err *err);
/* All bytes are written and synced. */
bool clean_out_finish(struct clean_out *out, struct err *err);
/* Removes what nobody has taken over. */
void clean_out_close(struct clean_out *out);

/* Says that so many bytes were moved; false: stop. */
bool clean_pace(struct cleaner *cl, uint64_t bytes);

/* Calls visit for every batch of a closed segment, checked; `end_offset` is where the next one begins. True with
 * cl->stopped when it was told to stop. */
bool clean_each_batch(struct cleaner *cl, struct log_segment *seg, int64_t end_offset,
                      bool (*visit)(struct cleaner *cl, const struct batch *batch, void *arg,
                                    struct err *err),
                      void *arg, struct err *err);

/* Writes what stays of a segment. */
bool clean_segment(struct cleaner *cl, struct log_segment *seg, int64_t end_offset, struct clean_out *out,
                   struct err *err);

/* --- swap.c --- */

/* Puts a finished segment in the place of `count` neighbours, on disk and in the list. *done false with true: they are
 * not there any more as they were (retention, a reload); nothing was changed. */
bool swap_in(struct log *log, struct log_segment **old, size_t count, struct clean_out *out, bool *done,
             struct err *err);

#endif
