/* plan.c - how many partitions internal topics must have, and what of the topics is missing or wrong.
 *
 *   1 sources exist                                         else MISSING_SOURCE_TOPICS
 *   2 repartition topics: as many as the topology says, else as the largest input of who writes them; again and again, since
 *     who writes one may read another                       else a loop: no topology
 *   3 copartition groups: topics that are joined have the same number; a repartition topic of free size follows the
 *     others                                                else INCORRECTLY_PARTITIONED_TOPICS
 *   4 changelogs, tasks: as many as the largest input of the subtopology
 *   5 what exists is as it should be, what does not is to be made: MISSING_INTERNAL_TOPICS
 *
 * (P1) A topic that exists counts as it is; one that does not, as was decided here.
 * (P2) Of the sizes set by the topology, only those inside a copartition group have to agree. (Apache Kafka 4.3.1 compares with
 *      those of the whole topology, which refuses applications that run.)
 */
#include "streams/streams.h"

struct planning {
    const streams_topology *topology;
    const struct streams_lookup *lookup;
    struct streams_plan *plan;
    struct map decided; /* internal topic -> partitions, as a pointer */
    struct map fixed;   /* repartition topics whose size the topology says */
    struct map repartition;
    struct arena *arena;
    struct err *err;
};

/* A step says go on, or that the plan is made as far as it goes (status), or that there is no plan (err). */
enum step { STEP_ON, STEP_STOP, STEP_INVALID };

static void *as_pointer(int32_t count)
{
    return (void *)(intptr_t)count;
}

static int32_t decided_count(const struct planning *p, struct str topic)
{
    return (int32_t)(intptr_t)map_get(&p->decided, topic);
}

/* P1; 0: not known. */
static int32_t count_of(const struct planning *p, struct str topic)
{
    int32_t there = p->lookup->partitions(p->lookup->arg, topic);
    return there != 0 ? there : decided_count(p, topic);
}

static enum step stop(struct planning *p, enum streams_status status, struct str detail)
{
    p->plan->status = status;
    p->plan->detail = detail;
    return STEP_STOP;
}

static enum step invalid(struct planning *p, const char *why, struct str what)
{
    err_set(p->err, ERR_INVALID_REQUEST, "%s%.*s", why, STR_ARG(what));
    return STEP_INVALID;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, each once. */
static size_t sort_names(struct str *names, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(names, count, sizeof names[0], by_text);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !str_eq(names[kept - 1], names[i]))
            names[kept++] = names[i];
    return kept;
}

/* "a, b, c and 2 additional topics" */
static struct str summary(const struct str *names, size_t count, struct arena *arena)
{
    enum { SHOWN = 3 };
    struct buf text = {0};
    for (size_t i = 0; i < MIN(count, SHOWN); i++)
        buf_printf(&text, "%s%.*s", i == 0 ? "" : ", ", STR_ARG(names[i]));
    if (count > SHOWN)
        buf_printf(&text, " and %zu additional topics", count - SHOWN);
    struct str out = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return out;
}

/* --- 1 --- */

static enum step check_sources(struct planning *p)
{
    vec(struct str) missing = {0};
    for (int32_t i = 0; i < p->topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        for (int32_t j = 0; j < sub->SourceTopics.len; j++)
            if (p->lookup->partitions(p->lookup->arg, sub->SourceTopics.at[j]) == 0)
                vec_push(&missing, sub->SourceTopics.at[j]);
        if (sub->SourceTopics.len <= 0 && sub->RepartitionSourceTopics.len <= 0) {
            vec_fini(&missing);
            return invalid(p, "No source topics found for subtopology ", sub->SubtopologyId);
        }
    }
    size_t count = sort_names(missing.at, missing.len);
    struct str names = summary(missing.at, count, p->arena);
    vec_fini(&missing);
    if (count == 0)
        return STEP_ON;
    return stop(p, STREAMS_MISSING_SOURCES,
                str_printf(p->arena, "Source topics %.*s are missing.", STR_ARG(names)));
}

/* --- 2 --- */

static void note_repartition(struct planning *p)
{
    for (int32_t i = 0; i < p->topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        for (int32_t j = 0; j < sub->RepartitionSourceTopics.len; j++) {
            const streams_topic_info *info = &sub->RepartitionSourceTopics.at[j];
            map_put(&p->repartition, info->Name, p);
            if (info->Partitions == 0)
                continue;
            map_put(&p->fixed, info->Name, p);
            map_put(&p->decided, info->Name, as_pointer(info->Partitions));
        }
    }
}

/* Of what the subtopology reads, as far as it is known; repartition topics as decided. */
static int32_t largest_known_input(const struct planning *p, const streams_subtopology *sub)
{
    int32_t largest = 0;
    for (int32_t i = 0; i < sub->RepartitionSourceTopics.len; i++)
        largest = MAX(largest, decided_count(p, sub->RepartitionSourceTopics.at[i].Name));
    for (int32_t i = 0; i < sub->SourceTopics.len; i++)
        largest = MAX(largest, count_of(p, sub->SourceTopics.at[i]));
    return largest;
}

/* One round over all who write repartition topics; how many sizes are still open. */
static size_t decide_sinks(struct planning *p, bool *progress)
{
    size_t open = 0;
    *progress = false;
    for (int32_t i = 0; i < p->topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        int32_t count = sub->RepartitionSinkTopics.len > 0 ? largest_known_input(p, sub) : 0;
        for (int32_t j = 0; j < sub->RepartitionSinkTopics.len; j++) {
            struct str topic = sub->RepartitionSinkTopics.at[j];
            if (decided_count(p, topic) != 0)
                continue;
            if (count == 0) {
                open++;
                continue;
            }
            map_put(&p->decided, topic, as_pointer(count));
            *progress = true;
        }
    }
    return open;
}

static enum step decide_repartition(struct planning *p)
{
    bool progress;
    struct str name;
    note_repartition(p);
    while (decide_sinks(p, &progress) != 0)
        if (!progress)
            return invalid(p,
                           "Failed to compute number of partitions for all repartition topics. There may be "
                           "loops in the topology that cannot be resolved.",
                           STR(""));
    for (size_t i = 0; map_next(&p->repartition, &i, &name, NULL);)
        if (decided_count(p, name) == 0)
            return invalid(p,
                           "Failed to compute number of partitions for all repartition topics, because a "
                           "repartition source topic is never used as a sink topic.",
                           STR(""));
    return STEP_ON;
}

/* --- 3 --- */

/* The names of a group, sorted, each once. */
static size_t names_of_group(const streams_subtopology *sub,
                             const struct StreamsGroupTopologyValue_CopartitionGroup *group,
                             struct str *names)
{
    size_t count = 0;
    for (int32_t i = 0; i < group->SourceTopics.len; i++)
        names[count++] = sub->SourceTopics.at[group->SourceTopics.at[i]];
    for (int32_t i = 0; i < group->RepartitionSourceTopics.len; i++)
        names[count++] = sub->RepartitionSourceTopics.at[group->RepartitionSourceTopics.at[i]].Name;
    return sort_names(names, count);
}

/* The number that those in `which` (or not in it) have alike; 0: there are none; -1: they differ, and the plan says so. */
static int32_t same_count(struct planning *p, const struct str *names, size_t count, const struct map *which,
                          bool in)
{
    int32_t same = 0;
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        int32_t one = count_of(p, names[i]);
        if (map_has(which, names[i]) != in)
            continue;
        buf_printf(&text, "%s%.*s=%d", same == 0 ? "" : ", ", STR_ARG(names[i]), one);
        same = same == 0 || same == one ? one : -1;
    }
    if (same < 0)
        ignore(stop(p, STREAMS_WRONG_PARTITIONS,
                    str_printf(p->arena,
                               "Following topics do not have the same number of partitions: [{%.*s}]",
                               STR_ARG(buf_str(&text)))),
               "the caller stops");
    buf_fini(&text);
    return same;
}

static int32_t largest_count(const struct planning *p, const struct str *names, size_t count)
{
    int32_t largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = MAX(largest, count_of(p, names[i]));
    return largest;
}

static enum step enforce(struct planning *p, const struct str *names, size_t count)
{
    int32_t wanted = same_count(p, names, count, &p->repartition, false);
    if (wanted == 0)
        wanted = same_count(p, names, count, &p->fixed, true); /* P2 */
    if (wanted == 0)
        wanted = largest_count(p, names, count);
    if (wanted < 0)
        return STEP_STOP;
    for (size_t i = 0; i < count; i++) {
        int32_t one = count_of(p, names[i]);
        if (!map_has(&p->repartition, names[i]))
            continue;
        if (map_has(&p->fixed, names[i]) && one != wanted)
            return stop(p, STREAMS_WRONG_PARTITIONS,
                        str_printf(p->arena,
                                   "Number of partitions [%d] of repartition topic [%.*s] doesn't match "
                                   "number of partitions [%d] of the source topic.",
                                   one, STR_ARG(names[i]), wanted));
        map_put(&p->decided, names[i], as_pointer(wanted));
    }
    return STEP_ON;
}

static enum step enforce_copartition(struct planning *p)
{
    enum step step = STEP_ON;
    for (int32_t i = 0; i < p->topology->Subtopologies.len && step == STEP_ON; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        for (int32_t j = 0; j < sub->CopartitionGroups.len && step == STEP_ON; j++) {
            const struct StreamsGroupTopologyValue_CopartitionGroup *group = &sub->CopartitionGroups.at[j];
            size_t room =
                (size_t)MAX(group->SourceTopics.len, 0) + (size_t)MAX(group->RepartitionSourceTopics.len, 0);
            struct str *names = mem_zalloc(room + 1, sizeof names[0]);
            step = enforce(p, names, names_of_group(sub, group, names));
            free(names);
        }
    }
    return step;
}

/* --- 4 --- */

struct largest {
    const struct planning *p;
    int32_t count;
};

static void note_largest(void *arg, struct str topic)
{
    struct largest *largest = arg;
    largest->count = MAX(largest->count, count_of(largest->p, topic));
}

static void decide_tasks(struct planning *p)
{
    p->plan->task_counts = arena_array(p->arena, int32_t, (size_t)MAX(p->topology->Subtopologies.len, 0));
    for (int32_t i = 0; i < p->topology->Subtopologies.len; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        struct largest largest = {p, 0};
        streams_inputs(sub, note_largest, &largest);
        p->plan->task_counts[i] = largest.count;
        for (int32_t j = 0; j < sub->StateChangelogTopics.len; j++)
            map_put(&p->decided, sub->StateChangelogTopics.at[j].Name, as_pointer(largest.count));
    }
}

/* --- 5 --- */

static void add_missing(struct planning *p, const streams_topic_info *info, int32_t partitions)
{
    enum { AS_CONFIGURED = -1 };
    struct CreateTopicsRequest_CreatableTopic *topic = &p->plan->missing.at[p->plan->missing.len++];
    topic->Name = str_dup(info->Name, p->arena);
    topic->NumPartitions = partitions;
    topic->ReplicationFactor = info->ReplicationFactor != 0 ? info->ReplicationFactor : AS_CONFIGURED;
    WIRE_ALLOC(p->arena, topic->Configs, CreateTopicsRequest_CreatableTopicConfig,
               MAX(info->TopicConfigs.len, 0));
    for (int32_t i = 0; i < info->TopicConfigs.len; i++) {
        topic->Configs.at[i].Name = str_dup(info->TopicConfigs.at[i].key, p->arena);
        topic->Configs.at[i].Value = str_dup(info->TopicConfigs.at[i].value, p->arena);
    }
}

static enum step check_internal(struct planning *p, const streams_topic_info *topics, int32_t count,
                                struct map *seen)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t there = p->lookup->partitions(p->lookup->arg, topics[i].Name);
        int32_t wanted = topics[i].Partitions != 0 ? topics[i].Partitions : decided_count(p, topics[i].Name);
        if (there == 0 && !map_has(seen, topics[i].Name))
            add_missing(p, &topics[i], wanted);
        map_put(seen, topics[i].Name, p);
        if (there != 0 && there != wanted)
            return stop(p, STREAMS_WRONG_PARTITIONS,
                        str_printf(p->arena,
                                   "Existing topic %.*s has different number of partitions: expected %d, "
                                   "found %d",
                                   STR_ARG(topics[i].Name), wanted, there));
    }
    return STEP_ON;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct CreateTopicsRequest_CreatableTopic *)a)->Name,
                   ((const struct CreateTopicsRequest_CreatableTopic *)b)->Name);
}

static enum step tell_missing(struct planning *p)
{
    struct streams_plan *plan = p->plan;
    if (plan->missing.len == 0)
        return STEP_ON;
    qsort(plan->missing.at, (size_t)plan->missing.len, sizeof plan->missing.at[0], by_name);
    struct str *names = arena_array(p->arena, struct str, (size_t)plan->missing.len);
    for (int32_t i = 0; i < plan->missing.len; i++)
        names[i] = plan->missing.at[i].Name;
    struct str all = summary(names, (size_t)plan->missing.len, p->arena);
    return stop(p, STREAMS_MISSING_INTERNAL,
                str_printf(p->arena, "Internal topics are missing: %.*s", STR_ARG(all)));
}

static enum step find_missing(struct planning *p)
{
    struct map seen = {0};
    enum step step = STEP_ON;
    int32_t room = 0;
    for (int32_t i = 0; i < p->topology->Subtopologies.len; i++)
        room += MAX(p->topology->Subtopologies.at[i].RepartitionSourceTopics.len, 0) +
                MAX(p->topology->Subtopologies.at[i].StateChangelogTopics.len, 0);
    WIRE_ALLOC(p->arena, p->plan->missing, CreateTopicsRequest_CreatableTopic, room);
    p->plan->missing.len = 0;
    for (int32_t i = 0; i < p->topology->Subtopologies.len && step == STEP_ON; i++) {
        const streams_subtopology *sub = &p->topology->Subtopologies.at[i];
        step = check_internal(p, sub->RepartitionSourceTopics.at, sub->RepartitionSourceTopics.len, &seen);
        if (step == STEP_ON)
            step = check_internal(p, sub->StateChangelogTopics.at, sub->StateChangelogTopics.len, &seen);
    }
    map_fini(&seen);
    if (step == STEP_ON)
        return tell_missing(p);
    p->plan->missing.len = 0; /* nothing is made for an application that cannot run */
    p->plan->task_counts = NULL;
    return step;
}

bool streams_plan_make(const streams_topology *topology, const struct streams_lookup *lookup,
                       struct streams_plan *plan, struct arena *arena, struct err *err)
{
    struct planning p = {.topology = topology, .lookup = lookup, .plan = plan, .arena = arena, .err = err};
    *plan = (struct streams_plan){.status = STREAMS_READY};
    enum step step = check_sources(&p);
    if (step == STEP_ON)
        step = decide_repartition(&p);
    if (step == STEP_ON)
        step = enforce_copartition(&p);
    if (step == STEP_ON) {
        decide_tasks(&p);
        step = find_missing(&p);
    }
    map_fini(&p.decided);
    map_fini(&p.fixed);
    map_fini(&p.repartition);
    return step != STEP_INVALID;
}
