/* sock.c - reading, writing and sendfile on a socket in plain text; the counterpart with TLS is tls_conn.c. */
#include <errno.h>
#include <sys/sendfile.h>

#include "net/net_int.h"

ssize_t sock_read(int fd, void *bytes, size_t size)
{
    ssize_t n;
    do
        n = recv(fd, bytes, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t sock_writev(int fd, const struct iovec *parts, size_t count, bool more_follows)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    ssize_t n;
    do
        n = sendmsg(fd, &msg, MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t sock_sendfile(int fd, int file, uint64_t pos, size_t len)
{
    off_t at = (off_t)pos;
    ssize_t n;
    do
        n = sendfile(fd, file, &at, len);
    while (n < 0 && errno == EINTR);
    return n;
}
