/* log.h - a partition on disk: append, sync, read, look up, retain, recover.
 *
 *   log start            last stable      high watermark        log end
 *      |  durable and decided  |  durable       |  written, not synced  |
 *      |----- segment ----|------- segment -------|--- active segment ---|
 *
 * (L1) Appends are ordered by one lock inside; any thread may append. Offsets are consecutive.
 * (L2) A record below the high watermark survives `kill -9` and, with LOG_FSYNC, a power cut. With LOG_OS
 *      the high watermark is the log end.
 * (L3) Readers take a lock for a few instructions only and never wait for a write or a sync.
 * (L4) What was handed out by log_read stays readable until log_slice_release, whatever is deleted
 *      meanwhile.
 * (L5) What log_read hands out is checked: by its checksum, when it was not written or checked a moment ago. Damage is an
 *      ERROR line with file and position, is counted, and is never given out.
 * (L6) Opening never fails because of a torn tail, a missing index or a missing checkpoint.
 *
 * An idle log holds no open file and some hundred bytes of memory. Files: doc/disk.md.
 */
#ifndef RIALTO_LOG_LOG_H
#define RIALTO_LOG_LOG_H

#include <stdatomic.h>

#include "base/base.h"
#include "io/io.h"
#include "record/record.h"

struct log;
struct log_names;
struct log_segment;
struct metric;

enum log_durability {
    LOG_FSYNC, /* readers see a record after log_sync */
    LOG_OS,    /* readers see a record at once; log_sync is still needed now and then */
};

/* Kafka's topic configs that concern one partition; log_config_default gives Kafka's defaults. */
struct log_config {
    enum log_durability durability;
    uint32_t segment_bytes;        /* segment.bytes; at most 2^31 - 1 */
    int64_t segment_ms;            /* segment.ms */
    int64_t segment_jitter_ms;     /* segment.jitter.ms: a segment is rolled up to so much sooner */
    uint32_t index_interval_bytes; /* index.interval.bytes */
    uint32_t index_bytes_max;      /* segment.index.bytes: a segment is rolled when an index is so large */
    int64_t
        delete_delay_ms; /* file.delete.delay.ms: what retention and compaction remove is kept aside so long */
    uint32_t message_bytes_max; /* max.message.bytes: a whole batch */
    int64_t retention_ms;       /* retention.ms; -1: for ever */
    int64_t retention_bytes;    /* retention.bytes; -1: no limit */
    bool retention_on;          /* cleanup.policy contains delete */
    bool key_required;          /* cleanup.policy contains compact */
    bool compaction_on;         /* and log_compact is what does it, not the owner of the records */
    int64_t
        delete_retention_ms; /* delete.retention.ms: tombstones and markers stay so long after their first pass */
    int64_t compaction_lag_min_ms;   /* min.compaction.lag.ms: younger records are left alone */
    int64_t compaction_lag_max_ms;   /* max.compaction.lag.ms: older ones are compacted whatever the ratio */
    double cleanable_ratio_min;      /* min.cleanable.dirty.ratio */
    bool recompress;                 /* compression.type is not producer: batches are stored with ... */
    enum codec codec;                /* ... this codec */
    int codec_levels[CODEC_COUNT];   /* compression.gzip.level, ...: of what the log compresses itself */
    int64_t flush_messages;          /* flush.messages: so many unsynced records ask for a sync */
    int64_t flush_ms;                /* flush.ms: a sync follows after so long at the latest */
    bool append_time;                /* message.timestamp.type = LogAppendTime */
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms; INT64_MAX: any */
    int64_t timestamp_after_max_ms;  /* message.timestamp.after.max.ms */
    int64_t producer_expiration_ms;  /* producer.id.expiration.ms */
    uint64_t checkpoint_bytes; /* a sync writes a checkpoint after so many bytes: bounds what a start reads */
    int64_t
        cut_keep_ms; /* log.recovery.keep.ms: what recovery cuts off behind damage is kept so long; 0: not at all,
                                  -1: for ever */
    bool
        settle_later; /* log_open leaves it to log_settle to make durable what it found; many logs can then share a sync */
    /* Optional: gives to log_redo, in order, what is durable of this log elsewhere (log_tail_begin). Called when a log recovers
     * while it runs; blocking, with locks of `log` held. */
    bool (*redo)(void *arg, struct log *log, struct err *err);
    void *redo_arg;
    atomic_int *doomed_files; /* optional: counts the segments that wait for log_reap; outlives the logs */
    struct metric *damaged;   /* optional counter: places where bytes were found damaged or unreadable */
    atomic_int
        *open_files; /* optional: counts the files held open by all logs that share it; outlives them */
    struct log_names *names; /* optional: of the directory that this log lies in with others; outlives them */
};

struct log_config log_config_default(void);

/* The names in a directory of logs: a sync of it, by any of the logs that share this, makes all names durable that were there
 * when it began. One that fails, fails all that were not durable yet. Any thread. `io` outlives it; NULL can be freed. */
struct log_names *log_names_new(const char *dir, struct io *io);
void log_names_free(struct log_names *names);

/* Makes durable what has come and gone in the directory. Blocking. */
bool log_names_sync(struct log_names *names, struct err *err);

/* Opens the partition in directory `dir` (made when missing), recovers what lies after its last checkpoint.
 * `name`, usually topic-partition, is for log lines and errors. `io` must outlive the log. NULL: *err says
 * why. */
struct log *log_open(const char *dir, const char *name, const struct log_config *config, struct io *io,
                     struct err *err);

/* A log in the place of one that log_open refused with *why: every access answers ERR_STORAGE, and one line says so, until
 * the next start (or, after a full disk, the next append that finds room). Nothing is read, written or removed. */
struct log *log_open_offline(const char *dir, const char *name, const struct log_config *config,
                             struct io *io, const struct err *why);

/* False with ERR_STORAGE for such a log: its offsets mean nothing. */
bool log_check_readable(const struct log *log, struct err *err);

/* True: recovery found records that may be in the page cache only. They are not durable, and with LOG_FSYNC not readable,
 * before log_settle. Only with settle_later. */
bool log_is_unsettled(struct log *log);

/* Ends recovery. `synced`: the caller has made the directory's file system durable (io_sync_all) since log_open; otherwise
 * this log syncs its own files. Before any append. False: the log is offline, and answers as one of log_open_offline. */
bool log_settle(struct log *log, bool synced, struct err *err);

/* Syncs, writes a checkpoint where it saves the next start some reading, and releases; slices must have been released. Failures
 * are logged: the next start recovers. */
void log_close(struct log *log);

/* Releases without writing anything, as a crash would. For tests. */
void log_abandon(struct log *log);

/* Closes and removes the directory; closes in any case. A deletion cut short is finished by log_purge. */
bool log_delete(struct log *log, struct err *err);

/* Removes what interrupted deletions left in the directory that holds the logs. Call once before opening
 * them. */
bool log_purge(const char *logs_dir, struct io *io, struct err *err);

/* Takes a new configuration: appends, retention and compaction that begin after the call go by it. Any thread, any
 * time; waits for an append that is under way. */
void log_set_config(struct log *log, const struct log_config *config);
struct log_config log_get_config(struct log *log);

enum log_origin {
    LOG_CLIENT,   /* exactly one batch, all checks of the reference's section 5.4; no control batch */
    LOG_INTERNAL, /* one or more batches made by this program: checksum and records are trusted, sequences are
                     checked */
};

struct log_append_result {
    int64_t base_offset;
    int64_t last_offset;
    int64_t
        append_time_ms; /* -1 where timestamps are the producer's; of a duplicate the newest in the batch, as Kafka
                             * tells it */
    int64_t start_offset;
    bool duplicate; /* appended before: base_offset is the earlier one, nothing was written */
    bool flush;     /* flush.messages is reached: to be answered after a sync, whatever was promised else */
    uint32_t incarnation; /* for log_is_durable */
    bool bad_records;     /* on failure: single records are at fault, those that break these rules */
    struct batch_rules rules;
};

/* A log that a full disk took offline at a sync is online again, from what is on the disk, if there is room: appends do it by
 * themselves; who asks what the log holds (log_producer) does it first. False: it is offline still. Any thread, blocking. */
bool log_heal(struct log *log, struct err *err);

/* One append of several. */
struct log_append {
    void *
        bytes; /* batches, patched in place: offset, leader epoch, time; on failure they have base offset 0 again */
    size_t size;
    enum log_origin origin;
    struct err *err;                 /* where to say what is wrong, or NULL */
    bool good;                       /* out: appended, or a duplicate */
    struct log_append_result result; /* out, on failure too */
};

enum { LOG_APPENDS_MAX = 32 };

/* Checks, numbers and writes them in order, each for itself, but those that follow one another by one write: when that fails
 * none of these is kept. At most LOG_APPENDS_MAX. Readers see the records after log_sync (LOG_FSYNC) or at once (LOG_OS).
 * Errors: ERR_INVALID_RECORD, ERR_CORRUPT, ERR_TOO_LARGE, ERR_RECORD_LIST_TOO_LARGE, ERR_INVALID_TIMESTAMP,
 * ERR_UNSUPPORTED_FORMAT, ERR_OUT_OF_ORDER_SEQUENCE, ERR_INVALID_PRODUCER_EPOCH, ERR_INVALID_TXN_STATE: nothing was written;
 * ERR_DISK_FULL: nothing was kept, works again when there is room; ERR_IO: nothing was kept; ERR_STORAGE: the log is
 * offline. */
void log_append_all(struct log *log, struct log_append *const *appends, size_t count);

/* The same for one. */
bool log_append(struct log *log, void *bytes, size_t size, enum log_origin origin,
                struct log_append_result *result, struct err *err);

/* Appends a commit or abort marker that ends the open transaction of the producer here. A marker without an
 * open transaction is appended all the same (a repeated one does no harm). ERR_INVALID_PRODUCER_EPOCH when
 * the epoch is older than the last seen. */
bool log_append_marker(struct log *log, int64_t pid, int16_t epoch, enum marker marker,
                       int32_t coordinator_epoch, struct log_append_result *result, struct err *err);

/* Makes all that was appended before the call durable and publishes it to readers. Any number of threads;
 * who comes while another syncs is served by the next round. On failure the log goes offline for writing
 * (ERR_STORAGE from then on) and, with LOG_FSYNC, what was not durable is dropped; the next log_open starts
 * from the durable end. */
bool log_sync(struct log *log, struct err *err);

/* True when what this append wrote is durable. After a successful log_sync this is false only when, in
 * between, a failed sync has dropped the records and the log has recovered from it: whoever acknowledges
 * asks this, not the return value of a sync that somebody else may have called. */
bool log_is_durable(const struct log *log, const struct log_append_result *result);

/* What lies behind the durable end, for who makes it durable elsewhere. */
struct log_tail {
    int64_t base_offset, end_offset; /* of its first record; behind its last */
    size_t len;                      /* bytes: whole batches */
    uint64_t pos;
    int fd;
    struct log_segment *seg; /* reference */
};

/* What lies behind the durable end; SIZE_MAX: in more than one segment. */
size_t log_tail_bytes(struct log *log);

/* Takes the tail, and keeps syncs of this log away until log_tail_end, by the same thread. False: there is nothing, it is
 * longer than bytes_max or not in one segment, a checkpoint is due, somebody syncs, the log is offline or LOG_OS: then log_sync.
 * Does not wait. */
bool log_tail_begin(struct log *log, size_t bytes_max, struct log_tail *tail);
bool log_tail_read(struct log *log, const struct log_tail *tail, char *bytes, struct err *err);
/* `durable`: the bytes are safe where they will be found at the next start: they count as durable from now on, are published to
 * readers, and are to be kept there until log_synced_offset has passed them. */
void log_tail_end(struct log *log, struct log_tail *tail, bool durable);

/* What the log's own files hold durably; never above the durable offset. */
int64_t log_synced_offset(struct log *log);

/* Makes sure that they hold all below `offset`. Failures as with log_sync. Blocking. */
bool log_flush(struct log *log, int64_t offset, struct err *err);

/* Appends batches that were durable elsewhere, where the files lack them; as they are. Between log_open and log_settle (then with
 * log_config.settle_later), or in log_config.redo. False: ERR_CORRUPT, they are damaged, or some before them are missing;
 * ERR_STORAGE, the log is not readable; ERR_DISK_FULL, ERR_IO: it cannot be written, and will not be read either. */
bool log_redo(struct log *log, struct str bytes, struct err *err);

/* True when something was appended since the last sync. */
bool log_is_dirty(const struct log *log);

/* log_sync, and a checkpoint if anything has changed since the last: the next start reads nothing before
 * it.
 */
bool log_checkpoint(struct log *log, struct err *err);

/* NULL, or why the log takes no more writes (valid until log_close). */
const char *log_offline_reason(const struct log *log);

/* Offsets. Each is one atomic load; log_lso takes the lock. */
int64_t log_start_offset(const struct log *log);
int64_t log_end_offset(const struct log *log);
int64_t log_durable_offset(const struct log *log);
int64_t log_high_watermark(const struct log *log);
int64_t log_lso(struct log *log);

/* Bytes of all segments. */
uint64_t log_size_bytes(struct log *log);
const char *log_name(const struct log *log);

enum log_isolation {
    LOG_UP_TO_HW,       /* read_uncommitted */
    LOG_READ_COMMITTED, /* up to the last stable offset */
    LOG_APPENDED,       /* all that is written: for the writer itself */
};

/* Whole batches in one file, the first one contains the offset asked for. */
struct log_slice {
    struct log_segment *seg; /* reference; NULL when there is nothing to read yet */
    int fd;
    uint64_t pos;
    size_t len;
    int64_t base_offset;         /* of the first batch; <= the offset asked for */
    int64_t start, end, hw, lso; /* as they were at the read */
};

/* Finds what to read from `offset`: whole batches of at most bytes_max, but one at least. len 0: nothing yet. A
 * slice ends at the latest where its segment ends, and before damaged bytes; read again from there. ERR_OFFSET_OUT_OF_RANGE
 * below the start or past the end (the slice then still has start, end, hw, lso); ERR_CORRUPT, ERR_IO: the batch at the offset
 * is damaged or cannot be read, others may be good. Release every slice. */
bool log_read(struct log *log, int64_t offset, size_t bytes_max, enum log_isolation isolation,
              struct log_slice *out, struct err *err);

/* Bytes that log_read could give from `offset` on, without touching the disk; an estimate that is never 0
 * when there is something: for fetch.min.bytes. */
uint64_t log_readable_bytes(struct log *log, int64_t offset, enum log_isolation isolation);

/* Appends the slice's bytes to `out`. */
bool log_slice_read(struct log *log, const struct log_slice *slice, struct buf *out, struct err *err);
void log_slice_release(struct log_slice *slice);

/* An aborted transaction; read_committed readers drop the producer's batches from first_offset to its abort
 * marker. */
struct log_aborted {
    int64_t pid;
    int64_t first_offset;
    int64_t last_offset; /* of the marker */
    int64_t lso;         /* last stable offset when it was written */
};

struct log_aborted_list {
    vec(struct log_aborted) list;
};

/* Adds those that overlap [from_offset, to_offset), by first offset. Caller: vec_fini(&out->list). */
void log_aborted_in(struct log *log, int64_t from_offset, int64_t to_offset, struct log_aborted_list *out);

/* First offset of the producer's open transaction, or -1. */
int64_t log_txn_first_offset(struct log *log, int64_t pid);

/* What is known of a producer, for DescribeProducers and checks; false when nothing. */
struct log_producer_info {
    int64_t pid;
    int16_t epoch;
    int32_t last_seq;
    int64_t last_timestamp_ms;
    int32_t coordinator_epoch;
    int64_t txn_first_offset; /* -1: none open */
};
bool log_producer(struct log *log, int64_t pid, struct log_producer_info *out);

/* All of them. Caller: vec_fini(&out->list). */
struct log_producer_list {
    vec(struct log_producer_info) list;
};
void log_producers(struct log *log, struct log_producer_list *out);

enum { LOG_TIME_LATEST = -1, LOG_TIME_EARLIEST = -2, LOG_TIME_MAX = -3 };

struct log_time_hit {
    int64_t offset;       /* -1: none */
    int64_t timestamp_ms; /* -1 for LATEST and EARLIEST */
    int32_t leader_epoch;
};

/* First record with timestamp >= time_ms that the isolation may read; or one of the LOG_TIME_ values
 * (LOG_TIME_MAX: first record with the largest timestamp). Nothing found is success with offset -1. */
bool log_offset_for_time(struct log *log, int64_t time_ms, enum log_isolation isolation,
                         struct log_time_hit *out, struct err *err);

/* The leader epoch of a single node never changes: always 0. */
int32_t log_leader_epoch(const struct log *log);

/* OffsetForLeaderEpoch: end of the largest epoch <= `epoch`; *out_epoch and *out_end are -1 when `epoch` is
 * unknown. */
void log_offset_for_epoch(struct log *log, int32_t epoch, int32_t *out_epoch, int64_t *out_end);

/* DeleteRecords: the log starts at `offset` from now on, durably; whole segments below are removed. Lower
 * than the start: nothing happens. Past the high watermark: ERR_OFFSET_OUT_OF_RANGE. */
bool log_delete_before(struct log *log, int64_t offset, struct err *err);

/* Removes the files that delete_delay_ms has kept aside and that are due: *.deleted. A start removes them all. */
void log_reap(struct log *log, int64_t now_ms);

struct log_retained {
    uint32_t segments;
    uint64_t bytes;
};

/* Closes the files that nobody reads and drops their indexes: those that were not used since the last call, or all of them. The
 * next access opens them again. log_retain does the former. */
void log_close_files(struct log *log, bool used_too);

/* Removes segments by age and size, forgets idle producers, closes idle files. Call every few minutes. */
bool log_retain(struct log *log, int64_t now_ms, struct log_retained *out, struct err *err);

/* How much of a compacted log (config compaction_on) is new since compaction was there. Reads headers at most. */
struct log_dirty {
    uint64_t dirty_bytes; /* that compaction could look at */
    double ratio;         /* their share of those and the clean ones before them */
    bool due;             /* by min.cleanable.dirty.ratio or max.compaction.lag.ms */
};
bool log_compact_due(struct log *log, int64_t now_ms, struct log_dirty *out, struct err *err);

struct log_compact_options {
    size_t map_bytes_max; /* memory for keys, 24 bytes each; more keys take more passes */
    uint64_t seed;        /* of the hash that stands for a key: random, told nobody */
    /* Told of every 256 KiB or so that were read and written; may sleep; false: stop soon. May be NULL. */
    bool (*pace)(void *arg, uint64_t bytes);
    void *arg;
};

struct log_compacted {
    uint64_t bytes_read, bytes_written, bytes_freed;
    int64_t records_read, records_kept; /* by the judging reads */
    uint32_t passes;
    bool stopped; /* by pace, or because segments went away meanwhile: to be done again */
};

/* Leaves the last record of every key in what is closed, decided and old enough, and drops tombstones and markers whose
 * time is over. Appends, syncs, reads and retention go on meanwhile. ERR_CORRUPT names file and position of damage; ERR_IO,
 * ERR_DISK_FULL: nothing has changed, or (logged) the log is offline until recovery. Blocking. */
bool log_compact(struct log *log, int64_t now_ms, const struct log_compact_options *options,
                 struct log_compacted *out, struct err *err);

struct log_scrub_options {
    /* Told of every 256 KiB or so that were read; may sleep; false: stop. May be NULL. */
    bool (*pace)(void *arg, uint64_t bytes);
    void *arg;
};

struct log_scrubbed {
    uint64_t bytes;   /* looked at */
    uint64_t damaged; /* places, also those that were told before */
    bool stopped;     /* by pace */
};

/* Reads all that is durable from the disk, not from the page cache, and reports damage as log_read does. Changes nothing; what
 * others have in the page cache stays there. Blocking. */
void log_scrub(struct log *log, const struct log_scrub_options *options, struct log_scrubbed *out);

struct log_dump {
    struct io *io;
    struct describe *out;
    bool records;        /* each record, not only the batches */
    bool cuts;           /* of a directory: also what recovery has cut off and kept */
    bool indexes;        /* of a directory: .index, .timeindex, .txnindex and checkpoint too */
    int64_t from_offset; /* batches that end below are left out */
    int64_t batches_max; /* of each segment; -1: all */
    /* See struct batch_describe. */
    bool (*record)(void *arg, struct describe *out, const struct record *rec);
    void *arg;
    uint64_t damaged; /* out: damaged parts that were told */
};

/* Tells what a file (.log, .index, .timeindex, .txnindex, checkpoint) or a partition's directory holds, read-only.
 * Damaged parts are told as such and stepped over. Any thread. */
bool log_dump(const char *path, struct log_dump *dump, struct err *err);

#endif
