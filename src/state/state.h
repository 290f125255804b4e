/* state.h - where operators remember: one RocksDB and one journal for the process, a write-back cache per store.
 *
 *      operator                     commit (flow)
 *         | store_at, store_find      | store_hand_over -> state_batch -> state_prepare -> (decision) -> state_apply
 *     struct store                    |
 *       hash: key -> rows, newest     v
 *       complete or a part       journal (fdatasync) --> RocksDB (its own WAL is off)
 *
 * A store maps (key, t0, t1) to a row of typed cells. What t0 and t1 are depends on the kind:
 *
 *     STORE_KEY_VALUE   0, 0                       one row a key
 *     STORE_WINDOW      window start, 0            rows of a key by time; whole ranges of time are dropped
 *     STORE_SESSION     session end, start         rows of a key in order; also join buffers (time, sequence)
 *
 * (S1) A store belongs to one thread (its task's worker). state_* functions may be called by any thread.
 * (S2) The cache is newer than RocksDB: what was changed and not applied stays in the cache.
 * (S3) Cells of an entry are valid until its next change, the store's next store_trim, or store_close.
 * (S4) A reader of RocksDB never sees a batch that is not decided: only state_apply writes to it.
 *
 * Files: doc/disk.md, section "state".
 */
#ifndef RIALTO_STATE_STATE_H
#define RIALTO_STATE_STATE_H

#include "base/base.h"
#include "io/io.h"
#include "type/type.h"

struct state;
struct state_batch;
struct store;

/* The process's state ------------------------------------------------------------------------------------------ */

struct state_options {
    struct str dir;            /* DIR/state; made when missing */
    struct io *io;             /* for the journal; must outlive the state */
    size_t cache_bytes;        /* of all stores together; 0: 64 MiB. Dirty entries are never dropped */
    size_t block_cache_bytes;  /* RocksDB's; 0: 8 MiB */
    size_t write_buffer_bytes; /* RocksDB's; 0: 16 MiB */
    size_t journal_bytes_max;  /* the journal is started anew when it is larger; 0: 64 MiB */
    /* Was the transaction that names the last journal entry committed? True also when a later one has begun: an entry
     * whose transaction was aborted is cut before that. Asked by state_open at most once. */
    bool (*txn_committed)(void *arg, int64_t pid, int16_t epoch);
    void *arg;
};

/* Reads the journal and applies what was decided and has not reached RocksDB. RocksDB itself is opened when the first
 * store needs it. ERR_CORRUPT, ERR_IO, ERR_DISK_FULL. */
bool state_open(struct state **out, const struct state_options *options, struct err *err);

/* Stores must be closed. NULL is allowed. */
void state_close(struct state *state);

/* Named numbers that change together with the stores: positions in inputs, stream times. */
bool state_number(struct state *state, struct str name, int64_t *out);

/* Removes all stores and numbers whose names begin with the prefix, durably. The stores must be closed. Must not run
 * between state_prepare and state_apply of another thread: the committing thread calls it. */
bool state_drop(struct state *state, struct str prefix, struct err *err);

/* Bytes held by caches, and the part of them that is dirty. */
size_t state_cache_bytes(const struct state *state);
size_t state_dirty_bytes(const struct state *state);
size_t state_cache_limit(const struct state *state);

/* Commit --------------------------------------------------------------------------------------------------------- */

struct state_batch *state_batch_new(void);
void state_batch_free(struct state_batch *batch);
void state_batch_clear(struct state_batch *batch);
bool state_batch_is_empty(const struct state_batch *batch);

/* A named number becomes `value` when the batch is applied. */
void state_batch_number(struct state_batch *batch, struct str name, int64_t value);

/* Moves the store's changes into the batch; they count as clean from now on but stay in the cache until applied. */
void store_hand_over(struct store *store, struct state_batch *batch);

/* Appends the batches to the journal as one entry named by the transaction and makes it durable. pid -1: there is no
 * transaction, the entry itself is the decision. One entry at a time: it must be applied or cancelled before the
 * next. On failure nothing is prepared. */
bool state_prepare(struct state *state, int64_t pid, int16_t epoch, struct state_batch *const *batches,
                   size_t count, struct err *err);

/* The transaction was committed: the prepared entry goes to RocksDB. */
bool state_apply(struct state *state, struct err *err);

/* The transaction was aborted: the prepared entry is cut off the journal, durably. Stores whose changes were handed
 * over must be closed without being used again. */
bool state_cancel(struct state *state, struct err *err);

/* Stores --------------------------------------------------------------------------------------------------------- */

enum store_kind { STORE_KEY_VALUE, STORE_WINDOW, STORE_SESSION };

struct store_options {
    enum store_kind kind;
    const struct sql_type *const *types; /* of the cells; borrowed until store_close */
    uint32_t cell_count;
    int64_t
        retention_ms; /* rows are dropped by store_expire; 0: never. Expiry is done in steps of a part of it */
};

/* Opens the store of this name (unique: query, operator, partition). state NULL: in memory only, nothing is kept.
 * A name always has the same kind and cells; other cells are ERR_CORRUPT when rows are read. */
struct store *store_open(struct state *state, struct str name, const struct store_options *options,
                         struct err *err);

/* One more owner of an in-memory store, for an operator that goes on where another one ends; `options` take the place of
 * those it was opened with and must have the same kind and cells. */
struct store *store_share(struct store *store, const struct store_options *options);

/* Changes that were not handed over are lost. NULL is allowed. */
void store_close(struct store *store);

struct store_entry {
    int64_t t0, t1;
    bool present;   /* false: there is no such row (yet) */
    bool mark;      /* free for the operator; false at first */
    uint8_t pins;   /* pinned entries stay in the cache */
    uint32_t index; /* free for the operator; 0 at first */

    bool dirty, stored, linked; /* the store's: in its dirty list, known to RocksDB, found through its key */
    uint64_t seq;               /* the store's: of the batch that took it last */
    struct bucket *bucket;      /* the store's: all rows of this key */
    char *heap;                 /* the store's: what the cells point to */
    struct value cells[];
};

/* The key's bytes; live as long as the entry. */
struct str store_entry_key(const struct store_entry *entry);

/* Copies of the first `count` cells, with their bytes, in the arena; NULL when the entry is not present. */
struct value *store_cells_dup(const struct store_entry *entry, uint32_t count, struct arena *arena);

/* The row, made with NULL cells and present = false where there is none. NULL with *err when RocksDB fails. */
struct store_entry *store_at(struct store *store, struct str key, int64_t t0, int64_t t1, struct err *err);

/* The row or NULL when there is none; a failing read is NULL too, with *failed set. */
struct store_entry *store_find(struct store *store, struct str key, int64_t t0, int64_t t1, bool *failed,
                               struct err *err);

/* The cells were changed in place: the row is present and dirty. Cells that point outside the store are copied
 * (deeply), so values may lie in a batch arena before the call. */
void store_changed(struct store *store, struct store_entry *entry);

/* The row is no more. The entry stays valid until the next store_trim. */
void store_delete(struct store *store, struct store_entry *entry);

struct store_entries {
    vec(struct store_entry *) list;
};

/* Present rows of one key with t0_min <= t0 <= t0_max, in order of (t0, t1), appended to out. false: *err. */
bool store_range(struct store *store, struct str key, int64_t t0_min, int64_t t0_max,
                 struct store_entries *out, struct err *err);

/* Called for each row; returns false to stop. The slices and cells live for the call. */
typedef bool store_scan_fn(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells);

/* All present rows, cache and RocksDB merged, in no particular order. The callback must not change the store. */
bool store_scan(struct store *store, store_scan_fn *fn, void *arg, struct err *err);

/* Rows of one key with t0 in the range, in order of time. */
bool store_scan_key(struct store *store, struct str key, int64_t t0_min, int64_t t0_max, store_scan_fn *fn,
                    void *arg, struct err *err);

/* Rows with t0 < t0_below are dropped. Cheap when nothing or little is due; call it as stream time goes on. Not
 * during a run: entries are freed. */
bool store_expire(struct store *store, int64_t t0_below, struct err *err);

/* Frees clean entries while the caches together are above their limit. Between runs. */
void store_trim(struct store *store);

/* Present rows in the cache. */
size_t store_cached(const struct store *store);

/* Dumps ---------------------------------------------------------------------------------------------------------- */

/* Tells what DIR/state, or a journal file, holds: the journal's entries and operations, and the rows of RocksDB, which is
 * opened read-only. Damaged entries are told as such and stepped over; *damaged counts them. Any thread. */
bool state_dump(const char *path, struct io *io, struct describe *out, uint64_t *damaged, struct err *err);

#endif
