/* client_int.h - what an implementation of the client fills in. Private to src/client. */
#ifndef RIALTO_CLIENT_CLIENT_INT_H
#define RIALTO_CLIENT_CLIENT_INT_H

#include "client/client.h"

/* One function for each of client.h, with its contract. */
struct client_ops {
    void (*free)(struct client *client);

    bool (*topic_create)(struct client *client, struct str name, int32_t partition_count,
                         const struct client_topic_config *configs, size_t config_count, struct err *err);
    bool (*topic_delete)(struct client *client, struct str name, struct err *err);
    bool (*topic_describe)(struct client *client, struct str name, struct client_topic *out,
                           struct arena *arena, struct err *err);
    struct client_topic *(*topic_list)(struct client *client, size_t *count, struct arena *arena);
    int32_t (*partition_count)(struct client *client, struct str topic);
    struct str (*topic_config_get)(struct client *client, struct str topic, struct str config,
                                   struct arena *arena);

    bool (*offsets)(struct client *client, struct str topic, int32_t partition, struct client_offsets *out,
                    struct err *err);
    bool (*offset_for_time)(struct client *client, struct str topic, int32_t partition, int64_t time_ms,
                            int64_t *offset, struct err *err);

    struct client_reader *(*reader_new)(struct client *client, struct str topic, int32_t partition,
                                        const struct client_reader_options *options, struct err *err);
    void (*reader_free)(struct client_reader *reader);
    bool (*reader_poll)(struct client_reader *reader, struct err *err);
    size_t (*reader_take)(struct client_reader *reader, struct record *recs, size_t max);
    bool (*reader_seek)(struct client_reader *reader, int64_t offset, struct err *err);
    int64_t (*reader_lag)(struct client_reader *reader);

    struct client_txn *(*txn_begin)(struct client *client, struct str transactional_id, struct err *err);
    bool (*txn_commit)(struct client_txn *txn, const struct client_txn_input *inputs, size_t count,
                       struct err *err);
    bool (*txn_abort)(struct client_txn *txn, struct err *err);
    enum client_txn_state (*txn_last)(struct client *client, struct str transactional_id, int64_t *pid,
                                      int16_t *epoch);

    struct client_writer *(*writer_new)(struct client *client, struct str topic,
                                        const struct client_writer_options *options, struct err *err);
    void (*writer_free)(struct client_writer *writer);
    bool (*writer_add)(struct client_writer *writer, int32_t partition, int64_t timestamp_ms, struct str key,
                       struct str value, struct str headers, int32_t header_count, struct err *err);
    bool (*writer_flush)(struct client_writer *writer, struct err *err);
    bool (*writer_wait)(struct client_writer *writer, struct err *err);
    void (*writer_reset)(struct client_writer *writer);

    bool (*group_commit)(struct client *client, struct str group, const struct client_group_offset *offsets,
                         size_t count, struct err *err);
    bool (*group_fetch)(struct client *client, struct str group, struct client_group_offset *offsets,
                        size_t count, struct err *err);
    bool (*group_delete)(struct client *client, struct str group, struct err *err);
};

/* The first member of every implementation's own struct; the same for the three below. */
struct client {
    const struct client_ops *ops;
};

struct client_reader {
    struct client *client;
    int64_t position;
};

struct client_writer {
    struct client *client;
    struct client_txn *txn;
    bool transactional;
    size_t held_bytes;
    int64_t count;
};

struct client_txn {
    struct client *client;
    int64_t pid;
    int16_t epoch;
};

enum { CLIENT_READ_BYTES = 1 << 20, CLIENT_BATCH_BYTES = 256 << 10 };

#endif
