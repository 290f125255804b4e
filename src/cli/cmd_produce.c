/* cmd_produce.c - rialto produce: lines of stdin to records.
 *
 *   stdin -> (delimiter) -> line -> key, value -> kafka_producer -> acknowledged
 *
 * What has been read is sent when a batch is full and whenever stdin pauses, so that a person who types sees each record
 * stored, and a file goes in large batches. Ctrl-C sends what has been read, then ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "loop/loop.h"
#include "cli/format_int.h"
#include "cli/sock_int.h"

enum { PAUSE_MS = 5, LINE_BYTES_MAX = 64 << 20, BATCH_BYTES = 512 << 10, RETRY_MS = 120000 };

struct produce {
    struct cli *cli;
    struct kafka kafka;
    struct kafka_producer producer;
    struct str separator, key; /* null: none */
    struct buf delimiter;
    bool null_values;
    int64_t partition, count_max;
    struct record_header *headers;
    int32_t header_count;
    int64_t count;
    struct arena arena; /* of one record */
};

static bool read_headers(struct produce *p, struct err *err)
{
    p->headers = arena_array(&p->cli->arena, struct record_header, p->cli->values.len);
    for (size_t i = 0; i < p->cli->values.len; i++) {
        struct str text = p->cli->values.at[i].text;
        ptrdiff_t equal = str_find_char(text, '=');
        if (strcmp(p->cli->values.at[i].option->name, "header-line") != 0)
            continue;
        if (equal <= 0)
            return err_set(err, ERR_USAGE, "-H takes NAME=VALUE, not '%.*s'", STR_ARG(text));
        p->headers[p->header_count++] =
            (struct record_header){.key = str_sub(text, 0, (size_t)equal),
                                   .value = str_sub(text, (size_t)equal + 1, SIZE_MAX)};
    }
    return true;
}

static bool read_options(struct produce *p, struct kafka_producer_options *options, struct err *err)
{
    struct str codec = cli_value(p->cli, "compression"), acks = cli_value(p->cli, "acks");
    struct str delimiter = cli_value(p->cli, "delimiter");
    *options = (struct kafka_producer_options){.topic = p->cli->names.at[0],
                                               .acks = -1,
                                               .batch_bytes = BATCH_BYTES,
                                               .retry_ms = RETRY_MS};
    if (options->topic.len > KAFKA_TOPIC_BYTES_MAX)
        return err_set(err, ERR_USAGE, "a topic's name has at most %d characters", KAFKA_TOPIC_BYTES_MAX);
    if (!str_is_null(codec) && !codec_from_name(codec, &options->codec))
        return err_set(err, ERR_USAGE, "-z must be none, gzip, snappy, lz4 or zstd, not '%.*s'",
                       STR_ARG(codec));
    if (!str_is_null(acks) && !str_eq(acks, STR("all"))) {
        int64_t number;
        if (!str_to_i64(acks, &number) || number < -1 || number > 1)
            return err_set(err, ERR_USAGE, "--acks must be all, 1 or 0, not '%.*s'", STR_ARG(acks));
        options->acks = (int)number;
    }
    struct str separator = cli_value(p->cli, "key-separator");
    if (!str_is_null(separator)) {
        struct buf text = {0};
        format_unescape(separator, &text);
        p->separator = str_dup(buf_str(&text), &p->cli->arena);
        buf_fini(&text);
        if (p->separator.len == 0)
            return err_set(err, ERR_USAGE, "-K needs a separator");
    }
    format_unescape(str_is_null(delimiter) ? STR("\\n") : delimiter, &p->delimiter);
    if (p->delimiter.len == 0)
        return err_set(err, ERR_USAGE, "-D needs a delimiter");
    p->key = cli_value(p->cli, "key");
    p->null_values = cli_flag(p->cli, "null");
    return cli_integer(p->cli, "partition", 0, INT32_MAX, -1, &p->partition, err) &&
           cli_integer(p->cli, "count", 0, INT64_MAX, INT64_MAX, &p->count_max, err) && read_headers(p, err);
}

/* One record: a line, or a JSON object with --json. */
static bool send_line(struct produce *p, struct str line, struct err *err)
{
    struct format_record rec = {.key = p->key,
                                .value = line,
                                .timestamp_ms = -1,
                                .headers = p->headers,
                                .header_count = p->header_count};
    if (p->cli->json) {
        if (!format_parse_json(line, &rec, &p->arena, err))
            return false;
    } else if (!str_is_null(p->separator)) {
        ptrdiff_t at = str_find(line, p->separator);
        if (at < 0)
            return err_set(err, ERR_USAGE, "record %" PRId64 " has no separator '%.*s'", p->count + 1,
                           STR_ARG(p->separator));
        rec.key = str_sub(line, 0, (size_t)at);
        rec.value = str_sub(line, (size_t)at + p->separator.len, SIZE_MAX);
    }
    if (p->null_values && !str_is_null(rec.value) && rec.value.len == 0)
        rec.value = STR_NULL;
    int64_t timestamp_ms = rec.timestamp_ms >= 0 ? rec.timestamp_ms : clock_wall_ms();
    bool ok = kafka_producer_send(&p->producer, (int32_t)p->partition, timestamp_ms, rec.key, rec.value,
                                  rec.headers, rec.header_count, err);
    arena_reset(&p->arena);
    p->count++;
    return ok;
}

/* Sends all complete lines of the buffer, and the rest when the input has ended. */
static bool send_lines(struct produce *p, struct buf *in, bool ended, struct err *err)
{
    struct str rest = buf_str(in);
    ptrdiff_t at;
    bool ok = true;
    while (ok && p->count < p->count_max && (at = str_find(rest, buf_str(&p->delimiter))) >= 0) {
        ok = send_line(p, str_sub(rest, 0, (size_t)at), err);
        rest = str_sub(rest, (size_t)at + p->delimiter.len, SIZE_MAX);
    }
    if (ok && ended && rest.len > 0 && p->count < p->count_max) {
        ok = send_line(p, rest, err);
        rest = STR("");
    }
    buf_consume(in, in->len - rest.len);
    if (ok && in->len > LINE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "a record is larger than %d MiB", LINE_BYTES_MAX >> 20);
    return ok;
}

static bool pump(struct produce *p, int fd, struct err *err)
{
    struct buf in = {0};
    bool ok = true, ended = false, waiting = false;
    while (ok && !ended && p->count < p->count_max) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = p->cli->stop_fd, .events = POLLIN}};
        int n = poll(fds, 2, waiting ? PAUSE_MS : -1);
        if (n > 0 && fds[1].revents != 0) {
            ok = kafka_producer_flush(&p->producer, NULL) && err_set(err, ERR_SHUTDOWN, "interrupted");
            break;
        }
        if (n == 0) {
            ok = kafka_producer_flush(&p->producer, err);
            waiting = false;
            continue;
        }
        buf_reserve(&in, 65536);
        ssize_t got = read(fd, in.ptr + in.len, 65536);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            ok = err_set_errno(err, errno, "reading failed");
        ended = got == 0;
        in.len += got > 0 ? (size_t)got : 0;
        ok = ok && send_lines(p, &in, ended, err);
        waiting = true;
    }
    buf_fini(&in);
    return ok && kafka_producer_flush(&p->producer, err);
}

static int open_input(struct cli *cli, struct err *err)
{
    struct str path = cli_value(cli, "line-file");
    if (str_is_null(path) || str_eq(path, STR("-")))
        return STDIN_FILENO;
    int fd = open(str_cstr(path, &cli->arena), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err_set_errno(err, errno, "file '%.*s' cannot be read", STR_ARG(path));
    return fd;
}

int cli_produce(struct cli *cli)
{
    struct produce p = {.cli = cli};
    struct kafka_producer_options options;
    struct err err = {0};
    int64_t started_ms = clock_mono_ms();
    int fd = -1;
    if (!read_options(&p, &options, &err) || (fd = open_input(cli, &err)) < 0) {
        buf_fini(&p.delimiter);
        return cli_fail(cli, &err, NULL);
    }
    /* A flush that waits for a restarting server is not ended by the first Ctrl-C: records would be lost. */
    kafka_init(&p.kafka, cli->brokers, cli->security, -1);
    bool ok = kafka_producer_open(&p.producer, &p.kafka, &options, &err) && pump(&p, fd, &err);
    double seconds = (double)(clock_mono_ms() - started_ms) / 1000;
    if (p.producer.sent_records > 0 && cli->stderr_tty)
        cli_note(cli, "%" PRId64 " records, %.1f KiB in %.1f s, acknowledged", p.producer.sent_records,
                 (double)p.producer.sent_bytes / 1024, seconds);
    kafka_producer_close(&p.producer);
    kafka_fini(&p.kafka);
    if (fd != STDIN_FILENO)
        close(fd);
    buf_fini(&p.delimiter);
    arena_fini(&p.arena);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}
