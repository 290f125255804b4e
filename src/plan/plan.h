/* plan.h - how a query is done: a tree of steps, read-only data, explained and serialisable.
 *
 * A step takes the rows of its inputs and gives rows with its own columns. The columns of a run are
 * exactly `step->columns`; expressions (struct expr) refer to columns of the input step by index. A source
 * step lists only the columns that the query uses, so a format decodes nothing else.
 *
 *     CREATE TABLE w AS SELECT user_id, SUM(amount) FROM t WINDOW TUMBLING (SIZE 3 SECONDS)
 *         WHERE amount > 0 GROUP BY user_id
 *
 *     SINK w
 *       SELECT  user_id, state[0]
 *         AGGREGATE key user_id, window 3 s, SUM(amount)
 *           GROUP BY user_id              (with a repartition when the key changes)
 *             FILTER amount > 0
 *               SOURCE t: key user_id, value amount
 *
 * What every row carries beside its columns (struct run in flow): time, partition, offset, headers,
 * window, "deleted" (a tombstone), and for tables the old row. Steps never name these; pseudo columns that
 * a query mentions are made ordinary columns by the source (ROWTIME ...) or by the aggregation
 * (WINDOWSTART, WINDOWEND).
 *
 * (P1) A plan is never changed once made and may be shared by threads; it lives in one arena
 *      (plan->arena).
 * (P2) Key columns come first in `columns`: columns[0 .. key_count).
 * (P3) Steps know no partition, topic position or thread.
 */
#ifndef RIALTO_PLAN_PLAN_H
#define RIALTO_PLAN_PLAN_H

#include "analyze/analyze.h"
#include "catalog/catalog.h"
#include "expr/expr.h"
#include "json/json.h"

enum step_kind {
    STEP_SOURCE,       /* reads a topic */
    STEP_FILTER,       /* keeps rows where `filter` is true; of a table: turns others into tombstones */
    STEP_SELECT,       /* computes columns; the key columns are column references or expressions */
    STEP_FLAT_MAP,     /* SELECT with table functions: zero or more rows for one */
    STEP_PARTITION_BY, /* new key columns computed from expressions; repartitions */
    STEP_GROUP_BY,     /* new key columns for an aggregation; drops rows with a null key; may repartition */
    STEP_AGGREGATE,    /* one row a key (and window): key columns, kept columns, aggregate results */
    STEP_JOIN_STREAM_TABLE,
    STEP_JOIN_STREAM_STREAM,
    STEP_JOIN_TABLE_TABLE,
    STEP_JOIN_FOREIGN_KEY,
    STEP_SUPPRESS, /* EMIT FINAL: holds a window's row until it closes */
    STEP_SINK      /* writes a topic, or rows to a push query */
};

enum source_column_origin {
    ORIGIN_KEY,   /* source schema column `index` (a key column) */
    ORIGIN_VALUE, /* source schema column `index` (a value or header column) */
    ORIGIN_ROWTIME,
    ORIGIN_ROWPARTITION,
    ORIGIN_ROWOFFSET,
    ORIGIN_WINDOWSTART,
    ORIGIN_WINDOWEND
};

struct source_column {
    enum source_column_origin origin;
    uint32_t index;
};

struct plan_window {
    enum ast_window_kind kind;
    int64_t size_ms;    /* gap of a session */
    int64_t advance_ms; /* = size_ms for tumbling */
    int64_t grace_ms, retention_ms;
    bool emit_final;
};

struct plan_aggregate {
    const struct func_call *call;
    const struct expr *const
        *args; /* over the input of the aggregate step; constant trailing ones left out */
    uint32_t arg_count;
    bool distinct_rowtime; /* reserved for later use: false */
};

struct step {
    enum step_kind kind;
    uint32_t id;     /* unique in the plan, children before parents */
    struct str name; /* as in logger names and EXPLAIN: KsqlTopic, WhereFilter, Project, Aggregate ... */
    const struct step *input;     /* the left or only input */
    const struct step *right;     /* joins */
    enum source_kind result_kind; /* rows are facts of a stream or changes of a table */
    const struct column *columns;
    uint32_t column_count, key_count;
    enum ast_window_kind key_window; /* rows carry a window as part of their key */
    int64_t key_window_size_ms;

    union {
        struct {
            const struct source *source;
            const struct source_column *origins; /* one a column */
            bool materialize;                    /* table: keep rows in a store, give old rows */
            bool from_earliest; /* table side of a join, or a table source: always from the start */
            bool tap; /* push query: only what comes from now on, of a table too; null keys are passed over */
        } source;
        struct {
            const struct expr *condition;
        } filter;
        struct {
            const struct expr *const
                *exprs; /* one a column of this step; for FLAT_MAP the table-function columns are NULL */
            const struct func_call *const *table_calls;  /* FLAT_MAP: per column, NULL for plain ones */
            const struct expr *const *const *table_args; /* FLAT_MAP: per column */
        } select;                                        /* SELECT, FLAT_MAP */
        struct {
            const struct expr *const *keys; /* one a key column of this step */
            bool repartition; /* the key changes: rows must move to the partition of their new key */
            bool no_key;      /* PARTITION BY NULL: key_count is 0, the rows have no key */
            /* GROUP_BY with key_count 0 is one group of all rows (a push query that aggregates without
             * GROUP BY). */
            /* The non-key columns of this step are the input's columns `carried[i]`. */
            const uint32_t *carried;
            /* How the new key is written where rows move: both sides of a join, and the sink, must agree
             * on it. */
            struct source_format key_format;
        } key; /* PARTITION_BY, GROUP_BY */
        struct {
            struct plan_window window; /* kind WINDOW_NONE when not windowed */
            /* Columns of this step: key columns, then `kept_count` input columns (the latest row's), then
             * one column per aggregate, then WINDOWSTART and WINDOWEND (BIGINT) when `window_columns`. */
            const uint32_t *kept;
            uint32_t kept_count;
            const struct plan_aggregate *aggregates;
            uint32_t aggregate_count;
            bool window_columns;
            bool undo; /* the input is a table: old rows are subtracted */
            const struct str
                *required; /* columns that ksqlDB would carry here; only plan_can_replace reads them */
            uint32_t required_count;
        } aggregate;
        struct {
            enum ast_join_kind kind;
            int64_t before_ms, after_ms,
                grace_ms;                   /* stream-stream; grace_ms -1: none given, outer rows at once */
            const struct expr *foreign_key; /* over the left input */
            bool synthetic_key;             /* columns[0] is the join key ROWKEY made by the join */
            /* Key columns of this step: of a foreign key join all key columns of the left input; else one,
             * the value on which the rows met (both inputs are keyed by it; an outer join takes it from
             * the side that is there), whatever its name. Then left_columns of the left input, then
             * right_columns of the right: all NULL where the side is missing. A side's own key column may
             * be among them. */
            const uint32_t *left_columns, *right_columns;
            uint32_t left_count, right_count;
        } join;
        struct {
            const struct source *sink;  /* NULL: a push query, rows go to the caller */
            int timestamp_column;       /* column that gives the record's timestamp; -1: the row's time */
            bool materialize;           /* the rows of the table are kept for pull queries */
            bool create_topic;          /* the sink's topic is made by this statement */
            int64_t topic_retention_ms; /* for topics that are created; -1: default */
            bool topic_compact, topic_delete;
        } sink;
    };
};

enum query_kind { QUERY_PERSISTENT, QUERY_PUSH, QUERY_PULL };

/* How a pull query reaches its rows. */
struct pull_access {
    enum { PULL_SCAN, PULL_KEYS, PULL_RANGE, PULL_STREAM } kind;
    const struct value *keys; /* PULL_KEYS: key_count * key columns, flat */
    uint32_t key_count;
    const struct value *low, *high; /* PULL_RANGE: NULL when open */
    bool low_inclusive, high_inclusive;
    int64_t window_start_min, window_start_max; /* inclusive; INT64_MIN, INT64_MAX when open */
    int64_t window_end_min, window_end_max;
};

struct plan {
    enum query_kind kind;
    const struct step *sink;         /* the root */
    const struct step *const *steps; /* all, by id */
    uint32_t step_count;
    const struct source *const *sources; /* what it reads, in order of appearance; references held */
    uint32_t source_count;
    struct pull_access pull;      /* QUERY_PULL */
    int64_t limit;                /* push and pull; -1: none */
    bool taps;                    /* push: its source step has `tap` */
    bool internal_key;            /* push and pull: a key column of the sink is not among the results */
    const uint32_t *output_order; /* push and pull: the columns that rows show, as in the select list */
    uint32_t output_count;
    struct arena *arena;
};

/* The steps for an analysed query. Takes the analysis over, whether it succeeds or not; the plan lives in
 * its arena and holds references to its sources and its sink. false: ERR_STATEMENT for what ksqlDB refuses
 * only when it plans. */
bool plan_build(const struct analysis *analysis, const struct analyze_env *env, struct plan **plan,
                struct err *err);

/* CREATE SOURCE TABLE: the query that reads the table's topic and keeps its rows for pull queries. It writes nothing. */
struct plan *plan_keep_table(const struct source *source);

/* CREATE OR REPLACE of a query: may the running `before` become `after` and keep its state? false:
 * ERR_STATEMENT, in ksqlDB's words. The sources' own rules (schema, formats, topic) are
 * analyze_can_replace's. */
bool plan_can_replace(const struct plan *before, const struct plan *after, struct err *err);

/* The columns that rows of a push or pull query show, in the order of the select list: output_count ones. What a
 * pull query's header marks as KEY has role COLUMN_KEY: key columns and the bounds of a windowed table. */
void plan_output_columns(const struct plan *plan, struct column *out);

/* Frees a plan and its references. NULL is allowed. */
void plan_free(struct plan *plan);

/* EXPLAIN's text: ksqlDB's execution plan lines (" > [ SINK ] | Schema: ... | Logger: ..."). */
void plan_explain(const struct plan *plan, struct str query_id, struct buf *out);

/* The plan as JSON, for the flow graph of Caldrop and for `rialto dump plan`. */
void plan_to_json(const struct plan *plan, struct json_writer *out);

/* True when a step moves rows to another partition. */
bool plan_has_repartition(const struct plan *plan);

#endif
