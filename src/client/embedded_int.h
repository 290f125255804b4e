/* embedded_int.h - the client over storage and coordinators of this process: shared by its files. Private to src/client. */
#ifndef RIALTO_CLIENT_EMBEDDED_INT_H
#define RIALTO_CLIENT_EMBEDDED_INT_H

#include "client/client_int.h"
#include "coord/coord.h"
#include "storage/storage.h"

struct embedded_client {
    struct client client;
    struct storage *storage;
    struct coord *coord;
};

struct embedded_txn {
    struct client_txn txn;
    struct coord_txn *coord_txn;
};

static inline struct storage *embedded_storage(struct client *client)
{
    return ((struct embedded_client *)client)->storage;
}

static inline struct coord *embedded_coord(struct client *client)
{
    return ((struct embedded_client *)client)->coord;
}

/* embedded_reader.c */
struct client_reader *embedded_reader_new(struct client *client, struct str topic, int32_t partition,
                                          const struct client_reader_options *options, struct err *err);
void embedded_reader_free(struct client_reader *reader);
bool embedded_reader_poll(struct client_reader *reader, struct err *err);
size_t embedded_reader_take(struct client_reader *reader, struct record *recs, size_t max);
bool embedded_reader_seek(struct client_reader *reader, int64_t offset, struct err *err);
int64_t embedded_reader_lag(struct client_reader *reader);

/* embedded_writer.c */
struct client_writer *embedded_writer_new(struct client *client, struct str topic,
                                          const struct client_writer_options *options, struct err *err);
void embedded_writer_free(struct client_writer *writer);
bool embedded_writer_add(struct client_writer *writer, int32_t partition, int64_t timestamp_ms,
                         struct str key, struct str value, struct str headers, int32_t header_count,
                         struct err *err);
bool embedded_writer_flush(struct client_writer *writer, struct err *err);
bool embedded_writer_wait(struct client_writer *writer, struct err *err);
void embedded_writer_reset(struct client_writer *writer);

#endif
