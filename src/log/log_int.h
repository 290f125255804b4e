/* log_int.h - private to log: the structs, who may change what, and the steps that the files share.
 *
 *   struct log
 *     segs[0]   segs[1]   ...   segs[n-1] = active         struct log_segment: one .log with its indexes
 *     producers (pid -> struct producer)                   sequences and open transactions
 *     txns                                                 transactions not yet stable, by first offset
 *     end, durable, synced                                 struct log_point: offset, segment, position
 *
 * Locks, always taken in this order:
 *   compact_lock  one compaction at a time; held for its whole length, the others only for moments of it
 *   sync_lock     one sync, checkpoint, retention or reload at a time: the only writers of indexes and
 *                 checkpoint, and the only ones that remove segments from the front
 *   flush_lock    one fdatasync of .log files at a time, and none after one that has failed
 *   append_lock   one append or roll at a time: the only writer of .log files, the only one to add segments
 *   checkpoint_lock  who replaces the checkpoint file
 *   abort_lock    one thread makes abort indexes anew at a time
 *   load_lock     one thread reads index files from disk at a time
 *   lock          a few instructions: everything in the structs that several threads see. It is held to
 *                 change them, so that whoever holds it sees end, segments, indexes and producers fit
 * What one of the upper locks' holders alone changes, that holder may read without `lock`.
 */
#ifndef RIALTO_LOG_LOG_INT_H
#define RIALTO_LOG_LOG_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/log.h"

enum {
    LOG_PATH_BYTES = 4096,
    LOG_SCAN_BYTES = 256 << 10, /* read at a time by a scan */
    LOG_PRODUCER_BATCHES = 5,   /* remembered for duplicates: as many as a client has in flight */
    LOG_INDEX_ENTRY_BYTES = 8,
    LOG_TIME_ENTRY_BYTES = 12,
    LOG_ABORTED_ENTRY_BYTES = 34,
};

/* A place between two batches. */
struct log_point {
    int64_t offset;
    int64_t seg_base;
    uint64_t pos;
};

struct index_entry {
    uint32_t offset_delta; /* of the batch's first record, to the segment's base */
    uint32_t pos;
};

struct time_entry {
    int64_t timestamp_ms;  /* largest so far ... */
    uint32_t offset_delta; /* ... and the last offset of the batch that holds it */
};

/* Bytes of a segment that are known to be good, and the offset that follows them (verify.c). */
struct known {
    uint64_t from, to;
    int64_t next_offset;
};

/* One file of the log. References: one by the log's list, one a slice or a running operation. */
struct log_segment {
    _Atomic int refs;
    struct io *io;
    int64_t base_offset;
    int fd; /* -1: not open */
    atomic_int *open_files;
    bool made;            /* the file exists */
    bool used;            /* since the last log_retain */
    bool replaced;        /* compaction put another file in its place: paths do not lead to it any more */
    uint32_t jitter;      /* random: its share of segment.jitter.ms */
    uint64_t end_pos;     /* bytes of whole, published batches */
    uint64_t indexed_pos; /* position of the last index entry */

    /* Both indexes in memory, when loaded; the first *_saved entries are in the files as well. */
    bool loaded;
    bool counts_known; /* *_saved say what the files hold for sure; else their sizes do */
    bool stale;        /* the files may hold more than *_saved entries: cut them before the next write */
    bool unfinished; /* it was complete before its index was loaded: the last entry of time may be missing */
    vec(struct index_entry) index;
    vec(struct time_entry) times;
    uint32_t index_saved, times_saved, aborted_saved;
    vec(struct log_aborted) aborted; /* always in memory: there are few */
    bool aborted_distrusted;         /* aborted.c, A1 */

    bool times_known; /* the three below are right */
    int64_t first_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t max_timestamp_offset;

    bool distrusted;         /* its index files were found to be wrong: loading makes them anew */
    vec(struct known) known; /* apart from each other, by position */
    vec(uint64_t) told;      /* positions of damage that was reported */
};

/* A segment that has gone; its files are called *.deleted until then. */
struct doomed {
    int64_t base_offset, due_ms;
};

struct producer_batch {
    int32_t base_seq, last_seq;
    int64_t base_offset, last_offset;
    int64_t timestamp_ms;
};

/* A transaction from its first batch until its marker lies below the high watermark. */
struct log_txn {
    struct list link;
    int64_t pid;
    struct log_point first;
    int64_t marker_offset; /* -1: undecided */
};

struct producer {
    int64_t pid;
    int16_t epoch;
    int32_t coordinator_epoch; /* of the last marker, -1: none */
    int64_t seen_ms;           /* wall clock of the last append */
    int64_t last_timestamp_ms;
    int batch_count;
    struct producer_batch batches[LOG_PRODUCER_BATCHES]; /* oldest first */
    struct log_txn *txn;                                 /* open one, owned by log->txns */
};

struct log {
    struct io *io;
    char *dir, *name;
    pthread_mutex_t compact_lock, sync_lock, flush_lock, append_lock, checkpoint_lock, abort_lock, load_lock,
        lock;
    struct log_config config;
    struct {
        struct log_segment **at;
        size_t len, cap;
    } segs; /* never empty after recovery */
    _Atomic int64_t start_offset, end_offset, durable_offset, hw_offset;
    struct log_point end, durable;
    struct log_point
        synced; /* what the log's own files hold for certain; up to `durable` the rest lies elsewhere (tail.c) */
    struct map producers; /* 8 bytes of pid -> struct producer */
    struct list txns;
    struct log_names *names; /* that hold its own: those of the config, or ... */
    struct log_names *names_own;
    bool dir_made, dir_dirty; /* the directory exists; names in it are not synced yet */
    bool dir_sure;            /* dir_dirty is true: not after a recovery */
    uint64_t
        name_round; /* of `names`, which makes the directory's own name durable; 0: it is, or there is none */
    vec(struct doomed) doomed; /* segments whose files wait to be removed; holder of sync_lock */
    bool has_cuts; /* what recovery has cut off lies beside the segments; holder of sync_lock, or recovery */
    struct {
        char *path; /* NULL: none */
        int64_t seg_base;
        uint64_t pos, size;
    } last_cut;             /* what this recovery has kept of the last segment that it cut (rescue.c, U4) */
    bool unsettled;         /* recovery found records that nobody has synced yet */
    bool append_fails;      /* the last write failed, and that was said */
    int64_t cleaned_offset; /* below it compaction has been: one record a key there */
    bool
        loose; /* offsets may have gaps, leader epochs other values than 0: compaction has been here, or another program */
    int64_t
        checkpoint_base; /* base of the segment that the checkpoint on the disk points into; INT64_MAX: none */
    uint64_t bytes_since_checkpoint;
    bool checkpoint_dirty,
        checkpoint_due;              /* something has changed since the last one; a sync shall write one */
    _Atomic uint32_t incarnation;    /* counts the times that published records were dropped */
    _Atomic bool aborted_distrusted; /* those of some segments */
    _Atomic bool offline, unread;    /* takes no writes; was never opened, and gives nothing either */
    bool cut_due; /* a sync has failed, and what lies behind the durable end is still there */
    enum err_code offline_code;
    char *offline_reason; /* ERR_TEXT_BYTES of room, made at the first failure and kept */
};

/* segment.c */
void log_path(const struct log *log, int64_t base_offset, const char *suffix, char out[LOG_PATH_BYTES]);
struct log_segment *segment_new(struct log *log, int64_t base_offset);
struct log_segment *segment_ref(struct log_segment *seg);
void segment_unref(struct log_segment *seg);
/* Gives the segment its open file. */
void segment_take_file(struct log_segment *seg, int fd);
/* The segment's descriptor, opened (or, with `create`, made) when need be. Call with `lock` held. */
bool segment_open(struct log *log, struct log_segment *seg, bool create, int *out, struct err *err);

/* Gives the descriptor back; segment_open takes a new one. While nobody else reads the segment. */
void segment_close_file(struct log_segment *seg);
/* Removes the segment's files; failures are logged. False: the .log file is still there. */
bool segment_remove_files(struct log *log, int64_t base_offset);
/* The same after delete_delay_ms: until then they have another name, by which nobody finds them. Holder of sync_lock, or
 * recovery. */
bool segment_doom_files(struct log *log, int64_t base_offset);
#define DOOMED_SUFFIX ".deleted"
void segment_forget_doomed(struct log *log, size_t i);
/* The segment that holds `offset` (the last one whose base is not above it), and its place; -1: below all.
 * Under `lock`. */
ptrdiff_t segs_find(const struct log *log, int64_t offset);
struct log_segment *segs_active(const struct log *log);
/* The active segment, for the holder of append_lock: it stays the last one, but retention moves the list meanwhile.
 * Takes `lock`. */
struct log_segment *segs_active_append(struct log *log);
/* Bytes that are published. Takes `lock`. */
uint64_t segment_bytes(struct log *log, const struct log_segment *seg);
/* Bytes of the segment that lie below the point. Under `lock`. */
uint64_t segment_limit(const struct log_segment *seg, const struct log_point *point);

/* index.c */
/* Notes a batch in the indexes, every interval_bytes (of the config). Under `lock`, or the segment is the caller's alone. */
void index_note(struct log_segment *seg, uint32_t interval_bytes, uint64_t pos, const struct batch *batch);
/* Adds the largest timestamp as last entry when the segment is complete; not loaded, it is added by the next load. Under
 * `lock`. */
void index_finish(struct log_segment *seg);
/* Reads the index files into memory, or makes them anew from the segment. Without `lock`. */
bool index_load(struct log *log, struct log_segment *seg, struct err *err);
/* Writes and syncs entries that the files lack. Holder of sync_lock. */
bool index_save(struct log *log, struct log_segment *seg, struct err *err);
/* Where to start a search for `offset`: the last entry before it, or the segment's beginning. Under `lock`. */
struct log_point index_floor(const struct log_segment *seg, int64_t offset);
/* The last entry that points before `pos`, or the segment's beginning. Under `lock`. */
struct log_point index_before(const struct log_segment *seg, uint64_t pos);
/* The first entry that points behind `pos`; false: there is none. Under `lock`. */
bool index_behind(const struct log_segment *seg, uint64_t pos, struct log_point *out);
/* The index has led astray: it is forgotten, and made anew from the segment by the next load. Without `lock`. */
void index_distrust(struct log *log, struct log_segment *seg);
/* Reads a whole index file; a missing one is empty. */
bool index_file_read(struct log *log, const struct log_segment *seg, const char *suffix, struct buf *out,
                     bool *missing, struct err *err);

/* index_check.c; without `lock` */
/* Does the batch that holds the entry's offset have its timestamp? `from`: a place before it. */
bool time_entry_is_true(struct log *log, struct log_segment *seg, const struct log_point *from,
                        uint64_t limit, const struct time_entry *entry);
/* Does the batch of the point, an entry of the index, begin there? One that lies behind the limit is not looked at. */
bool point_is_true(struct log *log, struct log_segment *seg, const struct log_point *point, uint64_t limit);
/* The same of the last entry that was read into `fresh`, an index that nobody else sees yet. */
bool times_are_true(struct log *log, struct log_segment *seg, const struct log_segment *fresh);
/* Largest timestamp of a segment, from memory or the last entry of its time index; -1: none. */
bool segment_max_time(struct log *log, struct log_segment *seg, int64_t *out, struct err *err);

/* aborted.c */
/* Entries of an abort index in the form of the file. */
void aborted_encode(const struct log_aborted *entries, size_t count, struct buf *out);
/* Reads the abort index of a segment: its first `count_max` entries. */
bool aborted_load(struct log *log, struct log_segment *seg, uint32_t count_max, struct err *err);
/* Checksum of the first entries. Under `lock`. */
uint32_t aborted_sum(const struct log_segment *seg, size_t count);
/* The entries are not what was written. During recovery, or under `lock`. */
void aborted_distrust(struct log *log, struct log_segment *seg);
/* The file is not what is in memory: it is written again by the next checkpoint. Without `lock`. */
void aborted_rewrite(struct log *log, struct log_segment *seg);
/* Before entries are used: those that are distrusted are made anew. Without `lock` and what comes before it in the order. */
void aborted_secure(struct log *log);

/* scan.c */
/* Walks batches of a segment between two positions. */
struct scan {
    struct log *log;
    struct log_segment *seg;
    int fd;
    uint64_t pos, end; /* of the next batch; where to stop */
    bool whole;        /* batch.bytes are the whole batch, not only its header */
    bool cold;         /* by a descriptor opened with IO_COLD */
    size_t window;     /* read at a time */
    char *bytes;       /* of the file, from buf_pos on */
    size_t len, cap;
    uint64_t buf_pos;
    uint64_t batch_pos; /* of the batch last returned */
};
bool scan_open(struct scan *scan, struct log *log, struct log_segment *seg, uint64_t pos, uint64_t end,
               bool whole, struct err *err);
/* The same from the beginning of a segment, by a descriptor of the caller's that was opened with IO_COLD. */
void scan_open_cold(struct scan *scan, struct log *log, struct log_segment *seg, int fd, uint64_t end);
/* False at the end (*err untouched) or on bytes that are no batch (ERR_CORRUPT, ...) or cannot be read
 * (ERR_IO). */
bool scan_next(struct scan *scan, struct batch *batch, struct err *err);
/* Checks the checksum of the batch last returned (of a scan of whole batches); *err names file and position. */
bool scan_check_crc(const struct scan *scan, const struct batch *batch, struct err *err);
/* Checks the checksum of the batch last returned by a walk over headers, piece by piece: whatever the header says of its size,
 * memory is that of a window. ERR_CORRUPT, ERR_IO. */
bool scan_sum(struct scan *scan, const struct batch *batch, struct err *err);
void scan_close(struct scan *scan);

/* verify.c */
/* Under `lock`: these bytes are good; none behind `pos` are known to be; nothing is known. */
void known_add(struct log_segment *seg, const struct known *add);
void known_cut(struct log_segment *seg, uint64_t pos);
void known_forget(struct log_segment *seg);
/* What the next stored batch must look like beside its checksum. */
struct expect {
    int64_t offset; /* of its first record; or, when not exact, not below it */
    int64_t limit;  /* its last record lies below */
    bool exact, any_epoch;
};
bool batch_continues(const struct batch *batch, const struct expect *expect, struct err *err);
/* What comes behind this batch. */
void expect_next(struct expect *expect, const struct batch *batch);
/* Reports damage: an ERROR line and the counter, once a place; *why gets the place as context. Takes `lock`. */
void damage_tell(struct log *log, struct log_segment *seg, uint64_t pos, struct err *why);
/* Makes sure that what the slice holds is good: it ends before damage, or false when it begins with it. `limit` and
 * `offset_limit` are where the bytes and offsets end that may be seen of the segment; `loose`: log->loose. Without `lock`. */
bool slice_verify(struct log *log, struct log_segment *seg, uint64_t limit, int64_t offset_limit, bool loose,
                  struct log_slice *slice, struct err *err);

/* producer.c */
enum producer_verdict { PRODUCER_APPEND, PRODUCER_DUPLICATE, PRODUCER_REFUSE };
struct producer *producer_get(const struct log *log, int64_t pid);
struct producer *producer_add(struct log *log, int64_t pid);
/* May this batch be appended? Holder of append_lock. */
enum producer_verdict producer_check(const struct log *log, const struct batch *batch,
                                     struct producer_batch *earlier, struct err *err);
/* May it be appended for no other reason than that `before`, which may be, is appended directly before it? */
bool producer_follows(const struct batch *before, const struct batch *batch);
/* Takes a published batch into account. Under `lock`. */
void producer_apply(struct log *log, struct log_segment *seg, uint64_t pos, const struct batch *batch);
struct log_txn *txn_add(struct log *log, struct producer *prod, struct log_point first);
/* Forgets decided transactions whose markers lie below the high watermark. Under `lock`. */
void txns_settle(struct log *log);
/* Where read_committed ends. Under `lock`. */
struct log_point txns_lso(const struct log *log);
/* Forgets producers that have been silent for too long, but those with a transaction open. Holder of sync_lock. */
void producers_expire(struct log *log, int64_t now_ms);
void producers_clear(struct log *log);

/* append.c */
/* Makes a whole batch, already in the file at `pos`, part of the log. Under `lock`. */
void log_publish(struct log *log, struct log_segment *seg, uint64_t pos, const struct batch *batch);
/* Starts a new active segment at the log end. Holder of append_lock. */
bool log_roll(struct log *log, struct err *err);
/* Makes the directory, or makes sure of the one that recovery found: a crash may have left names in it that nobody has synced;
 * the next sync does. Holder of append_lock. */
bool log_secure_dir(struct log *log, struct err *err);
/* Writes and publishes a batch that has its place already, which is the log end. Holder of append_lock. */
bool log_append_placed(struct log *log, struct str bytes, struct err *err);

/* sync.c */
/* After a failed sync, unless it was done: forgets what lies behind the durable end (Y2). Holder of sync_lock and append_lock. */
void log_cut_undurable(struct log *log);
bool log_sync_all(struct log *log, bool checkpoint, int64_t start_offset,
                  struct err *err); /* holder of sync_lock */
bool log_sync_files(struct log *log,
                    struct err *err); /* files and directory only; a failure takes the log offline */
bool log_set_offline(struct log *log, struct err *err); /* keeps *err as reason; returns false */
bool log_check_online(struct log *log, struct err *err);
void log_set_hw(struct log *log); /* under lock: end or durable moved */
/* The files are known to hold everything below the point. Under `lock`, or nobody else knows the log. */
void log_set_synced(struct log *log, struct log_point point);

/* checkpoint.c */
struct checkpoint {
    int64_t start_offset, cleaned_offset;
    struct log_point point;
    bool loose;
    int64_t first_timestamp_ms, max_timestamp_ms, max_timestamp_offset; /* of the point's segment */
    uint32_t index_count, times_count, aborted_count;                   /* entries of its index files */
};
/* Encodes the state of the log as it is. Under `lock`. */
void checkpoint_encode(const struct log *log, int64_t start_offset, struct buf *out);
/* Makes sure that there is a checkpoint, be it one that says nothing: what a start finds behind one has no gaps. Holder of
 * append_lock; waits for the disk once in the life of a log. */
bool checkpoint_first(struct log *log, struct err *err);
/* Reads the file; producers and open transactions go straight into `log`. False: none that can be used. */
bool checkpoint_read(struct log *log, struct checkpoint *out, struct err *err);
/* Text for dumps. */
void checkpoint_dump(struct log_dump *dump, const char *path, struct str bytes);

/* dump_index.c */
void dump_index(struct log_dump *dump, const char *path, struct str bytes);
void dump_times(struct log_dump *dump, const char *path, struct str bytes);
void dump_aborted(struct log_dump *dump, const char *path, struct str bytes);

/* swap.c */
/* Completes, or gives up, what the file `swap` says; `bases` are the segments that are there. First of all at a start. */
bool swap_recover(struct log *log, const int64_t *bases, size_t count, struct err *err);
void swap_dump(struct log_dump *dump, const char *path, struct str bytes);

/* tail.c */
/* The log cannot be served before the next start, or until a full disk has room: *why says why. Returns false. */
bool log_refuse(struct log *log, struct err *why);
/* Adds what log_config.redo knows to a log that was recovered once more, and syncs it. Holder of its locks. */
bool log_redo_all(struct log *log, struct err *err);

/* recover.c */
/* Fills a new log from its files. No other thread knows it yet. */
bool log_recover(struct log *log, struct err *err);

/* names.c */
/* The round of a name that has come or gone: its sync makes that durable. */
uint64_t names_join(struct log_names *names);
/* Makes the names of a round durable, or waits for who does; false: its sync has failed. Blocking. */
bool names_sync(struct log_names *names, uint64_t round, struct err *err);

/* rescue.c */
#define RESCUE_SUFFIX ".cut"
/* An open file and what error texts need. */
struct log_file {
    struct io *io;
    int fd;
    const char *path;
    uint64_t size;
};
/* The next place from `pos` on where a whole batch with the right checksum lies; the file's size when there is none. */
uint64_t rescue_find(const struct log_file *file, uint64_t pos);
/* Puts aside what lies from `pos` on, if it is worth it; false: it could not be, nothing may be cut. Recovery only. */
bool rescue_tail(struct log *log, const struct log_file *file, int64_t base_offset, uint64_t pos,
                 struct err *err);
/* The same of a whole segment, by its name: its .log file is gone then. */
bool rescue_segment(struct log *log, const struct log_segment *seg, struct err *err);
/* After log_redo, once what it has appended is durable: removes what was put aside last, if nobody can miss it any more. Recovery
 * only. */
void rescue_take_back(struct log *log);
/* Is this the name of such a file? *cut_ms: since when. */
bool rescue_name(struct str name, int64_t *cut_ms);
/* Removes those that are old. Holder of sync_lock. */
void rescue_expire(struct log *log, int64_t now_ms);

/* log.c */
struct log *log_new(const char *dir, const char *name, const struct log_config *config, struct io *io);
void log_free(struct log *log);
/* Gives `log` the contents of `fresh`, and the other way round. Holder of sync_lock and append_lock. */
void log_swap(struct log *log, struct log *fresh);

#endif
