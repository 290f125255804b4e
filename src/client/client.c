/* client.c - the calls of client.h, handed to the implementation behind the client. */
#include "client/client_int.h"

void client_free(struct client *client)
{
    if (client != NULL)
        client->ops->free(client);
}

bool client_topic_create(struct client *client, struct str name, int32_t partition_count,
                         const struct client_topic_config *configs, size_t config_count, struct err *err)
{
    return client->ops->topic_create(client, name, partition_count, configs, config_count, err);
}

bool client_topic_delete(struct client *client, struct str name, struct err *err)
{
    return client->ops->topic_delete(client, name, err);
}

bool client_topic_describe(struct client *client, struct str name, struct client_topic *out,
                           struct arena *arena, struct err *err)
{
    return client->ops->topic_describe(client, name, out, arena, err);
}

struct client_topic *client_topic_list(struct client *client, size_t *count, struct arena *arena)
{
    return client->ops->topic_list(client, count, arena);
}

int32_t client_partition_count(struct client *client, struct str topic)
{
    return client->ops->partition_count(client, topic);
}

struct str client_topic_config_get(struct client *client, struct str topic, struct str config,
                                   struct arena *arena)
{
    return client->ops->topic_config_get(client, topic, config, arena);
}

bool client_offsets(struct client *client, struct str topic, int32_t partition, struct client_offsets *out,
                    struct err *err)
{
    return client->ops->offsets(client, topic, partition, out, err);
}

bool client_offset_for_time(struct client *client, struct str topic, int32_t partition, int64_t time_ms,
                            int64_t *offset, struct err *err)
{
    return client->ops->offset_for_time(client, topic, partition, time_ms, offset, err);
}

struct client_reader *client_reader_new(struct client *client, struct str topic, int32_t partition,
                                        const struct client_reader_options *options, struct err *err)
{
    ASSERT(options->offset >= CLIENT_EARLIEST);
    return client->ops->reader_new(client, topic, partition, options, err);
}

void client_reader_free(struct client_reader *reader)
{
    if (reader != NULL)
        reader->client->ops->reader_free(reader);
}

bool client_reader_poll(struct client_reader *reader, struct err *err)
{
    return reader->client->ops->reader_poll(reader, err);
}

size_t client_reader_take(struct client_reader *reader, struct record *recs, size_t max)
{
    return reader->client->ops->reader_take(reader, recs, max);
}

int64_t client_reader_position(const struct client_reader *reader)
{
    return reader->position;
}

bool client_reader_seek(struct client_reader *reader, int64_t offset, struct err *err)
{
    return reader->client->ops->reader_seek(reader, offset, err);
}

int64_t client_reader_lag(struct client_reader *reader)
{
    return reader->client->ops->reader_lag(reader);
}

struct client_txn *client_txn_begin(struct client *client, struct str transactional_id, struct err *err)
{
    return client->ops->txn_begin(client, transactional_id, err);
}

int64_t client_txn_pid(const struct client_txn *txn)
{
    return txn->pid;
}

int16_t client_txn_epoch(const struct client_txn *txn)
{
    return txn->epoch;
}

bool client_txn_commit(struct client_txn *txn, const struct client_txn_input *inputs, size_t count,
                       struct err *err)
{
    return txn->client->ops->txn_commit(txn, inputs, count, err);
}

bool client_txn_abort(struct client_txn *txn, struct err *err)
{
    return txn->client->ops->txn_abort(txn, err);
}

enum client_txn_state client_txn_last(struct client *client, struct str transactional_id, int64_t *pid,
                                      int16_t *epoch)
{
    return client->ops->txn_last(client, transactional_id, pid, epoch);
}

struct client_writer *client_writer_new(struct client *client, struct str topic,
                                        const struct client_writer_options *options, struct err *err)
{
    return client->ops->writer_new(client, topic, options, err);
}

void client_writer_free(struct client_writer *writer)
{
    if (writer != NULL)
        writer->client->ops->writer_free(writer);
}

bool client_writer_add(struct client_writer *writer, int32_t partition, int64_t timestamp_ms, struct str key,
                       struct str value, struct str headers, int32_t header_count, struct err *err)
{
    return writer->client->ops->writer_add(writer, partition, timestamp_ms, key, value, headers, header_count,
                                           err);
}

void client_writer_set_txn(struct client_writer *writer, struct client_txn *txn)
{
    ASSERT(writer->transactional);
    writer->txn = txn;
}

bool client_writer_flush(struct client_writer *writer, struct err *err)
{
    return writer->client->ops->writer_flush(writer, err);
}

bool client_writer_wait(struct client_writer *writer, struct err *err)
{
    ASSERT(!writer->transactional);
    return writer->client->ops->writer_wait(writer, err);
}

void client_writer_reset(struct client_writer *writer)
{
    writer->client->ops->writer_reset(writer);
}

size_t client_writer_held(const struct client_writer *writer)
{
    return writer->held_bytes;
}

int64_t client_writer_count(const struct client_writer *writer)
{
    return writer->count;
}

bool client_group_commit(struct client *client, struct str group, const struct client_group_offset *offsets,
                         size_t count, struct err *err)
{
    return client->ops->group_commit(client, group, offsets, count, err);
}

bool client_group_fetch(struct client *client, struct str group, struct client_group_offset *offsets,
                        size_t count, struct err *err)
{
    return client->ops->group_fetch(client, group, offsets, count, err);
}

bool client_group_delete(struct client *client, struct str group, struct err *err)
{
    return client->ops->group_delete(client, group, err);
}
