/* pg_conn.c - one connection: statements with a task that can be stopped meanwhile.
 *
 *   pg_run       one statement, its result
 *   pg_run_all   prepared statements in libpq's pipeline mode: one round trip; without BEGIN they are one transaction,
 *                committed by the server when it reaches the sync at the end
 *
 * (N1) No call blocks for good: all waiting is poll(2) in short turns; a task that shall stop gets STOP_GRACE_MS.
 * (N2) After ERR_UNAVAILABLE the connection may be gone; the sink then disconnects and begins anew.
 */
#include <errno.h>
#include <poll.h>

#include "connector/pg_sink/pg_sink_int.h"

enum { TURN_MS = 100, CONNECT_MS = 10000, STOP_GRACE_MS = 4000 };

static const char *first_line(const char *text, struct arena *arena)
{
    struct str rest = str_trim(str_from(text));
    ptrdiff_t end = str_find_char(rest, '\n');
    return str_cstr(end >= 0 ? str_sub(rest, 0, (size_t)end) : rest, arena);
}

static bool lost(struct pg_conn *conn, const char *what, struct err *err)
{
    struct arena arena = {0};
    err_set(err, ERR_UNAVAILABLE, "PostgreSQL: %s: %s", what, first_line(PQerrorMessage(conn->pq), &arena));
    arena_fini(&arena);
    return false;
}

/* SQLSTATE classes (PostgreSQL, appendix A). */
enum err_code pg_classify(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        enum err_code code;
    } table[] = {
        {"08", ERR_UNAVAILABLE},       {"40", ERR_UNAVAILABLE},    {"53", ERR_UNAVAILABLE},
        {"55", ERR_UNAVAILABLE},       {"57", ERR_UNAVAILABLE},    {"58", ERR_UNAVAILABLE},
        {"25006", ERR_UNAVAILABLE}, /* read-only: a standby that is not promoted yet */
        {"22", ERR_INVALID_RECORD},    {"23", ERR_INVALID_RECORD}, {"54", ERR_INVALID_RECORD},
        {"P0", ERR_INVALID_RECORD},    {"44", ERR_INVALID_RECORD}, {"42804", ERR_INVALID_RECORD},
        {"42846", ERR_INVALID_RECORD}, {"42501", ERR_FORBIDDEN},   {"42", ERR_STATEMENT},
    };
    for (size_t i = 0; sqlstate != NULL && i < COUNT_OF(table); i++)
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].code;
    return sqlstate == NULL ? ERR_UNAVAILABLE : ERR_INTERNAL;
}

static bool result_failed(struct pg_conn *conn, const PGresult *result, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (state == NULL || PQstatus(conn->pq) == CONNECTION_BAD)
        return lost(conn, "the connection was lost", err);
    return err_set(err, pg_classify(state), "PostgreSQL: %s%s%s (SQLSTATE %s)", text,
                   detail != NULL ? ": " : "", detail != NULL ? detail : "", state);
}

/* Waiting ------------------------------------------------------------------------------------------------ */

/* Waits until the socket is ready or a turn is over; false when the task shall stop and had its grace. */
static bool wait_turn(struct pg_conn *conn, short events, int *waited_ms, struct err *err)
{
    struct pollfd fd = {.fd = PQsocket(conn->pq), .events = events};
    if (poll(&fd, 1, TURN_MS) == 0 && connect_task_stopping(conn->task)) {
        *waited_ms += TURN_MS;
        if (*waited_ms >= STOP_GRACE_MS)
            return err_set(err, ERR_UNAVAILABLE, "PostgreSQL: no answer before the task had to stop");
    }
    return true;
}

static bool flush_all(struct pg_conn *conn, int *waited_ms, struct err *err)
{
    int left;
    while ((left = PQflush(conn->pq)) == 1) {
        if (!wait_turn(conn, POLLIN | POLLOUT, waited_ms, err))
            return false;
        if (!PQconsumeInput(conn->pq))
            return lost(conn, "the connection was lost", err);
    }
    return left == 0 || lost(conn, "the connection was lost", err);
}

/* The next result, NULL at the end of a statement's; false on a lost connection. */
static bool next_result(struct pg_conn *conn, PGresult **result, int *waited_ms, struct err *err)
{
    while (PQisBusy(conn->pq)) {
        if (!wait_turn(conn, POLLIN, waited_ms, err))
            return false;
        if (!PQconsumeInput(conn->pq))
            return lost(conn, "the connection was lost", err);
    }
    *result = PQgetResult(conn->pq);
    return true;
}

/* Life --------------------------------------------------------------------------------------------------- */

bool pg_connect(struct pg_conn *conn, const struct pg_settings *settings, struct err *err)
{
    struct arena arena = {0};
    struct pg_params params = {0};
    bool done = pg_url_parse(settings, &params, &arena, err);
    if (done) {
        conn->pq = PQconnectStartParams(params.names, params.values, 0);
        ASSERT(conn->pq != NULL);
        PostgresPollingStatusType state = PGRES_POLLING_WRITING;
        for (int turns = 0; PQstatus(conn->pq) != CONNECTION_BAD; turns++) {
            state = turns == 0 ? PGRES_POLLING_WRITING : PQconnectPoll(conn->pq);
            if (state == PGRES_POLLING_OK || state == PGRES_POLLING_FAILED || turns > CONNECT_MS / TURN_MS ||
                connect_task_stopping(conn->task))
                break;
            struct pollfd fd = {.fd = PQsocket(conn->pq),
                                .events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT};
            poll(&fd, 1, TURN_MS);
        }
        done = state == PGRES_POLLING_OK;
        if (!done && (state == PGRES_POLLING_FAILED || PQstatus(conn->pq) == CONNECTION_BAD))
            lost(conn, "cannot connect", err);
        else if (!done)
            err_set(err, ERR_UNAVAILABLE, "PostgreSQL: cannot connect: no answer within %d s",
                    CONNECT_MS / 1000);
        if (done)
            PQsetnonblocking(conn->pq, 1);
        else
            pg_disconnect(conn);
    }
    arena_fini(&arena);
    return done;
}

void pg_forget_prepared(struct pg_conn *conn)
{
    map_clear(&conn->prepared);
    arena_reset(&conn->arena);
    if (conn->pq != NULL)
        ignore(pg_run(conn, "DEALLOCATE ALL", 0, NULL, NULL, &(struct err){0}),
               "a lost connection shows soon enough");
}

void pg_disconnect(struct pg_conn *conn)
{
    if (conn->pq != NULL)
        PQfinish(conn->pq);
    conn->pq = NULL;
    map_fini(&conn->prepared);
    arena_fini(&conn->arena);
}

/* Statements --------------------------------------------------------------------------------------------- */

static bool good_status(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool take_one(struct pg_conn *conn, PGresult **out, struct err *err)
{
    int waited_ms = 0;
    bool done = flush_all(conn, &waited_ms, err), taken = false;
    PGresult *result = NULL;
    while (done && (taken = next_result(conn, &result, &waited_ms, err)) && result != NULL) {
        if (!good_status(result))
            done = result_failed(conn, result, err);
        if (done && out != NULL && *out == NULL)
            *out = result;
        else
            PQclear(result);
        if (!done) /* what follows the failure is only the end */
            while (next_result(conn, &result, &waited_ms, &(struct err){0}) && result != NULL)
                PQclear(result);
    }
    return done && taken;
}

bool pg_run(struct pg_conn *conn, const char *sql, int count, const char *const *params, PGresult **result,
            struct err *err)
{
    if (result != NULL)
        *result = NULL;
    if (!PQsendQueryParams(conn->pq, sql, count, NULL, params, NULL, NULL, 0))
        return lost(conn, "cannot send", err);
    if (take_one(conn, result, err))
        return true;
    if (result != NULL && *result != NULL)
        PQclear(*result);
    return false;
}

const char *pg_prepare(struct pg_conn *conn, struct str sql, int count, struct err *err)
{
    const char *name = map_get(&conn->prepared, sql);
    if (name != NULL)
        return name;
    name = str_printf(&conn->arena, "rialto_%zu", conn->prepared.len).ptr;
    if (!PQsendPrepare(conn->pq, name, str_cstr(sql, &conn->arena), count, NULL)) {
        lost(conn, "cannot send", err);
        return NULL;
    }
    if (!take_one(conn, NULL, err))
        return NULL;
    map_put(&conn->prepared, sql, (void *)name);
    return name;
}

/* Results of all statements up to the sync; the first failure is kept. */
static bool take_all(struct pg_conn *conn, struct err *err)
{
    bool good = true, synced = false;
    int waited_ms = 0;
    if (!flush_all(conn, &waited_ms, err))
        return false;
    while (!synced) {
        PGresult *result;
        if (!next_result(conn, &result, &waited_ms, err))
            return false;
        if (result == NULL) {
            if (PQstatus(conn->pq) == CONNECTION_BAD)
                return lost(conn, "the connection was lost", err);
            continue;
        }
        ExecStatusType status = PQresultStatus(result);
        synced = status == PGRES_PIPELINE_SYNC;
        if (good && !synced && status != PGRES_PIPELINE_ABORTED && !good_status(result))
            good = result_failed(conn, result, err);
        PQclear(result);
        if (!good && err->code == ERR_UNAVAILABLE && PQstatus(conn->pq) == CONNECTION_BAD)
            return false;
    }
    return good;
}

bool pg_run_all(struct pg_conn *conn, const struct pg_statement *statements, size_t count, struct err *err)
{
    const char *names[count + 1];
    for (size_t i = 0; i < count; i++)
        if ((names[i] = pg_prepare(conn, statements[i].sql, statements[i].count, err)) == NULL)
            return false;
    if (!PQenterPipelineMode(conn->pq))
        return lost(conn, "cannot send", err);
    for (size_t i = 0; i < count; i++)
        if (!PQsendQueryPrepared(conn->pq, names[i], statements[i].count, statements[i].params, NULL, NULL,
                                 0))
            return lost(conn, "cannot send", err);
    if (!PQpipelineSync(conn->pq))
        return lost(conn, "cannot send", err);
    bool done = take_all(conn, err);
    if (PQstatus(conn->pq) == CONNECTION_OK && !PQexitPipelineMode(conn->pq))
        return lost(conn, "the connection is out of step", err);
    return done;
}
