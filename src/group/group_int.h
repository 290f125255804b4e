/* group_int.h - private to src/group: what a group is in memory.
 *
 *   groups --by_name--> group --members--> member (in order of joining)
 *                         |--statics (instance id -> member)
 *                         |--pending (member id that was given out -> when it lapses)
 *                         |--offsets (topic, partition -> offset)
 *
 * Which of it comes back after a restart: offsets, and of a group with members the last generation that was assigned
 * (GroupMetadataValue). Who waits, timers and half-done rebalances are forgotten; clients repeat their calls.
 */
#ifndef RIALTO_GROUP_GROUP_INT_H
#define RIALTO_GROUP_GROUP_INT_H

#include "group/group.h"

/* Kafka's error codes that groups answer with. */
enum group_error {
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
    GROUP_NOT_EMPTY = 68,
    GROUP_NOT_FOUND = 69,
    GROUP_MEMBER_ID_REQUIRED = 79,
    GROUP_FULL = 81,
    GROUP_FENCED_INSTANCE = 82,
    GROUP_STALE_EPOCH = 113,
};

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,  /* members are expected to join */
    GROUP_COMPLETING, /* all have joined, the leader's assignment is awaited */
    GROUP_STABLE,
};

struct protocol {
    struct str name, metadata;
};

/* The protocols of a member: one block of memory, slices point into it. */
struct protocols {
    size_t count;
    struct protocol at[];
};

struct member {
    struct list link;                                   /* group->members */
    struct str id, instance_id, client_id, client_host; /* owned; instance_id may be null */
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct protocols *protocols;
    struct str assignment; /* owned */
    void *join_token;      /* its JoinGroup is parked */
    void *sync_token;      /* its SyncGroup is parked */
    bool synced;           /* has sent SyncGroup in this generation */
    int64_t expires_ms;    /* end of the session, unless parked */
};

struct offset_entry {
    struct str topic;
    int32_t partition;
    int64_t offset, commit_ms;
    int32_t leader_epoch;
    struct str metadata; /* owned */
};

struct group {
    struct str name;
    enum group_state state;
    int32_t generation;
    struct str protocol_type; /* owned; empty: only offsets */
    struct str protocol;      /* owned; null while there is none */
    struct str leader;        /* owned member id; null while there is none */
    struct list members;
    size_t member_count;
    struct map by_id;    /* member id -> member */
    struct map statics;  /* instance id -> member */
    struct map pending;  /* member id -> (void *)expiry in ms */
    struct map offsets;  /* offset_key -> offset_entry */
    int64_t state_ms;    /* since when it is Empty, for retention */
    int64_t deadline_ms; /* of the join or sync phase */
    bool initial;        /* join phase of a group that was empty: waits its delay out */
    int64_t initial_end_ms;
};

struct groups {
    struct group_options options;
    struct map by_name;
    bool loaded;                   /* records are of the present life from here on */
    struct group_effects *effects; /* of the call that runs */
};

/* A heap copy of a slice (null stays null), and the release of one; both for struct fields marked owned. */
struct str str_own(struct str s);
void str_disown(struct str *s);

struct group *group_find(const struct groups *groups, struct str name);
struct group *group_find_or_make(struct groups *groups, struct str name);
void group_free(struct group *group);
const char *group_state_name(enum group_state state);

struct member *group_member(const struct group *group, struct str id);
struct member *member_new(struct group *group, struct str id, struct str instance_id);
void member_remove(struct group *group, struct member *member); /* frees it */
void member_rename(struct group *group, struct member *member, struct str id);

/* Largest rebalance timeout of the members. */
int64_t group_rebalance_timeout_ms(const struct group *group);

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

/* Answers. */
void reply_join_error(struct groups *groups, void *token, int16_t error, struct str member_id);
void reply_join(struct groups *groups, const struct group *group, struct member *member, void *token,
                bool with_members);
void reply_sync_error(struct groups *groups, void *token, int16_t error);
void reply_sync(struct groups *groups, const struct group *group, struct member *member, void *token);

/* Sessions. */
static inline void member_touch(struct member *member, int64_t now_ms)
{
    member->expires_ms = now_ms + member->session_timeout_ms;
}

/* Order of checks for calls of members: member, instance, generation. 0: all is well, *out is the member. */
int16_t group_check_member(const struct group *group, struct str id, struct str instance_id,
                           int32_t generation, struct member **out);

#endif
