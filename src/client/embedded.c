/* embedded.c - the client over storage and coordinators of this process: topics, offsets, transactions, groups.
 *
 * No socket and no copy of requests: each call is one call of storage.h or coord.h. Readers and writers have files of their own.
 */
#include "client/embedded_int.h"
#include "log/log.h"

/* Topics ---------------------------------------------------------------------------------------------------- */

static bool embedded_topic_create(struct client *client, struct str name, int32_t partition_count,
                                  const struct client_topic_config *configs, size_t config_count,
                                  struct err *err)
{
    struct arena arena = {0};
    struct storage_topic_config *list = arena_array(&arena, struct storage_topic_config, config_count);
    for (size_t i = 0; i < config_count; i++)
        list[i] = (struct storage_topic_config){configs[i].name, configs[i].value};
    bool ok = storage_topic_create(embedded_storage(client), name, partition_count, list, config_count, err);
    arena_fini(&arena);
    return ok;
}

static bool embedded_topic_delete(struct client *client, struct str name, struct err *err)
{
    return storage_topic_delete(embedded_storage(client), name, err);
}

static void topic_fill(const struct storage_topic *topic, struct client_topic *out, struct arena *arena)
{
    *out = (struct client_topic){.name = topic->name,
                                 .partition_count = topic->partition_count,
                                 .internal = topic->internal,
                                 .config_count = topic->config_count};
    out->configs = arena_array(arena, struct client_topic_config, topic->config_count);
    for (size_t i = 0; i < topic->config_count; i++)
        out->configs[i] = (struct client_topic_config){topic->configs[i].name, topic->configs[i].value};
}

static bool embedded_topic_describe(struct client *client, struct str name, struct client_topic *out,
                                    struct arena *arena, struct err *err)
{
    struct storage_topic topic;
    if (!storage_topic_describe(embedded_storage(client), name, &topic, arena, err))
        return false;
    topic_fill(&topic, out, arena);
    return true;
}

static struct client_topic *embedded_topic_list(struct client *client, size_t *count, struct arena *arena)
{
    struct storage_topic *topics = storage_topic_list(embedded_storage(client), count, arena);
    struct client_topic *list = arena_array(arena, struct client_topic, *count);
    for (size_t i = 0; i < *count; i++)
        topic_fill(&topics[i], &list[i], arena);
    return list;
}

static int32_t embedded_partition_count(struct client *client, struct str name)
{
    struct arena arena = {0};
    struct storage_topic topic;
    bool known = storage_topic_describe(embedded_storage(client), name, &topic, &arena, NULL);
    arena_fini(&arena);
    return known ? topic.partition_count : -1;
}

static struct str embedded_topic_config_get(struct client *client, struct str topic, struct str config,
                                            struct arena *arena)
{
    return storage_topic_config_get(embedded_storage(client), topic, config, arena);
}

/* Offsets --------------------------------------------------------------------------------------------------- */

static bool embedded_offsets(struct client *client, struct str topic, int32_t partition,
                             struct client_offsets *out, struct err *err)
{
    struct partition *part = storage_partition_get(embedded_storage(client), topic, partition, err);
    if (part == NULL)
        return false;
    bool ok = log_check_readable(partition_log(part), err);
    int64_t hw = partition_hw(part), lso = partition_lso(part);
    if (ok)
        *out = (struct client_offsets){.start = partition_start(part),
                                       .end = partition_end(part),
                                       .committed = MIN(hw, lso)};
    partition_unref(part);
    return ok;
}

static bool embedded_offset_for_time(struct client *client, struct str topic, int32_t partition,
                                     int64_t time_ms, int64_t *offset, struct err *err)
{
    struct partition *part = storage_partition_get(embedded_storage(client), topic, partition, err);
    if (part == NULL)
        return false;
    struct log_time_hit hit;
    bool ok = log_offset_for_time(partition_log(part), time_ms, LOG_READ_COMMITTED, &hit, err);
    if (ok)
        *offset = hit.offset >= 0 ? hit.offset : partition_end(part);
    partition_unref(part);
    return ok;
}

/* Transactions ---------------------------------------------------------------------------------------------- */

static struct client_txn *embedded_txn_begin(struct client *client, struct str transactional_id,
                                             struct err *err)
{
    struct coord_txn *coord_txn;
    if (!coord_txn_begin(embedded_coord(client), transactional_id, &coord_txn, err))
        return NULL;
    struct embedded_txn *et = mem_new(struct embedded_txn);
    et->txn = (struct client_txn){.client = client,
                                  .pid = coord_txn_producer_id(coord_txn),
                                  .epoch = coord_txn_epoch(coord_txn)};
    et->coord_txn = coord_txn;
    return &et->txn;
}

/* Inputs whose topic is gone are left out: nothing of them can be lost any more. */
static bool embedded_txn_commit(struct client_txn *txn, const struct client_txn_input *inputs, size_t count,
                                struct err *err)
{
    struct embedded_txn *et = (struct embedded_txn *)txn;
    struct storage *storage = embedded_storage(txn->client);
    struct coord_txn_input *list = mem_zalloc(count + 1, sizeof *list);
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        struct partition *part = storage_partition_get(storage, inputs[i].topic, inputs[i].partition, NULL);
        if (part != NULL)
            list[known++] = (struct coord_txn_input){part, inputs[i].offset};
    }
    bool ok = coord_txn_commit_wait(et->coord_txn, list, known, err);
    for (size_t i = 0; i < known; i++)
        partition_unref(list[i].part);
    free(list);
    free(et);
    return ok;
}

static bool embedded_txn_abort(struct client_txn *txn, struct err *err)
{
    struct embedded_txn *et = (struct embedded_txn *)txn;
    bool ok = coord_txn_abort(et->coord_txn, err);
    free(et);
    return ok;
}

static enum client_txn_state embedded_txn_last(struct client *client, struct str transactional_id,
                                               int64_t *pid, int16_t *epoch)
{
    switch (coord_txn_last(embedded_coord(client), transactional_id, pid, epoch)) {
    case COORD_TXN_COMMITTED:
        return CLIENT_TXN_COMMITTED;
    case COORD_TXN_NONE:
        return CLIENT_TXN_NONE;
    case COORD_TXN_OPEN:
        return CLIENT_TXN_OPEN;
    case COORD_TXN_ABORTED:
        break;
    }
    return CLIENT_TXN_ABORTED;
}

/* Group offsets --------------------------------------------------------------------------------------------- */

static bool embedded_group_commit(struct client *client, struct str group,
                                  const struct client_group_offset *offsets, size_t count, struct err *err)
{
    struct coord_group_offset *list = mem_zalloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] =
            (struct coord_group_offset){offsets[i].topic, offsets[i].partition, offsets[i].offset, STR("")};
    bool ok = coord_group_commit(embedded_coord(client), group, list, count, err);
    free(list);
    return ok;
}

static bool embedded_group_fetch(struct client *client, struct str group, struct client_group_offset *offsets,
                                 size_t count, struct err *err)
{
    struct arena arena = {0};
    struct coord_group_offset *list = arena_array(&arena, struct coord_group_offset, count);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct coord_group_offset){offsets[i].topic, offsets[i].partition, -1, STR("")};
    coord_group_fetch(embedded_coord(client), group, list, count, &arena);
    for (size_t i = 0; i < count; i++)
        offsets[i].offset = list[i].offset;
    arena_fini(&arena);
    return true;
}

static bool embedded_group_delete(struct client *client, struct str group, struct err *err)
{
    struct err failure;
    if (coord_group_delete(embedded_coord(client), group, &failure) || failure.code == ERR_GROUP_NOT_FOUND)
        return true;
    if (err != NULL)
        *err = failure;
    return false;
}

/* The client ------------------------------------------------------------------------------------------------ */

static void embedded_free(struct client *client)
{
    free(client);
}

static const struct client_ops embedded_ops = {
    .free = embedded_free,
    .topic_create = embedded_topic_create,
    .topic_delete = embedded_topic_delete,
    .topic_describe = embedded_topic_describe,
    .topic_list = embedded_topic_list,
    .partition_count = embedded_partition_count,
    .topic_config_get = embedded_topic_config_get,
    .offsets = embedded_offsets,
    .offset_for_time = embedded_offset_for_time,
    .reader_new = embedded_reader_new,
    .reader_free = embedded_reader_free,
    .reader_poll = embedded_reader_poll,
    .reader_take = embedded_reader_take,
    .reader_seek = embedded_reader_seek,
    .reader_lag = embedded_reader_lag,
    .txn_begin = embedded_txn_begin,
    .txn_commit = embedded_txn_commit,
    .txn_abort = embedded_txn_abort,
    .txn_last = embedded_txn_last,
    .writer_new = embedded_writer_new,
    .writer_free = embedded_writer_free,
    .writer_add = embedded_writer_add,
    .writer_flush = embedded_writer_flush,
    .writer_wait = embedded_writer_wait,
    .writer_reset = embedded_writer_reset,
    .group_commit = embedded_group_commit,
    .group_fetch = embedded_group_fetch,
    .group_delete = embedded_group_delete,
};

struct client *client_embedded_new(struct storage *storage, struct coord *coord)
{
    struct embedded_client *embedded = mem_new(struct embedded_client);
    embedded->client.ops = &embedded_ops;
    embedded->storage = storage;
    embedded->coord = coord;
    return &embedded->client;
}
