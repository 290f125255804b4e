/* analyze_int.h - the state of one analysis, for src/analyze only.
 *
 *   statement --sources.c--> fields --resolve.c--> canonical trees --expr_check--> typed trees over fields
 *                                                       |
 *             join.c  aggregate.c  project.c  keys.c  sink.c: rules, in ksqlDB's order
 *
 * (B1) Canonical trees are copies in the analysis's arena; a column reference has its source's alias as
 *      qualifier in joins and none without (messages quote them so).
 * (B2) The first refusal ends the analysis: every function returns false (or NULL) with *err set.
 */
#ifndef RIALTO_ANALYZE_ANALYZE_INT_H
#define RIALTO_ANALYZE_ANALYZE_INT_H

#include "analyze/analysis.h"
#include "sql/sql.h"

/* What a source or a select list can have: several checks compare columns with columns. */
enum { COLUMNS_MAX = 10000 };

/* Naming of results without alias. */
struct alias_gen {
    struct map used; /* names that may not be given out */
    uint32_t next;   /* of KSQL_COL_n */
};

/* Where an expression stands: decides which names it may use and how a refusal is worded. */
enum clause { CLAUSE_SELECT, CLAUSE_WHERE, CLAUSE_HAVING, CLAUSE_GROUP_BY, CLAUSE_PARTITION_BY, CLAUSE_JOIN };

typedef vec(struct analysis_field) field_vec;
typedef vec(struct analysis_item) item_vec;
typedef vec(const struct expr *) expr_vec;

/* WITH clauses (with.c) ---------------------------------------------------------------------------------- */

enum with_place { WITH_CREATE = 1, WITH_CREATE_AS = 2, WITH_INSERT = 4 };

struct with_props {
    struct str topic, format, key_format, value_format, timestamp, timestamp_format, window_type, window_size,
        query_id;
    struct str key_delimiter, value_delimiter;
    struct str key_schema_name, value_schema_name, value_avro_name, key_nullable, value_nullable, connector,
        by_connector;
    struct str cleanup_policy;
    int64_t partitions, replicas, retention_ms, key_schema_id, value_schema_id; /* -1: absent */
    int64_t wrap;                                                               /* -1: absent, 0, 1 */
};

bool with_read(const struct ast_stmt *stmt, enum with_place place, struct with_props *props,
               struct arena *arena, struct err *err);

/* Queries ------------------------------------------------------------------------------------------------ */

struct query_build {
    const struct analyze_env *env;
    const struct ast_stmt *stmt;
    const struct ast_query *query;
    struct analysis *out;
    struct arena *arena; /* = out->arena */
    struct err *err;
    bool join;
    struct str sink_name; /* persistent queries; null else */
    struct analysis_source *sources;
    struct analysis_join *joins;
    field_vec fields;
    item_vec items;
    expr_vec tables, aggregates;
    struct alias_gen aliases;
    int32_t join_key_field;     /* FIELD_JOIN_KEY, or -1 */
    const int32_t *viable_keys; /* joins: fields that may stand for the result's key, left to right */
    uint32_t viable_key_count;
    struct with_props props; /* persistent queries */
    bool name_refused;       /* the last typed_expr failed because of a name */
};

/* Refusals ----------------------------------------------------------------------------------------------- */

/* ERR_STATEMENT with this text; false, so that one can write `return deny(qb, ...)`. Long texts are not
 * cut. */
bool deny(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Texts in the arena, terminated. */
const char *text_of_expr(const struct ast_expr *ast, struct arena *arena);
const char *text_of_type(const struct sql_type *type, struct arena *arena);
const char *text_of_schema(const struct schema *schema, struct arena *arena);
const char *text_of_columns(const struct column *columns, uint32_t count,
                            struct arena *arena); /* [`A` INTEGER KEY, ..] */

/* "does not exist" for a source, with the near name as a hint. */
bool refuse_unknown_source(const struct analyze_env *env, struct str name, const char *prefix,
                           const char *suffix, struct err *err);

bool is_pseudo_name(struct str name);   /* ROWTIME, ROWPARTITION, ROWOFFSET */
bool is_bound_name(struct str name);    /* WINDOWSTART, WINDOWEND */
bool is_reserved_name(struct str name); /* any of them */

/* A session property, or null. */
struct str session_property(const struct analyze_env *env, const char *name);
bool session_flag(const struct analyze_env *env, const char *name, bool fallback);

/* Trees (tree.c) ----------------------------------------------------------------------------------------- */

struct rewrite {
    struct arena *arena;
    /* The node to put in place of `ast`, or NULL to copy it and go on below. False in *ok ends the walk. */
    const struct ast_expr *(*node)(struct rewrite *rewrite, const struct ast_expr *ast, bool *ok);
    void *state;
    const struct lambda_names *lambdas; /* around the node */
};

struct lambda_names {
    const struct str *names;
    uint32_t count;
    const struct lambda_names *outer;
};

/* A deep copy with replacements; NULL when the callback said so. */
const struct ast_expr *ast_rewrite(struct rewrite *rewrite, const struct ast_expr *ast);
struct ast_expr *ast_new(struct arena *arena, enum ast_expr_kind kind, struct sql_place place);
const struct ast_expr *ast_column(struct arena *arena, struct str qualifier, struct str name,
                                  struct sql_place place);

/* Calls visit for every node in preorder until it returns false; false then. */
bool ast_walk(const struct ast_expr *ast, bool (*visit)(const struct ast_expr *, void *), void *state);

/* Names (resolve.c) -------------------------------------------------------------------------------------- */

bool collect_sources(struct query_build *qb);
uint32_t add_field(struct query_build *qb, struct analysis_field field);

/* The canonical tree of an expression as written: names resolved. */
const struct ast_expr *canonical_expr(struct query_build *qb, const struct ast_expr *ast, enum clause clause);

/* The typed tree of a canonical one. */
const struct expr *typed_expr(struct query_build *qb, const struct ast_expr *ast, enum clause clause);

/* Puts ksqlDB's words for the clause in front of the refusal that typed_expr gave. */
void word_refusal(struct query_build *qb, const struct ast_expr *ast, enum clause clause);

/* As the statement names it: source-qualified also where there is one source only. */
const char *qualified_text(struct query_build *qb, const struct ast_expr *ast);

const struct ast_expr *field_ast(struct query_build *qb, uint32_t field, struct sql_place place);
const struct expr *field_expr(struct query_build *qb, uint32_t field, struct sql_place place);

/* Copies a tree; `replace` gives the node to put in place of one, or NULL to go on below. */
const struct expr *expr_replace(const struct expr *expr,
                                const struct expr *(*replace)(const struct expr *, void *), void *state,
                                struct arena *arena);

/* Parts of a query --------------------------------------------------------------------------------------- */

bool analyze_joins(struct query_build *qb);        /* join.c */
bool analyze_window(struct query_build *qb);       /* aggregate.c */
bool analyze_groups(struct query_build *qb);       /* aggregate.c */
bool analyze_aggregation(struct query_build *qb);  /* aggregate.c */
bool analyze_partition(struct query_build *qb);    /* partition.c */
bool analyze_select(struct query_build *qb);       /* project.c */
bool analyze_keys(struct query_build *qb);         /* keys.c */
bool analyze_sink(struct query_build *qb);         /* sink.c */
bool read_sink_properties(struct query_build *qb); /* sink.c */
bool check_sink_timestamp(struct query_build *qb);
bool check_pull_source(struct query_build *qb);
bool check_pull(struct query_build *qb);                                                 /* pull.c */
struct str alias_next(struct alias_gen *gen, struct arena *arena);                       /* project.c */
struct str alias_of_field(struct alias_gen *gen, struct str field, struct arena *arena); /* project.c */
bool calls_aggregate(const struct ast_expr *ast);                                        /* aggregate.c */

/* Formats of a source or sink (format.c) ----------------------------------------------------------------- */

/* What a side falls back to when the WITH clause does not name a format: name null when there is nothing. */
bool formats_resolve(const struct analyze_env *env, const struct with_props *props,
                     const struct source_format *key_default, const struct source_format *value_default,
                     struct source_format *key, struct source_format *value, struct arena *arena,
                     struct err *err);

/* Wrapping by property, setting and format; then: can the formats hold these columns? */
bool formats_check(const struct analyze_env *env, const struct with_props *props, const struct schema *schema,
                   struct source_format *key, struct source_format *value, struct arena *arena,
                   struct err *err);

/* Keys may not be or contain maps. */
bool check_key_types(const struct schema *schema, struct err *err);

/* The TIMESTAMP property against a schema; *column is the name as the schema has it. */
bool check_timestamp(const struct with_props *props, const struct schema *schema, struct str *column,
                     struct arena *arena, struct err *err);

/* Refuses names that stand twice among all columns. */
bool check_duplicates(const struct schema *schema, struct err *err);

#endif
