/* fetch_int.h - a fetch and its sessions: what api_fetch.c and fetch_session.c share.
 *
 *   struct fetch_part       a partition that is fetched from: where, how much, what is wrong with it
 *     struct lone_part      of a fetch without session: lives in the request
 *     struct session_part   of a session: lives as long as the client wants the partition
 */
#ifndef RIALTO_BROKER_FETCH_INT_H
#define RIALTO_BROKER_FETCH_INT_H

#include "broker/broker_int.h"

struct fetch;

/* A topic as the client names it: by name up to version 12, by id after. */
struct fetch_topic {
    struct str name; /* null: by id */
    struct uuid id;
};

struct fetch_part {
    struct partition *part; /* a reference; NULL: not there */
    struct fetch_topic topic;
    int32_t id, leader_epoch, bytes_max;
    int32_t fetched_epoch; /* of the record before offset, as the client has it; below 0: it does not say */
    int64_t offset;
    int16_t unknown; /* the error of a partition that is not there */
    int16_t error;   /* found before anything is read */
    bool diverged;   /* the client has what the log has not: it is told where the epoch ends here */
};

/* Takes what a request says of a partition. */
void fetch_part_set(struct fetch_part *fp, const struct FetchRequest_FetchPartition *asked);

/* Looks the partition up if it is not known yet, and lets go of a deleted one. */
void fetch_part_resolve(struct broker *broker, struct fetch_part *fp);

struct session_part {
    struct fetch_part fp;
    struct fetch_session *session;
    struct partition_watch watch;
    int64_t told_hw, told_start; /* what the client knows; -1: it was told an error, or nothing */
    atomic_bool dirty;           /* on the dirty list, or about to be */
    struct list dirty_link;
    struct list active_link;
};

/* S1 to S5 in fetch_session.c say who may touch what. */
struct fetch_session {
    struct broker *broker;
    int32_t id, epoch; /* of the next request */
    bool by_id;
    struct map parts;   /* topic and partition -> struct session_part */
    struct list active; /* parts to look at, the next one to be served first */
    size_t active_count;

    pthread_mutex_t lock; /* the two below; taken under a partition's lock */
    struct list dirty;
    struct fetch *parked; /* to be woken */

    /* Of the cache, under its lock. */
    bool busy, closed;
    size_t counted; /* parts, as the cache has counted them */
    bool stale;     /* a topic was deleted while the session was in use */
    int64_t made_ms, used_ms;
    struct list link; /* the least recently used first */
};

/* What a request has to do with a session. */
struct session_use {
    struct fetch_session *session; /* taken, give it back with session_release; NULL: none */
    int32_t id;                    /* to be told; 0: there is no session, or it ends with this request */
    bool full;                     /* all partitions are answered */
    int16_t error;                 /* of the whole request */
};

/* Finds, makes, changes or closes the session that the request speaks of. On the connection's thread. */
struct session_use session_take(struct request *req);

/* Gives the session back; it may be gone after. Any thread. */
void session_release(struct fetch_session *session);

/* Moves what has become dirty to the active parts. Whoever has taken the session. */
void session_collect(struct fetch_session *session);

/* No need to look at it until something happens; and: serve it after the others. */
void session_part_rest(struct session_part *sp);
void session_part_last(struct session_part *sp);

/* Whom to wake when a part becomes dirty; NULL: nobody. */
void session_park(struct fetch_session *session, struct fetch *fetch);

/* Called by a session, from any thread. */
void fetch_wake(struct fetch *fetch);

#endif
