/* streams.h - what the topology of a Kafka Streams application (KIP-1071) asks of topics.
 *
 *   topology     subtopologies: source topics -> processors, stores -> repartition topics of other subtopologies
 *      | streams_plan_make, with the topics that there are
 *      v
 *   plan         tasks of each subtopology: one for each partition of its largest input
 *                what is missing: internal topics (repartition, changelog) to be made, with partitions and configs
 *                or a status: why the application cannot run
 *
 * A topology is kept in the form in which it is stored, Kafka's StreamsGroupTopologyValue. Pure functions over borrowed values;
 * results live in the arena. Any thread.
 */
#ifndef RIALTO_STREAMS_STREAMS_H
#define RIALTO_STREAMS_STREAMS_H

#include "base/base.h"
#include "wire/wire.h"

typedef struct StreamsGroupTopologyValue streams_topology;
typedef struct StreamsGroupTopologyValue_Subtopology streams_subtopology;
typedef struct StreamsGroupTopologyValue_TopicInfo streams_topic_info;

/* Kafka's numbers of what members are told of their group. */
enum streams_status {
    STREAMS_READY = -1, /* nothing to tell */
    STREAMS_STALE_TOPOLOGY = 0,
    STREAMS_MISSING_SOURCES = 1,
    STREAMS_WRONG_PARTITIONS = 2,
    STREAMS_MISSING_INTERNAL = 3,
    STREAMS_SHUTDOWN = 4,
    STREAMS_DELAYED = 5,
};

/* The topology of a heartbeat, subtopologies by id; texts are borrowed. NULL with *err: it is none that could be served. */
streams_topology *streams_topology_read(const struct StreamsGroupHeartbeatRequest_Topology *from,
                                        struct arena *arena, struct err *err);

/* The same of a record's value. Its texts are copied, so that it lives as long as the arena. */
streams_topology *streams_topology_take(const streams_topology *from, struct arena *arena);

/* The same epoch, subtopologies and topics. */
bool streams_topology_eq(const streams_topology *a, const streams_topology *b);

/* The place of a subtopology; -1: there is none of this id. */
int32_t streams_subtopology_find(const streams_topology *topology, struct str id);

/* Walks the names of topics: of those that a subtopology reads, or of all that it needs. A name may come more than once. */
void streams_inputs(const streams_subtopology *sub, void (*fn)(void *arg, struct str topic), void *arg);
void streams_topics(const streams_topology *topology, void (*fn)(void *arg, struct str topic), void *arg);

/* Has it stores, which make standby tasks worth having? */
bool streams_is_stateful(const streams_subtopology *sub);

/* How many partitions a topic has; 0: there is no such topic. */
struct streams_lookup {
    void *arg;
    int32_t (*partitions)(void *arg, struct str topic);
};

struct streams_plan {
    enum streams_status status;
    struct str detail;    /* the status in words */
    int32_t *task_counts; /* of each subtopology; NULL: with this status they are not known */
    wire_array_of(struct CreateTopicsRequest_CreatableTopic) missing; /* internal topics; by name */
};

/* False with *err: the topology makes no sense, whatever topics there are. */
bool streams_plan_make(const streams_topology *topology, const struct streams_lookup *lookup,
                       struct streams_plan *plan, struct arena *arena, struct err *err);

#endif
