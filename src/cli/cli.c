/* cli.c - the door: signals, environment, dispatch; and how errors are told.
 *
 *   rialto: topic 'order' does not exist                                     one sentence: what, which, why
 *   hint: did you mean 'orders'? 'rialto topic list' shows all 12.           what to do
 *
 * SIGINT and SIGTERM are blocked for the whole life and read from a descriptor, so every wait can end in order; SIGPIPE is
 * ignored: a closed pipe is a failed write.
 */
#include "cli/cli_int.h"
#include "cli/kafka_int.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "json/json.h"

enum { FILE_BYTES_MAX = 256 << 20 };

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    ignore(sigprocmask(SIG_BLOCK, &set, NULL), "it cannot fail for this set");
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool cli_interrupted(const struct cli *cli)
{
    struct signalfd_siginfo info;
    return cli->stop_fd >= 0 && read(cli->stop_fd, &info, sizeof info) == sizeof info;
}

/* Errors -------------------------------------------------------------------------------------------------- */

static const char *hint_of(const struct err *err)
{
    switch (err->code) {
    case ERR_UNAVAILABLE:
        return "start a server with 'rialto server', or name one with --url (SQL, connectors) or -b (topics, "
               "records).";
    case ERR_UNKNOWN_TOPIC:
        return "'rialto topic list' shows all topics, 'rialto topic create' makes one.";
    case ERR_TIMED_OUT:
        return "the server is there but slow; try again.";
    case ERR_FORBIDDEN:
        return "--command-config FILE says who you are: security.protocol, sasl.mechanism, sasl.username, "
               "sasl.password, "
               "ssl.truststore.location.";
    default:
        return NULL;
    }
}

static void print_json_error(const struct err *err, const char *hint)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    json_object_begin(&writer);
    json_key_cstr(&writer, "error", err->text);
    json_key_i64(&writer, "code", err_ksql_code(err->code));
    if (hint != NULL)
        json_key_cstr(&writer, "hint", hint);
    json_object_end(&writer);
    fprintf(stderr, "%s\n", out.ptr);
    buf_fini(&out);
}

int cli_fail(const struct cli *cli, const struct err *err, const char *hint)
{
    if (err->code == ERR_SHUTDOWN)
        return CLI_INTERRUPTED;
    if (hint == NULL || err->code == ERR_UNAVAILABLE)
        hint = hint_of(err);
    fflush(stdout);
    if (cli->json)
        print_json_error(err, hint);
    else
        fprintf(stderr, "%srialto:%s %s\n", cli->color && cli->stderr_tty ? "\x1b[31m" : "",
                cli->color && cli->stderr_tty ? "\x1b[0m" : "", err->text);
    if (hint != NULL && !cli->json)
        fprintf(stderr, "hint: %s\n", hint);
    return err->code == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    struct err err;
    char text[512], hint[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err_set(&err, ERR_USAGE, "%s", text);
    snprintf(hint, sizeof hint, "'rialto %s%s--help' shows an example.", cli->command->words,
             cli->command->words[0] != '\0' ? " " : "");
    return cli_fail(cli, &err, hint);
}

void cli_note(const struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

bool cli_confirm(const struct cli *cli, struct err *err, const char *fmt, ...)
{
    char what[400], line[16];
    va_list args;
    if (cli_flag(cli, "yes"))
        return true;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (!isatty(STDIN_FILENO) || !cli->stderr_tty)
        return err_set(err, ERR_USAGE, "to %s needs -y where nobody can be asked", what);
    fprintf(stderr, "%s? [y/N] ", what);
    if (fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y'))
        return true;
    return err_set(err, ERR_CONFLICT, "not done: %s", what);
}

bool cli_read_file(struct str path, struct buf *out, struct err *err)
{
    char name[4096];
    if (path.len >= sizeof name)
        return err_set(err, ERR_USAGE, "the file name is too long");
    snprintf(name, sizeof name, "%.*s", STR_ARG(path));
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL)
        return err_set_errno(err, errno, "file '%s' cannot be read", name);
    bool ok = true;
    size_t got;
    do {
        buf_reserve(out, 65536);
        got = fread(out->ptr + out->len, 1, 65536, file);
        out->len += got;
        out->ptr[out->len] = '\0';
        if (out->len > FILE_BYTES_MAX)
            ok = err_set(err, ERR_TOO_LARGE, "file '%s' is larger than %d MiB", name, FILE_BYTES_MAX >> 20);
    } while (ok && got > 0);
    if (ok && ferror(file))
        ok = err_set_errno(err, errno, "file '%s' cannot be read", name);
    if (file != stdin)
        fclose(file);
    return ok;
}

bool cli_glob(struct str pattern, struct str name)
{
    if (str_is_null(pattern))
        return true;
    size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;
    while (n < name.len) {
        bool more = p < pattern.len;
        if (more && pattern.ptr[p] == '*') {
            star = p++;
            mark = n;
        } else if (more &&
                   (pattern.ptr[p] == '?' || str_eq_nocase(str_sub(pattern, p, 1), str_sub(name, n, 1)))) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

/* Running ------------------------------------------------------------------------------------------------- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static bool wants_color(const struct cli *cli)
{
    struct str when = cli_value(cli, "color");
    if (str_eq(when, STR("always")) || str_eq(when, STR("never")))
        return str_eq(when, STR("always"));
    if (is_set("NO_COLOR"))
        return false;
    if (is_set("CLICOLOR_FORCE") && strcmp(getenv("CLICOLOR_FORCE"), "0") != 0)
        return true;
    const char *term = getenv("TERM"), *color = getenv("CLICOLOR");
    bool off = (color != NULL && strcmp(color, "0") == 0) || term == NULL || strcmp(term, "dumb") == 0;
    return !off && cli->stdout_tty;
}

static struct str setting(const struct cli *cli, const char *option, const char *variable,
                          const char *fallback)
{
    struct str value = cli_value(cli, option);
    if (!str_is_null(value))
        return value;
    return str_from(is_set(variable) ? getenv(variable) : fallback);
}

static int run_command(struct cli *cli)
{
    struct str when = cli_value(cli, "color");
    if (!str_is_null(when) && !str_eq(when, STR("auto")) && !str_eq(when, STR("always")) &&
        !str_eq(when, STR("never")))
        return cli_usage(cli, "--color must be auto, always or never, not '%.*s'", STR_ARG(when));
    cli->json = cli_flag(cli, "json");
    cli->header = cli_flag(cli, "header");
    cli->color = wants_color(cli);
    cli->url = setting(cli, "url", "RIALTO_URL", "http://127.0.0.1:8080");
    cli->brokers = setting(cli, "brokers", "RIALTO_BROKERS", "127.0.0.1:9092");
    struct str security = setting(cli, "command-config", "RIALTO_COMMAND_CONFIG", "");
    struct err err;
    if (security.len > 0 && !kafka_security_read(security, &cli->security, &cli->arena, &err))
        return cli_fail(cli, &err, NULL);
    bool named = !str_is_null(cli_value(cli, "brokers")) || is_set("RIALTO_BROKERS");
    if (cli->security != NULL && cli->security->brokers.len > 0 && !named)
        cli->brokers = cli->security->brokers;
    int status = cli->command->run(cli);
    /* A full disk or a closed pipe shows at the latest when the last bytes leave. */
    if (fflush(stdout) != 0 && errno != EPIPE && status == CLI_OK) {
        err_set_errno(&err, errno, "writing to stdout failed");
        return cli_fail(cli, &err, NULL);
    }
    return status;
}

int cli_run(int argc, char **argv, const struct cli_docs *docs)
{
    struct cli cli = {.docs = docs};
    int status;
    setlocale(LC_CTYPE, "");
    cli.stdout_tty = isatty(STDOUT_FILENO);
    cli.stderr_tty = isatty(STDERR_FILENO);
    cli.stop_fd = open_signals();
    if (cli_parse_args(&cli, argc, argv, &status))
        status = run_command(&cli);
    close(cli.stop_fd);
    vec_fini(&cli.names);
    vec_fini(&cli.values);
    arena_fini(&cli.arena);
    return status;
}

int cli_main(int argc, char **argv)
{
    return cli_run(argc, argv, NULL);
}
