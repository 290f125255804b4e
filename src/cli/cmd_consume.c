/* cmd_consume.c - rialto consume: records to stdout.
 *
 *   without -G: the partitions of the topics, from the place that -o names        kafka_reader
 *   with -G:    the partitions that the group gives us, from its committed place  kafka_group + kafka_reader
 *
 * Offsets of a group are committed every few seconds and at the end, after their records have been written out.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "cli/format_int.h"
#include "cli/sock_int.h"

enum { WAIT_MS = 500, OUT_BYTES = 64 << 10, OUT_MS = 100, HEARTBEAT_MS = 2000, COMMIT_MS = 5000 };

struct consume {
    struct cli *cli;
    struct kafka kafka;
    struct kafka_reader reader;
    struct kafka_group group;
    struct str group_id; /* null: none */
    struct buf format;   /* unescaped; empty: the default form */
    struct buf separator, delimiter;
    bool unbuffered, at_end_exit;
    int64_t count_max, count;
    int64_t written_ms, heartbeat_ms, commit_ms;
    struct buf out;
};

/* Where to start: what -o says. */
struct place {
    enum { PLACE_TIME, PLACE_OFFSET, PLACE_TAIL, PLACE_STORED } kind;
    int64_t start;  /* time in ms, KAFKA_EARLIEST, KAFKA_LATEST; offset; number of last records */
    int64_t end_ms; /* -1: none */
};

static bool parse_place(const struct cli *cli, struct place *place, struct err *err)
{
    *place = (struct place){.kind = PLACE_TIME, .start = KAFKA_LATEST, .end_ms = -1};
    for (size_t i = 0; i < cli->values.len; i++) {
        struct str text = cli->values.at[i].text;
        int64_t number;
        if (strcmp(cli->values.at[i].option->name, "offset") != 0)
            continue;
        if (str_eq(text, STR("beginning")) || str_eq(text, STR("earliest"))) {
            *place = (struct place){.kind = PLACE_TIME, .start = KAFKA_EARLIEST, .end_ms = place->end_ms};
        } else if (str_eq(text, STR("end")) || str_eq(text, STR("latest"))) {
            *place = (struct place){.kind = PLACE_TIME, .start = KAFKA_LATEST, .end_ms = place->end_ms};
        } else if (str_eq(text, STR("stored"))) {
            place->kind = PLACE_STORED;
        } else if (str_starts_with(text, STR("s@")) && str_to_i64(str_sub(text, 2, SIZE_MAX), &number) &&
                   number >= 0) {
            place->kind = PLACE_TIME;
            place->start = number;
        } else if (str_starts_with(text, STR("e@")) && str_to_i64(str_sub(text, 2, SIZE_MAX), &number) &&
                   number >= 0) {
            place->end_ms = number;
        } else if (str_to_i64(text, &number)) {
            place->kind = number < 0 || text.ptr[0] == '-' ? PLACE_TAIL : PLACE_OFFSET;
            place->start = number < 0 ? -number : number;
        } else {
            return err_set(err, ERR_USAGE,
                           "-o must be beginning, end, stored, N, -N, s@MS or e@MS, not '%.*s'",
                           STR_ARG(text));
        }
    }
    return true;
}

/* Start of a partition; a time or place behind the end is the end. */
static int64_t start_of(const struct place *place, int64_t first, int64_t end, int64_t by_time)
{
    switch (place->kind) {
    case PLACE_OFFSET:
        return place->start;
    case PLACE_TAIL:
        return MAX(first, end - place->start);
    default:
        return by_time < 0 ? end : by_time;
    }
}

static bool add_topic(struct consume *c, struct str name, const struct place *place, struct err *err)
{
    struct arena *arena = &c->cli->arena;
    const struct kafka_topic *topic = kafka_topic_find(&c->kafka, name, false, false, err);
    if (topic == NULL)
        return false;
    size_t n = (size_t)topic->partition_count;
    int64_t *first = arena_array(arena, int64_t, 4 * n), *end = first + n, *start = end + n,
            *stop = start + n;
    if (!kafka_offsets(&c->kafka, topic, KAFKA_EARLIEST, first, arena, err) ||
        !kafka_offsets(&c->kafka, topic, KAFKA_LATEST, end, arena, err) ||
        !kafka_offsets(&c->kafka, topic, place->kind == PLACE_TIME ? place->start : KAFKA_LATEST, start,
                       arena, err))
        return false;
    if (place->end_ms >= 0 && !kafka_offsets(&c->kafka, topic, place->end_ms, stop, arena, err))
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct err failure = {0};
        if (!cli_partition_chosen(c->cli, i, &failure)) {
            if (failure.code == ERR_NONE)
                continue;
            *err = failure;
            return false;
        }
        int64_t stop_at = place->end_ms < 0 ? -1 : stop[i] < 0 ? end[i] : stop[i];
        if (c->at_end_exit && stop_at < 0)
            stop_at = end[i];
        kafka_reader_add(&c->reader, topic, i, start_of(place, first[i], end[i], start[i]), stop_at);
    }
    return true;
}

/* Output -------------------------------------------------------------------------------------------------- */

static bool write_out(struct consume *c, struct err *err)
{
    bool ok = c->out.len == 0 || fwrite(c->out.ptr, 1, c->out.len, stdout) == c->out.len;
    ok = ok && fflush(stdout) == 0;
    buf_clear(&c->out);
    c->written_ms = clock_mono_ms();
    /* A closed pipe is the reader's way to say enough. */
    return ok || (errno == EPIPE ? err_set(err, ERR_SHUTDOWN, "the reader has gone")
                                 : err_set_errno(err, errno, "writing to stdout failed"));
}

static bool put_record(struct consume *c, const struct kafka_record *rec, struct err *err)
{
    if (c->cli->json) {
        format_record_json(rec, &c->out);
    } else if (c->format.len > 0) {
        if (!format_record(buf_str(&c->format), rec, &c->out, err))
            return false;
    } else {
        buf_append_cstr(&c->out, c->cli->color ? "\x1b[2m" : "");
        buf_append(&c->out, rec->rec.key.ptr, rec->rec.key.len);
        buf_append_cstr(&c->out, c->cli->color ? "\x1b[0m" : "");
        buf_append_str(&c->out, buf_str(&c->separator));
        buf_append(&c->out, rec->rec.value.ptr, rec->rec.value.len);
        buf_append_str(&c->out, buf_str(&c->delimiter));
    }
    bool now = c->unbuffered || c->cli->stdout_tty || c->out.len >= OUT_BYTES;
    return !now || write_out(c, err);
}

/* Group --------------------------------------------------------------------------------------------------- */

static bool join(struct consume *c, struct err *err)
{
    struct place place;
    if (!parse_place(c->cli, &place, err))
        return false;
    int64_t fallback =
        place.kind == PLACE_TIME && place.start == KAFKA_EARLIEST ? KAFKA_EARLIEST : KAFKA_LATEST;
    if (!kafka_group_join(&c->group, &c->reader, fallback, err))
        return false;
    c->heartbeat_ms = c->commit_ms = clock_mono_ms();
    return true;
}

static bool keep_membership(struct consume *c, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    bool rejoin = false;
    if (now_ms - c->commit_ms >= COMMIT_MS) {
        if (!write_out(c, err))
            return false;
        ignore(!kafka_group_commit(&c->group, &c->reader, NULL), "the heartbeat tells why");
        c->commit_ms = now_ms;
    }
    if (now_ms - c->heartbeat_ms < HEARTBEAT_MS)
        return true;
    c->heartbeat_ms = now_ms;
    if (!kafka_group_heartbeat(&c->group, &rejoin, err))
        return false;
    if (!rejoin)
        return true;
    if (!write_out(c, err))
        return false;
    ignore(!kafka_group_commit(&c->group, &c->reader, NULL), "another member reads those records again then");
    return join(c, err);
}

static void leave(struct consume *c)
{
    struct err err = {0};
    /* The signal that ended us must not end the last commit too. */
    c->kafka.stop_fd = -1;
    if (!kafka_group_commit(&c->group, &c->reader, &err))
        cli_note(c->cli, "rialto: %s", err.text);
    kafka_group_leave(&c->group);
}

/* -------------------------------------------------------------------------------------------------------- */

/* With -e a group's member is done when every partition has been read to its end. */
static bool at_end(const struct consume *c)
{
    if (str_is_null(c->group_id))
        return kafka_reader_done(&c->reader);
    if (!c->at_end_exit)
        return false;
    for (size_t i = 0; i < c->reader.parts.len; i++)
        if (c->reader.parts.at[i]->high < 0 || c->reader.parts.at[i]->offset < c->reader.parts.at[i]->high)
            return false;
    return true;
}

static bool pump(struct consume *c, struct err *err)
{
    while (c->count < c->count_max && !at_end(c)) {
        struct kafka_record rec;
        bool found;
        if (!kafka_reader_next(&c->reader, c->out.len > 0 ? OUT_MS : WAIT_MS, &rec, &found, err))
            return false;
        if (found && !put_record(c, &rec, err))
            return false;
        c->count += found;
        if (c->out.len > 0 && clock_mono_ms() - c->written_ms >= OUT_MS && !write_out(c, err))
            return false;
        if (!str_is_null(c->group_id) && !keep_membership(c, err))
            return false;
    }
    return true;
}

static bool start(struct consume *c, struct err *err)
{
    struct place place;
    if (!parse_place(c->cli, &place, err))
        return false;
    for (size_t i = 0; i < c->cli->names.len; i++)
        if (c->cli->names.at[i].len > KAFKA_TOPIC_BYTES_MAX)
            return err_set(err, ERR_USAGE, "a topic's name has at most %d characters", KAFKA_TOPIC_BYTES_MAX);
    if (!str_is_null(c->group_id)) {
        if (!str_is_null(cli_value(c->cli, "partition")))
            return err_set(err, ERR_USAGE, "-p and -G exclude each other: the group gives the partitions");
        kafka_group_init(&c->group, &c->kafka, c->group_id, c->cli->names.at, c->cli->names.len);
        return join(c, err);
    }
    if (place.kind == PLACE_STORED)
        return err_set(err, ERR_USAGE, "-o stored needs -G GROUP");
    for (size_t i = 0; i < c->cli->names.len; i++)
        if (!add_topic(c, c->cli->names.at[i], &place, err))
            return false;
    if (c->reader.parts.len == 0)
        return err_set(err, ERR_USAGE, "none of the partitions exists");
    return true;
}

static bool read_options(struct consume *c, struct err *err)
{
    struct str separator = cli_value(c->cli, "key-separator"), delimiter = cli_value(c->cli, "delimiter");
    struct str format = cli_value(c->cli, "format");
    c->group_id = cli_value(c->cli, "group");
    c->unbuffered = cli_flag(c->cli, "unbuffered");
    c->at_end_exit = cli_flag(c->cli, "exit");
    c->reader.read_uncommitted = cli_flag(c->cli, "read-uncommitted");
    if (!str_is_null(format))
        format_unescape(format, &c->format);
    format_unescape(str_is_null(separator) ? STR("\\t") : separator, &c->separator);
    format_unescape(str_is_null(delimiter) ? STR("\\n") : delimiter, &c->delimiter);
    if (c->cli->json && !str_is_null(format))
        return err_set(err, ERR_USAGE, "-f and --json exclude each other");
    return cli_integer(c->cli, "count", 0, INT64_MAX, INT64_MAX, &c->count_max, err);
}

int cli_consume(struct cli *cli)
{
    struct consume c = {.cli = cli};
    struct err err = {0};
    kafka_init(&c.kafka, cli->brokers, cli->security, cli->stop_fd);
    kafka_reader_init(&c.reader, &c.kafka);
    c.written_ms = clock_mono_ms();
    bool started = read_options(&c, &err) && start(&c, &err);
    bool ok = started && pump(&c, &err);
    struct err last = {0};
    if (!write_out(&c, &last) && ok)
        err = last;
    if (started && !str_is_null(c.group_id))
        leave(&c);
    kafka_group_fini(&c.group);
    kafka_reader_fini(&c.reader);
    kafka_fini(&c.kafka);
    buf_fini(&c.format);
    buf_fini(&c.separator);
    buf_fini(&c.delimiter);
    buf_fini(&c.out);
    /* Ctrl-C and a closed pipe are the usual ends. */
    return ok || err.code == ERR_SHUTDOWN ? CLI_OK : cli_fail(cli, &err, NULL);
}
