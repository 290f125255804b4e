/* raw.h - requests as bytes: what takes the client library out of a figure.
 *
 * A connection is a blocking socket or one of many in an epoll set; frames are built once and sent again and again. Only what
 * the modes need is here: Produce 8, Fetch 4, ApiVersions 0, JoinGroup 1, SyncGroup 0, Heartbeat 0, all without tagged fields.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame or an answer: owned bytes that grow. */
struct raw_bytes {
    char *at;
    size_t len, cap;
};

void raw_free(struct raw_bytes *bytes);
void raw_put(struct raw_bytes *out, const void *bytes, size_t len);
void raw_put_int(struct raw_bytes *out, int64_t value, int width); /* big endian */
void raw_put_str(struct raw_bytes *out, const char *text);         /* i16 length; NULL is null */
int64_t raw_int(const char *at, int width);

/* Starts a request: leaves room for the size, writes the header. raw_end fills in the size. */
void raw_begin(struct raw_bytes *out, int api_key, int version);
void raw_end(struct raw_bytes *out);

/* A record batch of `count` records of `bytes` bytes each, 0: transactions of the data set; codec "none" or "lz4", CRC and all. */
void raw_batch(struct raw_bytes *out, int count, int bytes, const char *codec);

/* Produce to one partition with acks=all; the batch is copied in. */
void raw_produce(struct raw_bytes *out, const char *topic, int partition, const struct raw_bytes *batch);

/* Error code of a Produce answer (the body after the size), for one partition. */
int raw_produce_error(const char *body, size_t len);

/* Fetch of one partition. *offset_pos is where its 8 bytes of offset lie in the frame. */
void raw_fetch(struct raw_bytes *out, const char *topic, int partition, int bytes_max, size_t *offset_pos);

/* A connected socket; ends the program when nobody answers. */
int raw_connect(const char *bootstrap);
void raw_send(int fd, const struct raw_bytes *frame);
/* The same frame `count` times, by one call where the socket has room. */
void raw_send_times(int fd, const struct raw_bytes *frame, int count);
/* Receives one frame, without its size. False: the other side has closed the connection. */
bool raw_receive(int fd, struct raw_bytes *frame);

/* The same where an answer is owed; raw_ask sends the request first. End the program when the server closes the connection. */
void raw_take(int fd, struct raw_bytes *answer);
void raw_ask(int fd, const struct raw_bytes *frame, struct raw_bytes *answer);

/* Answers that come together. raw_take_some waits for bytes (and ends the program when the server closes the connection);
 * raw_next gives the next whole answer without its size, valid until bytes are taken again, or NULL. */
struct raw_answers {
    struct raw_bytes bytes;
    size_t pos;
};

void raw_take_some(int fd, struct raw_answers *answers);
const char *raw_next(struct raw_answers *answers, size_t *len);

/* CRC-32C, bit by bit: for frames that are made once. */
uint32_t raw_crc32c(const char *at, size_t len);

/* Sorts and prints "p50_us" and so on. */
void print_quantiles(uint32_t *us, int64_t n);

#endif
