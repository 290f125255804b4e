/* streams_group.c - streams groups in memory: tasks, the topology, what is known of members. */
#include "group/streams_int.h"

/* --- tasks --- */

struct uuid task_id(enum task_role role, uint32_t subtopology)
{
    struct uuid id = {{(uint8_t)role}};
    store_be32(&id.bytes[12], subtopology);
    return id;
}

enum task_role task_role_of(const struct topic_part *task)
{
    ASSERT(task->topic.bytes[0] < TASK_ROLES);
    return (enum task_role)task->topic.bytes[0];
}

uint32_t task_subtopology(const struct topic_part *task)
{
    return load_be32(&task->topic.bytes[12]);
}

struct str task_subtopology_id(const streams_topology *topology, const struct topic_part *task,
                               struct arena *arena)
{
    uint32_t at = task_subtopology(task);
    ASSERT(topology != NULL && at < (uint32_t)topology->Subtopologies.len);
    return str_dup(topology->Subtopologies.at[at].SubtopologyId, arena);
}

static void reserve(struct task_reader *reader, size_t more)
{
    struct topic_part *old = reader->set.at;
    if (reader->set.len + more <= reader->room)
        return;
    reader->room = MAX(reader->room * 2, reader->set.len + more);
    reader->set.at = arena_array(reader->arena, struct topic_part, reader->room);
    if (reader->set.len != 0)
        memcpy(reader->set.at, old, reader->set.len * sizeof old[0]);
}

void task_reader_add(struct task_reader *reader, enum task_role role, struct str subtopology,
                     const int32_t *partitions, int32_t count, const int32_t *epochs, int32_t epoch_count)
{
    int32_t at = reader->topology == NULL ? -1 : streams_subtopology_find(reader->topology, subtopology);
    if (at < 0) {
        if (str_is_null(reader->unknown))
            reader->unknown = subtopology;
        return;
    }
    reserve(reader, (size_t)MAX(count, 0));
    for (int32_t i = 0; i < count; i++)
        reader->set.at[reader->set.len++] =
            (struct topic_part){task_id(role, (uint32_t)at), partitions[i], i < epoch_count ? epochs[i] : 0};
}

void task_reader_end(struct task_reader *reader)
{
    part_set_sort(&reader->set);
}

/* --- groups --- */

void streams_group_init(struct group *group)
{
    struct streams_group *streams = mem_new(struct streams_group);
    streams->group = group;
    streams->validated_epoch = streams->standby_count = -1;
    streams->initial.fire = streams_initial_end;
    group->consumer->kind = KIND_STREAMS;
    group->consumer->streams = streams;
}

void streams_group_free(struct streams_group *streams)
{
    if (streams == NULL)
        return;
    replay_timer_stop(&streams->group->groups->timers, &streams->initial);
    arena_fini(&streams->arena);
    map_fini(&streams->readers);
    free(streams->ready_counts);
    str_disown(&streams->shutdown_by);
    free(streams);
}

/* Y2 */
static void forget_tasks(struct consumer_group *consumer)
{
    static const struct part_set none = {0};
    list_each (struct consumer_member, member, &consumer->members, link) {
        consumer_member_set_parts(consumer, member, &none, &none);
        part_set_disown(&member->target);
    }
}

struct noting {
    struct map *readers;
    int32_t subtopology;
};

static void note_reader(void *arg, struct str topic)
{
    struct noting *noting = arg;
    map_put(noting->readers, topic, (void *)(intptr_t)(noting->subtopology + 1));
}

static void note_readers(struct streams_group *streams)
{
    map_clear(&streams->readers);
    for (int32_t i = 0; streams->topology != NULL && i < streams->topology->Subtopologies.len; i++)
        streams_inputs(&streams->topology->Subtopologies.at[i], note_reader,
                       &(struct noting){&streams->readers, i});
}

bool streams_set_topology(struct group *group, const streams_topology *topology, struct err *err)
{
    struct streams_group *streams = group->consumer->streams;
    if (topology != NULL && streams->topology != NULL && streams_topology_eq(topology, streams->topology))
        return true;
    forget_tasks(group->consumer);
    arena_fini(&streams->arena);
    streams->topology = topology == NULL ? NULL : streams_topology_take(topology, &streams->arena);
    streams->ready_version = 0;
    note_readers(streams);
    return topology == NULL || streams->topology != NULL ||
           err_set(err, ERR_CORRUPT, "the topology of a streams group cannot be served");
}

bool streams_is_validated(const struct streams_group *streams)
{
    return streams->topology != NULL && streams->topology->Epoch == streams->validated_epoch;
}

bool streams_active_task(const struct streams_group *streams, struct str topic, struct uuid *out)
{
    intptr_t at = (intptr_t)map_get(&streams->readers, topic) - 1;
    if (at >= 0)
        *out = task_id(ROLE_ACTIVE, (uint32_t)at);
    return at >= 0;
}

void streams_add_inputs(const struct streams_group *streams, struct map *topics)
{
    struct str topic;
    for (size_t i = 0; map_next(&streams->readers, &i, &topic, NULL);)
        map_put(topics, topic, topics);
}

/* --- members --- */

static size_t size_of(const struct streams_member *parts, const struct streams_tag *tags, size_t tag_count)
{
    size_t bytes = sizeof *parts + tag_count * sizeof tags[0] + parts->process_id.len + parts->host.len;
    for (size_t i = 0; i < tag_count; i++)
        bytes += tags[i].key.len + tags[i].value.len;
    return bytes;
}

static void put(struct str *slot, struct str from, char **text)
{
    if (from.len != 0)
        memcpy(*text, from.ptr, from.len);
    *slot = str_is_null(from) ? STR_NULL : str_of(*text, from.len);
    *text += from.len;
}

static int by_key(const void *a, const void *b)
{
    const struct streams_tag *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order != 0 ? order : str_cmp(x->value, y->value);
}

static struct streams_member *fill(struct streams_member *out, const struct streams_member *parts,
                                   const struct streams_tag *tags, size_t tag_count)
{
    char *text = (char *)&out->tags[tag_count];
    *out = (struct streams_member){.topology_epoch = parts->topology_epoch,
                                   .port = parts->port,
                                   .tag_count = tag_count};
    put(&out->process_id, parts->process_id, &text);
    put(&out->host, parts->host, &text);
    for (size_t i = 0; i < tag_count; i++) {
        put(&out->tags[i].key, tags[i].key, &text);
        put(&out->tags[i].value, tags[i].value, &text);
    }
    if (tag_count > 1)
        qsort(out->tags, tag_count, sizeof out->tags[0], by_key);
    return out;
}

struct streams_member *streams_member_new(const struct streams_member *parts, const struct streams_tag *tags,
                                          size_t tag_count)
{
    return fill(mem_alloc(size_of(parts, tags, tag_count)), parts, tags, tag_count);
}

struct streams_member *streams_member_dup(const struct streams_member *parts, const struct streams_tag *tags,
                                          size_t tag_count, struct arena *arena)
{
    return fill(arena_alloc(arena, size_of(parts, tags, tag_count)), parts, tags, tag_count);
}

struct consumer_member *streams_member_of(struct group *group, struct str id)
{
    static const struct streams_member nothing = {.topology_epoch = -1};
    struct consumer_member *member = consumer_member_make(group, id);
    if (member->streams == NULL)
        member->streams = streams_member_new(&nothing, NULL, 0);
    return member;
}

bool streams_member_eq(const struct streams_member *a, const struct streams_member *b)
{
    if (a->topology_epoch != b->topology_epoch || a->port != b->port || a->tag_count != b->tag_count ||
        str_is_null(a->host) != str_is_null(b->host) || !str_eq(a->host, b->host) ||
        !str_eq(a->process_id, b->process_id))
        return false;
    for (size_t i = 0; i < a->tag_count; i++)
        if (!str_eq(a->tags[i].key, b->tags[i].key) || !str_eq(a->tags[i].value, b->tags[i].value))
            return false;
    return true;
}
