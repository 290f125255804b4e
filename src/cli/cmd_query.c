/* cmd_query.c - rialto query list, describe, terminate: through SQL. */
#include "cli/session_int.h"
#include "sql/sql.h"

static const struct table_column list_columns[] = {{STR_INIT("ID"), STR_INIT("id"), false},
                                                   {STR_INIT("TYPE"), STR_INIT("type"), false},
                                                   {STR_INIT("STATE"), STR_INIT("state"), false},
                                                   {STR_INIT("SINK"), STR_INIT("sink"), false},
                                                   {STR_INIT("SQL"), STR_INIT("sql"), false}};

static bool ask(struct cli *cli, struct hclient *http, struct str sql, const struct json_value **entity,
                struct err *err)
{
    const struct json_value *entities;
    if (!rest_statements(http, sql, NULL, NULL, &entities, &cli->arena, err))
        return false;
    *entity = entities->len > 0 ? &entities->elems[0] : NULL;
    return *entity != NULL || err_set(err, ERR_INTERNAL, "the server's answer is empty");
}

int cli_query_list(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    const struct json_value *entity = NULL;
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    if (!hclient_init(&http, cli->url, cli->stop_fd, &err))
        return cli_fail(cli, &err, NULL);
    bool ok = ask(cli, &http, STR("SHOW QUERIES;"), &entity, &err);
    if (ok) {
        const struct json_value *queries = json_get(entity, STR("queries"));
        struct table table;
        table_init(&table, cli, list_columns, COUNT_OF(list_columns));
        ok = table_pick(&table, cli, &err);
        for (uint32_t i = 0; ok && queries != NULL && queries->kind == JSON_ARRAY && i < queries->len; i++) {
            const struct json_value *query = &queries->elems[i];
            struct str cells[] = {rest_field(query, "id", &cli->arena),
                                  rest_field(query, "queryType", &cli->arena),
                                  rest_field(query, "state", &cli->arena),
                                  rest_field(query, "sinks", &cli->arena),
                                  rest_field(query, "queryString", &cli->arena)};
            if (cli_glob(pattern, cells[0]))
                table_row(&table, cells);
        }
        if (ok)
            table_print(&table);
        table_fini(&table);
    }
    hclient_fini(&http);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}

/* A query id stands in SQL as a name; quoted, nothing in it is anything else. */
static struct str statement(struct cli *cli, const char *words, struct str id)
{
    struct buf sql = {0};
    buf_printf(&sql, "%s ", words);
    sql_print_name(str_upper(id, &cli->arena), &sql);
    buf_append_char(&sql, ';');
    struct str text = str_dup(buf_str(&sql), &cli->arena);
    buf_fini(&sql);
    return text;
}

int cli_query_describe(struct cli *cli)
{
    struct session session;
    struct err err = {0};
    int status = CLI_FAILED;
    if (sql_session_init(&session, cli, cli->url, &err)) {
        if (session.form == TABLE_LINES)
            session.form = TABLE_ALIGNED;
        status = sql_session_run(&session, statement(cli, "EXPLAIN", cli->names.at[0]), true);
    } else {
        status = cli_fail(cli, &err, NULL);
    }
    sql_session_fini(&session);
    return status;
}

int cli_query_terminate(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    int status = CLI_OK;
    if (!hclient_init(&http, cli->url, cli->stop_fd, &err))
        return cli_fail(cli, &err, NULL);
    for (size_t i = 0; i < cli->names.len; i++) {
        const struct json_value *entity;
        err = (struct err){0};
        if (ask(cli, &http, statement(cli, "TERMINATE", cli->names.at[i]), &entity, &err)) {
            cli_note(cli, "terminated query %.*s", STR_ARG(cli->names.at[i]));
            continue;
        }
        int failed = cli_fail(cli, &err, "'rialto query list' shows all queries.");
        status = MAX(status, failed);
    }
    hclient_fini(&http);
    return status;
}
