/* sock.c - blocking sockets with deadlines that a signal can interrupt.
 *
 * SIGINT and SIGTERM are blocked in the whole process; whoever waits here also waits for the signal descriptor
 * (`stop_fd`, -1: none), so that Ctrl-C ends a wait at once and no handler exists. An interrupted call gives ERR_SHUTDOWN.
 */
#include "cli/sock_int.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool interrupted(struct err *err)
{
    return err_set(err, ERR_SHUTDOWN, "interrupted");
}

bool cli_sock_wait(int fd, short events, int64_t deadline_ms, int stop_fd, struct err *err)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = stop_fd, .events = POLLIN}};
        int64_t left_ms = deadline_ms - clock_mono_ms();
        int n = poll(fds, 2, left_ms < 0 ? 0 : (int)MIN(left_ms, INT32_MAX));
        if (n < 0 && errno != EINTR)
            return err_set_errno(err, errno, "waiting for a socket failed");
        if (n > 0 && fds[1].revents != 0)
            return interrupted(err);
        if (n > 0 && fds[0].revents != 0)
            return true;
        if (clock_mono_ms() >= deadline_ms)
            return err_set(err, ERR_TIMED_OUT, "no answer in time");
    }
}

bool cli_sock_sleep(int64_t ms, int stop_fd, struct err *err)
{
    struct err timeout = {0};
    ignore(cli_sock_wait(-1, 0, clock_mono_ms() + ms, stop_fd, &timeout), "it ends by time or by signal");
    return timeout.code != ERR_SHUTDOWN || interrupted(err);
}

static bool finish_connect(int fd, int64_t deadline_ms, int stop_fd, struct err *err)
{
    int failed = 0;
    socklen_t size = sizeof failed;
    if (!cli_sock_wait(fd, POLLOUT, deadline_ms, stop_fd, err))
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
        failed = errno;
    return failed == 0 || err_set(err, ERR_UNAVAILABLE, "%s", strerror(failed));
}

static int connect_address(const struct addrinfo *address, int64_t deadline_ms, int stop_fd, struct err *err)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set_errno(err, errno, "no socket");
        return -1;
    }
    int one = 1;
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "only latency would suffer");
    bool ok = connect(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (!ok && errno == EINPROGRESS)
        ok = finish_connect(fd, deadline_ms, stop_fd, err);
    else if (!ok)
        err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
    if (ok)
        return fd;
    close(fd);
    return -1;
}

int cli_sock_connect(struct str host, int port, int64_t deadline_ms, int stop_fd, struct err *err)
{
    char name[256], service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (host.len >= sizeof name) {
        err_set(err, ERR_USAGE, "the host name is too long");
        return -1;
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(host));
    snprintf(service, sizeof service, "%d", port);
    int failed = getaddrinfo(name, service, &hints, &list);
    if (failed != 0) {
        err_set(err, ERR_UNAVAILABLE, "%s", gai_strerror(failed));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *address = list; address != NULL && fd < 0; address = address->ai_next)
        fd = connect_address(address, deadline_ms, stop_fd, err);
    freeaddrinfo(list);
    return fd;
}

bool cli_sock_write(int fd, struct str bytes, int64_t deadline_ms, int stop_fd, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes = str_sub(bytes, (size_t)n, SIZE_MAX);
        } else if (errno == EAGAIN) {
            if (!cli_sock_wait(fd, POLLOUT, deadline_ms, stop_fd, err))
                return false;
        } else if (errno != EINTR) {
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
        }
    }
    return true;
}

bool cli_sock_read(int fd, struct buf *in, int64_t deadline_ms, int stop_fd, struct err *err)
{
    enum { PIECE_BYTES = 64 << 10 };
    for (;;) {
        buf_reserve(in, PIECE_BYTES);
        ssize_t n = recv(fd, in->ptr + in->len, PIECE_BYTES, 0);
        if (n > 0) {
            in->len += (size_t)n;
            in->ptr[in->len] = '\0';
            return true;
        }
        if (n == 0)
            return err_set(err, ERR_UNAVAILABLE, "the server closed the connection");
        if (errno != EAGAIN && errno != EINTR)
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
        if (!cli_sock_wait(fd, POLLIN, deadline_ms, stop_fd, err))
            return false;
    }
}

bool cli_sock_split_address(struct str address, int default_port, struct str *host, int *port,
                            struct err *err)
{
    int64_t number = default_port;
    ptrdiff_t colon = str_rfind_char(address, ':');
    *host = address;
    if (address.len > 0 && address.ptr[0] == '[') {
        ptrdiff_t close = str_find_char(address, ']');
        if (close < 0)
            return err_set(err, ERR_USAGE, "'%.*s' is not HOST:PORT", STR_ARG(address));
        *host = str_sub(address, 1, (size_t)close - 1);
        colon = close + 1 < (ptrdiff_t)address.len ? close + 1 : -1;
    } else if (colon >= 0) {
        *host = str_sub(address, 0, (size_t)colon);
    }
    if (colon >= 0 && !str_to_i64(str_sub(address, (size_t)colon + 1, SIZE_MAX), &number))
        number = -1;
    if (number < 1 || number > 65535 || host->len == 0)
        return err_set(err, ERR_USAGE, "'%.*s' is not HOST:PORT", STR_ARG(address));
    *port = (int)number;
    return true;
}
