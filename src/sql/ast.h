/* ast.h - the syntax tree of a statement: what was written, nothing resolved.
 *
 * (A1) Nodes live in the arena given to the parser and are never changed after parsing.
 * (A2) Names are as the language reads them: unquoted ones upper-cased, quoted ones as they stand (quoted = true).
 * (A3) Every node knows its place (line and column from 1) for error messages.
 * (A4) sql_print_* prints any tree back to a text that parses to an equal tree.
 */
#ifndef RIALTO_SQL_AST_H
#define RIALTO_SQL_AST_H

#include "base/base.h"

struct sql_place {
    int line, column; /* from 1 */
};

/* Types as written -------------------------------------------------------------------------------------- */

enum ast_type_kind { AST_TYPE_NAME, AST_TYPE_DECIMAL, AST_TYPE_ARRAY, AST_TYPE_MAP, AST_TYPE_STRUCT };

struct ast_type {
    enum ast_type_kind kind;
    struct sql_place place;
    struct str name;             /* AST_TYPE_NAME: primitive or custom, upper case unless quoted */
    int precision, scale;        /* AST_TYPE_DECIMAL */
    const struct ast_type *key;  /* MAP */
    const struct ast_type *elem; /* ARRAY, MAP value */
    const struct ast_type_field *fields;
    uint32_t field_count;
};

struct ast_type_field {
    struct str name;
    const struct ast_type *type;
};

/* Expressions ------------------------------------------------------------------------------------------- */

enum ast_expr_kind {
    AST_NULL,
    AST_BOOLEAN,
    AST_INTEGER, /* text fits 32 bits */
    AST_BIGINT,
    AST_DECIMAL, /* text as written */
    AST_DOUBLE,
    AST_STRING,
    AST_COLUMN,      /* [qualifier.]name */
    AST_FIELD,       /* left -> name */
    AST_FIELD_STAR,  /* left -> * (select list only) */
    AST_SUBSCRIPT,   /* left [ right ] */
    AST_CALL,        /* name(args); COUNT(*) has no args and star = true */
    AST_LAMBDA,      /* (params) => left */
    AST_UNARY,       /* op left: - + NOT */
    AST_BINARY,      /* left op right: arithmetic, ||, comparison, AND, OR, IS [NOT] DISTINCT FROM */
    AST_IS_NULL,     /* left IS [NOT] NULL */
    AST_BETWEEN,     /* left [NOT] BETWEEN args[0] AND args[1] */
    AST_IN,          /* left [NOT] IN (args) */
    AST_LIKE,        /* left [NOT] LIKE right [ESCAPE text] */
    AST_CASE,        /* searched: args = when, then, when, then ...; right = ELSE or NULL */
    AST_SIMPLE_CASE, /* CASE left WHEN args[0] THEN args[1] ... */
    AST_CAST,        /* CAST(left AS type) */
    AST_ARRAY,       /* ARRAY[args] */
    AST_MAP,         /* MAP(args[0] := args[1], ...) */
    AST_STRUCT,      /* STRUCT(names[i] := args[i], ...) */
    AST_AT_ZONE,     /* left AT TIME ZONE text */
    AST_TIME_UNIT,   /* name: MILLISECONDS, SECONDS, MINUTES, HOURS, DAYS as a function argument */
    AST_VARIABLE     /* ${name}, left after substitution was switched off */
};

enum ast_op {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_CONCAT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_DISTINCT,
    OP_NOT_DISTINCT,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_NEG,
    OP_POS
};

struct ast_expr {
    enum ast_expr_kind kind;
    enum ast_op op;
    bool negated; /* NOT BETWEEN, NOT IN, NOT LIKE, IS NOT NULL */
    bool quoted;  /* AST_COLUMN: name was quoted; AST_CALL: name was quoted */
    bool star;    /* AST_CALL: f(*) */
    struct sql_place place;
    struct str name;      /* column, function, field, unit, variable */
    struct str qualifier; /* AST_COLUMN: source or alias; null when absent */
    struct str text;      /* literal text: digits as written, string contents unquoted; LIKE escape; zone */
    int64_t integer;      /* AST_INTEGER, AST_BIGINT */
    bool boolean;
    const struct ast_expr *left, *right;
    const struct ast_expr *const *args;
    uint32_t arg_count;
    const struct str *names; /* AST_LAMBDA params, AST_STRUCT field names */
    uint32_t name_count;
    const struct ast_type *type; /* AST_CAST */
    uint32_t height;             /* of the tree below and with this node, set and bounded by the parser */
};

/* Queries ----------------------------------------------------------------------------------------------- */

enum ast_unit { UNIT_MILLISECONDS, UNIT_SECONDS, UNIT_MINUTES, UNIT_HOURS, UNIT_DAYS };

struct ast_duration {
    bool present;
    int64_t count;
    enum ast_unit unit;
};

int64_t ast_duration_ms(struct ast_duration duration); /* -1 when it overflows */

struct ast_select_item {
    enum { SELECT_EXPR, SELECT_ALL, SELECT_ALL_OF } kind; /* e [AS alias] | * | qualifier.* */
    const struct ast_expr *expr; /* SELECT_EXPR; an AST_FIELD_STAR expands all fields of a struct */
    struct str alias;            /* null when absent */
    struct str qualifier;        /* SELECT_ALL_OF */
    struct sql_place place;
};

struct ast_source {
    struct str name, alias; /* alias null when absent */
    struct sql_place place;
};

enum ast_join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL };

struct ast_join {
    enum ast_join_kind kind;
    struct ast_source right;
    const struct ast_expr *on;
    bool within;                              /* WITHIN is present */
    struct ast_duration before, after, grace; /* one size given: before = after */
    struct sql_place place;
};

enum ast_window_kind { WINDOW_NONE, WINDOW_TUMBLING, WINDOW_HOPPING, WINDOW_SESSION };

struct ast_window {
    enum ast_window_kind kind;
    struct ast_duration size; /* gap of a session */
    struct ast_duration advance, retention, grace;
    struct sql_place place;
};

enum ast_emit { EMIT_NONE, EMIT_CHANGES, EMIT_FINAL };

struct ast_query {
    const struct ast_select_item *items;
    uint32_t item_count;
    struct ast_source from;
    const struct ast_join *joins;
    uint32_t join_count;
    struct ast_window window;
    const struct ast_expr *where, *having;  /* NULL when absent */
    const struct ast_expr *const *group_by; /* NULL when absent */
    const struct ast_expr *const *partition_by;
    uint32_t group_by_count, partition_by_count;
    enum ast_emit emit;
    int64_t limit; /* -1 when absent */
    struct sql_place place;
};

/* Statements -------------------------------------------------------------------------------------------- */

struct ast_property {             /* WITH (name = literal, ...) */
    struct str name;              /* identifiers upper-cased, strings as written */
    const struct ast_expr *value; /* a literal */
};

enum ast_column_mark { MARK_NONE, MARK_KEY, MARK_PRIMARY_KEY, MARK_HEADERS, MARK_HEADER };

struct ast_column_def {
    struct str name;
    const struct ast_type *type;
    enum ast_column_mark mark;
    struct str header_key; /* MARK_HEADER */
    struct sql_place place;
};

enum ast_stmt_kind {
#define S(kind, words) STMT_##kind,
#include "sql/statements.def"
#undef S
    STMT_COUNT
};

/* One struct for all statements: a kind uses the members that its comment in statements.def names. */
struct ast_stmt {
    enum ast_stmt_kind kind;
    struct sql_place place;
    struct str
        text; /* the statement's own text, from its first token to its semicolon, comments outside cut */
    bool or_replace, if_not_exists, if_exists, source_only /* CREATE SOURCE */, extended, all, delete_topic;
    bool not_exists; /* ASSERT NOT EXISTS */
    struct str name; /* source, query id, type, connector, function, variable, property, topic, script path */
    bool name_quoted;
    struct str value; /* SET value, DEFINE value */
    const struct ast_column_def *columns;
    uint32_t column_count;
    bool has_columns; /* a column list was written, perhaps an empty one */
    const struct ast_property *properties;
    uint32_t property_count;
    const struct ast_query *query;
    const struct str *insert_columns; /* INSERT VALUES, ASSERT VALUES */
    uint32_t insert_column_count;
    const struct ast_expr *const *values;
    uint32_t value_count;
    const struct ast_type *type; /* CREATE TYPE */
    enum { CONNECTORS_ALL, CONNECTORS_SOURCE, CONNECTORS_SINK } connector_kind;
    const struct ast_stmt *explained; /* EXPLAIN statement */
    bool from_beginning;              /* PRINT */
    int64_t interval, limit;          /* PRINT; -1 when absent */
    struct str subject;               /* ASSERT SCHEMA */
    int64_t schema_id;                /* ASSERT SCHEMA; -1 when absent */
    struct ast_duration timeout;      /* ASSERT TOPIC, ASSERT SCHEMA */
};

#endif
