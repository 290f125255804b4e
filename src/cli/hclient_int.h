/* hclient_int.h - a blocking HTTP/1.1 client for one server: whole answers and streams. */
#ifndef RIALTO_CLI_HCLIENT_INT_H
#define RIALTO_CLI_HCLIENT_INT_H

#include "base/base.h"

struct hclient {
    struct str host; /* borrowed from the URL */
    int port;
    struct str prefix;  /* path of the URL without its last slash */
    int fd;             /* -1: not connected */
    int stop_fd;        /* -1: none */
    int64_t timeout_ms; /* of connecting and of whole answers */
    struct buf in;      /* bytes that came and are not used yet */
    struct buf piece;   /* what hclient_read gave last */
    struct arena arena; /* of the present answer's head */
    int status;
    struct str reason, content_type, location;
    enum { HBODY_LENGTH, HBODY_CHUNKED, HBODY_CLOSE } framing;
    uint64_t left;    /* bytes of the body, or of the chunk, still to come */
    bool ended, keep; /* the body is at its end; the connection may be used again */
};

/* Takes http://host[:port][/prefix]; the text is borrowed. Does not connect. */
bool hclient_init(struct hclient *client, struct str url, int stop_fd, struct err *err);
void hclient_fini(struct hclient *client);

/* Sends a request and reads the head of the answer. `body` null: none. A connection that the server has closed since
 * the last answer is opened again. */
bool hclient_send(struct hclient *client, const char *method, struct str path, const char *accept,
                  struct str body, struct err *err);

/* The next bytes of the body, valid until the next call; *piece empty at the end. Waits until deadline_ms
 * (monotonic; INT64_MAX: for ever), then ERR_TIMED_OUT. */
bool hclient_read(struct hclient *client, struct str *piece, int64_t deadline_ms, struct err *err);

/* The rest of the body. */
bool hclient_read_all(struct hclient *client, struct buf *body, struct err *err);

/* Drops the connection, for example in the middle of a stream. */
void hclient_close(struct hclient *client);

#endif
