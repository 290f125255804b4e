/* cmd_dump.c - rialto dump: what lies on disk, readable. Reads files only, needs no server, never writes.
 *
 *   dump log|index|timeindex|txnindex|checkpoint   files of partitions                              module log
 *   dump group|share|txn|topic|security|plan       the same, with records of the topics that keep
 *                                                  the server's state, decoded
 *   dump wal                                       DIR/wal                                         module wal
 *   dump state                                     DIR/state: journal and rows                      module state
 *   dump wire                                      dump_wire.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/dump_int.h"
#include "io/io.h"
#include "log/log.h"
#include "state/state.h"
#include "wal/wal.h"
#include "wire/wire.h"

static const char *const group_records[] = {"OffsetCommit",
                                            "GroupMetadata",
                                            "ConsumerGroupMetadata",
                                            "ConsumerGroupPartitionMetadata",
                                            "ConsumerGroupMemberMetadata",
                                            "ConsumerGroupTargetAssignmentMetadata",
                                            "ConsumerGroupTargetAssignmentMember",
                                            "ConsumerGroupCurrentMemberAssignment",
                                            "ConsumerGroupRegularExpression",
                                            "ShareGroupMemberMetadata",
                                            "ShareGroupMetadata",
                                            "ShareGroupTargetAssignmentMetadata",
                                            "ShareGroupTargetAssignmentMember",
                                            "ShareGroupCurrentMemberAssignment",
                                            "StreamsGroupMetadata",
                                            "StreamsGroupMemberMetadata",
                                            "StreamsGroupTargetAssignmentMetadata",
                                            "StreamsGroupTargetAssignmentMember",
                                            "StreamsGroupCurrentMemberAssignment",
                                            "StreamsGroupTopology",
                                            "PendingOffset:OffsetCommit"};
static const char *const share_records[] = {"ShareSnapshot", "ShareUpdate"};
static const char *const txn_records[] = {"TransactionLog", "ProducerIds"};
static const char *const topic_records[] = {"Topic", "Resource"};
static const char *const security_records[] = {"User", "Acl", "DelegationToken"};

/* What keeps its state in which topic. Records of `plan` are JSON already. */
static const struct state_topic {
    const char *kind;
    const char *name, *suffix; /* of the topic: all of it, or how it begins and ends */
    const char *const *records;
    size_t record_count;
} state_topics[] = {
    {"group", "__consumer_offsets", NULL, group_records, COUNT_OF(group_records)},
    {"share", "__share_group_state", NULL, share_records, COUNT_OF(share_records)},
    {"txn", "__transaction_state", NULL, txn_records, COUNT_OF(txn_records)},
    {"topic", "__cluster_metadata", NULL, topic_records, COUNT_OF(topic_records)},
    {"security", "__cluster_security", NULL, security_records, COUNT_OF(security_records)},
    {"plan", "_confluent-ksql-", "command_topic", NULL, 0},
};

static bool is_topic(const struct state_topic *state, struct str topic)
{
    return state->suffix == NULL ? str_eq_cstr(topic, state->name)
                                 : str_starts_with(topic, str_from(state->name)) &&
                                       str_ends_with(topic, str_from(state->suffix));
}

/* DIR/log/<topic>-<partition>[/...]: the topic of the last such part; null: none. */
static struct str topic_of(struct str path)
{
    while (path.len != 0) {
        ptrdiff_t slash = str_rfind_char(path, '/');
        struct str name = str_sub(path, (size_t)(slash + 1), SIZE_MAX);
        ptrdiff_t dash = str_rfind_char(name, '-');
        int64_t partition;
        if (dash > 0 && str_to_i64(str_sub(name, (size_t)dash + 1, SIZE_MAX), &partition))
            return str_sub(name, 0, (size_t)dash);
        if (slash <= 0)
            break;
        path = str_sub(path, 0, (size_t)slash);
    }
    return STR_NULL;
}

static const struct state_topic *state_topic_of(struct str topic)
{
    for (size_t i = 0; i < COUNT_OF(state_topics) && !str_is_null(topic); i++)
        if (is_topic(&state_topics[i], topic))
            return &state_topics[i];
    return NULL;
}

static bool tell_record(void *arg, struct describe *out, const struct record *rec)
{
    const struct state_topic *state = arg;
    if (state->records != NULL)
        return wire_describe_typed(out, state->records, state->record_count, rec->key, rec->value);
    struct arena arena = {0};
    bool json = !str_is_null(rec->value) && json_parse(rec->value, &arena, NULL) != NULL &&
                str_find_char(rec->value, '\n') < 0;
    if (json) {
        describe_text(out, "key", rec->key);
        describe_json(out, "value", rec->value);
    }
    arena_fini(&arena);
    return json;
}

int dump_status(struct cli *cli, uint64_t damaged)
{
    if (damaged == 0)
        return CLI_OK;
    struct err err = {0};
    err_set(&err, ERR_CORRUPT, "%" PRIu64 " damaged part%s, see above", damaged, damaged == 1 ? "" : "s");
    return cli_fail(cli, &err, NULL);
}

/* The file that the command's last word names: "dump index" takes no .log. */
static bool fits(const char *kind, struct str path)
{
    struct str name = str_sub(path, (size_t)(str_rfind_char(path, '/') + 1), SIZE_MAX);
    if (str_ends_with(name, STR(".deleted")))
        name.len -= strlen(".deleted");
    if (strcmp(kind, "checkpoint") == 0)
        return str_eq(name, STR("checkpoint"));
    bool suffix = str_rfind_char(name, '.') >= 0;
    if (strcmp(kind, "log") == 0 || suffix == false)
        return !suffix || str_ends_with(name, STR(".log")) || str_ends_with(name, STR(".cut")) ||
               str_ends_with(name, STR(".cleaned"));
    return str_eq_cstr(str_sub(name, (size_t)str_rfind_char(name, '.') + 1, SIZE_MAX), kind);
}

static bool dump_options_of(struct cli *cli, struct log_dump *dump, struct err *err)
{
    dump->io = io_real();
    dump->records = cli_flag(cli, "records");
    return cli_integer(cli, "from", 0, INT64_MAX, 0, &dump->from_offset, err) &&
           cli_integer(cli, "batches", 0, INT64_MAX, -1, &dump->batches_max, err);
}

static bool dump_path(struct cli *cli, struct log_dump *dump, struct str path, struct err *err)
{
    const struct state_topic *state = state_topic_of(topic_of(path));
    dump->record = state != NULL ? tell_record : NULL;
    dump->arg = (void *)state;
    return log_dump(str_cstr(path, &cli->arena), dump, err);
}

int cli_dump_file(struct cli *cli)
{
    const char *kind = strchr(cli->command->words, ' ') + 1;
    struct err err = {0};
    struct dump_out out;
    struct log_dump dump = {.out = &out.lines.describe, .batches_max = -1};
    for (size_t i = 0; i < cli->names.len; i++)
        if (!fits(kind, cli->names.at[i]))
            return cli_usage(cli, "'%.*s' is no %s%s file", STR_ARG(cli->names.at[i]),
                             strcmp(kind, "checkpoint") == 0 ? "" : ".", kind);
    if (strcmp(kind, "log") == 0 && !dump_options_of(cli, &dump, &err))
        return cli_usage(cli, "%s", err.text);
    dump.io = io_real();
    dump.cuts = true;
    dump_out_init(&out, cli->json);
    bool ok = true;
    for (size_t i = 0; ok && i < cli->names.len; i++)
        ok = dump_path(cli, &dump, cli->names.at[i], &err);
    dump_out_fini(&out);
    return ok ? dump_status(cli, dump.damaged) : cli_fail(cli, &err, NULL);
}

/* State topics --------------------------------------------------------------------------------------------------------- */

struct partitions {
    struct cli *cli;
    const struct state_topic *state;
    struct str dir;
    vec(struct str) paths;
};

static void partition_add(void *arg, const char *name)
{
    struct partitions *found = arg;
    if (is_topic(found->state, topic_of(str_from(name))))
        vec_push(&found->paths, str_printf(&found->cli->arena, "%.*s/%s", STR_ARG(found->dir), name));
}

static int by_path(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* PATH is the data directory, its log directory, or a partition or segment of the topic. */
static bool find_partitions(struct partitions *found, struct str path, struct err *err)
{
    struct io_stat st;
    struct io *io = io_real();
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path = str_sub(path, 0, path.len - 1);
    if (is_topic(found->state, topic_of(path))) {
        vec_push(&found->paths, path);
        return true;
    }
    struct str log = str_printf(&found->cli->arena, "%.*s/log", STR_ARG(path));
    found->dir = io_stat(io, log.ptr, &st) == 0 && st.is_dir ? log : path;
    int rc = io_list(io, str_cstr(found->dir, &found->cli->arena), partition_add, found);
    if (rc < 0)
        return err_set_errno(err, -rc, "%.*s: cannot be listed", STR_ARG(found->dir));
    if (found->paths.len == 0)
        return err_set(err, ERR_NOT_FOUND, "%.*s holds no partition of %s%s%s", STR_ARG(found->dir),
                       found->state->name, found->state->suffix != NULL ? "..." : "",
                       found->state->suffix != NULL ? found->state->suffix : "");
    qsort(found->paths.at, found->paths.len, sizeof(struct str), by_path);
    return true;
}

int cli_dump_records(struct cli *cli)
{
    const char *kind = strchr(cli->command->words, ' ') + 1;
    struct partitions found = {.cli = cli};
    struct err err = {0};
    struct dump_out out;
    struct log_dump dump = {.out = &out.lines.describe, .batches_max = -1};
    for (size_t i = 0; i < COUNT_OF(state_topics); i++)
        if (strcmp(state_topics[i].kind, kind) == 0)
            found.state = &state_topics[i];
    if (!dump_options_of(cli, &dump, &err))
        return cli_usage(cli, "%s", err.text);
    dump.records = true;
    bool ok = true;
    for (size_t i = 0; ok && i < cli->names.len; i++)
        ok = find_partitions(&found, cli->names.at[i], &err);
    dump_out_init(&out, cli->json);
    for (size_t i = 0; ok && i < found.paths.len; i++)
        ok = dump_path(cli, &dump, found.paths.at[i], &err);
    dump_out_fini(&out);
    vec_fini(&found.paths);
    return ok ? dump_status(cli, dump.damaged) : cli_fail(cli, &err, NULL);
}

int cli_dump_state(struct cli *cli)
{
    struct err err = {0};
    struct dump_out out;
    struct io_stat st;
    uint64_t damaged = 0;
    bool ok = true;
    dump_out_init(&out, cli->json);
    for (size_t i = 0; ok && i < cli->names.len; i++) {
        struct str path = cli->names.at[i];
        struct str below = str_printf(&cli->arena, "%.*s/state", STR_ARG(path));
        bool is_data = io_stat(io_real(), below.ptr, &st) == 0 && st.is_dir;
        ok = state_dump(is_data ? below.ptr : str_cstr(path, &cli->arena), io_real(), &out.lines.describe,
                        &damaged, &err);
    }
    dump_out_fini(&out);
    return ok ? dump_status(cli, damaged) : cli_fail(cli, &err, NULL);
}

/* The write-ahead log ----------------------------------------------------------------------------------------------- */

struct wal_files {
    struct cli *cli;
    const char *dir;
    vec(struct str) paths;
};

static void wal_file_add(void *arg, const char *name)
{
    struct wal_files *files = arg;
    if (str_ends_with(str_from(name), STR(".wal")))
        vec_push(&files->paths, str_printf(&files->cli->arena, "%s/%s", files->dir, name));
}

/* PATH is a file, a directory of such files, or the data directory. */
static bool find_wal_files(struct wal_files *files, struct str path, struct err *err)
{
    struct io_stat st;
    struct str below = str_printf(&files->cli->arena, "%.*s/wal", STR_ARG(path));
    const char *here = str_cstr(path, &files->cli->arena);
    bool is_data = io_stat(io_real(), below.ptr, &st) == 0 && st.is_dir;
    int rc = is_data ? 0 : io_stat(io_real(), here, &st);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be read", here);
    if (!is_data && !st.is_dir) {
        vec_push(&files->paths, path);
        return true;
    }
    size_t before = files->paths.len;
    files->dir = is_data ? below.ptr : here;
    rc = io_list(io_real(), files->dir, wal_file_add, files);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be listed", files->dir);
    if (files->paths.len == before)
        return err_set(err, ERR_NOT_FOUND, "%s has no write-ahead log: after a clean stop there is none",
                       here);
    qsort(files->paths.at + before, files->paths.len - before, sizeof(struct str), by_path);
    return true;
}

int cli_dump_wal(struct cli *cli)
{
    struct wal_files files = {.cli = cli};
    struct err err = {0};
    struct dump_out out;
    uint64_t damaged = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < cli->names.len; i++)
        ok = find_wal_files(&files, cli->names.at[i], &err);
    dump_out_init(&out, cli->json);
    for (size_t i = 0; ok && i < files.paths.len; i++)
        ok = wal_dump(str_cstr(files.paths.at[i], &cli->arena), io_real(), &out.lines.describe, &damaged,
                      &err);
    dump_out_fini(&out);
    vec_fini(&files.paths);
    return ok ? dump_status(cli, damaged) : cli_fail(cli, &err, NULL);
}
