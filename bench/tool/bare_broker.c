/* bare_broker.c - what producing costs at the very least: a server that takes Produce frames and does only what the bytes
 * ask for.
 *
 *   read the frame from the socket -> CRC-32C of its batch -> write it to a file -> answer
 *
 *   bare -b HOST:PORT -t FILE      serves `replay` until it is ended; FILE is where the batches go
 *
 * One thread a connection. It checks no record, keeps no index and syncs nothing: beside it the figures of a broker show what its
 * own work costs.
 */
#include "load.h"
#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int file = -1;
static atomic_llong file_end;

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t checksum(const char *at, size_t len)
{
    uint64_t crc = 0xffffffff, word;
    for (; len >= 8; at += 8, len -= 8) {
        memcpy(&word, at, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; len > 0; at++, len--)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, (unsigned char)*at);
    return ~(uint32_t)crc;
}
#else
static uint32_t checksum(const char *at, size_t len)
{
    return raw_crc32c(at, len);
}
#endif

/* Where the batch of a Produce frame (made by raw_produce) begins. */
static size_t batch_pos(const struct raw_bytes *frame)
{
    size_t at = 2 + 2 + 4;
    at += 2 + (size_t)raw_int(frame->at + at, 2); /* client id */
    at += 2 + 2 + 4 + 4;                          /* transactional id, acks, timeout, topics */
    at += 2 + (size_t)raw_int(frame->at + at, 2); /* topic */
    return at + 4 + 4 + 4;                        /* partitions, partition, size */
}

static void answer_produce(int fd, struct raw_bytes *out)
{
    out->len = 0;
    raw_put_int(out, 0, 4);
    raw_put_int(out, 1, 4); /* correlation id */
    raw_put_int(out, 1, 4);
    raw_put_str(out, "");
    raw_put_int(out, 1, 4);
    raw_put_int(out, 0, 4);
    raw_put_int(out, 0, 2); /* no error */
    raw_put_int(out, 0, 8);
    raw_put_int(out, -1, 8);
    raw_put_int(out, 0, 8);
    raw_put_int(out, 0, 4);
    raw_put_int(out, -1, 2);
    raw_put_int(out, 0, 4);
    raw_end(out);
    raw_send(fd, out);
}

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    struct raw_bytes frame = {0}, out = {0};
    while (raw_receive(fd, &frame)) {
        size_t at = batch_pos(&frame);
        const char *batch = frame.at + at;
        size_t len = frame.len - at;
        if ((uint32_t)raw_int(batch + 17, 4) != checksum(batch + 21, len - 21))
            die("a batch with a wrong checksum");
        if (pwrite(file, batch, len, atomic_fetch_add(&file_end, (long long)len)) != (ssize_t)len)
            die("write: %s", strerror(errno));
        answer_produce(fd, &out);
    }
    raw_free(&frame);
    raw_free(&out);
    close(fd);
    return NULL;
}

int mode_bare(const struct options *o)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    char host[64];
    int port, on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    file = open(o->topic, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || sscanf(o->bootstrap, "%63[^:]:%d", host, &port) != 2 ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1)
        die("%s or %s cannot be used", o->topic, o->bootstrap);
    at.sin_port = htons((uint16_t)port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 64) != 0)
        die("%s: %s", o->bootstrap, strerror(errno));
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            die("cannot start a thread");
        pthread_detach(thread);
    }
    die("accept: %s", strerror(errno));
}
