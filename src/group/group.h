/* group.h - groups (Kafka's classic protocol, and those of KIP-848, KIP-932 and KIP-1071) and committed offsets: a state that
 * lives in the topic __consumer_offsets, in Kafka's own record formats.
 *
 *   broker: replay_run(groups, group_decide_join, &call)  ->  records (appended, applied by groups_class)
 *                                                         ->  call.effects: answers, perhaps to other members' calls
 *
 * (G1) Every JoinGroup and SyncGroup is answered through `effects`, at once or by a later call: its token names it.
 *      All other calls fill call->res.
 * (G2) No clock, no randomness inside: both come with the call. group_decide_tick does what time brings; the next
 *      moment at which there is something to do is groups_next_ms.
 * (G3) Answers that belong to records leave when these are durable; the broker sees to it.
 * All functions run under the lock of the state's `struct replay`.
 */
#ifndef RIALTO_GROUP_GROUP_H
#define RIALTO_GROUP_GROUP_H

#include "base/base.h"
#include "replay/replay.h"
#include "wire/wire.h"

struct groups;

/* The topics that there are, as the broker tells: decide functions ask for them. */
struct group_topic {
    struct str name; /* borrowed for the call */
    struct uuid id;
    int32_t partition_count;
};

struct group_topics {
    void *arg;
    /* False: there is no such topic. out->name is not set. */
    bool (*find)(void *arg, struct str name, struct group_topic *out);
    /* The name of a topic, in the arena; null: there is no such topic. */
    struct str (*name_of)(void *arg, struct uuid id, struct arena *arena);
    void (*each)(void *arg, void (*fn)(void *fn_arg, const struct group_topic *topic), void *fn_arg);
};

/* Whether a group may go from one protocol to the other while it has members; bits. */
enum group_migration {
    GROUP_MIGRATE_NEVER = 0,
    GROUP_UPGRADE = 1,
    GROUP_DOWNGRADE = 2,
    GROUP_MIGRATE_BOTH = 3
};

/* What may be set for a group by itself, in place of the option of the same meaning. */
enum group_setting {
    GROUP_SESSION_TIMEOUT_MS,
    GROUP_HEARTBEAT_INTERVAL_MS,
    GROUP_ASSIGNMENT_INTERVAL_MS,
    GROUP_SHARE_SESSION_TIMEOUT_MS,
    GROUP_SHARE_HEARTBEAT_INTERVAL_MS,
    GROUP_SHARE_ASSIGNMENT_INTERVAL_MS,
    GROUP_STREAMS_SESSION_TIMEOUT_MS,
    GROUP_STREAMS_HEARTBEAT_INTERVAL_MS,
    GROUP_STREAMS_STANDBY_COUNT,
    GROUP_STREAMS_INITIAL_DELAY_MS,
    GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
    /* Of share partitions: not read here. */
    GROUP_SHARE_LOCK_MS,
    GROUP_SHARE_DELIVERIES_MAX,
    GROUP_SHARE_LOCKS_MAX,
    GROUP_SHARE_OFFSET_RESET,
    GROUP_SHARE_ISOLATION,
    GROUP_SHARE_RENEW,
    GROUP_SETTINGS
};

/* Where such settings come from; -1: it is not set for this group, which has what group_options say. Called inside decide
 * functions: quick, without a lock above those of the state. */
struct group_settings {
    void *arg;
    int64_t (*get)(void *arg, struct str group, enum group_setting setting);
};

struct group_options {
    int64_t session_timeout_ms_min, session_timeout_ms_max;
    int64_t initial_rebalance_delay_ms;
    int64_t members_max;
    int64_t offset_metadata_bytes_max;
    int64_t offsets_retention_ms;
    /* KIP-848 */
    int64_t consumer_session_timeout_ms, consumer_heartbeat_interval_ms;
    int64_t consumer_assignment_interval_ms; /* from one assignment to the next */
    int64_t consumer_members_max;
    struct str
        consumer_assignors; /* names with commas between, the first is the default; outlives the groups */
    enum group_migration migration;
    /* KIP-932 */
    int64_t share_session_timeout_ms, share_heartbeat_interval_ms, share_assignment_interval_ms;
    int64_t share_members_max;
    /* KIP-1071 */
    int64_t streams_session_timeout_ms, streams_heartbeat_interval_ms, streams_assignment_interval_ms;
    int64_t streams_members_max;
    int64_t streams_standby_count;    /* standby tasks for each task with state */
    int64_t streams_initial_delay_ms; /* from the first member to the first assignment */
    const struct group_topics *topics;
    const struct group_settings *settings; /* NULL: groups have none of their own */
};

/* Is there an assignor of this name? */
bool group_assignor_known(struct str name);

struct groups *groups_new(const struct group_options *options);
void groups_free(struct groups *groups);

/* apply and snapshot over a `struct groups`. */
extern const struct replay_class groups_class;

/* After replay_open: members that were there get a full session to show up again. */
void groups_loaded(struct groups *groups, int64_t now_ms);

/* An answer to a JoinGroup or SyncGroup call. */
struct group_reply {
    void *token;
    bool is_sync;
    union {
        struct JoinGroupResponse join;
        struct SyncGroupResponse sync;
    };
};

struct group_effects {
    vec(struct group_reply) replies;
    struct arena arena; /* of the replies */
};

void group_effects_reset(struct group_effects *effects);
void group_effects_fini(struct group_effects *effects);

/* One request. `req` and `res` are the wire structs of the API; slices in res live as long as `arena` or the request. */
struct group_call {
    int64_t now_ms;
    int16_t version;
    const void *req;
    void *res;
    struct arena *arena;
    struct group_effects *effects; /* always given */
    /* JoinGroup, SyncGroup */
    void *token;
    uint8_t random[16]; /* for a new member id */
    struct str client_id, client_host;
    /* OffsetCommit */
    bool (*partition_exists)(void *arg, struct str topic, int32_t partition);
    void *exists_arg;
    /* ConsumerGroupHeartbeat: may the caller see the topic? A pattern matches no other ones. NULL: all. */
    bool (*topic_visible)(void *arg, struct str topic);
    void *visible_arg;
    /* StreamsGroupHeartbeat, out: internal topics that the caller is to make, so that the group can go on. */
    wire_array_of(struct CreateTopicsRequest_CreatableTopic) missing;
};

/* Decide functions; the request is a `struct group_call`. They always return true: errors are in the answers. */
bool group_decide_join(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_sync(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_heartbeat(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_leave(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_commit(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_delete(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_offset_delete(void *groups, void *call, struct replay_records *out, struct err *err);

/* ConsumerGroupHeartbeat. group_decide_upgrade runs first, by itself: it makes a classic group of consumers that the call
 * would join a consumer group. When a heartbeat's records could not be stored, group_heartbeat_failed. */
bool group_decide_upgrade(void *groups, void *call, struct replay_records *out, struct err *err);
bool group_decide_consumer_heartbeat(void *groups, void *call, struct replay_records *out, struct err *err);
void group_heartbeat_failed(struct groups *groups);

/* ShareGroupHeartbeat; the same when its records could not be stored. */
bool group_decide_share_heartbeat(void *groups, void *call, struct replay_records *out, struct err *err);

/* StreamsGroupHeartbeat; the same, and call->missing. The topology has been looked at by the caller: names, rights. */
bool group_decide_streams_heartbeat(void *groups, void *call, struct replay_records *out, struct err *err);

/* A share group that nobody is in comes to be, unless there is a group of the name. */
struct group_share_make {
    struct str group;
    int64_t now_ms;
};
bool group_decide_share_make(void *groups, void *group_share_make, struct replay_records *out,
                             struct err *err);

/* A topic came, went or grew, or others may see it: consumer groups look at theirs at the next heartbeat. */
void groups_topics_changed(struct groups *groups);

/* Session, join, sync and pending-member timeouts that are due. req and res are unused. */
bool group_decide_tick(void *groups, void *call, struct replay_records *out, struct err *err);

/* Drops offsets whose retention is over and groups that hold nothing any more. req and res are unused. */
bool group_decide_expire(void *groups, void *call, struct replay_records *out, struct err *err);

/* Drops the offsets of a deleted topic. req is a `const struct str *`. */
bool group_decide_topic_deleted(void *groups, void *call, struct replay_records *out, struct err *err);

/* Answers every parked call with COORDINATOR_NOT_AVAILABLE: the server stops. req and res are unused. */
bool group_decide_stop(void *groups, void *call, struct replay_records *out, struct err *err);

/* The records of a leader's SyncGroup could not be appended: the group forgets the assignment and answers the leader
 * with COORDINATOR_NOT_AVAILABLE. */
void group_sync_failed(struct groups *groups, struct group_call *call);

/* TxnOffsetCommit: offsets that stay pending until the transaction is decided. That (ProducerId, ProducerEpoch) have it
 * open is the caller's to know. */
bool group_decide_txn_commit(void *groups, void *call, struct replay_records *out, struct err *err);

/* The answer with one error (or 0) for all partitions. */
void group_txn_commit_answer(const struct TxnOffsetCommitRequest *req, struct TxnOffsetCommitResponse *res,
                             int16_t error, struct arena *arena);

/* The end of a transaction: what its producer has pending, in this epoch or an older one, becomes offsets or nothing. */
struct group_txn_end {
    int64_t pid;
    int16_t epoch;
    bool commit;
    int64_t now_ms;
    bool always; /* a record in any case, so that a log that has lost the end shows it (replay, P4) */
};
bool group_decide_txn_end(void *groups, void *group_txn_end, struct replay_records *out, struct err *err);

/* Walks the transactions that have something pending; *pos starts at 0. Under the lock. */
bool group_txn_next(const struct groups *groups, size_t *pos, int64_t *pid, int16_t *epoch);

/* Readers: they change nothing and add no records. */
void group_fetch(struct groups *groups, struct group_call *call);             /* OffsetFetch, all versions */
void group_describe(struct groups *groups, struct group_call *call);          /* DescribeGroups */
void group_list(struct groups *groups, struct group_call *call);              /* ListGroups */
void group_describe_consumer(struct groups *groups, struct group_call *call); /* ConsumerGroupDescribe */
void group_describe_share(struct groups *groups, struct group_call *call);    /* ShareGroupDescribe */
void group_describe_streams(struct groups *groups, struct group_call *call);  /* StreamsGroupDescribe */

/* When group_decide_tick has to run next; INT64_MAX: never, as things stand. */
int64_t groups_next_ms(const struct groups *groups);

/* State, generation and size of a group for in-process readers; false: no such group. */
struct group_info {
    struct str name, state, protocol_type; /* borrowed under the lock */
    struct str type;                       /* "classic", "consumer", "share" or "streams" */
    int32_t generation;
    size_t member_count;
};
bool group_info_of(const struct groups *groups, struct str name, struct group_info *out);

/* Walks the names of topics that members of a share group subscribe to; each may come more than once. */
void group_share_topics(const struct groups *groups, struct str name, void (*fn)(void *arg, struct str topic),
                        void *arg);

/* Walks all groups; *pos starts at 0. */
bool group_info_next(const struct groups *groups, size_t *pos, struct group_info *out);

#endif
