/* part_set.h - sets of partitions, named by topic id: what members own, give up and are meant to have.
 *
 *   {topic A: 0, 1, 4} {topic B: 2}  ->  [A 0] [A 1] [A 4] [B 2]       one sorted array, so every operation is a merge
 *
 * Each entry carries the epoch at which its member got the partition (0 where that means nothing). Sets made by the
 * functions below live in an arena; part_set_own makes the copy that stays in the state.
 */
#ifndef RIALTO_GROUP_PART_SET_H
#define RIALTO_GROUP_PART_SET_H

#include "base/base.h"
#include "wire/wire.h"

struct topic_part {
    struct uuid topic;
    int32_t partition;
    int32_t epoch;
};

/* Sorted by topic, then partition; no entry twice. */
struct part_set {
    struct topic_part *at;
    size_t len;
};

/* Orders by topic and partition. */
int topic_part_cmp(const struct topic_part *a, const struct topic_part *b);

/* The entry of a partition, or NULL. */
const struct topic_part *part_set_find(const struct part_set *set, struct uuid topic, int32_t partition);

/* The same partitions; epochs do not count. */
bool part_set_eq(const struct part_set *a, const struct part_set *b);

/* Every partition of a is in b. */
bool part_set_within(const struct part_set *a, const struct part_set *b);

/* A partition is in both. */
bool part_set_meets(const struct part_set *a, const struct part_set *b);

/* Those of a that are in b (`in` true) or not; epochs are a's. */
struct part_set part_set_filter(const struct part_set *a, const struct part_set *b, bool in,
                                struct arena *arena);

/* Those of both; of a partition in both the entry of a. */
struct part_set part_set_union(const struct part_set *a, const struct part_set *b, struct arena *arena);

/* Sorts what was filled in any order and drops doubles. */
void part_set_sort(struct part_set *set);

/* Number of topics; the entries of topic `i` are [from, to). */
size_t part_set_topics(const struct part_set *set);

/* The end of the run of entries that have the topic of entry `from`. */
size_t part_set_run(const struct part_set *set, size_t from);

/* A heap copy, and its release. */
struct part_set part_set_own(const struct part_set *set);
void part_set_disown(struct part_set *set);

/* --- wire --- */

/* The arrays {TopicId, Partitions} of many messages are alike but for the names of their types: makes a set of one. */
#define PART_SET_READ(set, array, arena)                                                              \
    do {                                                                                              \
        size_t count_ = 0;                                                                            \
        for (int32_t i_ = 0; i_ < (array).len; i_++)                                                  \
            count_ += (size_t)MAX((array).at[i_].Partitions.len, 0);                                  \
        (set)->at = arena_array((arena), struct topic_part, count_);                                  \
        (set)->len = 0;                                                                               \
        for (int32_t i_ = 0; i_ < (array).len; i_++)                                                  \
            for (int32_t j_ = 0; j_ < (array).at[i_].Partitions.len; j_++)                            \
                (set)->at[(set)->len++] =                                                             \
                    (struct topic_part){(array).at[i_].TopicId, (array).at[i_].Partitions.at[j_], 0}; \
        part_set_sort(set);                                                                           \
    } while (0)

/* Fills an array field `array` of struct T from a set. */
#define PART_SET_WRITE(set, array, T, arena)                                               \
    do {                                                                                   \
        WIRE_ALLOC((arena), (array), T, part_set_topics(set));                             \
        for (size_t from_ = 0, row_ = 0, to_; from_ < (set)->len; from_ = to_, row_++) {   \
            to_ = part_set_run((set), from_);                                              \
            (array).at[row_].TopicId = (set)->at[from_].topic;                             \
            (array).at[row_].Partitions.at = part_set_numbers((set), from_, to_, (arena)); \
            (array).at[row_].Partitions.len = (int32_t)(to_ - from_);                      \
        }                                                                                  \
    } while (0)

/* The partitions, or the epochs, of entries [from, to). */
int32_t *part_set_numbers(const struct part_set *set, size_t from, size_t to, struct arena *arena);
int32_t *part_set_epochs(const struct part_set *set, size_t from, size_t to, struct arena *arena);

#endif
