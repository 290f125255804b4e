/* cmd_group.c - rialto group list, describe, delete. Groups of all nodes of a cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/kafka_int.h"
#include "cli/table_int.h"
#include "json/json.h"

enum { LIST_GROUPS = 16, DELETE_GROUPS = 42 };

struct group_row {
    struct str name, type, state;
    int32_t members;
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct group_row *)a)->name, ((const struct group_row *)b)->name);
}

/* Every node coordinates some groups: all are asked. */
static bool list_all(struct kafka *kafka, struct group_row **rows, size_t *count, struct arena *arena,
                     struct err *err)
{
    struct kafka_topic *topics;
    size_t topic_count;
    vec(struct group_row) found = {0};
    bool ok = kafka_topic_list(kafka, &topics, &topic_count, arena, err); /* makes the nodes known */
    for (size_t i = 0; ok && i < kafka->nodes.len; i++) {
        struct ListGroupsRequest req;
        struct ListGroupsResponse res;
        if (kafka->nodes.at[i].id == KAFKA_ANY)
            continue;
        wire_init(&WIRE_ListGroupsRequest, &req);
        ok = kafka_call(kafka, kafka->nodes.at[i].id, LIST_GROUPS, &req, &res, 0, arena, err) &&
             kafka_check(res.ErrorCode, STR_NULL, err, "listing groups");
        for (int32_t k = 0; ok && k < res.Groups.len; k++)
            vec_push(&found, (struct group_row){.name = res.Groups.at[k].GroupId,
                                                .type = res.Groups.at[k].GroupType,
                                                .state = res.Groups.at[k].GroupState});
    }
    *rows = arena_dup(arena, found.at, found.len * sizeof *found.at);
    *count = found.len;
    vec_fini(&found);
    for (size_t i = 0; ok && i < *count; i++) {
        struct DescribeGroupsResponse_DescribedGroup group;
        if (!kafka_group_describe(kafka, (*rows)[i].name, &group, arena, NULL))
            continue;
        (*rows)[i].state = group.GroupState;
        (*rows)[i].members = group.Members.len;
    }
    qsort(*rows, *count, sizeof **rows, by_name);
    return ok;
}

static const struct table_column list_columns[] = {{STR_INIT("GROUP"), STR_INIT("group"), false},
                                                   {STR_INIT("TYPE"), STR_INIT("type"), false},
                                                   {STR_INIT("STATE"), STR_INIT("state"), false},
                                                   {STR_INIT("MEMBERS"), STR_INIT("members"), true},
                                                   {STR_INIT("LAG"), STR_INIT("lag"), true}};

static int64_t lag_in(const struct kafka_committed *committed, int64_t end)
{
    return committed->has_lag ? committed->lag : MAX(end - committed->offset, 0);
}

/* Offsets that a group has not read yet, over all partitions that it has committed. */
static bool group_lag(struct kafka *kafka, const struct kafka_committed *committed, size_t count,
                      int64_t *ends, int64_t *lag, struct arena *arena, struct err *err)
{
    *lag = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_topic *topic = kafka_topic_find(kafka, committed[i].topic, false, false, NULL);
        ends[i] = -1;
        if (topic == NULL || committed[i].partition >= topic->partition_count)
            continue; /* the topic is gone, its offsets are not yet */
        int64_t *all = arena_array(arena, int64_t, (size_t)topic->partition_count);
        if (!kafka_offsets(kafka, topic, KAFKA_LATEST, all, arena, err))
            return false;
        ends[i] = all[committed[i].partition];
        *lag += lag_in(&committed[i], ends[i]);
    }
    return true;
}

int cli_group_list(struct cli *cli)
{
    struct kafka kafka;
    struct table table;
    struct group_row *rows;
    struct err err = {0};
    size_t count = 0;
    struct str pattern = cli->names.len > 0 ? cli->names.at[0] : STR_NULL;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    table_init(&table, cli, list_columns, COUNT_OF(list_columns));
    bool ok = table_pick(&table, cli, &err) && list_all(&kafka, &rows, &count, &cli->arena, &err);
    for (size_t i = 0; ok && i < count; i++) {
        struct kafka_committed *committed;
        size_t committed_count;
        int64_t lag = 0;
        if (!cli_glob(pattern, rows[i].name))
            continue;
        ok = kafka_group_offsets(&kafka, rows[i].name, &committed, &committed_count, &cli->arena, &err);
        int64_t *ends = ok ? arena_array(&cli->arena, int64_t, committed_count) : NULL;
        ok = ok && group_lag(&kafka, committed, committed_count, ends, &lag, &cli->arena, &err);
        struct str cells[] = {rows[i].name, rows[i].type, rows[i].state,
                              table_number(&table, rows[i].members), table_number(&table, lag)};
        table_row(&table, cells);
    }
    if (ok)
        table_print(&table);
    table_fini(&table);
    kafka_fini(&kafka);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}

/* describe ------------------------------------------------------------------------------------------------ */

static const struct table_column offset_columns[] = {{STR_INIT("TOPIC"), STR_INIT("topic"), false},
                                                     {STR_INIT("PARTITION"), STR_INIT("partition"), true},
                                                     {STR_INIT("OFFSET"), STR_INIT("offset"), true},
                                                     {STR_INIT("END"), STR_INIT("end"), true},
                                                     {STR_INIT("LAG"), STR_INIT("lag"), true}};

static void print_offsets(struct cli *cli, const struct kafka_committed *committed, size_t count,
                          const int64_t *ends)
{
    struct table table;
    table_init(&table, cli, offset_columns, COUNT_OF(offset_columns));
    for (size_t i = 0; i < count; i++) {
        bool known = ends[i] >= 0;
        struct str cells[] = {committed[i].topic, table_number(&table, committed[i].partition),
                              table_number(&table, committed[i].offset),
                              known ? table_number(&table, ends[i]) : STR_NULL,
                              known ? table_number(&table, lag_in(&committed[i], ends[i])) : STR_NULL};
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
}

static void print_group_json(const struct DescribeGroupsResponse_DescribedGroup *group,
                             const struct kafka_committed *committed, size_t count, const int64_t *ends)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    json_object_begin(&writer);
    json_key_str(&writer, "group", group->GroupId);
    json_key_str(&writer, "state", group->GroupState);
    json_key_begin(&writer, "members");
    json_array_begin(&writer);
    for (int32_t i = 0; i < group->Members.len; i++) {
        json_object_begin(&writer);
        json_key_str(&writer, "member", group->Members.at[i].MemberId);
        json_key_str(&writer, "client", group->Members.at[i].ClientId);
        json_key_str(&writer, "host", group->Members.at[i].ClientHost);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    json_key_begin(&writer, "offsets");
    json_array_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&writer);
        json_key_str(&writer, "topic", committed[i].topic);
        json_key_i64(&writer, "partition", committed[i].partition);
        json_key_i64(&writer, "offset", committed[i].offset);
        if (ends[i] >= 0)
            json_key_i64(&writer, "end", ends[i]);
        if (committed[i].has_lag)
            json_key_i64(&writer, "lag", committed[i].lag);
        json_object_end(&writer);
    }
    json_array_end(&writer);
    json_object_end(&writer);
    printf("%s\n", out.ptr);
    buf_fini(&out);
}

int cli_group_describe(struct cli *cli)
{
    struct kafka kafka;
    struct DescribeGroupsResponse_DescribedGroup group;
    struct kafka_committed *committed;
    struct err err = {0};
    struct str name = cli->names.at[0];
    size_t count;
    int64_t lag, *ends;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool ok = kafka_group_describe(&kafka, name, &group, &cli->arena, &err) &&
              kafka_group_offsets(&kafka, name, &committed, &count, &cli->arena, &err);
    /* Older versions answer for an unknown group as if it were dead. */
    if (ok && str_eq(group.GroupState, STR("Dead")))
        ok = err_set(&err, ERR_GROUP_NOT_FOUND, "group '%.*s' does not exist", STR_ARG(name));
    if (ok) {
        ends = arena_array(&cli->arena, int64_t, count);
        ok = group_lag(&kafka, committed, count, ends, &lag, &cli->arena, &err);
    }
    if (ok && cli->json) {
        print_group_json(&group, committed, count, ends);
    } else if (ok) {
        if (cli->stdout_tty) {
            printf("%.*s  %.*s, %d members, lag %" PRId64 "\n", STR_ARG(name), STR_ARG(group.GroupState),
                   group.Members.len, lag);
            for (int32_t i = 0; i < group.Members.len; i++)
                printf("  %.*s (%.*s)\n", STR_ARG(group.Members.at[i].MemberId),
                       STR_ARG(group.Members.at[i].ClientHost));
        }
        print_offsets(cli, committed, count, ends);
    }
    kafka_fini(&kafka);
    return ok ? CLI_OK : cli_fail(cli, &err, "'rialto group list' shows all groups.");
}

/* delete -------------------------------------------------------------------------------------------------- */

static bool delete_one(struct kafka *kafka, struct str name, struct arena *arena, struct err *err)
{
    struct DeleteGroupsRequest req;
    struct DeleteGroupsResponse res;
    int32_t node_id;
    wire_init(&WIRE_DeleteGroupsRequest, &req);
    req.GroupsNames.at = &name;
    req.GroupsNames.len = 1;
    return kafka_group_find(kafka, name, &node_id, err) &&
           kafka_call(kafka, node_id, DELETE_GROUPS, &req, &res, 0, arena, err) &&
           (res.Results.len != 1 ||
            kafka_check(res.Results.at[0].ErrorCode, STR_NULL, err, "group '%.*s'", STR_ARG(name)));
}

int cli_group_delete(struct cli *cli)
{
    struct kafka kafka;
    int status = CLI_OK;
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    for (size_t i = 0; i < cli->names.len; i++) {
        struct err err = {0};
        struct str name = cli->names.at[i];
        bool ok = cli_confirm(cli, &err, "delete group %.*s with its offsets", STR_ARG(name)) &&
                  delete_one(&kafka, name, &cli->arena, &err);
        if (ok)
            cli_note(cli, "deleted group %.*s", STR_ARG(name));
        if (ok || (err.code == ERR_GROUP_NOT_FOUND && cli_flag(cli, "if-exists")))
            continue;
        int failed = cli_fail(cli, &err,
                              err.code == ERR_GROUP_NOT_EMPTY   ? "stop its members first."
                              : err.code == ERR_GROUP_NOT_FOUND ? "'rialto group list' shows all groups."
                                                                : NULL);
        status = MAX(status, failed);
    }
    kafka_fini(&kafka);
    return status;
}
