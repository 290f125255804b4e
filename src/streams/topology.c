/* topology.c - topologies: from a heartbeat, as kept, compared, looked up.
 *
 * (T1) Subtopologies are sorted by id and have different ids, so that one has a place in the list, and two topologies are equal
 *      when they are equal item by item.
 * (T2) Indexes of copartition groups are in range.
 * (T3) There are at most SUBTOPOLOGIES_MAX, and TOPICS_MAX mentions of topics: what follows is done under a lock, and the sender
 *      chose the sizes.
 */
#include "streams/streams.h"

enum { SUBTOPOLOGIES_MAX = 500, TOPICS_MAX = 5000 };

typedef struct StreamsGroupHeartbeatRequest_Subtopology asked_subtopology;
typedef struct StreamsGroupHeartbeatRequest_TopicInfo asked_topic;

/* --- copies --- */

static int by_id(const void *a, const void *b)
{
    return str_cmp(((const streams_subtopology *)a)->SubtopologyId,
                   ((const streams_subtopology *)b)->SubtopologyId);
}

static void sort(streams_topology *topology)
{
    if (topology->Subtopologies.len > 1)
        qsort(topology->Subtopologies.at, (size_t)topology->Subtopologies.len,
              sizeof topology->Subtopologies.at[0], by_id);
}

/* Both kinds of messages have the same fields under other names. */
static void copy_topics(const asked_topic *from, int32_t count, streams_topic_info **at, int32_t *len,
                        struct arena *arena)
{
    *at = wire_new(&WIRE_StreamsGroupTopologyValue_TopicInfo, (size_t)MAX(count, 0), arena);
    *len = MAX(count, 0);
    for (int32_t i = 0; i < count; i++) {
        streams_topic_info *to = &(*at)[i];
        to->Name = from[i].Name;
        to->Partitions = from[i].Partitions;
        to->ReplicationFactor = from[i].ReplicationFactor;
        WIRE_ALLOC(arena, to->TopicConfigs, StreamsGroupTopologyValue_TopicConfig,
                   MAX(from[i].TopicConfigs.len, 0));
        for (int32_t j = 0; j < from[i].TopicConfigs.len; j++) {
            to->TopicConfigs.at[j].key = from[i].TopicConfigs.at[j].Key;
            to->TopicConfigs.at[j].value = from[i].TopicConfigs.at[j].Value;
        }
    }
}

#define COPY_LIST(to, from) ((to).at = (from).at, (to).len = (from).len)

static void copy_subtopology(const asked_subtopology *from, streams_subtopology *to, struct arena *arena)
{
    to->SubtopologyId = from->SubtopologyId;
    COPY_LIST(to->SourceTopics, from->SourceTopics);
    COPY_LIST(to->SourceTopicRegex, from->SourceTopicRegex);
    COPY_LIST(to->RepartitionSinkTopics, from->RepartitionSinkTopics);
    copy_topics(from->StateChangelogTopics.at, from->StateChangelogTopics.len, &to->StateChangelogTopics.at,
                &to->StateChangelogTopics.len, arena);
    copy_topics(from->RepartitionSourceTopics.at, from->RepartitionSourceTopics.len,
                &to->RepartitionSourceTopics.at, &to->RepartitionSourceTopics.len, arena);
    WIRE_ALLOC(arena, to->CopartitionGroups, StreamsGroupTopologyValue_CopartitionGroup,
               MAX(from->CopartitionGroups.len, 0));
    for (int32_t i = 0; i < from->CopartitionGroups.len; i++) {
        COPY_LIST(to->CopartitionGroups.at[i].SourceTopics, from->CopartitionGroups.at[i].SourceTopics);
        COPY_LIST(to->CopartitionGroups.at[i].SourceTopicRegex,
                  from->CopartitionGroups.at[i].SourceTopicRegex);
        COPY_LIST(to->CopartitionGroups.at[i].RepartitionSourceTopics,
                  from->CopartitionGroups.at[i].RepartitionSourceTopics);
    }
}

/* --- checks --- */

static bool in_range(const int16_t *at, int32_t len, int32_t count)
{
    for (int32_t i = 0; i < len; i++)
        if (at[i] < 0 || at[i] >= count)
            return false;
    return true;
}

static bool check_subtopology(const streams_subtopology *sub, struct err *err)
{
    for (int32_t i = 0; i < sub->StateChangelogTopics.len; i++)
        if (sub->StateChangelogTopics.at[i].Partitions != 0)
            return err_set(
                err, ERR_INVALID_REQUEST,
                "Changelog topic %.*s must have an undefined partition count, but it is set to %d.",
                STR_ARG(sub->StateChangelogTopics.at[i].Name), sub->StateChangelogTopics.at[i].Partitions);
    for (int32_t i = 0; i < sub->RepartitionSourceTopics.len; i++)
        if (sub->RepartitionSourceTopics.at[i].Partitions < 0)
            return err_set(err, ERR_INVALID_REQUEST, "Repartition topic %.*s has %d partitions.",
                           STR_ARG(sub->RepartitionSourceTopics.at[i].Name),
                           sub->RepartitionSourceTopics.at[i].Partitions);
    for (int32_t i = 0; i < sub->CopartitionGroups.len; i++) {
        const struct StreamsGroupTopologyValue_CopartitionGroup *group = &sub->CopartitionGroups.at[i];
        if (!in_range(group->SourceTopics.at, group->SourceTopics.len, sub->SourceTopics.len) ||
            !in_range(group->RepartitionSourceTopics.at, group->RepartitionSourceTopics.len,
                      sub->RepartitionSourceTopics.len))
            return err_set(err, ERR_INVALID_REQUEST,
                           "A copartition group of subtopology %.*s names a topic that is not there.",
                           STR_ARG(sub->SubtopologyId));
    }
    return true;
}

/* Names, and places of names in copartition groups. */
static int64_t topics_of(const streams_subtopology *sub)
{
    int64_t topics = (int64_t)sub->SourceTopics.len + sub->RepartitionSinkTopics.len +
                     sub->StateChangelogTopics.len + sub->RepartitionSourceTopics.len;
    for (int32_t i = 0; i < sub->CopartitionGroups.len; i++)
        topics += 1 + sub->CopartitionGroups.at[i].SourceTopics.len +
                  sub->CopartitionGroups.at[i].RepartitionSourceTopics.len;
    return topics;
}

/* T1 to T3, of a sorted topology. */
static bool check(const streams_topology *topology, struct err *err)
{
    int64_t topics = 0;
    if (topology->Epoch < 0)
        return err_set(err, ERR_INVALID_REQUEST, "Topology epoch must be non-negative.");
    if (topology->Subtopologies.len > SUBTOPOLOGIES_MAX)
        return err_set(err, ERR_INVALID_REQUEST, "The topology has more than %d subtopologies.",
                       SUBTOPOLOGIES_MAX);
    for (int32_t i = 0; i < topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &topology->Subtopologies.at[i];
        topics += topics_of(sub);
        if (i != 0 && str_eq(sub->SubtopologyId, topology->Subtopologies.at[i - 1].SubtopologyId))
            return err_set(err, ERR_INVALID_REQUEST, "Subtopology %.*s is there twice.",
                           STR_ARG(sub->SubtopologyId));
        if (!check_subtopology(sub, err))
            return false;
    }
    return topics <= TOPICS_MAX ||
           err_set(err, ERR_INVALID_REQUEST, "The topology has more than %d topics.", TOPICS_MAX);
}

streams_topology *streams_topology_read(const struct StreamsGroupHeartbeatRequest_Topology *from,
                                        struct arena *arena, struct err *err)
{
    streams_topology *topology = wire_new(&WIRE_StreamsGroupTopologyValue, 1, arena);
    topology->Epoch = from->Epoch;
    WIRE_ALLOC(arena, topology->Subtopologies, StreamsGroupTopologyValue_Subtopology,
               MAX(from->Subtopologies.len, 0));
    for (int32_t i = 0; i < from->Subtopologies.len; i++)
        copy_subtopology(&from->Subtopologies.at[i], &topology->Subtopologies.at[i], arena);
    sort(topology);
    return check(topology, err) ? topology : NULL;
}

static void encode(const streams_topology *topology, struct buf *out)
{
    wire_encode_typed(&StreamsGroupTopologyValue_message, 0, topology, out);
}

streams_topology *streams_topology_take(const streams_topology *from, struct arena *arena)
{
    struct buf bytes = {0};
    streams_topology *copy = arena_new(arena, streams_topology);
    encode(from, &bytes);
    struct str kept = str_dup(buf_str(&bytes), arena);
    bool good = wire_decode_value(&StreamsGroupTopologyValue_message, kept, copy, arena, NULL);
    ASSERT(good); /* we have just written it */
    buf_fini(&bytes);
    sort(copy);
    return check(copy, NULL) ? copy : NULL;
}

bool streams_topology_eq(const streams_topology *a, const streams_topology *b)
{
    struct buf x = {0}, y = {0};
    encode(a, &x);
    encode(b, &y);
    bool same = str_eq(buf_str(&x), buf_str(&y));
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

/* --- looking things up --- */

int32_t streams_subtopology_find(const streams_topology *topology, struct str id)
{
    const streams_subtopology wanted = {.SubtopologyId = id}, *found = NULL;
    if (topology->Subtopologies.len > 0)
        found = bsearch(&wanted, topology->Subtopologies.at, (size_t)topology->Subtopologies.len,
                        sizeof wanted, by_id);
    return found == NULL ? -1 : (int32_t)(found - topology->Subtopologies.at);
}

void streams_inputs(const streams_subtopology *sub, void (*fn)(void *arg, struct str topic), void *arg)
{
    for (int32_t i = 0; i < sub->SourceTopics.len; i++)
        fn(arg, sub->SourceTopics.at[i]);
    for (int32_t i = 0; i < sub->RepartitionSourceTopics.len; i++)
        fn(arg, sub->RepartitionSourceTopics.at[i].Name);
}

void streams_topics(const streams_topology *topology, void (*fn)(void *arg, struct str topic), void *arg)
{
    for (int32_t i = 0; i < topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &topology->Subtopologies.at[i];
        streams_inputs(sub, fn, arg);
        for (int32_t j = 0; j < sub->StateChangelogTopics.len; j++)
            fn(arg, sub->StateChangelogTopics.at[j].Name);
    }
}

bool streams_is_stateful(const streams_subtopology *sub)
{
    return sub->StateChangelogTopics.len > 0;
}
