/* cmd_connector.c - rialto connector list, describe, create, pause, resume, restart, delete: over Connect's REST API. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/session_int.h"

static const struct table_column list_columns[] = {{STR_INIT("NAME"), STR_INIT("name"), false},
                                                   {STR_INIT("KIND"), STR_INIT("kind"), false},
                                                   {STR_INIT("STATE"), STR_INIT("state"), false},
                                                   {STR_INIT("TASKS"), STR_INIT("tasks"), false},
                                                   {STR_INIT("CLASS"), STR_INIT("class"), false}};

/* /connectors/NAME/what; the name percent-encoded. */
static struct str path_of(struct cli *cli, struct str name, const char *what)
{
    struct buf path = {0};
    buf_append_cstr(&path, "/connectors/");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '_' || c == '-' || c == '~';
        buf_printf(&path, plain ? "%c" : "%%%02X", c);
    }
    buf_append_cstr(&path, what);
    struct str text = str_dup(buf_str(&path), &cli->arena);
    buf_fini(&path);
    return text;
}

/* "3/4": running tasks of all. */
static struct str tasks_of(const struct json_value *status, struct arena *arena)
{
    const struct json_value *tasks = json_get(status, STR("tasks"));
    uint32_t running = 0, count = tasks != NULL && tasks->kind == JSON_ARRAY ? tasks->len : 0;
    for (uint32_t i = 0; i < count; i++)
        running += str_eq(rest_field(&tasks->elems[i], "state", arena), STR("RUNNING"));
    return str_printf(arena, "%u/%u", running, count);
}

int cli_connector_list(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    const struct json_value *answer = NULL;
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    if (!hclient_init(&http, cli->url, cli->stop_fd, &err))
        return cli_fail(cli, &err, NULL);
    bool ok = rest_call(&http, "GET", STR("/connectors?expand=status&expand=info"), STR_NULL, &answer,
                        &cli->arena, &err);
    if (ok && answer != NULL && answer->kind == JSON_OBJECT) {
        struct table table;
        table_init(&table, cli, list_columns, COUNT_OF(list_columns));
        ok = table_pick(&table, cli, &err);
        for (uint32_t i = 0; ok && i < answer->len; i++) {
            const struct json_value *status = json_get(&answer->members[i].value, STR("status"));
            const struct json_value *info = json_get(&answer->members[i].value, STR("info"));
            struct str cells[] = {answer->members[i].name, rest_field(status, "type", &cli->arena),
                                  rest_field(json_get(status, STR("connector")), "state", &cli->arena),
                                  tasks_of(status, &cli->arena),
                                  rest_field(json_get(info, STR("config")), "connector.class", &cli->arena)};
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

static void print_tasks(struct cli *cli, const struct json_value *status)
{
    static const struct table_column columns[] = {{STR_INIT("TASK"), STR_INIT("task"), true},
                                                  {STR_INIT("STATE"), STR_INIT("state"), false},
                                                  {STR_INIT("WORKER"), STR_INIT("worker"), false},
                                                  {STR_INIT("CAUSE"), STR_INIT("cause"), false}};
    const struct json_value *tasks = json_get(status, STR("tasks"));
    struct table table;
    table_init(&table, cli, columns, COUNT_OF(columns));
    for (uint32_t i = 0; tasks != NULL && tasks->kind == JSON_ARRAY && i < tasks->len; i++) {
        struct str trace = rest_field(&tasks->elems[i], "trace", &cli->arena), cause = trace;
        ignore(!str_split(&trace, '\n', &cause), "an empty trace has no first line");
        struct str cells[] = {rest_field(&tasks->elems[i], "id", &cli->arena),
                              rest_field(&tasks->elems[i], "state", &cli->arena),
                              rest_field(&tasks->elems[i], "worker_id", &cli->arena), cause};
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
}

int cli_connector_describe(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    const struct json_value *status = NULL, *config = NULL;
    struct str name = cli->names.at[0];
    if (!hclient_init(&http, cli->url, cli->stop_fd, &err))
        return cli_fail(cli, &err, NULL);
    bool ok = rest_call(&http, "GET", path_of(cli, name, "/status"), STR_NULL, &status, &cli->arena, &err) &&
              rest_call(&http, "GET", path_of(cli, name, "/config"), STR_NULL, &config, &cli->arena, &err);
    if (ok && cli->json) {
        struct buf out = {0};
        struct json_writer writer = {.out = &out};
        json_object_begin(&writer);
        json_key_begin(&writer, "status");
        json_tree(&writer, status);
        json_key_begin(&writer, "config");
        json_tree(&writer, config);
        json_object_end(&writer);
        printf("%s\n", out.ptr);
        buf_fini(&out);
    } else if (ok) {
        printf("%.*s  %.*s, %.*s\n", STR_ARG(name), STR_ARG(rest_field(status, "type", &cli->arena)),
               STR_ARG(rest_field(json_get(status, STR("connector")), "state", &cli->arena)));
        print_tasks(cli, status);
        for (uint32_t i = 0; config != NULL && config->kind == JSON_OBJECT && i < config->len; i++)
            printf("%.*s=%.*s\n", STR_ARG(config->members[i].name),
                   STR_ARG(rest_text(&config->members[i].value, &cli->arena)));
    }
    hclient_fini(&http);
    return ok ? CLI_OK : cli_fail(cli, &err, "'rialto connector list' shows all connectors.");
}

/* create -------------------------------------------------------------------------------------------------- */

/* The configuration as one JSON object: of the file, then each --config. */
static bool read_config(struct cli *cli, struct buf *out, struct err *err)
{
    struct str file = cli_value(cli, "file");
    const struct json_value *config = NULL;
    struct json_writer writer = {.out = out};
    if (!str_is_null(file)) {
        struct buf text = {0};
        if (cli_read_file(file, &text, err))
            config = json_parse(str_dup(buf_str(&text), &cli->arena), &cli->arena, err);
        bool read = text.len != 0;
        buf_fini(&text);
        if (config == NULL && read)
            err_context(err, "%.*s", STR_ARG(file));
        if (config == NULL)
            return false;
        if (json_get(config, STR("config")) != NULL)
            config = json_get(config, STR("config"));
        if (config->kind != JSON_OBJECT)
            return err_set(err, ERR_USAGE, "'%.*s' holds no JSON object", STR_ARG(file));
    }
    json_object_begin(&writer);
    for (uint32_t i = 0; config != NULL && i < config->len; i++) {
        json_key(&writer, config->members[i].name);
        json_tree(&writer, &config->members[i].value);
    }
    for (size_t i = 0; i < cli->values.len; i++) {
        struct str text = cli->values.at[i].text;
        ptrdiff_t equal = str_find_char(text, '=');
        if (strcmp(cli->values.at[i].option->name, "config") != 0)
            continue;
        if (equal <= 0)
            return err_set(err, ERR_USAGE, "--config takes NAME=VALUE, not '%.*s'", STR_ARG(text));
        json_key(&writer, str_sub(text, 0, (size_t)equal));
        json_str(&writer, str_sub(text, (size_t)equal + 1, SIZE_MAX));
    }
    json_object_end(&writer);
    return true;
}

int cli_connector_create(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    struct buf body = {0};
    const struct json_value *answer = NULL;
    struct str name = cli->names.at[0];
    if (!cli_flag(cli, "file") && !cli_flag(cli, "config"))
        return cli_usage(cli, "a connector needs a configuration: -f FILE or --config NAME=VALUE");
    bool ok =
        hclient_init(&http, cli->url, cli->stop_fd, &err) && read_config(cli, &body, &err) &&
        rest_call(&http, "PUT", path_of(cli, name, "/config"), buf_str(&body), &answer, &cli->arena, &err);
    if (ok)
        cli_note(cli, "%s connector %.*s", http.status == 201 ? "created" : "changed", STR_ARG(name));
    if (ok && cli->json)
        printf("%.*s\n", STR_ARG(rest_text(answer, &cli->arena)));
    buf_fini(&body);
    hclient_fini(&http);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}

/* pause, resume, restart, delete -------------------------------------------------------------------------- */

static const struct change {
    const char *verb, *method, *path, *done;
} changes[] = {{"pause", "PUT", "/pause", "paused"},
               {"resume", "PUT", "/resume", "resumed"},
               {"restart", "POST", "/restart?includeTasks=true", "restarted"},
               {"delete", "DELETE", "", "deleted"}};

int cli_connector_change(struct cli *cli)
{
    struct hclient http;
    struct err err = {0};
    const struct change *change = changes;
    const char *verb = strchr(cli->command->words, ' ') + 1;
    int status = CLI_OK;
    while (strcmp(change->verb, verb) != 0)
        change++;
    if (!hclient_init(&http, cli->url, cli->stop_fd, &err))
        return cli_fail(cli, &err, NULL);
    for (size_t i = 0; i < cli->names.len; i++) {
        const struct json_value *answer;
        struct str name = cli->names.at[i];
        err = (struct err){0};
        bool ok =
            (strcmp(verb, "delete") != 0 || cli_confirm(cli, &err, "delete connector %.*s", STR_ARG(name))) &&
            rest_call(&http, change->method, path_of(cli, name, change->path), STR_NULL, &answer, &cli->arena,
                      &err);
        bool absent = !ok && err.code == ERR_NOT_FOUND && cli_flag(cli, "if-exists");
        if (ok)
            cli_note(cli, "%s connector %.*s", change->done, STR_ARG(name));
        if (ok || absent)
            continue;
        int failed = cli_fail(cli, &err,
                              err.code == ERR_USAGE ? NULL : "'rialto connector list' shows all connectors.");
        status = MAX(status, failed);
    }
    hclient_fini(&http);
    return status;
}
