/* test_shell.c - the interactive shell on a pseudo terminal: lines, completion, Ctrl-C, history; and tables that fit it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pty.h>
#include <sys/ioctl.h>

#include "harness.h"

struct terminal {
    pid_t pid;
    int fd;
    struct buf out;
};

/* Runs `rialto ARGS...` on a terminal of this width, its state below `home`. */
static struct terminal terminal_start(char **args, int width, const char *home)
{
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)width};
    struct terminal t = {0};
    fflush(NULL);
    t.pid = forkpty(&t.fd, NULL, NULL, &size);
    ASSERT(t.pid >= 0);
    if (t.pid == 0) {
        char *argv[32] = {(char *)"rialto"};
        int argc = 1;
        for (; args[argc - 1] != NULL; argc++)
            argv[argc] = args[argc - 1];
        setenv("HOME", home, 1);
        unsetenv("XDG_STATE_HOME");
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", "1", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        int status = cli_run(argc, argv, NULL);
        fflush(NULL);
        _exit(status); /* libedit leaks a little */
    }
    return t;
}

/* Reads until the text has come behind what was read before; fails after a while. */
static void wait_for(struct terminal *t, const char *text)
{
    for (int tries = 0; tries < 1000; tries++) {
        ptrdiff_t at = str_find(buf_str(&t->out), str_from(text));
        if (at >= 0) {
            buf_consume(&t->out, (size_t)at + strlen(text));
            return;
        }
        struct pollfd fds = {.fd = t->fd, .events = POLLIN};
        char piece[4096];
        if (poll(&fds, 1, 20) <= 0)
            continue;
        ssize_t n = read(t->fd, piece, sizeof piece);
        if (n <= 0)
            break;
        buf_append(&t->out, piece, (size_t)n);
    }
    fail_msg("'%s' did not come; read: %s", text, t->out.len > 0 ? t->out.ptr : "");
}

static void type(struct terminal *t, const char *text)
{
    assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

static int terminal_finish(struct terminal *t)
{
    int status = harness_wait(t->pid);
    close(t->fd);
    buf_fini(&t->out);
    return status;
}

static const char info[] = "{\"KsqlServerInfo\":{\"version\":\"8.1.0\"}}";
static const char names[] =
    "[{\"@type\":\"streams\",\"streams\":[{\"name\":\"ORDERS\"}]},{\"@type\":\"function_names\","
    "\"functions\":[{\"name\":\"UCASE\"}]}]";
static const char rows[] =
    "{\"queryId\":\"q\",\"columnNames\":[\"ID\",\"TEXT\"],\"columnTypes\":[\"INTEGER\",\"STRING\"]}\n"
    "[1,\"a\"]\n[22,\"0123456789012345678901234567890123456789\"]\n";

static char home[] = "/tmp/rialto-shell-XXXXXX";

static int setup(void **state)
{
    return mkdtemp(home) == NULL;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", home);
    return system(command);
}

static void test_shell(void **state)
{
    struct exchange exchanges[] = {{"GET /info", NULL, 0, info, REPLY_LENGTH, 0, false},
                                   {"POST /ksql", "SHOW STREAMS; SHOW TABLES; SHOW FUNCTIONS;", 0, names,
                                    REPLY_LENGTH, 0, false},
                                   {"POST /query-stream", "SELECT *\\n FROM ORDERS ;", 0, rows, REPLY_CHUNKED,
                                    0, false}};
    int port;
    char url[64];
    pid_t server = harness_serve(exchanges, 3, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    struct terminal t = terminal_start((char *[]){"sql", url, NULL}, 40, home);
    wait_for(&t, "server version 8.1.0");
    wait_for(&t, "ksql> ");
    type(&t, "SELECT *\n");
    wait_for(&t, "    > ");
    type(&t, " FROM ord\t");
    wait_for(&t, "ers"); /* in the case that was typed */
    type(&t, "\x03");
    wait_for(&t, "^C");
    wait_for(&t, "ksql> ");
    type(&t, "SELECT *\n");
    wait_for(&t, "    > ");
    type(&t, " FROM ORD\t");
    wait_for(&t, "ERS");
    type(&t, ";\n");
    /* 40 columns: 2 for the id, 2 between, 36 for the text, which is cut. */
    wait_for(&t, "ID  TEXT\r\n 1  a\r\n22  01234567890123456789012345678901234…\r\n2 rows");
    wait_for(&t, "ksql> ");
    type(&t, "\\q\n");
    assert_int_equal(terminal_finish(&t), 0);
    assert_int_equal(harness_wait(server), 0);
}

static void test_query_is_stopped(void **state)
{
    struct exchange exchanges[] = {
        {"GET /info", NULL, 0, info, REPLY_LENGTH, 0, false},
        {"POST /query-stream", "EMIT CHANGES", 0, rows, REPLY_ENDLESS, 0, false},
    };
    int port;
    char url[64];
    pid_t server = harness_serve(exchanges, 2, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    struct terminal t = terminal_start((char *[]){"sql", url, NULL}, 80, home);
    wait_for(&t, "ksql> ");
    type(&t, "SELECT * FROM s EMIT CHANGES;\n");
    wait_for(&t, "22  0123");
    type(&t, "\x03");
    wait_for(&t, "stopped after 2 rows");
    wait_for(&t, "ksql> ");
    type(&t, "history\n");
    wait_for(&t, "SELECT * FROM s EMIT CHANGES;");
    wait_for(&t, "ksql> ");
    type(&t, "\x04");
    wait_for(&t, "Exiting.");
    assert_int_equal(terminal_finish(&t), 0);
    assert_int_equal(harness_wait(server), 0);
}

/* One entry a statement, kept for the next time. */
static void test_history(void **state)
{
    char path[128];
    struct buf text = {0};
    snprintf(path, sizeof path, "%s/.local/state/rialto/sql_history", home);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    buf_extend(&text, 4096);
    text.len = fread(text.ptr, 1, 4095, file);
    text.ptr[text.len] = '\0';
    fclose(file);
    assert_non_null(strstr(text.ptr, "SELECT\\040*\\012\\040FROM\\040ORDERS\\040;")); /* libedit's form */
    buf_fini(&text);
}

static void test_confirmation(void **state)
{
    struct terminal t =
        terminal_start((char *[]){"connector", "delete", "pg", "--url", "http://127.0.0.1:1", NULL}, 80,
                       home);
    wait_for(&t, "delete connector pg? [y/N] ");
    type(&t, "n\n");
    wait_for(&t, "not done: delete connector pg");
    assert_int_equal(terminal_finish(&t), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell),
        cmocka_unit_test(test_query_is_stopped),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_confirmation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
