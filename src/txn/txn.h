/* txn.h - producer ids and transactions: a state that lives in the topic __transaction_state, in Kafka's own record
 * formats (and one record of ours for the producer ids handed out).
 *
 *               begin             commit: the decision         markers are written
 *   (none) ---------> Ongoing ----------------> PrepareCommit ---------------------> CompleteCommit --begin--> Ongoing
 *                        |        abort                                                                (epoch + 1)
 *                        +--------------------> PrepareAbort ----------------------> CompleteAbort --begin--> Ongoing
 *
 * (T1) A transaction is (producer id, epoch). begin takes the next epoch, so the pair never comes back.
 * (T2) When a record PrepareCommit is durable the transaction is committed, whatever happens then; the broker writes
 *      markers where they are missing at the next start.
 *      Its markers need not be durable when the next transaction begins, but they are when that one is decided (the
 *      broker sees to it): so the state keeps the outcome of the last decided transaction beside the present one.
 * (T3) Producer ids are handed out in blocks: the record that reserves a block is durable before an id of it is used.
 */
#ifndef RIALTO_TXN_TXN_H
#define RIALTO_TXN_TXN_H

#include "base/base.h"
#include "replay/replay.h"
#include "wire/wire.h"

/* Kafka's numbers. */
enum txn_status {
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2,
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5,
};

const char *txn_status_name(enum txn_status status);

struct txn {
    int64_t pid;
    int16_t epoch;
    enum txn_status status;
    int64_t start_ms, update_ms;
    /* The last transaction of the id that was decided: this one, or the one before. pid -1: none yet. */
    int64_t decided_pid;
    int16_t decided_epoch;
    bool decided_commit;
};

struct txns;

struct txns *txns_new(void);
void txns_free(struct txns *txns);

/* apply and snapshot over a `struct txns`. */
extern const struct replay_class txns_class;

/* False: the transactional id was never used. Under the lock. */
bool txns_find(const struct txns *txns, struct str transactional_id, struct txn *out);

/* Walks all ids; *pos starts at 0. Under the lock. */
bool txns_next(const struct txns *txns, size_t *pos, struct str *transactional_id, struct txn *out);

/* Decide functions and their requests. */

struct txn_reserve {
    int64_t count;
    int64_t now_ms;
    int64_t first; /* reply: ids first .. first + count - 1 are the caller's */
};
bool txns_decide_reserve(void *txns, void *txn_reserve, struct replay_records *out, struct err *err);

struct txn_begin {
    struct str transactional_id;
    int64_t fresh_pid; /* used when there is no id yet or its epochs are used up */
    int64_t now_ms;
    struct txn txn;      /* reply */
    bool took_fresh_pid; /* reply: the record must be durable before the id is used */
};
/* ERR_CONCURRENT_TRANSACTIONS while one is open or being completed. */
bool txns_decide_begin(void *txns, void *txn_begin, struct replay_records *out, struct err *err);

/* True: begin would need a fresh producer id. Under the lock. */
bool txns_needs_pid(const struct txns *txns, struct str transactional_id);

struct txn_partition {
    struct str topic;
    int32_t partition;
};

struct txn_change {
    struct str transactional_id;
    int64_t pid;
    int16_t epoch;
    enum txn_status to;                     /* what follows the present status in the picture above */
    const struct txn_partition *partitions; /* of Prepare: where markers go, for who reads the topic */
    size_t partition_count;
    int64_t now_ms;
};
/* ERR_PRODUCER_FENCED when (pid, epoch) is not the present transaction, ERR_INVALID_TXN_STATE when `to` does not follow. */
bool txns_decide_change(void *txns, void *txn_change, struct replay_records *out, struct err *err);

/* At start: an epoch was seen in a log that the topic does not know (its begin was lost in a crash, nothing of it was
 * decided): it counts as aborted and is not used again. req is a struct txn_change without `to`. */
bool txns_decide_burn(void *txns, void *txn_change, struct replay_records *out, struct err *err);

#endif
