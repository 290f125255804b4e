/* harness.h - runs a command line in a child process and keeps what it printed; a scripted HTTP server.
 *
 * The test process itself has one thread, so that a fork is safe; brokers and servers are children of their own, ended by
 * their process id.
 */
#ifndef TEST_CLI_HARNESS_H
#define TEST_CLI_HARNESS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

struct outcome {
    struct buf out, err;
    int status;
};

static inline void outcome_fini(struct outcome *o)
{
    buf_fini(&o->out);
    buf_fini(&o->err);
}

struct running {
    pid_t pid;
    int out, err;
};

/* Starts `rialto ARGS...` with this text on stdin (NULL: nothing). */
static inline struct running harness_start(const char *input, char **args)
{
    int in[2], out[2], err[2], argc = 1;
    char *argv[32] = {(char *)"rialto"};
    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = args[argc - 1];
    ASSERT(pipe(in) == 0 && pipe(out) == 0 && pipe(err) == 0);
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        for (int i = 0; i < 2; i++) {
            close(in[i]);
            close(out[i]);
            close(err[i]);
        }
        /* exit, not _exit: a leak checker runs then. */
        exit(cli_run(argc, argv, NULL));
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    if (input != NULL && write(in[1], input, strlen(input)) < 0)
        perror("stdin of the command");
    close(in[1]);
    return (struct running){.pid = pid, .out = out[0], .err = err[0]};
}

/* Reads both streams to their ends and waits. */
static inline struct outcome harness_finish(struct running run)
{
    struct outcome o = {0};
    struct pollfd fds[] = {{.fd = run.out, .events = POLLIN}, {.fd = run.err, .events = POLLIN}};
    struct buf *bufs[] = {&o.out, &o.err};
    buf_append_cstr(&o.out, "");
    buf_append_cstr(&o.err, "");
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        ASSERT(poll(fds, 2, 60000) > 0);
        for (int i = 0; i < 2; i++) {
            char piece[4096];
            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            ssize_t n = read(fds[i].fd, piece, sizeof piece);
            if (n > 0) {
                buf_append(bufs[i], piece, (size_t)n);
            } else {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
    int status;
    ASSERT(waitpid(run.pid, &status, 0) == run.pid);
    o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return o;
}

static inline struct outcome harness_run(const char *input, char **args)
{
    return harness_finish(harness_start(input, args));
}

#define RUN(...)             harness_run(NULL, (char *[]){__VA_ARGS__, NULL})
#define RUN_WITH(input, ...) harness_run(input, (char *[]){__VA_ARGS__, NULL})

/* HTTP ---------------------------------------------------------------------------------------------------- */

/* One exchange: the request must begin with `request` and contain `contains` (NULL: anything); then the answer is sent:
 * a status (0: 200) and a body, or with REPLY_RAW the body as it stands. `piece`: so many bytes a write (0: all at once),
 * with REPLY_CHUNKED also so many a chunk (0: 10). `close`: the connection is closed then. */
struct exchange {
    const char *request, *contains;
    int status;
    const char *body;
    enum { REPLY_LENGTH, REPLY_CHUNKED, REPLY_ENDLESS, REPLY_RAW } form;
    int piece;
    bool close;
};

static inline void harness_answer(const struct exchange *exchange, struct buf *out)
{
    struct str body = str_from(exchange->body), chunk;
    size_t size = exchange->piece > 0 ? (size_t)exchange->piece : 10;
    if (exchange->form == REPLY_RAW) {
        buf_append_str(out, body);
        return;
    }
    buf_printf(out, "HTTP/1.1 %d Something\r\n", exchange->status != 0 ? exchange->status : 200);
    if (exchange->form == REPLY_LENGTH) {
        buf_printf(out, "Content-Length: %zu\r\n\r\n%s", body.len, exchange->body);
        return;
    }
    buf_append_cstr(out, "Transfer-Encoding: chunked\r\n\r\n");
    for (; body.len > 0; body = str_sub(body, chunk.len, SIZE_MAX)) {
        chunk = str_sub(body, 0, size);
        buf_printf(out, "%zx\r\n%.*s\r\n", chunk.len, STR_ARG(chunk));
    }
    buf_append_cstr(out, exchange->form == REPLY_CHUNKED ? "0\r\n\r\n" : "");
}

static inline int harness_listen(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 8) == 0);
    ASSERT(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Reads a whole request: head, then as many bytes as content-length says. False at the end of the connection. */
static inline bool harness_read_request(int fd, struct buf *in)
{
    for (;;) {
        ptrdiff_t head = str_find(buf_str(in), STR("\r\n\r\n"));
        if (head >= 0) {
            const char *length = strcasestr(in->ptr, "content-length: ");
            size_t body = length != NULL ? (size_t)strtol(length + 16, NULL, 10) : 0;
            if (in->len >= (size_t)head + 4 + body)
                return true;
        }
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0)
            return false;
        buf_append(in, piece, (size_t)n);
    }
}

static inline void harness_write(int fd, struct str text, int piece)
{
    size_t at = 0;
    while (at < text.len) {
        size_t n = piece > 0 && (size_t)piece < text.len - at ? (size_t)piece : text.len - at;
        if (write(fd, text.ptr + at, n) < 0)
            return;
        at += n;
        if (piece > 0)
            usleep(500);
    }
}

/* A child that serves the exchanges in order and exits 0 when all were as expected; it says on stderr what was not. */
static inline pid_t harness_serve(const struct exchange *exchanges, size_t count, int *port)
{
    int listener = harness_listen(port);
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid != 0) {
        close(listener);
        return pid;
    }
    int conn = -1;
    for (size_t i = 0; i < count;) {
        struct buf in = {0};
        if (conn < 0)
            conn = accept(listener, NULL, NULL);
        if (!harness_read_request(conn, &in)) {
            close(conn);
            conn = -1;
            continue;
        }
        if (!str_starts_with(buf_str(&in), str_from(exchanges[i].request)) ||
            (exchanges[i].contains != NULL && strstr(in.ptr, exchanges[i].contains) == NULL)) {
            fprintf(stderr, "exchange %zu: expected '%s' with '%s', got:\n%s\n", i, exchanges[i].request,
                    exchanges[i].contains ? exchanges[i].contains : "", in.ptr);
            _exit(1);
        }
        struct buf answer = {0};
        harness_answer(&exchanges[i], &answer);
        harness_write(conn, buf_str(&answer), exchanges[i].piece);
        buf_fini(&answer);
        if (exchanges[i].close) {
            close(conn);
            conn = -1;
        }
        i++;
        buf_fini(&in);
    }
    /* The client may look whether the connection still lives. */
    if (conn >= 0) {
        char rest[64];
        while (read(conn, rest, sizeof rest) > 0)
            ;
    }
    _exit(0);
}

static inline int harness_wait(pid_t pid)
{
    int status;
    ASSERT(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
