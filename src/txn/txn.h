/* txn.h - producer ids and transactions: a state that lives in the topic __transaction_state, in Kafka's own record
 * formats (with tagged fields of ours, and one record of ours for the producer ids handed out).
 *
 *            init              add                   end: the decision         complete: markers are written
 *   (none) --------> Empty ----------> Ongoing ----------> PrepareCommit --------------> CompleteCommit --add--> Ongoing
 *                      ^                  |                                                    |
 *                      |                  +--------------> PrepareAbort  --------------> CompleteAbort  --add--> Ongoing
 *                      +------- init ------------------------------------------------------- (both)
 *
 * One machine for the transactions of clients and those of the engine. What a client asks is answered in Kafka's codes.
 *
 * (T1) The identity of a producer is (producer id, epoch). Whoever calls init gets an epoch that nobody had before: that
 *      fences who had the id before. With KIP-890 (version 2, the engine's too) each end takes the next epoch as well, so
 *      the identity names one transaction; a version 1 client keeps its epoch over many transactions.
 * (T2) When a record PrepareCommit is durable the transaction is committed, whatever happens then; the broker writes
 *      markers where they are missing at the next start. Markers carry the epoch of the Prepare record: one above that of
 *      the data, where the end has bumped it.
 * (T3) Markers may be on their way to the disk when the next transaction begins, but they are there before it is decided;
 *      and, when both have one epoch, before the first is Complete (the broker sees to both). So what is open in a log is
 *      the present transaction's (its epoch is the present one) or the last decided one's, and the state keeps the outcome of
 *      the latter beside the present: txn_of_open; and its partitions, for a start that cannot open one of them: txns_decided_in.
 * (T4) A record is all that is known of an id. Producer ids are handed out in blocks: the record that reserves a block is
 *      durable before an id of it is used.
 * (T5) Decide functions return true and fill `error` (0, or Kafka's code). With an error there are no records.
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
    TXN_STATUS_COUNT = 6,
};

/* Kafka's names; TXN_STATUS_COUNT of them. */
const char *txn_status_name(enum txn_status status);

/* Kafka's error codes that decisions answer with. */
enum txn_error {
    TXN_NONE = 0,
    TXN_INVALID_REQUEST = 42,
    TXN_INVALID_EPOCH = 47,
    TXN_INVALID_STATE = 48,
    TXN_INVALID_MAPPING = 49,
    TXN_INVALID_TIMEOUT = 50,
    TXN_CONCURRENT = 51,
    TXN_UNAUTHORIZED = 53,
    TXN_FENCED = 90,
    TXN_NOT_FOUND = 105,
    TXN_ABORTABLE = 120,
    TXN_INVALID_REGEX = 128,
};

enum {
    TXN_EPOCH_LAST = INT16_MAX - 1, /* the last that a producer gets; one more is only for fencing */
    TXN_NO_TIMEOUT = INT32_MAX,     /* of the engine */
};

/* How the last decided transaction of an id ended. */
struct txn_outcome {
    int64_t pid;          /* -1: none was decided yet */
    int16_t data_epoch;   /* of its batches */
    int16_t marker_epoch; /* of its markers: data_epoch, or one more */
    bool commit;
};

/* All that is known of an id, but for the partitions. */
struct txn {
    int64_t pid;
    int64_t prev_pid; /* before the epochs of it ran out; -1: none */
    int64_t next_pid; /* of a Prepare that ran out of epochs: what Complete goes on with; -1: none */
    int16_t epoch;
    int16_t
        last_epoch;  /* before the last bump: who has it may still ask for the present one; -1: nobody may */
    int16_t version; /* 2: the producer speaks KIP-890 */
    int32_t timeout_ms;
    enum txn_status status;
    int64_t start_ms, update_ms;
    struct txn_outcome decided;
};

struct txn_partition {
    struct str topic;
    int32_t partition;
};

struct txns;

struct txns *txns_new(void);
void txns_free(struct txns *txns);

/* apply and snapshot over a `struct txns`. */
extern const struct replay_class txns_class;

/* --- readers, under the lock --- */

/* False: the transactional id is not known. */
bool txns_find(const struct txns *txns, struct str transactional_id, struct txn *out);

/* Walks all ids; *pos starts at 0. */
bool txns_next(const struct txns *txns, size_t *pos, struct str *transactional_id, struct txn *out);

/* The partitions of the present transaction, copied into the arena. */
struct txn_partition *txns_partitions(const struct txns *txns, struct str transactional_id, size_t *count,
                                      struct arena *arena);

/* Has the last decided transaction of the id touched this partition, so that its marker belongs there? */
bool txns_decided_in(const struct txns *txns, struct str transactional_id, const struct txn_partition *at);

/* Is each partition in the ongoing transaction of this producer? The result is for all; where it is 0 codes[i] says it for
 * each (0 or TXN_ABORTABLE). For Produce and TxnOffsetCommit of version 1 clients, and AddPartitionsToTxn's VerifyOnly. */
int16_t txns_verify(const struct txns *txns, struct str transactional_id, int64_t pid, int16_t epoch,
                    const struct txn_partition *partitions, size_t count, int16_t *codes);

/* Whose is what (pid, epoch) has left open in a log? */
enum txn_owner {
    TXN_OWNER_NONE,    /* not this id's, or of an epoch that was never given out */
    TXN_OWNER_DECIDED, /* its marker was lost: it belongs to txn->decided */
    TXN_OWNER_PRESENT, /* the present transaction's, perhaps its record was lost */
};
enum txn_owner txn_of_open(const struct txn *txn, int64_t pid, int16_t epoch);

/* What becomes of that when its owner is TXN_OWNER_DECIDED: the decision. Of an older epoch: it is aborted. What is older was
 * of a transaction that ended without the partition, whose record was lost and which could not be read at the start that
 * looked for it; had it been decided there, no other decision would have followed. */
struct txn_outcome txn_outcome_of(const struct txn *txn, int16_t epoch);

/* DescribeTransactions and ListTransactions; `matches` (may be NULL) decides the id pattern. */
void txns_describe(const struct txns *txns, const struct DescribeTransactionsRequest *req,
                   struct DescribeTransactionsResponse *res, struct arena *arena);
void txns_list(const struct txns *txns, const struct ListTransactionsRequest *req, int64_t now_ms,
               bool (*matches)(void *arg, struct str transactional_id), void *arg,
               struct ListTransactionsResponse *res, struct arena *arena);

/* --- decide functions and their requests --- */

struct txn_reserve {
    int64_t count;
    int64_t now_ms;
    int64_t first; /* reply: ids first .. first + count - 1 are the caller's */
};
bool txns_decide_reserve(void *txns, void *txn_reserve, struct replay_records *out, struct err *err);

/* A producer comes (InitProducerId): it gets an identity of its own. */
struct txn_init {
    struct str transactional_id;
    int32_t timeout_ms;
    int64_t pid; /* what a producer that recovers says it has; -1: nothing */
    int16_t epoch;
    int64_t fresh_pid; /* -1: ask again with one when needs_pid */
    int64_t now_ms;
    /* reply */
    int16_t error;
    bool needs_pid;
    bool
        must_end; /* a transaction is ongoing: end it (txn.pid, txn.epoch), bumped, then answer TXN_CONCURRENT */
    struct txn txn;
};
bool txns_decide_init(void *txns, void *txn_init, struct replay_records *out, struct err *err);

/* Partitions join the transaction, which begins with the first call; none is a begin too. */
struct txn_add {
    struct str transactional_id;
    int64_t pid;
    int16_t epoch;
    int16_t version; /* of the client: 2 when Produce and TxnOffsetCommit add by themselves */
    const struct txn_partition *partitions;
    size_t partition_count;
    int64_t now_ms;
    int16_t error; /* reply */
};
bool txns_decide_add(void *txns, void *txn_add, struct replay_records *out, struct err *err);

enum txn_ender {
    TXN_BY_V1,     /* EndTxn of versions 0 to 4: the epoch stays */
    TXN_BY_V2,     /* EndTxn of version 5 and the engine: the epoch is bumped, the producer goes on with it */
    TXN_BY_SERVER, /* time-out or fencing: the epoch is bumped; only a producer that recovers is told of it */
};

/* The decision. */
struct txn_end {
    struct str transactional_id;
    int64_t pid;
    int16_t epoch;
    bool commit;
    enum txn_ender by;
    int64_t fresh_pid;                      /* -1: ask again with one when needs_pid */
    const struct txn_partition *partitions; /* touched beside those added, for who reads the topic */
    size_t partition_count;
    int64_t now_ms;
    /* reply */
    int16_t error;
    bool needs_pid;
    bool prepared; /* a Prepare record was made: markers are to be written, by txn.decided, then complete */
    int64_t next_pid; /* identity for the next transaction of the producer */
    int16_t next_epoch;
    struct txn txn; /* as it is now */
};
bool txns_decide_end(void *txns, void *txn_end, struct replay_records *out, struct err *err);

/* Markers are written: Prepare becomes Complete. Something else than the Prepare of this marker epoch: nothing happens. */
struct txn_complete {
    struct str transactional_id;
    int64_t pid;
    int16_t marker_epoch;
    int64_t now_ms;
};
bool txns_decide_complete(void *txns, void *txn_complete, struct replay_records *out, struct err *err);

/* Forgets ids at rest that were not used for so long; `keep` (may be NULL) spares some. */
struct txn_expire {
    int64_t before_ms; /* last used before */
    int64_t now_ms;
    bool (*keep)(void *arg, struct str transactional_id);
    void *arg;
    size_t count; /* reply */
};
bool txns_decide_expire(void *txns, void *txn_expire, struct replay_records *out, struct err *err);

#endif
