/* consumer_int.h - private to src/group: groups whose members the server assigns to, in memory: consumer groups of KIP-848,
 * share groups of KIP-932, which are the same but for what a member does with its target (share_group.c), and streams groups of
 * KIP-1071, whose members get tasks where the others get partitions (streams_int.h).
 *
 *   group->consumer --members--> consumer_member: what it subscribes to, has (assigned), gives up (revoking), shall have (target)
 *                   |--owners    partition -> the member that has it or has not yet given it up
 *                   |--regexes   pattern -> the topics it matched when it was last looked at
 *
 *   heartbeat.c      a call: who is it, what changed          subscription.c  which topics; epoch of the group
 *   target.c         who shall have what (assign_*.c)         reconcile.c     one member's next step towards it
 *   kind_record.c    all of it as Kafka's records, and back; what is a kind's own in them: consumer_record.c and its siblings
 *
 * (U1) Everything here but timers, and what the call at hand has heard, changes in apply only.
 * (U2) A partition has at most one owner; a member gets one only when nobody owns it. So no two members work on a
 *      partition, whoever crashes when.
 * (U3) group epoch >= target epoch >= every member's epoch. The group epoch moves when subscriptions, members or topics
 *      change, the target follows at the next heartbeat for which the last one is old enough (target.c), members follow one
 *      by one.
 * (U4) Members of the classic protocol may be in the group while it is moved from one protocol to the other
 *      (`classic` is set): classic_member.c serves their calls, migrate.c moves the group.
 */
#ifndef RIALTO_GROUP_CONSUMER_INT_H
#define RIALTO_GROUP_CONSUMER_INT_H

#include "group/group_int.h"
#include "group/part_set.h"
#include "streams/streams.h"

enum { EPOCH_LEAVE = -1, EPOCH_LEAVE_STATIC = -2 };

/* What a new group has, and its target: the first change makes it 2. A member of epoch 0 is one that joins. */
enum { EPOCH_FIRST = 1 };

/* Kafka's numbers, as stored. */
enum consumer_member_state {
    MEMBER_STABLE = 0,
    MEMBER_UNREVOKED = 1,  /* has to give partitions up first */
    MEMBER_UNRELEASED = 2, /* waits for partitions that others still have */
};

/* Sorted texts without doubles, one block of memory. */
struct name_list {
    size_t len;
    struct str at[];
};

struct name_list *name_list_new(const struct str *names, size_t count);
/* The same in the arena, for a call (heartbeat.c). */
struct name_list *consumer_names(const struct str *names, size_t count, struct arena *arena);
bool name_list_has(const struct name_list *list, struct str name);
bool name_list_eq(const struct name_list *a, const struct name_list *b);

struct consumer_member {
    struct list link; /* consumer->members */
    struct group *group;
    struct str id, instance_id, rack_id, client_id, client_host; /* owned; instance and rack may be null */
    struct name_list *topics;                                    /* owned; never NULL */
    struct str regex, assignor;                                  /* owned; null or empty: none */
    int32_t rebalance_timeout_ms;
    struct protocols *classic; /* owned; NULL: speaks the new protocol */
    int32_t classic_session_ms;
    int32_t epoch, previous_epoch;
    enum consumer_member_state state;
    struct part_set assigned, revoking, target; /* owned */
    struct streams_member *streams;             /* owned; NULL but in a streams group */
    struct replay_timer session;
    struct replay_timer revoke; /* it has until then to give partitions up */
    struct replay_timer rejoin; /* classic: it has until then to join again, or to sync */
};

/* A pattern and the topics that it matched. */
struct consumer_regex {
    struct name_list *topics; /* owned */
    int64_t version, resolved_ms;
};

/* Patterns, static members and the classic protocol occur in consumer groups only. */
enum group_kind {
    KIND_CONSUMER,
    KIND_SHARE,   /* partitions have no owner */
    KIND_STREAMS, /* `streams` is set, of the group and of its members */
};

struct consumer_group {
    enum group_kind kind;
    struct streams_group *streams; /* owned; NULL but in a streams group */
    int32_t epoch, target_epoch;
    int64_t metadata_hash; /* of the topics subscribed to */
    int64_t target_ms;     /* when the target was computed; 0: never */
    struct list members;
    size_t member_count;
    struct map by_id, statics;
    struct map owners;    /* 20 bytes of topic id and partition -> member */
    struct map regexes;   /* pattern -> consumer_regex */
    uint64_t topics_seen; /* groups->topics_version when the topics were last looked at; not stored */
};

/* What every kind of group keeps as records (kind_record.c). */
enum kind_record {
    RECORD_EPOCH,
    RECORD_MEMBER,
    RECORD_TARGET_EPOCH,
    RECORD_TARGET,
    RECORD_CURRENT,
    RECORD_COUNT
};

/* Of any of them; without a member where the record is the group's. As the structs of the messages are laid out. */
struct kind_record_key {
    struct str group, member;
};

struct applying;

/* The records of a kind of group: in consumer_record.c, share_record.c, streams_record.c. The topology is that of a streams
 * group, of which tasks are; else NULL. */
struct kind_records {
    enum group_kind kind;
    enum group_setting session, interval; /* of a member; from one target to the next */
    struct {
        uint16_t type; /* Kafka's */
        const struct wire_message *key, *value;
        bool (*apply)(struct applying *a); /* one with a value; of RECORD_TARGET_EPOCH not needed */
    } of[RECORD_COUNT];
    struct {
        uint16_t type;                     /* 0: none */
        bool (*apply)(struct applying *a); /* also one without a value; NULL: it is not used any more */
    } others[2];
    /* What is written. `epoch` NULL: streams_record_epoch does that. */
    void (*epoch)(struct str group, int32_t epoch, int64_t hash, int64_t now_ms, struct replay_records *out);
    void (*member)(struct str group, const struct consumer_member *member, int64_t now_ms,
                   struct replay_records *out);
    void (*target)(struct str group, struct str member, const struct part_set *parts,
                   const streams_topology *topology, int64_t now_ms, struct replay_records *out);
    void (*current)(struct str group, const struct consumer_member *member, const streams_topology *topology,
                    int64_t now_ms, struct replay_records *out);
};

extern const struct kind_records consumer_records, share_records, streams_records;

const struct kind_records *records_of(const struct consumer_group *consumer);

/* "consumer", "share", "streams". */
const char *group_kind_name(enum group_kind kind);

/* What a member is told whose epoch is not the one it has, and one that finds the group full. */
struct str fenced_text(enum group_kind kind, int32_t epoch, const struct consumer_member *member,
                       struct arena *arena);
struct str full_text(enum group_kind kind, int64_t most, struct arena *arena);

/* Is it there, and of this kind? NULL: no. */
static inline bool group_is(const struct group *group, enum group_kind kind)
{
    return group != NULL && group->consumer != NULL && group->consumer->kind == kind;
}

/* --- memory (consumer.c) --- */

struct consumer_group *consumer_of(struct group *group); /* makes it when there is none */
void consumer_regex_free(struct consumer_regex *regex);  /* NULL is fine */
struct consumer_member *consumer_find(const struct consumer_group *consumer, struct str id);
struct consumer_member *consumer_static(const struct consumer_group *consumer, struct str instance_id);
struct consumer_member *consumer_member_make(struct group *group, struct str id);
void consumer_member_remove(struct group *group, struct consumer_member *member);
/* Takes sets over as the member's own and keeps `owners` right. */
void consumer_member_set_parts(struct consumer_group *consumer, struct consumer_member *member,
                               const struct part_set *assigned, const struct part_set *revoking);
struct consumer_member *consumer_owner(const struct consumer_group *consumer, const struct topic_part *part);
void consumer_touch(struct consumer_member *member, int64_t now_ms);
const char *consumer_state_name(const struct consumer_group *consumer);
size_t consumer_regex_users(const struct consumer_group *consumer, struct str regex);

static inline bool str_is_set(struct str s)
{
    return s.len != 0;
}

/* Alike also in being null. */
static inline bool str_is_same(struct str a, struct str b)
{
    return str_eq(a, b) && str_is_null(a) == str_is_null(b);
}

/* --- a call at work --- */

/* What a call makes of a group before its records are applied: the member as it will be, and the group's new numbers. */
struct consumer_turn {
    struct groups *groups;
    struct str name;                       /* of the group, which perhaps only apply will make */
    const struct consumer_group *consumer; /* as it is; an empty one when there is none */
    const struct consumer_member *live;    /* the member as it is in the group; NULL: new, or takes a place */
    const struct consumer_member *replaced; /* the static member whose place it takes; NULL: nobody's */
    const struct consumer_member *before;   /* what `member` started from; NULL: from nothing */
    struct consumer_member member;          /* as it will be: slices and sets are borrowed or in the arena */
    struct map resolved;          /* patterns that this call looked at -> consumer_regex in the arena */
    struct map topics;            /* name -> subscribed_topic in the arena */
    const struct part_set *owned; /* what it says it has; NULL: it did not say */
    int32_t epoch, target_epoch;
    bool subscription_changed;
    const struct group_call *call;
    int64_t now_ms;
    struct arena *arena;
    const struct kind_records *records;
    const streams_topology *topology; /* of a streams group, as it will be; else NULL */
    struct replay_records *out;
};

/* A turn over the group as it is; consumer NULL: it is yet to be made. */
void consumer_turn_init(struct consumer_turn *turn, struct groups *groups, struct str name,
                        const struct consumer_group *consumer, const struct group_call *call,
                        struct replay_records *out);
void consumer_turn_fini(struct consumer_turn *turn);

/* The steps of a turn, in this order; each adds its records and moves `member` and the numbers on. */
/* What the member is and subscribes to, and from that the group's epoch. Its pattern is valid. */
void consumer_step_subscription(struct consumer_turn *turn);
/* Who shall have what, when the group's epoch is ahead of the target and the last target is old enough. */
void consumer_step_target(struct consumer_turn *turn);
/* The last target is younger than the group's interval between assignments: the next one has to wait. */
bool consumer_target_is_young(const struct groups *groups, struct str group,
                              const struct consumer_group *consumer, int64_t now_ms);
/* The members as they will be, *count of them; and what an assignor has made of them becomes the target. */
struct assign_member *consumer_turn_members(struct consumer_turn *turn, size_t *count);
void consumer_store_targets(struct consumer_turn *turn, const struct assign_member *members, size_t count);
/* Of a set, what is of topics that the member subscribes to (`in`), or of others: a target may lag behind a subscription. */
struct part_set consumer_subscribed(struct consumer_turn *turn, const struct part_set *set, bool in);
/* What the member has and gives up. */
void consumer_step_reconcile(struct consumer_turn *turn);

/* The member of the turn takes the place of a static one: its records move to the new id. */
void consumer_replace(struct consumer_turn *turn, const struct consumer_member *replaced, struct str new_id);

/* Removes members and moves the group's epoch; what is left may become a classic group (migrate.c). */
void consumer_fence(struct group *group, struct consumer_member *const *members, size_t count, int64_t now_ms,
                    struct replay_records *out);

/* May a member ask for this assignor? And the one in force (target.c). */
bool consumer_assignor_allowed(const struct groups *groups, struct str name);
struct str consumer_assignor(const struct groups *groups, const struct consumer_group *consumer);

/* --- commits (commit.c) --- */

/* May a member commit at this epoch? *late: it has a newer one, then consumer_had_already decides for each partition: had it
 * the partition at that epoch, and has it still? `id` may be zero. */
int16_t consumer_check_commit(const struct consumer_group *consumer, struct str id, int32_t epoch,
                              const struct consumer_member **late);
bool consumer_had_already(const struct groups *groups, const struct consumer_member *late, int32_t epoch,
                          struct str topic, struct uuid id, int32_t partition);

/* --- between the protocols (migrate.c) --- */

/* Makes a classic group of consumers a consumer group, if the policy lets it; who waits is told to join again. */
void migrate_up(struct group *group, int64_t now_ms, struct replay_records *out);

/* Makes a consumer group classic when those who stay all speak the classic protocol and the policy lets it; false: not so. */
bool migrate_down(struct group *group, struct consumer_member *const *gone, size_t gone_count, int64_t now_ms,
                  struct replay_records *out);

/* What a classic member has assigned, as Kafka's consumer protocol writes it; in the arena. */
struct str migrate_assignment(const struct groups *groups, const struct consumer_member *member,
                              struct arena *arena);

/* --- topics (subscription.c) --- */

struct subscribed_topic {
    struct str name;
    struct uuid id;
    int32_t partition_count; /* 0: there is no such topic */
};

/* The topic of a name, looked up once a turn. */
const struct subscribed_topic *consumer_topic(struct consumer_turn *turn, struct str name);
/* What consumer_metadata_hash sums up: of one topic, once (`seen` is the caller's). 0: seen, or there is none. */
uint64_t consumer_topic_hash(struct consumer_turn *turn, struct str name, struct map *seen);

/* A set of topics: sorted by id, only those that exist. */
struct topic_list {
    const struct subscribed_topic **at;
    size_t len;
};

/* What a member subscribes to, by name and pattern, seen with the eyes of the turn. */
struct topic_list consumer_topics_of(struct consumer_turn *turn, const struct consumer_member *member);
bool topic_list_has(const struct topic_list *list, struct uuid id);

/* Hash of all topics that the members subscribe to, without those of `gone`; *turn's member counts as it will be. */
int64_t consumer_metadata_hash(struct consumer_turn *turn, struct consumer_member *const *gone,
                               size_t gone_count);

/* The topics that a text in Kafka's consumer protocol names; NULL: it cannot be read. Owned by the arena. */
struct ConsumerProtocolSubscription *consumer_protocol_read(struct str metadata, struct arena *arena);

/* --- assignors (assign.c) --- */

struct assign_member {
    struct str id, instance_id;
    struct str process_id; /* of streams groups */
    struct topic_list topics;
    const struct part_set *current; /* the target so far */
    struct part_set target;         /* result, in the arena */
    size_t target_cap;
};

/* Both fill member->target and sort the members: static ones by instance id, then the others by id. A partition goes to
 * exactly one of those who subscribe to its topic; who had it keeps it as far as balance allows. */
void assign_uniform(struct assign_member *members, size_t count, struct arena *arena);
void assign_range(struct assign_member *members, size_t count, struct arena *arena);

/* Of share groups: a partition may go to several. */
void assign_simple(struct assign_member *members, size_t count, struct arena *arena);

/* --- records (kind_record.c; patterns: consumer_record.c) --- */

/* Adds a record; value NULL: its end. `member` is null where the record is the group's. */
void kind_record_add(const struct kind_records *records, enum kind_record what, struct str group,
                     struct str member, const void *value, int64_t now_ms, struct replay_records *out);
/* `made_ms`: when the target was computed; 0: it was not, but carried over. */
void record_target_epoch(const struct kind_records *records, struct str group, int32_t epoch, int64_t made_ms,
                         int64_t now_ms, struct replay_records *out);
void record_member_gone(const struct kind_records *records, struct str group, struct str member,
                        int64_t now_ms, struct replay_records *out);
void record_regex(struct str group, struct str pattern, const struct consumer_regex *regex, int64_t now_ms,
                  struct replay_records *out);
void record_regex_gone(struct str group, struct str pattern, int64_t now_ms, struct replay_records *out);
/* The group's epoch with what belongs to it. */
void record_epoch_of(const struct group *group, int32_t epoch, int64_t hash, int64_t now_ms,
                     struct replay_records *out);
/* Everything of the group, or its end. */
void record_consumer(const struct group *group, int64_t now_ms, struct replay_records *out);
void record_consumer_gone(const struct group *group, int64_t now_ms, struct replay_records *out);

/* A record being applied. */
struct applying {
    struct groups *groups;
    const struct replay_record *rec;
    struct arena *arena;
    struct err *err;
    struct kind_record_key key; /* of what every kind keeps */
};

/* The messages' structs; of a value nothing when the record has none. */
bool applying_key(struct applying *a, const struct wire_message *msg, void *key);
bool applying_value(struct applying *a, const struct wire_message *msg, void *value);
static inline bool applying_end(const struct applying *a)
{
    return str_is_null(a->rec->value);
}

/* The group, or the member of a->key: made when it is not there, also from a group that only has offsets. NULL with an error:
 * the group is of another kind. */
struct group *applying_group(struct applying *a, struct str name, enum group_kind kind);
struct consumer_member *applying_member(struct applying *a, enum group_kind kind);

/* Parts that kinds have in common. */
bool apply_group_epoch(struct applying *a, enum group_kind kind, int32_t epoch, int64_t hash);
void apply_member_target(struct consumer_member *member, const struct part_set *target);
void apply_str(struct str *slot, struct str value);

/* Where a member is and what it has: takes the sets over as copies, and starts or stops the time to give up. */
void apply_member_current(struct applying *a, struct consumer_member *member, int32_t epoch,
                          int32_t previous_epoch, enum consumer_member_state state,
                          const struct part_set *assigned, const struct part_set *revoking);

bool consumer_apply(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                    struct err *err);

#endif
