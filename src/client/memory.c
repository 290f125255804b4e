/* memory.c - topics as arrays of records: the client of step mode and of tests.
 *
 *     topics: name -> memory_topic { partitions[] { records..., readers } }
 *
 * (M1) One thread. What is written can be read at once, in a transaction too: a caller that aborts must not have
 *      written (step mode never aborts).
 * (M2) Record bytes lie in the topic's arena, key, value and headers of a record together, followed by CLIENT_SLACK
 *      bytes; they live as long as the client, so readers hand out slices.
 * (M3) Where the partition is the client's choice it is 0: step mode runs one partition, whatever count the catalog sees.
 * (M4) A deleted topic leaves the map but stays allocated until the client is freed: readers may still hold it.
 */
#include "client/client_int.h"

struct memory_partition {
    vec(struct record) records;
    struct list readers;
};

struct memory_topic {
    struct str name;
    struct arena arena;
    bool deleted;
    int32_t partition_count;
    struct memory_partition *partitions;
    struct client_topic_config *configs;
    size_t config_count;
};

struct memory_offset {
    struct str group, topic;
    int32_t partition;
    int64_t offset;
};

struct memory_client {
    struct client client;
    struct arena arena;
    struct map topics;
    vec(struct memory_topic *) all; /* deleted ones too */
    vec(struct memory_offset) group_offsets;
    int64_t pid_last;
    struct str txn_id_last;
};

struct memory_reader {
    struct client_reader reader;
    struct memory_topic *topic;
    struct memory_partition *part;
    int32_t partition;
    void (*notify)(void *arg);
    void *arg;
    struct list link;
};

struct memory_writer {
    struct client_writer writer;
    struct memory_topic *topic;
};

static struct memory_client *memory_of(struct client *client)
{
    return (struct memory_client *)client;
}

static struct memory_topic *memory_topic(struct client *client, struct str name, struct err *err)
{
    struct memory_topic *topic = map_get(&memory_of(client)->topics, name);
    if (topic == NULL)
        err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s does not exist", STR_ARG(name));
    return topic;
}

static struct memory_partition *memory_partition(struct client *client, struct str name, int32_t partition,
                                                 struct err *err)
{
    struct memory_topic *topic = memory_topic(client, name, err);
    if (topic == NULL)
        return NULL;
    if (partition < 0 || partition >= topic->partition_count) {
        err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s has no partition %d", STR_ARG(name), partition);
        return NULL;
    }
    return &topic->partitions[partition];
}

/* Topics ---------------------------------------------------------------------------------------------------- */

static struct client_topic_config *configs_dup(const struct client_topic_config *configs, size_t count,
                                               struct arena *arena)
{
    struct client_topic_config *copy = arena_array(arena, struct client_topic_config, count);
    for (size_t i = 0; i < count; i++)
        copy[i] =
            (struct client_topic_config){str_dup(configs[i].name, arena), str_dup(configs[i].value, arena)};
    return copy;
}

static bool memory_topic_create(struct client *client, struct str name, int32_t partition_count,
                                const struct client_topic_config *configs, size_t config_count,
                                struct err *err)
{
    struct memory_client *memory = memory_of(client);
    if (map_has(&memory->topics, name))
        return err_set(err, ERR_TOPIC_EXISTS, "topic %.*s exists already", STR_ARG(name));
    if (partition_count == -1)
        partition_count = 1;
    if (partition_count < 1)
        return err_set(err, ERR_INVALID_PARTITIONS, "topic %.*s cannot have %d partitions", STR_ARG(name),
                       partition_count);
    struct memory_topic *topic = mem_new(struct memory_topic);
    topic->name = str_dup(name, &topic->arena);
    topic->partition_count = partition_count;
    topic->partitions = mem_zalloc((size_t)partition_count, sizeof *topic->partitions);
    for (int32_t i = 0; i < partition_count; i++)
        list_init(&topic->partitions[i].readers);
    topic->configs = configs_dup(configs, config_count, &topic->arena);
    topic->config_count = config_count;
    vec_push(&memory->all, topic);
    map_put(&memory->topics, name, topic);
    return true;
}

static bool memory_topic_delete(struct client *client, struct str name, struct err *err)
{
    struct memory_topic *topic = memory_topic(client, name, err);
    if (topic == NULL)
        return false;
    topic->deleted = true;
    map_remove(&memory_of(client)->topics, name);
    return true;
}

static void memory_topic_fill(const struct memory_topic *topic, struct client_topic *out, struct arena *arena)
{
    *out = (struct client_topic){.name = str_dup(topic->name, arena),
                                 .partition_count = topic->partition_count,
                                 .configs = configs_dup(topic->configs, topic->config_count, arena),
                                 .config_count = topic->config_count};
}

static bool memory_topic_describe(struct client *client, struct str name, struct client_topic *out,
                                  struct arena *arena, struct err *err)
{
    struct memory_topic *topic = memory_topic(client, name, err);
    if (topic == NULL)
        return false;
    memory_topic_fill(topic, out, arena);
    return true;
}

static int topic_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct client_topic *)a)->name, ((const struct client_topic *)b)->name);
}

static struct client_topic *memory_topic_list(struct client *client, size_t *count, struct arena *arena)
{
    struct memory_client *memory = memory_of(client);
    struct client_topic *list = arena_array(arena, struct client_topic, memory->topics.len);
    struct str name;
    void *topic;
    *count = 0;
    for (size_t i = 0; map_next(&memory->topics, &i, &name, &topic);)
        memory_topic_fill(topic, &list[(*count)++], arena);
    if (*count > 1)
        qsort(list, *count, sizeof *list, topic_cmp);
    return list;
}

static int32_t memory_partition_count(struct client *client, struct str name)
{
    struct memory_topic *topic = memory_topic(client, name, NULL);
    return topic != NULL ? topic->partition_count : -1;
}

static struct str memory_topic_config_get(struct client *client, struct str name, struct str config,
                                          struct arena *arena)
{
    struct memory_topic *topic = memory_topic(client, name, NULL);
    for (size_t i = 0; topic != NULL && i < topic->config_count; i++)
        if (str_eq(topic->configs[i].name, config))
            return str_dup(topic->configs[i].value, arena);
    return STR_NULL;
}

/* Offsets --------------------------------------------------------------------------------------------------- */

static bool memory_offsets(struct client *client, struct str topic, int32_t partition,
                           struct client_offsets *out, struct err *err)
{
    struct memory_partition *part = memory_partition(client, topic, partition, err);
    if (part == NULL)
        return false;
    *out =
        (struct client_offsets){.end = (int64_t)part->records.len, .committed = (int64_t)part->records.len};
    return true;
}

static bool memory_offset_for_time(struct client *client, struct str topic, int32_t partition,
                                   int64_t time_ms, int64_t *offset, struct err *err)
{
    struct memory_partition *part = memory_partition(client, topic, partition, err);
    if (part == NULL)
        return false;
    size_t i = 0;
    while (i < part->records.len && part->records.at[i].timestamp_ms < time_ms)
        i++;
    *offset = (int64_t)i;
    return true;
}

/* Reader ---------------------------------------------------------------------------------------------------- */

static bool memory_reader_seek(struct client_reader *reader, int64_t offset, struct err *err)
{
    struct memory_reader *mr = (struct memory_reader *)reader;
    int64_t end = (int64_t)mr->part->records.len;
    if (offset > end)
        return err_set(err, ERR_OFFSET_OUT_OF_RANGE,
                       "offset %" PRId64 " is past the end %" PRId64 " of %.*s-%d", offset, end,
                       STR_ARG(mr->topic->name), mr->partition);
    reader->position = offset == CLIENT_EARLIEST ? 0 : offset == CLIENT_LATEST ? end : offset;
    return true;
}

static struct client_reader *memory_reader_new(struct client *client, struct str topic, int32_t partition,
                                               const struct client_reader_options *options, struct err *err)
{
    struct memory_partition *part = memory_partition(client, topic, partition, err);
    if (part == NULL)
        return NULL;
    struct memory_reader *mr = mem_new(struct memory_reader);
    mr->reader.client = client;
    mr->topic = map_get(&memory_of(client)->topics, topic);
    mr->part = part;
    mr->partition = partition;
    mr->notify = options->notify;
    mr->arg = options->arg;
    if (!memory_reader_seek(&mr->reader, options->offset, err)) {
        free(mr);
        return NULL;
    }
    list_push_back(&part->readers, &mr->link);
    return &mr->reader;
}

static void memory_reader_free(struct client_reader *reader)
{
    struct memory_reader *mr = (struct memory_reader *)reader;
    list_remove(&mr->link);
    free(mr);
}

static bool memory_reader_poll(struct client_reader *reader, struct err *err)
{
    struct memory_reader *mr = (struct memory_reader *)reader;
    if (mr->topic->deleted)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s was deleted", STR_ARG(mr->topic->name));
    return true;
}

static size_t memory_reader_take(struct client_reader *reader, struct record *recs, size_t max)
{
    struct memory_reader *mr = (struct memory_reader *)reader;
    size_t left = mr->part->records.len - (size_t)reader->position;
    size_t n = MIN(left, max);
    if (n != 0)
        memcpy(recs, mr->part->records.at + reader->position, n * sizeof *recs);
    reader->position += (int64_t)n;
    return n;
}

static int64_t memory_reader_lag(struct client_reader *reader)
{
    return (int64_t)((struct memory_reader *)reader)->part->records.len - reader->position;
}

/* Transactions ---------------------------------------------------------------------------------------------- */

static struct client_txn *memory_txn_begin(struct client *client, struct str transactional_id,
                                           struct err *err)
{
    struct memory_client *memory = memory_of(client);
    struct client_txn *txn = mem_new(struct client_txn);
    *txn = (struct client_txn){.client = client, .pid = ++memory->pid_last, .epoch = 0};
    memory->txn_id_last = str_dup(transactional_id, &memory->arena);
    return txn;
}

static bool memory_txn_commit(struct client_txn *txn, const struct client_txn_input *inputs, size_t count,
                              struct err *err)
{
    free(txn);
    return true;
}

static bool memory_txn_abort(struct client_txn *txn, struct err *err)
{
    free(txn);
    return true;
}

static enum client_txn_state memory_txn_last(struct client *client, struct str transactional_id, int64_t *pid,
                                             int16_t *epoch)
{
    struct memory_client *memory = memory_of(client);
    if (memory->pid_last == 0 || !str_eq(memory->txn_id_last, transactional_id))
        return CLIENT_TXN_NONE;
    *pid = memory->pid_last;
    *epoch = 0;
    return CLIENT_TXN_COMMITTED;
}

/* Writer ---------------------------------------------------------------------------------------------------- */

static struct client_writer *memory_writer_new(struct client *client, struct str topic,
                                               const struct client_writer_options *options, struct err *err)
{
    struct memory_topic *found = memory_topic(client, topic, err);
    if (found == NULL)
        return NULL;
    struct memory_writer *mw = mem_new(struct memory_writer);
    mw->writer = (struct client_writer){.client = client, .transactional = options->transactional};
    mw->topic = found;
    return &mw->writer;
}

static void memory_writer_free(struct client_writer *writer)
{
    free(writer);
}

/* Copies a slice to *at; null stays null. */
static struct str place(struct str s, char **at)
{
    if (str_is_null(s))
        return s;
    char *start = *at;
    if (s.len != 0)
        memcpy(start, s.ptr, s.len);
    *at += s.len;
    return str_of(start, s.len);
}

static bool memory_writer_add(struct client_writer *writer, int32_t partition, int64_t timestamp_ms,
                              struct str key, struct str value, struct str headers, int32_t header_count,
                              struct err *err)
{
    struct memory_writer *mw = (struct memory_writer *)writer;
    struct memory_topic *topic = mw->topic;
    if (topic->deleted)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s was deleted", STR_ARG(topic->name));
    if (partition < 0)
        partition = 0; /* step mode runs one partition, whatever count the catalog sees */
    if (partition >= topic->partition_count)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s has no partition %d", STR_ARG(topic->name),
                       partition);
    struct memory_partition *part = &topic->partitions[partition];
    char *at = arena_alloc_bytes(&topic->arena, key.len + value.len + headers.len + CLIENT_SLACK);
    struct record rec = {.offset = (int64_t)part->records.len, .timestamp_ms = timestamp_ms};
    rec.key = place(key, &at);
    rec.value = place(value, &at);
    rec.headers = place(headers, &at);
    rec.header_count = header_count;
    memset(at, 0, CLIENT_SLACK);
    vec_push(&part->records, rec);
    writer->count++;
    list_each (struct memory_reader, reader, &part->readers, link)
        if (reader->notify != NULL)
            reader->notify(reader->arg);
    return true;
}

static bool memory_writer_flush(struct client_writer *writer, struct err *err)
{
    return true;
}

static void memory_writer_reset(struct client_writer *writer)
{
}

/* Group offsets --------------------------------------------------------------------------------------------- */

static struct memory_offset *memory_offset(struct memory_client *memory, struct str group, struct str topic,
                                           int32_t partition)
{
    for (size_t i = 0; i < memory->group_offsets.len; i++) {
        struct memory_offset *at = &memory->group_offsets.at[i];
        if (at->partition == partition && str_eq(at->group, group) && str_eq(at->topic, topic))
            return at;
    }
    return NULL;
}

static bool memory_group_commit(struct client *client, struct str group,
                                const struct client_group_offset *offsets, size_t count, struct err *err)
{
    struct memory_client *memory = memory_of(client);
    for (size_t i = 0; i < count; i++) {
        struct memory_offset *known = memory_offset(memory, group, offsets[i].topic, offsets[i].partition);
        if (known != NULL)
            known->offset = offsets[i].offset;
        else
            vec_push(&memory->group_offsets, (struct memory_offset){str_dup(group, &memory->arena),
                                                                    str_dup(offsets[i].topic, &memory->arena),
                                                                    offsets[i].partition, offsets[i].offset});
    }
    return true;
}

static bool memory_group_fetch(struct client *client, struct str group, struct client_group_offset *offsets,
                               size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct memory_offset *known =
            memory_offset(memory_of(client), group, offsets[i].topic, offsets[i].partition);
        offsets[i].offset = known != NULL ? known->offset : -1;
    }
    return true;
}

static bool memory_group_delete(struct client *client, struct str group, struct err *err)
{
    struct memory_client *memory = memory_of(client);
    for (size_t i = memory->group_offsets.len; i-- > 0;)
        if (str_eq(memory->group_offsets.at[i].group, group))
            vec_remove(&memory->group_offsets, i);
    return true;
}

/* The client ------------------------------------------------------------------------------------------------ */

static void memory_free(struct client *client)
{
    struct memory_client *memory = memory_of(client);
    for (size_t i = 0; i < memory->all.len; i++) {
        struct memory_topic *topic = memory->all.at[i];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            ASSERT(list_empty(&topic->partitions[p].readers));
            vec_fini(&topic->partitions[p].records);
        }
        free(topic->partitions);
        arena_fini(&topic->arena);
        free(topic);
    }
    vec_fini(&memory->all);
    vec_fini(&memory->group_offsets);
    map_fini(&memory->topics);
    arena_fini(&memory->arena);
    free(memory);
}

static const struct client_ops memory_ops = {
    .free = memory_free,
    .topic_create = memory_topic_create,
    .topic_delete = memory_topic_delete,
    .topic_describe = memory_topic_describe,
    .topic_list = memory_topic_list,
    .partition_count = memory_partition_count,
    .topic_config_get = memory_topic_config_get,
    .offsets = memory_offsets,
    .offset_for_time = memory_offset_for_time,
    .reader_new = memory_reader_new,
    .reader_free = memory_reader_free,
    .reader_poll = memory_reader_poll,
    .reader_take = memory_reader_take,
    .reader_seek = memory_reader_seek,
    .reader_lag = memory_reader_lag,
    .txn_begin = memory_txn_begin,
    .txn_commit = memory_txn_commit,
    .txn_abort = memory_txn_abort,
    .txn_last = memory_txn_last,
    .writer_new = memory_writer_new,
    .writer_free = memory_writer_free,
    .writer_add = memory_writer_add,
    .writer_flush = memory_writer_flush,
    .writer_wait = memory_writer_flush,
    .writer_reset = memory_writer_reset,
    .group_commit = memory_group_commit,
    .group_fetch = memory_group_fetch,
    .group_delete = memory_group_delete,
};

struct client *client_memory_new(void)
{
    struct memory_client *memory = mem_new(struct memory_client);
    memory->client.ops = &memory_ops;
    return &memory->client;
}
