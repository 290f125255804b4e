/* streams_int.h - private to src/group: streams groups (KIP-1071), whose members are processes of one Kafka Streams application.
 *
 *   topology --subtopologies x partitions--> tasks --assign_sticky.c--> members: active, and standby for tasks with state
 *
 * A streams group is a consumer group (consumer_int.h) with tasks in place of partitions, and a topology, which is the group's
 * and not a member's, in place of subscriptions:
 *
 *   streams_heartbeat.c  a call: who is it, may it, leave         streams_step.c    topology and plan; epoch; target
 *   streams_answer.c     what a member is told; describing        streams_record.c  its records, and back
 *   streams_group.c      memory; tasks and sets of them
 *
 * (Y1) A task is kept as a partition is (part_set.h): in place of the topic's id stands the role and the place of the subtopology
 *      in the topology. So what compares, merges and stores sets of partitions does it with tasks of all roles at once.
 * (Y2) The topology of a group never changes; were another one stored, no task of before would be anybody's.
 * (Y3) An active task has at most one owner (U2). A process has a task in one role at a time: two of its threads would write the
 *      same directory.
 * (Y4) Warm-up tasks exist in the protocol and in records; neither Apache Kafka 4.3.1 nor this coordinator gives any out.
 */
#ifndef RIALTO_GROUP_STREAMS_INT_H
#define RIALTO_GROUP_STREAMS_INT_H

#include "group/consumer_int.h"

struct streams_tag {
    struct str key, value;
};

/* What a streams group knows of a member besides. One block of memory, texts included. */
struct streams_member {
    int32_t topology_epoch;
    struct str process_id;
    struct str host; /* null: it has no endpoint for interactive queries */
    uint16_t port;
    size_t tag_count;
    struct streams_tag tags[]; /* by key */
};

struct streams_group {
    struct group *group;
    struct arena arena;               /* of the topology */
    const streams_topology *topology; /* NULL: none is stored yet */
    struct map readers;               /* input topic -> place of the subtopology that reads it, + 1 */
    int32_t validated_epoch;          /* of the topology for which all topics were there; -1: none */
    int32_t standby_count;            /* with which targets were made; -1: not known */
    /* not stored */
    uint64_t ready_version; /* groups->topics_version at which the plan was STREAMS_READY; 0: it was not */
    int64_t ready_hash;     /* of the topics then */
    int32_t *ready_counts;  /* owned; tasks of each subtopology */
    int32_t endpoint_epoch;
    struct str shutdown_by;      /* owned; the member that wants all to end */
    struct replay_timer initial; /* the first assignment waits for more members until then */
};

/* --- tasks (streams_group.c) --- */

enum task_role { ROLE_ACTIVE, ROLE_STANDBY, ROLE_WARMUP, TASK_ROLES };

/* What stands in the place of a topic's id (Y1). */
struct uuid task_id(enum task_role role, uint32_t subtopology);
enum task_role task_role_of(const struct topic_part *task);
uint32_t task_subtopology(const struct topic_part *task);
static inline bool task_is_active(const struct topic_part *task)
{
    return task_role_of(task) == ROLE_ACTIVE;
}

/* Collects tasks into a set in the arena; of subtopologies that are not in the topology `unknown` keeps the first, and they are
 * left out. The set is one after task_reader_end. */
struct task_reader {
    const streams_topology *topology; /* NULL: knows none */
    struct arena *arena;
    struct part_set set;
    size_t room;
    struct str unknown;
};
void task_reader_add(struct task_reader *reader, enum task_role role, struct str subtopology,
                     const int32_t *partitions, int32_t count, const int32_t *epochs, int32_t epoch_count);
void task_reader_end(struct task_reader *reader);

/* The arrays {SubtopologyId, Partitions} of many messages are alike but for the names of their types. */
#define TASKS_READ(reader, role, array)                                                                   \
    do {                                                                                                  \
        for (int32_t i_ = 0; i_ < (array).len; i_++)                                                      \
            task_reader_add((reader), (role), (array).at[i_].SubtopologyId, (array).at[i_].Partitions.at, \
                            (array).at[i_].Partitions.len, NULL, 0);                                      \
    } while (0)

/* Fills an array field of struct T with the tasks of a role; texts are copied. */
#define TASKS_WRITE(set, role, topology, array, T, arena)                                      \
    do {                                                                                       \
        WIRE_ALLOC((arena), (array), T, part_set_topics(set));                                 \
        (array).len = 0;                                                                       \
        for (size_t from_ = 0, to_; from_ < (set)->len; from_ = to_) {                         \
            to_ = part_set_run((set), from_);                                                  \
            if (task_role_of(&(set)->at[from_]) != (role))                                     \
                continue;                                                                      \
            struct T *row_ = &(array).at[(array).len++];                                       \
            row_->SubtopologyId = task_subtopology_id((topology), &(set)->at[from_], (arena)); \
            row_->Partitions.at = part_set_numbers((set), from_, to_, (arena));                \
            row_->Partitions.len = (int32_t)(to_ - from_);                                     \
        }                                                                                      \
    } while (0)

struct str task_subtopology_id(const streams_topology *topology, const struct topic_part *task,
                               struct arena *arena);

/* --- groups and members (streams_group.c) --- */

/* Makes an empty consumer group a streams group. */
void streams_group_init(struct group *group);
void streams_group_free(struct streams_group *streams); /* NULL is fine */

/* Copies a topology; NULL: none any more. False with *err: it is none (Y2). */
bool streams_set_topology(struct group *group, const streams_topology *topology, struct err *err);

bool streams_is_validated(const struct streams_group *streams);

/* The member of this id: made, with nothing known of it, when it is not there. */
struct consumer_member *streams_member_of(struct group *group, struct str id);

/* One block of memory from parts: mem_alloc. Tags in any order. */
struct streams_member *streams_member_new(const struct streams_member *parts, const struct streams_tag *tags,
                                          size_t tag_count);
/* The same in the arena. */
struct streams_member *streams_member_dup(const struct streams_member *parts, const struct streams_tag *tags,
                                          size_t tag_count, struct arena *arena);
bool streams_member_eq(const struct streams_member *a, const struct streams_member *b);

/* The active task id that reads a topic; false: nobody does. */
bool streams_active_task(const struct streams_group *streams, struct str topic, struct uuid *out);

/* Adds the topics that the application reads as keys. */
void streams_add_inputs(const struct streams_group *streams, struct map *topics);

/* --- a call at work (streams_step.c) --- */

/* A turn of a streams group and what it knows besides. */
struct streams_turn {
    struct consumer_turn base;
    struct streams_group *streams; /* as it is; NULL: yet to be made */
    struct streams_plan plan;
    int64_t hash; /* of the topics */
    int32_t standby_count;
    bool delayed_initially, delayed_by_interval; /* why there is no new target */
};

/* What the topology (base.topology, set) asks of topics. False with *err: it makes no sense. */
bool streams_look_at_topics(struct streams_turn *turn, struct err *err);
/* Adds records; `changed`: the member is new or another. */
void streams_step_epoch(struct streams_turn *turn, bool changed);
void streams_step_target(struct streams_turn *turn);

/* Nobody else has the task, nor this process in another role (Y3). */
bool streams_task_is_free(const struct consumer_turn *turn, const struct topic_part *task);

/* The initial delay is over: the first target. */
void streams_initial_end(struct replay_timer *timer, int64_t now_ms, struct replay_records *out);

/* Spreads tasks over members and processes (assign_sticky.c). */
void assign_sticky(struct assign_member *members, size_t count, const streams_topology *topology,
                   const int32_t *task_counts, int32_t standby_count, struct arena *arena);

/* --- answers (streams_answer.c) --- */

void streams_answer(const struct streams_turn *turn, const struct group_call *call);

/* --- records (streams_record.c) --- */

void streams_record_topology(struct str group, const streams_topology *topology, int64_t now_ms,
                             struct replay_records *out);
void streams_record_epoch(struct str group, int32_t epoch, int64_t hash, int32_t validated_epoch,
                          int32_t standby_count, int64_t now_ms, struct replay_records *out);

#endif
