/* cmd_doc.c - rialto doc: references made of the program's own tables. */
#include <stdio.h>

#include "cli/table_int.h"

static const struct table_column error_columns[] = {{STR_INIT("NAME"), STR_INIT("name"), false},
                                                    {STR_INIT("KAFKA"), STR_INIT("kafka"), true},
                                                    {STR_INIT("HTTP"), STR_INIT("http"), true},
                                                    {STR_INIT("KSQL"), STR_INIT("ksql"), true},
                                                    {STR_INIT("SQLSTATE"), STR_INIT("sqlstate"), false},
                                                    {STR_INIT("RETRY"), STR_INIT("retry"), true},
                                                    {STR_INIT("TEXT"), STR_INIT("text"), false}};

/* The pattern may be a name or any of the codes. */
static bool matches(const struct str *cells, struct str pattern)
{
    for (size_t i = 0; i < 5; i++)
        if (cli_glob(pattern, cells[i]))
            return true;
    return false;
}

static void print_markdown(const struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        printf("| %.*s %s", STR_ARG(table->columns[i].title), i + 1 == table->column_count ? "|\n" : "");
    for (size_t i = 0; i < table->column_count; i++)
        printf("|---%s", i + 1 == table->column_count ? "|\n" : "");
    for (size_t i = 0; i < table->cells.len; i++)
        printf("| %.*s %s", STR_ARG(table->cells.at[i]), (i + 1) % table->column_count == 0 ? "|\n" : "");
}

static void print_errors(struct cli *cli, struct str pattern)
{
    struct table table;
    table_init(&table, cli, error_columns, COUNT_OF(error_columns));
    for (int code = 0; code < ERR_COUNT; code++) {
        struct str cells[] = {str_from(err_name(code)),
                              table_number(&table, err_kafka_code(code)),
                              table_number(&table, err_http_status(code)),
                              table_number(&table, err_ksql_code(code)),
                              str_from(err_sqlstate(code)),
                              err_retriable(code) ? STR("true") : STR("false"),
                              str_from(err_default_text(code))};
        if (code != ERR_NONE && matches(cells, pattern))
            table_row(&table, cells);
    }
    if (cli_flag(cli, "markdown"))
        print_markdown(&table);
    else
        table_print(&table);
    table_fini(&table);
}

int cli_doc(struct cli *cli)
{
    static const struct cli_docs none;
    const struct cli_docs *docs = cli->docs != NULL ? cli->docs : &none;
    const struct {
        const char *words;
        void (*print)(struct str pattern, bool json, struct buf *out);
    } kinds[] = {{"doc options", docs->options},
                 {"doc functions", docs->functions},
                 {"doc routes", docs->routes},
                 {"doc metrics", docs->metrics},
                 {"doc rights", docs->rights}};
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    if (cli->json && cli_flag(cli, "markdown"))
        return cli_usage(cli, "--json and --markdown exclude each other");
    if (strcmp(cli->command->words, "doc errors") == 0) {
        print_errors(cli, pattern);
        return CLI_OK;
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(cli->command->words, kinds[i].words) != 0)
            continue;
        struct buf out = {0};
        struct err err;
        if (kinds[i].print == NULL) {
            err_set(&err, ERR_UNSUPPORTED, "this program was built without the tables for 'rialto %s'",
                    kinds[i].words);
            return cli_fail(cli, &err, NULL);
        }
        kinds[i].print(pattern, cli->json, &out);
        if (out.len > 0)
            fwrite(out.ptr, 1, out.len, stdout);
        buf_fini(&out);
    }
    return CLI_OK;
}
