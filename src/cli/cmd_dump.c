/* cmd_dump.c - rialto dump: what lies on disk or went over the wire, readable. Reads only, needs no server. */
#include <stdio.h>

#include "cli/cli_int.h"
#include "io/io.h"
#include "log/log.h"
#include "wire/wire.h"

static void flush(struct buf *out, void *arg)
{
    if (out->len > 0)
        fwrite(out->ptr, 1, out->len, stdout);
    buf_clear(out);
}

/* The file that the command's last word names: "dump index" takes no .log. */
static bool fits(const char *kind, struct str path)
{
    bool named = str_rfind_char(path, '.') > str_rfind_char(path, '/');
    if (strcmp(kind, "log") == 0)
        return !named || str_ends_with(path, STR(".log")) || str_ends_with(path, STR("/"));
    return str_ends_with(path, strcmp(kind, "index") == 0 ? STR(".index") : STR(".timeindex"));
}

int cli_dump_file(struct cli *cli)
{
    const char *kind = strchr(cli->command->words, ' ') + 1;
    bool index = strcmp(kind, "log") != 0;
    int flags = (cli_flag(cli, "records") ? LOG_DUMP_RECORDS : 0) | (index ? LOG_DUMP_INDEX : 0) |
                (cli_flag(cli, "check") ? LOG_DUMP_CHECK : 0);
    if (cli->json)
        return cli_usage(cli, "'rialto dump %s' has no JSON form", kind);
    for (size_t i = 0; i < cli->names.len; i++) {
        struct str path = cli->names.at[i];
        struct buf out = {0};
        struct err err = {0};
        if (!fits(kind, path))
            return cli_usage(cli, "'%.*s' is no .%s file", STR_ARG(path), kind);
        bool ok = log_dump(str_cstr(path, &cli->arena), flags, io_real(), &out, flush, NULL, &err);
        flush(&out, NULL);
        buf_fini(&out);
        if (!ok)
            return cli_fail(cli, &err, NULL);
    }
    return CLI_OK;
}

/* Hex digits and white space only: a capture pasted from somewhere. */
static bool decode_hex(struct buf *bytes)
{
    struct buf digits = {0}, raw = {0};
    bool ok = bytes->len > 0;
    for (size_t i = 0; ok && i < bytes->len; i++) {
        char c = bytes->ptr[i];
        bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
        ok = blank || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (ok && !blank)
            buf_append_char(&digits, c);
    }
    ok = ok && buf_append_hex_decoded(&raw, buf_str(&digits));
    if (ok) {
        buf_clear(bytes);
        buf_append_str(bytes, buf_str(&raw));
    }
    buf_fini(&digits);
    buf_fini(&raw);
    return ok;
}

int cli_dump_wire(struct cli *cli)
{
    struct buf bytes = {0}, out = {0};
    struct err err = {0};
    bool ok = cli_read_file(cli->names.len > 0 ? cli->names.at[0] : STR("-"), &bytes, &err);
    if (ok) {
        ignore(decode_hex(&bytes), "anything else is taken as it is");
        ok = wire_print_stream(buf_str(&bytes), &out, &err);
        flush(&out, NULL);
    }
    buf_fini(&bytes);
    buf_fini(&out);
    return ok ? CLI_OK : cli_fail(cli, &err, NULL);
}
