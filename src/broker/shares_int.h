/* shares_int.h - requests of share groups: what share_sessions.c, share_acks.c and api_share_fetch.c share.
 *
 *   ShareFetch, ShareAcknowledge --share_session_step--> session: what the member reads, its next epoch, its connection
 *                                --share_acks_run--> what it says became of records
 *   ShareFetch                   --coord_share_park--> waits for something to acquire
 *
 * The state itself is `share`'s, its clock and who is woken `coord`'s.
 */
#ifndef RIALTO_BROKER_SHARES_INT_H
#define RIALTO_BROKER_SHARES_INT_H

#include "broker/broker_int.h"

/* Kafka's error codes that share groups answer with. */
enum share_error {
    SHARE_NO_TOPIC_ID = 100,
    SHARE_NO_PARTITION = 3,
    SHARE_BAD_GROUP_ID = 24,
    SHARE_BAD_REQUEST = 42,
    SHARE_GROUP_NOT_EMPTY = 68,
    SHARE_NO_GROUP = 69,
    SHARE_NO_SESSION = 122,
    SHARE_BAD_EPOCH = 123,
    SHARE_TOO_MANY_SESSIONS = 133,
};

/* --- sessions (share_sessions.c) --- */

enum { SHARE_EPOCH_OPEN = 0, SHARE_EPOCH_CLOSE = -1 };

struct share_place {
    struct uuid topic;
    int32_t partition;
};

/* Opens a session (epoch 0), or finds the one that the epoch continues and moves it on; 0 or the error. `may_open`: this API
 * can. The connection is noted: its end is the session's. */
int16_t share_session_step(struct request *req, struct str group, struct str member, int32_t epoch,
                           bool may_open);

/* Adds and removes places of the session, and gives all of them in the arena, those first that were not first last time. What
 * is too much for one session is not added. */
struct share_place *share_session_places(struct request *req, struct str group, struct str member,
                                         const struct share_place *add, size_t add_count,
                                         const struct share_place *remove, size_t remove_count,
                                         size_t *count);
enum { SHARE_PLACES_MAX = 100000 }; /* of a session: a client must not fill the memory with names */

/* Ends a session: what its member has acquired is available again. */
void share_session_end(struct broker *broker, struct str group, struct str member);

/* --- acknowledgements of a request (share_acks.c) --- */

/* What a request says of one partition, and what is answered. */
struct share_acked {
    struct share_place place;
    struct share_ack_batch *batches;
    size_t batch_count;
    int16_t error;
    const char *message; /* or NULL */
    bool told;           /* it is in the answer */
};

struct share_acks {
    struct request *req;
    struct str group, member;
    bool renew; /* the request says that it renews */
    struct share_acked *at;
    size_t count;
    int64_t end_offset; /* what the answer waits for; -1: nothing */
};

/* Room for the batches of a place; the caller fills them. */
struct share_acked *share_acks_add(struct share_acks *acks, struct uuid topic, int32_t partition,
                                   int32_t batch_count);

/* Reads them off a request: those of ShareFetch and ShareAcknowledge are alike but for the names of their types. */
#define SHARE_ACKS_READ(acks, body)                                                                          \
    do {                                                                                                     \
        size_t count_ = 0;                                                                                   \
        for (int32_t i_ = 0; i_ < (body)->Topics.len; i_++)                                                  \
            count_ += (size_t)MAX((body)->Topics.at[i_].Partitions.len, 0);                                  \
        (acks)->at = arena_array(&(acks)->req->arena, struct share_acked, count_);                           \
        for (int32_t i_ = 0; i_ < (body)->Topics.len; i_++)                                                  \
            for (int32_t j_ = 0; j_ < (body)->Topics.at[i_].Partitions.len; j_++) {                          \
                const typeof((body)->Topics.at[i_].Partitions.at[j_]) *part_ =                               \
                    &(body)->Topics.at[i_].Partitions.at[j_];                                                \
                if (part_->AcknowledgementBatches.len <= 0)                                                  \
                    continue;                                                                                \
                struct share_acked *acked_ =                                                                 \
                    share_acks_add((acks), (body)->Topics.at[i_].TopicId, part_->PartitionIndex,             \
                                   part_->AcknowledgementBatches.len);                                       \
                for (int32_t k_ = 0; k_ < part_->AcknowledgementBatches.len; k_++)                           \
                    acked_->batches[k_] =                                                                    \
                        (struct share_ack_batch){part_->AcknowledgementBatches.at[k_].FirstOffset,           \
                                                 part_->AcknowledgementBatches.at[k_].LastOffset,            \
                                                 part_->AcknowledgementBatches.at[k_].AcknowledgeTypes.at,   \
                                                 part_->AcknowledgementBatches.at[k_].AcknowledgeTypes.len}; \
            }                                                                                                \
    } while (0)

/* Checks and makes them; errors are in each. */
void share_acks_run(struct share_acks *acks);

/* Groups and members that a request may name; 0 or the error. */
int16_t share_check_names(struct request *req, struct str group, struct str member);

#endif
