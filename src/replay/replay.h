/* replay.h - state that lives in a topic.
 *
 *   request --> decide(state, request) --> records + reply
 *                                            |        |
 *                                         append      |  the reply waits until the records are durable
 *                                            |        |
 *                state <-- apply(record) <---+--------+
 *   start:       state <-- apply(every record of the topic)
 *
 * Topics, groups, transactions (and above `client`: commands, connectors) are each two functions, *decide* and
 * *apply*, without I/O, clock or lock. This module gives them the lock, the order and the waiting; the calls that it
 * needs itself (append, read) are an ops table that `storage` fills with the log and `client` with any Kafka.
 *
 * (R1) decide, append and apply of one request happen under the lock of its `struct replay`: apply sees records in
 *      the order of the topic, and the next decide sees the state with them.
 * (R2) apply is the only one that changes what a restart brings back; decide may change what a restart may forget
 *      (who waits, timers).
 * (R3) A reply leaves when the topic is durable up to the offset that replay_run reported: also a reply without
 *      records of its own, so that nobody is told of state that a crash could take back.
 * Any thread may call; callbacks of waits come on any thread and must not block.
 */
#ifndef RIALTO_REPLAY_REPLAY_H
#define RIALTO_REPLAY_REPLAY_H

#include "base/base.h"
#include "wire/wire.h"

/* One record of the topic; value null: the key is deleted. Slices are borrowed for the call. */
struct replay_record {
    struct str key, value;
    int64_t timestamp_ms;
    int64_t offset; /* set when read or appended */
};

/* The type of the record: the number with which the keys of coordinators' topics begin. ERR_CORRUPT: the key is too short. */
bool replay_type(const struct replay_record *rec, uint16_t *type, struct err *err);

/* Somebody who waits for durability. Lives in the waiter's memory until `fn` was called, which happens
 * exactly once; failure is NULL when all is durable. */
struct replay_wait {
    void (*fn)(struct replay_wait *wait, const struct err *failure);
    void *priv; /* of the log, while it waits */
};

typedef bool (*replay_visit_fn)(void *arg, const struct replay_record *rec, struct err *err);

/* What a log must be able to do. All may be called from any thread, append and read never at the same time.
 */
struct replay_log_ops {
    /* Appends the records as one batch (all or none); *end_offset is the offset after the last of them. */
    bool (*append)(void *log, const struct replay_record *records, size_t count, int64_t *end_offset,
                   struct err *err);

    /* Calls wait->fn (perhaps at once, perhaps from another thread) when everything below end_offset is
     * durable. */
    void (*when_durable)(void *log, int64_t end_offset, struct replay_wait *wait);

    /* Visits all records from the offset to the end; *end_offset is where it stopped. */
    bool (*read)(void *log, int64_t from_offset, replay_visit_fn visit, void *arg, int64_t *end_offset,
                 struct err *err);

    /* Optional: lets everything below the offset go. Without it the topic is never rewritten. */
    bool (*trim)(void *log, int64_t before_offset, struct err *err);
};

/* What decide collects: records in order, copied into the arena. */
struct replay_records {
    vec(struct replay_record) list;
    struct arena arena;
};

/* Adds a record; key and value are copied (a null value stays null). */
void replay_add(struct replay_records *records, struct str key, struct str value, int64_t timestamp_ms);

/* The same for a key and a value that are messages (of version 0 and `version`); value NULL: a null value. */
void replay_add_typed(struct replay_records *records, const struct wire_message *key_message, const void *key,
                      const struct wire_message *value_message, int16_t version, const void *value,
                      int64_t timestamp_ms);

/* The state's own functions. */
struct replay_class {
    const char *name; /* for log lines */

    /* Takes one record into the state. False: the record cannot be read; the start fails with this error. */
    bool (*apply)(void *state, const struct replay_record *rec, struct err *err);

    /* Optional: adds the records that bring the whole state back. With it (and trim) a topic that is mostly
     * history is rewritten at its end and trimmed, see replay_rewrite. */
    void (*snapshot)(void *state, struct replay_records *out);
};

/* Looks at the state and the request, adds records, fills the reply inside the request. False: refused with
 * *err, nothing is appended. */
typedef bool (*replay_decide_fn)(void *state, void *request, struct replay_records *out, struct err *err);

struct replay;

/* Reads the whole topic into the state (which the caller owns and must outlive this). */
bool replay_open(struct replay **out, const struct replay_log_ops *ops, void *log,
                 const struct replay_class *class, void *state, struct err *err);
void replay_close(struct replay *replay);

/* Decides, appends, applies. *end_offset (may be NULL) is what the reply has to wait for (R3). False: refused
 * by decide, or the append failed: then the state is as before. */
bool replay_run(struct replay *replay, replay_decide_fn decide, void *request, int64_t *end_offset,
                struct err *err);

/* Tells when everything below end_offset is durable. */
void replay_when_durable(struct replay *replay, int64_t end_offset, struct replay_wait *wait);

/* The same, blocking the calling thread. Not on a net thread. */
bool replay_wait_durable(struct replay *replay, int64_t end_offset, struct err *err);

/* replay_run and replay_wait_durable in one. */
bool replay_run_durable(struct replay *replay, replay_decide_fn decide, void *request, struct err *err);

/* Makes sure that the topic holds what the state says, durably: true at once when nothing is outstanding. After a failed sync
 * that dropped records the state is written anew and the history let go. For those who tell of the state without a record of
 * their own, a refusal above all. Blocks. */
bool replay_secure(struct replay *replay, struct err *err);

/* The lock of R1, for those who only read the state; replay_end is the offset up to which the state has gone.
 */
void replay_lock(struct replay *replay);
void replay_unlock(struct replay *replay);
int64_t replay_end(struct replay *replay);

/* Writes the state anew at the end of the topic and trims what is before it, when more than `history_records`
 * records and more than four times the state's own are there. Blocks; called now and then by a pool thread.
 */
bool replay_rewrite(struct replay *replay, int64_t history_records, struct err *err);

/* --- time (timers.c): what a state does when a moment comes, decided by its tick function --- */

/* Embedded in what it belongs to. */
struct replay_timer {
    int64_t due_ms;
    size_t heap_pos; /* 0: it does not run */
    void (*fire)(struct replay_timer *timer, int64_t now_ms, struct replay_records *out);
};

/* A zeroed one is empty; vec_fini(&timers.heap) at the end. */
struct replay_timers {
    vec(struct replay_timer *) heap;
};

/* Starts it, or moves it; INT64_MAX stops it. */
void replay_timer_start(struct replay_timers *timers, struct replay_timer *timer, int64_t due_ms);
void replay_timer_stop(struct replay_timers *timers, struct replay_timer *timer);

/* When the first is due; INT64_MAX: none runs. */
int64_t replay_timers_next_ms(const struct replay_timers *timers);

/* Stops and fires those that are due; a very long row of them is cut, then the next moment is now. */
void replay_timers_fire(struct replay_timers *timers, int64_t now_ms, struct replay_records *out);

#endif
