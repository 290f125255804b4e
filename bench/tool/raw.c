/* raw.c - frames by hand (see raw.h); Kafka's protocol guide is the source of every layout. */
#include "raw.h"

#include "dataset.h"
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lz4frame.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_CRC_POS = 17, BATCH_ATTRIBUTES_POS = 21, BATCH_HEAD = 61 };

/* --- bytes --- */

void raw_free(struct raw_bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct raw_bytes){0};
}

static void reserve(struct raw_bytes *out, size_t more)
{
    if (out->len + more <= out->cap)
        return;
    out->cap = (out->len + more) * 2;
    out->at = realloc(out->at, out->cap);
    if (out->at == NULL)
        die("no memory for %zu bytes", out->cap);
}

void raw_put(struct raw_bytes *out, const void *bytes, size_t len)
{
    reserve(out, len);
    memcpy(out->at + out->len, bytes, len);
    out->len += len;
}

static void set_int(char *at, int64_t value, int width)
{
    for (int i = 0; i < width; i++)
        at[i] = (char)(value >> (8 * (width - 1 - i)));
}

void raw_put_int(struct raw_bytes *out, int64_t value, int width)
{
    char bytes[8];
    set_int(bytes, value, width);
    raw_put(out, bytes, (size_t)width);
}

int64_t raw_int(const char *at, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++)
        value = value << 8 | (unsigned char)at[i];
    return width == 8 ? (int64_t)value : (int64_t)(value << (64 - 8 * width)) >> (64 - 8 * width);
}

void raw_put_str(struct raw_bytes *out, const char *text)
{
    raw_put_int(out, text == NULL ? -1 : (int64_t)strlen(text), 2);
    if (text != NULL)
        raw_put(out, text, strlen(text));
}

static void put_varint(struct raw_bytes *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7)
        raw_put_int(out, (int64_t)(zigzag & 0x7f) | 0x80, 1);
    raw_put_int(out, (int64_t)zigzag, 1);
}

/* --- frames --- */

void raw_begin(struct raw_bytes *out, int api_key, int version)
{
    out->len = 0;
    raw_put_int(out, 0, 4);
    raw_put_int(out, api_key, 2);
    raw_put_int(out, version, 2);
    raw_put_int(out, 1, 4); /* correlation id: answers come in order */
    raw_put_str(out, "load");
}

void raw_end(struct raw_bytes *out)
{
    set_int(out->at, (int64_t)out->len - 4, 4);
}

uint32_t raw_crc32c(const char *at, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78 & (0 - (crc & 1)));
    }
    return ~crc;
}

static void put_text(struct raw_bytes *out, const char *text)
{
    put_varint(out, (int64_t)strlen(text));
    raw_put(out, text, strlen(text));
}

/* Letters at random: no codec of the protocol but zstd and gzip makes them shorter. */
static void put_letters(struct raw_bytes *out, int bytes, uint64_t *state)
{
    put_varint(out, -1); /* no key */
    put_varint(out, bytes);
    for (int b = 0; b < bytes; b++) {
        *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
        raw_put_int(out, 'a' + (int)(*state >> 60), 1);
    }
}

static void put_transaction(struct raw_bytes *out, int number)
{
    char key[DATA_KEY_MAX], value[DATA_VALUE_MAX];
    int64_t ts;
    transaction_print(number, key, sizeof key, value, sizeof value, &ts);
    put_text(out, key);
    put_text(out, value);
}

static void put_records(struct raw_bytes *out, int count, int bytes)
{
    struct raw_bytes record = {0};
    uint64_t state = 88172645463325252ULL;
    for (int i = 0; i < count; i++) {
        record.len = 0;
        raw_put_int(&record, 0, 1);
        put_varint(&record, 0); /* timestamp delta */
        put_varint(&record, i);
        if (bytes != 0)
            put_letters(&record, bytes, &state);
        else
            put_transaction(&record, i);
        put_varint(&record, 0); /* no headers */
        put_varint(out, (int64_t)record.len);
        raw_put(out, record.at, record.len);
    }
    raw_free(&record);
}

static void put_lz4(struct raw_bytes *out, const struct raw_bytes *plain)
{
    size_t bound = LZ4F_compressFrameBound(plain->len, NULL);
    reserve(out, bound);
    size_t len = LZ4F_compressFrame(out->at + out->len, bound, plain->at, plain->len, NULL);
    if (LZ4F_isError(len))
        die("lz4: %s", LZ4F_getErrorName(len));
    out->len += len;
}

void raw_batch(struct raw_bytes *out, int count, int bytes, const char *codec)
{
    enum { CODEC_LZ4 = 3 };
    struct raw_bytes records = {0};
    struct timespec now;
    bool lz4 = strcmp(codec, "lz4") == 0;
    if (!lz4 && strcmp(codec, "none") != 0)
        die("codec %s: prepared batches are none or lz4", codec);
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
    put_records(&records, count, bytes);
    out->len = 0;
    raw_put_int(out, 0, 8);  /* base offset */
    raw_put_int(out, 0, 4);  /* length, below */
    raw_put_int(out, -1, 4); /* leader epoch */
    raw_put_int(out, 2, 1);  /* magic */
    raw_put_int(out, 0, 4);  /* CRC, below */
    raw_put_int(out, lz4 ? CODEC_LZ4 : 0, 2);
    raw_put_int(out, count - 1, 4); /* last offset delta */
    raw_put_int(out, now_ms, 8);
    raw_put_int(out, now_ms, 8);
    raw_put_int(out, -1, 8); /* no producer id, epoch, sequence */
    raw_put_int(out, -1, 2);
    raw_put_int(out, -1, 4);
    raw_put_int(out, count, 4);
    if (lz4)
        put_lz4(out, &records);
    else
        raw_put(out, records.at, records.len);
    set_int(out->at + 8, (int64_t)out->len - 12, 4);
    set_int(out->at + BATCH_CRC_POS,
            raw_crc32c(out->at + BATCH_ATTRIBUTES_POS, out->len - BATCH_ATTRIBUTES_POS), 4);
    raw_free(&records);
}

void raw_produce(struct raw_bytes *out, const char *topic, int partition, const struct raw_bytes *batch)
{
    enum { KEY = 0, VERSION = 8 };
    raw_begin(out, KEY, VERSION);
    raw_put_str(out, NULL); /* transactional id */
    raw_put_int(out, -1, 2);
    raw_put_int(out, 30000, 4);
    raw_put_int(out, 1, 4);
    raw_put_str(out, topic);
    raw_put_int(out, 1, 4);
    raw_put_int(out, partition, 4);
    raw_put_int(out, (int64_t)batch->len, 4);
    raw_put(out, batch->at, batch->len);
    raw_end(out);
}

int raw_produce_error(const char *body, size_t len)
{
    /* correlation id, topics, name, partitions, index, error */
    size_t name = len >= 10 ? (size_t)raw_int(body + 8, 2) : 0;
    size_t at = 4 + 4 + 2 + name + 4 + 4;
    if (len < at + 2)
        die("a Produce answer of %zu bytes", len);
    return (int)raw_int(body + at, 2);
}

void raw_fetch(struct raw_bytes *out, const char *topic, int partition, int bytes_max, size_t *offset_pos)
{
    enum { KEY = 1, VERSION = 4 };
    raw_begin(out, KEY, VERSION);
    raw_put_int(out, -1, 4); /* a consumer */
    raw_put_int(out, 0, 4);  /* no wait */
    raw_put_int(out, 1, 4);
    raw_put_int(out, bytes_max, 4);
    raw_put_int(out, 0, 1); /* READ_UNCOMMITTED */
    raw_put_int(out, 1, 4);
    raw_put_str(out, topic);
    raw_put_int(out, 1, 4);
    raw_put_int(out, partition, 4);
    *offset_pos = out->len;
    raw_put_int(out, 0, 8);
    raw_put_int(out, bytes_max, 4);
    raw_end(out);
}

/* --- sockets --- */

void raw_ask(int fd, const struct raw_bytes *frame, struct raw_bytes *answer)
{
    raw_send(fd, frame);
    raw_take(fd, answer);
}

void raw_take(int fd, struct raw_bytes *answer)
{
    if (!raw_receive(fd, answer))
        die("the server closed a connection");
}

int raw_connect(const char *bootstrap)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[64];
    int port, on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sscanf(bootstrap, "%63[^:]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &to.sin_addr) != 1)
        die("%s is not IPV4:PORT", bootstrap);
    to.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("%s: %s", bootstrap, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void raw_send(int fd, const struct raw_bytes *frame)
{
    raw_send_times(fd, frame, 1);
}

void raw_send_times(int fd, const struct raw_bytes *frame, int count)
{
    enum { PARTS_MAX = 64 };
    for (size_t left = frame->len * (size_t)count; left > 0;) {
        struct iovec parts[PARTS_MAX];
        size_t tail = left % frame->len, n = 0; /* of a frame that was sent in part */
        if (tail != 0)
            parts[n++] = (struct iovec){frame->at + frame->len - tail, tail};
        for (size_t whole = left / frame->len; whole > 0 && n < PARTS_MAX; whole--)
            parts[n++] = (struct iovec){frame->at, frame->len};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent <= 0)
            die("send: %s", strerror(errno));
        left -= (size_t)sent;
    }
}

void raw_take_some(int fd, struct raw_answers *answers)
{
    enum { ROOM = 64 << 10 };
    struct raw_bytes *bytes = &answers->bytes;
    reserve(bytes, ROOM);
    memmove(bytes->at, bytes->at + answers->pos, bytes->len - answers->pos);
    bytes->len -= answers->pos;
    answers->pos = 0;
    ssize_t n = recv(fd, bytes->at + bytes->len, ROOM, 0);
    if (n < 0)
        die("receive: %s", strerror(errno));
    if (n == 0)
        die("the server closed a connection");
    bytes->len += (size_t)n;
}

const char *raw_next(struct raw_answers *answers, size_t *len)
{
    const char *at = answers->bytes.at + answers->pos;
    size_t left = answers->bytes.len - answers->pos;
    *len = left < 4 ? 0 : (size_t)raw_int(at, 4);
    if (left < 4 || left - 4 < *len)
        return NULL;
    answers->pos += 4 + *len;
    return at + 4;
}

static bool receive_all(int fd, char *at, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, at + got, len - got, 0);
        if (n < 0)
            die("receive: %s", strerror(errno));
        if (n == 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

bool raw_receive(int fd, struct raw_bytes *frame)
{
    char size[4];
    if (!receive_all(fd, size, sizeof size))
        return false;
    size_t len = (size_t)raw_int(size, 4);
    frame->len = 0;
    reserve(frame, len);
    frame->len = len;
    return receive_all(fd, frame->at, len);
}
