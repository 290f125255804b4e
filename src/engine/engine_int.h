/* engine_int.h - the engine's inside: control thread, requests, prepared statements, command log.
 *
 *   request (mail) -> statements.c: for each statement  prepare(sandbox) ... then  execute
 *
 * A statement is prepared against a sandbox: the catalog snapshot as it would be after the statements before it, and the
 * topics that they would create. Preparing has no effect. Executing a prepared statement logs it and makes it real.
 */
#ifndef RIALTO_ENGINE_ENGINE_INT_H
#define RIALTO_ENGINE_ENGINE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "analyze/analyze.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "plan/plan.h"
#include "query/query.h"

struct persistent { /* a persistent query as the engine knows it */
    struct query *query;
    struct str id; /* in arena */
    struct str statement;
    const struct source *sink; /* reference */
    bool creates_sink;         /* CREATE .. AS: dropping the sink ends the query */
    bool
        keeps_sink; /* CREATE SOURCE TABLE: the sink is its source, whose rows it keeps; nothing is written */
    struct arena *arena;
};

struct engine {
    struct engine_options options;
    struct queries *queries;
    struct func_settings func_settings; /* the server's; a session may have others */
    struct thread thread;
    struct loop *loop;
    struct mailbox *box;

    pthread_mutex_t lock; /* guards what readers of other threads see: catalog, persistent, transient */
    const struct catalog *catalog; /* reference */
    vec(struct persistent *) persistent;
    struct list transient; /* struct engine_query.link: push and pull queries that run */
    struct list waiting;   /* struct request.link: their assertion does not hold yet; control thread */

    struct client_writer *command_writer; /* control thread */
    int64_t command_next;                 /* offset of the next command record */
    bool replaying; /* commands come from the topic: no topics are deleted, no records written */
};

/* Properties and variables that SET, DEFINE change during a request: name -> struct str in the arena. */
struct session {
    struct map properties, variables;
    struct arena *arena;
};

/* A pull or push query of a face (select.c). */
struct engine_query {
    struct mail mail; /* MAIL_QUERY_OPEN */
    struct engine *engine;
    struct list link; /* engine->transient; under engine->lock */
    struct arena arena;
    struct str sql, id;
    struct session session;
    enum engine_result_kind kind;
    const struct engine_rows_class *class;
    void *arg;
    struct query_rows *rows; /* control thread; NULL: not started, or refused */
    struct print *print;     /* control thread; the same for PRINT */
    atomic_bool is_running;  /* between start and end: id and kind are set, and may be read by any thread */
    pthread_mutex_t lock;    /* held during callbacks; guards what follows */
    bool closed;             /* no callback comes any more */
    bool ended;              /* on_end was called */
    bool limit_reached;      /* for on_end */
};

enum mail_type { MAIL_EXECUTE, MAIL_QUERY_OPEN, MAIL_QUERY_RESUME, MAIL_QUERY_CLOSE, MAIL_STOP };

struct query_mail { /* MAIL_QUERY_RESUME, MAIL_QUERY_CLOSE; sent by the owner of the handle, close last */
    struct mail mail;
    struct engine_query *query;
    void (*closed)(void *arg); /* MAIL_QUERY_CLOSE */
};

struct plan *select_plan(struct engine_query *query, struct err *err);
/* Rows and the end for the receiver; from one thread at a time. select_rows false: it asks for a pause. */
bool select_rows(struct engine_query *query, const struct value *const *cols, uint32_t row_count);
void select_end(struct engine_query *query, bool limit_reached, const struct err *failure);

/* PRINT (print.c); control thread. Closing joins its thread. */
struct print;
struct print *print_open(struct engine_query *query, const struct ast_stmt *stmt, struct err *err);
bool print_start(struct print *print, struct err *err); /* false: it is gone */
void print_resume(struct print *print);
void print_close(struct print *print);

void select_open(struct engine_query *query);                             /* control thread */
void select_close(struct engine_query *query, void (*closed)(void *arg)); /* control thread; frees it */

void session_init(struct session *session, const struct engine *engine, const struct engine_session *from,
                  struct arena *arena);
void session_fini(struct session *session);
void session_set(struct session *session, struct map *map, struct str name, struct str value);
struct str session_text(const struct session *session, const char *name); /* STR_NULL when not set */
bool session_check_property(struct str name, struct err *err);
struct func_settings session_func_settings(const struct session *session);

/* What a query started in this session runs with; `id` is borrowed. */
struct query_options session_query_options(const struct session *session, struct str id,
                                           struct str statement);

/* Walks the known properties with their defaults (SHOW PROPERTIES, /is_valid_property); false ends. */
bool session_property_at(uint32_t i, struct str *name, struct str *default_value);

/* The world as the statements before would have left it. */
struct sandbox {
    struct engine *engine;
    const struct catalog *catalog; /* reference */
    struct map topics; /* name -> partition count + 1: created by earlier statements; 1: deleted */
    struct map ended;  /* query ids that earlier statements end */
    vec(struct prepared *) prepared;
    int64_t command_next;
};

struct request;

struct prepared {
    const struct ast_stmt *stmt;
    struct source *source; /* what a definition adds or replaces; reference or NULL */
    struct plan *plan;     /* query of the statement, owned until executed */
    struct str query_id;
    struct query_options query_options;
    struct str command_id; /* stream/`X`/create */
    struct str message;
    struct str warning;          /* set: the statement has no effect but this warning_entity */
    struct str replaces_query;   /* id of the query that CREATE OR REPLACE changes */
    const struct sql_type *type; /* CREATE TYPE */
    struct map properties;       /* the session's as they were here */
    const struct map *variables; /* SHOW VARIABLES */
    struct value *values;        /* INSERT VALUES: one per column */
    int64_t rowtime_ms;
    const struct source *target; /* INSERT VALUES, DROP, DESCRIBE: reference */
};

/* A text on its way. */
struct statements {
    struct str text; /* still to run */
    struct sql_place place;
    struct session *session;
    struct str failed; /* the statement that was refused; null: none */
    /* Of STATEMENTS_WAIT: */
    const struct ast_stmt *awaited; /* does not hold yet; `text` is what comes behind it */
    int64_t until_ms;               /* monotonic */
};

struct request {
    struct mail mail;
    struct engine *engine;
    struct arena arena;
    struct str sql;
    struct session session;
    engine_done_fn done;
    void *arg;
    struct buf answer; /* entities so far */
    struct json_writer out;
    struct statements statements;
    struct list link;        /* engine->waiting */
    struct loop_timer timer; /* looks again */
};

/* One row a kind of statement (statements.c). */
struct statement_class {
    bool (*prepare)(struct sandbox *box, struct session *session, struct prepared *prepared,
                    struct arena *arena, struct err *err);
    bool (*execute)(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                    struct arena *arena, struct err *err);
    bool logged;
    bool waits; /* an assertion: a refusal by execute is tried again until the statement's time-out */
};
const struct statement_class *statement_class(enum ast_stmt_kind kind);

struct analyze_env sandbox_env(struct sandbox *box, struct session *session);
int32_t sandbox_topic_partitions(void *state, struct str topic);
void sandbox_set_catalog(struct sandbox *box, const struct catalog *catalog); /* takes the reference */

/* Prepares the statements of a text up to an assertion, then executes them one by one, an entity each, and so on. When an
 * assertion does not hold yet it stops there (STATEMENTS_WAIT): call statements_retry now and then. */
enum statements_result { STATEMENTS_DONE, STATEMENTS_FAILED, STATEMENTS_WAIT };
enum statements_result statements_run(struct engine *engine, struct statements *run, struct json_writer *out,
                                      struct arena *arena, struct err *err);
enum statements_result statements_retry(struct engine *engine, struct statements *run,
                                        struct json_writer *out, struct arena *arena, struct err *err);

/* The whole text at once, where nobody else acts meanwhile (step mode, replay): an assertion holds or fails. Writes the
 * array of entities. */
bool statements_run_all(struct engine *engine, struct str sql, struct session *session,
                        struct json_writer *out, struct str *failed_text, struct arena *arena,
                        struct err *err);

/* Command topic (command.c). */
bool command_log_open(struct engine *engine, struct err *err);
bool command_log_append(struct engine *engine, const struct prepared *prepared, int64_t *sequence,
                        struct err *err);

/* What the control thread changes (engine.c). */
void engine_set_catalog(struct engine *engine, const struct catalog *catalog); /* takes the reference */
struct persistent *engine_find_query(struct engine *engine, struct str id);
void engine_add_query(struct engine *engine, struct persistent *persistent);
void engine_remove_query(struct engine *engine, struct persistent *persistent); /* ends and frees it */

/* prepare and execute functions by file. */
#define STATEMENT(name)                                                                           \
    bool prepare_##name(struct sandbox *, struct session *, struct prepared *, struct arena *,    \
                        struct err *);                                                            \
    bool execute_##name(struct engine *, struct prepared *, struct json_writer *, struct arena *, \
                        struct err *)
STATEMENT(create_source);
STATEMENT(create_as);
STATEMENT(insert_into);
STATEMENT(insert_values);
STATEMENT(drop_source);
STATEMENT(alter_source);
STATEMENT(create_type);
STATEMENT(drop_type);
STATEMENT(query_control);
STATEMENT(explain);
STATEMENT(show);
STATEMENT(describe);
STATEMENT(connector);
STATEMENT(assert_topic);
#undef STATEMENT

/* JSON pieces (entity.c). */
void entity_begin(struct json_writer *out, const char *type, struct str statement_text);
void entity_end(struct json_writer *out);
void entity_warning(struct json_writer *out, struct str statement_text, struct str message);
void entity_running_query(struct json_writer *out, struct persistent *at);
void entity_type(struct json_writer *out, const struct sql_type *type);
void entity_fields(struct json_writer *out, const struct column *columns, uint32_t column_count);
void entity_command_status(struct json_writer *out, struct str statement_text, struct str command_id,
                           struct str message, struct str query_id, int64_t sequence);
const char *entity_window_type(enum ast_window_kind kind);

#endif
