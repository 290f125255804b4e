/* engine.h - statements in order: parse, validate, log, execute; queries for whoever asks.
 *
 *   face (api, pgwire, cli) --engine_execute--> control thread: parse all, validate all against evolving catalog
 *                                                 snapshots, then execute one by one
 *                                                   definition: appended to the command topic, durable, applied
 *                                                   information: entity made from the snapshot
 *                           <-- done(json entities | error) --
 *                           --engine_query----> push: a transient query on the flow workers; rows as they come
 *                                               pull: rows of a snapshot, then the end
 *
 * (E1) All state of the engine changes on the control thread only; catalogs are immutable snapshots, so reading one
 *      needs no lock.
 * (E2) A definition is executed after its command record is durable; a restart executes the command topic again from
 *      the start, with the same ids, then starts the queries that are left.
 * (E3) Validation of a request has no effect: when any of its statements is refused, nothing of it ran. ASSERT TOPIC divides
 *      a request: what is behind it is validated when it holds.
 * (E4) Each callback of one request comes from one thread at a time and is never made from inside the call that
 *      started the request.
 */
#ifndef RIALTO_ENGINE_ENGINE_H
#define RIALTO_ENGINE_ENGINE_H

#include "catalog/catalog.h"
#include "client/client.h"
#include "func/func.h"
#include "json/json.h"
#include "sql/sql.h"

struct engine;
struct flow_runtime;
struct plan;

/* What SHOW/CREATE/DROP CONNECTOR need from `connect`; filled by main. Each function appends one JSON value to *out.
 * Any thread but the control thread may not call them; they may block for a moment. */
struct engine_connect_ops {
    bool (*list)(void *state, struct json_writer *out, struct err *err);
    bool (*plugins)(void *state, struct json_writer *out, struct err *err);
    bool (*describe)(void *state, struct str name, struct json_writer *out, struct err *err);
    bool (*create)(void *state, struct str name, struct str config_json, struct json_writer *out,
                   struct err *err);
    bool (*drop)(void *state, struct str name, struct err *err);
};

struct engine_options {
    struct client *client;                    /* borrowed; outlives the engine */
    struct flow_runtime *flow;                /* borrowed; outlives the engine */
    struct str service_id;                    /* "default_": part of internal names */
    const struct map *properties;             /* server-level properties: name -> struct str *; borrowed */
    const struct engine_connect_ops *connect; /* NULL: connector statements answer that there is no connect */
    void *connect_state;
    int64_t push_queries_max; /* ksql.max.push.queries */
};

/* Reads the command topic, rebuilds the catalog and starts the queries. Blocking; any thread. */
bool engine_open(struct engine **out, const struct engine_options *options, struct err *err);

/* Ends push queries, stops persistent ones (they resume at the next start), joins the control thread. Blocking. */
void engine_close(struct engine *engine);

/* Session of one request: properties and variables; values are struct str *. May be NULL for none. */
struct engine_session {
    const struct map *properties;
    const struct map *variables;
};

/* The /ksql endpoint: runs all statements of the text; done is called once with the JSON array of entities (borrowed
 * for the call), or with an error (entities are then those of the statements that ran before, perhaps "[]"; and
 * statement_text is the statement that failed, or null). Any thread. The session is copied. */
typedef void (*engine_done_fn)(void *arg, struct str entities_json, const struct err *failure,
                               struct str statement_text);
void engine_execute(struct engine *engine, struct str sql, const struct engine_session *session,
                    engine_done_fn done, void *arg);

enum engine_result_kind { ENGINE_PULL, ENGINE_PUSH, ENGINE_PRINT };

/* The query endpoints: exactly one SELECT (or PRINT) statement. Calls come in this order: on_header once, on_rows any
 * number of times, on_end once; on_end alone when the statement is refused (failure set). */
struct engine_rows_class {
    /* Role COLUMN_KEY marks what a pull query's header calls KEY. A pull query over a stream shows its rows as a push
     * query does (ENGINE_PUSH). The arrays are borrowed for the call. PRINT has one STRING column. */
    void (*on_header)(void *arg, struct str query_id, enum engine_result_kind kind,
                      const struct column *columns, uint32_t column_count);
    /* cols[c][row]; tombstones[row]: only key columns are filled (may be NULL: none). Returns false to ask for a pause
     * until engine_query_resume. */
    bool (*on_rows)(void *arg, const struct value *const *cols, uint32_t row_count, const bool *tombstones);
    /* limit_reached: LIMIT ended it. failure NULL: complete. The last call. */
    void (*on_end)(void *arg, bool limit_reached, const struct err *failure);
};

struct engine_query;

/* Starts a query; *out is set before any callback comes. The handle is given back by exactly one engine_query_close.
 * Any thread. */
void engine_query_open(struct engine *engine, struct str sql, const struct engine_session *session,
                       const struct engine_rows_class *class, void *arg, struct engine_query **out);

/* More rows may come after on_rows returned false. Any thread; takes no lock but the mailbox's. */
void engine_query_resume(struct engine_query *query);

/* Ends the query, when it still runs, and gives the handle back: closed(arg) is the very last call, on the control
 * thread; until then callbacks may still come. To be called once; any thread, also from on_end; takes no lock but the
 * mailbox's. */
void engine_query_close(struct engine_query *query, void (*closed)(void *arg));

/* Ends a running push query by its id, as /close-query does; its on_end comes. False: there is none. Any thread. */
bool engine_query_end(struct engine *engine, struct str query_id);

/* Does SET take this property? *err says why not. Any thread. */
bool engine_property_is_valid(struct str name, struct err *err);

/* The present catalog; the caller gives the reference back. Any thread. */
const struct catalog *engine_catalog(struct engine *engine);

/* What the page and the metrics show of one persistent or push query. */
struct engine_query_info {
    struct str id, statement, sink,
        sink_topic;            /* sink null for push queries, and for those of source tables */
    const struct str *sources; /* source names */
    uint32_t source_count;
    bool persistent;
    enum { ENGINE_QUERY_RUNNING, ENGINE_QUERY_PAUSED, ENGINE_QUERY_ERROR } state;
    struct str error; /* the newest, null when none */
    int64_t error_ms;
    uint64_t rows_in, rows_out, rows_dropped, errors;
    int64_t lag; /* input records not yet read */
};

/* All queries in order of creation, in the arena. Any thread. */
struct engine_query_info *engine_query_list(struct engine *engine, uint32_t *count, struct arena *arena);

/* The plan of a persistent query as JSON, and EXPLAIN's text; false when there is none of this id. Any thread. */
bool engine_query_plan(struct engine *engine, struct str query_id, struct buf *json, struct buf *text);

/* Step mode ---------------------------------------------------------------------------------------------------- */

/* An engine opened without flow has no thread and runs no queries: statements are executed by engine_run on the
 * caller's thread, and who drives the queries asks for their plans (conformance runner, `rialto test`). */

/* As engine_execute; entities are appended to *entities; *failed_text is in the arena. */
bool engine_run(struct engine *engine, struct str sql, const struct engine_session *session,
                struct buf *entities, struct str *failed_text, struct arena *arena, struct err *err);

/* Persistent query i in order of creation; NULL ends. Borrowed until the next statement. */
const struct plan *engine_plan_at(struct engine *engine, uint32_t i, struct str *id,
                                  struct func_settings *settings, bool *fail_on_timestamp);

/* The plan of one stand-alone query; the caller frees it. *query_id lives as long. NULL with *err. */
struct plan *engine_plan_select(struct engine *engine, struct str sql, const struct engine_session *session,
                                struct str *query_id, struct err *err);

#endif
