/* cmd_group_reset.c - rialto group reset: sets the committed offsets of a group without members.
 *
 *   --to PLACE -> an offset in each partition: an end of the log, a number, or the first record at or after a time
 *   --topic    -> all partitions of the topics; without it those that the group has committed
 *
 * Everything is looked up before anything is set; what is set, is set by one request.
 */
#include "cli/kafka_int.h"
#include "cli/table_int.h"
#include "type/time_format.h"

static bool read_place(struct str text, struct kafka_place *out, struct err *err)
{
    *out = (struct kafka_place){.offset = -1};
    if (str_is_null(text))
        return err_set(err, ERR_USAGE, "--to must say where: earliest, latest, an offset or a time");
    if (str_eq(text, STR("earliest")))
        out->time_ms = KAFKA_EARLIEST;
    else if (str_eq(text, STR("latest")))
        out->time_ms = KAFKA_LATEST;
    else if (str_to_i64(text, &out->offset))
        return out->offset >= 0 || err_set(err, ERR_USAGE, "--to: an offset is not negative");
    else if (!time_parse_timestamp(text, &out->time_ms, NULL) || out->time_ms < 0)
        return err_set(err, ERR_USAGE, "--to is '%.*s': earliest, latest, an offset or a time is wanted",
                       STR_ARG(text));
    return true;
}

struct reset {
    vec(struct kafka_committed) offsets;
    vec(int64_t) before; /* -1: nothing was committed */
};

/* Adds the partitions of a topic: all, or those with a committed offset. */
static bool add_topic(struct cli *cli, struct kafka *kafka, struct str name, bool all,
                      const struct kafka_place *place, const struct kafka_committed *committed, size_t count,
                      struct reset *reset, struct err *err)
{
    const struct kafka_topic *topic = kafka_topic_find(kafka, name, false, true, err);
    if (topic == NULL)
        return false;
    int64_t *starts = arena_array(&cli->arena, int64_t, 2 * (size_t)topic->partition_count);
    int64_t *offsets = starts + topic->partition_count;
    if (!kafka_place_offsets(kafka, topic, place, starts, offsets, &cli->arena, err))
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        int64_t before = -1;
        for (size_t k = 0; k < count; k++)
            if (committed[k].partition == i && str_eq(committed[k].topic, name))
                before = committed[k].offset;
        if (!all && before < 0)
            continue;
        vec_push(&reset->offsets, (struct kafka_committed){str_dup(name, &cli->arena), i, offsets[i]});
        vec_push(&reset->before, before);
    }
    return true;
}

static bool is_new_topic(const struct reset *reset, struct str name)
{
    for (size_t i = 0; i < reset->offsets.len; i++)
        if (str_eq(reset->offsets.at[i].topic, name))
            return false;
    return true;
}

/* What is to be set, from --topic, else from what is committed. */
static bool collect(struct cli *cli, struct kafka *kafka, struct str group, struct reset *reset,
                    struct err *err)
{
    struct kafka_place place;
    struct kafka_committed *committed;
    size_t count, named = 0;
    bool ok = read_place(cli_value(cli, "to"), &place, err) &&
              kafka_group_offsets(kafka, group, &committed, &count, &cli->arena, err);
    for (size_t i = 0; ok && i < cli->values.len; i++) {
        if (strcmp(cli->values.at[i].option->name, "topic") != 0)
            continue;
        named++;
        ok = !is_new_topic(reset, cli->values.at[i].text) ||
             add_topic(cli, kafka, cli->values.at[i].text, true, &place, committed, count, reset, err);
    }
    for (size_t i = 0; ok && named == 0 && i < count; i++)
        ok = !is_new_topic(reset, committed[i].topic) ||
             add_topic(cli, kafka, committed[i].topic, false, &place, committed, count, reset, err);
    if (ok && reset->offsets.len == 0)
        return err_set(err, ERR_NOT_FOUND, "group '%.*s' has committed nothing: --topic names what to set",
                       STR_ARG(group));
    return ok;
}

static bool check_empty(struct kafka *kafka, struct str name, struct arena *arena, struct err *err)
{
    struct DescribeGroupsResponse_DescribedGroup group;
    struct buf members = {0};
    if (!kafka_group_describe(kafka, name, &group, arena, err))
        return err == NULL || err->code == ERR_GROUP_NOT_FOUND; /* committing makes it */
    for (int32_t i = 0; i < group.Members.len; i++)
        buf_printf(&members, "%s%.*s (%.*s)", i == 0 ? "" : ", ", STR_ARG(group.Members.at[i].MemberId),
                   STR_ARG(group.Members.at[i].ClientHost));
    bool empty = group.Members.len == 0 ||
                 err_set(err, ERR_GROUP_NOT_EMPTY,
                         "group '%.*s' has %d members: %s; offsets can be set only while it is empty",
                         STR_ARG(name), group.Members.len, buf_str(&members).ptr);
    buf_fini(&members);
    return empty;
}

static const struct table_column reset_columns[] = {{STR_INIT("TOPIC"), STR_INIT("topic"), false},
                                                    {STR_INIT("PARTITION"), STR_INIT("partition"), true},
                                                    {STR_INIT("FROM"), STR_INIT("from"), true},
                                                    {STR_INIT("TO"), STR_INIT("to"), true}};

static void print_reset(struct cli *cli, const struct reset *reset)
{
    struct table table;
    table_init(&table, cli, reset_columns, COUNT_OF(reset_columns));
    for (size_t i = 0; i < reset->offsets.len; i++) {
        const struct kafka_committed *one = &reset->offsets.at[i];
        struct str cells[] = {one->topic, table_number(&table, one->partition),
                              reset->before.at[i] < 0 ? STR_NULL : table_number(&table, reset->before.at[i]),
                              table_number(&table, one->offset)};
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
}

int cli_group_reset(struct cli *cli)
{
    struct kafka kafka;
    struct reset reset = {0};
    struct err err = {0};
    struct str name = cli->names.at[0];
    bool check_only = cli_flag(cli, "check");
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool ok = check_empty(&kafka, name, &cli->arena, &err) && collect(cli, &kafka, name, &reset, &err);
    if (ok && !check_only)
        ok = kafka_group_set_offsets(&kafka, name, reset.offsets.at, reset.offsets.len, &err);
    if (ok && (check_only || cli->json))
        print_reset(cli, &reset);
    if (ok && !check_only)
        cli_note(cli, "reset group %.*s: %zu partition%s", STR_ARG(name), reset.offsets.len,
                 reset.offsets.len == 1 ? "" : "s");
    vec_fini(&reset.offsets);
    vec_fini(&reset.before);
    kafka_fini(&kafka);
    return ok ? CLI_OK
              : cli_fail(cli, &err, err.code == ERR_GROUP_NOT_EMPTY ? "stop them, then reset." : NULL);
}
