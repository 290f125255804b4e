/* parts_once.c - a request names each partition once.
 *
 *   repeats?  no, nearly always: told by a few comparisons and a bit for each partition, without memory
 *      `- yes: topic -> its new row, with room for all of its partitions; topic and partition -> its row there
 */
#include "broker/parts_once.h"

/* Any array field of a message. */
struct rows {
    char *at;
    int32_t len;
};

enum {
    FEW = 16,
    BITS = 4096
}; /* so many topics are compared with each other; so many partitions have a bit */

static void *topic_at(const struct parts_shape *shape, const struct rows *topics, int32_t i)
{
    return topics->at + (size_t)i * shape->topic_bytes;
}

static struct rows *parts_of(const struct parts_shape *shape, void *topic)
{
    return (struct rows *)((char *)topic + shape->parts_at);
}

static struct str key_of(const struct parts_shape *shape, const void *topic)
{
    const char *key = (const char *)topic + shape->key_at;
    return shape->by_id ? str_of(key, sizeof(struct uuid)) : *(const struct str *)key;
}

static int32_t index_of(const struct parts_shape *shape, const struct rows *parts, int32_t i)
{
    return *(const int32_t *)(parts->at + (size_t)i * shape->part_bytes + shape->index_at);
}

/* --- is there anything to do? --- */

static bool topics_repeat(const struct parts_shape *shape, const struct rows *topics)
{
    struct map seen = {0};
    bool found = false;
    for (int32_t i = 1; i < topics->len && topics->len <= FEW; i++)
        for (int32_t j = 0; j < i; j++)
            if (str_eq(key_of(shape, topic_at(shape, topics, i)), key_of(shape, topic_at(shape, topics, j))))
                return true;
    for (int32_t i = 0; i < topics->len && topics->len > FEW && !found; i++)
        found = map_put(&seen, key_of(shape, topic_at(shape, topics, i)), &seen) != NULL;
    map_fini(&seen);
    return found;
}

/* True also when that cannot be told: for numbers that have no bit and are not in order. */
static bool partitions_may_repeat(const struct parts_shape *shape, const struct rows *parts)
{
    uint64_t seen[BITS / 64];
    int32_t i = 1;
    while (i < parts->len && index_of(shape, parts, i - 1) < index_of(shape, parts, i))
        i++;
    if (i >= parts->len)
        return false;
    memset(seen, 0, sizeof seen);
    for (i = 0; i < parts->len; i++) {
        int32_t index = index_of(shape, parts, i);
        if (index < 0 || index >= BITS || (seen[index / 64] >> (index % 64) & 1) != 0)
            return true;
        seen[index / 64] |= UINT64_C(1) << (index % 64);
    }
    return false;
}

static bool may_repeat(const struct parts_shape *shape, const struct rows *topics)
{
    for (int32_t i = 0; i < topics->len; i++) {
        const struct rows *parts = parts_of(shape, topic_at(shape, topics, i));
        if ((parts->len <= 0 && !shape->keeps_empty) || partitions_may_repeat(shape, parts))
            return true;
    }
    return topics_repeat(shape, topics);
}

/* --- joining --- */

/* Topic and number as one key; in `buf`. */
static struct str part_key(struct buf *buf, struct str topic, int32_t index)
{
    buf_clear(buf);
    buf_append_str(buf, topic);
    buf_append(buf, &index, sizeof index);
    return buf_str(buf);
}

/* The new rows of topics, in the order of their first, each with room for all of its partitions. */
static void join_topics(const struct parts_shape *shape, const struct rows *from, struct rows *to,
                        struct map *rows, struct arena *arena)
{
    to->at = arena_alloc(arena, (size_t)from->len * shape->topic_bytes);
    for (int32_t i = 0; i < from->len; i++) {
        void *topic = topic_at(shape, from, i), *row = map_get(rows, key_of(shape, topic));
        int32_t count = parts_of(shape, topic)->len;
        if (count <= 0 && !shape->keeps_empty)
            continue;
        if (row == NULL) {
            row = topic_at(shape, to, to->len++);
            memcpy(row, topic, shape->topic_bytes);
            parts_of(shape, row)->len = 0;
            map_put(rows, key_of(shape, topic), row);
        }
        parts_of(shape, row)->len += MAX(count, 0);
    }
    for (int32_t i = 0; i < to->len; i++) {
        struct rows *parts = parts_of(shape, topic_at(shape, to, i));
        parts->at = arena_alloc(arena, (size_t)parts->len * shape->part_bytes);
        parts->len = 0;
    }
}

static void join_partitions(const struct parts_shape *shape, const struct rows *from, const struct map *rows,
                            struct map *again)
{
    struct map places = {0};
    struct buf key = {0};
    for (int32_t i = 0; i < from->len; i++) {
        void *topic = topic_at(shape, from, i);
        struct rows *parts = parts_of(shape, topic);
        struct str name = key_of(shape, topic);
        for (int32_t j = 0; j < parts->len; j++) {
            struct rows *out = parts_of(shape, map_get(rows, name));
            struct str at = part_key(&key, name, index_of(shape, parts, j));
            char *place = map_get(&places, at);
            if (place == NULL)
                map_put(&places, at, place = out->at + (size_t)out->len++ * shape->part_bytes);
            else if (again != NULL)
                map_put(again, at, again);
            memcpy(place, parts->at + (size_t)j * shape->part_bytes, shape->part_bytes);
        }
    }
    buf_fini(&key);
    map_fini(&places);
}

void parts_once(const struct parts_shape *shape, const void *topics, struct map *again, struct arena *arena)
{
    struct rows *from = (struct rows *)topics, to = {0};
    struct map rows = {0};
    if (!may_repeat(shape, from))
        return;
    join_topics(shape, from, &to, &rows, arena);
    join_partitions(shape, from, &rows, again);
    map_fini(&rows);
    *from = to;
}

bool parts_came_again(const struct map *again, struct str topic, int32_t partition)
{
    struct buf key = {0};
    bool found = again->len != 0 && map_has(again, part_key(&key, topic, partition));
    buf_fini(&key);
    return found;
}

void parts_drop_empty(const struct parts_shape *shape, const void *topics)
{
    struct rows *rows = (struct rows *)topics;
    int32_t kept = 0;
    for (int32_t i = 0; i < rows->len; i++)
        if (parts_of(shape, topic_at(shape, rows, i))->len > 0)
            memmove(topic_at(shape, rows, kept++), topic_at(shape, rows, i), shape->topic_bytes);
    rows->len = MIN(rows->len, kept);
}
