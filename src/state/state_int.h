/* state_int.h - structs of the state module. Private to src/state. */
#ifndef RIALTO_STATE_STATE_INT_H
#define RIALTO_STATE_STATE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include <rocksdb/c.h>

#include "state/state.h"

/* Operations of a batch: one after the other, each a byte, then its fields; sizes are 4 bytes, numbers 8, big endian.
 * The same bytes lie in a state_batch, in the journal, and are replayed into RocksDB. */
enum state_op {
    OP_PUT = 1,      /* key, value */
    OP_DELETE,       /* key */
    OP_DELETE_RANGE, /* from, to (not included) */
    OP_NUMBER,       /* name, number */
    OP_NO_NUMBER,    /* name */
    OP_STORE,        /* name, store id */
    OP_NO_STORE      /* name */
};

struct state_batch {
    struct buf ops;
};

struct op_view {
    enum state_op op;
    struct str a, b;
    int64_t number;
};

void op_append(struct buf *ops, enum state_op op, struct str a, struct str b, int64_t number);

/* Cuts the next operation off *rest; false at the end or, with *bad set, on damaged bytes. */
bool op_next(struct str *rest, struct op_view *out, bool *bad);

/* The journal: journal.c ---------------------------------------------------------------------------------------- */

struct journal {
    struct io *io;
    struct buf dir, path;
    int fd; /* -1: not open */
    uint64_t end_pos;
    uint64_t entry_pos; /* of the entry that is prepared */
    bool broken;        /* a sync or a cut failed: what is on disk is unknown */
};

struct journal_entry {
    uint64_t seq;
    int64_t pid; /* -1: decided by itself */
    int16_t epoch;
    struct str ops;
};

/* Reads the journal into *bytes (empty when there is none) and opens it for appending; a torn tail is cut. */
bool journal_open(struct journal *journal, struct io *io, struct str dir, struct buf *bytes, struct err *err);
void journal_close(struct journal *journal);

/* The header of a journal file is right; entries begin at JOURNAL_HEADER_BYTES. */
enum { JOURNAL_HEADER_BYTES = 16 };
bool journal_check_header(struct str bytes, const char *path, struct err *err);

/* Walks the entries of what journal_open has read; *rest starts as all of it. */
bool journal_next(struct str *rest, struct journal_entry *entry);

/* Appends an entry durably. On failure it is not there, or the journal is broken. */
bool journal_append(struct journal *journal, const struct journal_entry *entry, struct err *err);

/* Says that this entry, read at the start, is the last one. */
void journal_set_last(struct journal *journal, const struct journal_entry *entry);

/* Removes the last entry, durably. */
bool journal_cut_last(struct journal *journal, struct err *err);

/* Starts a new journal with this one entry in place of the old one. */
bool journal_restart(struct journal *journal, const struct journal_entry *snapshot, struct err *err);

/* RocksDB: db.c --------------------------------------------------------------------------------------------------- */

struct db {
    rocksdb_t *rocks;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    uint64_t seq; /* of the last entry applied, as found when it was opened */
};

struct db *db_open(const char *path, size_t block_cache_bytes, size_t write_buffer_bytes, struct err *err);
void db_close(struct db *db);

/* As it lies on the disk, whether a server has it open or not; nothing is written. */
struct db *db_open_for_dump(const char *path, struct err *err);

/* Applies PUT, DELETE and DELETE_RANGE operations and remembers seq, atomically. */
bool db_apply(struct db *db, struct str ops, uint64_t seq, struct err *err);

/* Everything applied so far becomes durable. */
bool db_flush(struct db *db, struct err *err);

/* Appends the value to *out; *found false when there is none. */
bool db_get(struct db *db, struct str key, struct buf *out, bool *found, struct err *err);

rocksdb_iterator_t *db_iterator(struct db *db);
static inline struct str db_iter_key(const rocksdb_iterator_t *it)
{
    size_t len;
    const char *key = rocksdb_iter_key(it, &len);
    return str_of(key, len);
}
static inline struct str db_iter_value(const rocksdb_iterator_t *it)
{
    size_t len;
    const char *value = rocksdb_iter_value(it, &len);
    return str_of(value, len);
}
bool db_iter_ok(const rocksdb_iterator_t *it, struct err *err);

/* State: state.c -------------------------------------------------------------------------------------------------- */

struct state {
    struct state_options options;
    struct buf dir, db_path;
    pthread_mutex_t lock; /* all below but the atomics */
    struct map numbers;   /* name -> the number itself, as a pointer */
    struct map ids;       /* store name -> id */
    uint32_t id_next;
    struct journal journal;
    _Atomic(struct db *) db; /* NULL until a store needs it */
    struct buf prepared;     /* operations of the prepared entry */
    bool is_prepared;
    uint64_t seq_next; /* of the next entry */
    _Atomic uint64_t seq_applied;
    _Atomic int64_t cache_bytes, dirty_bytes;
};

/* Opens RocksDB if that has not been done. */
bool state_need_db(struct state *state, struct err *err);

/* The id of a store name; *is_new: nothing of it is stored yet. */
uint32_t state_store_id(struct state *state, struct str name, bool *is_new);

/* Stores: store.c, table.c, scan.c ---------------------------------------------------------------------------------- */

/* All rows of one key in the cache, by (t0, t1). */
struct bucket {
    uint64_t hash;
    uint64_t seq; /* of the last batch that took a change of it */
    uint32_t key_len;
    uint32_t len, cap;
    uint32_t pending;          /* dirty rows, unlinked ones too */
    bool whole;                /* STORE_SESSION: no row of the key is in RocksDB alone */
    bool touched;              /* used since the trimming hand passed */
    struct store_entry **rows; /* &one while cap is 0 */
    struct store_entry *one;
    char key[];
};

struct slot {
    uint64_t hash;
    struct bucket *bucket; /* NULL: free */
};

struct store {
    struct state *state; /* NULL: in memory only */
    int owners;
    struct str name;
    struct arena arena; /* name */
    enum store_kind kind;
    const struct sql_type *const *types;
    uint32_t cell_count;
    int64_t retention_ms;
    bool scalar; /* no cell type needs memory of its own */
    uint32_t id;
    bool id_new;           /* the next batch must tell the name */
    bool complete;         /* RocksDB holds nothing that the cache does not */
    int64_t db_t0_max;     /* STORE_WINDOW, not complete: later rows cannot be in RocksDB */
    int64_t expired_below; /* rows before are gone */
    bool expired_new;      /* the next batch must drop the range */

    struct slot *slots;
    size_t slot_cap, bucket_len;
    size_t hand;    /* where trimming goes on */
    size_t row_len; /* present rows */
    vec(struct store_entry *) dirty;
    vec(struct store_entry *) dead; /* unlinked, freed by store_trim */
    struct store_entry *free_list;  /* through ->bucket */
    vec(char *) slabs;
    size_t entry_bytes;

    int64_t bytes, dirty_bytes;           /* held by the cache */
    int64_t bytes_told, dirty_bytes_told; /* of these, added to the state's sums */
    struct buf key_scratch, value_scratch;
    struct arena load_arena;
};

/* table.c */
struct bucket *table_find(struct store *store, struct str key, uint64_t hash);
struct bucket *table_add(struct store *store, struct str key, uint64_t hash);
void table_remove(struct store *store, struct bucket *bucket);
struct store_entry *bucket_find(const struct bucket *bucket, int64_t t0, int64_t t1);
uint32_t bucket_lower(const struct bucket *bucket, int64_t t0, int64_t t1); /* first row not before it */
struct store_entry *entry_add(struct store *store, struct bucket *bucket, int64_t t0, int64_t t1);
void entry_unlink(struct store *store, struct store_entry *entry);
void entry_free(struct store *store, struct store_entry *entry);
static inline struct str bucket_key(const struct bucket *bucket)
{
    return str_of(bucket->key, bucket->key_len);
}

/* store.c */
void store_key_encode(const struct store *store, struct str key, int64_t t0, int64_t t1, struct buf *out);
bool store_key_decode(const struct store *store, struct str bytes, struct str *key, int64_t *t0, int64_t *t1);
bool store_cells_decode(const struct store *store, struct str bytes, struct value *cells, struct arena *arena,
                        struct err *err);
void store_keep(struct store *store, struct store_entry *entry);
bool store_load_bucket(struct store *store, struct bucket *bucket, struct err *err);
void store_tell(struct store *store);

#endif
