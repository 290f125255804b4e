/* analysis.h - what a query asks for, with every name resolved: the door between `analyze` and `plan`.
 *
 *     SELECT L.ID, COUNT(*) FROM L JOIN R WITHIN 1 HOUR ON L.ID = R.ID WHERE R.X > 3 GROUP BY L.ID
 *
 *     fields    L.ID L.V L.ROWTIME ...  R.ID R.X R.ROWTIME ...      one flat list, all sources
 *     joins     [ fields[0] = fields[5] ]
 *     where     fields[6] > 3
 *     groups    [ fields[0] ]
 *     items     ID: fields[0]      KSQL_COL_0: COUNT(*)
 *     keys      [ fields[0] -> item 0 ]
 *
 * (Q1) All expressions read `fields`, also those of the select list of an aggregation: they hold
 *      EXPR_AGGREGATE nodes.
 * (Q2) Everything, the syntax trees that expressions quote included, lives in the analysis's own arena;
 *      nothing points into the statement. The sources are referenced.
 * (Q3) An analysis is passed to plan_build, which takes it over, or to analysis_free.
 */
#ifndef RIALTO_ANALYZE_ANALYSIS_H
#define RIALTO_ANALYZE_ANALYSIS_H

#include "analyze/analyze.h"

/* What a query is; the plan has the same three kinds. */
enum analysis_kind { ANALYSIS_PERSISTENT, ANALYSIS_PUSH, ANALYSIS_PULL };

enum analysis_field_kind {
    FIELD_KEY,   /* source schema column `index`, a key column */
    FIELD_VALUE, /* source schema column `index`, a value or header column */
    FIELD_ROWTIME,
    FIELD_ROWPARTITION,
    FIELD_ROWOFFSET,
    FIELD_WINDOWSTART, /* of a windowed source */
    FIELD_WINDOWEND,
    FIELD_JOIN_KEY,       /* the synthetic key of the last join */
    FIELD_TABLE_FUNCTION, /* row value of table_calls[index] */
    FIELD_BOUND_START,    /* WINDOWSTART, WINDOWEND of the query's own window */
    FIELD_BOUND_END
};

struct analysis_field {
    enum analysis_field_kind kind;
    uint32_t source; /* index of the analysis source; of no meaning for the last four kinds */
    uint32_t index;
    struct str name;     /* as the source calls it */
    struct str internal; /* as a result without alias calls it: NAME, in joins ALIAS_NAME */
    const struct sql_type *type;
};

struct analysis_source {
    const struct source *source;
    struct str alias;
    uint32_t first_field, field_count;
};

struct analysis_join {
    enum ast_join_kind kind;
    bool foreign_key;
    bool synthetic; /* the result's key is no column of either side */
    const struct expr *left,
        *right; /* the criterion: right reads only source i + 1, left only earlier ones */
    bool within;
    int64_t before_ms, after_ms, grace_ms; /* grace_ms -1: none given */
    int32_t key_field;                     /* the field that stands for the result's key; -1: synthetic */
    bool left_keyed;                       /* the running result is keyed by `left` already: no repartition */
    bool right_keyed;
};

struct analysis_window {
    enum ast_window_kind kind; /* WINDOW_NONE: not windowed */
    int64_t size_ms, advance_ms, grace_ms, retention_ms;
};

struct analysis_item {
    struct str name;
    const struct expr *expr;
    const struct ast_expr *ast;
    int32_t key; /* index of the result key that this item shows, or -1 */
};

/* A key column of the result. */
struct analysis_key {
    const struct expr *expr;
    int32_t item;    /* the select item that shows it; -1: none (push and pull queries only) */
    struct str name; /* the item's name, else the column's own */
};

struct analysis {
    enum analysis_kind kind;
    bool insert; /* INSERT INTO: the sink exists */
    struct str query_id;
    struct str statement;

    const struct analysis_source *sources;
    uint32_t source_count;
    const struct analysis_field *fields;
    uint32_t field_count;
    const struct analysis_join *joins; /* source_count - 1 */

    const struct expr *where;              /* NULL when absent */
    const struct expr *const *partition;   /* PARTITION BY; NULL when absent */
    uint32_t partition_count;              /* 0 with partition set: PARTITION BY NULL */
    bool rekeyed;                          /* PARTITION BY changes the key */
    const struct expr *const *table_calls; /* EXPR_CALLs of table functions */
    uint32_t table_call_count;
    bool aggregated;
    const struct expr *const *groups; /* GROUP BY */
    uint32_t group_count;
    bool regrouped;                       /* GROUP BY changes the key */
    const struct expr *const *aggregates; /* EXPR_AGGREGATEs, each once */
    uint32_t aggregate_count;
    const struct expr *having;  /* NULL when absent */
    const struct str *required; /* aggregations: columns the query names, in order, COUNT(*) as ROWTIME */
    uint32_t required_count;
    struct analysis_window window;
    enum ast_emit emit;
    int64_t limit; /* -1: none */

    const struct analysis_item *items;
    uint32_t item_count;
    const struct analysis_key *keys;
    uint32_t key_count;
    enum source_kind result_kind;
    enum ast_window_kind key_window; /* of the result's keys */
    int64_t key_window_size_ms;

    const struct source *sink; /* persistent: the source to write; referenced */
    int timestamp_item;        /* item that gives the records' timestamp, or -1 */
    bool create_topic;
    int64_t topic_retention_ms; /* -1: default */
    bool topic_compact, topic_delete;

    struct arena *arena; /* owns all of this, itself included */
};

/* Releases an analysis that no plan was built of. NULL is allowed. */
void analysis_free(const struct analysis *analysis);

/* Are two trees over the same fields the same computation? Calls of functions whose result differs between
 * calls (RANDOM, UUID) never are. */
bool analysis_expr_eq(const struct expr *a, const struct expr *b);

/* The tree that a predicate accepts first, in preorder; NULL when none. */
const struct expr *analysis_expr_find(const struct expr *expr, bool (*accept)(const struct expr *, void *),
                                      void *state);

#endif
