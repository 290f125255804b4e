/* client.h - produce, consume and administer: rialto's own log or a real Kafka cluster behind one interface.
 *
 *     flow, connect, engine
 *          |  functions below (inline calls into struct client_ops)
 *     struct client { ops }
 *          |                     |                         |
 *     client_embedded       client_memory            (librdkafka: "cluster:" in the comments)
 *     storage.h, coord.h    topics as arrays
 *
 * Each comment says what the call will be on librdkafka, so that the interface fits both.
 *
 * (C1) Only this module knows whether Kafka is us or others.
 * (C2) A reader or writer belongs to one thread at a time; a client may be used by any thread (client_memory: one).
 * (C3) Nothing here waits for data: poll returns at once and `notify` says when it is worth polling again.
 * (C4) Bytes of a record live until the next poll of its reader and are followed by CLIENT_SLACK readable bytes.
 */
#ifndef RIALTO_CLIENT_CLIENT_H
#define RIALTO_CLIENT_CLIENT_H

#include "base/base.h"
#include "record/record.h"

struct coord;
struct storage;
struct client;

enum { CLIENT_SLACK = 64 }; /* readable bytes behind every key and value: the JSON reader looks ahead */

/* The client of this process's own log: its topics and partitions, groups and transactions. Both must outlive it. */
struct client *client_embedded_new(struct storage *storage, struct coord *coord);

/* Topics in memory, for step mode and tests: one thread, no disk; transactions take effect at once. */
struct client *client_memory_new(void);

/* Readers, writers and transactions must be gone. NULL is allowed. */
void client_free(struct client *client);

/* Topics ----------------------------------------------------------------------------------------------------- */

struct client_topic_config {
    struct str name, value;
};

struct client_topic {
    struct str name;
    int32_t partition_count;
    bool internal;
    struct client_topic_config *configs; /* those set on the topic */
    size_t config_count;
};

/* Creates a topic; partition_count -1 takes the server's default. Durable when it returns. ERR_TOPIC_EXISTS,
 * ERR_INVALID_TOPIC, ERR_INVALID_PARTITIONS, ERR_INVALID_CONFIG. Blocking. cluster: CreateTopics. */
bool client_topic_create(struct client *client, struct str name, int32_t partition_count,
                         const struct client_topic_config *configs, size_t config_count, struct err *err);

/* ERR_UNKNOWN_TOPIC. Blocking. cluster: DeleteTopics. */
bool client_topic_delete(struct client *client, struct str name, struct err *err);

/* Fills *out in the arena. ERR_UNKNOWN_TOPIC. cluster: Metadata and DescribeConfigs. */
bool client_topic_describe(struct client *client, struct str name, struct client_topic *out,
                           struct arena *arena, struct err *err);

/* All topics by name, internal ones included. cluster: Metadata. */
struct client_topic *client_topic_list(struct client *client, size_t *count, struct arena *arena);

/* Number of partitions, -1 when there is no such topic. cluster: cached Metadata. */
int32_t client_partition_count(struct client *client, struct str topic);

/* The value in force of a topic's config, defaults included; null when unknown. cluster: DescribeConfigs. */
struct str client_topic_config_get(struct client *client, struct str topic, struct str config,
                                   struct arena *arena);

/* Offsets ---------------------------------------------------------------------------------------------------- */

struct client_offsets {
    int64_t start;     /* first kept */
    int64_t end;       /* next written */
    int64_t committed; /* what CLIENT_COMMITTED may read up to */
};

/* ERR_UNKNOWN_TOPIC. cluster: ListOffsets. */
bool client_offsets(struct client *client, struct str topic, int32_t partition, struct client_offsets *out,
                    struct err *err);

/* First offset whose record has at least this timestamp; the end when there is none. cluster: ListOffsets. */
bool client_offset_for_time(struct client *client, struct str topic, int32_t partition, int64_t time_ms,
                            int64_t *offset, struct err *err);

/* Reader: one partition from an offset -------------------------------------------------------------------------- */

struct client_reader;

enum client_isolation {
    CLIENT_COMMITTED, /* durable records of decided transactions: connectors, push queries, replies to people */
    CLIENT_APPENDED, /* all that is written, also in the engine's own open transaction; aborted ones are left out.
                         For the engine, whose results commit together with, or after, what they were made from.
                         cluster: the same as CLIENT_COMMITTED */
};

enum { CLIENT_EARLIEST = -2, CLIENT_LATEST = -1 };

struct client_reader_options {
    enum client_isolation isolation;
    int64_t offset;    /* where to begin; CLIENT_EARLIEST, CLIENT_LATEST */
    size_t read_bytes; /* per poll; 0: 1 MiB. The first batch always comes whole */
    void (*notify)(
        void *arg); /* there may be more to read; any thread, must not block nor call back; may be NULL */
    void *arg;
};

/* NULL with ERR_UNKNOWN_TOPIC. cluster: assign() with explicit offsets. */
struct client_reader *client_reader_new(struct client *client, struct str topic, int32_t partition,
                                        const struct client_reader_options *options, struct err *err);

/* After it returns `notify` is not called any more. NULL is allowed. */
void client_reader_free(struct client_reader *reader);

/* When all ready records were taken: reads what is there and makes it ready, ending the life of earlier bytes; does
 * nothing while some are left. True also when there is nothing. False: ERR_OFFSET_OUT_OF_RANGE (retention has
 * passed the position; seek), ERR_UNKNOWN_TOPIC (deleted), ERR_CORRUPT, ERR_IO. cluster: consume_batch_queue. */
bool client_reader_poll(struct client_reader *reader, struct err *err);

/* Takes up to `max` ready records in order; 0: poll again. A batch that turns out to be damaged ends the ready
 * records, and the next poll reports it. */
size_t client_reader_take(struct client_reader *reader, struct record *recs, size_t max);

/* Offset after the last record taken (and after control records and aborted ones that follow it directly). */
int64_t client_reader_position(const struct client_reader *reader);

/* Goes on at another offset (or CLIENT_EARLIEST, CLIENT_LATEST); ready records are dropped. */
bool client_reader_seek(struct client_reader *reader, int64_t offset, struct err *err);

/* Offsets between the position and what may be read: 0 when caught up. */
int64_t client_reader_lag(struct client_reader *reader);

/* Transactions --------------------------------------------------------------------------------------------------- */

struct client_txn;

struct client_txn_input {
    struct str topic;
    int32_t partition;
    int64_t offset; /* next to read */
};

enum client_txn_state {
    CLIENT_TXN_NONE, /* the id was never used */
    CLIENT_TXN_OPEN, /* not decided, or its decision could not be written: the next start decides */
    CLIENT_TXN_COMMITTED,
    CLIENT_TXN_ABORTED,
};

/* Begins a transaction of this transactional id ("rialto-engine..."); an open one is aborted first. Blocking. NULL with *err set.
 * cluster: init_transactions once, then begin_transaction. */
struct client_txn *client_txn_begin(struct client *client, struct str transactional_id, struct err *err);

/* The name of the transaction: a new pair each time. */
int64_t client_txn_pid(const struct client_txn *txn);
int16_t client_txn_epoch(const struct client_txn *txn);

/* Commits; true means decided. The inputs are made durable no later than the outputs. The handle is gone in any
 * case; after false the transaction is aborted, or decided by the next start. Blocking.
 * cluster: send_offsets_to_transaction, commit_transaction. */
bool client_txn_commit(struct client_txn *txn, const struct client_txn_input *inputs, size_t count,
                       struct err *err);

/* Aborts; the handle is gone. Blocking. cluster: abort_transaction. */
bool client_txn_abort(struct client_txn *txn, struct err *err);

/* What became of the last transaction of this id. cluster: the committed offsets tell. */
enum client_txn_state client_txn_last(struct client *client, struct str transactional_id, int64_t *pid,
                                      int16_t *epoch);

/* Writer: one topic -------------------------------------------------------------------------------------------------- */

struct client_writer;

struct client_writer_options {
    enum codec codec;
    size_t batch_bytes; /* a batch is closed when it has so many bytes; 0: 256 KiB */
    bool transactional; /* batches wait until client_writer_set_txn gives a transaction */
};

/* NULL with ERR_UNKNOWN_TOPIC. cluster: a topic handle of the one producer. */
struct client_writer *client_writer_new(struct client *client, struct str topic,
                                        const struct client_writer_options *options, struct err *err);

/* Records that were not flushed are dropped. NULL is allowed. */
void client_writer_free(struct client_writer *writer);

/* Adds a record. partition -1: murmur2 of the key, without a key all records of a flush go to one partition, the
 * next flush to another. Null key or value: ptr NULL. Headers are raw (struct record). Full batches are appended on
 * the way; false when that fails. cluster: produce(). */
bool client_writer_add(struct client_writer *writer, int32_t partition, int64_t timestamp_ms, struct str key,
                       struct str value, struct str headers, int32_t header_count, struct err *err);

/* The transaction that takes the batches from now on; NULL: hold them. Only transactional writers. Held batches are
 * appended by the next add or flush. */
void client_writer_set_txn(struct client_writer *writer, struct client_txn *txn);

/* Appends what is there. A transactional writer without transaction closes its batches and holds them. Not durable
 * yet. cluster: the linger is over. */
bool client_writer_flush(struct client_writer *writer, struct err *err);

/* Flushes and waits until all is durable. Not for transactional writers. Blocking. cluster: flush(). */
bool client_writer_wait(struct client_writer *writer, struct err *err);

/* Drops what was added and not appended yet. */
void client_writer_reset(struct client_writer *writer);

/* Bytes added and not appended yet. */
size_t client_writer_held(const struct client_writer *writer);

/* Records added since the writer was made. */
int64_t client_writer_count(const struct client_writer *writer);

/* Group offsets ------------------------------------------------------------------------------------------------------ */

struct client_group_offset {
    struct str topic;
    int32_t partition;
    int64_t offset; /* next to read; -1 when fetched and nothing was committed */
};

/* Commits offsets of a group without members, so that queries and connectors are seen by group tools. Blocking.
 * cluster: commit() of a consumer with this group.id. */
bool client_group_commit(struct client *client, struct str group, const struct client_group_offset *offsets,
                         size_t count, struct err *err);

/* Fills `offset` of the given entries. cluster: committed(). */
bool client_group_fetch(struct client *client, struct str group, struct client_group_offset *offsets,
                        size_t count, struct err *err);

/* Removes group and offsets; unknown groups are success. Blocking. cluster: DeleteGroups. */
bool client_group_delete(struct client *client, struct str group, struct err *err);

#endif
