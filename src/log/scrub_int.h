/* scrub_int.h - the index files of a segment, as the scrub's walk over its batches meets them (scrub_index.c). */
#ifndef RIALTO_LOG_SCRUB_INT_H
#define RIALTO_LOG_SCRUB_INT_H

#include "log/log_int.h"

struct scrub_index {
    bool open;       /* there is something to compare */
    bool wrong;      /* the places or the times are not what the batches say */
    bool wrong_txns; /* the abort index is not what was written */
    int64_t base_offset, largest_ms;
    struct buf places, times; /* as in the files */
    size_t place_at, time_at; /* bytes of them that were met */
};

/* Reads the files, past the page cache. Not open: they cannot be read, or are being written. */
void scrub_index_open(struct scrub_index *index, struct log *log, struct log_segment *seg);

/* The next batch of the segment, which is good. */
void scrub_index_note(struct scrub_index *index, const struct batch *batch, uint64_t pos);

/* The walk is over; while `open` it met every batch. What was wrong is distrusted, and told. */
void scrub_index_close(struct scrub_index *index, struct log *log, struct log_segment *seg);

#endif
