/* append_int.h - an append on its way through append_check.c and append.c. */
#ifndef RIALTO_LOG_APPEND_INT_H
#define RIALTO_LOG_APPEND_INT_H

#include "log/log_int.h"

struct append {
    struct log_append *of; /* what was asked for; NULL: the batch has its offset and its times */
    struct err *err;       /* where to say what is wrong, or NULL */
    const struct log_config *config;
    enum log_origin origin;
    struct str bytes;
    struct batch head;    /* of a client's batch: what it says of itself */
    struct buf rewritten; /* owns `bytes` when the topic has another codec than the producer */
    int64_t now_ms;
    int64_t max_timestamp_ms; /* -1: not known */
    bool good;                /* nothing is wrong with it so far */
    int64_t offset, end_offset;
    uint64_t pos; /* in the active segment */
};

/* All checks that need no lock; gives the batches the topic's codec. False: *err, and what *result can say. */
bool append_check(struct append *app, struct log_append_result *result, struct err *err);

#endif
