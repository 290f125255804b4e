/* session.c - statements of a text, one after the other, against one server.
 *
 *   text -> sql_next_statement -> its kind (parsed here) -> SET, UNSET, DEFINE, UNDEFINE, SHOW VARIABLES, RUN SCRIPT: here
 *                                                        -> SELECT, PRINT: a stream of rows until it ends or Ctrl-C
 *                                                        -> the rest: POST /ksql, its entities
 *
 * Properties and variables live here and go with every request, as ksqlDB's own shell does it: the server keeps no session.
 */
#include "cli/session_int.h"
#include "cli/shell_int.h"

#include <stdlib.h>
#include <string.h>

#include "cli/sock_int.h"
#include "sql/sql.h"

enum { SCRIPT_DEPTH_MAX = 8, POLL_MS = 250 };

bool sql_session_init(struct session *session, struct cli *cli, struct str url, struct err *err)
{
    *session = (struct session){
        .cli = cli, .header = cli->header, .row_limit = -1, .timeout_ms = -1, .timing = true};
    session->form = cli->json ? TABLE_JSON : cli->stdout_tty ? TABLE_ALIGNED : TABLE_LINES;
    return hclient_init(&session->http, str_dup(url, &session->arena), cli->stop_fd, err);
}

void sql_session_fini(struct session *session)
{
    hclient_fini(&session->http);
    map_fini(&session->properties);
    map_fini(&session->variables);
    arena_fini(&session->arena);
}

/* Errors -------------------------------------------------------------------------------------------------- */

/* Line n (from 1) of a text. */
static struct str text_line(struct str text, int n)
{
    struct str line = STR("");
    while (n-- > 0)
        if (!str_split(&text, '\n', &line))
            return STR("");
    return line;
}

/* Where a message begins with "line L:C:", the line is shown with a mark below the place. */
static void show_place(struct str message, struct str statement)
{
    struct str rest = message, part;
    int64_t line, column;
    ptrdiff_t at = str_find(message, STR("line "));
    if (at < 0 || at > 40)
        return;
    rest = str_sub(message, (size_t)at + 5, SIZE_MAX);
    if (!str_split(&rest, ':', &part) || !str_to_i64(part, &line) || !str_split(&rest, ':', &part) ||
        !str_to_i64(part, &column) || line < 1 || column < 1)
        return;
    struct str text = text_line(statement, (int)MIN(line, 1000000));
    if (text.len > 0)
        fprintf(stderr, "%.*s\n%*s^\n", STR_ARG(text), (int)MIN(column - 1, (int64_t)text.len), "");
}

static int statement_failed(struct session *session, const struct err *err, struct str statement)
{
    if (err->code == ERR_SHUTDOWN)
        return CLI_INTERRUPTED;
    struct err told = *err;
    if (!session->cli->json && session->form != TABLE_JSON)
        show_place(str_from(err->text), statement);
    /* The statement stands on the screen already. */
    char *tail = strstr(told.text, "\nStatement: ");
    if (tail != NULL)
        *tail = '\0';
    return cli_fail(session->cli, &told, NULL);
}

/* Rows ---------------------------------------------------------------------------------------------------- */

/* A line of a row stream: the header, a row, or an error. */
static bool take_line(struct rows *rows, struct str line, struct arena *arena, struct err *err)
{
    if (str_trim(line).len == 0)
        return true;
    const struct json_value *value = json_parse(line, arena, err);
    if (value == NULL)
        return false;
    if (value->kind == JSON_ARRAY) {
        rows_row(rows, value);
        return true;
    }
    if (json_get(value, STR("error_code")) != NULL)
        return rest_refusal(400, line, arena, err);
    rows_header(rows, value);
    return true;
}

/* Reads the stream line by line until its end, the limits, or Ctrl-C (ERR_SHUTDOWN). */
static bool read_rows(struct session *session, struct rows *rows, struct err *err)
{
    struct buf pending = {0};
    struct arena arena = {0};
    struct err failure = {0};
    int64_t deadline_ms = session->timeout_ms >= 0 ? clock_mono_ms() + session->timeout_ms : INT64_MAX;
    bool ok = true, end = false;
    while (ok && !end) {
        struct str piece;
        failure = (struct err){0};
        if (!hclient_read(&session->http, &piece, MIN(clock_mono_ms() + POLL_MS, deadline_ms), &failure)) {
            /* Silence: show what has come, then go on waiting. */
            rows_flush(rows);
            end = failure.code == ERR_TIMED_OUT && clock_mono_ms() >= deadline_ms;
            ok = failure.code == ERR_TIMED_OUT;
            continue;
        }
        end = piece.len == 0;
        buf_append_str(&pending, piece);
        struct str rest = buf_str(&pending);
        ptrdiff_t newline;
        while (ok && !end && (newline = str_find_char(rest, '\n')) >= 0) {
            ok = take_line(rows, str_sub(rest, 0, (size_t)newline), &arena, &failure);
            rest = str_sub(rest, (size_t)newline + 1, SIZE_MAX);
            end = session->row_limit >= 0 && rows->count >= session->row_limit;
            arena_reset(&arena);
        }
        if (ok && end && piece.len == 0)
            ok = take_line(rows, rest, &arena, &failure);
        buf_consume(&pending, pending.len - rest.len);
        fflush(stdout);
    }
    rows_flush(rows);
    if (!ok && err != NULL)
        *err = failure;
    arena_fini(&arena);
    buf_fini(&pending);
    return ok;
}

/* Opens /query-stream; a refusal is an error. */
static bool open_stream(struct session *session, struct str path, const char *sql_member,
                        const char *properties_member, const char *accept, struct str sql, struct err *err)
{
    struct buf body = {0};
    rest_request_body(&body, sql_member, sql, properties_member, &session->properties, &session->variables);
    bool ok = hclient_send(&session->http, "POST", path, accept, buf_str(&body), err);
    buf_fini(&body);
    if (!ok || session->http.status < 400)
        return ok;
    struct arena arena = {0};
    struct buf text = {0};
    if (hclient_read_all(&session->http, &text, err))
        rest_refusal(session->http.status, buf_str(&text), &arena, err);
    buf_fini(&text);
    arena_fini(&arena);
    return false;
}

static void say_end(const struct session *session, const struct rows *rows, bool stopped, int64_t started_ms)
{
    double seconds = (double)(clock_mono_ms() - started_ms) / 1000;
    if (stopped)
        cli_note(session->cli, "stopped after %" PRId64 " rows, %.1f s", rows->count, seconds);
    else if (session->interactive && session->timing)
        cli_note(session->cli, "%" PRId64 " rows, %.3f s", rows->count, seconds);
}

static int run_query(struct session *session, struct str sql)
{
    struct rows rows;
    struct err err = {0};
    int64_t started_ms = clock_mono_ms();
    rows_init(&rows, session->cli, session->form);
    rows.header = session->header || session->form != TABLE_LINES;
    rows.vertical = session->vertical;
    bool ok = open_stream(session, STR("/query-stream"), "sql", "properties",
                          "application/vnd.ksqlapi.delimited.v1", sql, &err) &&
              read_rows(session, &rows, &err);
    bool stopped = !ok && err.code == ERR_SHUTDOWN;
    /* The server ends a query when its client goes away. */
    if (!session->http.ended)
        hclient_close(&session->http);
    if (ok || stopped)
        say_end(session, &rows, stopped, started_ms);
    if (stopped)
        ignore(cli_interrupted(session->cli), "the signal has done its work");
    rows_fini(&rows);
    if (stopped)
        return session->interactive ? CLI_OK : CLI_INTERRUPTED;
    return ok ? CLI_OK : statement_failed(session, &err, sql);
}

/* PRINT gives lines of text. */
static int run_print(struct session *session, struct str sql)
{
    struct err err = {0};
    bool ok = open_stream(session, STR("/query"), "ksql", "streamsProperties", "application/vnd.ksql.v1+json",
                          sql, &err);
    struct str piece = STR("");
    bool end = !ok;
    while (!end) {
        struct err failure = {0};
        if (hclient_read(&session->http, &piece, clock_mono_ms() + POLL_MS, &failure)) {
            fwrite(piece.ptr, 1, piece.len, stdout);
            end = piece.len == 0;
        } else if (failure.code != ERR_TIMED_OUT) {
            ok = failure.code == ERR_SHUTDOWN;
            err = failure;
            end = true;
        }
        fflush(stdout);
    }
    if (!session->http.ended)
        hclient_close(&session->http);
    if (!ok)
        return statement_failed(session, &err, sql);
    if (err.code == ERR_SHUTDOWN)
        ignore(cli_interrupted(session->cli), "the signal has done its work");
    cli_note(session->cli, "Topic printing ceased");
    return CLI_OK;
}

/* Statements of the client -------------------------------------------------------------------------------- */

static void map_set(struct session *session, struct map *map, struct str name, struct str value)
{
    struct str *kept = arena_new(&session->arena, struct str);
    *kept = str_dup(value, &session->arena);
    map_put(map, name, kept);
}

static bool check_property(struct session *session, struct str name, struct err *err)
{
    struct arena arena = {0};
    struct buf path = {0};
    const struct json_value *answer;
    buf_append_cstr(&path, "/is_valid_property/");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '_' || c == '-';
        buf_printf(&path, plain ? "%c" : "%%%02X", (unsigned char)c);
    }
    bool ok = rest_call(&session->http, "GET", buf_str(&path), STR_NULL, &answer, &arena, err);
    buf_fini(&path);
    arena_fini(&arena);
    return ok;
}

static int run_set(struct session *session, const struct ast_stmt *stmt)
{
    struct err err = {0};
    const struct str *before = map_get(&session->properties, stmt->name);
    if (!check_property(session, stmt->name, &err))
        return statement_failed(session, &err, STR(""));
    if (before != NULL)
        cli_note(session->cli, "Successfully changed local property '%.*s' from '%.*s' to '%.*s'.",
                 STR_ARG(stmt->name), STR_ARG(*before), STR_ARG(stmt->value));
    else if (session->interactive)
        cli_note(session->cli,
                 "Successfully changed local property '%.*s' to '%.*s'. Use the UNSET command to revert your "
                 "change.",
                 STR_ARG(stmt->name), STR_ARG(stmt->value));
    map_set(session, &session->properties, stmt->name, stmt->value);
    return CLI_OK;
}

static int run_unset(struct session *session, const struct ast_stmt *stmt)
{
    const struct str *before = map_remove(&session->properties, stmt->name);
    struct err err;
    if (before == NULL) {
        err_set(&err, ERR_STATEMENT,
                "Cannot unset local property '%.*s' which was never set in the first place.",
                STR_ARG(stmt->name));
        return statement_failed(session, &err, STR(""));
    }
    if (session->interactive)
        cli_note(session->cli, "Successfully unset local property '%.*s' (value was '%.*s').",
                 STR_ARG(stmt->name), STR_ARG(*before));
    return CLI_OK;
}

static int run_undefine(struct session *session, const struct ast_stmt *stmt)
{
    struct arena arena = {0};
    if (map_remove(&session->variables, str_upper(stmt->name, &arena)) == NULL)
        cli_note(session->cli, "Cannot undefine variable '%.*s' which was never defined",
                 STR_ARG(stmt->name));
    arena_fini(&arena);
    return CLI_OK;
}

void sql_session_define(struct session *session, struct str name, struct str value)
{
    struct arena arena = {0};
    map_set(session, &session->variables, str_upper(name, &arena), value);
    arena_fini(&arena);
}

static int show_variables(struct session *session)
{
    static const struct table_column columns[] = {{STR_INIT("Variable Name"), STR_INIT("name"), false},
                                                  {STR_INIT("Value"), STR_INIT("value"), false}};
    struct table table;
    struct str name;
    void *value;
    table_init(&table, session->cli, columns, COUNT_OF(columns));
    table.form = session->form;
    for (size_t pos = 0; map_next(&session->variables, &pos, &name, &value);) {
        struct str cells[] = {name, *(const struct str *)value};
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
    return CLI_OK;
}

/* Running ------------------------------------------------------------------------------------------------- */

static int run_depth(struct session *session, struct str text, bool complete, int depth);

static int run_script(struct session *session, struct str path, int depth)
{
    struct buf text = {0};
    struct err err = {0};
    int status;
    if (depth >= SCRIPT_DEPTH_MAX)
        err_set(&err, ERR_STATEMENT, "scripts run scripts more than %d deep", SCRIPT_DEPTH_MAX);
    else
        cli_read_file(path, &text, &err);
    status = err.code != ERR_NONE ? statement_failed(session, &err, STR(""))
                                  : run_depth(session, buf_str(&text), true, depth + 1);
    buf_fini(&text);
    return status;
}

static int run_statements(struct session *session, struct str sql)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct json_value *entities;
    bool ok = rest_statements(&session->http, sql, &session->properties, &session->variables, &entities,
                              &arena, &err);
    if (ok)
        entity_print(session, entities);
    arena_fini(&arena);
    session->sources_changed = true;
    return ok ? CLI_OK : statement_failed(session, &err, sql);
}

/* The statement with the session's variables put in, for its kind and for the statements that are run here. */
static int run_one(struct session *session, struct str sql, int depth)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct ast_stmt *const *stmts;
    uint32_t count = 0;
    int status = CLI_OK;
    if (!sql_parse_script(sql, &session->variables, &stmts, &count, &arena, &err)) {
        status = statement_failed(session, &err, sql);
    } else if (count == 1) {
        const struct ast_stmt *stmt = stmts[0];
        switch (stmt->kind) {
        case STMT_SET_PROPERTY:
            status = run_set(session, stmt);
            break;
        case STMT_UNSET_PROPERTY:
            status = run_unset(session, stmt);
            break;
        case STMT_DEFINE:
            sql_session_define(session, stmt->name, stmt->value);
            break;
        case STMT_UNDEFINE:
            status = run_undefine(session, stmt);
            break;
        case STMT_SHOW_VARIABLES:
            status = show_variables(session);
            break;
        case STMT_RUN_SCRIPT:
            status = run_script(session, stmt->name, depth);
            break;
        case STMT_QUERY:
            status = run_query(session, stmt->text);
            break;
        case STMT_PRINT:
            status = run_print(session, stmt->text);
            break;
        default:
            status = run_statements(session, stmt->text);
        }
    }
    arena_fini(&arena);
    return status;
}

/* Is there anything but white space and comments? */
static bool is_blank(struct str text)
{
    struct arena arena = {0};
    const struct ast_stmt *const *stmts;
    uint32_t count = 1;
    bool ok = sql_parse_script(text, NULL, &stmts, &count, &arena, NULL);
    arena_fini(&arena);
    return ok && count == 0;
}

static int run_depth(struct session *session, struct str text, bool complete, int depth)
{
    struct str statement;
    int status = CLI_OK;
    while (sql_next_statement(&text, &statement)) {
        if (session->spool != NULL)
            fprintf(session->spool, "ksql> %.*s\n", STR_ARG(statement));
        int one = run_one(session, statement, depth);
        status = MAX(status, one);
        if (one == CLI_INTERRUPTED || (one != CLI_OK && !session->keep_going))
            return status;
    }
    if (!complete || is_blank(text))
        return status;
    struct buf last = {0};
    buf_append_str(&last, text);
    buf_append_cstr(&last, "\n;");
    int one = run_one(session, buf_str(&last), depth);
    buf_fini(&last);
    return MAX(status, one);
}

int sql_session_run(struct session *session, struct str text, bool complete)
{
    return run_depth(session, text, complete, 0);
}
