/* coord.h - the coordinators at work: consumer groups and transactions, over the logs of storage.
 *
 *   decide (group, txn) --replay--> __consumer_offsets, __transaction_state
 *        `-- effects: answers that wait for records, a clock, markers in partitions, syncs
 *
 * What is decided is in `group` and `txn`, pure functions; here is what follows from it. No socket and no request: whose
 * answers are parked in a group is a token of the caller, and what is done with it a table of functions that the caller fills
 * (struct coord_hooks). Functions marked *blocking* wait for the disk and may not be called on a net thread. Callbacks come on
 * any thread and must not block.
 *
 * What the handlers of Kafka requests need besides is in coord/serve.h. Order of locks: doc/threads.md.
 */
#ifndef RIALTO_COORD_COORD_H
#define RIALTO_COORD_COORD_H

#include "base/base.h"
#include "storage/storage.h"

struct coord;
struct coord_txn;

/* --- life --- */

/* The options of groups and transactions; none of them is live but the three *_assignment_interval_ms. Strings are borrowed as
 * long as the coordinators live. */
struct coord_config {
    int64_t group_initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms */
    int64_t group_session_timeout_ms_min;     /* group.min.session.timeout.ms */
    int64_t group_session_timeout_ms_max;     /* group.max.session.timeout.ms */
    int64_t group_members_max;                /* group.max.size */
    /* group.consumer.session.timeout.ms, group.consumer.heartbeat.interval.ms and group.consumer.assignment.interval.ms, and what
     * bounds those of a group */
    int64_t consumer_session_timeout_ms, consumer_session_timeout_ms_min, consumer_session_timeout_ms_max;
    int64_t consumer_heartbeat_interval_ms, consumer_heartbeat_interval_ms_min,
        consumer_heartbeat_interval_ms_max;
    int64_t consumer_assignment_interval_ms, consumer_assignment_interval_ms_min,
        consumer_assignment_interval_ms_max;
    int64_t consumer_members_max;  /* group.consumer.max.size */
    struct str consumer_assignors; /* group.consumer.assignors, "uniform,range"; the first is the default */
    int consumer_migration;        /* group.consumer.migration.policy: enum group_migration */
    /* group.share.*: what may be set for a group, with its bounds; members and sessions. */
    int64_t share_session_timeout_ms, share_session_timeout_ms_min, share_session_timeout_ms_max;
    int64_t share_heartbeat_interval_ms, share_heartbeat_interval_ms_min, share_heartbeat_interval_ms_max;
    int64_t share_assignment_interval_ms, share_assignment_interval_ms_min, share_assignment_interval_ms_max;
    int64_t share_lock_ms, share_lock_ms_min, share_lock_ms_max;
    int64_t share_deliveries_max, share_deliveries_max_min, share_deliveries_max_max;
    int64_t share_locks_max, share_locks_max_min, share_locks_max_max;
    int64_t share_members_max, share_sessions_max;
    /* group.streams.* */
    int64_t streams_session_timeout_ms, streams_session_timeout_ms_min, streams_session_timeout_ms_max;
    int64_t streams_heartbeat_interval_ms, streams_heartbeat_interval_ms_min,
        streams_heartbeat_interval_ms_max;
    int64_t streams_standby_count, streams_standby_count_max;
    int64_t streams_initial_delay_ms;
    int64_t streams_assignment_interval_ms, streams_assignment_interval_ms_min,
        streams_assignment_interval_ms_max;
    int64_t streams_members_max;
    int64_t offsets_retention_ms;      /* offsets.retention.ms: committed offsets of groups without members */
    int64_t offset_metadata_bytes_max; /* offset.metadata.max.bytes */
    int64_t txn_timeout_ms_max;        /* transaction.max.timeout.ms */
    int64_t txn_id_expiration_ms;      /* transactional.id.expiration.ms */
    int64_t txn_check_interval_ms;     /* transaction.abort.timed.out.transaction.cleanup.interval.ms */
};

/* What is done with answers that groups had parked: `token` is what the call came with (struct group_call). Any thread. */
struct coord_hooks {
    /* Makes the answer of `res`, a JoinGroupResponse or SyncGroupResponse, without sending it. `res` is gone after. */
    void (*encode)(void *token, const void *res);
    /* Sends it; the token is gone. */
    void (*deliver)(void *token);
    /* There is no answer, for this reason; the token is gone. */
    void (*fail)(void *token, const char *why);
};

struct coord_options {
    const struct coord_config *config; /* outlives the coordinators, as do all below */
    struct coord_hooks hooks;
    struct storage *storage;
    struct io *io;
    struct loop *loop; /* the clocks of groups and transactions run on it */
};

/* Touches no file; coord_topic_deleted and coord_topics_changed may be called from here on. */
struct coord *coord_new(const struct coord_options *options);

/* Replays both states; decided transactions are completed, the engine's open ones aborted. The storage is open. False with
 * *err: coord_free is all that may follow. Blocking. */
bool coord_open(struct coord *coord, struct err *err);

/* On the loop's thread: the clock of transactions begins; both stop, and nothing new begins. */
void coord_start_timers(struct coord *coord);
void coord_stop_timers(struct coord *coord);

/* Answers what is parked in groups. After coord_stop_timers, while the storage's pools still run. Blocking. */
void coord_stop(struct coord *coord);

/* All transactions have ended. After the storage's pools have ended, before it is freed. NULL is allowed. */
void coord_free(struct coord *coord);

/* --- what storage tells (see struct storage_hooks) --- */

void coord_topic_deleted(struct coord *coord, struct str topic);
void coord_topics_changed(struct coord *coord);

/* Lets go of offsets that have lapsed; shortens topics of states that are mostly history. Blocking. */
void coord_expire(struct coord *coord);

/* --- committed offsets of a group, for who is no Kafka client (any thread) --- */

struct coord_group_offset {
    struct str topic;
    int32_t partition;
    int64_t offset;      /* next to read; -1 when fetching and nothing was committed */
    struct str metadata; /* may be empty */
};

/* Commits for a group without members, as a simple consumer does; durable when it returns.
 * ERR_UNKNOWN_MEMBER_ID when the group has members. Blocking. */
bool coord_group_commit(struct coord *coord, struct str group, const struct coord_group_offset *offsets,
                        size_t count, struct err *err);

/* Fills offset and metadata (in the arena) of the given entries. */
void coord_group_fetch(struct coord *coord, struct str group, struct coord_group_offset *offsets,
                       size_t count, struct arena *arena);

/* All committed offsets of the group. */
struct coord_group_offset *coord_group_fetch_all(struct coord *coord, struct str group, size_t *count,
                                                 struct arena *arena);

struct coord_group_info {
    struct str name, state, protocol_type; /* state: Empty, PreparingRebalance, CompletingRebalance, Stable */
    int32_t generation;
    size_t member_count;
};
struct coord_group_info *coord_group_list(struct coord *coord, size_t *count, struct arena *arena);

/* Deletes a group without members and its offsets. Blocking. */
bool coord_group_delete(struct coord *coord, struct str group, struct err *err);

/* --- the engine's transaction ---
 *
 * One transaction at a time per transactional id. Its identity is (producer id, epoch): a new pair each time, so it can
 * name what the caller prepared elsewhere.
 *
 *   begin            gives (pid, epoch); what a crash leaves open under it is aborted at the next start
 *   append ...       batches into any partitions, from any threads
 *   commit           (a) fdatasync of every partition appended to, and of inputs read beyond their hw, in parallel
 *                    (b) decision record durable in __transaction_state: from here on the transaction is committed
 *                    (c) commit markers in every partition; the lso moves past them when they are durable
 *
 * After a crash before (b) the transaction is aborted with markers at the next start, after (b) it is completed.
 */
enum coord_txn_state {
    COORD_TXN_NONE,      /* the transactional id was never used */
    COORD_TXN_OPEN,      /* begun in this process's life */
    COORD_TXN_COMMITTED, /* decided, even if markers are still to be written */
    COORD_TXN_ABORTED,
};

/* Begins a transaction. The id begins with "rialto-engine": clients may not name such ids. An open one of the same id is
 * aborted first (the earlier handle then answers ERR_PRODUCER_FENCED). Blocking. */
bool coord_txn_begin(struct coord *coord, struct str transactional_id, struct coord_txn **out,
                     struct err *err);

int64_t coord_txn_producer_id(const struct coord_txn *txn);
int16_t coord_txn_epoch(const struct coord_txn *txn);

/* Appends a record batch inside the transaction. Producer id, epoch, sequence and the transactional bit are
 * stamped into `batch`, the CRC is computed anew: the builder needs to know nothing of them. Any thread. */
bool coord_txn_append(struct coord_txn *txn, struct partition *part, char *batch, size_t size,
                      struct partition_appended *out, struct err *err);

/* A place that the transaction has read up to. When it is beyond the hw of that partition, step (a) syncs it
 * too: results never outlive their inputs. */
struct coord_txn_input {
    struct partition *part; /* borrowed until done was called */
    int64_t offset;         /* next to read */
};

/* Commits. done(arg, failure) is called once, from any thread: failure NULL means decided and markers
 * appended; otherwise the transaction is aborted (or, when the decision could not be written, decided by the
 * next start; the partition of decisions is then offline). The handle is gone when done is called. */
void coord_txn_commit(struct coord_txn *txn, const struct coord_txn_input *inputs, size_t input_count,
                      void (*done)(void *arg, const struct err *failure), void *arg);

/* The same, blocking. */
bool coord_txn_commit_wait(struct coord_txn *txn, const struct coord_txn_input *inputs, size_t input_count,
                           struct err *err);

/* Aborts: markers are appended and the abort is recorded. The handle is gone. Blocking. */
bool coord_txn_abort(struct coord_txn *txn, struct err *err);

/* State and identity of the last transaction of an id. After coord_open there are no open ones. */
enum coord_txn_state coord_txn_last(struct coord *coord, struct str transactional_id, int64_t *producer_id,
                                    int16_t *epoch);

/* Identity for an idempotent producer in process. Blocking. */
bool coord_producer_id(struct coord *coord, int64_t *producer_id, struct err *err);

#endif
