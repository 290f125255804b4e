/* sock_int.h - blocking sockets with deadlines (monotonic milliseconds) that a signal can interrupt. */
#ifndef RIALTO_CLI_SOCK_INT_H
#define RIALTO_CLI_SOCK_INT_H

#include "base/base.h"

/* Waits for events (POLLIN, POLLOUT) of fd, which may be -1. False: ERR_TIMED_OUT, ERR_SHUTDOWN or ERR_IO. */
bool cli_sock_wait(int fd, short events, int64_t deadline_ms, int stop_fd, struct err *err);

/* False only when interrupted. */
bool cli_sock_sleep(int64_t ms, int stop_fd, struct err *err);

/* A connected non-blocking socket that the caller closes, or -1. */
int cli_sock_connect(struct str host, int port, int64_t deadline_ms, int stop_fd, struct err *err);

/* Writes all of it. */
bool cli_sock_write(int fd, struct str bytes, int64_t deadline_ms, int stop_fd, struct err *err);

/* Appends at least one byte to `in`; the other side's end is an error. */
bool cli_sock_read(int fd, struct buf *in, int64_t deadline_ms, int stop_fd, struct err *err);

/* "host", "host:port", "[::1]:port". */
bool cli_sock_split_address(struct str address, int default_port, struct str *host, int *port,
                            struct err *err);

#endif
