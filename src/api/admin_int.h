/* admin_int.h - what the files of the page's own API share: pictures of the flow, records as JSON, the live socket. */
#ifndef RIALTO_API_ADMIN_INT_H
#define RIALTO_API_ADMIN_INT_H

#include "api/api.h"
#include "json/json.h"
#include "loop/loop.h"

/* Pictures (picture.c) ------------------------------------------------------------------------------------------------ */

/* One thing that moves records: topic, query, connector, clients. Counters grow since its start. */
struct picture_node {
    struct str id;    /* "topic:orders" */
    const char *kind; /* "topic", "query", "sink", "source", "client", "live" */
    struct str name, sub;
    enum { NODE_RUNS, NODE_PAUSED, NODE_FAILED } state;
    struct str error; /* the newest; null: none */
    int64_t error_ms;
    int64_t in, out;     /* records; -1: not known */
    int64_t errors, lag; /* lag in records, -1: not known */
    bool internal;
};

struct picture_edge {
    struct str id, from, to;
    const char *kind; /* "write", "read" */
    int64_t records;  /* -1: not counted in records */
    int64_t bytes;    /* -1: not counted in bytes */
    int64_t lag;      /* -1: not known */
};

/* The whole instance at one moment. Owns all of it through its arena. */
struct picture {
    struct arena arena;
    int64_t mono_ms, wall_ms;
    vec(struct picture_node) nodes;
    vec(struct picture_edge) edges;
    struct map node_of; /* id -> struct picture_node *, after picture_take */
    struct map edge_of;
    uint32_t query_count, connector_count;
};

/* Topics of rialto's own, hidden unless asked for: marked so, named with "_", or of Connect. */
bool topic_is_internal(const struct client_topic *topic);

/* Reads client, engine, connect and the metrics. Blocks for a moment. */
struct picture *picture_take(struct api_env *env);
void picture_free(struct picture *picture);

/* What is on the picture, without figures: changes only when something is made, renamed or dropped. */
void picture_write_graph(const struct picture *picture, bool internal, struct json_writer *out);

/* Figures of all nodes and edges: rates between `before` and `now` (before NULL: null), health, and the sentence. */
void picture_write_figures(const struct picture *now, const struct picture *before, struct json_writer *out);

/* Records (records.c) --------------------------------------------------------------------------------------------------- */

/* How the records of a topic are read for people: by the formats of the stream or table defined on it, else guessed. */
struct record_view;

struct record_view *record_view_new(struct api_env *env, struct str topic);
void record_view_free(struct record_view *view);
void record_view_write(struct record_view *view, int32_t partition, const struct record *rec,
                       struct json_writer *out);

/* GET /topics/{topic}/records, on a thread that may block. */
void records_get(struct http_request *req, struct api_env *env);

/* Live (live.c) ----------------------------------------------------------------------------------------------------------- */

void live_get(struct http_request *req, void *env);

#endif
