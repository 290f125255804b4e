/* catalog.h - streams, tables and custom types: immutable snapshots.
 *
 * A catalog never changes: adding or removing a source makes a new snapshot that shares all other sources.
 * Whoever analyses a statement holds one snapshot for the whole of it. Sources and snapshots are reference
 * counted and may be read on any thread.
 */
#ifndef RIALTO_CATALOG_CATALOG_H
#define RIALTO_CATALOG_CATALOG_H

#include "serde/serde.h"
#include "sql/ast.h"
#include "type/type.h"

enum source_kind { SOURCE_STREAM, SOURCE_TABLE };

/* Format of a key or a value with its properties. */
struct source_format {
    struct str name; /* upper case: KAFKA, JSON, DELIMITED, NONE ... */
    char delimiter;  /* DELIMITED; 0 means ',' */
    enum { WRAP_DEFAULT, WRAP_SINGLES, UNWRAP_SINGLES } wrap;
    struct str schema_full_name; /* *_SCHEMA_FULL_NAME; null when absent */
    struct str nullable_as;      /* *_PROTOBUF_NULLABLE_REPRESENTATION: OPTIONAL, WRAPPER; null when absent */
    int32_t schema_id;           /* *_SCHEMA_ID; 0 when absent */
};

struct source {
    struct str name;
    enum source_kind kind;
    const struct schema *schema;
    struct str topic;
    int32_t partition_count;
    struct source_format key_format, value_format;
    enum ast_window_kind window_kind; /* the topic's keys are windowed */
    int64_t window_size_ms;           /* 0 for session windows and none */
    struct str timestamp_column;      /* null when absent */
    struct str timestamp_format;      /* null when absent */
    bool read_only;                   /* CREATE SOURCE STREAM/TABLE */
    struct str statement;             /* the text that made it */
    struct str query_id;              /* the query that created it (C..AS); null for plain CREATE */
    const struct str
        *references; /* the sources that its query reads (C..AS): they cannot be dropped before it */
    uint32_t reference_count;
    bool materialized;    /* a query keeps its rows in a store: pull queries may read it */
    bool create_topic;    /* plain CREATE: the topic did not exist and PARTITIONS says how to make it */
    int16_t replicas;     /* REPLICAS; 0 when absent */
    int64_t retention_ms; /* RETENTION_MS, or what the windows need; -1 when absent */
    struct arena *arena;  /* owns everything above; freed with the last reference */
    int refs;             /* atomic */
};

const struct source *source_ref(const struct source *source);
void source_unref(const struct source *source);

/* A copy in its own arena, one reference owned by the caller; change it before it is shared. */
struct source *source_new(const struct source *proto);

struct catalog;

struct catalog *catalog_new(void); /* empty, one reference */
const struct catalog *catalog_ref(const struct catalog *catalog);
void catalog_unref(const struct catalog *catalog);

/* NULL when unknown. The pointer lives as long as the snapshot. */
const struct source *catalog_source(const struct catalog *catalog, struct str name);
const struct sql_type *catalog_type(const struct catalog *catalog, struct str name);

/* Walks in order of creation; NULL ends. */
const struct source *catalog_source_at(const struct catalog *catalog, uint32_t i);
bool catalog_type_at(const struct catalog *catalog, uint32_t i, struct str *name,
                     const struct sql_type **type);

/* New snapshots (one reference owned by the caller). with_source replaces a source of the same name. */
const struct catalog *catalog_with_source(const struct catalog *catalog, const struct source *source);
const struct catalog *catalog_without_source(const struct catalog *catalog, struct str name);
const struct catalog *catalog_with_type(const struct catalog *catalog, struct str name,
                                        const struct sql_type *type);
const struct catalog *catalog_without_type(const struct catalog *catalog, struct str name);

#endif
