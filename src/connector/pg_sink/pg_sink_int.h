/* pg_sink_int.h - the private side of the PostgreSQL sink. */
#ifndef RIALTO_CONNECTOR_PG_SINK_PG_SINK_INT_H
#define RIALTO_CONNECTOR_PG_SINK_PG_SINK_INT_H

#include <libpq-fe.h>

#include "connector/pg_sink/pg_sink.h"
#include "type/time_format.h"

/* Options ------------------------------------------------------------------------------------------------ */

enum insert_mode { INSERT_INSERT, INSERT_UPSERT, INSERT_UPDATE };
enum pk_mode { PK_NONE, PK_KAFKA, PK_RECORD_KEY, PK_RECORD_VALUE };

struct pg_settings {
    struct str url, user, password;
    int insert_mode, pk_mode;
    int64_t batch_size;
    bool delete_enabled;
    struct str table_format;
    struct conf_list pk_fields, whitelist;
    bool auto_create, auto_evolve;
    struct str time_zone;
    int quote; /* 1: never */
    int64_t retries_max, backoff_ms;
    struct str value_column;
    struct str dialect;
};

/* Connection parameters for libpq from a jdbc:postgresql: or postgresql: URL; names and values end in NULL. */
struct pg_params {
    const char *names[32], *values[32];
    size_t count;
};
bool pg_url_parse(const struct pg_settings *settings, struct pg_params *out, struct arena *arena,
                  struct err *err);

/* The connection (pg_conn.c) ----------------------------------------------------------------------------- */

struct pg_conn {
    struct connect_task *task;
    PGconn *pq;
    struct map prepared; /* SQL text -> its name, in `arena` */
    struct arena arena;
};

/* Connects; ERR_UNAVAILABLE when that fails. */
bool pg_connect(struct pg_conn *conn, const struct pg_settings *settings, struct err *err);
void pg_disconnect(struct pg_conn *conn);

/* Runs one statement; *result (may be NULL) is the caller's to PQclear. */
bool pg_run(struct pg_conn *conn, const char *sql, int count, const char *const *params, PGresult **result,
            struct err *err);

/* Prepares when it is not yet; the name of the statement. */
const char *pg_prepare(struct pg_conn *conn, struct str sql, int count, struct err *err);
void pg_forget_prepared(struct pg_conn *conn);

struct pg_statement {
    struct str sql;
    int count;
    const char **params;
};

/* Runs prepared statements in one round trip, as one transaction unless one is open already. */
bool pg_run_all(struct pg_conn *conn, const struct pg_statement *statements, size_t count, struct err *err);

/* What a failure says: ERR_UNAVAILABLE lost or overloaded (try again), ERR_INVALID_RECORD the data cannot be stored,
 * ERR_STATEMENT the statement does not fit the table, ERR_FORBIDDEN, ERR_INTERNAL the rest. */
enum err_code pg_classify(const char *sqlstate);

/* Tables (table.c) --------------------------------------------------------------------------------------- */

struct pg_column {
    struct str name;      /* as it is in the table */
    struct str type;      /* "timestamp without time zone": to cast to */
    struct str type_name; /* "timestamp" as in pg_type */
    bool is_array;
};

struct pg_table {
    struct str name; /* as written in SQL, quoted where options say so */
    bool exists;
    struct pg_column *columns;
    size_t column_count;
};

/* Everything a run of records with one shape needs. */
struct pg_target_column {
    struct str name;          /* of the field */
    struct connect_type type; /* of the field */
    bool is_pk;
    int from; /* enum pg_from */
    uint32_t field;
    const struct pg_column *column;
};

enum pg_from { FROM_KEY, FROM_VALUE, FROM_TOPIC, FROM_PARTITION, FROM_OFFSET };

struct pg_sink {
    struct connect_task *task;
    const struct pg_settings *settings;
    struct pg_conn conn;
    struct time_formats *times;
    const struct time_zone *zone;
    bool never_quote;
    struct arena tables_arena;
    struct map tables; /* name -> struct pg_table * */
    struct arena batch;
    struct sink_position *owned; /* partitions of the task, and what the database says of them */
    size_t owned_count;
    bool ready; /* connected, offsets read */
};

struct pg_table *table_get(struct pg_sink *sink, struct str name, struct err *err);
void table_forget_all(struct pg_sink *sink);
struct str table_name_of(const struct pg_sink *sink, struct str topic, struct arena *arena);
void append_identifier(const struct pg_sink *sink, struct str name, struct buf *out);

/* Makes the table, adds columns, and sets columns[i].column of all; a guessed null column that is nowhere stays NULL. */
bool table_fit(struct pg_sink *sink, struct pg_table *table, struct pg_target_column *columns, size_t count,
               struct err *err);

/* Values (value.c): one element of an array literal; ERR_INVALID_RECORD. */
bool append_element(struct pg_sink *sink, struct value v, const struct connect_type *type,
                    const struct pg_column *column, struct buf *out, struct err *err);

/* Records to statements (write.c): rows and positions, in one transaction. */
bool write_records(struct pg_sink *sink, const struct sink_record *records, size_t count,
                   const struct sink_position *positions, size_t position_count, struct err *err);

/* Offsets in the database (offsets.c): fills sink->owned; the statement that writes them. */
bool offsets_read(struct pg_sink *sink, struct err *err);
struct pg_statement offsets_statement(struct pg_sink *sink, const struct sink_position *positions,
                                      size_t count, struct arena *arena);

#endif
