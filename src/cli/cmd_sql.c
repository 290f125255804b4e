/* cmd_sql.c - rialto sql: statements from -e, -f or stdin, or the shell on a terminal. */
#include <unistd.h>

#include "cli/session_int.h"
#include "cli/shell_int.h"
#include "sql/sql.h"

bool sql_session_set_form(struct session *session, struct str name)
{
    static const struct {
        const char *name;
        enum table_form form;
    } forms[] = {{"table", TABLE_ALIGNED},
                 {"tabular", TABLE_ALIGNED},
                 {"lines", TABLE_LINES},
                 {"json", TABLE_JSON},
                 {"csv", TABLE_CSV}};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (str_eq_nocase(name, str_from(forms[i].name))) {
            session->form = forms[i].form;
            return true;
        }
    }
    return false;
}

static bool take_definitions(struct session *session, struct err *err)
{
    const struct cli *cli = session->cli;
    for (size_t i = 0; i < cli->values.len; i++) {
        struct str text = cli->values.at[i].text;
        ptrdiff_t equal = str_find_char(text, '=');
        if (strcmp(cli->values.at[i].option->name, "define") != 0)
            continue;
        if (equal <= 0)
            return err_set(err, ERR_USAGE, "-d takes NAME=VALUE, not '%.*s'", STR_ARG(text));
        sql_session_define(session, str_sub(text, 0, (size_t)equal),
                           str_sub(text, (size_t)equal + 1, SIZE_MAX));
    }
    return true;
}

static bool take_options(struct session *session, struct err *err)
{
    struct cli *cli = session->cli;
    struct str form = cli_value(cli, "output");
    if (!str_is_null(form) && !sql_session_set_form(session, form))
        return err_set(err, ERR_USAGE, "--output must be table, lines, json or csv, not '%.*s'",
                       STR_ARG(form));
    if (session->form == TABLE_CSV)
        session->header = true;
    session->keep_going = cli_flag(cli, "keep-going");
    return cli_integer(cli, "query-row-limit", 0, INT64_MAX, -1, &session->row_limit, err) &&
           cli_integer(cli, "query-timeout", 0, INT32_MAX, -1, &session->timeout_ms, err) &&
           take_definitions(session, err);
}

static int run_texts(struct session *session)
{
    struct cli *cli = session->cli;
    struct str file = cli_value(cli, "file"), text = cli_value(cli, "execute");
    if (!str_is_null(file) && !str_is_null(text))
        return cli_usage(cli, "-e and -f exclude each other");
    if (!str_is_null(text))
        return sql_session_run(session, text, true);
    struct buf script = {0};
    struct err err = {0};
    int status = cli_read_file(str_is_null(file) ? STR("-") : file, &script, &err)
                     ? sql_session_run(session, buf_str(&script), true)
                     : cli_fail(cli, &err, NULL);
    buf_fini(&script);
    return status;
}

int cli_sql(struct cli *cli)
{
    struct session session;
    struct err err = {0};
    int status;
    struct str url = cli->names.len > 0 ? cli->names.at[0] : cli->url;
    if (!sql_session_init(&session, cli, url, &err) || !take_options(&session, &err))
        status = cli_fail(cli, &err, NULL);
    else if (cli_flag(cli, "execute") || cli_flag(cli, "file") || !isatty(STDIN_FILENO))
        status = run_texts(&session);
    else
        status = shell_run(&session);
    sql_session_fini(&session);
    return status;
}
