/* cmd_topic.c - rialto topic list, describe, create, alter, delete: over the Kafka protocol, against any cluster. */
#include <stdio.h>
#include <unistd.h>

#include "cli/kafka_int.h"
#include "cli/table_int.h"
#include "json/json.h"

/* Sum of the partitions' records: end minus start offset. */
static bool count_records(struct kafka *kafka, const struct kafka_topic *topic, int64_t *starts,
                          int64_t *ends, int64_t *records, struct arena *arena, struct err *err)
{
    if (!kafka_offsets(kafka, topic, KAFKA_EARLIEST, starts, arena, err) ||
        !kafka_offsets(kafka, topic, KAFKA_LATEST, ends, arena, err))
        return false;
    *records = 0;
    for (int32_t i = 0; i < topic->partition_count; i++)
        *records += MAX(ends[i] - starts[i], 0);
    return true;
}

static const struct table_column list_columns[] = {{STR_INIT("NAME"), STR_INIT("name"), false},
                                                   {STR_INIT("PARTITIONS"), STR_INIT("partitions"), true},
                                                   {STR_INIT("REPLICATION"), STR_INIT("replication"), true},
                                                   {STR_INIT("RECORDS"), STR_INIT("records"), true}};

int cli_topic_list(struct cli *cli)
{
    struct kafka kafka;
    struct kafka_topic *topics;
    struct table table;
    struct err err = {0};
    size_t count, internal = 0;
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    table_init(&table, cli, list_columns, COUNT_OF(list_columns));
    bool ok = table_pick(&table, cli, &err) && kafka_topic_list(&kafka, &topics, &count, &cli->arena, &err);
    for (size_t i = 0; ok && i < count; i++) {
        const struct kafka_topic *topic = &topics[i];
        bool hidden = topic->internal && !cli_flag(cli, "internal");
        internal += hidden;
        if (hidden || !cli_glob(pattern, topic->name))
            continue;
        int64_t *offsets = arena_array(&cli->arena, int64_t, 2 * (size_t)topic->partition_count), records;
        ok = count_records(&kafka, topic, offsets, offsets + topic->partition_count, &records, &cli->arena,
                           &err);
        struct str cells[] = {topic->name, table_number(&table, topic->partition_count),
                              table_number(&table, topic->replication),
                              ok ? table_number(&table, records) : STR_NULL};
        table_row(&table, cells);
    }
    if (ok)
        table_print(&table);
    if (ok && internal > 0 && cli->stdout_tty && !cli->json)
        cli_note(cli, "%zu internal: --internal shows them", internal);
    table_fini(&table);
    kafka_fini(&kafka);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}

const struct kafka_topic *cli_topic_find(struct cli *cli, struct kafka *kafka, struct str name, int *status)
{
    struct err err = {0};
    struct kafka_topic *topics;
    size_t count;
    const struct kafka_topic *topic = kafka_topic_find(kafka, name, false, true, &err);
    if (topic != NULL)
        return topic;
    char hint[400];
    const char *nearest = NULL;
    if (err.code == ERR_UNKNOWN_TOPIC && kafka_topic_list(kafka, &topics, &count, &cli->arena, NULL)) {
        const char **names = arena_array(&cli->arena, const char *, count);
        for (size_t i = 0; i < count; i++)
            names[i] = str_cstr(topics[i].name, &cli->arena);
        nearest = cli_nearest(name, names, count);
    }
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean '%s'? 'rialto topic list' shows all.", nearest);
    *status = cli_fail(cli, &err, nearest != NULL ? hint : NULL);
    return NULL;
}

static const struct table_column partition_columns[] = {{STR_INIT("PARTITION"), STR_INIT("partition"), true},
                                                        {STR_INIT("LEADER"), STR_INIT("leader"), true},
                                                        {STR_INIT("START"), STR_INIT("start"), true},
                                                        {STR_INIT("END"), STR_INIT("end"), true},
                                                        {STR_INIT("RECORDS"), STR_INIT("records"), true}};

static void print_partitions(struct cli *cli, const struct kafka_topic *topic, const int64_t *starts,
                             const int64_t *ends)
{
    struct table table;
    table_init(&table, cli, partition_columns, COUNT_OF(partition_columns));
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct str cells[] = {table_number(&table, i), table_number(&table, topic->leaders[i]),
                              table_number(&table, starts[i]), table_number(&table, ends[i]),
                              table_number(&table, MAX(ends[i] - starts[i], 0))};
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
}

static void print_topic_json(const struct kafka_topic *topic, const int64_t *starts, const int64_t *ends,
                             const struct kafka_config *configs, size_t config_count)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    json_object_begin(&writer);
    json_key_str(&writer, "name", topic->name);
    json_key_bool(&writer, "internal", topic->internal);
    json_key_i64(&writer, "replication", topic->replication);
    json_key_begin(&writer, "partitions");
    json_array_begin(&writer);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        json_object_begin(&writer);
        json_key_i64(&writer, "partition", i);
        json_key_i64(&writer, "leader", topic->leaders[i]);
        json_key_i64(&writer, "start", starts[i]);
        json_key_i64(&writer, "end", ends[i]);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    json_key_begin(&writer, "config");
    json_object_begin(&writer);
    for (size_t i = 0; i < config_count; i++) {
        json_key(&writer, configs[i].name);
        json_str(&writer, configs[i].value);
    }
    json_object_end(&writer);
    json_object_end(&writer);
    printf("%s\n", out.ptr);
    buf_fini(&out);
}

int cli_topic_describe(struct cli *cli)
{
    struct kafka kafka;
    struct err err = {0};
    int status = CLI_OK;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    const struct kafka_topic *topic = cli_topic_find(cli, &kafka, cli->names.at[0], &status);
    if (topic != NULL) {
        struct kafka_config *configs;
        size_t config_count;
        int64_t *starts = arena_array(&cli->arena, int64_t, 2 * (size_t)topic->partition_count), records;
        int64_t *ends = starts + topic->partition_count;
        if (!count_records(&kafka, topic, starts, ends, &records, &cli->arena, &err) ||
            !kafka_topic_configs(&kafka, topic->name, &configs, &config_count, &cli->arena, &err)) {
            status = cli_fail(cli, &err, NULL);
        } else if (cli->json) {
            print_topic_json(topic, starts, ends, configs, config_count);
        } else {
            if (cli->stdout_tty)
                printf("%.*s  %d partitions, %" PRId64 " records\n", STR_ARG(topic->name),
                       topic->partition_count, records);
            print_partitions(cli, topic, starts, ends);
            for (size_t i = 0; i < config_count; i++)
                if (!configs[i].is_default)
                    printf("%.*s=%.*s\n", STR_ARG(configs[i].name), STR_ARG(configs[i].value));
        }
    }
    kafka_fini(&kafka);
    return status;
}

/* All --config NAME=VALUE, and (null values) --unset NAME. */
static bool read_configs(struct cli *cli, struct kafka_config **configs, size_t *count, struct err *err)
{
    *configs = arena_array(&cli->arena, struct kafka_config, cli->values.len);
    *count = 0;
    for (size_t i = 0; i < cli->values.len; i++) {
        const char *option = cli->values.at[i].option->name;
        struct str text = cli->values.at[i].text;
        if (strcmp(option, "unset") == 0)
            (*configs)[(*count)++] = (struct kafka_config){.name = text};
        if (strcmp(option, "config") != 0)
            continue;
        ptrdiff_t equal = str_find_char(text, '=');
        if (equal <= 0)
            return err_set(err, ERR_USAGE, "--config takes NAME=VALUE, not '%.*s'", STR_ARG(text));
        (*configs)[(*count)++] = (struct kafka_config){.name = str_sub(text, 0, (size_t)equal),
                                                       .value = str_sub(text, (size_t)equal + 1, SIZE_MAX)};
    }
    return true;
}

int cli_topic_create(struct cli *cli)
{
    struct kafka kafka;
    struct err err = {0};
    struct str name = cli->names.at[0];
    struct kafka_config *configs;
    size_t config_count;
    int64_t partitions, replication;
    if (!cli_integer(cli, "partitions", 1, 1000000, -1, &partitions, &err) ||
        !cli_integer(cli, "replication", 1, INT16_MAX, -1, &replication, &err) ||
        !read_configs(cli, &configs, &config_count, &err))
        return cli_fail(cli, &err, NULL);
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool ok = kafka_topic_create(&kafka, name, (int32_t)partitions, (int16_t)replication, configs,
                                 config_count, &err);
    bool present = !ok && err.code == ERR_TOPIC_EXISTS && cli_flag(cli, "if-absent");
    const struct kafka_topic *topic = ok ? kafka_topic_find(&kafka, name, false, true, NULL) : NULL;
    if (ok && topic != NULL)
        cli_note(cli, "created topic %.*s: %d partition%s", STR_ARG(name), topic->partition_count,
                 topic->partition_count == 1 ? "" : "s");
    if (ok && topic != NULL && cli->json)
        printf("{\"name\":\"%.*s\",\"partitions\":%d}\n", STR_ARG(name), topic->partition_count);
    kafka_fini(&kafka);
    if (ok || present)
        return CLI_OK;
    return cli_fail(cli, &err, err.code == ERR_TOPIC_EXISTS ? "--if-absent makes this no error." : NULL);
}

static bool alter(struct cli *cli, struct kafka *kafka, struct str name, int32_t partitions, struct err *err)
{
    struct kafka_config *configs;
    size_t config_count;
    bool check_only = cli_flag(cli, "check");
    if (!read_configs(cli, &configs, &config_count, err))
        return false;
    if (partitions < 0 && config_count == 0)
        return err_set(err, ERR_USAGE, "nothing to change: give --config, --unset or --partitions");
    /* With both, nothing changes unless both can. */
    if (partitions >= 0 && config_count != 0 &&
        !kafka_topic_alter(kafka, name, configs, config_count, true, err))
        return false;
    return (partitions < 0 || kafka_topic_grow(kafka, name, partitions, check_only, err)) &&
           (config_count == 0 || kafka_topic_alter(kafka, name, configs, config_count, check_only, err));
}

int cli_topic_alter(struct cli *cli)
{
    struct kafka kafka;
    struct err err = {0};
    int status = CLI_OK;
    int64_t partitions;
    struct str name = cli->names.at[0];
    if (!cli_integer(cli, "partitions", 1, 1000000, -1, &partitions, &err))
        return cli_fail(cli, &err, NULL);
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    if (cli_topic_find(cli, &kafka, name, &status) != NULL) {
        if (!alter(cli, &kafka, name, (int32_t)partitions, &err))
            status = cli_fail(cli, &err, NULL);
        else
            cli_note(cli, cli_flag(cli, "check") ? "topic %.*s would be changed" : "changed topic %.*s",
                     STR_ARG(name));
    }
    kafka_fini(&kafka);
    return status;
}

static int delete_one(struct cli *cli, struct kafka *kafka, struct str name)
{
    struct err err = {0};
    int status = CLI_OK;
    const struct kafka_topic *topic = kafka_topic_find(kafka, name, false, true, &err);
    if (topic == NULL && err.code == ERR_UNKNOWN_TOPIC && cli_flag(cli, "if-exists"))
        return CLI_OK;
    if (topic == NULL)
        return cli_topic_find(cli, kafka, name, &status) == NULL ? status : CLI_FAILED;
    int64_t *offsets = arena_array(&cli->arena, int64_t, 2 * (size_t)topic->partition_count), records = 0;
    if (!count_records(kafka, topic, offsets, offsets + topic->partition_count, &records, &cli->arena,
                       &err) ||
        !cli_confirm(cli, &err, "delete topic %.*s with %" PRId64 " records", STR_ARG(name), records) ||
        !kafka_topic_delete(kafka, name, &err))
        return cli_fail(cli, &err, NULL);
    cli_note(cli, "deleted topic %.*s: %" PRId64 " record%s", STR_ARG(name), records,
             records == 1 ? "" : "s");
    return CLI_OK;
}

int cli_topic_delete(struct cli *cli)
{
    struct kafka kafka;
    int status = CLI_OK;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    for (size_t i = 0; i < cli->names.len; i++) {
        int one = delete_one(cli, &kafka, cli->names.at[i]);
        status = MAX(status, one);
    }
    kafka_fini(&kafka);
    return status;
}
