/* session_int.h - statements sent to a server and their answers shown; used by the shell and by single commands. */
#ifndef RIALTO_CLI_SESSION_INT_H
#define RIALTO_CLI_SESSION_INT_H

#include <stdio.h>

#include "cli/hclient_int.h"
#include "cli/table_int.h"
#include "json/json.h"

/* One request to a JSON API; *answer lives in the arena, NULL for an empty body. A status of 400 and more is an error with
 * the server's message. */
bool rest_call(struct hclient *http, const char *method, struct str path, struct str body,
               const struct json_value **answer, struct arena *arena, struct err *err);

/* POST /ksql with one text: the entities. */
bool rest_statements(struct hclient *http, struct str sql, const struct map *properties,
                     const struct map *variables, const struct json_value **entities, struct arena *arena,
                     struct err *err);

/* Body of /ksql and /query ("ksql", "streamsProperties") or /query-stream ("sql", "properties"). */
void rest_request_body(struct buf *out, const char *sql_member, struct str sql, const char *properties_member,
                       const struct map *properties, const struct map *variables);

/* The server's refusal as an error: code by HTTP status, text from the body. */
bool rest_refusal(int status, struct str body, struct arena *arena, struct err *err);

/* A JSON value as people read it: strings without quotes, null as "null", the rest compact. */
struct str rest_text(const struct json_value *value, struct arena *arena);

/* The object's field as such a text, an array by its first element; "" when there is none or null. */
struct str rest_field(const struct json_value *object, const char *name, struct arena *arena);

/* Rows of a query, shown as they come. */
struct rows {
    const struct cli *cli;
    enum table_form form;
    bool header, vertical;
    struct arena arena; /* names, buffered rows */
    struct str *names;
    size_t column_count;
    int *widths; /* aligned: fixed when the header is printed */
    bool *numeric;
    vec(struct str) pending; /* aligned: cells before the header is printed */
    int64_t first_ms;        /* when the first row came */
    bool printed;            /* the header was */
    int64_t count;
    struct buf out;
};

void rows_init(struct rows *rows, const struct cli *cli, enum table_form form);
void rows_fini(struct rows *rows);
void rows_header(struct rows *rows, const struct json_value *header);
void rows_row(struct rows *rows, const struct json_value *row);

/* Prints what waits for more rows to know the widths: after a pause, and at the end. */
void rows_flush(struct rows *rows);

struct session {
    struct cli *cli;
    struct hclient http;
    struct arena arena;    /* values of properties and variables, the server's name */
    struct map properties; /* SET: name -> struct str */
    struct map variables;  /* DEFINE: upper-case name -> struct str */
    enum table_form form;
    bool header, vertical, timing;
    bool interactive;
    bool keep_going;
    int64_t row_limit;    /* -1: none */
    int64_t timeout_ms;   /* of a query; -1: none */
    bool sources_changed; /* names for completion are old */
    FILE *spool;          /* copy of the session; NULL: none */
};

bool sql_session_init(struct session *session, struct cli *cli, struct str url, struct err *err);
void sql_session_fini(struct session *session);

/* Runs all statements of a text; the last one may lack its semicolon when `complete`. Errors are told. Gives the exit
 * status; stops at the first failed statement unless keep_going. */
int sql_session_run(struct session *session, struct str text, bool complete);

/* Entities of /ksql as tables (entity.c). */
void entity_print(struct session *session, const struct json_value *entities);

#endif
