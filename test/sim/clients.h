/* clients.h - those who talk to the simulated server, and what they know of it together.
 *
 *   producer ----\                       /-- facts_acked: this record is at this offset, for ever
 *   consumer -----+-- client_call ------+--- facts_seen: a consumer was given it
 *   admin -------/      (wire)           \-- facts_ends, ...: what may never go back
 *
 * (K1) A client knows only what it was answered. A call that failed, or whose answer did not come, may have had its effect
 *      or not; facts are made of answers alone.
 */
#ifndef RIALTO_TEST_SIM_CLIENTS_H
#define RIALTO_TEST_SIM_CLIENTS_H

#include "record/record.h"
#include "sim.h"
#include "wire/wire.h"

enum { SIM_PORT = 9092 };

/* Kafka's error codes that clients tell apart. */
enum kafka_error {
    KAFKA_OFFSET_OUT_OF_RANGE = 1,
    KAFKA_UNKNOWN_TOPIC = 3,
    KAFKA_REQUEST_TIMED_OUT = 7,
    KAFKA_MESSAGE_TOO_LARGE = 10,
    KAFKA_NOT_COORDINATOR = 16,
    KAFKA_ILLEGAL_GENERATION = 22,
    KAFKA_UNKNOWN_MEMBER_ID = 25,
    KAFKA_REBALANCE_IN_PROGRESS = 27,
    KAFKA_TOPIC_EXISTS = 36,
    KAFKA_OUT_OF_ORDER_SEQUENCE = 45,
    KAFKA_DUPLICATE_SEQUENCE = 46,
    KAFKA_STORAGE = 56,
    KAFKA_UNKNOWN_PRODUCER_ID = 59,
    KAFKA_MEMBER_ID_REQUIRED = 79,
};

/* --- a connection that asks and is answered (client.c) --- */

struct client {
    char name[24];
    int fd; /* -1: not connected */
    int32_t correlation_id;
    struct arena arena;    /* of the last answer */
    struct buf in;         /* what came and was not taken */
    uint64_t connections;  /* so far */
    int in_flight;         /* requests without answer */
    uint64_t losses, cuts; /* when the first of them was sent */
};

void client_init(struct client *client, const char *name);
void client_fini(struct client *client);
void client_disconnect(struct client *client);

/* Sends a request without waiting; false: the connection is gone. */
bool client_send(struct client *client, int16_t api_key, int16_t version, const void *req);

/* The answer to the oldest request that was sent and not answered, of this API and version; NULL: the connection is gone, or
 * the time is over (and the connection is closed). Lives until the next client_receive, client_call. */
void *client_receive(struct client *client, int16_t api_key, int16_t version, int64_t timeout_us);

/* Both. */
void *client_call(struct client *client, int16_t api_key, int16_t version, const void *req,
                  int64_t timeout_us);

/* --- the scenario (world.c) --- */

struct topic_plan {
    char name[32];
    int32_t partition_count;
    int64_t segment_bytes, segment_ms;
    bool compacts;
    bool trims;                            /* DeleteRecords are sent */
    int64_t retention_ms, retention_bytes; /* -1: for ever, all */
    int64_t tombstone_ms;                  /* delete.retention.ms */
};

/* May records go without a later one of the same key? */
static inline bool topic_trims(const struct topic_plan *plan)
{
    return plan->trims || plan->retention_ms >= 0 || plan->retention_bytes >= 0;
}

/* May records go at all? */
static inline bool topic_forgets(const struct topic_plan *plan)
{
    return plan->compacts || topic_trims(plan);
}

struct scenario {
    struct topic_plan topics[3];
    size_t topic_count;
    uint16_t group_count; /* of the classic protocol */
    bool balanced;        /* there is a group of the new one */
    bool shares;          /* there is a share group */
    bool slow;            /* long pauses: time for sessions, rebalances and retention */
    bool calm;            /* faults are over: clients finish what they have begun and end */
    bool os; /* durability=os: nothing is promised to survive a power cut but what was there at a start */
    size_t actors;   /* fibers of clients that have not ended */
    size_t sharers;  /* those of them that are members of the share group */
    uint64_t cuts;   /* power cuts with durability=os */
    uint64_t starts; /* of the server */
    uint64_t told_losses,
        told_cuts;        /* when the request was sent that was answered last: set by client_receive */
    uint64_t promises[5]; /* by enum promise */
};

enum promise { PROMISE_RECORDS, PROMISE_OFFSET, PROMISE_TOPIC, PROMISE_TXN, PROMISE_START };

extern struct scenario scenario;

/* Something was acknowledged just now: a good moment for trouble. */
void scenario_promised(enum promise what);

/* Events so far that may cost what was not promised to survive them: power cuts, failures of the disk. */
uint64_t scenario_losses(void);

/* Since when no operation of the disk has failed; 0: none ever has. */
int64_t scenario_failed_us(void);

/* --- records (marks.c) --- */

enum { MARK_KEYS = 12 };

/* A record says who wrote it, for which place, as its n-th: nothing that is read is taken on trust. */
struct mark {
    uint16_t producer;
    uint16_t topic;
    uint32_t partition;
    uint64_t n; /* counts per producer and partition, from 1 */
};

uint32_t mark_key(struct mark mark); /* below MARK_KEYS */
bool mark_is_tombstone(struct mark mark);

/* The record of this mark, timestamped now. */
void mark_add(struct mark mark, struct batch_builder *builder, struct buf *scratch);

/* Fails the run when key, value and headers are not as they were written. */
struct mark mark_of(const struct record *rec);

/* --- what is known (facts.c) --- */

void facts_init(void);

/* Producers announce themselves; idempotent ones may be found once and in order only. */
uint16_t facts_producer(bool idempotent);
void facts_not_idempotent(uint16_t producer);

/* An identity that InitProducerId gave; never given twice. */
void facts_pid(int64_t pid, int16_t epoch);

/* About to be sent. */
void facts_sent(struct mark mark);

/* Was answered with this offset; -1: without one (a duplicate). safe: with acks=all. */
void facts_acked(struct mark mark, int64_t offset, bool safe);

/* A consumer was given this record. */
void facts_seen(uint16_t topic, int32_t partition, int64_t offset, struct mark mark);

/* The server is ready and nothing was lost since it began to start: what was there is safe. */
void facts_settled(int64_t ready_us);

/* A power cut with durability=os: high watermarks may go back. */
void facts_cut(void);

/* Log start and high watermark: the least that a request sent now may answer; what was answered (-1: nothing). */
struct ends {
    int64_t start, hw;
};
struct ends facts_ends(uint16_t topic, int32_t partition);
void facts_ends_answered(uint16_t topic, int32_t partition, struct ends least, int64_t start, int64_t hw);

/* DeleteRecords: about to be asked to go up to the offset (INT64_MAX: the high watermark); returns how far was asked before.
 * Then what was answered. */
int64_t facts_start_asks(uint16_t topic, int32_t partition, int64_t offset);
void facts_start_given(uint16_t topic, int32_t partition, int64_t before, int64_t start);

/* The whole of a partition is read, from its start: facts_read_begin, facts_read for each record, facts_read_end with the
 * end and the bytes. Fails the run when anything acknowledged or seen is missing, changed, or out of order. */
void facts_read_begin(uint16_t topic, int32_t partition);
void facts_read(int64_t offset, struct mark mark);
void facts_read_end(int64_t end, uint64_t bytes);

/* After the full read of all (compact_facts.c): what is missing had a later record of its key. */
void facts_compacted_check(void);

struct fact_counts {
    uint64_t acked, seen, trimmed, compacted,
        lost; /* records; those known of that were not there at the end, by reason */
};
void facts_counts(struct fact_counts *out);

/* --- what is known of groups (group_facts.c) --- */

/* Committed offsets: the least that a fetch sent now may answer; what was acknowledged; what was answered. */
int64_t facts_committed(uint16_t group, int32_t partition);
void facts_commit_acked(uint16_t group, int32_t partition, int64_t offset);
void facts_committed_answered(uint16_t group, int32_t partition, int64_t least, int64_t offset);

/* What a leader is about to send for a member, and what a member was given; it is waited for so long at a rebalance. */
void facts_assigned(uint16_t group, int32_t generation, struct str member, struct str assignment);
void facts_owns(uint16_t group, int32_t generation, struct str member, struct str assignment,
                int64_t rebalance_ms);

/* The member was answered: it is one, or it is none any more. */
void facts_contact(uint16_t group, struct str member, bool is_member);

/* The group of the new protocol, and its index among the groups' facts. */
#define BALANCED_GROUP "group-2"
enum { BALANCED_INDEX = 2 };

/* A member was assigned a partition, was told that it is not assigned any more, was answered a heartbeat that it sent then, or
 * is no member any more. */
void facts_balanced_owns(int32_t partition, const char *member);
void facts_balanced_released(int32_t partition, const char *member);
void facts_balanced_contact(const char *member, int64_t sent_us);
void facts_balanced_gone(const char *member);

/* A power cut with durability=os: groups may be as they were before. */
void facts_groups_cut(void);

/* --- what is known of the share group (share_facts.c) --- */

enum { SHARE_MEMBERS_MAX = 4 };
enum { SHARE_TYPE_ACCEPT = 1, SHARE_TYPE_RELEASE = 2, SHARE_TYPE_REJECT = 3 }; /* as on the wire */

/* How often a record is delivered at most, and how long its lock lasts. */
void facts_share_init(int64_t limit, int64_t lock_ms);
void facts_share_cut(void);

/* A member was given a record, by the answer to a fetch. */
struct share_told {
    size_t member;
    int32_t partition;
    int64_t offset;
    int16_t count;         /* of deliveries */
    int64_t sent_us;       /* the fetch */
    uint64_t server_start; /* scenario.starts at that time */
};
void facts_share_given(const struct share_told *told);

/* The member is about to say this of the record; it was answered that this is so (count: of the delivery that it was). */
void facts_share_acks(size_t member, int32_t partition, int64_t offset, int type);
void facts_share_acked(int32_t partition, int64_t offset, int type, int64_t count);

/* Does the member have it for sure, unless its session is over? And how long at least those who have these keep them. */
bool facts_share_holds(size_t member, int32_t partition, int64_t offset);
int64_t facts_share_held_until(int32_t partition, int64_t first, int64_t last);

/* The session has answered what was sent then, and goes on; it is over, or may be (a fetch in it was not answered). */
void facts_share_alive(size_t member, int64_t sent_us);
void facts_share_gone(size_t member, bool fetch_lost);

/* The start of a partition: the least that a request sent now may answer; what was answered. */
int64_t facts_share_start(int32_t partition);
void facts_share_start_answered(int32_t partition, int64_t least, int64_t start);

/* After the full read: what the group has worked off. */
void facts_share_check(uint16_t topic);

/* --- what is known of transactions (txn_facts.c); they count per producer, from 1 --- */

enum txn_outcome { TXN_NONE, TXN_OPEN, TXN_UNKNOWN, TXN_COMMITTED, TXN_ABORTED };

void facts_txn_producer(uint16_t producer, const char *group);
void facts_txn_begin(uint16_t producer, int64_t txn);
void facts_txn_mark(uint16_t producer, int64_t txn, struct mark mark); /* is about to be sent in it */
void facts_txn_ends(uint16_t producer, int64_t txn, enum txn_outcome outcome);

/* A read_committed consumer was given this record; it was found by a full read with read_committed. */
void facts_seen_committed(uint16_t topic, int32_t partition, int64_t offset, struct mark mark);
void facts_found_committed(struct mark mark);

/* Of the record's transaction; TXN_NONE: it is of none. */
enum txn_outcome facts_txn_of(struct mark mark);

/* After the full read, before facts_compacted_check. */
void facts_txns_check(struct client *client);

/* --- actors: each runs as a fiber until scenario.calm and its work is done --- */

void producer_spawn(size_t number);
void consumer_spawn(size_t number);

void member_spawn(size_t number, uint16_t group);
void admin_spawn(size_t number);
void noise_spawn(void);
void balanced_spawn(size_t number);
void txn_spawn(size_t number);
void session_spawn(void);
void trimmer_spawn(void);
void tenant_spawn(void);
void metered_spawn(void);
void share_spawn(size_t number);

/* A group's committed offset, -1 without one. Kafka's error code, or -1 when there was no answer. */
int group_offset(struct client *client, struct str group, int32_t partition, int64_t *offset);

/* Commits an offset of the first topic as a member. Kafka's error code, or NO_ANSWER. */
struct group_position {
    struct str group;
    const char *member;
    int32_t generation; /* or the member's epoch */
    int32_t partition;
    int64_t offset;
};
int group_commit(struct client *client, int16_t version, const struct group_position *at);

/* --- requests about topics (topics.c): Kafka's error code, or NO_ANSWER --- */

enum { NO_ANSWER = -1 };

struct topic_seen {
    bool wants_id; /* asks in a version that tells it */
    int32_t partition_count;
    struct uuid id;
};

/* Creates the topics of the scenario; tries until they are there. */
void topics_make(struct client *client);
int topic_create(struct client *client, const struct topic_plan *plan);
int topic_delete(struct client *client, const char *topic);
int topic_look(struct client *client, const char *topic, struct topic_seen *out);
int topic_set(struct client *client, const char *topic, const char *config, int64_t value);
int topic_get(struct client *client, const char *topic, const char *config, int64_t *value);

/* Reads every partition from its start to its end, once as it is and once with read_committed, and checks it against the
 * facts. Nobody writes meanwhile. */
void reader_check_all(struct client *client);

/* Retention has had the time to do its work: what is due is gone. */
void reader_check_retained(struct client *client);

/* All committed offsets. */
void groups_check_all(struct client *client);

/* Reads from an offset once, and gives each record to fn. Kafka's error code, or -1 when there was no answer. */
struct fetched {
    int64_t hw, lso, next_offset; /* next_offset: behind the last whole batch */
    size_t records;
    uint64_t bytes; /* of batches */
};
typedef void take_fn(uint16_t topic, int32_t partition, const struct record *rec);
int fetch_once(struct client *client, uint16_t topic, int32_t partition, int64_t offset, int8_t isolation,
               take_fn *fn, struct fetched *out);

/* The same of one partition's part of an answer; least: facts_ends() when the request was sent. */
int fetch_take(uint16_t topic, int32_t partition, int64_t offset, int8_t isolation,
               const struct FetchResponse_PartitionData *part, struct ends least, take_fn *fn,
               struct fetched *out);

/* The log start, or the end, as ListOffsets gives it; -1: no answer. */
int64_t list_offset(struct client *client, uint16_t topic, int32_t partition, bool end);

/* *next was out of range: it becomes the log start, or the end where that is less. Fails the run when it was in range. False:
 * no answer. */
bool offset_reset(struct client *client, uint16_t topic, int32_t partition, int64_t *next);

#endif
