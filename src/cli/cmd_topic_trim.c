/* cmd_topic_trim.c - rialto topic trim: deletes the oldest records of a topic (DeleteRecords, KIP-107).
 *
 *   --before-offset, --before-time -> an offset in each partition -> shown, asked -> one request to each leader
 *
 * Everything is looked up before anything is deleted. A partition that has nothing below its offset is left out. The end of
 * a partition is its last stable offset: records of open transactions are never deleted.
 */
#include "cli/kafka_int.h"
#include "cli/table_int.h"
#include "type/time_format.h"

/* Where the kept records begin: one of the two options. */
static bool read_bound(const struct cli *cli, struct kafka_place *out, struct err *err)
{
    struct str offset = cli_value(cli, "before-offset"), time = cli_value(cli, "before-time");
    *out = (struct kafka_place){.offset = -1, .time_ms = KAFKA_LATEST};
    if (str_is_null(offset) == str_is_null(time))
        return err_set(err, ERR_USAGE, "what to delete is said by one of --before-offset and --before-time");
    if (str_is_null(offset)) {
        if (!time_parse_timestamp(time, &out->time_ms, NULL) || out->time_ms < 0)
            return err_set(err, ERR_USAGE, "--before-time is '%.*s': a time is wanted", STR_ARG(time));
    } else if (!str_eq(offset, STR("end")) && (!str_to_i64(offset, &out->offset) || out->offset < 0)) {
        return err_set(err, ERR_USAGE, "--before-offset is '%.*s': an offset or 'end' is wanted",
                       STR_ARG(offset));
    }
    return true;
}

struct trim {
    const struct kafka_topic *topic;
    int64_t *starts, *offsets; /* of each partition; offset -1: nothing to delete */
    int64_t records;           /* between them, in all */
};

static bool look_up(struct cli *cli, struct kafka *kafka, const struct kafka_place *place, struct trim *trim,
                    struct err *err)
{
    struct err failure = {0};
    int32_t count = trim->topic->partition_count;
    trim->starts = arena_array(&cli->arena, int64_t, 2 * (size_t)count);
    trim->offsets = trim->starts + count;
    if (!kafka_place_offsets(kafka, trim->topic, place, trim->starts, trim->offsets, &cli->arena, err))
        return false;
    for (int32_t i = 0; i < count; i++) {
        bool chosen = cli_partition_chosen(cli, i, &failure);
        if (failure.code != ERR_NONE) {
            *err = failure;
            return false;
        }
        if (!chosen || trim->offsets[i] <= trim->starts[i])
            trim->offsets[i] = -1;
        else
            trim->records += trim->offsets[i] - trim->starts[i];
    }
    return true;
}

static const struct table_column trim_columns[] = {{STR_INIT("PARTITION"), STR_INIT("partition"), true},
                                                   {STR_INIT("START"), STR_INIT("start"), true},
                                                   {STR_INIT("TO"), STR_INIT("to"), true},
                                                   {STR_INIT("RECORDS"), STR_INIT("records"), true}};

static void print_trim(struct cli *cli, const struct trim *trim)
{
    struct table table;
    table_init(&table, cli, trim_columns, COUNT_OF(trim_columns));
    for (int32_t i = 0; i < trim->topic->partition_count; i++) {
        int64_t start = trim->starts[i], to = trim->offsets[i];
        struct str cells[] = {table_number(&table, i), table_number(&table, start), table_number(&table, to),
                              table_number(&table, to - start)};
        if (to >= 0)
            table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
}

static bool trim_topic(struct cli *cli, struct kafka *kafka, const struct kafka_place *place,
                       struct trim *trim, struct err *err)
{
    struct str name = trim->topic->name;
    bool check_only = cli_flag(cli, "check");
    if (!look_up(cli, kafka, place, trim, err))
        return false;
    if (!check_only && trim->records > 0 &&
        (!cli_confirm(cli, err, "delete %" PRId64 " records of topic %.*s", trim->records, STR_ARG(name)) ||
         !kafka_topic_trim(kafka, trim->topic, trim->offsets, &cli->arena, err)))
        return false;
    if (check_only || cli->json)
        print_trim(cli, trim);
    if (!check_only)
        cli_note(cli, "trimmed topic %.*s: %" PRId64 " record%s", STR_ARG(name), trim->records,
                 trim->records == 1 ? "" : "s");
    return true;
}

int cli_topic_trim(struct cli *cli)
{
    struct kafka kafka;
    struct kafka_place place;
    struct trim trim = {0};
    struct err err = {0};
    int status = CLI_OK;
    if (!read_bound(cli, &place, &err))
        return cli_fail(cli, &err, NULL);
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    trim.topic = cli_topic_find(cli, &kafka, cli->names.at[0], &status);
    if (trim.topic != NULL && !trim_topic(cli, &kafka, &place, &trim, &err))
        status = cli_fail(cli, &err, NULL);
    kafka_fini(&kafka);
    return status;
}
