/* group_int.h - private to src/group: what a group is in memory.
 *
 *   groups --by_name--> group --members--> member (in order of joining)
 *      |                  |--statics (instance id -> member)
 *      |                  |--pending (member id that was given out -> when it lapses)
 *      |                  |--offsets (topic, partition -> offset)
 *      |                  `--consumer: set when the group speaks KIP-848 (consumer_int.h); then it has no classic members
 *      `--timers (session ends, deadlines)
 *
 * Which of it comes back after a restart: offsets, and of a group with members the last generation that was assigned
 * (GroupMetadataValue). Who waits, timers and half-done rebalances are forgotten; clients repeat their calls.
 */
#ifndef RIALTO_GROUP_GROUP_INT_H
#define RIALTO_GROUP_GROUP_INT_H

#include "group/group.h"

struct consumer_group;

/* Kafka's error codes that groups answer with. */
enum group_error {
    GROUP_UNKNOWN_SERVER_ERROR = -1,
    GROUP_NONE = 0,
    GROUP_UNKNOWN_TOPIC = 3,
    GROUP_METADATA_TOO_LARGE = 12,
    GROUP_NOT_AVAILABLE = 15,
    GROUP_ILLEGAL_GENERATION = 22,
    GROUP_INCONSISTENT_PROTOCOL = 23,
    GROUP_INVALID_ID = 24,
    GROUP_UNKNOWN_MEMBER = 25,
    GROUP_INVALID_SESSION = 26,
    GROUP_REBALANCING = 27,
    GROUP_UNSUPPORTED_VERSION = 35,
    GROUP_INVALID_REQUEST = 42,
    GROUP_NOT_EMPTY = 68,
    GROUP_NOT_FOUND = 69,
    GROUP_MEMBER_ID_REQUIRED = 79,
    GROUP_FULL = 81,
    GROUP_FENCED_INSTANCE = 82,
    GROUP_SUBSCRIBED_TO_TOPIC = 86,
    GROUP_UNSTABLE_OFFSET = 88,
    GROUP_FENCED_EPOCH = 110,
    GROUP_UNRELEASED_INSTANCE = 111,
    GROUP_UNSUPPORTED_ASSIGNOR = 112,
    GROUP_STALE_EPOCH = 113,
    GROUP_INVALID_REGEX = 128,
    GROUP_INVALID_TOPOLOGY = 130,
};

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,  /* members are expected to join */
    GROUP_COMPLETING, /* all have joined, the leader's assignment is awaited */
    GROUP_STABLE,
};

/* --- classic members --- */

struct protocol {
    struct str name, metadata;
};

/* The protocols of a member: one block of memory, slices point into it. */
struct protocols {
    size_t count;
    struct protocol at[];
};

struct member {
    struct list link; /* group->members */
    struct group *group;
    struct str id, instance_id, client_id, client_host; /* owned; instance_id may be null */
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct protocols *protocols;
    struct str assignment; /* owned */
    void *join_token;      /* its JoinGroup is parked */
    void *sync_token;      /* its SyncGroup is parked */
    bool synced;           /* has sent SyncGroup in this generation */
    struct replay_timer session;
};

struct offset_entry {
    struct str topic;
    int32_t partition;
    int64_t offset, commit_ms;
    int32_t leader_epoch;
    struct str metadata; /* owned */
};

struct group {
    struct groups *groups;
    struct str name;
    struct consumer_group *consumer; /* NULL: a classic group, also when it only has offsets */
    enum group_state state;
    int32_t generation;
    struct str protocol_type; /* owned; empty: only offsets */
    struct str protocol;      /* owned; null while there is none */
    struct str leader;        /* owned member id; null while there is none */
    struct list members;
    size_t member_count;
    struct map by_id;                  /* member id -> member */
    struct map statics;                /* instance id -> member */
    struct map pending;                /* member id -> (void *)expiry in ms */
    struct map offsets;                /* offset_key -> offset_entry */
    struct map unstable;               /* offset_key -> how many transactions have an offset pending there */
    int64_t state_ms;                  /* since when it is Empty, for retention */
    struct replay_timer deadline;      /* of the join or sync phase */
    struct replay_timer pending_timer; /* the first of `pending` lapses */
    bool initial;                      /* join phase of a group that was empty: waits its delay out */
    int64_t initial_end_ms;
};

struct groups {
    struct group_options options;
    struct map by_name;
    struct map txns; /* offsets of undecided transactions, see pending.c */
    struct replay_timers timers;
    uint64_t
        topics_version; /* counts changes of topics; consumer groups compare it with what they have seen */
    bool loaded;        /* records are of the present life from here on */
    struct group_effects *effects; /* of the call that runs */
};

/* A heap copy of a slice (null stays null), and the release of one; both for struct fields marked owned. */
struct str str_own(struct str s);
void str_disown(struct str *s);

/* One block of memory with all the texts. */
struct protocols *protocols_new(const struct protocol *list, size_t count);

/* A group's way from one protocol to the other; its offsets stay (group.c). */
void group_become_consumer(struct group *group);
void group_end_consumer(struct group *group, int64_t now_ms);

/* A share group: calls about consumers and their offsets do not find it. NULL: no. */
bool group_is_share(const struct group *group);

/* Why there is no group of this kind ("share", ...) under the name: there is none at all, or it is of another. */
struct str group_is_none(const struct group *group, const char *kind, struct str name, struct arena *arena);

/* consumer.c */
int64_t consumer_setting(const struct groups *groups, struct str group, enum group_setting setting);
void consumer_free(struct consumer_group *consumer);

struct group *group_find(const struct groups *groups, struct str name);
struct group *group_find_or_make(struct groups *groups, struct str name);
void group_free(struct group *group);
void group_clear_members(struct group *group);
/* Forgets what a group of the classic protocol is; offsets stay. */
void group_clear_classic(struct group *group);
/* Lets a group go of which nothing is left; then the pointer is no more. */
void group_drop_if_void(struct group *group);
void offset_free(struct offset_entry *entry); /* NULL is fine */
const char *group_state_name(enum group_state state);

struct member *group_member(const struct group *group, struct str id);
struct member *member_new(struct group *group, struct str id, struct str instance_id);
void member_remove(struct group *group, struct member *member); /* frees it */
void member_rename(struct group *group, struct member *member, struct str id);

/* The protocols of a request, owned (join.c). */
struct protocols *join_protocols(const struct JoinGroupRequest *req);

/* Largest rebalance timeout of the members. */
int64_t group_rebalance_timeout_ms(const struct group *group);

/* A group's record; NULL: a tombstone. */
void group_add_value(struct str name, const struct GroupMetadataValue *value, int64_t now_ms,
                     struct replay_records *out);

/* The end of a group of either kind. */
void group_add_end(const struct group *group, int64_t now_ms, struct replay_records *out);

/* The record of the group as it is; null value when `deleted`. */
void group_add_record(const struct group *group, bool deleted, int64_t now_ms, struct replay_records *out);
void offset_add_record(struct str group, const struct offset_entry *entry, bool deleted, int64_t now_ms,
                       struct replay_records *out);

/* Key of group->offsets, in *buf. */
struct str offset_key(struct buf *buf, struct str topic, int32_t partition);

/* rebalance.c */
void rebalance_prepare(struct groups *groups, struct group *group, int64_t now_ms,
                       struct replay_records *out);
void rebalance_maybe_complete(struct groups *groups, struct group *group, int64_t now_ms,
                              struct replay_records *out);
void rebalance_on_join_deadline(struct groups *groups, struct group *group, int64_t now_ms,
                                struct replay_records *out);
void rebalance_drop_member(struct groups *groups, struct group *group, struct member *member, int64_t now_ms,
                           struct replay_records *out);
/* The protocol that all members support and most prefer; null when there is none. */
struct str rebalance_choose_protocol(const struct group *group);

/* A member named by LeaveGroup. */
struct leaver {
    struct str id, instance_id;
};

/* Calls of the classic protocol to a consumer group (classic_member.c). */
void consumer_join_classic(struct group *group, const struct group_call *call, struct str new_id,
                           struct replay_records *out);
void consumer_sync_classic(struct group *group, const struct group_call *call);
int16_t consumer_heartbeat_classic(struct group *group, const struct group_call *call);
void consumer_leave_classic(struct group *group, const struct leaver *leavers, size_t count, int16_t *errors,
                            int64_t now_ms, struct replay_records *out);

/* Answers; _new gives one at its defaults. */
struct JoinGroupResponse *reply_join_new(struct groups *groups, void *token);
struct SyncGroupResponse *reply_sync_new(struct groups *groups, void *token);
void reply_join_error(struct groups *groups, void *token, int16_t error, struct str member_id);
void reply_join(struct groups *groups, const struct group *group, struct member *member, void *token,
                bool with_members);
void reply_sync_error(struct groups *groups, void *token, int16_t error);
void reply_sync(struct groups *groups, const struct group *group, struct member *member, void *token);

/* Sessions (member.c). */
void member_touch(struct member *member, int64_t now_ms);
void member_session_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out);
void group_deadline(struct replay_timer *timer, int64_t now_ms, struct replay_records *out);
/* Holds an id that was given out until then. */
void group_await(struct group *group, struct str id, int64_t lapses_ms);
/* It came, or will not come; false: it was not awaited. */
bool group_forget_awaited(struct group *group, struct str id);
void group_pending_lapse(struct replay_timer *timer, int64_t now_ms, struct replay_records *out);

/* pending.c */
void pending_fini(struct groups *groups);
bool pending_apply(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                   struct err *err);
void pending_snapshot(const struct groups *groups, struct replay_records *out);
/* Tombstones of what is pending in a group and of a topic; null: in all, of all. */
void pending_drop(const struct groups *groups, struct str group, struct str topic, int64_t now_ms,
                  struct replay_records *out);
/* Is an offset of the partition pending? `group` may be NULL. */
bool pending_has(const struct group *group, struct str topic, int32_t partition);

/* Order of checks for calls of members: member, instance, generation. 0: all is well, *out is the member. */
int16_t group_check_member(const struct group *group, struct str id, struct str instance_id,
                           int32_t generation, struct member **out);

#endif
