/* picture.c - the instance as a graph: topics, queries, connectors and clients, and what flows between them.
 *
 *   producers -> topic -> query -> topic -> connector
 *                      -> live queries       -> consumers
 *
 * A picture holds counters; rates are the difference of two pictures over the time between them. It is taken anew each
 * time and shares nothing with the ones before: ids join them.
 *
 * (P1) The rate into a topic is that of the broker's counter of records: offsets also number transaction markers.
 * (P2) What is not known is -1 here and null in JSON, never 0.
 * (P3) Health follows fixed rules, worst first: failed, errors, behind, paused, flowing, idle.
 */
#include <stdlib.h>

#include "api/admin_int.h"
#include "connect/connect.h"

enum {
    ERRORS_FRESH_MS = 5 * 60 * 1000, /* errors count as present for so long */
    BEHIND_S = 60,
};

bool topic_is_internal(const struct client_topic *topic)
{
    static const struct str names[] = {STR_INIT("connect-configs"), STR_INIT("connect-offsets"),
                                       STR_INIT("connect-status")};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(topic->name, names[i]))
            return true;
    return topic->internal || str_starts_with(topic->name, STR("_"));
}

/* Taking ---------------------------------------------------------------------------------------------------------------- */

static struct str node_id(struct picture *picture, const char *kind, struct str name)
{
    return str_printf(&picture->arena, "%s:%.*s", kind, STR_ARG(name));
}

static struct picture_node *add_node(struct picture *picture, const char *kind, struct str name)
{
    struct picture_node *node = vec_push_zero(&picture->nodes);
    node->id = node_id(picture, kind, name);
    node->kind = kind;
    node->name = str_dup(name, &picture->arena);
    node->sub = STR("");
    node->in = node->out = node->lag = -1;
    return node;
}

static struct picture_edge *add_edge(struct picture *picture, const char *kind, struct str from,
                                     struct str to)
{
    struct picture_edge *edge = vec_push_zero(&picture->edges);
    edge->id = str_printf(&picture->arena, "%.*s>%.*s", STR_ARG(from), STR_ARG(to));
    edge->from = from;
    edge->to = to;
    edge->kind = kind;
    edge->records = edge->bytes = edge->lag = -1;
    return edge;
}

/* Names of the streams and tables on a topic: "STREAM ORDERS, TABLE X". */
static struct str sources_on(struct picture *picture, const struct catalog *catalog, struct str topic)
{
    struct str text = STR("");
    const struct source *source;
    for (uint32_t i = 0; (source = catalog_source_at(catalog, i)) != NULL; i++)
        if (str_eq(source->topic, topic))
            text = str_printf(&picture->arena, "%.*s%s%s %.*s", STR_ARG(text), text.len != 0 ? ", " : "",
                              source->kind == SOURCE_TABLE ? "table" : "stream", STR_ARG(source->name));
    return text;
}

static void take_topics(struct picture *picture, struct api_env *env, const struct catalog *catalog)
{
    size_t count;
    struct client_topic *topics = client_topic_list(env->client, &count, &picture->arena);
    for (size_t i = 0; i < count; i++) {
        struct picture_node *node = add_node(picture, "topic", topics[i].name);
        node->internal = topic_is_internal(&topics[i]);
        node->sub = sources_on(picture, catalog, topics[i].name);
    }
}

static struct picture_node *find_node(struct picture *picture, struct str id)
{
    for (size_t i = 0; i < picture->nodes.len; i++)
        if (str_eq(picture->nodes.at[i].id, id))
            return &picture->nodes.at[i];
    return NULL;
}

/* Counters of the broker, by topic. Runs before edges are made, so that nodes do not move. */
static void take_counter(const struct metric_sample *sample, void *arg)
{
    struct picture *picture = arg;
    if (!str_eq(sample->name, STR("rialto_topic_appended_records_total")))
        return;
    struct picture_node *node =
        find_node(picture, node_id(picture, "topic", str_from(sample->labels.at[0].value)));
    if (node != NULL)
        node->in = sample->value;
}

/* Push queries are one node a source: they come and go. */
static struct picture_node *live_node(struct picture *picture, struct str source)
{
    struct picture_node *node = find_node(picture, node_id(picture, "live", source));
    if (node != NULL)
        return node;
    node = add_node(picture, "live", source);
    node->name = STR("Live queries");
    node->sub = str_printf(&picture->arena, "push queries on %.*s", STR_ARG(source));
    node->in = 0;
    return node;
}

static void add_reads(struct picture *picture, const struct catalog *catalog,
                      const struct engine_query_info *query, struct str to, bool alone)
{
    for (uint32_t i = 0; i < query->source_count; i++) {
        const struct source *source = catalog_source(catalog, query->sources[i]);
        if (source == NULL)
            continue;
        struct picture_edge *edge = add_edge(picture, "read", node_id(picture, "topic", source->topic), to);
        if (alone && query->source_count == 1) { /* of several inputs only the sum is counted */
            edge->records = (int64_t)query->rows_in;
            edge->lag = query->lag;
        }
    }
}

static void take_query(struct picture *picture, const struct catalog *catalog,
                       const struct engine_query_info *query)
{
    if (!query->persistent) {
        if (query->source_count == 0)
            return;
        struct picture_node *live = live_node(picture, query->sources[0]);
        live->in += (int64_t)query->rows_in;
        add_reads(picture, catalog, query, live->id, false);
        return;
    }
    struct picture_node *node = add_node(picture, "query", query->id);
    node->name = str_dup(str_is_null(query->sink) ? query->id : query->sink, &picture->arena);
    node->sub = str_dup(query->id, &picture->arena);
    node->state = query->state == ENGINE_QUERY_ERROR    ? NODE_FAILED
                  : query->state == ENGINE_QUERY_PAUSED ? NODE_PAUSED
                                                        : NODE_RUNS;
    node->error = query->error;
    node->error_ms = query->error_ms;
    node->in = (int64_t)query->rows_in;
    node->out = (int64_t)query->rows_out;
    node->errors = (int64_t)query->errors;
    node->lag = query->lag;
    struct str id = node->id;
    picture->query_count++;
    add_reads(picture, catalog, query, id, true);
    if (!str_is_null(query->sink_topic))
        add_edge(picture, "write", id, node_id(picture, "topic", query->sink_topic))->records =
            (int64_t)query->rows_out;
}

static void take_connector(struct picture *picture, const struct connect_connector_info *info)
{
    bool is_sink = str_eq(info->type, STR("sink"));
    struct picture_node *node = add_node(picture, "connector", info->name);
    int64_t moved = 0, lag = 0;
    uint32_t running = 0;
    node->kind = is_sink ? "sink" : "source";
    node->state = str_eq(info->state, STR("FAILED"))    ? NODE_FAILED
                  : str_eq(info->state, STR("PAUSED"))  ? NODE_PAUSED
                  : str_eq(info->state, STR("STOPPED")) ? NODE_PAUSED
                                                        : NODE_RUNS;
    for (uint32_t i = 0; i < info->task_count; i++) {
        const struct connect_task_info *task = &info->tasks[i];
        moved += (int64_t)task->records_written;
        node->errors += (int64_t)task->records_failed;
        lag += task->lag;
        running += str_eq(task->state, STR("RUNNING"));
        if (str_eq(task->state, STR("FAILED")))
            node->state = NODE_FAILED;
        if (task->trace.len != 0) { /* of a running task: what it is trying again at this moment */
            node->error = task->trace;
            node->error_ms = picture->wall_ms;
        }
    }
    ptrdiff_t dot = str_rfind_char(info->class_name, '.');
    node->sub = str_printf(&picture->arena, "%.*s · %u/%u tasks",
                           STR_ARG(str_sub(info->class_name, (size_t)(dot + 1), SIZE_MAX)), running,
                           info->task_count);
    node->in = is_sink ? moved : -1;
    node->out = is_sink ? -1 : moved;
    node->lag = is_sink ? lag : -1;
    struct str id = node->id;
    picture->connector_count++;
    for (uint32_t i = 0; i < info->topic_count; i++) {
        struct str topic = node_id(picture, "topic", info->topics[i]);
        struct picture_edge *edge =
            is_sink ? add_edge(picture, "read", topic, id) : add_edge(picture, "write", id, topic);
        if (info->topic_count == 1) {
            edge->records = moved;
            edge->lag = is_sink ? lag : -1;
        }
    }
}

/* Clients: who writes topics that nothing inside writes, and who fetches over the Kafka protocol. */

static bool written_inside(const struct picture *picture, struct str id)
{
    for (size_t i = 0; i < picture->edges.len; i++)
        if (str_eq(picture->edges.at[i].to, id))
            return true;
    return false;
}

static void take_producers(struct picture *picture)
{
    size_t count = picture->nodes.len;
    struct str id = node_id(picture, "client", STR("producers"));
    int64_t written = -1;
    for (size_t i = 0; i < count; i++) {
        const struct picture_node *topic = &picture->nodes.at[i];
        if (str_eq_cstr(str_from(topic->kind), "topic") && !topic->internal && topic->in > 0 &&
            !written_inside(picture, topic->id)) {
            int64_t records = topic->in;
            add_edge(picture, "write", id, topic->id)->records = records;
            written = (written < 0 ? 0 : written) + records;
        }
    }
    if (written >= 0) {
        struct picture_node *node = add_node(picture, "client", STR("producers"));
        node->name = STR("Producers");
        node->sub = STR("Kafka clients and INSERT");
        node->out = written;
    }
}

struct fetched {
    struct picture *picture;
    bool any;
};

static void take_fetched(const struct metric_sample *sample, void *arg)
{
    struct fetched *fetched = arg;
    if (!str_eq(sample->name, STR("rialto_topic_fetched_bytes_total")) || sample->value == 0)
        return;
    struct picture *picture = fetched->picture;
    struct str id = node_id(picture, "topic", str_from(sample->labels.at[0].value));
    for (size_t i = 0; i < picture->nodes.len; i++) {
        if (!str_eq(picture->nodes.at[i].id, id) || picture->nodes.at[i].internal)
            continue;
        struct picture_edge *edge =
            add_edge(picture, "read", picture->nodes.at[i].id, node_id(picture, "client", STR("consumers")));
        edge->bytes = sample->value;
        fetched->any = true;
    }
}

static void take_consumers(struct picture *picture, struct api_env *env)
{
    struct fetched fetched = {.picture = picture};
    metric_each(env->metrics, take_fetched, &fetched);
    if (fetched.any) {
        struct picture_node *node = add_node(picture, "client", STR("consumers"));
        node->name = STR("Consumers");
        node->sub = STR("Kafka clients");
    }
}

struct picture *picture_take(struct api_env *env)
{
    struct picture *picture = mem_new(struct picture);
    picture->mono_ms = clock_mono_ms();
    picture->wall_ms = clock_wall_ms();
    const struct catalog *catalog = engine_catalog(env->engine);
    take_topics(picture, env, catalog);
    metric_each(env->metrics, take_counter, picture);
    uint32_t count;
    struct engine_query_info *queries = engine_query_list(env->engine, &count, &picture->arena);
    for (uint32_t i = 0; i < count; i++)
        take_query(picture, catalog, &queries[i]);
    if (env->connect != NULL) {
        struct connect_connector_info *infos = connect_info_list(env->connect, &count, &picture->arena);
        for (uint32_t i = 0; i < count; i++)
            take_connector(picture, &infos[i]);
    }
    take_producers(picture);
    take_consumers(picture, env);
    catalog_unref(catalog);
    for (size_t i = 0; i < picture->nodes.len; i++)
        map_put(&picture->node_of, picture->nodes.at[i].id, &picture->nodes.at[i]);
    for (size_t i = 0; i < picture->edges.len; i++)
        map_put(&picture->edge_of, picture->edges.at[i].id, &picture->edges.at[i]);
    return picture;
}

void picture_free(struct picture *picture)
{
    if (picture == NULL)
        return;
    vec_fini(&picture->nodes);
    vec_fini(&picture->edges);
    map_fini(&picture->node_of);
    map_fini(&picture->edge_of);
    arena_fini(&picture->arena);
    free(picture);
}

/* Writing: the graph ------------------------------------------------------------------------------------------------------ */

static bool is_hidden(const struct picture *picture, struct str id)
{
    const struct picture_node *node = map_get(&picture->node_of, id);
    return node == NULL || node->internal;
}

void picture_write_graph(const struct picture *picture, bool internal, struct json_writer *out)
{
    uint32_t hidden = 0;
    json_object_begin(out);
    json_key_begin(out, "nodes");
    json_array_begin(out);
    for (size_t i = 0; i < picture->nodes.len; i++) {
        const struct picture_node *node = &picture->nodes.at[i];
        hidden += node->internal;
        if (node->internal && !internal)
            continue;
        json_object_begin(out);
        json_key_str(out, "id", node->id);
        json_key_cstr(out, "kind", node->kind);
        json_key_str(out, "name", node->name);
        json_key_str(out, "sub", node->sub);
        json_key_bool(out, "internal", node->internal);
        json_object_end(out);
    }
    json_array_end(out);
    json_key_begin(out, "edges");
    json_array_begin(out);
    for (size_t i = 0; i < picture->edges.len; i++) {
        const struct picture_edge *edge = &picture->edges.at[i];
        if (!internal && (is_hidden(picture, edge->from) || is_hidden(picture, edge->to)))
            continue;
        json_object_begin(out);
        json_key_str(out, "id", edge->id);
        json_key_str(out, "from", edge->from);
        json_key_str(out, "to", edge->to);
        json_key_cstr(out, "kind", edge->kind);
        json_object_end(out);
    }
    json_array_end(out);
    json_key_i64(out, "hidden", hidden);
    json_object_end(out);
}

/* Writing: figures --------------------------------------------------------------------------------------------------------- */

/* Records a second between two counters; -1 when not known. */
static double rate_of(int64_t now, int64_t before, int64_t elapsed_ms)
{
    if (now < 0 || before < 0 || now < before || elapsed_ms <= 0)
        return -1;
    return (double)(now - before) * 1000 / (double)elapsed_ms;
}

static void put_rate(struct json_writer *out, const char *name, double rate)
{
    json_key_begin(out, name);
    if (rate < 0)
        json_null(out);
    else
        json_double(out, (double)(int64_t)(rate * 100 + 0.5) / 100);
}

static void put_count(struct json_writer *out, const char *name, int64_t count)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)count);
    if (count < 0)
        json_key_null(out, name);
    else
        json_key_cstr(out, name, text);
}

struct node_figures {
    double in, out, lag_s;
    const char *health;
    struct str why;
};

static void health_of(const struct picture_node *node, const struct picture_node *before, int64_t wall_ms,
                      struct node_figures *figures, struct arena *arena)
{
    bool errors_fresh = node->error_ms != 0 && wall_ms - node->error_ms < ERRORS_FRESH_MS;
    bool lag_falls = before != NULL && before->lag > node->lag;
    figures->why = STR_NULL;
    if (node->state == NODE_FAILED) {
        figures->health = "failed";
        figures->why = node->error;
    } else if (errors_fresh) {
        figures->health = "errors";
        figures->why = node->error;
    } else if (node->state == NODE_PAUSED) {
        figures->health = "paused";
    } else if (figures->lag_s > BEHIND_S) {
        figures->health = lag_falls ? "catching up" : "behind";
        figures->why =
            str_printf(arena, "%lld records (about %.0f s) behind", (long long)node->lag, figures->lag_s);
    } else {
        figures->health = figures->in > 0 || figures->out > 0 ? "flowing" : "idle";
    }
}

static void figures_of(const struct picture *now, const struct picture *before,
                       const struct picture_node *node, struct node_figures *figures, struct arena *arena)
{
    const struct picture_node *old = before != NULL ? map_get(&before->node_of, node->id) : NULL;
    int64_t elapsed_ms = before != NULL ? now->mono_ms - before->mono_ms : 0;
    figures->in = old != NULL ? rate_of(node->in, old->in, elapsed_ms) : -1;
    figures->out = old != NULL ? rate_of(node->out, old->out, elapsed_ms) : -1;
    figures->lag_s = node->lag == 0                     ? 0
                     : node->lag > 0 && figures->in > 0 ? (double)node->lag / figures->in
                                                        : -1;
    health_of(node, old, now->wall_ms, figures, arena);
}

static void put_node(const struct picture_node *node, const struct node_figures *figures,
                     struct json_writer *out)
{
    json_key(out, node->id);
    json_object_begin(out);
    json_key_cstr(out, "health", figures->health);
    put_rate(out, "in", figures->in);
    put_rate(out, "out", figures->out);
    put_rate(out, "lag_s", figures->lag_s);
    put_count(out, "lag", node->lag);
    put_count(out, "total_in", node->in);
    put_count(out, "total_out", node->out);
    put_count(out, "errors", node->errors);
    if (!str_is_null(figures->why))
        json_key_str(out, "why", figures->why);
    if (!str_is_null(node->error)) {
        json_key_str(out, "error", node->error);
        json_key_i64(out, "error_at", node->error_ms);
    }
    json_object_end(out);
}

static void put_edge(const struct picture_edge *edge, const struct picture_edge *old, int64_t elapsed_ms,
                     struct json_writer *out)
{
    json_key(out, edge->id);
    json_object_begin(out);
    put_rate(out, "rate", old != NULL ? rate_of(edge->records, old->records, elapsed_ms) : -1);
    put_rate(out, "bytes", old != NULL ? rate_of(edge->bytes, old->bytes, elapsed_ms) : -1);
    put_count(out, "lag", edge->lag);
    json_object_end(out);
}

/* Worst first. */
static int severity(const char *health)
{
    static const char *const order[] = {"failed", "errors", "behind"};
    for (size_t i = 0; i < COUNT_OF(order); i++)
        if (str_eq_cstr(str_from(health), order[i]))
            return (int)(COUNT_OF(order) - i);
    return 0;
}

struct summary {
    const struct picture_node *worst;
    int severity;
    struct str why;
    uint32_t ill, moving;
    double written; /* records a second into topics from outside */
};

static void summarize(struct summary *summary, const struct picture_node *node,
                      const struct node_figures *figures)
{
    int severe = severity(figures->health);
    summary->ill += severe > 0;
    summary->moving += str_eq_cstr(str_from(figures->health), "flowing") && !node->internal;
    if (severe > summary->severity) {
        summary->severity = severe;
        summary->worst = node;
        summary->why = figures->why;
    }
}

static void put_sentence(const struct picture *now, const struct summary *summary, struct json_writer *out)
{
    struct buf text = {0};
    if (summary->worst != NULL)
        buf_printf(&text, "%.*s: %.*s%s", STR_ARG(summary->worst->name),
                   STR_ARG(str_is_null(summary->why) ? STR("failed") : summary->why),
                   summary->ill > 1 ? " (and more)" : "");
    else
        buf_append_cstr(&text, summary->moving > 0 ? "All flowing" : "All idle");
    json_key_begin(out, "health");
    json_object_begin(out);
    json_key_cstr(out, "level", summary->severity == 3 ? "bad" : summary->severity > 0 ? "warn" : "ok");
    json_key_str(out, "text", buf_str(&text));
    if (summary->worst != NULL)
        json_key_str(out, "worst", summary->worst->id);
    json_key_i64(out, "ill", summary->ill);
    put_rate(out, "in", summary->written);
    json_key_i64(out, "queries", now->query_count);
    json_key_i64(out, "connectors", now->connector_count);
    json_object_end(out);
    buf_fini(&text);
}

void picture_write_figures(const struct picture *now, const struct picture *before, struct json_writer *out)
{
    struct arena arena = {0};
    struct summary summary = {.written = before != NULL ? 0 : -1};
    int64_t elapsed_ms = before != NULL ? now->mono_ms - before->mono_ms : 0;
    json_object_begin(out);
    json_key_i64(out, "at", now->wall_ms);
    json_key_begin(out, "nodes");
    json_object_begin(out);
    for (size_t i = 0; i < now->nodes.len; i++) {
        struct node_figures figures;
        figures_of(now, before, &now->nodes.at[i], &figures, &arena);
        put_node(&now->nodes.at[i], &figures, out);
        summarize(&summary, &now->nodes.at[i], &figures);
    }
    json_object_end(out);
    json_key_begin(out, "edges");
    json_object_begin(out);
    for (size_t i = 0; i < now->edges.len; i++) {
        const struct picture_edge *edge = &now->edges.at[i];
        const struct picture_edge *old = before != NULL ? map_get(&before->edge_of, edge->id) : NULL;
        double rate = old != NULL ? rate_of(edge->records, old->records, elapsed_ms) : -1;
        if (rate > 0 && str_eq(edge->from, STR("client:producers")))
            summary.written += rate;
        put_edge(edge, old, elapsed_ms, out);
    }
    json_object_end(out);
    put_sentence(now, &summary, out);
    json_object_end(out);
    arena_fini(&arena);
}
