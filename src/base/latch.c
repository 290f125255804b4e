/* latch.c - one end, one who waits for it. */
#include "base/latch.h"

#include "base/assert.h"

void latch_init(struct latch *latch)
{
    *latch = (struct latch){0};
    pthread_mutex_init(&latch->lock, NULL);
    pthread_cond_init(&latch->ended, NULL);
}

void latch_end(struct latch *latch, const struct err *failure)
{
    pthread_mutex_lock(&latch->lock);
    ASSERT(!latch->over);
    latch->over = true;
    latch->failed = failure != NULL;
    if (failure != NULL)
        latch->failure = *failure;
    pthread_cond_signal(
        &latch->ended); /* under the lock: the latch may be gone right after it is given back */
    pthread_mutex_unlock(&latch->lock);
}

bool latch_wait(struct latch *latch, struct err *err)
{
    pthread_mutex_lock(&latch->lock);
    while (!latch->over)
        pthread_cond_wait(&latch->ended, &latch->lock);
    pthread_mutex_unlock(&latch->lock);
    pthread_cond_destroy(&latch->ended);
    pthread_mutex_destroy(&latch->lock);
    if (latch->failed && err != NULL)
        *err = latch->failure;
    return !latch->failed;
}
