/* latch.h - a thread waits for the one end of what others do, and learns how it went.
 *
 *     struct latch latch;
 *     latch_init(&latch);
 *     begin(..., on_end, &latch);                    on_end calls latch_end, on whatever thread, perhaps at once
 *     return latch_wait(&latch, err);
 *
 * It lives on the stack of who waits, who is the only one; latch_end does not touch it any more once latch_wait may return.
 */
#ifndef RIALTO_BASE_LATCH_H
#define RIALTO_BASE_LATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct latch {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over, failed;
    struct err failure;
};

void latch_init(struct latch *latch);

/* The end; failure NULL: all went well, else it is copied. Once. */
void latch_end(struct latch *latch, const struct err *failure);

/* Waits for the end, and lets go of what latch_init took. False: *err (which may be NULL) is the failure. */
bool latch_wait(struct latch *latch, struct err *err);

#endif
