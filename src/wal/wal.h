/* wal.h - the write-ahead log of a data directory: what many partitions have appended, made durable by one write.
 *
 *      partitions     a   b   c   d          each with a file of its own: a sync of each would be a request to the disk each
 *                      \  |   |  /
 *      wal_add         [ a b c d ]           their new bytes, once more
 *      wal_commit       one write, one sync  --> DIR/wal/NN.wal: | header | frame | frame | ...       durable
 *      wal_reclaim      when a file is full, later and by others: the partitions' own files are synced, the file is used again
 *      wal_replay       after a crash: what a partition's file lacks is in here
 *
 * It knows no partition: an entry is bytes at an offset of something with a key, and who adds entries says when they are not
 * needed any more. Files are written from end to end before they are used, and used again: a sync of one changes no size and no
 * block list, so that it is one request to the disk. Format: doc/disk.md. As in PostgreSQL's WAL or BookKeeper's journal.
 *
 * Threads: wal_add and wal_commit are one caller's at a time; wal_make_spare and wal_reclaim one other's; wal_each anybody's.
 */
#ifndef RIALTO_WAL_WAL_H
#define RIALTO_WAL_WAL_H

#include "base/base.h"

struct io;
struct wal;

/* What an entry belongs to: never used again for something else. */
struct wal_key {
    uint8_t topic[16];
    int32_t partition;
};

struct wal_entry {
    struct wal_key key;
    int64_t base_offset; /* of the first record */
    int64_t end_offset;  /* behind the last record; above 0 */
    struct str bytes;    /* whole record batches */
};

struct wal_config {
    const char *dir;     /* holds nothing else; made when the first file is */
    uint64_t file_bytes; /* of a file: a multiple of 4096, 16 KiB at least */
    int file_max;        /* files at a time; 0: nothing is written, what is there can be replayed */
};

/* Finds the files that are there. NULL with *err: one cannot be read, so what it holds is not known; or it is of a newer
 * version. `io` outlives it. Blocking. */
struct wal *wal_open(const struct wal_config *config, struct io *io, struct err *err);

/* Closes; files that are not needed any more are removed. NULL is allowed. Blocking. */
void wal_close(struct wal *wal);

/* Shows an entry, valid during the call. What wal_replay's visitor answers: is the entry still needed (until wal_reclaim)? */
typedef bool wal_visit_fn(void *arg, const struct wal_entry *entry);

/* Visits all entries that the files of earlier lives hold, in the order in which they were added. Once, after wal_open. Damage is
 * logged, and stepped over. False: a file cannot be read. Blocking. */
bool wal_replay(struct wal *wal, wal_visit_fn *visit, void *arg, struct err *err);

/* Visits the entries of one key that have not been reclaimed, in order. Blocking. */
bool wal_each(struct wal *wal, const struct wal_key *key, wal_visit_fn *visit, void *arg, struct err *err);

/* Room in the frame under way, to be filled with entry->bytes.len bytes before wal_commit (entry->bytes.ptr is not looked at);
 * NULL: there is none. Commit what is in the frame, if anything, and try again; NULL in an empty frame: the entry cannot be
 * written now, or not at all. Blocks when a file is begun. */
char *wal_add(struct wal *wal, const struct wal_entry *entry);

/* The entry that was added last is not in the frame any more. */
void wal_take_back(struct wal *wal);

/* Writes and syncs the frame; it is empty then. False: nothing of it counts as durable, and no more is taken until the next
 * start: what the disk holds is not known before that. Blocking. */
bool wal_commit(struct wal *wal, struct err *err);

/* Is there something to do: wal_make_spare, then wal_reclaim? Where they end with no file to go on with, not at once again. Any
 * thread; cheap. */
bool wal_has_work(struct wal *wal);

/* Makes sure that there is a file to go on with when the current one is full, if one is allowed; false: it could not be made.
 * Blocking, for as long as it takes to write a file. */
bool wal_make_spare(struct wal *wal, struct err *err);

/* Asks for every key of every full file whether what was added up to `end_offset` is durable elsewhere now (and makes it so); a
 * file of which all is can be used again. Blocking. */
typedef bool wal_settle_fn(void *arg, const struct wal_key *key, int64_t end_offset);
void wal_reclaim(struct wal *wal, wal_settle_fn *settle, void *arg);

/* The current file counts as full: before the last wal_reclaim. */
void wal_seal(struct wal *wal);

/* What was written since wal_open. Any thread. */
struct wal_stats {
    uint64_t frames, bytes;
    int files; /* that are there */
};
struct wal_stats wal_stats(struct wal *wal);

/* Tells what a file holds, for `rialto dump wal`: entries, damage. *damaged counts up. Any thread. */
struct describe;
bool wal_dump(const char *path, struct io *io, struct describe *out, uint64_t *damaged, struct err *err);

#endif
