/* serve.h - the coordinators for who serves Kafka requests: the states themselves, runs of decide functions, configs of groups,
 * how a transaction ends.
 *
 * A handler decides by replay_run() or coord_groups_run() and answers when the replay's log is durable; what follows from a
 * decision (parked answers, the clock, markers) is done here. coord.h is for who needs no requests.
 */
#ifndef RIALTO_COORD_SERVE_H
#define RIALTO_COORD_SERVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "coord/coord.h"
#include "group/group.h"
#include "replay/replay.h"
#include "share/share.h"
#include "txn/txn.h"

/* --- groups (groups.c) --- */

/* The state, to look at under the lock of its replay. */
struct replay *coord_groups_replay(struct coord *coord);
struct groups *coord_groups(struct coord *coord);

/* Runs a decide function and delivers its effects: at once, or when the log is durable up to the records of the run.
 * *end_offset (may be NULL) as of replay_run. Any thread. */
bool coord_groups_run(struct coord *coord, replay_decide_fn decide, struct group_call *call,
                      int64_t *end_offset, struct err *err);

/* Delivers effects that came without a run: at once, or when the log is durable up to end_offset (>= 0). */
void coord_groups_deliver(struct coord *coord, struct group_effects *effects, int64_t end_offset);

/* A heartbeat's records could not be stored: it is logged, and the group tells its members again. Any thread. */
void coord_heartbeat_failed(struct coord *coord, const struct err *err);

/* The time of the next tick may have changed. Any thread. */
void coord_groups_rearm(struct coord *coord);

/* --- share groups (shares.c) --- */

/* The state, to look at under the lock of its replay. */
struct replay *coord_shares_replay(struct coord *coord);
struct shares *coord_shares(struct coord *coord);

/* Runs a decide function of the state, and looks after its clock. *end_offset (may be NULL) as of replay_run. Any thread. */
bool coord_shares_run(struct coord *coord, replay_decide_fn decide, void *request, int64_t *end_offset,
                      struct err *err);

/* What is in force for a share group: GROUP_SHARE_LOCK_MS and those after it. Isolation is an enum log_isolation. */
int64_t coord_share_setting(struct coord *coord, struct str group, enum group_setting setting);

/* How share.auto.offset.reset is kept as a number: a duration is one that many ms back, plus SHARE_RESET_BACK. */
enum { SHARE_RESET_LATEST = 0, SHARE_RESET_EARLIEST = 1, SHARE_RESET_BACK = 2 };

/* Is there a share group of this name? *member_count may be NULL. */
bool coord_share_group(struct coord *coord, struct str group, size_t *member_count);

/* The group was deleted: its places in topics end. */
void coord_share_group_deleted(struct coord *coord, struct str group);

/* Somebody who waits until there may be something to acquire for a group: `wake` is posted to `loop`, from any thread, until
 * coord_share_unpark has returned. */
struct coord_share_waiter {
    struct list link;
    struct str group;
    struct loop *loop;
    struct loop_call *wake;
};
void coord_share_park(struct coord *coord, struct coord_share_waiter *waiter);
void coord_share_unpark(struct coord *coord, struct coord_share_waiter *waiter);

/* --- configs of groups (group_settings.c) --- */

/* What can be set for one group: it takes the place of an option, or is set for groups only. All are kept as numbers. */
struct group_config_def {
    const char *name, *synonym; /* the option; NULL: there is none */
    const char *init, *doc;     /* then this is the default */
    const char *low,
        *high; /* options that bound it, or NULL; then where all three are in struct coord_config */
    size_t at, low_at, high_at;
    int8_t type; /* as DescribeConfigs numbers it */
    bool live;   /* its option may change while the server runs */
    bool (*parse)(struct str value, int64_t *out);
};
extern const struct group_config_def group_config_defs[GROUP_SETTINGS];

/* The check of a change of a group's configs; arg is the struct coord. ERR_INVALID_CONFIG. */
bool coord_group_setting_check(void *arg, struct str name, struct str value, struct err *err);
/* The check of all that would be set on a group then, after each value's: a session is longer than the time between its
 * heartbeats. */
bool coord_group_settings_agree(void *arg, const struct topic_setting *settings, size_t count,
                                struct err *err);

/* The check of a change of an option, a number: within the options that bound it, if there are some. ERR_INVALID_REQUEST. */
bool coord_option_check(const struct coord *coord, struct str name, struct str value, struct err *err);

/* Brings what is set on groups into force. After storage_open, and after changes. Any thread but under the storage's topics
 * lock. */
void coord_group_settings_take(struct coord *coord);

/* --- transactions (txn.c, txn_end.c) --- */

/* The state, to look at under the lock of its replay. */
struct replay *coord_txns_replay(struct coord *coord);
struct txns *coord_txns(struct coord *coord);

/* A producer id from the block in hand, or false: a new block is needed (coord_refill_producer_ids, blocking). Any thread. */
bool coord_take_producer_id(struct coord *coord, int64_t *pid);
bool coord_refill_producer_ids(struct coord *coord, struct err *err);

/* True for the transactional ids of this process, which begin with "rialto-engine": no client may name one. */
bool txn_id_is_reserved(struct str transactional_id);

/* Held (for reading) from the check that a partition is in a transaction until what belongs to it is appended: the end waits
 * for those who are in between before it writes markers. */
pthread_rwlock_t *txn_append_lock(struct coord *coord, struct str transactional_id);

/* What must be durable before a commit is decided. Fill in part (a reference, taken) and what was appended. */
struct txn_input {
    struct partition_wait wait;
    struct txn_ending *ending;
    struct partition *part;             /* a reference */
    struct partition_appended appended; /* end_offset alone when any_incarnation */
    bool any_incarnation;
};

/* A transaction on its way to its end (txn_end.c). Fill in, txn_ending_start, done is called once from any thread; then the
 * ending is gone. */
struct txn_ending {
    struct coord *coord;
    struct str id; /* copied by txn_ending_start */
    int64_t pid, fresh_pid;
    int16_t epoch;
    bool commit;
    enum txn_ender by;
    bool wait_markers;        /* done when the markers are durable, not only written */
    struct txn_input *inputs; /* owned; mem_zalloc */
    size_t input_count;
    const struct txn_partition *touched; /* borrowed until done */
    size_t touched_count;
    /* error: 0, Kafka's code of a refusal; failure (or NULL): what the disk said, then error is not 0 either. */
    void (*done)(struct txn_ending *ending, int16_t error, const struct err *failure);
    void *arg;
    /* reply: the producer's next identity */
    int64_t next_pid;
    int16_t next_epoch;
    /* private */
    struct txn_outcome outcome;
    atomic_int left;
    pthread_mutex_t lock;
    bool failed, waits_tail;
    struct err failure;
    struct replay_wait decided;
    struct list link; /* of those who wait for a tail */
};

/* Returns at once. */
void txn_ending_start(const struct txn_ending *template);

/* Writes the marker of one partition; for __consumer_offsets, whose marker is the end of pending offsets, too. Returns before
 * it is durable. */
bool txn_write_marker(struct coord *coord, struct partition *part, const struct txn_outcome *outcome,
                      int32_t coordinator_epoch, struct partition_appended *out, struct err *err);

#endif
